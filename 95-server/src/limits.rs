//! How often one person may ask for changes, and one address be refused.

use crate::config::Limits;
use crate::error::Failure;
use axum::http::{Method, StatusCode};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use writ_core::PrincipalId;

/// Persons or addresses that are remembered before those are forgotten who have all their requests again.
const REMEMBERED_MAX: usize = 10_000;

/// Where a change that is under way says how it goes: whoever had to wait there would be taken for dead.
const UNDER_WAY: &str = "/api/v1/actions/{id}/{command}";

/// Whether a request counts as a change.
pub(crate) fn is_change(method: &Method, route: Option<&str>) -> bool {
    !method.is_safe() && route != Some(UNDER_WAY)
}

/// Who has asked how often.
pub(crate) struct Throttle {
    changes: Rate<PrincipalId>,
    refusals: Rate<IpAddr>,
    /// Which refusals are recorded.
    denials: Rate<PrincipalId>,
    unknowns: Rate<IpAddr>,
    verifies: Rate<PrincipalId>,
    trials: Rate<PrincipalId>,
    #[cfg(feature = "oidc")]
    leaves: Rate<IpAddr>,
    /// How many were not, since the last that was.
    unrecorded: AtomicU64,
}

/// How often one person may have the whole journal checked in a minute: it is read from end to end.
const VERIFIES: u64 = 30;

/// How often one person may have tests of policies run in a minute: each may take seconds.
const TRIALS: u64 = 30;

/// Refusals of one person that are recorded in a minute.
const DENIALS_RECORDED: u64 = 10;

impl Throttle {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            changes: Rate::new(limits.writes_per_minute),
            refusals: Rate::new(limits.logins_per_minute),
            denials: Rate::new(DENIALS_RECORDED),
            unknowns: Rate::new(1),
            verifies: Rate::new(VERIFIES),
            trials: Rate::new(TRIALS),
            #[cfg(feature = "oidc")]
            leaves: Rate::new(limits.logins_per_minute),
            unrecorded: AtomicU64::new(0),
        }
    }

    /// A person asks for a change; with however many tokens, they are one.
    pub(crate) fn change(&self, who: &PrincipalId) -> Result<(), Failure> {
        let (most, wait) = (self.changes.most, self.changes.take(who));
        wait.map_err(|seconds| throttled(&format!("`{who}` asked for more than {most} changes in a minute"), seconds))
    }

    /// A person has the whole journal checked.
    pub(crate) fn verify(&self, who: &PrincipalId) -> Result<(), Failure> {
        let wait = self.verifies.take(who);
        wait.map_err(|seconds| {
            throttled(&format!("`{who}` asked for more than {VERIFIES} checks in a minute"), seconds)
        })
    }

    /// A person has tests of policies run.
    pub(crate) fn trial(&self, who: &PrincipalId) -> Result<(), Failure> {
        let wait = self.trials.take(who);
        wait.map_err(|seconds| {
            throttled(&format!("`{who}` had tests run more than {TRIALS} times in a minute"), seconds)
        })
    }

    /// Somebody shows a token that is nobody's, or tries to log in. Where they come from is not known in tests alone.
    pub(crate) fn stranger(&self, from: Option<IpAddr>) -> Result<(), Failure> {
        let Some(from) = from else { return Ok(()) };
        let (most, wait) = (self.refusals.most, self.refusals.take(&network(from)));
        wait.map_err(|seconds| {
            throttled(&format!("this address was refused more than {most} times in a minute"), seconds)
        })
    }
}

#[cfg(feature = "oidc")]
impl Throttle {
    /// Somebody leaves for the issuer: what they are to come back with is remembered for a while.
    pub(crate) fn leaves(&self, from: Option<IpAddr>) -> Result<(), Failure> {
        let Some(from) = from else { return Ok(()) };
        let (most, wait) = (self.leaves.most, self.leaves.take(&network(from)));
        wait.map_err(|seconds| throttled(&format!("this address began more than {most} logins in a minute"), seconds))
    }
}

impl Throttle {
    /// A person is refused something: how many refusals were not recorded before, when this one is to be.
    pub(crate) fn denied(&self, who: &PrincipalId) -> Option<u64> {
        self.recorded(self.denials.take(who).is_ok())
    }

    /// Likewise for a token that is nobody's: one a minute from each address, so that trying tokens fills no journal.
    pub(crate) fn unknown(&self, from: Option<IpAddr>) -> Option<u64> {
        self.recorded(from.is_none_or(|from| self.unknowns.take(&network(from)).is_ok()))
    }

