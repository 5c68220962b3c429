//! A recommendation on its way from draft to what came of it. Transitions stand in one match; what is not there is refused.

use crate::event::Made;
use crate::recommend::Recommendation;
use serde::{Deserialize, Serialize};
use writ_core::{Actor, ActorKind, Digest, RecommendationId, Timestamp};

/// Where a recommendation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is being made.
    Draft,
    /// It can be taken up.
    Active,
    /// Somebody works on it; its content no longer changes.
    Claimed {
        /// Who.
        by: Actor,
    },
    /// A person agreed to just this patch.
    Approved {
        /// Who.
        by: Actor,
        /// To what.
        digest: Digest,
    },
    /// The patch has entered by the front door.
    Applying {
        /// Digest of the document that came of it.
        changed: Digest,
    },
    /// It is looked what the change does.
    Verifying {
        /// Since when.
        since: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// It brought what was expected.
    Realised,
    /// It did not.
    Missed,
    /// It was taken back.
    Reverted,
    /// A person decided against it.
    Dismissed,
    /// A newer one says better.
    Superseded {
        /// Which.
        by: RecommendationId,
    },
    /// Nobody took it up in time.
    Expired,
}

impl State {
    /// The state's name.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            State::Draft => "draft",
            State::Active => "active",
            State::Claimed { .. } => "claimed",
            State::Approved { .. } => "approved",
            State::Applying { .. } => "applying",
            State::Verifying { .. } => "verifying",
            State::Realised => "realised",
            State::Missed => "missed",
            State::Reverted => "reverted",
            State::Dismissed => "dismissed",
            State::Superseded { .. } => "superseded",
            State::Expired => "expired",
        }
    }

    /// The state after a move.
    ///
    /// # Errors
    /// When the move is not possible from here.
    pub fn after(self, step: &Move) -> Result<State, IllegalMove> {
        use State::{Active, Applying, Approved, Claimed, Dismissed, Draft, Expired, Superseded, Verifying};
        Ok(match (self, step) {
            (Draft, Move::Activate) | (Dismissed, Move::Reopen) | (Claimed { .. }, Move::Release) => Active,
            (Active, Move::Claim { by }) => Claimed { by: by.clone() },
            (Active | Claimed { .. }, Move::Approve { by, digest }) => Approved { by: by.clone(), digest: *digest },
            (Approved { .. }, Move::Apply { changed }) => Applying { changed: *changed },
            // Refused at the front door: the approval is spent, the recommendation is not.
            (Approved { .. } | Applying { .. }, Move::Refuse) => Active,
            (Applying { .. }, Move::Watch { since, until }) => Verifying { since: *since, until: *until },
            (Verifying { .. }, Move::Realise) => State::Realised,
            (Verifying { .. }, Move::Miss) => State::Missed,
            (Verifying { .. } | State::Missed, Move::Revert) => State::Reverted,
            (Draft | Active | Claimed { .. }, Move::Dismiss) => Dismissed,
            (Draft | Active | Claimed { .. }, Move::Supersede { by }) => Superseded { by: by.clone() },
            (Draft | Active | Claimed { .. } | Approved { .. }, Move::Expire) => Expired,
            (state, step) => return Err(IllegalMove { state: state.label(), step: step.done() }),
        })
    }
}

