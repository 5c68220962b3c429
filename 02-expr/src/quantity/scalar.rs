//! Quantities that are one integer.

use super::amount::{Decimal, decimal, misfit};
use super::{Dimension, Quantity, QuantityError};
use serde::{Deserialize, Serialize};

macro_rules! scalar {
    ($(#[$doc:meta])* $name:ident, $dimension:expr, $units:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// Reads one without saying what else the text may be.
            pub(super) fn parse(text: &str) -> Result<Self, Option<QuantityError>> {
                let (number, unit) = Decimal::split(text.trim()).ok_or(None)?;
                let units: &[(&str, i64)] = $units;
                let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim()).ok_or(None)?;
                let value = number.times(*factor).map_err(|unheld| Some(unheld.error(text, $dimension)))?;
                // `99.9` for a ratio is meant as percent, and is not the share itself.
                let beyond = $dimension == Dimension::Ratio && unit.trim().is_empty() && value > *factor;
                if beyond { Err(None) } else { Ok(Self(value)) }
            }
        }

        impl Quantity for $name {
            const DIMENSION: Dimension = $dimension;

            fn read_signed(text: &str) -> Result<Self, QuantityError> {
                Self::parse(text).map_err(|error| error.unwrap_or_else(|| misfit(text, $dimension)))
            }

            fn is_negative(&self) -> bool {
                self.0 < 0
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

scalar! {
    /// A share of a whole, in parts per billion. A bare number is the share itself: `0.999` is `99.9%`.
    Ratio, Dimension::Ratio, &[("%", 10_000_000), ("percent", 10_000_000), ("", 1_000_000_000)]
}
scalar! {
    /// A length of time, in nanoseconds.
    Span, Dimension::Span, &[
        ("ns", 1), ("us", 1_000), ("µs", 1_000), ("ms", 1_000_000), ("s", SECOND), ("sec", SECOND), ("second", SECOND),
        ("seconds", SECOND), ("min", 60 * SECOND), ("minute", 60 * SECOND), ("minutes", 60 * SECOND), ("h", 3_600 * SECOND),
        ("hour", 3_600 * SECOND), ("hours", 3_600 * SECOND), ("d", 86_400 * SECOND), ("day", 86_400 * SECOND),
        ("days", 86_400 * SECOND),
    ]
}
scalar! {
    /// Requests per second, in thousandths.
    Rate, Dimension::Rate, &[
        ("req/s", 1_000), ("requests/s", 1_000), ("rps", 1_000), ("/s", 1_000), ("k req/s", 1_000_000), ("krps", 1_000_000),
    ]
}
scalar! {
    /// Memory, in bytes. A bare number is bytes.
    Bytes, Dimension::Bytes, &[
        ("", 1), ("B", 1), ("kB", 1_000), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("Ki", 1 << 10),
        ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40),
    ]
}
scalar! {
    /// Processor cores, in thousandths. A bare number is whole cores.
    Cores, Dimension::Cores, &[
        ("", 1_000), ("m", 1), ("core", 1_000), ("cores", 1_000), ("vCPU", 1_000), ("vcpu", 1_000), ("cpu", 1_000),
        ("cpus", 1_000),
    ]
}
scalar! {
    /// A number of things.
    Count, Dimension::Count, &[("", 1)]
}

const SECOND: i64 = 1_000_000_000;

impl Ratio {
    /// Everything.
    pub const ONE: Ratio = Ratio(1_000_000_000);

    /// The share as a double, for computing models.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "parts per billion up to a whole are exact in a double")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The part per billion nearest to a double, held within the range that can be written.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "held within the range of the journal first")]
    pub fn nearest(share: f64) -> Self {
        Self((share * 1e9).round().clamp(-9e15, 9e15) as i64)
    }
}

impl Span {
    /// Whole milliseconds, rounded down.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0 / 1_000_000
    }

    /// The length in seconds as a double, for computing models.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a model computes with doubles anyway")]
    pub fn as_seconds_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// As the standard library counts it; nothing when below zero.
    #[must_use]
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

impl Rate {
    /// Requests per second as a double, for computing models.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a model computes with doubles anyway")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e3
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", decimal(self.0, 10_000_000))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = [("d", 86_400 * SECOND), ("h", 3_600 * SECOND), ("min", 60 * SECOND)];
        if let Some((unit, size)) = whole.iter().find(|(_, size)| self.0 != 0 && self.0 % size == 0) {
            return write!(f, "{}{unit}", self.0 / size);
        }
        let (unit, size) = match self.0.unsigned_abs() {
            0 => ("ms", 1_000_000),
            1..1_000 => ("ns", 1),
            1_000..1_000_000 => ("us", 1_000),
            1_000_000..1_000_000_000 => ("ms", 1_000_000),
            _ => ("s", SECOND),
        };
        write!(f, "{}{unit}", decimal(self.0, size))
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} req/s", decimal(self.0, 1_000))
    }
}

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [
            ("TiB", 1_i64 << 40),
            ("TB", 1_000_000_000_000),
            ("GiB", 1 << 30),
            ("GB", 1_000_000_000),
            ("MiB", 1 << 20),
            ("MB", 1_000_000),
            ("KiB", 1 << 10),
            ("kB", 1_000),
        ];
        match units.iter().find(|(_, size)| self.0 != 0 && self.0 % size == 0) {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl std::fmt::Display for Cores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = if self.0 == 1_000 { "core" } else { "cores" };
        write!(f, "{} {unit}", decimal(self.0, 1_000))
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
