//! Taking an intent away: everything of it that is there, by a run like any other, asked for once under the name
//! `decommission_intent` and then step by step. Its component is healed no more from the first step on; its history stays.

use crate::approvals::Principal;
use crate::causes::error_chain;
use crate::commit::{Batch, CommitError, Expect};
use crate::context::{Origin, RunContext};
use crate::decided::Decided;
use crate::drive::{DriveError, Ended};
use crate::erase::{said_about, say, words};
use crate::gate::POLICY_STREAM;
use crate::grant::Scope;
use crate::holding::has_touched;
use crate::pipeline::{Pipeline, PipelineError, is_unwatched};
use crate::prepared::lines;
use crate::scope::scope_in;
use crate::submission::{UNWATCHED, in_force, moved, policy_decided, state_in, version_in};
use crate::submit::{HELD_MS_MAX, Whole};
use serde_json::{Value, json};
use std::sync::{Arc, PoisonError};
use writ_automation::{Cell, Gate as RunGate, Leg, OnFailure, Options, Run, RunState, Signal, StepState, Submission};
use writ_core::{
    Actor, ComponentId, Decision, Digest, Draft, IntentId, LedgerError, Plan, ProviderError, RunId, Stage,
};
use writ_intent::{Diff, State, decommission, diff_document, plan_digest, stream};
use writ_self_healing::Signal as HealSignal;

/// The name under which policy is asked whether an intent may be taken away.
const ACTION: &str = "decommission_intent";

/// What is said of an intent of which part was gone before it was to be taken away.
const BEFORE: &str = "part of what was there was taken away before";
const AS_BEFORE: &str = "not all that it asks, as before";

/// Why a remedy is over of which nobody knows what came.
const NO_MATTER: &str = "all of it is taken away, whatever came of this";

