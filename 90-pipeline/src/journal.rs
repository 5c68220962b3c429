//! Opening the journal: genesis, the start-up gate, and reading.

use crate::commit::{self, Batch, Cause, Commit, CommitError, Parts};
use crate::origin::given_up;
use crate::report::{self, rebuild_views};
use crate::rotate::{Signers, key_chain};
use crate::view;
use std::collections::BTreeMap;
use std::sync::Arc;
use writ_audit::{
    AuditEvent, Chain, Checkpoint, CheckpointError, Frontier, KeyChain, Point, Range, TileAt, ZERO_LEAF,
    consistency_ranges, inclusion_ranges, range_hash, tile_bytes, tiles_of, verify_consistency,
};
use writ_core::{
    Actor, AppendError, Clock, Digest, Entropy, Entry, Event, Head, Ledger, LedgerError, Signer, Stored, Timestamp,
    TraceId, Witness, WitnessError,
};
use writ_seal::{EMPTY_ROOT, NoteKey};

/// Entries read at once.
const PAGE: usize = 1_024;

/// Everything the journal stands on.
#[derive(Clone)]
pub struct Foundations {
    /// Where entries are kept.
    pub ledger: Arc<dyn Ledger>,
    /// The key that signs checkpoints; its name is the journal's origin.
    pub signer: Arc<dyn Signer>,
    /// The public key that permits are signed with.
    pub gate_key: [u8; 32],
    /// What remembers checkpoints apart from the database.
    pub witness: Arc<dyn Witness>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// The realm that owns the journal.
    pub realm: String,
}

