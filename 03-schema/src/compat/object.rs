//! An object whose properties satisfy some schemas, break others, are named, present, absent and counted.
//!
//! Names that a schema mentions are looked at one by one. All other names fall into *regions*, by which patterns of
//! `patternProperties` they match; within a region every property is treated alike.

use super::branch::Branch;
use super::solve::{Answer, Conj, Goal, Solver, TOO_MANY, Tally};
use crate::model::{Id, Properties};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many ways to place what some property must do are tried.
const PLANS_MAX: usize = 5_000;
/// How many different patterns are split into regions.
const PATTERNS_MAX: usize = 5;
/// How many properties a counterexample may have.
const PROPERTIES_MAX: u64 = 500;

/// Something that at least one property must do.
enum Duty {
    /// Break this shape with its value.
    Breaks(Arc<Properties>),
    /// Break this schema with its name.
    Misnamed(Id),
}

/// Names that no schema mentions and that match exactly these patterns.
struct Region {
    patterns: Vec<(Arc<str>, bool)>,
}

impl Region {
    fn matches(&self, pattern: &str) -> bool {
        self.patterns.iter().any(|(one, holds)| **one == *pattern && *holds)
    }
}

/// A property with a name that no schema mentions.
#[derive(Debug, Clone, PartialEq)]
struct Fresh {
    name: Conj,
    region: usize,
    value: Conj,
}

#[derive(Debug, Clone, Default)]
struct Plan {
    fresh: Vec<Fresh>,
    named: BTreeMap<Arc<str>, Conj>,
}

struct Layout<'b> {
    branch: &'b Branch,
    mentioned: BTreeSet<Arc<str>>,
    regions: Vec<Region>,
}

impl Layout<'_> {
    fn names(&self) -> Conj {
        self.branch.names.iter().filter(|(_, holds)| *holds).copied().collect()
    }

    fn shapes(&self) -> impl Iterator<Item = &Arc<Properties>> {
        self.branch.shapes.iter().filter(|(_, holds)| *holds).map(|(shape, _)| shape)
    }

    /// What the value of a property in a region must be.
    fn region_value(&self, region: usize) -> Conj {
        let region = &self.regions[region];
        self.shapes().flat_map(|shape| shape.at(None, |pattern| region.matches(pattern))).map(|id| (id, true)).collect()
    }
}

