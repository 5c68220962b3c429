//! How long it took to notice and to recover, from events alone.

use crate::event::HealEvent;
use crate::incident::Resolution;
use crate::verify::Verification;
use std::collections::BTreeMap;
use std::time::Duration;
use writ_core::{IncidentId, Timestamp};

/// The times of one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentTimes {
    /// The beginning of the data that first showed it.
    pub onset_at: Timestamp,
    /// When it was noticed for good.
    pub opened_at: Timestamp,
    /// When a person said to have seen it.
    pub acknowledged_at: Option<Timestamp>,
    /// When the first remedy was decided on.
    pub proposed_at: Option<Timestamp>,
    /// When a person had to take over.
    pub escalated_at: Option<Timestamp>,
    /// When it was over.
    pub over_at: Option<Timestamp>,
    /// Whether it ended by itself or by a remedy, not by a person closing it.
    pub recovered: bool,
    /// Remedies whose run was started.
    pub attempts: u32,
    /// Remedies that were seen to help.
    pub successful: u32,
}

/// The times of all incidents in a stretch of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    incidents: BTreeMap<IncidentId, IncidentTimes>,
}

impl Times {
    /// Takes in one event; those of incidents whose opening was not seen are left out.
    pub fn note(&mut self, event: &HealEvent) {
        if let HealEvent::Opened(opened) = event {
            self.incidents.entry(opened.incident.clone()).or_insert(IncidentTimes {
                onset_at: opened.onset_at,
                opened_at: opened.at,
                acknowledged_at: None,
                proposed_at: None,
                escalated_at: None,
                over_at: None,
                recovered: false,
                attempts: 0,
                successful: 0,
            });
            return;
        }
        let Some(times) = event.incident().and_then(|id| self.incidents.get_mut(id)) else { return };
        match event {
            HealEvent::Proposed(event) => {
                times.proposed_at.get_or_insert(event.at);
            }
            HealEvent::Started(_) => times.attempts += 1,
            HealEvent::Verified(event) => times.successful += u32::from(event.outcome == Verification::Succeeded),
            HealEvent::Acknowledged(event) => {
                times.acknowledged_at.get_or_insert(event.at);
            }
            HealEvent::Escalated(event) => times.escalated_at = Some(event.at),
            HealEvent::Resolved(event) => {
                times.over_at = Some(event.at);
                times.recovered = event.because != Resolution::Gone;
            }
            HealEvent::Closed(event) => times.over_at = Some(event.at),
            HealEvent::Opened(_)
            | HealEvent::Joined(_)
            | HealEvent::Shadowed(_)
            | HealEvent::Held(_)
            | HealEvent::Waiting(_)
            | HealEvent::Released(_)
            | HealEvent::Denied(_)
            | HealEvent::Ended(_)
            | HealEvent::ModeSet(_)
            | HealEvent::ModeEnded(_)
            | HealEvent::Judged(_) => {}
        }
    }

    /// Each incident's times.
    pub fn incidents(&self) -> impl Iterator<Item = (&IncidentId, &IncidentTimes)> {
        self.incidents.iter()
    }

    /// From onset to opening, on the mean.
    #[must_use]
    pub fn mean_to_detect(&self) -> Option<Duration> {
        mean(self.incidents.values().map(|times| times.opened_at.since(times.onset_at)))
    }

    /// From opening to a person's word, on the mean.
    #[must_use]
    pub fn mean_to_acknowledge(&self) -> Option<Duration> {
        mean(self.incidents.values().filter_map(|times| Some(times.acknowledged_at?.since(times.opened_at))))
    }

    /// From onset to recovery, on the mean over those that recovered.
    #[must_use]
    pub fn mean_to_recover(&self) -> Option<Duration> {
        let recovered = self.incidents.values().filter(|times| times.recovered);
        mean(recovered.filter_map(|times| Some(times.over_at?.since(times.onset_at))))
    }
}

fn mean(spans: impl Iterator<Item = Duration>) -> Option<Duration> {
    let (mut sum, mut count) = (Duration::ZERO, 0_u32);
    for span in spans {
        sum = sum.saturating_add(span);
        count = count.saturating_add(1);
    }
    sum.checked_div(count)
}
