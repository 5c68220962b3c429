//! A value that knows where it stands.

use crate::{Fields, Problems};
use serde_json::Value as Json;
use std::sync::Arc;
use writ_core::Place;

/// A place, sharing the file's name with every other place in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    /// The file's name as the person gave it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What stands there, as a JSON pointer into the document: `/intent/constraints/region/0`. Of a key, that of its value; where it
    /// would be longer than is useful, that of the value above.
    pub pointer: Arc<str>,
}

impl At {
    /// The place as the rest of the product speaks of it.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { file: self.file.to_string(), line: self.line, column: self.column }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One value of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: At,
    /// What it is.
    pub value: Value,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false, and nothing that merely sounds like it.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a point or an exponent; always finite.
    Float {
        /// The nearest double.
        value: f64,
        /// As it was written: `1.10` may have been meant as a text.
        written: String,
    },
    /// A text.
    Text {
        /// The text itself.
        value: String,
        /// Whether it stood in quotes or a block, so that it cannot have been meant as a number.
        quoted: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file, no key twice.
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub key_at: At,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// Where it begins.
    #[must_use]
    pub fn place(&self) -> Place {
        self.at.place()
    }

    /// Whether nothing stands there.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// What sort of value it is, with the value where that helps: `the number 5`, `a list`.
    #[must_use]
    pub fn sort(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(truth) => format!("`{truth}`"),
            Value::Int(number) => format!("the number `{number}`"),
            Value::Float { written, .. } => format!("the number `{written}`"),
            Value::Text { value, .. } => format!("the text `{}`", cut(value)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// The value of a key, when this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A key with its value, when this is a map that has it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries of a map; of anything else, none.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float { .. }
            | Value::Text { .. }
            | Value::List(_) => &[],
        }
    }

    /// The value that a JSON pointer (`/intent/constraints/region/0`) names.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<&Node> {
        self.follow(pointer).1
    }

    /// Where the value stands that a JSON pointer names, or the nearest value above it that is there.
    #[must_use]
    pub fn nearest_at(&self, pointer: &str) -> &At {
        &self.follow(pointer).0.at
    }

    fn follow(&self, pointer: &str) -> (&Node, Option<&Node>) {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::List(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
                Value::Map(_) => node.get(&part),
                Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float { .. } | Value::Text { .. } => None,
            };
            match next {
                Some(next) => node = next,
                None => return (node, None),
            }
        }
        (node, Some(node))
    }

    /// The value without its places.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Int(number) => Json::from(*number),
            Value::Float { value, .. } => Json::from(*value),
            Value::Text { value, .. } => Json::String(value.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect())
            }
        }
    }

    /// The fields of a map. `what` names the thing in problems: `the rule`, `constraints`.
    pub fn fields<'a>(&'a self, what: &'a str, problems: &'a Problems) -> Option<Fields<'a>> {
        Fields::of(self, what, problems)
    }

    /// The text; anything else is a problem. A number is told to be put in quotes.
    pub fn text(&self, problems: &Problems) -> Option<&str> {
        match &self.value {
            Value::Text { value, .. } => return Some(value),
            Value::Int(_) | Value::Bool(_) => {
                problems.suggest(
                    &self.at,
                    self.expected("a text"),
                    format!("write it in quotes: '{}'", self.to_json()),
                );
            }
            Value::Float { written, .. } => {
                problems.suggest(&self.at, self.expected("a text"), format!("write it in quotes: '{written}'"));
            }
            Value::Null | Value::List(_) | Value::Map(_) => problems.say(&self.at, self.expected("a text")),
        }
        None
    }

    /// The whole number; anything else is a problem.
    pub fn int(&self, problems: &Problems) -> Option<i64> {
        match &self.value {
            Value::Int(number) => return Some(*number),
            Value::Text { value, .. } => match meant(value) {
                Some(number) => problems.suggest(&self.at, self.expected("a whole number"), format!("write {number}")),
                None => problems.say(&self.at, self.expected("a whole number")),
            },
            Value::Null | Value::Bool(_) | Value::Float { .. } | Value::List(_) | Value::Map(_) => {
                problems.say(&self.at, self.expected("a whole number"));
            }
        }
        None
    }

    /// The number, whole or not; anything else is a problem.
    pub fn float(&self, problems: &Problems) -> Option<f64> {
        match &self.value {
            #[expect(clippy::cast_precision_loss, reason = "the caller asked for the nearest double")]
            Value::Int(number) => return Some(*number as f64),
            Value::Float { value, .. } => return Some(*value),
            Value::Null | Value::Bool(_) | Value::Text { .. } | Value::List(_) | Value::Map(_) => {
                problems.say(&self.at, self.expected("a number"));
            }
        }
        None
    }

    /// True or false; anything else is a problem. `yes` and `on` are told what to write.
    pub fn bool(&self, problems: &Problems) -> Option<bool> {
        match &self.value {
            Value::Bool(truth) => return Some(*truth),
            Value::Text { value, .. } => match value.to_ascii_lowercase().as_str() {
                "yes" | "on" | "true" | "y" => problems.suggest(&self.at, self.expected("true or false"), "write true"),
                "no" | "off" | "false" | "n" => {
                    problems.suggest(&self.at, self.expected("true or false"), "write false")
                }
                _ => problems.say(&self.at, self.expected("true or false")),
            },
            Value::Null | Value::Int(_) | Value::Float { .. } | Value::List(_) | Value::Map(_) => {
                problems.say(&self.at, self.expected("true or false"));
            }
        }
        None
    }

    /// The items of a list; anything else is a problem.
    pub fn items(&self, problems: &Problems) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => return Some(items),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float { .. } | Value::Text { .. } | Value::Map(_) => {
                problems.say(&self.at, self.expected("a list"))
            }
        }
        None
    }

    /// The texts of a list of texts; each item that is none is a problem.
    pub fn texts(&self, problems: &Problems) -> Option<Vec<&str>> {
        let items = self.items(problems)?;
        let texts: Vec<&str> = items.iter().filter_map(|item| item.text(problems)).collect();
        (texts.len() == items.len()).then_some(texts)
    }

    fn expected(&self, what: &str) -> String {
        format!("expected {what}, found {}", self.sort())
    }
}

/// The number that somebody meant who wrote `1_000`, `010` or `'5'`.
fn meant(text: &str) -> Option<i64> {
    text.replace(['_', ','], "").parse().ok()
}

/// A text short enough to stand in a message.
pub(crate) fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}
