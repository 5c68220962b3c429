//! From a translation to a plan: five declared actions in four phases, one keyed step for every effect.

use crate::intent::Intent;
use crate::platform::Platform;
use crate::translate::Translation;
use serde_json::{Value, json};
use writ_core::{Action, ActionId, Change, Digest, EffectClass, Permission, Plan, RetryRule, Step, StepKey, Undo};

/// What makes an action what it is, whatever its values: the rows of the source's translation.
struct Row {
    action: &'static str,
    phase: &'static str,
    inverse: &'static str,
    permission: &'static str,
    needs: &'static [&'static str],
}

const ROWS: [Row; 5] = [
    Row {
        action: "create_load_balancer",
        phase: "provision_infrastructure",
        inverse: "destroy_load_balancer",
        permission: "execute:provision",
        needs: &[],
    },
    Row {
        action: "deploy_instances",
        phase: "deploy_application",
        inverse: "destroy_instances",
        permission: "execute:provision",
        needs: &["create_load_balancer"],
    },
    Row {
        action: "configure_auto_scaling",
        phase: "configure_monitoring",
        inverse: "remove_auto_scaling",
        permission: "execute:scale_operations",
        needs: &["deploy_instances"],
    },
    Row {
        action: "setup_health_checks",
        phase: "configure_monitoring",
        inverse: "remove_health_checks",
        permission: "write:health_status",
        needs: &["deploy_instances"],
    },
    Row {
        action: "enable_self_healing",
        phase: "enable_self_healing",
        inverse: "disable_self_healing",
        permission: "execute:recovery",
        needs: &["configure_auto_scaling", "setup_health_checks"],
    },
];

/// The phases, in the order in which they run.
pub const PHASES: [&str; 4] =
    ["provision_infrastructure", "deploy_application", "configure_monitoring", "enable_self_healing"];

/// The permissions that actions of intents ask for.
pub fn permissions() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.permission)
}

/// Whether an action's name is one of those that plans of intents have.
pub(crate) fn is_own(name: &str) -> bool {
    ROWS.iter().any(|row| row.action == name || row.inverse == name)
}

/// One effect before it is a step.
struct Effect {
    about: String,
    verb: &'static str,
    params: Value,
    undo_verb: &'static str,
    undo_params: Value,
    timeout_ms: u64,
}

/// The id of an action: a content hash of the intent, the action's name and what it is about, so that it survives re-planning.
#[must_use]
pub fn action_id(intent: &str, action: &str, about: &str) -> ActionId {
    let digest = crate::digest(&json!([intent, action, about]));
    id_of(&format!("act_{}", base32(&digest.0[..10])))
}

/// The plan that brings a translation up where nothing is, on the given version of the intent and the given world.
#[must_use]
pub fn plan(intent: &Intent, platform: &Platform, translation: &Translation, version: u64, world: Digest) -> Plan {
    let component = translation.component.as_str();
    let declared = declared(platform, translation);
    let id = |action: &str| action_id(intent.id.as_str(), action, component);
    let present = |action: &str| declared.iter().any(|(name, _)| *name == action);
    let mut actions = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    for row in ROWS.iter().filter(|row| present(row.action)) {
        let config =
            declared.iter().find(|(name, _)| *name == row.action).map_or(Value::Null, |(_, config)| config.clone());
        let mut needs: Vec<ActionId> = row.needs.iter().filter(|need| present(need)).map(|need| id(need)).collect();
        needs.sort();
        let mut step_needs: Vec<StepKey> =
            steps.iter().filter(|step| needs.contains(&step.action)).map(|step| step.key.clone()).collect();
        step_needs.sort();
        for effect in effects(row.action, platform, translation) {
            steps.push(Step {
                action: id(row.action),
                action_name: row.action.to_owned(),
                class: EffectClass::Keyed,
                key: id_of(&format!("{}/{}", id(row.action), effect.about)),
                needs: step_needs.clone(),
                params: effect.params,
                permission: Permission(row.permission.to_owned()),
                phase: row.phase.to_owned(),
                resource: format!("{component}/{}", effect.about),
                retry: RetryRule::default(),
                timeout_ms: effect.timeout_ms,
                undo: Some(Undo {
                    class: EffectClass::Keyed,
                    params: effect.undo_params,
                    verb: effect.undo_verb.to_owned(),
                }),
                verb: effect.verb.to_owned(),
            });
        }
        actions.push(Action {
            action: row.action.to_owned(),
            change: Change::Create,
            config,
            id: id(row.action),
            inverse: row.inverse.to_owned(),
            needs,
            permission: Permission(row.permission.to_owned()),
            phase: row.phase.to_owned(),
        });
    }
    Plan {
        actions,
        intent: intent.id.clone(),
        intent_digest: translation.intent_digest,
        intent_version: version,
        steps,
        world,
    }
}

/// The same plan with another number of instances, as scaling wants it: of the same type, in the same rotation of zones.
#[must_use]
pub fn plan_at_count(
    intent: &Intent,
    platform: &Platform,
    translation: &Translation,
    count: u32,
    version: u64,
    world: Digest,
) -> Plan {
    let mut scaled = translation.clone();
    scaled.layout.count = count;
    plan(intent, platform, &scaled, version, world)
}

