//! Which adapter fills which port. No other file names one.

use crate::backup::BackupError;
use crate::principals::Beginning;
use crate::setup::Files;
use crate::state::{StateDir, StateError};
use crate::system::{SystemClock, SystemEntropy};
use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use writ_audit::Continuation;
use writ_core::Ledger as _;
use writ_core::{
    Clock, ComponentId, Effect, EffectClass, EffectKey, Entropy, LedgerError, Notifier, Observation, Probe, Provider,
    ProviderError, Receipt, RunId, Sensor, SensorError, Severity, Signer, World,
};
use writ_pipeline::{
    Consent, Foundations, Journal, OpenError, Pipeline, PipelineError, Ports, Setup, Trust, VerifyError,
    continue_journal, key_chain, rebuild_views, reshape,
};
use writ_providers::{Faces, LocalConfig, LocalProvider, OpenError as ProviderOpenError, Running, SensorConfig};
use writ_seal::{Key, NoteKey};
use writ_store::{MemoryLedger, SqliteLedger, WitnessFile};

/// Entry points of the processes that the local provider starts from this very program.
pub mod faces {
    pub use writ_providers::{balance, launch, load, sample};
}

/// What channels are made of.
pub(crate) mod channel {
    pub(crate) use writ_providers::notify::{
        ChannelError, ConsoleNotifier, Secret, SlackNotifier, SmtpConfig, SmtpNotifier, SmtpSecurity, Trust,
        WebhookNotifier,
    };
}

/// Looking at a journal's file and copying it, whoever writes it.
pub(crate) mod journal_file {
    pub(crate) use writ_store::WitnessFile;
    pub(crate) use writ_store::keep::{copy, look};
}

/// How long runs may take to their end when everything is to be stopped behind them.
const FINISHED_WITHIN: Duration = Duration::from_secs(15);

/// Tells the processes that the provider has, as documents.
pub(crate) type Processes = Arc<dyn Fn() -> Vec<Value> + Send + Sync>;

/// Kills the process of a component's instance; false when there is none that lives.
pub(crate) type Break = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

/// Makes the key that takes the journal over, or finds the one that was made and did not take over yet.
pub(crate) type NextKey = Arc<dyn Fn() -> Result<Arc<dyn Signer>, StateError> + Send + Sync>;

