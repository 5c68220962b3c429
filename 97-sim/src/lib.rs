//! Clock, chance, witness and world from one seed: the same seed gives the same bytes.
//!
//! In: a seed. Out: what fills the pipeline's ports in tests. Time is tokio's paused time, so that nothing waits; chance is a
//! counter under a hash, so that nothing repeats.

mod chance;
mod clock;
mod journal;
mod witness;

pub use chance::SeededChance;
pub use clock::SimClock;
pub use journal::{foundations, open_journal};
pub use witness::MemoryWitness;
