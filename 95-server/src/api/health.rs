//! Whether the process lives, whether it decides and acts, and what is measured of it.

use super::{App, Caller};
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use std::time::Duration;
use writ_pipeline::{CommitError, Pipeline, error_chain};

/// How many entries lists and lookups may lack before they are too old to decide by.
const BEHIND_MAX: u64 = 10_000;

/// How long a component may take to be looked at.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// The form of OpenMetrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// Whether writ decides and acts: not when nothing can be recorded, what people read is far behind, or the world cannot be seen.
pub(crate) async fn ready(State(shared): App) -> Result<Json<Value>, Failure> {
    let journal = shared.pipeline.journal();
    let closed = journal.closed().map(str::to_owned);
    let behind = journal.behind();
    let far = (behind > BEHIND_MAX).then(|| format!("lists and lookups lack {behind} entries"));
    let unseen = unseen(&shared.pipeline).await;
    let checks = [("journal", &closed), ("reports", &far), ("provider", &unseen)];
    let missing: Vec<&str> = checks.iter().filter(|(_, wrong)| wrong.is_some()).map(|(name, _)| *name).collect();
    let told: Vec<Value> =
        checks.iter().map(|(name, wrong)| json!({"check": name, "ready": wrong.is_none(), "because": wrong})).collect();
    if missing.is_empty() {
        return Ok(Json(json!({"ready": true, "checks": told})));
    }
    let failure = match &closed {
        Some(because) => CommitError::Closed { because: because.clone() }.into(),
        None => {
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", format!("not ready: {}", missing.join(", ")))
                .hint("`checks` says why; writ goes on, and is ready again when that has passed")
        }
    };
    Err(failure.with(json!({"ready": false, "checks": told})))
}

/// Which watched component cannot be seen, and why.
async fn unseen(pipeline: &Pipeline) -> Option<String> {
    for component in pipeline.components() {
        match tokio::time::timeout(LOOK_MAX, pipeline.provider().observe(&component)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Some(format!("`{component}` cannot be observed: {}", error_chain(&error))),
            Err(_) => return Some(format!("`{component}` cannot be observed within {} s", LOOK_MAX.as_secs())),
        }
    }
    None
}

pub(crate) async fn metrics(State(shared): App, caller: Caller) -> Result<impl IntoResponse, Failure> {
    if !shared.config.metrics {
        return Err(Failure::not_found("page", "/metrics"));
    }
    caller.must("viewer")?;
    let text = shared.metrics.text(&shared.pipeline).await?;
    Ok(([(header::CONTENT_TYPE, OPENMETRICS)], text))
}
