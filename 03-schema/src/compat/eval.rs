//! Whether one concrete value satisfies a node, in three values: what is not followed is unknown.

use super::rational::Rational;
use crate::model::{Body, Bound, Id, Keyword, Model, Type, Types};
use serde_json::Value;
use std::cmp::Ordering;

/// A check with so many steps to spend; when they are spent, the rest is unknown.
pub(super) struct Eval<'m> {
    pub(super) fuel: u64,
    pub(super) model: &'m Model,
}

impl Eval<'_> {
    pub(super) fn holds(&mut self, id: Id, value: &Value) -> Option<bool> {
        self.fuel = self.fuel.checked_sub(1)?;
        let model = self.model;
        match &model.node(id).body {
            Body::Any => Some(true),
            Body::Never => Some(false),
            Body::All(keywords) => all(keywords.iter(), |(_, keyword)| self.keyword(keyword, value)),
        }
    }

    fn keyword(&mut self, keyword: &Keyword, value: &Value) -> Option<bool> {
        match keyword {
            Keyword::Types(types) => Some(has_type(types, value)),
            Keyword::OneOfValues(values) => Some(values.iter().any(|one| same(one, value))),
            Keyword::All(ids) => all(ids.iter(), |id| self.holds(*id, value)),
            Keyword::Any(ids) => any(ids.iter(), |id| self.holds(*id, value)),
            Keyword::One(ids) => self.exactly_one(ids, value),
            Keyword::Not(id) => self.holds(*id, value).map(|holds| !holds),
            Keyword::If { cond, then, otherwise } => {
                let chosen = if self.holds(*cond, value)? { then } else { otherwise };
                chosen.map_or(Some(true), |id| self.holds(id, value))
            }
            Keyword::Ref(id) => self.holds(*id, value),
            Keyword::Opaque { .. } => None,
            Keyword::Low(_)
            | Keyword::High(_)
            | Keyword::MultipleOf(_)
            | Keyword::LengthMin(_)
            | Keyword::LengthMax(_)
            | Keyword::Pattern(_)
            | Keyword::Items(_)
            | Keyword::ItemsMin(_)
            | Keyword::ItemsMax(_)
            | Keyword::Unique
            | Keyword::Contains { .. }
            | Keyword::Properties(_)
            | Keyword::Required(_)
            | Keyword::PropertiesMin(_)
            | Keyword::PropertiesMax(_)
            | Keyword::Names(_)
            | Keyword::DependentRequired { .. }
            | Keyword::DependentSchema { .. } => self.typed(keyword, value),
        }
    }

    fn exactly_one(&mut self, ids: &[Id], value: &Value) -> Option<bool> {
        let (mut holding, mut unknown) = (0, false);
        for id in ids {
            match self.holds(*id, value) {
                Some(true) => holding += 1,
                Some(false) => {}
                None => unknown = true,
            }
        }
        if holding > 1 {
            Some(false)
        } else if unknown {
            None
        } else {
            Some(holding == 1)
        }
    }

    /// Keywords that speak of one type; values of every other type pass.
    fn typed(&mut self, keyword: &Keyword, value: &Value) -> Option<bool> {
        let model = self.model;
        match (keyword, value) {
            (Keyword::Low(bound), Value::Number(number)) => {
                Some(passes(Rational::of_number(number)?, *bound, Ordering::Greater))
            }
            (Keyword::High(bound), Value::Number(number)) => {
                Some(passes(Rational::of_number(number)?, *bound, Ordering::Less))
            }
            (Keyword::MultipleOf(step), Value::Number(number)) => Rational::of_number(number)?.is_multiple_of(*step),
            (Keyword::LengthMin(count), Value::String(text)) => Some(text.chars().count() as u64 >= *count),
            (Keyword::LengthMax(count), Value::String(text)) => Some(text.chars().count() as u64 <= *count),
            (Keyword::Pattern(pattern), Value::String(text)) => Some(model.patterns.matches(pattern, text)),
            (Keyword::Items(shape), Value::Array(items)) => {
                all(items.iter().enumerate(), |(at, item)| match shape.at(at) {
                    Some(id) => self.holds(id, item),
                    None => Some(true),
                })
            }
            (Keyword::ItemsMin(count), Value::Array(items)) => Some(items.len() as u64 >= *count),
            (Keyword::ItemsMax(count), Value::Array(items)) => Some(items.len() as u64 <= *count),
            (Keyword::Unique, Value::Array(items)) => {
                let repeats = |at: usize| items[..at].iter().any(|earlier| same(earlier, &items[at]));
                Some(!(1..items.len()).any(repeats))
            }
            (Keyword::Contains { item, min, max }, Value::Array(items)) => self.contains(*item, *min, *max, items),
            (Keyword::Properties(shape), Value::Object(members)) => all(members.iter(), |(name, member)| {
                let ids = shape.at(Some(name), |pattern| model.patterns.matches(pattern, name));
                all(ids.iter(), |id| self.holds(*id, member))
            }),
            (Keyword::Required(names), Value::Object(members)) => {
                Some(names.iter().all(|name| members.contains_key(&**name)))
            }
            (Keyword::PropertiesMin(count), Value::Object(members)) => Some(members.len() as u64 >= *count),
            (Keyword::PropertiesMax(count), Value::Object(members)) => Some(members.len() as u64 <= *count),
            (Keyword::Names(id), Value::Object(members)) => {
                all(members.keys(), |name| self.holds(*id, &Value::String(name.clone())))
            }
            (Keyword::DependentRequired { on, needs }, Value::Object(members)) => {
                Some(!members.contains_key(&**on) || needs.iter().all(|name| members.contains_key(&**name)))
            }
            (Keyword::DependentSchema { on, then }, Value::Object(members)) => {
                if members.contains_key(&**on) {
                    self.holds(*then, value)
                } else {
                    Some(true)
                }
            }
            _ => Some(true),
        }
    }

    fn contains(&mut self, item: Id, min: u64, max: Option<u64>, items: &[Value]) -> Option<bool> {
        let (mut holding, mut unknown) = (0_u64, 0_u64);
        for one in items {
            match self.holds(item, one) {
                Some(true) => holding += 1,
                Some(false) => {}
                None => unknown += 1,
            }
        }
        let most = max.unwrap_or(u64::MAX);
        if holding > most || holding + unknown < min {
            return Some(false);
        }
        (holding >= min && holding + unknown <= most).then_some(true)
    }
}

