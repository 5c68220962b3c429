//! What holds whatever is seen and answered.

use crate::script::{Script, at, component, source_config};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use writ_core::{Actor, Event, Health, Observation, RunId, Timestamp};
use writ_self_healing::{
    Allowance, Ask, DeniedBy, Heal, HealEvent, HoldReason, Mode, Remedy, RemedyAction, RemedyKey, Signal, decode,
};

#[derive(Debug, Clone)]
enum Deed {
    Wait(u64),
    Window { age: u64, samples: Vec<Sample> },
    Exit { instance: u64, generation: u64, age: u64 },
    Health { instance: u64, generation: u64, health: Health, age: u64 },
    Answer { which: usize, how: Answer },
    Mode(RemedyAction, Mode),
    Close(usize),
    Look,
}

#[derive(Debug, Clone)]
enum Answer {
    Allow,
    Deny,
    Decline,
    Hold,
    Release,
    Ask,
    End { ok: bool, healthy: bool },
}

#[derive(Debug, Clone)]
struct Sample {
    health: Health,
    cpu: u64,
    errors: u64,
    memory_mib: u64,
    latency_ms: u64,
    requests: u64,
    in_flight: u64,
}

fn health() -> impl Strategy<Value = Health> {
    use Health::{Degraded, Draining, Failed, Healthy, Starting, Unknown};
    prop_oneof![
        6 => Just(Healthy),
        3 => Just(Failed),
        1 => prop_oneof![Just(Degraded), Just(Draining), Just(Starting), Just(Unknown)],
    ]
}

fn sample() -> impl Strategy<Value = Sample> {
    let rare = |common: u64, most: u64| prop_oneof![3 => Just(common), 1 => 0..most];
    (health(), rare(100, 1_200), rare(0, 80), rare(40, 600), rare(10, 500), rare(60, 80), rare(0, 5)).prop_map(
        |(health, cpu, errors, memory_mib, latency_ms, requests, in_flight)| Sample {
            health,
            cpu,
            errors,
            memory_mib,
            latency_ms,
            requests,
            in_flight,
        },
    )
}

fn deed() -> impl Strategy<Value = Deed> {
    let age = || prop_oneof![4 => Just(0_u64), 1 => 0..200_000_u64];
    let mode = prop_oneof![1 => Just(Mode::Shadow), 1 => Just(Mode::Propose), 3 => Just(Mode::Auto)];
    let answer = prop_oneof![
        4 => Just(Answer::Allow),
        1 => Just(Answer::Deny),
        1 => Just(Answer::Decline),
        1 => Just(Answer::Hold),
        1 => Just(Answer::Release),
        1 => Just(Answer::Ask),
        3 => (any::<bool>(), any::<bool>()).prop_map(|(ok, healthy)| Answer::End { ok, healthy }),
    ];
    prop_oneof![
        2 => prop_oneof![Just(300_u64), Just(5_000), Just(61_000), Just(400_000)].prop_map(Deed::Wait),
        8 => (age(), prop::collection::vec(sample(), 0..6)).prop_map(|(age, samples)| Deed::Window { age, samples }),
        2 => (1..6_u64, 0..4_u64, age()).prop_map(|(instance, generation, age)| Deed::Exit { instance, generation, age }),
        2 => (1..6_u64, 0..4_u64, health(), age())
            .prop_map(|(instance, generation, health, age)| Deed::Health { instance, generation, health, age }),
        8 => (0..4_usize, answer).prop_map(|(which, how)| Deed::Answer { which, how }),
        1 => (prop::sample::select(RemedyAction::ALL.to_vec()), mode).prop_map(|(action, mode)| Deed::Mode(action, mode)),
        1 => (0..3_usize).prop_map(Deed::Close),
        1 => Just(Deed::Look),
    ]
}

struct Trial {
    script: Script,
    live: BTreeMap<RemedyKey, (Remedy, Option<RunId>)>,
    newest: Timestamp,
    runs: u64,
    taken: usize,
}

