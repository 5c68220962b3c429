//! What a run is told, what it decides, and what it refuses.

use crate::body::{ApprovalTerms, Gate};
use crate::cell::{Hold, Leg};
use crate::event::RunEvent;
use crate::options::Options;
use crate::run::{FoldError, Illegal};
use crate::state::RunState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use writ_core::{
    Actor, AgentId, ApprovalId, Digest, EffectKey, Finding, PermitId, Plan, PlanError, Probe, Receipt, RunId, StepKey,
    TicketId, Timestamp,
};

/// A run as it is asked for.
#[derive(Debug, Clone)]
pub struct Submission {
    /// What stands before the first step.
    pub gate: Gate,
    /// How it is to be run.
    pub options: Options,
    /// The run that this one starts over, when it does.
    pub parent: Option<RunId>,
    /// The plan.
    pub plan: Arc<Plan>,
    /// Who asks for it.
    pub requester: Actor,
    /// Its id.
    pub run: RunId,
    /// Digest of the world as it is now.
    pub world: Digest,
}

/// A permit that the gate signed for a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who may do it.
    pub agent: AgentId,
    /// The epoch; at least the one that was asked for.
    pub epoch: u64,
    /// When the agent's right ends.
    pub lease_until: Timestamp,
    /// The permit.
    pub permit: PermitId,
    /// Digest of the sealed permit.
    pub permit_digest: Digest,
    /// The step.
    pub step: StepKey,
    /// The ticket that was issued and claimed.
    pub ticket: TicketId,
}

/// An agent's answer about a step, under the ticket it holds or once held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub says: Says,
    /// The epoch of its ticket.
    pub epoch: u64,
    /// The step.
    pub step: StepKey,
    /// Its ticket.
    pub ticket: TicketId,
}

/// What an agent says about a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// It was done.
    Done {
        /// What the provider said.
        receipt: Receipt,
    },
    /// It was not done and nothing of it is left.
    Failed {
        /// What the provider said.
        because: String,
        /// Whether trying again may help.
        retryable: bool,
    },
    /// Whether it was done is not known.
    Unclear {
        /// Why not.
        because: String,
    },
}

/// What a run is told.
#[derive(Debug, Clone)]
pub enum Signal {
    /// Enough people agreed, to exactly what they were shown.
    Approved {
        /// The approval.
        approval: ApprovalId,
        /// Why it is not let in any more, although they agreed; none where it is.
        barred: Option<String>,
        /// Digest of what they were shown.
        shown: Digest,
        /// Digest of the world as it is now.
        world: Digest,
    },
    /// People did not agree.
    Rejected {
        /// The approval.
        approval: ApprovalId,
    },
    /// The window is open.
    WindowOpened {
        /// Digest of the world as it is now.
        world: Digest,
    },
    /// The gate signed a permit.
    PermitGranted(Grant),
    /// The gate says no.
    PermitDenied {
        /// What it found.
        findings: Vec<Finding>,
        /// The step.
        step: StepKey,
    },
    /// The gate says: ask people.
    PermitNeedsApproval {
        /// The step.
        step: StepKey,
        /// Who, and by when.
        terms: ApprovalTerms,
    },
    /// The gate says: not now.
    PermitHeld {
        /// What holds it.
        hold: Hold,
        /// The step.
        step: StepKey,
        /// When to ask again.
        until: Timestamp,
    },
    /// An agent answers.
    Answered(Answer),
    /// A provider says what came of an effect.
    Probed {
        /// The answer.
        answer: Probe,
        /// The epoch that was asked about.
        epoch: u64,
        /// The step.
        step: StepKey,
    },
    /// An agent is alive.
    Heartbeat {
        /// The epoch of its ticket.
        epoch: u64,
        /// The step.
        step: StepKey,
        /// Its ticket.
        ticket: TicketId,
    },
    /// A time has come.
    TimerFired(TimerKey),
    /// What held a step is over before its time.
    Unheld {
        /// The step.
        step: StepKey,
    },
    /// An operator: start nothing more.
    Pause,
    /// An operator: go on.
    Resume,
    /// An operator: end it.
    Cancel {
        /// Whether to take back what was done.
        compensate: bool,
    },
    /// An operator: try a failed step again.
    Retry {
        /// The step.
        step: StepKey,
    },
    /// An operator: go on with another plan.
    Replan {
        /// What stands before its first step.
        gate: Gate,
        /// The plan.
        plan: Arc<Plan>,
        /// Digest of the world as it is now.
        world: Digest,
    },
    /// An operator: take back what was done.
    Rollback,
    /// An operator says what came of a step.
    OperatorResolved {
        /// Whether the effect is there.
        happened: bool,
        /// Commitment to the operator's words.
        reason: Digest,
        /// The step.
        step: StepKey,
    },
    /// The control plane was restarted.
    Recover {
        /// Agents that are known to have lived on, and to hold their tickets still.
        alive: BTreeSet<AgentId>,
    },
}

/// What a timer is for. A timer that is set again replaces the one before; one that no longer fits is harmless.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "timer", rename_all = "snake_case")]
pub enum TimerKey {
    /// The people asked have not answered.
    Approval {
        /// The approval.
        approval: ApprovalId,
    },
    /// The whole run takes too long.
    Deadline,
    /// A step takes too long.
    Due {
        /// The ticket's epoch.
        epoch: u64,
        /// The step.
        step: StepKey,
    },
    /// A provider may be asked what came of an effect.
    Probe {
        /// The step.
        step: StepKey,
    },
    /// An agent has not been heard of.
    Silence {
        /// The ticket's epoch.
        epoch: u64,
        /// The step.
        step: StepKey,
    },
    /// A step has waited long enough.
    Wake {
        /// The step.
        step: StepKey,
    },
    /// The window opens.
    Window,
}

