//! The port behind which the journal is kept. SQLite, PostgreSQL and memory stand behind it, under one conformance suite.

use crate::{Actor, Digest, Entry, Erasable, Outcome, Timestamp, TraceId};
use async_trait::async_trait;

/// How far the journal has come. A group is appended by compare-and-swap on `(size, root, epoch)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Counts up with each writer that takes the journal over.
    pub epoch: u64,
    /// Leaf hash of the last entry; zeros when there is none.
    pub last_leaf: Digest,
    /// Time of the last entry.
    pub last_timestamp: Timestamp,
    /// Root of the Merkle tree over all leaf hashes (RFC 6962).
    pub root: Digest,
    /// How many entries there are.
    pub size: u64,
}

/// An entry with the bytes that were hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The bytes as they are kept: canonical JSON.
    pub bytes: Vec<u8>,
    /// The entry that the bytes say.
    pub entry: Entry,
    /// Its leaf hash.
    pub leaf: Digest,
}

/// An entry as the ledger gives it back; nothing but the bytes is to be believed before it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The bytes as they are kept.
    pub bytes: Vec<u8>,
    /// The leaf hash kept beside them.
    pub leaf: Digest,
    /// The place in the journal.
    pub seq: u64,
}

/// A full tile of the Merkle tree: 256 hashes of 32 bytes (C2SP tlog-tiles).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// 8,192 bytes.
    pub bytes: Vec<u8>,
    /// Its index within the level.
    pub index: u64,
    /// Its level, 0 over leaf hashes.
    pub level: u8,
}

/// A change of one document of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewChange {
    /// The new document; none takes it away.
    pub doc: Option<Vec<u8>>,
    /// The document's key; documents of a view are listed in the order of their keys.
    pub key: String,
    /// The view: `runs`.
    pub view: &'static str,
}

/// A checkpoint that was signed over some size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// The signed note.
    pub note: String,
    /// The size it speaks of.
    pub size: u64,
}

/// Everything that is written in one transaction.
#[derive(Debug, Clone)]
pub struct Group {
    /// Content-addressed attachments; one that is there already is left as it is.
    pub attachments: Vec<(Digest, Vec<u8>)>,
    /// The signed note over the new head.
    pub checkpoint: String,
    /// Entries, in order.
    pub entries: Vec<Sealed>,
    /// Erasable texts.
    pub erasables: Vec<Erasable>,
    /// The head the writer believes in.
    pub expected: Head,
    /// The head after this group.
    pub head: Head,
    /// Tiles that became full.
    pub tiles: Vec<Tile>,
    /// Changes of operational views.
    pub views: Vec<ViewChange>,
}

impl Group {
    /// The note, where it is kept: beside the last entry it speaks of.
    #[must_use]
    pub fn checkpoint_at(&self, seq: u64) -> Option<&str> {
        (seq + 1 == self.head.size).then_some(&*self.checkpoint)
    }
}

/// What trails the entries, written in a transaction of its own: lookups, which find entries by what they say, and report
/// views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many entries the reports were of before.
    pub from: u64,
    /// How many entries they are of now. With none they begin anew, however far they had come.
    pub upto: u64,
    /// Changes of report views by the entries between.
    pub views: Vec<ViewChange>,
}

/// Which entries a reader wants. Absent parts match everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// What was done, exactly.
    pub action: Option<String>,
    /// The actor's id, exactly, with or without its kind (`human:alice`).
    pub actor: Option<String>,
    /// Only entries at or after this place; with `newest_first`, at or before it.
    pub from_seq: Option<u64>,
    /// Only entries at or after this time.
    pub from_time: Option<Timestamp>,
    /// The body's kind; `run.` matches every kind that starts so.
    pub kind: Option<String>,
    /// Begin with the newest.
    pub newest_first: bool,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// What it was done to, exactly, or with a trailing `*` whatever starts so.
    pub resource: Option<String>,
    /// Whose history it belongs to, exactly.
    pub stream: Option<String>,
    /// Only entries before this time.
    pub to_time: Option<Timestamp>,
    /// The trace it belongs to.
    pub trace: Option<TraceId>,
}

/// Why the ledger could not answer.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database did not answer, or answered with an error.
    #[error("the database at {place} does not answer")]
    Unreachable {
        /// Where it is.
        place: String,
        /// What it said.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What the database holds cannot be: only a fault or a forger makes it so.
    #[error("the database at {place} is damaged: {what}")]
    Damaged {
        /// Where it is.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// A newer writ has been here.
    #[error(
        "the database at {place} was written by a newer writ (schema {found}, this one knows {known}); run that one, or restore a backup from before it"
    )]
    Newer {
        /// Where it is.
        place: String,
        /// The schema version that was found.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// Another process writes this journal.
    #[error("the journal at {place} is held by another process")]
    Held {
        /// Where it is.
        place: String,
    },
}

/// Why a group was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The head, or how far reports have come, is not what the writer believes: somebody else writes.
    #[error("the journal has moved on without this writer")]
    Superseded,
    /// The ledger did not answer; whether the group is in is not known until it is read again.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What came of an append.
pub type Append = Result<(), AppendError>;

