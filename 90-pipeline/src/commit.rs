//! The only writer of the journal. Callers hand in batches; one task groups, seals and appends them.

use crate::causes::error_chain;
use crate::held::{held, let_go};
use crate::looked::{looked_at, noted};
use crate::report::{self, LAG_MAX, Reported};
use crate::rotate::Signers;
use crate::view::{Docs, Kept};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use writ_audit::{Chain, Checkpoint, ENTRY_BYTES_MAX, Place, draft_bytes};
use writ_core::{
    Append, AppendError, Clock, Digest, Draft, Entropy, Entry, Erasable, EventId, Group, Ledger, LedgerError,
    PrincipalId, Sealed, Signer, SignerError, Tile, TraceId, Witness, failpoint,
};
use writ_seal::NotCanonical;

/// Entries in one group at the most.
const GROUP_MAX: usize = 512;

/// How often something is decided anew because what it read had changed by its commit, before the caller is told.
pub(crate) const STALE_MAX: u32 = 8;

/// Requests that may wait for the writer; a caller beyond that waits to hand its own over.
const WAITING_MAX: usize = 2_048;

/// Stream versions and trace lengths that the writer remembers; beyond that it asks the ledger again.
const REMEMBERED_MAX: usize = 65_536;

/// What a batch belongs to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cause {
    /// The trace of everything that one submission set off.
    pub trace: TraceId,
    /// The entry that led to this batch.
    pub event: Option<EventId>,
}

impl Cause {
    /// What follows from an entry.
    #[must_use]
    pub fn after(entry: &Entry) -> Self {
        Self { trace: entry.trace_id.clone(), event: Some(entry.event_id.clone()) }
    }
}

/// A stream and the version it must still have: one that the batch writes to, or a safety stream that its decision read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// The stream.
    pub stream: String,
    /// Its version; 0 for a stream without entries.
    pub version: u64,
}

/// What is to be recorded together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Entries to be.
    pub drafts: Vec<Draft>,
    /// What must still hold.
    pub expects: Vec<Expect>,
    /// Content that the drafts name by digest.
    pub attachments: Vec<(Digest, Vec<u8>)>,
    /// Texts that may be erased later.
    pub erasables: Vec<Erasable>,
}

impl Batch {
    /// A batch of drafts that depends on nothing.
    #[must_use]
    pub fn of(drafts: Vec<Draft>) -> Self {
        Self { drafts, ..Self::default() }
    }

    /// Keeps bytes as an attachment and answers the digest that names them.
    pub fn attach(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = writ_seal::sha256(&bytes);
        self.attachments.push((digest, bytes));
        digest
    }
}

/// Proof of a commit: the entries as they were sealed.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The entries, in the order of their drafts.
    pub entries: Vec<Entry>,
}

impl Receipt {
    /// The id of the last entry, as a cause of what follows.
    #[must_use]
    pub fn last_event(&self) -> Option<EventId> {
        self.entries.last().map(|entry| entry.event_id.clone())
    }

    /// The place of the last entry.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.seq)
    }
}

/// Why nothing was recorded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The caller decided on something that has changed since.
    #[error("`{stream}` has moved from version {expected} to {found}")]
    Stale {
        /// The stream.
        stream: String,
        /// The version the caller knew.
        expected: u64,
        /// The version it has.
        found: u64,
    },
    /// Whoever asked lost what they could when they asked.
    #[error("`{who}` may not what they could when they asked: a role or a token was taken away meanwhile")]
    NotHeld {
        /// The person.
        who: PrincipalId,
    },
    /// Whether whoever asked still may could not be found out.
    #[error("whether it may still be asked for cannot be read")]
    Unread {
        /// Why.
        #[source]
        cause: Arc<LedgerError>,
    },
    /// A draft cannot become an entry.
    #[error("a `{kind}` entry cannot be written")]
    NotCanonical {
        /// The draft's kind.
        kind: &'static str,
        /// What is wrong with it.
        #[source]
        cause: NotCanonical,
    },
    /// A draft is too large for an entry.
    #[error("a `{kind}` entry of about {bytes} bytes is larger than {ENTRY_BYTES_MAX}")]
    TooLarge {
        /// The draft's kind.
        kind: &'static str,
        /// Its size.
        bytes: usize,
    },
    /// The journal takes nothing any more; writ acts on nothing until it is restarted.
    #[error("the journal is closed: {because}")]
    Closed {
        /// Why.
        because: String,
    },
}

