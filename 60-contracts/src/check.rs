//! Does what a plan and its agents require fit what is in force?

use crate::contract::{Contract, Direction};
use crate::registry::{Registry, Unresolved};
use crate::requirement::{Needs, Requirement, Subject, Use};
use crate::{ContractId, schema};
use semver::{Version, VersionReq};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use writ_core::Place;
use writ_schema::{Compatibility, subsumes};
use writ_text::listed;

/// What a check of one contract came to. Ordered: a later one overrides an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It is in force in a fitting version, and everything said under it fits.
    Verified,
    /// It is in force in a fitting version, and something said under it does not fit, or cannot be shown to.
    Incompatible,
    /// It is known, and no fitting version is in force.
    Version,
    /// Nobody has published it.
    Missing,
}

impl Fit {
    /// Its name, as reports have it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Fit::Verified => "verified",
            Fit::Incompatible => "incompatible",
            Fit::Version => "version",
            Fit::Missing => "missing",
        }
    }
}

/// Why a contract does not fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// Who requires it.
    pub by: String,
    /// A value that one side says and the other does not accept.
    pub counterexample: Option<Value>,
    /// One sentence for a person.
    pub message: String,
    /// Where in the contract's document, as a JSON pointer; empty when it is about the contract as a whole.
    pub pointer: String,
}

/// The result for one contract.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractResult {
    /// The contract.
    pub contract: ContractId,
    /// What the check came to.
    pub fit: Fit,
    /// The ranges that were asked for, each once.
    pub ranges: Vec<VersionReq>,
    /// Why it does not fit; empty when it does.
    pub reasons: Vec<Reason>,
    /// Who requires it, each once, in the order of the subjects.
    pub required_by: Vec<String>,
    /// The version that was chosen.
    pub version: Option<Version>,
}

/// The result for all contracts, in the order in which they are first required.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// One per contract.
    pub results: Vec<ContractResult>,
}

impl Report {
    /// Whether everything fits.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.results.iter().all(|result| result.fit == Fit::Verified)
    }

    /// The report as the document `contract_verification`, without floats: counterexamples are texts.
    #[must_use]
    pub fn document(&self) -> Value {
        let result = |result: &ContractResult| {
            let mut doc = json!({
                "contract": result.contract,
                "status": result.fit.label(),
                "version": result.version.as_ref().map(Version::to_string),
                "compatible": result.fit == Fit::Verified,
                "range": result.ranges.iter().map(VersionReq::to_string).collect::<Vec<_>>().join(", "),
                "required_by": result.required_by,
            });
            if let (false, Value::Object(members)) = (result.reasons.is_empty(), &mut doc) {
                members.insert("reasons".into(), result.reasons.iter().map(reason).collect());
            }
            doc
        };
        json!({"contract_verification": {
            "contracts_required": self.results.iter().map(|result| &result.contract).collect::<Vec<_>>(),
            "verification_results": self.results.iter().map(result).collect::<Vec<_>>(),
        }})
    }
}

fn reason(reason: &Reason) -> Value {
    let mut doc = json!({"by": reason.by, "message": reason.message, "pointer": reason.pointer});
    if let (Some(value), Value::Object(members)) = (&reason.counterexample, &mut doc) {
        members.insert("counterexample".into(), Value::String(value.to_string()));
    }
    doc
}

