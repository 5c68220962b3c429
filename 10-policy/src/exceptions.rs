//! What people except from the rules for a time: waivers, and the freeze of changes during maintenance. One stream holds them,
//! so that whoever decided on one version of it can be told when there is another.

use crate::waiver::Waiver;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use writ_core::{Actor, Digest, Draft, Event, Outcome, PrincipalId, RuleId, Timestamp, WaiverId};

/// The stream of all exceptions.
pub const EXCEPTIONS_STREAM: &str = "policy/exceptions";

/// The longest a waiver may stand.
pub const WAIVER_MAX: Duration = Duration::from_secs(90 * 86_400);

/// `policy.waiver_asked/1`: somebody wants a rule not to hold somewhere for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaiverAsked {
    /// When.
    pub at: Timestamp,
    /// Who asks.
    pub author: PrincipalId,
    /// Until when it would stand.
    pub expires_at: Timestamp,
    /// Commitment to the reason, which stands beside the journal and can be erased.
    pub reason: Digest,
    /// The rule.
    pub rule: RuleId,
    /// An intent's id or a resource; `*` stands for any letters.
    pub subject: String,
    /// The waiver's id.
    pub waiver: WaiverId,
}

/// `policy.waiver_granted/1`, `policy.waiver_refused/1` and `policy.waiver_revoked/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaiverAnswered {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: PrincipalId,
    /// The waiver.
    pub waiver: WaiverId,
}

/// `policy.maintenance_set/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceSet {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: PrincipalId,
    /// Whether changes are frozen from now on.
    pub on: bool,
}

/// One thing that happened to what is excepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExceptionEvent {
    /// See [`WaiverAsked`].
    Asked(WaiverAsked),
    /// A second person agreed.
    Granted(WaiverAnswered),
    /// A second person did not.
    Refused(WaiverAnswered),
    /// It was taken back before its end.
    Revoked(WaiverAnswered),
    /// See [`MaintenanceSet`].
    Maintenance(MaintenanceSet),
}

/// How far a waiver has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaiverState {
    /// It waits for a second person.
    Asked,
    /// It holds until its end.
    Granted,
    /// A second person said no.
    Refused,
    /// It was taken back.
    Revoked,
}

/// A waiver with how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaiverStatus {
    /// What was asked.
    #[serde(flatten)]
    pub asked: WaiverAsked,
    /// Who answered last.
    pub by: Option<PrincipalId>,
    /// How far it has come.
    pub state: WaiverState,
}

impl WaiverStatus {
    /// A waiver after one more event about it; none while nobody asked for it.
    #[must_use]
    pub fn after(before: Option<Self>, event: &ExceptionEvent) -> Option<Self> {
        let (answered, state) = match event {
            ExceptionEvent::Asked(asked) => {
                return Some(Self { asked: asked.clone(), by: None, state: WaiverState::Asked });
            }
            ExceptionEvent::Maintenance(_) => return before,
            ExceptionEvent::Granted(answered) => (answered, WaiverState::Granted),
            ExceptionEvent::Refused(answered) => (answered, WaiverState::Refused),
            ExceptionEvent::Revoked(answered) => (answered, WaiverState::Revoked),
        };
        Some(Self { by: Some(answered.by.clone()), state, ..before? })
    }
}

/// Why a waiver is not what somebody wants it to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaiverRefused {
    /// There is no such waiver.
    #[error("there is no waiver `{waiver}`")]
    Unknown {
        /// What was named.
        waiver: WaiverId,
    },
    /// It has come farther, or not far enough.
    #[error("waiver `{waiver}` is {}", word(*.state))]
    State {
        /// The waiver.
        waiver: WaiverId,
        /// Its state.
        state: WaiverState,
    },
    /// Its time is up.
    #[error("waiver `{waiver}` ended at {expires_at}")]
    Over {
        /// The waiver.
        waiver: WaiverId,
        /// Its end.
        expires_at: Timestamp,
    },
    /// Nobody grants what they asked for.
    #[error("`{by}` asked for it, and cannot grant it")]
    OwnRequest {
        /// Who tried.
        by: PrincipalId,
    },
    /// It would end before it begins, or stand too long.
    #[error("a waiver may stand for at most {} days, and this one would until {expires_at}", WAIVER_MAX.as_secs() / 86_400)]
    Span {
        /// Its end.
        expires_at: Timestamp,
    },
    /// No rule has that name.
    #[error("no rule in force is called `{rule}`")]
    Rule {
        /// What was named.
        rule: RuleId,
    },
}

/// The word for a state.
fn word(state: WaiverState) -> &'static str {
    match state {
        WaiverState::Asked => "asked for and not answered",
        WaiverState::Granted => "granted",
        WaiverState::Refused => "refused",
        WaiverState::Revoked => "revoked",
    }
}

/// Everything that is excepted: the fold of its events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exceptions {
    maintenance: bool,
    waivers: BTreeMap<WaiverId, WaiverStatus>,
}