fn all<T>(items: impl Iterator<Item = T>, mut holds: impl FnMut(T) -> Option<bool>) -> Option<bool> {
    let mut sure = true;
    for item in items {
        match holds(item) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => sure = false,
        }
    }
    sure.then_some(true)
}

fn any<T>(items: impl Iterator<Item = T>, mut holds: impl FnMut(T) -> Option<bool>) -> Option<bool> {
    all(items, |item| holds(item).map(|holds| !holds)).map(|none| !none)
}

fn passes(value: Rational, bound: Bound, side: Ordering) -> bool {
    match value.order(bound.at) {
        Ordering::Equal => !bound.open,
        order @ (Ordering::Less | Ordering::Greater) => order == side,
    }
}

fn has_type(types: &Types, value: &Value) -> bool {
    if types.named.contains(&Type::of(value)) {
        return true;
    }
    let Value::Number(number) = value else { return false };
    types.integer
        && match Rational::of_number(number) {
            Some(exact) => exact.is_whole(),
            // Beyond 64 bits a double has no fraction left; below 1e-18 it has nothing else.
            None => number.as_f64().is_some_and(|double| double.fract() == 0.0),
        }
}

/// Whether two JSON values are equal as JSON Schema compares them: `1` and `1.0` are.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (Rational::of_number(left), Rational::of_number(right)) {
            (Some(left), Some(right)) => left == right,
            (None, None) => left == right,
            (Some(_), None) | (None, Some(_)) => false,
        },
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let equal = |(name, member): (&String, &Value)| right.get(name).is_some_and(|other| same(member, other));
            left.len() == right.len() && left.iter().all(equal)
        }
        _ => left == right,
    }
}
