//! Evidence for one thing: its entries and all they refer to, with proofs under one checkpoint.

use crate::journal::{Journal, decode, proof};
use crate::why::{about, causes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use writ_audit::{Bundle, BundledEntry, CONTINUED, KEY_ROTATED, attachments_of, inclusion_ranges};
use writ_core::{Entry, Filter, LedgerError};

/// Entries of one bundle at the most.
const ENTRIES_MAX: usize = 5_000;

/// Gathers the evidence for an id: the entries about it, the entries that led to them, and for a run or an incident all of
/// its trace (submission, policy decision, plan, contracts, permits, receipts). None when the journal does not know the id.
///
/// # Errors
/// When the journal cannot be read, or lacks what an entry names.
pub async fn evidence(journal: &Journal, id: &str) -> Result<Option<Bundle>, LedgerError> {
    let Some((subject, found)) = about(journal, id).await? else { return Ok(None) };
    let mut entries: BTreeMap<u64, Entry> = BTreeMap::new();
    if let Some(first) = found.first() {
        let before = causes(journal, first).await?;
        // What people say about a run may come before its own first entry.
        let own = found.iter().find(|entry| entry.stream.starts_with("run/") || entry.stream.starts_with("incident/"));
        if let Some(own) = own.filter(|_| !id.starts_with("evt_")) {
            let trace = Filter { trace: Some(own.trace_id.clone()), ..Filter::default() };
            let stored = journal.ledger().query(&trace, ENTRIES_MAX).await?;
            let all = stored.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
            entries.extend(all.into_iter().map(|entry| (entry.seq, entry)));
        }
        entries.extend(before.into_iter().map(|entry| (entry.seq, entry)));
    }
    // Whoever knows an earlier key alone must be able to follow it to the one that signed.
    for kind in [KEY_ROTATED, CONTINUED] {
        let changes = Filter { kind: Some(kind.into()), ..Filter::default() };
        let changes = journal.ledger().query(&changes, ENTRIES_MAX).await?;
        let changes = changes.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        entries.extend(changes.into_iter().map(|entry| (entry.seq, entry)));
    }
    entries.extend(found.into_iter().take(ENTRIES_MAX).map(|entry| (entry.seq, entry)));
    bundle(journal, subject, entries).await.map(Some)
}

async fn bundle(journal: &Journal, subject: String, entries: BTreeMap<u64, Entry>) -> Result<Bundle, LedgerError> {
    let damaged = |what: String| LedgerError::Damaged { place: "the journal".into(), what };
    let kept = journal.ledger().checkpoint(None).await?.ok_or_else(|| damaged("it has no checkpoint".into()))?;
    let mut bundled = Vec::with_capacity(entries.len());
    let mut attachments = BTreeMap::new();
    for (seq, entry) in entries {
        let stored = journal.ledger().entries(seq, 1).await?;
        let bytes = stored.into_iter().next().map(|stored| stored.bytes).unwrap_or_default();
        let text = String::from_utf8(bytes).map_err(|_| damaged(format!("entry {seq} is not UTF-8")))?;
        let hashes = proof(journal.ledger(), &inclusion_ranges(seq, kept.size), kept.size).await?;
        bundled.push(BundledEntry { entry: text, proof: hashes.iter().map(writ_core::Digest::hex).collect() });
        for digest in attachments_of(&entry) {
            let bytes = journal.ledger().attachment(&digest).await?;
            let bytes = bytes.ok_or_else(|| damaged(format!("the attachment {digest} of entry {seq} is missing")))?;
            attachments.insert(digest.to_string(), STANDARD.encode(bytes));
        }
    }
    Ok(Bundle {
        format: Bundle::FORMAT.into(),
        subject,
        key: journal.key().to_string(),
        checkpoint: kept.note,
        entries: bundled,
        attachments,
    })
}
