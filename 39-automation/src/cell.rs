//! The state of one step, and every transition it has.

use crate::body::{ApprovalTerms, Denial};
use crate::event::What;
use crate::ticket::Ticket;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use writ_core::{Digest, Receipt, Timestamp};

/// Whether a step is being done or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// It is being done.
    Do,
    /// It is being taken back.
    Undo,
}

/// What keeps a ready step from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// A rate limit, a cool-down or a budget.
    Throttle,
    /// A maintenance window that is not open.
    Window,
    /// Too many failures of this action at this provider.
    Breaker,
    /// No agent is free that may do it.
    NoAgent,
    /// Somebody pulled the kill switch.
    KillSwitch,
    /// Another run is at work on the same resource.
    Busy,
}

/// What keeps a ready step from starting, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// One sentence.
    pub because: String,
    /// The sort of thing that holds it.
    pub by: HeldBy,
}

/// What comes after an attempt that did not succeed. Recorded, so that reading decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "then", rename_all = "snake_case")]
pub enum Next {
    /// It is asked for again, under the same key and a higher epoch.
    AskAgain {
        /// Not before this.
        at: Timestamp,
    },
    /// The provider is asked what came of it.
    Probe {
        /// Not before this.
        at: Timestamp,
        /// Probes that are left, this one included.
        tries: u32,
    },
    /// Only a person can tell.
    Person,
    /// It has failed.
    GiveUp,
}

/// The state of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// It waits for other steps.
    Blocked,
    /// It may be asked for.
    Ready,
    /// People must agree first.
    AwaitingApproval {
        /// Digest of what they are shown.
        shown: Digest,
        /// Who, and by when.
        terms: ApprovalTerms,
    },
    /// It must not start yet.
    Held {
        /// What holds it.
        hold: Hold,
        /// When it is asked for again.
        until: Timestamp,
    },
    /// An agent works on it.
    Ticketed(Ticket),
    /// It failed and is tried again.
    RetryWait {
        /// What went wrong.
        because: String,
        /// When it is tried again.
        until: Timestamp,
    },
    /// Its outcome was lost and is looked for.
    Probing {
        /// When the provider is asked.
        at: Timestamp,
        /// Why the outcome is not known.
        because: String,
        /// The ticket whose outcome it is; its holder may still answer.
        ticket: Ticket,
        /// Probes that are left.
        tries: u32,
    },
    /// Its outcome was lost and only a person can find it.
    Unknown {
        /// Why.
        because: String,
    },
    /// The effect happened.
    Succeeded,
    /// It has failed for good.
    Failed {
        /// Why.
        because: String,
    },
    /// It was never tried.
    Skipped {
        /// Why.
        because: String,
    },
    /// It happened and was taken back.
    Undone,
    /// It happened and nothing can take it back.
    Kept {
        /// Why.
        because: String,
    },
}

impl StepState {
    /// Why it is so, where something has to be said of that.
    #[must_use]
    pub fn because(&self) -> Option<&str> {
        match self {
            StepState::RetryWait { because, .. } | StepState::Probing { because, .. } => Some(because),
            StepState::Unknown { because } | StepState::Failed { because } => Some(because),
            StepState::Skipped { because } | StepState::Kept { because } => Some(because),
            StepState::Held { hold, .. } => Some(&hold.because),
            StepState::Blocked | StepState::Ready | StepState::AwaitingApproval { .. } => None,
            StepState::Ticketed(_) | StepState::Succeeded | StepState::Undone => None,
        }
    }

