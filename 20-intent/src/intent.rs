//! What must hold: the manifest's content, typed.

use crate::figure;
use crate::platform::Platform;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use writ_core::{ComponentId, Digest, IntentId};

/// An intent: what a person wants to hold, in whole units, each value sensible by itself and beside the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The id its manifest gives it.
    pub id: IntentId,
    /// What sort of change is wanted.
    pub kind: Kind,
    /// The person's own words.
    pub description: String,
    /// Where it belongs.
    pub target: Target,
    /// What must hold.
    pub requirements: Requirements,
    /// Within which limits.
    pub constraints: Constraints,
    /// What a request costs, when the intent says so itself.
    pub workload: Workload,
    /// How it is healed.
    pub heal: Heal,
    /// Principals or roles that are asked when policy wants a person, in the order given.
    pub approvers: Vec<String>,
    /// An operator's own marks.
    pub labels: BTreeMap<String, String>,
    /// What to prefer, and what may give way.
    pub preferences: Preferences,
}

/// Makes an enum of words, each with its text, readable in both directions.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $variant,)*
        }

        impl $name {
            /// Every word with its meaning, in the order of the documents.
            pub const WORDS: &'static [(&'static str, $name)] = &[$(($text, $name::$variant),)*];

            /// The word, as documents have it.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <String as serde::Deserialize>::deserialize(deserializer)?;
                let known = Self::WORDS.iter().find(|(text, _)| *text == word);
                known.map(|(_, value)| *value).ok_or_else(|| serde::de::Error::custom(format!("unknown word `{word}`")))
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What sort of change an intent wants.
    Kind {
        /// A service is to run.
        Deployment => "deployment",
        /// A running service is to have another size.
        Scaling => "scaling",
        /// A running service is to do better or cost less.
        Optimization => "optimization",
        /// A running service is to move.
        Migration => "migration",
        /// A service is to be brought back.
        Recovery => "recovery",
    }
}

words! {
    /// Where a figure comes from.
    Origin {
        /// Somebody's estimate.
        Assumed => "assumed",
        /// Seen in operation.
        Measured => "measured",
    }
}

words! {
    /// What to prefer among layouts that hold everything.
    Objective {
        /// The least cost.
        Cost => "cost",
        /// The most availability, to a ten-thousandth of a percent; then the least cost.
        Availability => "availability",
    }
}

words! {
    /// Which cost a budget binds.
    Basis {
        /// That of the planned count.
        Steady => "steady",
        /// That of the most instances automatic scaling may reach.
        Peak => "peak",
    }
}

words! {
    /// How far self-healing may go by itself.
    HealMode {
        /// Record what it would have done.
        Shadow => "shadow",
        /// Ask before doing.
        Propose => "propose",
        /// Do it, under a standing approval.
        Auto => "auto",
    }
}

words! {
    /// How a failed component is brought back.
    Strategy {
        /// Start it again.
        Restart => "restart",
        /// Let another take over.
        Failover => "failover",
        /// Give it company.
        Scale => "scale",
        /// Go back to what ran before.
        Rollback => "rollback",
        /// A playbook of the operator's.
        Custom => "custom",
    }
}

words! {
    /// What a trigger does.
    TriggerAction {
        /// Start the failed instance again.
        RestartInstance => "restart_instance",
        /// Start every instance again, one after the other.
        RestartService => "restart_service",
        /// Add an instance.
        ScaleOut => "scale_out",
        /// Take an instance away.
        ScaleIn => "scale_in",
        /// Go back to the version before.
        Rollback => "rollback",
        /// Tell a person.
        Escalate => "escalate",
    }
}

words! {
    /// A constraint by the name that findings, preferences and fixes use.
    Constraint {
        /// The share of time that enough instances are up.
        Availability => "availability",
        /// The 95th percentile of how long requests take.
        LatencyP95 => "latency_p95",
        /// Requests a second.
        Throughput => "throughput",
        /// The least instances.
        MinInstances => "min_instances",
        /// The most instances.
        MaxInstances => "max_instances",
        /// Money a month.
        Budget => "budget",
        /// The regions that may be used.
        Region => "region",
        /// The least regions.
        MinRegions => "min_regions",
        /// The least zones.
        MinZones => "min_zones",
        /// Memory that each instance needs.
        Memory => "memory_per_instance",
    }
}

