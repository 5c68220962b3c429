//! Is every value of one schema also a value of the other? Answered with a proof, a counterexample, or not at all.
//!
//! `sub ⊆ sup` holds exactly when no value satisfies `sub` and not `sup`, so the prover looks for such a value. A *goal* is a
//! set of schemas, each to be satisfied or not. For each JSON type the goal is taken apart into *facts* (bounds, patterns,
//! present properties…) and *clauses* (choices); when all choices of a branch are made, a small solver per type either
//! builds a value or shows that there is none. Values nest, so arrays and objects ask for values of smaller goals.
//!
//! Three rules keep the answer honest:
//! * what is not followed is *left out* of a branch. That only makes more values possible, so "there is none" stays true,
//!   and a value found so is marked as a guess;
//! * every value found is checked by the real validator under both schemas before it is shown;
//! * a goal met again inside itself counts as having no value there: if it has a value at all, it has a smallest one, and
//!   that one does not contain another value of the same goal. Answers that lean on this are not remembered.

mod array;
mod branch;
mod eval;
mod fact;
mod number;
mod object;
pub(crate) mod rational;
mod solve;

use crate::model::{Draft, Model};
use crate::{Schema, SchemaError, limits};
use serde_json::Value;
use std::cell::Cell;

/// A line of a proof: why one way of telling the schemas apart cannot work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// The requirement of `sup` that no value of `sub` breaks, as a JSON pointer; empty is the whole.
    pub pointer: String,
    /// Why none does.
    pub because: String,
}

/// The answer of [`subsumes`].
#[derive(Debug, Clone, PartialEq)]
pub enum Compatibility {
    /// Every value of `sub` is a value of `sup`. At most 200 steps of the proof, sorted.
    Compatible(Vec<Step>),
    /// This value is valid under `sub` and invalid under `sup`; the validator has confirmed both.
    Incompatible {
        /// The requirement of `sup` that it breaks, as a JSON pointer into `sup`.
        pointer: String,
        /// The counterexample.
        witness: Value,
    },
    /// Neither could be shown.
    Unknown {
        /// The place that was too hard, as a JSON pointer into one of the schemas.
        pointer: String,
        /// Why.
        reason: String,
    },
}

/// How much work some questions may take together. What is worth proving takes a fraction of it; schemas of a few kilobytes can be
/// made to ask for hours.
#[derive(Debug)]
pub struct Effort(Cell<u64>);

impl Effort {
    /// For one question.
    pub const ONE: u64 = 1_000_000;

    /// As much as so many questions may take that are as hard as one may be.
    #[must_use]
    pub fn of(questions: u64) -> Self {
        Self(Cell::new(Self::ONE.saturating_mul(questions)))
    }

    /// Takes so much of it; none when there is less left, and then nothing is.
    fn spend(&self, work: u64) -> Option<()> {
        let left = self.0.get().checked_sub(work);
        self.0.set(left.unwrap_or(0));
        left.map(drop)
    }
}

/// Whether every value that `sub` accepts is accepted by `sup`.
#[must_use]
pub fn subsumes(sub: &Schema, sup: &Schema) -> Compatibility {
    subsumes_within(sub, sup, &Effort::of(1))
}

/// As [`subsumes`], for one of several questions that share what may be spent on them; the answer is unknown when that is spent.
#[must_use]
pub fn subsumes_within(sub: &Schema, sup: &Schema, effort: &Effort) -> Compatibility {
    let model = match Model::of(&[sub.document(), sup.document()]) {
        Ok(model) => model,
        Err(error) => return unknown(&error),
    };
    let same = model.node(model.roots[0]).class == model.node(model.roots[1]).class;
    if same {
        return Compatibility::Compatible(vec![Step {
            pointer: String::new(),
            because: "both schemas say the same".into(),
        }]);
    }
    if model.drafts.contains(&Draft::Four) {
        let reason = "draft 4 counts `1.0` differently; write the schema in a newer draft".into();
        return Compatibility::Unknown { pointer: "/$schema".into(), reason };
    }
    let agrees = |value: &Value| !limits::is_too_deep(value) && sub.accepts(value) && !sup.accepts(value);
    match solve::Solver::new(&model, &agrees, effort).decide() {
        solve::Verdict::None(steps) => Compatibility::Compatible(steps),
        solve::Verdict::Some(witness) => {
            let pointer = sup.check(&witness).into_iter().next().map(|misfit| misfit.schema).unwrap_or_default();
            Compatibility::Incompatible { pointer, witness }
        }
        solve::Verdict::Unknown { pointer, reason } => Compatibility::Unknown { pointer, reason },
    }
}

fn unknown(error: &SchemaError) -> Compatibility {
    Compatibility::Unknown { pointer: String::new(), reason: error.to_string() }
}
