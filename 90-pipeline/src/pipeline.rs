//! Everything together: what is set up, what is taken up after a restart, and what follows when a run ends.

use crate::agreement::{Agreement, stand};
use crate::approvals::{self, Principal};
use crate::commit::{Batch, CommitError, Expect};
use crate::context::Origin;
use crate::drive::{Drive, Ended, live_in_journal};
use crate::gate::{Gate, GateState, POLICY_STREAM};
use crate::heal::{self, Healing};
use crate::journal::{Journal, decode as entry_of};
use crate::remedy::Attempts;
use crate::submit::moved;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use writ_agents::{
    AgentEvent, AgentMove, AgentSpec, Decoded, KILL_SWITCH_STREAM, KillScope, KillSwitchMoved, KillSwitches, Roster,
};
use writ_automation::{RunState, Standing};
use writ_contracts::{Needs, Registry};
use writ_core::{
    Actor, AgentId, ComponentId, Digest, Draft, Event, Filter, IntentId, LedgerError, Notifier, Outcome, Plan,
    Provider, Sensor, Signer,
};
use writ_intent::{HealMode, Intent, Platform, State, read_manifest, stream, translate};
use writ_policy::Bundle;
use writ_self_healing::{
    BudgetText, Config, Limits, Mode, RecoveryText, RemedyAction, Scaling, SelfHealingText, TriggerText,
};

/// What the organisation provides and demands.
pub struct Setup {
    /// Agents that are to be enrolled, with the keys of those that live in this process.
    pub agents: Vec<(AgentSpec, Arc<dyn Signer>)>,
    /// The policies.
    pub bundle: Arc<Bundle>,
    /// Their files, by name: kept with the journal.
    pub policy_files: Vec<(String, Vec<u8>)>,
    /// Requirements on contracts.
    pub needs: Needs,
    /// The platform.
    pub platform: Arc<Platform>,
    /// The contracts.
    pub registry: Registry,
    /// The role that is asked when a remedy needs a person.
    pub approvers: String,
    /// The span that one journalled window sums up.
    pub summary: Duration,
    /// The standing approval that automatic remedies cite, granted when the journal has none in force.
    pub standing: Option<Standing>,
}

/// Makes a sensor for a component.
pub type Sense = Arc<dyn Fn(&ComponentId) -> Arc<dyn Sensor> + Send + Sync>;

/// What meets the world.
#[derive(Clone)]
pub struct Ports {
    /// Does things.
    pub provider: Arc<dyn Provider>,
    /// Sees a component.
    pub sense: Sense,
    /// Tells people.
    pub notifier: Arc<dyn Notifier>,
    /// Signs permits.
    pub gate_signer: Arc<dyn Signer>,
}

/// Why the pipeline does not open.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
    /// Nothing could be recorded.
    #[error("the journal takes nothing")]
    Commit(#[from] CommitError),
    /// What was recorded cannot be read back.
    #[error("what was recorded of {of} cannot be read: {because}")]
    Recorded {
        /// Of what.
        of: &'static str,
        /// What is wrong.
        because: String,
    },
}

struct Inner {
    journal: Journal,
    drive: Drive,
    gate: Arc<Gate>,
    ports: Ports,
    setup: Setup,
    healing: Mutex<BTreeMap<ComponentId, Healing>>,
    agreement: Option<Arc<Agreement>>,
    attempts: Attempts,
}

/// The product: everything a face needs.
#[derive(Clone)]
pub struct Pipeline {
    inner: Arc<Inner>,
}

