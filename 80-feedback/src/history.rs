//! What is handed in: records of a period, each with the journal entry it comes from.

use crate::windows::Windows;
use writ_core::{EventId, IncidentId, IntentId, RunId, Timestamp};

/// What a run was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunKind {
    /// It brought an intent about.
    Deployment,
    /// It healed.
    Remedy,
    /// It followed the load.
    Scaling,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunOutcome {
    /// It did what it should.
    Succeeded,
    /// It did not, whether or not it was taken back.
    Failed,
    /// A person stopped it; that says nothing about it.
    Cancelled,
}

/// A run that ended in the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// The entry that tells its end.
    pub entry: EventId,
    /// The run.
    pub run: RunId,
    /// What it was for.
    pub kind: RunKind,
    /// How it ended.
    pub outcome: RunOutcome,
    /// When its first step might begin: people had agreed, and its window was open. Of one that never came to that, when it ended.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// What came of one recovery attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttemptOutcome {
    /// It was seen to help.
    Succeeded,
    /// It was seen not to, or its run failed.
    Failed,
    /// Nothing was seen that would tell.
    Inconclusive,
}

/// One recovery attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The entry that tells its outcome.
    pub entry: EventId,
    /// What was done: `restart_instance`.
    pub action: String,
    /// What came of it.
    pub outcome: AttemptOutcome,
}

/// An incident of the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRecord {
    /// The entry that opened it.
    pub entry: EventId,
    /// The incident.
    pub incident: IncidentId,
    /// What was wrong: `down`.
    pub symptom: String,
    /// When it began.
    pub onset_at: Timestamp,
    /// When it was noticed.
    pub opened_at: Timestamp,
    /// When it was over, if it is.
    pub over_at: Option<Timestamp>,
    /// What was tried.
    pub attempts: Vec<AttemptRecord>,
    /// Whether a person had to take over.
    pub escalated: bool,
}

/// What the intent asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// The intent.
    pub intent: IntentId,
    /// Its version.
    pub version: u64,
    /// Availability, in parts per million.
    pub availability_ppm: Option<u64>,
    /// The 95th percentile of answers' durations, in microseconds.
    pub latency_p95_us: Option<u64>,
    /// The least number of instances.
    pub min_instances: Option<u64>,
    /// The most.
    pub max_instances: Option<u64>,
    /// What an instance may use, in thousandths of a core.
    pub cpu_millicores: Option<u64>,
}

/// Everything recorded about one intent over a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// When the period begins.
    pub from: Timestamp,
    /// When it ends.
    pub to: Timestamp,
    /// What the intent asks for.
    pub targets: Targets,
    /// Runs that ended in it.
    pub runs: Vec<RunRecord>,
    /// Incidents that were opened in it.
    pub incidents: Vec<IncidentRecord>,
    /// What its window summaries come to.
    pub windows: Windows,
}

impl History {
    /// The period in words: `7 days`.
    #[must_use]
    pub fn period(&self) -> String {
        let seconds = self.to.since(self.from).as_secs();
        let (count, unit) = match seconds {
            s if s >= 86_400 && s % 86_400 == 0 => (s / 86_400, "day"),
            s if s >= 3_600 && s % 3_600 == 0 => (s / 3_600, "hour"),
            s if s >= 60 && s % 60 == 0 => (s / 60, "minute"),
            s => (s, "second"),
        };
        format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}
