//! A world in memory: components with instances that start, die and hang; orders that get lost, late and doubled. It checks
//! permits, epochs and nonces as a real provider does, and counts what really happened.

use crate::fault::{Fault, Mishap};
use crate::{SeededChance, guard::Guard};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use writ_core::{
    Clock, ComponentId, Effect, EffectClass, EffectKey, Health, Observation, Probe, Provider, ProviderError, Receipt,
    Timestamp, World,
};

/// The verbs, each with how long it takes.
const VERBS: [(&str, u64); 10] = [
    ("balancer.ensure", 50),
    ("balancer.remove", 50),
    ("healing.configure", 10),
    ("healing.remove", 10),
    ("health.configure", 10),
    ("health.remove", 10),
    ("instance.ensure", 300),
    ("instance.remove", 150),
    ("scaling.configure", 10),
    ("scaling.remove", 10),
];

/// Parameters that say how to start or stop, not what runs.
const PASSING: [&str; 4] = ["component", "drain_ms", "generation", "start_timeout_ms"];

/// How long an instance must answer no check before it counts as failed.
const CHECKS_FAIL: Duration = Duration::from_millis(1_500);

/// Something that really happened, once for each time it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// Under which key.
    pub key: EffectKey,
    /// At which epoch of the resource.
    pub epoch: u64,
    /// The verb.
    pub verb: String,
    /// What it was done to.
    pub resource: String,
}

/// An instance.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) params: Value,
    pub(crate) generation: u64,
    pub(crate) zone: String,
    /// How its process ended, when it did.
    pub(crate) ended: Option<String>,
    /// Since when it answers nothing.
    pub(crate) hangs_since: Option<Timestamp>,
    /// The share of its requests that fail, in percent.
    pub(crate) errors_percent: u64,
    /// How long its answers take.
    pub(crate) latency: Duration,
}

impl Instance {
    pub(crate) fn health(&self, now: Timestamp) -> Health {
        match (&self.ended, self.hangs_since) {
            (Some(_), _) => Health::Failed,
            (None, Some(since)) if now.since(since) >= CHECKS_FAIL => Health::Failed,
            (None, Some(_) | None) => Health::Healthy,
        }
    }
}

/// What counters say at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Orders that came.
    pub orders: u64,
    /// Orders for what had been done before: answered with the first receipt.
    pub repeated: u64,
    /// Orders that were refused.
    pub refused: u64,
    /// Mishaps that happened.
    pub mishaps: u64,
}

pub(crate) struct State {
    pub(crate) instances: BTreeMap<String, Instance>,
    settings: BTreeMap<String, Value>,
    done: BTreeMap<EffectKey, (Effect, Receipt)>,
    guard: Guard,
    deeds: Vec<Deed>,
    asked: Vec<Effect>,
    faults: Vec<Fault>,
    broken: BTreeSet<String>,
    /// Of what nobody can say what came.
    hidden: BTreeSet<String>,
    pub(crate) seen: Vec<Observation>,
    tally: Tally,
    pub(crate) requests_per_second: u64,
    forgets_keys: bool,
    jitter_ms: u64,
}

pub(crate) struct Inner {
    pub(crate) clock: Arc<dyn Clock>,
    chance: SeededChance,
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Notify,
}

/// See the module. Lives on when a controller dies.
#[derive(Clone)]
pub struct SimWorld {
    pub(crate) inner: Arc<Inner>,
}

