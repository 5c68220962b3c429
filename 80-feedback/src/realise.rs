//! What a change really did.

use crate::stats::{Shift, shift};

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Higher, as of availability.
    Higher,
    /// Lower, as of latency.
    Lower,
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It brought what was expected: the interval reaches that far, and does not reach down to nothing.
    Realised,
    /// It did not.
    Missed,
    /// It did harm, beyond chance.
    Worse,
    /// Too little was seen.
    Unknown,
}

/// What a change did, and what to make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// The shift, where enough was seen, in the values' own unit.
    pub shift: Option<Shift>,
    /// What to make of it.
    pub verdict: Verdict,
}

/// Compares windows before and after a change, in order of time, with what was `expected`: a change of so much towards
/// better. With nothing expected it suffices not to do harm.
#[must_use]
pub fn judge(before: &[i64], after: &[i64], better: Better, expected: i64) -> Effect {
    let Some(shift) = shift(before, after) else { return Effect { shift: None, verdict: Verdict::Unknown } };
    let (low, high) = match better {
        Better::Higher => (shift.low, shift.high),
        Better::Lower => (shift.high.saturating_neg(), shift.low.saturating_neg()),
    };
    let verdict = if high < 0 {
        Verdict::Worse
    } else if expected <= 0 || (low > 0 && high >= expected) {
        Verdict::Realised
    } else {
        Verdict::Missed
    };
    Effect { shift: Some(shift), verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_by_its_interval_and_not_by_its_mean() {
        let before: Vec<i64> = (0..60).map(|n| 100 + n * 7 % 11).collect();
        let moved = |by: i64| -> Vec<i64> { before.iter().map(|value| value + by).collect() };
        let cases = [
            (moved(-20), Better::Lower, 15, Verdict::Realised),
            (moved(-5), Better::Lower, 15, Verdict::Missed),
            (moved(0), Better::Lower, 15, Verdict::Missed),
            (moved(0), Better::Lower, 0, Verdict::Realised),
            (moved(20), Better::Lower, 15, Verdict::Worse),
            (moved(20), Better::Higher, 15, Verdict::Realised),
            (vec![1, 2], Better::Higher, 15, Verdict::Unknown),
        ];
        for (after, better, expected, verdict) in cases {
            assert_eq!(judge(&before, &after, better, expected).verdict, verdict, "{better:?} {expected}");
        }
    }
}
