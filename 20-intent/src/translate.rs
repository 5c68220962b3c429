//! From what must hold to what will be there: the cheapest layout, what it is predicted to do, and what that rests on.

use crate::conflict::{Adjustment, Infeasible, explain, fix};
use crate::figure;
use crate::intent::{Basis, Constraint, HealMode, Intent, Objective, RecoveryPolicy, Trigger};
use crate::platform::{Demand, InstanceType, Intervals, Platform};
use crate::solve::{
    COUNT_LIMIT, Candidate, LATENCY_QUANTILE, Requirement, Space, availability_by_quorum, largest_region_set, layout,
    place, queue, quorum,
};
use writ_core::{ComponentId, Digest, IntentId};

/// What was chosen for an intent on a platform, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// The intent.
    pub intent: IntentId,
    /// Digest of its canonical form.
    pub intent_digest: Digest,
    /// Digest of the platform it was made for.
    pub platform_digest: Digest,
    /// The component it brings up.
    pub component: ComponentId,
    /// The layout.
    pub layout: Layout,
    /// The least instances that automatic scaling keeps.
    pub min_instances: u32,
    /// The most instances that automatic scaling may reach.
    pub max_instances: u32,
    /// What the layout is predicted to do.
    pub predicted: Predicted,
    /// How far what it rests on may move before it no longer holds.
    pub break_even: BreakEven,
    /// What it rests on, one sentence each.
    pub assumptions: Vec<String>,
    /// Soft constraints that gave way, with the values that hold instead.
    pub gave_way: Vec<Adjustment>,
    /// What brings a failed instance back; none when the intent turns healing off.
    pub recovery: Option<RecoveryPolicy>,
    /// How far healing may go by itself.
    pub heal_mode: HealMode,
    /// What to do when.
    pub triggers: Vec<Trigger>,
    /// The intervals that are really used.
    pub intervals: Intervals,
    /// One sentence for every interval that runs otherwise than declared.
    pub profile: Vec<String>,
    /// The currency of every amount.
    pub currency: String,
}

/// Instances, and where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The instance type.
    pub instance_type: InstanceType,
    /// How many.
    pub count: u32,
    /// The least live instances that still hold latency and load.
    pub quorum: u32,
    /// The regions, in order of preference.
    pub regions: Vec<String>,
    /// The zones of those regions in the order in which they are filled.
    pub rotation: Vec<String>,
}

impl Layout {
    /// The zone of the instance with this number, from 1.
    #[must_use]
    pub fn zone(&self, instance: u32) -> &str {
        let at = (instance.max(1) - 1) as usize % self.rotation.len().max(1);
        self.rotation.get(at).map_or("", String::as_str)
    }

    /// The zones that are used, each once, in the order in which they are filled.
    #[must_use]
    pub fn zones(&self) -> Vec<String> {
        let mut zones: Vec<String> = Vec::new();
        for instance in 1..=self.count {
            let zone = self.zone(instance);
            if !zones.iter().any(|known| known == zone) {
                zones.push(zone.to_owned());
            }
        }
        zones
    }
}

/// What a layout is predicted to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Predicted {
    /// The share of time that at least the quorum is live, in billionths.
    pub availability_ppb: u64,
    /// The 95th percentile with every instance live and kept evenly busy, in microseconds; none where no load is known.
    pub latency_even_us: Option<u64>,
    /// The same, were requests spread at random; none where that would not hold the load.
    pub latency_random_us: Option<u64>,
    /// The 95th percentile with only the quorum live, in microseconds.
    pub latency_quorum_us: Option<u64>,
    /// The load at which the planned instances would be busy without a pause, in thousandths of a request a second.
    pub capacity_mrps: u64,
    /// How busy they are at the load asked for, in thousandths.
    pub busy_permille: u64,
    /// What a month costs, in millionths.
    pub cost_micros: u64,
    /// What a month costs with scaling at its most, in millionths.
    pub peak_micros: u64,
}

/// The last values at which the chosen layout still holds everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakEven {
    /// Time of one core that a request may cost, in microseconds.
    pub service_time_us: Option<u64>,
    /// The load, in thousandths of a request a second.
    pub throughput_mrps: Option<u64>,
    /// The mean time to bring an instance back, in seconds.
    pub mttr_s: Option<u64>,
}

/// Something in an intent that its platform does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where in the manifest, as a JSON pointer.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: String,
}