/// Why an intent stays.
#[derive(Debug, thiserror::Error)]
pub enum DecommissionError {
    /// There is no such intent.
    #[error("there is no intent `{intent}`")]
    Unknown {
        /// The intent.
        intent: IntentId,
    },
    /// It was taken away before.
    #[error("`{intent}` is archived: nothing of it is left")]
    Archived {
        /// The intent.
        intent: IntentId,
    },
    /// Something else is being done with it.
    #[error("`{intent}` is {state}; it can be taken away when nothing else is being done with it")]
    Busy {
        /// The intent.
        intent: IntentId,
        /// Where it stands.
        state: &'static str,
        /// What is under way, if a run is.
        run: Option<RunId>,
    },
    /// Nothing takes these things away.
    #[error("nothing takes away {}", .resources.join(", "))]
    Stuck {
        /// The things.
        resources: Vec<String>,
    },
    /// Nobody may do it.
    #[error("nobody may take `{intent}` away: {because}")]
    Nobody {
        /// The intent.
        intent: IntentId,
        /// Why.
        because: String,
    },
    /// Policy says no.
    #[error("taking `{intent}` away is denied")]
    Denied {
        /// The intent.
        intent: IntentId,
        /// What policy said.
        validation: Value,
    },
    /// What was looked at is no longer what would be done.
    #[error("what was to be taken away is no longer what is there: it was {planned}, and is {found}")]
    Stale {
        /// What was looked at.
        planned: Digest,
        /// What is there.
        found: Digest,
    },
    /// The world could not be looked at.
    #[error("the provider cannot say what is there")]
    Provider(#[from] ProviderError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
    /// Nothing could be recorded.
    #[error("the journal takes nothing")]
    Commit(#[from] CommitError),
    /// The run could not begin.
    #[error("the run cannot begin")]
    Drive(#[from] DriveError),
}

/// What taking an intent away would do.
#[derive(Debug, Clone)]
pub struct Removal {
    /// The intent.
    pub intent: IntentId,
    /// What would be done; none when nothing of it is there.
    pub diff: Option<Diff>,
    /// What policy says; `Allow` when nothing is there to be taken away.
    pub decision: Decision,
    component: Option<ComponentId>,
    scope: Scope,
    judged: Option<Decided>,
    state: State,
    version: u64,
}

impl Removal {
    /// The digest of what would be done.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.diff.as_ref().map(|diff| plan_digest(&diff.plan))
    }

    /// All of it as one document.
    #[must_use]
    pub fn document(&self) -> Value {
        let steps = self.diff.as_ref().map_or(&[][..], |diff| &diff.plan.steps);
        json!({
            "intent": self.intent, "version": self.version, "state": self.state, "decision": self.decision,
            "validation": self.judged.iter().map(|decided| decided.judgement.validation()).collect::<Vec<_>>(),
            "diff": self.diff.as_ref().map(|diff| diff_document(diff)["diff"].clone()),
            "digest": self.digest(), "text": lines(steps),
        })
    }
}

/// An intent that is being taken away.
#[derive(Debug, Clone)]
pub struct Leaving {
    /// What is done.
    pub removal: Removal,
    /// The run that does it; none when nothing was there, and the intent is archived already.
    pub run: Option<RunId>,
}

/// What policy knows the removal of an intent by.
pub(crate) fn whole(intent: &str) -> Whole<'_> {
    Whole { action: ACTION, resource: intent, verb: "intent.decommission" }
}

impl Pipeline {
    /// Works out what taking an intent away would do, and changes nothing. A denial is not an error here.
    ///
    /// # Errors
    /// When there is no such intent, something is being done with it, or what is there cannot be told or taken away.
    pub async fn prepare_decommission(&self, id: &IntentId, by: &Principal) -> Result<Removal, DecommissionError> {
        let doc = self.journal().doc("intents", id.as_str()).await?;
        let doc = doc.ok_or_else(|| DecommissionError::Unknown { intent: id.clone() })?;
        let state = state_in(&doc);
        let component = self.held_by(id).await?;
        if state == State::Archived {
            return Err(DecommissionError::Archived { intent: id.clone() });
        }
        let on_component = || component.as_ref().and_then(|component| self.drive().run_on(component));
        let run = self.drive().run_of(id).or_else(on_component);
        if run.is_some() || (state.to(State::Decommissioning).is_err() && state.to(State::Archived).is_err()) {
            return Err(DecommissionError::Busy { intent: id.clone(), state: state.word(), run });
        }
        let mut removal = Removal {
            intent: id.clone(),
            diff: None,
            decision: Decision::Allow,
            component,
            scope: scope_in(&doc),
            judged: None,
            state,
            version: version_in(&doc),
        };
        let Some(diff) = self.left_of(removal.component.as_ref(), &doc).await? else { return Ok(removal) };
        if !diff.stuck.is_empty() {
            return Err(DecommissionError::Stuck { resources: diff.stuck });
        }
        if state.to(State::Decommissioning).is_err() {
            return Err(DecommissionError::Busy { intent: id.clone(), state: state.word(), run: None });
        }
        let decided = self.judge_removal(&removal, &diff.plan, by)?;
        removal.decision = decided.judgement.verdict.decision.clone();
        removal.judged = Some(decided);
        removal.diff = Some(diff);
        Ok(removal)
    }

    /// What is there of an intent, as the plan that takes it away; none when that is nothing.
    async fn left_of(&self, component: Option<&ComponentId>, doc: &Value) -> Result<Option<Diff>, DecommissionError> {
        let Some(component) = component else { return Ok(None) };
        let digest = |pointer: &str| doc.pointer(pointer).and_then(Value::as_str)?.parse::<Digest>().ok();
        let Some(digest) = digest("/applied_plan").or_else(|| digest("/attachments/plan")) else { return Ok(None) };
        let bytes = self.journal().ledger().attachment(&digest).await?.unwrap_or_default();
        let Ok(plan) = serde_json::from_slice::<Plan>(&bytes) else { return Ok(None) };
        let diff = decommission(&plan, &self.provider().observe(component).await?);
        Ok(Some(diff).filter(|diff| !(diff.plan.steps.is_empty() && diff.stuck.is_empty())))
    }

    /// Asks policy about the whole, and then about the first step of each action, as the gate will when it is to start.
    fn judge_removal(&self, removal: &Removal, plan: &Plan, by: &Principal) -> Result<Decided, DecommissionError> {
        let intent = &removal.intent;
        let nobody = |because: String| DecommissionError::Nobody { intent: intent.clone(), because };
        self.judge_whole(&whole(intent.as_str()), plan, &Self::removal_context(removal, by), &Actor::human(&by.id))
            .map_err(nobody)
    }

    fn removal_context(removal: &Removal, by: &Principal) -> RunContext {
        RunContext::asked(Origin::Decommission, removal.component.clone(), &removal.scope, by)
    }

