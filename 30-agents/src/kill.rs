//! The kill switch: one for everything, and one for each agent, action and resource.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use writ_core::{Actor, AgentId, Digest, Timestamp};

/// What a kill switch stops.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "snake_case")]
pub enum KillScope {
    /// Everything.
    All,
    /// One agent.
    Agent {
        /// Which.
        agent: AgentId,
    },
    /// One action, whoever does it.
    Action {
        /// Its name.
        action: String,
    },
    /// One resource and everything under it: `web-service-001` stops `web-service-001/i-2`, too.
    Resource {
        /// Its name.
        resource: String,
    },
}

impl KillScope {
    /// What it is called where it is typed: `all`, `agent:ID`, `action:NAME` or `resource:NAME`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            KillScope::All => "all".to_owned(),
            KillScope::Agent { agent } => format!("agent:{agent}"),
            KillScope::Action { action } => format!("action:{action}"),
            KillScope::Resource { resource } => format!("resource:{resource}"),
        }
    }
}

impl std::fmt::Display for KillScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KillScope::All => f.write_str("everything"),
            KillScope::Agent { agent } => write!(f, "agent `{agent}`"),
            KillScope::Action { action } => write!(f, "action `{action}`"),
            KillScope::Resource { resource } => write!(f, "resource `{resource}`"),
        }
    }
}

/// A kill switch that somebody pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pulled {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// Commitment to their words.
    pub reason: Option<Digest>,
}

/// Why something is stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the kill switch for {scope} was pulled by {by} at {at}")]
pub struct Stopped {
    /// What was stopped.
    pub scope: KillScope,
    /// Who pulled it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// All kill switches that are pulled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KillSwitches(BTreeMap<KillScope, Pulled>);

impl KillSwitches {
    /// Pulls one. One that is pulled already stays as it was pulled first.
    pub fn pull(&mut self, scope: KillScope, pulled: Pulled) {
        self.0.entry(scope).or_insert(pulled);
    }

    /// Pushes one back. Whether it was pulled.
    pub fn release(&mut self, scope: &KillScope) -> bool {
        self.0.remove(scope).is_some()
    }

    /// Those that are pulled.
    pub fn pulled(&self) -> impl Iterator<Item = (&KillScope, &Pulled)> {
        self.0.iter()
    }
}

/// Why an agent may not do an action on a resource now; none when no switch stops it.
#[must_use]
pub fn blocks(switches: &KillSwitches, agent: &AgentId, action: &str, resource: &str) -> Option<Stopped> {
    let stops = |scope: &KillScope| match scope {
        KillScope::All => true,
        KillScope::Agent { agent: stopped } => stopped == agent,
        KillScope::Action { action: stopped } => stopped == action,
        KillScope::Resource { resource: stopped } => {
            resource.strip_prefix(stopped.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    };
    let (scope, pulled) = switches.0.iter().find(|(scope, _)| stops(scope))?;
    Some(Stopped { scope: scope.clone(), by: pulled.by.clone(), at: pulled.at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_stops_its_scope_and_nothing_else_until_it_is_pushed_back() {
        let agent: AgentId = "self-healing-agent-001".parse().unwrap();
        let pulled = || Pulled { at: Timestamp::from_micros(1), by: Actor::system("test"), reason: None };
        let resource = |name: &str| KillScope::Resource { resource: name.into() };
        for (scope, wanted) in [
            (KillScope::All, true),
            (KillScope::Agent { agent: agent.clone() }, true),
            (KillScope::Agent { agent: "scaling-agent-001".parse().unwrap() }, false),
            (KillScope::Action { action: "restart_instance".into() }, true),
            (KillScope::Action { action: "restart".into() }, false),
            (resource("web-service-001"), true),
            (resource("web-service-001/i-2"), true),
            (resource("web-service-00"), false),
            (resource("web-service-001/i-20"), false),
        ] {
            let mut switches = KillSwitches::default();
            switches.pull(scope.clone(), pulled());
            let stopped = blocks(&switches, &agent, "restart_instance", "web-service-001/i-2");
            assert_eq!(stopped.map(|stopped| stopped.scope), wanted.then_some(scope.clone()));
            assert!(switches.release(&scope));
            assert_eq!(blocks(&switches, &agent, "restart_instance", "web-service-001/i-2"), None);
        }
    }
}
