//! How schemas refer to each other: what would never end is refused, and what could take too long is weighed first.

use super::{Body, Id, Keyword, Model};
use crate::SchemaError;
use crate::limits::{EXPANDED_MAX, IN_PLACE_DEPTH_MAX, PATH_MAX, VISITS_MAX};
use serde_json::Value;
use std::collections::HashMap;

/// Whether a schema refers back to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recursion {
    /// Its expansion is finite: a validation costs at most the schema's size times the value's.
    No,
    /// It follows the value's nesting: each validation is weighed before it runs.
    Yes,
}

pub(super) fn check(model: &Model) -> Result<Recursion, SchemaError> {
    let mut walk =
        Walk { model, in_place: vec![None; model.len()], whole: vec![None; model.len()], recursion: Recursion::No };
    for root in &model.roots {
        walk.depth_in_place(*root, 0)?;
    }
    for index in 0..model.len() {
        walk.depth_in_place(Id(index), 0)?;
    }
    for root in &model.roots {
        walk.expanded(*root, 0)?;
    }
    Ok(walk.recursion)
}

#[derive(Clone, Copy)]
enum Mark<T> {
    Open,
    Done(T),
}

struct Walk<'m> {
    in_place: Vec<Option<Mark<usize>>>,
    model: &'m Model,
    recursion: Recursion,
    whole: Vec<Option<Mark<u64>>>,
}

impl Walk<'_> {
    fn too_large(&self, id: Id, what: &'static str, limit: usize) -> SchemaError {
        SchemaError::TooLarge { what, limit, pointer: self.model.node(id).pointer.clone() }
    }

    /// The longest chain of schemas that apply to one value.
    fn depth_in_place(&mut self, id: Id, depth: usize) -> Result<usize, SchemaError> {
        match self.in_place[id.0] {
            Some(Mark::Open) => {
                return Err(SchemaError::Endless { pointer: self.model.node(id).pointer.clone() });
            }
            Some(Mark::Done(known)) if depth + known <= IN_PLACE_DEPTH_MAX => return Ok(known),
            Some(Mark::Done(_)) | None => {}
        }
        if depth > IN_PLACE_DEPTH_MAX {
            return Err(self.too_large(id, "schemas that apply to one value inside each other", IN_PLACE_DEPTH_MAX));
        }
        self.in_place[id.0] = Some(Mark::Open);
        let mut longest = 0;
        for child in keywords(self.model, id).flat_map(Keyword::in_place) {
            longest = longest.max(1 + self.depth_in_place(child, depth + 1)?);
        }
        self.in_place[id.0] = Some(Mark::Done(longest));
        Ok(longest)
    }

    /// How many schemas it becomes when references are written out; one that leads back counts once.
    fn expanded(&mut self, id: Id, depth: usize) -> Result<u64, SchemaError> {
        match self.whole[id.0] {
            Some(Mark::Open) => {
                self.recursion = Recursion::Yes;
                return Ok(1);
            }
            Some(Mark::Done(known)) => return Ok(known),
            None => {}
        }
        if depth > PATH_MAX {
            return Err(self.too_large(id, "a path of schemas", PATH_MAX));
        }
        self.whole[id.0] = Some(Mark::Open);
        let mut size = 1_u64;
        for keyword in keywords(self.model, id) {
            for child in keyword.in_place().into_iter().chain(keyword.below()) {
                size = size.saturating_add(self.expanded(child, depth + 1)?);
            }
        }
        if size > EXPANDED_MAX {
            let limit = usize::try_from(EXPANDED_MAX).unwrap_or(usize::MAX);
            return Err(self.too_large(id, "subschemas, references written out,", limit));
        }
        self.whole[id.0] = Some(Mark::Done(size));
        Ok(size)
    }
}

fn keywords(model: &Model, id: Id) -> impl Iterator<Item = &Keyword> {
    let all: &[(&'static str, Keyword)] = match &model.node(id).body {
        Body::All(keywords) => keywords,
        Body::Any | Body::Never => &[],
    };
    all.iter().map(|(_, keyword)| keyword)
}

/// How many visits a plain validation of the value makes at most; computed once per pair, so in far fewer steps.
pub(crate) fn weigh(model: &Model, root: Id, value: &Value) -> u64 {
    Scale { known: HashMap::new(), model }.weight(root, value)
}

struct Scale<'m> {
    // A part of the value is known by its address, which is stable while the value is borrowed.
    known: HashMap<(Id, *const Value), u64>,
    model: &'m Model,
}

impl Scale<'_> {
    fn weight(&mut self, id: Id, value: &Value) -> u64 {
        let key = (id, std::ptr::from_ref(value));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let mut weight = 1_u64;
        let mut repeats = false;
        for keyword in keywords(self.model, id) {
            for child in keyword.in_place() {
                weight = weight.saturating_add(self.weight(child, value));
            }
            repeats |= matches!(keyword, Keyword::Opaque { repeats: true, .. });
            weight = weight.saturating_add(self.weight_below(keyword, value));
            if weight > VISITS_MAX {
                break;
            }
        }
        let weight = if repeats { weight.saturating_mul(2) } else { weight };
        self.known.insert(key, weight);
        weight
    }

    fn weight_below(&mut self, keyword: &Keyword, value: &Value) -> u64 {
        let mut weight = 0_u64;
        match (keyword, value) {
            (Keyword::Properties(shape), Value::Object(members)) => {
                for (name, member) in members {
                    for id in shape.at(Some(name), |pattern| self.model.patterns.matches(pattern, name)) {
                        weight = weight.saturating_add(self.weight(id, member));
                    }
                }
            }
            (Keyword::Items(items), Value::Array(values)) => {
                for (at, item) in values.iter().enumerate() {
                    if let Some(id) = items.at(at) {
                        weight = weight.saturating_add(self.weight(id, item));
                    }
                }
            }
            (Keyword::Contains { item, .. }, Value::Array(values)) => {
                for value in values {
                    weight = weight.saturating_add(self.weight(*item, value));
                }
            }
            (Keyword::Opaque { inside, .. }, Value::Array(_) | Value::Object(_)) => {
                let parts: Vec<&Value> = match value {
                    Value::Array(values) => values.iter().collect(),
                    Value::Object(members) => members.values().collect(),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
                };
                for part in parts {
                    for id in inside {
                        weight = weight.saturating_add(self.weight(*id, part));
                    }
                }
            }
            _ => {}
        }
        weight
    }
}
