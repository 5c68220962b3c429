//! Pages of what a view holds.

use crate::journal::Journal;
use serde_json::Value;
use writ_core::LedgerError;

/// The view of what is listed in another order than it is kept in.
pub(crate) const LISTED: &str = "listed";

/// Documents that are read at once.
const PAGE: usize = 1_000;

/// Documents that are looked through for one page at the most. A page may then be short, and there is more behind it.
const LOOKED_THROUGH_MAX: usize = 5_000;

/// Which rows of a list.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// The row before the first; none where it begins with the first.
    pub after: Option<&'a str>,
    /// Rows at the most.
    pub limit: usize,
    /// Whether the last come first.
    pub backwards: bool,
}

impl<'a> Span<'a> {
    /// All there are.
    pub(crate) const ALL: Span<'static> = Span { after: None, limit: usize::MAX, backwards: false };

    /// So many from the beginning, or behind a row.
    #[must_use]
    pub fn behind(after: Option<&'a str>, limit: usize) -> Self {
        Self { after, limit, backwards: false }
    }
}

/// Rows of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Behind what there are more; none where there are not.
    pub next: Option<String>,
}

impl Listing<(String, Value)> {
    /// Reads documents of a view whose keys begin so, by key, as many as are wanted of those that count. Keys are told without
    /// their beginning.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) async fn read(
        journal: &Journal,
        (view, under): (&str, &str),
        span: Span<'_>,
        counts: impl Fn(&Value) -> bool,
    ) -> Result<Self, LedgerError> {
        let key_of = |key: &str| key.strip_prefix(under).unwrap_or(key).to_owned();
        let (mut rows, mut looked): (Vec<(String, Value)>, usize) = (Vec::new(), 0);
        let mut from = span.after.map(|after| format!("{under}{after}"));
        loop {
            // Where some do not count, there may be many of them.
            let wanted = if looked == 0 { span.limit.saturating_add(1).min(PAGE) } else { PAGE };
            let (docs, _) = match span.backwards {
                true => journal.docs_back(view, under, from.as_deref(), wanted).await?,
                false => journal.docs(view, under, from.as_deref(), wanted).await?,
            };
            let last = docs.len() < wanted;
            looked += docs.len();
            from = docs.last().map(|(key, _)| key.clone());
            for (key, doc) in docs.into_iter().filter(|(_, doc)| counts(doc)) {
                if rows.len() == span.limit {
                    let next = rows.last().map(|(key, _)| key.clone());
                    return Ok(Self { rows, next });
                }
                rows.push((key_of(&key), doc));
            }
            if last {
                return Ok(Self { rows, next: None });
            }
            if span.limit != usize::MAX && looked >= LOOKED_THROUGH_MAX {
                return Ok(Self { rows, next: from.as_deref().map(key_of) });
            }
        }
    }
}
