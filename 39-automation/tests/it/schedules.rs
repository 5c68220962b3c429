//! Random schedules: a world that loses, repeats, delays and reorders, agents that act after they lost their step, a control
//! plane that crashes before and after each commit, operators who interfere. Whatever happens, the laws below hold.

use crate::build::{plan, start, submission, world};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use writ_automation::*;
use writ_core::{
    AgentId, ApprovalId, Digest, EffectClass, EffectKey, Finding, PermitId, Plan, Probe, Receipt, Severity, StepKey,
    TicketId, Timestamp,
};

/// Schedules that are explored. `cargo test --release` does a hundred thousand in the time of ten.
const SCHEDULES: u64 = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

/// How late a request can land, in milliseconds: the provider's bound, and the probe rule's.
const BOUND_MS: u64 = 4_000;

#[test]
fn no_schedule_loses_or_doubles_an_effect() {
    let mut ends: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut events = 0;
    for seed in 0..SCHEDULES {
        let mut sim = Sim::new(seed);
        sim.play();
        *ends.entry(sim.run.state().name()).or_default() += 1;
        events += sim.recorded.len();
    }
    println!("{SCHEDULES} schedules, {events} events, ends: {ends:?}");
    for wanted in ["succeeded", "rolled back", "cancelled", "failed"] {
        assert!(ends.get(wanted).is_some_and(|count| *count > SCHEDULES / 200), "too few are {wanted}: {ends:?}");
    }
}

/// What a step does, whatever key or ticket it is asked under.
type Meaning = (String, Leg, String);

enum Message {
    Answer(Signal),
    Perform { order: Order, sent: Timestamp },
}

struct Sim {
    asked_async: BTreeSet<StepKey>,
    chance: u64,
    done: BTreeMap<EffectKey, Receipt>,
    /// How often each thing was really done.
    executed: BTreeMap<Meaning, u32>,
    /// What each effect key was first sent for.
    meanings: BTreeMap<EffectKey, (Meaning, EffectClass)>,
    network: Vec<Message>,
    now: Timestamp,
    pile: Vec<StepKey>,
    recorded: Vec<RunEvent>,
    replans: u32,
    run: Run,
    seed: u64,
    sent: BTreeMap<EffectKey, Timestamp>,
    serial: u64,
    started: BTreeSet<(TicketId, u64)>,
    tickets_seen: BTreeSet<TicketId>,
    timers: BTreeMap<TimerKey, Timestamp>,
}

impl Sim {
    fn new(seed: u64) -> Self {
        let mut chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let plan = random_plan(&mut chance);
        let on_failure = [OnFailure::Compensate, OnFailure::Hold, OnFailure::Stop][pick(&mut chance, 3)];
        let mut submission = submission(plan, on_failure);
        submission.options.limit = 1 + pick(&mut chance, 4) as u32;
        submission.options.probe = ProbeRule { after_ms: BOUND_MS, every_ms: 500, tries: 3 };
        submission.options.start_timeout_ms = 60_000;
        submission.options.seed = seed;
        submission.options.jitter_percent = 20;
        let (run, decision) = submit(submission, start()).unwrap();
        let mut sim = Self {
            asked_async: BTreeSet::new(),
            chance,
            done: BTreeMap::new(),
            executed: BTreeMap::new(),
            meanings: BTreeMap::new(),
            network: Vec::new(),
            now: start(),
            pile: Vec::new(),
            recorded: Vec::new(),
            replans: 0,
            run,
            seed,
            sent: BTreeMap::new(),
            serial: 0,
            started: BTreeSet::new(),
            tickets_seen: BTreeSet::new(),
            timers: BTreeMap::new(),
        };
        sim.commit(decision);
        sim
    }

    fn play(&mut self) {
        for _ in 0..4_000 {
            if self.run.state().is_over() {
                return self.end();
            }
            self.tick();
        }
        panic!("seed {}: it never ends: {:?}", self.seed, self.run.waiting());
    }

    fn tick(&mut self) {
        match self.pick(100) {
            0..=1 => self.crash(),
            2 => self.interfere(),
            3..=60 if !self.network.is_empty() => self.deliver(),
            _ => self.pass_time(),
        }
    }

    fn pick(&mut self, of: usize) -> usize {
        pick(&mut self.chance, of)
    }

