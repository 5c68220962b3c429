//! What the organisation provides: regions, prices, defaults. Every value has a default, so no file is needed to begin with.

use crate::figure;
use crate::intent::{HealMode, Origin, RecoveryPolicy, Strategy, Trigger, TriggerAction};
use crate::model::cost::Prices;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_core::{ComponentId, Digest};

/// Hours that make a month, wherever money is counted by the month.
pub const MONTH_HOURS: u64 = 730;

/// Everything an intent can count on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Who carries effects out: `local`.
    pub provider: String,
    /// How traffic is encrypted.
    pub tls: Tls,
    /// How callers are known.
    pub authentication: Authentication,
    /// The ISO code of the currency of every price.
    pub currency: String,
    /// Regions, in the platform's order of preference.
    pub regions: Vec<Region>,
    /// Instance types.
    pub instance_types: Vec<InstanceType>,
    /// What stands before the instances in each region.
    pub balancer: Balancer,
    /// What a request costs, when the intent does not say.
    pub demand: Demand,
    /// What is run, when the intent does not say.
    pub component: Component,
    /// How the number of instances follows the load.
    pub scaling: Scaling,
    /// How instances are checked.
    pub health: HealthChecks,
    /// How instances are brought back, when the intent does not say.
    pub healing: Healing,
    /// How long an instance may take to start, in milliseconds.
    pub start_timeout_ms: u64,
    /// How long an instance may take to finish what it has, in milliseconds.
    pub drain_ms: u64,
    /// Intervals that run otherwise than declared, when they do.
    pub profile: Option<Profile>,
}

/// How traffic is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Whether it is.
    pub enabled: bool,
    /// The least version: `1.3`.
    pub min_version: String,
}

/// How callers are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    /// Whether they are.
    pub enabled: bool,
    /// By what: `oidc`.
    pub method: String,
}

/// A region with its zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Its name: `us-west-2`.
    pub name: String,
    /// Other names that intents may use: `us-west`.
    pub aliases: Vec<String>,
    /// The share of time it can be reached, in billionths.
    pub availability_ppb: u64,
    /// Its zones, in the order in which they are used.
    pub zones: Vec<Zone>,
}

/// A zone: what fails together within a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its name: `us-west-2a`.
    pub name: String,
    /// The share of time it is up while its region is, in billionths.
    pub availability_ppb: u64,
}

/// An instance type of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceType {
    /// Its name: `t3.medium`.
    pub name: String,
    /// Whole cores.
    pub cores: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// What an hour costs, in millionths.
    pub hour_micros: u64,
    /// How fast a core is, in thousandths of the one that the demand was stated for.
    pub speed_permille: u32,
    /// Mean time between failures of one instance, in seconds.
    pub mtbf_s: u64,
    /// Mean time to bring one back, in seconds.
    pub mttr_s: u64,
    /// Where the two times come from.
    pub origin: Origin,
}

/// What stands before the instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balancer {
    /// `application`.
    pub kind: String,
    /// `internet-facing`.
    pub scheme: String,
    /// How it chooses: `p2c`, or `least_connections`.
    pub policy: String,
    /// What an hour costs, in millionths.
    pub hour_micros: u64,
    /// The share of time it is up, in billionths.
    pub availability_ppb: u64,
    /// The port it listens on; 0 has a free one chosen.
    pub port: u16,
}

/// What a request costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Time of one core of speed 1, in microseconds.
    pub core_us: u64,
    /// Coefficient of variation of that time, in thousandths.
    pub variation_permille: u32,
    /// Memory each instance needs, in bytes.
    pub memory_bytes: u64,
    /// Where these figures come from.
    pub origin: Origin,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its name: `web-service-001`.
    pub id: ComponentId,
    /// The program.
    pub command: Command,
    /// The port each instance listens on; 0 has a free one chosen.
    pub port: u16,
    /// Where its health is asked for.
    pub health_path: String,
    /// Its environment.
    pub env: BTreeMap<String, String>,
}

/// The program an instance runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The sample web service that comes with the product.
    Sample,
    /// A program and its arguments.
    Words(Vec<String>),
}

impl Command {
    /// The command as documents have it.
    #[must_use]
    pub fn document(&self) -> Value {
        match self {
            Command::Sample => json!("sample"),
            Command::Words(words) => json!(words),
        }
    }
}

/// How the number of instances follows the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaling {
    /// The least instances, when the intent does not say.
    pub min_instances: u32,
    /// The most instances, when the intent does not say.
    pub max_instances: u32,
    /// The share of its cores that an instance should use, in percent.
    pub target_cpu_percent: u32,
    /// How long to wait after a change, in milliseconds.
    pub cooldown_ms: u64,
}

