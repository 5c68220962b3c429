//! The contracts that are in force: a plain value, changed only by what may be recorded.

use crate::contract::Contract;
use crate::schema::{Because, Change, EFFORT, Promise, changes_within, required_bump};
use crate::status::{IllegalStatus, Status, StatusEvent};
use crate::{Bump, ContractEvent, ContractId, Mode};
use semver::{Version, VersionReq};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use writ_core::{Digest, Timestamp};
use writ_schema::Effort;

/// How many counterexamples a refusal names.
const TOLD_MAX: usize = 20;
/// How much of a counterexample a message shows, in characters.
const EXAMPLE_MAX: usize = 120;

/// A contract is not published.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{id}` {version} {because}{}", way_out(.id, .because))]
pub struct PublishRefused {
    /// Why not.
    pub because: Box<Refusal>,
    /// The contract.
    pub id: ContractId,
    /// The version that was given.
    pub version: Version,
}

/// Why a contract is not published.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It is not approved.
    #[error("cannot be published while it is {status}; it needs the status `approved`")]
    Status {
        /// Its status.
        status: &'static str,
    },
    /// The version was published before with another content.
    #[error("is published already as {there}, and this is {given}; a published version never changes")]
    Immutable {
        /// The digest that was given.
        given: Digest,
        /// The digest that is published.
        there: Digest,
    },
    /// A newer version is published already.
    #[error("is not newer than {latest}, which is published")]
    NotNewer {
        /// The newest that is published.
        latest: Version,
    },
    /// The version rises less than the change requires.
    #[error("needs a {required} rise from {from} and has a {given} one: {}", first(.changes))]
    TooSmall {
        /// What breaks.
        changes: Vec<Change>,
        /// The version it was compared with.
        from: Version,
        /// The rise that was given.
        given: Bump,
        /// The rise that the changes require.
        required: Bump,
    },
}

fn first(changes: &[Change]) -> String {
    let Some(change) = changes.first() else { return String::new() };
    match &change.because {
        Because::Counterexample(value) => {
            format!("{}, for example `{}` (at `{}`)", change.message, shortened(value), change.pointer)
        }
        Because::Absent | Because::Meaning(_) | Because::Unproven(_) => {
            format!("{} (at `{}`)", change.message, change.pointer)
        }
    }
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= EXAMPLE_MAX {
        text
    } else {
        text.chars().take(EXAMPLE_MAX).chain("…".chars()).collect()
    }
}

fn way_out(id: &ContractId, because: &Refusal) -> String {
    match because {
        Refusal::TooSmall { required: Bump::Major, .. } => {
            let next = id.next_major();
            format!("; publish it as `{next}` {}.0.0", next.major())
        }
        Refusal::TooSmall { required: Bump::Minor, from, .. } => {
            format!("; publish it as {}.{}.0", from.major, from.minor + 1)
        }
        Refusal::TooSmall { required: Bump::Patch, .. }
        | Refusal::Status { .. }
        | Refusal::Immutable { .. }
        | Refusal::NotNewer { .. } => String::new(),
    }
}

/// Why a contract's status does not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusRefused {
    /// There is no such contract.
    #[error("`{id}` {version} is not in the registry")]
    Unknown {
        /// The contract.
        id: ContractId,
        /// Its version.
        version: Version,
    },
    /// It stands where this cannot happen.
    #[error("the status of `{id}` {version} does not change")]
    Illegal {
        /// The contract.
        id: ContractId,
        /// What cannot happen.
        #[source]
        cause: Box<IllegalStatus>,
        /// Its version.
        version: Version,
    },
}

/// Why no version was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// No version of this contract is known; these of its family are.
    Missing {
        /// Other majors of the same family.
        others: Vec<ContractId>,
    },
    /// None of the versions is in the range and in force.
    Version {
        /// Versions in force.
        available: Vec<Version>,
        /// Versions in the range that are retired.
        retired: Vec<Version>,
    },
}

/// A published version.
#[derive(Debug, Clone)]
pub struct Record {
    /// The contract as published.
    pub contract: Arc<Contract>,
    /// Digest of its document.
    pub digest: Digest,
    /// Published, deprecated or retired.
    pub status: Status,
}

/// Published contracts by id and version.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    records: BTreeMap<ContractId, BTreeMap<Version, Record>>,
}

