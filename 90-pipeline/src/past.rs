//! What was recorded of each component in a period: what feedback looks back on.

use crate::context::Origin;
use crate::journal::decode as entry_of;
use crate::pipeline::{Pipeline, PipelineError};
use crate::reflect::ReflectError;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use writ_core::{ComponentId, Entry, Filter, IncidentId, Timestamp, Window};
use writ_feedback::{
    AttemptOutcome, AttemptRecord, History, IncidentRecord, RunKind, RunOutcome, RunRecord, Targets, WindowRecord,
};
use writ_intent::{Intent, translate};
use writ_self_healing::{HealEvent, Verification, decode as heal_event};

/// Entries of one kind in one period at the most.
const ENTRIES_MAX: usize = 200_000;

/// What was recorded of all components in a period, by component: it is read once, however many intents are looked back on.
pub(crate) struct Past {
    from: Timestamp,
    to: Timestamp,
    runs: BTreeMap<String, Vec<RunRecord>>,
    incidents: BTreeMap<ComponentId, Vec<IncidentRecord>>,
}

impl Pipeline {
    /// What was recorded of all components in a period.
    pub(crate) async fn past(&self, from: Timestamp, to: Timestamp) -> Result<Past, ReflectError> {
        let (runs, incidents) = (self.runs_between(from, to).await?, self.incidents_between(from, to).await?);
        Ok(Past { from, to, runs, incidents })
    }

    /// Everything that was recorded of an intent's component in a period.
    pub(crate) async fn history(&self, intent: &Intent, past: &Past) -> Result<History, ReflectError> {
        let (from, to) = (past.from, past.to);
        let platform = self.platform();
        let translation = translate(intent, &platform).ok();
        let wanted = &intent.requirements;
        let component = intent.component(&platform);
        let cores = translation.as_ref().map(|found| u64::from(found.layout.instance_type.cores) * 1_000);
        Ok(History {
            from,
            to,
            targets: Targets {
                intent: intent.id.clone(),
                version: self.latest_version(&intent.id).await?,
                availability_ppm: wanted.availability_ppb.map(|ppb| ppb / 1_000),
                latency_p95_us: wanted.latency_p95_us,
                min_instances: wanted.min_instances.map(u64::from),
                max_instances: wanted.max_instances.map(u64::from),
                cpu_millicores: cores,
            },
            runs: past.runs.get(component.as_str()).cloned().unwrap_or_default(),
            incidents: past.incidents.get(component).cloned().unwrap_or_default(),
            windows: self.windows_between(component, from, to).await?,
        })
    }

