//! What a value is before there is one: its sort, and how large it can be.

use crate::schema::Type;

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sort {
    Bool,
    Int,
    UInt,
    Double,
    Text,
    Bytes,
    Null,
    List(Box<Value>),
    Map(Box<Value>),
    /// Already complained about, or the item of an empty list: fits everything.
    Unknown,
}

/// What a value is and how large it can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) sort: Sort,
    /// The most bytes of a text, items of a list, or entries of a map.
    pub(crate) len: u64,
}

/// A key of a map has at most so many bytes.
pub(crate) const KEY: u64 = 256;

/// Beyond any budget, and small enough that sums of it do not overflow.
pub(crate) const HUGE: u64 = 1 << 40;

impl Value {
    pub(crate) fn of(sort: Sort) -> Self {
        Self { sort, len: 0 }
    }

    pub(crate) fn sized(sort: Sort, len: u64) -> Self {
        Self { sort, len }
    }

    pub(crate) fn declared(ty: &Type) -> Self {
        match ty {
            Type::Bool => Self::of(Sort::Bool),
            Type::Int => Self::of(Sort::Int),
            Type::Number => Self::of(Sort::Double),
            Type::Text { max } => Self::sized(Sort::Text, *max),
            Type::List { of, max } => Self::sized(Sort::List(Box::new(Self::declared(of))), *max),
            Type::Map { of, max } => Self::sized(Sort::Map(Box::new(Self::declared(of))), *max),
        }
    }

    /// What copying or comparing it costs.
    pub(crate) fn weight(&self) -> u64 {
        let weight = match &self.sort {
            Sort::Text | Sort::Bytes => self.len / 64,
            Sort::List(item) => self.len.saturating_mul(item.weight()),
            Sort::Map(item) => self.len.saturating_mul(item.weight() + 1 + KEY / 64),
            Sort::Bool | Sort::Int | Sort::UInt | Sort::Double | Sort::Null | Sort::Unknown => 0,
        };
        weight.min(HUGE) + 1
    }

    pub(crate) fn number(&self) -> bool {
        matches!(self.sort, Sort::Int | Sort::UInt | Sort::Double | Sort::Unknown)
    }

    pub(crate) fn is(&self, sort: &Sort) -> bool {
        self.sort == *sort || self.sort == Sort::Unknown
    }

    /// Whether two values can be equal at all.
    pub(crate) fn comparable(&self, other: &Value) -> bool {
        match (&self.sort, &other.sort) {
            (Sort::Unknown, _) | (_, Sort::Unknown) => true,
            (Sort::List(a), Sort::List(b)) | (Sort::Map(a), Sort::Map(b)) => a.comparable(b),
            (a, b) => a == b || (self.number() && other.number()),
        }
    }

    /// The value that is one or the other.
    pub(crate) fn either(self, other: Value) -> Option<Value> {
        let len = self.len.max(other.len);
        let sort = match (self.sort, other.sort) {
            (Sort::Unknown, sort) | (sort, Sort::Unknown) => sort,
            (Sort::List(a), Sort::List(b)) => Sort::List(Box::new(a.either(*b)?)),
            (Sort::Map(a), Sort::Map(b)) => Sort::Map(Box::new(a.either(*b)?)),
            (a, b) if a == b => a,
            _ => return None,
        };
        Some(Value { sort, len })
    }

    pub(crate) fn name(&self) -> String {
        match &self.sort {
            Sort::Bool => "true or false".to_owned(),
            Sort::Int | Sort::UInt => "a whole number".to_owned(),
            Sort::Double => "a number".to_owned(),
            Sort::Text => "a text".to_owned(),
            Sort::Bytes => "bytes".to_owned(),
            Sort::Null => "null".to_owned(),
            Sort::List(_) => "a list".to_owned(),
            Sort::Map(_) => "a map".to_owned(),
            Sort::Unknown => "a value".to_owned(),
        }
    }
}
