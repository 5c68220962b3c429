//! What was seen of a running component. Whole numbers throughout, so that a window can be journalled as it stands.

use crate::{ComponentId, Timestamp};
use serde::{Deserialize, Serialize};

/// How well an instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It serves and its checks pass.
    Healthy,
    /// It serves, worse than it should.
    Degraded,
    /// It does not serve.
    Failed,
    /// It was started and has not passed its checks yet.
    Starting,
    /// It finishes what it has and takes nothing new.
    Draining,
    /// Nobody could look.
    Unknown,
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Health::Healthy => "healthy",
            Health::Degraded => "degraded",
            Health::Failed => "failed",
            Health::Starting => "starting",
            Health::Draining => "draining",
            Health::Unknown => "unknown",
        })
    }
}

/// A histogram of durations in microseconds over log-linear buckets: 32 to an octave, so a quantile is at most 3.2 % too
/// large. Sparse: pairs of bucket index and count, sorted by index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(Vec<(u32, u64)>);

const SUB: u64 = 32;

fn bucket(micros: u64) -> u32 {
    if micros < SUB {
        return micros as u32;
    }
    let octave = 63 - micros.leading_zeros(); // At least 5, as `micros` is at least 32.
    let within = (micros >> (octave - 5)) & (SUB - 1);
    (octave - 4) * SUB as u32 + within as u32
}

/// The largest value that falls into the bucket.
fn upper(bucket: u32) -> u64 {
    let (octave, within) = (u64::from(bucket) / SUB, u64::from(bucket) % SUB);
    if octave == 0 {
        return within;
    }
    let shift = (octave - 1).min(58);
    (((SUB + within + 1) as u128) << shift).saturating_sub(1).min(u128::from(u64::MAX)) as u64
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, micros: u64) {
        self.add(bucket(micros), 1);
    }

    fn add(&mut self, bucket: u32, count: u64) {
        match self.0.binary_search_by_key(&bucket, |(index, _)| *index) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            Err(at) => self.0.insert(at, (bucket, count)),
        }
    }

    /// Adds everything that another histogram counted.
    pub fn merge(&mut self, other: &Histogram) {
        for (bucket, count) in &other.0 {
            self.add(*bucket, *count);
        }
    }

    /// What was counted here and not yet in `earlier`, for two readings of one growing histogram.
    #[must_use]
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let before = |index: u32| earlier.0.binary_search_by_key(&index, |(at, _)| *at).map_or(0, |at| earlier.0[at].1);
        let grown = self.0.iter().map(|(index, count)| (*index, count.saturating_sub(before(*index))));
        Histogram(grown.filter(|(_, count)| *count > 0).collect())
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// How many of them were certainly longer than `micros`.
    #[must_use]
    pub fn above(&self, micros: u64) -> u64 {
        let limit = bucket(micros);
        self.0.iter().filter(|(index, _)| *index > limit).map(|(_, count)| count).sum()
    }

    /// The smallest duration in microseconds that `permille` thousandths of the counted ones do not exceed, rounded up to its
    /// bucket's end; none when nothing was counted.
    #[must_use]
    pub fn quantile(&self, permille: u32) -> Option<u64> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let wanted = (u128::from(total) * u128::from(permille.min(1000))).div_ceil(1000).max(1);
        let mut seen = 0_u128;
        for (index, count) in &self.0 {
            seen += u128::from(*count);
            if seen >= wanted {
                return Some(upper(*index));
            }
        }
        self.0.last().map(|(index, _)| upper(*index))
    }
}

/// What one instance did in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSample {
    /// Processor use, in thousandths of a core.
    pub cpu_millicores: u64,
    /// Requests that failed because of it.
    pub errors: u64,
    /// Counts up with every start under this name.
    pub generation: u64,
    /// How it does.
    pub health: Health,
    /// Requests it was working on when the window ended.
    pub in_flight: u64,
    /// Its name within the component: `i-2`.
    pub instance: String,
    /// How long its answers took.
    pub latency: Histogram,
    /// Resident memory, in bytes.
    pub memory_bytes: u64,
    /// Requests it was given.
    pub requests: u64,
    /// The zone it is placed in.
    pub zone: String,
}

/// What one component did in a span of time: what feedback and triggers read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The component.
    pub component: ComponentId,
    /// Requests that the client saw fail.
    pub errors: u64,
    /// When the window began.
    pub from: Timestamp,
    /// Its instances, by name.
    pub instances: Vec<InstanceSample>,
    /// How long answers took, as clients saw them.
    pub latency: Histogram,
    /// Requests in all.
    pub requests: u64,
    /// Requests that were tried on a second instance.
    pub retried: u64,
    /// When it ended.
    pub to: Timestamp,
}

/// One thing that a sensor saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A span of time was summed up.
    Window(Window),
    /// An instance's process ended.
    Exited {
        /// When it was noticed.
        at: Timestamp,
        /// The component it belonged to.
        component: ComponentId,
        /// Which start of it.
        generation: u64,
        /// How it ended: `exit 1`, `signal 9`, `gone`.
        how: String,
        /// Its name within the component.
        instance: String,
    },
    /// An instance's health changed.
    HealthChanged {
        /// When it was noticed.
        at: Timestamp,
        /// What showed it.
        because: String,
        /// The component it belongs to.
        component: ComponentId,
        /// Which start of it.
        generation: u64,
        /// How it does now.
        health: Health,
        /// Its name within the component.
        instance: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_never_ends_below_its_values_nor_more_than_a_32nd_above() {
        for value in (0..200_000).chain((1..50).map(|n| n * 7_919_777_777)) {
            let end = upper(bucket(value));
            assert!(end >= value, "{value} {end}");
            assert!(end <= value + value / 32 + 1, "{value} {end}");
        }
    }

    #[test]
    fn quantiles_count_from_the_smallest() {
        let mut histogram = Histogram::default();
        (1..=20).for_each(|n| histogram.record(n));
        assert_eq!(histogram.quantile(500), Some(10));
        assert_eq!(histogram.quantile(950), Some(19));
        assert_eq!(histogram.quantile(1000), Some(20));
        assert_eq!(Histogram::default().quantile(500), None);
    }

    #[test]
    fn the_difference_of_two_readings_is_what_came_between() {
        let mut early = Histogram::default();
        early.record(5);
        let mut late = early.clone();
        late.record(5);
        late.record(900);
        let mut between = Histogram::default();
        between.record(5);
        between.record(900);
        assert_eq!(late.since(&early), between);
    }
}
