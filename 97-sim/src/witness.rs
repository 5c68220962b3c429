//! A witness in memory.

use std::sync::{Mutex, PoisonError};
use writ_core::{Witness, WitnessError};

/// Remembers the newest checkpoint.
#[derive(Debug, Default)]
pub struct MemoryWitness(Mutex<Option<String>>);

impl Witness for MemoryWitness {
    fn latest(&self) -> Result<Option<String>, WitnessError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn remember(&self, note: &str) -> Result<(), WitnessError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(note.to_owned());
        Ok(())
    }
}
