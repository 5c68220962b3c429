//! How an event changes a run, or a sketch of one. Nothing is decided here.

use crate::body::{Gate, Readied, StepRef};
use crate::cell::{Cell, Leg, StepState};
use crate::event::{RunEvent, What};
use crate::graph::Graph;
use crate::replan;
use crate::run::{FoldError, Head, Illegal, Run};
use crate::state::RunState;
use crate::ticket::Ticket;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use writ_core::Timestamp;

/// Where a run's state stands: in the run itself, or laid over it while a decision is made.
pub(crate) trait Board {
    fn cell(&self, at: usize) -> &Cell;
    fn cell_mut(&mut self, at: usize) -> &mut Cell;
    fn graph(&self) -> &Arc<Graph>;
    fn head(&self) -> &Head;
    fn head_mut(&mut self) -> &mut Head;
    fn set_ready(&mut self, at: usize, ready: bool);
    fn set_asking(&mut self, at: usize, asking: bool);
    /// Another plan, with all that is known of its steps.
    fn replace(&mut self, graph: Graph, cells: Vec<Cell>);
}

impl Board for Run {
    fn cell(&self, at: usize) -> &Cell {
        &self.cells[at]
    }
    fn cell_mut(&mut self, at: usize) -> &mut Cell {
        &mut self.cells[at]
    }
    fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }
    fn head(&self) -> &Head {
        &self.head
    }
    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }
    fn set_ready(&mut self, at: usize, ready: bool) {
        put(&mut self.ready, at, ready);
    }
    fn set_asking(&mut self, at: usize, asking: bool) {
        put(&mut self.asking, at, asking);
    }
    fn replace(&mut self, graph: Graph, cells: Vec<Cell>) {
        self.ready = (0..cells.len()).filter(|at| Counts::of(&cells[*at].state).ready).collect();
        self.asking = (0..cells.len()).filter(|at| Counts::of(&cells[*at].state).asking).collect();
        self.graph = Arc::new(graph);
        self.cells = cells;
    }
}

/// Changes the board by one event, or leaves it as it was.
pub(crate) fn apply(board: &mut impl Board, event: &RunEvent) -> Result<(), FoldError> {
    let state = board.head().state.after(&event.what).ok_or_else(|| Illegal {
        event: event.what.kind(),
        state: board.head().state.name(),
        subject: format!("run `{}`", board.head().id),
    })?;
    if let What::Replanned(body) = &event.what {
        return replan::take_over(board, body, event, state);
    }
    if let Some(step) = event.what.step()
        && !matches!(event.what, What::LateAnswer(_))
    {
        apply_to_step(board, step, event)?;
    }
    apply_to_run(board, event, state);
    arm_undo(board, event.at);
    Ok(())
}

fn apply_to_run(board: &mut impl Board, event: &RunEvent, state: RunState) {
    let over = state.is_over();
    let head = board.head_mut();
    head.state = state;
    if let What::Approved(_) = &event.what {
        head.gate.approval = None;
    } else if let What::WindowOpened(_) = &event.what {
        head.gate.window_opens_at = None;
    } else if let What::Started(_) = &event.what {
        head.gate = Gate::default();
        if head.started_at.is_none() {
            let span = head.submitted.options.deadline_ms.map(Duration::from_millis);
            head.deadline = span.map(|span| event.at.plus(span));
            head.started_at = Some(event.at);
        }
    } else if let What::Failing(_) = &event.what {
        // One deadline, one failure: a run that an operator takes up again is not stopped by it a second time.
        head.deadline = None;
    } else if let What::Compensating(_) = &event.what {
        head.stuck = 0;
    }
    if over && head.ended_at.is_none() {
        head.ended_at = Some(event.at);
        skip_the_rest(board, event);
    }
}

