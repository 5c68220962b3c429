//! The ports through which the product meets the world. `05-store` and `06-providers` fill them, and the simulator does.

use crate::{ComponentId, Effect, EffectClass, EffectKey, Observation, Probe, Receipt, Severity, Timestamp, TraceId};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The time of day, and waiting for it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// What time it is.
    fn now(&self) -> Timestamp;
    /// Returns when so much time has passed.
    async fn sleep(&self, span: Duration);
}

/// Chance.
pub trait Entropy: Send + Sync {
    /// Fills the bytes with chance fit for keys and salts.
    fn fill(&self, bytes: &mut [u8]);
}

/// Why nothing could be signed.
#[derive(Debug, thiserror::Error)]
#[error("the key `{key}` cannot sign: {because}")]
pub struct SignerError {
    /// The key's name.
    pub key: String,
    /// What is wrong.
    pub because: String,
}

/// A key that signs; where it is kept is its own business.
pub trait Signer: Send + Sync {
    /// The key's name, as checkpoints show it.
    fn name(&self) -> &str;
    /// The ed25519 public key.
    fn public_key(&self) -> [u8; 32];
    /// An ed25519 signature over the bytes.
    ///
    /// # Errors
    /// When the key cannot be reached.
    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignerError>;
}

/// Why a witness did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the witness at {place} does not answer: {because}")]
pub struct WitnessError {
    /// Where it is.
    pub place: String,
    /// What is wrong.
    pub because: String,
}

/// Remembers checkpoints apart from the database, so that a database that was rolled back is noticed.
pub trait Witness: Send + Sync {
    /// The newest checkpoint it remembers.
    ///
    /// # Errors
    /// When it cannot be read; a journal does not sign then.
    fn latest(&self) -> Result<Option<String>, WitnessError>;

    /// Remembers a checkpoint. Called after the commit that it speaks of.
    ///
    /// # Errors
    /// When it cannot be written.
    fn remember(&self, note: &str) -> Result<(), WitnessError>;
}

/// Why an effect was not done, or is not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The provider refuses the order itself: a bad permit, an old epoch, an unknown verb, senseless parameters.
    /// Nothing was done and trying again will not help.
    #[error("the provider refuses `{verb}` on `{resource}`: {because}")]
    Refused {
        /// The verb.
        verb: String,
        /// The resource.
        resource: String,
        /// What is wrong with it.
        because: String,
    },
    /// It was tried and did not work; nothing is left behind and trying again may help.
    #[error("`{verb}` on `{resource}` failed: {because}")]
    Failed {
        /// The verb.
        verb: String,
        /// The resource.
        resource: String,
        /// What went wrong.
        because: String,
    },
    /// Whether it was done is not known.
    #[error("what came of `{verb}` on `{resource}` is not known: {because}")]
    Unclear {
        /// The verb.
        verb: String,
        /// The resource.
        resource: String,
        /// Why not.
        because: String,
    },
}

/// The world as a provider sees it: a document for each resource, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct World {
    /// Documents by resource name. Integers, texts, lists and maps only.
    pub resources: BTreeMap<String, Value>,
}

/// Does things to the world under permits.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What it is called, as journals and circuit breakers know it: `local`.
    fn name(&self) -> &str;

    /// The verbs it knows, each with the class its effects have.
    fn verbs(&self) -> BTreeMap<String, EffectClass>;

    /// Carries out one effect. Checks permit, redemption and epoch itself, whoever checked them before. A key that was
    /// carried out before gives the first receipt again and does nothing.
    async fn perform(&self, effect: &Effect) -> Result<Receipt, ProviderError>;

    /// What came of an effect whose answer was lost.
    async fn probe(&self, key: &EffectKey, verb: &str, resource: &str) -> Probe;

    /// What there is of a component now.
    async fn observe(&self, component: &ComponentId) -> Result<World, ProviderError>;
}

/// Why a sensor sees nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{component}` cannot be observed: {because}")]
pub struct SensorError {
    /// What it looks at.
    pub component: String,
    /// What is wrong.
    pub because: String,
}

/// Sees what a component does.
#[async_trait]
pub trait Sensor: Send + Sync {
    /// Waits for the next thing to be seen. Unreachable is an error, never silence or health.
    async fn next(&self) -> Result<Observation, SensorError>;
}

/// Something that people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// Equal ids are one telling, however often it is handed over.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// Who is meant, where somebody in particular is: a role, or the channel that a policy names.
    pub audience: Option<String>,
    /// What is good to know besides, each by name, in the order in which people read them.
    pub facts: Vec<(&'static str, String)>,
    /// Where to look and answer.
    pub link: String,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub text: String,
    /// One line.
    pub title: String,
    /// What sort of thing happened: `approval_asked`.
    pub topic: &'static str,
    /// The trace that it belongs to; none where it tells of no single entry.
    pub trace: Option<TraceId>,
}

/// Why a channel did not take a telling. No message has an address or a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// Nobody answered, or only to come again later: it may be tried for long.
    #[error("nobody takes it now: {because}")]
    Unreachable {
        /// What is wrong.
        because: String,
    },
    /// It was taken and failed at the other side: it may be tried a few times.
    #[error("it failed at the other side: {because}")]
    Failed {
        /// What is wrong.
        because: String,
    },
    /// It will never be taken.
    #[error("it is refused: {because}")]
    Refused {
        /// What is wrong.
        because: String,
    },
}

/// A channel: tells people.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// What it is called; one installation has one of each name.
    fn name(&self) -> &str;

    /// Whether people read it, who want many tellings at once as one; programs want each.
    fn is_read_by_people(&self) -> bool {
        true
    }

    /// Hands one telling over; it may be handed over more than once. Takes no longer than some seconds.
    async fn notify(&self, telling: &Telling) -> Result<(), NotifyError>;
}
