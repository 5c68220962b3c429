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
