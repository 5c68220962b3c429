//! The search for a value that satisfies some schemas and fails others.

use super::branch::{Branch, Closed};
use super::eval::{Eval, same};
use super::fact::{Choice, Fact};
use super::number::{self, Found};
use super::{Effort, Step, number::Wanted};
use crate::model::{Id, Model, Search, Type};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Schemas, each to be satisfied (`true`) or failed (`false`).
pub(super) type Conj = BTreeSet<(Id, bool)>;

/// How many branches the whole search may open.
const BRANCHES_MAX: u64 = 40_000;
/// Why a search was given up.
pub(super) const TOO_MANY: &str = "the schemas have too many combinations";
/// How many branches of one goal may be open at once.
const OPEN_MAX: usize = 20_000;
/// How deep goals may nest.
const NESTED_MAX: usize = 40;
/// How many lines of a proof are kept.
const STEPS_MAX: usize = 200;
/// How many steps the check of one listed value may take.
const EVAL_FUEL: u64 = 200_000;

/// What a value must be.
#[derive(Debug, Clone, Default)]
pub(super) struct Goal {
    pub(super) conj: Conj,
    /// Values it must not be.
    pub(super) excluded: Vec<Value>,
    /// For names of properties: patterns to match or not.
    pub(super) patterns: Vec<(Arc<str>, bool)>,
    /// Only texts: the goal is the name of a property.
    pub(super) text: bool,
}

impl Goal {
    pub(super) fn of(conj: Conj) -> Self {
        Self { conj, ..Self::default() }
    }

    fn is_plain(&self) -> bool {
        self.excluded.is_empty() && self.patterns.is_empty() && !self.text
    }
}

/// What the search for a value came to.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// This value; a guess when something was left out on the way.
    Found {
        value: Value,
        guess: bool,
    },
    /// There is none.
    Empty,
    Unknown {
        pointer: String,
        reason: String,
    },
}

impl Answer {
    pub(super) fn unknown(breaks: Option<&Arc<str>>, reason: impl Into<String>) -> Self {
        Answer::Unknown { pointer: breaks.map_or_else(String::new, |breaks| breaks.to_string()), reason: reason.into() }
    }
}

/// Gathers the answers of alternatives: a sure value ends the search, a doubt forbids "there is none".
#[derive(Default)]
pub(super) struct Tally {
    doubt: Option<(String, String)>,
    guess: Option<Value>,
}

impl Tally {
    /// The value, if this answer settles the matter.
    pub(super) fn add(&mut self, answer: Answer) -> Option<Value> {
        match answer {
            Answer::Found { value, guess: false } => return Some(value),
            Answer::Found { value, guess: true } => self.guess = self.guess.take().or(Some(value)),
            Answer::Empty => {}
            Answer::Unknown { pointer, reason } => self.doubt = self.doubt.take().or(Some((pointer, reason))),
        }
        None
    }

    pub(super) fn answer(self) -> Answer {
        match (self.guess, self.doubt) {
            (Some(value), _) => Answer::Found { value, guess: true },
            (None, Some((pointer, reason))) => Answer::Unknown { pointer, reason },
            (None, None) => Answer::Empty,
        }
    }
}

/// The answer to the whole question.
pub(super) enum Verdict {
    /// No value tells the schemas apart.
    None(Vec<Step>),
    /// This value does; confirmed.
    Some(Value),
    Unknown {
        pointer: String,
        reason: String,
    },
}

pub(super) struct Solver<'m> {
    agrees: &'m dyn Fn(&Value) -> bool,
    branches: u64,
    known: HashMap<Conj, Answer>,
    /// The outermost open goal that an answer has leaned on.
    leaned_on: usize,
    pub(super) model: &'m Model,
    open: Vec<Conj>,
    steps: BTreeSet<Step>,
    /// Of all questions together, and of this one: each goal, branch and way to place properties costs as much as it has parts.
    effort: &'m Effort,
    own: Effort,
}

impl<'m> Solver<'m> {
    pub(super) fn new(model: &'m Model, agrees: &'m dyn Fn(&Value) -> bool, effort: &'m Effort) -> Self {
        let (known, open, steps) = (HashMap::new(), Vec::new(), BTreeSet::new());
        let own = Effort::of(1);
        Self { agrees, branches: BRANCHES_MAX, known, leaned_on: usize::MAX, model, open, steps, effort, own }
    }

