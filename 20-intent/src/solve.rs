//! The cheapest layout that holds a set of constraints: an exact, deterministic search.
//!
//! A layout is an instance type, a set of regions and a count; instances are spread evenly over the regions and, within each,
//! over its zones. Everything the search compares is a whole number, rounded to the unfavourable side. Layouts have at most
//! [`COUNT_LIMIT`] instances; sets of regions have any size up to six regions and at most two beyond that (more when
//! `min_regions` asks for more), which is stated as an assumption of the plan.

use crate::intent::{Basis, Objective};
use crate::model::availability::{RegionLayout, ZoneLayout, instance_up, live, shortfalls};
use crate::model::cost::Prices;
use crate::model::erlang::Queue;
use crate::platform::{Demand, InstanceType, Platform, Region};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// The most instances a layout may have.
pub const COUNT_LIMIT: u32 = 500;

/// The share of requests that must be within the latency asked for.
pub const LATENCY_QUANTILE: f64 = 0.95;

/// What a layout must hold. A constraint that is not asked for stands at its neutral value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The least availability, in billionths.
    pub availability_ppb: Option<u64>,
    /// The longest 95th percentile, in microseconds.
    pub latency_us: Option<u64>,
    /// The load to hold, in thousandths of a request a second.
    pub throughput_mrps: Option<u64>,
    /// The least instances.
    pub min_instances: u32,
    /// The most instances that automatic scaling may reach; none when the plan may choose.
    pub max_instances: Option<u32>,
    /// The most a month may cost, in millionths.
    pub budget_micros: Option<u64>,
    /// Which cost the budget binds.
    pub basis: Basis,
    /// The regions that may be used; none when all may.
    pub regions: Option<BTreeSet<String>>,
    /// The least regions.
    pub min_regions: u32,
    /// The least zones.
    pub min_zones: u32,
    /// Memory that each instance needs, in bytes.
    pub memory_bytes: u64,
    /// What to prefer among the layouts that hold.
    pub objective: Objective,
}

/// A layout that holds a requirement, with the figures it was chosen by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Index into the catalogue.
    pub offer: usize,
    /// The regions, as indices into [`Space::regions`].
    pub regions: Vec<usize>,
    /// Instances.
    pub count: u32,
    /// The least live instances that still hold latency and load.
    pub quorum: u32,
    /// How often at least that many are live, in billionths.
    pub availability_ppb: u64,
    /// What a month of it costs, in millionths.
    pub cost_micros: u64,
    /// What a month costs with automatic scaling at its most, in millionths.
    pub peak_micros: u64,
}

/// Everything a search chooses from, with what it has worked out so far.
pub struct Space<'a> {
    platform: &'a Platform,
    demand: &'a Demand,
    /// The platform's regions, those that the intent prefers first.
    pub regions: Vec<&'a Region>,
    placements: Vec<Vec<usize>>,
    reachable: Vec<u64>,
    quorums: HashMap<(usize, Option<u64>, Option<u64>), Option<u32>>,
    held: HashMap<(usize, u64, u64, u32), Rc<Vec<u64>>>,
}

impl<'a> Space<'a> {
    /// The space of a platform and a demand. `preferred` names regions in the order the intent lists them.
    #[must_use]
    pub fn new(platform: &'a Platform, demand: &'a Demand, preferred: &[String], min_regions: u32) -> Self {
        let mut regions: Vec<&Region> =
            preferred.iter().filter_map(|name| platform.regions.iter().find(|region| region.name == *name)).collect();
        let others = platform.regions.iter().filter(|region| !preferred.contains(&region.name));
        regions.extend(others);
        let placements = region_sets(regions.len(), largest_region_set(regions.len(), min_regions));
        let mut space = Self {
            platform,
            demand,
            regions,
            placements,
            reachable: Vec::new(),
            quorums: HashMap::new(),
            held: HashMap::new(),
        };
        space.reachable = space.placements.iter().map(|set| space.any_zone_up(set)).collect();
        space
    }

