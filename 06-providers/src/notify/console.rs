//! The simplest channel: lines on the standard error, or at the end of a file.

use crate::local::files;
use async_trait::async_trait;
use std::path::PathBuf;
use writ_core::{Delivery, Notifier, NotifyError};

/// Writes each message as one line.
#[derive(Debug, Clone)]
pub struct ConsoleNotifier {
    file: Option<PathBuf>,
}

impl ConsoleNotifier {
    /// Writes to the standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self { file: None }
    }

    /// Appends JSON lines to a file.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self { file: Some(path) }
    }
}

#[async_trait]
impl Notifier for ConsoleNotifier {
    async fn notify(&self, delivery: &Delivery) -> Result<(), NotifyError> {
        let Delivery { channel, key, subject, text } = delivery;
        match &self.file {
            Some(path) => {
                let line = serde_json::json!({ "channel": channel, "key": key, "subject": subject, "text": text });
                files::append_line(path, &line)
                    .map_err(|error| NotifyError { channel: channel.clone(), because: crate::http::chain(&error) })
            }
            None => {
                // Only what a terminal shows as it stands: a message may quote what an attacker wrote.
                let plain = |text: &str| text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
                eprintln!("[{}] {}\n{}", plain(channel), plain(subject), plain(text));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_becomes_one_line_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.log");
        let delivery = Delivery { channel: "ops".into(), key: "k".into(), subject: "down".into(), text: "a\nb".into() };
        ConsoleNotifier::file(path.clone()).notify(&delivery).await.unwrap();
        let written = std::fs::read_to_string(path).unwrap();
        assert_eq!(written, "{\"channel\":\"ops\",\"key\":\"k\",\"subject\":\"down\",\"text\":\"a\\nb\"}\n");
    }
}
