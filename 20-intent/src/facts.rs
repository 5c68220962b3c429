//! What policy may know of an intent and of its plan: plain facts, whole numbers with their unit in the name.

use crate::intent::Intent;
use crate::platform::Platform;
use crate::translate::Translation;
use serde_json::{Map, Value, json};
use writ_core::{Change, Plan};

/// The `intent` and `platform` facts. What the manifest leaves out is absent, so that a rule must ask with `has()`.
#[must_use]
pub fn intent_facts(intent: &Intent, platform: &Platform) -> Value {
    let (wanted, limits) = (&intent.requirements, &intent.constraints);
    let regions: Vec<&str> = limits
        .regions
        .iter()
        .map(|name| platform.region(name).map_or(name.as_str(), |region| region.name.as_str()))
        .collect();
    let mut facts = Map::from_iter([
        ("id".to_owned(), json!(intent.id)),
        ("type".to_owned(), json!(intent.kind.word())),
        ("environment".to_owned(), json!(intent.target.environment)),
        ("component".to_owned(), json!(intent.target.component.as_ref().unwrap_or(&platform.component.id))),
        ("regions".to_owned(), json!(regions)),
        ("labels".to_owned(), json!(intent.labels)),
        ("approvers".to_owned(), json!(intent.approvers)),
        ("heals".to_owned(), json!(intent.heal.enabled.unwrap_or(true))),
        ("heal_mode".to_owned(), json!(intent.heal.mode.unwrap_or(platform.healing.mode).word())),
    ]);
    let numbers = [
        ("availability_ppb", wanted.availability_ppb),
        ("latency_p95_us", wanted.latency_p95_us),
        ("throughput_mrps", wanted.throughput_mrps),
        ("min_instances", wanted.min_instances.map(u64::from)),
        ("max_instances", wanted.max_instances.map(u64::from)),
        ("budget_micros", limits.budget.as_ref().map(|budget| budget.micros)),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            facts.insert(name.to_owned(), json!(value));
        }
    }
    json!({
        "intent": facts,
        "platform": {
            "provider": platform.provider,
            "tls_enabled": platform.tls.enabled,
            "tls_min_version": platform.tls.min_version,
            "authentication_enabled": platform.authentication.enabled,
            "authentication_method": platform.authentication.method,
            "demand_measured": platform.demand.origin == crate::intent::Origin::Measured,
        },
    })
}

/// The `plan` facts: what was solved, and how much of what is there it touches.
#[must_use]
pub fn plan_facts(plan: &Plan, translation: &Translation) -> Value {
    let (layout, predicted) = (&translation.layout, &translation.predicted);
    let touches = |verb: &str| plan.steps.iter().filter(|step| step.verb == verb).count();
    let replaces = plan.actions.iter().any(|action| matches!(action.change, Change::Replace { .. }));
    let mut facts = Map::from_iter([
        ("instance_type".to_owned(), json!(layout.instance_type.name)),
        ("count".to_owned(), json!(layout.count)),
        ("quorum".to_owned(), json!(layout.quorum)),
        ("regions".to_owned(), json!(layout.regions)),
        ("zones".to_owned(), json!(layout.zones())),
        ("cost_micros".to_owned(), json!(predicted.cost_micros)),
        ("peak_micros".to_owned(), json!(predicted.peak_micros)),
        ("currency".to_owned(), json!(translation.currency)),
        ("availability_ppb".to_owned(), json!(predicted.availability_ppb)),
        ("steps".to_owned(), json!(plan.steps.len())),
        ("instances_ensured".to_owned(), json!(touches("instance.ensure"))),
        ("instances_removed".to_owned(), json!(touches("instance.remove"))),
        ("replaces".to_owned(), json!(replaces)),
        ("soft_constraints_broken".to_owned(), json!(translation.gave_way.len())),
        ("profile".to_owned(), json!(translation.profile)),
    ]);
    if let Some(latency) = predicted.latency_even_us {
        facts.insert("latency_p95_us".to_owned(), json!(latency));
    }
    json!({ "plan": facts })
}
