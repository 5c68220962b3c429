//! Programs that measure. Each prints its figures with sample sizes, beside the disk's sync time of the same run.
//!
//! Some run the whole product as an operator would and judge it from outside; a [`Place`] is what they share, and what the
//! tests of the command line use too.

mod client;
mod crash;
mod figure;
mod place;

pub use client::{Load, told};
pub use crash::{Crashed, crash, crash_at, moments, points, undisturbed};
pub use figure::{Figures, fdatasync_ms};
pub use place::{Dev, Place, Said, Start, get, kill, program, wait_until};
pub use rustix::process::Signal;
