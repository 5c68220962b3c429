//! Changes of what governs a server: one person proposes, another agrees, and it is so with the answer.

use crate::exec::ends;
use crate::journey::writ;
use crate::server::serve;
use crate::{program, typed_at};
use std::fs;
use writ_bench::{Place, Signal, kill};

/// A person's commands.
fn by<'a>(args: &[&'a str], token: &'a str) -> Vec<&'a str> {
    [args, &["--token", token]].concat()
}

/// The approval that a proposal waits for.
fn proposed(place: &Place, args: &[&str], token: &str) -> String {
    let said = place.writ(&by(&[args, &["-o", "json"]].concat(), token)).unwrap();
    assert_eq!(said.code, Some(7), "{args:?}: {}{}", said.out, said.err);
    said.json()["approval"].as_str().unwrap().to_owned()
}

/// A token for somebody who is known.
fn token(place: &Place, name: &str) -> String {
    let said = place.writ(&["token", "issue", name, "-m", "theirs", "--as", "admin", "-o", "json"]).unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    said.json()["token"].as_str().unwrap().to_owned()
}

#[test]
fn people_policies_agents_and_standing_approvals_of_a_server_change_when_two_people_agree() {
    let place = Place::new(program()).unwrap();
    let server = serve(&place, &[]);
    // The first administrator is alone, and makes the second person known.
    let ada = place
        .writ(&[
            "token",
            "issue",
            "Ada",
            "--enrol",
            "-m",
            "new",
            "--roles",
            "viewer,approver",
            "--as",
            "admin",
            "-o",
            "json",
        ])
        .unwrap()
        .json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let alone = writ(&place, &["audit", "query", "--kind", "governance.changed_alone/1", "--as", "admin"], 0);
    assert!(alone.contains("change_enrol"), "{alone}");
    let admin = fs::read_to_string(place.state().join("tokens/admin")).unwrap().trim().to_owned();

    // From then on two people are needed.
    let bob =
        proposed(&place, &["token", "issue", "Bob", "--enrol", "-m", "new", "--roles", "viewer,operator"], &admin);
    writ(&place, &["token", "issue", "Bob", "-m", "x", "--as", "admin"], 5);
    let own = writ(&place, &["approve", &bob, "-m", "mine", "--as", "admin"], 3);
    assert!(own.contains("cannot approve it"), "{own}");
    writ(&place, &by(&["approve", &bob, "-m", "known to me"], &ada), 0);
    writ(&place, &by(&["approve", &bob, "-m", "again"], &ada), 3);
    let bob = token(&place, "Bob");

    // Whom an issuer may say somebody is: shown as it reads, taken away at once.
    writ(&place, &["person", "link", "Bob", "--subject", "00uk3x7q", "--as", "admin"], 64);
    let link = ["person", "link", "Bob", "--subject", "00uk3x7q", "--issuer", "https://id.example", "-m", "his"];
    let link = proposed(&place, &link, &admin);
    let shown = writ(&place, &by(&["approval", "get", &link], &ada), 0);
    assert!(shown.contains("00uk3x7q at https://id.example"), "{shown}");
    assert_eq!(writ(&place, &["person", "links", "Bob", "--as", "admin"], 0), "no links\n");
    writ(&place, &by(&["approve", &link, "-m", "known to me"], &ada), 0);
    let links = place.writ(&["person", "links", "Bob", "--as", "admin", "-o", "json"]).unwrap().json();
    assert_eq!(links[0]["of"], "00uk3x7q at https://id.example");
    let id = links[0]["id"].as_str().unwrap();
    writ(&place, &by(&["person", "unlink", "Bob", id], &ada), 4);
    writ(&place, &["person", "unlink", "Bob", id, "--as", "admin"], 0);
    writ(&place, &["person", "unlink", "Bob", id, "--as", "admin"], 5);

    // Other policies: refused whole when broken, shown with what they would have decided, in force with the answer.
    assert_eq!(ends(&place, &["--token", &bob, "--no-wait", "--", "rm", "nothing"], 7).0, "");
    let dir = place.path("new");
    fs::create_dir_all(dir.join("policies")).unwrap();
    for file in fs::read_dir(place.files().join("policies")).unwrap().flatten() {
        fs::copy(file.path(), dir.join("policies").join(file.file_name())).unwrap();
    }
    let more = dir.join("policies/more.yaml");
    let rule = |when: &str| {
        format!(
            "owner: tests\ndescription: More.\nrules:\n  - id: RM-001\n    description: Nothing is removed.\n    effect: deny\n    actions: ['*']\n    when: {when}\n    message: Nothing is removed\n"
        )
    };
    fs::write(&more, rule("nothing.of.the.sort")).unwrap();
    let dir = dir.to_str().unwrap();
    let broken = writ(&place, &by(&["policy", "apply", dir, "-m", "x"], &bob), 64);
    assert!(broken.contains("the policies are refused whole"), "{broken}");
    writ(&place, &by(&["policy", "apply", dir, "-m", "x"], &ada), 4);
    fs::write(&more, rule("has(outside.program) && outside.program == 'rm'")).unwrap();
    let change = proposed(&place, &["policy", "apply", dir, "-m", "nothing is removed"], &bob);
    let shown = writ(&place, &by(&["approval", "get", &change], &ada), 0);
    assert!(shown.contains("+ rules: RM-001 (action)") && shown.contains("1 of the last 1"), "{shown}");
    assert!(shown.contains("approval → deny  ") && shown.contains("RM-001"), "{shown}");
    ends(&place, &["--token", &bob, "--no-wait", "--", "rm", "nothing"], 7);
    writ(&place, &by(&["approve", &change, "-m", "good"], &ada), 0);
    ends(&place, &["--token", &bob, "--no-wait", "--", "rm", "nothing"], 3);

    // An agent gets more only by two people, and loses what it has by one.
    let agent = ["agent", "permissions", "monitoring-agent-001", "--permissions", "read:metrics", "--reason", "less"];
    let fewer = proposed(&place, &agent, &admin);
    writ(&place, &by(&["reject", &fewer, "-m", "why"], &ada), 0);
    writ(&place, &["agent", "quarantine", "monitoring-agent-001", "--reason", "odd", "--as", "admin"], 0);
    let key = writ_seal::Key::from_seed("x", &[9; 32]).public_hex();
    let enrol = ["agent", "enrol", "robin", "--type", "self-healing", "--agent-version", "1.0.0", "--public-key", &key];
    let enrol = [&enrol[..], &["--permissions", "execute:recovery,execute:recovrey", "--reason", "ours"]].concat();
    let warned = writ(&place, &[&enrol[..], &["--as", "admin"]].concat(), 7);
    assert!(warned.contains("no action here asks for `execute:recovrey`"), "{warned}");
    let robin = proposed(&place, &enrol, &admin);
    let shown = writ(&place, &by(&["approval", "get", &robin], &ada), 0);
    assert!(shown.contains("execute:recovery") && shown.contains("self-healing"), "{shown}");
    writ(&place, &["agent", "get", "robin", "--as", "admin"], 5);
    writ(&place, &by(&["approve", &robin, "-m", "known"], &ada), 0);
    assert!(writ(&place, &["agent", "get", "robin", "--as", "admin"], 0).contains("enrolled"));
    let again = writ(&place, &[&enrol[..], &["--as", "admin"]].concat(), 3);
    assert!(again.contains("is enrolled already") && again.contains(&typed_at(&place, "agent key robin")), "{again}");
    writ(&place, &["agent", "activate", "robin", "--reason", "it is ready", "--as", "admin"], 0);

    let less = ["agent", "permissions", "robin", "--permissions", "execute:recovery", "--reason", "less"];
    let less = proposed(&place, &less, &admin);
    writ(&place, &by(&["approve", &less, "-m", "less is enough"], &ada), 0);
    for told in [&["agent", "get", "robin"][..], &["agent", "list"]] {
        let told = writ(&place, &by(told, &admin), 0);
        assert!(told.contains("execute:recovery\n") && !told.contains("recovrey"), "{told}");
    }

    let back = proposed(&place, &["agent", "activate", "monitoring-agent-001", "--reason", "well"], &admin);
    writ(&place, &by(&["approve", &back, "-m", "looked at"], &ada), 0);
    let listed = writ(&place, &["agent", "get", "monitoring-agent-001", "--as", "admin"], 0);
    assert!(listed.contains("active: an administrator said so"), "{listed}");

    // A standing approval has an author and an approver.
    let wanted = ["standing", "propose", "--for", "restart_*", "--on", "web-*", "--budget", "5/1h", "--ttl", "30d"];
    writ(&place, &by(&[&wanted[..8], &["--ttl", "91d", "-m", "nights"]].concat(), &bob), 64);
    for blank in [&[][..], &["-m", "  "]] {
        let bare = writ(&place, &by(&[&wanted[..], blank].concat(), &bob), 64);
        assert!(bare.contains("a reason is missing") && bare.contains("-m REASON"), "{bare}");
    }
    let standing = proposed(&place, &[&wanted[..], &["-m", "nights"]].concat(), &bob);
    writ(&place, &by(&["approve", &standing, "-m", "good"], &ada), 0);
    let all = place.writ(&by(&["standing", "list", "-o", "json"], &bob)).unwrap().json();
    assert_eq!((&all[0]["author"], &all[0]["approvers"][0]), (&"person-03".into(), &"person-02".into()), "{all}");

    // What was agreed to outlives the process, whatever the files say.
    kill(server.pid(), Signal::KILL);
    assert_ne!(server.end(), Some(0));
    let server = serve(&place, &[]);
    ends(&place, &["--token", &bob, "--no-wait", "--", "rm", "nothing"], 3);
    let id = all[0]["id"].as_str().unwrap();
    writ(&place, &by(&["standing", "revoke", id], &bob), 0);
    writ(&place, &by(&["standing", "revoke", id], &bob), 5);

    // A role that is taken away is in no token any more.
    writ(&place, &["person", "grant", "Nobody", "--role", "viewer", "-m", "x", "--as", "admin"], 5);
    writ(&place, &["person", "add", "Eve", "--role", "Not A Role", "-m", "x", "--as", "admin"], 64);
    let roles = proposed(&place, &["person", "revoke", "Ada", "--role", "approver", "-m", "leaves"], &admin);
    let void = proposed(&place, &["person", "grant", "Ada", "--role", "operator", "-m", "runs"], &admin);
    writ(&place, &by(&["approve", &roles, "-m", "as agreed"], &ada), 0);
    writ(&place, &by(&["approve", &void, "-m", "x"], &ada), 4);
    let people = writ(&place, &by(&["person", "list"], &ada), 0);
    assert!(people.contains("Ada") && people.contains("Bob"), "{people}");
    writ(&place, &["audit", "verify", "--as", "admin"], 0);
    assert_eq!(server.end(), Some(0));
}
