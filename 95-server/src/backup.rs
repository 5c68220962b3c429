//! Copies of an installation, and what becomes of one that is put in its place.
//!
//! ```text
//! backup.json   what it is of, and how far: origin, key, checkpoint
//! journal.db    the journal as it was at one moment, attachments and texts beside it included
//! witness       what remembered it then
//! keys/         when they were asked for
//! ```
//! The world's processes, tokens and what can be made anew are not in it.

use crate::state::{StateDir, StateError};
use crate::wire::{self, WireError, journal_file};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use writ_audit::{Checkpoint, Continuation};
use writ_core::{LedgerError, Timestamp};
use writ_pipeline::{ContinueError, Trust, VerifyError};
use writ_seal::NoteKey;

const FORMAT: &str = "writ.backup/1";

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `writ.backup/1`
    pub format: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// The journal's name.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The signed checkpoint over them.
    pub checkpoint: String,
    /// Whether the keys are in it.
    pub keys: bool,
}

/// Why a backup was not made or put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file.
    #[error("`{path}` cannot be used")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// There is something already.
    #[error("`{path}` is there already; give a directory that is not, or is empty")]
    Taken {
        /// Which.
        path: String,
    },
    /// There is no journal.
    #[error("`{path}` holds no journal; name the state directory with `--state`")]
    Nothing {
        /// The directory.
        path: String,
    },
    /// The directory is no backup.
    #[error("`{path}` is no backup of writ: {because}")]
    Manifest {
        /// The manifest.
        path: String,
        /// What is wrong.
        because: String,
    },
    /// Keys are needed, and there are none.
    #[error("the backup has no keys; name the directory that holds them with `--keys`")]
    NoKeys,
    /// The state directory.
    #[error("the state directory cannot be used")]
    State(#[from] StateError),
    /// The journal's file.
    #[error("the journal cannot be copied")]
    Ledger(#[from] LedgerError),
    /// What was restored does not hold.
    #[error("what was restored does not verify; it stays in `{path}`, to be looked at")]
    Unverified {
        /// The state directory.
        path: String,
        /// Why.
        #[source]
        cause: Box<VerifyError>,
    },
    /// The installation.
    #[error("the journal does not open")]
    Wire(#[from] WireError),
    /// The rollback was not accepted.
    #[error("the rollback is not accepted")]
    Continue(#[from] ContinueError),
}

fn failed(path: &Path, cause: std::io::Error) -> BackupError {
    BackupError::File { path: path.display().to_string(), cause }
}

/// Copies an installation into a directory that is not there yet, or is empty; it may be running.
///
/// # Errors
/// When there is no journal, or the copy cannot be written.
pub async fn back_up(state: &Path, into: &Path, keys: bool, now: Timestamp) -> Result<Manifest, BackupError> {
    let journal = state.join("journal.db");
    if !journal.is_file() {
        return Err(BackupError::Nothing { path: state.display().to_string() });
    }
    make_empty(into)?;
    // First what remembers, then what is remembered: a backup is never behind its own witness.
    copy(&state.join("witness"), &into.join("witness"))?;
    let copied = into.join("journal.db");
    journal_file::copy(&journal, &copied).await?;
    secure(&copied)?;
    let looked = journal_file::look(&copied).await?;
    let unsound = |because: &str| BackupError::Manifest { path: copied.display().to_string(), because: because.into() };
    let checkpoint = looked.checkpoint.ok_or_else(|| unsound("the journal has no checkpoint yet"))?;
    let (seen, _) = Checkpoint::parse(&checkpoint).map_err(|error| unsound(&error.to_string()))?;
    if keys {
        copy_keys(&state.join("keys"), &into.join("keys"))?;
    }
    let manifest =
        Manifest { format: FORMAT.into(), made_at: now, origin: seen.origin, size: seen.size, checkpoint, keys };
    let path = into.join("backup.json");
    let text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
    crate::state::write_secret(&path, &text).map_err(|cause| failed(&path, cause))?;
    Ok(manifest)
}

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What it is of.
    pub manifest: Manifest,
    /// How many entries were verified.
    pub verified: u64,
}

/// Puts a backup into a state directory that is not there yet, or is empty, and verifies all of it. `witness` is one that is newer
/// than the backup's own, such as that of the installation that was lost.
///
/// # Errors
/// When the backup is none, there is something already, keys are missing, or it does not verify.
pub async fn restore(
    from: &Path,
    state: &Path,
    keys: Option<&Path>,
    witness: Option<&Path>,
) -> Result<Restored, BackupError> {
    let path = from.join("backup.json");
    let bad = |because: String| BackupError::Manifest { path: path.display().to_string(), because };
    let text = fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    if manifest.format != FORMAT {
        return Err(bad(format!("its format is `{}`, this program knows `{FORMAT}`", manifest.format)));
    }
    let (checkpoint, _) = Checkpoint::parse(&manifest.checkpoint).map_err(|error| bad(error.to_string()))?;
    let kept = from.join("keys");
    let keys: PathBuf = match keys {
        Some(given) => given.to_owned(),
        None if kept.is_dir() => kept,
        None => return Err(BackupError::NoKeys),
    };
    make_empty(state)?;
    copy_keys(&keys, &state.join("keys"))?;
    copy(&from.join("journal.db"), &state.join("journal.db"))?;
    copy(witness.unwrap_or(&from.join("witness")), &state.join("witness"))?;
    let dir = StateDir::open(state)?;
    let verified = wire::verify_kept(&dir, |keys| {
        let signed = keys.iter().any(|key| Checkpoint::open(&manifest.checkpoint, &key.name, key).is_ok());
        signed.then(|| Trust { key: None::<NoteKey>, pins: vec![checkpoint.clone()] })
    });
    let verified = verified.await?.ok_or_else(|| bad("its checkpoint is not signed by a key of its journal".into()))?;
    match verified {
        Ok(verified) => Ok(Restored { manifest, verified }),
        Err(cause) => Err(BackupError::Unverified { path: state.display().to_string(), cause: Box::new(cause) }),
    }
}

/// Accepts that the journal of a state directory was rolled back, for a reason, and goes on with it under another name and key.
///
/// # Errors
/// When it was not, or it could not be recorded.
pub async fn accept_rollback(state: &Path, reason: &str) -> Result<Continuation, BackupError> {
    if !state.join("journal.db").is_file() {
        return Err(BackupError::Nothing { path: state.display().to_string() });
    }
    wire::go_on(&StateDir::open(state)?, reason).await
}

/// Makes a directory for its owner alone, unless it is there and empty.
fn make_empty(path: &Path) -> Result<(), BackupError> {
    match fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
        Ok(true) => fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(|cause| failed(path, cause)),
        Ok(false) => Err(BackupError::Taken { path: path.display().to_string() }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|cause| failed(path, cause))
        }
        Err(cause) => Err(failed(path, cause)),
    }
}

/// Copies a file, for its owner alone and down to the disk.
fn copy(from: &Path, into: &Path) -> Result<(), BackupError> {
    fs::copy(from, into).map_err(|cause| failed(from, cause))?;
    secure(into)
}

fn secure(path: &Path) -> Result<(), BackupError> {
    let secured = fs::set_permissions(path, Permissions::from_mode(0o600)).and_then(|()| File::open(path)?.sync_all());
    secured.map_err(|cause| failed(path, cause))
}

fn copy_keys(from: &Path, into: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(into).map_err(|cause| failed(into, cause))?;
    for entry in fs::read_dir(from).map_err(|cause| failed(from, cause))? {
        let entry = entry.map_err(|cause| failed(from, cause))?;
        let target = into.join(entry.file_name());
        match entry.path() {
            path if path.is_dir() => copy_keys(&path, &target)?,
            path => copy(&path, &target)?,
        }
    }
    Ok(())
}
