//! Breaking the glass: a named person acts for a while without the approval that policy asks for. What policy denies stays
//! denied. Somebody else looks at it afterwards, or it becomes a finding.

use crate::approval_event::{ApprovalEvent, ApprovalFact, GlassEnded, GlassReviewed};
use crate::standing::fits;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use writ_core::{Actor, ActorKind, ApprovalId, Digest, PrincipalId, Timestamp};

const DAY: Duration = Duration::from_secs(86_400);
/// The longest the glass may stay broken.
pub const BREAK_GLASS_MAX: Duration = Duration::from_secs(3_600);
/// Patterns at the most, of actions and of targets.
const PATTERNS_MAX: usize = 32;

/// What somebody breaks the glass for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// Actions it is for; `*` stands for any text. Empty, in entries from before it named any, stands for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// When.
    pub broken_at: Timestamp,
    /// Who.
    pub by: PrincipalId,
    /// Its id.
    pub id: ApprovalId,
    /// Commitment to the person's words.
    pub reason: Digest,
    /// Resources it is for; `*` stands for any text.
    pub scope: Vec<String>,
    /// Until when.
    pub until: Timestamp,
}

/// Why the glass is not broken, ended or reviewed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlassRefused {
    /// It would last too long, or no time at all.
    #[error("the glass may be broken for 1 to {} minutes", BREAK_GLASS_MAX.as_secs() / 60)]
    Span,
    /// It names nothing, or too much.
    #[error("it must name one to {PATTERNS_MAX} {what}, each of 1 to 200 characters")]
    Scope {
        /// What.
        what: &'static str,
    },
    /// One at a time.
    #[error("`{by}` has broken the glass already: `{id}` stands until {until}")]
    Stands {
        /// Who.
        by: PrincipalId,
        /// The one that stands.
        id: ApprovalId,
        /// Until when.
        until: Timestamp,
    },
    /// It is over.
    #[error("`{id}` is over since {since}")]
    Over {
        /// Which.
        id: ApprovalId,
        /// Since when.
        since: Timestamp,
    },
    /// What is not over cannot be looked back at.
    #[error("`{id}` stands until {until}; it is reviewed once it is over")]
    NotOver {
        /// Which.
        id: ApprovalId,
        /// Until when.
        until: Timestamp,
    },
    /// Nobody reviews what they did.
    #[error("`{by}` broke the glass, and cannot review that")]
    Own {
        /// Who tried.
        by: PrincipalId,
    },
    /// It was reviewed.
    #[error("`{id}` was reviewed by `{by}`")]
    Reviewed {
        /// Which.
        id: ApprovalId,
        /// By whom.
        by: PrincipalId,
    },
}

/// A breaking of the glass with what became of it: the fold of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glass {
    /// For what.
    pub broken: BreakGlass,
    /// When somebody ended it before its time, and who.
    pub ended: Option<(Timestamp, PrincipalId)>,
    /// When somebody looked at it afterwards, and what they found.
    pub reviewed: Option<(Timestamp, GlassReviewed)>,
    /// How often something passed by it.
    pub uses: u64,
}

impl BreakGlass {
    /// Checks that it is one. `known` are all that were broken before.
    ///
    /// # Errors
    /// When it lasts too long, names nothing, or its person has one that stands.
    pub fn check<'a>(&self, known: impl IntoIterator<Item = &'a Glass>) -> Result<(), GlassRefused> {
        let span = self.until.since(self.broken_at);
        if span < Duration::from_secs(60) || span > BREAK_GLASS_MAX {
            return Err(GlassRefused::Span);
        }
        for (what, patterns) in [("actions", &self.actions), ("targets", &self.scope)] {
            let sound = |pattern: &String| (1..=200).contains(&pattern.len()) && !pattern.chars().any(char::is_control);
            if !(1..=PATTERNS_MAX).contains(&patterns.len()) || !patterns.iter().all(sound) {
                return Err(GlassRefused::Scope { what });
            }
        }
        let mut known = known.into_iter().filter(|one| one.broken.by == self.by);
        match known.find(|one| one.stands(self.broken_at)) {
            Some(one) => {
                let (id, until) = (one.broken.id.clone(), one.broken.until);
                Err(GlassRefused::Stands { by: self.by.clone(), id, until })
            }
            None => Ok(()),
        }
    }
}

