//! What is counted and measured, for Prometheus. Every metric stands in one list, with which `docs/metrics.md`, the dashboard and
//! the alert rules in `contrib/` are compared.
//!
//! Counters are of this process. Those about steps, remedies and denials follow the journal; what is true at the moment is looked
//! up when somebody asks.

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use writ_core::{Entry, LedgerError, Outcome};
use writ_pipeline::{Pipeline, decode};

/// Entries read at once.
const PAGE: usize = 1_024;

/// Live things of one sort that are counted at the most.
const LIVE_MAX: usize = 10_000;

/// Upper bounds of what is measured in seconds.
const SECONDS: [f64; 13] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Name, type, labels and meaning of every metric. A counter is exposed with `_total` behind its name.
const LIST: [(&str, &str, &[&str], &str); 19] = [
    ("writ_http_requests", "counter", &["method", "route", "status"], "requests that were answered"),
    ("writ_http_request_seconds", "histogram", &["route"], "time until the head of an answer"),
    ("writ_sse_clients", "gauge", &[], "clients that follow events"),
    ("writ_journal_entries", "gauge", &[], "entries of the journal"),
    (
        "writ_journal_commit_seconds",
        "histogram",
        &[],
        "time that a group commit took to reach the disk; its count is commits",
    ),
    ("writ_journal_closed", "gauge", &[], "1 when the journal takes nothing any more, and writ acts on nothing"),
    ("writ_reports_behind_entries", "gauge", &[], "entries that lists and lookups do not have yet"),
    ("writ_runs_live", "gauge", &[], "runs that are not over"),
    (
        "writ_steps",
        "counter",
        &["outcome"],
        "steps of runs that came to an outcome: succeeded, failed, unclear, undone or denied",
    ),
    ("writ_incidents_open", "gauge", &[], "incidents that are neither resolved nor closed"),
    ("writ_remedies", "counter", &["outcome"], "remedies that were verified: success, failure or unknown"),
    ("writ_escalations", "counter", &[], "incidents that a person was called for"),
    ("writ_approvals_open", "gauge", &[], "approvals that wait for people"),
    ("writ_glass_broken", "gauge", &[], "breakings of the glass that stand"),
    (
        "writ_governance_findings",
        "gauge",
        &[],
        "what somebody must look at in how writ is governed: overdue reviews of broken glass",
    ),
    (
        "writ_denials",
        "counter",
        &["by"],
        "what was denied: by policy for a step or a remedy, or to an agent at the gate",
    ),
    (
        "writ_notifications",
        "counter",
        &["channel", "outcome"],
        "notifications that a channel took or that were given up: delivered or failed",
    ),
    ("writ_notifications_waiting", "gauge", &["channel"], "notifications that wait for a channel, at most 1,000"),
    (
        "writ_component_availability_ratio",
        "gauge",
        &["component"],
        "availability of a watched component over its last windows, from 0 to 1; nothing when nothing was measured",
    ),
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct On {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct With {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct By {
    by: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Told {
    channel: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Through {
    channel: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    component: String,
}

/// All metrics. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    /// Clients that follow events: whoever serves them counts them here.
    pub(crate) sse_clients: Gauge,
    approvals_open: Gauge,
    availability: Family<Of, Gauge<f64, AtomicU64>>,
    commit_seconds: Histogram,
    denials: Family<By, Counter>,
    entries: Gauge,
    escalations: Counter,
    findings: Gauge,
    glass_broken: Gauge,
    incidents_open: Gauge,
    closed: Gauge,
    notifications: Family<Told, Counter>,
    notifications_waiting: Family<Through, Gauge>,
    remedies: Family<With, Counter>,
    reports_behind: Gauge,
    request_seconds: Family<On, Histogram>,
    requests: Family<Answered, Counter>,
    runs_live: Gauge,
    steps: Family<With, Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let seconds = || Histogram::new(SECONDS);
        let mut metrics = Self {
            registry: Arc::default(),
            sse_clients: Gauge::default(),
            approvals_open: Gauge::default(),
            availability: Family::default(),
            commit_seconds: seconds(),
            denials: Family::default(),
            entries: Gauge::default(),
            escalations: Counter::default(),
            findings: Gauge::default(),
            glass_broken: Gauge::default(),
            incidents_open: Gauge::default(),
            closed: Gauge::default(),
            notifications: Family::default(),
            notifications_waiting: Family::default(),
            remedies: Family::default(),
            reports_behind: Gauge::default(),
            request_seconds: Family::new_with_constructor(seconds),
            requests: Family::default(),
            runs_live: Gauge::default(),
            steps: Family::default(),
        };
        let mut registry = Registry::default();
        register(&mut registry, "writ_http_requests", &metrics.requests);
        register(&mut registry, "writ_http_request_seconds", &metrics.request_seconds);
        register(&mut registry, "writ_sse_clients", &metrics.sse_clients);
        register(&mut registry, "writ_journal_entries", &metrics.entries);
        register(&mut registry, "writ_journal_commit_seconds", &metrics.commit_seconds);
        register(&mut registry, "writ_journal_closed", &metrics.closed);
        register(&mut registry, "writ_reports_behind_entries", &metrics.reports_behind);
        register(&mut registry, "writ_runs_live", &metrics.runs_live);
        register(&mut registry, "writ_steps", &metrics.steps);
        register(&mut registry, "writ_incidents_open", &metrics.incidents_open);
        register(&mut registry, "writ_remedies", &metrics.remedies);
        register(&mut registry, "writ_escalations", &metrics.escalations);
        register(&mut registry, "writ_approvals_open", &metrics.approvals_open);
        register(&mut registry, "writ_glass_broken", &metrics.glass_broken);
        register(&mut registry, "writ_governance_findings", &metrics.findings);
        register(&mut registry, "writ_denials", &metrics.denials);
        register(&mut registry, "writ_notifications", &metrics.notifications);
        register(&mut registry, "writ_notifications_waiting", &metrics.notifications_waiting);
        register(&mut registry, "writ_component_availability_ratio", &metrics.availability);
        metrics.registry = Arc::new(registry);
        metrics
    }

    /// A request was answered.
    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let answered = Answered { method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&answered).inc();
        self.request_seconds.get_or_create(&On { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    /// A group of entries reached the disk.
    pub(crate) fn committed(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// What an entry says that is counted.
    fn count(&self, entry: &Entry) {
        let step = |outcome| {
            self.steps.get_or_create(&With { outcome }).inc();
        };
        let denied = |by| {
            self.denials.get_or_create(&By { by }).inc();
        };
        let told = |outcome| {
            let channel = entry.body.get("channel").and_then(Value::as_str).unwrap_or_default().to_owned();
            self.notifications.get_or_create(&Told { channel, outcome }).inc();
        };
        match entry.kind.as_str() {
            "notification.delivered/1" => told("delivered"),
            "notification.failed/1" => told("failed"),
            "run.step_succeeded/1" => step("succeeded"),
            "run.step_failed/1" => step("failed"),
            "run.step_unclear/1" => step("unclear"),
            "run.step_undone/1" => step("undone"),
            "run.step_denied/1" => {
                step("denied");
                denied("policy");
            }
            "incident.remedy_denied/1" | "component.remedy_denied/1" => denied("policy"),
            "agent.refused/1" => denied("gate"),
            "incident.verified/1" => {
                let outcome = match entry.outcome {
                    Outcome::Success => "success",
                    Outcome::Failure => "failure",
                    Outcome::Started | Outcome::Denied | Outcome::Skipped | Outcome::Unknown => "unknown",
                };
                self.remedies.get_or_create(&With { outcome }).inc();
            }
            "incident.escalated/1" => {
                self.escalations.inc();
            }
            _ => {}
        }
    }

    /// Follows the journal from its end on, for as long as the journal is open.
    pub(crate) async fn follow(self, pipeline: Pipeline) {
        let mut size = pipeline.journal().size();
        let mut at = *size.borrow_and_update();
        while size.changed().await.is_ok() {
            if let Err(error) = self.count_from(&pipeline, &mut at).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "entries were not counted; they are later");
            }
        }
    }

    async fn count_from(&self, pipeline: &Pipeline, at: &mut u64) -> Result<(), LedgerError> {
        loop {
            let page = pipeline.journal().ledger().entries(*at, PAGE).await?;
            for stored in &page {
                self.count(&decode(stored)?);
                *at = stored.seq + 1;
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Looks up what is true at the moment.
    async fn look(&self, pipeline: &Pipeline) -> Result<(), LedgerError> {
        let journal = pipeline.journal();
        let size = *journal.size().borrow();
        self.entries.set(signed(size));
        self.closed.set(i64::from(journal.closed().is_some()));
        self.reports_behind.set(signed(journal.behind()));
        self.runs_live.set(signed(pipeline.drive().live_runs().len() as u64));
        for (sort, gauge) in [("incident/", &self.incidents_open), ("approval/", &self.approvals_open)] {
            let live = journal.ledger().views("live", sort, None, LIVE_MAX).await?;
            gauge.set(signed(live.len() as u64));
        }
        let now = journal.now();
        self.glass_broken.set(signed(pipeline.glass().iter().filter(|glass| glass.stands(now)).count() as u64));
        self.findings.set(signed(pipeline.findings().len() as u64));
        for channel in pipeline.channels().await? {
            let waiting = signed(channel.waiting as u64);
            self.notifications_waiting.get_or_create(&Through { channel: channel.name }).set(waiting);
        }
        // What is not watched any more, or was not measured, is not told as it once was.
        self.availability.clear();
        for component in pipeline.components() {
            let Some(healing) = pipeline.healing(&component) else { continue };
            let percent = healing.monitoring().pointer("/monitoring/metrics/availability").and_then(Value::as_f64);
            if let Some(percent) = percent {
                self.availability.get_or_create(&Of { component: component.to_string() }).set(percent / 100.0);
            }
        }
        Ok(())
    }

    /// Everything, in the form of OpenMetrics.
    pub(crate) async fn text(&self, pipeline: &Pipeline) -> Result<String, LedgerError> {
        self.look(pipeline).await?;
        Ok(self.encoded())
    }

    fn encoded(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            // A string takes everything.
            Err(error) => format!("# {error}\n"),
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn register(registry: &mut Registry, name: &str, metric: &(impl Metric + Clone)) {
    let help = LIST.iter().find(|(known, ..)| *known == name).map_or("", |(.., help)| help);
    registry.register(name, help, metric.clone());
}

#[cfg(test)]
mod tests;
