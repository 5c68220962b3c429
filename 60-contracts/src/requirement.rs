//! Who requires and who provides which contract, as data.

use crate::ContractId;
use semver::{Version, VersionReq};
use serde_json::Value;
use std::sync::Arc;
use writ_core::Place;
use writ_schema::Schema;
use writ_text::{Fields, Limits, Node, Problem, Problems};

/// A message that the one who requires a contract sends or reads in a form of its own.
#[derive(Debug, Clone)]
pub struct Use {
    /// The message's name in the contract.
    pub message: String,
    /// What is sent, or what is accepted when it is read.
    pub schema: Arc<Schema>,
}

/// A part of an action's configuration that travels as a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carries {
    /// Where it stands in the configuration, as a JSON pointer.
    pub from: String,
    /// The message's name in the contract.
    pub message: String,
}

/// One requirement.
#[derive(Debug, Clone)]
pub struct Requirement {
    /// Where it stands.
    pub at: Place,
    /// Who requires it: `action/enable_self_healing`, `agent/…`; a trailing `*` stands for anything.
    pub by: String,
    /// Parts of the configuration that must be valid messages.
    pub carries: Vec<Carries>,
    /// The contract.
    pub contract: ContractId,
    /// Which versions will do.
    pub range: VersionReq,
    /// Messages in a form of one's own.
    pub uses: Vec<Use>,
}

/// One provision: an agent that speaks a version of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provision {
    /// Who provides it: `agent/self-healing-agent-001`.
    pub by: String,
    /// The contract.
    pub contract: ContractId,
    /// The version.
    pub version: Version,
}

/// Requirements and provisions of a file.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// Who provides what. A contract that nobody is said to provide is taken to be provided in every version.
    pub provides: Vec<Provision>,
    /// Who requires what.
    pub requires: Vec<Requirement>,
}

/// Someone whose requirements are checked: an action of a plan with its configuration, or an agent.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'s> {
    /// Its configuration, as the plan declares it.
    pub config: Option<&'s Value>,
    /// Its name: `action/enable_self_healing`.
    pub name: &'s str,
}

impl Requirement {
    /// Whether it is a requirement of this subject.
    #[must_use]
    pub fn concerns(&self, subject: &str) -> bool {
        match self.by.strip_suffix('*') {
            Some(start) => subject.starts_with(start),
            None => self.by == subject,
        }
    }
}

/// Reads requirements from YAML or JSON: `requires` and `provides`, each a list.
///
/// # Errors
/// Everything that is wrong with them, each with its place.
pub fn read_needs(file: &str, bytes: &[u8]) -> Result<Needs, Vec<Problem>> {
    let node = writ_text::read(file, bytes, &Limits::default())?;
    let problems = Problems::new();
    let needs = node.fields("the requirements", &problems).map(|mut fields| {
        let requires = fields.maybe_items("requires").iter().filter_map(|node| requirement(node, &problems)).collect();
        let provides = fields.maybe_items("provides").iter().filter_map(|node| provision(node, &problems)).collect();
        fields.done();
        Needs { provides, requires }
    });
    problems.result(needs)
}

fn requirement(node: &Node, problems: &Problems) -> Option<Requirement> {
    let mut fields = node.fields("a requirement", problems)?;
    let by = who(&mut fields);
    let contract = contract(&mut fields);
    let range = range(&mut fields);
    let mut carries = Vec::new();
    for node in fields.maybe_items("carries") {
        let Some(mut fields) = node.fields("an entry of `carries`", problems) else { continue };
        let (message, from) = (fields.text("message"), fields.text("from"));
        if from.is_some_and(|from| !(from.is_empty() || from.starts_with('/'))) {
            fields.say("from", "a JSON pointer is empty or starts with `/`, as in `/recovery_policy`");
        }
        fields.done();
        carries.extend(message.zip(from).map(|(message, from)| Carries { from: from.into(), message: message.into() }));
    }
    let mut uses = Vec::new();
    for node in fields.maybe_items("uses") {
        let Some(mut fields) = node.fields("an entry of `uses`", problems) else { continue };
        let message = fields.text("message");
        let schema = fields.need("schema").and_then(|node| match Schema::compile(&node.to_json()) {
            Ok(schema) => Some(Arc::new(schema)),
            Err(error) => {
                problems.say(&node.at, error.to_string());
                None
            }
        });
        fields.done();
        uses.extend(message.zip(schema).map(|(message, schema)| Use { message: message.into(), schema }));
    }
    fields.done();
    Some(Requirement { at: node.place(), by: by?, carries, contract: contract?, range: range?, uses })
}

fn provision(node: &Node, problems: &Problems) -> Option<Provision> {
    let mut fields = node.fields("a provision", problems)?;
    let by = who(&mut fields);
    let contract = contract(&mut fields);
    let version = fields.text("version").and_then(|text| match Version::parse(text) {
        Ok(version) => Some(version),
        Err(_) => {
            fields.say("version", format!("`{text}` is not a version; write it as '1.0.0'"));
            None
        }
    });
    fields.done();
    Some(Provision { by: by?, contract: contract?, version: version? })
}

fn who(fields: &mut Fields<'_>) -> Option<String> {
    let text = fields.text("by")?;
    let known =
        ["action/", "agent/", "intent/"].iter().any(|prefix| text.len() > prefix.len() && text.starts_with(prefix));
    let stars = text.matches('*').count();
    if !known || stars > 1 || (stars == 1 && !text.ends_with('*')) {
        fields.say(
            "by",
            format!("`{text}` names nobody; write `action/<name>` or `agent/<id>`, with `*` only at the end"),
        );
        return None;
    }
    Some(text.to_owned())
}

fn contract(fields: &mut Fields<'_>) -> Option<ContractId> {
    match fields.text("contract")?.parse() {
        Ok(id) => Some(id),
        Err(error) => {
            fields.say("contract", crate::ContractIdError::to_string(&error));
            None
        }
    }
}

fn range(fields: &mut Fields<'_>) -> Option<VersionReq> {
    let text = fields.text("version")?;
    match VersionReq::parse(text) {
        Ok(range) => Some(range),
        Err(_) => {
            fields.say("version", format!("`{text}` is not a range of versions; write it as '^1.0' or '>=1.2, <2'"));
            None
        }
    }
}
