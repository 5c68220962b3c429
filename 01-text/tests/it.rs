//! Documents as people and attackers write them.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may stop, and asks the environment where the shared data is"
)]

use proptest::prelude::*;
use serde_json::json;
use writ_text::{Limits, Node, Problem, Problems, Value, load, read, read_all, render, to_yaml};

fn good(text: &str) -> Node {
    read("f.yaml", text.as_bytes(), &Limits::default()).unwrap()
}

fn bad(bytes: &[u8]) -> Vec<String> {
    let problems = read("f.yaml", bytes, &Limits::default()).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_value_and_key_knows_its_place() {
    let node = good("intent:\n  id: 'X'\n  描述: 部署\n  region: ['us-west', us-east]\n");
    let intent = node.get("intent").unwrap();
    assert_eq!(node.entry("intent").unwrap().key_at.to_string(), "f.yaml:1:1");
    assert_eq!(intent.get("id").unwrap().at.to_string(), "f.yaml:2:7");
    assert_eq!(intent.entry("描述").unwrap().value.at.to_string(), "f.yaml:3:7");
    assert_eq!(node.pointer("/intent/region/1").unwrap().at.to_string(), "f.yaml:4:23");
    assert_eq!(node.pointer("/intent/region/2"), None);
    assert_eq!(node.nearest_at("/intent/region/2/x").to_string(), "f.yaml:4:11");
    assert_eq!(node.to_json(), json!({"intent": {"id": "X", "描述": "部署", "region": ["us-west", "us-east"]}}));
}

#[test]
fn json_is_read_by_the_same_door() {
    let node = read(
        "f.json",
        b"{\"a\": [1, 2.5, true, null, \"\\ud83d\\ude00\\/\"],\n\t\"b\":{\"c\":-1e3}}",
        &Limits::default(),
    );
    assert_eq!(node.unwrap().to_json(), json!({"a": [1, 2.5, true, null, "😀/"], "b": {"c": -1000.0}}));
}

#[test]
fn aliases_expand_within_the_budget() {
    let node = good("a: &x {n: 1}\nb: *x\nc: [*x, *x]\n");
    assert_eq!(node.to_json(), json!({"a": {"n": 1}, "b": {"n": 1}, "c": [{"n": 1}, {"n": 1}]}));
    assert_eq!(node.get("b").unwrap().at.to_string(), "f.yaml:2:4");
}

#[test]
fn tags_of_the_core_schema_are_honoured_and_others_refused() {
    assert_eq!(good("!!str 5").to_json(), json!("5"));
    assert_eq!(good("!!int 5").to_json(), json!(5));
    assert_eq!(bad(b"a: !!int x"), ["f.yaml:1:10: `x` does not fit its tag `!!int`"]);
    assert_eq!(bad(b"a: !ruby/object x"), ["f.yaml:1:17: the tag `!ruby/object` is not known here; remove the tag"]);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, told) in [
        (
            "a: 1\nb: 2\na: 3\n",
            "f.yaml:3:1: the key `a` stands here a second time; it was given on line 1; remove one of them",
        ),
        ("a: 1\n<<: {b: 2}\n", "f.yaml:2:1: merge keys (`<<`) are not read; write the fields out"),
        ("a: *nowhere\n", "f.yaml:1:4: this alias names an anchor that is not defined above"),
        ("a: &x [*x]\n", "f.yaml:1:8: this alias stands inside what it names"),
        ("? [a, b]\n: c\n", "f.yaml:1:3: a key must be a text; put it in quotes"),
        ("~: 1\n", "f.yaml:1:1: this key is empty; give it a name, or put it in quotes"),
        (
            "a: 1\n---\nb: 2\n",
            "f.yaml:3:1: a second document begins here, and this file may hold one only; remove the `---` line, or split the file",
        ),
        (
            "a: 99999999999999999999\n",
            "f.yaml:1:4: the number `99999999999999999999` is out of range; put it in quotes to keep it as a text",
        ),
        (
            "a: .nan\n",
            "f.yaml:1:4: `.nan` is not a number that can be counted with; write a finite number, or put it in quotes",
        ),
        ("%YAML 1.2\n---\na: 1\n", "f.yaml:1:1: `%` directives are not read; remove the line"),
        ("a: x\0y\n", "f.yaml:1:5: a NUL character stands here; this looks like a binary file"),
    ] {
        assert_eq!(bad(text.as_bytes()), [told], "{text:?}");
    }
    assert_eq!(
        bad(b"ok: 1\nb\xc3\xa4d: \xff"),
        ["f.yaml:2:6: the byte 0xff is not UTF-8 here; save the file as UTF-8"]
    );
    assert_eq!(bad(b"\xff\xfea\0"), ["f.yaml:1:1: this file is UTF-16; save it as UTF-8"]);
}

