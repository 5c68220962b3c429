//! Facts: checked against their schema and its bounds, brought into canonical form, and bound for evaluation.

#![expect(clippy::wildcard_enum_match_arm, reason = "a pattern asks for one shape, and every other shape is a no")]

use crate::lower::presence_of;
use crate::schema::{Schema, Shape, Type};
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelString};
use cel::common::value::Val;
use cel::{Context, Env};
use serde_json::{Map, Number, Value as Json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use writ_text::nearest;

/// Building the standard environment costs more than most evaluations, so there is one.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Why a fact is not what its schema says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FactProblem {
    /// The fact's JSON pointer.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for FactProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", if self.pointer.is_empty() { "/" } else { &self.pointer }, self.message)
    }
}

/// Facts that keep to their schema, ready to be read by any expression that was compiled against it.
pub struct Facts {
    json: Json,
    pub(crate) context: Context<'static, 'static>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Facts").field(&self.json).finish()
    }
}

impl Facts {
    /// The facts of a document. Nulls count as missing; numbers with a fraction become decimal texts, so that what is recorded
    /// has no floats.
    ///
    /// # Errors
    /// Everything that does not keep to the schema: missing, unknown, of another type, too long.
    pub fn new(schema: &Schema, json: Json) -> Result<Self, Vec<FactProblem>> {
        let mut binding = Binding { context: Context::with_env(ENV.clone()), problems: Vec::new() };
        let json = binding.group(schema, json, "", "");
        if binding.problems.is_empty() {
            return Ok(Self { json, context: binding.context });
        }
        binding.problems.sort();
        Err(binding.problems)
    }

    /// The facts in canonical form: no floats, no nulls, keys sorted.
    #[must_use]
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// The value at a dotted path, if it is there.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Json> {
        path.split('.').try_fold(&self.json, |value, name| value.get(name))
    }

    /// `path = value` for each path that is there, and `path is missing` for the others.
    #[must_use]
    pub fn tell<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let told = paths.into_iter().map(|path| match self.get(path) {
            Some(value) => format!("{path} = {}", shown(value)),
            None => format!("{path} is missing"),
        });
        told.collect()
    }
}

