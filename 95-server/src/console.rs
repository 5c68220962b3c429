//! The console: pages that the server renders, for people. Everything is read and answered without JavaScript; scripts add what
//! is live. A page is a typed struct and a template beside it; what changes something is a form that posts to the page it is on.

mod agent;
mod agents;
mod approvals;
mod assets;
mod audit;
mod components;
mod contracts;
mod decisions;
mod decommission;
mod diff;
mod draw;
mod frame;
mod given;
mod home;
mod impact;
mod incidents;
mod intents;
#[cfg(test)]
mod laws;
mod list;
mod look;
mod modes;
#[cfg(feature = "oidc")]
mod oidc;
mod policy;
mod recommendations;
mod reference;
mod runs;
mod session;
mod settings;
mod steps;
mod submit;
mod why;
pub(crate) mod words;

use crate::api::{App, Shared};
use crate::error::Failure;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;
use tower_http::compression::CompressionLayer;

pub(crate) use audit::{attached, named};
use frame::PageError;
pub(crate) use session::{session_shown, visitor_of};

/// What a page may load: its own scripts, styles and pictures, and nothing inline.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages.
pub(crate) fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    issuer_routes()
        .route("/", get(home::page))
        .route("/login", get(session::page).post(session::open))
        .route("/logout", post(session::close))
        .route("/theme", post(settings::theme))
        .route("/intents", get(intents::list))
        .route("/intents/new", get(submit::form).post(submit::submit))
        .route("/intents/check", post(submit::check))
        .route("/intents/{id}", get(intents::one))
        .route("/intents/{id}/decommission", get(decommission::page).post(decommission::ask))
        .route("/policy", get(policy::page))
        .route("/policy/playground", get(policy::playground).post(policy::play))
        .route("/waivers", post(policy::ask))
        .route("/waivers/{id}", post(policy::answer))
        .route("/runs", get(runs::list))
        .route("/runs/{id}", get(runs::one).post(runs::command))
        .route("/approvals", get(approvals::list))
        .route("/approvals/{id}", get(approvals::one).post(approvals::answer))
        .route("/components/{id}", get(components::page).post(components::break_one))
        .route("/components/{id}/modes/{action}", get(modes::page).post(modes::change))
        .route("/shadow-decisions/{id}", post(modes::judge))
        .route("/incidents", get(incidents::list))
        .route("/incidents/{id}", get(incidents::one).post(incidents::command))
        .route("/audit", get(audit::list))
        .route("/audit/verify", get(audit::verify))
        .route("/audit/{id}", get(audit::one))
        .route("/recommendations", get(recommendations::list).post(recommendations::collect))
        .route("/recommendations/{id}", get(recommendations::one).post(recommendations::answer))
        .route("/agents", get(agents::page).post(agents::kill_switch))
        .route("/agents/{id}", get(agent::page).post(agent::command))
        .route("/contracts", get(contracts::page))
        .route("/reference", get(reference::page))
        .route("/reference/{group}", get(reference::resource))
        .route("/settings", get(settings::page))
        .route("/why", get(why::find))
        .route("/why/{*id}", get(why::page))
        .layer(middleware::from_fn_with_state(shared.clone(), frame::around))
        .layer(middleware::from_fn(guard))
        .layer(CompressionLayer::new())
        .merge(Router::new().route("/assets/{name}", get(assets::file)).layer(CompressionLayer::new()))
}

/// What is said of a path that leads nowhere: a page for a browser, a problem for a program.
pub(crate) async fn missing(State(shared): App, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let failure = Failure::not_found("page", &path);
    let accepts = request.headers().get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
    let machines = path.starts_with("/api/") || path.starts_with("/log/") || !shared.config.console;
    if machines || !accepts.contains("text/html") {
        return failure.into_response();
    }
    let page = PageError::from(failure).into_response();
    guarded(frame::dressed(&shared, request.headers(), String::new(), page).await)
}

/// Logging in by an issuer.
#[cfg(feature = "oidc")]
fn issuer_routes() -> Router<Arc<Shared>> {
    Router::new().route("/login/oidc", get(oidc::begin)).route(crate::oidc::CALLBACK, get(oidc::end))
}

#[cfg(not(feature = "oidc"))]
fn issuer_routes() -> Router<Arc<Shared>> {
    Router::new()
}

/// Pages are for the reader alone, and what changes something comes from a page of ours: browsers say where a form was, and
/// a page elsewhere cannot make them say otherwise.
async fn guard(request: Request, next: Next) -> Response {
    if request.method() == Method::POST && !is_own(request.headers()) {
        let told = "this form was sent from another site, and nothing was done\n";
        return (StatusCode::FORBIDDEN, told).into_response();
    }
    guarded(next.run(request).await)
}

fn guarded(mut answer: Response) -> Response {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

pub(crate) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a request was made by a page of this server. A browser says `Sec-Fetch-Site`, or `Origin` if it is an old one; who
/// says neither is no browser and holds no cookie that another site could use.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(&FETCH_SITE) {
        return matches!(site, "same-origin" | "none");
    }
    match (text(&header::ORIGIN), text(&header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, authority)| authority == host),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_from_another_site_is_told_from_one_of_ours() {
        let of = |said: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in said {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            is_own(&headers)
        };
        let host = ("host", "127.0.0.1:7420");
        assert!(of(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(!of(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(!of(&[host, ("sec-fetch-site", "same-site")]), "another port is another site");
        assert!(!of(&[host, ("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:7420")]));
        assert!(of(&[host, ("origin", "http://127.0.0.1:7420")]));
        assert!(!of(&[host, ("origin", "http://127.0.0.1:7421")]));
        assert!(!of(&[host, ("origin", "null")]));
        assert!(!of(&[("origin", "http://127.0.0.1:7420")]));
        assert!(of(&[host]), "a program that is no browser");
    }
}
