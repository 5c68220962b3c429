//! The journal as it grows: server-sent events, one for each entry, whose id is the entry's place. A client that says which it
//! had last misses nothing, however long it was away.
//!
//! One task reads each new entry once and hands it to all who listen. Whoever falls behind what is kept in memory is told so
//! (`behind`) and goes on from the journal itself, at its own speed; a client that does not read costs its place in line and
//! a buffer of the connection, and nothing grows.

use crate::api::{App, Asked, Needs, Route, Shared};
use crate::error::Failure;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use prometheus_client::metrics::gauge::Gauge;
use serde::Deserialize;
use serde_json::json;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use utoipa::IntoParams;
use writ_core::{Entry, LedgerError};
use writ_pipeline::{Journal, decode, sentence};

/// Entries that are kept in memory for those who listen.
const KEPT: usize = 1_024;

/// Entries that are read from the journal at once.
const PAGE: usize = 256;

/// How often something is said when nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Clients at the most; one more is refused.
const CLIENTS_MAX: usize = 2_000;

/// An entry as clients see it.
struct Told {
    seq: u64,
    stream: String,
    data: String,
}

impl Told {
    fn of(entry: &Entry) -> Self {
        let data = json!({
            "seq": entry.seq, "event_id": entry.event_id, "at": entry.timestamp, "kind": entry.kind, "action": entry.action,
            "actor": entry.actor, "resource": entry.resource, "outcome": entry.outcome, "stream": entry.stream,
            "trace_id": entry.trace_id, "text": sentence(entry),
        });
        Self { seq: entry.seq, stream: entry.stream.clone(), data: data.to_string() }
    }

    fn event(&self) -> Event {
        Event::default().event("entry").id(self.seq.to_string()).data(&self.data)
    }
}

/// What everybody listens to.
pub(crate) struct Feed {
    sender: broadcast::Sender<Arc<Told>>,
    clients: Arc<AtomicUsize>,
}

impl Feed {
    /// Follows a journal from now on, until the journal is gone.
    pub(crate) fn follow(journal: &Journal) -> Self {
        let (sender, _) = broadcast::channel(KEPT);
        let (journal, tell) = (journal.clone(), sender.clone());
        let mut grown = journal.size();
        let mut next = *grown.borrow();
        tokio::spawn(async move {
            while grown.changed().await.is_ok() {
                let size = *grown.borrow();
                if let Err(error) = forward(&journal, &tell, &mut next, size).await {
                    // Those who listen go on from the journal themselves when they see a gap.
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "entries were not handed to those who listen"
                    );
                }
            }
        });
        Self { sender, clients: Arc::default() }
    }
}

async fn forward(
    journal: &Journal,
    tell: &broadcast::Sender<Arc<Told>>,
    next: &mut u64,
    size: u64,
) -> Result<(), LedgerError> {
    while *next < size {
        let page = journal.ledger().entries(*next, PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        for stored in page {
            *next = stored.seq + 1;
            if tell.receiver_count() > 0 {
                // Nobody may listen any more.
                drop(tell.send(Arc::new(Told::of(&decode(&stored)?))));
            }
        }
    }
    Ok(())
}

/// What a client wants to hear.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wanted {
    /// The entry that was seen last; what came after it is told first. `Last-Event-ID` says the same and is newer.
    after: Option<i64>,
    /// Beginnings of streams' names, with commas between them.
    streams: Option<String>,
}

const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const NO_BUFFER: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(crate) fn route() -> Route {
    Route::get("/api/v1/events", Needs::Reader, events)
        .says(
            "audit",
            "Follow the journal as it grows",
            "Server-sent events, one for each entry, with the entry's place as id. Whoever comes back with `Last-Event-ID` misses \
             nothing. An event `behind` says that a slow client is given what it missed from the journal. A comment is sent every \
             15 s when nothing happens.",
        )
        .query::<Wanted>()
        .header("last-event-id", "the id of the last event that was had; newer than `after`")
        .answers_as("text/event-stream")
}

