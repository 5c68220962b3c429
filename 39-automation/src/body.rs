//! The bodies of a run's events. No floats; integers below 2^53; free text is what machines said, cut to a bound.

use crate::attached::Attached;
use crate::cell::{Hold, Leg, Next};
use crate::options::Options;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use writ_core::{
    Actor, AgentId, ApprovalId, Digest, EffectKey, Finding, IntentId, PermitId, Plan, Receipt, RunId, StepKey,
    TicketId, Timestamp,
};

/// The step that an event is about, with what an audit wants to find it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRef {
    /// The action's name: `deploy_instances`.
    pub action: String,
    /// The step's key.
    pub key: StepKey,
    /// Whether it is being done or taken back.
    pub leg: Leg,
    /// What it is done to.
    pub resource: String,
}

/// People who must agree, and by when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalTerms {
    /// People of other roles who must agree as well: how many of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub also: BTreeMap<String, u32>,
    /// The approval's id.
    pub approval: ApprovalId,
    /// How many distinct people must agree.
    pub count: u32,
    /// Digest of the policy decision that asks for it.
    pub decision: Digest,
    /// Until when it can be given.
    pub expires_at: Timestamp,
    /// The role each of them must hold.
    pub role: String,
}

impl ApprovalTerms {
    /// Terms under which so many people of each role must agree; none when nobody must.
    #[must_use]
    pub fn of(
        mut quorums: BTreeMap<String, u32>,
        approval: ApprovalId,
        decision: Digest,
        expires_at: Timestamp,
    ) -> Option<Self> {
        let (role, count) = quorums.pop_first()?;
        Some(Self { also: quorums, approval, count, decision, expires_at, role })
    }

    /// How many people of each role must agree.
    pub fn quorums(&self) -> impl Iterator<Item = (&str, u32)> {
        let also = self.also.iter().map(|(role, count)| (role.as_str(), *count));
        std::iter::once((self.role.as_str(), self.count)).chain(also)
    }

    /// Whether whoever agreed to these has agreed to what is asked for now.
    #[must_use]
    pub fn cover(&self, quorums: &BTreeMap<String, u32>) -> bool {
        let held: BTreeMap<&str, u32> = self.quorums().collect();
        quorums.iter().all(|(role, count)| held.get(role.as_str()).is_some_and(|held| held >= count))
    }
}

/// What stands before the first step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// People who must agree.
    pub approval: Option<ApprovalTerms>,
    /// When the window opens.
    pub window_opens_at: Option<Timestamp>,
}

/// Nothing more to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {}

/// Why it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// One sentence.
    pub because: String,
}

/// `run.submitted/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submitted {
    /// What stands before the first step.
    pub gate: Gate,
    /// The intent that the plan carries out.
    pub intent: IntentId,
    /// Which version of it.
    pub intent_version: u64,
    /// How it is to be run.
    pub options: Options,
    /// The run that this one starts over, when it does.
    pub parent: Option<RunId>,
    /// The plan; the journal holds its digest, the plan itself is attached.
    pub plan: Attached<Plan>,
    /// Who asked for it.
    pub requester: Actor,
}

/// `run.validated/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validated {
    /// How many steps there are.
    pub steps: u64,
}

/// `run.approval_asked/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalAsked {
    /// Digest of what approvers are shown; anything else they agree to does not count.
    pub shown: Digest,
    /// Who must agree, and by when.
    pub terms: ApprovalTerms,
}

/// `run.approved/1` and `run.rejected/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalGiven {
    /// The approval; who gave it and why stands in its own stream.
    pub approval: ApprovalId,
}

/// `run.window_awaited/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowAwaited {
    /// When the window opens.
    pub opens_at: Timestamp,
}

/// `run.replanning/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replanning {
    /// What stands before the first step under the new plan.
    pub gate: Gate,
    /// The new plan.
    pub plan: Attached<Plan>,
}

/// `run.replanned/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replanned {
    /// Steps that are done and need not be done again: same key, same parameters.
    pub carried: Vec<StepKey>,
    /// Steps that are done and that the new plan does not have; taken back last if the run is rolled back.
    pub left: Vec<StepKey>,
    /// Counts up with each plan of the run.
    pub revision: u64,
}

/// `run.failing/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failing {
    /// One sentence.
    pub because: String,
    /// Whether somebody asked for it to be taken back, whatever the options say.
    pub rollback: bool,
}

/// Why steps are taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Back {
    /// The run failed.
    Failure,
    /// The run was cancelled.
    Cancel,
}

/// `run.compensating/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compensating {
    /// Why.
    pub why: Back,
}

/// Where a run goes on once a person has helped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Then {
    /// Steps go on.
    Running,
    /// It still fails.
    Failing(Failing),
    /// It is still being cancelled.
    Cancelling(Cancelling),
    /// Taking back goes on.
    Compensating(Compensating),
}

/// `run.needs_operator/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeedsOperator {
    /// One sentence: what a person must decide.
    pub because: String,
    /// Where it goes on afterwards.
    pub then: Then,
}

