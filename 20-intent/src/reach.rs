//! How far a change reaches, in figures: its blast radius.

use crate::diff::{change_of, is_instance};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use writ_core::{Change, Step, World};

/// What a change does to resources of one sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Extent {
    /// How many there are now; none where nobody looked.
    pub there: Option<u64>,
    /// To how many of those it does something.
    pub touched: u64,
    /// How many it makes.
    pub created: u64,
    /// To how many it gives other values.
    pub updated: u64,
    /// How many it makes anew.
    pub replaced: u64,
    /// How many it takes away.
    pub deleted: u64,
}

/// How far a change reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// Instances of its component.
    pub instances: Extent,
    /// Everything else: balancers, rules of scaling, what another tool would change.
    pub others: Extent,
}

/// What becomes of a resource, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Created,
    Updated,
    Replaced,
    Deleted,
}

impl Extent {
    fn of(fates: &[Fate]) -> Self {
        let count = |wanted| fates.iter().filter(|fate| **fate == wanted).count() as u64;
        let (updated, replaced, deleted) = (count(Fate::Updated), count(Fate::Replaced), count(Fate::Deleted));
        let touched = updated + replaced + deleted;
        Self { there: None, touched, created: count(Fate::Created), updated, replaced, deleted }
    }

    /// What it does, in words: `touches 3 of 4 instances`, `deletes 1`.
    fn words(self, noun: &str) -> Option<String> {
        let plural = |count: u64| if count == 1 { noun.to_owned() } else { format!("{noun}s") };
        let touches = self.there.filter(|there| *there > 0).map_or_else(
            || format!("touches {} {}", self.touched, plural(self.touched)),
            |there| format!("touches {} of {there} {}", self.touched, plural(there)),
        );
        let does = [("replaces", self.replaced), ("deletes", self.deleted)];
        let mut said = if self.touched > 0 { vec![touches] } else { Vec::new() };
        said.extend(does.iter().filter(|(_, count)| *count > 0).map(|(verb, count)| format!("{verb} {count}")));
        match (self.created, said.is_empty()) {
            (0, _) => {}
            (count, true) => said.push(format!("creates {count} {}", plural(count))),
            (count, false) => said.push(format!("creates {count}")),
        }
        Some(said.join(", ")).filter(|said| !said.is_empty())
    }
}

impl Reach {
    /// How far steps reach, in a world where it was looked at.
    #[must_use]
    pub fn of<'a>(steps: impl IntoIterator<Item = &'a Step>, world: Option<&World>) -> Self {
        let mut fates: BTreeMap<&str, (bool, Fate)> = BTreeMap::new();
        for step in steps {
            let instance = step.verb.starts_with("instance.");
            let known = fates.entry(&step.resource).or_insert((instance, Fate::Created));
            known.1 = known.1.max(fate(step, world));
        }
        let extent = |instances: bool| {
            let of: Vec<Fate> =
                fates.values().filter(|(instance, _)| *instance == instances).map(|(_, fate)| *fate).collect();
            let there = |world: &World| world.resources.keys().filter(|name| is_instance(name) == instances).count();
            Extent { there: world.map(|world| there(world) as u64), ..Extent::of(&of) }
        };
        Self { instances: extent(true), others: extent(false) }
    }

    /// How far a change reaches that another tool planned; none where nothing says what it changes.
    #[must_use]
    pub fn planned(outside: &Value) -> Option<Self> {
        let planned = outside.get("planned")?;
        let count = |name: &str| planned.get(name).and_then(Value::as_u64).unwrap_or(0);
        let (replaced, deleted) = (count("replaces"), count("deletes"));
        // What is applied is there already, or is made.
        let updated = count("updates") + count("applies");
        let touched = updated + replaced + deleted;
        let others = Extent { there: None, touched, created: count("creates"), updated, replaced, deleted };
        Some(Self { instances: Extent::default(), others })
    }
}

/// `touches 3 of 4 instances, deletes 1; touches 1 other resource`.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // How many other things there are tells nobody how grave it is.
        let others = Extent { there: None, ..self.others };
        let noun = if self.instances == Extent::default() { "resource" } else { "other resource" };
        let said: Vec<String> = [self.instances.words("instance"), others.words(noun)].into_iter().flatten().collect();
        f.write_str(if said.is_empty() { "touches nothing".to_owned() } else { said.join("; ") }.as_str())
    }
}

