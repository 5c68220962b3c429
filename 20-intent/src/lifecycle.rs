//! The states an intent goes through.

use crate::intent::words;

words! {
    /// Where an intent stands.
    State {
        /// Written, not submitted.
        Draft => "draft",
        /// Being read and judged.
        Validating => "validating",
        /// Not sound, or not allowed.
        Invalid => "invalid",
        /// Sound and allowed.
        Validated => "validated",
        /// A layout is looked for.
        Translating => "translating",
        /// A layout was found.
        Translated => "translated",
        /// The plan is tried without effect.
        Simulating => "simulating",
        /// The plan may be carried out.
        Ready => "ready",
        /// The plan is being carried out.
        Executing => "executing",
        /// What it wants is there.
        Active => "active",
        /// It is watched.
        Monitoring => "monitoring",
        /// A better plan is being carried out.
        Optimizing => "optimizing",
        /// What it wants holds no longer in full.
        Degraded => "degraded",
        /// It is being brought back.
        Recovering => "recovering",
        /// It was given up until a person acts.
        Failed => "failed",
        /// It is being taken away.
        Decommissioning => "decommissioning",
        /// It is gone; its history stays.
        Archived => "archived",
    }
}

/// A move that the lifecycle does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an intent that is `{from}` cannot become `{to}`")]
pub struct IllegalMove {
    /// Where it stands.
    pub from: State,
    /// Where it was to go.
    pub to: State,
}

impl State {
    /// The state itself when it may follow this one.
    ///
    /// # Errors
    /// Names both states when it may not.
    pub fn to(self, next: State) -> Result<State, IllegalMove> {
        if self.may_become(next) { Ok(next) } else { Err(IllegalMove { from: self, to: next }) }
    }

    fn may_become(self, next: State) -> bool {
        use State::{
            Active, Archived, Decommissioning, Degraded, Draft, Executing, Failed, Invalid, Monitoring, Optimizing,
            Ready, Recovering, Simulating, Translated, Translating, Validated, Validating,
        };
        match self {
            Draft => matches!(next, Validating | Archived),
            Validating => matches!(next, Invalid | Validated),
            Invalid => matches!(next, Draft | Validating | Decommissioning | Archived),
            Validated => matches!(next, Translating | Draft | Archived),
            Translating => matches!(next, Translated | Invalid | Failed),
            Translated => matches!(next, Simulating | Ready | Draft | Archived),
            Simulating => matches!(next, Ready | Translated | Failed),
            // A plan that became stale is made again.
            Ready => matches!(next, Executing | Translating | Draft | Archived),
            Executing => matches!(next, Active | Degraded | Failed),
            Active => matches!(next, Monitoring | Optimizing | Degraded | Validating | Decommissioning),
            // A new version of a live intent enters by the front door.
            Monitoring => matches!(next, Optimizing | Degraded | Validating | Decommissioning),
            Optimizing => matches!(next, Active | Monitoring | Degraded | Failed),
            Degraded => matches!(next, Recovering | Monitoring | Validating | Failed | Decommissioning),
            Recovering => matches!(next, Active | Monitoring | Degraded | Failed),
            Failed => matches!(next, Draft | Validating | Recovering | Decommissioning | Archived),
            // Taking it away may be given up: what is there of it then says what it is.
            Decommissioning => matches!(next, Archived | Degraded | Recovering | Failed),
            // A new version brings it back.
            Archived => matches!(next, Validating),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = State> {
        State::WORDS.iter().map(|(_, state)| *state)
    }

    #[test]
    fn row_2_02_every_state_of_the_lifecycle_is_known_and_can_be_reached() {
        assert_eq!(all().count(), 17);
        let mut reached = vec![State::Draft];
        while let Some(next) = all().find(|to| !reached.contains(to) && reached.iter().any(|from| from.may_become(*to)))
        {
            reached.push(next);
        }
        assert_eq!(reached.len(), 17);
    }

    #[test]
    fn row_2_02_the_way_from_a_draft_to_a_watched_service_is_open() {
        use State::*;
        let way = [
            Draft,
            Validating,
            Validated,
            Translating,
            Translated,
            Simulating,
            Ready,
            Executing,
            Active,
            Monitoring,
            Degraded,
            Recovering,
            Monitoring,
            Optimizing,
            Active,
            Decommissioning,
            Archived,
        ];
        for pair in way.windows(2) {
            assert_eq!(pair[0].to(pair[1]), Ok(pair[1]));
        }
    }

    #[test]
    fn only_a_new_version_leaves_the_archive_and_every_state_has_a_way_out() {
        let ways = |state: State| all().filter(move |next| state.may_become(*next));
        assert_eq!(ways(State::Archived).collect::<Vec<_>>(), [State::Validating]);
        for state in all() {
            assert!(ways(state).next().is_some(), "{state}");
        }
    }

    #[test]
    fn a_refused_move_names_both_states() {
        let error = State::Draft.to(State::Active).unwrap_err();
        assert_eq!(error.to_string(), "an intent that is `draft` cannot become `active`");
    }
}
