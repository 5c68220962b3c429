//! What an administrator does with an agent: recorded first, and in force at the gate from then on.

use crate::commit::{Batch, CommitError, Expect};
use crate::erase::words;
use crate::pipeline::Pipeline;
use serde::{Deserialize, Serialize};
use writ_agents::{Agent, AgentChange, AgentEvent, AgentMove, Roster, RosterRefused};
use writ_core::{Actor, AgentId, Event, LedgerError, Permission};
use writ_intent::OUTSIDE_PERMISSION;
use writ_self_healing::RemedyAction;

/// What is wanted of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentWish {
    /// Another state.
    Move {
        /// Which.
        to: AgentMove,
        /// Why, as a program says it.
        because: String,
    },
    /// Another key: permits for the old one are worth nothing from then on.
    Key {
        /// The new public key, hexadecimal.
        public_key: String,
    },
    /// Other permissions.
    Permissions(Vec<Permission>),
    /// To be known. It is given nothing before it is activated.
    Enrol(Box<Agent>),
}

impl AgentWish {
    /// What it comes to for an agent of a roster.
    pub(crate) fn of(&self, agent: &AgentId, roster: &Roster) -> Result<AgentChange, RosterRefused> {
        match self {
            AgentWish::Move { to, because } => roster.change_state(agent, *to, because),
            AgentWish::Key { public_key } => roster.rotate_key(agent, public_key),
            AgentWish::Permissions(permissions) => roster.change_permissions(agent, permissions.clone()),
            AgentWish::Enrol(known) => roster.enroll((**known).clone()),
        }
    }
}

/// Why an agent stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The roster does not allow it.
    #[error("the agent stays as it is")]
    Refused(#[from] RosterRefused),
    /// Nothing could be recorded.
    #[error("the journal takes nothing")]
    Commit(#[from] CommitError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
}

impl Pipeline {
    /// Permissions that no action here asks for: most likely they are spelt otherwise than they are meant.
    #[must_use]
    pub fn idle_permissions(&self, permissions: &[Permission]) -> Vec<Permission> {
        let asked: Vec<Permission> = writ_intent::permissions()
            .chain([OUTSIDE_PERMISSION])
            .map(|name| Permission(name.to_owned()))
            .chain(RemedyAction::ALL.map(RemedyAction::permission))
            .collect();
        let idle = |held: &&Permission| !asked.iter().any(|needed| writ_agents::covers(held, needed));
        permissions.iter().filter(idle).cloned().collect()
    }

    /// Changes an agent; the reason, in a person's words, stands beside the journal. What the agent was permitted before is
    /// checked anew when it redeems it.
    ///
    /// # Errors
    /// When the roster does not allow it, or it could not be recorded.
    pub async fn change_agent(
        &self,
        agent: &AgentId,
        wish: &AgentWish,
        reason: &str,
        by: &Actor,
    ) -> Result<(), AgentError> {
        let stream = format!("agent/{agent}");
        let version = self.journal().ledger().stream_version(&stream).await?;
        let roster = self.gate().state().roster.clone();
        let what = wish.of(agent, &roster)?;
        let event = AgentEvent { agent: agent.clone(), at: self.journal().now(), what };
        let mut batch = Batch::default();
        if !reason.is_empty() {
            let (said, words) = words(self.journal(), &stream, agent.as_str(), by, reason);
            batch.drafts.push(said);
            batch.erasables.push(words);
        }
        batch.drafts.push(event.draft(by));
        batch.expects.push(Expect { stream, version });
        self.journal().commit(&self.journal().new_cause(), batch).await?;
        self.gate().state().roster.apply(&event);
        Ok(())
    }
}
