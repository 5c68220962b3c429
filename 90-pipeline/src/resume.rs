//! What was recorded of a component's healing, so that it goes on where it stood. It is folded as it is recorded, into a
//! document of its component: a start reads that, and none of the entries.

use crate::commit::Cause;
use crate::journal::Journal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_core::{ComponentId, Entry, IncidentId, LedgerError, RunId};
use writ_self_healing::{Heal, Mode, Remedy, RemedyKey, Stage, decode};

/// The view that these documents are.
const HEALING: &str = "healing";

/// Everything that was concluded about a component.
#[derive(Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) heal: Heal,
    /// The last entry of each open incident.
    pub(crate) causes: BTreeMap<IncidentId, Cause>,
    /// The runs that were begun for remedies of which nothing was concluded yet.
    runs: BTreeMap<RemedyKey, RunId>,
}

/// A remedy of which nothing was concluded yet.
pub(crate) struct Unfinished {
    pub(crate) remedy: Remedy,
    pub(crate) mode: Mode,
    pub(crate) stage: Stage,
    /// The run that was begun for it.
    pub(crate) run: Option<RunId>,
}

impl Recorded {
    fn new(component: ComponentId) -> Self {
        Self { heal: Heal::new(component), causes: BTreeMap::new(), runs: BTreeMap::new() }
    }

    /// What was under way.
    pub(crate) fn unfinished(&self) -> Vec<Unfinished> {
        let one = |(tried, stage): (&writ_self_healing::Try, Stage)| Unfinished {
            remedy: tried.remedy.clone(),
            mode: tried.mode,
            stage,
            run: self.runs.get(&tried.remedy.key).cloned(),
        };
        self.heal.unfinished().map(one).collect()
    }

    fn take(&mut self, entry: &Entry) -> Result<(), String> {
        if let Some(key) = remedy_of(entry) {
            let run = entry.stream.strip_prefix("run/").and_then(|id| id.parse().ok());
            self.runs.extend(run.map(|run| (RemedyKey(key.to_owned()), run)));
            return Ok(());
        }
        let event = decode(&entry.kind, &entry.body).map_err(|error| error.to_string())?;
        self.heal.apply(&event).map_err(|error| error.to_string())?;
        if let Some(incident) = event.incident() {
            self.causes.insert(incident.clone(), Cause::after(entry));
        }
        let Self { heal, causes, runs } = self;
        causes.retain(|incident, _| heal.incident(incident).is_some());
        runs.retain(|key, _| heal.unfinished().any(|(tried, _)| tried.remedy.key == *key));
        Ok(())
    }
}

/// The remedy that a run was begun for.
fn remedy_of(entry: &Entry) -> Option<&str> {
    let begun = entry.kind == "run.submitted/1";
    begun.then(|| entry.body.pointer("/context/remedy_key")?.as_str()).flatten()
}

/// The component whose healing an entry is of.
pub(crate) fn healing_key(entry: &Entry) -> Option<String> {
    if entry.kind.starts_with("incident.") || entry.kind.starts_with("component.") {
        return Some(entry.resource.clone());
    }
    remedy_of(entry)?;
    entry.body.pointer("/context/component")?.as_str().map(str::to_owned)
}

/// A component's healing after an entry; what does not fit together is said, and nothing is added to it any more.
pub(crate) fn healing_next(before: Option<&Value>, entry: &Entry) -> Option<Value> {
    let damaged = |what: String| Some(json!({"damaged": format!("entry {}: {what}", entry.seq)}));
    let recorded = match before {
        Some(doc) if doc.get("damaged").is_some() => return Some(doc.clone()),
        Some(doc) => Recorded::deserialize(doc).map_err(|error| error.to_string()),
        None => healing_key(entry).unwrap_or_default().parse().map(Recorded::new).map_err(|error| error.to_string()),
    };
    let taken = recorded.and_then(|mut recorded| recorded.take(entry).map(|()| recorded));
    match taken.and_then(|recorded| serde_json::to_value(recorded).map_err(|error| error.to_string())) {
        Ok(doc) => Some(doc),
        Err(what) => damaged(what),
    }
}

/// What was concluded about a component until now.
///
/// # Errors
/// When the journal cannot be read, or what it says does not fit together.
pub(crate) async fn recorded(journal: &Journal, component: &ComponentId) -> Result<Recorded, LedgerError> {
    let Some(doc) = journal.doc(HEALING, component.as_str()).await? else {
        return Ok(Recorded::new(component.clone()));
    };
    let damaged = |what: String| LedgerError::Damaged { place: format!("the healing of `{component}`"), what };
    match doc.get("damaged").and_then(Value::as_str) {
        Some(what) => Err(damaged(what.to_owned())),
        None => serde_json::from_value(doc).map_err(|error| damaged(error.to_string())),
    }
}
