//! What stands around every route: headers that keep browsers from harm, a time by which there is an answer, and an answer even
//! when a handler comes to grief.

use crate::config::Limits;
use crate::console::FETCH_SITE;
use crate::error::Failure;
use crate::metrics::Metrics;
use crate::trace::traced;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use tokio::sync::watch;
use tracing::Instrument;
use writ_core::TraceId;
use writ_pipeline::under_trace;

/// What an answer says unless it says otherwise itself. Pages have a content security policy of their own.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What takes a page away from the page of another origin that opened it. A browser begins another process for it, which is a fifth
/// of the time until something is seen; so it is said to all but [`OPENED_BY_NOBODY_ELSE`].
const APART: (HeaderName, &str) = (HeaderName::from_static("cross-origin-opener-policy"), "same-origin");

/// What browsers say of a page that its user opened by hand, or that one of ours led to (Fetch Metadata, `Sec-Fetch-Site`). Another
/// origin's page, also one on another port of this host, holds no window of these.
const OPENED_BY_NOBODY_ELSE: [&str; 2] = ["none", "same-origin"];

/// What an answer says besides, when it came over TLS.
const WITH_TLS: (HeaderName, &str) = (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");

/// Requests that are being answered, whether or not somebody still waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Underway(watch::Sender<usize>);

impl Underway {
    pub(crate) fn none() -> Self {
        Self(watch::Sender::new(0))
    }

    fn begin(&self) -> Begun {
        self.0.send_modify(|count| *count += 1);
        Begun(self.clone())
    }

    /// Waits until there is none.
    pub(crate) async fn over(&self) {
        // The sender is held here, so there is nothing that could fail.
        drop(self.0.subscribe().wait_for(|count| *count == 0).await);
    }
}

struct Begun(Underway);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

/// Puts the guards around routes.
pub(crate) fn guarded(routes: Router, limits: &Limits, tls: bool, underway: &Underway, metrics: &Metrics) -> Router {
    let carried = Carried { most: Duration::from_secs(limits.request_seconds), underway: underway.clone() };
    routes
        .layer(DefaultBodyLimit::max(usize::try_from(limits.body_bytes).unwrap_or(usize::MAX)))
        .layer(middleware::from_fn_with_state(carried, carry))
        .layer(middleware::from_fn_with_state(metrics.clone(), traced))
        .layer(middleware::from_fn_with_state(tls, say_headers))
}

#[derive(Clone)]
struct Carried {
    most: Duration,
    underway: Underway,
}

/// Carries a request to its end, whatever becomes of who asked: what was begun is not cut half way by a client that has gone, nor
/// by the time that it is given.
async fn carry(State(carried): State<Carried>, request: Request, next: Next) -> Response {
    let begun = carried.underway.begin();
    let work = async move {
        let _begun = begun;
        match request.extensions().get::<TraceId>().cloned() {
            Some(trace) => under_trace(trace, next.run(request)).await,
            None => next.run(request).await,
        }
    };
    let task = tokio::spawn(work.in_current_span());
    match tokio::time::timeout(carried.most, task).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Failure::internal(&error).into_response(),
        Err(_) => {
            tracing::warn!(seconds = carried.most.as_secs(), "an answer took too long; the work goes on");
            let detail = format!("there is no answer within {} s; what was asked for goes on", carried.most.as_secs());
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "slow", detail)
                .hint("look what became of it before you ask again")
                .into_response()
        }
    }
}

