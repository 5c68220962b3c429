//! The search against searches that nobody could get wrong.

use crate::Chance;
use std::collections::BTreeSet;
use writ_intent::model::availability::{RegionLayout, ZoneLayout};
use writ_intent::model::erlang::Queue;
use writ_intent::{
    Basis, Candidate, Constraint, Demand, InstanceType, Objective, Origin, Platform, Region, Requirement, Setting,
    Space, Zone, explain, unit,
};

fn random_platform(chance: &mut Chance) -> Platform {
    let mut platform = Platform { regions: Vec::new(), instance_types: Vec::new(), ..Platform::default() };
    for region in 0..1 + chance.below(3) {
        let zones = (0..1 + chance.below(3))
            .map(|zone| Zone {
                name: format!("r{region}-{zone}"),
                availability_ppb: chance.of(&[999_500_000, 995_000_000, 990_000_000]),
            })
            .collect();
        let availability_ppb = chance.of(&[999_900_000, 999_000_000, 995_000_000]);
        platform.regions.push(Region { name: format!("r{region}"), aliases: Vec::new(), availability_ppb, zones });
    }
    for class in 0..1 + chance.below(4) {
        platform.instance_types.push(InstanceType {
            name: format!("t{class}"),
            cores: chance.of(&[1, 2, 4]),
            memory_bytes: chance.of(&[1_u64, 2, 4, 8]) << 30,
            hour_micros: 10_000 + 100 * chance.below(2_000),
            speed_permille: chance.of(&[1_000, 1_000, 800, 1_500]),
            mtbf_s: chance.of(&[86_400, 604_800]),
            mttr_s: chance.of(&[30, 600, 3_600]),
            origin: Origin::Assumed,
        });
    }
    platform
}

fn random_demand(chance: &mut Chance) -> Demand {
    Demand {
        core_us: 500 + chance.below(12_000),
        variation_permille: chance.of(&[1_000, 1_000, 500, 1_800]),
        memory_bytes: chance.of(&[1_u64, 2, 4]) << 30,
        origin: Origin::Assumed,
    }
}

fn random_requirement(chance: &mut Chance, platform: &Platform) -> Requirement {
    let min = 1 + chance.below(4) as u32;
    let some = |chance: &mut Chance| !chance.once_in(6);
    let allowed: BTreeSet<String> =
        platform.regions.iter().filter(|_| !chance.once_in(4)).map(|region| region.name.clone()).collect();
    Requirement {
        availability_ppb: some(chance).then(|| {
            chance.of(&[900_000_000, 990_000_000, 995_000_000, 998_000_000, 999_000_000, 999_500_000, 999_900_000])
        }),
        latency_us: some(chance).then(|| 2_000 + chance.below(60_000)),
        throughput_mrps: some(chance).then(|| 1_000 * (50 + chance.below(1_500))),
        min_instances: min,
        max_instances: Some(min + chance.below(10) as u32),
        budget_micros: some(chance).then(|| 1_000_000 * (40 + chance.below(700))),
        basis: if chance.once_in(4) { Basis::Peak } else { Basis::Steady },
        regions: (!allowed.is_empty()).then_some(allowed),
        min_regions: if chance.once_in(5) { 2 } else { 1 },
        min_zones: 1 + chance.below(3) as u32,
        memory_bytes: chance.of(&[1_u64, 2, 4]) << 30,
        objective: Objective::Cost,
    }
}

/// How likely at least `quorum` instances are live: over every state of every region and zone, then over the binomial.
fn availability(layout: &[RegionLayout], up: f64, quorum: u32) -> f64 {
    let zones: Vec<(usize, &ZoneLayout)> =
        layout.iter().enumerate().flat_map(|(at, region)| region.zones.iter().map(move |zone| (at, zone))).collect();
    let mut total = 0.0;
    for regions_up in 0..1_u32 << layout.len() {
        for zones_up in 0..1_u32 << zones.len() {
            let mut share = 1.0;
            for (at, region) in layout.iter().enumerate() {
                share *= if regions_up >> at & 1 == 1 { region.up } else { 1.0 - region.up };
            }
            let mut there = 0;
            for (at, (region, zone)) in zones.iter().enumerate() {
                let zone_up = zones_up >> at & 1 == 1;
                share *= if zone_up { zone.up } else { 1.0 - zone.up };
                if zone_up && regions_up >> region & 1 == 1 {
                    there += zone.instances;
                }
            }
            let enough: f64 = (quorum..=there.max(quorum))
                .filter(|live| *live <= there)
                .map(|live| choose(there, live) * up.powi(live as i32) * (1.0 - up).powi((there - live) as i32))
                .sum();
            total += share * enough;
        }
    }
    total
}

fn choose(n: u32, k: u32) -> f64 {
    (0..k).fold(1.0, |product, at| product * f64::from(n - at) / f64::from(at + 1))
}