impl Glass {
    /// Takes one more event in; none when the first is no breaking.
    #[must_use]
    pub fn after(before: Option<Self>, event: &ApprovalEvent) -> Option<Self> {
        let mut glass = match (&event.what, before) {
            (ApprovalFact::GlassBroken(broken), None) => {
                return Some(Self { broken: broken.clone(), ended: None, reviewed: None, uses: 0 });
            }
            (_, before) => before?,
        };
        match &event.what {
            ApprovalFact::GlassUsed(_) => glass.uses += 1,
            ApprovalFact::GlassEnded(ended) => glass.ended = Some((event.at, ended.by.clone())),
            ApprovalFact::GlassReviewed(reviewed) => glass.reviewed = Some((event.at, reviewed.clone())),
            ApprovalFact::GlassBroken(_) | ApprovalFact::Asked(_) => {}
            ApprovalFact::Standing(_) | ApprovalFact::Cited(_) | ApprovalFact::Revoked(_) => {}
        }
        Some(glass)
    }

    /// When it is or was over.
    #[must_use]
    pub fn over_at(&self) -> Timestamp {
        self.ended.as_ref().map_or(self.broken.until, |(at, _)| (*at).min(self.broken.until))
    }

    /// Whether it stands now.
    #[must_use]
    pub fn stands(&self, now: Timestamp) -> bool {
        now >= self.broken.broken_at && now < self.over_at()
    }

    /// Whether it lets somebody do an action on a resource now.
    #[must_use]
    pub fn covers(&self, by: &Actor, action: &str, target: &str, now: Timestamp) -> bool {
        let of = |patterns: &[String], text| patterns.iter().any(|pattern| fits(pattern, text));
        let person = by.kind == ActorKind::Human && by.id == self.broken.by.as_str();
        let action = self.broken.actions.is_empty() || of(&self.broken.actions, action);
        self.stands(now) && person && action && of(&self.broken.scope, target)
    }

    /// Ends it before its time.
    ///
    /// # Errors
    /// When it is over.
    pub fn end(&self, by: &PrincipalId, now: Timestamp) -> Result<ApprovalFact, GlassRefused> {
        if !self.stands(now) {
            return Err(GlassRefused::Over { id: self.broken.id.clone(), since: self.over_at() });
        }
        Ok(ApprovalFact::GlassEnded(GlassEnded { by: by.clone() }))
    }

    /// Looks at it afterwards.
    ///
    /// # Errors
    /// When it still stands, was reviewed, or is one's own.
    pub fn review(&self, by: &PrincipalId, justified: bool, now: Timestamp) -> Result<ApprovalFact, GlassRefused> {
        let id = self.broken.id.clone();
        if *by == self.broken.by {
            return Err(GlassRefused::Own { by: by.clone() });
        }
        if self.stands(now) {
            return Err(GlassRefused::NotOver { id, until: self.over_at() });
        }
        if let Some((_, reviewed)) = &self.reviewed {
            return Err(GlassRefused::Reviewed { id, by: reviewed.by.clone() });
        }
        Ok(ApprovalFact::GlassReviewed(GlassReviewed { by: by.clone(), justified }))
    }

    /// When it becomes a finding unless it was reviewed: after two working days (Monday to Friday, UTC).
    #[must_use]
    pub fn review_due(&self) -> Timestamp {
        let mut due = self.broken.broken_at;
        let mut left = 2;
        while left > 0 {
            due = due.plus(DAY);
            // 1970-01-01 was a Thursday; Saturday and Sunday are days 2 and 3 after it.
            let weekday = due.micros().div_euclid(86_400_000_000).rem_euclid(7);
            if weekday != 2 && weekday != 3 {
                left -= 1;
            }
        }
        due
    }

    /// Whether it should have been reviewed by now, and was not.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.reviewed.is_none() && now >= self.review_due()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval_event::GlassUsed;

    // 2023-11-17T17:00:00Z, a Friday.
    fn friday() -> Timestamp {
        Timestamp::from_micros(1_700_240_400_000_000)
    }

    fn person(name: &str) -> PrincipalId {
        name.parse().unwrap()
    }

    fn broken() -> BreakGlass {
        BreakGlass {
            actions: vec!["restart_*".into()],
            broken_at: friday(),
            by: person("ann"),
            id: ApprovalId::mint(1, [2; 10]),
            reason: Digest([0; 32]),
            scope: vec!["web-service-001*".into()],
            until: friday().plus(BREAK_GLASS_MAX),
        }
    }

    fn glass() -> Glass {
        Glass { broken: broken(), ended: None, reviewed: None, uses: 0 }
    }

    fn event(what: ApprovalFact, at: Timestamp) -> ApprovalEvent {
        ApprovalEvent { approval: broken().id, at, what }
    }