async fn say_headers(State(tls): State<bool>, request: Request, next: Next) -> Response {
    let site = request.headers().get(FETCH_SITE);
    let foreign = site.is_none_or(|site| OPENED_BY_NOBODY_ELSE.iter().all(|own| site != own));
    let mut answer = next.run(request).await;
    for (name, value) in HEADERS.into_iter().chain(foreign.then_some(APART)).chain(tls.then_some(WITH_TLS)) {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use axum::body::{Body, Bytes};
    use axum::routing::{get, post};
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use std::sync::Arc;
    use tokio::sync::Notify;

    async fn ask(router: &Router, request: Request) -> (StatusCode, Vec<(String, String)>, String) {
        let answer = TowerToHyperService::new(router.clone()).call(request).await.unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    }

    fn request(method: &str, path: &str, body: impl Into<Body>) -> Request {
        Request::builder().method(method).uri(path).body(body.into()).unwrap()
    }

    fn guard(routes: Router, tls: bool) -> (Router, Underway) {
        let limits = Limits { body_bytes: 1_024, request_seconds: 30, ..Config::standard().limits };
        let underway = Underway::none();
        (guarded(routes, &limits, tls, &underway, &Metrics::new()), underway)
    }

    fn has(headers: &[(String, String)], name: &str, value: &str) -> bool {
        headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
            == [value]
    }

    #[tokio::test]
    async fn every_answer_keeps_browsers_from_harm_and_none_is_overruled() {
        let own = async || [("content-security-policy", "default-src 'self'"), ("cache-control", "max-age=60")];
        let routes = Router::new().route("/own", get(own)).route("/plain", get(async || "x"));
        let (router, _) = guard(routes.clone(), false);
        for path in ["/plain", "/nowhere"] {
            let (_, headers, _) = ask(&router, request("GET", path, "")).await;
            for (name, value) in &HEADERS {
                assert!(has(&headers, name.as_str(), value), "{path} {name}: {headers:?}");
            }
            assert!(!headers.iter().any(|(name, _)| name == "strict-transport-security"));
        }
        let (_, headers, _) = ask(&router, request("GET", "/own", "")).await;
        assert!(has(&headers, "content-security-policy", "default-src 'self'"), "{headers:?}");
        assert!(has(&headers, "cache-control", "max-age=60") && has(&headers, "x-content-type-options", "nosniff"));
        let (_, headers, _) = ask(&guard(routes, true).0, request("GET", "/plain", "")).await;
        assert!(has(&headers, "strict-transport-security", "max-age=31536000"));
    }

    #[tokio::test]
    async fn only_a_page_that_nobody_else_can_have_opened_is_not_taken_apart() {
        let (router, _) = guard(Router::new().route("/", get(async || "x")), false);
        let cases = [
            (None, true),
            (Some("cross-site"), true),
            (Some("same-site"), true),
            (Some("None"), true),
            (Some(""), true),
            (Some("none"), false),
            (Some("same-origin"), false),
        ];
        for (site, apart) in cases {
            let mut asked = request("GET", "/", "");
            let site = site.map(|site| (FETCH_SITE, HeaderValue::from_static(site)));
            asked.headers_mut().extend(site.clone());
            let (_, headers, _) = ask(&router, asked).await;
            let (name, value) = APART;
            assert_eq!(has(&headers, name.as_str(), value), apart, "{site:?}: {headers:?}");
            assert_eq!(headers.iter().any(|(known, _)| known == name.as_str()), apart, "{site:?}: {headers:?}");
        }
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_for_and_tells_nobody_why() {
        let routes = Router::new().route("/panic", get(async || -> &'static str { panic!("a secret of ours") }));
        let (router, _) = guard(routes, false);
        let (status, headers, body) = ask(&router, request("GET", "/panic", "")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(has(&headers, "content-type", "application/problem+json"), "{headers:?}");
        assert!(body.contains("\"code\":\"internal\"") && !body.contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused() {
        let routes = Router::new().route("/", post(async |body: Bytes| body.len().to_string()));
        let (router, _) = guard(routes, false);
        let (status, ..) = ask(&router, request("POST", "/", "x".repeat(1_024))).await;
        assert_eq!(status, StatusCode::OK);
        let (status, ..) = ask(&router, request("POST", "/", "x".repeat(1_025))).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_answered_and_goes_on_and_is_waited_for() {
        let (gate, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let slow = {
            let (gate, done) = (gate.clone(), done.clone());
            async move || {
                gate.notified().await;
                done.notify_one();
            }
        };
        let (router, underway) = guard(Router::new().route("/", post(slow)), false);
        let (status, _, body) = ask(&router, request("POST", "/", "")).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("\"code\":\"slow\"") && body.contains("within 30 s"), "{body}");
        let over = underway.over();
        tokio::pin!(over);
        assert!(tokio::time::timeout(Duration::from_secs(60), &mut over).await.is_err(), "it goes on");
        gate.notify_one();
        over.await;
        done.notified().await;
    }
}
