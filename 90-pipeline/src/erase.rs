//! Destroying texts that stand beside the journal, and keeping new ones there: what people are called, and what they say.
//!
//! An entry holds `SHA-256(salt ‖ text)`, so every proof stays valid when the text is gone. That it was destroyed is an entry
//! of its own, recorded first: a start that finds one whose text is still there comes to the same end.

use crate::commit::{Batch, CommitError};
use crate::held::whoever_asked;
use crate::journal::{Journal, decode};
use serde_json::{Value, json};
use writ_audit::{AuditEvent, erasables_of};
use writ_core::{
    Actor, ApprovalId, Digest, Draft, Erasable, Event, Filter, Ledger, LedgerError, Outcome, PrincipalId, Timestamp,
};
use writ_seal::salted;

/// What an erased text reads as.
pub const ERASED: &str = "(erased)";

/// The kind of an entry that stands for what a person said.
const SAID: &str = "person.said/1";

/// Entries looked through at once.
const PAGE: usize = 1_000;

/// Which texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erase {
    /// What a person is called.
    Principal(PrincipalId),
    /// What people said when they answered.
    Approval(ApprovalId),
    /// The one that an entry commits to.
    Commitment(Digest),
}

impl std::fmt::Display for Erase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Erase::Principal(id) => write!(f, "principal/{id}"),
            Erase::Approval(id) => write!(f, "approval/{id}"),
            Erase::Commitment(commitment) => write!(f, "{commitment}"),
        }
    }
}

/// Why nothing was destroyed.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The journal knows no such thing.
    #[error("the journal knows no `{what}`")]
    Unknown {
        /// What was named.
        what: String,
    },
    /// There is no text, or not any more.
    #[error("nothing is left to erase of `{what}`")]
    Nothing {
        /// What was named.
        what: String,
    },
    /// The reason stays for ever, and says what is to be forgotten.
    #[error("the reason repeats the text that is to be erased, and reasons stay")]
    Repeats,
    /// It could not be recorded.
    #[error("the erasure could not be recorded")]
    Commit(#[from] CommitError),
    /// The ledger failed; what was recorded is carried out at the next start.
    #[error("the texts could not be destroyed")]
    Ledger(#[from] LedgerError),
}

/// Destroys texts. Their commitments, one entry for each.
///
/// # Errors
/// When there is none, the reason repeats one, or it could not be recorded or done.
pub async fn erase(journal: &Journal, what: &Erase, reason: &str, by: &Actor) -> Result<Vec<Digest>, EraseError> {
    let name = what.to_string();
    let commitments = match what {
        Erase::Commitment(commitment) => vec![*commitment],
        Erase::Principal(_) | Erase::Approval(_) => {
            let entries = journal.stream(&name).await?;
            if entries.is_empty() {
                return Err(EraseError::Unknown { what: name });
            }
            entries.iter().flat_map(erasables_of).collect()
        }
    };
    let mut texts = Vec::new();
    for commitment in commitments {
        texts.extend(journal.ledger().erasable(&commitment).await?);
    }
    if texts.is_empty() {
        return Err(EraseError::Nothing { what: name });
    }
    if texts.iter().any(|text| repeats(reason, &text.bytes)) {
        return Err(EraseError::Repeats);
    }
    let said = |text: &Erasable| {
        let event = AuditEvent::Erased { commitment: text.commitment, reason: reason.to_owned() };
        Draft { resource: name.clone(), ..event.draft(by) }
    };
    journal.commit(&journal.new_cause(), Batch::of(texts.iter().map(said).collect())).await?;
    for text in &texts {
        journal.ledger().erase(&text.commitment).await?;
    }
    Ok(texts.into_iter().map(|text| text.commitment).collect())
}

fn repeats(reason: &str, text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).trim().to_lowercase();
    !text.is_empty() && reason.to_lowercase().contains(&text)
}

