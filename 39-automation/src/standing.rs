//! Agreement given beforehand: a standing approval, which automatic remedies cite.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use writ_core::{ApprovalId, PrincipalId, Timestamp};

/// The longest a standing approval may stand.
pub const STANDING_MAX: Duration = Duration::from_secs(90 * 86_400);

/// How often something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The most in any period.
    pub count: u32,
    /// The period, in seconds.
    pub period_seconds: u64,
}

/// An agreement, given beforehand, to a class of actions on some targets, so many in a period, until a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Actions it is for; `*` stands for any text.
    pub actions: Vec<String>,
    /// Who agreed.
    pub approvers: Vec<PrincipalId>,
    /// Who wrote it.
    pub author: PrincipalId,
    /// How often.
    pub budget: Budget,
    /// Until when.
    pub expires_at: Timestamp,
    /// Since when.
    pub granted_at: Timestamp,
    /// Its id.
    pub id: ApprovalId,
    /// Resources it is for; `*` stands for any text.
    pub targets: Vec<String>,
}

/// Why a standing approval is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StandingRefused {
    /// It would stand too long.
    #[error("it may stand for at most {} minutes, and would for {}", .most.as_secs() / 60, .asked.as_secs() / 60)]
    TooLong {
        /// The longest.
        most: Duration,
        /// What was asked.
        asked: Duration,
    },
    /// It would be over when it begins.
    #[error("it would be over when it begins")]
    NoTime,
    /// Nobody but its author agreed.
    #[error("somebody other than its author `{author}` must agree")]
    OwnApproval {
        /// Its author.
        author: PrincipalId,
    },
    /// It names nothing.
    #[error("it must name at least one of {what}")]
    Nothing {
        /// What it does not name.
        what: &'static str,
    },
    /// It allows nothing.
    #[error("its budget allows nothing")]
    NoBudget,
}

/// Why a standing approval does not cover an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCovered {
    /// It is over, or has not begun.
    #[error("standing approval `{id}` stands from {from} to {to}")]
    Time {
        /// The approval.
        id: ApprovalId,
        /// Since when.
        from: Timestamp,
        /// Until when.
        to: Timestamp,
    },
    /// It is for other actions.
    #[error("standing approval `{id}` is not for action `{action}`")]
    Action {
        /// The approval.
        id: ApprovalId,
        /// The action.
        action: String,
    },
    /// It is for other resources.
    #[error("standing approval `{id}` is not for `{target}`")]
    Target {
        /// The approval.
        id: ApprovalId,
        /// The resource.
        target: String,
    },
    /// It was used as often as it may be.
    #[error("standing approval `{id}` allows {} in {} s, and that many were done", .budget.count, .budget.period_seconds)]
    Spent {
        /// The approval.
        id: ApprovalId,
        /// Its budget.
        budget: Budget,
    },
}

impl Standing {
    /// Checks that it is one.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self) -> Result<(), Vec<StandingRefused>> {
        let mut wrong = Vec::new();
        let asked = self.expires_at.since(self.granted_at);
        if asked > STANDING_MAX {
            wrong.push(StandingRefused::TooLong { most: STANDING_MAX, asked });
        }
        if asked.is_zero() {
            wrong.push(StandingRefused::NoTime);
        }
        if !self.approvers.iter().any(|by| *by != self.author) {
            wrong.push(StandingRefused::OwnApproval { author: self.author.clone() });
        }
        let names_nothing = |names: &[String]| names.is_empty() || names.iter().any(|name| name.trim().is_empty());
        if names_nothing(&self.actions) {
            wrong.push(StandingRefused::Nothing { what: "`actions`" });
        }
        if names_nothing(&self.targets) {
            wrong.push(StandingRefused::Nothing { what: "`targets`" });
        }
        if self.budget.count == 0 || self.budget.period_seconds == 0 {
            wrong.push(StandingRefused::NoBudget);
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Whether it covers an action now. `used` are the times at which it was cited before.
    ///
    /// # Errors
    /// Why not.
    pub fn covers(&self, action: &str, target: &str, used: &[Timestamp], now: Timestamp) -> Result<(), NotCovered> {
        let id = self.id.clone();
        if now < self.granted_at || now >= self.expires_at {
            return Err(NotCovered::Time { id, from: self.granted_at, to: self.expires_at });
        }
        if !self.actions.iter().any(|pattern| fits(pattern, action)) {
            return Err(NotCovered::Action { id, action: action.to_owned() });
        }
        if !self.targets.iter().any(|pattern| fits(pattern, target)) {
            return Err(NotCovered::Target { id, target: target.to_owned() });
        }
        let since = now.minus(Duration::from_secs(self.budget.period_seconds));
        if used.iter().filter(|time| **time > since).count() >= self.budget.count as usize {
            return Err(NotCovered::Spent { id, budget: self.budget });
        }
        Ok(())
    }
}

/// Whether a text fits a pattern in which `*` stands for any text.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            let Some((_, after)) = rest.split_once(middle) else { return false };
            rest = after;
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + second * 1_000_000)
    }

    fn standing() -> Standing {
        Standing {
            actions: vec!["restart_*".into()],
            approvers: vec!["bob".parse().unwrap()],
            author: "ann".parse().unwrap(),
            budget: Budget { count: 2, period_seconds: 60 },
            expires_at: at(86_400),
            granted_at: at(0),
            id: ApprovalId::mint(1, [1; 10]),
            targets: vec!["web-service-001/*".into()],
        }
    }

    #[test]
    fn a_pattern_stands_for_any_text_between_its_parts() {
        for (pattern, text, wanted) in [
            ("restart_*", "restart_instance", true),
            ("restart_*", "scale_out", false),
            ("*", "", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("web", "web", true),
            ("web", "web/i-1", false),
            ("*i-1", "web/i-1", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn a_standing_approval_covers_its_actions_targets_budget_and_time_only() {
        let standing = standing();
        assert_eq!(standing.covers("restart_instance", "web-service-001/i-1", &[at(0)], at(1)), Ok(()));
        let spent = standing.covers("restart_instance", "web-service-001/i-1", &[at(10), at(20)], at(30));
        assert!(matches!(spent, Err(NotCovered::Spent { .. })));
        assert_eq!(standing.covers("restart_instance", "web-service-001/i-1", &[at(10), at(20)], at(75)), Ok(()));
        let action = standing.covers("scale_out", "web-service-001/i-1", &[], at(1));
        assert!(matches!(action, Err(NotCovered::Action { .. })));
        let target = standing.covers("restart_instance", "db/i-1", &[], at(1));
        assert!(matches!(target, Err(NotCovered::Target { .. })));
        let late = standing.covers("restart_instance", "web-service-001/i-1", &[], at(86_400));
        assert!(matches!(late, Err(NotCovered::Time { .. })));
    }

    #[test]
    fn a_standing_approval_that_is_too_long_self_made_or_empty_is_refused_for_each_reason() {
        let bad = Standing {
            actions: Vec::new(),
            approvers: vec!["ann".parse().unwrap()],
            budget: Budget { count: 0, period_seconds: 60 },
            expires_at: at(91 * 86_400),
            targets: Vec::new(),
            ..standing()
        };
        assert_eq!(bad.check().unwrap_err().len(), 5);
        assert_eq!(Standing { expires_at: at(90 * 86_400), ..standing() }.check(), Ok(()));
    }
}
