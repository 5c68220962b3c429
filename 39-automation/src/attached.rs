//! Content that stands beside the journal.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;
use writ_core::Digest;

/// Something the journal holds by its digest. An event read from the journal does not carry it until it is filled in.
#[derive(Debug, Clone)]
pub struct Attached<T> {
    /// The digest of the canonical bytes.
    pub digest: Digest,
    content: Option<Arc<T>>,
}

impl<T> Attached<T> {
    /// Content with its digest.
    #[must_use]
    pub fn new(digest: Digest, content: Arc<T>) -> Self {
        Self { digest, content: Some(content) }
    }

    /// The content, when it is here.
    #[must_use]
    pub fn content(&self) -> Option<&T> {
        self.content.as_deref()
    }

    /// The content, shared.
    #[must_use]
    pub fn shared(&self) -> Option<Arc<T>> {
        self.content.clone()
    }

    /// Puts the content in.
    pub fn fill(&mut self, content: T) {
        self.content = Some(Arc::new(content));
    }
}

impl<T> PartialEq for Attached<T> {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl<T> Eq for Attached<T> {}

impl<T> Serialize for Attached<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.digest.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Attached<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { digest: Digest::deserialize(deserializer)?, content: None })
    }
}
