//! What can be wrong with an instance whatever was declared, and when each of these holds. A threshold that raises lies
//! above the one that clears, so that a value on the edge does not flutter.

use super::alert::Check;
use crate::config::Bounds;
use crate::metric::{Amount, Limits, Metric, Reading};
use serde::{Deserialize, Serialize};
use writ_core::{Health, Histogram, InstanceSample};

/// What is wrong, gravest first: the order in which a remedy is chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "symptom", rename_all = "snake_case")]
pub enum Symptom {
    /// Nothing can be seen of the component: what stands before it does not answer.
    Unseen,
    /// Its process ended, or its health checks fail.
    Down,
    /// It has requests and answers none.
    Hung,
    /// Its memory grows without bound or nears its limit.
    Leak,
    /// It fails requests that its peers answer.
    Errors,
    /// It burns processor time that its peers do not.
    CpuBurn,
    /// It answers far later than its peers.
    Slow,
    /// A condition that was declared holds.
    Declared {
        /// The condition as it was written.
        condition: String,
    },
}

impl Symptom {
    /// Every symptom that is looked for without being declared.
    pub const BUILT_IN: [Symptom; 7] = [
        Symptom::Unseen,
        Symptom::Down,
        Symptom::Hung,
        Symptom::Leak,
        Symptom::Errors,
        Symptom::CpuBurn,
        Symptom::Slow,
    ];

    /// A short name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Symptom::Unseen => "unseen",
            Symptom::Down => "down",
            Symptom::Hung => "hung",
            Symptom::Leak => "leak",
            Symptom::Errors => "errors",
            Symptom::CpuBurn => "cpu_burn",
            Symptom::Slow => "slow",
            Symptom::Declared { condition } => condition,
        }
    }
}

