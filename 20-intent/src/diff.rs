//! From what is there to what is wanted: the difference as a plan of its own, the way back, and drift.

use crate::order::{closure_and_reduction, sorted};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use writ_core::{Action, ActionId, Change, Digest, Plan, Step, StepKey, Undo, World};

/// The difference between what is there and what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// The steps that make it so, and nothing else.
    pub plan: Plan,
    /// Everything as it will be afterwards: the wanted plan with generations carried on. What the next difference starts from.
    pub target: Plan,
    /// What happens to each resource that changes, in the order of the plan.
    pub changes: Vec<ResourceChange>,
    /// Resources that stay as they are.
    pub unchanged: usize,
    /// Resources that should go and that nothing can take away.
    pub stuck: Vec<String>,
}

/// What happens to one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChange {
    /// The resource: `web-service-001/i-4`.
    pub resource: String,
    /// What happens to it.
    pub change: Change,
}

/// What is wanted of every resource: the verb that ensures it and its parameters.
pub type Desired = BTreeMap<String, (String, Value)>;

/// The world is not the one that a plan was made for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan was made for the world `{}`, and the world is now `{}`", .planned.short(), .found.short())]
pub struct StaleWorld {
    /// The world the plan was made for.
    pub planned: Digest,
    /// The world as it is.
    pub found: Digest,
}

/// Parameters whose change an instance does not survive.
const FORCING: [&str; 8] = ["instance_type", "zone", "cpu_millicores", "memory_bytes", "command", "env", "port", ENDED];

/// How an observed instance's process ended; never wanted, so one that has it is made anew.
pub const ENDED: &str = "ended";

/// Parameters that say what is wanted, as opposed to how a resource happens to be: what a world's digest is over.
const DECLARED: [&str; 24] = [
    "type",
    "scheme",
    "policy",
    "instance_type",
    "zone",
    "cpu_millicores",
    "memory_bytes",
    "command",
    "env",
    "health_path",
    "min",
    "max",
    "target_cpu_percent",
    "cooldown_ms",
    "interval_ms",
    "timeout_ms",
    "healthy_threshold",
    "unhealthy_threshold",
    "path",
    "strategy",
    "max_attempts",
    "mode",
    "triggers",
    "drain_ms",
];

/// The plan that leads from an old full plan, or from nothing, to a new full plan, on the given world.
#[must_use]
pub fn diff(old: Option<&Plan>, new: &Plan, world: Digest) -> Diff {
    let there: BTreeMap<&str, &Step> =
        old.iter().flat_map(|plan| &plan.steps).map(|step| (step.resource.as_str(), step)).collect();
    let target = carried_on(&there, new, world);
    let wanted: BTreeSet<&str> = target.steps.iter().map(|step| step.resource.as_str()).collect();

    let mut changed: Vec<(Step, Change)> = Vec::new();
    for step in &target.steps {
        match there.get(step.resource.as_str()) {
            None => changed.push((step.clone(), Change::Create)),
            Some(before) if before.verb == step.verb && before.params == step.params => {}
            Some(before) => changed.push(altered(before, step)),
        }
    }
    let mut stuck = Vec::new();
    let mut removed: Vec<(Step, Change)> = Vec::new();
    for before in old.iter().flat_map(|plan| &plan.steps).filter(|step| !wanted.contains(step.resource.as_str())) {
        match removal(before) {
            Some(step) => removed.push((step, Change::Delete)),
            None => stuck.push(before.resource.clone()),
        }
    }
    let unchanged = target.steps.len() - changed.len();
    chain(&target, old, &mut changed, &mut removed);
    let kinds: BTreeMap<StepKey, Change> =
        changed.iter().chain(&removed).map(|(step, change)| (step.key.clone(), change.clone())).collect();
    let steps = sorted(changed.into_iter().chain(removed).map(|(step, _)| step).collect());
    let changes = steps
        .iter()
        .filter_map(|step| {
            Some(ResourceChange { resource: step.resource.clone(), change: kinds.get(&step.key)?.clone() })
        })
        .collect();
    let actions = changed_actions(old, &target, &steps, &kinds);
    let plan = Plan { actions, steps, ..target.clone() };
    Diff { plan, target, changes, unchanged, stuck }
}

/// The plan that takes away everything of a full plan that is there.
#[must_use]
pub fn decommission(old: &Plan, observed: &World) -> Diff {
    let nothing = Plan { actions: Vec::new(), steps: Vec::new(), ..old.clone() };
    let mut gone = diff(Some(&seen(old, observed)), &nothing, world_digest(observed));
    for step in &mut gone.plan.steps {
        let taken_back = old.actions.iter().find(|action| action.id == step.action);
        step.action_name = taken_back.map_or_else(|| step.action_name.clone(), |action| action.inverse.clone());
    }
    gone
}

