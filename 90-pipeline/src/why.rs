//! The story of anything: what led to it, and what came of it, read from the journal alone.

use crate::decided::decisions_on;
use crate::desk::stream_of;
use crate::erase::{ERASED, said_about, text_beside};
use crate::fault::FAULT_ORDERED;
use crate::journal::{Journal, decode};
use crate::modes::let_go_by;
use crate::shadows::judgements_in;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use writ_audit::erasables_of;
use writ_contracts::contracts_of;
use writ_core::{Entry, Filter, IncidentId, LedgerError, Stored, Timestamp, minted_at};
use writ_policy::EXCEPTIONS_STREAM;

/// Entries of one story at the most; the rest is one query away.
const LINES_MAX: usize = 400;

/// Entries that are looked through for what they are not filed under: a rule, a digest.
const LOOKED_THROUGH: usize = 5_000;

/// Digits of a digest that tell it from others well enough: as many as lists show.
const DIGEST_MIN: usize = 12;

/// How far back causes are followed.
const CHAIN_MAX: usize = 64;

/// One line of a story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// Which entry says so.
    pub event_id: String,
    /// The entry's place.
    pub seq: u64,
    /// One sentence.
    pub text: String,
}

/// Why something is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Story {
    /// What was asked about, as it was found.
    pub subject: String,
    /// What led to it, from the first cause on.
    pub because: Vec<Line>,
    /// What happened to it.
    pub then: Vec<Line>,
    /// Whether there is more than is told.
    pub cut: bool,
}

/// How long after its permit was minted a step is begun, at the most.
const BEGUN_WITHIN: Duration = Duration::from_secs(3_600);

/// Tells the story of an id: an intent, run, incident, recommendation, approval, waiver, permit, ticket, token, agent, entry,
/// resource, process, rule or digest.
/// None when the journal does not know it.
///
/// # Errors
/// When the journal cannot be read.
pub async fn why(journal: &Journal, id: &str) -> Result<Option<Story>, LedgerError> {
    let Some((subject, mut entries)) = about(journal, id).await? else { return Ok(None) };
    let Some(first) = entries.first() else { return Ok(None) };
    let mut because = causes(journal, first).await?;
    if subject.starts_with("incident ") {
        because.extend(ordered_for(journal, first).await?);
        because.extend(let_go_by(journal, &entries).await?);
        entries = with_remedies(journal, entries).await?;
    }
    let cut = entries.len() > LINES_MAX;
    let then = lines(journal, entries.iter().take(LINES_MAX)).await?;
    Ok(Some(Story { subject, because: lines(journal, because.iter()).await?, then, cut }))
}

/// How long before it is seen a fault may have been ordered that is seen now.
const ORDERED_BEFORE_MICROS: i64 = 60_000_000;

/// Everything that is told of an incident: the fault that somebody ordered, what was concluded, and the steps of its remedies.
///
/// # Errors
/// When the journal cannot be read.
pub async fn incident_story(journal: &Journal, id: &IncidentId) -> Result<Vec<Entry>, LedgerError> {
    let mut entries = journal.stream(&format!("incident/{id}")).await?;
    if let Some(first) = entries.first() {
        let ordered = ordered_for(journal, first).await?;
        entries.extend(ordered);
    }
    with_remedies(journal, entries).await
}

/// The fault that a person ordered for the instance of an incident, just before it was opened.
async fn ordered_for(journal: &Journal, opened: &Entry) -> Result<Option<Entry>, LedgerError> {
    let word = |name: &str| opened.body.get(name).and_then(Value::as_str);
    let (Some(component), Some(instance)) = (word("component"), word("instance")) else { return Ok(None) };
    let since = opened.timestamp.micros().saturating_sub(ORDERED_BEFORE_MICROS);
    let ordered = Filter {
        kind: Some(FAULT_ORDERED.into()),
        resource: Some(format!("{component}/{instance}")),
        from_time: Some(Timestamp::from_micros(since)),
        from_seq: Some(opened.seq),
        newest_first: true,
        ..Filter::default()
    };
    journal.ledger().query(&ordered, 1).await?.first().map(decode).transpose()
}

