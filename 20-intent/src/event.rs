//! What this layer says in the journal. Kinds are for ever: a body may gain a field only under a new number.

use crate::intent::{Constraint, Kind};
use crate::lifecycle::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use writ_core::{Actor, Digest, Draft, Event, IntentId, Outcome};

/// Something that happened to an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentEvent {
    /// A manifest was handed in.
    Submitted(Submitted),
    /// A layout and a plan were found.
    Translated(Translated),
    /// Nothing holds everything it asks.
    FoundInfeasible(FoundInfeasible),
    /// It went from one state of its life to another.
    Moved(Moved),
    /// Part of it that was taken away is there again.
    Regained(Regained),
}

/// A manifest was handed in. The description stays in the attachment: it may name people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The environment it is for.
    pub environment: String,
    /// Digest of its canonical form.
    pub digest: Digest,
    /// The intent.
    pub intent: IntentId,
    /// The attachment with the manifest as it was handed in.
    pub manifest: Digest,
    /// What sort of change it wants.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Which version of the intent, from 1.
    pub version: u64,
}

/// A layout and a plan were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translated {
    /// What it is predicted to be, in billionths.
    pub availability_ppb: u64,
    /// What a month costs, in millionths of the platform's currency.
    pub cost_micros: u64,
    /// Instances.
    pub count: u32,
    /// The instance type.
    pub instance_type: String,
    /// The intent.
    pub intent: IntentId,
    /// Digest of the plan; its document is an attachment.
    pub plan: Digest,
    /// Digest of the platform it was made for.
    pub platform: Digest,
    /// Which version of the intent.
    pub version: u64,
    /// The zones used.
    pub zones: Vec<String>,
}

/// Nothing holds everything it asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundInfeasible {
    /// Every minimal set of constraints that cannot hold together.
    pub conflicts: Vec<Vec<Constraint>>,
    /// The intent.
    pub intent: IntentId,
    /// The attachment with conflicts and fixes in full.
    pub report: Digest,
    /// Which version of the intent.
    pub version: u64,
}

/// It went from one state of its life to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Why, in a few words that name no person.
    pub because: String,
    /// Where it stood.
    pub from: State,
    /// The intent.
    pub intent: IntentId,
    /// Where it stands now.
    pub to: State,
    /// Which version of the intent.
    pub version: u64,
}

/// Part of it is there again, of what a version took away that was given up midway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regained {
    /// The intent.
    pub intent: IntentId,
    /// What is there again, in a few words.
    pub summary: String,
    /// The resources that are still away; none when nothing is.
    pub taken_away: Option<BTreeSet<String>>,
}

/// An entry's body that this layer cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The kind is none of this layer's.
    #[error("`{0}` is not a kind of the intent layer")]
    Kind(String),
    /// The body has another shape.
    #[error("the body of a `{kind}` has another shape")]
    Body {
        /// The kind.
        kind: String,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
}

