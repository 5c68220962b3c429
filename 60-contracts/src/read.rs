//! From a contract file to a contract, with everything that is wrong with it.

use crate::contract::{Contract, Direction, ErrorCase, Message, Mode};
use crate::status::Status;
use crate::{ContractId, NOTICE};
use semver::Version;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use writ_core::Timestamp;
use writ_schema::{Schema, SchemaError};
use writ_text::{Fields, Limits, Node, Problem, Problems};

const MODES: [(&str, Mode); 7] = [
    ("none", Mode::None),
    ("backward", Mode::Backward),
    ("backward_transitive", Mode::BackwardTransitive),
    ("forward", Mode::Forward),
    ("forward_transitive", Mode::ForwardTransitive),
    ("full", Mode::Full),
    ("full_transitive", Mode::FullTransitive),
];

/// A status as a file has it.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    Draft,
    Review,
    Approved,
    Published,
    Deprecated,
    Retired,
}

const STATUSES: [(&str, Told); 6] = [
    ("draft", Told::Draft),
    ("review", Told::Review),
    ("approved", Told::Approved),
    ("published", Told::Published),
    ("deprecated", Told::Deprecated),
    ("retired", Told::Retired),
];

const DIRECTIONS: [(&str, Direction); 3] =
    [("command", Direction::Command), ("event", Direction::Event), ("query", Direction::Query)];

/// Reads a contract from YAML or JSON: a map with the one key `contract`.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn read_contract(file: &str, bytes: &[u8]) -> Result<Contract, Vec<Problem>> {
    let node = writ_text::read(file, bytes, &Limits::default())?;
    let problems = Problems::new();
    let contract = document(&node, &problems);
    problems.result(contract)
}

/// Reads back what [`Contract::bytes`] wrote.
///
/// # Errors
/// Everything that is wrong with it; also when what is read would not be written so again.
pub fn recall_contract(bytes: &[u8]) -> Result<Contract, Vec<Problem>> {
    let place = || writ_core::Place { file: "contract".into(), line: 1, column: 1 };
    let not_ours = |what: &str| vec![Problem::new(place(), what)];
    let mut document: Json = serde_json::from_slice(bytes).map_err(|_| not_ours("this is not JSON"))?;
    document["status"] = "published".into();
    let contract = read_contract("contract", serde_json::json!({"contract": document}).to_string().as_bytes())?;
    if contract.bytes() == bytes { Ok(contract) } else { Err(not_ours("what this says cannot be kept as it is")) }
}

fn document(node: &Node, problems: &Problems) -> Option<Contract> {
    let mut outer = node.fields("a contract file", problems)?;
    let inner = outer.need("contract");
    outer.done();
    let mut fields = inner?.fields("the contract", problems)?;
    let id = id(&mut fields);
    let version = version(&mut fields, id.as_ref());
    let owner = fields.text("owner").map(str::to_owned);
    let description = fields.maybe_text("description").unwrap_or_default().to_owned();
    let compatibility = fields.maybe_choice("compatibility", &MODES).unwrap_or(Mode::Backward);
    let status = status(&mut fields);
    let shared = shared(&mut fields);
    let messages = messages(&mut fields, &shared);
    let errors = errors(&mut fields);
    let invariants = texts(&mut fields, "invariants");
    let performance = performance(&mut fields);
    fields.done();
    Some(Contract {
        compatibility,
        description,
        errors,
        id: id?,
        invariants,
        messages: messages?,
        owner: owner?,
        performance,
        status: status?,
        version: version?,
    })
}

fn id(fields: &mut Fields<'_>) -> Option<ContractId> {
    match fields.text("id")?.parse::<ContractId>() {
        Ok(id) => Some(id),
        Err(error) => {
            fields.say("id", error.to_string());
            None
        }
    }
}

fn version(fields: &mut Fields<'_>, id: Option<&ContractId>) -> Option<Version> {
    let text = fields.text("version")?;
    let version = match Version::parse(text) {
        Ok(version) => version,
        Err(_) => {
            fields.say("version", format!("`{text}` is not a version; write it as '1.0.0'"));
            return None;
        }
    };
    if !version.pre.is_empty() || !version.build.is_empty() {
        fields.say(
            "version",
            format!("`{text}` has a suffix; a contract's version is three numbers, its status says the rest"),
        );
        return None;
    }
    if let Some(id) = id.filter(|id| id.major() != version.major) {
        let message = format!("version {version} does not belong to `{id}`: both must have the same major");
        fields.say("version", message);
        return None;
    }
    Some(version)
}

fn status(fields: &mut Fields<'_>) -> Option<Status> {
    let told = fields.choice("status", &STATUSES);
    let approvals = fields.maybe_int("approvals", 0..=1_000);
    let deprecated_at = fields.maybe_text("deprecated_at").map(str::parse::<Timestamp>);
    let deprecated_at = match deprecated_at {
        Some(Ok(time)) => Some(time),
        Some(Err(error)) => {
            fields.say("deprecated_at", error.to_string());
            return None;
        }
        None => None,
    };
    Some(match told? {
        Told::Draft => Status::Draft,
        Told::Review => {
            Status::Review { approvals: approvals.and_then(|count| u32::try_from(count).ok()).unwrap_or(0) }
        }
        Told::Approved => Status::Approved,
        Told::Published => Status::Published,
        Told::Deprecated => match deprecated_at {
            Some(at) => Status::Deprecated { until: at.plus(NOTICE) },
            None => {
                let days = NOTICE.as_secs() / Duration::from_secs(86_400).as_secs();
                fields.say(
                    "status",
                    format!("a deprecated contract needs `deprecated_at`; it is retired {days} days later"),
                );
                return None;
            }
        },
        Told::Retired => Status::Retired,
    })
}

