//! A request that changes something is there whole before it is asked who sends it: what was sent slowly would be done with a
//! right that was taken away meanwhile.

use crate::api::{App, Needs, still};
use crate::error::Failure;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, stream};
use std::time::Duration;

/// Waits for what comes with a request of whoever shows something that is good; of anybody else, nothing is kept. Sending takes half
/// of the time in which there is an answer at the most.
pub(crate) async fn whole(State(shared): App, request: Request, next: Next) -> Response {
    if request.method().is_safe() || still(&shared, request.headers(), Needs::Nobody).await.is_err() {
        return next.run(request).await;
    }
    let limits = &shared.config.limits;
    let patience = Duration::from_secs(limits.request_seconds) / 2;
    let (parts, body) = request.into_parts();
    let Ok(body) = tokio::time::timeout(patience, received(body, limits.body_bytes)).await else {
        let detail = format!("what was sent was not there within {} s; nothing was done", patience.as_secs_f32());
        let failure = Failure::new(StatusCode::REQUEST_TIMEOUT, "slow", detail);
        return failure.hint("send it again, or give requests more time: `limits.request_seconds`").into_response();
    };
    next.run(Request::from_parts(parts, body)).await
}

/// A body with all that came of it. One that broke off breaks off again, and of one that is too long there is too much: whoever
/// reads it says so in their own words.
async fn received(body: Body, most: u64) -> Body {
    let (mut came, mut length) = (Vec::new(), 0);
    let mut rest = body.into_data_stream();
    while let Some(part) = rest.next().await {
        length += part.as_ref().map_or(0, |part| part.len() as u64);
        let broken = part.is_err();
        came.push(part);
        if broken || length > most {
            break;
        }
    }
    if came.iter().all(Result::is_ok) && length <= most {
        let whole: Vec<Bytes> = came.into_iter().flatten().collect();
        return Body::from(whole.concat());
    }
    Body::from_stream(stream::iter(came))
}
