//! How long requests take: the M/M/c queue with the Allen-Cunneen correction for work that is more or less even than that.

/// One queue before equal servers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Queue {
    /// Requests a second.
    pub arrival: f64,
    /// Mean time one server works on a request, in seconds; above zero.
    pub service: f64,
    /// How many servers; at least one.
    pub servers: u32,
    /// Coefficient of variation of the service time; 1 is the exponential distribution.
    pub variation: f64,
}

impl Queue {
    /// Servers that are busy on average, were there enough: the offered load in erlangs.
    #[must_use]
    pub fn load(&self) -> f64 {
        self.arrival * self.service
    }

    /// Whether the queue stays finite.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        self.load() < f64::from(self.servers)
    }

    /// The share of requests that must wait (Erlang's C formula), by way of the numerically tame recursion for B.
    #[must_use]
    pub fn waiting_share(&self) -> f64 {
        let load = self.load();
        if !self.is_stable() {
            return 1.0;
        }
        let blocked = (1..=self.servers).fold(1.0, |b, k| load * b / (f64::from(k) + load * b));
        let busy = load / f64::from(self.servers);
        blocked / (1.0 - busy * (1.0 - blocked))
    }

    /// The share of requests that take longer than `t` seconds, waiting and service together.
    #[must_use]
    pub fn tail(&self, t: f64) -> f64 {
        self.tail_given(self.waiting_share(), t)
    }

    fn tail_given(&self, waiting: f64, t: f64) -> f64 {
        if !self.is_stable() {
            return 1.0;
        }
        // A wait, where there is one, is exponential with rate `drain`; the correction stretches it by (Ca² + Cs²) / 2.
        let mu = 1.0 / self.service;
        let stretch = (1.0 + self.variation * self.variation) / 2.0;
        let drain = (f64::from(self.servers) * mu - self.arrival) / stretch;
        let gap = mu - drain;
        let both = if (gap * t).abs() < 1.0 {
            // Written so that `gap` may be tiny or zero, where the plain form divides nothing by nothing.
            let grown = if gap == 0.0 { t } else { (gap * t).exp_m1() / gap };
            (-mu * t).exp() * grown
        } else {
            ((-drain * t).exp() - (-mu * t).exp()) / gap
        };
        ((-mu * t).exp() + waiting * mu * both).clamp(0.0, 1.0)
    }

    /// The time in seconds that a share `p` of requests does not exceed; none when the queue grows without end.
    #[must_use]
    pub fn quantile(&self, p: f64) -> Option<f64> {
        if !self.is_stable() || !(0.0..1.0).contains(&p) {
            return None;
        }
        let (waiting, missed) = (self.waiting_share(), 1.0 - p);
        let mut high = self.service;
        while self.tail_given(waiting, high) > missed {
            high *= 2.0;
            if !high.is_finite() {
                return None;
            }
        }
        let mut low = 0.0;
        // Fifty halvings leave less than a billionth of the value.
        for _ in 0..50 {
            let middle = f64::midpoint(low, high);
            if self.tail_given(waiting, middle) > missed {
                low = middle;
            } else {
                high = middle;
            }
        }
        Some(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small deterministic source of chance for simulations.
    struct Chance(u64);
    impl Chance {
        fn unit(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }
        fn exponential(&mut self, mean: f64) -> f64 {
            -mean * (1.0 - self.unit()).ln()
        }
    }

    /// First come, first served, customer by customer: each takes the server that is free first.
    fn simulated_p95(queue: &Queue, customers: usize, seed: u64) -> f64 {
        let mut chance = Chance(seed);
        let mut free_at = vec![0.0_f64; queue.servers as usize];
        let (mut now, mut sojourns) = (0.0, Vec::with_capacity(customers));
        for customer in 0..customers {
            now += chance.exponential(1.0 / queue.arrival);
            let first = (0..free_at.len()).min_by(|a, b| free_at[*a].total_cmp(&free_at[*b])).unwrap();
            let done = free_at[first].max(now) + chance.exponential(queue.service);
            free_at[first] = done;
            if customer > customers / 10 {
                sojourns.push(done - now);
            }
        }
        sojourns.sort_by(f64::total_cmp);
        sojourns[sojourns.len() * 95 / 100]
    }

    #[test]
    fn the_quantile_is_within_five_percent_of_a_discrete_event_simulation() {
        for (servers, busy) in [(1, 0.5), (1, 0.85), (2, 0.7), (4, 0.9), (6, 0.5), (10, 0.85), (24, 0.9)] {
            let queue = Queue { arrival: busy * f64::from(servers) / 0.003, service: 0.003, servers, variation: 1.0 };
            let (model, seen) = (queue.quantile(0.95).unwrap(), simulated_p95(&queue, 400_000, 7));
            assert!((model - seen).abs() / seen < 0.05, "{servers} servers {busy} busy: {model} against {seen}");
        }
    }

    #[test]
    fn one_server_agrees_with_the_closed_form() {
        let queue = Queue { arrival: 250.0, service: 0.003, servers: 1, variation: 1.0 };
        let exact = -(0.05_f64.ln()) / (1.0 / 0.003 - 250.0);
        assert!((queue.quantile(0.95).unwrap() - exact).abs() < 1e-9);
    }

    #[test]
    fn the_tail_is_smooth_where_waiting_drains_as_fast_as_service() {
        // Two servers at load 1: the drain rate equals the service rate and the textbook form is 0 / 0.
        let at = |arrival| Queue { arrival, service: 1.0, servers: 2, variation: 1.0 }.tail(3.0);
        assert!((at(1.0) - at(1.0 + 1e-9)).abs() < 1e-8);
        assert!((at(1.0) - at(1.0 - 1e-6)).abs() < 1e-5);
    }

    #[test]
    fn an_overloaded_queue_has_no_quantile() {
        assert_eq!(Queue { arrival: 1_000.0, service: 0.003, servers: 3, variation: 1.0 }.quantile(0.95), None);
    }

    #[test]
    fn uneven_work_waits_longer_and_an_idle_queue_not_at_all() {
        let even = Queue { arrival: 900.0, service: 0.002, servers: 2, variation: 1.0 };
        let uneven = Queue { variation: 2.0, ..even };
        assert!(uneven.quantile(0.95) > even.quantile(0.95));
        let idle = Queue { arrival: 0.0, ..even };
        assert!((idle.quantile(0.95).unwrap() - 0.002 * 20.0_f64.ln()).abs() < 1e-9);
    }
}
