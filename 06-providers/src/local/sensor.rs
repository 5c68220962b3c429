//! The sensor: ends of processes, changes of health, and a summary of each span of time.

use super::provider::{Inner, LocalProvider};
use super::table::BALANCER;
use crate::balance::{Metrics, Reading};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, MissedTickBehavior};
use writ_core::{ComponentId, Health, Histogram, InstanceSample, Observation, Sensor, SensorError, Timestamp, Window};

/// Observations that wait for a reader. When it is full the sensor waits: counters are cumulative and ends stay visible, so
/// nothing but promptness is lost.
const WAITING_MAX: usize = 1_024;

/// How a sensor looks.
#[derive(Debug, Clone, Copy)]
pub struct SensorConfig {
    /// How often the balancer is asked for changes of health.
    pub poll: Duration,
    /// The span that one window sums up.
    pub window: Duration,
}

impl Default for SensorConfig {
    fn default() -> Self {
        Self { poll: Duration::from_millis(150), window: Duration::from_secs(1) }
    }
}

/// Sees what one component of the local provider does.
pub struct LocalSensor {
    seen: Mutex<mpsc::Receiver<Result<Observation, SensorError>>>,
    task: tokio::task::AbortHandle,
}

impl LocalProvider {
    /// A sensor for one component. Ends that happened before, and that nobody has repaired, are told first.
    #[must_use]
    pub fn sensor(&self, component: ComponentId, config: SensorConfig) -> LocalSensor {
        let (tell, seen) = mpsc::channel(WAITING_MAX);
        let watch = Watch {
            inner: self.inner.clone(),
            component,
            tell,
            ended: BTreeSet::new(),
            transition: None,
            last: None,
            unreachable: None,
        };
        let task = tokio::spawn(watch.run(config)).abort_handle();
        LocalSensor { seen: Mutex::new(seen), task }
    }
}

impl Drop for LocalSensor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Sensor for LocalSensor {
    async fn next(&self) -> Result<Observation, SensorError> {
        let mut seen = self.seen.lock().await;
        match seen.recv().await {
            Some(observed) => observed,
            None => Err(SensorError { component: String::new(), because: "the sensor has stopped".to_owned() }),
        }
    }
}

/// The counters at one moment.
struct Sight {
    at: Timestamp,
    metrics: Metrics,
    /// Processor time by name and generation, in microseconds, and resident memory.
    used: BTreeMap<(String, u64), super::process::Usage>,
}

struct Watch {
    inner: Arc<Inner>,
    component: ComponentId,
    tell: mpsc::Sender<Result<Observation, SensorError>>,
    /// Ends that were told, by name, generation and key.
    ended: BTreeSet<(String, u64, String)>,
    /// The balancer's start, and the last change of it that was told.
    transition: Option<(Timestamp, u64)>,
    last: Option<Sight>,
    unreachable: Option<String>,
}

impl Watch {
    async fn run(mut self, config: SensorConfig) {
        let changed = self.inner.table.changed.clone();
        let mut poll = tokio::time::interval(config.poll.max(Duration::from_millis(10)));
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let window = config.window.max(Duration::from_millis(50));
        let mut due = Instant::now() + window;
        loop {
            // Asked for before looking, so that an end between looking and waiting is not slept over.
            let woken = changed.notified();
            let told = match self.ends().await {
                Ok(()) => tokio::select! {
                    () = woken => continue,
                    _ = poll.tick() => self.poll().await,
                    () = tokio::time::sleep_until(due) => {
                        due = (due + window).max(Instant::now());
                        self.sum_up().await
                    }
                },
                Err(gone) => Err(gone),
            };
            if told.is_err() {
                return; // Nobody listens any more.
            }
        }
    }

    async fn say(&self, observation: Observation) -> Result<(), Gone> {
        self.tell.send(Ok(observation)).await.map_err(|_| Gone)
    }

    /// Tells ends that nobody wanted.
    async fn ends(&mut self) -> Result<(), Gone> {
        let slots = self.inner.table.of(self.component.as_str());
        let name =
            |record: &super::table::SlotRecord| (record.slot.clone(), record.generation, record.effect_key.clone());
        let there: BTreeSet<_> = slots.iter().map(|slot| name(&slot.record)).collect();
        self.ended.retain(|ended| there.contains(ended));
        for slot in slots.into_iter().filter(|slot| !slot.leaving) {
            let Some(how) = slot.ended() else { continue };
            if self.ended.insert(name(&slot.record)) {
                let (generation, instance) = (slot.record.generation, slot.record.slot);
                let (at, component) = (self.inner.config.clock.now(), self.component.clone());
                self.say(Observation::Exited { at, component, generation, how, instance }).await?;
            }
        }
        Ok(())
    }

