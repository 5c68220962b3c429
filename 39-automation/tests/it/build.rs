//! Plans for tests, from one line each.

use serde_json::json;
use std::sync::Arc;
use writ_automation::{Gate, OnFailure, Options, Submission};
use writ_core::*;

pub(crate) fn world() -> Digest {
    Digest([9; 32])
}

pub(crate) fn start() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

pub(crate) fn run_id() -> RunId {
    RunId::mint(1_000, [1; 10])
}

/// A plan of `name[:class][+params][!][<need,need]`: classes are `k`eyed (the default), `c`onditional, `p`robe-able and
/// `o`paque, `!` has no undo, and what stands behind `+` are its parameters.
pub(crate) fn plan(line: &str) -> Arc<Plan> {
    let steps = line.split_whitespace().map(step).collect();
    Arc::new(Plan {
        actions: Vec::new(),
        intent: "DEPLOY-WEB-001".parse().unwrap(),
        intent_digest: Digest([1; 32]),
        intent_version: 1,
        steps,
        world: world(),
    })
}

fn step(token: &str) -> Step {
    let (head, needs) = token.split_once('<').unwrap_or((token, ""));
    let irreversible = head.contains('!');
    let head = head.replace('!', "");
    let (head, params) = head.split_once('+').map_or((head.as_str(), ""), |(head, params)| (head, params));
    let (name, class) = head.split_once(':').unwrap_or((head, "k"));
    let class = match class {
        "k" => EffectClass::Keyed,
        "c" => EffectClass::Conditional,
        "p" => EffectClass::Probeable,
        "o" => EffectClass::Opaque,
        _ => panic!("no such class: {class}"),
    };
    let key = |name: &str| name.parse::<StepKey>().unwrap();
    Step {
        action: "act_1".parse().unwrap(),
        action_name: format!("do_{name}"),
        class,
        key: key(name),
        needs: needs.split(',').filter(|need| !need.is_empty()).map(key).collect(),
        params: json!({"value": params}),
        permission: Permission("execute:provision".into()),
        phase: "deploy_application".into(),
        resource: format!("web/{name}"),
        retry: RetryRule { attempts: 3, ceiling_ms: 4_000, factor_percent: 200, first_ms: 1_000 },
        timeout_ms: 60_000,
        undo: (!irreversible).then(|| Undo { class, params: json!({"gone": name}), verb: "thing.remove".into() }),
        verb: "thing.ensure".into(),
    }
}

pub(crate) fn submission(plan: Arc<Plan>, on_failure: OnFailure) -> Submission {
    let mut options = Options::new(on_failure, 7);
    options.jitter_percent = 0;
    Submission {
        gate: Gate::default(),
        options,
        parent: None,
        plan,
        requester: Actor::human(&"ann".parse().unwrap()),
        run: run_id(),
        world: world(),
    }
}
