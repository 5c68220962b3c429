//! What other policies would have decided, on what was really asked: recorded decisions judged again with the facts that they
//! were judged with.

use crate::journal::{Journal, decode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use writ_core::{Decision, Digest, Entry, Filter, LedgerError, Place, Stage};
use writ_policy::{Bundle, Question, Status, Waiver, facts};

/// Decisions that are judged again at the most, the newest.
const DECISIONS: usize = 200;

/// Differences that are told one by one.
const TOLD: usize = 20;

/// Judges the newest decisions again. How many there were, and which of them would be others.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn replay(journal: &Journal, bundle: &Bundle, waivers: &[Waiver]) -> Result<Value, LedgerError> {
    let mut entries = Vec::new();
    for kind in ["policy.decided/1", "run.step_started/1"] {
        let newest = Filter { kind: Some(kind.into()), newest_first: true, ..Filter::default() };
        for stored in journal.ledger().query(&newest, DECISIONS).await? {
            entries.push(decode(&stored)?);
        }
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.seq));
    entries.truncate(DECISIONS);
    let (mut judged, mut others, mut counts) = (0, Vec::new(), BTreeMap::<String, u64>::new());
    for entry in &entries {
        let Some((stage, facts, was)) = recorded(journal, entry).await? else { continue };
        let asked = Again::of(entry, stage, facts);
        let verdict = bundle.judge(&asked.question(entry, waivers)).verdict;
        judged += 1;
        let (was, would) = (word(&was), word(&verdict.decision));
        if was == would {
            continue;
        }
        *counts.entry(format!("{was} → {would}")).or_default() += 1;
        if others.len() < TOLD {
            let because = verdict.findings.first().map(ToString::to_string);
            others.push(json!({
                "entry": entry.event_id, "at": entry.timestamp, "stage": stage, "action": entry.action,
                "resource": entry.resource, "was": was, "would": would, "because": because,
            }));
        }
    }
    Ok(json!({"decisions": judged, "others": counts.values().sum::<u64>(), "changes": counts, "told": others}))
}

/// What was asked when a decision was recorded.
struct Again {
    stage: Stage,
    action: String,
    resource: String,
    facts: Value,
    places: BTreeMap<String, Place>,
}

impl Again {
    /// An action's name and resource stand among its facts: an entry may be about the intent that it is done for.
    fn of(entry: &Entry, stage: Stage, facts: Value) -> Self {
        let facts = facts::restored(stage, facts);
        let fact = |at: &str, other: &str| facts.pointer(at).and_then(Value::as_str).unwrap_or(other).to_owned();
        let (action, resource) = match stage {
            Stage::Action => (fact("/action/name", &entry.action), fact("/action/resource", &entry.resource)),
            Stage::Intent | Stage::Plan => (String::new(), entry.resource.clone()),
        };
        Self { stage, action, resource, facts, places: BTreeMap::new() }
    }

    fn question<'a>(&'a self, entry: &Entry, waivers: &'a [Waiver]) -> Question<'a> {
        Question {
            stage: self.stage,
            action: &self.action,
            resource: &self.resource,
            facts: self.facts.clone(),
            waivers,
            now: entry.timestamp,
            places: &self.places,
        }
    }
}

/// The rules that a recorded decision concerned, of those that were in force; none where what was asked is not kept.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn concerned(
    journal: &Journal,
    bundle: &Bundle,
    entry: &Entry,
) -> Result<Option<BTreeSet<String>>, LedgerError> {
    let Some((stage, facts, _)) = recorded(journal, entry).await? else { return Ok(None) };
    let judged = bundle.judge(&Again::of(entry, stage, facts).question(entry, &[]));
    let concerned = judged.results.iter().filter(|result| result.status != Status::NotApplicable);
    Ok(Some(concerned.map(|result| result.policy.to_string()).collect()))
}

/// Stage, facts and answer of a recorded decision; none when it is not kept.
async fn recorded(journal: &Journal, entry: &Entry) -> Result<Option<(Stage, Value, Decision)>, LedgerError> {
    let digest = entry.body.pointer("/attachments/decision").and_then(|text| text.as_str()?.parse::<Digest>().ok());
    let Some(digest) = digest else { return Ok(None) };
    let Some(bytes) = journal.ledger().attachment(&digest).await? else { return Ok(None) };
    let kept: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let stage = kept.get("stage").and_then(|stage| serde_json::from_value(stage.clone()).ok());
    let was = kept.pointer("/verdict/decision").and_then(|was| serde_json::from_value(was.clone()).ok());
    Ok(stage.zip(was).zip(kept.get("facts").cloned()).map(|((stage, was), facts)| (stage, facts, was)))
}

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::RequireApproval { .. } => "approval",
        Decision::Deny => "deny",
    }
}