impl SimWorld {
    /// An empty world, which believes this gate alone.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, gate_key: [u8; 32], seed: u64) -> Self {
        let state = State {
            instances: BTreeMap::new(),
            settings: BTreeMap::new(),
            done: BTreeMap::new(),
            guard: Guard::new(gate_key),
            deeds: Vec::new(),
            asked: Vec::new(),
            faults: Vec::new(),
            broken: BTreeSet::new(),
            hidden: BTreeSet::new(),
            seen: Vec::new(),
            tally: Tally::default(),
            requests_per_second: 0,
            forgets_keys: false,
            jitter_ms: 0,
        };
        let inner = Inner { clock, chance: SeededChance::new(seed), state: Mutex::new(state), changed: Notify::new() };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, what: impl FnOnce(&mut State)) {
        what(&mut self.state());
        self.inner.changed.notify_waiters();
    }

    /// The next order that fits meets with this.
    pub fn plan_fault(&self, mishap: Mishap, target: &str) {
        self.state().faults.push(Fault { mishap, target: target.to_owned() });
    }

    /// What was planned to go wrong and has not yet will not.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// From now on every order takes up to so much longer.
    pub fn set_jitter(&self, up_to: Duration) {
        self.state().jitter_ms = u64::try_from(up_to.as_millis()).unwrap_or(u64::MAX);
    }

    /// From now on an effect that is asked for again happens again: a world in which nothing is idempotent, to see that it
    /// would be noticed.
    pub fn forget_keys(&self) {
        self.state().forgets_keys = true;
    }

    /// From now on the component is asked so much.
    pub fn set_load(&self, requests_per_second: u64) {
        self.state().requests_per_second = requests_per_second;
    }

    /// An instance's process ends. Whether there was one.
    pub fn kill(&self, resource: &str) -> bool {
        let now = self.inner.clock.now();
        let mut killed = false;
        self.change(|state| killed = state.end(resource, "signal 9", now));
        killed
    }

    /// An instance answers nothing any more. Whether there was one.
    pub fn hang(&self, resource: &str) -> bool {
        let now = self.inner.clock.now();
        let mut hung = false;
        self.change(|state| {
            if let Some(instance) = state.instances.get_mut(resource).filter(|one| one.ended.is_none()) {
                instance.hangs_since.get_or_insert(now);
                hung = true;
            }
        });
        hung
    }

    /// An instance fails so much of what it is asked. Whether there was one.
    pub fn fail_requests(&self, resource: &str, percent: u64) -> bool {
        self.state().instances.get_mut(resource).map(|one| one.errors_percent = percent.min(100)).is_some()
    }

    /// An instance takes so long for an answer. Whether there was one.
    pub fn slow_down(&self, resource: &str, latency: Duration) -> bool {
        self.state().instances.get_mut(resource).map(|one| one.latency = latency).is_some()
    }

    /// From now on nobody can say what came of an effect on a resource.
    pub fn hide(&self, resource: &str) {
        self.state().hidden.insert(resource.to_owned());
    }

    /// Whatever is started under this name dies at once, until it is mended.
    pub fn break_slot(&self, resource: &str, broken: bool) {
        let mut state = self.state();
        if broken {
            state.broken.insert(resource.to_owned());
        } else {
            state.broken.remove(resource);
        }
    }

    /// What really happened, in order.
    #[must_use]
    pub fn deeds(&self) -> Vec<Deed> {
        self.state().deeds.clone()
    }

    /// Every order that came, in order, whether or not it was carried out.
    #[must_use]
    pub fn asked(&self) -> Vec<Effect> {
        self.state().asked.clone()
    }

    /// What was counted.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.state().tally
    }

    /// Instances by name, each with its generation and how it does.
    #[must_use]
    pub fn instances(&self) -> Vec<(String, u64, Health)> {
        let now = self.inner.clock.now();
        let state = self.state();
        state.instances.iter().map(|(name, one)| (name.clone(), one.generation, one.health(now))).collect()
    }

    /// Everything there is of a component, as [`Provider::observe`] tells it.
    #[must_use]
    pub fn look(&self, component: &ComponentId) -> World {
        let now = self.inner.clock.now();
        let state = self.state();
        let prefix = format!("{component}/");
        let mut world = World::default();
        for (name, document) in state.settings.iter().filter(|(name, _)| name.starts_with(&prefix)) {
            world.resources.insert(name.clone(), document.clone());
        }
        for (name, one) in state.instances.iter().filter(|(name, _)| name.starts_with(&prefix)) {
            let mut document = one.params.clone();
            let seen = json!({
                "ended": one.ended, "generation": one.generation, "health": one.health(now),
                "slot": name.strip_prefix(&prefix), "zone": one.zone,
            });
            if let (Value::Object(fields), Value::Object(seen)) = (&mut document, seen) {
                fields.extend(seen);
            }
            world.resources.insert(name.clone(), document);
        }
        world
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    async fn wait(&self, millis: u64) {
        self.inner.clock.sleep(Duration::from_millis(millis)).await;
    }

    fn meet(&self, effect: &Effect) -> Option<Mishap> {
        let mut state = self.state();
        state.tally.orders += 1;
        state.asked.push(effect.clone());
        let at = state.faults.iter().position(|fault| fault.hits(effect))?;
        state.tally.mishaps += 1;
        Some(state.faults.remove(at).mishap)
    }

    /// Carries an order out: checks it, takes its time, checks it again, and does it.
    async fn work(&self, effect: &Effect) -> Result<Receipt, ProviderError> {
        let takes = VERBS.iter().find(|(verb, _)| *verb == effect.verb).map(|(_, takes)| *takes);
        let Some(takes) = takes else {
            return Err(self.refused(effect, "this world does not know the verb".to_owned()));
        };
        let first = self.state().guard.check(effect, self.now());
        first.map_err(|because| self.refused(effect, because))?;
        let jitter = self.state().jitter_ms;
        self.wait(takes + self.inner.chance.below(jitter + 1)).await;
        let now = self.now();
        let done = {
            let mut state = self.state();
            state.carry_out(effect, now)
        };
        self.inner.changed.notify_waiters();
        match done {
            Ok(receipt) => Ok(receipt),
            Err(Not::Refused(because)) => Err(self.refused(effect, because)),
            Err(Not::Failed(because)) => Err(failed(effect, because)),
        }
    }

    fn refused(&self, effect: &Effect, because: String) -> ProviderError {
        self.state().tally.refused += 1;
        ProviderError::Refused { verb: effect.verb.clone(), resource: effect.resource.clone(), because }
    }
}

