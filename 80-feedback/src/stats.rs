//! The few statistics that are needed. Floats live here and leave as whole numbers.

/// The normal quantile of a two-sided 95 % interval.
pub(crate) const Z95: f64 = 1.959_963_984_540_054;

/// Wilson's 95 % interval of a rate, in parts per million: low and high. Nothing of no trials.
#[must_use]
pub fn wilson(successes: u64, trials: u64) -> Option<(u64, u64)> {
    if trials == 0 {
        return None;
    }
    let (n, p) = (trials as f64, successes.min(trials) as f64 / trials as f64);
    let z2 = Z95 * Z95;
    let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let low = if successes == 0 { 0.0 } else { middle - half };
    let high = if successes >= trials { 1.0 } else { middle + half };
    Some((ppm(low), ppm(high)))
}

/// A share of one as parts per million, held within 0 and 1.
pub(crate) fn ppm(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 1e6).round() as u64
}

/// Σpart/Σwhole of pairs that were drawn one after the other. What is kept of them does not grow with their number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Draws {
    count: u64,
    part: u64,
    whole: u64,
    lack: u64,
    /// Σ of the squares of what lacked, of its products with the wholes, and of the wholes' squares.
    squares: [u128; 3],
}

impl Draws {
    /// Takes a pair in.
    pub(crate) fn take(&mut self, part: u64, whole: u64) {
        // Of what lacks, and not of the part: where nearly all is good, the sums are small and lose nothing by rounding.
        let lack = whole.saturating_sub(part);
        self.count += 1;
        for (sum, value) in [(&mut self.part, part), (&mut self.whole, whole), (&mut self.lack, lack)] {
            *sum = sum.saturating_add(value);
        }
        for (sum, (one, two)) in self.squares.iter_mut().zip([(lack, lack), (lack, whole), (whole, whole)]) {
            *sum = sum.saturating_add(u128::from(one) * u128::from(two));
        }
    }

    /// Σpart.
    pub(crate) fn part(&self) -> u64 {
        self.part
    }

    /// Σwhole.
    pub(crate) fn whole(&self) -> u64 {
        self.whole
    }

    /// The half width, in parts per million, of a 95 % interval of Σpart/Σwhole when each pair is one draw: requests within a
    /// window share their fate, so that counting them singly would promise far too much. Nothing of fewer than two pairs.
    pub(crate) fn reach_ppm(&self) -> Option<u64> {
        if self.count < 2 || self.whole == 0 {
            return None;
        }
        let (n, whole) = (self.count as f64, self.whole as f64);
        let rate = self.lack as f64 / whole;
        let [lacks, both, wholes] = self.squares.map(|sum| sum as f64);
        let squares = (lacks - 2.0 * rate * both + rate * rate * wholes).max(0.0);
        Some(ppm(Z95 * (squares * n / (n - 1.0)).sqrt() / whole))
    }
}

/// The mean time between failures, in seconds, after `failures` in `exposure_s` seconds of watching, when `assumed_s` was
/// believed beforehand as strongly as one failure seen: the low end of a 90 % interval, the mean, the high end. The failure
/// rate has a Gamma posterior; its quantiles are Wilson and Hilferty's, by the chi-square of twice its shape.
#[must_use]
pub fn mtbf_interval(failures: u64, exposure_s: u64, assumed_s: u64) -> (u64, u64, u64) {
    const Z90: f64 = 1.644_853_626_951_472;
    let (shape, exposure) = (failures as f64 + 1.0, exposure_s as f64 + assumed_s.max(1) as f64);
    let chi_square = |z: f64| {
        let k = 2.0 * shape;
        k * (1.0 - 2.0 / (9.0 * k) + z * (2.0 / (9.0 * k)).sqrt()).max(0.01).powi(3)
    };
    let between = |rate: f64| (exposure / rate).round().max(1.0) as u64;
    (between(chi_square(Z90) / 2.0), between(shape), between(chi_square(-Z90) / 2.0))
}

/// How far one sample lies from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// Hodges and Lehmann's estimate: the median of all differences, after less before.
    pub estimate: i64,
    /// The low end of its 95 % interval.
    pub low: i64,
    /// The high end.
    pub high: i64,
    /// Mann and Whitney's two-sided probability of so much difference by chance, in parts per million.
    pub p_ppm: u64,
}

/// More values than this are first averaged in blocks; neighbours in time are alike, and pairs grow with the square.
const MOST: usize = 400;
/// Fewer values than this on either side tell nothing at 95 %.
const LEAST: usize = 4;

