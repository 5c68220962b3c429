//! What was recorded of each component in a period: what feedback looks back on. It is read page by page, and of each page only
//! what feedback needs is kept: nothing of a long period is left out.

use crate::context::Origin;
use crate::journal::decode as entry_of;
use crate::pipeline::{Pipeline, PipelineError};
use crate::reflect::ReflectError;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use writ_core::{ComponentId, Entry, Filter, Ledger, Timestamp, Window};
use writ_feedback::{
    AttemptOutcome, AttemptRecord, History, IncidentRecord, RunKind, RunOutcome, RunRecord, Targets, WindowRecord,
    Windows,
};
use writ_intent::{Intent, translate};
use writ_self_healing::{HealEvent, Opened, Verification, decode as heal_event};

/// Entries that are read at once.
const PAGE: usize = 4_096;

/// The runs and incidents that were recorded in a period, by component: they are read once, however many intents are looked back on.
pub(crate) struct Past {
    from: Timestamp,
    to: Timestamp,
    runs: BTreeMap<String, Vec<RunRecord>>,
    incidents: BTreeMap<ComponentId, Vec<IncidentRecord>>,
}

/// The entries of a period that are wanted, page by page.
struct Pages<'a> {
    ledger: &'a dyn Ledger,
    wanted: Filter,
    is_over: bool,
}

impl Pages<'_> {
    /// The next page; none after the last.
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, ReflectError> {
        if self.is_over {
            return Ok(None);
        }
        let page = self.ledger.query(&self.wanted, PAGE).await?;
        self.is_over = page.len() < PAGE;
        self.wanted.from_seq = page.last().map(|stored| stored.seq + 1);
        Ok(Some(page.iter().map(entry_of).collect::<Result<_, _>>()?))
    }
}

impl Pipeline {
    /// What was recorded in a period, of one component or of all.
    pub(crate) async fn past(
        &self,
        from: Timestamp,
        to: Timestamp,
        only: Option<&ComponentId>,
    ) -> Result<Past, ReflectError> {
        let runs = self.runs_between(from, to, only).await?;
        let incidents = self.incidents_between(from, to, only).await?;
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
        let targets = Targets {
            intent: intent.id.clone(),
            version: self.latest_version(&intent.id).await?,
            availability_ppm: wanted.availability_ppb.map(|ppb| ppb / 1_000),
            latency_p95_us: wanted.latency_p95_us,
            min_instances: wanted.min_instances.map(u64::from),
            max_instances: wanted.max_instances.map(u64::from),
            cpu_millicores: cores,
        };
        let mut windows = Windows::default();
        self.windows_between(component, from, to, |one| windows.take(&targets, &one)).await?;
        Ok(History {
            from,
            to,
            targets,
            runs: past.runs.get(component.as_str()).cloned().unwrap_or_default(),
            incidents: past.incidents.get(component).cloned().unwrap_or_default(),
            windows,
        })
    }

