//! Plans and their differences.

use crate::example;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_core::{Change, Digest, Plan, World};
use writ_intent::{
    Desired, Diff, Intent, Platform, after, decommission, desired, diff, plan, plan_at_count, plan_digest,
    plan_document, read_manifest, rollback, translate,
};

const WORLD: Digest = Digest([9; 32]);

fn intent() -> Intent {
    read_manifest("intent.yaml", &example("intent.yaml")).unwrap().intent
}

fn planned(intent: &Intent, platform: &Platform) -> Plan {
    let translation = translate(intent, platform).unwrap();
    plan(intent, platform, &translation, 1, WORLD)
}

fn with_count(count: u32) -> Plan {
    let (intent, platform) = (intent(), Platform::default());
    let translation = translate(&intent, &platform).unwrap();
    plan_at_count(&intent, &platform, &translation, count, 1, WORLD)
}

fn told(diff: &Diff) -> Vec<(String, &'static str)> {
    let word = |change: &Change| match change {
        Change::Create => "create",
        Change::Update { .. } => "update",
        Change::Replace { .. } => "replace",
        Change::Delete => "delete",
    };
    diff.changes.iter().map(|change| (change.resource.replace("web-service-001/", ""), word(&change.change))).collect()
}

#[test]
fn the_plan_is_byte_identical_over_a_hundred_runs() {
    let platform = Platform::default();
    let bytes = |_| {
        let translation = translate(&intent(), &platform).unwrap();
        let plan = plan(&intent(), &platform, &translation, 1, WORLD);
        let document = plan_document(&plan, &translation);
        let drawings = [writ_intent::dot(&plan), writ_intent::mermaid(&plan), writ_intent::svg(&plan)];
        (writ_seal::canonical(&document).unwrap(), serde_json::to_vec(&plan).unwrap(), drawings, plan_digest(&plan))
    };
    let first = bytes(0);
    for run in 1..100 {
        assert_eq!(bytes(run), first);
    }
}

#[test]
fn a_plan_is_canonical_so_no_float_stands_in_it() {
    let plan = planned(&intent(), &Platform::default());
    writ_seal::canonical(&serde_json::to_value(&plan).unwrap()).unwrap();
}

#[test]
fn three_to_four_ensures_one_instance_and_nothing_else() {
    let (three, four) = (with_count(3), with_count(4));
    let diff = diff(Some(&three), &four, WORLD);
    assert_eq!(told(&diff), [("i-4".to_owned(), "create")]);
    assert_eq!(diff.plan.steps[0].verb, "instance.ensure");
    assert_eq!(diff.plan.actions.len(), 1);
    assert_eq!(diff.plan.actions[0].change, Change::Update { paths: vec!["/count".into()] });
    assert_eq!(diff.unchanged, 7);
}

#[test]
fn four_to_three_removes_one_instance_and_nothing_else() {
    let (three, four) = (with_count(3), with_count(4));
    let diff = diff(Some(&four), &three, WORLD);
    assert_eq!(told(&diff), [("i-4".to_owned(), "delete")]);
    let step = &diff.plan.steps[0];
    assert_eq!(step.verb, "instance.remove");
    assert_eq!(step.params, json!({ "component": "web-service-001", "slot": "i-4", "drain_ms": 10_000 }));
    assert_eq!(step.undo.as_ref().unwrap().verb, "instance.ensure");
}

#[test]
fn another_type_makes_instances_anew_one_after_the_other() {
    let old = planned(&intent(), &Platform::default());
    let mut platform = Platform::default();
    platform.instance_types.retain(|class| class.name != "t3.medium");
    let new = planned(&intent(), &platform);
    let diff = diff(Some(&old), &new, WORLD);
    let instances: Vec<&writ_core::Step> =
        diff.plan.steps.iter().filter(|step| step.verb == "instance.ensure").collect();
    assert_eq!(instances.len(), 3);
    for (at, step) in instances.iter().enumerate() {
        assert_eq!(step.params["generation"], 2);
        assert_eq!(step.undo.as_ref().unwrap().params["generation"], 3);
        assert_eq!(step.undo.as_ref().unwrap().params["instance_type"], "t3.medium");
        assert_eq!(step.needs.len(), usize::from(at > 0));
    }
    let deploy = diff.plan.actions.iter().find(|action| action.action == "deploy_instances").unwrap();
    assert_eq!(deploy.change, Change::Replace { because: "/instance_type".into() });
}

#[test]
fn the_same_plan_again_changes_nothing() {
    let plan = planned(&intent(), &Platform::default());
    let diff = diff(Some(&plan), &plan, WORLD);
    assert_eq!((diff.plan.steps.len(), diff.plan.actions.len(), diff.unchanged), (0, 0, 7));
}

/// The world once a plan was carried out.
fn observed(plan: &Plan) -> World {
    let resources = plan.steps.iter().map(|step| (step.resource.clone(), step.params.clone()));
    World { resources: resources.collect() }
}

#[test]
fn only_what_is_there_is_taken_away() {
    let plan = planned(&intent(), &Platform::default());
    let mut world = observed(&plan);
    assert!(world.resources.remove("web-service-001/i-2").is_some());
    let gone: Vec<String> = told(&decommission(&plan, &world)).into_iter().map(|(resource, _)| resource).collect();
    assert_eq!(gone, ["healing", "scaling", "health", "i-1", "i-3", "lb"]);
    assert_eq!(told(&decommission(&plan, &World::default())), []);
}

