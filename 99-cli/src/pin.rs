//! What this client remembers of each journal that it has looked at: apart from any server, and from any server's files.
//!
//! A pin is a file named after the journal, 0600: its verifier key, the newest checkpoint that held, and where it was seen.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use writ_audit::Checkpoint;
use writ_seal::NoteKey;
use writ_server::write_secret;

/// The form of the files.
const FORMAT: &str = "writ.pin/1";

/// What is remembered of one journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    format: String,
    /// The journal's name.
    pub(crate) origin: String,
    /// The verifier key that is believed.
    key: String,
    /// The newest checkpoint that held.
    checkpoint: String,
    /// Servers and state directories that showed it.
    pub(crate) places: BTreeSet<String>,
}

/// Why nothing can be remembered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinError {
    /// There is nowhere to keep anything.
    #[error("there is no place for what this client remembers; name a directory in `WRIT_PINS`")]
    Nowhere,
    /// A file cannot be read or written.
    #[error("`{}` cannot be used", .path.display())]
    File {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// A file is no pin.
    #[error("`{}` does not hold what this client remembers: {because}", .path.display())]
    Form { path: PathBuf, because: String },
}

impl Pin {
    pub(crate) fn new(checkpoint: &Checkpoint, note: &str, key: &NoteKey) -> Self {
        let (origin, key) = (checkpoint.origin.clone(), key.to_string());
        Self { format: FORMAT.into(), origin, key, checkpoint: note.to_owned(), places: BTreeSet::new() }
    }

    pub(crate) fn key(&self) -> Option<NoteKey> {
        self.key.parse().ok()
    }

    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        Checkpoint::parse(&self.checkpoint).ok().map(|(checkpoint, _)| checkpoint)
    }

    pub(crate) fn note(&self) -> &str {
        &self.checkpoint
    }
}

/// Everything that this client remembers.
#[derive(Debug, Clone)]
pub(crate) struct Pins {
    dir: PathBuf,
}

impl Pins {
    /// Those in a directory, or in this user's own.
    ///
    /// # Errors
    /// When no directory is named and the user has none.
    pub(crate) fn of(named: Option<&Path>) -> Result<Self, PinError> {
        let dir = named.map(Path::to_owned).or_else(own).ok_or(PinError::Nowhere)?;
        Ok(Self { dir })
    }

    /// The file of a journal. Its name is for people; what counts stands inside.
    pub(crate) fn path(&self, origin: &str) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
        let name: String = origin.chars().take(80).map(plain).collect();
        let digest = writ_seal::sha256(origin.as_bytes()).hex();
        self.dir.join(format!("{name}-{}.json", digest.get(..16).unwrap_or_default()))
    }

    /// What is remembered of a journal.
    pub(crate) fn get(&self, origin: &str) -> Result<Option<Pin>, PinError> {
        let path = self.path(origin);
        let pin = read(&path)?;
        match pin {
            Some(pin) if pin.origin != origin => {
                Err(PinError::Form { path, because: format!("it is of `{}`", pin.origin) })
            }
            pin => Ok(pin),
        }
    }

    /// The journal that was seen at a place.
    pub(crate) fn seen_at(&self, place: &str) -> Result<Option<Pin>, PinError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(PinError::File { path: self.dir.clone(), cause }),
        };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_none_or(|end| end != "json") {
                continue;
            }
            if let Some(pin) = read(&path)?.filter(|pin| pin.places.contains(place)) {
                return Ok(Some(pin));
            }
        }
        Ok(None)
    }

    /// Keeps a pin, whole or not at all, on the disk when it returns.
    pub(crate) fn keep(&self, pin: &Pin) -> Result<(), PinError> {
        let path = self.path(&pin.origin);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        let kept = made.and_then(|()| write_secret(&path, &serde_json::json!(pin).to_string()));
        kept.map_err(|cause| PinError::File { path, cause })
    }

    /// Forgets a journal.
    pub(crate) fn forget(&self, origin: &str) -> Result<(), PinError> {
        let path = self.path(origin);
        fs::remove_file(&path).map_err(|cause| PinError::File { path, cause })
    }
}

fn read(path: &Path) -> Result<Option<Pin>, PinError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(PinError::File { path: path.to_owned(), cause }),
    };
    let bad = |because: String| PinError::Form { path: path.to_owned(), because };
    let pin: Pin = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let whole = pin.format == FORMAT
        && pin.key().is_some()
        && pin.checkpoint().is_some_and(|checkpoint| checkpoint.origin == pin.origin);
    if whole { Ok(Some(pin)) } else { Err(bad("its key or its checkpoint cannot be read".into())) }
}

/// `$XDG_STATE_HOME/writ/pins`, or `~/.local/state/writ/pins`.
#[expect(clippy::disallowed_methods, reason = "the shell asks where this user keeps such files")]
fn own() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("writ/pins"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use writ_seal::Key;

    fn pin(origin: &str, size: u64) -> Pin {
        let key = Key::from_seed(origin, &[1; 32]);
        let checkpoint = Checkpoint { origin: origin.into(), root: writ_seal::sha256(b"x"), size };
        let note = checkpoint.sign(&[&key]).unwrap();
        Pin::new(&checkpoint, &note, &NoteKey::of(&key))
    }

    #[test]
    fn what_is_kept_is_read_back_by_name_and_by_place_and_by_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::of(Some(&dir.path().join("a/b"))).unwrap();
        assert_eq!(pins.seen_at("here").unwrap(), None);
        let mut first = pin("writ.local/../x", 3);
        first.places.insert("here".into());
        let second = pin("writ.local/y", 4);
        pins.keep(&first).unwrap();
        pins.keep(&second).unwrap();
        assert_eq!(pins.get("writ.local/../x").unwrap(), Some(first.clone()));
        assert_eq!(pins.seen_at("here").unwrap(), Some(first.clone()));
        assert_eq!(pins.seen_at("there").unwrap(), None);
        let file = pins.path("writ.local/../x");
        assert_eq!(file.parent(), Some(dir.path().join("a/b").as_path()));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        pins.forget("writ.local/../x").unwrap();
        assert_eq!(pins.get("writ.local/../x").unwrap(), None);
    }

    #[test]
    fn a_damaged_pin_is_an_error_and_not_a_first_look() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::of(Some(dir.path())).unwrap();
        pins.keep(&pin("o", 3)).unwrap();
        for bad in
            ["", "{}", "{\"format\":\"writ.pin/1\",\"origin\":\"o\",\"key\":\"k\",\"checkpoint\":\"c\",\"places\":[]}"]
        {
            fs::write(pins.path("o"), bad).unwrap();
            assert!(matches!(pins.get("o"), Err(PinError::Form { .. })), "{bad}");
        }
    }
}
