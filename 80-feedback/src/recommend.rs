//! What should be changed, what it would bring, and how sure that is.

use crate::figures::{Figures, Interval};
use crate::history::{AttemptOutcome, History, RunKind, RunOutcome};
use crate::insight::{attempts, few};
use crate::patch::{Op, Patch};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use writ_core::{Digest, EventId, IntentId, RecommendationId, Timestamp};

/// What sort of change it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecommendationKind {
    /// More or fewer instances.
    CapacityOptimization,
    /// Recoveries that did not help.
    SelfHealingImprovement,
    /// Deployments that failed.
    DeploymentImprovement,
}

impl RecommendationKind {
    /// The name that documents use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RecommendationKind::CapacityOptimization => "capacity_optimization",
            RecommendationKind::SelfHealingImprovement => "self_healing_improvement",
            RecommendationKind::DeploymentImprovement => "deployment_improvement",
        }
    }
}

/// How soon it should be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// When there is time.
    Low,
    /// Within the period.
    Medium,
    /// Now.
    High,
}

/// What the solver expects of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prediction {
    /// Availability, in parts per million.
    pub availability_ppm: u64,
    /// Its interval, at `level_percent`.
    pub availability: Interval,
    /// Cost in cents a month.
    pub cost_cents: i64,
    /// How sure the interval is, in percent.
    pub level_percent: u32,
}

/// What a change would have done to recorded windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backtest {
    /// The period that was replayed, in words.
    pub replayed: String,
    /// Windows that missed a target with the change.
    pub violations_after: u64,
    /// Windows that missed a target without it.
    pub violations_before: u64,
}

/// Questions that only the pipeline can have answered. Each may say that it does not know.
pub struct WhatIf<'a> {
    /// What to expect of the intent under a patch; of the intent as it is, under none.
    pub predict: &'a dyn Fn(Option<&Patch>) -> Option<Prediction>,
    /// What the patch would have done to the recorded windows.
    pub backtest: &'a dyn Fn(&Patch) -> Option<Backtest>,
}

/// What a change is expected to bring. Never a point alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Benefit {
    /// How sure the interval is, in percent.
    pub level_percent: u32,
    /// What is expected, in `unit`.
    pub expected: i64,
    /// The high end of the interval.
    pub high: i64,
    /// The low end.
    pub low: i64,
    /// What it is a benefit of: `availability_improvement`.
    pub name: String,
    /// `ppm` or `cents_per_month`.
    pub unit: String,
}

/// How it will be told whether it was worth it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// Conditions that must go on to hold.
    pub guards: Vec<String>,
    /// What is done when it turns out worse.
    pub on_worse: String,
    /// How long is looked, in seconds.
    pub window_seconds: u64,
}

/// One recommendation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommendation {
    /// Whether a person must agree. Optional only where nothing would be changed.
    pub approval_required: bool,
    /// What the change would have done to recorded windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtest: Option<Backtest>,
    /// What it would bring, and cost.
    pub benefits: Vec<Benefit>,
    /// One sentence.
    pub description: String,
    /// The entries it rests on.
    pub evidence: Vec<EventId>,
    /// When the evidence begins.
    pub from: Timestamp,
    /// Its id.
    pub id: RecommendationId,
    /// The intent that was looked back on; none of one that was made before this was recorded (`recommend.made/1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentId>,
    /// What sort of change it is.
    pub kind: RecommendationKind,
    /// What one cannot know yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
    /// The change itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Patch>,
    /// How soon it should be looked at.
    pub priority: Priority,
    /// When the evidence ends.
    pub to: Timestamp,
    /// What it is worth in cents a month, for ranking; costs and the risk of changing anything are taken off.
    pub value_cents: i64,
    /// How it will be told whether it was worth it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verify>,
}

/// What things are worth, for ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A minute of unavailability, in cents.
    pub cents_per_minute: u64,
    /// Changing anything at all, in cents.
    pub change_risk_cents: u64,
    /// How long a change is looked at afterwards, in seconds.
    pub verify_seconds: u64,
}

impl Recommendation {
    /// The intent that it is about; none where nothing tells.
    #[must_use]
    pub fn about(&self) -> Option<IntentId> {
        let target = || self.patch.as_ref()?.target.strip_prefix("intent/")?.parse().ok();
        self.intent.clone().or_else(target)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { cents_per_minute: 500, change_risk_cents: 200, verify_seconds: 86_400 }
    }
}

/// 730 hours, as everywhere.
const MINUTES_PER_MONTH: i64 = 43_800;
const MIN_INSTANCES: &str = "/requirements/scalability/min_instances";

