//! Everything that is seen of one component. Volatile: a restart begins with an empty one, and what was concluded stands in
//! the journal.

use super::alert::{Alert, Check, Timing};
use super::instance::{InstanceWatch, Sample};
use super::symptom::{self, Failures, Symptom};
use crate::config::Config;
use crate::correlate::{Fingerprint, Subject};
use crate::metric::{Amount, Metric, Reading, overall, serves};
use crate::remedy::RemedyAction;
use crate::scale::Load;
use crate::verify::Behaviour;
use std::collections::BTreeMap;
use std::time::Duration;
use writ_core::{ComponentId, Health, Histogram, InstanceSample, Observation, Timestamp, Window};

/// What is seen of one component.
#[derive(Debug, Clone)]
pub struct Watch {
    component: ComponentId,
    instances: BTreeMap<String, InstanceWatch>,
    members: Option<Vec<String>>,
    planned: BTreeMap<String, Timestamp>,
    alerts: BTreeMap<Symptom, Alert>,
    latest: Option<(Timestamp, Reading)>,
    load: Load,
}

/// Instances beyond this many are not watched; no component that a single writer governs has as many.
const MOST_INSTANCES: usize = 4_096;
/// An instance that nobody speaks of any more is forgotten, unless it is expected to be there.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// How long nothing must be seen before that is a symptom: a balancer that is being replaced is away for a moment.
const UNSEEN: Timing = Timing { raise: Duration::from_secs(2), clear: Duration::ZERO };
/// So many windows in a row must leave out an expected instance before it counts as gone.
const ABSENT: u32 = 2;

impl Watch {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(component: ComponentId) -> Self {
        Self {
            component,
            instances: BTreeMap::new(),
            members: None,
            planned: BTreeMap::new(),
            alerts: BTreeMap::new(),
            latest: None,
            load: Load::default(),
        }
    }

