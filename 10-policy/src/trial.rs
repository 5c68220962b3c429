//! Policy tests: YAML beside the policies, run without a server.
//!
//! ```yaml
//! facts:                       # named starting points
//!   web: { … }
//! tests:
//!   - name: a plan above the budget is refused
//!     stage: plan
//!     given: web               # a starting point
//!     change: { plan: { cost_per_month: 900 } }    # merged over it; null takes away
//!     expect: { decision: deny, rules: { COMP-BUDGET-001: failed } }
//! ```

use crate::facts;
use crate::judge::{Judgement, Question, Status};
use crate::load::Bundle;
use crate::report::{Case, Outcome, decision_text, junit};
use crate::waiver::Waiver;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use writ_core::{Decision, Place, Stage, Timestamp};
use writ_text::{Fields, Limits, Node, Problem, Problems, nearest, read};

/// What came of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub at: Place,
    /// What was expected and did not come; empty when it passed.
    pub failures: Vec<String>,
}

/// What came of all tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialReport {
    /// Each test, in the order of the files.
    pub trials: Vec<Trial>,
    /// What is wrong with the test files themselves; then the tests of those files did not run.
    pub problems: Vec<Problem>,
    /// Tests that were not run, for there was no time.
    pub cut: usize,
    /// Rules that no test saw speak against anything (or, for permissions to act, allow anything): untested rules.
    pub untested: Vec<String>,
}

impl TrialReport {
    /// Whether every test ran and passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.cut == 0 && self.problems.is_empty() && self.trials.iter().all(|trial| trial.failures.is_empty())
    }

    /// One line a test, what failed below it, and the totals.
    #[must_use]
    pub fn table(&self) -> String {
        let mut out = String::new();
        for trial in &self.trials {
            let word = if trial.failures.is_empty() { "passed" } else { "failed" };
            let _ = writeln!(out, "{word}  {}  ({})", trial.name, trial.at);
            trial.failures.iter().for_each(|failure| {
                let _ = writeln!(out, "        {failure}");
            });
        }
        for problem in &self.problems {
            let _ = writeln!(out, "error   {problem}");
        }
        let failed = self.trials.iter().filter(|trial| !trial.failures.is_empty()).count();
        let _ = writeln!(out, "{} tests: {} passed, {failed} failed", self.trials.len(), self.trials.len() - failed);
        if !self.untested.is_empty() {
            let _ = writeln!(out, "no test shows what these do: {}", self.untested.join(", "));
        }
        out
    }

    /// JUnit XML: one case for each test.
    #[must_use]
    pub fn junit(&self) -> String {
        let trials = self.trials.iter().map(|trial| Case {
            name: trial.name.clone(),
            group: trial.at.file.clone(),
            outcome: if trial.failures.is_empty() {
                Outcome::Passed
            } else {
                Outcome::Failed(trial.failures.join("; "))
            },
        });
        let problems = self.problems.iter().map(|problem| Case {
            name: "the test file is sound".to_owned(),
            group: problem.at.file.clone(),
            outcome: Outcome::Error(problem.to_string()),
        });
        junit("writ policy test", &trials.chain(problems).collect::<Vec<_>>())
    }
}

/// Runs the tests of these files against a bundle.
#[must_use]
pub fn run_tests(bundle: &Bundle, files: &[(&str, &[u8])]) -> TrialReport {
    run_tests_while(bundle, files, &mut || true)
}

/// The same, as long as there is time: that is asked before each.
#[must_use]
pub fn run_tests_while(bundle: &Bundle, files: &[(&str, &[u8])], go_on: &mut dyn FnMut() -> bool) -> TrialReport {
    let mut report = TrialReport { trials: Vec::new(), problems: Vec::new(), cut: 0, untested: Vec::new() };
    let mut seen = BTreeSet::new();
    for (name, bytes) in files {
        match read_trials(name, bytes, bundle) {
            Ok(trials) => {
                for trial in &trials {
                    if report.cut == 0 && go_on() {
                        report.trials.push(run(bundle, trial, &mut seen));
                    } else {
                        report.cut += 1;
                    }
                }
            }
            Err(mut problems) => report.problems.append(&mut problems),
        }
    }
    let all: BTreeSet<&str> = bundle.rules().map(|(id, _, _)| id).collect();
    report.untested = all.into_iter().filter(|id| !seen.contains(*id)).map(str::to_owned).collect();
    report
}

