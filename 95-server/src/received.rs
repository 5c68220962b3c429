//! A request that changes something is there whole before it is asked who sends it: what was sent slowly would be done with a
//! right that was taken away meanwhile.

use crate::api::{App, Needs, still};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::{StreamExt as _, stream};

/// Waits for what comes with a request of whoever shows something that is good; of anybody else, nothing is kept.
pub(crate) async fn whole(State(shared): App, request: Request, next: Next) -> Response {
    if request.method().is_safe() || still(&shared, request.headers(), Needs::Nobody).await.is_err() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = received(body, shared.config.limits.body_bytes).await;
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
