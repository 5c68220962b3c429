//! Exceptions: one rule, one subject, a reason, an approver and an end. What is waived is still reported.

use crate::glob;
use serde::{Deserialize, Serialize};
use writ_core::{PrincipalId, RuleId, Timestamp};

/// A granted exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// Who granted it; never who asked for it.
    pub approver: PrincipalId,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Why.
    pub reason: String,
    /// The rule that may be broken.
    pub rule: RuleId,
    /// Where: an intent's id or a resource; `*` stands for any letters.
    pub subject: String,
}

impl Waiver {
    /// Whether it has not ended yet.
    #[must_use]
    pub fn in_force(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    /// The waiver for a rule on a subject: one that is in force before one that is not.
    pub(crate) fn find<'a>(waivers: &'a [Waiver], rule: &str, subject: &str, now: Timestamp) -> Option<&'a Waiver> {
        waivers
            .iter()
            .filter(|waiver| waiver.rule.as_str() == rule && glob::matches(&waiver.subject, subject))
            .max_by_key(|waiver| (waiver.in_force(now), waiver.expires_at, &waiver.approver))
    }

    pub(crate) fn told(&self, now: Timestamp) -> String {
        let end = if self.in_force(now) { "until" } else { "expired on" };
        format!("waived by {} {end} {}: {}", self.approver, self.expires_at, self.reason)
    }
}
