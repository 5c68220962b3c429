//! What a step costs: it must not grow with the plan.

use crate::build::{plan, start, submission};
use std::time::Instant;
use writ_automation::*;
use writ_core::{Actor, Digest, Event, PermitId, Receipt, TicketId, Timestamp};

/// Runs a plan to its end, with drafts of every entry made; answers seconds per step.
#[expect(clippy::disallowed_methods, reason = "this is a measurement")]
fn seconds_per_step(line: &str, steps: usize) -> f64 {
    let (mut run, _) = submit(submission(plan(line), OnFailure::Compensate), start()).unwrap();
    let mut serial = 0;
    let mut gate = |_: &Run, ask: &Ask| {
        serial += 1;
        Some(Signal::PermitGranted(Grant {
            agent: "provisioning-agent-001".parse().unwrap(),
            epoch: ask.epoch,
            lease_until: Timestamp::from_micros(i64::MAX),
            permit: PermitId::mint(serial, [0; 10]),
            permit_digest: Digest([5; 32]),
            step: ask.step.clone(),
            ticket: TicketId::mint(serial, [0; 10]),
        }))
    };
    let actor = Actor::system("pipeline");
    let begun = Instant::now();
    let mut decision = Decision::default();
    ask_all(&mut run, &mut decision, start(), &mut gate).unwrap();
    let mut orders: Vec<Order> = Vec::new();
    let mut bytes = 0;
    loop {
        for event in &decision.events {
            bytes += serde_json::to_vec(&event.draft(&actor).body).unwrap().len();
        }
        orders.extend(decision.commands.into_iter().filter_map(|command| match command {
            Command::Perform(order) => Some(order),
            _ => None,
        }));
        let Some(order) = orders.pop() else { break };
        let key = order.effect_key;
        let receipt = Receipt { detail: serde_json::json!({"pid": 1}), finished_at: start(), key, repeated: false };
        let says = Says::Done { receipt };
        let answer = Answer { says, epoch: order.epoch, step: order.step, ticket: order.ticket };
        decision = turn(&mut run, Signal::Answered(answer), start(), &mut gate).unwrap();
    }
    assert_eq!(run.state(), &RunState::Succeeded);
    assert!(bytes > steps * 500);
    begun.elapsed().as_secs_f64() / steps as f64
}

#[test]
fn a_step_of_a_long_plan_costs_what_a_step_of_a_short_plan_costs() {
    let chain = |steps: usize| {
        let line: Vec<String> =
            (0..steps).map(|at| if at == 0 { "s0".to_owned() } else { format!("s{at}<s{}", at - 1) }).collect();
        seconds_per_step(&line.join(" "), steps)
    };
    let wide = |steps: usize| {
        let line: Vec<String> = (0..steps).map(|at| format!("s{at}")).collect();
        seconds_per_step(&line.join(" "), steps)
    };
    let (short, long) = (chain(50), chain(5_000));
    let (narrow, broad) = (wide(50), wide(5_000));
    println!(
        "one step with two drafts: {:.1} µs in a chain of 50, {:.1} µs in one of 5000; {:.1} µs among 50, {:.1} µs among 5000",
        short * 1e6,
        long * 1e6,
        narrow * 1e6,
        broad * 1e6
    );
    // Generous, as machines are busy: what it must never be is a hundred times as much.
    assert!(long < short * 8.0 && broad < narrow * 8.0, "{short} {long} {narrow} {broad}");
}
