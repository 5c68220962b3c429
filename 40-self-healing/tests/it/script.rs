//! A component on paper: instances with generations, windows of what they do, and a pipeline that records and answers.

use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use writ_core::{ComponentId, Health, Histogram, InstanceSample, Observation, RunId, Timestamp, Window};
use writ_self_healing::{
    Ask, Config, Decision, DeniedBy, Heal, HealEvent, Limits, Mode, ModeSet, Refused, RemedyAction, Scaling,
    SelfHealingText, Signal, Watch,
};

/// The component that every test heals.
pub(crate) fn component() -> ComponentId {
    "web-service-001".parse().unwrap()
}

/// The source's own triggers and policy, with a count to scale within.
pub(crate) fn source_text() -> SelfHealingText {
    serde_json::from_value(serde_json::json!({
        "enabled": true,
        "recovery_policy": {"strategy": "restart", "max_attempts": 3, "timeout_seconds": 60},
        "triggers": [
            {"condition": "health_status == 'failed'", "action": "restart_instance"},
            {"condition": "error_rate > 5%", "action": "restart_service"},
            {"condition": "latency_p95 > 200ms", "action": "scale_out"},
        ],
    }))
    .unwrap()
}

pub(crate) fn source_config(mode: Mode) -> Config {
    let limits = Limits { cpu_millicores: Some(1_000), memory_bytes: Some(512 << 20) };
    Config::compile(component(), &source_text(), Some(Scaling::within(3, 10, 70)), limits, mode).unwrap()
}

pub(crate) fn at(ms: u64) -> Timestamp {
    // 2026-01-01, so that nothing is ever before 1970.
    Timestamp::from_micros(1_767_225_600_000_000).plus(Duration::from_millis(ms))
}

/// A component and its pipeline.
pub(crate) struct Script {
    pub(crate) config: Config,
    pub(crate) watch: Watch,
    pub(crate) heal: Heal,
    pub(crate) generations: BTreeMap<String, u64>,
    pub(crate) journal: Vec<HealEvent>,
    pub(crate) transcript: Vec<String>,
    pub(crate) asks: Vec<Ask>,
    pub(crate) now: u64,
    window_from: u64,
    runs: u64,
}

impl Script {
    pub(crate) fn new(config: Config, instances: u64) -> Self {
        let generations: BTreeMap<String, u64> = (1..=instances).map(|n| (format!("i-{n}"), 1)).collect();
        let mut watch = Watch::new(component());
        watch.expect(generations.keys().map(String::as_str));
        Self {
            config,
            watch,
            heal: Heal::new(component()),
            generations,
            journal: vec![],
            transcript: vec![],
            asks: vec![],
            now: 0,
            window_from: 0,
            runs: 0,
        }
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), Refused> {
        let chance = [0, 0, 0, 0, 0, 0, 0, 0, 0, self.journal.len() as u8];
        let decision = self.heal.step(&self.config, &self.watch, signal, at(self.now), chance)?;
        self.take(decision);
        Ok(())
    }

    /// Somebody set how far an action may go: it is recorded with their answer, and taken in.
    pub(crate) fn set_mode(&mut self, action: RemedyAction, mode: Mode) {
        let (at, from) = (at(self.now), Some(self.heal.mode(&self.config, action)));
        let set = ModeSet { action, approval: None, at, cites: vec![], component: component(), from, mode };
        self.take(Decision { events: vec![HealEvent::ModeSet(set)], asks: vec![] });
        self.signal(Signal::Look).unwrap();
    }

    fn take(&mut self, decision: Decision) {
        let Decision { events, asks } = decision;
        for event in &events {
            self.heal.apply(event).unwrap();
            self.transcript.push(format!("{} {}", self.now, tell(event)));
        }
        self.journal.extend(events);
        for ask in asks {
            match &ask {
                Ask::Withdraw { .. } => self.transcript.push(format!("{} withdraw", self.now)),
                Ask::ProposeRemedy { .. } | Ask::SetTimer { .. } => {}
            }
            self.asks.push(ask);
        }
    }

    pub(crate) fn observe(&mut self, seen: &Observation) {
        self.watch.observe(&self.config, seen, at(self.now));
        self.signal(Signal::Look).unwrap();
    }

    /// The window since the last one; what a script does not say is an instance at peace.
    pub(crate) fn window(&mut self, wanted: &Value) {
        let window = self.sketch(wanted);
        self.window_from = self.now;
        self.observe(&Observation::Window(window));
    }

