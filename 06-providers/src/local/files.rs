//! The state directory: where things stand in it, and how they are written so that a crash leaves the old or the new.

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why something in the state directory could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} `{}`", .path.display())]
pub struct StateError {
    /// What was tried.
    pub doing: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the system says.
    #[source]
    pub source: std::io::Error,
}

fn trouble(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StateError {
    move |source| StateError { doing, path: path.to_owned(), source }
}

/// A name as one path segment: letters, digits, `_`, `-` and inner dots stay, all else becomes `%` and two digits.
pub(crate) fn segment(name: &str) -> String {
    let plain =
        |at: usize, byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (at > 0 && byte == b'.');
    let mut text = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        if plain(at, byte) { text.push(byte as char) } else { text.push_str(&format!("%{byte:02x}")) }
    }
    text
}

/// The places in one state directory.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    root: PathBuf,
}

impl Places {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn controller_lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn components(&self) -> PathBuf {
        self.root.join("components")
    }

    pub(crate) fn component(&self, component: &str) -> PathBuf {
        self.components().join(segment(component))
    }

    /// The records of a component's slots, the balancer's (`lb`) among them.
    pub(crate) fn slots(&self, component: &str) -> PathBuf {
        self.component(component).join("slots")
    }

    pub(crate) fn slot(&self, component: &str, slot: &str) -> PathBuf {
        self.slots(component).join(format!("{}.json", segment(slot)))
    }

    /// What an instance may keep from one start to the next.
    pub(crate) fn data(&self, component: &str, slot: &str) -> PathBuf {
        self.component(component).join("data").join(segment(slot))
    }

    pub(crate) fn setting(&self, component: &str, name: &str) -> PathBuf {
        self.component(component).join("settings").join(format!("{}.json", segment(name)))
    }

    /// The balancer's own directory: its configuration and its admin socket.
    pub(crate) fn balancer(&self, component: &str) -> PathBuf {
        self.component(component).join("balancer")
    }

    pub(crate) fn instances(&self) -> PathBuf {
        self.root.join("instances")
    }

    pub(crate) fn instance(&self, key: &str) -> PathBuf {
        self.instances().join(segment(key))
    }

    pub(crate) fn effects(&self) -> PathBuf {
        self.root.join("effects")
    }

    pub(crate) fn effect(&self, key: &str, what: &str) -> PathBuf {
        self.effects().join(format!("{}.{what}", segment(key)))
    }

    pub(crate) fn effects_log(&self) -> PathBuf {
        self.root.join("effects.log")
    }

    pub(crate) fn starts_log(&self) -> PathBuf {
        self.root.join("starts.log")
    }

    pub(crate) fn epochs(&self) -> PathBuf {
        self.root.join("epochs.json")
    }

    pub(crate) fn redeemed(&self) -> PathBuf {
        self.root.join("redeemed.json")
    }

    pub(crate) fn zones(&self) -> PathBuf {
        self.root.join("zones.json")
    }
}

/// Makes a directory that only its owner may enter, and those above it.
pub(crate) fn make_dir(path: &Path) -> Result<(), StateError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(trouble("make", path))
}

fn sync_dir(path: &Path) -> Result<(), StateError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(trouble("sync", path))
}

/// Writes a document so that after a crash the file has either its old or its new bytes.
pub(crate) fn write_durable<T: Serialize>(path: &Path, document: &T) -> Result<(), StateError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    make_dir(parent)?;
    let fresh = path.with_extension("fresh");
    let bytes = serde_json::to_vec(document).map_err(|error| trouble("write", path)(error.into()))?;
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().map_err(trouble("write", path))?;
    sync_dir(parent)
}

/// Writes a document that must not be there yet; false when it is.
pub(crate) fn write_once<T: Serialize>(path: &Path, document: &T) -> Result<bool, StateError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let fresh = path.with_extension(format!("{}.fresh", std::process::id()));
    write_durable(&fresh, document)?;
    // A hard link fails where O_EXCL would, and the name never shows half a document.
    let linked = std::fs::hard_link(&fresh, path);
    std::fs::remove_file(&fresh).map_err(trouble("remove", &fresh))?;
    match linked {
        Ok(()) => sync_dir(parent).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(trouble("write", path)(error)),
    }
}

/// A document, or none when there is no such file. A file that cannot be understood is an error, never "none".
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(trouble("read", path)(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| trouble("understand", path)(error.into()))
}

/// Removes a file or a whole directory; it may be gone already.
pub(crate) fn remove(path: &Path) -> Result<(), StateError> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(trouble("remove", path)(error)),
        _gone => Ok(()),
    }
}

/// The names in a directory, sorted; none when there is no such directory.
pub(crate) fn names(path: &Path) -> Result<Vec<String>, StateError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(trouble("list", path)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(trouble("list", path))?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Appends one line in one write, and waits until it is on the disk.
pub(crate) fn append_line<T: Serialize>(path: &Path, document: &T) -> Result<(), StateError> {
    let mut line = serde_json::to_vec(document).map_err(|error| trouble("append to", path)(error.into()))?;
    line.push(b'\n');
    let append = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.write_all(&line)?;
        file.sync_data()
    };
    append().map_err(trouble("append to", path))
}

/// Whether an appended file holds this text.
pub(crate) fn holds(path: &Path, text: &str) -> Result<bool, StateError> {
    match std::fs::read_to_string(path) {
        Ok(all) => Ok(all.contains(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(trouble("read", path)(error)),
    }
}

/// The last lines of a log, for people; empty when there is none.
pub(crate) fn tail(path: &Path, bytes_max: usize) -> String {
    let mut all = Vec::new();
    if let Ok(mut file) = File::open(path) {
        use std::io::{Seek, SeekFrom};
        let length = file.metadata().map(|meta| meta.len()).unwrap_or(0);
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(bytes_max as u64)));
        let _ = file.take(bytes_max as u64).read_to_end(&mut all);
    }
    String::from_utf8_lossy(&all).trim().replace('\n', " | ")
}

/// Takes an exclusive lock on a file without waiting; none when somebody holds it.
pub(crate) fn try_lock(path: &Path) -> Result<Option<File>, StateError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(trouble("open", path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(trouble("lock", path)(error.into())),
    }
}

/// A directory, held open, through which sockets are named: a socket's own path may have 107 bytes only.
pub(crate) struct SocketDir(File);

impl SocketDir {
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        File::open(path).map(Self).map_err(trouble("open", path))
    }

    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_directory() {
        assert_eq!(segment("../../etc"), "%2e.%2f..%2fetc");
        assert_eq!(segment("web-service-001"), "web-service-001");
        assert_eq!(segment("."), "%2e");
    }

    #[test]
    fn what_is_written_once_is_not_written_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spawn.json");
        assert!(write_once(&path, &1).unwrap());
        assert!(!write_once(&path, &2).unwrap());
        assert_eq!(read::<u32>(&path).unwrap(), Some(1));
        assert_eq!(names(dir.path()).unwrap(), ["spawn.json"]);
    }
}
