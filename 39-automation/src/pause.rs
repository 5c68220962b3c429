//! Pausing and going on.

use crate::body::Plain;
use crate::event::What;
use crate::fold::Board;
use crate::operator::unresolved;
use crate::signal::Refused;
use crate::sketch::Sketch;
use crate::state::RunState;

/// Starts nothing more; steps that run may finish.
pub(crate) fn pause(to: &mut Sketch<'_>) -> Result<(), Refused> {
    Ok(to.say(What::Pausing(Plain {}))?)
}

/// Goes on, unless a step stands in the way about which a person must decide first.
pub(crate) fn resume(to: &mut Sketch<'_>) -> Result<(), Refused> {
    let head = to.head();
    if matches!(head.state, RunState::NeedsOperator(_)) && (head.stuck > 0 || head.unknown > 0) {
        return Err(unresolved(to));
    }
    Ok(to.say(What::Resumed(Plain {}))?)
}
