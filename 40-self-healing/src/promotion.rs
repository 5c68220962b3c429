//! How far an action may go on its own, and what it takes to let it go further: people judge what it would have done, and whoever
//! wants it promoted cites what was judged right.

use crate::config::Mode;
use crate::remedy::RemedyAction;
use std::collections::{BTreeMap, BTreeSet};
use writ_core::{ComponentId, EventId, PrincipalId, Timestamp};

/// What an installation wants of shadow decisions before an action goes further on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// So many must be cited that were judged right.
    pub right_least: u32,
    /// So many at the most may have been judged wrong since the first of these.
    pub wrong_most: u32,
}

impl Default for Bar {
    fn default() -> Self {
        Self { right_least: 3, wrong_most: 0 }
    }
}

/// What people say of a shadow decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// Nobody said anything.
    Unjudged,
    /// Whoever judged it says that it was right.
    Right,
    /// Somebody says that it was wrong: one is enough, whatever others say.
    Wrong,
}

impl Opinion {
    /// The word that people use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Opinion::Unjudged => "unjudged",
            Opinion::Right => "right",
            Opinion::Wrong => "wrong",
        }
    }
}

/// What would have been done, had the mode allowed it, and what people say of that: one word each, their last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowDecision {
    /// The entry that recorded it.
    pub decision: EventId,
    /// When.
    pub at: Timestamp,
    /// Of which component.
    pub component: ComponentId,
    /// What would have been done.
    pub action: RemedyAction,
    /// Whether each of those who judged it says that it was right.
    pub judgements: BTreeMap<PrincipalId, bool>,
}

impl ShadowDecision {
    /// What people say of it.
    #[must_use]
    pub fn opinion(&self) -> Opinion {
        match (self.judgements.is_empty(), self.judgements.values().all(|right| *right)) {
            (true, _) => Opinion::Unjudged,
            (false, true) => Opinion::Right,
            (false, false) => Opinion::Wrong,
        }
    }
}

/// A change of an action's mode on one component, with what is known of it.
#[derive(Debug, Clone)]
pub struct ModeChange<'a> {
    /// The component.
    pub component: &'a ComponentId,
    /// The action.
    pub action: RemedyAction,
    /// How far it may go now.
    pub from: Mode,
    /// How far it is to go.
    pub to: Mode,
    /// The shadow decisions that are cited for it.
    pub cites: &'a [EventId],
    /// Those of them that there are, and all of the same component and action since the first of them.
    pub known: &'a [ShadowDecision],
    /// When the action was last taken back on the component: what was decided before then speaks for nothing.
    pub lowered_at: Option<Timestamp>,
}

/// Why shadow decisions are not enough for a promotion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEnough {
    /// Nothing is cited.
    #[error("no shadow decision is cited, and {least} that were judged right are needed")]
    Nothing {
        /// So many are needed.
        least: u32,
    },
    /// One is cited twice.
    #[error("`{decision}` is cited twice")]
    Twice {
        /// Which.
        decision: EventId,
    },
    /// There is no such shadow decision.
    #[error("`{decision}` is no shadow decision")]
    Unknown {
        /// What was cited.
        decision: EventId,
    },
    /// It is another action's, or another component's.
    #[error("`{decision}` is about `{action}` of `{component}`")]
    Elsewhere {
        /// Which.
        decision: EventId,
        /// The action that it is about.
        action: RemedyAction,
        /// And the component.
        component: ComponentId,
    },
    /// Nobody judged it.
    #[error("`{decision}` was judged by nobody")]
    Unjudged {
        /// Which.
        decision: EventId,
    },
    /// Somebody judged it wrong.
    #[error("`{decision}` was judged wrong by `{by}`")]
    Wrong {
        /// Which.
        decision: EventId,
        /// Who says so.
        by: PrincipalId,
    },
    /// It is from before the action was last taken back.
    #[error("`{decision}` is from before the action was last taken back, at {lowered_at}")]
    Before {
        /// Which.
        decision: EventId,
        /// When that was.
        lowered_at: Timestamp,
    },
    /// Too few of the cited ones count.
    #[error("{right} of the cited shadow decisions count, and {least} are needed")]
    TooFew {
        /// So many count.
        right: u32,
        /// So many are needed.
        least: u32,
    },
    /// Too many others were judged wrong.
    #[error("{wrong} shadow decisions were judged wrong since the first cited one, and {most} may be: `{newest}`")]
    TooManyWrong {
        /// So many were.
        wrong: u32,
        /// So many may be.
        most: u32,
        /// The newest of them.
        newest: EventId,
    },
}

