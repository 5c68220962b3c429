//! What a recommendation should bring, and what it brought, in the words that every face uses.

use crate::console::words::{list, span, text, texts};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use writ_core::Timestamp;
use writ_pipeline::Benefit;
use writ_pipeline::input::percent_about;

/// What a change should bring, never a point alone.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Expected {
    pub(crate) name: String,
    pub(crate) expected: String,
    /// Its ends, and how sure they are.
    pub(crate) interval: String,
}

/// What was measured after a change, beside what was expected.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Measured {
    pub(crate) metric: String,
    pub(crate) expected: String,
    pub(crate) realised: String,
}

/// What a recommendation says that it would bring.
pub(crate) fn expected(recommendation: &Value) -> Vec<Expected> {
    let told = |one: &Value| {
        let told = Benefit::deserialize(one).ok()?;
        let ends = told.tell_interval();
        let ends: Vec<&str> = texts(&ends, "").collect();
        Some(Expected {
            name: told.name.replace('_', " "),
            expected: told.tell(),
            interval: format!("{} ({} %)", ends.join(" to "), told.level_percent),
        })
    };
    list(recommendation, "/benefits").iter().filter_map(told).collect()
}

/// What was measured of a recommendation that was carried out, as its document has it.
pub(crate) fn measured(doc: &Value) -> Vec<Measured> {
    found(doc).map(compared).collect()
}

/// Whether its time of watching is over and nothing was measured in it, so that nobody knows what it brought.
pub(crate) fn is_unmeasured(doc: &Value) -> bool {
    found(doc).next().is_some() && found(doc).all(|one| one.get("realised").is_none_or(Value::is_null))
}

fn found(doc: &Value) -> impl Iterator<Item = &Value> {
    list(doc, "/evidence").iter().filter(|one| one.is_object())
}

fn compared(one: &Value) -> Measured {
    let whole = |name: &str, one: &Value| one.get(name).and_then(Value::as_i64).unwrap_or_default();
    let (metric, unit) = unit_of(text(one, "/metric"));
    let told = |name: &str, one: &Value| shift(whole(name, one), unit);
    Measured {
        metric: metric.replace('_', " "),
        expected: told("expected", one),
        realised: one.get("realised").filter(|seen| !seen.is_null()).map_or_else(
            || "too little was seen".to_owned(),
            |seen| format!("{} ({} to {})", told("estimate", seen), told("low", seen), told("high", seen)),
        ),
    }
}

/// What is measured, and in which unit: `latency_p95_us` is `latency_p95` in `us`. A share of good answers is told in millionths.
fn unit_of(metric: &str) -> (&str, &str) {
    match metric.rsplit_once('_') {
        Some((name, unit @ ("ppm" | "us"))) => (name, unit),
        Some(("availability", "improvement")) => ("availability", "ppm"),
        None if metric == "availability" => (metric, "ppm"),
        _ => (metric, ""),
    }
}

/// By how much something was moved, in words.
fn shift(by: i64, unit: &str) -> String {
    let sign = if by < 0 { "-" } else { "+" };
    let size = by.unsigned_abs();
    match unit {
        "ppm" => format!("{sign}{}", percent_about(size.saturating_mul(1_000))),
        "us" => format!("{sign}{}", span(Timestamp::from_micros(0), Timestamp::from_micros(size.cast_signed()))),
        _ => by.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_measured_is_told_in_its_unit() {
        for (metric, by, told) in [
            ("availability_ppm", 120, "availability +0.012%"),
            ("availability_ppm", -1, "availability -0.0001%"),
            ("availability_improvement", 120, "availability +0.012%"),
            ("availability", 120, "availability +0.012%"),
            ("latency_p95_us", -1_500, "latency_p95 -1 ms"),
            ("restarts", 3, "restarts 3"),
        ] {
            let (name, unit) = unit_of(metric);
            assert_eq!(format!("{name} {}", shift(by, unit)), told);
        }
    }

    #[test]
    fn what_nobody_saw_is_not_said_to_have_failed() {
        let seen = json!({"estimate": 90, "low": -10, "high": 190});
        let (one, none) = (json!({"metric": "availability_ppm", "expected": 120, "realised": seen}), json!({}));
        let unseen = json!({"metric": "availability_ppm", "expected": 120});
        for (evidence, unmeasured, told) in [
            (json!([unseen.clone()]), true, "too little was seen"),
            (json!([unseen, one.clone()]), false, "too little was seen"),
            (json!([one]), false, "+0.009% (-0.001% to +0.019%)"),
        ] {
            let doc = json!({"evidence": evidence});
            assert_eq!((is_unmeasured(&doc), measured(&doc)[0].realised.as_str()), (unmeasured, told));
        }
        // Before anything is applied, its evidence is what it rests on.
        for evidence in [json!(["evt_1"]), none] {
            let doc = json!({"evidence": evidence});
            assert!(!is_unmeasured(&doc) && measured(&doc).is_empty(), "{doc}");
        }
    }
}