    pub(super) fn decide(mut self) -> Verdict {
        let goal = Conj::from([(self.model.roots[0], true), (self.model.roots[1], false)]);
        match self.solve(&Goal::of(goal)) {
            // The outermost goal hands out confirmed values only.
            Answer::Found { value, .. } => Verdict::Some(value),
            Answer::Empty => Verdict::None(self.steps.into_iter().collect()),
            Answer::Unknown { pointer, reason } => Verdict::Unknown { pointer, reason },
        }
    }

    /// Takes so much of the work that may be done; none when there is less left.
    pub(super) fn spend(&self, work: usize) -> Option<()> {
        self.own.spend(work as u64).and_then(|()| self.effort.spend(work as u64))
    }

    pub(super) fn holds(&self, id: Id, value: &Value) -> Option<bool> {
        Eval { fuel: EVAL_FUEL, model: self.model }.holds(id, value)
    }

    /// A value for a goal about a part of the value, or about a property's name.
    pub(super) fn solve(&mut self, goal: &Goal) -> Answer {
        if self.open.len() >= NESTED_MAX {
            return Answer::unknown(None, "the schemas nest too deep");
        }
        if self.spend(1 + goal.conj.len() + goal.excluded.len()).is_none() {
            return Answer::unknown(None, TOO_MANY);
        }
        if !goal.is_plain() {
            // Not remembered and not found again inside itself, but it counts as nesting.
            self.open.push(Conj::new());
            let answer = self.by_type(goal);
            self.open.pop();
            return answer;
        }
        if let Some(known) = self.known.get(&goal.conj) {
            return known.clone();
        }
        let again = |open: &Conj| !open.is_empty() && *open == goal.conj;
        if let Some(index) = self.open.iter().position(again) {
            self.leaned_on = self.leaned_on.min(index);
            return Answer::Empty;
        }
        let own = self.open.len();
        let before = std::mem::replace(&mut self.leaned_on, usize::MAX);
        self.open.push(goal.conj.clone());
        let answer = self.by_type(goal);
        self.open.pop();
        let stands_alone = self.leaned_on >= own;
        self.leaned_on = if stands_alone { before } else { before.min(self.leaned_on) };
        if stands_alone || matches!(answer, Answer::Found { guess: false, .. }) {
            self.known.insert(goal.conj.clone(), answer.clone());
        }
        answer
    }

    fn by_type(&mut self, goal: &Goal) -> Answer {
        let mut tally = Tally::default();
        let types: &[Type] = if goal.text { &[Type::String] } else { &Type::ALL };
        for ty in types {
            let answer = match ty {
                Type::Null => self.listed(goal, &[Value::Null], None),
                Type::Boolean => self.listed(goal, &[json!(false), json!(true)], None),
                Type::String | Type::Number | Type::Object | Type::Array => self.branches(goal, *ty),
            };
            if let Some(value) = tally.add(answer) {
                return Answer::Found { value, guess: false };
            }
        }
        tally.answer()
    }

    /// Tries the only values that come into question.
    fn listed(&mut self, goal: &Goal, values: &[Value], breaks: Option<&Arc<str>>) -> Answer {
        let mut tally = Tally::default();
        for value in values {
            let answer = match self.satisfies(goal, value) {
                Some(true) => self.confirmed(value.clone(), false, breaks),
                Some(false) => Answer::Empty,
                None => self.confirmed(value.clone(), true, breaks),
            };
            if let Some(value) = tally.add(answer) {
                return Answer::Found { value, guess: false };
            }
        }
        tally.answer()
    }

