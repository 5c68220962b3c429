//! One branch of the search: the facts gathered so far and the choices still open.

use super::fact::{self, Choice, Clause, Fact};
use super::rational::Rational;
use crate::model::{Bound, Id, Items, Model, Properties, Type};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The branch contradicts itself; the words say how.
#[derive(Debug, Clone)]
pub(super) struct Closed(pub(super) String);

#[derive(Debug, Clone)]
pub(super) struct Branch {
    /// The last requirement that the branch set out to break.
    pub(super) breaks: Option<Arc<str>>,
    classes: BTreeMap<usize, bool>,
    pub(super) clauses: Vec<Clause>,
    pub(super) contains_least: Vec<(Id, u64)>,
    pub(super) contains_most: Vec<(Id, u64)>,
    pub(super) count_max: Option<u64>,
    pub(super) count_min: u64,
    pub(super) excluded: Vec<Arc<Vec<Value>>>,
    pub(super) finite: Option<Arc<Vec<Value>>>,
    pub(super) has: BTreeMap<Arc<str>, bool>,
    pub(super) high: Option<Bound>,
    pub(super) items: Vec<(Arc<Items>, bool)>,
    /// Something was left out: a value found here is a guess. Says what.
    pub(super) left_out: Option<String>,
    pub(super) low: Option<Bound>,
    pub(super) multiples: Vec<(Rational, bool)>,
    pub(super) names: Vec<(Id, bool)>,
    opaque: BTreeMap<Arc<str>, bool>,
    pub(super) patterns: Vec<(Arc<str>, bool)>,
    pub(super) shapes: Vec<(Arc<Properties>, bool)>,
    pub(super) ty: Type,
    pub(super) unique: Option<bool>,
}

impl Branch {
    pub(super) fn new(ty: Type) -> Self {
        Self {
            breaks: None,
            classes: BTreeMap::new(),
            clauses: Vec::new(),
            contains_least: Vec::new(),
            contains_most: Vec::new(),
            count_max: None,
            count_min: 0,
            excluded: Vec::new(),
            finite: None,
            has: BTreeMap::new(),
            high: None,
            items: Vec::new(),
            left_out: None,
            low: None,
            multiples: Vec::new(),
            names: Vec::new(),
            opaque: BTreeMap::new(),
            patterns: Vec::new(),
            shapes: Vec::new(),
            ty,
            unique: None,
        }
    }

    /// Makes a choice: takes its facts in, and everything that follows from them without another choice.
    pub(super) fn choose(&mut self, choice: Choice, model: &Model) -> Result<(), Closed> {
        if choice.breaks.is_some() {
            self.breaks = choice.breaks;
        }
        let mut open: VecDeque<Fact> = choice.facts.into();
        while let Some(fact) = open.pop_front() {
            let clauses = self.take(fact, model)?;
            for clause in clauses {
                match <[Choice; 1]>::try_from(clause) {
                    Ok([only]) => {
                        if only.breaks.is_some() {
                            self.breaks = only.breaks;
                        }
                        open.extend(only.facts);
                    }
                    Err(clause) if clause.is_empty() => return Err(self.closed("no value of this type can")),
                    Err(clause) => self.clauses.push(clause),
                }
            }
        }
        Ok(())
    }

    /// Takes away choices that contradict what is known, and makes those that remain alone.
    pub(super) fn settle(&mut self, model: &Model) -> Result<(), Closed> {
        loop {
            let mut alone = Vec::new();
            for mut clause in std::mem::take(&mut self.clauses) {
                clause.retain(|choice| !choice.facts.iter().any(|fact| self.contradicts(fact, model)));
                match <[Choice; 1]>::try_from(clause) {
                    Ok([only]) => alone.push(only),
                    Err(clause) if clause.is_empty() => {
                        return Err(self.closed("every way to break it contradicts what the other side requires"));
                    }
                    Err(clause) => self.clauses.push(clause),
                }
            }
            if alone.is_empty() {
                return Ok(());
            }
            for only in alone {
                self.choose(only, model)?;
            }
        }
    }

    /// Whether the opposite of a fact is known already.
    fn contradicts(&self, fact: &Fact, model: &Model) -> bool {
        match fact {
            Fact::Schema(id, holds) => self.classes.get(&model.node(*id).class).is_some_and(|known| known != holds),
            Fact::Has(name, holds) => self.has.get(name).is_some_and(|known| known != holds),
            Fact::Pattern(pattern, holds) => self.patterns.contains(&(pattern.clone(), !holds)),
            Fact::MultipleOf(step, holds) => self.multiples.contains(&(*step, !holds)),
            Fact::Unique(holds) => self.unique.is_some_and(|known| known != *holds),
            Fact::Opaque(text, holds) => self.opaque.get(text).is_some_and(|known| known != holds),
            Fact::CountMin(count) => self.count_max.is_some_and(|max| max < *count),
            Fact::CountMax(count) => *count < self.count_min,
            Fact::OneOf(..)
            | Fact::Low(_)
            | Fact::High(_)
            | Fact::Items(..)
            | Fact::ContainsAtLeast(..)
            | Fact::ContainsAtMost(..)
            | Fact::Properties(..)
            | Fact::Names(..) => false,
        }
    }

