//! What was decided, newest first, a page at a time; of one rule, where somebody looks at one.

use super::audit::{EntryRow, rows};
use super::list::older_of;
use super::words::{Html, badge, list as items, segment, text};
use writ_core::{Entry, Filter, LedgerError, Stored};
use writ_pipeline::{Journal, decode};

/// Decisions on a page.
const LISTED: usize = 20;

/// Decisions that are looked through for a page of those in which one rule found something; the next page goes on from there.
const LOOKED_THROUGH_MAX: usize = 5_000;

/// Decisions that are read at once while they are looked through.
const CHUNK: usize = 500;

/// Which decisions are wanted.
pub(super) struct Wanted<'a> {
    /// What they are about; empty for anything.
    pub(super) intent: &'a str,
    /// The rule that found something in them; empty for any of them.
    pub(super) rule: &'a str,
    /// The entry that the page begins with.
    pub(super) from: Option<u64>,
}

impl Wanted<'_> {
    /// What is filtered by, as an address has it.
    pub(super) fn query(&self) -> String {
        let filters = [("intent", self.intent), ("rule", self.rule)].into_iter().filter(|(_, set)| !set.is_empty());
        filters.map(|(name, value)| format!("{name}={}", segment(value))).collect::<Vec<_>>().join("&")
    }
}

/// A page of decisions.
pub(super) struct Decisions {
    pub(super) rows: Vec<EntryRow>,
    pub(super) older: Html,
    /// How many were looked through when there are more that were not; 0 when the page is full, or the end was reached.
    pub(super) looked_through: usize,
}

/// The newest decisions about an intent, or about anything.
pub(super) fn about(intent: &str) -> Filter {
    let resource = Some(intent.to_owned()).filter(|intent| !intent.is_empty());
    Filter { kind: Some("policy.decided/1".into()), resource, newest_first: true, ..Filter::default() }
}

impl Decisions {
    pub(super) async fn of(journal: &Journal, wanted: &Wanted<'_>) -> Result<Self, LedgerError> {
        let found = Found::of(journal, wanted).await?;
        let next = found.next.map(|seq| seq.to_string());
        let mut rows = rows(journal, &found.entries).await?;
        // That people must be asked was decided with success, and is not what somebody looks for here.
        for (row, entry) in rows.iter_mut().zip(&found.entries) {
            if text(&entry.body, "/decision/decision") == "require_approval" {
                row.outcome = badge("asked");
            }
        }
        Ok(Self {
            rows,
            older: older_of("decisions", "/policy", &wanted.query(), next.as_deref()),
            looked_through: if found.entries.len() < LISTED && next.is_some() { found.looked_through } else { 0 },
        })
    }
}

/// Decisions as they are looked for.
#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    looked_through: usize,
    /// Where the next page begins.
    next: Option<u64>,
}

impl Found {
    async fn of(journal: &Journal, wanted: &Wanted<'_>) -> Result<Self, LedgerError> {
        let chunk = if wanted.rule.is_empty() { LISTED + 1 } else { CHUNK };
        let (mut found, mut from) = (Self::default(), wanted.from);
        loop {
            let filter = Filter { from_seq: from, ..about(wanted.intent) };
            let stored = journal.ledger().query(&filter, chunk).await?;
            for one in &stored {
                let Some(entry) = of_rule(one, wanted.rule)? else { continue };
                if found.entries.len() == LISTED {
                    found.next = Some(entry.seq);
                    return Ok(found);
                }
                found.entries.push(entry);
            }
            found.looked_through += stored.len();
            // Nothing stands before the first entry.
            from = stored.last().and_then(|last| last.seq.checked_sub(1));
            if stored.len() < chunk || from.is_none() {
                return Ok(found);
            }
            if found.looked_through >= LOOKED_THROUGH_MAX {
                found.next = from;
                return Ok(found);
            }
        }
    }
}

/// A decision, where the rule found something in it.
fn of_rule(stored: &Stored, rule: &str) -> Result<Option<Entry>, LedgerError> {
    if rule.is_empty() {
        return decode(stored).map(Some);
    }
    // Few of many are of one rule, and reading a text is sooner done than reading a document.
    if !String::from_utf8_lossy(&stored.bytes).contains(rule) {
        return Ok(None);
    }
    let entry = decode(stored)?;
    let finds = items(&entry.body, "/findings").iter().any(|finding| text(finding, "/rule") == rule);
    Ok(finds.then_some(entry))
}
