//! Random schedules through the whole pipeline: submissions, operators, dying instances, lost, late and doubled orders, agents
//! that come back from the dead, and a control plane that dies anywhere. `WRIT_SIM_SCHEDULES` says how many, `WRIT_SIM_SEED`
//! plays a single one.

use crate::journeys::{example, paused, told};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use writ_core::{Actor, EffectKey, Filter, Health, Ledger, Provider, Receipt, RunId};
use writ_pipeline::{KillScope, Origin, RunAnswer, RunSays, RunSignal};
use writ_sim::{Deathbed, Files, Mishap, Moment, SeededChance, Site, judge, person};

const SCHEDULES: u64 = 200;

/// Kinds of entries at whose commit the control plane may die.
const KINDS: [&str; 12] = [
    "intent.submitted/1",
    "run.submitted/1",
    "run.step_started/1",
    "run.step_succeeded/1",
    "run.step_unclear/1",
    "run.succeeded/1",
    "run.",
    "incident.opened/1",
    "incident.",
    "approval.",
    "intent.moved/1",
    "safety.",
];

const TARGETS: [&str; 7] =
    ["any", "instance.ensure", "instance.remove", "i-1", "i-2", "scaling.configure", "balancer.ensure"];

/// What was met on the way: an exploration that meets nothing shows nothing.
#[derive(Debug, Default)]
struct Met {
    schedules: AtomicU64,
    runs: AtomicU64,
    deaths: AtomicU64,
    deeds: AtomicU64,
    repeated: AtomicU64,
    refused: AtomicU64,
    mishaps: AtomicU64,
    late: AtomicU64,
}

struct Explorer {
    site: Site,
    chance: SeededChance,
    texts: Vec<String>,
}