/// What moves a recommendation on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "move", rename_all = "snake_case")]
pub enum Move {
    /// It is complete.
    Activate,
    /// Somebody takes it up.
    Claim {
        /// Who.
        by: Actor,
    },
    /// Somebody lets it go.
    Release,
    /// A person agrees.
    Approve {
        /// Who.
        by: Actor,
        /// To what: the digest of what was shown.
        digest: Digest,
    },
    /// The patch made a new version.
    Apply {
        /// Digest of the document that came of it.
        changed: Digest,
    },
    /// The front door refused it.
    Refuse,
    /// The change is in effect and is looked at.
    Watch {
        /// From when.
        since: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// It brought what was expected.
    Realise,
    /// It did not.
    Miss,
    /// It was taken back.
    Revert,
    /// A person decides against it.
    Dismiss,
    /// A person takes that back.
    Reopen,
    /// A newer one says better.
    Supersede {
        /// Which.
        by: RecommendationId,
    },
    /// Its time is over.
    Expire,
}

impl Move {
    /// The move's name.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Move::Activate => "activate",
            Move::Claim { .. } => "claim",
            Move::Release => "release",
            Move::Approve { .. } => "approve",
            Move::Apply { .. } => "apply",
            Move::Refuse => "refuse",
            Move::Watch { .. } => "watch",
            Move::Realise => "realise",
            Move::Miss => "miss",
            Move::Revert => "revert",
            Move::Dismiss => "dismiss",
            Move::Reopen => "reopen",
            Move::Supersede { .. } => "supersede",
            Move::Expire => "expire",
        }
    }

    /// What a recommendation is after it.
    fn done(&self) -> &'static str {
        match self {
            Move::Activate => "activated",
            Move::Claim { .. } => "claimed",
            Move::Release => "released",
            Move::Approve { .. } => "approved",
            Move::Apply { .. } => "applied",
            Move::Refuse => "refused",
            Move::Watch { .. } => "watched",
            Move::Realise => "realised",
            Move::Miss => "missed",
            Move::Revert => "reverted",
            Move::Dismiss => "dismissed",
            Move::Reopen => "reopened",
            Move::Supersede { .. } => "superseded",
            Move::Expire => "expired",
        }
    }
}

/// A move is not possible from a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a recommendation that is {state} cannot be {step}")]
pub struct IllegalMove {
    /// The state's name.
    pub state: &'static str,
    /// What it cannot be.
    pub step: &'static str,
}

/// A recommendation with where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What is recommended.
    pub recommendation: Recommendation,
    /// Who made it.
    pub author: Actor,
    /// Digest of the recommendation as it is shown: what an approval binds to.
    pub digest: Digest,
    /// When it is too old to be taken up.
    pub expires_at: Timestamp,
    /// Where it stands.
    pub state: State,
}

/// Why an approval is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is nothing to agree to.
    #[error("`{id}` changes nothing, so there is nothing to approve; do what it says, or reject it")]
    NoPatch {
        /// The recommendation.
        id: RecommendationId,
    },
    /// The author cannot approve.
    #[error("`{by}` made `{id}` and cannot approve it; another person must")]
    Author {
        /// The recommendation.
        id: RecommendationId,
        /// Who tried.
        by: Actor,
    },
    /// Only people approve.
    #[error("`{by}` is not a person and cannot approve `{id}`")]
    NotAPerson {
        /// The recommendation.
        id: RecommendationId,
        /// Who tried.
        by: Actor,
    },
    /// The intent has changed since it was recommended.
    #[error("`{id}` was made for {base} and the intent is {now} by now; a new recommendation is needed")]
    Stale {
        /// The recommendation.
        id: RecommendationId,
        /// What it was made for.
        base: Digest,
        /// What is there.
        now: Digest,
    },
    /// What was shown is not what is proposed.
    #[error("what was shown, {shown}, is not `{id}` as it stands, {digest}; look at it again")]
    Shown {
        /// The recommendation.
        id: RecommendationId,
        /// What was shown.
        shown: Digest,
        /// What it is.
        digest: Digest,
    },
    /// Its time is over.
    #[error("`{id}` expired at {at}")]
    Expired {
        /// The recommendation.
        id: RecommendationId,
        /// When.
        at: Timestamp,
    },
    /// It is in no state to be approved.
    #[error("`{id}` cannot be approved now")]
    Illegal {
        /// The recommendation.
        id: RecommendationId,
        /// Why not.
        #[source]
        source: IllegalMove,
    },
}

impl Proposal {
    /// The proposal that an event tells of, ready to be taken up; moves that were recorded since are applied to it.
    #[must_use]
    pub fn made(event: &Made) -> Self {
        Self {
            recommendation: event.recommendation.clone(),
            author: event.author.clone(),
            digest: event.digest,
            expires_at: event.expires_at,
            state: State::Active,
        }
    }

