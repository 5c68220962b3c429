//! Going on with a journal that was rolled back. What its witness has seen beyond it is lost; the entry that accepts this names both
//! heads, and from it on the journal goes by another name and under another key, so that nobody takes the one for the other.

use crate::commit::{self, Batch, Cause, CommitError, Parts};
use crate::journal::{Foundations, OpenError, Seen, Taken, check_key, decode, seen, take};
use crate::rotate::Signers;
use std::sync::Arc;
use writ_audit::{Accepted, AuditEvent, CONTINUED, Continuation, Point};
use writ_core::{Actor, Erasable, Event, Filter, Ledger, LedgerError, Signer, SignerError, TraceId};
use writ_seal::{NoteKey, salted};

/// Continuations of one journal that are looked at, at the most.
const CONTINUED_MAX: usize = 1_000;

/// Why a journal does not go on under another name.
#[derive(Debug, thiserror::Error)]
pub enum ContinueError {
    /// It does not open, for another reason.
    #[error("the journal does not open")]
    Open(#[from] OpenError),
    /// There is nothing to accept.
    #[error("the journal is neither behind its witness nor beside what that has seen: it opens as it is")]
    Sound,
    /// The next key goes by the same name.
    #[error("`{key}` cannot sign the journal that goes on: it must be another key under another name")]
    Unfit {
        /// The key.
        key: String,
    },
    /// A key does not sign.
    #[error("a key does not sign")]
    Signer(#[from] SignerError),
    /// It could not be recorded.
    #[error("that the journal goes on could not be recorded")]
    Commit(#[from] CommitError),
}

/// Accepts that a journal was rolled back, for a reason, and goes on with what there is. `base` has the key that signed so far;
/// `next` signs from here on. It must be kept where the next start finds it before this is called.
///
/// # Errors
/// When the journal opens as it is, does not hold for another reason, or it could not be recorded.
pub async fn continue_journal(
    base: Foundations,
    next: Arc<dyn Signer>,
    reason: &str,
    by: &Actor,
) -> Result<Continuation, ContinueError> {
    let Taken { head, chain, keys } = take(&base).await?;
    check_key(&base, &keys)?;
    let witnessed = match seen(&base, &head, &keys).await? {
        Seen::Ahead(seen) | Seen::Beside(seen) => Point { size: seen.size, root: seen.root },
        Seen::Nothing | Seen::Within | Seen::GivenUp => return Err(ContinueError::Sound),
    };
    let (old, new) = (NoteKey::of(&*base.signer), NoteKey::of(&*next));
    if new.name == old.name || new.public_key == old.public_key {
        return Err(ContinueError::Unfit { key: new.to_string() });
    }
    let found = Point { size: head.size, root: head.root };
    let said = AuditEvent::continuation_bytes(&old.to_string(), &new.to_string(), &witnessed, &found);
    let mut salt = [0; 32];
    base.entropy.fill(&mut salt);
    let words = Erasable { commitment: salted(&salt, reason.as_bytes()), salt, bytes: reason.as_bytes().to_vec() };
    let continuation = Continuation {
        erasables: Accepted { reason: words.commitment },
        found,
        new: new.to_string(),
        old: old.to_string(),
        signed_by_new: hex_of(&next.sign(&said)?),
        signed_by_old: hex_of(&base.signer.sign(&said)?),
        witnessed,
    };
    let parts = Parts {
        ledger: base.ledger.clone(),
        // The checkpoint over this very entry is the first of the journal that goes on.
        signers: Signers::of(next),
        witness: base.witness.clone(),
        clock: base.clock.clone(),
        entropy: base.entropy.clone(),
        chain,
    };
    let (commit, writer) = commit::start(parts);
    let draft = AuditEvent::Continued(continuation.clone()).draft(by);
    let mut chance = [0; 16];
    base.entropy.fill(&mut chance);
    let cause = Cause { trace: TraceId::of(chance), event: None };
    commit.commit(&cause, Batch { erasables: vec![words], ..Batch::of(vec![draft]) }).await?;
    drop(commit);
    // The writer tells the witness before it ends.
    drop(writer.await);
    Ok(continuation)
}

/// The heads that were given up when a rollback was accepted.
pub(crate) async fn given_up(ledger: &dyn Ledger) -> Result<Vec<Point>, LedgerError> {
    let wanted = Filter { kind: Some(CONTINUED.into()), ..Filter::default() };
    let mut points = Vec::new();
    for stored in ledger.query(&wanted, CONTINUED_MAX).await? {
        points.extend(Continuation::of(&decode(&stored)?).map(|continuation| continuation.witnessed));
    }
    Ok(points)
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
