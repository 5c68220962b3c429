//! Who there is, and the tokens that they have, as the journal tells it.

use crate::erase::text_beside;
use crate::journal::{Journal, decode};
use crate::tokens::{ENROLLED, REVOKED, TokenError, is_issued, roles_now, stream};
use serde::Serialize;
use writ_audit::erasables_of;
use writ_core::{Actor, Entry, Filter, LedgerError, PrincipalId, Timestamp};

/// People that are read at once.
const READ: usize = 1_000;

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The opaque id.
    pub principal: PrincipalId,
    /// The name, or that it was erased.
    pub name: String,
    /// Roles.
    pub roles: Vec<String>,
    /// Since when.
    pub since: Timestamp,
    /// Where their stream stood before this was read.
    #[serde(skip)]
    pub version: u64,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// The first digits of its hash.
    pub id: String,
    /// Whose.
    pub principal: PrincipalId,
    /// What it may be used for.
    pub roles: Vec<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// By whom.
    pub issued_by: Actor,
    /// When it is good no more; none where it is until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// Where its person's stream stood when this was read.
    #[serde(skip)]
    pub version: u64,
    #[serde(skip)]
    pub(crate) hash: String,
}

/// Everybody who was enrolled.
///
/// # Errors
/// When the journal cannot be read.
pub async fn people(journal: &Journal) -> Result<Vec<Person>, LedgerError> {
    let mut people = Vec::new();
    for entry in enrolments(journal).await? {
        let Some(principal) = entry.stream.strip_prefix("principal/").and_then(|id| id.parse().ok()) else { continue };
        let name = match erasables_of(&entry).first() {
            Some(commitment) => text_beside(journal.ledger(), commitment).await?,
            None => String::new(),
        };
        let version = journal.ledger().stream_version(&entry.stream).await?;
        let roles = roles_now(journal, &principal).await?.unwrap_or_else(|| roles_of(&entry));
        people.push(Person { principal, name, roles, since: entry.timestamp, version });
    }
    Ok(people)
}

/// The entries that made people known, oldest first.
async fn enrolments(journal: &Journal) -> Result<Vec<Entry>, LedgerError> {
    let (mut wanted, mut all) = (Filter { kind: Some(ENROLLED.into()), ..Filter::default() }, Vec::new());
    loop {
        let found = journal.ledger().query(&wanted, READ).await?;
        wanted.from_seq = found.last().map(|stored| stored.seq + 1);
        for stored in &found {
            all.push(decode(stored)?);
        }
        if found.len() < READ {
            return Ok(all);
        }
    }
}

/// What a person is called: the name they were enrolled with, that it was erased, or the id of whoever is not known.
///
/// # Errors
/// When the journal cannot be read.
pub async fn name_of(journal: &Journal, id: &PrincipalId) -> Result<String, LedgerError> {
    let first = journal.ledger().stream(&stream(id), 0, 1).await?;
    let entry = first.first().map(decode).transpose()?;
    match entry.as_ref().and_then(|entry| erasables_of(entry).first().copied()) {
        Some(commitment) => text_beside(journal.ledger(), &commitment).await,
        None => Ok(id.to_string()),
    }
}

/// The person whom an id or a name means.
///
/// # Errors
/// When nobody is meant, or the journal cannot be read.
pub async fn person(journal: &Journal, who: &str) -> Result<Person, TokenError> {
    let known = people(journal).await?;
    let found = known.iter().find(|person| person.principal.as_str() == who);
    let found = found.or_else(|| known.iter().find(|person| person.name == who && who != crate::erase::ERASED));
    found.cloned().ok_or_else(|| TokenError::Nobody { who: who.chars().take(140).collect() })
}

/// Every token that is good, oldest first.
///
/// # Errors
/// When the journal cannot be read.
pub async fn tokens(journal: &Journal) -> Result<Vec<Token>, LedgerError> {
    let good = |(token, good): (Token, bool)| good.then_some(token);
    Ok(tokens_ever(journal).await?.into_iter().filter_map(good).collect())
}

/// Every token that there ever was, oldest first, and whether it is good.
///
/// # Errors
/// When the journal cannot be read.
pub async fn tokens_ever(journal: &Journal) -> Result<Vec<(Token, bool)>, LedgerError> {
    let (mut tokens, now): (Vec<(Token, bool)>, _) = (Vec::new(), journal.now());
    for person in people(journal).await? {
        let entries = journal.stream(&stream(&person.principal)).await?;
        let version = entries.len() as u64;
        for entry in entries {
            let hash = entry.body.get("token_hash").and_then(|hash| hash.as_str()).unwrap_or_default();
            let hash = hash.trim_start_matches("sha256:").to_owned();
            if entry.kind == REVOKED {
                tokens.iter_mut().filter(|(token, _)| token.hash == hash).for_each(|(_, good)| *good = false);
            } else if is_issued(&entry) {
                // What is issued again stands once, as it was issued last.
                tokens.retain(|(token, _)| token.hash != hash);
                let (roles, principal) = (roles_of(&entry), person.principal.clone());
                let expires_at = entry.body.get("expires_at").and_then(|at| at.as_str()?.parse().ok());
                let id = hash.chars().take(16).collect();
                let (issued_at, issued_by) = (entry.timestamp, entry.actor);
                let good = expires_at.is_none_or(|until| until > now);
                tokens.push((Token { id, principal, roles, issued_at, issued_by, expires_at, version, hash }, good));
            }
        }
    }
    tokens.sort_by_key(|(token, _)| token.issued_at);
    Ok(tokens)
}

fn roles_of(entry: &Entry) -> Vec<String> {
    entry.body.get("roles").and_then(|roles| serde_json::from_value(roles.clone()).ok()).unwrap_or_default()
}
