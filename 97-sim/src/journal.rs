//! A journal to test on.

use crate::{MemoryWitness, SeededChance, SimClock};
use std::sync::Arc;
use writ_core::{Ledger, Signer as _};
use writ_pipeline::{Foundations, Journal, OpenError};
use writ_seal::Key;

/// What a journal over this ledger stands on; key and chance come from the seed.
#[must_use]
pub fn foundations(ledger: Arc<dyn Ledger>, seed: u64) -> Foundations {
    Foundations {
        ledger,
        signer: Arc::new(Key::from_seed("writ.test/log", &[7; 32])),
        gate_key: Key::from_seed("gate", &[8; 32]).public_key(),
        witness: Arc::new(MemoryWitness::default()),
        clock: Arc::new(SimClock::new()),
        entropy: Arc::new(SeededChance::new(seed)),
        realm: "test".into(),
    }
}

/// An open journal over this ledger.
///
/// # Errors
/// When it does not open.
pub async fn open_journal(ledger: Arc<dyn Ledger>, seed: u64) -> Result<Journal, OpenError> {
    Journal::open(foundations(ledger, seed)).await
}