    /// Takes an intent away. With `planned`, only if that is still what would be done. One of which nothing is there is
    /// archived at once.
    ///
    /// # Errors
    /// As [`Pipeline::prepare_decommission`]; and when policy denies it, which is recorded, or nothing could be recorded.
    pub async fn decommission(
        &self,
        id: &IntentId,
        by: &Principal,
        planned: Option<Digest>,
        reason: &str,
    ) -> Result<Leaving, DecommissionError> {
        // In this order: when the intent moves in between, nothing can be recorded on the older version.
        let expected = self.journal().ledger().stream_version(&stream(id)).await?;
        let removal = self.prepare_decommission(id, by).await?;
        if let (Some(planned), Some(found)) = (planned, removal.digest())
            && planned != found
        {
            return Err(DecommissionError::Stale { planned, found });
        }
        let mut batch = Batch::default();
        let (actor, cause) = (Actor::human(&by.id), self.journal().new_cause());
        batch.expects.push(Expect { stream: stream(id), version: expected });
        batch.expects.push(Expect { stream: POLICY_STREAM.into(), version: self.gate().state().policy_version });
        let now = self.journal().now();
        let run = RunId::mint(now.millis(), self.journal().chance());
        let about = if removal.diff.is_some() { run.to_string() } else { id.to_string() };
        let (said, beside) = words(self.journal(), &said_about(&about), &about, &actor, reason);
        batch.drafts.push(said);
        batch.erasables.push(beside);
        let (Some(diff), Some(decided)) = (&removal.diff, &removal.judged) else {
            let mut archived = moved(id, removal.version, removal.state, State::Archived, "nothing of it is there");
            if let Value::Object(body) = &mut archived.body {
                body.extend(in_force(Default::default()));
            }
            batch.drafts.push(Draft { actor, ..archived });
            batch.drafts.extend(self.released(id).await?);
            self.journal().commit(&cause, batch).await?;
            return Ok(Leaving { removal, run: None });
        };
        let kept = batch.attach(decided.bytes.clone());
        batch.drafts.push(policy_decided(id, Stage::Action, decided, kept));
        if removal.decision == Decision::Deny {
            self.journal().commit(&cause, batch).await?;
            return Err(DecommissionError::Denied { intent: id.clone(), validation: decided.judgement.validation() });
        }
        let approval = decided.terms(self.journal(), now);
        // While people are asked, everything stays as it is.
        if approval.is_none() {
            batch.drafts.push(leaving(id, removal.version, removal.state, &actor));
        }
        let seed = self.journal().seed();
        let submission = Submission {
            gate: RunGate { approval, window_opens_at: None },
            options: Options { start_timeout_ms: HELD_MS_MAX, ..Options::new(OnFailure::Hold, seed) },
            parent: None,
            plan: Arc::new(diff.plan.clone()),
            requester: actor,
            run,
            world: diff.plan.world,
        };
        let run = self.drive().begin(submission, Self::removal_context(&removal, by), &cause, batch).await?;
        self.attend_removal(run.clone());
        Ok(Leaving { removal, run: Some(run) })
    }

    /// Leaves a component alone as soon as it is being taken away, and says where its intent stands.
    pub(crate) fn attend_removal(&self, run: RunId) {
        let pipeline = self.clone();
        tokio::spawn(async move {
            pipeline.drive().begun(&run).await;
            // Else its end could be settled in the midst of this, and be said to be undone by what comes after.
            let _one_at_a_time = pipeline.inner.leaving.lock().await;
            let Ok((found, context)) = pipeline.drive().run(&run).await else { return };
            let over = found.state().is_over();
            if over && (!has_touched(&found) || is_whole(&found)) {
                return;
            }
            if let Some(component) = &context.component {
                pipeline.leave(component).await;
            }
            if !over && let Err(error) = pipeline.is_leaving(&found).await {
                tracing::error!(error = &error as &dyn std::error::Error, %run, "where an intent stands was not recorded");
            }
        });
    }

