//! What a server is configured with, and where each value came from.

use crate::program;
use std::fs;
use writ_bench::Place;

/// What `config show` says with some variables: its exit code, and both outputs.
fn show(place: &Place, args: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let all = [&["config", "show"], args].concat();
    let mut command = std::process::Command::new(program());
    command.args(all).current_dir(place.files()).env_remove("WRIT_STATE").env_remove("WRIT_OUTPUT");
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn line<'a>(shown: &'a str, key: &str) -> &'a str {
    shown.lines().find(|line| line.starts_with(&format!("{key}\t"))).unwrap_or(shown)
}

#[test]
fn each_value_is_shown_with_where_it_came_from() {
    let place = Place::new(program()).unwrap();
    fs::write(place.files().join("writ.toml"), "state = \"kept\"\nlisten = \"127.0.0.1:1\"\nconsole = false\n")
        .unwrap();
    let variables = [("WRIT_CONFIG", "writ.toml"), ("WRIT_LISTEN", "127.0.0.1:2"), ("WRIT_LOG_LEVEL", "info")];
    let args = ["--origin", "--set", "log.level=debug", "--set", "limits.connections=9"];
    let (code, shown, _) = show(&place, &args, &variables);
    assert_eq!(code, Some(0));
    for (key, told) in [
        ("state", "state\tkept\tfile writ.toml:1:1"),
        ("listen", "listen\t127.0.0.1:2\tenvironment WRIT_LISTEN"),
        ("console", "console\tfalse\tfile writ.toml:3:1"),
        ("log.level", "log.level\tdebug\tflag --set"),
        ("limits.connections", "limits.connections\t9\tflag --set"),
        ("metrics", "metrics\ttrue\tdefault"),
        ("tls.cert", "tls.cert\t-\tdefault"),
    ] {
        assert_eq!(line(&shown, key), told);
    }
    let (_, shown, _) = show(&place, &["--state", "here"], &[("WRIT_STATE", "there")]);
    assert_eq!(line(&shown, "state"), "state\there");
    let (_, shown, _) = show(&place, &["--origin"], &[("WRIT_STATE", "there")]);
    assert_eq!(line(&shown, "state"), "state\tthere\tenvironment WRIT_STATE");
    let (_, shown, _) = show(&place, &["-o", "json", "--listen", "[::1]:9"], &[]);
    let all: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&all[0]["key"], &all[0]["value"]), (&"listen".into(), &"[::1]:9".into()));
    assert_eq!(all[0]["origin"], serde_json::json!({"from": "flag", "name": "--listen"}));
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_with_everything_that_is_wrong() {
    let place = Place::new(program()).unwrap();
    fs::write(place.files().join("writ.toml"), "[limits]\nconections = 1\nbody_bytes = \"big\"\n").unwrap();
    let (code, shown, said) = show(&place, &["--config", "writ.toml"], &[]);
    assert_eq!((code, shown.as_str()), (Some(64), ""));
    for part in ["--> writ.toml:2:1", "2 | conections = 1", "did you mean `limits.connections`?", "writ.toml:3:15"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let (code, _, said) = show(&place, &["--config", "missing.toml"], &[]);
    assert!(code == Some(64) && said.contains("there is no such file"), "{said}");
    let (code, _, said) = show(&place, &["--set", "listen"], &[]);
    assert!(code == Some(64) && said.contains("--set KEY=VALUE"), "{said}");
}
