//! An installation for tests of routes and pages: a journal in memory, and a world in which nothing can be done.

use crate::api::Shared;
use crate::config::Config;
use crate::setup::{Files, read_files};
use crate::state::StateError;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use writ_core::{
    Clock, ComponentId, Effect, EffectClass, EffectKey, Probe, Provider, ProviderError, Receipt, Timestamp,
};
use writ_pipeline::{Pipeline, enrol};

/// People of an installation: id, name, token and roles of each.
pub(crate) type People<'a> = [(&'a str, &'a str, &'a str, &'a [&'a str])];

/// Opens one over the example's files, with these people.
pub(crate) async fn unreal(people: &People<'_>) -> (Arc<Shared>, Pipeline) {
    peopled(crate::wire::offline(&example()).await.unwrap(), people).await
}

/// The same in which things can be done, and in which it is as late as its clock is set.
pub(crate) async fn unreal_in(
    world: Arc<dyn Provider>,
    clock: Arc<SetClock>,
    people: &People<'_>,
) -> (Arc<Shared>, Pipeline) {
    peopled(crate::wire::offline_in(&example(), world, clock).await.unwrap(), people).await
}

fn example() -> Files {
    read_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy-web-001")).unwrap()
}

async fn peopled(pipeline: Pipeline, people: &People<'_>) -> (Arc<Shared>, Pipeline) {
    for (id, name, token, roles) in people {
        enrol(pipeline.journal(), &id.parse().unwrap(), name, roles, token).await.unwrap();
    }
    let no_key = || Err(StateError::Key { path: "none".into() });
    let shared = Shared::new(pipeline.clone(), Arc::new(Vec::new), Arc::new(no_key), &Config::standard());
    (Arc::new(shared), pipeline)
}

/// What comes of an effect: it is done, it is refused, or nothing is ever heard of it.
pub(crate) enum Comes {
    Done,
    Refused,
    Never,
}

/// A world that answers by an effect's verb and resource.
pub(crate) struct World(pub(crate) fn(&str, &str) -> Comes);

#[async_trait]
impl Provider for World {
    fn name(&self) -> &str {
        "unreal"
    }

    fn verbs(&self) -> BTreeMap<String, EffectClass> {
        BTreeMap::new()
    }

    async fn perform(&self, effect: &Effect) -> Result<Receipt, ProviderError> {
        let (verb, resource) = (effect.verb.clone(), effect.resource.clone());
        match (self.0)(&verb, &resource) {
            Comes::Done => Ok(Receipt {
                detail: serde_json::json!({}),
                finished_at: Timestamp::from_micros(0),
                key: effect.key.clone(),
                repeated: false,
            }),
            Comes::Refused => Err(ProviderError::Refused { verb, resource, because: "it may not be".into() }),
            Comes::Never => std::future::pending().await,
        }
    }

    async fn probe(&self, _: &EffectKey, _: &str, _: &str) -> Probe {
        Probe::Absent
    }

    async fn observe(&self, _: &ComponentId) -> Result<writ_core::World, ProviderError> {
        Ok(writ_core::World::default())
    }
}

/// A clock that goes on when it is told to.
pub(crate) struct SetClock(AtomicI64);

impl SetClock {
    /// A clock at the beginning of a Monday.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_768_176_000_000_000)))
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.0.fetch_add(i64::try_from(span.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
