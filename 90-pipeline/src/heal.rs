//! Healing one component: what sensors see is concluded upon, the conclusion is recorded, and what it asks for is begun as
//! a run like any other.

use crate::causes::error_chain;
use crate::commit::{Batch, Cause, CommitError};
use crate::context::{Origin, RunContext};
use crate::drive::{Drive, DriveError, Ended, has_begun, never_begins};
use crate::gate::Gate;
use crate::journal::Journal;
use crate::resume::{Stage, Unfinished, cited, recorded};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};
use writ_automation::{
    ApprovalEvent, ApprovalFact, ApprovalTerms, Cited, Gate as RunGate, OnFailure, Options, RunState, Standing,
    StepState, Submission,
};
use writ_core::{
    Actor, ApprovalId, ComponentId, Decision, Event, IncidentId, LedgerError, Notifier, Observation, Plan, Provider,
    RunId, Sensor, SensorError, Step, Timestamp, Window, World,
};
use writ_intent::world_digest;
use writ_self_healing::{
    Ask, ComponentView, Config, Heal, HealEvent, Mode, PlanHead, Remedy, RemedyKey, Signal, Slot, Summary, Watch,
    monitoring, window_draft,
};

/// Windows that are kept in memory for the `monitoring:` document.
const WINDOWS_KEPT: usize = 600;

/// How long planned work on an instance may take before its absence counts as a symptom again.
const PLANNED_WORK: Duration = Duration::from_secs(60);

/// How long people have to answer when a remedy needs them.
const APPROVAL_SPAN: Duration = Duration::from_secs(3_600);

/// How long after a failed look the sensor is asked again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What a component's healing is given.
pub(crate) struct Parts {
    pub(crate) journal: Journal,
    pub(crate) drive: Drive,
    pub(crate) gate: Arc<Gate>,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) sensor: Arc<dyn Sensor>,
    pub(crate) notifier: Arc<dyn Notifier>,
    pub(crate) config: Config,
    /// The intent's whole plan: where instances' parameters come from.
    pub(crate) plan: Arc<Plan>,
    /// The zones in the order in which they are filled.
    pub(crate) zones: Vec<String>,
    pub(crate) environment: String,
    /// The standing approval that automatic remedies cite.
    pub(crate) standing: Option<Standing>,
    /// The role that is asked when a remedy needs a person.
    pub(crate) approvers: String,
    /// The span that one journalled window sums up.
    pub(crate) summary: Duration,
}

enum Told {
    Signal(Signal, oneshot::Sender<Result<(), String>>),
    Stop(oneshot::Sender<()>),
}

/// A handle on a component's healing.
#[derive(Clone)]
pub struct Healing {
    inbox: mpsc::Sender<Told>,
    shown: Arc<Mutex<Value>>,
}

