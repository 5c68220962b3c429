//! ed25519 keys.

use crate::sha256;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use writ_core::{Signer, SignerError};

/// A key in this process, made from a 32-byte seed.
pub struct Key {
    name: String,
    signing: SigningKey,
}

/// Why a text or some bytes are not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hexadecimal digits.
    #[error("an ed25519 key is 64 hexadecimal digits, not {length} characters")]
    Length {
        /// How many characters there are.
        length: usize,
    },
    /// Not a point on the curve.
    #[error("the bytes are not an ed25519 public key")]
    Point,
    /// A key that anybody may sign for, or another writing of a key: signatures under it prove nothing.
    #[error(
        "the bytes are no ed25519 public key that a key pair has: they are of small order, or written otherwise than such a key is"
    )]
    Weak,
}

impl Key {
    /// The key of a seed, under a name that checkpoints and envelopes show.
    #[must_use]
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Self {
        Self { name: name.to_owned(), signing: SigningKey::from_bytes(seed) }
    }

    /// The public key as 64 hexadecimal digits.
    #[must_use]
    pub fn public_hex(&self) -> String {
        hex::encode(self.public_key())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}, {})", self.name, sha256(&self.public_key()).short())
    }
}

impl Signer for Key {
    fn name(&self) -> &str {
        &self.name
    }

    fn public_key(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignerError> {
        Ok(self.signing.sign(bytes).to_bytes())
    }
}

/// Whether `signature` is `public_key`'s over `bytes`, by the strict rules (no small-order keys, canonical encodings).
#[must_use]
pub fn verify_signature(public_key: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public_key)
        .is_ok_and(|key| key.verify_strict(bytes, &Signature::from_bytes(signature)).is_ok())
}

/// The public key of 64 hexadecimal digits.
///
/// # Errors
/// When it is anything else, no point on the curve, or one that proves nothing.
pub fn public_key_from_hex(text: &str) -> Result<[u8; 32], KeyError> {
    let bytes: [u8; 32] = hex::decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(KeyError::Length { length: text.chars().count() })?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Point)?;
    if key.is_weak() || key.to_edwards().compress().to_bytes() != bytes {
        return Err(KeyError::Weak);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_proves_nothing_is_no_key() {
        let low = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
        for (text, because) in [
            ("00".repeat(31), KeyError::Length { length: 62 }),
            ("zz".repeat(32), KeyError::Length { length: 64 }),
            ("00".repeat(32), KeyError::Weak),
            (format!("01{}", "00".repeat(31)), KeyError::Weak),
            (format!("ec{}7f", "ff".repeat(30)), KeyError::Weak),
            (low.to_owned(), KeyError::Weak),
            ("ff".repeat(32), KeyError::Weak),
            (format!("02{}", "00".repeat(31)), KeyError::Point),
        ] {
            assert_eq!(public_key_from_hex(&text), Err(because), "{text}");
        }
        let sound = Key::from_seed("k", &[7; 32]);
        assert_eq!(public_key_from_hex(&sound.public_hex()), Ok(sound.public_key()));
        assert_eq!(public_key_from_hex(&sound.public_hex().to_uppercase()), Ok(sound.public_key()));
    }
}
