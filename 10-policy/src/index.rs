//! Which rules a question can concern, found without looking at the others.
//!
//! A rule stands in one table: under the beginning of its action patterns, else under the beginning of its resource patterns,
//! else under a text that its `when` requires of a fact, else among those that every question concerns.

use crate::glob;
use crate::rule::Rule;
use std::collections::{BTreeMap, HashMap};
use writ_core::Stage;
use writ_expr::Facts;

#[derive(Debug, Clone, Default)]
struct Tables {
    by_action: HashMap<String, Vec<usize>>,
    by_resource: HashMap<String, Vec<usize>>,
    by_fact: BTreeMap<String, HashMap<String, Vec<usize>>>,
    always: Vec<usize>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Index(BTreeMap<Stage, Tables>);

impl Index {
    pub(crate) fn over(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (at, rule) in rules.iter().enumerate() {
            index.0.entry(rule.stage).or_default().put(at, rule);
        }
        index
    }

    /// The rules that a question can concern, in order. Facts decide only which rules need not be looked at.
    pub(crate) fn candidates(
        &self,
        rules: &[Rule],
        stage: Stage,
        action: &str,
        resource: &str,
        facts: &Facts,
    ) -> Vec<usize> {
        let Some(tables) = self.0.get(&stage) else { return Vec::new() };
        let mut found = tables.always.clone();
        for (table, name) in [(&tables.by_action, action), (&tables.by_resource, resource)] {
            if table.is_empty() {
                continue;
            }
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            found.extend(ends.filter_map(|end| table.get(&name[..end])).flatten().copied());
        }
        for (path, table) in &tables.by_fact {
            if let Some(serde_json::Value::String(text)) = facts.get(path) {
                found.extend(table.get(text).into_iter().flatten().copied());
            }
        }
        found.retain(|at| rules.get(*at).is_some_and(|rule| rule.concerns(stage, action, resource)));
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Rule {
    fn concerns(&self, stage: Stage, action: &str, resource: &str) -> bool {
        stage != Stage::Action
            || (self.actions.iter().any(|pattern| glob::matches(pattern, action))
                && self.resources.iter().any(|pattern| glob::matches(pattern, resource)))
    }
}

impl Tables {
    fn put(&mut self, at: usize, rule: &Rule) {
        let narrow = |patterns: &[String]| patterns.iter().all(|pattern| !glob::prefix(pattern).is_empty());
        if rule.stage == Stage::Action && narrow(&rule.actions) {
            for pattern in &rule.actions {
                self.by_action.entry(glob::prefix(pattern).to_owned()).or_default().push(at);
            }
            return;
        }
        if rule.stage == Stage::Action && narrow(&rule.resources) {
            for pattern in &rule.resources {
                self.by_resource.entry(glob::prefix(pattern).to_owned()).or_default().push(at);
            }
            return;
        }
        let required = rule.when.as_ref().map(|when| when.atoms()).unwrap_or_default();
        match required.into_iter().min_by_key(|atom| atom.any_of.len()) {
            Some(atom) => {
                let table = self.by_fact.entry(atom.path).or_default();
                atom.any_of.into_iter().for_each(|text| table.entry(text).or_default().push(at));
            }
            None => self.always.push(at),
        }
    }
}
