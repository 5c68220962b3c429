//! Verifying a whole journal: entries, columns, attachments, tiles, checkpoints, keys, and what others remember of it.

use crate::causes::error_chain;
use crate::journal::decode;
use crate::view::{Docs, Kept};
use std::collections::{BTreeSet, VecDeque};
use writ_audit::{
    Audit, Checkpoint, Continuation, Expected, Fault, KeyChain, Point, Verifier, attachments_of, erasables_of,
};
use writ_core::{Columns, Digest, Entry, Ledger, LedgerError, Stored, StoredCheckpoint, Tile};
use writ_seal::{NoteKey, salted, sha256};

/// Entries read at once.
const PAGE: usize = 1_024;

/// Why a journal does not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Something does not hold.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
}

/// What the verifier trusts beforehand.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// A key that must be the journal's, now or once.
    pub key: Option<NoteKey>,
    /// Checkpoints that others remember: the witness, a client. Their signatures were checked when they were read.
    pub pins: Vec<Checkpoint>,
}

/// Walks the journal from the first entry to the last and stops at the first thing that does not hold.
///
/// # Errors
/// The first fault, or the ledger's own failure.
pub async fn verify(ledger: &dyn Ledger, trust: &Trust) -> Result<Audit, VerifyError> {
    let mut walk = Walk::new(trust);
    let audit = loop {
        let before = walk.verifier.size();
        walk.entries(ledger).await?;
        // The journal may have grown meanwhile. Entries, head, checkpoint and documents are written at once, so whatever does not
        // fit belongs to entries that were not walked yet, or is wrong.
        let head = ledger.head().await?.map_or(0, |head| head.size);
        if head > walk.verifier.size() && walk.verifier.size() > before {
            continue;
        }
        let audit = walk.finish(head)?;
        let Some(fault) = walk.views(ledger).await? else { break audit };
        if ledger.head().await?.is_none_or(|now| now.size <= head) {
            return Err(fault.into());
        }
    };
    match ledger.misfiled().await? {
        Some(seq) => Err(Fault { seq, expected: Expected::Lookup }.into()),
        None => Ok(audit),
    }
}

impl Walk<'_> {
    /// Walks on to the last entry there is.
    async fn entries(&mut self, ledger: &dyn Ledger) -> Result<(), VerifyError> {
        let walk = self;
        loop {
            let seq = walk.verifier.size();
            let page = ledger.entries(seq, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            let columns = ledger.columns(seq, PAGE).await?;
            for (at, stored) in page.iter().enumerate() {
                let entry = walk.entry(stored)?;
                match columns.get(at) {
                    Some(found) => same_columns(&Columns::of(&entry), found)
                        .map_err(|expected| Fault { seq: entry.seq, expected })?,
                    None => return Err(missing(entry.seq).into()),
                }
                walk.attachments(ledger, &entry).await?;
                walk.tiles(ledger, entry.seq).await?;
                walk.checkpoints(ledger).await?;
                walk.docs.follow(&entry, None).await?;
            }
        }
    }

    /// Holds the documents that decisions are made on against what the entries make of them: the first that differs.
    async fn views(&self, ledger: &dyn Ledger) -> Result<Option<Fault>, LedgerError> {
        let fault = |view, key: &str| Fault {
            seq: self.verifier.size().saturating_sub(1),
            expected: Expected::View { view, key: key.to_owned() },
        };
        for (view, mut expected) in self.docs.all() {
            let mut after = None::<String>;
            loop {
                let page = ledger.views(view, "", after.as_deref(), PAGE).await?;
                for (key, doc) in &page {
                    if expected.remove(key.as_str()).as_ref() != Some(doc) {
                        return Ok(Some(fault(view, key)));
                    }
                }
                match page.last() {
                    Some((key, _)) if page.len() == PAGE => after = Some(key.clone()),
                    _ => break,
                }
            }
            if let Some((key, _)) = expected.pop_first() {
                return Ok(Some(fault(view, key)));
            }
        }
        Ok(None)
    }
}

fn missing(seq: u64) -> Fault {
    Fault { seq, expected: Expected::Sequence { expected: seq, found: seq + 1 } }
}

struct Walk<'a> {
    trust: &'a Trust,
    verifier: Verifier,
    full: Vec<Tile>,
    keys: KeyChain,
    hashed: BTreeSet<Digest>,
    due: VecDeque<StoredCheckpoint>,
    checkpoints: u64,
    last_checkpoint: u64,
    last_root: Option<Digest>,
    continued: Vec<Continuation>,
    docs: Docs,
}

impl<'a> Walk<'a> {
    fn new(trust: &'a Trust) -> Self {
        Self {
            trust,
            verifier: Verifier::new(),
            full: Vec::new(),
            keys: KeyChain::default(),
            hashed: BTreeSet::new(),
            due: VecDeque::new(),
            checkpoints: 0,
            last_checkpoint: 0,
            last_root: None,
            continued: Vec::new(),
            docs: Docs::new(Kept::Operational),
        }
    }

    fn entry(&mut self, stored: &Stored) -> Result<Entry, VerifyError> {
        let seq = self.verifier.size();
        if stored.seq != seq {
            return Err(Fault { seq, expected: Expected::Sequence { expected: seq, found: stored.seq } }.into());
        }
        self.verifier.feed(&stored.bytes, Some(&stored.leaf), &mut self.full)?;
        let entry = decode(stored)?;
        self.keys.feed(&entry)?;
        if let Some(continuation) = Continuation::of(&entry) {
            self.stands_upon(seq, &continuation)?;
            self.continued.push(continuation);
        }
        for pin in self.trust.pins.iter().filter(|pin| pin.size == seq + 1) {
            self.verifier.expect_root(pin.size, &pin.root)?;
        }
        Ok(entry)
    }

