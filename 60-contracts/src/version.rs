//! Contract ids, versions, and how much a version must rise.

use semver::Version;
use serde::{Deserialize, Serialize};

/// The id of a contract, its major version included: `contract.self-healing.v1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContractId(String);

/// A text is not a contract id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a contract id; write it as `contract.<name>.v<major>`, in small letters, digits, `-` and `.`")]
pub struct ContractIdError {
    /// What was given, cut to 140 characters.
    pub text: String,
}

impl ContractId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id without its major version: `contract.self-healing`.
    #[must_use]
    pub fn family(&self) -> &str {
        self.0.rsplit_once(".v").map_or(&self.0, |(family, _)| family)
    }

    /// The major version that the id names.
    #[must_use]
    pub fn major(&self) -> u64 {
        self.0.rsplit_once(".v").and_then(|(_, major)| major.parse().ok()).unwrap_or(0)
    }

    /// The id of the same family with the next major version.
    #[must_use]
    pub fn next_major(&self) -> Self {
        Self(format!("{}.v{}", self.family(), self.major().saturating_add(1)))
    }
}

impl TryFrom<String> for ContractId {
    type Error = ContractIdError;
    fn try_from(text: String) -> Result<Self, ContractIdError> {
        let is_word = |word: &str| {
            !word.is_empty()
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let is_major = |major: &str| major.parse::<u32>().is_ok_and(|number| number > 0 && number.to_string() == major);
        let sound = text.len() <= 128
            && text.rsplit_once(".v").is_some_and(|(family, major)| {
                is_major(major)
                    && family
                        .split_once('.')
                        .is_some_and(|(first, rest)| first == "contract" && rest.split('.').all(is_word))
            });
        if sound { Ok(Self(text)) } else { Err(ContractIdError { text: text.chars().take(140).collect() }) }
    }
}

impl From<ContractId> for String {
    fn from(id: ContractId) -> String {
        id.0
    }
}

impl std::str::FromStr for ContractId {
    type Err = ContractIdError;
    fn from_str(text: &str) -> Result<Self, ContractIdError> {
        Self::try_from(text.to_owned())
    }
}

impl std::fmt::Display for ContractId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much a version rises from the one before. Ordered: a later one covers an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bump {
    /// Nothing that either side could notice.
    Patch,
    /// What is promised still holds; more is offered.
    Minor,
    /// A promise is broken, or cannot be shown to hold.
    Major,
}

impl Bump {
    /// The rise from one version to a later one.
    #[must_use]
    pub fn between(from: &Version, to: &Version) -> Self {
        if from.major != to.major {
            Bump::Major
        } else if from.minor != to.minor {
            Bump::Minor
        } else {
            Bump::Patch
        }
    }
}

impl std::fmt::Display for Bump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Bump::Patch => "patch",
            Bump::Minor => "minor",
            Bump::Major => "major",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_family_and_its_major() {
        let id: ContractId = "contract.self-healing.v1".parse().unwrap();
        assert_eq!(
            (id.family(), id.major(), id.next_major().as_str()),
            ("contract.self-healing", 1, "contract.self-healing.v2")
        );
    }

    #[test]
    fn texts_that_are_no_ids_are_refused() {
        for bad in [
            "",
            "contract",
            "contract.v1",
            "contract..v1",
            "contract.a.v0",
            "contract.a.v01",
            "contract.a",
            "a.b.v1",
            "contract.A.v1",
            "contract.a b.v1",
            "contract.a.vx",
            "contract.a.v1 ",
        ] {
            assert!(bad.parse::<ContractId>().is_err(), "{bad:?}");
        }
    }
}
