//! Scripts of signals with the events, states and refusals they must give. Adding a case needs no Rust.
//!
//! `plan`, `option`, `gate` and `submit` make a run. `> signal` sends one; `= events` says which events it must give, `!`
//! what its refusal must say. `state`, `step`, `wait`, `asks`, `do` look at what there is, `+ 500ms` lets time pass.

use crate::build::{plan, start, submission, world};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use writ_automation::*;
use writ_core::{
    AgentId, ApprovalId, Decision as GateDecision, Digest, EffectKey, Finding, PermitId, Probe, Receipt, Severity,
    StepKey, TicketId, Timestamp,
};

struct Stage {
    decision: Decision,
    live: Option<Run>,
    now: Timestamp,
    recorded: Vec<RunEvent>,
    refused: Option<Refused>,
    submission: Option<Submission>,
}

#[test]
fn every_script_gives_what_it_says() {
    let mut count = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "case") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for case in text.split("\n## ").skip(1) {
            let (title, lines) = case.split_once('\n').unwrap();
            let mut stage = Stage {
                decision: Decision::default(),
                live: None,
                now: start(),
                recorded: Vec::new(),
                refused: None,
                submission: None,
            };
            for line in lines.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
                let place = format!("{}: {title}: {line}", path.file_name().unwrap().to_string_lossy());
                stage.line(line, &place);
            }
            assert!(stage.refused.is_none(), "{title}: {:?}", stage.refused);
            count += 1;
        }
    }
    assert!(count >= 40, "only {count} scripts were found");
}

fn key(name: &str) -> StepKey {
    name.parse().unwrap()
}

fn approval(name: &str) -> ApprovalId {
    format!("apr_{name}").parse().unwrap()
}

fn span(text: &str) -> Duration {
    match text.strip_suffix("ms") {
        Some(millis) => Duration::from_millis(millis.parse().unwrap()),
        None => Duration::from_secs(text.trim_end_matches('s').parse().unwrap()),
    }
}

impl Stage {
    fn line(&mut self, line: &str, place: &str) {
        let (head, rest) = line.split_once(' ').unwrap_or((line, ""));
        if !matches!(head, "!") {
            assert!(self.refused.is_none(), "{place}: {}", self.refused.as_ref().unwrap());
        }
        match head {
            "plan" => self.submission = Some(submission(plan(rest), OnFailure::Hold)),
            "option" => rest.split_whitespace().for_each(|option| self.option(option)),
            "gate" => rest.split_whitespace().for_each(|gate| self.gate(gate)),
            "submit" => self.submit(),
            "+" => self.now = self.now.plus(span(rest)),
            ">" => self.signal(rest, place),
            "=" => assert_eq!(self.said(), rest, "{place}"),
            "!" => {
                let told = self.refused.take().unwrap_or_else(|| panic!("{place}: it was taken")).to_string();
                assert!(told.contains(rest), "{place}: it says {told}");
            }
            "state" => assert_eq!(self.run().state().name(), rest, "{place}"),
            "step" => {
                let (step, state) = rest.split_once(' ').unwrap();
                assert_eq!(self.run().step(&key(step)).unwrap().1.state.name(), state, "{place}");
            }
            "wait" => self.wait(rest, place),
            "asks" => {
                let asks: Vec<String> = self.run().asks().map(|ask| ask.step.to_string()).collect();
                assert_eq!(asks.join(" "), rest, "{place}");
            }
            "do" => assert_eq!(self.commands(), rest, "{place}"),
            _ => panic!("{place}: what is this?"),
        }
    }

    fn run(&self) -> &Run {
        self.live.as_ref().unwrap()
    }

    fn option(&mut self, option: &str) {
        let options = &mut self.submission.as_mut().unwrap().options;
        let (name, value) = option.split_once('=').unwrap();
        match name {
            "on_failure" => {
                options.on_failure = match value {
                    "hold" => OnFailure::Hold,
                    "compensate" => OnFailure::Compensate,
                    _ => OnFailure::Stop,
                };
            }
            "limit" => options.limit = value.parse().unwrap(),
            "deadline" => options.deadline_ms = Some(span(value).as_millis() as u64),
            "heartbeat" => options.heartbeat_ms = Some(span(value).as_millis() as u64),
            "start" => options.start_timeout_ms = span(value).as_millis() as u64,
            "tries" => options.probe.tries = value.parse().unwrap(),
            limited => drop(options.limits.insert(limited.to_owned(), value.parse().unwrap())),
        }
    }

    fn terms(&self, name: &str) -> ApprovalTerms {
        let expires_at = self.now.plus(Duration::from_secs(600));
        ApprovalTerms {
            also: BTreeMap::new(),
            approval: approval(name),
            count: 1,
            decision: Digest([3; 32]),
            expires_at,
            role: "owner".into(),
        }
    }

