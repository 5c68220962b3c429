//! The two people of a `dev` installation, and what they agreed to beforehand.

use crate::state::{StateDir, StateError};
use std::time::Duration;
use writ_core::{ApprovalId, Entropy, PrincipalId, Timestamp};
use writ_pipeline::Standing;

/// Name, id and roles of each: the second approves what the first asks for.
const PEOPLE: [(&str, &str, &[&str]); 2] = [
    ("operator", "person-01", &["viewer", "operator", "admin"]),
    ("reviewer", "person-02", &["viewer", "approver", "release-manager", "capacity-owner"]),
];

/// A principal of a new installation with the token it was given.
#[derive(Debug, Clone)]
pub(crate) struct Newcomer {
    /// The name, and the name of the token's file.
    pub name: &'static str,
    /// The opaque id.
    pub id: PrincipalId,
    /// Roles.
    pub roles: &'static [&'static str],
    /// The token.
    pub token: String,
}

/// The people of a `dev` installation; tokens are made once and kept in files that only their owner can read.
///
/// # Errors
/// When a token cannot be read or written.
pub(crate) fn people(state: &StateDir, entropy: &dyn Entropy) -> Result<Vec<Newcomer>, StateError> {
    let mut all = Vec::new();
    for (name, id, roles) in PEOPLE {
        let file = format!("tokens/{name}");
        let token = match state.read_secret(&file)? {
            Some(token) => token,
            None => {
                let mut bytes = [0; 24];
                entropy.fill(&mut bytes);
                let token = format!("writ_{}", hex::encode(bytes));
                state.write_secret(&file, &token)?;
                token
            }
        };
        if let Ok(id) = id.parse() {
            all.push(Newcomer { name, id, roles, token });
        }
    }
    Ok(all)
}

/// What the two agree to when a `dev` installation begins: remedies within the example's policy, for a day.
#[must_use]
pub(crate) fn standing(now: Timestamp, chance: [u8; 10]) -> Option<Standing> {
    let person = |at: usize| PEOPLE.get(at)?.1.parse::<PrincipalId>().ok();
    Some(Standing {
        actions: ["restart_instance", "restart_service", "restore_balancer", "scale_out", "scale_in"].map(str::to_owned).to_vec(),
        approvers: vec![person(1)?],
        author: person(0)?,
        budget: writ_pipeline::StandingBudget { count: 600, period_seconds: 3_600 },
        expires_at: now.plus(Duration::from_secs(86_400)),
        granted_at: now,
        id: ApprovalId::mint(now.millis(), chance),
        targets: vec!["*".into()],
    })
}
