//! Rows of the specification that only the whole product can show.

use crate::journey::up;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use writ_bench::{Place, Signal, kill, wait_until};

const SOON: Duration = Duration::from_secs(20);

/// All entries, oldest first.
fn entries(place: &Place) -> Vec<Value> {
    let said = place.writ(&["audit", "query", "--oldest-first", "--limit", "1000", "-o", "json"]).unwrap();
    said.json().as_array().unwrap().clone()
}

fn text<'a>(entry: &'a Value, pointer: &str) -> &'a str {
    entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// 2-09: `audit_trail{trace_id, events[]{event_id, timestamp, actor, action, resource, outcome}}`.
#[test]
fn row_2_09_the_audit_trail_says_who_did_what_to_what_and_what_came_of_it_and_misses_nothing() {
    let (place, dev) = up(&[]);
    kill(place.alive()["i-1"], Signal::KILL);
    let resolved = || entries(&place).iter().any(|entry| text(entry, "/kind") == "incident.resolved/1");
    wait_until(SOON, resolved).expect("the incident is resolved");

    let all = entries(&place);
    let outcomes = ["started", "success", "failure", "denied", "skipped", "unknown"];
    let mut events = BTreeSet::new();
    let mut last = "";
    for (at, entry) in all.iter().enumerate() {
        assert_eq!(entry["seq"], at, "no entry is missing");
        assert!(events.insert(text(entry, "/event_id")), "an event id comes twice: {entry:#}");
        assert!(text(entry, "/timestamp") >= last, "time steps back: {entry:#}");
        last = text(entry, "/timestamp");
        assert!(["human", "agent", "system"].contains(&text(entry, "/actor/kind")), "{entry:#}");
        for field in ["/actor/id", "/action", "/resource"] {
            assert!(!text(entry, field).is_empty(), "{field} of {entry:#}");
        }
        assert!(outcomes.contains(&text(entry, "/outcome")), "{entry:#}");
    }
    // Each trace counts its entries without a gap, so that one missing from an answer is noticed.
    let traces: BTreeSet<&str> = all.iter().map(|entry| text(entry, "/trace_id")).collect();
    for trace in traces {
        let said = place.writ(&["audit", "query", "--trace", trace, "--oldest-first", "-o", "json"]).unwrap().json();
        let numbers: Vec<u64> =
            said.as_array().unwrap().iter().map(|entry| entry["trace_seq"].as_u64().unwrap()).collect();
        let first = numbers[0];
        assert_eq!(numbers, (first..first + numbers.len() as u64).collect::<Vec<_>>(), "trace {trace}");
        assert!(first <= 1, "trace {trace} begins with {first}");
    }
    // The query's filters each find what they say, and nothing else.
    for (flag, value, field) in [
        ("--actor", "agent:provisioning-agent-001", "/actor/id"),
        ("--action", "deploy_instances", "/action"),
        ("--resource", "web-service-001/i-1", "/resource"),
        ("--outcome", "started", "/outcome"),
        ("--kind", "run.step_started/1", "/kind"),
    ] {
        let said =
            place.writ(&["audit", "query", flag, value, "--oldest-first", "--limit", "1000", "-o", "json"]).unwrap();
        let found: Vec<u64> =
            said.json().as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
        let plain = value.trim_start_matches("agent:");
        let expected =
            all.iter().filter(|entry| text(entry, field) == plain).map(|entry| entry["seq"].as_u64().unwrap());
        assert_eq!(found, expected.collect::<Vec<_>>(), "{flag} {value}");
        assert!(!found.is_empty(), "{flag} {value}");
    }
    assert_eq!(dev.end(), Some(0));
}

/// 2-13: intent → policy → contracts → agents → automation, and every layer writes the audit trail.
#[test]
fn row_2_13_a_submission_goes_through_the_layers_in_their_order_and_each_writes_it_down() {
    let (place, dev) = up(&[]);
    let all = entries(&place);
    let trace = all.iter().find(|entry| text(entry, "/kind") == "intent.submitted/1").unwrap();
    let trace = text(trace, "/trace_id");
    let kinds: Vec<&str> =
        all.iter().filter(|entry| text(entry, "/trace_id") == trace).map(|entry| text(entry, "/kind")).collect();
    let order = [
        "intent.submitted/1",
        "policy.decided/1",
        "intent.translated/1",
        "contract.verified/1",
        "run.submitted/1",
        "run.step_started/1",
        "run.step_succeeded/1",
        "run.succeeded/1",
    ];
    let places: Vec<usize> = order
        .iter()
        .map(|kind| kinds.iter().position(|found| found == kind).unwrap_or_else(|| panic!("{kind} in {kinds:?}")))
        .collect();
    assert!(places.is_sorted(), "{places:?} in {kinds:?}");

    // Agents act, each within what it holds: the steps are theirs, and their enrolment stands before.
    let started: BTreeSet<&str> = all
        .iter()
        .filter(|entry| text(entry, "/kind") == "run.step_started/1")
        .map(|entry| text(entry, "/actor/id"))
        .collect();
    assert!(started.contains("provisioning-agent-001"), "{started:?}");
    let enrolled = |agent: &str| {
        all.iter().any(|entry| text(entry, "/kind") == "agent.enrolled/1" && text(entry, "/resource").contains(agent))
    };
    assert!(started.iter().all(|agent| enrolled(agent)), "{started:?}");

    // Every layer writes the same trail: what monitoring, healing and feedback conclude is in it too.
    kill(place.alive()["i-1"], Signal::KILL);
    let wrote = |layer: &str| entries(&place).iter().any(|entry| text(entry, "/kind").starts_with(layer));
    for layer in ["incident.resolved/", "telemetry.window/"] {
        wait_until(SOON, || wrote(layer)).unwrap_or_else(|| panic!("no `{layer}` in the journal"));
    }
    assert_eq!(place.writ(&["recommend", "collect", "--period", "60s"]).unwrap().code, Some(0));
    let layers =
        ["audit", "policy", "contract", "agent", "intent", "run", "approval", "telemetry", "incident", "feedback"];
    for layer in layers {
        assert!(wrote(&format!("{layer}.")), "`{layer}` writes nothing");
    }
    assert_eq!(dev.end(), Some(0));
}
