//! Whatever is done to a journal behind its back is noticed, and nothing is noticed in one that was left alone.

use crate::conformance::draft;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use writ_audit::{Checkpoint, ZERO_LEAF};
use writ_core::{
    Append, Columns, Digest, Entry, Erasable, Event, Filter, Head, Ledger, LedgerError, Signer as _, Stored,
    StoredCheckpoint, TraceId, ViewChange,
};
use writ_pipeline::{Batch, Trust, VerifyError, verify};
use writ_seal::{Key, NoteKey, leaf_hash, sha256};
use writ_sim::{SeededChance, open_journal};
use writ_store::MemoryLedger;

/// A journal laid open: everything that a database administrator can reach.
#[derive(Clone)]
struct Rows {
    head: Head,
    entries: Vec<(Stored, Columns)>,
    attachments: BTreeMap<Digest, Vec<u8>>,
    erasables: BTreeMap<Digest, Erasable>,
    tiles: BTreeMap<(u8, u64), Vec<u8>>,
    checkpoints: Vec<StoredCheckpoint>,
    /// Documents that decisions are made on.
    views: BTreeMap<&'static str, BTreeMap<String, Vec<u8>>>,
}

#[async_trait]
impl Ledger for Rows {
    async fn head(&self) -> Result<Option<Head>, LedgerError> {
        Ok(Some(self.head.clone()))
    }
    async fn entries(&self, seq: u64, limit: usize) -> Result<Vec<Stored>, LedgerError> {
        Ok(self.entries.iter().filter(|(row, _)| row.seq >= seq).take(limit).map(|(row, _)| row.clone()).collect())
    }
    async fn columns(&self, seq: u64, limit: usize) -> Result<Vec<Columns>, LedgerError> {
        Ok(self.entries.iter().filter(|(row, _)| row.seq >= seq).take(limit).map(|(_, row)| row.clone()).collect())
    }
    async fn attachment(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.attachments.get(digest).cloned())
    }
    async fn erasable(&self, commitment: &Digest) -> Result<Option<Erasable>, LedgerError> {
        Ok(self.erasables.get(commitment).cloned())
    }
    async fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.tiles.get(&(level, index)).cloned())
    }
    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        Ok(self.checkpoints.iter().filter(|kept| kept.size > after).take(limit).cloned().collect())
    }
    async fn take_over(&self, _: Head) -> Result<Head, LedgerError> {
        Err(unused())
    }
    async fn append(&self, _: &writ_core::Group) -> Append {
        Err(unused().into())
    }
    async fn stream(&self, _: &str, _: u64, _: usize) -> Result<Vec<Stored>, LedgerError> {
        Err(unused())
    }
    async fn version_below(&self, _: &str, _: u64) -> Result<u64, LedgerError> {
        Err(unused())
    }
    async fn length_below(&self, _: &TraceId, _: u64) -> Result<u64, LedgerError> {
        Err(unused())
    }
    async fn query(&self, _: &Filter, _: usize) -> Result<Vec<Stored>, LedgerError> {
        Err(unused())
    }
    async fn by_event(&self, _: &str) -> Result<Option<Stored>, LedgerError> {
        Err(unused())
    }
    async fn erase(&self, _: &Digest) -> Result<bool, LedgerError> {
        Err(unused())
    }
    async fn leaves(&self, _: u64, _: u64) -> Result<Vec<Digest>, LedgerError> {
        Err(unused())
    }
    async fn checkpoints_back(&self, _: Option<u64>, _: usize) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        Err(unused())
    }
    async fn view(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        Err(unused())
    }
    async fn views(
        &self,
        view: &str,
        _: &str,
        after: Option<&str>,
        _: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        let whole = self.views.get(view).filter(|_| after.is_none());
        Ok(whole.into_iter().flatten().map(|(key, doc)| (key.clone(), doc.clone())).collect())
    }

    async fn views_back(
        &self,
        _: &str,
        _: &str,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        Err(unused())
    }
    async fn rebuild(&self, _: Vec<ViewChange>, _: u64) -> Result<bool, LedgerError> {
        Err(unused())
    }
    async fn reported(&self) -> Result<u64, LedgerError> {
        Err(unused())
    }
    async fn report(&self, _: &writ_core::Report) -> Append {
        Err(unused().into())
    }
    /// What finds entries stands apart from them; that it is mended or noticed is tested where it is kept.
    async fn misfiled(&self) -> Result<Option<u64>, LedgerError> {
        Ok(None)
    }
}

