//! Which entries tell something, and what the channels' own entries say. Pure.

use serde_json::{Value, json};
use writ_core::{Actor, Draft, Entry, Outcome, Severity};

/// What a policy had told: `notification.asked/1`.
const ASKED: &str = "notification.asked/1";
/// `notification.channel_opened/1`
const OPENED: &str = "notification.channel_opened/1";
/// `notification.delivered/1`
const DELIVERED: &str = "notification.delivered/1";
/// `notification.failed/1`: it was given up.
const FAILED: &str = "notification.failed/1";
/// `governance.review_overdue/1`
pub(super) const OVERDUE: &str = "governance.review_overdue/1";
/// `governance.expires_soon/1`
pub(super) const EXPIRES: &str = "governance.expires_soon/1";

/// Something to be told: of which sort, and how bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matter {
    pub(super) topic: &'static str,
    pub(super) severity: Severity,
}

/// What an entry means to tell; none for most.
pub(super) fn matter(entry: &Entry) -> Option<Matter> {
    use Severity::{Critical, High, Info, Low, Medium};
    let word = |pointer: &str| entry.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (topic, severity) = match entry.kind.as_str() {
        "approval.asked/1" => ("approval_asked", High),
        "policy.waiver_asked/1" => ("waiver_asked", High),
        "approval.glass_broken/1" => ("glass_broken", Critical),
        OVERDUE => ("review_overdue", High),
        EXPIRES => ("expires_soon", High),
        "incident.opened/1" => ("incident_opened", Medium),
        "incident.remedy_started/1" => ("remedy_started", Low),
        // That it waits for its turn or its budget is no news; what only a person can lift is.
        "incident.remedy_held/1" if ["kill_switch", "no_agent", "breaker"].contains(&word("/because")) => {
            ("remedy_held", High)
        }
        // A person's own no needs no telling.
        "incident.remedy_denied/1" | "component.remedy_denied/1" if matches!(word("/by"), "" | "gate") => {
            ("remedy_denied", High)
        }
        "incident.escalated/1" => ("incident_escalated", Critical),
        "incident.resolved/1" => ("incident_resolved", Info),
        "run.needs_operator/1" => ("change_needs_operator", Critical),
        // What it means for an intent or an incident is told of these.
        "run.failed/1" => ("change_failed", Medium),
        "run.rolled_back/1" => ("change_rolled_back", Medium),
        "intent.moved/1" if word("/to") == "failed" => ("intent_failed", High),
        "intent.moved/1" if word("/to") == "degraded" => ("intent_degraded", High),
        "run.step_denied/1" if entry.body.pointer("/denial/findings").is_some() => ("step_denied", High),
        "recommend.activated/1" => ("recommendation_made", Medium),
        // Whoever asked is told at once; others may want to know.
        "policy.decided/1" if entry.outcome == Outcome::Denied => ("request_denied", Medium),
        ASKED => ("policy_tells", Medium),
        _ => return None,
    };
    Some(Matter { topic, severity })
}

/// The key under which an entry that tells something is found: its place, so that they come in order.
pub(crate) fn telling_key(entry: &Entry) -> Option<String> {
    matter(entry).map(|_| place(entry.seq))
}

/// What decides which channels an entry is for.
pub(crate) fn telling_next(entry: &Entry) -> Option<Value> {
    let matter = matter(entry)?;
    let channel = if entry.kind == ASKED { entry.body.get("channel").cloned() } else { None };
    Some(json!({"severity": matter.severity, "channel": channel}))
}

/// A place in the journal as a key that sorts.
pub(super) fn place(seq: u64) -> String {
    format!("{seq:016}")
}

/// Whether what a view says of a telling is for a channel. What a policy has told goes to the channel that it names, or to all
/// when none is called so, however mild it is.
pub(super) fn is_for(told: &Value, channel: &str, all: &[&str], least: Severity) -> bool {
    match told.get("channel").and_then(Value::as_str) {
        Some(named) => named == channel || !all.contains(&named),
        None => {
            let severity = told.get("severity").and_then(|severity| serde_json::from_value(severity.clone()).ok());
            severity.is_none_or(|severity: Severity| severity >= least)
        }
    }
}

/// The channel that an entry is about.
pub(crate) fn channel_key(entry: &Entry) -> Option<String> {
    entry.stream.strip_prefix("notification/").map(str::to_owned)
}

/// How far a channel has come, and what its last successes and failures were.
pub(crate) fn channel_next(before: Option<&Value>, entry: &Entry) -> Option<Value> {
    let mut doc = before.cloned().unwrap_or_else(|| json!({"upto": 0}));
    let seq = entry.body.get("seq").and_then(Value::as_u64).unwrap_or(0);
    let upto = doc.get("upto").and_then(Value::as_u64).unwrap_or(0);
    let last = |because: Option<&Value>| json!({"at": entry.timestamp, "because": because});
    match entry.kind.as_str() {
        DELIVERED => doc["delivered"] = last(None),
        FAILED => doc["failed"] = last(entry.body.get("because")),
        _ => {
            doc["upto"] = json!(upto.max(seq));
            return Some(doc);
        }
    }
    // What was sent to try a channel says nothing about how far it has come.
    if entry.body.get("test").is_none() {
        doc["upto"] = json!(upto.max(seq + 1));
    }
    Some(doc)
}

/// What a policy has told along with a step that it allows.
pub(crate) fn asked(channel: &str, run: &str, step: &str, verb: &str, resource: &str) -> Draft {
    Draft {
        action: "ask_notification".into(),
        actor: Actor::system("policy"),
        body: json!({"channel": channel, "resource": resource, "run": run, "step": step, "verb": verb}),
        kind: ASKED,
        outcome: Outcome::Started,
        resource: resource.to_owned(),
        stream: "notifications".into(),
    }
}

/// An entry of a channel's own.
fn outcome(channel: &str, kind: &'static str, outcome: Outcome, mut body: Value) -> Draft {
    body["channel"] = json!(channel);
    let action = match kind {
        DELIVERED => "deliver_notification",
        FAILED => "give_up_notification",
        _ => "open_channel",
    };
    Draft {
        action: action.into(),
        actor: Actor::system("notifications"),
        body,
        kind,
        outcome,
        resource: channel.to_owned(),
        stream: format!("notification/{channel}"),
    }
}

/// That a channel is new, and begins at a place.
pub(super) fn opened(channel: &str, from: u64) -> Draft {
    outcome(channel, OPENED, Outcome::Success, json!({"seq": from}))
}

/// That a channel took what is told of so many entries, the last of them this, after so many attempts.
pub(super) fn delivered(channel: &str, of: &Entry, count: usize, attempts: u64) -> Draft {
    let body = json!({"attempts": attempts, "count": count, "of": of.event_id, "seq": of.seq});
    outcome(channel, DELIVERED, Outcome::Success, body)
}

/// That so many tellings, the last of them this, were given up.
pub(super) fn failed(channel: &str, of: &Entry, count: usize, attempts: u64, because: &str) -> Draft {
    let body = json!({"attempts": attempts, "because": because, "count": count, "of": of.event_id, "seq": of.seq});
    outcome(channel, FAILED, Outcome::Failure, body)
}

/// What a channel said to a test.
pub(super) fn tested(channel: &str, of: &Entry, because: Option<&str>) -> Draft {
    let mut draft = match because {
        None => delivered(channel, of, 1, 1),
        Some(because) => failed(channel, of, 1, 1, because),
    };
    draft.body["test"] = json!(true);
    draft
}
