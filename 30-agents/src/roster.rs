//! The agents that are known: the fold of what was recorded about them.

use crate::agent::{Agent, AgentMove, AgentState, IllegalMove, PERMISSIONS_MAX, is_kind, is_version};
use crate::event::{AgentChange, AgentEvent, Enrolled, KeyRotated, PermissionsChanged, StateChanged};
use crate::permission::{PermissionError, permission};
use std::collections::BTreeMap;
use writ_core::{AgentId, Permission};

/// The agents that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    agents: BTreeMap<AgentId, Agent>,
}

/// Why the roster is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterRefused {
    /// There is no such agent.
    #[error("agent `{agent}` is not enrolled")]
    Unknown {
        /// The agent.
        agent: AgentId,
    },
    /// There is one of that name, with other words or another key.
    #[error("agent `{agent}` is enrolled already, as version {version}")]
    Taken {
        /// The agent.
        agent: AgentId,
        /// The version of the one that is enrolled.
        version: String,
    },
    /// The key is not one.
    #[error("the key of agent `{agent}` is not an ed25519 public key")]
    Key {
        /// The agent.
        agent: AgentId,
        /// What is wrong with it.
        #[source]
        cause: writ_seal::KeyError,
    },
    /// Two agents cannot have one key: nobody could tell who acted.
    #[error("the key of agent `{agent}` belongs to agent `{owner}`")]
    SharedKey {
        /// The agent.
        agent: AgentId,
        /// Who has the key.
        owner: AgentId,
    },
    /// Its sort or version is none.
    #[error("`{text}` is no {what}")]
    Word {
        /// What was given.
        text: String,
        /// What it should be.
        what: &'static str,
    },
    /// A permission is not one.
    #[error("agent `{agent}` cannot be given a permission")]
    Permission {
        /// The agent.
        agent: AgentId,
        /// What is wrong with it.
        #[source]
        cause: PermissionError,
    },
    /// More permissions than policies look at.
    #[error(
        "agent `{agent}` cannot be given {count} permissions: {PERMISSIONS_MAX} is the most, for policies look at no more"
    )]
    TooMany {
        /// The agent.
        agent: AgentId,
        /// How many there are.
        count: usize,
    },
    /// The agent's state does not have that move.
    #[error("agent `{agent}` cannot change its state")]
    Move {
        /// The agent.
        agent: AgentId,
        /// What is wrong.
        #[source]
        cause: IllegalMove,
    },
}

