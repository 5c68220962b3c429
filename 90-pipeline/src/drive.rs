//! Driving runs: a signal is decided upon, what was decided is recorded, and only then is it done.
//!
//! Each live run is a task that owns the run and its timers; everybody else has a handle. The gate is asked in memory while
//! the decision is made, so that a step's outcome and the start of the steps that waited for it share one commit.

use crate::approvals;
use crate::commit::{Batch, Cause, CommitError, Expect, STALE_MAX};
use crate::context::{Origin, RunContext};
use crate::desk::{Desk, alive_outside};
use crate::gate::{Gate, Issued};
use crate::held::{held, let_go};
use crate::journal::Journal;
use crate::live::{Task, refusal, told};
use crate::looked::{looked_at, noted};
pub(crate) use crate::record::live_in_journal;
use crate::record::{Kept, read, write};
use crate::safety;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use writ_agents::{RedeemRefused, TicketMove};
use writ_automation::{Decision, Refused, Run, RunEvent, RunState, Signal, Submission, ask_all, settle, submit};
use writ_core::{Actor, AgentId, ComponentId, Effect, IntentId, LedgerError, Permit, Plan, Provider, RunId};

/// Signals that may wait for one run; a sender beyond that waits.
const INBOX: usize = 256;

/// How long the first wait before that is; each further one is twice as long.
const STALE_WAIT: Duration = Duration::from_millis(1);

/// Why a run was not told something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DriveError {
    /// There is no such run, or it has ended.
    #[error("run `{run}` is not live")]
    NotLive {
        /// The run.
        run: RunId,
    },
    /// The signal does not fit the run.
    #[error("run `{run}` refuses it")]
    Refused {
        /// The run.
        run: RunId,
        /// Why.
        #[source]
        cause: Arc<Refused>,
    },
    /// Another change of the same component stands in the way.
    #[error("`{component}` is being changed by run `{run}`; wait for it, or cancel it")]
    Busy {
        /// What is being changed.
        component: ComponentId,
        /// The run that changes it, or waits to.
        run: RunId,
    },
    /// A change is over, and what it came to is not taken in yet.
    #[error("what a change of `{component}` came to is about to be recorded")]
    Unsettled {
        /// What was changed.
        component: ComponentId,
    },
    /// Nothing could be recorded, so nothing is done.
    #[error("run `{run}` cannot record what it decided")]
    Commit {
        /// The run.
        run: RunId,
        /// Why.
        #[source]
        cause: Arc<CommitError>,
    },
    /// The journal could not be read.
    #[error("run `{run}` cannot be read from the journal")]
    Read {
        /// The run.
        run: RunId,
        /// What is wrong.
        because: String,
    },
}

/// What a run is begun with when nobody has to agree and no window is waited for.
#[derive(Debug)]
pub struct RunSubmission;

impl RunSubmission {
    /// A run of a plan, which ends where it fails.
    #[must_use]
    pub fn of(run: RunId, plan: Plan, requester: Actor, world: writ_core::Digest) -> Submission {
        Submission {
            gate: writ_automation::Gate::default(),
            options: writ_automation::Options::new(writ_automation::OnFailure::Stop, 1),
            parent: None,
            plan: Arc::new(plan),
            requester,
            run,
            world,
        }
    }
}

/// A run that is over.
#[derive(Debug, Clone)]
pub struct Ended {
    /// What it was for.
    pub context: Arc<RunContext>,
    /// The run as it ended.
    pub run: Arc<Run>,
    /// The entry that says so.
    pub cause: Cause,
}

pub(crate) struct Told {
    pub(crate) signal: Signal,
    pub(crate) by: Actor,
    pub(crate) kept: Kept,
    /// Where the run must still stand: somebody looked at it there.
    pub(crate) seen: Option<Expect>,
    /// What the signal was made of, besides the run: it is not taken once any of that has moved.
    pub(crate) ground: Vec<Expect>,
    pub(crate) reply: Option<oneshot::Sender<Result<(), DriveError>>>,
}

