//! Documents that people write, read into trees in which every value and every key knows its place.
//!
//! In goes YAML or JSON as bytes; out comes a [`Node`], or every [`Problem`] found, each with file, line, column and a way
//! out. What a person would not expect is refused instead of guessed: `yes` is a text and not a truth, `010` and `1_000` are
//! texts and not numbers, a key that stands twice is an error, merge keys (`<<`) and unknown tags are errors. Size, depth,
//! nodes and what aliases may expand to are bounded by [`Limits`]; nothing in here recurses deeper than that.
//!
//! A layer reads its own document from the tree with [`Fields`], which records the keys that were asked for, so that the
//! others can be reported with the nearest known name, and which collects problems instead of stopping at the first:
//!
//! ```
//! use writ_text::{Limits, Problems, read};
//!
//! let node = read("web.yaml", b"name: web\nreplcas: 3\n", &Limits::default()).unwrap();
//! let problems = Problems::new();
//! let mut fields = node.fields("the service", &problems).unwrap();
//! let name = fields.text("name");
//! let replicas = fields.int("replicas", 1..=100);
//! fields.done();
//! assert_eq!((name, replicas), (Some("web"), None));
//! let told: Vec<String> = problems.into_sorted().iter().map(ToString::to_string).collect();
//! assert_eq!(told, [
//!     "web.yaml:1:1: the service has no `replicas`",
//!     "web.yaml:2:1: the service does not know `replcas`; did you mean `replicas`?",
//! ]);
//! ```
//!
//! This crate refuses to know what any document means.

mod escape;
mod fields;
mod limits;
mod load;
mod nearest;
mod node;
mod problem;
mod read;
mod render;
mod scalar;
mod write;

pub use escape::{is_blank, is_hidden, typed, uri, visible, xml};
pub use fields::Fields;
pub use limits::Limits;
pub use load::load;
pub use nearest::{listed, nearest};
pub use node::{At, Entry, Node, Value};
pub use problem::{Problem, Problems, problems};
pub use read::{read, read_all};
pub use render::render;
pub use write::to_yaml;
