//! Whatever is handed in as a checkpoint, an entry, a rotation or evidence, reading it ends in an answer; and what is believed
//! is what was signed.

use crate::{AuditEvent, Bundle, BundledEntry, Checkpoint, KEY_ROTATED, KeyChain, Verifier};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;
use std::collections::BTreeMap;
use writ_core::{Entry, Signer as _};
use writ_seal::{Key, NoteKey, entry_bytes, leaf_hash, sha256};

const ORIGIN: &str = "writ.test/log";

fn key(seed: u8) -> Key {
    Key::from_seed(ORIGIN, &[seed; 32])
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.into(), root: sha256(b"root"), size: 70_000 }
}

fn entry(kind: &str, body: serde_json::Value) -> Entry {
    Entry { prev: "0".repeat(64), ..crate::keys::tests::entry(0, kind, body) }
}

fn rotation() -> Entry {
    let new = NoteKey::of(&key(2)).to_string();
    let said = AuditEvent::rotation_bytes(ORIGIN, &new);
    let hex = |key: &Key| hex::encode(key.sign(&said).unwrap());
    let (old, by_old, by_new) = (NoteKey::of(&key(1)).to_string(), hex(&key(1)), hex(&key(2)));
    let body = json!({"old": old, "new": new, "signed_by_old": by_old, "signed_by_new": by_new});
    Entry { seq: 5, ..entry(KEY_ROTATED, body) }
}

/// Evidence of one entry, which is the whole journal.
fn bundle() -> Bundle {
    let bytes = entry_bytes(&entry("test.said/1", json!({"n": 1}))).unwrap();
    let checkpoint = Checkpoint { origin: ORIGIN.into(), root: leaf_hash(&bytes), size: 1 };
    Bundle {
        format: Bundle::FORMAT.into(),
        subject: "entry".into(),
        key: NoteKey::of(&key(1)).to_string(),
        checkpoint: checkpoint.sign(&[&key(1)]).unwrap(),
        entries: vec![BundledEntry { entry: String::from_utf8(bytes).unwrap(), proof: Vec::new() }],
        attachments: BTreeMap::new(),
    }
}

/// A few bytes changed, put in or taken out, or anything at all.
fn any_or_bent(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let edits = proptest::collection::vec((any::<Index>(), any::<u8>(), 0..3_u8), 0..6);
    let bent = edits.prop_map(move |edits| {
        let mut bytes = valid.clone();
        for (place, byte, how) in edits {
            let at = place.index(bytes.len().max(1));
            match how {
                0 if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at.min(bytes.len()), byte),
            }
        }
        bytes
    });
    prop_oneof![1 => proptest::collection::vec(any::<u8>(), 0..300), 4 => bent]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_checkpoint_that_is_read_begins_as_it_is_written_and_only_the_signed_one_is_believed(
        bytes in any_or_bent(checkpoint().sign(&[&key(1)]).unwrap().into_bytes())
    ) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok((read, note)) = Checkpoint::parse(&text) {
            prop_assert!(note.text.starts_with(&read.text()), "{:?} of {:?}", read, note.text);
        }
        if let Ok(believed) = Checkpoint::open(&text, ORIGIN, &NoteKey::of(&key(1))) {
            prop_assert_eq!(believed, checkpoint());
        }
    }

    #[test]
    fn bytes_that_are_fed_are_an_entry_or_a_fault_and_leave_the_verifier_whole(
        bytes in any_or_bent(entry_bytes(&entry("test.said/1", json!({"n": 1}))).unwrap())
    ) {
        let (mut verifier, mut full) = (Verifier::new(), Vec::new());
        let fed = verifier.feed(&bytes, None, &mut full);
        prop_assert_eq!(verifier.size(), u64::from(fed.is_ok()));
        if fed.is_ok() {
            prop_assert_eq!(verifier.root(), leaf_hash(&bytes));
        }
    }

    #[test]
    fn a_bent_rotation_hands_over_to_nobody_else(bytes in any_or_bent(entry_bytes(&rotation()).unwrap())) {
        if let Ok(read) = serde_json::from_slice::<Entry>(&bytes) {
            let mut chain = KeyChain::from_known(NoteKey::of(&key(1)));
            if chain.follow(&read) == Ok(true) {
                prop_assert_eq!(chain.newest(), Some(&NoteKey::of(&key(2))));
            }
            // As the first entry of a journal it says what it says, and nothing breaks.
            drop(KeyChain::default().feed(&Entry { seq: 0, ..read }));
        }
    }

    #[test]
    fn bent_evidence_is_refused_or_proves_the_same(bytes in any_or_bent(serde_json::to_vec(&bundle()).unwrap())) {
        if let Ok(read) = serde_json::from_slice::<Bundle>(&bytes) {
            let again: Bundle = serde_json::from_slice(&serde_json::to_vec(&read).unwrap()).unwrap();
            prop_assert_eq!(&again, &read);
            if let Ok(checked) = read.check(Some(&NoteKey::of(&key(1)))) {
                let proved = bundle().check(None).unwrap();
                prop_assert!(checked.entries.is_empty() || checked.entries == proved.entries);
                prop_assert_eq!(checked.checkpoint, proved.checkpoint);
            }
        }
    }
}
