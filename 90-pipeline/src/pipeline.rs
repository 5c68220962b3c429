//! Everything together: what is set up, what is taken up after a restart, and what follows when a run ends.

use crate::agreement::{InForce, stand};
use crate::approvals::{self, AnswerError, Principal};
use crate::changes::{Consent, is_change};
use crate::commit::{Batch, CommitError, Expect};
use crate::context::{Origin, RunContext};
use crate::contracts::{self, InForce as InForceContracts};
use crate::drive::{Drive, Ended, live_in_journal};
use crate::gate::Gate;
use crate::heal::Healing;
use crate::holding::left_nothing;
use crate::journal::{Journal, decode};
use crate::notify;
use crate::opening::{enrol_agents, gate_state, policies, publish_playbooks};
use crate::remedy::Attempts;
use crate::submission::{Ground, UNWATCHED, in_force, moved, state_in};
use crate::submit::OVERTAKEN_MAX;
use crate::taken::{TAKEN, taken_in, taken_with};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;
use writ_agents::AgentSpec;
use writ_automation::{Playbook, Run, RunEvent, RunState, Standing};
use writ_contracts::{Needs, PublishRefused, Registry};
use writ_core::{
    AgentId, ComponentId, Digest, Entry, IntentId, LedgerError, Notifier, Plan, Provider, RunId, Sensor, Severity,
    Signer,
};
use writ_intent::{DeclaredCommand, Intent, Platform, State, read_recorded_manifest, stream};
use writ_policy::Bundle;

/// What the organisation provides and demands.
pub struct Setup {
    /// The address under which people reach this installation: links for them begin with it.
    pub address: String,
    /// Agents that are to be enrolled, with the keys of those that live in this process.
    pub agents: Vec<(AgentSpec, Arc<dyn Signer>)>,
    /// The policies: those that an installation begins with.
    pub bundle: Arc<Bundle>,
    /// Commands that are declared.
    pub commands: Vec<DeclaredCommand>,
    /// Whether changes of what governs need a second person.
    pub consent: Consent,
    /// Their files, by name: kept with the journal.
    pub policy_files: Vec<(String, Vec<u8>)>,
    /// Requirements on contracts.
    pub needs: Needs,
    /// The platform.
    pub platform: Arc<Platform>,
    /// The playbooks that may be run.
    pub playbooks: Vec<Playbook>,
    /// The contracts that the files publish.
    pub registry: Registry,
    /// The role that is asked when a remedy needs a person.
    pub approvers: String,
    /// The span that one journalled window sums up.
    pub summary: Duration,
    /// How bad something is at the least that people are told.
    pub told_from: Severity,
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
    /// Channels that tell people; each has a name of its own.
    pub notifiers: Vec<Arc<dyn Notifier>>,
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
    /// A contract of the files contradicts what is published.
    #[error("a contract of the files cannot come into force")]
    Contract(#[from] PublishRefused),
    /// A playbook has changed, and its version has not.
    #[error("the playbook `{id}` {version} was published with other content; give what it says now a new version")]
    Republished {
        /// The playbook.
        id: String,
        /// The version that is taken.
        version: String,
    },
}

pub(crate) struct Inner {
    journal: Journal,
    drive: Drive,
    gate: Arc<Gate>,
    pub(crate) ports: Ports,
    setup: Setup,
    pub(crate) channels: notify::Channels,
    pub(crate) healing: Mutex<BTreeMap<ComponentId, Healing>>,
    /// What follows runs to their ends, and what ends that.
    following: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
    pub(crate) agreement: InForce,
    pub(crate) attempts: Attempts,
    /// Held by whoever changes what all may do: one after the other.
    pub(crate) governing: tokio::sync::Mutex<()>,
    /// One looks back at a time.
    pub(crate) reflecting: tokio::sync::Mutex<()>,
    /// Held by whoever settles that a removal has begun or has ended: one after the other.
    pub(crate) leaving: tokio::sync::Mutex<()>,
    pub(crate) contracts: InForceContracts,
}

/// The product: everything a face needs.
#[derive(Clone)]
pub struct Pipeline {
    pub(crate) inner: Arc<Inner>,
}

impl Pipeline {
    /// Opens the pipeline over a journal: records what is new in the setup, and takes up every live run and component.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub async fn open(journal: Journal, mut setup: Setup, ports: Ports) -> Result<Self, PipelineError> {
        let channels = notify::open(&journal, &ports.notifiers).await?;
        let agreement = InForce::of(stand(&journal, setup.standing.take()).await?);
        let bundle = policies(&journal, &setup).await?;
        let contracts = contracts::open(&journal, &setup).await?;
        publish_playbooks(&journal, &setup).await?;
        enrol_agents(&journal, &setup).await?;
        let state = gate_state(&journal, bundle).await?;
        let keys: HashMap<AgentId, Arc<dyn Signer>> =
            setup.agents.iter().map(|(spec, key)| (spec.id.clone(), key.clone())).collect();
        let entropy = journal.base().entropy.clone();
        let gate = Arc::new(Gate::new(ports.gate_signer.clone(), entropy, keys, ports.provider.name(), state));
        let drive = Drive::new(journal.clone(), gate.clone(), ports.provider.clone());
        let ended = drive.ended();
        let (healing, following) = (Mutex::new(BTreeMap::new()), Mutex::new(None));
        let attempts = Attempts::default();
        let [governing, leaving, reflecting] = std::array::from_fn(|_| tokio::sync::Mutex::new(()));
        let inner = Inner {
            journal,
            drive,
            gate,
            ports,
            setup,
            channels,
            healing,
            following,
            agreement,
            attempts,
            governing,
            reflecting,
            leaving,
            contracts,
        };
        let pipeline = Self { inner: Arc::new(inner) };
        pipeline.begin_telling();
        pipeline.take_up().await?;
        pipeline.offer_policies().await?;
        let (follower, (stop, stopped)) = (pipeline.clone(), oneshot::channel());
        let task = tokio::spawn(async move { follower.follow(ended, stopped).await });
        *pipeline.inner.following.lock().unwrap_or_else(PoisonError::into_inner) = Some((stop, task));
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
    ) -> Result<writ_automation::ApprovalState, AnswerError> {
        let first = self.journal().ledger().stream(&approvals::stream(approval), 0, 1).await?;
        let first: Vec<Entry> = first.iter().map(decode).collect::<Result<_, LedgerError>>()?;
        // Of two who answer at one moment one is overtaken, and counts all the same.
        let overtaken = |error: &AnswerError| matches!(error, AnswerError::Commit(CommitError::Stale { .. }));
        let mut tries = 0;
        loop {
            let answered = match is_change(&first) {
                true => self.answer_change(approval, by, agrees, reason).await,
                false => approvals::answer(self, approval, by, agrees, reason).await,
            };
            match answered {
                Err(error) if overtaken(&error) && tries < OVERTAKEN_MAX => tries += 1,
                answered => return answered,
            }
        }
    }

