//! A request that changes something is there whole before it is asked who sends it: what was sent slowly would be done with a
//! right that was taken away meanwhile.

use crate::api::{App, Needs, still};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

/// Waits for what comes with a request of whoever shows something that is good; of anybody else, nothing is kept.
pub(crate) async fn whole(State(shared): App, request: Request, next: Next) -> Response {
    if request.method().is_safe() || still(&shared, request.headers(), Needs::Nobody).await.is_err() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let most = usize::try_from(shared.config.limits.body_bytes).unwrap_or(usize::MAX - 1);
    let body = match to_bytes(body, most).await {
        Ok(bytes) => Body::from(bytes),
        // Whoever reads it says in their own words that it is too long.
        Err(_) => Body::from(vec![b' '; most + 1]),
    };
    next.run(Request::from_parts(parts, body)).await
}
