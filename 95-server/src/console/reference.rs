//! The HTTP interface as pages, from the document that the server itself serves: nothing is fetched from elsewhere.

use super::frame::{Frame, Page, shown};
use super::given::Path;
use super::session::Visitor;
use super::words::{list as items, text, texts};
use crate::api::{App, openapi};
use crate::error::Failure;
use askama::Template;
use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

struct Parameter {
    name: String,
    place: String,
    about: String,
    required: bool,
}

/// A field of a body.
struct Field {
    name: String,
    sort: String,
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
    /// What stands in what it takes.
    fields: Vec<Field>,
    answers: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "reference.html")]
struct ReferencePage {
    frame: Frame,
    groups: BTreeMap<String, Vec<Operation>>,
    count: usize,
    /// Where the page was asked for.
    origin: String,
}

#[derive(Template)]
#[template(path = "resource.html")]
struct ResourcePage {
    frame: Frame,
    group: String,
    operations: Vec<Operation>,
}

/// All operations, a line each.
pub(crate) async fn page(State(shared): App, visitor: Visitor, uri: Uri, headers: HeaderMap) -> Page {
    let frame = Frame::new(&shared, &visitor, "/settings", "HTTP interface").await?;
    let groups = groups();
    let count = groups.values().map(Vec::len).sum();
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = named.or_else(|| uri.authority().map(Authority::as_str)).filter(|host| is_host(host));
    let scheme = if shared.config.tls.cert.is_some() { "https" } else { "http" };
    let origin = format!("{scheme}://{}", host.unwrap_or("127.0.0.1:PORT"));
    shown(&ReferencePage { frame, groups, count, origin })
}

/// Whether a text is a name or number of a host, with or without a port: whoever asked wrote it, and it is copied into a shell.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let numbers = |inner: &str| inner.parse::<Ipv6Addr>().is_ok();
    let named = match name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => numbers(inner),
        None => !name.is_empty() && !name.starts_with('-') && plain(name),
    };
    named && port.is_none_or(|port| port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit()))
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
            groups.entry(group.to_owned()).or_default().push(told(&document, path, method, operation));
        }
    }
    groups
}

fn told(document: &Value, path: &str, method: &str, operation: &Value) -> Operation {
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
        fields: operation.get("requestBody").map(|body| fields(document, body)).unwrap_or_default(),
        answers: answers.collect(),
    }
}

/// The fields of what a body holds, those that must be there first.
fn fields(document: &Value, body: &Value) -> Vec<Field> {
    let to = text(body, "/content/application~1json/schema/$ref").trim_start_matches('#');
    let schema = document.pointer(to).unwrap_or(&Value::Null);
    let required: Vec<&str> = texts(schema, "/required").collect();
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let field = |(name, one): (&String, &Value)| Field {
        name: name.clone(),
        sort: sort_of(one),
        about: text(one, "/description").to_owned(),
        required: required.contains(&name.as_str()),
    };
    let mut all: Vec<Field> = properties.map(field).collect();
    all.sort_by_key(|field| !field.required);
    all
}

/// What may stand in a field, in words: `string`, `list of string`.
fn sort_of(schema: &Value) -> String {
    if let Some(to) = schema.get("$ref").and_then(Value::as_str) {
        return to.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let one_of = items(schema, "/oneOf").iter().map(sort_of).filter(|sort| sort != "null");
    let sorts = texts(schema, "/type").filter(|sort| *sort != "null").map(str::to_owned);
    let single = schema.get("type").and_then(Value::as_str).map(str::to_owned);
    let sort = one_of.chain(sorts).chain(single).collect::<Vec<_>>().join(" or ");
    match schema.get("items") {
        Some(items) => format!("list of {}", sort_of(items)),
        None if sort.is_empty() => "any".to_owned(),
        None => sort,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_are_written_into_a_line_that_is_copied() {
        for (text, is) in [
            ("127.0.0.1:7420", true),
            ("writ.example", true),
            ("[::1]:7420", true),
            ("[::1]", true),
            ("", false),
            (":80", false),
            ("-x", false),
            ("a b", false),
            ("a;rm", false),
            ("$(x)", false),
            ("a'\"", false),
            ("a:99999", false),
            ("a:+80", false),
            ("a:", false),
            ("me@a", false),
            ("a/b", false),
        ] {
            assert_eq!(is_host(text), is, "{text}");
        }
    }

    #[test]
    fn what_an_operation_takes_is_told_field_by_field() {
        let groups = groups();
        let posts = groups.values().flatten().filter(|one| !one.takes.is_empty());
        let submit =
            groups["intents"].iter().find(|one| one.path == "/api/v1/intents" && one.method == "POST").unwrap();
        let told: Vec<_> =
            submit.fields.iter().map(|one| (one.name.as_str(), one.sort.as_str(), one.required)).collect();
        assert_eq!(told, [("name", "string", true), ("text", "string", true), ("planned", "string", false)]);
        for one in posts {
            assert!(one.takes == "Nothing" || !one.fields.is_empty(), "{} {}", one.method, one.path);
        }
    }
}