    /// The best layout that holds the requirement.
    pub fn best(&mut self, asked: &Requirement) -> Option<Candidate> {
        let mut offers: Vec<(u64, usize, u32, u32)> = Vec::new();
        for (index, offer) in self.platform.instance_types.iter().enumerate() {
            if offer.memory_bytes < asked.memory_bytes {
                continue;
            }
            let Some(quorum) = self.quorum(index, asked.throughput_mrps, asked.latency_us) else { continue };
            let least = quorum.max(asked.min_instances);
            if least <= asked.max_instances.unwrap_or(COUNT_LIMIT) {
                offers.push((self.prices(offer).month(least, asked.min_regions.max(1)), index, quorum, least));
            }
        }
        offers.sort_unstable();
        let mut best: Option<Candidate> = None;
        for (floor, offer, quorum, least) in offers {
            if asked.objective == Objective::Cost && best.as_ref().is_some_and(|best| floor > best.cost_micros) {
                break; // Every offer from here on costs more at its very least.
            }
            for placement in 0..self.placements.len() {
                let found = self.best_of(asked, offer, placement, quorum, least, best.as_ref());
                if let Some(found) = found
                    && best.as_ref().is_none_or(|best| self.rank(asked, &found) < self.rank(asked, best))
                {
                    best = Some(found);
                }
            }
        }
        best
    }

    /// The best count of one offer in one placement that is not worse than what is known already.
    fn best_of(
        &mut self,
        asked: &Requirement,
        offer: usize,
        placement: usize,
        quorum: u32,
        least: u32,
        known: Option<&Candidate>,
    ) -> Option<Candidate> {
        let target = asked.availability_ppb.unwrap_or(0);
        let set = &self.placements[placement];
        let breadth = u32::try_from(set.len()).unwrap_or(u32::MAX);
        let allowed = asked
            .regions
            .as_ref()
            .is_none_or(|allowed| set.iter().all(|region| allowed.contains(&self.regions[*region].name)));
        if !allowed || breadth < asked.min_regions || self.reachable[placement] < target {
            return None;
        }
        let least = least.max(breadth).max(self.count_for_zones(set, asked.min_zones)?);
        let prices = self.prices(&self.platform.instance_types[offer]);
        let mut most = asked.max_instances.unwrap_or(COUNT_LIMIT).min(COUNT_LIMIT);
        if let Some(budget) = asked.budget_micros {
            let affordable = prices.most_within(budget, breadth)?;
            let peak = if asked.basis == Basis::Peak { asked.max_instances.unwrap_or(0) } else { 0 };
            if peak > affordable {
                return None;
            }
            most = most.min(affordable);
        }
        if asked.objective == Objective::Cost
            && let Some(known) = known
        {
            most = most.min(prices.most_within(known.cost_micros, breadth)?);
        }
        if least > most {
            return None;
        }
        let class = &self.platform.instance_types[offer];
        let (mtbf, mttr) = (class.mtbf_s, class.mttr_s);
        let count = match asked.objective {
            Objective::Cost => self.least_count(placement, (mtbf, mttr), quorum, least..=most, target)?,
            Objective::Availability => {
                // More never hurts, so the most that may be had decides, and the least that reaches the same is taken.
                let reached = self.held_by(placement, (mtbf, mttr), quorum, most) / PPB_IN_PPM * PPB_IN_PPM;
                self.least_count(placement, (mtbf, mttr), quorum, least..=most, reached.max(target))?
            }
        };
        Some(Candidate {
            offer,
            regions: self.placements[placement].clone(),
            count,
            quorum,
            availability_ppb: self.held_by(placement, (mtbf, mttr), quorum, count),
            cost_micros: prices.month(count, breadth),
            peak_micros: prices.month(asked.max_instances.unwrap_or(count).max(count), breadth),
        })
    }

    /// What comes first among layouts that hold: smaller is better, and no two layouts are equal.
    fn rank(&self, asked: &Requirement, found: &Candidate) -> impl Ord + use<> {
        let availability = Reverse(found.availability_ppb);
        let coarse = Reverse(found.availability_ppb / PPB_IN_PPM);
        let tie = (found.regions.clone(), found.offer);
        match asked.objective {
            Objective::Cost => (Reverse(0), found.cost_micros, found.regions.len(), availability, tie),
            Objective::Availability => (coarse, found.cost_micros, found.regions.len(), availability, tie),
        }
    }