/// The entries of an incident with what was done by its remedies, in the journal's order.
async fn with_remedies(journal: &Journal, mut entries: Vec<Entry>) -> Result<Vec<Entry>, LedgerError> {
    let mut steps = Vec::new();
    for entry in entries.iter().filter(|entry| entry.kind == "incident.remedy_started/1") {
        let Some(run) = entry.body.get("run").and_then(Value::as_str) else { continue };
        let all = journal.stream(&format!("run/{run}")).await?;
        steps.extend(all.into_iter().filter(|entry| entry.kind.starts_with("run.step_")));
    }
    entries.extend(steps);
    entries.sort_by_key(|entry| entry.seq);
    Ok(entries)
}

/// The newest incident, or else the newest run.
async fn last_subject(journal: &Journal) -> Result<Option<String>, LedgerError> {
    for kind in ["incident.opened/1", "run.submitted/1"] {
        let newest = Filter { kind: Some(kind.into()), newest_first: true, ..Filter::default() };
        if let Some(stored) = journal.ledger().query(&newest, 1).await?.first() {
            let entry = decode(stored)?;
            return Ok(entry.stream.split_once('/').map(|(_, id)| id.to_owned()));
        }
    }
    Ok(None)
}

/// The entries that are about an id, and what sort of thing it is.
pub(crate) async fn about(journal: &Journal, id: &str) -> Result<Option<(String, Vec<Entry>)>, LedgerError> {
    let last = if id == "last" { last_subject(journal).await? } else { None };
    let id = last.as_deref().unwrap_or(id);
    if id.starts_with("evt_") {
        let found = journal.ledger().by_event(id).await?.as_ref().map(decode).transpose()?;
        return Ok(found.map(|entry| (format!("entry {id}"), vec![entry])));
    }
    for sort in [
        "run",
        "incident",
        "intent",
        "approval",
        "recommendation",
        "agent",
        "component",
        "contract",
        "playbook",
        "policy",
        "principal",
    ] {
        let mut entries = journal.stream(&format!("{sort}/{id}")).await?;
        if !entries.is_empty() {
            entries.extend(journal.stream(&said_about(id)).await?);
            if sort == "intent" {
                // What was decided about a change that somebody else planned led to its run, and is told so.
                for said_of_it in [decisions_on(id), contracts_of(id)] {
                    entries.extend(journal.stream(&said_of_it).await?);
                }
            }
            if let ("run", Ok(run)) = (sort, id.parse()) {
                entries.extend(journal.stream(&stream_of(&run)).await?);
            }
            if let ("incident", Some(first)) = (sort, entries.first()) {
                entries.extend(judgements_in(journal, &first.trace_id.clone()).await?);
            }
            entries.sort_by_key(|entry| entry.seq);
            return Ok(Some((format!("{sort} {id}"), entries)));
        }
    }
    if id.starts_with("wvr_") {
        let mut entries = journal.stream(EXCEPTIONS_STREAM).await?;
        entries.retain(|entry| entry.body.get("waiver").and_then(Value::as_str) == Some(id));
        return Ok((!entries.is_empty()).then(|| (format!("waiver {id}"), entries)));
    }
    if id.starts_with("pmt_") {
        return step_under(journal, "permit", id).await;
    }
    if id.starts_with("tkt_") {
        return step_under(journal, "ticket", id).await;
    }
    if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let trace = id.to_owned().try_into().ok();
        return some(journal, format!("trace {id}"), Filter { trace, ..Filter::default() }).await;
    }
    let by_resource = Filter { resource: Some(id.to_owned()), ..Filter::default() };
    if let Some(found) = some(journal, format!("resource {id}"), by_resource).await? {
        return Ok(Some(found));
    }
    if let Some(found) = in_component(journal, id).await? {
        return Ok(Some(found));
    }
    if let Some(hex) = digest_part(id) {
        if let Some(token) = token(journal, hex).await? {
            return Ok(Some(token));
        }
        let named = format!("sha256:{hex}");
        let says = |entry: &Stored| String::from_utf8_lossy(&entry.bytes).contains(&named);
        let found = newest_that(journal, Filter::default(), says).await?;
        if !found.is_empty() {
            return Ok(Some((format!("digest {named}"), found)));
        }
    }
    let Ok(number) = id.parse::<u64>() else {
        let decided = Filter { kind: Some("policy.decided/1".into()), ..Filter::default() };
        let quoted = format!("\"rule\":\"{id}\"");
        let mentions = |entry: &Stored| String::from_utf8_lossy(&entry.bytes).contains(&quoted);
        let mut found = newest_that(journal, decided, mentions).await?;
        found.retain(|entry| finds(entry, id));
        return Ok((!found.is_empty()).then(|| (format!("rule {id}"), found)));
    };
    if let Some(started) = process_start(journal, number).await? {
        return Ok(Some(started));
    }
    let stored = journal.ledger().entries(number, 1).await?;
    let entry = stored.first().filter(|stored| stored.seq == number).map(decode).transpose()?;
    Ok(entry.map(|entry| (format!("entry {}", entry.event_id), vec![entry])))
}

