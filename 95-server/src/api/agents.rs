//! Agents: making one known, and changing what it is and may do.

use super::changes::propose;
use super::matches::{Thing, matching};
use super::route::{Route, documents};
use super::{Answer, App, Body, Caller, Needs, Of, Path, Shared, field, parsed, reason};
use crate::error::{Failure, short};
use crate::wrong::Wrong;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use writ_core::{AgentId, Permission};
use writ_pipeline::{
    Agent, AgentError, AgentLimits, AgentMove, AgentState, AgentWish, ChangeError, GovernanceWish, RosterRefused,
    error_chain,
};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/agents", Needs::Admin, Of::Realm, enrol)
            .says(
                "agents",
                "Enrol an agent",
                "On a server, once somebody else agrees. It is given nothing before it is activated, and permits only while its key is on \
                 the server. Told with `warnings`: permissions that no action asks for.",
            )
            .takes::<NewAgent>()
            .answers::<AgentTold>()
            .fails(&[409]),
        Route::post("/api/v1/agents/{id}/{command}", Needs::Admin, Of::Realm, command)
            .says(
                "agents",
                "Change an agent",
                "`key` needs `public_key`, `permissions` needs `permissions`; the others need nothing.",
            )
            .word("command", ["activate", "drain", "quarantine", "retire", "key", "permissions"])
            .matches()
            .takes::<AgentDetails>()
            .answers::<AgentTold>()
            .fails(&[409]),
    ]
}

documents! {
    /// An agent after it was changed: `agent`, and what it is `now`; with the `approval` that it waits for, where it does, and
    /// `warnings`.
    AgentTold;
}

/// An agent that is to be known.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAgent {
    /// What it is called.
    id: String,
    /// What sort of agent it is: `self-healing`.
    r#type: String,
    /// Its version: `1.5.0`.
    version: String,
    /// Its key: ed25519, hexadecimal.
    public_key: String,
    /// All that it may: `execute:recovery`.
    permissions: Vec<String>,
    /// How much it may do.
    #[serde(default)]
    limits: Amount,
    /// Why.
    #[serde(default)]
    #[schema(required = true)]
    reason: String,
}

/// How much an agent may do; what is not said is as for every agent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Amount {
    /// Distinct resources in any hour.
    #[schema(minimum = 1)]
    resources_per_hour: Option<u32>,
    /// Tickets at once.
    #[schema(minimum = 1)]
    tickets_at_once: Option<u32>,
    /// Tickets in any minute.
    #[schema(minimum = 1)]
    tickets_per_minute: Option<u32>,
}

impl Amount {
    fn limits(&self) -> Result<AgentLimits, Failure> {
        let usual = AgentLimits::default();
        let all = [
            ("resources_per_hour", self.resources_per_hour),
            ("tickets_at_once", self.tickets_at_once),
            ("tickets_per_minute", self.tickets_per_minute),
        ];
        let nothing = all.iter().filter(|(_, limit)| *limit == Some(0));
        let nothing = nothing.map(|(name, _)| Wrong::at(format!("/limits/{name}"), "a limit of 0")).collect::<Vec<_>>();
        if !nothing.is_empty() {
            let detail = "an agent with a limit of 0 may do nothing";
            let failure = Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).wrong(nothing);
            return Err(failure.hint("leave it out, or drain the agent"));
        }
        Ok(AgentLimits {
            resources_per_hour: self.resources_per_hour.unwrap_or(usual.resources_per_hour),
            tickets_at_once: self.tickets_at_once.unwrap_or(usual.tickets_at_once),
            tickets_per_minute: self.tickets_per_minute.unwrap_or(usual.tickets_per_minute),
        })
    }
}

async fn enrol(State(shared): App, caller: Caller, Body(wanted): Body<NewAgent>) -> Answer<AgentTold> {
    let id: AgentId = field("/id", &wanted.id)?;
    let permissions: Vec<Permission> = wanted.permissions.into_iter().map(Permission).collect();
    let warnings = warnings(&shared, &permissions);
    let agent = Agent {
        id: id.clone(),
        kind: wanted.r#type,
        limits: wanted.limits.limits()?,
        permissions,
        provides: Vec::new(),
        public_key: wanted.public_key.to_ascii_lowercase(),
        requires: Vec::new(),
        state: AgentState::Enrolled,
        version: wanted.version,
    };
    let wish = GovernanceWish::Agent { agent: id.clone(), wish: AgentWish::Enrol(Box::new(agent)) };
    let proposed = propose(&shared, wish, &wanted.reason, &caller).await?;
    Ok(Json(AgentTold(told(&shared, &id, proposed, warnings))))
}

