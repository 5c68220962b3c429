//! What of what governs somebody may want changed, and why it is not: policies, people's roles, agents, standing approvals, how far
//! healing goes.

use crate::agents::AgentWish;
use crate::approvals::AnswerError;
use crate::commit::CommitError;
use crate::links::Subject;
use crate::tokens::TokenError;
use std::time::Duration;
use writ_agents::RosterRefused;
use writ_automation::{Budget, StandingRefused};
use writ_core::{AgentId, ApprovalId, ComponentId, Digest, EventId, LedgerError, PrincipalId};
use writ_self_healing::{Mode, NotEnough, RemedyAction};
use writ_text::Problem;

/// A change of what governs.
#[derive(Debug, Clone)]
pub enum GovernanceWish {
    /// Other policies: all their files, and tests that must pass.
    Policies {
        /// Name and text of each.
        files: Vec<(String, Vec<u8>)>,
        /// Likewise.
        tests: Vec<(String, Vec<u8>)>,
    },
    /// Something of an agent.
    Agent {
        /// Which.
        agent: AgentId,
        /// What.
        wish: AgentWish,
    },
    /// Somebody new.
    Enrol {
        /// What they are called.
        name: String,
        /// What they may do.
        roles: Vec<String>,
    },
    /// Other roles of somebody: all that they hold afterwards.
    Roles {
        /// Who.
        principal: PrincipalId,
        /// What they may do.
        roles: Vec<String>,
    },
    /// What an issuer calls somebody: whoever it says so of logs in as them.
    Link {
        /// Who.
        principal: PrincipalId,
        /// What the issuer calls them.
        subject: Subject,
    },
    /// How far an action of healing may go on its own.
    Mode {
        /// On which component.
        component: ComponentId,
        /// Which action.
        action: RemedyAction,
        /// How far.
        mode: Mode,
        /// The shadow decisions that speak for it; none are needed where it goes less far than before.
        cites: Vec<EventId>,
    },
    /// A standing approval.
    Standing {
        /// Actions; `*` stands for any text.
        actions: Vec<String>,
        /// Resources; `*` stands for any text.
        targets: Vec<String>,
        /// How often.
        budget: Budget,
        /// For how long.
        span: Duration,
    },
}

/// What came of proposing a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposed {
    /// It is so, for nobody else has to agree, or could.
    Made,
    /// Somebody else is asked.
    Waits(ApprovalId),
}

/// Why a change of what governs is not proposed or made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Everything would stay as it is.
    #[error("that would change nothing")]
    Nothing,
    /// The policies are unsound.
    #[error("the policies are refused whole: {}", writ_text::problems(.0.len()))]
    Policies(Vec<Problem>),
    /// Their tests fail.
    #[error("the policies' tests do not pass")]
    Tests {
        /// The report.
        report: String,
    },
    /// What it names is not kept.
    #[error("`{what}` ({digest}) is not attached")]
    Missing {
        /// What.
        what: String,
        /// Its digest.
        digest: Digest,
    },
    /// The roster does not allow it.
    #[error("the agent stays as it is")]
    Agent(#[from] RosterRefused),
    /// The person or role is none.
    #[error("the person stays as they are")]
    Person(#[from] TokenError),
    /// It is no standing approval.
    #[error("it is no standing approval: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Standing(Vec<StandingRefused>),
    /// What healing would have done does not speak for it.
    #[error("it goes no further on its own: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Mode(Vec<NotEnough>),
    /// Nobody heals the component.
    #[error("no component `{component}` is watched")]
    NotWatched {
        /// What was named.
        component: ComponentId,
    },
    /// What it would be decided on is not of the newest entries.
    #[error("the reports are behind the journal, and a decision on them would be one on the past")]
    Behind,
    /// There is no such standing approval in force.
    #[error("no standing approval `{id}` is in force")]
    NotStanding {
        /// What was named.
        id: ApprovalId,
    },
    /// What it would change has changed since.
    #[error("what `{approval}` would change has changed since it was proposed; it is void")]
    Void {
        /// The approval.
        approval: ApprovalId,
    },
    /// Whoever proposed it may not propose it any more.
    #[error("`{author}`, who proposed `{approval}`, does not hold the role `{role}` any more; it is void")]
    Author {
        /// The approval.
        approval: ApprovalId,
        /// Who proposed it.
        author: PrincipalId,
        /// The role that proposing it needs.
        role: &'static str,
    },
    /// Nothing could be recorded.
    #[error("the journal takes nothing")]
    Commit(#[from] CommitError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
}

impl From<ChangeError> for AnswerError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Commit(error) => Self::Commit(error),
            ChangeError::Ledger(error) => Self::Ledger(error),
            error @ (ChangeError::Nothing | ChangeError::Policies(_) | ChangeError::Tests { .. }) => {
                Self::Change(error)
            }
            error @ (ChangeError::Missing { .. } | ChangeError::Agent(_) | ChangeError::Person(_)) => {
                Self::Change(error)
            }
            error @ (ChangeError::Mode(_) | ChangeError::NotWatched { .. } | ChangeError::Behind) => {
                Self::Change(error)
            }
            error @ (ChangeError::Standing(_) | ChangeError::NotStanding { .. }) => Self::Change(error),
            error @ (ChangeError::Void { .. } | ChangeError::Author { .. }) => Self::Change(error),
        }
    }
}
