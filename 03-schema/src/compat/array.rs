//! An array whose items satisfy some schemas, break others, are counted, and repeat or not.

use super::branch::Branch;
use super::solve::{Answer, Conj, Goal, Solver, Tally};
use crate::model::{Id, Items};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many ways to place what must be somewhere are tried.
const PLANS_MAX: usize = 3_000;
/// How many items a counterexample may have.
const ITEMS_MAX: u64 = 20_000;
/// How many different items are sought one by one.
const UNIQUE_MAX: u64 = 64;
/// How many copies of one `contains` are placed.
const COPIES_MAX: u64 = 8;
/// How many items that may satisfy what few may are placed.
const SPARED_MAX: u64 = 3;

/// Something that at least one item must do.
enum Duty {
    /// Break this shape where it stands.
    Breaks(Arc<Items>),
    /// Satisfy this schema; copies of one group stand at different places.
    Is { id: Id, group: usize },
    /// Be one of the few that may satisfy a schema which the others must fail. Need not be done.
    Spared { id: Id, group: usize },
}

/// Where each duty is done, and which two items are to be equal.
#[derive(Debug, Clone, Default)]
struct Plan {
    equal: Option<(usize, usize)>,
    /// Groups of copies that a place serves already.
    groups: BTreeMap<usize, Vec<usize>>,
    /// What items must be besides what every item at their place must be.
    placed: BTreeMap<usize, Conj>,
    /// Places that may satisfy a schema which the others must fail.
    spared: BTreeSet<(usize, Id)>,
}

/// What the branch says about places.
struct Layout<'b> {
    branch: &'b Branch,
    /// No item may satisfy these, unless its place is spared.
    nowhere: Vec<Id>,
    /// From here on all places are alike.
    prefix: usize,
}

impl Layout<'_> {
    /// What the item at a place must be.
    fn goal(&self, plan: &Plan, place: usize) -> Conj {
        let required = self.branch.items.iter().filter(|(_, holds)| *holds).filter_map(|(items, _)| items.at(place));
        let forbidden = self.nowhere.iter().filter(|id| !plan.spared.contains(&(place, **id)));
        let placed = plan.placed.get(&place).into_iter().flatten().copied();
        required.map(|id| (id, true)).chain(forbidden.map(|id| (*id, false))).chain(placed).collect()
    }
}

