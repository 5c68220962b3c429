//! What approvals say in the journal, given now or beforehand. Kinds are for ever.

use crate::approval::{ApprovalChange, Ballot, Question};
use crate::event::DecodeError;
use crate::glass::BreakGlass;
use crate::standing::Standing;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use writ_core::{Actor, ApprovalId, Digest, Draft, Event, Outcome, PrincipalId, RunId, StepKey, Timestamp};

/// One thing that happened to an approval. Its stream is `approval/<id>`, which whoever uses the approval must have read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalEvent {
    /// To which approval.
    pub approval: ApprovalId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: ApprovalFact,
}

/// What can happen to an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalFact {
    /// To one that people are asked for.
    Asked(ApprovalChange),
    /// One that stands was given.
    Standing(Standing),
    /// One that stands was used.
    Cited(Cited),
    /// One that stands was taken back.
    Revoked(Revoked),
    /// Somebody broke the glass.
    GlassBroken(BreakGlass),
    /// Something passed by that.
    GlassUsed(GlassUsed),
    /// It was ended before its time.
    GlassEnded(GlassEnded),
    /// Somebody looked at it afterwards.
    GlassReviewed(GlassReviewed),
}

/// `approval.cited/1`: reserves one of the budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cited {
    /// The action.
    pub action: String,
    /// The resource.
    pub target: String,
}

/// `approval.revoked/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// Who.
    pub by: PrincipalId,
}

/// `approval.glass_used/1`: what would have waited for people did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlassUsed {
    /// The action.
    pub action: String,
    /// The run.
    pub run: RunId,
    /// The step, or none for the run as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepKey>,
    /// The resource.
    pub target: String,
}

/// `approval.glass_ended/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlassEnded {
    /// Who.
    pub by: PrincipalId,
}

/// `approval.glass_reviewed/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlassReviewed {
    /// Who; never the one who broke it.
    pub by: PrincipalId,
    /// Whether it was right to.
    pub justified: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Void {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    now_shown: Option<Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

const ASKED: &str = "approval.asked/1";
const VOTED: &str = "approval.voted/1";
const GRANTED: &str = "approval.granted/1";
const REFUSED: &str = "approval.refused/1";
const EXPIRED: &str = "approval.expired/1";
const VOIDED: &str = "approval.voided/1";
const USED: &str = "approval.used/1";
const STANDING: &str = "approval.standing/1";
const CITED: &str = "approval.cited/1";
const REVOKED: &str = "approval.revoked/1";
const GLASS_BROKEN: &str = "approval.glass_broken/1";
const GLASS_USED: &str = "approval.glass_used/1";
const GLASS_ENDED: &str = "approval.glass_ended/1";
const GLASS_REVIEWED: &str = "approval.glass_reviewed/1";

impl ApprovalEvent {
    /// Every kind there is.
    pub const KINDS: &'static [&'static str] = &[
        ASKED,
        VOTED,
        GRANTED,
        REFUSED,
        EXPIRED,
        VOIDED,
        USED,
        STANDING,
        CITED,
        REVOKED,
        GLASS_BROKEN,
        GLASS_USED,
        GLASS_ENDED,
        GLASS_REVIEWED,
    ];

    /// The event that an entry's kind and body say.
    ///
    /// # Errors
    /// When the kind is unknown or the body has another shape.
    pub fn decode(kind: &str, body: &Value) -> Result<Self, DecodeError> {
        let shape = |cause| DecodeError::Body { kind: kind.to_owned(), cause };
        let mut fields: Map<String, Value> = serde_json::from_value(body.clone()).map_err(shape)?;
        let at = serde_json::from_value(fields.remove("at").unwrap_or(Value::Null)).map_err(shape)?;
        let approval = serde_json::from_value(fields.remove("approval_id").unwrap_or(Value::Null)).map_err(shape)?;
        let what = ApprovalFact::read(kind, Value::Object(fields))
            .unwrap_or_else(|| Err(DecodeError::Kind { kind: kind.to_owned() }))?;
        Ok(Self { approval, at, what })
    }
}

