//! C2SP signed notes v1.0.0: a text, a blank line, and a signature line for each key.

use crate::{sha256, verify_signature};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use writ_core::{Signer, SignerError};

/// The ed25519 algorithm byte of key ids and verifier keys.
const ED25519: u8 = 1;

/// A key that is trusted to sign notes, printed as a C2SP verifier key `name+hash+base64(0x01 ‖ key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteKey {
    /// The key's name.
    pub name: String,
    /// The ed25519 public key.
    pub public_key: [u8; 32],
}

/// Why a note is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text is not a note.
    #[error("the text is not a signed note: {because}")]
    Form {
        /// What is wrong with it.
        because: &'static str,
    },
    /// No signature is by a trusted key.
    #[error("the note is not signed by `{name}`")]
    Unsigned {
        /// The key that should have signed.
        name: String,
    },
    /// A line claims a trusted key and its signature is false.
    #[error("the signature that claims to be by `{name}` is false")]
    Forged {
        /// The key it claims.
        name: String,
    },
    /// The text is no verifier key.
    #[error("`{text}` is not a verifier key; write it as `name+hash+key`")]
    Key {
        /// What was given.
        text: String,
    },
}

/// A text with signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    /// The text, ending with a newline.
    pub text: String,
    /// Name, key id and signature of each line.
    pub signatures: Vec<(String, [u8; 4], Vec<u8>)>,
}

impl NoteKey {
    /// The key that belongs to a signer.
    #[must_use]
    pub fn of(signer: &dyn Signer) -> Self {
        Self { name: signer.name().to_owned(), public_key: signer.public_key() }
    }

    /// The first four bytes of `SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key)`.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let mut bytes = self.name.as_bytes().to_vec();
        bytes.extend_from_slice(&[b'\n', ED25519]);
        bytes.extend_from_slice(&self.public_key);
        let digest = sha256(&bytes).0;
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

impl std::fmt::Display for NoteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut typed = vec![ED25519];
        typed.extend_from_slice(&self.public_key);
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), STANDARD.encode(typed))
    }
}

impl std::str::FromStr for NoteKey {
    type Err = NoteError;
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let bad = || NoteError::Key { text: text.chars().take(200).collect() };
        let mut parts = text.splitn(3, '+');
        let (name, id, key) =
            (parts.next().ok_or_else(bad)?, parts.next().ok_or_else(bad)?, parts.next().ok_or_else(bad)?);
        let typed = STANDARD.decode(key).map_err(|_| bad())?;
        let (Some(&ED25519), Ok(public_key)) = (typed.first(), <[u8; 32]>::try_from(&typed[1.min(typed.len())..]))
        else {
            return Err(bad());
        };
        let key = Self { name: name.to_owned(), public_key };
        if name.is_empty() || name.contains(char::is_whitespace) || hex::encode(key.id()) != id {
            return Err(bad());
        }
        Ok(key)
    }
}

impl SignedNote {
    /// Signs a text that ends with a newline.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign(text: String, signers: &[&dyn Signer]) -> Result<Self, SignerError> {
        let mut signatures = Vec::with_capacity(signers.len());
        for signer in signers {
            let signature = signer.sign(text.as_bytes())?;
            signatures.push((signer.name().to_owned(), NoteKey::of(*signer).id(), signature.to_vec()));
        }
        Ok(Self { text, signatures })
    }

    /// Reads a note. Nothing is checked but its form.
    ///
    /// # Errors
    /// When the text is not a note.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let form = |because| NoteError::Form { because };
        if note.len() > 1_000_000 {
            return Err(form("it is larger than a megabyte"));
        }
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(form("it has control characters"));
        }
        let split = note.rfind("\n\n").ok_or_else(|| form("it has no blank line before its signatures"))?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        let body = lines.strip_suffix('\n').ok_or_else(|| form("it does not end with a newline"))?;
        let mut signatures = Vec::new();
        for line in body.split('\n') {
            let rest =
                line.strip_prefix("\u{2014} ").ok_or_else(|| form("a signature line does not start with a dash"))?;
            let (name, blob) = rest.split_once(' ').ok_or_else(|| form("a signature line has no signature"))?;
            let bytes = STANDARD.decode(blob).map_err(|_| form("a signature is not base64"))?;
            let (Some(id), Some(signature)) = (bytes.first_chunk::<4>(), bytes.get(4..)) else {
                return Err(form("a signature is too short"));
            };
            if name.is_empty() || signature.is_empty() {
                return Err(form("a signature line is incomplete"));
            }
            signatures.push((name.to_owned(), *id, signature.to_vec()));
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Whether the key signed the note.
    ///
    /// # Errors
    /// `Unsigned` when no line claims the key, `Forged` when one does falsely.
    pub fn verify(&self, key: &NoteKey) -> Result<(), NoteError> {
        let id = key.id();
        let mut claims =
            self.signatures.iter().filter(|(name, line_id, _)| *name == key.name && *line_id == id).peekable();
        if claims.peek().is_none() {
            return Err(NoteError::Unsigned { name: key.name.clone() });
        }
        let holds = |bytes: &Vec<u8>| {
            <[u8; 64]>::try_from(bytes.as_slice())
                .is_ok_and(|signature| verify_signature(&key.public_key, self.text.as_bytes(), &signature))
        };
        if claims.all(|(_, _, bytes)| holds(bytes)) {
            Ok(())
        } else {
            Err(NoteError::Forged { name: key.name.clone() })
        }
    }
}

impl std::fmt::Display for SignedNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.text)?;
        for (name, id, signature) in &self.signatures {
            let mut blob = id.to_vec();
            blob.extend_from_slice(signature);
            writeln!(f, "\u{2014} {name} {}", STANDARD.encode(blob))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[test]
    fn a_signed_note_reads_back_and_a_changed_one_is_forged() {
        let key = Key::from_seed("writ.local/log", &[7; 32]);
        let note = SignedNote::sign("writ.local/log\n3\nabc\n".into(), &[&key]).unwrap();
        let read = SignedNote::parse(&note.to_string()).unwrap();
        assert_eq!(read, note);
        assert_eq!(read.verify(&NoteKey::of(&key)), Ok(()));
        let other = SignedNote { text: "writ.local/log\n4\nabc\n".into(), ..read.clone() };
        assert!(matches!(other.verify(&NoteKey::of(&key)), Err(NoteError::Forged { .. })));
        let stranger = Key::from_seed("writ.local/log", &[8; 32]);
        assert!(matches!(read.verify(&NoteKey::of(&stranger)), Err(NoteError::Unsigned { .. })));
    }

    #[test]
    fn a_verifier_key_reads_back_and_a_changed_one_is_refused() {
        let key = NoteKey::of(&Key::from_seed("writ.local/log", &[7; 32]));
        assert_eq!(key.to_string().parse(), Ok(key.clone()));
        assert!(key.to_string().replace("local", "locaI").parse::<NoteKey>().is_err());
    }

    #[test]
    fn what_is_not_a_note_is_refused() {
        for bad in ["", "x\n", "x\n\n", "x\n\n\u{2014} a\n", "x\n\n\u{2014} a AAAA", "x\r\n\n\u{2014} a AAAAAAAA\n"] {
            assert!(SignedNote::parse(bad).is_err(), "{bad:?}");
        }
    }
}
