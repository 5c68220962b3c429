//! Holding what a server shows of its journal against what this client remembers. Nothing that the server says is believed
//! but what the remembered key signed, and what hashes lead from there.

use crate::client::{Client, ClientError, escaped};
use crate::exit::{self, Exit};
use crate::pin::{Pin, PinError, Pins};
use std::collections::BTreeMap;
use writ_audit::{
    Checkpoint, CheckpointError, Fault, KEY_ROTATED, KeyChain, Range, TileAt, consistency_ranges, inclusion_ranges,
    range_hash, tiles_of, verify_consistency, verify_inclusion,
};
use writ_core::{Digest, Entry};
use writ_pipeline::{Exported, tile_path};
use writ_seal::{NoteKey, leaf_hash};

/// Entries of one bundle.
const BUNDLE: u64 = 256;

/// A head of a journal, as people compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    size: u64,
    root: Digest,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} entries (root {})", self.size, self.root.hex())
    }
}

impl From<&Checkpoint> for Point {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self { size: checkpoint.size, root: checkpoint.root }
    }
}

/// Why a journal is not the one that this client remembers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    /// The server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What is remembered.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// There is no checkpoint, or it is none.
    #[error("the newest checkpoint does not hold")]
    Checkpoint(#[from] CheckpointError),
    /// Another journal stands where one was seen.
    #[error(
        "`{place}` showed the journal `{known}` before, of which this client has seen {seen}; now it shows `{found}`"
    )]
    OtherJournal { place: String, known: String, seen: Point, found: String },
    /// Another key signed, and nothing leads to it.
    #[error(
        "the newest checkpoint of `{origin}`, over {shown}, is not signed by `{known}`, nor by a key that it handed over to"
    )]
    OtherKey {
        origin: String,
        known: String,
        shown: Point,
        #[source]
        cause: Box<CheckpointError>,
    },
    /// An entry claims to hand over and does not.
    #[error("the journal's keys do not follow each other")]
    Rotation(#[from] Fault),
    /// There is less than was seen.
    #[error("`{origin}` is rolled back: this client has seen {seen}, the server shows {shown}")]
    RolledBack { origin: String, seen: Point, shown: Point },
    /// There is something else than was seen.
    #[error("`{origin}` has forked: {shown} do not begin with the {seen} that this client has seen")]
    Forked { origin: String, seen: Point, shown: Point },
    /// The server does not show what would prove it.
    #[error("the server does not show `{path}`, without which nothing is proved")]
    Withheld { path: String },
    /// An entry that is shown is not in the journal.
    #[error("entry {seq}, which the server shows, is not in the journal that it signed")]
    NotIncluded { seq: u64 },
}

impl FollowError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            FollowError::Client(error) => error.exit(),
            FollowError::Pin(PinError::Nowhere | PinError::File { .. }) => exit::FAILED,
            FollowError::Pin(PinError::Form { .. }) => exit::UNVERIFIED,
            FollowError::Checkpoint(_) | FollowError::OtherJournal { .. } | FollowError::OtherKey { .. } => {
                exit::UNVERIFIED
            }
            FollowError::Rotation(_) | FollowError::RolledBack { .. } | FollowError::Forked { .. } => exit::UNVERIFIED,
            FollowError::Withheld { .. } | FollowError::NotIncluded { .. } => exit::UNVERIFIED,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        let knowingly = "only if you know why, forget what was seen with `writ audit unpin`";
        match self {
            FollowError::Client(error) => error.hint(),
            FollowError::Pin(PinError::Form { path, .. }) => Some(format!(
                "if you know why, remove {}; the next `writ audit verify` is then a first look",
                path.display()
            )),
            FollowError::Pin(PinError::Nowhere | PinError::File { .. }) => None,
            FollowError::RolledBack { .. } | FollowError::Forked { .. } => {
                Some(format!("copy the database as it is, restore the newest one; {knowingly}"))
            }
            FollowError::OtherJournal { .. } => {
                Some(format!("was the state directory made anew, or is this another server? {knowingly}"))
            }
            FollowError::OtherKey { .. } | FollowError::Rotation(_) => {
                Some(format!("copy the database and the key as they are, and ask who changed it; {knowingly}"))
            }
            FollowError::Checkpoint(_) | FollowError::Withheld { .. } | FollowError::NotIncluded { .. } => {
                Some("copy the database as it is; see docs/errors/unverified.md".into())
            }
        }
    }
}