    fn sketch(&self, wanted: &Value) -> Window {
        let number = |from: &Value, key: &str, unsaid: u64| from.get(key).and_then(Value::as_u64).unwrap_or(unsaid);
        let mut latency = Histogram::default();
        let mut instances = vec![];
        for (name, generation) in &self.generations {
            let said = wanted.get(name).cloned().unwrap_or(Value::Null);
            if said == "absent" {
                continue;
            }
            let health = said.get("health").cloned().unwrap_or(Value::from("healthy"));
            let requests = number(&said, "requests", 70);
            let mut own = Histogram::default();
            (0..number(&said, "answers", requests)).for_each(|_| own.record(number(&said, "latency_ms", 10) * 1_000));
            latency.merge(&own);
            instances.push(InstanceSample {
                cpu_millicores: number(&said, "cpu", 100),
                errors: number(&said, "errors", 0),
                generation: number(&said, "generation", *generation),
                health: serde_json::from_value::<Health>(health).unwrap(),
                in_flight: number(&said, "in_flight", 0),
                instance: name.clone(),
                latency: own,
                memory_bytes: number(&said, "memory_mib", 40) << 20,
                requests,
                zone: "us-west-2a".to_owned(),
            });
        }
        let sum = |field: fn(&InstanceSample) -> u64| instances.iter().map(field).sum();
        Window {
            component: component(),
            errors: number(wanted, "errors", sum(|one| one.errors)),
            from: at(self.window_from),
            requests: number(wanted, "requests", sum(|one| one.requests)),
            instances,
            latency,
            retried: 0,
            to: at(self.now),
        }
    }

    pub(crate) fn exit(&mut self, instance: &str) {
        let seen = Observation::Exited {
            at: at(self.now),
            component: component(),
            generation: self.generations[instance],
            how: "signal 9".to_owned(),
            instance: instance.to_owned(),
        };
        self.observe(&seen);
    }

    pub(crate) fn health(&mut self, instance: &str, health: Health) {
        let seen = Observation::HealthChanged {
            at: at(self.now),
            because: "3 checks timed out".to_owned(),
            component: component(),
            generation: self.generations[instance],
            health,
            instance: instance.to_owned(),
        };
        self.observe(&seen);
    }

    /// A newer start of the instance, healthy at once.
    pub(crate) fn start(&mut self, instance: &str) {
        *self.generations.get_mut(instance).unwrap() += 1;
        self.health(instance, Health::Healthy);
    }

    fn proposal(&self) -> (writ_self_healing::Remedy, Mode) {
        let found = self.asks.iter().rev().find_map(|ask| match ask {
            Ask::ProposeRemedy { remedy, mode } => Some((remedy.clone(), *mode)),
            Ask::Withdraw { .. } | Ask::SetTimer { .. } => None,
        });
        found.expect("something was proposed")
    }

    /// Answers the last proposal: it runs.
    pub(crate) fn allow(&mut self) -> RunId {
        self.runs += 1;
        let run = RunId::mint(self.runs, [1; 10]);
        let remedy = self.proposal().0.key;
        self.signal(Signal::RemedyAllowed { remedy, run: run.clone() }).unwrap();
        run
    }

    /// The last proposal's run has ended; if well, its targets are there in the wanted generation, `healthy` or ill.
    pub(crate) fn end(&mut self, ok: bool, healthy: bool) {
        let remedy = self.proposal().0;
        let run = RunId::mint(self.runs, [1; 10]);
        if ok {
            self.carry_out(&remedy, healthy);
        }
        let because = Some("the launcher gave up".to_owned());
        self.signal(Signal::RemedyRunEnded { run, ok, because }).unwrap();
    }

    fn carry_out(&mut self, remedy: &writ_self_healing::Remedy, healthy: bool) {
        match remedy.action {
            RemedyAction::RestoreBalancer => {}
            RemedyAction::RestartInstance | RemedyAction::RestartService => {
                for target in &remedy.targets {
                    self.generations.insert(target.instance.clone(), target.generation);
                    self.health(&target.instance, if healthy { Health::Healthy } else { Health::Failed });
                }
            }
            RemedyAction::ScaleOut => {
                while (self.generations.len() as u64) < remedy.count.unwrap() {
                    let fresh = (1..).map(|n| format!("i-{n}")).find(|name| !self.generations.contains_key(name));
                    self.generations.insert(fresh.unwrap(), 1);
                }
                self.watch.expect(self.generations.keys().map(String::as_str));
            }
            RemedyAction::ScaleIn => {
                for target in &remedy.targets {
                    self.generations.remove(&target.instance);
                }
                self.watch.expect(self.generations.keys().map(String::as_str));
            }
        }
    }

