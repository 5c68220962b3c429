//! The provider port, filled: orders in, receipts out.

use super::Fault;
use super::effects::{Claim, Effects, Intent};
use super::files::{self, Places, StateError};
use super::guard::{Guard, Refusal};
use super::order::{self, Setting, VERBS, Wish};
use super::start::{forget, stop};
use super::table::{BALANCER, Live, Slot, Table};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use writ_core::{
    Clock, ComponentId, Effect, EffectClass, EffectKey, Health, Probe, Provider, ProviderError, Receipt, World,
};

/// How long a new controller waits for an old one to let go of the state directory.
const LOCK_MAX: Duration = Duration::from_secs(5);
/// How long a question about a lost effect waits for one that is still at work.
const PROBE_MAX: Duration = Duration::from_secs(1);

/// The arguments that make the program one of the processes that the provider starts.
#[derive(Debug, Clone)]
pub struct Faces {
    /// Before the launcher's own arguments: `["__launch"]`.
    pub launch: Vec<String>,
    /// Before the balancer's own arguments.
    pub balance: Vec<String>,
    /// The sample service.
    pub sample: Vec<String>,
}

/// What a local provider needs.
#[derive(Clone)]
pub struct LocalConfig {
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// How the program becomes launcher, balancer or sample service.
    pub faces: Faces,
    /// The gate's public key: no order is carried out that it did not sign.
    pub gate_key: [u8; 32],
    /// The program that has the faces; as a rule this very one.
    pub program: PathBuf,
    /// The directory under which everything is kept.
    pub state_dir: PathBuf,
}

/// Why a provider cannot work in a state directory.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be read or written.
    #[error("the state directory cannot be used")]
    State(#[from] StateError),
    /// Another controller works in it.
    #[error("another controller works in `{}`; end it, or choose another state directory", .state_dir.display())]
    Held {
        /// The directory.
        state_dir: PathBuf,
    },
    /// The program with the faces is not there.
    #[error("`{}` is not a program that can be started", .program.display())]
    NoProgram {
        /// The path that was given.
        program: PathBuf,
    },
}

/// One process that the provider has, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Where it serves.
    pub address: std::net::SocketAddr,
    /// Whether it lives.
    pub alive: bool,
    /// Its component.
    pub component: String,
    /// The effect that started it.
    pub effect_key: String,
    /// Which start under its name.
    pub generation: u64,
    /// Its process, when it lives.
    pub pid: Option<i32>,
    /// Its name within the component; the balancer's is `lb`.
    pub slot: String,
    /// Its zone; the balancer has none.
    pub zone: String,
}

/// Real processes that outlive the controller. See [`crate::local`].
#[derive(Clone)]
pub struct LocalProvider {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) config: LocalConfig,
    pub(super) places: Places,
    pub(super) table: Table,
    pub(super) zones: Mutex<BTreeMap<String, u8>>,
    guard: Guard,
    effects: Effects,
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    #[expect(dead_code, reason = "holds the state directory while it lives")]
    lock: File,
}

pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LocalProvider {
    /// Opens a state directory and takes up every process that runs in it.
    ///
    /// # Errors
    /// When the directory cannot be used, another controller works in it, or the program is not there.
    pub async fn open(mut config: LocalConfig) -> Result<Self, OpenError> {
        // The processes it starts hear of the directory and may be anywhere.
        if let Ok(absolute) = std::path::absolute(&config.state_dir) {
            config.state_dir = absolute;
        }
        let places = Places::new(config.state_dir.clone());
        for dir in [config.state_dir.clone(), places.instances(), places.components()] {
            files::make_dir(&dir)?;
        }
        if !config.program.is_file() {
            return Err(OpenError::NoProgram { program: config.program });
        }
        let deadline = tokio::time::Instant::now() + LOCK_MAX;
        let lock = loop {
            if let Some(lock) = files::try_lock(&places.controller_lock())? {
                break lock;
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(OpenError::Held { state_dir: config.state_dir });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let inner = Inner {
            table: Table::open(&places)?,
            zones: Mutex::new(files::read(&places.zones())?.unwrap_or_default()),
            guard: Guard::open(&places, config.gate_key)?,
            effects: Effects::open(&places)?,
            turns: Mutex::new(HashMap::new()),
            lock,
            places,
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Every process it has, by component and name.
    #[must_use]
    pub fn list(&self) -> Vec<Running> {
        let running = |slot: Slot| {
            let alive = slot.alive();
            Running {
                address: slot.record.address,
                alive,
                pid: slot.live.filter(|_| alive).map(|live| live.process.pid()),
                component: slot.record.component,
                effect_key: slot.record.effect_key,
                generation: slot.record.generation,
                slot: slot.record.slot,
                zone: slot.record.zone,
            }
        };
        self.inner.table.all().into_iter().map(running).collect()
    }

    /// Stops everything that was started in the state directory and forgets it; what was done before can still be told.
    ///
    /// # Errors
    /// When something cannot be stopped.
    pub async fn shutdown_all(&self) -> Result<(), ProviderError> {
        let all = self.inner.clear().await;
        all.map_err(|fault| fault.told("shutdown_all", &self.inner.config.state_dir.display().to_string()))
    }
}

impl Fault {
    fn told(self, verb: &str, resource: &str) -> ProviderError {
        let (verb, resource) = (verb.to_owned(), resource.to_owned());
        match self {
            Fault::Refused(because) => ProviderError::Refused { verb, resource, because },
            Fault::Failed(because) => ProviderError::Failed { verb, resource, because },
            Fault::Unclear(because) => ProviderError::Unclear { verb, resource, because },
            Fault::State(error) => ProviderError::Failed { verb, resource, because: crate::http::chain(&error) },
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::State(error) => Fault::State(error),
            Refusal::Permit(_) | Refusal::Epoch { .. } | Refusal::Replayed { .. } | Refusal::Nonce { .. } => {
                Fault::Refused(crate::http::chain(&refusal))
            }
        }
    }
}

fn key_fits(key: &EffectKey) -> Result<(), Fault> {
    let sound = (1..=128).contains(&key.0.len())
        && key.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if sound {
        Ok(())
    } else {
        Err(Fault::Refused("the effect key must have 1 to 128 letters, digits, `_` and `-`".to_owned()))
    }
}

impl Inner {
    async fn perform(&self, effect: &Effect) -> Result<Receipt, Fault> {
        key_fits(&effect.key)?;
        self.guard.check(effect, self.config.clock.now())?;
        let wish = order::read(effect).map_err(Fault::Refused)?;
        let turn = held(&self.turns).entry(effect.resource.clone()).or_default().clone();
        let _turn = turn.lock().await;
        let claim = self.effects.claim(&effect.key).await?;
        let begun = self.effects.intent(&claim)?;
        if let Some(begun) = &begun
            && *begun
                != (Intent {
                    params: effect.params.clone(),
                    resource: effect.resource.clone(),
                    verb: effect.verb.clone(),
                })
        {
            let because =
                format!("its key was used for `{}` on `{}`, or with other parameters", begun.verb, begun.resource);
            return Err(Fault::Refused(because));
        }
        // Waiting may have outlasted the permit, and the orders before this one may have been newer.
        self.guard.admit(effect, self.config.clock.now())?;
        if let Some(receipt) = self.effects.receipt(&claim)? {
            return Ok(Receipt { repeated: true, ..receipt });
        }
        if begun.is_none() {
            self.effects.begin(&claim, effect)?;
        }
        match self.carry_out(effect, &wish).await {
            Ok(detail) => {
                let now = self.config.clock.now();
                Ok(self.effects.finish(&claim, &effect.verb, &effect.resource, detail, now, begun.is_some())?)
            }
            Err(fault @ (Fault::Refused(_) | Fault::Failed(_))) => {
                self.effects.withdraw(&claim)?;
                Err(fault)
            }
            Err(fault @ (Fault::Unclear(_) | Fault::State(_))) => Err(fault),
        }
    }

    async fn carry_out(&self, effect: &Effect, wish: &Wish) -> Result<Value, Fault> {
        match wish {
            Wish::EnsureBalancer(wish) => self.ensure_balancer(effect, wish).await,
            Wish::RemoveBalancer { component } => self.remove_balancer(component.as_str()).await,
            Wish::EnsureInstance(wish) => self.ensure_instance(effect, wish).await,
            Wish::RemoveInstance(wish) => self.remove_instance(effect, wish).await,
            Wish::Configure { component, setting, document } => {
                self.configure(component.as_str(), *setting, document).await
            }
            Wish::Unset { component, setting } => self.unset(component.as_str(), *setting).await,
        }
    }

    /// What came of an effect. One that was begun and not finished is either found done, or made impossible.
    async fn look_for(&self, key: &EffectKey, verb: &str, resource: &str) -> Result<Probe, Fault> {
        key_fits(key)?;
        let Ok(claim) = tokio::time::timeout(PROBE_MAX, self.effects.claim(key)).await else {
            return Ok(Probe::Unclear { because: "it is being carried out".to_owned() });
        };
        let claim = claim?;
        let Some(intent) = self.effects.intent(&claim)? else { return Ok(Probe::Absent) };
        if intent.verb != verb || intent.resource != resource {
            let because = format!("this key was used for `{}` on `{}`", intent.verb, intent.resource);
            return Ok(Probe::Unclear { because });
        }
        if let Some(receipt) = self.effects.receipt(&claim)? {
            return Ok(Probe::Happened(receipt));
        }
        self.resolve(&claim, key, &intent).await
    }

    async fn resolve(&self, claim: &Claim, key: &EffectKey, intent: &Intent) -> Result<Probe, Fault> {
        let Some((component, name)) = intent.resource.rsplit_once('/') else {
            return Ok(Probe::Unclear { because: "its resource cannot be read".to_owned() });
        };
        let there = self.table.get(component, name);
        let setting = Setting::ALL.into_iter().find(|setting| setting.name() == name);
        let done = match (intent.verb.as_str(), setting) {
            ("instance.ensure" | "balancer.ensure", _) => {
                let stands = there.filter(|there| {
                    there.record.effect_key == key.0 && there.record.replaces.is_none() && there.alive()
                });
                match stands {
                    Some(there) => Some(
                        json!({ "address": there.record.address.to_string(), "generation": there.record.generation }),
                    ),
                    None => {
                        let dir = self.places.instance(&key.0);
                        if Live::adopt(&dir)?.is_some() {
                            let because =
                                "it was started and not finished; carry it out again with the same key".to_owned();
                            return Ok(Probe::Unclear { because });
                        }
                        forget(&dir).await?;
                        None
                    }
                }
            }
            ("instance.remove" | "balancer.remove", _) => there.is_none().then(|| json!({})),
            (_, Some(setting)) => {
                let kept: Option<Value> = files::read(&self.places.setting(component, setting.name()))?;
                let mut wanted = intent.params.clone();
                wanted.as_object_mut().map(|fields| fields.remove("component"));
                let removed = intent.verb.ends_with(".remove");
                let stands = if removed { kept.is_none() } else { kept == Some(wanted) };
                stands.then(|| json!({ "setting": setting.name() }))
            }
            (_, None) => return Ok(Probe::Unclear { because: "its verb is not known".to_owned() }),
        };
        match done {
            Some(detail) => {
                let now = self.config.clock.now();
                let receipt = self.effects.finish(claim, &intent.verb, &intent.resource, detail, now, true)?;
                Ok(Probe::Happened(receipt))
            }
            None => {
                self.effects.withdraw(claim)?;
                Ok(Probe::Absent)
            }
        }
    }

    async fn look_at(&self, component: &ComponentId) -> Result<World, Fault> {
        let mut world = World::default();
        let slots = self.table.of(component.as_str());
        let balancer = slots.iter().find(|slot| slot.record.slot == BALANCER);
        let state = match balancer {
            Some(balancer) if balancer.alive() => Some(self.desk(component.as_str()).state().await?),
            Some(_) | None => None,
        };
        for slot in &slots {
            let record = &slot.record;
            let reading = state.as_ref().and_then(|state| state.instances.get(&record.slot));
            let health = match (slot.alive(), reading) {
                (false, _) => Health::Failed,
                (true, _) if record.slot == BALANCER => Health::Healthy,
                (true, Some(reading)) if reading.generation == record.generation => reading.health,
                (true, Some(_) | None) => Health::Unknown,
            };
            let mut document = record.params.clone();
            if let Some(fields) = document.as_object_mut() {
                // What the environment holds may be secret; what it is for is not the world's to tell.
                fields.remove("env");
                let seen = json!({
                    "address": record.address.to_string(), "ended": slot.ended(), "generation": record.generation,
                    "health": health, "pid": slot.live.as_ref().filter(|live| live.alive()).map(|live| live.process.pid()),
                    "port": record.address.port(), "slot": record.slot, "zone": record.zone,
                });
                if let Value::Object(seen) = seen {
                    fields.extend(seen);
                }
            }
            world.resources.insert(format!("{component}/{}", record.slot), document);
        }
        for setting in Setting::ALL {
            if let Some(document) = files::read::<Value>(&self.places.setting(component.as_str(), setting.name()))? {
                world.resources.insert(format!("{component}/{}", setting.name()), document);
            }
        }
        Ok(world)
    }

    async fn clear(&self) -> Result<(), Fault> {
        for slot in self.table.all() {
            self.table.leaving(&slot.record.component, &slot.record.slot);
        }
        let mut stops = tokio::task::JoinSet::new();
        for name in files::names(&self.places.instances())? {
            let dir = self.places.instances().join(name);
            let live = Live::adopt(&dir)?;
            stops.spawn(async move {
                if let Some(live) = live {
                    stop(&live, &dir, Duration::from_secs(3)).await?;
                }
                forget(&dir).await
            });
        }
        let mut first = Ok(());
        while let Some(stopped) = stops.join_next().await {
            let stopped = stopped.unwrap_or_else(|error| Err(Fault::Unclear(error.to_string())));
            first = first.and(stopped);
        }
        first?;
        for slot in self.table.all() {
            self.table.remove(&slot.record.component, &slot.record.slot)?;
        }
        Ok(files::remove(&self.places.components())?)
    }
}

#[async_trait]
impl Provider for LocalProvider {
    fn name(&self) -> &str {
        "local"
    }

    fn verbs(&self) -> BTreeMap<String, EffectClass> {
        VERBS.iter().map(|verb| ((*verb).to_owned(), EffectClass::Keyed)).collect()
    }

    async fn perform(&self, effect: &Effect) -> Result<Receipt, ProviderError> {
        self.inner.perform(effect).await.map_err(|fault| fault.told(&effect.verb, &effect.resource))
    }

    async fn probe(&self, key: &EffectKey, verb: &str, resource: &str) -> Probe {
        let looked = self.inner.look_for(key, verb, resource).await;
        looked.unwrap_or_else(|fault| Probe::Unclear { because: crate::http::chain(&fault) })
    }

    async fn observe(&self, component: &ComponentId) -> Result<World, ProviderError> {
        self.inner.look_at(component).await.map_err(|fault| fault.told("observe", component.as_str()))
    }
}