/// Destroys what was recorded as destroyed and is still there.
pub(crate) async fn finish(ledger: &dyn Ledger) -> Result<(), LedgerError> {
    let mut from_seq = 0;
    loop {
        let wanted = Filter { kind: Some("audit.erased/1".into()), from_seq: Some(from_seq), ..Filter::default() };
        let page = ledger.query(&wanted, PAGE).await?;
        for stored in &page {
            from_seq = stored.seq + 1;
            let commitment = decode(stored)?.body.get("commitment").and_then(|text| text.as_str()?.parse().ok());
            if let Some(commitment) = commitment
                && ledger.erasable(&commitment).await?.is_some()
            {
                ledger.erase(&commitment).await?;
            }
        }
        if page.len() < PAGE {
            return Ok(());
        }
    }
}

/// A text that will stand beside the journal, with the commitment that an entry holds.
#[must_use]
pub(crate) fn beside(journal: &Journal, text: &str) -> Erasable {
    let mut salt = [0; 32];
    journal.base().entropy.fill(&mut salt);
    Erasable { commitment: salted(&salt, text.as_bytes()), salt, bytes: text.as_bytes().to_vec() }
}

/// What a person says about something, as an entry of that thing's stream; the words stand beside it.
pub(crate) fn words(journal: &Journal, stream: &str, about: &str, by: &Actor, text: &str) -> (Draft, Erasable) {
    let words = beside(journal, text);
    let draft = Draft {
        action: "give_reason".into(),
        actor: by.clone(),
        body: json!({"erasables": {"reason": words.commitment}}),
        kind: SAID,
        outcome: Outcome::Success,
        resource: about.to_owned(),
        stream: stream.to_owned(),
    };
    (draft, words)
}

/// The stream of what people said about something whose own stream holds nothing but its events.
pub(crate) fn said_about(about: &str) -> String {
    format!("said/{about}")
}

/// Records what a person says about a run or a recommendation, in its trace where it has one. The commitment to it.
///
/// # Errors
/// When it could not be recorded.
pub async fn say(journal: &Journal, about: &str, by: &Actor, text: &str) -> Result<Digest, EraseError> {
    let cause = journal.cause_after(journal.stream(&format!("run/{about}")).await?.last());
    let (draft, words) = words(journal, &said_about(about), about, by, text);
    let commitment = words.commitment;
    let batch = Batch { erasables: vec![words], ..Batch::of(vec![draft]) };
    // Words are no deed: what they are said about comes after them.
    whoever_asked(journal.commit(&cause, batch)).await?;
    Ok(commitment)
}

/// What people said about something, oldest first, as far as it was not erased.
///
/// # Errors
/// When the journal cannot be read.
pub async fn words_about(journal: &Journal, about: &str) -> Result<Vec<Words>, LedgerError> {
    words_in(journal, &said_about(about)).await
}

/// What people said in a stream, oldest first.
///
/// # Errors
/// When the ledger fails.
pub async fn words_in(journal: &Journal, stream: &str) -> Result<Vec<Words>, LedgerError> {
    let mut all = Vec::new();
    for entry in journal.stream(stream).await?.into_iter().filter(|entry| entry.kind == SAID) {
        for commitment in erasables_of(&entry) {
            let text = text_beside(journal.ledger(), &commitment).await?;
            all.push(Words { at: entry.timestamp, by: entry.actor.clone(), text });
        }
    }
    Ok(all)
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// The words, or that they were erased.
    pub text: String,
}

/// A text that stands beside the journal, as people read it.
///
/// # Errors
/// When the ledger fails.
pub async fn text_beside(ledger: &dyn Ledger, commitment: &Digest) -> Result<String, LedgerError> {
    let Some(text) = ledger.erasable(commitment).await? else { return Ok(ERASED.into()) };
    // Whoever wrote it must not steer the terminal of whoever reads it, nor make it say what it does not.
    Ok(writ_text::visible(&String::from_utf8_lossy(&text.bytes).replace(['\n', '\r', '\t'], " ")))
}

/// The text that an entry or a document names by its commitment; none when it names none.
///
/// # Errors
/// When the ledger fails.
pub async fn text_of(ledger: &dyn Ledger, named: Option<&Value>) -> Result<Option<String>, LedgerError> {
    match named.and_then(|named| named.as_str()?.parse().ok()) {
        Some(commitment) => text_beside(ledger, &commitment).await.map(Some),
        None => Ok(None),
    }
}