type Reply = oneshot::Sender<Result<Receipt, CommitError>>;

struct Request {
    cause: Cause,
    batch: Batch,
    /// The canonical bytes of each draft's body.
    bodies: Vec<Vec<u8>>,
    reply: Reply,
}

/// A handle on the writer. Cheap to clone; the writer ends when all are gone.
#[derive(Clone)]
pub struct Commit {
    writer: mpsc::Sender<Request>,
    /// Why the writer has stopped.
    closed: Arc<OnceLock<String>>,
    size: watch::Receiver<u64>,
    reported: Reported,
    timed: Timed,
}

/// Who is told how long each group took to reach the disk.
type Timed = Arc<OnceLock<Box<dyn Fn(Duration) + Send + Sync>>>;

impl Commit {
    /// Records a batch. When it returns, the entries are on the disk.
    ///
    /// # Errors
    /// `Stale` when something the caller relied on has changed, or what whoever asked looked at; the caller then decides anew.
    /// `Closed` is final.
    pub async fn commit(&self, cause: &Cause, batch: Batch) -> Result<Receipt, CommitError> {
        let mut tries = 0;
        loop {
            let Some(held) = held().await? else { return self.record(cause, batch).await };
            let own = batch.expects.iter().any(|one| one.stream == held.stream);
            let mut held_to = batch.clone();
            held_to.expects.push(held.clone());
            match self.record(cause, held_to).await {
                // They logged in meanwhile, or the like: whether they still may is asked anew.
                Err(CommitError::Stale { stream, .. }) if stream == held.stream && !own && tries < STALE_MAX => {
                    tries += 1
                }
                came => {
                    if came.is_ok() {
                        let_go();
                    }
                    return came;
                }
            }
        }
    }

    async fn record(&self, cause: &Cause, mut batch: Batch) -> Result<Receipt, CommitError> {
        batch.expects.extend(looked_at());
        let streams: Vec<String> = batch.drafts.iter().map(|draft| draft.stream.clone()).collect();
        let mut bodies = Vec::with_capacity(batch.drafts.len());
        for draft in &batch.drafts {
            let written = draft_bytes(draft).map_err(|cause| CommitError::NotCanonical { kind: draft.kind, cause });
            let (body, bytes) = written?;
            if bytes > ENTRY_BYTES_MAX {
                return Err(CommitError::TooLarge { kind: draft.kind, bytes });
            }
            bodies.push(body);
        }
        let (reply, receipt) = oneshot::channel();
        let closed = || CommitError::Closed { because: "its writer has stopped".into() };
        self.writer.send(Request { cause: cause.clone(), batch, bodies, reply }).await.map_err(|_| closed())?;
        let receipt = receipt.await.map_err(|_| closed())?;
        noted(streams.iter().map(String::as_str), &receipt);
        receipt
    }

    /// The number of entries on the disk, and a way to wait for more.
    #[must_use]
    pub fn size(&self) -> watch::Receiver<u64> {
        self.size.clone()
    }

    /// Why nothing can be recorded any more; none while it can.
    #[must_use]
    pub fn closed(&self) -> Option<&str> {
        self.closed.get().map(String::as_str).or_else(|| self.writer.is_closed().then_some("its writer has stopped"))
    }

    /// Has somebody told how long each group takes to reach the disk. The first who asks is told.
    pub fn when_committed(&self, tell: impl Fn(Duration) + Send + Sync + 'static) {
        drop(self.timed.set(Box::new(tell)));
    }

    pub(crate) fn reports(&self) -> &Reported {
        &self.reported
    }
}

/// What the writer needs.
pub(crate) struct Parts {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) signers: Signers,
    pub(crate) witness: Arc<dyn Witness>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) chain: Chain,
}

/// Starts the writer, and what follows it. Reports are of all entries there are.
pub(crate) fn start(parts: Parts) -> (Commit, tokio::task::JoinHandle<()>) {
    let (sender, requests) = mpsc::channel(WAITING_MAX);
    let size = parts.chain.head().size;
    let (grown, watched) = watch::channel(size);
    let (closed, timed) = (Arc::new(OnceLock::new()), Timed::default());
    let (follower, reported) = report::start(parts.ledger.clone(), parts.clock.clone(), size);
    let writer = Writer {
        parts,
        requests,
        closed: closed.clone(),
        grown,
        follower,
        reported: reported.clone(),
        timed: timed.clone(),
        versions: HashMap::new(),
        traces: HashMap::new(),
        remembered_from: size,
        docs: Docs::new(Kept::Operational),
    };
    (Commit { writer: sender, closed, size: watched, reported, timed }, tokio::spawn(writer.run()))
}