/// How instances are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthChecks {
    /// From one check to the next, in whole seconds.
    pub interval_s: u32,
    /// How long one may take, in whole seconds.
    pub timeout_s: u32,
    /// Passes in a row that make it healthy.
    pub healthy_threshold: u32,
    /// Failures in a row that make it unhealthy.
    pub unhealthy_threshold: u32,
}

/// How instances are brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healing {
    /// How far it may go by itself; what would be done is recorded and no more where nobody says it.
    pub mode: Option<HealMode>,
    /// What it takes to let an action go further than that.
    pub promotion: Promotion,
    /// How, how often, how long.
    pub recovery: RecoveryPolicy,
    /// What to do when.
    pub triggers: Vec<Trigger>,
}

/// What it takes to let an action of healing go further by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promotion {
    /// Shadow decisions that must be cited, each judged right.
    pub judged_right: u32,
    /// Shadow decisions that may have been judged wrong since the first of these.
    pub judged_wrong: u32,
}

/// Intervals that run otherwise than declared. A demonstration cannot wait thirty seconds for a check; whoever shortens
/// it says so in the platform file, and every view of the plan repeats it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// What it is called: `demo`.
    pub name: String,
    /// From one health check to the next, in milliseconds.
    pub health_interval_ms: Option<u64>,
    /// How long a health check may take, in milliseconds.
    pub health_timeout_ms: Option<u64>,
    /// How long one attempt at healing may take, in milliseconds.
    pub healing_timeout_ms: Option<u64>,
    /// How long scaling waits after a change, in milliseconds.
    pub scaling_cooldown_ms: Option<u64>,
}

/// The intervals that are really used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// From one health check to the next, in milliseconds.
    pub health_interval_ms: u64,
    /// How long a health check may take, in milliseconds.
    pub health_timeout_ms: u64,
    /// How long one attempt at healing may take, in milliseconds.
    pub healing_timeout_ms: u64,
    /// How long scaling waits after a change, in milliseconds.
    pub scaling_cooldown_ms: u64,
}

