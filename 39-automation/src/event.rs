//! What a run says in the journal. Kinds are for ever: a new shape is a new number, and [`decode`] lifts the old one.

use crate::body::{
    ApprovalAsked, ApprovalGiven, Because, Cancelling, Compensating, Failing, LateAnswer, NeedsOperator, Plain,
    Replanned, Replanning, StepApprovalAsked, StepApproved, StepDenied, StepDone, StepFailed, StepHeld, StepKept,
    StepProbed, StepReadied, StepRef, StepResolved, StepStarted, StepUnclear, Submitted, Validated, WindowAwaited,
};
use crate::cell::Leg;
use serde_json::{Map, Value};
use writ_core::{Actor, Digest, Draft, Event, Outcome, Plan, RunId, Timestamp};

/// One thing that happened to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEvent {
    /// When.
    pub at: Timestamp,
    /// To which run.
    pub run: RunId,
    /// What.
    pub what: What,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident($body:ident) => $kind:literal, $action:literal, $outcome:ident;)*) => {
        /// What can happen to a run.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum What {$(
            $(#[$doc])*
            $name($body),
        )*}

        impl What {
            /// Every kind there is.
            pub const KINDS: &'static [&'static str] = &[$($kind),*];

            /// The kind under which it stands in the journal.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self {$(What::$name(_) => $kind,)*}
            }

            fn action(&self) -> &'static str {
                match self {$(What::$name(_) => $action,)*}
            }

            fn outcome(&self) -> Outcome {
                match self {$(What::$name(_) => Outcome::$outcome,)*}
            }

            fn body(&self) -> Result<Value, serde_json::Error> {
                match self {$(What::$name(body) => serde_json::to_value(body),)*}
            }

            fn read(kind: &str, body: Value) -> Result<Self, DecodeError> {
                let shape = |cause| DecodeError::Body { kind: kind.to_owned(), cause };
                match kind {
                    $($kind => serde_json::from_value(body).map(What::$name).map_err(shape),)*
                    unknown => Err(DecodeError::Kind { kind: unknown.to_owned() }),
                }
            }
        }
    };
}

