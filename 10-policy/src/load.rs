//! From files to a bundle. A bundle with one broken rule is refused whole.

use crate::index::Index;
use crate::rule::{self, Rule};
use crate::shadow;
use crate::source::Source;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use writ_core::{Digest, Obligation, Place, Stage};
use writ_text::{Limits, Problem, Problems, read};

/// Room for ten thousand rules in a file.
const LIMITS: Limits = Limits { bytes: 16 << 20, depth: 32, nodes: 1_000_000, text: 32 << 20, repeated: 20_000 };

/// The rules that are in force together, as one thing with one digest.
#[derive(Debug, Clone)]
pub struct Bundle {
    pub(crate) rules: Vec<Rule>,
    pub(crate) index: Index,
    files: Vec<String>,
    digest: Digest,
    lints: Vec<Problem>,
}

/// Whether a file beside policies holds their tests: its name ends in `.test.yaml` or `.test.yml`.
#[must_use]
pub fn is_test_file(name: &str) -> bool {
    name.ends_with(".test.yaml") || name.ends_with(".test.yml")
}

impl Bundle {
    /// Reads, compiles and checks rules.
    ///
    /// # Errors
    /// Every problem of every file: broken YAML, unknown keys and facts, types that do not fit, optional facts that were not
    /// asked for, conditions that can never be true, ids that stand twice, expressions that could cost too much.
    pub fn load(files: &[(&str, &[u8])]) -> Result<Self, Vec<Problem>> {
        let mut files: Vec<(&str, &[u8])> = files.to_vec();
        files.sort_unstable();
        let mut found: Vec<Problem> = Vec::new();
        let mut rules: Vec<Rule> = Vec::new();
        for (name, bytes) in &files {
            match load_file(name, bytes) {
                Ok(mut more) => rules.append(&mut more),
                Err(mut problems) => found.append(&mut problems),
            }
        }
        found.extend(twice(&rules));
        if !found.is_empty() {
            found.sort();
            return Err(found);
        }
        // Findings and reports come in this order, so a verdict does not depend on how files were given.
        rules.sort_by(|a, b| {
            b.priority.cmp(&a.priority).then_with(|| a.id.cmp(&b.id)).then_with(|| a.stage.cmp(&b.stage))
        });
        Ok(Self {
            index: Index::over(&rules),
            lints: shadow::find(&rules),
            digest: digest(&files),
            files: files.iter().map(|(name, _)| (*name).to_owned()).collect(),
            rules,
        })
    }

    /// What the bundle is, as one digest over the names and contents of its files.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The files it was read from, sorted.
    #[must_use]
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// How many rules it has; one that names two stages counts twice.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether it has no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The ids of its rules with their stages and places, in the order of reports.
    pub fn rules(&self) -> impl Iterator<Item = (&str, Stage, &Place)> {
        self.rules.iter().map(|rule| (rule.id.as_str(), rule.stage, rule.at.as_ref()))
    }

    /// The rules of an id, one for each of its stages.
    pub(crate) fn with_id(&self, id: &str) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.id.as_str() == id)
    }

    /// How far back its obligations look: the longest period of a rate limit or rest of a cool-down.
    #[must_use]
    pub fn looks_back(&self) -> Duration {
        let span = |obligation: &Obligation| match obligation {
            Obligation::RateLimit { period_seconds: seconds, .. } | Obligation::CoolDown { seconds } => *seconds,
            Obligation::DryRun | Obligation::Notify { .. } | Obligation::Window { .. } => 0,
            Obligation::PostCheck { .. } => 0,
        };
        let longest = self.rules.iter().flat_map(|rule| &rule.obligations).map(span).max();
        Duration::from_secs(longest.unwrap_or_default())
    }

    /// What is not wrong but looks like a mistake: a rule that another one always overrides.
    #[must_use]
    pub fn lints(&self) -> &[Problem] {
        &self.lints
    }
}

fn load_file(name: &str, bytes: &[u8]) -> Result<Vec<Rule>, Vec<Problem>> {
    let node = read(name, bytes, &LIMITS)?;
    let text = String::from_utf8_lossy(bytes);
    let problems = Problems::new();
    let source = Source { text: &text, problems: &problems };
    let mut rules = Vec::new();
    if let Some(mut fields) = node.fields("a policy file", &problems) {
        for about in ["version", "description", "owner"] {
            let _ = fields.maybe(about);
        }
        let items = fields.items("rules").unwrap_or_default();
        fields.done();
        rules = items.iter().flat_map(|node| rule::read(node, &source)).collect();
    }
    problems.result(Some(rules))
}

fn twice(rules: &[Rule]) -> Vec<Problem> {
    let mut first: BTreeMap<&str, &Place> = BTreeMap::new();
    let mut problems = Vec::new();
    for rule in rules {
        match first.get(rule.id.as_str()) {
            // The same place means the same rule, for another of its stages.
            Some(place) if **place != *rule.at => {
                let message = format!("the id `{}` is taken by the rule at {place}", rule.id);
                problems.push(Problem::new(Place::clone(&rule.at), message).hint("give each rule its own id"));
            }
            Some(_) => {}
            None => {
                first.insert(rule.id.as_str(), &rule.at);
            }
        }
    }
    problems
}

fn digest(files: &[(&str, &[u8])]) -> Digest {
    let list: Vec<_> = files.iter().map(|(name, bytes)| json!([name, writ_seal::sha256(bytes).hex()])).collect();
    writ_seal::sha256(json!(list).to_string().as_bytes())
}
