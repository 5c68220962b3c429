//! From an entry to the documents that readers and a restart begin with. Everything here can be rebuilt from the entries.

use crate::taken::TAKEN;
use crate::{holding, links, modes, notify, people, resume, safety, sessions, shadows};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use writ_core::{Entry, Ledger, LedgerError, ViewChange};

/// When a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In the transaction of the entries: decisions read it.
    Operational,
    /// After it: people read it, and a restart does, which waits for it.
    Report,
}

/// One view over the entries: which document an entry touches, and what becomes of it.
struct View {
    name: &'static str,
    kept: Kept,
    /// The key of the document that an entry touches; none when it touches none.
    key: fn(&Entry) -> Option<String>,
    next: Next,
}

/// The document after an entry; none takes it away.
enum Next {
    /// The entry alone says it.
    Said(fn(&Entry) -> Option<Value>),
    /// What stood there before counts.
    Changed(fn(Option<&Value>, &Entry) -> Option<Value>),
}

/// Under what an intent's document keeps what was planned for the version that is or was in force last: its `version`, and the
/// [`FIGURES`].
pub const LAST_IN_FORCE: &str = "last_in_force";

/// What is planned for a version.
pub const FIGURES: [&str; 6] = ["availability_ppb", "cost_micros", "count", "instance_type", "zones", "attachments"];

/// Bytes of a text in a document, at the most.
const TEXT_MAX: usize = 512;

/// All views. A reader finds here what a document is made of.
const VIEWS: &[View] = {
    use Kept::{Operational, Report};
    use Next::{Changed, Said};
    &[
        View { name: "live", kept: Operational, key: live_key, next: Said(live_next) },
        View { name: "intents", kept: Operational, key: |entry| under(entry, "intent/"), next: Changed(intent_next) },
        View {
            name: "approvals",
            kept: Operational,
            key: |entry| under(entry, "approval/"),
            next: Changed(aside_next),
        },
        View {
            name: "recommendations",
            kept: Operational,
            key: |entry| under(entry, "recommendation/"),
            next: Changed(merge_next),
        },
        View { name: "people", kept: Operational, key: people::person_key, next: Changed(people::person_next) },
        View { name: "tokens", kept: Operational, key: people::token_key, next: Said(people::token_next) },
        View {
            name: "exceptions",
            kept: Operational,
            key: safety::exception_key,
            next: Changed(safety::exception_next),
        },
        View { name: "switches", kept: Operational, key: safety::switch_key, next: Changed(safety::switch_next) },
        View { name: "links", kept: Operational, key: link_key, next: Said(link_next) },
        View { name: "sessions", kept: Operational, key: session_key, next: Said(session_next) },
        View { name: "holders", kept: Operational, key: holding::holder_key, next: Said(holding::holding_next) },
        View { name: "held", kept: Operational, key: holding::held_key, next: Said(holding::holding_next) },
        View { name: "standing", kept: Operational, key: standing_key, next: Said(standing_next) },
        View { name: "listed", kept: Operational, key: listed_key, next: Said(listed_next) },
        View { name: "modes", kept: Operational, key: modes::mode_key, next: Changed(modes::mode_next) },
        View { name: "runs", kept: Report, key: run_key, next: Changed(merge_next) },
        View { name: "filed", kept: Report, key: filed_key, next: Said(|_| Some(json!({}))) },
        View { name: "incidents", kept: Report, key: |entry| under(entry, "incident/"), next: Changed(merge_next) },
        View { name: "agents", kept: Report, key: |entry| under(entry, "agent/"), next: Changed(aside_next) },
        View { name: "epochs", kept: Report, key: epoch_key, next: Changed(epoch_next) },
        View { name: "last_runs", kept: Report, key: last_run_key, next: Said(last_run_next) },
        View { name: "channels", kept: Report, key: notify::channel_key, next: Changed(notify::channel_next) },
        View { name: "tellings", kept: Report, key: notify::telling_key, next: Said(notify::telling_next) },
        View { name: "shadows", kept: Report, key: shadows::shadow_key, next: Changed(shadows::shadow_next) },
        View { name: "healing", kept: Report, key: resume::healing_key, next: Changed(resume::healing_next) },
    ]
};

