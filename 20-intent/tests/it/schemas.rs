//! The published schemas against the readers.

use crate::example;
use serde_json::{Value, json};
use writ_intent::{Platform, manifest_schema, platform_document, platform_schema, read_manifest, read_platform};
use writ_schema::Schema;

fn json_of(bytes: &[u8]) -> Value {
    writ_text::read("example.yaml", bytes, &writ_text::Limits::default()).unwrap().to_json()
}

fn full_manifest() -> Value {
    json!({ "intent": {
        "apiVersion": "intent/v1", "id": "X-1", "type": "scaling", "description": "d",
        "target": { "environment": "production", "component": "web-1" },
        "requirements": {
            "availability": "99.9%",
            "performance": { "latency_p95": "<100ms", "throughput": ">10 req/s" },
            "scalability": { "min_instances": 1, "max_instances": 4 },
        },
        "constraints": { "budget": "$5/month", "region": ["a"], "placement": { "min_regions": 1, "min_zones": 2, "spread": "balanced" } },
        "workload": { "service_time": "3ms", "cv": "1.2", "memory_per_instance": "1GiB", "source": "measured" },
        "heal": {
            "enabled": true, "mode": "propose",
            "recovery_policy": { "strategy": "restart", "max_attempts": 3, "timeout_seconds": 60 },
            "triggers": [{ "condition": "error_rate > 5%", "action": "restart_service" }],
        },
        "approvers": ["lead"], "labels": { "team": "web" },
        "preferences": { "soft": ["budget"], "objective": "cost", "budget_basis": "peak" },
    }})
}

fn full_platform() -> Value {
    let mut platform = platform_document(&Platform::default());
    platform["platform"]["profile"] = json!({
        "name": "demo", "health_interval": "500ms", "health_timeout": "250ms", "healing_timeout": "5s", "scaling_cooldown": "3s",
    });
    platform["platform"]["component"]["env"] = json!({ "LEVEL": "info" });
    platform["platform"]["regions"][0]["zone_availability"] = json!("99%");
    // Two of a kind are enough to try every key.
    platform["platform"]["regions"].as_array_mut().unwrap().truncate(2);
    platform["platform"]["instance_types"].as_array_mut().unwrap().truncate(2);
    platform
}

/// Every value in a document, by pointer.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| pointers(inner, &format!("{at}/{key}"), all)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, inner)| pointers(inner, &format!("{at}/{i}"), all))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Documents that differ from a sound one in one place: a key more, a key less, a value of another type, nothing.
fn mutants(sound: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    pointers(sound, "", &mut places);
    let mut all = Vec::new();
    for place in places.iter().filter(|place| !place.is_empty()) {
        for other in [Value::Null, json!(true), json!("no such word"), json!(-1), json!([]), json!({}), json!([[]])] {
            let mut mutant = sound.clone();
            *mutant.pointer_mut(place).unwrap() = other.clone();
            all.push((format!("{place} = {other}"), mutant));
        }
        let (above, key) = place.rsplit_once('/').unwrap();
        let mut without = sound.clone();
        if let Some(map) = without.pointer_mut(above).and_then(Value::as_object_mut) {
            map.remove(key);
            all.push((format!("{place} left out"), without));
        }
        let mut more = sound.clone();
        if let Some(map) = more.pointer_mut(place).and_then(Value::as_object_mut) {
            map.insert("no_such_key".into(), json!("x"));
            all.push((format!("{place}/no_such_key added"), more));
        }
    }
    all
}

/// Whether a problem is about what a quantity or a name means, which a schema does not judge.
fn beyond_shapes(problems: &[writ_text::Problem]) -> bool {
    let begins = ["expected ", "there is no such"];
    let within = [" has no ", " does not know ", " cannot be ", " must be a map", " must be from ", " has no value"];
    let shape =
        |message: &str| begins.iter().any(|b| message.starts_with(b)) || within.iter().any(|w| message.contains(w));
    !problems.iter().any(|problem| shape(&problem.message))
}

fn agree(schema: &Value, sound: &Value, read: impl Fn(&[u8]) -> Result<(), Vec<writ_text::Problem>>) {
    let schema = Schema::compile(schema).unwrap();
    assert!(schema.accepts(sound), "{:?}", schema.check(sound));
    read(&serde_json::to_vec(sound).unwrap()).unwrap();
    let mut refused = 0;
    for (what, mutant) in mutants(sound) {
        match read(&serde_json::to_vec(&mutant).unwrap()) {
            Ok(()) => assert!(schema.accepts(&mutant), "the reader accepts and the schema does not: {what}"),
            Err(problems) if schema.accepts(&mutant) => {
                assert!(beyond_shapes(&problems), "the schema accepts and the reader does not: {what}: {problems:?}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn the_manifest_schema_accepts_what_the_reader_accepts() {
    agree(&manifest_schema(), &full_manifest(), |bytes| read_manifest("m.json", bytes).map(drop));
}

#[test]
fn the_platform_schema_accepts_what_the_reader_accepts() {
    agree(&platform_schema(), &full_platform(), |bytes| read_platform("p.json", bytes).map(drop));
}

#[test]
fn row_2_01_the_example_fits_the_published_schemas() {
    let fits = |schema: Value, name: &str| {
        let schema = Schema::compile(&schema).unwrap();
        let document = json_of(&example(name));
        assert!(schema.accepts(&document), "{:?}", schema.check(&document));
    };
    fits(manifest_schema(), "intent.yaml");
    fits(platform_schema(), "platform.yaml");
}
