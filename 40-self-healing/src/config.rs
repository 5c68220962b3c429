//! What a component's healing is told: the source's document, and everything it leaves unsaid.

use crate::budget::{Allowance, Budgets, LONGEST};
use crate::condition::{Condition, ConditionError};
use crate::detect::Symptom;
use crate::metric::Limits;
use crate::remedy::RemedyAction;
use crate::scale::Scaling;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use writ_core::ComponentId;

/// How far an action may go on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Records what it would have done.
    Shadow,
    /// Asks a person each time.
    Propose,
    /// Acts, under its standing approval.
    Auto,
}

impl Mode {
    /// Every mode, from the one that goes least far.
    pub const ALL: [Mode; 3] = [Mode::Shadow, Mode::Propose, Mode::Auto];

    /// The word that manifests, policies and people use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Mode::Shadow => "shadow",
            Mode::Propose => "propose",
            Mode::Auto => "auto",
        }
    }

    /// The mode of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.word() == word)
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What an instance's symptom is answered with, unless a trigger says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Start the instance anew.
    Restart,
    /// Add an instance.
    Scale,
}

/// `self_healing_config` as the source writes it. Keys after `triggers` are optional additions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfHealingText {
    /// Whether anything is done at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How recovery is tried.
    #[serde(default)]
    pub recovery_policy: RecoveryText,
    /// Conditions and what is done about them.
    #[serde(default)]
    pub triggers: Vec<TriggerText>,
    /// The mode of each action that is not in the default one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modes: BTreeMap<RemedyAction, Mode>,
    /// Seconds between two of the same action.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cool_down_seconds: BTreeMap<RemedyAction, u64>,
    /// Recoveries in any period, instead of the default allowances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BudgetText>,
    /// The share of instances that may be touched at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once_percent: Option<u32>,
    /// How old data may be that a remedy rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness_seconds: Option<u64>,
}

/// `recovery_policy` as the source writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryText {
    /// `restart` or `scale`.
    pub strategy: String,
    /// Attempts per incident.
    #[serde(default = "three")]
    pub max_attempts: u32,
    /// How long an attempt and its verification may take.
    #[serde(default = "sixty")]
    pub timeout_seconds: u64,
}

/// One trigger as the source writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerText {
    /// `error_rate > 5%`.
    pub condition: String,
    /// `restart_service`.
    pub action: String,
    /// How long the condition must hold, in seconds; at once for health alone and five seconds for others.
    #[serde(default, rename = "for_seconds", skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
}

/// So many recoveries in any such period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetText {
    /// The most recoveries.
    pub count: u32,
    /// The period.
    pub period_seconds: u64,
}

fn yes() -> bool {
    true
}

fn three() -> u32 {
    3
}

fn sixty() -> u64 {
    60
}

impl Default for RecoveryText {
    fn default() -> Self {
        Self { strategy: "restart".to_owned(), max_attempts: three(), timeout_seconds: sixty() }
    }
}

/// How recovery is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryPolicy {
    /// The answer to an instance's symptom.
    pub strategy: Strategy,
    /// Attempts per incident.
    pub max_attempts: u32,
    /// How long an attempt's verification may take, and each of its steps.
    pub timeout: Duration,
}

/// A declared condition and what is done about it.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// The compiled condition.
    pub condition: Condition,
    /// What is done.
    pub action: RemedyAction,
    /// How long it must hold.
    pub hold: Duration,
}

/// Thresholds of the built-in symptoms, and other bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Fewer requests than this tell no rate.
    pub requests_least: u64,
    /// Fewer answers than this tell no quantile when peers are compared.
    pub answers_least: u64,
    /// Memory near its limit raises from here.
    pub memory_raise_percent: u32,
    /// And clears below here.
    pub memory_clear_percent: u32,
    /// Growth below this is no leak.
    pub leak_least_bytes: u64,
    /// So many more rises than rests, without a fall, are steady growth.
    pub leak_rises: u32,
    /// An instance fails this share of its requests.
    pub errors_percent: u32,
    /// Processor use below this is never a burn.
    pub burn_floor_millicores: u64,
    /// Answers faster than this are never slow.
    pub slow_floor: Duration,
    /// How long it must answer nothing.
    pub hung_for: Duration,
    /// How long it must fail.
    pub errors_for: Duration,
    /// How long it must burn.
    pub burn_for: Duration,
    /// How long it must be slow.
    pub slow_for: Duration,
    /// No remedy rests on older data.
    pub freshness: Duration,
    /// Incidents that begin this close to each other cite each other.
    pub together: Duration,
    /// An escalated incident whose symptom has stayed away for so long is over.
    pub calm: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            requests_least: 10,
            // A slow instance answers few: the balancer sends it little while it holds what it has.
            answers_least: 5,
            memory_raise_percent: 90,
            memory_clear_percent: 75,
            leak_least_bytes: 32 << 20,
            leak_rises: 5,
            errors_percent: 5,
            burn_floor_millicores: 300,
            slow_floor: Duration::from_millis(50),
            hung_for: Duration::from_secs(3),
            errors_for: Duration::from_secs(3),
            burn_for: Duration::from_secs(5),
            slow_for: Duration::from_secs(5),
            freshness: Duration::from_secs(60),
            together: Duration::from_secs(30),
            calm: Duration::from_secs(300),
        }
    }
}

