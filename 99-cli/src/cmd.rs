//! Commands: a file for each group of them.

pub(crate) mod agent;
pub(crate) mod approval;
pub(crate) mod audit;
pub(crate) mod change;
pub(crate) mod config;
pub(crate) mod contract;
pub(crate) mod decommission;
pub(crate) mod dev;
pub(crate) mod exec;
pub(crate) mod export;
pub(crate) mod glass;
pub(crate) mod incident;
pub(crate) mod init;
pub(crate) mod intent;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod mode;
pub(crate) mod playbook;
pub(crate) mod policy;
pub(crate) mod recommend;
pub(crate) mod run;
pub(crate) mod server;
pub(crate) mod token;
pub(crate) mod waiver;

use crate::client::{Client, ClientError};
use crate::exit::{self, Exit};
use crate::findings;
use crate::follow::FollowError;
use crate::out::Out;
use serde_json::Value;
use std::path::Path;
use writ_pipeline::error_chain;
use writ_pipeline::input::{Problem, load, render};

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server.
    Client(ClientError),
    /// Files.
    Problems(Vec<Problem>),
    /// Nothing holds everything that a manifest asks.
    Infeasible { file: String, intent: String, report: Value },
    /// Anything else, in words.
    Other { exit: Exit, text: String, hint: Option<String> },
}

/// So many of something, in words.
pub(crate) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<FollowError> for Failure {
    fn from(error: FollowError) -> Self {
        if let FollowError::Client(error) = error {
            return Self::Client(error);
        }
        Self::Other { exit: error.exit(), text: error_chain(&error), hint: error.hint() }
    }
}

impl Failure {
    pub(crate) fn of(exit: Exit, error: &dyn std::error::Error) -> Self {
        Self::Other { exit, text: error_chain(error), hint: None }
    }

    /// A file that could not be written.
    pub(crate) fn unwritten(path: &Path, error: &std::io::Error) -> Self {
        let text = format!("`{}` cannot be written: {error}", path.display());
        Self::Other { exit: exit::FAILED, text, hint: None }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Client(error) => error.exit(),
            Failure::Problems(_) => exit::USAGE,
            Failure::Infeasible { .. } => exit::DENIED,
            Failure::Other { exit, .. } => *exit,
        }
    }

    /// Prints what was found wrong as the answer, in the forms that scripts read.
    pub(crate) fn answer(&self, out: Out) {
        match self {
            Failure::Client(ClientError::Problem { problem, .. }) => findings::print_answered(out, problem),
            Failure::Problems(problems) => findings::print_problems(out, problems),
            Failure::Infeasible { file, report, .. } => findings::print_infeasible(out, file, report),
            Failure::Client(_) | Failure::Other { .. } => {}
        }
    }

    pub(crate) fn tell(&self, out: Out) {
        match self {
            Failure::Client(error) => {
                if let ClientError::Problem { problem, .. } = error {
                    tell_problem(out, problem);
                }
                out.say(&format!("error: {}", error_chain(error)));
                if let Some(hint) = error.hint() {
                    out.hint(&hint);
                }
            }
            Failure::Problems(problems) => {
                for problem in problems {
                    let source = load(Path::new(&problem.at.file)).ok();
                    let source = source.and_then(|bytes| String::from_utf8(bytes).ok());
                    out.say(render("error", problem, source.as_deref()).trim_end());
                }
            }
            Failure::Infeasible { intent, report, .. } => {
                let report = text(report, "/text");
                out.say(&format!("error: nothing holds everything that `{intent}` asks\n{}", report.trim_end()));
                out.say("  hint: take one of the fixes");
            }
            Failure::Other { text, hint, .. } => {
                out.say(&format!("error: {text}"));
                if let Some(hint) = hint {
                    out.hint(hint);
                }
            }
        }
    }
}

/// What a problem says besides its sentence: findings, conflicts, problems of a manifest.
fn tell_problem(out: Out, problem: &Value) {
    for one in problem.get("problems").and_then(Value::as_array).into_iter().flatten() {
        if let Ok(one) = serde_json::from_value::<Problem>(one.clone()) {
            let source = load(Path::new(&one.at.file)).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            out.say(render("error", &one, source.as_deref()).trim_end());
        }
    }
    // A document's findings were told with its lines; one finding alone is what the sentence says.
    let errors = problem.get("errors").and_then(Value::as_array).filter(|all| all.len() > 1);
    for one in errors.filter(|_| problem.get("problems").is_none()).into_iter().flatten() {
        out.say(&format!("  {}: {}", text(one, "/pointer"), text(one, "/detail")));
    }
    if let Some(text) = problem.get("infeasible").and(problem.get("text")).and_then(Value::as_str) {
        out.say(text.trim_end());
    }
    for report in problem.get("validation").and_then(Value::as_array).into_iter().flatten() {
        intent::tell_findings(out, report);
    }
}

/// Nothing is wrong with a directory that is not there, and nobody meant that.
pub(crate) fn is_there(dir: &Path, hint: &str) -> Result<(), Failure> {
    if dir.is_dir() {
        return Ok(());
    }
    let text = format!("there is no directory `{}`", dir.display());
    Err(Failure::Other { exit: exit::USAGE, text, hint: Some(hint.into()) })
}

/// A field as text, empty when it is not there.
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// An id as it was typed; `last` is the newest of a list.
pub(crate) async fn newest(client: &Client, id: &str, view: &str) -> Result<String, Failure> {
    if id != "last" {
        return Ok(id.to_owned());
    }
    let page = client.get(&format!("/api/v1/{view}?newest_first=true&limit=1")).await?;
    match text(&page, "/items/0/id") {
        none if none.is_empty() => {
            Err(Failure::Other { exit: exit::NOT_FOUND, text: format!("there are no {view} yet"), hint: None })
        }
        id => Ok(id),
    }
}

/// The texts of a list; none when it is none.
pub(crate) fn texts(value: &Value, pointer: &str) -> Vec<String> {
    let all = value.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The same as one text.
pub(crate) fn listed(value: &Value, pointer: &str) -> String {
    texts(value, pointer).join(", ")
}

/// Says what is odd about what was asked for.
pub(crate) fn warn(out: Out, answer: &Value) {
    for one in texts(answer, "/warnings") {
        out.say(&format!("warning: {one}"));
    }
}

/// How something stands, in words.
pub(crate) fn state(item: &Value) -> String {
    text(item, "/state").replace('_', " ")
}

/// A time without its date's year and fractions, as tables show it.
pub(crate) fn clock(value: &Value, pointer: &str) -> String {
    let text = text(value, pointer);
    text.get(11..23).map_or(text.clone(), str::to_owned)
}

/// What a page of a list holds.
pub(crate) fn items(page: &Value) -> Vec<Value> {
    page.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Whether a field says yes.
pub(crate) fn holds(value: &Value, field: &str) -> bool {
    value.get(field) == Some(&Value::Bool(true))
}
