//! The file: TOML, whose every key and value knows its place.

use super::slot::{Slot, Sort};
use super::{Config, KEYS, Key, Origin, known, unknown};
use std::collections::BTreeMap;
use std::path::Path;
use toml_span::value::{Table, Value, ValueInner};
use writ_core::Place;
use writ_text::{Limits, Problem, load};

/// Lays what the file says over the configuration.
pub(super) fn lay(
    path: &Path,
    config: &mut Config,
    origins: &mut BTreeMap<&'static str, Origin>,
    problems: &mut Vec<Problem>,
) {
    let text = match load(path, &Limits::default()) {
        Ok(bytes) => String::from_utf8(bytes),
        Err(problem) => return problems.push(problem),
    };
    let name = path.display().to_string();
    let begin = Place { file: name.clone(), line: 1, column: 1 };
    let Ok(text) = text else { return problems.push(Problem::new(begin, "the configuration is not UTF-8")) };
    let place = |offset: usize| place(&name, &text, offset);
    let mut tree = match toml_span::parse(&text) {
        Ok(tree) => tree,
        Err(error) => {
            let problem = Problem::new(place(error.span.start), format!("this is not TOML: {error}"));
            return problems.push(problem.hint("strings stand in quotes: listen = \"127.0.0.1:7420\""));
        }
    };
    let mut found = Vec::new();
    if let ValueInner::Table(table) = tree.take() {
        leaves("", table, &mut found);
    }
    let dir = path.parent().unwrap_or(Path::new(""));
    for leaf in found {
        let Some(key) = known(&leaf.name) else {
            problems.push(unknown(place(leaf.key_at), &leaf.name));
            continue;
        };
        match put(key, config, &leaf, dir) {
            Ok(()) => drop(origins.insert(key.name, Origin::File(place(leaf.key_at)))),
            Err(right) => {
                let shown: String = leaf.written.chars().take(140).collect();
                problems.push(Problem::new(
                    place(leaf.value_at),
                    format!("`{}` is {shown}, which is not {right}", leaf.name),
                ));
            }
        }
    }
}

/// A value that is no table, or a table where there should be none.
struct Leaf {
    name: String,
    key_at: usize,
    value_at: usize,
    sort: Option<Sort>,
    text: String,
    written: String,
}

fn put(key: &Key, config: &mut Config, leaf: &Leaf, dir: &Path) -> Result<(), String> {
    let mut slot: Slot<'_> = (key.slot)(config);
    if leaf.sort != Some(slot.sort()) {
        let right = slot.form();
        return Err(if slot.sort() == Sort::Text {
            format!("{right}, in quotes")
        } else {
            format!("{right}, without quotes")
        });
    }
    slot.put(&leaf.text)?;
    slot.beside(dir);
    Ok(())
}

/// Every value with its whole name. A table that is itself a key's name, or leads to none, is told as one.
fn leaves(prefix: &str, table: Table<'_>, found: &mut Vec<Leaf>) {
    for (key, mut value) in table {
        let name = format!("{prefix}{}", key.name);
        let inner = value.take();
        if let ValueInner::Table(nested) = inner {
            let below = format!("{name}.");
            if KEYS.iter().any(|key| key.name.starts_with(&below)) {
                leaves(&below, nested, found);
                continue;
            }
            found.push(leaf(name, key.span.start, &value, ValueInner::Table(nested)));
        } else {
            found.push(leaf(name, key.span.start, &value, inner));
        }
    }
}

fn leaf(name: String, key_at: usize, value: &Value<'_>, inner: ValueInner<'_>) -> Leaf {
    let (sort, text, written) = match inner {
        ValueInner::String(text) => (Some(Sort::Text), text.to_string(), format!("`{text:?}`")),
        ValueInner::Integer(number) => (Some(Sort::Number), number.to_string(), format!("`{number}`")),
        ValueInner::Boolean(truth) => (Some(Sort::Truth), truth.to_string(), format!("`{truth}`")),
        ValueInner::Float(number) => (None, String::new(), format!("`{number}`")),
        ValueInner::Array(_) => (None, String::new(), "a list".into()),
        ValueInner::Table(_) => (None, String::new(), "a table".into()),
    };
    Leaf { name, key_at, value_at: value.span.start, sort, text, written }
}

fn place(file: &str, text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { file: file.to_owned(), line: small(line), column: small(column) }
}
