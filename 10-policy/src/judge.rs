//! May it? One question, one judgement, always with the reasons.
//!
//! Deny stands over approval over allow, whatever the order of the rules. What cannot be evaluated is denied, or asked of a
//! person where the rule says so. At the action stage what nothing allows is denied.

use crate::facts;
use crate::load::Bundle;
use crate::rule::{Body, Effect, Rule};
use crate::waiver::Waiver;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use writ_core::{Decision, Digest, Finding, Obligation, Place, RuleId, Severity, Stage, Timestamp, Verdict};
use writ_expr::{EvalError, Facts, View};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// At which moment.
    pub stage: Stage,
    /// The action's name; empty before the action stage.
    pub action: &'a str,
    /// What it is about: the intent's id, or the resource of an action. Waivers name it, or the intent.
    pub resource: &'a str,
    /// The facts, in the shape of the stage's schema ([`facts::schema`]).
    pub facts: Value,
    /// Waivers that have been granted, expired ones too.
    pub waivers: &'a [Waiver],
    /// The time, for waivers. Rules see time only as the fact `now`.
    pub now: Timestamp,
    /// Where facts stand in the manifest, by their dotted paths.
    pub places: &'a BTreeMap<String, Place>,
}

/// What came of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A check is met, or a permission allows it.
    Passed,
    /// A check is not met, or a permission forbids it.
    Failed,
    /// A check that only warns is not met.
    Warned,
    /// People must say yes.
    NeedsApproval,
    /// It speaks against it, and a waiver lets it pass.
    Waived,
    /// Its `when` is false.
    NotApplicable,
    /// It has no value for these facts.
    Error,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::Warned => "warned",
            Status::NeedsApproval => "needs_approval",
            Status::Waived => "waived",
            Status::NotApplicable => "not_applicable",
            Status::Error => "error",
        })
    }
}

/// One rule's part in a judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleResult {
    /// The rule.
    pub policy: RuleId,
    /// What came of it.
    pub status: Status,
    /// One sentence for a person.
    pub message: Arc<str>,
    /// How bad a violation would be.
    pub severity: Severity,
    /// Where the rule stands.
    pub rule_at: Arc<Place>,
    /// Where the value stands in the manifest that decided.
    pub at: Option<Place>,
    /// The facts it read, as `path = value`; empty where all is well.
    pub values: Vec<String>,
    /// The waiver that lets it pass, or that would have if it had not expired.
    pub waiver: Option<String>,
}

/// The answer with everything that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The stage that was asked about.
    pub stage: Stage,
    /// The answer.
    pub verdict: Verdict,
    /// What came of each rule that the question concerned, in the order of reports.
    pub results: Vec<RuleResult>,
    /// The files that were checked.
    pub files: Vec<String>,
    /// The bundle.
    pub bundle: Digest,
    /// The facts in canonical form: what to attach, and what to replay.
    pub facts: Vec<u8>,
}

impl Bundle {
    /// Answers a question. Never fails: facts that are not what their schema says are a denial that says so.
    #[must_use]
    pub fn judge(&self, question: &Question<'_>) -> Judgement {
        let facts = match Facts::new(facts::schema(question.stage), question.facts.clone()) {
            Ok(facts) => facts,
            Err(problems) => {
                let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
                return self.refused(question, &told);
            }
        };
        let (mut decision, mut allowed) = (Decision::Allow, question.stage != Stage::Action);
        let view = facts.view();
        let concerned = self.index.candidates(&self.rules, question.stage, question.action, question.resource, &facts);
        let (mut findings, mut obligations) = (Vec::new(), Vec::new());
        let mut results = Vec::with_capacity(concerned.len());
        for rule in concerned.into_iter().filter_map(|at| self.rules.get(at)) {
            let answer = answer(rule, &view);
            let result = result(rule, &answer, question, &facts);
            if let Answer::Permits = answer {
                allowed = true;
            }
            if matches!(answer, Answer::Permits | Answer::Met) || result.status == Status::NeedsApproval {
                obligations.extend(rule.obligations.iter().cloned());
            }
            if let Some(asks) = asked(rule, &answer) {
                let waived = result.status == Status::Waived;
                // An approval that is asked for by a permission is also a permission.
                allowed |=
                    !rule.is_check() && rule.effect == Effect::RequireApproval && matches!(answer, Answer::Against);
                if !waived {
                    decision = decision.max(asks.clone());
                }
                findings.push(Finding {
                    at: result.at.clone(),
                    message: result.message.to_string(),
                    asks,
                    rule: rule.id.clone(),
                    rule_at: Some(Place::clone(&rule.at)),
                    severity: rule.severity,
                    values: result.values.clone(),
                    waived_by: result.waiver.clone().filter(|_| waived),
                });
            }
            results.push(result);
        }
        if !allowed {
            decision = Decision::Deny;
            findings.push(default_deny(question));
        }
        if decision == Decision::Deny {
            obligations.clear();
        }
        obligations.sort();
        obligations.dedup();
        Judgement {
            stage: question.stage,
            verdict: Verdict { decision, findings, obligations },
            results,
            files: self.files().to_vec(),
            bundle: self.digest(),
            facts: serde_json::to_vec(facts.json()).unwrap_or_default(),
        }
    }

