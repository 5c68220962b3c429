//! What happens to an incident: signs open it and join it, people see it and close it, and it ends.

use crate::detect::Symptom;
use crate::incident::Resolution;
use serde::{Deserialize, Serialize};
use writ_core::{ComponentId, IncidentId, PrincipalId, Severity, Timestamp};

/// A symptom became an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// When it was noticed for good.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
    /// The incident's id.
    pub incident: IncidentId,
    /// The instance, if it is one instance's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The beginning of the data that first showed it.
    pub onset_at: Timestamp,
    /// Other incidents that began at about the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<IncidentId>,
    /// What showed it, with the values.
    pub seen: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    #[serde(flatten)]
    pub symptom: Symptom,
}

/// Another sign of the same trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// When it was noticed.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
    /// The incident it belongs to.
    pub incident: IncidentId,
    /// The instance, if it is one instance's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What showed it, with the values.
    pub seen: String,
    /// What is wrong.
    #[serde(flatten)]
    pub symptom: Symptom,
}

/// An incident is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// When.
    pub at: Timestamp,
    /// How.
    pub because: Resolution,
    /// The component.
    pub component: ComponentId,
    /// The incident.
    pub incident: IncidentId,
}

/// Why a person must take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EscalationReason {
    /// Every attempt was used.
    Attempts,
    /// The component's allowance is used up for longer than patience lasts.
    Budget,
    /// A remedy made it worse.
    Worse,
    /// More instances are needed than there may be.
    AtMost,
    /// Every attempt was used, and the last one was not allowed.
    Denied,
    /// A person said no to a remedy.
    Rejected,
    /// Nobody answered whether a remedy may be tried.
    Unanswered,
}

impl EscalationReason {
    /// The reason as people say it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            EscalationReason::Attempts => "none has helped",
            EscalationReason::Budget => "the budget for recoveries is used up",
            EscalationReason::Worse => "a remedy made it worse",
            EscalationReason::AtMost => "more instances are needed than there may be",
            EscalationReason::Denied => "the last of them was not allowed",
            EscalationReason::Rejected => "a person rejected the remedy",
            EscalationReason::Unanswered => "nobody answered whether the remedy may be tried",
        }
    }
}

/// An incident was handed to a person; nothing more is tried on it. Said once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalated {
    /// When.
    pub at: Timestamp,
    /// How many attempts were used.
    pub attempts: u32,
    /// Why.
    pub because: EscalationReason,
    /// The component.
    pub component: ComponentId,
    /// The incident.
    pub incident: IncidentId,
}

/// A person has seen it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: PrincipalId,
    /// The component.
    pub component: ComponentId,
    /// The incident.
    pub incident: IncidentId,
}

/// A person closed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: PrincipalId,
    /// The component.
    pub component: ComponentId,
    /// The incident.
    pub incident: IncidentId,
}