/// The new plan with each instance's generation carried on from what is there: the same where it can stay, the next where it
/// must be made anew.
fn carried_on(there: &BTreeMap<&str, &Step>, new: &Plan, world: Digest) -> Plan {
    let mut target = Plan { world, ..new.clone() };
    for step in &mut target.steps {
        let Some(before) = there.get(step.resource.as_str()) else { continue };
        let Some(generation) = before.params.get("generation").and_then(Value::as_u64) else { continue };
        let anew = FORCING.iter().any(|key| before.params.get(key) != step.params.get(key));
        set_generation(&mut step.params, if anew { generation + 1 } else { generation });
    }
    target
}

fn set_generation(params: &mut Value, generation: u64) {
    if let Some(params) = params.as_object_mut()
        && params.contains_key("generation")
    {
        params.insert("generation".into(), json!(generation));
    }
}

fn generation(params: &Value) -> u64 {
    params.get("generation").and_then(Value::as_u64).unwrap_or(0)
}

/// A step whose resource is there with other values, and what takes it back: the values that were there.
fn altered(before: &Step, step: &Step) -> (Step, Change) {
    let mut back = before.params.clone();
    if let Some(back) = back.as_object_mut() {
        back.remove(ENDED);
    }
    let change = if generation(&before.params) == generation(&step.params) {
        Change::Update { paths: differing(&before.params, &step.params) }
    } else {
        set_generation(&mut back, generation(&step.params) + 1);
        let forced = FORCING.iter().find(|key| before.params.get(**key) != step.params.get(**key));
        Change::Replace { because: format!("/{}", forced.unwrap_or(&"generation")) }
    };
    let undo = Undo { class: before.class, params: back, verb: before.verb.clone() };
    (Step { undo: Some(undo), ..step.clone() }, change)
}

/// The step that takes a resource away, and puts it back when undone.
fn removal(before: &Step) -> Option<Step> {
    let undo = before.undo.as_ref()?;
    let mut back = before.params.clone();
    set_generation(&mut back, generation(&before.params) + 1);
    Some(Step {
        class: undo.class,
        params: undo.params.clone(),
        undo: Some(Undo { class: before.class, params: back, verb: before.verb.clone() }),
        verb: undo.verb.clone(),
        ..before.clone()
    })
}

/// What a step does to its resource, read off the step and what takes it back.
#[must_use]
pub fn change_of(step: &Step) -> Change {
    let removes = |verb: &str| verb.ends_with(".remove");
    match &step.undo {
        _ if removes(&step.verb) => Change::Delete,
        Some(undo) if removes(&undo.verb) => Change::Create,
        Some(undo) if generation(&undo.params) == generation(&step.params) => {
            Change::Update { paths: differing(&undo.params, &step.params) }
        }
        Some(undo) => {
            let forced = FORCING.iter().find(|key| undo.params.get(**key) != step.params.get(**key));
            Change::Replace { because: format!("/{}", forced.unwrap_or(&"generation")) }
        }
        None => Change::Create,
    }
}

/// Pointers to the top-level values that differ.
fn differing(before: &Value, after: &Value) -> Vec<String> {
    let empty = Map::new();
    let (before, after) = (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).map(|key| format!("/{key}")).collect()
}

/// Puts what changes in order. What stays as it is no longer stands between others; instances are made anew one after the other,
/// so that the rest keep serving; what goes does so last, dependants first.
fn chain(target: &Plan, old: Option<&Plan>, changed: &mut [(Step, Change)], removed: &mut [(Step, Change)]) {
    let (closure, _) = closure_and_reduction(&target.steps);
    let keys: BTreeSet<StepKey> = changed.iter().map(|(step, _)| step.key.clone()).collect();
    let mut last_replaced: BTreeMap<ActionId, StepKey> = BTreeMap::new();
    for (step, change) in changed.iter_mut() {
        let mut needs: BTreeSet<StepKey> =
            closure.get(&step.key).into_iter().flatten().filter(|need| keys.contains(*need)).cloned().collect();
        if matches!(change, Change::Replace { .. }) {
            needs.extend(last_replaced.insert(step.action.clone(), step.key.clone()));
        }
        step.needs = needs.into_iter().collect();
    }
    let needed: BTreeSet<StepKey> = changed.iter().flat_map(|(step, _)| step.needs.iter().cloned()).collect();
    let ends: BTreeSet<StepKey> = keys.difference(&needed).cloned().collect();
    let leaving: BTreeSet<StepKey> = removed.iter().map(|(step, _)| step.key.clone()).collect();
    let (before, _) = closure_and_reduction(old.map_or(&[], |plan| &plan.steps));
    for (step, _) in removed.iter_mut() {
        let dependants = before.iter().filter(|(key, needs)| leaving.contains(*key) && needs.contains(&step.key));
        step.needs = dependants.map(|(key, _)| key.clone()).chain(ends.iter().cloned()).collect();
    }
    let every: Vec<Step> = changed.iter().chain(removed.iter()).map(|(step, _)| step.clone()).collect();
    let (_, reduction) = closure_and_reduction(&every);
    for (step, _) in changed.iter_mut().chain(removed.iter_mut()) {
        step.needs = reduction.get(&step.key).into_iter().flatten().cloned().collect();
    }
}

