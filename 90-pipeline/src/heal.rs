//! Healing one component: what sensors see is concluded upon, the conclusion is recorded, and what it asks for is begun as
//! a run like any other.

use crate::agreement::InForce;
use crate::apart::instances;
use crate::causes::error_chain;
use crate::commit::{Batch, Cause, CommitError, Expect};
use crate::context::RunContext;
use crate::drive::{Drive, Ended, has_begun, never_begins};
use crate::gate::{ASK_AGAIN, Gate};
use crate::held::{held, let_go};
use crate::journal::Journal;
use crate::looked::{looked_at, noted};
use crate::modes::Given;
use crate::remedy::{Attempts, Begun, targets_of};
use crate::resume::{Unfinished, recorded};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};
use writ_automation::{Run, RunState, StepState};
use writ_core::{
    Actor, Event, Health, IncidentId, LedgerError, Observation, Plan, Provider, RunId, Sensor, SensorError, Step,
    Timestamp, Window,
};
use writ_self_healing::{
    Ask, Config, DeniedBy, Heal, HealEvent, HoldReason, Mode, Remedy, RemedyKey, Signal, Stage, Summary, Watch,
    monitoring, window_draft,
};

/// Windows that are kept in memory for the `monitoring:` document.
const WINDOWS_KEPT: usize = 600;

/// How long planned work on an instance may take before its absence counts as a symptom again.
const PLANNED_WORK: Duration = Duration::from_secs(60);

/// How long nothing is seen of a component before an operator is told.
const BLIND: Duration = Duration::from_secs(2);

/// How long after a failed look the sensor is asked again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What a component's healing is given.
pub(crate) struct Parts {
    pub(crate) journal: Journal,
    pub(crate) drive: Drive,
    pub(crate) gate: Arc<Gate>,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) sensor: Arc<dyn Sensor>,
    pub(crate) config: Config,
    /// How far actions may go, as files say.
    pub(crate) given: Given,
    /// The intent's whole plan: where instances' parameters come from.
    pub(crate) plan: Arc<Plan>,
    /// The zones in the order in which they are filled.
    pub(crate) zones: Vec<String>,
    pub(crate) environment: String,
    pub(crate) team: Option<String>,
    /// The standing approval that automatic remedies cite.
    pub(crate) standing: InForce,
    /// What all components together tried.
    pub(crate) attempts: Attempts,
    /// The role that is asked when a remedy needs a person.
    pub(crate) approvers: String,
    /// The span that one journalled window sums up.
    pub(crate) summary: Duration,
    /// Instances that people have taken away since the plan came into force: resources. They are not brought back.
    pub(crate) taken: BTreeSet<String>,
}

enum Told {
    /// With where its incident must still stand, where somebody looked at it.
    Signal(Signal, Vec<Expect>, oneshot::Sender<Result<(), String>>),
    /// What was recorded of the component by somebody else.
    Recorded(HealEvent, oneshot::Sender<()>),
    Stop(oneshot::Sender<()>),
}

/// A handle on a component's healing.
#[derive(Clone)]
pub struct Healing {
    inbox: mpsc::Sender<Told>,
    shown: Arc<Mutex<Value>>,
    given: Given,
}

impl Healing {
    /// How far actions may go that no change named.
    pub(crate) fn given(&self) -> Given {
        self.given
    }

    /// Tells it what was recorded of its component; from then on it decides on that.
    pub(crate) async fn learn(&self, event: HealEvent) {
        let (reply, learned) = oneshot::channel();
        // One that has stopped reads it when it begins again.
        if self.inbox.send(Told::Recorded(event, reply)).await.is_ok() {
            drop(learned.await);
        }
    }

