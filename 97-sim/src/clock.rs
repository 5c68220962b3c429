//! Time that stands still unless it is waited for.

use async_trait::async_trait;
use std::time::Duration;
use tokio::time::Instant;
use writ_core::{Clock, Timestamp};

/// 2026-01-01T00:00:00Z and the time that tokio says has passed. Under a paused runtime, waiting moves it at once.
#[derive(Debug)]
pub struct SimClock {
    began: Instant,
}

impl SimClock {
    /// A clock that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self { began: Instant::now() }
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_767_225_600_000_000).plus(self.began.elapsed())
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
