//! Pairs of schemas with the answer they must get: `tests/cases/compat.json`.

use serde_json::Value;
use writ_schema::{Compatibility, Schema, subsumes};

#[test]
fn every_case_gets_its_answer() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../cases/compat.json")).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let (sub, sup) = (Schema::compile(&case["sub"]).unwrap(), Schema::compile(&case["sup"]).unwrap());
        let answer = match subsumes(&sub, &sup) {
            Compatibility::Compatible(_) => "compatible".to_owned(),
            Compatibility::Incompatible { pointer, .. } => format!("incompatible at {pointer}"),
            Compatibility::Unknown { reason, pointer } => format!("unknown at {pointer}: {reason}"),
        };
        let wanted = case["answer"].as_str().unwrap();
        if answer != wanted {
            wrong.push(format!("{}: wanted {wanted}, got {answer}", case["name"].as_str().unwrap()));
        }
    }
    assert!(cases.len() >= 40, "{}", cases.len());
    assert_eq!(wrong, Vec::<String>::new());
}
