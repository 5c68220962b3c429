//! From actions and what each means in the world to one plan.

use super::Act;
use std::collections::{BTreeMap, BTreeSet};
use writ_core::{ActionId, Plan, StepKey};

/// Why actions do not make one plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// All that it asks for holds already.
    #[error("all of it holds already: there is nothing to do")]
    Nothing,
    /// Two actions are about one thing, and each was worked out as if the other were not there.
    #[error("`{first}` and `{second}` are both about `{resource}`; run them as two playbooks, one after the other")]
    Twice {
        /// One action.
        first: String,
        /// The other.
        second: String,
        /// What both are about.
        resource: String,
    },
}

/// One plan of all actions: an action's first steps wait for every step of the actions that it needs. What has no plan, or one
/// without steps, is passed over, and who needs it waits for what it needs itself.
///
/// # Errors
/// When there is nothing to do, or two actions are about one thing.
pub fn join(parts: Vec<(Act, Option<Plan>)>) -> Result<Plan, JoinError> {
    let mut over: BTreeMap<String, (BTreeSet<StepKey>, BTreeSet<ActionId>)> = BTreeMap::new();
    let mut about: BTreeMap<String, String> = BTreeMap::new();
    let mut joined: Option<Plan> = None;
    for (act, plan) in parts {
        let (mut steps, mut actions) = (BTreeSet::new(), BTreeSet::new());
        for (of_steps, of_actions) in act.needs.iter().filter_map(|name| over.get(name)) {
            steps.extend(of_steps.iter().cloned());
            actions.extend(of_actions.iter().cloned());
        }
        let Some(mut plan) = plan.filter(|plan| act.skipped.is_none() && !plan.steps.is_empty()) else {
            over.insert(act.name, (steps, actions));
            continue;
        };
        for step in &mut plan.steps {
            if let Some(first) = about.insert(step.resource.clone(), act.name.clone()).filter(|name| *name != act.name)
            {
                return Err(JoinError::Twice { first, second: act.name, resource: step.resource.clone() });
            }
            step.needs.extend(steps.iter().cloned());
            step.needs.sort();
            step.timeout_ms = act.timeout_ms;
            step.retry.attempts = act.attempts;
        }
        for action in &mut plan.actions {
            action.needs = actions.iter().cloned().collect();
        }
        let done = plan.steps.iter().map(|step| step.key.clone()).collect();
        over.insert(act.name, (done, plan.actions.iter().map(|action| action.id.clone()).collect()));
        match &mut joined {
            None => joined = Some(plan),
            Some(joined) => {
                joined.actions.extend(plan.actions);
                joined.steps.extend(plan.steps);
            }
        }
    }
    joined.ok_or(JoinError::Nothing)
}
