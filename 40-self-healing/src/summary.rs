//! Short windows summed up into the longer ones that are journalled.

use std::time::Duration;
use writ_core::{ComponentId, Histogram, InstanceSample, Timestamp, Window};

/// Sums windows of one component until a period is full.
#[derive(Debug, Clone)]
pub struct Summary {
    period: Duration,
    open: Option<Window>,
}

impl Summary {
    /// Nothing yet, and a period to fill.
    #[must_use]
    pub fn new(period: Duration) -> Self {
        Self { period, open: None }
    }

    /// Takes in a window; tells the sum when the period is full.
    pub fn add(&mut self, window: &Window) -> Option<Window> {
        let sum = self.open.get_or_insert_with(|| empty(&window.component, window.from));
        merge(sum, window);
        if sum.to.since(sum.from) < self.period {
            return None;
        }
        self.open.take()
    }

    /// What there is of a period that will not be filled.
    pub fn rest(&mut self) -> Option<Window> {
        self.open.take()
    }
}

fn empty(component: &ComponentId, from: Timestamp) -> Window {
    let latency = Histogram::default();
    Window {
        component: component.clone(),
        errors: 0,
        from,
        instances: vec![],
        latency,
        requests: 0,
        retried: 0,
        to: from,
    }
}

fn merge(sum: &mut Window, window: &Window) {
    let (before, added) = (sum.to.since(sum.from), window.to.since(window.from));
    for sample in &window.instances {
        match sum.instances.iter_mut().find(|one| one.instance == sample.instance) {
            Some(one) => merge_sample(one, sample, before, added),
            None => sum.instances.push(sample.clone()),
        }
    }
    sum.instances.sort_by(|one, two| one.instance.cmp(&two.instance));
    sum.requests = sum.requests.saturating_add(window.requests);
    sum.errors = sum.errors.saturating_add(window.errors);
    sum.retried = sum.retried.saturating_add(window.retried);
    sum.latency.merge(&window.latency);
    sum.to = sum.to.max(window.to);
}

/// Counts add, processor use is the mean over time, memory the most, and the rest is as it was at the end.
fn merge_sample(one: &mut InstanceSample, new: &InstanceSample, before: Duration, added: Duration) {
    let weighed =
        u128::from(one.cpu_millicores) * before.as_micros() + u128::from(new.cpu_millicores) * added.as_micros();
    let mean = weighed.checked_div(before.as_micros() + added.as_micros()).unwrap_or(0);
    one.cpu_millicores = u64::try_from(mean).unwrap_or(u64::MAX);
    one.errors = one.errors.saturating_add(new.errors);
    one.requests = one.requests.saturating_add(new.requests);
    one.latency.merge(&new.latency);
    one.memory_bytes = one.memory_bytes.max(new.memory_bytes);
    (one.generation, one.health, one.in_flight) = (new.generation, new.health, new.in_flight);
    one.zone.clone_from(&new.zone);
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_core::Health;

    fn window(second: i64, cpu: u64, memory: u64) -> Window {
        let mut latency = Histogram::default();
        latency.record(500);
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        let sample = InstanceSample {
            cpu_millicores: cpu,
            errors: 1,
            generation: 1,
            health: Health::Healthy,
            in_flight: 0,
            instance: "i-1".to_owned(),
            latency: latency.clone(),
            memory_bytes: memory,
            requests: 10,
            zone: "a".to_owned(),
        };
        Window {
            component: "web".parse().unwrap(),
            errors: 1,
            from: at(second),
            instances: vec![sample],
            latency,
            requests: 10,
            retried: 2,
            to: at(second + 1),
        }
    }

    #[test]
    fn a_full_period_is_told_as_one_window() {
        let mut summary = Summary::new(Duration::from_secs(3));
        assert_eq!(summary.add(&window(0, 300, 5)), None);
        assert_eq!(summary.add(&window(1, 600, 9)), None);
        let sum = summary.add(&window(2, 600, 7)).unwrap();
        assert_eq!((sum.requests, sum.errors, sum.retried, sum.latency.count()), (30, 3, 6, 3));
        assert_eq!((sum.instances[0].cpu_millicores, sum.instances[0].memory_bytes), (500, 9));
        assert_eq!(summary.rest(), None);
    }
}
