//! From a path to bytes, before anything is read that could be too much.

use crate::{Limits, Problem};
use std::io::Read;
use std::path::Path;
use writ_core::Place;

/// The bytes of a file that somebody named. Its size is looked at before its content.
///
/// # Errors
/// When it is missing, is not a regular file, cannot be opened, or is larger than the limits allow.
pub fn load(path: &Path, limits: &Limits) -> Result<Vec<u8>, Problem> {
    let place = Place { file: path.display().to_string(), line: 1, column: 1 };
    let failed = |error: &std::io::Error| {
        let link = path.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the system has forty ways to refuse a file; three have words"
        )]
        match error.kind() {
            std::io::ErrorKind::NotFound if link => {
                Problem::new(place.clone(), "this is a link to a file that does not exist")
            }
            std::io::ErrorKind::NotFound => Problem::new(place.clone(), "there is no such file"),
            std::io::ErrorKind::PermissionDenied => {
                Problem::new(place.clone(), "this file may not be read by this user")
            }
            _ => Problem::new(place.clone(), format!("this file cannot be read: {error}")),
        }
    };
    let meta = path.metadata().map_err(|error| failed(&error))?;
    if meta.is_dir() {
        return Err(Problem::new(place, "this is a directory, not a file"));
    }
    if !meta.is_file() {
        return Err(Problem::new(place, "this is not a regular file"));
    }
    if meta.len() > limits.bytes as u64 {
        return Err(too_large(place, meta.len(), limits));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    // The file may have grown since it was looked at.
    file.take(limits.bytes as u64 + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() > limits.bytes {
        return Err(too_large(place, bytes.len() as u64, limits));
    }
    Ok(bytes)
}

pub(crate) fn too_large(place: Place, bytes: u64, limits: &Limits) -> Problem {
    Problem::new(place, format!("this file has {bytes} bytes, and at most {} are read", limits.bytes))
        .hint("split it into smaller files")
}
