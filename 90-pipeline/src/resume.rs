//! What was recorded of a component's healing, so that it goes on where it stood.

use crate::commit::Cause;
use crate::journal::{Journal, decode as entry_of};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use writ_core::{ComponentId, Entry, Filter, IncidentId, LedgerError, RunId};
use writ_self_healing::{Heal, HealEvent, Mode, Remedy, RemedyKey, decode};

/// Runs that are looked through for a remedy's own.
const RUNS_MAX: usize = 1_000;

/// Everything that was concluded about a component.
pub(crate) struct Recorded {
    pub(crate) heal: Heal,
    /// The last entry of each open incident.
    pub(crate) causes: BTreeMap<IncidentId, Cause>,
    pub(crate) unfinished: Vec<Unfinished>,
}

/// How far a remedy had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It was proposed, and nothing more is known of it.
    Asked,
    /// People were asked.
    Waits,
    /// It was being carried out.
    Runs,
}

/// A remedy of which nothing was concluded yet.
pub(crate) struct Unfinished {
    pub(crate) remedy: Remedy,
    pub(crate) mode: Mode,
    pub(crate) stage: Stage,
    /// The run that was begun for it.
    pub(crate) run: Option<RunId>,
}

/// Reads what was concluded about a component, in order.
///
/// # Errors
/// When the journal cannot be read, or what it says does not fit together.
pub(crate) async fn recorded(journal: &Journal, component: &ComponentId) -> Result<Recorded, LedgerError> {
    let (mut heal, mut causes) = (Heal::new(component.clone()), BTreeMap::new());
    let mut unfinished: BTreeMap<RemedyKey, Unfinished> = BTreeMap::new();
    for entry in entries(journal, component).await?.values() {
        let damaged = |what: String| LedgerError::Damaged { place: format!("entry {}", entry.seq), what };
        let event = decode(&entry.kind, &entry.body).map_err(|error| damaged(error.to_string()))?;
        if let Some(incident) = event.incident() {
            let cause = Cause { trace: entry.trace_id.clone(), event: Some(entry.event_id.clone()) };
            causes.insert(incident.clone(), cause);
        }
        note(&mut unfinished, &event);
        heal.apply(&event).map_err(|error| damaged(error.to_string()))?;
    }
    causes.retain(|incident, _| heal.incident(incident).is_some());
    let mut unfinished: Vec<Unfinished> = unfinished.into_values().collect();
    if !unfinished.is_empty() {
        let runs = runs(journal, component).await?;
        unfinished.iter_mut().for_each(|one| one.run = runs.get(&one.remedy.key).cloned());
    }
    Ok(Recorded { heal, causes, unfinished })
}

async fn entries(journal: &Journal, component: &ComponentId) -> Result<BTreeMap<u64, Entry>, LedgerError> {
    let mut entries = BTreeMap::new();
    for kind in ["incident.", "component."] {
        let mut from_seq = 0;
        loop {
            let wanted = Filter {
                kind: Some(kind.into()),
                resource: Some(component.to_string()),
                from_seq: Some(from_seq),
                ..Filter::default()
            };
            let page = journal.ledger().query(&wanted, 1_000).await?;
            for stored in &page {
                from_seq = stored.seq + 1;
                entries.insert(stored.seq, entry_of(stored)?);
            }
            if page.len() < 1_000 {
                break;
            }
        }
    }
    Ok(entries)
}

/// Takes one event into account of what is unfinished.
fn note(unfinished: &mut BTreeMap<RemedyKey, Unfinished>, event: &HealEvent) {
    let mut reached = |key: &RemedyKey, stage| {
        if let Some(one) = unfinished.get_mut(key) {
            one.stage = stage;
        }
    };
    match event {
        HealEvent::Proposed(event) => {
            let (remedy, mode) = (event.remedy.clone(), event.mode);
            let one = Unfinished { remedy, mode, stage: Stage::Asked, run: None };
            unfinished.insert(event.remedy.key.clone(), one);
        }
        HealEvent::Waiting(event) => reached(&event.remedy, Stage::Waits),
        HealEvent::Started(event) => reached(&event.remedy, Stage::Runs),
        HealEvent::Released(event) => drop(unfinished.remove(&event.remedy)),
        HealEvent::Denied(event) => drop(unfinished.remove(&event.remedy)),
        HealEvent::Ended(event) => drop(unfinished.remove(&event.remedy)),
        HealEvent::Resolved(event) => unfinished.retain(|_, one| one.remedy.incident.as_ref() != Some(&event.incident)),
        HealEvent::Closed(event) => unfinished.retain(|_, one| one.remedy.incident.as_ref() != Some(&event.incident)),
        HealEvent::Opened(_) | HealEvent::Joined(_) | HealEvent::Shadowed(_) | HealEvent::Held(_) => {}
        HealEvent::Verified(_) | HealEvent::Escalated(_) | HealEvent::Acknowledged(_) | HealEvent::ModeSet(_) => {}
    }
}

/// The newest runs of a component's remedies, by the remedy's name.
async fn runs(journal: &Journal, component: &ComponentId) -> Result<HashMap<RemedyKey, RunId>, LedgerError> {
    let wanted = Filter { kind: Some("run.submitted/1".into()), newest_first: true, ..Filter::default() };
    let mut runs = HashMap::new();
    for stored in journal.ledger().query(&wanted, RUNS_MAX).await? {
        let entry = entry_of(&stored)?;
        let text = |pointer: &str| entry.body.pointer(pointer).and_then(Value::as_str);
        if text("/context/component") == Some(component.as_str())
            && let Some(key) = text("/context/remedy_key")
            && let Some(run) = entry.stream.strip_prefix("run/").and_then(|id| id.parse().ok())
        {
            runs.entry(RemedyKey(key.to_owned())).or_insert(run);
        }
    }
    Ok(runs)
}
