//! What a contract is.

use crate::{ContractId, Status};
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use writ_core::Digest;
use writ_schema::Schema;

/// Who sends a message, and so who must accept what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The consumer sends it and the provider acts on it: the provider must accept all that consumers send.
    Command,
    /// The provider sends it and the consumer reads it: consumers must accept all that the provider sends.
    Event,
    /// The consumer asks (as with a command) and the provider answers (as with an event).
    Query,
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Direction::Command => "command",
            Direction::Event => "event",
            Direction::Query => "query",
        })
    }
}

/// What the versions of one major promise each other.
///
/// Backward: whoever consumes an older version keeps working with a provider of a newer one. Forward: whoever consumes a
/// newer version works with a provider of an older one. `Transitive` promises it to every published version and not only to
/// the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing.
    None,
    /// Backward, to the latest version.
    Backward,
    /// Backward, to every version.
    BackwardTransitive,
    /// Forward, to the latest version.
    Forward,
    /// Forward, to every version.
    ForwardTransitive,
    /// Both, to the latest version.
    Full,
    /// Both, to every version.
    FullTransitive,
}

impl Mode {
    /// Whether consumers of older versions must keep working.
    #[must_use]
    pub fn promises_backward(self) -> bool {
        match self {
            Mode::Backward | Mode::BackwardTransitive | Mode::Full | Mode::FullTransitive => true,
            Mode::None | Mode::Forward | Mode::ForwardTransitive => false,
        }
    }

    /// Whether consumers of newer versions must work with older providers.
    #[must_use]
    pub fn promises_forward(self) -> bool {
        match self {
            Mode::Forward | Mode::ForwardTransitive | Mode::Full | Mode::FullTransitive => true,
            Mode::None | Mode::Backward | Mode::BackwardTransitive => false,
        }
    }

    /// Whether the promise is made to every published version.
    #[must_use]
    pub fn is_transitive(self) -> bool {
        match self {
            Mode::BackwardTransitive | Mode::ForwardTransitive | Mode::FullTransitive => true,
            Mode::None | Mode::Backward | Mode::Forward | Mode::Full => false,
        }
    }
}

/// One message of a contract.
#[derive(Debug, Clone)]
pub struct Message {
    /// What the provider answers, for a command or a query that has an answer.
    pub answer: Option<Arc<Schema>>,
    /// Who sends it.
    pub direction: Direction,
    /// What it says.
    pub schema: Arc<Schema>,
}

/// An error that a provider may report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCase {
    /// Its code: `SH001`.
    pub code: String,
    /// The HTTP status it comes with.
    pub http: u16,
    /// Its name: `RecoveryFailure`.
    pub name: String,
    /// Whether trying again can help.
    pub retry: bool,
}

/// A contract: what may be said between who needs it and who provides it.
#[derive(Debug, Clone)]
pub struct Contract {
    /// What the versions of this major promise.
    pub compatibility: Mode,
    /// What it is for.
    pub description: String,
    /// Errors by their code.
    pub errors: BTreeMap<String, ErrorCase>,
    /// Its id; the major in it equals the version's.
    pub id: ContractId,
    /// What always holds, in words.
    pub invariants: Vec<String>,
    /// Messages by their name.
    pub messages: BTreeMap<String, Message>,
    /// Who answers for it.
    pub owner: String,
    /// What is promised of its speed, by name; quantities as texts.
    pub performance: BTreeMap<String, String>,
    /// How far it has come.
    pub status: Status,
    /// Its version.
    pub version: Version,
}

impl Contract {
    /// The contract as a document: everything but its status, which changes while the contract does not.
    #[must_use]
    pub fn document(&self) -> Value {
        let message = |message: &Message| {
            let mut doc = json!({"direction": message.direction, "schema": message.schema.document()});
            if let (Some(answer), Value::Object(members)) = (&message.answer, &mut doc) {
                members.insert("answer".into(), answer.document().clone());
            }
            doc
        };
        let messages: BTreeMap<&String, Value> = self.messages.iter().map(|(name, one)| (name, message(one))).collect();
        json!({
            "compatibility": self.compatibility,
            "description": self.description,
            "errors": self.errors.values().collect::<Vec<_>>(),
            "id": self.id,
            "invariants": self.invariants,
            "messages": messages,
            "owner": self.owner,
            "performance": self.performance,
            "version": self.version.to_string(),
        })
    }

    /// The document's bytes: JSON with sorted keys. This is what is attached when it is published.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.document().to_string().into_bytes()
    }

    /// The digest of those bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        writ_seal::sha256(&self.bytes())
    }
}