/// Why an intent was not translated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranslateError {
    /// It names things that the platform does not have.
    #[error("the intent does not fit the platform: {}", .0.iter().map(|m| m.message.as_str()).collect::<Vec<_>>().join("; "))]
    Misfit(Vec<Misfit>),
    /// Nothing holds everything it asks.
    #[error("no layout holds everything that the intent asks")]
    Infeasible(Box<Infeasible>),
}

/// The cheapest layout that holds an intent on a platform.
///
/// # Errors
/// When the intent names what the platform does not have, or when nothing holds all of it: then with every minimal conflict and
/// the least changes that would do.
pub fn translate(intent: &Intent, platform: &Platform) -> Result<Translation, TranslateError> {
    let misfits = misfits(intent, platform);
    if !misfits.is_empty() {
        return Err(TranslateError::Misfit(misfits));
    }
    let demand = demand(intent, platform);
    let asked = requirement(intent, platform, &demand);
    let preferred = region_names(intent, platform);
    let mut space = Space::new(platform, &demand, &preferred, asked.min_regions);
    let (asked, gave_way, chosen) = match space.best(&asked) {
        Some(chosen) => (asked, Vec::new(), chosen),
        None => yield_softly(&mut space, intent, &asked)?,
    };
    Ok(describe(intent, platform, &demand, &asked, gave_way, &space, &chosen))
}

/// Lets soft constraints give way: as few as possible, the least important first, and none further than it must.
fn yield_softly(
    space: &mut Space<'_>,
    intent: &Intent,
    asked: &Requirement,
) -> Result<(Requirement, Vec<Adjustment>, Candidate), TranslateError> {
    let infeasible = explain(space, asked);
    let soft = &intent.preferences.soft;
    let importance = |giving: &[Constraint]| -> Vec<usize> {
        // Compared from the most important soft constraint on: what gives way there weighs more than all that follow.
        soft.iter().map(|soft| usize::from(giving.contains(soft))).collect()
    };
    let mut ways: Vec<Vec<Constraint>> = infeasible
        .fixes
        .iter()
        .map(|fix| fix.changes.iter().map(|change| change.constraint).collect::<Vec<_>>())
        .filter(|giving| giving.iter().all(|constraint| soft.contains(constraint)))
        .collect();
    ways.sort_by_key(|giving| importance(giving));
    for giving in ways {
        let cheapest = Requirement { objective: Objective::Cost, ..asked.clone() };
        if let Some(found) = fix(space, &cheapest, &giving) {
            let eased =
                found.changes.iter().fold(asked.clone(), |eased, change| eased.with(change.constraint, &change.to));
            if let Some(chosen) = space.best(&eased) {
                return Ok((eased, found.changes, chosen));
            }
        }
    }
    Err(TranslateError::Infeasible(Box::new(infeasible)))
}

/// What the intent names and the platform does not have.
#[must_use]
pub fn misfits(intent: &Intent, platform: &Platform) -> Vec<Misfit> {
    let mut found = Vec::new();
    for (at, name) in intent.constraints.regions.iter().enumerate() {
        if platform.region(name).is_none() {
            let hint = match writ_text::nearest(name, platform.region_names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", writ_text::listed(platform.region_names())),
            };
            found.push(Misfit {
                pointer: format!("/intent/constraints/region/{at}"),
                message: format!("the platform has no region `{name}`"),
                hint,
            });
        }
    }
    if let Some(budget) = &intent.constraints.budget
        && budget.currency != platform.currency
    {
        found.push(Misfit {
            pointer: "/intent/constraints/budget".into(),
            message: format!(
                "the budget is in {}, and the platform's prices are in {}",
                budget.currency, platform.currency
            ),
            hint: format!("write the budget in {}", platform.currency),
        });
    }
    let least = intent.requirements.min_instances.unwrap_or(platform.scaling.min_instances);
    let most = intent.requirements.max_instances.unwrap_or(platform.scaling.max_instances);
    if least > most {
        found.push(Misfit {
            pointer: "/intent/requirements/scalability".into(),
            message: format!("at least {least} instances are asked for, and at most {most} are allowed"),
            hint: "give `min_instances` and `max_instances`, the first not above the second".into(),
        });
    }
    found
}

/// What a request costs: what the intent says, else the platform.
#[must_use]
pub fn demand(intent: &Intent, platform: &Platform) -> Demand {
    let (own, given) = (&intent.workload, &platform.demand);
    Demand {
        core_us: own.core_us.unwrap_or(given.core_us),
        variation_permille: own.variation_permille.unwrap_or(given.variation_permille),
        memory_bytes: own.memory_bytes.unwrap_or(given.memory_bytes),
        origin: own.origin.unwrap_or(given.origin),
    }
}

