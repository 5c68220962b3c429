//! People as another system knows them: what an OpenID issuer calls somebody is linked to a person here, and opens sessions of
//! theirs. The journal has a hash of issuer and subject; what they read stands beside it, and can be erased.

use crate::approvals::Principal;
use crate::commit::{Batch, Expect};
use crate::erase::text_beside;
use crate::journal::Journal;
use crate::people::{Person, person};
use crate::sessions::{OPENED_BY_LINK, Session, SessionError, open};
use crate::tokens::{TokenError, draft, narrowed, stream};
use serde::Serialize;
use serde_json::{Value, json};
use writ_audit::erasables_of;
use writ_core::{Actor, Digest, Draft, LedgerError, PrincipalId, Timestamp};
use writ_seal::sha256;

pub(crate) const LINKED: &str = "principal.linked/1";
pub(crate) const UNLINKED: &str = "principal.unlinked/1";

/// The longest issuer and subject, as OpenID has it.
const SUBJECT_MAX: usize = 255;

/// Somebody as an issuer knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The issuer.
    pub issuer: String,
    /// What it calls them.
    pub subject: String,
}

impl Subject {
    /// What stands for them in the journal. A JSON list, so that no two pairs read alike.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(json!([self.issuer, self.subject]).to_string().as_bytes())
    }

    /// Whether an issuer can call somebody so.
    ///
    /// # Errors
    /// When not.
    pub(crate) fn check(&self) -> Result<(), TokenError> {
        for (text, what) in [(&self.issuer, "issuer"), (&self.subject, "subject")] {
            if text.is_empty() || text.len() > SUBJECT_MAX || text.chars().any(writ_text::is_hidden) {
                return Err(TokenError::Word { text: text.chars().take(140).collect(), what });
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.subject, self.issuer)
    }
}

/// A link of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The first digits of what stands for it.
    pub id: String,
    /// Whom it stands for, or that it was erased.
    pub of: String,
    /// Since when.
    pub since: Timestamp,
    #[serde(skip)]
    pub(crate) link: Digest,
}

/// The person whom a subject is linked to; none when it is nobody's.
///
/// # Errors
/// When the journal cannot be read.
pub async fn linked_to(journal: &Journal, subject: &Subject) -> Result<Option<Principal>, LedgerError> {
    let Some(id) = holder(journal, &subject.digest()).await? else { return Ok(None) };
    match person(journal, id.as_str()).await {
        Ok(Person { principal: id, roles, .. }) => narrowed(journal, Principal { id, roles }).await.map(Some),
        Err(TokenError::Ledger(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Who has a link.
pub(crate) async fn holder(journal: &Journal, link: &Digest) -> Result<Option<PrincipalId>, LedgerError> {
    let doc = journal.doc("links", &link.hex()).await?;
    Ok(doc.and_then(|doc| doc.get("principal")?.as_str()?.parse().ok()))
}

/// Opens a session for the person whom a subject is linked to. It ends with the link.
///
/// # Errors
/// When it is linked to nobody, or it could not be recorded.
pub async fn open_linked_session(journal: &Journal, subject: &Subject) -> Result<Session, SessionError> {
    let principal = linked_to(journal, subject).await?.ok_or(SessionError::Subject)?;
    open(journal, principal, None, (OPENED_BY_LINK, json!({"link": subject.digest()}))).await
}

/// The links of a person, oldest first.
///
/// # Errors
/// When the journal cannot be read.
pub async fn links_of(journal: &Journal, id: &PrincipalId) -> Result<Vec<Link>, LedgerError> {
    let mut links: Vec<Link> = Vec::new();
    for entry in journal.stream(&stream(id)).await? {
        let link = entry.body.get("link").and_then(|link| link.as_str()?.parse::<Digest>().ok());
        match (entry.kind.as_str(), link) {
            (LINKED, Some(link)) => {
                let of = match erasables_of(&entry).first() {
                    Some(commitment) => text_beside(journal.ledger(), commitment).await?,
                    None => String::new(),
                };
                links.push(Link { id: link.hex().chars().take(16).collect(), of, since: entry.timestamp, link });
            }
            (UNLINKED, Some(gone)) => links.retain(|one| one.link != gone),
            (_, _) => {}
        }
    }
    Ok(links)
}

/// Takes a link from a person: whoever logs in by it is a stranger from then on, and sessions that it opened are over.
///
/// # Errors
/// When they have no such link, or it could not be recorded.
pub async fn unlink(journal: &Journal, whose: &PrincipalId, id: &str, by: &Actor) -> Result<Link, TokenError> {
    let version = journal.ledger().stream_version(&stream(whose)).await?;
    let links = links_of(journal, whose).await?;
    let mut named = links.into_iter().filter(|one| id.len() >= 8 && one.link.hex().starts_with(id));
    let (Some(link), None) = (named.next(), named.next()) else {
        return Err(TokenError::NoLink { id: id.chars().take(140).collect(), principal: whose.clone() });
    };
    let gone = draft(UNLINKED, "unlink", by, whose, json!({"link": link.link}));
    let expects = vec![Expect { stream: stream(whose), version }];
    journal.commit(&journal.new_cause(), Batch { expects, ..Batch::of(vec![gone]) }).await?;
    Ok(link)
}

/// The entry by which a subject is somebody's. `text` commits to what it reads.
pub(crate) fn linked(by: &Actor, id: &PrincipalId, link: &Digest, text: &Digest) -> Draft {
    let body: Value = json!({"link": link, "erasables": {"subject": text}});
    draft(LINKED, "link", by, id, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_written_so() {
        let (by, id) = (Actor::system("test"), "person-02".parse().unwrap());
        let made = linked(&by, &id, &Digest([1; 32]), &Digest([2; 32]));
        let (one, two) = ("01".repeat(32), "02".repeat(32));
        assert_eq!(
            made.body.to_string(),
            format!(r#"{{"erasables":{{"subject":"sha256:{two}"}},"link":"sha256:{one}","principal":"person-02"}}"#)
        );
        assert_eq!((made.kind, made.stream.as_str()), ("principal.linked/1", "principal/person-02"));
    }

    #[test]
    fn no_two_subjects_stand_for_the_same() {
        let of = |issuer: &str, subject: &str| Subject { issuer: issuer.into(), subject: subject.into() }.digest();
        assert_ne!(of("https://a", "b"), of("https://ab", ""));
        assert_ne!(of("https://a\",\"b", "c"), of("https://a", "b\",\"c"));
        assert_eq!(of("https://a", "b"), of("https://a", "b"));
    }
}
