//! Who did it.

use serde::{Deserialize, Serialize};

/// What sort of actor stands behind an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person, by an opaque principal id.
    Human,
    /// A program that holds permits.
    Agent,
    /// A part of writ itself.
    System,
}

/// Who did it: a sort and an id. Field order is the canonical (sorted) key order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// The id within its sort: a principal, an agent, or the name of a layer.
    pub id: String,
    /// The sort of actor.
    pub kind: ActorKind,
}

impl Actor {
    /// A part of writ, by its name: `policy`, `pipeline`.
    #[must_use]
    pub fn system(name: &str) -> Self {
        Self { id: name.to_owned(), kind: ActorKind::System }
    }

    /// A person.
    #[must_use]
    pub fn human(principal: &crate::PrincipalId) -> Self {
        Self { id: principal.to_string(), kind: ActorKind::Human }
    }

    /// An agent.
    #[must_use]
    pub fn agent(agent: &crate::AgentId) -> Self {
        Self { id: agent.to_string(), kind: ActorKind::Agent }
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            ActorKind::Human => "human",
            ActorKind::Agent => "agent",
            ActorKind::System => "system",
        };
        write!(f, "{kind}:{}", self.id)
    }
}