fn region_names(intent: &Intent, platform: &Platform) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for region in intent.constraints.regions.iter().filter_map(|name| platform.region(name)) {
        if !names.contains(&region.name) {
            names.push(region.name.clone());
        }
    }
    names
}

/// What the search must hold for an intent on a platform.
#[must_use]
pub fn requirement(intent: &Intent, platform: &Platform, demand: &Demand) -> Requirement {
    let (wanted, limits) = (&intent.requirements, &intent.constraints);
    let regions = region_names(intent, platform);
    Requirement {
        availability_ppb: wanted.availability_ppb,
        latency_us: wanted.latency_p95_us,
        throughput_mrps: wanted.throughput_mrps,
        min_instances: wanted.min_instances.unwrap_or(platform.scaling.min_instances),
        max_instances: Some(wanted.max_instances.unwrap_or(platform.scaling.max_instances)),
        budget_micros: limits.budget.as_ref().map(|budget| budget.micros),
        basis: intent.preferences.budget_basis,
        regions: (!regions.is_empty()).then(|| regions.into_iter().collect()),
        min_regions: limits.min_regions.unwrap_or(1),
        min_zones: limits.min_zones.unwrap_or(1),
        memory_bytes: demand.memory_bytes,
        objective: intent.preferences.objective,
    }
}

fn describe(
    intent: &Intent,
    platform: &Platform,
    demand: &Demand,
    asked: &Requirement,
    gave_way: Vec<Adjustment>,
    space: &Space<'_>,
    chosen: &Candidate,
) -> Translation {
    let class = &platform.instance_types[chosen.offer];
    let rotation = (0..rotation_length(space, chosen))
        .map(|instance| {
            let (region, zone) = place(&space.regions, &chosen.regions, instance);
            space.regions[region].zones[zone].name.clone()
        })
        .collect();
    let recovery = intent.heal.recovery.clone().unwrap_or_else(|| platform.healing.recovery.clone());
    let heals = intent.heal.enabled.unwrap_or(true);
    Translation {
        intent: intent.id.clone(),
        intent_digest: intent.digest(),
        platform_digest: platform.digest(),
        component: intent.component(platform).clone(),
        layout: Layout {
            instance_type: class.clone(),
            count: chosen.count,
            quorum: chosen.quorum,
            regions: chosen.regions.iter().map(|region| space.regions[*region].name.clone()).collect(),
            rotation,
        },
        min_instances: asked.min_instances,
        max_instances: asked.max_instances.unwrap_or(chosen.count).max(chosen.count),
        predicted: predict(class, demand, asked, chosen),
        break_even: break_even(platform, demand, asked, space, chosen),
        assumptions: assumptions(platform, demand, asked, space, chosen),
        gave_way,
        heal_mode: intent.heal.mode.or(platform.healing.mode).unwrap_or(HealMode::Shadow),
        triggers: intent.heal.triggers.clone().unwrap_or_else(|| platform.healing.triggers.clone()),
        intervals: platform.intervals(&recovery),
        profile: platform.profile_lines(&recovery),
        recovery: heals.then_some(recovery),
        currency: platform.currency.clone(),
    }
}

/// After how many instances the order of zones repeats: every region's zones go round a whole number of times.
fn rotation_length(space: &Space<'_>, chosen: &Candidate) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let zones = chosen.regions.iter().map(|region| space.regions[*region].zones.len());
    let repeats = zones.fold(1, |lcm, zones| lcm / gcd(lcm, zones) * zones);
    chosen.regions.len() * repeats.min(COUNT_LIMIT as usize)
}

fn predict(class: &InstanceType, demand: &Demand, asked: &Requirement, chosen: &Candidate) -> Predicted {
    let load = asked.throughput_mrps.unwrap_or(0);
    let all = queue(class, demand, load, chosen.count);
    let one = queue(class, demand, load / u64::from(chosen.count.max(1)), 1);
    let quorum = queue(class, demand, load, chosen.quorum);
    let known = asked.throughput_mrps.is_some();
    let p95 = |queue: crate::model::erlang::Queue| queue.quantile(LATENCY_QUANTILE).filter(|_| known).map(micros_up);
    let servers = f64::from(all.servers);
    Predicted {
        availability_ppb: chosen.availability_ppb,
        latency_even_us: p95(all),
        latency_random_us: p95(one),
        latency_quorum_us: p95(quorum),
        capacity_mrps: whole(servers / all.service * 1_000.0),
        busy_permille: whole((all.load() / servers * 1_000.0).ceil()),
        cost_micros: chosen.cost_micros,
        peak_micros: chosen.peak_micros,
    }
}

