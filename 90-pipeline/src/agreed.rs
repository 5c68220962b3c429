//! What waited for people is judged anew when they have agreed: other policies may be in force by then, a waiver may be over, and
//! a rule may want other people asked. Steps need no such thing, for the gate judges each when it is due.

use crate::approvals::{AnswerError, Principal};
use crate::causes::error_chain;
use crate::commit::Batch;
use crate::context::{Origin, RunContext};
use crate::decided::Decided;
use crate::pipeline::Pipeline;
use crate::replan::ReplanError;
use crate::submission::policy_decided;
use crate::submit::{SubmitError, role_to_ask};
use crate::tokens::remaining;
use crate::{decommission, playbook};
use std::collections::BTreeMap;
use writ_automation::{ApprovalTerms, Run, RunEvent};
use writ_core::{Decision, Finding, LedgerError, Stage};

/// What policy says of something now.
struct Anew {
    /// Why it is not let in at all.
    denied: Option<String>,
    judged: Vec<(Stage, Decided)>,
    quorums: BTreeMap<String, u32>,
}

impl Pipeline {
    /// Why a run that people agreed to is not let in any more, which is recorded; none where it is.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub(crate) async fn barred_by_now(
        &self,
        run: &Run,
        context: &RunContext,
        asked: &ApprovalTerms,
    ) -> Result<Option<String>, AnswerError> {
        let mut context = context.clone();
        if let Some(lost) = self.lost_by_requester(run, &mut context).await? {
            return Ok(Some(lost));
        }
        let Some(anew) = self.judged_anew(run, &context).await? else { return Ok(None) };
        let others = || "other people would have to agree by now; ask again, and they are asked".to_owned();
        let barred = anew.denied.or_else(|| (!asked.cover(&anew.quorums)).then(others));
        if barred.is_some() {
            let mut batch = Batch::default();
            for (stage, decided) in &anew.judged {
                let kept = batch.attach(decided.bytes.clone());
                batch.drafts.push(policy_decided(&run.submitted().intent, *stage, decided, kept));
            }
            let entries = self.journal().stream(&RunEvent::stream(run.id())).await?;
            self.journal().commit(&self.journal().cause_after(entries.last()), batch).await?;
        }
        Ok(barred)
    }

    /// Leaves whoever asked for a run the roles that they still have. Why it is not let in for want of the one that lets ask.
    async fn lost_by_requester(&self, run: &Run, context: &mut RunContext) -> Result<Option<String>, LedgerError> {
        let asked = &run.submitted().requester;
        let Ok(id) = asked.id.parse() else { return Ok(None) };
        let left = remaining(self.journal(), &id, &context.roles, &context.scope()).await?;
        let asks = role_to_ask(context.origin);
        let lost = context.roles.iter().any(|role| role == asks) && !left.iter().any(|role| role == asks);
        context.roles = left;
        Ok(lost.then(|| format!("`{id}`, who asked for it, does not hold the role `{asks}` any more")))
    }

    /// What policy says of a run's whole now; none of what has no whole, or where nobody could do it at this moment.
    async fn judged_anew(&self, run: &Run, context: &RunContext) -> Result<Option<Anew>, AnswerError> {
        let intent = run.submitted().intent.as_str();
        let whole = match context.origin {
            Origin::Intent | Origin::Feedback => return self.version_anew(run, context).await.map(Some),
            Origin::Decommission => decommission::whole(intent),
            Origin::Playbook => {
                let name = context.playbook.as_ref().and_then(|playbook| playbook.get("id")?.as_str());
                playbook::whole(name.unwrap_or_default())
            }
            Origin::Remedy | Origin::Scaling | Origin::Exec => return Ok(None),
        };
        let plan = self.journal().ledger().attachment(&run.plan()).await?.unwrap_or_default();
        // A run whose plan is not there does not fold.
        let Ok(plan) = serde_json::from_slice(&plan) else { return Ok(None) };
        let judged = self.judge_whole(&whole, &plan, context, &run.submitted().requester);
        Ok(judged.ok().map(|decided| Anew {
            denied: denial(&decided),
            quorums: decided.judgement.verdict.quorums(),
            judged: vec![(Stage::Action, decided)],
        }))
    }

    async fn version_anew(&self, run: &Run, context: &RunContext) -> Result<Anew, AnswerError> {
        let barred = |because: String| Anew { denied: Some(because), judged: Vec::new(), quorums: BTreeMap::new() };
        let Ok(id) = run.submitted().requester.id.parse() else {
            return Ok(barred("nobody knows who asked for it".to_owned()));
        };
        let asked = Principal { id, roles: context.roles.clone() };
        let prepared = match self.prepared_anew(run, &asked).await {
            Ok(prepared) => prepared,
            Err(ReplanError::Ledger(error)) => return Err(error.into()),
            // What cannot be asked at this moment says nothing of what people agreed to.
            Err(ReplanError::Submit(error @ (SubmitError::Provider(_) | SubmitError::Ledger(_)))) => {
                return Err(AnswerError::Anew(error));
            }
            Err(error) => return Ok(barred(error_chain(&error))),
        };
        let denied = (prepared.decision == Decision::Deny).then(|| {
            let by_policy = prepared.judged.iter().find_map(|(_, decided)| denial(decided));
            by_policy.unwrap_or_else(|| "contracts do not fit any more".to_owned())
        });
        Ok(Anew { denied, quorums: prepared.quorums(), judged: prepared.judged })
    }
}

/// Why policy denies something; none when it does not.
fn denial(decided: &Decided) -> Option<String> {
    let verdict = &decided.judgement.verdict;
    let denies = |finding: &&Finding| finding.asks == Decision::Deny && finding.waived_by.is_none();
    let found: Vec<String> = verdict.findings.iter().filter(denies).map(ToString::to_string).collect();
    let told = || format!("policy does not let it in any more: {}", found.join("; "));
    (verdict.decision == Decision::Deny).then(told)
}
