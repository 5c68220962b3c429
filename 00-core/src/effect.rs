//! What is done to the world, and what came of it.

use crate::{Digest, SealedPermit, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How an effect behaves when it is asked for twice. Decides what recovery may do after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectClass {
    /// Idempotent by its key: asking again answers the first outcome. Never lost, never doubled.
    Keyed,
    /// The provider keeps the highest epoch beside the resource and refuses a lower one. Never lost, never doubled.
    Conditional,
    /// Can be looked for afterwards, once the provider's bound on late arrivals has passed.
    Probeable,
    /// Nobody can tell: at most once, and a crash ends in Unknown, then a person.
    Opaque,
}

/// The idempotency key of one effect: the same for every attempt, different for an undo.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectKey(pub String);

impl EffectKey {
    /// The key that a digest of (run, step, plan revision, leg) gives: `ek_` and 32 hexadecimal digits.
    #[must_use]
    pub fn of(digest: &Digest) -> Self {
        Self(format!("ek_{}", &digest.hex()[..32]))
    }
}

impl std::fmt::Display for EffectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The agent's proof that it, and not somebody who found the permit, asks for the effect: its signature over the permit's
/// digest, the effect key, the epoch and a nonce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redemption {
    /// Chance, so that no two redemptions are alike; hexadecimal.
    pub nonce: String,
    /// The ed25519 signature, hexadecimal. What exactly is signed: `writ_seal::redemption_bytes`.
    pub signature: String,
}

/// One order to a provider. Verbs state desired state, never a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// How far the holder of the resource has been counted up; a provider refuses a lower one than it has seen.
    pub epoch: u64,
    /// The idempotency key.
    pub key: EffectKey,
    /// The verb's parameters; integers, texts, lists and maps only.
    pub params: Value,
    /// The signed order.
    pub permit: SealedPermit,
    /// The agent's proof of possession.
    pub redemption: Redemption,
    /// What it is done to: `web-service-001/i-2`.
    pub resource: String,
    /// The provider's verb: `instance.ensure`.
    pub verb: String,
}

/// What a provider says came of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What the provider has to tell: addresses, process ids, sizes. Integers, texts, lists and maps only.
    pub detail: Value,
    /// When it was done.
    pub finished_at: Timestamp,
    /// The effect this is the receipt of.
    pub key: EffectKey,
    /// Whether the effect had been done before and this is the first outcome told again.
    pub repeated: bool,
}

/// What a provider knows about an effect whose outcome was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It happened; this is the receipt.
    Happened(Receipt),
    /// It did not happen and cannot happen any more.
    Absent,
    /// Nobody can tell yet.
    Unclear {
        /// Why not.
        because: String,
    },
}