/// The shift from `before` to `after`, both in order of time; nothing when either is too short to tell.
#[must_use]
pub fn shift(before: &[i64], after: &[i64]) -> Option<Shift> {
    let (before, after) = (thinned(before), thinned(after));
    if before.len() < LEAST || after.len() < LEAST {
        return None;
    }
    let mut differences: Vec<i64> =
        after.iter().flat_map(|late| before.iter().map(move |early| late.saturating_sub(*early))).collect();
    differences.sort_unstable();
    let (n, m) = (before.len() as f64, after.len() as f64);
    let pairs = differences.len();
    let ties = tie_sum(&before, &after);
    let total = n + m;
    let variance = (n * m / 12.0) * ((total + 1.0) - ties / (total * (total - 1.0)));
    // The rank, from 1, of the difference at which the interval begins; then from 0.
    let reach = ((n * m / 2.0 - Z95 * variance.sqrt()).round() - 1.0).max(0.0) as usize;
    let at = |index: usize| differences.get(index.min(pairs - 1)).copied().unwrap_or(0);
    let above = differences.iter().filter(|one| **one > 0).count() as f64;
    let level = differences.iter().filter(|one| **one == 0).count() as f64;
    let u = above + level / 2.0;
    let distance = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
    let p = if variance > 0.0 { erfc(distance / variance.sqrt() / std::f64::consts::SQRT_2) } else { 1.0 };
    let (low_middle, high_middle) = (at((pairs - 1) / 2), at(pairs / 2));
    Some(Shift {
        estimate: low_middle + (high_middle - low_middle) / 2,
        low: at(reach),
        high: at((pairs - 1).saturating_sub(reach)),
        p_ppm: ppm(p),
    })
}

fn thinned(values: &[i64]) -> Vec<i64> {
    let block = values.len().div_ceil(MOST).max(1);
    let mean = |chunk: &[i64]| {
        let sum: i128 = chunk.iter().map(|value| i128::from(*value)).sum();
        i64::try_from(sum / chunk.len().max(1) as i128).unwrap_or(i64::MAX)
    };
    values.chunks(block).map(mean).collect()
}

/// Σ(t³ − t) over groups of equal values.
fn tie_sum(before: &[i64], after: &[i64]) -> f64 {
    let mut all: Vec<i64> = before.iter().chain(after).copied().collect();
    all.sort_unstable();
    all.chunk_by(|one, two| one == two).map(|group| (group.len() as f64).powi(3) - group.len() as f64).sum()
}

/// The complementary error function for arguments from 0, by Abramowitz and Stegun 7.1.26: within 1.5e-7.
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    poly * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eleven_of_twelve_may_be_anything_from_two_thirds_to_nearly_all() {
        let (low, high) = wilson(11, 12).unwrap();
        assert_eq!((low / 1_000, high / 1_000), (646, 985));
        assert_eq!(wilson(0, 0), None);
        assert_eq!(wilson(12, 12).unwrap().1, 1_000_000);
        assert_eq!(wilson(0, 12).unwrap().0, 0);
    }

    #[test]
    fn windows_that_share_their_fate_widen_the_interval() {
        let reach = |pairs: &[(u64, u64)]| {
            let mut draws = Draws::default();
            pairs.iter().for_each(|(part, whole)| draws.take(*part, *whole));
            draws.reach_ppm()
        };
        assert_eq!(reach(&[(1, 100), (1, 100), (1, 100), (1, 100)]), Some(0));
        assert_eq!(reach(&[(0, 100), (0, 100), (0, 100), (4, 100)]), Some(19_600));
        assert_eq!(reach(&[(0, 5)]), None);
        // As a sum over the pairs has it: 1.96 · √(Σ(part − 0.999·whole)²·n/(n − 1))/Σwhole.
        let mut year = vec![(1_000_000, 1_000_000); 9_000];
        year.extend(vec![(990_000, 1_000_000); 1_000]);
        assert_eq!(reach(&year), Some(59));
    }

    #[test]
    fn a_known_example_of_hodges_and_lehmann() {
        // Hollander and Wolfe, table 4.1 (permeability, times 100): R's wilcox.test gives a shift of 0.305 and an exact 95 %
        // interval of -0.15 to 0.76 with p = 0.2544; the normal approximation used here is close to it.
        let term = [80, 83, 189, 104, 145, 138, 191, 164, 73, 146];
        let early = [115, 88, 90, 74, 121];
        let shift = shift(&early, &term).unwrap();
        assert!((29..=32).contains(&shift.estimate), "{shift:?}");
        assert!((-20..=-10).contains(&shift.low) && (70..=80).contains(&shift.high), "{shift:?}");
        assert!((220_000..=290_000).contains(&shift.p_ppm), "{shift:?}");
    }

    #[test]
    fn too_little_tells_nothing_and_no_change_is_no_shift() {
        assert_eq!(shift(&[1, 2, 3], &[1, 2, 3, 4]), None);
        let same = shift(&[7; 30], &[7; 30]).unwrap();
        assert_eq!((same.estimate, same.low, same.high, same.p_ppm), (0, 0, 0, 1_000_000));
    }

    #[test]
    fn ten_thousand_windows_are_no_burden_and_a_clear_shift_is_found() {
        let before: Vec<i64> = (0..10_000).map(|n| 100 + n * 7_919 % 50).collect();
        let after: Vec<i64> = before.iter().map(|value| value - 15).collect();
        let shift = shift(&before, &after).unwrap();
        assert_eq!(shift.estimate, -15);
        assert!(shift.high < 0 && shift.p_ppm < 1_000, "{shift:?}");
    }
}
