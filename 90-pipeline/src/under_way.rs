//! What is being done with an intent that takes no new version meanwhile, in the words of whoever asks for one.

use crate::pipeline::Pipeline;
use std::fmt;
use writ_automation::RunState;
use writ_core::{ApprovalId, RunId};

/// What is being done with an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    /// Where the intent stands.
    pub state: &'static str,
    /// The run, while it is live.
    pub run: Option<RunId>,
    /// The approval that the run waits for before it begins.
    pub approval: Option<ApprovalId>,
    /// Whether the run takes the intent away.
    pub removal: bool,
}

impl Pipeline {
    /// What a live run does for an intent that stands here; `removal` where it takes it away.
    pub(crate) async fn under_way(&self, state: &'static str, run: Option<RunId>, removal: bool) -> UnderWay {
        let found = match &run {
            Some(id) => self.drive().run(id).await.ok(),
            None => None,
        };
        let approval = found.and_then(|(run, _)| {
            let RunState::AwaitingApproval(asked) = run.state() else { return None };
            Some(asked.terms.approval.clone())
        });
        UnderWay { state, run, approval, removal }
    }
}

impl fmt::Display for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.approval, &self.run, self.removal) {
            (Some(approval), _, false) => write!(f, "waits for approval `{approval}`"),
            (Some(approval), _, true) => write!(f, "waits for approval `{approval}` to be taken away"),
            (None, Some(run), false) => write!(f, "is being carried out by `{run}`"),
            (None, Some(run), true) => write!(f, "is being taken away by `{run}`"),
            (None, None, _) => write!(f, "is {}", self.state),
        }
    }
}
