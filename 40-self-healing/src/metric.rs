//! The words that conditions may use, and how they are measured. Amounts are thousandths of the metric's unit, so that
//! nothing recorded is ever a float.

use std::time::Duration;
use writ_core::{Health, Histogram, InstanceSample, Window};
use writ_expr::trigger::Unit;

/// A metric that a condition may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// `healthy`, `degraded`, `failed`, `starting`, `draining` or `unknown`.
    HealthStatus,
    /// Failed requests, in percent of all.
    ErrorRate,
    /// The median of answers' durations, in milliseconds.
    LatencyP50,
    /// The 95th percentile of answers' durations, in milliseconds.
    LatencyP95,
    /// The 99th percentile of answers' durations, in milliseconds.
    LatencyP99,
    /// Requests that did not fail, in percent of all.
    Availability,
    /// Requests per second.
    Throughput,
    /// Processor use, in percent of what the instance may use.
    Cpu,
    /// Resident memory, in bytes.
    Memory,
    /// Resident memory, in percent of what the instance may use.
    MemoryPercent,
    /// Instances that there are.
    Instances,
    /// Instances that serve.
    HealthyInstances,
}

/// What a metric amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// How well the subject does.
    Status(Health),
    /// Thousandths of the metric's unit.
    Milli(i64),
}

impl Metric {
    /// Every metric.
    pub const ALL: [Metric; 12] = [
        Metric::HealthStatus,
        Metric::ErrorRate,
        Metric::LatencyP50,
        Metric::LatencyP95,
        Metric::LatencyP99,
        Metric::Availability,
        Metric::Throughput,
        Metric::Cpu,
        Metric::Memory,
        Metric::MemoryPercent,
        Metric::Instances,
        Metric::HealthyInstances,
    ];

    /// The name that conditions use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Metric::HealthStatus => "health_status",
            Metric::ErrorRate => "error_rate",
            Metric::LatencyP50 => "latency_p50",
            Metric::LatencyP95 => "latency_p95",
            Metric::LatencyP99 => "latency_p99",
            Metric::Availability => "availability",
            Metric::Throughput => "throughput",
            Metric::Cpu => "cpu",
            Metric::Memory => "memory",
            Metric::MemoryPercent => "memory_percent",
            Metric::Instances => "instances",
            Metric::HealthyInstances => "healthy_instances",
        }
    }

    /// What it counts in.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Metric::HealthStatus => Unit::Word,
            Metric::ErrorRate | Metric::Availability | Metric::Cpu | Metric::MemoryPercent => Unit::Percent,
            Metric::LatencyP50 | Metric::LatencyP95 | Metric::LatencyP99 => Unit::Millis,
            Metric::Throughput => Unit::PerSecond,
            Metric::Memory => Unit::Bytes,
            Metric::Instances | Metric::HealthyInstances => Unit::Count,
        }
    }

    /// One line for people.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Metric::HealthStatus => "healthy, degraded, failed, starting, draining or unknown",
            Metric::ErrorRate => "requests that failed, in percent",
            Metric::LatencyP50 => "half of the answers took no longer, in milliseconds",
            Metric::LatencyP95 => "95 of 100 answers took no longer, in milliseconds",
            Metric::LatencyP99 => "99 of 100 answers took no longer, in milliseconds",
            Metric::Availability => "requests that were answered, in percent",
            Metric::Throughput => "requests in a second",
            Metric::Cpu => "processor use of what may be used, in percent",
            Metric::Memory => "resident memory of the largest instance, in bytes",
            Metric::MemoryPercent => "resident memory of what may be used, in percent",
            Metric::Instances => "instances that there are",
            Metric::HealthyInstances => "instances that serve",
        }
    }

    /// The unit's suffix, as people write it after a number.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self.unit() {
            Unit::Word | Unit::Count => "",
            Unit::Percent => "%",
            Unit::Millis => "ms",
            Unit::Seconds => "s",
            Unit::PerSecond => " req/s",
            Unit::Bytes => " B",
        }
    }

    /// The amount for a person: `latency_p95 = 212.4ms`.
    #[must_use]
    pub fn tell(self, amount: Amount) -> String {
        match amount {
            Amount::Status(health) => format!("{} = {health}", self.name()),
            Amount::Milli(milli) => format!("{} = {}{}", self.name(), decimal(milli), self.suffix()),
        }
    }
}

