//! A component: the instances that stand behind it, how it does, and what heals it under which bounds.

use super::draw::spark;
use super::frame::{Frame, Page, shown};
use super::given::{Form, Path};
use super::home::windows;
use super::incidents::{Row as IncidentRow, about};
use super::modes::{Row as ModeRow, rows_of};
use super::session::Visitor;
use super::words::{Html, badge, list as items, number, segment, text};
use crate::api::App;
use crate::error::Failure;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use writ_core::{Actor, ComponentId};
use writ_pipeline::order_fault;

/// Incidents that are shown.
const INCIDENTS: usize = 10;

struct Instance {
    slot: String,
    zone: String,
    address: String,
    pid: String,
    generation: u64,
    state: Html,
    alive: bool,
}

#[derive(Template)]
#[template(path = "component.html")]
struct ComponentPage {
    frame: Frame,
    id: String,
    health: Html,
    measured: String,
    line: Html,
    metrics: Vec<(String, String)>,
    instances: Vec<Instance>,
    triggers: Vec<(String, String)>,
    bounds: Vec<(&'static str, String)>,
    incidents: Vec<IncidentRow>,
    modes: Vec<ModeRow>,
    /// Whether the visitor may break an instance to see it healed.
    breakable: bool,
}

pub(crate) async fn page(State(shared): App, visitor: Visitor, Path(id): Path<String>) -> Page {
    let missing = || Failure::not_found("component", &id);
    let component: ComponentId = id.parse().map_err(|_| missing())?;
    let monitoring = shared.pipeline.healing(&component).map(|healing| healing.monitoring());
    let instance = |one: &Value| {
        let alive = one.get("alive") == Some(&Value::Bool(true));
        Instance {
            slot: text(one, "/slot").to_owned(),
            zone: text(one, "/zone").to_owned(),
            address: text(one, "/address").to_owned(),
            pid: one.get("pid").and_then(Value::as_i64).map(|pid| pid.to_string()).unwrap_or_default(),
            generation: number(one, "/generation"),
            state: badge(if alive { "alive" } else { "dead" }),
            alive,
        }
    };
    let all = (shared.processes)();
    let mut instances: Vec<Instance> = all.iter().filter(|one| text(one, "/component") == id).map(instance).collect();
    instances.sort_by_key(|one| (one.slot.len(), one.slot.clone()));
    if monitoring.is_none() && instances.is_empty() {
        return Err(missing().into());
    }
    let monitoring = monitoring.unwrap_or_default();
    let metrics = monitoring.pointer("/monitoring/metrics").and_then(Value::as_object);
    let metrics = metrics.into_iter().flatten().map(|(name, value)| (name.replace('_', " "), in_unit(name, value)));
    let healing = "/monitoring/self_healing_config";
    let triggers = items(&monitoring, &format!("{healing}/triggers"))
        .iter()
        .map(|one| (text(one, "/condition").to_owned(), text(one, "/action").replace('_', " ")));
    let budgets = items(&monitoring, &format!("{healing}/budgets")).iter();
    let budgets: Vec<String> =
        budgets.map(|one| format!("{} in {} s", number(one, "/count"), number(one, "/period_seconds"))).collect();
    let bounds = vec![
        (
            "Attempts for one incident",
            number(&monitoring, &format!("{healing}/recovery_policy/max_attempts")).to_string(),
        ),
        (
            "Verified within",
            format!("{} s", number(&monitoring, &format!("{healing}/recovery_policy/timeout_seconds"))),
        ),
        ("Budget", budgets.join(", ")),
    ];
    let (values, measured) = windows(&shared, &id).await?;
    let frame = Frame::new(&shared, &visitor, "", &id).await?.live(&format!("component/{id} incident/ run/"));
    shown(&ComponentPage {
        frame,
        health: badge(text(&monitoring, "/monitoring/health_status")),
        line: spark(&values, 0.5, &format!("availability over {} windows: {measured}", values.len())),
        measured,
        metrics: metrics.collect(),
        instances,
        triggers: triggers.collect(),
        bounds,
        incidents: about(&shared, &id, INCIDENTS).await?,
        modes: rows_of(&shared, &component).await?,
        breakable: shared.breaks.is_some() && visitor.holds("operator"),
        id,
    })
}

/// What was measured, in the unit that conditions tell it in.
fn in_unit(name: &str, value: &Value) -> String {
    let unit = match name {
        "availability" | "error_rate" => " %",
        "latency_p95" => " ms",
        "throughput" => " req/s",
        _ => "",
    };
    match value.as_str() {
        Some(text) => text.to_owned(),
        None if value.is_null() => "not measured".to_owned(),
        None => format!("{value}{unit}"),
    }
}

/// The instance that is to be broken.
#[derive(Debug, Deserialize)]
pub(crate) struct Broken {
    slot: String,
}

/// Kills an instance on purpose, where that may be done at all. What is ordered is an entry before it is done.
pub(crate) async fn break_one(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(broken): Form<Broken>,
) -> Page {
    visitor.must("operator")?;
    let refused = |detail: &str| Failure::new(StatusCode::CONFLICT, "refused", detail);
    let breaks =
        shared.breaks.clone().ok_or_else(|| refused("nothing is broken on purpose here: only `dev` does that"))?;
    let there = (shared.processes)();
    let lives = |one: &Value| {
        text(one, "/component") == id
            && text(one, "/slot") == broken.slot
            && one.get("alive") == Some(&Value::Bool(true))
    };
    if !there.iter().any(lives) {
        return Err(refused("this instance does not live").into());
    }
    let by = Actor::human(&visitor.principal.id);
    order_fault(shared.pipeline.journal(), &id, &broken.slot, &by).await.map_err(Failure::from)?;
    if !breaks(&id, &broken.slot) {
        return Err(refused("this instance has gone meanwhile").into());
    }
    Ok(Redirect::to(&format!("/components/{}", segment(&id))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_in_their_units() {
        for (name, value, told) in [
            ("availability", serde_json::json!(91.635), "91.635 %"),
            ("latency_p95", serde_json::json!(9.471), "9.471 ms"),
            ("throughput", serde_json::json!(20.787), "20.787 req/s"),
            ("error_rate", Value::Null, "not measured"),
        ] {
            assert_eq!(in_unit(name, &value), told);
        }
    }
}