struct Written {
    name: String,
    at: Place,
    stage: Stage,
    action: String,
    resource: String,
    facts: Value,
    now: Timestamp,
    waivers: Vec<Waiver>,
    decision: Option<String>,
    rules: Vec<(String, Status)>,
    message: Option<String>,
}

fn run(bundle: &Bundle, written: &Written, seen: &mut BTreeSet<String>) -> Trial {
    let judgement = bundle.judge(&Question {
        stage: written.stage,
        action: &written.action,
        resource: &written.resource,
        facts: written.facts.clone(),
        waivers: &written.waivers,
        now: written.now,
        places: &BTreeMap::new(),
    });
    for result in &judgement.results {
        let permission = bundle.rules.iter().any(|rule| rule.id == result.policy && !rule.is_check());
        let showed = match result.status {
            Status::Passed => permission,
            Status::Failed | Status::Warned | Status::NeedsApproval | Status::Waived => true,
            Status::NotApplicable | Status::Error => false,
        };
        if showed {
            seen.insert(result.policy.to_string());
        }
    }
    Trial { name: written.name.clone(), at: written.at.clone(), failures: compare(written, &judgement) }
}

fn compare(written: &Written, judgement: &Judgement) -> Vec<String> {
    let mut failures = Vec::new();
    let decided = match judgement.verdict.decision {
        Decision::Allow => "allow",
        Decision::RequireApproval { .. } => "require_approval",
        Decision::Deny => "deny",
    };
    if written.decision.as_deref().is_some_and(|wanted| wanted != decided) {
        let because: Vec<String> = judgement
            .verdict
            .findings
            .iter()
            .filter(|finding| finding.asks != Decision::Allow)
            .map(|finding| format!("{}: {} {}", finding.rule, finding.message, finding.values.join(", ")))
            .collect();
        let wanted = written.decision.clone().unwrap_or_default();
        let told = decision_text(&judgement.verdict.decision);
        failures.push(format!(
            "expected {wanted}, decided {told}{}{}",
            if because.is_empty() { "" } else { ": " },
            because.join("; ")
        ));
    }
    for (rule, wanted) in &written.rules {
        match judgement.results.iter().find(|result| result.policy.as_str() == rule) {
            Some(result) if result.status == *wanted => {}
            Some(result) => {
                failures.push(format!("expected `{rule}` {wanted}, it {}: {}", result.status, result.message))
            }
            None if *wanted == Status::NotApplicable => {}
            None => failures.push(format!("expected `{rule}` {wanted}, and the question does not concern it")),
        }
    }
    if let Some(wanted) = &written.message
        && !judgement.results.iter().any(|result| result.message.contains(wanted))
    {
        failures.push(format!("no message contains `{wanted}`"));
    }
    failures
}

fn read_trials(name: &str, bytes: &[u8], bundle: &Bundle) -> Result<Vec<Written>, Vec<Problem>> {
    let node = read(name, bytes, &Limits::default())?;
    let problems = Problems::new();
    let Some(mut fields) = node.fields("a test file", &problems) else { return problems.result(None) };
    let bases = fields.maybe("facts").map(Node::entries).unwrap_or_default();
    let items = fields.items("tests").unwrap_or_default();
    fields.done();
    let written: Vec<Written> = items.iter().filter_map(|item| read_trial(item, bases, bundle, &problems)).collect();
    problems.result(Some(written))
}