/// What a look at a journal came to.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) checkpoint: Checkpoint,
    /// The key that signed it.
    pub(crate) key: NoteKey,
    /// The newest checkpoint that was seen before; none at the first look.
    pub(crate) before: Option<Checkpoint>,
    /// Whether the key is believed because it was the first that was seen.
    pub(crate) first_use: bool,
    /// What is to be remembered of it.
    pub(crate) pin: Pin,
}

/// Looks at the journal that a server shows at a place.
///
/// # Errors
/// When it is not what this client remembers, goes on from there.
pub(crate) async fn look(
    client: &Client,
    place: &str,
    known: Option<&NoteKey>,
    pins: &Pins,
) -> Result<Look, FollowError> {
    let note = client.bytes("/log/checkpoint").await?;
    let note = note.ok_or_else(|| FollowError::Withheld { path: "checkpoint".into() })?;
    let note = String::from_utf8_lossy(&note).into_owned();
    let (claimed, signed) = Checkpoint::parse(&note)?;
    let pin = pins.get(&claimed.origin)?;
    if let Some(other) = pins.seen_at(place)?.filter(|other| other.origin != claimed.origin)
        && let Some(seen) = other.checkpoint()
    {
        let (known, found, seen) = (other.origin, claimed.origin, Point::from(&seen));
        return Err(FollowError::OtherJournal { place: place.to_owned(), known, seen, found });
    }
    let remembered = known.cloned().or_else(|| pin.as_ref().and_then(Pin::key));
    let first_use = remembered.is_none();
    let start = match remembered {
        Some(key) => key,
        None => shown_key(client).await?,
    };
    let mut log = Log { client, size: claimed.size, root: claimed.root, tiles: BTreeMap::new() };
    let alone = signed.signatures.len() == 1;
    let (checkpoint, key) = log.signed(&note, &claimed, start, alone).await?;
    let before = pin.as_ref().and_then(Pin::checkpoint);
    if let Some(seen) = &before {
        log.goes_on(seen, &checkpoint).await?;
    }
    let mut fresh = Pin::new(&checkpoint, &note, &key);
    fresh.places = pin.map(|pin| pin.places).unwrap_or_default();
    fresh.places.insert(place.to_owned());
    Ok(Look { checkpoint, key, before, first_use, pin: fresh })
}

/// The key that a server shows to whoever has none yet.
pub(crate) async fn shown_key(client: &Client) -> Result<NoteKey, FollowError> {
    let bytes = client.bytes("/log/key").await?.ok_or_else(|| FollowError::Withheld { path: "key".into() })?;
    let key = String::from_utf8_lossy(&bytes).trim().parse();
    Ok(key.map_err(CheckpointError::from)?)
}

/// A journal as a server shows it, at one size.
struct Log<'a> {
    client: &'a Client,
    size: u64,
    root: Digest,
    tiles: BTreeMap<TileAt, Vec<u8>>,
}

