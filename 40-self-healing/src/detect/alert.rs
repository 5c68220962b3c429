//! One alert: pending until it has lasted, firing, clearing until it has stayed away.

use std::time::Duration;
use writ_core::Timestamp;

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The symptom does not hold.
    Quiet,
    /// It holds, and not yet for long enough.
    Pending,
    /// It holds.
    Firing,
    /// It held and does not now; it may come back.
    Clearing {
        /// Since when it does not.
        since: Timestamp,
    },
}

/// How long a symptom must hold to fire and stay away to be quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long it must hold.
    pub raise: Duration,
    /// How long it must stay away.
    pub clear: Duration,
}

/// What one check showed. Nothing seen is neither of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    Holds { seen: String },
    Away,
    NoData,
}

/// One alert's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Where it stands.
    pub phase: Phase,
    /// Since when the symptom holds or held last; the beginning of the data that first showed it.
    pub onset_at: Timestamp,
    /// The end of the newest data that told anything, either way.
    pub checked_at: Option<Timestamp>,
    /// The beginning of that data.
    pub checked_from: Option<Timestamp>,
    /// Whether that data showed the symptom.
    pub holds: bool,
    /// Since when data has shown it away without a break.
    pub away_since: Option<Timestamp>,
    /// Whether newer data than that told nothing.
    pub no_data: bool,
    /// Whether it keeps changing its mind; a flapping alert does not become quiet.
    pub flapping: bool,
    /// What showed it last, with the values.
    pub seen: String,
    history: u32,
    remembered: u32,
}

/// How many checks the flap detection looks back.
const REMEMBERED: u32 = 21;

impl Alert {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Quiet,
            onset_at: Timestamp::from_micros(0),
            checked_at: None,
            checked_from: None,
            holds: false,
            away_since: None,
            no_data: true,
            flapping: false,
            seen: String::new(),
            history: 0,
            remembered: 0,
        }
    }

    /// Whether it fires and its newest data showed the symptom.
    #[must_use]
    pub fn fires(&self) -> bool {
        self.phase == Phase::Firing && self.holds
    }

    /// Whether data not older than `since` showed that the symptom is away, and it has stayed away for long enough.
    #[must_use]
    pub fn is_quiet_since(&self, since: Timestamp) -> bool {
        self.phase == Phase::Quiet && !self.holds && self.checked_at.is_some_and(|at| at >= since)
    }

    /// Takes in one check of the data between `from` and `at`.
    pub(crate) fn check(&mut self, check: Check, from: Timestamp, at: Timestamp, timing: Timing) {
        let holds = match check {
            // No data never resolves: what cannot be seen may still burn.
            Check::NoData => {
                self.no_data = true;
                return;
            }
            Check::Holds { seen } => {
                self.seen = seen;
                true
            }
            Check::Away => false,
        };
        if holds && !self.holds {
            self.onset_at = from;
        }
        (self.no_data, self.checked_from, self.checked_at, self.holds) = (false, Some(from), Some(at), holds);
        self.away_since = if holds { None } else { self.away_since.or(Some(at)) };
        self.remember(holds);
        self.phase = match (self.phase, holds) {
            (Phase::Quiet | Phase::Pending, true) => self.raised(at, timing),
            (Phase::Firing | Phase::Clearing { .. }, true) => Phase::Firing,
            (Phase::Quiet | Phase::Pending, false) => Phase::Quiet,
            (Phase::Firing, false) => self.cleared(at, at, timing),
            (Phase::Clearing { since }, false) => self.cleared(since, at, timing),
        };
    }

    fn raised(&self, at: Timestamp, timing: Timing) -> Phase {
        if at.since(self.onset_at) >= timing.raise { Phase::Firing } else { Phase::Pending }
    }

    fn cleared(&self, since: Timestamp, at: Timestamp, timing: Timing) -> Phase {
        if at.since(since) >= timing.clear && !self.flapping { Phase::Quiet } else { Phase::Clearing { since } }
    }

    /// Nagios' rule: of the last twenty changes of mind that were possible, newer ones weighing up to half as much again as
    /// older ones, a fifth makes it flapping and a twentieth or less steady again.
    fn remember(&mut self, holds: bool) {
        self.history = ((self.history << 1) | u32::from(holds)) & ((1 << REMEMBERED) - 1);
        self.remembered = (self.remembered + 1).min(REMEMBERED);
        let changes = (self.history ^ (self.history >> 1)) & ((1 << (self.remembered - 1)) - 1);
        // The newest change weighs 120, the one twenty back 80.
        let weight: u32 = (0..REMEMBERED - 1).filter(|age| changes >> age & 1 == 1).map(|age| 120 - 2 * age).sum();
        let percent = weight / (REMEMBERED - 1);
        self.flapping = if self.flapping { percent > 5 } else { percent >= 20 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { raise: Duration::from_secs(3), clear: Duration::from_secs(2) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    /// One check a second: `+` holds, `-` away, `.` no data. Tells the phases: quiet, pending, firing, clearing.
    fn phases(script: &str, timing: Timing) -> String {
        let mut alert = Alert::new();
        let step = |(second, sign): (usize, char)| {
            let check = match sign {
                '+' => Check::Holds { seen: "it".to_owned() },
                '-' => Check::Away,
                _ => Check::NoData,
            };
            let end = second as i64 + 10;
            alert.check(check, at(end - 1), at(end), timing);
            match alert.phase {
                Phase::Quiet => 'q',
                Phase::Pending => 'p',
                Phase::Firing => 'f',
                Phase::Clearing { .. } => 'c',
            }
        };
        script.chars().enumerate().map(step).collect()
    }

    #[test]
    fn an_alert_fires_when_it_has_lasted_and_is_quiet_when_it_has_stayed_away() {
        assert_eq!(phases("-+++++---", TIMING), "qppfffccq");
        assert_eq!(phases("++-++-++-", TIMING), "ppqppqppq");
        assert_eq!(phases("+++-+---", TIMING), "ppfcfccq");
    }

    #[test]
    fn no_data_neither_raises_nor_resolves() {
        assert_eq!(phases("+++.......", TIMING), "ppffffffff");
        assert_eq!(phases("+.......", TIMING), "pppppppp");
        assert_eq!(phases("..", TIMING), "qq");
    }

    #[test]
    fn without_waiting_times_it_follows_the_symptom() {
        let at_once = Timing { raise: Duration::ZERO, clear: Duration::ZERO };
        assert_eq!(phases("+-+-", at_once), "fqfq");
    }

    #[test]
    fn one_that_keeps_changing_its_mind_stays_until_it_is_steady() {
        let at_once = Timing { raise: Duration::ZERO, clear: Duration::ZERO };
        let told = phases("+-+-+-+-+-------------------------", at_once);
        assert!(told.starts_with("fqfqf"), "{told}");
        assert!(told.contains('c'), "{told}");
        assert!(told.ends_with('q'), "{told}");
    }
}
