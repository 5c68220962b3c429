//! The journal as it grows: server-sent events, one for each entry, whose id is the entry's place. A client that says which it
//! had last misses nothing, however long it was away.
//!
//! One task reads each new entry once and hands it to all who listen. Whoever falls behind what is kept in memory is told so
//! (`behind`) and goes on from the journal itself, at its own speed; a client that does not read costs its place in line and
//! a buffer of the connection, and nothing grows.

use crate::api::{App, Asked, Caller, Needs, Route, Shared, still};
use crate::error::Failure;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use prometheus_client::metrics::gauge::Gauge;
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, timeout_at};
use utoipa::IntoParams;
use writ_core::{Entry, LedgerError, PrincipalId};
use writ_pipeline::{Journal, decode, sentence};

/// Entries that are kept in memory for those who listen.
const KEPT: usize = 1_024;

/// Entries that are read from the journal at once.
const PAGE: usize = 256;

/// What whoever listens must be, for as long as they do.
const NEEDS: Needs = Needs::Reader;

/// How often something is said when nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How often it is looked whether somebody who listens still may, however much they are told, when nothing says that they may not.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The parts of all connections that those who listen may hold, together and one person alone: pages and commands have room
/// beside them.
const PART_OF_ALL: u64 = 2;
const PART_OF_ONE: u64 = 4;

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
    /// How many listen, by person.
    clients: Arc<Mutex<BTreeMap<PrincipalId, u64>>>,
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
    Route::get("/api/v1/events", NEEDS, events)
        .says(
            "audit",
            "Follow the journal as it grows",
            "Server-sent events, one for each entry, with the entry's place as id. Whoever comes back with `Last-Event-ID` misses \
             nothing. An event `behind` says that a slow client is given what it missed from the journal. A comment is sent every \
             15 s when nothing happens. It ends when whoever follows may do so no more.",
        )
        .query::<Wanted>()
        .header("last-event-id", "the id of the last event that was had; newer than `after`")
        .answers_as("text/event-stream")
}

async fn events(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Failure> {
    let place = Place::take(&shared, &caller.0.id)?;
    let seen = match headers.get(LAST_EVENT) {
        Some(value) => {
            let text = value.to_str().unwrap_or_default();
            let seen = text.parse::<i64>().map_err(|_| {
                let detail = format!("`{}` is no entry's place", crate::error::short(text));
                Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
                    .parameter(LAST_EVENT.as_str())
                    .hint("`Last-Event-ID` is the id of an event")
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
    let own = format!("principal/{}", caller.0.id);
    let behind = next < size;
    let (ready, due) = (VecDeque::new(), Instant::now());
    let client = Client { shared, heard, next, streams, ready, behind, headers, due, own, _place: place };
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("still here");
    let mut answer = Sse::new(client.stream()).keep_alive(heartbeat).into_response();
    answer.headers_mut().insert(NO_BUFFER, HeaderValue::from_static("no"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// A client's place among those who listen, given back when it is gone.
struct Place {
    clients: Arc<Mutex<BTreeMap<PrincipalId, u64>>>,
    whose: PrincipalId,
    gauge: Gauge,
}

impl Place {
    fn take(shared: &Shared, whose: &PrincipalId) -> Result<Self, Failure> {
        let (all, one) =
            (shared.config.limits.connections / PART_OF_ALL, shared.config.limits.connections / PART_OF_ONE);
        let clients = shared.feed.clients.clone();
        let mut taken = clients.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |most: u64, who: &str| {
            let detail = format!("{who} follow events on {most} connections already");
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
                .hint("end some of them, or try again in a while")
        };
        if taken.values().sum::<u64>() >= all.max(1) {
            return Err(full(all, "people"));
        }
        let own = taken.entry(whose.clone()).or_default();
        if *own >= one.max(1) {
            return Err(full(one, "you"));
        }
        *own += 1;
        drop(taken);
        let gauge = shared.metrics.sse_clients.clone();
        gauge.inc();
        Ok(Self { clients, whose: whose.clone(), gauge })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.whose) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.whose);
            }
        }
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
    /// What was shown when it began: it may be revoked meanwhile.
    headers: HeaderMap,
    /// When it is looked next whether whoever listens still may.
    due: Instant,
    /// The stream of whoever listens, which says when something of theirs is revoked or closed.
    own: String,
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
            if Instant::now() >= self.due {
                self.still().await?;
            }
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.behind {
                self.read().await?;
                continue;
            }
            let Ok(heard) = timeout_at(self.due, self.heard.recv()).await else { continue };
            match heard {
                Ok(told) if told.seq < self.next => {}
                Ok(told) if told.seq > self.next => self.behind = true,
                Ok(told) => {
                    if told.stream == self.own {
                        self.still().await?;
                    }
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

    /// Goes on only while whoever listens still may, and looks again before that can be over.
    async fn still(&mut self) -> Option<()> {
        let until = still(&self.shared, &self.headers, NEEDS).await.ok()?;
        let left = until.map(|until| until.since(self.shared.pipeline.journal().now()));
        self.due = Instant::now() + left.map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN));
        Some(())
    }

    /// Reads a page from the journal.
    async fn read(&mut self) -> Option<()> {
        self.still().await?;
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
mod tests;
