//! What policies may read, put together from what the layers know. The shape is `writ_policy::facts`'.

use crate::approvals::Principal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use writ_core::{Change, Place, Plan, Timestamp};
use writ_intent::{Intent, Manifest, Platform, Translation};

const PPB: f64 = 1e9;
const MICROS: f64 = 1e6;
const MILLIS: f64 = 1e3;

/// Facts that stand in a manifest, and where.
const WRITTEN: [(&str, &str); 13] = [
    ("intent.id", "/intent/id"),
    ("intent.type", "/intent/type"),
    ("intent.description", "/intent/description"),
    ("intent.labels", "/intent/labels"),
    ("intent.environment", "/intent/target/environment"),
    ("intent.requirements.availability", "/intent/requirements/availability"),
    ("intent.requirements.latency_p95_ms", "/intent/requirements/performance/latency_p95"),
    ("intent.requirements.throughput_rps", "/intent/requirements/performance/throughput"),
    ("intent.requirements.min_instances", "/intent/requirements/scalability/min_instances"),
    ("intent.requirements.max_instances", "/intent/requirements/scalability/max_instances"),
    ("intent.constraints.budget_per_month", "/intent/constraints/budget"),
    ("intent.constraints.currency", "/intent/constraints/budget"),
    ("intent.constraints.regions", "/intent/constraints/region"),
];

/// Where facts stand in a manifest, by their dotted paths.
pub(crate) fn places(manifest: &Manifest) -> BTreeMap<String, Place> {
    WRITTEN.iter().map(|(fact, pointer)| ((*fact).to_owned(), manifest.place(pointer))).collect()
}

/// Facts of the stage `intent`.
pub(crate) fn intent(intent: &Intent, platform: &Platform, by: &Principal, maintenance: bool, now: Timestamp) -> Value {
    let (wanted, limits) = (&intent.requirements, &intent.constraints);
    let mut requirements = Map::new();
    let numbers = [
        ("availability", wanted.availability_ppb.map(|ppb| ppb as f64 / PPB)),
        ("latency_p95_ms", wanted.latency_p95_us.map(|us| us as f64 / MILLIS)),
        ("throughput_rps", wanted.throughput_mrps.map(|mrps| mrps as f64 / MILLIS)),
    ];
    requirements.extend(numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))));
    let counts = [("min_instances", wanted.min_instances), ("max_instances", wanted.max_instances)];
    requirements.extend(counts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))));
    let regions: Vec<&str> = limits
        .regions
        .iter()
        .map(|name| platform.region(name).map_or(name.as_str(), |region| region.name.as_str()))
        .collect();
    let mut constraints = Map::from_iter([("regions".to_owned(), json!(regions))]);
    if let Some(budget) = &limits.budget {
        constraints.insert("budget_per_month".into(), json!(budget.micros as f64 / MICROS));
        constraints.insert("currency".into(), json!(budget.currency));
    }
    json!({
        "intent": {
            "id": intent.id, "type": intent.kind.word(), "description": intent.description, "labels": intent.labels,
            "environment": intent.target.environment, "requirements": requirements, "constraints": constraints,
        },
        "platform": {
            "provider": platform.provider,
            "regions": platform.region_names().collect::<Vec<_>>(),
            "tls": {"enabled": platform.tls.enabled, "min_version": platform.tls.min_version},
            "authentication": {"enabled": platform.authentication.enabled, "method": platform.authentication.method},
        },
        "requester": {"id": by.id, "kind": "human", "roles": by.roles},
        "now": writ_policy::facts::now(now),
        "maintenance": maintenance,
    })
}

/// Facts of the stage `plan`: the intent's, and what was solved.
pub(crate) fn plan(intent_facts: &Value, intent: &Intent, platform: &Platform, plan: &Plan, found: &Translation) -> Value {
    let predicted = &found.predicted;
    let changes = |wanted: fn(&Change) -> bool| plan.actions.iter().filter(|action| wanted(&action.change)).count();
    let month = predicted.cost_micros as f64 / MICROS;
    let regions: Vec<&str> = found
        .layout
        .regions
        .iter()
        .map(|name| platform.region(name).map_or(name.as_str(), |region| region.name.as_str()))
        .collect();
    let mut facts = json!({
        "cost_per_month": month,
        "peak_cost_per_month": predicted.peak_micros as f64 / MICROS,
        "instances": found.layout.count,
        "min_instances": found.min_instances,
        "max_instances": found.max_instances,
        "instance_type": found.layout.instance_type.name,
        "zones": found.layout.zones(),
        "regions": regions,
        "steps": plan.steps.len(),
        "creates": changes(|change| matches!(change, Change::Create)),
        "updates": changes(|change| matches!(change, Change::Update { .. })),
        "replaces": changes(|change| matches!(change, Change::Replace { .. })),
        "deletes": changes(|change| matches!(change, Change::Delete)),
        "irreversible": plan.steps.iter().filter(|step| step.undo.is_none()).count(),
        "predicted": {
            "availability": predicted.availability_ppb as f64 / PPB,
            "latency_p95_ms": predicted.latency_random_us.or(predicted.latency_even_us).unwrap_or(0) as f64 / MILLIS,
        },
    });
    if let Some(mrps) = intent.requirements.throughput_mrps.filter(|mrps| *mrps > 0) {
        let requests = mrps as f64 / MILLIS * 3_600.0 * writ_intent::MONTH_HOURS as f64;
        facts["cost_per_million_requests"] = json!(month / requests * 1e6);
    }
    let mut all = intent_facts.clone();
    all["plan"] = facts;
    all
}
