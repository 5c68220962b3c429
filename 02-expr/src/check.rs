//! Types, presence and worst-case cost, all in one walk over the tree and before anything is evaluated.

#![expect(clippy::wildcard_enum_match_arm, reason = "a pattern asks for one shape, and every other shape is a no")]

use crate::ast::{Binary, Item, Kind, Literal, Node, Unary};
use crate::path::{self, Target, Unknown};
use crate::schema::Schema;
use crate::sort::{HUGE, KEY, Sort, Value};
use crate::{ExprProblem, Limits};
use std::collections::BTreeSet;
use writ_text::{listed, nearest};

/// Facts that may be missing and are known to be there.
pub(crate) type Present = BTreeSet<String>;

/// What is known of a node.
pub(crate) struct Found {
    pub(crate) value: Value,
    pub(crate) cost: u64,
    /// What is present when the node is true.
    pub(crate) yes: Present,
    /// What is present when it is false.
    pub(crate) no: Present,
}

/// What a whole expression turned out to be.
pub(crate) struct Checked {
    pub(crate) sort: Sort,
    pub(crate) cost: u64,
    pub(crate) yes: Present,
    pub(crate) reads: BTreeSet<String>,
}

const FUNCTIONS: [&str; 7] = ["size", "contains", "startsWith", "endsWith", "int", "double", "string"];
const MACROS: [&str; 5] = ["all", "exists", "exists_one", "filter", "map"];

/// Walks the tree. `given` is what is known to be present before.
pub(crate) fn check(
    root: &Node,
    schema: &Schema,
    limits: &Limits,
    given: &Present,
) -> Result<Checked, Vec<ExprProblem>> {
    let mut checker =
        Checker { schema, limits, scope: Vec::new(), problems: Vec::new(), reads: BTreeSet::new(), comprehensions: 0 };
    let found = checker.visit(root, given);
    let cost = found.cost.saturating_add(found.value.weight());
    if cost > limits.cost {
        let message =
            format!("this expression could cost {cost} units of work, and at most {} are allowed", limits.cost);
        checker.problems.push(
            ExprProblem::new(root.start, root.end, message)
                .hint("nest fewer `all`, `exists` or `map`, or compare shorter lists"),
        );
    }
    if checker.problems.is_empty() {
        return Ok(Checked { sort: found.value.sort, cost, yes: found.yes, reads: checker.reads });
    }
    checker.problems.sort();
    checker.problems.dedup();
    Err(checker.problems)
}

struct Checker<'a> {
    schema: &'a Schema,
    limits: &'a Limits,
    scope: Vec<(String, Value)>,
    problems: Vec<ExprProblem>,
    reads: BTreeSet<String>,
    comprehensions: usize,
}

