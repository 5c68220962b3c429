//! What agents and kill switches say in the journal. Kinds are for ever.

use crate::agent::{Agent, AgentState};
use crate::kill::{KillScope, KillSwitches, Pulled};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use writ_core::{Actor, AgentId, Digest, Draft, Event, Outcome, Permission, Timestamp};

/// One thing that happened to an agent. Its stream is `agent/<id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentEvent {
    /// To which agent.
    pub agent: AgentId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: AgentChange,
}

/// What can happen to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentChange {
    /// It was made known.
    Enrolled(Enrolled),
    /// Its state changed.
    StateChanged(StateChanged),
    /// It has another key.
    KeyRotated(KeyRotated),
    /// It has other permissions.
    PermissionsChanged(PermissionsChanged),
    /// An effect it asked for was refused.
    Refused(Refusal),
}

/// `agent.enrolled/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolled {
    /// What is known of it.
    pub agent: Agent,
}

/// `agent.state_changed/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateChanged {
    /// Why, as a program said it; a person's words stand beside the journal.
    pub because: String,
    /// The state before.
    pub from: AgentState,
    /// The state after.
    pub to: AgentState,
}

/// `agent.key_rotated/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRotated {
    /// The new key, hexadecimal.
    pub public_key: String,
}

/// `agent.permissions_changed/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermissionsChanged {
    /// The new permissions.
    pub permissions: Vec<Permission>,
}

/// `agent.refused/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Why, in words.
    pub because: String,
    /// Why, for counting.
    pub code: String,
    /// What it was to be done to.
    pub resource: String,
    /// The provider's verb.
    pub verb: String,
}

/// `safety.kill_switch/1`: a kill switch was pulled or pushed back. Its stream is `safety/kill_switch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillSwitchMoved {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// Whether it is pulled now.
    pub pulled: bool,
    /// Commitment to their words.
    pub reason: Option<Digest>,
    /// What it stops.
    pub scope: KillScope,
}

const ENROLLED: &str = "agent.enrolled/1";
const STATE_CHANGED: &str = "agent.state_changed/1";
const KEY_ROTATED: &str = "agent.key_rotated/1";
const PERMISSIONS_CHANGED: &str = "agent.permissions_changed/1";
const REFUSED: &str = "agent.refused/1";
const KILL_SWITCH: &str = "safety.kill_switch/1";

/// The stream of kill switches, which whoever lets an effect pass must have read.
pub const KILL_SWITCH_STREAM: &str = "safety/kill_switch";

/// Every kind there is.
pub const KINDS: &[&str] = &[ENROLLED, STATE_CHANGED, KEY_ROTATED, PERMISSIONS_CHANGED, REFUSED, KILL_SWITCH];

/// What an entry of this layer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// Something happened to an agent.
    Agent(AgentEvent),
    /// A kill switch was moved.
    KillSwitch(KillSwitchMoved),
}

/// Why an entry's body is not an event of this layer.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The kind is none of this layer's.
    #[error("`{kind}` is no kind of agent event")]
    Kind {
        /// The kind.
        kind: String,
    },
    /// The body has another shape than its kind says.
    #[error("the body is not of kind `{kind}`")]
    Body {
        /// The kind.
        kind: String,
        /// What the reader says.
        #[source]
        cause: serde_json::Error,
    },
}

/// The event that an entry's kind and body say.
///
/// # Errors
/// When the kind is unknown or the body has another shape.
pub fn decode(kind: &str, body: &Value) -> Result<Decoded, DecodeError> {
    let shape = |cause| DecodeError::Body { kind: kind.to_owned(), cause };
    if kind == KILL_SWITCH {
        return serde_json::from_value(body.clone()).map(Decoded::KillSwitch).map_err(shape);
    }
    let mut fields: Map<String, Value> = serde_json::from_value(body.clone()).map_err(shape)?;
    let agent = serde_json::from_value(fields.remove("agent_id").unwrap_or(Value::Null)).map_err(shape)?;
    let at = serde_json::from_value(fields.remove("at").unwrap_or(Value::Null)).map_err(shape)?;
    let rest = Value::Object(fields);
    let what = match kind {
        ENROLLED => serde_json::from_value(rest).map(AgentChange::Enrolled),
        STATE_CHANGED => serde_json::from_value(rest).map(AgentChange::StateChanged),
        KEY_ROTATED => serde_json::from_value(rest).map(AgentChange::KeyRotated),
        PERMISSIONS_CHANGED => serde_json::from_value(rest).map(AgentChange::PermissionsChanged),
        REFUSED => serde_json::from_value(rest).map(AgentChange::Refused),
        unknown => return Err(DecodeError::Kind { kind: unknown.to_owned() }),
    };
    Ok(Decoded::Agent(AgentEvent { agent, at, what: what.map_err(shape)? }))
}

impl Event for AgentEvent {
    fn draft(&self, actor: &Actor) -> Draft {
        let (kind, action, outcome, body) = match &self.what {
            AgentChange::Enrolled(body) => (ENROLLED, "enroll_agent", Outcome::Success, written(body)),
            AgentChange::StateChanged(body) => (STATE_CHANGED, "change_agent_state", Outcome::Success, written(body)),
            AgentChange::KeyRotated(body) => (KEY_ROTATED, "rotate_agent_key", Outcome::Success, written(body)),
            AgentChange::PermissionsChanged(body) => {
                (PERMISSIONS_CHANGED, "change_permissions", Outcome::Success, written(body))
            }
            AgentChange::Refused(body) => (REFUSED, "redeem_permit", Outcome::Denied, written(body)),
        };
        let resource = if let AgentChange::Refused(refusal) = &self.what {
            refusal.resource.clone()
        } else {
            self.agent.to_string()
        };
        let mut body = body;
        body.insert("agent_id".to_owned(), Value::String(self.agent.to_string()));
        body.insert("at".to_owned(), Value::String(self.at.to_string()));
        let stream = format!("agent/{}", self.agent);
        let actor = actor.clone();
        Draft { action: action.to_owned(), actor, body: Value::Object(body), kind, outcome, resource, stream }
    }
}

impl Event for KillSwitchMoved {
    fn draft(&self, actor: &Actor) -> Draft {
        Draft {
            action: if self.pulled { "pull_kill_switch" } else { "release_kill_switch" }.to_owned(),
            actor: actor.clone(),
            body: Value::Object(written(self)),
            kind: KILL_SWITCH,
            outcome: Outcome::Success,
            resource: self.scope.to_string().replace('`', ""),
            stream: KILL_SWITCH_STREAM.to_owned(),
        }
    }
}

impl KillSwitches {
    /// Takes one more event in.
    pub fn apply(&mut self, moved: &KillSwitchMoved) {
        if moved.pulled {
            let pulled = Pulled { at: moved.at, by: moved.by.clone(), reason: moved.reason };
            self.pull(moved.scope.clone(), pulled);
        } else {
            self.release(&moved.scope);
        }
    }
}

#[expect(clippy::expect_used, reason = "bodies are maps with text keys; writing one as a value cannot fail")]
fn written(body: &impl Serialize) -> Map<String, Value> {
    let value = serde_json::to_value(body).expect("a body can be written as a value");
    if let Value::Object(fields) = value { fields } else { Map::new() }
}
