//! What the pipeline refuses, as problems that HTTP tells: the code, the place, and the way out.

use crate::error::Failure;
use crate::wrong::{arguments, place_of};
use axum::http::StatusCode;
use serde_json::json;
use writ_core::LedgerError;
use writ_pipeline::{
    AnswerError, BallotRefused, Barred, CommitError, DecommissionError, DriveError, OutsideError, PlaybookError,
    RecommendationRefused, ReflectError, ReplanError, SubmitError, UnderWay, error_chain,
};
use writ_text::problems;

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::internal(&error)
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Stale { .. } => {
                Self::new(StatusCode::CONFLICT, "stale", error.to_string()).hint("look again, and decide again")
            }
            CommitError::Closed { .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, "closed", error.to_string())
                .hint("writ acts on nothing until it is restarted; services keep running"),
            CommitError::NotHeld { .. } => Self::new(StatusCode::FORBIDDEN, "forbidden", error.to_string())
                .hint("nothing was recorded; ask again with what you may now"),
            CommitError::NotCanonical { .. } | CommitError::TooLarge { .. } | CommitError::Unread { .. } => {
                Self::internal(&error)
            }
        }
    }
}

impl From<DriveError> for Failure {
    fn from(error: DriveError) -> Self {
        match &error {
            DriveError::NotLive { run } => Self::not_found("run", run.as_str()),
            DriveError::Refused { .. } => Self::new(StatusCode::CONFLICT, "refused", error_chain(&error)),
            DriveError::Busy { run, .. } => Self::new(StatusCode::CONFLICT, "busy", error.to_string())
                .with(json!({"run": run}))
                .hint(format!("see what it does: writ why {run}")),
            DriveError::Unsettled { .. } => {
                Self::new(StatusCode::CONFLICT, "busy", error.to_string()).hint("ask again")
            }
            DriveError::Commit { cause, .. } => Self::from((**cause).clone()),
            DriveError::Read { .. } => Self::internal(&error),
        }
    }
}

/// What there is to do where the world cannot be seen.
const PROVIDER: &str = "see that the provider answers, and ask again";

/// What there is to do about a recommendation that is too old.
const ANEW: &str = "collect feedback again with `writ recommend collect`";

/// Where it stands what became of a recommendation.
fn answered(id: &str) -> String {
    format!("see what was answered: `writ recommend get {id}`")
}

/// What there is to do where one's own word does not count, or has been heard.
pub(crate) const SOMEBODY_ELSE: &str = "somebody else has to answer";

impl From<AnswerError> for Failure {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Unknown { approval } => Self::not_found("approval", approval.as_str()),
            AnswerError::Unasked { ref approval } => {
                let hint = format!("look at it: writ approval get {approval}");
                Self::new(StatusCode::CONFLICT, "refused", error.to_string()).hint(hint)
            }
            AnswerError::Refused(refused @ BallotRefused::Role { .. }) => {
                Self::new(StatusCode::FORBIDDEN, "forbidden", refused.to_string())
                    .hint("use a token of somebody who does, with `--as`")
            }
            AnswerError::Elsewhere { by: who, role, of } => Self::from(Barred { who, role, of }),
            AnswerError::Refused(refused @ BallotRefused::OwnRequest { .. }) => {
                Self::new(StatusCode::FORBIDDEN, "refused", refused.to_string()).hint(SOMEBODY_ELSE)
            }
            AnswerError::Refused(refused @ BallotRefused::OtherShown { .. }) => {
                Self::new(StatusCode::CONFLICT, "stale", refused.to_string()).hint("look again, and decide again")
            }
            AnswerError::Refused(
                ref refused @ (BallotRefused::Over { ref approval, .. } | BallotRefused::Expired { ref approval, .. }),
            ) => Self::new(StatusCode::CONFLICT, "refused", refused.to_string())
                .hint(format!("see what was answered: `writ approval get {approval}`")),
            AnswerError::Refused(refused @ BallotRefused::Twice { .. }) => {
                Self::new(StatusCode::CONFLICT, "refused", refused.to_string()).hint(SOMEBODY_ELSE)
            }
            AnswerError::Change(error) => Self::from(error),
            AnswerError::Commit(error) => Self::from(error),
            AnswerError::Anew(error) => Self::internal(&error),
            AnswerError::Drive(error) => Self::from(error),
            AnswerError::Ledger(error) => Self::from(error),
        }
    }
}