impl Trial {
    fn play(&mut self, deed: &Deed) {
        self.script.now += 50;
        let now = self.script.now;
        let seen = |age: u64| at(now.saturating_sub(age));
        match deed {
            Deed::Wait(ms) => self.script.now += ms,
            Deed::Window { age, samples } => {
                self.newest = self.newest.max(seen(*age));
                let window = window(&self.script, seen(*age), samples);
                self.script.observe(&Observation::Window(window));
            }
            Deed::Exit { instance, generation, age } => {
                self.newest = self.newest.max(seen(*age));
                self.script.observe(&Observation::Exited {
                    at: seen(*age),
                    component: component(),
                    generation: *generation,
                    how: "signal 9".to_owned(),
                    instance: format!("i-{instance}"),
                });
            }
            Deed::Health { instance, generation, health, age } => {
                self.newest = self.newest.max(seen(*age));
                self.script.observe(&Observation::HealthChanged {
                    at: seen(*age),
                    because: "a check".to_owned(),
                    component: component(),
                    generation: *generation,
                    health: *health,
                    instance: format!("i-{instance}"),
                });
            }
            Deed::Answer { which, how } => self.answer(*which, how),
            Deed::Mode(action, mode) => {
                self.script.set_mode(*action, *mode);
            }
            Deed::Close(which) => {
                let id = self.script.heal.incidents().nth(*which).map(|incident| incident.id.clone());
                if let Some(incident) = id {
                    let _ = self.script.signal(Signal::Close { incident, by: "p-1".parse().unwrap() });
                }
            }
            Deed::Look => self.script.signal(Signal::Look).unwrap(),
        }
        self.follow();
    }

    fn answer(&mut self, which: usize, how: &Answer) {
        let Some((key, (remedy, run))) = self.live.iter().nth(which).map(|(key, one)| (key.clone(), one.clone()))
        else {
            return;
        };
        match how {
            Answer::Allow => {
                self.runs += 1;
                let fresh = RunId::mint(self.runs, [7; 10]);
                let answered = self.script.signal(Signal::RemedyAllowed { remedy: key.clone(), run: fresh.clone() });
                if answered.is_ok() {
                    self.live.insert(key, (remedy, Some(fresh)));
                }
            }
            Answer::Deny => {
                let because = "no".to_owned();
                let _ = self.script.signal(Signal::RemedyDenied { remedy: key, because, by: DeniedBy::Gate });
            }
            Answer::Decline => {
                let because = "no".to_owned();
                let _ = self.script.signal(Signal::RemedyDenied { remedy: key, because, by: DeniedBy::Person });
            }
            Answer::Hold => {
                let because = HoldReason::KillSwitch;
                let _ = self.script.signal(Signal::RemedyHeld { remedy: key, because });
            }
            Answer::Release => {
                let _ = self.script.signal(Signal::RemedyReleased { remedy: key });
            }
            Answer::Ask => {
                let approval = writ_core::ApprovalId::mint(1, [1; 10]);
                let _ = self.script.signal(Signal::RemedyNeedsApproval { remedy: key, approval });
            }
            Answer::End { ok, healthy } => {
                let Some(run) = run else { return };
                if *ok && !remedy.action.scales() {
                    for target in &remedy.targets {
                        self.newest = self.newest.max(at(self.script.now));
                        self.script.observe(&Observation::HealthChanged {
                            at: at(self.script.now),
                            because: "started".to_owned(),
                            component: component(),
                            generation: target.generation,
                            health: if *healthy { Health::Healthy } else { Health::Failed },
                            instance: target.instance.clone(),
                        });
                    }
                } else if *ok {
                    let names: Vec<String> = (1..=remedy.count.unwrap()).map(|n| format!("i-{n}")).collect();
                    self.script.watch.expect(names.iter().map(String::as_str));
                }
                self.script.signal(Signal::RemedyRunEnded { run, ok: *ok, because: None }).unwrap();
                self.live.remove(&key);
            }
        }
    }