    /// A person's approval as a move, if it may be one: `shown` is the digest of what the person was shown, `intent` that of
    /// the document as it is now.
    ///
    /// # Errors
    /// When the author, or anything but a person, tries; when the intent or the recommendation has changed since it was shown;
    /// when its time is over.
    pub fn approve(&self, by: &Actor, shown: &Digest, intent: &Digest, now: Timestamp) -> Result<Move, Refused> {
        let id = || self.recommendation.id.clone();
        let Some(patch) = &self.recommendation.patch else { return Err(Refused::NoPatch { id: id() }) };
        if by.kind != ActorKind::Human {
            return Err(Refused::NotAPerson { id: id(), by: by.clone() });
        }
        if *by == self.author {
            return Err(Refused::Author { id: id(), by: by.clone() });
        }
        if self.is_over(now) {
            return Err(Refused::Expired { id: id(), at: self.expires_at });
        }
        let step = Move::Approve { by: by.clone(), digest: self.digest };
        // What was answered before has changed its own base: that it was answered is what there is to say.
        if let Err(source) = self.state.clone().after(&step) {
            return Err(Refused::Illegal { id: id(), source });
        }
        if *shown != self.digest {
            return Err(Refused::Shown { id: id(), shown: *shown, digest: self.digest });
        }
        if patch.base != *intent {
            return Err(Refused::Stale { id: id(), base: patch.base, now: *intent });
        }
        Ok(step)
    }

    /// Whether nobody took it up in time, whether or not that is recorded yet.
    fn is_over(&self, now: Timestamp) -> bool {
        let waits = matches!(self.state, State::Draft | State::Active | State::Claimed { .. });
        self.state == State::Expired || (waits && now >= self.expires_at)
    }

    /// Takes in a move.
    ///
    /// # Errors
    /// When it is not possible from here; nothing has changed then.
    pub fn apply(&mut self, step: &Move) -> Result<(), IllegalMove> {
        self.state = self.state.clone().after(step)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(kind: ActorKind) -> Actor {
        Actor { id: "p-2".to_owned(), kind }
    }

    fn all_states() -> Vec<State> {
        let (at, digest) = (Timestamp::from_micros(5), Digest([3; 32]));
        vec![
            State::Draft,
            State::Active,
            State::Claimed { by: actor(ActorKind::Human) },
            State::Approved { by: actor(ActorKind::Human), digest },
            State::Applying { changed: digest },
            State::Verifying { since: at, until: at },
            State::Realised,
            State::Missed,
            State::Reverted,
            State::Dismissed,
            State::Superseded { by: "OPT-009".parse().unwrap() },
            State::Expired,
        ]
    }

    fn all_moves() -> Vec<Move> {
        let (at, digest) = (Timestamp::from_micros(5), Digest([3; 32]));
        vec![
            Move::Activate,
            Move::Claim { by: actor(ActorKind::Human) },
            Move::Release,
            Move::Approve { by: actor(ActorKind::Human), digest },
            Move::Apply { changed: digest },
            Move::Refuse,
            Move::Watch { since: at, until: at },
            Move::Realise,
            Move::Miss,
            Move::Revert,
            Move::Dismiss,
            Move::Reopen,
            Move::Supersede { by: "OPT-009".parse().unwrap() },
            Move::Expire,
        ]
    }

    #[test]
    fn just_these_moves_are_possible() {
        let mut table = String::new();
        for state in all_states() {
            let possible: Vec<String> = all_moves()
                .iter()
                .filter_map(|step| {
                    let after = state.clone().after(step).ok()?;
                    Some(format!("{} -> {}", step.label(), after.label()))
                })
                .collect();
            table += &format!("{}: {}\n", state.label(), possible.join(", "));
        }
        assert_eq!(
            table,
            "draft: activate -> active, dismiss -> dismissed, supersede -> superseded, expire -> expired\n\
             active: claim -> claimed, approve -> approved, dismiss -> dismissed, supersede -> superseded, expire -> expired\n\
             claimed: release -> active, approve -> approved, dismiss -> dismissed, supersede -> superseded, expire -> expired\n\
             approved: apply -> applying, refuse -> active, expire -> expired\n\
             applying: refuse -> active, watch -> verifying\n\
             verifying: realise -> realised, miss -> missed, revert -> reverted\n\
             realised: \n\
             missed: revert -> reverted\n\
             reverted: \n\
             dismissed: reopen -> active\n\
             superseded: \n\
             expired: \n"
        );
    }
}
