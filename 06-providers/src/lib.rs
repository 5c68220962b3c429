//! The outer world: orders become processes, and what processes do becomes observations.
//!
//! In: an [`Effect`](writ_core::Effect) with its permit; out: a receipt, a refusal, or "nobody can tell". Every provider
//! checks permit, redemption and epoch itself, whoever checked them before, and answers a repeated key with the first
//! receipt; one suite ([`conformance`]) holds all of them to that.
//!
//! The **local** provider runs real processes that outlive the controller. It is one half of a pair: the other half are the
//! *faces*, further entry points of the same program, each a process of its own:
//!
//! - [`launch`] takes the lock of an order, writes down who it is, and becomes the ordered command;
//! - [`balance`] spreads requests over instances, looks after their health and tries broken requests again;
//! - [`sample`] is a web service with honest health and faults to order;
//! - [`load`] makes steady load and counts what came of it.
//!
//! This crate refuses to know: why something is done, what comes after it, and the journal. It decides nothing: an instance
//! that dies is told of by the sensor and stays dead until somebody orders otherwise.

pub mod balance;
mod clock;
pub mod conformance;
mod http;
pub mod launch;
pub mod load;
pub mod local;
pub mod notify;
pub mod sample;

pub use clock::SystemClock;
pub use local::{Faces, LocalConfig, LocalProvider, LocalSensor, OpenError, Running, SensorConfig};
