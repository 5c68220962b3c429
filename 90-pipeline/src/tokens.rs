//! Making people known, and the tokens that they show. A person is an opaque id with roles; a name is erasable; a token is kept as
//! its hash. That one was issued or revoked is an entry of its person's stream.

use crate::approvals::Principal;
use crate::commit::{Batch, CommitError, Expect, STALE_MAX};
use crate::erase::{beside, said_about, words};
use crate::grant::{AGENT, Grant, NoGrant, Scope, includes, narrow};
use crate::journal::Journal;
use crate::people::{Person, TOKENS, Token, called, lasting_tokens, people, standing_of, tokens_called};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use writ_core::{Actor, Digest, Draft, Entry, LedgerError, Outcome, PrincipalId, Timestamp};
use writ_seal::sha256;

/// Roles of one person, or of one token, at the most.
const ROLES_MAX: usize = 32;

/// Seconds of a day.
const DAY: u64 = 24 * 3_600;

/// The longest that a token which ends by itself is good.
const SPAN_MAX: Duration = Duration::from_secs(3_660 * DAY);

/// The role that may issue and revoke tokens.
pub(crate) const ADMIN: &str = "admin";

/// How the streams of people begin.
pub(crate) const PRINCIPAL: &str = "principal/";

pub(crate) const ENROLLED: &str = "principal.enrolled/1";
pub(crate) const ISSUED: &str = "principal.token_issued/1";
/// Issued until a moment. A program that knows nothing of such moments does not know the kind either, and takes no such token.
pub(crate) const ISSUED_UNTIL: &str = "principal.token_issued/2";
pub(crate) const REVOKED: &str = "principal.token_revoked/1";
pub(crate) const ROLES_SET: &str = "principal.roles_set/1";

/// What a token is to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenWish<'a> {
    /// What it may be used for; all that the person may unless it is said.
    pub roles: Option<&'a [String]>,
    /// How long it is good; until it is revoked unless it is said.
    pub span: Option<Duration>,
    /// Why, recorded along with it where it is said.
    pub reason: &'a str,
}

/// Why a token was not issued or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is no such person.
    #[error("there is no person `{who}`")]
    Nobody {
        /// Id or name that was given.
        who: String,
    },
    /// There is no such token.
    #[error("there is no token `{id}`")]
    Unknown {
        /// What was given.
        id: String,
    },
    /// The token would do more than its person may.
    #[error("`{principal}` does not hold the role `{role}`")]
    Role {
        /// The person.
        principal: PrincipalId,
        /// The role.
        role: String,
    },
    /// They have no such link.
    #[error("`{principal}` has no link `{id}`")]
    NoLink {
        /// What was given.
        id: String,
        /// The person.
        principal: PrincipalId,
    },
    /// The subject is somebody else's.
    #[error("that subject is linked to `{principal}` already")]
    Linked {
        /// Whose it is.
        principal: PrincipalId,
    },
    /// A name or list is none.
    #[error("`{text}` is no {what}")]
    Word {
        /// What was given.
        text: String,
        /// What it should be.
        what: &'static str,
    },
    /// A role is none.
    #[error("`{text}` is no {cause}")]
    Grant {
        /// What was given.
        text: String,
        /// What is wrong with it.
        cause: NoGrant,
    },
    /// There are more roles than anybody holds.
    #[error("{count} roles are more than {ROLES_MAX}")]
    Roles {
        /// How many there are.
        count: usize,
    },
    /// Nobody could issue or revoke tokens any more.
    #[error("`{id}` is the last token with the role `{ADMIN}` that does not end by itself")]
    Last {
        /// The token.
        id: String,
    },
    /// Nobody could administer the installation any more.
    #[error("nobody besides `{principal}` has the role `{ADMIN}` and a token with it that does not end by itself")]
    LastAdmin {
        /// The person.
        principal: PrincipalId,
    },
    /// It would be good for no time, or for longer than anybody looks ahead.
    #[error("a token is good for one second to {} days, not for {} s", SPAN_MAX.as_secs() / DAY, .span.as_secs())]
    Span {
        /// How long it was to be good.
        span: Duration,
    },
    /// It could not be recorded.
    #[error("the token could not be recorded")]
    Commit(#[from] CommitError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
}

/// The person whose token this is; none when it is nobody's, or its time is over.
///
/// # Errors
/// When the journal cannot be read.
pub async fn principal_of(journal: &Journal, token: &str) -> Result<Option<Principal>, LedgerError> {
    Ok(principal_until(journal, token).await?.map(|(who, _)| who))
}

