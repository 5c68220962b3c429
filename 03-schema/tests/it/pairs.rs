//! The prover against pairs of schemas whose truth is known.

use serde_json::Value;
use std::path::PathBuf;
use writ_schema::{Compatibility, Schema, subsumes};

#[expect(clippy::disallowed_methods, reason = "a test finds its data by the environment")]
fn data() -> Option<PathBuf> {
    let shared = std::env::var("WRIT_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let path = shared.join("data/contracts/pairs.jsonl");
    if path.exists() {
        return Some(path);
    }
    assert_ne!(std::env::var("WRIT_REQUIRE_REAL").as_deref(), Ok("1"), "the pairs are required: {}", path.display());
    println!("skipped: no pairs of schemas at {}", path.display());
    None
}

#[test]
fn no_verdict_on_a_known_pair_is_wrong_and_most_are_decided() {
    let Some(path) = data() else { return };
    let (mut all, mut decided) = (0, 0);
    let mut wrong = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let pair: Value = serde_json::from_str(line).unwrap();
        let label = pair["label"].as_str().unwrap();
        all += 1;
        let (Ok(sub), Ok(sup)) = (Schema::compile(&pair["sub"]), Schema::compile(&pair["sup"])) else { continue };
        match (label, subsumes(&sub, &sup)) {
            ("compatible", Compatibility::Compatible(_)) => decided += 1,
            ("incompatible", Compatibility::Incompatible { witness, .. }) => {
                assert!(sub.accepts(&witness) && !sup.accepts(&witness), "{}: {witness}", pair["id"]);
                decided += 1;
            }
            (_, Compatibility::Unknown { .. }) => {}
            (_, answer) => wrong.push(format!("{} is {label}: {answer:?}", pair["id"])),
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(all, 516);
    assert!(decided >= 510, "only {decided} of {all} decided");
}
