//! Conditions over metrics, as the source writes them: `error_rate > 5%`, `latency_p95 > 200ms`, `health_status == 'failed'`.
//!
//! A metric declares its unit; a quantity that stands beside it is put into that unit before the expression is compiled.

#![expect(clippy::wildcard_enum_match_arm, reason = "a pattern asks for one shape, and every other shape is a no")]

use crate::quantity::{Bytes, Dimension, Quantity, QuantityError, Rate, Ratio, Span};
use crate::token::{Spanned, Token, tokens};
use crate::{Expr, ExprProblem, Limits, Schema, Type};
use std::sync::Arc;

/// What a metric counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Percent, 0 to 100.
    Percent,
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
    /// Requests per second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// A number of things.
    Count,
    /// A word, such as a health state.
    Word,
}

/// A metric that a condition may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name: `error_rate`.
    pub name: &'static str,
    /// What it counts in.
    pub unit: Unit,
    /// One line for people.
    pub about: &'static str,
}

/// The metrics that every component has, in the units that the sources use.
pub const METRICS: &[Metric] = &[
    Metric { name: "availability", unit: Unit::Percent, about: "requests that were answered, in percent" },
    Metric { name: "cpu", unit: Unit::Percent, about: "processor use of the cores granted, in percent" },
    Metric { name: "error_rate", unit: Unit::Percent, about: "requests that failed, in percent" },
    Metric { name: "health_status", unit: Unit::Word, about: "healthy, degraded, failed or unknown" },
    Metric { name: "healthy_instances", unit: Unit::Count, about: "instances that answer their health check" },
    Metric { name: "instances", unit: Unit::Count, about: "instances that should be there" },
    Metric { name: "latency_p50", unit: Unit::Millis, about: "half of the answers took no longer, in milliseconds" },
    Metric { name: "latency_p95", unit: Unit::Millis, about: "95 of 100 answers took no longer, in milliseconds" },
    Metric { name: "latency_p99", unit: Unit::Millis, about: "99 of 100 answers took no longer, in milliseconds" },
    Metric { name: "memory", unit: Unit::Bytes, about: "resident memory of the largest instance, in bytes" },
    Metric { name: "throughput", unit: Unit::PerSecond, about: "requests in a second" },
];

/// The facts schema of a set of metrics: every metric may be missing, because a sensor may be silent, and a condition that reads
/// a missing one has no value.
#[must_use]
pub fn schema(metrics: &[Metric]) -> Schema {
    metrics.iter().fold(Schema::new(), |schema, metric| {
        let ty = match metric.unit {
            Unit::Percent | Unit::Millis | Unit::Seconds | Unit::PerSecond | Unit::Bytes => Type::Number,
            Unit::Count => Type::Int,
            Unit::Word => Type::WORD,
        };
        schema.fact(metric.name, ty, metric.about)
    })
}

/// Compiles a condition over metrics.
///
/// # Errors
/// Everything that is wrong with it, each with its bytes in the source: also a quantity whose dimension is not its metric's, and
/// one that stands beside no metric.
pub fn condition(source: &str, metrics: &[Metric], limits: &Limits) -> Result<Expr, Vec<ExprProblem>> {
    let converted = convert(source, metrics, limits).map_err(|problem| vec![problem])?;
    Expr::condition(&converted.text, &Arc::new(schema(metrics)), limits)
        .map_err(|problems| problems.into_iter().map(|problem| converted.back(problem)).collect())
}

/// The same condition in plain CEL, its quantities put into the units of their metrics.
///
/// # Errors
/// When it is beyond the limits, is not made of tokens, or a quantity does not fit its metric.
pub fn to_cel(source: &str, metrics: &[Metric], limits: &Limits) -> Result<String, ExprProblem> {
    convert(source, metrics, limits).map(|converted| converted.text)
}

struct Converted {
    text: String,
    /// Where each literal that was replaced stood, and where its replacement stands: (old start, old end, new start, new end).
    moved: Vec<(usize, usize, usize, usize)>,
}

impl Converted {
    /// A problem of the converted text, in the bytes of the source.
    fn back(&self, mut problem: ExprProblem) -> ExprProblem {
        let place = |at: usize| match self.moved.iter().rev().find(|(_, _, start, _)| *start <= at) {
            Some((old, _, _, new_end)) if at < *new_end => *old,
            Some((_, old_end, _, new_end)) => old_end + (at - new_end),
            None => at,
        };
        let end = place(problem.offset + problem.length);
        problem.offset = place(problem.offset);
        problem.length = end.saturating_sub(problem.offset).max(1);
        problem
    }
}