/// The same, with when the token is good no more; none where it is until it is revoked.
///
/// # Errors
/// When the journal cannot be read.
pub async fn principal_until(
    journal: &Journal,
    token: &str,
) -> Result<Option<(Principal, Option<Timestamp>)>, LedgerError> {
    // Looking up the hash, not the token, is what makes the comparison safe against timing.
    let Some(doc) = journal.doc(TOKENS, &sha256(token.as_bytes()).hex()).await? else { return Ok(None) };
    let until = match doc.get("expires_at").map(|at| at.as_str().unwrap_or_default().parse::<Timestamp>()) {
        Some(Ok(until)) if until > journal.now() => Some(until),
        Some(_) => return Ok(None),
        None => None,
    };
    let id = doc.get("principal").and_then(|id| id.as_str()?.parse().ok());
    let roles = doc.get("roles").and_then(|roles| serde_json::from_value(roles.clone()).ok());
    let Some((id, roles)) = id.zip(roles) else { return Ok(None) };
    Ok(Some((narrowed(journal, Principal { id, roles }).await?, until)))
}

/// A person with what they still may of what they once might: a role that was taken away is in no token and no session.
pub(crate) async fn narrowed(journal: &Journal, mut who: Principal) -> Result<Principal, LedgerError> {
    if let Some((held, _)) = standing_of(journal, &who.id).await? {
        who.roles = narrow(&who.roles, &held);
    }
    Ok(who)
}

/// Which of the roles that somebody once had for something they still have.
pub(crate) async fn remaining(
    journal: &Journal,
    id: &PrincipalId,
    once: &[String],
    of: &Scope,
) -> Result<Vec<String>, LedgerError> {
    let Some((roles, _)) = standing_of(journal, id).await? else { return Ok(once.to_vec()) };
    let now = Principal { id: id.clone(), roles }.within(of).roles;
    Ok(once.iter().filter(|role| now.contains(role)).cloned().collect())
}

/// Whether a token was ever issued to a person, be it revoked since.
///
/// # Errors
/// When the journal cannot be read.
pub async fn was_issued(journal: &Journal, id: &PrincipalId, token: &str) -> Result<bool, LedgerError> {
    let hash = json!(sha256(token.as_bytes()));
    let entries = journal.stream(&stream(id)).await?;
    Ok(entries.iter().any(|entry| is_issued(entry) && entry.body.get("token_hash") == Some(&hash)))
}

