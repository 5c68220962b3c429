//! Changing the key that signs the journal. From the moment the next key is at hand until the next start, both sign every
//! checkpoint; the entry that hands over is signed by both; from the next start on, the new one signs alone.

use crate::commit::{Batch, CommitError};
use crate::journal::{Journal, OpenError, decode};
use std::sync::{Arc, PoisonError, RwLock};
use writ_audit::{AuditEvent, CONTINUED, KEY_ROTATED, KeyChain};
use writ_core::{Actor, Event, Filter, Ledger, Signer, SignerError};
use writ_seal::NoteKey;

/// Rotations of one journal that are followed at the most.
const ROTATIONS_MAX: usize = 10_000;

/// The keys that sign checkpoints now: one, or two while a key is rotated.
#[derive(Clone)]
pub(crate) struct Signers(Arc<RwLock<Signing>>);

struct Signing {
    all: Vec<Arc<dyn Signer>>,
    /// Which of them the journal names as the one in force.
    in_force: usize,
}

impl Signers {
    pub(crate) fn of(signer: Arc<dyn Signer>) -> Self {
        Self(Arc::new(RwLock::new(Signing { all: vec![signer], in_force: 0 })))
    }

    pub(crate) fn all(&self) -> Vec<Arc<dyn Signer>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).all.clone()
    }

    pub(crate) fn in_force(&self) -> Option<NoteKey> {
        let signing = self.0.read().unwrap_or_else(PoisonError::into_inner);
        signing.all.get(signing.in_force).map(|signer| NoteKey::of(&**signer))
    }

    /// Lets another one sign, too. Whether there was only one before.
    fn join(&self, next: Arc<dyn Signer>) -> bool {
        let mut signing = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let alone = signing.all.len() == 1;
        if alone {
            signing.all.push(next);
        }
        alone
    }

    /// The one that joined last signs no more: the journal does not name it.
    fn leave(&self) {
        let mut signing = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let kept = signing.in_force + 1;
        signing.all.truncate(kept);
    }

    /// The journal names the one that joined last.
    fn hand_over(&self) {
        let mut signing = self.0.write().unwrap_or_else(PoisonError::into_inner);
        signing.in_force = signing.all.len().saturating_sub(1);
    }
}

/// Why the key stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// Another one took over already, and the old one still signs along.
    #[error("the key was rotated since the last start, and the old one signs along until the next")]
    UnderWay,
    /// The next key is the one that signs now, or goes by another name.
    #[error("`{key}` cannot take over from `{old}`: it must be another key of the same name")]
    Unfit {
        /// The key in force.
        old: String,
        /// The one that was given.
        key: String,
    },
    /// A key does not sign.
    #[error("a key does not sign")]
    Signer(#[from] SignerError),
    /// It could not be recorded.
    #[error("the rotation could not be recorded")]
    Commit(#[from] CommitError),
}

impl Journal {
    /// Hands the journal over to the next key. The key must be kept where the next start finds it before this is called.
    ///
    /// # Errors
    /// When a rotation is under way, a key does not sign, or the journal is closed.
    pub async fn rotate_key(&self, next: Arc<dyn Signer>, by: &Actor) -> Result<NoteKey, RotateError> {
        let (old, new) = (self.base().signer.clone(), NoteKey::of(&*next));
        let old_key = NoteKey::of(&*old);
        if new == old_key || new.name != old_key.name {
            return Err(RotateError::Unfit { old: old_key.to_string(), key: new.to_string() });
        }
        let said = AuditEvent::rotation_bytes(&old_key.name, &new.to_string());
        let rotated = AuditEvent::KeyRotated {
            old: old_key.to_string(),
            signed_by_old: hex_of(&old.sign(&said)?),
            signed_by_new: hex_of(&next.sign(&said)?),
            new: new.to_string(),
        };
        // Both sign before it is said: the checkpoint over the entry itself must be signed by the key that it names.
        if !self.signers().join(next) {
            return Err(RotateError::UnderWay);
        }
        if let Err(error) = self.commit(&self.new_cause(), Batch::of(vec![rotated.draft(by)])).await {
            self.signers().leave();
            return Err(error.into());
        }
        self.signers().hand_over();
        Ok(new)
    }
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The keys of a journal, from its genesis on; none when it has no entries yet.
///
/// # Errors
/// When the journal cannot be read, does not begin with a genesis, or its keys do not follow each other.
pub async fn key_chain(ledger: &dyn Ledger) -> Result<KeyChain, OpenError> {
    let genesis = |because: String| OpenError::Genesis { because };
    let mut chain = KeyChain::default();
    let Some(first) = ledger.entries(0, 1).await?.first().map(decode).transpose()? else { return Ok(chain) };
    if first.kind != "audit.genesis/1" {
        return Err(genesis(format!("its kind is `{}`", first.kind)));
    }
    chain.feed(&first).map_err(|_| genesis("it names no key".to_owned()))?;
    let mut changes = Vec::new();
    for kind in [KEY_ROTATED, CONTINUED] {
        let wanted = Filter { kind: Some(kind.into()), ..Filter::default() };
        changes.extend(ledger.query(&wanted, ROTATIONS_MAX).await?);
    }
    changes.sort_by_key(|stored| stored.seq);
    for stored in changes {
        let entry = decode(&stored)?;
        chain.feed(&entry).map_err(|fault| genesis(fault.to_string()))?;
    }
    Ok(chain)
}
