//! Agents: what each may do, how much of it is left, and the kill switch.

use super::frame::{Frame, Page, shown};
use super::session::Visitor;
use super::words::{Html, badge, link, list as items, number, text, texts as words_of, when, when_of};
use crate::api::App;
use crate::error::Failure;
use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use writ_core::{Actor, AgentId};
use writ_pipeline::KillScope;

/// Agents on the page.
const SHOWN: usize = 500;

struct Row {
    id: String,
    kind: String,
    version: String,
    state: Html,
    permissions: Vec<String>,
    contracts: Vec<String>,
    limits: String,
    key: String,
    changed: Html,
    pulled: bool,
    tickets: Vec<Held>,
}

/// A ticket that an agent holds now.
struct Held {
    resource: String,
    run: Html,
    until: Html,
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
    may: bool,
}

pub(crate) async fn page(State(shared): App, visitor: Visitor) -> Page {
    let journal = shared.pipeline.journal();
    let frame = Frame::new(&shared, &visitor, "/agents", "Agents").await?.live("agent/ safety/");
    let pulled: Vec<(KillScope, String, writ_core::Timestamp)> = {
        let state = shared.pipeline.gate().state();
        state.switches.pulled().map(|(scope, pulled)| (scope.clone(), pulled.by.to_string(), pulled.at)).collect()
    };
    let held = |agent: &str| -> Vec<Held> {
        let Ok(agent) = agent.parse::<AgentId>() else { return Vec::new() };
        let state = shared.pipeline.gate().state();
        let told = state.tickets.held_by(&agent).map(|ticket| Held {
            resource: ticket.order.resource.clone(),
            run: link(ticket.order.run.as_str()),
            until: when(ticket.order.lease_until),
        });
        told.collect()
    };
    let (docs, _) = journal.docs("agents", "", None, SHOWN).await?;
    let row = |(id, doc): &(String, Value)| {
        let texts = |pointer: &str| words_of(doc, pointer).map(str::to_owned).collect();
        let contracts = items(doc, "/agent/provides").iter().map(|one| ("provides", one));
        let contracts = contracts.chain(items(doc, "/agent/requires").iter().map(|one| ("requires", one)));
        let state = text(doc, "/to");
        let limit = |name: &str| number(doc, &format!("/agent/limits/{name}"));
        Row {
            id: id.clone(),
            kind: text(doc, "/agent/kind").to_owned(),
            version: text(doc, "/agent/version").to_owned(),
            state: badge(if state.is_empty() { text(doc, "/agent/state") } else { state }),
            permissions: texts("/agent/permissions"),
            contracts: contracts
                .map(|(how, one)| {
                    let range = [text(one, "/version"), text(one, "/range")].concat();
                    format!("{how} {} {range}", text(one, "/contract"))
                })
                .collect(),
            limits: format!(
                "{} at once, {} a minute, {} resources an hour",
                limit("tickets_at_once"),
                limit("tickets_per_minute"),
                limit("resources_per_hour")
            ),
            key: text(doc, "/agent/public_key").chars().take(12).collect(),
            changed: when_of(doc, "/last/at"),
            tickets: held(id),
            pulled: pulled
                .iter()
                .any(|(scope, _, _)| matches!(scope, KillScope::Agent { agent } if agent.as_str() == id)),
        }
    };
    let switches = pulled.iter().map(|(scope, by, at)| Switch {
        scope: scope.to_string(),
        form: match scope {
            KillScope::All => "all".to_owned(),
            KillScope::Agent { agent } => format!("agent:{agent}"),
            KillScope::Action { action } => format!("action:{action}"),
            KillScope::Resource { resource } => format!("resource:{resource}"),
        },
        by: by.clone(),
        at: when(*at),
    });
    shown(&AgentsPage {
        frame,
        rows: docs.iter().map(row).collect(),
        all_pulled: pulled.iter().any(|(scope, _, _)| *scope == KillScope::All),
        switches: switches.collect(),
        may: visitor.holds("operator"),
    })
}

/// A kill switch, as the form sends it: `all`, `agent:ID`, `action:NAME` or `resource:NAME`.
#[derive(Debug, Deserialize)]
pub(crate) struct Pull {
    scope: String,
    command: String,
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
    shared.pipeline.kill_switch(scope, pulled, &by).await.map_err(Failure::from)?;
    Ok(Redirect::to("/agents").into_response())
}
