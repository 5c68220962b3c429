//! Circuit breakers: when an action fails again and again at one provider, nobody tries it for a while, then one tries alone.
//! Failures of a single resource are that resource's trouble, which budgets bound; they open nothing.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use writ_core::{Actor, Draft, Event, Outcome, Timestamp};

/// Failures in a row after which a breaker opens.
pub const BREAKER_FAILURES: u32 = 5;

/// How long it stays open before one may try.
pub const BREAKER_OPEN: Duration = Duration::from_secs(30);

/// What a breaker is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BreakerKey {
    /// The provider's name.
    pub provider: String,
    /// Its verb.
    pub verb: String,
}

impl BreakerKey {
    /// A verb at a provider.
    #[must_use]
    pub fn new(provider: &str, verb: &str) -> Self {
        Self { provider: provider.to_owned(), verb: verb.to_owned() }
    }
}

/// A breaker opened or closed. Its stream is `breaker/<provider>/<verb>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerMoved {
    /// Which.
    pub key: BreakerKey,
    /// Until when nobody tries; none when it closed.
    pub open_until: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// It lets everybody through, after so many failures in a row on these resources; two of them are enough to know.
    Closed { failures: u32, resources: BTreeSet<String> },
    /// Nobody tries before then; after that one may.
    Open(Timestamp),
    /// One tries; the others wait, at most until then.
    Trial(Timestamp),
}

/// All breakers. What was counted is forgotten with the process; what opened is not.
#[derive(Debug, Clone, Default)]
pub struct Breakers(BTreeMap<BreakerKey, State>);

impl Breakers {
    /// Until when nobody may try; none when somebody may.
    #[must_use]
    pub fn open_until(&self, key: &BreakerKey, now: Timestamp) -> Option<Timestamp> {
        match self.0.get(key)? {
            State::Closed { .. } => None,
            State::Open(until) | State::Trial(until) => (now < *until).then_some(*until),
        }
    }

    /// Somebody tries, and will have an answer by then.
    pub fn tried(&mut self, key: &BreakerKey, answer_by: Timestamp) {
        if let Some(state @ (State::Open(_) | State::Trial(_))) = self.0.get_mut(key) {
            *state = State::Trial(answer_by);
        }
    }

    /// What an answer changes: nothing, or the breaker opens or closes. To be applied once it is recorded.
    pub fn heard(&mut self, key: &BreakerKey, resource: &str, worked: bool, now: Timestamp) -> Option<BreakerMoved> {
        let state = self.0.entry(key.clone()).or_insert_with(closed);
        match (&mut *state, worked) {
            (State::Closed { .. }, true) => {
                *state = closed();
                None
            }
            (State::Closed { failures, resources }, false) => {
                *failures += 1;
                if resources.len() < 2 {
                    resources.insert(resource.to_owned());
                }
                let opens = *failures >= BREAKER_FAILURES && resources.len() > 1;
                opens.then(|| BreakerMoved { key: key.clone(), open_until: Some(now.plus(BREAKER_OPEN)) })
            }
            (State::Open(_) | State::Trial(_), true) => Some(BreakerMoved { key: key.clone(), open_until: None }),
            (State::Trial(_), false) => {
                Some(BreakerMoved { key: key.clone(), open_until: Some(now.plus(BREAKER_OPEN)) })
            }
            // One that was under way when it opened.
            (State::Open(_), false) => None,
        }
    }

    /// Takes in what was recorded.
    pub fn apply(&mut self, moved: &BreakerMoved) {
        let state = moved.open_until.map_or_else(closed, State::Open);
        self.0.insert(moved.key.clone(), state);
    }
}

fn closed() -> State {
    State::Closed { failures: 0, resources: BTreeSet::new() }
}

const OPENED: &str = "breaker.opened/1";
const CLOSED: &str = "breaker.closed/1";

