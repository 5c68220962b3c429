//! What a plain word of YAML is: the core schema, less what people do not expect.

use crate::Value;

/// What a plain word means, or why it may not stand there.
pub(crate) fn plain(word: &str) -> Result<Value, (String, &'static str)> {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Err((
            format!("`{word}` is not a number that can be counted with"),
            "write a finite number, or put it in quotes",
        ));
    }
    if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return number(word, unsigned);
    }
    Ok(text(word))
}

/// A text that stood without quotes.
pub(crate) fn text(word: &str) -> Value {
    Value::Text { value: word.to_owned(), quoted: false }
}

fn number(word: &str, unsigned: &str) -> Result<Value, (String, &'static str)> {
    let negative = word.starts_with('-');
    let too_large = || {
        (format!("the number `{}` is out of range", crate::node::cut(word)), "put it in quotes to keep it as a text")
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = unsigned.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|c| c.is_digit(radix))
        {
            let value = i64::from_str_radix(digits, radix).map_err(|_| too_large())?;
            return Ok(Value::Int(if negative { -value } else { value }));
        }
    }
    let (whole, rest) = unsigned.split_at(unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len()));
    // `010` is eight to some and ten to others, and an account number to a third.
    if whole.len() > 1 && whole.starts_with('0') {
        return Ok(text(word));
    }
    if rest.is_empty() {
        return word.strip_prefix('+').unwrap_or(word).parse().map(Value::Int).map_err(|_| too_large());
    }
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (rest, None),
    };
    let decimals = fraction.strip_prefix('.');
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let sound_fraction = fraction.is_empty() || decimals.is_some_and(digits);
    let any_digit = !whole.is_empty() || decimals.is_some_and(|text| !text.is_empty());
    let sound_exponent = exponent.is_none_or(|text| {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        !unsigned.is_empty() && digits(unsigned)
    });
    if !(sound_fraction && any_digit && sound_exponent) {
        return Ok(text(word));
    }
    match word.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Value::Float { value, written: word.to_owned() }),
        Ok(_) | Err(_) => Err(too_large()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f64, written: &str) -> Value {
        Value::Float { value, written: written.to_owned() }
    }

    #[test]
    fn words_mean_what_a_person_expects() {
        for (word, meaning) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("true", Value::Bool(true)),
            ("yes", text("yes")),
            ("no", text("no")),
            ("on", text("on")),
            ("0", Value::Int(0)),
            ("-17", Value::Int(-17)),
            ("+5", Value::Int(5)),
            ("010", text("010")),
            ("1_000", text("1_000")),
            ("1,000", text("1,000")),
            ("0x1F", Value::Int(31)),
            ("0o17", Value::Int(15)),
            ("0xzz", text("0xzz")),
            ("9223372036854775807", Value::Int(i64::MAX)),
            ("-9223372036854775808", Value::Int(i64::MIN)),
            ("99.95", float(99.95, "99.95")),
            ("1.10", float(1.1, "1.10")),
            (".5", float(0.5, ".5")),
            ("+0.05", float(0.05, "+0.05")),
            ("1e3", float(1000.0, "1e3")),
            ("00.5", text("00.5")),
            (".", text(".")),
            ("1.2.3", text("1.2.3")),
            ("1e", text("1e")),
            ("3ms", text("3ms")),
            ("12:30:45", text("12:30:45")),
            ("2025-12-11T14:00:00Z", text("2025-12-11T14:00:00Z")),
            ("-", text("-")),
            ("nan", text("nan")),
        ] {
            assert_eq!(plain(word), Ok(meaning), "{word}");
        }
        for word in ["9223372036854775808", "1e999", ".inf", "-.inf", ".nan", "0xffffffffffffffffff"] {
            assert!(plain(word).is_err(), "{word}");
        }
    }
}
