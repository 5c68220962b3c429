//! Signing a permit, and the one check that gate, agent and provider share.

use crate::{Envelope, EnvelopeError, NotCanonical, canonical, public_key_from_hex, sha256, verify_signature};
use writ_core::{Effect, EffectKey, Permit, Redemption, SealedPermit, Signer, SignerError, Timestamp};

/// The payload type of a permit's envelope.
pub const PERMIT_TYPE: &str = "application/vnd.writ.permit.v1+json";

/// Why an effect's permit is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermitRefused {
    /// The envelope is broken or not signed by the gate.
    #[error("the permit is not signed by the gate")]
    Envelope(#[source] EnvelopeError),
    /// The payload is not a permit.
    #[error("the permit cannot be read: {because}")]
    Form {
        /// What the reader says.
        because: String,
    },
    /// It is over.
    #[error("the permit expired at {expired}")]
    Expired {
        /// When.
        expired: Timestamp,
    },
    /// It is not yet valid: clocks disagree, or it was made for later.
    #[error("the permit is not valid before {from}")]
    Early {
        /// From when on.
        from: Timestamp,
    },
    /// It allows another verb.
    #[error("the permit allows `{allowed}`, not `{asked}`")]
    Action {
        /// What it allows.
        allowed: String,
        /// What was asked.
        asked: String,
    },
    /// It is for another resource.
    #[error("the permit is for `{allowed}`, not `{asked}`")]
    Resource {
        /// What it is for.
        allowed: String,
        /// What was asked.
        asked: String,
    },
    /// The parameters are not those that were decided upon.
    #[error("the parameters are not those the permit was signed for")]
    Parameters,
    /// It is for another effect.
    #[error("the permit is for effect `{allowed}`, not `{asked}`")]
    EffectKey {
        /// The effect it is for.
        allowed: EffectKey,
        /// The effect that was asked.
        asked: EffectKey,
    },
    /// It belongs to another epoch.
    #[error("the permit is of epoch {allowed}, not {asked}")]
    Epoch {
        /// Its epoch.
        allowed: u64,
        /// The epoch that was asked.
        asked: u64,
    },
    /// The redemption is not signed by the agent that the permit names.
    #[error("the redemption is not signed by agent `{agent}`")]
    Redemption {
        /// The agent that the permit names.
        agent: String,
    },
    /// The parameters have no canonical bytes, so nobody can have signed them.
    #[error("the parameters cannot be digested")]
    Digest(#[source] NotCanonical),
}

/// Signs a permit. Called by the gate alone.
///
/// # Errors
/// When the key cannot sign.
pub fn seal_permit(permit: &Permit, signer: &dyn Signer) -> Result<SealedPermit, SignerError> {
    let broken = |because: String| SignerError { key: signer.name().to_owned(), because };
    let payload = serde_json::to_vec(permit).map_err(|error| broken(error.to_string()))?;
    let envelope = Envelope::sign(PERMIT_TYPE, &payload, signer)?;
    Ok(SealedPermit(envelope.to_text().map_err(|error| broken(error.to_string()))?))
}

/// The permit inside, once the gate's signature holds.
///
/// # Errors
/// When the envelope is broken, not a permit, or not signed by the gate.
pub fn open_permit(sealed: &SealedPermit, gate_key: &[u8; 32]) -> Result<Permit, PermitRefused> {
    let envelope = Envelope::from_text(&sealed.0).map_err(PermitRefused::Envelope)?;
    let payload = envelope.open(PERMIT_TYPE, gate_key).map_err(PermitRefused::Envelope)?;
    serde_json::from_slice(&payload).map_err(|error| PermitRefused::Form { because: error.to_string() })
}

/// What an agent signs to redeem a permit: a fixed prefix, the permit's digest, the effect key, the epoch and the nonce, a
/// line each.
#[must_use]
pub fn redemption_bytes(permit: &SealedPermit, key: &EffectKey, epoch: u64, nonce: &str) -> Vec<u8> {
    format!("writ/redemption/v1\n{}\n{key}\n{epoch}\n{nonce}\n", sha256(permit.0.as_bytes())).into_bytes()
}

/// The agent's proof that it is the one that redeems.
///
/// # Errors
/// When the agent's key cannot sign.
pub fn sign_redemption(
    permit: &SealedPermit,
    key: &EffectKey,
    epoch: u64,
    nonce: [u8; 16],
    agent: &dyn Signer,
) -> Result<Redemption, SignerError> {
    let nonce = hex::encode(nonce);
    let signature = agent.sign(&redemption_bytes(permit, key, epoch, &nonce))?;
    Ok(Redemption { nonce, signature: hex::encode(signature) })
}

/// Everything about an effect's permit that can be checked without asking anybody: the gate's signature, the time, and that
/// verb, resource, parameters, effect key, epoch and agent are the ones it was signed for. Replay, the epoch's high-water
/// mark and the kill switch need memory and are checked by whoever has it.
///
/// # Errors
/// The first thing that does not hold.
pub fn check_effect(effect: &Effect, gate_key: &[u8; 32], now: Timestamp) -> Result<Permit, PermitRefused> {
    let permit = open_permit(&effect.permit, gate_key)?;
    if now >= permit.expires_at {
        return Err(PermitRefused::Expired { expired: permit.expires_at });
    }
    if now < permit.issued_at {
        return Err(PermitRefused::Early { from: permit.issued_at });
    }
    if permit.action != effect.verb {
        return Err(PermitRefused::Action { allowed: permit.action, asked: effect.verb.clone() });
    }
    if permit.resource != effect.resource {
        return Err(PermitRefused::Resource { allowed: permit.resource, asked: effect.resource.clone() });
    }
    if permit.params != sha256(&canonical(&effect.params).map_err(PermitRefused::Digest)?) {
        return Err(PermitRefused::Parameters);
    }
    if permit.effect != effect.key {
        return Err(PermitRefused::EffectKey { allowed: permit.effect, asked: effect.key.clone() });
    }
    if permit.epoch != effect.epoch {
        return Err(PermitRefused::Epoch { allowed: permit.epoch, asked: effect.epoch });
    }
    if !redeemed_by(&permit, effect) {
        return Err(PermitRefused::Redemption { agent: permit.agent.to_string() });
    }
    Ok(permit)
}

fn redeemed_by(permit: &Permit, effect: &Effect) -> bool {
    let Ok(agent_key) = public_key_from_hex(&permit.agent_key) else { return false };
    let Some(signature) = hex::decode(&effect.redemption.signature).ok().and_then(|bytes| bytes.try_into().ok()) else {
        return false;
    };
    let bytes = redemption_bytes(&effect.permit, &effect.key, effect.epoch, &effect.redemption.nonce);
    verify_signature(&agent_key, &bytes, &signature)
}
