//! What versions took away that were given up midway. It stays away until a version is in force again, or somebody brings it
//! back: a playbook that a person runs, or scaling under load. From then on it is healed like everything else.

use crate::apart::REMOVE;
use crate::commit::{Batch, CommitError, Expect};
use crate::drive::Ended;
use crate::holding::is_left;
use crate::pipeline::{Pipeline, PipelineError, is_gone};
use crate::submission::Ground;
use serde_json::Value;
use std::collections::BTreeSet;
use writ_automation::{Run, StepState};
use writ_core::{Actor, Event, IntentId};
use writ_intent::{IntentEvent, Regained, stream};

/// The field of an intent of which a version was given up midway: the resources that it took away and did not put back.
pub(crate) const TAKEN: &str = "taken_away";

/// The resources that versions took away that were given up midway; none while no version was.
pub(crate) fn taken_in(doc: &Value) -> Option<BTreeSet<String>> {
    let taken = doc.get(TAKEN)?.as_array()?;
    Some(taken.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect())
}

/// The same, after one more version was given up midway.
pub(crate) fn taken_with(doc: &Value, run: &Run) -> BTreeSet<String> {
    let mut taken = taken_in(doc).unwrap_or_default();
    for (step, _) in run.steps().filter(|(_, cell)| is_left(cell)) {
        if step.verb == REMOVE {
            taken.insert(step.resource.clone());
        } else {
            taken.remove(&step.resource);
        }
    }
    taken
}

impl Pipeline {
    /// What a run brought back of what was taken away is healed again, where the rest is.
    pub(crate) async fn brought_back(&self, over: &Ended) -> Result<(), PipelineError> {
        let brought = over.run.steps().filter(|(step, cell)| {
            step.verb != REMOVE && matches!(cell.state, StepState::Succeeded | StepState::Kept { .. })
        });
        let brought: BTreeSet<String> = brought.map(|(step, _)| step.resource.clone()).collect();
        let intent = &over.run.submitted().intent;
        if self.regained(intent, &brought).await? {
            // A removal that begins meanwhile would be watched.
            let _one_at_a_time = self.inner.leaving.lock().await;
            let doc = self.journal().doc("intents", intent.as_str()).await?.unwrap_or_default();
            self.watch(intent, &doc).await?;
        }
        Ok(())
    }

    /// The same at a start, of what is seen to be there: a run may have ended without this having been recorded. Whether there
    /// was any.
    pub(crate) async fn seen_back(&self, intent: &IntentId, doc: &Value) -> Result<bool, PipelineError> {
        if is_gone(doc) || taken_in(doc).is_none() {
            return Ok(false);
        }
        let Some(component) = self.held_by(intent).await? else { return Ok(false) };
        // What cannot be seen now is looked for at the next start.
        let Ok(world) = self.provider().observe(&component).await else { return Ok(false) };
        self.regained(intent, &world.resources.into_keys().collect()).await
    }

    /// Records what is there again of what was taken away. Whether there was any.
    async fn regained(&self, intent: &IntentId, there: &BTreeSet<String>) -> Result<bool, PipelineError> {
        let Ground { version: expected, .. } = self.ground(intent).await?;
        let doc = self.journal().doc("intents", intent.as_str()).await?.unwrap_or_default();
        let Some(taken) = taken_in(&doc) else { return Ok(false) };
        let (back, away): (BTreeSet<_>, BTreeSet<_>) = taken.into_iter().partition(|one| there.contains(one));
        if back.is_empty() {
            return Ok(false);
        }
        let names = back.into_iter().collect::<Vec<_>>().join(", ");
        let away = Some(away).filter(|away| !away.is_empty());
        let regained = Regained { intent: intent.clone(), summary: format!("there again: {names}"), taken_away: away };
        let draft = IntentEvent::Regained(regained).draft(&Actor::system("pipeline"));
        let expects = vec![Expect { stream: stream(intent), version: expected }];
        let batch = Batch { expects, ..Batch::of(vec![draft]) };
        match self.journal().commit(&self.journal().new_cause(), batch).await {
            Err(CommitError::Stale { .. }) => return Box::pin(self.regained(intent, there)).await,
            told => told?,
        };
        Ok(true)
    }
}
