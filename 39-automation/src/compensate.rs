//! Taking back what was done, newest first. One at a time: the reverse of the order in which steps succeeded respects every
//! need, whatever plan they came from.

use crate::body::{Back, Because, Compensating, Failing, NeedsOperator, Plain, StepKept, Then};
use crate::cell::{Leg, StepState};
use crate::event::What;
use crate::fold::Board;
use crate::operator::unresolved;
use crate::options::OnFailure;
use crate::signal::Refused;
use crate::sketch::Sketch;
use crate::state::RunState;
use crate::step::{about, call};

/// An operator: take back what was done.
pub(crate) fn rollback(to: &mut Sketch<'_>) -> Result<(), Refused> {
    if matches!(to.head().state, RunState::NeedsOperator(_)) && to.head().unknown > 0 {
        return Err(unresolved(to));
    }
    let because = "an operator asked for everything to be taken back".to_owned();
    Ok(to.say(What::Failing(Failing { because, rollback: true }))?)
}

/// Where a failed run goes once nothing of it runs any more.
pub(crate) fn failed(to: &Sketch<'_>, failing: Failing) -> What {
    let because = failing.because;
    if failing.rollback {
        return What::Compensating(Compensating { why: Back::Failure });
    }
    match to.run().options().on_failure {
        OnFailure::Compensate => What::Compensating(Compensating { why: Back::Failure }),
        OnFailure::Hold => What::NeedsOperator(NeedsOperator { because, then: Then::Running }),
        OnFailure::Stop => What::Failed(Because { because }),
    }
}

/// What comes next while steps are taken back; none while one is on its way.
pub(crate) fn next(to: &Sketch<'_>, body: Compensating) -> Option<What> {
    let head = to.head();
    if head.unknown > 0 {
        return Some(call(to, "whether a step was taken back is not known", Then::Compensating(body)));
    }
    if head.stuck > 0 {
        let because = format!("a step could not be taken back: {}", first_failure(to));
        return Some(What::NeedsOperator(NeedsOperator { because, then: Then::Compensating(body) }));
    }
    match (head.top, body.why) {
        (Some(at), _) if to.cell(at).state == StepState::Succeeded => {
            let because = "the plan has no way to take it back".to_owned();
            Some(What::StepKept(StepKept { because, step: about(to, at) }))
        }
        (Some(_), _) => None,
        (None, Back::Cancel) => Some(What::Cancelled(Plain {})),
        (None, Back::Failure) if head.kept == 0 => Some(What::RolledBack(Plain {})),
        (None, Back::Failure) => {
            let because = format!("{} of its steps could not be taken back", head.kept);
            Some(What::Failed(Because { because }))
        }
    }
}

/// The first step that failed on the leg that is under way, and why.
pub(crate) fn first_failure(to: &Sketch<'_>) -> String {
    let leg = if matches!(to.head().state, RunState::Compensating(_)) { Leg::Undo } else { Leg::Do };
    let failure = to.states().find_map(|(at, state)| {
        let StepState::Failed { because } = state else { return None };
        (to.cell(at).leg == leg).then(|| format!("`{}`: {because}", to.graph().step(at).key))
    });
    failure.unwrap_or_else(|| "a step failed".to_owned())
}