impl BreakerMoved {
    /// The event that an entry says; none when its kind is another's or its body is not of it.
    #[must_use]
    pub fn decode(kind: &str, body: &Value) -> Option<Self> {
        let key = BreakerKey::deserialize(body).ok()?;
        match kind {
            OPENED => {
                let open_until = serde_json::from_value(body.get("until")?.clone()).ok()?;
                Some(Self { key, open_until: Some(open_until) })
            }
            CLOSED => Some(Self { key, open_until: None }),
            _ => None,
        }
    }
}

impl Event for BreakerMoved {
    fn draft(&self, actor: &Actor) -> Draft {
        let BreakerKey { provider, verb } = &self.key;
        let (kind, action, outcome, body) = match self.open_until {
            Some(until) => {
                let body = json!({"provider": provider, "verb": verb, "until": until, "failures": BREAKER_FAILURES});
                (OPENED, "open_breaker", Outcome::Failure, body)
            }
            None => (CLOSED, "close_breaker", Outcome::Success, json!({"provider": provider, "verb": verb})),
        };
        let resource = format!("{provider}/{verb}");
        let stream = format!("breaker/{resource}");
        Draft { action: action.to_owned(), actor: actor.clone(), body, kind, outcome, resource, stream }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn hear(breakers: &mut Breakers, key: &BreakerKey, worked: bool, now: Timestamp) -> Option<BreakerMoved> {
        // Every second answer is another resource's.
        let resource = if now.micros() % 2_000_000 == 0 { "web/i-1" } else { "web/i-2" };
        let moved = breakers.heard(key, resource, worked, now);
        moved.iter().for_each(|moved| breakers.apply(moved));
        moved
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_that_works_closes_it() {
        let (mut breakers, key) = (Breakers::default(), BreakerKey::new("local", "instance.ensure"));
        let other = BreakerKey::new("local", "instance.remove");
        for n in 0..4 {
            assert_eq!(hear(&mut breakers, &key, false, at(n)), None);
        }
        assert_eq!(hear(&mut breakers, &key, true, at(4)), None, "one that works begins the count anew");
        for n in 5..9 {
            assert_eq!(hear(&mut breakers, &key, false, at(n)), None);
        }
        let opened = hear(&mut breakers, &key, false, at(9)).unwrap();
        assert_eq!(opened.open_until, Some(at(39)));
        assert_eq!(breakers.open_until(&key, at(38)), Some(at(39)));
        assert_eq!(breakers.open_until(&other, at(38)), None, "each action has its own");
        assert_eq!(breakers.open_until(&key, at(39)), None, "then one may try");
        breakers.tried(&key, at(60));
        assert_eq!(breakers.open_until(&key, at(40)), Some(at(60)), "and the others wait for it");
        assert_eq!(hear(&mut breakers, &key, false, at(41)).unwrap().open_until, Some(at(71)));
        breakers.tried(&key, at(80));
        assert_eq!(hear(&mut breakers, &key, true, at(72)).unwrap().open_until, None);
        assert_eq!(breakers.open_until(&key, at(73)), None);
    }

    #[test]
    fn one_resource_alone_opens_nothing() {
        let (mut breakers, key) = (Breakers::default(), BreakerKey::new("local", "instance.ensure"));
        for n in 0..20 {
            assert_eq!(breakers.heard(&key, "web/i-1", false, at(n)), None);
        }
        assert!(breakers.heard(&key, "web/i-2", false, at(20)).is_some());
    }

    #[test]
    fn what_was_recorded_is_read_as_what_it_was() {
        for open_until in [Some(at(7)), None] {
            let moved = BreakerMoved { key: BreakerKey::new("local", "instance.ensure"), open_until };
            let draft = moved.draft(&Actor::system("test"));
            assert_eq!(BreakerMoved::decode(draft.kind, &draft.body), Some(moved));
        }
        assert_eq!(BreakerMoved::decode("run.failed/1", &json!({"provider": "a", "verb": "b"})), None);
    }
}
