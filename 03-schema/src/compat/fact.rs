//! What a keyword asserts, and what its denial comes to, for values of one type.

use super::rational::Rational;
use crate::model::{Body, Bound, Id, Items, Keyword, Node, Properties, Type, Types};
use serde_json::Value;
use std::sync::Arc;

/// One thing that holds of a value. A flag says whether it holds or its opposite does.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    Schema(Id, bool),
    OneOf(Arc<Vec<Value>>, bool),
    Low(Bound),
    High(Bound),
    MultipleOf(Rational, bool),
    /// Characters, items or properties, by the type of the branch.
    CountMin(u64),
    CountMax(u64),
    Pattern(Arc<str>, bool),
    Items(Arc<Items>, bool),
    Unique(bool),
    ContainsAtLeast(Id, u64),
    ContainsAtMost(Id, u64),
    Properties(Arc<Properties>, bool),
    Has(Arc<str>, bool),
    Names(Id, bool),
    Opaque(Arc<str>, bool),
}

/// Facts that hold together: one way to satisfy a clause.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) facts: Vec<Fact>,
    /// The requirement that this choice breaks, as a pointer, when it comes from a denied schema.
    pub(super) breaks: Option<Arc<str>>,
}

/// A set of choices, one of which must be made; none at all is a contradiction.
pub(super) type Clause = Vec<Choice>;

fn fact(fact: Fact) -> Choice {
    Choice { facts: vec![fact], breaks: None }
}

fn must(all: Vec<Fact>) -> Vec<Clause> {
    all.into_iter().map(|one| vec![fact(one)]).collect()
}

fn together(facts: Vec<Fact>) -> Choice {
    Choice { facts, breaks: None }
}

/// What a node asserts of a value of this type.
pub(super) fn asserted(node: &Node, ty: Type) -> Vec<Clause> {
    match &node.body {
        Body::Any => Vec::new(),
        Body::Never => vec![Vec::new()],
        Body::All(keywords) => keywords.iter().flat_map(|(_, keyword)| keyword_asserted(keyword, ty)).collect(),
    }
}

/// The ways in which a value of this type can fail a node.
pub(super) fn denied(node: &Node, ty: Type) -> Clause {
    match &node.body {
        Body::Any => Vec::new(),
        Body::Never => vec![together(Vec::new())],
        Body::All(keywords) => {
            let of_keyword = |(name, keyword): &(&'static str, Keyword)| {
                let breaks: Arc<str> = format!("{}/{name}", node.pointer).into();
                let choices = keyword_denied(keyword, ty).into_iter();
                choices.map(move |choice| Choice { breaks: Some(breaks.clone()), ..choice }).collect::<Vec<_>>()
            };
            keywords.iter().flat_map(of_keyword).collect()
        }
    }
}

/// `None` when every value of the type passes, an empty list when none does.
fn type_facts(types: &Types, ty: Type, holds: bool) -> Option<Vec<Fact>> {
    if types.named.contains(&ty) {
        return None;
    }
    if types.integer && ty == Type::Number {
        Some(vec![Fact::MultipleOf(Rational::ONE, holds)])
    } else {
        Some(Vec::new())
    }
}

