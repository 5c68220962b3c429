//! The figures of a period, each with how sure one can be of it.

use crate::history::{AttemptOutcome, History, RunKind, RunOutcome};
use crate::stats::{Z95, ppm, wilson};
use serde::{Deserialize, Serialize};

/// A 95 % interval; its ends are in the unit of what it stands beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// The high end.
    pub high: u64,
    /// The low end.
    pub low: u64,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Wilson's interval, in parts per million.
    pub interval: Interval,
    /// The rate, in parts per million.
    pub rate_ppm: u64,
    /// How many were good.
    pub successes: u64,
    /// How many there were.
    pub trials: u64,
}

impl Rate {
    /// Nothing when nothing was tried.
    #[must_use]
    pub fn of(successes: u64, trials: u64) -> Option<Self> {
        let (low, high) = wilson(successes, trials)?;
        let rate_ppm = (u128::from(successes.min(trials)) * 1_000_000 + u128::from(trials) / 2) / u128::from(trials);
        Some(Self { interval: Interval { high, low }, rate_ppm: rate_ppm as u64, successes, trials })
    }
}

/// Availability: the share of requests that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The share, in parts per million.
    pub achieved_ppm: u64,
    /// Its interval, in parts per million; each window counts as one draw.
    pub interval: Interval,
    /// Requests behind it.
    pub requests: u64,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_ppm: Option<u64>,
}

/// The 95th percentile of answers' durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Answers behind it.
    pub answers: u64,
    /// Its interval, in microseconds.
    pub interval: Interval,
    /// In microseconds.
    pub p95_us: u64,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_us: Option<u64>,
}

/// The figures of a period. What was not measured is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// See [`Share`].
    pub availability: Option<Share>,
    /// Mean duration of deployments that succeeded, in milliseconds: each from when its first step might begin to its end. How long
    /// people took to agree before that, and how long its window was awaited, says nothing about it; a pause on the way counts.
    pub deployment_ms: Option<u64>,
    /// Deployments that succeeded.
    pub deployments: Option<Rate>,
    /// Incidents that a person had to take over.
    pub escalations: u64,
    /// Incidents.
    pub incidents: u64,
    /// See [`Latency`].
    pub latency: Option<Latency>,
    /// The period in words.
    pub period: String,
    /// Recovery attempts that were seen to help.
    pub recoveries: Option<Rate>,
    /// From onset to recovery, on the mean, in milliseconds.
    pub recovery_ms: Option<u64>,
    /// Windows in which a target was missed.
    pub violations: u64,
    /// Windows there were.
    pub windows: u64,
}

impl Figures {
    /// The figures of a history.
    #[must_use]
    pub fn of(history: &History) -> Self {
        let deployments: Vec<_> = history
            .runs
            .iter()
            .filter(|run| run.kind == RunKind::Deployment && run.outcome != RunOutcome::Cancelled)
            .collect();
        let good = || deployments.iter().filter(|run| run.outcome == RunOutcome::Succeeded);
        let attempts: Vec<_> = history.incidents.iter().flat_map(|incident| &incident.attempts).collect();
        let helped = attempts.iter().filter(|attempt| attempt.outcome == AttemptOutcome::Succeeded).count();
        let recovered = history.incidents.iter().filter(|incident| !incident.escalated);
        Self {
            availability: availability(history),
            deployment_ms: mean(good().map(|run| run.ended_at.since(run.started_at).as_millis())),
            deployments: Rate::of(good().count() as u64, deployments.len() as u64),
            escalations: history.incidents.iter().filter(|incident| incident.escalated).count() as u64,
            incidents: history.incidents.len() as u64,
            latency: latency(history),
            period: history.period(),
            recoveries: Rate::of(helped as u64, attempts.len() as u64),
            recovery_ms: mean(
                recovered.filter_map(|incident| Some(incident.over_at?.since(incident.onset_at).as_millis())),
            ),
            violations: history.windows.missed.count,
            windows: history.windows.all.count,
        }
    }
}

fn mean(values: impl Iterator<Item = u128>) -> Option<u64> {
    let (sum, count) = values.fold((0_u128, 0_u128), |(sum, count), value| (sum + value, count + 1));
    u64::try_from((sum + count / 2).checked_div(count)?).ok()
}

fn availability(history: &History) -> Option<Share> {
    let draws = &history.windows.requests;
    let requests = draws.whole();
    let rate = Rate::of(draws.part(), requests)?;
    // The wider of the two: windows may differ more than chance among requests explains, and without a single failure they
    // would claim to be sure.
    let reach = draws.reach_ppm().unwrap_or(0);
    let interval = Interval {
        high: rate.interval.high.max(rate.rate_ppm.saturating_add(reach)).min(1_000_000),
        low: rate.interval.low.min(rate.rate_ppm.saturating_sub(reach)),
    };
    Some(Share { achieved_ppm: rate.rate_ppm, interval, requests, target_ppm: history.targets.availability_ppm })
}

fn latency(history: &History) -> Option<Latency> {
    let all = &history.windows.latency;
    let (answers, p95_us) = (all.count(), all.quantile(950)?);
    // The order statistics between which the percentile lies, whatever the distribution.
    let reach = Z95 * (0.95 * 0.05 / answers as f64).sqrt();
    let permille = |share: f64| u32::try_from(ppm(share) / 1_000).unwrap_or(1_000);
    let low = all.quantile(permille(0.95 - reach)).unwrap_or(p95_us);
    let high = all.quantile(permille(0.95 + reach + 0.000_999)).unwrap_or(p95_us);
    Some(Latency { answers, interval: Interval { high, low }, p95_us, target_us: history.targets.latency_p95_us })
}
