//! The journal as a static directory in the layout of C2SP tlog-tiles, and the check of one with nothing else at hand.

use std::collections::BTreeSet;
use writ_audit::{Checkpoint, CheckpointError, Fault, KeyChain, Verifier, attachments_of};
use writ_core::{Digest, Entry};
use writ_seal::{NoteError, NoteKey, sha256};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE: u64 = 256;

/// What an exported directory proved to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The journal's name.
    pub origin: String,
    /// The root that was signed.
    pub root: Digest,
    /// How many entries.
    pub size: u64,
}

/// Why an exported directory is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file is missing.
    #[error("`{path}` is missing from the export")]
    Missing {
        /// Which.
        path: String,
    },
    /// A bundle of entries is cut short or has more than it should.
    #[error("`{path}` is not a bundle of {entries} entries")]
    Bundle {
        /// Which.
        path: String,
        /// How many it should have.
        entries: u64,
    },
    /// A tile is not what the entries give.
    #[error("`{path}` does not hold the hashes of its entries")]
    Tile {
        /// Which.
        path: String,
    },
    /// An attachment has other bytes than its name says.
    #[error("the attachment {digest} of entry {seq} {wrong}")]
    Attachment {
        /// Which.
        digest: Digest,
        /// The entry that names it.
        seq: u64,
        /// What is wrong.
        wrong: &'static str,
    },
    /// The key cannot be read.
    #[error("the journal's key cannot be read")]
    Key(#[from] NoteError),
    /// The key that must have signed is none of the journal's.
    #[error("the journal's key is `{found}`; `{trusted}` is not, and never was")]
    OtherKey {
        /// The key that the journal came to.
        found: String,
        /// The key that was trusted, or that the export names.
        trusted: String,
    },
    /// The checkpoint does not hold.
    #[error("the checkpoint does not hold")]
    Checkpoint(#[from] CheckpointError),
    /// An entry does not hold.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A tile's path for an index: groups of three digits, all but the last with an `x`.
fn index_path(index: u64) -> String {
    let mut parts = vec![format!("{:03}", index % 1_000)];
    let mut rest = index / 1_000;
    while rest > 0 {
        parts.push(format!("x{:03}", rest % 1_000));
        rest /= 1_000;
    }
    parts.reverse();
    parts.join("/")
}

/// The path of a tile of hashes (`prefix` is its level) or of a bundle of entries (`entries`), full or `width` wide.
#[must_use]
pub fn tile_path(prefix: &str, index: u64, width: u64) -> String {
    let partial = if width == TILE { String::new() } else { format!(".p/{width}") };
    format!("tile/{prefix}/{}{partial}", index_path(index))
}

/// The paths of all tiles and entry bundles of a journal of `size` entries.
#[must_use]
pub fn export_paths(size: u64) -> Vec<String> {
    let mut paths = Vec::new();
    let widths = |count: u64| {
        let full = (0..count / TILE).map(|index| (index, TILE));
        full.chain((!count.is_multiple_of(TILE)).then_some((count / TILE, count % TILE)))
    };
    let (mut level, mut count) = (0, size);
    while count > 0 {
        paths.extend(widths(count).map(|(index, width)| tile_path(&level.to_string(), index, width)));
        count /= TILE;
        level += 1;
    }
    paths.extend(widths(size).map(|(index, width)| tile_path("entries", index, width)));
    paths
}

impl Exported {
    /// The bytes of one entry of a bundle.
    #[must_use]
    pub fn entry_in(bundle: &[u8], at: usize) -> Option<Vec<u8>> {
        split(bundle)?.get(at).map(|bytes| bytes.to_vec())
    }

    /// The attachments that a bundle of entries names.
    #[must_use]
    pub fn attachments_in(bundle: &[u8]) -> Vec<Digest> {
        let entries = split(bundle).unwrap_or_default();
        let entries = entries.iter().filter_map(|bytes| serde_json::from_slice::<Entry>(bytes).ok());
        entries.flat_map(|entry| attachments_of(&entry)).collect()
    }
}

/// The entries of a bundle: each behind its length in two bytes, big-endian.
fn split(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bundle.is_empty() {
        let (length, rest) = bundle.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bundle = rest;
    }
    Some(entries)
}

/// Checks an exported directory; `read` gives a file's bytes. Its own keys are followed from the genesis on. With `trusted`,
/// that must be one of them; without, what the export says about itself is believed.
///
/// # Errors
/// The first thing that does not hold.
pub fn check_export(
    read: &dyn Fn(&str) -> Option<Vec<u8>>,
    trusted: Option<&NoteKey>,
) -> Result<Exported, ExportError> {
    let need = |path: &str| read(path).ok_or_else(|| ExportError::Missing { path: path.to_owned() });
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let key: NoteKey = text(need("key")?).trim().parse()?;
    let note = text(need("checkpoint")?);
    let checkpoint = Checkpoint::open(&note, &key.name, &key)?;
    let (mut verifier, mut full, mut seen) = (Verifier::new(), Vec::new(), BTreeSet::new());
    let mut keys = KeyChain::default();
    for path in export_paths(checkpoint.size).iter().filter(|path| path.starts_with("tile/entries/")) {
        let expected = (checkpoint.size - verifier.size()).min(TILE);
        let bundle = need(path)?;
        let wrong = || ExportError::Bundle { path: path.clone(), entries: expected };
        let entries = split(&bundle).filter(|entries| entries.len() as u64 == expected).ok_or_else(wrong)?;
        for bytes in entries {
            verifier.feed(bytes, None, &mut full)?;
            let Ok(entry) = serde_json::from_slice::<Entry>(bytes) else { continue };
            keys.feed(&entry)?;
            check_attachments(&entry, &mut seen, read)?;
        }
    }
    verifier.expect_root(checkpoint.size, &checkpoint.root)?;
    let known = |wanted: &NoteKey| keys.keys().any(|key| key == wanted);
    if let Some(wanted) = [Some(&key), trusted].into_iter().flatten().find(|wanted| !known(wanted)) {
        let found = keys.newest().map(ToString::to_string).unwrap_or_default();
        return Err(ExportError::OtherKey { found, trusted: wanted.to_string() });
    }
    if let Some(newest) = keys.newest() {
        Checkpoint::open(&note, &newest.name, newest)?;
    }
    for tile in full {
        let path = tile_path(&tile.level.to_string(), tile.index, TILE);
        if need(&path)? != tile.bytes {
            return Err(ExportError::Tile { path });
        }
    }
    Ok(Exported { origin: checkpoint.origin, root: checkpoint.root, size: checkpoint.size })
}

fn check_attachments(
    entry: &Entry,
    seen: &mut BTreeSet<Digest>,
    read: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<(), ExportError> {
    for digest in attachments_of(entry) {
        if !seen.insert(digest) {
            continue;
        }
        let wrong = match read(&format!("attachment/{}", digest.hex())) {
            Some(bytes) if sha256(&bytes) == digest => continue,
            Some(_) => "has other bytes than its digest says",
            None => "is missing",
        };
        return Err(ExportError::Attachment { digest, seq: entry.seq, wrong });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(index_path(1_234_067), "x001/x234/067");
        assert_eq!(index_path(5), "005");
        assert_eq!(export_paths(3), ["tile/0/000.p/3", "tile/entries/000.p/3"]);
        let paths = export_paths(70_000);
        assert!(paths.contains(&"tile/0/272".to_owned()) && paths.contains(&"tile/0/273.p/112".to_owned()));
        assert!(paths.contains(&"tile/1/001.p/17".to_owned()) && paths.contains(&"tile/2/000.p/1".to_owned()));
        assert!(export_paths(0).is_empty());
    }
}