/// Why the journal did not open. Nothing is signed then.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The ledger did not answer.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
    /// The witness did not answer.
    #[error("the witness cannot be asked")]
    Witness(#[from] WitnessError),
    /// The head, the tiles and the leaf hashes do not fit together.
    #[error("the journal's tree does not fit its head of {size} entries: entries or tiles were changed or removed")]
    Torn {
        /// The size that the head claims.
        size: u64,
    },
    /// What the witness remembers is not signed by the journal's key.
    #[error("the checkpoint that the witness remembers does not hold")]
    Remembered(#[source] CheckpointError),
    /// The witness has seen more than there is: the database was rolled back.
    #[error(
        "the journal is rolled back: the witness has seen {witnessed} entries, there are {found}; \
         restore the newest database, or go on without what is lost: `writ server restore --accept-rollback --reason WHY`"
    )]
    RolledBack {
        /// The size the witness remembers.
        witnessed: u64,
        /// The size found.
        found: u64,
    },
    /// The journal is another one than the witness has seen.
    #[error(
        "the journal has forked: its first {size} entries are not those the witness has seen; \
         restore the one that it has, or go on with this one: `writ server restore --accept-rollback --reason WHY`"
    )]
    Forked {
        /// The size that the witness remembers.
        size: u64,
    },
    /// What trails the entries could not be brought to their end.
    #[error("the journal's lookups and report views do not come forward")]
    Reports(#[from] AppendError),
    /// Another key began the journal.
    #[error("the journal was begun with the key `{expected}`, this is `{found}`")]
    Key {
        /// The key that the genesis or the last rotation names.
        expected: String,
        /// The key at hand.
        found: String,
    },
    /// The first entry is not a genesis.
    #[error("the first entry is not a genesis: {because}")]
    Genesis {
        /// What is wrong.
        because: String,
    },
    /// The first entry could not be written.
    #[error("the journal cannot begin")]
    Begin(#[from] CommitError),
}

/// The open journal: the one way to record, and the ways to read.
#[derive(Clone)]
pub struct Journal {
    commit: Commit,
    base: Foundations,
    signers: Signers,
}

impl std::ops::Deref for Journal {
    type Target = Commit;
    fn deref(&self) -> &Commit {
        &self.commit
    }
}

impl Journal {
    /// Takes the journal over and opens it for writing. Must run within a runtime; the writer is a task of it.
    ///
    /// # Errors
    /// When the ledger, the key or the witness does not agree: then nothing is signed.
    pub async fn open(base: Foundations) -> Result<Self, OpenError> {
        let Taken { head, chain, keys } = take(&base).await?;
        match seen(&base, &head, &keys).await? {
            Seen::Ahead(seen) => return Err(OpenError::RolledBack { witnessed: seen.size, found: head.size }),
            Seen::Beside(seen) => return Err(OpenError::Forked { size: seen.size }),
            Seen::Nothing | Seen::Within | Seen::GivenUp => {}
        }
        check_key(&base, &keys)?;
        crate::erase::finish(&*base.ledger).await?;
        let signers = Signers::of(base.signer.clone());
        let parts = Parts {
            ledger: base.ledger.clone(),
            signers: signers.clone(),
            witness: base.witness.clone(),
            clock: base.clock.clone(),
            entropy: base.entropy.clone(),
            chain,
        };
        let (commit, _writer) = commit::start(parts);
        let journal = Self { commit, base, signers };
        if head.size == 0 {
            journal.begin().await?;
        }
        Ok(journal)
    }

    async fn begin(&self) -> Result<(), OpenError> {
        let genesis = AuditEvent::Genesis {
            origin: self.base.signer.name().to_owned(),
            key: NoteKey::of(&*self.base.signer).to_string(),
            gate_key: Digest(self.base.gate_key).hex(),
            realm: self.base.realm.clone(),
            continues: None,
        };
        let draft = genesis.draft(&Actor::system("journal"));
        self.commit(&self.new_cause(), Batch::of(vec![draft])).await?;
        Ok(())
    }

    /// The trace of the request that is worked on; a new one for something that nobody set off before.
    #[must_use]
    pub fn new_cause(&self) -> Cause {
        if let Some(trace) = crate::trace::asked_under() {
            return Cause { trace, event: None };
        }
        let mut chance = [0; 16];
        self.base.entropy.fill(&mut chance);
        Cause { trace: TraceId::of(chance), event: None }
    }

    /// What follows from a stream's last entry; a new trace where it has none.
    #[must_use]
    pub fn cause_after(&self, last: Option<&Entry>) -> Cause {
        last.map_or_else(|| self.new_cause(), Cause::after)
    }

    /// The time, as entries will have it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.base.clock.now()
    }

    /// Ten bytes of chance for an id.
    #[must_use]
    pub fn chance(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.base.entropy.fill(&mut bytes);
        bytes
    }

    /// The chance in a run's waits.
    pub(crate) fn seed(&self) -> u64 {
        seed(self.chance())
    }

    /// What the journal stands on.
    #[must_use]
    pub fn base(&self) -> &Foundations {
        &self.base
    }

    /// Where entries are kept, for reading.
    #[must_use]
    pub fn ledger(&self) -> &dyn Ledger {
        &*self.base.ledger
    }

    /// The verifier key of the journal: the one that its newest rotation names.
    #[must_use]
    pub fn key(&self) -> NoteKey {
        self.signers.in_force().unwrap_or_else(|| NoteKey::of(&*self.base.signer))
    }

    pub(crate) fn signers(&self) -> &Signers {
        &self.signers
    }

    /// All entries of a stream, in order.
    ///
    /// # Errors
    /// When the ledger fails or an entry cannot be read.
    pub async fn stream(&self, stream: &str) -> Result<Vec<Entry>, LedgerError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let version = entries.last().map_or(0, |entry| entry.version);
            let page = self.base.ledger.stream(stream, version, PAGE).await?;
            let whole = page.len() < PAGE;
            for stored in page {
                entries.push(decode(&stored)?);
            }
            if whole {
                return Ok(entries);
            }
        }
    }

    /// How many entries the reports are of, having waited a moment for them to be of `size`: the place after a receipt's.
    pub async fn reported(&self, size: u64) -> u64 {
        self.commit.reports().soon(size, &*self.base.clock).await
    }

    /// How many entries the reports do not have yet.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.commit.size().borrow().saturating_sub(self.commit.reports().as_of())
    }

    /// Waits for a view to have what was recorded until now. How many entries it is of.
    async fn as_of(&self, view: &str) -> u64 {
        let size = *self.commit.size().borrow();
        if view::trails(view) { self.reported(size).await } else { size }
    }

    /// Up to `limit` documents of a view, by key, and how many entries they are of.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn docs(
        &self,
        view: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<(String, serde_json::Value)>, u64), LedgerError> {
        let as_of = self.as_of(view).await;
        let found = self.base.ledger.views(view, prefix, after, limit).await?;
        Ok((read_docs(found), as_of))
    }

    /// Every document of a view whose key begins so, by key.
    ///
    /// # Errors
    /// When the ledger fails.
    pub(crate) async fn all_docs(
        &self,
        view: &str,
        prefix: &str,
    ) -> Result<Vec<(String, serde_json::Value)>, LedgerError> {
        let mut found: Vec<(String, serde_json::Value)> = Vec::new();
        loop {
            let after = found.last().map(|(key, _)| key.clone());
            let (more, _) = self.docs(view, prefix, after.as_deref(), PAGE).await?;
            let last = more.len() < PAGE;
            found.extend(more);
            if last {
                return Ok(found);
            }
        }
    }

    /// As [`Journal::docs`], from the last key down: keys are minted in the order of time, so the newest come first.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn docs_back(
        &self,
        view: &str,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<(String, serde_json::Value)>, u64), LedgerError> {
        let as_of = self.as_of(view).await;
        let found = self.base.ledger.views_back(view, prefix, before, limit).await?;
        Ok((read_docs(found), as_of))
    }

    /// A document of a view.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn doc(&self, view: &str, key: &str) -> Result<Option<serde_json::Value>, LedgerError> {
        self.as_of(view).await;
        let bytes = self.base.ledger.view(view, key).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Writes all views anew from the entries.
    ///
    /// # Errors
    /// When the ledger fails or an entry cannot be read.
    pub async fn rebuild_views(&self) -> Result<u64, LedgerError> {
        rebuild_views(&*self.base.ledger).await
    }

    /// The inclusion proof of an entry under the first `size` entries.
    ///
    /// # Errors
    /// When the ledger fails or lacks a tile.
    pub async fn inclusion(&self, seq: u64, size: u64) -> Result<Vec<Digest>, LedgerError> {
        proof(&*self.base.ledger, &inclusion_ranges(seq, size), size).await
    }

    /// The consistency proof between two sizes.
    ///
    /// # Errors
    /// When the ledger fails or lacks a tile.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, LedgerError> {
        proof(&*self.base.ledger, &consistency_ranges(old, new), new).await
    }
}

