//! Trying again: how long to wait is a value, and whether to is decided by the effect's class.

use crate::body::{Plain, Readied, StepReadied, Then};
use crate::cell::{Leg, Next, StepState};
use crate::event::What;
use crate::fold::Board;
use crate::probe::look;
use crate::run::Illegal;
use crate::signal::Refused;
use crate::sketch::Sketch;
use crate::state::RunState;
use crate::step::{about, class_of, find};
use std::time::Duration;
use writ_core::{EffectClass, RetryRule, StepKey};

/// Waits that grow by a factor up to a ceiling, with chance from a given seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait, before chance.
    pub ceiling: Duration,
    /// Growth from one wait to the next, in percent: 200 doubles.
    pub factor_percent: u32,
    /// The first wait.
    pub first: Duration,
    /// Chance added or taken away, in percent of the wait.
    pub jitter_percent: u32,
}

impl Backoff {
    /// The waits of a step's retry rule.
    #[must_use]
    pub fn of(rule: &RetryRule, jitter_percent: u32) -> Self {
        Self {
            ceiling: Duration::from_millis(rule.ceiling_ms),
            factor_percent: rule.factor_percent,
            first: Duration::from_millis(rule.first_ms),
            jitter_percent,
        }
    }

    /// The wait after so many failed attempts, from 1. The same seed gives the same wait.
    #[must_use]
    pub fn wait(&self, failed: u32, seed: u64) -> Duration {
        let ceiling = self.ceiling.as_micros();
        let mut micros = self.first.as_micros().min(ceiling);
        for _ in 1..failed {
            if micros >= ceiling || self.factor_percent <= 100 {
                break;
            }
            micros = (micros * u128::from(self.factor_percent) / 100).min(ceiling);
        }
        let span = micros * u128::from(self.jitter_percent.min(100)) / 100;
        let chance = u128::from(scatter(seed ^ u64::from(failed).rotate_left(48)) >> 32);
        let jittered = micros - span + ((2 * span * chance) >> 32);
        Duration::from_micros(u64::try_from(jittered).unwrap_or(u64::MAX))
    }
}

/// splitmix64: neighbouring seeds give unrelated values.
fn scatter(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// After an attempt that certainly did not happen.
pub(crate) fn after_failure(to: &Sketch<'_>, at: usize, retryable: bool) -> Next {
    match (retryable && has_attempts(to, at), to.cell(at).doubt) {
        (true, _) => again(to, at),
        (false, false) => Next::GiveUp,
        // This attempt did not happen, but an earlier one may have.
        (false, true) => look(to, at),
    }
}

/// After an attempt that may have happened.
pub(crate) fn after_doubt(to: &Sketch<'_>, at: usize) -> Next {
    match class_of(to, at) {
        EffectClass::Keyed | EffectClass::Conditional if has_attempts(to, at) => again(to, at),
        EffectClass::Keyed | EffectClass::Conditional | EffectClass::Probeable | EffectClass::Opaque => look(to, at),
    }
}

/// After it was found that none of the attempts happened.
pub(crate) fn after_absence(to: &Sketch<'_>, at: usize) -> Next {
    if has_attempts(to, at) { again(to, at) } else { Next::GiveUp }
}

fn has_attempts(to: &Sketch<'_>, at: usize) -> bool {
    to.cell(at).attempts < to.graph().step(at).retry.attempts.max(1)
}

fn again(to: &Sketch<'_>, at: usize) -> Next {
    let options = to.run().options();
    let backoff = Backoff::of(&to.graph().step(at).retry, options.jitter_percent);
    let seed = options.seed ^ (at as u64).rotate_left(32);
    Next::AskAgain { at: to.now.plus(backoff.wait(to.cell(at).attempts.max(1), seed)) }
}

/// An operator: try a failed step again, in the same record. The run goes on once no other step is in its way.
pub(crate) fn retry(to: &mut Sketch<'_>, step: &StepKey) -> Result<(), Refused> {
    let at = find(to, step)?;
    let leg = if let RunState::NeedsOperator(need) = &to.head().state {
        match need.then {
            Then::Compensating(_) => Some(Leg::Undo),
            Then::Running => Some(Leg::Do),
            Then::Failing(_) | Then::Cancelling(_) => None,
        }
    } else {
        None
    };
    let cell = to.cell(at);
    if leg != Some(cell.leg) || !matches!(cell.state, StepState::Failed { .. }) {
        let (event, subject) = ("retry", format!("step `{step}` of a run that is {}", to.head().state.name()));
        return Err(Illegal { event, state: cell.state.name(), subject }.into());
    }
    to.say(What::StepReadied(StepReadied { because: Readied::Retried, step: about(to, at) }))?;
    if to.head().stuck == 0 && to.head().unknown == 0 {
        to.say(What::Resumed(Plain {}))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_ceiling_and_the_same_seed_waits_the_same() {
        let plain = Backoff::of(&RetryRule { attempts: 9, ceiling_ms: 5_000, factor_percent: 200, first_ms: 500 }, 0);
        let waits: Vec<u128> = (1..=6).map(|failed| plain.wait(failed, 7).as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 5_000, 5_000]);
        let jittered = Backoff { jitter_percent: 20, ..plain };
        for seed in 0..1_000 {
            let wait = jittered.wait(3, seed).as_millis();
            assert!((1_600..=2_400).contains(&wait), "{wait}");
            assert_eq!(jittered.wait(3, seed), jittered.wait(3, seed));
        }
        let spread: std::collections::BTreeSet<u128> = (0..50).map(|seed| jittered.wait(3, seed).as_micros()).collect();
        assert!(spread.len() > 45);
    }

    #[test]
    fn no_rule_however_senseless_makes_a_wait_overflow() {
        let wild = RetryRule { attempts: u32::MAX, ceiling_ms: u64::MAX, factor_percent: u32::MAX, first_ms: u64::MAX };
        assert!(Backoff::of(&wild, 100).wait(u32::MAX, u64::MAX) > Duration::ZERO);
        let still = RetryRule { attempts: 2, ceiling_ms: 0, factor_percent: 0, first_ms: 0 };
        assert_eq!(Backoff::of(&still, 100).wait(u32::MAX, 1), Duration::ZERO);
    }
}