    fn gate(&mut self, gate: &str) {
        let terms = self.terms("plan");
        let opens_at = self.now.plus(Duration::from_secs(60));
        let before = &mut self.submission.as_mut().unwrap().gate;
        match gate {
            "approval" => before.approval = Some(terms),
            "window" => before.window_opens_at = Some(opens_at),
            _ => panic!("no such gate: {gate}"),
        }
    }

    fn submit(&mut self) {
        match submit(self.submission.take().unwrap(), self.now) {
            Ok((run, decision)) => {
                self.recorded.clone_from(&decision.events);
                self.decision = decision;
                self.live = Some(run);
                self.same();
            }
            Err(refused) => self.refused = Some(refused),
        }
    }

    fn same(&self) {
        assert_eq!(Run::fold(&self.recorded).as_ref(), Ok(self.run()), "what was recorded is what is live");
        let text: Vec<(String, serde_json::Value)> =
            self.recorded.iter().map(|event| (event.what.kind().to_owned(), event.body())).collect();
        for ((kind, body), event) in text.iter().zip(&self.recorded) {
            assert_eq!(&decode(kind, body).unwrap(), event);
            writ_seal::canonical(body).unwrap();
        }
    }

    fn said(&self) -> String {
        let short = |event: &RunEvent| {
            let name = event.what.kind().trim_start_matches("run.").trim_end_matches("/1").to_owned();
            event.step().map_or(name.clone(), |step| format!("{name}({})", step.key))
        };
        self.decision.events.iter().map(short).collect::<Vec<_>>().join(" ")
    }

    fn commands(&self) -> String {
        let told = |command: &Command| match command {
            Command::Perform(order) => format!("perform({})", order.step),
            Command::Probe(order) => format!("probe({})", order.step),
            Command::SetTimer { at, key } => {
                let name = match key {
                    TimerKey::Approval { .. } => "approval".to_owned(),
                    TimerKey::Deadline => "deadline".to_owned(),
                    TimerKey::Due { step, .. } => format!("due:{step}"),
                    TimerKey::Probe { step } => format!("probe:{step}"),
                    TimerKey::Silence { step, .. } => format!("silence:{step}"),
                    TimerKey::Wake { step } => format!("wake:{step}"),
                    TimerKey::Window => "window".to_owned(),
                };
                format!("timer({name},{}ms)", at.since(self.now).as_millis())
            }
            Command::AskApproval { step, .. } => {
                format!("approval({})", step.as_ref().map_or("plan", StepKey::as_str))
            }
            Command::Observe => "observe".to_owned(),
            Command::Notify { .. } => "notify".to_owned(),
            Command::RunEnded { state } => format!("ended({})", state.name()),
        };
        self.decision.commands.iter().map(told).collect::<Vec<_>>().join(" ")
    }

    fn wait(&self, rest: &str, place: &str) {
        let (what, wanted) = rest.split_once(' ').unwrap();
        let waiting = if what == "run" { self.run().waiting() } else { self.run().step_waiting(&key(what)) };
        let told = waiting.map_or("nothing".to_owned(), |waiting| waiting.sentence);
        assert!(told.contains(wanted), "{place}: it says {told}");
    }