fn failed(effect: &Effect, because: impl Into<String>) -> ProviderError {
    ProviderError::Failed { verb: effect.verb.clone(), resource: effect.resource.clone(), because: because.into() }
}

fn unclear(effect: &Effect, because: &str) -> ProviderError {
    ProviderError::Unclear { verb: effect.verb.clone(), resource: effect.resource.clone(), because: because.to_owned() }
}

enum Not {
    Refused(String),
    Failed(String),
}

impl State {
    fn carry_out(&mut self, effect: &Effect, now: Timestamp) -> Result<Receipt, Not> {
        self.guard.admit(effect, now).map_err(Not::Refused)?;
        if let Some((first, receipt)) = self.done.get(&effect.key).filter(|_| !self.forgets_keys) {
            if (&first.verb, &first.resource, &first.params) != (&effect.verb, &effect.resource, &effect.params) {
                return Err(Not::Refused(format!("its key was used for `{}` on `{}`", first.verb, first.resource)));
            }
            let receipt = Receipt { repeated: true, ..receipt.clone() };
            self.tally.repeated += 1;
            return Ok(receipt);
        }
        let detail = self.make_so(effect, now)?;
        let receipt = Receipt { detail, finished_at: now, key: effect.key.clone(), repeated: false };
        self.done.insert(effect.key.clone(), (effect.clone(), receipt.clone()));
        self.deeds.push(Deed {
            at: now,
            key: effect.key.clone(),
            epoch: effect.epoch,
            verb: effect.verb.clone(),
            resource: effect.resource.clone(),
        });
        Ok(receipt)
    }

    fn make_so(&mut self, effect: &Effect, now: Timestamp) -> Result<Value, Not> {
        let name = effect.resource.clone();
        match effect.verb.as_str() {
            "instance.ensure" => self.start(effect, now),
            "instance.remove" => Ok(json!({"there": self.instances.remove(&name).is_some()})),
            verb if verb.ends_with(".remove") => Ok(json!({"there": self.settings.remove(&name).is_some()})),
            _ => {
                self.settings.insert(name, lasting(&effect.params));
                Ok(json!({}))
            }
        }
    }

    fn start(&mut self, effect: &Effect, now: Timestamp) -> Result<Value, Not> {
        let wanted = effect.params.get("generation").and_then(Value::as_u64).unwrap_or(0);
        let zone = effect.params.get("zone").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(there) = self.instances.get(&effect.resource) {
            if there.generation > wanted && there.ended.is_some() {
                return Err(Not::Refused(format!("generation {} was started here and has ended", there.generation)));
            }
            if there.generation >= wanted && there.ended.is_none() {
                return Ok(json!({"generation": there.generation, "stands": true}));
            }
        }
        if self.broken.contains(&effect.resource) {
            return Err(Not::Failed("exit 1 before it was healthy".to_owned()));
        }
        let instance = Instance {
            params: lasting(&effect.params),
            generation: wanted,
            zone,
            ended: None,
            hangs_since: None,
            errors_percent: 0,
            latency: Duration::from_millis(20),
        };
        self.instances.insert(effect.resource.clone(), instance);
        self.tell_health(&effect.resource, Health::Healthy, "its checks pass", now);
        Ok(json!({"generation": wanted, "stands": false}))
    }