fn convert(source: &str, metrics: &[Metric], limits: &Limits) -> Result<Converted, ExprProblem> {
    if source.len() > limits.source {
        let message = format!("this condition has {} bytes, and at most {} are read", source.len(), limits.source);
        return Err(ExprProblem::new(0, 1, message));
    }
    let all = tokens(source)?;
    let mut converted = Converted { text: String::new(), moved: Vec::new() };
    let (mut copied, mut at) = (0, 0);
    while let Some(token) = all.get(at) {
        let Some(unit_end) = unit_after(source, &all, at) else {
            at += 1;
            continue;
        };
        let (start, end) = (token.start, all.get(unit_end).map_or(source.len(), |last| last.end));
        let metric = beside(&all, at, unit_end, metrics).ok_or_else(|| {
            let written = source.get(start..end).unwrap_or_default();
            ExprProblem::new(start, end, format!("`{written}` stands beside no metric, so its unit is not known"))
                .hint("compare it with a metric, like error_rate > 5%")
        })?;
        let value = in_unit(source.get(start..end).unwrap_or_default(), metric, start, end)?;
        converted.text.push_str(source.get(copied..start).unwrap_or_default());
        let new = converted.text.len();
        converted.text.push_str(&value);
        converted.moved.push((start, end, new, converted.text.len()));
        copied = end;
        at = unit_end + 1;
    }
    converted.text.push_str(source.get(copied..).unwrap_or_default());
    Ok(converted)
}

/// The last token of the unit that follows a number, if one does: `5%`, `200ms`, `1000 req/s`.
fn unit_after(source: &str, all: &[Spanned], at: usize) -> Option<usize> {
    let number = all.get(at)?;
    if !matches!(number.token, Token::Int(_) | Token::Double(_)) {
        return None;
    }
    let next = all.get(at + 1)?;
    match &next.token {
        // `5%` is a quantity, `5 % 2` is a remainder.
        Token::Mark("%") => {
            let attached = next.start == number.end;
            let operand = all.get(at + 2).is_some_and(|after| {
                !matches!(
                    after.token,
                    Token::Mark("&&" | "||" | ")" | "," | "]" | "?" | ":" | "==" | "!=" | "<" | "<=" | ">" | ">=")
                ) && !matches!(after.token, Token::End)
            });
            (attached && !operand).then_some(at + 1)
        }
        Token::Name(word) if word != "in" => {
            let per = all.get(at + 2).is_some_and(|mark| mark.token == Token::Mark("/"));
            let unit = all.get(at + 3).filter(|last| per && matches!(last.token, Token::Name(_)));
            let end = if unit.is_some() { at + 3 } else { at + 1 };
            source.get(number.start..all.get(end)?.end).map(|_| end)
        }
        _ => None,
    }
}

/// The metric on the other side of the comparison that a quantity stands in.
fn beside<'m>(all: &[Spanned], first: usize, last: usize, metrics: &'m [Metric]) -> Option<&'m Metric> {
    let metric = |at: Option<usize>| match &all.get(at?)?.token {
        Token::Name(name) => metrics.iter().find(|metric| metric.name == name),
        _ => None,
    };
    let compares = |at: Option<usize>| {
        at.and_then(|at| all.get(at))
            .is_some_and(|spanned| matches!(spanned.token, Token::Mark("==" | "!=" | "<" | "<=" | ">" | ">=")))
    };
    let before = first.checked_sub(1);
    if compares(before) {
        return metric(first.checked_sub(2));
    }
    if compares(Some(last + 1)) {
        return metric(Some(last + 2));
    }
    None
}

/// The quantity as a number in the metric's unit.
fn in_unit(written: &str, metric: &Metric, start: usize, end: usize) -> Result<String, ExprProblem> {
    let told = |error: QuantityError| ExprProblem::new(start, end, error.to_string()).hint(error.hint());
    let (value, base) = match metric.unit {
        Unit::Percent => (Ratio::read(written).map_err(told)?.0, 10_000_000),
        Unit::Millis => (Span::read(written).map_err(told)?.0, 1_000_000),
        Unit::Seconds => (Span::read(written).map_err(told)?.0, 1_000_000_000),
        Unit::PerSecond => (Rate::read(written).map_err(told)?.0, 1_000),
        Unit::Bytes => (Bytes::read(written).map_err(told)?.0, 1),
        Unit::Count | Unit::Word => {
            let message = format!("`{}` has no unit, and `{written}` has one", metric.name);
            return Err(
                ExprProblem::new(start, end, message).hint(format!("write it like '{}'", Dimension::Count.form()))
            );
        }
    };
    let number = crate::quantity::decimal(value, base);
    Ok(if number.contains('.') { number } else { format!("{number}.0") })
}
