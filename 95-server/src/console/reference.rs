//! The HTTP interface as pages, from the document that the server itself serves: nothing is fetched from elsewhere.

use super::frame::{Frame, Page, shown};
use super::given::Path;
use super::session::Visitor;
use super::words::{list as items, text};
use crate::api::{App, openapi};
use crate::error::Failure;
use askama::Template;
use axum::extract::State;
use serde_json::Value;
use std::collections::BTreeMap;

struct Parameter {
    name: String,
    place: String,
    about: String,
    required: bool,
}

struct Operation {
    anchor: String,
    method: String,
    path: String,
    summary: String,
    about: Vec<String>,
    parameters: Vec<Parameter>,
    takes: String,
    answers: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "reference.html")]
struct ReferencePage {
    frame: Frame,
    groups: BTreeMap<String, Vec<Operation>>,
    count: usize,
}

#[derive(Template)]
#[template(path = "resource.html")]
struct ResourcePage {
    frame: Frame,
    group: String,
    operations: Vec<Operation>,
}

/// All operations, a line each.
pub(crate) async fn page(State(shared): App, visitor: Visitor) -> Page {
    let frame = Frame::new(&shared, &visitor, "/settings", "HTTP interface").await?;
    let groups = groups();
    let count = groups.values().map(Vec::len).sum();
    shown(&ReferencePage { frame, groups, count })
}

/// The operations of one resource, with what they take and answer.
pub(crate) async fn resource(State(shared): App, visitor: Visitor, Path(group): Path<String>) -> Page {
    let operations = groups().remove(&group).ok_or_else(|| Failure::not_found("resource", &group))?;
    let frame = Frame::new(&shared, &visitor, "/settings", &format!("HTTP interface: {group}")).await?;
    shown(&ResourcePage { frame, group, operations })
}

fn groups() -> BTreeMap<String, Vec<Operation>> {
    let document: Value = serde_json::from_str(openapi()).unwrap_or_default();
    let mut groups: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, methods) in paths.into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let group = items(operation, "/tags").first().and_then(Value::as_str).unwrap_or("other");
            groups.entry(group.to_owned()).or_default().push(told(path, method, operation));
        }
    }
    groups
}

fn told(path: &str, method: &str, operation: &Value) -> Operation {
    let parameter = |one: &Value| Parameter {
        name: text(one, "/name").to_owned(),
        place: text(one, "/in").to_owned(),
        about: text(one, "/description").to_owned(),
        required: one.get("required") == Some(&Value::Bool(true)),
    };
    let answers = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
    let answers =
        answers.map(|(status, answer)| (status.clone(), text(answer, "/description").to_owned(), of_schema(answer)));
    Operation {
        anchor: text(operation, "/operationId").to_owned(),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(operation, "/summary").to_owned(),
        about: text(operation, "/description")
            .split("\n\n")
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect(),
        parameters: items(operation, "/parameters").iter().map(parameter).collect(),
        takes: operation.get("requestBody").map(of_schema).unwrap_or_default(),
        answers: answers.collect(),
    }
}

/// The name of what a body holds, without the way to it.
fn of_schema(body: &Value) -> String {
    let contents = body.get("content").and_then(Value::as_object);
    let names = contents.into_iter().flatten().map(|(form, content)| {
        let name = text(content, "/schema/$ref").rsplit('/').next().unwrap_or_default();
        if name.is_empty() { form.clone() } else { name.to_owned() }
    });
    names.collect::<Vec<_>>().join(", ")
}
