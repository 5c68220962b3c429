//! After a restart: a step that was started and has no outcome is not guessed at.

use crate::body::{Readied, StepReadied, StepUnclear};
use crate::cell::StepState;
use crate::event::What;
use crate::fold::Board;
use crate::probe::look;
use crate::signal::{Command, Refused};
use crate::sketch::Sketch;
use crate::step::{about, class_of, run_commands, waits_of};
use std::collections::BTreeSet;
use writ_core::{AgentId, EffectClass};

/// Agents in this process died with it; those that are known to have lived on keep their tickets.
pub(crate) fn recover(to: &mut Sketch<'_>, alive: &BTreeSet<AgentId>) -> Result<(), Refused> {
    for at in 0..to.graph().nodes.len() {
        let StepState::Ticketed(ticket) = &to.cell(at).state else { continue };
        if alive.contains(&ticket.agent) {
            continue;
        }
        let (ticket, step) = (ticket.clone(), about(to, at));
        to.say(match class_of(to, at) {
            // Asking again under the same key is what these are made for: it gives the first outcome, or the only one.
            EffectClass::Keyed | EffectClass::Conditional => {
                What::StepReadied(StepReadied { because: Readied::Restarted, step })
            }
            EffectClass::Probeable | EffectClass::Opaque => What::StepUnclear(StepUnclear {
                because: "the control plane was restarted while it ran".to_owned(),
                epoch: ticket.epoch,
                next: look(to, at),
                step,
                ticket: ticket.id,
            }),
        })?;
    }
    Ok(())
}

/// Every timer and question that the run waits for; setting or asking one twice is doing it once.
pub(crate) fn commands(to: &Sketch<'_>) -> Vec<Command> {
    let steps = (0..to.graph().nodes.len()).flat_map(|at| waits_of(to, at));
    steps.chain(run_commands(to)).collect()
}
