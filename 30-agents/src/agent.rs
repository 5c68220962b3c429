//! An agent: a program that holds permits.

use serde::{Deserialize, Serialize};
use writ_core::{AgentId, Permission};

/// The most permissions of an agent: policies look at no more, so one that held more could never act.
pub const PERMISSIONS_MAX: usize = 32;

/// Contracts that an agent may require, and provide, at the most: they stand in its entries, which are bounded.
pub const USES_MAX: usize = 64;

/// The longest name of a contract, in bytes.
pub(crate) const CONTRACT_BYTES_MAX: usize = 128;

/// The longest type or version of an agent, in bytes.
const WORD_MAX: usize = 64;

/// How much an agent may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Distinct resources it may touch in any hour: its blast radius.
    pub resources_per_hour: u32,
    /// Tickets it may hold at once.
    pub tickets_at_once: u32,
    /// Tickets it may be given in any minute.
    pub tickets_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { resources_per_hour: 1_000, tickets_at_once: 64, tickets_per_minute: 100_000 }
    }
}

/// A contract that an agent requires or provides: an id, and a version or a range of versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractUse {
    /// The contract: `contract.self-healing.v1`.
    pub contract: String,
    /// The version it provides (`1.0.0`) or the range it requires (`^1.0.0`).
    pub version: String,
}

/// What is known of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Its id: `self-healing-agent-001`.
    pub id: AgentId,
    /// What sort of agent it is: `self-healing`.
    pub kind: String,
    /// How much it may do.
    pub limits: Limits,
    /// What it may do, in the order in which it was granted.
    pub permissions: Vec<Permission>,
    /// Contracts it provides.
    pub provides: Vec<ContractUse>,
    /// Its ed25519 public key, hexadecimal.
    pub public_key: String,
    /// Contracts it requires.
    pub requires: Vec<ContractUse>,
    /// Its state.
    pub state: AgentState,
    /// Its version: `1.5.0`.
    pub version: String,
}

impl Agent {
    /// Whether it holds a permission.
    #[must_use]
    pub fn may(&self, needed: &Permission) -> bool {
        self.permissions.iter().any(|held| crate::covers(held, needed))
    }
}

/// Whether a text says what sort of agent one is.
pub(crate) fn is_kind(text: &str) -> bool {
    !text.is_empty() && text.len() <= WORD_MAX && !text.chars().any(writ_text::is_hidden)
}

/// Whether a text is the version of an agent.
pub(crate) fn is_version(text: &str) -> bool {
    text.len() <= WORD_MAX && semver::Version::parse(text).is_ok()
}

/// The state of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// It is known, and is given nothing yet.
    Enrolled,
    /// It is given tickets.
    Active,
    /// It may finish what it has, and is given nothing more.
    Draining,
    /// It is given nothing, and what it has is worth nothing.
    Quarantined,
    /// It is gone for good.
    Retired,
}

/// What is done to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentMove {
    /// Give it tickets.
    Activate,
    /// Give it nothing more.
    Drain,
    /// Take everything from it at once.
    Quarantine,
    /// Let it go for good.
    Retire,
}

/// A move that an agent's state does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an agent that is {state} cannot be told to {asked}")]
pub struct IllegalMove {
    /// The agent's state.
    pub state: AgentState,
    /// What was asked.
    pub asked: AgentMove,
}

impl AgentState {
    /// The state after a move.
    ///
    /// # Errors
    /// When the state does not have that move.
    pub fn after(self, asked: AgentMove) -> Result<AgentState, IllegalMove> {
        use AgentState as S;
        Ok(match (self, asked) {
            (S::Enrolled | S::Draining | S::Quarantined, AgentMove::Activate) => S::Active,
            (S::Active, AgentMove::Drain) => S::Draining,
            (S::Enrolled | S::Active | S::Draining, AgentMove::Quarantine) => S::Quarantined,
            (S::Enrolled | S::Active | S::Draining | S::Quarantined, AgentMove::Retire) => S::Retired,
            (state, asked) => return Err(IllegalMove { state, asked }),
        })
    }
}

impl std::fmt::Display for AgentState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            AgentState::Enrolled => "enrolled",
            AgentState::Active => "active",
            AgentState::Draining => "draining",
            AgentState::Quarantined => "quarantined",
            AgentState::Retired => "retired",
        })
    }
}

impl std::fmt::Display for AgentMove {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            AgentMove::Activate => "activate",
            AgentMove::Drain => "drain",
            AgentMove::Quarantine => "go into quarantine",
            AgentMove::Retire => "retire",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_moves_are_possible_and_a_retired_agent_stays_retired() {
        use AgentMove as M;
        use AgentState as S;
        let states = [S::Enrolled, S::Active, S::Draining, S::Quarantined, S::Retired];
        let moves = [M::Activate, M::Drain, M::Quarantine, M::Retire];
        let table: Vec<Vec<Option<S>>> =
            states.iter().map(|state| moves.iter().map(|asked| state.after(*asked).ok()).collect()).collect();
        let (active, draining, quarantined, retired) =
            (Some(S::Active), Some(S::Draining), Some(S::Quarantined), Some(S::Retired));
        assert_eq!(
            table,
            [
                vec![active, None, quarantined, retired],
                vec![None, draining, quarantined, retired],
                vec![active, None, quarantined, retired],
                vec![active, None, None, retired],
                vec![None, None, None, None],
            ]
        );
        let told = S::Retired.after(M::Activate).unwrap_err().to_string();
        assert_eq!(told, "an agent that is retired cannot be told to activate");
    }
}
