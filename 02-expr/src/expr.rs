//! An expression: compiled once, evaluated often.

#![expect(clippy::wildcard_enum_match_arm, reason = "a pattern asks for one shape, and every other shape is a no")]

use crate::ast::{Kind, Literal, Node, Unary};
use crate::atoms::{self, Atom};
use crate::check::{self, Present};
use crate::facts::{Facts, View, shown};
use crate::lower::{SLOT, lower};
use crate::parse::parse;
use crate::schema::Schema;
use crate::sort::Sort;
use crate::{ExprProblem, Limits};
use cel::common::ast::IdedExpr;
use cel::{ExecutionError, Value};
use serde_json::{Map, Number, Value as Json};
use std::sync::Arc;

/// An expression that was checked against a schema. Evaluation runs on the caller's stack and expects 8 MiB of it.
#[derive(Debug, Clone)]
pub struct Expr {
    source: String,
    root: Node,
    lowered: IdedExpr,
    schema: Arc<Schema>,
    truth: bool,
    yes: Present,
    reads: Vec<String>,
    cost: u64,
}

/// Why an expression has no value for these facts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The engine could not evaluate it: division by zero, an index out of range, a number out of range.
    #[error("cannot be evaluated: {reason}")]
    Failed {
        /// What the engine said.
        reason: String,
    },
    /// It is neither true nor false.
    #[error("is neither true nor false")]
    NotTruth,
}

/// One part of an expression and what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// How deep it stands in the whole, from 0.
    pub depth: usize,
    /// The part as it was written.
    pub source: String,
    /// Its value, or why it has none.
    pub value: Result<String, EvalError>,
}

impl Expr {
    /// Compiles an expression of any type.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its bytes in the source.
    pub fn compile(source: &str, schema: &Arc<Schema>, limits: &Limits) -> Result<Self, Vec<ExprProblem>> {
        Self::compile_given(source, schema, limits, &Present::new())
    }

    /// Compiles a condition: an expression that is true or false.
    ///
    /// # Errors
    /// As [`Expr::compile`], and when it is neither.
    pub fn condition(source: &str, schema: &Arc<Schema>, limits: &Limits) -> Result<Self, Vec<ExprProblem>> {
        Self::compile(source, schema, limits)?.must_be_truth()
    }

    /// Compiles a condition that is asked only where `given` is true, so that facts which `given` asked for are there.
    ///
    /// # Errors
    /// As [`Expr::condition`].
    pub fn condition_given(source: &str, given: &Expr, limits: &Limits) -> Result<Self, Vec<ExprProblem>> {
        Self::compile_given(source, &given.schema, limits, &given.yes)?.must_be_truth()
    }

    fn compile_given(
        source: &str,
        schema: &Arc<Schema>,
        limits: &Limits,
        given: &Present,
    ) -> Result<Self, Vec<ExprProblem>> {
        let root = parse(source, limits).map_err(|problem| vec![problem])?;
        let checked = check::check(&root, schema, limits, given)?;
        Ok(Self {
            source: source.to_owned(),
            lowered: lower(&root, schema),
            root,
            schema: Arc::clone(schema),
            truth: matches!(checked.sort, Sort::Bool | Sort::Unknown),
            yes: checked.yes,
            reads: checked.reads.into_iter().collect(),
            cost: checked.cost,
        })
    }

    fn must_be_truth(self) -> Result<Self, Vec<ExprProblem>> {
        if self.truth {
            return Ok(self);
        }
        let problem =
            ExprProblem::new(0, self.source.len(), "this must be true or false, and is another sort of value");
        Err(vec![problem.hint("compare it with something")])
    }

    /// The source.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The dotted paths of the facts it reads, sorted.
    #[must_use]
    pub fn reads(&self) -> &[String] {
        &self.reads
    }

    /// The work it takes in the worst case that the schema's bounds allow; a unit is about a tenth of a microsecond.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// The simple comparisons that must all hold for it to be true: what an index can be made of.
    #[must_use]
    pub fn atoms(&self) -> Vec<Atom> {
        atoms::required(&self.root, &self.schema)
    }

    /// Why it can never be true, if its syntax shows that.
    #[must_use]
    pub fn never_true(&self) -> Option<ExprProblem> {
        atoms::contradiction(&self.root, &self.schema)
    }

    /// Whether it is the literal `true`.
    #[must_use]
    pub fn always_true(&self) -> bool {
        matches!(self.root.kind, Kind::Literal(Literal::Bool(true)))
    }

