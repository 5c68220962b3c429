//! A remedy: what should become true, how much it touches, and the plan steps that make it so.

use crate::metric::serves;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_core::{
    Action, ActionId, Change, ComponentId, Digest, EffectClass, Health, IdError, IncidentId, IntentId, Permission,
    Plan, RetryRule, Step, StepKey, Undo,
};

/// What a remedy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemedyAction {
    /// Starts one instance anew.
    RestartInstance,
    /// Starts every instance anew, a few at a time.
    RestartService,
    /// Adds instances.
    ScaleOut,
    /// Takes an instance away.
    ScaleIn,
    /// Brings up what stands before the instances, and through which they are seen.
    RestoreBalancer,
}

impl RemedyAction {
    /// Every action.
    pub const ALL: [RemedyAction; 5] = [
        RemedyAction::RestartInstance,
        RemedyAction::RestartService,
        RemedyAction::ScaleOut,
        RemedyAction::ScaleIn,
        RemedyAction::RestoreBalancer,
    ];

    /// The name that manifests, policies and people use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RemedyAction::RestartInstance => "restart_instance",
            RemedyAction::RestartService => "restart_service",
            RemedyAction::ScaleOut => "scale_out",
            RemedyAction::ScaleIn => "scale_in",
            RemedyAction::RestoreBalancer => "restore_balancer",
        }
    }

    /// The action of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Whether it changes how many instances there are.
    #[must_use]
    pub fn scales(self) -> bool {
        matches!(self, RemedyAction::ScaleOut | RemedyAction::ScaleIn)
    }

    /// The permission that its agent needs.
    #[must_use]
    pub fn permission(self) -> Permission {
        Permission(if self.scales() { "execute:scale_operations" } else { "execute:recovery" }.to_owned())
    }

    fn phase(self) -> &'static str {
        if self.scales() { "auto_scaling" } else { "self_healing" }
    }
}

impl std::fmt::Display for RemedyAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Names one remedy for ever: the incident and the attempt, or the component and a count of its scalings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemedyKey(pub String);

impl std::fmt::Display for RemedyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One slot and the generation that it should have; for a removal, the generation that is to go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The start that is wanted.
    pub generation: u64,
    /// The slot's name: `i-2`.
    pub instance: String,
}

/// How much of the component a remedy touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blast {
    /// Instances that it restarts, adds or takes away.
    pub affected: u64,
    /// Instances that served when it was proposed.
    pub healthy: u64,
    /// Instances there were.
    pub total: u64,
}

/// What should be done about a symptom, stated as the world that should come of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// What it does.
    pub action: RemedyAction,
    /// Which try it is within its incident, from 1; 0 for the autoscaler.
    pub attempt: u32,
    /// How much it touches.
    pub blast: Blast,
    /// The component.
    pub component: ComponentId,
    /// How many instances there should be; only of a scaling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The incident it is for; none when the autoscaler wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Its name.
    pub key: RemedyKey,
    /// The slots it is about, in the order in which they are touched.
    pub targets: Vec<Target>,
    /// How long each step may take, in milliseconds.
    pub timeout_ms: u64,
    /// Whether it takes an earlier remedy back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undo: bool,
    /// How many slots it touches at once.
    pub width: u64,
}

/// A slot of a component, as the pipeline knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The start that is there; 0 when none ever was.
    pub generation: u64,
    /// Its name: `i-2`.
    pub instance: String,
    /// Parameters of the `instance.ensure` that made it, or would make it.
    pub params: Value,
    /// Parameters of the `instance.remove` that would take it away.
    pub removal: Value,
}

/// What a remedy must know of a component to become steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentView {
    /// The component.
    pub component: ComponentId,
    /// The slots that are in use.
    pub slots: Vec<Slot>,
    /// The slots that would be used next, in order.
    pub spare: Vec<Slot>,
    /// The slot of what stands before them, with the parameters of the `balancer.ensure` that made it.
    pub balancer: Option<(String, Value)>,
}

/// What heads the plan of a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanHead {
    /// The intent that the component belongs to.
    pub intent: IntentId,
    /// Digest of the intent's canonical form.
    pub intent_digest: Digest,
    /// Which version of it.
    pub intent_version: u64,
    /// Digest of the world that the view was read from.
    pub world: Digest,
}