impl Platform {
    /// The region that a manifest means by a name or an alias.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<&Region> {
        let known = |region: &&Region| region.name == name || region.aliases.iter().any(|alias| alias == name);
        self.regions.iter().find(known)
    }

    /// Every name and alias of a region.
    pub fn region_names(&self) -> impl Iterator<Item = &str> {
        self.regions.iter().flat_map(|region| std::iter::once(&region.name).chain(&region.aliases)).map(String::as_str)
    }

    /// The instance type with this name.
    #[must_use]
    pub fn instance_type(&self, name: &str) -> Option<&InstanceType> {
        self.instance_types.iter().find(|class| class.name == name)
    }

    /// What the parts of a layout of this type cost.
    #[must_use]
    pub fn prices(&self, class: &InstanceType) -> Prices {
        Prices { instance_hour: class.hour_micros, balancer_hour: self.balancer.hour_micros, month_hours: MONTH_HOURS }
    }

    /// The intervals that are really used with this recovery policy.
    #[must_use]
    pub fn intervals(&self, recovery: &RecoveryPolicy) -> Intervals {
        let none = Profile::default();
        let profile = self.profile.as_ref().unwrap_or(&none);
        let declared = self.declared_intervals(recovery);
        Intervals {
            health_interval_ms: profile.health_interval_ms.unwrap_or(declared.health_interval_ms),
            health_timeout_ms: profile.health_timeout_ms.unwrap_or(declared.health_timeout_ms),
            healing_timeout_ms: profile.healing_timeout_ms.unwrap_or(declared.healing_timeout_ms),
            scaling_cooldown_ms: profile.scaling_cooldown_ms.unwrap_or(declared.scaling_cooldown_ms),
        }
    }

    fn declared_intervals(&self, recovery: &RecoveryPolicy) -> Intervals {
        Intervals {
            health_interval_ms: u64::from(self.health.interval_s) * 1_000,
            health_timeout_ms: u64::from(self.health.timeout_s) * 1_000,
            healing_timeout_ms: u64::from(recovery.timeout_seconds) * 1_000,
            scaling_cooldown_ms: self.scaling.cooldown_ms,
        }
    }

    /// One sentence for every interval that runs otherwise than declared, and the name of the profile that says so.
    #[must_use]
    pub fn profile_lines(&self, recovery: &RecoveryPolicy) -> Vec<String> {
        let Some(profile) = &self.profile else { return Vec::new() };
        let (declared, used) = (self.declared_intervals(recovery), self.intervals(recovery));
        let pairs = [
            ("health interval", declared.health_interval_ms, used.health_interval_ms),
            ("health timeout", declared.health_timeout_ms, used.health_timeout_ms),
            ("healing timeout", declared.healing_timeout_ms, used.healing_timeout_ms),
            ("scaling cool-down", declared.scaling_cooldown_ms, used.scaling_cooldown_ms),
        ];
        let changed = pairs.into_iter().filter(|(_, declared, used)| declared != used);
        changed
            .map(|(what, declared, used)| {
                let (declared, used) = (figure::millis(declared), figure::millis(used));
                format!("profile `{}`: {what} runs at {used} instead of {declared}", profile.name)
            })
            .collect()
    }

    /// The digest of everything in it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::digest(&crate::read_platform::document(self))
    }
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            provider: "local".into(),
            tls: Tls { enabled: true, min_version: "1.3".into() },
            authentication: Authentication { enabled: true, method: "oidc".into() },
            currency: "USD".into(),
            regions: vec![
                region("us-west-2", "us-west", "abc"),
                region("us-east-1", "us-east", "abc"),
                region("eu-west-1", "eu-west", "abc"),
            ],
            instance_types: catalogue(),
            balancer: Balancer {
                kind: "application".into(),
                scheme: "internet-facing".into(),
                policy: "p2c".into(),
                hour_micros: 22_500,
                availability_ppb: 999_900_000,
                port: 0,
            },
            demand: Demand {
                core_us: 3_000,
                variation_permille: 1_000,
                memory_bytes: 3 << 30,
                origin: Origin::Assumed,
            },
            component: Component {
                id: default_component(),
                command: Command::Sample,
                port: 0,
                health_path: "/healthz".into(),
                env: BTreeMap::new(),
            },
            scaling: Scaling { min_instances: 1, max_instances: 10, target_cpu_percent: 70, cooldown_ms: 60_000 },
            health: HealthChecks { interval_s: 30, timeout_s: 5, healthy_threshold: 2, unhealthy_threshold: 3 },
            healing: Healing {
                mode: None,
                promotion: Promotion { judged_right: 3, judged_wrong: 0 },
                recovery: RecoveryPolicy { strategy: Strategy::Restart, max_attempts: 3, timeout_seconds: 60 },
                triggers: vec![
                    trigger("health_status == 'failed'", TriggerAction::RestartInstance),
                    trigger("error_rate > 5%", TriggerAction::RestartService),
                    trigger("latency_p95 > 200ms", TriggerAction::ScaleOut),
                ],
            },
            start_timeout_ms: 30_000,
            drain_ms: 10_000,
            profile: None,
        }
    }
}

#[expect(clippy::expect_used, reason = "the name is a constant that fits the rules for names")]
fn default_component() -> ComponentId {
    "web-service-001".parse().expect("a sound component name")
}

fn trigger(condition: &str, action: TriggerAction) -> Trigger {
    Trigger { condition: condition.to_owned(), action }
}

fn region(name: &str, alias: &str, zones: &str) -> Region {
    Region {
        name: name.to_owned(),
        aliases: vec![alias.to_owned()],
        availability_ppb: 999_900_000,
        zones: zones
            .chars()
            .map(|letter| Zone { name: format!("{name}{letter}"), availability_ppb: 999_500_000 })
            .collect(),
    }
}

/// List prices by the hour of common types, without any claim that one core is faster than another; the times between
/// failures are assumptions until the journal has measured them.
fn catalogue() -> Vec<InstanceType> {
    let rows: [(&str, u32, u64, u64); 11] = [
        ("t3.micro", 2, 1, 10_400),
        ("t3.small", 2, 2, 20_800),
        ("t3.medium", 2, 4, 41_600),
        ("t3.large", 2, 8, 83_200),
        ("t3.xlarge", 4, 16, 166_400),
        ("c5.large", 2, 4, 85_000),
        ("c5.xlarge", 4, 8, 170_000),
        ("c5.2xlarge", 8, 16, 340_000),
        ("m5.large", 2, 8, 96_000),
        ("m5.xlarge", 4, 16, 192_000),
        ("r5.large", 2, 16, 126_000),
    ];
    rows.into_iter()
        .map(|(name, cores, gib, hour_micros)| InstanceType {
            name: name.to_owned(),
            cores,
            memory_bytes: gib << 30,
            hour_micros,
            speed_permille: 1_000,
            mtbf_s: 7 * 86_400,
            mttr_s: 60,
            origin: Origin::Assumed,
        })
        .collect()
}
