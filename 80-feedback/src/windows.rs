//! The window summaries of a period, taken one after the other: what is kept of them is no more for a year than for an hour.

use crate::history::Targets;
use crate::stats::Draws;
use std::collections::VecDeque;
use writ_core::{EventId, Histogram, Window};

/// Mean processor use below which an instance is idle, in percent.
const IDLE_PERCENT: u64 = 25;

/// A window summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRecord {
    /// The entry that holds it.
    pub entry: EventId,
    /// The summary.
    pub window: Window,
}

/// What the window summaries of a period come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows {
    /// All of them.
    pub(crate) all: Ends,
    /// Those in which a target was missed.
    pub(crate) missed: Ends,
    /// How many were not idle.
    pub(crate) busy: u64,
    /// Requests that went well, of those that there were, window by window.
    pub(crate) requests: Draws,
    /// How long answers took.
    pub(crate) latency: Histogram,
}

impl Windows {
    /// What some windows come to, in order of time, held against targets.
    #[must_use]
    pub fn of(targets: &Targets, windows: impl IntoIterator<Item = WindowRecord>) -> Self {
        let mut all = Self::default();
        windows.into_iter().for_each(|one| all.take(targets, &one));
        all
    }

    /// Takes the next window in.
    pub fn take(&mut self, targets: &Targets, one: &WindowRecord) {
        let window = &one.window;
        self.all.take(&one.entry);
        if misses(targets, window) {
            self.missed.take(&one.entry);
        }
        self.busy += u64::from(is_busy(targets, window));
        if window.requests > 0 {
            self.requests.take(good(window), window.requests);
        }
        self.latency.merge(&window.latency);
    }

    /// Whether processor use stayed below the idle mark in all windows but one in a hundred, of at least twenty.
    pub(crate) fn idle(&self) -> bool {
        self.all.count >= 20 && self.busy.saturating_mul(100) <= self.all.count
    }
}

fn good(window: &Window) -> u64 {
    window.requests.saturating_sub(window.errors)
}

fn misses(targets: &Targets, window: &Window) -> bool {
    let unavailable = targets.availability_ppm.is_some_and(|target| {
        window.requests > 0 && u128::from(good(window)) * 1_000_000 < u128::from(target) * u128::from(window.requests)
    });
    let p95 = window.latency.quantile(950);
    unavailable || p95.zip(targets.latency_p95_us).is_some_and(|(p95, target)| p95 > target)
}

/// A window that tells of no instance tells of no idleness.
fn is_busy(targets: &Targets, window: &Window) -> bool {
    let limit = targets.cpu_millicores.unwrap_or(1_000);
    let count = window.instances.len() as u64;
    let used: u64 = window.instances.iter().fold(0, |sum, one| sum.saturating_add(one.cpu_millicores));
    used.saturating_mul(100) >= limit.saturating_mul(count).saturating_mul(IDLE_PERCENT)
}

/// More entries than this are not listed; the first and the last stand for those between.
const LISTED_MAX: usize = 20;

/// So many entries: the first of them and the last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    /// How many there were.
    pub(crate) count: u64,
    first: Vec<EventId>,
    last: VecDeque<EventId>,
}

impl Ends {
    pub(crate) fn take(&mut self, entry: &EventId) {
        self.count += 1;
        if self.first.len() < LISTED_MAX / 2 {
            self.first.push(entry.clone());
            return;
        }
        if self.last.len() == LISTED_MAX / 2 {
            self.last.pop_front();
        }
        self.last.push_back(entry.clone());
    }

    /// At most so many entries: all, or the first half and the last.
    pub(crate) fn listed(&self) -> Vec<EventId> {
        self.first.iter().chain(&self.last).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_entries_the_first_and_the_last_are_kept() {
        let entry = |n: u64| EventId::mint(n, [0; 10]);
        for count in [0, 1, 10, 11, 20, 21, 5_000] {
            let mut ends = Ends::default();
            (0..count).for_each(|n| ends.take(&entry(n)));
            let last = count.saturating_sub(10).max(10)..count;
            let wanted: Vec<EventId> = (0..count.min(10)).chain(last).map(entry).collect();
            assert_eq!((ends.count, ends.listed()), (count, wanted), "{count}");
        }
    }
}