impl Told {
    /// Something that nobody waits for the answer of.
    pub(crate) fn by_itself(signal: Signal, by: Actor) -> Self {
        Self { signal, by, kept: Kept::new(), seen: None, ground: Vec::new(), reply: None }
    }
}

struct Handle {
    context: Arc<RunContext>,
    inbox: mpsc::Sender<Told>,
    seen: watch::Receiver<Arc<Run>>,
}

pub(crate) struct Inner {
    pub(crate) journal: Journal,
    pub(crate) gate: Arc<Gate>,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) desk: Desk,
    live: Mutex<HashMap<RunId, Handle>>,
    /// Runs of one component begin one after the other.
    turns: Mutex<HashMap<ComponentId, Arc<tokio::sync::Mutex<()>>>>,
    ended: broadcast::Sender<Ended>,
}

impl Inner {
    fn turn(&self, component: &ComponentId) -> Arc<tokio::sync::Mutex<()>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).entry(component.clone()).or_default().clone()
    }

    fn live(&self) -> MutexGuard<'_, HashMap<RunId, Handle>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Drive::live_where`].
    pub(crate) fn live_where(&self, fits: impl Fn(&Run, &RunContext) -> bool) -> Vec<RunId> {
        let live = self.live();
        let fitting = live.iter().filter(|(_, handle)| fits(&handle.seen.borrow(), &handle.context));
        fitting.map(|(id, _)| id.clone()).collect()
    }

    /// What was granted is not used.
    pub(crate) fn revoke(&self, issued: &[Issued]) {
        for one in issued {
            self.gate.finish(&one.ticket, &one.agent, TicketMove::Revoke);
        }
    }

    /// Waits a little, for whoever changed what was read may not be done with it yet, and reads it again.
    pub(crate) async fn catch_up(&self, tries: u32) {
        self.journal.base().clock.sleep(STALE_WAIT * 2_u32.pow(tries)).await;
        if let Ok(safety) = safety::read(&self.journal).await {
            self.gate.state().learn(safety);
        }
    }
}

/// All live runs.
#[derive(Clone)]
pub struct Drive {
    inner: Arc<Inner>,
}

impl Drive {
    /// Nothing live yet.
    #[must_use]
    pub fn new(journal: Journal, gate: Arc<Gate>, provider: Arc<dyn Provider>) -> Self {
        let (ended, _) = broadcast::channel(1_024);
        let live = Mutex::new(HashMap::new());
        Self {
            inner: Arc::new(Inner { journal, gate, provider, desk: Desk::new(), live, turns: Mutex::default(), ended }),
        }
    }

    /// Runs as they end.
    #[must_use]
    pub fn ended(&self) -> broadcast::Receiver<Ended> {
        self.inner.ended.subscribe()
    }

    /// Begins a run and drives it from then on. `batch` is recorded along with it.
    ///
    /// # Errors
    /// When the plan cannot be run, or nothing could be recorded.
    pub async fn begin(
        &self,
        submission: Submission,
        context: RunContext,
        cause: &Cause,
        batch: Batch,
    ) -> Result<RunId, DriveError> {
        // What the gate grants counts a resource's holder up, also when the grant comes to nothing. Whoever would be refused must
        // not ask: the run that was faster would lose its own permits.
        let turn = context.component.as_ref().map(|component| self.inner.turn(component));
        let _alone = match &turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        if let Some(component) = &context.component {
            self.is_free(component, context.origin)?;
            self.is_left_alone(component, &context, &submission).await?;
        }
        self.is_current(&submission.run, &batch).await?;
        let mut tries = 0;
        loop {
            match self.try_begin(submission.clone(), context.clone(), cause, batch.clone()).await {
                // The gate's own reading was overtaken: what it granted on it is decided anew.
                Err(DriveError::Commit { cause, .. }) if self.gate_is_stale(&cause) && tries < STALE_MAX => {
                    self.inner.catch_up(tries).await;
                    tries += 1;
                }
                begun => return begun,
            }
        }
    }