    /// Heals a component no more: its incidents are over with it.
    async fn leave(&self, component: &ComponentId) {
        let healing = self.inner.healing.lock().unwrap_or_else(PoisonError::into_inner).remove(component);
        if let Some(healing) = healing {
            if let Err(because) = healing.tell(HealSignal::Left).await {
                tracing::warn!(%component, because, "the incidents of a component that is taken away stay open");
            }
            healing.stop().await;
        }
        // What it began would bring back what is taken away.
        let begun =
            |_: &Run, context: &RunContext| context.component.as_ref() == Some(component) && context.origin.heals();
        for run in self.drive().live_where(begun) {
            if let Err(because) = self.give_up(&run, &Actor::system("self-healing")).await {
                tracing::warn!(because, %run, "a remedy goes on where all is taken away");
            }
            let pipeline = self.clone();
            tokio::spawn(async move {
                if let Err(because) = pipeline.settle_remedy(&run).await {
                    tracing::warn!(because, %run, "a removal waits for a remedy of which nobody knows what came");
                }
            });
        }
    }

    /// Waits until a cancelled remedy is over where all is taken away. What nobody can find out of it does not matter any more: the
    /// removal finds what is there, and works on it under newer epochs.
    async fn settle_remedy(&self, run: &RunId) -> Result<(), String> {
        let by = Actor::system("self-healing");
        while let Some(found) = self.drive().until_asks(run).await {
            let unknown = found.steps().filter(|(_, cell)| matches!(cell.state, StepState::Unknown { .. }));
            let unknown: Vec<_> = unknown.map(|(step, _)| step.key.clone()).collect();
            if found.state().is_over() || unknown.is_empty() {
                return Ok(());
            }
            for step in unknown {
                let said = say(self.journal(), run.as_str(), &by, NO_MATTER).await;
                let reason = said.map_err(|error| error_chain(&error))?;
                self.heard(run, Signal::OperatorResolved { happened: false, reason, step }, &by).await?;
            }
            self.give_up(run, &by).await?;
        }
        Ok(())
    }

    /// Cancels a run, if it is not being cancelled; one that is over has said what became of it.
    async fn give_up(&self, run: &RunId, by: &Actor) -> Result<(), String> {
        self.heard(run, Signal::Cancel { compensate: false }, by).await
    }

    /// Tells a run something that it may have come beyond: cancelled already, over, or said by somebody at the same moment.
    async fn heard(&self, run: &RunId, signal: Signal, by: &Actor) -> Result<(), String> {
        match self.drive().tell(run, signal, by).await {
            Ok(()) | Err(DriveError::NotLive { .. } | DriveError::Refused { .. }) => Ok(()),
            Err(error) => Err(error_chain(&error)),
        }
    }

    /// Why an intent whose run has succeeded is not gone; none when nothing of it is there.
    async fn not_gone(&self, over: &Ended, doc: &Value) -> Option<String> {
        match self.left_of(over.context.component.as_ref(), doc).await {
            Ok(None) => None,
            Ok(Some(diff)) => {
                let left = diff.plan.steps.iter().map(|step| step.resource.as_str()).collect::<Vec<_>>();
                let left = if left.is_empty() { diff.stuck.join(", ") } else { left.join(", ") };
                Some(format!("the run succeeded, and there is again {left}"))
            }
            Err(error) => Some(format!("the run succeeded, and what is there cannot be told: {}", error_chain(&error))),
        }
    }

    async fn is_leaving(&self, run: &Run) -> Result<(), DecommissionError> {
        let submitted = run.submitted();
        let intent = &submitted.intent;
        let doc = self.journal().doc("intents", intent.as_str()).await?.unwrap_or_default();
        // What is taken away is all of it, whatever version it is of: numbers of versions only rise.
        let (state, version) = (state_in(&doc), version_in(&doc));
        if matches!(state, State::Decommissioning | State::Archived) || state.to(State::Decommissioning).is_err() {
            return Ok(());
        }
        let entries = self.journal().stream(&writ_automation::RunEvent::stream(run.id())).await?;
        let batch = Batch::of(vec![leaving(intent, version, state, &submitted.requester)]);
        self.journal().commit(&self.journal().cause_after(entries.last()), batch).await?;
        Ok(())
    }

