//! What the program of the commit before has left is taken over by this one, with nothing lost.

use crate::journey::{SOON, writ};
use crate::program;
use crate::server::raw;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{env, fs, thread};
use writ_bench::{Dev, Place, wait_until};

const RUNS: usize = 1_000;
/// How many ask at once, so that their entries share commits.
const ASKERS: usize = 8;
/// How many were agreed to before, and wait for whoever asked to carry them out.
const AGREED: usize = 20;

/// A checkout of the commit before with its program in it, as `writ`; none when it is not here.
fn previous() -> Option<PathBuf> {
    let named = env::var_os("WRIT_TEST_PREVIOUS").map(PathBuf::from);
    match named.filter(|dir| dir.join("writ").is_file()) {
        Some(dir) => Some(dir),
        None if env::var_os("WRIT_TEST_PREVIOUS").is_some_and(|named| named == "none") => {
            println!("skipped: there is no commit before this one");
            None
        }
        None => {
            assert!(env::var_os("WRIT_REQUIRE_REAL").is_none(), "the program of the commit before is missing");
            println!("skipped: WRIT_TEST_PREVIOUS names no checkout of the commit before with its program");
            None
        }
    }
}

/// Asks by HTTP, and answers what came of it.
pub(crate) fn post(place: &Place, who: &str, path: &str, body: &str) -> Value {
    let (address, _) = place.door().unwrap();
    let token = fs::read_to_string(place.state().join("tokens").join(who)).unwrap();
    let answer = raw(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: writ\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            token.trim(),
            body.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

fn ask(place: &Place, number: usize) -> String {
    let body = format!(r#"{{"command":["true","{number}"],"directory":"/","reason":"to be taken over"}}"#);
    post(place, "operator", "/api/v1/actions", &body)["run"].as_str().unwrap().to_owned()
}

fn up(place: &Place) -> Dev {
    let mut dev = place.dev_with(&["--keep"], &[("WRIT_LIMITS_WRITES_PER_MINUTE", "1000000")]).unwrap();
    dev.until_up().unwrap();
    dev
}

/// Every command that was asked for, each with what happened to it last.
fn live(place: &Place) -> BTreeSet<(String, String)> {
    let runs = place.list("runs").unwrap();
    let commands = runs.iter().filter(|run| run["context"]["origin"] == "exec");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    commands.map(|run| (text(&run["id"]), text(&run["last"]["kind"]))).collect()
}

/// Who wants something in the environment `staging` waits for a person.
const SIGNED: &str = "
rules:
  - id: TEST-SIGN-001
    stage: plan
    rule: intent.environment != 'staging'
    enforcement: require_approval
    approval: { count: 1, role: approver }
    severity: medium
    message: Somebody signs for staging
";

/// An intent whose run waits for people.
fn ask_for_an_intent(place: &Place) -> String {
    let text = fs::read_to_string(place.files().join("intent.yaml")).unwrap().replace("DEPLOY-WEB-001", "OTHER-001");
    let target = "intent:\n  target: { environment: staging, component: other-service }\n";
    let body = json!({"name": "intent.yaml", "text": text.replacen("intent:\n", target, 1)});
    run_of(&post(place, "operator", "/api/v1/intents", &body.to_string()))
}

fn run_of(told: &Value) -> String {
    let run = told["run"].as_str();
    assert!(run.is_some(), "{told}");
    run.unwrap().to_owned()
}

/// Pulls the switch of an action, or lets go of it.
fn switch(place: &Place, action: &str, pulled: bool) {
    let body = json!({"scope": {"scope": "action", "action": action}, "pulled": pulled});
    post(place, "operator", "/api/v1/kill-switch", &body.to_string());
}

/// A playbook that has restarted each instance and may not add another one yet.
fn run_a_playbook_halfway(place: &Place) -> String {
    switch(place, "scale_out", true);
    let body = json!({"arguments": {"component": "web-service-001", "count": 4}, "reason": "to be taken over"});
    let run = run_of(&post(place, "operator", "/api/v1/playbooks/refresh-web/run", &body.to_string()));
    assert!(wait_until(SOON, || steps(place, &run) == ["held", "succeeded", "succeeded", "succeeded"]).is_some());
    run
}

fn execution(place: &Place, run: &str) -> Value {
    place.api(&format!("/api/v1/runs/{run}/execution")).unwrap()
}

/// The states of a run's steps, in alphabetical order.
fn steps(place: &Place, run: &str) -> Vec<String> {
    let now = execution(place, run);
    let state = |step: &Value| step["state"].as_str().unwrap().to_owned();
    let mut states: Vec<String> = now["steps"].as_array().unwrap().iter().map(state).collect();
    states.sort();
    states
}

/// How often each slot's process was begun until now.
fn starts(place: &Place) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    place.starts().into_iter().for_each(|start| *counted.entry(start.slot).or_default() += 1);
    counted
}

#[test]
fn a_thousand_live_runs_of_the_commit_before_are_taken_over() {
    let Some(previous) = previous() else { return };
    let mut place = Place::of(&previous.join("writ"), &previous.join("examples/deploy-web-001")).unwrap();
    fs::write(place.files().join("policies/signed.yaml"), SIGNED).unwrap();
    let dev = up(&place);
    let (intent, playbook) = (ask_for_an_intent(&place), run_a_playbook_halfway(&place));
    let mut asked: Vec<String> = thread::scope(|scope| {
        let place = &place;
        let part = |asker: usize| scope.spawn(move || (asker..RUNS).step_by(ASKERS).map(|n| ask(place, n)).collect());
        let parts: Vec<thread::ScopedJoinHandle<'_, Vec<String>>> = (0..ASKERS).map(part).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    asked.sort();
    assert_eq!(asked.len(), RUNS);
    let approvals = |place: &Place, run: &str| execution(place, run)["approval"].as_str().unwrap().to_owned();
    let agree = |place: &Place, run: &str| {
        let approval = approvals(place, run);
        post(place, "reviewer", &format!("/api/v1/approvals/{approval}/approve"), r#"{"reason":"looked at"}"#);
    };
    asked[..AGREED].iter().for_each(|run| agree(&place, run));
    assert!(wait_until(SOON, || live(&place).len() == RUNS).is_some(), "{}", dev.said());
    let (before, served, begun) = (live(&place), place.alive(), starts(&place));
    dev.crash();

    place.upgrade(program());
    let dev = up(&place);
    let lost = |now: &BTreeSet<(String, String)>| before.difference(now).take(3).cloned().collect::<Vec<_>>();
    let now = live(&place);
    assert_eq!(lost(&now), [], "{}", dev.said());
    let figure = place.page("/metrics").unwrap();
    let counted = figure.lines().find_map(|line| line.strip_prefix("writ_runs_live ")).unwrap_or("none").to_owned();
    assert_eq!(counted, (RUNS + 2).to_string(), "each of them is live, not only listed");
    assert_eq!((place.alive(), starts(&place)), (served, begun.clone()), "what runs was not touched");
    // They hear as they did: what waits for people takes their answer, and what was agreed to can be ended.
    let (waits, agreed) = (&asked[AGREED], &asked[0]);
    agree(&place, waits);
    for run in [waits, agreed] {
        post(&place, "operator", &format!("/api/v1/runs/{run}/cancel"), "{}");
    }
    assert!(
        wait_until(SOON, || {
            let over = |run: &String| execution(&place, run)["over"] == true;
            over(waits) && over(agreed)
        })
        .is_some()
    );
    // What was midway goes on where it stood, and what waited for a person begins with their answer.
    let succeeds = |run: &str| wait_until(SOON, || execution(&place, run)["state"] == "succeeded").is_some();
    switch(&place, "scale_out", false);
    assert!(succeeds(&playbook), "{}", execution(&place, &playbook));
    let added: Vec<_> = starts(&place).into_iter().filter(|(slot, count)| begun.get(slot) != Some(count)).collect();
    assert_eq!(added, [("i-4".to_owned(), 1)], "what was done is not done again");
    agree(&place, &intent);
    assert!(succeeds(&intent), "{}", execution(&place, &intent));
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}