/// The actions that a difference carries out, each with what it does on the whole.
fn changed_actions(
    old: Option<&Plan>,
    target: &Plan,
    steps: &[Step],
    kinds: &BTreeMap<StepKey, Change>,
) -> Vec<Action> {
    let before: BTreeMap<&ActionId, &Action> =
        old.iter().flat_map(|plan| &plan.actions).map(|action| (&action.id, action)).collect();
    let of = |id: &ActionId| steps.iter().filter(|step| step.action == *id).collect::<Vec<_>>();
    let mut actions = Vec::new();
    for action in target.actions.iter().filter(|action| !of(&action.id).is_empty()) {
        let replaced = of(&action.id).into_iter().find_map(|step| match kinds.get(&step.key) {
            Some(Change::Replace { because }) => Some(because.clone()),
            Some(Change::Create | Change::Update { .. } | Change::Delete) | None => None,
        });
        let change = match (before.get(&action.id), replaced) {
            (None, _) => Change::Create,
            (Some(_), Some(because)) => Change::Replace { because },
            (Some(known), None) => Change::Update { paths: differing(&known.config, &action.config) },
        };
        actions.push(Action { change, ..action.clone() });
    }
    let kept: BTreeSet<&ActionId> = target.actions.iter().map(|action| &action.id).collect();
    let gone = old.iter().flat_map(|plan| plan.actions.iter().rev()).filter(|action| !kept.contains(&action.id));
    actions.extend(gone.filter(|action| !of(&action.id).is_empty()).map(|action| Action {
        action: action.inverse.clone(),
        inverse: action.action.clone(),
        change: Change::Delete,
        ..action.clone()
    }));
    // An action needs another when one of its steps does. Where an action both makes and takes away, only the making counts:
    // what it takes away may wait for the very actions that wait for what it makes.
    let owner: BTreeMap<&StepKey, &ActionId> = steps.iter().map(|step| (&step.key, &step.action)).collect();
    for action in &mut actions {
        let deletes = action.change == Change::Delete;
        let counted =
            of(&action.id).into_iter().filter(|step| (kinds.get(&step.key) == Some(&Change::Delete)) == deletes);
        let needs: BTreeSet<ActionId> = counted
            .flat_map(|step| &step.needs)
            .filter_map(|need| owner.get(need).map(|id| (*id).clone()))
            .filter(|id| *id != action.id)
            .collect();
        action.needs = needs.into_iter().collect();
    }
    actions
}

/// What a full plan wants of every resource.
#[must_use]
pub fn desired(plan: &Plan) -> Desired {
    after(Desired::new(), plan)
}

/// What is wanted of every resource once a plan has been carried out.
#[must_use]
pub fn after(mut state: Desired, plan: &Plan) -> Desired {
    for step in &plan.steps {
        if step.verb.ends_with(".remove") {
            state.remove(&step.resource);
        } else {
            state.insert(step.resource.clone(), (step.verb.clone(), step.params.clone()));
        }
    }
    state
}

/// The way back from a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// Every step that can be taken back, in reverse order.
    pub plan: Plan,
    /// Steps that nothing takes back: shown before the plan is applied.
    pub cannot: Vec<StepKey>,
}

/// The plan that takes a plan back, made before it is applied. `world` is the world the way back would start from.
#[must_use]
pub fn rollback(plan: &Plan, world: Digest) -> Rollback {
    let cannot: Vec<StepKey> =
        plan.steps.iter().filter(|step| step.undo.is_none()).map(|step| step.key.clone()).collect();
    let (closure, _) = closure_and_reduction(&plan.steps);
    let mut steps: Vec<Step> = Vec::new();
    for step in plan.steps.iter().rev() {
        let Some(undo) = &step.undo else { continue };
        let inverse = plan.actions.iter().find(|action| action.id == step.action).map(|action| action.inverse.clone());
        let needs = closure.iter().filter(|(key, needs)| !cannot.contains(key) && needs.contains(&step.key));
        steps.push(Step {
            action_name: inverse.unwrap_or_else(|| step.action_name.clone()),
            class: undo.class,
            needs: needs.map(|(key, _)| key.clone()).collect(),
            params: undo.params.clone(),
            undo: Some(Undo { class: step.class, params: step.params.clone(), verb: step.verb.clone() }),
            verb: undo.verb.clone(),
            ..step.clone()
        });
    }
    let (_, reduction) = closure_and_reduction(&steps);
    for step in &mut steps {
        step.needs = reduction.get(&step.key).into_iter().flatten().cloned().collect();
    }
    let actions = plan.actions.iter().rev().map(|action| inverted(action, plan)).collect();
    Rollback { plan: Plan { actions, steps: sorted(steps), world, ..plan.clone() }, cannot }
}

