//! How many instances the load needs.

use std::time::Duration;
use writ_core::Timestamp;

/// How the autoscaler follows the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaling {
    /// Never fewer instances.
    pub min: u64,
    /// Never more.
    pub max: u64,
    /// The processor use that instances should have on the mean, in percent of what they may use.
    pub target_cpu_percent: u32,
    /// Nothing is done while use is within this share of the target, in percent of it.
    pub tolerance_percent: u32,
    /// How long use must be above before instances are added.
    pub sustain: Duration,
    /// How long use must be below before an instance is taken away.
    pub stabilise: Duration,
}

impl Scaling {
    /// Within these counts and on this target, with settled habits for the rest: act on 15 seconds above and on five
    /// minutes below, and let a tenth of the target pass.
    #[must_use]
    pub fn within(min: u64, max: u64, target_cpu_percent: u32) -> Self {
        Self {
            min,
            max: max.max(min),
            target_cpu_percent,
            tolerance_percent: 10,
            sustain: Duration::from_secs(15),
            stabilise: Duration::from_secs(300),
        }
    }

    /// The count that brings `serving` instances, which use `cpu_milli` thousandths of a percent on the mean, to the target;
    /// `there` when use is within tolerance.
    fn desired(&self, there: u64, serving: u64, cpu_milli: u64) -> u64 {
        let target = u64::from(self.target_cpu_percent.max(1)) * 1_000;
        let band = target * u64::from(self.tolerance_percent.min(90)) / 100;
        let raw = if serving == there && cpu_milli.abs_diff(target) <= band {
            there
        } else {
            u64::try_from((u128::from(serving) * u128::from(cpu_milli)).div_ceil(u128::from(target)))
                .unwrap_or(u64::MAX)
        };
        raw.clamp(self.min, self.max)
    }
}

/// What the autoscaler has seen; volatile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Load {
    above_since: Option<Timestamp>,
    below_since: Option<Timestamp>,
    /// Smoothed mean use, in thousandths of a percent.
    cpu_milli: Option<u64>,
    desired: u64,
    pub(crate) seen_at: Option<Timestamp>,
}

/// What the load asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Advice {
    Hold,
    Out { to: u64, because: String },
    In { to: u64, because: String },
}

impl Load {
    /// Takes in one window: the mean use of the instances that serve.
    pub(crate) fn observe(&mut self, scaling: &Scaling, there: u64, serving: u64, cpu_milli: u64, at: Timestamp) {
        // Half old, half new: one spike does not scale, and a step is followed within a few windows.
        let smooth = self.cpu_milli.map_or(cpu_milli, |old| old.midpoint(cpu_milli));
        self.cpu_milli = Some(smooth);
        self.seen_at = Some(at);
        self.desired = scaling.desired(there, serving, smooth);
        let keep = |since: Option<Timestamp>, holds: bool| if holds { Some(since.unwrap_or(at)) } else { None };
        self.above_since = keep(self.above_since, self.desired > there);
        self.below_since = keep(self.below_since, self.desired < there);
    }

    /// Forgets how long the load has been above or below: the count has changed, and the old answer was about the old count.
    pub(crate) fn settle(&mut self) {
        (self.above_since, self.below_since, self.cpu_milli) = (None, None, None);
    }

    /// What to do with `there` instances now. Growing goes to the count that is needed, at most to twice as many; shrinking
    /// goes one by one.
    pub(crate) fn advise(&self, scaling: &Scaling, there: u64, now: Timestamp) -> Advice {
        let because = || {
            let milli = self.cpu_milli.unwrap_or(0);
            let used = crate::metric::decimal(i64::try_from(milli).unwrap_or(i64::MAX));
            format!("cpu = {used}% over {there} instances, target {}%", scaling.target_cpu_percent)
        };
        if there < scaling.min {
            return Advice::Out { to: scaling.min, because: format!("{there} instances, at least {}", scaling.min) };
        }
        if there > scaling.max {
            return Advice::In { to: there - 1, because: format!("{there} instances, at most {}", scaling.max) };
        }
        let lasted = |since: Option<Timestamp>, span| since.is_some_and(|since| now.since(since) >= span);
        if self.desired > there && lasted(self.above_since, scaling.sustain) {
            let to = self.desired.min(there.saturating_mul(2).max(1)).min(scaling.max);
            return Advice::Out { to, because: because() };
        }
        if self.desired < there && there > scaling.min && lasted(self.below_since, scaling.stabilise) {
            return Advice::In { to: there - 1, because: because() };
        }
        Advice::Hold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_micros(0).plus(Duration::from_secs(second))
    }

    /// Feeds the same use every five seconds and tells the advice at the end.
    fn after(seconds: u64, there: u64, cpu_percent: u64) -> Advice {
        let scaling = Scaling::within(3, 10, 70);
        let mut load = Load::default();
        for second in (0..=seconds).step_by(5) {
            load.observe(&scaling, there, there, cpu_percent * 1_000, at(second));
        }
        load.advise(&scaling, there, at(seconds))
    }

    #[test]
    fn the_count_follows_use_over_target() {
        let cases: [(u64, u64, u64, Option<u64>); 9] = [
            (15, 3, 95, Some(5)),
            (10, 3, 95, None),
            (15, 3, 76, None),
            (300, 3, 10, None),
            (300, 5, 10, Some(4)),
            (295, 5, 10, None),
            (300, 5, 66, None),
            (15, 9, 200, Some(10)),
            (15, 10, 200, None),
        ];
        for (seconds, there, cpu, expected) in cases {
            let to = match after(seconds, there, cpu) {
                Advice::Hold => None,
                Advice::Out { to, .. } | Advice::In { to, .. } => Some(to),
            };
            assert_eq!(to, expected, "{seconds} s, {there} instances, {cpu} %");
        }
    }

    #[test]
    fn a_count_outside_its_bounds_is_brought_back() {
        let scaling = Scaling::within(3, 10, 70);
        assert!(matches!(Load::default().advise(&scaling, 1, at(0)), Advice::Out { to: 3, .. }));
        assert!(matches!(Load::default().advise(&scaling, 12, at(0)), Advice::In { to: 11, .. }));
    }

    #[test]
    fn taking_one_away_never_brings_use_above_the_target() {
        for there in 2..40_u64 {
            for cpu in (0..100_000_u64).step_by(777) {
                let desired = Scaling::within(1, 50, 70).desired(there, there, cpu);
                if desired < there {
                    assert!(cpu * there <= 70_000 * (there - 1), "{there} {cpu}");
                }
            }
        }
    }

    #[test]
    fn one_spike_does_not_scale() {
        let scaling = Scaling::within(3, 10, 70);
        let mut load = Load::default();
        for (second, cpu) in [(0, 60), (5, 100), (10, 60), (15, 60), (20, 60)] {
            load.observe(&scaling, 3, 3, cpu * 1_000, at(second));
        }
        assert_eq!(load.advise(&scaling, 3, at(20)), Advice::Hold);
    }
}
