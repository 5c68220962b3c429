//! An installation for tests of routes and pages: a journal in memory, and a world in which nothing can be done.

use crate::api::Shared;
use crate::config::Config;
use crate::setup::read_files;
use crate::state::StateError;
use std::path::Path;
use std::sync::Arc;
use writ_pipeline::{Pipeline, enrol};

/// Opens one over the example's files, with these people: id, name, token and roles of each.
pub(crate) async fn unreal(people: &[(&str, &str, &str, &[&str])]) -> (Arc<Shared>, Pipeline) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy-web-001");
    let pipeline = crate::wire::offline(&read_files(&example).unwrap()).await.unwrap();
    for (id, name, token, roles) in people {
        enrol(pipeline.journal(), &id.parse().unwrap(), name, roles, token).await.unwrap();
    }
    let no_key = || Err(StateError::Key { path: "none".into() });
    let shared = Shared::new(pipeline.clone(), Arc::new(Vec::new), Arc::new(no_key), &Config::standard());
    (Arc::new(shared), pipeline)
}