/// Keeps entries, attachments, views and tiles, and finds them again. Knows nothing of what they mean.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The head as it is; none in an empty journal.
    async fn head(&self) -> Result<Option<Head>, LedgerError>;

    /// Counts the writer epoch up and answers the head that goes with it, `empty` when there is none yet. From then on
    /// appends of earlier epochs are refused.
    async fn take_over(&self, empty: Head) -> Result<Head, LedgerError>;

    /// Writes a group in one transaction, durable when it returns.
    async fn append(&self, group: &Group) -> Append;

    /// Up to `limit` entries from `seq` on, in order.
    async fn entries(&self, seq: u64, limit: usize) -> Result<Vec<Stored>, LedgerError>;

    /// Up to `limit` entries of a stream after `version`, in order.
    async fn stream(&self, stream: &str, version: u64, limit: usize) -> Result<Vec<Stored>, LedgerError>;

    /// The newest version of a stream; 0 when nothing was written to it.
    async fn stream_version(&self, stream: &str) -> Result<u64, LedgerError> {
        self.version_below(stream, u64::MAX).await
    }

    /// The newest version of a stream among the first `below` entries; 0 when none of them is of it.
    async fn version_below(&self, stream: &str, below: u64) -> Result<u64, LedgerError>;

    /// How many of the first `below` entries a trace has.
    async fn length_below(&self, trace: &TraceId, below: u64) -> Result<u64, LedgerError>;

    /// Up to `limit` entries that match.
    async fn query(&self, filter: &Filter, limit: usize) -> Result<Vec<Stored>, LedgerError>;

    /// The entry with this event id.
    async fn by_event(&self, event: &str) -> Result<Option<Stored>, LedgerError>;

    /// An attachment's bytes.
    async fn attachment(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LedgerError>;

    /// An erasable text with its salt; none once erased.
    async fn erasable(&self, commitment: &Digest) -> Result<Option<Erasable>, LedgerError>;

    /// Destroys an erasable text and its salt. Whether there was one.
    async fn erase(&self, commitment: &Digest) -> Result<bool, LedgerError>;

    /// A full tile.
    async fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, LedgerError>;

    /// The leaf hashes kept beside entries `from..to`.
    async fn leaves(&self, from: u64, to: u64) -> Result<Vec<Digest>, LedgerError>;

    /// The newest checkpoint at or below a size, or the newest of all.
    async fn checkpoint(&self, at_most: Option<u64>) -> Result<Option<StoredCheckpoint>, LedgerError> {
        Ok(self.checkpoints_back(at_most, 1).await?.pop())
    }

    /// Up to `limit` checkpoints at or below a size, or of all, from the newest down.
    async fn checkpoints_back(&self, at_most: Option<u64>, limit: usize) -> Result<Vec<StoredCheckpoint>, LedgerError>;

    /// Up to `limit` checkpoints over more than `after` entries, by size.
    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<StoredCheckpoint>, LedgerError>;

    /// One document of a view.
    async fn view(&self, view: &str, key: &str) -> Result<Option<Vec<u8>>, LedgerError>;

    /// Up to `limit` documents of a view whose keys start with `prefix` and come after `after`, by key.
    async fn views(
        &self,
        view: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, LedgerError>;

    /// Up to `limit` documents of a view whose keys start with `prefix` and come before `before`, from the last key down.
    async fn views_back(
        &self,
        view: &str,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, LedgerError>;

    /// Replaces all operational views by these documents of the first `size` entries, in one transaction. Nothing is changed
    /// when there are other entries by now; the answer says so.
    async fn rebuild(&self, documents: Vec<ViewChange>, size: u64) -> Result<bool, LedgerError>;

    /// How many entries the reports are of; 0 when they are another journal's. Every answer above is whole all the same: what
    /// reports do not have yet is read from the entries themselves.
    async fn reported(&self) -> Result<u64, LedgerError>;

    /// Brings the reports forward in one transaction, which need not be durable when it returns.
    async fn report(&self, report: &Report) -> Append;

    /// The first of the reported entries that a lookup does not lead to, or leads to wrongly.
    async fn misfiled(&self) -> Result<Option<u64>, LedgerError>;

    /// The columns kept beside entries from `seq` on: what `verify` holds against the bytes.
    async fn columns(&self, seq: u64, limit: usize) -> Result<Vec<Columns>, LedgerError>;
}

/// What a ledger indexes beside an entry's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// What was done.
    pub action: String,
    /// Who did it, as `kind:id`.
    pub actor: String,
    /// The event id.
    pub event_id: String,
    /// The body's kind.
    pub kind: String,
    /// What came of it.
    pub outcome: String,
    /// What it was done to.
    pub resource: String,
    /// The place in the journal.
    pub seq: u64,
    /// Whose history it belongs to.
    pub stream: String,
    /// When it was recorded, in microseconds.
    pub timestamp: i64,
    /// The trace.
    pub trace_id: String,
    /// The place in the trace.
    pub trace_seq: u64,
    /// The place in the stream.
    pub version: u64,
}

impl Columns {
    /// The columns that belong to an entry.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        let actor: &Actor = &entry.actor;
        Self {
            action: entry.action.clone(),
            actor: actor.to_string(),
            event_id: entry.event_id.to_string(),
            kind: entry.kind.clone(),
            outcome: entry.outcome.to_string(),
            resource: entry.resource.clone(),
            seq: entry.seq,
            stream: entry.stream.clone(),
            timestamp: entry.timestamp.micros(),
            trace_id: entry.trace_id.to_string(),
            trace_seq: entry.trace_seq,
            version: entry.version,
        }
    }
}
