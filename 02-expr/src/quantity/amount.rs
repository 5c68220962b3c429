//! From text to an exact integer.

use super::Dimension;

/// Why a text is not the quantity that was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It is no quantity at all.
    #[error("`{text}` is not {dimension}")]
    Text {
        /// What was given.
        text: String,
        /// What was wanted.
        dimension: Dimension,
    },
    /// It is a quantity of something else.
    #[error("`{text}` is {found}, and {wanted} is wanted here")]
    Dimension {
        /// What was given.
        text: String,
        /// What it measures.
        found: Dimension,
        /// What was wanted.
        wanted: Dimension,
    },
    /// It is finer than what can be held.
    #[error("`{text}` is finer than what can be counted exactly")]
    Inexact {
        /// What was given.
        text: String,
        /// What was wanted.
        dimension: Dimension,
    },
    /// It is too large.
    #[error("`{text}` is out of range for {dimension}")]
    Range {
        /// What was given.
        text: String,
        /// What was wanted.
        dimension: Dimension,
    },
    /// It has a sign where none belongs.
    #[error("`{text}` has a sign, and {dimension} is wanted here, not a change of one")]
    Signed {
        /// What was given.
        text: String,
        /// What was wanted.
        dimension: Dimension,
    },
    /// It has no sign where one belongs.
    #[error("`{text}` has no sign, and a change is wanted here")]
    Unsigned {
        /// What was given.
        text: String,
        /// What was wanted.
        dimension: Dimension,
    },
}

impl QuantityError {
    /// What would be right.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            QuantityError::Text { dimension, .. }
            | QuantityError::Dimension { wanted: dimension, .. }
            | QuantityError::Range { dimension, .. }
            | QuantityError::Signed { dimension, .. } => format!("write it like '{}'", dimension.form()),
            QuantityError::Inexact { .. } => "write fewer decimals".to_owned(),
            QuantityError::Unsigned { dimension, .. } => format!("write it like '+{}'", dimension.form()),
        }
    }
}

/// A number as it was written: `digits` × 10^-`decimals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) digits: i128,
    pub(super) decimals: u32,
}

/// What can be wrong between the digits and the integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unheld {
    Inexact,
    Range,
}

impl Decimal {
    /// The number at the beginning of a text, and what follows it.
    pub(super) fn split(text: &str) -> Option<(Decimal, &str)> {
        let (negative, unsigned) = match text.strip_prefix(['-', '−']) {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, rest) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let sound = !whole.is_empty() && !fraction.contains('.') && number.len() <= 30 && !number.ends_with('.');
        if !sound || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let decimals = u32::try_from(fraction.len()).ok()?;
        Some((Decimal { digits: if negative { -digits } else { digits }, decimals }, rest))
    }

    /// The number times `factor`, as an integer.
    pub(super) fn times(self, factor: i64) -> Result<i64, Unheld> {
        let product = self.digits.checked_mul(i128::from(factor)).ok_or(Unheld::Range)?;
        let divisor = 10_i128.checked_pow(self.decimals).ok_or(Unheld::Range)?;
        if product % divisor != 0 {
            return Err(Unheld::Inexact);
        }
        // Beyond 2^53 a quantity could not stand in the journal.
        let value = i64::try_from(product / divisor).map_err(|_| Unheld::Range)?;
        if value.unsigned_abs() < 1 << 53 { Ok(value) } else { Err(Unheld::Range) }
    }
}

impl Unheld {
    pub(super) fn error(self, text: &str, dimension: Dimension) -> QuantityError {
        let text = short(text);
        match self {
            Unheld::Inexact => QuantityError::Inexact { text, dimension },
            Unheld::Range => QuantityError::Range { text, dimension },
        }
    }
}

/// What was given, short enough for a message.
pub(super) fn short(text: &str) -> String {
    text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The error for a text that is no quantity of `wanted`: which other dimension it has, if any.
pub(super) fn misfit(text: &str, wanted: Dimension) -> QuantityError {
    use super::{Bytes, Cores, Money, MoneyRate, Rate, Ratio, Span};
    let bare = Decimal::split(text.trim()).is_some_and(|(_, rest)| rest.is_empty());
    let fits = |dimension| match dimension {
        Dimension::Ratio => Ratio::parse(text).is_ok(),
        Dimension::Span => Span::parse(text).is_ok(),
        Dimension::Rate => Rate::parse(text).is_ok(),
        Dimension::Money => Money::parse(text).is_ok(),
        Dimension::MoneyRate => MoneyRate::parse(text).is_ok(),
        Dimension::Bytes => Bytes::parse(text).is_ok(),
        // `m` is a thousandth of a core to some and a minute to others.
        Dimension::Cores => !text.ends_with('m') && Cores::parse(text).is_ok(),
        Dimension::Count => bare,
    };
    let found = Dimension::ALL.into_iter().filter(|dimension| !bare && *dimension != wanted).find(|d| fits(*d));
    match found {
        Some(found) => QuantityError::Dimension { text: short(text), found, wanted },
        None => QuantityError::Text { text: short(text), dimension: wanted },
    }
}

/// `units` of `base` as text without trailing zeros: `99.9` for 999 of 10.
pub(crate) fn decimal(value: i64, base: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let (value, base) = (value.unsigned_abs(), base.unsigned_abs());
    let whole = value / base;
    let mut rest = value % base;
    let mut text = format!("{sign}{whole}");
    if rest > 0 {
        text.push('.');
    }
    // `base` is a power of ten, so this ends.
    while rest > 0 {
        rest *= 10;
        text.push(char::from(b'0' + u8::try_from(rest / base).unwrap_or(0)));
        rest %= base;
    }
    text
}
