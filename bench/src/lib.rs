//! Programs that measure. Each prints its figures with sample sizes, beside the disk's sync time of the same run.

mod figure;

pub use figure::{Figures, fdatasync_ms};
