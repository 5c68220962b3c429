//! What policy demands along with an allowance: that something is not done too often, not too soon again, or only at some time of
//! the day. It is held against what was granted lately.

use std::collections::VecDeque;
use std::time::Duration;
use writ_automation::{HeldBy, Hold};
use writ_core::{Obligation, Timestamp};

/// How far back is remembered what was granted.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(3_600);

/// What was granted lately.
#[derive(Debug, Default)]
pub(crate) struct Granted(VecDeque<Once>);

#[derive(Debug)]
struct Once {
    at: Timestamp,
    action: String,
    resource: String,
}

impl Granted {
    /// An action was granted; what is too long ago is forgotten.
    pub(crate) fn add(&mut self, at: Timestamp, action: &str, resource: &str) {
        self.0.push_back(Once { at, action: action.to_owned(), resource: resource.to_owned() });
        while self.0.front().is_some_and(|first| at.since(first.at) > REMEMBERED) {
            self.0.pop_front();
        }
    }

    /// How often, and when, an action was granted within a span before now.
    fn within(&self, span: Duration, action: &str, now: Timestamp) -> impl Iterator<Item = &Once> {
        self.0.iter().filter(move |once| once.action == action && now.since(once.at) < span)
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
                let recent: Vec<Timestamp> = granted.within(period, action, now).map(|once| once.at).collect();
                if recent.len() >= *count as usize {
                    let until = recent.first().copied().unwrap_or(now).plus(period);
                    return held(HeldBy::Throttle, format!("at most {count} in {period_seconds} s"), until);
                }
            }
            Obligation::CoolDown { seconds } => {
                let span = Duration::from_secs(*seconds);
                let same = granted.within(span, action, now).filter(|once| once.resource == resource);
                if let Some(last) = same.map(|once| once.at).max() {
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
        let mut granted = Granted::default();
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
    fn what_cannot_be_honoured_is_never_granted() {
        for demand in [Obligation::DryRun, Obligation::PostCheck { condition: "error_rate < 1%".into() }] {
            let found = honour(&[demand], "restart", "a", &Granted::default(), second(0));
            assert!(matches!(found, Err(Unmet::Never(_))), "{found:?}");
        }
    }
}
