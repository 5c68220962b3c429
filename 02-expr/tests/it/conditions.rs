use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use writ_expr::{EvalError, Expr, ExprProblem, Facts, Limits, Schema, Type};

fn condition(source: &str, limits: &Limits) -> Result<Expr, Vec<ExprProblem>> {
    Expr::condition(source, &Arc::new(schema()), limits)
}

fn schema() -> Schema {
    Schema::new()
        .fact("name", Type::WORD, "a name")
        .fact("count", Type::Int, "a count")
        .fact("share", Type::Number, "a share")
        .fact("on", Type::Bool, "a switch")
        .fact("regions", Type::words(16), "regions")
        .fact("labels", Type::Map { of: Box::new(Type::WORD), max: 16 }, "labels")
        .maybe("note", Type::Text { max: 1_000 }, "a note")
        .group(
            "plan",
            Schema::new().fact("cost", Type::Number, "cost").maybe("zones", Type::words(8), "zones"),
            "the plan",
        )
        .maybe_group(
            "remedy",
            Schema::new().fact("attempt", Type::Int, "which attempt").maybe("mode", Type::WORD, "the mode"),
            "the remedy",
        )
}

fn facts() -> Json {
    json!({
        "name": "web", "count": 3, "share": "0.999", "on": true, "regions": ["us-west", "us-east"],
        "labels": {"team": "web"}, "plan": {"cost": "111.28"}
    })
}

fn with(change: Json) -> Facts {
    let mut all = facts();
    for (key, value) in change.as_object().unwrap() {
        all[key] = value.clone();
    }
    Facts::new(&schema(), all).unwrap()
}

fn told(source: &str) -> Vec<String> {
    let problems = match condition(source, &Limits::default()) {
        Ok(_) => panic!("{source} was compiled"),
        Err(problems) => problems,
    };
    problems.iter().map(|problem| format!("{}+{} {problem}", problem.offset, problem.length)).collect()
}

#[test]
fn conditions_hold_as_people_read_them() {
    let facts = with(json!({}));
    for (source, holds) in [
        ("name == 'web'", true),
        ("count >= 3 && share > 0.99", true),
        ("count + 1 == 4 && count * 2 - 1 == 5 && count / 2 == 1 && count % 2 == 1", true),
        ("share >= 1", false),
        ("share * 100.0 < 99.95", true),
        ("plan.cost <= 500", true),
        ("on ? count > 2 : count > 9", true),
        ("!on || name in ['web', 'api']", true),
        ("'us-west' in regions && !('mars' in regions)", true),
        ("regions.all(r, r.startsWith('us-'))", true),
        ("regions.exists(r, r == 'us-east') && regions.exists_one(r, r.endsWith('west'))", true),
        ("regions.filter(r, r.contains('east')).size() == 1", true),
        ("size(regions.map(r, r + '!')) == 2 && regions.map(r, size(r)) == [7, 7]", true),
        ("regions[0] == 'us-west'", true),
        ("has(labels.team) && labels.team == 'web'", true),
        ("'team' in labels && labels['team'] == 'web'", true),
        ("has(labels.owner)", false),
        ("has(note)", false),
        ("!has(remedy.attempt) || remedy.attempt < 3", true),
        ("has(plan.zones) ? size(plan.zones) > 1 : true", true),
        ("string(count) + '-' + name == '3-web' && int('7') == 7 && double(count) == 3.0", true),
        ("labels.all(k, k != '')", true),
        ("name < 'x' && [1, 2] == [1, 2]", true),
        ("'a\\u00e4\\n' == \"aä\\n\" && r'\\d' == '\\\\d'", true),
        ("-count == -3 && -9223372036854775808 < 0", true),
        ("// a comment\n  on // another", true),
    ] {
        let expr = condition(source, &Limits::default()).unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
        assert_eq!(expr.holds(&facts), Ok(holds), "{source}");
    }
}

