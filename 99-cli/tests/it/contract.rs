//! The HTTP interface against its own document: Schemathesis asks a real server everything that OpenAPI says can be asked, and
//! much that cannot, and holds each answer against what the document says.

use crate::program;
use std::env;
use std::fs;
use std::path::PathBuf;
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

#[test]
fn the_server_answers_what_its_document_says_and_nothing_else() {
    let Some(schemathesis) = schemathesis() else {
        assert!(env::var_os("WRIT_REQUIRE_REAL").is_none(), "schemathesis is missing");
        println!("skipped: schemathesis is missing; `pip install schemathesis`, or name it in WRIT_TEST_SCHEMATHESIS");
        return;
    };
    let place = Place::new(program()).unwrap();
    // One person asks for thousands of changes here; what a throttled one is told is tested elsewhere.
    let mut dev = place.dev_with(&[], &[("WRIT_LIMITS_WRITES_PER_MINUTE", "1000000")]).unwrap();
    dev.until_up().unwrap();
    let address: serde_json::Value =
        serde_json::from_slice(&fs::read(place.state().join("server.json")).unwrap()).unwrap();
    let document = format!("{}/api/v1/openapi.json", address["url"].as_str().unwrap());
    for (name, phases, seconds) in [("operator", "coverage,fuzzing", "50"), ("reviewer", "coverage", "30")] {
        let token = fs::read_to_string(place.state().join("tokens").join(name)).unwrap();
        let ran = Command::new(&schemathesis)
            .current_dir(place.state())
            .args(["run", &document, "--checks", CHECKS, "--phases", phases, "--max-time", seconds])
            // Server-sent events do not end.
            .args(["--exclude-path", "/api/v1/events", "--request-timeout", "30", "--workers", "1"])
            .args(["--generation-deterministic", "--continue-on-failure", "--warnings", "off", "--no-color"])
            .arg("--header")
            .arg(format!("Authorization: Bearer {}", token.trim()))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "as {name}: {told}{}", String::from_utf8_lossy(&ran.stderr));
        println!("as {name}: {}", told.lines().filter(|line| line.contains("generated")).collect::<String>());
    }
    // It still stands, and what it recorded holds.
    let said = place.writ(&["audit", "verify"]).unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(dev.end(), Some(0));
}