impl ModeChange<'_> {
    /// Whether the action is to go further on its own than now. What goes less far needs nothing but somebody who says so.
    #[must_use]
    pub fn is_promotion(&self) -> bool {
        self.to > self.from
    }

    /// Whether shadow decisions speak for the change as the bar wants it.
    ///
    /// # Errors
    /// Everything that is missing.
    pub fn check(&self, bar: Bar) -> Result<(), Vec<NotEnough>> {
        if !self.is_promotion() {
            return Ok(());
        }
        if self.cites.is_empty() {
            return Err(vec![NotEnough::Nothing { least: bar.right_least }]);
        }
        let (mut missing, mut seen, mut right) = (Vec::new(), BTreeSet::new(), 0);
        for cited in self.cites {
            let first = seen.insert(cited);
            match if first { self.counts(cited) } else { Err(NotEnough::Twice { decision: cited.clone() }) } {
                Ok(()) => right += 1,
                Err(because) => missing.push(because),
            }
        }
        if right < bar.right_least {
            missing.push(NotEnough::TooFew { right, least: bar.right_least });
        }
        missing.extend(self.too_many_wrong(bar.wrong_most));
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    /// Whether a cited decision speaks for the change.
    fn counts(&self, cited: &EventId) -> Result<(), NotEnough> {
        let decision = cited.clone();
        let Some(known) = self.known.iter().find(|known| known.decision == *cited) else {
            return Err(NotEnough::Unknown { decision });
        };
        if !self.is_own(known) {
            let (action, component) = (known.action, known.component.clone());
            return Err(NotEnough::Elsewhere { decision, action, component });
        }
        if let Some((by, _)) = known.judgements.iter().find(|(_, right)| !**right) {
            return Err(NotEnough::Wrong { decision, by: by.clone() });
        }
        if known.judgements.is_empty() {
            return Err(NotEnough::Unjudged { decision });
        }
        match self.lowered_at.filter(|lowered_at| known.at <= *lowered_at) {
            Some(lowered_at) => Err(NotEnough::Before { decision, lowered_at }),
            None => Ok(()),
        }
    }

    fn is_own(&self, known: &ShadowDecision) -> bool {
        known.component == *self.component && known.action == self.action
    }

    /// Those of the same action on the same component, since the first cited one, that were judged wrong and are not cited.
    pub fn wrong_since(&self) -> impl Iterator<Item = &ShadowDecision> {
        let own = || self.known.iter().filter(|known| self.is_own(known));
        let cited = |known: &&ShadowDecision| self.cites.contains(&known.decision);
        let first = own().filter(cited).map(|known| known.at).min();
        let since = move |known: &&ShadowDecision| first.is_some_and(|first| known.at >= first);
        own().filter(since).filter(move |known| !cited(known) && known.opinion() == Opinion::Wrong)
    }

    fn too_many_wrong(&self, most: u32) -> Option<NotEnough> {
        let wrong: Vec<&ShadowDecision> = self.wrong_since().collect();
        let newest = wrong.iter().max_by_key(|known| known.at)?.decision.clone();
        let wrong = u32::try_from(wrong.len()).unwrap_or(u32::MAX);
        (wrong > most).then_some(NotEnough::TooManyWrong { wrong, most, newest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> EventId {
        EventId::mint(u64::from(n), [n; 10])
    }

    fn at(seconds: u64) -> Timestamp {
        "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap().plus(std::time::Duration::from_secs(seconds))
    }

    fn web() -> ComponentId {
        "web".parse().unwrap()
    }

    /// The decision `n`, taken at second `n`, with a word of `p-1`, `p-2`, …
    fn decision(n: u8, words: &[bool]) -> ShadowDecision {
        let person = |(at, right): (usize, &bool)| (format!("p-{}", at + 1).parse().unwrap(), *right);
        ShadowDecision {
            decision: id(n),
            at: at(n.into()),
            component: web(),
            action: RemedyAction::RestartInstance,
            judgements: words.iter().enumerate().map(person).collect(),
        }
    }

    /// What is missing for `restart_instance` of `web` to go from shadow to auto, in words.
    fn missing(known: &[ShadowDecision], cites: &[u8], lowered_at: Option<Timestamp>, bar: Bar) -> Vec<String> {
        let cites: Vec<EventId> = cites.iter().copied().map(id).collect();
        let change = ModeChange {
            component: &web(),
            action: RemedyAction::RestartInstance,
            from: Mode::Shadow,
            to: Mode::Auto,
            cites: &cites,
            known,
            lowered_at,
        };
        let names = |text: String| (0..20).fold(text, |text, n| text.replace(id(n).as_str(), &format!("evt-{n}")));
        let told = change.check(bar).err().unwrap_or_default();
        told.iter().map(ToString::to_string).map(names).collect()
    }

    #[test]
    fn what_does_not_speak_for_a_promotion_is_named_with_the_reason() {
        let other_action = ShadowDecision { action: RemedyAction::ScaleIn, ..decision(4, &[true]) };
        let other_component = ShadowDecision { component: "db".parse().unwrap(), ..decision(5, &[true]) };
        let right = || (1..=3).map(|n| decision(n, &[true])).collect::<Vec<_>>();
        let with = |more: &[ShadowDecision]| [right(), more.to_vec()].concat();
        let bar = Bar::default();
        for (known, cites, told) in [
            (right(), &[][..], &["no shadow decision is cited, and 3 that were judged right are needed"][..]),
            (right(), &[1, 2], &["2 of the cited shadow decisions count, and 3 are needed"]),
            (
                right(),
                &[1, 2, 2],
                &["`evt-2` is cited twice", "2 of the cited shadow decisions count, and 3 are needed"],
            ),
            (right(), &[1, 2, 3, 9], &["`evt-9` is no shadow decision"]),
            (with(&[other_action]), &[1, 2, 3, 4], &["`evt-4` is about `scale_in` of `web`"]),
            (with(&[other_component]), &[1, 2, 3, 5], &["`evt-5` is about `restart_instance` of `db`"]),
            (with(&[decision(6, &[])]), &[1, 2, 3, 6], &["`evt-6` was judged by nobody"]),
            (with(&[decision(6, &[true, false])]), &[1, 2, 3, 6], &["`evt-6` was judged wrong by `p-2`"]),
            (
                with(&[decision(6, &[false]), decision(7, &[true, false])]),
                &[1, 2, 3],
                &["2 shadow decisions were judged wrong since the first cited one, and 0 may be: `evt-7`"],
            ),
        ] {
            assert_eq!(missing(&known, cites, None, bar), told, "{cites:?}");
        }
    }

    #[test]
    fn what_was_decided_before_the_action_was_taken_back_speaks_for_nothing() {
        let known: Vec<ShadowDecision> = (1..=5).map(|n| decision(n, &[true])).collect();
        assert_eq!(
            missing(&known, &[2, 3, 4, 5], Some(at(2)), Bar::default()),
            ["`evt-2` is from before the action was last taken back, at 2026-01-01T00:00:02.000000Z"]
        );
        assert!(missing(&known, &[3, 4, 5], Some(at(2)), Bar::default()).is_empty());
    }

    #[test]
    fn what_was_judged_wrong_before_the_first_cited_one_is_of_the_past() {
        let known =
            [decision(1, &[false]), decision(2, &[true]), decision(3, &[true, true]), decision(4, &[true])].to_vec();
        assert!(missing(&known, &[2, 3, 4], None, Bar::default()).is_empty());
    }

    #[test]
    fn the_bar_is_the_installations() {
        let known = [decision(1, &[true]), decision(2, &[false])].to_vec();
        assert_eq!(missing(&known, &[1], None, Bar { right_least: 1, wrong_most: 0 }).len(), 1);
        assert!(missing(&known, &[1], None, Bar { right_least: 1, wrong_most: 1 }).is_empty());
        // Where none is needed, one must be cited all the same.
        assert_eq!(missing(&known, &[], None, Bar { right_least: 0, wrong_most: 9 }).len(), 1);
    }

    #[test]
    fn going_less_far_needs_no_evidence() {
        for (from, to) in [(Mode::Auto, Mode::Propose), (Mode::Auto, Mode::Shadow), (Mode::Propose, Mode::Shadow)] {
            let change = ModeChange {
                component: &web(),
                action: RemedyAction::ScaleIn,
                from,
                to,
                cites: &[],
                known: &[],
                lowered_at: None,
            };
            assert!(!change.is_promotion());
            assert_eq!(change.check(Bar::default()), Ok(()));
        }
    }
}
