//! What is only recorded goes further once people judged it, in the terminal.

use crate::journey::{SOON, writ};
use crate::program;
use crate::server::{address, raw};
use serde_json::Value;
use std::fs;
use writ_bench::{Place, Signal, kill, wait_until};

#[test]
fn what_was_only_recorded_is_judged_cited_and_then_healed_and_taken_back() {
    let place = Place::new(program()).unwrap();
    let promotion = "mode: shadow\n    promotion: { judged_right: 1 }";
    place.edit("platform.yaml", "mode: auto", promotion).unwrap();
    let mut dev = place.dev(&[]).unwrap();
    dev.until_up().unwrap();
    let before = place.alive();
    kill(before["i-2"], Signal::KILL);
    let shadows = || place.writ(&["incident", "shadows", "-o", "json"]).unwrap().json();
    let of_i2 = || {
        let all = shadows();
        let about = |one: &&Value| one.pointer("/remedy/targets/0/instance") == Some(&Value::from("i-2"));
        all.as_array().unwrap().iter().find(about).cloned()
    };
    wait_until(SOON, || of_i2().is_some()).expect("it is recorded what would have been done");
    let decision = of_i2().unwrap();
    let (id, incident) = (decision["decision"].as_str().unwrap(), decision["incident"].as_str().unwrap());
    assert!(!place.alive().contains_key("i-2"), "nothing is done about it");

    let auto = ["incident", "mode", "web-service-001", "restart_instance", "auto", "-m", "it was right"];
    let cited = [&auto[..], &["--cite", id]].concat();
    let refused = writ(&place, &auto, 3);
    assert!(refused.contains("no shadow decision is cited"), "{refused}");
    let refused = writ(&place, &cited, 3);
    assert!(refused.contains("was judged by nobody"), "{refused}");
    writ(&place, &["incident", "judge", incident, "--reason", "x"], 64);
    writ(&place, &["incident", "judge", incident, "--right", "--wrong", "--reason", "x"], 64);
    writ(&place, &["incident", "judge", "inc_01m7znjwjxsxdw0zwmr5z97yce", "--right", "--reason", "x"], 5);
    let judged = writ(&place, &["incident", "judge", incident, "--right", "--reason", "it was down"], 0);
    assert!(judged.contains(&format!("{id} is judged right")), "{judged}");
    let listed = writ(&place, &["incident", "shadows", "--opinion", "right"], 0);
    assert!(listed.contains("it was down") && listed.contains(id), "{listed}");
    let why = writ(&place, &["why", incident], 0);
    assert!(why.contains("restart_instance would have been right") && why.contains("“it was down”"), "{why}");

    writ(&place, &cited, 0);
    let healed = || place.alive().get("i-2").is_some_and(|pid| *pid != before["i-2"]);
    wait_until(SOON, healed).expect("what was only recorded is done now");
    let modes = || writ(&place, &["incident", "modes"], 0);
    let line = || modes().lines().find(|line| line.contains("restart_instance")).unwrap().to_owned();
    assert!(line().contains("auto") && line().contains("change"), "{}", modes());
    let why = writ(&place, &["why", incident], 0);
    assert!(why.contains("restart_instance from shadow to auto"), "{why}");

    // Who looked before it was set is told so, and who looks now takes it back.
    let tag = || {
        let all = place.writ(&["incident", "modes", "-o", "json"]).unwrap().json();
        let one = all.as_array().unwrap().iter().find(|one| one["action"] == "restart_instance").unwrap().clone();
        one["etag"].as_str().unwrap().to_owned()
    };
    let (token, body) =
        (fs::read_to_string(place.state().join("tokens/operator")).unwrap(), r#"{"mode":"shadow","reason":"odd"}"#);
    let back = |tag: &str| {
        let request = format!(
            "POST /api/v1/modes/web-service-001/restart_instance HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             if-match: {tag}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            token.trim(),
            body.len()
        );
        raw(address(&place), &request)
    };
    let seen = tag();
    for (tag, status) in [("\"0\"", "412"), (seen.as_str(), "200"), (seen.as_str(), "412")] {
        let said = back(tag);
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{tag}: {said}");
    }
    assert!(line().contains("shadow"), "{}", modes());
    let refused = writ(&place, &cited, 3);
    assert!(refused.contains("from before the action was last taken back"), "{refused}");
    assert_eq!(dev.end(), Some(0));
}
