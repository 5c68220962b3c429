//! The simple comparisons in a condition: what an index is made of, and what shows that a condition can never be true.

#![expect(clippy::wildcard_enum_match_arm, reason = "a pattern asks for one shape, and every other shape is a no")]

use crate::ExprProblem;
use crate::ast::{Binary, Kind, Literal, Node, Unary};
use crate::path::{self, Target};
use crate::schema::Schema;
use std::collections::BTreeMap;

/// One comparison of a fact with texts, which a condition requires.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Atom {
    /// The fact.
    pub path: String,
    /// The texts, one of which it must be.
    pub any_of: Vec<String>,
}

/// The texts that facts must be for the condition to be true.
pub(crate) fn required(root: &Node, schema: &Schema) -> Vec<Atom> {
    let mut atoms = Vec::new();
    for node in conjuncts(root) {
        if let Some(Test { path, holds: Holds::OneOf(values) }) = test(node, schema) {
            let any_of = values.into_iter().filter_map(|value| match value {
                Constant::Text(text) => Some(text),
                Constant::Bool(_) | Constant::Number(_) => None,
            });
            atoms.push(Atom { path, any_of: any_of.collect() });
        }
    }
    atoms.retain(|atom| !atom.any_of.is_empty());
    atoms
}

/// Why the condition can never be true, if its comparisons contradict each other.
pub(crate) fn contradiction(root: &Node, schema: &Schema) -> Option<ExprProblem> {
    let say = |node: &Node, message: String| Some(ExprProblem::new(node.start, node.end, message));
    match &root.kind {
        Kind::Literal(Literal::Bool(false)) => return say(root, "this is never true".to_owned()),
        Kind::Any(branches) => {
            let mut problems = branches.iter().map(|branch| contradiction(branch, schema));
            let first = problems.next()??;
            return problems.all(|problem| problem.is_some()).then_some(first);
        }
        _ => {}
    }
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for node in conjuncts(root) {
        if !std::ptr::eq(node, root)
            && let Some(problem) = contradiction(node, schema)
        {
            return Some(problem);
        }
        let Some(Test { path, holds }) = test(node, schema) else { continue };
        let entry = known.entry(path.clone()).or_default();
        entry.narrow(holds);
        if entry.empty() {
            return say(node, format!("this is never true together with what stands before it about `{path}`"));
        }
    }
    None
}

