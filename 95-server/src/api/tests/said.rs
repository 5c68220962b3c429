//! A world in which what comes of an effect, and what is seen, is said beforehand.

use async_trait::async_trait;
use serde_json::json;
use std::collections::BTreeMap;
use tokio::sync::watch;
use writ_core::{
    ComponentId, Effect, EffectClass, EffectKey, Probe, Provider, ProviderError, Receipt, Timestamp, World,
};

/// What comes of an effect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Comes {
    /// Nothing yet.
    Later,
    /// It is done.
    Done,
    /// It is refused, but for the balancer, which is there and does not go again.
    Refused,
}

/// What whoever looks sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sees {
    /// What there is.
    All,
    /// That nobody is there.
    Nobody,
    /// Nothing yet.
    Later,
}

/// The world.
pub(super) struct Said {
    pub(super) comes: watch::Receiver<Comes>,
    pub(super) sees: watch::Receiver<Sees>,
}

#[async_trait]
impl Provider for Said {
    fn name(&self) -> &str {
        "said"
    }

    fn verbs(&self) -> BTreeMap<String, EffectClass> {
        BTreeMap::new()
    }

    async fn perform(&self, effect: &Effect) -> Result<Receipt, ProviderError> {
        let comes = *self.comes.clone().wait_for(|comes| *comes != Comes::Later).await.unwrap();
        let balancer = effect.resource.ends_with("/lb") && !effect.verb.ends_with(".remove");
        if comes == Comes::Done || balancer {
            let (key, finished_at) = (effect.key.clone(), Timestamp::from_micros(0));
            return Ok(Receipt { detail: json!({}), finished_at, key, repeated: false });
        }
        let (verb, resource) = (effect.verb.clone(), effect.resource.clone());
        Err(ProviderError::Refused { verb, resource, because: "it may not be".into() })
    }

    async fn probe(&self, _: &EffectKey, _: &str, _: &str) -> Probe {
        Probe::Absent
    }

    async fn observe(&self, of: &ComponentId) -> Result<World, ProviderError> {
        let sees = *self.sees.clone().wait_for(|sees| *sees != Sees::Later).await.unwrap();
        if sees == Sees::Nobody {
            let (verb, resource, because) = ("observe".into(), of.to_string(), "nobody answers".into());
            return Err(ProviderError::Failed { verb, resource, because });
        }
        Ok(World::default())
    }
}
