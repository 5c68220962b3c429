//! What a rule demands, in the words of its file.

use crate::load::Bundle;
use crate::rule::{Body, Effect, Rule};
use writ_core::{Severity, Stage};

/// A rule as its file has it, for one of its stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Where it is asked.
    pub stage: Stage,
    /// What it says when it is met.
    pub message: String,
    /// The condition under which it is asked; empty where that is always.
    pub when: String,
    /// What must be true; empty where it only allows, forbids, or asks people.
    pub must: String,
    /// What it does: `deny`, `require_approval`, `warn`, `allow`.
    pub effect: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// The actions that it is about; none where that is all of them.
    pub actions: Vec<String>,
}

impl Bundle {
    /// What a rule demands, for each stage that it names; nothing where there is no such rule.
    #[must_use]
    pub fn demands(&self, rule: &str) -> Vec<Demand> {
        self.with_id(rule).map(demand).collect()
    }
}

fn demand(rule: &Rule) -> Demand {
    let must = match &rule.body {
        Body::Check { rule } => rule.source().trim().to_owned(),
        Body::Permission => String::new(),
    };
    Demand {
        stage: rule.stage,
        message: rule.message.to_string(),
        when: rule.when.as_ref().map(|when| when.source().trim().to_owned()).unwrap_or_default(),
        must,
        effect: match rule.effect {
            Effect::Deny => "deny",
            Effect::RequireApproval => "require_approval",
            Effect::Warn => "warn",
            Effect::Allow => "allow",
        },
        severity: rule.severity,
        actions: rule.actions.iter().filter(|action| *action != "*").cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_told_as_its_file_has_it() {
        let file = "description: d\nowner: o\nrules:\n  - id: A-001\n    stage: intent\n    when: intent.id != 'x'\n    rule: intent.id != ''\n    \
                    enforcement: deny\n    message: It has a name\n    violation: It has none\n";
        let bundle = Bundle::load(&[("a.yaml", file.as_bytes())]).unwrap();
        let told = Demand {
            stage: Stage::Intent,
            message: "It has a name".to_owned(),
            when: "intent.id != 'x'".to_owned(),
            must: "intent.id != ''".to_owned(),
            effect: "deny",
            severity: Severity::default(),
            actions: Vec::new(),
        };
        assert_eq!(bundle.demands("A-001"), [told]);
        assert_eq!(bundle.demands("A-002"), []);
    }
}