    /// The `monitoring:` document as it is now.
    #[must_use]
    pub fn monitoring(&self) -> Value {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells it something that an operator wants.
    ///
    /// # Errors
    /// When it does not fit, in words.
    pub async fn tell(&self, signal: Signal) -> Result<(), String> {
        let gone = || "healing has stopped".to_owned();
        let (reply, answer) = oneshot::channel();
        let held = held().await.map_err(|error| error.to_string())?;
        let seen = looked_at();
        let stream = seen.as_ref().map(|seen| seen.stream.clone());
        let expects = seen.into_iter().chain(held).collect();
        self.inbox.send(Told::Signal(signal, expects, reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())??;
        let_go();
        noted(stream.iter().map(String::as_str), &Ok(()));
        Ok(())
    }

    /// Ends it, and waits until nothing more comes of it; services keep running.
    pub async fn stop(&self) {
        let (stopped, over) = oneshot::channel();
        // One that has stopped already needs no telling.
        if self.inbox.send(Told::Stop(stopped)).await.is_ok() {
            drop(over.await);
        }
    }
}

/// Starts healing a component, from what was recorded of it.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn start(parts: Parts) -> Result<Healing, LedgerError> {
    let recorded = recorded(&parts.journal, &parts.config.component).await?;
    let unfinished = recorded.unfinished();
    let (sender, inbox) = mpsc::channel(64);
    let (tell_begun, begun) = mpsc::channel(64);
    let shown = Arc::new(Mutex::new(Value::Null));
    let (ended, given) = (parts.drive.ended(), parts.given);
    let watch = Watch::new(parts.config.component.clone());
    let summary = Summary::new(parts.summary);
    let mut task = Task {
        parts,
        heal: recorded.heal,
        watch,
        summary,
        causes: recorded.causes,
        held: BTreeMap::new(),
        due: None,
        blind: None,
        undecided: None,
        windows: VecDeque::new(),
        expected: BTreeSet::new(),
        runs: HashMap::new(),
        tell_begun,
        shown: shown.clone(),
    };
    task.show();
    tokio::spawn(async move {
        task.note_attempts();
        task.expect_instances().await;
        task.take_up(unfinished).await;
        let stopped = task.run(inbox, begun, ended).await;
        drop(task);
        if let Some(stopped) = stopped {
            // Whoever wanted it stopped may have stopped waiting.
            stopped.send(()).unwrap_or_default();
        }
    });
    Ok(Healing { inbox: sender, shown, given })
}

/// Nothing can be seen of the component.
struct Blind {
    since: Timestamp,
    /// Whether an operator was told.
    told: bool,
}

/// A remedy that nobody may do for now.
struct Held {
    /// Its first step, where it came to one.
    first: Option<Box<Step>>,
    because: HoldReason,
    /// It is not thought of anew before then.
    until: Timestamp,
    /// What it would do something to; nothing where it changes how many there are.
    targets: Vec<String>,
}

/// A remedy's run that is not over.
struct Followed {
    remedy: RemedyKey,
    instances: Vec<String>,
    /// Whether healing was told that it began.
    told: bool,
}

pub(crate) struct Task {
    pub(crate) parts: Parts,
    pub(crate) heal: Heal,
    watch: Watch,
    summary: Summary,
    causes: BTreeMap<IncidentId, Cause>,
    /// Remedies that nobody may do for now.
    held: BTreeMap<RemedyKey, Held>,
    due: Option<Timestamp>,
    /// Since when the component cannot be observed.
    blind: Option<Blind>,
    /// Why nothing could be decided, as it was said last.
    undecided: Option<String>,
    windows: VecDeque<Window>,
    /// The instances that there should be.
    pub(crate) expected: BTreeSet<String>,
    /// Remedies whose runs are not over.
    runs: HashMap<RunId, Followed>,
    tell_begun: mpsc::Sender<RunId>,
    shown: Arc<Mutex<Value>>,
}

impl Task {
    async fn run(
        &mut self,
        mut inbox: mpsc::Receiver<Told>,
        mut begun: mpsc::Receiver<RunId>,
        mut ended: broadcast::Receiver<Ended>,
    ) -> Option<oneshot::Sender<()>> {
        let clock = self.parts.journal.base().clock.clone();
        loop {
            let now = clock.now();
            let wait = self.due.map_or(Duration::from_secs(3_600), |due| due.since(now));
            let sensor = self.parts.sensor.clone();
            tokio::select! {
                biased; // In the same order in every replay; the sensor, which always has more to tell, comes last.
                told = inbox.recv() => match told {
                    Some(Told::Signal(signal, seen, reply)) => drop(reply.send(self.decide_on(signal, seen).await)),
                    Some(Told::Recorded(event, reply)) => {
                        if let Err(error) = self.heal.apply(&event) {
                            tracing::error!(error = &error as &dyn std::error::Error, "healing did not take in an entry");
                        }
                        // Whoever told it may have stopped waiting.
                        reply.send(()).unwrap_or_default();
                        self.look().await;
                    }
                    Some(Told::Stop(stopped)) => return Some(stopped),
                    None => return None,
                },
                Some(run) = begun.recv() => self.run_began(run).await,
                over = ended.recv() => match over {
                    Ok(over) => self.run_ended(&over).await,
                    Err(broadcast::error::RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, "ends of runs were missed; looking for them");
                        self.look_for_ended().await;
                    }
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                () = clock.sleep(wait) => {
                    self.due = None;
                    self.look().await;
                }
                seen = sensor.next() => self.seen(seen).await,
            }
        }
    }