/// Schemas that several messages share, as `$defs` of each.
fn shared(fields: &mut Fields<'_>) -> Map<String, Json> {
    let Some(node) = fields.maybe("definitions") else { return Map::new() };
    if node.fields("`definitions`", fields.problems()).is_none() {
        return Map::new();
    }
    node.entries().iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
}

fn messages(fields: &mut Fields<'_>, shared: &Map<String, Json>) -> Option<BTreeMap<String, Message>> {
    let node = fields.need("messages")?;
    let problems = fields.problems();
    node.fields("`messages`", problems)?;
    if node.entries().is_empty() {
        problems.say(&node.at, "a contract without messages binds nobody");
        return None;
    }
    let mut found = BTreeMap::new();
    for entry in node.entries() {
        let what = format!("the message `{}`", entry.key);
        let Some(mut fields) = entry.value.fields(&what, problems) else { continue };
        let direction = fields.choice("direction", &DIRECTIONS);
        let schema = fields.need("schema").and_then(|node| schema(node, shared, problems));
        let answer_node = fields.maybe("answer");
        if let (Some(Direction::Event), Some(_)) = (direction, answer_node) {
            fields.say("answer", "an event has no answer; make the message a command or a query");
        }
        if let (Some(Direction::Query), None) = (direction, answer_node) {
            problems.say(&entry.value.at, format!("{what} is a query and has no `answer`"));
        }
        let answer = answer_node.and_then(|node| schema_arc(node, shared, problems));
        fields.done();
        if let (Some(direction), Some(schema)) = (direction, schema) {
            found.insert(entry.key.clone(), Message { answer, direction, schema: Arc::new(schema) });
        }
    }
    (found.len() == node.entries().len()).then_some(found)
}

fn schema_arc(node: &Node, shared: &Map<String, Json>, problems: &Problems) -> Option<Arc<Schema>> {
    schema(node, shared, problems).map(Arc::new)
}

fn schema(node: &Node, shared: &Map<String, Json>, problems: &Problems) -> Option<Schema> {
    let mut document = node.to_json();
    match &mut document {
        Json::Object(members) if !shared.is_empty() && refers(members) => {
            if let Json::Object(own) = members.entry("$defs").or_insert_with(|| Json::Object(Map::new())) {
                for (name, schema) in shared {
                    own.entry(name.clone()).or_insert_with(|| schema.clone());
                }
            }
        }
        Json::Object(_) | Json::Array(_) | Json::String(_) | Json::Number(_) | Json::Bool(_) | Json::Null => {}
    }
    match Schema::compile(&document) {
        Ok(schema) => Some(schema),
        Err(error) => {
            problems.say(node.nearest_at(pointer_of(&error)), error.to_string());
            None
        }
    }
}

/// Whether a reference stands anywhere inside.
fn refers(members: &Map<String, Json>) -> bool {
    let mut open: Vec<&Json> = members.values().collect();
    if members.contains_key("$ref") {
        return true;
    }
    while let Some(value) = open.pop() {
        match value {
            Json::Object(members) if members.contains_key("$ref") => return true,
            Json::Object(members) => open.extend(members.values()),
            Json::Array(items) => open.extend(items),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
    false
}

fn pointer_of(error: &SchemaError) -> &str {
    match error {
        SchemaError::Invalid { pointer, .. }
        | SchemaError::TooLarge { pointer, .. }
        | SchemaError::Unsupported { pointer, .. }
        | SchemaError::Reference { pointer, .. }
        | SchemaError::Endless { pointer }
        | SchemaError::Pattern { pointer, .. } => pointer,
        SchemaError::Draft { .. } => "/$schema",
    }
}

fn errors(fields: &mut Fields<'_>) -> BTreeMap<String, ErrorCase> {
    let problems = fields.problems();
    let mut found: BTreeMap<String, ErrorCase> = BTreeMap::new();
    for node in fields.maybe_items("errors") {
        let Some(mut fields) = node.fields("an error", problems) else { continue };
        let code = fields.text("code");
        let name = fields.text("name");
        let http = fields.int("http", 400..=599).and_then(|status| u16::try_from(status).ok());
        let retry = fields.maybe_bool("retry").unwrap_or(false);
        fields.done();
        let (Some(code), Some(name), Some(http)) = (code, name, http) else { continue };
        if found.contains_key(code) {
            problems.say(&node.at, format!("the error `{code}` stands here a second time"));
        }
        found.insert(code.to_owned(), ErrorCase { code: code.to_owned(), http, name: name.to_owned(), retry });
    }
    found
}

fn texts(fields: &mut Fields<'_>, key: &'static str) -> Vec<String> {
    fields.maybe_texts(key).unwrap_or_default().into_iter().map(str::to_owned).collect()
}

fn performance(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let problems = fields.problems();
    let Some(node) = fields.maybe("performance") else { return BTreeMap::new() };
    if node.fields("`performance`", problems).is_none() {
        return BTreeMap::new();
    }
    let told = node.entries().iter();
    told.filter_map(|entry| Some((entry.key.clone(), entry.value.text(problems)?.to_owned()))).collect()
}
