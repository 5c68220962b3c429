//! Reading a map field by field.

use crate::{Node, Problem, Problems, Value, listed, nearest, node};
use std::ops::RangeInclusive;

/// The fields of one map. Records which keys were asked for; [`Fields::done`] reports the others.
#[derive(Debug)]
pub struct Fields<'a> {
    node: &'a Node,
    what: &'a str,
    problems: &'a Problems,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(node: &'a Node, what: &'a str, problems: &'a Problems) -> Option<Self> {
        if !matches!(node.value, Value::Map(_)) {
            problems.say(&node.at, format!("{what} must be a map, found {}", node.sort()));
            return None;
        }
        Some(Self { node, what, problems, asked: Vec::new() })
    }

    /// The map itself.
    #[must_use]
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Where problems go.
    #[must_use]
    pub fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// The value of a key that may be missing; nothing written behind the colon counts as missing.
    pub fn maybe(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        self.node.get(key).filter(|value| !value.is_null())
    }

    /// The value of a key that must be there.
    pub fn need(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        match self.node.entry(key) {
            Some(entry) if entry.value.is_null() => {
                self.problems.say(&entry.key_at, format!("`{key}` has no value"));
                None
            }
            Some(entry) => Some(&entry.value),
            None => {
                self.problems.say(&self.node.at, format!("{} has no `{key}`", self.what));
                None
            }
        }
    }

    /// A text that must be there.
    pub fn text(&mut self, key: &'static str) -> Option<&'a str> {
        self.need(key)?.text(self.problems)
    }

    /// A text that may be missing.
    pub fn maybe_text(&mut self, key: &'static str) -> Option<&'a str> {
        self.maybe(key)?.text(self.problems)
    }

    /// A whole number within a range that must be there.
    pub fn int(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let node = self.need(key)?;
        self.within(key, node, &range)
    }

    /// A whole number within a range that may be missing.
    pub fn maybe_int(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let node = self.maybe(key)?;
        self.within(key, node, &range)
    }

    fn within(&self, key: &str, node: &Node, range: &RangeInclusive<i64>) -> Option<i64> {
        let number = node.int(self.problems)?;
        if range.contains(&number) {
            return Some(number);
        }
        let message = format!("`{key}` is {number}, and must be from {} to {}", range.start(), range.end());
        self.problems.say(&node.at, message);
        None
    }

    /// A number that may be missing.
    pub fn maybe_float(&mut self, key: &'static str) -> Option<f64> {
        self.maybe(key)?.float(self.problems)
    }

    /// True or false that may be missing.
    pub fn maybe_bool(&mut self, key: &'static str) -> Option<bool> {
        self.maybe(key)?.bool(self.problems)
    }

    /// A list that must be there.
    pub fn items(&mut self, key: &'static str) -> Option<&'a [Node]> {
        self.need(key)?.items(self.problems)
    }

    /// A list that may be missing; then it is empty.
    pub fn maybe_items(&mut self, key: &'static str) -> &'a [Node] {
        self.maybe(key).and_then(|node| node.items(self.problems)).unwrap_or_default()
    }

    /// A list of texts that may be missing.
    pub fn maybe_texts(&mut self, key: &'static str) -> Option<Vec<&'a str>> {
        self.maybe(key)?.texts(self.problems)
    }

    /// One of a closed set of words that must be there.
    pub fn choice<T: Clone>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let node = self.need(key)?;
        self.chosen(key, node, words)
    }

    /// One of a closed set of words that may be missing.
    pub fn maybe_choice<T: Clone>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let node = self.maybe(key)?;
        self.chosen(key, node, words)
    }

    fn chosen<T: Clone>(&self, key: &str, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let word = node.text(self.problems)?;
        if let Some((_, choice)) = words.iter().find(|(known, _)| *known == word) {
            return Some(choice.clone());
        }
        let message = format!("`{key}` cannot be `{}`", node::cut(word));
        let hint = match nearest(word, words.iter().map(|(known, _)| *known)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("use {}", listed(words.iter().map(|(known, _)| known))),
        };
        self.problems.suggest(&node.at, message, hint);
        None
    }

    /// A problem with a key: at the value where there is one, else at the map.
    pub fn say(&self, key: &str, message: impl Into<String>) {
        let at = self.node.get(key).map_or(&self.node.at, |value| &value.at);
        self.problems.say(at, message);
    }

    /// Reports every key that was not asked for.
    pub fn done(self) {
        for entry in self.node.entries() {
            if self.asked.contains(&entry.key.as_str()) {
                continue;
            }
            let problem =
                Problem::new(entry.key_at.place(), format!("{} does not know `{}`", self.what, node::cut(&entry.key)));
            let unused = self.asked.iter().copied().filter(|key| self.node.entry(key).is_none());
            let hint = match nearest(&entry.key, unused) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("it knows {}", listed(&self.asked)),
            };
            self.problems.push(problem.hint(hint).about(&*entry.key_at.pointer));
        }
    }
}
