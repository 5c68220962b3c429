//! The verbs and their parameters, read once into types that cannot be wrong.

use crate::balance::{Check, Policy};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use writ_core::{ComponentId, Effect};

/// The verbs of this provider.
pub(crate) const VERBS: [&str; 10] = [
    "balancer.ensure",
    "balancer.remove",
    "healing.configure",
    "healing.remove",
    "health.configure",
    "health.remove",
    "instance.ensure",
    "instance.remove",
    "scaling.configure",
    "scaling.remove",
];

/// Slots that are not instances.
const RESERVED: [&str; 4] = ["healing", "health", "lb", "scaling"];

/// What an effect asks for.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    EnsureBalancer(BalancerWish),
    RemoveBalancer { component: ComponentId },
    EnsureInstance(Box<InstanceWish>),
    RemoveInstance(RemoveWish),
    Configure { component: ComponentId, setting: Setting, document: Value },
    Unset { component: ComponentId, setting: Setting },
}

/// A document that is kept for a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    Health,
    Scaling,
    Healing,
}

impl Setting {
    pub(crate) const ALL: [Self; 3] = [Self::Health, Self::Scaling, Self::Healing];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Scaling => "scaling",
            Self::Healing => "healing",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BalancerWish {
    pub(crate) component: ComponentId,
    pub(crate) policy: Policy,
    #[serde(default)]
    pub(crate) port: u16,
    pub(crate) scheme: String,
    #[serde(rename = "type")]
    pub(crate) sort: String,
}

/// `sample`, or a command's words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Command {
    Named(String),
    Words(Vec<String>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstanceWish {
    pub(crate) command: Command,
    pub(crate) component: ComponentId,
    #[serde(default)]
    pub(crate) cpu_millicores: u64,
    #[serde(default = "drain_ms")]
    pub(crate) drain_ms: u64,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) generation: u64,
    #[serde(default = "health_path")]
    pub(crate) health_path: String,
    #[expect(
        dead_code,
        reason = "a catalogue's word; here it only has to be a text, and it is kept with the parameters"
    )]
    #[serde(default)]
    instance_type: String,
    #[serde(default)]
    pub(crate) memory_bytes: u64,
    #[serde(default)]
    pub(crate) port: u16,
    pub(crate) slot: String,
    #[serde(default = "start_timeout_ms")]
    pub(crate) start_timeout_ms: u64,
    pub(crate) zone: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveWish {
    pub(crate) component: ComponentId,
    #[serde(default = "drain_ms")]
    pub(crate) drain_ms: u64,
    pub(crate) slot: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    component: ComponentId,
}

/// `health.configure`: the checks, and the component they are for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthWish {
    component: ComponentId,
    healthy_threshold: u32,
    interval_ms: u64,
    #[serde(default = "health_path")]
    path: String,
    timeout_ms: u64,
    unhealthy_threshold: u32,
}

fn drain_ms() -> u64 {
    5_000
}

fn start_timeout_ms() -> u64 {
    10_000
}

fn health_path() -> String {
    "/healthz".to_owned()
}

/// The longest a drain or a start may be told to take.
const SPAN_MS_MAX: u64 = 3_600_000;

/// What an effect asks for, or what is wrong with it.
pub(crate) fn read(effect: &Effect) -> Result<Wish, String> {
    let wish = match effect.verb.as_str() {
        "balancer.ensure" => Wish::EnsureBalancer(typed(effect)?),
        "balancer.remove" => Wish::RemoveBalancer { component: typed::<Named>(effect)?.component },
        "instance.ensure" => Wish::EnsureInstance(Box::new(typed(effect)?)),
        "instance.remove" => Wish::RemoveInstance(typed(effect)?),
        "health.configure" => configure(effect, Setting::Health)?,
        "health.remove" => unset(effect, Setting::Health)?,
        "scaling.configure" => configure(effect, Setting::Scaling)?,
        "scaling.remove" => unset(effect, Setting::Scaling)?,
        "healing.configure" => configure(effect, Setting::Healing)?,
        "healing.remove" => unset(effect, Setting::Healing)?,
        _unknown => return Err(format!("the local provider does not know this verb; it knows {}", VERBS.join(", "))),
    };
    check(&wish)?;
    let meant = wish.resource();
    if meant != effect.resource {
        return Err(format!("the parameters are about `{meant}`"));
    }
    Ok(wish)
}

fn typed<T: DeserializeOwned>(effect: &Effect) -> Result<T, String> {
    T::deserialize(&effect.params).map_err(|error| format!("the parameters do not fit: {error}"))
}

fn configure(effect: &Effect, setting: Setting) -> Result<Wish, String> {
    let component = if setting == Setting::Health {
        let wish: HealthWish = typed(effect)?;
        let check = wish.check();
        if check.interval_ms == 0
            || check.timeout_ms == 0
            || check.healthy_threshold == 0
            || check.unhealthy_threshold == 0
        {
            return Err("intervals, timeouts and thresholds must be at least 1".to_owned());
        }
        path_fits(&check.path)?;
        wish.component
    } else {
        component_of(&effect.params)?
    };
    let mut document = effect.params.clone();
    if let Some(fields) = document.as_object_mut() {
        fields.remove("component");
    }
    Ok(Wish::Configure { component, setting, document })
}

