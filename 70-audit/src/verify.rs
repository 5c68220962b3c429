//! Holding stored bytes against themselves: chain, order, streams, traces and tree, in one pass.

use crate::{Continuation, Frontier, ZERO_LEAF};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use writ_core::{Digest, Entry, Tile};
use writ_seal::leaf_hash;

/// What was expected of an entry and not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Expected {
    /// The entry is missing, or another stands in its place.
    #[error("expected entry {expected} here, found entry {found}")]
    Sequence {
        /// The place.
        expected: u64,
        /// What the entry calls itself.
        found: u64,
    },
    /// The bytes are not an entry.
    #[error("its bytes are not an entry: {because}")]
    Form {
        /// What the reader says.
        because: String,
    },
    /// The bytes do not give the leaf hash kept beside them.
    #[error("expected its bytes to hash to {expected}, they hash to {found}")]
    Leaf {
        /// The hash kept beside the bytes.
        expected: String,
        /// The hash of the bytes.
        found: String,
    },
    /// The next entry was sealed upon other bytes.
    #[error("the entry after it was sealed upon {expected}, it hashes to {found}")]
    SealedUpon {
        /// What the next entry names.
        expected: String,
        /// The hash of the bytes.
        found: String,
    },
    /// Time steps back.
    #[error("expected a time at or after {expected}, found {found}")]
    Time {
        /// The time of the entry before.
        expected: String,
        /// Its own.
        found: String,
    },
    /// A place in a stream or trace is missing or taken twice.
    #[error("expected place {expected} in `{of}`, found {found}")]
    Place {
        /// The stream or trace.
        of: String,
        /// The next place.
        expected: u64,
        /// Its own.
        found: u64,
    },
    /// A column kept beside the bytes says something else.
    #[error("its column `{column}` says `{found}`, its bytes say `{expected}`")]
    Column {
        /// Which.
        column: &'static str,
        /// What the bytes say.
        expected: String,
        /// What the column says.
        found: String,
    },
    /// What finds entries by what they say does not find it, or finds too much.
    #[error("the lookups kept beside the entries do not lead to them rightly; rebuild them")]
    Lookup,
    /// A document that decisions are made on is not what the entries make of it.
    #[error("the document `{key}` of view `{view}` is not what the entries make of it; views are rebuilt from them")]
    View {
        /// Which view.
        view: &'static str,
        /// Which document.
        key: String,
    },
    /// An attachment that it names is missing or has other bytes.
    #[error("its attachment {digest} {wrong}")]
    Attachment {
        /// The digest that the entry names.
        digest: Digest,
        /// `is missing` or `has other bytes`.
        wrong: &'static str,
    },
    /// A tile of the tree holds other hashes than the entries give.
    #[error("the tile {index} of level {level} does not hold the hashes of its entries")]
    Tile {
        /// The level.
        level: u8,
        /// The index within the level.
        index: u64,
    },
    /// The tree's root is not the one that was signed.
    #[error("expected the first {size} entries to have the root {expected}, they have {found}")]
    Root {
        /// The signed size.
        size: u64,
        /// The signed root.
        expected: String,
        /// The computed root.
        found: String,
    },
    /// There are fewer entries than were signed for.
    #[error("expected {expected} entries, found {found}: the newest are missing")]
    Truncated {
        /// The signed size.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// There are entries beyond what was signed.
    #[error("expected {expected} entries, found {found}: the newest are not signed")]
    Unsigned {
        /// The signed size.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// A checkpoint is not signed by the key, or is no checkpoint.
    #[error("the checkpoint over {size} entries does not hold: {because}")]
    Checkpoint {
        /// The size it was kept under.
        size: u64,
        /// What is wrong.
        because: String,
    },
    /// The journal's key is another one than the genesis names, or than was pinned.
    #[error("expected the journal's key to be `{expected}`, it is `{found}`")]
    Key {
        /// The key that was pinned or that the genesis names.
        expected: String,
        /// The key that was found.
        found: String,
    },
}

/// The first thing that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} does not hold: {expected}")]
pub struct Fault {
    /// The entry, or the first that is missing.
    pub seq: u64,
    /// What was expected of it.
    pub expected: Expected,
}

/// What a complete verification found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
    /// How many attachments were hashed.
    pub attachments: u64,
    /// How many checkpoints were held against the tree.
    pub checkpoints: u64,
    /// Where the journal was rolled back and goes on under another name, oldest first.
    pub continued: Vec<Continuation>,
}