    /// The least live instances of an offer that hold the latency at the load; none when no number does.
    pub fn quorum(&mut self, offer: usize, load_mrps: Option<u64>, latency_us: Option<u64>) -> Option<u32> {
        let key = (offer, load_mrps, latency_us);
        if let Some(known) = self.quorums.get(&key) {
            return *known;
        }
        let class = &self.platform.instance_types[offer];
        let answer = quorum(class, self.demand, load_mrps.unwrap_or(0), latency_us);
        self.quorums.insert(key, answer);
        answer
    }

    /// How often at least `quorum` of `count` instances are live, in billionths.
    pub fn held_by(&mut self, placement: usize, fails: (u64, u64), quorum: u32, count: u32) -> u64 {
        let key = (placement, fails.0, fails.1, count);
        let by_quorum = match self.held.get(&key) {
            Some(known) => Rc::clone(known),
            None => {
                let layout =
                    layout(&self.regions, &self.placements[placement], count, self.platform.balancer.availability_ppb);
                let worked_out = Rc::new(availability_by_quorum(&layout, fails));
                self.held.insert(key, Rc::clone(&worked_out));
                worked_out
            }
        };
        by_quorum.get(quorum as usize).copied().unwrap_or(0)
    }

    /// The least count in the range that holds the target. Availability never falls as instances are added, since each is
    /// added to the same spread, so doubling steps and halving find it.
    fn least_count(
        &mut self,
        placement: usize,
        fails: (u64, u64),
        quorum: u32,
        range: std::ops::RangeInclusive<u32>,
        target: u64,
    ) -> Option<u32> {
        let (mut low, most) = (*range.start(), *range.end());
        let (mut high, mut step) = (low, 1);
        while self.held_by(placement, fails, quorum, high) < target {
            if high == most {
                return None;
            }
            low = high + 1;
            high = most.min(high + step);
            step *= 2;
        }
        while low < high {
            let middle = low.midpoint(high);
            if self.held_by(placement, fails, quorum, middle) < target {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(high)
    }

    /// The least count that touches so many zones; none when the placement has fewer.
    fn count_for_zones(&self, set: &[usize], zones: u32) -> Option<u32> {
        let there: usize = set.iter().map(|region| self.regions[*region].zones.len()).sum();
        if there < zones as usize {
            return None;
        }
        let mut touched = BTreeSet::new();
        (0..=COUNT_LIMIT).find(|count| {
            if *count > 0 {
                touched.insert(place(&self.regions, set, *count as usize - 1));
            }
            touched.len() >= zones as usize
        })
    }

    /// The most that any count could reach: how often at least one zone can be reached.
    fn any_zone_up(&self, set: &[usize]) -> u64 {
        let every_down: f64 = set
            .iter()
            .map(|region| {
                let region = self.regions[*region];
                let zones_down: f64 = region.zones.iter().map(|zone| 1.0 - share(zone.availability_ppb)).product();
                1.0 - share(region.availability_ppb)
                    * share(self.platform.balancer.availability_ppb)
                    * (1.0 - zones_down)
            })
            .product();
        held_ppb(every_down)
    }

    fn prices(&self, offer: &InstanceType) -> Prices {
        self.platform.prices(offer)
    }
}

const PPB_IN_PPM: u64 = 1_000;

/// The least live instances of a type that hold the latency at the load.
#[must_use]
pub(crate) fn quorum(offer: &InstanceType, demand: &Demand, load_mrps: u64, latency_us: Option<u64>) -> Option<u32> {
    let one = queue(offer, demand, load_mrps, 1);
    // The least with more servers than load; from there on every queue is stable.
    let first = (one.load() / f64::from(offer.cores)).floor() + 1.0;
    if first > f64::from(COUNT_LIMIT) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and COUNT_LIMIT by the check above"
    )]
    let first = first as u32;
    let Some(latency) = latency_us else { return Some(first) };
    let seconds = micros_to_seconds(latency);
    let holds = |count| queue(offer, demand, load_mrps, count).tail(seconds) <= 1.0 - LATENCY_QUANTILE;
    if !holds(COUNT_LIMIT) {
        return None;
    }
    let (mut low, mut high, mut step) = (first, first, 1);
    while !holds(high) {
        low = high + 1;
        high = COUNT_LIMIT.min(high + step);
        step *= 2;
    }
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(high)
}

