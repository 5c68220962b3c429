//! Pictures that the server draws: a plan as a graph, a run as a timeline, availability as a line. Each has a twin in words.

mod dag;
mod spark;
mod timeline;

pub(crate) use dag::{Node, dag};
pub(crate) use spark::spark;
pub(crate) use timeline::{Bar, Lane, timeline};
