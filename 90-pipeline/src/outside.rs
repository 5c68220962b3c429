//! The second door: a change that somebody else planned and carries out. It is judged, agreed to and permitted like any other;
//! only the effect is done by whoever asked for it, who takes the order from the desk and reports what came of it.

use crate::approvals::Principal;
use crate::commit::{Batch, CommitError};
use crate::context::{Origin, RunContext};
use crate::decided::{Decided, decisions_on};
use crate::desk::Taken;
use crate::drive::DriveError;
use crate::erase::{said_about, words};
use crate::grant::{AGENT, Barred, Scope};
use crate::pipeline::Pipeline;
use crate::scope::scope_in;
use crate::submission::version_in;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use writ_agents::RedeemRefused;
use writ_automation::{Gate as RunGate, HeldBy, OnFailure, Options, Run, RunState, Signal, StepState, Submission};
use writ_core::{
    Actor, Decision, Digest, Draft, EventId, IntentId, LedgerError, Outcome, Plan, RunId, Stage, StepKey, Timestamp,
    World,
};
use writ_intent::{Outside, OutsideRefused, OutsideWish, world_digest};
use writ_self_healing::RemedyAction;

/// How long a change may wait for people, and then for somebody to carry it out.
const START_WITHIN: Duration = Duration::from_secs(48 * 3_600);

/// How long somebody who asked counts as here after the last sign of it.
const HERE: Duration = Duration::from_secs(10);

/// How long an answer may be held back until there is something new.
const WAIT_MAX: Duration = Duration::from_secs(25);

/// How long whoever carries a change out may be silent.
const SILENT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// A change that somebody asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What is to be done.
    pub wish: OutsideWish,
    /// How long whoever carries it out may be silent before its outcome is unknown.
    pub silent: Duration,
    /// Whether whoever asks stays to carry it out.
    pub here: bool,
    /// Why, in their words; empty when they say nothing.
    pub reason: String,
}

