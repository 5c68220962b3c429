//! Who there is, and the tokens that they have, as the journal tells it.

use crate::erase::{ERASED, text_of};
use crate::journal::Journal;
use crate::listing::{LISTED, Listing, Span};
use crate::tokens::{ENROLLED, REVOKED, ROLES_SET, TokenError, is_issued};
use crate::view::under;
use serde::Serialize;
use serde_json::{Value, json};
use writ_audit::erasables_of;
use writ_core::{Actor, Entry, LedgerError, PrincipalId, Timestamp};

/// The view of people.
pub(crate) const PEOPLE: &str = "people";

/// The view of tokens that were issued and not revoked, by their hashes.
pub(crate) const TOKENS: &str = "tokens";

/// Under what tokens are listed by their people: `token/<principal>/<id>`.
const BY_PERSON: &str = "token/";

/// Digits of its hash that a token is called by.
const DIGITS: usize = 16;

/// What a token is called that has this hash.
pub(crate) fn called(hash: &str) -> String {
    hash.chars().take(DIGITS).collect()
}

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
    /// Where their stream stood when this was read.
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
    /// Where its person's stream stood before this was read.
    #[serde(skip)]
    pub version: u64,
    #[serde(skip)]
    pub(crate) hash: String,
}

/// Everybody who was enrolled, by id.
///
/// # Errors
/// When the journal cannot be read.
pub async fn people(journal: &Journal) -> Result<Vec<Person>, LedgerError> {
    Ok(some_people(journal, Span::ALL).await?.rows)
}

/// Some of the people, by id.
///
/// # Errors
/// When the journal cannot be read.
pub async fn some_people(journal: &Journal, span: Span<'_>) -> Result<Listing<Person>, LedgerError> {
    let found = Listing::read(journal, (PEOPLE, ""), span, |_| true).await?;
    let mut rows = Vec::with_capacity(found.rows.len());
    for (id, doc) in &found.rows {
        rows.extend(person_of(journal, id, doc).await?);
    }
    Ok(Listing { rows, next: found.next })
}

async fn person_of(journal: &Journal, id: &str, doc: &Value) -> Result<Option<Person>, LedgerError> {
    let name = text_of(journal.ledger(), doc.get("name")).await?.unwrap_or_default();
    let since = doc.get("since").and_then(|at| at.as_str()?.parse().ok());
    let known = id.parse().ok().zip(since);
    Ok(known.map(|(principal, since)| Person {
        principal,
        name,
        roles: roles_of(doc),
        since,
        version: version_of(doc),
    }))
}

/// What a person is called: the name they were enrolled with, that it was erased, or the id of whoever is not known.
///
/// # Errors
/// When the journal cannot be read.
pub async fn name_of(journal: &Journal, id: &PrincipalId) -> Result<String, LedgerError> {
    let doc = journal.doc(PEOPLE, id.as_str()).await?;
    let name = text_of(journal.ledger(), doc.as_ref().and_then(|doc| doc.get("name"))).await?;
    Ok(name.unwrap_or_else(|| id.to_string()))
}

/// The person whom an id or a name means.
///
/// # Errors
/// When nobody is meant, or the journal cannot be read.
pub async fn person(journal: &Journal, who: &str) -> Result<Person, TokenError> {
    if let Some(doc) = journal.doc(PEOPLE, who).await?
        && let Some(person) = person_of(journal, who, &doc).await?
    {
        return Ok(person);
    }
    let named = people(journal).await?.into_iter().find(|person| person.name == who && who != ERASED);
    named.ok_or_else(|| TokenError::Nobody { who: who.chars().take(140).collect() })
}

/// Some of the tokens that are good, by whose they are; they are known by `<principal>/<id>` there.
///
/// # Errors
/// When the journal cannot be read.
pub async fn some_tokens(journal: &Journal, span: Span<'_>) -> Result<Listing<Token>, LedgerError> {
    let now = journal.now();
    let found = Listing::read(journal, (LISTED, BY_PERSON), span, |doc| is_good(doc, now)).await?;
    let mut rows = Vec::with_capacity(found.rows.len());
    for (key, _) in &found.rows {
        let id = key.rsplit('/').next().unwrap_or_default();
        rows.extend(tokens_called(journal, id, 1).await?);
    }
    Ok(Listing { rows, next: found.next })
}

