//! What policy demands along with an allowance: that something is not done too often, not too soon again, or only at some time of
//! the day. It is held against what was granted lately.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use writ_automation::{HeldBy, Hold};
use writ_core::{Obligation, Timestamp};

/// How far back is remembered what was granted, whatever policy says.
const REMEMBERED: Duration = Duration::from_secs(3_600);

/// What was granted lately, by action and oldest first, as far back as policies look.
#[derive(Debug)]
pub(crate) struct Granted {
    known: BTreeMap<String, VecDeque<(Timestamp, Arc<str>)>>,
    reach: Duration,
    /// Nothing that was granted since is missing.
    since: Timestamp,
}

impl Granted {
    /// Nothing is known to have been granted before now.
    pub(crate) fn none(now: Timestamp) -> Self {
        Self { known: BTreeMap::new(), reach: REMEMBERED, since: now }
    }

    /// An action was granted; what is too long ago is forgotten.
    pub(crate) fn add(&mut self, at: Timestamp, action: &str, resource: &str) {
        let oldest = at.minus(self.reach);
        let known = self.known.entry(action.to_owned()).or_default();
        known.push_back((at, resource.into()));
        while known.front().is_some_and(|(first, _)| *first < oldest) {
            known.pop_front();
        }
        self.since = self.since.max(oldest);
    }

    /// Remembers as far back as policies look, from now on. When that is further than what is known, what was granted in the span
    /// that is answered must be told.
    pub(crate) fn reach(&mut self, span: Duration, now: Timestamp) -> Option<Range<Timestamp>> {
        self.reach = self.reach.max(span);
        let from = now.minus(self.reach);
        (from < self.since).then_some(from..self.since)
    }

    /// What was granted in a span that ends where what is known begins, oldest first.
    pub(crate) fn tell(&mut self, span: Range<Timestamp>, older: Vec<(Timestamp, String, String)>) {
        for (at, action, resource) in older.into_iter().rev() {
            self.known.entry(action).or_default().push_front((at, resource.into()));
        }
        self.since = span.start;
    }

    /// When, and on what, an action was granted within a span before now, oldest first.
    fn within(
        &self,
        span: Duration,
        action: &str,
        now: Timestamp,
    ) -> impl DoubleEndedIterator<Item = &(Timestamp, Arc<str>)> + ExactSizeIterator {
        static NONE: VecDeque<(Timestamp, Arc<str>)> = VecDeque::new();
        let known = self.known.get(action).unwrap_or(&NONE);
        known.range(known.partition_point(|(at, _)| now.since(*at) >= span)..)
    }
}

/// Why something that policy allows cannot be done as policy demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// Not yet.
    Held {
        /// Why.
        hold: Hold,
        /// When it may be.
        until: Timestamp,
    },
    /// Nobody here can honour it.
    Never(String),
}

/// Whether an action on a resource may be done now, as policy demands.
///
/// # Errors
/// The first demand that is not met.
pub(crate) fn honour(
    obligations: &[Obligation],
    action: &str,
    resource: &str,
    granted: &Granted,
    now: Timestamp,
) -> Result<(), Unmet> {
    let held = |by, because: String, until| Err(Unmet::Held { hold: Hold { because, by }, until });
    for obligation in obligations {
        match obligation {
            Obligation::RateLimit { count, period_seconds } => {
                let period = Duration::from_secs(*period_seconds);
                let mut recent = granted.within(period, action, now);
                if recent.len() >= *count as usize {
                    let until = recent.next().map_or(now, |(first, _)| *first).plus(period);
                    return held(HeldBy::Throttle, format!("at most {count} in {period_seconds} s"), until);
                }
            }
            Obligation::CoolDown { seconds } => {
                let span = Duration::from_secs(*seconds);
                let mut newest = granted.within(span, action, now).rev();
                if let Some((last, _)) = newest.find(|(_, on)| **on == *resource) {
                    return held(HeldBy::Throttle, format!("not again within {seconds} s"), last.plus(span));
                }
            }
            Obligation::Window { from_second, to_second } => {
                let second = now.micros().div_euclid(1_000_000).rem_euclid(86_400);
                if !(i64::from(*from_second)..i64::from(*to_second)).contains(&second) {
                    let wait = (i64::from(*from_second) - second).rem_euclid(86_400);
                    let until = now.plus(Duration::from_secs(wait.unsigned_abs()));
                    return held(HeldBy::Window, "outside the window that policy sets".into(), until);
                }
            }
            // Told once the start is recorded, by whoever carries it out.
            Obligation::Notify { .. } => {}
            Obligation::DryRun | Obligation::PostCheck { .. } => {
                return Err(Unmet::Never(format!("policy demands {obligation}, which cannot be honoured here")));
            }
        }
    }
    Ok(())
}

