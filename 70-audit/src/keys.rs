//! Which keys sign a journal: the genesis names the first, and each hands over to the next by an entry that both signed.

use crate::verify::{Expected, Fault};
use crate::{AuditEvent, CONTINUED, Continuation};
use writ_core::{Digest, Entry};
use writ_seal::{NoteKey, verify_signature};

/// The kind of entry that says that another key takes over.
pub const KEY_ROTATED: &str = "audit.key_rotated/1";

/// A journal's keys in the order in which they took over, each with the entry that put it in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyChain(Vec<(u64, NoteKey)>);

impl KeyChain {
    /// A chain that begins with a key that is known from elsewhere.
    #[must_use]
    pub fn from_known(key: NoteKey) -> Self {
        Self(vec![(0, key)])
    }

    /// Takes in the next entry of a journal that is read from its beginning. Only the genesis and rotations say anything.
    ///
    /// # Errors
    /// When a key is none, or was not handed over by the one before.
    pub fn feed(&mut self, entry: &Entry) -> Result<(), Fault> {
        if entry.seq == 0 {
            let text = text_of(entry, "key");
            let key = text.parse().map_err(|_| fault(entry, "a verifier key".into(), text))?;
            self.0 = vec![(0, key)];
            return Ok(());
        }
        match (self.newest().cloned(), entry.kind.as_str()) {
            (Some(old), KEY_ROTATED) => self.hand_over(entry, &old),
            (Some(old), CONTINUED) => self.go_on(entry, &old),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Takes in an entry that hands over from the newest key of this chain; any other is left alone. Whether it was one.
    ///
    /// # Errors
    /// When it claims to hand over and does not.
    pub fn follow(&mut self, entry: &Entry) -> Result<bool, Fault> {
        let Some(old) = self.newest().filter(|old| text_of(entry, "old") == old.to_string()).cloned() else {
            return Ok(false);
        };
        match entry.kind.as_str() {
            KEY_ROTATED => self.hand_over(entry, &old).map(|()| true),
            CONTINUED => self.go_on(entry, &old).map(|()| true),
            _ => Ok(false),
        }
    }

    /// The key that signs now.
    #[must_use]
    pub fn newest(&self) -> Option<&NoteKey> {
        self.0.last().map(|(_, key)| key)
    }

    /// The key that had to sign a checkpoint over so many entries.
    #[must_use]
    pub fn at(&self, size: u64) -> Option<&NoteKey> {
        self.0.iter().rev().find(|(seq, _)| *seq < size.max(1)).map(|(_, key)| key)
    }

    /// The keys, oldest first.
    pub fn keys(&self) -> impl Iterator<Item = &NoteKey> {
        self.0.iter().map(|(_, key)| key)
    }

    /// After a rollback that was accepted: another key, under another name, that the one before signed for.
    fn go_on(&mut self, entry: &Entry, old: &NoteKey) -> Result<(), Fault> {
        let expected = || format!("one that `{old}` goes on with");
        let continuation = Continuation::of(entry).ok_or_else(|| fault(entry, expected(), text_of(entry, "new")))?;
        let Continuation { found, new: text, witnessed, .. } = &continuation;
        let new: NoteKey = text.parse().map_err(|_| fault(entry, "a verifier key".into(), text.clone()))?;
        let said = AuditEvent::continuation_bytes(&old.to_string(), text, witnessed, found);
        let signed = |key: &NoteKey, text: &str| {
            signature(text).is_some_and(|signature| verify_signature(&key.public_key, &said, &signature))
        };
        let whole = continuation.old == old.to_string()
            && new.name != old.name
            && found.size == entry.seq
            && signed(old, &continuation.signed_by_old)
            && signed(&new, &continuation.signed_by_new);
        if !whole {
            return Err(fault(entry, expected(), text.clone()));
        }
        self.0.push((entry.seq, new));
        Ok(())
    }

    fn hand_over(&mut self, entry: &Entry, old: &NoteKey) -> Result<(), Fault> {
        let text = text_of(entry, "new");
        let new: NoteKey = text.parse().map_err(|_| fault(entry, "a verifier key".into(), text))?;
        let said = AuditEvent::rotation_bytes(&old.name, &new.to_string());
        let signed = |key: &NoteKey, field: &str| {
            signature(&text_of(entry, field))
                .is_some_and(|signature| verify_signature(&key.public_key, &said, &signature))
        };
        if new.name != old.name || !signed(old, "signed_by_old") || !signed(&new, "signed_by_new") {
            return Err(fault(entry, format!("one that `{old}` handed over to"), new.to_string()));
        }
        self.0.push((entry.seq, new));
        Ok(())
    }
}

fn fault(entry: &Entry, expected: String, found: String) -> Fault {
    Fault { seq: entry.seq, expected: Expected::Key { expected, found } }
}

fn text_of(entry: &Entry, field: &str) -> String {
    entry.body.get(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

/// 64 bytes in hexadecimal.
fn signature(text: &str) -> Option<[u8; 64]> {
    let (left, right) = text.split_at_checked(64)?;
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&Digest::from_hex(left).ok()?.0);
    bytes[32..].copy_from_slice(&Digest::from_hex(right).ok()?.0);
    Some(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Accepted, Point};
    use serde_json::{Value, json};
    use writ_core::{Actor, Event as _, EventId, Outcome, Signer as _, Timestamp};
    use writ_seal::Key;

    /// An entry in which only these three matter.
    pub(crate) fn entry(seq: u64, kind: &str, body: Value) -> Entry {
        Entry {
            action: "rotate_key".into(),
            actor: Actor::system("journal"),
            body,
            cause: None,
            event_id: EventId::mint(1, [1; 10]),
            kind: kind.into(),
            outcome: Outcome::Success,
            prev: String::new(),
            resource: "journal".into(),
            seq,
            stream: "journal".into(),
            timestamp: Timestamp::from_micros(1),
            trace_id: writ_core::TraceId::of([1; 16]),
            trace_seq: 0,
            version: 1,
        }
    }

    fn key(seed: u8) -> Key {
        Key::from_seed("writ.test/log", &[seed; 32])
    }

    fn rotation(seq: u64, old: &Key, new: &Key) -> Entry {
        let name = NoteKey::of(new).to_string();
        let said = AuditEvent::rotation_bytes("writ.test/log", &name);
        let hex = |key: &Key| key.sign(&said).unwrap().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let body = json!({"old": NoteKey::of(old).to_string(), "new": name,
                          "signed_by_old": hex(old), "signed_by_new": hex(new)});
        entry(seq, KEY_ROTATED, body)
    }

    #[test]
    fn a_key_is_in_force_from_the_entry_that_both_signed() {
        let (first, second) = (NoteKey::of(&key(1)), NoteKey::of(&key(2)));
        let mut chain = KeyChain::default();
        chain.feed(&entry(0, "audit.genesis/1", json!({"key": first.to_string()}))).unwrap();
        chain.feed(&entry(4, "run.submitted/1", json!({}))).unwrap();
        chain.feed(&rotation(7, &key(1), &key(2))).unwrap();
        assert_eq!([chain.at(1), chain.at(7), chain.at(8)], [Some(&first), Some(&first), Some(&second)]);
        assert_eq!(chain.newest(), Some(&second));
    }

    #[test]
    fn a_key_that_the_one_before_did_not_sign_for_is_refused() {
        let chain = KeyChain::from_known(NoteKey::of(&key(1)));
        // Another key signed in the old one's place, and the other way round; and a signature was changed.
        let mut forged = rotation(3, &key(9), &key(2));
        forged.body["old"] = json!(NoteKey::of(&key(1)).to_string());
        let mut half = rotation(3, &key(1), &key(2));
        half.body["signed_by_new"] = half.body["signed_by_old"].clone();
        let mut cut = rotation(3, &key(1), &key(2));
        cut.body["signed_by_old"] = json!("00");
        for bad in [forged, half, cut] {
            assert!(chain.clone().feed(&bad).is_err());
            assert!(chain.clone().follow(&bad).is_err());
        }
        // One that others made among themselves says nothing about this chain.
        assert_eq!(chain.clone().follow(&rotation(3, &key(8), &key(2))), Ok(false));
        assert_eq!(chain.clone().follow(&rotation(3, &key(1), &key(2))), Ok(true));
    }

    fn continuation(seq: u64, old: &Key, new: &Key) -> Entry {
        let point = |size| Point { size, root: Digest([7; 32]) };
        let (old_name, new_name) = (NoteKey::of(old).to_string(), NoteKey::of(new).to_string());
        let said = AuditEvent::continuation_bytes(&old_name, &new_name, &point(9), &point(seq));
        let hex = |key: &Key| key.sign(&said).unwrap().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let continuation = Continuation {
            erasables: Accepted { reason: Digest([8; 32]) },
            found: point(seq),
            new: new_name,
            old: old_name,
            signed_by_new: hex(new),
            signed_by_old: hex(old),
            witnessed: point(9),
        };
        let draft = AuditEvent::Continued(continuation).draft(&Actor::system("restore"));
        entry(seq, draft.kind, draft.body)
    }

    #[test]
    fn a_journal_goes_on_under_another_name_that_the_key_before_signed_for() {
        let (old, new) = (key(1), Key::from_seed("writ.test/again", &[2; 32]));
        let chain = KeyChain::from_known(NoteKey::of(&old));
        let sound = continuation(4, &old, &new);
        let mut followed = chain.clone();
        assert_eq!(followed.follow(&sound), Ok(true));
        assert_eq!(followed.newest(), Some(&NoteKey::of(&new)));
        assert_eq!(chain.clone().follow(&continuation(4, &key(8), &new)), Ok(false));

        let changed = |change: &dyn Fn(&mut Value)| {
            let mut bad = sound.clone();
            change(&mut bad.body);
            bad
        };
        for bad in [
            changed(&|body| body["witnessed"]["size"] = json!(8)),
            changed(&|body| body["found"]["root"] = json!(Digest([1; 32]))),
            changed(&|body| body["signed_by_old"] = body["signed_by_new"].clone()),
            changed(&|body| body["signed_by_new"] = json!("00")),
            changed(&|body| body["erasables"] = json!({})),
            changed(&|body| body["more"] = json!(1)),
            // It stands elsewhere than upon what it says that it found, or keeps the name.
            Entry { seq: 5, ..sound.clone() },
            continuation(4, &old, &key(3)),
        ] {
            assert!(chain.clone().feed(&bad).is_err(), "{}", bad.body);
            assert!(chain.clone().follow(&bad).is_err());
        }
    }

    #[test]
    fn what_accepts_a_rollback_is_written_as_it_will_be_for_ever() {
        let entry = continuation(4, &key(1), &Key::from_seed("writ.test/again", &[2; 32]));
        let mut body = entry.body.clone();
        for field in ["signed_by_old", "signed_by_new"] {
            assert_eq!(body[field].as_str().unwrap().len(), 128);
            body[field] = json!("…");
        }
        let (seven, eight) = ("07".repeat(32), "08".repeat(32));
        let expected = format!(
            r#"{{"erasables":{{"reason":"sha256:{eight}"}},"found":{{"root":"sha256:{seven}","size":4}},"new":"{}","old":"{}","signed_by_new":"…","signed_by_old":"…","witnessed":{{"root":"sha256:{seven}","size":9}}}}"#,
            NoteKey::of(&Key::from_seed("writ.test/again", &[2; 32])),
            NoteKey::of(&key(1)),
        );
        assert_eq!((entry.kind.as_str(), body.to_string()), ("audit.continued/1", expected));
        assert_eq!(Continuation::of(&entry).unwrap().witnessed.size, 9);
    }
}
