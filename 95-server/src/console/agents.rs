//! Agents: what each may do, how much of it is left, and the kill switch.

use super::audit::named;
use super::frame::{Frame, Page, shown};
use super::given::{Form, Query};
use super::list::{PAGE, by_name, more_of};
use super::session::Visitor;
use super::words::{Html, badge, escape, link, parted, when, when_of};
use crate::api::{App, Shared, begins};
use crate::error::Failure;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use writ_core::{Actor, AgentId};
use writ_pipeline::{KillScope, PulledSwitch, Span};

pub(super) struct Row {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) version: String,
    pub(super) state: Html,
    pub(super) permissions: Vec<String>,
    pub(super) contracts: Vec<Html>,
    pub(super) limits: String,
    pub(super) key: String,
    pub(super) changed: Html,
    /// Whether it lives in this process, and can redeem what it is given.
    pub(super) here: bool,
    pulled: bool,
    pub(super) tickets: Vec<Held>,
}

/// A ticket that an agent holds now.
pub(super) struct Held {
    pub(super) resource: Html,
    pub(super) run: Html,
    pub(super) until: Html,
}

/// A switch that is pulled.
struct Switch {
    scope: String,
    form: String,
    by: String,
    at: Html,
}

#[derive(Template)]
#[template(path = "agents.html")]
struct AgentsPage {
    frame: Frame,
    rows: Vec<Row>,
    all_pulled: bool,
    switches: Vec<Switch>,
    more: Html,
    more_switches: Html,
    may: bool,
}

/// Where the lists of the page begin, as its address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    /// The agent before.
    after: Option<String>,
    /// The kill switch before.
    switches: Option<String>,
}

/// Agents as they are now, with when each last changed as its document says.
pub(super) fn rows(shared: &Shared, docs: &[(String, Value)]) -> Vec<Row> {
    let state = shared.pipeline.gate().state();
    let row = |(id, doc): &(String, Value)| {
        let agent = state.roster.get(&id.parse().ok()?)?;
        let stops = |scope: &KillScope| matches!(scope, KillScope::Agent { agent } if agent.as_str() == id);
        let uses = agent.provides.iter().map(|one| ("provides", one));
        let uses = uses.chain(agent.requires.iter().map(|one| ("requires", one)));
        let held = state.tickets.held_by(&agent.id).map(|ticket| Held {
            resource: link(&ticket.order.resource),
            run: link(ticket.order.run.as_str()),
            until: when(ticket.order.lease_until),
        });
        let limits = &agent.limits;
        Some(Row {
            id: id.clone(),
            kind: agent.kind.clone(),
            version: agent.version.clone(),
            state: badge(&agent.state.to_string()),
            permissions: agent.permissions.iter().map(ToString::to_string).collect(),
            contracts: uses.map(|(how, one)| used(how, &one.contract, &one.version)).collect(),
            limits: format!(
                "{} at once, {} a minute, {} resources an hour",
                limits.tickets_at_once, limits.tickets_per_minute, limits.resources_per_hour
            ),
            key: agent.public_key.chars().take(12).collect(),
            changed: when_of(doc, "/last/at"),
            here: shared.pipeline.gate().lives(agent),
            tickets: held.collect(),
            pulled: state.switches.pulled().any(|(scope, _)| stops(scope)),
        })
    };
    docs.iter().filter_map(row).collect()
}

/// How an agent uses a contract.
fn used(how: &str, contract: &str, version: &str) -> Html {
    Html(format!("{how} {} {}", parted(contract), escape(version)))
}

pub(crate) async fn page(State(shared): App, visitor: Visitor, Query(wanted): Query<Wanted>) -> Page {
    let first = wanted.after.is_none() && wanted.switches.is_none();
    let live = if first { "agent/ safety/" } else { "" };
    let frame = Frame::new(&shared, &visitor, "/agents", "Agents").await?.live(live);
    let agents = by_name(shared.pipeline.journal(), "agents", wanted.after.as_deref()).await?;
    begins(&shared, "switches", wanted.switches.as_deref()).await?;
    let switches = shared.pipeline.pulled_switches(Span::behind(wanted.switches.as_deref(), PAGE)).await?;
    let all_pulled = shared.pipeline.gate().state().switches.pulled().any(|(scope, _)| *scope == KillScope::All);
    let mut pulled_now = Vec::with_capacity(switches.rows.len());
    for PulledSwitch { scope, pulled, .. } in &switches.rows {
        let by = named(shared.pipeline.journal(), &pulled.by).await?;
        pulled_now.push(Switch { scope: scope.to_string(), form: scope.name(), by, at: when(pulled.at) });
    }
    shown(&AgentsPage {
        frame,
        rows: rows(&shared, &agents.rows),
        all_pulled,
        switches: pulled_now,
        more: agents.more("/agents"),
        more_switches: more_of("switches", "/agents", "", switches.next.as_deref()),
        may: visitor.holds("operator"),
    })
}

/// A kill switch, as the form sends it: `all`, `agent:ID`, `action:NAME` or `resource:NAME`.
#[derive(Debug, Deserialize)]
pub(crate) struct Pull {
    scope: String,
    command: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn kill_switch(State(shared): App, visitor: Visitor, Form(pull): Form<Pull>) -> Page {
    visitor.must("operator")?;
    let unknown = || Failure::new(StatusCode::BAD_REQUEST, "invalid", "this is no kill switch");
    let scope = match pull.scope.split_once(':') {
        None if pull.scope == "all" => KillScope::All,
        Some(("agent", id)) => KillScope::Agent { agent: crate::api::parsed::<AgentId>(id)? },
        Some(("action", action)) => KillScope::Action { action: action.to_owned() },
        Some(("resource", resource)) => KillScope::Resource { resource: resource.to_owned() },
        _ => return Err(unknown().into()),
    };
    if let KillScope::Agent { agent } = &scope
        && shared.pipeline.gate().state().roster.get(agent).is_none()
    {
        return Err(Failure::not_found("agent", agent.as_str()).into());
    }
    let pulled = match pull.command.as_str() {
        "pull" => true,
        "release" => false,
        _ => return Err(unknown().into()),
    };
    let by = Actor::human(&visitor.principal.id);
    shared.pipeline.kill_switch(scope, pulled, crate::api::words(&pull.reason)?, &by).await.map_err(Failure::from)?;
    Ok(Redirect::to("/agents").into_response())
}