/// Why a remedy cannot become steps on this world.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RemedyError {
    /// The view is of another component.
    #[error("remedy `{remedy}` is for `{wanted}`, not for `{given}`")]
    Component {
        /// The remedy.
        remedy: RemedyKey,
        /// Its component.
        wanted: ComponentId,
        /// The view's.
        given: ComponentId,
    },
    /// A target is not a slot of the component.
    #[error("remedy `{remedy}` is about `{instance}`, which the component does not have")]
    NoSlot {
        /// The remedy.
        remedy: RemedyKey,
        /// What is missing.
        instance: String,
    },
    /// The slot has been started since, by somebody else.
    #[error("`{instance}` is at generation {there}; remedy `{remedy}` was decided for {wanted}")]
    Superseded {
        /// The remedy.
        remedy: RemedyKey,
        /// The slot.
        instance: String,
        /// The generation that is there.
        there: u64,
        /// The generation that the remedy speaks of.
        wanted: u64,
    },
    /// The component has that many instances already.
    #[error("remedy `{remedy}` wants {wanted} instances and there are {there}")]
    Count {
        /// The remedy.
        remedy: RemedyKey,
        /// How many there should be.
        wanted: u64,
        /// How many there are.
        there: u64,
    },
    /// There are not enough free slots to grow into.
    #[error("remedy `{remedy}` needs {wanted} more slots and {free} are free")]
    NoSpare {
        /// The remedy.
        remedy: RemedyKey,
        /// How many it needs.
        wanted: u64,
        /// How many are free.
        free: u64,
    },
    /// The parameters of a slot are not a map.
    #[error("the parameters of `{instance}` are not a map")]
    Params {
        /// The slot.
        instance: String,
    },
    /// The names grow too long to be ids.
    #[error("remedy `{remedy}` cannot be named in a plan")]
    Name {
        /// The remedy.
        remedy: RemedyKey,
        /// What is wrong with the name.
        #[source]
        source: IdError,
    },
}

impl Remedy {
    /// The steps that make it so, for this world.
    ///
    /// # Errors
    /// When the world is no longer the one that the remedy was decided for.
    pub fn steps(&self, view: &ComponentView) -> Result<Vec<Step>, RemedyError> {
        if view.component != self.component {
            let (wanted, given) = (self.component.clone(), view.component.clone());
            return Err(RemedyError::Component { remedy: self.key.clone(), wanted, given });
        }
        match self.action {
            RemedyAction::RestartInstance | RemedyAction::RestartService => self.restarts(view),
            RemedyAction::ScaleOut => self.additions(view),
            RemedyAction::ScaleIn => self.removals(view),
            RemedyAction::RestoreBalancer => self.restored(view),
        }
    }

    /// The whole plan: one action and its steps.
    ///
    /// # Errors
    /// As [`Remedy::steps`].
    pub fn plan(&self, view: &ComponentView, head: PlanHead) -> Result<Plan, RemedyError> {
        let steps = self.steps(view)?;
        let (change, inverse) = match self.action {
            RemedyAction::RestartInstance | RemedyAction::RestartService => {
                (Change::Replace { because: "/generation".to_owned() }, "none")
            }
            RemedyAction::ScaleOut => (Change::Create, "scale_in"),
            RemedyAction::ScaleIn => (Change::Delete, "scale_out"),
            RemedyAction::RestoreBalancer => (Change::Create, "none"),
        };
        let action = Action {
            action: self.action.name().to_owned(),
            change,
            config: self.config(),
            id: self.action_id()?,
            inverse: inverse.to_owned(),
            needs: vec![],
            permission: self.action.permission(),
            phase: self.action.phase().to_owned(),
        };
        let PlanHead { intent, intent_digest, intent_version, world } = head;
        Ok(Plan { actions: vec![action], intent, intent_digest, intent_version, steps, world })
    }

