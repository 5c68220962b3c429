//! Submitting intents.

use super::resources::Page;
use super::{Answer, App, Asked, Body, Caller, Path, parsed};
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use writ_core::{Digest, IntentId};
use writ_pipeline::Origin;

/// A manifest as a client sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Its name, for places in findings.
    name: String,
    /// Its text.
    text: String,
    /// The digest of the plan that was looked at; another plan is then refused as stale.
    #[serde(default)]
    planned: Option<Digest>,
}

pub(crate) async fn validate(State(shared): App, caller: Caller, Body(manifest): Body<Manifest>) -> Answer {
    caller.must("viewer")?;
    let pipeline = &shared.pipeline;
    let prepared = pipeline.prepare(&manifest.name, manifest.text.as_bytes(), &caller.0).await;
    let prepared = prepared.map_err(|error| Failure::of_submit(error, pipeline))?;
    Ok(Json(prepared.document(pipeline)))
}

pub(crate) async fn plan(shared: App, caller: Caller, manifest: Body<Manifest>) -> Answer {
    validate(shared, caller, manifest).await
}

pub(crate) async fn submit(State(shared): App, caller: Caller, Body(manifest): Body<Manifest>) -> Answer {
    caller.must("operator")?;
    let pipeline = &shared.pipeline;
    let text = manifest.text.as_bytes();
    let accepted = pipeline.submit(&manifest.name, text, &caller.0, manifest.planned, Origin::Intent).await;
    let accepted = accepted.map_err(|error| Failure::of_submit(error, pipeline))?;
    let mut document = accepted.prepared.document(pipeline);
    document["run"] = json!(accepted.run);
    Ok(Json(document))
}

pub(crate) async fn list(shared: App, caller: Caller, page: Asked<Page>) -> Answer {
    super::resources::list(shared, caller, Path("intents".to_owned()), page).await
}

pub(crate) async fn versions(State(shared): App, caller: Caller, Path(id): Path<String>) -> Answer {
    caller.must("viewer")?;
    let id: IntentId = parsed(&id)?;
    let entries = shared.pipeline.journal().stream(&format!("intent/{id}")).await?;
    if entries.is_empty() {
        return Err(Failure::not_found("intent", id.as_str()));
    }
    Ok(Json(json!(entries)))
}