/// Everything that one component's healing is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The component.
    pub component: ComponentId,
    /// Whether anything is done at all; incidents are opened either way.
    pub enabled: bool,
    /// How recovery is tried.
    pub recovery: RecoveryPolicy,
    /// Declared conditions.
    pub triggers: Vec<Trigger>,
    /// Built-in symptoms that are looked for.
    pub symptoms: BTreeSet<Symptom>,
    /// The autoscaler's bounds and target; none when the count is fixed.
    pub scaling: Option<Scaling>,
    /// What one instance may use.
    pub limits: Limits,
    /// The mode of an action that `modes` does not name.
    pub default_mode: Mode,
    /// Modes by action; one that was set by an approved change, an event, goes before them.
    pub modes: BTreeMap<RemedyAction, Mode>,
    /// What may be tried, how often and how much at once.
    pub budgets: Budgets,
    /// Thresholds.
    pub bounds: Bounds,
    /// The document it was read from, for reports.
    pub text: SelfHealingText,
}

/// What is wrong with one value of the document; `path` points into it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A strategy that is not carried out here.
    #[error("{path}: strategy `{strategy}` is not known; write `restart` or `scale`")]
    Strategy {
        /// Where it stands.
        path: String,
        /// What was given.
        strategy: String,
    },
    /// An action that is not a remedy.
    #[error(
        "{path}: action `{action}` is not a remedy; write `restart_instance`, `restart_service`, `scale_out` or `scale_in`"
    )]
    Action {
        /// Where it stands.
        path: String,
        /// What was given.
        action: String,
    },
    /// A number outside its bounds.
    #[error("{path}: {given} is out of range; write {least} to {most}")]
    Range {
        /// Where it stands.
        path: String,
        /// What was given.
        given: u64,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
    },
    /// A condition that cannot be compiled.
    #[error("{path}: the condition cannot be used")]
    Condition {
        /// Where it stands.
        path: String,
        /// What is wrong with it.
        #[source]
        source: ConditionError,
    },
    /// A trigger that scales a component whose count is fixed.
    #[error("{path}: `{action}` needs `scaling` bounds, and there are none")]
    NoScaling {
        /// Where it stands.
        path: String,
        /// The action.
        action: RemedyAction,
    },
}

/// Everything that is wrong with a document.
#[derive(Debug, thiserror::Error)]
#[error("{} values of the self-healing configuration cannot be used", .0.len())]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl Config {
    /// Compiles a document, with all that is wrong with it at once.
    ///
    /// # Errors
    /// Every value that cannot be used.
    pub fn compile(
        component: ComponentId,
        text: &SelfHealingText,
        scaling: Option<Scaling>,
        limits: Limits,
        default_mode: Mode,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = vec![];
        let budgets = budgets(text, &mut errors);
        let strategy = match text.recovery_policy.strategy.as_str() {
            "restart" => Strategy::Restart,
            "scale" => Strategy::Scale,
            other => {
                let path = "/recovery_policy/strategy".to_owned();
                errors.push(ConfigError::Strategy { path, strategy: other.to_owned() });
                Strategy::Restart
            }
        };
        let attempts = u64::from(text.recovery_policy.max_attempts);
        within("/recovery_policy/max_attempts", attempts, 1, 10, &mut errors);
        within("/recovery_policy/timeout_seconds", text.recovery_policy.timeout_seconds, 1, 3_600, &mut errors);
        let triggers = triggers(text, scaling.is_some(), &mut errors);
        let mut bounds = Bounds::default();
        if let Some(seconds) = text.freshness_seconds {
            within("/freshness_seconds", seconds, 1, 3_600, &mut errors);
            bounds.freshness = Duration::from_secs(seconds);
        }
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }
        Ok(Self {
            component,
            enabled: text.enabled,
            recovery: RecoveryPolicy {
                strategy,
                max_attempts: text.recovery_policy.max_attempts,
                timeout: Duration::from_secs(text.recovery_policy.timeout_seconds),
            },
            triggers,
            symptoms: Symptom::BUILT_IN.into_iter().collect(),
            scaling,
            limits,
            default_mode,
            modes: text.modes.clone(),
            budgets,
            bounds,
            text: text.clone(),
        })
    }

    /// Whether a symptom is looked for.
    pub(crate) fn watches(&self, symptom: &Symptom) -> bool {
        matches!(symptom, Symptom::Declared { .. }) || self.symptoms.contains(symptom)
    }

    /// What is done about a symptom.
    pub(crate) fn answer(&self, symptom: &Symptom) -> Option<RemedyAction> {
        match symptom {
            Symptom::Unseen => Some(RemedyAction::RestoreBalancer),
            Symptom::Down | Symptom::Hung | Symptom::Leak | Symptom::Errors | Symptom::CpuBurn | Symptom::Slow => {
                Some(match self.recovery.strategy {
                    Strategy::Restart => RemedyAction::RestartInstance,
                    Strategy::Scale if self.scaling.is_some() => RemedyAction::ScaleOut,
                    Strategy::Scale => RemedyAction::RestartInstance,
                })
            }
            Symptom::Declared { condition } => {
                self.triggers.iter().find(|trigger| trigger.condition.text() == condition).map(|trigger| trigger.action)
            }
        }
    }
}