    fn config(&self) -> Value {
        let targets: Vec<Value> =
            self.targets.iter().map(|one| json!({"generation": one.generation, "instance": one.instance})).collect();
        let mut config = BTreeMap::from([
            ("attempt", json!(self.attempt)),
            ("component", json!(self.component)),
            ("targets", Value::Array(targets)),
        ]);
        if let Some(incident) = &self.incident {
            config.insert("incident", json!(incident));
        }
        if let Some(count) = self.count {
            config.insert("count", json!(count));
        }
        json!(config)
    }

    fn restarts(&self, view: &ComponentView) -> Result<Vec<Step>, RemedyError> {
        let width = usize::try_from(self.width.max(1)).unwrap_or(usize::MAX);
        let mut steps: Vec<Step> = Vec::with_capacity(self.targets.len());
        for (at, target) in self.targets.iter().enumerate() {
            let slot = self.slot(view, &target.instance)?;
            if slot.generation >= target.generation {
                return Err(self.superseded(slot, target));
            }
            // Rolling: a slot waits for the one `width` before it, so that never more than `width` are away at once.
            let needs = at.checked_sub(width).and_then(|before| steps.get(before)).map(|step| step.key.clone());
            let params = with_generation(slot, target.generation)?;
            let mut step = self.step("instance.ensure", &target.instance, params, None)?;
            step.needs = needs.into_iter().collect();
            steps.push(step);
        }
        Ok(steps)
    }

    fn additions(&self, view: &ComponentView) -> Result<Vec<Step>, RemedyError> {
        let (wanted, there) = (self.count.unwrap_or(0), view.slots.len() as u64);
        let Some(missing) = wanted.checked_sub(there).filter(|missing| *missing > 0) else {
            return Err(RemedyError::Count { remedy: self.key.clone(), wanted, there });
        };
        let free = view.spare.len() as u64;
        if free < missing {
            return Err(RemedyError::NoSpare { remedy: self.key.clone(), wanted: missing, free });
        }
        let fresh = view.spare.iter().take(usize::try_from(missing).unwrap_or(usize::MAX));
        fresh
            .map(|slot| {
                let undo = Undo {
                    class: EffectClass::Keyed,
                    params: slot.removal.clone(),
                    verb: "instance.remove".to_owned(),
                };
                self.step("instance.ensure", &slot.instance, with_generation(slot, slot.generation + 1)?, Some(undo))
            })
            .collect()
    }

    fn removals(&self, view: &ComponentView) -> Result<Vec<Step>, RemedyError> {
        let (wanted, there) = (self.count.unwrap_or(0), view.slots.len() as u64);
        if there.checked_sub(self.targets.len() as u64) != Some(wanted) {
            return Err(RemedyError::Count { remedy: self.key.clone(), wanted, there });
        }
        self.targets
            .iter()
            .map(|target| {
                let slot = self.slot(view, &target.instance)?;
                if slot.generation > target.generation {
                    return Err(self.superseded(slot, target));
                }
                let back = with_generation(slot, slot.generation + 1)?;
                let undo = Undo { class: EffectClass::Keyed, params: back, verb: "instance.ensure".to_owned() };
                self.step("instance.remove", &target.instance, slot.removal.clone(), Some(undo))
            })
            .collect()
    }

    fn restored(&self, view: &ComponentView) -> Result<Vec<Step>, RemedyError> {
        let missing = || RemedyError::NoSlot { remedy: self.key.clone(), instance: "a balancer".to_owned() };
        let (name, params) = view.balancer.as_ref().ok_or_else(missing)?;
        Ok(vec![self.step("balancer.ensure", name, params.clone(), None)?])
    }

