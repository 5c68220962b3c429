//! Going on with another plan, in the same record. Completed steps are carried over by key and parameters; what the new plan
//! does not have stays in the world and is remembered, so that a rollback takes it back, too.

use crate::attached::Attached;
use crate::body::{Gate, Replanned, Replanning};
use crate::cell::{Cell, StepState};
use crate::event::{RunEvent, What};
use crate::fold::Board;
use crate::graph::Graph;
use crate::operator::unresolved;
use crate::run::FoldError;
use crate::signal::Refused;
use crate::sketch::Sketch;
use crate::state::RunState;
use crate::submit::check;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use writ_core::{Digest, Plan, Step, StepKey, Timestamp};

/// An operator: another plan takes over as soon as nothing runs. Approvals of the old plan do not count for it.
pub(crate) fn replan(to: &mut Sketch<'_>, plan: Arc<Plan>, gate: Gate, world: Digest) -> Result<(), Refused> {
    check(&plan, to.run().options(), world)?;
    if matches!(to.head().state, RunState::NeedsOperator(_)) && to.head().unknown > 0 {
        return Err(unresolved(to));
    }
    let digest = writ_seal::digest_of(&*plan).map_err(Refused::Digest)?;
    Ok(to.say(What::Replanning(Replanning { gate, plan: Attached::new(digest, plan) }))?)
}

/// What of the old plan is kept under the new one.
pub(crate) fn replanned(to: &Sketch<'_>, body: &Replanning) -> Result<Replanned, Refused> {
    let plan = body.plan.content().ok_or(FoldError::PlanMissing { digest: body.plan.digest })?;
    let same =
        |new: &Step, old: &Step| new.params == old.params && new.verb == old.verb && new.resource == old.resource;
    let is_done = |step: &&Step| {
        let old = to.graph().find(&step.key);
        old.is_some_and(|at| to.cell(at).state == StepState::Succeeded && same(step, to.graph().step(at)))
    };
    let carried: Vec<StepKey> = plan.steps.iter().filter(is_done).map(|step| step.key.clone()).collect();
    let kept: BTreeSet<&StepKey> = carried.iter().collect();
    let done = to.states().filter(|(_, state)| **state == StepState::Succeeded);
    let keys = done.map(|(at, _)| to.graph().step(at).key.clone());
    let left = keys.filter(|key| !kept.contains(key)).collect();
    Ok(Replanned { carried, left, revision: to.head().revision + 1 })
}

/// Puts the new plan in force.
pub(crate) fn take_over(
    board: &mut impl Board,
    body: &Replanned,
    event: &RunEvent,
    state: RunState,
) -> Result<(), FoldError> {
    let RunState::Replanning(new) = board.head().state.clone() else { return Ok(()) };
    let plan = new.plan.shared().ok_or(FoldError::PlanMissing { digest: new.plan.digest })?;
    let carried: BTreeSet<&StepKey> = body.carried.iter().collect();
    let old = Arc::clone(board.graph());
    let keys: BTreeSet<&StepKey> = plan.steps.iter().map(|step| &step.key).collect();
    let stays = |at: &usize| board.cell(*at).state == StepState::Succeeded && !carried.contains(&old.step(*at).key);
    let left: Vec<usize> = (0..old.nodes.len()).filter(stays).collect();
    let left_steps = left.iter().map(|at| renamed(&old.nodes[*at].step, &keys, board.head().revision)).collect();
    let options = &board.head().submitted.options;
    let graph = Graph::new(&plan, left_steps, options).map_err(FoldError::Plan)?;

    let mut moved: BTreeMap<usize, usize> = left.iter().copied().zip(graph.planned..).collect();
    let mut cells: Vec<Cell> = Vec::with_capacity(graph.nodes.len());
    for (at, step) in plan.steps.iter().enumerate() {
        let before = old.find(&step.key);
        if let Some(from) = before.filter(|_| carried.contains(&step.key)) {
            moved.insert(from, at);
            cells.push(board.cell(from).clone());
            continue;
        }
        cells.push(fresh(step, &carried, before.map(|from| board.cell(from)), body.revision, event.at));
    }
    cells.extend(left.iter().map(|at| board.cell(*at).clone()));
    let top = restack(board, &moved, &mut cells);
    let open = cells.iter().filter(|cell| cell.state != StepState::Succeeded).count();
    let busy = vec![0; graph.slots.len()];
    board.replace(graph, cells);
    let head = board.head_mut();
    head.busy = busy;
    (head.doubtful, head.in_flight, head.stuck, head.unknown) = (0, 0, 0, 0);
    head.gate = new.gate;
    head.open = open;
    head.plan = new.plan.digest;
    head.revision = body.revision;
    head.state = state;
    head.top = top;
    head.world = plan.world;
    Ok(())
}

/// A step of the new plan that is still to be done. Its epochs go on where those of its namesake ended.
fn fresh(step: &Step, carried: &BTreeSet<&StepKey>, before: Option<&Cell>, revision: u64, at: Timestamp) -> Cell {
    let open = step.needs.iter().filter(|need| !carried.contains(need)).count();
    let mut cell = Cell::new(open, revision, at);
    cell.epoch = before.map_or(0, |before| before.epoch);
    cell
}

/// The pile of steps that succeeded, in the same order, under their new numbers.
fn restack(board: &impl Board, moved: &BTreeMap<usize, usize>, cells: &mut [Cell]) -> Option<usize> {
    let mut next = board.head().top;
    let mut above: Option<usize> = None;
    let mut top = None;
    while let Some(old) = next {
        next = board.cell(old).below;
        let Some(new) = moved.get(&old).copied() else { continue };
        cells[new].below = None;
        match above {
            Some(above) => cells[above].below = Some(new),
            None => top = Some(new),
        }
        above = Some(new);
    }
    top
}

/// A step that is left behind must not answer to a key of the new plan.
fn renamed(step: &Arc<Step>, keys: &BTreeSet<&StepKey>, revision: u64) -> Arc<Step> {
    if !keys.contains(&step.key) {
        return Arc::clone(step);
    }
    let long = format!("{}@{revision}", step.key);
    let short = format!("left-{}@{revision}", writ_seal::sha256(step.key.as_str().as_bytes()).short());
    match long.parse().or_else(|_| short.parse()) {
        Ok(key) => Arc::new(Step { key, ..Step::clone(step) }),
        Err(_) => Arc::clone(step),
    }
}
