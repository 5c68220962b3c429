//! What a document may cost.

/// Bounds on one document. What goes beyond one is refused with its place, never cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes a file may have.
    pub bytes: usize,
    /// The deepest nesting of lists and maps, aliases expanded.
    pub depth: usize,
    /// The most values in all, aliases expanded.
    pub nodes: usize,
    /// The most bytes of text in all, aliases expanded.
    pub text: usize,
    /// The most values that aliases may add by repeating what they name.
    pub repeated: usize,
}

impl Default for Limits {
    /// Room for every manifest and policy file that a person writes: 1 MiB, 64 levels, 100,000 values, 4 MiB of text, 20,000
    /// values repeated by aliases.
    fn default() -> Self {
        Self { bytes: 1 << 20, depth: 64, nodes: 100_000, text: 4 << 20, repeated: 20_000 }
    }
}