impl Log<'_> {
    /// The newest checkpoint and the key that signed it: the known one, or one that it handed over to. Where several signed,
    /// the newest counts, so that a key that was rotated away is not believed for longer than it must.
    async fn signed(
        &mut self,
        note: &str,
        claimed: &Checkpoint,
        known: NoteKey,
        alone: bool,
    ) -> Result<(Checkpoint, NoteKey), FollowError> {
        let origin = &claimed.origin;
        let direct = Checkpoint::open(note, origin, &known);
        if let (Ok(checkpoint), true) = (&direct, alone) {
            return Ok((checkpoint.clone(), known));
        }
        let mut chain = KeyChain::from_known(known.clone());
        for seq in self.rotations().await? {
            let entry = self.entry(seq).await?;
            chain.follow(&entry)?;
        }
        let newest = chain.newest().unwrap_or(&known).clone();
        let opened = match (Checkpoint::open(note, origin, &newest), direct) {
            (Err(_), Ok(checkpoint)) => return Ok((checkpoint, known)),
            (opened, _) => opened,
        };
        let refused = |cause: CheckpointError| FollowError::OtherKey {
            origin: origin.clone(),
            known: known.to_string(),
            shown: Point::from(claimed),
            cause: Box::new(cause),
        };
        Ok((opened.map_err(refused)?, newest))
    }

    /// Where the server says that keys were handed over; each of these entries is held against the root.
    async fn rotations(&self) -> Result<Vec<u64>, FollowError> {
        let path = format!("/api/v1/audit/entries?kind={}&oldest_first=true&limit=1000", escaped(KEY_ROTATED));
        let page = self.client.get(&path).await?;
        let items = crate::cmd::items(&page);
        let seqs = items.iter().filter_map(|item| item.get("seq")?.as_u64());
        Ok(seqs.filter(|seq| *seq < self.size).collect())
    }

    /// An entry, proved to be in the journal.
    async fn entry(&mut self, seq: u64) -> Result<Entry, FollowError> {
        let index = seq / BUNDLE;
        let width = (self.size - index * BUNDLE).min(BUNDLE);
        let bundle = self.shown(&tile_path("entries", index, width)).await?;
        let not_included = || FollowError::NotIncluded { seq };
        let at = usize::try_from(seq % BUNDLE).map_err(|_| not_included())?;
        let bytes = Exported::entry_in(&bundle, at).ok_or_else(not_included)?;
        let proof = self.hashes(&inclusion_ranges(seq, self.size)).await?;
        if !verify_inclusion(leaf_hash(&bytes), seq, self.size, self.root, &proof) {
            return Err(not_included());
        }
        serde_json::from_slice(&bytes).map_err(|_| not_included())
    }

    /// Whether the journal is the one that was seen, and more.
    async fn goes_on(&mut self, seen: &Checkpoint, now: &Checkpoint) -> Result<(), FollowError> {
        let (origin, before, shown) = (now.origin.clone(), Point::from(seen), Point::from(now));
        if now.size < seen.size {
            return Err(FollowError::RolledBack { origin, seen: before, shown });
        }
        let proof = self.hashes(&consistency_ranges(seen.size, now.size)).await?;
        if verify_consistency(seen.size, now.size, seen.root, now.root, &proof) {
            return Ok(());
        }
        Err(FollowError::Forked { origin, seen: before, shown })
    }

    /// The hashes of some subtrees, from the tiles that the server shows. They prove nothing by themselves.
    async fn hashes(&mut self, ranges: &[Range]) -> Result<Vec<Digest>, FollowError> {
        for at in ranges.iter().flat_map(|range| tiles_of(range, self.size)) {
            if !self.tiles.contains_key(&at) {
                let path = tile_path(&at.level.to_string(), at.index, u64::from(at.width));
                let bytes = self.shown(&path).await?;
                self.tiles.insert(at, bytes);
            }
        }
        let short = || FollowError::Withheld { path: "a whole tile".into() };
        ranges.iter().map(|range| range_hash(range, self.size, &self.tiles).ok_or_else(short)).collect()
    }

    async fn shown(&self, path: &str) -> Result<Vec<u8>, FollowError> {
        let bytes = self.client.bytes(&format!("/log/{path}")).await?;
        bytes.ok_or_else(|| FollowError::Withheld { path: path.to_owned() })
    }
}