/// What was not tried when the run ended is skipped, which is an outcome of its own.
fn skip_the_rest(board: &mut impl Board, event: &RunEvent) {
    if matches!(event.what, What::Succeeded(_)) {
        return;
    }
    let because = format!("the run is {}", board.head().state.name());
    for at in 0..board.graph().nodes.len() {
        let untried = match &board.cell(at).state {
            StepState::Blocked | StepState::Ready | StepState::Held { .. } => true,
            StepState::AwaitingApproval { .. } | StepState::RetryWait { .. } => true,
            StepState::Ticketed(_) | StepState::Probing { .. } | StepState::Unknown { .. } => false,
            StepState::Succeeded | StepState::Failed { .. } | StepState::Skipped { .. } => false,
            StepState::Undone | StepState::Kept { .. } => false,
        };
        if untried && board.cell(at).leg == Leg::Do {
            set_state(board, at, StepState::Skipped { because: because.clone() });
        }
    }
}

fn apply_to_step(board: &mut impl Board, step: &StepRef, event: &RunEvent) -> Result<(), FoldError> {
    let illegal =
        |state: &'static str| Illegal { event: event.what.kind(), state, subject: format!("step `{}`", step.key) };
    let at = board.graph().find(&step.key).ok_or_else(|| illegal("not in the plan"))?;
    let cell = board.cell(at);
    if cell.leg != step.leg {
        return Err(illegal(if cell.leg == Leg::Do { "not being taken back" } else { "being taken back" }).into());
    }
    let last = cell.ticket.as_ref();
    let next = cell.state.after(step.leg, last, &event.what, event.at).ok_or_else(|| illegal(cell.state.name()))?;
    let doubtful = cell.doubtful();
    note(board.cell_mut(at), event);
    set_state(board, at, next);
    if board.cell(at).doubtful() != doubtful {
        tally(&mut board.head_mut().doubtful, !doubtful);
    }
    // What a state says is enough to know what its step owes the others.
    let waited_before = matches!(event.what, What::StepReadied(_));
    match &board.cell(at).state {
        StepState::Succeeded => done(board, at, event),
        StepState::Undone => undone(board, at),
        StepState::Kept { .. } => {
            board.head_mut().kept += 1;
            undone(board, at);
        }
        StepState::Ready if !waited_before => board.cell_mut(at).ready_at = Some(event.at),
        StepState::Blocked | StepState::Ready | StepState::AwaitingApproval { .. } | StepState::Held { .. } => {}
        StepState::Ticketed(_) | StepState::RetryWait { .. } | StepState::Probing { .. } => {}
        StepState::Unknown { .. } | StepState::Failed { .. } | StepState::Skipped { .. } => {}
    }
    Ok(())
}

/// What an event leaves at its step, besides the state.
fn note(cell: &mut Cell, event: &RunEvent) {
    if let What::StepStarted(body) = &event.what {
        cell.attempts = body.attempt;
        cell.epoch = body.epoch;
        cell.ticket = Some(Ticket::of(body, event.at));
        cell.started_at = cell.started_at.or(Some(event.at));
        cell.ready_at = None;
    } else if let What::StepApproved(_) = &event.what {
        // The state is still the one before: what it waited for is what people agreed to.
        if let StepState::AwaitingApproval { terms, .. } = &cell.state {
            cell.approval = Some(terms.clone());
        }
    } else if let What::StepSucceeded(body) | What::StepUndone(body) = &event.what {
        cell.receipt = Some(Arc::new(body.receipt.clone()));
        cell.finished_at = Some(event.at);
        cell.doubt = false;
    } else if let What::StepFailed(_) = &event.what {
        cell.finished_at = Some(event.at);
    } else if let What::StepUnclear(_) = &event.what {
        cell.finished_at = Some(event.at);
        cell.doubt = true;
    } else if let What::StepProbed(body) = &event.what {
        cell.doubt &= !body.absent;
    } else if let What::StepResolved(_) = &event.what {
        cell.finished_at = Some(event.at);
        cell.doubt = false;
    } else if let What::StepReadied(body) = &event.what {
        note_readied(cell, body.because, event.at);
    }
}