impl Explorer {
    fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(usize::try_from(self.chance.below(from.len() as u64)).ok()?)
    }

    fn span(&self, up_to_ms: u64) -> Duration {
        Duration::from_millis(self.chance.below(up_to_ms) + 1)
    }

    fn mishap(&self) -> Mishap {
        match self.chance.below(8) {
            0 => Mishap::Fails,
            1 => Mishap::Refused,
            2 => Mishap::OrderLost,
            3 => Mishap::AnswerLost,
            4 => Mishap::AnswerLate(self.span(60_000)),
            5 => Mishap::OrderLate(self.span(60_000)),
            6 => Mishap::Twice,
            _ => Mishap::Hangs,
        }
    }

    /// One thing happens. What is asked of the control plane may be refused, or the control plane may die over it.
    async fn act(&mut self) {
        let world = self.site.world.clone();
        match self.chance.below(17) {
            0 | 1 => {
                let text = self.pick(&self.texts).cloned().unwrap_or_default();
                self.ask(async |site: &Site| {
                    let by = person("operator").unwrap();
                    drop(site.pipeline().submit("intent.yaml", text.as_bytes(), &by, None, Origin::Intent).await);
                })
                .await;
            }
            2..=4 => {
                if let Some((name, _, _)) = self.pick(&world.instances()) {
                    world.kill(name);
                }
            }
            5 => {
                if let Some((name, _, _)) = self.pick(&world.instances()) {
                    world.hang(name);
                }
            }
            6..=8 => world.plan_fault(self.mishap(), self.pick(&TARGETS).unwrap()),
            9 => self.site.life().end(),
            10 | 11 => {
                let moment = if self.chance.below(2) == 0 { Moment::Before } else { Moment::After };
                let kind = (*self.pick(&KINDS).unwrap()).to_owned();
                self.site.life().end_at(Deathbed { moment, kind, spared: self.chance.below(4) });
            }
            12 => {
                let (pulled, scope) = (self.chance.below(2) == 0, self.scope());
                self.ask(async |site: &Site| {
                    let by = Actor::human(&person("operator").unwrap().id);
                    drop(site.pipeline().kill_switch(scope.clone(), pulled, "", &by).await);
                })
                .await;
            }
            13 => {
                let signal = match self.chance.below(4) {
                    0 => RunSignal::Pause,
                    1 => RunSignal::Resume,
                    2 => RunSignal::Cancel { compensate: true },
                    _ => RunSignal::Cancel { compensate: false },
                };
                self.tell(signal).await;
            }
            14 | 15 => self.late_answer().await,
            _ => {
                // An agent that was thought dead sends its old order again.
                if let Some(order) = self.pick(&world.asked()).cloned() {
                    tokio::spawn(async move { world.perform(&order).await });
                }
            }
        }
    }

    fn scope(&self) -> KillScope {
        match self.chance.below(3) {
            0 => KillScope::All,
            1 => KillScope::Action { action: "restart_instance".into() },
            _ => KillScope::Resource { resource: "web-service-001/i-2".into() },
        }
    }

    /// Asks something of the control plane, which may die over it.
    async fn ask(&self, ask: impl AsyncFnOnce(&Site)) {
        tokio::select! {
            biased;
            () = self.site.life().ended() => {}
            () = ask(&self.site) => {}
        }
    }

    async fn tell(&self, signal: RunSignal) {
        let mut live = self.site.pipeline().drive().live_runs();
        live.sort();
        let Some(run) = self.pick(&live).cloned() else { return };
        self.ask(async |site: &Site| {
            drop(site.pipeline().drive().tell(&run, signal, &Actor::system("explorer")).await);
        })
        .await;
    }

    /// An answer under a ticket that was answered before or given to somebody else: it may be told, and changes nothing.
    async fn late_answer(&self) {
        let started = Filter { kind: Some("run.step_started/1".into()), ..Filter::default() };
        let stored = self.site.ledger().query(&started, 10_000).await.unwrap();
        let live = self.site.pipeline().drive().live_runs();
        let mut entries: Vec<_> = stored.iter().map(|stored| writ_pipeline::decode(stored).unwrap()).collect();
        entries.retain(|entry| live.iter().any(|run| entry.stream == format!("run/{run}")));
        let Some(entry) = self.pick(&entries) else { return };
        let text = |pointer: &str| entry.body.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default();
        let run: RunId = text("/run").parse().unwrap();
        let Ok(recorded) = self.site.pipeline().drive().recorded(&run).await else { return };
        let (step, ticket) = (text("/step/key").parse().unwrap(), text("/ticket").parse().unwrap());
        let epoch = entry.body["epoch"].as_u64().unwrap();
        let holds = recorded.step(&step).and_then(|(_, cell)| cell.ticket.clone());
        if holds.is_some_and(|holds| holds.is_of(&ticket, epoch)) {
            return; // This one would be believed, and rightly.
        }
        let receipt = Receipt {
            detail: serde_json::json!({}),
            finished_at: self.site.clock().now(),
            key: EffectKey(text("/effect_key").to_owned()),
            repeated: false,
        };
        let says = match self.chance.below(3) {
            0 => RunSays::Done { receipt },
            1 => RunSays::Failed { because: "I was away".into(), retryable: false },
            _ => RunSays::Unclear { because: "I was away".into() },
        };
        let signal = RunSignal::Answered(RunAnswer { says, epoch, step, ticket });
        self.ask(async |site: &Site| {
            drop(site.pipeline().drive().tell(&run, signal, &Actor::system("zombie")).await);
        })
        .await;
    }

    async fn go_on(&mut self) {
        if self.site.life().is_over() {
            self.site.restart().await.unwrap();
        }
    }

    async fn pass(&mut self, span: Duration) {
        let mut left = span;
        while !left.is_zero() {
            left = self.site.pass(left).await;
            self.go_on().await;
        }
    }

    /// Nothing goes wrong any more: whatever was stopped is let go.
    async fn calm(&mut self) {
        self.site.life().end();
        self.site.world.clear_faults();
        self.go_on().await;
        for scope in [
            KillScope::All,
            KillScope::Action { action: "restart_instance".into() },
            KillScope::Resource { resource: "web-service-001/i-2".into() },
        ] {
            let by = Actor::system("explorer");
            self.site.pipeline().kill_switch(scope, false, "", &by).await.unwrap();
        }
        for run in self.site.pipeline().drive().live_runs() {
            drop(self.site.pipeline().drive().tell(&run, RunSignal::Resume, &Actor::system("explorer")).await);
        }
        self.pass(Duration::from_secs(120)).await;
    }

    /// What should have come to an end by now, and has not.
    async fn stuck(&self) -> Vec<String> {
        let mut found = Vec::new();
        let drive = self.site.pipeline().drive();
        for id in drive.live_runs() {
            let (run, _) = drive.run(&id).await.unwrap();
            let word = run.state().name();
            if !matches!(word, "awaiting approval" | "needs operator") {
                let steps: Vec<String> =
                    run.steps().map(|(step, cell)| format!("{} {}", step.resource, cell.state.name())).collect();
                found.push(format!("{id} is still {word}: {}", steps.join(", ")));
            }
        }
        let count = async |kind: &str| {
            let wanted = Filter { kind: Some(kind.to_owned()), ..Filter::default() };
            self.site.ledger().query(&wanted, 10_000).await.unwrap().len()
        };
        let watched = !self.site.pipeline().components().is_empty();
        let asks = count("incident.escalated/1").await + count("run.needs_operator/1").await;
        let ill: Vec<String> = self
            .site
            .world
            .instances()
            .into_iter()
            .filter(|(_, _, health)| *health != Health::Healthy)
            .map(|(name, _, _)| name)
            .collect();
        if watched && asks == 0 && !ill.is_empty() {
            found.push(format!("{} not healed, and nobody was called", ill.join(", ")));
        }
        found
    }
}

