//! Whether the process lives, whether it decides and acts, and what is measured of it.

use super::route::Route;
use super::{Answer, App, Needs};
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use utoipa::ToSchema;
use writ_pipeline::{CommitError, Pipeline, error_chain};

/// How many entries lists and lookups may lack before they are too old to decide by.
const BEHIND_MAX: u64 = 10_000;

/// How long a component may take to be looked at.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// The form of OpenMetrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/health/live", Needs::Nobody, live)
            .says("server", "Tell whether the process lives", "Answers as long as the process does; it says nothing else.")
            .answers_as("text/plain; charset=utf-8"),
        Route::get("/health/ready", Needs::Nobody, ready)
            .says(
                "server",
                "Tell whether writ decides and acts",
                "Not when nothing can be recorded, when what people read is far behind, or when the world cannot be seen: then \
                 503, and `checks` says which.",
            )
            .answers::<Ready>(),
        Route::get("/metrics", Needs::Reader, metrics)
            .says("server", "Read what is measured", "In the form of OpenMetrics. docs/metrics.md says what each means.")
            .fails(&[404])
            .answers_as(OPENMETRICS),
    ]
}

/// Whether writ decides and acts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    ready: bool,
    checks: Vec<Check>,
}

/// One thing that has to be well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Check {
    /// Which.
    check: &'static str,
    ready: bool,
    /// Why not.
    because: Option<String>,
}

async fn live() -> &'static str {
    "ok\n"
}

/// Whether writ decides and acts: not when nothing can be recorded, what people read is far behind, or the world cannot be seen.
async fn ready(State(shared): App) -> Answer<Ready> {
    let journal = shared.pipeline.journal();
    let closed = journal.closed().map(str::to_owned);
    let behind = journal.behind();
    let far = (behind > BEHIND_MAX).then(|| format!("lists and lookups lack {behind} entries"));
    let unseen = unseen(&shared.pipeline).await;
    let checks = [("journal", closed.clone()), ("reports", far), ("provider", unseen)];
    let checks: Vec<Check> =
        checks.into_iter().map(|(check, because)| Check { check, ready: because.is_none(), because }).collect();
    let missing: Vec<&str> = checks.iter().filter(|check| !check.ready).map(|check| check.check).collect();
    if missing.is_empty() {
        return Ok(Json(Ready { ready: true, checks }));
    }
    let failure = match &closed {
        Some(because) => CommitError::Closed { because: because.clone() }.into(),
        None => {
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", format!("not ready: {}", missing.join(", ")))
                .hint("`checks` says why; writ goes on, and is ready again when that has passed")
        }
    };
    Err(failure.with(json!(Ready { ready: false, checks })))
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

async fn metrics(State(shared): App) -> Result<impl IntoResponse, Failure> {
    if !shared.config.metrics {
        return Err(Failure::not_found("page", "/metrics"));
    }
    let text = shared.metrics.text(&shared.pipeline).await?;
    Ok(([(header::CONTENT_TYPE, OPENMETRICS)], text))
}
