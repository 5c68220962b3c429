//! A number within bounds that is, and is not, a multiple of certain steps.

use super::rational::Rational;
use crate::model::Bound;
use serde_json::{Number, Value};
use std::cmp::Ordering;

/// How many multiples are tried before the search is given up.
const TRIED_MAX: i128 = 4_000;

/// What a search for a number came to.
pub(super) enum Found {
    Number(Number),
    None,
    Unknown,
}

pub(super) struct Wanted<'w> {
    pub(super) excluded: &'w [Rational],
    pub(super) high: Option<Bound>,
    pub(super) low: Option<Bound>,
    pub(super) multiples: &'w [(Rational, bool)],
}

/// How a candidate fares.
enum Trial {
    Fits(Number),
    Fails,
    /// It cannot be computed or written exactly.
    Inexpressible,
}

impl Wanted<'_> {
    pub(super) fn search(&self) -> Found {
        let mut step: Option<Rational> = None;
        for (multiple, _) in self.multiples.iter().filter(|(_, holds)| *holds) {
            let both = step.map_or(Some(*multiple), |known| known.common_multiple(*multiple));
            let Some(both) = both else { return Found::Unknown };
            step = Some(both);
        }
        match step {
            Some(step) => self.on_lattice(step),
            None => self.on_line(),
        }
    }

    fn within(&self, value: Rational) -> bool {
        let above = self.low.is_none_or(|low| match value.order(low.at) {
            Ordering::Greater => true,
            Ordering::Equal => !low.open,
            Ordering::Less => false,
        });
        above
            && self.high.is_none_or(|high| match value.order(high.at) {
                Ordering::Less => true,
                Ordering::Equal => !high.open,
                Ordering::Greater => false,
            })
    }

    fn trial(&self, value: Rational) -> Trial {
        if !self.within(value) || self.excluded.contains(&value) {
            return Trial::Fails;
        }
        for (step, holds) in self.multiples {
            match value.is_multiple_of(*step) {
                None => return Trial::Inexpressible,
                Some(is) if is != *holds => return Trial::Fails,
                Some(_) => {}
            }
        }
        value.to_number().map_or(Trial::Inexpressible, Trial::Fits)
    }

    /// Only multiples of `step` come into question: they are tried from the bound nearest to zero outward.
    fn on_lattice(&self, step: Rational) -> Found {
        // Every multiple of `step` is a multiple of what divides it.
        let swallowed = |(other, holds): &(Rational, bool)| !holds && step.is_multiple_of(*other) == Some(true);
        if self.multiples.iter().any(swallowed) {
            return Found::None;
        }
        let bound = |bound: Option<Bound>| match bound {
            None => Some(None),
            Some(bound) => bound.at.over(step).map(Some),
        };
        let (Some(low), Some(high)) = (bound(self.low), bound(self.high)) else { return Found::Unknown };
        let (first, last) = (low.map(Rational::ceil), high.map(Rational::floor));
        let (start, direction) = match (first, last) {
            (Some(first), Some(last)) if first > last => return Found::None,
            (Some(first), _) if first >= 0 => (first, 1),
            (_, Some(last)) if last <= 0 => (last, -1),
            (Some(_) | None, Some(_) | None) => (0, 0),
        };
        let mut sure = true;
        for at in 0..TRIED_MAX {
            // From inside the range the search goes outward on both sides: 0, 1, -1, 2, -2, …
            let offset = match direction {
                0 if at % 2 == 1 => (at + 1) / 2,
                0 => -(at / 2),
                _ => at * direction,
            };
            let count = start + offset;
            if first.is_some_and(|first| count < first) || last.is_some_and(|last| count > last) {
                let spent = match (direction, first, last) {
                    (0, Some(first), Some(last)) => offset.abs() > (last - start).max(start - first),
                    (0, _, _) => false,
                    (_, _, _) => true,
                };
                if spent {
                    return if sure { Found::None } else { Found::Unknown };
                }
                continue;
            }
            match step.scaled(count).map(|value| self.trial(value)) {
                Some(Trial::Fits(number)) => return Found::Number(number),
                Some(Trial::Fails) => {}
                Some(Trial::Inexpressible) | None => sure = false,
            }
        }
        Found::Unknown
    }

    /// Every number between the bounds comes into question: infinitely many unless they meet.
    fn on_line(&self) -> Found {
        if let (Some(low), Some(high)) = (self.low, self.high) {
            match low.at.order(high.at) {
                Ordering::Greater => return Found::None,
                Ordering::Equal if low.open || high.open => return Found::None,
                Ordering::Equal => {
                    return match self.trial(low.at) {
                        Trial::Fits(number) => Found::Number(number),
                        Trial::Fails => Found::None,
                        Trial::Inexpressible => Found::Unknown,
                    };
                }
                Ordering::Less => {}
            }
        }
        for candidate in self.candidates() {
            if let Trial::Fits(number) = self.trial(candidate) {
                return Found::Number(number);
            }
        }
        Found::Unknown
    }

    fn candidates(&self) -> Vec<Rational> {
        let mut found = vec![Rational::ZERO];
        let low = self.low.map(|low| low.at);
        let high = self.high.map(|high| high.at);
        found.extend(low.into_iter().chain(high));
        let tenths = Rational::ONE.over(Rational::whole(10));
        let hundredths = Rational::ONE.over(Rational::whole(100));
        for step in [Some(Rational::ONE), tenths, hundredths].into_iter().flatten() {
            for count in 1..200 {
                let Some(offset) = step.scaled(count) else { break };
                found.extend(low.and_then(|low| low.plus(offset)));
                found.extend(high.and_then(|high| high.minus(offset)));
                if low.is_none() && high.is_none() {
                    found.push(offset);
                }
            }
        }
        if let (Some(low), Some(high)) = (low, high) {
            let Some(width) = high.minus(low) else { return found };
            for parts in [2, 4, 5, 8, 10, 20, 64, 100, 1000, 1 << 20] {
                let Some(part) = width.over(Rational::whole(parts)) else { break };
                for count in 1..i128::from(parts).min(40) {
                    found.extend(part.scaled(count).and_then(|offset| low.plus(offset)));
                }
            }
        }
        found
    }
}

/// The exact values among these that are numbers; `None` where one cannot be held exactly.
pub(super) fn exact_numbers<'v>(values: impl Iterator<Item = &'v Value>) -> Option<Vec<Rational>> {
    values
        .filter_map(|value| match value {
            Value::Number(number) => Some(Rational::of_number(number)),
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        })
        .collect()
}