/// Good tokens whose hashes begin so.
pub(crate) async fn tokens_called(journal: &Journal, id: &str, limit: usize) -> Result<Vec<Token>, LedgerError> {
    let mut tokens = Vec::new();
    for (hash, doc) in journal.docs(TOKENS, id, None, limit).await?.0 {
        let Some(principal) = holder_of(&doc) else { continue };
        let version = journal.doc(PEOPLE, principal.as_str()).await?.as_ref().map_or(0, version_of);
        // Read again behind the version: whoever expects that one finds a token that was revoked since.
        let doc = journal.doc(TOKENS, &hash).await?.filter(|doc| is_good(doc, journal.now()));
        tokens.extend(doc.and_then(|doc| token_of(hash, &doc, version)));
    }
    Ok(tokens)
}

fn token_of(hash: String, doc: &Value, version: u64) -> Option<Token> {
    let at = |field: &str| doc.get(field)?.as_str()?.parse::<Timestamp>().ok();
    Some(Token {
        id: called(&hash),
        principal: holder_of(doc)?,
        roles: roles_of(doc),
        issued_at: at("issued_at")?,
        issued_by: serde_json::from_value(doc.get("issued_by")?.clone()).ok()?,
        expires_at: at("expires_at"),
        version,
        hash,
    })
}

/// Whose a token is.
fn holder_of(doc: &Value) -> Option<PrincipalId> {
    doc.get("principal")?.as_str()?.parse().ok()
}

/// Tokens that do not end by themselves and have a role in the whole installation: their hashes, whose they are, and their roles.
pub(crate) async fn lasting_tokens(
    journal: &Journal,
    role: &str,
) -> Result<Vec<(String, PrincipalId, Vec<String>)>, LedgerError> {
    let lasts = |doc: &Value| doc.get("expires_at").is_none() && roles_of(doc).iter().any(|one| one == role);
    let found = Listing::read(journal, (TOKENS, ""), Span::ALL, lasts).await?.rows.into_iter();
    Ok(found.filter_map(|(hash, doc)| Some((hash, holder_of(&doc)?, roles_of(&doc)))).collect())
}

/// The roles of somebody, and where their stream stands; none where nobody is known by that id.
pub(crate) async fn standing_of(
    journal: &Journal,
    id: &PrincipalId,
) -> Result<Option<(Vec<String>, u64)>, LedgerError> {
    Ok(journal.doc(PEOPLE, id.as_str()).await?.map(|doc| (roles_of(&doc), version_of(&doc))))
}

/// Whether the time of a token is not over.
fn is_good(doc: &Value, now: Timestamp) -> bool {
    doc.get("expires_at").is_none_or(|at| at.as_str().and_then(|at| at.parse().ok()).is_some_and(|until| now < until))
}

fn roles_of(doc: &Value) -> Vec<String> {
    doc.get("roles").and_then(|roles| serde_json::from_value(roles.clone()).ok()).unwrap_or_default()
}

fn version_of(doc: &Value) -> u64 {
    doc.get("version").and_then(Value::as_u64).unwrap_or(0)
}

/// Whom an entry is about.
pub(crate) fn person_key(entry: &Entry) -> Option<String> {
    under(entry, "principal/")
}

/// A person after an entry of their stream: since when, called how, with which roles, and where the stream stands.
pub(crate) fn person_next(before: Option<&Value>, entry: &Entry) -> Option<Value> {
    let mut doc = match entry.kind.as_str() {
        ENROLLED => json!({"name": erasables_of(entry).first(), "since": entry.timestamp}),
        _ => before?.clone(),
    };
    if [ENROLLED, ROLES_SET].contains(&entry.kind.as_str()) {
        doc["roles"] = entry.body.get("roles").cloned().unwrap_or_default();
    }
    doc["version"] = json!(entry.version);
    Some(doc)
}

/// The hash of the token that an entry issues or revokes.
pub(crate) fn token_key(entry: &Entry) -> Option<String> {
    let known = is_issued(entry) || entry.kind == REVOKED;
    let hash = known.then(|| entry.body.get("token_hash")?.as_str()).flatten()?;
    Some(hash.trim_start_matches("sha256:").to_owned())
}

/// A token that was issued and not revoked.
pub(crate) fn token_next(entry: &Entry) -> Option<Value> {
    let mut doc = is_issued(entry).then(|| entry.body.clone())?;
    (doc["issued_at"], doc["issued_by"]) = (json!(entry.timestamp), json!(entry.actor));
    Some(doc)
}

/// Where a token is listed.
pub(crate) fn token_listed(entry: &Entry) -> Option<String> {
    let (hash, whose) = (token_key(entry)?, under(entry, "principal/")?);
    Some(format!("{BY_PERSON}{whose}/{}", called(&hash)))
}

/// What is listed of a token: until when it is good.
pub(crate) fn token_listed_next(entry: &Entry) -> Option<Value> {
    let until = entry.body.get("expires_at").map(|at| json!({"expires_at": at}));
    is_issued(entry).then(|| until.unwrap_or_else(|| json!({})))
}
