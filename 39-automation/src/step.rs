//! The one way a run moves: a signal is judged against the run as it is; out come events to record and commands to do.

use crate::body::{Back, Compensating, Failing, NeedsOperator, Plain, StepRef, Then, Validated};
use crate::cell::{Leg, StepState};
use crate::event::What;
use crate::fold::Board;
use crate::run::{Run, effect_key, step_ref};
use crate::signal::{Ask, Command, Decision, Order, Refused, Signal, TimerKey};
use crate::sketch::Sketch;
use crate::state::RunState;
use crate::{answer, approve, cancel, compensate, operator, pause, permit, probe, recover, replan, retry, timer};
use std::time::Duration;
use writ_core::{EffectClass, StepKey, Timestamp};

/// What a signal means for a run, now. Changes nothing: apply the events to the run to have it so.
///
/// # Errors
/// When the signal does not fit the run; nothing is to be recorded then.
pub fn step(run: &Run, signal: Signal, now: Timestamp) -> Result<Decision, Refused> {
    let mut sketch = Sketch::of(run, now);
    let mut commands = Vec::new();
    let to = &mut sketch;
    match signal {
        Signal::Approved { approval, barred, shown, world } => approve::approved(to, approval, (shown, world), barred)?,
        Signal::Rejected { approval } => approve::rejected(to, approval)?,
        Signal::WindowOpened { world } => approve::window_opened(to, world)?,
        Signal::PermitGranted(grant) => permit::granted(to, grant)?,
        Signal::PermitDenied { findings, step } => permit::denied(to, &step, findings)?,
        Signal::PermitNeedsApproval { step, terms } => permit::needs_approval(to, &step, terms)?,
        Signal::PermitHeld { hold, step, until } => permit::held(to, &step, hold, until)?,
        Signal::Answered(answer) => answer::answered(to, answer)?,
        Signal::Probed { answer, epoch, step } => probe::probed(to, &step, epoch, answer)?,
        Signal::Heartbeat { epoch, step, ticket } => commands.push(answer::heartbeat(to, step, ticket, epoch)?),
        Signal::TimerFired(key) => commands.extend(timer::fired(to, key)?),
        Signal::Unheld { step } => timer::unheld(to, &step)?,
        Signal::Pause => pause::pause(to)?,
        Signal::Resume => pause::resume(to)?,
        Signal::Cancel { compensate } => cancel::cancel(to, compensate)?,
        Signal::Retry { step } => retry::retry(to, &step)?,
        Signal::Replan { gate, plan, world } => replan::replan(to, plan, gate, world)?,
        Signal::Rollback => compensate::rollback(to)?,
        Signal::OperatorResolved { happened, reason, step } => operator::resolved(to, &step, happened, reason)?,
        Signal::Recover { alive } => {
            recover::recover(to, &alive)?;
            settle(to)?;
            commands = recover::commands(to);
            return Ok(Decision { commands, events: sketch.events, refused: Vec::new() });
        }
    }
    settle(to)?;
    commands.extend(commands_of(&sketch));
    Ok(Decision { commands, events: sketch.events, refused: Vec::new() })
}

/// One signal with everything it sets off: applies the decision to the run, asks the gate for each step that may start now,
/// and applies what comes of that, too. All events belong into one commit (a step's outcome and the start of those that
/// waited for it: two entries a step and one sync); the commands are done after it. When the commit fails, the run is to be
/// folded again from the journal.
///
/// `gate` answers with one of the `Permit…` signals, at once and without effect on the world, or with none when it cannot
/// answer yet: the driver then sends its answer as a signal of its own.
///
/// # Errors
/// As [`step`]; the run is unchanged then.
pub fn turn(
    run: &mut Run,
    signal: Signal,
    now: Timestamp,
    gate: &mut dyn FnMut(&Run, &Ask) -> Option<Signal>,
) -> Result<Decision, Refused> {
    let mut decision = step(run, signal, now)?;
    decision.events.iter().try_for_each(|event| run.apply(event))?;
    ask_all(run, &mut decision, now, gate)?;
    Ok(decision)
}

/// Asks the gate for each step that may start now, as [`turn`] does after a signal.
///
/// # Errors
/// When what was decided cannot be applied, which only a fault makes so.
pub fn ask_all(
    run: &mut Run,
    decision: &mut Decision,
    now: Timestamp,
    gate: &mut dyn FnMut(&Run, &Ask) -> Option<Signal>,
) -> Result<(), Refused> {
    let (mut after, mut leg) = (None, run.head.state.leg());
    while let Some((at, ask)) = run.ask_after(after) {
        after = Some(at);
        let Some(answer) = gate(run, &ask) else { continue };
        match step(run, answer, now) {
            Ok(more) => {
                more.events.iter().try_for_each(|event| run.apply(event))?;
                decision.events.extend(more.events);
                decision.commands.extend(more.commands);
            }
            Err(refused) => decision.refused.push((ask.step, refused)),
        }
        // A denial may turn the run round: what is to be undone then stands before the step that was denied.
        if run.head.state.leg() != leg {
            (after, leg) = (None, run.head.state.leg());
        }
    }
    Ok(())
}

