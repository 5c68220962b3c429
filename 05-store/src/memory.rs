//! Memory: the simulator's ledger. Durable for as long as the value lives, which is what a simulated disk needs.

use crate::ledger::prefix_end;
use async_trait::async_trait;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use writ_core::{
    Append, AppendError, Columns, Digest, Entry, Erasable, Filter, Group, Head, Ledger, LedgerError, Stored,
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
    traces: HashMap<String, u64>,
    events: HashMap<String, u64>,
    attachments: HashMap<Digest, Vec<u8>>,
    erasables: HashMap<Digest, Erasable>,
    tiles: HashMap<(u8, u64), Vec<u8>>,
    checkpoints: BTreeMap<u64, String>,
    views: BTreeMap<(String, String), Vec<u8>>,
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
    fn change_views(&mut self, changes: &[ViewChange]) {
        for change in changes {
            let key = (change.view.to_owned(), change.key.clone());
            match &change.doc {
                Some(doc) => self.views.insert(key, doc.clone()),
                None => self.views.remove(&key),
            };
        }
    }

    fn at(&self, seq: u64) -> Option<&Stored> {
        self.entries.get(usize::try_from(seq).ok()?).map(|(stored, _)| stored)
    }
}

fn matches(filter: &Filter, entry: &Entry) -> bool {
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    let within = |wanted: &Option<String>, mark: char, keep: bool, found: &str| {
        wanted.as_deref().is_none_or(|wanted| match wanted.strip_suffix(mark) {
            Some(stem) => found.starts_with(if keep { wanted } else { stem }),
            None => wanted == found,
        })
    };
    is(&filter.action, &entry.action)
        && filter.actor.as_deref().is_none_or(|actor| actor == entry.actor.id || actor == entry.actor.to_string())
        && filter.outcome.is_none_or(|outcome| outcome == entry.outcome)
        && filter.trace.as_ref().is_none_or(|trace| *trace == entry.trace_id)
        && is(&filter.stream, &entry.stream)
        && within(&filter.resource, '*', false, &entry.resource)
        && within(&filter.kind, '.', true, &entry.kind)
        && filter.from_time.is_none_or(|from| entry.timestamp >= from)
        && filter.to_time.is_none_or(|to| entry.timestamp < to)
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
            state.traces.insert(entry.trace_id.to_string(), entry.trace_seq + 1);
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
        state.change_views(&group.views);
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

    async fn stream_version(&self, stream: &str) -> Result<u64, LedgerError> {
        Ok(self.state().streams.get(stream).map_or(0, |places| places.len() as u64))
    }

    async fn trace_length(&self, trace: &TraceId) -> Result<u64, LedgerError> {
        Ok(self.state().traces.get(trace.as_str()).copied().unwrap_or(0))
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

    async fn checkpoint(&self, at_most: Option<u64>) -> Result<Option<StoredCheckpoint>, LedgerError> {
        let state = self.state();
        let newest = state.checkpoints.range(..=at_most.unwrap_or(u64::MAX)).next_back();
        Ok(newest.map(|(size, note)| StoredCheckpoint { note: note.clone(), size: *size }))
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        let state = self.state();
        let later = state.checkpoints.range(after.saturating_add(1)..).take(limit);
        Ok(later.map(|(size, note)| StoredCheckpoint { note: note.clone(), size: *size }).collect())
    }

    async fn view(&self, view: &str, key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.state().views.get(&(view.to_owned(), key.to_owned())).cloned())
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
        let found = state.views.range(range).filter(|((_, key), _)| beyond(key)).take(limit);
        Ok(found.map(|((_, key), doc)| (key.clone(), doc.clone())).collect())
    }

    async fn rebuild(&self, documents: Vec<ViewChange>) -> Result<(), LedgerError> {
        let mut state = self.state();
        state.views.clear();
        state.change_views(&documents);
        Ok(())
    }

    async fn columns(&self, seq: u64, limit: usize) -> Result<Vec<Columns>, LedgerError> {
        let state = self.state();
        let from = usize::try_from(seq).unwrap_or(usize::MAX);
        Ok(state.entries.iter().skip(from).take(limit).map(|(_, entry)| Columns::of(entry)).collect())
    }
}
