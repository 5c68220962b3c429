//! The execution document: what a run did, phase by phase, with measured times.

use crate::cell::{Cell, StepState};
use crate::run::Run;
use crate::state::RunState;
use serde_json::{Value, json};
use std::time::Duration;
use writ_core::{Step, Timestamp};

/// The `execution:` document of a run, in the form that platform teams know: one row for each phase, in the plan's order.
/// A phase lasts from the start of its first step to the end of its last; a run from its first step on.
#[must_use]
pub fn execution(run: &Run, workflow_id: &str, now: Timestamp) -> Value {
    let mut phases: Vec<(&str, Vec<&Cell>)> = Vec::new();
    let planned = run.graph.planned;
    for (step, cell) in run.steps().take(planned) {
        match phases.iter_mut().find(|(name, _)| *name == step_phase(step)) {
            Some((_, cells)) => cells.push(cell),
            None => phases.push((step_phase(step), vec![cell])),
        }
    }
    let steps: Vec<Value> = phases
        .iter()
        .map(|(phase, cells)| json!({"step": phase, "status": status(cells), "duration_seconds": lasted(cells, now)}))
        .collect();
    let total = run.started_at().map_or(Duration::ZERO, |from| run.ended_at().unwrap_or(now).since(from));
    json!({"execution": {
        "workflow_id": workflow_id,
        "steps": steps,
        "total_duration_seconds": seconds(total),
        "status": outcome(run.state()),
    }})
}

fn step_phase(step: &Step) -> &str {
    &step.phase
}

fn status(cells: &[&Cell]) -> &'static str {
    let any = |is: fn(&StepState) -> bool| cells.iter().any(|cell| is(&cell.state));
    if cells.iter().all(|cell| cell.state == StepState::Succeeded) {
        "completed"
    } else if any(|state| matches!(state, StepState::Unknown { .. })) {
        "unknown"
    } else if any(|state| matches!(state, StepState::Failed { .. })) {
        "failed"
    } else if any(|state| matches!(state, StepState::Undone | StepState::Kept { .. })) {
        "rolled_back"
    } else if any(|state| matches!(state, StepState::Skipped { .. })) {
        "skipped"
    } else if cells.iter().any(|cell| cell.started_at.is_some()) {
        "running"
    } else {
        "pending"
    }
}

fn lasted(cells: &[&Cell], now: Timestamp) -> Value {
    let Some(from) = cells.iter().filter_map(|cell| cell.started_at).min() else { return json!(0) };
    let runs = cells.iter().any(|cell| cell.state.in_flight());
    let to = cells.iter().filter_map(|cell| cell.finished_at).max().filter(|_| !runs).unwrap_or(now);
    seconds(to.since(from))
}

/// Whole seconds as an integer, anything else to the millisecond.
fn seconds(span: Duration) -> Value {
    let millis = u64::try_from(span.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
    if millis % 1_000 == 0 { json!(millis / 1_000) } else { json!(millis as f64 / 1_000.0) }
}

fn outcome(state: &RunState) -> &'static str {
    match state {
        RunState::Succeeded => "success",
        RunState::Submitted | RunState::Validated => "submitted",
        RunState::AwaitingApproval(_) => "awaiting_approval",
        RunState::AwaitingWindow { .. } => "awaiting_window",
        RunState::Running => "running",
        RunState::Pausing | RunState::Paused => "paused",
        RunState::Replanning(_) => "replanning",
        RunState::Failing(_) | RunState::Compensating(_) => "failing",
        RunState::NeedsOperator(_) => "needs_operator",
        RunState::Cancelling(_) => "cancelling",
        RunState::RolledBack => "rolled_back",
        RunState::Failed { .. } => "failed",
        RunState::Cancelled => "cancelled",
        RunState::Rejected => "rejected",
        RunState::Expired { .. } => "expired",
    }
}
