//! The state of a run, and every transition it has.

use crate::body::{ApprovalAsked, Back, Cancelling, Compensating, Failing, NeedsOperator, Replanning, Then};
use crate::cell::Leg;
use crate::event::What;
use writ_core::Timestamp;

/// The state of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// It was asked for.
    Submitted,
    /// Its plan can be carried out.
    Validated,
    /// People must agree first.
    AwaitingApproval(ApprovalAsked),
    /// It must not begin before its window.
    AwaitingWindow {
        /// When the window opens.
        opens_at: Timestamp,
    },
    /// Steps start and finish.
    Running,
    /// No further step starts; those that run may finish.
    Pausing,
    /// Nothing runs until somebody resumes it.
    Paused,
    /// Another plan takes over as soon as nothing runs.
    Replanning(Replanning),
    /// It cannot succeed any more; those that run may finish.
    Failing(Failing),
    /// Steps that succeeded are taken back, newest first.
    Compensating(Compensating),
    /// Only a person can say how it goes on.
    NeedsOperator(NeedsOperator),
    /// Somebody wants it ended; those that run may finish.
    Cancelling(Cancelling),
    /// Every step succeeded.
    Succeeded,
    /// Every step that had succeeded was taken back.
    RolledBack,
    /// It failed and something of it stays.
    Failed {
        /// Why.
        because: String,
    },
    /// It was ended by somebody.
    Cancelled,
    /// People did not agree.
    Rejected,
    /// It was not begun in time.
    Expired {
        /// Why.
        because: String,
    },
}