fn unused() -> LedgerError {
    LedgerError::Damaged { place: "rows".into(), what: "verification does not ask for this".into() }
}

/// A journal of about `count` entries in groups of uneven size, and what was remembered of it elsewhere.
async fn journal(seed: u64, count: u64, key: &Key) -> (Rows, Checkpoint) {
    let ledger = Arc::new(MemoryLedger::new());
    let mut base = writ_sim::foundations(ledger.clone(), seed);
    base.signer = Arc::new(Key::from_seed(key.name(), &key_seed(key)));
    let journal = writ_pipeline::Journal::open(base).await.unwrap();
    let chance = SeededChance::new(seed ^ 0xfeed);
    let cause = journal.new_cause();
    let mut n = 0;
    while n < count {
        let group = 1 + chance.below(9);
        let mut batch = Batch::default();
        for at in n..n + group {
            let mut one = draft(&format!("run/{}", at % 4), at);
            if at.is_multiple_of(5) {
                let digest = batch.attach(format!("attachment {at} of {seed}").into_bytes());
                one.body = serde_json::json!({"n": at, "attachments": {"plan": digest}});
            }
            if at.is_multiple_of(7) {
                let (salt, bytes) = ([at as u8; 32], format!("text {at}").into_bytes());
                let commitment = writ_seal::salted(&salt, &bytes);
                one.body = serde_json::json!({"n": at, "erasables": {"reason": commitment}});
                batch.erasables.push(Erasable { commitment, salt, bytes });
            }
            if at.is_multiple_of(3) {
                // Decisions are made on what such an entry leaves: whose token it is.
                one.kind = "principal.token_issued/1";
                one.body = serde_json::json!({"n": at, "principal": "p-1", "token_hash": format!("sha256:{at:064x}")});
            }
            batch.drafts.push(one);
        }
        journal.commit(&cause, batch).await.unwrap();
        n += group;
    }
    let stored = ledger.entries(0, usize::MAX).await.unwrap();
    let columns = ledger.columns(0, usize::MAX).await.unwrap();
    let mut rows = Rows {
        head: ledger.head().await.unwrap().unwrap(),
        entries: stored.into_iter().zip(columns).collect(),
        attachments: BTreeMap::new(),
        erasables: BTreeMap::new(),
        tiles: BTreeMap::new(),
        checkpoints: ledger.checkpoints(0, usize::MAX).await.unwrap(),
        views: BTreeMap::new(),
    };
    for view in ["live", "intents", "approvals", "recommendations", "tokens", "standing"] {
        let docs = ledger.views(view, "", None, usize::MAX).await.unwrap();
        rows.views.insert(view, docs.into_iter().collect());
    }
    for (stored, _) in &rows.entries {
        let entry: Entry = serde_json::from_slice(&stored.bytes).unwrap();
        for digest in writ_audit::attachments_of(&entry) {
            rows.attachments.insert(digest, ledger.attachment(&digest).await.unwrap().unwrap());
        }
        for digest in writ_audit::erasables_of(&entry) {
            rows.erasables.insert(digest, ledger.erasable(&digest).await.unwrap().unwrap());
        }
    }
    for index in 0..rows.entries.len() as u64 / 256 {
        rows.tiles.insert((0, index), ledger.tile(0, index).await.unwrap().unwrap());
    }
    let note = rows.checkpoints.last().unwrap().note.clone();
    let pin = Checkpoint::open(&note, key.name(), &NoteKey::of(key)).unwrap();
    (rows, pin)
}

