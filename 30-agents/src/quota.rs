//! How much an agent has done lately, counted.

use crate::agent::Limits;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use writ_core::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// What one agent was given lately. Holds at most what its limits allow, and a minute's more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    live: u32,
    /// When resources that were touched too long ago were last dropped.
    pruned_at: Option<Timestamp>,
    resources: BTreeMap<String, Timestamp>,
    tickets: VecDeque<Timestamp>,
}

/// Why an agent is given no further ticket now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverQuota {
    /// It holds as many as it may.
    #[error("it holds {held} tickets, and may hold {limit}")]
    AtOnce {
        /// How many it holds.
        held: u32,
        /// How many it may hold.
        limit: u32,
    },
    /// It was given as many in the last minute as it may be.
    #[error("it was given {limit} tickets within a minute; the next may be given at {until}")]
    PerMinute {
        /// How many it may be given.
        limit: u32,
        /// When it may be given the next.
        until: Timestamp,
    },
    /// It touched as many resources in the last hour as it may.
    #[error("it touched {limit} resources within an hour; the next may be touched at {until}")]
    Resources {
        /// How many it may touch.
        limit: u32,
        /// When it may touch the next.
        until: Timestamp,
    },
}

impl Usage {
    /// Tickets it holds.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.live
    }

    /// Whether it may be given a ticket for a resource now.
    ///
    /// # Errors
    /// Which limit it has reached.
    pub fn allows(&self, limits: &Limits, resource: &str, now: Timestamp) -> Result<(), OverQuota> {
        if self.live >= limits.tickets_at_once {
            return Err(OverQuota::AtOnce { held: self.live, limit: limits.tickets_at_once });
        }
        // The last so many tickets decide: if even the oldest of them is within the minute, the limit is reached.
        let limit = limits.tickets_per_minute;
        let oldest = match limit {
            0 => Some(&now),
            _ => self.tickets.len().checked_sub(limit as usize).and_then(|at| self.tickets.get(at)),
        };
        if let Some(given) = oldest.filter(|given| now.since(**given) < MINUTE) {
            return Err(OverQuota::PerMinute { limit, until: given.plus(MINUTE) });
        }
        let touched = self.resources.values().filter(|touched| now.since(**touched) < HOUR);
        let limit = limits.resources_per_hour;
        // What is remembered is counted exactly only when there may be too much of it: every grant comes by here.
        let many = self.resources.len() >= limit as usize && !self.touched_lately(resource, now);
        if many && touched.clone().count() >= limit as usize {
            let until = touched.min().copied().unwrap_or(now).plus(HOUR);
            return Err(OverQuota::Resources { limit, until });
        }
        Ok(())
    }

    /// It was given a ticket.
    pub fn given(&mut self, resource: &str, now: Timestamp) {
        self.live += 1;
        self.tickets.push_back(now);
        while self.tickets.front().is_some_and(|given| now.since(*given) >= MINUTE) {
            self.tickets.pop_front();
        }
        if let Some(touched) = self.resources.get_mut(resource) {
            *touched = now;
            return;
        }
        if self.pruned_at.is_none_or(|at| now.since(at) >= MINUTE) {
            self.resources.retain(|_, touched| now.since(*touched) < HOUR);
            self.pruned_at = Some(now);
        }
        self.resources.insert(resource.to_owned(), now);
    }

    /// It gave a ticket back, or lost it.
    pub fn over(&mut self) {
        self.live = self.live.saturating_sub(1);
    }

    fn touched_lately(&self, resource: &str, now: Timestamp) -> bool {
        self.resources.get(resource).is_some_and(|touched| now.since(*touched) < HOUR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + second * 1_000_000)
    }

    const LIMITS: Limits = Limits { resources_per_hour: 2, tickets_at_once: 3, tickets_per_minute: 3 };

    #[test]
    fn tickets_at_once_are_given_back() {
        let mut usage = Usage::default();
        (0..3).for_each(|_| usage.given("a", at(0)));
        assert_eq!(usage.allows(&LIMITS, "a", at(100)), Err(OverQuota::AtOnce { held: 3, limit: 3 }));
        usage.over();
        assert_eq!(usage.allows(&LIMITS, "a", at(100)), Ok(()));
    }

    #[test]
    fn a_minute_after_the_oldest_ticket_the_next_may_be_given() {
        let mut usage = Usage::default();
        for second in [0, 10, 20] {
            usage.given("a", at(second));
            usage.over();
        }
        assert_eq!(usage.allows(&LIMITS, "a", at(59)), Err(OverQuota::PerMinute { limit: 3, until: at(60) }));
        assert_eq!(usage.allows(&LIMITS, "a", at(60)), Ok(()));
        let none = Limits { tickets_per_minute: 0, ..LIMITS };
        assert!(usage.allows(&none, "a", at(1_000)).is_err());
    }

    #[test]
    fn a_third_resource_waits_for_the_hour_but_a_known_one_does_not() {
        let mut usage = Usage::default();
        for resource in ["a", "b"] {
            usage.given(resource, at(0));
            usage.over();
        }
        assert_eq!(usage.allows(&LIMITS, "a", at(100)), Ok(()));
        assert_eq!(usage.allows(&LIMITS, "c", at(100)), Err(OverQuota::Resources { limit: 2, until: at(3_600) }));
        assert_eq!(usage.allows(&LIMITS, "c", at(3_600)), Ok(()));
    }
}