impl RunState {
    /// The state's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            RunState::Submitted => "submitted",
            RunState::Validated => "validated",
            RunState::AwaitingApproval(_) => "awaiting approval",
            RunState::AwaitingWindow { .. } => "awaiting window",
            RunState::Running => "running",
            RunState::Pausing => "pausing",
            RunState::Paused => "paused",
            RunState::Replanning(_) => "replanning",
            RunState::Failing(_) => "failing",
            RunState::Compensating(_) => "compensating",
            RunState::NeedsOperator(_) => "needs operator",
            RunState::Cancelling(_) => "cancelling",
            RunState::Succeeded => "succeeded",
            RunState::RolledBack => "rolled back",
            RunState::Failed { .. } => "failed",
            RunState::Cancelled => "cancelled",
            RunState::Rejected => "rejected",
            RunState::Expired { .. } => "expired",
        }
    }

    /// Whether it is over for good.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            RunState::Succeeded | RunState::RolledBack | RunState::Failed { .. } => true,
            RunState::Cancelled | RunState::Rejected | RunState::Expired { .. } => true,
            RunState::Submitted | RunState::Validated | RunState::AwaitingApproval(_) => false,
            RunState::AwaitingWindow { .. } | RunState::Running | RunState::Pausing | RunState::Paused => false,
            RunState::Replanning(_) | RunState::Failing(_) | RunState::Compensating(_) => false,
            RunState::NeedsOperator(_) | RunState::Cancelling(_) => false,
        }
    }

    /// The leg whose steps may start in this state.
    pub(crate) fn leg(&self) -> Option<Leg> {
        if *self == RunState::Running {
            Some(Leg::Do)
        } else if matches!(self, RunState::Compensating(_)) {
            Some(Leg::Undo)
        } else {
            None
        }
    }

    /// The state after an event; none when the two do not go together.
    pub(crate) fn after(&self, what: &What) -> Option<RunState> {
        use RunState as R;
        use What as W;
        Some(match (self, what) {
            (R::Submitted, W::Validated(_)) => R::Validated,
            (R::Validated, W::ApprovalAsked(asked)) => R::AwaitingApproval(asked.clone()),
            (R::AwaitingApproval(asked), W::Approved(given)) if asked.terms.approval == given.approval => R::Validated,
            (R::AwaitingApproval(asked), W::Rejected(given)) if asked.terms.approval == given.approval => R::Rejected,
            (R::Validated, W::WindowAwaited(body)) => R::AwaitingWindow { opens_at: body.opens_at },
            (R::AwaitingWindow { .. }, W::WindowOpened(_)) => R::Validated,
            (R::Validated | R::AwaitingApproval(_) | R::AwaitingWindow { .. }, W::Expired(body)) => {
                R::Expired { because: body.because.clone() }
            }
            (R::Validated, W::Started(_)) => R::Running,

            (R::Running, W::Pausing(_)) => R::Pausing,
            (R::Pausing, W::Paused(_)) => R::Paused,
            (R::Pausing | R::Paused, W::Resumed(_)) => R::Running,
            (R::NeedsOperator(need), W::Resumed(_)) => R::resumed(&need.then),

            (R::Running | R::Pausing | R::Paused, W::Replanning(body)) => R::Replanning(body.clone()),
            (R::NeedsOperator(need), W::Replanning(body)) if need.then == Then::Running => R::Replanning(body.clone()),
            (R::Replanning(_), W::Replanned(_)) => R::Validated,

            (R::Validated | R::AwaitingApproval(_) | R::AwaitingWindow { .. }, W::Failing(body)) => {
                R::Failing(body.clone())
            }
            (R::Running | R::Pausing | R::Paused | R::Replanning(_), W::Failing(body)) => R::Failing(body.clone()),
            (R::NeedsOperator(need), W::Failing(body)) if need.then == Then::Running => R::Failing(body.clone()),
            (R::Failing(_) | R::Cancelling(_), W::Compensating(body)) => R::Compensating(body.clone()),
            (R::Running | R::Pausing | R::Replanning(_), W::NeedsOperator(body)) => R::NeedsOperator(body.clone()),
            (R::Failing(_) | R::Cancelling(_) | R::Compensating(_), W::NeedsOperator(body)) => {
                R::NeedsOperator(body.clone())
            }

            (R::Submitted | R::Validated | R::AwaitingApproval(_), W::Cancelling(body)) => R::Cancelling(body.clone()),
            (R::AwaitingWindow { .. } | R::Running | R::Pausing | R::Paused, W::Cancelling(body)) => {
                R::Cancelling(body.clone())
            }
            (R::Replanning(_) | R::Failing(_) | R::NeedsOperator(_), W::Cancelling(body)) => {
                R::Cancelling(body.clone())
            }

            (R::Running | R::Pausing, W::Succeeded(_)) => R::Succeeded,
            (R::Compensating(back), W::RolledBack(_)) if back.why == Back::Failure => R::RolledBack,
            (R::Failing(_) | R::Compensating(_), W::Failed(body)) => R::Failed { because: body.because.clone() },
            (R::Cancelling(_), W::Cancelled(_)) => R::Cancelled,
            (R::Compensating(back), W::Cancelled(_)) if back.why == Back::Cancel => R::Cancelled,

            // A step starts only in the state that is for its leg.
            (state, W::StepStarted(body)) if state.leg() == Some(body.step.leg) => state.clone(),
            (R::Compensating(_), W::StepKept(_)) => self.clone(),
            // What the world answers, and what is told to wait, is taken in every state that is not over.
            (state, W::StepApprovalAsked(_) | W::StepApproved(_) | W::StepHeld(_)) if !state.is_over() => state.clone(),
            (state, W::StepDenied(_) | W::StepReadied(_) | W::StepFailed(_)) if !state.is_over() => state.clone(),
            (state, W::StepSucceeded(_) | W::StepUndone(_) | W::StepResolved(_)) if !state.is_over() => state.clone(),
            (state, W::StepUnclear(_) | W::StepProbed(_)) if !state.is_over() => state.clone(),
            // A late answer changes nothing, so that it can be recorded even of a run that is over.
            (state, W::LateAnswer(_)) => state.clone(),
            _ => return None,
        })
    }

    fn resumed(then: &Then) -> RunState {
        match then {
            Then::Running => RunState::Running,
            Then::Failing(body) => RunState::Failing(body.clone()),
            Then::Cancelling(body) => RunState::Cancelling(body.clone()),
            Then::Compensating(body) => RunState::Compensating(body.clone()),
        }
    }
}