    /// The balancer's counters; unreachable is said when it begins, and again with each window.
    async fn metrics(&mut self, again: bool) -> Result<Option<Metrics>, Gone> {
        let asked = match self.inner.desk_of(self.component.as_str()) {
            Ok(desk) => desk.metrics().await,
            Err(fault) => Err(fault),
        };
        match asked {
            Ok(metrics) => {
                self.unreachable = None;
                Ok(Some(metrics))
            }
            Err(fault) => {
                let because = crate::http::chain(&fault);
                if again || self.unreachable.as_ref() != Some(&because) {
                    self.unreachable = Some(because.clone());
                    let component = self.component.to_string();
                    self.tell.send(Err(SensorError { component, because })).await.map_err(|_| Gone)?;
                }
                Ok(None)
            }
        }
    }

    async fn poll(&mut self) -> Result<(), Gone> {
        match self.metrics(false).await? {
            Some(metrics) => self.changes(&metrics).await,
            None => Ok(()),
        }
    }

    async fn changes(&mut self, metrics: &Metrics) -> Result<(), Gone> {
        if self.transition.is_none() {
            return self.begin(metrics).await;
        }
        let told = self.transition.filter(|(started, _)| *started == metrics.started_at).map_or(0, |(_, seq)| seq);
        for change in metrics.transitions.iter().filter(|change| change.seq > told) {
            self.transition = Some((metrics.started_at, change.seq));
            self.say(Observation::HealthChanged {
                at: change.at,
                because: change.because.clone(),
                component: self.component.clone(),
                generation: change.generation,
                health: change.health,
                instance: change.slot.clone(),
            })
            .await?;
        }
        Ok(())
    }

    /// What stands when the sensor begins is told as it is; how it came to be so is the past.
    async fn begin(&mut self, metrics: &Metrics) -> Result<(), Gone> {
        self.transition = Some((metrics.started_at, metrics.transitions.last().map_or(0, |change| change.seq)));
        for (name, reading) in &metrics.instances {
            self.say(Observation::HealthChanged {
                at: self.inner.config.clock.now(),
                because: reading.because.clone(),
                component: self.component.clone(),
                generation: reading.generation,
                health: reading.health,
                instance: name.clone(),
            })
            .await?;
        }
        Ok(())
    }

    async fn sum_up(&mut self) -> Result<(), Gone> {
        let Some(metrics) = self.metrics(true).await? else {
            self.last = None; // What comes after a gap is not added to what was before it.
            return Ok(());
        };
        self.changes(&metrics).await?;
        let slots = self.inner.table.of(self.component.as_str());
        let used = slots
            .iter()
            .filter(|slot| slot.record.slot != BALANCER)
            .filter_map(|slot| Some(((slot.record.slot.clone(), slot.record.generation), slot.usage()?)))
            .collect();
        let now = Sight { at: self.inner.config.clock.now(), metrics, used };
        let before = self.last.replace(now);
        match (before, &self.last) {
            (Some(before), Some(now)) if before.metrics.started_at == now.metrics.started_at => {
                let window = between(&self.component, &before, now);
                self.say(Observation::Window(window)).await
            }
            _first_sight => Ok(()),
        }
    }
}

/// Nobody reads any more.
struct Gone;

fn between(component: &ComponentId, before: &Sight, now: &Sight) -> Window {
    let (old, new) = (&before.metrics, &now.metrics);
    let micros = u64::try_from(now.at.since(before.at).as_micros()).unwrap_or(u64::MAX).max(1);
    let sample = |(name, reading): (&String, &Reading)| {
        let earlier = old.instances.get(name).filter(|earlier| earlier.generation == reading.generation);
        let key = (name.clone(), reading.generation);
        let (used, used_before) = (now.used.get(&key), before.used.get(&key));
        let cpu =
            used.map_or(0, |used| used.cpu_micros.saturating_sub(used_before.map_or(0, |before| before.cpu_micros)));
        InstanceSample {
            cpu_millicores: cpu.saturating_mul(1_000) / micros,
            errors: reading.errors.saturating_sub(earlier.map_or(0, |earlier| earlier.errors)),
            generation: reading.generation,
            // A process that is gone does not serve, whatever was seen of it last.
            health: if used.is_some() { reading.health } else { Health::Failed },
            in_flight: reading.in_flight,
            instance: name.clone(),
            latency: earlier.map_or_else(|| reading.latency.clone(), |earlier| reading.latency.since(&earlier.latency)),
            memory_bytes: used.map_or(0, |used| used.memory_bytes),
            requests: reading.requests.saturating_sub(earlier.map_or(0, |earlier| earlier.requests)),
            zone: reading.zone.clone(),
        }
    };
    let latency: Histogram = new.latency.since(&old.latency);
    Window {
        component: component.clone(),
        errors: new.errors.saturating_sub(old.errors),
        from: before.at,
        instances: new.instances.iter().map(sample).collect(),
        latency,
        requests: new.requests.saturating_sub(old.requests),
        retried: new.retried.saturating_sub(old.retried),
        to: now.at,
    }
}
