//! Taking a component into care: what its intent declared about healing and scaling, compiled, and a task that lives by it.

use crate::apart::instances;
use crate::changes::Consent;
use crate::heal;
use crate::modes::{Given, ModeOrigin};
use crate::pipeline::Pipeline;
use crate::scope::scope_of;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use writ_automation::Standing;
use writ_core::{ComponentId, Plan};
use writ_intent::{HealMode, Intent, translate};
use writ_self_healing::{
    BudgetText, Config, Limits, Mode, RecoveryText, RemedyAction, Scaling, SelfHealingText, TriggerText,
};

impl Pipeline {
    /// Watches and heals what an intent brought up, under its newest plan, but for what people have taken away since.
    pub(crate) async fn manage(&self, intent: &Intent, plan: &Option<Plan>, taken: Option<BTreeSet<String>>) {
        let (Some(plan), platform) = (plan, self.platform()) else { return };
        let Ok(translation) = translate(intent, &platform) else { return };
        let component = translation.component.clone();
        let given = given(platform.healing.mode, intent.heal.mode, self.setup().consent);
        let taken = taken.unwrap_or_default();
        let config = match heal_config(
            &translation,
            &component,
            plan,
            self.inner.agreement.now().as_ref().map(|agreed| agreed.standing()),
            given.mode,
        ) {
            Ok(config) => fewer(config, plan, &taken),
            Err(because) => {
                tracing::error!(%component, because, "a component is not healed");
                return;
            }
        };
        let former = self.inner.healing.lock().unwrap_or_else(PoisonError::into_inner).remove(&component);
        if let Some(former) = former {
            former.stop().await;
        }
        let parts = heal::Parts {
            journal: self.journal().clone(),
            drive: self.drive().clone(),
            gate: self.gate().clone(),
            provider: self.inner.ports.provider.clone(),
            sensor: (self.inner.ports.sense)(&component),
            config,
            given,
            plan: Arc::new(plan.clone()),
            zones: translation.layout.rotation.clone(),
            environment: intent.target.environment.clone(),
            team: scope_of(intent).team,
            standing: self.inner.agreement.clone(),
            attempts: self.inner.attempts.clone(),
            approvers: self.setup().approvers.clone(),
            summary: self.setup().summary,
            taken,
        };
        // Whoever changes a mode meanwhile tells it to what is here, or finds it read.
        let _governing = self.inner.governing.lock().await;
        match heal::start(parts).await {
            Ok(healing) => {
                self.inner.healing.lock().unwrap_or_else(PoisonError::into_inner).insert(component, healing);
            }
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "a component is not healed"),
        }
    }
}

/// The same for a component of whose planned instances people took some away: scaling keeps no more than are left of them. Those
/// that were there besides, and were taken away, make no difference.
fn fewer(mut config: Config, plan: &Plan, taken: &BTreeSet<String>) -> Config {
    if let Some(scaling) = &mut config.scaling
        && instances(plan).any(|step| taken.contains(&step.resource))
    {
        let left = instances(plan).filter(|step| !taken.contains(&step.resource)).count();
        scaling.min = scaling.min.min(left as u64).max(1);
    }
    config
}

/// How far actions may go as files say. Where what is safe needs a second person, a manifest takes back and does not promote.
fn given(platform: Option<HealMode>, manifest: Option<HealMode>, consent: Consent) -> Given {
    let mode = |said: HealMode| match said {
        HealMode::Shadow => Mode::Shadow,
        HealMode::Propose => Mode::Propose,
        HealMode::Auto => Mode::Auto,
    };
    let platform = match platform {
        Some(said) => Given { mode: mode(said), origin: ModeOrigin::Platform },
        None => Given { mode: Mode::Shadow, origin: ModeOrigin::Default },
    };
    let holds = |asked: &Mode| consent == Consent::One || *asked <= platform.mode;
    let asked = manifest.map(mode).filter(holds);
    asked.map_or(platform, |mode| Given { mode, origin: ModeOrigin::Manifest })
}