    fn slot<'view>(&self, view: &'view ComponentView, instance: &str) -> Result<&'view Slot, RemedyError> {
        let missing = || RemedyError::NoSlot { remedy: self.key.clone(), instance: instance.to_owned() };
        view.slots.iter().find(|slot| slot.instance == instance).ok_or_else(missing)
    }

    fn superseded(&self, slot: &Slot, target: &Target) -> RemedyError {
        RemedyError::Superseded {
            remedy: self.key.clone(),
            instance: slot.instance.clone(),
            there: slot.generation,
            wanted: target.generation,
        }
    }

    fn action_id(&self) -> Result<ActionId, RemedyError> {
        ActionId::try_from(format!("act_{}", self.key))
            .map_err(|source| RemedyError::Name { remedy: self.key.clone(), source })
    }

    fn step(&self, verb: &str, instance: &str, params: Value, undo: Option<Undo>) -> Result<Step, RemedyError> {
        let action = self.action_id()?;
        let key = StepKey::try_from(format!("{action}/{instance}"))
            .map_err(|source| RemedyError::Name { remedy: self.key.clone(), source })?;
        Ok(Step {
            action,
            action_name: self.action.name().to_owned(),
            class: EffectClass::Keyed,
            key,
            needs: vec![],
            params,
            permission: self.action.permission(),
            phase: self.action.phase().to_owned(),
            resource: format!("{}/{instance}", self.component),
            retry: RetryRule { attempts: 2, ceiling_ms: 1_000, factor_percent: 200, first_ms: 200 },
            timeout_ms: self.timeout_ms,
            undo,
            verb: verb.to_owned(),
        })
    }
}

fn with_generation(slot: &Slot, generation: u64) -> Result<Value, RemedyError> {
    let mut params = slot.params.clone();
    let Some(fields) = params.as_object_mut() else {
        return Err(RemedyError::Params { instance: slot.instance.clone() });
    };
    fields.insert("generation".to_owned(), json!(generation));
    Ok(params)
}