    fn follow(&mut self) {
        for ask in self.script.asks.split_off(0) {
            match ask {
                Ask::ProposeRemedy { remedy, .. } => {
                    self.live.insert(remedy.key.clone(), (remedy, None));
                }
                Ask::Withdraw { remedy } => {
                    self.live.remove(&remedy);
                }
                Ask::SetTimer { at: due } => assert!(due > at(self.script.now), "a timer is in the future"),
            }
        }
        let journal = self.script.journal.clone();
        for event in journal.iter().skip(self.taken) {
            self.hold_to_law(event);
        }
        self.taken = journal.len();
    }

    fn hold_to_law(&self, event: &HealEvent) {
        let HealEvent::Proposed(proposed) = event else { return };
        let remedy = &proposed.remedy;
        let fresh = proposed.at.since(self.newest) <= self.script.config.bounds.freshness;
        assert!(fresh || remedy.undo, "nothing is tried on old data: {event:?}");
        if remedy.action == RemedyAction::ScaleOut {
            let most = self.script.config.scaling.as_ref().unwrap().max;
            assert!(remedy.count.unwrap() <= most, "never beyond the most: {event:?}");
        }
        if remedy.action == RemedyAction::ScaleIn {
            assert!(remedy.count.unwrap() >= 3, "never below the least: {event:?}");
        }
    }
}

fn window(script: &Script, to: Timestamp, samples: &[Sample]) -> writ_core::Window {
    let mut instances = vec![];
    for (n, sample) in samples.iter().enumerate() {
        let mut latency = writ_core::Histogram::default();
        (0..sample.requests).for_each(|_| latency.record(sample.latency_ms * 1_000));
        let name = format!("i-{}", n + 1);
        let seen = script.journal.iter().rev().find_map(|event| match event {
            HealEvent::Proposed(event) => {
                event.remedy.targets.iter().find(|target| target.instance == name).map(|target| target.generation)
            }
            _ => None,
        });
        instances.push(writ_core::InstanceSample {
            cpu_millicores: sample.cpu,
            errors: sample.errors,
            generation: seen.unwrap_or(1),
            health: sample.health,
            in_flight: sample.in_flight,
            instance: name,
            latency,
            memory_bytes: sample.memory_mib << 20,
            requests: sample.requests,
            zone: "a".to_owned(),
        });
    }
    let mut latency = writ_core::Histogram::default();
    instances.iter().for_each(|one| latency.merge(&one.latency));
    writ_core::Window {
        component: component(),
        errors: instances.iter().map(|one| one.errors).sum(),
        from: to.minus(Duration::from_secs(1)),
        requests: instances.iter().map(|one| one.requests).sum(),
        instances,
        latency,
        retried: 0,
        to,
    }
}