    async fn seen(&mut self, seen: Result<Observation, SensorError>) {
        let now = self.parts.journal.now();
        match seen {
            Ok(observation) => {
                self.blind = None;
                self.watch.observe(&self.parts.config, &observation, now);
                if let Observation::Window(window) = observation {
                    self.keep(window).await;
                }
                self.look().await;
            }
            Err(error) => {
                // Unreachable is never health: the watch goes stale, and nothing is tried on stale data.
                let blind = self.blind.get_or_insert(Blind { since: now, told: false });
                // One that is just being brought up, or replaced, is away for a moment.
                if !blind.told && now.since(blind.since) >= BLIND {
                    blind.told = true;
                    let (component, error) = (&self.parts.config.component, &error as &dyn std::error::Error);
                    tracing::warn!(%component, error, "a component cannot be observed");
                }
                self.watch.unseen(&error_chain(&error), now);
                self.show();
                self.look().await;
                self.parts.journal.base().clock.sleep(LOOK_AGAIN).await;
            }
        }
    }

    async fn keep(&mut self, window: Window) {
        if let Some(summed) = self.summary.add(&window) {
            let draft = window_draft(&summed, &Actor::system("monitoring"));
            let committed = self.parts.journal.commit(&self.parts.journal.new_cause(), Batch::of(vec![draft])).await;
            if let Err(error) = committed {
                tracing::error!(error = &error as &dyn std::error::Error, "a window was not recorded");
            }
        }
        self.windows.push_back(window);
        while self.windows.len() > WINDOWS_KEPT {
            self.windows.pop_front();
        }
        self.windows.make_contiguous();
        self.show();
    }

    /// What is known of the component now. Of one that cannot be observed, nothing is.
    fn show(&mut self) {
        let health = if self.blind.is_some() { Health::Unknown } else { self.watch.health() };
        let windows = if self.blind.is_some() { &[] } else { self.windows.as_slices().0 };
        let document = monitoring(&self.parts.config, health, windows);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = document;
    }

    async fn look(&mut self) {
        self.look_at_held().await;
        match self.decide(Signal::Look).await {
            Ok(()) => self.undecided = None,
            // Said once: whoever looks every second would say it every second.
            Err(because) if self.undecided.as_ref() != Some(&because) => {
                tracing::warn!(because, "healing could not decide");
                self.undecided = Some(because);
            }
            Err(_) => {}
        }
    }

