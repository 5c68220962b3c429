//! What this layer has to say in the journal. Kinds are for ever; bodies hold no floats.

use crate::figures::Figures;
use crate::proposal::Move;
use crate::recommend::Recommendation;
use crate::stats::Shift;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use writ_core::{Actor, Digest, Draft, Event, IntentId, Outcome, RecommendationId, Timestamp};

/// A recommendation was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// When.
    pub at: Timestamp,
    /// Who made it.
    pub author: Actor,
    /// Digest of what is shown.
    pub digest: Digest,
    /// When it is too old to be taken up.
    pub expires_at: Timestamp,
    /// The recommendation.
    pub recommendation: Recommendation,
}

/// What was measured of a change, in whole numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was expected, in the metric's unit.
    pub expected: i64,
    /// What was compared: `availability_ppm`, `latency_p95_us`.
    pub metric: String,
    /// What was seen; none when it was too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realised: Option<Realised>,
}

/// What was seen, with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Realised {
    /// The shift.
    pub estimate: i64,
    /// The high end.
    pub high: i64,
    /// The low end.
    pub low: i64,
    /// The probability of so much by chance, in parts per million.
    pub p_ppm: u64,
}

impl From<Shift> for Realised {
    fn from(shift: Shift) -> Self {
        let Shift { estimate, low, high, p_ppm } = shift;
        Self { estimate, high, low, p_ppm }
    }
}

/// A recommendation moved on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// When.
    pub at: Timestamp,
    /// What was measured, where something was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The recommendation.
    pub recommendation: RecommendationId,
    /// The move.
    #[serde(flatten)]
    pub step: Move,
}

/// Everything that can happen to a recommendation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedbackEvent {
    /// See [`Made`].
    Made(Box<Made>),
    /// See [`Moved`].
    Moved(Moved),
}

/// A body is not of its kind.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No such kind is known here.
    #[error("kind `{kind}` is not known to feedback")]
    Kind {
        /// What was given.
        kind: String,
    },
    /// The body has another shape.
    #[error("a body is not of kind `{kind}`")]
    Body {
        /// The kind.
        kind: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The body tells another move than its kind.
    #[error("a body of kind `{kind}` tells the move `{step}`")]
    Mismatch {
        /// The kind.
        kind: String,
        /// What the body tells.
        step: &'static str,
    },
}

fn kind(step: &Move) -> (&'static str, &'static str, Outcome) {
    match step {
        Move::Activate => ("recommend.activated/1", "activate_recommendation", Outcome::Success),
        Move::Claim { .. } => ("recommend.claimed/1", "claim_recommendation", Outcome::Success),
        Move::Release => ("recommend.released/1", "release_recommendation", Outcome::Success),
        Move::Approve { .. } => ("recommend.approved/1", "approve_recommendation", Outcome::Success),
        Move::Apply { .. } => ("recommend.applied/1", "apply_recommendation", Outcome::Started),
        Move::Refuse => ("recommend.refused/1", "apply_recommendation", Outcome::Denied),
        Move::Watch { .. } => ("recommend.watched/1", "watch_recommendation", Outcome::Started),
        Move::Realise => ("recommend.realised/1", "judge_recommendation", Outcome::Success),
        Move::Miss => ("recommend.missed/1", "judge_recommendation", Outcome::Failure),
        Move::Revert => ("recommend.reverted/1", "revert_recommendation", Outcome::Failure),
        Move::Dismiss => ("recommend.dismissed/1", "dismiss_recommendation", Outcome::Success),
        Move::Reopen => ("recommend.reopened/1", "reopen_recommendation", Outcome::Success),
        Move::Supersede { .. } => ("recommend.superseded/1", "supersede_recommendation", Outcome::Success),
        Move::Expire => ("recommend.expired/1", "expire_recommendation", Outcome::Skipped),
    }
}

/// Whether nothing follows by itself on an entry of this kind: the recommendation is over, until somebody opens it again.
#[must_use]
pub fn is_last(kind: &str) -> bool {
    let over = ["realised", "missed", "reverted", "dismissed", "superseded", "expired"];
    let said = kind.strip_prefix("recommend.").and_then(|kind| kind.strip_suffix("/1"));
    said.is_some_and(|said| over.contains(&said))
}

/// The event that an entry's body tells.
///
/// # Errors
/// When the kind is not one of this layer's, or the body is not of it.
pub fn decode(of: &str, body: &Value) -> Result<FeedbackEvent, DecodeError> {
    fn read<T: DeserializeOwned>(kind: &str, body: &Value) -> Result<T, DecodeError> {
        T::deserialize(body).map_err(|source| DecodeError::Body { kind: kind.to_owned(), source })
    }
    if matches!(of, "recommend.made/1" | "recommend.made/2") {
        return Ok(FeedbackEvent::Made(Box::new(read(of, body)?)));
    }
    if !of.starts_with("recommend.") {
        return Err(DecodeError::Kind { kind: of.to_owned() });
    }
    let moved: Moved = read(of, body)?;
    if kind(&moved.step).0 != of {
        return Err(DecodeError::Mismatch { kind: of.to_owned(), step: moved.step.label() });
    }
    Ok(FeedbackEvent::Moved(moved))
}

impl Event for FeedbackEvent {
    fn draft(&self, actor: &Actor) -> Draft {
        let (id, (kind, action, outcome), body) = match self {
            FeedbackEvent::Made(made) => {
                let labels = ("recommend.made/2", "make_recommendation", Outcome::Success);
                (&made.recommendation.id, labels, serde_json::to_value(made))
            }
            FeedbackEvent::Moved(moved) => (&moved.recommendation, kind(&moved.step), serde_json::to_value(moved)),
        };
        Draft {
            action: action.to_owned(),
            actor: actor.clone(),
            // These structs hold texts, integers, lists and text-keyed maps; serde_json has no reason to refuse one.
            body: body.unwrap_or_default(),
            kind,
            outcome,
            resource: id.to_string(),
            stream: format!("recommendation/{id}"),
        }
    }
}

/// The figures of a period as a draft, so that what was reported can be proved later.
#[must_use]
pub fn collected_draft(intent: &IntentId, figures: &Figures, actor: &Actor) -> Draft {
    Draft {
        action: "collect_feedback".to_owned(),
        actor: actor.clone(),
        body: serde_json::to_value(figures).unwrap_or_default(),
        kind: "feedback.collected/1",
        outcome: Outcome::Success,
        resource: intent.to_string(),
        stream: format!("feedback/{intent}"),
    }
}
