//! Ids. Minted ones carry a readable prefix and sort by time; given ones are an operator's own words, checked once.

use crate::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use std::sync::Arc;

/// Why a text is not an id of the wanted sort.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text does not start with the prefix of its sort.
    #[error("`{text}` is no {sort}, which starts with `{prefix}_`")]
    Prefix {
        /// What was given, cut to 140 characters.
        text: String,
        /// The sort of id that was wanted.
        sort: &'static str,
        /// The prefix it should have.
        prefix: &'static str,
    },
    /// The text is empty, too long, or has a character that ids may not have.
    #[error(
        "`{text}` is no {sort}: use 1 to 128 letters, digits and any of `. _ - / : @`, starting with a letter or digit"
    )]
    Text {
        /// What was given, cut to 140 characters.
        text: String,
        /// The sort of id that was wanted.
        sort: &'static str,
    },
    /// The text is no trace id.
    #[error("`{text}` is no trace id, which has 32 digits of `0-9a-f`, not all of them zero")]
    Trace {
        /// What was given, cut to 140 characters.
        text: String,
    },
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 26 characters of Crockford base 32 over 48 bits of milliseconds and 80 bits of chance, as ULIDs have them.
fn mint(millis: u64, chance: [u8; 10]) -> String {
    let mut wide = u128::from(millis & 0xffff_ffff_ffff) << 80;
    for (at, byte) in chance.iter().enumerate() {
        wide |= u128::from(*byte) << (72 - 8 * at);
    }
    (0..26).rev().map(|at| ALPHABET[((wide >> (5 * at)) & 31) as usize] as char).collect()
}

/// When an id was minted; none for one that was given.
#[must_use]
pub fn minted_at(id: &str) -> Option<Timestamp> {
    let (_, minted) = id.split_once('_').filter(|(_, minted)| minted.len() == 26)?;
    let digit = |at: u8| ALPHABET.iter().position(|letter| *letter == at);
    let millis = minted.bytes().take(10).try_fold(0_i64, |sum, at| Some(sum << 5 | i64::try_from(digit(at)?).ok()?));
    millis.map(|millis| Timestamp::from_micros(millis.saturating_mul(1_000)))
}

/// As much of what was given as an error repeats.
fn cut(text: &str) -> String {
    text.chars().take(140).collect()
}

fn is_word(text: &str) -> bool {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    !text.is_empty()
        && text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(sound)
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        // Shared, for ids are passed on much more often than they are made.
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }
    };
}

/// Ids that the product mints: a prefix, an underscore, 26 characters that sort by time.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident => $prefix:literal, $sort:literal;)*) => {$(
        text_id! { $(#[$doc])* $name }

        impl $name {
            /// What every id of this sort starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id from the time in milliseconds since 1970 and ten bytes of chance.
            #[must_use]
            pub fn mint(millis: u64, chance: [u8; 10]) -> Self {
                Self(format!(concat!($prefix, "_{}"), mint(millis, chance)).into())
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                if !text.starts_with(concat!($prefix, "_")) {
                    return Err(IdError::Prefix { text: cut(&text), sort: $sort, prefix: $prefix });
                }
                if !is_word(&text) {
                    return Err(IdError::Text { text: cut(&text), sort: $sort });
                }
                Ok(Self(text.into()))
            }
        }
    )*};
}

/// Ids that people or manifests give.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident => $sort:literal;)*) => {$(
        text_id! { $(#[$doc])* $name }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                if is_word(&text) {
                    return Ok(Self(text.into()));
                }
                Err(IdError::Text { text: cut(&text), sort: $sort })
            }
        }
    )*};
}

ids! {
    /// One journal entry.
    EventId => "evt", "entry's id";
    /// One execution of a plan.
    RunId => "run", "run's id";
    /// The right to work on one step, handed to one agent.
    TicketId => "tkt", "ticket's id";
    /// A signed order for one effect.
    PermitId => "pmt", "permit's id";
    /// A request for a person's decision, or the decision that stands.
    ApprovalId => "apr", "approval's id";
    /// A symptom and all that was done about it.
    IncidentId => "inc", "incident's id";
    /// A rule that may be broken somewhere for a time.
    WaiverId => "wvr", "waiver's id";
}

names! {
    /// An intent, by the id its manifest gives: `DEPLOY-WEB-001`.
    IntentId => "intent's id";
    /// An agent: `self-healing-agent-001`.
    AgentId => "agent's id";
    /// A person, opaque: the name that goes with it is erasable and stands elsewhere.
    PrincipalId => "person's id";
    /// A policy rule: `SEC-ENC-001`.
    RuleId => "rule's id";
    /// A service that an intent brings up: `web-service-001`.
    ComponentId => "component's id";
    /// A recommendation: `OPT-001`.
    RecommendationId => "recommendation's id";
    /// An action of a plan: `act_` and a content hash that survives re-planning.
    ActionId => "action's id";
    /// A step of a run: an action's id, a slash and what it is about (`act_…/i-2`).
    StepKey => "step's key";
}

/// A W3C trace id: 32 lower-case hexadecimal digits, not all zero.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct TraceId(Arc<str>);

impl TraceId {
    /// The trace id of sixteen bytes of chance.
    #[must_use]
    pub fn of(chance: [u8; 16]) -> Self {
        let mut bytes = chance;
        if bytes == [0; 16] {
            bytes[15] = 1; // The all-zero id is reserved by the W3C recommendation.
        }
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let hex: String = digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect();
        Self(hex.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for TraceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TraceId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        let hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex && text.bytes().any(|b| b != b'0') {
            return Ok(Self(text.into()));
        }
        Err(IdError::Trace { text: cut(&text) })
    }
}

impl From<TraceId> for String {
    fn from(id: TraceId) -> String {
        id.0.as_ref().to_owned()
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minted_ids_sort_by_time_and_parse_back() {
        let early = RunId::mint(1_000, [9; 10]);
        let late = RunId::mint(1_001, [0; 10]);
        assert!(early < late);
        assert_eq!(early.as_str().parse::<RunId>(), Ok(early.clone()));
        assert_eq!(early.as_str().len(), "run_".len() + 26);
        let at = Timestamp::from_micros(1_795_358_956_123_000);
        assert_eq!(minted_at(RunId::mint(at.millis(), [7; 10]).as_str()), Some(at));
        assert_eq!(minted_at("DEPLOY-WEB-001"), None);
        assert_eq!(minted_at("run_00000000000000000000000u/é"), None);
    }

    #[test]
    fn an_id_of_another_sort_is_refused_by_name() {
        let error = "tkt_1".parse::<RunId>().unwrap_err();
        assert_eq!(error.to_string(), "`tkt_1` is no run's id, which starts with `run_`");
    }

    #[test]
    fn given_names_refuse_spaces_and_control_characters() {
        for bad in ["", " a", "a b", "a\n", "-a", &"x".repeat(129), "web\u{202e}"] {
            assert!(bad.parse::<IntentId>().is_err(), "{bad:?}");
        }
        assert!("DEPLOY-WEB-001".parse::<IntentId>().is_ok());
    }
}