#[test]
fn several_problems_are_told_at_once() {
    assert_eq!(bad(b"a: 1\na: 2\n<<: {}\nb: .inf\n").len(), 3);
}

#[test]
fn broken_yaml_names_the_place_where_it_breaks() {
    for (text, start) in [
        ("a: [1, 2\nb: 3\n", "f.yaml:2:"),
        ("a: 'x\n", "f.yaml:2:1: this is not YAML: invalid indentation in multiline quoted scalar; a quote above"),
        ("a:\n\t- b\n", "f.yaml:2:"),
        ("a: b: c\n", "f.yaml:1:5: this is not YAML: mapping values are not allowed"),
        ("{\"a\": 1,, \"b\": 2}", "f.yaml:1:"),
        ("- a\nb: c\n", "f.yaml:2:"),
    ] {
        let told = bad(text.as_bytes());
        assert!(told.len() == 1 && told[0].starts_with(start), "{text:?}: {told:?}");
    }
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert!(bad(laughs.as_bytes())[0].contains("repeat more than 20000 values"));
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), vec!["*a"; 20].join(", "));
    assert!(bad(text.as_bytes())[0].contains("bytes of text"));
    for deep in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(5_000),
        (0..2_000).map(|n| format!("{}a:\n", " ".repeat(n.min(400)))).collect(),
    ] {
        let told = bad(deep.as_bytes());
        assert!(told[0].contains("nested more than 64 deep"), "{told:?}");
    }
    let mut ladder = String::from("a0: &a0 [1]\n");
    (1..100).for_each(|n| ladder.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1)));
    assert!(bad(ladder.as_bytes())[0].contains("nested more than 64 deep"));
    assert!(bad(&vec![b'a'; 100 << 20])[0].contains("has 104857600 bytes, and at most 1048576 are read"));
}

