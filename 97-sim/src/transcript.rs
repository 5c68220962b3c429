//! The journal as sentences: times from the beginning, ids by sort and number, so that a transcript stays the same as long
//! as what happens does.

use std::collections::BTreeMap;
use writ_core::{Entry, Ledger, LedgerError, Timestamp};
use writ_pipeline::sentence;

/// Entries that come with time alone.
const LEFT_OUT: [&str; 1] = ["telemetry.window/1"];

/// How long a printed timestamp is.
const TIMESTAMP_LENGTH: usize = 27;

/// Digits of chance that make a word an id.
const CHANCE: std::ops::RangeInclusive<usize> = 20..=64;

/// What was told so far.
#[derive(Debug, Default)]
pub struct Transcript {
    text: String,
    told: u64,
    began: Option<Timestamp>,
    names: BTreeMap<String, String>,
    counts: BTreeMap<String, u32>,
}

impl Transcript {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was told.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A line as it stands.
    pub fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// Words, with ids and times made plain.
    pub fn say(&mut self, words: &str) {
        for line in words.lines() {
            let plain = self.plain(line);
            self.line(&format!("  {plain}"));
        }
    }

    /// Entries that were recorded since, of which `told` are let pass in silence.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn entries(&mut self, ledger: &dyn Ledger, silently: bool) -> Result<(), LedgerError> {
        for stored in ledger.entries(self.told, usize::MAX).await? {
            let entry = writ_pipeline::decode(&stored)?;
            self.told = entry.seq + 1;
            let began = *self.began.get_or_insert(entry.timestamp);
            if silently || LEFT_OUT.contains(&entry.kind.as_str()) {
                continue;
            }
            let line = self.entry(&entry, began);
            self.line(&line);
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, began: Timestamp) -> String {
        let mut line = format!("  {:>9} ", offset(began, entry.timestamp));
        let told = self.plain(&sentence(entry));
        line.push_str(&told);
        line
    }

    /// A text with times as what has passed since the beginning, and minted ids and digests as sort and number.
    fn plain(&mut self, text: &str) -> String {
        let mut plain = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some((at, began)) = timestamp(rest).zip(self.began) {
                plain.push_str(&offset(began, at));
                rest = &rest[TIMESTAMP_LENGTH..];
                continue;
            }
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()).max(first.len_utf8());
            let (word, after) = rest.split_at(end);
            plain.push_str(&self.named(word));
            rest = after;
        }
        plain
    }

    /// `run_01kd…` becomes `run-1`; other words stay.
    fn named(&mut self, word: &str) -> String {
        let (before, last) = word.rsplit_once('_').unwrap_or(("", word));
        let is_chance = CHANCE.contains(&last.len())
            && last.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && last.bytes().any(|byte| byte.is_ascii_digit());
        if !is_chance {
            return word.to_owned();
        }
        let sort = if before.is_empty() { "digest" } else { before };
        if let Some(known) = self.names.get(word) {
            return known.clone();
        }
        let count = self.counts.entry(sort.to_owned()).or_default();
        *count += 1;
        let name = format!("{sort}-{count}");
        self.names.insert(word.to_owned(), name.clone());
        name
    }
}

fn timestamp(text: &str) -> Option<Timestamp> {
    text.get(..TIMESTAMP_LENGTH)?.parse().ok()
}

fn offset(began: Timestamp, at: Timestamp) -> String {
    let millis = at.since(began).as_millis();
    format!("+{}.{:03}s", millis / 1_000, millis % 1_000)
}