impl Solver<'_> {
    pub(super) fn array(&mut self, branch: &Branch) -> Answer {
        let prefix = branch.items.iter().map(|(items, _)| items.prefix.len()).max().unwrap_or(0);
        let mut fewest: BTreeMap<Id, u64> = BTreeMap::new();
        for (id, most) in &branch.contains_most {
            let known = fewest.entry(*id).or_insert(*most);
            *known = (*known).min(*most);
        }
        let (few, many): (BTreeMap<Id, u64>, BTreeMap<Id, u64>) =
            fewest.into_iter().partition(|(_, most)| *most <= SPARED_MAX);
        let layout = Layout { branch, nowhere: few.keys().copied().collect(), prefix };
        let mut left_out = !many.is_empty();
        let mut duties: Vec<Duty> =
            branch.items.iter().filter(|(_, holds)| !holds).map(|(items, _)| Duty::Breaks(items.clone())).collect();
        for (group, (id, count)) in branch.contains_least.iter().enumerate() {
            left_out |= *count > COPIES_MAX;
            duties.extend((0..(*count).min(COPIES_MAX)).map(|_| Duty::Is { id: *id, group }));
        }
        for (group, (id, most)) in few.iter().enumerate() {
            // The groups of what must be come first.
            let group = branch.contains_least.len() + group;
            duties.extend((0..*most).map(|_| Duty::Spared { id: *id, group }));
        }
        let Some(plans) = plans(&layout, &duties) else {
            return Answer::unknown(branch.breaks.as_ref(), "there are too many ways to place the items");
        };
        let mut tally = Tally::default();
        for plan in plans {
            let answer = match self.planned_array(&layout, &plan) {
                Answer::Found { value, guess } => Answer::Found { value, guess: guess || left_out },
                none @ (Answer::Empty | Answer::Unknown { .. }) => none,
            };
            if let Some(value) = tally.add(answer) {
                return Answer::Found { value, guess: false };
            }
        }
        tally.answer()
    }

    fn planned_array(&mut self, layout: &Layout<'_>, plan: &Plan) -> Answer {
        let branch = layout.branch;
        let furthest = plan.placed.keys().copied().chain(plan.equal.map(|(_, later)| later)).max();
        let least = branch.count_min.max(furthest.map_or(0, |place| place as u64 + 1));
        if branch.count_max.is_some_and(|max| max < least) {
            return Answer::Empty;
        }
        if branch.unique == Some(true) && least > 1 {
            return self.unique_array(layout, plan, least);
        }
        // From here on every item is like the one before, so it is looked at once and repeated.
        let alike = layout.prefix.max(furthest.map_or(0, |place| place + 1)) as u64;
        let mut items: Vec<Value> = Vec::new();
        let mut guess = false;
        // One item that cannot be settles the matter, whatever is unclear about the others.
        let mut doubt = None;
        for place in 0..usize::try_from(least.min(alike + 1)).unwrap_or(usize::MAX) {
            let goal = match plan.equal {
                Some((earlier, later)) if place == earlier => {
                    layout.goal(plan, earlier).into_iter().chain(layout.goal(plan, later)).collect()
                }
                Some((earlier, later)) if place == later => {
                    items.push(items[earlier].clone());
                    continue;
                }
                Some(_) | None => layout.goal(plan, place),
            };
            match self.solve(&Goal::of(goal)) {
                Answer::Found { value, guess: unsure } => {
                    guess |= unsure;
                    items.push(value);
                }
                Answer::Empty => return Answer::Empty,
                unclear @ Answer::Unknown { .. } => {
                    doubt = doubt.or(Some(unclear));
                    items.push(Value::Null);
                }
            }
        }
        if let Some(doubt) = doubt {
            return doubt;
        }
        if least > ITEMS_MAX {
            return Answer::unknown(branch.breaks.as_ref(), "a counterexample would need too many items");
        }
        if let Some(last) = items.last().cloned() {
            items.resize(usize::try_from(least).unwrap_or(items.len()), last);
        }
        Answer::Found { value: Value::Array(items), guess }
    }

    /// Different values for all places, those with the most to satisfy first.
    fn unique_array(&mut self, layout: &Layout<'_>, plan: &Plan, least: u64) -> Answer {
        let branch = layout.branch;
        if least > UNIQUE_MAX {
            return Answer::unknown(branch.breaks.as_ref(), "a counterexample would need too many different items");
        }
        let goals: Vec<Conj> =
            (0..usize::try_from(least).unwrap_or(usize::MAX)).map(|place| layout.goal(plan, place)).collect();
        let alike = goals.windows(2).all(|pair| pair[0] == pair[1]);
        let mut order: Vec<usize> = (0..goals.len()).collect();
        order.sort_by_key(|place| std::cmp::Reverse(goals[*place].len()));
        let mut items = vec![Value::Null; goals.len()];
        let mut used: Vec<Value> = Vec::new();
        let mut guess = false;
        for place in order {
            let goal = Goal { conj: goals[place].clone(), excluded: used.clone(), ..Goal::default() };
            match self.solve(&goal) {
                Answer::Found { value, guess: unsure } => {
                    guess |= unsure;
                    used.push(value.clone());
                    items[place] = value;
                }
                // Where all places are alike, having used up the values one by one is a count of them; a value that was a
                // guess may have been none at all, which only makes fewer.
                Answer::Empty if alike || used.is_empty() => return Answer::Empty,
                Answer::Empty => match self.solve(&Goal::of(goals[place].clone())) {
                    Answer::Empty => return Answer::Empty,
                    Answer::Found { .. } | Answer::Unknown { .. } => {
                        return Answer::unknown(
                            branch.breaks.as_ref(),
                            "items that must differ compete for few values",
                        );
                    }
                },
                unclear @ Answer::Unknown { .. } => return unclear,
            }
        }
        Answer::Found { value: Value::Array(items), guess }
    }
}

/// Every way to place the duties; `None` when there are too many.
fn plans(layout: &Layout<'_>, duties: &[Duty]) -> Option<Vec<Plan>> {
    let mut plans = vec![Plan::default()];
    for duty in duties {
        let mut more = Vec::new();
        for plan in &plans {
            more.extend(placed(layout, plan, duty));
            if more.len() > PLANS_MAX {
                return None;
            }
        }
        plans = more;
    }
    if layout.branch.unique == Some(false) {
        let mut more = Vec::new();
        for plan in &plans {
            let last =
                plan.placed.keys().copied().max().map_or(layout.prefix, |place| layout.prefix.max(place + 1)) + 1;
            for later in 1..=last {
                more.extend((0..later).map(|earlier| Plan { equal: Some((earlier, later)), ..plan.clone() }));
            }
            if more.len() > PLANS_MAX {
                return None;
            }
        }
        plans = more;
    }
    Some(plans)
}

/// The plan with one duty more: at each place of the prefix, at a later place that has duties, or at a new one.
fn placed(layout: &Layout<'_>, plan: &Plan, duty: &Duty) -> Vec<Plan> {
    let new = plan.placed.keys().copied().max().map_or(layout.prefix, |place| layout.prefix.max(place + 1));
    let mut found = Vec::new();
    if matches!(duty, Duty::Spared { .. }) {
        found.push(plan.clone());
    }
    for place in 0..=new {
        let group = match duty {
            Duty::Breaks(_) => None,
            Duty::Is { group, .. } | Duty::Spared { group, .. } => Some(*group),
        };
        let groups = plan.groups.get(&place);
        if group.is_some_and(|group| groups.is_some_and(|groups| groups.contains(&group))) {
            continue;
        }
        let mut plan = plan.clone();
        plan.groups.entry(place).or_default().extend(group);
        let here = plan.placed.entry(place).or_default();
        match duty {
            Duty::Breaks(items) => match items.at(place) {
                Some(id) => drop(here.insert((id, false))),
                None => continue,
            },
            Duty::Is { id, .. } => drop(here.insert((*id, true))),
            Duty::Spared { id, .. } => drop(plan.spared.insert((place, *id))),
        }
        found.push(plan);
    }
    found
}
