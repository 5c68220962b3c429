//! Rules that another rule always overrides: not wrong, but seldom meant.

use crate::glob;
use crate::rule::{Body, Effect, Rule};
use writ_core::{Place, Stage};
use writ_text::Problem;

/// One lint for each rule that never decides anything.
pub(crate) fn find(rules: &[Rule]) -> Vec<Problem> {
    let unconditional = |rule: &&Rule| rule.when.as_ref().is_none_or(writ_expr::Expr::always_true);
    let denies: Vec<&Rule> = rules
        .iter()
        .filter(|rule| {
            rule.stage == Stage::Action && rule.effect == Effect::Deny && matches!(rule.body, Body::Permission)
        })
        .filter(unconditional)
        .collect();
    let covered = |rule: &Rule, deny: &Rule| {
        let all = |wide: &[String], narrow: &[String]| narrow.iter().all(|n| wide.iter().any(|w| glob::covers(w, n)));
        deny.id != rule.id && all(&deny.actions, &rule.actions) && all(&deny.resources, &rule.resources)
    };
    let permissions = rules.iter().filter(|rule| matches!(rule.body, Body::Permission) && rule.effect != Effect::Deny);
    let shadowed = permissions.filter_map(|rule| Some((rule, denies.iter().find(|deny| covered(rule, deny))?)));
    let mut lints: Vec<Problem> = shadowed
        .map(|(rule, deny)| {
            let message = format!("`{}` never decides anything: `{}` forbids all that it is about", rule.id, deny.id);
            Problem::new(Place::clone(&rule.at), message).hint("give the denial a `when`, or remove one of the two")
        })
        .collect();
    for rule in rules {
        if let Body::Check { rule: check } = &rule.body
            && check.always_true()
        {
            let message = format!("`{}` is met whatever the facts are", rule.id);
            lints.push(Problem::new(Place::clone(&rule.at), message).hint("write what must hold"));
        }
    }
    lints.sort();
    lints
}
