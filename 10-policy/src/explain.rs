//! Why did each rule answer as it did?

use crate::facts;
use crate::judge::{Question, Status, answer, result};
use crate::load::Bundle;
use crate::rule::{Body, Rule};
use std::fmt::Write;
use writ_core::{Place, RuleId};
use writ_expr::{FactProblem, Facts, Part};

/// One rule of the question's stage, and why it answered as it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The rule.
    pub rule: RuleId,
    /// Where it stands.
    pub at: Place,
    /// What came of it; none when the question does not concern it.
    pub status: Option<Status>,
    /// One sentence: the message, or why the question does not concern the rule.
    pub because: String,
    /// What `when` and its parts came to.
    pub when: Vec<Part>,
    /// What `rule` and its parts came to; empty when `when` is not true.
    pub check: Vec<Part>,
}

impl Bundle {
    /// Every rule of the stage, in the order of reports, with the values of its parts.
    ///
    /// # Errors
    /// When the facts are not what the stage's schema says.
    pub fn explain(&self, question: &Question<'_>) -> Result<Vec<Explanation>, Vec<FactProblem>> {
        let facts = Facts::new(facts::schema(question.stage), question.facts.clone())?;
        let concerned = self.index.candidates(&self.rules, question.stage, question.action, question.resource, &facts);
        let rules = self.rules.iter().enumerate().filter(|(_, rule)| rule.stage == question.stage);
        Ok(rules.map(|(at, rule)| explain(rule, concerned.contains(&at), question, &facts)).collect())
    }
}

fn explain(rule: &Rule, concerned: bool, question: &Question<'_>, facts: &Facts) -> Explanation {
    let mut explanation = Explanation {
        rule: rule.id.clone(),
        at: Place::clone(&rule.at),
        status: None,
        because: "it is about other actions or resources, or `when` asks for another value".to_owned(),
        when: rule.when.as_ref().map(|when| when.explain(facts)).unwrap_or_default(),
        check: Vec::new(),
    };
    if !concerned {
        return explanation;
    }
    let result = result(rule, &answer(rule, &facts.view()), question, facts);
    if let (Body::Check { rule: check }, true) = (&rule.body, result.status != Status::NotApplicable) {
        explanation.check = check.explain(facts);
    }
    explanation.status = Some(result.status);
    explanation.because = result.message.to_string();
    explanation
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self.status.map_or("not concerned".to_owned(), |status| status.to_string());
        let mut out = format!("{}  {status}  {}  ({})\n", self.rule, self.because, self.at);
        for (name, parts) in [("when", &self.when), ("rule", &self.check)] {
            for part in parts {
                let value = part.value.clone().unwrap_or_else(|error| error.to_string());
                let source = part.source.split_whitespace().collect::<Vec<_>>().join(" ");
                let _ = writeln!(out, "  {name}  {}{source}  =  {value}", "  ".repeat(part.depth));
            }
        }
        f.write_str(&out)
    }
}
