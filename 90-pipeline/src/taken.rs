//! What versions took away that were given up midway. It stays away until a version is in force again, or somebody brings it
//! back: a playbook that a person runs, or scaling under load. From then on it is healed like everything else.

use crate::apart::{ENSURE, REMOVE, instances};
use crate::causes::error_chain;
use crate::commit::{Batch, CommitError, Expect};
use crate::drive::Ended;
use crate::holding::is_left;
use crate::pipeline::{Pipeline, PipelineError, is_gone, is_unwatched};
use crate::submission::{Ground, moved, state_in, version_in};
use serde_json::Value;
use std::collections::BTreeSet;
use writ_automation::{Run, StepState};
use writ_core::{Actor, ComponentId, Event, IntentId, Plan, World};
use writ_intent::{ENDED, IntentEvent, Regained, State, drift, is_instance, stream};

/// The field of an intent of which a version was given up midway: the resources that it took away and did not put back.
pub(crate) const TAKEN: &str = "taken_away";

const LACKS: &str = "what is there is not all that it asks";

/// Names in a sentence, at the most.
const NAMED: usize = 8;

/// The resources that versions took away that were given up midway; none while nothing is away.
pub(crate) fn taken_in(doc: &Value) -> Option<BTreeSet<String>> {
    let taken = doc.get(TAKEN)?.as_array()?;
    some(taken.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect())
}

fn some(taken: BTreeSet<String>) -> Option<BTreeSet<String>> {
    Some(taken).filter(|taken| !taken.is_empty())
}

/// The same, after one more version was given up midway.
pub(crate) fn taken_with(doc: &Value, run: &Run) -> Option<BTreeSet<String>> {
    let mut taken = taken_in(doc).unwrap_or_default();
    for (step, _) in run.steps().filter(|(_, cell)| is_left(cell)) {
        if step.verb == REMOVE {
            taken.insert(step.resource.clone());
        } else {
            taken.remove(&step.resource);
        }
    }
    some(taken)
}

/// Whether part of what a plan asks is gone or other than it says, after a run was given up midway. What there is besides it is no
/// lack.
fn lacks(plan: &Plan, taken: &BTreeSet<String>, run: &Run) -> bool {
    let changed = |resource: &String| {
        run.steps().any(|(step, cell)| step.resource == *resource && step.verb != REMOVE && is_left(cell))
    };
    plan.steps.iter().map(|step| &step.resource).any(|asked| taken.contains(asked) || changed(asked))
}

/// What is not there, or is other than a plan asks, as it was seen. What there is besides it is no lack, nor is an instance less than
/// it plans where scaling may keep so few, nor one that has ended, which healing sees to. What a version took away is.
fn amiss(plan: &Plan, seen: &World, taken: &BTreeSet<String>) -> Vec<String> {
    let mut seen = seen.clone();
    for found in seen.resources.values_mut().filter_map(Value::as_object_mut) {
        found.remove(ENDED);
    }
    let mut short = too_few(plan, &seen, taken);
    let asked = drift(plan, &seen).plan.steps.into_iter().filter(|step| step.verb != REMOVE);
    let lacking = asked.filter(|step| {
        let scaled = step.verb == ENSURE && !seen.resources.contains_key(&step.resource);
        if !scaled || taken.contains(&step.resource) {
            return true;
        }
        let counts = short > 0;
        short = short.saturating_sub(1);
        counts
    });
    lacking.map(|step| step.resource).collect()
}

/// How many instances fewer there are than scaling may keep, of those that no version took away.
fn too_few(plan: &Plan, seen: &World, taken: &BTreeSet<String>) -> usize {
    let planned = instances(plan).filter(|step| !taken.contains(&step.resource)).count();
    let scaling = plan.steps.iter().find(|step| step.verb == "scaling.configure");
    let least = scaling.and_then(|step| step.params.get("min")?.as_u64()?.try_into().ok()).unwrap_or(planned);
    least.min(planned).saturating_sub(seen.resources.keys().filter(|resource| is_instance(resource)).count())
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
        let intent = &over.run.submitted().intent;
        let plan = match self.in_force(intent, doc).await {
            Ok(Some((_, plan))) => plan,
            Ok(None) => return Ok(None),
            // The end is recorded all the same: else every start would stumble over it, and nothing new be taken.
            Err(unreadable @ PipelineError::Recorded { .. }) => return Ok(Some(error_chain(&unreadable))),
            Err(error) => return Err(error),
        };
        let taken = taken_with(doc, &over.run).unwrap_or_default();
        // Where a version was given up before, part of it may stand still: what is seen decides.
        if !lacks(&plan, &taken, &over.run) && !self.was_degraded_before(intent, State::Validating).await? {
            return Ok(None);
        }
        // What cannot be seen is as the run left it.
        let amiss = match &over.context.component {
            Some(component) => self.provider().observe(component).await.ok().map(|seen| amiss(&plan, &seen, &taken)),
            None => None,
        };
        Ok(match amiss {
            Some(amiss) if amiss.is_empty() => None,
            Some(amiss) => Some(format!("{LACKS}: {}", named(amiss.iter()))),
            None => Some(LACKS.to_owned()),
        })
    }

    /// What a run brought back of what was taken away is healed again, where the rest is; and an intent that lacks nothing any more
    /// is what it was.
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
        if self.intent_state(intent).await? == State::Degraded
            && let Some(component) = &over.context.component
        {
            self.whole_again(intent, component).await?;
        }
        Ok(())
    }

    /// The same at a start, of what is seen to be there: a run may have ended without this having been recorded. What a run has
    /// brought that is not over may be taken back by it yet. Whether there was any.
    pub(crate) async fn seen_back(&self, intent: &IntentId, doc: &Value) -> Result<bool, PipelineError> {
        if is_gone(doc) || (taken_in(doc).is_none() && state_in(doc) != State::Degraded) {
            return Ok(false);
        }
        let Some(component) = self.held_by(intent).await? else { return Ok(false) };
        if self.drive().run_of(intent).or_else(|| self.drive().run_on(&component)).is_some() {
            return Ok(false);
        }
        // What cannot be seen now is looked for at the next start.
        let Ok(seen) = self.provider().observe(&component).await else { return Ok(false) };
        let regained = self.regained(intent, &seen.resources.keys().cloned().collect()).await?;
        Ok(self.whole_again(intent, &component).await? || regained)
    }

    /// Records that an intent that was degraded is as it was, where nothing of it is seen to lack. Whether it is.
    async fn whole_again(&self, intent: &IntentId, component: &ComponentId) -> Result<bool, PipelineError> {
        let Ground { state, version: expected } = self.ground(intent).await?;
        let doc = self.journal().doc("intents", intent.as_str()).await?.unwrap_or_default();
        if state != State::Degraded || is_unwatched(&doc) {
            return Ok(false);
        }
        let Ok(Some((_, plan))) = self.in_force(intent, &doc).await else { return Ok(false) };
        // Looked at behind the ground: what changes from here on makes that another.
        let Ok(seen) = self.provider().observe(component).await else { return Ok(false) };
        if !amiss(&plan, &seen, &taken_in(&doc).unwrap_or_default()).is_empty() {
            return Ok(false);
        }
        let whole = moved(intent, version_in(&doc), state, State::Monitoring, "all that it asks is there again");
        let expects = vec![Expect { stream: stream(intent), version: expected }];
        match self.journal().commit(&self.journal().new_cause(), Batch { expects, ..Batch::of(vec![whole]) }).await {
            Err(CommitError::Stale { .. }) => Box::pin(self.whole_again(intent, component)).await,
            told => Ok(told.map(|_| true)?),
        }
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