/// Why a change is not begun, taken or ended.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// It cannot be judged.
    #[error("that cannot be judged")]
    Refused(#[from] OutsideRefused),
    /// Whoever asks may not, for that team or in that environment.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// The intent that it is said to serve is not there.
    #[error("there is no intent `{intent}`")]
    NoIntent {
        /// What was named.
        intent: IntentId,
    },
    /// Policy says no.
    #[error("`{action}` is denied")]
    Denied {
        /// The action.
        action: String,
        /// The report that says why.
        validation: Value,
        /// The entry that says so.
        entry: Option<EventId>,
    },
    /// Nobody may do it, ever or for now.
    #[error("nobody may do `{action}`: {because}")]
    Nobody {
        /// The action.
        action: String,
        /// Why not.
        because: String,
    },
    /// The run is not one of these.
    #[error("there is no outside change `{run}`")]
    Unknown {
        /// What was named.
        run: RunId,
    },
    /// Somebody else asked for it.
    #[error("`{run}` was asked for by somebody else; only they carry it out")]
    NotYours {
        /// The run.
        run: RunId,
    },
    /// There is no order to take.
    #[error("there is nothing to carry out: `{run}` is {phase}")]
    NoOrder {
        /// The run.
        run: RunId,
        /// Where it stands.
        phase: &'static str,
    },
    /// Another process took it.
    #[error("the order of `{run}` was taken before, by another process")]
    Taken {
        /// The run.
        run: RunId,
    },
    /// The permit does not hold any more.
    #[error("the permit does not hold any more")]
    Permit(#[from] RedeemRefused),
    /// What is said of the outcome does not fit together.
    #[error("the outcome does not fit together: {because}")]
    Outcome {
        /// Why not.
        because: String,
    },
    /// It came too late: the outcome had been given up for lost, or another one was said.
    #[error("the outcome came too late: `{run}` is {state}; what was said is {}", if *.recorded { "recorded" } else { "not recorded" })]
    Late {
        /// Whether what was said is an entry: not when the run is over.
        recorded: bool,
        /// The run.
        run: RunId,
        /// Where it stands.
        state: &'static str,
        /// The step whose outcome it is.
        step: StepKey,
    },
    /// The run.
    #[error("the run does not take it")]
    Drive(#[from] DriveError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
    /// Nothing could be recorded.
    #[error("the journal takes nothing")]
    Commit(#[from] CommitError),
}

impl Pipeline {
    /// Asks for a change that somebody else planned. It is judged; its run waits for people when policy says so, and then for
    /// whoever asked.
    ///
    /// # Errors
    /// When it cannot be judged, is denied (which is recorded), nobody may do it, or nothing could be recorded.
    pub async fn ask_outside(&self, asked: Asked, by: &Principal) -> Result<RunId, OutsideError> {
        let Asked { wish, silent, here, reason } = asked;
        if let Some(name) = wish.action.as_ref().filter(|name| RemedyAction::named(name).is_some()) {
            return Err(OutsideRefused::Reserved { name: name.clone() }.into());
        }
        let outside = Outside::new(wish, &self.setup().commands)?;
        let (version, digest, scope) = self.served(outside.intent()).await?;
        if by.must(AGENT, &scope).is_err() {
            by.must("operator", &scope)?;
        }
        let by = &by.within(&scope);
        let world = world_digest(&World::default());
        let plan = outside.plan(version, digest, world);
        let asked_for = RunContext::asked(Origin::Exec, None, &scope, by);
        let context = RunContext { outside: Some(outside.facts()), ..asked_for };
        let requester = Actor::human(&by.id);
        let now = self.journal().now();
        let decided = self.judge_outside(&outside, &plan, &requester, &context, now)?;
        let run = RunId::mint(now.millis(), self.journal().chance());
        let mut batch = Batch::default();
        let draft = judged(&mut batch, &run, &outside, &decided);
        batch.drafts.push(draft);
        if !reason.is_empty() {
            let (said, beside) = words(self.journal(), &said_about(run.as_str()), run.as_str(), &requester, &reason);
            batch.drafts.push(said);
            batch.erasables.push(beside);
        }
        let cause = self.journal().new_cause();
        if decided.judgement.verdict.decision == Decision::Deny {
            let receipt = self.journal().commit(&cause, batch).await?;
            let entry = receipt.entries.first().map(|entry| entry.event_id.clone());
            let (action, validation) = (outside.action().to_owned(), decided.judgement.validation());
            return Err(OutsideError::Denied { action, validation, entry });
        }
        let approval = decided.terms(self.journal(), now);
        let seed = self.journal().seed();
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let submission = Submission {
            gate: RunGate { approval, window_opens_at: None },
            options: Options {
                heartbeat_ms: Some(millis(silent.clamp(SILENT.0, SILENT.1))),
                start_timeout_ms: millis(START_WITHIN),
                ..Options::new(OnFailure::Stop, seed)
            },
            parent: None,
            plan: Arc::new(plan),
            requester,
            run: run.clone(),
            world,
        };
        if here {
            self.drive().desk().comes(&run, now.plus(HERE), now);
        }
        Ok(self.drive().begin(submission, context, &cause, batch).await?)
    }

    fn judge_outside(
        &self,
        outside: &Outside,
        plan: &Plan,
        requester: &Actor,
        context: &RunContext,
        now: Timestamp,
    ) -> Result<Decided, OutsideError> {
        let nobody = |because| OutsideError::Nobody { action: outside.action().to_owned(), because };
        let step = plan.steps.first().ok_or_else(|| nobody("its plan has no step".into()))?;
        let decided = self.gate().judge_step(None, step, &plan.intent, requester, context, now);
        decided.map_err(|none| nobody(none.because()))
    }

    /// Version and digest of the intent that a change serves, and whose it is; without one, it is of the whole installation.
    async fn served(&self, intent: Option<&IntentId>) -> Result<(u64, Digest, Scope), OutsideError> {
        let Some(id) = intent else { return Ok((0, Digest([0; 32]), Scope::whole())) };
        let doc = self.journal().doc("intents", id.as_str()).await?;
        let doc = doc.ok_or_else(|| OutsideError::NoIntent { intent: id.clone() })?;
        let text = |field: &str| doc.get(field).and_then(Value::as_str);
        let digest = text("digest").and_then(|digest| digest.parse().ok()).unwrap_or(Digest([0; 32]));
        Ok((version_in(&doc), digest, scope_in(&doc)))
    }

    /// Where an outside change stands, once it is elsewhere than `seen` or so much time has passed. With `here`, whoever asks
    /// would carry it out.
    ///
    /// # Errors
    /// When there is no such change, or the journal cannot be read.
    pub async fn outside(
        &self,
        run: &RunId,
        by: &Principal,
        here: bool,
        seen: Option<&str>,
        wait: Duration,
    ) -> Result<Value, OutsideError> {
        let clock = self.journal().base().clock.clone();
        let end = self.journal().now().plus(wait.min(WAIT_MAX));
        loop {
            let mut moves = self.drive().desk().moves();
            let mut watched = self.drive().watched(run);
            // From here on every change is heard of, the one during the look included.
            watched.iter_mut().for_each(tokio::sync::watch::Receiver::mark_unchanged);
            let (run_now, context) = self.outside_run(run).await?;
            let now = self.journal().now();
            if here && !run_now.state().is_over() {
                is_asker(&run_now, by)?;
                self.drive().desk().comes(run, end.plus(HERE), now);
                self.wake(&run_now).await?;
            }
            let phase = self.phase(&run_now);
            let Some(mut watched) =
                watched.filter(|_| seen == Some(phase) && now < end && !self.drive().desk().is_closing())
            else {
                return Ok(document(&run_now, &context, phase));
            };
            tokio::select! {
                _ = watched.changed() => {}
                _ = moves.changed() => {}
                () = clock.sleep(end.since(now)) => {}
            }
        }
    }

    /// Answers everybody who waits for news of an outside change: the process is about to end.
    pub fn keep_nobody_waiting(&self) {
        self.drive().desk().close();
    }

    /// A step that waited for somebody to come is asked for again.
    async fn wake(&self, run: &Run) -> Result<(), OutsideError> {
        let Some((step, cell)) = run.steps().next() else { return Ok(()) };
        let StepState::Held { hold, .. } = &cell.state else { return Ok(()) };
        if hold.by != HeldBy::NoAgent {
            return Ok(());
        }
        let signal = Signal::Unheld { step: step.key.clone() };
        match self.drive().tell(run.id(), signal, &Actor::system("pipeline")).await {
            Ok(()) | Err(DriveError::NotLive { .. } | DriveError::Refused { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn outside_run(&self, run: &RunId) -> Result<(Arc<Run>, Arc<RunContext>), OutsideError> {
        let unknown = || OutsideError::Unknown { run: run.clone() };
        let (found, context) = match self.drive().run(run).await {
            Err(DriveError::NotLive { .. }) => return Err(unknown()),
            found => found?,
        };
        if context.origin == Origin::Exec { Ok((found, context)) } else { Err(unknown()) }
    }

    /// Where a change stands, in the word that whoever carries it out goes by.
    pub(crate) fn phase(&self, run: &Run) -> &'static str {
        let state = run.steps().next().map(|(_, cell)| &cell.state);
        match (run.state(), state) {
            (state, _) if state.is_over() => "over",
            (RunState::AwaitingApproval(_), _) => "awaiting_approval",
            (RunState::NeedsOperator(_), _) => "needs_operator",
            (_, Some(StepState::AwaitingApproval { .. })) => "awaiting_approval",
            (_, Some(StepState::Ticketed(ticket))) => match self.drive().desk().place(run.id()) {
                Some(place) if place.order.ticket == ticket.id => match place.taken() {
                    Taken::Free => "offered",
                    Taken::By(_) => "taken",
                    Taken::Gone => "waiting",
                },
                Some(_) | None => "waiting",
            },
            (_, _) => "waiting",
        }
    }
}

/// Only whoever asked for a change carries it out.
pub(crate) fn is_asker(run: &Run, by: &Principal) -> Result<(), OutsideError> {
    if run.submitted().requester == Actor::human(&by.id) {
        return Ok(());
    }
    Err(OutsideError::NotYours { run: run.id().clone() })
}

/// The entry for what policy decided about a change, with the facts and what the change would do.
fn judged(batch: &mut Batch, run: &RunId, outside: &Outside, decided: &Decided) -> Draft {
    let verdict = &decided.judgement.verdict;
    let mut attachments = json!({"decision": batch.attach(decided.bytes.clone())});
    if let Some(changes) = outside.changes() {
        attachments["changes"] = json!(batch.attach(changes.to_string().into_bytes()));
    }
    let denied = verdict.decision == Decision::Deny;
    Draft {
        action: outside.action().to_owned(),
        actor: Actor::system("policy"),
        body: json!({
            "stage": Stage::Action, "decision": verdict.decision, "findings": verdict.findings,
            "digest": decided.digest, "attachments": attachments,
        }),
        kind: "policy.decided/1",
        outcome: if denied { Outcome::Denied } else { Outcome::Success },
        resource: outside.resource().to_owned(),
        stream: decisions_on(run),
    }
}

/// An outside change as a document.
pub(crate) fn document(run: &Run, context: &RunContext, phase: &'static str) -> Value {
    let submitted = run.submitted();
    let Some((step, cell)) = run.steps().next() else { return json!({"run": run.id()}) };
    let approval = run.pending().into_iter().next().map(|pending| pending.terms);
    let because = match (&cell.state, run.state()) {
        (StepState::Failed { because } | StepState::Unknown { because } | StepState::Skipped { because }, _) => {
            Some(because.clone())
        }
        (_, RunState::Expired { because } | RunState::Failed { because }) => Some(because.clone()),
        (_, _) => None,
    };
    let waiting = run.step_waiting(&step.key).or_else(|| run.waiting()).map(|waiting| waiting.sentence);
    json!({
        "run": run.id(), "phase": phase, "state": run.state().name().replace(' ', "_"),
        "over": run.state().is_over(), "begun": cell.started_at.is_some(), "because": because, "waiting": waiting,
        "approval": approval.as_ref().map(|terms| &terms.approval),
        "asks": approval.map(|terms| terms.quorums().map(|(role, count)| json!({"role": role, "count": count})).collect::<Vec<_>>()),
        "action": step.action_name, "resource": step.resource, "step": step.key, "requester": submitted.requester.id,
        "command": step.params.get("command"), "directory": step.params.get("directory"),
        "files": step.params.get("files"), "outside": context.outside,
        "silent_ms": submitted.options.heartbeat_ms,
        "outcome": cell.receipt.as_ref().map(|receipt| &receipt.detail),
    })
}
