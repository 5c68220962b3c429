//! Evidence: the journal, entry by entry, with filters that stand in the address, and each entry's proof, which the browser
//! checks for itself.

use super::frame::{Frame, Page, PageError, shown, told_here};
use super::given::{Path, Query};
use super::list::{PAGE, older, older_of};
use super::session::Visitor;
use super::words::{Html, agent_page, badge, escape, link, page_of, segment, short, shortened, visible, when, word};
use crate::api::{App, audit_filter, check_journal};
use crate::error::Failure;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_core::{Actor, ActorKind, Entry, LedgerError, Stored};
use writ_pipeline::{Journal, TILE, Words, decode, name_of, sentence, tile_path, words_about, words_in};

/// One entry in a list.
pub(crate) struct EntryRow {
    pub(crate) seq: u64,
    pub(crate) path: String,
    pub(crate) at: Html,
    pub(crate) actor: Html,
    pub(crate) action: String,
    pub(crate) resource: Html,
    pub(crate) about: Html,
    pub(crate) outcome: Html,
    pub(crate) detail: String,
}

/// Rows for entries, with the names of people.
pub(crate) async fn rows(journal: &Journal, entries: &[Entry]) -> Result<Vec<EntryRow>, LedgerError> {
    let mut names: BTreeMap<String, Html> = BTreeMap::new();
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let who = entry.actor.to_string();
        if !names.contains_key(&who) {
            names.insert(who.clone(), actor(journal, &entry.actor).await?);
        }
        let whole = sentence(entry);
        rows.push(EntryRow {
            seq: entry.seq,
            path: format!("/audit/{}", entry.event_id),
            at: when(entry.timestamp),
            actor: names.get(&who).cloned().unwrap_or_default(),
            action: entry.action.replace('_', " "),
            resource: link(&entry.resource),
            about: about(&entry.stream),
            outcome: badge(&entry.outcome.to_string()),
            detail: whole.split_once(" — ").map_or_else(String::new, |(_, detail)| shortened(detail)),
        });
    }
    Ok(rows)
}

/// Who did something: a person by name, anything else by what it is.
pub(crate) async fn named(journal: &Journal, actor: &Actor) -> Result<String, LedgerError> {
    match (actor.kind, actor.id.parse()) {
        (ActorKind::Human, Ok(person)) => name_of(journal, &person).await,
        _ => Ok(visible(&actor.id)),
    }
}

/// Who asked for what a document is about.
pub(crate) async fn requester(journal: &Journal, doc: &Value) -> Result<String, LedgerError> {
    match doc.get("requester").and_then(|by| Actor::deserialize(by).ok()) {
        Some(by) => named(journal, &by).await,
        None => Ok(String::new()),
    }
}

/// The same, marked as the sort of actor it is.
pub(crate) async fn actor(journal: &Journal, actor: &Actor) -> Result<Html, LedgerError> {
    let (kind, whole, name) = (word(actor.kind), escape(&actor.to_string()), escape(&named(journal, actor).await?));
    Ok(Html(match actor.kind {
        ActorKind::Agent => {
            let to = agent_page(&actor.id);
            format!("<a class=\"actor {kind}\" href=\"{to}\" title=\"{whole}\">{name}</a>")
        }
        ActorKind::Human | ActorKind::System => {
            format!("<span class=\"actor {kind}\" title=\"{whole}\">{name}</span>")
        }
    }))
}

