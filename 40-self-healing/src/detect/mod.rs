//! What is wrong right now: one alert per subject and symptom, in constant space each.

mod alert;
mod instance;
mod symptom;
mod watch;

pub use alert::{Alert, Phase, Timing};
pub use symptom::Symptom;
pub use watch::Watch;