/// Where an intent belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The environment: `dev`, `production`.
    pub environment: String,
    /// The component, when it is not the platform's.
    pub component: Option<ComponentId>,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requirements {
    /// The least share of time, in billionths.
    pub availability_ppb: Option<u64>,
    /// The longest 95th percentile, in microseconds.
    pub latency_p95_us: Option<u64>,
    /// The least load to hold, in thousandths of a request a second.
    pub throughput_mrps: Option<u64>,
    /// The least instances.
    pub min_instances: Option<u32>,
    /// The most instances.
    pub max_instances: Option<u32>,
}

/// Within which limits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Constraints {
    /// The most that a month may cost.
    pub budget: Option<Budget>,
    /// Regions that may be used, best first, as the manifest names them; empty when all may.
    pub regions: Vec<String>,
    /// The least regions.
    pub min_regions: Option<u32>,
    /// The least zones.
    pub min_zones: Option<u32>,
}

/// An amount of money a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Millionths of the unit, a month.
    pub micros: u64,
    /// The ISO code of the currency.
    pub currency: String,
}

/// What a request costs, as far as the intent says so itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Workload {
    /// Time of one core, in microseconds.
    pub core_us: Option<u64>,
    /// Coefficient of variation, in thousandths.
    pub variation_permille: Option<u32>,
    /// Memory of each instance, in bytes.
    pub memory_bytes: Option<u64>,
    /// Where these figures come from.
    pub origin: Option<Origin>,
}

/// How it is healed, as far as the intent says so itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heal {
    /// Whether it is healed at all.
    pub enabled: Option<bool>,
    /// How far healing may go by itself.
    pub mode: Option<HealMode>,
    /// What brings it back.
    pub recovery: Option<RecoveryPolicy>,
    /// What to do when.
    pub triggers: Option<Vec<Trigger>>,
}

/// What brings a failed component back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryPolicy {
    /// How.
    pub strategy: Strategy,
    /// How often in one incident.
    pub max_attempts: u32,
    /// How long one attempt may take.
    pub timeout_seconds: u32,
}

/// What to do when a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The condition, as the person wrote it.
    pub condition: String,
    /// What to do.
    pub action: TriggerAction,
}

/// What to prefer, and what may give way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preferences {
    /// Constraints that may give way when not all can hold, the most important first.
    pub soft: Vec<Constraint>,
    /// What to prefer.
    pub objective: Objective,
    /// Which cost the budget binds.
    pub budget_basis: Basis,
}

impl Default for Preferences {
    fn default() -> Self {
        Self { soft: Vec::new(), objective: Objective::Cost, budget_basis: Basis::Steady }
    }
}

impl Intent {
    /// The component that it is about: the one it names, or else the platform's.
    #[must_use]
    pub fn component<'a>(&'a self, platform: &'a Platform) -> &'a ComponentId {
        self.target.component.as_ref().unwrap_or(&platform.component.id)
    }

    /// The intent as a manifest again, every value in its canonical form: what is digested, compared and patched. Reading it
    /// gives the same intent.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut intent = Map::new();
        intent.insert("apiVersion".into(), json!("intent/v1"));
        intent.insert("id".into(), json!(self.id));
        intent.insert("type".into(), json!(self.kind.word()));
        put_text(&mut intent, "description", &self.description);
        let mut target = Map::new();
        target.insert("environment".into(), json!(self.target.environment));
        put(&mut target, "component", self.target.component.as_ref().map(|id| json!(id)));
        intent.insert("target".into(), Value::Object(target));
        put_map(&mut intent, "requirements", self.requirements.document());
        put_map(&mut intent, "constraints", self.constraints.document());
        put_map(&mut intent, "workload", self.workload.document());
        put_map(&mut intent, "heal", self.heal.document());
        put_list(&mut intent, "approvers", self.approvers.iter().map(|name| json!(name)).collect());
        put_map(&mut intent, "labels", self.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect());
        put_map(&mut intent, "preferences", self.preferences.document());
        json!({ "intent": intent })
    }

    /// The digest of the canonical form: `'99.90%'` and `0.999` make no difference to it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::digest(&self.document())
    }
}