/// The cost of the cheapest layout, found by trying every one of them.
fn brute_force(platform: &Platform, demand: &Demand, asked: &Requirement) -> Option<u64> {
    let mut best: Option<u64> = None;
    for class in &platform.instance_types {
        if class.memory_bytes < asked.memory_bytes {
            continue;
        }
        for set in 1..1_u32 << platform.regions.len() {
            let regions: Vec<&Region> = platform
                .regions
                .iter()
                .enumerate()
                .filter(|(at, _)| set >> at & 1 == 1)
                .map(|(_, region)| region)
                .collect();
            let allowed = asked
                .regions
                .as_ref()
                .is_none_or(|allowed| regions.iter().all(|region| allowed.contains(&region.name)));
            if !allowed || regions.len() < asked.min_regions as usize {
                continue;
            }
            for count in asked.min_instances.max(regions.len() as u32)..=asked.max_instances.unwrap_or(60) {
                let month = |count: u32| {
                    730 * (u64::from(count) * class.hour_micros + regions.len() as u64 * platform.balancer.hour_micros)
                };
                let bound = match asked.basis {
                    Basis::Steady => month(count),
                    Basis::Peak => month(asked.max_instances.unwrap_or(count).max(count)),
                };
                if asked.budget_micros.is_some_and(|budget| bound > budget)
                    || best.is_some_and(|best| month(count) >= best)
                {
                    continue;
                }
                if holds(platform, demand, asked, class, &regions, count) {
                    best = Some(month(count));
                }
            }
        }
    }
    best
}

fn holds(
    platform: &Platform,
    demand: &Demand,
    asked: &Requirement,
    class: &InstanceType,
    regions: &[&Region],
    count: u32,
) -> bool {
    let queue = |live: u32| Queue {
        arrival: asked.throughput_mrps.unwrap_or(0) as f64 / 1e3,
        service: demand.core_us as f64 / 1e6 * 1e3 / f64::from(class.speed_permille),
        servers: live * class.cores,
        variation: f64::from(demand.variation_permille) / 1e3,
    };
    let serves = |live: &u32| {
        let queue = queue(*live);
        queue.is_stable() && asked.latency_us.is_none_or(|limit| queue.quantile(0.95).unwrap() * 1e6 <= limit as f64)
    };
    let Some(quorum) = (1..=count).find(serves) else { return false };
    let mut layout: Vec<RegionLayout> = regions
        .iter()
        .map(|region| RegionLayout {
            up: region.availability_ppb as f64 / 1e9 * (platform.balancer.availability_ppb as f64 / 1e9),
            zones: region
                .zones
                .iter()
                .map(|zone| ZoneLayout { up: zone.availability_ppb as f64 / 1e9, instances: 0 })
                .collect(),
        })
        .collect();
    for instance in 0..count as usize {
        let region = &mut layout[instance % regions.len()];
        let zones = region.zones.len();
        region.zones[instance / regions.len() % zones].instances += 1;
    }
    let used = layout.iter().flat_map(|region| &region.zones).filter(|zone| zone.instances > 0).count();
    let up = class.mtbf_s as f64 / (class.mtbf_s + class.mttr_s) as f64;
    used >= asked.min_zones as usize
        && asked.availability_ppb.is_none_or(|target| availability(&layout, up, quorum) * 1e9 >= target as f64)
}

fn preferred(platform: &Platform) -> Vec<String> {
    platform.regions.iter().map(|region| region.name.clone()).collect()
}

#[test]
fn the_cost_equals_a_brute_force_search_on_a_thousand_random_intents() {
    let mut chance = Chance(20);
    let (mut feasible, mut infeasible) = (0, 0);
    for round in 0..1_000 {
        let platform = random_platform(&mut chance);
        let demand = random_demand(&mut chance);
        let asked = random_requirement(&mut chance, &platform);
        let found = Space::new(&platform, &demand, &preferred(&platform), asked.min_regions).best(&asked);
        let expected = brute_force(&platform, &demand, &asked);
        assert_eq!(found.map(|found| found.cost_micros), expected, "round {round}: {asked:?} {demand:?}");
        if expected.is_some() { feasible += 1 } else { infeasible += 1 }
    }
    assert!(feasible > 250 && infeasible > 250, "{feasible} feasible, {infeasible} not");
}

