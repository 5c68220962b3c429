//! JSON Schema: which values fit, and which schemas can stand in for which.
//!
//! [`Schema::compile`] reads a schema once, [`Schema::check`] names every place where a value does not fit. [`subsumes`]
//! asks whether every value of one schema is also a value of another and answers [`Compatibility::Compatible`] with a proof,
//! [`Compatibility::Incompatible`] with a counterexample that the validator has confirmed both ways, or
//! [`Compatibility::Unknown`]; never the first without a proof.
//!
//! Schemas come from people. One that is too large, refers out of itself, leads back to itself without consuming any of the
//! value, or has a pattern that needs backtracking is refused with its place; a value that would take too long to check
//! under a recursive schema is a misfit, not an attempt.
//!
//! This crate refuses to know: files, the network, contracts, and the meaning of `format`.

mod compat;
mod error;
mod limits;
mod model;
mod validator;

pub use compat::{Compatibility, Effort, Step, subsumes, subsumes_within};
pub use error::SchemaError;
pub use validator::{Misfit, Schema};
