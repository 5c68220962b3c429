//! What is wrong with an expression, and where in its source.

/// One thing that is wrong, found before evaluation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExprProblem {
    /// The byte in the source where it begins.
    pub offset: usize,
    /// How many bytes it is about.
    pub length: usize,
    /// What is wrong: lower case, present tense, names in backticks, no full stop.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl ExprProblem {
    pub(crate) fn new(start: usize, end: usize, message: impl Into<String>) -> Self {
        Self { offset: start, length: end.saturating_sub(start).max(1), message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Line and column of the problem, both from 0, columns in characters: what to add to the place where `source` begins.
    #[must_use]
    pub fn line_column(&self, source: &str) -> (u32, u32) {
        let before = source.get(..self.offset).unwrap_or(source);
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count());
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

impl std::fmt::Display for ExprProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
