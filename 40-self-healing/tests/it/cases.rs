//! Every file under `tests/cases` is a script of what was seen and the transcript of what was decided.

use crate::script::{Script, component, source_text};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use writ_self_healing::{Config, Heal, Limits, Mode, Scaling};

fn check(name: &str, text: &str) -> Result<(), String> {
    let case = writ_text::read(name, text.as_bytes(), &writ_text::Limits::default()).unwrap().to_json();
    let mode: Mode = serde_json::from_value(case.get("mode").cloned().unwrap_or(Value::from("auto"))).unwrap();
    let mut heal_text = source_text();
    if let Some(extra) = case.get("config").and_then(Value::as_object) {
        let mut document = serde_json::to_value(&heal_text).unwrap();
        document.as_object_mut().unwrap().extend(extra.clone());
        heal_text = serde_json::from_value(document).unwrap();
    }
    let number = |key: &str, unsaid: u64| case.get(key).and_then(Value::as_u64).unwrap_or(unsaid);
    let scaling = Scaling::within(number("min", 3), number("max", 10), 70);
    let limits = Limits { cpu_millicores: Some(1_000), memory_bytes: Some(512 << 20) };
    let config = Config::compile(component(), &heal_text, Some(scaling), limits, mode).unwrap();
    let mut script = Script::new(config, number("instances", 3));
    for step in case["steps"].as_array().unwrap() {
        script.play(step);
    }
    let folded = Heal::fold(component(), &script.journal).unwrap();
    assert_eq!(folded, script.heal, "{name}: the fold of the journal is the live state");
    let expected: Vec<&str> = case["expect"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    if script.transcript == expected {
        return Ok(());
    }
    let mut told = format!("{name} decided:\n");
    for line in &script.transcript {
        let _ = writeln!(told, "  - {}", serde_json::to_string(line).unwrap());
    }
    Err(told)
}

#[test]
fn every_script_is_decided_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 15, "the cases are there");
    let wrong: Vec<String> = files
        .iter()
        .filter_map(|file| {
            check(&file.file_name().unwrap().to_string_lossy(), &std::fs::read_to_string(file).unwrap()).err()
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