struct Writer {
    parts: Parts,
    requests: mpsc::Receiver<Request>,
    closed: Arc<OnceLock<String>>,
    grown: watch::Sender<u64>,
    follower: mpsc::UnboundedSender<Vec<Entry>>,
    reported: Reported,
    timed: Timed,
    /// The newest version of each stream, and the length of each trace, that entries from `remembered_from` on belong to;
    /// the lookups have all entries before.
    versions: HashMap<String, u64>,
    traces: HashMap<TraceId, u64>,
    remembered_from: u64,
    docs: Docs,
}

/// Why the writer stops.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("the ledger fails")]
    Ledger(#[from] LedgerError),
    #[error("a group was not appended")]
    Append(#[from] AppendError),
    #[error("the checkpoint was not signed")]
    Signer(#[from] SignerError),
    #[error("an entry was not sealed")]
    Seal(#[from] NotCanonical),
}

/// A group while it is put together.
#[derive(Default)]
struct Open {
    attachments: Vec<(Digest, Vec<u8>)>,
    entries: Vec<Sealed>,
    erasables: Vec<Erasable>,
    tiles: Vec<Tile>,
    /// Who waits for it, and which entries are theirs.
    callers: Vec<(Reply, std::ops::Range<usize>)>,
}

impl Writer {
    async fn run(mut self) {
        while let Some(first) = self.requests.recv().await {
            let mut open = Open::default();
            let grouped = match self.group(first, &mut open).await {
                Ok(()) => self.append(&mut open).await,
                Err(stop) => Err(stop),
            };
            if let Err(stop) = grouped {
                self.stop(stop, open);
                return;
            }
            for (reply, range) in std::mem::take(&mut open.callers) {
                let entries = open.entries[range].iter().map(|sealed| sealed.entry.clone()).collect();
                // A caller that has gone away still has its entries in the journal; nobody is left to tell.
                drop(reply.send(Ok(Receipt { entries })));
            }
            let entries: Vec<Entry> = open.entries.into_iter().map(|sealed| sealed.entry).collect();
            if !entries.is_empty() {
                // Without a follower what is read comes from the entries themselves.
                drop(self.follower.send(entries));
            }
            self.grown.send_replace(self.parts.chain.head().size);
            self.forget().await;
        }
    }

    /// Whether the last group is in is not known: only reading the ledger again, at the next start, can tell. Everybody who
    /// waits learns that nothing can be relied upon.
    fn stop(&mut self, stop: Stop, open: Open) {
        tracing::error!(error = &stop as &dyn std::error::Error, "the journal's writer stops");
        let because = error_chain(&stop);
        // The writer stops once.
        drop(self.closed.set(because.clone()));
        self.requests.close();
        let waiting = std::iter::from_fn(|| self.requests.try_recv().ok()).map(|request| request.reply);
        for reply in open.callers.into_iter().map(|(reply, _)| reply).chain(waiting.collect::<Vec<_>>()) {
            drop(reply.send(Err(CommitError::Closed { because: because.clone() })));
        }
    }

    async fn group(&mut self, first: Request, open: &mut Open) -> Result<(), Stop> {
        let mut next = Some(first);
        while let Some(request) = next {
            self.admit(request, open).await?;
            next = if open.entries.len() < GROUP_MAX { self.requests.try_recv().ok() } else { None };
        }
        Ok(())
    }

    /// Seals a caller's drafts into the open group, or answers it at once when it is stale.
    async fn admit(&mut self, request: Request, open: &mut Open) -> Result<(), Stop> {
        for expect in &request.batch.expects {
            let found = self.version(&expect.stream).await?;
            if found != expect.version {
                let Expect { stream, version: expected } = expect.clone();
                drop(request.reply.send(Err(CommitError::Stale { stream, expected, found })));
                return Ok(());
            }
        }
        let first = open.entries.len();
        let mut cause = request.cause.event;
        for (draft, body) in request.batch.drafts.into_iter().zip(&request.bodies) {
            let sealed = self.seal(draft, body, &request.cause.trace, cause, &mut open.tiles).await?;
            cause = Some(sealed.entry.event_id.clone());
            self.docs.follow(&sealed.entry, Some(&*self.parts.ledger)).await?;
            open.entries.push(sealed);
        }
        open.attachments.extend(request.batch.attachments);
        open.erasables.extend(request.batch.erasables);
        open.callers.push((request.reply, first..open.entries.len()));
        Ok(())
    }

    async fn seal(
        &mut self,
        draft: Draft,
        body: &[u8],
        trace: &TraceId,
        cause: Option<EventId>,
        tiles: &mut Vec<Tile>,
    ) -> Result<Sealed, Stop> {
        let version = self.version(&draft.stream).await? + 1;
        let trace_seq = match self.traces.get(trace) {
            Some(length) => *length,
            None => self.parts.ledger.length_below(trace, self.remembered_from).await?,
        };
        let timestamp = self.parts.clock.now();
        let mut chance = [0; 10];
        self.parts.entropy.fill(&mut chance);
        let event_id = EventId::mint(timestamp.millis(), chance);
        let stream = draft.stream.clone();
        let place = Place { cause, event_id, timestamp, trace_id: trace.clone(), trace_seq, version };
        let sealed = self.parts.chain.seal(draft, body, place, tiles)?;
        self.versions.insert(stream, version);
        self.traces.insert(trace.clone(), trace_seq + 1);
        Ok(sealed)
    }

    async fn version(&mut self, stream: &str) -> Result<u64, LedgerError> {
        if let Some(version) = self.versions.get(stream) {
            return Ok(*version);
        }
        let version = self.parts.ledger.version_below(stream, self.remembered_from).await?;
        self.versions.insert(stream.to_owned(), version);
        Ok(version)
    }

    async fn append(&mut self, open: &mut Open) -> Result<(), Stop> {
        if open.entries.is_empty() {
            return Ok(());
        }
        let before = open.entries.first().map_or(0, |sealed| sealed.entry.seq);
        let mut expected = self.parts.chain.head().clone();
        expected.size = before;
        self.parts.chain.close_group();
        let head = self.parts.chain.head().clone();
        let signers = self.parts.signers.all();
        let signers: Vec<&dyn Signer> = signers.iter().map(|signer| &**signer).collect();
        let origin = signers.first().map_or_else(String::new, |signer| signer.name().to_owned());
        let checkpoint = Checkpoint { origin, root: head.root, size: head.size }.sign(&signers)?;
        let group = Group {
            attachments: std::mem::take(&mut open.attachments),
            checkpoint,
            entries: std::mem::take(&mut open.entries),
            erasables: std::mem::take(&mut open.erasables),
            expected,
            head,
            tiles: std::mem::take(&mut open.tiles),
            views: self.docs.take_changes(),
        };
        failpoint::pass("commit.sealed", last_kind(&group.entries));
        let began = self.parts.clock.now();
        let appended: Append = self.parts.ledger.append(&group).await;
        if let Some(tell) = self.timed.get() {
            tell(self.parts.clock.now().since(began));
        }
        open.entries = group.entries;
        appended?;
        failpoint::pass("commit.appended", last_kind(&open.entries));
        // After the commit: a witness that is behind is an older witness, one that is ahead would be a false alarm.
        if let Err(error) = self.parts.witness.remember(&group.checkpoint) {
            tracing::error!(error = &error as &dyn std::error::Error, "the witness did not take a checkpoint");
        }
        Ok(())
    }

    /// Keeps what is remembered, and what is not reported, from growing without end.
    async fn forget(&mut self) {
        let size = self.parts.chain.head().size;
        if size.saturating_sub(self.reported.as_of()) > LAG_MAX {
            self.reported.wait(size - LAG_MAX / 2).await;
        }
        if self.versions.len() > REMEMBERED_MAX || self.traces.len() > REMEMBERED_MAX {
            self.reported.wait(size).await;
            self.versions.clear();
            self.traces.clear();
            // Should the follower be gone, the ledger looks at each entry that it had not come to.
            self.remembered_from = if self.reported.as_of() < size { u64::MAX } else { size };
        }
        self.docs.forget_beyond(REMEMBERED_MAX);
    }
}

/// What a group is known by at a failpoint.
fn last_kind(entries: &[Sealed]) -> &str {
    entries.last().map_or("", |sealed| &sealed.entry.kind)
}
