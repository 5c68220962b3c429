//! Did it help? Three values, on the symptom and on the component's own behaviour.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What came of a remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// The symptom is gone and the component does no worse.
    Succeeded,
    /// The symptom is there, or the component does worse.
    Failed,
    /// Nothing was seen that would tell.
    Inconclusive,
}

/// How the component does, for comparing before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behaviour {
    /// Failed requests in thousandths of a percent; none when too few were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate_milli: Option<u64>,
    /// Instances that serve.
    pub healthy: u64,
    /// The 95th percentile of answers' durations, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p95_us: Option<u64>,
    /// Instances there are.
    pub total: u64,
}

/// Five percent points more failed requests than before is worse, whatever the symptom did.
const WORSE_ERRORS_MILLI: u64 = 5_000;

impl Behaviour {
    fn is_worse_than(&self, before: &Behaviour) -> bool {
        let errors = match (self.error_rate_milli, before.error_rate_milli) {
            (Some(now), Some(then)) => now >= then.saturating_add(WORSE_ERRORS_MILLI),
            (Some(_) | None, None) | (None, Some(_)) => false,
        };
        self.healthy < before.healthy || errors
    }
}

const DELAYS_MS: [u64; 5] = [1_000, 1_500, 2_250, 3_375, 5_000];

/// How long to wait after look number `look`, the first being 0 and made at once: 1, 1.5, 2.25, 3.375 and then 5 seconds.
#[must_use]
pub fn delay(look: u32) -> Duration {
    let at = usize::try_from(look).unwrap_or(usize::MAX).min(DELAYS_MS.len() - 1);
    Duration::from_millis(DELAYS_MS.get(at).copied().unwrap_or(5_000))
}

/// From here on a symptom that is still there counts as not healed: the sum of the first five delays.
pub(crate) const PATIENCE: Duration = Duration::from_millis(13_125);

/// How long after the run's end the next look is due.
pub(crate) fn next_look(elapsed: Duration) -> Duration {
    let mut due = Duration::ZERO;
    let mut look = 0;
    while due <= elapsed {
        due += delay(look);
        look += 1;
    }
    due
}

/// How many looks were due by then, the first included.
pub(crate) fn looks(elapsed: Duration) -> u32 {
    let mut due = Duration::ZERO;
    let mut look = 0;
    while due <= elapsed {
        due += delay(look);
        look += 1;
    }
    look
}

/// What a look showed of one symptom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Data from after the remedy shows that it is gone.
    Cleared,
    /// Data from after the remedy shows it.
    Persists,
    /// The new start itself failed; waiting longer tells nothing more.
    Returned,
    /// No data from after the remedy.
    Unseen,
}

/// What to make of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    Settled { outcome: Verification, worse: bool },
    LookAgain,
}

/// Judges one look, `elapsed` after the run's end, with `timeout` as the time by which it must be settled.
pub(crate) fn judge(
    signs: &[Sign],
    before: &Behaviour,
    after: &Behaviour,
    elapsed: Duration,
    timeout: Duration,
) -> Judgement {
    let worse = after.is_worse_than(before);
    let settled = |outcome| Judgement::Settled { outcome, worse: worse && outcome == Verification::Failed };
    if signs.contains(&Sign::Returned) {
        return settled(Verification::Failed);
    }
    let cleared = signs.iter().all(|sign| *sign == Sign::Cleared);
    if cleared && !worse {
        return settled(Verification::Succeeded);
    }
    // A restart shows as one instance fewer for a moment, and a window may straddle it: early looks only ever tell good news.
    if elapsed >= PATIENCE.min(timeout) && (signs.contains(&Sign::Persists) || worse) {
        return settled(Verification::Failed);
    }
    if elapsed >= timeout.max(PATIENCE) {
        return settled(Verification::Inconclusive);
    }
    Judgement::LookAgain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn does(healthy: u64, errors: u64) -> Behaviour {
        Behaviour { error_rate_milli: Some(errors), healthy, latency_p95_us: None, total: 3 }
    }

    #[test]
    fn looks_are_made_at_once_and_then_farther_and_farther_apart() {
        let due: Vec<u64> = [0, 1_000, 2_500, 4_750, 8_125, 13_125]
            .into_iter()
            .map(|elapsed| next_look(Duration::from_millis(elapsed)).as_millis() as u64)
            .collect();
        assert_eq!(due, [1_000, 2_500, 4_750, 8_125, 13_125, 18_125]);
        assert_eq!(looks(Duration::ZERO), 1);
        assert_eq!(looks(Duration::from_millis(2_600)), 3);
    }

    #[test]
    fn a_look_is_judged_in_three_values() {
        use Judgement::{LookAgain, Settled};
        use Sign::{Cleared, Persists, Returned, Unseen};
        use Verification::{Failed, Inconclusive, Succeeded};
        type Case<'a> = (&'a [Sign], (u64, u64), u64, Judgement);
        let cases: [Case<'_>; 10] = [
            (&[Cleared], (3, 0), 0, Settled { outcome: Succeeded, worse: false }),
            (&[Cleared, Persists], (3, 0), 0, LookAgain),
            (&[Cleared, Persists], (3, 0), 13_125, Settled { outcome: Failed, worse: false }),
            (&[Returned], (2, 0), 0, Settled { outcome: Failed, worse: false }),
            (&[Returned], (1, 0), 0, Settled { outcome: Failed, worse: true }),
            (&[Unseen], (2, 0), 13_125, LookAgain),
            (&[Unseen], (2, 0), 60_000, Settled { outcome: Inconclusive, worse: false }),
            (&[Cleared], (1, 0), 1_000, LookAgain),
            (&[Cleared], (1, 0), 13_125, Settled { outcome: Failed, worse: true }),
            (&[Cleared], (2, 6_000), 13_125, Settled { outcome: Failed, worse: true }),
        ];
        for (signs, (healthy, errors), elapsed, expected) in cases {
            let judged = judge(signs, &does(2, 100), &does(healthy, errors), Duration::from_millis(elapsed), TIMEOUT);
            assert_eq!(judged, expected, "{signs:?} {healthy} {errors} {elapsed}");
        }
    }
}