#[test]
fn every_conflict_is_minimal_and_every_fix_is_exact_on_three_hundred_infeasible_intents() {
    let mut chance = Chance(300);
    let (mut seen, mut fixes_seen, mut pairs) = (0, 0, 0);
    while seen < 300 {
        let platform = random_platform(&mut chance);
        let demand = random_demand(&mut chance);
        let asked = random_requirement(&mut chance, &platform);
        let mut space = Space::new(&platform, &demand, &preferred(&platform), asked.min_regions);
        if space.best(&asked).is_some() {
            continue;
        }
        seen += 1;
        let told = explain(&mut space, &asked);
        let present = asked.present();
        let mut keeps = |kept: &[Constraint]| {
            let gone = present.iter().filter(|constraint| !kept.contains(constraint));
            space.best(&gone.fold(asked.clone(), |less, gone| less.without(*gone))).is_some()
        };
        assert!(!told.conflicts.is_empty());
        for conflict in &told.conflicts {
            assert!(!keeps(conflict), "{conflict:?} holds together");
            for left_out in conflict {
                let rest: Vec<Constraint> = conflict.iter().copied().filter(|c| c != left_out).collect();
                assert!(keeps(&rest), "{conflict:?} is not minimal: {rest:?} does not hold either");
            }
        }
        for fix in &told.fixes {
            fixes_seen += 1;
            pairs += usize::from(fix.changes.len() > 1);
            let eased =
                fix.changes.iter().fold(asked.clone(), |eased, change| eased.with(change.constraint, &change.to));
            assert_eq!(space.best(&eased).as_ref(), Some(&fix.gives), "{asked:?} {fix:?}");
            for change in &fix.changes {
                for less in one_unit_less(change.constraint, &change.from, &change.to) {
                    let tighter = eased.with(change.constraint, &less);
                    assert_eq!(space.best(&tighter), None::<Candidate>, "{less:?} does as well: {asked:?} {fix:?}");
                }
            }
        }
    }
    assert!(fixes_seen > 300 && pairs > 10, "{fixes_seen} fixes, {pairs} of several changes");
}

/// The values that give way one unit less.
fn one_unit_less(constraint: Constraint, from: &Setting, to: &Setting) -> Vec<Setting> {
    match (from, to) {
        (Setting::Number(from), Setting::Number(to)) => {
            let unit = unit(constraint);
            vec![Setting::Number(if to > from { to - unit } else { to + unit })]
        }
        (Setting::Regions(from), Setting::Regions(to)) => {
            let added: Vec<&String> = to.iter().filter(|name| !from.contains(name)).collect();
            added
                .iter()
                .map(|left_out| Setting::Regions(to.iter().filter(|name| *name != *left_out).cloned().collect()))
                .collect()
        }
        (Setting::Number(_), Setting::Regions(_)) | (Setting::Regions(_), Setting::Number(_)) => {
            panic!("a fix of another sort than its constraint")
        }
    }
}

#[test]
fn a_fix_that_is_offered_can_be_written_into_the_manifest() {
    // 20 ms a request: nothing holds availability, budget and the most instances together.
    let manifest = String::from_utf8(crate::example("intent.yaml")).unwrap();
    let costly = format!("{manifest}\n  workload: {{ service_time: 20ms }}\n");
    let read = |text: &str| writ_intent::read_manifest("web.yaml", text.as_bytes()).unwrap().intent;
    let platform = Platform::default();
    let Err(writ_intent::TranslateError::Infeasible(told)) = writ_intent::translate(&read(&costly), &platform) else {
        panic!("20 ms a request should not fit")
    };
    assert!(!told.fixes.is_empty());
    let budget =
        told.fixes.iter().find(|fix| fix.changes.len() == 1 && fix.changes[0].constraint == Constraint::Budget);
    if let Some(fix) = budget {
        let to = fix.changes[0].show(&fix.changes[0].to, "USD");
        let fixed = read(&costly.replace("$500/month", &to));
        assert!(writ_intent::translate(&fixed, &platform).is_ok());
    }
    let text = writ_intent::infeasible_text(&told, &platform);
    assert!(text.contains("cannot hold together") && text.contains("would do"), "{text}");
}

#[test]
fn a_soft_constraint_gives_way_no_further_than_it_must() {
    let manifest = String::from_utf8(crate::example("intent.yaml")).unwrap();
    let soft = format!("{manifest}\n  workload: {{ service_time: 12ms }}\n  preferences: {{ soft: [budget] }}\n")
        .replace("$500/month", "$200/month");
    let intent = writ_intent::read_manifest("web.yaml", soft.as_bytes()).unwrap().intent;
    let platform = Platform::default();
    let translation = writ_intent::translate(&intent, &platform).unwrap();
    assert_eq!(translation.gave_way.len(), 1);
    let change = &translation.gave_way[0];
    assert_eq!(change.constraint, Constraint::Budget);
    let cents = translation.predicted.cost_micros.div_ceil(10_000) * 10_000;
    assert_eq!(change.to, Setting::Number(cents));
}

#[test]
fn the_most_availability_is_never_less_than_the_cheapest_has() {
    let manifest = String::from_utf8(crate::example("intent.yaml")).unwrap();
    let most = format!("{manifest}\n  preferences: {{ objective: availability }}\n");
    let read = |text: &str| writ_intent::read_manifest("web.yaml", text.as_bytes()).unwrap().intent;
    let platform = Platform::default();
    let cheap = writ_intent::translate(&read(&manifest), &platform).unwrap().predicted;
    let safe = writ_intent::translate(&read(&most), &platform).unwrap().predicted;
    assert!(safe.availability_ppb > cheap.availability_ppb && safe.cost_micros > cheap.cost_micros);
    assert!(safe.cost_micros <= 500_000_000);
}
