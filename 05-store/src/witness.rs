//! The witness file: checkpoints beside the database, each appended after the commit it speaks of.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use writ_core::{Witness, WitnessError};

/// Notes are separated by this line; a note never has it.
const END: &str = "--\n";

/// The file is rewritten with its newest note alone when it has grown past this.
const BYTES_MAX: u64 = 1 << 20;

/// A file of checkpoints on another path, best another volume, than the database. It is written after the commit and not
/// synced: a crash may lose its tail or tear it, which only makes it an older witness.
#[derive(Debug)]
pub struct WitnessFile {
    path: PathBuf,
    /// The open file, and how long it is.
    file: Mutex<Option<(File, u64)>>,
}

impl WitnessFile {
    /// The witness at `path`; the file is made with the first checkpoint.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), file: Mutex::new(None) }
    }

    fn failed(&self, error: &std::io::Error) -> WitnessError {
        WitnessError { place: self.path.display().to_string(), because: error.to_string() }
    }

    fn append(&self, note: &str) -> std::io::Result<()> {
        let mut held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, length) = match held.as_mut() {
            Some(open) => open,
            None => {
                let file = File::options().create(true).append(true).open(&self.path)?;
                let length = file.metadata()?.len();
                held.insert((file, length))
            }
        };
        let text = format!("{note}{END}");
        if *length > BYTES_MAX {
            let fresh = self.path.with_extension("new");
            let mut written = File::create(&fresh)?;
            written.write_all(text.as_bytes())?;
            written.sync_all()?;
            fs::rename(&fresh, &self.path)?;
            *held = None;
            return Ok(());
        }
        file.write_all(text.as_bytes())?;
        *length += text.len() as u64;
        Ok(())
    }
}

impl Witness for WitnessFile {
    fn latest(&self) -> Result<Option<String>, WitnessError> {
        let mut text = String::new();
        match File::open(&self.path).and_then(|mut file| file.read_to_string(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(&error)),
        }
        // What follows the last separator is a torn tail, or nothing.
        let whole = text.rfind(END).map_or("", |end| &text[..end]);
        let newest = whole.rsplit(END).next().unwrap_or("");
        Ok((!newest.is_empty()).then(|| newest.to_owned()))
    }

    fn remember(&self, note: &str) -> Result<(), WitnessError> {
        self.append(note).map_err(|error| self.failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_tail_leaves_the_note_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("witness");
        let witness = WitnessFile::at(&path);
        assert_eq!(witness.latest(), Ok(None));
        witness.remember("first\n").unwrap();
        witness.remember("second\n").unwrap();
        assert_eq!(witness.latest(), Ok(Some("second\n".into())));
        File::options().append(true).open(&path).unwrap().write_all(b"thi").unwrap();
        assert_eq!(witness.latest(), Ok(Some("second\n".into())));
    }

    #[test]
    fn a_grown_file_is_rewritten_with_its_newest_note() {
        let dir = tempfile::tempdir().unwrap();
        let witness = WitnessFile::at(&dir.path().join("witness"));
        for n in 0..5_000 {
            witness.remember(&format!("{n} {}\n", "x".repeat(300))).unwrap();
        }
        assert!(witness.latest().unwrap().unwrap().starts_with("4999 "));
        assert!(fs::metadata(dir.path().join("witness")).unwrap().len() < BYTES_MAX + 1_000);
    }
}
