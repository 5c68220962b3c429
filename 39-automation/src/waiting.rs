//! Why is this waiting? Every run and step that is not over has an answer.

use crate::body::{ApprovalTerms, Then};
use crate::cell::{Cell, HeldBy, Leg, StepState};
use crate::run::Run;
use crate::state::RunState;
use writ_core::{AgentId, ApprovalId, Step, StepKey, Timestamp};

/// Why something waits: a sentence for people and the reason for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The reason.
    pub reason: Reason,
    /// One sentence.
    pub sentence: String,
}

/// What something waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The pipeline takes it up as soon as it can.
    Pipeline,
    /// People.
    Approval {
        /// The approval.
        approval: ApprovalId,
        /// Until when they can answer.
        until: Timestamp,
    },
    /// A time.
    Time {
        /// When.
        until: Timestamp,
    },
    /// Something holds it for now.
    Hold {
        /// What.
        by: HeldBy,
        /// When it is asked for again.
        until: Timestamp,
    },
    /// Other steps.
    Steps {
        /// Up to eight of them.
        steps: Vec<StepKey>,
    },
    /// An agent works on it.
    Agent {
        /// Who.
        agent: AgentId,
        /// Until when an outcome is waited for.
        until: Timestamp,
    },
    /// As many steps run as may.
    Slot,
    /// The run starts no steps in its state.
    Run,
    /// A person who takes it up again.
    Operator,
}

impl Waiting {
    fn new(reason: Reason, sentence: impl Into<String>) -> Self {
        Self { reason, sentence: sentence.into() }
    }
}

impl Run {
    /// Why the run is not over yet; none when it is.
    #[must_use]
    pub fn waiting(&self) -> Option<Waiting> {
        Some(match self.state() {
            RunState::Submitted | RunState::Validated => {
                Waiting::new(Reason::Pipeline, "it was just submitted and is taken up next")
            }
            RunState::AwaitingApproval(asked) => approval(&asked.terms),
            RunState::AwaitingWindow { opens_at } => {
                Waiting::new(Reason::Time { until: *opens_at }, format!("its window opens at {opens_at}"))
            }
            RunState::Running => self.open_steps("steps run or wait"),
            RunState::Pausing => self.open_steps("it was paused, and steps that run may finish"),
            RunState::Paused => Waiting::new(Reason::Operator, "it is paused until somebody resumes it"),
            RunState::Replanning(_) => self.open_steps("another plan takes over once nothing runs"),
            RunState::Failing(body) => {
                self.open_steps(&format!("it fails ({}), and steps that run may finish", body.because))
            }
            RunState::Cancelling(_) => self.open_steps("it is being cancelled, and steps that run may finish"),
            RunState::Compensating(_) => self.open_steps("what was done is being taken back, newest first"),
            RunState::NeedsOperator(need) => {
                Waiting::new(Reason::Operator, format!("a person must decide: {}", need.because))
            }
            RunState::Succeeded | RunState::RolledBack | RunState::Failed { .. } => return None,
            RunState::Cancelled | RunState::Rejected | RunState::Expired { .. } => return None,
        })
    }

    /// Why a step is not over yet; none when it is, or when there is no such step.
    #[must_use]
    pub fn step_waiting(&self, key: &StepKey) -> Option<Waiting> {
        let (step, cell) = self.step(key)?;
        self.why(step, cell)
    }

