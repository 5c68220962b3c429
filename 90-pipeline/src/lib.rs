//! The order of things: what is asked, recorded and done, and in which sequence.

mod commit;
mod journal;
mod verify;
mod view;

pub use commit::{Batch, Cause, Commit, CommitError, Expect, Receipt};
pub use verify::{Trust, VerifyError, verify};
pub use journal::{Foundations, Journal, OpenError, decode, rebuild_views};