#[test]
fn optional_facts_are_there_once_they_were_asked_for() {
    let remedy = with(json!({"remedy": {"attempt": 2}, "plan": {"cost": 1, "zones": ["a", "b"]}}));
    let none = with(json!({}));
    for (source, there, missing) in [
        ("has(remedy.attempt) && remedy.attempt > 1", true, false),
        ("!has(remedy.attempt) || remedy.attempt > 1", true, true),
        ("has(remedy)", true, false),
        ("has(note) ? note != '' : count == 3", true, true),
        ("has(remedy.mode) && remedy.mode == 'auto'", false, false),
        ("has(remedy.mode) || has(remedy.attempt)", true, false),
        ("has(plan.zones) && plan.zones.exists(z, z == 'b')", true, false),
    ] {
        let expr = condition(source, &Limits::default()).unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
        assert_eq!((expr.holds(&remedy), expr.holds(&none)), (Ok(there), Ok(missing)), "{source}");
    }
    let when = condition("has(remedy.attempt) && count > 0", &Limits::default()).unwrap();
    let rule = Expr::condition_given("remedy.attempt < 3", &when, &Limits::default()).unwrap();
    assert_eq!(rule.holds(&remedy), Ok(true));
}

#[test]
fn what_is_wrong_is_found_before_anything_runs() {
    for (source, first) in [
        ("nam == 'x'", "0+3 there is no fact `nam` at this stage; did you mean `name`?"),
        ("plan.costs > 3", "5+5 there is no fact `plan.costs` at this stage; did you mean `cost`?"),
        ("name == 3", "0+9 a text never equals a whole number"),
        ("count > '3'", "0+11 `>` cannot compare a whole number with a text"),
        (
            "count + 1.5 > 2.0",
            "0+11 `+` needs numbers of one sort, found a whole number and a number; write 2.0 instead of 2, or double(…) around the whole number",
        ),
        ("name && on", "0+4 expected true or false, found a text"),
        ("count", "0+5 this must be true or false, and is another sort of value; compare it with something"),
        ("3 in regions", "0+12 a list of a text never holds a whole number"),
        ("on in name", "6+4 `in` needs a list or a map, found a text"),
        ("remedy.attempt > 1", "0+14 `remedy` may be missing; ask has(remedy.attempt) first"),
        ("has(remedy.attempt) || remedy.attempt > 1", "23+14 `remedy` may be missing; ask has(remedy.attempt) first"),
        ("has(remedy.attempt) && remedy.mode == 'x'", "23+11 `remedy.mode` may be missing; ask has(remedy.mode) first"),
        ("labels.team == 'web'", "0+11 `labels.team` may be missing; ask has(labels.team) first"),
        ("note == ''", "0+4 `note` may be missing; ask has(note) first"),
        ("plan == 3", "0+4 `plan` is a group of facts; name one of them, like `plan.cost`, `plan.zones`"),
        ("regions.al(r, r == '')", "8+2 there is no function `al` with these arguments; did you mean `all`?"),
        ("name.matches('x')", "5+7 there is no function `matches` with these arguments; there are size,"),
        ("regions.all(r)", "8+3 `all` needs a name and a condition; write it like regions.all(r, r != '')"),
        ("size(count) == 1", "0+11 `size` cannot take a whole number"),
        ("name.startsWith(3)", "0+18 `startsWith` cannot take a text and a whole number"),
        ("count.x == 1", "0+7 a whole number has no member `x`"),
        ("regions['a'] == ''", "8+3 this index must be a whole number, found a text"),
        ("[1, 'a'] == []", "4+3 this list mixes a whole number and a text"),
        ("on ? 1 : 'a'", "0+12 one side of `? :` is a whole number, the other a text"),
        ("count.all(x, true)", "0+5 `all` needs a list or a map, found a whole number"),
        ("name = 'web'", "5+1 expected an operator or the end, found `=`; write == to compare"),
        ("on and on", "3+3 expected an operator or the end, found `and`; write && for and"),
        ("(on", "3+1 expected `)`, found the end"),
        ("'abc", "0+1 this text is not closed; end it with '"),
        ("on && ", "6+1 expected a value, found the end"),
        ("on # off", "3+1 the character `#` means nothing here"),
        ("99999999999999999999 > 1", "0+20 this number is out of range"),
        ("if == 1", "0+2 `if` is a reserved word"),
        ("Foo{a: 1} == 2", "0+9 there are no messages here, and `Foo` would be one"),
        ("", "0+1 expected a value, found the end"),
    ] {
        let found = told(source);
        assert!(found[0].starts_with(first), "{source}: {found:?}");
    }
    assert_eq!(told("nam == 1 && plan.costs == 2 && on == 3").len(), 3);
}

