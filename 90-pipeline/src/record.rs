//! How a run stands in the journal: its decisions as entries, each with what it names, and its entries as the run they tell.

use crate::commit::{Batch, Cause};
use crate::context::RunContext;
use crate::drive::DriveError;
use crate::gate::Issued;
use crate::journal::Journal;
use serde_json::{Value, json};
use writ_automation::{Decision, FoldError, Readied, Run, RunEvent, What, decode};
use writ_core::{Actor, Draft, Entry, Event, LedgerError, Plan, RunId};

/// Documents read at once.
const PAGE: usize = 500;

/// A run with what it was for, its last entry and its stream's version, read from the journal.
pub(crate) async fn read(journal: &Journal, id: &RunId) -> Result<(Run, RunContext, Cause, u64), DriveError> {
    let failed = |because: String| DriveError::Read { run: id.clone(), because };
    let entries = journal.stream(&RunEvent::stream(id)).await.map_err(|error| failed(error.to_string()))?;
    let last = entries.last().ok_or_else(|| DriveError::NotLive { run: id.clone() })?;
    let cause = Cause::after(last);
    let version = last.version;
    let mut context = RunContext::default();
    let mut events = Vec::with_capacity(entries.len());
    for entry in &entries {
        if let Some(found) = entry.body.get("context") {
            context = serde_json::from_value(found.clone()).map_err(|error| failed(error.to_string()))?;
        }
        events.push(event_of(journal, entry).await.map_err(failed)?);
    }
    let run = Run::fold(&events).map_err(|error: FoldError| failed(error.to_string()))?;
    Ok((run, context, cause, version))
}

/// The event that an entry says, with its plan attached.
async fn event_of(journal: &Journal, entry: &Entry) -> Result<RunEvent, String> {
    let mut body = entry.body.clone();
    if let Value::Object(fields) = &mut body {
        for ours in ["attachments", "context", "glass"] {
            fields.remove(ours);
        }
    }
    let mut event = decode(&entry.kind, &body).map_err(|error| error.to_string())?;
    let mut wanted = None;
    event.attach(|digest| {
        wanted = Some(*digest);
        None
    });
    if let Some(digest) = wanted {
        let bytes = journal.ledger().attachment(&digest).await.map_err(|error: LedgerError| error.to_string())?;
        let bytes = bytes.ok_or_else(|| format!("plan {digest} is not attached"))?;
        let plan: Plan =
            serde_json::from_slice(&bytes).map_err(|error| format!("plan {digest} cannot be read: {error}"))?;
        event.attach(|_| Some(plan));
    }
    Ok(event)
}

/// Content that belongs to an answer, by what it is called.
pub(crate) type Kept = Vec<(&'static str, Vec<u8>)>;

/// Puts a decision's events into a batch, each with what it names; `kept` goes with what the answer made of its step.
pub(crate) fn write(
    batch: &mut Batch,
    decision: &Decision,
    issued: &[Issued],
    by: &Actor,
    context: Option<&RunContext>,
    kept: &Kept,
) {
    let answered = decision.events.iter().position(|event| event.step().is_some());
    for (at, event) in decision.events.iter().enumerate() {
        let mut draft = event.draft(&actor_of(event, by));
        let mut attached = serde_json::Map::new();
        if let Some((digest, plan)) = event.plan()
            && let Ok(bytes) =
                serde_json::to_value(plan).map_err(|_| ()).and_then(|plan| writ_seal::canonical(&plan).map_err(|_| ()))
        {
            batch.attachments.push((digest, bytes));
            attached.insert("plan".into(), json!(digest));
        }
        if let What::StepStarted(started) = &event.what
            && let Some(issued) = issued.iter().find(|issued| issued.ticket == started.ticket)
        {
            attached.insert("permit".into(), json!(batch.attach(issued.permit.0.clone().into_bytes())));
            attached.insert("decision".into(), json!(batch.attach(issued.decision.clone())));
            with_field(&mut draft, "glass", issued.glass.as_ref().map(|(id, _)| json!(id)));
        }
        for (name, bytes) in kept.iter().filter(|_| answered == Some(at)) {
            attached.insert((*name).to_owned(), json!(batch.attach(bytes.clone())));
        }
        with_field(&mut draft, "attachments", (!attached.is_empty()).then_some(Value::Object(attached)));
        let first = matches!(event.what, What::Submitted(_));
        with_field(&mut draft, "context", context.filter(|_| first).map(|context| json!(context)));
        batch.drafts.push(draft);
    }
}

fn with_field(draft: &mut Draft, name: &str, value: Option<Value>) {
    if let (Value::Object(fields), Some(value)) = (&mut draft.body, value) {
        fields.insert(name.to_owned(), value);
    }
}

/// Agents do steps; the requester or operator does what they asked for; the rest follows from rules.
fn actor_of(event: &RunEvent, by: &Actor) -> Actor {
    use What::{
        Approved, Cancelling, Failing, Pausing, Rejected, Replanning, Resumed, StepApproved, StepReadied, StepResolved,
        StepStarted, Submitted,
    };
    if let StepStarted(started) = &event.what {
        return Actor::agent(&started.agent);
    }
    let asked_for = matches!(event.what, Submitted(_) | Pausing(_) | Resumed(_) | Replanning(_) | Cancelling(_));
    let rolled_back = matches!(&event.what, Failing(body) if body.rollback);
    let retried = matches!(&event.what, StepReadied(body) if body.because == Readied::Retried);
    let ordered = asked_for || rolled_back || retried;
    let decided = matches!(event.what, Approved(_) | Rejected(_) | StepApproved(_) | StepResolved(_));
    let answered = event.step().is_some() && by.kind == writ_core::ActorKind::Agent;
    if ordered || decided || answered { by.clone() } else { Actor::system("pipeline") }
}

/// Runs that had not ended when the journal was last written.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn live_in_journal(journal: &Journal) -> Result<Vec<RunId>, LedgerError> {
    Ok(live(journal, "run/").await?.iter().filter_map(|id| id.parse().ok()).collect())
}

/// The ids of one sort of things that had not ended when the journal was last written.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn live(journal: &Journal, sort: &str) -> Result<Vec<String>, LedgerError> {
    let (mut ids, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = journal.ledger().views("live", sort, after.as_deref(), PAGE).await?;
        ids.extend(page.iter().filter_map(|(key, _)| key.strip_prefix(sort)).map(str::to_owned));
        match page.last() {
            Some((key, _)) if page.len() == PAGE => after = Some(key.clone()),
            _ => return Ok(ids),
        }
    }
}
