//! What nobody can record: that the journal takes nothing any more. It is told at once and by every channel, from memory, and lost
//! with the process.

use super::Channel;
use super::post::AGAIN;
use super::telling::closed;
use crate::pipeline::Pipeline;
use std::sync::Arc;
use writ_core::{Clock, NotifyError, Telling};

/// How often each channel is tried.
const ATTEMPTS: u32 = 8;

impl Pipeline {
    /// Tells everybody that writ acts on nothing.
    pub(super) fn tell_closed(&self) {
        let journal = self.journal();
        let because = journal.closed().unwrap_or("its writer has stopped");
        let size = *journal.size().borrow();
        let told = closed(because, size, journal.now(), &self.setup().address);
        for channel in self.inner.channels.iter().cloned() {
            tokio::spawn(hand_over(channel, told.clone(), journal.base().clock.clone()));
        }
    }
}

async fn hand_over(channel: Arc<Channel>, told: Telling, clock: Arc<dyn Clock>) {
    for attempt in 1..=ATTEMPTS {
        match channel.notifier.notify(&told).await {
            Ok(()) => return,
            Err(NotifyError::Refused { because }) => {
                tracing::error!(
                    channel = channel.notifier.name(),
                    because,
                    "nobody was told that the journal is closed"
                );
                return;
            }
            Err(NotifyError::Unreachable { .. } | NotifyError::Failed { .. }) => {
                clock.sleep(AGAIN.wait(attempt, u64::from(attempt))).await;
            }
        }
    }
    tracing::error!(channel = channel.notifier.name(), "nobody was told that the journal is closed");
}
