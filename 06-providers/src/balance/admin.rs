//! What the controller may ask of a balancer, over the socket in its directory.

use super::backend::Backend;
use super::pool::{Pool, idle};
use super::setup::{BackendSetup, Check, Policy};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

const QUESTION_BYTES_MAX: usize = 64 * 1024;

/// `PUT /config`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) check: Check,
    pub(crate) policy: Policy,
    pub(crate) scheme: String,
}

pub(super) async fn answer(pool: Arc<Pool>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    match route(pool, request).await {
        Ok(document) => said(StatusCode::OK, &document),
        Err((status, because)) => said(status, &serde_json::json!({ "error": because })),
    }
}

fn said(status: StatusCode, document: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(document.to_string())));
    *response.status_mut() = status;
    response
}

type Refused = (StatusCode, String);

async fn route(pool: Arc<Pool>, request: Request<Incoming>) -> Result<serde_json::Value, Refused> {
    let inner = |error: &dyn std::error::Error| (StatusCode::INTERNAL_SERVER_ERROR, crate::http::chain(error));
    let (parts, body) = request.into_parts();
    let drain = drain_of(parts.uri.query().unwrap_or_default());
    let path = parts.uri.path();
    match (&parts.method, path, path.strip_prefix("/backends/")) {
        (&Method::GET, "/state", _) => serde_json::to_value(pool.state()).map_err(|error| inner(&error)),
        (&Method::GET, "/metrics.json", _) => serde_json::to_value(pool.metrics()).map_err(|error| inner(&error)),
        (&Method::PUT, "/config", _) => {
            let config: Config = read(body).await?;
            pool.configure(config.policy, config.scheme, config.check).map_err(|error| inner(&error))?;
            Ok(serde_json::json!({}))
        }
        (&Method::PUT, _, Some(slot)) => {
            let backend: BackendSetup = read(body).await?;
            let old = pool.put(slot, backend).await.map_err(|error| inner(&error))?;
            Ok(drained(old, drain).await)
        }
        (&Method::DELETE, _, Some(slot)) => {
            let old = pool.remove(slot).map_err(|error| inner(&error))?;
            Ok(drained(old, drain).await)
        }
        _elsewhere => Err((StatusCode::NOT_FOUND, format!("there is no `{} {path}`", parts.method))),
    }
}

/// Waits until the instance that was taken out has finished, and says what was left when it was given up.
async fn drained(old: Option<Arc<Backend>>, span: Duration) -> serde_json::Value {
    let Some(old) = old else { return serde_json::json!({ "left": 0 }) };
    let _ = tokio::time::timeout(span, idle(&old)).await;
    serde_json::json!({ "left": old.in_flight() })
}

fn drain_of(query: &str) -> Duration {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("drain_ms="));
    Duration::from_millis(value.and_then(|text| text.parse().ok()).unwrap_or(0))
}

async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, Refused> {
    let bad = |error: String| (StatusCode::BAD_REQUEST, error);
    let bytes =
        Limited::new(body, QUESTION_BYTES_MAX).collect().await.map_err(|error| bad(error.to_string()))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))
}
