//! Which fact a chain of members names.

#![expect(clippy::wildcard_enum_match_arm, reason = "a pattern asks for one shape, and every other shape is a no")]

use crate::ast::{Kind, Literal, Node};
use crate::schema::{Fact, Schema, Shape, Type};

/// What a chain of members leads to in the schema.
pub(crate) enum Target<'s> {
    /// A value.
    Value(&'s Type),
    /// A group of further names.
    Group(&'s Schema),
    /// The value under a key of a map that is a fact.
    Entry {
        /// The map's path.
        map: String,
        /// The key.
        key: String,
        /// What the values are.
        of: &'s Type,
    },
}

/// A chain of members that starts at a fact.
pub(crate) struct Path<'s> {
    /// Dotted, as it stands in the source.
    pub(crate) text: String,
    /// What it leads to.
    pub(crate) target: Target<'s>,
    /// The prefixes of the path (itself included) that may be missing.
    pub(crate) optional: Vec<String>,
}

/// A name that the schema does not have.
pub(crate) struct Unknown<'s> {
    /// The group it was looked for in, dotted; empty at the top.
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) schema: &'s Schema,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The names and literal keys of a chain: root first, each with its end in the source.
fn parts(node: &Node) -> Option<Vec<(&str, &Node)>> {
    let (operand, name) = match &node.kind {
        Kind::Name(name) => return Some(vec![(name.as_str(), node)]),
        Kind::Select { operand, field, optional: false } => (operand, field.as_str()),
        Kind::Index { operand, index, optional: false } => match &index.kind {
            Kind::Literal(Literal::Text(key)) => (operand, key.as_str()),
            _ => return None,
        },
        _ => return None,
    };
    let mut parts = parts(operand)?;
    parts.push((name, node));
    Some(parts)
}

/// The root of a chain of members.
pub(crate) fn root(node: &Node) -> Option<&str> {
    let mut node = node;
    loop {
        match &node.kind {
            Kind::Name(name) => return Some(name),
            Kind::Select { operand, .. } | Kind::Index { operand, .. } => node = operand,
            _ => return None,
        }
    }
}

/// The fact that a chain names. None when it is no plain chain, or goes on behind a value that is no map.
pub(crate) fn resolve<'s>(node: &Node, schema: &'s Schema) -> Option<Result<Path<'s>, Unknown<'s>>> {
    let parts = parts(node)?;
    let mut path = Path { text: String::new(), target: Target::Group(schema), optional: Vec::new() };
    for (name, at) in parts {
        let group = match path.target {
            Target::Group(group) => group,
            Target::Value(Type::Map { of, .. }) => {
                let map = path.text.clone();
                path.text = format!("{map}.{name}");
                path.optional.push(path.text.clone());
                path.target = Target::Entry { map, key: name.to_owned(), of };
                continue;
            }
            Target::Value(_) | Target::Entry { .. } => return None,
        };
        let Some(Fact { shape, optional, .. }) = group.get(name) else {
            let start = at.end.saturating_sub(name.len()).max(at.start);
            return Some(Err(Unknown { group: path.text, name: name.to_owned(), schema: group, start, end: at.end }));
        };
        path.text = if path.text.is_empty() { name.to_owned() } else { format!("{}.{name}", path.text) };
        if *optional {
            path.optional.push(path.text.clone());
        }
        path.target = match shape {
            Shape::Value(ty) => Target::Value(ty),
            Shape::Group(group) => Target::Group(group),
        };
    }
    Some(Ok(path))
}
