//! The order that an effect needs: what it says. Signing and checking are `04-seal`'s business.

use crate::{AgentId, Digest, EffectKey, PermitId, TicketId, Timestamp};
use serde::{Deserialize, Serialize};

/// What a permit allows: one agent, one action on one resource with exactly these parameters, once, until it expires.
///
/// Signed as the payload of a DSSE envelope by the gate alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// The action's verb.
    pub action: String,
    /// Who may do it.
    pub agent: AgentId,
    /// The agent's ed25519 public key, hexadecimal: the redemption must be signed by it.
    pub agent_key: String,
    /// Digest of the policy decision that allows it.
    pub decision: Digest,
    /// The effect it is for.
    pub effect: EffectKey,
    /// Counts up with each reallocation of the step.
    pub epoch: u64,
    /// When it ends; never later than the ticket's lease.
    pub expires_at: Timestamp,
    /// Its own id.
    pub id: PermitId,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Digest of the canonical parameters.
    pub params: Digest,
    /// What it may be done to.
    pub resource: String,
    /// The ticket it belongs to.
    pub ticket: TicketId,
}

/// A signed permit: the JSON text of a DSSE envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedPermit(pub String);
