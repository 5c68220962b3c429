//! What a pipeline does when it opens: it records what is new in its setup, and reads what the gate must know.

use crate::changes::Consent;
use crate::commit::{Batch, Expect};
use crate::deed::policies_set;
use crate::gate::{GateState, POLICY_STREAM};
use crate::journal::{Journal, decode as entry_of};
use crate::pipeline::{Pipeline, PipelineError, Setup};
use crate::safety;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use writ_agents::{AgentEvent, AgentMove, Decoded, Roster};
use writ_automation::{BREAKER_OPEN, BreakerMoved};
use writ_core::{Actor, Digest, Entry, Event, Filter, LedgerError, Timestamp};
use writ_policy::Bundle;

/// The policies in force. Those of the files are recorded when the journal has none, or nobody else has to agree; otherwise
/// the journal's stay.
pub(crate) async fn policies(journal: &Journal, setup: &Setup) -> Result<Arc<Bundle>, PipelineError> {
    let known = journal.stream(POLICY_STREAM).await?;
    let digest = setup.bundle.digest();
    let newest = known.last();
    if newest.and_then(|entry| entry.body.get("digest")) == Some(&json!(digest)) {
        return Ok(setup.bundle.clone());
    }
    if let Some(newest) = newest.filter(|_| setup.consent == Consent::Two) {
        return recorded(journal, newest).await.map(Arc::new);
    }
    let mut batch = Batch::default();
    let mut attachments = serde_json::Map::new();
    for (name, bytes) in &setup.policy_files {
        attachments.insert(name.clone(), json!(batch.attach(bytes.clone())));
    }
    batch.drafts.push(policies_set(digest, attachments.into(), &Actor::system("genesis")));
    batch.expects.push(Expect { stream: POLICY_STREAM.into(), version: known.len() as u64 });
    journal.commit(&journal.new_cause(), batch).await?;
    Ok(setup.bundle.clone())
}