impl Registry {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The registry of contract files that have been published elsewhere, in the order of their versions.
    ///
    /// # Errors
    /// Every contract that the rules of publishing refuse.
    pub fn of(contracts: impl IntoIterator<Item = Contract>) -> Result<Self, Vec<PublishRefused>> {
        let mut contracts: Vec<Contract> = contracts.into_iter().collect();
        contracts.sort_by(|left, right| (&left.id, &left.version).cmp(&(&right.id, &right.version)));
        let mut registry = Self::new();
        let refused: Vec<PublishRefused> =
            contracts.into_iter().filter_map(|contract| registry.publish(contract).err()).collect();
        if refused.is_empty() { Ok(registry) } else { Err(refused) }
    }

    /// Puts a contract in force. Publishing the same bytes again changes nothing and is no error.
    ///
    /// # Errors
    /// When it is not approved, would change a published version, is not newer than the newest, or its version rises less than
    /// its changes require under its compatibility mode.
    pub fn publish(&mut self, contract: Contract) -> Result<ContractEvent, PublishRefused> {
        let event = self.judge(&contract)?;
        let digest = contract.digest();
        let versions = self.records.entry(contract.id.clone()).or_default();
        let status = match contract.status {
            Status::Deprecated { until } => Status::Deprecated { until },
            Status::Retired => Status::Retired,
            Status::Draft | Status::Review { .. } | Status::Approved | Status::Published => Status::Published,
        };
        let version = contract.version.clone();
        versions.entry(version).or_insert_with(|| Record { contract: Arc::new(contract), digest, status });
        Ok(event)
    }

    /// What publishing this contract would come to, without doing it.
    ///
    /// # Errors
    /// As [`Registry::publish`].
    pub fn judge(&self, contract: &Contract) -> Result<ContractEvent, PublishRefused> {
        let (id, version) = (contract.id.clone(), contract.version.clone());
        let refused = |because| PublishRefused { because: Box::new(because), id: id.clone(), version: version.clone() };
        match contract.status {
            Status::Draft | Status::Review { .. } => {
                return Err(refused(Refusal::Status { status: contract.status.label() }));
            }
            Status::Approved | Status::Published | Status::Deprecated { .. } | Status::Retired => {}
        }
        let digest = contract.digest();
        let published = |from: Option<Version>, given, required, changes: &[Change]| ContractEvent::Published {
            changes: changes.iter().map(Change::document).collect(),
            digest,
            from,
            given,
            id: id.clone(),
            owner: contract.owner.clone(),
            required,
            version: version.clone(),
        };
        let earlier = self.versions(&id);
        if let Some(record) = earlier.get(&version) {
            if record.digest != digest {
                return Err(refused(Refusal::Immutable { given: digest, there: record.digest }));
            }
            return Ok(published(None, Bump::Patch, Bump::Patch, &[]));
        }
        let Some((latest, _)) = earlier.last_key_value() else {
            return Ok(published(None, Bump::Major, Bump::Major, &[]));
        };
        if version < *latest {
            return Err(refused(Refusal::NotNewer { latest: latest.clone() }));
        }
        let (from, found, required) = against(contract, earlier);
        let given = Bump::between(&from, &version);
        if given < required {
            let changes = found.into_iter().take(TOLD_MAX).collect();
            return Err(refused(Refusal::TooSmall { changes, from, given, required }));
        }
        Ok(published(Some(from), given, required, &found))
    }

    /// Puts back what was published before and recorded as such: nothing is judged again.
    pub fn recall(&mut self, contract: Contract, status: Status) {
        let digest = contract.digest();
        let versions = self.records.entry(contract.id.clone()).or_default();
        versions.insert(contract.version.clone(), Record { contract: Arc::new(contract), digest, status });
    }

    /// Says where a version stands, as it was recorded. Whether it was known.
    pub fn restate(&mut self, id: &ContractId, version: &Version, status: Status) -> bool {
        let record = self.records.get_mut(id).and_then(|versions| versions.get_mut(version));
        record.map(|record| record.status = status).is_some()
    }

    /// Announces that a version will go.
    ///
    /// # Errors
    /// When it is not known or not published.
    pub fn deprecate(
        &mut self,
        id: &ContractId,
        version: &Version,
        at: Timestamp,
    ) -> Result<ContractEvent, StatusRefused> {
        self.change(id, version, StatusEvent::Deprecated { at })
    }

