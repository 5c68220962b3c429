//! The policies that there are: those in force, those that were before, and those that somebody proposes. An intent can be tried
//! under any of them.

use crate::changes::OpenChange;
use crate::commit::Batch;
use crate::deed::Deed;
use crate::gate::POLICY_STREAM;
use crate::pipeline::Pipeline;
use crate::wish::ChangeError;
use std::collections::BTreeMap;
use std::sync::Arc;
use writ_core::{ApprovalId, Digest, Timestamp};
use writ_policy::Bundle;

/// How many of those that were in force before can be chosen, the newest.
const BEFORE: usize = 20;

/// Where policies stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleStanding {
    /// They are in force.
    InForce,
    /// They were, until others came.
    Before,
    /// Somebody asks for them.
    Proposed(ApprovalId),
}

/// Policies that there are.
#[derive(Debug, Clone)]
pub struct KnownBundle {
    /// What they are known by.
    pub digest: Digest,
    /// Since when they were in force, or when they were proposed.
    pub since: Timestamp,
    /// Where they stand.
    pub standing: BundleStanding,
    files: BTreeMap<String, Digest>,
}

impl Pipeline {
    /// The policies in force, those that are proposed, and those of before, the newest first; each once.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn bundles(&self) -> Result<Vec<KnownBundle>, ChangeError> {
        let (mut found, mut proposed) = (Vec::<KnownBundle>::new(), Vec::new());
        for OpenChange { change, entries, id, .. } in self.open_changes().await? {
            let digest = change.after.get("digest").and_then(|digest| digest.as_str()?.parse().ok());
            if let (Deed::Policies { files }, Some(digest), Some(first)) = (change.deed, digest, entries.first()) {
                let since = first.timestamp;
                proposed.push(KnownBundle { digest, since, standing: BundleStanding::Proposed(id), files });
            }
        }
        for entry in self.journal().stream(POLICY_STREAM).await?.iter().rev() {
            let digest = entry.body.get("digest").and_then(|digest| digest.as_str()?.parse().ok());
            let files = entry.body.get("attachments").cloned().and_then(|files| serde_json::from_value(files).ok());
            let (Some(digest), Some(files)) = (digest, files) else { continue };
            let standing = if found.is_empty() { BundleStanding::InForce } else { BundleStanding::Before };
            if !found.iter().any(|known| known.digest == digest) {
                found.push(KnownBundle { digest, since: entry.timestamp, standing, files });
            }
            if found.len() > BEFORE {
                break;
            }
        }
        let at = found.len().min(1);
        found.splice(at..at, proposed);
        Ok(found)
    }

    /// Policies that there are, loaded.
    ///
    /// # Errors
    /// When the journal cannot be read, or what they are made of is not kept.
    pub async fn bundle(&self, known: &KnownBundle) -> Result<Arc<Bundle>, ChangeError> {
        Ok(Arc::new(self.bundle_of(&known.files, &Batch::default()).await?))
    }
}