/// Recommendations for a period, most valuable first, numbered from `next`; `base` is the digest of the intent as it is.
#[must_use]
pub fn recommend(
    history: &History,
    figures: &Figures,
    base: &Digest,
    next: u32,
    settings: &Settings,
    what_if: &WhatIf<'_>,
) -> Vec<Recommendation> {
    let mut found: Vec<Recommendation> = [
        capacity(history, figures, base, settings, what_if),
        failed_recoveries(history, figures),
        failed_deployments(history, figures),
    ]
    .into_iter()
    .flatten()
    .collect();
    found.sort_by(|one, two| (two.priority, two.value_cents, one.kind).cmp(&(one.priority, one.value_cents, two.kind)));
    for (at, one) in (next..).zip(&mut found) {
        if let Ok(id) = format!("OPT-{at:03}").parse() {
            one.id = id;
        }
    }
    found
}

fn draft(history: &History, kind: RecommendationKind, description: String) -> Option<Recommendation> {
    Some(Recommendation {
        approval_required: false,
        backtest: None,
        benefits: vec![],
        caveat: None,
        description,
        evidence: vec![],
        from: history.from,
        id: "OPT-000".parse().ok()?,
        intent: Some(history.targets.intent.clone()),
        kind,
        patch: None,
        priority: Priority::Low,
        to: history.to,
        value_cents: 0,
        verify: None,
    })
}

/// One instance more where targets were missed, one fewer where all of them idle.
fn capacity(
    history: &History,
    figures: &Figures,
    base: &Digest,
    settings: &Settings,
    what_if: &WhatIf<'_>,
) -> Option<Recommendation> {
    let least = history.targets.min_instances?;
    let short =
        figures.violations > 0 || figures.availability.is_some_and(|one| Some(one.achieved_ppm) < one.target_ppm);
    let grow = short && history.targets.max_instances.is_none_or(|most| least < most);
    let shrink = !short && least > 1 && history.windows.idle();
    if !grow && !shrink {
        return None;
    }
    let to = if grow { least + 1 } else { least - 1 };
    let patch = Patch {
        base: *base,
        ops: vec![Op::Replace { path: MIN_INSTANCES.to_owned(), value: json!(to) }],
        target: format!("intent/{}", history.targets.intent),
    };
    let (now, then) = ((what_if.predict)(None)?, (what_if.predict)(Some(&patch))?);
    let gain = signed(then.availability_ppm) - signed(now.availability_ppm);
    let cost = then.cost_cents - now.cost_cents;
    // Growing must bring something; shrinking must save something and still hold the target.
    let holds = history.targets.availability_ppm.is_none_or(|target| then.availability.low >= target);
    if (grow && gain <= 0) || (shrink && (cost >= 0 || !holds)) {
        return None;
    }
    let description = if grow {
        "Add 1 buffer instance to handle peak load".to_owned()
    } else {
        "Remove 1 instance that idles".to_owned()
    };
    let mut one = draft(history, RecommendationKind::CapacityOptimization, description)?;
    one.benefits = vec![
        Benefit {
            level_percent: then.level_percent.min(now.level_percent),
            expected: gain,
            high: signed(then.availability.high) - signed(now.availability.low),
            low: signed(then.availability.low) - signed(now.availability.high),
            name: "availability_improvement".to_owned(),
            unit: "ppm".to_owned(),
        },
        // The catalogue's price is what it is; its interval is a point.
        Benefit {
            level_percent: 100,
            expected: cost,
            high: cost,
            low: cost,
            name: if cost >= 0 { "cost_increase" } else { "cost_saving" }.to_owned(),
            unit: "cents_per_month".to_owned(),
        },
    ];
    one.backtest = (what_if.backtest)(&patch);
    one.evidence = if grow { history.windows.missed.listed() } else { history.windows.all.listed() };
    one.approval_required = true;
    one.patch = Some(patch);
    let missed = figures.availability.is_some_and(|one| Some(one.achieved_ppm) < one.target_ppm);
    one.priority = match (grow, missed) {
        (true, true) => Priority::High,
        (true, false) => Priority::Medium,
        (false, _) => Priority::Low,
    };
    let worth = i64::try_from(settings.cents_per_minute).unwrap_or(i64::MAX);
    let minutes_milli = gain.saturating_mul(MINUTES_PER_MONTH) / 1_000;
    let risk = i64::try_from(settings.change_risk_cents).unwrap_or(i64::MAX);
    one.value_cents = (minutes_milli.saturating_mul(worth) / 1_000).saturating_sub(cost).saturating_sub(risk);
    let latency = history.targets.latency_p95_us.map(|us| format!("latency_p95 <= {}ms", us / 1_000));
    let available = history.targets.availability_ppm.map(|target| format!("availability >= {}%", percent(target)));
    one.verify = Some(Verify {
        guards: latency.into_iter().chain(available).collect(),
        on_worse: "revert".to_owned(),
        window_seconds: settings.verify_seconds,
    });
    Some(one)
}