fn keyword_asserted(keyword: &Keyword, ty: Type) -> Vec<Clause> {
    match keyword {
        Keyword::Types(types) => match type_facts(types, ty, true) {
            None => Vec::new(),
            Some(facts) if facts.is_empty() => vec![Vec::new()],
            Some(facts) => must(facts),
        },
        Keyword::OneOfValues(values) => must(vec![Fact::OneOf(values.clone(), true)]),
        Keyword::Low(bound) if ty == Type::Number => must(vec![Fact::Low(*bound)]),
        Keyword::High(bound) if ty == Type::Number => must(vec![Fact::High(*bound)]),
        Keyword::MultipleOf(step) if ty == Type::Number => must(vec![Fact::MultipleOf(*step, true)]),
        Keyword::LengthMin(count) if ty == Type::String => must(vec![Fact::CountMin(*count)]),
        Keyword::LengthMax(count) if ty == Type::String => must(vec![Fact::CountMax(*count)]),
        Keyword::Pattern(pattern) if ty == Type::String => must(vec![Fact::Pattern(pattern.clone(), true)]),
        Keyword::Items(items) if ty == Type::Array => must(vec![Fact::Items(items.clone(), true)]),
        Keyword::ItemsMin(count) if ty == Type::Array => must(vec![Fact::CountMin(*count)]),
        Keyword::ItemsMax(count) if ty == Type::Array => must(vec![Fact::CountMax(*count)]),
        Keyword::Unique if ty == Type::Array => must(vec![Fact::Unique(true)]),
        Keyword::Contains { item, min, max } if ty == Type::Array => {
            let least = (*min > 0).then_some(Fact::ContainsAtLeast(*item, *min));
            must(least.into_iter().chain(max.map(|max| Fact::ContainsAtMost(*item, max))).collect())
        }
        Keyword::Properties(shape) if ty == Type::Object => must(vec![Fact::Properties(shape.clone(), true)]),
        Keyword::Required(names) if ty == Type::Object => {
            must(names.iter().map(|name| Fact::Has(name.clone(), true)).collect())
        }
        Keyword::PropertiesMin(count) if ty == Type::Object => must(vec![Fact::CountMin(*count)]),
        Keyword::PropertiesMax(count) if ty == Type::Object => must(vec![Fact::CountMax(*count)]),
        Keyword::Names(id) if ty == Type::Object => must(vec![Fact::Names(*id, true)]),
        Keyword::DependentRequired { on, needs } if ty == Type::Object => {
            let needed = std::iter::once(Fact::Has(on.clone(), true));
            let needed = needed.chain(needs.iter().map(|name| Fact::Has(name.clone(), true))).collect();
            vec![vec![fact(Fact::Has(on.clone(), false)), together(needed)]]
        }
        Keyword::DependentSchema { on, then } if ty == Type::Object => {
            let present = together(vec![Fact::Has(on.clone(), true), Fact::Schema(*then, true)]);
            vec![vec![fact(Fact::Has(on.clone(), false)), present]]
        }
        Keyword::All(ids) => must(ids.iter().map(|id| Fact::Schema(*id, true)).collect()),
        Keyword::Any(ids) => vec![ids.iter().map(|id| fact(Fact::Schema(*id, true))).collect()],
        Keyword::One(ids) => vec![exactly_one(ids)],
        Keyword::Not(id) => must(vec![Fact::Schema(*id, false)]),
        Keyword::If { cond, then, otherwise } => vec![vec![
            together(std::iter::once(Fact::Schema(*cond, true)).chain(then.map(|id| Fact::Schema(id, true))).collect()),
            together(
                std::iter::once(Fact::Schema(*cond, false)).chain(otherwise.map(|id| Fact::Schema(id, true))).collect(),
            ),
        ]],
        Keyword::Ref(id) => must(vec![Fact::Schema(*id, true)]),
        Keyword::Opaque { text, .. } => must(vec![Fact::Opaque(text.clone(), true)]),
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
        | Keyword::DependentSchema { .. } => Vec::new(), // It says nothing about values of this type.
    }
}

