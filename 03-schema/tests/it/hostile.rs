//! Schemas and values that mean harm: an error or an answer, soon, and never a panic.

use serde_json::{Map, Value, json};
use std::time::Duration;
use writ_schema::{Compatibility, Effort, Schema, SchemaError, subsumes, subsumes_within};

/// Runs on a thread with the small stack of a server's worker and gives up on it after a while.
fn soon<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = std::sync::mpsc::channel();
    let worker = std::thread::Builder::new().stack_size(2 << 20).spawn(move || sender.send(work())).unwrap();
    let answer = receiver.recv_timeout(Duration::from_secs(20)).expect("it takes too long, or panicked");
    worker.join().unwrap().unwrap();
    answer
}

fn refused(document: Value) -> String {
    soon(move || Schema::compile(&document).map(|_| ()).unwrap_err().to_string())
}

fn nested(depth: usize, wrap: impl Fn(Value) -> Value) -> Value {
    (0..depth).fold(json!({"type": "string"}), |inner, _| wrap(inner))
}

#[test]
fn a_hundred_nested_all_of_are_refused() {
    let error = refused(nested(100, |inner| json!({"allOf": [inner]})));
    assert_eq!(error, "the schema has nesting beyond the limit of 96 at ``");
    let error = refused(nested(40, |inner| json!({"allOf": [inner]})));
    assert!(error.contains("apply to one value inside each other"), "{error}");
}

#[test]
fn references_that_never_consume_the_value_are_refused() {
    for document in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"anyOf": [{"$ref": "#"}]}]}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}, "items": {"$ref": "#/$defs/a"}}),
        json!({"if": {"$ref": "#"}}),
        json!({"dependentSchemas": {"a": {"$ref": "#"}}}),
    ] {
        let error = refused(document.clone());
        assert!(error.contains("leads back to itself"), "{document}: {error}");
    }
}

#[test]
fn references_out_of_the_document_are_refused() {
    for reference in
        ["https://example.com/schema.json", "other.json#/a", "#/$defs/none", "#nowhere", "file:///etc/passwd"]
    {
        let error = refused(json!({"$ref": reference}));
        assert!(error.contains("does not name a place in this document"), "{reference}: {error}");
    }
    assert!(refused(json!({"$dynamicRef": "#a"})).contains("not supported"));
    assert!(refused(json!({"properties": {"a": {"$id": "https://example.com/b"}}})).contains("not supported"));
    assert!(refused(json!({"$schema": "https://example.com/own"})).contains("not a known draft"));
}

#[test]
fn doublings_that_would_become_millions_are_refused() {
    let mut defs = Map::new();
    for level in 0..25 {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        defs.insert(format!("d{level}"), json!({"properties": {"a": next, "b": next}}));
    }
    defs.insert("d25".into(), json!({"type": "string"}));
    let error = refused(json!({"$ref": "#/$defs/d0", "$defs": defs}));
    assert!(error.contains("references written out"), "{error}");
}

#[test]
fn a_recursion_that_doubles_with_every_level_is_weighed_before_it_runs() {
    let schema = json!({"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]});
    let value = (0..60).fold(json!(1), |inner, _| json!({"a": inner}));
    let found = soon(move || Schema::compile(&schema).unwrap().check(&value));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].message, "checking the value would take more than 5000000 visits of a subschema");
}

#[test]
fn a_deep_value_under_a_recursive_schema_is_checked_on_a_small_stack() {
    let chain = nested(12, |inner| json!({"allOf": [inner]}));
    let schema = json!({"anyOf": [{"type": "integer"}, {"items": {"$ref": "#"}, "allOf": [chain]}, {"items": {"$ref": "#"}, "type": "array"}]});
    let deep = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let (shallow, deeper) = (deep(10), deep(80));
    let (fits, found) = soon(move || {
        let schema = Schema::compile(&schema).unwrap();
        (schema.accepts(&shallow), schema.check(&deeper))
    });
    assert!(fits);
    assert_eq!(found[0].message, "the value nests deeper than 64 levels");
}

#[test]
fn patterns_that_are_malformed_or_need_backtracking_are_refused() {
    for pattern in ["(", "[z-a]", "a{2,1}", "(?=a)b", "(a)\\1", "(?<!a)b", "a{1000}{1000}{1000}", "*", "\\p{Nope}"] {
        let error = refused(json!({"pattern": pattern}));
        assert!(error.contains("cannot be used") || error.contains("not valid"), "{pattern}: {error}");
    }
    assert!(refused(json!({"pattern": "a".repeat(2_000)})).contains("longer than 1,024 bytes"));
    assert!(refused(json!({"patternProperties": {"(": true}})).contains("patternProperties"));
}

#[test]
fn a_pattern_made_for_backtracking_is_matched_in_linear_time() {
    let long = "a".repeat(50_000) + "!";
    assert!(!soon(move || Schema::compile(&json!({"pattern": "^(a+)+$"})).unwrap().accepts(&json!(long))));
}

#[test]
fn huge_documents_are_refused() {
    let huge: Vec<Value> = (0..30_000).map(Value::from).collect();
    assert!(refused(json!({"enum": huge})).contains("values"));
    assert!(refused(json!({"const": "x".repeat(2 << 20)})).contains("bytes of text"));
}

#[test]
fn nonsense_in_place_of_a_schema_is_refused_with_its_place() {
    for (document, place) in [
        (json!(5), "``"),
        (json!({"type": "text"}), "`/type`"),
        (json!({"properties": {"a": {"minimum": "1"}}}), "`/properties/a/minimum`"),
        (json!({"properties": {"a": 5}}), "`/properties/a`"),
        (json!({"required": ["a", "a"]}), "`/required`"),
        (json!({"multipleOf": 0}), "`/multipleOf`"),
        (json!({"allOf": []}), "`/allOf`"),
    ] {
        let error = refused(document.clone());
        assert!(error.contains(place), "{document}: {error}");
    }
}

