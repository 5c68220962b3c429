//! What policies that somebody proposes would have decided of what was really asked.

use super::words::{Html, badge, link, list, number, text, when_of};
use serde_json::Value;

/// Recorded decisions that were judged again.
pub(crate) struct Impact {
    pub(crate) judged: u64,
    /// How many would be others.
    pub(crate) others: u64,
    /// How many of each sort: `allow → deny`.
    pub(crate) sorts: Vec<(String, u64)>,
    /// The newest of them.
    pub(crate) rows: Vec<Row>,
}

/// A decision that would be another.
pub(crate) struct Row {
    pub(crate) at: Html,
    pub(crate) entry: Html,
    pub(crate) asked: String,
    pub(crate) was: Html,
    pub(crate) would: Html,
    pub(crate) because: String,
}

impl Impact {
    /// As it was kept with what was proposed; none where nothing was.
    pub(crate) fn of(kept: &Value) -> Option<Self> {
        kept.get("decisions")?;
        let sorts = kept.get("changes").and_then(Value::as_object).into_iter().flatten();
        let row = |told: &Value| Row {
            at: when_of(told, "/at"),
            entry: link(text(told, "/entry")),
            asked: format!("{} {}", text(told, "/action").replace('_', " "), text(told, "/resource")),
            was: badge(text(told, "/was")),
            would: badge(text(told, "/would")),
            because: text(told, "/because").to_owned(),
        };
        Some(Self {
            judged: number(kept, "/decisions"),
            others: number(kept, "/others"),
            sorts: sorts.map(|(sort, count)| (sort.clone(), count.as_u64().unwrap_or(0))).collect(),
            rows: list(kept, "/told").iter().map(row).collect(),
        })
    }
}