    /// The state's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            StepState::Blocked => "blocked",
            StepState::Ready => "ready",
            StepState::AwaitingApproval { .. } => "awaiting approval",
            StepState::Held { .. } => "held",
            StepState::Ticketed(_) => "ticketed",
            StepState::RetryWait { .. } => "waiting to retry",
            StepState::Probing { .. } => "probing",
            StepState::Unknown { .. } => "unknown",
            StepState::Succeeded => "succeeded",
            StepState::Failed { .. } => "failed",
            StepState::Skipped { .. } => "skipped",
            StepState::Undone => "undone",
            StepState::Kept { .. } => "kept",
        }
    }

    /// Whether an effect may be on its way: an agent works on it, or its outcome is looked for.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        matches!(self, StepState::Ticketed(_) | StepState::Probing { .. })
    }

    /// The ticket whose answer is still taken.
    #[must_use]
    pub fn ticket(&self) -> Option<&Ticket> {
        if let StepState::Ticketed(ticket) | StepState::Probing { ticket, .. } = self { Some(ticket) } else { None }
    }

    /// The state after an event about this step; none when the two do not go together.
    pub(crate) fn after(&self, leg: Leg, last: Option<&Ticket>, what: &What, at: Timestamp) -> Option<StepState> {
        use StepState as S;
        Some(match (self, what) {
            (S::Ready, What::StepApprovalAsked(body)) => {
                S::AwaitingApproval { shown: body.shown, terms: body.terms.clone() }
            }
            (S::Ready, What::StepHeld(body)) => S::Held { hold: body.hold.clone(), until: body.until },
            (S::Ready | S::Held { .. } | S::AwaitingApproval { .. }, What::StepDenied(body)) => {
                S::Failed { because: body.denial.to_string() }
            }
            (S::Ready, What::StepStarted(body)) => S::Ticketed(Ticket::of(body, at)),
            (S::AwaitingApproval { terms, .. }, What::StepApproved(body)) if terms.approval == body.approval => {
                S::Ready
            }
            (S::Held { .. } | S::RetryWait { .. } | S::Ticketed(_) | S::Failed { .. }, What::StepReadied(_)) => {
                S::Ready
            }
            (S::Ticketed(_) | S::Probing { .. }, What::StepSucceeded(_)) if leg == Leg::Do => S::Succeeded,
            (S::Ticketed(_) | S::Probing { .. }, What::StepUndone(_)) if leg == Leg::Undo => S::Undone,
            (S::Ticketed(_) | S::Probing { .. }, What::StepFailed(body)) => S::next(&body.next, &body.because, last)?,
            (S::Ticketed(_), What::StepUnclear(body)) => S::next(&body.next, &body.because, last)?,
            // An earlier attempt may have happened although it is not the one that is asked for now.
            (S::Ready | S::Held { .. } | S::RetryWait { .. } | S::AwaitingApproval { .. }, What::StepUnclear(body)) => {
                S::next(&body.next, &body.because, last)?
            }
            (S::Probing { because, .. }, What::StepProbed(body)) => {
                let because = if body.absent { &body.because } else { because };
                S::next(&body.next, because, last)?
            }
            (S::Unknown { .. } | S::Failed { .. }, What::StepResolved(body)) if body.happened => match leg {
                Leg::Do => S::Succeeded,
                Leg::Undo => S::Undone,
            },
            (S::Unknown { .. }, What::StepResolved(body)) => {
                S::next(&body.next, "an operator found that it did not happen", None)?
            }
            (S::Succeeded, What::StepKept(body)) => S::Kept { because: body.because.clone() },
            _ => return None,
        })
    }

    fn next(next: &Next, because: &str, ticket: Option<&Ticket>) -> Option<StepState> {
        let because = because.to_owned();
        Some(match next {
            Next::AskAgain { at } => StepState::RetryWait { because, until: *at },
            Next::Probe { at, tries } => {
                StepState::Probing { at: *at, because, ticket: ticket?.clone(), tries: *tries }
            }
            Next::Person => StepState::Unknown { because },
            Next::GiveUp => StepState::Failed { because },
        })
    }
}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Denial::Gate { findings } => {
                let told: Vec<String> = findings.iter().map(|one| format!("`{}`: {}", one.rule, one.message)).collect();
                write!(f, "the gate denies it: {}", told.join("; "))
            }
            Denial::Rejected { approval } => write!(f, "approval `{approval}` was refused"),
            Denial::ApprovalExpired { approval } => write!(f, "approval `{approval}` was not given in time"),
            Denial::NeverStarted { hold, limit_ms } => {
                write!(f, "it could not start within {} s: {}", limit_ms / 1_000, hold.because)
            }
        }
    }
}

/// A step with everything the run knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What people agreed to for its effect: good for this one effect, void when the plan changes.
    pub approval: Option<ApprovalTerms>,
    /// Attempts of this leg so far, counted anew when an operator retries.
    pub attempts: u32,
    /// The step below it on the pile of those that succeeded.
    pub(crate) below: Option<usize>,
    /// Whether an attempt of this leg may have happened although nobody knows: it must not be given up unasked.
    pub doubt: bool,
    /// The newest epoch.
    pub epoch: u64,
    /// When its last attempt ended.
    pub finished_at: Option<Timestamp>,
    /// Whether it is being done or taken back.
    pub leg: Leg,
    /// Steps it still waits for.
    pub(crate) open_needs: usize,
    /// When it last became ready.
    pub ready_at: Option<Timestamp>,
    /// What the provider said of the effect.
    pub receipt: Option<Arc<Receipt>>,
    /// The plan revision whose effect it is.
    pub revision: u64,
    /// The newest ticket.
    pub ticket: Option<Ticket>,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// Its state.
    pub state: StepState,
}

impl Cell {
    pub(crate) fn new(open_needs: usize, revision: u64, at: Timestamp) -> Self {
        let ready = open_needs == 0;
        Self {
            approval: None,
            attempts: 0,
            below: None,
            doubt: false,
            epoch: 0,
            finished_at: None,
            leg: Leg::Do,
            open_needs,
            ready_at: ready.then_some(at),
            receipt: None,
            revision,
            started_at: None,
            state: if ready { StepState::Ready } else { StepState::Blocked },
            ticket: None,
        }
    }

    /// Whether its effect may have happened while nobody works on it or looks for it.
    pub(crate) fn doubtful(&self) -> bool {
        let idle = match &self.state {
            StepState::Ready | StepState::Held { .. } | StepState::RetryWait { .. } => true,
            StepState::AwaitingApproval { .. } => true,
            StepState::Blocked | StepState::Ticketed(_) | StepState::Probing { .. } => false,
            StepState::Unknown { .. } | StepState::Succeeded | StepState::Failed { .. } => false,
            StepState::Skipped { .. } | StepState::Undone | StepState::Kept { .. } => false,
        };
        self.doubt && idle
    }
}