    fn refused(&self, question: &Question<'_>, told: &[String]) -> Judgement {
        let finding = Finding {
            at: None,
            message: "the facts are not what the stage's schema says".to_owned(),
            asks: Decision::Deny,
            rule: own_rule("facts"),
            rule_at: None,
            severity: Severity::Critical,
            values: told.iter().take(20).cloned().collect(),
            waived_by: None,
        };
        Judgement {
            stage: question.stage,
            verdict: Verdict { decision: Decision::Deny, findings: vec![finding], obligations: Vec::new() },
            results: Vec::new(),
            files: self.files().to_vec(),
            bundle: self.digest(),
            facts: broken_facts(&question.facts),
        }
    }
}

impl Judgement {
    /// The same judgement for somebody who can honour only some obligations: one that cannot be honoured denies.
    #[must_use]
    pub fn honouring(mut self, can: impl Fn(&Obligation) -> bool) -> Self {
        let unmet: Vec<&Obligation> = self.verdict.obligations.iter().filter(|obligation| !can(obligation)).collect();
        if let Some(first) = unmet.first() {
            self.verdict.findings.push(Finding {
                at: None,
                message: format!("it is demanded, and cannot be honoured here: {first}"),
                asks: Decision::Deny,
                rule: own_rule("obligations"),
                rule_at: None,
                severity: Severity::High,
                values: Vec::new(),
                waived_by: None,
            });
            self.verdict.decision = Decision::Deny;
            self.verdict.obligations.clear();
        }
        self
    }
}

