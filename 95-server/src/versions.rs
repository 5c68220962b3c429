//! Versions of an intent: their texts, what became of each, and how two of them differ.

use crate::api::Shared;
use crate::console::words::{list, number, text};
use crate::status;
use serde_json::Value;
use similar::TextDiff;
use std::collections::BTreeMap;
use writ_core::{Entry, Filter, LedgerError, Outcome, TraceId};
use writ_pipeline::{Journal, decode, manifest_in};

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

/// How a version stands, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stand {
    /// A word of the lifecycle, or of the end of the run that was to carry it out.
    pub(crate) state: String,
    pub(crate) because: String,
    /// The trace of that run, where it ended without bringing the version into force.
    pub(crate) ended: Option<TraceId>,
}

impl Stand {
    fn new(state: &str, because: impl Into<String>) -> Self {
        Self { state: state.to_owned(), because: because.into(), ended: None }
    }
}

/// What became of each version of an intent, as its entries tell it. A move is recorded under the newest number, for numbers only
/// rise; what is taken away, and what stays as it was, is the version in force.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    stands: BTreeMap<u64, Stand>,
    /// The version in force; 0 while none is.
    pub(crate) in_force: u64,
    /// The version that is or was in force last; 0 where none ever was.
    pub(crate) last: u64,
    /// Whether what happens is about taking everything away.
    leaving: bool,
}

impl Fates {
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let mut fates = Self::default();
        entries.iter().filter(|entry| entry.kind == "intent.moved/1").for_each(|entry| fates.take(entry));
        fates
    }

    /// How a version stands, while nothing but the entries is asked. One that policy refused never moved.
    fn stand(&self, version: u64) -> Stand {
        self.stands.get(&version).cloned().unwrap_or_else(|| Stand::new("refused", ""))
    }

    fn take(&mut self, entry: &Entry) {
        let (version, body) = (number(&entry.body, "/version"), &entry.body);
        let (from, to, because) = (text(body, "/from"), text(body, "/to"), text(body, "/because"));
        match (from, to) {
            (_, "") => {}
            (_, "decommissioning" | "archived") => {
                self.leaving = true;
                self.put(self.or_in_force(version), Stand::new(to, because));
            }
            (_, "validating") => {
                self.leaving = false;
                self.put(version, Stand::new(to, because));
            }
            _ if self.leaving => self.put(self.or_in_force(version), Stand::new(to, because)),
            ("executing", "degraded" | "failed") => self.given_up(version, to, entry),
            // The other version was given up, and this one stays as it was.
            ("degraded", "monitoring") if self.or_in_force(version) != version => {
                if let Some(given_up) = self.stands.get_mut(&version) {
                    given_up.because = format!("{}; {because}", given_up.because);
                }
                self.put(self.in_force, Stand::new(to, "it stays in force"));
            }
            _ => self.put(version, Stand::new(to, because)),
        }
        if to == "archived" {
            self.in_force = 0;
        } else if to == "active" {
            self.comes(version);
        }
        if let Some(applied) = body.get("applied_version") {
            self.comes(applied.as_u64().unwrap_or_default());
        }
    }

    fn put(&mut self, version: u64, stand: Stand) {
        self.stands.insert(version, stand);
    }

    fn or_in_force(&self, version: u64) -> u64 {
        if self.in_force > 0 { self.in_force } else { version }
    }

    /// The run that was to carry a version out has ended otherwise. What was in force before is what the intent is from then on.
    fn given_up(&mut self, version: u64, to: &str, entry: &Entry) {
        let because = text(&entry.body, "/because");
        let end = because.strip_prefix("the run is ").map(|rest| rest.split(';').next().unwrap_or_default());
        let end = end.filter(|end| status::states("runs").contains(end)).unwrap_or(to);
        self.put(version, Stand { ended: Some(entry.trace_id.clone()), ..Stand::new(end, because) });
        if self.or_in_force(version) != version {
            let because = because.replacen("the run is", &format!("the run of version {version} is"), 1);
            let because = because.replace("the version before stays", "this one stays");
            self.put(self.in_force, Stand::new(to, because));
        }
    }

    /// A version comes into force, or none is any more.
    fn comes(&mut self, version: u64) {
        if version != self.in_force && version != 0 && self.in_force != 0 {
            self.put(self.in_force, Stand::new("superseded", format!("version {version} took its place")));
        }
        self.in_force = version;
        self.last = if version == 0 { self.last } else { version };
    }
}

/// How a version stands: the newest as its intent does while it is not carried out yet.
pub(crate) fn stands(shared: &Shared, id: &str, doc: &Value, fates: &Fates, version: u64) -> Stand {
    let stand = fates.stand(version);
    if stand.state == "ready" && version == number(doc, "/version") {
        return Stand { state: status::intent(shared, id, doc), ..stand };
    }
    stand
}

/// Why a version stands as it does. What a run did not even begin for, its own entry says; one that policy refused never moved:
/// what denied it is in the same trace.
pub(crate) async fn because(
    journal: &Journal,
    entries: &[Entry],
    of: &Entry,
    stand: &Stand,
) -> Result<String, LedgerError> {
    if let Some(trace) = &stand.ended {
        let kind = Some("run.expired/1".to_owned());
        let filter = Filter { trace: Some(trace.clone()), kind, newest_first: true, ..Filter::default() };
        let expired = journal.ledger().query(&filter, 1).await?.first().map(decode).transpose()?;
        if let Some(entry) = expired {
            return Ok(stand.because.replacen("the run is expired", text(&entry.body, "/because"), 1));
        }
    }
    if !stand.because.is_empty() {
        return Ok(stand.because.clone());
    }
    if entries.iter().any(|entry| entry.trace_id == of.trace_id && entry.outcome == Outcome::Failure) {
        return Ok("nothing holds everything that it asks".to_owned());
    }
    let kind = Some("policy.decided/1".to_owned());
    let denied = Filter { trace: Some(of.trace_id.clone()), kind, outcome: Some(Outcome::Denied), ..Filter::default() };
    let decided = journal.ledger().query(&denied, 1).await?.first().map(decode).transpose()?;
    let denies = |finding: &&Value| text(finding, "/asks/decision") == "deny";
    let finding = decided.as_ref().and_then(|decided| list(&decided.body, "/findings").iter().find(denies));
    Ok(finding.map(|found| format!("{}: {}", text(found, "/rule"), text(found, "/message"))).unwrap_or_default())
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