    /// One signal, decided, perhaps lost in a crash before or after its commit.
    fn send(&mut self, signal: Signal) -> bool {
        let mut run = self.run.clone();
        let answers: Vec<u8> = (0..16).map(|_| pick(&mut self.chance, 100) as u8).collect();
        let (mut serial, mut nth, now) = (self.serial, 0, self.now);
        let mut asked = Vec::new();
        let mut gate = |run: &Run, ask: &Ask| {
            nth += 1;
            serial += 1;
            assert_eq!(ask.epoch, run.step(&ask.step).unwrap().1.epoch + 1);
            let answer = judge(ask, answers[nth % 16], serial, now);
            if answer.is_none() {
                asked.push(ask.step.clone());
            }
            answer
        };
        let before = self.run.clone();
        let Ok(decision) = turn(&mut run, signal, self.now, &mut gate) else {
            assert_eq!(before, self.run);
            return false;
        };
        self.serial = serial;
        self.asked_async.extend(asked);
        if before.state().is_over() {
            assert_eq!(before.state(), run.state(), "seed {}: over is over", self.seed);
        }
        if self.pick(200) == 0 {
            // The commit failed: nothing was recorded, nothing is done.
            self.crash();
            return true;
        }
        self.run = run;
        self.commit(decision);
        true
    }

    fn commit(&mut self, decision: Decision) {
        for event in &decision.events {
            self.watch(event);
        }
        self.recorded.extend(decision.events);
        if self.pick(100) == 0 {
            // Recorded, and then dead before anything was done about it.
            return self.crash();
        }
        decision.commands.into_iter().for_each(|command| self.obey(command));
    }

    fn watch(&mut self, event: &RunEvent) {
        match &event.what {
            What::StepStarted(body) => {
                assert!(self.started.insert((body.ticket.clone(), body.epoch)), "seed {}: a ticket twice", self.seed);
            }
            What::StepSucceeded(body) => self.pile.push(body.step.key.clone()),
            What::StepUndone(body) => self.unpile(&body.step.key),
            What::StepKept(body) => self.unpile(&body.step.key),
            What::StepResolved(body) if body.happened && body.step.leg == Leg::Do => {
                self.pile.push(body.step.key.clone());
            }
            What::StepResolved(body) if body.happened => self.unpile(&body.step.key),
            _ => {}
        }
    }