impl IntentEvent {
    /// Every kind of this layer.
    pub const KINDS: [&'static str; 5] =
        ["intent.submitted/1", "intent.translated/1", "intent.infeasible/1", "intent.moved/1", "intent.regained/1"];

    /// The event that an entry's body tells.
    ///
    /// # Errors
    /// When the kind is not this layer's, or the body does not fit it.
    pub fn decode(kind: &str, body: &Value) -> Result<Self, DecodeError> {
        let misshapen = |source| DecodeError::Body { kind: kind.to_owned(), source };
        Ok(match kind {
            "intent.submitted/1" => Self::Submitted(Submitted::deserialize(body).map_err(misshapen)?),
            "intent.translated/1" => Self::Translated(Translated::deserialize(body).map_err(misshapen)?),
            "intent.infeasible/1" => Self::FoundInfeasible(FoundInfeasible::deserialize(body).map_err(misshapen)?),
            "intent.moved/1" => Self::Moved(Moved::deserialize(body).map_err(misshapen)?),
            "intent.regained/1" => Self::Regained(Regained::deserialize(body).map_err(misshapen)?),
            _ => return Err(DecodeError::Kind(kind.to_owned())),
        })
    }

    /// The intent it happened to.
    #[must_use]
    pub fn intent(&self) -> &IntentId {
        match self {
            Self::Submitted(event) => &event.intent,
            Self::Translated(event) => &event.intent,
            Self::FoundInfeasible(event) => &event.intent,
            Self::Moved(event) => &event.intent,
            Self::Regained(event) => &event.intent,
        }
    }
}

/// The stream of an intent's entries.
#[must_use]
pub fn stream(intent: &IntentId) -> String {
    format!("intent/{intent}")
}

impl Event for IntentEvent {
    fn draft(&self, actor: &Actor) -> Draft {
        let (kind, action, outcome, body) = match self {
            Self::Submitted(event) => ("intent.submitted/1", "submit_intent", Outcome::Success, body(event)),
            Self::Translated(event) => ("intent.translated/1", "translate_intent", Outcome::Success, body(event)),
            Self::FoundInfeasible(event) => ("intent.infeasible/1", "translate_intent", Outcome::Failure, body(event)),
            Self::Moved(event) => ("intent.moved/1", "move_intent", Outcome::Success, body(event)),
            Self::Regained(event) => ("intent.regained/1", "regain_part", Outcome::Success, body(event)),
        };
        Draft {
            action: action.to_owned(),
            actor: actor.clone(),
            body,
            kind,
            outcome,
            resource: self.intent().to_string(),
            stream: stream(self.intent()),
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "these bodies hold only texts, whole numbers and lists, which always become JSON"
)]
fn body<T: Serialize>(event: &T) -> Value {
    serde_json::to_value(event).expect("a body that is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every() -> Vec<(IntentEvent, &'static str)> {
        let intent: IntentId = "DEPLOY-WEB-001".parse().unwrap();
        let digest = Digest([7; 32]);
        let hex = "07".repeat(32);
        let hex: &'static str = Box::leak(hex.into_boxed_str());
        let golden = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        vec![
            (
                IntentEvent::Submitted(Submitted {
                    environment: "production".into(),
                    digest,
                    intent: intent.clone(),
                    manifest: digest,
                    kind: Kind::Deployment,
                    version: 1,
                }),
                golden(format!(
                    r#"{{"digest":"sha256:{hex}","environment":"production","intent":"DEPLOY-WEB-001","manifest":"sha256:{hex}","type":"deployment","version":1}}"#
                )),
            ),
            (
                IntentEvent::Translated(Translated {
                    availability_ppb: 999_798_000,
                    cost_micros: 107_529_000,
                    count: 3,
                    instance_type: "t3.medium".into(),
                    intent: intent.clone(),
                    plan: digest,
                    platform: digest,
                    version: 1,
                    zones: vec!["us-west-2a".into()],
                }),
                golden(format!(
                    r#"{{"availability_ppb":999798000,"cost_micros":107529000,"count":3,"instance_type":"t3.medium","intent":"DEPLOY-WEB-001","plan":"sha256:{hex}","platform":"sha256:{hex}","version":1,"zones":["us-west-2a"]}}"#
                )),
            ),
            (
                IntentEvent::FoundInfeasible(FoundInfeasible {
                    conflicts: vec![vec![Constraint::Availability, Constraint::Budget]],
                    intent: intent.clone(),
                    report: digest,
                    version: 2,
                }),
                golden(format!(
                    r#"{{"conflicts":[["availability","budget"]],"intent":"DEPLOY-WEB-001","report":"sha256:{hex}","version":2}}"#
                )),
            ),
            (
                IntentEvent::Moved(Moved {
                    because: "the run succeeded".into(),
                    from: State::Executing,
                    intent: intent.clone(),
                    to: State::Active,
                    version: 1,
                }),
                r#"{"because":"the run succeeded","from":"executing","intent":"DEPLOY-WEB-001","to":"active","version":1}"#,
            ),
            (
                IntentEvent::Regained(Regained {
                    intent,
                    summary: "web/i-4 is there again".into(),
                    taken_away: Some(["web/i-5".to_owned()].into()),
                }),
                r#"{"intent":"DEPLOY-WEB-001","summary":"web/i-4 is there again","taken_away":["web/i-5"]}"#,
            ),
        ]
    }

    #[test]
    fn every_kind_has_its_golden_bytes_and_reads_back() {
        let actor = Actor::system("intent");
        let mut kinds = Vec::new();
        for (event, golden) in every() {
            let draft = event.draft(&actor);
            let bytes = writ_seal::canonical(&draft.body).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), golden);
            assert_eq!(IntentEvent::decode(draft.kind, &draft.body).unwrap(), event);
            assert_eq!(draft.stream, "intent/DEPLOY-WEB-001");
            kinds.push(draft.kind);
        }
        assert_eq!(kinds, IntentEvent::KINDS);
    }

    #[test]
    fn a_strange_kind_and_a_misshapen_body_are_refused() {
        assert!(matches!(IntentEvent::decode("run.started/1", &Value::Null), Err(DecodeError::Kind(_))));
        assert!(matches!(IntentEvent::decode("intent.moved/1", &Value::Null), Err(DecodeError::Body { .. })));
    }
}