impl Pipeline {
    /// Opens the pipeline over a journal: records what is new in the setup, and takes up every live run and component.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub async fn open(journal: Journal, mut setup: Setup, ports: Ports) -> Result<Self, PipelineError> {
        let agreement = stand(&journal, setup.standing.take()).await?.map(Arc::new);
        set_policies(&journal, &setup).await?;
        publish_contracts(&journal, &setup).await?;
        enrol_agents(&journal, &setup).await?;
        let state = gate_state(&journal, &setup).await?;
        let keys: HashMap<AgentId, Arc<dyn Signer>> =
            setup.agents.iter().map(|(spec, key)| (spec.id.clone(), key.clone())).collect();
        let entropy = journal.base().entropy.clone();
        let gate = Arc::new(Gate::new(ports.gate_signer.clone(), entropy, keys, state));
        let drive = Drive::new(journal.clone(), gate.clone(), ports.provider.clone());
        let ended = drive.ended();
        let healing = Mutex::new(BTreeMap::new());
        let attempts = Attempts::default();
        let inner = Inner { journal, drive, gate, ports, setup, healing, agreement, attempts };
        let pipeline = Self { inner: Arc::new(inner) };
        pipeline.take_up().await?;
        let follower = pipeline.clone();
        tokio::spawn(async move { follower.follow(ended).await });
        Ok(pipeline)
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.inner.journal
    }

    /// Live runs.
    #[must_use]
    pub fn drive(&self) -> &Drive {
        &self.inner.drive
    }

    /// The gate.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.inner.gate
    }

    /// What does things.
    #[must_use]
    pub fn provider(&self) -> &dyn Provider {
        &*self.inner.ports.provider
    }

    /// What the organisation provides.
    #[must_use]
    pub fn platform(&self) -> Arc<Platform> {
        self.inner.setup.platform.clone()
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.inner.setup
    }

    /// The healing of a component; none when it is not watched.
    #[must_use]
    pub fn healing(&self, component: &ComponentId) -> Option<Healing> {
        self.inner.healing.lock().unwrap_or_else(PoisonError::into_inner).get(component).cloned()
    }

    /// The components that are watched.
    #[must_use]
    pub fn components(&self) -> Vec<ComponentId> {
        self.inner.healing.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Takes an answer of a person.
    ///
    /// # Errors
    /// When it does not count or could not be recorded.
    pub async fn answer(
        &self,
        approval: &writ_core::ApprovalId,
        by: &Principal,
        agrees: bool,
        reason: &str,
    ) -> Result<writ_automation::ApprovalState, approvals::AnswerError> {
        approvals::answer(self.journal(), self.drive(), self.provider(), approval, by, agrees, reason).await
    }

    /// Pulls or releases a kill switch.
    ///
    /// # Errors
    /// When it could not be recorded.
    pub async fn kill_switch(&self, scope: KillScope, pulled: bool, by: &Actor) -> Result<(), CommitError> {
        let at = self.journal().now();
        let moved = KillSwitchMoved { at, by: by.clone(), pulled, reason: None, scope };
        self.journal().commit(&self.journal().new_cause(), Batch::of(vec![moved.draft(by)])).await?;
        // Read back whole: two people may pull at the same time, and the journal alone knows who came first.
        match switches(self.journal()).await {
            Ok((switches, version)) => self.gate().learn_switches(switches, version),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "kill switches cannot be read; they hold in memory"
                );
                self.gate().state().switches.apply(&moved);
            }
        }
        Ok(())
    }

    /// Which published contract version would fit whom.
    #[must_use]
    pub fn contracts_matrix(&self) -> Value {
        writ_contracts::matrix(&self.setup().needs, &self.setup().registry)
    }

    /// The policies in force: their digest, files and rules.
    #[must_use]
    pub fn policies(&self) -> Value {
        let bundle = self.gate().state().bundle.clone();
        let rules: Vec<Value> =
            bundle.rules().map(|(id, stage, at)| json!({"rule": id, "stage": stage, "at": at.to_string()})).collect();
        json!({"digest": bundle.digest(), "files": bundle.files(), "rules": rules})
    }

    /// Ends healing; services keep running.
    pub async fn stop(&self) {
        let all: Vec<Healing> =
            self.inner.healing.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for healing in all {
            healing.stop().await;
        }
    }

    /// After a restart: live runs go on, decided approvals are handed over, watched components are watched.
    async fn take_up(&self) -> Result<(), PipelineError> {
        for run in live_in_journal(self.journal()).await? {
            if let Err(error) = self.drive().take_up(&run).await {
                tracing::error!(%run, error = &error as &dyn std::error::Error, "a run was not taken up");
            }
        }
        approvals::take_up(self.journal(), self.drive(), self.provider()).await?;
        for (key, doc) in self.journal().ledger().views("intents", "", None, 10_000).await? {
            let Ok(doc) = serde_json::from_slice::<Value>(&doc) else { continue };
            // What was carried out last is watched, whatever became of newer versions since.
            let state = doc.get("to").and_then(|state| serde_json::from_value::<State>(state.clone()).ok());
            let gone = state.is_some_and(|state| matches!(state, State::Decommissioning | State::Archived));
            let Ok(intent) = key.parse::<IntentId>() else { continue };
            if !gone && let Some((intent, plan)) = self.in_force(&intent, &doc).await? {
                self.manage(&intent, &Some(plan)).await;
            }
            self.settle_lost_end(&intent, &doc).await?;
        }
        Ok(())
    }

    /// A run may have ended without its intent having been told, if the process ended between the two.
    async fn settle_lost_end(&self, intent: &IntentId, doc: &Value) -> Result<(), PipelineError> {
        if doc.get("to") != Some(&json!(State::Executing)) && doc.get("to") != Some(&json!(State::Ready)) {
            return Ok(());
        }
        let last = self.journal().doc("last_runs", intent.as_str()).await?.unwrap_or_default();
        let text = |field: &str| last.get(field).and_then(Value::as_str);
        let Some(id) = text("run").and_then(|run| run.parse().ok()) else { return Ok(()) };
        let Some(trace) = text("trace_id").and_then(|trace| trace.to_owned().try_into().ok()) else { return Ok(()) };
        if let Ok((run, context)) = self.drive().run(&id).await
            && run.state().is_over()
        {
            let cause = crate::Cause { trace, event: text("event_id").and_then(|event| event.parse().ok()) };
            self.intent_run_ended(&Ended { context, run, cause }).await;
        }
        Ok(())
    }

    /// The version of an intent that was carried out last, with its whole plan.
    async fn in_force(&self, id: &IntentId, doc: &Value) -> Result<Option<(Intent, Plan)>, PipelineError> {
        let digest = |field: &str| doc.get(field).and_then(Value::as_str).and_then(|text| text.parse::<Digest>().ok());
        let (Some(plan), Some(manifest)) = (digest("applied_plan"), digest("applied_manifest")) else {
            return Ok(None);
        };
        let recorded = |because: String| PipelineError::Recorded { of: "an intent", because };
        let ledger = self.journal().ledger();
        let (Some(plan), Some(text)) = (ledger.attachment(&plan).await?, ledger.attachment(&manifest).await?) else {
            return Err(recorded(format!("the plan or manifest of `{id}` is missing")));
        };
        let plan = serde_json::from_slice(&plan).map_err(|error| recorded(error.to_string()))?;
        let manifest =
            read_manifest("manifest", &text).map_err(|_| recorded(format!("the manifest of `{id}` is unsound")))?;
        Ok(Some((manifest.intent, plan)))
    }

    /// Follows runs to their ends.
    async fn follow(&self, mut ended: broadcast::Receiver<Ended>) {
        loop {
            match ended.recv().await {
                Ok(over) if matches!(over.context.origin, Origin::Intent | Origin::Feedback) => {
                    self.intent_run_ended(&over).await;
                }
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::error!(missed, "ends of runs were missed; a restart takes them up");
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    /// What a run's end means for its intent.
    async fn intent_run_ended(&self, over: &Ended) {
        let submitted = over.run.submitted();
        let (intent, version) = (&submitted.intent, submitted.intent_version);
        let applied = match self.applied(intent, version).await {
            Ok(applied) => applied,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, %intent, "an intent's end was not recorded");
                return;
            }
        };
        let succeeded = *over.run.state() == RunState::Succeeded;
        let doc = self.journal().doc("intents", intent.as_str()).await.ok().flatten().unwrap_or_default();
        let former = doc.get("applied_plan");
        let mut drafts = Vec::new();
        if doc.get("to") == Some(&json!(State::Ready)) {
            drafts.push(moved(
                intent,
                version,
                State::Ready,
                State::Executing,
                "people agreed, or it ended before that",
            ));
        }
        if succeeded {
            let mut active = moved(intent, version, State::Executing, State::Active, "the run succeeded");
            if let (Value::Object(body), Some((plan, manifest))) = (&mut active.body, &applied) {
                body.insert("applied_plan".into(), json!(plan));
                body.insert("applied_manifest".into(), json!(manifest));
                body.insert("applied_version".into(), json!(version));
            }
            drafts.push(active);
            drafts.push(moved(intent, version, State::Active, State::Monitoring, "it is watched"));
        } else {
            let because = format!("the run is {}", over.run.state().name());
            if former.is_some() {
                // The version before stays in force, and is watched as it was.
                drafts.push(moved(intent, version, State::Executing, State::Degraded, &because));
                drafts.push(moved(
                    intent,
                    version,
                    State::Degraded,
                    State::Monitoring,
                    "the version before stays in force",
                ));
            } else {
                drafts.push(moved(intent, version, State::Executing, State::Failed, &because));
            }
        }
        if let Err(error) = self.journal().commit(&over.cause, Batch::of(drafts)).await {
            tracing::error!(error = &error as &dyn std::error::Error, %intent, "an intent's end was not recorded");
            return;
        }
        let doc = self.journal().doc("intents", intent.as_str()).await.ok().flatten().unwrap_or_default();
        match self.in_force(intent, &doc).await {
            Ok(Some((intent, plan))) => self.manage(&intent, &Some(plan)).await,
            Ok(None) => {}
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, %intent, "it is not watched"),
        }
    }

    /// Digests of the whole plan and the manifest of one version of an intent.
    async fn applied(&self, intent: &IntentId, version: u64) -> Result<Option<(Digest, Digest)>, LedgerError> {
        let (mut plan, mut manifest) = (None, None);
        for entry in self.journal().stream(&stream(intent)).await? {
            if entry.body.get("version").and_then(Value::as_u64) != Some(version) {
                continue;
            }
            let digest = |field: &str| entry.body.get(field).and_then(Value::as_str).and_then(|text| text.parse().ok());
            match entry.kind.as_str() {
                "intent.translated/1" => plan = digest("plan"),
                "intent.submitted/1" => manifest = digest("manifest"),
                _ => {}
            }
        }
        Ok(plan.zip(manifest))
    }

    /// Watches and heals what an intent brought up, under its newest plan.
    pub(crate) async fn manage(&self, intent: &Intent, plan: &Option<Plan>) {
        let (Some(plan), platform) = (plan, self.platform()) else { return };
        let Ok(translation) = translate(intent, &platform) else { return };
        let component = translation.component.clone();
        let config = match heal_config(
            &translation,
            &component,
            plan,
            self.inner.agreement.as_ref().map(|agreed| agreed.standing()),
        ) {
            Ok(config) => config,
            Err(because) => {
                tracing::error!(%component, because, "a component is not healed");
                return;
            }
        };
        let former = self.inner.healing.lock().unwrap_or_else(PoisonError::into_inner).remove(&component);
        if let Some(former) = former {
            former.stop().await;
        }
        let parts = heal::Parts {
            journal: self.journal().clone(),
            drive: self.drive().clone(),
            gate: self.gate().clone(),
            provider: self.inner.ports.provider.clone(),
            sensor: (self.inner.ports.sense)(&component),
            notifier: self.inner.ports.notifier.clone(),
            config,
            plan: Arc::new(plan.clone()),
            zones: translation.layout.rotation.clone(),
            environment: intent.target.environment.clone(),
            standing: self.inner.agreement.clone(),
            attempts: self.inner.attempts.clone(),
            approvers: self.setup().approvers.clone(),
            summary: self.setup().summary,
        };
        match heal::start(parts).await {
            Ok(healing) => {
                self.inner.healing.lock().unwrap_or_else(PoisonError::into_inner).insert(component, healing);
            }
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "a component is not healed"),
        }
    }
}

