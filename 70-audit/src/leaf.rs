//! Sealing: a draft gets its place in the journal, its bytes and its leaf hash.

use crate::Frontier;
use writ_core::{Digest, Draft, Entry, EventId, Head, Sealed, Tile, Timestamp, TraceId};
use writ_seal::{NotCanonical, canonical, entry_around, leaf_hash};

/// The most bytes an entry may have: what a length prefix of C2SP entry bundles can say.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// What stands where the first entry would name the leaf before it.
pub const ZERO_LEAF: Digest = Digest([0; 32]);

/// What the journal adds to a draft.
#[derive(Debug, Clone)]
pub struct Place {
    /// The entry that led to this one.
    pub cause: Option<EventId>,
    /// The new entry's id.
    pub event_id: EventId,
    /// When; stepping back is mended to the time of the entry before.
    pub timestamp: Timestamp,
    /// The trace.
    pub trace_id: TraceId,
    /// The place in the trace.
    pub trace_seq: u64,
    /// The place in the stream.
    pub version: u64,
}

/// The end of the journal, to which entries are sealed.
#[derive(Debug, Clone)]
pub struct Chain {
    head: Head,
    frontier: Frontier,
}

/// The canonical bytes of a draft's body, and the most that the entry around them may have: 700 bytes for what the journal
/// adds are counted in.
///
/// # Errors
/// When the body has no canonical bytes.
pub fn draft_bytes(draft: &Draft) -> Result<(Vec<u8>, usize), NotCanonical> {
    let body = canonical(&draft.body)?;
    // Texts outside the body may need escapes; six bytes a character is the most JSON ever takes.
    let texts =
        draft.action.len() + draft.actor.id.len() + draft.kind.len() + draft.resource.len() + draft.stream.len();
    let size = body.len() + 6 * texts + 700;
    Ok((body, size))
}

impl Chain {
    /// The end of a journal that has this head and this edge; none when they do not belong together.
    #[must_use]
    pub fn resume(head: Head, frontier: Frontier) -> Option<Self> {
        (frontier.size() == head.size && frontier.root() == head.root).then_some(Self { head, frontier })
    }

    /// The head after everything that was sealed.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Brings the head's root up to date; done once for a group, not for each entry.
    pub fn close_group(&mut self) {
        self.head.root = self.frontier.root();
    }

    /// Seals a draft whose body has these canonical bytes; tiles that became full are added to `full`.
    ///
    /// # Errors
    /// When it cannot be written; the chain is then as it was.
    pub fn seal(
        &mut self,
        draft: Draft,
        body: &[u8],
        place: Place,
        full: &mut Vec<Tile>,
    ) -> Result<Sealed, NotCanonical> {
        let entry = Entry {
            action: draft.action,
            actor: draft.actor,
            body: draft.body,
            cause: place.cause,
            event_id: place.event_id,
            kind: draft.kind.to_owned(),
            outcome: draft.outcome,
            prev: self.head.last_leaf.hex(),
            resource: draft.resource,
            seq: self.head.size,
            stream: draft.stream,
            timestamp: place.timestamp.max(self.head.last_timestamp),
            trace_id: place.trace_id,
            trace_seq: place.trace_seq,
            version: place.version,
        };
        let bytes = entry_around(&entry, body)?;
        let leaf = leaf_hash(&bytes);
        self.frontier.push(leaf, full);
        self.head.size += 1;
        self.head.last_leaf = leaf;
        self.head.last_timestamp = entry.timestamp;
        Ok(Sealed { bytes, entry, leaf })
    }
}