impl Exceptions {
    /// Takes one more event in.
    pub fn apply(&mut self, event: &ExceptionEvent) {
        if let ExceptionEvent::Maintenance(set) = event {
            self.maintenance = set.on;
        }
        let Some(waiver) = event.waiver() else { return };
        if let Some(status) = WaiverStatus::after(self.waivers.remove(waiver), event) {
            self.waivers.insert(waiver.clone(), status);
        }
    }

    /// Whether changes are frozen.
    #[must_use]
    pub fn maintenance(&self) -> bool {
        self.maintenance
    }

    /// Those that were granted and not taken back, in the form that judging reads.
    #[must_use]
    pub fn granted(&self) -> Vec<Waiver> {
        let granted = self.waivers.values().filter(|status| status.state == WaiverState::Granted);
        granted
            .filter_map(|status| {
                Some(Waiver {
                    approver: status.by.clone()?,
                    expires_at: status.asked.expires_at,
                    reason: status.asked.waiver.to_string(),
                    rule: status.asked.rule.clone(),
                    subject: status.asked.subject.clone(),
                })
            })
            .collect()
    }

    /// Asks for a waiver. `rules` are those in force.
    ///
    /// # Errors
    /// When no rule has that name, or it would stand too long.
    pub fn ask<'a>(
        &self,
        asked: WaiverAsked,
        mut rules: impl Iterator<Item = &'a str>,
    ) -> Result<ExceptionEvent, WaiverRefused> {
        if !rules.any(|rule| rule == asked.rule.as_str()) {
            return Err(WaiverRefused::Rule { rule: asked.rule });
        }
        let ends = asked.at < asked.expires_at && asked.expires_at.since(asked.at) <= WAIVER_MAX;
        if !ends {
            return Err(WaiverRefused::Span { expires_at: asked.expires_at });
        }
        Ok(ExceptionEvent::Asked(asked))
    }

    /// Grants or refuses what somebody else asked for, or takes back what was granted.
    ///
    /// # Errors
    /// When it is not there, in another state, or one's own.
    pub fn answer(&self, answered: WaiverAnswered, wanted: WaiverState) -> Result<ExceptionEvent, WaiverRefused> {
        let unknown = || WaiverRefused::Unknown { waiver: answered.waiver.clone() };
        let status = self.waivers.get(&answered.waiver).ok_or_else(unknown)?;
        let own = status.asked.author == answered.by;
        let by = answered.by.clone();
        let expires_at = status.asked.expires_at;
        match (status.state, wanted) {
            (WaiverState::Asked | WaiverState::Granted, WaiverState::Granted | WaiverState::Revoked)
                if expires_at <= answered.at =>
            {
                Err(WaiverRefused::Over { waiver: answered.waiver, expires_at })
            }
            (WaiverState::Asked, WaiverState::Granted) if own => Err(WaiverRefused::OwnRequest { by }),
            (WaiverState::Asked, WaiverState::Granted) => Ok(ExceptionEvent::Granted(answered)),
            (WaiverState::Asked, WaiverState::Refused) => Ok(ExceptionEvent::Refused(answered)),
            (WaiverState::Granted | WaiverState::Asked, WaiverState::Revoked) => Ok(ExceptionEvent::Revoked(answered)),
            (state, WaiverState::Asked | WaiverState::Granted | WaiverState::Refused | WaiverState::Revoked) => {
                Err(WaiverRefused::State { waiver: answered.waiver, state })
            }
        }
    }
}

const ASKED: &str = "policy.waiver_asked/1";
const GRANTED: &str = "policy.waiver_granted/1";
const REFUSED: &str = "policy.waiver_refused/1";
const REVOKED: &str = "policy.waiver_revoked/1";
const MAINTENANCE: &str = "policy.maintenance_set/1";

impl ExceptionEvent {
    /// The waiver that it is about.
    #[must_use]
    pub fn waiver(&self) -> Option<&WaiverId> {
        match self {
            Self::Maintenance(_) => None,
            Self::Asked(asked) => Some(&asked.waiver),
            Self::Granted(answered) | Self::Refused(answered) | Self::Revoked(answered) => Some(&answered.waiver),
        }
    }

    /// The event that an entry says; none when its kind is another's.
    ///
    /// # Errors
    /// When the body is not of its kind.
    pub fn decode(kind: &str, body: &Value) -> Result<Option<Self>, serde_json::Error> {
        fn read<T: DeserializeOwned>(body: &Value) -> Result<T, serde_json::Error> {
            let mut body = body.clone();
            if let Value::Object(fields) = &mut body {
                fields.remove("erasables");
            }
            serde_json::from_value(body)
        }
        Ok(Some(match kind {
            ASKED => Self::Asked(read(body)?),
            GRANTED => Self::Granted(read(body)?),
            REFUSED => Self::Refused(read(body)?),
            REVOKED => Self::Revoked(read(body)?),
            MAINTENANCE => Self::Maintenance(read(body)?),
            _ => return Ok(None),
        }))
    }
}

