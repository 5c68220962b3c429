//! An installation for tests of routes and pages: a journal in memory, and a world in which nothing can be done.

use crate::api::Shared;
use crate::config::Config;
use crate::setup::{Files, read_files};
use crate::state::StateError;
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use writ_core::{Clock, Timestamp};
use writ_pipeline::{Pipeline, enrol};

/// Opens one over the example's files, with these people: id, name, token and roles of each.
pub(crate) async fn unreal(people: &[(&str, &str, &str, &[&str])]) -> (Arc<Shared>, Pipeline) {
    let files = example();
    peopled(crate::wire::offline(&files).await.unwrap(), people).await
}

/// The same, in which it is as late as its clock is set.
pub(crate) async fn unreal_by(people: &[(&str, &str, &str, &[&str])], clock: Arc<SetClock>) -> (Arc<Shared>, Pipeline) {
    peopled(crate::wire::offline_by(&example(), clock).await.unwrap(), people).await
}

fn example() -> Files {
    read_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy-web-001")).unwrap()
}

async fn peopled(pipeline: Pipeline, people: &[(&str, &str, &str, &[&str])]) -> (Arc<Shared>, Pipeline) {
    for (id, name, token, roles) in people {
        enrol(pipeline.journal(), &id.parse().unwrap(), name, roles, token).await.unwrap();
    }
    let no_key = || Err(StateError::Key { path: "none".into() });
    let shared = Shared::new(pipeline.clone(), Arc::new(Vec::new), Arc::new(no_key), &Config::standard());
    (Arc::new(shared), pipeline)
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
