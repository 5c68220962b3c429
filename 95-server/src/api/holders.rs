//! Which intent had a component: an incident is of a component, and of the intent that had it when it was opened.

use std::collections::BTreeMap;
use writ_core::{LedgerError, Timestamp};
use writ_pipeline::Journal;

/// Since when each intent has had a component, by component, as far as it was looked up.
#[derive(Debug, Default)]
pub(super) struct Holders(BTreeMap<String, Vec<(Timestamp, String)>>);

impl Holders {
    /// The intent that had a component at a moment: the last that began to have it by then. What came about before anybody wrote
    /// that down is of the first.
    pub(super) async fn at(
        &mut self,
        journal: &Journal,
        component: &str,
        at: Timestamp,
    ) -> Result<Option<&str>, LedgerError> {
        if !self.0.contains_key(component) {
            let entries = journal.stream(&format!("holding/{component}")).await?;
            let begun = entries.iter().filter(|entry| entry.kind == "holding.begun/1");
            let begun =
                begun.filter_map(|entry| Some((entry.timestamp, entry.body.get("intent")?.as_str()?.to_owned())));
            self.0.insert(component.to_owned(), begun.collect());
        }
        let begun = self.0.get(component).map(Vec::as_slice).unwrap_or_default();
        let then = begun.iter().rev().find(|(since, _)| *since <= at).or(begun.first());
        Ok(then.map(|(_, intent)| intent.as_str()))
    }
}
