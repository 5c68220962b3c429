//! What a run's decision means for the approvals it waits for: they are asked, used, expired or void in the same commit.

use crate::approval::{ApprovalChange, Question};
use crate::body::{ApprovalTerms, Denial};
use crate::cell::StepState;
use crate::event::{RunEvent, What};
use crate::run::Run;
use crate::state::RunState;
use writ_core::{ApprovalId, Digest, StepKey, Timestamp};

/// An approval that a run waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Digest of what people must be shown.
    pub shown: Digest,
    /// The step, or none for the plan as a whole.
    pub step: Option<StepKey>,
    /// Who must agree, and by when.
    pub terms: ApprovalTerms,
}

/// What becomes of one approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The approval.
    pub approval: ApprovalId,
    /// What happened to it.
    pub change: ApprovalChange,
    /// The step it is for, or none for the plan as a whole.
    pub step: Option<StepKey>,
}

impl Run {
    /// The approvals that it waits for: at most one for the plan, and one for each waiting step.
    #[must_use]
    pub fn pending(&self) -> Vec<Pending> {
        let mut pending = Vec::new();
        if let RunState::AwaitingApproval(asked) = self.state() {
            pending.push(Pending { shown: asked.shown, step: None, terms: asked.terms.clone() });
        }
        let steps = self.asking.iter().filter_map(|at| {
            let StepState::AwaitingApproval { shown, terms } = &self.cells[*at].state else { return None };
            let step = Some(self.graph.step(*at).key.clone());
            Some(Pending { shown: *shown, step, terms: terms.clone() })
        });
        pending.extend(steps);
        pending
    }
}

/// What the events between `before` and the run as it is now mean for approvals. One that a person refused is settled by
/// that person's answer, and not here.
#[must_use]
pub fn settle(before: &[Pending], run: &Run, events: &[RunEvent], now: Timestamp) -> Vec<Settled> {
    let after = run.pending();
    let waits = |among: &[Pending], one: &Pending| among.iter().any(|other| other.terms.approval == one.terms.approval);
    let over = before.iter().filter(|one| !waits(&after, one)).filter_map(|one| {
        let change = end_of(one, events, now)?;
        Some(Settled { approval: one.terms.approval.clone(), change, step: one.step.clone() })
    });
    let asked = after.iter().filter(|one| !waits(before, one)).map(|one| {
        let subject = one.step.as_ref().map_or_else(|| run.id().to_string(), |step| format!("{} {step}", run.id()));
        let question = Question {
            excluded: Vec::new(),
            requester: run.submitted().requester.clone(),
            shown: one.shown,
            subject,
            terms: one.terms.clone(),
        };
        let approval = one.terms.approval.clone();
        Settled { approval, change: ApprovalChange::Asked(question), step: one.step.clone() }
    });
    over.chain(asked).collect()
}

fn end_of(one: &Pending, events: &[RunEvent], now: Timestamp) -> Option<ApprovalChange> {
    let id = &one.terms.approval;
    let agreed = |what: &What| {
        matches!(what, What::Approved(given) if given.approval == *id)
            || matches!(what, What::StepApproved(given) if given.approval == *id)
    };
    // People agreed, but by then the world was another one than they were shown.
    let stale = events.iter().any(|event| matches!(event.what, What::Expired(_) | What::Failing(_)));
    if !stale && events.iter().any(|event| agreed(&event.what)) {
        return Some(ApprovalChange::Used);
    }
    if events.iter().any(|event| refuses(&event.what, id)) {
        return None;
    }
    let late = now >= one.terms.expires_at;
    Some(if late { ApprovalChange::Expired } else { ApprovalChange::Void { now_shown: None } })
}

/// Whether an event is a person's no.
fn refuses(what: &What, id: &ApprovalId) -> bool {
    let step = matches!(what, What::StepDenied(denied) if matches!(&denied.denial, Denial::Rejected { approval } if approval == id));
    step || matches!(what, What::Rejected(given) if given.approval == *id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{ApprovalGiven, Because};

    fn pending(expires: i64) -> Pending {
        let terms = ApprovalTerms {
            also: std::collections::BTreeMap::new(),
            approval: ApprovalId::mint(1, [1; 10]),
            count: 1,
            decision: Digest([2; 32]),
            expires_at: Timestamp::from_micros(expires),
            role: "owner".into(),
        };
        Pending { shown: Digest([3; 32]), step: None, terms }
    }

    fn end(what: What, now: i64) -> Option<ApprovalChange> {
        let event = RunEvent { at: Timestamp::from_micros(now), run: writ_core::RunId::mint(1, [0; 10]), what };
        end_of(&pending(100), &[event], Timestamp::from_micros(now))
    }

    #[test]
    fn what_the_run_says_is_what_becomes_of_its_approval() {
        let given = || ApprovalGiven { approval: ApprovalId::mint(1, [1; 10]) };
        assert_eq!(end(What::Approved(given()), 50), Some(ApprovalChange::Used));
        assert_eq!(end(What::Rejected(given()), 50), None, "the person's own answer has ended it");
        let over = || What::Expired(Because { because: "the world has changed".into() });
        assert_eq!(end(over(), 50), Some(ApprovalChange::Void { now_shown: None }));
        assert_eq!(end(over(), 100), Some(ApprovalChange::Expired));
    }
}
