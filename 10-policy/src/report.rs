//! A judgement as people and machines read it: the source's `validation:` document, a table, SARIF and JUnit.

use crate::judge::{Judgement, Status};
use serde_json::{Value, json};
use std::fmt::Write;
use writ_core::{Decision, Severity};
use writ_text::{uri, xml};

/// The answer in a few words.
#[must_use]
pub fn decision_text(decision: &Decision) -> String {
    match decision {
        Decision::Allow => "allow".to_owned(),
        Decision::Deny => "deny".to_owned(),
        Decision::RequireApproval { count, role } => format!("needs {count} of role {role}"),
    }
}

impl Judgement {
    /// The source's `validation:` document, with the decision, places, values and waivers. Rules that do not apply are left out.
    #[must_use]
    pub fn validation(&self) -> Value {
        let results: Vec<Value> = self
            .results
            .iter()
            .filter(|result| result.status != Status::NotApplicable)
            .map(|result| {
                let mut row = json!({
                    "policy": result.policy, "status": result.status, "message": &*result.message,
                    "rule_at": result.rule_at.to_string(),
                });
                let told = [
                    ("at", result.at.as_ref().map(|place| json!(place.to_string()))),
                    ("values", Some(json!(result.values)).filter(|_| !result.values.is_empty())),
                    ("waiver", result.waiver.as_ref().map(|waiver| json!(waiver))),
                    ("severity", Some(json!(result.severity)).filter(|_| result.status != Status::Passed)),
                ];
                for (key, value) in told {
                    if let (Some(value), Some(row)) = (value, row.as_object_mut()) {
                        row.insert(key.to_owned(), value);
                    }
                }
                row
            })
            .collect();
        json!({"validation": {
            "policies_checked": self.files, "results": results, "stage": self.stage,
            "decision": decision_text(&self.verdict.decision), "bundle": self.bundle,
            "other_findings": self.verdict.findings.iter().filter(|finding| finding.rule_at.is_none())
                .map(|finding| json!({"finding": finding.rule, "message": finding.message, "values": finding.values})).collect::<Vec<_>>(),
            "obligations": self.verdict.obligations,
        }})
    }

    /// One line a rule, words only, and the totals.
    #[must_use]
    pub fn table(&self) -> String {
        let shown: Vec<_> = self.results.iter().filter(|result| result.status != Status::NotApplicable).collect();
        let width = shown.iter().map(|result| result.policy.as_str().len()).max().unwrap_or(0).max(6);
        let mut out = format!("{:width$}  {:14}  {}\n", "POLICY", "STATUS", "MESSAGE");
        for result in &shown {
            let place = result.at.as_ref().map_or(String::new(), |place| format!("  ({place})"));
            let _ = writeln!(
                out,
                "{:width$}  {:14}  {}{place}",
                result.policy.as_str(),
                result.status.to_string(),
                result.message
            );
            if let Some(waiver) = &result.waiver {
                let _ = writeln!(out, "{:width$}  {:14}  {waiver}", "", "");
            }
        }
        for finding in self.verdict.findings.iter().filter(|finding| finding.rule_at.is_none()) {
            let _ = writeln!(out, "{:width$}  {:14}  {}", finding.rule.as_str(), "failed", finding.message);
            finding.values.iter().for_each(|value| {
                let _ = writeln!(out, "{:width$}  {:14}    {value}", "", "");
            });
        }
        let count = |status: Status| self.results.iter().filter(|result| result.status == status).count();
        let _ = writeln!(
            out,
            "{} checked: {} passed, {} failed, {} warned, {} need approval, {} waived, {} errors, {} not applicable; {}; bundle {}",
            self.results.len(),
            count(Status::Passed),
            count(Status::Failed),
            count(Status::Warned),
            count(Status::NeedsApproval),
            count(Status::Waived),
            count(Status::Error),
            count(Status::NotApplicable),
            decision_text(&self.verdict.decision),
            self.bundle.short(),
        );
        out
    }

    /// SARIF 2.1.0: one result for each finding. Waived ones are suppressed with their justification.
    #[must_use]
    pub fn sarif(&self) -> Value {
        let rules: Vec<Value> = self
            .results
            .iter()
            .map(|result| json!({"id": result.policy, "defaultConfiguration": {"level": level(result.severity)}}))
            .collect();
        let results: Vec<Value> = self
            .verdict
            .findings
            .iter()
            .map(|finding| {
                let place = finding.at.as_ref().or(finding.rule_at.as_ref());
                let locations: Vec<Value> = place
                    .iter()
                    .map(|place| {
                        json!({"physicalLocation": {
                            "artifactLocation": {"uri": uri(&place.file)},
                            "region": {"startLine": place.line, "startColumn": place.column},
                        }})
                    })
                    .collect();
                let values =
                    if finding.values.is_empty() { String::new() } else { format!(" ({})", finding.values.join(", ")) };
                let level = if finding.asks == Decision::Allow { "note" } else { level(finding.severity) };
                let mut row = json!({
                    "ruleId": finding.rule, "level": level, "message": {"text": format!("{}{values}", finding.message)},
                    "locations": locations, "properties": {"asks": decision_text(&finding.asks)},
                });
                if let (Some(waiver), Some(row)) = (&finding.waived_by, row.as_object_mut()) {
                    row.insert("suppressions".to_owned(), json!([{"kind": "external", "justification": waiver}]));
                }
                row
            })
            .collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {"name": "writ", "rules": rules}},
                "columnKind": "unicodeCodePoints", "results": results,
                "properties": {"bundle": self.bundle, "decision": decision_text(&self.verdict.decision)},
            }],
        })
    }

    /// JUnit XML: one case for each rule.
    #[must_use]
    pub fn junit(&self) -> String {
        let cases: Vec<Case> = self
            .results
            .iter()
            .map(|result| {
                let text = format!("{} [{}]", result.message, result.values.join(", "));
                Case {
                    name: result.policy.to_string(),
                    group: result.rule_at.file.clone(),
                    outcome: match result.status {
                        Status::Passed | Status::Warned | Status::Waived => Outcome::Passed,
                        Status::NotApplicable => Outcome::Skipped,
                        Status::Failed | Status::NeedsApproval => Outcome::Failed(text),
                        Status::Error => Outcome::Error(text),
                    },
                }
            })
            .collect();
        junit("writ policy", &cases)
    }
}

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) outcome: Outcome,
}

pub(crate) enum Outcome {
    Passed,
    Skipped,
    Failed(String),
    Error(String),
}

/// A JUnit document.
pub(crate) fn junit(suite: &str, cases: &[Case]) -> String {
    let count = |wanted: fn(&Outcome) -> bool| cases.iter().filter(|case| wanted(&case.outcome)).count();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n",
        xml(suite),
        cases.len(),
        count(|outcome| matches!(outcome, Outcome::Failed(_))),
        count(|outcome| matches!(outcome, Outcome::Error(_))),
        count(|outcome| matches!(outcome, Outcome::Skipped)),
    );
    for case in cases {
        let head = format!("  <testcase name=\"{}\" classname=\"{}\"", xml(&case.name), xml(&case.group));
        let _ = match &case.outcome {
            Outcome::Passed => writeln!(out, "{head}/>"),
            Outcome::Skipped => writeln!(out, "{head}><skipped/></testcase>"),
            Outcome::Failed(text) => writeln!(out, "{head}><failure message=\"{}\"/></testcase>", xml(text)),
            Outcome::Error(text) => writeln!(out, "{head}><error message=\"{}\"/></testcase>", xml(text)),
        };
    }
    out.push_str("</testsuite>\n");
    out
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info | Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    }
}
