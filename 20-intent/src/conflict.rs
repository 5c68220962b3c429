//! When nothing holds everything: which constraints stand against each other, and the least that would have to give.

use crate::figure;
use crate::intent::{Basis, Constraint, Objective};
use crate::solve::{COUNT_LIMIT, Candidate, Requirement, Space};
use std::collections::BTreeSet;

/// Why no layout holds an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Infeasible {
    /// Every set of constraints that cannot hold together although each smaller set of them can.
    pub conflicts: Vec<Vec<Constraint>>,
    /// Every smallest set of constraints whose giving way helps, with the least it takes; fewest changes first, then least cost.
    pub fixes: Vec<Fix>,
}

/// Changes that together make the intent feasible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What changes. One unit less of any of them does not do.
    pub changes: Vec<Adjustment>,
    /// The best layout after the change.
    pub gives: Candidate,
}

/// One constraint with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// Which.
    pub constraint: Constraint,
    /// What was asked.
    pub from: Setting,
    /// What would do.
    pub to: Setting,
}

/// A constraint's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A number in the unit the constraint is kept in.
    Number(u64),
    /// Regions by name.
    Regions(Vec<String>),
}

impl Adjustment {
    /// A value of this constraint as people write it.
    #[must_use]
    pub fn show(&self, setting: &Setting, currency: &str) -> String {
        match (setting, self.constraint) {
            (Setting::Regions(names), _) => names.join(", "),
            (Setting::Number(value), Constraint::Availability) => figure::percent(*value),
            (Setting::Number(value), Constraint::LatencyP95) => figure::span(*value),
            (Setting::Number(value), Constraint::Throughput) => figure::rate(*value),
            (Setting::Number(value), Constraint::Budget) => format!("{}/month", figure::money(*value, currency)),
            (Setting::Number(value), Constraint::Memory) => figure::bytes(*value),
            (
                Setting::Number(value),
                Constraint::MinInstances
                | Constraint::MaxInstances
                | Constraint::Region
                | Constraint::MinRegions
                | Constraint::MinZones,
            ) => value.to_string(),
        }
    }
}

/// The grid on which a fix is looked for: what people write, and fine enough to be called exact.
#[must_use]
pub fn unit(constraint: Constraint) -> u64 {
    match constraint {
        Constraint::Availability => 1_000, // 0.0001 %
        Constraint::LatencyP95 => 10,      // 0.01 ms
        Constraint::Throughput => 1_000,   // 1 req/s
        Constraint::Budget => 10_000,      // a hundredth
        Constraint::Memory => 1 << 20,     // 1 MiB
        Constraint::MinInstances
        | Constraint::MaxInstances
        | Constraint::Region
        | Constraint::MinRegions
        | Constraint::MinZones => 1,
    }
}

/// Where the search for a larger value stops: an hour, a billion a month, the most instances there may be.
fn largest(constraint: Constraint) -> u64 {
    match constraint {
        Constraint::LatencyP95 => 3_600_000_000,
        Constraint::Budget => 1_000_000_000_000_000,
        Constraint::MaxInstances
        | Constraint::Availability
        | Constraint::Throughput
        | Constraint::MinInstances
        | Constraint::Region
        | Constraint::MinRegions
        | Constraint::MinZones
        | Constraint::Memory => u64::from(COUNT_LIMIT),
    }
}

impl Requirement {
    /// The constraints that ask for something.
    #[must_use]
    pub fn present(&self) -> Vec<Constraint> {
        let asked = |constraint: &Constraint| match constraint {
            Constraint::Availability => self.availability_ppb.is_some(),
            Constraint::LatencyP95 => self.latency_us.is_some(),
            Constraint::Throughput => self.throughput_mrps.is_some(),
            Constraint::MinInstances => self.min_instances > 1,
            Constraint::MaxInstances => self.max_instances.is_some(),
            Constraint::Budget => self.budget_micros.is_some(),
            Constraint::Region => self.regions.is_some(),
            Constraint::MinRegions => self.min_regions > 1,
            Constraint::MinZones => self.min_zones > 1,
            Constraint::Memory => self.memory_bytes > 0,
        };
        Constraint::WORDS.iter().map(|(_, constraint)| *constraint).filter(asked).collect()
    }

