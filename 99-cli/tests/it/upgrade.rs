//! What the program of the commit before has left is taken over by this one, with nothing lost.

use crate::journey::{SOON, writ};
use crate::program;
use crate::server::raw;
use serde_json::Value;
use std::collections::BTreeSet;
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

#[test]
fn a_thousand_live_runs_of_the_commit_before_are_taken_over() {
    let Some(previous) = previous() else { return };
    let mut place = Place::of(&previous.join("writ"), &previous.join("examples/deploy-web-001")).unwrap();
    let dev = up(&place);
    let mut asked: Vec<String> = thread::scope(|scope| {
        let place = &place;
        let part = |asker: usize| scope.spawn(move || (asker..RUNS).step_by(ASKERS).map(|n| ask(place, n)).collect());
        let parts: Vec<thread::ScopedJoinHandle<'_, Vec<String>>> = (0..ASKERS).map(part).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    asked.sort();
    assert_eq!(asked.len(), RUNS);
    let approvals = |place: &Place, run: &str| {
        let now = place.api(&format!("/api/v1/runs/{run}/execution")).unwrap();
        now["approval"].as_str().unwrap().to_owned()
    };
    let agree = |place: &Place, run: &str| {
        let approval = approvals(place, run);
        post(place, "reviewer", &format!("/api/v1/approvals/{approval}/approve"), r#"{"reason":"looked at"}"#);
    };
    asked[..AGREED].iter().for_each(|run| agree(&place, run));
    assert!(wait_until(SOON, || live(&place).len() == RUNS).is_some(), "{}", dev.said());
    let (before, served) = (live(&place), place.alive());
    dev.crash();

    place.upgrade(program());
    let dev = up(&place);
    let lost = |now: &BTreeSet<(String, String)>| before.difference(now).take(3).cloned().collect::<Vec<_>>();
    let now = live(&place);
    assert_eq!(lost(&now), [], "{}", dev.said());
    let figure = place.page("/metrics").unwrap();
    let counted = figure.lines().find_map(|line| line.strip_prefix("writ_runs_live ")).unwrap_or("none").to_owned();
    assert_eq!(counted, RUNS.to_string(), "each of them is live, not only listed");
    assert_eq!(place.alive(), served, "what runs was not touched");
    // They hear as they did: what waits for people takes their answer, and what was agreed to can be ended.
    let (waits, agreed) = (&asked[AGREED], &asked[0]);
    agree(&place, waits);
    for run in [waits, agreed] {
        post(&place, "operator", &format!("/api/v1/runs/{run}/cancel"), "{}");
    }
    assert!(
        wait_until(SOON, || {
            let over = |run: &String| place.api(&format!("/api/v1/runs/{run}/execution")).unwrap()["over"] == true;
            over(waits) && over(agreed)
        })
        .is_some()
    );
    writ(&place, &["audit", "verify"], 0);
    assert_eq!(dev.end(), Some(0));
}
