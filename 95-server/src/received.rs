//! A request that changes something is there whole before it is asked who sends it, and what they may is held to until it is
//! recorded: what was sent slowly, or waited for others, would be done with a right that was taken away meanwhile.

use crate::api::{App, Shared, by_token};
use crate::console::visitor_of;
use crate::error::Failure;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, stream};
use std::sync::Arc;
use std::time::Duration;
use writ_core::LedgerError;
use writ_pipeline::{Holds, Principal, person_as_is, while_held};

/// Waits for what comes with a request of whoever shows something that is good; of anybody else, nothing is kept. Sending takes half
/// of the time in which there is an answer at the most.
pub(crate) async fn whole(State(shared): App, request: Request, next: Next) -> Response {
    match held(&shared, request).await {
        Ok((request, Some(holds))) => while_held(holds, next.run(request)).await,
        Ok((request, None)) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

/// A request with all that comes with it, and what is asked again before anything of it is recorded.
async fn held(shared: &Arc<Shared>, request: Request) -> Result<(Request, Option<Holds>), Failure> {
    if request.method().is_safe() {
        return Ok((request, None));
    }
    let (parts, body) = request.into_parts();
    let door = if parts.uri.path().starts_with("/api/") { Door::Program } else { Door::Console };
    if door.who(shared, &parts.headers).await?.is_none() {
        return Ok((Request::from_parts(parts, body), None));
    }
    let limits = &shared.config.limits;
    let patience = Duration::from_secs(limits.request_seconds) / 2;
    let Ok(body) = tokio::time::timeout(patience, received(body, limits.body_bytes)).await else {
        let detail = format!("what was sent was not there within {} s; nothing was done", patience.as_secs_f32());
        let failure = Failure::new(StatusCode::REQUEST_TIMEOUT, "slow", detail);
        return Err(failure.hint("send it again, or give requests more time: `limits.request_seconds`"));
    };
    // What is good no more is refused by whoever lets requests in.
    let by = door.who(shared, &parts.headers).await?;
    let holds = by.map(|by| holds(shared.clone(), door, parts.headers.clone(), by));
    Ok((Request::from_parts(parts, body), holds))
}

/// What a request is believed by.
#[derive(Debug, Clone, Copy)]
enum Door {
    /// A bearer token.
    Program,
    /// A session.
    Console,
}

impl Door {
    async fn who(self, shared: &Shared, headers: &HeaderMap) -> Result<Option<Principal>, LedgerError> {
        match self {
            Self::Program => by_token(shared, headers).await,
            Self::Console => visitor_of(shared.pipeline.journal(), headers).await,
        }
    }
}

/// Whether what a request shows is still good for the same.
fn holds(shared: Arc<Shared>, door: Door, headers: HeaderMap, by: Principal) -> Holds {
    Arc::new(move || {
        let (shared, headers, by) = (shared.clone(), headers.clone(), by.clone());
        Box::pin(async move {
            let as_is = person_as_is(shared.pipeline.journal(), &by.id).await?;
            let now = door.who(&shared, &headers).await?;
            Ok(if now.is_some_and(|who| who == by) { Ok(as_is) } else { Err(by.id) })
        })
    })
}

/// A body with all that came of it. One that broke off breaks off again, and of one that is too long there is too much: whoever
/// reads it says so in their own words.
async fn received(body: Body, most: u64) -> Body {
    let mut came = Vec::new();
    let mut rest = body.into_data_stream();
    while let Some(part) = rest.next().await {
        match part {
            Ok(part) => came.extend_from_slice(&part),
            Err(broken) => return Body::from_stream(stream::iter([Ok(Bytes::from(came)), Err(broken)])),
        }
        if came.len() as u64 > most {
            break;
        }
    }
    Body::from(came)
}
