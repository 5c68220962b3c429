//! What the journal says about itself.

use serde_json::json;
use writ_core::{Actor, Digest, Draft, Event, Outcome};

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
    /// An erasable text was destroyed; its commitment stays.
    Erased {
        /// The commitment.
        commitment: Digest,
        /// Why.
        reason: String,
    },
}

impl AuditEvent {
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
