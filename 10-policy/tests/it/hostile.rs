//! Rules and facts that were written to bring an engine down. Each runs in a process of its own, on a thread with the 8 MiB of
//! stack that evaluation expects: none may abort, panic, or take longer than 50 ms of processor time (ten times that in a debug
//! build).

use crate::judgements::{action_facts, load, time};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;
use std::time::Instant;
use writ_core::Stage;
use writ_policy::{Bundle, Question};

const CASE: &str = "WRIT_HOSTILE_CASE";

/// A policy file, and facts to judge if it loads; made only where they are used.
struct Case {
    name: String,
    make: Box<dyn FnOnce() -> (String, Value) + Send>,
}

fn case(name: String, make: impl FnOnce() -> (String, Value) + Send + 'static) -> Case {
    Case { name, make: Box::new(make) }
}

fn rule(name: String, source: impl FnOnce() -> String + Send + 'static) -> Case {
    // As JSON text the source cannot break out of its YAML string.
    let policy = |source: String| {
        format!("rules: [{{id: X, stage: action, rule: {}}}, {{id: A, effect: allow, actions: ['*']}}]", json!(source))
    };
    case(name, move || (policy(source()), full_facts()))
}

/// Facts at their bounds: the longest texts and lists that the schema allows.
fn full_facts() -> Value {
    let word = "w".repeat(256);
    let mut facts = action_facts("deploy");
    facts["agent"]["permissions"] = json!(vec![word.clone(); 32]);
    facts["requester"]["roles"] = json!(vec![word.clone(); 16]);
    facts["action"]["resource"] = json!(word);
    facts
}

type Make = fn() -> Value;

fn corpus() -> Vec<Case> {
    let mut cases = repeated();
    cases.extend(crafted());
    cases.extend(facts());
    cases.extend(files());
    cases
}

