//! Telling people. Nobody waits for it, and nothing depends on it.

use std::sync::Arc;
use writ_core::{Delivery, Notifier};

/// Hands a message over, in a task of its own.
pub(crate) fn tell(notifier: &Arc<dyn Notifier>, delivery: Delivery) {
    let notifier = notifier.clone();
    tokio::spawn(async move {
        if let Err(error) = notifier.notify(&delivery).await {
            tracing::error!(error = &error as &dyn std::error::Error, "nobody was told");
        }
    });
}
