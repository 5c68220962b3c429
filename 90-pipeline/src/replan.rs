//! Going on with another plan: the run keeps its record, and what it still has to do is worked out anew, from the version of
//! the intent that it carries out and from the world as it is now.

use crate::approvals::Principal;
use crate::commit::Batch;
use crate::context::Origin;
use crate::drive::DriveError;
use crate::held::whoever_asked;
use crate::journal::Journal;
use crate::pipeline::Pipeline;
use crate::prepared::Prepared;
use crate::submit::SubmitError;
use std::sync::Arc;
use writ_automation::{Gate as RunGate, Run, RunEvent, RunState, Signal};
use writ_core::{Actor, Decision, Digest, Entry, IntentId, LedgerError, RunId};
use writ_intent::read_recorded_manifest;

/// Why a run keeps its plan.
#[derive(Debug, thiserror::Error)]
pub enum ReplanError {
    /// It is no run of an intent.
    #[error("run `{run}` is no run of an intent, from which its plan could be made anew")]
    Remedy {
        /// The run.
        run: RunId,
    },
    /// It takes its intent away.
    #[error("run `{run}` takes its intent away; cancel it and ask again, and what is left is worked out anew")]
    Leaving {
        /// The run.
        run: RunId,
    },
    /// It has ended.
    #[error("run `{run}` is {state}, which is final")]
    Over {
        /// The run.
        run: RunId,
        /// How it ended.
        state: &'static str,
    },
    /// Its steps change the world while it is looked at.
    #[error(
        "run `{run}` is {state}; what it still has to do can be worked out while it is paused or needs an operator"
    )]
    Moving {
        /// The run.
        run: RunId,
        /// Its state.
        state: &'static str,
    },
    /// Nothing would be left to do.
    #[error("nothing is left to do for run `{run}`: the world is what the intent asks")]
    Nothing {
        /// The run.
        run: RunId,
    },
    /// The manifest of its version is not there.
    #[error("the manifest of `{intent}` version {version} is not in the journal")]
    Manifest {
        /// The intent.
        intent: IntentId,
        /// The version.
        version: u64,
    },
    /// The intent does not get through the door any more.
    #[error("what is left to do cannot be worked out")]
    Submit(#[from] SubmitError),
    /// The run does not take it.
    #[error("the run does not take the new plan")]
    Drive(#[from] DriveError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
}

impl Pipeline {
    /// Gives a run a new plan. Where policy wants people, they are asked before it goes on.
    ///
    /// # Errors
    /// When the run is not one of an intent, is moving, or policy, the solver or the run say no.
    pub async fn replan(&self, id: &RunId, by: &Principal) -> Result<Prepared, ReplanError> {
        let (run, context) = self.drive().run(id).await?;
        if context.origin == Origin::Decommission {
            return Err(ReplanError::Leaving { run: id.clone() });
        }
        if !matches!(context.origin, Origin::Intent | Origin::Feedback) {
            return Err(ReplanError::Remedy { run: id.clone() });
        }
        if run.state().is_over() {
            return Err(ReplanError::Over { run: id.clone(), state: run.state().name() });
        }
        if !matches!(run.state(), RunState::Paused | RunState::NeedsOperator(_)) {
            return Err(ReplanError::Moving { run: id.clone(), state: run.state().name() });
        }
        let intent = &run.submitted().intent;
        let prepared = self.prepared_anew(&run, by).await?;
        let denied = prepared.decision == Decision::Deny;
        let mut batch = Batch::default();
        self.record_judgements(&mut batch, &prepared, denied, false);
        let entries = self.journal().stream(&RunEvent::stream(id)).await?;
        let cause = self.journal().cause_after(entries.last());
        // What policy said is no plan yet: that is what is asked for.
        whoever_asked(self.journal().commit(&cause, batch)).await.map_err(SubmitError::from)?;
        let Some(diff) = prepared.diff.as_ref().filter(|_| !denied) else {
            let (intent, prepared) = (intent.clone(), Box::new(prepared));
            return Err(SubmitError::Denied { intent, prepared }.into());
        };
        if diff.plan.steps.is_empty() {
            return Err(ReplanError::Nothing { run: id.clone() });
        }
        let gate = RunGate { approval: self.terms(&prepared), window_opens_at: None };
        let signal = Signal::Replan { gate, plan: Arc::new(diff.plan.clone()), world: diff.plan.world };
        self.drive().tell(id, signal, &Actor::human(&by.id)).await?;
        Ok(prepared)
    }

    /// What the version of an intent that a run carries out would come to now.
    ///
    /// # Errors
    /// When its manifest is not there, or does not get through the door any more.
    pub(crate) async fn prepared_anew(&self, run: &Run, by: &Principal) -> Result<Prepared, ReplanError> {
        let (intent, version) = (&run.submitted().intent, run.submitted().intent_version);
        let submitted = self.journal().stream(&writ_intent::stream(intent)).await?;
        let text = manifest_in(self.journal(), &submitted, version).await?;
        let text = text.ok_or_else(|| ReplanError::Manifest { intent: intent.clone(), version })?;
        let manifest = read_recorded_manifest(intent.as_str(), &text).map_err(SubmitError::Invalid)?;
        Ok(self.prepare_manifest(manifest, by, Some(version), None).await?)
    }
}

/// The text of a version of an intent as it was submitted, from the entries of its stream; none where it is no version of it.
///
/// # Errors
/// When the ledger fails.
pub async fn manifest_in(journal: &Journal, entries: &[Entry], version: u64) -> Result<Option<Vec<u8>>, LedgerError> {
    let submitted = entries.iter().rfind(|entry| {
        entry.kind == "intent.submitted/1"
            && entry.body.get("version").and_then(|found| found.as_u64()) == Some(version)
    });
    match submitted.and_then(|entry| entry.body.get("manifest")?.as_str()?.parse::<Digest>().ok()) {
        Some(digest) => journal.ledger().attachment(&digest).await,
        None => Ok(None),
    }
}
