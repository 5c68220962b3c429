//! The provider's own check of an order, whoever checked it before.

use super::files::{self, Places, StateError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use writ_core::{Effect, Permit, Timestamp};

/// How long a redemption is remembered beyond its permit's end: as long as a clock may be set back. The permit itself is
/// refused from its end on.
const REMEMBERED: Duration = Duration::from_secs(300);

/// What a permit or a nonce was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Use {
    epoch: u64,
    expires_at: Timestamp,
    key: String,
}

/// What must be remembered to refuse the old and the replayed.
#[derive(Debug, Default)]
struct Memory {
    /// The highest epoch seen, by resource.
    epochs: BTreeMap<String, u64>,
    /// Permit ids and nonces, by `permit:…` and `nonce:<agent key>:…`.
    redeemed: BTreeMap<String, Use>,
}

pub(crate) struct Guard {
    epochs: PathBuf,
    redeemed: PathBuf,
    gate_key: [u8; 32],
    memory: Mutex<Memory>,
}

/// Why an order is not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("its permit is not accepted")]
    Permit(#[from] writ_seal::PermitRefused),
    #[error("epoch {asked} is over: {highest} has been seen for this resource")]
    Epoch { asked: u64, highest: u64 },
    #[error("{what} was redeemed for effect `{key}`")]
    Replayed { what: &'static str, key: String },
    #[error("the nonce `{nonce}` is not 16 to 64 hexadecimal digits")]
    Nonce { nonce: String },
    #[error("its permit cannot be remembered")]
    State(#[from] StateError),
}

impl Guard {
    pub(crate) fn open(places: &Places, gate_key: [u8; 32]) -> Result<Self, StateError> {
        let memory = Memory {
            epochs: files::read(&places.epochs())?.unwrap_or_default(),
            redeemed: files::read(&places.redeemed())?.unwrap_or_default(),
        };
        Ok(Self { epochs: places.epochs(), redeemed: places.redeemed(), gate_key, memory: Mutex::new(memory) })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The permit, if the effect is one that may be carried out now. Changes nothing.
    pub(crate) fn check(&self, effect: &Effect, now: Timestamp) -> Result<Permit, Refusal> {
        let permit = writ_seal::check_effect(effect, &self.gate_key, now)?;
        let nonce = &effect.redemption.nonce;
        if !(16..=64).contains(&nonce.len()) || !nonce.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Refusal::Nonce { nonce: nonce.chars().take(80).collect() });
        }
        let memory = self.memory();
        let highest = memory.epochs.get(&effect.resource).copied().unwrap_or(0);
        if effect.epoch < highest {
            return Err(Refusal::Epoch { asked: effect.epoch, highest });
        }
        for (name, what) in names(effect, &permit) {
            // The same order asked for again is no replay: it is answered with the first receipt.
            if let Some(earlier) = memory.redeemed.get(&name)
                && (earlier.key != effect.key.0 || earlier.epoch != effect.epoch)
            {
                return Err(Refusal::Replayed { what, key: earlier.key.clone() });
            }
        }
        Ok(permit)
    }

    /// Checks and remembers, before anything is done. What is remembered is on disk when this returns.
    pub(crate) fn admit(&self, effect: &Effect, now: Timestamp) -> Result<(), Refusal> {
        let permit = self.check(effect, now)?;
        let mut memory = self.memory();
        let highest = memory.epochs.get(&effect.resource).copied();
        if highest.is_some_and(|highest| highest > effect.epoch) {
            return Err(Refusal::Epoch { asked: effect.epoch, highest: highest.unwrap_or(0) });
        }
        if highest != Some(effect.epoch) {
            memory.epochs.insert(effect.resource.clone(), effect.epoch);
            files::write_durable(&self.epochs, &memory.epochs)?;
        }
        let used = Use { epoch: effect.epoch, expires_at: permit.expires_at, key: effect.key.0.clone() };
        let fresh = names(effect, &permit).into_iter().fold(false, |fresh, (name, _)| {
            memory.redeemed.insert(name, used.clone()).as_ref() != Some(&used) || fresh
        });
        if fresh {
            memory.redeemed.retain(|_, used| used.expires_at.plus(REMEMBERED) > now);
            files::write_durable(&self.redeemed, &memory.redeemed)?;
        }
        Ok(())
    }
}

fn names(effect: &Effect, permit: &Permit) -> [(String, &'static str); 2] {
    let nonce = effect.redemption.nonce.to_ascii_lowercase();
    [(format!("permit:{}", permit.id), "its permit"), (format!("nonce:{}:{nonce}", permit.agent_key), "its nonce")]
}
