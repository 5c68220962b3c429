//! The server: HTTP on loopback over the pipeline, and the one place that names adapters.
//!
//! In: a state directory and a directory of files. Out: resources under `/api/v1`, the log's tiles under `/log`, problems
//! with stable codes. `wire.rs` says which adapter fills which port, `api/` has a file for each resource.
//!
//! This crate refuses to know: what an intent, a plan or a verdict means. It translates.

mod api;
mod backup;
mod benefit;
mod channels;
mod config;
mod console;
mod doctor;
mod error;
mod events;
mod failpoint;
mod guard;
mod limits;
mod log;
mod metrics;
#[cfg(feature = "oidc")]
mod oidc;
mod principals;
mod question;
mod received;
mod refused;
mod serve;
mod server;
mod setup;
mod state;
mod status;
mod system;
mod tls;
mod trace;
#[cfg(test)]
mod unreal;
mod versions;
mod way;
mod wire;
mod wrong;

pub use api::{Shared, router};
pub use backup::{BackupError, Manifest, Restored, accept_rollback, back_up, restore};
pub use channels::ChannelsError;
pub use config::{
    Config, Limits, Log, LogFormat, LogLevel, MailSecurity, Notify, Oidc, Origin, Resolved, Setting, Smtp, Sources,
    Tls, Webhook,
};
pub use doctor::{Finding, Health, examine, migrate};
pub use log::begin_log;
#[cfg(feature = "oidc")]
pub use oidc::OidcError;
pub use principals::Beginning;
pub use server::{Server, ServerError};
pub use setup::{Files, read_files};
pub use state::{ServerAddress, StateDir, StateError, write_secret};
pub use system::{SystemClock, SystemEntropy};
pub use tls::TlsError;
pub use wire::{Installation, Towards, WireError, bench_pipeline, faces, offline};