#[test]
fn the_prover_answers_soon_on_pairs_made_to_explode() {
    let many_choices = |count: usize| -> Value {
        let one = |at: usize| json!({"anyOf": [{"required": [format!("p{at}")]}, {"required": [format!("q{at}")]}]});
        json!({"type": "object", "allOf": (0..count).map(one).collect::<Vec<_>>()})
    };
    let big_enum = |from: u64| json!({"enum": (from..from + 4_000).collect::<Vec<_>>()});
    let one_of = |count: usize| -> Value {
        json!({"oneOf": (0..count).map(|at| json!({"type": "object", "minProperties": at})).collect::<Vec<_>>()})
    };
    let deep = |levels: usize, leaf: &str| {
        (0..levels).fold(
            json!({"type": leaf}),
            |inner, _| json!({"type": "object", "required": ["a"], "properties": {"a": inner}}),
        )
    };
    // The flag says whether the pair is compatible in truth.
    let pairs = vec![
        (true, many_choices(24), many_choices(23)),
        (false, deep(30, "number"), deep(30, "integer")),
        (true, deep(30, "integer"), deep(30, "number")),
        (false, deep(45, "number"), deep(45, "integer")),
        (true, deep(45, "integer"), deep(45, "number")),
        (false, many_choices(24), json!({"type": "object", "maxProperties": 3})),
        (false, big_enum(0), big_enum(1)),
        (false, json!({"items": big_enum(0), "uniqueItems": true, "minItems": 50}), json!({"maxItems": 49})),
        (true, one_of(30), one_of(29)),
        (false, json!({"pattern": "^(a|b)*a(a|b){12}$"}), json!({"pattern": "^(a|b)*b(a|b){11}$"})),
        (false, json!({"pattern": "[^a]{200}b"}), json!({"pattern": "c{300}", "minLength": 1_000})),
        (false, json!({"type": "array", "minItems": 1_000_000_000}), json!({"uniqueItems": true})),
        (false, json!({"type": "object", "minProperties": 1_000_000}), json!({"maxProperties": 5})),
        (true, json!({"type": "string", "minLength": u64::MAX, "maxLength": 5}), json!({"maxLength": 4})),
        (false, json!({"type": "string", "minLength": u64::MAX}), json!({"maxLength": 5})),
        (false, json!({"multipleOf": 1e-300}), json!({"multipleOf": 1e300})),
        (false, json!({"minimum": 1e308}), json!({"maximum": -1e308})),
        (false, json!({"items": {"$ref": "#"}}), json!({"items": {"items": {"$ref": "#"}}, "minItems": 1})),
    ];
    for (compatible, sub, sup) in pairs {
        let told = format!("{sub:.80} {sup:.80}");
        let answer = soon(move || {
            let (left, right) = (Schema::compile(&sub).unwrap(), Schema::compile(&sup).unwrap());
            let answer = subsumes(&left, &right);
            if let Compatibility::Incompatible { witness, .. } = &answer {
                assert!(left.accepts(witness) && !right.accepts(witness));
            }
            answer
        });
        let wrong = match answer {
            Compatibility::Compatible(_) => !compatible,
            Compatibility::Incompatible { .. } => compatible,
            Compatibility::Unknown { .. } => false,
        };
        assert!(!wrong, "{told}");
    }
}

#[test]
fn an_error_is_a_value_that_can_be_compared() {
    let error = Schema::compile(&json!({"$schema": 5})).unwrap_err();
    assert_eq!(error, SchemaError::Draft { found: "5".into() });
}

/// One of `count` objects, each with a property of its own that it must have, and bounds on all of them.
fn entangled(count: u64, odd: u64) -> Schema {
    let bound = |of: u64, at: u64| if of * at == 12 { odd } else { of * at };
    let one = |of: u64| {
        let properties: serde_json::Map<String, Value> =
            (0..count).map(|at| (format!("k{at}"), json!({"type": "integer", "minimum": bound(of, at)}))).collect();
        json!({"type": "object", "required": [format!("k{of}")], "properties": properties})
    };
    Schema::compile(&json!({"anyOf": (0..count).map(one).collect::<Vec<_>>()})).unwrap()
}

#[test]
fn schemas_that_would_take_hours_to_tell_apart_are_given_up() {
    for count in [8, 12, 24] {
        let (one, other) = (entangled(count, 12), entangled(count, 13));
        for (sub, sup) in [(&one, &other), (&other, &one)] {
            let Compatibility::Unknown { reason, .. } = subsumes(sub, sup) else { panic!("{count} was decided") };
            assert!(reason.contains("too many"), "{reason}");
        }
    }
}

#[test]
fn questions_that_share_their_effort_are_given_up_together() {
    let (one, other) = (entangled(12, 12), entangled(12, 13));
    let easy = |minimum| Schema::compile(&json!({"type": "integer", "minimum": minimum})).unwrap();
    let effort = Effort::of(2);
    assert!(matches!(subsumes_within(&easy(2), &easy(1), &effort), Compatibility::Compatible(_)));
    for _ in 0..2 {
        assert!(matches!(subsumes_within(&one, &other, &effort), Compatibility::Unknown { .. }));
    }
    assert!(matches!(subsumes_within(&easy(2), &easy(1), &effort), Compatibility::Unknown { .. }));
}