fn check(holds: Option<bool>, seen: impl FnOnce() -> String) -> Check {
    match holds {
        None => Check::NoData,
        Some(false) => Check::Away,
        Some(true) => Check::Holds { seen: seen() },
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// The middle of the values, the upper one of an even number; nothing of nothing.
fn median(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut sorted: Vec<u64> = values.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// Requests are given and none is answered. A single answer clears it.
pub(crate) fn hung(own: &InstanceSample) -> Check {
    let holds = if own.latency.count() > 0 {
        Some(false)
    } else if own.in_flight > 0 {
        Some(true)
    } else {
        None
    };
    check(holds, || format!("{} requests in flight and none answered", own.in_flight))
}

/// How memory went since the instance was started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    samples: u32,
    baseline: u64,
    last: u64,
    rises: u32,
}

/// The first samples of a start show it filling its caches; growth is measured from the one after.
const WARM_UP: u32 = 3;

impl Memory {
    fn observe(&mut self, bytes: u64) {
        if self.samples < WARM_UP {
            self.baseline = bytes;
        } else if bytes > self.last.saturating_add(self.last / 200) {
            self.rises = self.rises.saturating_add(1);
        } else if bytes < self.last.saturating_sub(self.last / 50) {
            self.rises = 0;
        } else {
            self.rises = self.rises.saturating_sub(1);
        }
        self.samples = self.samples.saturating_add(1);
        self.last = bytes;
    }
}

/// Memory near the limit, or grown steadily to a multiple of where it began and of what the peers use.
pub(crate) fn leak(
    memory: &mut Memory,
    own: &InstanceSample,
    peers: &[&InstanceSample],
    limits: &Limits,
    bounds: &Bounds,
    firing: bool,
) -> Check {
    memory.observe(own.memory_bytes);
    let near = limits.memory_bytes.is_some_and(|limit| {
        let percent = if firing { bounds.memory_clear_percent } else { bounds.memory_raise_percent };
        u128::from(own.memory_bytes) * 100 >= u128::from(limit) * u128::from(percent)
    });
    let beyond =
        |times_ten: u64, base: u64| u128::from(own.memory_bytes) * 10 >= u128::from(base) * u128::from(times_ten);
    let growing = memory.samples > WARM_UP
        && own.memory_bytes.saturating_sub(memory.baseline) >= bounds.leak_least_bytes
        && (firing || memory.rises >= bounds.leak_rises)
        && beyond(if firing { 15 } else { 20 }, memory.baseline)
        && median(peers.iter().map(|peer| peer.memory_bytes)).is_none_or(|peer| beyond(20, peer));
    check(Some(near || growing), || {
        let limit = limits.memory_bytes.map_or_else(|| "no limit".to_owned(), |limit| format!("limit {}", mib(limit)));
        format!("memory = {}, {} when started, {limit}", mib(own.memory_bytes), mib(memory.baseline))
    })
}

/// Failures and requests of late, halved every few windows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    errors: u64,
    requests: u64,
}

const UNIT: u64 = 1_024;

impl Failures {
    pub(crate) fn observe(&mut self, own: &InstanceSample) {
        let mix = |old: u64, new: u64| old / 4 * 3 + new.saturating_mul(UNIT);
        self.errors = mix(self.errors, own.errors.min(own.requests));
        self.requests = mix(self.requests, own.requests);
    }

    fn milli_percent(&self, least: u64) -> Option<u64> {
        if self.requests < least.max(1).saturating_mul(UNIT) {
            return None;
        }
        u64::try_from(u128::from(self.errors) * 100_000 / u128::from(self.requests)).ok()
    }
}

/// It fails a share of its requests that its peers do not.
pub(crate) fn errors(own: &Failures, own_requests: u64, peers: &[&Failures], bounds: &Bounds, firing: bool) -> Check {
    let rate = if own_requests == 0 { None } else { own.milli_percent(bounds.requests_least) };
    let raise = u64::from(bounds.errors_percent) * 1_000;
    let sum = |field: fn(&Failures) -> u64| peers.iter().fold(0_u64, |sum, peer| sum.saturating_add(field(peer)));
    let together = Failures { errors: sum(|peer| peer.errors), requests: sum(|peer| peer.requests) };
    let theirs = together.milli_percent(1);
    // When all fail alike it is not this instance; that is for the conditions on the whole component.
    let holds = rate.map(|rate| {
        let threshold = if firing { raise / 2 } else { raise };
        rate >= threshold.max(1) && theirs.is_some_and(|theirs| theirs.saturating_mul(2) <= rate)
    });
    let told = |milli: Option<u64>| {
        milli.map_or_else(|| "none".to_owned(), |milli| Metric::ErrorRate.tell(Amount::Milli(milli.cast_signed())))
    };
    check(holds, || format!("{}, peers {}", told(rate), told(theirs)))
}

/// It is pegged, or burns a multiple of what its peers do for the same work.
pub(crate) fn cpu_burn(
    own: &InstanceSample,
    peers: &[&InstanceSample],
    limits: &Limits,
    bounds: &Bounds,
    firing: bool,
) -> Check {
    let theirs = median(peers.iter().map(|peer| peer.cpu_millicores));
    let holds = theirs.map(|theirs| {
        let limit = limits.cpu_millicores.unwrap_or(1_000);
        // A burn on a machine that has other work gets no more than its share of a core: two and a half times what the
        // peers need, for as long as `burn_for`, is no chance.
        let (floor, times_ten) =
            if firing { (bounds.burn_floor_millicores / 2, 15) } else { (bounds.burn_floor_millicores, 25) };
        let pegged = own.cpu_millicores.saturating_mul(10) >= limit.saturating_mul(9)
            && own.cpu_millicores >= theirs.saturating_mul(2);
        pegged
            || (own.cpu_millicores >= floor
                && own.cpu_millicores.saturating_mul(10) >= theirs.saturating_mul(times_ten))
    });
    // Alone, being busy is not an outlier; it is load, and the autoscaler's.
    check(Some(holds.unwrap_or(false)), || {
        format!("cpu = {} millicores, peers {}", own.cpu_millicores, theirs.unwrap_or(0))
    })
}

/// Its 95th percentile is a multiple of its peers'.
pub(crate) fn slow(own: &Histogram, peers: &[&Histogram], bounds: &Bounds, firing: bool) -> Check {
    let p95 = |histogram: &Histogram| {
        if histogram.count() >= bounds.answers_least { histogram.quantile(950) } else { None }
    };
    let (mine, theirs) = (p95(own), median(peers.iter().filter_map(|peer| p95(peer))));
    let holds = match (mine, theirs) {
        (Some(mine), Some(theirs)) => {
            let times = if firing { 2 } else { 3 };
            let floor = u64::try_from(bounds.slow_floor.as_micros()).unwrap_or(u64::MAX);
            Some(mine >= theirs.saturating_mul(times) && mine >= floor)
        }
        (Some(_), None) => Some(false),
        (None, Some(_) | None) => None,
    };
    let told = |micros: Option<u64>| {
        micros.map_or_else(|| "none".to_owned(), |micros| crate::metric::decimal(micros.cast_signed()) + "ms")
    };
    check(holds, || format!("latency_p95 = {}, peers {}", told(mine), told(theirs)))
}

/// Down, by health alone. Starting says nothing yet.
pub(crate) fn down(health: Health, because: &str) -> Check {
    let holds = match health {
        Health::Failed => Some(true),
        Health::Healthy | Health::Degraded | Health::Draining => Some(false),
        Health::Starting | Health::Unknown => None,
    };
    check(holds, || format!("health_status = failed: {because}"))
}

/// A declared condition over a reading.
pub(crate) fn declared(condition: &crate::Condition, reading: &Reading, limits: &Limits, least: u64) -> Check {
    let amounts: Vec<(Metric, Option<Amount>)> =
        condition.metrics().map(|metric| (metric, reading.amount(metric, limits, least))).collect();
    let told: Option<Vec<(Metric, Amount)>> =
        amounts.into_iter().map(|(metric, amount)| amount.map(|amount| (metric, amount))).collect();
    let Some(told) = told else { return Check::NoData };
    // An evaluation that fails on known values is a fault of ours or of the condition; it must not restart anything.
    let holds = condition.holds(&told).ok();
    check(holds, || told.iter().map(|(metric, amount)| metric.tell(*amount)).collect::<Vec<_>>().join(", "))
}
