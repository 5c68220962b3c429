//! Expressions and quantities.

pub mod quantity;
