//! Memory: the simulator's ledger. Durable for as long as the value lives, which is what a simulated disk needs.

use crate::filed::{matches, prefix_end};
use async_trait::async_trait;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use writ_core::{
    Append, AppendError, Columns, Digest, Entry, Erasable, Filter, Group, Head, Ledger, LedgerError, Report, Stored,
    StoredCheckpoint, TraceId, ViewChange,
};

/// A journal in memory.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    head: Option<Head>,
    entries: Vec<(Stored, Entry)>,
    streams: HashMap<String, Vec<u64>>,
    traces: HashMap<String, Vec<u64>>,
    events: HashMap<String, u64>,
    attachments: HashMap<Digest, Vec<u8>>,
    erasables: HashMap<Digest, Erasable>,
    tiles: HashMap<(u8, u64), Vec<u8>>,
    checkpoints: BTreeMap<u64, String>,
    views: Documents,
    reports: Documents,
    reported: u64,
}

type Documents = BTreeMap<(String, String), Vec<u8>>;

fn change(documents: &mut Documents, changes: &[ViewChange]) {
    for change in changes {
        let key = (change.view.to_owned(), change.key.clone());
        match &change.doc {
            Some(doc) => documents.insert(key, doc.clone()),
            None => documents.remove(&key),
        };
    }
}

/// How many of these places, which rise, are below one.
fn below(places: Option<&Vec<u64>>, limit: u64) -> u64 {
    places.map_or(0, |places| places.partition_point(|place| *place < limit) as u64)
}

impl MemoryLedger {
    /// An empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere does not change what was appended: every change below is made after its checks.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn at(&self, seq: u64) -> Option<&Stored> {
        self.entries.get(usize::try_from(seq).ok()?).map(|(stored, _)| stored)
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn head(&self) -> Result<Option<Head>, LedgerError> {
        Ok(self.state().head.clone())
    }

    async fn take_over(&self, empty: Head) -> Result<Head, LedgerError> {
        let mut state = self.state();
        let mut head = state.head.clone().unwrap_or(Head { epoch: 0, ..empty });
        head.epoch += 1;
        state.head = Some(head.clone());
        Ok(head)
    }

    async fn append(&self, group: &Group) -> Append {
        let mut state = self.state();
        let believed = |head: &Head| {
            (head.size, head.root, head.epoch) == (group.expected.size, group.expected.root, group.expected.epoch)
        };
        if !state.head.as_ref().is_some_and(believed) {
            return Err(AppendError::Superseded);
        }
        for sealed in &group.entries {
            let entry = sealed.entry.clone();
            state.streams.entry(entry.stream.clone()).or_default().push(entry.seq);
            state.traces.entry(entry.trace_id.to_string()).or_default().push(entry.seq);
            state.events.insert(entry.event_id.to_string(), entry.seq);
            state.entries.push((Stored { bytes: sealed.bytes.clone(), leaf: sealed.leaf, seq: entry.seq }, entry));
        }
        for (digest, bytes) in &group.attachments {
            state.attachments.entry(*digest).or_insert_with(|| bytes.clone());
        }
        for text in &group.erasables {
            state.erasables.insert(text.commitment, text.clone());
        }
        for tile in &group.tiles {
            state.tiles.insert((tile.level, tile.index), tile.bytes.clone());
        }
        change(&mut state.views, &group.views);
        state.checkpoints.insert(group.head.size, group.checkpoint.clone());
        state.head = Some(group.head.clone());
        Ok(())
    }

    async fn entries(&self, seq: u64, limit: usize) -> Result<Vec<Stored>, LedgerError> {
        let state = self.state();
        let from = usize::try_from(seq).unwrap_or(usize::MAX);
        Ok(state.entries.iter().skip(from).take(limit).map(|(stored, _)| stored.clone()).collect())
    }

    async fn stream(&self, stream: &str, version: u64, limit: usize) -> Result<Vec<Stored>, LedgerError> {
        let state = self.state();
        let from = usize::try_from(version).unwrap_or(usize::MAX);
        let places = state.streams.get(stream).map_or(&[][..], Vec::as_slice);
        Ok(places.iter().skip(from).take(limit).filter_map(|seq| state.at(*seq).cloned()).collect())
    }

    async fn version_below(&self, stream: &str, limit: u64) -> Result<u64, LedgerError> {
        Ok(below(self.state().streams.get(stream), limit))
    }

    async fn length_below(&self, trace: &TraceId, limit: u64) -> Result<u64, LedgerError> {
        Ok(below(self.state().traces.get(trace.as_str()), limit))
    }