/// The laws that speak of the whole journal.
fn hold_whole(trial: &Trial) {
    let config = &trial.script.config;
    let mut attempts: BTreeMap<String, u32> = BTreeMap::new();
    let mut escalated: BTreeMap<String, u32> = BTreeMap::new();
    let mut recoveries: Vec<Timestamp> = vec![];
    let mut last: BTreeMap<(RemedyAction, String), Timestamp> = BTreeMap::new();
    let mut running: BTreeMap<String, u64> = BTreeMap::new();
    // What a release takes back: the last proposal under a key, and what came before it for the same target.
    let mut counted = BTreeMap::new();
    let mut heal = Heal::new(component());
    for event in &trial.script.journal {
        heal.apply(event).expect("every prefix of the journal folds");
        let draft = event.draft(&Actor::system("self-healing"));
        assert_eq!(decode(draft.kind, &draft.body).unwrap(), *event);
        assert!(whole_numbers(&draft.body), "no floats in a body: {}", draft.body);
        let id = event.incident().map(ToString::to_string);
        match event {
            HealEvent::Proposed(proposed) => {
                let remedy = &proposed.remedy;
                if !remedy.action.scales() {
                    running.insert(remedy.key.to_string(), remedy.width);
                    let most = (remedy.blast.total / 2).max(1);
                    assert!(running.values().sum::<u64>() <= most, "never more than half at once: {running:?}");
                }
                let Some(id) = id.filter(|_| !remedy.undo) else { continue };
                let spent = attempts.entry(id.clone()).or_default();
                *spent += 1;
                assert!(*spent <= config.recovery.max_attempts, "never more attempts than there may be");
                assert!(!escalated.contains_key(&id), "nothing is tried after an escalation");
                recoveries.push(proposed.at);
                let target = remedy.targets.first().map_or_else(String::new, |target| target.instance.clone());
                let single = if remedy.action == RemedyAction::RestartInstance { target } else { String::new() };
                let cool = config.budgets.cool_downs[&remedy.action];
                let about = (remedy.action, single);
                let before = last.insert(about.clone(), proposed.at);
                counted.insert(remedy.key.to_string(), (about, before));
                if let Some(before) = before {
                    assert!(proposed.at.since(before) >= cool, "never again before it has cooled down");
                }
            }
            HealEvent::Escalated(_) => {
                let count = escalated.entry(id.unwrap()).or_default();
                *count += 1;
                assert_eq!(*count, 1, "one escalation for each incident");
            }
            HealEvent::Ended(event) => {
                running.remove(&event.remedy.to_string());
            }
            HealEvent::Denied(event) => {
                running.remove(&event.remedy.to_string());
            }
            HealEvent::Released(event) => {
                running.remove(&event.remedy.to_string());
                if let Some((about, before)) = counted.remove(&event.remedy.to_string()) {
                    *attempts.get_mut(&id.unwrap()).unwrap() -= 1;
                    let given_back = last.remove(&about);
                    recoveries.retain(|at| Some(*at) != given_back);
                    before.map(|at| last.insert(about, at));
                }
            }
            HealEvent::Resolved(_) | HealEvent::Closed(_) => {
                let prefix = format!("{}/", id.unwrap());
                running.retain(|key, _| !key.starts_with(&prefix));
            }
            HealEvent::Opened(_)
            | HealEvent::Joined(_)
            | HealEvent::Shadowed(_)
            | HealEvent::Held(_)
            | HealEvent::Waiting(_)
            | HealEvent::Started(_)
            | HealEvent::Verified(_)
            | HealEvent::Acknowledged(_)
            | HealEvent::ModeSet(_)
            | HealEvent::ModeEnded(_)
            | HealEvent::Judged(_) => {}
        }
    }
    assert_eq!(heal, trial.script.heal, "the fold of the journal is the live state");
    for Allowance { count, period } in &config.budgets.allowances {
        for end in &recoveries {
            let within = recoveries.iter().filter(|one| **one <= *end && one.plus(*period) > *end).count();
            assert!(within <= *count as usize, "never more recoveries than the allowance");
        }
    }
}

fn whole_numbers(body: &Value) -> bool {
    match body {
        Value::Number(number) => number.as_u64().is_some_and(|value| value < 1 << 53) || number.is_i64(),
        Value::Array(items) => items.iter().all(whole_numbers),
        Value::Object(map) => map.values().all(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn budgets_bounds_and_the_fold_hold_whatever_happens(
        deeds in prop::collection::vec(deed(), 1..160),
        tight in any::<bool>(),
        max_attempts in 1..4_u32,
        most in 4..11_u64,
    ) {
        let mut config = source_config(Mode::Auto);
        config.recovery.max_attempts = max_attempts;
        config.scaling.as_mut().unwrap().max = most;
        if tight {
            config.budgets.allowances = vec![Allowance { count: 2, period: Duration::from_secs(120) }];
        }
        let script = Script::new(config, 4);
        let mut trial = Trial { script, live: BTreeMap::new(), newest: at(0), runs: 0, taken: 0 };
        for deed in &deeds {
            trial.play(deed);
        }
        hold_whole(&trial);
    }
}
