//! The simplest channel: documents at the end of a file, one a line.

use super::document;
use crate::local::files;
use async_trait::async_trait;
use std::path::PathBuf;
use writ_core::{Notifier, NotifyError, Telling};

/// Appends each telling to a file.
#[derive(Debug, Clone)]
pub struct ConsoleNotifier {
    file: PathBuf,
}

impl ConsoleNotifier {
    /// Appends JSON lines to a file.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self { file: path }
    }
}

#[async_trait]
impl Notifier for ConsoleNotifier {
    fn name(&self) -> &str {
        "console"
    }

    fn is_read_by_people(&self) -> bool {
        false
    }

    async fn notify(&self, telling: &Telling) -> Result<(), NotifyError> {
        files::append_line(&self.file, &document(telling))
            .map_err(|error| NotifyError::Unreachable { because: crate::http::chain(&error) })
    }
}
