//! Random small schemas and values for the properties.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Values small enough that random schemas tell them apart.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-4_i64..8).prop_map(Value::from),
        (-8_i64..16).prop_map(|half| json!(half as f64 / 2.0)),
        "[ab]{0,3}".prop_map(Value::String),
    ];
    leaf.prop_recursive(2, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Every value of a small world: leaves, arrays of up to three of some, objects over `a`, `b` and `c`, one level more.
pub(crate) fn universe() -> Vec<Value> {
    let mut leaves = vec![json!(null), json!(false), json!(true)];
    leaves.extend((-8..16).map(|half| if half % 2 == 0 { json!(half / 2) } else { json!(f64::from(half) / 2.0) }));
    leaves.extend(["", "a", "b", "aa", "ab", "ba", "bb", "aba", "abab", "bbb"].map(|text| json!(text)));
    let few = [json!(null), json!(true), json!(0), json!(2), json!(0.5), json!("a"), json!("ab"), json!([]), json!({})];
    let mut all = leaves;
    all.extend([json!([]), json!({})]);
    for one in &few {
        all.extend([
            json!([one]),
            json!({"a": one}),
            json!({"b": one}),
            json!({"c": one}),
            json!({"ab": one}),
            json!({"x": one}),
        ]);
        for two in &few {
            all.extend([
                json!([one, two]),
                json!({"a": one, "b": two}),
                json!({"a": one, "c": two}),
                json!({"b": one, "x": two}),
            ]);
            all.extend([json!([[one], two]), json!({"a": {"a": one}, "b": two}), json!([{"a": one}, {"b": two}])]);
            for three in &few[1..6] {
                all.extend([json!([one, two, three]), json!({"a": one, "b": two, "c": three})]);
            }
        }
    }
    all
}

fn leaf_schema() -> impl Strategy<Value = Value> {
    let bound = || -3_i64..7;
    prop_oneof![
        Just(json!(true)),
        Just(json!(false)),
        prop::sample::select(vec!["null", "boolean", "string", "number", "integer", "object", "array"])
            .prop_map(|ty| json!({"type": ty})),
        (bound(), 0_i64..6).prop_map(|(low, width)| json!({"type": "integer", "minimum": low, "maximum": low + width})),
        bound().prop_map(|low| json!({"exclusiveMinimum": low})),
        bound().prop_map(|high| json!({"type": "number", "maximum": high})),
        prop::sample::select(vec![1.0, 2.0, 3.0, 0.5, 1.5])
            .prop_map(|step| json!({"type": "number", "multipleOf": step})),
        (0_u64..3, 0_u64..3)
            .prop_map(|(min, more)| json!({"type": "string", "minLength": min, "maxLength": min + more})),
        prop::sample::select(vec!["^a", "b$", "^[ab]*$", "^(ab)+$", "aa", "^b?$"])
            .prop_map(|pattern| json!({"type": "string", "pattern": pattern})),
        prop::collection::vec(value(), 1..4).prop_map(|values| json!({"enum": values})),
        value().prop_map(|value| json!({"const": value})),
    ]
}

/// Schemas over the same small world as [`value`].
pub(crate) fn schema() -> impl Strategy<Value = Value> {
    leaf_schema().prop_recursive(3, 24, 3, |inner| {
        let some = |inner: BoxedStrategy<Value>| prop::collection::vec(inner, 1..3);
        let map = prop::collection::btree_map("[abc]", inner.clone(), 0..3);
        let names = prop::collection::btree_set("[abc]", 0..3);
        prop_oneof![
            some(inner.clone().boxed()).prop_map(|all| json!({"allOf": all})),
            some(inner.clone().boxed()).prop_map(|any| json!({"anyOf": any})),
            some(inner.clone().boxed()).prop_map(|one| json!({"oneOf": one})),
            inner.clone().prop_map(|not| json!({"not": not})),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(cond, then, otherwise)| json!({"if": cond, "then": then, "else": otherwise})),
            (map.clone(), names.clone(), inner.clone()).prop_map(|(properties, required, rest)| {
                json!({"type": "object", "properties": properties, "required": required, "additionalProperties": rest})
            }),
            (map.clone(), names.clone())
                .prop_map(|(properties, required)| json!({"properties": properties, "required": required})),
            (inner.clone(), inner.clone(), 0_u64..3).prop_map(|(matching, rest, min)| {
                json!({"type": "object", "patternProperties": {"^[ab]": matching}, "additionalProperties": rest,
                       "minProperties": min})
            }),
            (0_u64..3, 0_u64..3).prop_map(|(min, more)| {
                json!({"type": "object", "minProperties": min, "maxProperties": min + more})
            }),
            inner.clone().prop_map(|names| json!({"type": "object", "propertyNames": names})),
            (map, names)
                .prop_map(|(then, needs)| { json!({"dependentSchemas": then, "dependentRequired": {"a": needs}}) }),
            (prop::collection::vec(inner.clone(), 0..3), inner.clone(), 0_u64..3, 0_u64..3).prop_map(
                |(prefix, rest, min, more)| {
                    let mut schema = json!({"type": "array", "items": rest, "minItems": min, "maxItems": min + more});
                    if !prefix.is_empty() {
                        schema["prefixItems"] = json!(prefix);
                    }
                    schema
                }
            ),
            (inner.clone(), any::<bool>()).prop_map(|(items, unique)| json!({"items": items, "uniqueItems": unique})),
            (inner, 0_u64..3, prop::option::of(0_u64..3)).prop_map(|(item, min, max)| {
                let mut schema = json!({"contains": item, "minContains": min});
                if let Some(max) = max {
                    schema["maxContains"] = json!(max);
                }
                schema
            }),
        ]
    })
}