/// What is odd about permissions, and no reason to refuse them.
fn warnings(shared: &Shared, permissions: &[Permission]) -> Vec<String> {
    let idle = shared.pipeline.idle_permissions(permissions);
    idle.iter().map(|one| format!("no action here asks for `{one}`; look whether it is spelt as you mean it")).collect()
}

fn told(shared: &Shared, agent: &AgentId, mut done: Value, warnings: Vec<String>) -> Value {
    done["agent"] = json!(agent);
    done["now"] = json!(shared.pipeline.gate().state().roster.get(agent).cloned());
    if !warnings.is_empty() {
        done["warnings"] = json!(warnings);
    }
    done
}

/// What is wanted of an agent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AgentDetails {
    /// Why.
    #[schema(required = true)]
    pub(crate) reason: String,
    /// Its new key: ed25519, hexadecimal.
    pub(crate) public_key: Option<String>,
    /// All that it may from now on: `execute:recovery`.
    pub(crate) permissions: Option<Vec<String>>,
}

async fn command(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path((id, command)): Path<(String, String)>,
    Body(details): Body<AgentDetails>,
) -> Answer<AgentTold> {
    let work = tell_agent(&shared, &caller, &id, &command, details);
    matching(&shared, &Thing::one("agents", &id), &headers, work).await.map(AgentTold).map(Json)
}

/// Tells an agent something, or proposes to; on a page or over the interface.
pub(crate) async fn tell_agent(
    shared: &Shared,
    caller: &Caller,
    id: &str,
    command: &str,
    details: AgentDetails,
) -> Result<Value, Failure> {
    let agent: AgentId = parsed(id)?;
    let moved = |to| AgentWish::Move { to, because: "an administrator said so".into() };
    let needs = |field: &str| {
        let detail = format!("`{command}` needs `{field}`");
        Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).at(format!("/{field}"))
    };
    let mut odd = Vec::new();
    let wish = match command {
        "activate" => moved(AgentMove::Activate),
        "drain" => moved(AgentMove::Drain),
        "quarantine" => moved(AgentMove::Quarantine),
        "retire" => moved(AgentMove::Retire),
        "key" => AgentWish::Key { public_key: details.public_key.ok_or_else(|| needs("public_key"))? },
        "permissions" => {
            let wanted = details.permissions.ok_or_else(|| needs("permissions"))?;
            let wanted: Vec<Permission> = wanted.into_iter().map(Permission).collect();
            odd = warnings(shared, &wanted);
            AgentWish::Permissions(wanted)
        }
        other => {
            let detail = format!("an agent cannot be told to `{}`", other.chars().take(40).collect::<String>());
            return Err(Failure::new(StatusCode::NOT_FOUND, "not-found", detail)
                .hint("one of activate, drain, quarantine, retire, key, permissions")
                .parameter("command"));
        }
    };
    let state = shared.pipeline.gate().state().roster.get(&agent).map(|agent| agent.state);
    let state = state.ok_or_else(|| Failure::not_found("agent", &short(id)))?;
    // What gives an agent more than it has is for two people; what takes from it is for whoever is there.
    let gives = match &wish {
        AgentWish::Move { to, .. } => *to == AgentMove::Activate && state == AgentState::Quarantined,
        AgentWish::Key { .. } | AgentWish::Permissions(_) | AgentWish::Enrol(_) => true,
    };
    if gives {
        let wish = GovernanceWish::Agent { agent: agent.clone(), wish };
        let proposed = propose(shared, wish, &details.reason, caller).await?;
        return Ok(told(shared, &agent, proposed, odd));
    }
    let done = shared.pipeline.change_agent(&agent, &wish, reason(&details.reason)?, &caller.actor()).await;
    done.map_err(|error| match error {
        AgentError::Refused(_) => Failure::new(StatusCode::CONFLICT, "refused", error_chain(&error)),
        AgentError::Commit(error) => Failure::from(error),
        AgentError::Ledger(error) => Failure::from(error),
    })?;
    Ok(told(shared, &agent, json!({}), odd))
}

/// Why an agent stays as it is, with the way out where there is one.
pub(crate) fn stays(error: &ChangeError, because: &RosterRefused) -> Failure {
    let refused = Failure::new(StatusCode::CONFLICT, "refused", error_chain(error));
    if matches!(because, RosterRefused::TooMany { .. }) {
        return Failure::new(StatusCode::BAD_REQUEST, "invalid", error_chain(error))
            .at("/permissions")
            .hint("`read:*` is every object of a verb; or make two agents of it");
    }
    if let RosterRefused::Taken { agent, .. } = because {
        return refused.hint(format!(
            "if it is the same agent with a new key: `writ agent key {agent}`; if it is another, give it another id: one that is \
             retired stays taken"
        ));
    }
    if matches!(because, RosterRefused::SharedKey { .. }) {
        return refused.hint("make it a key of its own: nobody could tell which of the two acted");
    }
    refused
}
