//! The execution document in the source's form, with measured times.

use crate::build::{plan, start, submission};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use writ_automation::*;
use writ_core::{Digest, PermitId, Receipt, StepKey, TicketId, Timestamp};

fn at(second: u64) -> Timestamp {
    start().plus(Duration::from_secs(second))
}

fn take(run: &mut Run, signal: Signal, now: Timestamp) {
    let decision = step(run, signal, now).unwrap();
    decision.events.iter().for_each(|event| run.apply(event).unwrap());
}

fn do_step(run: &mut Run, key: &str, from: Timestamp, to: Timestamp) {
    let step: StepKey = key.parse().unwrap();
    let ticket = TicketId::mint(from.millis(), [0; 10]);
    take(
        run,
        Signal::PermitGranted(Grant {
            agent: "provisioning-agent-001".parse().unwrap(),
            epoch: 1,
            lease_until: from.plus(Duration::from_secs(600)),
            permit: PermitId::mint(1, [0; 10]),
            permit_digest: Digest([5; 32]),
            step: step.clone(),
            ticket: ticket.clone(),
        }),
        from,
    );
    let effect = effect_key(run.id(), &step, 1, Leg::Do);
    let receipt = Receipt { detail: json!({}), finished_at: to, key: effect, repeated: false };
    take(run, Signal::Answered(Answer { says: Says::Done { receipt }, epoch: 1, step, ticket }), to);
}

#[test]
fn row_2_08_the_execution_document_tells_phases_with_their_measured_times() {
    let mut phased = (*plan("lb net<lb i-1<net health<i-1 heal<health")).clone();
    let phases = [
        "provision_infrastructure",
        "provision_infrastructure",
        "deploy_application",
        "configure_monitoring",
        "enable_self_healing",
    ];
    for (step, phase) in phased.steps.iter_mut().zip(phases) {
        step.phase = phase.to_owned();
        step.timeout_ms = 600_000;
    }
    let (mut run, _) = submit(submission(Arc::new(phased), OnFailure::Compensate), start()).unwrap();
    let running = execution(&run, "deploy-web-service-001", start());
    assert_eq!(running["execution"]["steps"][0]["status"], "pending");
    do_step(&mut run, "lb", at(0), at(40));
    do_step(&mut run, "net", at(40), at(120));
    do_step(&mut run, "i-1", at(120), at(300));
    do_step(&mut run, "health", at(300), at(330));
    let halfway = execution(&run, "deploy-web-service-001", at(330));
    assert_eq!(halfway["execution"]["status"], "running");
    do_step(&mut run, "heal", at(330), at(345));
    assert_eq!(
        execution(&run, "deploy-web-service-001", at(9_999)),
        json!({"execution": {
            "workflow_id": "deploy-web-service-001",
            "steps": [
                {"step": "provision_infrastructure", "status": "completed", "duration_seconds": 120},
                {"step": "deploy_application", "status": "completed", "duration_seconds": 180},
                {"step": "configure_monitoring", "status": "completed", "duration_seconds": 30},
                {"step": "enable_self_healing", "status": "completed", "duration_seconds": 15},
            ],
            "total_duration_seconds": 345,
            "status": "success",
        }})
    );
}

#[test]
fn row_2_08_a_time_that_is_no_whole_second_is_told_to_the_millisecond() {
    let (mut run, _) = submit(submission(plan("a"), OnFailure::Compensate), start()).unwrap();
    do_step(&mut run, "a", start(), start().plus(Duration::from_millis(1_250)));
    let document = execution(&run, "w", start());
    assert_eq!(document["execution"]["total_duration_seconds"], json!(1.25));
}

#[test]
fn a_denial_that_turns_a_run_round_asks_at_once_for_what_is_to_be_undone_before_it() {
    let (mut run, _) = submit(submission(plan("a b<a"), OnFailure::Compensate), start()).unwrap();
    let mut asked = Vec::new();
    let mut gate = |_: &Run, ask: &Ask| {
        asked.push(format!("{:?} {}", ask.leg, ask.step));
        match (ask.leg, ask.step.as_str()) {
            (Leg::Do, "b") => Some(Signal::PermitDenied { findings: Vec::new(), step: ask.step.clone() }),
            (Leg::Do, _) => Some(Signal::PermitGranted(Grant {
                agent: "provisioning-agent-001".parse().unwrap(),
                epoch: ask.epoch,
                lease_until: at(600),
                permit: PermitId::mint(1, [0; 10]),
                permit_digest: Digest([5; 32]),
                step: ask.step.clone(),
                ticket: TicketId::mint(1, [0; 10]),
            })),
            (Leg::Undo, _) => None,
        }
    };
    ask_all(&mut run, &mut Decision::default(), at(0), &mut gate).unwrap();
    let step: StepKey = "a".parse().unwrap();
    let key = effect_key(run.id(), &step, 1, Leg::Do);
    let receipt = Receipt { detail: json!({}), finished_at: at(1), key, repeated: false };
    let ticket = TicketId::mint(1, [0; 10]);
    let done = Signal::Answered(Answer { says: Says::Done { receipt }, epoch: 1, step, ticket });
    turn(&mut run, done, at(1), &mut gate).unwrap();
    assert_eq!(asked, ["Do a", "Do b", "Undo a"]);
}