    async fn query(&self, filter: &Filter, limit: usize) -> Result<Vec<Stored>, LedgerError> {
        let state = self.state();
        let wanted = |(_, entry): &&(Stored, Entry)| matches(filter, entry);
        let found: Vec<Stored> = if filter.newest_first {
            let upto = |(stored, _): &&(Stored, Entry)| filter.from_seq.is_none_or(|from| stored.seq <= from);
            state
                .entries
                .iter()
                .rev()
                .filter(upto)
                .filter(wanted)
                .take(limit)
                .map(|(stored, _)| stored.clone())
                .collect()
        } else {
            let from = |(stored, _): &&(Stored, Entry)| filter.from_seq.is_none_or(|from| stored.seq >= from);
            state.entries.iter().filter(from).filter(wanted).take(limit).map(|(stored, _)| stored.clone()).collect()
        };
        Ok(found)
    }

    async fn by_event(&self, event: &str) -> Result<Option<Stored>, LedgerError> {
        let state = self.state();
        Ok(state.events.get(event).and_then(|seq| state.at(*seq).cloned()))
    }

    async fn attachment(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.state().attachments.get(digest).cloned())
    }

    async fn erasable(&self, commitment: &Digest) -> Result<Option<Erasable>, LedgerError> {
        Ok(self.state().erasables.get(commitment).cloned())
    }

    async fn erase(&self, commitment: &Digest) -> Result<bool, LedgerError> {
        Ok(self.state().erasables.remove(commitment).is_some())
    }

    async fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.state().tiles.get(&(level, index)).cloned())
    }

    async fn leaves(&self, from: u64, to: u64) -> Result<Vec<Digest>, LedgerError> {
        let state = self.state();
        let range = usize::try_from(from).unwrap_or(usize::MAX)..usize::try_from(to).unwrap_or(usize::MAX);
        Ok(state
            .entries
            .iter()
            .enumerate()
            .filter(|(at, _)| range.contains(at))
            .map(|(_, (stored, _))| stored.leaf)
            .collect())
    }

    async fn checkpoints_back(&self, at_most: Option<u64>, limit: usize) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        let state = self.state();
        let newest = state.checkpoints.range(..=at_most.unwrap_or(u64::MAX)).rev().take(limit);
        Ok(newest.map(|(size, note)| StoredCheckpoint { note: note.clone(), size: *size }).collect())
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        let state = self.state();
        let later = state.checkpoints.range(after.saturating_add(1)..).take(limit);
        Ok(later.map(|(size, note)| StoredCheckpoint { note: note.clone(), size: *size }).collect())
    }

    async fn view(&self, view: &str, key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let (state, at) = (self.state(), (view.to_owned(), key.to_owned()));
        Ok(state.views.get(&at).or_else(|| state.reports.get(&at)).cloned())
    }

    async fn views(
        &self,
        view: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        let state = self.state();
        let range = (view.to_owned(), prefix.to_owned())..(view.to_owned(), prefix_end(prefix));
        let beyond = |key: &str| after.is_none_or(|after| key > after);
        // A view is in one of them and not in the other.
        let all = state.views.range(range.clone()).chain(state.reports.range(range));
        let found = all.filter(|((_, key), _)| beyond(key)).take(limit);
        Ok(found.map(|((_, key), doc)| (key.clone(), doc.clone())).collect())
    }

    async fn views_back(
        &self,
        view: &str,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        let mut found = self.views(view, prefix, None, usize::MAX).await?;
        found.retain(|(key, _)| before.is_none_or(|before| key.as_str() < before));
        found.reverse();
        found.truncate(limit);
        Ok(found)
    }

    async fn rebuild(&self, documents: Vec<ViewChange>, size: u64) -> Result<bool, LedgerError> {
        let mut state = self.state();
        if state.entries.len() as u64 != size {
            return Ok(false);
        }
        state.views.clear();
        change(&mut state.views, &documents);
        Ok(true)
    }

    async fn reported(&self) -> Result<u64, LedgerError> {
        Ok(self.state().reported)
    }

    async fn report(&self, report: &Report) -> Append {
        let mut state = self.state();
        if report.upto == 0 {
            state.reports.clear();
        } else if state.reported != report.from {
            return Err(AppendError::Superseded);
        }
        state.reported = report.upto;
        change(&mut state.reports, &report.views);
        Ok(())
    }

    async fn misfiled(&self) -> Result<Option<u64>, LedgerError> {
        // What finds entries here is made with them.
        Ok(None)
    }

    async fn columns(&self, seq: u64, limit: usize) -> Result<Vec<Columns>, LedgerError> {
        let state = self.state();
        let from = usize::try_from(seq).unwrap_or(usize::MAX);
        Ok(state.entries.iter().skip(from).take(limit).map(|(_, entry)| Columns::of(entry)).collect())
    }
}
