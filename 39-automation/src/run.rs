//! A run: the fold of what was recorded about it.

use crate::body::{Gate, StepRef, Submitted};
use crate::cell::{Cell, Leg, StepState};
use crate::event::{RunEvent, What};
use crate::fold::{Board, apply};
use crate::graph::Graph;
use crate::options::Options;
use crate::state::RunState;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use writ_core::{Digest, EffectClass, EffectKey, Permission, PlanError, RunId, StepKey, Timestamp};

/// A run: the fold of its events. Two runs are equal when all that is known of them is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub(crate) cells: Vec<Cell>,
    pub(crate) graph: Arc<Graph>,
    pub(crate) head: Head,
    pub(crate) ready: BTreeSet<usize>,
    /// Steps that wait for people.
    pub(crate) asking: BTreeSet<usize>,
}

/// What is known of the run as a whole: small, so that a decision can copy it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// Steps that run, for each limited key.
    pub(crate) busy: Vec<u32>,
    pub(crate) deadline: Option<Timestamp>,
    /// Steps whose effect may have happened while nobody works on them or looks for it.
    pub(crate) doubtful: u32,
    pub(crate) ended_at: Option<Timestamp>,
    /// What still stands before the first step.
    pub(crate) gate: Gate,
    pub(crate) id: RunId,
    pub(crate) in_flight: u32,
    /// Steps that nothing could take back.
    pub(crate) kept: u32,
    /// Steps that have not succeeded yet.
    pub(crate) open: usize,
    pub(crate) plan: Digest,
    /// Steps that failed for good on the leg that is under way.
    pub(crate) stuck: u32,
    pub(crate) revision: u64,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) state: RunState,
    pub(crate) submitted: Arc<Submitted>,
    pub(crate) submitted_at: Timestamp,
    /// The step that succeeded last and was not taken back.
    pub(crate) top: Option<usize>,
    /// Steps whose outcome only a person can find.
    pub(crate) unknown: u32,
    /// Digest of the world that the plan in force was made for.
    pub(crate) world: Digest,
}

/// Why events do not make a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// There is nothing to fold, or the first event is not a submission.
    #[error("a run begins with `run.submitted`, not with {}", .found.map_or("nothing".to_owned(), |kind| format!("`{kind}`")))]
    Beginning {
        /// The kind of the first event.
        found: Option<&'static str>,
    },
    /// An event does not fit the state before it.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// A plan was not attached.
    #[error("plan {digest} is not attached")]
    PlanMissing {
        /// Its digest.
        digest: Digest,
    },
    /// A plan cannot be carried out.
    #[error("the plan cannot be carried out")]
    Plan(#[source] PlanError),
}

/// An event and a state that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` does not go with {subject}, which is {state}")]
pub struct Illegal {
    /// The event's kind.
    pub event: &'static str,
    /// The state's name.
    pub state: &'static str,
    /// The run or step.
    pub subject: String,
}

/// What is done for a step: what a gate needs to judge it and a provider to do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed<'a> {
    /// The action's name.
    pub action: &'a str,
    /// How it behaves when asked for twice.
    pub class: EffectClass,
    /// Its parameters.
    pub params: &'a Value,
    /// The permission an agent needs.
    pub permission: &'a Permission,
    /// What it is done to.
    pub resource: &'a str,
    /// The provider's verb.
    pub verb: &'a str,
}

