//! From an intent to a service that heals, is explained and is proved; and what is refused on the way.

use crate::{program, same};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;
use writ_bench::{Dev, Place, Signal, get, kill, wait_until};

pub(crate) const SOON: Duration = Duration::from_secs(15);

/// A place with a `dev` whose intent stands.
pub(crate) fn up(args: &[&str]) -> (Place, Dev) {
    let place = Place::new(program()).unwrap();
    let mut dev = place.dev(args).unwrap();
    dev.until_up().unwrap();
    (place, dev)
}

/// The names of the instances that answered so many requests through the balancer, all with 200.
fn answered_by(place: &Place, requests: usize) -> BTreeSet<String> {
    let balancer = place.balancer().unwrap();
    let name = |_| {
        let (status, body) = get(balancer, "/").unwrap();
        assert_eq!(status, 200, "{body}");
        body.split(' ').next().unwrap().to_owned()
    };
    (0..requests).map(name).collect()
}

fn instances() -> BTreeSet<String> {
    BTreeSet::from(["i-1", "i-2", "i-3"].map(str::to_owned))
}

/// Runs a command and holds its exit code against what it should be.
#[track_caller]
pub(crate) fn writ(place: &Place, args: &[&str], code: i32) -> String {
    let said = place.writ(args).unwrap();
    assert_eq!(said.code, Some(code), "{args:?}\nout: {}\nerr: {}", said.out, said.err);
    assert!(!said.err.contains("panicked"), "{args:?}: {}", said.err);
    said.out + &said.err
}

#[test]
fn an_instance_that_is_killed_is_replaced_and_everything_about_it_is_proved() {
    let (place, dev) = up(&[]);
    assert_eq!(answered_by(&place, 60), instances());

    // One dies, and requests go on being answered while it is replaced.
    let before = place.alive();
    kill(before["i-2"], Signal::KILL);
    let resolved = || {
        answered_by(&place, 1);
        let incidents = place.list("incidents").unwrap();
        incidents.len() == 1 && incidents[0].pointer("/last/kind") == Some(&Value::from("incident.resolved/1"))
    };
    wait_until(SOON, resolved).expect("the incident is resolved");
    let after = place.alive();
    assert_eq!(after.keys().collect::<Vec<_>>(), ["i-1", "i-2", "i-3", "lb"]);
    assert_ne!(after["i-2"], before["i-2"]);
    assert_eq!((after["i-1"], after["i-3"], after["lb"]), (before["i-1"], before["i-3"], before["lb"]));
    wait_until(SOON, || answered_by(&place, 20) == instances()).expect("all three are in the balancer");

    // Why, from the journal.
    let why = writ(&place, &["why", "last"], 0);
    for part in ["incident inc_", "health_status = failed: process ended, signal 9", "resolve incident", "verified"] {
        assert!(why.contains(part), "{part} in {why}");
    }
    let incident = place.list("incidents").unwrap()[0]["id"].as_str().unwrap().to_owned();
    let remedies = ["audit", "query", "--action", "restart_instance", "-o", "json"];
    let entries = place.writ(&remedies).unwrap().json();
    let seen: Vec<&str> = entries.as_array().unwrap().iter().map(|entry| entry["outcome"].as_str().unwrap()).collect();
    assert_eq!(seen, ["success", "started"], "{entries:#}");
    assert_eq!(entries[0]["actor"]["id"], "self-healing-agent-001");
    assert_eq!(entries[0]["resource"], "web-service-001/i-2");

    proved(&place, &incident);
    assert_eq!(dev.end(), Some(0));
    assert!(place.processes().is_empty(), "{:?}", place.processes());
}