fn unset(effect: &Effect, setting: Setting) -> Result<Wish, String> {
    Ok(Wish::Unset { component: typed::<Named>(effect)?.component, setting })
}

fn component_of(params: &Value) -> Result<ComponentId, String> {
    let text = params
        .get("component")
        .and_then(Value::as_str)
        .ok_or("the parameters do not fit: missing field `component`")?;
    text.parse().map_err(|error| format!("the parameters do not fit: {error}"))
}

impl HealthWish {
    fn check(&self) -> Check {
        Check {
            healthy_threshold: self.healthy_threshold,
            interval_ms: self.interval_ms,
            path: self.path.clone(),
            timeout_ms: self.timeout_ms,
            unhealthy_threshold: self.unhealthy_threshold,
        }
    }
}

/// The checks that a kept health document asks for.
pub(crate) fn check_of(document: &Value) -> Option<Check> {
    Check::deserialize(document).ok()
}

fn path_fits(path: &str) -> Result<(), String> {
    let sound = path.starts_with('/') && path.len() <= 512 && path.bytes().all(|byte| byte.is_ascii_graphic());
    if sound { Ok(()) } else { Err(format!("`{path}` is no path; write it as `/healthz`")) }
}

fn slot_fits(slot: &str) -> Result<(), String> {
    let sound = slot.starts_with(|c: char| c.is_ascii_alphanumeric())
        && slot.len() <= 64
        && slot.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match (sound, RESERVED.contains(&slot)) {
        (true, false) => Ok(()),
        (true, true) => Err(format!("`{slot}` cannot be an instance's name; it means something else here")),
        (false, _) => Err(format!("`{slot}` is no instance's name; write it as `i-1`")),
    }
}

fn check(wish: &Wish) -> Result<(), String> {
    match wish {
        Wish::EnsureBalancer(wish) => match wish.sort.as_str() {
            "application" => Ok(()),
            other => Err(format!("a `{other}` balancer cannot be had here; this provider has `application`")),
        },
        Wish::EnsureInstance(wish) => {
            slot_fits(&wish.slot)?;
            path_fits(&wish.health_path)?;
            if wish.generation == 0 {
                return Err("`generation` counts from 1".to_owned());
            }
            if wish.zone.is_empty() || wish.zone.len() > 128 {
                return Err("`zone` must have 1 to 128 characters".to_owned());
            }
            if wish.start_timeout_ms == 0 || wish.start_timeout_ms > SPAN_MS_MAX || wish.drain_ms > SPAN_MS_MAX {
                return Err(format!("`start_timeout_ms` and `drain_ms` may be at most {SPAN_MS_MAX}"));
            }
            if let Some(name) = wish.env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
                return Err(format!("`{name}` cannot name a variable"));
            }
            if let Some(name) = wish.env.iter().find_map(|(name, value)| value.contains('\0').then_some(name)) {
                return Err(format!("the value of `{name}` holds a zero byte"));
            }
            match &wish.command {
                Command::Named(name) if name == "sample" => Ok(()),
                Command::Named(name) => Err(format!("`{name}` is no command; write `sample` or a list of words")),
                Command::Words(words) if words.first().is_none_or(String::is_empty) => {
                    Err("`command` is empty".to_owned())
                }
                Command::Words(words) if words.iter().any(|word| word.contains('\0')) => {
                    Err("`command` holds a zero byte".to_owned())
                }
                Command::Words(_) => Ok(()),
            }
        }
        Wish::RemoveInstance(wish) if wish.drain_ms > SPAN_MS_MAX => {
            Err(format!("`drain_ms` may be at most {SPAN_MS_MAX}"))
        }
        Wish::RemoveInstance(wish) => slot_fits(&wish.slot),
        Wish::RemoveBalancer { .. } | Wish::Configure { .. } | Wish::Unset { .. } => Ok(()),
    }
}

impl Wish {
    pub(crate) fn component(&self) -> &ComponentId {
        match self {
            Wish::EnsureBalancer(wish) => &wish.component,
            Wish::EnsureInstance(wish) => &wish.component,
            Wish::RemoveInstance(wish) => &wish.component,
            Wish::RemoveBalancer { component } | Wish::Configure { component, .. } | Wish::Unset { component, .. } => {
                component
            }
        }
    }

    /// The resource that the parameters mean.
    fn resource(&self) -> String {
        let within = match self {
            Wish::EnsureBalancer(_) | Wish::RemoveBalancer { .. } => "lb",
            Wish::EnsureInstance(wish) => &wish.slot,
            Wish::RemoveInstance(wish) => &wish.slot,
            Wish::Configure { setting, .. } | Wish::Unset { setting, .. } => setting.name(),
        };
        format!("{}/{within}", self.component())
    }
}
