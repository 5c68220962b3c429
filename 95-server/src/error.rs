//! Problems as HTTP tells them: `application/problem+json` with a stable code. Causes inside go to the log alone.

use crate::way::requests;
use crate::wrong::{Wrong, arguments, place_of};
use axum::Extension;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use writ_core::LedgerError;
use writ_pipeline::{
    AnswerError, BallotRefused, Barred, CommitError, DecommissionError, DriveError, OutsideError, PlaybookError,
    RecommendationRefused, ReflectError, ReplanError, SubmitError, error_chain,
};
use writ_text::problems;

/// A problem as a client reads it (RFC 9457), with what else belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// `urn:writ:problem:` and the code.
    r#type: String,
    /// What the status is called.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What it is, for programs; docs/errors has a page for each.
    code: &'a str,
    /// What it is, for people.
    detail: &'a str,
    /// What to do about it.
    hint: Option<&'a str>,
    /// The requests that do what the commands in the hint do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requests: Vec<String>,
    /// Which value of the body is wrong: a JSON pointer (RFC 6901) into it. Of several, the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    /// Which part of the path, parameter of the query or header is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    /// Everything that is wrong with the body.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Wrong],
    /// Findings, conflicts, and whatever else the code brings.
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, Value>)]
    more: &'a Map<String, Value>,
}

/// The code and detail of a problem, for who hands the answer on.
#[derive(Debug, Clone)]
pub(crate) struct Code(pub(crate) &'static str, pub(crate) String);

/// A problem on its way to a client.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    detail: String,
    hint: Option<String>,
    more: Map<String, Value>,
    retry_after: Option<u64>,
    /// What of the request it is about; beside it, for most are about none.
    about: Box<About>,
}

/// What of a request a problem is about.
#[derive(Debug, Clone, Default)]
struct About {
    parameter: Option<String>,
    wrong: Vec<Wrong>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let (detail, more) = (detail.into(), Map::new());
        Self { status, code, detail, hint: None, more, retry_after: None, about: Box::default() }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// In how many seconds it may be asked again.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Which value of the body it is about.
    pub(crate) fn at(mut self, pointer: impl Into<String>) -> Self {
        self.about.wrong.push(Wrong::at(pointer, &*self.detail));
        self
    }

    /// The same of a body that calls a value otherwise.
    pub(crate) fn elsewhere(mut self, usual: &str, here: &str) -> Self {
        for wrong in self.about.wrong.iter_mut().filter(|wrong| wrong.pointer.as_deref() == Some(usual)) {
            wrong.pointer = Some(here.to_owned());
        }
        self
    }

    /// Everything that is wrong with the body.
    pub(crate) fn wrong(mut self, wrong: Vec<Wrong>) -> Self {
        self.about.wrong = wrong;
        self
    }

    /// Which part of the path, parameter of the query or header it is about.
    pub(crate) fn parameter(mut self, name: impl Into<String>) -> Self {
        self.about.parameter = Some(name.into());
        self
    }

    /// What is wrong with something that was sent: in words where it is one thing, else how many there are.
    pub(crate) fn of_findings(status: StatusCode, what: &str, found: Vec<Wrong>) -> Self {
        let detail = match &found[..] {
            [Wrong { pointer: Some(pointer), detail, .. }] if !pointer.is_empty() => {
                format!("`{}` of {what}: {detail}", short(pointer))
            }
            [one] => format!("{what}: {}", one.detail),
            several => format!("{what} has {}", problems(several.len())),
        };
        Self::new(status, "invalid", detail).wrong(found)
    }

    pub(crate) fn with(mut self, more: Value) -> Self {
        if let Value::Object(more) = more {
            self.more = more;
        }
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The problem as a document.
    pub(crate) fn document(&self) -> Value {
        json!(Problem {
            r#type: format!("urn:writ:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("problem"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            hint: self.hint.as_deref(),
            requests: self.hint.as_deref().map(requests).unwrap_or_default(),
            pointer: self.about.wrong.first().and_then(|wrong| wrong.pointer.as_deref()),
            parameter: self.about.parameter.as_deref(),
            errors: &self.about.wrong,
            more: &self.more,
        })
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        let short = short(id);
        let missing = Self::new(StatusCode::NOT_FOUND, "not-found", format!("there is no {what} `{short}`"));
        match what {
            "intent" | "run" | "incident" | "approval" | "agent" | "playbook" => {
                missing.hint(format!("list them with `writ {what} list`"))
            }
            "recommendation" => missing.hint("list them with `writ recommend list`"),
            "rule" | "bundle of policies" => missing.hint("list them with `writ policy list`"),
            "contract" => missing.hint("list them with `writ contract list`"),
            "component" => missing.hint("`writ incident modes` names those that are in care"),
            "entry" => missing.hint("find them with `writ audit query`"),
            _ => missing,
        }
    }

    /// A request that cannot be understood, in the reader's words.
    pub(crate) fn unreadable(status: StatusCode, text: &str) -> Self {
        Self::new(status, "invalid", text.to_lowercase().trim_end_matches('.').to_owned())
    }

    /// A fault of ours: the log says which, the client that there is one.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed inside");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "writ could not do that; its log says why")
    }
}

/// As much of what somebody sent as an answer repeats.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(140).collect()
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let again = self.retry_after.map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
        let form = [(header::CONTENT_TYPE, "application/problem+json")];
        let told = Json(self.document());
        let code = Extension(Code(self.code, self.detail));
        (self.status, form, again.map(AppendHeaders), code, told).into_response()
    }
}

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
            CommitError::NotCanonical { .. } | CommitError::TooLarge { .. } => Self::internal(&error),
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
            ReflectError::Nothing => refused(&error).hint("carry one out with `writ apply -f FILE`"),
            ReflectError::Illegal { ref id, .. } => refused(&error).hint(answered(id)),
            ReflectError::Patch(_) => refused(&error).hint(ANEW),
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
                    .hint("`writ policy explain -f FILE` shows what each rule and its parts came to")
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
            SubmitError::Busy { ref run, .. } => {
                let busy = Self::new(StatusCode::CONFLICT, "busy", error.to_string()).with(json!({"run": run}));
                match run {
                    Some(run) => busy.hint(format!("follow it with `writ run watch {run}`")),
                    None => busy,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// The codes that stand behind a status in a source file.
    fn codes(source: &str) -> BTreeSet<String> {
        let behind = source.split("StatusCode::").skip(1);
        let code = |text: &str| {
            let (name, rest) = text.split_once(',')?;
            let quoted = rest.trim_start().strip_prefix('"')?;
            let known = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            known.then(|| quoted.split('"').next().unwrap_or_default().to_owned())
        };
        let named = |code: &String| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        behind.filter_map(code).filter(named).collect()
    }

    #[test]
    fn every_problem_code_has_a_page_and_every_page_is_listed_and_used() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut used = BTreeSet::new();
        for dir in ["src", "src/api", "src/console"] {
            for entry in fs::read_dir(root.join(dir)).unwrap().flatten().filter(|entry| entry.path().is_file()) {
                used.extend(codes(&fs::read_to_string(entry.path()).unwrap()));
            }
        }
        let pages = root.join("../docs/errors");
        let names = fs::read_dir(&pages).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
        let told: BTreeSet<String> =
            names.filter(|name| name != "README.md").map(|name| name.trim_end_matches(".md").to_owned()).collect();
        assert_eq!(used, told);
        let list = fs::read_to_string(pages.join("README.md")).unwrap();
        assert_eq!(told.iter().find(|code| !list.contains(&format!("[{code}]({code}.md)"))), None);
    }
}
