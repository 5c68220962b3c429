//! Files and words that make no sense: each is refused with its place and exit code 64, and nothing ever panics.

use crate::program;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use writ_bench::{Place, Said};

/// Runs a command that must refuse its input, saying all of these.
#[track_caller]
fn refused(place: &Place, args: &[&str], parts: &[&str]) -> Said {
    let said = place.writ(args).unwrap();
    assert_eq!(said.code, Some(64), "{args:?}\nout: {}\nerr: {}", said.out, said.err);
    assert_eq!(said.out, "", "{args:?} answers although it refuses");
    for part in parts {
        assert!(said.err.contains(part), "{args:?} does not say `{part}`:\n{}", said.err);
    }
    assert!(!said.err.contains("panicked"), "{args:?}: {}", said.err);
    assert!(said.err.len() < 20_000, "{args:?} says {} bytes", said.err.len());
    said
}

/// Each way a file can be no file, with what must be said about it.
fn unreadable(dir: &Path) -> Vec<(&'static str, &'static str)> {
    fs::create_dir(dir.join("directory.yaml")).unwrap();
    symlink("loop-b.yaml", dir.join("loop-a.yaml")).unwrap();
    symlink("loop-a.yaml", dir.join("loop-b.yaml")).unwrap();
    symlink("nowhere.yaml", dir.join("dangling.yaml")).unwrap();
    // Sparse: it takes no room on the disk, and would take it in memory.
    File::create(dir.join("huge.yaml")).unwrap().set_len(100 << 20).unwrap();
    fs::write(dir.join("latin1.yaml"), b"intent:\n  id: 'caf\xe9'\n").unwrap();
    vec![
        ("missing.yaml", "missing.yaml"),
        ("directory.yaml", "directory"),
        ("loop-a.yaml", "loop-a.yaml"),
        ("dangling.yaml", "dangling.yaml"),
        ("huge.yaml", "104857600"),
        ("latin1.yaml", "latin1.yaml:2:"),
        ("/dev/zero", "/dev/zero"),
    ]
}

#[test]
fn what_is_no_file_is_refused_by_every_command_that_reads_one() {
    let place = Place::new(program()).unwrap();
    let files = place.files();
    let dir = files.display().to_string();
    for (name, part) in unreadable(&files) {
        let path = files.join(name).display().to_string();
        let path = path.as_str();
        refused(&place, &["validate", "-f", path, "--with", &dir], &[part]);
        refused(&place, &["plan", "--local", "-f", path, "--with", &dir], &[part]);
        refused(&place, &["apply", "-f", path], &[part]);
        refused(&place, &["contract", "diff", path, path], &[part]);
        if name != "latin1.yaml" {
            // Whatever bytes an evidence file holds, they are not evidence, and that is exit code 8.
            refused(&place, &["verify", path], &[part]);
        }
    }
    refused(&place, &["dev", "no-such-directory"], &["no-such-directory"]);
    assert!(!place.state().exists(), "a refusal leaves nothing behind");
}

