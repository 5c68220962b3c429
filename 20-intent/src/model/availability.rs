//! How often enough instances are up: k of n over instances in zones in regions, with the failures they have in common.

/// One region as the model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionLayout {
    /// The share of time the region and its balancer can be reached.
    pub up: f64,
    /// Its zones.
    pub zones: Vec<ZoneLayout>,
}

/// One zone as the model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneLayout {
    /// The share of time the zone is up while its region is.
    pub up: f64,
    /// Instances placed there.
    pub instances: u32,
}

/// The share of time one instance is up while its zone is: MTBF / (MTBF + MTTR).
#[must_use]
pub fn instance_up(mtbf_s: f64, mttr_s: f64) -> f64 {
    mtbf_s / (mtbf_s + mttr_s)
}

/// For every number of live instances, how likely exactly so many are: exact convolution, no sampling.
#[must_use]
pub fn live(layout: &[RegionLayout], instance_up: f64) -> Vec<f64> {
    layout.iter().fold(vec![1.0], |all, region| {
        let within = region
            .zones
            .iter()
            .filter(|zone| zone.instances > 0)
            .fold(vec![1.0], |sum, zone| convolve(&sum, &switched(binomial(zone.instances, instance_up), zone.up)));
        convolve(&all, &switched(within, region.up))
    })
}

/// The share of time that fewer than `k` instances are live, for `k` from 0 to one more than there are instances.
#[must_use]
pub fn shortfalls(live: &[f64]) -> Vec<f64> {
    let mut below = 0.0;
    let mut answer = Vec::with_capacity(live.len() + 1);
    for share in live {
        answer.push(below);
        below += share;
    }
    answer.push(1.0);
    answer
}

fn binomial(n: u32, p: f64) -> Vec<f64> {
    (0..n).fold(vec![1.0], |sum, _| convolve(&sum, &[1.0 - p, p]))
}

/// The distribution of something that has `live` while a common cause lets it, and nothing otherwise.
fn switched(mut live: Vec<f64>, up: f64) -> Vec<f64> {
    live.iter_mut().for_each(|share| *share *= up);
    if let Some(none) = live.first_mut() {
        *none += 1.0 - up;
    }
    live
}

fn convolve(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; a.len() + b.len() - 1];
    for (i, x) in a.iter().enumerate() {
        for (cell, y) in sum.iter_mut().skip(i).zip(b) {
            *cell += x * y;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_zones() -> Vec<RegionLayout> {
        let zones = vec![ZoneLayout { up: 0.9995, instances: 1 }; 3];
        vec![RegionLayout { up: 0.9999 * 0.9999, zones }]
    }

    #[test]
    fn three_instances_in_three_zones_give_the_published_figures() {
        let up = instance_up(7.0 * 86_400.0, 60.0);
        let short = shortfalls(&live(&three_zones(), up));
        assert_eq!(format!("{:.3}", 100.0 * (1.0 - short[3])), "99.800");
        assert_eq!(format!("{:.3}", 100.0 * (1.0 - short[2])), "99.980");
    }

    #[test]
    fn shares_add_up_to_one() {
        let live = live(&three_zones(), 0.99);
        assert!((live.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_exact_answer_is_within_three_sigma_of_monte_carlo() {
        let mut state = 42_u64;
        let mut unit = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as f64) / (1_u64 << 31) as f64
        };
        let layouts = [
            vec![RegionLayout {
                up: 0.97,
                zones: vec![ZoneLayout { up: 0.9, instances: 2 }, ZoneLayout { up: 0.95, instances: 1 }],
            }],
            vec![
                RegionLayout { up: 0.93, zones: vec![ZoneLayout { up: 0.9, instances: 3 }] },
                RegionLayout { up: 0.99, zones: vec![ZoneLayout { up: 0.8, instances: 1 }; 3] },
            ],
        ];
        let (up, draws) = (0.85, 200_000_u32);
        for layout in &layouts {
            let exact = live(layout, up);
            let mut seen = vec![0_u32; exact.len()];
            for _ in 0..draws {
                let mut alive = 0;
                for region in layout {
                    let region_up = unit() < region.up;
                    for zone in &region.zones {
                        let zone_up = unit() < zone.up;
                        alive += (0..zone.instances).filter(|_| unit() < up && region_up && zone_up).count();
                    }
                }
                seen[alive] += 1;
            }
            for k in 1..exact.len() {
                let share: f64 = exact[k..].iter().sum();
                let sampled = f64::from(seen[k..].iter().sum::<u32>()) / f64::from(draws);
                let sigma = (share * (1.0 - share) / f64::from(draws)).sqrt();
                assert!((share - sampled).abs() < 3.0 * sigma.max(1e-9), "k={k}: {share} against {sampled}");
            }
        }
    }
}