    /// What is taken back is what was done last, of what is still there.
    fn unpile(&mut self, key: &StepKey) {
        let base = |key: &StepKey| key.as_str().split('@').next().unwrap().to_owned();
        let top = self.pile.pop().unwrap();
        assert_eq!(base(&top), base(key), "seed {}: out of order", self.seed);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Perform(order) => {
                let recorded = self.started.contains(&(order.ticket.clone(), order.epoch));
                assert!(recorded, "seed {}: done before it was recorded", self.seed);
                self.sent.insert(order.effect_key.clone(), self.now);
                let meaning = self.meaning(&order);
                let first = self.meanings.entry(order.effect_key.clone()).or_insert_with(|| meaning.clone());
                assert_eq!(*first, meaning, "seed {}: one key for two things", self.seed);
                if self.pick(5) == 0 {
                    self.network.push(Message::Perform { order: order.clone(), sent: self.now });
                }
                self.network.push(Message::Perform { order, sent: self.now });
            }
            Command::Probe(order) => {
                let answer = self.probe(&order);
                self.answer(Signal::Probed { answer, epoch: order.epoch, step: order.step });
            }
            Command::SetTimer { at, key } => drop(self.timers.insert(key, at)),
            Command::AskApproval { shown, terms, .. } => {
                let (approval, yes) = (terms.approval, self.pick(5) > 0);
                let agreed = Signal::Approved { approval: approval.clone(), barred: None, shown, world: world() };
                self.answer(if yes { agreed } else { Signal::Rejected { approval } });
            }
            Command::Observe | Command::Notify { .. } | Command::RunEnded { .. } => {}
        }
    }

    /// Answers get lost and come twice.
    fn answer(&mut self, signal: Signal) {
        let copies = [0, 1, 1, 1, 1, 1, 1, 2, 2, 3][self.pick(10)];
        (0..copies).for_each(|_| self.network.push(Message::Answer(signal.clone())));
    }

    fn deliver(&mut self) {
        let at = self.pick(self.network.len());
        match self.network.swap_remove(at) {
            Message::Answer(signal) => drop(self.send(signal)),
            Message::Perform { order, sent } => self.perform(order, sent),
        }
    }

    fn meaning(&self, order: &Order) -> (Meaning, EffectClass) {
        let (step, _) = self.run.step(&order.step).unwrap();
        let base = order.step.as_str().split('@').next().unwrap().to_owned();
        let class = self.run.deed(&order.step, order.leg).unwrap().class;
        ((base, order.leg, step.params.to_string()), class)
    }

    /// The world carries an effect out, or fails, or does and does not say so.
    fn perform(&mut self, order: Order, sent: Timestamp) {
        let (meaning, class) = self.meanings[&order.effect_key].clone();
        let too_late = self.now.since(sent) >= Duration::from_millis(BOUND_MS);
        let idempotent = matches!(class, EffectClass::Keyed | EffectClass::Conditional);
        if too_late && class != EffectClass::Opaque {
            return;
        }
        // The same redemption twice is refused by every provider, unless it has the first outcome to tell again.
        let again = !self.tickets_seen.insert(order.ticket.clone());
        if again && !(idempotent && self.done.contains_key(&order.effect_key)) {
            return;
        }
        if idempotent && let Some(first) = self.done.get(&order.effect_key) {
            let receipt = Receipt { repeated: true, ..first.clone() };
            return self.reply(&order, Says::Done { receipt });
        }
        let luck = self.pick(100);
        if luck < 12 {
            let retryable = luck < 9;
            return self.reply(&order, Says::Failed { because: "no room".into(), retryable });
        }
        if luck < 15 {
            return self.reply(&order, Says::Unclear { because: "it did not happen, but who knows".into() });
        }
        *self.executed.entry(meaning).or_default() += 1;
        let key = order.effect_key.clone();
        let receipt =
            Receipt { detail: serde_json::json!({}), finished_at: self.now, key: key.clone(), repeated: false };
        self.done.insert(key, receipt.clone());
        let says = if luck < 20 { Says::Unclear { because: "who knows".into() } } else { Says::Done { receipt } };
        self.reply(&order, says);
    }

    fn reply(&mut self, order: &Order, says: Says) {
        let answer = Answer { says, epoch: order.epoch, step: order.step.clone(), ticket: order.ticket.clone() };
        self.answer(Signal::Answered(answer));
    }

    /// A linearizable read: absent only when nothing can land any more.
    fn probe(&mut self, order: &Order) -> Probe {
        let sent = self.sent.get(&order.effect_key).copied().unwrap_or(Timestamp::from_micros(0));
        match self.done.get(&order.effect_key).cloned() {
            Some(receipt) => Probe::Happened(receipt),
            None if self.now.since(sent) < Duration::from_millis(BOUND_MS) => {
                Probe::Unclear { because: "it may still land".into() }
            }
            None if self.pick(10) == 0 => Probe::Unclear { because: "the provider is down".into() },
            None => Probe::Absent,
        }
    }

    /// To the next timer, or a little further.
    fn pass_time(&mut self) {
        let next = self.timers.iter().min_by_key(|(_, at)| **at).map(|(key, at)| (key.clone(), *at));
        match next {
            Some((key, at)) if self.network.is_empty() || self.pick(4) == 0 => {
                self.timers.remove(&key);
                self.now = self.now.max(at);
                self.send(Signal::TimerFired(key));
            }
            _ if self.network.is_empty() => self.unblock(),
            _ => self.now = self.now.plus(Duration::from_millis(self.pick(300) as u64)),
        }
    }

    /// Nothing moves by itself any more: somebody must do something.
    fn unblock(&mut self) {
        if self.run.asks().next().is_some() {
            // The gate that could not answer at once answers now.
            self.send(Signal::TimerFired(TimerKey::Deadline));
            return;
        }
        let unknown = self.run.steps().find(|(_, cell)| matches!(cell.state, StepState::Unknown { .. }));
        if let Some(step) = unknown.map(|(step, _)| step.key.clone()) {
            return self.look(&step);
        }
        match self.run.state().clone() {
            RunState::Paused => drop(self.send(Signal::Resume)),
            RunState::NeedsOperator(_) => self.help(),
            RunState::Running | RunState::Compensating(_) => self.crash(),
            state => panic!("seed {}: it hangs, {}: {:?}", self.seed, state.name(), self.run.waiting()),
        }
    }

    /// An operator looks into the world, makes sure that nothing can land any more, and tells the truth.
    fn look(&mut self, step: &StepKey) {
        let (_, cell) = self.run.step(step).unwrap();
        let key = effect_key(self.run.id(), step, cell.revision, cell.leg);
        self.network.retain(|message| !matches!(message, Message::Perform { order, .. } if order.effect_key == key));
        let happened = self.done.contains_key(&key);
        self.send(Signal::OperatorResolved { happened, reason: Digest([4; 32]), step: step.clone() });
    }

    fn help(&mut self) {
        let failed = self.run.steps().find(|(_, cell)| matches!(cell.state, StepState::Failed { .. }));
        let step = failed.map(|(step, _)| step.key.clone());
        let signals = [
            step.map(|step| Signal::Retry { step }),
            Some(Signal::Resume),
            Some(Signal::Rollback),
            Some(Signal::Cancel { compensate: true }),
            Some(Signal::Cancel { compensate: false }),
            Some(self.replan()),
        ];
        let first = self.pick(signals.len());
        if !signals.iter().cycle().skip(first).take(signals.len()).flatten().cloned().any(|one| self.send(one)) {
            let undone = self
                .run
                .steps()
                .find(|(_, cell)| cell.leg == Leg::Undo && matches!(cell.state, StepState::Failed { .. }));
            let step = undone.map(|(step, _)| step.key.clone()).unwrap();
            self.send(Signal::Retry { step });
        }
    }

    fn interfere(&mut self) {
        let signal = match self.pick(24) {
            0..=9 => Signal::Pause,
            10..=14 => Signal::Resume,
            15 => Signal::Cancel { compensate: true },
            16 => Signal::Cancel { compensate: false },
            17..=18 => Signal::Rollback,
            19 => Signal::TimerFired(TimerKey::Deadline),
            _ => self.replan(),
        };
        self.send(signal);
    }

    /// The same plan with one step changed and one more at its end, once a run.
    fn replan(&mut self) -> Signal {
        self.replans += 1;
        if self.replans > 1 {
            return Signal::Pause;
        }
        let planned: Vec<writ_core::Step> = self.run.steps().map(|(step, _)| step.clone()).collect();
        let mut steps = planned;
        let at = pick(&mut self.chance, steps.len());
        steps[at].params = serde_json::json!({"value": "changed"});
        let mut more = steps[at].clone();
        more.key = "more".parse().unwrap();
        more.resource = "web/more".into();
        more.needs = vec![steps[at].key.clone()];
        steps.push(more);
        let plan = Arc::new(Plan { steps, ..(*plan("a")).clone() });
        Signal::Replan { gate: Gate::default(), plan, world: world() }
    }

    /// The control plane dies and reads what was recorded.
    fn crash(&mut self) {
        self.run = Run::fold(&self.recorded).unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
        self.timers.clear();
        self.asked_async.clear();
        if self.pick(2) == 0 {
            self.network.retain(|message| matches!(message, Message::Perform { .. }));
        }
        let alive = if self.pick(4) == 0 { BTreeSet::from([agent()]) } else { BTreeSet::new() };
        self.send(Signal::Recover { alive });
    }

    fn end(&mut self) {
        let seed = self.seed;
        assert_eq!(Run::fold(&self.recorded).as_ref(), Ok(&self.run), "seed {seed}: what was recorded is what is live");
        let over = self.run.state().clone();
        while !self.network.is_empty() {
            self.deliver();
        }
        assert_eq!(self.run.state(), &over, "seed {seed}: over is over");
        self.prefixes();
        for (meaning, count) in &self.executed {
            assert!(*count <= 1, "seed {seed}: {meaning:?} was done {count} times");
        }
        let was_done = |step: &writ_core::Step, leg: Leg| {
            let base = step.key.as_str().split('@').next().unwrap().to_owned();
            self.executed.get(&(base, leg, step.params.to_string())).copied().unwrap_or(0)
        };
        for (step, cell) in self.run.steps() {
            let (forward, back) = (was_done(step, Leg::Do), was_done(step, Leg::Undo));
            match &cell.state {
                StepState::Succeeded => assert_eq!((forward, back), (1, 0), "seed {seed}: `{}`", step.key),
                StepState::Undone => assert_eq!((forward, back), (1, 1), "seed {seed}: `{}`", step.key),
                StepState::Kept { .. } => assert_eq!((forward, back), (1, 0), "seed {seed}: `{}`", step.key),
                StepState::Skipped { .. } => assert_eq!((forward, back), (0, 0), "seed {seed}: `{}`", step.key),
                StepState::Failed { .. } if cell.leg == Leg::Do => {
                    assert_eq!(forward, 0, "seed {seed}: `{}`", step.key)
                }
                StepState::Failed { .. }
                | StepState::Ready
                | StepState::RetryWait { .. }
                | StepState::Held { .. }
                | StepState::AwaitingApproval { .. } => {
                    assert_eq!((forward, cell.leg), (1, Leg::Undo), "seed {seed}: `{}`", step.key);
                }
                state => panic!("seed {seed}: `{}` ends {}", step.key, state.name()),
            }
        }
        let states = || self.run.steps().map(|(_, cell)| &cell.state);
        match over {
            RunState::Succeeded => assert!(states().all(|state| *state == StepState::Succeeded), "seed {seed}"),
            RunState::RolledBack => assert!(states().all(|state| *state != StepState::Succeeded), "seed {seed}"),
            _ => {}
        }
    }

    /// A run can be taken up after any of its events, and always says why it waits.
    fn prefixes(&mut self) {
        let mut run = Run::begin(&self.recorded[0]).unwrap();
        for at in 1..self.recorded.len() {
            run.apply(&self.recorded[at]).unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
            if at % 7 != (self.seed % 7) as usize {
                continue;
            }
            let over = run.state().is_over();
            assert_eq!(run.waiting().is_none_or(|waiting| waiting.sentence.is_empty()), over, "seed {}", self.seed);
            for (step, cell) in run.steps() {
                let rests = matches!(
                    cell.state,
                    StepState::Succeeded | StepState::Failed { .. } | StepState::Undone | StepState::Kept { .. }
                );
                let told = run.step_waiting(&step.key).is_some_and(|waiting| !waiting.sentence.is_empty());
                assert!(told || rests || over, "seed {}: `{}` is {}", self.seed, step.key, cell.state.name());
            }
            let taken_up = step(&run, Signal::Recover { alive: BTreeSet::new() }, self.now).unwrap();
            let mut next = run.clone();
            taken_up.events.iter().for_each(|event| next.apply(event).unwrap());
        }
        assert_eq!(run, self.run);
    }
}