/// What the pipeline does once the events are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Let the agent carry the effect out.
    Perform(Order),
    /// Ask the provider what came of an effect.
    Probe(Order),
    /// Wake the run at a time.
    SetTimer {
        /// When.
        at: Timestamp,
        /// What for.
        key: TimerKey,
    },
    /// Ask people. Asking twice under one id is asking once.
    AskApproval {
        /// Digest of what they must be shown.
        shown: Digest,
        /// The step, or none for the plan as a whole.
        step: Option<StepKey>,
        /// Who, and by when.
        terms: ApprovalTerms,
    },
    /// Look at the world and send `WindowOpened`.
    Observe,
    /// Tell somebody.
    Notify {
        /// One sentence.
        text: String,
    },
    /// The run is over.
    RunEnded {
        /// How.
        state: RunState,
    },
}

/// One effect under one ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The idempotency key.
    pub effect_key: EffectKey,
    /// The ticket's epoch.
    pub epoch: u64,
    /// Whether the step is done or taken back.
    pub leg: Leg,
    /// The step.
    pub step: StepKey,
    /// The ticket.
    pub ticket: TicketId,
}

/// A step that may start if the gate permits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// What people agreed to for it, when they did.
    pub approval: Option<ApprovalTerms>,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The idempotency key.
    pub effect_key: EffectKey,
    /// The lowest epoch the grant may have; the gate raises it to the resource's next.
    pub epoch: u64,
    /// Whether the step is done or taken back.
    pub leg: Leg,
    /// The step.
    pub step: StepKey,
}

/// What was decided: events to record, then commands to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// What to do once the events are durable, in order.
    pub commands: Vec<Command>,
    /// What to record, in order, in one commit.
    pub events: Vec<RunEvent>,
    /// Answers of the gate that the run did not take; their tickets are to be revoked.
    pub refused: Vec<(StepKey, Refused)>,
}

/// Why a signal is not taken. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The signal does not fit the state.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The run cannot be brought up to date.
    #[error("the run cannot be brought up to date")]
    Fold(#[source] FoldError),
    /// The plan cannot be carried out.
    #[error("the plan cannot be carried out")]
    Plan(#[from] PlanError),
    /// The plan has no canonical bytes.
    #[error("the plan cannot be digested")]
    Digest(#[source] writ_seal::NotCanonical),
    /// The plan would do nothing.
    #[error("the plan has no steps")]
    Empty,
    /// A limit is zero, or stands on a key that no step can have.
    #[error("the limit `{key}` cannot be kept; limits are at least 1, on `action:…`, `phase:…` or `resource:…`")]
    Limit {
        /// The limit.
        key: String,
    },
    /// The world is not the one that was planned for.
    #[error("the world has changed since the plan was made: it was {planned} and is {found}")]
    Stale {
        /// Digest of the world that was planned for.
        planned: Digest,
        /// Digest of the world as it is.
        found: Digest,
    },
    /// There is no such step.
    #[error("run `{run}` has no step `{step}`")]
    UnknownStep {
        /// The run.
        run: RunId,
        /// The step.
        step: StepKey,
    },
    /// Nothing waits for that approval.
    #[error("nothing in run `{run}` waits for approval `{approval}`")]
    UnknownApproval {
        /// The run.
        run: RunId,
        /// The approval.
        approval: ApprovalId,
    },
    /// Something else was approved than what would be done.
    #[error("approval `{approval}` is for {approved}, but what waits is {waiting}")]
    OtherShown {
        /// The approval.
        approval: ApprovalId,
        /// Digest of what was approved.
        approved: Digest,
        /// Digest of what waits.
        waiting: Digest,
    },
    /// The permit is of an epoch that was used before.
    #[error("the permit for `{step}` is of epoch {granted}; it must be at least {at_least}")]
    Epoch {
        /// The step.
        step: StepKey,
        /// The permit's epoch.
        granted: u64,
        /// The lowest that is not used.
        at_least: u64,
    },
    /// The lease ended before the step began.
    #[error("the lease on `{step}` ended at {ended}")]
    LeaseOver {
        /// The step.
        step: StepKey,
        /// When it ended.
        ended: Timestamp,
    },
    /// As many steps run as may.
    #[error("`{step}` must wait: as many steps run as may")]
    Full {
        /// The step.
        step: StepKey,
    },
    /// The sender does not hold the step any more.
    #[error("ticket `{ticket}` of epoch {epoch} no longer holds `{step}`")]
    Late {
        /// The step.
        step: StepKey,
        /// The ticket.
        ticket: TicketId,
        /// Its epoch.
        epoch: u64,
    },
    /// A person must first say what came of these.
    #[error("say first what came of {}", writ_text::listed(.steps))]
    Unresolved {
        /// The steps.
        steps: Vec<StepKey>,
    },
}

impl From<FoldError> for Refused {
    fn from(error: FoldError) -> Self {
        match error {
            FoldError::Illegal(illegal) => Refused::Illegal(illegal),
            FoldError::Plan(error) => Refused::Plan(error),
            FoldError::Beginning { .. } | FoldError::PlanMissing { .. } => Refused::Fold(error),
        }
    }
}