/// Why an installation does not open.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The state directory.
    #[error("the state directory cannot be used")]
    State(#[from] StateError),
    /// The database.
    #[error("the journal's database cannot be opened")]
    Ledger(#[from] LedgerError),
    /// The journal.
    #[error("the journal does not open")]
    Journal(#[from] OpenError),
    /// The provider.
    #[error("the local provider does not open")]
    Provider(#[from] ProviderOpenError),
    /// The pipeline.
    #[error("the pipeline does not open")]
    Pipeline(#[from] PipelineError),
    /// This program's own path.
    #[error("the path of this program is not known")]
    Program(#[source] std::io::Error),
}

/// How an installation turns to people.
pub struct Towards {
    /// What they reach it by: links begin with it.
    pub address: String,
    /// The channels by which they are told.
    pub channels: Vec<Arc<dyn Notifier>>,
    /// How bad something is at the least that they are told.
    pub told_from: Severity,
}

/// An installation: the pipeline with the adapters that must be closed after it.
pub struct Installation {
    /// The pipeline.
    pub pipeline: Pipeline,
    provider: LocalProvider,
    ledger: Arc<SqliteLedger>,
}

impl Installation {
    /// Opens the journal, the world and the pipeline of a state directory.
    ///
    /// # Errors
    /// When one of them does not open; nothing has been changed in the world then.
    pub async fn open(
        state: &StateDir,
        files: &Files,
        beginning: &Beginning,
        towards: Towards,
    ) -> Result<Self, WireError> {
        crate::failpoint::arm();
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let face = |name: &str| vec![name.to_owned()];
        let config = LocalConfig {
            clock: clock.clone(),
            faces: Faces { launch: face("__launch"), balance: face("__balance"), sample: face("__sample") },
            gate_key: state.key("gate", "gate", &*entropy)?.public_key(),
            program: program()?,
            state_dir: state.path("world"),
        };
        // The world's lock comes first: whoever does not get it has not taken the journal from whoever has it.
        let provider = LocalProvider::open(config).await?;
        let ledger = Arc::new(SqliteLedger::open(&state.path("journal.db")).await?);
        let gate: Arc<dyn Signer> = Arc::new(state.key("gate", "gate", &*entropy)?);
        let journal = Journal::open(foundations(state, &ledger, &*gate).await?).await?;
        let seen = provider.clone();
        let ports = Ports {
            provider: Arc::new(provider.clone()),
            sense: Arc::new(move |component: &ComponentId| {
                Arc::new(seen.sensor(component.clone(), SensorConfig::default())) as Arc<dyn Sensor>
            }),
            notifiers: towards.channels,
            gate_signer: gate,
        };
        let key = |id: &str| state.key(&format!("agents/{id}"), id, &*entropy);
        let standing = beginning.standing(journal.now(), journal.chance());
        let (address, consent, told_from) = (towards.address, beginning.consent, towards.told_from);
        let setup = Setup { address, consent, standing, told_from, ..setup(files, &key)? };
        let pipeline = Pipeline::open(journal, setup, ports).await?;
        Ok(Self { pipeline, provider, ledger })
    }

    /// What makes the key that takes the journal over when its key is rotated. It is on the disk when it is answered.
    pub(crate) fn next_key(&self, state: &StateDir) -> NextKey {
        let (state, origin) = (state.clone(), self.pipeline.journal().base().signer.name().to_owned());
        Arc::new(move || Ok(Arc::new(state.key("log.next", &origin, &SystemEntropy)?) as Arc<dyn Signer>))
    }

    /// What tells the processes that writ started.
    pub(crate) fn processes(&self) -> Processes {
        let provider = self.provider.clone();
        Arc::new(move || provider.list().into_iter().map(process).collect())
    }

    /// What breaks an instance, so that people see it healed.
    pub(crate) fn breaks(&self) -> Break {
        let provider = self.provider.clone();
        Arc::new(move |component, slot| {
            let lives = |one: &Running| one.component == component && one.slot == slot && one.alive;
            let pid = provider.list().into_iter().find(lives).and_then(|one| Pid::from_raw(one.pid?));
            pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
        })
    }

    /// Stops healing and closes the journal. With `all`, runs that go on come to their end first, unless that takes too long or it is
    /// to be `at_once`, and everything that writ started is stopped too; else live runs are handed over to the next start, after so
    /// long a wait for what they have under way. The runs that did not come to their end: what they stand on was left to them.
    ///
    /// # Errors
    /// When a process could not be stopped.
    pub async fn close(
        self,
        all: bool,
        at_once: impl Future<Output = ()>,
        drain: Duration,
    ) -> Result<Vec<RunId>, ProviderError> {
        self.pipeline.stop().await;
        let drive = self.pipeline.drive();
        let mut left = Vec::new();
        if all {
            left = tokio::select! {
                () = drive.finished() => drive.unfinished(),
                () = at_once => Vec::new(),
                () = tokio::time::sleep(FINISHED_WITHIN) => drive.unfinished(),
            };
        }
        if tokio::time::timeout(drain, drive.rest()).await.is_err() {
            tracing::warn!("effects are still under way at the end; the next start asks what became of them");
        }
        if tokio::time::timeout(drain, self.pipeline.settle()).await.is_err() {
            tracing::warn!("what follows from the ends of runs is recorded at the next start");
        }
        let stopped = if all && left.is_empty() { self.provider.shutdown_all().await } else { Ok(()) };
        self.ledger.close().await;
        stopped.map(|()| left)
    }
}

/// What the journal of a state directory stands on.
async fn foundations(
    state: &StateDir,
    ledger: &Arc<SqliteLedger>,
    gate: &dyn Signer,
) -> Result<Foundations, WireError> {
    let keys = key_chain(&**ledger).await?;
    let origin = match keys.newest() {
        Some(in_force) => {
            state.take_over(in_force, &SystemEntropy)?;
            in_force.name.clone()
        }
        None => StateDir::origin(&state.key("log", "", &SystemEntropy)?),
    };
    Ok(Foundations {
        ledger: ledger.clone(),
        signer: Arc::new(state.key("log", &origin, &SystemEntropy)?),
        gate_key: gate.public_key(),
        witness: Arc::new(WitnessFile::at(&state.path("witness"))),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        realm: "local".into(),
    })
}

/// Brings the tables of a journal that nobody has open to what this program writes, as every start does.
pub(crate) async fn migrate(path: &Path) -> Result<(), WireError> {
    SqliteLedger::open(path).await?.close().await;
    Ok(())
}

/// Verifies the journal of a state directory that nobody has open. `trust` is made from its keys, and may find them wanting: then
/// nothing is answered. How many entries hold, or what does not.
pub(crate) async fn verify_kept(
    state: &StateDir,
    trust: impl FnOnce(&[NoteKey]) -> Option<Trust>,
) -> Result<Option<Result<u64, VerifyError>>, WireError> {
    let ledger = SqliteLedger::open(&state.path("journal.db")).await?;
    let keys = key_chain(&ledger).await?;
    let known: Vec<NoteKey> = keys.keys().cloned().collect();
    let verified = match trust(&known) {
        Some(trust) => {
            reshape(&ledger).await?;
            let head = ledger.head().await?.map_or(0, |head| head.size);
            if ledger.reported().await? < head {
                rebuild_views(&ledger).await?;
            }
            Some(writ_pipeline::verify(&ledger, &trust).await.map(|audit| audit.size))
        }
        None => None,
    };
    ledger.close().await;
    Ok(verified)
}

/// Goes on with a journal that was rolled back, under another name and key, which is on the disk before it is recorded.
pub(crate) async fn go_on(state: &StateDir, reason: &str) -> Result<Continuation, BackupError> {
    let gate = state.key("gate", "gate", &SystemEntropy)?;
    let ledger = Arc::new(SqliteLedger::open(&state.path("journal.db")).await.map_err(WireError::Ledger)?);
    let base = foundations(state, &ledger, &gate).await?;
    let name = StateDir::origin(&state.key("log.next", "", &SystemEntropy)?);
    let next = state.key("log.next", &name, &SystemEntropy)?;
    let in_force = NoteKey::of(&next);
    let done = continue_journal(base, Arc::new(next), reason, &writ_core::Actor::system("restore")).await;
    if done.is_ok() {
        state.take_over(&in_force, &SystemEntropy)?;
    }
    ledger.close().await;
    Ok(done?)
}

fn process(running: Running) -> Value {
    json!({
        "address": running.address.to_string(), "alive": running.alive, "component": running.component,
        "generation": running.generation, "pid": running.pid, "slot": running.slot, "zone": running.zone,
    })
}

/// A pipeline over nothing: what offline commands plan and judge with. It can do nothing to any world.
///
/// # Errors
/// When the setup cannot be recorded in memory, which only a fault makes so.
pub async fn offline(files: &Files) -> Result<Pipeline, WireError> {
    offline_in(files, Arc::new(Nowhere), Arc::new(SystemClock)).await
}

/// The same in another world, and by another clock.
pub(crate) async fn offline_in(
    files: &Files,
    world: Arc<dyn Provider>,
    clock: Arc<dyn Clock>,
) -> Result<Pipeline, WireError> {
    let gate = fresh_key("gate", &SystemEntropy);
    over(files, Arc::new(MemoryLedger::new()), gate, world, clock).await
}

/// A ledger in memory.
#[cfg(test)]
pub(crate) fn memory() -> Arc<dyn writ_core::Ledger> {
    Arc::new(MemoryLedger::new())
}

async fn over(
    files: &Files,
    ledger: Arc<dyn writ_core::Ledger>,
    gate: Key,
    provider: Arc<dyn Provider>,
    clock: Arc<dyn Clock>,
) -> Result<Pipeline, WireError> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let gate: Arc<dyn Signer> = Arc::new(gate);
    let foundations = Foundations {
        ledger,
        signer: Arc::new(fresh_key("writ.offline/log", &*entropy)),
        gate_key: gate.public_key(),
        witness: Arc::new(Unwitnessed),
        clock,
        entropy: entropy.clone(),
        realm: "offline".into(),
    };
    let journal = Journal::open(foundations).await?;
    let ports = Ports { provider, sense: Arc::new(|_| Arc::new(Nowhere)), notifiers: Vec::new(), gate_signer: gate };
    let key = |id: &str| Ok(fresh_key(id, &*entropy));
    let standing = Beginning::DEV.standing(journal.now(), journal.chance());
    let setup = Setup { standing, ..setup(files, &key)? };
    Ok(Pipeline::open(journal, setup, ports).await?)
}

/// A pipeline over a ledger and a provider of one's own: what benchmarks drive. Keys are new with each call.
///
/// # Errors
/// When the journal or the pipeline does not open.
pub async fn bench_pipeline<P: Provider + 'static>(
    files: &Files,
    ledger: Arc<dyn writ_core::Ledger>,
    provider: impl FnOnce([u8; 32]) -> Arc<P>,
) -> Result<Pipeline, WireError> {
    let gate = fresh_key("gate", &SystemEntropy);
    let provider = provider(gate.public_key());
    over(files, ledger, gate, provider, Arc::new(SystemClock)).await
}

fn setup(files: &Files, key: &dyn Fn(&str) -> Result<Key, StateError>) -> Result<Setup, WireError> {
    let mut agents: Vec<(_, Arc<dyn Signer>)> = Vec::new();
    for spec in &files.agents {
        agents.push((spec.clone(), Arc::new(key(spec.id.as_str())?)));
    }
    Ok(Setup {
        address: String::new(),
        agents,
        bundle: files.bundle.clone(),
        commands: files.commands.clone(),
        consent: Consent::One,
        policy_files: files.policy_files.clone(),
        needs: files.needs.clone(),
        platform: Arc::new(files.platform.clone()),
        playbooks: files.playbooks.clone(),
        registry: files.registry.clone(),
        approvers: "approver".into(),
        summary: Duration::from_secs(10),
        told_from: Severity::High,
        standing: None,
    })
}

fn program() -> Result<PathBuf, WireError> {
    std::env::current_exe().map_err(WireError::Program)
}

fn fresh_key(name: &str, entropy: &dyn Entropy) -> Key {
    let mut seed = [0; 32];
    entropy.fill(&mut seed);
    Key::from_seed(name, &seed)
}

/// Offline, nobody remembers checkpoints.
struct Unwitnessed;

impl writ_core::Witness for Unwitnessed {
    fn latest(&self) -> Result<Option<String>, writ_core::WitnessError> {
        Ok(None)
    }

    fn remember(&self, _: &str) -> Result<(), writ_core::WitnessError> {
        Ok(())
    }
}

/// A world in which there is nothing and nothing can be done.
struct Nowhere;

#[async_trait]
impl Provider for Nowhere {
    fn name(&self) -> &str {
        "nowhere"
    }

    fn verbs(&self) -> BTreeMap<String, EffectClass> {
        BTreeMap::new()
    }

    async fn perform(&self, effect: &Effect) -> Result<Receipt, ProviderError> {
        let because = "offline commands change nothing".to_owned();
        Err(ProviderError::Refused { verb: effect.verb.clone(), resource: effect.resource.clone(), because })
    }

    async fn probe(&self, _: &EffectKey, _: &str, _: &str) -> Probe {
        Probe::Absent
    }

    async fn observe(&self, _: &ComponentId) -> Result<World, ProviderError> {
        Ok(World::default())
    }
}

#[async_trait]
impl Sensor for Nowhere {
    async fn next(&self) -> Result<Observation, SensorError> {
        std::future::pending().await
    }
}
