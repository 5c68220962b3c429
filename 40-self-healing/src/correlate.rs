//! Which signs are one trouble. An instance's signs are one incident, whatever they are: a leak that makes it slow, an exit
//! and its failing health check. A component's sign joins the trouble of an instance that may explain it; but none explains
//! that nothing is seen of the component. Instances that fail together stay incidents of their own, so that each can be
//! healed, and cite each other.

use crate::detect::Symptom;
use crate::incident::{Heal, Incident, IncidentState};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use writ_core::{IncidentId, Timestamp};

/// Whose sign it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// One instance's, by its name.
    Instance(String),
    /// The component's as a whole.
    Component,
}

impl Subject {
    /// The instance's name, if it is one.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        match self {
            Subject::Instance(name) => Some(name),
            Subject::Component => None,
        }
    }
}

/// What makes two signs the same sign.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Whose sign it is.
    pub subject: Subject,
    /// What is wrong.
    pub symptom: Symptom,
}

/// The open incident that a sign belongs to.
pub(crate) fn home<'heal>(heal: &'heal Heal, sign: &Fingerprint) -> Option<&'heal Incident> {
    if let Some(same) = heal.incidents().find(|incident| incident.signs.contains(sign)) {
        return Some(same);
    }
    match &sign.subject {
        // What stands before the instances is explained by none of them.
        Subject::Component if sign.symptom == Symptom::Unseen => None,
        Subject::Instance(name) => heal.incidents().find(|incident| incident.is_about(name)),
        Subject::Component => {
            let explains = |incident: &&Incident| match incident.state {
                IncidentState::Escalated { .. } | IncidentState::Shadowed => false,
                IncidentState::Open
                | IncidentState::Proposed { .. }
                | IncidentState::Waiting { .. }
                | IncidentState::Running { .. }
                | IncidentState::Verifying { .. } => true,
            };
            heal.incidents().filter(explains).min_by_key(|incident| (incident.opened_at, incident.id.clone()))
        }
    }
}

/// Open incidents that began so close to `onset` that they may have one cause.
pub(crate) fn related(heal: &Heal, onset: Timestamp, together: Duration) -> Vec<IncidentId> {
    let near =
        |incident: &&Incident| onset.since(incident.onset_at) <= together && incident.onset_at.since(onset) <= together;
    heal.incidents().filter(near).map(|incident| incident.id.clone()).collect()
}
