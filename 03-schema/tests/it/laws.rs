//! What must hold for all schemas.

use crate::schemas::{mutated, recursive_schema, schema, universe, value};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;
use writ_schema::{Compatibility, Schema, subsumes};

fn compiled(document: &Value) -> Schema {
    Schema::compile(document).unwrap_or_else(|error| panic!("{document}: {error}"))
}

static UNIVERSE: LazyLock<Vec<Value>> = LazyLock::new(universe);

/// So many cases, or as many as `PROPTEST_CASES` says: a night's run finds what a minute's does not.
#[expect(clippy::disallowed_methods, reason = "the number of cases is the caller's choice")]
fn config(cases: u32) -> ProptestConfig {
    let told = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { cases: told.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}

fn check(sub: &Value, sup: &Value, values: &[Value]) {
    let (left, right) = (compiled(sub), compiled(sup));
    match subsumes(&left, &right) {
        Compatibility::Compatible(_) => {
            for value in values.iter().chain(&*UNIVERSE) {
                assert!(!left.accepts(value) || right.accepts(value), "{value} tells {sub} from {sup}");
            }
        }
        Compatibility::Incompatible { witness, .. } => {
            assert!(left.accepts(&witness) && !right.accepts(&witness), "{witness} under {sub} and {sup}");
        }
        Compatibility::Unknown { .. } => {}
    }
}

fn assert_not_refuted(sub: &Schema, sup: &Schema) {
    let answer = subsumes(sub, sup);
    let refuted = matches!(answer, Compatibility::Incompatible { .. });
    assert!(!refuted, "{} against {}: {answer:?}", sub.document(), sup.document());
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn no_value_contradicts_a_compatible_verdict(
        sub in schema(), sup in schema(), values in prop::collection::vec(value(), 40),
    ) {
        check(&sub, &sup, &values);
    }

    #[test]
    fn schemas_that_differ_in_one_small_thing_are_told_apart_rightly(
        sub in schema(), seed in any::<usize>(), values in prop::collection::vec(value(), 20),
    ) {
        let sup = mutated(&sub, seed % 1_000_003);
        if Schema::compile(&sup).is_ok() {
            check(&sub, &sup, &values);
            check(&sup, &sub, &values);
        }
    }

    #[test]
    fn a_schema_and_more_is_never_wider(sub in schema(), more in schema(), values in prop::collection::vec(value(), 20)) {
        let narrower = json!({"allOf": [sub, more]});
        check(&narrower, &sub, &values);
        check(&sub, &narrower, &values);
        assert_not_refuted(&compiled(&narrower), &compiled(&sub));
        let wider = json!({"anyOf": [more, sub]});
        assert_not_refuted(&compiled(&sub), &compiled(&wider));
    }

    #[test]
    fn a_schema_stands_in_for_itself(one in schema()) {
        let same = compiled(&one);
        let compatible = matches!(subsumes(&same, &same), Compatibility::Compatible(_));
        prop_assert!(compatible);
        // Said differently, so that it is not recognised at once.
        let again = compiled(&json!({"allOf": [{"not": {"not": one}}]}));
        assert_not_refuted(&same, &again);
        assert_not_refuted(&again, &same);
    }

    #[test]
    fn checking_names_a_place_exactly_when_the_value_does_not_fit(one in schema(), value in value()) {
        let schema = compiled(&one);
        prop_assert_eq!(schema.check(&value).is_empty(), schema.accepts(&value));
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn schemas_that_refer_to_themselves_keep_the_law(
        sub in recursive_schema(), sup in recursive_schema(), values in prop::collection::vec(value(), 40),
    ) {
        check(&sub, &sup, &values);
    }
}