#[test]
fn files_are_looked_at_before_they_are_read() {
    let limits = Limits::default();
    let dir = std::env::temp_dir().join(format!("writ-text-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let told = |name: &str| load(&dir.join(name), &limits).unwrap_err().message;
    assert_eq!(told("missing.yaml"), "there is no such file");
    assert_eq!(told("."), "this is a directory, not a file");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(dir.join("nowhere"), dir.join("link.yaml")).unwrap();
        assert_eq!(told("link.yaml"), "this is a link to a file that does not exist");
        std::os::unix::fs::symlink("self.yaml", dir.join("self.yaml")).unwrap();
        assert!(told("self.yaml").starts_with("this file cannot be read"));
    }
    std::fs::File::create(dir.join("huge.yaml")).unwrap().set_len(100 << 30).unwrap();
    assert_eq!(told("huge.yaml"), "this file has 107374182400 bytes, and at most 1048576 are read");
    std::fs::write(dir.join("good.yaml"), "a: 1").unwrap();
    assert_eq!(load(&dir.join("good.yaml"), &limits).unwrap(), b"a: 1");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn fields_collect_what_is_wrong_and_guess_what_was_meant() {
    let text =
        "rules: 3\nmessag: hi\nenforcement: denny\nenabled: yes\nport: 99999\nversion: 1.10\nquorum: '3'\nempty:\n";
    let (node, problems) = (good(text), Problems::new());
    let mut fields = node.fields("the policy", &problems).unwrap();
    fields.items("rules");
    fields.text("message");
    fields.maybe_choice("enforcement", &[("deny", 1), ("warn", 2)]);
    fields.maybe_bool("enabled");
    fields.int("port", 1..=65_535);
    fields.text("version");
    fields.int("quorum", 1..=9);
    fields.need("empty");
    assert_eq!(fields.maybe("absent"), None);
    fields.done();
    let told: Vec<String> = problems.into_sorted().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "f.yaml:1:1: the policy has no `message`",
            "f.yaml:1:8: expected a list, found the number `3`",
            "f.yaml:2:1: the policy does not know `messag`; did you mean `message`?",
            "f.yaml:3:14: `enforcement` cannot be `denny`; did you mean `deny`?",
            "f.yaml:4:10: expected true or false, found the text `yes`; write true",
            "f.yaml:5:7: `port` is 99999, and must be from 1 to 65535",
            "f.yaml:6:10: expected a text, found the number `1.10`; write it in quotes: '1.10'",
            "f.yaml:7:9: expected a whole number, found the text `3`; write 3",
            "f.yaml:8:1: `empty` has no value",
        ]
    );
}

/// The ten documents of the source parse as they stand.
#[test]
fn row_2_01_the_source_documents_parse_as_they_stand() {
    let shared = std::env::var_os("WRIT_SHARED").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        std::path::PathBuf::from,
    );
    let path = shared.join("sources/governance-integration-example.md");
    let Ok(source) = std::fs::read_to_string(&path) else {
        assert!(std::env::var_os("WRIT_REQUIRE_REAL").is_none(), "{} is missing", path.display());
        println!("skipped: {} is missing", path.display());
        return;
    };
    let documents: Vec<&str> = source.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(documents.len(), 10);
    for text in &documents {
        assert!(matches!(good(text).value, Value::Map(_)), "{text}");
    }
    assert_eq!(
        good(documents[0]).pointer("/intent/requirements/performance/throughput").unwrap().sort(),
        "the text `>1000 req/s`"
    );
    let together = read_all("all.yaml", documents.join("---\n").as_bytes(), &Limits::default()).unwrap();
    assert_eq!(together.len(), 10);
}

proptest! {
    #[test]
    fn no_bytes_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read("f", &bytes, &Limits::default());
    }

    #[test]
    fn no_text_made_of_yaml_marks_brings_it_down(text in "[-a: \\[\\]{},&*!|>'\"%@`#?~<\n\t0-9]{0,120}") {
        if let Err(problems) = read("f", text.as_bytes(), &Limits::default()) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.at.line >= 1 && problem.at.column >= 1, "{problem}");
                prop_assert!(!render("error", &problem, Some(&text)).is_empty());
            }
        }
    }

    #[test]
    fn what_json_says_is_what_is_read(value in tree()) {
        let text = serde_json::to_string(&value).unwrap();
        let node = read("f", text.as_bytes(), &Limits::default()).map_err(|p: Vec<Problem>| TestCaseError::fail(format!("{text} {p:?}")))?;
        prop_assert_eq!(node.to_json(), value);
    }

    #[test]
    fn what_is_written_as_yaml_is_read_back(value in tree()) {
        let text = to_yaml(&value);
        let node = read("f", text.as_bytes(), &Limits::default()).map_err(|p: Vec<Problem>| TestCaseError::fail(format!("{text} {p:?}")))?;
        prop_assert_eq!(node.to_json(), value, "{}", text);
    }
}

fn tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|n| json!(n)),
        (-1.0e9..1.0e9).prop_map(|f: f64| json!(f)),
        "\\PC{0,12}".prop_map(|s| json!(s)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            proptest::collection::btree_map("[a-z\\.: #]{1,8}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}
