//! The crate from outside: the source's rows, contract files that are wrong, versions that break promises.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod bad_files;
mod checking;
mod publishing;
mod rows;