/// A JSON document that was attached to an entry, by its digest as text; null where there is none.
pub(crate) async fn attached(journal: &Journal, digest: &str) -> Result<Value, LedgerError> {
    let Ok(digest) = digest.parse() else { return Ok(Value::Null) };
    let bytes = journal.ledger().attachment(&digest).await?.unwrap_or_default();
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

/// What somebody said about something.
pub(crate) struct Said {
    pub(crate) by: Html,
    pub(crate) at: Html,
    pub(crate) text: String,
}

/// What people said about something, oldest first.
pub(crate) async fn said(journal: &Journal, about: &str) -> Result<Vec<Said>, LedgerError> {
    told(journal, words_about(journal, about).await?).await
}

/// What people said in a stream, oldest first.
pub(crate) async fn said_in(journal: &Journal, stream: &str) -> Result<Vec<Said>, LedgerError> {
    told(journal, words_in(journal, stream).await?).await
}

async fn told(journal: &Journal, said: Vec<Words>) -> Result<Vec<Said>, LedgerError> {
    let mut all = Vec::new();
    for words in said {
        all.push(Said { by: actor(journal, &words.by).await?, at: when(words.at), text: words.text });
    }
    Ok(all)
}

/// What a stream is about, as a link.
fn about(stream: &str) -> Html {
    let Some((sort, id)) = stream.split_once('/') else { return Html(escape(stream)) };
    let path = match sort {
        "run" | "incident" | "approval" | "recommendation" => page_of(id),
        "decisions" if id.starts_with("run_") => page_of(id),
        "intent" | "decisions" => format!("/intents/{}", segment(id)),
        _ => format!("/why/{}", segment(id)),
    };
    Html(format!("<a class=\"id\" href=\"{}\" title=\"{}\">{}</a>", escape(&path), escape(stream), escape(&short(id))))
}

/// Filters, as the address has them.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    actor: String,
    action: String,
    resource: String,
    outcome: String,
    kind: String,
    trace: String,
    from: String,
    to: String,
    /// The entry that the page begins with.
    before: Option<u64>,
    /// Entries that the newest of the checkpoints shown is over, at the most.
    checkpoints: Option<u64>,
}

impl Wanted {
    /// The filters that are set, by name.
    fn set(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("actor", &self.actor),
            ("action", &self.action),
            ("resource", &self.resource),
            ("outcome", &self.outcome),
            ("kind", &self.kind),
            ("trace", &self.trace),
            ("from", &self.from),
            ("to", &self.to),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value.as_str())).collect()
    }

    fn query(&self) -> String {
        let parts: Vec<String> = self.set().iter().map(|(name, value)| format!("{name}={}", segment(value))).collect();
        parts.join("&")
    }
}

/// Entries that programs are given at once, at the most.
const EXPORTED: usize = 1_000;

