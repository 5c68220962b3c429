//! What may be tried, how often and how much at once. Every proposal is counted by the event that records it, before anybody
//! is asked to act, so that a restart or a lost answer cannot spend an attempt twice.

use crate::remedy::RemedyAction;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use writ_core::Timestamp;

/// At most so many recoveries of the component within any period of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The most recoveries in one period.
    pub count: u32,
    /// The period, at most an hour.
    pub period: Duration,
}

/// The budgets of one component, beside `max_attempts` per incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budgets {
    /// All of them must have room.
    pub allowances: Vec<Allowance>,
    /// Never more than this share of the instances is touched at once; one always may be.
    pub at_once_percent: u32,
    /// How long the same action waits before it is tried again on the same instance, or on the same component if it is not
    /// about one instance; at most an hour.
    pub cool_downs: BTreeMap<RemedyAction, Duration>,
    /// A recovery that would have to wait longer than this for room in an allowance is a person's business instead.
    pub patience: Duration,
}

/// The longest period that is remembered.
pub(crate) const LONGEST: Duration = Duration::from_secs(3_600);

impl Default for Budgets {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            allowances: vec![
                Allowance { count: 10, period: seconds(60) },
                Allowance { count: 120, period: seconds(3_600) },
            ],
            at_once_percent: 50,
            cool_downs: BTreeMap::from([
                (RemedyAction::RestartInstance, seconds(1)),
                (RemedyAction::RestartService, seconds(60)),
                (RemedyAction::ScaleOut, seconds(60)),
                (RemedyAction::ScaleIn, seconds(300)),
                (RemedyAction::RestoreBalancer, seconds(1)),
            ]),
            patience: seconds(60),
        }
    }
}

/// What was spent, as the events tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent(Vec<Spend>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Spend {
    at: Timestamp,
    action: RemedyAction,
    /// Empty when it is not about one instance.
    instance: String,
    /// Whether it was for an incident: only those count against allowances.
    recovery: bool,
}

impl Spent {
    pub(crate) fn note(&mut self, at: Timestamp, action: RemedyAction, instance: Option<&str>, recovery: bool) {
        self.0.retain(|one| at.since(one.at) <= LONGEST);
        self.0.push(Spend { at, action, instance: instance.unwrap_or_default().to_owned(), recovery });
    }

    /// Takes back what was counted last for an action that was never tried.
    pub(crate) fn give_back(&mut self, action: RemedyAction, instance: Option<&str>) {
        let instance = instance.unwrap_or_default();
        let last = self.0.iter().rposition(|one| one.action == action && one.instance == instance);
        last.map(|place| self.0.remove(place));
    }

    /// Recoveries spent within a span.
    pub(crate) fn recoveries(&self, span: Duration, now: Timestamp) -> u64 {
        self.0.iter().filter(|one| one.recovery && now.since(one.at) <= span).count() as u64
    }

    /// When recoveries were spent.
    pub(crate) fn times(&self) -> impl Iterator<Item = Timestamp> {
        self.0.iter().filter(|one| one.recovery).map(|one| one.at)
    }

    fn last(&self, action: RemedyAction, instance: Option<&str>) -> Option<Timestamp> {
        let instance = instance.unwrap_or_default();
        let same = self.0.iter().filter(|one| one.action == action && one.instance == instance);
        same.map(|one| one.at).max()
    }
}

impl Budgets {
    /// When the action's cool-down ends, if it has not.
    pub(crate) fn cooling(
        &self,
        spent: &Spent,
        action: RemedyAction,
        instance: Option<&str>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let span = self.cool_downs.get(&action).copied().unwrap_or_default().min(LONGEST);
        let until = spent.last(action, instance)?.plus(span);
        (until > now).then_some(until)
    }

    /// When an instance may be taken away after the last one was added, if not yet.
    pub(crate) fn calm_after_growth(&self, spent: &Spent, now: Timestamp) -> Option<Timestamp> {
        let span = self.cool_downs.get(&RemedyAction::ScaleIn).copied().unwrap_or_default().min(LONGEST);
        let until = spent.last(RemedyAction::ScaleOut, None)?.plus(span);
        (until > now).then_some(until)
    }

    /// When there is room for one more recovery, if there is none now.
    pub(crate) fn crowded(&self, spent: &Spent, now: Timestamp) -> Option<Timestamp> {
        self.allowances.iter().filter_map(|allowance| allowance.frees_at(spent, now)).max()
    }

    /// How many instances may be touched at once.
    pub(crate) fn at_once(&self, total: u64) -> u64 {
        (total.saturating_mul(u64::from(self.at_once_percent.min(100))) / 100).max(1)
    }
}

impl Allowance {
    fn frees_at(&self, spent: &Spent, now: Timestamp) -> Option<Timestamp> {
        let period = self.period.min(LONGEST);
        let mut within: Vec<Timestamp> =
            spent.0.iter().filter(|one| one.recovery && one.at.plus(period) > now).map(|one| one.at).collect();
        within.sort_unstable();
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let over = within.len().checked_sub(count)?;
        // With no allowance at all there is never room; the far end of the period stands for that.
        Some(within.get(over).map_or(now.plus(LONGEST), |oldest| oldest.plus(period)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn an_allowance_frees_when_its_oldest_use_leaves_the_period() {
        let budgets =
            Budgets { allowances: vec![Allowance { count: 2, period: Duration::from_secs(60) }], ..Budgets::default() };
        let mut spent = Spent::default();
        spent.note(at(0), RemedyAction::RestartInstance, Some("i-1"), true);
        assert_eq!(budgets.crowded(&spent, at(1)), None);
        spent.note(at(10), RemedyAction::RestartInstance, Some("i-2"), true);
        assert_eq!(budgets.crowded(&spent, at(11)), Some(at(60)));
        assert_eq!(budgets.crowded(&spent, at(60)), None);
    }

    #[test]
    fn an_allowance_of_nothing_never_has_room() {
        let allowances = vec![Allowance { count: 0, period: Duration::from_secs(60) }];
        let budgets = Budgets { allowances, ..Budgets::default() };
        assert_eq!(budgets.crowded(&Spent::default(), at(5)), Some(at(3_605)));
    }

    #[test]
    fn the_autoscaler_does_not_use_up_recoveries() {
        let allowances = vec![Allowance { count: 1, period: Duration::from_secs(60) }];
        let budgets = Budgets { allowances, ..Budgets::default() };
        let mut spent = Spent::default();
        spent.note(at(0), RemedyAction::ScaleOut, None, false);
        assert_eq!(budgets.crowded(&spent, at(1)), None);
        assert_eq!(budgets.cooling(&spent, RemedyAction::ScaleOut, None, at(1)), Some(at(60)));
    }

    #[test]
    fn a_cool_down_is_of_one_instance() {
        let budgets = Budgets::default();
        let mut spent = Spent::default();
        spent.note(at(0), RemedyAction::RestartInstance, Some("i-1"), true);
        let half = Timestamp::from_micros(500_000);
        assert_eq!(budgets.cooling(&spent, RemedyAction::RestartInstance, Some("i-1"), half), Some(at(1)));
        assert_eq!(budgets.cooling(&spent, RemedyAction::RestartInstance, Some("i-2"), half), None);
    }

    #[test]
    fn one_instance_may_always_be_touched_and_never_more_than_the_share() {
        let budgets = Budgets { at_once_percent: 34, ..Budgets::default() };
        let told: Vec<u64> = [0, 1, 3, 6, 100].into_iter().map(|total| budgets.at_once(total)).collect();
        assert_eq!(told, [1, 1, 1, 2, 34]);
    }
}
