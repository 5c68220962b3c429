//! Why a document is not a schema that writ will use.

/// Why a document was refused as a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The document breaks the rules of its JSON Schema draft.
    #[error("the schema is not valid at `{pointer}`: {message}")]
    Invalid {
        /// Where in the schema, as a JSON pointer; empty is the whole.
        pointer: String,
        /// What is wrong there.
        message: String,
    },
    /// The document is larger than writ reads.
    #[error("the schema has {what} beyond the limit of {limit} at `{pointer}`")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
        /// Where the limit was passed.
        pointer: String,
    },
    /// `$schema` names a draft that writ does not know.
    #[error("`$schema` is `{found}`, which is not a known draft; leave it out for 2020-12")]
    Draft {
        /// What it names.
        found: String,
    },
    /// A keyword that would make the meaning depend on where the schema is used.
    #[error("`{keyword}` at `{pointer}` is not supported: {instead}")]
    Unsupported {
        /// The keyword.
        keyword: String,
        /// Where it stands.
        pointer: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// A reference leads nowhere, or out of the document.
    #[error(
        "`$ref` `{reference}` at `{pointer}` does not name a place in this document; only `#/…` and `#anchor` are followed"
    )]
    Reference {
        /// The reference.
        reference: String,
        /// Where it stands.
        pointer: String,
    },
    /// Following references leads back to the same place without looking at any part of the value.
    #[error("the reference at `{pointer}` leads back to itself without consuming any of the value")]
    Endless {
        /// A schema on the cycle.
        pointer: String,
    },
    /// A regular expression is malformed, too large, or needs backtracking.
    #[error("the pattern `{pattern}` at `{pointer}` cannot be used: {why}")]
    Pattern {
        /// The pattern, cut to 80 characters.
        pattern: String,
        /// Where it stands.
        pointer: String,
        /// What is wrong with it.
        why: &'static str,
    },
}
