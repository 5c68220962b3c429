//! The world as it was observed, against a plan.

use crate::example;
use serde_json::{Value, json};
use writ_core::{Change, Plan, World};
use writ_intent::{Platform, check_world, drift, plan, read_manifest, translate, world_digest};

fn target() -> Plan {
    let intent = read_manifest("intent.yaml", &example("intent.yaml")).unwrap().intent;
    let platform = Platform::default();
    let translation = translate(&intent, &platform).unwrap();
    plan(&intent, &platform, &translation, 1, world_digest(&World::default()))
}

/// The world as a provider tells it after the plan was carried out: what was asked, and how things happen to be.
fn carried_out(plan: &Plan) -> World {
    let mut world = World::default();
    for (number, step) in plan.steps.iter().enumerate() {
        let mut document = step.params.clone();
        let fields = document.as_object_mut().unwrap();
        fields.remove("component");
        if step.verb.ends_with(".ensure") {
            fields.remove("env");
            fields.insert("port".into(), json!(40_000 + number));
            fields.insert("pid".into(), json!(500 + number));
            fields.insert("ended".into(), Value::Null);
        }
        world.resources.insert(step.resource.clone(), document);
    }
    world
}

#[test]
fn a_world_that_is_as_planned_has_not_drifted() {
    let plan = target();
    let drift = drift(&plan, &carried_out(&plan));
    assert_eq!(drift.changes, []);
    assert_eq!(drift.unchanged, 7);
}

#[test]
fn what_is_missing_ended_changed_or_strange_is_put_right() {
    let plan = target();
    let mut world = carried_out(&plan);
    world.resources.remove("web-service-001/i-1");
    world.resources.get_mut("web-service-001/i-2").unwrap()["ended"] = json!("signal 9");
    world.resources.get_mut("web-service-001/scaling").unwrap()["max"] = json!(99);
    let mut stranger = world.resources["web-service-001/i-3"].clone();
    stranger["slot"] = json!("i-7");
    world.resources.insert("web-service-001/i-7".into(), stranger);
    let drift = drift(&plan, &world);
    let told: Vec<(&str, &Change)> = drift.changes.iter().map(|c| (c.resource.as_str(), &c.change)).collect();
    assert_eq!(
        told,
        [
            ("web-service-001/i-1", &Change::Create),
            ("web-service-001/i-2", &Change::Replace { because: "/ended".into() }),
            ("web-service-001/scaling", &Change::Update { paths: vec!["/max".into()] }),
            ("web-service-001/i-7", &Change::Delete),
        ]
    );
    drift.plan.check().unwrap();
    assert!(check_world(&drift.plan, &world).is_ok());
    let step = drift.plan.steps.iter().find(|step| step.resource.ends_with("i-2")).unwrap();
    assert_eq!(step.params["generation"], 2);
    assert!(step.undo.as_ref().unwrap().params.get("ended").is_none());
}

#[test]
fn an_instance_that_was_started_again_is_no_drift() {
    let plan = target();
    let mut world = carried_out(&plan);
    world.resources.get_mut("web-service-001/i-2").unwrap()["generation"] = json!(5);
    assert_eq!(drift(&plan, &world).changes, []);
}

#[test]
fn a_stale_world_is_refused_by_its_digest_and_a_restart_is_not_stale() {
    let plan = target();
    let mut world = carried_out(&plan);
    let planned = writ_core::Plan { world: world_digest(&world), ..plan };
    world.resources.get_mut("web-service-001/i-2").unwrap()["pid"] = json!(7);
    world.resources.get_mut("web-service-001/i-2").unwrap()["port"] = json!(7);
    assert!(check_world(&planned, &world).is_ok());
    world.resources.remove("web-service-001/i-2");
    let error = check_world(&planned, &world).unwrap_err();
    assert!(error.to_string().starts_with("the plan was made for the world `"), "{error}");
}