impl From<DecommissionError> for Failure {
    fn from(error: DecommissionError) -> Self {
        let refused = |error: &DecommissionError| Self::new(StatusCode::CONFLICT, "refused", error_chain(error));
        match error {
            DecommissionError::Unknown { intent } => Self::not_found("intent", intent.as_str()),
            DecommissionError::Archived { ref intent } => refused(&error).hint(format!("writ why {intent}")),
            DecommissionError::Busy { ref run, .. } => {
                let busy = Self::new(StatusCode::CONFLICT, "busy", error.to_string()).with(json!({"run": run}));
                match run {
                    Some(run) => busy
                        .hint(format!("follow it with `writ run watch {run}`, or end it with `writ run cancel {run}`")),
                    None => busy,
                }
            }
            DecommissionError::Stuck { .. } => refused(&error).hint("take them away by hand, and ask again"),
            DecommissionError::Nobody { .. } => refused(&error).hint("writ agent list"),
            DecommissionError::Denied { ref intent, ref validation } => {
                Self::new(StatusCode::FORBIDDEN, "denied", error.to_string())
                    .with(json!({"validation": [validation]}))
                    .hint(format!("writ why {intent}"))
            }
            DecommissionError::Stale { .. } => {
                Self::new(StatusCode::CONFLICT, "stale", error.to_string()).hint("look again, and decide again")
            }
            DecommissionError::Provider(cause) => {
                Self::new(StatusCode::BAD_GATEWAY, "provider", error_chain(&cause)).hint(PROVIDER)
            }
            DecommissionError::Ledger(error) => Self::from(error),
            DecommissionError::Commit(error) => Self::from(error),
            DecommissionError::Drive(error) => Self::from(error),
        }
    }
}

impl From<PlaybookError> for Failure {
    fn from(error: PlaybookError) -> Self {
        let refused = |error: &PlaybookError| Self::new(StatusCode::CONFLICT, "refused", error_chain(error));
        match error {
            PlaybookError::Unknown { name } => Self::not_found("playbook", &name),
            PlaybookError::Bind { ref playbook, ref cause, .. } => {
                let unfit = Self::new(StatusCode::BAD_REQUEST, "invalid", error_chain(&error));
                unfit.wrong(arguments(cause)).hint(format!("`writ playbook get {playbook}` shows what it takes"))
            }
            PlaybookError::Name { .. } => Self::new(StatusCode::BAD_REQUEST, "invalid", error_chain(&error)),
            PlaybookError::NoComponent { ref component } => Self::not_found("component", component.as_str()),
            PlaybookError::Bounds { ref intent, .. } => refused(&error)
                .hint(format!("`writ intent get {intent}` shows them; a new version of the intent changes them")),
            PlaybookError::World { .. } => refused(&error).hint("`writ why` of the component shows what is there"),
            PlaybookError::Join { .. } => refused(&error),
            PlaybookError::Busy { ref run, .. } => Self::new(StatusCode::CONFLICT, "busy", error.to_string())
                .with(json!({"run": run}))
                .hint(format!("follow it with `writ run watch {run}`, or end it with `writ run cancel {run}`")),
            PlaybookError::Barred(barred) => Self::from(barred),
            PlaybookError::Nobody { .. } => refused(&error).hint("writ agent list"),
            PlaybookError::Denied { ref component, ref validation, .. } => {
                Self::new(StatusCode::FORBIDDEN, "denied", error.to_string())
                    .with(json!({"validation": [validation]}))
                    .hint(format!("writ why {component}"))
            }
            PlaybookError::Stale { .. } => {
                Self::new(StatusCode::CONFLICT, "stale", error.to_string()).hint("look again, and decide again")
            }
            PlaybookError::Provider(cause) => {
                Self::new(StatusCode::BAD_GATEWAY, "provider", error_chain(&cause)).hint(PROVIDER)
            }
            PlaybookError::Recorded(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error_chain(&error)),
            PlaybookError::Ledger(error) => Self::from(error),
            PlaybookError::Commit(error) => Self::from(error),
            PlaybookError::Drive(error) => Self::from(error),
        }
    }
}