/// The attempt of a step that was made under a permit or a ticket: that it was begun, and what came of it.
async fn step_under(journal: &Journal, sort: &str, id: &str) -> Result<Option<(String, Vec<Entry>)>, LedgerError> {
    let Some(at) = minted_at(id) else { return Ok(None) };
    let begun = Filter {
        kind: Some("run.step_started/1".into()),
        from_time: Some(at),
        to_time: Some(at.plus(BEGUN_WITHIN)),
        ..Filter::default()
    };
    let word = |entry: &Entry, name: &str| entry.body.get(name).and_then(Value::as_str).map(str::to_owned);
    for stored in journal.ledger().query(&begun, LOOKED_THROUGH).await? {
        let entry = decode(&stored)?;
        if word(&entry, sort).as_deref() != Some(id) {
            continue;
        }
        let (mut entries, ticket) = (journal.stream(&entry.stream).await?, word(&entry, "ticket"));
        entries.retain(|other| ticket.is_some() && word(other, "ticket") == ticket);
        return Ok(Some((format!("{sort} {id}"), entries)));
    }
    Ok(None)
}

/// The entries of a token, by what it hashes to.
async fn token(journal: &Journal, hex: &str) -> Result<Option<(String, Vec<Entry>)>, LedgerError> {
    let (docs, _) = journal.docs("tokens", hex, None, 1).await?;
    let Some((hash, doc)) = docs.first() else { return Ok(None) };
    let whose = doc.get("principal").and_then(Value::as_str).unwrap_or_default();
    let (mut entries, named) = (journal.stream(&format!("principal/{whose}")).await?, format!("sha256:{hash}"));
    entries.retain(|entry| entry.body.get("token_hash").and_then(Value::as_str) == Some(&named));
    Ok((!entries.is_empty()).then(|| (format!("token {hex}"), entries)))
}

async fn some(journal: &Journal, subject: String, filter: Filter) -> Result<Option<(String, Vec<Entry>)>, LedgerError> {
    let newest = Filter { newest_first: true, ..filter };
    let mut stored = journal.ledger().query(&newest, LINES_MAX + 1).await?;
    stored.reverse();
    let entries = stored.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    Ok((!entries.is_empty()).then_some((subject, entries)))
}

/// Entries about a part of a component that is named without it: `i-2` for `web-service-001/i-2`. Of several components, the
/// one of which there is the newest entry.
async fn in_component(journal: &Journal, part: &str) -> Result<Option<(String, Vec<Entry>)>, LedgerError> {
    let (intents, _) = journal.docs("intents", "", None, LINES_MAX).await?;
    let mut newest: Option<(String, Vec<Entry>)> = None;
    for (_, intent) in intents {
        let Some(component) = intent.get("component").and_then(Value::as_str) else { continue };
        let resource = format!("{component}/{part}");
        let filter = Filter { resource: Some(resource.clone()), ..Filter::default() };
        let found = some(journal, format!("resource {resource}"), filter).await?;
        let last = |found: &Option<(String, Vec<Entry>)>| Some(found.as_ref()?.1.last()?.seq);
        if last(&found) > last(&newest) {
            newest = found;
        }
    }
    Ok(newest)
}

/// The digits of a text that may be a digest, or the beginning of one.
fn digest_part(text: &str) -> Option<&str> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let fits =
        (DIGEST_MIN..=64).contains(&hex.len()) && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    fits.then_some(hex)
}

/// Of the newest entries, those that are as somebody wants them, oldest first.
async fn newest_that(
    journal: &Journal,
    filter: Filter,
    wanted: impl Fn(&Stored) -> bool,
) -> Result<Vec<Entry>, LedgerError> {
    let newest = Filter { newest_first: true, ..filter };
    let mut stored = journal.ledger().query(&newest, LOOKED_THROUGH).await?;
    stored.retain(wanted);
    stored.truncate(LINES_MAX + 1);
    stored.iter().rev().map(decode).collect()
}