/// What the translation declared about healing, compiled.
fn heal_config(
    translation: &writ_intent::Translation,
    component: &ComponentId,
    plan: &Plan,
    standing: Option<&Standing>,
) -> Result<Config, String> {
    let recovery = translation.recovery.as_ref();
    let triggers = translation.triggers.iter().map(|trigger| TriggerText {
        condition: trigger.condition.clone(),
        action: trigger.action.word().to_owned(),
        for_seconds: None,
    });
    let cooldown = Duration::from_millis(translation.intervals.scaling_cooldown_ms);
    let pause = cooldown.as_secs().clamp(1, 3_600);
    let text = SelfHealingText {
        enabled: recovery.is_some(),
        recovery_policy: recovery.map_or_else(RecoveryText::default, |recovery| RecoveryText {
            strategy: recovery.strategy.word().to_owned(),
            max_attempts: recovery.max_attempts,
            timeout_seconds: u64::from(recovery.timeout_seconds),
        }),
        triggers: triggers.collect(),
        modes: BTreeMap::new(),
        cool_down_seconds: [RemedyAction::ScaleOut, RemedyAction::ScaleIn].map(|action| (action, pause)).into(),
        // What was agreed to beforehand is the most that may be spent; without an agreement the defaults hold.
        budgets: standing
            .map(|standing| BudgetText { count: standing.budget.count, period_seconds: standing.budget.period_seconds })
            .into_iter()
            .collect(),
        at_once_percent: None,
        freshness_seconds: None,
    };
    let template = plan.steps.iter().find(|step| step.verb == "instance.ensure");
    let number = |field: &str| template.and_then(|step| step.params.get(field)?.as_u64());
    let limits = Limits { cpu_millicores: number("cpu_millicores"), memory_bytes: number("memory_bytes") };
    let target = plan.steps.iter().find(|step| step.verb == "scaling.configure");
    let target = target.and_then(|step| step.params.get("target_cpu_percent")?.as_u64()).unwrap_or(70);
    let (min, max) = (u64::from(translation.min_instances), u64::from(translation.max_instances));
    let mut scaling = Scaling::within(min, max, u32::try_from(target).unwrap_or(70));
    scaling.stabilise = cooldown;
    scaling.sustain = scaling.sustain.min(cooldown);
    let mode = match translation.heal_mode {
        HealMode::Shadow => Mode::Shadow,
        HealMode::Propose => Mode::Propose,
        HealMode::Auto => Mode::Auto,
    };
    let mut config = Config::compile(component.clone(), &text, Some(scaling), limits, mode)
        .map_err(|errors| errors.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    config.recovery.timeout = Duration::from_millis(translation.intervals.healing_timeout_ms);
    Ok(config)
}

/// Records the policy set when it is another one than the journal knows.
async fn set_policies(journal: &Journal, setup: &Setup) -> Result<(), PipelineError> {
    let known = journal.stream(POLICY_STREAM).await?;
    let digest = setup.bundle.digest();
    if known.last().and_then(|entry| entry.body.get("digest")) == Some(&json!(digest)) {
        return Ok(());
    }
    let mut batch = Batch::default();
    let mut attachments = serde_json::Map::new();
    for (name, bytes) in &setup.policy_files {
        attachments.insert(name.clone(), json!(batch.attach(bytes.clone())));
    }
    batch.drafts.push(Draft {
        action: "set_policies".into(),
        actor: Actor::system("genesis"),
        body: json!({"digest": digest, "attachments": attachments}),
        kind: "policy.set/1",
        outcome: Outcome::Success,
        resource: "policies".into(),
        stream: POLICY_STREAM.into(),
    });
    batch.expects.push(Expect { stream: POLICY_STREAM.into(), version: known.len() as u64 });
    journal.commit(&journal.new_cause(), batch).await?;
    Ok(())
}

/// Records contracts that the journal does not know yet.
async fn publish_contracts(journal: &Journal, setup: &Setup) -> Result<(), PipelineError> {
    for record in setup.registry.records() {
        let contract = &record.contract;
        let stream = format!("contract/{}", contract.id);
        let known = journal.stream(&stream).await?;
        let version = contract.version.to_string();
        if known.iter().any(|entry| entry.body.get("version") == Some(&json!(version))) {
            continue;
        }
        let mut batch = Batch::default();
        let kept = batch.attach(contract.bytes());
        let mut draft = published(contract, record.digest).draft(&Actor::system("contracts"));
        draft.body["attachments"] = json!({"contract": kept});
        batch.drafts.push(draft);
        batch.expects.push(Expect { stream, version: known.len() as u64 });
        journal.commit(&journal.new_cause(), batch).await?;
    }
    Ok(())
}

/// The event that a contract file came into force as it stands.
fn published(contract: &writ_contracts::Contract, digest: Digest) -> writ_contracts::ContractEvent {
    writ_contracts::ContractEvent::Published {
        changes: Vec::new(),
        digest,
        from: None,
        given: writ_contracts::Bump::Major,
        id: contract.id.clone(),
        owner: contract.owner.clone(),
        required: writ_contracts::Bump::Patch,
        version: contract.version.clone(),
    }
}

/// The roster as it was recorded.
async fn roster(journal: &Journal) -> Result<Roster, PipelineError> {
    let mut events: BTreeMap<u64, AgentEvent> = BTreeMap::new();
    let mut from_seq = 0;
    loop {
        let wanted = Filter { kind: Some("agent.".into()), from_seq: Some(from_seq), ..Filter::default() };
        let page = journal.ledger().query(&wanted, 1_000).await?;
        for stored in &page {
            let entry = entry_of(stored)?;
            from_seq = entry.seq + 1;
            let decoded = writ_agents::decode(&entry.kind, &entry.body);
            let recorded = |because: String| PipelineError::Recorded { of: "agents", because };
            if let Decoded::Agent(event) = decoded.map_err(|error| recorded(error.to_string()))? {
                events.insert(entry.seq, event);
            }
        }
        if page.len() < 1_000 {
            return Ok(Roster::fold(events.values()));
        }
    }
}

/// Enrols agents that are new, and lets them begin.
async fn enrol_agents(journal: &Journal, setup: &Setup) -> Result<(), PipelineError> {
    for (spec, key) in &setup.agents {
        let known = roster(journal).await?;
        if known.get(&spec.id).is_some() {
            continue;
        }
        let refused =
            |error: writ_agents::RosterRefused| PipelineError::Recorded { of: "agents", because: error.to_string() };
        let at = journal.now();
        let agent = spec.with_key(&Digest(key.public_key()).hex());
        let event = |what| AgentEvent { agent: spec.id.clone(), at, what };
        let enrolled = event(known.enroll(agent).map_err(refused)?);
        let mut then = known.clone();
        then.apply(&enrolled);
        let active =
            event(then.change_state(&spec.id, AgentMove::Activate, "it lives in this process").map_err(refused)?);
        let by = Actor::system("genesis");
        journal.commit(&journal.new_cause(), Batch::of(vec![enrolled.draft(&by), active.draft(&by)])).await?;
    }
    Ok(())
}

/// The kill switches as they were recorded, and the version of their stream.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn switches(journal: &Journal) -> Result<(KillSwitches, u64), PipelineError> {
    let (mut switches, mut version) = (KillSwitches::default(), 0);
    for entry in journal.stream(KILL_SWITCH_STREAM).await? {
        let recorded = |because: String| PipelineError::Recorded { of: "kill switches", because };
        let decoded = writ_agents::decode(&entry.kind, &entry.body).map_err(|error| recorded(error.to_string()))?;
        if let Decoded::KillSwitch(moved) = decoded {
            switches.apply(&moved);
        }
        version = entry.version;
    }
    Ok((switches, version))
}

