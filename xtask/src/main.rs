//! Automation in Rust: `cargo xtask check` is what a change must pass, `cargo xtask layers` the import table alone.

mod layers;

use anyhow::{Result, bail};
use std::process::Command;

fn main() -> Result<()> {
    let task = std::env::args().nth(1);
    match task.as_deref() {
        Some("check") => check(),
        Some("layers") => layers::check(),
        _ => bail!("usage: cargo xtask check | layers"),
    }
}

/// Formatting, lints, tests, documents, layers.
fn check() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    cargo(&["test", "--workspace"])?;
    cargo(&["doc", "--workspace", "--no-deps"])?;
    layers::check()
}

fn cargo(args: &[&str]) -> Result<()> {
    if Command::new(env!("CARGO")).args(args).status()?.success() {
        return Ok(());
    }
    bail!("`cargo {}` failed", args.join(" "))
}
