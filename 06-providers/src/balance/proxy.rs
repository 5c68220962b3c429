//! One client's request: to an instance, and to another one when the first breaks.
//!
//! A request whose bytes may have reached an instance is sent again only when its method is idempotent; one that certainly
//! did not get out is sent again whatever its method. Bodies above a small size are streamed and therefore sent once.

use super::backend::{Backend, InFlight};
use super::pool::Pool;
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, http::request::Parts};
use hyper_util::rt::TokioIo;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// A request's body on its way to an instance.
pub(super) type Payload = Either<Full<Bytes>, Incoming>;

/// Bodies up to this size are kept, so that request and answer can be tried again.
const KEPT_BYTES_MAX: u64 = 64 * 1024;
/// On how many instances one request is tried.
const ATTEMPTS_MAX: usize = 4;
/// How long one instance may take to begin its answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a request may take in all until its answer begins.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// How long a kept connection may take to be ready again.
const READY_MAX: Duration = Duration::from_millis(50);
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// Which instance answered, for operators.
const INSTANCE: HeaderName = HeaderName::from_static("x-writ-instance");

/// Headers that belong to one connection (RFC 9110, 7.6.1).
const HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Why an instance gave no answer.
enum Broken {
    /// Nothing got out; the request is handed back.
    Unsent { payload: Payload, because: String },
    /// It may have got out.
    Lost { because: String },
    /// It took too long.
    Stalled,
    /// It was found not to serve while the request waited.
    Failed,
}

/// An answer on its way to a client.
pub(super) type Answer = Either<Full<Bytes>, Streamed>;

pub(super) async fn forward(pool: &Arc<Pool>, request: Request<Incoming>) -> Response<Answer> {
    let began = Instant::now();
    let counted = pool.begin();
    let response = route(pool, request).await.unwrap_or_else(|(status, because)| {
        let mut response = Response::new(Either::Left(Full::new(Bytes::from(format!("{because}\n")))));
        *response.status_mut() = status;
        response
    });
    drop(counted);
    pool.end(!response.status().is_server_error(), micros_since(began));
    response
}

fn micros_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

type Refused = (StatusCode, String);

async fn route(pool: &Arc<Pool>, request: Request<Incoming>) -> Result<Response<Answer>, Refused> {
    let until = Instant::now() + REQUEST_MAX;
    let (mut parts, body) = request.into_parts();
    if parts.method == Method::CONNECT {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "this balancer makes no tunnels".to_owned()));
    }
    strip(&mut parts.headers);
    let (kept, mut payload) = keep(body, until).await?;
    let again = kept.is_some() && idempotent(&parts.method);
    let mut tried: Vec<Arc<Backend>> = Vec::new();
    let mut last = String::new();
    while tried.len() < ATTEMPTS_MAX {
        let Some(backend) = pool.pick(&tried).await else {
            return Err((StatusCode::SERVICE_UNAVAILABLE, format!("no instance can serve this request{last}")));
        };
        let (inside, began) = (backend.enter(), Instant::now());
        let sent = payload.take().or_else(|| kept.clone().map(|bytes| Either::Left(Full::new(bytes))));
        let Some(sent) = sent else { break };
        let outcome = match send(&backend, &parts, sent, until).await {
            Ok((response, connection)) => {
                deliver(pool, &backend, inside, began, response, connection, again, until).await
            }
            Err(broken) => Err(broken),
        };
        let (repeatable, because) = match outcome {
            Ok(response) => return Ok(response),
            Err(Broken::Unsent { payload: back, because }) => {
                pool.tell(&backend, backend.broke(&because));
                payload = Some(back);
                (true, because)
            }
            Err(Broken::Lost { because }) => {
                pool.tell(&backend, backend.broke(&because));
                (again, because)
            }
            Err(Broken::Stalled) => {
                pool.tell(&backend, backend.stalled());
                (again, "it did not answer in time".to_owned())
            }
            Err(Broken::Failed) => (again, "its checks failed meanwhile".to_owned()),
        };
        last = format!("; `{}` broke: {because}", backend.slot);
        if !repeatable {
            break;
        }
        if Instant::now() >= until {
            return Err((StatusCode::GATEWAY_TIMEOUT, format!("no instance answered in time{last}")));
        }
        pool.count_retry();
        tried.push(backend);
    }
    Err((StatusCode::BAD_GATEWAY, format!("no instance answered{last}")))
}

fn idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS | Method::TRACE)
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP {
        headers.remove(name);
    }
}

/// Reads a small body whole; leaves a large one, or one of unknown size, to be streamed.
async fn keep(body: Incoming, until: Instant) -> Result<(Option<Bytes>, Option<Payload>), Refused> {
    if body.size_hint().upper().is_none_or(|size| size > KEPT_BYTES_MAX) {
        return Ok((None, Some(Either::Right(body))));
    }
    match timeout_at(until, body.collect()).await {
        Ok(Ok(whole)) => Ok((Some(whole.to_bytes()), None)),
        Ok(Err(error)) => Err((StatusCode::BAD_REQUEST, format!("the request's body broke off: {error}"))),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the request's body did not come in time".to_owned())),
    }
}

