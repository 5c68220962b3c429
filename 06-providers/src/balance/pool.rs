//! All instances, who gets the next request, and what is counted.

use super::backend::{Backend, Changed, Reading, Transition, held};
use super::setup::{BackendSetup, Check, Policy, Setup};
use crate::SystemClock;
use crate::local::files::{self, StateError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use writ_core::{Clock, Health, Histogram, Timestamp};

/// Changes of health that are remembered; a reader that comes less often misses the oldest and sees it by the numbers.
const TRANSITIONS_MAX: usize = 512;

/// How long a request waits for an instance to come back before it is told that there is none.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// What the balancer is and has, for the controller.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) instances: BTreeMap<String, Reading>,
    pub(crate) setup: Setup,
}

/// Everything counted since the balancer started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Metrics {
    pub(crate) errors: u64,
    pub(crate) in_flight: u64,
    pub(crate) instances: BTreeMap<String, Reading>,
    pub(crate) latency: Histogram,
    pub(crate) requests: u64,
    pub(crate) retried: u64,
    /// When it started: other counters begin at zero with another one.
    pub(crate) started_at: Timestamp,
    pub(crate) transitions: Vec<Transition>,
    /// Requests for which there was no instance.
    pub(crate) unserved: u64,
    pub(crate) zones: BTreeMap<String, ZoneReading>,
}

/// What the instances of one zone did, those that are gone included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ZoneReading {
    pub(crate) errors: u64,
    pub(crate) requests: u64,
}

#[derive(Default)]
struct Totals {
    errors: u64,
    latency: Histogram,
    requests: u64,
    retried: u64,
    unserved: u64,
    transitions: VecDeque<Transition>,
    transitions_seen: u64,
    /// What instances that are gone had counted, by zone.
    zones_past: BTreeMap<String, ZoneReading>,
}

pub(super) struct Pool {
    dir: PathBuf,
    setup: Mutex<Setup>,
    active: Mutex<BTreeMap<String, Arc<Backend>>>,
    draining: Mutex<Vec<Arc<Backend>>>,
    totals: Mutex<Totals>,
    in_flight: AtomicU64,
    lots: AtomicU64,
    started_at: Timestamp,
    /// Woken when an instance may have become able to serve.
    changed: Notify,
}

impl Pool {
    pub(super) fn open(dir: PathBuf, setup: Setup) -> Arc<Self> {
        let backends = setup.backends.clone();
        let pool = Arc::new(Self {
            dir,
            setup: Mutex::new(setup),
            active: Mutex::new(BTreeMap::new()),
            draining: Mutex::new(Vec::new()),
            totals: Mutex::new(Totals::default()),
            in_flight: AtomicU64::new(0),
            // The lot only spreads load; what std seeds its maps with is chance enough.
            lots: AtomicU64::new(RandomState::new().hash_one(0_u8)),
            started_at: SystemClock.now(),
            changed: Notify::new(),
        });
        for (slot, backend) in backends {
            pool.take_in(Arc::new(Backend::new(slot, backend)));
        }
        pool
    }

    pub(super) fn check(&self) -> Check {
        held(&self.setup).check.clone()
    }

    pub(super) fn state(&self) -> State {
        State { instances: self.readings(), setup: held(&self.setup).clone() }
    }

    fn readings(&self) -> BTreeMap<String, Reading> {
        held(&self.active).iter().map(|(slot, backend)| (slot.clone(), backend.reading())).collect()
    }

    pub(super) fn metrics(&self) -> Metrics {
        let instances = self.readings();
        let draining: Vec<Reading> = held(&self.draining).iter().map(|backend| backend.reading()).collect();
        let totals = held(&self.totals);
        let mut zones = totals.zones_past.clone();
        for reading in instances.values().chain(&draining) {
            let zone = zones.entry(reading.zone.clone()).or_default();
            zone.errors += reading.errors;
            zone.requests += reading.requests;
        }
        Metrics {
            errors: totals.errors,
            in_flight: self.in_flight.load(Relaxed),
            instances,
            latency: totals.latency.clone(),
            requests: totals.requests,
            retried: totals.retried,
            started_at: self.started_at,
            transitions: totals.transitions.iter().cloned().collect(),
            unserved: totals.unserved,
            zones,
        }
    }

    /// Keeps a changed setup; nothing is answered for before it is on disk.
    fn keep(&self, change: impl FnOnce(&mut Setup)) -> Result<(), StateError> {
        let mut setup = held(&self.setup);
        let mut next = setup.clone();
        change(&mut next);
        if next != *setup {
            files::write_durable(&super::setup_path(&self.dir), &next)?;
            *setup = next;
        }
        Ok(())
    }

    pub(super) fn configure(&self, policy: Policy, scheme: String, check: Check) -> Result<(), StateError> {
        self.keep(|setup| {
            setup.policy = policy;
            setup.scheme = scheme;
            setup.check = check;
        })?;
        held(&self.active).values().for_each(|backend| backend.look.notify_one());
        Ok(())
    }

    /// Takes an instance in, in place of the one with its name; gives the one that was there, draining.
    /// It is looked at first, so that there is no moment in which the old one is out and the new one not in.
    pub(super) async fn put(
        self: &Arc<Self>,
        slot: &str,
        setup: BackendSetup,
    ) -> Result<Option<Arc<Backend>>, StateError> {
        if held(&self.active).get(slot).is_some_and(|there| there.setup == setup) {
            return Ok(None);
        }
        let backend = Arc::new(Backend::new(slot.to_owned(), setup.clone()));
        super::check::look(self, &backend).await;
        self.keep(|kept| drop(kept.backends.insert(slot.to_owned(), setup)))?;
        Ok(self.take_in(backend))
    }

