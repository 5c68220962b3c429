//! The routes, and who may use them.

mod actions;
mod audit;
mod health;
mod intents;
mod people;
mod resources;
mod runs;
mod waivers;

pub(crate) use audit::{check as check_journal, filter as audit_filter};
pub(crate) use resources::tell_healing;

use crate::config::Config;
use crate::error::Failure;
use crate::events::{self, Feed};
use crate::limits::{Throttle, is_change};
use crate::metrics::Metrics;
use crate::serve::Peer;
use crate::wire::{Break, NextKey, Processes};
use axum::Router;
use axum::extract::{self, FromRequest, FromRequestParts, MatchedPath, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use writ_core::Actor;
use writ_pipeline::{Pipeline, Principal, principal_of};

/// What every route needs.
pub struct Shared {
    pub(crate) pipeline: Pipeline,
    pub(crate) processes: Processes,
    pub(crate) next_key: NextKey,
    pub(crate) throttle: Throttle,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) feed: Feed,
    /// What breaks an instance on purpose; none where nobody may.
    pub(crate) breaks: Option<Break>,
}

impl Shared {
    /// Over an open installation. Must run within a runtime.
    pub(crate) fn new(pipeline: Pipeline, processes: Processes, next_key: NextKey, config: &Config) -> Self {
        let (throttle, metrics) = (Throttle::new(&config.limits), Metrics::new());
        let feed = Feed::follow(pipeline.journal());
        Self { pipeline, processes, next_key, throttle, config: config.clone(), metrics, feed, breaks: None }
    }
}

pub(crate) type App = State<Arc<Shared>>;
pub(crate) type Answer = Result<axum::Json<serde_json::Value>, Failure>;

/// All routes.
pub fn router(shared: Arc<Shared>) -> Router {
    let pages = if shared.config.console { crate::console::routes() } else { Router::new() };
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/validate", post(intents::validate))
        .route("/api/v1/plan", post(intents::plan))
        .route("/api/v1/intents", post(intents::submit).get(intents::list))
        .route("/api/v1/intents/{id}/versions", get(intents::versions))
        .route("/api/v1/actions", post(actions::ask))
        .route("/api/v1/actions/{id}", get(actions::one))
        .route("/api/v1/actions/{id}/{command}", post(actions::command))
        .route("/api/v1/runs/{id}/execution", get(runs::execution))
        .route("/api/v1/runs/{id}/{command}", post(runs::command))
        .route("/api/v1/approvals/{id}/{answer}", post(resources::answer))
        .route("/api/v1/incidents/{id}/{command}", post(resources::incident))
        .route("/api/v1/recommendations/{id}/{command}", post(resources::recommendation))
        .route("/api/v1/feedback", post(resources::feedback))
        .route("/api/v1/processes", get(resources::processes))
        .route("/api/v1/monitoring", get(resources::monitoring))
        .route("/api/v1/contracts", get(resources::contracts))
        .route("/api/v1/policies", get(resources::policies))
        .route("/api/v1/kill-switch", get(resources::kill_switches).post(resources::kill_switch))
        .route("/api/v1/why/{*id}", get(audit::why))
        .route("/api/v1/audit/entries", get(audit::query))
        .route("/api/v1/audit/verify", get(audit::verify))
        .route("/api/v1/audit/evidence/{*id}", get(audit::evidence))
        .route("/api/v1/audit/rotate-key", post(audit::rotate_key))
        .route("/api/v1/audit/erase", post(people::forget))
        .route("/api/v1/waivers", get(waivers::list).post(waivers::ask))
        .route("/api/v1/waivers/{id}/{answer}", post(waivers::answer))
        .route("/api/v1/maintenance", get(waivers::maintenance).post(waivers::set_maintenance))
        .route("/api/v1/principals", get(people::principals))
        .route("/api/v1/tokens", get(people::tokens).post(people::issue))
        .route("/api/v1/tokens/{id}", delete(people::revoke))
        .route("/api/v1/agents/{id}/{command}", post(people::agent))
        .route("/log/checkpoint", get(audit::checkpoint))
        .route("/log/key", get(audit::key))
        .route("/log/tile/{*path}", get(audit::tile))
        .route("/log/attachment/{digest}", get(audit::attachment))
        .route("/api/v1/{view}", get(resources::list))
        .route("/api/v1/{view}/{id}", get(resources::one))
        .merge(pages)
        .method_not_allowed_fallback(async || {
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, "invalid", "this resource does not take that method")
        })
        .fallback(async |uri: axum::http::Uri| Failure::not_found("page", uri.path()))
        .layer(middleware::from_fn_with_state(shared.clone(), say_closed))
        .with_state(shared)
}

