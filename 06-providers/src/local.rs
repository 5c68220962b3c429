//! The local provider: real processes that outlive the controller, behind a balancer that does too.

mod balancer;
mod desk;
mod effects;
pub(crate) mod files;
mod guard;
mod instance;
mod order;
pub(crate) mod process;
mod provider;
mod sensor;
mod start;
mod table;

pub use files::StateError;
pub use provider::{Faces, LocalConfig, LocalProvider, OpenError, Running};
pub use sensor::{LocalSensor, SensorConfig};

/// Why a verb did not do what it should.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// The order itself is senseless.
    #[error("{0}")]
    Refused(String),
    /// It was tried; nothing is left behind.
    #[error("{0}")]
    Failed(String),
    /// Nobody can tell.
    #[error("{0}")]
    Unclear(String),
    /// The state directory.
    #[error("the state directory fails")]
    State(#[from] StateError),
}