#[test]
fn taking_an_intent_away_goes_in_reverse() {
    let plan = planned(&intent(), &Platform::default());
    let world = observed(&plan);
    let gone = decommission(&plan, &world);
    let order: Vec<String> = told(&gone).into_iter().map(|(resource, _)| resource).collect();
    assert_eq!(order.first().unwrap(), "healing");
    assert_eq!(order.last().unwrap(), "lb");
    assert_eq!(order.len(), 7);
    assert!(gone.plan.actions.iter().all(|action| action.change == Change::Delete));
    assert_eq!(after(desired(&plan), &gone.plan), Desired::new());
    gone.plan.check().unwrap();
}

#[test]
fn the_way_back_exists_before_the_plan_is_applied_and_goes_in_reverse() {
    let plan = planned(&intent(), &Platform::default());
    let back = rollback(&plan, WORLD);
    assert!(back.cannot.is_empty());
    back.plan.check().unwrap();
    let verbs: Vec<&str> = back.plan.steps.iter().map(|step| step.verb.as_str()).collect();
    assert_eq!(verbs.first(), Some(&"healing.remove"));
    assert_eq!(verbs.last(), Some(&"balancer.remove"));
    assert_eq!(back.plan.actions[0].action, "disable_self_healing");
    assert_eq!(after(desired(&plan), &back.plan), Desired::new());
}

#[test]
fn a_step_that_nothing_takes_back_is_shown() {
    let mut plan = planned(&intent(), &Platform::default());
    plan.steps[0].undo = None;
    let back = rollback(&plan, WORLD);
    assert_eq!(back.cannot, [plan.steps[0].key.clone()]);
    assert_eq!(back.plan.steps.len(), 6);
}

#[test]
fn ids_survive_planning_again() {
    let (three, four) = (with_count(3), with_count(4));
    let ids = |plan: &Plan| plan.actions.iter().map(|action| action.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&three), ids(&four));
    assert_eq!(three.steps[2].key, four.steps[2].key);
    assert!(three.steps[2].key.as_str().ends_with("/i-2"));
}

#[test]
fn row_2_10_triggers_stand_in_the_healing_step_as_the_source_writes_them() {
    let plan = planned(&intent(), &Platform::default());
    let healing = plan.steps.iter().find(|step| step.verb == "healing.configure").unwrap();
    assert_eq!(
        healing.params["triggers"],
        json!([
            { "condition": "health_status == 'failed'", "action": "restart_instance" },
            { "condition": "error_rate > 5%", "action": "restart_service" },
            { "condition": "latency_p95 > 200ms", "action": "scale_out" },
        ])
    );
}

#[test]
fn drawings_name_every_step_and_every_phase() {
    let plan = planned(&intent(), &Platform::default());
    for drawing in [writ_intent::dot(&plan), writ_intent::mermaid(&plan)] {
        for phase in writ_intent::PHASES {
            assert!(drawing.contains(phase), "{drawing}");
        }
        assert!(drawing.contains("i-3 t3.medium us-west-2c"), "{drawing}");
    }
    let svg = writ_intent::svg(&plan);
    writ_drawing_is_sound(&svg);
    assert_eq!(svg.matches("<rect").count(), 7);
    assert_eq!(svg.matches("<path").count(), 3 + 6 + 2);
}

fn writ_drawing_is_sound(svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<g>").count(), svg.matches("</g>").count());
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
}

/// A platform and an intent that differ from the usual ones in some of what a plan is made of.
fn variant() -> impl Strategy<Value = Plan> {
    let counts = (1_u32..6, 0_u32..4);
    let words = (prop::bool::ANY, prop::bool::ANY, prop::bool::ANY, 0_u64..2, 1_u32..4);
    (counts, words).prop_map(|((min, more), (heals, big, east, drain, attempts))| {
        let mut intent = intent();
        intent.requirements.min_instances = Some(min);
        intent.requirements.max_instances = Some(min + more + 4);
        intent.heal.enabled = Some(heals);
        intent.constraints.regions = vec![if east { "us-east" } else { "us-west" }.to_owned()];
        intent.constraints.budget = None;
        let mut platform = Platform { drain_ms: 1_000 * drain, ..Platform::default() };
        platform.healing.recovery.max_attempts = attempts;
        if big {
            platform.demand.memory_bytes = 8 << 30;
        }
        planned(&intent, &platform)
    })
}

/// What is wanted of every resource, without saying which start of an instance it is.
fn without_generations(state: Desired) -> BTreeMap<String, (String, Value)> {
    state
        .into_iter()
        .map(|(resource, (verb, mut params))| {
            if let Some(params) = params.as_object_mut() {
                params.remove("generation");
            }
            (resource, (verb, params))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn applying_the_difference_gives_what_was_wanted(a in variant(), b in variant()) {
        let diff = diff(Some(&a), &b, WORLD);
        prop_assert!(diff.plan.check().is_ok());
        let reached = after(desired(&a), &diff.plan);
        prop_assert_eq!(&reached, &desired(&diff.target));
        prop_assert_eq!(without_generations(reached.clone()), without_generations(desired(&b)));
        let again = writ_intent::diff(Some(&diff.target), &b, WORLD);
        prop_assert!(again.plan.steps.is_empty());
        // Generations never go back.
        for (resource, (_, params)) in desired(&a) {
            if let (Some(before), Some((_, now))) = (params["generation"].as_u64(), reached.get(&resource)) {
                prop_assert!(now["generation"].as_u64().unwrap() >= before);
            }
        }
    }

    #[test]
    fn the_way_back_from_a_difference_leads_to_what_was_there(a in variant(), b in variant()) {
        let diff = diff(Some(&a), &b, WORLD);
        let back = rollback(&diff.plan, WORLD);
        prop_assert!(back.plan.check().is_ok());
        let reached = after(after(desired(&a), &diff.plan), &back.plan);
        prop_assert_eq!(without_generations(reached), without_generations(desired(&a)));
    }
}