    fn pages(&self, kind: &str, stream: Option<String>, from: Timestamp, to: Timestamp) -> Pages<'_> {
        let kind = Some(kind.to_owned());
        let wanted = Filter { kind, stream, from_time: Some(from), to_time: Some(to), ..Filter::default() };
        Pages { ledger: self.journal().ledger(), wanted, is_over: false }
    }

    /// Hands over the window summaries of a component, one after the other.
    pub(crate) async fn windows_between(
        &self,
        component: &ComponentId,
        from: Timestamp,
        to: Timestamp,
        mut take: impl FnMut(WindowRecord),
    ) -> Result<(), ReflectError> {
        let mut pages = self.pages("telemetry.window/1", Some(format!("component/{component}")), from, to);
        while let Some(page) = pages.next().await? {
            for entry in page {
                if let Ok(window) = serde_json::from_value::<Window>(entry.body) {
                    take(WindowRecord { entry: entry.event_id, window });
                }
            }
        }
        Ok(())
    }

    /// The runs that ended, by the component that they changed.
    async fn runs_between(
        &self,
        from: Timestamp,
        to: Timestamp,
        only: Option<&ComponentId>,
    ) -> Result<BTreeMap<String, Vec<RunRecord>>, ReflectError> {
        let ends = [
            ("run.succeeded/1", RunOutcome::Succeeded),
            ("run.failed/1", RunOutcome::Failed),
            ("run.rolled_back/1", RunOutcome::Failed),
            ("run.cancelled/1", RunOutcome::Cancelled),
        ];
        let mut records: BTreeMap<String, Vec<RunRecord>> = BTreeMap::new();
        for (kind, outcome) in ends {
            let mut pages = self.pages(kind, None, from, to);
            while let Some(page) = pages.next().await? {
                for entry in page {
                    if let Some((component, record)) = self.run_record(entry, outcome, only).await? {
                        records.entry(component).or_default().push(record);
                    }
                }
            }
        }
        Ok(records)
    }

    /// A run that ended, and the component that it changed; none where it brought no intent about, or changed another one.
    async fn run_record(
        &self,
        entry: Entry,
        outcome: RunOutcome,
        only: Option<&ComponentId>,
    ) -> Result<Option<(String, RunRecord)>, ReflectError> {
        let Some(id) = entry.stream.strip_prefix("run/") else { return Ok(None) };
        let doc = self.journal().doc("runs", id).await?.unwrap_or_default();
        let component = doc.pointer("/context/component").and_then(Value::as_str);
        let Some(component) = component.filter(|found| only.is_none_or(|only| only.as_str() == *found)) else {
            return Ok(None);
        };
        let origin = doc.pointer("/context/origin").map(Origin::deserialize).transpose();
        let origin = origin
            .map_err(|error| PipelineError::Recorded { of: "a run", because: error.to_string() })?
            .unwrap_or_default();
        let (Some(kind), Ok(run)) = (run_kind(origin), id.parse()) else { return Ok(None) };
        let ended_at = entry.timestamp;
        let started_at = self.began_at(&entry.stream).await?.unwrap_or(ended_at);
        let record = RunRecord { entry: entry.event_id, run, kind, outcome, started_at, ended_at };
        Ok(Some((component.to_owned(), record)))
    }

    /// When the first step of a run might begin, if it came to that.
    async fn began_at(&self, run: &str) -> Result<Option<Timestamp>, ReflectError> {
        let wanted = Filter { kind: Some("run.started/1".into()), stream: Some(run.to_owned()), ..Filter::default() };
        let stored = self.journal().ledger().query(&wanted, 1).await?;
        Ok(stored.first().map(entry_of).transpose()?.map(|entry| entry.timestamp))
    }

    /// The incidents that were opened, by component, with what was recorded of them in the period.
    async fn incidents_between(
        &self,
        from: Timestamp,
        to: Timestamp,
        only: Option<&ComponentId>,
    ) -> Result<BTreeMap<ComponentId, Vec<IncidentRecord>>, ReflectError> {
        let mut all: BTreeMap<ComponentId, Vec<IncidentRecord>> = BTreeMap::new();
        let mut pages = self.pages("incident.opened/1", None, from, to);
        while let Some(page) = pages.next().await? {
            for entry in page {
                let Ok(HealEvent::Opened(opened)) = heal_event(&entry.kind, &entry.body) else { continue };
                if only.is_none_or(|only| *only == opened.component) {
                    let mut story = self.journal().stream(&entry.stream).await?;
                    story.retain(|later| later.seq > entry.seq && later.timestamp < to);
                    all.entry(opened.component.clone()).or_default().push(incident_record(&entry, &opened, &story));
                }
            }
        }
        Ok(all)
    }
}

/// What became of an incident.
fn incident_record(entry: &Entry, opened: &Opened, story: &[Entry]) -> IncidentRecord {
    let mut record = IncidentRecord {
        entry: entry.event_id.clone(),
        incident: opened.incident.clone(),
        symptom: opened.symptom.name().to_owned(),
        onset_at: opened.onset_at,
        opened_at: opened.at,
        over_at: None,
        attempts: Vec::new(),
        escalated: false,
    };
    let mut action = String::new();
    for entry in story {
        let Ok(event) = heal_event(&entry.kind, &entry.body) else { continue };
        if let HealEvent::Proposed(proposed) = &event {
            action = proposed.remedy.action.name().to_owned();
        } else if let HealEvent::Verified(verified) = &event {
            let outcome = match verified.outcome {
                Verification::Succeeded => AttemptOutcome::Succeeded,
                Verification::Failed => AttemptOutcome::Failed,
                Verification::Inconclusive => AttemptOutcome::Inconclusive,
            };
            record.attempts.push(AttemptRecord { entry: entry.event_id.clone(), action: action.clone(), outcome });
        } else if matches!(event, HealEvent::Resolved(_) | HealEvent::Closed(_)) {
            record.over_at = Some(event.at());
        } else if matches!(event, HealEvent::Escalated(_)) {
            record.escalated = true;
        }
    }
    record
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