    /// Refuses at once what could not be recorded.
    async fn is_current(&self, run: &RunId, batch: &Batch) -> Result<(), DriveError> {
        let ledger = self.inner.journal.ledger();
        for Expect { stream, version: expected } in &batch.expects {
            let read = |error: LedgerError| DriveError::Read { run: run.clone(), because: error.to_string() };
            let found = ledger.stream_version(stream).await.map_err(read)?;
            if found != *expected {
                let stale = CommitError::Stale { stream: stream.clone(), expected: *expected, found };
                return Err(DriveError::Commit { run: run.clone(), cause: Arc::new(stale) });
            }
        }
        Ok(())
    }

    fn gate_is_stale(&self, error: &CommitError) -> bool {
        let read = self.inner.gate.expects();
        // What passes by broken glass has read its stream besides.
        let is_glass = |stream: &str| self.inner.gate.state().glasses.knows(stream);
        let is_read = |stream: &str| read.iter().any(|one| one.stream == stream) || is_glass(stream);
        matches!(error, CommitError::Stale { stream, .. } if is_read(stream))
    }

    async fn try_begin(
        &self,
        mut submission: Submission,
        context: RunContext,
        cause: &Cause,
        mut batch: Batch,
    ) -> Result<RunId, DriveError> {
        let (id, by) = (submission.run.clone(), submission.requester.clone());
        let refused = |cause| DriveError::Refused { run: id.clone(), cause: Arc::new(cause) };
        let now = self.inner.journal.now();
        self.inner.gate.pass(&mut submission, &mut batch, now);
        let (mut run, mut decision) = submit(submission, now).map_err(refused)?;
        let context = Arc::new(context);
        let mut issued = Vec::new();
        let (inner, gate, desk) = (&self.inner, &self.inner.gate, &self.inner.desk);
        let mut ask = |run: &Run, ask: &writ_automation::Ask| {
            let held = desk.holds(run, ask, now).or_else(|| inner.in_the_way(run, &context, ask, now));
            held.or_else(|| gate.answer(run, ask, &context, now, &mut issued))
        };
        ask_all(&mut run, &mut decision, now, &mut ask).map_err(refused)?;
        let begins = batch.drafts.len();
        write(&mut batch, &decision, &issued, &by, Some(&context), &Kept::new());
        let version = (batch.drafts.len() - begins) as u64;
        batch.drafts.extend(approvals::drafts(&run, settle(&[], &run, &decision.events, now), now));
        batch.expects.push(Expect { stream: RunEvent::stream(&id), version: 0 });
        batch.expects.extend(gate.expects());
        gate.passed(&run, &issued, &mut batch, now);
        batch.drafts.extend(told(&id, &issued));
        let receipt = match self.inner.journal.commit(cause, batch).await {
            Ok(receipt) => receipt,
            Err(cause) => {
                self.inner.revoke(&issued);
                return Err(DriveError::Commit { run: id, cause: Arc::new(cause) });
            }
        };
        gate.state().glasses.saw(&receipt.entries);
        let cause = Cause { trace: cause.trace.clone(), event: receipt.last_event() };
        let task = self.task(run, context, cause, version);
        self.start(task, decision, issued);
        Ok(id)
    }

