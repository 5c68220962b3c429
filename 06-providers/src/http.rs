//! The little HTTP that the faces share: one question over a fresh connection, and a server that ends gracefully.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;

/// The most bytes an answer of ours may have; a state document of thousands of instances stays below it.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Connections served at once; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 4096;

/// How long a server waits for its open requests once it was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Puts one question and reads the whole answer.
pub(crate) async fn ask<S>(io: S, question: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(io)).await.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let outcome = async {
        let answer = sender.send_request(question).await.map_err(|error| chain(&error))?;
        let status = answer.status();
        let body =
            Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }
    .await;
    driver.abort();
    outcome
}

/// The status that `GET path` gives over a fresh connection.
pub(crate) async fn get(address: SocketAddr, path: &str, timeout: Duration) -> Result<StatusCode, String> {
    let question = Request::get(path)
        .header("host", address.to_string())
        .header("connection", "close")
        .header("user-agent", "writ-health")
        .body(Full::new(Bytes::new()))
        .map_err(|error| error.to_string())?;
    let answer = async {
        let stream = TcpStream::connect(address).await.map_err(|error| format!("connect: {error}"))?;
        ask(stream, question).await
    };
    match tokio::time::timeout(timeout, answer).await {
        Ok(Ok((status, _))) => Ok(status),
        Ok(Err(because)) => Err(because),
        Err(_) => Err(format!("no answer within {} ms", timeout.as_millis())),
    }
}

/// An error and everything beneath it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text = format!("{text}: {cause}");
        below = cause.source();
    }
    text
}

/// Where a server listens.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection of either sort.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

impl Listener {
    async fn accept(&self) -> std::io::Result<Box<dyn Wire>> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Listener::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// Serves until `stop` is ready, then takes nothing new and finishes what is open.
pub(crate) async fn serve<S, B>(listener: Listener, service: S, stop: impl Future<Output = ()>)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let open = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = async { (room.clone().acquire_owned().await, listener.accept().await) } => accepted,
        };
        let (Ok(place), Ok(stream)) = accepted else {
            // Out of descriptors, or the peer went away between the handshake and here: the next one may do better.
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(75))
            .serve_connection(TokioIo::new(stream), service.clone());
        let watched = open.watch(connection);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = watched.await {
                tracing::debug!(error = chain(&error), "a connection ended early");
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, open.shutdown()).await;
}

/// Ready when the process is told to end.
pub(crate) async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
}
