//! Keeping runs apart: no two work on one resource at once, and what a change has taken away is not brought back by healing.

use crate::context::{Origin, RunContext};
use crate::drive::{Drive, DriveError, Inner, has_begun};
use crate::gate::{ASK_AGAIN, finding};
use crate::submission::state_in;
use crate::taken::taken_in;
use serde_json::Value;
use std::collections::BTreeSet;
use writ_automation::{Ask, HeldBy, Hold, Leg, Run, Signal, StepState, Submission};
use writ_core::{ComponentId, LedgerError, Plan, RunId, Step, Timestamp};
use writ_intent::{OUTSIDE_VERB, State};
use writ_self_healing::RemedyAction;

/// The verb that takes an instance away.
pub(crate) const REMOVE: &str = "instance.remove";

/// The verb that sees to it that an instance is there.
pub(crate) const ENSURE: &str = "instance.ensure";

/// The steps of a plan that see to it that an instance is there.
pub(crate) fn instances(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.steps.iter().filter(|step| step.verb == ENSURE)
}

impl Inner {
    /// Why a step must not start now: something else is at work on its resource. A change waits until a remedy is over. A remedy
    /// gives way: what it was thought of for is no longer so.
    pub(crate) fn in_the_way(&self, run: &Run, context: &RunContext, ask: &Ask, now: Timestamp) -> Option<Signal> {
        let deed = run.deed(&ask.step, ask.leg).filter(|deed| deed.verb != OUTSIDE_VERB)?;
        let component = context.component.as_ref()?;
        let heals = context.origin.heals();
        let other = self.at_work(component, deed.resource, Some(run.id()), heals, now)?;
        let (step, because) = (ask.step.clone(), format!("run `{other}` is at work on `{}`", deed.resource));
        Some(if heals {
            Signal::PermitDenied { findings: vec![finding("busy", because)], step }
        } else {
            Signal::PermitHeld { hold: Hold { because, by: HeldBy::Busy }, step, until: now.plus(ASK_AGAIN) }
        })
    }

    /// Another run that is at work on a resource. Of a change, that is what it does now or has taken away; of a remedy, all from
    /// its first step to its end.
    fn at_work(
        &self,
        component: &ComponentId,
        resource: &str,
        own: Option<&RunId>,
        heals: bool,
        now: Timestamp,
    ) -> Option<RunId> {
        // What was granted a moment ago is in no run's record yet.
        let granted = {
            let state = self.gate.state();
            let mut granted = state.tickets.on(resource).map(|ticket| &ticket.order);
            granted.find(|order| Some(&order.run) != own && order.lease_until > now).map(|order| order.run.clone())
        };
        granted.or_else(|| {
            let fits = |other: &Run, context: &RunContext| {
                context.component.as_ref() == Some(component)
                    && Some(other.id()) != own
                    && context.origin.heals() != heals
                    && if heals { is_at(other, resource) } else { heals_on(other, resource) }
            };
            self.live_where(fits).pop()
        })
    }
}

impl Drive {
    /// Refuses a remedy where a change is at work, and while what a change came to is not taken in: it was thought of for a version
    /// that may be in force no more. Whoever asks has the component's turn, so that no change begins meanwhile.
    ///
    /// # Errors
    /// What stands in the way.
    pub(crate) async fn is_left_alone(
        &self,
        component: &ComponentId,
        context: &RunContext,
        submission: &Submission,
    ) -> Result<(), DriveError> {
        if !context.origin.heals() {
            return Ok(());
        }
        let (plan, journal) = (&submission.plan, &self.inner().journal);
        let resources: Vec<String> = plan.steps.iter().map(|step| step.resource.clone()).collect();
        if let Some(run) = self.change_on(component, &resources, journal.now()) {
            return Err(DriveError::Busy { component: component.clone(), run });
        }
        // A run that is over is looked for before what is recorded of it: in between, it is recorded or about to be.
        let under_way = self.run_of(&plan.intent).is_some();
        let read = |error: LedgerError| DriveError::Read { run: submission.run.clone(), because: error.to_string() };
        let Some(doc) = journal.doc("intents", plan.intent.as_str()).await.map_err(read)? else { return Ok(()) };
        let moving = matches!(state_in(&doc), State::Ready | State::Executing | State::Decommissioning);
        let other =
            doc.get("applied_version").and_then(Value::as_u64).is_some_and(|version| version != plan.intent_version);
        // What adds an instance because there are too few takes whichever place is free, and brings nothing back.
        let added = RemedyAction::ScaleOut.name();
        let brought = || plan.steps.iter().filter(|step| step.action_name != added);
        let is_away = |taken: BTreeSet<String>| brought().any(|step| taken.contains(&step.resource));
        let taken = context.origin == Origin::Remedy && taken_in(&doc).is_some_and(is_away);
        if (moving && !under_way) || other || taken {
            return Err(DriveError::Unsettled { component: component.clone() });
        }
        Ok(())
    }

    /// A change that is at work on one of these resources, or has taken it away: no remedy begins there before it is over.
    pub(crate) fn change_on(&self, component: &ComponentId, resources: &[String], now: Timestamp) -> Option<RunId> {
        resources.iter().find_map(|resource| self.inner().at_work(component, resource, None, true, now))
    }
}

/// Whether a change is at work on a resource: its outcome is open, or it is away on purpose.
fn is_at(run: &Run, resource: &str) -> bool {
    run.steps().filter(|(step, _)| step.resource == resource).any(|(step, cell)| match &cell.state {
        StepState::Ticketed(_)
        | StepState::Probing { .. }
        | StepState::Unknown { .. }
        | StepState::RetryWait { .. } => true,
        StepState::Succeeded | StepState::Kept { .. } => step.verb == REMOVE && cell.leg == Leg::Do,
        StepState::Blocked | StepState::Ready | StepState::AwaitingApproval { .. } | StepState::Held { .. } => false,
        StepState::Failed { .. } | StepState::Skipped { .. } | StepState::Undone => false,
    })
}

/// Whether a remedy has begun that does something to a resource.
fn heals_on(run: &Run, resource: &str) -> bool {
    has_begun(run.state()) && run.steps().any(|(step, _)| step.resource == resource)
}
