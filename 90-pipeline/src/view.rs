//! From an entry to the documents that readers and a restart begin with. Everything here can be rebuilt from the entries.

use serde_json::{Value, json};
use std::collections::HashMap;
use writ_core::{Entry, ViewChange};

/// Documents as they are after the entries sealed so far, as far as the writer has met them.
#[derive(Debug, Default)]
pub(crate) struct Docs(HashMap<(&'static str, String), Option<Value>>);

impl Docs {
    pub(crate) fn knows(&self, view: &'static str, key: &str) -> bool {
        self.0.contains_key(&(view, key.to_owned()))
    }

    /// A document that cannot be read counts as none: it is derived, and is written anew.
    pub(crate) fn learn(&mut self, view: &'static str, key: &str, doc: Option<Vec<u8>>) {
        let value = doc.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        self.0.insert((view, key.to_owned()), value);
    }

    pub(crate) fn get(&self, view: &'static str, key: &str) -> Option<&Value> {
        self.0.get(&(view, key.to_owned())).and_then(Option::as_ref)
    }

    fn put(&mut self, view: &'static str, key: &str, doc: Option<Value>) -> ViewChange {
        let bytes = doc.as_ref().map(|doc| doc.to_string().into_bytes());
        self.0.insert((view, key.to_owned()), doc);
        ViewChange { doc: bytes, key: key.to_owned(), view }
    }

    pub(crate) fn forget_beyond(&mut self, limit: usize) {
        if self.0.len() > limit {
            self.0.clear();
        }
    }
}

/// One view over the entries: which document an entry touches, and what becomes of it.
struct View {
    name: &'static str,
    /// The key of the document that an entry touches; none when it touches none.
    key: fn(&Entry) -> Option<String>,
    /// The document after the entry; none takes it away.
    next: fn(Option<&Value>, &Entry) -> Option<Value>,
}

/// All views. A reader finds here what a document is made of.
const VIEWS: &[View] = &[
    View { name: "live", key: live_key, next: live_next },
    View { name: "runs", key: |entry| under(entry, "run/"), next: run_next },
    View { name: "intents", key: |entry| under(entry, "intent/"), next: merge_next },
    View { name: "incidents", key: |entry| under(entry, "incident/"), next: merge_next },
    View { name: "approvals", key: |entry| under(entry, "approval/"), next: merge_next },
    View { name: "recommendations", key: |entry| under(entry, "recommendation/"), next: merge_next },
    View { name: "epochs", key: |entry| step_started(entry).then(|| entry.resource.clone()), next: epoch_next },
    View { name: "tokens", key: token_key, next: token_next },
    View { name: "standing", key: standing_key, next: standing_next },
    View { name: "agents", key: |entry| under(entry, "agent/"), next: merge_next },
];

fn under(entry: &Entry, prefix: &str) -> Option<String> {
    entry.stream.strip_prefix(prefix).map(str::to_owned)
}

/// Runs and incidents that have not ended: what a restart takes up again.
fn live_key(entry: &Entry) -> Option<String> {
    let changes = BEGINS.contains(&entry.kind.as_str()) || ENDS.contains(&entry.kind.as_str());
    changes.then(|| entry.stream.clone())
}

const BEGINS: &[&str] = &["run.submitted/1", "incident.opened/1"];
const ENDS: &[&str] = &[
    "run.succeeded/1",
    "run.rolled_back/1",
    "run.failed/1",
    "run.cancelled/1",
    "run.rejected/1",
    "run.expired/1",
    "incident.resolved/1",
    "incident.closed/1",
];

fn step_started(entry: &Entry) -> bool {
    entry.kind == "run.step_started/1"
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
fn standing_next(_: Option<&Value>, entry: &Entry) -> Option<Value> {
    (entry.kind == "approval.standing/1").then(|| entry.body.clone())
}

/// Tokens that were issued and not revoked.
fn token_next(_: Option<&Value>, entry: &Entry) -> Option<Value> {
    (entry.kind == "principal.token_issued/1").then(|| entry.body.clone())
}

fn token_key(entry: &Entry) -> Option<String> {
    let known = matches!(entry.kind.as_str(), "principal.token_issued/1" | "principal.token_revoked/1");
    let hash = known.then(|| entry.body.get("token_hash")?.as_str()).flatten()?;
    Some(hash.trim_start_matches("sha256:").to_owned())
}

fn live_next(_: Option<&Value>, entry: &Entry) -> Option<Value> {
    BEGINS.contains(&entry.kind.as_str()).then(|| json!({"since": entry.timestamp}))
}

/// A run's summary changes when the run does, not with each of its steps.
fn run_next(before: Option<&Value>, entry: &Entry) -> Option<Value> {
    if entry.kind.starts_with("run.step_") {
        return before.cloned();
    }
    merge_next(before, entry)
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
    if let Value::Object(body) = &entry.body {
        doc.extend(body.iter().filter(|(_, value)| is_small(value)).map(|(key, value)| (key.clone(), value.clone())));
    }
    doc.insert("as_of".to_owned(), json!(entry.seq));
    doc.insert("last".to_owned(), json!({"kind": entry.kind, "at": entry.timestamp, "outcome": entry.outcome}));
    Some(Value::Object(doc))
}

/// Summaries stay small: what is long belongs to the entry.
fn is_small(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() <= 512,
        Value::Array(items) => items.len() <= 32 && items.iter().all(is_small),
        Value::Object(fields) => fields.len() <= 32 && fields.values().all(is_small),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The documents that an entry touches.
pub(crate) fn touched(entry: &Entry) -> Vec<(&'static str, String)> {
    VIEWS.iter().filter_map(|view| Some((view.name, (view.key)(entry)?))).collect()
}

/// What becomes of the documents that an entry touches.
pub(crate) fn project(entry: &Entry, docs: &mut Docs) -> Vec<ViewChange> {
    let mut changes = Vec::new();
    for view in VIEWS {
        let Some(key) = (view.key)(entry) else { continue };
        let before = docs.get(view.name, &key);
        let after = (view.next)(before, entry);
        if before != after.as_ref() {
            changes.push(docs.put(view.name, &key, after));
        }
    }
    changes
}

/// The last change of each document, in the order of their first: what a group has to write.
pub(crate) fn last_of_each(changes: Vec<ViewChange>) -> Vec<ViewChange> {
    let mut places: HashMap<(&'static str, String), usize> = HashMap::new();
    let mut last: Vec<ViewChange> = Vec::with_capacity(changes.len());
    for change in changes {
        match places.get(&(change.view, change.key.clone())) {
            Some(place) => last[*place] = change,
            None => {
                places.insert((change.view, change.key.clone()), last.len());
                last.push(change);
            }
        }
    }
    last
}
