//! A schema as typed keywords: every subschema is a numbered node, references are edges.
//!
//! The model understands the drafts from 6 to 2020-12 and lifts older spellings to the newest. It is what the limits are
//! checked on and what the compatibility prover reasons over; validation itself is the `jsonschema` crate's. A keyword that
//! asserts something the prover does not follow becomes [`Keyword::Opaque`], never silence.

mod keyword;
mod pattern;
mod read;
mod shape;

pub(crate) use keyword::{Bound, Items, Keyword, Properties, Type, Types};
pub(crate) use pattern::{Patterns, Search};
pub(crate) use shape::{Recursion, weigh};

use crate::SchemaError;
use serde_json::Value;

/// A subschema of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) usize);

/// The dialect of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Draft {
    Four,
    Six,
    Seven,
    D2019,
    D2020,
}

/// What a subschema says.
#[derive(Debug)]
pub(crate) enum Body {
    /// `true`
    Any,
    /// `false`
    Never,
    /// All of these must hold; each with its name.
    All(Vec<(&'static str, Keyword)>),
}

/// One subschema.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) body: Body,
    /// Nodes of one class accept the same values.
    pub(crate) class: usize,
    /// Where it stands in its document, as a JSON pointer.
    pub(crate) pointer: String,
}

/// One or more documents, read into nodes.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) drafts: Vec<Draft>,
    nodes: Vec<Node>,
    pub(crate) patterns: Patterns,
    pub(crate) roots: Vec<Id>,
}

impl Model {
    /// Reads documents that have passed [`crate::limits::check_document`].
    pub(crate) fn of(documents: &[&Value]) -> Result<Self, SchemaError> {
        read::model(documents)
    }

    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.nodes[id.0]
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the document can be walked safely, and whether it refers back to itself.
    pub(crate) fn check_shape(&self) -> Result<Recursion, SchemaError> {
        shape::check(self)
    }
}
