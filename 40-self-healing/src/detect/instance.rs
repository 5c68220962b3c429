//! What is known of one instance: its start, its health, and an alert for each symptom.

use super::alert::{Alert, Check, Timing};
use super::symptom::{self, Failures, Memory, Symptom};
use crate::config::Config;
use crate::metric::{Reading, serves};
use crate::remedy::RemedyAction;
use std::collections::BTreeMap;
use std::time::Duration;
use writ_core::{Health, Histogram, InstanceSample, Timestamp};

/// One instance's state.
#[derive(Debug, Clone)]
pub(crate) struct InstanceWatch {
    pub(crate) generation: u64,
    pub(crate) health: Health,
    pub(crate) zone: String,
    pub(crate) alerts: BTreeMap<Symptom, Alert>,
    pub(crate) failures: Failures,
    pub(crate) seen_at: Timestamp,
    /// Windows in a row that did not speak of it.
    pub(crate) absent: u32,
    /// When this start was first seen.
    pub(crate) started_at: Timestamp,
    health_at: Timestamp,
    because: String,
    exited: bool,
    memory: Memory,
    recent: Histogram,
}

/// What one window tells about one instance and its peers.
pub(crate) struct Sample<'window> {
    pub(crate) own: &'window InstanceSample,
    /// This window's answers and the last one's.
    pub(crate) answers: &'window Histogram,
    pub(crate) peers: Vec<&'window InstanceSample>,
    pub(crate) peer_answers: Vec<&'window Histogram>,
    pub(crate) peer_failures: Vec<&'window Failures>,
    pub(crate) from: Timestamp,
    pub(crate) at: Timestamp,
}

impl InstanceWatch {
    pub(crate) fn new(generation: u64, at: Timestamp) -> Self {
        Self {
            generation,
            health: Health::Starting,
            zone: String::new(),
            alerts: BTreeMap::new(),
            failures: Failures::default(),
            seen_at: at,
            absent: 0,
            started_at: at,
            health_at: Timestamp::from_micros(0),
            because: String::new(),
            exited: false,
            memory: Memory::default(),
            recent: Histogram::default(),
        }
    }

    pub(crate) fn serves(&self) -> bool {
        serves(self.health)
    }

    /// Makes room for a newer start, whose symptoms are its own. False when the news is of an older one.
    pub(crate) fn admits(&mut self, generation: u64, at: Timestamp) -> bool {
        if generation > self.generation {
            let zone = std::mem::take(&mut self.zone);
            *self = Self { zone, ..Self::new(generation, at) };
        }
        self.seen_at = self.seen_at.max(at);
        generation == self.generation
    }

    /// Its process ended; nothing that is told of this start later changes that.
    pub(crate) fn exit(&mut self, config: &Config, how: &str, at: Timestamp) {
        (self.exited, self.health, self.health_at) = (true, Health::Failed, at);
        self.because = format!("process ended, {how}");
        self.check_health(config, at, at);
    }

    /// Its health is told to be so.
    pub(crate) fn turn(&mut self, config: &Config, health: Health, because: &str, from: Timestamp, at: Timestamp) {
        if !self.exited && at >= self.health_at {
            if health != self.health || self.because.is_empty() {
                self.because = because.to_owned();
            }
            (self.health, self.health_at) = (health, at);
        }
        self.check_health(config, from, at);
    }

    fn check_health(&mut self, config: &Config, from: Timestamp, at: Timestamp) {
        let stuck = self.health == Health::Starting && at.since(self.started_at) > config.recovery.timeout;
        let check = if stuck {
            Check::Holds { seen: format!("still starting after {} s", config.recovery.timeout.as_secs()) }
        } else {
            symptom::down(self.health, &self.because)
        };
        let at_once = Timing { raise: Duration::ZERO, clear: Duration::ZERO };
        self.check(config, Symptom::Down, check, from, at, at_once);
        let reading = Reading {
            health: self.health,
            requests: 0,
            errors: 0,
            latency: Histogram::default(),
            span: Duration::ZERO,
            cpu_millicores: None,
            memory_bytes: None,
            instances: None,
        };
        self.check_declared(config, &reading, from, at, true);
    }

    fn check_declared(
        &mut self,
        config: &Config,
        reading: &Reading,
        from: Timestamp,
        at: Timestamp,
        health_only: bool,
    ) {
        let per_instance = config.triggers.iter().filter(|trigger| trigger.action == RemedyAction::RestartInstance);
        for trigger in per_instance.filter(|trigger| trigger.condition.is_health_only() == health_only) {
            let check = symptom::declared(&trigger.condition, reading, &config.limits, config.bounds.requests_least);
            let symptom = Symptom::Declared { condition: trigger.condition.text().to_owned() };
            let timing = Timing { raise: trigger.hold, clear: trigger.hold };
            self.check(config, symptom, check, from, at, timing);
        }
    }

    fn check(&mut self, config: &Config, name: Symptom, check: Check, from: Timestamp, at: Timestamp, timing: Timing) {
        if config.watches(&name) {
            self.alerts.entry(name).or_insert_with(Alert::new).check(check, from, at, timing);
        }
    }

    /// This window's answers and the last one's, so that few answers a window still make a quantile.
    pub(crate) fn answers(&self, own: &InstanceSample) -> Histogram {
        let mut merged = self.recent.clone();
        merged.merge(&own.latency);
        merged
    }

    /// Takes in what a window tells.
    pub(crate) fn observe(&mut self, config: &Config, sample: &Sample<'_>) {
        let (own, from, at) = (sample.own, sample.from, sample.at);
        self.zone.clone_from(&own.zone);
        self.absent = 0;
        self.turn(config, own.health, "its health checks say so", from, at);
        self.recent = own.latency.clone();
        if self.exited || own.health == Health::Draining {
            return;
        }
        let (limits, bounds) = (&config.limits, &config.bounds);
        let firing = |name: &Symptom| self.alerts.get(name).is_some_and(Alert::fires);
        let lasts = |span: Duration| Timing { raise: span, clear: span };
        let at_once = lasts(Duration::ZERO);
        let leaks = firing(&Symptom::Leak);
        let found = [
            (Symptom::Hung, symptom::hung(own), lasts(bounds.hung_for)),
            (
                Symptom::Errors,
                symptom::errors(&self.failures, own.requests, &sample.peer_failures, bounds, firing(&Symptom::Errors)),
                lasts(bounds.errors_for),
            ),
            (
                Symptom::CpuBurn,
                symptom::cpu_burn(own, &sample.peers, limits, bounds, firing(&Symptom::CpuBurn)),
                lasts(bounds.burn_for),
            ),
            (
                Symptom::Slow,
                symptom::slow(sample.answers, &sample.peer_answers, bounds, firing(&Symptom::Slow)),
                lasts(bounds.slow_for),
            ),
            (Symptom::Leak, symptom::leak(&mut self.memory, own, &sample.peers, limits, bounds, leaks), at_once),
        ];
        for (name, check, timing) in found {
            self.check(config, name, check, from, at, timing);
        }
        let reading = Reading { health: self.health, ..Reading::of_instance(own, at.since(from)) };
        self.check_declared(config, &reading, from, at, false);
    }
}