/// What a rule says to these facts.
pub(crate) enum Answer {
    /// Its `when` is false.
    NotApplicable,
    /// A check that is met.
    Met,
    /// A permission that allows.
    Permits,
    /// A check that is not met, or a permission that forbids or asks.
    Against,
    /// No value: which part, and why.
    Failed { part: &'static str, error: EvalError },
}

pub(crate) fn answer(rule: &Rule, facts: &View<'_>) -> Answer {
    match rule.when.as_ref().map_or(Ok(true), |when| when.holds_in(facts)) {
        Ok(true) => {}
        Ok(false) => return Answer::NotApplicable,
        Err(error) => return Answer::Failed { part: "when", error },
    }
    match &rule.body {
        Body::Permission if rule.effect == Effect::Allow => Answer::Permits,
        Body::Permission => Answer::Against,
        Body::Check { rule } => match rule.holds_in(facts) {
            Ok(true) => Answer::Met,
            Ok(false) => Answer::Against,
            Err(error) => Answer::Failed { part: "rule", error },
        },
    }
}

/// What the answer asks for, when it is worth a finding.
fn asked(rule: &Rule, answer: &Answer) -> Option<Decision> {
    match answer {
        Answer::NotApplicable | Answer::Met | Answer::Permits => None,
        Answer::Against => Some(rule.asks()),
        Answer::Failed { .. } => Some(rule.asks_on_error()),
    }
}

pub(crate) fn result(rule: &Rule, answer: &Answer, question: &Question<'_>, facts: &Facts) -> RuleResult {
    let waiver = match answer {
        Answer::Against => {
            // A waiver for an intent holds for all that is done for it.
            let intent = facts.json().pointer("/intent/id").and_then(Value::as_str);
            let find = |subject| Waiver::find(question.waivers, rule.id.as_str(), subject, question.now);
            let (own, wide) = (find(question.resource), intent.and_then(find));
            let holds = |waiver: &&Waiver| waiver.in_force(question.now);
            // One that has expired does nothing, and is told.
            own.filter(holds).or(wide.filter(holds)).or(own).or(wide)
        }
        Answer::NotApplicable | Answer::Met | Answer::Permits | Answer::Failed { .. } => None,
    };
    let in_force = waiver.is_some_and(|waiver| waiver.in_force(question.now));
    let (status, message) = match answer {
        Answer::NotApplicable => (Status::NotApplicable, Arc::clone(&NOT_APPLICABLE)),
        Answer::Met | Answer::Permits => (Status::Passed, rule.message.clone()),
        Answer::Failed { part, error } => (Status::Error, format!("`{part}` {error}").into()),
        Answer::Against => {
            let status = match rule.effect {
                _ if in_force => Status::Waived,
                Effect::Deny | Effect::Allow => Status::Failed,
                Effect::RequireApproval => Status::NeedsApproval,
                Effect::Warn => Status::Warned,
            };
            (status, against(rule, facts))
        }
    };
    let tells = matches!(answer, Answer::Against | Answer::Failed { .. });
    RuleResult {
        policy: rule.id.clone(),
        status,
        message,
        severity: rule.severity,
        rule_at: rule.at.clone(),
        at: rule.reads.iter().filter(|_| tells).find_map(|path| question.places.get(path)).cloned(),
        values: if tells { facts.tell(rule.reads.iter().map(String::as_str)) } else { Vec::new() },
        waiver: waiver.map(|waiver| waiver.told(question.now)),
    }
}

/// The message of most results in a large bundle, made once.
static NOT_APPLICABLE: LazyLock<Arc<str>> = LazyLock::new(|| "does not apply".into());

fn against(rule: &Rule, facts: &Facts) -> Arc<str> {
    match (&rule.violation, &rule.body) {
        (Some(template), _) => template.fill(facts).into(),
        (None, Body::Check { rule: check }) => format!("not met: {}", check.source().trim()).into(),
        (None, Body::Permission) => rule.message.clone(),
    }
}

/// The most bytes of refused facts that are kept.
const REFUSED_BYTES: usize = 1 << 20;

/// Facts that were refused, as they were given; nothing of what could fill a disk.
fn broken_facts(facts: &Value) -> Vec<u8> {
    match size(facts, REFUSED_BYTES) {
        Some(_) => facts.to_string().into_bytes(),
        None => json!({"refused": "facts of more than 1 MiB"}).to_string().into_bytes(),
    }
}

/// What is left of an allowance of bytes after a value, counted roughly; none when it does not suffice.
fn size(value: &Value, left: usize) -> Option<usize> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => left.checked_sub(8),
        Value::String(text) => left.checked_sub(text.len() + 2),
        Value::Array(items) => items.iter().try_fold(left, |left, item| size(item, left.checked_sub(1)?)),
        Value::Object(map) => {
            map.iter().try_fold(left, |left, (key, item)| size(item, left.checked_sub(key.len() + 4)?))
        }
    }
}

fn default_deny(question: &Question<'_>) -> Finding {
    Finding {
        at: None,
        message: format!("no rule allows `{}` on `{}`", question.action, question.resource),
        asks: Decision::Deny,
        rule: own_rule("default-deny"),
        rule_at: None,
        severity: Severity::High,
        values: Vec::new(),
        waived_by: None,
    }
}

/// The id of a finding that no rule stands behind.
#[expect(clippy::expect_used, reason = "the three names are words of ours, and a test reads them all")]
fn own_rule(name: &str) -> RuleId {
    name.parse().expect("our own finding names are ids")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_names_of_our_own_findings_are_ids() {
        for name in ["facts", "obligations", "default-deny"] {
            assert_eq!(super::own_rule(name).as_str(), name);
        }
    }
}
