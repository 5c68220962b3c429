//! The nouns that more than one layer speaks, and the ports through which the product meets the world.
//!
//! Nothing here decides anything. A type lives in this crate because a second crate below `90-pipeline` needs it, and it
//! brings only its own invariants: an id that parses, a timestamp that prints, a plan whose steps name each other. Facts are
//! not here (each layer owns the shape of its own), and neither are events: a layer keeps its vocabulary in its own
//! `event.rs` and turns it into a [`Draft`].
//!
//! This crate refuses to know: YAML, SQL, HTTP, cryptography, the clock and chance. The last two enter as the ports
//! [`Clock`] and [`Entropy`].

mod actor;
mod digest;
mod effect;
mod entry;
pub mod failpoint;
mod id;
mod ledger;
mod permit;
mod place;
mod plan;
mod port;
mod sample;
mod severity;
mod time;
mod verdict;

pub use actor::{Actor, ActorKind};
pub use digest::{Digest, DigestError};
pub use effect::{Effect, EffectClass, EffectKey, Probe, Receipt, Redemption};
pub use entry::{Draft, Entry, Erasable, Event, Outcome};
pub use id::{
    ActionId, AgentId, ApprovalId, ComponentId, EventId, IdError, IncidentId, IntentId, PermitId, PrincipalId,
    RecommendationId, RuleId, RunId, StepKey, TicketId, TraceId, WaiverId, minted_at,
};
pub use ledger::{
    Append, AppendError, Columns, Filter, Group, Head, Ledger, LedgerError, Report, Sealed, Stored, StoredCheckpoint,
    Tile, ViewChange,
};
pub use permit::{Permit, SealedPermit};
pub use place::Place;
pub use plan::{Action, Change, Permission, Phase, Plan, PlanError, RetryRule, Step, Undo};
pub use port::{
    Clock, Entropy, Notifier, NotifyError, Provider, ProviderError, Sensor, SensorError, Signer, SignerError, Telling,
    Witness, WitnessError, World,
};
pub use sample::{Health, Histogram, InstanceSample, Observation, Window};
pub use severity::Severity;
pub use time::{Timestamp, TimestampError};
pub use verdict::{Decision, Finding, Obligation, Stage, Verdict};