fn keyword_denied(keyword: &Keyword, ty: Type) -> Clause {
    let below = |count: u64| count.checked_sub(1).map(|max| fact(Fact::CountMax(max))).into_iter().collect();
    let above = |count: u64| vec![fact(Fact::CountMin(count.saturating_add(1)))];
    match keyword {
        Keyword::Types(types) => type_facts(types, ty, false).map(together).into_iter().collect(),
        Keyword::OneOfValues(values) => vec![fact(Fact::OneOf(values.clone(), false))],
        Keyword::Low(bound) if ty == Type::Number => vec![fact(Fact::High(Bound { open: !bound.open, ..*bound }))],
        Keyword::High(bound) if ty == Type::Number => vec![fact(Fact::Low(Bound { open: !bound.open, ..*bound }))],
        Keyword::MultipleOf(step) if ty == Type::Number => vec![fact(Fact::MultipleOf(*step, false))],
        Keyword::LengthMin(count) if ty == Type::String => below(*count),
        Keyword::LengthMax(count) if ty == Type::String => above(*count),
        Keyword::Pattern(pattern) if ty == Type::String => vec![fact(Fact::Pattern(pattern.clone(), false))],
        Keyword::Items(items) if ty == Type::Array => vec![fact(Fact::Items(items.clone(), false))],
        Keyword::ItemsMin(count) if ty == Type::Array => below(*count),
        Keyword::ItemsMax(count) if ty == Type::Array => above(*count),
        Keyword::Unique if ty == Type::Array => vec![fact(Fact::Unique(false))],
        Keyword::Contains { item, min, max } if ty == Type::Array => {
            let fewer = min.checked_sub(1).map(|max| Fact::ContainsAtMost(*item, max));
            let more = max.map(|max| Fact::ContainsAtLeast(*item, max.saturating_add(1)));
            fewer.into_iter().chain(more).map(fact).collect()
        }
        Keyword::Properties(shape) if ty == Type::Object => vec![fact(Fact::Properties(shape.clone(), false))],
        Keyword::Required(names) if ty == Type::Object => {
            names.iter().map(|name| fact(Fact::Has(name.clone(), false))).collect()
        }
        Keyword::PropertiesMin(count) if ty == Type::Object => below(*count),
        Keyword::PropertiesMax(count) if ty == Type::Object => above(*count),
        Keyword::Names(id) if ty == Type::Object => vec![fact(Fact::Names(*id, false))],
        Keyword::DependentRequired { on, needs } if ty == Type::Object => {
            let lacking = |name: &Arc<str>| vec![Fact::Has(on.clone(), true), Fact::Has(name.clone(), false)];
            needs.iter().map(|name| together(lacking(name))).collect()
        }
        Keyword::DependentSchema { on, then } if ty == Type::Object => {
            vec![together(vec![Fact::Has(on.clone(), true), Fact::Schema(*then, false)])]
        }
        Keyword::All(ids) => ids.iter().map(|id| fact(Fact::Schema(*id, false))).collect(),
        Keyword::Any(ids) => vec![together(ids.iter().map(|id| Fact::Schema(*id, false)).collect())],
        Keyword::One(ids) => not_exactly_one(ids),
        Keyword::Not(id) => vec![fact(Fact::Schema(*id, true))],
        Keyword::If { cond, then, otherwise } => {
            let case = |holds: bool, id: Id| together(vec![Fact::Schema(*cond, holds), Fact::Schema(id, false)]);
            then.map(|id| case(true, id)).into_iter().chain(otherwise.map(|id| case(false, id))).collect()
        }
        Keyword::Ref(id) => vec![fact(Fact::Schema(*id, false))],
        Keyword::Opaque { text, .. } => vec![fact(Fact::Opaque(text.clone(), false))],
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
        | Keyword::DependentSchema { .. } => Vec::new(), // A value of this type always passes.
    }
}

fn exactly_one(ids: &[Id]) -> Clause {
    let only = |wanted: usize| ids.iter().enumerate().map(move |(at, id)| Fact::Schema(*id, at == wanted)).collect();
    (0..ids.len()).map(|wanted| together(only(wanted))).collect()
}

fn not_exactly_one(ids: &[Id]) -> Clause {
    let none = together(ids.iter().map(|id| Fact::Schema(*id, false)).collect());
    let pairs = (0..ids.len()).flat_map(|left| (left + 1..ids.len()).map(move |right| (left, right)));
    let pair =
        |(left, right): (usize, usize)| together(vec![Fact::Schema(ids[left], true), Fact::Schema(ids[right], true)]);
    std::iter::once(none).chain(pairs.map(pair)).collect()
}
