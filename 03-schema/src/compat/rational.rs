//! Exact numbers, so that `0.1 + 0.2` never decides a verdict.

use serde_json::Number;
use std::cmp::Ordering;

/// A fraction in lowest terms. Bounds keep every product below 2^127; what would leave them is `None`, never rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rational {
    // Invariant: `den` is positive, at most `DEN_MAX`, and shares no factor with `num`; `num` is within ±`NUM_MAX`.
    num: i128,
    den: i128,
}

const NUM_MAX: i128 = 1 << 64;
const DEN_MAX: i128 = 1 << 62;

impl Rational {
    pub(crate) const ZERO: Rational = Rational { num: 0, den: 1 };
    pub(crate) const ONE: Rational = Rational { num: 1, den: 1 };

    fn new(num: i128, den: i128) -> Option<Self> {
        if den == 0 {
            return None;
        }
        let shared = gcd(num.unsigned_abs(), den.unsigned_abs());
        let shared = i128::try_from(shared).ok()?;
        let (num, den) = (num / shared * den.signum(), (den / shared).abs());
        (num.abs() <= NUM_MAX && den <= DEN_MAX).then_some(Self { num, den })
    }

    /// The value of a JSON number's shortest decimal form.
    pub(crate) fn of_number(number: &Number) -> Option<Self> {
        if let Some(whole) = number.as_i64() {
            return Self::new(i128::from(whole), 1);
        }
        if let Some(whole) = number.as_u64() {
            return Self::new(i128::from(whole), 1);
        }
        Self::of_decimal(&number.to_string())
    }

    fn of_decimal(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        if digits == 0 {
            return Some(Self::ZERO);
        }
        let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
        if exponent >= 0 { Self::new(digits.checked_mul(power)?, 1) } else { Self::new(digits, power) }
    }

    /// The JSON number that says exactly this, where a 64-bit integer or a double can.
    pub(crate) fn to_number(self) -> Option<Number> {
        if self.den == 1 {
            if let Ok(whole) = i64::try_from(self.num) {
                return Some(Number::from(whole));
            }
            return u64::try_from(self.num).ok().map(Number::from);
        }
        let mut scaled = self;
        let mut places = 0_usize;
        while scaled.den != 1 {
            scaled = scaled.times(Self { num: 10, den: 1 })?;
            places += 1;
            if places > 18 {
                return None;
            }
        }
        let digits = format!("{:0>width$}", scaled.num.unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let sign = if self.num < 0 { "-" } else { "" };
        let double: f64 = format!("{sign}{whole}.{fraction}").parse().ok()?;
        let number = Number::from_f64(double)?;
        (Self::of_number(&number) == Some(self)).then_some(number)
    }

    pub(crate) fn whole(value: i64) -> Self {
        Self { num: i128::from(value), den: 1 }
    }

    pub(crate) fn is_whole(self) -> bool {
        self.den == 1
    }

    pub(crate) fn is_positive(self) -> bool {
        self.num > 0
    }

    /// The count it says, where it is a whole number that is not negative.
    pub(crate) fn to_count(self) -> Option<u64> {
        if self.den == 1 { u64::try_from(self.num).ok() } else { None }
    }

    pub(crate) fn order(self, other: Self) -> Ordering {
        (self.num * other.den).cmp(&(other.num * self.den))
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        let left = self.num.checked_mul(other.den)?;
        let right = other.num.checked_mul(self.den)?;
        Self::new(left.checked_add(right)?, self.den.checked_mul(other.den)?)
    }

    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self { num: -other.num, den: other.den })
    }

    pub(crate) fn times(self, other: Self) -> Option<Self> {
        Self::new(self.num.checked_mul(other.num)?, self.den.checked_mul(other.den)?)
    }

    pub(crate) fn over(self, other: Self) -> Option<Self> {
        Self::new(self.num.checked_mul(other.den)?, self.den.checked_mul(other.num)?)
    }

    /// Whether it is a whole multiple of `step`; `None` where that cannot be computed exactly.
    pub(crate) fn is_multiple_of(self, step: Self) -> Option<bool> {
        // self/step is whole iff num·step.den is divisible by den·step.num; both products fit by the invariant.
        let (top, bottom) = (self.num.checked_mul(step.den)?, self.den.checked_mul(step.num)?);
        if bottom == 0 { None } else { Some(top % bottom == 0) }
    }

    /// The smallest positive number that is a multiple of both.
    pub(crate) fn common_multiple(self, other: Self) -> Option<Self> {
        let (left, right) = (self.num.checked_mul(other.den)?, other.num.checked_mul(self.den)?);
        let shared = i128::try_from(gcd(left.unsigned_abs(), right.unsigned_abs())).ok()?;
        if shared == 0 {
            return None;
        }
        Self::new((left / shared).checked_mul(right)?, self.den.checked_mul(other.den)?)
    }

    /// The greatest whole number not above it.
    pub(crate) fn floor(self) -> i128 {
        self.num.div_euclid(self.den)
    }

    /// The least whole number not below it.
    pub(crate) fn ceil(self) -> i128 {
        -(-self.num).div_euclid(self.den)
    }

    /// So many times this.
    pub(crate) fn scaled(self, count: i128) -> Option<Self> {
        Self::new(self.num.checked_mul(count)?, self.den)
    }
}

fn gcd(mut left: u128, mut right: u128) -> u128 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Rational {
        Rational::of_decimal(text).unwrap()
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(of("0.1").plus(of("0.2")), Some(of("0.3")));
        assert_eq!(of("1.5e2"), Rational::whole(150));
        assert_eq!(of("0.3").is_multiple_of(of("0.1")), Some(true));
        assert_eq!(of("0.35").is_multiple_of(of("0.1")), Some(false));
        assert_eq!(of("-7").floor(), -7);
        assert_eq!((of("-0.5").floor(), of("-0.5").ceil(), of("2.5").ceil()), (-1, 0, 3));
    }

    #[test]
    fn what_would_need_rounding_is_refused() {
        assert_eq!(Rational::of_decimal("1e300"), None);
        assert_eq!(Rational::of_decimal("1e-40"), None);
        assert_eq!(Rational::new(1, 3).unwrap().to_number(), None);
        assert_eq!(of("-0.05").to_number().unwrap().to_string(), "-0.05");
    }

    #[test]
    fn the_common_multiple_of_fractions_is_the_least() {
        assert_eq!(of("0.5").common_multiple(of("0.3")), Some(of("1.5")));
        assert_eq!(of("6").common_multiple(of("4")), Some(of("12")));
    }
}