    /// One line of a case: a map with `at` and one thing that happens.
    pub(crate) fn play(&mut self, step: &Value) {
        if let Some(ms) = step.get("at").and_then(Value::as_u64) {
            assert!(ms >= self.now, "time goes on: {step}");
            self.now = ms;
        }
        let text = |key: &str| step.get(key).and_then(Value::as_str).map(str::to_owned);
        if let Some(window) = step.get("window") {
            let every = step.get("every").and_then(Value::as_u64).unwrap_or(1_000);
            for _ in 0..step.get("times").and_then(Value::as_u64).unwrap_or(1) {
                self.now += every;
                self.window(window);
            }
        } else if let Some(instance) = text("exit") {
            self.exit(&instance);
        } else if let Some(instance) = text("fail") {
            self.health(&instance, Health::Failed);
        } else if let Some(instance) = text("start") {
            self.start(&instance);
        } else if let Some(how) = text("end") {
            self.end(how != "not ok", how == "ok");
        } else if let Some(because) = text("deny") {
            let remedy = self.proposal().0.key;
            self.signal(Signal::RemedyDenied { remedy, because, by: DeniedBy::Gate }).unwrap();
        } else if let Some(by) = step.get("decline") {
            let (remedy, by) = (self.proposal().0.key, serde_json::from_value(by.clone()).unwrap());
            self.signal(Signal::RemedyDenied { remedy, because: "no".to_owned(), by }).unwrap();
        } else if let Some(because) = step.get("hold") {
            let (remedy, because) = (self.proposal().0.key, serde_json::from_value(because.clone()).unwrap());
            self.signal(Signal::RemedyHeld { remedy, because }).unwrap();
        } else if let Some(because) = text("unseen") {
            self.watch.unseen(&because, at(self.now));
            self.signal(Signal::Look).unwrap();
        } else if step.get("release").is_some() {
            let remedy = self.proposal().0.key;
            self.signal(Signal::RemedyReleased { remedy }).unwrap();
        } else if step.get("allow").is_some() {
            self.allow();
        } else if step.get("ask").is_some() {
            let (remedy, approval) = (self.proposal().0.key, writ_core::ApprovalId::mint(1, [1; 10]));
            self.signal(Signal::RemedyNeedsApproval { remedy, approval }).unwrap();
        } else if let Some(mode) = step.get("mode") {
            let mode = serde_json::from_value(mode.clone()).unwrap();
            self.set_mode(RemedyAction::RestartInstance, mode);
        } else if step.get("close").is_some() {
            let incident = self.heal.incidents().next().unwrap().id.clone();
            self.signal(Signal::Close { incident, by: "p-1".parse().unwrap() }).unwrap();
        } else {
            self.signal(Signal::Look).unwrap();
        }
    }
}

/// One event in a line.
pub(crate) fn tell(event: &HealEvent) -> String {
    let whose = |instance: &Option<String>| instance.clone().unwrap_or_else(|| "component".to_owned());
    match event {
        HealEvent::Opened(event) => {
            let related = if event.related.is_empty() { "" } else { ", related" };
            let name = event.symptom.name();
            format!("opened {} {name} {}{related}: {}", event.severity, whose(&event.instance), event.seen)
        }
        HealEvent::Joined(event) => format!("joined {} {}", event.symptom.name(), whose(&event.instance)),
        HealEvent::Proposed(event) => format!("proposed {:?} {}", event.mode, remedy(&event.remedy)),
        HealEvent::Shadowed(event) => format!("shadowed {}", remedy(&event.remedy)),
        HealEvent::Held(event) => format!("held {:?}", event.because),
        HealEvent::Waiting(_) => "waiting".to_owned(),
        HealEvent::Released(_) => "released".to_owned(),
        HealEvent::Denied(event) => format!("denied: {}", event.because),
        HealEvent::Started(_) => "started".to_owned(),
        HealEvent::Ended(event) => format!("ended {}", if event.ok { "ok" } else { "not ok" }),
        HealEvent::Verified(event) => {
            let worse = if event.worse { ", worse" } else { "" };
            format!("verified {:?} after {} looks{worse}", event.outcome, event.looks)
        }
        HealEvent::Resolved(event) => format!("resolved {:?}", event.because),
        HealEvent::Escalated(event) => format!("escalated {:?} after {}", event.because, event.attempts),
        HealEvent::Acknowledged(event) => format!("acknowledged by {}", event.by),
        HealEvent::Closed(event) => format!("closed by {}", event.by),
        HealEvent::ModeSet(event) => format!("mode {} {:?}", event.action, event.mode),
        HealEvent::ModeEnded(event) => format!("mode {} ended", event.action),
        HealEvent::Judged(event) => format!("judged {} {}", event.action, event.right),
    }
}

fn remedy(remedy: &writ_self_healing::Remedy) -> String {
    let targets: Vec<String> =
        remedy.targets.iter().map(|target| format!(" {}@{}", target.instance, target.generation)).collect();
    let count = remedy.count.map_or_else(String::new, |count| format!(" to {count}"));
    let undo = if remedy.undo { " (undo)" } else { "" };
    format!("#{} {}{}{count} width {}{undo}", remedy.attempt, remedy.action, targets.concat(), remedy.width)
}