impl Solver<'_> {
    pub(super) fn object(&mut self, branch: &Branch) -> Answer {
        let patterns: BTreeSet<Arc<str>> = branch
            .shapes
            .iter()
            .flat_map(|(shape, _)| shape.patterns.iter().map(|(pattern, _)| pattern.clone()))
            .collect();
        if patterns.len() > PATTERNS_MAX {
            return Answer::unknown(branch.breaks.as_ref(), "there are too many patterns for property names");
        }
        let in_shapes = branch.shapes.iter().flat_map(|(shape, _)| shape.named.keys().cloned());
        let mentioned = in_shapes.chain(branch.has.keys().cloned()).collect();
        let mut layout = Layout { branch, mentioned, regions: Vec::new() };
        let patterns: Vec<Arc<str>> = patterns.into_iter().collect();
        for subset in 0..1_usize << patterns.len() {
            let holds = |at: usize| subset & (1 << at) != 0;
            let region =
                Region { patterns: patterns.iter().cloned().enumerate().map(|(at, one)| (one, holds(at))).collect() };
            let goal = self.name_goal(&layout, &region, &Conj::new(), &[]);
            if !matches!(self.solve(&goal), Answer::Empty) {
                layout.regions.push(region);
            }
        }
        let Some(plans) = self.plans(&layout) else {
            return Answer::unknown(branch.breaks.as_ref(), "there are too many ways to place the properties");
        };
        let mut tally = Tally::default();
        for plan in plans {
            if self.spend(1 + branch.has.len() + plan.named.len()).is_none() {
                return Answer::unknown(branch.breaks.as_ref(), TOO_MANY);
            }
            let answer = self.planned_object(&layout, &plan);
            if let Some(value) = tally.add(answer) {
                return Answer::Found { value, guess: false };
            }
        }
        tally.answer()
    }

    fn name_goal(&self, layout: &Layout<'_>, region: &Region, extra: &Conj, used: &[String]) -> Goal {
        let mentioned = layout.mentioned.iter().map(|name| Value::String(name.to_string()));
        let used = used.iter().cloned().map(Value::String);
        Goal {
            conj: layout.names().union(extra).copied().collect(),
            excluded: mentioned.chain(used).collect(),
            patterns: region.patterns.clone(),
            text: true,
        }
    }

    /// Every way to place what must be broken; `None` when there are too many.
    fn plans(&self, layout: &Layout<'_>) -> Option<Vec<Plan>> {
        let shapes =
            layout.branch.shapes.iter().filter(|(_, holds)| !holds).map(|(shape, _)| Duty::Breaks(shape.clone()));
        let names = layout.branch.names.iter().filter(|(_, holds)| !holds).map(|(id, _)| Duty::Misnamed(*id));
        let mut plans = vec![Plan::default()];
        for duty in shapes.chain(names) {
            let mut more = Vec::new();
            for plan in &plans {
                let before = more.len();
                more.extend(self.placed(layout, plan, &duty));
                self.spend((more.len() - before + 1) * (1 + plan.named.len() + plan.fresh.len()))?;
                if more.len() > PLANS_MAX {
                    return None;
                }
            }
            plans = more;
        }
        Some(plans)
    }

    fn placed(&self, layout: &Layout<'_>, plan: &Plan, duty: &Duty) -> Vec<Plan> {
        let mut found = Vec::new();
        for name in &layout.mentioned {
            if layout.branch.has.get(name) == Some(&false) {
                continue;
            }
            let values: Vec<Conj> = match duty {
                Duty::Breaks(shape) => {
                    let ids = shape.at(Some(name), |pattern| self.model.patterns.matches(pattern, name));
                    ids.into_iter().map(|id| Conj::from([(id, false)])).collect()
                }
                Duty::Misnamed(id) => match self.holds(*id, &Value::String(name.to_string())) {
                    Some(true) => Vec::new(),
                    Some(false) | None => vec![Conj::new()],
                },
            };
            found.extend(values.into_iter().map(|value| {
                let mut plan = plan.clone();
                plan.named.entry(name.clone()).or_default().extend(value);
                plan
            }));
        }
        for (at, region) in layout.regions.iter().enumerate() {
            let (name, values): (Conj, Vec<Conj>) = match duty {
                Duty::Breaks(shape) => {
                    let ids = shape.at(None, |pattern| region.matches(pattern));
                    (Conj::new(), ids.into_iter().map(|id| Conj::from([(id, false)])).collect())
                }
                Duty::Misnamed(id) => (Conj::from([(*id, false)]), vec![Conj::new()]),
            };
            for value in values {
                let fresh = Fresh { name: name.clone(), region: at, value };
                for (index, known) in plan.fresh.iter().enumerate().filter(|(_, known)| known.region == at) {
                    let mut plan = plan.clone();
                    plan.fresh[index] = Fresh {
                        name: known.name.union(&fresh.name).copied().collect(),
                        region: at,
                        value: known.value.union(&fresh.value).copied().collect(),
                    };
                    found.push(plan);
                }
                let mut plan = plan.clone();
                plan.fresh.push(fresh);
                found.push(plan);
            }
        }
        found
    }

    fn planned_object(&mut self, layout: &Layout<'_>, plan: &Plan) -> Answer {
        let branch = layout.branch;
        let required = branch.has.iter().filter(|(_, holds)| **holds).map(|(name, _)| name);
        let required: BTreeSet<&Arc<str>> = required.chain(plan.named.keys()).collect();
        let needed = (required.len() + plan.fresh.len()) as u64;
        if branch.count_max.is_some_and(|max| max < needed) {
            return Answer::Empty;
        }
        if needed.max(branch.count_min) > PROPERTIES_MAX {
            return Answer::unknown(branch.breaks.as_ref(), "a counterexample would need too many properties");
        }
        let mut object = Object::default();
        // One property that cannot be settles the matter, whatever is unclear about the others.
        let mut doubt = None;
        for name in required {
            let extra = plan.named.get(name).cloned().unwrap_or_default();
            match self.named_value(layout, name, &extra) {
                Answer::Found { value, guess } => object.add(name, value, guess),
                Answer::Empty => return Answer::Empty,
                unclear @ Answer::Unknown { .. } => doubt = doubt.or(Some(unclear)),
            }
        }
        for fresh in &plan.fresh {
            match self.fresh_member(layout, fresh, &object) {
                Ok((name, value, guess)) => {
                    object.fresh.push(name.clone());
                    object.add(&name, value, guess);
                }
                // Another property may have taken the only name that fits.
                Err(Answer::Empty) if !object.fresh.is_empty() => {
                    let few = Answer::unknown(branch.breaks.as_ref(), "properties compete for few names");
                    doubt = doubt.or(Some(few));
                }
                Err(Answer::Empty) => return Answer::Empty,
                Err(unclear) => doubt = doubt.or(Some(unclear)),
            }
        }
        if let Some(doubt) = doubt {
            return doubt;
        }
        self.filled(layout, object)
    }

    /// A value for a property that a schema mentions.
    fn named_value(&mut self, layout: &Layout<'_>, name: &Arc<str>, extra: &Conj) -> Answer {
        let text = Value::String(name.to_string());
        let mut unsure = false;
        for (id, _) in layout.branch.names.iter().filter(|(_, holds)| *holds) {
            match self.holds(*id, &text) {
                Some(true) => {}
                Some(false) => return Answer::Empty,
                None => unsure = true,
            }
        }
        let ids = layout
            .shapes()
            .flat_map(|shape| shape.at(Some(name), |pattern| self.model.patterns.matches(pattern, name)));
        let conj = ids.map(|id| (id, true)).chain(extra.iter().copied()).collect();
        match self.solve(&Goal::of(conj)) {
            Answer::Found { value, guess } => Answer::Found { value, guess: guess || unsure },
            none @ (Answer::Empty | Answer::Unknown { .. }) => none,
        }
    }

    fn fresh_member(
        &mut self,
        layout: &Layout<'_>,
        fresh: &Fresh,
        object: &Object,
    ) -> Result<(String, Value, bool), Answer> {
        let value = layout.region_value(fresh.region).union(&fresh.value).copied().collect();
        let (value, unsure) = match self.solve(&Goal::of(value)) {
            Answer::Found { value, guess } => (value, guess),
            none @ (Answer::Empty | Answer::Unknown { .. }) => return Err(none),
        };
        let region = &layout.regions[fresh.region];
        let goal = self.name_goal(layout, region, &fresh.name, &object.fresh);
        match self.solve(&goal) {
            Answer::Found { value: Value::String(name), guess } => Ok((name, value, guess || unsure)),
            Answer::Found { .. } => Err(Answer::Empty), // Names are texts.
            none @ (Answer::Empty | Answer::Unknown { .. }) => Err(none),
        }
    }

    /// Adds properties that nothing asks for until there are enough.
    fn filled(&mut self, layout: &Layout<'_>, mut object: Object) -> Answer {
        let wanted = layout.branch.count_min;
        let mut tally = Tally::default();
        for name in &layout.mentioned {
            if object.members.len() as u64 >= wanted {
                break;
            }
            if object.members.contains_key(&**name) || layout.branch.has.get(name) == Some(&false) {
                continue;
            }
            match self.named_value(layout, name, &Conj::new()) {
                Answer::Found { value, guess } => object.add(name, value, guess),
                none @ (Answer::Empty | Answer::Unknown { .. }) => drop(tally.add(none)),
            }
        }
        for region in 0..layout.regions.len() {
            while (object.members.len() as u64) < wanted {
                let fresh = Fresh { name: Conj::new(), region, value: Conj::new() };
                match self.fresh_member(layout, &fresh, &object) {
                    Ok((name, value, guess)) => {
                        object.fresh.push(name.clone());
                        object.add(&name, value, guess);
                    }
                    // `Empty` here says that the region's names, all of them used, or its values have run out.
                    Err(answer) => {
                        drop(tally.add(answer));
                        break;
                    }
                }
            }
        }
        if object.members.len() as u64 >= wanted {
            return Answer::Found { value: Value::Object(object.members), guess: object.guess };
        }
        tally.answer()
    }
}

#[derive(Default)]
struct Object {
    fresh: Vec<String>,
    guess: bool,
    members: Map<String, Value>,
}

impl Object {
    fn add(&mut self, name: &str, value: Value, guess: bool) {
        self.guess |= guess;
        self.members.insert(name.to_owned(), value);
    }
}
