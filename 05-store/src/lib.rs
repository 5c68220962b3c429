//! Where the journal is kept: SQLite (the default), PostgreSQL, and memory for the simulator, all behind
//! [`writ_core::Ledger`] and under one conformance suite.
//!
//! In: groups of sealed entries with everything that belongs in the same transaction. Out: bytes, by place, stream, trace or
//! filter. A group is in or it is not; it is in only upon the head its writer believes in.
//!
//! This crate refuses to know what entries, views and attachments mean: it keeps them. It verifies nothing either, for who
//! could forge its rows could forge its checks.

mod filed;
pub mod keep;
mod ledger;
mod memory;
mod migrations;
mod postgres;
mod sqlite;
mod witness;

pub use memory::MemoryLedger;
pub use postgres::PostgresLedger;
pub use sqlite::SqliteLedger;
pub use witness::WitnessFile;