impl ApprovalFact {
    fn read(kind: &str, body: Value) -> Option<Result<Self, DecodeError>> {
        let plain =
            |change: ApprovalChange, body: Value| serde_json::from_value(body).map(|Nothing {}| Self::Asked(change));
        let read = match kind {
            ASKED => {
                serde_json::from_value(body).map(|question: Question| Self::Asked(ApprovalChange::Asked(question)))
            }
            VOTED => serde_json::from_value(body).map(|ballot: Ballot| Self::Asked(ApprovalChange::Voted(ballot))),
            GRANTED => plain(ApprovalChange::Granted, body),
            REFUSED => plain(ApprovalChange::Refused, body),
            EXPIRED => plain(ApprovalChange::Expired, body),
            VOIDED => {
                serde_json::from_value(body).map(|Void { now_shown }| Self::Asked(ApprovalChange::Void { now_shown }))
            }
            USED => plain(ApprovalChange::Used, body),
            STANDING => serde_json::from_value(body).map(Self::Standing),
            CITED => serde_json::from_value(body).map(Self::Cited),
            REVOKED => serde_json::from_value(body).map(Self::Revoked),
            GLASS_BROKEN => serde_json::from_value(body).map(Self::GlassBroken),
            GLASS_USED => serde_json::from_value(body).map(Self::GlassUsed),
            GLASS_ENDED => serde_json::from_value(body).map(Self::GlassEnded),
            GLASS_REVIEWED => serde_json::from_value(body).map(Self::GlassReviewed),
            _ => return None,
        };
        Some(read.map_err(|cause| DecodeError::Body { kind: kind.to_owned(), cause }))
    }

    fn told(&self) -> (&'static str, &'static str, Outcome, Map<String, Value>) {
        match self {
            Self::Asked(change) => match change {
                ApprovalChange::Asked(body) => (ASKED, "ask_approval", Outcome::Started, written(body)),
                ApprovalChange::Voted(body) if body.agrees => (VOTED, "approve", Outcome::Success, written(body)),
                ApprovalChange::Voted(body) => (VOTED, "reject", Outcome::Denied, written(body)),
                ApprovalChange::Granted => (GRANTED, "grant_approval", Outcome::Success, Map::new()),
                ApprovalChange::Refused => (REFUSED, "refuse_approval", Outcome::Denied, Map::new()),
                ApprovalChange::Expired => (EXPIRED, "expire_approval", Outcome::Skipped, Map::new()),
                ApprovalChange::Void { now_shown } => {
                    (VOIDED, "void_approval", Outcome::Skipped, written(&Void { now_shown: *now_shown }))
                }
                ApprovalChange::Used => (USED, "use_approval", Outcome::Success, Map::new()),
            },
            Self::Standing(body) => (STANDING, "grant_standing_approval", Outcome::Success, written(body)),
            Self::Cited(body) => (CITED, "cite_standing_approval", Outcome::Success, written(body)),
            Self::Revoked(body) => (REVOKED, "revoke_standing_approval", Outcome::Success, written(body)),
            Self::GlassBroken(body) => (GLASS_BROKEN, "break_glass", Outcome::Success, written(body)),
            Self::GlassUsed(body) => (GLASS_USED, "use_broken_glass", Outcome::Success, written(body)),
            Self::GlassEnded(body) => (GLASS_ENDED, "end_broken_glass", Outcome::Success, written(body)),
            Self::GlassReviewed(body) => (GLASS_REVIEWED, "review_broken_glass", Outcome::Success, written(body)),
        }
    }
}

impl Event for ApprovalEvent {
    fn draft(&self, actor: &Actor) -> Draft {
        let (kind, action, outcome, mut body) = self.what.told();
        body.insert("approval_id".to_owned(), Value::String(self.approval.to_string()));
        body.insert("at".to_owned(), Value::String(self.at.to_string()));
        let resource = match &self.what {
            ApprovalFact::Asked(ApprovalChange::Asked(question)) => question.subject.clone(),
            ApprovalFact::Cited(cited) => cited.target.clone(),
            ApprovalFact::Asked(_) | ApprovalFact::Standing(_) | ApprovalFact::Revoked(_) => self.approval.to_string(),
            ApprovalFact::GlassUsed(used) => used.target.clone(),
            ApprovalFact::GlassBroken(_) | ApprovalFact::GlassEnded(_) | ApprovalFact::GlassReviewed(_) => {
                self.approval.to_string()
            }
        };
        let (action, stream) = (action.to_owned(), format!("approval/{}", self.approval));
        Draft { action, actor: actor.clone(), body: Value::Object(body), kind, outcome, resource, stream }
    }
}

#[expect(clippy::expect_used, reason = "bodies are maps with text keys; writing one as a value cannot fail")]
fn written(body: &impl Serialize) -> Map<String, Value> {
    let value = serde_json::to_value(body).expect("a body can be written as a value");
    if let Value::Object(fields) = value { fields } else { Map::new() }
}
