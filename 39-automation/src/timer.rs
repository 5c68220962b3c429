//! Times that have come. One that no longer fits the state is harmless: the timer was set for a state that is over.

use crate::answer::unclear;
use crate::approve;
use crate::body::{Failing, Readied, StepReadied};
use crate::cell::StepState;
use crate::event::What;
use crate::fold::Board;
use crate::run::effect_key;
use crate::signal::{Command, Order, Refused, TimerKey};
use crate::sketch::Sketch;
use crate::state::RunState;
use crate::step::{about, find};
use std::time::Duration;
use writ_core::StepKey;

pub(crate) fn fired(to: &mut Sketch<'_>, key: TimerKey) -> Result<Vec<Command>, Refused> {
    match key {
        TimerKey::Approval { approval } => approve::expired(to, approval)?,
        TimerKey::Deadline => deadline(to)?,
        TimerKey::Due { epoch, step } => due(to, &step, epoch)?,
        TimerKey::Probe { step } => return probe(to, step),
        TimerKey::Silence { epoch, step } => silence(to, &step, epoch)?,
        TimerKey::Wake { step } => wake(to, &step)?,
        TimerKey::Window => return Ok(window(to)),
    }
    Ok(Vec::new())
}

fn deadline(to: &mut Sketch<'_>) -> Result<(), Refused> {
    let head = to.head();
    let steps_may_start = match &head.state {
        RunState::Running | RunState::Pausing | RunState::Paused | RunState::Replanning(_) => true,
        RunState::Submitted | RunState::Validated | RunState::AwaitingApproval(_) => false,
        RunState::AwaitingWindow { .. } | RunState::Failing(_) | RunState::Compensating(_) => false,
        RunState::NeedsOperator(_) | RunState::Cancelling(_) | RunState::Succeeded | RunState::RolledBack => false,
        RunState::Failed { .. } | RunState::Cancelled | RunState::Rejected | RunState::Expired { .. } => false,
    };
    match head.deadline {
        Some(deadline) if steps_may_start && to.now >= deadline => {
            let limit = head.submitted.options.deadline_ms.unwrap_or(0) / 1_000;
            let because = format!("the run took longer than {limit} s");
            Ok(to.say(What::Failing(Failing { because, rollback: false }))?)
        }
        Some(_) | None => Ok(()),
    }
}

fn due(to: &mut Sketch<'_>, step: &StepKey, epoch: u64) -> Result<(), Refused> {
    let at = find(to, step)?;
    let StepState::Ticketed(ticket) = &to.cell(at).state else { return Ok(()) };
    if ticket.epoch != epoch || to.now < ticket.due_at {
        return Ok(());
    }
    let because = format!("no outcome within {} ms", ticket.due_at.since(ticket.started_at).as_millis());
    unclear(to, at, &because)
}

/// The alarm is put off by each sign of life, so that its coming is itself the proof of silence.
fn silence(to: &mut Sketch<'_>, step: &StepKey, epoch: u64) -> Result<(), Refused> {
    let at = find(to, step)?;
    let StepState::Ticketed(ticket) = &to.cell(at).state else { return Ok(()) };
    if ticket.epoch != epoch {
        return Ok(());
    }
    let because = format!("agent `{}` went silent", ticket.agent);
    unclear(to, at, &because)
}

fn wake(to: &mut Sketch<'_>, step: &StepKey) -> Result<(), Refused> {
    let at = find(to, step)?;
    if let StepState::Held { until, .. } | StepState::RetryWait { until, .. } = &to.cell(at).state
        && *until <= to.now
    {
        to.say(What::StepReadied(StepReadied { because: Readied::Waited, step: about(to, at) }))?;
    }
    Ok(())
}

/// What held a step is over before its time came: it is asked for again now.
pub(crate) fn unheld(to: &mut Sketch<'_>, step: &StepKey) -> Result<(), Refused> {
    let at = find(to, step)?;
    if let StepState::Held { .. } = &to.cell(at).state {
        to.say(What::StepReadied(StepReadied { because: Readied::Waited, step: about(to, at) }))?;
    }
    Ok(())
}

fn probe(to: &Sketch<'_>, step: StepKey) -> Result<Vec<Command>, Refused> {
    let at = find(to, &step)?;
    let cell = to.cell(at);
    let StepState::Probing { at: not_before, ticket, .. } = &cell.state else { return Ok(Vec::new()) };
    if to.now < *not_before {
        return Ok(Vec::new());
    }
    // Should the answer be lost, too, it is asked for again.
    let again = to.now.plus(Duration::from_millis(to.run().options().probe.every_ms.max(100) * 10));
    let key = TimerKey::Probe { step: step.clone() };
    let effect_key = effect_key(&to.head().id, &step, cell.revision, cell.leg);
    let order = Order { effect_key, epoch: ticket.epoch, leg: cell.leg, step, ticket: ticket.id.clone() };
    Ok(vec![Command::Probe(order), Command::SetTimer { at: again, key }])
}

fn window(to: &Sketch<'_>) -> Vec<Command> {
    let is_open = matches!(&to.head().state, RunState::AwaitingWindow { opens_at } if *opens_at <= to.now);
    if is_open { vec![Command::Observe] } else { Vec::new() }
}