    /// The same without one constraint.
    #[must_use]
    pub fn without(&self, constraint: Constraint) -> Requirement {
        let mut less = self.clone();
        match constraint {
            Constraint::Availability => less.availability_ppb = None,
            Constraint::LatencyP95 => less.latency_us = None,
            Constraint::Throughput => less.throughput_mrps = None,
            Constraint::MinInstances => less.min_instances = 1,
            Constraint::MaxInstances => less.max_instances = None,
            Constraint::Budget => less.budget_micros = None,
            Constraint::Region => less.regions = None,
            Constraint::MinRegions => less.min_regions = 1,
            Constraint::MinZones => less.min_zones = 1,
            Constraint::Memory => less.memory_bytes = 0,
        }
        less
    }

    /// The same with one constraint at another value. Counts beyond the limit stand at it.
    #[must_use]
    pub fn with(&self, constraint: Constraint, setting: &Setting) -> Requirement {
        let mut other = self.clone();
        let (value, names) = match setting {
            Setting::Number(value) => (*value, BTreeSet::new()),
            Setting::Regions(names) => (0, names.iter().cloned().collect()),
        };
        let count = u32::try_from(value).unwrap_or(u32::MAX);
        match constraint {
            Constraint::Availability => other.availability_ppb = Some(value),
            Constraint::LatencyP95 => other.latency_us = Some(value),
            Constraint::Throughput => other.throughput_mrps = Some(value),
            Constraint::MinInstances => other.min_instances = count,
            Constraint::MaxInstances => other.max_instances = Some(count),
            Constraint::Budget => other.budget_micros = Some(value),
            Constraint::Region => other.regions = Some(names),
            Constraint::MinRegions => other.min_regions = count,
            Constraint::MinZones => other.min_zones = count,
            Constraint::Memory => other.memory_bytes = value,
        }
        other
    }

    /// What is asked of one constraint; zero where nothing is.
    #[must_use]
    pub fn setting(&self, constraint: Constraint) -> Setting {
        Setting::Number(match constraint {
            Constraint::Availability => self.availability_ppb.unwrap_or(0),
            Constraint::LatencyP95 => self.latency_us.unwrap_or(0),
            Constraint::Throughput => self.throughput_mrps.unwrap_or(0),
            Constraint::MinInstances => u64::from(self.min_instances),
            Constraint::MaxInstances => u64::from(self.max_instances.unwrap_or(0)),
            Constraint::Budget => self.budget_micros.unwrap_or(0),
            Constraint::MinRegions => u64::from(self.min_regions),
            Constraint::MinZones => u64::from(self.min_zones),
            Constraint::Memory => self.memory_bytes,
            Constraint::Region => {
                return Setting::Regions(self.regions.iter().flatten().cloned().collect());
            }
        })
    }
}

/// Every minimal conflict and every smallest fix of a requirement that nothing holds.
pub fn explain(space: &mut Space<'_>, asked: &Requirement) -> Infeasible {
    // Whether something holds does not depend on what is preferred.
    let asked = Requirement { objective: Objective::Cost, ..asked.clone() };
    let present = asked.present();
    let (conflicts, feasible) = frontier(space, &asked, &present);
    let named = |set: u32| members(&present, set).collect::<Vec<_>>();
    let everything = full(&present);
    let mut fixes: Vec<Fix> =
        feasible.iter().filter_map(|kept| fix(space, &asked, &named(everything & !kept))).collect();
    fixes.sort_by_key(|fix| {
        (fix.changes.len(), fix.gives.cost_micros, fix.changes.iter().map(|c| c.constraint).collect::<Vec<_>>())
    });
    let mut conflicts: Vec<Vec<Constraint>> = conflicts.into_iter().map(named).collect();
    conflicts.sort_by_key(|conflict| (conflict.len(), conflict.clone()));
    Infeasible { conflicts, fixes }
}

fn full(present: &[Constraint]) -> u32 {
    (1_u32 << present.len()) - 1
}

fn members(present: &[Constraint], set: u32) -> impl Iterator<Item = Constraint> {
    present.iter().enumerate().filter(move |(at, _)| set & (1 << at) != 0).map(|(_, constraint)| *constraint)
}

