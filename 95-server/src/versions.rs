//! Versions of an intent: their texts, what became of each, and how two of them differ.

use crate::api::Shared;
use crate::console::words::{number, text};
use crate::status;
use serde_json::Value;
use similar::TextDiff;
use writ_core::{Entry, LedgerError};
use writ_pipeline::{Journal, manifest_in};

/// The text of a version; none where it is no version.
pub(crate) async fn manifest(
    journal: &Journal,
    entries: &[Entry],
    version: u64,
) -> Result<Option<String>, LedgerError> {
    let bytes = manifest_in(journal, entries, version).await?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The text of the version in force; of the newest while none is.
pub(crate) async fn current(journal: &Journal, entries: &[Entry], in_force: u64) -> Result<String, LedgerError> {
    if let Some(text) = manifest(journal, entries, in_force).await? {
        return Ok(text);
    }
    Ok(manifest(journal, entries, newest(entries)).await?.unwrap_or_default())
}

/// The newest version that was submitted; 0 where none was.
pub(crate) fn newest(entries: &[Entry]) -> u64 {
    let submitted = entries.iter().filter(|entry| entry.kind == "intent.submitted/1");
    submitted.map(|entry| number(&entry.body, "/version")).max().unwrap_or_default()
}

/// The version in force and another one, each under its name; none where none is in force, or they are the same.
pub(crate) async fn against_force(
    journal: &Journal,
    id: &str,
    version: u64,
) -> Result<Option<[(String, String); 2]>, LedgerError> {
    let doc = journal.doc("intents", id).await?.unwrap_or_default();
    let entries = journal.stream(&format!("intent/{id}")).await?;
    let applied = number(&doc, "/applied_version");
    let (old, new) = (manifest(journal, &entries, applied).await?, manifest(journal, &entries, version).await?);
    let name = |version: u64| format!("{id} v{version}");
    Ok(old.zip(new).filter(|(old, new)| old != new).map(|(old, new)| [(name(applied), old), (name(version), new)]))
}

/// How a version stands: the newest as its intent does while it is not carried out yet.
pub(crate) fn stands(shared: &Shared, id: &str, doc: &Value, entries: &[Entry], version: u64) -> String {
    let state = became(entries, version, number(doc, "/applied_version"));
    if state == "ready" && version == number(doc, "/version") {
        return status::intent(shared, id, doc);
    }
    state
}

/// What became of a version, as the intent's entries tell it.
fn became(entries: &[Entry], version: u64, in_force: u64) -> String {
    let moves =
        entries.iter().filter(|entry| entry.kind == "intent.moved/1" && number(&entry.body, "/version") == version);
    let mut state = "refused".to_owned();
    for entry in moves {
        let because = text(&entry.body, "/because");
        match text(&entry.body, "/to") {
            "active" => state = "active".to_owned(),
            "degraded" | "failed" if text(&entry.body, "/from") == "executing" => {
                return because.trim_start_matches("the run is ").to_owned();
            }
            other if state != "active" || version == in_force => state = other.to_owned(),
            _ => {}
        }
    }
    if state == "active" && version != in_force { "superseded".to_owned() } else { state }
}

/// Why a version stands as it does: what its last move says.
pub(crate) fn because(entries: &[Entry], version: u64) -> &str {
    let mut moves = entries.iter().rev().filter(|entry| number(&entry.body, "/version") == version);
    moves.find(|entry| entry.kind == "intent.moved/1").map(|entry| text(&entry.body, "/because")).unwrap_or_default()
}

/// Two texts as `diff -u` shows them; empty where they are the same.
pub(crate) fn unified(old: (&str, &str), new: (&str, &str)) -> String {
    TextDiff::from_lines(old.1, new.1).unified_diff().context_radius(3).header(old.0, new.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_differ_as_people_know_it_and_the_same_do_not() {
        let told = unified(("v1", "a\nb\nc\n"), ("v2", "a\nB\nc\nd\n"));
        assert_eq!(told, "--- v1\n+++ v2\n@@ -1,3 +1,4 @@\n a\n-b\n+B\n c\n+d\n");
        assert_eq!(unified(("v1", "a\n"), ("v2", "a\n")), "");
    }
}
