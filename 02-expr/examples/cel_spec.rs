//! Prints how much of the language's specification the engine keeps to: `cargo run -p writ-expr --example cel_spec`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a program for measuring, run by hand")]

#[path = "../tests/it/conformance.rs"]
mod conformance;

fn main() {
    let Some(rates) = conformance::measure() else {
        println!("skipped: the conformance tests are missing");
        return;
    };
    for (file, (passed, all)) in &rates {
        println!("{file:16} {passed:4} of {all:4}");
    }
    let (passed, all) = rates.values().fold((0, 0), |sum, rate| (sum.0 + rate.0, sum.1 + rate.1));
    println!("{:16} {passed:4} of {all:4}  {:.1} %", "all", 100.0 * f64::from(passed as u32) / f64::from(all as u32));
}
