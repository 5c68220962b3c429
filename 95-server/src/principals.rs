//! The people that an installation begins with, and what they agreed to beforehand.

use crate::server::ServerError;
use crate::state::StateDir;
use std::path::PathBuf;
use std::time::Duration;
use writ_core::{ApprovalId, Entropy, PrincipalId, Timestamp};
use writ_pipeline::{Consent, Journal, Standing, enrol, people, was_issued};

/// How an installation begins: all that tells `dev` from a server, besides the configuration.
#[derive(Debug)]
pub struct Beginning {
    /// Who is known from the beginning.
    people: &'static [Newcomer],
    /// Whether a token whose file is lost is made anew.
    lost_tokens_return: bool,
    /// Whether changes of what governs need a second person.
    pub(crate) consent: Consent,
    /// Whether the first two agree at once to remedies, for a day.
    standing: bool,
    /// Whether only this machine may be served.
    pub(crate) loopback_alone: bool,
    /// Whether people may break things to see them healed.
    pub(crate) breakable: bool,
}

/// Somebody who is known from the beginning, with a token in a file.
#[derive(Debug)]
struct Newcomer {
    name: &'static str,
    id: &'static str,
    roles: &'static [&'static str],
}

impl Beginning {
    /// Two people, the second of whom approves what the first asks for, and remedies agreed to for a day.
    pub const DEV: Self = Self {
        people: &[
            Newcomer { name: "operator", id: "person-01", roles: &["viewer", "operator", "admin"] },
            Newcomer {
                name: "reviewer",
                id: "person-02",
                roles: &["viewer", "approver", "release-manager", "capacity-owner"],
            },
        ],
        lost_tokens_return: true,
        consent: Consent::One,
        standing: true,
        loopback_alone: true,
        breakable: true,
    };

    /// One administrator, who makes everybody else known; nothing is agreed to.
    pub const SERVER: Self = Self {
        people: &[Newcomer { name: "admin", id: "person-01", roles: &["viewer", "operator", "admin"] }],
        lost_tokens_return: false,
        consent: Consent::Two,
        standing: false,
        loopback_alone: false,
        breakable: false,
    };

    /// What is agreed to at the beginning: remedies within the example's policy, for a day.
    #[must_use]
    pub(crate) fn standing(&self, now: Timestamp, chance: [u8; 10]) -> Option<Standing> {
        let person = |at: usize| self.people.get(at)?.id.parse::<PrincipalId>().ok();
        self.standing.then_some(())?;
        Some(Standing {
            actions: ["restart_instance", "restart_service", "restore_balancer", "scale_out", "scale_in"]
                .map(str::to_owned)
                .to_vec(),
            approvers: vec![person(1)?],
            author: person(0)?,
            budget: writ_pipeline::StandingBudget { count: 600, period_seconds: 3_600 },
            expires_at: now.plus(Duration::from_secs(86_400)),
            granted_at: now,
            id: ApprovalId::mint(now.millis(), chance),
            targets: vec!["*".into()],
        })
    }
}

/// Makes the people of a beginning known, each with a token in a file that only its owner can read; answers the files that it
/// wrote. Where lost tokens return, a file that is lost, or holds what was never issued to its person, gets a new token:
/// whoever can write the state directory is its owner. A token that was revoked stays so.
///
/// # Errors
/// When a token cannot be read, written or recorded.
pub(crate) async fn admit(
    state: &StateDir,
    journal: &Journal,
    entropy: &dyn Entropy,
    beginning: &Beginning,
) -> Result<Vec<PathBuf>, ServerError> {
    let mut made = Vec::new();
    if !beginning.lost_tokens_return && !people(journal).await?.is_empty() {
        return Ok(made);
    }
    for newcomer in beginning.people {
        let Ok(id) = newcomer.id.parse::<PrincipalId>() else { continue };
        let file = format!("tokens/{}", newcomer.name);
        if let Some(token) = state.read_secret(&file)?
            && was_issued(journal, &id, &token).await?
        {
            continue;
        }
        let mut bytes = [0; 24];
        entropy.fill(&mut bytes);
        let token = format!("writ_{}", hex::encode(bytes));
        state.write_secret(&file, &token)?;
        enrol(journal, &id, newcomer.name, newcomer.roles, &token).await?;
        made.push(state.path(&file));
    }
    Ok(made)
}