impl Run {
    /// The run that these events tell.
    ///
    /// # Errors
    /// When they do not begin with a submission, do not fit each other, or a plan is missing.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a RunEvent>) -> Result<Self, FoldError> {
        let mut events = events.into_iter();
        let first = events.next().ok_or(FoldError::Beginning { found: None })?;
        let mut run = Self::begin(first)?;
        events.try_for_each(|event| run.apply(event))?;
        Ok(run)
    }

    /// The run that a submission begins.
    ///
    /// # Errors
    /// When the event is another one, or its plan is missing or cannot be carried out.
    pub fn begin(event: &RunEvent) -> Result<Self, FoldError> {
        let What::Submitted(submitted) = &event.what else {
            return Err(FoldError::Beginning { found: Some(event.what.kind()) });
        };
        let missing = FoldError::PlanMissing { digest: submitted.plan.digest };
        let plan = submitted.plan.content().ok_or(missing)?;
        let graph = Graph::new(plan, Vec::new(), &submitted.options).map_err(FoldError::Plan)?;
        let cells: Vec<Cell> = graph.nodes.iter().map(|node| Cell::new(node.step.needs.len(), 1, event.at)).collect();
        let ready = (0..cells.len()).filter(|at| cells[*at].state == StepState::Ready).collect();
        let head = Head {
            busy: vec![0; graph.slots.len()],
            deadline: None,
            doubtful: 0,
            ended_at: None,
            gate: submitted.gate.clone(),
            id: event.run.clone(),
            in_flight: 0,
            kept: 0,
            open: cells.len(),
            plan: submitted.plan.digest,
            stuck: 0,
            revision: 1,
            started_at: None,
            state: RunState::Submitted,
            submitted: Arc::new(submitted.clone()),
            submitted_at: event.at,
            top: None,
            unknown: 0,
            world: plan.world,
        };
        Ok(Self { cells, graph: Arc::new(graph), head, ready, asking: BTreeSet::new() })
    }

    /// Takes one more event in. What was recorded is the only thing that changes a run.
    ///
    /// # Errors
    /// When it does not fit the state, which then stays as it was.
    pub fn apply(&mut self, event: &RunEvent) -> Result<(), FoldError> {
        apply(self, event)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.head.id
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.head.state
    }

    /// Digest of the plan in force.
    #[must_use]
    pub fn plan(&self) -> Digest {
        self.head.plan
    }

    /// Which plan of the run is in force, from 1.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.head.revision
    }

    /// How it was submitted.
    #[must_use]
    pub fn submitted(&self) -> &Submitted {
        &self.head.submitted
    }

    /// When it was submitted.
    #[must_use]
    pub fn submitted_at(&self) -> Timestamp {
        self.head.submitted_at
    }

    /// When its first step could start.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        self.head.started_at
    }

    /// When it was over.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.head.ended_at
    }

    /// Its steps with what is known of each, in the plan's order; behind them those that an earlier plan left in the world.
    pub fn steps(&self) -> impl Iterator<Item = (&writ_core::Step, &Cell)> {
        self.graph.nodes.iter().map(|node| &*node.step).zip(&self.cells)
    }

    /// One step with what is known of it.
    #[must_use]
    pub fn step(&self, key: &StepKey) -> Option<(&writ_core::Step, &Cell)> {
        let at = self.graph.find(key)?;
        Some((self.graph.step(at), &self.cells[at]))
    }

    /// What is done for a step on a leg; none for an unknown step, or an undo that it does not have.
    #[must_use]
    pub fn deed(&self, key: &StepKey, leg: Leg) -> Option<Deed<'_>> {
        let step = self.graph.step(self.graph.find(key)?);
        let (class, params, verb) = match leg {
            Leg::Do => (step.class, &step.params, &step.verb),
            Leg::Undo => {
                let undo = step.undo.as_ref()?;
                (undo.class, &undo.params, &undo.verb)
            }
        };
        let (action, permission) = (step.action_name.as_str(), &step.permission);
        Some(Deed { action, class, params, permission, resource: &step.resource, verb })
    }

    pub(crate) fn options(&self) -> &Options {
        &self.head.submitted.options
    }
}

/// The idempotency key of one effect of a run.
#[must_use]
pub fn effect_key(run: &RunId, step: &StepKey, revision: u64, leg: Leg) -> EffectKey {
    // Sorted keys and text values only: these are the canonical bytes, and there is nothing in them that has none.
    let named = json!({"leg": leg, "plan_revision": revision, "run": run, "step": step});
    EffectKey::of(&writ_seal::sha256(named.to_string().as_bytes()))
}

pub(crate) fn step_ref(board: &impl Board, at: usize) -> StepRef {
    let step = board.graph().step(at);
    StepRef {
        action: step.action_name.clone(),
        key: step.key.clone(),
        leg: board.cell(at).leg,
        resource: step.resource.clone(),
    }
}
