//! The memory of effects: what was begun, and what came of it.

use super::files::{self, Places, StateError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::time::Duration;
use writ_core::{Effect, EffectKey, Receipt, Timestamp, failpoint};

/// What was about to be done, on disk before it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) params: Value,
    pub(crate) resource: String,
    pub(crate) verb: String,
}

pub(crate) struct Effects {
    places: Places,
}

/// An effect's key, locked: nobody else works on it until this goes.
pub(crate) struct Claim {
    #[expect(dead_code, reason = "holds the lock while it lives")]
    lock: File,
    key: String,
}

impl Effects {
    pub(crate) fn open(places: &Places) -> Result<Self, StateError> {
        files::make_dir(&places.effects())?;
        Ok(Self { places: places.clone() })
    }

    /// Waits until nobody else works on this key.
    pub(crate) async fn claim(&self, key: &EffectKey) -> Result<Claim, StateError> {
        let path = self.places.effect(&key.0, "lock");
        loop {
            if let Some(lock) = files::try_lock(&path)? {
                return Ok(Claim { lock, key: key.0.clone() });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn intent(&self, claim: &Claim) -> Result<Option<Intent>, StateError> {
        files::read(&self.places.effect(&claim.key, "intent"))
    }

    pub(crate) fn receipt(&self, claim: &Claim) -> Result<Option<Receipt>, StateError> {
        files::read(&self.places.effect(&claim.key, "receipt"))
    }

    /// Writes down what is about to be done.
    pub(crate) fn begin(&self, claim: &Claim, effect: &Effect) -> Result<(), StateError> {
        let intent =
            Intent { params: effect.params.clone(), resource: effect.resource.clone(), verb: effect.verb.clone() };
        files::write_durable(&self.places.effect(&claim.key, "intent"), &intent)?;
        failpoint::pass("effect.intended", &effect.resource);
        Ok(())
    }

    /// Takes back what was written down: it was not done, and nothing is left of it.
    pub(crate) fn withdraw(&self, claim: &Claim) -> Result<(), StateError> {
        files::remove(&self.places.effect(&claim.key, "intent"))
    }

    /// Writes down what came of it: one line for whoever counts, and the receipt.
    pub(crate) fn finish(
        &self,
        claim: &Claim,
        verb: &str,
        resource: &str,
        detail: Value,
        now: Timestamp,
        begun_before: bool,
    ) -> Result<Receipt, StateError> {
        // An earlier attempt may have been cut off between line and receipt.
        let told = begun_before && files::holds(&self.places.effects_log(), &format!("\"key\":\"{}\"", claim.key))?;
        if !told {
            let line = serde_json::json!({ "at": now, "key": claim.key, "resource": resource, "verb": verb });
            failpoint::pass("effect.happened", resource);
            files::append_line(&self.places.effects_log(), &line)?;
            failpoint::pass("effect.told", resource);
        }
        let receipt = Receipt { detail, finished_at: now, key: EffectKey(claim.key.clone()), repeated: false };
        files::write_durable(&self.places.effect(&claim.key, "receipt"), &receipt)?;
        failpoint::pass("effect.receipted", resource);
        Ok(receipt)
    }
}