fn within(path: &str, given: u64, least: u64, most: u64, errors: &mut Vec<ConfigError>) {
    if !(least..=most).contains(&given) {
        errors.push(ConfigError::Range { path: path.to_owned(), given, least, most });
    }
}

fn budgets(text: &SelfHealingText, errors: &mut Vec<ConfigError>) -> Budgets {
    let mut budgets = Budgets::default();
    if !text.budgets.is_empty() {
        budgets.allowances.clear();
    }
    for (at, one) in text.budgets.iter().enumerate() {
        within(&format!("/budgets/{at}/period_seconds"), one.period_seconds, 1, LONGEST.as_secs(), errors);
        within(&format!("/budgets/{at}/count"), u64::from(one.count), 0, 10_000, errors);
        let period = Duration::from_secs(one.period_seconds);
        budgets.allowances.push(Allowance { count: one.count, period });
    }
    for (action, seconds) in &text.cool_down_seconds {
        within(&format!("/cool_down_seconds/{action}"), *seconds, 0, LONGEST.as_secs(), errors);
        budgets.cool_downs.insert(*action, Duration::from_secs(*seconds));
    }
    if let Some(percent) = text.at_once_percent {
        within("/at_once_percent", u64::from(percent), 1, 100, errors);
        budgets.at_once_percent = percent;
    }
    budgets
}

fn triggers(text: &SelfHealingText, scalable: bool, errors: &mut Vec<ConfigError>) -> Vec<Trigger> {
    let mut triggers = vec![];
    for (at, one) in text.triggers.iter().enumerate() {
        let condition = Condition::compile(&one.condition).map_err(|source| {
            errors.push(ConfigError::Condition { path: format!("/triggers/{at}/condition"), source });
        });
        let action = RemedyAction::named(&one.action);
        let path = format!("/triggers/{at}/action");
        match action {
            None => errors.push(ConfigError::Action { path, action: one.action.clone() }),
            Some(action) if action.scales() && !scalable => errors.push(ConfigError::NoScaling { path, action }),
            Some(_) => {}
        }
        if let Some(seconds) = one.for_seconds {
            within(&format!("/triggers/{at}/for_seconds"), seconds, 0, 3_600, errors);
        }
        if let (Ok(condition), Some(action)) = (condition, action) {
            let unsaid = if condition.is_health_only() { 0 } else { 5 };
            triggers.push(Trigger { condition, action, hold: Duration::from_secs(one.for_seconds.unwrap_or(unsaid)) });
        }
    }
    triggers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_told_at_once() {
        let text: SelfHealingText = serde_json::from_value(serde_json::json!({
            "enabled": true,
            "recovery_policy": {"strategy": "pray", "max_attempts": 0, "timeout_seconds": 60},
            "triggers": [
                {"condition": "error_rate > 5 parsecs", "action": "restart_service"},
                {"condition": "latency_p95 > 200ms", "action": "reboot"},
                {"condition": "latency_p95 > 200ms", "action": "scale_out"},
            ],
            "budgets": [{"count": 3, "period_seconds": 86_400}],
        }))
        .unwrap();
        let errors = Config::compile("web".parse().unwrap(), &text, None, Limits::default(), Mode::Auto).unwrap_err();
        let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "/budgets/0/period_seconds: 86400 is out of range; write 1 to 3600",
                "/recovery_policy/strategy: strategy `pray` is not known; write `restart` or `scale`",
                "/recovery_policy/max_attempts: 0 is out of range; write 1 to 10",
                "/triggers/0/condition: the condition cannot be used",
                "/triggers/1/action: action `reboot` is not a remedy; write `restart_instance`, `restart_service`, \
                 `scale_out` or `scale_in`",
                "/triggers/2/action: `scale_out` needs `scaling` bounds, and there are none",
            ]
        );
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let wrong = serde_json::json!({"enabled": true, "trigers": []});
        let error = serde_json::from_value::<SelfHealingText>(wrong).unwrap_err().to_string();
        assert!(error.contains("unknown field `trigers`"), "{error}");
    }
}
