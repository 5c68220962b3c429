//! Points in time.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A point in time: microseconds since 1970-01-01T00:00:00Z, printed as RFC 3339 in UTC with six decimals, so that texts
/// sort as times do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// Why a text is not a timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time; write it as `2026-11-21T10:30:00Z`")]
pub struct TimestampError {
    /// What was given.
    pub text: String,
}

/// 9999-12-31T23:59:59.999999Z; later times would not print in the fixed width.
const LAST_MICROS: i64 = 253_402_300_799_999_999;

impl Timestamp {
    /// The time so many microseconds after 1970, held within the years 1970 to 9999.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(0, LAST_MICROS))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since 1970.
    #[must_use]
    pub fn millis(self) -> u64 {
        (self.0 / 1_000).unsigned_abs()
    }

    /// This time and `span` more.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This time and `span` less.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self::from_micros(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long it is since `earlier`; nothing when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Civil-from-days by Howard Hinnant's published algorithm; formatting is on the journal's hot path, and a general
        // date library costs several times as much there.
        let (seconds, micros) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
        let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}Z",
            second / 3_600,
            second / 60 % 60,
            second % 60
        )
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let bad = || TimestampError { text: text.chars().take(80).collect() };
        let parsed: jiff::Timestamp = text.parse().map_err(|_| bad())?;
        let micros = parsed.as_microsecond();
        if !(0..=LAST_MICROS).contains(&micros) {
            return Err(bad());
        }
        Ok(Self(micros))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;
    fn try_from(text: String) -> Result<Self, TimestampError> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> String {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_agrees_with_a_date_library_over_a_thousand_years() {
        for step in 0..40_000_i64 {
            let time = Timestamp::from_micros(step * 788_940_123_457);
            let printed = time.to_string();
            assert_eq!(printed.len(), 27);
            assert_eq!(printed.parse(), Ok(time), "{printed}");
        }
    }

    #[test]
    fn texts_sort_as_times_do() {
        let (a, b) = (Timestamp::from_micros(1), Timestamp::from_micros(1_000_000));
        assert!(a.to_string() < b.to_string());
    }
}
