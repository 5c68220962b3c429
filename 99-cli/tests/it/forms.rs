//! Answers in every form, exit codes of the rest, and readers that go away.

use crate::{journey::up, program, typed_at};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use writ_bench::Place;

/// Commands that read, each of which answers in every form.
fn questions<'a>(file: &'a str, dir: &'a str, log: &'a str, proof: &'a str) -> Vec<Vec<&'a str>> {
    vec![
        vec!["intent", "list"],
        vec!["intent", "get", "DEPLOY-WEB-001"],
        vec!["intent", "history", "DEPLOY-WEB-001"],
        vec!["run", "list"],
        vec!["approval", "list"],
        vec!["agent", "list"],
        vec!["agent", "get", "provisioning-agent-001"],
        vec!["agent", "killed"],
        vec!["token", "list"],
        vec!["waiver", "list"],
        vec!["maintenance", "show"],
        vec!["incident", "list"],
        vec!["policy", "list"],
        vec!["policy", "test", dir],
        vec!["policy", "lint", dir],
        vec!["policy", "explain", "-f", file],
        vec!["audit", "export", log],
        vec!["audit", "verify", "--file", log],
        vec!["verify", proof],
        vec!["contract", "matrix"],
        vec!["recommend", "list"],
        vec!["audit", "query", "--limit", "5"],
        vec!["audit", "verify"],
        vec!["audit", "checkpoint"],
        vec!["why", "web-service-001/i-1"],
        vec!["validate", "-f", file],
        vec!["plan", "-f", file],
        vec!["plan", "--local", "-f", file],
        vec!["recommend", "collect", "--period", "60s"],
    ]
}

#[test]
fn every_answer_is_a_document_in_the_form_that_was_asked_for() {
    let (place, dev) = up(&[]);
    let file = place.files().join("intent.yaml").display().to_string();
    let [dir, log, proof, fresh] = [place.files(), place.path("log"), place.path("e.json"), place.path("fresh")]
        .map(|path| path.display().to_string());
    assert_eq!(place.writ(&["audit", "evidence", "DEPLOY-WEB-001", "--out", &proof]).unwrap().code, Some(0));
    for args in questions(&file, &dir, &log, &proof) {
        let asked = |form: &str| {
            let args: Vec<&str> = args.iter().copied().chain(["-o", form]).collect();
            let said = place.writ(&args).unwrap();
            assert_eq!(said.code, Some(0), "{args:?}: {}", said.err);
            assert!(form == "table" || !said.err.contains("next:"), "{args:?}: scripts read no hints: {}", said.err);
            said.out
        };
        let json: Value = serde_json::from_str(&asked("json")).unwrap_or_else(|error| panic!("{args:?}: {error}"));
        let yaml = asked("yaml");
        let read = writ_text::read("answer.yaml", yaml.as_bytes(), &writ_text::Limits::default());
        let read = read.unwrap_or_else(|problem| panic!("{args:?}: {problem:?}\n{yaml}"));
        assert_eq!(shape(&read.to_json()), shape(&json), "{args:?}: YAML and JSON differ in their keys");
        for line in asked("ndjson").lines() {
            let one: Result<Value, _> = serde_json::from_str(line);
            assert!(one.is_ok(), "{args:?}: {line}");
        }
        let table = asked("table");
        assert_eq!(table.is_empty(), json == Value::Array(vec![]), "{args:?}: {table}");
    }

    // What can be done once only.
    let unpinned = place.writ(&["audit", "unpin", "-o", "json"]).unwrap().json();
    assert!(unpinned["log"].is_string() && unpinned["note"].is_string(), "{unpinned}");
    let written = place.writ(&["init", &fresh, "-o", "json"]).unwrap().json();
    assert_eq!(written[0], format!("{fresh}/intent.yaml"));

    // Checks have forms of their own.
    let sarif = place.writ(&["validate", "-f", &file, "-o", "sarif"]).unwrap().json();
    assert_eq!(sarif["version"], "2.1.0");
    let junit = place.writ(&["validate", "-f", &file, "-o", "junit"]).unwrap().out;
    assert!(junit.starts_with("<?xml") && junit.contains("<testsuite"), "{junit}");

    // Graphs, schemas, a run that is followed by a script.
    for form in ["dot", "mermaid", "svg"] {
        assert!(!place.writ(&["plan", "-f", &file, "--graph", form]).unwrap().out.is_empty(), "{form}");
    }
    for of in ["intent", "platform"] {
        assert!(place.writ(&["schema", of]).unwrap().json().get("$schema").is_some(), "{of}");
    }
    let run = place.list("runs").unwrap()[0]["id"].as_str().unwrap().to_owned();
    let followed = place.writ(&["run", "watch", &run, "-o", "ndjson"]).unwrap().out;
    let lines: Vec<Value> = followed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["type"], "version");
    assert_eq!(lines.last().unwrap()["state"], "succeeded");

    readers_go_away(&place);
    assert_eq!(dev.end(), Some(0));
    let gone = place.writ(&["run", "list"]).unwrap();
    assert_eq!(gone.code, Some(1));
    assert!(gone.err.contains(&format!("start one with `{}", typed_at(&place, "dev"))), "{}", gone.err);
}