    /// Evaluates it.
    ///
    /// # Errors
    /// When it has no value for these facts.
    pub fn eval(&self, facts: &Facts) -> Result<Json, EvalError> {
        evaluate(&self.lowered, &facts.view(), &self.schema).map(json)
    }

    /// Evaluates a condition.
    ///
    /// # Errors
    /// When it has no value for these facts, or is neither true nor false.
    pub fn holds(&self, facts: &Facts) -> Result<bool, EvalError> {
        self.holds_in(&facts.view())
    }

    /// Evaluates a condition, as one of several over the same facts.
    ///
    /// # Errors
    /// As [`Expr::holds`].
    pub fn holds_in(&self, facts: &View<'_>) -> Result<bool, EvalError> {
        match evaluate(&self.lowered, facts, &self.schema)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(EvalError::NotTruth),
        }
    }

    /// What its parts came to: every operand of `&&`, `||`, `!`, `? :` and of comparisons, outermost first.
    #[must_use]
    pub fn explain(&self, facts: &Facts) -> Vec<Part> {
        let mut parts = Vec::new();
        self.explain_node(&self.root, 0, facts, &mut parts);
        parts
    }

    fn explain_node(&self, node: &Node, depth: usize, facts: &Facts, parts: &mut Vec<Part>) {
        if matches!(node.kind, Kind::Literal(_)) || parts.len() >= 200 {
            return;
        }
        let value = evaluate(&lower(node, &self.schema), &facts.view(), &self.schema).map(|value| shown(&json(value)));
        let source = self.source.get(node.start..node.end).unwrap_or_default().to_owned();
        parts.push(Part { depth, source, value });
        match &node.kind {
            Kind::All(operands) | Kind::Any(operands) => {
                operands.iter().for_each(|operand| self.explain_node(operand, depth + 1, facts, parts));
            }
            Kind::Binary { left, right, .. } => {
                self.explain_node(left, depth + 1, facts, parts);
                self.explain_node(right, depth + 1, facts, parts);
            }
            Kind::Unary { op: Unary::Not, operand } => self.explain_node(operand, depth + 1, facts, parts),
            Kind::Choose { condition, yes, no } => {
                [condition, yes, no].into_iter().for_each(|part| self.explain_node(part, depth + 1, facts, parts));
            }
            Kind::Literal(_)
            | Kind::Name(_)
            | Kind::Select { .. }
            | Kind::Index { .. }
            | Kind::Call { .. }
            | Kind::List(_)
            | Kind::Map(_)
            | Kind::Message { .. }
            | Kind::Unary { op: Unary::Negate, .. } => {}
        }
    }
}

fn evaluate(lowered: &IdedExpr, facts: &View<'_>, schema: &Schema) -> Result<Value, EvalError> {
    Value::resolve(lowered, &facts.0).map_err(|error| EvalError::Failed { reason: reason(&error, schema) })
}

/// What the engine said, in a line and without the values, which may be long.
fn reason(error: &ExecutionError, schema: &Schema) -> String {
    match error {
        ExecutionError::UndeclaredReference(name) => {
            let number = name.strip_prefix(SLOT).and_then(|number| number.parse::<usize>().ok());
            let path = number.and_then(|number| schema.slots().names.get(number)).unwrap_or(name);
            format!("`{}` is missing", path.trim_start_matches('?'))
        }
        ExecutionError::NoSuchKey(name) => format!("there is no key `{name}`"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "remainder of a division by zero".to_owned(),
        ExecutionError::Overflow(..) => "a number is out of range".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "an index is out of range".to_owned(),
        other => other.to_string().chars().take(200).collect(),
    }
}

fn json(value: Value) -> Json {
    match value {
        Value::Bool(value) => Json::Bool(value),
        Value::Int(value) => Json::from(value),
        Value::UInt(value) => Json::from(value),
        Value::Float(value) => Number::from_f64(value).map_or(Json::Null, Json::Number),
        Value::String(text) => Json::String(text.to_string()),
        Value::List(items) => Json::Array(items.iter().cloned().map(json).collect()),
        Value::Map(map) => {
            let entries = map.map.iter().map(|(key, value)| (key.to_string(), json(value.clone())));
            Json::Object(entries.collect::<Map<String, Json>>())
        }
        _ => Json::Null,
    }
}
