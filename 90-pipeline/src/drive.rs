//! Driving runs: a signal is decided upon, what was decided is recorded, and only then is it done.
//!
//! Each live run is a task that owns the run and its timers; everybody else has a handle. The gate is asked in memory while
//! the decision is made, so that a step's outcome and the start of the steps that waited for it share one commit.

use crate::approvals;
use crate::commit::{Batch, Cause, CommitError, Expect};
use crate::context::{Origin, RunContext};
use crate::gate::{Gate, Issued};
use crate::journal::Journal;
pub(crate) use crate::record::live_in_journal;
use crate::record::{read, write};
use crate::safety;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use writ_agents::{AgentChange, AgentEvent, RedeemRefused, Refusal, TicketMove};
use writ_automation::{
    Answer, BreakerMoved, Command, Decision, Order, Refused, Run, RunEvent, RunState, Says, Signal, Submission,
    TimerKey, ask_all, settle, submit, turn,
};
use writ_core::{
    Actor, AgentId, Delivery, Effect, Event, IntentId, Notifier, Permit, Plan, Provider, ProviderError, Receipt, RunId,
    TicketId, Timestamp, failpoint,
};

/// Signals that may wait for one run; a sender beyond that waits.
const INBOX: usize = 256;

/// How often a decision is made anew because something it read had changed, before the caller is told.
const STALE_MAX: u32 = 8;

/// How long the first wait before that is; each further one is twice as long.
const STALE_WAIT: Duration = Duration::from_millis(1);

/// When a signal that could not be recorded is taken up again.
const AGAIN: Duration = Duration::from_secs(1);

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

struct Told {
    signal: Signal,
    by: Actor,
    reply: Option<oneshot::Sender<Result<(), DriveError>>>,
}

struct Handle {
    inbox: mpsc::Sender<Told>,
    seen: watch::Receiver<Arc<Run>>,
}

struct Inner {
    journal: Journal,
    gate: Arc<Gate>,
    provider: Arc<dyn Provider>,
    notifier: Arc<dyn Notifier>,
    live: Mutex<HashMap<RunId, Handle>>,
    ended: broadcast::Sender<Ended>,
}

impl Inner {
    /// What was granted is not used.
    fn revoke(&self, issued: &[Issued]) {
        for one in issued {
            self.gate.finish(&one.ticket, &one.agent, TicketMove::Revoke);
        }
    }