fn key_seed(key: &Key) -> [u8; 32] {
    if key.public_key() == good_key().public_key() { [7; 32] } else { [66; 32] }
}

fn good_key() -> Key {
    Key::from_seed("writ.test/log", &[7; 32])
}

/// One thing done to a journal behind its back, by name. None when this journal has nothing to do it to.
type Mutation = fn(&mut Rows, &SeededChance) -> Option<()>;

fn flip(bytes: &mut [u8], chance: &SeededChance) -> Option<()> {
    let at = chance.below(bytes.len() as u64) as usize;
    *bytes.get_mut(at)? ^= 1 << chance.below(8);
    Some(())
}

fn pick(rows: &Rows, chance: &SeededChance) -> usize {
    chance.below(rows.entries.len() as u64) as usize
}

/// Everything a careful forger without the key can mend after changing bytes: leaf hashes and columns.
fn mend(rows: &mut Rows, at: usize) {
    let (stored, columns) = &mut rows.entries[at];
    stored.leaf = leaf_hash(&stored.bytes);
    if let Ok(entry) = serde_json::from_slice::<Entry>(&stored.bytes) {
        *columns = Columns::of(&entry);
    }
}

fn edit_field(rows: &mut Rows, chance: &SeededChance, reseal: bool) -> Option<()> {
    let first = pick(rows, chance);
    let mut prev = None;
    for at in first..rows.entries.len() {
        let mut entry: Entry = serde_json::from_slice(&rows.entries[at].0.bytes).unwrap();
        match prev.take() {
            Some(prev) => entry.prev = prev,
            None => match chance.below(5) {
                0 => entry.resource.push('x'),
                1 => entry.actor.id = "somebody-else".into(),
                2 => {
                    entry.outcome = if entry.outcome == writ_core::Outcome::Denied {
                        writ_core::Outcome::Success
                    } else {
                        writ_core::Outcome::Denied
                    }
                }
                3 => entry.body["n"] = serde_json::json!(chance.below(1 << 40) + 10_000),
                _ => entry.action = "something_else".into(),
            },
        }
        rows.entries[at].0.bytes = writ_seal::entry_bytes(&entry).unwrap();
        mend(rows, at);
        prev = Some(rows.entries[at].0.leaf.hex());
        if !reseal {
            break;
        }
    }
    Some(())
}

