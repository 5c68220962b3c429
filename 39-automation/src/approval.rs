//! People's agreement: N of M distinct people, never the one who asked, to exactly what they were shown, in time, once.

use crate::body::ApprovalTerms;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use writ_core::{Actor, ActorKind, ApprovalId, Digest, PrincipalId, Timestamp};

/// What people are asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// People who may not answer besides the one who asks: authors of what is approved.
    pub excluded: Vec<PrincipalId>,
    /// Who asks.
    pub requester: Actor,
    /// Digest of what they are shown.
    pub shown: Digest,
    /// What it is about: a run, a step, a patch.
    pub subject: String,
    /// How many, of which role, by when.
    pub terms: ApprovalTerms,
}

/// One person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ballot {
    /// Whether they agree.
    pub agrees: bool,
    /// Who.
    pub by: PrincipalId,
    /// Commitment to their words, which stand beside the journal and can be erased.
    pub reason: Option<Digest>,
    /// The roles they hold of those that are asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Digest of what they were shown.
    pub shown: Digest,
}

/// How far an approval has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Answers are counted.
    Open,
    /// Enough people agreed.
    Granted,
    /// Somebody did not.
    Refused,
    /// Too few answered in time.
    Expired,
    /// What was shown is no longer what would be done.
    Void,
    /// It was used, and is used up.
    Used,
}

impl std::fmt::Display for ApprovalState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ApprovalState::Open => "open",
            ApprovalState::Granted => "granted",
            ApprovalState::Refused => "refused",
            ApprovalState::Expired => "expired",
            ApprovalState::Void => "void",
            ApprovalState::Used => "used",
        })
    }
}

/// What can happen to an approval. Each is an entry of its stream, `approval/<id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalChange {
    /// People were asked.
    Asked(Question),
    /// One of them answered.
    Voted(Ballot),
    /// That was enough.
    Granted,
    /// That was a no.
    Refused,
    /// Time ran out.
    Expired,
    /// What it was for has changed.
    Void {
        /// Digest of what would be done now; none when nothing would be.
        now_shown: Option<Digest>,
    },
    /// It was used.
    Used,
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BallotRefused {
    /// It is over.
    #[error("approval `{approval}` is {state}")]
    Over {
        /// The approval.
        approval: ApprovalId,
        /// Its state.
        state: ApprovalState,
    },
    /// It came too late.
    #[error("approval `{approval}` expired at {expired}")]
    Expired {
        /// The approval.
        approval: ApprovalId,
        /// When.
        expired: Timestamp,
    },
    /// Nobody approves what they asked for or wrote.
    #[error("`{by}` asked for it or wrote it, and cannot approve it")]
    OwnRequest {
        /// Who tried.
        by: PrincipalId,
    },
    /// One person, one voice.
    #[error("`{by}` has answered already")]
    Twice {
        /// Who tried.
        by: PrincipalId,
    },
    /// The person does not hold the role.
    #[error("`{by}` does not hold the role `{role}`")]
    Role {
        /// Who tried.
        by: PrincipalId,
        /// The role.
        role: String,
    },
    /// The person was shown something else.
    #[error("what was shown is {shown}, but what would be done is {waiting}; look again")]
    OtherShown {
        /// Digest of what was shown.
        shown: Digest,
        /// Digest of what would be done.
        waiting: Digest,
    },
}

/// Why an approval cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotUsable {
    /// It is not granted, or used up.
    #[error("approval `{approval}` is {state}")]
    State {
        /// The approval.
        approval: ApprovalId,
        /// Its state.
        state: ApprovalState,
    },
    /// It is for something else.
    #[error("approval `{approval}` is for {shown}, not for {asked}")]
    Other {
        /// The approval.
        approval: ApprovalId,
        /// Digest of what was approved.
        shown: Digest,
        /// Digest of what would be done.
        asked: Digest,
    },
    /// It is too old.
    #[error("approval `{approval}` expired at {expired}")]
    Expired {
        /// The approval.
        approval: ApprovalId,
        /// When.
        expired: Timestamp,
    },
}

/// An approval: the fold of its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    ballots: BTreeMap<PrincipalId, Ballot>,
    question: Question,
    state: ApprovalState,
}

impl Approval {
    /// Asks people.
    #[must_use]
    pub fn ask(question: Question) -> (Self, ApprovalChange) {
        let change = ApprovalChange::Asked(question.clone());
        (Self { ballots: BTreeMap::new(), question, state: ApprovalState::Open }, change)
    }