/// The journal verifies, offline too; and whatever is changed in what was taken out of it is noticed.
fn proved(place: &Place, incident: &str) {
    assert!(writ(place, &["audit", "verify"], 0).contains("holds"));
    let again = writ(place, &["audit", "verify"], 0);
    assert!(again.contains("this client's last checkpoint"), "{again}");

    let dir = place.path("export");
    let dir_text = dir.to_str().unwrap();
    writ(place, &["audit", "export", dir_text], 0);
    writ(place, &["audit", "verify", "--file", dir_text], 0);
    let tiles = dir.join("tile/entries/000.p");
    let tile = fs::read_dir(&tiles).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&tile).unwrap();
    let (seq, at) = inside(&bytes, b"create_load_balancer");
    let mut changed = bytes.clone();
    changed[at] ^= 1;
    fs::write(&tile, changed).unwrap();
    let refused = writ(place, &["audit", "verify", "--file", dir_text], 8);
    assert!(refused.contains(&format!("entry {seq}")), "entry {seq} in {refused}");
    fs::write(&tile, bytes).unwrap();
    writ(place, &["audit", "verify", "--file", dir_text], 0);

    let file = place.path("e.json");
    let file_text = file.to_str().unwrap();
    writ(place, &["audit", "evidence", incident, "--out", file_text], 0);
    assert!(writ(place, &["verify", file_text], 0).contains("holds"));
    let text = fs::read_to_string(&file).unwrap();
    let at = text.find("\"entries\"").unwrap();
    let at = at + text[at..].find("eyJ").map_or_else(|| text[at..].find("restart").unwrap(), |found| found + 40);
    let mut bytes = text.into_bytes();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    fs::write(&file, bytes).unwrap();
    writ(place, &["verify", file_text], 8);
}

/// The number of the entry of an entry bundle that holds a text, and where the text begins.
fn inside(bundle: &[u8], wanted: &[u8]) -> (usize, usize) {
    let (mut seq, mut at) = (0, 0);
    loop {
        let length = usize::from(u16::from_be_bytes([bundle[at], bundle[at + 1]]));
        let entry = &bundle[at + 2..at + 2 + length];
        if let Some(found) = entry.windows(wanted.len()).position(|part| part == wanted) {
            return (seq, at + 2 + found);
        }
        (seq, at) = (seq + 1, at + 2 + length);
    }
}