/// The parts of an entry that order depends on, borrowed from its bytes.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    prev: Cow<'a, str>,
    seq: u64,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    trace_seq: u64,
    version: u64,
}

/// Walks a journal from its first entry and stops at the first that does not hold.
#[derive(Debug, Default)]
pub struct Verifier {
    frontier: Frontier,
    last: Option<Digest>,
    last_time: String,
    streams: HashMap<String, u64>,
    traces: HashMap<String, u64>,
}

impl Verifier {
    /// A verifier before the first entry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries held.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root over the entries that held.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.frontier.root()
    }

    /// Holds the next entry's bytes against everything before. `kept` is the leaf hash that a ledger keeps beside them;
    /// tiles that became full are added to `full`.
    ///
    /// # Errors
    /// The first thing that does not hold; the verifier stays before that entry.
    pub fn feed(&mut self, bytes: &[u8], kept: Option<&Digest>, full: &mut Vec<Tile>) -> Result<Digest, Fault> {
        let seq = self.frontier.size();
        let fault = |expected| Fault { seq, expected };
        let leaf = leaf_hash(bytes);
        if let Some(kept) = kept.filter(|kept| **kept != leaf) {
            return Err(fault(Expected::Leaf { expected: kept.hex(), found: leaf.hex() }));
        }
        let line: Line<'_> =
            serde_json::from_slice(bytes).map_err(|error| fault(Expected::Form { because: error.to_string() }))?;
        if line.seq != seq {
            return Err(fault(Expected::Sequence { expected: seq, found: line.seq }));
        }
        let last = self.last.unwrap_or(ZERO_LEAF);
        if line.prev.as_bytes() != last.digits() {
            let expected = Expected::SealedUpon { expected: line.prev.into(), found: last.hex() };
            return Err(Fault { seq: seq.saturating_sub(1), expected });
        }
        // Times are printed in a fixed width, so that they compare as texts.
        if *line.timestamp < *self.last_time {
            return Err(fault(Expected::Time { expected: self.last_time.clone(), found: line.timestamp.into() }));
        }
        next_place(&mut self.streams, &line.stream, 1, line.version).map_err(fault)?;
        next_place(&mut self.traces, &line.trace_id, 0, line.trace_seq).map_err(fault)?;
        self.last_time.clear();
        self.last_time.push_str(&line.timestamp);
        self.last = Some(leaf);
        self.frontier.push(leaf, full);
        Ok(leaf)
    }

    /// Holds the tree over the entries so far against a signed size and root. Call it when exactly `size` entries were fed.
    ///
    /// # Errors
    /// When the root is another one.
    pub fn expect_root(&self, size: u64, root: &Digest) -> Result<(), Fault> {
        let found = self.root();
        if self.size() == size && found == *root {
            return Ok(());
        }
        let expected = Expected::Root { size, expected: root.hex(), found: found.hex() };
        Err(Fault { seq: size.saturating_sub(1), expected })
    }
}

/// The attachments that an entry names: the digests of its body's `attachments` map.
#[must_use]
pub fn attachments_of(entry: &Entry) -> Vec<Digest> {
    named(entry, "attachments")
}

/// The commitments to erasable texts that an entry holds: the digests of its body's `erasables` map.
#[must_use]
pub fn erasables_of(entry: &Entry) -> Vec<Digest> {
    named(entry, "erasables")
}

fn named(entry: &Entry, map: &str) -> Vec<Digest> {
    let named = entry.body.get(map).and_then(serde_json::Value::as_object);
    named.into_iter().flatten().filter_map(|(_, digest)| digest.as_str()?.parse().ok()).collect()
}

fn next_place(places: &mut HashMap<String, u64>, of: &str, first: u64, found: u64) -> Result<(), Expected> {
    // The entry API would allocate the key on every call; most calls find it.
    if let Some(next) = places.get_mut(of) {
        if *next != found {
            return Err(Expected::Place { of: of.to_owned(), expected: *next, found });
        }
        *next += 1;
        return Ok(());
    }
    if found != first {
        return Err(Expected::Place { of: of.to_owned(), expected: first, found });
    }
    places.insert(of.to_owned(), first + 1);
    Ok(())
}
