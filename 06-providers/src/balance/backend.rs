//! One instance as the balancer knows it: how it does, what it was given, and how it took it.

use super::proxy::Payload;
use super::setup::{BackendSetup, Check};
use hyper::client::conn::http1::SendRequest;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use writ_core::{Health, Histogram, Timestamp};

/// Idle connections kept to one instance.
const IDLE_MAX: usize = 64;
/// Failed answers in a row after which an instance rests.
const BURST: u32 = 5;
/// How long it rests then.
const REST: Duration = Duration::from_secs(2);
/// How soon an instance that has not passed yet, or that broke a connection, is looked at again.
const SOON: Duration = Duration::from_millis(100);

pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A change of health, numbered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transition {
    pub(crate) at: Timestamp,
    pub(crate) because: String,
    pub(crate) from: Health,
    pub(crate) generation: u64,
    pub(crate) health: Health,
    pub(crate) seq: u64,
    pub(crate) slot: String,
}

/// What one instance did since the balancer started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) because: String,
    pub(crate) errors: u64,
    pub(crate) generation: u64,
    pub(crate) health: Health,
    pub(crate) in_flight: u64,
    pub(crate) latency: Histogram,
    pub(crate) requests: u64,
    pub(crate) zone: String,
}

#[derive(Debug, Default)]
struct Tally {
    errors: u64,
    latency: Histogram,
    requests: u64,
}

#[derive(Debug)]
struct Condition {
    health: Health,
    because: String,
    /// Checks passed, and failed, in a row.
    passes: u32,
    fails: u32,
    /// Failed answers to clients in a row.
    burst: u32,
    /// Passes it takes to come back.
    passes_needed: u32,
    rest_until: Option<Instant>,
}

/// What came of a look or of a request, and what it changed.
pub(super) struct Changed {
    pub(super) from: Health,
    pub(super) health: Health,
    pub(super) because: String,
}

pub(super) struct Backend {
    pub(super) slot: String,
    pub(super) setup: BackendSetup,
    condition: Mutex<Condition>,
    in_flight: AtomicU64,
    idle: Mutex<Vec<SendRequest<Payload>>>,
    tally: Mutex<Tally>,
    down: watch::Sender<bool>,
    /// Woken when the next look should not wait.
    pub(super) look: Notify,
    /// Woken when a request has ended.
    pub(super) less: Notify,
    /// Woken when it is no longer the balancer's.
    pub(super) gone: watch::Sender<bool>,
}

impl Backend {
    pub(super) fn new(slot: String, setup: BackendSetup) -> Self {
        let condition = Condition {
            health: Health::Starting,
            because: "registered".to_owned(),
            passes: 0,
            fails: 0,
            burst: 0,
            passes_needed: 1,
            rest_until: None,
        };
        Self {
            slot,
            setup,
            condition: Mutex::new(condition),
            in_flight: AtomicU64::new(0),
            idle: Mutex::new(Vec::new()),
            tally: Mutex::new(Tally::default()),
            down: watch::Sender::new(false),
            look: Notify::new(),
            less: Notify::new(),
            gone: watch::Sender::new(false),
        }
    }