#[test]
fn what_is_not_allowed_not_possible_not_known_or_not_current_is_refused_with_the_way_out() {
    let (place, dev) = up(&[]);
    let manifest = place.files().join("intent.yaml");
    let file = manifest.to_str().unwrap();

    // Infeasible, because of what it may cost; and denied by a rule.
    place.edit("intent.yaml", "$500/month", "$50/month").unwrap();
    let refused = writ(&place, &["apply", "-f", file], 3);
    for part in
        ["nothing holds everything", "cannot hold together: `min_instances`, `budget`", "would do: `budget` $107.53"]
    {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    assert_eq!(same(&refused), same(&writ(&place, &["plan", "-f", file], 3)));
    writ(&place, &["validate", "-f", file], 3);
    place.edit("intent.yaml", "$50/month", "$50000/month").unwrap();
    let refused = writ(&place, &["apply", "-f", file], 3);
    assert!(refused.contains("COMP-BUDGET-001"), "{refused}");
    assert!(refused.contains("intent.yaml:16:"), "the place in the manifest: {refused}");
    assert!(refused.contains("compliance-policies.yaml:"), "the place of the rule: {refused}");
    place.edit("intent.yaml", "$50000/month", "$500/month").unwrap();
    assert_eq!(place.list("runs").unwrap().len(), 1, "nothing was begun");

    // A plan that is no longer what would be done.
    let planned = place.path("plan.json");
    let planned = planned.to_str().unwrap();
    place.edit("intent.yaml", "min_instances: 3", "min_instances: 4").unwrap();
    let shown = writ(&place, &["plan", "-f", file, "--out", planned, "--detailed-exitcode"], 2);
    assert!(shown.contains("to take it back"), "{shown}");
    place.edit("intent.yaml", "min_instances: 4", "min_instances: 5").unwrap();
    assert!(writ(&place, &["apply", "-f", file, "--plan", planned], 6).contains("plan again"));
    place.edit("intent.yaml", "min_instances: 5", "min_instances: 4").unwrap();
    writ(&place, &["apply", "-f", file, "--plan", planned, "--wait"], 0);
    assert!(place.alive().contains_key("i-4"), "{:?}", place.alive());
    assert!(writ(&place, &["apply", "-f", file, "--plan", planned], 6).contains("plan again"), "it was done already");

    // Unknown ids, unknown people, people without the role.
    for args in [
        &["why", "run_nothing"][..],
        &["run", "get", "run_01m7z590cqb8kc9zpw56v08vx6"],
        &["incident", "get", "inc_01m7z590cqb8kc9zpw56v08vx6"],
        &["intent", "history", "NO-SUCH"],
        &["audit", "evidence", "run_01m7z590cqb8kc9zpw56v08vx6"],
        &["approve", "apr_01m7z590cqb8kc9zpw56v08vx6", "-m", "x"],
    ] {
        writ(&place, args, 5);
    }
    writ(&place, &["run", "list", "--token", "writ_wrong"], 4);
    writ(&place, &["run", "list", "--as", "nobody"], 4);
    writ(&place, &["apply", "-f", file, "--as", "reviewer"], 4);
    writ(&place, &["agent", "kill", "--all", "--as", "reviewer"], 4);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn while_the_kill_switch_is_pulled_steps_wait_and_say_why() {
    let (place, dev) = up(&[]);
    let manifest = place.files().join("intent.yaml");
    let file = manifest.to_str().unwrap();
    writ(&place, &["agent", "kill", "--all"], 0);
    place.edit("intent.yaml", "min_instances: 3", "min_instances: 4").unwrap();
    let accepted = place.writ(&["apply", "-f", file, "-o", "json"]).unwrap();
    let run = accepted.json()["run"].as_str().unwrap().to_owned();
    let waits = || {
        let shown = writ(&place, &["run", "get", &run], 0);
        shown.contains("kill switch")
    };
    wait_until(SOON, waits).unwrap_or_else(|| panic!("{}", writ(&place, &["run", "get", &run], 0)));
    assert!(!place.alive().contains_key("i-4"));

    // Healing, too, does nothing on its own while it is pulled; the others go on serving.
    kill(place.alive()["i-1"], Signal::KILL);
    std::thread::sleep(Duration::from_secs(1));
    assert!(!place.alive().contains_key("i-1"));
    assert_eq!(answered_by(&place, 30), BTreeSet::from(["i-2", "i-3"].map(str::to_owned)));

    writ(&place, &["agent", "release", "--all"], 0);
    writ(&place, &["run", "watch", &run], 0);
    wait_until(SOON, || place.alive().len() == 5).unwrap_or_else(|| panic!("{:?}\n{}", place.alive(), dev.said()));
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn what_is_kept_serves_on_and_the_next_dev_takes_it_up_again() {
    let (place, mut dev) = up(&["--keep"]);
    let before = place.alive();
    let target = format!("http://{}/", place.balancer().unwrap());
    let load = ["load", "--target", &target, "--rate", "100", "--until-stdin-closes"];
    let mut load = std::process::Command::new(program())
        .args(load)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();

    dev.signal(Signal::INT);
    assert_eq!(dev.wait().unwrap().code(), Some(130));
    assert_eq!(place.alive(), before);
    assert!(writ(&place, &["run", "list"], 1).contains("no writ is running here"));
    // One dies while nobody looks; the next `dev` notices.
    kill(before["i-3"], Signal::KILL);
    std::thread::sleep(Duration::from_millis(300));
    let mut again = place.dev(&[]).unwrap();
    again.until_up().unwrap();
    wait_until(SOON, || place.alive().len() == 4).unwrap_or_else(|| panic!("{}", again.said()));
    let after = place.alive();
    for slot in ["i-1", "i-2", "lb"] {
        assert_eq!(after[slot], before[slot], "{slot}");
    }
    wait_until(SOON, || answered_by(&place, 20) == instances()).expect("all three are in the balancer");

    drop(load.stdin.take());
    let output = load.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["failed"], 0, "{report:#}");
    assert!(report["ok"].as_u64().unwrap() > 50, "{report:#}");

    writ(&place, &["audit", "verify"], 0);
    again.signal(Signal::INT);
    assert_eq!(again.wait().unwrap().code(), Some(130));
    assert!(place.processes().is_empty(), "{:?}", place.processes());
}

#[test]
fn after_a_power_cut_everything_comes_up_again_and_nobody_is_asked() {
    let (place, dev) = up(&[]);
    dev.crash();
    for pid in place.processes().into_keys() {
        kill(pid, Signal::KILL);
    }
    let mut dev = place.dev(&[]).unwrap();
    dev.until_up().unwrap();
    assert_eq!(place.alive().len(), 4, "{}", dev.said());
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_world_that_was_lost_is_not_taken_for_one_that_is_well() {
    let (place, dev) = up(&[]);
    assert_eq!(dev.end(), Some(0));
    assert!(place.alive().is_empty(), "what dev started ends with it");
    // Nobody submits anything: what is in force is brought back because it is watched.
    let mut dev = place.dev(&["--no-submit"]).unwrap();
    dev.until(&["why last, "], Duration::from_secs(30)).unwrap();
    let back = wait_until(Duration::from_secs(60), || place.alive().len() == 4 && place.healthy().len() == 3);
    assert!(back.is_some(), "{:?} {}", place.alive(), dev.said());
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_change_that_waits_for_people_does_not_end_what_runs() {
    let (place, dev) = up(&["--keep"]);
    dev.crash();
    let served = place.alive();
    let big = "  workload:\n    memory_per_instance: '6GiB'\n";
    let path = place.files().join("intent.yaml");
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap().trim_end().to_owned() + "\n" + big).unwrap();
    let mut dev = place.dev(&[]).unwrap();
    dev.until(&[" approval list"], Duration::from_secs(30)).unwrap();
    dev.until(&["why last, "], Duration::from_secs(10)).unwrap();
    assert_eq!(place.alive(), served, "{}", dev.said());
    let asked = |one: &Value| one.pointer("/last/kind") == Some(&Value::from("approval.asked/1"));
    assert!(place.list("approvals").unwrap().iter().any(asked), "it can be answered: {}", dev.said());
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_balancer_that_is_killed_is_restored_and_one_that_dies_with_an_instance_before_it() {
    let (place, dev) = up(&[]);
    let before = place.alive();
    let resolved = |incident: &Value| incident.pointer("/last/kind") == Some(&Value::from("incident.resolved/1"));
    for (dies, incidents) in [(vec!["lb"], 1), (vec!["lb", "i-2"], 3)] {
        let there = place.alive();
        dies.iter().for_each(|name| kill(there[*name], Signal::KILL));
        let back = wait_until(Duration::from_secs(20), || {
            let alive = place.alive();
            dies.iter().all(|name| alive.get(*name).is_some_and(|pid| *pid != there[*name]))
                && place.healthy().len() == 3
        });
        assert!(back.is_some(), "{dies:?}: {}", dev.said());
        let over = wait_until(Duration::from_secs(20), || place.list("incidents").unwrap().iter().all(resolved));
        assert!(over.is_some(), "{dies:?}: {}", dev.said());
        assert_eq!(place.list("incidents").unwrap().len(), incidents);
    }
    assert_eq!(place.alive()["i-1"], before["i-1"], "who had nothing is left alone");
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn what_is_taken_away_is_gone_and_a_new_version_brings_it_back() {
    let (place, dev) = up(&[]);
    let leave = ["intent", "decommission", "DEPLOY-WEB-001"];
    let shown = writ(&place, &[&leave[..], &["--dry-run"]].concat(), 0);
    assert!(shown.contains("instance.remove    web-service-001/i-2"), "{shown}");
    writ(&place, &leave, 64);
    assert_eq!(place.alive().len(), 4, "looking takes nothing away");
    let said = writ(&place, &[&leave[..], &["--yes", "-m", "moved to the other site", "--wait"]].concat(), 0);
    assert!(said.contains("succeeded"), "{said}");
    assert!(place.alive().is_empty(), "{:?}", place.processes());
    assert!(wait_until(SOON, || writ(&place, &["intent", "list"], 0).contains("archived")).is_some());
    assert!(writ(&place, &[&leave[..], &["--yes", "-m", "again"]].concat(), 3).contains("is archived"));
    // Nobody misses what was taken away on purpose.
    assert_eq!(place.list("incidents").unwrap(), Vec::<Value>::new());
    // Nor does the next start bring it back by itself.
    assert_eq!(dev.end(), Some(0));
    let mut dev = place.dev(&[]).unwrap();
    dev.until_up().unwrap();
    let file = place.files().join("intent.yaml").display().to_string();
    let state = place.state().display().to_string();
    let way = format!("bring it back with `writ --state {state} apply -f {file}`");
    let said = dev.said();
    assert!(said.contains("intent DEPLOY-WEB-001 is archived: taken away at 2") && said.contains(&way), "{said}");
    assert!(writ(&place, &["intent", "list"], 0).contains("archived"));
    assert!(place.alive().is_empty(), "{:?}", place.processes());
    writ(&place, &["apply", "-f", &file, "--wait"], 0);
    assert!(wait_until(SOON, || place.alive().len() == 4).is_some(), "{}", dev.said());
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn what_was_ordered_since_is_not_undone_by_the_file_of_an_earlier_version() {
    let (place, dev) = up(&[]);
    let (file, other) = (place.files().join("intent.yaml"), place.path("four.yaml"));
    let text = fs::read_to_string(&file).unwrap().replace("min_instances: 3", "min_instances: 4");
    fs::write(&other, &text).unwrap();
    writ(&place, &["apply", "-f", other.to_str().unwrap(), "--wait"], 0);
    assert_eq!(place.alive().len(), 5, "four instances and the balancer");
    assert_eq!(dev.end(), Some(0));
    // What it asks for is what it asked for, however it is written.
    place.edit("intent.yaml", "min_instances: 3", "min_instances: 3 # looked over").unwrap();
    let mut dev = place.dev(&[]).unwrap();
    dev.until_up().unwrap();
    let said = dev.said();
    assert!(said.contains("intent DEPLOY-WEB-001 v2 is what holds") && said.contains("is v1: see"), "{said}");
    assert!(wait_until(SOON, || place.alive().len() == 5).is_some(), "{}", dev.said());
    writ(&place, &["intent", "diff", "DEPLOY-WEB-001", "1", "2"], 0);
    // A file that is no version's is a new one.
    place.edit("intent.yaml", "max_instances: 10", "max_instances: 9").unwrap();
    assert_eq!(dev.end(), Some(0));
    let mut dev = place.dev(&[]).unwrap();
    dev.until_up().unwrap();
    assert!(!dev.said().contains("is what holds"), "{}", dev.said());
    assert!(wait_until(SOON, || place.alive().len() == 4).is_some(), "{}", dev.said());
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn what_is_being_carried_out_when_dev_ends_is_not_undone_by_the_next() {
    let (place, mut dev) = up(&[]);
    let (file, other) = (place.files().join("intent.yaml"), place.path("other.yaml"));
    let text = fs::read_to_string(&file).unwrap();
    // The file is the version in force, and then the one before it.
    for (version, count) in [(2, 4), (3, 5)] {
        fs::write(&other, text.replace("min_instances: 3", &format!("min_instances: {count}"))).unwrap();
        writ(&place, &["agent", "kill", "--all"], 0);
        writ(&place, &["apply", "-f", other.to_str().unwrap()], 0);
        dev.crash();
        dev = place.dev(&[]).unwrap();
        dev.until(&["is taken up again"], SOON).unwrap();
        writ(&place, &["agent", "release", "--all"], 0);
        dev.until_up().unwrap();
        let (said, holds) = (dev.said(), format!("intent DEPLOY-WEB-001 v{version} is what holds"));
        assert!(said.contains(&holds) && said.contains("is v1: see"), "{said}");
        assert_eq!(place.alive().len(), count + 1, "the instances and the balancer: {said}");
        let history = place.api("/api/v1/intents/DEPLOY-WEB-001/history").unwrap();
        assert_eq!(history["items"].as_array().unwrap().len(), version, "{history:#}");
    }
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn an_end_of_dev_undoes_nothing_that_is_being_carried_out_unless_it_is_told_twice() {
    let (place, dev) = up(&[]);
    let (file, other) = (place.files().join("intent.yaml"), place.path("other.yaml"));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&other, text.replace("min_instances: 3", "min_instances: 5")).unwrap();
    writ(&place, &["apply", "-f", other.to_str().unwrap()], 0);
    assert_eq!(dev.end(), Some(0));
    assert!(place.processes().is_empty(), "{:?}", place.processes());
    let mut dev = place.dev(&[]).unwrap();
    dev.until_up().unwrap();
    assert!(dev.said().contains("intent DEPLOY-WEB-001 v2 is what holds"), "{}", dev.said());
    assert_eq!(place.alive().len(), 6, "five instances and the balancer: {}", dev.said());
    let history = place.api("/api/v1/intents/DEPLOY-WEB-001/history").unwrap();
    assert!(!history.to_string().contains("rolled_back"), "{history:#}");

    // What does not go on by itself holds nobody up who wants an end.
    writ(&place, &["agent", "kill", "--all"], 0);
    fs::write(&other, text.replace("min_instances: 3", "min_instances: 4")).unwrap();
    writ(&place, &["apply", "-f", other.to_str().unwrap()], 0);
    dev.signal(Signal::TERM);
    dev.until(&["comes to its end first"], SOON).unwrap();
    let twice = wait_until(SOON, || {
        dev.signal(Signal::INT);
        dev.said().contains("stopped, and everything it started")
    });
    assert!(twice.is_some(), "{}", dev.said());
    assert_eq!(dev.end(), Some(0));
    assert!(place.processes().is_empty(), "{:?}", place.processes());
}

#[test]
fn what_a_reviewer_rejected_is_not_asked_for_again_by_the_next_start() {
    let (place, dev) = up(&["--keep"]);
    let (file, other) = (place.files().join("intent.yaml"), place.path("four.yaml"));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&other, text.replace("min_instances: 3", "min_instances: 4")).unwrap();
    writ(&place, &["apply", "-f", other.to_str().unwrap(), "--wait"], 0);
    let rules = place.files().join("policies/compliance-policies.yaml");
    let signed = fs::read_to_string(&rules).unwrap().replace("plan.cost_per_month <= 1000", "plan.cost_per_month <= 1");
    fs::write(&rules, signed).unwrap();
    assert_eq!(dev.end(), Some(0));
    let dev = place.dev(&["--keep", "--no-submit"]).unwrap();
    assert!(dev.until_serving(&place, SOON).is_some(), "{}", dev.said());
    // Back to the file: that is a new version with an old text, and somebody says no to it.
    let file = file.display().to_string();
    writ(&place, &["apply", "-f", &file], 7);
    let asked = place.api("/api/v1/approvals?state=open").unwrap();
    let asked = asked["items"][0]["id"].as_str().unwrap();
    writ(&place, &["reject", asked, "--as", "reviewer", "-m", "not now"], 0);
    assert_eq!(dev.end(), Some(0));
    let mut dev = place.dev(&[]).unwrap();
    dev.until_up().unwrap();
    let said = dev.said();
    assert!(said.contains("v2 is what holds") && said.contains("is v3, which was rejected"), "{said}");
    let history = place.api("/api/v1/intents/DEPLOY-WEB-001/history").unwrap();
    assert_eq!(history["items"][0]["version"], 3, "{history:#}");
    assert_eq!(place.alive().len(), 5, "four instances and the balancer: {said}");
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn problems_of_a_version_that_came_after_the_file_are_not_told_as_the_files() {
    let (place, dev) = up(&["--keep"]);
    let (file, other) = (place.files().join("intent.yaml"), place.path("far.yaml"));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&other, text.replace("['us-west', 'us-east']", "['us-west', 'us-east', 'eu-west']")).unwrap();
    writ(&place, &["apply", "-f", other.to_str().unwrap(), "--wait"], 0);
    dev.crash();
    place.edit("platform.yaml", "aliases: [eu-west]", "aliases: [elsewhere]").unwrap();
    let mut dev = place.dev(&[]).unwrap();
    dev.until_up().unwrap();
    let said = dev.said();
    assert!(
        said.contains("v2 is what holds") && said.contains("--> DEPLOY-WEB-001 v2:") && !said.contains("intent.yaml:"),
        "{said}"
    );
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn the_same_intent_submitted_several_times_at_once_is_carried_out_once_and_whole() {
    let (place, dev) = up(&[]);
    let file = place.files().join("intent.yaml");
    for (from, to) in [("min_instances: 3", "min_instances: 4"), ("min_instances: 4", "min_instances: 5")] {
        place.edit("intent.yaml", from, to).unwrap();
        let apply = || place.command(&["apply", "-f", file.to_str().unwrap()]).spawn().unwrap();
        let all: Vec<_> = (0..4).map(|_| apply()).collect();
        let codes: Vec<Option<i32>> =
            all.into_iter().map(|child| child.wait_with_output().unwrap().status.code()).collect();
        assert!(codes.contains(&Some(0)), "{codes:?}");
        let over = || {
            let runs = place.list("runs").unwrap();
            runs.iter().all(|run| run["last"]["kind"].as_str().unwrap() != "run.started/1")
        };
        wait_until(SOON, over).expect("every run comes to its end");
    }
    let ends: BTreeSet<String> =
        place.list("runs").unwrap().iter().map(|run| run["last"]["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ends, BTreeSet::from(["run.succeeded/1".to_owned()]), "nothing was rolled back");
    assert_eq!(place.alive().len(), 6, "five instances and the balancer");
    let denied = place.writ(&["audit", "query", "--outcome", "denied", "-o", "json"]).unwrap().json();
    assert_eq!(denied.as_array().map(Vec::len), Some(0), "{denied:#}");
    assert_eq!(dev.end(), Some(0));
}