    fn signal(&mut self, text: &str, place: &str) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let signal = self.parse(&words, place);
        match step(self.run(), signal, self.now) {
            Ok(decision) => {
                for event in &decision.events {
                    self.live.as_mut().unwrap().apply(event).unwrap();
                }
                self.recorded.extend(decision.events.clone());
                self.decision = decision;
                self.same();
            }
            Err(refused) => {
                self.decision = Decision::default();
                self.refused = Some(refused);
            }
        }
    }

    fn parse(&self, words: &[&str], place: &str) -> Signal {
        let number = |name: &str| {
            let given = words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            given.map(|given| given.parse::<u64>().unwrap())
        };
        let name = words.get(1).copied().unwrap_or("");
        let epoch_of = |step: &str| number("epoch").unwrap_or_else(|| self.run().step(&key(step)).unwrap().1.epoch);
        match words[0] {
            "grant" => {
                let next = self.run().step(&key(name)).map_or(1, |(_, cell)| cell.epoch + 1);
                let epoch = number("epoch").unwrap_or(next);
                let lease = number("lease").unwrap_or(90);
                Signal::PermitGranted(Grant {
                    agent: "provisioning-agent-001".parse().unwrap(),
                    epoch,
                    lease_until: self.now.plus(Duration::from_secs(lease)),
                    permit: PermitId::mint(epoch, [0; 10]),
                    permit_digest: Digest([5; 32]),
                    step: key(name),
                    ticket: TicketId::mint(epoch, [0; 10]),
                })
            }
            "deny" => Signal::PermitDenied {
                findings: vec![Finding {
                    at: None,
                    message: "not on a Friday".into(),
                    asks: GateDecision::Deny,
                    rule: "CHG-001".parse().unwrap(),
                    rule_at: None,
                    severity: Severity::High,
                    values: vec!["weekday = 5".into()],
                    waived_by: None,
                }],
                step: key(name),
            },
            "hold" => Signal::PermitHeld {
                hold: Hold { because: "the budget is spent".into(), by: HeldBy::Throttle },
                step: key(name),
                until: self.now.plus(span(words[2])),
            },
            "ask" => Signal::PermitNeedsApproval { step: key(name), terms: self.terms(name) },
            "approve" | "approve-other" => {
                let mut shown = self.shown(name);
                if words[0] == "approve-other" {
                    shown = Digest([0; 32]);
                }
                let world = if words.contains(&"drifted") { Digest([8; 32]) } else { world() };
                Signal::Approved { approval: approval(name), barred: None, shown, world }
            }
            "reject" => Signal::Rejected { approval: approval(name) },
            "window" => Signal::WindowOpened { world: world() },
            "done" | "wrong-receipt" => Signal::Answered(self.answer(
                name,
                epoch_of(name),
                Says::Done { receipt: self.receipt(name, words[0] == "wrong-receipt") },
            )),
            "fail" => {
                let retryable = !words.contains(&"final");
                let says = Says::Failed { because: "no room".into(), retryable };
                Signal::Answered(self.answer(name, epoch_of(name), says))
            }
            "unclear" => {
                Signal::Answered(self.answer(name, epoch_of(name), Says::Unclear { because: "connection lost".into() }))
            }
            "beat" => {
                let epoch = epoch_of(name);
                Signal::Heartbeat { epoch, step: key(name), ticket: TicketId::mint(epoch, [0; 10]) }
            }
            "probed" => {
                let answer = match words[2] {
                    "happened" => Probe::Happened(self.receipt(name, false)),
                    "absent" => Probe::Absent,
                    _ => Probe::Unclear { because: "the provider does not answer".into() },
                };
                Signal::Probed { answer, epoch: epoch_of(name), step: key(name) }
            }
            "timer" => Signal::TimerFired(match name {
                "deadline" => TimerKey::Deadline,
                "window" => TimerKey::Window,
                "approval" => TimerKey::Approval { approval: approval(words[2]) },
                "due" => TimerKey::Due { epoch: epoch_of(words[2]), step: key(words[2]) },
                "silence" => TimerKey::Silence { epoch: epoch_of(words[2]), step: key(words[2]) },
                "wake" => TimerKey::Wake { step: key(words[2]) },
                "probe" => TimerKey::Probe { step: key(words[2]) },
                _ => panic!("{place}: no such timer"),
            }),
            "pause" => Signal::Pause,
            "resume" => Signal::Resume,
            "cancel" => Signal::Cancel { compensate: name == "compensate" },
            "retry" => Signal::Retry { step: key(name) },
            "replan" => Signal::Replan { gate: Gate::default(), plan: plan(&words[1..].join(" ")), world: world() },
            "replan-approved" => {
                let gate = Gate { approval: Some(self.terms("new")), window_opens_at: None };
                Signal::Replan { gate, plan: plan(&words[1..].join(" ")), world: world() }
            }
            "rollback" => Signal::Rollback,
            "resolve" => {
                Signal::OperatorResolved { happened: words[2] == "yes", reason: Digest([4; 32]), step: key(name) }
            }
            "recover" => {
                let alive: BTreeSet<AgentId> = words[1..].iter().map(|agent| agent.parse().unwrap()).collect();
                Signal::Recover { alive }
            }
            _ => panic!("{place}: no such signal"),
        }
    }

    fn shown(&self, name: &str) -> Digest {
        if let RunState::AwaitingApproval(asked) = self.run().state() {
            return asked.shown;
        }
        let cell = self.run().step(&key(name)).map(|(_, cell)| cell.state.clone());
        if let Some(StepState::AwaitingApproval { shown, .. }) = cell { shown } else { Digest([0; 32]) }
    }

    fn answer(&self, name: &str, epoch: u64, says: Says) -> Answer {
        Answer { says, epoch, step: key(name), ticket: TicketId::mint(epoch, [0; 10]) }
    }

    fn receipt(&self, name: &str, wrong: bool) -> Receipt {
        let (_, cell) = self.run().step(&key(name)).unwrap();
        let mut effect = effect_key(self.run().id(), &key(name), cell.revision, cell.leg);
        if wrong {
            effect = EffectKey("ek_another".into());
        }
        Receipt { detail: serde_json::json!({"pid": 4711}), finished_at: self.now, key: effect, repeated: false }
    }
}