/// The channels that obligations name.
pub(crate) fn channels(obligations: &[Obligation]) -> Vec<String> {
    let channel = |obligation: &Obligation| match obligation {
        Obligation::Notify { channel } => Some(channel.clone()),
        Obligation::RateLimit { .. } | Obligation::CoolDown { .. } | Obligation::Window { .. } => None,
        Obligation::DryRun | Obligation::PostCheck { .. } => None,
    };
    obligations.iter().filter_map(channel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(at: i64) -> Timestamp {
        Timestamp::from_micros(at * 1_000_000)
    }

    #[test]
    fn what_is_granted_is_as_policy_demands() {
        let mut granted = Granted::none(second(0));
        for (at, action, resource) in [(100, "restart", "a"), (110, "restart", "b"), (115, "scale", "a")] {
            granted.add(second(at), action, resource);
        }
        let rate = Obligation::RateLimit { count: 2, period_seconds: 30 };
        let cool = Obligation::CoolDown { seconds: 60 };
        let window = Obligation::Window { from_second: 50, to_second: 120 };
        let told = Obligation::Notify { channel: "desk".into() };
        for (demands, resource, at, until) in [
            (vec![rate.clone()], "c", 120, Some(130)),
            (vec![rate.clone()], "c", 130, None),
            (vec![cool.clone()], "b", 169, Some(170)),
            (vec![cool.clone()], "b", 170, None),
            (vec![cool.clone()], "c", 120, None),
            (vec![window.clone()], "c", 119, None),
            (vec![window.clone()], "c", 120, Some(86_450)),
            (vec![window.clone()], "c", 86_440, Some(86_450)),
            (vec![told.clone(), cool], "a", 130, Some(160)),
            (vec![told], "a", 130, None),
        ] {
            let found = honour(&demands, "restart", resource, &granted, second(at));
            let found = found.err().map(|unmet| match unmet {
                Unmet::Held { until, .. } => until,
                Unmet::Never(because) => panic!("{because}"),
            });
            assert_eq!(found, until.map(second), "{demands:?} of {resource} at {at}");
        }
    }

    #[test]
    fn what_was_granted_is_remembered_as_far_back_as_policy_looks() {
        let mut granted = Granted::none(second(10_000));
        granted.add(second(10_001), "restart", "c");
        let (rest, span) = ([Obligation::CoolDown { seconds: 7_200 }], Duration::from_secs(7_200));
        let until =
            |granted: &Granted, resource: &str, at| match honour(&rest, "restart", resource, granted, second(at)) {
                Err(Unmet::Held { until, .. }) => Some(until),
                Err(Unmet::Never(because)) => panic!("{because}"),
                Ok(()) => None,
            };
        // Asked again, it says the same until it is told.
        for _ in 0..2 {
            let missing = granted.reach(span, second(10_100));
            assert_eq!(missing, Some(second(2_900)..second(10_000)));
        }
        let older = [(3_000, "a"), (9_000, "b")].map(|(at, on)| (second(at), "restart".to_owned(), on.to_owned()));
        granted.tell(second(2_900)..second(10_000), older.into());
        assert_eq!(granted.reach(span, second(10_100)), None);
        assert_eq!(until(&granted, "a", 10_100), Some(second(10_200)));
        assert_eq!(until(&granted, "a", 10_200), None);
        // What comes later forgets nothing that is looked back at.
        granted.add(second(16_000), "restart", "d");
        assert_eq!(until(&granted, "b", 16_100), Some(second(16_200)));
        assert_eq!(until(&granted, "c", 17_200), Some(second(17_201)));
        let rate = [Obligation::RateLimit { count: 3, period_seconds: 7_200 }];
        let held = honour(&rate, "restart", "e", &granted, second(16_100));
        assert!(matches!(held, Err(Unmet::Held { until, .. }) if until == second(16_200)), "{held:?}");
        granted.add(second(30_000), "restart", "d");
        assert_eq!(granted.reach(Duration::ZERO, second(30_000)), None);
        assert_eq!(granted.since, second(22_800));
    }

    #[test]
    fn what_cannot_be_honoured_is_never_granted() {
        for demand in [Obligation::DryRun, Obligation::PostCheck { condition: "error_rate < 1%".into() }] {
            let found = honour(&[demand], "restart", "a", &Granted::none(second(0)), second(0));
            assert!(matches!(found, Err(Unmet::Never(_))), "{found:?}");
        }
    }
}