impl From<OutsideError> for Failure {
    fn from(error: OutsideError) -> Self {
        let refused = |error: &OutsideError| Self::new(StatusCode::CONFLICT, "refused", error_chain(error));
        match error {
            OutsideError::Refused(cause) => {
                Self::new(StatusCode::BAD_REQUEST, "invalid", cause.to_string()).at(place_of(&cause))
            }
            OutsideError::Outcome { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "invalid", error.to_string()).at("/outcome")
            }
            OutsideError::Barred(barred) => Self::from(barred),
            OutsideError::NoIntent { intent } => Self::not_found("intent", intent.as_str()),
            OutsideError::Unknown { run } => Self::not_found("run", run.as_str()),
            OutsideError::Denied { action, validation, entry } => {
                let denied = Self::new(StatusCode::FORBIDDEN, "denied", format!("`{action}` is denied"));
                let denied = denied.with(json!({"validation": [validation], "entry": entry}));
                entry.iter().fold(denied, |denied, entry| denied.hint(format!("writ why {entry}")))
            }
            OutsideError::Nobody { .. } => refused(&error)
                .hint("an agent that is active must hold `execute:outside`, and no kill switch may stand in its way"),
            OutsideError::NotYours { .. } => Self::new(StatusCode::FORBIDDEN, "forbidden", error.to_string())
                .hint("use the token that it was asked for with, or ask for it yourself"),
            OutsideError::NoOrder { ref run, .. } => refused(&error).hint(format!("writ run get {run}")),
            OutsideError::Taken { ref run } => refused(&error).hint(format!("writ why {run}")),
            OutsideError::Permit(_) => refused(&error),
            OutsideError::Late { ref run, ref step, recorded, state } => {
                let late = Self::new(StatusCode::CONFLICT, "late", error.to_string());
                late.with(json!({"recorded": recorded})).hint(if state == "needs operator" {
                    format!("say what came of it: `writ run resolve {run} --step {step} --happened -m REASON`, or `--absent`")
                } else {
                    format!("writ why {run}")
                })
            }
            OutsideError::Drive(error) => Self::from(error),
            OutsideError::Ledger(error) => Self::from(error),
            OutsideError::Commit(error) => Self::from(error),
        }
    }
}

impl Failure {
    /// Feedback that could not be collected or acted upon.
    pub(crate) fn of_reflect(error: ReflectError, pipeline: &writ_pipeline::Pipeline) -> Self {
        let refused = |error: &ReflectError| Self::new(StatusCode::CONFLICT, "refused", error_chain(error));
        match error {
            ReflectError::Unknown { id } => Self::not_found("recommendation", &id),
            ReflectError::Refused(ref cause) => Self::of_recommendation(cause, error_chain(&error)),
            ReflectError::Nothing { .. } => refused(&error).hint("carry one out with `writ apply -f FILE`"),
            ReflectError::Illegal { ref id, .. } => refused(&error).hint(answered(id)),
            ReflectError::Patch(_) => refused(&error).hint(ANEW),
            ReflectError::Barred(barred) => Self::from(barred),
            ReflectError::Submit(error) => Self::of_submit(error, pipeline),
            ReflectError::Ledger(error) => Self::from(error),
            ReflectError::Commit(error) => Self::from(error),
            ReflectError::Pipeline(_) => Self::internal(&error),
        }
    }

    /// A recommendation that nobody, or not this person, can agree to now.
    fn of_recommendation(cause: &RecommendationRefused, told: String) -> Self {
        let refused = |status| Self::new(status, "refused", told.clone());
        match cause {
            RecommendationRefused::Author { .. } | RecommendationRefused::NotAPerson { .. } => {
                refused(StatusCode::FORBIDDEN).hint(SOMEBODY_ELSE)
            }
            RecommendationRefused::Stale { .. } | RecommendationRefused::Shown { .. } => {
                Self::new(StatusCode::CONFLICT, "stale", told).hint(ANEW)
            }
            RecommendationRefused::Expired { .. } => refused(StatusCode::CONFLICT).hint(ANEW),
            RecommendationRefused::NoPatch { id } => {
                refused(StatusCode::CONFLICT).hint(format!("`writ recommend reject {id}` says that it was dealt with"))
            }
            RecommendationRefused::Illegal { id, .. } => refused(StatusCode::CONFLICT).hint(answered(id.as_str())),
        }
    }