    fn satisfies(&self, goal: &Goal, value: &Value) -> Option<bool> {
        let excluded = goal.excluded.iter().any(|one| same(one, value));
        let text = match value {
            Value::String(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let matches = |text: &String| {
            goal.patterns.iter().all(|(pattern, wanted)| self.model.patterns.matches(pattern, text) == *wanted)
        };
        if excluded || (goal.text && text.is_none()) || !text.is_none_or(matches) {
            return Some(false);
        }
        let mut sure = true;
        for (id, wanted) in &goal.conj {
            match self.holds(*id, value) {
                Some(holds) if holds == *wanted => {}
                Some(_) => return Some(false),
                None => sure = false,
            }
        }
        sure.then_some(true)
    }

    /// A value of the outermost goal counts only when the validator agrees under both schemas.
    fn confirmed(&self, value: Value, guess: bool, breaks: Option<&Arc<str>>) -> Answer {
        if self.open.len() != 1 {
            return Answer::Found { value, guess };
        }
        if (self.agrees)(&value) {
            return Answer::Found { value, guess: false };
        }
        Answer::unknown(breaks, "a keyword here is not followed, and the value tried did not tell the schemas apart")
    }

    fn branches(&mut self, goal: &Goal, ty: Type) -> Answer {
        let mut facts: Vec<Fact> = goal.conj.iter().map(|(id, holds)| Fact::Schema(*id, *holds)).collect();
        // What must hold first: it is what the denials are checked against.
        facts.sort_by_key(|fact| !matches!(fact, Fact::Schema(_, true)));
        facts.extend(goal.patterns.iter().map(|(pattern, wanted)| Fact::Pattern(pattern.clone(), *wanted)));
        if !goal.excluded.is_empty() {
            facts.push(Fact::OneOf(Arc::new(goal.excluded.clone()), false));
        }
        let mut open = vec![(Branch::new(ty), Choice { facts, breaks: None })];
        let mut tally = Tally::default();
        while let Some((mut branch, choice)) = open.pop() {
            let choices: usize = branch.clauses.iter().map(Vec::len).sum();
            let Some(left) = self
                .spend(1 + choices + choice.facts.len())
                .and_then(|()| self.branches.checked_sub(1))
                .filter(|_| open.len() < OPEN_MAX)
            else {
                return Answer::unknown(branch.breaks.as_ref(), TOO_MANY);
            };
            self.branches = left;
            let chosen = branch.choose(choice, self.model).and_then(|()| branch.settle(self.model));
            if let Err(Closed(because)) = chosen {
                self.note(&branch, because);
                continue;
            }
            if let Some(values) = branch.finite.clone() {
                let of_type: Vec<Value> = values.iter().filter(|value| Type::of(value) == ty).cloned().collect();
                let answer = self.listed(goal, &of_type, branch.breaks.as_ref());
                if matches!(answer, Answer::Empty) {
                    self.note(&branch, "none of the listed values breaks it".into());
                }
                if let Some(value) = tally.add(answer) {
                    return Answer::Found { value, guess: false };
                }
                continue;
            }
            // The shortest clause first; ties go to the one that came first.
            let shortest = (0..branch.clauses.len()).min_by_key(|at| branch.clauses[*at].len());
            if let Some(at) = shortest {
                let clause = branch.clauses.remove(at);
                open.extend(clause.into_iter().rev().map(|choice| (branch.clone(), choice)));
                continue;
            }
            if let Some(value) = tally.add(self.leaf(&branch)) {
                return Answer::Found { value, guess: false };
            }
        }
        tally.answer()
    }

    fn leaf(&mut self, branch: &Branch) -> Answer {
        let answer = match branch.ty {
            Type::Null | Type::Boolean => Answer::Empty, // Their few values have been tried one by one.
            Type::String => self.string(branch),
            Type::Number => number(branch),
            Type::Object => self.object(branch),
            Type::Array => self.array(branch),
        };
        match answer {
            Answer::Found { value, guess } => {
                self.confirmed(value, guess || branch.left_out.is_some(), branch.breaks.as_ref())
            }
            Answer::Empty => {
                self.note(branch, "no value that satisfies the rest breaks it".into());
                Answer::Empty
            }
            Answer::Unknown { pointer, reason } => Answer::Unknown { pointer, reason },
        }
    }

    fn note(&mut self, branch: &Branch, because: String) {
        if let Some(breaks) = branch.breaks.as_ref().filter(|_| self.steps.len() < STEPS_MAX) {
            self.steps.insert(Step { pointer: breaks.to_string(), because });
        }
    }

    fn string(&self, branch: &Branch) -> Answer {
        let excluded: Vec<&str> =
            branch.excluded.iter().flat_map(|values| values.iter()).filter_map(Value::as_str).collect();
        match self.model.patterns.search(&branch.patterns, branch.count_min, branch.count_max, &excluded) {
            Search::Found(text) => Answer::Found { value: Value::String(text), guess: false },
            Search::Empty => Answer::Empty,
            Search::Unknown => Answer::unknown(branch.breaks.as_ref(), "the pattern is too large to reason about"),
        }
    }
}

fn number(branch: &Branch) -> Answer {
    let excluded = number::exact_numbers(branch.excluded.iter().flat_map(|values| values.iter()));
    let guess = excluded.is_none();
    let excluded = excluded.unwrap_or_default();
    let wanted = Wanted { excluded: &excluded, high: branch.high, low: branch.low, multiples: &branch.multiples };
    match wanted.search() {
        Found::Number(number) => Answer::Found { value: Value::Number(number), guess },
        Found::None => Answer::Empty,
        Found::Unknown => Answer::unknown(branch.breaks.as_ref(), "no such number could be written exactly"),
    }
}
