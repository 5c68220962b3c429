//! Clock, chance, witness and world from one seed: the same seed gives the same bytes.
//!
//! In: a seed, files, and a script of what operators do and what goes wrong. Out: what fills the pipeline's ports in tests,
//! and a transcript of what it recorded. Time is tokio's paused time, so that nothing waits; chance is a counter under a
//! hash, so that nothing repeats. The world checks permits and epochs as a real provider does, and counts what really
//! happened; [`judge`] holds it against the journal.

mod chance;
mod channel;
mod clock;
mod fault;
mod governance;
mod guard;
mod journal;
mod judge;
mod life;
mod outside;
mod script;
mod sense;
mod site;
mod transcript;
mod witness;
mod world;

pub use chance::SeededChance;
pub use channel::SimChannel;
pub use clock::SimClock;
pub use fault::{Fault, Mishap};
pub use journal::{foundations, open_journal};
pub use judge::judge;
pub use life::{Deathbed, Life, Moment};
pub use script::{ScriptError, play};
pub use sense::SimSensor;
pub use site::{Files, Site, SiteError, agent_key, gate_key, person};
pub use transcript::Transcript;
pub use witness::MemoryWitness;
pub use world::{Deed, SimWorld, Tally};