    async fn entries_between(
        &self,
        kind: &str,
        stream: Option<String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Entry>, ReflectError> {
        let kind = Some(kind.to_owned());
        let wanted = Filter { kind, stream, from_time: Some(from), to_time: Some(to), ..Filter::default() };
        let stored = self.journal().ledger().query(&wanted, ENTRIES_MAX).await?;
        Ok(stored.iter().map(entry_of).collect::<Result<Vec<_>, _>>()?)
    }

    /// The window summaries of a component.
    pub(crate) async fn windows_between(
        &self,
        component: &ComponentId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<WindowRecord>, ReflectError> {
        let stream = Some(format!("component/{component}"));
        let entries = self.entries_between("telemetry.window/1", stream, from, to).await?;
        let record = |entry: Entry| {
            let window: Window = serde_json::from_value(entry.body).ok()?;
            Some(WindowRecord { entry: entry.event_id, window })
        };
        Ok(entries.into_iter().filter_map(record).collect())
    }

    /// The runs that ended, by the component that they changed.
    async fn runs_between(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<String, Vec<RunRecord>>, ReflectError> {
        let ends = [
            ("run.succeeded/1", RunOutcome::Succeeded),
            ("run.failed/1", RunOutcome::Failed),
            ("run.rolled_back/1", RunOutcome::Failed),
            ("run.cancelled/1", RunOutcome::Cancelled),
        ];
        let mut records: BTreeMap<String, Vec<RunRecord>> = BTreeMap::new();
        for (kind, outcome) in ends {
            for entry in self.entries_between(kind, None, from, to).await? {
                let Some(id) = entry.stream.strip_prefix("run/") else { continue };
                let doc = self.journal().doc("runs", id).await?.unwrap_or_default();
                let Some(component) = doc.pointer("/context/component").and_then(Value::as_str) else { continue };
                let origin = doc.pointer("/context/origin").map(Origin::deserialize).transpose();
                let origin = origin
                    .map_err(|error| PipelineError::Recorded { of: "a run", because: error.to_string() })?
                    .unwrap_or_default();
                let Some(kind) = run_kind(origin) else { continue };
                if let Ok(run) = id.parse() {
                    let ended_at = entry.timestamp;
                    let started_at = self.began_at(&entry.stream).await?.unwrap_or(ended_at);
                    let record = RunRecord { entry: entry.event_id, run, kind, outcome, started_at, ended_at };
                    records.entry(component.to_owned()).or_default().push(record);
                }
            }
        }
        Ok(records)
    }

    /// When the first step of a run might begin, if it came to that.
    async fn began_at(&self, run: &str) -> Result<Option<Timestamp>, ReflectError> {
        let wanted = Filter { kind: Some("run.started/1".into()), stream: Some(run.to_owned()), ..Filter::default() };
        let stored = self.journal().ledger().query(&wanted, 1).await?;
        Ok(stored.first().map(entry_of).transpose()?.map(|entry| entry.timestamp))
    }

    /// The incidents, by component.
    async fn incidents_between(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<ComponentId, Vec<IncidentRecord>>, ReflectError> {
        let mut records: BTreeMap<IncidentId, (ComponentId, IncidentRecord)> = BTreeMap::new();
        let mut actions: BTreeMap<IncidentId, String> = BTreeMap::new();
        for entry in self.entries_between("incident.", None, from, to).await? {
            let Ok(event) = heal_event(&entry.kind, &entry.body) else { continue };
            let Some(id) = event.incident().cloned() else { continue };
            if let HealEvent::Opened(opened) = &event {
                let record = IncidentRecord {
                    entry: entry.event_id.clone(),
                    incident: id.clone(),
                    symptom: opened.symptom.name().to_owned(),
                    onset_at: opened.onset_at,
                    opened_at: opened.at,
                    over_at: None,
                    attempts: Vec::new(),
                    escalated: false,
                };
                records.insert(id.clone(), (opened.component.clone(), record));
            } else if let HealEvent::Proposed(proposed) = &event {
                actions.insert(id.clone(), proposed.remedy.action.name().to_owned());
            }
            let Some((_, record)) = records.get_mut(&id) else { continue };
            if let HealEvent::Verified(verified) = &event {
                let outcome = match verified.outcome {
                    Verification::Succeeded => AttemptOutcome::Succeeded,
                    Verification::Failed => AttemptOutcome::Failed,
                    Verification::Inconclusive => AttemptOutcome::Inconclusive,
                };
                let action = actions.get(&id).cloned().unwrap_or_default();
                record.attempts.push(AttemptRecord { entry: entry.event_id.clone(), action, outcome });
            } else if matches!(event, HealEvent::Resolved(_) | HealEvent::Closed(_)) {
                record.over_at = Some(event.at());
            } else if matches!(event, HealEvent::Escalated(_)) {
                record.escalated = true;
            }
        }
        let mut all: BTreeMap<ComponentId, Vec<IncidentRecord>> = BTreeMap::new();
        for (component, record) in records.into_values() {
            all.entry(component).or_default().push(record);
        }
        Ok(all)
    }
}

/// What feedback calls a run that comes from there; none for what brings no intent about, on which nothing of an intent rests.
fn run_kind(origin: Origin) -> Option<RunKind> {
    match origin {
        Origin::Intent | Origin::Feedback => Some(RunKind::Deployment),
        Origin::Remedy => Some(RunKind::Remedy),
        Origin::Scaling => Some(RunKind::Scaling),
        Origin::Exec | Origin::Decommission | Origin::Playbook => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_brings_an_intent_about_is_a_deployment() {
        for (origin, kind) in [
            (Origin::Exec, None),
            (Origin::Playbook, None),
            (Origin::Decommission, None),
            (Origin::Intent, Some(RunKind::Deployment)),
            (Origin::Feedback, Some(RunKind::Deployment)),
            (Origin::Remedy, Some(RunKind::Remedy)),
            (Origin::Scaling, Some(RunKind::Scaling)),
        ] {
            assert_eq!(run_kind(origin), kind, "{}", origin.word());
        }
    }
}
