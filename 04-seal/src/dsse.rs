//! DSSE envelopes (secure-systems-lab/dsse, protocol v1.0.2): a payload, its type, and signatures over both.

use crate::verify_signature;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use writ_core::{Signer, SignerError};

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The name of the key, a hint only.
    pub keyid: String,
    /// The signature, base64.
    pub sig: String,
}

/// A signed payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The payload, base64.
    pub payload: String,
    /// What the payload is, as a media type.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// Who signed.
    pub signatures: Vec<Signature>,
}

/// Why an envelope is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The text is no envelope.
    #[error("the text is not a DSSE envelope: {because}")]
    Form {
        /// What the reader says.
        because: String,
    },
    /// The payload is something else.
    #[error("the envelope holds `{found}`, not `{wanted}`")]
    Type {
        /// What it says it holds.
        found: String,
        /// What was wanted.
        wanted: String,
    },
    /// No signature is the given key's.
    #[error("no signature of the envelope is by the expected key")]
    Unsigned,
}

/// What is signed: `DSSEv1 SP len(type) SP type SP len(payload) SP payload`.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// Signs a payload.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign(payload_type: &str, payload: &[u8], signer: &dyn Signer) -> Result<Self, SignerError> {
        let signature = signer.sign(&pre_authentication(payload_type, payload))?;
        Ok(Self {
            payload: STANDARD.encode(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![Signature { keyid: signer.name().to_owned(), sig: STANDARD.encode(signature) }],
        })
    }

    /// The payload, once its type is the wanted one and the key has signed it.
    ///
    /// # Errors
    /// When either is not so.
    pub fn open(&self, wanted: &str, public_key: &[u8; 32]) -> Result<Vec<u8>, EnvelopeError> {
        if self.payload_type != wanted {
            return Err(EnvelopeError::Type { found: self.payload_type.clone(), wanted: wanted.to_owned() });
        }
        let payload = STANDARD
            .decode(&self.payload)
            .map_err(|error| EnvelopeError::Form { because: format!("the payload is not base64: {error}") })?;
        let signed = pre_authentication(&self.payload_type, &payload);
        let by_key = |signature: &Signature| {
            STANDARD
                .decode(&signature.sig)
                .ok()
                .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok())
                .is_some_and(|bytes| verify_signature(public_key, &signed, &bytes))
        };
        if self.signatures.iter().any(by_key) { Ok(payload) } else { Err(EnvelopeError::Unsigned) }
    }

    /// The envelope as JSON text.
    ///
    /// # Errors
    /// Never for an envelope of this type; the writer's error is passed on.
    pub fn to_text(&self) -> Result<String, EnvelopeError> {
        serde_json::to_string(self).map_err(|error| EnvelopeError::Form { because: error.to_string() })
    }

    /// The envelope of a JSON text.
    ///
    /// # Errors
    /// When the text is no envelope.
    pub fn from_text(text: &str) -> Result<Self, EnvelopeError> {
        serde_json::from_str(text).map_err(|error| EnvelopeError::Form { because: error.to_string() })
    }
}
