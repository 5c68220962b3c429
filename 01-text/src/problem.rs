//! What is wrong, where, and what would be right.

use crate::At;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use writ_core::Place;

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// Where.
    pub at: Place,
    /// What is wrong: lower case, present tense, names in backticks, no full stop.
    pub message: String,
    /// What would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Which value it is about, as a JSON pointer into the document, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

impl Problem {
    /// A problem without a hint.
    #[must_use]
    pub fn new(at: Place, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None, pointer: None }
    }

    /// The same problem with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem, about the value that a JSON pointer names.
    #[must_use]
    pub fn about(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// How many problems there are, in words.
#[must_use]
pub fn problems(count: usize) -> String {
    format!("{count} problem{}", if count == 1 { "" } else { "s" })
}

/// Problems as they are found. Shared by reference, so that readers of nested values can all report into one.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    pub fn push(&self, problem: Problem) {
        self.0.borrow_mut().push(problem);
    }

    /// One more, without a hint.
    pub fn say(&self, at: &At, message: impl Into<String>) {
        self.push(Problem::new(at.place(), message).about(&*at.pointer));
    }

    /// One more, with a way out.
    pub fn suggest(&self, at: &At, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Problem::new(at.place(), message).hint(hint).about(&*at.pointer));
    }

    /// Whether none was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// How many were found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// All of them, in the order of the file, each once.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut all = self.0.into_inner();
        all.sort();
        all.dedup();
        all
    }

    /// The value if nothing is wrong and there is one.
    ///
    /// # Errors
    /// All problems, in the order of the file.
    pub fn result<T>(self, value: Option<T>) -> Result<T, Vec<Problem>> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            Some(_) | None => Err(self.into_sorted()),
        }
    }
}