impl Event for ExceptionEvent {
    fn draft(&self, actor: &Actor) -> Draft {
        fn body(of: &impl Serialize) -> Value {
            // Texts only: serde_json has no reason to refuse one.
            serde_json::to_value(of).unwrap_or_default()
        }
        let (kind, action, resource, body) = match self {
            Self::Asked(asked) => (ASKED, "ask_waiver", asked.rule.to_string(), body(asked)),
            Self::Granted(answered) => (GRANTED, "grant_waiver", answered.waiver.to_string(), body(answered)),
            Self::Refused(answered) => (REFUSED, "refuse_waiver", answered.waiver.to_string(), body(answered)),
            Self::Revoked(answered) => (REVOKED, "revoke_waiver", answered.waiver.to_string(), body(answered)),
            Self::Maintenance(set) if set.on => (MAINTENANCE, "start_maintenance", "policies".to_owned(), body(set)),
            Self::Maintenance(set) => (MAINTENANCE, "end_maintenance", "policies".to_owned(), body(set)),
        };
        let outcome = match self {
            Self::Asked(_) => Outcome::Started,
            Self::Refused(_) => Outcome::Denied,
            Self::Granted(_) | Self::Revoked(_) | Self::Maintenance(_) => Outcome::Success,
        };
        let (action, stream) = (action.to_owned(), EXCEPTIONS_STREAM.to_owned());
        Draft { action, actor: actor.clone(), body, kind, outcome, resource, stream }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn id(n: u64) -> WaiverId {
        WaiverId::mint(n, [1; 10])
    }

    fn asked(n: u64) -> WaiverAsked {
        WaiverAsked {
            at: at(0),
            author: "ann".parse().unwrap(),
            expires_at: at(100),
            reason: Digest([1; 32]),
            rule: "SEC-ENC-001".parse().unwrap(),
            subject: "DEPLOY-*".into(),
            waiver: id(n),
        }
    }

    fn by(name: &str, n: u64) -> WaiverAnswered {
        WaiverAnswered { at: at(1), by: name.parse().unwrap(), waiver: id(n) }
    }

    fn with_one() -> Exceptions {
        let mut exceptions = Exceptions::default();
        let event = exceptions.ask(asked(1), ["SEC-ENC-001"].into_iter()).unwrap();
        exceptions.apply(&event);
        exceptions
    }

    #[test]
    fn a_waiver_holds_only_once_somebody_else_has_granted_it() {
        let mut exceptions = with_one();
        assert!(exceptions.granted().is_empty());
        let own = exceptions.answer(by("ann", 1), WaiverState::Granted).unwrap_err();
        assert_eq!(own, WaiverRefused::OwnRequest { by: "ann".parse().unwrap() });
        let granted = exceptions.answer(by("bob", 1), WaiverState::Granted).unwrap();
        exceptions.apply(&granted);
        assert_eq!(exceptions.granted().len(), 1);
        let again = exceptions.answer(by("cid", 1), WaiverState::Granted).unwrap_err();
        assert_eq!(again, WaiverRefused::State { waiver: id(1), state: WaiverState::Granted });
        let revoked = exceptions.answer(by("ann", 1), WaiverState::Revoked).unwrap();
        exceptions.apply(&revoked);
        assert!(exceptions.granted().is_empty());
    }

    #[test]
    fn a_waiver_names_a_rule_in_force_and_an_end_in_time() {
        let exceptions = Exceptions::default();
        let unknown = exceptions.ask(asked(1), ["OTHER-001"].into_iter()).unwrap_err();
        assert_eq!(unknown.to_string(), "no rule in force is called `SEC-ENC-001`");
        for expires_at in [at(0), at(-1), at(91 * 86_400)] {
            let late = WaiverAsked { expires_at, ..asked(1) };
            assert_eq!(exceptions.ask(late, ["SEC-ENC-001"].into_iter()), Err(WaiverRefused::Span { expires_at }));
        }
        let nobody = exceptions.answer(by("bob", 7), WaiverState::Granted);
        assert_eq!(nobody, Err(WaiverRefused::Unknown { waiver: id(7) }));
    }

    #[test]
    fn what_was_recorded_is_read_as_what_it_was() {
        let set = |on| ExceptionEvent::Maintenance(MaintenanceSet { at: at(1), by: "ann".parse().unwrap(), on });
        let events = [
            ExceptionEvent::Asked(asked(1)),
            ExceptionEvent::Granted(by("bob", 1)),
            ExceptionEvent::Refused(by("bob", 1)),
            ExceptionEvent::Revoked(by("bob", 1)),
            set(true),
            set(false),
        ];
        for event in events {
            let draft = event.draft(&Actor::system("test"));
            assert_eq!(ExceptionEvent::decode(draft.kind, &draft.body).unwrap(), Some(event));
        }
        assert_eq!(ExceptionEvent::decode("policy.set/1", &Value::Null).unwrap(), None);
    }
}
