//! Everything that is listed, and what people say about it.

use super::{Answer, App, Asked, Body, Caller, Path, parsed, words};
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use writ_core::{ApprovalId, Filter, IncidentId};
use writ_pipeline::{HealSignal, KillScope, Pulled, recommendation_made, say, text_beside};

/// The views that can be listed.
const VIEWS: [&str; 6] = ["intents", "runs", "incidents", "approvals", "recommendations", "agents"];

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Page {
    after: Option<String>,
    limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: None, limit: 100 }
    }
}

pub(crate) async fn list(
    State(shared): App,
    caller: Caller,
    Path(view): Path<String>,
    Asked(page): Asked<Page>,
) -> Answer {
    caller.must("viewer")?;
    let view = known(&view)?;
    let limit = page.limit.clamp(1, 1_000);
    let (docs, as_of) = shared.pipeline.journal().docs(view, "", page.after.as_deref(), limit).await?;
    let next = if docs.len() == limit { docs.last().map(|(key, _)| key.clone()) } else { None };
    let mut items = Vec::with_capacity(docs.len());
    for (key, doc) in docs {
        items.push(item(&shared, view, &key, doc).await?);
    }
    Ok(Json(json!({"as_of": as_of, "items": items, "next": next})))
}

pub(crate) async fn one(State(shared): App, caller: Caller, Path((view, id)): Path<(String, String)>) -> Answer {
    caller.must("viewer")?;
    let view = known(&view)?;
    let doc = shared.pipeline.journal().doc(view, &id).await?;
    let doc = doc.ok_or_else(|| Failure::not_found(view.trim_end_matches('s'), &id))?;
    let mut item = item(&shared, view, &id, doc).await?;
    if view == "approvals" {
        item["answers"] = json!(answers(&shared, &id).await?);
    }
    Ok(Json(item))
}

/// What people answered, with their words where they were not erased.
async fn answers(shared: &super::Shared, approval: &str) -> Result<Vec<Value>, Failure> {
    let journal = shared.pipeline.journal();
    let mut answers = Vec::new();
    for entry in journal.stream(&format!("approval/{approval}")).await? {
        if entry.kind != "approval.voted/1" {
            continue;
        }
        let reason = match entry.body.get("reason").and_then(|reason| reason.as_str()?.parse().ok()) {
            Some(commitment) => Some(text_beside(journal.ledger(), &commitment).await?),
            None => None,
        };
        let agrees = entry.body.get("agrees");
        answers.push(json!({"by": entry.actor.id, "agrees": agrees, "reason": reason, "at": entry.timestamp}));
    }
    Ok(answers)
}

fn known(view: &str) -> Result<&'static str, Failure> {
    VIEWS.into_iter().find(|known| *known == view).ok_or_else(|| Failure::not_found("list", view))
}

async fn item(shared: &super::Shared, view: &str, key: &str, mut doc: Value) -> Result<Value, Failure> {
    doc["id"] = json!(key);
    if view == "recommendations" {
        // What moves it on names it; what it recommends stands in its first entry.
        doc["recommendation"] = recommendation_made(shared.pipeline.journal(), key).await?["recommendation"].clone();
    }
    Ok(doc)
}

/// A person's words.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Words {
    reason: String,
}

pub(crate) async fn answer(
    State(shared): App,
    caller: Caller,
    Path((id, answer)): Path<(String, String)>,
    Body(said): Body<Words>,
) -> Answer {
    let id: ApprovalId = parsed(&id)?;
    let agrees = match answer.as_str() {
        "approve" => true,
        "reject" => false,
        _ => return Err(Failure::not_found("answer", &answer)),
    };
    let state = shared.pipeline.answer(&id, &caller.0, agrees, words(&said.reason)?).await?;
    Ok(Json(json!({"approval": id, "state": state})))
}

pub(crate) async fn incident(
    State(shared): App,
    caller: Caller,
    Path((id, command)): Path<(String, String)>,
    Body(_): Body<Words>,
) -> Answer {
    caller.must("operator")?;
    let incident: IncidentId = parsed(&id)?;
    let by = caller.0.id.clone();
    let signal = match command.as_str() {
        "ack" => HealSignal::Acknowledge { incident: incident.clone(), by },
        "close" => HealSignal::Close { incident: incident.clone(), by },
        _ => return Err(Failure::not_found("command", &command)),
    };
    tell_healing(&shared, &id, signal).await?;
    Ok(Json(json!({"incident": incident, "done": command})))
}

