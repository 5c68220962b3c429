//! Conditions and quantities: what people write where a number or a yes-or-no is wanted.
//!
//! In goes the source of an expression and a [`Schema`] of the facts it may read; out comes an [`Expr`] that was checked
//! before it ever runs, or every [`ExprProblem`] with its bytes in the source. The language is CEL. What is found when
//! compiling: unknown facts and functions, types that do not fit, facts that may be missing and were not asked for with
//! `has()`, conditions that can never be true. [`Facts`] are held to the same schema and its bounds before any expression
//! sees them.
//!
//! The engine underneath is the `cel` crate, and it is never trusted with what was not vetted. Our own parser reads the
//! source and bounds its size, nesting and chains; our own checker bounds the work, the texts and the lists in the worst case
//! that the schema's bounds allow ([`Limits`]); then the tree is handed over. Evaluation runs on the caller's stack and expects
//! 8 MiB of it: the runtime's threads have that.
//!
//! [`quantity`] reads `'99.9%'` and `'$500/month'` into exact integers, and [`trigger`] reads conditions such as
//! `error_rate > 5%` over metrics that declare their unit.
//!
//! This crate refuses to know what any fact means.

mod ast;
mod atoms;
mod check;
mod expr;
mod facts;
mod limits;
mod lower;
mod parse;
mod path;
mod problem;
pub mod quantity;
mod schema;
mod sort;
mod token;
pub mod trigger;

pub use atoms::Atom;
pub use expr::{EvalError, Expr, Part};
pub use facts::{FactProblem, Facts, View, shown};
pub use limits::Limits;
pub use problem::ExprProblem;
pub use schema::{Fact, Schema, Shape, Type};

/// The engine's tree of a source that keeps to the syntax and its limits but was not checked: for measuring the engine against
/// the language's conformance tests, and for nothing else.
///
/// # Errors
/// What is wrong with the syntax.
#[doc(hidden)]
pub fn unchecked(source: &str, limits: &Limits) -> Result<cel::common::ast::IdedExpr, ExprProblem> {
    parse::parse(source, limits).map(|node| lower::lower_unchecked(&node))
}