impl Run {
    /// Steps that may start now if the gate permits, in the plan's order. Those that are being asked for stay in it until
    /// the gate's answer is taken.
    pub fn asks(&self) -> impl Iterator<Item = Ask> {
        let mut after = None;
        std::iter::from_fn(move || {
            let (at, ask) = self.ask_after(after)?;
            after = Some(at);
            Some(ask)
        })
    }

    fn ask_after(&self, after: Option<usize>) -> Option<(usize, Ask)> {
        let leg = self.head.state.leg()?;
        if self.head.in_flight >= self.options().limit {
            return None;
        }
        let from = after.map_or(0, |at| at + 1);
        let at = self.ready.range(from..).copied().find(|at| self.cells[*at].leg == leg && self.has_slots(*at))?;
        let (cell, step) = (&self.cells[at], self.graph.step(at));
        let ask = Ask {
            approval: cell.approval.clone(),
            attempt: cell.attempts + 1,
            effect_key: effect_key(&self.head.id, &step.key, cell.revision, leg),
            epoch: cell.epoch + 1,
            leg,
            step: step.key.clone(),
        };
        Some((at, ask))
    }

    fn has_slots(&self, at: usize) -> bool {
        self.graph.nodes[at].slots.iter().all(|slot| self.head.busy[*slot] < self.graph.slots[*slot])
    }
}

/// Transitions that need no signal. Each is an event of its own, so that a run can be taken up after any of them.
pub(crate) fn settle(sketch: &mut Sketch<'_>) -> Result<(), Refused> {
    while let Some(what) = next_of(sketch)? {
        sketch.say(what)?;
    }
    Ok(())
}

fn next_of(sketch: &mut Sketch<'_>) -> Result<Option<What>, Refused> {
    let head = sketch.head();
    Ok(match head.state.clone() {
        RunState::Submitted => Some(What::Validated(Validated { steps: head.open as u64 })),
        RunState::Validated => Some(approve::gate(sketch)),
        RunState::Running => forward(sketch),
        RunState::Pausing => forward(sketch).or_else(|| quiet(sketch).then_some(What::Paused(Plain {}))),
        RunState::Paused => failing(sketch),
        RunState::Replanning(body) => {
            probe::doubts(sketch)?;
            match (quiet(sketch), sketch.head().unknown) {
                (false, _) => None,
                (true, 0) => Some(What::Replanned(replan::replanned(sketch, &body)?)),
                (true, _) => Some(call(sketch, "an outcome is not known", Then::Running)),
            }
        }
        RunState::Failing(body) => {
            probe::doubts(sketch)?;
            match (quiet(sketch), sketch.head().unknown) {
                (false, _) => None,
                (true, 0) => Some(compensate::failed(sketch, body)),
                (true, _) => Some(call(sketch, "an outcome is not known", Then::Failing(body))),
            }
        }
        RunState::Cancelling(body) => {
            probe::doubts(sketch)?;
            match (quiet(sketch), sketch.head().unknown, sketch.head().top) {
                (false, _, _) => None,
                (true, 0, Some(_)) if body.compensate => Some(What::Compensating(Compensating { why: Back::Cancel })),
                (true, 0, _) => Some(What::Cancelled(Plain {})),
                (true, _, _) => Some(call(sketch, "an outcome is not known", Then::Cancelling(body))),
            }
        }
        RunState::Compensating(body) => compensate::next(sketch, body),
        RunState::AwaitingApproval(_) | RunState::AwaitingWindow { .. } | RunState::NeedsOperator(_) => None,
        RunState::Succeeded | RunState::RolledBack | RunState::Failed { .. } => None,
        RunState::Cancelled | RunState::Rejected | RunState::Expired { .. } => None,
    })
}

fn forward(sketch: &Sketch<'_>) -> Option<What> {
    if sketch.head().unknown > 0 {
        return Some(call(sketch, "an outcome is not known", Then::Running));
    }
    failing(sketch).or_else(|| (sketch.head().open == 0).then_some(What::Succeeded(Plain {})))
}

fn failing(sketch: &Sketch<'_>) -> Option<What> {
    if sketch.head().stuck == 0 {
        return None;
    }
    let because = compensate::first_failure(sketch);
    Some(What::Failing(Failing { because, rollback: false }))
}

fn quiet(sketch: &Sketch<'_>) -> bool {
    sketch.head().in_flight == 0
}

/// Calls a person. Names the first step that needs one.
pub(crate) fn call(sketch: &Sketch<'_>, what: &str, then: Then) -> What {
    let about = sketch.states().find_map(|(at, state)| {
        let StepState::Unknown { because } = state else { return None };
        Some(format!("{what}: `{}`, {because}", sketch.graph().step(at).key))
    });
    What::NeedsOperator(NeedsOperator { because: about.unwrap_or_else(|| what.to_owned()), then })
}