    /// What a journal that goes on says was found must be the signed head before it.
    fn stands_upon(&self, seq: u64, continuation: &Continuation) -> Result<(), Fault> {
        let Point { size, root } = continuation.found;
        if self.last_checkpoint == size && self.last_root == Some(root) {
            return Ok(());
        }
        let found = self.last_root.map_or_else(String::new, |root| root.hex());
        Err(Fault { seq, expected: Expected::Root { size, expected: root.hex(), found } })
    }

    async fn attachments(&mut self, ledger: &dyn Ledger, entry: &Entry) -> Result<(), VerifyError> {
        for digest in attachments_of(entry) {
            if !self.hashed.insert(digest) {
                continue;
            }
            let wrong = match ledger.attachment(&digest).await? {
                Some(bytes) if sha256(&bytes) == digest => continue,
                Some(_) => "has other bytes",
                None => "is missing",
            };
            return Err(Fault { seq: entry.seq, expected: Expected::Attachment { digest, wrong } }.into());
        }
        // An erased text is gone, as it should be; one that is there must be the one committed to.
        for digest in erasables_of(entry) {
            let kept = ledger.erasable(&digest).await?;
            if kept.is_some_and(|text| salted(&text.salt, &text.bytes) != digest) {
                let wrong = "has another erasable text";
                return Err(Fault { seq: entry.seq, expected: Expected::Attachment { digest, wrong } }.into());
            }
        }
        Ok(())
    }

    async fn tiles(&mut self, ledger: &dyn Ledger, seq: u64) -> Result<(), VerifyError> {
        for tile in std::mem::take(&mut self.full) {
            if ledger.tile(tile.level, tile.index).await?.as_ref() != Some(&tile.bytes) {
                return Err(Fault { seq, expected: Expected::Tile { level: tile.level, index: tile.index } }.into());
            }
        }
        Ok(())
    }

    /// Holds every checkpoint over exactly the entries so far against the tree.
    async fn checkpoints(&mut self, ledger: &dyn Ledger) -> Result<(), VerifyError> {
        let size = self.verifier.size();
        if self.due.is_empty() {
            self.due = ledger.checkpoints(size - 1, PAGE).await?.into();
        }
        while let Some(kept) = self.due.pop_front_if(|kept| kept.size <= size) {
            self.checkpoint(&kept)?;
        }
        Ok(())
    }

    fn checkpoint(&mut self, kept: &StoredCheckpoint) -> Result<(), Fault> {
        let fault = |because: String| Fault {
            seq: kept.size.saturating_sub(1),
            expected: Expected::Checkpoint { size: kept.size, because },
        };
        let key = self.keys.newest().ok_or_else(|| fault("there is no genesis".into()))?;
        let checkpoint = Checkpoint::open(&kept.note, &key.name, key).map_err(|error| fault(error_chain(&error)))?;
        if checkpoint.size != kept.size {
            return Err(fault(format!("it speaks of {} entries", checkpoint.size)));
        }
        self.verifier.expect_root(checkpoint.size, &checkpoint.root)?;
        self.checkpoints += 1;
        self.last_checkpoint = kept.size;
        self.last_root = Some(checkpoint.root);
        Ok(())
    }

    fn finish(&self, head_size: u64) -> Result<Audit, VerifyError> {
        let found = self.verifier.size();
        let promised = self.trust.pins.iter().map(|pin| pin.size).max().unwrap_or(0).max(head_size);
        if promised > found {
            return Err(Fault { seq: found, expected: Expected::Truncated { expected: promised, found } }.into());
        }
        if let Some(later) = self.due.front() {
            return Err(Fault { seq: found, expected: Expected::Truncated { expected: later.size, found } }.into());
        }
        if found > self.last_checkpoint || found > head_size {
            let expected = self.last_checkpoint.min(head_size);
            return Err(Fault { seq: expected, expected: Expected::Unsigned { expected, found } }.into());
        }
        if let Some(trusted) = self.trust.key.as_ref().filter(|key| self.keys.keys().all(|known| known != *key)) {
            let found = self.keys.keys().next().map(ToString::to_string).unwrap_or_default();
            return Err(Fault { seq: 0, expected: Expected::Key { expected: trusted.to_string(), found } }.into());
        }
        let root = self.verifier.root();
        Ok(Audit {
            size: found,
            root,
            attachments: self.hashed.len() as u64,
            checkpoints: self.checkpoints,
            continued: self.continued.clone(),
        })
    }
}

fn same_columns(bytes: &Columns, kept: &Columns) -> Result<(), Expected> {
    let number = |number: u64| number.to_string();
    let pairs = [
        ("seq", number(bytes.seq), number(kept.seq)),
        ("event_id", bytes.event_id.clone(), kept.event_id.clone()),
        ("timestamp", bytes.timestamp.to_string(), kept.timestamp.to_string()),
        ("actor", bytes.actor.clone(), kept.actor.clone()),
        ("action", bytes.action.clone(), kept.action.clone()),
        ("resource", bytes.resource.clone(), kept.resource.clone()),
        ("outcome", bytes.outcome.clone(), kept.outcome.clone()),
        ("kind", bytes.kind.clone(), kept.kind.clone()),
        ("stream", bytes.stream.clone(), kept.stream.clone()),
        ("version", number(bytes.version), number(kept.version)),
        ("trace_id", bytes.trace_id.clone(), kept.trace_id.clone()),
        ("trace_seq", number(bytes.trace_seq), number(kept.trace_seq)),
    ];
    if bytes == kept {
        return Ok(());
    }
    let differing = pairs.into_iter().find(|(_, expected, found)| expected != found);
    differing.map_or(Ok(()), |(column, expected, found)| Err(Expected::Column { column, expected, found }))
}
