//! Who does it: the least busy agent that may, or why none may.

use crate::agent::{Agent, AgentState};
use crate::kill::{KillSwitches, Stopped, blocks};
use crate::quota::{OverQuota, Usage};
use crate::roster::Roster;
use std::collections::BTreeMap;
use writ_core::{AgentId, Permission, Timestamp};

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    /// The action's name.
    pub action: &'a str,
    /// The permission that an agent needs for it.
    pub permission: &'a Permission,
    /// What it is done to.
    pub resource: &'a str,
}

/// Who does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The agent.
    pub agent: AgentId,
    /// Its public key, for the permit.
    pub public_key: String,
}

/// Nobody may do it now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no agent may do `{action}` on `{resource}`: {}", told(.why, .permission))]
pub struct NoAgent {
    /// The action's name.
    pub action: String,
    /// The permission that it needs.
    pub permission: Permission,
    /// What it is done to.
    pub resource: String,
    /// Why each agent may not.
    pub why: Vec<(AgentId, Unfit)>,
}

impl NoAgent {
    /// Whether somebody may do it later without anything being changed: a quota runs out, a ticket comes back.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.why.iter().any(|(_, unfit)| matches!(unfit, Unfit::Quota(_)))
    }
}

/// Why an agent may not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It does not hold the permission.
    #[error("it does not hold `{0}`")]
    Permission(Permission),
    /// It is given nothing in its state.
    #[error("it is {0}")]
    State(AgentState),
    /// Its key is none of those that this process holds, and nobody could redeem a permit for it.
    #[error("it does not live here: its key is not on this server")]
    Elsewhere,
    /// A kill switch stops it.
    #[error(transparent)]
    Stopped(Stopped),
    /// It has done as much as it may.
    #[error(transparent)]
    Quota(OverQuota),
}

fn told(why: &[(AgentId, Unfit)], permission: &Permission) -> String {
    // Those that hold the permission are the interesting ones; all others lack it, which is one sentence.
    let near: Vec<String> = why
        .iter()
        .filter(|(_, unfit)| !matches!(unfit, Unfit::Permission(_)))
        .map(|(agent, unfit)| format!("`{agent}`: {unfit}"))
        .collect();
    if near.is_empty() { format!("none holds `{permission}`") } else { near.join("; ") }
}

/// Finds the agent for an action: of those that are active, hold the permission, are not stopped, within their limits and
/// live `here`, the one that holds the fewest tickets, by name among equals.
///
/// # Errors
/// Why each agent may not.
pub fn assign(
    need: &Need<'_>,
    roster: &Roster,
    usage: &BTreeMap<AgentId, Usage>,
    switches: &KillSwitches,
    here: impl Fn(&Agent) -> bool,
    now: Timestamp,
) -> Result<Assignment, NoAgent> {
    let idle = Usage::default();
    let mut best: Option<(u32, &Agent)> = None;
    let mut why = Vec::new();
    for agent in roster.agents() {
        let used = usage.get(&agent.id).unwrap_or(&idle);
        let fits = fit(agent, need, used, switches, now);
        match fits.and_then(|()| here(agent).then_some(()).ok_or(Unfit::Elsewhere)) {
            Err(unfit) => why.push((agent.id.clone(), unfit)),
            Ok(()) if best.is_none_or(|(least, _)| used.live() < least) => best = Some((used.live(), agent)),
            Ok(()) => {}
        }
    }
    match best {
        Some((_, agent)) => Ok(Assignment { agent: agent.id.clone(), public_key: agent.public_key.clone() }),
        None => Err(NoAgent {
            action: need.action.to_owned(),
            permission: need.permission.clone(),
            resource: need.resource.to_owned(),
            why,
        }),
    }
}

fn fit(agent: &Agent, need: &Need<'_>, used: &Usage, switches: &KillSwitches, now: Timestamp) -> Result<(), Unfit> {
    if !agent.may(need.permission) {
        return Err(Unfit::Permission(need.permission.clone()));
    }
    if agent.state != AgentState::Active {
        return Err(Unfit::State(agent.state));
    }
    if let Some(stopped) = blocks(switches, &agent.id, need.action, need.resource) {
        return Err(Unfit::Stopped(stopped));
    }
    used.allows(&agent.limits, need.resource, now).map_err(Unfit::Quota)
}
