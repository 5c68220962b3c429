//! The `agent_deployment:` document: which agents there are and what they may do.

use crate::roster::Roster;
use serde_json::{Value, json};

/// The agents of a roster, in the form in which platform teams know them.
#[must_use]
pub fn agent_deployment(roster: &Roster) -> Value {
    let agents: Vec<Value> = roster
        .agents()
        .map(|agent| {
            json!({
                "agent_id": agent.id,
                "type": agent.kind,
                "version": agent.version,
                "permissions": agent.permissions,
            })
        })
        .collect();
    json!({"agent_deployment": {"agents": agents}})
}