fn read_docs(found: Vec<(String, Vec<u8>)>) -> Vec<(String, serde_json::Value)> {
    found.into_iter().map(|(key, doc)| (key, serde_json::from_slice(&doc).unwrap_or_default())).collect()
}

/// The entry that stored bytes say.
///
/// # Errors
/// When the bytes are no entry.
pub fn decode(stored: &Stored) -> Result<Entry, LedgerError> {
    serde_json::from_slice(&stored.bytes).map_err(|error| LedgerError::Damaged {
        place: format!("entry {}", stored.seq),
        what: format!("its bytes are not an entry: {error}"),
    })
}

/// The right edge of the tree, from full tiles and the leaf hashes behind them.
async fn restore(ledger: &dyn Ledger, size: u64) -> Result<Frontier, OpenError> {
    let torn = || OpenError::Torn { size };
    let (mut levels, mut level) = (Vec::new(), 0_u8);
    while size.checked_shr(8 * u32::from(level)).unwrap_or(0) > 0 {
        let count = size >> (8 * u32::from(level));
        let (first, width) = (count & !255, u16::try_from(count % 256).map_err(|_| torn())?);
        let hashes = if width == 0 {
            Vec::new()
        } else {
            let at = TileAt { level, index: first / 256, width };
            let bytes = partial_tile(ledger, at).await?.ok_or_else(torn)?;
            bytes.as_chunks::<32>().0.iter().map(|hash| Digest(*hash)).collect()
        };
        levels.push(hashes);
        level += 1;
    }
    Frontier::restore(size, levels).ok_or_else(torn)
}

/// A tile that is not full, computed from what is below it.
async fn partial_tile(ledger: &dyn Ledger, at: TileAt) -> Result<Option<Vec<u8>>, LedgerError> {
    let first = at.index * 256;
    let end = first + u64::from(at.width);
    if at.level == 0 {
        let leaves = ledger.leaves(first, end).await?;
        return Ok(tile_bytes(at, |n| leaves.get(usize::try_from(n - first).ok()?).copied(), |_, _| None));
    }
    let mut below = BTreeMap::new();
    for index in first..end {
        if let Some(bytes) = ledger.tile(at.level - 1, index).await? {
            below.insert(index, bytes);
        }
    }
    Ok(tile_bytes(at, |_| None, |_, index| below.get(&index).cloned()))
}

