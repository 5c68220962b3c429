//! What an expression may cost, before anything evaluates it.

/// Bounds on one expression. One that is beyond any of them is refused when it is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of source.
    pub source: usize,
    /// The deepest nesting of brackets, conditionals and signs.
    pub nesting: usize,
    /// The longest chain of operators or members, which is also the deepest tree.
    pub chain: usize,
    /// The most items in one list or map that is written out, one call, or one run of `&&` or `||`.
    pub items: usize,
    /// How many comprehensions (`all`, `map`, …) may stand inside each other.
    pub comprehensions: usize,
    /// The most work in the worst case that the declared bounds on facts allow; a unit is about a tenth of a microsecond.
    pub cost: u64,
    /// The longest text, in bytes, that can come about while evaluating.
    pub text: u64,
    /// The longest list that can come about while evaluating.
    pub list: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            source: 16 << 10,
            nesting: 32,
            chain: 256,
            items: 1_000,
            comprehensions: 2,
            cost: 50_000,
            text: 64 << 10,
            list: 10_000,
        }
    }
}