/// Tells whoever heals an incident's component something about it.
pub(crate) async fn tell_healing(shared: &super::Shared, incident: &str, signal: HealSignal) -> Result<(), Failure> {
    let doc = shared.pipeline.journal().doc("incidents", incident).await?;
    let component = doc.and_then(|doc| doc.get("component")?.as_str()?.parse().ok());
    let healing = component.and_then(|component| shared.pipeline.healing(&component));
    let healing = healing.ok_or_else(|| Failure::not_found("incident", incident))?;
    let told = healing.tell(signal).await;
    told.map_err(|because| Failure::new(StatusCode::CONFLICT, "refused", because))
}

/// A period, in seconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Period {
    seconds: u64,
}

impl Default for Period {
    fn default() -> Self {
        Self { seconds: 7 * 86_400 }
    }
}

pub(crate) async fn feedback(State(shared): App, caller: Caller, Body(period): Body<Period>) -> Answer {
    caller.must("viewer")?;
    let span = std::time::Duration::from_secs(period.seconds.clamp(1, 366 * 86_400));
    let document = shared.pipeline.reflect(span, &caller.0).await;
    document.map(Json).map_err(|error| Failure::of_reflect(error, &shared.pipeline))
}

pub(crate) async fn recommendation(
    State(shared): App,
    caller: Caller,
    Path((id, command)): Path<(String, String)>,
    Body(said): Body<Words>,
) -> Answer {
    caller.must("approver")?;
    let reason = words(&said.reason)?;
    let done = match command.as_str() {
        "approve" => shared.pipeline.approve_recommendation(&id, &caller.0).await,
        "reject" => shared.pipeline.reject_recommendation(&id, &caller.0, reason).await,
        _ => return Err(Failure::not_found("command", &command)),
    };
    let done = done.map_err(|error| Failure::of_reflect(error, &shared.pipeline))?;
    if !reason.is_empty() {
        say(shared.pipeline.journal(), &id, &caller.actor(), reason).await?;
    }
    Ok(Json(done))
}

pub(crate) async fn processes(State(shared): App, caller: Caller) -> Answer {
    caller.must("viewer")?;
    let items = (shared.processes)();
    Ok(Json(json!({"items": items, "next": null})))
}

pub(crate) async fn monitoring(State(shared): App, caller: Caller) -> Answer {
    caller.must("viewer")?;
    let components = shared.pipeline.components();
    let all: Vec<Value> =
        components.iter().filter_map(|component| Some(shared.pipeline.healing(component)?.monitoring())).collect();
    Ok(Json(json!({"items": all, "next": null})))
}

pub(crate) async fn contracts(State(shared): App, caller: Caller) -> Answer {
    caller.must("viewer")?;
    Ok(Json(shared.pipeline.contracts_matrix()))
}

pub(crate) async fn policies(State(shared): App, caller: Caller) -> Answer {
    caller.must("viewer")?;
    Ok(Json(shared.pipeline.policies()))
}

/// What a kill switch is asked to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switch {
    scope: KillScope,
    pulled: bool,
}

pub(crate) async fn kill_switches(State(shared): App, caller: Caller) -> Answer {
    caller.must("viewer")?;
    let state = shared.pipeline.gate().state();
    let told = |(scope, pulled): (&KillScope, &Pulled)| json!({"scope": scope, "what": scope.to_string(), "by": pulled.by.to_string(), "at": pulled.at});
    let items: Vec<Value> = state.switches.pulled().map(told).collect();
    Ok(Json(json!({"items": items, "next": null})))
}

pub(crate) async fn kill_switch(State(shared): App, caller: Caller, Body(switch): Body<Switch>) -> Answer {
    caller.must("operator")?;
    let told = switch.scope.to_string();
    let known = match &switch.scope {
        KillScope::Agent { agent } => shared.pipeline.gate().state().roster.get(agent).is_some(),
        KillScope::Action { action } => {
            let done = Filter { action: Some(action.clone()), ..Filter::default() };
            !shared.pipeline.journal().ledger().query(&done, 1).await?.is_empty()
        }
        KillScope::All | KillScope::Resource { .. } => true,
    };
    let was = shared.pipeline.gate().state().switches.pulled().any(|(scope, _)| *scope == switch.scope);
    shared.pipeline.kill_switch(switch.scope, switch.pulled, &caller.actor()).await?;
    // A switch may be pulled before there is anything to stop; whoever mistyped a name should hear of it.
    Ok(Json(json!({"scope": told, "pulled": switch.pulled, "was_pulled": was, "known": known})))
}
