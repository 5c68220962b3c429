//! The words in which an entry is told. They come from the entry and from what it names; what people wrote beside the journal is
//! not told, for what has left cannot be erased.

use super::matter::{EXPIRES, Matter, OVERDUE};
use serde_json::Value;
pub(super) use writ_core::Telling;
use writ_core::{Entry, Severity, Timestamp};
use writ_self_healing::{EscalationReason, HoldReason};

/// What an entry names, in words.
#[derive(Debug, Clone, Default)]
pub(super) struct Named {
    /// The address that links begin with.
    pub(super) address: String,
    /// The role that is asked when something needs a person.
    pub(super) approvers: String,
    /// Whoever did or asked for it.
    pub(super) by: String,
    /// The rules that demand it.
    pub(super) rules: Vec<String>,
    /// What was seen of the entry's incident, last.
    pub(super) seen: String,
    /// What the entry's run carries out.
    pub(super) intent: String,
}

/// How an entry is told.
pub(super) fn telling(entry: &Entry, matter: Matter, named: &Named) -> Telling {
    let said = said(entry, named);
    Telling {
        id: entry.event_id.to_string(),
        at: entry.timestamp,
        audience: said.audience,
        facts: said.facts,
        link: format!("{}{}", named.address, said.page),
        severity: matter.severity,
        text: said.text,
        title: said.title,
        topic: matter.topic,
        trace: Some(entry.trace_id.clone()),
    }
}

/// What is sent to try a channel.
pub(super) fn test(entry: &Entry, address: &str) -> Telling {
    Telling {
        id: entry.event_id.to_string(),
        at: entry.timestamp,
        audience: None,
        facts: Vec::new(),
        link: format!("{address}/settings"),
        severity: Severity::Info,
        text: "Somebody tries whether notifications arrive here; nothing has happened.".into(),
        title: "a test of notifications".into(),
        topic: "test",
        trace: Some(entry.trace_id.clone()),
    }
}

/// That the journal takes nothing any more. It has no entry; its size makes the id.
pub(super) fn closed(because: &str, size: u64, at: Timestamp, address: &str) -> Telling {
    Telling {
        id: format!("closed-{size}-{}", at.millis()),
        at,
        audience: None,
        facts: vec![("entries", size.to_string())],
        link: format!("{address}/"),
        severity: Severity::Critical,
        text: format!(
            "The journal takes nothing: {because}. Services keep running and are not healed until writ is restarted."
        ),
        title: "writ acts on nothing".into(),
        topic: "journal_closed",
        trace: None,
    }
}

/// Titles that are told when many things are told as one.
const TITLES: usize = 10;

/// Many things as one.
pub(super) fn several(all: &[Telling], address: &str) -> Telling {
    let count = all.len();
    let mut titles: Vec<&str> = all.iter().take(TITLES).map(|telling| telling.title.as_str()).collect();
    let more = format!("and {} more", count.saturating_sub(TITLES));
    titles.extend((count > TITLES).then_some(more.as_str()));
    let last = all.last();
    Telling {
        // Not that of its last: that may have been handed over by itself before.
        id: format!("{}-{count}", last.map_or("", |last| last.id.as_str())),
        at: last.map_or(Timestamp::from_micros(0), |last| last.at),
        audience: None,
        facts: Vec::new(),
        link: format!("{address}/"),
        severity: all.iter().map(|telling| telling.severity).max().unwrap_or_default(),
        text: format!("{}.", titles.join("; ")),
        title: format!("{count} things at once"),
        topic: "several",
        trace: None,
    }
}

