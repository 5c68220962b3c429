//! Prints how the prover does on a file of schema pairs with known truth: one JSON object per line with `id`, `sub`, `sup`,
//! `label` (compatible or incompatible).
//!
//! `cargo run --release -p writ-schema --example confusion -- ../shared/data/contracts/pairs.jsonl`

use serde_json::Value;
use std::collections::BTreeMap;
use writ_schema::{Compatibility, Schema, subsumes};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("give the file of pairs")?;
    let mut table: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let pair: Value = serde_json::from_str(line)?;
        let label = pair["label"].as_str().unwrap_or_default().to_owned();
        let (answer, why) = match (Schema::compile(&pair["sub"]), Schema::compile(&pair["sup"])) {
            (Ok(sub), Ok(sup)) => match subsumes(&sub, &sup) {
                Compatibility::Compatible(_) => ("compatible", String::new()),
                Compatibility::Incompatible { witness, .. } => ("incompatible", witness.to_string()),
                Compatibility::Unknown { pointer, reason } => ("unknown", format!("{reason} (at `{pointer}`)")),
            },
            (Err(error), _) | (_, Err(error)) => ("refused", error.to_string()),
        };
        let right = answer == label;
        *table.entry((label.clone(), answer)).or_default() += 1;
        if !right {
            println!("{label} -> {answer}: {} {why}", pair["id"]);
        }
    }
    println!("{:<14}{:<14}pairs", "truth", "answer");
    for ((label, answer), count) in &table {
        println!("{label:<14}{answer:<14}{count}");
    }
    let all: usize = table.values().sum();
    let decided: usize = table.iter().filter(|((label, answer), _)| label == answer).map(|(_, count)| count).sum();
    println!("decided rightly {decided} of {all}");
    Ok(())
}