    /// What the end of such a run means for its intent.
    pub(crate) async fn removal_ended(&self, over: &Ended) -> Result<(), PipelineError> {
        let _one_at_a_time = self.inner.leaving.lock().await;
        let submitted = over.run.submitted();
        let intent = &submitted.intent;
        let doc = self.journal().doc("intents", intent.as_str()).await?.unwrap_or_default();
        let (state, version) = (state_in(&doc), version_in(&doc));
        let mut drafts = Vec::new();
        if state != State::Decommissioning {
            if !has_touched(&over.run) || state.to(State::Decommissioning).is_err() {
                return Ok(());
            }
            drafts.push(leaving(intent, version, state, &submitted.requester));
        }
        let ended = format!("the run is {}", over.run.state().name());
        let becomes = |to, because: &str| moved(intent, version, State::Decommissioning, to, because);
        let unwatched = |mut draft: Draft| {
            draft.body[UNWATCHED] = json!(true);
            draft
        };
        let succeeded = *over.run.state() == RunState::Succeeded;
        let left = if succeeded { self.not_gone(over, &doc).await } else { None };
        if let Some(because) = left {
            drafts.push(unwatched(becomes(State::Failed, &because)));
        } else if succeeded {
            let mut gone = becomes(State::Archived, "all of it was taken away");
            if let Value::Object(body) = &mut gone.body {
                body.extend(in_force(Default::default()));
            }
            drafts.push(gone);
            drafts.extend(self.released(intent).await?);
        } else {
            let in_force = self.in_force(intent, &doc).await.ok().flatten();
            match (is_whole(&over.run), in_force) {
                // What was gone before is no more there than it was, and whom nobody watched is not watched for this.
                (true, Some(_)) if is_unwatched(&doc) => {
                    drafts.push(becomes(State::Degraded, &format!("{ended}; {BEFORE}, and nobody watches the rest")));
                }
                (true, Some(_)) if self.was_degraded(intent, state).await? => {
                    drafts.push(becomes(State::Degraded, &format!("{ended}, and what is there is {AS_BEFORE}")));
                }
                (true, Some(_)) => {
                    drafts.push(becomes(State::Recovering, &format!("{ended}, and all of it is there")));
                    drafts.push(moved(intent, version, State::Recovering, State::Monitoring, "it is watched"));
                }
                // Somebody wants to keep what is left. It is not watched: what is gone would be brought back.
                (false, Some(_)) if *over.run.state() == RunState::Cancelled => {
                    let because = format!("{ended}; part of it was taken away, and nobody watches the rest");
                    drafts.push(unwatched(becomes(State::Degraded, &because)));
                }
                (false, _) => {
                    let because = format!("{ended}; part of it was taken away");
                    drafts.push(unwatched(becomes(State::Failed, &because)));
                }
                (true, None) => drafts.push(becomes(State::Failed, &ended)),
            }
        }
        self.journal().commit(&over.cause, Batch::of(drafts)).await?;
        // What was put back, or never touched, is watched again as it was.
        let doc = self.journal().doc("intents", intent.as_str()).await?.unwrap_or_default();
        self.watch(intent, &doc).await
    }

    /// Whether an intent was degraded before it began to be taken away.
    async fn was_degraded(&self, intent: &IntentId, state: State) -> Result<bool, LedgerError> {
        if state != State::Decommissioning {
            return Ok(state == State::Degraded);
        }
        self.was_degraded_before(intent, State::Decommissioning).await
    }

    /// Whether an intent was degraded when it last went to a state.
    pub(crate) async fn was_degraded_before(&self, intent: &IntentId, to: State) -> Result<bool, LedgerError> {
        let entries = self.journal().stream(&stream(intent)).await?;
        let begun = entries.iter().rev().find(|entry| entry.body.get("to") == Some(&json!(to)));
        Ok(begun.is_some_and(|entry| entry.body.get("from") == Some(&json!(State::Degraded))))
    }
}

/// Whether all that such a run was to take away is there.
fn is_whole(run: &Run) -> bool {
    // What was not taken away is there; what was not put back is not.
    let is_there = |cell: &Cell| match &cell.state {
        StepState::Undone => true,
        StepState::Blocked | StepState::Ready | StepState::AwaitingApproval { .. } | StepState::Held { .. } => {
            cell.leg == Leg::Do && !cell.doubt
        }
        StepState::RetryWait { .. } | StepState::Failed { .. } | StepState::Skipped { .. } => {
            cell.leg == Leg::Do && !cell.doubt
        }
        StepState::Ticketed(_) | StepState::Probing { .. } | StepState::Unknown { .. } => false,
        StepState::Succeeded | StepState::Kept { .. } => false,
    };
    *run.state() == RunState::RolledBack || run.steps().all(|(_, cell)| is_there(cell))
}

/// The entry that says so, by whom it was asked for.
fn leaving(intent: &IntentId, version: u64, from: State, by: &Actor) -> Draft {
    Draft { actor: by.clone(), ..moved(intent, version, from, State::Decommissioning, "it is taken away") }
}
