//! Tests over files: attacks on the gate, the agents file, the deployment document, golden bodies.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod attacks;
mod documents;
mod golden;