/// Whether a rule found something in what was decided.
fn finds(entry: &Entry, rule: &str) -> bool {
    let findings = entry.body.get("findings").and_then(Value::as_array);
    findings.into_iter().flatten().any(|finding| finding.get("rule").and_then(Value::as_str) == Some(rule))
}

/// The step whose receipt names a process id.
async fn process_start(journal: &Journal, process: u64) -> Result<Option<(String, Vec<Entry>)>, LedgerError> {
    let done = Filter { kind: Some("run.step_succeeded/1".into()), newest_first: true, ..Filter::default() };
    for stored in journal.ledger().query(&done, 5_000).await? {
        let entry = decode(&stored)?;
        let pid = entry.body.pointer("/receipt/detail/pid").and_then(Value::as_u64);
        if pid == Some(process) {
            return Ok(Some((format!("process {process} ({})", entry.resource), vec![entry])));
        }
    }
    Ok(None)
}

/// The entries that led to one, from the first cause on.
pub(crate) async fn causes(journal: &Journal, entry: &Entry) -> Result<Vec<Entry>, LedgerError> {
    let (mut chain, mut next) = (Vec::new(), entry.cause.clone());
    while let Some(event) = next.filter(|_| chain.len() < CHAIN_MAX) {
        let Some(stored) = journal.ledger().by_event(event.as_str()).await? else { break };
        let cause = decode(&stored)?;
        next = cause.cause.clone();
        chain.push(cause);
    }
    chain.reverse();
    Ok(chain)
}

/// A line for each entry, with what people said where it was not erased.
async fn lines(journal: &Journal, entries: impl Iterator<Item = &Entry>) -> Result<Vec<Line>, LedgerError> {
    let mut lines = Vec::new();
    for entry in entries {
        let mut text = sentence(entry);
        for commitment in erasables_of(entry) {
            let said = text_beside(journal.ledger(), &commitment).await?;
            text.push_str(&if said == ERASED { format!(" — {said}") } else { format!(" — “{said}”") });
        }
        let event_id = entry.event_id.to_string();
        lines.push(Line { at: entry.timestamp, event_id, seq: entry.seq, text });
    }
    Ok(lines)
}

/// One sentence for an entry: who did what to what, what came of it, and the reason where the body has one.
#[must_use]
pub fn sentence(entry: &Entry) -> String {
    let action = entry.action.replace('_', " ");
    let mut text = format!("{} {action} {}: {}", entry.actor, entry.resource, entry.outcome);
    if let Some(detail) = detail(&entry.body) {
        text.push_str(" — ");
        text.push_str(&detail);
    }
    text
}

/// What a body says about why, in the fields that every layer uses for it.
fn detail(body: &Value) -> Option<String> {
    let texts = ["because", "seen", "summary", "message", "reason_text"];
    let said = texts.iter().find_map(|field| body.get(*field).and_then(Value::as_str)).map(str::to_owned);
    let finding = || {
        let finding = telling(body).or_else(|| telling(body.get("denial")?))?;
        Some(format!("{}: {}", finding.get("rule")?.as_str()?, finding.get("message")?.as_str()?))
    };
    let permit = || Some(format!("permit {}", body.get("permit")?.as_str()?));
    let word = |field: &str| body.get(field).and_then(Value::as_str);
    let mode = || {
        let from = word("from").map(|from| format!("from {from} ")).unwrap_or_default();
        let by = word("approval").map(|approval| format!(", by {approval}")).unwrap_or_default();
        Some(format!("{} {from}to {}{by}", word("action")?, word("mode")?))
    };
    let judged = || {
        let right = if body.get("right")?.as_bool()? { "right" } else { "wrong" };
        Some(format!("{} would have been {right}", word("action")?))
    };
    said.or_else(finding).or_else(permit).or_else(mode).or_else(judged)
}

/// Of what rules found, the first that led to the decision: what only asks or warns does not tell why it was denied.
fn telling(decided: &Value) -> Option<&Value> {
    let findings = decided.get("findings")?.as_array()?;
    let (decision, stands) = (decided.get("decision"), |one: &Value| one.get("waived_by").is_none_or(Value::is_null));
    let led = |one: &&Value| decision.is_some() && one.get("asks") == decision && stands(one);
    findings.iter().find(led).or_else(|| findings.first())
}
