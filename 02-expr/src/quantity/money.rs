//! Money, and money in a length of time.

use super::amount::{Decimal, decimal, misfit};
use super::{Dimension, Quantity, QuantityError};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

const MICROS: i64 = 1_000_000;

/// An ISO 4217 code: `USD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The US dollar.
    pub const USD: Currency = Currency(*b"USD");

    /// The currency of a code in three capital letters.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Self(bytes))
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

impl TryFrom<String> for Currency {
    type Error = String;
    fn try_from(code: String) -> Result<Self, String> {
        Self::of(&code).ok_or_else(|| format!("`{code}` is not a currency code of three capital letters"))
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.code().to_owned()
    }
}

const SYMBOLS: [(char, Currency); 3] = [('$', Currency::USD), ('€', Currency(*b"EUR")), ('£', Currency(*b"GBP"))];

/// An amount of money, in millionths of a currency unit. Amounts of different currencies have no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Which money.
    pub currency: Currency,
    /// How much of it, in millionths.
    pub micros: i64,
}

/// How long a [`MoneyRate`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// An hour.
    Hour,
    /// 24 hours.
    Day,
    /// 730 hours.
    Month,
    /// 8760 hours.
    Year,
}

impl Period {
    /// How many hours it has.
    #[must_use]
    pub fn hours(self) -> i64 {
        match self {
            Period::Hour => 1,
            Period::Day => 24,
            Period::Month => 730,
            Period::Year => 8_760,
        }
    }

    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "h" | "hr" | "hour" => Period::Hour,
            "d" | "day" => Period::Day,
            "mo" | "month" => Period::Month,
            "y" | "yr" | "year" => Period::Year,
            _ => return None,
        })
    }
}

/// Money in a length of time. Compared exactly, whatever the periods; different currencies have no order.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct MoneyRate {
    /// How much.
    #[serde(flatten)]
    pub money: Money,
    /// In which time.
    pub per: Period,
}

impl MoneyRate {
    /// Millionths of the currency in a month of 730 hours, rounded up to a whole one.
    #[must_use]
    pub fn micros_per_month(&self) -> i64 {
        let product = i128::from(self.money.micros) * i128::from(Period::Month.hours());
        let hours = i128::from(self.per.hours());
        let rounded = product.div_euclid(hours) + i128::from(product.rem_euclid(hours) != 0);
        i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
    }

    /// So many millionths in a month.
    #[must_use]
    pub fn monthly(micros: i64, currency: Currency) -> Self {
        Self { money: Money { currency, micros }, per: Period::Month }
    }

    pub(super) fn parse(text: &str) -> Result<Self, Option<QuantityError>> {
        let (money, period) = text.rsplit_once('/').ok_or(None)?;
        let per = Period::of(period.trim()).ok_or(None)?;
        Ok(Self { money: Money::parse(money)?, per })
    }
}

impl PartialOrd for MoneyRate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let scaled = |one: &Self, by: &Self| i128::from(one.money.micros) * i128::from(by.per.hours());
        (self.money.currency == other.money.currency).then(|| scaled(self, other).cmp(&scaled(other, self)))
    }
}

impl PartialEq for MoneyRate {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Money {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.currency == other.currency).then(|| self.micros.cmp(&other.micros))
    }
}

impl Money {
    pub(super) fn parse(text: &str) -> Result<Self, Option<QuantityError>> {
        let trimmed = text.trim();
        let (sign, unsigned) = match trimmed.strip_prefix(['-', '−']) {
            Some(rest) => (-1, rest),
            None => (1, trimmed.strip_prefix('+').unwrap_or(trimmed)),
        };
        let (currency, rest) = front(unsigned);
        let (number, behind) = Decimal::split(rest.trim_start())
            .filter(|_| !rest.trim_start().starts_with(['+', '-', '−']))
            .ok_or(None)?;
        let currency = match (currency, behind.trim()) {
            (Some(currency), "") => currency,
            (None, code) => Currency::of(code).ok_or(None)?,
            (Some(_), _) => return Err(None),
        };
        let micros = number.times(MICROS).map_err(|unheld| Some(unheld.error(text, Dimension::Money)))?;
        Ok(Self { currency, micros: sign * micros })
    }
}

/// The currency that stands before the number, and the rest.
fn front(text: &str) -> (Option<Currency>, &str) {
    if let Some((symbol, currency)) = SYMBOLS.iter().find(|(symbol, _)| text.starts_with(*symbol)) {
        return (Some(*currency), &text[symbol.len_utf8()..]);
    }
    match text.get(..3).and_then(Currency::of) {
        Some(currency) => (Some(currency), &text[3..]),
        None => (None, text),
    }
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.micros < 0 { "-" } else { "" };
        let amount = decimal(self.micros, MICROS);
        let amount = amount.strip_prefix('-').unwrap_or(&amount);
        match SYMBOLS.iter().find(|(_, currency)| *currency == self.currency) {
            Some((symbol, _)) => write!(f, "{sign}{symbol}{amount}"),
            None => write!(f, "{sign}{} {amount}", self.currency),
        }
    }
}

impl std::fmt::Display for MoneyRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let period = match self.per {
            Period::Hour => "h",
            Period::Day => "day",
            Period::Month => "month",
            Period::Year => "year",
        };
        write!(f, "{}/{period}", self.money)
    }
}

macro_rules! money {
    ($name:ident, $dimension:expr, $negative:expr) => {
        impl Quantity for $name {
            const DIMENSION: Dimension = $dimension;

            fn read_signed(text: &str) -> Result<Self, QuantityError> {
                Self::parse(text).map_err(|error| error.unwrap_or_else(|| misfit(text, $dimension)))
            }

            fn is_negative(&self) -> bool {
                $negative(self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = QuantityError;
            fn from_str(text: &str) -> Result<Self, QuantityError> {
                Self::read(text)
            }
        }
    };
}

money!(Money, Dimension::Money, |money: &Money| money.micros < 0);
money!(MoneyRate, Dimension::MoneyRate, |rate: &MoneyRate| rate.money.micros < 0);