/// Small pieces, many times over.
fn repeated() -> Vec<Case> {
    let pieces: [(&'static str, &'static str, &'static str); 38] = [
        ("1 == 1", "+1", ""),
        ("agent.permissions", "[0]", " == ''"),
        ("agent", ".b", " == ''"),
        ("", "(", ""),
        ("", "(", "true"),
        ("", "[", ""),
        ("", "{", ""),
        ("", "{'a':", "1"),
        ("", "!(", "true"),
        ("", "!", "maintenance"),
        ("0 == ", "-", "1"),
        ("maintenance", "&&maintenance", ""),
        ("maintenance", "||!maintenance", ""),
        ("maintenance", "?true:false", ""),
        ("", "maintenance?", "true"),
        ("", "int(", "1"),
        ("", "size([", "1"),
        ("", "agent.permissions.all(x,", "true"),
        ("", "agent.permissions.map(x,", "x"),
        ("agent.permissions", ".map(x,x)", " == []"),
        ("agent.permissions", ".filter(x,true)", " == []"),
        ("'", "a", "' == ''"),
        ("'", "\\", "'"),
        ("'", "\\u0041", "' == ''"),
        ("", "'''", ""),
        ("", "//", ""),
        ("", "`", ""),
        ("", "0x", ""),
        ("1", "0", " == 1"),
        ("1e", "9", " == 1.0"),
        ("", "\u{202e}é", ""),
        ("agent.permissions == ['a'", ",'a'", "]"),
        ("1 in [1", ",1", "]"),
        ("", "a.", ""),
        ("A{b:", "A{b:", "1"),
        ("true", " == true", ""),
        ("1", " < 1", ""),
        ("has(", "has(", "agent.id"),
    ];
    let mut cases = Vec::new();
    for (front, piece, back) in pieces {
        for times in [40, 255, 2_000, 8_000, 100_000] {
            let name = format!("{front}({piece})x{times}{back}");
            cases.push(rule(name, move || format!("{front}{}{back}", piece.repeat(times))));
        }
    }
    cases
}

/// Few bytes, much work.
fn crafted() -> Vec<Case> {
    let nested = |depth: usize, macro_name: &str| {
        (0..depth).fold("true".to_owned(), |inner, level| format!("agent.permissions.{macro_name}(x{level}, {inner})"))
    };
    let doubled = |times: usize, seed: &str| (0..times).fold(seed.to_owned(), |text, _| format!("({text}+{text})"));
    let list = format!("[{}]", vec!["1"; 999].join(","));
    let long = "y".repeat(10_000);
    let mut sources: Vec<String> = (1..=7).flat_map(|depth| [nested(depth, "all"), nested(depth, "exists")]).collect();
    sources.extend((1..=10).map(|times| format!("size({}) > 0", doubled(times, "action.resource"))));
    sources.extend((1..=10).map(|times| format!("{} == []", doubled(times, "agent.permissions"))));
    sources.extend([
        format!("{list}.all(x, {list}.all(y, x == y))"),
        format!("{list}.all(x, x in {list})"),
        format!("{list}.map(x, {list}) == []"),
        format!("agent.permissions.all(x, x.contains('{long}'))"),
        format!("agent.permissions.all(x, ('{long}' + x).contains(x + x))"),
        "agent.permissions.map(x, agent.permissions.map(y, x + y)).exists(z, z == agent.permissions)".to_owned(),
        "agent.permissions.map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x) == []"
            .to_owned(),
        "agent.permissions.map(x, agent.permissions).map(x, agent.permissions).map(x, [x, x, x]) == []".to_owned(),
        "agent.permissions.exists_one(x, requester.roles.exists_one(y, x == y))".to_owned(),
        "9223372036854775807 + 1 > 0".to_owned(),
        "-9223372036854775808 / -1 > 0".to_owned(),
        "-9223372036854775808 % -1 > 0".to_owned(),
        "1 / 0 == 1 || 1 % 0 == 1".to_owned(),
        "int('99999999999999999999') > 0".to_owned(),
        "int(1e300) > 0".to_owned(),
        "int(double('nan')) > 0".to_owned(),
        "int(double('inf')) > 0".to_owned(),
        "double('1e999') > 0.0".to_owned(),
        "agent.permissions[9223372036854775807] == ''".to_owned(),
        "agent.permissions[-1] == ''".to_owned(),
        "{'a': 1, 'a': 2} == {}".to_owned(),
        "{'a': 1}['b'] == 1".to_owned(),
        "@result == 1".to_owned(),
        "[1].map(__result__, __result__) == [1]".to_owned(),
        "agent.permissions.all(agent, agent == '')".to_owned(),
        "agent.permissions.all(a.b, true)".to_owned(),
        "size() == 1".to_owned(),
        "dyn(1) == 'a'".to_owned(),
        "type(1) == int".to_owned(),
        "'a'.matches('(a*)*b')".to_owned(),
        "timestamp('x') == 1".to_owned(),
        "optional.of(1).value() == 1".to_owned(),
        "?agent.id == 1".to_owned(),
        "agent.?id == 1".to_owned(),
        "[?1] == [1]".to_owned(),
        ".agent.id == ''".to_owned(),
        "now == now".to_owned(),
        "string(1.0) == string(1)".to_owned(),
        "\u{0} == 1".to_owned(),
        String::new(),
    ]);
    sources.into_iter().map(|source| rule(source.chars().take(60).collect(), move || source)).collect()
}

/// Facts beyond their bounds and of every wrong sort.
fn facts() -> Vec<Case> {
    let policy = || {
        "rules: [{id: X, stage: action, rule: 'agent.permissions.all(x, x in requester.roles)'}, {id: A, effect: allow, actions: ['*']}]"
            .to_owned()
    };
    let values: [(&str, Make); 12] = [
        ("a long text", || json!("x".repeat(10_000_000))),
        ("a long list", || json!(vec!["x"; 200_000])),
        ("a list of long texts", || json!(vec!["x".repeat(1_000); 1_000])),
        // JSON's reader admits 128 levels.
        ("a deep list", || (0..120).fold(json!(1), |inner, _| json!([inner]))),
        ("null", || json!(null)),
        ("1e308", || json!(1e308)),
        ("-0.0", || json!(-0.0)),
        ("the largest unsigned number", || json!(u64::MAX)),
        ("the smallest number", || json!(i64::MIN)),
        ("true", || json!(true)),
        ("a map", || json!({"a": {"b": {"c": 1}}})),
        ("signs that are not shown", || json!("\u{0}\u{202e}")),
    ];
    let mut cases = Vec::new();
    for (name, value) in values {
        for pointer in ["/agent/permissions", "/agent/id", "/maintenance", "/action", "/now/hour"] {
            cases.push(case(format!("{name} at {pointer}"), move || {
                let mut facts = full_facts();
                if let Some(place) = facts.pointer_mut(pointer) {
                    *place = value();
                }
                (policy(), facts)
            }));
        }
    }
    cases.push(case("many unknown facts".to_owned(), move || {
        let mut many = full_facts();
        (0..20_000).for_each(|n| many[format!("key{n}")] = json!(n));
        (policy(), many)
    }));
    cases.push(case("facts that are a list".to_owned(), move || (policy(), json!([1, 2]))));
    cases
}

/// Policy files that are bombs or rubbish.
fn files() -> Vec<Case> {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    (1..12).for_each(|n| {
        let _ = writeln!(laughs, "a{n}: &a{n} [{}]", vec![format!("*a{}", n - 1); 10].join(", "));
    });
    let texts = [
        ("laughs", laughs),
        ("brackets", "[".repeat(200_000)),
        ("dashes", "- ".repeat(10_000)),
        ("nul", "rules: \0".to_owned()),
        ("many rules without anything", format!("rules: [{}]", "{},".repeat(2_000))),
        ("one long key", format!("{}: 1", "k".repeat(500_000))),
        ("a pattern of stars", format!("rules: [{{id: A, effect: allow, actions: ['{}x']}}]", "*a".repeat(120))),
        (
            "a message of braces",
            format!("rules: [{{id: A, stage: action, rule: maintenance, violation: '{}'}}]", "{".repeat(100_000)),
        ),
    ];
    texts.into_iter().map(|(name, policy)| case(name.to_owned(), move || (policy, full_facts()))).collect()
}

/// Nanoseconds that this thread has had a processor; where the system does not say, none.
fn processor_time() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split_whitespace().next()?.parse().ok()
}

