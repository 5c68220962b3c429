//! Console sessions: a person who showed a token may look and answer for a while without showing it again. The journal has a
//! session's hash, never the session; it ends when it is closed, when its time is over, or when the token behind it is revoked.

use crate::approvals::Principal;
use crate::commit::{Batch, CommitError};
use crate::journal::Journal;
use crate::links::holder;
use crate::tokens::{narrowed, principal_until};
use serde_json::{Value, json};
use std::time::Duration;
use writ_core::{Actor, Digest, Draft, LedgerError, Outcome, Timestamp};
use writ_seal::sha256;

pub(crate) const OPENED: &str = "principal.session_opened/1";
/// Opened by what an issuer said, not by a token.
pub(crate) const OPENED_BY_LINK: &str = "principal.session_opened/2";
pub(crate) const CLOSED: &str = "principal.session_closed/1";
const REFUSED: &str = "principal.login_refused/1";

/// How long a session lasts.
pub const SESSION_SPAN: Duration = Duration::from_secs(12 * 3_600);

/// Why no session was opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The token is nobody's, or was revoked.
    #[error("the token is not valid")]
    Token,
    /// The subject is linked to nobody.
    #[error("the subject is linked to nobody")]
    Subject,
    /// It could not be recorded.
    #[error("the session could not be recorded")]
    Commit(#[from] CommitError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
}

/// A session that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What the browser shows from now on; nobody can ask for it again.
    pub secret: String,
    /// Whose it is.
    pub principal: Principal,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Records that somebody tried to log in with what opens nothing.
///
/// # Errors
/// When it could not be recorded.
pub async fn refuse_login(journal: &Journal, because: &str) -> Result<(), CommitError> {
    let draft = Draft {
        action: "log_in".into(),
        actor: Actor::system("console"),
        body: json!({"because": because}),
        kind: REFUSED,
        outcome: Outcome::Denied,
        resource: "console".into(),
        stream: "logins".into(),
    };
    journal.commit(&journal.new_cause(), Batch::of(vec![draft])).await.map(drop)
}

/// Opens a session for the person whose token this is.
///
/// # Errors
/// When the token is nobody's, or it could not be recorded.
pub async fn open_session(journal: &Journal, token: &str) -> Result<Session, SessionError> {
    let (principal, until) = principal_until(journal, token).await?.ok_or(SessionError::Token)?;
    open(journal, principal, until, (OPENED, json!({"token_hash": sha256(token.as_bytes())}))).await
}

/// Opens a session that ends with what opened it, at `until` at the latest: `by` is the kind of the entry, and what names that.
pub(crate) async fn open(
    journal: &Journal,
    principal: Principal,
    until: Option<Timestamp>,
    (kind, by): (&'static str, Value),
) -> Result<Session, SessionError> {
    let mut chance = [0; 32];
    journal.base().entropy.fill(&mut chance);
    let secret = Digest(chance).hex();
    let longest = journal.now().plus(SESSION_SPAN);
    let expires_at = until.map_or(longest, |until| until.min(longest));
    let mut body = by;
    body["roles"] = json!(principal.roles);
    body["session_hash"] = json!(sha256(secret.as_bytes()));
    body["expires_at"] = json!(expires_at);
    let draft = draft(kind, "log_in", &principal, body);
    journal.commit(&journal.new_cause(), Batch::of(vec![draft])).await?;
    Ok(Session { secret, principal, expires_at })
}

/// The person whose session this is; none when it is nobody's, or is over.
///
/// # Errors
/// When the journal cannot be read.
pub async fn session_of(journal: &Journal, secret: &str) -> Result<Option<Principal>, LedgerError> {
    Ok(session_until(journal, secret).await?.map(|(who, _)| who))
}

/// The same, with when the session is over.
///
/// # Errors
/// When the journal cannot be read.
pub async fn session_until(journal: &Journal, secret: &str) -> Result<Option<(Principal, Timestamp)>, LedgerError> {
    let Some(doc) = journal.doc("sessions", &sha256(secret.as_bytes()).hex()).await? else { return Ok(None) };
    let field = |name: &str| doc.get(name).and_then(Value::as_str);
    let good_until = field("expires_at").and_then(|at| at.parse::<Timestamp>().ok());
    let Some(until) = good_until.filter(|until| *until > journal.now()) else { return Ok(None) };
    let id = field("principal").and_then(|id| id.parse().ok());
    let stands = match (field("token_hash"), field("link").and_then(|link| link.parse().ok())) {
        (Some(hash), _) => journal.doc("tokens", hash.trim_start_matches("sha256:")).await?.is_some(),
        (None, Some(link)) => id.is_some() && holder(journal, &link).await? == id,
        (None, None) => false,
    };
    if !stands {
        return Ok(None);
    }
    let roles = doc.get("roles").and_then(|roles| serde_json::from_value(roles.clone()).ok());
    match id.zip(roles) {
        Some((id, roles)) => Ok(Some((narrowed(journal, Principal { id, roles }).await?, until))),
        None => Ok(None),
    }
}

/// Closes a session. One that is nobody's is closed already.
///
/// # Errors
/// When it could not be recorded.
pub async fn close_session(journal: &Journal, secret: &str) -> Result<(), SessionError> {
    let Some(principal) = session_of(journal, secret).await? else { return Ok(()) };
    let body = json!({"session_hash": sha256(secret.as_bytes())});
    let draft = draft(CLOSED, "log_out", &principal, body);
    journal.commit(&journal.new_cause(), Batch::of(vec![draft])).await?;
    Ok(())
}

fn draft(kind: &'static str, action: &str, principal: &Principal, mut body: Value) -> Draft {
    body["principal"] = json!(principal.id);
    Draft {
        action: action.into(),
        actor: Actor::human(&principal.id),
        body,
        kind,
        outcome: Outcome::Success,
        resource: "console".into(),
        stream: format!("principal/{}", principal.id),
    }
}