/// Where programs find what filters show.
fn exported(query: &str) -> String {
    let filters = if query.is_empty() { String::new() } else { format!("{query}&") };
    format!("/api/v1/audit/entries?{filters}limit={EXPORTED}")
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    wanted: Wanted,
    /// What is the matter with a filter, and what to do about it.
    problem: Html,
    outcomes: [&'static str; 6],
    rows: Vec<EntryRow>,
    older: Html,
    command: String,
    /// What the filters show, for programs.
    found: String,
    /// The first tile of hashes and the first bundle of entries.
    tiles: [String; 2],
    origin: String,
    checkpoints: Vec<Kept>,
    older_checkpoints: Html,
}

/// A checkpoint that was signed.
struct Kept {
    size: u64,
    note: String,
}

/// Checkpoints on the page.
const KEPT: usize = 12;

const OUTCOMES: [&str; 6] = ["success", "failure", "started", "denied", "skipped", "unknown"];

pub(crate) async fn list(State(shared): App, visitor: Visitor, Query(wanted): Query<Wanted>) -> Page {
    let journal = shared.pipeline.journal();
    let set: BTreeMap<&str, &str> = wanted.set().into_iter().collect();
    // What is the matter with a filter stands beside the filters, which are not lost.
    let (found, failure) = match audit_filter(&shared, &set, wanted.before).await {
        Ok(filter) => (journal.ledger().query(&filter, PAGE + 1).await?, None),
        Err(failure) if failure.status() == StatusCode::BAD_REQUEST => (Vec::new(), Some(failure)),
        Err(failure) => return Err(failure.into()),
    };
    let entries = found.iter().take(PAGE).map(decode).collect::<Result<Vec<_>, _>>()?;
    let next = found.get(PAGE).map(|stored| stored.seq.to_string());
    let flags: Vec<String> =
        set.iter().map(|(name, value)| format!(" --{name} '{}'", value.replace('\'', "'\\''"))).collect();
    let kept = journal.ledger().checkpoints_back(wanted.checkpoints, KEPT + 1).await?;
    let under = kept.get(KEPT).map(|kept| kept.size.to_string());
    let checkpoints = kept.into_iter().take(KEPT).map(|kept| Kept { size: kept.size, note: kept.note }).collect();
    let live = if wanted.before.is_none() { "*" } else { "" };
    let frame = Frame::new(&shared, &visitor, "/audit", "Evidence").await?.live(live);
    let mut page = shown(&AuditPage {
        frame,
        problem: failure.as_ref().map(told_here).unwrap_or_default(),
        outcomes: OUTCOMES,
        rows: rows(journal, &entries).await?,
        older: older("/audit", &wanted.query(), next.as_deref()),
        command: format!("writ audit query{}", flags.concat()),
        found: exported(&wanted.query()),
        tiles: ["0", "entries"].map(|sort| tile_path(sort, 0, visitor.size.clamp(1, TILE))),
        origin: journal.key().name,
        checkpoints,
        older_checkpoints: older_of("checkpoints", "/audit", &wanted.query(), under.as_deref()),
        wanted,
    })?;
    if let Some(failure) = failure {
        *page.status_mut() = failure.status();
    }
    Ok(page)
}

#[derive(Template)]
#[template(path = "entry.html")]
struct EntryPage {
    frame: Frame,
    row: EntryRow,
    kind: String,
    event: String,
    stream: String,
    trace: String,
    trace_seq: u64,
    cause: Html,
    body: String,
    attachments: Vec<(String, String)>,
    /// What the browser checks: the entry's bytes, its path to the root, the signed checkpoint and the key.
    proof: String,
    size: u64,
}

pub(crate) async fn one(State(shared): App, visitor: Visitor, Path(id): Path<String>) -> Page {
    let journal = shared.pipeline.journal();
    let stored = match id.parse::<u64>() {
        Ok(seq) => journal.ledger().entries(seq, 1).await?.into_iter().find(|stored| stored.seq == seq),
        Err(_) => journal.ledger().by_event(&id).await?,
    };
    let stored = stored.ok_or_else(|| Failure::not_found("entry", &id))?;
    let entry = decode(&stored)?;
    let row = rows(journal, std::slice::from_ref(&entry)).await?.into_iter().next();
    let row = row.ok_or_else(|| Failure::not_found("entry", &id))?;
    let attachments = entry.body.get("attachments").and_then(Value::as_object);
    let attachments = attachments.into_iter().flatten().filter_map(|(name, digest)| {
        let digest = digest.as_str()?.trim_start_matches("sha256:");
        Some((name.clone(), digest.to_owned()))
    });
    let (proof, size) = proof(journal, &stored).await?;
    let frame = Frame::new(&shared, &visitor, "/audit", &format!("Entry {}", entry.seq)).await?;
    shown(&EntryPage {
        frame,
        row,
        kind: entry.kind.clone(),
        event: entry.event_id.to_string(),
        stream: entry.stream.clone(),
        trace: entry.trace_id.to_string(),
        trace_seq: entry.trace_seq,
        cause: entry.cause.as_ref().map(|cause| link(cause.as_str())).unwrap_or_default(),
        attachments: attachments.collect(),
        body: serde_json::to_string_pretty(&entry.body).unwrap_or_default(),
        proof,
        size,
    })
}

/// All that is needed to check that an entry is in the journal, under the newest checkpoint.
async fn proof(journal: &Journal, stored: &Stored) -> Result<(String, u64), PageError> {
    let kept = journal.ledger().checkpoint(None).await?;
    let kept = kept.ok_or_else(Failure::no_checkpoint)?;
    let path = journal.inclusion(stored.seq, kept.size).await?;
    let path: Vec<String> = path.iter().map(|digest| digest.hex()).collect();
    let document = json!({
        "index": stored.seq, "size": kept.size, "path": path, "note": kept.note, "key": journal.key().to_string(),
        "entry": String::from_utf8_lossy(&stored.bytes),
    });
    Ok((document.to_string(), kept.size))
}

#[derive(Template)]
#[template(path = "verified.html")]
struct VerifiedPage {
    frame: Frame,
    holds: bool,
    told: String,
    entry: Option<u64>,
    size: u64,
    root: String,
    checkpoints: u64,
    attachments: u64,
    key: String,
}

pub(crate) async fn verify(State(shared): App, visitor: Visitor) -> Page {
    let frame = Frame::new(&shared, &visitor, "/audit", "Verification").await?;
    let (holds, document) = match check_journal(&shared).await {
        Ok(verified) => (true, serde_json::json!(verified)),
        Err(failure) if failure.code() == "unverified" => (false, failure.document()),
        Err(failure) => return Err(failure.into()),
    };
    let number = |name: &str| document.get(name).and_then(Value::as_u64);
    let words = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    shown(&VerifiedPage {
        frame,
        holds,
        told: words("detail"),
        entry: number("entry"),
        size: number("size").unwrap_or_default(),
        root: words("root"),
        checkpoints: number("checkpoints").unwrap_or_default(),
        attachments: number("attachments").unwrap_or_default(),
        key: words("key"),
    })
}