/// How many microseconds loading a policy and judging facts takes.
fn run(policy: &str, facts: Value) -> u128 {
    let (places, resource) = (BTreeMap::new(), "a".repeat(240));
    let (started, before) = (Instant::now(), processor_time());
    let took = || match (before, processor_time()) {
        (Some(before), Some(after)) => u128::from(after - before) / 1_000,
        _ => started.elapsed().as_micros(),
    };
    match Bundle::load(&[("hostile.yaml", policy.as_bytes())]) {
        Ok(bundle) => {
            let judgement = bundle.judge(&Question {
                stage: Stage::Action,
                action: "deploy",
                resource: &resource,
                facts,
                waivers: &[],
                now: time(),
                places: &places,
            });
            let took = took();
            drop(judgement);
            took
        }
        Err(problems) => {
            let took = took();
            assert!(!problems.is_empty());
            took
        }
    }
}

/// The child: runs one case and prints how long it took. Does nothing unless it is asked by the test below.
#[test]
fn one_hostile_case_as_a_child_process() {
    let Some(number) = std::env::var(CASE).ok().and_then(|number| number.parse::<usize>().ok()) else { return };
    let case = corpus().swap_remove(number);
    // The static tables and the shared environment are there in a server before the first question.
    run("rules: [{id: A, effect: allow, actions: ['*']}]", full_facts());
    let (policy, facts) = (case.make)();
    let worker = std::thread::Builder::new().stack_size(8 << 20).spawn(move || run(&policy, facts));
    println!("took {}", worker.unwrap().join().unwrap());
}

#[test]
fn nothing_hostile_aborts_panics_or_takes_long() {
    let cases = corpus();
    assert!(cases.len() >= 200, "{}", cases.len());
    let limit = if cfg!(debug_assertions) { 500_000 } else { 50_000 };
    let (mut bad, mut times) = (Vec::new(), Vec::new());
    for (number, case) in cases.iter().enumerate() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hostile::one_hostile_case_as_a_child_process", "--nocapture", "--test-threads=1"])
            .env(CASE, number.to_string())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&child.stdout);
        let took: Option<u64> =
            told.split("took ").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        match took {
            Some(took) if child.status.success() && took <= limit => times.push((took, case.name.clone())),
            _ => bad.push(format!("{} ({:?}, {took:?} µs)", case.name, child.status)),
        }
    }
    times.sort();
    println!(
        "{} hostile cases, {} bad, slowest {:?}",
        cases.len(),
        bad.len(),
        times.iter().rev().take(5).collect::<Vec<_>>()
    );
    assert!(bad.is_empty(), "{bad:#?}");
}

/// The deepest tree that the guard admits, evaluated on the stack that it asks for.
#[test]
fn the_deepest_admitted_expression_fits_the_stack() {
    let chain = |n: usize| {
        format!("{}1{} > 0", "(".repeat(30), format!("{}{}", "+1".repeat(7), ")").repeat(30) + &"+1".repeat(n))
    };
    let source = (0..40).rev().map(chain).find(|source| {
        Bundle::load(&[("p.yaml", format!("rules: [{{id: A, stage: action, rule: '{source}'}}]").as_bytes())]).is_ok()
    });
    let source = source.unwrap();
    let worker = std::thread::Builder::new().stack_size(8 << 20).spawn(move || {
        let bundle = load(&format!(
            "rules: [{{id: A, stage: action, rule: '{source}'}}, {{id: B, effect: allow, actions: ['*']}}]"
        ));
        let places = BTreeMap::new();
        bundle.judge(&Question {
            stage: Stage::Action,
            action: "x",
            resource: "r",
            facts: action_facts("x"),
            waivers: &[],
            now: time(),
            places: &places,
        })
    });
    assert!(worker.unwrap().join().unwrap().verdict.allows());
}