    /// Takes a run up again after a restart.
    ///
    /// # Errors
    /// When it cannot be read or recorded.
    pub async fn take_up(&self, id: &RunId) -> Result<(), DriveError> {
        let (run, context, cause, version) = read(&self.inner.journal, id).await?;
        let failed = |because: String| DriveError::Read { run: id.clone(), because };
        if run.state().is_over() {
            return Ok(());
        }
        let mut task = self.task(run, Arc::new(context), cause, version);
        // What is carried out elsewhere has lived on, if it was taken.
        let alive = alive_outside(&task.run);
        let recover = Told::by_itself(Signal::Recover { alive }, Actor::system("pipeline"));
        let taken = match task.turn(&recover).await {
            Ok(decided) => {
                self.inner.desk.take_up(&task).await.map(|()| decided).map_err(|error| failed(error.to_string()))
            }
            Err(error) => Err(error),
        };
        match taken {
            Ok((decision, issued)) => self.start(task, decision, issued),
            Err(error) => {
                // Nobody drives it.
                self.live().remove(id);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Tells a run something, and waits until it is recorded.
    ///
    /// # Errors
    /// When the run is not live or refuses it.
    pub async fn tell(&self, run: &RunId, signal: Signal, by: &Actor) -> Result<(), DriveError> {
        self.hand(run, Told::by_itself(signal, by.clone())).await
    }

    /// The same, with content that belongs to it.
    pub(crate) async fn tell_with(
        &self,
        run: &RunId,
        signal: Signal,
        by: &Actor,
        kept: Kept,
    ) -> Result<(), DriveError> {
        self.hand(run, Told { kept, ..Told::by_itself(signal, by.clone()) }).await
    }

    /// The same, of what was concluded from streams as they are: when one has moved, nothing is recorded, and whoever tells it has
    /// to conclude anew.
    pub(crate) async fn tell_while(
        &self,
        run: &RunId,
        signal: Signal,
        by: &Actor,
        ground: Vec<Expect>,
    ) -> Result<(), DriveError> {
        self.hand(run, Told { ground, ..Told::by_itself(signal, by.clone()) }).await
    }

    async fn hand(&self, run: &RunId, told: Told) -> Result<(), DriveError> {
        let mut tries = 0;
        loop {
            let commit = |cause| DriveError::Commit { run: run.clone(), cause: Arc::new(cause) };
            let held = held().await.map_err(commit)?;
            let ground: Vec<Expect> = told.ground.iter().chain(&held).cloned().collect();
            let (by, kept) = (told.by.clone(), told.kept.clone());
            let once = Told { ground, kept, ..Told::by_itself(told.signal.clone(), by) };
            let moved = |cause: &CommitError| matches!((cause, &held), (CommitError::Stale { stream, .. }, Some(held)) if *stream == held.stream);
            match self.hand_once(run, once).await {
                // They logged in meanwhile, or the like: whether they still may is asked anew.
                Err(DriveError::Commit { cause, .. }) if tries < STALE_MAX && moved(&cause) => tries += 1,
                answer => {
                    if answer.is_ok() {
                        let_go();
                    }
                    return answer;
                }
            }
        }
    }

    async fn hand_once(&self, run: &RunId, told: Told) -> Result<(), DriveError> {
        let not_live = || DriveError::NotLive { run: run.clone() };
        let inbox = self.live().get(run).map(|handle| handle.inbox.clone()).ok_or_else(not_live)?;
        let (reply, answer) = oneshot::channel();
        let stream = RunEvent::stream(run);
        // The run's task commits, not this one.
        let seen = looked_at().filter(|seen| seen.stream == stream);
        inbox.send(Told { seen, reply: Some(reply), ..told }).await.map_err(|_| not_live())?;
        let answer = answer.await.map_err(|_| not_live())?;
        match &answer {
            Ok(()) => noted(std::iter::once(stream.as_str()), &Ok(())),
            Err(DriveError::Commit { cause, .. }) => noted(std::iter::empty(), &Err::<(), _>((**cause).clone())),
            Err(DriveError::NotLive { .. } | DriveError::Refused { .. }) => {}
            Err(DriveError::Read { .. } | DriveError::Busy { .. } | DriveError::Unsettled { .. }) => {}
        }
        answer
    }

    /// The run as it is now: live from memory, ended from the journal.
    ///
    /// # Errors
    /// When the journal does not know it or cannot be read.
    pub async fn run(&self, id: &RunId) -> Result<(Arc<Run>, Arc<RunContext>), DriveError> {
        let (run, context, _, _) = read(&self.inner.journal, id).await?;
        let live = self.live().get(id).map(|handle| handle.seen.borrow().clone());
        Ok((live.unwrap_or_else(|| Arc::new(run)), Arc::new(context)))
    }

    /// The run as its entries tell it, whatever is in memory.
    ///
    /// # Errors
    /// When the journal does not know it or cannot be read.
    pub async fn recorded(&self, id: &RunId) -> Result<Run, DriveError> {
        read(&self.inner.journal, id).await.map(|(run, _, _, _)| run)
    }

    /// An agent asks to have an effect done. When the gate refuses, that is recorded.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub async fn redeem(&self, agent: &AgentId, effect: &Effect) -> Result<Permit, RedeemRefused> {
        let now = self.inner.journal.now();
        let checked = self.inner.gate.check(effect, now);
        if let Err(refused) = &checked {
            let cause = self.inner.journal.new_cause();
            refusal(&self.inner.journal, &cause, agent, (&effect.verb, &effect.resource), refused, now).await;
        }
        checked
    }

    /// What a live run shows of itself, and a way to wait for more.
    pub(crate) fn watched(&self, id: &RunId) -> Option<watch::Receiver<Arc<Run>>> {
        self.live().get(id).map(|handle| handle.seen.clone())
    }

    /// Where orders lie that somebody outside carries out.
    pub(crate) fn desk(&self) -> &Desk {
        &self.inner.desk
    }

    /// The ids of live runs.
    #[must_use]
    pub fn live_runs(&self) -> Vec<RunId> {
        self.live().keys().cloned().collect()
    }

    /// The state of a live run; none when it is not live.
    #[must_use]
    pub fn live_state(&self, run: &RunId) -> Option<RunState> {
        self.live().get(run).map(|handle| handle.seen.borrow().state().clone())
    }

    /// The live runs that fit, in no order. They are asked in memory: the journal is not read for any of them.
    pub(crate) fn live_where(&self, fits: impl Fn(&Run, &RunContext) -> bool) -> Vec<RunId> {
        self.inner.live_where(fits)
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The live run that carries an intent out; remedies under the same intent are not it.
    #[must_use]
    pub fn run_of(&self, intent: &IntentId) -> Option<RunId> {
        let carries_out = |context: &RunContext| context.origin.is_intents();
        self.live_where(|run, context| run.submitted().intent == *intent && carries_out(context)).pop()
    }

    /// The live run that takes an intent away.
    pub(crate) fn removal_of(&self, intent: &IntentId) -> Option<RunId> {
        let takes_away = |context: &RunContext| context.origin == Origin::Decommission;
        self.live_where(|run, context| run.submitted().intent == *intent && takes_away(context)).pop()
    }

    /// A live run that changes this component.
    pub(crate) fn run_on(&self, component: &ComponentId) -> Option<RunId> {
        self.live_where(|_, context| context.component.as_ref() == Some(component)).pop()
    }

    /// Whether a change of a component may begin beside those that are live. A playbook or a removal and another change that people
    /// asked for may not, also while people are asked about one: each was planned on a world without the other, and would undo it.
    /// Versions of an intent follow each other, and remedies give way by themselves.
    ///
    /// # Errors
    /// The run that stands in the way.
    pub(crate) fn is_free(&self, component: &ComponentId, origin: Origin) -> Result<(), DriveError> {
        let in_the_way =
            |_: &Run, other: &RunContext| other.component.as_ref() == Some(component) && origin.excludes(other.origin);
        match self.live_where(in_the_way).pop() {
            Some(run) => Err(DriveError::Busy { component: component.clone(), run }),
            None => Ok(()),
        }
    }

    /// Whether somebody's change of this component is being carried out: no remedy, and none that only waits for people.
    pub(crate) fn is_changing(&self, component: &ComponentId) -> bool {
        let changes = |run: &Run, context: &RunContext| {
            context.component.as_ref() == Some(component) && !context.origin.heals() && has_begun(run.state())
        };
        !self.live_where(changes).is_empty()
    }

    /// Waits until the first step of a live run may start. False when it never will.
    pub async fn begun(&self, id: &RunId) -> bool {
        let Some(mut seen) = self.live().get(id).map(|handle| handle.seen.clone()) else { return false };
        seen.wait_for(|run| has_begun(run.state())).await.is_ok_and(|run| !never_begins(run.state()))
    }

    /// Waits until a run is over or asks for an operator; none where it is not live.
    pub(crate) async fn until_asks(&self, id: &RunId) -> Option<Arc<Run>> {
        let mut seen = self.live().get(id).map(|handle| handle.seen.clone())?;
        let asks = |run: &Arc<Run>| run.state().is_over() || matches!(run.state(), RunState::NeedsOperator(_));
        let found = seen.wait_for(asks).await.ok()?;
        Some(found.clone())
    }

    /// Waits until a run is over, or not live for another reason.
    pub async fn wait(&self, id: &RunId) -> Option<Arc<Run>> {
        let mut seen = self.live().get(id).map(|handle| handle.seen.clone())?;
        let over = seen.wait_for(|run| run.state().is_over()).await;
        over.map(|run| run.clone()).ok().or_else(|| Some(seen.borrow().clone()))
    }

    /// Live runs of writ's own that have begun, or will by themselves, and are not over: they fail, or come to nothing, when the world
    /// is taken from under them.
    #[must_use]
    pub fn unfinished(&self) -> Vec<RunId> {
        let paused = |run: &Run| matches!(run.state(), RunState::Paused);
        self.live_where(|run, context| context.outside.is_none() && (goes_on(run) || paused(run)))
    }

    /// Those of them that come to an end with nobody's help.
    #[must_use]
    pub fn going_on(&self) -> Vec<RunId> {
        self.live_where(|run, context| context.outside.is_none() && goes_on(run))
    }

    /// Waits until none goes on.
    pub async fn finished(&self) {
        while let Some(id) = self.going_on().pop() {
            if let Some(mut seen) = self.watched(&id) {
                // A run whose task has ended goes on no more.
                drop(seen.wait_for(|run| !goes_on(run)).await);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Starts no more steps, and waits until the outcome of each that is under way is recorded. Live runs stay as they are:
    /// whoever opens the journal next takes them up.
    pub async fn rest(&self) {
        self.inner.gate.rest();
        let all: Vec<_> = self.live().values().map(|handle| handle.seen.clone()).collect();
        for mut seen in all {
            // A run that ends meanwhile has nothing under way.
            drop(seen.wait_for(|run| run.steps().all(|(_, cell)| !cell.state.in_flight())).await);
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<RunId, Handle>> {
        self.inner.live()
    }

    fn task(&self, run: Run, context: Arc<RunContext>, cause: Cause, version: u64) -> Task {
        let (sender, inbox) = mpsc::channel(INBOX);
        let (shown, seen) = watch::channel(Arc::new(run.clone()));
        self.live().insert(run.id().clone(), Handle { context: context.clone(), inbox: sender.clone(), seen });
        Task { inner: self.inner.clone(), run, context, cause, version, timers: BTreeMap::new(), inbox, sender, shown }
    }

    fn start(&self, mut task: Task, decision: Decision, issued: Vec<Issued>) {
        let drive = self.clone();
        tokio::spawn(async move {
            task.carry_out(decision.commands, issued);
            task.run().await;
            drive.live().remove(task.run.id());
            drive.inner.desk.forget(task.run.id());
            let over = Ended { context: task.context.clone(), run: Arc::new(task.run), cause: task.cause };
            if over.run.state().is_over() {
                // Nobody may be listening, as in a simulation of one run.
                drop(drive.inner.ended.send(over));
            }
        });
    }
}

/// Whether nothing stands before a run's first step any more.
pub(crate) fn has_begun(state: &RunState) -> bool {
    let before = [RunState::Submitted, RunState::Validated].contains(state);
    !before && !matches!(state, RunState::AwaitingApproval(_) | RunState::AwaitingWindow { .. })
}

/// Whether a run was over before its first step.
pub(crate) fn never_begins(state: &RunState) -> bool {
    matches!(state, RunState::Rejected | RunState::Expired { .. })
}

/// Whether a run is not over and waits for no person.
fn goes_on(run: &Run) -> bool {
    match run.state() {
        RunState::Submitted
        | RunState::Validated
        | RunState::Running
        | RunState::Pausing
        | RunState::Replanning(_)
        | RunState::Failing(_)
        | RunState::Compensating(_)
        | RunState::Cancelling(_) => true,
        RunState::AwaitingApproval(_)
        | RunState::AwaitingWindow { .. }
        | RunState::Paused
        | RunState::NeedsOperator(_)
        | RunState::Succeeded
        | RunState::RolledBack
        | RunState::Failed { .. }
        | RunState::Cancelled
        | RunState::Rejected
        | RunState::Expired { .. } => false,
    }
}