impl Roster {
    /// The roster that these events tell.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a AgentEvent>) -> Self {
        let mut roster = Self::default();
        events.into_iter().for_each(|event| roster.apply(event));
        roster
    }

    /// Takes one more event in.
    pub fn apply(&mut self, event: &AgentEvent) {
        if let AgentChange::Enrolled(body) = &event.what {
            self.agents.insert(event.agent.clone(), body.agent.clone());
        }
        let Some(agent) = self.agents.get_mut(&event.agent) else { return };
        match &event.what {
            AgentChange::StateChanged(body) => agent.state = body.to,
            AgentChange::KeyRotated(body) => agent.public_key = body.public_key.clone(),
            AgentChange::PermissionsChanged(body) => agent.permissions = body.permissions.clone(),
            AgentChange::Enrolled(_) | AgentChange::Refused(_) => {}
        }
    }

    /// An agent.
    #[must_use]
    pub fn get(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.get(id)
    }

    /// All agents, by id.
    pub fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values()
    }

    /// Makes an agent known. It is given nothing before it is activated.
    ///
    /// # Errors
    /// When its name or key is taken, or its key or a permission is none.
    pub fn enroll(&self, agent: Agent) -> Result<AgentChange, RosterRefused> {
        let agent = Agent { state: AgentState::Enrolled, ..agent };
        if let Some(known) = self.agents.get(&agent.id) {
            return Err(RosterRefused::Taken { agent: agent.id, version: known.version.clone() });
        }
        check_words(&agent)?;
        self.check_key(&agent.id, &agent.public_key)?;
        check_permissions(&agent.id, &agent.permissions)?;
        Ok(AgentChange::Enrolled(Enrolled { agent }))
    }

    /// Moves an agent to another state.
    ///
    /// # Errors
    /// When there is no such agent, or its state does not have that move.
    pub fn change_state(&self, id: &AgentId, asked: AgentMove, because: &str) -> Result<AgentChange, RosterRefused> {
        let agent = self.known(id)?;
        let refused = |cause| RosterRefused::Move { agent: id.clone(), cause };
        let to = agent.state.after(asked).map_err(refused)?;
        Ok(AgentChange::StateChanged(StateChanged { because: because.to_owned(), from: agent.state, to }))
    }

    /// Gives an agent another key. Permits for the old one are worth nothing from then on.
    ///
    /// # Errors
    /// When there is no such agent, or the key is none or somebody else's.
    pub fn rotate_key(&self, id: &AgentId, public_key: &str) -> Result<AgentChange, RosterRefused> {
        self.known(id)?;
        self.check_key(id, public_key)?;
        Ok(AgentChange::KeyRotated(KeyRotated { public_key: public_key.to_owned() }))
    }

    /// Gives an agent other permissions.
    ///
    /// # Errors
    /// When there is no such agent, or a permission is none.
    pub fn change_permissions(&self, id: &AgentId, permissions: Vec<Permission>) -> Result<AgentChange, RosterRefused> {
        self.known(id)?;
        check_permissions(id, &permissions)?;
        Ok(AgentChange::PermissionsChanged(PermissionsChanged { permissions }))
    }

    fn known(&self, id: &AgentId) -> Result<&Agent, RosterRefused> {
        self.agents.get(id).ok_or_else(|| RosterRefused::Unknown { agent: id.clone() })
    }

    fn check_key(&self, id: &AgentId, key: &str) -> Result<(), RosterRefused> {
        let no_key = |cause| RosterRefused::Key { agent: id.clone(), cause };
        let bytes = writ_seal::public_key_from_hex(key).map_err(no_key)?;
        let has_it = |agent: &&Agent| writ_seal::public_key_from_hex(&agent.public_key) == Ok(bytes);
        match self.agents.values().find(has_it) {
            Some(owner) if owner.id != *id => {
                Err(RosterRefused::SharedKey { agent: id.clone(), owner: owner.id.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn check_words(agent: &Agent) -> Result<(), RosterRefused> {
    let wrong = |text: &str, what| Err(RosterRefused::Word { text: text.chars().take(140).collect(), what });
    if !is_kind(&agent.kind) {
        return wrong(&agent.kind, "type of an agent: write it in up to 64 bytes that can be seen");
    }
    if !is_version(&agent.version) {
        return wrong(&agent.version, "version: write it as `1.5.0`, in up to 64 bytes");
    }
    Ok(())
}

fn check_permissions(id: &AgentId, permissions: &[Permission]) -> Result<(), RosterRefused> {
    if permissions.len() > PERMISSIONS_MAX {
        return Err(RosterRefused::TooMany { agent: id.clone(), count: permissions.len() });
    }
    for held in permissions {
        permission(&held.0).map_err(|cause| RosterRefused::Permission { agent: id.clone(), cause })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Limits;
    use writ_core::Timestamp;
    use writ_seal::Key;

    fn agent(id: &str, seed: u8) -> Agent {
        Agent {
            id: id.parse().unwrap(),
            kind: "monitoring".into(),
            limits: Limits::default(),
            permissions: vec![Permission("read:metrics".into())],
            provides: Vec::new(),
            public_key: Key::from_seed(id, &[seed; 32]).public_hex(),
            requires: Vec::new(),
            state: AgentState::Active,
            version: "2.1.0".into(),
        }
    }

    fn event(agent: &str, what: AgentChange) -> AgentEvent {
        AgentEvent { agent: agent.parse().unwrap(), at: Timestamp::from_micros(1), what }
    }

    #[test]
    fn an_agent_is_enrolled_before_it_is_active_whatever_it_says_of_itself() {
        let roster = Roster::default();
        let enrolled = event("a-1", roster.enroll(agent("a-1", 1)).unwrap());
        let roster = Roster::fold([&enrolled]);
        assert_eq!(roster.get(&"a-1".parse().unwrap()).unwrap().state, AgentState::Enrolled);
        let activated = roster.change_state(&"a-1".parse().unwrap(), AgentMove::Activate, "enrolled by ann").unwrap();
        let roster = Roster::fold([&enrolled, &event("a-1", activated)]);
        assert_eq!(roster.get(&"a-1".parse().unwrap()).unwrap().state, AgentState::Active);
    }

    #[test]
    fn a_name_a_key_and_a_permission_are_checked() {
        let mut roster = Roster::default();
        roster.apply(&event("a-1", roster.enroll(agent("a-1", 1)).unwrap()));
        assert!(matches!(roster.enroll(agent("a-1", 2)), Err(RosterRefused::Taken { .. })));
        assert!(matches!(roster.enroll(agent("a-2", 1)), Err(RosterRefused::SharedKey { .. })));
        let upper = Agent { public_key: agent("a-1", 1).public_key.to_uppercase(), ..agent("a-2", 1) };
        assert!(matches!(roster.enroll(upper), Err(RosterRefused::SharedKey { .. })));
        let unseen = Agent { kind: "a\nb".into(), ..agent("a-2", 2) };
        assert!(matches!(roster.enroll(unseen), Err(RosterRefused::Word { .. })));
        let unversioned = Agent { version: "two".into(), ..agent("a-2", 2) };
        assert!(matches!(roster.enroll(unversioned), Err(RosterRefused::Word { .. })));
        let long = Agent { version: format!("1.0.0-{}", "a".repeat(64)), ..agent("a-2", 2) };
        assert!(matches!(roster.enroll(long), Err(RosterRefused::Word { .. })));
        let no_key = Agent { public_key: "00".into(), ..agent("a-2", 2) };
        assert!(matches!(roster.enroll(no_key), Err(RosterRefused::Key { .. })));
        let all = Agent { permissions: vec![Permission("*".into())], ..agent("a-2", 2) };
        assert!(matches!(roster.enroll(all), Err(RosterRefused::Permission { .. })));
        let gone = roster.change_state(&"a-9".parse().unwrap(), AgentMove::Drain, "");
        assert!(matches!(gone, Err(RosterRefused::Unknown { .. })));
    }

    #[test]
    fn an_agent_holds_as_many_permissions_as_policies_look_at_and_no_more() {
        let held = |count: usize| (0..count).map(|at| Permission(format!("read:m{at}"))).collect::<Vec<_>>();
        let with = |count| Agent { permissions: held(count), ..agent("a-1", 1) };
        let mut roster = Roster::default();
        let told = roster.enroll(with(PERMISSIONS_MAX + 1)).unwrap_err();
        assert_eq!(
            told.to_string(),
            "agent `a-1` cannot be given 33 permissions: 32 is the most, for policies look at no more"
        );
        roster.apply(&event("a-1", roster.enroll(with(PERMISSIONS_MAX)).unwrap()));
        let id = "a-1".parse().unwrap();
        assert!(roster.change_permissions(&id, held(PERMISSIONS_MAX)).is_ok());
        let told = roster.change_permissions(&id, held(10_000)).unwrap_err();
        assert_eq!(told, RosterRefused::TooMany { agent: id, count: 10_000 });
    }
}