    /// The policies in force: their digest, files and rules.
    #[must_use]
    pub fn policies(&self) -> Value {
        let bundle = self.gate().state().bundle.clone();
        let rules: Vec<Value> =
            bundle.rules().map(|(id, stage, at)| json!({"rule": id, "stage": stage, "at": at.to_string()})).collect();
        json!({"digest": bundle.digest(), "files": bundle.files(), "rules": rules})
    }

    /// Ends healing and telling; services keep running.
    pub async fn stop(&self) {
        let all: Vec<Healing> =
            self.inner.healing.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for healing in all {
            healing.stop().await;
        }
        self.stop_telling().await;
    }

    /// Waits until what follows from the ends of runs so far is recorded, and follows no more of them. What ends later is settled
    /// at the next start.
    pub async fn settle(&self) {
        let following = self.inner.following.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, task)) = following {
            // Either is gone only when the other is.
            drop((stop.send(()), task.await));
        }
        let size = *self.journal().size().borrow();
        self.journal().reported(size).await;
    }

    /// After a restart: live runs go on, decided approvals are handed over, watched components are watched.
    async fn take_up(&self) -> Result<(), PipelineError> {
        for run in live_in_journal(self.journal()).await? {
            if let Err(error) = self.drive().take_up(&run).await {
                tracing::error!(%run, error = &error as &dyn std::error::Error, "a run was not taken up");
            }
        }
        approvals::take_up(self).await?;
        if let Err(error) = self.take_up_approved().await {
            tracing::error!(error = &error as &dyn std::error::Error, "an approved recommendation was not taken up");
        }
        let docs = self.journal().all_docs("intents", "").await?.into_iter();
        let intents: Vec<(IntentId, Value)> = docs.filter_map(|(id, doc)| Some((id.parse().ok()?, doc))).collect();
        self.find_holders(&intents).await?;
        for (intent, mut doc) in intents {
            if self.seen_back(&intent, &doc).await? {
                doc = self.journal().doc("intents", intent.as_str()).await?.unwrap_or_default();
            }
            self.watch(&intent, &doc).await?;
            self.settle_lost_end(&intent, &doc).await?;
        }
        for id in self.drive().live_where(|_, context| context.origin == Origin::Decommission) {
            self.attend_removal(id);
        }
        let brings = |_: &Run, context: &RunContext| matches!(context.origin, Origin::Intent | Origin::Feedback);
        for id in self.drive().live_where(brings) {
            self.attend_version(id);
        }
        Ok(())
    }

    /// Says that a version is being carried out as soon as people have agreed to it.
    pub(crate) fn attend_version(&self, run: RunId) {
        let pipeline = self.clone();
        tokio::spawn(async move {
            if pipeline.drive().begun(&run).await
                && let Err(error) = pipeline.is_executing(&run).await
            {
                tracing::warn!(error = &error as &dyn std::error::Error, %run, "where an intent stands was not recorded");
            }
        });
    }

    async fn is_executing(&self, run: &RunId) -> Result<(), PipelineError> {
        let Ok((run, _)) = self.drive().run(run).await else { return Ok(()) };
        let (intent, version) = (&run.submitted().intent, run.submitted().intent_version);
        let ground = self.ground(intent).await?;
        if ground.state != State::Ready {
            return Ok(());
        }
        let entries = self.journal().stream(&RunEvent::stream(run.id())).await?;
        let agreed = moved(intent, version, State::Ready, State::Executing, "people agreed");
        let expects = vec![Expect { stream: stream(intent), version: ground.version }];
        let batch = Batch { expects, ..Batch::of(vec![agreed]) };
        match self.journal().commit(&self.journal().cause_after(entries.last()), batch).await {
            // Its end was faster, and says the same.
            Ok(_) | Err(CommitError::Stale { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Watches what was carried out last of an intent, whatever became of newer versions since, unless it is gone or nobody is to
    /// watch it.
    pub(crate) async fn watch(&self, intent: &IntentId, doc: &Value) -> Result<(), PipelineError> {
        if is_gone(doc) || is_unwatched(doc) {
            return Ok(());
        }
        match self.in_force(intent, doc).await {
            Ok(Some((intent, plan))) => self.manage(&intent, &Some(plan), taken_in(doc)).await,
            Ok(None) => {}
            // A new version of it can be handed in, and the others go on.
            Err(unreadable @ PipelineError::Recorded { .. }) => {
                let error = &unreadable as &dyn std::error::Error;
                tracing::error!(error, %intent, "what is in force cannot be read, and is not watched");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A run may have ended without its intent having been told, if the process ended between the two.
    async fn settle_lost_end(&self, intent: &IntentId, doc: &Value) -> Result<(), PipelineError> {
        let moving = [State::Ready, State::Executing, State::Decommissioning];
        if !moving.iter().any(|state| doc.get("to") == Some(&json!(state))) {
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
            self.run_ended(&Ended { context, run, cause }).await;
        }
        Ok(())
    }

    /// The version of an intent that was carried out last, with its whole plan.
    pub(crate) async fn in_force(&self, id: &IntentId, doc: &Value) -> Result<Option<(Intent, Plan)>, PipelineError> {
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
        let manifest = read_recorded_manifest("manifest", &text)
            .map_err(|_| recorded(format!("the manifest of `{id}` is unsound")))?;
        Ok(Some((manifest.intent, plan)))
    }

    /// Follows runs to their ends.
    async fn follow(&self, mut ended: broadcast::Receiver<Ended>, mut stopped: oneshot::Receiver<()>) {
        loop {
            let over = tokio::select! {
                biased;
                over = ended.recv() => over,
                _ = &mut stopped => return,
            };
            match over {
                Ok(over) => self.run_ended(&over).await,
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::error!(missed, "ends of runs were missed; a restart takes them up");
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    async fn run_ended(&self, over: &Ended) {
        let told = match over.context.origin {
            Origin::Intent | Origin::Feedback => self.intent_run_ended(over).await,
            Origin::Decommission => self.removal_ended(over).await,
            Origin::Remedy | Origin::Scaling | Origin::Playbook => self.brought_back(over).await,
            Origin::Exec => Ok(()),
        };
        // A restart settles what was lost.
        if let Err(error) = told {
            let intent = &over.run.submitted().intent;
            tracing::error!(error = &error as &dyn std::error::Error, %intent, "an intent's end was not recorded");
        }
    }

    /// What a run's end means for its intent.
    async fn intent_run_ended(&self, over: &Ended) -> Result<(), PipelineError> {
        let submitted = over.run.submitted();
        let (intent, version) = (&submitted.intent, submitted.intent_version);
        let Ground { state, version: expected } = self.ground(intent).await?;
        // Told already, or not this run's to tell.
        if !matches!(state, State::Ready | State::Executing) {
            return Ok(());
        }
        let applied = self.applied(intent, version).await?;
        let succeeded = *over.run.state() == RunState::Succeeded;
        let doc = self.journal().doc("intents", intent.as_str()).await?.unwrap_or_default();
        let former = doc.get("applied_plan").filter(|plan| plan.is_string());
        let mut drafts = Vec::new();
        if state == State::Ready {
            let because = answered(&over.run);
            drafts.push(moved(intent, version, State::Ready, State::Executing, because));
        }
        if succeeded {
            let mut active = moved(intent, version, State::Executing, State::Active, "the run succeeded");
            if let Value::Object(body) = &mut active.body {
                body.extend(applied.into_iter().flatten());
            }
            drafts.push(active);
            drafts.push(moved(intent, version, State::Active, State::Monitoring, "it is watched"));
        } else {
            let mut because = format!("the run is {}", over.run.state().name());
            let (nothing, stays) = (left_nothing(&over.run), "the version before stays in force");
            let lacking = self.lacking(over, &doc).await?;
            if former.is_some() {
                // The version before stays in force, and is watched as it was.
                if is_unwatched(&doc) {
                    because += "; part of what was there before was taken away, and nobody watches the rest";
                } else if let Some(lacking) = &lacking {
                    because = format!("{because}; {stays}, and {lacking}");
                }
                let mut degraded = moved(intent, version, State::Executing, State::Degraded, &because);
                if !nothing {
                    degraded.body[TAKEN] = json!(taken_with(&doc, &over.run));
                }
                drafts.push(degraded);
                if lacking.is_none() && !is_unwatched(&doc) {
                    drafts.push(moved(intent, version, State::Degraded, State::Monitoring, stays));
                }
            } else {
                drafts.push(moved(intent, version, State::Executing, State::Failed, &because));
                if nothing {
                    drafts.extend(self.released(intent).await?);
                }
            }
        }
        let expects = vec![Expect { stream: stream(intent), version: expected }];
        match self.journal().commit(&over.cause, Batch { expects, ..Batch::of(drafts) }).await {
            // That people agreed was said meanwhile.
            Err(CommitError::Stale { .. }) => return Box::pin(self.intent_run_ended(over)).await,
            told => told?,
        };
        let doc = self.journal().doc("intents", intent.as_str()).await.ok().flatten().unwrap_or_default();
        if let Err(error) = self.watch(intent, &doc).await {
            tracing::error!(error = &error as &dyn std::error::Error, %intent, "it is not watched");
        }
        Ok(())
    }

    /// What is to be remembered of a version that was submitted, once it is in force.
    async fn applied(&self, intent: &IntentId, version: u64) -> Result<Option<[(String, Value); 7]>, LedgerError> {
        let (mut plan, mut submitted) = (None, None);
        for entry in self.journal().stream(&stream(intent)).await? {
            if entry.body.get("version").and_then(Value::as_u64) != Some(version) {
                continue;
            }
            match entry.kind.as_str() {
                "intent.translated/1" => plan = entry.body.get("plan").cloned(),
                "intent.submitted/1" => submitted = Some(entry.body),
                _ => {}
            }
        }
        Ok(plan.zip(submitted).map(|(plan, submitted)| {
            let said = |field: &str| submitted.get(field).cloned().unwrap_or_default();
            in_force([json!(version), plan, said("manifest"), said("environment"), said("team")])
        }))
    }
}

/// Whether an intent is taken away, or could not be in full: nothing of it is brought back.
pub(crate) fn is_gone(doc: &Value) -> bool {
    matches!(state_in(doc), State::Decommissioning | State::Archived | State::Failed)
}

/// Whether part of an intent was taken away on purpose, so that what is gone is not brought back.
pub(crate) fn is_unwatched(doc: &Value) -> bool {
    doc.get(UNWATCHED) == Some(&json!(true))
}

/// What became of the question whether a version is carried out, once its run is over.
fn answered(run: &Run) -> &'static str {
    if run.started_at().is_some() {
        "people agreed"
    } else if *run.state() == RunState::Rejected {
        "people rejected it"
    } else if matches!(run.state(), RunState::Expired { .. }) {
        "it expired before it began"
    } else {
        "it ended before it began"
    }
}
