//! Connections: taken, bounded, watched, and let go in order.
//!
//! A client may take so long for the head of a request, and be idle as long. There are so many connections at one time; when
//! one more comes, the one that is idle longest is closed for it, and when none is idle, the new one is told to come again.

use crate::config::Limits;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// Files that a server needs besides its connections.
const OTHER_FILES: u64 = 512;

/// How long nothing is accepted when the system has no room for more.
const NO_ROOM: Duration = Duration::from_millis(50);

/// What a client is told when every connection is in use.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The address that a request came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Takes an address. So many connections may wait to be accepted: one that finds no room comes again only after a second.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // What an earlier process left half closed does not keep this one away.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4_096)
}

/// A listener with its connections.
pub(crate) struct Serving {
    stopping: watch::Sender<bool>,
    task: JoinHandle<JoinSet<()>>,
}

impl Serving {
    pub(crate) fn start(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        router: Router,
        limits: Limits,
        connections: usize,
    ) -> Self {
        let (stopping, stops) = watch::channel(false);
        let door = Door { connections, lines: Lines::default(), limits, router, stops, tls };
        Self { stopping, task: tokio::spawn(accept(listener, Arc::new(door))) }
    }

    /// Takes no more connections, closes the idle ones, and waits so long for the others.
    pub(crate) async fn stop(self, drain: Duration) {
        self.stopping.send_replace(true);
        let Ok(mut open) = self.task.await else { return };
        let ended = tokio::time::timeout(drain, async { while open.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!(connections = open.len(), "connections were cut at the end: they took too long");
        }
        open.shutdown().await;
    }
}

/// As many connections as were asked for, or as the system gives files for.
pub(crate) fn room_for(connections: u64) -> usize {
    let wanted = connections.saturating_add(OTHER_FILES);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let reachable = maximum.unwrap_or(u64::MAX).min(wanted);
    if current.is_some_and(|current| current < reachable)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum })
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "the limit of open files stays as it is");
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = connections.min(files.saturating_sub(OTHER_FILES).max(files / 2));
    if room < connections {
        tracing::warn!(asked = connections, room, "the system gives files for fewer connections than asked for");
    }
    usize::try_from(room).unwrap_or(usize::MAX)
}

struct Door {
    connections: usize,
    lines: Lines,
    limits: Limits,
    router: Router,
    stops: watch::Receiver<bool>,
    tls: Option<TlsAcceptor>,
}

async fn accept(listener: TcpListener, door: Arc<Door>) -> JoinSet<()> {
    let (mut open, mut stops) = (JoinSet::new(), door.stops.clone());
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stops.wait_for(|stop| *stop) => return open,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let line = door.lines.take(door.connections);
                open.spawn(attend(door.clone(), stream, peer, line));
            }
            // A client that went away is nobody's trouble; a system without room for more gets it back in a moment.
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection was not accepted");
                tokio::time::sleep(NO_ROOM).await;
            }
        }
    }
}

async fn attend(door: Arc<Door>, mut stream: TcpStream, peer: SocketAddr, line: Option<Line>) {
    // A small answer should not wait for the next.
    drop(stream.set_nodelay(true));
    let patience = Duration::from_secs(door.limits.header_seconds);
    let Some(line) = line else {
        if door.tls.is_none() {
            drop(tokio::time::timeout(patience, stream.write_all(FULL)).await);
        }
        return;
    };
    let Some(tls) = &door.tls else { return speak(&door, stream, peer, &line).await };
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(patience, tls.accept(stream)) => shaken,
        () = line.state.close.notified() => return,
    };
    match shaken {
        Ok(Ok(stream)) => speak(&door, stream, peer, &line).await,
        Ok(Err(error)) => tracing::debug!(error = &error as &dyn std::error::Error, "a client does not speak TLS"),
        Err(_) => tracing::debug!("a client took too long to begin TLS"),
    }
}

/// Answers the requests of one connection.
async fn speak(door: &Door, stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr, line: &Line) {
    let router = TowerToHyperService::new(door.router.clone());
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (router, busy) = (router.clone(), line.busy());
        async move {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer.ip()));
            let answer: Response = router.call(request).await?;
            // A stream is in use for as long as it lasts.
            Ok::<_, std::convert::Infallible>(answer.map(|body| Kept { body, _busy: busy }))
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(door.limits.header_seconds))
        .max_buf_size(usize::try_from(door.limits.header_bytes).unwrap_or(usize::MAX))
        .serve_connection(TokioIo::new(stream), service);
    let (mut served, mut stops, mut stopping) = (pin!(served), door.stops.clone(), false);
    loop {
        tokio::select! {
            biased;
            _ = stops.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                served.as_mut().graceful_shutdown();
                if !line.is_busy() {
                    // Half a head is no request.
                    return;
                }
            }
            // Whoever was chosen to go may have begun a request meanwhile.
            () = line.state.close.notified() => if !line.is_busy() { return },
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended");
                }
                return;
            }
        }
    }
}

/// The connections that are open.
#[derive(Clone, Default)]
struct Lines {
    open: Arc<Mutex<HashMap<u64, Arc<LineState>>>>,
    /// Counts up with everything that happens, so that what was idle longest has the lowest number.
    moments: Arc<AtomicU64>,
}

#[derive(Default)]
struct LineState {
    busy: AtomicUsize,
    since: AtomicU64,
    close: Notify,
}

impl Lines {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<LineState>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more connection, if need be that of the one that is idle longest; none when all are in use.
    fn take(&self, most: usize) -> Option<Line> {
        let id = self.moments.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(LineState { since: AtomicU64::new(id), ..LineState::default() });
        let mut open = self.open();
        if open.len() >= most {
            let idle = open.iter().filter(|(_, line)| line.busy.load(Ordering::Acquire) == 0);
            let oldest = idle.min_by_key(|(_, line)| line.since.load(Ordering::Relaxed)).map(|(id, _)| *id)?;
            if let Some(closing) = open.remove(&oldest) {
                closing.close.notify_one();
            }
        }
        open.insert(id, state.clone());
        drop(open);
        Some(Line { id, lines: self.clone(), state })
    }
}

/// One connection among the others; its place is free when it is dropped.
struct Line {
    id: u64,
    lines: Lines,
    state: Arc<LineState>,
}

impl Line {
    fn is_busy(&self) -> bool {
        self.state.busy.load(Ordering::Acquire) > 0
    }

    fn busy(&self) -> Busy {
        self.state.busy.fetch_add(1, Ordering::AcqRel);
        Busy { moments: self.lines.moments.clone(), state: self.state.clone() }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.lines.open().remove(&self.id);
    }
}

/// A request that is being answered.
struct Busy {
    moments: Arc<AtomicU64>,
    state: Arc<LineState>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.state.since.store(self.moments.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        self.state.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An answer's body, which keeps its connection in use until it has been sent.
struct Kept {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Kept {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
