//! The routes, and who may use them.

mod access;
mod actions;
mod agents;
mod audit;
mod body;
mod changes;
mod contracts;
mod filter;
mod glass;
mod health;
mod holders;
mod intents;
mod links;
mod lists;
mod log;
mod matches;
mod modes;
mod notifications;
mod of;
mod once;
mod openapi;
mod part;
mod people;
mod phrase;
mod playbooks;
mod policies;
mod resources;
mod route;
mod runs;
mod safety;
mod shape;
mod standing;
mod trials;
mod versions;
mod waivers;

#[cfg(test)]
mod tests;

pub(crate) use access::{Caller, Needs, by_token, still};
pub(crate) use agents::{AgentDetails, tell_agent};
pub(crate) use audit::{check as check_journal, filter as audit_filter};
pub(crate) use body::{Asked, Body, Path, misread, too_large};
pub(crate) use filter::begins;
pub(crate) use lists::{counted, is_outdated, votes};
pub(crate) use modes::{wish as mode_wish, with_words};
pub(crate) use of::Of;
pub(crate) use openapi::text as openapi;
pub(crate) use people::begins_with_token;
pub(crate) use resources::{looked_over, tell_healing};
pub(crate) use route::Route;
pub(crate) use runs::not_told;
pub(crate) use waivers::begins_with_waiver;

use crate::config::Config;
use crate::error::Failure;
use crate::events::{self, Feed};
use crate::limits::Throttle;
use crate::metrics::Metrics;
use crate::wire::{Break, NextKey, Processes};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use std::sync::Arc;
use writ_pipeline::Pipeline;
use writ_text::is_blank;

/// What every route needs.
pub struct Shared {
    pub(crate) pipeline: Pipeline,
    pub(crate) processes: Processes,
    pub(crate) next_key: NextKey,
    pub(crate) throttle: Throttle,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) feed: Feed,
    pub(crate) under_way: once::UnderWay,
    /// What breaks an instance on purpose; none where nobody may.
    pub(crate) breaks: Option<Break>,
    /// The issuer that people may log in by.
    #[cfg(feature = "oidc")]
    pub(crate) oidc: Option<crate::oidc::Oidc>,
}

impl Shared {
    /// Over an open installation. Must run within a runtime.
    pub(crate) fn new(pipeline: Pipeline, processes: Processes, next_key: NextKey, config: &Config) -> Self {
        let (throttle, metrics) = (Throttle::new(&config.limits), Metrics::new());
        let feed = Feed::follow(pipeline.journal());
        Self {
            pipeline,
            processes,
            next_key,
            throttle,
            config: config.clone(),
            metrics,
            feed,
            under_way: once::UnderWay::default(),
            breaks: None,
            #[cfg(feature = "oidc")]
            oidc: None,
        }
    }
}

pub(crate) type App = State<Arc<Shared>>;
pub(crate) type Answer<T> = Result<axum::Json<T>, Failure>;

/// Every route, with who may use it: the router and the OpenAPI document are made of this and of nothing else.
pub(crate) fn table() -> Vec<Route> {
    let mut table = vec![
        Route::get("/api/v1/openapi.json", Needs::Nobody, openapi::serve)
            .says("server", "Get this document", "OpenAPI 3.1, made of the table that the server routes by.")
            .answers::<openapi::OpenApiDocument>(),
        events::route(),
    ];
    for resource in [
        intents::routes,
        versions::routes,
        playbooks::routes,
        actions::routes,
        runs::routes,
        lists::routes,
        resources::routes,
        contracts::routes,
        policies::routes,
        trials::routes,
        safety::routes,
        modes::routes,
        waivers::routes,
        glass::routes,
        changes::routes,
        standing::routes,
        audit::routes,
        log::routes,
        people::routes,
        agents::routes,
        links::routes,
        notifications::routes,
        health::routes,
    ] {
        table.extend(resource());
    }
    table
}

/// The whole server: the table's routes, each behind what it needs, and the pages of the console.
pub fn router(shared: Arc<Shared>) -> Router {
    let mut routes = if shared.config.console {
        let noted = middleware::from_fn_with_state(shared.clone(), access::noted);
        crate::console::routes(&shared).route_layer(noted)
    } else {
        Router::new()
    };
    for route in table() {
        let (plain, untagged) = (route.takes_no_query(), route.takes_no_tag());
        let rule = access::Rule { needs: route.needs, of: route.of, again: route.again, plain, untagged };
        let admit = middleware::from_fn_with_state((shared.clone(), rule), access::admit);
        routes = routes.route(route.path, route.handler.route_layer(admit));
    }
    routes
        .method_not_allowed_fallback(async || {
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, "invalid", "this resource does not take that method")
        })
        .fallback(crate::console::missing)
        .layer(middleware::from_fn_with_state(shared.clone(), crate::received::whole))
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

/// The most that a person may say about something, in characters, as its forms have it; they send a line's end as two.
const WORDS_MAX: usize = 4_000;

/// What a person says about something, which may be nothing.
pub(crate) fn words(text: &str) -> Result<&str, Failure> {
    let text = text.trim();
    let length = text.chars().filter(|c| *c != '\r').count();
    if length <= WORDS_MAX {
        return Ok(text);
    }
    let detail = format!("a reason of {length} characters is longer than {WORDS_MAX}");
    Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
        .hint("say it shorter, and name a document for the rest")
        .at("/reason"))
}

/// What a person has to say about something: words that can be seen.
pub(crate) fn reason(text: &str) -> Result<&str, Failure> {
    match words(text)? {
        text if text.chars().all(is_blank) => {
            Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", "a reason is missing").at("/reason"))
        }
        text => Ok(text),
    }
}

/// The plan that a form says was looked at, which may be none. Another text is never taken for none: what was looked at would
/// not be what is done.
pub(crate) fn looked_at(text: &str) -> Result<Option<writ_core::Digest>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let detail = format!("`{}` is not the digest of a plan", crate::error::short(text));
        Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
            .hint("look at the page again, and send its form")
    })
}

/// How many items a page has at the most.
const PAGE_MAX: usize = 1_000;

/// The items that a page may have.
pub(crate) fn limit(wanted: usize) -> Result<usize, Failure> {
    if (1..=PAGE_MAX).contains(&wanted) {
        return Ok(wanted);
    }
    let detail = format!("`limit` is {wanted}; a page has 1 to {PAGE_MAX} items");
    Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
        .hint("`next` of one page is `after` of the following")
        .parameter("limit"))
}

/// The id in a path, as the sort it should be.
pub(crate) fn parsed<T: std::str::FromStr<Err = writ_core::IdError>>(text: &str) -> Result<T, Failure> {
    id(text).map_err(|failure| failure.parameter("id"))
}

/// The digest in a path, with `sha256:` before its digits or without.
pub(crate) fn digest(text: &str) -> Result<writ_core::Digest, Failure> {
    let read = if text.starts_with("sha256:") { text.parse() } else { writ_core::Digest::from_hex(text) };
    read.map_err(|error| Failure::new(StatusCode::BAD_REQUEST, "invalid", error.to_string()).parameter("digest"))
}

/// An id in a body, where a pointer says.
pub(crate) fn field<T: std::str::FromStr<Err = writ_core::IdError>>(pointer: &str, text: &str) -> Result<T, Failure> {
    id(text).map_err(|failure| failure.at(pointer))
}

fn id<T: std::str::FromStr<Err = writ_core::IdError>>(text: &str) -> Result<T, Failure> {
    text.parse()
        .map_err(|error: writ_core::IdError| Failure::new(StatusCode::BAD_REQUEST, "invalid", error.to_string()))
}