/// What becomes of a step's resource. What nothing takes back is made where it is not there, and made anew where it is.
fn fate(step: &Step, world: Option<&World>) -> Fate {
    let generation = step.params.get("generation").and_then(Value::as_u64).unwrap_or(0);
    let is_there = world.map_or(generation > 1, |world| world.resources.contains_key(&step.resource));
    match change_of(step) {
        Change::Delete => Fate::Deleted,
        Change::Replace { .. } => Fate::Replaced,
        Change::Update { .. } => Fate::Updated,
        Change::Create if step.undo.is_some() || !is_there => Fate::Created,
        Change::Create if generation > 1 => Fate::Replaced,
        Change::Create => Fate::Updated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use writ_core::{EffectClass, Permission, RetryRule, Undo};

    /// A step as `verb resource generation`, with the verb and generation that take it back.
    fn step(verb: &str, resource: &str, generation: u64, back: Option<(&str, u64)>) -> Step {
        let params = |generation: u64| json!({"generation": generation});
        let undo = back.map(|(verb, generation)| Undo {
            class: EffectClass::Keyed,
            params: params(generation),
            verb: verb.into(),
        });
        Step {
            action: "act_x".parse().unwrap(),
            action_name: "x".into(),
            class: EffectClass::Keyed,
            key: format!("act_x/{}", resource.replace('/', "-")).parse().unwrap(),
            needs: vec![],
            params: params(generation),
            permission: Permission("execute:x".into()),
            phase: "p".into(),
            resource: resource.into(),
            retry: RetryRule::default(),
            timeout_ms: 1,
            undo,
            verb: verb.into(),
        }
    }

    #[test]
    fn what_a_change_touches_is_counted_against_what_there_is() {
        let there = ["web/i-1", "web/i-2", "web/i-3", "web/i-4", "web/balancer"];
        let world = World { resources: there.map(|name| (name.to_owned(), json!({}))).into() };
        let (ensure, remove) = ("instance.ensure", "instance.remove");
        let made = step(ensure, "web/i-5", 1, Some((remove, 1)));
        let anew = step(ensure, "web/i-1", 2, Some((ensure, 1)));
        let other = step(ensure, "web/i-2", 1, Some((ensure, 1)));
        let gone = step(remove, "web/i-3", 1, Some((ensure, 2)));
        let restarted = step(ensure, "web/i-4", 2, None);
        let routes = step("balancer.ensure", "web/balancer", 0, None);
        let cases: [(Vec<&Step>, &str, &str); 7] = [
            (vec![], "touches nothing", "touches nothing"),
            (vec![&made], "creates 1 instance", "creates 1 instance"),
            (vec![&restarted], "touches 1 of 4 instances, replaces 1", "touches 1 instance, replaces 1"),
            (vec![&routes], "touches 1 other resource", "creates 1 resource"),
            (vec![&other, &gone], "touches 2 of 4 instances, deletes 1", "touches 2 instances, deletes 1"),
            (
                vec![&anew, &other, &gone, &made, &routes],
                "touches 3 of 4 instances, replaces 1, deletes 1, creates 1; touches 1 other resource",
                "touches 3 instances, replaces 1, deletes 1, creates 1; creates 1 other resource",
            ),
            // One resource counts once, for the gravest that becomes of it.
            (
                vec![&restarted, &restarted, &anew],
                "touches 2 of 4 instances, replaces 2",
                "touches 2 instances, replaces 2",
            ),
        ];
        for (steps, looked, unseen) in cases {
            assert_eq!(Reach::of(steps.iter().copied(), Some(&world)).to_string(), looked);
            assert_eq!(Reach::of(steps.iter().copied(), None).to_string(), unseen);
        }
    }

    #[test]
    fn what_another_tool_planned_is_told_in_the_same_words() {
        let planned = json!({"planned": {"creates": 2, "updates": 1, "replaces": 0, "deletes": 3}});
        let told = Reach::planned(&planned).map(|reach| reach.to_string());
        assert_eq!(told.as_deref(), Some("touches 4 resources, deletes 3, creates 2"));
        assert_eq!(Reach::planned(&json!({"program": "sh"})), None);
    }
}
