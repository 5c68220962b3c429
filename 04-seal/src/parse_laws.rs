//! Whatever is handed in as a note, a key, an envelope, a permit or an entry, reading it ends in an answer; and what is taken
//! says the same when it is written out and read again.

use crate::{Envelope, Key, NoteKey, PERMIT_TYPE, SignedNote, entry_bytes, open_permit, seal_permit, sha256};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use writ_core::{
    Actor, EffectKey, Entry, EventId, Outcome, Permit, PermitId, SealedPermit, TicketId, Timestamp, TraceId,
};

fn gate() -> Key {
    Key::from_seed("gate", &[8; 32])
}

fn permit() -> Permit {
    Permit {
        action: "instance.restart".into(),
        agent: "self-healing-agent-001".parse().unwrap(),
        agent_key: gate().public_hex(),
        decision: sha256(b"decision"),
        effect: EffectKey::of(&sha256(b"effect")),
        epoch: 3,
        expires_at: Timestamp::from_micros(2_000_000),
        id: PermitId::mint(1, [1; 10]),
        issued_at: Timestamp::from_micros(1_000_000),
        params: sha256(b"{}"),
        resource: "web-service-001/i-2".into(),
        ticket: TicketId::mint(1, [2; 10]),
    }
}

fn entry(seq: u64, text: String, body: Value) -> Entry {
    Entry {
        action: text.clone(),
        actor: Actor::system("pipeline"),
        body,
        cause: None,
        event_id: EventId::mint(seq, [3; 10]),
        kind: "run.step_started/1".into(),
        outcome: Outcome::Started,
        prev: sha256(text.as_bytes()).hex(),
        resource: text.clone(),
        seq,
        stream: format!("run/{text}"),
        timestamp: Timestamp::from_micros(1_700_000_000_000_000),
        trace_id: TraceId::of([1; 16]),
        trace_seq: seq,
        version: 1,
    }
}

/// A few bytes changed, put in, taken out, or everything behind one cut off.
fn bent(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec((any::<Index>(), any::<u8>(), 0..5_u8), 0..6).prop_map(move |edits| {
        let mut bytes = valid.clone();
        for (place, byte, how) in edits {
            let at = if bytes.is_empty() { 0 } else { place.index(bytes.len()) };
            match how {
                0 if !bytes.is_empty() => bytes[at] = byte,
                1 if !bytes.is_empty() => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, byte),
                3 if !bytes.is_empty() => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(bytes.len() / 2)),
            }
        }
        bytes
    })
}

fn any_or_bent(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![1 => proptest::collection::vec(any::<u8>(), 0..300), 4 => bent(valid)]
}

fn note() -> Vec<u8> {
    let key = Key::from_seed("writ.local/log", &[7; 32]);
    let other = Key::from_seed("writ.local/log", &[9; 32]);
    SignedNote::sign("writ.local/log\n3\nabc\n".into(), &[&key, &other]).unwrap().to_string().into_bytes()
}

/// Bodies as layers write them, and with floats and large integers, which have no canonical bytes.
fn body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(".{0,6}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_note_that_is_read_is_written_as_it_was(bytes in any_or_bent(note())) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(read) = SignedNote::parse(&text) {
            prop_assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn a_verifier_key_that_is_read_is_written_as_it_was(
        bytes in any_or_bent(NoteKey::of(&Key::from_seed("writ.local/log", &[7; 32])).to_string().into_bytes())
    ) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(read) = text.parse::<NoteKey>() {
            prop_assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn an_envelope_that_is_read_reads_back_the_same(
        bytes in any_or_bent(Envelope::sign("text/plain", b"payload", &gate()).unwrap().to_text().unwrap().into_bytes())
    ) {
        if let Ok(read) = Envelope::from_text(&String::from_utf8_lossy(&bytes)) {
            prop_assert_eq!(Envelope::from_text(&read.to_text().unwrap()), Ok(read.clone()));
            if let Ok(payload) = read.open("text/plain", &writ_core::Signer::public_key(&gate())) {
                prop_assert_eq!(payload, b"payload".to_vec());
            }
        }
    }

    #[test]
    fn a_bent_permit_is_refused_or_says_the_same(
        bytes in any_or_bent(seal_permit(&permit(), &gate()).unwrap().0.into_bytes())
    ) {
        let sealed = SealedPermit(String::from_utf8_lossy(&bytes).into_owned());
        if let Ok(read) = open_permit(&sealed, &writ_core::Signer::public_key(&gate())) {
            prop_assert_eq!(read, permit());
        }
    }

    #[test]
    fn whatever_a_gate_signs_is_a_permit_or_refused(payload in any_or_bent(serde_json::to_vec(&permit()).unwrap())) {
        let sealed = Envelope::sign(PERMIT_TYPE, &payload, &gate()).unwrap().to_text().unwrap();
        if let Ok(read) = open_permit(&SealedPermit(sealed), &writ_core::Signer::public_key(&gate())) {
            let again = seal_permit(&read, &gate()).unwrap();
            prop_assert_eq!(open_permit(&again, &writ_core::Signer::public_key(&gate())).ok(), Some(read));
        }
    }

    #[test]
    fn an_entry_is_read_back_from_its_canonical_bytes(seq in 0..1_u64 << 53, text in ".{0,20}", body in body()) {
        let entry = entry(seq, text, body);
        if let Ok(bytes) = entry_bytes(&entry) {
            let read: Entry = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(entry_bytes(&read).unwrap(), bytes);
            prop_assert_eq!(read, entry);
        }
    }

    #[test]
    fn bent_bytes_are_no_entry_or_one_that_reads_back_the_same(
        bytes in any_or_bent(entry_bytes(&entry(7, "restart".into(), json!({"n": 1, "text": "部署", "list": [true, null]}))).unwrap())
    ) {
        if let Ok(read) = serde_json::from_slice::<Entry>(&bytes)
            && let Ok(written) = entry_bytes(&read)
        {
            prop_assert_eq!(serde_json::from_slice::<Entry>(&written).unwrap(), read);
        }
    }
}
