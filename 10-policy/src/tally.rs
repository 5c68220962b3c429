//! How often rules passed, warned, asked and denied, over decisions that were recorded.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use writ_core::{Decision, Finding, Stage};

/// A decision as it was recorded.
#[derive(Debug, Clone)]
pub struct Past<'a> {
    /// What was asked about: an intent, or a resource.
    pub subject: &'a str,
    /// When in the life of it.
    pub stage: Stage,
    /// What came of it.
    pub decision: &'a Decision,
    /// What rules found.
    pub findings: &'a [Finding],
    /// The rules that it concerned; none where that cannot be told any more.
    pub concerned: Option<&'a BTreeSet<String>>,
}

/// How often something passed, and how often not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// It looked and found nothing.
    pub passed: u64,
    /// It warned.
    pub warned: u64,
    /// It asked people.
    pub asked: u64,
    /// It denied.
    pub denied: u64,
    /// It found something that a waiver let pass.
    pub waived: u64,
    /// It was about something else, or its `when` was false.
    pub not_concerned: u64,
}

impl Counts {
    fn add(&mut self, decision: Option<&Decision>, waived: bool) {
        let count = match decision {
            _ if waived => &mut self.waived,
            None => &mut self.passed,
            Some(Decision::Allow) => &mut self.warned,
            Some(Decision::RequireApproval { .. }) => &mut self.asked,
            Some(Decision::Deny) => &mut self.denied,
        };
        *count += 1;
    }
}

/// The counts of many decisions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Of each rule, at each stage.
    pub rules: BTreeMap<(String, Stage), Counts>,
    /// Of each subject: by what was decided, or, of one rule, by what that found.
    pub subjects: BTreeMap<String, Counts>,
    /// Decisions that were counted.
    pub decisions: u64,
}

impl Tally {
    /// Counts a decision; `rules` are those that were in force then, `only` the one rule that is looked at.
    pub fn add<'a>(&mut self, past: &Past<'_>, rules: impl IntoIterator<Item = (&'a str, Stage)>, only: Option<&str>) {
        let mut found: BTreeMap<&str, Option<&Finding>> =
            rules.into_iter().filter(|(_, stage)| *stage == past.stage).map(|(rule, _)| (rule, None)).collect();
        for finding in past.findings {
            let known = found.entry(finding.rule.as_str()).or_default();
            // What a waiver lets pass does not stand over what it does not.
            let weight = |finding: &Finding| (finding.waived_by.is_none(), finding.asks.clone());
            if known.is_none_or(|known| weight(known) < weight(finding)) {
                *known = Some(finding);
            }
        }
        found.retain(|rule, _| only.is_none_or(|only| *rule == only));
        let is_waived = |finding: &Finding| finding.waived_by.is_some();
        let looked = |rule: &str| past.concerned.is_none_or(|concerned| concerned.contains(rule));
        for (rule, finding) in &found {
            let counts = self.rules.entry(((*rule).to_owned(), past.stage)).or_default();
            match finding {
                None if !looked(rule) => counts.not_concerned += 1,
                _ => counts.add(finding.map(|finding| &finding.asks), finding.is_some_and(is_waived)),
            }
        }
        self.decisions += 1;
        let whole = Some(past.decision).filter(|decision| **decision != Decision::Allow || !past.findings.is_empty());
        let (told, waived) = match only.map(|only| found.get(only)) {
            None => (whole, whole == Some(&Decision::Allow) && past.findings.iter().all(is_waived)),
            Some(Some(Some(finding))) => (Some(&finding.asks), is_waived(finding)),
            Some(Some(None)) if only.is_some_and(|only| !looked(only)) => {
                self.subjects.entry(past.subject.to_owned()).or_default().not_concerned += 1;
                return;
            }
            Some(Some(None)) => (None, false),
            // It was not in force, or not asked.
            Some(None) => return,
        };
        self.subjects.entry(past.subject.to_owned()).or_default().add(told, waived);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_core::{RuleId, Severity};

    fn finding(rule: &str, asks: Decision, waived: bool) -> Finding {
        Finding {
            at: None,
            message: "m".into(),
            asks,
            rule: RuleId::try_from(rule.to_owned()).unwrap(),
            rule_at: None,
            severity: Severity::Low,
            values: vec![],
            waived_by: waived.then(|| "wvr_1".to_owned()),
        }
    }

    #[test]
    fn each_decision_counts_once_for_each_rule_that_was_asked() {
        let asks = Decision::RequireApproval { count: 1, role: "approver".into() };
        let decisions = [
            ("WEB", Stage::Plan, Decision::Allow, vec![]),
            ("WEB", Stage::Plan, Decision::Allow, vec![finding("cost", Decision::Allow, false)]),
            (
                "API",
                Stage::Plan,
                asks.clone(),
                vec![finding("cost", Decision::Allow, false), finding("cost", asks, false)],
            ),
            ("API", Stage::Plan, Decision::Allow, vec![finding("cost", Decision::Deny, true)]),
            ("API", Stage::Intent, Decision::Deny, vec![finding("late", Decision::Deny, false)]),
        ];
        let rules = [("cost", Stage::Plan), ("zones", Stage::Plan), ("tls", Stage::Intent)];
        // `zones` looked at nothing in two of the four, one of them of `API`.
        let concerned = [Some(&["cost"][..]), None, Some(&["cost", "zones"]), Some(&["cost"]), None];
        let concerned = concerned.map(|some| some.map(|rules| rules.iter().map(|rule| (*rule).to_owned()).collect()));
        let tally = |only: Option<&str>| {
            let mut tally = Tally::default();
            for ((subject, stage, decision, findings), concerned) in decisions.iter().zip(&concerned) {
                let concerned = concerned.as_ref();
                tally.add(&Past { subject, stage: *stage, decision, findings, concerned }, rules, only);
            }
            tally
        };
        let counts = |[passed, warned, asked, denied, waived]: [u64; 5]| Counts {
            passed,
            warned,
            asked,
            denied,
            waived,
            not_concerned: 0,
        };
        let besides = |counts: Counts, not_concerned: u64| Counts { not_concerned, ..counts };
        let whole = tally(None);
        let of = |rule: &str, stage| whole.rules[&(rule.to_owned(), stage)];
        assert_eq!(of("cost", Stage::Plan), counts([1, 1, 1, 0, 1]));
        assert_eq!(of("zones", Stage::Plan), besides(counts([2, 0, 0, 0, 0]), 2));
        assert_eq!(
            (of("tls", Stage::Intent), of("late", Stage::Intent)),
            (counts([1, 0, 0, 0, 0]), counts([0, 0, 0, 1, 0]))
        );
        assert_eq!((whole.subjects["WEB"], whole.subjects["API"]), (counts([1, 1, 0, 0, 0]), counts([0, 0, 1, 1, 1])));
        let one = tally(Some("cost"));
        assert_eq!((one.rules.len(), one.decisions), (1, 5));
        assert_eq!((one.subjects["WEB"], one.subjects["API"]), (counts([1, 1, 0, 0, 0]), counts([0, 0, 1, 0, 1])));
        let other = tally(Some("zones"));
        assert_eq!(other.subjects["WEB"], besides(counts([1, 0, 0, 0, 0]), 1));
        assert_eq!(other.subjects["API"], besides(counts([1, 0, 0, 0, 0]), 1));
    }
}
