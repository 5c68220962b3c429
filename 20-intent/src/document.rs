//! Plans, reports and conflicts as documents: whole numbers and texts, keys in order, the same bytes for the same plan.

use crate::conflict::{Adjustment, Fix, Infeasible};
use crate::diff::Diff;
use crate::figure;
use crate::platform::Platform;
use crate::translate::Translation;
use serde_json::{Map, Value, json};
use writ_core::{Change, Digest, Plan};
use writ_text::listed;

/// The digest of a plan: what approvals and permits are bound to.
#[must_use]
pub fn plan_digest(plan: &Plan) -> Digest {
    crate::digest(&value_of(plan))
}

/// The plan as a `plan:` document: what was chosen, what is predicted, what it rests on, and every action.
#[must_use]
pub fn plan_document(plan: &Plan, translation: &Translation) -> Value {
    let digest = plan_digest(plan);
    let mut document = Map::new();
    document.insert("id".into(), json!(format!("plan_{}", digest.short())));
    document.insert("digest".into(), json!(digest));
    document.insert("intent".into(), json!(format!("{}@{}", plan.intent, plan.intent_version)));
    document.insert("intent_digest".into(), json!(plan.intent_digest));
    document.insert("world".into(), json!(plan.world));
    document.insert("chosen".into(), chosen(translation));
    document.insert("predicted".into(), predicted(translation));
    document.insert("break_even".into(), break_even(translation));
    document.insert("assumptions".into(), json!(translation.assumptions));
    document.insert("profile".into(), json!(translation.profile));
    document.insert("gave_way".into(), adjustments(&translation.gave_way, &translation.currency));
    document.insert("actions".into(), actions(plan));
    json!({ "plan": document })
}

fn chosen(translation: &Translation) -> Value {
    let (layout, predicted) = (&translation.layout, &translation.predicted);
    let month = |micros| format!("{}/month", figure::money_about(micros, &translation.currency));
    json!({
        "type": layout.instance_type.name,
        "count": layout.count,
        "quorum": layout.quorum,
        "regions": layout.regions,
        "zones": layout.zones(),
        "cost": month(predicted.cost_micros),
        "peak_cost": month(predicted.peak_micros),
    })
}

fn predicted(translation: &Translation) -> Value {
    let predicted = &translation.predicted;
    let mut all = Map::new();
    all.insert("availability".into(), json!(figure::percent_about(predicted.availability_ppb)));
    if let Some(latency) = latency_band(translation) {
        all.insert("latency_p95".into(), json!(latency));
    }
    if let Some(worst) = predicted.latency_quorum_us {
        all.insert("latency_p95_at_quorum".into(), json!(figure::span_about(worst)));
    }
    all.insert("capacity".into(), json!(figure::rate(predicted.capacity_mrps / 1_000 * 1_000)));
    all.insert("busy".into(), json!(format!("{}%", figure::decimal(predicted.busy_permille, 1))));
    Value::Object(all)
}

/// The predicted 95th percentile: with instances evenly busy, and were requests spread at random.
#[must_use]
pub fn latency_band(translation: &Translation) -> Option<String> {
    let even = figure::span_about(translation.predicted.latency_even_us?);
    Some(match translation.predicted.latency_random_us {
        Some(random) => format!("{even}..{}", figure::span_about(random)),
        None => format!("{even}..unbounded"),
    })
}

fn break_even(translation: &Translation) -> Value {
    let mut all = Map::new();
    let last = translation.break_even;
    let rows = [
        ("service_time", last.service_time_us.map(figure::span)),
        ("throughput", last.throughput_mrps.map(figure::rate)),
        ("mttr", last.mttr_s.map(|seconds| format!("{seconds}s"))),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            all.insert(name.into(), json!(value));
        }
    }
    Value::Object(all)
}

