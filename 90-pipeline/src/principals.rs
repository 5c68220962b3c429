//! People and their tokens. A person is an opaque id with roles; a name is erasable; a token is kept as its hash.

use crate::approvals::Principal;
use crate::commit::{Batch, CommitError, Expect};
use crate::journal::Journal;
use serde_json::json;
use writ_core::{Actor, Draft, Erasable, LedgerError, Outcome, PrincipalId};
use writ_seal::{salted, sha256};

/// Enrols a person with roles and a token, unless they are known already.
///
/// # Errors
/// When nothing could be recorded.
pub async fn enrol(
    journal: &Journal,
    id: &PrincipalId,
    name: &str,
    roles: &[&str],
    token: &str,
) -> Result<(), CommitError> {
    let stream = format!("principal/{id}");
    let mut salt = [0; 32];
    journal.base().entropy.fill(&mut salt);
    let commitment = salted(&salt, name.as_bytes());
    let hash = sha256(token.as_bytes());
    let draft = |kind, action: &str, body| Draft {
        action: action.into(),
        actor: Actor::system("genesis"),
        body,
        kind,
        outcome: Outcome::Success,
        resource: id.to_string(),
        stream: stream.clone(),
    };
    let drafts = vec![
        draft(
            "principal.enrolled/1",
            "enrol_principal",
            json!({"principal": id, "roles": roles, "erasables": {"name": commitment}}),
        ),
        draft("principal.token_issued/1", "issue_token", json!({"principal": id, "roles": roles, "token_hash": hash})),
    ];
    let batch = Batch {
        drafts,
        expects: vec![Expect { stream: stream.clone(), version: 0 }],
        erasables: vec![Erasable { commitment, salt, bytes: name.as_bytes().to_vec() }],
        ..Batch::default()
    };
    match journal.commit(&journal.new_cause(), batch).await {
        Ok(_) | Err(CommitError::Stale { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The person whose token this is; none when it is nobody's.
///
/// # Errors
/// When the journal cannot be read.
pub async fn principal_of(journal: &Journal, token: &str) -> Result<Option<Principal>, LedgerError> {
    // Looking up the hash, not the token, is what makes the comparison safe against timing.
    let doc = journal.doc("tokens", &sha256(token.as_bytes()).hex()).await?;
    Ok(doc.and_then(|doc| {
        Some(Principal {
            id: doc.get("principal")?.as_str()?.parse().ok()?,
            roles: serde_json::from_value(doc.get("roles")?.clone()).ok()?,
        })
    }))
}
