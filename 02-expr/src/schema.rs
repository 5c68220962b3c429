//! What an expression may read: names, types and bounds. The bounds are what makes the worst case countable, and they are
//! enforced on facts before anything is evaluated.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

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
pub struct Schema {
    facts: BTreeMap<String, Fact>,
    /// Numbered when they are first asked for.
    slots: OnceLock<Slots>,
}

/// The numbers under which facts are bound, so that reading one costs no look-up by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Slots {
    /// One for each fact of the level, in the order of [`Schema::facts`].
    pub(crate) tree: Vec<Slot>,
    /// The paths by number; a `?` before those that say whether the fact is there.
    pub(crate) names: Vec<String>,
    by_name: HashMap<String, usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Slot {
    /// Where the value is bound; for a group, nowhere.
    pub(crate) value: Option<usize>,
    /// Where it is bound whether the fact is there, if it may be missing.
    pub(crate) present: Option<usize>,
    pub(crate) below: Vec<Slot>,
}

impl Slots {
    fn number(&mut self, schema: &Schema, prefix: &str) -> Vec<Slot> {
        let mut level = Vec::new();
        for (name, fact) in &schema.facts {
            let path = format!("{prefix}{name}");
            let present = fact.optional.then(|| self.add(format!("?{path}")));
            level.push(match &fact.shape {
                Shape::Value(_) => Slot { value: Some(self.add(path)), present, below: Vec::new() },
                Shape::Group(group) => Slot { value: None, present, below: self.number(group, &format!("{path}.")) },
            });
        }
        level
    }

    fn add(&mut self, name: String) -> usize {
        self.by_name.insert(name.clone(), self.names.len());
        self.names.push(name);
        self.names.len() - 1
    }

    /// The number of a path, or of a path behind a `?`.
    pub(crate) fn of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

impl Schema {
    /// No names yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: &str, shape: Shape, optional: bool, about: &'static str) -> Self {
        self.facts.insert(name.to_owned(), Fact { shape, optional, about });
        self.slots = OnceLock::new();
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
        self.facts.get(name)
    }

    /// All names of this level, sorted.
    pub fn facts(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.facts.iter().map(|(name, fact)| (name.as_str(), fact))
    }

    pub(crate) fn slots(&self) -> &Slots {
        self.slots.get_or_init(|| {
            let mut slots = Slots::default();
            slots.tree = slots.number(self, "");
            slots
        })
    }

    /// Every value with its dotted path, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<(String, &Fact)> {
        let mut all = Vec::new();
        for (name, fact) in &self.facts {
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
