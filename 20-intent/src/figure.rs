//! Figures as people read and write them. All of these are exact unless their name says otherwise.

/// A whole number of the given thousandths, millionths …, as a decimal without needless zeros: `decimal(1500, 3)` is `1.5`.
#[must_use]
pub(crate) fn decimal(value: u64, places: u32) -> String {
    let unit = 10_u64.pow(places.min(18));
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let rest = format!("{rest:0width$}", width = places as usize);
    format!("{whole}.{}", rest.trim_end_matches('0'))
}

/// Billionths as a percentage: `99.9%`.
#[must_use]
pub fn percent(ppb: u64) -> String {
    format!("{}%", decimal(ppb, 7))
}

/// Billionths as a percentage with at most four decimals, rounded down: `99.9797%`.
#[must_use]
pub fn percent_about(ppb: u64) -> String {
    percent(ppb / 1_000 * 1_000)
}

/// Microseconds in the unit that reads best: `250us`, `9.1ms`, `1.5s`.
#[must_use]
pub fn span(us: u64) -> String {
    match us {
        0..1_000 => format!("{us}us"),
        1_000..1_000_000 => format!("{}ms", decimal(us, 3)),
        1_000_000.. => format!("{}s", decimal(us, 6)),
    }
}

/// Microseconds to a tenth of a millisecond, rounded up: `9.1ms`.
#[must_use]
pub fn span_about(us: u64) -> String {
    if us < 100 { span(us) } else { span(us.div_ceil(100).saturating_mul(100)) }
}

/// Milliseconds: `500ms`, `30s`.
#[must_use]
pub fn millis(ms: u64) -> String {
    span(ms.saturating_mul(1_000))
}

/// Whole seconds in the largest unit that is exact: `7d`, `60s`.
#[must_use]
pub(crate) fn span_of_seconds(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h")];
    match units.iter().find(|(size, _)| seconds >= *size && seconds.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{}{unit}", seconds / size),
        None => format!("{seconds}s"),
    }
}

/// Thousandths of a request a second: `1000 req/s`.
#[must_use]
pub fn rate(mrps: u64) -> String {
    format!("{} req/s", decimal(mrps, 3))
}

/// Millionths of a currency's unit: `$500`, `$107.53` where that is exact, `1.5 CHF` where the currency has no sign of its own.
#[must_use]
pub fn money(micros: u64, currency: &str) -> String {
    let mut amount = decimal(micros, 6);
    if let Some((_, cents)) = amount.split_once('.')
        && cents.len() == 1
    {
        amount.push('0');
    }
    match currency {
        "USD" => format!("${amount}"),
        "EUR" => format!("€{amount}"),
        "GBP" => format!("£{amount}"),
        other => format!("{amount} {other}"),
    }
}

/// Millionths rounded up to a hundredth: what a price says.
#[must_use]
pub fn money_about(micros: u64, currency: &str) -> String {
    money(micros.div_ceil(10_000).saturating_mul(10_000), currency)
}

/// Bytes in the largest binary unit that is exact: `4GiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = |(size, _): &&(u64, &str)| bytes >= *size && bytes.is_multiple_of(*size);
    match units.iter().find(fits) {
        Some((size, unit)) => format!("{}{unit}", bytes / size),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        assert_eq!(percent(999_000_000), "99.9%");
        assert_eq!(percent_about(999_797_123), "99.9797%");
        assert_eq!(span(100_000), "100ms");
        assert_eq!(span(3_880), "3.88ms");
        assert_eq!(span_about(9_012), "9.1ms");
        assert_eq!(rate(1_000_000), "1000 req/s");
        assert_eq!(money(500_000_000, "USD"), "$500");
        assert_eq!(money_about(107_529_000, "USD"), "$107.53");
        assert_eq!(money(1_500_000, "CHF"), "1.50 CHF");
        assert_eq!(bytes(4 << 30), "4GiB");
        assert_eq!(millis(30_000), "30s");
    }
}