    /// A run that keeps its plan.
    pub(crate) fn of_replan(error: ReplanError, pipeline: &writ_pipeline::Pipeline) -> Self {
        match error {
            ReplanError::Moving { ref run, .. } => Self::new(StatusCode::CONFLICT, "refused", error.to_string())
                .hint(format!("pause it with `writ run pause {run}`")),
            ReplanError::Nothing { ref run } => Self::new(StatusCode::CONFLICT, "refused", error.to_string())
                .hint(format!("resume it with `writ run resume {run}`, or end it with `writ run cancel {run}`")),
            ReplanError::Over { ref run, .. } => {
                Self::new(StatusCode::CONFLICT, "refused", error.to_string()).hint(format!("writ why {run}"))
            }
            ReplanError::Remedy { .. } | ReplanError::Leaving { .. } => {
                Self::new(StatusCode::CONFLICT, "refused", error.to_string())
            }
            ReplanError::Manifest { .. } => Self::internal(&error),
            ReplanError::Submit(error) => Self::of_submit(error, pipeline),
            ReplanError::Drive(error) => Self::from(error),
            ReplanError::Ledger(error) => Self::from(error),
        }
    }

    /// A submission that did not get through.
    pub(crate) fn of_submit(error: SubmitError, pipeline: &writ_pipeline::Pipeline) -> Self {
        match error {
            SubmitError::Invalid(problems) => {
                let detail = format!("the manifest has {}", self::problems(problems.len()));
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with(json!({"problems": problems}))
            }
            SubmitError::Infeasible { intent, report, text } => {
                let detail = format!("nothing holds everything that `{intent}` asks");
                let mut more = report;
                more["text"] = json!(text);
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "infeasible", detail)
                    .hint("take one of the fixes")
                    .with(more)
            }
            SubmitError::Denied { intent, prepared } => {
                Self::new(StatusCode::FORBIDDEN, "denied", format!("`{intent}` is denied"))
                    .with(prepared.document(pipeline))
                    .hint("`writ policy explain -f FILE --in-force` shows what each rule and its parts came to")
            }
            SubmitError::Taken { ref owner, .. } => Self::new(StatusCode::CONFLICT, "refused", error.to_string())
                .hint(format!("give it another service, or change `{owner}`: `writ intent get {owner}`")),
            SubmitError::Bound { ref intent, ref held, .. } => Self::new(
                StatusCode::CONFLICT,
                "refused",
                error.to_string(),
            )
            .hint(format!(
                "submit it as an intent of its own, or take `{held}` away first: `writ intent decommission {intent}`"
            )),
            SubmitError::Busy { under_way: UnderWay { ref run, ref approval, .. }, .. } => {
                let more = json!({"run": run, "approval": approval});
                let busy = Self::new(StatusCode::CONFLICT, "busy", error.to_string()).with(more);
                match (approval, run) {
                    (Some(approval), _) => busy.hint(format!("look at it with `writ approval get {approval}`")),
                    (None, Some(run)) => busy.hint(format!("follow it with `writ run watch {run}`")),
                    (None, None) => busy,
                }
            }
            SubmitError::Stale { .. } => {
                Self::new(StatusCode::CONFLICT, "stale", error.to_string()).hint("plan again, and apply the new plan")
            }
            SubmitError::Barred(barred) => Self::from(barred),
            SubmitError::Provider(cause) => {
                Self::new(StatusCode::BAD_GATEWAY, "provider", error_chain(&cause)).hint(PROVIDER)
            }
            SubmitError::Ledger(error) => Self::from(error),
            SubmitError::Commit(error) => Self::from(error),
            SubmitError::Drive(error) => Self::from(error),
        }
    }
}
