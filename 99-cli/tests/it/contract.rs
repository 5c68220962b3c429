//! The HTTP interface against its own document: Schemathesis asks a real server everything that OpenAPI says can be asked, and
//! much that cannot, and holds each answer against what the document says.

use crate::program;
use serde_json::Value;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use writ_bench::Place;

/// No fault of the server, no status, form or shape that the document does not have, and nothing let through that it forbids.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      negative_data_rejection";

/// Where schemathesis is; none when it is not here.
fn schemathesis() -> Option<PathBuf> {
    let named = env::var_os("WRIT_TEST_SCHEMATHESIS").map_or_else(|| "schemathesis".into(), PathBuf::from);
    let said = Command::new(&named).arg("--version").output().ok()?;
    said.status.success().then_some(named)
}

/// What is not asked, and why.
const NOT_ASKED: [(&str, &str); 2] = [
    ("GET /api/v1/events", "server-sent events do not end"),
    ("GET /api/v1/openapi.json", "it is read to begin with, and schemathesis asks nothing more of it"),
];

/// Statuses of requests that came to no operation: no token that is valid, another role, another method, another form, too many.
const NOT_REACHED: [u64; 5] = [401, 403, 405, 415, 429];

/// Each operation that answered something of its own, as schemathesis reports of a run.
fn reached(report: &Path) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    for line in BufReader::new(fs::File::open(report).unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let recorded = &event["ScenarioFinished"]["recorder"];
        let answers = recorded["interactions"].as_object().into_iter().flat_map(|asked| asked.values());
        let mut statuses = answers.filter_map(|asked| asked["response"]["status_code"].as_u64());
        if statuses.any(|status| !NOT_REACHED.contains(&status)) {
            reached.insert(recorded["label"].as_str().unwrap().to_owned());
        }
    }
    reached
}

/// Each operation of the document that is checked in, as reports call it.
fn operations() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    let of_path = |(path, methods): (&String, &Value)| -> Vec<String> {
        methods.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())).collect()
    };
    document["paths"].as_object().unwrap().iter().flat_map(of_path).collect()
}

#[test]
fn the_server_answers_what_its_document_says_and_nothing_else() {
    let Some(schemathesis) = schemathesis() else {
        assert!(env::var_os("WRIT_REQUIRE_REAL").is_none(), "schemathesis is missing");
        println!("skipped: schemathesis is missing; `pip install schemathesis`, or name it in WRIT_TEST_SCHEMATHESIS");
        return;
    };
    let mut tried = BTreeSet::new();
    for (name, phases, seconds) in [("operator", "coverage,fuzzing", "50"), ("reviewer", "coverage", "60")] {
        tried.extend(asked_by(&schemathesis, name, phases, seconds));
    }
    let all = operations();
    let not_asked: BTreeSet<String> = NOT_ASKED.iter().map(|(what, _)| (*what).to_owned()).collect();
    assert!(not_asked.is_subset(&all), "the document has no such operation: {not_asked:?}");
    let missed: Vec<&String> = all.difference(&tried).filter(|what| !not_asked.contains(*what)).collect();
    assert!(missed.is_empty(), "nobody got an answer of {missed:?}");
}

/// Has everything asked as one person, of a server of their own: what one of them takes away, the other still has. What answered.
fn asked_by(schemathesis: &Path, name: &str, phases: &str, seconds: &str) -> BTreeSet<String> {
    let place = Place::new(program()).unwrap();
    // One person asks for thousands of changes here; what a throttled one is told is tested elsewhere.
    let mut dev = place.dev_with(&[], &[("WRIT_LIMITS_WRITES_PER_MINUTE", "1000000")]).unwrap();
    dev.until_up().unwrap();
    let address: Value = serde_json::from_slice(&fs::read(place.state().join("server.json")).unwrap()).unwrap();
    let document = format!("{}/api/v1/openapi.json", address["url"].as_str().unwrap());
    let token = fs::read_to_string(place.state().join("tokens").join(name)).unwrap();
    let report = place.state().join("asked.ndjson");
    let ran = Command::new(schemathesis)
        .current_dir(place.state())
        .args(["run", &document, "--checks", CHECKS, "--phases", phases, "--max-time", seconds])
        .args(["--exclude-path", "/api/v1/events", "--request-timeout", "30", "--workers", "1"])
        .args(["--generation-deterministic", "--continue-on-failure", "--warnings", "off", "--no-color"])
        .args(["--report", "ndjson", "--report-ndjson-path"])
        .arg(&report)
        .arg("--header")
        .arg(format!("Authorization: Bearer {}", token.trim()))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "as {name}: {told}{}", String::from_utf8_lossy(&ran.stderr));
    println!("as {name}: {}", told.lines().filter(|line| line.contains("generated")).collect::<String>());
    // It still stands, and what it recorded holds.
    let said = place.writ(&["audit", "verify"]).unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(dev.end(), Some(0));
    reached(&report)
}
