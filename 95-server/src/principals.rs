//! The two people of a `dev` installation, and what they agreed to beforehand.

use crate::dev::DevError;
use crate::state::StateDir;
use std::time::Duration;
use writ_core::{ApprovalId, Entropy, PrincipalId, Timestamp};
use writ_pipeline::{Journal, Standing, enrol, was_issued};

/// Name, id and roles of each: the second approves what the first asks for.
const PEOPLE: [(&str, &str, &[&str]); 2] = [
    ("operator", "person-01", &["viewer", "operator", "admin"]),
    ("reviewer", "person-02", &["viewer", "approver", "release-manager", "capacity-owner"]),
];

/// Makes the people of a `dev` installation known, each with a token in a file that only its owner can read. A file that is lost,
/// or holds what was never issued to its person, gets a new token: whoever can write the state directory is its owner. A token
/// that was revoked stays so.
///
/// # Errors
/// When a token cannot be read, written or recorded.
pub(crate) async fn admit(state: &StateDir, journal: &Journal, entropy: &dyn Entropy) -> Result<(), DevError> {
    for (name, id, roles) in PEOPLE {
        let Ok(id) = id.parse::<PrincipalId>() else { continue };
        let file = format!("tokens/{name}");
        if let Some(token) = state.read_secret(&file)?
            && was_issued(journal, &id, &token).await?
        {
            continue;
        }
        let mut bytes = [0; 24];
        entropy.fill(&mut bytes);
        let token = format!("writ_{}", hex::encode(bytes));
        state.write_secret(&file, &token)?;
        enrol(journal, &id, name, roles, &token).await?;
    }
    Ok(())
}

/// What the two agree to when a `dev` installation begins: remedies within the example's policy, for a day.
#[must_use]
pub(crate) fn standing(now: Timestamp, chance: [u8; 10]) -> Option<Standing> {
    let person = |at: usize| PEOPLE.get(at)?.1.parse::<PrincipalId>().ok();
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
