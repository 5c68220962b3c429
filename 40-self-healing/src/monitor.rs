//! The `monitoring:` document in the source's form, measured from windows.

use crate::config::Config;
use crate::metric::{Amount, Metric, Reading, decimal};
use serde_json::{Value, json};
use std::time::Duration;
use writ_core::{Health, Histogram, Window};

/// The `monitoring:` document. A metric that was not measured is null, never zero; `measured_over` says what stands behind
/// the figures.
#[must_use]
pub fn monitoring(config: &Config, health: Health, windows: &[Window]) -> Value {
    let together = together(health, windows);
    let metric = |metric| match together.amount(metric, &config.limits, 1) {
        Some(Amount::Milli(milli)) => number(milli),
        Some(Amount::Status(_)) | None => Value::Null,
    };
    let from = windows.iter().map(|window| window.from).min();
    let to = windows.iter().map(|window| window.to).max();
    json!({"monitoring": {
        "component_id": config.component,
        "health_status": health.to_string(),
        "metrics": {
            "availability": metric(Metric::Availability),
            "latency_p95": metric(Metric::LatencyP95),
            "throughput": metric(Metric::Throughput),
            "error_rate": metric(Metric::ErrorRate),
        },
        "measured_over": {"from": from, "to": to, "windows": windows.len(), "requests": together.requests},
        "self_healing_config": config.text,
    }})
}

fn together(health: Health, windows: &[Window]) -> Reading {
    let mut latency = Histogram::default();
    windows.iter().for_each(|window| latency.merge(&window.latency));
    let sum = |field: fn(&Window) -> u64| windows.iter().fold(0_u64, |sum, window| sum.saturating_add(field(window)));
    Reading {
        health,
        requests: sum(|window| window.requests),
        errors: sum(|window| window.errors),
        latency,
        span: windows.iter().fold(Duration::ZERO, |span, window| span.saturating_add(window.to.since(window.from))),
        cpu_millicores: None,
        memory_bytes: None,
        instances: None,
    }
}

/// Thousandths as a JSON number: `85`, `99.95`. For documents that people read; journal bodies hold no fractions.
fn number(milli: i64) -> Value {
    decimal(milli).parse::<serde_json::Number>().map_or(Value::Null, Value::Number)
}