/// `run.cancelling/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancelling {
    /// Whether what was done is taken back.
    pub compensate: bool,
}

/// `run.step_approval_asked/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepApprovalAsked {
    /// Digest of what approvers are shown.
    pub shown: Digest,
    /// The step.
    pub step: StepRef,
    /// Who must agree, and by when.
    pub terms: ApprovalTerms,
}

/// `run.step_approved/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepApproved {
    /// The approval.
    pub approval: ApprovalId,
    /// The step.
    pub step: StepRef,
}

/// `run.step_held/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepHeld {
    /// What holds it.
    pub hold: Hold,
    /// The step.
    pub step: StepRef,
    /// When it is asked for again.
    pub until: Timestamp,
}

/// Why a step may not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Denial {
    /// Policy, agents or permits speak against it.
    Gate {
        /// What was found.
        findings: Vec<Finding>,
    },
    /// Approvers said no.
    Rejected {
        /// The approval.
        approval: ApprovalId,
    },
    /// Approvers said nothing in time.
    ApprovalExpired {
        /// The approval.
        approval: ApprovalId,
    },
    /// It was held for longer than a step may wait.
    NeverStarted {
        /// What held it at the end.
        hold: Hold,
        /// How long a step may wait, in milliseconds.
        limit_ms: u64,
    },
}

/// `run.step_denied/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDenied {
    /// Why.
    pub denial: Denial,
    /// The step.
    pub step: StepRef,
}

/// Why a step may be asked for (again).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readied {
    /// What held it is over, or the wait between two attempts is.
    Waited,
    /// The control plane was restarted while it ran; the effect's class allows asking again under the same key.
    Restarted,
    /// An operator asked for it; attempts are counted anew.
    Retried,
}

/// `run.step_readied/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepReadied {
    /// Why.
    pub because: Readied,
    /// The step.
    pub step: StepRef,
}

/// `run.step_started/1`: the intent to act, durable before the effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepStarted {
    /// Who does it.
    pub agent: AgentId,
    /// The approval it rests on, when it needed one.
    pub approval: Option<ApprovalId>,
    /// The attempt, from 1.
    pub attempt: u32,
    /// When an outcome is no longer waited for.
    pub due_at: Timestamp,
    /// The idempotency key: the same for every attempt.
    pub effect_key: EffectKey,
    /// Counts up with each attempt and each change of hands.
    pub epoch: u64,
    /// When the agent's right to the step ends.
    pub lease_until: Timestamp,
    /// The signed order.
    pub permit: PermitId,
    /// Its digest.
    pub permit_digest: Digest,
    /// The step.
    pub step: StepRef,
    /// The ticket.
    pub ticket: TicketId,
}

/// `run.step_succeeded/1` and `run.step_undone/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDone {
    /// The epoch under which it was done.
    pub epoch: u64,
    /// Whether it was found out by asking the provider afterwards.
    pub probed: bool,
    /// What the provider said.
    pub receipt: Receipt,
    /// The step.
    pub step: StepRef,
    /// The ticket under which it was done.
    pub ticket: TicketId,
}

/// `run.step_failed/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepFailed {
    /// What the provider said.
    pub because: String,
    /// The epoch.
    pub epoch: u64,
    /// What comes next.
    pub next: Next,
    /// The step.
    pub step: StepRef,
    /// The ticket.
    pub ticket: TicketId,
}

/// `run.step_unclear/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepUnclear {
    /// Why nobody knows.
    pub because: String,
    /// The epoch.
    pub epoch: u64,
    /// What comes next.
    pub next: Next,
    /// The step.
    pub step: StepRef,
    /// The ticket.
    pub ticket: TicketId,
}

/// `run.step_probed/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepProbed {
    /// Whether it is certain that the effect did not happen.
    pub absent: bool,
    /// What the provider said.
    pub because: String,
    /// What comes next.
    pub next: Next,
    /// The step.
    pub step: StepRef,
}

/// `run.step_resolved/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepResolved {
    /// Whether the effect is there.
    pub happened: bool,
    /// What comes next when it is not.
    pub next: Next,
    /// Commitment to the operator's words, which stand beside the journal and can be erased.
    pub reason: Digest,
    /// The step.
    pub step: StepRef,
}

/// `run.step_kept/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepKept {
    /// Why it is not taken back.
    pub because: String,
    /// The step.
    pub step: StepRef,
}

/// What an agent answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// That it was done.
    Done,
    /// That it failed.
    Failed,
    /// That it does not know.
    Unclear,
    /// What came of it, asked of the provider.
    Probed,
}

/// `run.late_answer/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LateAnswer {
    /// What was answered.
    pub answer: Answered,
    /// The epoch that the answer is of.
    pub epoch: u64,
    /// The newest epoch of the step.
    pub live_epoch: u64,
    /// The step.
    pub step: StepRef,
    /// The ticket that the answer is of.
    pub ticket: TicketId,
}
