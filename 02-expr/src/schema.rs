//! What an expression may read: names, types and bounds. The bounds are what makes the worst case countable, and they are
//! enforced on facts before anything is evaluated.

use std::collections::BTreeMap;

/// The type of one fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// True or false.
    Bool,
    /// A whole number, below 2^53.
    Int,
    /// A number that expressions see as a double. Facts hold it as an integer or a decimal text, so that they stay canonical.
    Number,
    /// A text.
    Text {
        /// The most bytes it may have.
        max: u64,
    },
    /// A list.
    List {
        /// What its items are.
        of: Box<Type>,
        /// The most items it may have.
        max: u64,
    },
    /// A map from text to values.
    Map {
        /// What its values are.
        of: Box<Type>,
        /// The most entries it may have. A key has at most 256 bytes.
        max: u64,
    },
}

impl Type {
    /// A text of at most 256 bytes: names, ids, words.
    pub const WORD: Type = Type::Text { max: 256 };

    /// A list of at most so many words.
    #[must_use]
    pub fn words(max: u64) -> Type {
        Type::List { of: Box::new(Type::WORD), max }
    }

    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Type::Bool => "true or false",
            Type::Int => "a whole number",
            Type::Number => "a number",
            Type::Text { .. } => "a text",
            Type::List { .. } => "a list",
            Type::Map { .. } => "a map",
        }
    }
}

/// What stands under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A value.
    Value(Type),
    /// Further names.
    Group(Schema),
}

/// One name that may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What stands there.
    pub shape: Shape,
    /// Whether it may be missing; then an expression must ask `has()` first.
    pub optional: bool,
    /// One line for people.
    pub about: &'static str,
}

/// The names that may be read, as a tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema(BTreeMap<String, Fact>);

impl Schema {
    /// No names yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: &str, shape: Shape, optional: bool, about: &'static str) -> Self {
        self.0.insert(name.to_owned(), Fact { shape, optional, about });
        self
    }

    /// And a value that is always there.
    #[must_use]
    pub fn fact(self, name: &str, ty: Type, about: &'static str) -> Self {
        self.with(name, Shape::Value(ty), false, about)
    }

    /// And a value that may be missing.
    #[must_use]
    pub fn maybe(self, name: &str, ty: Type, about: &'static str) -> Self {
        self.with(name, Shape::Value(ty), true, about)
    }

    /// And a group that is always there.
    #[must_use]
    pub fn group(self, name: &str, group: Schema, about: &'static str) -> Self {
        self.with(name, Shape::Group(group), false, about)
    }

    /// And a group that may be missing as a whole.
    #[must_use]
    pub fn maybe_group(self, name: &str, group: Schema, about: &'static str) -> Self {
        self.with(name, Shape::Group(group), true, about)
    }

    /// What stands under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Fact> {
        self.0.get(name)
    }

    /// All names of this level, sorted.
    pub fn facts(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.0.iter().map(|(name, fact)| (name.as_str(), fact))
    }

    /// Every value with its dotted path, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<(String, &Fact)> {
        let mut all = Vec::new();
        for (name, fact) in &self.0 {
            match &fact.shape {
                Shape::Value(_) => all.push((name.clone(), fact)),
                Shape::Group(group) => {
                    all.extend(group.paths().into_iter().map(|(path, fact)| (format!("{name}.{path}"), fact)));
                }
            }
        }
        all
    }
}