    pub(super) fn remove(self: &Arc<Self>, slot: &str) -> Result<Option<Arc<Backend>>, StateError> {
        self.keep(|setup| drop(setup.backends.remove(slot)))?;
        let old = held(&self.active).remove(slot);
        Ok(old.inspect(|old| self.let_go(old)))
    }

    fn take_in(self: &Arc<Self>, backend: Arc<Backend>) -> Option<Arc<Backend>> {
        let old = held(&self.active).insert(backend.slot.clone(), backend.clone());
        self.changed.notify_waiters();
        tokio::spawn(super::check::watch(self.clone(), backend));
        old.inspect(|old| self.let_go(old))
    }

    /// Sends nothing new there, and forgets it once it has finished what it has.
    fn let_go(self: &Arc<Self>, old: &Arc<Backend>) {
        self.tell(old, old.drain());
        old.gone.send_replace(true);
        held(&self.draining).push(old.clone());
        let (pool, old) = (self.clone(), old.clone());
        tokio::spawn(async move {
            idle(&old).await;
            let reading = old.reading();
            held(&pool.draining).retain(|other| !Arc::ptr_eq(other, &old));
            let mut totals = held(&pool.totals);
            let zone = totals.zones_past.entry(reading.zone).or_default();
            zone.errors += reading.errors;
            zone.requests += reading.requests;
        });
    }

    /// Remembers a change of health.
    pub(super) fn tell(&self, backend: &Backend, changed: Option<Changed>) {
        let Some(Changed { from, health, because }) = changed else { return };
        let mut totals = held(&self.totals);
        totals.transitions_seen += 1;
        let seq = totals.transitions_seen;
        let (slot, generation) = (backend.slot.clone(), backend.setup.generation);
        totals.transitions.push_back(Transition {
            at: SystemClock.now(),
            because,
            from,
            generation,
            health,
            seq,
            slot,
        });
        if totals.transitions.len() > TRANSITIONS_MAX {
            totals.transitions.pop_front();
        }
        drop(totals);
        self.changed.notify_waiters();
    }

    /// A request has come in.
    pub(super) fn begin(&self) -> Counted<'_> {
        self.in_flight.fetch_add(1, Relaxed);
        Counted(self)
    }

    /// A client has got its answer.
    pub(super) fn end(&self, well: bool, micros: u64) {
        let mut totals = held(&self.totals);
        totals.requests += 1;
        totals.errors += u64::from(!well);
        totals.latency.record(micros);
    }

    /// An answer broke after its head had gone out: the client sees it fail after all.
    pub(super) fn broken_off(&self) {
        held(&self.totals).errors += 1;
    }

    pub(super) fn count_retry(&self) {
        held(&self.totals).retried += 1;
    }

    /// The instance that gets the next request; waits a moment for one to come back when there is none.
    pub(super) async fn pick(&self, tried: &[Arc<Backend>]) -> Option<Arc<Backend>> {
        let until = Instant::now() + WAIT_MAX;
        loop {
            let changed = self.changed.notified();
            // Only an instance that was not tried, or that has passed a check since: then it is healthy again.
            if let Some(backend) = self.choose(tried).or_else(|| self.choose(&[])) {
                return Some(backend);
            }
            if timeout_at(until, changed).await.is_err() {
                held(&self.totals).unserved += 1;
                return None;
            }
        }
    }

    fn choose(&self, tried: &[Arc<Backend>]) -> Option<Arc<Backend>> {
        let active = held(&self.active);
        let able = |health: Health| -> Vec<&Arc<Backend>> {
            let fits = |it: &&Arc<Backend>| it.health() == health && !tried.iter().any(|other| Arc::ptr_eq(other, it));
            active.values().filter(fits).collect()
        };
        let mut able_now = able(Health::Healthy);
        if able_now.is_empty() {
            // Some answers are better than none.
            able_now = able(Health::Degraded);
        }
        let policy = held(&self.setup).policy;
        let chosen = match (policy, able_now.len()) {
            (_, 0) => return None,
            (_, 1) => able_now.first().copied(),
            (Policy::LeastConnections, count) => {
                let first = self.lot(count);
                able_now.iter().cycle().skip(first).take(count).min_by_key(|it| it.in_flight()).copied()
            }
            (Policy::P2c, count) => {
                let one = self.lot(count);
                let other = (one + 1 + self.lot(count - 1)) % count;
                let pair = [able_now.get(one), able_now.get(other)];
                pair.into_iter().flatten().min_by_key(|it| it.in_flight()).copied()
            }
        };
        chosen.cloned()
    }

    /// A number below `count`, by lot (splitmix64).
    fn lot(&self, count: usize) -> usize {
        let mut z = self.lots.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % (count.max(1) as u64)) as usize
    }
}

/// Ready when an instance has nothing left to do.
pub(super) async fn idle(backend: &Backend) {
    loop {
        let less = backend.less.notified();
        if backend.in_flight() == 0 {
            return;
        }
        less.await;
    }
}

/// One request that the balancer works on.
pub(super) struct Counted<'a>(&'a Pool);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}
