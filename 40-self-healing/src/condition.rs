//! A condition as the source writes it, `error_rate > 5%`, compiled once. The language is `02-expr`'s; this knows only which
//! metrics there are.

use crate::metric::{Amount, Metric, decimal};
use serde_json::{Map, Value, json};
use writ_expr::trigger::{self, Unit};
use writ_expr::{EvalError, Expr, ExprProblem, FactProblem, Facts, Limits, Schema};

/// A compiled condition over metrics.
#[derive(Debug, Clone)]
pub struct Condition {
    text: String,
    metrics: Vec<Metric>,
    /// Of just the metrics that it reads: what it does not read may be unknown.
    schema: Schema,
    expr: Expr,
}

/// Why a condition cannot be compiled or has no value.
#[derive(Debug, thiserror::Error)]
pub enum ConditionError {
    /// It is not a condition over the metrics there are.
    #[error("{}", .problems.iter().map(|problem| format!("at character {}: {problem}", problem.offset + 1)).collect::<Vec<_>>().join("; "))]
    Problems {
        /// Everything that is wrong with it.
        problems: Vec<ExprProblem>,
    },
    /// It reads no metric, so it would always or never hold.
    #[error("the condition reads no metric")]
    Constant,
    /// It was given values that do not fit its metrics: a fault of ours.
    #[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Facts {
        /// Everything that does not fit.
        problems: Vec<FactProblem>,
    },
    /// It has no value for these amounts.
    #[error("the condition has no value")]
    Eval {
        /// Why not.
        #[source]
        source: EvalError,
    },
}

impl Condition {
    /// Compiles a condition.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(text: &str) -> Result<Self, ConditionError> {
        let told = |problems| ConditionError::Problems { problems };
        let compiled = |metrics: &[Metric]| {
            let known: Vec<trigger::Metric> = metrics.iter().map(|metric| known(*metric)).collect();
            trigger::condition(text, &known, &Limits::default())
                .map(|expr| (expr, trigger::schema(&known)))
                .map_err(told)
        };
        let (first, _) = compiled(&Metric::ALL)?;
        let read = |metric: &Metric| first.reads().iter().any(|name| name == metric.name());
        let metrics: Vec<Metric> = Metric::ALL.into_iter().filter(read).collect();
        if metrics.is_empty() {
            return Err(ConditionError::Constant);
        }
        let (expr, schema) = compiled(&metrics)?;
        Ok(Self { text: text.to_owned(), metrics, schema, expr })
    }

    /// The condition as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The metrics it reads.
    pub fn metrics(&self) -> impl Iterator<Item = Metric> {
        self.metrics.iter().copied()
    }

    /// Whether health is all it reads, so that it can be told the moment that health changes.
    #[must_use]
    pub fn is_health_only(&self) -> bool {
        self.metrics == [Metric::HealthStatus]
    }

    /// Whether it holds for these amounts, which must be of just the metrics that it reads.
    ///
    /// # Errors
    /// When it has no value for them.
    pub fn holds(&self, amounts: &[(Metric, Amount)]) -> Result<bool, ConditionError> {
        let facts: Map<String, Value> = amounts.iter().map(|(metric, amount)| fact(*metric, *amount)).collect();
        let facts =
            Facts::new(&self.schema, Value::Object(facts)).map_err(|problems| ConditionError::Facts { problems })?;
        self.expr.holds(&facts).map_err(|source| ConditionError::Eval { source })
    }
}

fn fact(metric: Metric, amount: Amount) -> (String, Value) {
    let value = match (amount, metric.unit()) {
        (Amount::Status(health), _) => json!(health.to_string()),
        (Amount::Milli(milli), Unit::Count) => json!(milli / 1_000),
        (
            Amount::Milli(milli),
            Unit::Percent | Unit::Millis | Unit::Seconds | Unit::PerSecond | Unit::Bytes | Unit::Word,
        ) => json!(decimal(milli)),
    };
    (metric.name().to_owned(), value)
}

fn known(metric: Metric) -> trigger::Metric {
    trigger::Metric { name: metric.name(), unit: metric.unit(), about: metric.about() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_core::Health;

    #[test]
    fn the_sources_conditions_hold_when_they_should() {
        let (high, low) = (Amount::Milli(5_001), Amount::Milli(5_000));
        let errors = Condition::compile("error_rate > 5%").unwrap();
        assert!(errors.holds(&[(Metric::ErrorRate, high)]).unwrap());
        assert!(!errors.holds(&[(Metric::ErrorRate, low)]).unwrap());
        assert!(!errors.is_health_only());

        let slow = Condition::compile("latency_p95 > 200ms").unwrap();
        assert!(slow.holds(&[(Metric::LatencyP95, Amount::Milli(200_001))]).unwrap());
        assert!(!slow.holds(&[(Metric::LatencyP95, Amount::Milli(200_000))]).unwrap());

        let failed = Condition::compile("health_status == 'failed'").unwrap();
        assert!(failed.is_health_only());
        assert!(failed.holds(&[(Metric::HealthStatus, Amount::Status(Health::Failed))]).unwrap());
        assert!(!failed.holds(&[(Metric::HealthStatus, Amount::Status(Health::Healthy))]).unwrap());
    }

    #[test]
    fn every_metric_of_the_language_is_measured_here() {
        for metric in trigger::METRICS {
            assert!(Metric::ALL.iter().any(|own| own.name() == metric.name && own.unit() == metric.unit), "{metric:?}");
        }
    }

    #[test]
    fn conditions_over_several_metrics_and_over_nothing() {
        let both = Condition::compile("cpu > 80% && memory > 512MiB").unwrap();
        let metrics: Vec<Metric> = both.metrics().collect();
        assert_eq!(metrics, [Metric::Cpu, Metric::Memory]);
        let amounts = [(Metric::Cpu, Amount::Milli(90_000)), (Metric::Memory, Amount::Milli((600 << 20) * 1_000))];
        assert!(both.holds(&amounts).unwrap());
        assert!(matches!(Condition::compile("1 < 2"), Err(ConditionError::Constant)));
    }

    #[test]
    fn a_wrong_metric_or_unit_is_refused_when_it_is_compiled() {
        for wrong in ["error_rat > 5%", "error_rate > 5 parsecs", "latency_p95 > 5%", "error_rate >", ""] {
            assert!(Condition::compile(wrong).is_err(), "{wrong}");
        }
    }
}