/// Thousandths as a decimal text without trailing zeros.
pub(crate) fn decimal(milli: i64) -> String {
    let (whole, rest) = (milli.unsigned_abs() / 1_000, milli.unsigned_abs() % 1_000);
    let sign = if milli < 0 { "-" } else { "" };
    let text = format!("{sign}{whole}.{rest:03}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What one instance may use; nothing where nobody said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Thousandths of a core.
    pub cpu_millicores: Option<u64>,
    /// Bytes.
    pub memory_bytes: Option<u64>,
}

/// What one subject, an instance or a whole component, did in a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// How well it did at the end.
    pub health: Health,
    /// Requests in all.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// How long answers took.
    pub latency: Histogram,
    /// How long the span was.
    pub span: Duration,
    /// Processor use of one instance, in thousandths of a core; the mean over instances.
    pub cpu_millicores: Option<u64>,
    /// Resident memory of one instance; the largest over instances.
    pub memory_bytes: Option<u64>,
    /// Instances that there are, and of them those that serve; none of a single instance.
    pub instances: Option<(u64, u64)>,
}

impl Reading {
    /// What one instance did in a window of this span.
    #[must_use]
    pub fn of_instance(sample: &InstanceSample, span: Duration) -> Self {
        Self {
            health: sample.health,
            requests: sample.requests,
            errors: sample.errors,
            latency: sample.latency.clone(),
            span,
            cpu_millicores: Some(sample.cpu_millicores),
            memory_bytes: Some(sample.memory_bytes),
            instances: None,
        }
    }

    /// What the component did as a whole, as its clients saw it.
    #[must_use]
    pub fn of_component(window: &Window) -> Self {
        let serving: Vec<&InstanceSample> = window.instances.iter().filter(|one| serves(one.health)).collect();
        let cpu_sum: u64 = serving.iter().fold(0, |sum, one| sum.saturating_add(one.cpu_millicores));
        Self {
            health: overall(window.instances.iter().map(|one| one.health)),
            requests: window.requests,
            errors: window.errors,
            latency: window.latency.clone(),
            span: window.to.since(window.from),
            cpu_millicores: cpu_sum.checked_div(serving.len() as u64),
            memory_bytes: serving.iter().map(|one| one.memory_bytes).max(),
            instances: Some((window.instances.len() as u64, serving.len() as u64)),
        }
    }

    /// What a metric amounts to; nothing when it cannot be told, be it that fewer than `least` requests were counted or
    /// that no limit is known. Nothing measured is not zero.
    #[must_use]
    pub fn amount(&self, metric: Metric, limits: &Limits, least: u64) -> Option<Amount> {
        let enough = self.requests >= least.max(1);
        match metric {
            Metric::HealthStatus => match self.health {
                Health::Unknown => None,
                known @ (Health::Healthy | Health::Degraded | Health::Failed | Health::Starting | Health::Draining) => {
                    Some(Amount::Status(known))
                }
            },
            Metric::ErrorRate => {
                if enough {
                    share(self.errors.min(self.requests), self.requests)
                } else {
                    None
                }
            }
            Metric::Availability => {
                if enough {
                    share(self.requests.saturating_sub(self.errors), self.requests)
                } else {
                    None
                }
            }
            Metric::LatencyP50 => self.quantile(500, enough),
            Metric::LatencyP95 => self.quantile(950, enough),
            Metric::LatencyP99 => self.quantile(990, enough),
            Metric::Throughput => per(u128::from(self.requests) * 1_000_000_000, self.span.as_micros()),
            Metric::Cpu => share(self.cpu_millicores?, limits.cpu_millicores.unwrap_or(1_000)),
            Metric::Memory => per(u128::from(self.memory_bytes?) * 1_000, 1),
            Metric::MemoryPercent => share(self.memory_bytes?, limits.memory_bytes?),
            Metric::Instances => per(u128::from(self.instances?.0) * 1_000, 1),
            Metric::HealthyInstances => per(u128::from(self.instances?.1) * 1_000, 1),
        }
    }