fn conjuncts(root: &Node) -> Vec<&Node> {
    match &root.kind {
        Kind::All(operands) => operands.iter().flat_map(conjuncts).collect(),
        _ => vec![root],
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Constant {
    Text(String),
    Bool(bool),
    Number(f64),
}

struct Test {
    path: String,
    holds: Holds,
}

enum Holds {
    OneOf(Vec<Constant>),
    NoneOf(Vec<Constant>),
    Above { limit: f64, too: bool },
    Below { limit: f64, too: bool },
}

/// The comparison of one fact with constants that the node is, if it is one.
fn test(node: &Node, schema: &Schema) -> Option<Test> {
    let fact = |node: &Node| match path::resolve(node, schema)?.ok()? {
        path if matches!(path.target, Target::Group(_)) => None,
        path => Some(path.text),
    };
    match &node.kind {
        Kind::Unary { op: Unary::Not, operand } => {
            let Test { path, holds } = test(operand, schema)?;
            let holds = match holds {
                Holds::OneOf(values) => Holds::NoneOf(values),
                Holds::NoneOf(values) => Holds::OneOf(values),
                Holds::Above { limit, too } => Holds::Below { limit, too: !too },
                Holds::Below { limit, too } => Holds::Above { limit, too: !too },
            };
            Some(Test { path, holds })
        }
        Kind::Name(_) | Kind::Select { .. } => {
            Some(Test { path: fact(node)?, holds: Holds::OneOf(vec![Constant::Bool(true)]) })
        }
        Kind::Binary { op: Binary::In, left, right } => {
            let Kind::List(items) = &right.kind else { return None };
            let values: Option<Vec<Constant>> = items.iter().map(|item| constant(&item.value)).collect();
            Some(Test { path: fact(left)?, holds: Holds::OneOf(values?) })
        }
        Kind::Binary { op, left, right } => match (fact(left), constant(right)) {
            (Some(path), Some(value)) => Some(Test { path, holds: holds(*op, value)? }),
            _ => Some(Test { path: fact(right)?, holds: holds(mirrored(*op), constant(left)?)? }),
        },
        _ => None,
    }
}

fn constant(node: &Node) -> Option<Constant> {
    let Kind::Literal(literal) = &node.kind else { return None };
    #[expect(clippy::cast_precision_loss, reason = "a limit beyond 2^53 cannot be reached by a fact")]
    match literal {
        Literal::Text(text) => Some(Constant::Text(text.clone())),
        Literal::Bool(value) => Some(Constant::Bool(*value)),
        Literal::Int(value) => Some(Constant::Number(*value as f64)),
        Literal::UInt(value) => Some(Constant::Number(*value as f64)),
        Literal::Double(value) => Some(Constant::Number(*value)),
        Literal::Null | Literal::Bytes(_) => None,
    }
}

fn mirrored(op: Binary) -> Binary {
    match op {
        Binary::Less => Binary::Greater,
        Binary::LessEqual => Binary::GreaterEqual,
        Binary::Greater => Binary::Less,
        Binary::GreaterEqual => Binary::LessEqual,
        Binary::Equal
        | Binary::NotEqual
        | Binary::In
        | Binary::Add
        | Binary::Subtract
        | Binary::Multiply
        | Binary::Divide
        | Binary::Remainder => op,
    }
}

fn holds(op: Binary, value: Constant) -> Option<Holds> {
    match (op, value) {
        (Binary::Equal, value) => Some(Holds::OneOf(vec![value])),
        (Binary::NotEqual, value) => Some(Holds::NoneOf(vec![value])),
        (Binary::Less, Constant::Number(limit)) => Some(Holds::Below { limit, too: false }),
        (Binary::LessEqual, Constant::Number(limit)) => Some(Holds::Below { limit, too: true }),
        (Binary::Greater, Constant::Number(limit)) => Some(Holds::Above { limit, too: false }),
        (Binary::GreaterEqual, Constant::Number(limit)) => Some(Holds::Above { limit, too: true }),
        _ => None,
    }
}

/// What is left of a fact's values after several comparisons.
struct Known {
    one_of: Option<Vec<Constant>>,
    none_of: Vec<Constant>,
    low: (f64, bool),
    high: (f64, bool),
}

impl Default for Known {
    fn default() -> Self {
        Self { one_of: None, none_of: Vec::new(), low: (f64::NEG_INFINITY, true), high: (f64::INFINITY, true) }
    }
}

impl Known {
    fn narrow(&mut self, holds: Holds) {
        match holds {
            Holds::OneOf(values) => {
                self.one_of = Some(match self.one_of.take() {
                    Some(so_far) => so_far.into_iter().filter(|value| values.contains(value)).collect(),
                    None => values,
                });
            }
            Holds::NoneOf(values) => self.none_of.extend(values),
            Holds::Above { limit, too } => {
                if limit > self.low.0 || (limit == self.low.0 && !too) {
                    self.low = (limit, too);
                }
            }
            Holds::Below { limit, too } => {
                if limit < self.high.0 || (limit == self.high.0 && !too) {
                    self.high = (limit, too);
                }
            }
        }
    }

    fn empty(&self) -> bool {
        let within = |value: &Constant| match value {
            Constant::Number(n) => {
                (*n > self.low.0 || (*n == self.low.0 && self.low.1))
                    && (*n < self.high.0 || (*n == self.high.0 && self.high.1))
            }
            Constant::Text(_) | Constant::Bool(_) => true,
        };
        let crossed = self.low.0 > self.high.0 || (self.low.0 == self.high.0 && !(self.low.1 && self.high.1));
        let none_left = self
            .one_of
            .as_ref()
            .is_some_and(|values| !values.iter().any(|value| within(value) && !self.none_of.contains(value)));
        let both = [true, false].iter().all(|truth| self.none_of.contains(&Constant::Bool(*truth)));
        crossed || none_left || both
    }
}
