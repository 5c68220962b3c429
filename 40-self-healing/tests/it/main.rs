//! What the layer decides, from scripts of what was seen.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "tests")]

mod cases;
mod golden;
mod laws;
mod rows;
mod script;
