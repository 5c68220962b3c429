//! `Idempotency-Key`: a request that carries one is done once, and its answer is told again to whoever sends it again.

use super::body::{single, too_large};
use super::{Caller, Shared};
use crate::error::Failure;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use writ_core::RunId;
use writ_pipeline::{Keyed, Known, under_trace, whoever_asked};
use writ_seal::sha256;

/// The header of the key.
pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What an answer says that was told before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key, in bytes.
const KEY_MAX: usize = 255;

/// What a route does about a request that is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// It is done again: nothing comes of it but the answer.
    Harmless,
    /// The answer is told again.
    Told,
    /// It is not told again: it has a secret, which is kept nowhere.
    Secret,
}

/// The run that was begun for this request before, and was not told.
#[derive(Debug, Clone)]
pub(crate) struct Begun(pub(crate) RunId);

/// Requests with a key that are being answered.
#[derive(Debug, Default, Clone)]
pub(crate) struct UnderWay(Arc<Mutex<HashSet<(String, String)>>>);

/// One of them.
struct Held {
    all: UnderWay,
    key: (String, String),
}

impl UnderWay {
    fn hold(&self, key: (String, String)) -> Option<Held> {
        let new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        new.then(|| Held { all: self.clone(), key })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Does what a request asks for, unless it carries a key and was done before.
pub(crate) async fn once(
    shared: &Shared,
    caller: &Caller,
    (route, again): (&str, Again),
    request: Request,
    next: Next,
) -> Response {
    if again == Again::Harmless {
        return next.run(request).await;
    }
    let answer = match single(request.headers(), &KEY, "Idempotency-Key").map(Option::<&HeaderValue>::cloned) {
        Ok(Some(key)) => keyed(shared, caller, (route, again), &key, request, next).await,
        Ok(None) => Ok(next.run(request).await),
        Err(doubled) => Err(doubled),
    };
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn keyed(
    shared: &Shared,
    caller: &Caller,
    (route, again): (&str, Again),
    key: &HeaderValue,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_MAX).ok_or_else(|| {
        let detail = format!("`Idempotency-Key` is 1 to {KEY_MAX} visible characters");
        Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).parameter(KEY.as_str())
    })?;
    let busy = || {
        Failure::new(StatusCode::CONFLICT, "busy", "a request with this `Idempotency-Key` is being answered")
            .hint("send it again in a moment")
    };
    let _held = shared.under_way.hold((caller.0.id.to_string(), key.to_owned())).ok_or_else(busy)?;
    let (mut parts, body) = request.into_parts();
    let most = usize::try_from(shared.config.limits.body_bytes).unwrap_or(usize::MAX);
    let body = to_bytes(body, most).await.map_err(|_| too_large(shared.config.limits.body_bytes))?;
    let asks =
        sha256(&[parts.method.as_str().as_bytes(), b"\n", parts.uri.to_string().as_bytes(), b"\n", &body].concat());
    let journal = shared.pipeline.journal();
    let keyed = Keyed::new(&caller.0.id, key, route, asks);
    let trace = match keyed.known(journal).await? {
        Known::New { version } => whoever_asked(keyed.take(journal, version)).await?,
        Known::Other => {
            let detail = "this `Idempotency-Key` was used for another request";
            return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", detail)
                .hint("give each request a key of its own"));
        }
        Known::Answered { status, body: Some(body) } => return Ok(replayed(status, body)),
        Known::Answered { body: None, .. } => return Err(done("its answer had a secret, which is kept nowhere")),
        Known::Begun { trace, run: Some(run), .. } => {
            parts.extensions.insert(Begun(run));
            trace
        }
        Known::Begun { done: true, trace, .. } => {
            return Err(done("writ was ended before it answered").hint(format!("writ audit query --trace {trace}")));
        }
        Known::Begun { trace, .. } => trace,
    };
    let request = Request::from_parts(parts, Body::from(body));
    let answer = under_trace(trace.clone(), next.run(request)).await;
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let (parts, body) = answer.into_parts();
    let body: Bytes = to_bytes(body, usize::MAX).await.map_err(|error| Failure::internal(&error))?;
    let kept = (again == Again::Told).then_some(&body[..]);
    keyed.answered(journal, trace, parts.status.as_u16(), kept).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn done(because: &str) -> Failure {
    let detail = format!("a request with this `Idempotency-Key` was done, and cannot be answered again: {because}");
    Failure::new(StatusCode::CONFLICT, "repeated", detail)
        .hint("look at what came of it; for another one, send another `Idempotency-Key`")
}

fn replayed(status: u16, body: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (REPLAYED, HeaderValue::from_static("true")),
    ];
    (status, headers, body).into_response()
}