/// `$ref` to the whole schema, put in place of some part of it.
pub(crate) fn recursive_schema() -> impl Strategy<Value = Value> {
    (schema(), schema(), prop::sample::select(vec!["items", "additionalProperties"])).prop_map(|(one, other, keyword)| {
        json!({"anyOf": [one, {"type": ["array", "object"], keyword: {"$ref": "#"}, "maxItems": 2}, {"allOf": [other]}]})
    })
}

/// The schema with one small thing changed: a number, a keyword gone, `true` for `false`, or one word for another.
pub(crate) fn mutated(schema: &Value, seed: usize) -> Value {
    let mut pointers = Vec::new();
    let mut open = vec![(String::new(), schema)];
    while let Some((pointer, value)) = open.pop() {
        match value {
            Value::Object(members) => {
                open.extend(members.iter().map(|(key, member)| (format!("{pointer}/{key}"), member)));
            }
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(at, item)| (format!("{pointer}/{at}"), item)))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        pointers.push(pointer);
    }
    let mut changed = schema.clone();
    let chosen = &pointers[seed % pointers.len()];
    let (kind, up) = (seed / pointers.len() % 3, seed.is_multiple_of(2));
    if let (0, Some((parent, key))) = (kind, chosen.rsplit_once('/')) {
        if let Some(Value::Object(members)) = changed.pointer_mut(parent) {
            members.remove(key);
        }
        return changed;
    }
    if let Some(place) = changed.pointer_mut(chosen) {
        *place = match place.take() {
            Value::Number(number) => match number.as_i64() {
                Some(whole) => json!(if up { whole + 1 } else { (whole - 1).max(0) }),
                None => json!(1),
            },
            Value::Bool(truth) => json!(!truth),
            Value::Null => json!(false),
            Value::String(text) => json!(if text == "integer" { "number".to_owned() } else { text + "a" }),
            Value::Array(mut items) => {
                items.pop();
                Value::Array(items)
            }
            object @ Value::Object(_) => {
                if up {
                    json!({"not": object})
                } else {
                    json!({"anyOf": [object, {"type": "null"}]})
                }
            }
        };
    }
    changed
}