#[test]
fn what_could_cost_too_much_is_refused() {
    let many = |piece: &str, times: usize| piece.repeat(times);
    for (source, part) in [
        (format!("1{} == 1", many("+1", 2_000)), "longer than 256"),
        (format!("regions{} == ''", many("[0]", 2_000)), "longer than 256"),
        (format!("plan{} == ''", many(".b", 2_000)), "longer than 256"),
        (format!("{}on", many("!", 5_000)), "nested more than 32"),
        (format!("{}on", many("!(", 5_000)), "nested more than 32"),
        (format!("{}on", many("(", 10_000)), "nested more than 32"),
        (format!("{}1", many("[", 10_000)), "nested more than 32"),
        (format!("on{}", many("?on:on", 2_000)), "nested more than 32"),
        (format!("{}1{}", many("int(", 100), many(")", 100)), "nested more than 32"),
        (format!("on{}", many("&&on", 3_000)), "more than 1000 items"),
        (format!("[{}] == []", many("1,", 5_000)), "more than 1000 items"),
        (many(" ", 20_000), "at most 16384 are read"),
        ("regions.all(a, regions.all(b, regions.all(c, true)))".to_owned(), "nested more than 2 deep"),
        (
            "regions.map(a, regions).map(b, b.map(c, c + c)).exists(d, d.exists(e, e == d[0]))".to_owned(),
            "units of work",
        ),
        (format!("[{}].all(x, [{}].all(y, x == y))", many("1,", 900), many("1,", 900)), "units of work"),
    ] {
        let found = told(&source);
        assert!(found[0].contains(part), "{}: {found:?}", source.chars().take(60).collect::<String>());
    }
    let doubling = (0..20).fold("note".to_owned(), |text, _| format!("({text}+{text})"));
    assert!(told(&format!("has(note) && size({doubling}) > 0"))[0].contains("bytes, and at most"));
    let doubling = (0..7).fold("note".to_owned(), |text, _| format!("({text}+{text})"));
    assert!(told(&format!("has(note) && size({doubling}) > 0")).iter().any(|told| told.contains("could grow to")));
}

#[test]
fn what_cannot_be_evaluated_is_an_error_and_no_value() {
    let facts = with(json!({}));
    for (source, reason) in [
        ("count / (count - 3) == 1", "division by zero"),
        ("count % 0 == 1", "remainder of a division by zero"),
        ("regions[7] == ''", "an index is out of range"),
        ("9223372036854775807 + count > 0", "a number is out of range"),
        ("int(name) == 1", "Error executing function"),
        ("labels[name] == ''", "there is no key `web`"),
    ] {
        let expr = condition(source, &Limits::default()).unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
        match expr.holds(&facts) {
            Err(EvalError::Failed { reason: found }) => assert!(found.contains(reason), "{source}: {found}"),
            other => panic!("{source}: {other:?}"),
        }
    }
}

#[test]
fn facts_are_held_to_their_schema_and_its_bounds() {
    let problems = |change: Json| -> Vec<String> {
        let mut all = facts();
        for (key, value) in change.as_object().unwrap() {
            all[key] = value.clone();
        }
        Facts::new(&schema(), all).unwrap_err().iter().map(ToString::to_string).collect()
    };
    assert_eq!(problems(json!({"name": null})), ["/name: `name` is missing"]);
    assert_eq!(
        problems(json!({"name": "x".repeat(300)})),
        ["/name: this text has 300 bytes, and at most 256 are allowed"]
    );
    assert_eq!(
        problems(json!({"regions": vec!["a"; 17]})),
        ["/regions: this list has 17 items, and at most 16 are allowed"]
    );
    assert_eq!(problems(json!({"regions": ["a", 3]})), ["/regions/1: expected a text, found 3"]);
    assert_eq!(
        problems(json!({"count": 9_007_199_254_740_992_i64})),
        ["/count: expected a whole number, found 9007199254740992"]
    );
    assert_eq!(problems(json!({"share": "lots"})), ["/share: expected a number or a decimal text, found 'lots'"]);
    assert_eq!(problems(json!({"nmae": 1})), ["/: there is no fact `nmae` here; did you mean `name`?"]);
    assert_eq!(problems(json!({"plan": 3})), ["/plan: a group of facts must be a map"]);
    let facts = with(json!({"share": 0.5, "note": null}));
    assert_eq!(facts.json()["share"], json!("0.5"));
    assert_eq!(facts.json().get("note"), None);
    assert_eq!(
        facts.tell(["share", "note", "regions", "plan.cost"]),
        ["share = 0.5", "note is missing", "regions = ['us-west', 'us-east']", "plan.cost = 111.28"]
    );
}