impl Requirements {
    fn document(&self) -> Map<String, Value> {
        let mut all = Map::new();
        put(&mut all, "availability", self.availability_ppb.map(|ppb| json!(figure::percent(ppb))));
        let mut performance = Map::new();
        put(&mut performance, "latency_p95", self.latency_p95_us.map(|us| json!(figure::span(us))));
        put(&mut performance, "throughput", self.throughput_mrps.map(|mrps| json!(figure::rate(mrps))));
        put_map(&mut all, "performance", performance);
        let mut scalability = Map::new();
        put(&mut scalability, "min_instances", self.min_instances.map(|count| json!(count)));
        put(&mut scalability, "max_instances", self.max_instances.map(|count| json!(count)));
        put_map(&mut all, "scalability", scalability);
        all
    }
}

impl Constraints {
    fn document(&self) -> Map<String, Value> {
        let mut all = Map::new();
        let budget = self.budget.as_ref();
        put(&mut all, "budget", budget.map(|b| json!(format!("{}/month", figure::money(b.micros, &b.currency)))));
        put_list(&mut all, "region", self.regions.iter().map(|name| json!(name)).collect());
        let mut placement = Map::new();
        put(&mut placement, "min_regions", self.min_regions.map(|count| json!(count)));
        put(&mut placement, "min_zones", self.min_zones.map(|count| json!(count)));
        put_map(&mut all, "placement", placement);
        all
    }
}

impl Workload {
    fn document(&self) -> Map<String, Value> {
        let mut all = Map::new();
        put(&mut all, "service_time", self.core_us.map(|us| json!(figure::span(us))));
        put(&mut all, "cv", self.variation_permille.map(|cv| json!(figure::decimal(u64::from(cv), 3))));
        put(&mut all, "memory_per_instance", self.memory_bytes.map(|bytes| json!(figure::bytes(bytes))));
        put(&mut all, "source", self.origin.map(|origin| json!(origin.word())));
        all
    }
}

impl Heal {
    fn document(&self) -> Map<String, Value> {
        let mut all = Map::new();
        put(&mut all, "enabled", self.enabled.map(|on| json!(on)));
        put(&mut all, "mode", self.mode.map(|mode| json!(mode.word())));
        put(&mut all, "recovery_policy", self.recovery.as_ref().map(RecoveryPolicy::document));
        put(&mut all, "triggers", self.triggers.as_ref().map(|all| all.iter().map(Trigger::document).collect()));
        all
    }
}

impl RecoveryPolicy {
    /// The policy in the source's form.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({
            "strategy": self.strategy.word(),
            "max_attempts": self.max_attempts,
            "timeout_seconds": self.timeout_seconds,
        })
    }
}

impl Trigger {
    /// The trigger in the source's form.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({ "condition": self.condition, "action": self.action.word() })
    }
}

impl Preferences {
    fn document(&self) -> Map<String, Value> {
        let mut all = Map::new();
        put_list(&mut all, "soft", self.soft.iter().map(|soft| json!(soft.word())).collect());
        all.insert("objective".into(), json!(self.objective.word()));
        all.insert("budget_basis".into(), json!(self.budget_basis.word()));
        all
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value);
    }
}

fn put_text(map: &mut Map<String, Value>, key: &str, text: &str) {
    put(map, key, (!text.is_empty()).then(|| json!(text)));
}

fn put_map(map: &mut Map<String, Value>, key: &str, inner: Map<String, Value>) {
    put(map, key, (!inner.is_empty()).then_some(Value::Object(inner)));
}

fn put_list(map: &mut Map<String, Value>, key: &str, items: Vec<Value>) {
    put(map, key, (!items.is_empty()).then_some(Value::Array(items)));
}