    /// The approval that these changes tell; none when they do not begin with the question.
    pub fn fold<'a>(changes: impl IntoIterator<Item = &'a ApprovalChange>) -> Option<Self> {
        let mut changes = changes.into_iter();
        let ApprovalChange::Asked(question) = changes.next()? else { return None };
        let (mut approval, _) = Self::ask(question.clone());
        changes.for_each(|change| approval.apply(change));
        Some(approval)
    }

    /// Takes one more change in.
    pub fn apply(&mut self, change: &ApprovalChange) {
        self.state = match change {
            ApprovalChange::Asked(_) => return,
            ApprovalChange::Voted(ballot) => {
                self.ballots.insert(ballot.by.clone(), ballot.clone());
                return;
            }
            ApprovalChange::Granted => ApprovalState::Granted,
            ApprovalChange::Refused => ApprovalState::Refused,
            ApprovalChange::Expired => ApprovalState::Expired,
            ApprovalChange::Void { .. } => ApprovalState::Void,
            ApprovalChange::Used => ApprovalState::Used,
        };
    }

    /// What was asked.
    #[must_use]
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// How far it has come.
    #[must_use]
    pub fn state(&self) -> ApprovalState {
        self.state
    }

    /// The answers so far.
    pub fn ballots(&self) -> impl Iterator<Item = &Ballot> {
        self.ballots.values()
    }

    /// Counts somebody's answer only for roles that they still have; where they have none of them, others must answer instead.
    pub fn discount(&mut self, by: &PrincipalId, left: Vec<String>) {
        if left.is_empty() {
            self.ballots.remove(by);
        } else if let Some(ballot) = self.ballots.get_mut(by).filter(|ballot| !ballot.roles.is_empty()) {
            ballot.roles = left;
        }
    }

    /// How many people agreed so far.
    #[must_use]
    pub fn agreed(&self) -> usize {
        self.ballots.values().filter(|ballot| ballot.agrees).count()
    }

    /// Whether enough people of each role agree.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.is_enough(None)
    }

    /// The same, with one more of them.
    fn is_enough(&self, with: Option<&Ballot>) -> bool {
        let terms = &self.question.terms;
        // A ballot that names no role was cast for the one that was asked for.
        let holds = |ballot: &Ballot, role: &str| match ballot.roles.as_slice() {
            [] => role == terms.role,
            roles => roles.iter().any(|held| held == role),
        };
        let agreeing = |role: &str| {
            let ballots = self.ballots.values().chain(with);
            ballots.filter(|ballot| ballot.agrees && holds(ballot, role)).count()
        };
        terms.quorums().all(|(role, count)| agreeing(role) >= count.max(1) as usize)
    }

    /// Counts one person's answer. `roles` are those the person holds now.
    ///
    /// # Errors
    /// When it does not count; that is worth an entry of the caller's.
    pub fn vote(&self, ballot: &Ballot, roles: &[&str], now: Timestamp) -> Result<Vec<ApprovalChange>, BallotRefused> {
        let terms = &self.question.terms;
        let (approval, by) = (terms.approval.clone(), ballot.by.clone());
        if self.state != ApprovalState::Open {
            return Err(BallotRefused::Over { approval, state: self.state });
        }
        if now >= terms.expires_at {
            return Err(BallotRefused::Expired { approval, expired: terms.expires_at });
        }
        let asker = &self.question.requester;
        let own = asker.kind == ActorKind::Human && asker.id == by.as_str();
        if own || self.question.excluded.contains(&by) {
            return Err(BallotRefused::OwnRequest { by });
        }
        if self.ballots.contains_key(&by) {
            return Err(BallotRefused::Twice { by });
        }
        let held: Vec<String> =
            terms.quorums().filter(|(role, _)| roles.contains(role)).map(|(role, _)| role.to_owned()).collect();
        if held.is_empty() {
            let asked: Vec<&str> = terms.quorums().map(|(role, _)| role).collect();
            return Err(BallotRefused::Role { by, role: asked.join("` or `") });
        }
        if ballot.shown != self.question.shown {
            return Err(BallotRefused::OtherShown { shown: ballot.shown, waiting: self.question.shown });
        }
        let ballot = Ballot { roles: held, ..ballot.clone() };
        let enough = self.is_enough(Some(&ballot));
        let voted = ApprovalChange::Voted(ballot.clone());
        Ok(match (ballot.agrees, enough) {
            (false, _) => vec![voted, ApprovalChange::Refused],
            (true, true) => vec![voted, ApprovalChange::Granted],
            (true, false) => vec![voted],
        })
    }

    /// What becomes of it by time or change alone: `shown` is the digest of what would be done now.
    #[must_use]
    pub fn lapse(&self, shown: Digest, now: Timestamp) -> Option<ApprovalChange> {
        let pending = matches!(self.state, ApprovalState::Open | ApprovalState::Granted);
        if pending && shown != self.question.shown {
            return Some(ApprovalChange::Void { now_shown: Some(shown) });
        }
        (self.state == ApprovalState::Open && now >= self.question.terms.expires_at).then_some(ApprovalChange::Expired)
    }

    /// Uses it up for exactly what was shown.
    ///
    /// # Errors
    /// When it is not granted, was used, expired, or is for something else.
    pub fn spend(&self, shown: Digest, now: Timestamp) -> Result<ApprovalChange, NotUsable> {
        let approval = self.question.terms.approval.clone();
        if self.state != ApprovalState::Granted {
            return Err(NotUsable::State { approval, state: self.state });
        }
        if shown != self.question.shown {
            return Err(NotUsable::Other { approval, shown: self.question.shown, asked: shown });
        }
        if now >= self.question.terms.expires_at {
            return Err(NotUsable::Expired { approval, expired: self.question.terms.expires_at });
        }
        Ok(ApprovalChange::Used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn shown(byte: u8) -> Digest {
        Digest([byte; 32])
    }

    fn person(name: &str) -> PrincipalId {
        name.parse().unwrap()
    }

    fn asked(count: u32) -> Approval {
        let terms = ApprovalTerms {
            also: BTreeMap::new(),
            approval: ApprovalId::mint(1, [1; 10]),
            count,
            decision: shown(9),
            expires_at: at(100),
            role: "release-manager".into(),
        };
        let requester = Actor::human(&person("ann"));
        let subject = "run".into();
        Approval::ask(Question { excluded: vec![person("eve")], requester, shown: shown(1), subject, terms }).0
    }

    fn ballot(by: &str, agrees: bool) -> Ballot {
        Ballot { agrees, by: person(by), reason: None, roles: vec!["release-manager".into()], shown: shown(1) }
    }

    const ROLES: &[&str] = &["release-manager"];

    #[test]
    fn two_distinct_people_are_needed_where_two_are_asked_for() {
        let mut approval = asked(2);
        let first = approval.vote(&ballot("bob", true), ROLES, at(1)).unwrap();
        assert_eq!(first, [ApprovalChange::Voted(ballot("bob", true))]);
        first.iter().for_each(|change| approval.apply(change));
        let again = approval.vote(&ballot("bob", true), ROLES, at(2)).unwrap_err();
        assert_eq!(again, BallotRefused::Twice { by: person("bob") });
        let second = approval.vote(&ballot("cid", true), ROLES, at(3)).unwrap();
        assert_eq!(second.last(), Some(&ApprovalChange::Granted));
    }

    #[test]
    fn the_asker_an_author_a_stranger_and_a_latecomer_do_not_count() {
        let approval = asked(1);
        let own = BallotRefused::OwnRequest { by: person("ann") };
        assert_eq!(approval.vote(&ballot("ann", true), ROLES, at(1)), Err(own));
        let author = BallotRefused::OwnRequest { by: person("eve") };
        assert_eq!(approval.vote(&ballot("eve", true), ROLES, at(1)), Err(author));
        let role = BallotRefused::Role { by: person("bob"), role: "release-manager".into() };
        assert_eq!(approval.vote(&ballot("bob", true), &["viewer"], at(1)), Err(role));
        assert!(matches!(approval.vote(&ballot("bob", true), ROLES, at(100)), Err(BallotRefused::Expired { .. })));
        let other = Ballot { shown: shown(2), ..ballot("bob", true) };
        assert!(matches!(approval.vote(&other, ROLES, at(1)), Err(BallotRefused::OtherShown { .. })));
    }

    #[test]
    fn every_role_that_is_asked_for_must_agree() {
        let mut approval = asked(1);
        approval.question.terms.also = BTreeMap::from([("security".into(), 1)]);
        let first = approval.vote(&ballot("bob", true), ROLES, at(1)).unwrap();
        assert_eq!(first.len(), 1, "the release manager alone is not enough");
        first.iter().for_each(|change| approval.apply(change));
        let second = approval.vote(&ballot("cid", true), &["security"], at(2)).unwrap();
        assert_eq!(second.last(), Some(&ApprovalChange::Granted));
        let both = asked(1).vote(&ballot("dan", true), &["release-manager", "security"], at(1)).unwrap();
        assert_eq!(both.last(), Some(&ApprovalChange::Granted));
        let neither = approval.vote(&ballot("eva", true), &["viewer"], at(3)).unwrap_err();
        assert_eq!(neither.to_string(), "`eva` does not hold the role `release-manager` or `security`");
    }

    #[test]
    fn one_no_ends_it() {
        let mut approval = asked(2);
        let changes = approval.vote(&ballot("bob", false), ROLES, at(1)).unwrap();
        changes.iter().for_each(|change| approval.apply(change));
        assert_eq!(approval.state(), ApprovalState::Refused);
        assert!(matches!(approval.vote(&ballot("cid", true), ROLES, at(2)), Err(BallotRefused::Over { .. })));
    }

    #[test]
    fn a_granted_approval_is_used_once_in_time_and_for_what_was_shown() {
        let mut approval = asked(1);
        approval.apply(&ApprovalChange::Granted);
        assert!(matches!(approval.spend(shown(2), at(1)), Err(NotUsable::Other { .. })));
        assert!(matches!(approval.spend(shown(1), at(100)), Err(NotUsable::Expired { .. })));
        let used = approval.spend(shown(1), at(2)).unwrap();
        approval.apply(&used);
        assert!(matches!(approval.spend(shown(1), at(3)), Err(NotUsable::State { state: ApprovalState::Used, .. })));
    }

    #[test]
    fn a_change_of_what_was_shown_voids_it() {
        let mut approval = asked(1);
        let void = approval.lapse(shown(2), at(1)).unwrap();
        approval.apply(&void);
        assert_eq!(approval.state(), ApprovalState::Void);
        assert_eq!(asked(1).lapse(shown(1), at(99)), None);
        assert_eq!(asked(1).lapse(shown(1), at(100)), Some(ApprovalChange::Expired));
    }
}