/// Enrols a person with roles and a token of their own: what an installation begins with. Who is known already is issued the
/// token.
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
    let (by, named) = (Actor::system("genesis"), beside(journal, name));
    let drafts =
        vec![enrolled(&by, id, roles, &named.commitment), issued(&by, id, roles, &sha256(token.as_bytes()), None)];
    let expects = vec![Expect { stream: stream(id), version: 0 }];
    let batch = Batch { expects, erasables: vec![named], ..Batch::of(drafts) };
    match journal.commit(&journal.new_cause(), batch).await {
        Ok(_) => Ok(()),
        Err(CommitError::Stale { .. }) => {
            let again = Batch::of(vec![issued(&by, id, roles, &sha256(token.as_bytes()), None)]);
            journal.commit(&journal.new_cause(), again).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn stream(principal: &PrincipalId) -> String {
    format!("{PRINCIPAL}{principal}")
}

fn wrong(text: &str, what: &'static str) -> TokenError {
    TokenError::Word { text: text.chars().take(140).collect(), what }
}

/// Whether somebody can be called so.
///
/// # Errors
/// When not.
pub(crate) fn is_name(name: &str) -> Result<(), TokenError> {
    if name.is_empty() || name.len() > 200 || name.trim() != name || name.chars().any(writ_text::is_hidden) {
        return Err(wrong(name, "name: give one to 200 characters that can be seen, and no space at its ends"));
    }
    Ok(())
}

/// Whether nobody is called so yet: people are told apart by what they are called.
///
/// # Errors
/// When somebody is, in small or capital letters, or the journal cannot be read.
pub(crate) async fn is_free(journal: &Journal, name: &str) -> Result<(), TokenError> {
    let same = |person: &Person| person.name.to_lowercase() == name.to_lowercase();
    if people(journal).await?.iter().any(same) {
        return Err(wrong(name, "name that is free: somebody is called so already"));
    }
    Ok(())
}

/// Whether these can be roles.
///
/// # Errors
/// The first that cannot.
pub(crate) fn is_roles(roles: &[String]) -> Result<(), TokenError> {
    for role in roles {
        role.parse::<Grant>().map_err(|cause| TokenError::Grant { text: role.chars().take(140).collect(), cause })?;
    }
    if roles.len() > ROLES_MAX { Err(TokenError::Roles { count: roles.len() }) } else { Ok(()) }
}

/// Whether a token can be good for so long.
///
/// # Errors
/// When it cannot.
pub fn is_span(span: Duration) -> Result<(), TokenError> {
    if span.is_zero() || span > SPAN_MAX { Err(TokenError::Span { span }) } else { Ok(()) }
}

/// The id of the next person.
pub(crate) async fn next_id(journal: &Journal) -> Result<PrincipalId, TokenError> {
    let wanted = format!("person-{:02}", people(journal).await?.len() + 1);
    wanted.parse().map_err(|_| wrong(&wanted, "id"))
}

/// Makes a person known, with a name that can be erased. Whether somebody else must agree is for the caller to have asked.
///
/// # Errors
/// When the name or a role is none, or it could not be recorded.
pub async fn enrol_person(journal: &Journal, name: &str, roles: &[String], by: &Actor) -> Result<Person, TokenError> {
    is_name(name)?;
    is_roles(roles)?;
    is_free(journal, name).await?;
    let (principal, named) = (next_id(journal).await?, beside(journal, name));
    let draft = enrolled(by, &principal, roles, &named.commitment);
    let expects = vec![Expect { stream: stream(&principal), version: 0 }];
    let batch = Batch { expects, erasables: vec![named], ..Batch::of(vec![draft]) };
    let receipt = journal.commit(&journal.new_cause(), batch).await?;
    let first = receipt.entries.first();
    let (since, version) = first.map_or_else(|| (journal.now(), 0), |entry| (entry.timestamp, entry.version));
    Ok(Person { principal, name: name.to_owned(), roles: roles.to_vec(), since, version })
}

/// Issues a token for a person. The secret is answered here and nowhere else.
///
/// # Errors
/// When the person lacks a role, the time is none, or it could not be recorded.
pub async fn issue_token(
    journal: &Journal,
    person: &Person,
    wish: &TokenWish<'_>,
    by: &Actor,
) -> Result<(Token, String), TokenError> {
    wish.span.map(is_span).transpose()?;
    let expires_at = wish.span.map(|span| journal.now().plus(span));
    let roles = wish.roles.unwrap_or(&person.roles);
    if let Some(role) = roles.iter().find(|role| !includes(&person.roles, role)) {
        return Err(TokenError::Role { principal: person.principal.clone(), role: role.clone() });
    }
    let mut chance = [0; 24];
    journal.base().entropy.fill(&mut chance);
    let secret = format!("writ_{}", chance.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let hash = sha256(secret.as_bytes());
    let mut batch = Batch::of(vec![issued(by, &person.principal, roles, &hash, expires_at)]);
    if !wish.reason.is_empty() {
        let about = person.principal.as_str();
        let (said, words) = words(journal, &said_about(about), about, by, wish.reason);
        batch.drafts.push(said);
        batch.erasables.push(words);
    }
    let receipt = journal.commit(&journal.new_cause(), batch).await?;
    let first = receipt.entries.first();
    let (issued_at, version) = first.map_or_else(|| (journal.now(), 0), |entry| (entry.timestamp, entry.version));
    let (principal, roles, hash) = (person.principal.clone(), roles.to_vec(), hash.hex());
    let id = called(&hash);
    Ok((Token { id, principal, roles, issued_at, issued_by: by.clone(), expires_at, version, hash }, secret))
}

/// The good token that an id, or its beginning, names.
///
/// # Errors
/// When there is no such token, or the journal cannot be read.
pub async fn good_token(journal: &Journal, id: &str) -> Result<Token, TokenError> {
    let named = if id.len() >= 8 { tokens_called(journal, id, 2).await? } else { Vec::new() };
    match <[Token; 1]>::try_from(named) {
        Ok([token]) => Ok(token),
        Err::<[Token; 1], _>(_) => Err(TokenError::Unknown { id: id.chars().take(140).collect() }),
    }
}

/// Revokes the token that an id, or its beginning, names. From then on it is refused.
///
/// # Errors
/// When there is no such token, it is the last with which tokens can be issued, or it could not be recorded.
pub async fn revoke_token(journal: &Journal, id: &str, by: &Actor) -> Result<Token, TokenError> {
    let mut tries = 0;
    loop {
        let mut expects = Vec::new();
        let token = good_token(journal, id).await?;
        match administrators(journal, Some(&token.hash), None).await? {
            Some(others) => expects.extend(others),
            None => return Err(TokenError::Last { id: token.id }),
        }
        let body = json!({"token_hash": format!("sha256:{}", token.hash)});
        let draft = draft(REVOKED, "revoke_token", by, &token.principal, body);
        expects.push(Expect { stream: stream(&token.principal), version: token.version });
        match journal.commit(&journal.new_cause(), Batch { expects, ..Batch::of(vec![draft]) }).await {
            // Somebody else revoked one, or logged in, at the same moment.
            Err(CommitError::Stale { .. }) if tries < STALE_MAX => tries += 1,
            done => return Ok(done.map(|_| token)?),
        }
    }
}

/// The streams of those who administer the installation by a token that does not end by itself, once a token is good no more or a
/// person has other roles: one of them must still be as it is when that is recorded. Nothing where that takes nobody from among
/// them, and none where it leaves nobody.
pub(crate) async fn administrators(
    journal: &Journal,
    revoked: Option<&str>,
    changed: Option<(&PrincipalId, &[String])>,
) -> Result<Option<Vec<Expect>>, LedgerError> {
    let mut people: HashMap<PrincipalId, (Vec<String>, u64)> = HashMap::new();
    for (_, principal, _) in lasting_tokens(journal, ADMIN).await? {
        if let Some(person) = standing_of(journal, &principal).await? {
            people.insert(principal, person);
        }
    }
    // Read again behind the people: what has changed since is of a newer version than is expected.
    let all = lasting_tokens(journal, ADMIN).await?;
    let administers = |principal: &PrincipalId, roles: &[String], anew: Option<(&PrincipalId, &[String])>| {
        let held = people.get(principal).map_or(&[][..], |(held, _)| held);
        let held = anew.filter(|(who, _)| *who == principal).map_or(held, |(_, roles)| roles);
        let left = narrow(roles, held);
        // Whatever else an agent holds, it administers nothing.
        left.iter().any(|role| role == ADMIN) && !left.iter().any(|role| role == AGENT)
    };
    let before = all.iter().filter(|(_, principal, roles)| administers(principal, roles, None)).count();
    let stays = |hash: &str, principal: &PrincipalId, roles: &[String]| {
        revoked != Some(hash) && administers(principal, roles, changed)
    };
    let after: Vec<&PrincipalId> = all
        .iter()
        .filter(|(hash, principal, roles)| stays(hash, principal, roles))
        .map(|(_, principal, _)| principal)
        .collect();
    if after.len() == before {
        return Ok(Some(Vec::new()));
    }
    let streams: BTreeMap<String, u64> = after.iter().filter_map(|id| Some((stream(id), people.get(*id)?.1))).collect();
    let expects = streams.into_iter().map(|(stream, version)| Expect { stream, version }).collect();
    Ok(Some(expects).filter(|_| !after.is_empty()))
}

/// The entry that makes somebody known.
pub(crate) fn enrolled<R: Serialize>(by: &Actor, id: &PrincipalId, roles: &[R], name: &Digest) -> Draft {
    draft(ENROLLED, "enrol_principal", by, id, json!({"roles": roles, "erasables": {"name": name}}))
}

/// The entry for what somebody may do from it on.
pub(crate) fn roles_set(by: &Actor, id: &PrincipalId, roles: &[String]) -> Draft {
    draft(ROLES_SET, "set_roles", by, id, json!({"roles": roles}))
}

fn issued<R: Serialize>(
    by: &Actor,
    id: &PrincipalId,
    roles: &[R],
    hash: &Digest,
    expires_at: Option<Timestamp>,
) -> Draft {
    let mut body = json!({"roles": roles, "token_hash": hash});
    let Some(until) = expires_at else { return draft(ISSUED, "issue_token", by, id, body) };
    body["expires_at"] = json!(until);
    draft(ISSUED_UNTIL, "issue_token", by, id, body)
}

/// Whether an entry says that a token was issued.
pub(crate) fn is_issued(entry: &Entry) -> bool {
    [ISSUED, ISSUED_UNTIL].contains(&entry.kind.as_str())
}

pub(crate) fn draft(
    kind: &'static str,
    action: &str,
    by: &Actor,
    principal: &PrincipalId,
    mut body: serde_json::Value,
) -> Draft {
    body["principal"] = json!(principal);
    Draft {
        action: action.into(),
        actor: by.clone(),
        body,
        kind,
        outcome: Outcome::Success,
        resource: principal.to_string(),
        stream: stream(principal),
    }
}