    fn quantile(&self, permille: u32, enough: bool) -> Option<Amount> {
        let micros = self.latency.quantile(permille).filter(|_| enough)?;
        // Microseconds are thousandths of a millisecond.
        Some(Amount::Milli(i64::try_from(micros).unwrap_or(i64::MAX)))
    }
}

fn per(top: u128, bottom: u128) -> Option<Amount> {
    let quotient = top.checked_div(bottom)?;
    Some(Amount::Milli(i64::try_from(quotient).unwrap_or(i64::MAX)))
}

/// Percent, in thousandths.
fn share(part: u64, whole: u64) -> Option<Amount> {
    per(u128::from(part) * 100_000, u128::from(whole))
}

pub(crate) fn serves(health: Health) -> bool {
    matches!(health, Health::Healthy | Health::Degraded)
}

/// How a component does whose instances do so: failed when none serves, degraded when some do not.
pub(crate) fn overall(instances: impl Iterator<Item = Health>) -> Health {
    let mut counted: Vec<Health> = instances.filter(|health| *health != Health::Draining).collect();
    counted.sort_unstable();
    if counted.is_empty() || counted.iter().all(|health| *health == Health::Unknown) {
        Health::Unknown
    } else if counted.iter().all(|health| *health == Health::Healthy) {
        Health::Healthy
    } else if counted.iter().any(|health| serves(*health)) {
        Health::Degraded
    } else if counted.contains(&Health::Starting) && !counted.contains(&Health::Failed) {
        Health::Starting
    } else {
        Health::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_measured_is_not_zero() {
        let quiet = Reading {
            health: Health::Unknown,
            requests: 0,
            errors: 0,
            latency: Histogram::default(),
            span: Duration::from_secs(1),
            cpu_millicores: None,
            memory_bytes: Some(4),
            instances: None,
        };
        let told: Vec<Metric> =
            Metric::ALL.into_iter().filter(|metric| quiet.amount(*metric, &Limits::default(), 1).is_some()).collect();
        assert_eq!(told, [Metric::Throughput, Metric::Memory]);
    }

    #[test]
    fn a_component_fails_only_when_nobody_serves() {
        use Health::{Degraded, Draining, Failed, Healthy, Starting, Unknown};
        let cases: [(&[Health], Health); 7] = [
            (&[], Unknown),
            (&[Healthy, Healthy], Healthy),
            (&[Healthy, Draining], Healthy),
            (&[Healthy, Failed], Degraded),
            (&[Failed, Unknown], Failed),
            (&[Starting, Starting], Starting),
            (&[Degraded], Degraded),
        ];
        for (instances, expected) in cases {
            assert_eq!(overall(instances.iter().copied()), expected, "{instances:?}");
        }
    }

    #[test]
    fn amounts_are_told_in_their_unit_without_trailing_zeros() {
        assert_eq!(Metric::ErrorRate.tell(Amount::Milli(12_500)), "error_rate = 12.5%");
        assert_eq!(Metric::LatencyP95.tell(Amount::Milli(85_000)), "latency_p95 = 85ms");
        assert_eq!(Metric::HealthStatus.tell(Amount::Status(Health::Failed)), "health_status = failed");
        assert_eq!(decimal(-50), "-0.05");
    }
}
