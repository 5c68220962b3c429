//! The state directory: where one installation keeps everything it has.
//!
//! ```text
//! keys/log keys/gate keys/agents/…   seeds, 0600; keys/log.next while the journal's key is rotated
//! tokens/operator tokens/reviewer    tokens that `dev` made, 0600
//! journal.db  witness                the journal and what remembers it
//! journal.trail                      what finds its entries; made anew when it is lost
//! world/                             the local provider's processes
//! server.json                        where the running server listens
//! ```

use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use writ_core::{Entropy, Signer as _};
use writ_seal::{Key, NoteKey};

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or directory cannot be read or written.
    #[error("`{path}` cannot be used; give a directory that you own with `--state`")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// A key can be read by others.
    #[error(
        "the key `{path}` can be read by others (mode {mode:o}); run `chmod 600 {path}`, and rotate it if anybody did"
    )]
    Exposed {
        /// Which.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// A key file holds something else.
    #[error("`{path}` does not hold a key: it must be 64 hexadecimal digits")]
    Key {
        /// Which.
        path: String,
    },
}

/// Where a running server listens, for commands on the same machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAddress {
    /// Its process.
    pub pid: u32,
    /// `http://127.0.0.1:7420`
    pub url: String,
}

/// A state directory, 0700.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// Opens the directory, making it when it is not there.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn open(root: &Path) -> Result<Self, StateError> {
        let make = |path: &Path| {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|cause| failed(path, cause))
        };
        make(root)?;
        let root = fs::canonicalize(root).map_err(|cause| failed(root, cause))?;
        for part in ["keys/agents", "tokens", "world"] {
            make(&root.join(part))?;
        }
        Ok(Self { root })
    }

    /// A path within the directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The key kept under `keys/<file>`, made on first use, under the name that signatures show.
    ///
    /// # Errors
    /// When the file cannot be used, is readable by others, or holds no key.
    pub fn key(&self, file: &str, name: &str, entropy: &dyn Entropy) -> Result<Key, StateError> {
        let path = self.root.join("keys").join(file);
        if !path.exists() {
            let mut seed = [0; 32];
            entropy.fill(&mut seed);
            self.write_secret(&format!("keys/{file}"), &hex::encode(seed))?;
        }
        let mode = fs::metadata(&path).map_err(|cause| failed(&path, cause))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(StateError::Exposed { path: path.display().to_string(), mode });
        }
        let text = fs::read_to_string(&path).map_err(|cause| failed(&path, cause))?;
        let seed: Option<[u8; 32]> = hex::decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        let seed = seed.ok_or_else(|| StateError::Key { path: path.display().to_string() })?;
        Ok(Key::from_seed(name, &seed))
    }

    /// Puts the next key in the journal's key's place, once the journal says that it took over. A start that was cut short
    /// between the two comes to the same end.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn take_over(&self, in_force: &NoteKey, entropy: &dyn Entropy) -> Result<(), StateError> {
        let (now, next) = (self.path("keys/log"), self.path("keys/log.next"));
        if !next.exists() || NoteKey::of(&self.key("log.next", &in_force.name, entropy)?) != *in_force {
            return Ok(());
        }
        let moved = fs::rename(&next, &now).and_then(|()| File::open(self.path("keys"))?.sync_all());
        moved.map_err(|cause| failed(&now, cause))
    }

    /// Writes a secret, 0600, whole or not at all, on the disk when it returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_secret(&self, name: &str, text: &str) -> Result<(), StateError> {
        let path = self.root.join(name);
        write_secret(&path, text).map_err(|cause| failed(&path, cause))
    }

    /// A secret's text; none when there is no such file, or it holds no text.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read_secret(&self, name: &str) -> Result<Option<String>, StateError> {
        let path = self.root.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            // What is no text is no secret of ours.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => Ok(None),
            Err(cause) => Err(failed(&path, cause)),
        }
    }

    /// Tells commands on this machine where the server listens.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn announce(&self, address: &ServerAddress) -> Result<(), StateError> {
        self.write_secret("server.json", &serde_json::json!(address).to_string())
    }

    /// Takes the announcement back.
    pub fn withdraw(&self) {
        // Nobody is left to tell when it fails: the next start overwrites it.
        drop(fs::remove_file(self.root.join("server.json")));
    }

    /// Where the server says that it listens.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn announced(&self) -> Result<Option<ServerAddress>, StateError> {
        Ok(self.read_secret("server.json")?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// The name under which this installation's journal is known, from the public half of its key.
    #[must_use]
    pub fn origin(key: &Key) -> String {
        format!("writ.local/{}", &hex::encode(key.public_key())[..16])
    }
}

/// Writes a file that only its owner can read, whole or not at all, on the disk when it returns.
///
/// # Errors
/// When it cannot be written.
pub fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn failed(path: &Path, cause: std::io::Error) -> StateError {
    StateError::File { path: path.display().to_string(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemEntropy;

    #[test]
    fn the_next_key_takes_the_place_of_the_one_before_when_the_journal_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("state")).unwrap();
        let key = |file| NoteKey::of(&state.key(file, "x", &SystemEntropy).unwrap());
        let (first, next) = (key("log"), key("log.next"));
        state.take_over(&first, &SystemEntropy).unwrap();
        assert_eq!((key("log"), state.path("keys/log.next").exists()), (first, true), "it was not recorded yet");
        state.take_over(&next, &SystemEntropy).unwrap();
        state.take_over(&next, &SystemEntropy).unwrap();
        assert_eq!((key("log"), state.path("keys/log.next").exists()), (next, false));
    }

    #[test]
    fn a_key_is_made_once_and_refused_when_others_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("state")).unwrap();
        let first = state.key("log", "x", &SystemEntropy).unwrap();
        assert_eq!(state.key("log", "x", &SystemEntropy).unwrap().public_key(), first.public_key());
        let path = state.path("keys/log");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(state.key("log", "x", &SystemEntropy), Err(StateError::Exposed { mode: 0o644, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(state.key("log", "x", &SystemEntropy), Err(StateError::Key { .. })));
    }
}
