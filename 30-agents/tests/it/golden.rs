//! Kinds are for ever: what was written once is read the same and written the same.

use serde_json::Value;
use writ_agents::*;
use writ_core::*;
use writ_seal::canonical;

#[test]
fn every_kind_reads_and_writes_its_golden_bytes() {
    let text = include_str!("../cases/golden.jsonl");
    let mut seen = Vec::new();
    for line in text.lines() {
        let (kind, bytes) = line.split_once(' ').unwrap();
        let body: Value = serde_json::from_str(bytes).unwrap();
        let actor = Actor::system("agents");
        let draft = match decode(kind, &body).unwrap() {
            Decoded::Agent(event) => event.draft(&actor),
            Decoded::KillSwitch(event) => event.draft(&actor),
        };
        assert_eq!(draft.kind, kind);
        assert_eq!(String::from_utf8(canonical(&draft.body).unwrap()).unwrap(), bytes);
        seen.push(draft.kind);
    }
    for kind in KINDS {
        assert!(seen.contains(kind), "`{kind}` has no golden bytes");
    }
}

#[test]
fn an_unknown_kind_and_a_foreign_field_are_refused() {
    assert!(matches!(
        decode("agent.enrolled/2", &serde_json::json!({})),
        Err(DecodeError::Kind { .. }) | Err(DecodeError::Body { .. })
    ));
    let line = include_str!("../cases/golden.jsonl").lines().next().unwrap();
    let (kind, bytes) = line.split_once(' ').unwrap();
    let mut body: Value = serde_json::from_str(bytes).unwrap();
    body["more"] = Value::Bool(true);
    assert!(matches!(decode(kind, &body), Err(DecodeError::Body { .. })));
}