    /// Asks in memory whether what stands before a remedy is gone; only when it is, something is recorded.
    async fn look_at_held(&mut self) {
        let now = self.parts.journal.now();
        let (drive, component) = (&self.parts.drive, &self.parts.config.component);
        let busy = |targets: &[String]| match targets {
            [] => drive.is_changing(component),
            targets => drive.change_on(component, targets, now).is_some(),
        };
        let free = |held: &Held| {
            let nobody = |first: &Step| self.parts.gate.stands_before(first, now).is_some();
            let stands = held.first.as_deref().is_some_and(nobody);
            now >= held.until && !(stands || held.because == HoldReason::Busy && busy(&held.targets))
        };
        let released: Vec<RemedyKey> =
            self.held.iter().filter(|(_, held)| free(held)).map(|(remedy, _)| remedy.clone()).collect();
        for remedy in released {
            self.held.remove(&remedy);
            self.answer(Signal::RemedyReleased { remedy }).await;
        }
        if !self.held.is_empty() {
            self.wake(now.plus(ASK_AGAIN));
        }
    }

    fn wake(&mut self, at: Timestamp) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Decides, records, and only then asks.
    async fn decide(&mut self, signal: Signal) -> Result<(), String> {
        self.decide_on(signal, Vec::new()).await
    }

    /// The same, of something that must still be as somebody looked at it.
    async fn decide_on(&mut self, signal: Signal, mut seen: Vec<Expect>) -> Result<(), String> {
        for Expect { stream, version: expected } in seen.clone() {
            let found = self.parts.journal.ledger().stream_version(&stream).await.map_err(|error| error.to_string())?;
            if found != expected {
                return Err(CommitError::Stale { stream, expected, found }.to_string());
            }
        }
        let now = self.parts.journal.now();
        let chance = self.parts.journal.chance();
        let decided = self.heal.step(&self.parts.config, &self.watch, signal, now, chance);
        let decision = decided.map_err(|error| error.to_string())?;
        for event in &decision.events {
            self.record(event, std::mem::take(&mut seen)).await.map_err(|error| error.to_string())?;
            self.heal.apply(event).map_err(|error| error.to_string())?;
        }
        if !decision.events.is_empty() {
            self.note_attempts();
        }
        Box::pin(self.ask(decision.asks)).await;
        Ok(())
    }

    fn note_attempts(&self) {
        self.parts.attempts.note(&self.parts.config.component, self.heal.recoveries().collect());
    }

    /// The entry that led to a remedy.
    pub(crate) fn cause_of(&self, remedy: &Remedy) -> Cause {
        self.cause_in(remedy.incident.as_ref())
    }

    /// The last entry of an incident; a new trace for what belongs to none, or opens one.
    fn cause_in(&self, incident: Option<&IncidentId>) -> Cause {
        let cause = incident.and_then(|incident| self.causes.get(incident).cloned());
        cause.unwrap_or_else(|| self.parts.journal.new_cause())
    }

    /// Each incident is a trace of its own, and each of its entries is caused by the one before.
    async fn record(&mut self, event: &HealEvent, expects: Vec<Expect>) -> Result<(), CommitError> {
        let cause = self.cause_in(event.incident());
        let actor = event.by().map_or_else(|| Actor::system("self-healing"), Actor::human);
        let draft = event.draft(&actor);
        let batch = Batch { expects, ..Batch::of(vec![draft]) };
        let receipt = self.parts.journal.commit(&cause, batch).await?;
        if let Some(incident) = event.incident() {
            let cause = Cause { trace: cause.trace, event: receipt.last_event() };
            self.causes.insert(incident.clone(), cause);
        }
        Ok(())
    }

    async fn ask(&mut self, asks: Vec<Ask>) {
        for ask in asks {
            match ask {
                Ask::ProposeRemedy { remedy, mode } => self.propose(remedy, mode).await,
                Ask::Withdraw { remedy } => self.withdraw(&remedy).await,
                Ask::SetTimer { at } => self.wake(at),
            }
        }
    }

