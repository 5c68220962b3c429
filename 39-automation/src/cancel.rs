//! Ending a run.

use crate::body::{Cancelling, Then};
use crate::event::What;
use crate::fold::Board;
use crate::operator::unresolved;
use crate::run::Illegal;
use crate::signal::Refused;
use crate::sketch::Sketch;
use crate::state::RunState;

/// Ends the run once nothing runs any more, with or without taking back what was done.
pub(crate) fn cancel(to: &mut Sketch<'_>, compensate: bool) -> Result<(), Refused> {
    let head = to.head();
    if let RunState::NeedsOperator(need) = &head.state {
        if head.unknown > 0 {
            return Err(unresolved(to));
        }
        // The step that could not be taken back stands in the way: retry it, say that it is gone, or leave all as it is.
        if compensate && matches!(need.then, Then::Compensating(_)) {
            let subject = format!("run `{}`, which could not take everything back", head.id);
            return Err(Illegal { event: "cancel with compensation", state: head.state.name(), subject }.into());
        }
    }
    Ok(to.say(What::Cancelling(Cancelling { compensate }))?)
}