/// Which instance a component can best do without: one that does not serve before one that does, then one from the fullest
/// zone, then the one that sorts last.
pub(crate) fn dispensable<'a>(instances: &[(&'a str, u64, Health, &'a str)]) -> Option<Target> {
    let mut zones: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, _, _, zone) in instances {
        *zones.entry(zone).or_default() += 1;
    }
    let crowd = |zone: &str| zones.get(zone).copied().unwrap_or(0);
    let pick =
        instances.iter().max_by_key(|(name, _, health, zone)| (!serves(*health), crowd(zone), name.len(), *name));
    pick.map(|(name, generation, _, _)| Target { generation: *generation, instance: (*name).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, generation: u64) -> Slot {
        Slot {
            generation,
            instance: name.to_owned(),
            params: json!({"command": ["web"], "generation": generation, "zone": "us-west-2a"}),
            removal: json!({"drain_ms": 500}),
        }
    }

    fn view(names: &[&str]) -> ComponentView {
        ComponentView {
            component: "web-service-001".parse().unwrap(),
            slots: names.iter().map(|name| slot(name, 4)).collect(),
            spare: vec![slot("i-8", 0), slot("i-9", 2)],
            balancer: None,
        }
    }

    fn remedy(action: RemedyAction, targets: &[(&str, u64)], count: Option<u64>) -> Remedy {
        let target =
            |(name, generation): &(&str, u64)| Target { generation: *generation, instance: (*name).to_owned() };
        Remedy {
            action,
            attempt: 1,
            blast: Blast { affected: 1, healthy: 2, total: 3 },
            component: "web-service-001".parse().unwrap(),
            count,
            incident: None,
            key: RemedyKey("inc_1/1".to_owned()),
            targets: targets.iter().map(target).collect(),
            timeout_ms: 60_000,
            undo: false,
            width: 1,
        }
    }

    fn head() -> PlanHead {
        let digest = Digest([7; 32]);
        PlanHead { intent: "DEPLOY-WEB-001".parse().unwrap(), intent_digest: digest, intent_version: 1, world: digest }
    }

    #[test]
    fn restarting_the_service_rolls_from_one_instance_to_the_next() {
        let remedy = remedy(RemedyAction::RestartService, &[("i-1", 5), ("i-2", 5), ("i-3", 5)], None);
        let plan = remedy.plan(&view(&["i-1", "i-2", "i-3"]), head()).unwrap();
        plan.check().unwrap();
        let needs: Vec<Vec<&str>> =
            plan.steps.iter().map(|step| step.needs.iter().map(StepKey::as_str).collect()).collect();
        assert_eq!(needs, [vec![], vec!["act_inc_1/1/i-1"], vec!["act_inc_1/1/i-2"]]);
        assert!(plan.steps.iter().all(|step| step.params["generation"] == json!(5)));
        assert!(plan.steps.iter().all(|step| step.permission.0 == "execute:recovery"));
    }

    #[test]
    fn a_wider_remedy_waits_for_the_one_width_before_it() {
        let mut remedy = remedy(RemedyAction::RestartService, &[("i-1", 5), ("i-2", 5), ("i-3", 5)], None);
        remedy.width = 2;
        let steps = remedy.steps(&view(&["i-1", "i-2", "i-3"])).unwrap();
        assert_eq!(steps[2].needs, [steps[0].key.clone()]);
        assert_eq!(steps[1].needs, []);
    }

    #[test]
    fn growing_takes_the_next_free_slots_and_can_be_undone() {
        let steps = remedy(RemedyAction::ScaleOut, &[], Some(4)).steps(&view(&["i-1", "i-2"])).unwrap();
        let told: Vec<(&str, &Value)> =
            steps.iter().map(|step| (step.resource.as_str(), &step.params["generation"])).collect();
        assert_eq!(told, [("web-service-001/i-8", &json!(1)), ("web-service-001/i-9", &json!(3))]);
        assert_eq!(steps[0].undo.as_ref().unwrap().verb, "instance.remove");
        assert_eq!(steps[0].permission.0, "execute:scale_operations");
    }

    #[test]
    fn shrinking_removes_just_the_target() {
        let steps = remedy(RemedyAction::ScaleIn, &[("i-2", 4)], Some(1)).steps(&view(&["i-1", "i-2"])).unwrap();
        assert_eq!(steps.len(), 1);
        assert_eq!((steps[0].verb.as_str(), &steps[0].params), ("instance.remove", &json!({"drain_ms": 500})));
        assert_eq!(steps[0].undo.as_ref().unwrap().params["generation"], json!(5));
    }

    #[test]
    fn a_world_that_has_moved_on_is_refused() {
        let told = |remedy: Remedy, view: &ComponentView| remedy.steps(view).unwrap_err().to_string();
        let two = view(&["i-1", "i-2"]);
        assert_eq!(
            told(remedy(RemedyAction::RestartInstance, &[("i-1", 4)], None), &two),
            "`i-1` is at generation 4; remedy `inc_1/1` was decided for 4"
        );
        assert_eq!(
            told(remedy(RemedyAction::RestartInstance, &[("i-7", 4)], None), &two),
            "remedy `inc_1/1` is about `i-7`, which the component does not have"
        );
        assert_eq!(
            told(remedy(RemedyAction::ScaleOut, &[], Some(2)), &two),
            "remedy `inc_1/1` wants 2 instances and there are 2"
        );
        assert_eq!(
            told(remedy(RemedyAction::ScaleOut, &[], Some(9)), &two),
            "remedy `inc_1/1` needs 7 more slots and 2 are free"
        );
        assert_eq!(
            told(remedy(RemedyAction::ScaleIn, &[("i-2", 4)], Some(0)), &two),
            "remedy `inc_1/1` wants 0 instances and there are 2"
        );
        let other = ComponentView { component: "db".parse().unwrap(), ..two };
        assert_eq!(
            told(remedy(RemedyAction::ScaleOut, &[], Some(3)), &other),
            "remedy `inc_1/1` is for `web-service-001`, not for `db`"
        );
    }

    #[test]
    fn the_one_that_does_not_serve_goes_first_then_the_fullest_zone_then_the_last() {
        use Health::{Failed, Healthy};
        let picked = |instances: &[(&str, u64, Health, &str)]| dispensable(instances).unwrap().instance;
        assert_eq!(picked(&[("i-1", 1, Failed, "a"), ("i-2", 1, Healthy, "b"), ("i-3", 1, Healthy, "b")]), "i-1");
        assert_eq!(picked(&[("i-1", 1, Healthy, "a"), ("i-2", 1, Healthy, "a"), ("i-3", 1, Healthy, "b")]), "i-2");
        assert_eq!(picked(&[("i-2", 1, Healthy, "a"), ("i-10", 1, Healthy, "b")]), "i-10");
        assert_eq!(dispensable(&[]), None);
    }
}
