//! A signed webhook, as Standard Webhooks has it: whoever holds the secret can tell that a message is ours, is whole, and is
//! not an old one sent again.

use super::outside::{Outside, Trust};
use super::{ChannelError, document};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use writ_core::{Clock, Notifier, NotifyError, Telling, TraceId};

/// How many bytes a secret has.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What messages are signed with.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Reads `whsec_` and the bytes in base64.
    ///
    /// # Errors
    /// When it is something else, or too short.
    pub fn read(text: &str) -> Result<Self, ChannelError> {
        let bytes = text.trim().strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        let sound = bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len()));
        let because = "is not `whsec_` and 24 to 64 bytes in base64".to_owned();
        sound.map(Self).ok_or(ChannelError { what: "the secret", because })
    }

    /// The signature of a message, as its header has it.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &str) -> Result<String, NotifyError> {
        let refused = |_| NotifyError::Refused { because: "the secret does not sign".into() };
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(refused)?;
        mac.update(format!("{id}.{seconds}.{body}").as_bytes());
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

/// Posts each telling as a signed document.
#[derive(Clone)]
pub struct WebhookNotifier {
    to: Outside,
    secret: Secret,
    clock: Arc<dyn Clock>,
}

impl WebhookNotifier {
    /// A receiver at a URL.
    ///
    /// # Errors
    /// When the URL is none that may be posted to.
    pub fn new(url: &str, secret: Secret, trust: &Trust, clock: Arc<dyn Clock>) -> Result<Self, ChannelError> {
        Ok(Self { to: Outside::at(url.trim(), trust)?, secret, clock })
    }
}

#[async_trait]
impl Notifier for WebhookNotifier {
    fn name(&self) -> &str {
        "webhook"
    }

    fn is_read_by_people(&self) -> bool {
        false
    }

    async fn notify(&self, telling: &Telling) -> Result<(), NotifyError> {
        let (id, body) = (&telling.id, document(telling).to_string());
        // The time of this attempt, so that a late one is not taken for an old one.
        let seconds = self.clock.now().micros().div_euclid(1_000_000);
        let signature = self.secret.sign(id, seconds, &body)?;
        let seconds = seconds.to_string();
        let mut headers =
            vec![("webhook-id", id.as_str()), ("webhook-timestamp", &seconds), ("webhook-signature", &signature)];
        let parent = telling.trace.as_ref().map(|trace| traceparent(trace, id));
        headers.extend(parent.as_deref().map(|parent| ("traceparent", parent)));
        self.to.post(&headers, body).await
    }
}

/// The W3C header for a trace; our own part of it is one for each telling, however often that is handed over.
fn traceparent(trace: &TraceId, telling: &str) -> String {
    let digest = Sha256::digest(telling.as_bytes());
    let own: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("00-{trace}-{own}-01")
}