    #[test]
    fn glass_that_would_stand_too_long_or_for_nothing_is_not_broken() {
        let second = Duration::from_secs(1);
        for until in
            [friday(), friday().plus(59 * second), friday().plus(BREAK_GLASS_MAX + second), friday().minus(second)]
        {
            assert_eq!(BreakGlass { until, ..broken() }.check([]), Err(GlassRefused::Span));
        }
        let many = || vec!["x".to_owned(); 33];
        for patterns in [vec![], vec![String::new()], vec!["x".repeat(201)], vec!["a\nb".into()], many()] {
            let actions = BreakGlass { actions: patterns.clone(), ..broken() };
            assert_eq!(actions.check([]), Err(GlassRefused::Scope { what: "actions" }));
            let targets = BreakGlass { scope: patterns, ..broken() };
            assert_eq!(targets.check([]), Err(GlassRefused::Scope { what: "targets" }));
        }
        assert_eq!(broken().check([]), Ok(()));
    }

    #[test]
    fn a_person_has_one_at_a_time() {
        let stands = GlassRefused::Stands { by: person("ann"), id: broken().id, until: broken().until };
        assert_eq!(broken().check([&glass()]), Err(stands));
        assert_eq!(BreakGlass { by: person("bob"), ..broken() }.check([&glass()]), Ok(()));
        let ended = Glass { ended: Some((friday(), person("bob"))), ..glass() };
        assert_eq!(broken().check([&ended]), Ok(()));
    }

    #[test]
    fn it_covers_its_person_actions_targets_and_time_only() {
        let (ann, minute) = (Actor::human(&person("ann")), friday().plus(Duration::from_secs(60)));
        let (action, target) = ("restart_instance", "web-service-001/i-1");
        assert!(glass().covers(&ann, action, target, minute));
        assert!(!glass().covers(&Actor::human(&person("bob")), action, target, minute));
        assert!(!glass().covers(&Actor::system("ann"), action, target, minute));
        assert!(!glass().covers(&ann, "scale_out", target, minute));
        assert!(!glass().covers(&ann, action, "db/i-1", minute));
        assert!(!glass().covers(&ann, action, target, glass().broken.until));
        let fact = glass().end(&person("bob"), minute).unwrap();
        let ended = Glass::after(Some(glass()), &event(fact, minute)).unwrap();
        assert!(!ended.covers(&ann, action, target, minute));
        assert!(matches!(ended.end(&person("bob"), minute), Err(GlassRefused::Over { .. })));
    }

    #[test]
    fn somebody_else_reviews_it_once_and_only_when_it_is_over() {
        let (until, bob) = (glass().broken.until, person("bob"));
        let own = GlassRefused::Own { by: person("ann") };
        assert_eq!(glass().review(&person("ann"), true, until), Err(own));
        let stands = GlassRefused::NotOver { id: broken().id, until };
        assert_eq!(glass().review(&bob, true, friday()), Err(stands));
        let fact = glass().review(&bob, false, until).unwrap();
        let reviewed = Glass::after(Some(glass()), &event(fact, until)).unwrap();
        let again = GlassRefused::Reviewed { id: broken().id, by: bob.clone() };
        assert_eq!(reviewed.review(&bob, true, until), Err(again));
        assert!(!reviewed.is_overdue(friday().plus(30 * DAY)));
    }

    #[test]
    fn the_review_is_due_after_two_working_days_whatever_the_day_it_was_broken() {
        let days = ["17", "18", "19", "20", "21", "22", "23"];
        // Friday, Saturday, Sunday, Monday …: the weekend does not count.
        let due = ["21", "21", "21", "22", "23", "24", "27"];
        for (day, due) in days.iter().zip(due) {
            let at = |day: &str| format!("2023-11-{day}T17:00:00.000000Z").parse::<Timestamp>().unwrap();
            let one = Glass { broken: BreakGlass { broken_at: at(day), ..broken() }, ..glass() };
            assert_eq!(one.review_due(), at(due), "broken on {day}");
            assert!(one.is_overdue(at(due)) && !one.is_overdue(at(due).minus(Duration::from_secs(1))));
        }
    }

    #[test]
    fn what_comes_before_a_breaking_is_nothing() {
        let run = writ_core::RunId::mint(1, [1; 10]);
        let used = GlassUsed { action: "restart_instance".into(), run, step: None, target: "web".into() };
        assert_eq!(Glass::after(None, &event(ApprovalFact::GlassUsed(used.clone()), friday())), None);
        let first = Glass::after(None, &event(ApprovalFact::GlassBroken(broken()), friday())).unwrap();
        let then = Glass::after(Some(first), &event(ApprovalFact::GlassUsed(used), friday())).unwrap();
        assert_eq!(then, Glass { uses: 1, ..glass() });
    }
}
