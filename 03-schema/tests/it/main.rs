//! The crate from outside: cases as data, laws as properties, and schemas that mean harm.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

mod cases;
mod hostile;
mod laws;
mod pairs;
mod schemas;
