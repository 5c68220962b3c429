//! Quantities and expressions as people and attackers write them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may stop, and asks the environment where the shared data is"
)]

mod conditions;
mod conformance;
mod quantities;
mod triggers;
