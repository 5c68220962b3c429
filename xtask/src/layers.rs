//! Which crate may import which: the table is data, and this holds `cargo metadata` against it.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::process::Command;

const FOUNDATION: &[&str] = &["writ-core", "writ-text", "writ-expr", "writ-schema", "writ-seal"];
const LAYERS: &[&str] = &[
    "writ-policy",
    "writ-intent",
    "writ-agents",
    "writ-automation",
    "writ-self-healing",
    "writ-contracts",
    "writ-audit",
    "writ-feedback",
];

/// A crate and the groups of crates it may import; a group is a list above, or a single name.
const TABLE: &[(&str, &[&[&str]])] = &[
    ("writ-core", &[]),
    ("writ-text", &[&["writ-core"]]),
    ("writ-expr", &[&["writ-core", "writ-text"]]),
    ("writ-schema", &[&["writ-core", "writ-text", "writ-expr"]]),
    ("writ-seal", &[&["writ-core", "writ-text", "writ-expr", "writ-schema"]]),
    ("writ-store", &[FOUNDATION]),
    ("writ-providers", &[FOUNDATION]),
    ("writ-policy", &[FOUNDATION]),
    ("writ-intent", &[FOUNDATION]),
    ("writ-agents", &[FOUNDATION]),
    ("writ-automation", &[FOUNDATION]),
    ("writ-self-healing", &[FOUNDATION]),
    ("writ-contracts", &[FOUNDATION]),
    ("writ-audit", &[FOUNDATION]),
    ("writ-feedback", &[FOUNDATION]),
    ("writ-pipeline", &[FOUNDATION, LAYERS]),
    ("writ-server", &[FOUNDATION, &["writ-pipeline", "writ-store", "writ-providers", "writ-audit"]]),
    ("writ-cli", &[FOUNDATION, &["writ-server", "writ-pipeline", "writ-audit"]]),
    // The simulator is a test: it looks into the layers that it drives.
    ("writ-sim", &[FOUNDATION, LAYERS, &["writ-pipeline", "writ-store"]]),
    (
        "writ-bench",
        &[FOUNDATION, LAYERS, &["writ-pipeline", "writ-store", "writ-providers", "writ-sim", "writ-server"]],
    ),
    ("xtask", &[]),
];

/// Holds every crate's imports against the table.
pub(crate) fn check() -> Result<()> {
    let wrong = violations(&metadata()?)?;
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}", wrong.join("\n"))
}

fn metadata() -> Result<Value> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let args = ["metadata", "--no-deps", "--format-version", "1", "--offline", "--manifest-path", root];
    let output = Command::new(env!("CARGO")).args(args).output()?;
    serde_json::from_slice(&output.stdout).context("cargo metadata did not answer")
}

fn violations(metadata: &Value) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().context("packages")? {
        let name = package["name"].as_str().context("name")?;
        let Some((_, groups)) = TABLE.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("`{name}` is not in the table of xtask/src/layers.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().context("dependencies")? {
            let import = dependency["name"].as_str().unwrap_or_default();
            // What tests import is their own business.
            let ours = import.starts_with("writ-") && dependency["kind"].as_str() != Some("dev");
            if ours && !groups.iter().any(|group| group.contains(&import)) {
                wrong.push(format!("`{name}` imports `{import}`, which its place does not allow"));
            }
        }
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_imports_only_what_its_place_allows() {
        assert_eq!(violations(&metadata().unwrap()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn an_import_across_layers_is_named() {
        let bent = serde_json::json!({"packages": [{"name": "writ-policy", "dependencies": [
            {"name": "writ-core", "kind": null}, {"name": "writ-intent", "kind": null}, {"name": "writ-audit", "kind": "dev"},
        ]}]});
        assert_eq!(violations(&bent).unwrap(), ["`writ-policy` imports `writ-intent`, which its place does not allow"]);
    }

    #[test]
    fn adapters_are_named_in_one_file_of_the_server() {
        let mut open = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../95-server/src"))];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            if path.extension().is_none_or(|end| end != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for adapter in ["writ_store", "writ_providers"] {
                assert!(path.ends_with("wire.rs") || !text.contains(adapter), "{} names `{adapter}`", path.display());
            }
        }
    }
}