    /// Goes on with what was under way before: runs are followed again, and what was asked and not answered is asked again.
    async fn take_up(&mut self, unfinished: Vec<Unfinished>) {
        for one in unfinished {
            let Some(run) = one.run else {
                let known = one.remedy.targets.iter().all(|target| self.expected.contains(&target.instance));
                match one.stage {
                    Stage::Asked if known || one.remedy.undo => self.propose(one.remedy, one.mode).await,
                    // What it is about may be away on purpose by now: whether it is needed is decided anew.
                    Stage::Asked => self.answer(Signal::RemedyReleased { remedy: one.remedy.key }).await,
                    Stage::Waits | Stage::Runs => {}
                }
                continue;
            };
            let Ok((found, _)) = self.parts.drive.run(&run).await else { continue };
            let remedy = one.remedy.key.clone();
            self.follow(&one.remedy, &run, one.stage == Stage::Runs);
            match (one.stage, found.state()) {
                (Stage::Asked, RunState::AwaitingApproval(asked)) => {
                    let approval = asked.terms.approval.clone();
                    self.answer(Signal::RemedyNeedsApproval { remedy, approval }).await;
                }
                (Stage::Asked | Stage::Waits, state) if has_begun(state) && !never_begins(state) => {
                    self.run_began(run).await
                }
                (Stage::Asked | Stage::Waits | Stage::Runs, _) => {}
            }
        }
        self.look_for_ended().await;
        self.cancel_unneeded().await;
    }

    /// Remedies that were withdrawn just before the process ended, and whose runs still wait.
    async fn cancel_unneeded(&self) {
        let own = |context: &RunContext| context.component.as_ref() == Some(&self.parts.config.component);
        let unneeded = |run: &Run, context: &RunContext| {
            let forgotten = context.remedy_key.is_some() && !self.runs.contains_key(run.id());
            own(context) && forgotten && !has_begun(run.state())
        };
        for id in self.parts.drive.live_where(unneeded) {
            self.cancel(&id).await;
        }
    }

    /// Puts a remedy before policy, and begins its run.
    async fn propose(&mut self, remedy: Remedy, mode: Mode) {
        let key = remedy.key.clone();
        match self.begin(&remedy, mode).await {
            Ok(Begun::Run(run)) => {
                self.follow(&remedy, &run, false);
                self.run_began(run).await;
            }
            Ok(Begun::Waits(run, approval)) => {
                self.follow(&remedy, &run, false);
                self.answer(Signal::RemedyNeedsApproval { remedy: key, approval }).await;
            }
            Ok(Begun::Held(first, because)) => {
                let targets = if remedy.action.scales() { Vec::new() } else { targets_of(&remedy) };
                let until = self.parts.journal.now().plus(ASK_AGAIN);
                self.held.insert(key.clone(), Held { first, because, until, targets });
                self.wake(until);
                self.answer(Signal::RemedyHeld { remedy: key, because }).await;
            }
            Err(because) => self.answer(Signal::RemedyDenied { remedy: key, because, by: DeniedBy::Gate }).await,
        }
    }

    /// Keeps a remedy's run in mind; one that waits for people is told of when it begins.
    fn follow(&mut self, remedy: &Remedy, run: &RunId, told: bool) {
        let instances = remedy.targets.iter().map(|target| target.instance.clone()).collect();
        self.runs.insert(run.clone(), Followed { remedy: remedy.key.clone(), instances, told });
        if !told {
            let (drive, run, begun) = (self.parts.drive.clone(), run.clone(), self.tell_begun.clone());
            tokio::spawn(async move {
                if drive.begun(&run).await {
                    // Healing that has stopped learns it from the journal when it begins again.
                    drop(begun.send(run).await);
                }
            });
        }
    }

    /// A remedy is being carried out: its instances are away on purpose.
    async fn run_began(&mut self, run: RunId) {
        let Some(followed) = self.runs.get_mut(&run).filter(|followed| !followed.told) else { return };
        followed.told = true;
        let remedy = followed.remedy.clone();
        let until = self.parts.journal.now().plus(PLANNED_WORK);
        self.watch.planned_work(followed.instances.iter().map(String::as_str), until);
        self.answer(Signal::RemedyAllowed { remedy, run }).await;
    }

    async fn answer(&mut self, signal: Signal) {
        if let Err(because) = self.decide(signal).await {
            tracing::warn!(because, "healing did not take an answer");
        }
    }