    /// Takes a version out of force.
    ///
    /// # Errors
    /// When it is not known, was not deprecated, or its notice still runs.
    pub fn retire(
        &mut self,
        id: &ContractId,
        version: &Version,
        at: Timestamp,
    ) -> Result<ContractEvent, StatusRefused> {
        self.change(id, version, StatusEvent::Retired { at })
    }

    fn change(
        &mut self,
        id: &ContractId,
        version: &Version,
        event: StatusEvent,
    ) -> Result<ContractEvent, StatusRefused> {
        let record = self.records.get_mut(id).and_then(|versions| versions.get_mut(version));
        let Some(record) = record else {
            return Err(StatusRefused::Unknown { id: id.clone(), version: version.clone() });
        };
        let illegal =
            |cause| StatusRefused::Illegal { id: id.clone(), cause: Box::new(cause), version: version.clone() };
        record.status = record.status.after(event).map_err(illegal)?;
        Ok(ContractEvent::StatusChanged { id: id.clone(), status: record.status, version: version.clone() })
    }

    /// The newest version in the range that is in force; a deprecated one only when no other is.
    ///
    /// # Errors
    /// Tells an unknown contract from one that has no such version.
    pub fn resolve(&self, id: &ContractId, range: &VersionReq) -> Result<&Record, Unresolved> {
        self.resolve_among(id, &[range], |_| true)
    }

    /// As [`Registry::resolve`], for several ranges at once and only among versions that are offered.
    pub(crate) fn resolve_among(
        &self,
        id: &ContractId,
        ranges: &[&VersionReq],
        offered: impl Fn(&Version) -> bool,
    ) -> Result<&Record, Unresolved> {
        let Some(versions) = self.records.get(id) else {
            let others = self.records.keys().filter(|other| other.family() == id.family()).cloned().collect();
            return Err(Unresolved::Missing { others });
        };
        let in_range = |version: &Version| ranges.iter().all(|range| range.matches(version));
        let fitting = || versions.iter().rev().filter(|(version, _)| in_range(version) && offered(version));
        let found = fitting()
            .find(|(_, record)| record.status == Status::Published)
            .or_else(|| fitting().find(|(_, record)| record.status.is_in_force()));
        match found {
            Some((_, record)) => Ok(record),
            None => {
                let in_force = |(_, record): &(&Version, &Record)| record.status.is_in_force();
                Err(Unresolved::Version {
                    available: versions.iter().filter(in_force).map(|(version, _)| version.clone()).collect(),
                    retired: versions
                        .iter()
                        .filter(|(version, record)| record.status == Status::Retired && in_range(version))
                        .map(|(version, _)| version.clone())
                        .collect(),
                })
            }
        }
    }

    /// All versions of a contract.
    #[must_use]
    pub fn versions(&self, id: &ContractId) -> &BTreeMap<Version, Record> {
        static NONE: BTreeMap<Version, Record> = BTreeMap::new();
        self.records.get(id).unwrap_or(&NONE)
    }

    /// All records, by id and version.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values().flat_map(BTreeMap::values)
    }
}

/// The version that requires most of the new one, with what breaks between them.
fn against(contract: &Contract, earlier: &BTreeMap<Version, Record>) -> (Version, Vec<Change>, Bump) {
    let latest = earlier.last_key_value().map_or_else(|| contract.version.clone(), |(version, _)| version.clone());
    let effort = Effort::of(EFFORT);
    let to_latest = earlier.get(&latest).map(|record| changes_within(&record.contract, contract, &effort));
    let to_latest = to_latest.unwrap_or_default();
    let mut worst = (latest.clone(), required_bump(contract.compatibility, &to_latest), to_latest);
    if contract.compatibility.is_transitive() {
        let others = earlier.iter().filter(|(version, record)| **version != latest && record.status.is_in_force());
        for (version, record) in others {
            let mut found = changes_within(&record.contract, contract, &effort);
            found.retain(|change| is_promised(contract.compatibility, change.promise));
            let required = required_bump(contract.compatibility, &found);
            if required > worst.1 {
                worst = (version.clone(), required, found);
            }
        }
    }
    let (from, required, mut found) = worst;
    // What the mode promises comes first: it is what a refusal shows.
    found.sort_by_key(|change| !is_promised(contract.compatibility, change.promise));
    (from, found, required)
}

fn is_promised(mode: Mode, promise: Promise) -> bool {
    match promise {
        Promise::Backward => mode.promises_backward(),
        Promise::Forward => mode.promises_forward(),
    }
}