fn failed_recoveries(history: &History, figures: &Figures) -> Option<Recommendation> {
    let rate = figures.recoveries?;
    let failed = rate.trials - rate.successes;
    if failed == 0 {
        return None;
    }
    let description = if failed == 1 {
        "Investigate failed recovery attempt".to_owned()
    } else {
        format!("Investigate {failed} failed recovery attempts")
    };
    let mut one = draft(history, RecommendationKind::SelfHealingImprovement, description)?;
    let lost = attempts(history, AttemptOutcome::Failed).chain(attempts(history, AttemptOutcome::Inconclusive));
    one.evidence = few(lost);
    let missing = 1_000_000 - signed(rate.rate_ppm);
    one.benefits = vec![
        // If no such failure came again: what is missing to all of them, which itself is known only within its interval.
        Benefit {
            level_percent: 95,
            expected: missing,
            high: 1_000_000 - signed(rate.interval.low),
            low: 1_000_000 - signed(rate.interval.high),
            name: "self_healing_success_rate".to_owned(),
            unit: "ppm".to_owned(),
        },
        Benefit {
            level_percent: 100,
            expected: 0,
            high: 0,
            low: 0,
            name: "cost".to_owned(),
            unit: "cents_per_month".to_owned(),
        },
    ];
    one.caveat = caveat(rate.rate_ppm, rate.trials, missing);
    one.priority =
        if figures.escalations > 0 || failed * 20 >= rate.trials { Priority::High } else { Priority::Medium };
    Some(one)
}

/// When the interval is wider than what is claimed, how many attempts it would take until it is not.
fn caveat(rate_ppm: u64, trials: u64, claimed_ppm: i64) -> Option<String> {
    let (p, claimed) = (rate_ppm as f64 / 1e6, claimed_ppm.max(1) as f64 / 1e6);
    let needed = (4.0 * crate::stats::Z95.powi(2) * p * (1.0 - p) / claimed.powi(2)).ceil() as u64;
    let more = needed.checked_sub(trials).filter(|more| *more > 0)?;
    Some(format!(
        "rests on {trials} attempts; about {more} more are needed until the interval is no wider than the benefit"
    ))
}

fn failed_deployments(history: &History, figures: &Figures) -> Option<Recommendation> {
    let rate = figures.deployments?;
    let failed = rate.trials - rate.successes;
    if failed == 0 {
        return None;
    }
    let plural = if failed == 1 { "" } else { "s" };
    let description = format!("Investigate {failed} failed deployment{plural}");
    let mut one = draft(history, RecommendationKind::DeploymentImprovement, description)?;
    let lost = history.runs.iter().filter(|run| run.kind == RunKind::Deployment && run.outcome == RunOutcome::Failed);
    one.evidence = few(lost.map(|run| &run.entry));
    one.benefits = vec![Benefit {
        level_percent: 95,
        expected: 1_000_000 - signed(rate.rate_ppm),
        high: 1_000_000 - signed(rate.interval.low),
        low: 1_000_000 - signed(rate.interval.high),
        name: "deployment_success_rate".to_owned(),
        unit: "ppm".to_owned(),
    }];
    one.caveat = caveat(rate.rate_ppm, rate.trials, 1_000_000 - signed(rate.rate_ppm));
    one.priority = if failed * 20 >= rate.trials { Priority::High } else { Priority::Medium };
    Some(one)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Parts per million as percent, without trailing zeros: `99.95`.
pub(crate) fn percent(ppm: u64) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Three significant digits: more would claim more than any interval here allows.
fn significant(size: u64) -> u64 {
    let step = 10_u64.pow(size.checked_ilog10().unwrap_or(0).saturating_sub(2));
    (size + step / 2) / step * step
}

impl Benefit {
    /// The expected value as documents write it: `+0.02%`, `+$50/month`.
    #[must_use]
    pub fn tell(&self) -> String {
        self.write(self.expected)
    }

    /// The interval in the same words.
    #[must_use]
    pub fn tell_interval(&self) -> Value {
        json!([self.write(self.low), self.write(self.high)])
    }

    fn write(&self, value: i64) -> String {
        let sign = if value < 0 { "-" } else { "+" };
        let size = value.unsigned_abs();
        if self.unit == "ppm" {
            return format!("{sign}{}%", percent(significant(size)));
        }
        match (size / 100, size % 100) {
            (0, 0) => "0".to_owned(),
            (dollars, 0) => format!("{sign}${dollars}/month"),
            (dollars, cents) => format!("{sign}${dollars}.{cents:02}/month"),
        }
    }
}
