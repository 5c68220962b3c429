//! What policies may read, put together from what the layers know. The shape is `writ_policy::facts`'.

use crate::approvals::Principal;
use crate::context::RunContext;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_agents::Agent;
use writ_core::{Place, Plan, Timestamp};
use writ_intent::{Intent, Manifest, Platform, Translation, intent_facts, plan_facts};

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

/// Facts of the stage `intent`: the intent layer's, and what only the pipeline knows.
pub(crate) fn intent(intent: &Intent, platform: &Platform, by: &Principal, maintenance: bool, now: Timestamp) -> Value {
    let mut facts = intent_facts(intent, platform);
    facts["requester"] = json!({"id": by.id, "kind": "human", "roles": by.roles});
    facts["now"] = writ_policy::facts::now(now);
    facts["maintenance"] = json!(maintenance);
    facts
}

/// Facts of the stage `plan`: the intent's, and what was solved.
pub(crate) fn plan(of: &Value, intent: &Intent, platform: &Platform, plan: &Plan, found: &Translation) -> Value {
    let mut facts = of.clone();
    facts["plan"] = plan_facts(plan, found, intent, platform)["plan"].clone();
    facts
}

/// What policy is asked about at the stage `action`.
pub(crate) struct About<'a> {
    pub(crate) action: &'a str,
    pub(crate) class: writ_core::EffectClass,
    pub(crate) permission: &'a writ_core::Permission,
    pub(crate) resource: &'a str,
    pub(crate) verb: &'a str,
    pub(crate) intent: &'a writ_core::IntentId,
    pub(crate) requester: &'a writ_core::Actor,
    pub(crate) run: Option<&'a writ_core::RunId>,
}

/// What policy may read about a step.
pub(crate) fn action_facts(
    about: &About<'_>,
    agent: &Agent,
    context: &RunContext,
    maintenance: bool,
    now: Timestamp,
) -> Value {
    let mut facts = json!({
        "action": {
            "name": about.action, "verb": about.verb, "class": about.class, "resource": about.resource,
            "origin": context.origin.word(), "permission": about.permission,
        },
        "agent": {"id": agent.id, "type": agent.kind, "permissions": agent.permissions},
        "requester": {"id": about.requester.id, "kind": about.requester.kind, "roles": context.roles},
        "intent": {"id": about.intent, "environment": context.environment},
        "now": writ_policy::facts::now(now),
        "maintenance": maintenance,
    });
    if let Some(run) = about.run {
        facts["run"] = json!({"id": run});
    }
    if let Some(component) = &context.component {
        facts["action"]["component"] = json!(component);
    }
    if let Some(remedy) = &context.remedy {
        facts["remedy"] = remedy.clone();
    }
    if let Some(outside) = &context.outside {
        facts["outside"] = outside.clone();
        if about.intent.as_str() == writ_intent::NO_INTENT
            && let Value::Object(facts) = &mut facts
        {
            facts.remove("intent");
        }
    }
    facts
}

/// Facts with every fraction as text: what is kept must have canonical bytes.
pub(crate) fn exact(facts: &Value) -> Value {
    match facts {
        Value::Number(number) if number.is_f64() => Value::String(number.to_string()),
        Value::Array(items) => items.iter().map(exact).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), exact(value))).collect(),
        Value::Number(_) | Value::String(_) | Value::Bool(_) | Value::Null => facts.clone(),
    }
}
