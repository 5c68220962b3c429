//! What the journal says about contracts.

use crate::{Bump, ContractId, Status};
use semver::Version;
use serde_json::{Value, json};
use writ_core::{Actor, Digest, Draft, Event, Outcome};

/// Events of contracts.
#[derive(Debug, Clone, PartialEq)]
pub enum ContractEvent {
    /// A version came into force. Its document is the attachment with this digest.
    Published {
        /// What it breaks to the version before, as documents.
        changes: Vec<Value>,
        /// Digest of [`Contract::bytes`](crate::Contract::bytes).
        digest: Digest,
        /// The version it was compared with.
        from: Option<Version>,
        /// How much the version rises.
        given: Bump,
        /// The contract.
        id: ContractId,
        /// Who answers for it.
        owner: String,
        /// How much it had to rise.
        required: Bump,
        /// The version.
        version: Version,
    },
    /// A version was deprecated or retired.
    StatusChanged {
        /// The contract.
        id: ContractId,
        /// Where it stands now.
        status: Status,
        /// The version.
        version: Version,
    },
    /// What a plan or an agent requires was checked.
    Verified {
        /// The report, as [`Report::document`](crate::Report::document) writes it.
        report: Value,
        /// What it was checked for: `DEPLOY-WEB-001`.
        subject: String,
        /// Whether everything fits.
        verified: bool,
    },
}

/// The stream of what contracts said of something.
#[must_use]
pub fn contracts_of(subject: &str) -> String {
    format!("contracts-of/{subject}")
}

impl Event for ContractEvent {
    fn draft(&self, actor: &Actor) -> Draft {
        let contract = |id: &ContractId| (id.to_string(), format!("contract/{id}"));
        let (action, kind, outcome, (resource, stream), body) = match self {
            ContractEvent::Published { changes, digest, from, given, id, owner, required, version } => (
                "publish_contract",
                "contract.published/1",
                Outcome::Success,
                contract(id),
                json!({"changes": changes, "digest": digest, "from": from.as_ref().map(Version::to_string), "given": given,
                       "id": id, "owner": owner, "required": required, "version": version.to_string()}),
            ),
            ContractEvent::StatusChanged { id, status, version } => (
                match status {
                    Status::Deprecated { .. } => "deprecate_contract",
                    Status::Retired => "retire_contract",
                    Status::Draft | Status::Review { .. } | Status::Approved | Status::Published => {
                        "change_contract_status"
                    }
                },
                "contract.status_changed/1",
                Outcome::Success,
                contract(id),
                json!({"id": id, "status": status, "version": version.to_string()}),
            ),
            ContractEvent::Verified { report, subject, verified } => (
                "verify_contracts",
                "contract.verified/1",
                if *verified { Outcome::Success } else { Outcome::Denied },
                (subject.clone(), contracts_of(subject)),
                report.clone(),
            ),
        };
        Draft { action: action.into(), actor: actor.clone(), body, kind, outcome, resource, stream }
    }
}
