//! Keywords as the prover and the limits see them.

use super::Id;
use crate::compat::rational::Rational;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A JSON type as instances have it; `integer` is a number that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Type {
    Null,
    Boolean,
    String,
    Number,
    Object,
    Array,
}

impl Type {
    pub(crate) const ALL: [Type; 6] =
        [Type::Null, Type::Boolean, Type::String, Type::Number, Type::Object, Type::Array];

    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Type::Null,
            Value::Bool(_) => Type::Boolean,
            Value::String(_) => Type::String,
            Value::Number(_) => Type::Number,
            Value::Object(_) => Type::Object,
            Value::Array(_) => Type::Array,
        }
    }
}

/// What `type` allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Types {
    pub(crate) integer: bool,
    pub(crate) named: Vec<Type>,
}

/// A limit of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) at: Rational,
    /// The limit itself is outside.
    pub(crate) open: bool,
}

/// `prefixItems` and `items`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Items {
    pub(crate) prefix: Vec<Id>,
    pub(crate) rest: Option<Id>,
}

impl Items {
    /// The schema of the item at a place.
    pub(crate) fn at(&self, place: usize) -> Option<Id> {
        self.prefix.get(place).copied().or(self.rest)
    }
}

/// `properties`, `patternProperties` and `additionalProperties`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) named: BTreeMap<Arc<str>, Id>,
    pub(crate) patterns: Vec<(Arc<str>, Id)>,
    pub(crate) rest: Option<Id>,
}

impl Properties {
    /// The schemas for a property that has this name and matches these patterns.
    pub(crate) fn at(&self, name: Option<&str>, matches: impl Fn(&str) -> bool) -> Vec<Id> {
        let own = name.and_then(|name| self.named.get(name)).copied();
        let by_pattern = self.patterns.iter().filter(|(pattern, _)| matches(pattern)).map(|(_, id)| *id);
        let mut found: Vec<Id> = own.into_iter().chain(by_pattern).collect();
        if found.is_empty() {
            found.extend(self.rest);
        }
        found
    }
}

/// One assertion of a schema.
#[derive(Debug, Clone)]
pub(crate) enum Keyword {
    Types(Types),
    OneOfValues(Arc<Vec<Value>>),
    Low(Bound),
    High(Bound),
    MultipleOf(Rational),
    LengthMin(u64),
    LengthMax(u64),
    Pattern(Arc<str>),
    Items(Arc<Items>),
    ItemsMin(u64),
    ItemsMax(u64),
    Unique,
    Contains {
        item: Id,
        min: u64,
        max: Option<u64>,
    },
    Properties(Arc<Properties>),
    Required(Vec<Arc<str>>),
    PropertiesMin(u64),
    PropertiesMax(u64),
    Names(Id),
    DependentRequired {
        on: Arc<str>,
        needs: Vec<Arc<str>>,
    },
    DependentSchema {
        on: Arc<str>,
        then: Id,
    },
    All(Vec<Id>),
    Any(Vec<Id>),
    One(Vec<Id>),
    Not(Id),
    If {
        cond: Id,
        then: Option<Id>,
        otherwise: Option<Id>,
    },
    Ref(Id),
    /// An assertion that is not followed; equal texts assert the same. `repeats` means that its check visits the other
    /// keywords' schemas again.
    Opaque {
        text: Arc<str>,
        inside: Vec<Id>,
        repeats: bool,
    },
}

impl Keyword {
    /// Schemas that apply to the same value.
    pub(crate) fn in_place(&self) -> Vec<Id> {
        match self {
            Keyword::All(ids) | Keyword::Any(ids) | Keyword::One(ids) => ids.clone(),
            Keyword::Not(id) | Keyword::Ref(id) | Keyword::DependentSchema { then: id, .. } => vec![*id],
            Keyword::If { cond, then, otherwise } => std::iter::once(*cond).chain(*then).chain(*otherwise).collect(),
            Keyword::Types(_)
            | Keyword::OneOfValues(_)
            | Keyword::Low(_)
            | Keyword::High(_)
            | Keyword::MultipleOf(_)
            | Keyword::LengthMin(_)
            | Keyword::LengthMax(_)
            | Keyword::Pattern(_)
            | Keyword::Items(_)
            | Keyword::ItemsMin(_)
            | Keyword::ItemsMax(_)
            | Keyword::Unique
            | Keyword::Contains { .. }
            | Keyword::Properties(_)
            | Keyword::Required(_)
            | Keyword::PropertiesMin(_)
            | Keyword::PropertiesMax(_)
            | Keyword::Names(_)
            | Keyword::DependentRequired { .. }
            | Keyword::Opaque { .. } => Vec::new(),
        }
    }

    /// Schemas that apply to parts of the value.
    pub(crate) fn below(&self) -> Vec<Id> {
        match self {
            Keyword::Items(items) => items.prefix.iter().copied().chain(items.rest).collect(),
            Keyword::Contains { item, .. } => vec![*item],
            Keyword::Properties(shape) => {
                let patterns = shape.patterns.iter().map(|(_, id)| *id);
                shape.named.values().copied().chain(patterns).chain(shape.rest).collect()
            }
            Keyword::Names(id) => vec![*id],
            Keyword::Opaque { inside, .. } => inside.clone(),
            Keyword::Types(_)
            | Keyword::OneOfValues(_)
            | Keyword::Low(_)
            | Keyword::High(_)
            | Keyword::MultipleOf(_)
            | Keyword::LengthMin(_)
            | Keyword::LengthMax(_)
            | Keyword::Pattern(_)
            | Keyword::ItemsMin(_)
            | Keyword::ItemsMax(_)
            | Keyword::Unique
            | Keyword::Required(_)
            | Keyword::PropertiesMin(_)
            | Keyword::PropertiesMax(_)
            | Keyword::DependentRequired { .. }
            | Keyword::DependentSchema { .. }
            | Keyword::All(_)
            | Keyword::Any(_)
            | Keyword::One(_)
            | Keyword::Not(_)
            | Keyword::If { .. }
            | Keyword::Ref(_) => Vec::new(),
        }
    }
}