fn rebuild(parts: &Parts, payload: Payload, backend: &Backend) -> Request<Payload> {
    let mut request = Request::new(payload);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.path_and_query().map(|path| path.clone().into()).unwrap_or_default();
    *request.headers_mut() = parts.headers.clone();
    if !parts.headers.contains_key(header::HOST) {
        let host = backend.setup.address.to_string();
        request
            .headers_mut()
            .insert(header::HOST, HeaderValue::from_str(&host).unwrap_or(HeaderValue::from_static("localhost")));
    }
    request
}

type Sent = (Response<Incoming>, SendRequest<Payload>);

/// Over a kept connection first. Such a one may have been closed at the other end without any fault, so when it breaks
/// before the request got out, a fresh one decides whether the instance is at fault.
async fn send(backend: &Arc<Backend>, parts: &Parts, payload: Payload, until: Instant) -> Result<Sent, Broken> {
    let mut payload = payload;
    if let Some(mut kept) = backend.take_idle()
        && matches!(timeout(READY_MAX, kept.ready()).await, Ok(Ok(())))
    {
        match exchange(backend, kept, rebuild(parts, payload, backend), until).await {
            Err(Broken::Unsent { payload: back, because: _ }) => payload = back,
            outcome => return outcome,
        }
    }
    let stream = match timeout(CONNECT_MAX, TcpStream::connect(backend.setup.address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Broken::Unsent { payload, because: format!("connect: {error}") }),
        Err(_) => return Err(Broken::Unsent { payload, because: "connect: no answer".to_owned() }),
    };
    let _ = stream.set_nodelay(true);
    match hyper::client::conn::http1::handshake(TokioIo::new(stream)).await {
        Ok((fresh, connection)) => {
            tokio::spawn(connection);
            exchange(backend, fresh, rebuild(parts, payload, backend), until).await
        }
        Err(error) => Err(Broken::Unsent { payload, because: error.to_string() }),
    }
}

async fn exchange(
    backend: &Arc<Backend>,
    mut connection: SendRequest<Payload>,
    request: Request<Payload>,
    until: Instant,
) -> Result<Sent, Broken> {
    // A request that must not be sent twice is left where it is, even when checks begin to fail.
    let leave = idempotent(request.method());
    let limit = until.min(Instant::now() + ANSWER_MAX);
    let answer = connection.try_send_request(request);
    tokio::select! {
        answer = timeout_at(limit, answer) => match answer {
            Ok(Ok(response)) => Ok((response, connection)),
            Ok(Err(mut error)) => Err(match error.take_message() {
                Some(back) => Broken::Unsent { payload: back.into_body(), because: error.error().to_string() },
                None => Broken::Lost { because: crate::http::chain(error.error()) },
            }),
            Err(_) => Err(Broken::Stalled),
        },
        () = backend.failed(), if leave => Err(Broken::Failed),
    }
}

/// Hands an answer on. A small one is read whole before anything of it goes out, so that one which breaks off can still be
/// had from another instance.
#[expect(clippy::too_many_arguments, reason = "one call; a struct for it would only rename them")]
async fn deliver(
    pool: &Arc<Pool>,
    backend: &Arc<Backend>,
    inside: InFlight,
    began: Instant,
    response: Response<Incoming>,
    connection: SendRequest<Payload>,
    again: bool,
    until: Instant,
) -> Result<Response<Answer>, Broken> {
    let (mut parts, body) = response.into_parts();
    strip(&mut parts.headers);
    if let Ok(name) = HeaderValue::from_str(&backend.slot) {
        parts.headers.insert(INSTANCE, name);
    }
    let well = !parts.status.is_server_error();
    let small = body.size_hint().upper().is_some_and(|size| size <= KEPT_BYTES_MAX);
    if !small {
        pool.tell(backend, backend.answered(well, micros_since(began)));
        let streamed =
            Streamed { body, pool: pool.clone(), backend: backend.clone(), connection: Some(connection), inside };
        return Ok(Response::from_parts(parts, Either::Right(streamed)));
    }
    let whole = tokio::select! {
        whole = timeout_at(until, body.collect()) => whole,
        () = backend.failed(), if again => return Err(Broken::Failed),
    };
    match whole {
        Ok(Ok(whole)) => {
            backend.give_idle(connection);
            pool.tell(backend, backend.answered(well, micros_since(began)));
            drop(inside);
            Ok(Response::from_parts(parts, Either::Left(Full::new(whole.to_bytes()))))
        }
        Ok(Err(error)) => Err(Broken::Lost { because: crate::http::chain(&error) }),
        Err(_) => Err(Broken::Stalled),
    }
}

/// A large answer, passed on as it comes.
pub(super) struct Streamed {
    body: Incoming,
    pool: Arc<Pool>,
    backend: Arc<Backend>,
    connection: Option<SendRequest<Payload>>,
    #[expect(dead_code, reason = "counts the request out when it is dropped")]
    inside: InFlight,
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => {
                if let Some(connection) = self.connection.take() {
                    self.backend.give_idle(connection);
                }
            }
            Poll::Ready(Some(Err(error))) => {
                self.connection = None;
                self.pool.broken_off();
                self.pool.tell(&self.backend, self.backend.broke(&crate::http::chain(error)));
            }
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_connection_go_no_further() {
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static("close, X-Mine"));
        headers.insert("x-mine", HeaderValue::from_static("1"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        strip(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn what_changes_something_each_time_is_not_idempotent() {
        assert!(idempotent(&Method::GET) && idempotent(&Method::PUT) && idempotent(&Method::DELETE));
        assert!(!idempotent(&Method::POST) && !idempotent(&Method::PATCH));
    }
}
