//! What happens to a remedy, from the decision that it is needed to whether it helped.

use crate::config::Mode;
use crate::remedy::{Remedy, RemedyKey};
use crate::verify::{Behaviour, Verification};
use serde::{Deserialize, Serialize};
use writ_core::{ApprovalId, ComponentId, IncidentId, RunId, Timestamp};

/// A remedy was decided on. This is also the reservation: the attempt is spent, whatever comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// When.
    pub at: Timestamp,
    /// What showed that it is needed, with the values.
    pub because: String,
    /// How the component did before.
    pub before: Behaviour,
    /// Whether a person must agree.
    pub mode: Mode,
    /// The remedy.
    pub remedy: Remedy,
}

/// What would have been done, had the mode allowed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadowed {
    /// When.
    pub at: Timestamp,
    /// What showed that it is needed, with the values.
    pub because: String,
    /// The remedy that was not proposed.
    pub remedy: Remedy,
}

/// Why a remedy has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The same was done a moment ago.
    CoolDown,
    /// No room in an allowance.
    Budget,
    /// The newest data is older than the freshness bound.
    Stale,
    /// As many instances as may be are being touched already.
    AtOnce,
    /// Another remedy is at work on the same instance, or on the count.
    Busy,
    /// There are as few instances as there may be.
    AtLeast,
    /// Somebody has pulled a kill switch.
    KillSwitch,
    /// Every agent that could do it is away or busy.
    NoAgent,
    /// It failed again and again at the provider, for whomever, and is left alone for a while.
    Breaker,
    /// Nothing is seen of the component, and what stands before it comes first.
    Unseen,
}

impl HoldReason {
    /// The reason as people say it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            HoldReason::CoolDown => "the same was done a moment ago",
            HoldReason::Budget => "the budget has no room",
            HoldReason::Stale => "what is known is too old",
            HoldReason::AtOnce => "as many as may be are touched already",
            HoldReason::Busy => "something else is being done there",
            HoldReason::AtLeast => "there are as few instances as there may be",
            HoldReason::KillSwitch => "a kill switch is pulled",
            HoldReason::NoAgent => "no agent may do it now",
            HoldReason::Breaker => "it failed again and again at the provider",
            HoldReason::Unseen => "nothing is seen of the component, and what stands before it comes first",
        }
    }
}

/// A remedy has to wait; said once for each reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub because: HoldReason,
    /// The component.
    pub component: ComponentId,
    /// The incident.
    pub incident: IncidentId,
    /// Until when, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A remedy waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The approval that was asked for.
    pub approval: ApprovalId,
    /// When.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
    /// The incident; none for the autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// The remedy.
    pub remedy: RemedyKey,
}

/// A remedy that the gate held back may be thought of anew: nothing was tried, and nothing is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// When.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
    /// The incident; none for the autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// The remedy.
    pub remedy: RemedyKey,
}

/// Who did not let a remedy through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeniedBy {
    /// Policy, or that no agent can do it.
    #[default]
    Gate,
    /// A person said no.
    Person,
    /// People were asked, and too few answered in time.
    Nobody,
}

impl DeniedBy {
    fn is_gate(&self) -> bool {
        *self == DeniedBy::Gate
    }
}

/// A remedy was not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// When.
    pub at: Timestamp,
    /// Why, in the gate's words.
    pub because: String,
    /// Who said so.
    #[serde(default, skip_serializing_if = "DeniedBy::is_gate")]
    pub by: DeniedBy,
    /// The component.
    pub component: ComponentId,
    /// The incident; none for the autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// The remedy.
    pub remedy: RemedyKey,
}

/// A remedy is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// When.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
    /// The incident; none for the autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// The remedy.
    pub remedy: RemedyKey,
    /// The run that carries it out.
    pub run: RunId,
}

/// A remedy's run has ended. Whether it helped is another question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// The run's own words when it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The component.
    pub component: ComponentId,
    /// The incident; none for the autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Whether the run did what it should.
    pub ok: bool,
    /// The remedy.
    pub remedy: RemedyKey,
    /// The run.
    pub run: RunId,
}

/// It was judged whether a remedy helped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// How the component does now.
    pub after: Behaviour,
    /// When.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
    /// The incident.
    pub incident: IncidentId,
    /// How often was looked.
    pub looks: u32,
    /// What came of it.
    pub outcome: Verification,
    /// The remedy.
    pub remedy: RemedyKey,
    /// Whether the component does worse than before.
    pub worse: bool,
}
