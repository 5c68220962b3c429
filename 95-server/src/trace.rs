//! Requests as traces know them: W3C `traceparent` in and out, a span around every log line, and what is measured of each.

use crate::metrics::Metrics;
use crate::system::SystemEntropy;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::Instrument;
use writ_core::{Entropy, TraceId};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What a request that no route takes is counted under.
const NOWHERE: &str = "none";

/// Works on a request under its trace, which is the caller's when it names one. Entries that the request begins, the lines that
/// are logged and the answer name it.
pub(crate) async fn traced(State(metrics): State<Metrics>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let given = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(trace_of);
    let trace = given.unwrap_or_else(fresh_trace);
    let route = request.extensions().get::<MatchedPath>().map_or(NOWHERE, MatchedPath::as_str).to_owned();
    // Whoever makes up methods does not make up metrics.
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known.to_owned(),
        _ => "other".to_owned(),
    };
    request.extensions_mut().insert(trace.clone());
    let span = tracing::error_span!("request", trace_id = %trace, method, route);
    let mut answer = next.run(request).instrument(span.clone()).await;
    let (status, took) = (answer.status().as_u16(), began.elapsed());
    metrics.answered(&method, &route, status, took);
    span.in_scope(|| tracing::info!(status, micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX), "answered"));
    if let Ok(value) = HeaderValue::from_str(&traceparent(&trace)) {
        answer.headers_mut().insert(TRACEPARENT, value);
    }
    answer
}

/// The trace that a `traceparent` names; none when it is not one.
fn trace_of(value: &str) -> Option<TraceId> {
    let mut parts = value.splitn(5, '-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let sound = hex(version, 2) && hex(parent, 16) && hex(flags, 2) && parent.bytes().any(|byte| byte != b'0');
    // Later versions may say more; the first says no more than this.
    let whole = version != "ff" && (version != "00" || parts.next().is_none());
    (sound && whole).then(|| TraceId::try_from(trace.to_owned()).ok()).flatten()
}

fn fresh_trace() -> TraceId {
    let mut chance = [0; 16];
    SystemEntropy.fill(&mut chance);
    TraceId::of(chance)
}

/// What the answer says: the trace, and our own part of it.
fn traceparent(trace: &TraceId) -> String {
    let mut own = [0; 8];
    SystemEntropy.fill(&mut own);
    own[7] |= 1;
    format!("00-{trace}-{}-01", hex::encode(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_says() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let sound = |text: &str| trace_of(text).map(|trace| trace.to_string());
        for given in [
            format!("00-{trace}-00f067aa0ba902b7-01"),
            format!("00-{trace}-00f067aa0ba902b7-00"),
            format!("cc-{trace}-00f067aa0ba902b7-01-what-later-versions-say"),
        ] {
            assert_eq!(sound(&given).as_deref(), Some(trace), "{given}");
        }
        for given in [
            String::new(),
            trace.to_owned(),
            format!("00-{trace}-00f067aa0ba902b7"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{trace}-00f067aa0ba902b7-01-more"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00-{trace}x-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(sound(&given), None, "{given}");
        }
        let answered = traceparent(&fresh_trace());
        assert_eq!(sound(&answered).map(|trace| trace.len()), Some(32), "{answered}");
    }
}
