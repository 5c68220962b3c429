//! What happens to a mode: how far an action may go on its own is set and ends, and people judge what it would have done.

use crate::config::Mode;
use crate::remedy::RemedyAction;
use serde::{Deserialize, Serialize};
use writ_core::{ApprovalId, ComponentId, EventId, IncidentId, PrincipalId, Timestamp};

/// An action's mode was set, by an approved change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeSet {
    /// The action.
    pub action: RemedyAction,
    /// The approval that it rests on; none where nobody else had to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// When.
    pub at: Timestamp,
    /// The shadow decisions that were cited for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cites: Vec<EventId>,
    /// The component.
    pub component: ComponentId,
    /// How far it might go before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Mode>,
    /// How far it may go from now on.
    pub mode: Mode,
}

/// What was changed of an action's mode holds no more, for its component is nobody's: files say how far it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeEnded {
    /// The action.
    pub action: RemedyAction,
    /// When.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
}

/// A person judged a shadow decision. Their reason stands beside the journal; of what one person says, the last counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// What would have been done.
    pub action: RemedyAction,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: PrincipalId,
    /// The component.
    pub component: ComponentId,
    /// The entry that recorded the decision.
    pub decision: EventId,
    /// Its incident; none for the autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Whether it would have been right to do it.
    pub right: bool,
}
