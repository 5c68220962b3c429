//! A plan with the indexes that make one step of a run cost what that step costs.

use crate::options::Options;
use std::collections::HashMap;
use std::sync::Arc;
use writ_core::{Plan, PlanError, Step, StepKey};

/// A step with those that need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) dependents: Vec<usize>,
    /// Positions in [`Graph::slots`] of the limits that it counts against.
    pub(crate) slots: Vec<usize>,
    pub(crate) step: Arc<Step>,
}

/// The steps of a plan, and behind them those that an earlier plan of the run left in the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Graph {
    by_key: HashMap<StepKey, usize>,
    pub(crate) nodes: Vec<Node>,
    /// How many nodes belong to the plan itself.
    pub(crate) planned: usize,
    /// The most that may run at once for each limited key.
    pub(crate) slots: Vec<u32>,
}

impl Graph {
    pub(crate) fn new(plan: &Plan, left: Vec<Arc<Step>>, options: &Options) -> Result<Self, PlanError> {
        let steps: Vec<Arc<Step>> = plan.steps.iter().cloned().map(Arc::new).collect();
        let by_key = index(&steps)?;
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
        for (at, step) in steps.iter().enumerate() {
            for need in &step.needs {
                let Some(needed) = by_key.get(need) else {
                    return Err(PlanError::Missing { step: step.key.clone(), missing: need.clone() });
                };
                // Plans stand in an order that respects needs, which also means that they have no cycle.
                if *needed >= at {
                    return Err(PlanError::Cycle(vec![need.clone(), step.key.clone()]));
                }
                dependents[*needed].push(at);
            }
        }
        let planned = steps.len();
        let names: Vec<&String> = options.limits.keys().collect();
        let nodes: Vec<Node> = steps
            .into_iter()
            .chain(left)
            .zip(dependents.into_iter().chain(std::iter::repeat_with(Vec::new)))
            .map(|(step, dependents)| Node { dependents, slots: slots_of(&step, &names), step })
            .collect();
        let by_key = nodes.iter().enumerate().map(|(at, node)| (node.step.key.clone(), at)).collect();
        Ok(Self { by_key, nodes, planned, slots: options.limits.values().copied().collect() })
    }

    pub(crate) fn find(&self, key: &StepKey) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn step(&self, at: usize) -> &Step {
        &self.nodes[at].step
    }
}

fn index(steps: &[Arc<Step>]) -> Result<HashMap<StepKey, usize>, PlanError> {
    let mut by_key = HashMap::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        if by_key.insert(step.key.clone(), at).is_some() {
            return Err(PlanError::Twice(step.key.clone()));
        }
    }
    Ok(by_key)
}

fn slots_of(step: &Step, names: &[&String]) -> Vec<usize> {
    let is_mine = |name: &str| match name.split_once(':') {
        Some(("action", action)) => action == step.action_name,
        Some(("phase", phase)) => phase == step.phase,
        Some(("resource", resource)) => {
            step.resource.strip_prefix(resource).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        _ => false,
    };
    names.iter().enumerate().filter(|(_, name)| is_mine(name)).map(|(at, _)| at).collect()
}
