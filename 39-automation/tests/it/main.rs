//! Tests over scripts of signals, random schedules, golden bodies and the source's execution document.

#![expect(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test may stop")]

mod build;
mod golden;
mod playbooks;
mod rows;
mod schedules;
mod scripts;
mod speed;