    /// Says which instances there should be. Others are not healed, and one of these that windows leave out is down. To be
    /// called whenever the plan of the component changes, before the change is carried out.
    pub fn expect<'a>(&mut self, instances: impl IntoIterator<Item = &'a str>) {
        let before = self.count();
        let mut members: Vec<String> = instances.into_iter().map(str::to_owned).collect();
        members.sort_unstable();
        members.dedup();
        self.instances.retain(|name, _| members.binary_search(name).is_ok());
        self.members = Some(members);
        if self.count() != before {
            self.load.settle();
        }
    }

    /// Says that these instances are being worked on by somebody else until then: their signs open no incident.
    pub fn planned_work<'a>(&mut self, instances: impl IntoIterator<Item = &'a str>, until: Timestamp) {
        self.planned.extend(instances.into_iter().map(|name| (name.to_owned(), until)));
    }

    /// Takes in that nothing could be seen, and why. What was seen before is not made newer by it.
    pub fn unseen(&mut self, because: &str, now: Timestamp) {
        let alert = self.alerts.entry(Symptom::Unseen).or_insert_with(Alert::new);
        alert.check(Check::Holds { seen: because.to_owned() }, now, now, UNSEEN);
    }

    /// Takes in what a sensor saw. Late, repeated and foreign news changes nothing.
    pub fn observe(&mut self, config: &Config, seen: &Observation, now: Timestamp) {
        match seen {
            Observation::Window(window) if window.component == self.component => self.window(config, window, now),
            Observation::Exited { at, component, generation, how, instance } if *component == self.component => {
                let at = (*at).min(now);
                let Some(known) = self.admit(instance, *generation, at) else { return };
                // A drained instance was told to go.
                if known.health == Health::Draining {
                    self.instances.remove(instance);
                } else {
                    known.exit(config, how, at);
                }
            }
            Observation::HealthChanged { at, because, component, generation, health, instance }
                if *component == self.component =>
            {
                let at = (*at).min(now);
                if let Some(known) = self.admit(instance, *generation, at) {
                    known.turn(config, *health, because, at, at);
                }
            }
            Observation::Window(_) | Observation::Exited { .. } | Observation::HealthChanged { .. } => {}
        }
    }

    fn admit(&mut self, name: &str, generation: u64, at: Timestamp) -> Option<&mut InstanceWatch> {
        if !self.expects(name) || (!self.instances.contains_key(name) && self.instances.len() >= MOST_INSTANCES) {
            return None;
        }
        let known = self.instances.entry(name.to_owned()).or_insert_with(|| InstanceWatch::new(generation, at));
        known.admits(generation, at).then_some(known)
    }

    fn window(&mut self, config: &Config, window: &Window, now: Timestamp) {
        // A sensor's clock that runs ahead must not make old data look fresh.
        let (from, at) = (window.from.min(now), window.to.min(now));
        if from >= at || self.latest.as_ref().is_some_and(|(seen, _)| *seen >= at) {
            return;
        }
        let mut told: Vec<&InstanceSample> = vec![];
        for sample in &window.instances {
            if let Some(known) = self.admit(&sample.instance, sample.generation, at) {
                known.failures.observe(sample);
                told.push(sample);
            }
        }
        self.samples(config, &told, from, at);
        self.absences(config, &told, from, at);
        self.instances.retain(|name, known| {
            at.since(known.seen_at) < FORGOTTEN
                || self.members.as_ref().is_some_and(|members| members.binary_search(name).is_ok())
        });
        self.planned.retain(|_, until| *until > now);

        let whole = Reading::of_component(window);
        let instances = whole.instances.map(|(_, serving)| (self.count(), serving));
        let reading = Reading { health: self.health(), instances, ..whole };
        for trigger in config.triggers.iter().filter(|trigger| trigger.action != RemedyAction::RestartInstance) {
            let check = symptom::declared(&trigger.condition, &reading, &config.limits, config.bounds.requests_least);
            let symptom = Symptom::Declared { condition: trigger.condition.text().to_owned() };
            let timing = Timing { raise: trigger.hold, clear: trigger.hold };
            self.alerts.entry(symptom).or_insert_with(Alert::new).check(check, from, at, timing);
        }
        if let (Some(scaling), Some(Amount::Milli(cpu))) =
            (&config.scaling, reading.amount(Metric::Cpu, &config.limits, 0))
        {
            let serving = told.iter().filter(|sample| serves(sample.health)).count() as u64;
            self.load.observe(scaling, self.count(), serving, cpu.unsigned_abs(), at);
        }
        if let Some(alert) = self.alerts.get_mut(&Symptom::Unseen) {
            alert.check(Check::Away, from, at, UNSEEN);
        }
        self.latest = Some((at, reading));
    }

    fn samples(&mut self, config: &Config, told: &[&InstanceSample], from: Timestamp, at: Timestamp) {
        let known = |name: &str| self.instances.get(name);
        let answers: Vec<Histogram> = told
            .iter()
            .map(|sample| known(&sample.instance).map_or_else(Histogram::default, |known| known.answers(sample)))
            .collect();
        let failures: Vec<Failures> = told
            .iter()
            .map(|sample| known(&sample.instance).map_or_else(Failures::default, |known| known.failures.clone()))
            .collect();
        for (own, sample) in told.iter().enumerate() {
            let others = || {
                told.iter().enumerate().filter(move |(at, peer)| *at != own && serves(peer.health)).map(|(at, _)| at)
            };
            let (Some(known), Some(answered)) = (self.instances.get_mut(&sample.instance), answers.get(own)) else {
                continue;
            };
            known.observe(
                config,
                &Sample {
                    own: sample,
                    answers: answered,
                    peers: others().filter_map(|at| told.get(at).copied()).collect(),
                    peer_answers: others().filter_map(|at| answers.get(at)).collect(),
                    peer_failures: others().filter_map(|at| failures.get(at)).collect(),
                    from,
                    at,
                },
            );
        }
    }

    /// An instance that this window does not speak of: one that is down still is; an expected one may be gone.
    fn absences(&mut self, config: &Config, told: &[&InstanceSample], from: Timestamp, at: Timestamp) {
        for name in self.members.iter().flatten() {
            self.instances.entry(name.clone()).or_insert_with(|| InstanceWatch::new(0, at));
        }
        for (name, known) in &mut self.instances {
            if told.iter().any(|sample| sample.instance == *name) {
                continue;
            }
            known.absent = known.absent.saturating_add(1);
            let gone = self.members.is_some() && known.absent >= ABSENT;
            match known.health {
                Health::Failed => known.turn(config, Health::Failed, "absent", from, at),
                // The check notices when starting takes too long.
                Health::Starting => known.turn(config, Health::Starting, "absent", from, at),
                Health::Healthy | Health::Degraded | Health::Unknown if gone => {
                    known.turn(config, Health::Failed, "the sensor no longer finds it", from, at);
                }
                Health::Healthy | Health::Degraded | Health::Unknown | Health::Draining => {}
            }
        }
    }

    fn expects(&self, name: &str) -> bool {
        self.members.as_ref().is_none_or(|members| members.iter().any(|member| member == name))
    }

    /// Whether the instance is known to be none of the component's any more.
    pub(crate) fn is_gone(&self, name: &str) -> bool {
        !self.expects(name)
    }

    /// The alerts that fire, gravest symptom first, instances before the component.
    pub(crate) fn firing(&self, now: Timestamp) -> Vec<(Fingerprint, &Alert)> {
        let worked_on = |name: &str| self.planned.get(name).is_some_and(|until| *until > now);
        let mut found: Vec<(Fingerprint, &Alert)> = vec![];
        for (name, known) in self.instances.iter().filter(|(name, _)| !worked_on(name)) {
            let subject = Subject::Instance(name.clone());
            found.extend(
                known.alerts.iter().filter(|(_, alert)| alert.fires()).map(|(symptom, alert)| {
                    (Fingerprint { subject: subject.clone(), symptom: symptom.clone() }, alert)
                }),
            );
        }
        found.sort_by(|one, two| one.0.symptom.cmp(&two.0.symptom));
        found.extend(
            self.alerts
                .iter()
                .filter(|(_, alert)| alert.fires())
                .map(|(symptom, alert)| (Fingerprint { subject: Subject::Component, symptom: symptom.clone() }, alert)),
        );
        found
    }

    /// The alert of this fingerprint, if anything was ever checked.
    #[must_use]
    pub fn alert(&self, sign: &Fingerprint) -> Option<&Alert> {
        match &sign.subject {
            Subject::Instance(name) => self.instances.get(name)?.alerts.get(&sign.symptom),
            Subject::Component => self.alerts.get(&sign.symptom),
        }
    }

    /// How many instances there should be, or else are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.members {
            Some(members) => members.len() as u64,
            None => self.instances.values().filter(|known| known.health != Health::Draining).count() as u64,
        }
    }

    /// How the component does, by its instances.
    #[must_use]
    pub fn health(&self) -> Health {
        overall(self.instances.values().map(|known| known.health))
    }

    /// How it does, for comparing before and after.
    #[must_use]
    pub fn behaviour(&self, config: &Config) -> Behaviour {
        let amount = |metric| {
            let (_, reading) = self.latest.as_ref()?;
            match reading.amount(metric, &config.limits, config.bounds.requests_least)? {
                Amount::Milli(milli) => Some(milli.unsigned_abs()),
                Amount::Status(_) => None,
            }
        };
        Behaviour {
            error_rate_milli: amount(Metric::ErrorRate),
            healthy: self.instances.values().filter(|known| known.serves()).count() as u64,
            latency_p95_us: amount(Metric::LatencyP95),
            total: self.count(),
        }
    }

    /// How the component did in the newest window, and when that ended.
    #[must_use]
    pub fn latest(&self) -> Option<(Timestamp, &Reading)> {
        self.latest.as_ref().map(|(at, reading)| (*at, reading))
    }

    pub(crate) fn instance(&self, name: &str) -> Option<&InstanceWatch> {
        self.instances.get(name)
    }

    pub(crate) fn instances(&self) -> impl Iterator<Item = (&str, &InstanceWatch)> {
        self.instances
            .iter()
            .filter(|(_, known)| known.health != Health::Draining)
            .map(|(name, known)| (name.as_str(), known))
    }

    pub(crate) fn load(&self) -> &Load {
        &self.load
    }
}