/// The policies that an entry says are in force, from what is attached to it.
async fn recorded(journal: &Journal, set: &Entry) -> Result<Bundle, PipelineError> {
    let unreadable = |because: String| PipelineError::Recorded { of: "policies", because };
    let named: BTreeMap<String, Digest> = set
        .body
        .get("attachments")
        .and_then(|files| serde_json::from_value(files.clone()).ok())
        .ok_or_else(|| unreadable("the entry names no files".into()))?;
    let mut files = Vec::new();
    for (name, digest) in named {
        let bytes = journal.ledger().attachment(&digest).await?;
        let bytes = bytes.ok_or_else(|| unreadable(format!("`{name}` ({digest}) is missing")))?;
        files.push((name, bytes));
    }
    let named: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    Bundle::load(&named).map_err(|problems| {
        unreadable(problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; "))
    })
}

/// Records playbooks that the journal does not know yet. A version says the same for ever.
pub(crate) async fn publish_playbooks(journal: &Journal, setup: &Setup) -> Result<(), PipelineError> {
    for playbook in &setup.playbooks {
        let mut draft = playbook.published(&Actor::system("playbooks"));
        let known = journal.stream(&draft.stream).await?;
        let same = known.iter().find(|entry| entry.body.get("version") == draft.body.get("version"));
        if let Some(entry) = same {
            if entry.body.get("digest") == draft.body.get("digest") {
                continue;
            }
            return Err(PipelineError::Republished { id: playbook.id.clone(), version: playbook.version.to_string() });
        }
        let mut batch = Batch::default();
        draft.body["attachments"] = json!({"playbook": batch.attach(playbook.text.to_vec())});
        batch.expects.push(Expect { stream: draft.stream.clone(), version: known.len() as u64 });
        batch.drafts.push(draft);
        journal.commit(&journal.new_cause(), batch).await?;
    }
    Ok(())
}

/// The roster as it was recorded.
async fn roster(journal: &Journal) -> Result<Roster, PipelineError> {
    let mut events: BTreeMap<u64, AgentEvent> = BTreeMap::new();
    let mut from_seq = 0;
    loop {
        let wanted = Filter { kind: Some("agent.".into()), from_seq: Some(from_seq), ..Filter::default() };
        let page = journal.ledger().query(&wanted, 1_000).await?;
        for stored in &page {
            let entry = entry_of(stored)?;
            from_seq = entry.seq + 1;
            let decoded = writ_agents::decode(&entry.kind, &entry.body);
            let recorded = |because: String| PipelineError::Recorded { of: "agents", because };
            if let Decoded::Agent(event) = decoded.map_err(|error| recorded(error.to_string()))? {
                events.insert(entry.seq, event);
            }
        }
        if page.len() < 1_000 {
            return Ok(Roster::fold(events.values()));
        }
    }
}

/// Enrols agents that are new, and lets them begin.
pub(crate) async fn enrol_agents(journal: &Journal, setup: &Setup) -> Result<(), PipelineError> {
    for (spec, key) in &setup.agents {
        let known = roster(journal).await?;
        if known.get(&spec.id).is_some() {
            continue;
        }
        let refused =
            |error: writ_agents::RosterRefused| PipelineError::Recorded { of: "agents", because: error.to_string() };
        let at = journal.now();
        let agent = spec.with_key(&Digest(key.public_key()).hex());
        let event = |what| AgentEvent { agent: spec.id.clone(), at, what };
        let enrolled = event(known.enroll(agent).map_err(refused)?);
        let mut then = known.clone();
        then.apply(&enrolled);
        let active =
            event(then.change_state(&spec.id, AgentMove::Activate, "it lives in this process").map_err(refused)?);
        let by = Actor::system("genesis");
        journal.commit(&journal.new_cause(), Batch::of(vec![enrolled.draft(&by), active.draft(&by)])).await?;
    }
    Ok(())
}

/// What the gate knows, folded from the journal.
pub(crate) async fn gate_state(journal: &Journal, bundle: Arc<Bundle>) -> Result<GateState, PipelineError> {
    let mut state = GateState::new(bundle, roster(journal).await?, journal.now());
    state.policy_version = journal.ledger().stream_version(POLICY_STREAM).await?;
    state.learn(safety::read(journal).await?);
    let opened = journal.now().minus(2 * BREAKER_OPEN);
    let breakers = Filter { kind: Some("breaker.".into()), from_time: Some(opened), ..Filter::default() };
    for stored in journal.ledger().query(&breakers, 10_000).await? {
        let entry = entry_of(&stored)?;
        BreakerMoved::decode(&entry.kind, &entry.body).iter().for_each(|moved| state.breakers.apply(moved));
    }
    let mut after = None::<String>;
    loop {
        let page = journal.ledger().views("epochs", "", after.as_deref(), 1_000).await?;
        for (resource, doc) in &page {
            let doc: Value = serde_json::from_slice(doc).unwrap_or_default();
            let epoch = doc.get("epoch").and_then(Value::as_u64).unwrap_or(0);
            state.tickets.raise_epoch(resource, epoch);
        }
        match page.last() {
            Some((resource, _)) if page.len() == 1_000 => after = Some(resource.clone()),
            _ => break,
        }
    }
    let reach = state.bundle.looks_back();
    let missing = state.granted.reach(reach, journal.now());
    if let Some(span) = missing {
        let mut older = Vec::new();
        for Started { timestamp, action, resource, body } in started(journal, span.start, None).await? {
            state.tickets.raise_epoch(&resource, body.epoch);
            older.push((timestamp, action, resource));
        }
        state.granted.tell(span, older);
    }
    Ok(state)
}

impl Pipeline {
    /// Has the gate know what was granted as far back as these policies look, before they come into force.
    pub(crate) async fn look_back(&self, bundle: &Bundle) -> Result<(), LedgerError> {
        let missing = self.gate().state().granted.reach(bundle.looks_back(), self.journal().now());
        if let Some(span) = missing {
            let older = started(self.journal(), span.start, Some(span.end)).await?;
            let older = older.into_iter().map(|one| (one.timestamp, one.action, one.resource)).collect();
            self.gate().state().granted.tell(span, older);
        }
        Ok(())
    }
}

/// Steps that the gate is reminded of at the most, the newest.
const STARTED_MAX: usize = 1_000_000;

/// Steps that are read at once.
const PAGE: usize = 10_000;

/// The steps that were started from a time on, and before another one, oldest first.
async fn started(journal: &Journal, from: Timestamp, to: Option<Timestamp>) -> Result<Vec<Started>, LedgerError> {
    let kind = Some("run.step_started/1".into());
    let mut filter = Filter { kind, from_time: Some(from), to_time: to, ..Filter::default() };
    let mut found = Vec::new();
    loop {
        let page = journal.ledger().query(&filter, PAGE).await?;
        for stored in &page {
            let what = |error: serde_json::Error| LedgerError::Damaged {
                place: format!("entry {}", stored.seq),
                what: error.to_string(),
            };
            found.push(serde_json::from_slice(&stored.bytes).map_err(what)?);
        }
        match page.last() {
            Some(last) if page.len() == PAGE => filter.from_seq = Some(last.seq + 1),
            Some(_) | None => break,
        }
    }
    if found.len() > STARTED_MAX {
        tracing::warn!(steps = found.len(), "policy looks further back than the gate remembers");
        found.drain(..found.len() - STARTED_MAX);
    }
    Ok(found)
}

/// What the gate remembers of a step that was started. There may be many, so nothing else is read of them.
#[derive(Deserialize)]
struct Started {
    timestamp: Timestamp,
    action: String,
    resource: String,
    body: Holder,
}

#[derive(Deserialize)]
struct Holder {
    #[serde(default)]
    epoch: u64,
}
