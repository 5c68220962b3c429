//! A quantity behind a comparator, and a quantity behind a sign.

use super::{Quantity, QuantityError};
use serde::{Deserialize, Serialize};

/// How a measured value is held against a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Comparator {
    /// `<`
    #[serde(rename = "<")]
    Below,
    /// `<=`
    #[serde(rename = "<=")]
    AtMost,
    /// `>`
    #[serde(rename = ">")]
    Above,
    /// `>=`
    #[serde(rename = ">=")]
    AtLeast,
    /// `=`
    #[serde(rename = "=")]
    Exactly,
}

impl std::fmt::Display for Comparator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Comparator::Below => "<",
            Comparator::AtMost => "<=",
            Comparator::Above => ">",
            Comparator::AtLeast => ">=",
            Comparator::Exactly => "=",
        })
    }
}

/// What a measured value must be: `<100ms`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bound<Q> {
    /// On which side of the value.
    pub comparator: Comparator,
    /// The value.
    pub value: Q,
}

impl<Q: Quantity> Bound<Q> {
    /// Reads one; `default` is the comparator when none is written.
    ///
    /// # Errors
    /// As [`Quantity::read`].
    pub fn read(text: &str, default: Comparator) -> Result<Self, QuantityError> {
        let text = text.trim();
        let written = [
            ("<=", Comparator::AtMost),
            (">=", Comparator::AtLeast),
            ("≤", Comparator::AtMost),
            ("≥", Comparator::AtLeast),
            ("==", Comparator::Exactly),
            ("=", Comparator::Exactly),
            ("<", Comparator::Below),
            (">", Comparator::Above),
        ];
        let found =
            written.iter().find_map(|(mark, comparator)| text.strip_prefix(mark).map(|rest| (*comparator, rest)));
        let (comparator, rest) = found.unwrap_or((default, text));
        Ok(Self { comparator, value: Q::read(rest.trim_start())? })
    }

    /// Whether a measured value is on the right side. Values that have no order (two currencies) are not.
    #[must_use]
    pub fn admits(&self, measured: Q) -> bool {
        match self.comparator {
            Comparator::Below => measured < self.value,
            Comparator::AtMost => measured <= self.value,
            Comparator::Above => measured > self.value,
            Comparator::AtLeast => measured >= self.value,
            Comparator::Exactly => measured == self.value,
        }
    }
}

impl<Q: Quantity> std::fmt::Display for Bound<Q> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.comparator, self.value)
    }
}

/// A change of a quantity: `+$50/month`, `-15ms`. The sign is always written.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Delta<Q>(pub Q);

impl<Q: Quantity> Delta<Q> {
    /// Reads one.
    ///
    /// # Errors
    /// When no sign is written, and as [`Quantity::read_signed`].
    pub fn read(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        let value = Q::read_signed(text)?;
        if text.starts_with(['+', '-', '−']) {
            return Ok(Self(value));
        }
        Err(QuantityError::Unsigned { text: text.to_owned(), dimension: Q::DIMENSION })
    }
}

impl<Q: Quantity> std::fmt::Display for Delta<Q> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0.is_negative() { "" } else { "+" };
        write!(f, "{sign}{}", self.0)
    }
}
