//! Canonical bytes, hashes, keys and signatures.
//!
//! In: values, bytes, a seed. Out: bytes that are the same on every machine, SHA-256 digests, RFC 6962 tree hashes, ed25519
//! signatures, DSSE envelopes and C2SP signed notes. What is signed and why is not known here, but for the permit: gate,
//! agent and provider must check the very same thing, so that check has its one home in [`check_effect`].
//!
//! This crate refuses to know: the clock, chance, files and the journal.

mod canonical;
mod dsse;
mod hash;
mod key;
mod note;
#[cfg(test)]
mod parse_laws;
mod permit;

pub use canonical::{NotCanonical, canonical, digest_of, entry_around, entry_bytes};
pub use dsse::{Envelope, EnvelopeError, Signature};
pub use hash::{EMPTY_ROOT, leaf_hash, node_hash, salted, sha256};
pub use key::{Key, KeyError, public_key_from_hex, verify_signature};
pub use note::{NoteError, NoteKey, SignedNote};
pub use permit::{
    PERMIT_TYPE, PermitRefused, check_effect, open_permit, redemption_bytes, seal_permit, sign_redemption,
};