/// Manifests that are no manifest: what is changed in the example's, and what must be said.
const MANIFESTS: [(&str, &str, &str, &[&str]); 16] = [
    ("an unknown key", "availability: '99.9%'", "availabilty: '99.9%'", &["intent.yaml:7:", "availability"]),
    ("a wrong type", "min_instances: 3", "min_instances: three", &["intent.yaml:12:"]),
    ("a list for a text", "type: 'deployment'", "type: ['deployment']", &["intent.yaml:3:"]),
    ("an unknown word", "type: 'deployment'", "type: 'deploymint'", &["intent.yaml:3:", "deployment"]),
    ("a wrong unit", "latency_p95: '<100ms'", "latency_p95: '<100MiB'", &["intent.yaml:9:"]),
    ("a share beyond one", "'99.9%'", "'199.9%'", &["intent.yaml:7:"]),
    ("a negative count", "min_instances: 3", "min_instances: -3", &["intent.yaml:12:"]),
    ("a count beyond all counts", "max_instances: 10", "max_instances: 99999999999999999999", &["intent.yaml:13:"]),
    (
        "bounds the wrong way round",
        "max_instances: 10",
        "max_instances: 2",
        &["intent.yaml:12:", "above `max_instances`"],
    ),
    ("an unknown region", "'us-east'", "'mars-north'", &["intent.yaml:17:", "mars-north"]),
    ("a key twice", "  type: 'deployment'", "  type: 'deployment'\n  type: 'scaling'", &["intent.yaml:4:"]),
    ("a tab", "  type: 'deployment'", "\ttype: 'deployment'", &["intent.yaml:3:"]),
    ("an open quote", "'DEPLOY-WEB-001'", "'DEPLOY-WEB-001", &["intent.yaml:"]),
    ("an id that is none", "'DEPLOY-WEB-001'", "'deploy web/../001'", &["intent.yaml:2:"]),
    ("a key that is missing", "  id: 'DEPLOY-WEB-001'\n", "", &["intent.yaml:", "id"]),
    ("an empty budget", "'$500/month'", "''", &["intent.yaml:16:"]),
];

