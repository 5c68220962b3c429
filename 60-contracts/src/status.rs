//! How far a contract has come, and what may happen to it next.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use writ_core::Timestamp;

/// How many distinct people must have approved a contract before it may be published.
pub const APPROVALS: u32 = 2;
/// How long a deprecated contract stays usable before it may be retired.
pub const NOTICE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Where a contract stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// It is being written.
    Draft,
    /// It waits for approvals.
    Review {
        /// How many distinct people have approved.
        approvals: u32,
    },
    /// It may be published.
    Approved,
    /// It is in force and does not change any more.
    Published,
    /// It is in force, and a newer one should be used.
    Deprecated {
        /// Not before this time is it retired.
        until: Timestamp,
    },
    /// It is out of force.
    Retired,
}

/// What can happen to a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusEvent {
    /// Its author wants it looked at.
    Submitted,
    /// One more person approves.
    Approved,
    /// A reviewer wants it changed.
    SentBack,
    /// It comes into force.
    Published,
    /// It is announced to go.
    Deprecated {
        /// When that was.
        at: Timestamp,
    },
    /// It goes out of force.
    Retired {
        /// When that is.
        at: Timestamp,
    },
}

/// Something that cannot happen to a contract where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a contract that is {state} cannot be {event}{}", .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
pub struct IllegalStatus {
    /// What was to happen.
    pub event: &'static str,
    /// Where it stands.
    pub state: &'static str,
    /// What is missing, where something is.
    pub why: Option<String>,
}

impl Status {
    /// Its name, as reports and files have it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Status::Draft => "draft",
            Status::Review { .. } => "review",
            Status::Approved => "approved",
            Status::Published => "published",
            Status::Deprecated { .. } => "deprecated",
            Status::Retired => "retired",
        }
    }

    /// Whether a contract in this status can be relied on.
    #[must_use]
    pub fn is_in_force(self) -> bool {
        match self {
            Status::Published | Status::Deprecated { .. } => true,
            Status::Draft | Status::Review { .. } | Status::Approved | Status::Retired => false,
        }
    }

    /// The status after something has happened.
    ///
    /// # Errors
    /// When that cannot happen to a contract in this status.
    pub fn after(self, event: StatusEvent) -> Result<Status, IllegalStatus> {
        use StatusEvent as Event;
        Ok(match (self, event) {
            (Status::Draft, Event::Submitted) => Status::Review { approvals: 0 },
            (Status::Review { approvals }, Event::Approved) if approvals + 1 >= APPROVALS => Status::Approved,
            (Status::Review { approvals }, Event::Approved) => Status::Review { approvals: approvals + 1 },
            (Status::Review { .. } | Status::Approved, Event::SentBack) => Status::Draft,
            (Status::Approved, Event::Published) => Status::Published,
            (Status::Published, Event::Deprecated { at }) => Status::Deprecated { until: at.plus(NOTICE) },
            (Status::Deprecated { until }, Event::Retired { at }) if at >= until => Status::Retired,
            (Status::Deprecated { until }, Event::Retired { .. }) => {
                return Err(self.refuse(event, Some(format!("its notice runs until {until}"))));
            }
            (Status::Review { approvals }, Event::Published) => {
                return Err(self.refuse(event, Some(format!("it has {approvals} of {APPROVALS} approvals"))));
            }
            (state, event) => return Err(state.refuse(event, None)),
        })
    }

    fn refuse(self, event: StatusEvent, why: Option<String>) -> IllegalStatus {
        let event = match event {
            StatusEvent::Submitted => "submitted",
            StatusEvent::Approved => "approved",
            StatusEvent::SentBack => "sent back",
            StatusEvent::Published => "published",
            StatusEvent::Deprecated { .. } => "deprecated",
            StatusEvent::Retired { .. } => "retired",
        };
        IllegalStatus { event, state: self.label(), why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(events: &[StatusEvent]) -> Result<Status, IllegalStatus> {
        events.iter().try_fold(Status::Draft, |status, event| status.after(*event))
    }

    #[test]
    fn a_contract_needs_two_approvals_before_it_is_published() {
        use StatusEvent::{Approved, Published, Submitted};
        assert_eq!(walk(&[Submitted, Approved, Approved, Published]), Ok(Status::Published));
        let error = walk(&[Submitted, Approved, Published]).unwrap_err();
        assert_eq!(error.to_string(), "a contract that is review cannot be published: it has 1 of 2 approvals");
        assert_eq!(walk(&[Published]).unwrap_err().to_string(), "a contract that is draft cannot be published");
    }

    #[test]
    fn a_deprecated_contract_is_retired_only_after_its_notice() {
        let at = Timestamp::from_micros(1_000_000);
        let deprecated = Status::Published.after(StatusEvent::Deprecated { at }).unwrap();
        assert!(deprecated.is_in_force());
        assert!(deprecated.after(StatusEvent::Retired { at: at.plus(NOTICE - Duration::from_secs(1)) }).is_err());
        assert_eq!(deprecated.after(StatusEvent::Retired { at: at.plus(NOTICE) }), Ok(Status::Retired));
    }

    #[test]
    fn what_is_published_cannot_go_back_and_what_is_retired_is_final() {
        let at = Timestamp::from_micros(0);
        let events = [
            StatusEvent::Submitted,
            StatusEvent::Approved,
            StatusEvent::SentBack,
            StatusEvent::Published,
            StatusEvent::Deprecated { at },
            StatusEvent::Retired { at },
        ];
        for event in events {
            assert!(Status::Retired.after(event).is_err(), "{event:?}");
        }
        assert!(Status::Published.after(StatusEvent::SentBack).is_err());
    }
}
