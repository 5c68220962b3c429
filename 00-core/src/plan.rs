//! The plan: what will be done, as a DAG that four layers read.

use crate::{ActionId, Digest, EffectClass, IntentId, StepKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The part of an execution a step belongs to: `provision_infrastructure`, `deploy_application`.
pub type Phase = String;

/// What an agent must hold to do an action: `execute:recovery`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permission(pub String);

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an action does to what is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// It is not there yet.
    Create,
    /// It is there and stays, with other values at these paths.
    Update {
        /// Pointers into the config whose values change.
        paths: Vec<String>,
    },
    /// It is there and must be made anew.
    Replace {
        /// The pointer whose change forces it.
        because: String,
    },
    /// It is there and must go.
    Delete,
}

/// One action as the intent's translation declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The action's name: `deploy_instances`.
    pub action: String,
    /// What it does to what is there.
    pub change: Change,
    /// The declared values, as the translation document shows them.
    pub config: Value,
    /// A content hash that survives re-planning.
    pub id: ActionId,
    /// The action that takes it back: `destroy_instances`.
    pub inverse: String,
    /// Actions that must be done first, sorted.
    pub needs: Vec<ActionId>,
    /// The permission an agent needs for it.
    pub permission: Permission,
    /// The phase it belongs to.
    pub phase: Phase,
}

/// What takes a step back. States desired state like any effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// How the undoing behaves when asked for twice.
    pub class: EffectClass,
    /// Its parameters.
    pub params: Value,
    /// The provider's verb.
    pub verb: String,
}

/// How often and how far apart a step is tried. Delays grow by `factor_percent` up to the ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRule {
    /// Attempts in all, the first included; at least one.
    pub attempts: u32,
    /// The longest delay, in milliseconds.
    pub ceiling_ms: u64,
    /// Growth from one delay to the next, in percent: 200 doubles.
    pub factor_percent: u32,
    /// The first delay, in milliseconds.
    pub first_ms: u64,
}

impl Default for RetryRule {
    fn default() -> Self {
        Self { attempts: 3, ceiling_ms: 30_000, factor_percent: 200, first_ms: 500 }
    }
}

/// One effect of a plan: the smallest thing that is permitted, done, retried and undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The action it carries out.
    pub action: ActionId,
    /// The action's name, for policy, agents and people.
    pub action_name: String,
    /// How the effect behaves when asked for twice.
    pub class: EffectClass,
    /// The action's id, a slash and what it is about.
    pub key: StepKey,
    /// Steps that must have succeeded first, sorted.
    pub needs: Vec<StepKey>,
    /// Parameters: desired state; integers, texts, lists and maps only.
    pub params: Value,
    /// The permission its agent needs.
    pub permission: Permission,
    /// The phase it belongs to.
    pub phase: Phase,
    /// What it is done to.
    pub resource: String,
    /// How often it is tried.
    pub retry: RetryRule,
    /// How long one attempt may run, in milliseconds.
    pub timeout_ms: u64,
    /// What takes it back; none when nothing can.
    pub undo: Option<Undo>,
    /// The provider's verb.
    pub verb: String,
}

/// A plan: actions for people and gates, steps for the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Actions, in an order that respects `needs`.
    pub actions: Vec<Action>,
    /// The intent it carries out.
    pub intent: IntentId,
    /// Digest of the intent's canonical form.
    pub intent_digest: Digest,
    /// Which version of it.
    pub intent_version: u64,
    /// Steps, in an order that respects `needs`.
    pub steps: Vec<Step>,
    /// Digest of the world it was made against; the run refuses to start on another.
    pub world: Digest,
}

/// Why a plan is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Two steps have one key.
    #[error("two steps have the key `{0}`")]
    Twice(StepKey),
    /// A step needs one that is not in the plan.
    #[error("step `{step}` needs `{missing}`, which the plan does not have")]
    Missing {
        /// The step that needs it.
        step: StepKey,
        /// What is missing.
        missing: StepKey,
    },
    /// Steps wait for each other in a ring, or stand before what they need.
    #[error("steps form a cycle through {}", .0.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))]
    Cycle(Vec<StepKey>),
}

impl Plan {
    /// Checks that keys are unique, needs exist, and steps can be put in order.
    ///
    /// # Errors
    /// Names the steps that break it.
    pub fn check(&self) -> Result<(), PlanError> {
        let mut open: BTreeMap<&StepKey, BTreeSet<&StepKey>> = BTreeMap::new();
        for step in &self.steps {
            if open.insert(&step.key, step.needs.iter().collect()).is_some() {
                return Err(PlanError::Twice(step.key.clone()));
            }
        }
        for step in &self.steps {
            if let Some(missing) = step.needs.iter().find(|need| !open.contains_key(need)) {
                return Err(PlanError::Missing { step: step.key.clone(), missing: missing.clone() });
            }
        }
        while !open.is_empty() {
            let ready: Vec<&StepKey> = open.iter().filter(|(_, needs)| needs.is_empty()).map(|(key, _)| *key).collect();
            if ready.is_empty() {
                return Err(PlanError::Cycle(open.keys().map(|key| (*key).clone()).collect()));
            }
            for key in ready {
                open.remove(key);
                for needs in open.values_mut() {
                    needs.remove(key);
                }
            }
        }
        Ok(())
    }

    /// The step with this key.
    #[must_use]
    pub fn step(&self, key: &StepKey) -> Option<&Step> {
        self.steps.iter().find(|step| step.key == *key)
    }
}