const MUTATIONS: &[(&str, Mutation)] = &[
    ("a bit of an entry", |rows, chance| {
        let at = pick(rows, chance);
        flip(&mut rows.entries[at].0.bytes, chance)
    }),
    ("a bit of an entry, its hash mended", |rows, chance| {
        let at = pick(rows, chance);
        flip(&mut rows.entries[at].0.bytes, chance)?;
        mend(rows, at);
        Some(())
    }),
    ("a field, its hash and columns mended", |rows, chance| edit_field(rows, chance, false)),
    ("a field, the chain after it mended", |rows, chance| edit_field(rows, chance, true)),
    ("a leaf hash", |rows, chance| {
        let at = pick(rows, chance);
        flip(&mut rows.entries[at].0.leaf.0, chance)
    }),
    ("an entry deleted", |rows, chance| {
        let at = pick(rows, chance);
        rows.entries.remove(at);
        Some(())
    }),
    ("an entry deleted, the rest moved up", |rows, chance| {
        let at = pick(rows, chance);
        rows.entries.remove(at);
        rows.entries.iter_mut().enumerate().skip(at).for_each(|(at, (stored, _))| stored.seq = at as u64);
        Some(())
    }),
    ("an entry inserted", |rows, chance| {
        let at = pick(rows, chance);
        let copy = rows.entries[at].clone();
        rows.entries.insert(at, copy);
        rows.entries.iter_mut().enumerate().for_each(|(at, (stored, _))| stored.seq = at as u64);
        Some(())
    }),
    ("two entries in each other's place", |rows, chance| {
        let (a, b) = (pick(rows, chance), pick(rows, chance));
        if a == b {
            return None;
        }
        rows.entries.swap(a, b);
        rows.entries.iter_mut().enumerate().for_each(|(at, (stored, _))| stored.seq = at as u64);
        Some(())
    }),
    ("the tail cut off", |rows, chance| {
        let keep = pick(rows, chance);
        rows.entries.truncate(keep);
        Some(())
    }),
    ("the tail cut off, head and checkpoints with it", |rows, chance| {
        let at = chance.below(rows.checkpoints.len() as u64 - 1) as usize;
        let (kept, _) = Checkpoint::parse(&rows.checkpoints[at].note).unwrap();
        rows.checkpoints.truncate(at + 1);
        rows.entries.truncate(kept.size as usize);
        rows.head.size = kept.size;
        rows.head.root = kept.root;
        rows.head.last_leaf = rows.entries.last().map_or(ZERO_LEAF, |(stored, _)| stored.leaf);
        Some(())
    }),
    ("a column", |rows, chance| {
        let at = pick(rows, chance);
        let columns = &mut rows.entries[at].1;
        match chance.below(8) {
            0 => columns.actor.push('x'),
            1 => columns.action.push('x'),
            2 => columns.resource.push('x'),
            3 => columns.outcome = "denied".into(),
            4 => columns.kind.push('x'),
            5 => columns.timestamp += 1,
            6 => columns.stream.push('x'),
            _ => columns.trace_seq += 1,
        }
        Some(())
    }),
    ("a tile", |rows, chance| flip(rows.tiles.values_mut().next()?, chance)),
    ("a tile removed", |rows, _| rows.tiles.pop_first().map(drop)),
    ("an attachment", |rows, chance| {
        let at = chance.below(rows.attachments.len() as u64) as usize;
        flip(rows.attachments.values_mut().nth(at)?, chance)
    }),
    ("an attachment removed", |rows, chance| {
        let at = chance.below(rows.attachments.len() as u64) as usize;
        let digest = *rows.attachments.keys().nth(at)?;
        rows.attachments.remove(&digest).map(drop)
    }),
    ("an erasable text", |rows, chance| {
        let at = chance.below(rows.erasables.len() as u64) as usize;
        flip(&mut rows.erasables.values_mut().nth(at)?.bytes, chance)
    }),
    ("a checkpoint", |rows, chance| {
        let at = chance.below(rows.checkpoints.len() as u64) as usize;
        let mut bytes = rows.checkpoints[at].note.clone().into_bytes();
        flip(&mut bytes, chance)?;
        rows.checkpoints[at].note = String::from_utf8_lossy(&bytes).into_owned();
        Some(())
    }),
    ("a checkpoint signed by another key", |rows, chance| {
        let at = chance.below(rows.checkpoints.len() as u64) as usize;
        let (kept, _) = Checkpoint::parse(&rows.checkpoints[at].note).unwrap();
        let other = Key::from_seed("writ.test/log", &[66; 32]);
        rows.checkpoints[at].note = kept.sign(&[&other]).unwrap();
        Some(())
    }),
    ("the newest checkpoint removed", |rows, _| rows.checkpoints.pop().map(drop)),
    ("a document changed", |rows, chance| {
        let tokens = rows.views.get_mut("tokens")?;
        let at = chance.below(tokens.len() as u64) as usize;
        flip(tokens.values_mut().nth(at)?, chance)
    }),
    ("a document removed", |rows, _| rows.views.get_mut("tokens")?.pop_first().map(drop)),
    ("a document put in", |rows, chance| {
        let (view, key) = [("tokens", "f00"), ("standing", "apr_1"), ("live", "run/run_1")][chance.below(3) as usize];
        rows.views.get_mut(view)?.insert(key.into(), b"{\"principal\":\"thief\"}".to_vec()).is_none().then_some(())
    }),
    ("the head set back", |rows, chance| {
        rows.head.size -= 1 + chance.below(rows.head.size - 1);
        Some(())
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_mutant_of_a_journal_passes() {
    let key = good_key();
    // One round in four is on a journal that fills a tile; on shorter ones the same mutations cost a fifth.
    let (long, short) = (journal(1, 300, &key).await, journal(1, 60, &key).await);
    let trust = |pin: &Checkpoint| Trust { key: Some(NoteKey::of(&key)), pins: vec![pin.clone()] };
    for (rows, pin) in [&long, &short] {
        verify(rows, &trust(pin)).await.unwrap();
    }
    let (chance, mut tried, mut missed) = (SeededChance::new(99), 0_u64, Vec::new());
    for round in 0..110 {
        let (rows, pin) = if round % 4 == 0 { &long } else { &short };
        for (name, mutation) in MUTATIONS {
            let mut mutant = rows.clone();
            if mutation(&mut mutant, &chance).is_none() {
                continue;
            }
            tried += 1;
            if verify(&mutant, &trust(pin)).await.is_ok() {
                missed.push(format!("{name}, round {round}"));
            }
        }
    }
    // Whole journals of another key, and forks that share the key but not the history.
    let thief = Key::from_seed("writ.test/log", &[66; 32]);
    for seed in 2..12 {
        let (other, _) = journal(seed, 60, &thief).await;
        let (fork, _) = journal(seed, 70, &key).await;
        for (name, forged) in [("another key's journal", other), ("a fork", fork)] {
            tried += 1;
            if verify(&forged, &trust(&short.1)).await.is_ok() {
                missed.push(format!("{name}, seed {seed}"));
            }
        }
    }
    println!("{tried} mutants, {} undetected", missed.len());
    assert!(missed.is_empty(), "{missed:?}");
    assert!(tried >= 2_000, "{tried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clean_journals_raise_no_alarm() {
    let key = good_key();
    for seed in 0..200 {
        let (rows, pin) = journal(seed, 1 + seed % 60, &key).await;
        verify(&rows, &Trust { key: Some(NoteKey::of(&key)), pins: vec![pin] }).await.unwrap();
    }
}

#[tokio::test]
async fn the_first_bad_entry_is_named_with_what_was_expected() {
    let (rows, _) = journal(1, 40, &good_key()).await;
    let mut mutant = rows.clone();
    mutant.entries[17].0.bytes =
        String::from_utf8(mutant.entries[17].0.bytes.clone()).unwrap().replace("success", "failure").into_bytes();
    let Err(VerifyError::Fault(fault)) = verify(&mutant, &Trust::default()).await else { panic!("nothing noticed") };
    let (kept, found) = (rows.entries[17].0.leaf.hex(), leaf_hash(&mutant.entries[17].0.bytes).hex());
    assert_eq!(
        fault.to_string(),
        format!("entry 17 does not hold: expected its bytes to hash to {kept}, they hash to {found}")
    );
}

#[tokio::test]
async fn an_erased_text_leaves_every_proof_valid() {
    let (mut rows, pin) = journal(1, 40, &good_key()).await;
    rows.erasables.clear();
    verify(&rows, &Trust { key: None, pins: vec![pin] }).await.unwrap();
    let ledger = Arc::new(MemoryLedger::new());
    let journal = open_journal(ledger.clone(), 1).await.unwrap();
    let (salt, bytes) = ([1; 32], b"call Bob".to_vec());
    let commitment = writ_seal::salted(&salt, &bytes);
    let mut batch = Batch::of(vec![draft("run/a", 1)]);
    batch.erasables.push(Erasable { commitment, salt, bytes });
    journal.commit(&journal.new_cause(), batch).await.unwrap();
    assert!(ledger.erase(&commitment).await.unwrap());
    let said = writ_audit::AuditEvent::Erased { commitment, reason: "asked for".into() };
    journal
        .commit(&journal.new_cause(), Batch::of(vec![said.draft(&writ_core::Actor::system("journal"))]))
        .await
        .unwrap();
    verify(&*ledger, &Trust::default()).await.unwrap();
    assert_eq!(ledger.erasable(&commitment).await.unwrap(), None);
    assert_eq!(sha256(b"").hex().len(), 64);
}