impl Healing {
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
        self.inbox.send(Told::Signal(signal, reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
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
    let cited = cited(&parts.journal, parts.standing.as_ref()).await?;
    let (sender, inbox) = mpsc::channel(64);
    let (tell_begun, begun) = mpsc::channel(64);
    let shown = Arc::new(Mutex::new(Value::Null));
    let ended = parts.drive.ended();
    let watch = Watch::new(parts.config.component.clone());
    let summary = Summary::new(parts.summary);
    let mut task = Task {
        parts,
        heal: recorded.heal,
        watch,
        summary,
        causes: recorded.causes,
        due: None,
        windows: VecDeque::new(),
        runs: HashMap::new(),
        tell_begun,
        cited,
        shown: shown.clone(),
    };
    tokio::spawn(async move {
        task.expect_instances().await;
        task.take_up(recorded.unfinished).await;
        let stopped = task.run(inbox, begun, ended).await;
        drop(task);
        if let Some(stopped) = stopped {
            // Whoever wanted it stopped may have stopped waiting.
            stopped.send(()).unwrap_or_default();
        }
    });
    Ok(Healing { inbox: sender, shown })
}

/// A remedy's run that is not over.
struct Followed {
    remedy: RemedyKey,
    instances: Vec<String>,
    /// Whether healing was told that it began.
    told: bool,
}

struct Task {
    parts: Parts,
    heal: Heal,
    watch: Watch,
    summary: Summary,
    causes: BTreeMap<IncidentId, Cause>,
    due: Option<Timestamp>,
    windows: VecDeque<Window>,
    /// Remedies whose runs are not over.
    runs: HashMap<RunId, Followed>,
    tell_begun: mpsc::Sender<RunId>,
    /// When the standing approval was cited, within its period.
    cited: VecDeque<Timestamp>,
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
                    Some(Told::Signal(signal, reply)) => drop(reply.send(self.decide(signal).await)),
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
                self.watch.observe(&self.parts.config, &observation, now);
                if let Observation::Window(window) = observation {
                    self.keep(window).await;
                }
                self.look().await;
            }
            Err(error) => {
                // Unreachable is never health: the watch goes stale, and nothing is tried on stale data.
                tracing::warn!(error = &error as &dyn std::error::Error, "a component cannot be observed");
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
        let document = monitoring(&self.parts.config, self.watch.health(), self.windows.as_slices().0);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = document;
    }

    async fn look(&mut self) {
        if let Err(because) = self.decide(Signal::Look).await {
            tracing::warn!(because, "healing could not decide");
        }
    }

    /// Decides, records, and only then asks.
    async fn decide(&mut self, signal: Signal) -> Result<(), String> {
        let now = self.parts.journal.now();
        let chance = self.parts.journal.chance();
        let decided = self.heal.step(&self.parts.config, &self.watch, signal, now, chance);
        let decision = decided.map_err(|error| error.to_string())?;
        for event in &decision.events {
            self.record(event).await.map_err(|error| error.to_string())?;
            self.heal.apply(event).map_err(|error| error.to_string())?;
        }
        Box::pin(self.ask(decision.asks)).await;
        Ok(())
    }

    /// Each incident is a trace of its own, and each of its entries is caused by the one before.
    async fn record(&mut self, event: &HealEvent) -> Result<(), CommitError> {
        let journal = &self.parts.journal;
        let cause = event.incident().and_then(|incident| self.causes.get(incident).cloned());
        let cause = cause.unwrap_or_else(|| journal.new_cause());
        let draft = event.draft(&Actor::system("self-healing"));
        let receipt = journal.commit(&cause, Batch::of(vec![draft])).await?;
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
                Ask::SetTimer { at } => self.due = Some(self.due.map_or(at, |due| due.min(at))),
                Ask::Notify { key, severity, subject, text } => {
                    let text = format!("{severity}: {text}");
                    let delivery = writ_core::Delivery { channel: "console".into(), key, subject, text };
                    let notifier = self.parts.notifier.clone();
                    tokio::spawn(async move {
                        if let Err(error) = notifier.notify(&delivery).await {
                            tracing::error!(error = &error as &dyn std::error::Error, "nobody was told");
                        }
                    });
                }
            }
        }
    }

    /// Goes on with what was under way before: runs are followed again, and what was asked and not answered is asked again.
    async fn take_up(&mut self, unfinished: Vec<Unfinished>) {
        for one in unfinished {
            let Some(run) = one.run else {
                if one.stage == Stage::Asked {
                    self.propose(one.remedy, one.mode).await;
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
            Err(because) => self.answer(Signal::RemedyDenied { remedy: key, because }).await,
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

    async fn begin(&mut self, remedy: &Remedy, mode: Mode) -> Result<Begun, String> {
        let (world, plan) = self.plan(remedy).await?;
        let standing = self.standing_for(remedy);
        let facts = self.remedy_facts(remedy, mode, standing.is_some());
        let now = self.parts.journal.now();
        let requester = Actor::system("self-healing");
        let resource = plan.steps.first().map_or_else(|| remedy.component.to_string(), |step| step.resource.clone());
        let mut context = RunContext {
            component: Some(remedy.component.clone()),
            environment: self.parts.environment.clone(),
            incident: remedy.incident.clone(),
            origin: if remedy.incident.is_some() { Origin::Remedy } else { Origin::Scaling },
            remedy: Some(facts),
            remedy_key: Some(remedy.key.to_string()),
            roles: Vec::new(),
            standing: None,
        };
        let first = plan.steps.first().ok_or("the remedy would do nothing")?;
        let decided = self.parts.gate.judge_step(first, &plan.intent, &requester, &context, now);
        let (decided, asks) = decided?;
        let needs = match (asks, mode) {
            (Decision::Deny, _) => {
                let finding = decided.judgement.verdict.findings.first();
                let because = finding.map(|finding| format!("{}: {}", finding.rule, finding.message));
                return Err(because.unwrap_or_else(|| format!("policy denies it on `{resource}`")));
            }
            (Decision::RequireApproval { count, role }, _) => Some((count, role)),
            (Decision::Allow, Mode::Auto) if standing.is_some() => None,
            // Nobody agreed to it beforehand, or it is only to be proposed: a person is asked.
            (Decision::Allow, _) => Some((1, self.parts.approvers.clone())),
        };
        // Where a person is asked, nothing rests on what was agreed to beforehand.
        context.standing = standing.filter(|_| needs.is_none());
        let chance = self.parts.journal.chance();
        let terms = needs.map(|(count, role)| ApprovalTerms {
            approval: ApprovalId::mint(now.millis(), self.parts.journal.chance()),
            count,
            decision: decided.digest,
            expires_at: now.plus(APPROVAL_SPAN),
            role,
        });
        let approval = terms.as_ref().map(|terms| terms.approval.clone());
        let submission = Submission {
            gate: RunGate { approval: terms, window_opens_at: None },
            options: Options::new(OnFailure::Stop, chance.iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte))),
            parent: None,
            plan: Arc::new(plan),
            requester,
            run: RunId::mint(now.millis(), chance),
            world: world_digest(&world),
        };
        let cause = remedy.incident.as_ref().and_then(|incident| self.causes.get(incident).cloned());
        let cause = cause.unwrap_or_else(|| self.parts.journal.new_cause());
        let batch = self.citation(remedy, context.standing.as_ref(), &resource);
        if context.standing.is_some() {
            self.cited.push_back(now);
        }
        let begun = self.parts.drive.begin(submission, context, &cause, batch).await;
        let run = begun.map_err(|error: DriveError| error_chain(&error))?;
        Ok(match approval {
            Some(approval) => Begun::Waits(run, approval),
            None => Begun::Run(run),
        })
    }

    /// The remedy's steps on the world as it is.
    async fn plan(&self, remedy: &Remedy) -> Result<(World, Plan), String> {
        let world = self.parts.provider.observe(&remedy.component).await.map_err(|error| error_chain(&error))?;
        let view = component_view(&remedy.component, &self.parts.plan, &self.parts.zones, &world);
        let head = PlanHead {
            intent: self.parts.plan.intent.clone(),
            intent_digest: self.parts.plan.intent_digest,
            intent_version: self.parts.plan.intent_version,
            world: world_digest(&world),
        };
        let plan = remedy.plan(&view, head).map_err(|error| error_chain(&error))?;
        Ok((world, plan))
    }

    /// The standing approval that covers a remedy's every target, when one does.
    fn standing_for(&mut self, remedy: &Remedy) -> Option<ApprovalId> {
        let now = self.parts.journal.now();
        let standing = self.parts.standing.as_ref()?;
        let period = Duration::from_secs(standing.budget.period_seconds);
        while self.cited.front().is_some_and(|at| now.since(*at) > period) {
            self.cited.pop_front();
        }
        let used: Vec<Timestamp> = self.cited.iter().copied().collect();
        let covers = |target: &str| match standing.covers(remedy.action.name(), target, &used, now) {
            Ok(()) => true,
            Err(not) => {
                tracing::warn!(because = not.to_string(), "a remedy is not covered by the standing approval");
                false
            }
        };
        let covered = remedy.targets.iter().all(|target| covers(&format!("{}/{}", remedy.component, target.instance)));
        let covered = covered && (!remedy.targets.is_empty() || covers(remedy.component.as_str()));
        covered.then(|| standing.id.clone())
    }

    /// The entry by which a remedy cites the standing approval; it reserves one of its budget.
    fn citation(&self, remedy: &Remedy, standing: Option<&ApprovalId>, target: &str) -> Batch {
        let cite = |approval: &ApprovalId| {
            let cited = Cited { action: remedy.action.name().to_owned(), target: target.to_owned() };
            let at = self.parts.journal.now();
            ApprovalEvent { approval: approval.clone(), at, what: ApprovalFact::Cited(cited) }
        };
        Batch::of(standing.map(|approval| cite(approval).draft(&Actor::system("self-healing"))).into_iter().collect())
    }

    fn remedy_facts(&self, remedy: &Remedy, mode: Mode, standing: bool) -> Value {
        let recent = self.heal.attempts_within(Duration::from_secs(3_600), self.parts.journal.now());
        json!({
            "incident": remedy.incident.as_ref().map_or("none", |incident| incident.as_str()),
            "attempt": remedy.attempt,
            "attempts_last_hour": recent,
            "component_attempts_last_hour": recent,
            "healthy_instances": remedy.blast.healthy,
            "total_instances": remedy.blast.total,
            "affected_instances": remedy.blast.affected,
            "standing_approval": standing,
            "mode": mode_word(mode),
        })
    }

    async fn withdraw(&mut self, remedy: &RemedyKey) {
        let run = self.runs.iter().find(|(_, followed)| followed.remedy == *remedy).map(|(run, _)| run.clone());
        if let Some(run) = run {
            let signal = writ_automation::Signal::Cancel { compensate: false };
            if let Err(error) = self.parts.drive.tell(&run, signal, &Actor::system("self-healing")).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a remedy was not withdrawn");
            }
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
        if matches!(state, RunState::Rejected | RunState::Expired { .. }) {
            return self.answer(Signal::RemedyDenied { remedy, because: state.name().to_owned() }).await;
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

    /// Tells the watch which instances there should be.
    async fn expect_instances(&mut self) {
        if let Ok(world) = self.parts.provider.observe(&self.parts.config.component).await {
            let prefix = format!("{}/i-", self.parts.config.component);
            let names = world.resources.keys().filter(|name| name.starts_with(&prefix));
            self.watch.expect(names.filter_map(|name| name.rsplit_once('/').map(|(_, slot)| slot)));
        }
    }
}

enum Begun {
    Run(RunId),
    Waits(RunId, ApprovalId),
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Shadow => "shadow",
        Mode::Propose => "propose",
        Mode::Auto => "auto",
    }
}

/// What a run that did not succeed died of: the last failed or denied step, or its state.
fn failure_of(over: &Ended) -> String {
    let failed = over.run.steps().find_map(|(step, cell)| {
        let (StepState::Failed { because } | StepState::Unknown { because }) = &cell.state else { return None };
        Some(format!("{}: {because}", step.resource))
    });
    failed.unwrap_or_else(|| over.run.state().name().to_owned())
}

/// Slots of a component with the parameters that made them; and those that would be used next, up to a hundred.
fn component_view(component: &ComponentId, plan: &Plan, zones: &[String], world: &World) -> ComponentView {
    let template = plan.steps.iter().find(|step| step.verb == "instance.ensure");
    let prefix = format!("{component}/");
    let there: BTreeMap<&str, &Value> = world
        .resources
        .iter()
        .filter_map(|(name, document)| Some((name.strip_prefix(&prefix)?, document)))
        .filter(|(slot, _)| slot.starts_with("i-"))
        .collect();
    let slot = |name: &str, seen: Option<&Value>| template.map(|template| slot_of(template, zones, name, seen));
    let slots = there.iter().filter_map(|(name, document)| slot(name, Some(document))).collect();
    let free = (1..=100).map(|number| format!("i-{number}")).filter(|name| !there.contains_key(name.as_str()));
    let spare = free.filter_map(|name| slot(&name, None)).collect();
    ComponentView { component: component.clone(), slots, spare }
}

fn slot_of(template: &Step, zones: &[String], name: &str, seen: Option<&Value>) -> Slot {
    let mut params = template.params.clone();
    let number: usize = name.trim_start_matches("i-").parse().unwrap_or(1);
    if let Value::Object(fields) = &mut params {
        if let Some(zone) = zones.get(number.saturating_sub(1) % zones.len().max(1)) {
            fields.insert("zone".into(), json!(zone));
        }
        for (key, value) in fields.iter_mut() {
            // The provider chose the port, and keeps what the environment holds to itself.
            if let Some(found) = seen.and_then(|seen| seen.get(key)).filter(|_| key != "port" && key != "env") {
                *value = found.clone();
            }
        }
        fields.insert("slot".into(), json!(name));
    }
    let generation = seen.and_then(|seen| seen.get("generation")?.as_u64()).unwrap_or(0);
    let drain = params.get("drain_ms").cloned().unwrap_or(json!(5_000));
    let removal = json!({"component": params.get("component"), "slot": name, "drain_ms": drain});
    Slot { generation, instance: name.to_owned(), params, removal }
}
