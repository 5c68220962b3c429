//! C2SP tlog-checkpoints v1.0.0: what a signed note says about the journal.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use writ_core::{Digest, Signer, SignerError};
use writ_seal::{NoteError, NoteKey, SignedNote};

/// A size and a root, under the journal's own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The journal's name: `writ.local/9f2c…`.
    pub origin: String,
    /// The root over the first `size` entries.
    pub root: Digest,
    /// How many entries.
    pub size: u64,
}

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note's form or signature does not hold.
    #[error("the checkpoint is not a note signed by the journal's key")]
    Note(#[from] NoteError),
    /// The note says something else than a checkpoint.
    #[error("the note is not a checkpoint: {because}")]
    Form {
        /// What is wrong.
        because: &'static str,
    },
    /// It is another journal's.
    #[error("the checkpoint is of `{found}`, not of `{wanted}`")]
    Origin {
        /// The journal that it is of.
        found: String,
        /// The journal that was wanted.
        wanted: String,
    },
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// The signed note.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub fn sign(&self, signers: &[&dyn Signer]) -> Result<String, SignerError> {
        Ok(SignedNote::sign(self.text(), signers)?.to_string())
    }

    /// Reads a checkpoint without believing it.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(note: &str) -> Result<(Self, SignedNote), CheckpointError> {
        let form = |because| CheckpointError::Form { because };
        let note = SignedNote::parse(note)?;
        let mut lines = note.text.lines();
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or_else(|| form("it has no origin"))?.to_owned();
        let size_text = lines.next().ok_or_else(|| form("it has no size"))?;
        let size: u64 = size_text.parse().map_err(|_| form("its size is not a number"))?;
        if size.to_string() != size_text {
            return Err(form("its size is not written the one right way"));
        }
        let root = lines
            .next()
            .and_then(|line| STANDARD.decode(line).ok())
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or_else(|| form("its root is not 32 bytes in base64"))?;
        Ok((Self { origin, root: Digest(root), size }, note))
    }

    /// Reads a checkpoint of a journal, believed because the key signed it.
    ///
    /// # Errors
    /// When it is another journal's, or not signed by the key.
    pub fn open(note: &str, origin: &str, key: &NoteKey) -> Result<Self, CheckpointError> {
        let (checkpoint, note) = Self::parse(note)?;
        if checkpoint.origin != origin {
            return Err(CheckpointError::Origin { found: checkpoint.origin, wanted: origin.to_owned() });
        }
        note.verify(key)?;
        Ok(checkpoint)
    }
}
