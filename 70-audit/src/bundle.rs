//! Evidence that travels: some entries with their attachments and proofs under one checkpoint, checked with no server.

use crate::verify::{Fault, attachments_of};
use crate::{Checkpoint, CheckpointError, KeyChain, verify_inclusion};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use writ_core::{Digest, Entry};
use writ_seal::{NoteError, NoteKey, leaf_hash, sha256};

/// Sibling hashes from a leaf to the root, hexadecimal.
pub type Proof = Vec<String>;

/// One entry of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundledEntry {
    /// The entry's bytes as they were sealed.
    pub entry: String,
    /// Its inclusion proof.
    pub proof: Proof,
}

/// Evidence for one thing that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// `writ.evidence/1`.
    pub format: String,
    /// What it is evidence for.
    pub subject: String,
    /// The journal's verifier key. Whoever checks should know it from elsewhere.
    pub key: String,
    /// The signed checkpoint that all proofs lead to.
    pub checkpoint: String,
    /// The entries, in order.
    pub entries: Vec<BundledEntry>,
    /// What they refer to, by digest, base64.
    pub attachments: BTreeMap<String, String>,
}

/// Why a bundle proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It is not a bundle.
    #[error("the file is not an evidence bundle: {because}")]
    Form {
        /// What is wrong.
        because: String,
    },
    /// It was signed by another key than the one the checker trusts.
    #[error("the bundle's key is `{found}`, and nothing in it leads there from the trusted key `{trusted}`")]
    Key {
        /// The key in the bundle.
        found: String,
        /// The key that is trusted.
        trusted: String,
    },
    /// One of its entries claims to hand over to another key, and does not.
    #[error("the bundle's keys do not follow each other")]
    Rotation(#[source] Fault),
    /// Its key is none.
    #[error("the bundle's key cannot be read")]
    KeyForm(#[source] NoteError),
    /// Its checkpoint does not hold.
    #[error("the checkpoint does not hold")]
    Checkpoint(#[source] CheckpointError),
    /// An entry is not what stands in the journal.
    #[error("entry {seq} does not lead to the signed root: its bytes, its place or its proof were changed")]
    Inclusion {
        /// The place it claims.
        seq: u64,
    },
    /// An entry cannot be read.
    #[error("entry number {at} of the bundle cannot be read: {because}")]
    Entry {
        /// Its position in the bundle, from 1.
        at: usize,
        /// What the reader says.
        because: String,
    },
    /// An attachment is not what was recorded.
    #[error("the attachment {digest} {wrong}")]
    Attachment {
        /// The digest it is kept under.
        digest: String,
        /// What is wrong with it.
        wrong: &'static str,
    },
}

/// What holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The checkpoint that everything leads to.
    pub checkpoint: Checkpoint,
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// How many attachments were hashed.
    pub attachments: usize,
}

impl Bundle {
    /// The format's name.
    pub const FORMAT: &'static str = "writ.evidence/1";

    /// Checks everything that can be checked without the journal. With `trusted`, the bundle must be signed by that key, or by
    /// one that it handed over to in entries of the bundle; without, by the key it names itself.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn check(&self, trusted: Option<&NoteKey>) -> Result<Checked, BundleError> {
        if self.format != Self::FORMAT {
            let because = format!("its format is `{}`, not `{}`", self.format, Self::FORMAT);
            return Err(BundleError::Form { because });
        }
        let key: NoteKey = self.key.parse().map_err(BundleError::KeyForm)?;
        let checkpoint = Checkpoint::open(&self.checkpoint, &key.name, &key).map_err(BundleError::Checkpoint)?;
        let mut entries = Vec::with_capacity(self.entries.len());
        let mut chain = KeyChain::from_known(trusted.unwrap_or(&key).clone());
        for (at, bundled) in self.entries.iter().enumerate() {
            let entry = check_entry(at, bundled, &checkpoint)?;
            chain.follow(&entry).map_err(BundleError::Rotation)?;
            entries.push(entry);
        }
        if let Some(trusted) = trusted.filter(|_| chain.keys().all(|trusted| *trusted != key)) {
            return Err(BundleError::Key { found: key.to_string(), trusted: trusted.to_string() });
        }
        self.check_attachments(&entries)?;
        Ok(Checked { checkpoint, entries, attachments: self.attachments.len() })
    }

    fn check_attachments(&self, entries: &[Entry]) -> Result<(), BundleError> {
        let wrong = |digest: &str, wrong| BundleError::Attachment { digest: digest.to_owned(), wrong };
        for (digest, content) in &self.attachments {
            let bytes = STANDARD.decode(content).map_err(|_| wrong(digest, "is not base64"))?;
            if digest.parse() != Ok(sha256(&bytes)) {
                return Err(wrong(digest, "has other bytes than its digest says"));
            }
        }
        let named = entries.iter().flat_map(attachments_of).map(|digest: Digest| digest.to_string());
        match named.into_iter().find(|digest| !self.attachments.contains_key(digest)) {
            Some(missing) => Err(wrong(&missing, "is named by an entry and missing from the bundle")),
            None => Ok(()),
        }
    }
}

fn check_entry(at: usize, bundled: &BundledEntry, checkpoint: &Checkpoint) -> Result<Entry, BundleError> {
    let entry: Entry = serde_json::from_str(&bundled.entry)
        .map_err(|error| BundleError::Entry { at: at + 1, because: error.to_string() })?;
    let proof: Option<Vec<Digest>> = bundled.proof.iter().map(|hash| Digest::from_hex(hash).ok()).collect();
    let leaf = leaf_hash(bundled.entry.as_bytes());
    let holds = proof.is_some_and(|proof| verify_inclusion(leaf, entry.seq, checkpoint.size, checkpoint.root, &proof));
    if holds { Ok(entry) } else { Err(BundleError::Inclusion { seq: entry.seq }) }
}
