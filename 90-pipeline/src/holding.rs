//! Which intent has a component: from the moment a version of it is accepted until nothing of it is left. A component is one
//! intent's at a time, and an intent has one component at a time: two that decided about one would undo each other, and one that
//! moved away would leave what it brought up to nobody.

use crate::commit::{Batch, Expect};
use crate::pipeline::{Pipeline, PipelineError};
use crate::submit::SubmitError;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use writ_automation::{Cell, Run, RunState, StepState};
use writ_core::{Actor, ComponentId, Draft, Entry, IntentId, LedgerError, Outcome};
use writ_intent::State;

/// How the streams begin that say whose a component is.
pub(crate) const HOLDING: &str = "holding/";

const BEGUN: &str = "holding.begun/1";
const ENDED: &str = "holding.ended/1";

/// The stream that says whose a component is.
fn stream(component: &ComponentId) -> String {
    format!("{HOLDING}{component}")
}

/// Components that are an intent's, by component.
pub(crate) fn holder_key(entry: &Entry) -> Option<String> {
    entry.stream.strip_prefix(HOLDING).map(str::to_owned)
}

/// The same by intent.
pub(crate) fn held_key(entry: &Entry) -> Option<String> {
    holder_key(entry)?;
    entry.body.get("intent")?.as_str().map(str::to_owned)
}

pub(crate) fn holding_next(entry: &Entry) -> Option<Value> {
    (entry.kind == BEGUN).then(|| entry.body.clone())
}

impl Pipeline {
    /// The intent that has a component.
    pub(crate) async fn holder(&self, component: &str) -> Result<Option<IntentId>, LedgerError> {
        let doc = self.journal().doc("holders", component).await?;
        Ok(doc.and_then(|doc| doc.get("intent")?.as_str()?.parse().ok()))
    }

    /// The component that an intent has.
    pub(crate) async fn held_by(&self, intent: &IntentId) -> Result<Option<ComponentId>, LedgerError> {
        let doc = self.journal().doc("held", intent.as_str()).await?;
        Ok(doc.and_then(|doc| doc.get("component")?.as_str()?.parse().ok()))
    }

    /// Whether an intent has a component already. It may not have it while it is somebody else's, or the intent has another.
    pub(crate) async fn may_hold(&self, intent: &IntentId, component: &ComponentId) -> Result<bool, SubmitError> {
        let (intent, component) = (intent.clone(), component.clone());
        if let Some(owner) = self.holder(component.as_str()).await?.filter(|owner| *owner != intent) {
            let state = self.intent_state(&owner).await?.word();
            return Err(SubmitError::Taken { intent, component, owner, state });
        }
        match self.held_by(&intent).await? {
            Some(held) if held != component => Err(SubmitError::Bound { intent, component, held }),
            held => Ok(held.is_some()),
        }
    }

    /// Has an intent hold a component from this commit on, which fails when anybody else took it meanwhile.
    pub(crate) async fn hold(
        &self,
        batch: &mut Batch,
        intent: &IntentId,
        component: &ComponentId,
    ) -> Result<(), SubmitError> {
        // In this order: when it moves in between, the version is an older one, and nothing can be recorded on it.
        let version = self.journal().ledger().stream_version(&stream(component)).await?;
        let held = self.may_hold(intent, component).await?;
        batch.expects.push(Expect { stream: stream(component), version });
        if !held {
            batch.drafts.push(said(BEGUN, "hold_component", intent, component));
        }
        Ok(())
    }

    /// The entries with which an intent has its component no more, and what people agreed to of its healing is over; none when it
    /// has none.
    pub(crate) async fn released(&self, intent: &IntentId) -> Result<Vec<Draft>, LedgerError> {
        let Some(component) = self.held_by(intent).await? else { return Ok(Vec::new()) };
        let mut drafts = self.modes_ended(&component).await?;
        drafts.push(said(ENDED, "release_component", intent, &component));
        Ok(drafts)
    }

    /// Has each intent of a journal from before holdings were recorded hold what it has: those in force or under way first, and
    /// then those of which something may be left.
    pub(crate) async fn find_holders(&self, intents: &[(IntentId, Value)]) -> Result<(), PipelineError> {
        let docs = self.journal().all_docs("held", "").await?;
        let mut held: BTreeSet<String> = docs.into_iter().map(|(intent, _)| intent).collect();
        let (mut found, platform) = (Vec::new(), self.platform());
        for id in self.drive().live_where(|_, context| context.origin.is_intents()) {
            let Ok((run, context)) = self.drive().run(&id).await else { continue };
            found.extend(context.component.clone().map(|component| (run.submitted().intent.clone(), component)));
        }
        let mut left = Vec::new();
        for (id, doc) in intents {
            if held.contains(id.as_str()) {
                continue;
            }
            let named = || doc.get("component").and_then(Value::as_str).and_then(|name| name.parse().ok());
            if let Some((intent, _)) = self.in_force(id, doc).await? {
                found.push((id.clone(), intent.component(&platform).clone()));
            }
            if doc.get("to") == Some(&json!(State::Failed)) {
                left.extend(named().map(|component| (id.clone(), component)));
            }
        }
        for (intent, component) in found.into_iter().chain(left) {
            if held.contains(intent.as_str()) || self.journal().ledger().stream_version(&stream(&component)).await? > 0
            {
                continue;
            }
            let expects = vec![Expect { stream: stream(&component), version: 0 }];
            let batch = Batch { expects, ..Batch::of(vec![said(BEGUN, "hold_component", &intent, &component)]) };
            self.journal().commit(&self.journal().new_cause(), batch).await?;
            held.insert(intent.to_string());
        }
        Ok(())
    }
}

/// Whether a run that brought nothing into force left nothing either.
pub(crate) fn left_nothing(run: &Run) -> bool {
    *run.state() == RunState::RolledBack || !run.steps().any(|(_, cell)| is_left(cell))
}

/// Whether what a step did was not taken back.
pub(crate) fn is_left(cell: &Cell) -> bool {
    cell.started_at.is_some() && cell.state != StepState::Undone
}

/// Whether a run has done anything yet.
pub(crate) fn has_touched(run: &Run) -> bool {
    run.steps().any(|(_, cell)| cell.started_at.is_some())
}

fn said(kind: &'static str, action: &str, intent: &IntentId, component: &ComponentId) -> Draft {
    Draft {
        action: action.into(),
        actor: Actor::system("pipeline"),
        body: json!({"component": component, "intent": intent}),
        kind,
        outcome: Outcome::Success,
        resource: component.to_string(),
        stream: stream(component),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_whose_a_component_is_stays_readable() {
        let (intent, component) = ("web".parse().unwrap(), "web-service-001".parse().unwrap());
        let held = said(BEGUN, "hold_component", &intent, &component);
        assert_eq!((held.kind, held.stream.as_str()), ("holding.begun/1", "holding/web-service-001"));
        assert_eq!(held.body.to_string(), r#"{"component":"web-service-001","intent":"web"}"#);
        assert_eq!(said(ENDED, "release_component", &intent, &component).kind, "holding.ended/1");
    }
}