/// Checks every requirement of these subjects.
#[must_use]
pub fn check(needs: &Needs, subjects: &[Subject<'_>], registry: &Registry) -> Report {
    // In the order of the requirements file, which is the order in which people think of them.
    let mut order: Vec<&ContractId> = Vec::new();
    for requirement in &needs.requires {
        let concerned = subjects.iter().any(|subject| requirement.concerns(subject.name));
        if concerned && !order.contains(&&requirement.contract) {
            order.push(&requirement.contract);
        }
    }
    Report { results: order.into_iter().map(|id| check_contract(id, needs, subjects, registry)).collect() }
}

/// Checks what is known to be required by somebody, and the ranges that they say they require, each by itself; also what they
/// provide, as the range of one version. A contract that both name is checked once, in a version for both.
#[must_use]
pub fn check_uses(by: &str, needs: &Needs, uses: &[(ContractId, VersionReq)], registry: &Registry) -> Report {
    let at = Place { file: by.to_owned(), line: 1, column: 1 };
    let requirement = |(contract, range): &(ContractId, VersionReq)| Requirement {
        at: at.clone(),
        by: by.to_owned(),
        carries: Vec::new(),
        contract: contract.clone(),
        range: range.clone(),
        uses: Vec::new(),
    };
    let subject = [Subject { config: None, name: by }];
    let is_known = |(contract, _): &&(ContractId, VersionReq)| {
        needs.requires.iter().any(|one| one.contract == *contract && one.concerns(by))
    };
    let (both, own): (Vec<_>, Vec<_>) = uses.iter().partition(is_known);
    let mut joined = needs.clone();
    joined.requires.extend(both.into_iter().map(requirement));
    let mut report = check(&joined, &subject, registry);
    for one in own {
        let needs = Needs { provides: Vec::new(), requires: vec![requirement(one)] };
        report.results.extend(check(&needs, &subject, registry).results);
    }
    report
}

fn check_contract(id: &ContractId, needs: &Needs, subjects: &[Subject<'_>], registry: &Registry) -> ContractResult {
    let asked: Vec<(&Subject<'_>, &Requirement)> = subjects
        .iter()
        .flat_map(|subject| needs.requires.iter().map(move |requirement| (subject, requirement)))
        .filter(|(subject, requirement)| requirement.contract == *id && requirement.concerns(subject.name))
        .collect();
    let mut ranges: Vec<&VersionReq> = Vec::new();
    let mut required_by: Vec<String> = Vec::new();
    for (subject, requirement) in &asked {
        if !ranges.contains(&&requirement.range) {
            ranges.push(&requirement.range);
        }
        if !required_by.iter().any(|name| name == subject.name) {
            required_by.push(subject.name.to_owned());
        }
    }
    let provided: BTreeSet<&Version> =
        needs.provides.iter().filter(|one| one.contract == *id).map(|one| &one.version).collect();
    let offered = |version: &Version| provided.is_empty() || provided.contains(version);
    let (fit, version, reasons) = match registry.resolve_among(id, &ranges, offered) {
        Err(unresolved) => {
            let (fit, message) = told(id, &unresolved, &ranges, &provided);
            let reason = |by: &String| Reason {
                by: by.clone(),
                counterexample: None,
                message: message.clone(),
                pointer: String::new(),
            };
            (fit, None, required_by.iter().map(reason).collect())
        }
        Ok(record) => {
            let mut reasons = Vec::new();
            for (subject, requirement) in &asked {
                reasons.extend(misfits(&record.contract, subject, requirement));
            }
            let fit = if reasons.is_empty() { Fit::Verified } else { Fit::Incompatible };
            (fit, Some(record.contract.version.clone()), reasons)
        }
    };
    let ranges = ranges.into_iter().cloned().collect();
    ContractResult { contract: id.clone(), fit, ranges, reasons, required_by, version }
}

fn told(
    id: &ContractId,
    unresolved: &Unresolved,
    ranges: &[&VersionReq],
    provided: &BTreeSet<&Version>,
) -> (Fit, String) {
    let list = |versions: Vec<String>| if versions.is_empty() { "none".to_owned() } else { versions.join(", ") };
    match unresolved {
        Unresolved::Missing { others } if others.is_empty() => (Fit::Missing, format!("nobody has published `{id}`")),
        Unresolved::Missing { others } => {
            (Fit::Missing, format!("nobody has published `{id}`; of its family there is {}", listed(others)))
        }
        Unresolved::Version { available, retired } => {
            let asked = list(ranges.iter().map(|range| format!("`{range}`")).collect());
            let in_force = list(available.iter().map(Version::to_string).collect());
            let mut message = format!("no version of `{id}` fits {asked}; in force: {in_force}");
            if !provided.is_empty() {
                message +=
                    &format!("; provided: {}", list(provided.iter().map(|version| (*version).to_string()).collect()));
            }
            if !retired.is_empty() {
                message += &format!("; retired: {}", list(retired.iter().map(Version::to_string).collect()));
            }
            (Fit::Version, message)
        }
    }
}

fn misfits(contract: &Contract, subject: &Subject<'_>, requirement: &Requirement) -> Vec<Reason> {
    let mut found = Vec::new();
    let reason = |pointer: String, message: String, counterexample: Option<Value>| Reason {
        by: subject.name.to_owned(),
        counterexample,
        message,
        pointer,
    };
    let unknown = |message: &str| {
        let known = listed(contract.messages.keys());
        let text = format!("`{}` {} has no message `{message}`; it has {known}", contract.id, contract.version);
        reason(format!("/messages/{message}"), text, None)
    };
    for carried in &requirement.carries {
        let Some(config) = subject.config else { continue };
        let Some(message) = contract.messages.get(&carried.message) else {
            found.push(unknown(&carried.message));
            continue;
        };
        let at = format!("/messages/{}/schema", carried.message);
        let Some(value) = config.pointer(&carried.from) else {
            found.push(reason(
                at,
                format!("the configuration has nothing at `{}`, where `{}` should be", carried.from, carried.message),
                None,
            ));
            continue;
        };
        for misfit in message.schema.check(value) {
            let place = format!("{}{}", carried.from, misfit.instance);
            let text = format!("at `{place}` of the configuration: {}", misfit.message);
            found.push(reason(format!("{at}{}", misfit.schema), text, Some(value.clone())));
        }
    }
    for used in &requirement.uses {
        match contract.messages.get(&used.message) {
            None => found.push(unknown(&used.message)),
            Some(message) => {
                let at = format!("/messages/{}/schema", used.message);
                found.extend(use_misfit(used, message, &at).map(|(pointer, text, value)| reason(pointer, text, value)));
            }
        }
    }
    found
}

/// A command or query is sent by who requires it, an event is read.
fn use_misfit(used: &Use, message: &crate::Message, at: &str) -> Option<(String, String, Option<Value>)> {
    let (sub, sup, what) = match message.direction {
        Direction::Command | Direction::Query => {
            (&used.schema, &message.schema, "what is sent is not always accepted by the contract")
        }
        Direction::Event => (&message.schema, &used.schema, "what the contract sends is not always accepted here"),
    };
    match subsumes(sub, sup) {
        Compatibility::Compatible(_) => None,
        Compatibility::Incompatible { pointer, witness } => {
            Some((format!("{at}{pointer}"), format!("`{}`: {what}", used.message), Some(witness)))
        }
        Compatibility::Unknown { pointer, reason } => {
            Some((format!("{at}{pointer}"), format!("`{}`: it cannot be shown to fit: {reason}", used.message), None))
        }
    }
}

/// For every requirement and every published version of its contract: does it fit, and if not, why.
#[must_use]
pub fn matrix(needs: &Needs, registry: &Registry) -> Value {
    let mut rows = Vec::new();
    for requirement in &needs.requires {
        let subject = Subject { config: None, name: &requirement.by };
        for record in registry.versions(&requirement.contract).values() {
            let contract = &record.contract;
            let in_range = requirement.range.matches(&contract.version);
            let reasons = misfits(contract, &subject, requirement);
            let (fits, because) = if !record.status.is_in_force() {
                (false, format!("it is {}", record.status.label()))
            } else if !in_range {
                (false, format!("it is not in the range `{}`", requirement.range))
            } else {
                match reasons.first() {
                    Some(reason) => (false, format!("{} (at `{}`)", reason.message, reason.pointer)),
                    None => (true, format!("it is in the range `{}` and every message fits", requirement.range)),
                }
            };
            rows.push(json!({
                "by": requirement.by, "contract": contract.id, "version": contract.version.to_string(),
                "status": record.status.label(), "fits": fits, "because": because,
            }));
        }
        if registry.versions(&requirement.contract).is_empty() {
            rows.push(json!({
                "by": requirement.by, "contract": requirement.contract, "version": null,
                "status": "missing", "fits": false, "because": "nobody has published it",
            }));
        }
    }
    json!({"matrix": rows})
}

/// What publishing a change would break, as a document: the rise it needs and every change.
#[must_use]
pub fn comparison(old: &Contract, new: &Contract) -> Value {
    let changes = schema::changes(old, new);
    json!({"comparison": {
        "from": {"contract": old.id, "version": old.version.to_string()},
        "to": {"contract": new.id, "version": new.version.to_string()},
        "required": schema::required_bump(new.compatibility, &changes),
        "changes": changes.iter().map(schema::Change::document).collect::<Vec<_>>(),
    }})
}
