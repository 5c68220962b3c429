//! A ledger whose reports do not come forward while they are held.

use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use writ_core::{
    Append, Columns, Digest, Erasable, Filter, Group, Head, Ledger, LedgerError, Report, Stored, StoredCheckpoint,
    TraceId, ViewChange,
};

/// One over another, with whether its reports are held.
pub(super) struct Trailing(pub(super) Arc<dyn Ledger>, pub(super) Arc<AtomicBool>);

macro_rules! passed_on {
    ($($name:ident($($given:ident: $form:ty),*) -> $told:ty;)*) => {
        #[async_trait]
        impl Ledger for Trailing {
            async fn report(&self, report: &Report) -> Append {
                if self.1.load(Ordering::Relaxed) {
                    let held = LedgerError::Unreachable { place: "memory".into(), cause: "it is held".into() };
                    return Err(held.into());
                }
                self.0.report(report).await
            }

            $(async fn $name(&self $(, $given: $form)*) -> Result<$told, LedgerError> {
                self.0.$name($($given),*).await
            })*

            async fn append(&self, group: &Group) -> Append {
                self.0.append(group).await
            }
        }
    };
}

passed_on! {
    head() -> Option<Head>;
    take_over(empty: Head) -> Head;
    entries(seq: u64, limit: usize) -> Vec<Stored>;
    stream(stream: &str, version: u64, limit: usize) -> Vec<Stored>;
    version_below(stream: &str, below: u64) -> u64;
    length_below(trace: &TraceId, below: u64) -> u64;
    query(filter: &Filter, limit: usize) -> Vec<Stored>;
    by_event(event: &str) -> Option<Stored>;
    attachment(digest: &Digest) -> Option<Vec<u8>>;
    erasable(commitment: &Digest) -> Option<Erasable>;
    erase(commitment: &Digest) -> bool;
    tile(level: u8, index: u64) -> Option<Vec<u8>>;
    leaves(from: u64, to: u64) -> Vec<Digest>;
    checkpoints_back(at_most: Option<u64>, limit: usize) -> Vec<StoredCheckpoint>;
    checkpoints(after: u64, limit: usize) -> Vec<StoredCheckpoint>;
    view(view: &str, key: &str) -> Option<Vec<u8>>;
    views(view: &str, prefix: &str, after: Option<&str>, limit: usize) -> Vec<(String, Vec<u8>)>;
    views_back(view: &str, prefix: &str, before: Option<&str>, limit: usize) -> Vec<(String, Vec<u8>)>;
    rebuild(documents: Vec<ViewChange>, size: u64) -> bool;
    reported() -> u64;
    misfiled() -> Option<u64>;
    columns(seq: u64, limit: usize) -> Vec<Columns>;
}