impl Checker<'_> {
    fn say(&mut self, node: &Node, message: impl Into<String>) {
        self.problems.push(ExprProblem::new(node.start, node.end, message));
    }

    fn suggest(&mut self, node: &Node, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(ExprProblem::new(node.start, node.end, message).hint(hint));
    }

    fn found(value: Value, cost: u64) -> Found {
        Found { value, cost: cost.min(HUGE), yes: Present::new(), no: Present::new() }
    }

    fn visit(&mut self, node: &Node, present: &Present) -> Found {
        let plain = Self::found;
        match &node.kind {
            Kind::Literal(literal) => plain(self.literal(literal), 1),
            Kind::Name(_) | Kind::Select { .. } | Kind::Index { .. } => self.member(node, present),
            Kind::Call { target, name, args } => self.call(node, target.as_deref(), name, args, present),
            Kind::List(items) => self.list(items, present),
            Kind::Map(items) => self.map(items, present),
            Kind::Message { name, .. } => {
                self.say(node, format!("there are no messages here, and `{name}` would be one"));
                plain(Value::of(Sort::Unknown), 1)
            }
            Kind::Unary { op: Unary::Not, operand } => {
                let found = self.truth(operand, present);
                Found { value: Value::of(Sort::Bool), cost: found.cost + 1, yes: found.no, no: found.yes }
            }
            Kind::Unary { op: Unary::Negate, operand } => {
                let found = self.visit(operand, present);
                if !found.value.number() || found.value.sort == Sort::UInt {
                    self.say(operand, format!("`-` needs a number, found {}", found.value.name()));
                }
                plain(found.value, found.cost + 1)
            }
            Kind::Binary { op, left, right } => self.binary(node, *op, left, right, present),
            Kind::All(operands) => self.run(operands, present, true),
            Kind::Any(operands) => self.run(operands, present, false),
            Kind::Choose { condition, yes, no } => {
                let asked = self.truth(condition, present);
                let left = self.visit(yes, &union(present, &asked.yes));
                let right = self.visit(no, &union(present, &asked.no));
                let names = (left.value.name(), right.value.name());
                let value = left.value.either(right.value).unwrap_or_else(|| {
                    self.say(node, format!("one side of `? :` is {}, the other {}", names.0, names.1));
                    Value::of(Sort::Unknown)
                });
                plain(value, asked.cost + left.cost.max(right.cost) + 1)
            }
        }
    }

    fn literal(&mut self, literal: &Literal) -> Value {
        match literal {
            Literal::Null => Value::of(Sort::Null),
            Literal::Bool(_) => Value::of(Sort::Bool),
            Literal::Int(_) => Value::of(Sort::Int),
            Literal::UInt(_) => Value::of(Sort::UInt),
            Literal::Double(_) => Value::of(Sort::Double),
            Literal::Text(text) => Value::sized(Sort::Text, text.len() as u64),
            Literal::Bytes(bytes) => Value::sized(Sort::Bytes, bytes.len() as u64),
        }
    }

    /// A node that must be true or false.
    fn truth(&mut self, node: &Node, present: &Present) -> Found {
        let found = self.visit(node, present);
        if !found.value.is(&Sort::Bool) {
            self.say(node, format!("expected true or false, found {}", found.value.name()));
        }
        found
    }

    fn run(&mut self, operands: &[Node], present: &Present, all: bool) -> Found {
        let (mut known, mut passed, mut short): (Present, Present, Option<Present>) =
            (present.clone(), Present::new(), None);
        let mut cost = 0;
        for operand in operands {
            let found = self.truth(operand, &known);
            let (on, off) = if all { (found.yes, found.no) } else { (found.no, found.yes) };
            known.extend(on.iter().cloned());
            passed.extend(on);
            short = Some(match short {
                Some(so_far) => so_far.intersection(&off).cloned().collect(),
                None => off,
            });
            cost += found.cost + 1;
        }
        let short = short.unwrap_or_default();
        let (yes, no) = if all { (passed, short) } else { (short, passed) };
        Found { value: Value::of(Sort::Bool), cost, yes, no }
    }

    fn in_scope(&self, name: &str) -> Option<&Value> {
        self.scope.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn member(&mut self, node: &Node, present: &Present) -> Found {
        let plain = Self::found;
        let local = path::root(node).is_some_and(|root| self.in_scope(root).is_some());
        if !local {
            match path::resolve(node, self.schema) {
                Some(Ok(found)) => return self.fact(node, &found, present),
                Some(Err(unknown)) => {
                    self.unknown(&unknown);
                    return plain(Value::of(Sort::Unknown), 1);
                }
                None => {}
            }
        }
        match &node.kind {
            Kind::Name(name) => match self.in_scope(name) {
                Some(value) => plain(value.clone(), 1),
                None => plain(Value::of(Sort::Unknown), 1),
            },
            Kind::Select { operand, field, optional } => {
                if *optional {
                    self.suggest(node, "`.?` is not read here", "ask has() first");
                }
                let found = self.visit(operand, present);
                match found.value.sort {
                    Sort::Map(item) => plain(*item, found.cost + 2),
                    Sort::Unknown => plain(Value::of(Sort::Unknown), 1),
                    _ => {
                        self.say(node, format!("{} has no member `{field}`", found.value.name()));
                        plain(Value::of(Sort::Unknown), 1)
                    }
                }
            }
            Kind::Index { operand, index, optional } => {
                if *optional {
                    self.suggest(node, "`[?` is not read here", "ask has() first");
                }
                let (found, key) = (self.visit(operand, present), self.visit(index, present));
                let cost = found.cost + key.cost + 1 + found.value.weight();
                let wanted = match &found.value.sort {
                    Sort::List(_) => Sort::Int,
                    Sort::Map(_) => Sort::Text,
                    Sort::Unknown => return plain(Value::of(Sort::Unknown), cost),
                    _ => {
                        self.say(operand, format!("{} cannot be indexed", found.value.name()));
                        return plain(Value::of(Sort::Unknown), cost);
                    }
                };
                if !key.value.is(&wanted) {
                    self.say(
                        index,
                        format!("this index must be {}, found {}", Value::of(wanted).name(), key.value.name()),
                    );
                }
                match found.value.sort {
                    Sort::List(item) | Sort::Map(item) => plain(*item, cost),
                    _ => plain(Value::of(Sort::Unknown), cost),
                }
            }
            _ => plain(Value::of(Sort::Unknown), 1),
        }
    }

    fn fact(&mut self, node: &Node, found: &path::Path<'_>, present: &Present) -> Found {
        let plain = Self::found;
        let (value, cost, read) = match &found.target {
            Target::Value(ty) => (Value::declared(ty), 1, &found.text),
            Target::Entry { map, of, .. } => (Value::declared(of), 3, map),
            Target::Group(group) => {
                let names: Vec<String> =
                    group.facts().take(3).map(|(name, _)| format!("`{}.{name}`", found.text)).collect();
                self.suggest(
                    node,
                    format!("`{}` is a group of facts", found.text),
                    format!("name one of them, like {}", names.join(", ")),
                );
                return plain(Value::of(Sort::Unknown), 1);
            }
        };
        self.reads.insert(read.clone());
        if let Some(missing) = found.optional.iter().find(|path| !present.contains(*path)) {
            let ask = if *missing == found.text || matches!(found.target, Target::Entry { .. }) {
                missing
            } else {
                &found.text
            };
            self.suggest(node, format!("`{missing}` may be missing"), format!("ask has({ask}) first"));
        }
        plain(value, cost)
    }

    fn unknown(&mut self, unknown: &Unknown<'_>) {
        let whole =
            if unknown.group.is_empty() { unknown.name.clone() } else { format!("{}.{}", unknown.group, unknown.name) };
        let problem = ExprProblem::new(unknown.start, unknown.end, format!("there is no fact `{whole}` at this stage"));
        let names = unknown.schema.facts().map(|(name, _)| name);
        self.problems.push(match nearest(&unknown.name, names) {
            Some(name) => problem.hint(format!("did you mean `{name}`?")),
            None => problem.hint(format!("there are {}", listed(unknown.schema.facts().map(|(name, _)| name)))),
        });
    }

    fn list(&mut self, items: &[Item], present: &Present) -> Found {
        let (mut of, mut cost) = (Value::of(Sort::Unknown), 1);
        for item in items {
            if item.optional {
                self.say(&item.value, "`?` is not read here");
            }
            let found = self.visit(&item.value, present);
            cost += found.cost + found.value.weight();
            let names = (of.name(), found.value.name());
            of = of.either(found.value).unwrap_or_else(|| {
                self.say(&item.value, format!("this list mixes {} and {}", names.0, names.1));
                Value::of(Sort::Unknown)
            });
        }
        Self::found(Value::sized(Sort::List(Box::new(of)), items.len() as u64), cost)
    }

    fn map(&mut self, items: &[Item], present: &Present) -> Found {
        let (mut of, mut cost) = (Value::of(Sort::Unknown), 1);
        for item in items {
            let Some(key) = &item.key else { continue };
            let (key_found, found) = (self.visit(key, present), self.visit(&item.value, present));
            if !key_found.value.is(&Sort::Text) {
                self.say(key, format!("a key must be a text, found {}", key_found.value.name()));
            }
            cost += key_found.cost + found.cost + found.value.weight() + 2;
            of = of.either(found.value).unwrap_or_else(|| {
                self.say(&item.value, "this map mixes sorts of values");
                Value::of(Sort::Unknown)
            });
        }
        Self::found(Value::sized(Sort::Map(Box::new(of)), items.len() as u64), cost)
    }

    fn binary(&mut self, node: &Node, op: Binary, left: &Node, right: &Node, present: &Present) -> Found {
        let (a, b) = (self.visit(left, present), self.visit(right, present));
        let cost = a.cost + b.cost + 1;
        let (a, b) = (a.value, b.value);
        let truth = |cost| Self::found(Value::of(Sort::Bool), cost);
        match op {
            Binary::Equal | Binary::NotEqual => {
                if !a.comparable(&b) {
                    self.say(node, format!("{} never equals {}", a.name(), b.name()));
                }
                truth(cost + a.weight().min(b.weight()))
            }
            Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual => {
                let sound = (a.number() && b.number()) || (a.is(&Sort::Text) && b.is(&Sort::Text));
                if !sound {
                    self.say(node, format!("`{}` cannot compare {} with {}", op.mark(), a.name(), b.name()));
                }
                truth(cost + a.weight().min(b.weight()))
            }
            Binary::In => self.membership(node, left, right, &a, &b, cost),
            Binary::Add if matches!(a.sort, Sort::Text | Sort::Bytes | Sort::List(_)) => {
                let (len, weight, name) = (a.len.saturating_add(b.len), a.weight() + b.weight(), (a.name(), b.name()));
                let limit = if matches!(a.sort, Sort::List(_)) { self.limits.list } else { self.limits.text };
                if len > limit {
                    self.say(node, format!("this could grow to {len}, and at most {limit} is allowed"));
                }
                let mut value = a.either(b).unwrap_or_else(|| {
                    self.say(node, format!("`+` cannot join {} and {}", name.0, name.1));
                    Value::of(Sort::Unknown)
                });
                value.len = len.min(limit);
                Self::found(value, cost + weight)
            }
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder => {
                self.arithmetic(node, op, a, b, cost)
            }
        }
    }

    fn membership(&mut self, node: &Node, left: &Node, right: &Node, a: &Value, b: &Value, cost: u64) -> Found {
        let mut found = Self::found(Value::of(Sort::Bool), cost);
        match &b.sort {
            Sort::List(item) => {
                if !a.comparable(item) {
                    self.say(node, format!("a list of {} never holds {}", item.name(), a.name()));
                }
                found.cost += b.len.saturating_mul(item.weight().min(a.weight())) + 1;
            }
            Sort::Map(_) => {
                if !a.is(&Sort::Text) {
                    self.say(left, format!("a key is a text, found {}", a.name()));
                }
                found.cost += 2;
                if let (Kind::Literal(Literal::Text(key)), Some(Ok(map))) =
                    (&left.kind, path::resolve(right, self.schema))
                {
                    found.yes.insert(format!("{}.{key}", map.text));
                }
            }
            Sort::Unknown => {}
            _ => self.say(right, format!("`in` needs a list or a map, found {}", b.name())),
        }
        found
    }

    fn arithmetic(&mut self, node: &Node, op: Binary, a: Value, b: Value, cost: u64) -> Found {
        let whole = op == Binary::Remainder;
        if !a.number() || !b.number() || (whole && (a.sort == Sort::Double || b.sort == Sort::Double)) {
            self.say(node, format!("`{}` cannot take {} and {}", op.mark(), a.name(), b.name()));
            return Self::found(Value::of(Sort::Unknown), cost);
        }
        let mixed = format!("`{}` needs numbers of one sort, found {} and {}", op.mark(), a.name(), b.name());
        let value = a.either(b).unwrap_or_else(|| {
            self.suggest(node, mixed, "write 2.0 instead of 2, or double(…) around the whole number");
            Value::of(Sort::Unknown)
        });
        Self::found(value, cost)
    }

    fn call(&mut self, node: &Node, target: Option<&Node>, name: &str, args: &[Node], present: &Present) -> Found {
        if let Some(asked) = node.presence() {
            return self.presence(asked, present);
        }
        if name == "has" && target.is_none() {
            self.suggest(node, "has() needs one member", "write it like has(plan.predicted)");
            return Self::found(Value::of(Sort::Bool), 1);
        }
        if node.comprehension().is_some() {
            return self.comprehension(node, present);
        }
        if !FUNCTIONS.contains(&name) {
            self.no_function(node, target, name);
            return Self::found(Value::of(Sort::Unknown), 1);
        }
        let mut all: Vec<(&Node, Found)> = Vec::new();
        for part in target.into_iter().chain(args) {
            let found = self.visit(part, present);
            all.push((part, found));
        }
        let cost = 2 + all.iter().map(|(_, found)| found.cost).sum::<u64>();
        let weight = all.iter().map(|(_, found)| found.value.weight()).sum::<u64>();
        let wanted =
            |accepts: fn(&Sort) -> bool, all: &[(&Node, Found)]| all.iter().all(|(_, f)| accepts(&f.value.sort));
        let (value, sound) = match (name, target.is_some(), all.len()) {
            ("size", _, 1) => (
                Value::of(Sort::Int),
                wanted(|s| matches!(s, Sort::Text | Sort::Bytes | Sort::List(_) | Sort::Map(_)), &all),
            ),
            ("contains" | "startsWith" | "endsWith", true, 2) => {
                (Value::of(Sort::Bool), wanted(|s| *s == Sort::Text, &all))
            }
            ("int", false, 1) => (
                Value::of(Sort::Int),
                wanted(|s| matches!(s, Sort::Int | Sort::UInt | Sort::Double | Sort::Text), &all),
            ),
            ("double", false, 1) => (
                Value::of(Sort::Double),
                wanted(|s| matches!(s, Sort::Int | Sort::UInt | Sort::Double | Sort::Text), &all),
            ),
            ("string", false, 1) => {
                let len = all.first().map_or(0, |(_, found)| found.value.len.max(32));
                let scalar = |s: &Sort| matches!(s, Sort::Int | Sort::UInt | Sort::Double | Sort::Text | Sort::Bool);
                (Value::sized(Sort::Text, len), wanted(scalar, &all))
            }
            _ => {
                self.no_function(node, target, name);
                return Self::found(Value::of(Sort::Unknown), cost);
            }
        };
        if !sound && !all.iter().any(|(_, found)| found.value.sort == Sort::Unknown) {
            let names: Vec<String> = all.iter().map(|(_, found)| found.value.name()).collect();
            self.say(node, format!("`{name}` cannot take {}", names.join(" and ")));
        }
        Self::found(value, cost + weight)
    }

    fn no_function(&mut self, node: &Node, target: Option<&Node>, name: &str) {
        let start = target.map_or(node.start, |target| target.end + 1);
        let problem = |message: String| ExprProblem::new(start, start + name.len(), message);
        if target.is_some() && MACROS.contains(&name) {
            let hint = format!("write it like regions.{name}(r, r != '')");
            self.problems.push(problem(format!("`{name}` needs a name and a condition")).hint(hint));
            return;
        }
        let problem = problem(format!("there is no function `{name}` with these arguments"));
        let known: Vec<&str> = FUNCTIONS.into_iter().chain(["has"]).chain(MACROS).collect();
        self.problems.push(match nearest(name, known.iter().copied()) {
            Some(near) if near != name => problem.hint(format!("did you mean `{near}`?")),
            Some(_) | None => problem.hint(format!("there are {}", known.join(", "))),
        });
    }

    fn presence(&mut self, asked: &Node, present: &Present) -> Found {
        let mut found = Self::found(Value::of(Sort::Bool), 2);
        let local = path::root(asked).is_some_and(|root| self.in_scope(root).is_some());
        match if local { None } else { path::resolve(asked, self.schema) } {
            Some(Ok(path)) => {
                let read = match &path.target {
                    Target::Entry { map, .. } => map.clone(),
                    Target::Value(_) | Target::Group(_) => path.text.clone(),
                };
                self.reads.insert(read);
                // Asking for a member says that everything it stands in is there too.
                found.yes.extend(path.optional);
            }
            Some(Err(unknown)) => self.unknown(&unknown),
            None => {
                let Kind::Select { operand, .. } = &asked.kind else {
                    self.say(asked, "has() needs a fact");
                    return found;
                };
                let value = self.visit(operand, present);
                found.cost += value.cost;
                if !matches!(value.value.sort, Sort::Map(_) | Sort::Unknown) {
                    self.say(operand, format!("{} has no members", value.value.name()));
                }
            }
        }
        found
    }

    fn comprehension(&mut self, node: &Node, present: &Present) -> Found {
        let Some(written) = node.comprehension() else { return Self::found(Value::of(Sort::Unknown), 1) };
        self.comprehensions += 1;
        if self.comprehensions > self.limits.comprehensions {
            let message =
                format!("`all`, `exists`, `filter` and `map` are nested more than {} deep", self.limits.comprehensions);
            self.say(node, message);
            self.comprehensions -= 1;
            return Self::found(Value::of(Sort::Unknown), 1);
        }
        self.comprehensions -= 1;
        let range = self.visit(written.range, present);
        let (len, item) = match range.value.sort.clone() {
            Sort::List(item) => (range.value.len, *item),
            Sort::Map(_) => (range.value.len, Value::sized(Sort::Text, KEY)),
            Sort::Unknown => (1, Value::of(Sort::Unknown)),
            _ => {
                self.say(
                    written.range,
                    format!("`{}` needs a list or a map, found {}", written.name, range.value.name()),
                );
                (1, Value::of(Sort::Unknown))
            }
        };
        self.comprehensions += 1;
        self.scope.push((written.variable.to_owned(), item.clone()));
        let filter = written.filter.map_or(0, |filter| self.truth(filter, present).cost);
        let step =
            if written.name == "map" { self.visit(written.step, present) } else { self.truth(written.step, present) };
        self.scope.pop();
        self.comprehensions -= 1;
        let each = step.cost + filter + item.weight() + step.value.weight() + 6;
        let cost = range.cost.saturating_add(len.saturating_mul(each)).saturating_add(2);
        let value = match written.name {
            "map" => Value::sized(Sort::List(Box::new(step.value)), len),
            "filter" => Value::sized(Sort::List(Box::new(item)), len),
            _ => Value::of(Sort::Bool),
        };
        Self::found(value, cost)
    }
}

fn union(a: &Present, b: &Present) -> Present {
    a.union(b).cloned().collect()
}