/// What every answer says once the journal is closed: it is of the past, and nothing goes on.
const CLOSED: HeaderName = HeaderName::from_static("writ-journal-closed");

async fn say_closed(State(shared): App, request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    if let Some(because) = shared.pipeline.journal().closed() {
        let plain = because.replace(|c: char| !c.is_ascii() || c.is_ascii_control(), " ");
        let because = HeaderValue::from_str(&plain).unwrap_or(HeaderValue::from_static("its log says why"));
        answer.headers_mut().insert(CLOSED, because);
    }
    answer
}

/// Who asks, by bearer token.
pub(crate) struct Caller(pub(crate) Principal);

impl Caller {
    pub(crate) fn actor(&self) -> Actor {
        Actor::human(&self.0.id)
    }

    /// Whoever asks must hold the role.
    pub(crate) fn must(&self, role: &str) -> Result<(), Failure> {
        if self.0.roles.iter().any(|held| held == role) {
            return Ok(());
        }
        let detail = format!("`{}` does not hold the role `{role}`", self.0.id);
        Err(Failure::new(StatusCode::FORBIDDEN, "forbidden", detail)
            .hint("use a token of somebody who does, with `--as`"))
    }
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Failure> {
        let refused = || {
            Failure::new(StatusCode::UNAUTHORIZED, "unauthorised", "the request has no valid bearer token")
                .hint("give one with `--as NAME`, or in `WRIT_TOKEN`")
        };
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        // A page of the console reads with its session. What changes something wants a token: no other site can send one.
        if header.is_none()
            && parts.method == Method::GET
            && let Some(visitor) = crate::console::visitor_of(shared.pipeline.journal(), &parts.headers).await?
        {
            return Ok(Self(visitor));
        }
        let token = header.and_then(|value| bearer(value)).ok_or_else(refused)?;
        let Some(principal) = principal_of(shared.pipeline.journal(), token).await? else {
            shared.throttle.stranger(parts.extensions.get().map(|Peer(from)| *from))?;
            return Err(refused());
        };
        let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        if is_change(&parts.method, route) {
            shared.throttle.change(&principal.id)?;
        }
        Ok(Caller(principal))
    }
}

/// The token of an `Authorization` header; its scheme is read in any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

/// A JSON body; what is wrong with one is a problem like any other.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(rejected) => Err(Failure::unreadable(rejected.status(), &rejected.body_text())),
        }
    }
}

/// The parts of a path, likewise.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(extract::Path(parts)) => Ok(Self(parts)),
            Err(rejected) => Err(Failure::unreadable(rejected.status(), &rejected.body_text())),
        }
    }
}

/// A query string, likewise.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejected) => Err(Failure::unreadable(rejected.status(), &rejected.body_text())),
        }
    }
}

/// The most that a person may say about something, in bytes.
const WORDS_MAX: usize = 4_096;

/// What a person says about something, which may be nothing.
pub(crate) fn words(text: &str) -> Result<&str, Failure> {
    let text = text.trim();
    if text.len() <= WORDS_MAX {
        return Ok(text);
    }
    let detail = format!("a reason of {} bytes is longer than {WORDS_MAX}", text.len());
    Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
        .hint("say it shorter, and name a document for the rest"))
}

/// What a person has to say about something.
pub(crate) fn reason(text: &str) -> Result<&str, Failure> {
    match words(text)? {
        "" => Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", "a reason is missing")),
        text => Ok(text),
    }
}

/// An id from a path, as the sort it should be.
pub(crate) fn parsed<T: std::str::FromStr<Err = writ_core::IdError>>(text: &str) -> Result<T, Failure> {
    text.parse()
        .map_err(|error: writ_core::IdError| Failure::new(StatusCode::BAD_REQUEST, "invalid", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn a_bearer_token_is_read_whatever_the_case_of_its_scheme() {
        for (header, token) in [
            ("Bearer writ_1", Some("writ_1")),
            ("bearer writ_1", Some("writ_1")),
            ("BEARER  writ_1", Some("writ_1")),
            ("Basic writ_1", None),
            ("Bearerwrit_1", None),
            ("", None),
        ] {
            assert_eq!(bearer(header), token, "{header}");
        }
    }
}
