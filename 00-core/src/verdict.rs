//! What a gate answers: yes, no, or ask a person; and always why.

use crate::{Place, RuleId, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The moment at which policy is asked. Each stage has a facts schema of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A manifest was submitted.
    Intent,
    /// A plan was solved: cost, counts and zones are known.
    Plan,
    /// A step, a remedy or an outside action is about to get its permit. Denied unless a rule allows it.
    Action,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Stage::Intent => "intent",
            Stage::Plan => "plan",
            Stage::Action => "action",
        })
    }
}

/// The answer itself. Ordered: a later variant overrides an earlier one, whatever the order of the rules.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// It may happen.
    Allow,
    /// It may happen once people have said so.
    RequireApproval {
        /// How many distinct people must agree.
        count: u32,
        /// The role each of them must hold.
        role: String,
    },
    /// It may not happen.
    Deny,
}

/// What a rule found, with the values that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Where the offending value stands in the manifest, when it stands in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
    /// One sentence for a person: what is wrong.
    pub message: String,
    /// What the rule asked for: the rule's own effect, before overriding.
    pub asks: Decision,
    /// The rule, or an id of ours where no rule stands behind the finding (`default-deny`).
    pub rule: RuleId,
    /// Where the rule stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_at: Option<Place>,
    /// How bad it is.
    pub severity: Severity,
    /// The facts that the rule read and their values, as `path = value` texts, sorted.
    pub values: Vec<String>,
    /// The waiver that lets it pass, when one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived_by: Option<String>,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.rule, self.message)
    }
}

/// What must be done along with an allowed action. A closed set: one that the enforcing side cannot honour denies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "obligation", rename_all = "snake_case")]
pub enum Obligation {
    /// At most so many such actions in any period of this many seconds.
    RateLimit {
        /// The most actions in one period.
        count: u32,
        /// The period, in seconds.
        period_seconds: u64,
    },
    /// Not again on the same resource before this many seconds have passed.
    CoolDown {
        /// Seconds between two actions on one resource.
        seconds: u64,
    },
    /// Run without effect first.
    DryRun,
    /// Tell these people.
    Notify {
        /// The channel, as configured.
        channel: String,
    },
    /// Only within this window of the UTC day.
    Window {
        /// First second of the UTC day that is allowed.
        from_second: u32,
        /// First second of the UTC day that is no longer allowed.
        to_second: u32,
    },
    /// Check afterwards that this condition holds.
    PostCheck {
        /// A condition over the component's metrics.
        condition: String,
    },
}

impl std::fmt::Display for Obligation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let clock = |second: &u32| format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
        match self {
            Obligation::RateLimit { count, period_seconds } => write!(f, "no more than {count} in {period_seconds} s"),
            Obligation::CoolDown { seconds } => write!(f, "{seconds} s between two"),
            Obligation::DryRun => f.write_str("a dry run first"),
            Obligation::Notify { channel } => write!(f, "that `{channel}` is told"),
            Obligation::Window { from_second, to_second } => {
                write!(f, "the time of day from {} to {} UTC", clock(from_second), clock(to_second))
            }
            Obligation::PostCheck { condition } => write!(f, "a check that `{condition}` afterwards"),
        }
    }
}

/// A gate's answer with everything that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer.
    pub decision: Decision,
    /// What the rules found: those that spoke against it, warned, or asked; empty when all was well.
    pub findings: Vec<Finding>,
    /// What must be done along with it, sorted.
    pub obligations: Vec<Obligation>,
}

impl Verdict {
    /// Whether it may happen without anybody being asked.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.decision == Decision::Allow
    }

    /// Everybody who must agree when people are asked: for each role the most that any rule asks for. The decision names
    /// one of them only.
    #[must_use]
    pub fn quorums(&self) -> BTreeMap<String, u32> {
        let findings = self.findings.iter().filter(|finding| finding.waived_by.is_none()).map(|finding| &finding.asks);
        let mut quorums = BTreeMap::new();
        for asks in findings.chain([&self.decision]) {
            if let Decision::RequireApproval { count, role } = asks {
                let most = quorums.entry(role.clone()).or_default();
                *most = (*count).max(*most);
            }
        }
        quorums
    }
}
