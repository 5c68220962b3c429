//! The gate's answers about one step.

use crate::body::{ApprovalTerms, Denial, StepApprovalAsked, StepDenied, StepHeld, StepStarted, StepUnclear};
use crate::cell::{Hold, Leg, StepState};
use crate::event::What;
use crate::fold::Board;
use crate::probe;
use crate::run::effect_key;
use crate::signal::{Grant, Refused};
use crate::sketch::Sketch;
use crate::step::{about, find};
use serde_json::json;
use std::time::Duration;
use writ_core::{Digest, Finding, StepKey, Timestamp};

/// A permit was signed: from this event on the effect may happen, so it is recorded before anybody acts on it.
pub(crate) fn granted(to: &mut Sketch<'_>, grant: Grant) -> Result<(), Refused> {
    let at = find(to, &grant.step)?;
    let (cell, head) = (to.cell(at), to.head());
    if cell.state == StepState::Ready && head.state.leg() == Some(cell.leg) {
        let at_least = cell.epoch + 1;
        if grant.epoch < at_least {
            return Err(Refused::Epoch { step: grant.step, granted: grant.epoch, at_least });
        }
        if grant.lease_until <= to.now {
            return Err(Refused::LeaseOver { step: grant.step, ended: grant.lease_until });
        }
        let slots = &to.graph().nodes[at].slots;
        let full = slots.iter().any(|slot| head.busy[*slot] >= to.graph().slots[*slot]);
        if full || head.in_flight >= to.run().options().limit {
            return Err(Refused::Full { step: grant.step });
        }
    }
    let leg = cell.leg;
    let started = StepStarted {
        agent: grant.agent,
        approval: cell.approval.as_ref().map(|terms| terms.approval.clone()),
        attempt: cell.attempts + 1,
        due_at: to.now.plus(Duration::from_millis(to.graph().step(at).timeout_ms)),
        effect_key: effect_key(&head.id, &grant.step, cell.revision, leg),
        epoch: grant.epoch,
        lease_until: grant.lease_until,
        permit: grant.permit,
        permit_digest: grant.permit_digest,
        step: about(to, at),
        ticket: grant.ticket,
    };
    Ok(to.say(What::StepStarted(started))?)
}

pub(crate) fn denied(to: &mut Sketch<'_>, step: &StepKey, findings: Vec<Finding>) -> Result<(), Refused> {
    let at = find(to, step)?;
    deny(to, at, Denial::Gate { findings })
}

pub(crate) fn needs_approval(to: &mut Sketch<'_>, step: &StepKey, terms: ApprovalTerms) -> Result<(), Refused> {
    let at = find(to, step)?;
    let shown = shown(to, at, terms.decision);
    Ok(to.say(What::StepApprovalAsked(StepApprovalAsked { shown, step: about(to, at), terms }))?)
}

pub(crate) fn held(to: &mut Sketch<'_>, step: &StepKey, hold: Hold, until: Timestamp) -> Result<(), Refused> {
    let at = find(to, step)?;
    let limit_ms = to.run().options().start_timeout_ms;
    let ready_at = to.cell(at).ready_at.unwrap_or(to.now);
    let last = ready_at.plus(Duration::from_millis(limit_ms));
    if to.now >= last {
        return deny(to, at, Denial::NeverStarted { hold, limit_ms });
    }
    // At least a millisecond, so that a gate which says "now" is not asked in a circle.
    let until = until.min(last).max(to.now.plus(Duration::from_millis(1)));
    Ok(to.say(What::StepHeld(StepHeld { hold, step: about(to, at), until }))?)
}

/// A step may not start. When an earlier attempt of it may have happened, that is found out first.
pub(crate) fn deny(to: &mut Sketch<'_>, at: usize, denial: Denial) -> Result<(), Refused> {
    let step = about(to, at);
    match (to.cell(at).doubt, to.cell(at).ticket.clone()) {
        (true, Some(ticket)) => {
            let because = format!("an earlier attempt may have happened, and now {denial}");
            let next = probe::look(to, at);
            Ok(to.say(What::StepUnclear(StepUnclear {
                because,
                epoch: ticket.epoch,
                next,
                step,
                ticket: ticket.id,
            }))?)
        }
        (true, None) | (false, _) => Ok(to.say(What::StepDenied(StepDenied { denial, step }))?),
    }
}

/// Digest of what approvers of a step are shown: another effect, parameter or policy decision has another.
fn shown(to: &Sketch<'_>, at: usize, decision: Digest) -> Digest {
    let (step, cell) = (to.graph().step(at), to.cell(at));
    let (params, verb) = match (cell.leg, &step.undo) {
        (Leg::Undo, Some(undo)) => (&undo.params, &undo.verb),
        (Leg::Do | Leg::Undo, _) => (&step.params, &step.verb),
    };
    let effect = effect_key(&to.head().id, &step.key, cell.revision, cell.leg);
    let what = json!({
        "decision": decision, "effect": effect, "params": params, "resource": step.resource, "run": to.head().id, "verb": verb,
    });
    writ_seal::sha256(what.to_string().as_bytes())
}
