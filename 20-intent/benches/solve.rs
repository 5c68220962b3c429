//! How long the search takes over 50 instance types in 6 regions: `cargo bench -p writ-intent`.

use std::collections::BTreeSet;
use std::time::Instant;
use writ_intent::{
    Basis, Demand, InstanceType, Objective, Origin, Platform, Region, Requirement, Space, Zone, explain,
};

fn platform() -> Platform {
    let region = |number: u32| Region {
        name: format!("r{number}"),
        aliases: Vec::new(),
        availability_ppb: 999_900_000,
        zones: (0..3).map(|zone| Zone { name: format!("r{number}-{zone}"), availability_ppb: 999_500_000 }).collect(),
    };
    let class = |number: u32| InstanceType {
        name: format!("t{number}"),
        cores: [1, 2, 4, 8, 16][number as usize % 5],
        memory_bytes: [1_u64, 2, 4, 8, 16][number as usize / 10] << 30,
        hour_micros: 9_000 + 4_100 * u64::from(number) + 20_000 * u64::from(number % 5),
        speed_permille: 1_000 + 20 * (number % 7),
        mtbf_s: 86_400 * (3 + u64::from(number % 4)),
        mttr_s: 60,
        origin: Origin::Assumed,
    };
    Platform {
        regions: (0..6).map(region).collect(),
        instance_types: (0..50).map(class).collect(),
        ..Platform::default()
    }
}

/// Requirements from easy to impossible, the same in every run.
fn requirement(number: u64) -> Requirement {
    let of = |choices: &[u64], salt: u64| choices[((number * 2_654_435_761 + salt * 97) >> 7) as usize % choices.len()];
    Requirement {
        availability_ppb: Some(of(&[990_000_000, 999_000_000, 999_900_000, 999_990_000, 999_999_000], 1)),
        latency_us: Some(of(&[12_000, 25_000, 50_000, 100_000, 400_000], 2)),
        throughput_mrps: Some(1_000 * of(&[100, 500, 1_000, 4_000, 20_000], 3)),
        min_instances: of(&[1, 2, 3], 4) as u32,
        max_instances: Some(of(&[10, 20, 60], 5) as u32),
        budget_micros: Some(1_000_000 * of(&[200, 500, 2_000, 20_000], 6)),
        basis: if number.is_multiple_of(5) { Basis::Peak } else { Basis::Steady },
        regions: number.is_multiple_of(3).then(|| BTreeSet::from(["r0".to_owned(), "r3".to_owned()])),
        min_regions: 1,
        min_zones: of(&[1, 2, 3], 7) as u32,
        memory_bytes: of(&[1, 2, 4], 8) << 30,
        objective: Objective::Cost,
    }
}

fn told(what: &str, mut micros: Vec<u128>) {
    micros.sort_unstable();
    let at = |permille: usize| micros.get(micros.len() * permille / 1_000).copied().unwrap_or(0);
    let worst = micros.last().copied().unwrap_or(0);
    println!("{what}: n={} p50={} us p95={} us worst={worst} us", micros.len(), at(500), at(950));
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn main() {
    let platform = platform();
    let demand = Demand { core_us: 5_000, variation_permille: 1_000, memory_bytes: 1 << 30, origin: Origin::Assumed };
    let (mut feasible, mut infeasible, mut explained) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..1_000 {
        let asked = requirement(number);
        let start = Instant::now();
        let mut space = Space::new(&platform, &demand, &[], asked.min_regions);
        let found = space.best(&asked);
        let took = start.elapsed().as_micros();
        if found.is_some() {
            feasible.push(took);
            continue;
        }
        infeasible.push(took);
        if explained.len() < 100 {
            let start = Instant::now();
            let told = explain(&mut space, &asked);
            assert!(!told.conflicts.is_empty());
            explained.push(start.elapsed().as_micros());
        }
    }
    println!("50 types x 6 regions of 3 zones, sets of regions of any size");
    told("solve, something holds", feasible.clone());
    told("solve, nothing holds", infeasible.clone());
    feasible.extend(infeasible);
    told("solve, all", feasible);
    told("all conflicts and fixes", explained);
}
