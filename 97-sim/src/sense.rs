//! The world's sensor: ends, changes of health, and a window each second.

use crate::SimWorld;
use async_trait::async_trait;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use writ_core::{ComponentId, Health, Histogram, InstanceSample, Observation, Sensor, SensorError, Timestamp, Window};

/// The span that one window sums up.
const WINDOW: Duration = Duration::from_secs(1);

/// Processor time for one request, in thousandths of a core-second.
const CPU_PER_REQUEST: u64 = 3;

/// Resident memory of an instance.
const MEMORY: u64 = 500 << 20;

/// Sees one component of a simulated world.
pub struct SimSensor {
    world: SimWorld,
    component: ComponentId,
    place: Mutex<Place>,
}

/// How far the reader has come.
struct Place {
    /// What stood when the sensor began, to be told first.
    standing: Vec<Observation>,
    /// How much of what the world tells was told on.
    told: usize,
    window_from: Timestamp,
}

impl SimWorld {
    /// A sensor for one component. What stands when it begins is told first.
    #[must_use]
    pub fn sensor(&self, component: ComponentId) -> SimSensor {
        let now = self.inner.clock.now();
        let state = self.state();
        let prefix = format!("{component}/");
        let standing = state.instances.iter().filter_map(|(name, one)| {
            let instance = name.strip_prefix(&prefix)?.to_owned();
            let (component, generation) = (component.clone(), one.generation);
            Some(match &one.ended {
                Some(how) => Observation::Exited { at: now, component, generation, how: how.clone(), instance },
                None => Observation::HealthChanged {
                    at: now,
                    because: "as it was found".to_owned(),
                    component,
                    generation,
                    health: one.health(now),
                    instance,
                },
            })
        });
        // Taken from the end.
        let standing: Vec<Observation> = standing.collect::<Vec<_>>().into_iter().rev().collect();
        let place = Place { standing, told: state.seen.len(), window_from: now };
        drop(state);
        SimSensor { world: self.clone(), component, place: Mutex::new(place) }
    }
}

impl SimSensor {
    /// What there is to tell now, or when to look again.
    fn look(&self) -> Result<Observation, Timestamp> {
        let now = self.world.inner.clock.now();
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = place.standing.pop() {
            return Ok(standing);
        }
        let mut state = self.world.state();
        state.settle(now);
        while let Some(seen) = state.seen.get(place.told) {
            place.told += 1;
            if component_of(seen) == &self.component {
                return Ok(seen.clone());
            }
        }
        let due = place.window_from.plus(WINDOW);
        if now < due {
            return Err(state.next_settling(now).map_or(due, |next| next.min(due)));
        }
        let from = std::mem::replace(&mut place.window_from, now);
        drop(state);
        Ok(Observation::Window(self.window(from, now)))
    }

    /// Requests are spread evenly over the instances that serve.
    fn window(&self, from: Timestamp, to: Timestamp) -> Window {
        let state = self.world.state();
        let prefix = format!("{}/", self.component);
        let mine: Vec<_> =
            state.instances.iter().filter_map(|(name, one)| Some((name.strip_prefix(&prefix)?, one))).collect();
        let serving = mine.iter().filter(|(_, one)| one.health(to) == Health::Healthy).count() as u64;
        let millis = u64::try_from(to.since(from).as_millis()).unwrap_or(0);
        let each = (state.requests_per_second * millis / 1_000).checked_div(serving).unwrap_or(0);
        let mut instances = Vec::new();
        let mut all = Histogram::default();
        let (mut requests, mut errors) = (0, 0);
        for (name, one) in mine {
            let health = one.health(to);
            let (given, hangs) = (if health == Health::Healthy { each } else { 0 }, one.hangs_since.is_some());
            let mut latency = Histogram::default();
            let answered = if hangs { 0 } else { given };
            (0..answered).for_each(|_| latency.record(u64::try_from(one.latency.as_micros()).unwrap_or(u64::MAX)));
            let failed = answered * one.errors_percent / 100;
            (requests, errors) = (requests + given, errors + failed);
            all.merge(&latency);
            instances.push(InstanceSample {
                cpu_millicores: answered * CPU_PER_REQUEST * 1_000 / millis.max(1),
                errors: failed,
                generation: one.generation,
                health,
                in_flight: if hangs { given } else { 0 },
                instance: name.to_owned(),
                latency,
                memory_bytes: MEMORY,
                requests: given,
                zone: one.zone.clone(),
            });
        }
        let component = self.component.clone();
        Window { component, errors, from, instances, latency: all, requests, retried: 0, to }
    }
}

fn component_of(seen: &Observation) -> &ComponentId {
    match seen {
        Observation::Window(window) => &window.component,
        Observation::Exited { component, .. } | Observation::HealthChanged { component, .. } => component,
    }
}

#[async_trait]
impl Sensor for SimSensor {
    async fn next(&self) -> Result<Observation, SensorError> {
        loop {
            // Asked for before looking, so that a change between looking and waiting is not slept over.
            let changed = self.world.inner.changed.notified();
            match self.look() {
                Ok(observation) => return Ok(observation),
                Err(due) => {
                    let now = self.world.inner.clock.now();
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = self.world.inner.clock.sleep(due.since(now)) => {}
                    }
                }
            }
        }
    }
}
