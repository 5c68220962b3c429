//! Facts: checked against their schema and its bounds, brought into canonical form, and bound for evaluation.

#![expect(clippy::wildcard_enum_match_arm, reason = "a pattern asks for one shape, and every other shape is a no")]

use crate::lower::SLOT;
use crate::schema::{Schema, Shape, Slot, Type};
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
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
    values: Vec<Option<Box<dyn Val>>>,
}

/// Facts as the engine looks at them.
pub struct View<'a>(pub(crate) Context<'a, 'a>);

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("View")
    }
}

impl VariableResolver for Facts {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let number: usize = variable.strip_prefix(SLOT)?.parse().ok()?;
        self.values.get(number)?.as_deref().map(CowVal::Borrowed)
    }
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
        let slots = schema.slots();
        let values = slots.names.iter().map(|_| None).collect();
        let mut binding = Binding { values, at: Vec::new(), problems: Vec::new() };
        let json = binding.group(schema, json, &slots.tree);
        if binding.problems.is_empty() {
            return Ok(Self { json, values: binding.values });
        }
        binding.problems.sort();
        Err(binding.problems)
    }

    /// The facts as the engine looks at them, for evaluating several expressions.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        let mut context = Context::with_env(ENV.clone());
        context.set_variable_resolver(self);
        View(context)
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

/// One step on the way to a value.
enum Step<'a> {
    Name(&'a str),
    Item(usize),
}

struct Binding<'a> {
    values: Vec<Option<Box<dyn Val>>>,
    /// The way to the value in hand; made into text only when something is wrong there.
    at: Vec<Step<'a>>,
    problems: Vec<FactProblem>,
}

impl<'a> Binding<'a> {
    fn say(&mut self, message: String) {
        // A document of a million wrong values is one that is wrong in a hundred places too.
        if self.problems.len() < PROBLEMS {
            let step = |step: &Step<'_>| match step {
                Step::Name(name) => format!("/{name}"),
                Step::Item(number) => format!("/{number}"),
            };
            self.problems.push(FactProblem { pointer: self.at.iter().map(step).collect(), message });
        }
    }

    fn group(&mut self, schema: &'a Schema, json: Json, slots: &[Slot]) -> Json {
        let Json::Object(mut given) = json else {
            self.say("a group of facts must be a map".to_owned());
            return Json::Null;
        };
        let mut kept = Map::new();
        for ((name, fact), slot) in schema.facts().zip(slots) {
            let value = given.remove_entry(name).filter(|(_, value)| !value.is_null());
            if fact.optional {
                self.bind(slot.present, Box::new(CelBool::from(value.is_some())));
            }
            self.at.push(Step::Name(name));
            match (value, &fact.shape) {
                (Some((name, value)), Shape::Group(group)) => {
                    let value = self.group(group, value, &slot.below);
                    kept.insert(name, value);
                }
                (Some((name, value)), Shape::Value(ty)) => {
                    let (value, bound) = self.value(ty, value);
                    if let Some(bound) = bound {
                        self.bind(slot.value, bound);
                    }
                    kept.insert(name, value);
                }
                (None, shape) => {
                    if matches!(shape, Shape::Group(_)) {
                        self.absent(&slot.below);
                    }
                    if !fact.optional {
                        self.say(format!("`{name}` is missing"));
                    }
                }
            }
            self.at.pop();
        }
        for name in given.keys().take(PROBLEMS) {
            let hint = nearest(name, schema.facts().map(|(known, _)| known));
            let hint = hint.map_or(String::new(), |known| format!("; did you mean `{known}`?"));
            let short: String = name.chars().take(60).collect();
            self.say(format!("there is no fact `{short}` here{hint}"));
        }
        Json::Object(kept)
    }

    /// Nothing within a group that is missing is there.
    fn absent(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.bind(slot.present, Box::new(CelBool::from(false)));
            self.absent(&slot.below);
        }
    }

    fn bind(&mut self, slot: Option<usize>, value: Box<dyn Val>) {
        if let Some(place) = slot.and_then(|slot| self.values.get_mut(slot)) {
            *place = Some(value);
        }
    }

    /// A value in canonical form and as the engine holds it.
    fn value(&mut self, ty: &Type, json: Json) -> (Json, Option<Box<dyn Val>>) {
        match (ty, json) {
            (Type::Bool, Json::Bool(value)) => (Json::Bool(value), Some(Box::new(CelBool::from(value)))),
            (Type::Int, Json::Number(number)) if whole(&number).is_some() => {
                let value = whole(&number).unwrap_or_default();
                (Json::Number(number), Some(Box::new(CelInt::from(value))))
            }
            (Type::Number, json) => self.number(json),
            (Type::Text { max }, Json::String(text)) => {
                if text.len() as u64 > *max {
                    self.say(format!("this text has {} bytes, and at most {max} are allowed", text.len()));
                    return (Json::Null, None);
                }
                (Json::String(text.clone()), Some(Box::new(CelString::from(text))))
            }
            (Type::List { of, max }, Json::Array(items)) => {
                if items.len() as u64 > *max {
                    self.say(format!("this list has {} items, and at most {max} are allowed", items.len()));
                    return (Json::Null, None);
                }
                let (mut kept, mut bound) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
                for (number, item) in items.into_iter().enumerate() {
                    self.at.push(Step::Item(number));
                    let (json, value) = self.value(of, item);
                    self.at.pop();
                    kept.push(json);
                    bound.extend(value);
                }
                (Json::Array(kept), Some(Box::new(CelList::from(bound))))
            }
            (Type::Map { of, max }, Json::Object(entries)) => {
                if entries.len() as u64 > *max || entries.keys().any(|key| key.len() > 256) {
                    self.say(format!("this map has more than {max} entries, or keys of more than 256 bytes"));
                    return (Json::Null, None);
                }
                let (mut kept, mut bound) = (Map::new(), HashMap::new());
                for (number, (key, value)) in entries.into_iter().enumerate() {
                    self.at.push(Step::Item(number));
                    let (json, value) = self.value(of, value);
                    self.at.pop();
                    kept.insert(key.clone(), json);
                    if let Some(value) = value {
                        bound.insert(CelMapKey::from(key), value);
                    }
                }
                (Json::Object(kept), Some(Box::new(CelMap::from(bound))))
            }
            (ty, json) => {
                self.say(format!("expected {}, found {}", ty.name(), shown(&json)));
                (Json::Null, None)
            }
        }
    }

    fn number(&mut self, json: Json) -> (Json, Option<Box<dyn Val>>) {
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
                self.say(format!("expected a number or a decimal text, found {}", shown(&other)));
                return (Json::Null, None);
            }
        };
        match value.filter(|value| value.is_finite()) {
            Some(value) => (json, Some(Box::new(CelDouble::from(value)))),
            None => {
                self.say("this number is out of range".to_owned());
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