    async fn withdraw(&mut self, remedy: &RemedyKey) {
        self.held.remove(remedy);
        let run = self.runs.iter().find(|(_, followed)| followed.remedy == *remedy).map(|(run, _)| run.clone());
        if let Some(run) = run {
            self.cancel(&run).await;
        }
    }

    async fn cancel(&self, run: &RunId) {
        let signal = writ_automation::Signal::Cancel { compensate: false };
        if let Err(error) = self.parts.drive.tell(run, signal, &Actor::system("self-healing")).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a remedy was not withdrawn");
        }
    }

    async fn run_ended(&mut self, over: &Ended) {
        let Some(Followed { remedy, instances, told }) = self.runs.remove(over.run.id()) else {
            // A run of somebody else may have changed how many instances there are.
            if over.context.component.as_ref() == Some(&self.parts.config.component) {
                self.expect_instances().await;
            }
            return;
        };
        // The work is over: an instance that goes away now does not do so on purpose.
        self.watch.planned_work(instances.iter().map(String::as_str), self.parts.journal.now());
        self.expect_instances().await;
        let state = over.run.state();
        if never_begins(state) {
            let (because, by) = (state.name().to_owned(), denied_by(&over.run, self.parts.journal.now()));
            return self.answer(Signal::RemedyDenied { remedy, because, by }).await;
        }
        let run = over.run.id().clone();
        if !told {
            self.answer(Signal::RemedyAllowed { remedy, run: run.clone() }).await;
        }
        let ok = *state == RunState::Succeeded;
        let because = (!ok).then(|| failure_of(over));
        self.answer(Signal::RemedyRunEnded { run, ok, because }).await;
    }

    /// Ends that were told while nobody listened.
    async fn look_for_ended(&mut self) {
        let live = self.parts.drive.live_runs();
        let gone: Vec<RunId> = self.runs.keys().filter(|run| !live.contains(run)).cloned().collect();
        for id in gone {
            if let Ok((run, context)) = self.parts.drive.run(&id).await
                && run.state().is_over()
            {
                let cause = self.parts.journal.new_cause();
                self.run_ended(&Ended { context, run, cause }).await;
            }
        }
    }

    /// Tells the watch which instances there should be: those that there are, which scaling may have changed, and of the plan's
    /// so many more that they are not fewer than there may be. A world that was lost is not one that is well.
    async fn expect_instances(&mut self) {
        let Ok(world) = self.parts.provider.observe(&self.parts.config.component).await else { return };
        let prefix = format!("{}/i-", self.parts.config.component);
        let slot = |resource: &str| resource.rsplit_once('/').map(|(_, slot)| slot.to_owned());
        let there = world.resources.keys().filter(|name| name.starts_with(&prefix));
        self.expected = there.filter_map(|name| slot(name)).collect();
        let planned = instances(&self.parts.plan).filter(|step| !self.parts.taken.contains(&step.resource));
        let planned: Vec<String> = planned.filter_map(|step| slot(&step.resource)).collect();
        let least = self.parts.config.scaling.as_ref().map_or(planned.len() as u64, |scaling| scaling.min);
        for name in planned {
            if (self.expected.len() as u64) < least {
                self.expected.insert(name);
            }
        }
        self.watch.expect(self.expected.iter().map(String::as_str));
    }
}

/// Who kept a run from beginning.
fn denied_by(run: &Run, now: Timestamp) -> DeniedBy {
    let late = run.submitted().gate.approval.as_ref().is_some_and(|terms| now >= terms.expires_at);
    if *run.state() == RunState::Rejected {
        return DeniedBy::Person;
    }
    if late { DeniedBy::Nobody } else { DeniedBy::Gate }
}

/// What a run that did not succeed died of: the last failed or denied step, or its state.
fn failure_of(over: &Ended) -> String {
    let failed = over.run.steps().find_map(|(step, cell)| {
        let (StepState::Failed { because } | StepState::Unknown { because }) = &cell.state else { return None };
        Some(format!("{}: {because}", step.resource))
    });
    failed.unwrap_or_else(|| over.run.state().name().to_owned())
}