    /// Waits a little, for whoever changed what was read may not be done with it yet, and reads it again.
    async fn catch_up(&self, tries: u32) {
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
    pub fn new(journal: Journal, gate: Arc<Gate>, provider: Arc<dyn Provider>, notifier: Arc<dyn Notifier>) -> Self {
        let (ended, _) = broadcast::channel(1_024);
        Self { inner: Arc::new(Inner { journal, gate, provider, notifier, live: Mutex::new(HashMap::new()), ended }) }
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

    fn gate_is_stale(&self, error: &CommitError) -> bool {
        let read = self.inner.gate.expects();
        matches!(error, CommitError::Stale { stream, .. } if read.iter().any(|expect| expect.stream == *stream))
    }

    async fn try_begin(
        &self,
        submission: Submission,
        context: RunContext,
        cause: &Cause,
        mut batch: Batch,
    ) -> Result<RunId, DriveError> {
        let (id, by) = (submission.run.clone(), submission.requester.clone());
        let refused = |cause| DriveError::Refused { run: id.clone(), cause: Arc::new(cause) };
        let now = self.inner.journal.now();
        let (mut run, mut decision) = submit(submission, now).map_err(refused)?;
        let context = Arc::new(context);
        let mut issued = Vec::new();
        let gate = &self.inner.gate;
        let mut ask = |run: &Run, ask: &writ_automation::Ask| gate.answer(run, ask, &context, now, &mut issued);
        ask_all(&mut run, &mut decision, now, &mut ask).map_err(refused)?;
        let begins = batch.drafts.len();
        write(&mut batch, &decision, &issued, &by, Some(&context));
        let version = (batch.drafts.len() - begins) as u64;
        batch.drafts.extend(approvals::drafts(&run, settle(&[], &run, &decision.events, now), now));
        batch.expects.push(Expect { stream: RunEvent::stream(&id), version: 0 });
        batch.expects.extend(gate.expects());
        let receipt = match self.inner.journal.commit(cause, batch).await {
            Ok(receipt) => receipt,
            Err(cause) => {
                self.inner.revoke(&issued);
                return Err(DriveError::Commit { run: id, cause: Arc::new(cause) });
            }
        };
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
        if run.state().is_over() {
            return Ok(());
        }
        let mut task = self.task(run, Arc::new(context), cause, version);
        let recovered = task.turn(Signal::Recover { alive: BTreeSet::new() }, &Actor::system("pipeline")).await?;
        self.start(task, recovered.0, recovered.1);
        Ok(())
    }

    /// Tells a run something, and waits until it is recorded.
    ///
    /// # Errors
    /// When the run is not live or refuses it.
    pub async fn tell(&self, run: &RunId, signal: Signal, by: &Actor) -> Result<(), DriveError> {
        let not_live = || DriveError::NotLive { run: run.clone() };
        let inbox = self.live().get(run).map(|handle| handle.inbox.clone()).ok_or_else(not_live)?;
        let (reply, answer) = oneshot::channel();
        inbox.send(Told { signal, by: by.clone(), reply: Some(reply) }).await.map_err(|_| not_live())?;
        answer.await.map_err(|_| not_live())?
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

    /// The ids of live runs.
    #[must_use]
    pub fn live_runs(&self) -> Vec<RunId> {
        self.live().keys().cloned().collect()
    }

    /// The live run that carries an intent out; remedies under the same intent are not it.
    pub async fn run_of(&self, intent: &IntentId) -> Option<RunId> {
        for id in self.live_runs() {
            if let Ok((run, context)) = self.run(&id).await
                && run.submitted().intent == *intent
                && matches!(context.origin, Origin::Intent | Origin::Feedback)
            {
                return Some(id);
            }
        }
        None
    }

    /// Waits until the first step of a live run may start. False when it never will.
    pub async fn begun(&self, id: &RunId) -> bool {
        let Some(mut seen) = self.live().get(id).map(|handle| handle.seen.clone()) else { return false };
        seen.wait_for(|run| has_begun(run.state())).await.is_ok_and(|run| !never_begins(run.state()))
    }

    /// Waits until a run is over, or not live for another reason.
    pub async fn wait(&self, id: &RunId) -> Option<Arc<Run>> {
        let mut seen = self.live().get(id).map(|handle| handle.seen.clone())?;
        let over = seen.wait_for(|run| run.state().is_over()).await;
        over.map(|run| run.clone()).ok().or_else(|| Some(seen.borrow().clone()))
    }

    fn live(&self) -> MutexGuard<'_, HashMap<RunId, Handle>> {
        self.inner.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn task(&self, run: Run, context: Arc<RunContext>, cause: Cause, version: u64) -> Task {
        let (sender, inbox) = mpsc::channel(INBOX);
        let (shown, seen) = watch::channel(Arc::new(run.clone()));
        self.live().insert(run.id().clone(), Handle { inbox: sender.clone(), seen });
        Task { inner: self.inner.clone(), run, context, cause, version, timers: BTreeMap::new(), inbox, sender, shown }
    }

    fn start(&self, mut task: Task, decision: Decision, issued: Vec<Issued>) {
        let drive = self.clone();
        tokio::spawn(async move {
            task.carry_out(decision.commands, issued);
            task.run().await;
            drive.live().remove(task.run.id());
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

/// One live run.
struct Task {
    inner: Arc<Inner>,
    run: Run,
    context: Arc<RunContext>,
    cause: Cause,
    version: u64,
    timers: BTreeMap<TimerKey, Timestamp>,
    inbox: mpsc::Receiver<Told>,
    sender: mpsc::Sender<Told>,
    shown: watch::Sender<Arc<Run>>,
}

impl Task {
    async fn run(&mut self) {
        while !self.run.state().is_over() {
            let told = self.next().await;
            let outcome = self.turn(told.signal.clone(), &told.by).await;
            let answer = match outcome {
                Ok((decision, issued)) => {
                    self.carry_out(decision.commands, issued);
                    Ok(())
                }
                Err(error) => Err(error),
            };
            let closed = matches!(&answer, Err(DriveError::Commit { cause, .. }) if matches!(**cause, CommitError::Closed { .. }));
            if let Err(error) = &answer
                && told.reply.is_none()
            {
                tracing::warn!(run = %self.run.id(), error = error as &dyn std::error::Error, "a signal was not taken");
                if !closed && matches!(error, DriveError::Commit { .. }) {
                    self.again(told.signal, told.by);
                }
            } else if let Some(reply) = told.reply {
                drop(reply.send(answer));
            }
            if closed {
                // Without a journal nothing is done; services keep running.
                return;
            }
        }
    }

    /// What nobody waits for the answer of must not get lost: no timer fires twice by itself.
    fn again(&self, signal: Signal, by: Actor) {
        let (clock, sender) = (self.inner.journal.base().clock.clone(), self.sender.clone());
        tokio::spawn(async move {
            clock.sleep(AGAIN).await;
            // A run that is gone needs no telling.
            drop(sender.send(Told { signal, by, reply: None }).await);
        });
    }

    /// The next signal: what was told, or a timer that is due.
    async fn next(&mut self) -> Told {
        loop {
            let now = self.inner.journal.now();
            let first = self.timers.iter().min_by_key(|(_, at)| **at).map(|(key, at)| (key.clone(), *at));
            let Some((key, at)) = first else {
                match self.inbox.recv().await {
                    Some(told) => return told,
                    None => continue, // The task holds a sender itself, so this does not happen.
                }
            };
            if at <= now {
                self.timers.remove(&key);
                return Told { signal: Signal::TimerFired(key), by: Actor::system("clock"), reply: None };
            }
            let clock = self.inner.journal.base().clock.clone();
            tokio::select! {
                biased; // What is said first is heard first, in every replay.
                Some(told) = self.inbox.recv() => return told,
                () = clock.sleep(at.since(now)) => {}
            }
        }
    }

    /// Decides and records. When something that was read has changed meanwhile, decides anew.
    async fn turn(&mut self, signal: Signal, by: &Actor) -> Result<(Decision, Vec<Issued>), DriveError> {
        let id = self.run.id().clone();
        let breaker = self.heard(&signal);
        let mut tries = 0;
        loop {
            let now = self.inner.journal.now();
            let (gate, context) = (&self.inner.gate, &self.context);
            let mut issued = Vec::new();
            let before = self.run.pending();
            let mut ask = |run: &Run, ask: &writ_automation::Ask| gate.answer(run, ask, context, now, &mut issued);
            let decided = turn(&mut self.run, signal.clone(), now, &mut ask);
            let decision = decided.map_err(|cause| DriveError::Refused { run: id.clone(), cause: Arc::new(cause) })?;
            // What the gate granted and the run did not take is worth nothing.
            let untaken = |one: &Issued| decision.refused.iter().any(|(step, _)| *step == one.step);
            let (lost, issued): (Vec<Issued>, Vec<Issued>) = issued.into_iter().partition(untaken);
            self.inner.revoke(&lost);
            if decision.events.is_empty() {
                return Ok((decision, issued));
            }
            let mut batch = Batch::default();
            write(&mut batch, &decision, &issued, by, None);
            let version = self.version + batch.drafts.len() as u64;
            let settled = settle(&before, &self.run, &decision.events, now);
            batch.drafts.extend(approvals::drafts(&self.run, settled, now));
            batch.drafts.extend(breaker.iter().map(|moved| moved.draft(&Actor::system("pipeline"))));
            batch.expects.push(Expect { stream: RunEvent::stream(&id), version: self.version });
            if !issued.is_empty() {
                batch.expects.extend(gate.expects());
            }
            match self.inner.journal.commit(&self.cause, batch).await {
                Ok(receipt) => {
                    self.version = version;
                    breaker.iter().for_each(|moved| gate.state().breakers.apply(moved));
                    self.cause.event = receipt.last_event();
                    self.shown.send_replace(Arc::new(self.run.clone()));
                    return Ok((decision, issued));
                }
                Err(CommitError::Stale { .. }) if tries < STALE_MAX => {
                    self.inner.revoke(&issued);
                    self.inner.catch_up(tries).await;
                    tries += 1;
                    let (run, _, cause, version) = read(&self.inner.journal, &id).await?;
                    (self.run, self.cause, self.version) = (run, cause, version);
                }
                Err(cause) => {
                    // What was applied to the run in memory is not recorded: forget it.
                    self.inner.revoke(&issued);
                    if let Ok((run, _, _, _)) = read(&self.inner.journal, &id).await {
                        self.run = run;
                    }
                    return Err(DriveError::Commit { run: id, cause: Arc::new(cause) });
                }
            }
        }
    }

    /// What an answer to the ticket in force means for the breaker of its verb. What was refused for good says nothing about
    /// the provider.
    fn heard(&self, signal: &Signal) -> Option<BreakerMoved> {
        let Signal::Answered(answer) = signal else { return None };
        let worked = match &answer.says {
            Says::Done { .. } => true,
            Says::Failed { retryable: true, .. } | Says::Unclear { .. } => false,
            Says::Failed { retryable: false, .. } => return None,
        };
        let (_, cell) = self.run.step(&answer.step)?;
        cell.ticket.as_ref().filter(|ticket| ticket.id == answer.ticket)?;
        let deed = self.run.deed(&answer.step, cell.leg)?;
        self.inner.gate.heard(&deed, worked, self.inner.journal.now())
    }

    /// Does what was decided, now that it is durable.
    fn carry_out(&mut self, commands: Vec<Command>, issued: Vec<Issued>) {
        let mut issued: HashMap<TicketId, Issued> = issued.into_iter().map(|one| (one.ticket.clone(), one)).collect();
        for command in commands {
            match command {
                Command::Perform(order) => {
                    if let Some(issued) = issued.remove(&order.ticket) {
                        self.perform(order, issued);
                    }
                }
                Command::Probe(order) => self.probe(order),
                Command::SetTimer { at, key } => drop(self.timers.insert(key, at)),
                // It was asked in the same commit; who is to answer finds it among the approvals.
                Command::AskApproval { .. } => {}
                Command::Observe => self.observe(),
                Command::Notify { text } => tracing::warn!(run = %self.run.id(), text, "a run needs somebody"),
                Command::RunEnded { .. } => {}
            }
        }
    }

    /// An agent in this process redeems its permit and carries the effect out.
    fn perform(&self, order: Order, issued: Issued) {
        self.tell_people(&issued);
        let (inner, sender) = (self.inner.clone(), self.sender.clone());
        let (by, cause) = (Actor::agent(&issued.agent), self.cause.clone());
        tokio::spawn(async move {
            let now = inner.journal.now();
            let says = match inner.gate.redeem(&issued, now) {
                Ok(effect) => match order_out(&*inner.provider, &effect).await {
                    Ok(receipt) => Says::Done { receipt },
                    Err(error) => says_of(error),
                },
                Err(refused) => {
                    let about = (issued.verb.as_str(), issued.resource.as_str());
                    refusal(&inner.journal, &cause, &issued.agent, about, &refused, now).await;
                    Says::Failed { because: refused.to_string(), retryable: false }
                }
            };
            let how = if matches!(says, Says::Done { .. }) { TicketMove::Complete } else { TicketMove::Fail };
            inner.gate.finish(&issued.ticket, &issued.agent, how);
            let answer = Answer { says, epoch: order.epoch, step: order.step, ticket: order.ticket };
            // A run that is gone has ended without this answer, or the process is about to.
            drop(sender.send(Told { signal: Signal::Answered(answer), by, reply: None }).await);
        });
    }

    /// Policy wants people told; nobody waits for that.
    fn tell_people(&self, issued: &Issued) {
        for channel in &issued.notify {
            let delivery = Delivery {
                channel: channel.clone(),
                key: format!("{}/{channel}", issued.key.0),
                subject: format!("{} on {} begins", issued.verb, issued.resource),
                text: format!("run `{}`, step `{}`, by `{}`", self.run.id(), issued.step, issued.agent),
            };
            let notifier = self.inner.notifier.clone();
            tokio::spawn(async move {
                if let Err(error) = notifier.notify(&delivery).await {
                    tracing::error!(error = &error as &dyn std::error::Error, "nobody was told");
                }
            });
        }
    }

    fn probe(&self, order: Order) {
        let Some(deed) = self.run.deed(&order.step, order.leg) else { return };
        let (verb, resource) = (deed.verb.to_owned(), deed.resource.to_owned());
        let (inner, sender) = (self.inner.clone(), self.sender.clone());
        tokio::spawn(async move {
            let answer = inner.provider.probe(&order.effect_key, &verb, &resource).await;
            let signal = Signal::Probed { answer, epoch: order.epoch, step: order.step };
            drop(sender.send(Told { signal, by: Actor::system("pipeline"), reply: None }).await);
        });
    }

    fn observe(&self) {
        let (inner, sender, context) = (self.inner.clone(), self.sender.clone(), self.context.clone());
        tokio::spawn(async move {
            let world = match &context.component {
                Some(component) => inner.provider.observe(component).await.unwrap_or_default(),
                None => writ_core::World::default(),
            };
            let signal = Signal::WindowOpened { world: writ_intent::world_digest(&world) };
            drop(sender.send(Told { signal, by: Actor::system("pipeline"), reply: None }).await);
        });
    }
}

/// Hands an effect to the provider.
async fn order_out(provider: &dyn Provider, effect: &Effect) -> Result<Receipt, ProviderError> {
    failpoint::pass("effect.redeemed", &effect.resource);
    let performed = provider.perform(effect).await;
    failpoint::pass("effect.performed", &effect.resource);
    performed
}

/// A refused redemption is an entry of its own, whatever the run makes of it.
async fn refusal(
    journal: &Journal,
    cause: &Cause,
    agent: &AgentId,
    (verb, resource): (&str, &str),
    refused: &RedeemRefused,
    at: Timestamp,
) {
    let refusal = Refusal {
        because: refused.to_string(),
        code: refused.code().to_owned(),
        resource: resource.to_owned(),
        verb: verb.to_owned(),
    };
    let event = AgentEvent { agent: agent.clone(), at, what: AgentChange::Refused(refusal) };
    let draft = event.draft(&Actor::agent(agent));
    if let Err(error) = journal.commit(cause, Batch::of(vec![draft])).await {
        tracing::error!(error = &error as &dyn std::error::Error, "a refusal was not recorded");
    }
}

fn says_of(error: ProviderError) -> Says {
    match error {
        ProviderError::Refused { because, .. } => Says::Failed { because, retryable: false },
        ProviderError::Failed { because, .. } => Says::Failed { because, retryable: true },
        ProviderError::Unclear { because, .. } => Says::Unclear { because },
    }
}