#[test]
fn contradictions_are_seen_in_the_syntax() {
    let never = |source: &str| condition(source, &Limits::default()).unwrap().never_true().is_some();
    for source in [
        "false",
        "name == 'a' && name == 'b'",
        "name in ['a', 'b'] && on && !(name in ['a', 'b', 'c'])",
        "count > 5 && count < 3",
        "count > 5 && on && count <= 5",
        "on && !on",
        "(count > 5 && count < 3) || (name == 'a' && name != 'a')",
        "count == 3 && 4 <= count",
        "on && (name == 'a' && name == 'b')",
    ] {
        assert!(never(source), "{source}");
    }
    for source in [
        "true",
        "name == 'a' || name == 'b'",
        "count >= 5 && count <= 5",
        "count > 5 || count < 3",
        "on",
        "name != 'a' && name != 'b'",
    ] {
        assert!(!never(source), "{source}");
    }
}

#[test]
fn the_texts_that_a_condition_requires_can_be_indexed() {
    let expr = condition("name in ['a', 'b'] && on && plan.cost > 1 && 'x' == name", &Limits::default()).unwrap();
    let atoms: Vec<(String, Vec<String>)> = expr.atoms().into_iter().map(|atom| (atom.path, atom.any_of)).collect();
    assert_eq!(
        atoms,
        [("name".to_owned(), vec!["a".to_owned(), "b".to_owned()]), ("name".to_owned(), vec!["x".to_owned()])]
    );
    assert_eq!(expr.reads(), ["name", "on", "plan.cost"]);
}

#[test]
fn explaining_shows_what_each_part_came_to() {
    let expr = condition("on && (count > 5 || plan.cost / 0.0 > 1.0)", &Limits::default()).unwrap();
    let parts: Vec<String> = expr
        .explain(&with(json!({})))
        .iter()
        .map(|part| format!("{} {} = {:?}", part.depth, part.source, part.value.clone().ok()))
        .collect();
    assert_eq!(
        parts[1..4],
        [
            "1 on = Some(\"true\")",
            "1 (count > 5 || plan.cost / 0.0 > 1.0) = Some(\"true\")",
            "2 count > 5 = Some(\"false\")"
        ]
    );
}

#[test]
fn compiled_expressions_and_facts_can_go_to_another_thread() {
    fn is_send<T: Send + Sync>() {}
    is_send::<Expr>();
    is_send::<Facts>();
}

proptest! {
    #[test]
    fn no_source_brings_the_compiler_down(source in "[a-z0-9()\\[\\]{}.,+*/%!?:<>=&|'\" -]{0,80}|\\PC{0,40}") {
        if let Err(problems) = Expr::compile(&source, &Arc::new(schema()), &Limits::default()) {
            for problem in problems {
                prop_assert!(problem.offset <= source.len());
                prop_assert!(problem.line_column(&source).0 < 80);
            }
        }
    }

    /// What compiles gives a value or an error for any facts that keep to the schema, and the answer is the same twice.
    #[test]
    fn what_compiles_is_evaluated_without_surprise(source in word_soup(), count in -5_i64..5, on in any::<bool>()) {
        if let Ok(expr) = Expr::compile(&source, &Arc::new(schema()), &Limits::default()) {
            let facts = with(json!({"count": count, "on": on}));
            prop_assert_eq!(expr.eval(&facts), expr.eval(&facts), "{}", source);
        }
    }
}

fn word_soup() -> impl Strategy<Value = String> {
    let words = [
        "name",
        "count",
        "on",
        "regions",
        "plan.cost",
        "'web'",
        "3",
        "0",
        "1.5",
        "true",
        "&&",
        "||",
        "!",
        "==",
        "<",
        "in",
        "+",
        "/",
        "(",
        ")",
        "size(",
        "has(plan.zones)",
        "?",
        ":",
        "regions.all(r, r != name)",
        "regions.map(r, r)",
        "[",
        "]",
        ",",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 1..9).prop_map(|words| words.join(" "))
}
