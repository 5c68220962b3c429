//! What is said to a component's healing, and what it answers.

use crate::config::Mode;
use crate::event::{DeniedBy, HealEvent, HoldReason};
use crate::incident::Illegal;
use crate::remedy::{Remedy, RemedyKey};
use writ_core::{ApprovalId, IncidentId, PrincipalId, RunId, Timestamp};

/// What can happen to a component's healing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The watch has taken something in, or a timer fired: look at everything again.
    Look,
    /// The gate allowed a remedy, and this run will carry it out. The run may start once the decision is recorded.
    RemedyAllowed {
        /// The remedy.
        remedy: RemedyKey,
        /// The run.
        run: RunId,
    },
    /// The gate or a person refused it.
    RemedyDenied {
        /// The remedy.
        remedy: RemedyKey,
        /// Why.
        because: String,
        /// Who said so.
        by: DeniedBy,
    },
    /// The gate lets nobody do it for now. It stays proposed, and spends nothing, until it is released.
    RemedyHeld {
        /// The remedy.
        remedy: RemedyKey,
        /// What stands before it.
        because: HoldReason,
    },
    /// What stood before it is gone: whether it is still needed is decided anew.
    RemedyReleased {
        /// The remedy.
        remedy: RemedyKey,
    },
    /// It waits for a person.
    RemedyNeedsApproval {
        /// The remedy.
        remedy: RemedyKey,
        /// What is waited for.
        approval: ApprovalId,
    },
    /// The run that carried it out has ended.
    RemedyRunEnded {
        /// The run.
        run: RunId,
        /// Whether it did what it should.
        ok: bool,
        /// Its own words when it did not.
        because: Option<String>,
    },
    /// The component is being taken away: nothing of it is healed any more.
    Left,
    /// A person has seen the incident.
    Acknowledge {
        /// The incident.
        incident: IncidentId,
        /// Who.
        by: PrincipalId,
    },
    /// A person closes the incident.
    Close {
        /// The incident.
        incident: IncidentId,
        /// Who.
        by: PrincipalId,
    },
}

/// What the pipeline is asked to do once the events are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Take a remedy through the gate; idempotent by its key.
    ProposeRemedy {
        /// The remedy.
        remedy: Remedy,
        /// Auto, or propose: then a person must agree whatever the policy says.
        mode: Mode,
    },
    /// Take a proposal back: it is no longer needed.
    Withdraw {
        /// The remedy.
        remedy: RemedyKey,
    },
    /// Look again at that time. The newest replaces earlier ones.
    SetTimer {
        /// When.
        at: Timestamp,
    },
}

/// What was decided: events to be recorded and applied, then asks to be carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// In order.
    pub events: Vec<HealEvent>,
    /// In order.
    pub asks: Vec<Ask>,
}

/// Why a signal changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such incident is open.
    #[error("incident `{incident}` is not open")]
    Incident {
        /// What was named.
        incident: IncidentId,
    },
    /// No such remedy is proposed.
    #[error("remedy `{remedy}` is not proposed; it was answered, withdrawn or closed before")]
    Remedy {
        /// What was named.
        remedy: RemedyKey,
    },
    /// No remedy runs as this run.
    #[error("run `{run}` carries out no remedy of this component")]
    Run {
        /// What was named.
        run: RunId,
    },
    /// An incident cannot be closed under a running remedy.
    #[error("incident `{incident}` has a remedy running as `{run}`; cancel the run or wait for its end")]
    UnderWay {
        /// What was named.
        incident: IncidentId,
        /// What is under way.
        run: RunId,
    },
    /// The decision does not fit the state: a fault of ours.
    #[error("a decision does not fit the state it was made for")]
    Illegal(#[from] Illegal),
}