/// What the translation declared about healing, compiled.
fn heal_config(
    translation: &writ_intent::Translation,
    component: &ComponentId,
    plan: &Plan,
    standing: Option<&Standing>,
    mode: Mode,
) -> Result<Config, String> {
    let recovery = translation.recovery.as_ref();
    let triggers = translation.triggers.iter().map(|trigger| TriggerText {
        condition: trigger.condition.clone(),
        action: trigger.action.word().to_owned(),
        for_seconds: None,
    });
    let cooldown = Duration::from_millis(translation.intervals.scaling_cooldown_ms);
    let pause = cooldown.as_secs().clamp(1, 3_600);
    let timeout = Duration::from_millis(translation.intervals.healing_timeout_ms);
    let text = SelfHealingText {
        enabled: recovery.is_some(),
        recovery_policy: recovery.map_or_else(RecoveryText::default, |recovery| RecoveryText {
            strategy: recovery.strategy.word().to_owned(),
            max_attempts: recovery.max_attempts,
            // What is told is what holds: a profile may say otherwise than the manifest.
            timeout_seconds: timeout.as_secs().clamp(1, 3_600),
        }),
        triggers: triggers.collect(),
        modes: BTreeMap::new(),
        cool_down_seconds: [RemedyAction::ScaleOut, RemedyAction::ScaleIn].map(|action| (action, pause)).into(),
        // What was agreed to beforehand is the most that may be spent; without an agreement the defaults hold.
        budgets: standing
            .map(|standing| BudgetText { count: standing.budget.count, period_seconds: standing.budget.period_seconds })
            .into_iter()
            .collect(),
        at_once_percent: None,
        freshness_seconds: None,
    };
    let template = instances(plan).next();
    let number = |field: &str| template.and_then(|step| step.params.get(field)?.as_u64());
    let limits = Limits { cpu_millicores: number("cpu_millicores"), memory_bytes: number("memory_bytes") };
    let target = plan.steps.iter().find(|step| step.verb == "scaling.configure");
    let target = target.and_then(|step| step.params.get("target_cpu_percent")?.as_u64()).unwrap_or(70);
    let (min, max) = (u64::from(translation.min_instances), u64::from(translation.max_instances));
    let mut scaling = Scaling::within(min, max, u32::try_from(target).unwrap_or(70));
    scaling.stabilise = cooldown;
    scaling.sustain = scaling.sustain.min(cooldown);
    let mut config = Config::compile(component.clone(), &text, Some(scaling), limits, mode)
        .map_err(|errors| errors.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    config.recovery.timeout = timeout;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_promotes_nothing_where_that_takes_two() {
        use HealMode::{Auto, Propose, Shadow};
        use ModeOrigin::{Default, Manifest, Platform};
        for (platform, manifest, alone, by_two) in [
            (None, None, (Mode::Shadow, Default), (Mode::Shadow, Default)),
            (None, Some(Auto), (Mode::Auto, Manifest), (Mode::Shadow, Default)),
            (Some(Propose), Some(Auto), (Mode::Auto, Manifest), (Mode::Propose, Platform)),
            (Some(Auto), Some(Shadow), (Mode::Shadow, Manifest), (Mode::Shadow, Manifest)),
            (Some(Auto), Some(Auto), (Mode::Auto, Manifest), (Mode::Auto, Manifest)),
            (Some(Shadow), None, (Mode::Shadow, Platform), (Mode::Shadow, Platform)),
        ] {
            let of = |(mode, origin)| Given { mode, origin };
            assert_eq!(given(platform, manifest, Consent::One), of(alone), "{platform:?} {manifest:?}");
            assert_eq!(given(platform, manifest, Consent::Two), of(by_two), "{platform:?} {manifest:?}");
        }
    }
}
