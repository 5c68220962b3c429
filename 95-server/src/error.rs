//! Problems as HTTP tells them: `application/problem+json` with a stable code. Causes inside go to the log alone.

use crate::way::requests;
use crate::wrong::Wrong;
use axum::Extension;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use writ_pipeline::RemedyAction;
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

    /// What an answer is marked with, for those around it.
    pub(crate) fn said(&self) -> Code {
        Code(self.code, self.detail.clone())
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
            "person" => missing.hint("list them with `writ person list`"),
            "proposed change" => missing.hint("list them with `writ approval list`"),
            "shadow decision" => missing.hint("list them with `writ incident shadows`"),
            _ => missing,
        }
    }

    /// An intent has no version of that number.
    pub(crate) fn no_version(intent: &str, version: u64) -> Self {
        let detail = format!("there is no version {version} of `{intent}`");
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
            .hint(format!("list them with `writ intent history {intent}`"))
    }

    /// Nothing in the journal is called so.
    pub(crate) fn not_known(id: &str) -> Self {
        let detail = format!("the journal knows nothing of `{}`", short(id));
        Self::new(StatusCode::NOT_FOUND, "not-found", detail).hint("find what it knows with `writ audit query`")
    }

    /// The journal was not signed yet, or not as far as somebody asks.
    pub(crate) fn no_checkpoint() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is no checkpoint of it yet").hint("ask again in a moment")
    }

    /// Healing does nothing that is called so.
    pub(crate) fn no_remedy(action: &str) -> Self {
        let known = RemedyAction::ALL.map(RemedyAction::name);
        let detail = format!("`{}` is no action of healing", short(action));
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
            .hint(format!("one of {}", known.join(", ")))
            .parameter("action")
    }

    /// A path has another word where one of a few stands; `part` is what the route calls it.
    pub(crate) fn no_word(part: &str, given: &str, words: &[&str]) -> Self {
        Self::not_found(part, given).hint(format!("one of {}", words.join(", "))).parameter(part)
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