async fn schedule(seed: u64, files: Arc<Files>, texts: Vec<String>, met: &Met, forgets: bool) -> Vec<String> {
    let site = Site::open(files, seed).await.unwrap();
    let mut explorer = Explorer { site, chance: SeededChance::new(seed ^ 0x5eed_cafe), texts };
    if forgets {
        explorer.site.world.forget_keys();
    }
    explorer.site.world.set_jitter(Duration::from_millis(200));
    if explorer.chance.below(2) == 0 {
        let span = explorer.span(40);
        explorer.site.slow_disk(span);
    }
    for _ in 0..(8 + explorer.chance.below(16)) {
        explorer.act().await;
        let span = if explorer.chance.below(3) == 0 { explorer.span(20_000) } else { explorer.span(600) };
        explorer.pass(span).await;
    }
    explorer.calm().await;
    let mut found = judge(&explorer.site).await.unwrap();
    found.extend(explorer.stuck().await);
    let (tally, count) = (explorer.site.world.tally(), |at: &AtomicU64, n: u64| {
        at.fetch_add(n, Ordering::Relaxed);
    });
    let of = async |kind: &str| {
        let wanted = Filter { kind: Some(kind.to_owned()), ..Filter::default() };
        explorer.site.ledger().query(&wanted, 10_000).await.unwrap().len() as u64
    };
    count(&met.schedules, 1);
    count(&met.runs, of("run.submitted/1").await);
    count(&met.late, of("run.late_answer/1").await);
    count(&met.deaths, explorer.site.restarts());
    count(&met.deeds, explorer.site.world.deeds().len() as u64);
    count(&met.repeated, tally.repeated);
    count(&met.refused, tally.refused);
    count(&met.mishaps, tally.mishaps);
    found
}

fn texts() -> Vec<String> {
    let whole = std::fs::read_to_string(example().join("intent.yaml")).unwrap();
    vec![whole.replace("min_instances: 3", "min_instances: 4"), whole]
}

/// Plays schedules on as many threads as there are cores; answers what was found, by seed.
fn play(seeds: std::ops::Range<u64>, forgets: bool) -> (Met, Vec<(u64, Vec<String>)>) {
    let files = Arc::new(Files::read(&example()).unwrap());
    let (met, next, texts) = (Met::default(), AtomicU64::new(seeds.start), texts());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let one = || {
        let mut wrong = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return wrong;
            }
            let found = paused(schedule(seed, files.clone(), texts.clone(), &met, forgets));
            if !found.is_empty() {
                wrong.push((seed, found));
            }
        }
    };
    let wrong = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        all.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    (met, wrong)
}

#[test]
fn whatever_happens_each_effect_happens_once_under_a_permit_and_everything_comes_to_an_end() {
    let number = |variable: &str| told(variable).and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("WRIT_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("WRIT_SIM_SCHEDULES").unwrap_or(SCHEDULES),
    };
    let many = seeds.end - seeds.start > 1;
    let (met, wrong) = play(seeds, false);
    println!("{met:?}");
    let shown: Vec<String> = wrong
        .iter()
        .take(12)
        .map(|(seed, found)| format!("seed {seed} (WRIT_SIM_SEED={seed} plays it alone):\n  {}", found.join("\n  ")))
        .collect();
    assert!(wrong.is_empty(), "{} schedules went wrong\n{}", wrong.len(), shown.join("\n"));
    for (what, at) in
        [("deaths", &met.deaths), ("repeated", &met.repeated), ("refused", &met.refused), ("late", &met.late)]
    {
        assert!(!many || at.load(Ordering::Relaxed) > 0, "no {what} were met");
    }
}

#[test]
fn a_world_that_does_things_twice_is_noticed() {
    let (_, wrong) = play(0..24, true);
    let twice = wrong.iter().flat_map(|(_, found)| found).filter(|one| one.contains("was carried out 2 times")).count();
    assert!(twice > 0, "nothing was found: {wrong:?}");
}