fn note_readied(cell: &mut Cell, because: Readied, at: Timestamp) {
    // How long it has been waiting for its start counts from its readiness, not from the last time it was held.
    if cell.ready_at.is_none() || because != Readied::Waited {
        cell.ready_at = Some(at);
    }
    match because {
        Readied::Waited => {}
        Readied::Restarted => cell.doubt = true,
        Readied::Retried => cell.attempts = 0,
    }
}

fn done(board: &mut impl Board, at: usize, event: &RunEvent) {
    let top = board.head().top;
    board.cell_mut(at).below = top;
    let head = board.head_mut();
    head.top = Some(at);
    head.open -= 1;
    let graph = Arc::clone(board.graph());
    for dependent in &graph.nodes[at].dependents {
        // A step that was carried over from an earlier plan is done, although something it needed is done anew.
        if board.cell(*dependent).state != StepState::Blocked {
            continue;
        }
        let cell = board.cell_mut(*dependent);
        cell.open_needs -= 1;
        if cell.open_needs == 0 {
            cell.ready_at = Some(event.at);
            set_state(board, *dependent, StepState::Ready);
        }
    }
}

fn undone(board: &mut impl Board, at: usize) {
    board.head_mut().top = board.cell(at).below;
    board.cell_mut(at).below = None;
}

/// While steps are taken back, the newest that succeeded is the one whose undoing may be asked for: one at a time, so that
/// the order is the reverse of the order in which they were done, which respects every need.
fn arm_undo(board: &mut impl Board, now: Timestamp) {
    if !matches!(&board.head().state, RunState::Compensating(_)) {
        return;
    }
    let Some(at) = board.head().top else { return };
    if board.cell(at).state != StepState::Succeeded || board.graph().step(at).undo.is_none() {
        return;
    }
    let cell = board.cell_mut(at);
    cell.leg = Leg::Undo;
    cell.attempts = 0;
    cell.approval = None;
    cell.ready_at = Some(now);
    set_state(board, at, StepState::Ready);
}

/// Puts a step into a state and keeps every index true.
pub(crate) fn set_state(board: &mut impl Board, at: usize, next: StepState) {
    let before = std::mem::replace(&mut board.cell_mut(at).state, next);
    let (was, is) = (Counts::of(&before), Counts::of(&board.cell(at).state));
    if was.ready != is.ready {
        board.set_ready(at, is.ready);
    }
    if was.asking != is.asking {
        board.set_asking(at, is.asking);
    }
    let graph = Arc::clone(board.graph());
    let head = board.head_mut();
    if was.in_flight != is.in_flight {
        tally(&mut head.in_flight, is.in_flight);
        graph.nodes[at].slots.iter().for_each(|slot| tally(&mut head.busy[*slot], is.in_flight));
    }
    if was.unknown != is.unknown {
        tally(&mut head.unknown, is.unknown);
    }
    if was.stuck != is.stuck {
        tally(&mut head.stuck, is.stuck);
    }
}

fn put(index: &mut BTreeSet<usize>, at: usize, there: bool) {
    if there {
        index.insert(at);
    } else {
        index.remove(&at);
    }
}

fn tally(count: &mut u32, up: bool) {
    *count = if up { *count + 1 } else { count.saturating_sub(1) };
}

struct Counts {
    asking: bool,
    in_flight: bool,
    ready: bool,
    stuck: bool,
    unknown: bool,
}

impl Counts {
    fn of(state: &StepState) -> Self {
        Self {
            asking: matches!(state, StepState::AwaitingApproval { .. }),
            in_flight: state.in_flight(),
            ready: *state == StepState::Ready,
            stuck: matches!(state, StepState::Failed { .. }),
            unknown: matches!(state, StepState::Unknown { .. }),
        }
    }
}