fn micros_up(seconds: f64) -> u64 {
    whole((seconds * 1e6).ceil())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held between 0 and 2^53 first")]
fn whole(value: f64) -> u64 {
    value.clamp(0.0, 9_007_199_254_740_991.0) as u64
}

/// Moves one thing at a time until the chosen layout no longer holds.
fn break_even(
    platform: &Platform,
    demand: &Demand,
    asked: &Requirement,
    space: &Space<'_>,
    chosen: &Candidate,
) -> BreakEven {
    let class = &platform.instance_types[chosen.offer];
    let placed = layout(&space.regions, &chosen.regions, chosen.count, platform.balancer.availability_ppb);
    let target = asked.availability_ppb.unwrap_or(0);
    let holds = |core_us: u64, load: u64, mttr_s: u64| {
        let demand = Demand { core_us, ..demand.clone() };
        quorum(class, &demand, load, asked.latency_us).is_some_and(|quorum| {
            let held = availability_by_quorum(&placed, (class.mtbf_s, mttr_s));
            quorum <= chosen.count && held.get(quorum as usize).is_some_and(|held| *held >= target)
        })
    };
    let load = asked.throughput_mrps.unwrap_or(0);
    let timed = asked.throughput_mrps.is_some() || asked.latency_us.is_some();
    BreakEven {
        service_time_us: timed
            .then(|| last_that(demand.core_us, 3_600_000_000, 1, |us| holds(us, load, class.mttr_s)))
            .flatten(),
        throughput_mrps: asked.throughput_mrps.and_then(|load| {
            last_that(load, 1_000_000_000_000, 1_000, |load| holds(demand.core_us, load, class.mttr_s))
        }),
        mttr_s: asked.availability_ppb.and_then(|_| {
            last_that(class.mttr_s, class.mtbf_s.max(class.mttr_s), 1, |mttr| holds(demand.core_us, load, mttr))
        }),
    }
}

/// The last value, from `from` on in whole steps, at which something still holds; none when it holds up to `limit`.
fn last_that(from: u64, limit: u64, step: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut good, mut stride) = (from, step);
    let mut bad = loop {
        let next = good.saturating_add(stride);
        if next > limit {
            if holds(limit) {
                return None;
            }
            break limit;
        }
        if !holds(next) {
            break next;
        }
        good = next;
        stride = stride.saturating_mul(2);
    };
    while bad.saturating_sub(good) > step {
        let middle = good + (bad - good) / 2 / step * step;
        let middle = middle.max(good + step);
        if holds(middle) { good = middle } else { bad = middle }
    }
    Some(good)
}

fn assumptions(
    platform: &Platform,
    demand: &Demand,
    asked: &Requirement,
    space: &Space<'_>,
    chosen: &Candidate,
) -> Vec<String> {
    let class = &platform.instance_types[chosen.offer];
    let mut all = vec![
        format!(
            "a request costs {} of a core, with a coefficient of variation of {} ({})",
            figure::span(demand.core_us),
            figure::decimal(u64::from(demand.variation_permille), 3),
            demand.origin
        ),
        format!("an instance needs {} of memory ({})", figure::bytes(demand.memory_bytes), demand.origin),
        format!(
            "an instance fails once in {} and is back after {} ({})",
            figure::span_of_seconds(class.mtbf_s),
            figure::span_of_seconds(class.mttr_s),
            class.origin
        ),
        format!(
            "availability means that at least {} of {} instances are live; zones, regions and balancers are as available as the \
             platform states and fail independently",
            chosen.quorum, chosen.count
        ),
        "requests arrive independently of each other, and the balancer keeps instances evenly busy".to_owned(),
        format!(
            "a month has {} hours; storage, traffic and burst credits are not counted",
            crate::platform::MONTH_HOURS
        ),
    ];
    if asked.throughput_mrps.is_none() {
        all.push("no throughput is asked for: the layout is sized for a light load".to_owned());
    }
    if asked.basis == Basis::Peak {
        all.push("the budget binds the cost with automatic scaling at its most".to_owned());
    }
    let largest = largest_region_set(space.regions.len(), asked.min_regions);
    if largest < space.regions.len() {
        all.push(format!("layouts over more than {largest} regions were not looked at"));
    }
    all
}