    fn recorded(&self, is: bool) -> Option<u64> {
        if is {
            return Some(self.unrecorded.swap(0, Ordering::Relaxed));
        }
        self.unrecorded.fetch_add(1, Ordering::Relaxed);
        None
    }
}

fn throttled(detail: &str, seconds: u64) -> Failure {
    Failure::new(StatusCode::TOO_MANY_REQUESTS, "throttled", detail)
        .hint(format!("come again in {seconds} s"))
        .retry_after(seconds)
}

/// Whoever has an address of the sixth version has a whole network of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => mapped.into(),
            None => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        },
    }
}

struct Rate<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    most: u64,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    fn new(most: u64) -> Self {
        let burst = u32::try_from(most).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        Self { limiter: RateLimiter::keyed(Quota::per_minute(burst)), most }
    }

    /// Takes one of a key's requests, or says in how many seconds there is one again.
    fn take(&self, key: &K) -> Result<(), u64> {
        if self.limiter.len() > REMEMBERED_MAX {
            self.limiter.retain_recent();
        }
        let wait = |until: governor::NotUntil<_>| until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
        self.limiter.check_key(key).map_err(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_sixth_version_stands_for_its_network() {
        for (address, expected) in
            [("10.0.0.7", "10.0.0.7"), ("::ffff:10.0.0.7", "10.0.0.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")]
        {
            assert_eq!(network(address.parse().unwrap()), expected.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn who_is_refused_is_told_when_to_come_again() {
        use axum::response::IntoResponse;
        let limits = Limits { writes_per_minute: 1, logins_per_minute: 1, ..crate::config::Config::standard().limits };
        let (throttle, ada, bob) = (Throttle::new(&limits), "person-01".parse().unwrap(), "person-02".parse().unwrap());
        throttle.change(&ada).unwrap();
        throttle.change(&bob).unwrap();
        let told = throttle.change(&ada).unwrap_err().into_response();
        assert_eq!(told.status(), StatusCode::TOO_MANY_REQUESTS);
        let wait: u64 = told.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(told.headers()["content-type"], "application/problem+json");
        let from = Some("10.0.0.7".parse().unwrap());
        throttle.stranger(from).unwrap();
        assert!(throttle.stranger(from).is_err());
        throttle.stranger(Some("10.0.0.8".parse().unwrap())).unwrap();
    }

    #[test]
    fn refusals_are_recorded_as_often_as_is_useful_and_the_others_are_counted() {
        let throttle = Throttle::new(&crate::config::Config::standard().limits);
        let (ada, bob) = ("person-01".parse().unwrap(), "person-02".parse().unwrap());
        let recorded: Vec<Option<u64>> = (0..12).map(|_| throttle.denied(&ada)).collect();
        assert_eq!(recorded, [vec![Some(0); 10], vec![None; 2]].concat());
        assert_eq!(throttle.denied(&bob), Some(2));
        let from = Some("10.0.0.7".parse().unwrap());
        assert_eq!([throttle.unknown(from), throttle.unknown(from), throttle.denied(&bob)], [Some(0), None, Some(1)]);
    }

    #[test]
    fn looking_and_saying_how_a_change_goes_are_no_changes() {
        for (method, route, expected) in [
            (Method::GET, Some("/api/v1/runs"), false),
            (Method::HEAD, None, false),
            (Method::POST, Some("/api/v1/intents"), true),
            (Method::DELETE, Some("/api/v1/tokens/{id}"), true),
            (Method::POST, None, true),
            (Method::POST, Some("/api/v1/actions"), true),
            (Method::POST, Some(UNDER_WAY), false),
        ] {
            assert_eq!(is_change(&method, route), expected, "{method} {route:?}");
        }
        assert!(crate::api::table().iter().any(|route| route.path == UNDER_WAY), "the route is called so");
    }

    #[test]
    fn one_who_asked_too_often_waits_and_others_do_not() {
        let rate = Rate::new(2);
        assert_eq!([rate.take(&1), rate.take(&1), rate.take(&2)], [Ok(()); 3]);
        assert!(rate.take(&1).is_err_and(|seconds| (1..=30).contains(&seconds)));
        assert_eq!(rate.take(&2), Ok(()));
    }

    #[test]
    fn who_is_remembered_is_bounded_by_forgetting_who_may_ask_again() {
        let rate = Rate::new(1_000_000_000);
        for key in 0..u32::try_from(REMEMBERED_MAX).unwrap() * 3 {
            rate.take(&key).unwrap();
        }
        assert!(rate.limiter.len() <= REMEMBERED_MAX + 1, "{}", rate.limiter.len());
    }
}