kinds! {
    /// It was asked for.
    Submitted(Submitted) => "run.submitted/1", "submit_run", Success;
    /// Its plan can be carried out.
    Validated(Validated) => "run.validated/1", "validate_run", Success;
    /// People must agree first.
    ApprovalAsked(ApprovalAsked) => "run.approval_asked/1", "ask_approval", Started;
    /// They agreed.
    Approved(ApprovalGiven) => "run.approved/1", "approve_run", Success;
    /// They did not; it is over.
    Rejected(ApprovalGiven) => "run.rejected/1", "reject_run", Denied;
    /// It was not begun in time, or the world is no longer the one that was planned for; it is over.
    Expired(Because) => "run.expired/1", "expire_run", Skipped;
    /// It must not begin before its window.
    WindowAwaited(WindowAwaited) => "run.window_awaited/1", "await_window", Started;
    /// Its window is open.
    WindowOpened(Plain) => "run.window_opened/1", "open_window", Success;
    /// Steps may start.
    Started(Plain) => "run.started/1", "start_run", Started;
    /// No further step starts; those that run may finish.
    Pausing(Plain) => "run.pausing/1", "pause_run", Started;
    /// Nothing runs any more until somebody resumes it.
    Paused(Plain) => "run.paused/1", "pause_run", Success;
    /// It goes on.
    Resumed(Plain) => "run.resumed/1", "resume_run", Success;
    /// Another plan takes over as soon as nothing runs.
    Replanning(Replanning) => "run.replanning/1", "replan_run", Started;
    /// The other plan is in force.
    Replanned(Replanned) => "run.replanned/1", "replan_run", Success;
    /// It cannot succeed any more, or somebody wants it taken back; what runs may finish.
    Failing(Failing) => "run.failing/1", "fail_run", Failure;
    /// Steps that succeeded are taken back, newest first.
    Compensating(Compensating) => "run.compensating/1", "compensate_run", Started;
    /// Only a person can say how it goes on.
    NeedsOperator(NeedsOperator) => "run.needs_operator/1", "call_operator", Unknown;
    /// Somebody wants it ended; what runs may finish.
    Cancelling(Cancelling) => "run.cancelling/1", "cancel_run", Started;
    /// Every step succeeded; it is over.
    Succeeded(Plain) => "run.succeeded/1", "finish_run", Success;
    /// Every step that succeeded was taken back; it is over.
    RolledBack(Plain) => "run.rolled_back/1", "finish_run", Failure;
    /// It failed and something of it stays; it is over.
    Failed(Because) => "run.failed/1", "finish_run", Failure;
    /// It was ended by somebody; it is over.
    Cancelled(Plain) => "run.cancelled/1", "cancel_run", Success;
    /// People must agree to a step first.
    StepApprovalAsked(StepApprovalAsked) => "run.step_approval_asked/1", "ask_approval", Started;
    /// They agreed.
    StepApproved(StepApproved) => "run.step_approved/1", "approve_step", Success;
    /// A step must not start yet.
    StepHeld(StepHeld) => "run.step_held/1", "hold_step", Skipped;
    /// A step may not start at all.
    StepDenied(StepDenied) => "run.step_denied/1", "deny_step", Denied;
    /// A step, or its undoing, may be asked for (again).
    StepReadied(StepReadied) => "run.step_readied/1", "ready_step", Success;
    /// A ticket was issued, claimed and started: from here on the effect may happen.
    StepStarted(StepStarted) => "run.step_started/1", "start_step", Started;
    /// The effect happened.
    StepSucceeded(StepDone) => "run.step_succeeded/1", "finish_step", Success;
    /// The effect was taken back.
    StepUndone(StepDone) => "run.step_undone/1", "undo_step", Success;
    /// The effect did not happen and nothing of it is left.
    StepFailed(StepFailed) => "run.step_failed/1", "finish_step", Failure;
    /// Whether the effect happened is not known.
    StepUnclear(StepUnclear) => "run.step_unclear/1", "finish_step", Unknown;
    /// The provider was asked what came of it, and it did not happen or is still not known.
    StepProbed(StepProbed) => "run.step_probed/1", "probe_step", Unknown;
    /// A person said what came of it.
    StepResolved(StepResolved) => "run.step_resolved/1", "resolve_step", Success;
    /// A step that nothing can take back stays as it is.
    StepKept(StepKept) => "run.step_kept/1", "keep_step", Skipped;
    /// An answer came from somebody who no longer holds the step, or a second time; it changed nothing.
    LateAnswer(LateAnswer) => "run.late_answer/1", "refuse_answer", Denied;
}

/// Why an entry's body is not a run's event.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The kind is none of this layer's.
    #[error("`{kind}` is no kind of event that runs or approvals have")]
    Kind {
        /// The kind.
        kind: String,
    },
    /// The body has another shape than its kind says.
    #[error("the body is not of kind `{kind}`")]
    Body {
        /// The kind.
        kind: String,
        /// What the reader says.
        #[source]
        cause: serde_json::Error,
    },
}

/// The event that an entry's kind and body say.
///
/// # Errors
/// When the kind is unknown or the body has another shape.
pub fn decode(kind: &str, body: &Value) -> Result<RunEvent, DecodeError> {
    let shape = |cause| DecodeError::Body { kind: kind.to_owned(), cause };
    let mut fields: Map<String, Value> = serde_json::from_value(body.clone()).map_err(shape)?;
    let at = fields.remove("at").unwrap_or(Value::Null);
    let run = fields.remove("run").unwrap_or(Value::Null);
    Ok(RunEvent {
        at: serde_json::from_value(at).map_err(shape)?,
        run: serde_json::from_value(run).map_err(shape)?,
        what: What::read(kind, Value::Object(fields))?,
    })
}

