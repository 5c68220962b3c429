//! Looking for lost outcomes: the provider is asked, after its bound on late arrivals, what came of an effect.

use crate::answer;
use crate::body::{Answered, StepProbed, StepUnclear};
use crate::cell::{Next, StepState};
use crate::event::What;
use crate::fold::Board;
use crate::retry;
use crate::signal::Refused;
use crate::sketch::Sketch;
use crate::step::{about, class_of, cut, find};
use std::time::Duration;
use writ_core::{EffectClass, Probe, StepKey};

/// A provider's answer counts for the epoch it was asked about and for no later one.
pub(crate) fn probed(to: &mut Sketch<'_>, step: &StepKey, epoch: u64, answer: Probe) -> Result<(), Refused> {
    let at = find(to, step)?;
    let Some(ticket) = to.cell(at).ticket.clone() else {
        return Err(Refused::UnknownStep { run: to.head().id.clone(), step: step.clone() });
    };
    if !matches!(to.cell(at).state, StepState::Probing { .. }) || ticket.epoch != epoch {
        return answer::late(to, at, Answered::Probed, ticket.id, epoch);
    }
    match answer {
        Probe::Happened(receipt) => answer::done(to, at, receipt, ticket.id, epoch, true),
        Probe::Absent => {
            let next = retry::after_absence(to, at);
            let because = "the provider says that it did not happen".to_owned();
            Ok(to.say(What::StepProbed(StepProbed { absent: true, because, next, step: about(to, at) }))?)
        }
        Probe::Unclear { because } => unclear(to, at, &because),
    }
}

/// The provider cannot tell yet: it is asked again, so often and no oftener.
pub(crate) fn unclear(to: &mut Sketch<'_>, at: usize, because: &str) -> Result<(), Refused> {
    let StepState::Probing { tries, .. } = to.cell(at).state else { return Ok(()) };
    let every = Duration::from_millis(to.run().options().probe.every_ms);
    let next = if tries > 1 { Next::Probe { at: to.now.plus(every), tries: tries - 1 } } else { Next::Person };
    Ok(to.say(What::StepProbed(StepProbed { absent: false, because: cut(because), next, step: about(to, at) }))?)
}

/// Steps that wait although an earlier attempt of them may have happened are looked into before the run leaves them behind.
pub(crate) fn doubts(to: &mut Sketch<'_>) -> Result<(), Refused> {
    if to.head().doubtful == 0 {
        return Ok(());
    }
    for at in 0..to.graph().nodes.len() {
        let cell = to.cell(at);
        let (true, Some(ticket)) = (cell.doubtful(), cell.ticket.clone()) else { continue };
        let because = "an earlier attempt may have happened".to_owned();
        let (next, step) = (look(to, at), about(to, at));
        to.say(What::StepUnclear(StepUnclear { because, epoch: ticket.epoch, next, step, ticket: ticket.id }))?;
    }
    Ok(())
}

/// Look for the outcome, where it can be looked for.
pub(crate) fn look(to: &Sketch<'_>, at: usize) -> Next {
    let rule = to.run().options().probe;
    match class_of(to, at) {
        EffectClass::Opaque => Next::Person,
        EffectClass::Keyed | EffectClass::Conditional | EffectClass::Probeable => {
            Next::Probe { at: to.now.plus(Duration::from_millis(rule.after_ms)), tries: rule.tries.max(1) }
        }
    }
}
