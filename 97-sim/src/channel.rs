//! A channel that takes what it is handed, unless it is told not to. Lives on when a controller dies.

use async_trait::async_trait;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use writ_core::{Notifier, NotifyError, Telling};

#[derive(Default)]
struct State {
    handed: Vec<Telling>,
    /// What it says instead of taking anything.
    fault: Option<NotifyError>,
    /// How long it takes to say anything.
    slow: Duration,
    tried: u64,
}

/// See the module.
#[derive(Clone, Default)]
pub struct SimChannel(Arc<Mutex<State>>);

impl SimChannel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything it took, as often as it was handed over.
    #[must_use]
    pub fn handed(&self) -> Vec<Telling> {
        self.state().handed.clone()
    }

    /// Everything it took, once each.
    #[must_use]
    pub fn notices(&self) -> Vec<Telling> {
        let mut notices: Vec<Telling> = Vec::new();
        for telling in self.handed() {
            if !notices.iter().any(|known| known.id == telling.id) {
                notices.push(telling);
            }
        }
        notices
    }

    /// How often something was handed to it, taken or not.
    #[must_use]
    pub fn tried(&self) -> u64 {
        self.state().tried
    }

    /// From now on it says this; with none, it takes everything again.
    pub fn says(&self, fault: Option<NotifyError>) {
        self.state().fault = fault;
    }

    /// From now on it takes so long.
    pub fn takes(&self, span: Duration) {
        self.state().slow = span;
    }
}

#[async_trait]
impl Notifier for SimChannel {
    fn name(&self) -> &str {
        "sim"
    }

    async fn notify(&self, telling: &Telling) -> Result<(), NotifyError> {
        let slow = self.state().slow;
        tokio::time::sleep(slow).await;
        let mut state = self.state();
        state.tried += 1;
        match state.fault.clone() {
            Some(fault) => Err(fault),
            None => {
                state.handed.push(telling.clone());
                Ok(())
            }
        }
    }
}