    fn end(&mut self, resource: &str, how: &str, at: Timestamp) -> bool {
        let Some(instance) = self.instances.get_mut(resource).filter(|one| one.ended.is_none()) else { return false };
        instance.ended = Some(how.to_owned());
        let generation = instance.generation;
        if let Some((component, slot)) = named(resource) {
            let (instance, how) = (slot.to_owned(), how.to_owned());
            self.seen.push(Observation::Exited { at, component, generation, how, instance });
        }
        true
    }

    fn tell_health(&mut self, resource: &str, health: Health, because: &str, at: Timestamp) {
        let Some(generation) = self.instances.get(resource).map(|one| one.generation) else { return };
        if let Some((component, slot)) = named(resource) {
            let (instance, because) = (slot.to_owned(), because.to_owned());
            self.seen.push(Observation::HealthChanged { at, because, component, generation, health, instance });
        }
    }

    /// Instances that hang and whose checks have failed for long enough by now are told as failed, once.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        let due = |one: &Instance| one.hangs_since.is_some_and(|since| now.since(since) >= CHECKS_FAIL);
        let hung: Vec<String> =
            self.instances.iter().filter(|(_, one)| due(one)).map(|(name, _)| name.clone()).collect();
        for resource in hung {
            let told = self.seen.iter().rev().find_map(|seen| match seen {
                Observation::HealthChanged { health, instance, generation, .. }
                    if resource.ends_with(&format!("/{instance}")) =>
                {
                    Some((*health, *generation))
                }
                Observation::HealthChanged { .. } | Observation::Exited { .. } | Observation::Window(_) => None,
            });
            let there = self.instances.get(&resource).map_or(0, |one| one.generation);
            if told != Some((Health::Failed, there)) {
                self.tell_health(&resource, Health::Failed, "3 checks got no answer", now);
            }
        }
    }

    /// When [`State::settle`] has something to do next.
    pub(crate) fn next_settling(&self, now: Timestamp) -> Option<Timestamp> {
        let due = self.instances.values().filter_map(|one| Some(one.hangs_since?.plus(CHECKS_FAIL)));
        due.filter(|at| *at > now).min()
    }
}

fn named(resource: &str) -> Option<(ComponentId, &str)> {
    let (component, slot) = resource.rsplit_once('/')?;
    Some((component.parse().ok()?, slot))
}

/// What stays of parameters once they have been carried out.
fn lasting(params: &Value) -> Value {
    let mut lasting = params.clone();
    if let Some(fields) = lasting.as_object_mut() {
        PASSING.iter().for_each(|name| drop(fields.remove(*name)));
    }
    lasting
}

#[async_trait]
impl Provider for SimWorld {
    fn name(&self) -> &str {
        "sim"
    }

    fn verbs(&self) -> BTreeMap<String, EffectClass> {
        VERBS.iter().map(|(verb, _)| ((*verb).to_owned(), EffectClass::Keyed)).collect()
    }

    async fn perform(&self, effect: &Effect) -> Result<Receipt, ProviderError> {
        match self.meet(effect) {
            None => self.work(effect).await,
            Some(Mishap::Fails) => {
                self.wait(20).await;
                Err(failed(effect, "it was made to fail"))
            }
            Some(Mishap::Refused) => Err(self.refused(effect, "it was made to be refused".to_owned())),
            Some(Mishap::OrderLost) => {
                self.wait(50).await;
                Err(unclear(effect, "the connection broke"))
            }
            Some(Mishap::AnswerLost) => {
                drop(self.work(effect).await);
                Err(unclear(effect, "the connection broke"))
            }
            Some(Mishap::AnswerLate(span)) => {
                let done = self.work(effect).await;
                self.inner.clock.sleep(span).await;
                done
            }
            Some(Mishap::OrderLate(span)) => {
                self.inner.clock.sleep(span).await;
                self.work(effect).await
            }
            Some(Mishap::Twice) => {
                let first = self.work(effect).await;
                drop(self.work(effect).await);
                first
            }
            Some(Mishap::Hangs) => std::future::pending().await,
        }
    }

    async fn probe(&self, key: &EffectKey, _: &str, resource: &str) -> Probe {
        self.wait(10).await;
        let state = self.state();
        if state.hidden.contains(resource) {
            return Probe::Unclear { because: "nobody can say".into() };
        }
        match state.done.get(key) {
            Some((_, receipt)) => Probe::Happened(receipt.clone()),
            None => Probe::Absent,
        }
    }

    async fn observe(&self, component: &ComponentId) -> Result<World, ProviderError> {
        Ok(self.look(component))
    }
}