/// The hashes of some subtrees of the first `size` entries.
pub(crate) async fn proof(ledger: &dyn Ledger, ranges: &[Range], size: u64) -> Result<Vec<Digest>, LedgerError> {
    let mut tiles = BTreeMap::new();
    for at in ranges.iter().flat_map(|range| tiles_of(range, size)) {
        if tiles.contains_key(&at) {
            continue;
        }
        let kept = if at.width == 256 { ledger.tile(at.level, at.index).await? } else { None };
        let bytes = match kept {
            Some(bytes) => Some(bytes),
            None => partial_tile(ledger, at).await?,
        };
        let missing = || LedgerError::Damaged {
            place: "the journal's tree".into(),
            what: format!("tile {} of level {} cannot be made", at.index, at.level),
        };
        tiles.insert(at, bytes.ok_or_else(missing)?);
    }
    let hash = |range: &Range| {
        range_hash(range, size, &tiles).ok_or_else(|| LedgerError::Damaged {
            place: "the journal's tree".into(),
            what: "a tile is too short".into(),
        })
    };
    ranges.iter().map(hash).collect()
}

/// A journal that was taken over, as it stands.
pub(crate) struct Taken {
    pub(crate) head: Head,
    pub(crate) chain: Chain,
    pub(crate) keys: KeyChain,
}

/// Takes a journal over from whoever wrote it before, and holds its head, tiles and leaf hashes against each other.
pub(crate) async fn take(base: &Foundations) -> Result<Taken, OpenError> {
    let start = base.clock.now();
    let empty = Head { epoch: 0, last_leaf: ZERO_LEAF, last_timestamp: start, root: EMPTY_ROOT, size: 0 };
    let head = base.ledger.take_over(empty).await?;
    report::reshape(&*base.ledger).await?;
    let reported = report::catch_up(&*base.ledger).await?;
    if reported != head.size {
        return Err(OpenError::Torn { size: head.size });
    }
    let frontier = restore(&*base.ledger, head.size).await?;
    let chain = Chain::resume(head.clone(), frontier).ok_or(OpenError::Torn { size: head.size })?;
    let keys = key_chain(&*base.ledger).await?;
    Ok(Taken { head, chain, keys })
}

/// What the witness has seen, held against the journal.
pub(crate) enum Seen {
    /// It has seen nothing yet.
    Nothing,
    /// The journal begins with it.
    Within,
    /// More than there is: the journal was rolled back.
    Ahead(Checkpoint),
    /// Another journal: it forked.
    Beside(Checkpoint),
    /// What was given up when a rollback was accepted.
    GivenUp,
}

/// A journal that is behind or beside what its witness has seen must not sign.
pub(crate) async fn seen(base: &Foundations, head: &Head, keys: &KeyChain) -> Result<Seen, OpenError> {
    let Some(note) = base.witness.latest()? else { return Ok(Seen::Nothing) };
    let key = NoteKey::of(&*base.signer);
    let mut seen = Checkpoint::open(&note, base.signer.name(), &key);
    // The last checkpoint that the witness was told may be from before the key changed.
    for former in keys.keys() {
        seen = seen.or_else(|unsigned| Checkpoint::open(&note, &former.name, former).map_err(|_| unsigned));
    }
    let seen = seen.map_err(OpenError::Remembered)?;
    if seen.size <= head.size {
        let proof = proof(&*base.ledger, &consistency_ranges(seen.size, head.size), head.size).await?;
        if verify_consistency(seen.size, head.size, seen.root, head.root, &proof) {
            return Ok(Seen::Within);
        }
    }
    let point = Point { size: seen.size, root: seen.root };
    if given_up(&*base.ledger).await?.contains(&point) {
        return Ok(Seen::GivenUp);
    }
    Ok(if seen.size > head.size { Seen::Ahead(seen) } else { Seen::Beside(seen) })
}

/// The key at hand must be the one that the genesis names, or the last rotation.
pub(crate) fn check_key(base: &Foundations, keys: &KeyChain) -> Result<(), OpenError> {
    let found = NoteKey::of(&*base.signer);
    match keys.newest() {
        Some(expected) if *expected != found => {
            Err(OpenError::Key { expected: expected.to_string(), found: found.to_string() })
        }
        Some(_) | None => Ok(()),
    }
}

/// A tile as it is at some width, kept or computed; none when the entries for it are not there.
///
/// # Errors
/// When the ledger fails.
pub async fn tile(ledger: &dyn Ledger, at: TileAt) -> Result<Option<Vec<u8>>, LedgerError> {
    match if at.width == 256 { ledger.tile(at.level, at.index).await? } else { None } {
        Some(kept) => Ok(Some(kept)),
        None => partial_tile(ledger, at).await,
    }
}

/// Chance as a number.
pub(crate) fn seed(chance: [u8; 10]) -> u64 {
    chance.iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}