fn agent() -> AgentId {
    "provisioning-agent-001".parse().unwrap()
}

fn judge(ask: &Ask, luck: u8, serial: u64, now: Timestamp) -> Option<Signal> {
    let step = ask.step.clone();
    Some(match luck {
        0..=1 => return None,
        2..=7 => Signal::PermitHeld {
            hold: Hold { because: "cool-down".into(), by: HeldBy::Throttle },
            step,
            until: now.plus(Duration::from_millis(700)),
        },
        8 => Signal::PermitDenied {
            findings: vec![Finding {
                at: None,
                message: "no".into(),
                asks: writ_core::Decision::Deny,
                rule: "R-1".parse().unwrap(),
                rule_at: None,
                severity: Severity::High,
                values: Vec::new(),
                waived_by: None,
            }],
            step,
        },
        9..=11 if ask.approval.is_none() => Signal::PermitNeedsApproval {
            step,
            terms: ApprovalTerms {
                also: std::collections::BTreeMap::new(),
                approval: ApprovalId::mint(serial, [0; 10]),
                count: 1,
                decision: Digest([3; 32]),
                expires_at: now.plus(Duration::from_secs(30)),
                role: "owner".into(),
            },
        },
        _ => Signal::PermitGranted(Grant {
            agent: agent(),
            epoch: ask.epoch + u64::from(luck % 3),
            lease_until: now.plus(Duration::from_secs(90)),
            permit: PermitId::mint(serial, [0; 10]),
            permit_digest: Digest([5; 32]),
            step,
            ticket: TicketId::mint(serial, [0; 10]),
        }),
    })
}

fn random_plan(chance: &mut u64) -> Arc<Plan> {
    let size = 1 + pick(chance, 6);
    let tokens: Vec<String> = (0..size)
        .map(|at| {
            let class = ["k", "k", "c", "p", "p", "o"][pick(chance, 6)];
            let undo = if pick(chance, 12) == 0 { "!" } else { "" };
            let needs: Vec<String> = (0..at).filter(|_| pick(chance, 3) == 0).map(|need| format!("s{need}")).collect();
            format!("s{at}:{class}{undo}<{}", needs.join(","))
        })
        .collect();
    plan(&tokens.join(" "))
}

fn pick(chance: &mut u64, of: usize) -> usize {
    *chance ^= *chance << 13;
    *chance ^= *chance >> 7;
    *chance ^= *chance << 17;
    ((*chance >> 11) % of as u64) as usize
}
