//! The `feedback:` and `recommendations:` documents in the source's form, and what the source left out: intervals, and the words
//! for what was not measured.

use crate::figures::{Figures, Interval, Rate};
use crate::insight::Insight;
use crate::recommend::Recommendation;
use serde_json::{Map, Value, json};

/// The `feedback:` document. A figure that was not measured is null, with a `no_data` beside that says why.
#[must_use]
pub fn document(figures: &Figures, insights: &[Insight]) -> Value {
    let rate_interval = |rate: &Rate| interval(rate.interval, 4, 1);
    let mut deployment = Map::new();
    deployment.insert("success_rate".to_owned(), rate_value(figures.deployments.as_ref()));
    let seconds =
        figures.deployment_ms.map_or(Value::Null, |ms| number(i128::from(ms), 3, if ms < 10_000 { 1 } else { 0 }));
    deployment.insert("average_deployment_time".to_owned(), seconds);
    match &figures.deployments {
        Some(rate) => {
            deployment.insert("success_rate_interval".to_owned(), rate_interval(rate));
            deployment.insert("deployments".to_owned(), json!(rate.trials));
        }
        None => no_data(&mut deployment, "no deployment ended in the period"),
    }

    let mut availability = Map::new();
    let share = figures.availability.as_ref();
    let target = share.and_then(|one| one.target_ppm);
    let achieved = share.map(|one| one.achieved_ppm);
    availability.insert("achieved".to_owned(), achieved.map_or(Value::Null, |ppm| number(i128::from(ppm), 4, 2)));
    availability.insert("target".to_owned(), target.map_or(Value::Null, |ppm| number(i128::from(ppm), 4, 4)));
    availability.insert("delta".to_owned(), delta(achieved, target, 4, 2));
    match share {
        Some(one) => {
            availability.insert("achieved_interval".to_owned(), interval(one.interval, 4, 3));
            availability.insert("requests".to_owned(), json!(one.requests));
        }
        None => no_data(&mut availability, "no request was measured in the period"),
    }

    let mut performance = Map::new();
    let latency = figures.latency.as_ref();
    let target = latency.and_then(|one| one.target_us);
    let p95 = latency.map(|one| one.p95_us);
    performance.insert("latency_p95".to_owned(), p95.map_or(Value::Null, |us| number(i128::from(us), 3, 1)));
    performance.insert("target".to_owned(), target.map_or(Value::Null, |us| number(i128::from(us), 3, 3)));
    performance.insert("delta".to_owned(), delta(p95, target, 3, 1));
    match latency {
        Some(one) => {
            performance.insert("latency_p95_interval".to_owned(), interval(one.interval, 3, 1));
            performance.insert("answers".to_owned(), json!(one.answers));
        }
        None => no_data(&mut performance, "no answer was timed in the period"),
    }

    let mut healing = Map::new();
    let tried = figures.recoveries.as_ref();
    healing.insert("recovery_attempts".to_owned(), json!(tried.map_or(0, |rate| rate.trials)));
    healing.insert("successful_recoveries".to_owned(), json!(tried.map_or(0, |rate| rate.successes)));
    healing.insert("success_rate".to_owned(), rate_value(tried));
    let seconds = figures.recovery_ms.map_or(Value::Null, |ms| number(i128::from(ms), 3, 1));
    healing.insert("average_recovery_time".to_owned(), seconds);
    match tried {
        Some(rate) => {
            healing.insert("success_rate_interval".to_owned(), rate_interval(rate));
        }
        None => no_data(&mut healing, "nothing was tried in the period"),
    }

    let said = |strength: bool| -> Vec<Value> {
        insights.iter().filter(|one| one.strength == strength).map(|one| json!(one.text)).collect()
    };
    json!({"feedback": {
        "period": figures.period,
        "metrics_collected": {
            "deployment": deployment,
            "availability": availability,
            "performance": performance,
            "self_healing": healing,
        },
        "analysis": {"strengths": said(true), "improvements": said(false)},
    }})
}