    pub(super) fn health(&self) -> Health {
        held(&self.condition).health
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// Counts one request in; it is counted out when the guard goes.
    pub(super) fn enter(self: &std::sync::Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        held(&self.tally).requests += 1;
        InFlight(self.clone())
    }

    pub(super) fn reading(&self) -> Reading {
        let (condition, tally) = (held(&self.condition), held(&self.tally));
        Reading {
            address: self.setup.address,
            because: condition.because.clone(),
            errors: tally.errors,
            generation: self.setup.generation,
            health: condition.health,
            in_flight: self.in_flight(),
            latency: tally.latency.clone(),
            requests: tally.requests,
            zone: self.setup.zone.clone(),
        }
    }

    pub(super) fn take_idle(&self) -> Option<SendRequest<Payload>> {
        let mut idle = held(&self.idle);
        while let Some(connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    pub(super) fn give_idle(&self, connection: SendRequest<Payload>) {
        let mut idle = held(&self.idle);
        if !connection.is_closed() && idle.len() < IDLE_MAX && !*self.down.borrow() {
            idle.push(connection);
        }
    }

    /// Ready when it is found not to serve.
    pub(super) async fn failed(&self) {
        let mut down = self.down.subscribe();
        if down.wait_for(|down| *down).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn become_(&self, condition: &mut Condition, health: Health, because: String) -> Option<Changed> {
        condition.because.clone_from(&because);
        let from = std::mem::replace(&mut condition.health, health);
        if health == Health::Failed {
            held(&self.idle).clear();
        }
        self.down.send_replace(health == Health::Failed);
        (from != health).then_some(Changed { from, health, because })
    }

    /// A look at its health path came out so.
    pub(super) fn looked(&self, outcome: Result<(), String>, check: &Check) -> Option<Changed> {
        let condition = &mut *held(&self.condition);
        match outcome {
            Ok(()) => {
                condition.fails = 0;
                condition.passes = condition.passes.saturating_add(1);
                let rested = condition.rest_until.is_none_or(|until| Instant::now() >= until);
                let back = match condition.health {
                    Health::Starting | Health::Failed | Health::Unknown => condition.passes >= condition.passes_needed,
                    Health::Degraded => rested,
                    Health::Healthy | Health::Draining => false,
                };
                if !back {
                    return None;
                }
                condition.burst = 0;
                condition.rest_until = None;
                self.become_(condition, Health::Healthy, "its checks pass".to_owned())
            }
            Err(because) => {
                condition.passes = 0;
                condition.fails = condition.fails.saturating_add(1);
                let out = match condition.health {
                    Health::Healthy | Health::Degraded | Health::Starting | Health::Unknown => {
                        condition.fails >= check.unhealthy_threshold
                    }
                    Health::Failed | Health::Draining => false,
                };
                if !out {
                    return None;
                }
                condition.passes_needed = check.healthy_threshold.max(1);
                let because = format!("{} checks failed, the last one: {because}", condition.fails);
                self.become_(condition, Health::Failed, because)
            }
        }
    }

    /// It refused or broke a connection: nothing more goes there until a look shows that it serves.
    pub(super) fn broke(&self, because: &str) -> Option<Changed> {
        held(&self.tally).errors += 1;
        let condition = &mut *held(&self.condition);
        self.look.notify_one();
        match condition.health {
            Health::Healthy | Health::Degraded => {
                condition.passes = 0;
                condition.passes_needed = 1;
                self.become_(condition, Health::Failed, because.to_owned())
            }
            Health::Failed | Health::Starting | Health::Draining | Health::Unknown => None,
        }
    }

    /// It answered, well or with an error of its own.
    pub(super) fn answered(&self, well: bool, micros: u64) -> Option<Changed> {
        {
            let mut tally = held(&self.tally);
            tally.latency.record(micros);
            tally.errors += u64::from(!well);
        }
        let condition = &mut *held(&self.condition);
        condition.burst = if well { 0 } else { condition.burst.saturating_add(1) };
        self.rest_after_burst(condition, "answers in a row were errors")
    }

    /// It did not answer in time.
    pub(super) fn stalled(&self) -> Option<Changed> {
        held(&self.tally).errors += 1;
        self.look.notify_one();
        let condition = &mut *held(&self.condition);
        condition.burst = condition.burst.saturating_add(1);
        self.rest_after_burst(condition, "requests in a row were not answered well or in time")
    }

    fn rest_after_burst(&self, condition: &mut Condition, what: &str) -> Option<Changed> {
        if condition.health != Health::Healthy || condition.burst < BURST {
            return None;
        }
        condition.rest_until = Some(Instant::now() + REST);
        self.look.notify_one();
        self.become_(condition, Health::Degraded, format!("{} {what}", condition.burst))
    }

    /// It takes nothing new.
    pub(super) fn drain(&self) -> Option<Changed> {
        let condition = &mut *held(&self.condition);
        self.become_(condition, Health::Draining, "it is replaced or removed".to_owned())
    }

    /// How long until the next look.
    pub(super) fn pause(&self, check: &Check) -> Duration {
        let interval = Duration::from_millis(check.interval_ms);
        let condition = held(&self.condition);
        let awaited = condition.passes_needed == 1 && condition.health == Health::Failed;
        if awaited || matches!(condition.health, Health::Starting | Health::Degraded) {
            interval.min(SOON)
        } else {
            interval
        }
    }
}

/// One request that an instance works on.
pub(super) struct InFlight(std::sync::Arc<Backend>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
        self.0.less.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend() -> Backend {
        let address = std::net::SocketAddr::from(([127, 0, 1, 1], 9));
        Backend::new("i-1".into(), BackendSetup { address, generation: 1, zone: "a".into() })
    }

    fn refused() -> Result<(), String> {
        Err("refused".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_one_serves_after_one_pass_and_fails_after_the_threshold() {
        let (it, check) = (backend(), Check::default());
        assert_eq!(it.health(), Health::Starting);
        it.looked(Ok(()), &check);
        assert_eq!(it.health(), Health::Healthy);
        it.looked(refused(), &check);
        it.looked(refused(), &check);
        assert_eq!(it.health(), Health::Healthy);
        let changed = it.looked(refused(), &check).unwrap();
        assert_eq!((changed.from, changed.health), (Health::Healthy, Health::Failed));
        assert_eq!(changed.because, "3 checks failed, the last one: refused");
        it.looked(Ok(()), &check);
        assert_eq!(it.health(), Health::Failed);
        it.looked(Ok(()), &check);
        assert_eq!(it.health(), Health::Healthy);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_connection_takes_it_out_until_the_next_pass() {
        let (it, check) = (backend(), Check::default());
        it.looked(Ok(()), &check);
        assert!(it.broke("connection reset").is_some());
        assert_eq!(it.health(), Health::Failed);
        it.looked(Ok(()), &check);
        assert_eq!(it.health(), Health::Healthy);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_errors_gives_it_a_rest_and_a_good_answer_in_between_does_not() {
        let (it, check) = (backend(), Check::default());
        it.looked(Ok(()), &check);
        for _ in 0..20 {
            it.answered(false, 10);
            it.answered(true, 10);
        }
        assert_eq!(it.health(), Health::Healthy);
        (0..BURST).for_each(|_| drop(it.answered(false, 10)));
        assert_eq!(it.health(), Health::Degraded);
        it.looked(Ok(()), &check);
        assert_eq!(it.health(), Health::Degraded);
        tokio::time::advance(REST).await;
        it.looked(Ok(()), &check);
        assert_eq!(it.health(), Health::Healthy);
    }

    #[test]
    fn one_that_drains_comes_back_by_nothing() {
        let (it, check) = (backend(), Check::default());
        it.drain();
        it.looked(Ok(()), &check);
        it.broke("reset");
        assert_eq!(it.health(), Health::Draining);
    }
}
