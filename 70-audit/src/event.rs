//! What the journal says about itself.

use serde::{Deserialize, Serialize};
use serde_json::json;
use writ_core::{Actor, Digest, Draft, Entry, Event, Outcome};

/// Events of the journal's own life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditEvent {
    /// The journal began: its name, and the key that signs its checkpoints.
    Genesis {
        /// The journal's name.
        origin: String,
        /// The verifier key.
        key: String,
        /// The public key that signs permits, hexadecimal.
        gate_key: String,
        /// The realm that owns it.
        realm: String,
        /// Head of the journal this one continues after an accepted restore, and the head that was found instead.
        continues: Option<(String, String)>,
    },
    /// A new key signs from here on; the statement is signed by both.
    KeyRotated {
        /// The verifier key so far.
        old: String,
        /// The verifier key from now on.
        new: String,
        /// The old key's signature over `writ/key-rotation/v1`, origin and new key; hexadecimal.
        signed_by_old: String,
        /// The new key's signature over the same.
        signed_by_new: String,
    },
    /// The journal was rolled back, and goes on under another name and key.
    Continued(Continuation),
    /// An erasable text was destroyed; its commitment stays.
    Erased {
        /// The commitment.
        commitment: Digest,
        /// Why.
        reason: String,
    },
}

/// The kind of entry that accepts a rollback.
pub const CONTINUED: &str = "audit.continued/1";

/// How far a journal went: its size, and the root over so many entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

/// How a journal goes on that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continuation {
    /// What there was, and what this entry stands upon.
    pub found: Point,
    /// The verifier key from now on, with the new name.
    pub new: String,
    /// The verifier key so far, with the name so far.
    pub old: String,
    /// Texts that stand beside the entry.
    pub erasables: Accepted,
    /// The new key's signature over `writ/continuation/v1`, both keys and both heads; hexadecimal.
    pub signed_by_new: String,
    /// The old key's signature over the same.
    pub signed_by_old: String,
    /// What the witness had seen, and is given up.
    pub witnessed: Point,
}

/// What whoever accepted a rollback said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Commitment to why.
    pub reason: Digest,
}

impl Continuation {
    /// What an entry says of it; none when it is another sort of entry, or does not say it soundly.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        if entry.kind != CONTINUED {
            return None;
        }
        serde_json::from_value(entry.body.clone()).ok()
    }
}

impl AuditEvent {
    /// What both keys sign when a rollback is accepted.
    #[must_use]
    pub fn continuation_bytes(old: &str, new: &str, witnessed: &Point, found: &Point) -> Vec<u8> {
        let point = |point: &Point| format!("{} {}", point.size, point.root.hex());
        format!("writ/continuation/v1\n{old}\n{new}\n{}\n{}\n", point(witnessed), point(found)).into_bytes()
    }

    /// What both keys sign when a key is rotated.
    #[must_use]
    pub fn rotation_bytes(origin: &str, new: &str) -> Vec<u8> {
        format!("writ/key-rotation/v1\n{origin}\n{new}\n").into_bytes()
    }
}

impl Event for AuditEvent {
    fn draft(&self, actor: &Actor) -> Draft {
        let (action, kind, body) = match self {
            AuditEvent::Genesis { origin, key, gate_key, realm, continues } => (
                "begin_journal",
                "audit.genesis/1",
                json!({"origin": origin, "key": key, "gate_key": gate_key, "realm": realm,
                       "continues": continues.as_ref().map(|(old, found)| json!({"head": old, "found": found}))}),
            ),
            AuditEvent::KeyRotated { old, new, signed_by_old, signed_by_new } => (
                "rotate_key",
                "audit.key_rotated/1",
                json!({"old": old, "new": new, "signed_by_old": signed_by_old, "signed_by_new": signed_by_new}),
            ),
            AuditEvent::Continued(continuation) => ("continue_journal", CONTINUED, json!(continuation)),
            AuditEvent::Erased { commitment, reason } => {
                ("erase_text", "audit.erased/1", json!({"commitment": commitment, "reason": reason}))
            }
        };
        Draft {
            action: action.into(),
            actor: actor.clone(),
            body,
            kind,
            outcome: Outcome::Success,
            resource: "journal".into(),
            stream: "journal".into(),
        }
    }
}