fn read_trial(node: &Node, bases: &[writ_text::Entry], bundle: &Bundle, problems: &Problems) -> Option<Written> {
    let mut fields = node.fields("the test", problems)?;
    let name = fields.text("name");
    let stage = fields.choice("stage", &[("intent", Stage::Intent), ("plan", Stage::Plan), ("action", Stage::Action)]);
    let action = fields.maybe_text("action").map(str::to_owned);
    let resource = fields.maybe_text("resource").map(str::to_owned);
    let mut facts = Value::Object(Map::new());
    if let Some(given) = fields.maybe_text("given") {
        match bases.iter().find(|entry| entry.key == given) {
            Some(base) => facts = base.value.to_json(),
            None => {
                fields.say("given", format!("there are no facts `{given}` in this file"));
            }
        }
    }
    if let Some(change) = fields.maybe("change") {
        merge(&mut facts, change.to_json());
    }
    let time = |node: &Node| {
        let text = node.text(problems)?;
        text.parse::<Timestamp>().map_err(|error| problems.say(&node.at, error.to_string())).ok()
    };
    let given_now = fields.maybe("now").and_then(time);
    let now = given_now.unwrap_or(Timestamp::from_micros(1_795_257_000_000_000));
    let needs_now = facts.get("now").is_none() || given_now.is_some();
    if let (true, Some(facts)) = (needs_now, facts.as_object_mut()) {
        facts.insert("now".to_owned(), facts::now(now));
    }
    let waivers = fields.maybe_items("waivers").iter().filter_map(|node| read_waiver(node, problems)).collect();
    let expect = fields.need("expect").and_then(|node| node.fields("`expect`", problems));
    fields.done();
    let (decision, rules, message) = expect.map(|expect| read_expectation(expect, bundle)).unwrap_or_default();
    let stage = stage?;
    let fact = |path: &str| facts.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (fact_action, fact_resource) = match stage {
        Stage::Action => (fact("/action/name"), fact("/action/resource")),
        Stage::Intent | Stage::Plan => (String::new(), fact("/intent/id")),
    };
    Some(Written {
        name: name?.to_owned(),
        at: node.place(),
        stage,
        action: action.unwrap_or(fact_action),
        resource: resource.unwrap_or(fact_resource),
        facts,
        now,
        waivers,
        decision,
        rules,
        message,
    })
}

type Expectation = (Option<String>, Vec<(String, Status)>, Option<String>);

fn read_expectation(mut fields: Fields<'_>, bundle: &Bundle) -> Expectation {
    let problems = fields.problems();
    let words = ["allow", "require_approval", "deny"].map(|word| (word, word));
    let decision = fields.maybe_choice("decision", &words).map(str::to_owned);
    let message = fields.maybe_text("message").map(str::to_owned);
    let mut rules = Vec::new();
    for entry in fields.maybe("rules").map(Node::entries).unwrap_or_default() {
        if !bundle.rules().any(|(id, _, _)| id == entry.key) {
            let told = format!("the bundle has no rule `{}`", entry.key);
            match nearest(&entry.key, bundle.rules().map(|(id, _, _)| id)) {
                Some(near) => problems.suggest(&entry.key_at, told, format!("did you mean `{near}`?")),
                None => problems.say(&entry.key_at, told),
            }
        }
        match entry.value.text(problems).map(|word| (word, status(word))) {
            Some((_, Some(status))) => rules.push((entry.key.clone(), status)),
            Some((word, None)) => problems.suggest(
                &entry.value.at,
                format!("`{word}` is no status"),
                "use passed, failed, warned, needs_approval, waived, not_applicable or error",
            ),
            None => {}
        }
    }
    fields.done();
    (decision, rules, message)
}

fn status(word: &str) -> Option<Status> {
    Some(match word {
        "passed" => Status::Passed,
        "failed" => Status::Failed,
        "warned" => Status::Warned,
        "needs_approval" => Status::NeedsApproval,
        "waived" => Status::Waived,
        "not_applicable" => Status::NotApplicable,
        "error" => Status::Error,
        _ => return None,
    })
}

fn read_waiver(node: &Node, problems: &Problems) -> Option<Waiver> {
    let mut fields = node.fields("the waiver", problems)?;
    let mut of = |key| fields.need(key).and_then(|node| Some((node, node.text(problems)?)));
    let (rule, subject, reason, approver, expires) =
        (of("rule"), of("subject"), of("reason"), of("approver"), of("expires_at"));
    fields.done();
    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        read: Option<(&Node, &str)>,
        problems: &Problems,
    ) -> Option<T> {
        let (node, text) = read?;
        text.parse().map_err(|error: T::Err| problems.say(&node.at, error.to_string())).ok()
    }
    Some(Waiver {
        approver: parsed(approver, problems)?,
        expires_at: parsed(expires, problems)?,
        reason: reason?.1.to_owned(),
        rule: parsed(rule, problems)?,
        subject: subject?.1.to_owned(),
    })
}

/// Lays `change` over `facts`: maps are merged, null takes away, anything else replaces.
fn merge(facts: &mut Value, change: Value) {
    match (facts, change) {
        (Value::Object(facts), Value::Object(change)) => {
            for (key, value) in change {
                if value.is_null() {
                    facts.remove(&key);
                } else {
                    merge(facts.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (facts, change) => *facts = change,
    }
}