/// The keys of a document at every depth, without its values: times and counters go on between two answers.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(items) => Value::Array(items.first().map(shape).into_iter().collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Value::Null,
    }
}

/// `writ … | head -1`: whoever reads may stop, and that is no error.
fn readers_go_away(place: &Place) {
    for args in [
        &["audit", "query", "--limit", "1000", "-o", "json"][..],
        &["audit", "query", "--limit", "1000", "-o", "ndjson"],
        &["contract", "matrix"],
        &["--help"],
    ] {
        let mut child = place.command(args).spawn().unwrap();
        let mut line = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {err}");
        assert!(!err.contains("panicked") && !err.contains("error"), "{args:?}: {err}");
        assert!(!line.is_empty(), "{args:?}");
    }
}

#[test]
fn help_and_version_are_answers() {
    for args in [&["--help"][..], &["--version"], &["dev", "--help"], &["audit", "query", "--help"]] {
        let output = std::process::Command::new(program()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{args:?}");
    }
    let load = std::process::Command::new(program()).args(["load", "--help"]).output().unwrap();
    let told = String::from_utf8_lossy(&load.stdout).into_owned();
    for option in ["--target", "--rate", "--seconds", "--until-stdin-closes", "--timeout-ms"] {
        assert!(told.contains(option), "{option}: {told}");
    }
}

#[test]
fn checks_need_no_server() {
    let place = Place::new(program()).unwrap();
    let dir = place.files();
    let run = |args: &[&str]| place.writ(args).unwrap().code;
    let (file, dir) = (dir.join("intent.yaml").display().to_string(), dir.display().to_string());
    assert_eq!(run(&["validate", "-f", &file]), Some(0));
    assert_eq!(run(&["plan", "--local", "-f", &file]), Some(0));
    assert_eq!(run(&["plan", "--local", "-f", &file, "--detailed-exitcode"]), Some(2));
    assert_eq!(run(&["policy", "test", &dir]), Some(0));
    assert_eq!(run(&["plan", "-f", &file]), Some(1), "without `--local` it asks a server");
    let nothing = place.path("nothing");
    assert_eq!(run(&["audit", "verify", "--file", nothing.to_str().unwrap()]), Some(8));
    let contract = Path::new(&dir).join("contracts/monitoring.v1.yaml").display().to_string();
    assert_eq!(run(&["contract", "diff", &contract, &contract]), Some(0));
    assert!(!place.state().exists(), "none of them leaves anything behind");
}

#[test]
fn a_rule_is_explained_with_the_values_of_its_parts_and_linted() {
    let place = Place::new(program()).unwrap();
    let intent = place.files().join("intent.yaml");
    let told = place.writ(&["policy", "explain", "-f", intent.to_str().unwrap()]).unwrap();
    assert_eq!(told.code, Some(0), "{}", told.err);
    assert!(told.out.contains("SEC-ENC-001  passed: TLS 1.3 enabled"), "{}", told.out);
    assert!(told.out.contains("rule  platform.tls.min_version = 1.3"), "{}", told.out);
    assert!(told.out.contains("ARCH-MIN-001  not concerned"), "{}", told.out);
    let lint = place.writ(&["policy", "lint", place.files().to_str().unwrap()]).unwrap();
    assert_eq!((lint.code, lint.out.as_str()), (Some(0), ""), "{}", lint.err);
    let rule = "\n  - id: NEVER-001\n    effect: deny\n    actions: ['*']\n    message: Nothing goes\n";
    let path = place.files().join("policies/architecture-policies.yaml");
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + rule).unwrap();
    let lint = place.writ(&["policy", "lint", place.files().to_str().unwrap()]).unwrap();
    assert_eq!(lint.code, Some(1), "{}", lint.err);
    assert!(lint.out.contains("never decides anything: `NEVER-001` forbids all that it is about"), "{}", lint.out);
}
