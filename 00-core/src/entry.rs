//! The envelope in which every decision and outcome is recorded.

use crate::{Actor, Digest, EventId, Timestamp, TraceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What came of the thing that an entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is being tried; its outcome is a later entry.
    Started,
    /// It was done.
    Success,
    /// It was tried and not done.
    Failure,
    /// It was not allowed.
    Denied,
    /// It was not tried, for a stated reason.
    Skipped,
    /// Nobody can tell.
    Unknown,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Outcome::Started => "started",
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Denied => "denied",
            Outcome::Skipped => "skipped",
            Outcome::Unknown => "unknown",
        })
    }
}

/// One line of the journal. Fields stand in sorted key order, so that writing them out is canonical JSON (RFC 8785).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What was done: `submit_intent`.
    pub action: String,
    /// Who did it.
    pub actor: Actor,
    /// What there is to say; its shape is named by `kind`. No floats, no integers at or beyond 2^53.
    pub body: Value,
    /// The entry that led to this one.
    pub cause: Option<EventId>,
    /// This entry's id.
    pub event_id: EventId,
    /// The body's shape and version: `run.step_started/1`. Kinds are for ever.
    pub kind: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Leaf hash of the entry before, 64 hexadecimal digits; zeros in the first.
    pub prev: String,
    /// What it was done to: `DEPLOY-WEB-001`.
    pub resource: String,
    /// The place in the journal, from 0, without gaps.
    pub seq: u64,
    /// Whose history it belongs to: `run/run_…`.
    pub stream: String,
    /// When it was recorded; never earlier than the entry before.
    pub timestamp: Timestamp,
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// The place in the trace, from 0, without gaps: a missing row is provable.
    pub trace_seq: u64,
    /// The place in the stream, from 1, without gaps.
    pub version: u64,
}

/// Text that may name people or hold secrets. It stands beside the journal and can be erased; the entry holds only
/// `SHA-256(salt ‖ bytes)`, so every proof stays valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasable {
    /// The commitment that the entry's body holds.
    pub commitment: Digest,
    /// Chance, so that short texts cannot be guessed from the commitment.
    pub salt: [u8; 32],
    /// The text itself.
    pub bytes: Vec<u8>,
}

/// What a layer wants recorded; the journal adds the rest when it seals it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What was done.
    pub action: String,
    /// Who did it.
    pub actor: Actor,
    /// What there is to say.
    pub body: Value,
    /// The body's shape and version.
    pub kind: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// What it was done to.
    pub resource: String,
    /// Whose history it belongs to.
    pub stream: String,
}

/// A layer's own event, which can be said in the journal.
pub trait Event {
    /// The event as a draft of an entry by `actor`.
    fn draft(&self, actor: &Actor) -> Draft;
}
