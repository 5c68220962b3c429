//! What policy decided, counted: how often each rule passed, warned, asked, denied and was not concerned, page by page of the history; and which
//! policies were in force, from when to when.

use crate::commit::Batch;
use crate::gate::POLICY_STREAM;
use crate::journal::decode;
use crate::pipeline::Pipeline;
use crate::replay::concerned;
use crate::wish::ChangeError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_core::{Actor, Decision, Digest, Entry, Filter, Finding, LedgerError, Stage, Timestamp};
use writ_policy::{Bundle, Counts, Past, Tally};

/// Policies that were in force for a while.
#[derive(Debug, Clone)]
pub struct PolicyPeriod {
    /// What they are known by.
    pub digest: Digest,
    /// From when.
    pub from: Timestamp,
    /// Until when; none while they are in force.
    pub until: Option<Timestamp>,
    /// Who put them in force.
    pub by: Actor,
    /// Their files.
    pub files: BTreeMap<String, Digest>,
    /// From which entry on.
    pub seq: u64,
}

/// Which decisions are counted.
#[derive(Debug, Clone, Default)]
pub struct ReportWanted {
    /// About this alone.
    pub intent: Option<String>,
    /// By this rule alone.
    pub rule: Option<String>,
    /// From this entry back; none for from the newest.
    pub from: Option<u64>,
    /// How many decisions.
    pub limit: usize,
}

/// A decision, as far as it is counted.
#[derive(Deserialize)]
struct Body {
    stage: Stage,
    decision: Decision,
    #[serde(default)]
    findings: Vec<Finding>,
}

impl Pipeline {
    /// The policies that were in force, and those that are, oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn policy_periods(&self) -> Result<Vec<PolicyPeriod>, LedgerError> {
        let mut periods: Vec<PolicyPeriod> = Vec::new();
        for entry in self.journal().stream(POLICY_STREAM).await? {
            let digest = entry.body.get("digest").and_then(|digest| digest.as_str()?.parse().ok());
            let files = entry.body.get("attachments").cloned().and_then(|files| serde_json::from_value(files).ok());
            let (Some(digest), Some(files)) = (digest, files) else { continue };
            if let Some(before) = periods.last_mut() {
                before.until = Some(entry.timestamp);
            }
            let (from, by, seq) = (entry.timestamp, entry.actor, entry.seq);
            periods.push(PolicyPeriod { digest, from, until: None, by, files, seq });
        }
        Ok(periods)
    }

    /// How often each rule passed, warned, asked and denied, and what came of each subject, over a page of decisions, newest
    /// first; with where the next page begins.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn policy_report(&self, wanted: &ReportWanted) -> Result<Value, ChangeError> {
        let filter = Filter {
            kind: Some("policy.decided/1".into()),
            resource: wanted.intent.clone(),
            from_seq: wanted.from,
            newest_first: true,
            ..Filter::default()
        };
        let stored = self.journal().ledger().query(&filter, wanted.limit + 1).await?;
        let next = stored.get(wanted.limit).map(|next| next.seq);
        let entries = stored.iter().take(wanted.limit).map(decode).collect::<Result<Vec<Entry>, _>>()?;
        let periods = self.policy_periods().await?;
        let (mut tally, mut loaded, mut newest) = (Tally::default(), BTreeMap::new(), BTreeMap::new());
        let only = wanted.rule.as_deref();
        for entry in &entries {
            let Ok(body) = Body::deserialize(&entry.body) else { continue };
            let at = periods.iter().rposition(|period| period.seq < entry.seq);
            if let Some((at, period)) = at.and_then(|at| Some((at, periods.get(at)?)))
                && !loaded.contains_key(&at)
            {
                // Files of long ago may say what cannot be read any more.
                loaded.insert(at, self.bundle_of(&period.files, &Batch::default()).await.ok());
            }
            let bundle = at.and_then(|at| loaded.get(&at)).and_then(Option::as_ref);
            let rules = bundle.into_iter().flat_map(Bundle::rules).map(|(rule, stage, _)| (rule, stage));
            let concerned = match bundle {
                Some(bundle) => concerned(self.journal(), bundle, entry).await?,
                None => None,
            };
            let past = Past {
                subject: &entry.resource,
                stage: body.stage,
                decision: &body.decision,
                findings: &body.findings,
                concerned: concerned.as_ref(),
            };
            tally.add(&past, rules, only);
            for finding in body.findings {
                let told = || json!({"entry": entry.event_id, "at": entry.timestamp, "message": finding.message});
                newest.entry((finding.rule.to_string(), body.stage)).or_insert_with(told);
            }
        }
        let ends = (entries.last().map(|entry| entry.timestamp), entries.first().map(|entry| entry.timestamp));
        let mut told = document(&tally, &newest);
        (told["from"], told["to"], told["next"]) = (json!(ends.0), json!(ends.1), json!(next));
        Ok(told)
    }
}

fn document(tally: &Tally, newest: &BTreeMap<(String, Stage), Value>) -> Value {
    let with = |counts: &Counts, more: Value| {
        let mut told = json!(counts);
        if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
            told.extend(more);
        }
        told
    };
    let rule = |(key, counts): (&(String, Stage), &Counts)| {
        with(counts, json!({"rule": key.0, "stage": key.1, "last": newest.get(key)}))
    };
    let subject = |(subject, counts): (&String, &Counts)| with(counts, json!({"subject": subject}));
    json!({
        "decisions": tally.decisions,
        "rules": tally.rules.iter().map(rule).collect::<Vec<_>>(),
        "subjects": tally.subjects.iter().map(subject).collect::<Vec<_>>(),
    })
}