/// The `recommendations:` document.
#[must_use]
pub fn recommendations_document(recommendations: &[Recommendation]) -> Value {
    let one = |one: &Recommendation| {
        let expected: Map<String, Value> =
            one.benefits.iter().map(|benefit| (benefit.name.clone(), json!(benefit.tell()))).collect();
        let confidence: Map<String, Value> = one
            .benefits
            .iter()
            .map(|benefit| {
                let level = json!({"interval": benefit.tell_interval(), "level_percent": benefit.level_percent});
                (benefit.name.clone(), level)
            })
            .collect();
        let mut document = json!({
            "recommendation_id": one.id,
            "type": one.kind.name(),
            "description": one.description,
            "expected_benefit": expected,
            "confidence": confidence,
            "priority": one.priority,
            "approval_required": one.approval_required,
            "evidence": {"audit_events": one.evidence, "from": one.from, "to": one.to},
        });
        if let Some(fields) = document.as_object_mut() {
            let optional = [
                ("intent", one.intent.as_ref().map(|intent| json!(intent))),
                ("caveat", one.caveat.as_ref().map(|text| json!(text))),
                ("patch", one.patch.as_ref().map(|patch| json!(patch))),
                ("backtest", one.backtest.as_ref().map(|backtest| json!(backtest))),
                ("verify", one.verify.as_ref().map(|verify| json!(verify))),
            ];
            fields.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        }
        document
    };
    json!({"recommendations": recommendations.iter().map(one).collect::<Vec<_>>()})
}

/// The keys of both documents in the order in which the source writes them; others come after, sorted.
const ORDER: [&str; 27] = [
    "recommendation_id",
    "type",
    "description",
    "expected_benefit",
    "availability_improvement",
    "confidence",
    "priority",
    "approval_required",
    "period",
    "metrics_collected",
    "analysis",
    "strengths",
    "improvements",
    "deployment",
    "availability",
    "performance",
    "self_healing",
    "recovery_attempts",
    "successful_recoveries",
    "success_rate",
    "average_deployment_time",
    "achieved",
    "latency_p95",
    "target",
    "delta",
    "low",
    "high",
];

/// A document as YAML in the source's order and hand: single quotes around texts, a sign before each delta.
#[must_use]
pub fn yaml(document: &Value) -> String {
    let mut text = String::new();
    write_map(document, 0, &mut text);
    text
}

fn write_map(value: &Value, depth: usize, text: &mut String) {
    let Some(map) = value.as_object() else { return };
    let rank = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_by_key(|key| (rank(key), key.as_str()));
    for (at, key) in keys.into_iter().enumerate() {
        let pad = if at == 0 && text.ends_with("- ") { String::new() } else { "  ".repeat(depth) };
        let Some(value) = map.get(key) else { continue };
        write_field(key, value, &pad, depth, text);
    }
}

fn write_field(key: &str, value: &Value, pad: &str, depth: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push_str(&format!("{pad}{key}:\n"));
            write_map(value, depth + 1, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push_str(&format!("{pad}{key}:\n"));
            for item in items {
                text.push_str(&format!("{}- ", "  ".repeat(depth + 1)));
                match item {
                    Value::Object(_) => write_map(item, depth + 2, text),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                        text.push_str(&format!("{}\n", scalar(item)));
                    }
                }
            }
        }
        Value::Number(number) if key == "delta" && !number.to_string().starts_with('-') => {
            text.push_str(&format!("{pad}{key}: +{number}\n"));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            text.push_str(&format!("{pad}{key}: {}\n", scalar(value)));
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        // Control characters cannot stand in single quotes; JSON's own form is YAML too.
        Value::String(text) if text.chars().any(char::is_control) => value.to_string(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn no_data(map: &mut Map<String, Value>, why: &str) {
    map.insert("no_data".to_owned(), json!(why));
}

fn rate_value(rate: Option<&Rate>) -> Value {
    rate.map_or(Value::Null, |rate| number(i128::from(rate.rate_ppm), 4, 1))
}

fn interval(interval: Interval, scale: u32, digits: u32) -> Value {
    let end = |value: u64| number(i128::from(value), scale, digits);
    json!({"low": end(interval.low), "high": end(interval.high), "level": 95})
}

fn delta(achieved: Option<u64>, target: Option<u64>, scale: u32, digits: u32) -> Value {
    let (Some(achieved), Some(target)) = (achieved, target) else { return Value::Null };
    number(i128::from(achieved) - i128::from(target), scale, digits)
}

/// `value / 10^scale` rounded to `digits` places, as a number without trailing zeros.
fn number(value: i128, scale: u32, digits: u32) -> Value {
    let step = 10_i128.pow(scale.saturating_sub(digits));
    let half = if value < 0 { -(step / 2) } else { step / 2 };
    let rounded = (value + half) / step;
    let base = 10_u128.pow(digits);
    let (whole, rest) = (rounded.unsigned_abs() / base, rounded.unsigned_abs() % base);
    let sign = if rounded < 0 { "-" } else { "" };
    let width = digits as usize;
    let text = if rest == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest:0width$}") };
    let text = if rest == 0 { &text } else { text.trim_end_matches('0') };
    text.parse::<serde_json::Number>().map_or(Value::Null, Value::Number)
}
