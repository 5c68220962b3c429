//! What administrators do: tokens, agents, and texts that are to be forgotten.

use crate::journey::{SOON, up, writ};
use crate::pin::serve;
use crate::{program, typed_at};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use writ_bench::{Place, wait_until};

/// Every file below a directory that holds a text.
fn holding(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if fs::read(&path).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes())) {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_token_that_is_revoked_is_refused_at_once_and_after_a_restart() {
    let place = Place::new(program()).unwrap();
    let dev = serve(&place);
    let issued = place
        .writ(&["token", "issue", "Ada", "--enrol", "-m", "new", "--roles", "viewer", "-o", "json"])
        .unwrap()
        .json();
    let (secret, id) = (issued["token"].as_str().unwrap(), issued["id"].as_str().unwrap());
    writ(&place, &["run", "list", "--token", secret], 0);
    writ(&place, &["agent", "kill", "--all", "--token", secret], 4);
    let listed = writ(&place, &["token", "list"], 0);
    assert!(listed.contains(id) && listed.contains("Ada") && !listed.contains(secret), "{listed}");
    writ(&place, &["token", "list", "--as", "reviewer"], 4);
    writ(&place, &["token", "issue", "Ada", "--roles", "admin", "-m", "x"], 3);
    writ(&place, &["token", "issue", "nobody"], 5);
    writ(&place, &["token", "issue", "Eve", "--enrol"], 64);
    writ(&place, &["token", "issue", "Eve", "--enrol", "-m", "new", "--roles", "Not A Role"], 64);
    let file = place.path("ada.token");
    // Whoever holds another's token answers in their name: the journal says why they were given it.
    let refused = writ(&place, &["token", "issue", "reviewer"], 64);
    assert!(refused.contains("no reason is given") && refused.contains("-m REASON"), "{refused}");
    let told = writ(&place, &["token", "issue", "person-03", "-m", "lost hers", "--out", file.to_str().unwrap()], 0);
    let why = writ(&place, &["why", "person-03"], 0);
    assert!(why.contains("“lost hers”"), "{why}");
    let second = fs::read_to_string(&file).unwrap();
    assert!(!told.contains(second.trim()), "{told}");
    writ(&place, &["run", "list", "--token", second.trim()], 0);

    writ(&place, &["token", "revoke", id], 0);
    writ(&place, &["run", "list", "--token", secret], 4);
    writ(&place, &["run", "list", "--token", second.trim()], 0);
    writ(&place, &["token", "revoke", id], 5);
    let tokens = place.writ(&["token", "list", "-o", "json"]).unwrap().json();
    let of = |name: &str| tokens.as_array().unwrap().iter().find(|token| token["name"] == name).unwrap()["id"].clone();
    let refused = writ(&place, &["token", "revoke", of("operator").as_str().unwrap()], 3);
    assert!(refused.contains("the last token with the role `admin`"), "{refused}");
    writ(&place, &["token", "revoke", of("reviewer").as_str().unwrap()], 0);
    assert!(holding(&place.state(), secret).is_empty(), "a secret is kept nowhere");
    assert_eq!(dev.end(), Some(0));

    let dev = serve(&place);
    writ(&place, &["run", "list", "--as", "reviewer"], 4);
    writ(&place, &["run", "list", "--token", secret], 4);
    let entries = place.writ(&["audit", "query", "--action", "revoke_token", "-o", "json"]).unwrap().json();
    let by: Vec<&Value> = entries.as_array().unwrap().iter().map(|entry| &entry["actor"]["id"]).collect();
    assert_eq!(by, ["person-01", "person-01"]);
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_token_file_that_is_lost_or_damaged_is_made_anew_and_recorded() {
    let place = Place::new(program()).unwrap();
    let path = |name: &str| place.state().join("tokens").join(name);
    let dev = serve(&place);
    let first = fs::read_to_string(path("operator")).unwrap();
    assert_eq!(dev.end(), Some(0));

    fs::remove_dir_all(place.state().join("tokens")).unwrap();
    let dev = serve(&place);
    let second = fs::read_to_string(path("operator")).unwrap();
    assert_ne!(first, second);
    assert!(!dev.said().contains(second.trim()), "{}", dev.said());
    writ(&place, &["agent", "kill", "--all"], 0);
    writ(&place, &["agent", "release", "--all"], 0);
    writ(&place, &["run", "list", "--as", "reviewer"], 0);
    assert_eq!(dev.end(), Some(0));

    // What was never issued to its person is no token of theirs, whoever else's it is.
    fs::write(path("operator"), b"\xff\xfe garbage").unwrap();
    fs::write(path("reviewer"), &second).unwrap();
    let dev = serve(&place);
    writ(&place, &["agent", "drain", "scaling-agent-001", "--reason", "x", "--as", "reviewer"], 4);
    writ(&place, &["agent", "drain", "scaling-agent-001", "--reason", "x"], 0);
    assert_eq!(dev.end(), Some(0));

    // What is in order is left alone.
    let third = fs::read_to_string(path("operator")).unwrap();
    let dev = serve(&place);
    assert_eq!(fs::read_to_string(path("operator")).unwrap(), third);
    let issued = place.writ(&["audit", "query", "--action", "issue_token", "-o", "json"]).unwrap().json();
    let by: Vec<&Value> = issued.as_array().unwrap().iter().map(|entry| &entry["actor"]["id"]).collect();
    assert_eq!(by, ["genesis"; 6]);
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn what_an_agent_may_do_is_changed_by_entries_and_shown() {
    let place = Place::new(program()).unwrap();
    let dev = serve(&place);
    let agent = "scaling-agent-001";
    let moved = |word: &str, code: i32| writ(&place, &["agent", word, agent, "--reason", "Zebulon said so"], code);
    assert!(moved("drain", 0).contains("is draining"));
    assert!(writ(&place, &["agent", "list"], 0).contains("draining"));
    assert!(moved("drain", 3).contains("an agent that is draining cannot be told to drain"));
    moved("activate", 0);
    assert!(moved("quarantine", 0).contains("quarantined"));
    let story = writ(&place, &["why", agent], 0);
    assert!(story.contains("“Zebulon said so”") && story.contains("change agent state"), "{story}");
    let entries = place.writ(&["audit", "query", "--kind", "agent.state_changed/1", "--resource", agent, "-o", "json"]);
    let entries = entries.unwrap().json();
    assert_eq!(entries.as_array().unwrap().len(), 4, "with the one that activated it: {entries:#}");
    assert_eq!((&entries[0]["actor"]["id"], &entries[0]["body"]["to"]), (&"person-01".into(), &"quarantined".into()));

    let permissions = ["agent", "permissions", agent, "--reason", "less", "--permissions", "read:metrics"];
    writ(&place, &permissions, 0);
    let listed = writ(&place, &["agent", "list"], 0);
    assert!(listed.lines().any(|line| line.contains(agent) && line.trim_end().ends_with("read:metrics")), "{listed}");
    let key =
        |hex: &str, code: i32| writ(&place, &["agent", "key", agent, "--reason", "new", "--public-key", hex], code);
    key("00", 3);
    key(&writ_seal::Key::from_seed("x", &[9; 32]).public_hex(), 0);
    writ(&place, &["agent", "drain", "no-such", "--reason", "x"], 5);
    writ(&place, &["agent", "drain", agent], 64);
    writ(&place, &["agent", "retire", agent, "--reason", "x", "--as", "reviewer"], 4);
    moved("retire", 0);
    moved("activate", 3);

    writ(&place, &["agent", "kill", "--action", "scale_out"], 0);
    let told = "stopped: action `scale_out` by human:person-01";
    for args in [&["agent", "list"][..], &["agent", "killed"]] {
        let shown = writ(&place, args, 0);
        assert!(shown.contains(told) && shown.contains("writ agent release --action scale_out"), "{shown}");
    }
    writ(&place, &["agent", "release", "--action", "scale_out"], 0);
    assert!(writ(&place, &["agent", "killed"], 0).contains("no kill switch is pulled"));

    // A restart reads it all back.
    dev.crash();
    let dev = serve(&place);
    assert!(writ(&place, &["agent", "list"], 0).lines().any(|line| line.contains(agent) && line.contains("retired")));
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn what_is_erased_is_gone_from_every_file_and_reads_as_erased() {
    let place = Place::new(program()).unwrap();
    let dev = serve(&place);
    let name = "Ada Quintessa Lovelace";
    writ(&place, &["token", "issue", name, "--enrol", "-m", "new", "--roles", "viewer"], 0);
    assert!(writ(&place, &["why", "person-03"], 0).contains(name));
    assert!(!holding(&place.state(), name).is_empty());
    let erase = |args: &[&str], code: i32| {
        let args: Vec<&str> =
            ["audit", "erase", "-m", "she asked for it", "--yes"].iter().chain(args).copied().collect();
        writ(&place, &args, code)
    };
    writ(&place, &["audit", "erase", "--principal", "person-03", "-m", "she asked for it"], 64);
    writ(&place, &["audit", "erase", "--principal", "person-03", "-m", "about ada quintessa lovelace", "--yes"], 3);
    erase(&["--principal", "person-03", "--as", "reviewer"], 4);
    erase(&["--principal", "nobody"], 5);
    erase(&["--commitment", "nonsense"], 64);
    erase(&["--approval", "apr_01m7z590cqb8kc9zpw56v08vx6"], 5);
    assert!(erase(&["--principal", name], 0).contains("erased 1 of principal/person-03"));
    assert_eq!(holding(&place.state(), name), Vec::<PathBuf>::new());
    erase(&["--principal", "person-03"], 5);
    let story = writ(&place, &["why", "person-03"], 0);
    assert!(story.contains("(erased)") && !story.contains("Ada"), "{story}");
    assert!(writ(&place, &["token", "list"], 0).contains("(erased)"));
    let said = place.writ(&["audit", "query", "--kind", "audit.erased/1", "-o", "json"]).unwrap().json();
    assert_eq!((&said[0]["actor"]["id"], &said[0]["resource"]), (&"person-01".into(), &"principal/person-03".into()));
    writ(&place, &["audit", "verify"], 0);

    // What somebody said about an agent, by the commitment that the entry holds.
    writ(&place, &["agent", "drain", "scaling-agent-001", "--reason", "Zebulon Hopperton broke it"], 0);
    let entries = place.writ(&["audit", "query", "--kind", "person.said/1", "-o", "json"]).unwrap().json();
    let commitment = entries[0]["body"]["erasables"]["reason"].as_str().unwrap();
    erase(&["--commitment", commitment], 0);
    assert_eq!(holding(&place.state(), "Zebulon"), Vec::<PathBuf>::new());
    assert!(writ(&place, &["why", "scaling-agent-001"], 0).contains("(erased)"));
    assert_eq!(dev.end(), Some(0));
    assert_eq!(holding(&place.state(), name), Vec::<PathBuf>::new());
}

#[test]
fn an_approval_says_what_it_is_for_and_who_said_what_until_that_is_erased() {
    let (place, dev) = up(&[]);
    let manifest = place.files().join("intent.yaml");
    let file = manifest.to_str().unwrap();
    place.edit("intent.yaml", "min_instances: 3", "min_instances: 7").unwrap();
    writ(&place, &["apply", "-f", file, "--wait"], 0);
    place.edit("intent.yaml", "min_instances: 7", "min_instances: 3").unwrap();
    let accepted = writ(&place, &["apply", "-f", file], 7);
    let told = accepted.lines().find_map(|line| line.strip_prefix("run ")?.strip_suffix(" awaits approval"));
    let run = told.unwrap_or_else(|| panic!("{accepted}")).trim().to_owned();
    let open = || {
        let all = place.list("approvals").unwrap();
        all.iter().find(|one| one["subject"] == run.as_str()).map(|one| one["id"].as_str().unwrap().to_owned())
    };
    wait_until(SOON, || open().is_some()).expect("somebody is asked");
    let approval = open().unwrap();
    let refused = writ(&place, &["approve", &approval, "--as", "operator", "-m", "mine"], 3);
    assert!(refused.contains("cannot approve it"), "{refused}");
    let ada = place
        .writ(&["token", "issue", "Ada", "--enrol", "-m", "new", "--roles", "viewer", "-o", "json"])
        .unwrap()
        .json();
    let refused = writ(&place, &["approve", &approval, "-m", "x", "--token", ada["token"].as_str().unwrap()], 4);
    assert!(refused.contains("does not hold the role"), "{refused}");
    let shown = writ(&place, &["approval", "get", &approval], 0);
    for part in [&approval, "for       run_", "asks      1 of approver", "asked by  human:person-01", " approve apr_"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    writ(&place, &["approve", &approval, "--as", "reviewer", "-m", "Zebulon Hopperton is fine with it"], 0);
    let shown = writ(&place, &["approval", "get", &approval], 0);
    assert!(shown.contains("agreed    person-02 at") && shown.contains("Zebulon Hopperton is fine"), "{shown}");
    let watched = place.writ(&["run", "watch", &run, "-o", "json"]).unwrap().json();
    assert_eq!((&watched["over"], &watched["state"]), (&true.into(), &"succeeded".into()), "{watched}");
    writ(&place, &["audit", "erase", "--approval", &approval, "-m", "asked for", "--yes"], 0);
    for args in [&["approval", "get", &approval][..], &["why", &approval]] {
        let shown = writ(&place, args, 0);
        assert!(shown.contains("(erased)") && !shown.contains("Zebulon"), "{shown}");
    }
    assert_eq!(holding(&place.state(), "Zebulon"), Vec::<PathBuf>::new());
    writ(&place, &["audit", "verify"], 0);

    // What is over is told so, and not called unknown.
    for command in ["pause", "resume", "replan", "rollback"] {
        let refused = writ(&place, &["run", command, &run], 3);
        assert!(refused.contains("is succeeded"), "{command}: {refused}");
    }
    assert_eq!(dev.end(), Some(0));

    // Everything was stopped: a server over it says so once, and brings back that through which it sees.
    let mut dev = place.dev(&["--no-submit"]).unwrap();
    dev.until_up().unwrap();
    let back = wait_until(SOON, || place.alive().contains_key("lb"));
    let said = dev.said();
    assert!(back.is_some(), "{said}");
    assert_eq!(said.matches("a component cannot be observed").count(), 1, "{said}");
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_run_is_given_a_new_plan_from_the_world_as_it_is() {
    let (place, dev) = up(&[]);
    let manifest = place.files().join("intent.yaml");
    writ(&place, &["agent", "kill", "--all"], 0);
    place.edit("intent.yaml", "min_instances: 3", "min_instances: 5").unwrap();
    let accepted = place.writ(&["apply", "-f", manifest.to_str().unwrap(), "-o", "json"]).unwrap().json();
    let run = accepted["run"].as_str().unwrap().to_owned();
    let state = || place.api(&format!("/api/v1/runs/{run}/execution")).unwrap()["state"].clone();
    wait_until(SOON, || state() == "running").expect("it waits for the kill switch");
    assert!(writ(&place, &["run", "replan", &run], 3).contains(&typed_at(&place, "run pause")));
    writ(&place, &["run", "replan", &run, "--as", "reviewer"], 4);
    writ(&place, &["run", "pause", &run], 0);
    wait_until(SOON, || state() == "paused").expect("nothing of it runs");
    writ(&place, &["run", "replan", &run], 0);
    assert_eq!(state(), "running");
    writ(&place, &["agent", "release", "--all"], 0);
    writ(&place, &["run", "watch", &run], 0);
    assert!(["i-4", "i-5"].iter().all(|slot| place.alive().contains_key(*slot)), "{:?}", place.alive());
    let entries = place.writ(&["audit", "query", "--action", "replan_run", "--oldest-first", "-o", "json"]);
    let kinds = entries.unwrap().json();
    let kinds: Vec<&str> = kinds.as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["run.replanning/1", "run.replanned/1"]);
    let intent = place.writ(&["intent", "get", "DEPLOY-WEB-001", "-o", "json"]).unwrap().json();
    assert_eq!((&intent["to"], &intent["applied_version"]), (&"monitoring".into(), &2.into()), "{intent:#}");

    // The next one is taken back before it began, and the version before stays in force.
    writ(&place, &["agent", "kill", "--all"], 0);
    place.edit("intent.yaml", "min_instances: 5", "min_instances: 6").unwrap();
    let accepted = place.writ(&["apply", "-f", manifest.to_str().unwrap(), "-o", "json"]).unwrap().json();
    let run = accepted["run"].as_str().unwrap().to_owned();
    writ(&place, &["run", "rollback", &run], 0);
    writ(&place, &["run", "watch", &run], 9);
    writ(&place, &["agent", "release", "--all"], 0);
    let in_force = || {
        let intent = place.writ(&["intent", "get", "DEPLOY-WEB-001", "-o", "json"]).unwrap().json();
        (intent["to"].clone(), intent["applied_version"].clone()) == ("monitoring".into(), 2.into())
    };
    wait_until(SOON, in_force).expect("version 2 stays");
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_rule_is_waived_when_somebody_else_agrees_and_for_as_long_as_they_said() {
    let (place, dev) = up(&[]);
    let manifest = place.files().join("intent.yaml");
    let file = manifest.to_str().unwrap();
    place.edit("intent.yaml", "$500/month", "$50000/month").unwrap();
    writ(&place, &["apply", "-f", file], 3);
    let ask = |rule: &str, ttl: &str, code: i32| {
        let args = ["waiver", "ask", rule, "--subject", "DEPLOY-WEB-001", "--ttl", ttl, "-m", "Zebulon's launch", "-o"];
        let said = place.writ(&[&args[..], &["json"]].concat()).unwrap();
        assert_eq!(said.code, Some(code), "{}", said.err);
        said.json()["waiver"].as_str().unwrap_or_default().to_owned()
    };
    ask("NO-SUCH-RULE", "1h", 5);
    ask("COMP-BUDGET-001", "91d", 64);
    ask("COMP-BUDGET-001", "soon", 64);
    let waiver = ask("COMP-BUDGET-001", "1h", 0);
    writ(&place, &["apply", "-f", file], 3);
    writ(&place, &["waiver", "grant", &waiver, "-m", "x"], 4);
    writ(&place, &["waiver", "grant", &waiver, "-m", "x", "--as", "reviewer"], 0);
    writ(&place, &["waiver", "grant", &waiver, "-m", "x", "--as", "reviewer"], 3);
    let listed = writ(&place, &["waiver", "list"], 0);
    assert!(listed.contains("granted") && listed.contains("Zebulon's launch"), "{listed}");
    writ(&place, &["apply", "-f", file, "--wait"], 0);
    writ(&place, &["waiver", "revoke", &waiver, "-m", "x"], 0);
    writ(&place, &["apply", "-f", file], 3);
    writ(&place, &["waiver", "revoke", "wvr_nothing", "-m", "x"], 5);

    // A freeze stops what policy says it stops.
    assert!(writ(&place, &["maintenance", "begin"], 0).contains("changes are frozen"));
    writ(&place, &["maintenance", "begin", "--as", "reviewer"], 4);
    assert!(writ(&place, &["maintenance", "show"], 0).contains("changes are frozen"));
    assert!(writ(&place, &["maintenance", "end"], 0).contains("changes go through"));
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}
