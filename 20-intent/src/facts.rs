//! What policy may know of an intent and of its plan. Shares, money and times are decimal texts, so that facts stay canonical.

use crate::diff::change_of;
use crate::figure::decimal;
use crate::intent::Intent;
use crate::platform::{MONTH_HOURS, Platform, Region};
use crate::translate::Translation;
use serde_json::{Map, Value, json};
use writ_core::{Change, Plan};

/// The `intent` and `platform` facts. What the manifest leaves out is absent, so that a rule must ask with `has()`.
#[must_use]
pub fn intent_facts(intent: &Intent, platform: &Platform) -> Value {
    let (wanted, limits) = (&intent.requirements, &intent.constraints);
    let mut requirements = Map::new();
    let asked = [
        ("availability", wanted.availability_ppb.map(|ppb| json!(decimal(ppb, 9)))),
        ("latency_p95_ms", wanted.latency_p95_us.map(|us| json!(decimal(us, 3)))),
        ("throughput_rps", wanted.throughput_mrps.map(|mrps| json!(decimal(mrps, 3)))),
        ("min_instances", wanted.min_instances.map(|count| json!(count))),
        ("max_instances", wanted.max_instances.map(|count| json!(count))),
    ];
    requirements.extend(asked.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    let regions: Vec<&str> =
        limits.regions.iter().map(|name| platform.region(name).map_or(name.as_str(), common_name)).collect();
    let mut constraints = Map::from_iter([("regions".to_owned(), json!(regions))]);
    if let Some(budget) = &limits.budget {
        constraints.insert("budget_per_month".to_owned(), json!(decimal(budget.micros, 6)));
        constraints.insert("currency".to_owned(), json!(budget.currency));
    }
    json!({
        "intent": {
            "id": intent.id,
            "type": intent.kind.word(),
            "description": intent.description,
            "labels": intent.labels,
            "environment": intent.target.environment,
            "requirements": requirements,
            "constraints": constraints,
        },
        "platform": {
            "provider": platform.provider,
            "regions": platform.regions.iter().map(common_name).collect::<Vec<_>>(),
            "tls": { "enabled": platform.tls.enabled, "min_version": platform.tls.min_version },
            "authentication": { "enabled": platform.authentication.enabled, "method": platform.authentication.method },
        },
    })
}

/// The `plan` facts: what was solved, and how much of what is there the plan touches.
#[must_use]
pub fn plan_facts(plan: &Plan, translation: &Translation, intent: &Intent, platform: &Platform) -> Value {
    let (layout, predicted) = (&translation.layout, &translation.predicted);
    let changes: Vec<Change> = plan.steps.iter().map(change_of).collect();
    let count = |is: fn(&Change) -> bool| changes.iter().filter(|change| is(change)).count();
    // What has ended is made anew and nothing is taken away by it: nothing but its generation differs.
    let revives = |change: &Change| matches!(change, Change::Replace { because } if because == "/generation");
    let revived = changes.iter().filter(|change| revives(change)).count();
    let regions: Vec<&str> =
        layout.regions.iter().map(|name| platform.region(name).map_or(name.as_str(), common_name)).collect();
    let mut facts = Map::from_iter([
        ("cost_per_month".to_owned(), json!(decimal(predicted.cost_micros, 6))),
        ("peak_cost_per_month".to_owned(), json!(decimal(predicted.peak_micros, 6))),
        ("instances".to_owned(), json!(layout.count)),
        ("min_instances".to_owned(), json!(translation.min_instances)),
        ("max_instances".to_owned(), json!(translation.max_instances)),
        ("instance_type".to_owned(), json!(layout.instance_type.name)),
        ("zones".to_owned(), json!(layout.zones())),
        ("regions".to_owned(), json!(regions)),
        ("steps".to_owned(), json!(plan.steps.len())),
        ("creates".to_owned(), json!(count(|change| matches!(change, Change::Create)) + revived)),
        ("updates".to_owned(), json!(count(|change| matches!(change, Change::Update { .. })))),
        ("replaces".to_owned(), json!(count(|change| matches!(change, Change::Replace { .. })) - revived)),
        ("deletes".to_owned(), json!(count(|change| matches!(change, Change::Delete)))),
        ("irreversible".to_owned(), json!(plan.steps.iter().filter(|step| step.undo.is_none()).count())),
    ]);
    if let Some(mrps) = intent.requirements.throughput_mrps {
        let cost = cost_per_million(predicted.cost_micros, mrps);
        facts.insert("cost_per_million_requests".to_owned(), json!(decimal(cost, 6)));
    }
    if let Some(latency) = predicted.latency_even_us {
        let predicted = json!({
            "availability": decimal(predicted.availability_ppb, 9),
            "latency_p95_ms": decimal(latency, 3),
        });
        facts.insert("predicted".to_owned(), predicted);
    }
    json!({ "plan": facts })
}

/// The name that intents most likely use for a region: its first alias, when it has one.
fn common_name(region: &Region) -> &str {
    region.aliases.first().unwrap_or(&region.name)
}

/// What a million requests cost at a rate that is held all month, in millionths, rounded up.
fn cost_per_million(month_micros: u64, mrps: u64) -> u64 {
    let requests_milli = u128::from(mrps.max(1)) * u128::from(MONTH_HOURS) * 3_600;
    let cost = (u128::from(month_micros) * 1_000_000_000).div_ceil(requests_milli);
    u64::try_from(cost).unwrap_or(u64::MAX).min((1 << 53) - 1)
}