fn actions(plan: &Plan) -> Value {
    let one = |action: &writ_core::Action| {
        let steps = plan.steps.iter().filter(|step| step.action == action.id);
        let classes: std::collections::BTreeSet<_> = steps.clone().map(|step| step.class).collect();
        json!({
            "id": action.id,
            "action": action.action,
            "change": value_of(&action.change),
            "config": action.config,
            "needs": action.needs,
            "inverse": action.inverse,
            "permission": action.permission,
            "phase": action.phase,
            "classes": value_of(&classes),
            "steps": steps.map(|step| step.key.to_string()).collect::<Vec<_>>(),
        })
    };
    plan.actions.iter().map(one).collect()
}

/// Conflicts and fixes as an `infeasible:` document.
#[must_use]
pub fn infeasible_document(infeasible: &Infeasible, platform: &Platform) -> Value {
    let fix = |fix: &Fix| {
        json!({
            "changes": adjustments(&fix.changes, &platform.currency),
            "gives": {
                "type": platform.instance_types.get(fix.gives.offer).map(|class| class.name.as_str()),
                "count": fix.gives.count,
                "cost": format!("{}/month", figure::money_about(fix.gives.cost_micros, &platform.currency)),
                "availability": figure::percent_about(fix.gives.availability_ppb),
            },
        })
    };
    json!({ "infeasible": {
        "conflicts": value_of(&infeasible.conflicts),
        "fixes": infeasible.fixes.iter().map(fix).collect::<Vec<_>>(),
    }})
}

/// Conflicts and fixes as lines for a terminal.
#[must_use]
pub fn infeasible_text(infeasible: &Infeasible, platform: &Platform) -> String {
    let mut text = String::new();
    for conflict in &infeasible.conflicts {
        text.push_str(&format!("cannot hold together: {}\n", listed(conflict)));
    }
    for fix in &infeasible.fixes {
        let change = |change: &Adjustment| {
            let (from, to) =
                (change.show(&change.from, &platform.currency), change.show(&change.to, &platform.currency));
            format!("`{}` {to} instead of {from}", change.constraint)
        };
        let changes: Vec<String> = fix.changes.iter().map(change).collect();
        let name = platform.instance_types.get(fix.gives.offer).map_or("", |class| class.name.as_str());
        let cost = figure::money_about(fix.gives.cost_micros, &platform.currency);
        text.push_str(&format!("would do: {} -> {} × {name}, {cost}/month\n", changes.join(" and "), fix.gives.count));
    }
    text
}

fn adjustments(changes: &[Adjustment], currency: &str) -> Value {
    let one = |change: &Adjustment| {
        json!({
            "change": change.constraint.word(),
            "from": change.show(&change.from, currency),
            "to": change.show(&change.to, currency),
        })
    };
    changes.iter().map(one).collect()
}

/// What a difference does, as a document.
#[must_use]
pub fn diff_document(diff: &Diff) -> Value {
    let one = |change: &crate::diff::ResourceChange| {
        let mut row = value_of(&change.change).as_object().cloned().unwrap_or_default();
        row.insert("resource".into(), json!(change.resource));
        Value::Object(row)
    };
    json!({ "diff": {
        "changes": diff.changes.iter().map(one).collect::<Vec<_>>(),
        "unchanged": diff.unchanged,
        "stuck": diff.stuck,
        "plan": plan_digest(&diff.plan),
    }})
}

/// The mark that stands for a change where people read: `+ ~ ± -`.
#[must_use]
pub fn mark(change: &Change) -> char {
    match change {
        Change::Create => '+',
        Change::Update { .. } => '~',
        Change::Replace { .. } => '±',
        Change::Delete => '-',
    }
}

#[expect(
    clippy::expect_used,
    reason = "plans hold only texts, whole numbers, lists and maps, which always become JSON"
)]
fn value_of<T: serde::Serialize>(thing: &T) -> Value {
    serde_json::to_value(thing).expect("a plan that is JSON")
}