/// So many instances of a type taken as one queue before all their cores.
#[must_use]
pub(crate) fn queue(offer: &InstanceType, demand: &Demand, load_mrps: u64, count: u32) -> Queue {
    #[expect(clippy::cast_precision_loss, reason = "loads and times are far below 2^52")]
    Queue {
        arrival: load_mrps as f64 / 1_000.0,
        service: micros_to_seconds(demand.core_us) * 1_000.0 / f64::from(offer.speed_permille),
        servers: count.saturating_mul(offer.cores),
        variation: f64::from(demand.variation_permille) / 1_000.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "times are far below 2^52 microseconds")]
fn micros_to_seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "billionths are below 2^30")]
fn share(ppb: u64) -> f64 {
    ppb as f64 / 1e9
}

/// The availability that is left beside a shortfall, in billionths, rounded down.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1e9 before the cast")]
fn held_ppb(shortfall: f64) -> u64 {
    // A millionth of a billionth of slack: what is above it is more than the noise of the sums.
    let lost = (shortfall * 1e9 - 1e-6).ceil().clamp(0.0, 1e9);
    1_000_000_000 - lost as u64
}

/// For every quorum from 0 to one more than there are instances: how often it is held, in billionths.
#[must_use]
pub(crate) fn availability_by_quorum(layout: &[RegionLayout], fails: (u64, u64)) -> Vec<u64> {
    #[expect(clippy::cast_precision_loss, reason = "seconds between failures are far below 2^52")]
    let up = instance_up(fails.0 as f64, fails.1 as f64);
    shortfalls(&live(layout, up)).into_iter().map(held_ppb).collect()
}

/// Where the instance with this number, from 0, goes: regions in turn, and zones in turn within each region.
#[must_use]
pub(crate) fn place(regions: &[&Region], set: &[usize], instance: usize) -> (usize, usize) {
    let region = set[instance % set.len()];
    (region, (instance / set.len()) % regions[region].zones.len())
}

/// The layout of so many instances as the availability model sees it.
#[must_use]
pub(crate) fn layout(regions: &[&Region], set: &[usize], count: u32, balancer_ppb: u64) -> Vec<RegionLayout> {
    let mut placed: HashMap<(usize, usize), u32> = HashMap::new();
    for instance in 0..count as usize {
        *placed.entry(place(regions, set, instance)).or_default() += 1;
    }
    let zones = |region: usize| {
        let zones = regions[region].zones.iter().enumerate();
        zones
            .map(|(zone, known)| ZoneLayout {
                up: share(known.availability_ppb),
                instances: placed.get(&(region, zone)).copied().unwrap_or(0),
            })
            .collect()
    };
    set.iter()
        .map(|region| RegionLayout {
            up: share(regions[*region].availability_ppb) * share(balancer_ppb),
            zones: zones(*region),
        })
        .collect()
}

/// The largest sets of regions that the search looks at.
#[must_use]
pub(crate) fn largest_region_set(regions: usize, min_regions: u32) -> usize {
    if regions <= 6 { regions } else { (min_regions as usize).max(2).min(regions) }
}

/// All sets of up to `largest` of so many regions, smaller sets first, each in order.
pub(crate) fn region_sets(regions: usize, largest: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = Vec::new();
    let mut last: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..largest {
        let grown = |set: &Vec<usize>| {
            let set = set.clone();
            (set.last().map_or(0, |last| last + 1)..regions).map(move |next| {
                let mut more = set.clone();
                more.push(next);
                more
            })
        };
        last = last.iter().flat_map(grown).collect();
        all.extend(last.iter().cloned());
    }
    all
}