/// All minimal sets that cannot hold and all maximal sets that can. Each undecided set is asked about once, then shrunk or
/// grown to the border; what lies beyond a border that is known is decided by it.
fn frontier(space: &mut Space<'_>, asked: &Requirement, present: &[Constraint]) -> (Vec<u32>, Vec<u32>) {
    let everything = full(present);
    let mut holds = |set: u32| {
        let kept = members(present, everything & !set).fold(asked.clone(), |less, gone| less.without(gone));
        space.best(&kept).is_some()
    };
    let (mut conflicts, mut feasible): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    let mut seeds: Vec<u32> = (0..=everything).collect();
    seeds.sort_by_key(|set| (std::cmp::Reverse(set.count_ones()), *set));
    for seed in seeds {
        let decided = conflicts.iter().any(|bad| seed & bad == *bad) || feasible.iter().any(|good| seed & good == seed);
        if decided {
            continue;
        }
        let bits = (0..present.len()).map(|at| 1 << at);
        if holds(seed) {
            feasible.push(bits.fold(seed, |set, bit| if set & bit == 0 && holds(set | bit) { set | bit } else { set }));
        } else {
            conflicts
                .push(bits.fold(seed, |set, bit| if set & bit != 0 && !holds(set & !bit) { set & !bit } else { set }));
        }
    }
    (conflicts, feasible)
}

/// The least that these constraints must give way, one after the other, so that everything holds; none when only a senseless
/// value (no load at all) would do.
pub(crate) fn fix(space: &mut Space<'_>, asked: &Requirement, giving: &[Constraint]) -> Option<Fix> {
    let mut eased = giving.iter().fold(asked.clone(), |less, gone| less.without(*gone));
    let mut changes = Vec::new();
    for constraint in giving {
        let from = asked.setting(*constraint);
        let to = match &from {
            Setting::Number(now) => Setting::Number(nearest(space, asked, &eased, *constraint, *now)?),
            Setting::Regions(now) => Setting::Regions(more_regions(space, &eased, now)?),
        };
        eased = eased.with(*constraint, &to);
        changes.push(Adjustment { constraint: *constraint, from, to });
    }
    let gives = space.best(&eased)?;
    Some(Fix { changes, gives })
}

/// The value nearest to `now` that lets everything else hold.
fn nearest(
    space: &mut Space<'_>,
    asked: &Requirement,
    eased: &Requirement,
    constraint: Constraint,
    now: u64,
) -> Option<u64> {
    let unit = unit(constraint);
    let mut holds = |value: u64| space.best(&eased.with(constraint, &Setting::Number(value))).is_some();
    match constraint {
        Constraint::MaxInstances if asked.basis == Basis::Peak => {
            // Fewer cost less at peak and more hold more, so the nearest may lie on either side.
            let reach = u64::from(COUNT_LIMIT);
            (1..=reach)
                .flat_map(|away| [now.checked_sub(away), now.checked_add(away)])
                .flatten()
                .find(|value| (1..=reach).contains(value) && holds(*value))
        }
        Constraint::LatencyP95 | Constraint::Budget | Constraint::MaxInstances => {
            let (mut low, last) = (now / unit + 1, largest(constraint) / unit);
            let (mut high, mut step) = (low, 1);
            while !holds(high * unit) {
                if high >= last {
                    return None;
                }
                low = high + 1;
                high = last.min(high + step);
                step *= 2;
            }
            while low < high {
                let middle = low.midpoint(high);
                if holds(middle * unit) { high = middle } else { low = middle + 1 }
            }
            Some(high * unit)
        }
        Constraint::Availability
        | Constraint::Throughput
        | Constraint::MinInstances
        | Constraint::Region
        | Constraint::MinRegions
        | Constraint::MinZones
        | Constraint::Memory => {
            let (mut low, mut high) = (1, now.checked_sub(1)? / unit);
            if high < low || !holds(low * unit) {
                return None;
            }
            while low < high {
                let middle = low + (high - low).div_ceil(2);
                if holds(middle * unit) { low = middle } else { high = middle - 1 }
            }
            Some(low * unit)
        }
    }
}

/// The regions now allowed and the fewest more that let everything else hold, cheapest first.
fn more_regions(space: &mut Space<'_>, eased: &Requirement, now: &[String]) -> Option<Vec<String>> {
    let others: Vec<String> =
        space.regions.iter().map(|region| region.name.clone()).filter(|name| !now.contains(name)).collect();
    for size in 1..=others.len() {
        let mut best: Option<(u64, Vec<String>)> = None;
        for chosen in crate::solve::region_sets(others.len(), size).into_iter().filter(|set| set.len() == size) {
            let mut allowed = now.to_vec();
            allowed.extend(chosen.into_iter().map(|at| others[at].clone()));
            let tried = eased.with(Constraint::Region, &Setting::Regions(allowed.clone()));
            if let Some(found) = space.best(&tried)
                && best.as_ref().is_none_or(|(cost, _)| found.cost_micros < *cost)
            {
                best = Some((found.cost_micros, allowed));
            }
        }
        if let Some((_, allowed)) = best {
            return Some(allowed);
        }
    }
    None
}
