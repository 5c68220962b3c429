//! One decision: over 100 rules that all apply, and over 10,000 rules of which ten do. `cargo bench -p writ-policy`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros make undocumented items; a benchmark may stop"
)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use writ_core::{Stage, Timestamp};
use writ_policy::{Bundle, Question, facts};

fn bundle(text: &str) -> Bundle {
    Bundle::load(&[("bench.yaml", text.as_bytes())]).unwrap()
}

fn now() -> Timestamp {
    "2026-11-21T10:30:00Z".parse().unwrap()
}

fn plan_facts() -> Value {
    json!({
        "intent": {
            "id": "DEPLOY-WEB-001", "type": "deployment", "description": "a web service", "labels": {"team": "web"},
            "environment": "production",
            "requirements": {"availability": "0.999", "latency_p95_ms": 100, "throughput_rps": 1000, "min_instances": 3, "max_instances": 10},
            "constraints": {"budget_per_month": 500, "currency": "USD", "regions": ["us-west", "us-east"]},
        },
        "platform": {
            "provider": "local", "regions": ["us-west", "us-east"], "tls": {"enabled": true, "min_version": "1.3"},
            "authentication": {"enabled": true, "method": "token"},
        },
        "plan": {
            "cost_per_month": "111.28", "peak_cost_per_month": "325.5", "instances": 3, "min_instances": 3, "max_instances": 10,
            "instance_type": "t3.medium", "zones": ["us-west-2a", "us-west-2b", "us-west-2c"], "regions": ["us-west"], "steps": 7,
            "creates": 5, "updates": 0, "replaces": 0, "deletes": 0, "irreversible": 0,
        },
        "requester": {"id": "alice", "kind": "human", "roles": ["operator"]}, "maintenance": false, "now": facts::now(now()),
    })
}

fn action_facts() -> Value {
    json!({
        "action": {"name": "deploy_77", "verb": "instance.ensure", "class": "keyed", "resource": "web/i-1", "origin": "intent", "permission": "execute:deploy"},
        "agent": {"id": "a-1", "type": "provisioning", "permissions": ["execute:deploy"]},
        "intent": {"id": "DEPLOY-WEB-001", "environment": "production"},
        "requester": {"id": "alice", "kind": "human", "roles": ["operator"]}, "maintenance": false, "now": facts::now(now()),
    })
}

/// The shapes of the example's own rules, in turn.
fn a_hundred() -> Bundle {
    let shapes = [
        "platform.tls.enabled && platform.tls.min_version >= '1.3'",
        "plan.cost_per_month <= 500.5",
        "!has(intent.constraints.budget_per_month) || plan.cost_per_month <= intent.constraints.budget_per_month",
        "plan.regions.all(region, region in intent.constraints.regions)",
        "(plan.deletes + plan.replaces) * 2 <= plan.instances",
        "intent.environment != 'production' || size(plan.zones) >= 2",
    ];
    let mut text = "rules:\n".to_owned();
    for n in 0..100 {
        let _ = writeln!(text, "  - {{id: R{n:03}, stage: plan, rule: {}}}", json!(shapes[n % shapes.len()]));
    }
    bundle(&text)
}

fn ten_thousand() -> Bundle {
    let mut text = "rules:\n".to_owned();
    for n in 0..10_000 {
        let _ = writeln!(
            text,
            "  - {{id: R{n:05}, effect: allow, actions: [deploy_{}], when: 'action.origin == \"intent\" && !maintenance'}}",
            n % 1_000
        );
    }
    bundle(&text)
}

fn decisions(criterion: &mut Criterion) {
    let places = BTreeMap::new();
    let ask = |bundle: &Bundle, stage, action: &str, facts: Value| {
        bundle.judge(&Question { stage, action, resource: "web/i-1", facts, waivers: &[], now: now(), places: &places })
    };
    let hundred = a_hundred();
    assert_eq!(ask(&hundred, Stage::Plan, "", plan_facts()).results.len(), 100);
    criterion.bench_function("one decision over 100 rules", |bench| {
        bench.iter_batched(plan_facts, |facts| black_box(ask(&hundred, Stage::Plan, "", facts)), BatchSize::SmallInput);
    });
    let many = ten_thousand();
    assert_eq!(ask(&many, Stage::Action, "deploy_77", action_facts()).results.len(), 10);
    criterion.bench_function("one decision over 10,000 rules of which ten match", |bench| {
        bench.iter_batched(
            action_facts,
            |facts| black_box(ask(&many, Stage::Action, "deploy_77", facts)),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("loading 100 rules", |bench| bench.iter(|| black_box(a_hundred())));
}

criterion_group!(benches, decisions);
criterion_main!(benches);