async fn events(State(shared): App, headers: HeaderMap, Asked(wanted): Asked<Wanted>) -> Result<Response, Failure> {
    let clients = shared.feed.clients.clone();
    if clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS_MAX {
        clients.fetch_sub(1, Ordering::Relaxed);
        let full =
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "busy", format!("{CLIENTS_MAX} clients listen already"));
        return Err(full.hint("try again in a while"));
    }
    shared.metrics.sse_clients.inc();
    let place = Place { clients, gauge: shared.metrics.sse_clients.clone() };
    let seen = match headers.get(LAST_EVENT) {
        Some(value) => {
            let text = value.to_str().unwrap_or_default();
            let seen = text.parse::<i64>().map_err(|_| {
                let detail = format!("`{}` is no entry's place", crate::error::short(text));
                Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).hint("`Last-Event-ID` is the id of an event")
            })?;
            Some(seen)
        }
        None => wanted.after,
    };
    // Whoever listens first and reads then misses nothing in between.
    let heard = shared.feed.sender.subscribe();
    let size = *shared.pipeline.journal().size().borrow();
    let next = seen.map_or(size, |seen| u64::try_from(seen.saturating_add(1)).unwrap_or(0)).min(size);
    let streams = wanted.streams.iter().flat_map(|streams| streams.split(',')).map(str::to_owned).collect();
    let client = Client { shared, heard, next, streams, ready: VecDeque::new(), behind: next < size, _place: place };
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("still here");
    let mut answer = Sse::new(client.stream()).keep_alive(heartbeat).into_response();
    answer.headers_mut().insert(NO_BUFFER, HeaderValue::from_static("no"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// A client's place among those who listen, given back when it is gone.
struct Place {
    clients: Arc<AtomicUsize>,
    gauge: Gauge,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
        self.gauge.dec();
    }
}

/// One who listens.
struct Client {
    shared: Arc<Shared>,
    heard: broadcast::Receiver<Arc<Told>>,
    /// The entry that is told next.
    next: u64,
    streams: Vec<String>,
    /// What is read and not told yet: a page at the most.
    ready: VecDeque<Event>,
    /// Whether entries are read from the journal, because they are not in memory any more.
    behind: bool,
    _place: Place,
}

impl Client {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut client| async move {
            let event = client.event().await?;
            Some((Ok(event), client))
        })
    }

    fn wants(&self, stream: &str) -> bool {
        self.streams.is_empty() || self.streams.iter().any(|wanted| stream.starts_with(wanted.as_str()))
    }

    /// The next event; none when there will be no more.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.behind {
                self.read().await?;
                continue;
            }
            match self.heard.recv().await {
                Ok(told) if told.seq < self.next => {}
                Ok(told) if told.seq > self.next => self.behind = true,
                Ok(told) => {
                    self.next = told.seq + 1;
                    if self.wants(&told.stream) {
                        return Some(told.event());
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    self.behind = true;
                    return Some(Event::default().event("behind").data(missed.to_string()));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads a page from the journal.
    async fn read(&mut self) -> Option<()> {
        let journal = self.shared.pipeline.journal();
        let page = journal.ledger().entries(self.next, PAGE).await;
        let page = page.and_then(|page| page.iter().map(decode).collect::<Result<Vec<Entry>, _>>());
        match page {
            Ok(page) => {
                self.behind = page.len() == PAGE;
                for entry in &page {
                    self.next = entry.seq + 1;
                    if self.wants(&entry.stream) {
                        self.ready.push_back(Told::of(entry).event());
                    }
                }
                Some(())
            }
            Err(error) => {
                // The client comes back with the id of the last event that it had.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "entries could not be read for one who listens"
                );
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::router;
    use crate::unreal::unreal;
    use axum::body::{Body, BodyDataStream};
    use axum::http::Request;
    use futures::StreamExt;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use writ_pipeline::{Pipeline, order_fault};

    async fn place() -> (Arc<Shared>, Pipeline) {
        unreal(&[("person-01", "ann", "writ_ann", &["viewer"])]).await
    }

    async fn listen(shared: &Arc<Shared>, query: &str, last: Option<&str>) -> (StatusCode, BodyDataStream) {
        let mut request = Request::get(format!("/api/v1/events{query}")).header("authorization", "Bearer writ_ann");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let routes = TowerToHyperService::new(router(shared.clone()));
        let answer = routes.call(request.body(Body::empty()).unwrap()).await.unwrap();
        (answer.status(), answer.into_body().into_data_stream())
    }

    /// The next event: its name and its id.
    async fn next(stream: &mut BodyDataStream) -> (String, Option<u64>) {
        let bytes = stream.next().await.unwrap().unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        (field("event: "), field("id: ").parse().ok())
    }

    async fn write(pipeline: &Pipeline, count: usize) {
        let by = writ_core::Actor::system("test");
        for _ in 0..count {
            order_fault(pipeline.journal(), "web", "i-1", &by).await.unwrap();
        }
    }

    fn size(pipeline: &Pipeline) -> u64 {
        *pipeline.journal().size().borrow()
    }

    #[tokio::test]
    async fn whoever_comes_back_is_told_what_they_missed_and_then_what_comes() {
        let (shared, pipeline) = place().await;
        let (from, upto) = (3, size(&pipeline) + 2);
        let (_, mut stream) = listen(&shared, "?after=9999", Some("2")).await;
        write(&pipeline, 2).await;
        for seq in from..upto {
            assert_eq!(next(&mut stream).await, ("entry".to_owned(), Some(seq)), "the header is newer than the query");
        }
        let (_, mut of_faults) = listen(&shared, "?after=-1&streams=demo/,none/", None).await;
        assert_eq!(next(&mut of_faults).await.1, Some(upto - 2), "only streams that were asked for");
    }

    #[tokio::test]
    async fn whoever_falls_behind_is_told_so_and_misses_nothing() {
        let (shared, pipeline) = place().await;
        let first = size(&pipeline);
        let (_, mut stream) = listen(&shared, "", None).await;
        write(&pipeline, 1).await;
        assert_eq!(next(&mut stream).await.1, Some(first));
        // More than is kept in memory comes while the client does not read.
        write(&pipeline, KEPT + 50).await;
        let last = size(&pipeline) - 1;
        let (mut wanted, mut told_behind) = (first + 1, 0);
        while wanted <= last {
            match next(&mut stream).await {
                (name, None) if name == "behind" => told_behind += 1,
                (_, id) => {
                    assert_eq!(id, Some(wanted));
                    wanted += 1;
                }
            }
        }
        assert_eq!(told_behind, 1);
        assert_eq!(shared.metrics.sse_clients.get(), 1);
        drop(stream);
        assert_eq!((shared.metrics.sse_clients.get(), shared.feed.clients.load(Ordering::Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn what_is_no_place_of_an_entry_is_refused() {
        let (shared, pipeline) = place().await;
        for last in ["x", "1.5", "99999999999999999999", "1 or 1=1"] {
            assert_eq!(listen(&shared, "", Some(last)).await.0, StatusCode::BAD_REQUEST, "{last}");
        }
        assert_eq!(listen(&shared, "?after=x", None).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(listen(&shared, "?since=1", None).await.0, StatusCode::BAD_REQUEST);
        // From beyond the end: what comes is told.
        let (status, mut stream) = listen(&shared, "", Some("999999")).await;
        let first = size(&pipeline);
        write(&pipeline, 1).await;
        assert_eq!((status, next(&mut stream).await.1), (StatusCode::OK, Some(first)));
    }
}
