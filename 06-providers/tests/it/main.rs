//! The local provider on this machine: real processes, real sockets, real signals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod balancer;
mod faces;
mod provider;
mod sensor;
mod world;