impl RunEvent {
    /// The stream of a run's events.
    #[must_use]
    pub fn stream(run: &RunId) -> String {
        format!("run/{run}")
    }

    /// The step it is about, when it is about one.
    #[must_use]
    pub fn step(&self) -> Option<&StepRef> {
        self.what.step()
    }

    /// The plan that must be attached along with it.
    #[must_use]
    pub fn plan(&self) -> Option<(Digest, &Plan)> {
        let attached = if let What::Submitted(body) = &self.what {
            &body.plan
        } else if let What::Replanning(body) = &self.what {
            &body.plan
        } else {
            return None;
        };
        attached.content().map(|plan| (attached.digest, plan))
    }

    /// Puts a plan that was read from its attachment into an event that was read from the journal. `find` is called only
    /// for events that name a plan and do not carry it yet.
    pub fn attach(&mut self, find: impl FnOnce(&Digest) -> Option<Plan>) {
        let attached = if let What::Submitted(body) = &mut self.what {
            &mut body.plan
        } else if let What::Replanning(body) = &mut self.what {
            &mut body.plan
        } else {
            return;
        };
        if attached.content().is_none()
            && let Some(plan) = find(&attached.digest)
        {
            attached.fill(plan);
        }
    }
}

impl What {
    pub(crate) fn step(&self) -> Option<&StepRef> {
        Some(match self {
            What::StepApprovalAsked(body) => &body.step,
            What::StepApproved(body) => &body.step,
            What::StepHeld(body) => &body.step,
            What::StepDenied(body) => &body.step,
            What::StepReadied(body) => &body.step,
            What::StepStarted(body) => &body.step,
            What::StepSucceeded(body) | What::StepUndone(body) => &body.step,
            What::StepFailed(body) => &body.step,
            What::StepUnclear(body) => &body.step,
            What::StepProbed(body) => &body.step,
            What::StepResolved(body) => &body.step,
            What::StepKept(body) => &body.step,
            What::LateAnswer(body) => &body.step,
            What::Submitted(_) | What::Validated(_) | What::ApprovalAsked(_) | What::Approved(_) => return None,
            What::Rejected(_) | What::Expired(_) | What::WindowAwaited(_) | What::WindowOpened(_) => return None,
            What::Started(_) | What::Pausing(_) | What::Paused(_) | What::Resumed(_) => return None,
            What::Replanning(_) | What::Replanned(_) | What::Failing(_) | What::Compensating(_) => return None,
            What::NeedsOperator(_) | What::Cancelling(_) | What::Succeeded(_) | What::RolledBack(_) => return None,
            What::Failed(_) | What::Cancelled(_) => return None,
        })
    }
}

impl Event for RunEvent {
    fn draft(&self, actor: &Actor) -> Draft {
        let step = self.step();
        let deed = step.filter(|_| matches!(self.what.action(), "start_step" | "finish_step" | "undo_step"));
        let action = match deed {
            Some(step) if step.leg == Leg::Undo => format!("undo_{}", step.action),
            Some(step) => step.action.clone(),
            None => self.what.action().to_owned(),
        };
        Draft {
            action,
            actor: actor.clone(),
            body: self.body(),
            kind: self.what.kind(),
            outcome: self.what.outcome(),
            resource: step.map_or_else(|| self.run.to_string(), |step| step.resource.clone()),
            stream: Self::stream(&self.run),
        }
    }
}

impl RunEvent {
    /// The body as it stands in the journal.
    #[must_use]
    pub fn body(&self) -> Value {
        #[expect(clippy::expect_used, reason = "bodies are maps with text keys; writing one as a value cannot fail")]
        let body = self.what.body().expect("a body can be written as a value");
        let mut fields = if let Value::Object(fields) = body { fields } else { Map::new() };
        fields.insert("at".to_owned(), Value::String(self.at.to_string()));
        fields.insert("run".to_owned(), Value::String(self.run.to_string()));
        Value::Object(fields)
    }
}
