//! What a layout costs, in whole millionths of the currency's unit.

/// What an hour of the parts of a layout costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// One instance for an hour.
    pub instance_hour: u64,
    /// One balancer for an hour; there is one in each region.
    pub balancer_hour: u64,
    /// Hours that make a month.
    pub month_hours: u64,
}

impl Prices {
    /// What a month of so many instances behind a balancer in each of so many regions costs.
    #[must_use]
    pub fn month(&self, instances: u32, regions: u32) -> u64 {
        let hour = u64::from(instances)
            .saturating_mul(self.instance_hour)
            .saturating_add(u64::from(regions).saturating_mul(self.balancer_hour));
        hour.saturating_mul(self.month_hours)
    }

    /// The most instances whose month stays within `limit`; none when not even the balancers do.
    #[must_use]
    pub fn most_within(&self, limit: u64, regions: u32) -> Option<u32> {
        let left = limit.checked_sub(self.month(0, regions))?;
        let each = self.instance_hour.saturating_mul(self.month_hours);
        Some(left.checked_div(each).map_or(u32::MAX, |most| u32::try_from(most).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T3_MEDIUM: Prices = Prices { instance_hour: 41_600, balancer_hour: 22_500, month_hours: 730 };

    #[test]
    fn a_month_is_instances_and_balancers() {
        assert_eq!(T3_MEDIUM.month(3, 1), 107_529_000);
    }

    #[test]
    fn the_most_within_a_budget_is_the_last_that_fits() {
        for limit in (0..1_000_000_000).step_by(7_777_777) {
            match T3_MEDIUM.most_within(limit, 2) {
                Some(most) => {
                    assert!(T3_MEDIUM.month(most, 2) <= limit);
                    assert!(T3_MEDIUM.month(most + 1, 2) > limit);
                }
                None => assert!(T3_MEDIUM.month(0, 2) > limit),
            }
        }
    }
}
