//! Kinds are for ever: these bytes must always be read as these events, and written so.

use writ_core::{Actor, Event};
use writ_self_healing::{DecodeError, decode};

/// One of each kind. A line is never changed; a new version of a kind adds one.
const GOLDEN: &str = include_str!("../golden/events.ndjson");

#[test]
fn every_kind_is_read_and_written_as_it_always_was() {
    let mut kinds = std::collections::BTreeSet::new();
    for line in GOLDEN.lines() {
        let (kind, body) = line.split_once(' ').unwrap();
        let value = serde_json::from_str(body).unwrap();
        let event = decode(kind, &value).unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        let draft = event.draft(&Actor::system("self-healing"));
        assert_eq!((draft.kind, serde_json::to_string(&draft.body).unwrap().as_str()), (kind, body));
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 25, "{kinds:?}");
}

#[test]
fn another_layers_kind_and_a_broken_body_are_refused() {
    let nothing = serde_json::json!({});
    assert!(matches!(decode("run.started/1", &nothing), Err(DecodeError::Kind { .. })));
    assert!(matches!(decode("incident.opened/1", &nothing), Err(DecodeError::Body { .. })));
}
