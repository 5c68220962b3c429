//! How much of the language's specification the engine keeps to, measured over the shared conformance tests.

use cel::common::types::CelMapKey;
use cel::objects::Value;
use cel::{Context, Env};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use writ_expr::{Limits, unchecked};

/// Passed and all, by file.
pub(crate) fn measure() -> Option<BTreeMap<String, (usize, usize)>> {
    let shared = std::env::var_os("WRIT_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let text = std::fs::read_to_string(shared.join("data/cel-spec/simple.jsonl")).ok()?;
    let env = Arc::new(Env::stdlib());
    let mut rates = BTreeMap::new();
    for line in text.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let rate: &mut (usize, usize) = rates.entry(case["file"].as_str().unwrap().to_owned()).or_default();
        rate.1 += 1;
        rate.0 += usize::from(passes(&case, &env));
    }
    Some(rates)
}

fn passes(case: &Json, env: &Arc<Env>) -> bool {
    let limits = Limits { chain: 512, nesting: 64, ..Limits::default() };
    let Ok(tree) = unchecked(case["expr"].as_str().unwrap(), &limits) else { return case.get("error").is_some() };
    let mut context = Context::with_env(env.clone());
    for (name, value) in case["bindings"].as_object().unwrap() {
        let Some(value) = typed(value) else { return false };
        context.add_variable_from_value(name.clone(), value);
    }
    match (Value::resolve(&tree, &context), case.get("value")) {
        (Ok(found), Some(wanted)) => is(&found, wanted),
        (Err(_), None) => case.get("error").is_some(),
        (Ok(_), None) => case.get("typed").is_some(),
        (Err(_), Some(_)) => false,
    }
}

fn one(value: &Json) -> Option<(&str, &Json)> {
    value.as_object()?.iter().next().map(|(sort, value)| (sort.as_str(), value))
}

fn number<T: std::str::FromStr>(value: &Json) -> Option<T> {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned).parse().ok()
}

fn typed(value: &Json) -> Option<Value> {
    let (sort, value) = one(value)?;
    Some(match sort {
        "null" => Value::Null,
        "bool" => Value::Bool(value.as_bool()?),
        "int" => Value::Int(number(value)?),
        "uint" => Value::UInt(number(value)?),
        "double" => Value::Float(number(value)?),
        "string" => Value::String(Arc::new(value.as_str()?.to_owned())),
        "bytes" => Value::Bytes(Arc::new(hex(value.as_str()?)?)),
        "list" => Value::List(Arc::new(value.as_array()?.iter().map(typed).collect::<Option<_>>()?)),
        "map" => {
            let entries = value.as_array()?.iter().map(|pair| Some((key(pair.get(0)?)?, typed(pair.get(1)?)?)));
            Value::Map(cel::objects::Map { map: Arc::new(entries.collect::<Option<_>>()?) })
        }
        _ => return None,
    })
}

fn key(value: &Json) -> Option<cel::objects::Key> {
    let (sort, value) = one(value)?;
    Some(match sort {
        "bool" => CelMapKey::from(value.as_bool()?).into(),
        "int" => CelMapKey::from(number::<i64>(value)?).into(),
        "uint" => CelMapKey::from(number::<u64>(value)?).into(),
        "string" => CelMapKey::from(value.as_str()?.to_owned()).into(),
        _ => return None,
    })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

fn is(found: &Value, wanted: &Json) -> bool {
    let Some((sort, value)) = one(wanted) else { return false };
    match (found, sort) {
        (Value::Float(found), "double") => {
            number::<f64>(value).is_some_and(|wanted| *found == wanted || (found.is_nan() && wanted.is_nan()))
        }
        (Value::List(found), "list") => {
            let wanted = value.as_array().map(Vec::as_slice).unwrap_or_default();
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| is(found, wanted))
        }
        (Value::Map(found), "map") => {
            let wanted = value.as_array().map(Vec::as_slice).unwrap_or_default();
            found.map.len() == wanted.len()
                && wanted.iter().all(|pair| {
                    let entry = pair.get(0).and_then(key).and_then(|key| found.map.get(&key));
                    entry.is_some_and(|entry| pair.get(1).is_some_and(|wanted| is(entry, wanted)))
                })
        }
        (Value::Opaque(_), "type") => {
            format!("{found:?}").contains(&format!("{:?}", value.as_str().unwrap_or_default()))
        }
        (Value::Int(_), "int")
        | (Value::UInt(_), "uint")
        | (Value::Bool(_), "bool")
        | (Value::Null, "null")
        | (Value::String(_), "string")
        | (Value::Bytes(_), "bytes") => typed(wanted).is_some_and(|wanted| *found == wanted),
        _ => false,
    }
}

#[test]
fn the_engine_keeps_to_the_specification_no_less_than_when_it_was_measured() {
    let Some(rates) = measure() else {
        assert!(std::env::var_os("WRIT_REQUIRE_REAL").is_none(), "the conformance tests are missing");
        println!("skipped: the conformance tests are missing");
        return;
    };
    for (file, (passed, all)) in &rates {
        println!("{file:16} {passed:4} of {all:4}");
    }
    let passed: usize = rates.values().map(|(passed, _)| passed).sum();
    let all: usize = rates.values().map(|(_, all)| all).sum();
    println!("all              {passed:4} of {all:4}");
    assert!(passed >= 795, "{passed} of {all}");
}