/// The declared actions, with the values the source's translation document shows.
#[must_use]
pub fn declared(platform: &Platform, translation: &Translation) -> Vec<(&'static str, Value)> {
    let layout = &translation.layout;
    let mut all = vec![
        ("create_load_balancer", json!({ "type": platform.balancer.kind, "scheme": platform.balancer.scheme })),
        (
            "deploy_instances",
            json!({
                "count": layout.count,
                "instance_type": layout.instance_type.name,
                "availability_zones": layout.zones(),
            }),
        ),
        (
            "configure_auto_scaling",
            json!({
                "min": translation.min_instances,
                "max": translation.max_instances,
                "target_cpu": platform.scaling.target_cpu_percent,
            }),
        ),
        (
            "setup_health_checks",
            json!({
                "interval": platform.health.interval_s,
                "timeout": platform.health.timeout_s,
                "healthy_threshold": platform.health.healthy_threshold,
                "unhealthy_threshold": platform.health.unhealthy_threshold,
            }),
        ),
    ];
    if let Some(recovery) = &translation.recovery {
        all.push(("enable_self_healing", json!({ "recovery_policy": recovery.document() })));
    }
    all
}

/// What an action does to the world, effect by effect, in the provider's verbs. Intervals are those really used.
fn effects(action: &str, platform: &Platform, translation: &Translation) -> Vec<Effect> {
    let component = translation.component.as_str();
    let intervals = translation.intervals;
    let simple = |about: &str, verb, params, undo_verb| Effect {
        about: about.to_owned(),
        verb,
        params,
        undo_verb,
        undo_params: json!({ "component": component }),
        timeout_ms: 30_000,
    };
    match action {
        "create_load_balancer" => vec![simple(
            "lb",
            "balancer.ensure",
            json!({
                "component": component,
                "type": platform.balancer.kind,
                "scheme": platform.balancer.scheme,
                "policy": platform.balancer.policy,
                "port": platform.balancer.port,
            }),
            "balancer.remove",
        )],
        "deploy_instances" => {
            (1..=translation.layout.count).map(|number| instance(platform, translation, number)).collect()
        }
        "configure_auto_scaling" => vec![simple(
            "scaling",
            "scaling.configure",
            json!({
                "component": component,
                "min": translation.min_instances,
                "max": translation.max_instances,
                "target_cpu_percent": platform.scaling.target_cpu_percent,
                "cooldown_ms": intervals.scaling_cooldown_ms,
            }),
            "scaling.remove",
        )],
        "setup_health_checks" => vec![simple(
            "health",
            "health.configure",
            json!({
                "component": component,
                "interval_ms": intervals.health_interval_ms,
                "timeout_ms": intervals.health_timeout_ms,
                "healthy_threshold": platform.health.healthy_threshold,
                "unhealthy_threshold": platform.health.unhealthy_threshold,
                "path": platform.component.health_path,
            }),
            "health.remove",
        )],
        "enable_self_healing" => translation
            .recovery
            .iter()
            .map(|recovery| {
                let triggers: Value = translation.triggers.iter().map(crate::intent::Trigger::document).collect();
                simple(
                    "healing",
                    "healing.configure",
                    json!({
                        "component": component,
                        "strategy": recovery.strategy.word(),
                        "max_attempts": recovery.max_attempts,
                        "timeout_ms": intervals.healing_timeout_ms,
                        "mode": translation.heal_mode.word(),
                        "triggers": triggers,
                    }),
                    "healing.remove",
                )
            })
            .collect(),
        _ => Vec::new(), // Only the names in ROWS come here.
    }
}

fn instance(platform: &Platform, translation: &Translation, number: u32) -> Effect {
    let slot = format!("i-{number}");
    let class = &translation.layout.instance_type;
    let component = translation.component.as_str();
    Effect {
        verb: "instance.ensure",
        params: json!({
            "component": component,
            "slot": slot,
            "generation": 1,
            "instance_type": class.name,
            "zone": translation.layout.zone(number),
            "cpu_millicores": u64::from(class.cores) * 1_000,
            "memory_bytes": class.memory_bytes,
            "command": platform.component.command.document(),
            "env": platform.component.env,
            "health_path": platform.component.health_path,
            "port": platform.component.port,
            "start_timeout_ms": platform.start_timeout_ms,
            "drain_ms": platform.drain_ms,
        }),
        undo_verb: "instance.remove",
        undo_params: json!({ "component": component, "slot": slot, "drain_ms": platform.drain_ms }),
        // The provider's own bound on starting comes first, so that its answer is heard.
        timeout_ms: platform.start_timeout_ms.saturating_add(10_000),
        about: slot,
    }
}

/// The translation as the source's `translation:` document.
#[must_use]
pub fn translation_document(platform: &Platform, translation: &Translation) -> Value {
    let actions: Vec<Value> = declared(platform, translation)
        .into_iter()
        .map(|(action, config)| json!({ "action": action, "config": config }))
        .collect();
    json!({ "translation": { "actions": actions } })
}

/// Crockford's base 32 in lower case, without padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut text = String::new();
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(LETTERS[((held >> bits) & 31) as usize] as char);
        }
        held &= (1 << bits) - 1;
    }
    text
}

/// An id from a text made of base 32, slots and fixed words.
#[expect(clippy::expect_used, reason = "the texts made here are short and have only letters, digits and `_ / -`")]
fn id_of<T: TryFrom<String>>(text: &str) -> T
where
    T::Error: std::fmt::Debug,
{
    T::try_from(text.to_owned()).expect("a sound id")
}