#[test]
fn a_manifest_that_makes_no_sense_is_refused_with_file_and_line() {
    for (what, from, to, parts) in MANIFESTS {
        let place = Place::new(program()).unwrap();
        place.edit("intent.yaml", from, to).unwrap();
        let file = place.files().join("intent.yaml").display().to_string();
        println!("{what}");
        let said = refused(&place, &["validate", "-f", &file], parts);
        assert_eq!(refused(&place, &["plan", "--local", "-f", &file], parts).err, said.err, "{what}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let place = Place::new(program()).unwrap();
    for (from, to) in [("'<100ms'", "'<100MiB'"), ("min_instances: 3", "min_instances: x"), ("'$500/month'", "'€500'")]
    {
        place.edit("intent.yaml", from, to).unwrap();
    }
    let file = place.files().join("intent.yaml").display().to_string();
    refused(&place, &["validate", "-f", &file], &["intent.yaml:9:", "intent.yaml:12:", "intent.yaml:16:"]);
}

/// Documents that would cost too much to read.
fn bombs() -> Vec<(&'static str, String)> {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..10 {
        let last = level - 1;
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{last}"); 10].join(", ")));
    }
    vec![
        ("billion laughs", laughs + "intent: *a9\n"),
        ("deep lists", format!("intent: {}", "[".repeat(100_000))),
        ("deep maps", format!("intent: {}", "{a: ".repeat(50_000))),
        ("deep indents", (0..3_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect()),
        ("many keys", (0..200_000).map(|key| format!("k{key}: 1\n")).collect()),
        ("an alias of itself", "intent: &a [*a]\n".to_owned()),
        ("a long line", format!("intent: '{}'", "x".repeat(900_000))),
        ("zeros", "\0".repeat(4_096)),
        ("two documents", "intent: {}\n---\nintent: {}\n".to_owned()),
        ("nothing", String::new()),
    ]
}

#[test]
fn documents_that_would_cost_too_much_cost_nothing() {
    for (what, text) in bombs() {
        let place = Place::new(program()).unwrap();
        println!("{what}");
        for name in ["intent.yaml", "platform.yaml", "agents.yaml", "policies/bomb.yaml", "contracts/bomb.yaml"] {
            let path = place.files().join(name);
            let before = fs::read(&path).ok();
            fs::write(&path, &text).unwrap();
            let file = place.files().join("intent.yaml").display().to_string();
            let began = std::time::Instant::now();
            let said = place.writ(&["validate", "-f", &file]).unwrap();
            // An empty platform or policy file takes every default, and is none of the manifest's business.
            let may_be_empty = what == "nothing" && name != "intent.yaml";
            assert!(said.code == Some(64) || may_be_empty, "{what} as {name}: {:?}\n{}", said.code, said.err);
            assert!(may_be_empty || said.err.contains(&format!("{name}:")), "{what} as {name}:\n{}", said.err);
            assert!(!said.err.contains("panicked"), "{what} as {name}: {}", said.err);
            assert!(began.elapsed().as_secs() < 5, "{what} as {name} takes {:?}", began.elapsed());
            match before {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
        }
    }
}

/// Changes in the organisation's files that make no sense.
const FILES: [(&str, &str, &str, &str); 9] = [
    ("platform.yaml", "target_cpu: 70", "target_cpu: 7000", "platform.yaml:"),
    ("platform.yaml", "provider: local", "provider: lokal", "platform.yaml:3:"),
    ("platform.yaml", "error_rate > 5%", "error_rate > 5ms", "platform.yaml:"),
    ("platform.yaml", "health_interval: 500ms", "health_intervall: 500ms", "health_interval"),
    ("commands.yaml", "command: [/usr/bin/cat, /proc/loadavg]", "command: ['*']", "commands.yaml:"),
    ("agents.yaml", "'read:metrics'", "'read metrics'", "agents.yaml:"),
    ("agents.yaml", "version: '2.1.0'", "version: 'two'", "agents.yaml:"),
    ("policies/compliance-policies.yaml", "rule:", "rule: 1 +", "compliance-policies.yaml:"),
    ("contracts/monitoring.v1.yaml", "version:", "versoin:", "monitoring.v1.yaml:"),
];

#[test]
fn files_of_the_organisation_that_make_no_sense_are_refused_with_file_and_line() {
    for (name, from, to, part) in FILES {
        let place = Place::new(program()).unwrap();
        place.edit(name, from, to).unwrap();
        let dir = place.files().display().to_string();
        let file = place.files().join("intent.yaml").display().to_string();
        println!("{name}: {to}");
        refused(&place, &["validate", "-f", &file], &[part]);
        refused(&place, &["dev", &dir], &[part]);
        assert!(!place.state().exists(), "a refused `dev` leaves nothing behind");
    }
}

#[test]
fn words_that_make_no_sense_are_refused_as_usage() {
    let place = Place::new(program()).unwrap();
    for args in [
        &["no-such-command"][..],
        &[],
        &["validate"],
        &["plan", "--local"],
        &["validate", "-f", "x", "-o", "pdf"],
        &["audit", "query", "--limit", "many"],
        &["audit", "query", "--limit", "-1"],
        &["audit", "query", "--limit", "0"],
        &["why", ""],
        &["audit", "verify", "--key", "nonsense", "--file", "."],
        &["agent", "kill"],
        &["agent", "kill", "--all", "--agent", "x"],
        &["dev"],
        &["dev", "x", "--listen", "here"],
        &["recommend", "collect", "--period", "5"],
        &["recommend", "collect", "--period", "99999999999999999999d"],
        &["run", "resolve", "x", "--step", "y", "-m", "z"],
        &["load", "--rate", "0", "--target", "http://127.0.0.1:1/"],
        &["schema", "nothing"],
    ] {
        let said = place.writ(args).unwrap();
        assert_eq!(said.code, Some(64), "{args:?}: {}", said.err);
        assert!(!said.err.is_empty() && said.out.is_empty(), "{args:?}: {} {}", said.out, said.err);
        assert!(!said.err.contains("panicked"), "{args:?}: {}", said.err);
    }
}

#[test]
fn words_that_make_no_sense_to_a_server_are_refused_and_leave_nothing_behind() {
    let place = Place::new(program()).unwrap();
    let dev = crate::pin::serve(&place);
    let long = "x".repeat(100_000);
    let size = || place.api("/api/v1/audit/verify").unwrap()["size"].clone();
    let before = size();
    for args in [
        &["token", "issue", "a\u{1b}[2Jb", "--enrol", "-m", "new", "--roles", "viewer"][..],
        &["token", "issue", &long, "--enrol", "-m", "new", "--roles", "viewer"],
        &["token", "issue", "Eve", "--enrol", "-m", "new", "--roles", ""],
        &["token", "issue", "Eve", "--enrol", "-m", "new", "--roles", "部署"],
        &["token", "issue", "../../etc/passwd"],
        &["token", "revoke", "../../etc/passwd"],
        &["token", "revoke", "%"],
        &["audit", "erase", "--yes", "-m", "x", "--commitment", "sha256:00"],
        &["audit", "erase", "--yes", "-m", "x", "--commitment", &long],
        &["audit", "erase", "--yes", "-m", " ", "--principal", "person-01"],
        &["audit", "erase", "--yes", "-m", &long, "--principal", "person-01"],
        &["audit", "erase", "--yes", "-m", "x", "--approval", "run_x"],
        &["agent", "drain", "scaling-agent-001", "--reason", &long],
        &["agent", "drain", "a b", "--reason", "x"],
        &["agent", "drain", "", "--reason", "x"],
        &["agent", "key", "scaling-agent-001", "--reason", "x", "--public-key", "💥"],
        &["agent", "permissions", "scaling-agent-001", "--reason", "x", "--permissions", "do everything"],
        &["waiver", "ask", "COMP-BUDGET-001", "--subject", "*", "--ttl", "99999999999d", "-m", "x"],
        &["waiver", "ask", "COMP-BUDGET-001", "--subject", "*", "--ttl", "1h", "-m", ""],
        &["waiver", "grant", "wvr_", "--as", "reviewer"],
        &["waiver", "revoke", "../maintenance"],
        &["audit", "query", "--from", "2026-02-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z"],
        &["run", "replan", "run_x"],
        &["run", "resolve", "run_x", "--step", "a", "--happened", "-m", &long],
        &["approval", "get", "\u{202e}"],
        &["incident", "get", "inc_?x=1#y"],
    ] {
        let said = place.writ(args).unwrap();
        let told: Vec<String> = args.iter().map(|arg| arg.chars().take(30).collect()).collect();
        let err: String = said.err.chars().take(500).collect();
        assert!(matches!(said.code, Some(3 | 5 | 64)), "{told:?}: {:?} {err}", said.code);
        assert!(said.err.starts_with("error: ") && said.err.len() < 2_000, "{told:?}: {err}");
        assert!(!said.err.contains("panicked"), "{told:?}: {err}");
    }
    assert_eq!(size(), before, "{}", dev.said());
    assert!(!dev.said().contains("ERROR") && !dev.said().contains("panicked"), "{}", dev.said());
    assert_eq!(dev.end(), Some(0));
}

#[test]
fn a_check_that_says_no_answers_in_the_form_that_was_asked_for() {
    let cases = [
        ("availability: '99.9%'", "availabilty: '99.9%'", 64, "/problems/0/at/line", "7", "problem"),
        ("'$500/month'", "'$5/month'", 3, "/infeasible/fixes/0/gives/count", "", "infeasible"),
    ];
    for (from, to, code, pointer, value, rule) in cases {
        let place = Place::new(program()).unwrap();
        place.edit("intent.yaml", from, to).unwrap();
        let file = place.files().join("intent.yaml").display().to_string();
        let asked = |args: &[&str], form: &str| {
            let args = [args, &["-f", &file, "-o", form]].concat();
            let said = place.writ(&args).unwrap();
            assert_eq!(said.code, Some(code), "{args:?}: {}", said.err);
            assert!(said.err.contains("error: "), "{args:?}: people read the same: {}", said.err);
            said
        };
        for args in [&["validate"][..], &["plan", "--local"]] {
            for form in ["json", "ndjson"] {
                let document = asked(args, form).json();
                let found = document.pointer(pointer).unwrap_or_else(|| panic!("{document}")).to_string();
                assert!(value.is_empty() || found == value, "{document}");
            }
            let yaml = asked(args, "yaml").out;
            assert!(writ_text::read("a.yaml", yaml.as_bytes(), &writ_text::Limits::default()).is_ok(), "{yaml}");
            assert_eq!(asked(args, "table").out, "");
        }
        let sarif = asked(&["validate"], "sarif").json();
        let result = &sarif["runs"][0]["results"][0];
        assert_eq!((sarif["version"].as_str(), result["ruleId"].as_str()), (Some("2.1.0"), Some(rule)), "{sarif}");
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().unwrap().ends_with("intent.yaml"), "{sarif}");
        assert!(value.is_empty() || place["region"]["startLine"] == 7, "{sarif}");
        let junit = asked(&["validate"], "junit").out;
        assert!(junit.starts_with("<?xml") && junit.contains("<failure message="), "{junit}");
    }
    let place = Place::new(program()).unwrap();
    let missing = place.writ(&["validate", "-f", "missing.yaml", "-o", "json"]).unwrap();
    assert_eq!(missing.code, Some(64));
    assert_eq!(missing.json()["problems"][0]["at"]["file"], "missing.yaml");
    for args in [&["run", "list", "-o", "sarif"][..], &["plan", "--local", "-f", "x", "-o", "junit"]] {
        let said = place.writ(args).unwrap();
        assert_eq!((said.code, said.out.as_str()), (Some(64), ""), "{args:?}: {}", said.err);
        assert!(said.err.contains("sarif is for `validate`") && said.err.contains("ndjson"), "{}", said.err);
    }
}

#[test]
fn what_is_seldom_meant_is_done_and_said() {
    let place = Place::new(program()).unwrap();
    let mut dev = crate::pin::serve(&place);
    let said = |args: &[&str]| place.writ(args).unwrap();
    for (args, note) in [
        (&["agent", "kill", "--agent", "scaling-agent-01"][..], "note: nothing is known of agent `scaling-agent-01`"),
        (&["agent", "kill", "--action", "restart_instnace"], "note: nothing is known of action `restart_instnace`"),
        (&["agent", "kill", "--agent", "scaling-agent-001"], ""),
        (&["agent", "release", "--agent", "scaling-agent-001"], ""),
        (
            &["agent", "release", "--agent", "scaling-agent-001"],
            "note: the switch for agent `scaling-agent-001` was not",
        ),
    ] {
        let said = said(args);
        assert_eq!(said.code, Some(0), "{args:?}: {}", said.err);
        assert!(said.err.contains(note) && said.err.contains("note:") != note.is_empty(), "{args:?}: {}", said.err);
    }
    assert_eq!(
        said(&["agent", "killed", "-o", "json"]).json().as_array().unwrap().len(),
        2,
        "they are pulled all the same"
    );

    // An entry is found by its number; a path that is no text is a problem like any other.
    let newest = said(&["audit", "query", "--limit", "1", "-o", "json"]).json()[0].clone();
    let story = said(&["why", &newest["seq"].to_string(), "-o", "json"]).json();
    assert_eq!(story["subject"], format!("entry {}", newest["event_id"].as_str().unwrap()));
    assert_eq!(said(&["why", "999999999"]).code, Some(5));
    assert_eq!(place.api("/api/v1/why/%ff").unwrap()["code"], "invalid");

    // A file is not vouched for by the key that it brings along.
    let file = place.path("e.json").display().to_string();
    let event = newest["event_id"].as_str().unwrap();
    assert_eq!(said(&["audit", "evidence", event, "--out", &file]).code, Some(0));
    let key: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let checked = said(&["verify", &file]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    assert!(checked.err.contains("the key that you noted"), "{}", checked.err);
    assert!(!(checked.out + &checked.err).contains(key["key"].as_str().unwrap()));
    dev.signal(writ_bench::Signal::HUP);
    assert_eq!(dev.wait().unwrap().code(), Some(0), "{}", dev.said());
}