/// What is to be done about what was said: for each step that an event spoke of, what its state now asks for.
fn commands_of(sketch: &Sketch<'_>) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut steps: Vec<&StepKey> = Vec::new();
    let mut about_run = false;
    for event in &sketch.events {
        match event.what.step() {
            Some(step) if !matches!(event.what, What::LateAnswer(_)) => {
                commands.extend(perform(sketch, &event.what));
                steps.push(&step.key);
            }
            Some(_) => {}
            None => about_run = true,
        }
    }
    steps.sort_unstable();
    steps.dedup();
    for step in steps {
        if let Some(at) = sketch.graph().find(step) {
            commands.extend(waits_of(sketch, at));
        }
    }
    if about_run {
        commands.extend(run_commands(sketch));
    }
    commands
}

fn perform(sketch: &Sketch<'_>, what: &What) -> Option<Command> {
    let What::StepStarted(body) = what else { return None };
    let leg = body.step.leg;
    sketch.graph().find(&body.step.key)?;
    Some(Command::Perform(Order {
        effect_key: body.effect_key.clone(),
        epoch: body.epoch,
        leg,
        step: body.step.key.clone(),
        ticket: body.ticket.clone(),
    }))
}

/// The timers and questions that a step's state asks for.
pub(crate) fn waits_of(sketch: &Sketch<'_>, at: usize) -> Vec<Command> {
    let step = sketch.graph().step(at).key.clone();
    match &sketch.cell(at).state {
        StepState::AwaitingApproval { shown, terms } => vec![
            Command::AskApproval { shown: *shown, step: Some(step), terms: terms.clone() },
            Command::SetTimer { at: terms.expires_at, key: TimerKey::Approval { approval: terms.approval.clone() } },
        ],
        StepState::Held { until, .. } | StepState::RetryWait { until, .. } => {
            vec![Command::SetTimer { at: *until, key: TimerKey::Wake { step } }]
        }
        StepState::Ticketed(ticket) => {
            let due = TimerKey::Due { epoch: ticket.epoch, step: step.clone() };
            let silence = sketch.run().options().heartbeat_ms.map(|span| Command::SetTimer {
                at: sketch.now.plus(Duration::from_millis(span)),
                key: TimerKey::Silence { epoch: ticket.epoch, step },
            });
            [Command::SetTimer { at: ticket.due_at, key: due }].into_iter().chain(silence).collect()
        }
        StepState::Probing { at, .. } => vec![Command::SetTimer { at: *at, key: TimerKey::Probe { step } }],
        StepState::Blocked | StepState::Ready | StepState::Unknown { .. } | StepState::Succeeded => Vec::new(),
        StepState::Failed { .. } | StepState::Skipped { .. } => Vec::new(),
        StepState::Undone | StepState::Kept { .. } => Vec::new(),
    }
}

/// The timers, questions and news that the run's state asks for.
pub(crate) fn run_commands(sketch: &Sketch<'_>) -> Vec<Command> {
    let head = sketch.head();
    let mut commands: Vec<Command> = Vec::new();
    match &head.state {
        RunState::AwaitingApproval(asked) => {
            let terms = asked.terms.clone();
            let key = TimerKey::Approval { approval: terms.approval.clone() };
            commands.push(Command::SetTimer { at: terms.expires_at, key });
            commands.push(Command::AskApproval { shown: asked.shown, step: None, terms });
        }
        RunState::AwaitingWindow { opens_at } => {
            commands.push(Command::SetTimer { at: *opens_at, key: TimerKey::Window });
        }
        RunState::NeedsOperator(need) => {
            commands.push(Command::Notify { text: format!("run `{}` needs an operator: {}", head.id, need.because) });
        }
        RunState::Submitted | RunState::Validated | RunState::Running | RunState::Pausing => {}
        RunState::Paused | RunState::Replanning(_) | RunState::Failing(_) => {}
        RunState::Compensating(_) | RunState::Cancelling(_) => {}
        RunState::Succeeded | RunState::RolledBack | RunState::Failed { .. } | RunState::Cancelled => {
            commands.push(Command::RunEnded { state: head.state.clone() });
        }
        RunState::Rejected | RunState::Expired { .. } => {
            commands.push(Command::RunEnded { state: head.state.clone() });
        }
    }
    if let (Some(at), false) = (head.deadline, head.state.is_over()) {
        commands.push(Command::SetTimer { at, key: TimerKey::Deadline });
    }
    commands
}

pub(crate) fn find(sketch: &Sketch<'_>, step: &StepKey) -> Result<usize, Refused> {
    let unknown = || Refused::UnknownStep { run: sketch.head().id.clone(), step: step.clone() };
    sketch.graph().find(step).ok_or_else(unknown)
}

/// How an effect of this step behaves when asked for twice, on the leg it is on.
pub(crate) fn class_of(sketch: &Sketch<'_>, at: usize) -> EffectClass {
    let step = sketch.graph().step(at);
    match (sketch.cell(at).leg, &step.undo) {
        (Leg::Undo, Some(undo)) => undo.class,
        (Leg::Do | Leg::Undo, _) => step.class,
    }
}

/// What machines said, cut to what an entry can hold.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(1_000).collect()
}

pub(crate) fn about(sketch: &Sketch<'_>, at: usize) -> StepRef {
    step_ref(sketch, at)
}