/// Whether a view trails the entries.
pub(crate) fn trails(view: &str) -> bool {
    VIEWS.iter().any(|known| known.name == view && known.kept == Kept::Report)
}

/// Documents of one sort as they are after the entries so far, as far as they were met.
#[derive(Debug)]
pub(crate) struct Docs {
    kept: Kept,
    /// By view, in the order of the table.
    docs: Vec<HashMap<String, Doc>>,
    /// What has changed since it was last written.
    changed: Vec<(usize, String)>,
}

#[derive(Debug)]
struct Doc {
    value: Option<Value>,
    changed: bool,
}

impl Docs {
    pub(crate) fn new(kept: Kept) -> Self {
        Self { kept, docs: VIEWS.iter().map(|_| HashMap::new()).collect(), changed: Vec::new() }
    }

    /// Takes an entry in. Documents that were not met yet are read from the ledger; without one there are none.
    pub(crate) async fn follow(&mut self, entry: &Entry, ledger: Option<&dyn Ledger>) -> Result<(), LedgerError> {
        for (at, view) in VIEWS.iter().enumerate().filter(|(_, view)| view.kept == self.kept) {
            let Some(key) = (view.key)(entry) else { continue };
            let Some(known) = self.docs.get_mut(at) else { continue };
            let after = match view.next {
                Next::Said(next) => next(entry),
                Next::Changed(next) => {
                    if !known.contains_key(&key) {
                        let kept = match ledger {
                            Some(ledger) => ledger.view(view.name, &key).await?,
                            None => None,
                        };
                        // A document that cannot be read counts as none: it is derived, and is written anew.
                        let value = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
                        known.insert(key.clone(), Doc { value, changed: false });
                    }
                    let before = known.get(&key).and_then(|doc| doc.value.as_ref());
                    let after = next(before, entry);
                    if before == after.as_ref() {
                        continue;
                    }
                    after
                }
            };
            let doc = known.entry(key.clone()).or_insert(Doc { value: None, changed: false });
            doc.value = after;
            if !std::mem::replace(&mut doc.changed, true) {
                self.changed.push((at, key));
            }
        }
        Ok(())
    }

    /// Every document that there is, by view; only when all entries were followed.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, BTreeMap<&str, Vec<u8>>)> {
        let views = VIEWS.iter().zip(&self.docs).filter(|(view, _)| view.kept == self.kept);
        views.map(|(view, docs)| {
            let told =
                docs.iter().filter_map(|(key, doc)| Some((key.as_str(), doc.value.as_ref()?.to_string().into_bytes())));
            (view.name, told.collect())
        })
    }

    /// What has changed since the last time, each document once.
    pub(crate) fn take_changes(&mut self) -> Vec<ViewChange> {
        let mut changes = Vec::with_capacity(self.changed.len());
        for (at, key) in self.changed.drain(..) {
            let (Some(view), Some(doc)) = (VIEWS.get(at), self.docs.get_mut(at).and_then(|docs| docs.get_mut(&key)))
            else {
                continue;
            };
            doc.changed = false;
            let bytes = doc.value.as_ref().map(|doc| doc.to_string().into_bytes());
            changes.push(ViewChange { doc: bytes, key, view: view.name });
        }
        changes
    }

    /// Drops what is remembered when there is much of it; nothing of it may be unwritten.
    pub(crate) fn forget_beyond(&mut self, limit: usize) {
        if self.changed.is_empty() && self.docs.iter().map(HashMap::len).sum::<usize>() > limit {
            self.docs.iter_mut().for_each(HashMap::clear);
        }
    }
}

pub(crate) fn under(entry: &Entry, prefix: &str) -> Option<String> {
    entry.stream.strip_prefix(prefix).map(str::to_owned)
}

