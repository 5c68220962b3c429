//! Answers of agents. Only the holder of the live ticket is believed; everybody else comes too late, which is recorded.

use crate::body::{Answered, LateAnswer, StepDone, StepFailed, StepUnclear};
use crate::cell::{Leg, StepState};
use crate::event::What;
use crate::fold::Board;
use crate::probe;
use crate::retry;
use crate::run::effect_key;
use crate::signal::{Answer, Command, Refused, Says, TimerKey};
use crate::sketch::Sketch;
use crate::step::{about, cut, find};
use std::time::Duration;
use writ_core::{Receipt, StepKey, TicketId};

pub(crate) fn answered(to: &mut Sketch<'_>, answer: Answer) -> Result<(), Refused> {
    let at = find(to, &answer.step)?;
    let state = &to.cell(at).state;
    let is_live = state.ticket().is_some_and(|ticket| ticket.is_of(&answer.ticket, answer.epoch));
    let looked_for = matches!(state, StepState::Probing { .. });
    match answer.says {
        Says::Done { receipt } if is_live => done(to, at, receipt, answer.ticket, answer.epoch, false),
        Says::Failed { because, retryable } if is_live => {
            let next = retry::after_failure(to, at, retryable);
            let (because, epoch, step, ticket) = (cut(&because), answer.epoch, about(to, at), answer.ticket);
            Ok(to.say(What::StepFailed(StepFailed { because, epoch, next, step, ticket }))?)
        }
        // That nobody knows is not news about a step whose outcome is being looked for.
        Says::Unclear { because } if is_live && !looked_for => unclear(to, at, &because),
        Says::Done { .. } => late(to, at, Answered::Done, answer.ticket, answer.epoch),
        Says::Failed { .. } => late(to, at, Answered::Failed, answer.ticket, answer.epoch),
        Says::Unclear { .. } => late(to, at, Answered::Unclear, answer.ticket, answer.epoch),
    }
}

/// A sign of life: puts the alarm off, and records nothing.
pub(crate) fn heartbeat(to: &Sketch<'_>, step: StepKey, ticket: TicketId, epoch: u64) -> Result<Command, Refused> {
    let at = find(to, &step)?;
    let span = to.run().options().heartbeat_ms.unwrap_or(u64::from(u32::MAX));
    if let StepState::Ticketed(live) = &to.cell(at).state
        && live.is_of(&ticket, epoch)
    {
        let key = TimerKey::Silence { epoch, step };
        return Ok(Command::SetTimer { at: to.now.plus(Duration::from_millis(span)), key });
    }
    Err(Refused::Late { step, ticket, epoch })
}

/// The effect happened, as its own receipt says; a receipt of another effect proves nothing about this one.
pub(crate) fn done(
    to: &mut Sketch<'_>,
    at: usize,
    receipt: Receipt,
    ticket: TicketId,
    epoch: u64,
    probed: bool,
) -> Result<(), Refused> {
    let (cell, step) = (to.cell(at), about(to, at));
    let key = effect_key(&to.head().id, &step.key, cell.revision, cell.leg);
    if receipt.key != key {
        let because = format!("the receipt is of effect `{}`, not of `{key}`", receipt.key);
        return if probed { probe::unclear(to, at, &because) } else { unclear(to, at, &because) };
    }
    let body = StepDone { epoch, probed, receipt, step, ticket };
    Ok(to.say(match cell.leg {
        Leg::Do => What::StepSucceeded(body),
        Leg::Undo => What::StepUndone(body),
    })?)
}

/// Nobody knows whether the effect happened: what comes next depends on how it behaves when asked for twice.
pub(crate) fn unclear(to: &mut Sketch<'_>, at: usize, because: &str) -> Result<(), Refused> {
    let Some(ticket) = to.cell(at).state.ticket().cloned() else { return Ok(()) };
    let next = retry::after_doubt(to, at);
    let (because, step) = (cut(because), about(to, at));
    Ok(to.say(What::StepUnclear(StepUnclear { because, epoch: ticket.epoch, next, step, ticket: ticket.id }))?)
}

pub(crate) fn late(
    to: &mut Sketch<'_>,
    at: usize,
    answer: Answered,
    ticket: TicketId,
    epoch: u64,
) -> Result<(), Refused> {
    let live_epoch = to.cell(at).epoch;
    Ok(to.say(What::LateAnswer(LateAnswer { answer, epoch, live_epoch, step: about(to, at), ticket }))?)
}
