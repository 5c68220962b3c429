//! What a command writes goes on as it comes, and is kept for the record: all of it, or its beginning and end.

use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use writ_core::Digest;

/// The most bytes that are kept from the beginning, and from the end.
const HALF: usize = 255 << 10;

/// What one output came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) digest: Digest,
    pub(crate) kept: Vec<u8>,
}

#[derive(Default)]
struct Record {
    hash: Sha256,
    bytes: u64,
    first: Vec<u8>,
    last: VecDeque<u8>,
}

impl Record {
    fn add(&mut self, part: &[u8]) {
        self.hash.update(part);
        self.bytes += part.len() as u64;
        let room = (HALF - self.first.len()).min(part.len());
        let (first, rest) = part.split_at(room);
        self.first.extend_from_slice(first);
        self.last.extend(rest);
        let over = self.last.len().saturating_sub(HALF);
        self.last.drain(..over);
    }

    fn written(&self) -> Written {
        let left_out = self.bytes - (self.first.len() + self.last.len()) as u64;
        let mut kept = self.first.clone();
        if left_out > 0 {
            kept.extend_from_slice(format!("\n[writ: {left_out} bytes are left out here]\n").as_bytes());
        }
        kept.extend(&self.last);
        Written { bytes: self.bytes, digest: Digest(self.hash.clone().finalize().into()), kept }
    }
}

/// Where a pump stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// It waits for the command, after so many parts.
    Reading(u64),
    /// It waits for whoever reads along.
    Writing,
    /// Nothing comes any more.
    Done,
}

/// One output on its way.
pub(crate) struct Tee {
    record: Arc<Mutex<Record>>,
    pub(crate) at: watch::Receiver<At>,
}

impl Tee {
    /// Begins to pass on what comes, on a thread of its own: whoever reads along may be slow, and nothing else waits for that.
    pub(crate) fn start(from: impl Read + Send + 'static, to: impl Write + Send + 'static) -> Self {
        let record = Arc::new(Mutex::new(Record::default()));
        let (sender, at) = watch::channel(At::Reading(0));
        let kept = record.clone();
        std::thread::spawn(move || {
            pump(from, to, &kept, &sender);
            sender.send_replace(At::Done);
        });
        Self { record, at }
    }

    pub(crate) fn written(&self) -> Written {
        lock(&self.record).written()
    }
}

fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends when nothing comes any more, or nobody reads along: the command then meets the same closed pipe as without writ.
fn pump(mut from: impl Read, mut to: impl Write, record: &Mutex<Record>, at: &watch::Sender<At>) {
    let mut buffer = vec![0; 64 << 10];
    for part in 1.. {
        let count = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        at.send_replace(At::Writing);
        let Some(come) = buffer.get(..count) else { return };
        lock(record).add(come);
        if to.write_all(come).and_then(|()| to.flush()).is_err() {
            return;
        }
        at.send_replace(At::Reading(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_seal::sha256;

    fn record(parts: &[&[u8]]) -> Written {
        let mut record = Record::default();
        parts.iter().for_each(|part| record.add(part));
        record.written()
    }

    #[test]
    fn what_fits_is_kept_whole_however_it_comes() {
        let all: Vec<u8> = (0..2 * HALF).map(|at| at.to_le_bytes()[0]).collect();
        for parts in [vec![&all[..]], all.chunks(7).collect(), all.chunks(HALF + 1).collect()] {
            let written = record(&parts);
            assert!(written.kept == all && written.digest == sha256(&all) && written.bytes == all.len() as u64);
        }
        assert_eq!(record(&[]).bytes, 0);
    }

    #[test]
    fn of_what_does_not_fit_the_beginning_and_the_end_are_kept_and_all_of_it_is_digested() {
        let all: Vec<u8> = (0..3_000_000_usize).map(|at| (at / 1_000).to_le_bytes()[0]).collect();
        let written = record(&all.chunks(4_097).collect::<Vec<_>>());
        assert_eq!((written.bytes, written.digest), (3_000_000, sha256(&all)));
        assert!(written.kept.len() <= writ_pipeline::OUTPUT_MAX);
        assert!(written.kept.starts_with(&all[..HALF]) && written.kept.ends_with(&all[all.len() - HALF..]));
        let told = String::from_utf8_lossy(&written.kept[HALF..HALF + 60]).into_owned();
        assert!(told.contains(&format!("{} bytes are left out", 3_000_000 - 2 * HALF)), "{told}");
    }

    #[test]
    fn a_reader_that_goes_away_ends_it() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (sender, _) = watch::channel(At::Reading(0));
        let record = Mutex::new(Record::default());
        pump(io::repeat(b'y'), Gone, &record, &sender);
        assert_eq!(lock(&record).bytes, 64 << 10);
    }
}