/// Runs, incidents and questions to people that have not ended: what a restart takes up again.
fn live_key(entry: &Entry) -> Option<String> {
    let changes = BEGINS.contains(&entry.kind.as_str()) || ENDS.contains(&entry.kind.as_str());
    changes.then(|| entry.stream.clone())
}

const BEGINS: &[&str] = &["run.submitted/1", "incident.opened/1", "approval.asked/1"];
const ENDS: &[&str] = &[
    "run.succeeded/1",
    "run.rolled_back/1",
    "run.failed/1",
    "run.cancelled/1",
    "run.rejected/1",
    "run.expired/1",
    "incident.resolved/1",
    "incident.closed/1",
    "approval.used/1",
    "approval.expired/1",
    "approval.voided/1",
];

fn epoch_key(entry: &Entry) -> Option<String> {
    (entry.kind == "run.step_started/1").then(|| entry.resource.clone())
}

/// How far the holder of a resource has been counted up: a gate that starts must begin above it.
fn epoch_next(before: Option<&Value>, entry: &Entry) -> Option<Value> {
    let epoch = |doc: Option<&Value>| doc.and_then(|doc| doc.get("epoch")?.as_u64()).unwrap_or(0);
    Some(json!({"epoch": epoch(before).max(epoch(Some(&entry.body)))}))
}

fn standing_key(entry: &Entry) -> Option<String> {
    let known = matches!(entry.kind.as_str(), "approval.standing/1" | "approval.revoked/1");
    known.then(|| under(entry, "approval/")).flatten()
}

/// Standing approvals that were granted and not revoked.
fn standing_next(entry: &Entry) -> Option<Value> {
    (entry.kind == "approval.standing/1").then(|| entry.body.clone())
}

/// What an issuer calls somebody, and whom that is here.
fn link_key(entry: &Entry) -> Option<String> {
    let known = [links::LINKED, links::UNLINKED].contains(&entry.kind.as_str());
    let link = known.then(|| entry.body.get("link")?.as_str()).flatten()?;
    Some(link.trim_start_matches("sha256:").to_owned())
}

fn link_next(entry: &Entry) -> Option<Value> {
    (entry.kind == links::LINKED).then(|| entry.body.clone())
}

/// Sessions that were opened and not closed.
fn session_next(entry: &Entry) -> Option<Value> {
    (entry.kind != sessions::CLOSED).then(|| entry.body.clone())
}

fn session_key(entry: &Entry) -> Option<String> {
    let known = [sessions::OPENED, sessions::OPENED_BY_LINK, sessions::CLOSED].contains(&entry.kind.as_str());
    let hash = known.then(|| entry.body.get("session_hash")?.as_str()).flatten()?;
    Some(hash.trim_start_matches("sha256:").to_owned())
}

fn live_next(entry: &Entry) -> Option<Value> {
    BEGINS.contains(&entry.kind.as_str()).then(|| json!({"since": entry.timestamp}))
}

/// A run's summary changes when the run does, not with each of its steps.
fn run_key(entry: &Entry) -> Option<String> {
    (!entry.kind.starts_with("run.step_")).then(|| under(entry, "run/")).flatten()
}

/// Under what a run or an incident is looked for: `run/<intent>/<run>`, `incident/<component>/<incident>`.
fn filed_key(entry: &Entry) -> Option<String> {
    let (of, field) = match entry.kind.as_str() {
        "run.submitted/1" => ("run", "intent"),
        "incident.opened/1" => ("incident", "component"),
        _ => return None,
    };
    let id = under(entry, &format!("{of}/"))?;
    Some(format!("{of}/{}/{id}", entry.body.get(field)?.as_str()?))
}

/// What is listed by something else than its own key, while it is there: `token/<principal>/<token>`, `switch/<scope>`.
fn listed_key(entry: &Entry) -> Option<String> {
    people::token_listed(entry).or_else(|| safety::switch_listed(entry))
}

