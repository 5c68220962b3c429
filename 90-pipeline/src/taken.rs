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
use writ_core::{Actor, Event, IntentId, Plan, World};
use writ_intent::{IntentEvent, Regained, drift, stream};

/// The field of an intent of which a version was given up midway: the resources that it took away and did not put back.
pub(crate) const TAKEN: &str = "taken_away";

const LACKS: &str = "what is there is not all that it asks";

/// Names in a sentence, at the most.
const NAMED: usize = 8;

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

/// Whether part of what a plan asks is gone or other than it says, after a run was given up midway. What there is besides it is no
/// lack.
fn lacks(plan: &Plan, doc: &Value, run: &Run) -> bool {
    let taken = taken_with(doc, run);
    let changed = |resource: &String| {
        run.steps().any(|(step, cell)| step.resource == *resource && step.verb != REMOVE && is_left(cell))
    };
    plan.steps.iter().map(|step| &step.resource).any(|asked| taken.contains(asked) || changed(asked))
}

/// What is not there, or is other than a plan asks, as it was seen. What there is besides it is no lack.
fn amiss(plan: &Plan, seen: &World) -> Vec<String> {
    let steps = drift(plan, seen).plan.steps.into_iter().filter(|step| step.verb != REMOVE);
    steps.map(|step| step.resource).collect()
}

/// A few names, and how many there are besides.
fn named<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let few = names.take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{few} and {more} more") } else { few }
}

impl Pipeline {
    /// What the version in force lacks after a run that was given up midway, in words; none where all that it asks is there.
    pub(crate) async fn lacking(&self, over: &Ended, doc: &Value) -> Result<Option<String>, PipelineError> {
        let Some((_, plan)) = self.in_force(&over.run.submitted().intent, doc).await? else { return Ok(None) };
        // Where a version was given up before, part of it may stand still: what is seen decides.
        if taken_in(doc).is_none() && !lacks(&plan, doc, &over.run) {
            return Ok(None);
        }
        // What cannot be seen is as the run left it.
        let amiss = match &over.context.component {
            Some(component) => self.provider().observe(component).await.ok().map(|seen| amiss(&plan, &seen)),
            None => None,
        };
        Ok(match amiss {
            Some(amiss) if amiss.is_empty() => None,
            Some(amiss) => Some(format!("{LACKS}: {}", named(amiss.iter()))),
            None => Some(LACKS.to_owned()),
        })
    }

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

    /// The same at a start, of what is seen to be there: a run may have ended without this having been recorded. What a run has
    /// brought that is not over may be taken back by it yet. Whether there was any.
    pub(crate) async fn seen_back(&self, intent: &IntentId, doc: &Value) -> Result<bool, PipelineError> {
        if is_gone(doc) || taken_in(doc).is_none() {
            return Ok(false);
        }
        let Some(component) = self.held_by(intent).await? else { return Ok(false) };
        if self.drive().run_of(intent).or_else(|| self.drive().run_on(&component)).is_some() {
            return Ok(false);
        }
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
        let names = named(back.iter());
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
