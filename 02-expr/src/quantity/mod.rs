//! Quantities: `'99.9%'`, `'<100ms'`, `'>1000 req/s'`, `'$500/month'`, `4GiB`, as exact integers.
//!
//! The field fixes the dimension; a text of another dimension is an error that names the right form. Nothing is rounded: a
//! text that the integer inside cannot hold exactly is refused.
//!
//! | type | inside | written |
//! |---|---|---|
//! | [`Ratio`] | parts per billion | `99.9%`, `0.999` |
//! | [`Span`] | nanoseconds | `100ms`, `30s`, `5min`, `24h`, `7d` |
//! | [`Rate`] | thousandths of a request per second | `1000 req/s` |
//! | [`Money`] | millionths of a currency unit, and the currency | `$500`, `EUR 20` |
//! | [`MoneyRate`] | [`Money`] and a period (a month has 730 hours, a year 8760) | `$500/month`, `$0.0416/h` |
//! | [`Bytes`] | bytes | `4GiB`, `512MB` |
//! | [`Cores`] | thousandths of a core | `2`, `500m`, `1.5 cores` |
//! | [`Count`] | a whole number | `3` |
//!
//! [`Bound`] is a quantity behind a comparator, [`Delta`] one behind a sign. Printing is canonical, and reading what was
//! printed gives the same value.

mod amount;
mod bound;
mod money;
mod scalar;

pub use amount::QuantityError;
pub(crate) use amount::decimal;
pub use bound::{Bound, Comparator, Delta};
pub use money::{Currency, Money, MoneyRate, Period};
pub use scalar::{Bytes, Cores, Count, Rate, Ratio, Span};

use writ_text::{Node, Problems, Value};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// A share of a whole.
    Ratio,
    /// A length of time.
    Span,
    /// Requests in a length of time.
    Rate,
    /// An amount of money.
    Money,
    /// An amount of money in a length of time.
    MoneyRate,
    /// An amount of memory.
    Bytes,
    /// Processor cores.
    Cores,
    /// A number of things.
    Count,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Dimension; 8] = [
        Dimension::Ratio,
        Dimension::Span,
        Dimension::Rate,
        Dimension::Money,
        Dimension::MoneyRate,
        Dimension::Bytes,
        Dimension::Cores,
        Dimension::Count,
    ];

    /// How a quantity of it is written.
    #[must_use]
    pub fn form(self) -> &'static str {
        match self {
            Dimension::Ratio => "99.9%",
            Dimension::Span => "100ms",
            Dimension::Rate => "1000 req/s",
            Dimension::Money => "$500",
            Dimension::MoneyRate => "$500/month",
            Dimension::Bytes => "4GiB",
            Dimension::Cores => "2 cores",
            Dimension::Count => "3",
        }
    }
}

impl std::fmt::Display for Dimension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Dimension::Ratio => "a ratio",
            Dimension::Span => "a length of time",
            Dimension::Rate => "a rate of requests",
            Dimension::Money => "an amount of money",
            Dimension::MoneyRate => "an amount of money in a length of time",
            Dimension::Bytes => "an amount of memory",
            Dimension::Cores => "a number of cores",
            Dimension::Count => "a whole number",
        })
    }
}

/// A type of quantity.
pub trait Quantity: Copy + PartialOrd + std::fmt::Display {
    /// What it measures.
    const DIMENSION: Dimension;

    /// Reads one, with or without a sign.
    ///
    /// # Errors
    /// When the text is no quantity of this dimension, or cannot be held exactly.
    fn read_signed(text: &str) -> Result<Self, QuantityError>;

    /// Whether it is below zero.
    fn is_negative(&self) -> bool;

    /// Reads one that is not below zero and has no sign.
    ///
    /// # Errors
    /// When the text is no quantity of this dimension, has a sign or a comparator, or cannot be held exactly.
    fn read(text: &str) -> Result<Self, QuantityError> {
        if text.trim_start().starts_with(['+', '-', '−']) {
            return Err(QuantityError::Signed { text: text.to_owned(), dimension: Self::DIMENSION });
        }
        Self::read_signed(text)
    }
}

/// The quantity that a value of a document is; a problem with its place when it is none.
pub fn quantity<Q: Quantity>(node: &Node, problems: &Problems) -> Option<Q> {
    told(node, Q::read(&written(node)?), problems)
}

/// The bound that a value of a document is; `default` is the comparator when none is written.
pub fn bound<Q: Quantity>(node: &Node, default: Comparator, problems: &Problems) -> Option<Bound<Q>> {
    told(node, Bound::read(&written(node)?, default), problems)
}

fn told<T>(node: &Node, read: Result<T, QuantityError>, problems: &Problems) -> Option<T> {
    read.map_err(|error| problems.suggest(&node.at, error.to_string(), error.hint())).ok()
}

/// A scalar as it was written; lists and maps as nothing that is a quantity.
fn written(node: &Node) -> Option<String> {
    Some(match &node.value {
        Value::Text { value, .. } => value.clone(),
        Value::Int(number) => number.to_string(),
        Value::Float { written, .. } => written.clone(),
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => node.sort(),
    })
}