struct Said {
    audience: Option<String>,
    facts: Vec<(&'static str, String)>,
    page: String,
    text: String,
    title: String,
}

fn said(entry: &Entry, named: &Named) -> Said {
    let body = &entry.body;
    let word = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let id = entry.stream.split_once('/').map_or("", |(_, id)| id);
    let incident = || {
        let facts = vec![("incident", word("/incident").to_owned()), ("seen", named.seen.clone())];
        (format!("/incidents/{}", word("/incident")), facts)
    };
    let run = || (format!("/runs/{id}"), vec![("change", id.to_owned()), ("of", named.intent.clone())]);
    let (title, text, (page, facts), audience) = match entry.kind.as_str() {
        "approval.asked/1" => approval(entry, named),
        "approval.glass_broken/1" => (
            format!("{} has broken the glass until {}", named.by, word("/until")),
            format!(
                "{} on {} pass without approval until then. Somebody else must review it afterwards.",
                words(body, "/actions"),
                words(body, "/scope")
            ),
            (format!("/approvals/{id}"), vec![("approval", id.to_owned()), ("by", named.by.clone())]),
            Some(named.approvers.clone()),
        ),
        OVERDUE => (
            format!("nobody has reviewed that {} broke the glass", named.by),
            format!("It was broken at {}, and should have been reviewed by {}.", word("/broken_at"), word("/due")),
            (format!("/approvals/{}", word("/approval")), vec![("approval", word("/approval").to_owned())]),
            Some(named.approvers.clone()),
        ),
        EXPIRES => {
            let (what, then, page) = match word("/what") {
                "waiver" => ("a waiver", "the rule holds again", "/policy#waivers".to_owned()),
                _ => (
                    "a standing approval",
                    "remedies that cite it wait for people",
                    format!("/approvals/{}", word("/id")),
                ),
            };
            let facts = vec![("id", word("/id").to_owned()), ("expires", word("/expires_at").to_owned())];
            let text = format!("It expires on {}; from then on {then}.", word("/expires_at"));
            (format!("{what} expires soon: {}", word("/about")), text, (page, facts), Some(named.approvers.clone()))
        }
        "incident.opened/1" => {
            let what = body.get("instance").and_then(Value::as_str).unwrap_or(&entry.resource);
            let title = format!("{}: {what} is {}", entry.resource, word("/symptom"));
            (title, sentence(word("/seen")), incident(), None)
        }
        "incident.remedy_started/1" => {
            let text = format!("Change {} carries it out.", word("/run"));
            (format!("{}: a remedy begins", entry.resource), text, incident(), None)
        }
        "incident.remedy_held/1" => {
            let because = read::<HoldReason>(body).map_or("it has to wait", HoldReason::words);
            let text = "Nothing is tried until that is over.".to_owned();
            (format!("{}: a remedy is held back, {because}", entry.resource), text, incident(), None)
        }
        "incident.remedy_denied/1" | "component.remedy_denied/1" => {
            let title = format!("{}: a remedy is denied", entry.resource);
            let about = if word("/incident").is_empty() {
                (format!("/why/{}", entry.resource), Vec::new())
            } else {
                incident()
            };
            (title, sentence(word("/because")), about, None)
        }
        "incident.escalated/1" => {
            let because = read::<EscalationReason>(body).map_or("it cannot be healed", EscalationReason::words);
            let text = format!(
                "After {} attempts {because}. Nothing more is tried until the incident is closed.",
                body.get("attempts").and_then(Value::as_u64).unwrap_or(0)
            );
            (format!("{}: an incident needs a person", entry.resource), text, incident(), None)
        }
        "incident.resolved/1" => {
            (format!("{}: an incident is resolved", entry.resource), "It is as it should be.".into(), incident(), None)
        }
        "run.needs_operator/1" => {
            (format!("{}: a change needs an operator", named.intent), sentence(word("/because")), run(), None)
        }
        "run.failed/1" => (format!("{}: a change failed", named.intent), sentence(word("/because")), run(), None),
        "run.rolled_back/1" => {
            let text = "It failed, and what it did was taken back.".to_owned();
            (format!("{}: a change was rolled back", named.intent), text, run(), None)
        }
        "intent.moved/1" => {
            let because = word("/because");
            let (what, text) = match (word("/from"), word("/to")) {
                ("decommissioning", _) => ("it was not taken away", sentence(because)),
                (_, "failed") => ("a version was not brought about", format!("It is not in force: {because}.")),
                _ => ("a version was not brought about", format!("The version before stays in force: {because}.")),
            };
            let title = format!("{}: {what}", entry.resource);
            (title, text, (format!("/intents/{}", entry.resource), vec![("intent", entry.resource.clone())]), None)
        }
        "policy.decided/1" => {
            let finding = |field: &str| word(&format!("/findings/0/{field}")).to_owned();
            let facts = vec![("denied by", finding("rule")), ("stage", word("/stage").to_owned())];
            let page = format!("/audit/{}", entry.event_id);
            (format!("{}: a request is denied", entry.resource), sentence(&finding("message")), (page, facts), None)
        }
        "recommend.activated/1" => (
            format!("{id}: a recommendation is made"),
            "It waits for somebody to approve or to dismiss it.".into(),
            (format!("/recommendations/{id}"), vec![("recommendation", id.to_owned())]),
            Some(named.approvers.clone()),
        ),
        "policy.waiver_asked/1" => {
            let text = format!(
                "{} asks for {} not to hold on {} until {}; somebody else has to agree.",
                named.by,
                word("/rule"),
                word("/subject"),
                word("/expires_at")
            );
            let facts = vec![("waiver", word("/waiver").to_owned()), ("asked by", named.by.clone())];
            let page = ("/policy#waivers".to_owned(), facts);
            (format!("waiver asked: {}", word("/rule")), text, page, Some(named.approvers.clone()))
        }
        "run.step_denied/1" => {
            let finding = |field: &str| word(&format!("/denial/findings/0/{field}")).to_owned();
            let (page, mut facts) = run();
            facts.push(("denied by", finding("rule")));
            let title = format!("{}: {} is denied", named.intent, word("/step/action").replace('_', " "));
            (title, sentence(&finding("message")), (page, facts), None)
        }
        _ => {
            let facts = vec![("change", word("/run").to_owned()), ("step", word("/step").to_owned())];
            let title = format!("{} on {} begins", word("/verb"), word("/resource"));
            let text = format!("A policy has this told to {}.", word("/channel"));
            (title, text, (format!("/runs/{}", word("/run")), facts), Some(word("/channel").to_owned()))
        }
    };
    let facts = facts.into_iter().filter(|(_, fact)| !fact.is_empty()).collect();
    Said { audience, facts, page, text, title }
}

type Words = (String, String, (String, Vec<(&'static str, String)>), Option<String>);

/// What people are asked, by whom, because of which rule, and until when.
fn approval(entry: &Entry, named: &Named) -> Words {
    let word = |pointer: &str| entry.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (id, change, step) = (word("/approval_id"), word("/change"), word("/step"));
    let what = match (change, step) {
        ("", "") => format!("a change of {}", named.intent),
        ("", step) => format!("step {step} of a change of {}", named.intent),
        _ => format!("a change of what governs, {}", word("/subject").replace('_', " ")),
    };
    let mut needs =
        vec![(entry.body.pointer("/terms/count").and_then(Value::as_u64).unwrap_or(1), word("/terms/role"))];
    if let Some(Value::Object(also)) = entry.body.pointer("/terms/also") {
        needs.extend(also.iter().map(|(role, count)| (count.as_u64().unwrap_or(1), role.as_str())));
    }
    let needs: Vec<String> = needs.iter().map(|(count, role)| format!("{count} {role}")).collect();
    let needs = needs.join(" and ");
    let expires = word("/terms/expires_at");
    let facts = vec![
        ("approval", id.to_owned()),
        ("asked by", named.by.clone()),
        ("demanded by", named.rules.join(", ")),
        ("needs", needs.clone()),
        ("expires", expires.to_owned()),
    ];
    let text = format!("{} asks for {needs} to agree, until {expires}.", named.by);
    let page = format!("/approvals/{id}");
    (format!("approval asked: {what}"), text, (page, facts), Some(word("/terms/role").to_owned()))
}

fn read<T: serde::de::DeserializeOwned>(body: &Value) -> Option<T> {
    body.get("because").and_then(|because| serde_json::from_value(because.clone()).ok())
}

/// A reason as a sentence.
fn sentence(because: &str) -> String {
    let mut letters = because.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).chain(['.']).collect())
}

fn words(body: &Value, pointer: &str) -> String {
    let items = body.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}