/// What the gate knows, folded from the journal.
async fn gate_state(journal: &Journal, setup: &Setup) -> Result<GateState, PipelineError> {
    let mut state = GateState::new(setup.bundle.clone(), roster(journal).await?);
    state.policy_version = journal.ledger().stream_version(POLICY_STREAM).await?;
    let (switches, version) = switches(journal).await?;
    (state.switches, state.switch_version) = (switches, version);
    let mut after = None::<String>;
    loop {
        let page = journal.ledger().views("epochs", "", after.as_deref(), 1_000).await?;
        for (resource, doc) in &page {
            let doc: Value = serde_json::from_slice(doc).unwrap_or_default();
            let epoch = doc.get("epoch").and_then(Value::as_u64).unwrap_or(0);
            state.tickets.raise_epoch(resource, epoch);
        }
        match page.last() {
            Some((resource, _)) if page.len() == 1_000 => after = Some(resource.clone()),
            _ => break,
        }
    }
    let since = journal.now().minus(Duration::from_secs(3_600));
    let started = Filter { kind: Some("run.step_started/1".into()), from_time: Some(since), ..Filter::default() };
    for stored in journal.ledger().query(&started, 100_000).await? {
        let entry = entry_of(&stored)?;
        let epoch = entry.body.get("epoch").and_then(Value::as_u64).unwrap_or(0);
        state.remember(entry.timestamp, &entry.action, &entry.resource, epoch);
    }
    Ok(state)
}
