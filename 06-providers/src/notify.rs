//! Telling people.

mod console;

pub use console::ConsoleNotifier;
