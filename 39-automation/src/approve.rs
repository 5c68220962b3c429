//! What stands before a run's first step, and people's answers. Who they are and whether they are enough is counted in
//! [`Approval`](crate::Approval); here an answer counts only for exactly what would be done.

use crate::body::{
    ApprovalAsked, ApprovalGiven, ApprovalTerms, Because, Denial, Failing, Plain, StepApproved, WindowAwaited,
};
use crate::cell::StepState;
use crate::event::What;
use crate::fold::Board;
use crate::permit::deny;
use crate::run::Head;
use crate::signal::Refused;
use crate::sketch::Sketch;
use crate::state::RunState;
use crate::step::about;
use serde_json::json;
use writ_core::{ApprovalId, Digest};

/// The next thing before the first step: people, then the window, then the start.
pub(crate) fn gate(sketch: &Sketch<'_>) -> What {
    let head = sketch.head();
    if let Some(terms) = &head.gate.approval {
        return What::ApprovalAsked(ApprovalAsked { shown: shown(head, terms), terms: terms.clone() });
    }
    match head.gate.window_opens_at {
        Some(opens_at) if sketch.now < opens_at => What::WindowAwaited(WindowAwaited { opens_at }),
        Some(_) | None => What::Started(Plain {}),
    }
}

/// Digest of what approvers of a plan are shown: any other plan, revision or policy decision has another.
fn shown(head: &Head, terms: &ApprovalTerms) -> Digest {
    let what = json!({"decision": terms.decision, "plan": head.plan, "revision": head.revision, "run": head.id});
    writ_seal::sha256(what.to_string().as_bytes())
}

pub(crate) fn approved(
    to: &mut Sketch<'_>,
    approval: ApprovalId,
    (given, world): (Digest, Digest),
    barred: Option<String>,
) -> Result<(), Refused> {
    if let RunState::AwaitingApproval(asked) = to.head().state.clone()
        && asked.terms.approval == approval
    {
        same_shown(&approval, given, asked.shown)?;
        if to.now >= asked.terms.expires_at {
            return give_up(to, &format!("approval `{approval}` came after it had expired"));
        }
        to.say(What::Approved(ApprovalGiven { approval }))?;
        return match barred {
            Some(because) => give_up(to, &because),
            None => same_world(to, world),
        };
    }
    let (at, waiting, terms) = step_awaiting(to, &approval)?;
    same_shown(&approval, given, waiting)?;
    if to.now >= terms.expires_at {
        return deny(to, at, Denial::ApprovalExpired { approval });
    }
    to.say(What::StepApproved(StepApproved { approval, step: about(to, at) }))?;
    Ok(())
}

pub(crate) fn rejected(to: &mut Sketch<'_>, approval: ApprovalId) -> Result<(), Refused> {
    if awaits(to, &approval) {
        return match to.head().top {
            None => Ok(to.say(What::Rejected(ApprovalGiven { approval }))?),
            Some(_) => give_up(to, &format!("approval `{approval}` of the new plan was refused")),
        };
    }
    let (at, ..) = step_awaiting(to, &approval)?;
    deny(to, at, Denial::Rejected { approval })
}

/// The time in which people could answer is over.
pub(crate) fn expired(to: &mut Sketch<'_>, approval: ApprovalId) -> Result<(), Refused> {
    if awaits(to, &approval) {
        return give_up(to, &format!("approval `{approval}` was not given in time"));
    }
    match step_awaiting(to, &approval) {
        Ok((at, _, terms)) if to.now >= terms.expires_at => deny(to, at, Denial::ApprovalExpired { approval }),
        // Answered in the meantime: the timer is no longer of use.
        Ok(_) | Err(_) => Ok(()),
    }
}

pub(crate) fn window_opened(to: &mut Sketch<'_>, world: Digest) -> Result<(), Refused> {
    to.say(What::WindowOpened(Plain {}))?;
    same_world(to, world)
}

/// A plan is not carried out on another world than it was made for, however long people took.
fn same_world(to: &mut Sketch<'_>, world: Digest) -> Result<(), Refused> {
    if to.head().world == world {
        return Ok(());
    }
    let planned = to.head().world;
    give_up(to, &format!("the world has changed since the plan was made: it was {planned} and is {world}"))
}

/// Ends a run that has not begun; one that has done something already fails, so that it can be taken back.
fn give_up(to: &mut Sketch<'_>, because: &str) -> Result<(), Refused> {
    let because = because.to_owned();
    Ok(to.say(match to.head().top {
        None => What::Expired(Because { because }),
        Some(_) => What::Failing(Failing { because, rollback: false }),
    })?)
}

fn awaits(to: &Sketch<'_>, approval: &ApprovalId) -> bool {
    matches!(&to.head().state, RunState::AwaitingApproval(asked) if asked.terms.approval == *approval)
}

fn same_shown(approval: &ApprovalId, approved: Digest, waiting: Digest) -> Result<(), Refused> {
    if approved == waiting {
        return Ok(());
    }
    Err(Refused::OtherShown { approval: approval.clone(), approved, waiting })
}

fn step_awaiting(to: &Sketch<'_>, approval: &ApprovalId) -> Result<(usize, Digest, ApprovalTerms), Refused> {
    let waiting = to.states().find_map(|(at, state)| {
        let StepState::AwaitingApproval { shown, terms } = state else { return None };
        (terms.approval == *approval).then(|| (at, *shown, terms.clone()))
    });
    waiting.ok_or_else(|| Refused::UnknownApproval { run: to.head().id.clone(), approval: approval.clone() })
}
