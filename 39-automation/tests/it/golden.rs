//! Kinds are for ever: what was written once is read the same and written the same.

use serde_json::Value;
use writ_automation::{ApprovalEvent, DecodeError, What, decode};
use writ_core::{Actor, Event};
use writ_seal::canonical;

#[test]
fn every_kind_reads_and_writes_its_golden_bytes() {
    let mut seen = Vec::new();
    for line in include_str!("../cases/golden.jsonl").lines() {
        let (kind, bytes) = line.split_once(' ').unwrap();
        let body: Value = serde_json::from_str(bytes).unwrap();
        let event = decode(kind, &body).unwrap();
        let draft = event.draft(&Actor::system("pipeline"));
        assert_eq!(draft.kind, kind);
        assert_eq!(String::from_utf8(canonical(&draft.body).unwrap()).unwrap(), bytes);
        assert!(draft.stream.starts_with("run/run_"));
        seen.push(draft.kind);
    }
    for kind in What::KINDS {
        assert!(seen.contains(kind), "`{kind}` has no golden bytes");
    }
}

#[test]
fn an_unknown_kind_and_a_foreign_field_are_refused() {
    let line = include_str!("../cases/golden.jsonl").lines().next().unwrap();
    let (kind, bytes) = line.split_once(' ').unwrap();
    let mut body: Value = serde_json::from_str(bytes).unwrap();
    assert!(matches!(decode("run.submitted/9", &body), Err(DecodeError::Kind { .. })));
    body["more"] = Value::Bool(true);
    assert!(matches!(decode(kind, &body), Err(DecodeError::Body { .. })));
}

#[test]
fn every_kind_of_approval_reads_and_writes_its_golden_bytes() {
    let mut seen = Vec::new();
    for line in include_str!("../cases/golden_approvals.jsonl").lines() {
        let (kind, bytes) = line.split_once(' ').unwrap();
        let body: Value = serde_json::from_str(bytes).unwrap();
        let draft = ApprovalEvent::decode(kind, &body).unwrap().draft(&Actor::system("pipeline"));
        assert_eq!((draft.kind, draft.stream.as_str()), (kind, "approval/apr_1"));
        assert_eq!(String::from_utf8(canonical(&draft.body).unwrap()).unwrap(), bytes);
        seen.push(draft.kind);
    }
    for kind in ApprovalEvent::KINDS {
        assert!(seen.contains(kind), "`{kind}` has no golden bytes");
    }
    let body = serde_json::json!({"approval_id": "apr_1", "at": "2026-11-21T10:00:00Z", "more": 1});
    assert!(matches!(ApprovalEvent::decode("approval.used/1", &body), Err(DecodeError::Body { .. })));
    assert!(matches!(ApprovalEvent::decode("approval.used/2", &body), Err(DecodeError::Kind { .. })));
}