    fn why(&self, step: &Step, cell: &Cell) -> Option<Waiting> {
        if self.state().is_over() {
            return None;
        }
        Some(match &cell.state {
            StepState::Blocked => self.blocked(step),
            StepState::Ready => self.unstarted(cell.leg),
            StepState::AwaitingApproval { terms, .. } => approval(terms),
            StepState::Held { hold, until } => Waiting::new(
                Reason::Hold { by: hold.by, until: *until },
                format!("{}; it is asked for again at {until}", hold.because),
            ),
            StepState::Ticketed(ticket) => Waiting::new(
                Reason::Agent { agent: ticket.agent.clone(), until: ticket.due_at },
                format!("agent `{}` has worked on it since {}", ticket.agent, ticket.started_at),
            ),
            StepState::RetryWait { because, until } => Waiting::new(
                Reason::Time { until: *until },
                format!("attempt {} failed ({because}); the next is at {until}", cell.attempts),
            ),
            StepState::Probing { at, because, .. } => Waiting::new(
                Reason::Time { until: *at },
                format!("what came of it is not known ({because}); the provider is asked at {at}"),
            ),
            StepState::Unknown { because } => Waiting::new(
                Reason::Operator,
                format!("nobody knows what came of it ({because}); a person must look and say"),
            ),
            StepState::Failed { because } if self.may_be_retried(cell) => Waiting::new(
                Reason::Operator,
                format!("it failed ({because}); a person may retry it or change the plan"),
            ),
            StepState::Failed { .. } | StepState::Succeeded | StepState::Skipped { .. } => return None,
            StepState::Undone | StepState::Kept { .. } => return None,
        })
    }

    fn may_be_retried(&self, cell: &Cell) -> bool {
        let RunState::NeedsOperator(need) = self.state() else { return false };
        match need.then {
            Then::Running => cell.leg == Leg::Do,
            Then::Compensating(_) => cell.leg == Leg::Undo,
            Then::Failing(_) | Then::Cancelling(_) => false,
        }
    }

    fn blocked(&self, step: &Step) -> Waiting {
        let is_open = |key: &&StepKey| self.step(key).is_none_or(|(_, cell)| cell.state != StepState::Succeeded);
        let steps: Vec<StepKey> = step.needs.iter().filter(is_open).take(8).cloned().collect();
        let name = |key: &StepKey| self.step(key).map_or_else(|| format!("`{key}`"), |(step, _)| called(step));
        let names: Vec<String> = steps.iter().map(name).collect();
        Waiting::new(Reason::Steps { steps }, format!("it waits for {}", names.join(", ")))
    }

    fn unstarted(&self, leg: Leg) -> Waiting {
        match self.state().leg() {
            Some(running) if running == leg && self.head.in_flight >= self.options().limit => {
                let limit = self.options().limit;
                Waiting::new(Reason::Slot, format!("{limit} steps run, and no more may at once"))
            }
            Some(running) if running == leg => {
                Waiting::new(Reason::Pipeline, "the gate is being asked, or steps that share a limit with it run")
            }
            Some(_) | None => Waiting::new(Reason::Run, format!("the run is {}", self.state().name())),
        }
    }

    /// Names the first few steps that the run waits for.
    fn open_steps(&self, what: &str) -> Waiting {
        let moves = |cell: &Cell| match &cell.state {
            StepState::Ready | StepState::AwaitingApproval { .. } | StepState::Held { .. } => true,
            StepState::Ticketed(_) | StepState::RetryWait { .. } | StepState::Probing { .. } => true,
            StepState::Blocked | StepState::Unknown { .. } | StepState::Succeeded | StepState::Failed { .. } => false,
            StepState::Skipped { .. } | StepState::Undone | StepState::Kept { .. } => false,
        };
        let open: Vec<(StepKey, String)> = self
            .steps()
            .filter(|(_, cell)| moves(cell))
            .take(8)
            .map(|(step, cell)| (step.key.clone(), format!("{} is {}", called(step), cell.state.name())))
            .collect();
        let (steps, told): (Vec<StepKey>, Vec<String>) = open.into_iter().unzip();
        let sentence = if told.is_empty() { what.to_owned() } else { format!("{what}: {}", told.join(", ")) };
        Waiting::new(Reason::Steps { steps }, sentence)
    }
}

/// A step as people know it; its key is made of hashes.
fn called(step: &Step) -> String {
    format!("`{}` of `{}`", step.action_name, step.resource)
}

fn approval(terms: &ApprovalTerms) -> Waiting {
    Waiting::new(
        Reason::Approval { approval: terms.approval.clone(), until: terms.expires_at },
        format!(
            "approval `{}` by {} of role `{}` is asked for until {}",
            terms.approval, terms.count, terms.role, terms.expires_at
        ),
    )
}