/// A value as people read it: texts in quotes unless they are numbers, and all cut where they are long.
#[must_use]
pub fn shown(value: &Json) -> String {
    let text = match value {
        Json::String(text) if is_decimal(text) => text.clone(),
        Json::String(text) => format!("'{}'", cut(text)),
        Json::Array(items) => format!("[{}]", items.iter().take(16).map(shown).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => format!("a map of {} entries", map.len()),
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string(),
    };
    cut(&text)
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(200).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The most problems that one document of facts is told about.
const PROBLEMS: usize = 100;

struct Binding {
    context: Context<'static, 'static>,
    problems: Vec<FactProblem>,
}

impl Binding {
    fn say(&mut self, pointer: &str, message: String) {
        // A document of a million wrong values is one that is wrong in a hundred places too.
        if self.problems.len() < PROBLEMS {
            self.problems.push(FactProblem { pointer: pointer.to_owned(), message });
        }
    }

    fn group(&mut self, schema: &Schema, json: Json, path: &str, pointer: &str) -> Json {
        let Json::Object(mut given) = json else {
            self.say(pointer, "a group of facts must be a map".to_owned());
            return Json::Null;
        };
        let mut kept = Map::new();
        for (name, fact) in schema.facts() {
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let pointer = format!("{pointer}/{name}");
            let value = given.remove(name).filter(|value| !value.is_null());
            if fact.optional {
                self.bind(&presence_of(&path), Box::new(CelBool::from(value.is_some())));
            }
            let Some(value) = value else {
                match &fact.shape {
                    Shape::Group(group) => self.absent(group, &path),
                    Shape::Value(_) => {}
                }
                if !fact.optional {
                    self.say(&pointer, format!("`{path}` is missing"));
                }
                continue;
            };
            let value = match &fact.shape {
                Shape::Group(group) => self.group(group, value, &path, &pointer),
                Shape::Value(ty) => {
                    let (value, bound) = self.value(ty, value, &pointer);
                    if let Some(bound) = bound {
                        self.bind(&path, bound);
                    }
                    value
                }
            };
            kept.insert(name.to_owned(), value);
        }
        for name in given.keys().take(PROBLEMS) {
            let hint = nearest(name, schema.facts().map(|(known, _)| known));
            let hint = hint.map_or(String::new(), |known| format!("; did you mean `{known}`?"));
            let short: String = name.chars().take(60).collect();
            self.say(pointer, format!("there is no fact `{short}` here{hint}"));
        }
        Json::Object(kept)
    }

    /// Nothing within a group that is missing is there.
    fn absent(&mut self, schema: &Schema, path: &str) {
        for (name, fact) in schema.facts() {
            let path = format!("{path}.{name}");
            if fact.optional {
                self.bind(&presence_of(&path), Box::new(CelBool::from(false)));
            }
            if let Shape::Group(group) = &fact.shape {
                self.absent(group, &path);
            }
        }
    }

    fn bind(&mut self, name: &str, value: Box<dyn Val>) {
        self.context.add_variable_as_val(name, value);
    }

    /// A value in canonical form and as the engine holds it.
    fn value(&mut self, ty: &Type, json: Json, pointer: &str) -> (Json, Option<Box<dyn Val>>) {
        match (ty, json) {
            (Type::Bool, Json::Bool(value)) => (Json::Bool(value), Some(Box::new(CelBool::from(value)))),
            (Type::Int, Json::Number(number)) if whole(&number).is_some() => {
                let value = whole(&number).unwrap_or_default();
                (Json::Number(number), Some(Box::new(CelInt::from(value))))
            }
            (Type::Number, json) => self.number(json, pointer),
            (Type::Text { max }, Json::String(text)) => {
                if text.len() as u64 > *max {
                    self.say(pointer, format!("this text has {} bytes, and at most {max} are allowed", text.len()));
                    return (Json::Null, None);
                }
                (Json::String(text.clone()), Some(Box::new(CelString::from(text))))
            }
            (Type::List { of, max }, Json::Array(items)) => {
                if items.len() as u64 > *max {
                    self.say(pointer, format!("this list has {} items, and at most {max} are allowed", items.len()));
                    return (Json::Null, None);
                }
                let values = items.into_iter().enumerate();
                let values: Vec<_> =
                    values.map(|(at, item)| self.value(of, item, &format!("{pointer}/{at}"))).collect();
                let (json, bound): (Vec<Json>, Vec<Option<Box<dyn Val>>>) = values.into_iter().unzip();
                (Json::Array(json), Some(Box::new(CelList::from(bound.into_iter().flatten().collect::<Vec<_>>()))))
            }
            (Type::Map { of, max }, Json::Object(entries)) => {
                if entries.len() as u64 > *max || entries.keys().any(|key| key.len() > 256) {
                    self.say(pointer, format!("this map has more than {max} entries, or keys of more than 256 bytes"));
                    return (Json::Null, None);
                }
                let (mut json, mut bound) = (Map::new(), HashMap::new());
                for (key, value) in entries {
                    let (kept, value) = self.value(of, value, &format!("{pointer}/{key}"));
                    json.insert(key.clone(), kept);
                    if let Some(value) = value {
                        bound.insert(CelMapKey::from(key), value);
                    }
                }
                (Json::Object(json), Some(Box::new(CelMap::from(bound))))
            }
            (ty, json) => {
                self.say(pointer, format!("expected {}, found {}", ty.name(), shown(&json)));
                (Json::Null, None)
            }
        }
    }

    fn number(&mut self, json: Json, pointer: &str) -> (Json, Option<Box<dyn Val>>) {
        let (json, value) = match json {
            Json::Number(number) if whole(&number).is_some() => {
                let value = number.as_f64();
                (Json::Number(number), value)
            }
            Json::Number(number) => {
                let value = number.as_f64();
                (value.map_or(Json::Null, |value| Json::String(value.to_string())), value)
            }
            Json::String(text) if is_decimal(&text) => {
                let value = text.parse::<f64>().ok();
                (Json::String(text), value)
            }
            other => {
                self.say(pointer, format!("expected a number or a decimal text, found {}", shown(&other)));
                return (Json::Null, None);
            }
        };
        match value.filter(|value| value.is_finite()) {
            Some(value) => (json, Some(Box::new(CelDouble::from(value)))),
            None => {
                self.say(pointer, "this number is out of range".to_owned());
                (Json::Null, None)
            }
        }
    }
}

/// The integer, if it can stand in the journal.
fn whole(number: &Number) -> Option<i64> {
    number.as_i64().filter(|value| value.unsigned_abs() < 1 << 53)
}

fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.len() <= 20 && part.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && digits(fraction)
}