fn inverted(action: &Action, plan: &Plan) -> Action {
    let mut needs: Vec<ActionId> =
        plan.actions.iter().filter(|other| other.needs.contains(&action.id)).map(|other| other.id.clone()).collect();
    needs.sort();
    Action {
        action: action.inverse.clone(),
        inverse: action.action.clone(),
        change: match &action.change {
            Change::Create => Change::Delete,
            Change::Delete => Change::Create,
            Change::Update { .. } | Change::Replace { .. } => action.change.clone(),
        },
        needs,
        ..action.clone()
    }
}

/// What would bring the world back to a full plan: the same difference, from the world as it was observed.
#[must_use]
pub fn drift(target: &Plan, observed: &World) -> Diff {
    diff(Some(&seen(target, observed)), target, world_digest(observed))
}

/// The full plan that would have led to the world as it was observed.
fn seen(target: &Plan, observed: &World) -> Plan {
    let mut steps: Vec<Step> = Vec::new();
    for step in &target.steps {
        let Some(found) = observed.resources.get(&step.resource).and_then(Value::as_object) else { continue };
        let mut step = step.clone();
        if let Some(params) = step.params.as_object_mut() {
            for (key, value) in params.iter_mut() {
                // A port of 0 means that the provider chooses one, so whichever it chose is no drift.
                let chosen = key == "port" && *value == json!(0);
                if let Some(seen) = found.get(key).filter(|_| !chosen) {
                    *value = seen.clone();
                }
            }
            if let Some(ended) = found.get(ENDED).filter(|ended| !ended.is_null()) {
                params.insert(ENDED.into(), ended.clone());
            }
        }
        steps.push(step);
    }
    let known: BTreeSet<&str> = target.steps.iter().map(|step| step.resource.as_str()).collect();
    if let Some(template) = target.steps.iter().find(|step| step.verb == "instance.ensure") {
        let strangers = observed.resources.keys().filter(|resource| !known.contains(resource.as_str()));
        steps.extend(strangers.filter_map(|resource| stranger(template, resource)));
    }
    Plan { steps, ..target.clone() }
}

/// Whether a resource is an instance, as `web/i-3` is.
#[must_use]
pub fn is_instance(resource: &str) -> bool {
    let number = resource.rsplit_once('/').and_then(|(_, slot)| slot.strip_prefix("i-"));
    number.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// An instance of the same component that the plan does not know, as a step that can be taken back.
fn stranger(template: &Step, resource: &str) -> Option<Step> {
    let (component, slot) = resource.rsplit_once('/')?;
    let ours = template.resource.rsplit_once('/').is_some_and(|(known, _)| known == component);
    if !ours || !is_instance(resource) {
        return None;
    }
    let renamed = |params: &Value| {
        let mut params = params.clone();
        if let Some(params) = params.as_object_mut() {
            params.insert("slot".into(), json!(slot));
        }
        params
    };
    Some(Step {
        key: StepKey::try_from(format!("{}/{slot}", template.action)).ok()?,
        params: renamed(&template.params),
        resource: resource.to_owned(),
        undo: template.undo.as_ref().map(|undo| Undo { params: renamed(&undo.params), ..undo.clone() }),
        ..template.clone()
    })
}

/// The digest of a world: of what is wanted of each resource, not of process ids, ports or counters that change by themselves.
#[must_use]
pub fn world_digest(world: &World) -> Digest {
    let declared = |document: &Value| -> Value {
        let fields = document.as_object().into_iter().flatten();
        Value::Object(
            fields
                .filter(|(key, _)| DECLARED.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        )
    };
    crate::digest(&Value::Object(
        world.resources.iter().map(|(name, document)| (name.clone(), declared(document))).collect(),
    ))
}

/// Whether a plan still stands on the world it was made for.
///
/// # Errors
/// When it does not; it must be made again.
pub fn check_world(plan: &Plan, world: &World) -> Result<(), StaleWorld> {
    let found = world_digest(world);
    if plan.world == found { Ok(()) } else { Err(StaleWorld { planned: plan.world, found }) }
}