fn listed_next(entry: &Entry) -> Option<Value> {
    if people::token_key(entry).is_some() {
        return people::token_listed_next(entry);
    }
    (!safety::is_released(entry)).then(|| json!({}))
}

/// The run that an intent was last to be carried out by: not a remedy's, nor a change that somebody else planned.
fn last_run_key(entry: &Entry) -> Option<String> {
    let others = ["/context/remedy", "/context/outside"].iter().any(|field| entry.body.pointer(field).is_some());
    let own = entry.kind == "run.submitted/1" && !others;
    own.then(|| entry.body.get("intent")?.as_str().map(str::to_owned)).flatten()
}

fn last_run_next(entry: &Entry) -> Option<Value> {
    let run = under(entry, "run/")?;
    Some(json!({"run": run, "trace_id": entry.trace_id, "event_id": entry.event_id}))
}

/// The bodies of a stream's entries, laid over each other, with what the last one was and when.
fn merge_next(before: Option<&Value>, entry: &Entry) -> Option<Value> {
    let mut doc = match before {
        Some(Value::Object(doc)) => doc.clone(),
        _ => serde_json::Map::from_iter([
            ("since".to_owned(), json!(entry.timestamp)),
            ("trace_id".to_owned(), json!(entry.trace_id)),
        ]),
    };
    for (key, value) in entry.body.as_object().into_iter().flatten() {
        match small(value) {
            Some(value) => doc.insert(key.clone(), value),
            // What it was before is not so any more.
            None => doc.remove(key),
        };
    }
    doc.insert("as_of".to_owned(), json!(entry.seq));
    doc.insert("last".to_owned(), json!({"kind": entry.kind, "at": entry.timestamp, "outcome": entry.outcome}));
    Some(Value::Object(doc))
}

/// What became of broken glass stands beside what it was broken for, since each names a person; and what an agent was refused
/// beside how it stands, since each says why.
fn aside_next(before: Option<&Value>, entry: &Entry) -> Option<Value> {
    let aside = match entry.kind.as_str() {
        "approval.glass_ended/1" => "ended",
        "approval.glass_reviewed/1" => "reviewed",
        "approval.glass_used/1" => "used",
        "agent.refused/1" => "refused",
        _ => return merge_next(before, entry),
    };
    let (mut said, count) = (entry.clone(), before.and_then(|doc| doc.get("uses")?.as_u64()).unwrap_or(0));
    said.body = match aside {
        "used" => json!({"uses": count + 1}),
        _ => json!({aside: entry.body}),
    };
    merge_next(before, &said)
}

/// What was taken away on purpose is kept whole, however much it is: it must not be brought back.
fn intent_next(before: Option<&Value>, entry: &Entry) -> Option<Value> {
    let mut doc = merge_next(before, entry)?;
    if let Some(taken) = entry.body.get(TAKEN) {
        doc[TAKEN] = taken.clone();
    }
    if let Some(applied) = entry.body.get("applied_version").filter(|applied| applied.is_u64())
        && doc[LAST_IN_FORCE]["version"] != *applied
    {
        // A version comes into force as the newest: what was planned for it is what was planned last.
        let planned = FIGURES.map(|name| (name.to_owned(), doc[name].clone()));
        doc[LAST_IN_FORCE] = planned.into_iter().chain([("version".to_owned(), applied.clone())]).collect();
    }
    Some(doc)
}

/// Summaries stay small: what is long belongs to the entry. A long text is cut; of what is long otherwise nothing is kept.
fn small(value: &Value) -> Option<Value> {
    if let Value::String(text) = value
        && text.len() > TEXT_MAX
    {
        return Some(Value::String(format!("{}…", &text[..text.floor_char_boundary(TEXT_MAX)])));
    }
    is_small(value).then(|| value.clone())
}

fn is_small(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() <= TEXT_MAX,
        Value::Array(items) => items.len() <= 32 && items.iter().all(is_small),
        Value::Object(fields) => fields.len() <= 32 && fields.values().all(is_small),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}
