//! A person says what came of a step.

use crate::body::{Plain, StepResolved};
use crate::cell::{Next, StepState};
use crate::event::What;
use crate::fold::Board;
use crate::retry;
use crate::signal::Refused;
use crate::sketch::Sketch;
use crate::state::RunState;
use crate::step::{about, find};
use writ_core::{Digest, StepKey};

/// A step of which nobody knew what came, or that failed, is as the operator says. The run goes on once no outcome is
/// unknown; a step that failed for good then takes the course that the options say.
pub(crate) fn resolved(to: &mut Sketch<'_>, step: &StepKey, happened: bool, reason: Digest) -> Result<(), Refused> {
    let at = find(to, step)?;
    let next = if happened { Next::GiveUp } else { retry::after_absence(to, at) };
    let unknown_before = to.head().unknown;
    to.say(What::StepResolved(StepResolved { happened, next, reason, step: about(to, at) }))?;
    let head = to.head();
    let waits = matches!(head.state, RunState::NeedsOperator(_));
    if waits && head.unknown == 0 && (head.stuck == 0 || unknown_before > 0) {
        to.say(What::Resumed(Plain {}))?;
    }
    Ok(())
}

/// The steps about which a person must decide first.
pub(crate) fn unresolved(to: &Sketch<'_>) -> Refused {
    let open = |state: &StepState| matches!(state, StepState::Unknown { .. } | StepState::Failed { .. });
    let steps = to.states().filter(|(_, state)| open(state)).map(|(at, _)| to.graph().step(at).key.clone()).collect();
    Refused::Unresolved { steps }
}