    fn closed(&self, because: &str) -> Closed {
        Closed(because.to_owned())
    }

    /// Takes one fact in and returns the clauses that it opens.
    fn take(&mut self, fact: Fact, model: &Model) -> Result<Vec<Clause>, Closed> {
        match fact {
            Fact::Schema(id, holds) => {
                let node = model.node(id);
                match self.classes.insert(node.class, holds) {
                    Some(before) if before == holds => return Ok(Vec::new()),
                    Some(_) => return Err(self.closed("the other side requires the very same")),
                    None => {}
                }
                return Ok(if holds { fact::asserted(node, self.ty) } else { vec![fact::denied(node, self.ty)] });
            }
            Fact::OneOf(values, true) => {
                let shorter = self.finite.as_ref().is_none_or(|known| values.len() < known.len());
                if shorter {
                    self.finite = Some(values);
                }
            }
            Fact::OneOf(values, false) => self.excluded.push(values),
            Fact::Low(bound) => {
                self.low = Some(self.low.map_or(bound, |known| tighter(known, bound, Ordering::Less)));
            }
            Fact::High(bound) => {
                self.high = Some(self.high.map_or(bound, |known| tighter(known, bound, Ordering::Greater)));
            }
            Fact::MultipleOf(step, holds) => {
                if self.multiples.contains(&(step, !holds)) {
                    return Err(self.closed("both sides ask for the same multiples"));
                }
                if !self.multiples.contains(&(step, holds)) {
                    self.multiples.push((step, holds));
                }
            }
            Fact::CountMin(count) => self.count_min = self.count_min.max(count),
            Fact::CountMax(count) => self.count_max = Some(self.count_max.map_or(count, |known| known.min(count))),
            Fact::Pattern(pattern, holds) => {
                if self.patterns.contains(&(pattern.clone(), !holds)) {
                    return Err(self.closed("both sides have the same pattern"));
                }
                if !self.patterns.contains(&(pattern.clone(), holds)) {
                    self.patterns.push((pattern, holds));
                }
            }
            Fact::Items(items, holds) => self.items.push((items, holds)),
            Fact::Unique(holds) => {
                if self.unique.replace(holds).is_some_and(|before| before != holds) {
                    return Err(self.closed("both sides ask for unique items"));
                }
            }
            Fact::ContainsAtLeast(id, count) => self.contains_least.push((id, count)),
            Fact::ContainsAtMost(id, count) => self.contains_most.push((id, count)),
            Fact::Properties(shape, holds) => self.shapes.push((shape, holds)),
            Fact::Has(name, holds) => {
                if self.has.insert(name.clone(), holds).is_some_and(|before| before != holds) {
                    return Err(Closed(format!("the property `{name}` would have to be both present and absent")));
                }
            }
            Fact::Names(id, holds) => self.names.push((id, holds)),
            Fact::Opaque(text, holds) => {
                if self.opaque.insert(text, holds).is_some_and(|before| before != holds) {
                    return Err(self.closed("both sides have the same assertion"));
                }
                let keyword = "a keyword that is not followed (`unevaluated…`, `content…`, or a number beyond 64 bits)";
                self.left_out = Some(keyword.to_owned());
            }
        }
        self.check_bounds()?;
        Ok(Vec::new())
    }

    fn check_bounds(&self) -> Result<(), Closed> {
        if self.count_max.is_some_and(|max| max < self.count_min) {
            return Err(self.closed("its counts leave no room"));
        }
        let (Some(low), Some(high)) = (self.low, self.high) else { return Ok(()) };
        match low.at.order(high.at) {
            Ordering::Greater => Err(self.closed("its bounds leave no number")),
            Ordering::Equal if low.open || high.open => Err(self.closed("its bounds leave no number")),
            Ordering::Equal | Ordering::Less => Ok(()),
        }
    }
}

/// The bound that lets less through; `weaker` says how a weaker bound stands to it.
fn tighter(known: Bound, new: Bound, weaker: Ordering) -> Bound {
    match known.at.order(new.at) {
        Ordering::Equal => Bound { at: known.at, open: known.open || new.open },
        order if order == weaker => new,
        Ordering::Less | Ordering::Greater => known,
    }
}
