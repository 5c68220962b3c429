//! The whole product as a person uses it: the `writ` command, real processes, and judges outside of both.

#![allow(clippy::disallowed_methods, reason = "tests read the clock")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod backup;
mod bad_input;
mod change;
mod cmd;
mod config;
mod console;
mod contract;
mod crash;
mod doors;
mod exec;
mod followed;
mod forms;
mod glass;
mod init;
mod journey;
mod modes;
mod notify;
mod once;
mod people;
mod pin;
mod rotate;
mod rows;
mod server;
mod upgrade;

use std::path::Path;
use writ_bench::Place;

/// The program under test.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_writ"))
}

/// A command as hints say it to whoever named the state directory of this place.
fn typed_at(place: &Place, command: &str) -> String {
    format!("writ --state {} {command}", place.state().display())
}

/// A text without what changes from one call to the next: the hint of the next command.
fn same(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("next: ")).collect::<Vec<_>>().join("\n")
}
