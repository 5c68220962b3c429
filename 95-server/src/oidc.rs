//! Logging in by an OpenID issuer: the authorization code flow with PKCE. The issuer says who somebody is, and nothing more: whom
//! that is here, and what they may do, is said by the journal.
//!
//! A login is begun by a browser and ended by the same one, which shows that by a cookie; it is ended once, and within minutes.

mod token;
mod web;

#[cfg(test)]
mod tests;

use crate::config::Config;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use token::{Expected, Key, Refused};
use web::{Web, WebError};
use writ_core::{Digest, Entropy, Timestamp};
use writ_pipeline::Subject;
use writ_seal::sha256;

/// Where the issuer sends people back to, under the address by which they reach the server.
pub(crate) const CALLBACK: &str = "/login/oidc/callback";

/// How long somebody may take at the issuer.
pub(crate) const BEGUN_FOR: Duration = Duration::from_secs(600);

/// Logins that are under way at the most; beyond that the oldest is forgotten.
const BEGUN_MAX: usize = 10_000;

/// How long what the issuer says of itself is believed.
const KNOWN_FOR: Duration = Duration::from_secs(600);

/// Why an issuer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The issuer's address.
    #[error("`oidc.issuer` is `{issuer}`, which is neither https nor of this machine")]
    Clear {
        /// What was given.
        issuer: String,
    },
    /// The client's secret.
    #[error("the file `{path}` of `oidc.client_secret_file` cannot be read")]
    Secret {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// The certificates.
    #[error("`oidc.ca` cannot be used: {because}")]
    Trust {
        /// Why.
        because: String,
    },
}

/// Why a login does not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("the issuer `{issuer}` does not answer")]
    Away {
        issuer: String,
        #[source]
        cause: WebError,
    },
    #[error("the issuer `{issuer}` does not say of itself what it should: {because}")]
    Unsound { issuer: String, because: &'static str },
    #[error("this login was not begun in this browser, was ended before, or took too long")]
    NotBegun,
    #[error("the issuer says no: `{word}`")]
    Denied { word: String },
    #[error("the issuer does not take back the code that it gave")]
    Code(#[source] WebError),
    #[error("the issuer's word is not believed")]
    Token(#[source] Refused),
}

/// An issuer, and who writ is to it.
pub(crate) struct Oidc {
    pub(crate) issuer: String,
    client: String,
    secret: Option<String>,
    claim: String,
    /// Where people are sent back to.
    pub(crate) redirect: String,
    web: Web,
    known: tokio::sync::Mutex<Option<Known>>,
    begun: Mutex<HashMap<String, Begun>>,
}

/// What an issuer says of itself.
#[derive(Clone)]
struct Known {
    authorize: String,
    token: String,
    /// Whether the secret is sent in the form instead of the head.
    in_form: bool,
    keys: Vec<Key>,
    at: Timestamp,
}

/// A login that is under way.
struct Begun {
    browser: Digest,
    nonce: String,
    verifier: String,
    next: String,
    until: Timestamp,
}

/// Where a browser is sent to, and what it is to show when it comes back.
pub(crate) struct Leave {
    pub(crate) to: String,
    pub(crate) cookie: String,
}

/// What an issuer sends somebody back with.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Back {
    state: String,
    code: String,
    error: String,
    iss: Option<String>,
}

impl Oidc {
    /// The issuer of a configuration; none where there is none. `address` is what people reach the server by.
    ///
    /// # Errors
    /// When it is not safe, or a file cannot be read.
    pub(crate) fn of(config: &Config, address: &str) -> Result<Option<Self>, OidcError> {
        let oidc = &config.oidc;
        let (Some(issuer), Some(client)) = (oidc.issuer.clone(), oidc.client_id.clone()) else { return Ok(None) };
        if !web::is_safe(&issuer) {
            return Err(OidcError::Clear { issuer });
        }
        let read = |path: &std::path::PathBuf| {
            let told = |cause| OidcError::Secret { path: path.display().to_string(), cause };
            fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(told)
        };
        let secret = oidc.client_secret_file.as_ref().map(read).transpose()?;
        let web = Web::new(oidc.ca.as_deref()).map_err(|error| OidcError::Trust { because: error.to_string() })?;
        let redirect = format!("{}{CALLBACK}", address.trim_end_matches('/'));
        let claim = oidc.subject_claim.clone().unwrap_or_else(|| "sub".to_owned());
        let (known, begun) = (tokio::sync::Mutex::new(None), Mutex::new(HashMap::new()));
        Ok(Some(Self { issuer, client, secret, claim, redirect, web, known, begun }))
    }

    /// Begins a login that leads to `next`.
    ///
    /// # Errors
    /// When the issuer does not answer, or says of itself what makes no sense.
    pub(crate) async fn begin(&self, next: &str, now: Timestamp, entropy: &dyn Entropy) -> Result<Leave, LoginError> {
        let known = self.known(now).await?;
        let draw = || {
            let mut bytes = [0; 32];
            entropy.fill(&mut bytes);
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let (state, nonce, verifier, cookie) = (draw(), draw(), draw(), draw());
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()).0);
        // Another claim than the subject is of the person's profile.
        let scope = if self.claim == "sub" { "openid" } else { "openid profile email" };
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &self.client),
            ("redirect_uri", &self.redirect),
            ("scope", scope),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let joint = if known.authorize.contains('?') { '&' } else { '?' };
        let to = format!("{}{joint}{query}", known.authorize);
        let browser = sha256(cookie.as_bytes());
        let until = now.plus(BEGUN_FOR);
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.retain(|_, one| one.until > now);
        if begun.len() >= BEGUN_MAX
            && let Some(oldest) = begun.iter().min_by_key(|(_, one)| one.until).map(|(state, _)| state.clone())
        {
            begun.remove(&oldest);
        }
        begun.insert(state, Begun { browser, nonce, verifier, next: next.to_owned(), until });
        Ok(Leave { to, cookie })
    }

    /// Ends a login: whom the issuer means, and where they wanted to go.
    ///
    /// # Errors
    /// When it was not begun by whoever ends it, or the issuer's word is not to be believed.
    pub(crate) async fn end(
        &self,
        back: &Back,
        cookie: Option<&str>,
        now: Timestamp,
    ) -> Result<(Subject, String), LoginError> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(&back.state);
        let browser = cookie.map(|cookie| sha256(cookie.as_bytes()));
        let begun = begun.filter(|begun| browser == Some(begun.browser) && begun.until > now);
        let begun = begun.ok_or(LoginError::NotBegun)?;
        if back.iss.as_ref().is_some_and(|named| *named != self.issuer) {
            return Err(LoginError::Token(Refused::Issuer));
        }
        if !back.error.is_empty() {
            return Err(LoginError::Denied { word: back.error.chars().take(60).collect() });
        }
        let known = self.known(now).await?;
        let answer = self.redeem(&known, &back.code, &begun.verifier).await?;
        let token = answer.get("id_token").and_then(Value::as_str).ok_or(LoginError::Token(Refused::Form))?;
        let expected =
            Expected { issuer: &self.issuer, client: &self.client, nonce: &begun.nonce, claim: &self.claim, now };
        let subject = match token::subject(token, &known.keys, &expected) {
            // It may sign with a new key since it was asked.
            Err(Refused::UnknownKey | Refused::Signature) => {
                token::subject(token, &self.asked_anew(now).await?.keys, &expected)
            }
            subject => subject,
        };
        let subject = subject.map_err(LoginError::Token)?;
        Ok((Subject { issuer: self.issuer.clone(), subject }, begun.next))
    }

    async fn redeem(&self, known: &Known, code: &str, verifier: &str) -> Result<Value, LoginError> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect),
            ("code_verifier", verifier),
        ];
        let mut authorization = None;
        match &self.secret {
            Some(secret) if !known.in_form => {
                let pair = format!("{}:{}", escaped(&self.client), escaped(secret));
                authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
            }
            Some(secret) => fields.extend([("client_id", self.client.as_str()), ("client_secret", secret)]),
            None => fields.push(("client_id", &self.client)),
        }
        let answer = self.web.post(&known.token, authorization, form(&fields)).await;
        answer.map_err(|cause| {
            if matches!(cause, WebError::Status { status, .. } if status.is_client_error()) {
                LoginError::Code(cause)
            } else {
                LoginError::Away { issuer: self.issuer.clone(), cause }
            }
        })
    }

    /// What the issuer says of itself, asked anew when that is some time ago.
    async fn known(&self, now: Timestamp) -> Result<Known, LoginError> {
        let mut kept = self.known.lock().await;
        if let Some(known) = kept.as_ref().filter(|known| known.at.plus(KNOWN_FOR) > now) {
            return Ok(known.clone());
        }
        let known = self.discovered(now).await?;
        *kept = Some(known.clone());
        Ok(known)
    }

    async fn asked_anew(&self, now: Timestamp) -> Result<Known, LoginError> {
        let known = self.discovered(now).await?;
        *self.known.lock().await = Some(known.clone());
        Ok(known)
    }

    async fn discovered(&self, now: Timestamp) -> Result<Known, LoginError> {
        let away = |cause| LoginError::Away { issuer: self.issuer.clone(), cause };
        let unsound = |because| LoginError::Unsound { issuer: self.issuer.clone(), because };
        let at = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let document = self.web.get(&at).await.map_err(away)?;
        let text = |field: &str| document.get(field).and_then(Value::as_str).map(str::to_owned);
        if text("issuer").as_deref() != Some(&self.issuer) {
            return Err(unsound("it calls itself otherwise than `oidc.issuer` does"));
        }
        let url = |field: &str| text(field).filter(|url| web::is_safe(url));
        let authorize =
            url("authorization_endpoint").ok_or(unsound("its authorization endpoint is missing or unsafe"))?;
        let token = url("token_endpoint").ok_or(unsound("its token endpoint is missing or unsafe"))?;
        let jwks = url("jwks_uri").ok_or(unsound("the address of its keys is missing or unsafe"))?;
        // Whoever says nothing takes the secret in the head.
        let ways = document.get("token_endpoint_auth_methods_supported").and_then(Value::as_array);
        let in_form = ways.is_some_and(|ways| !ways.iter().any(|way| way == "client_secret_basic"));
        let keys = token::keys(&self.web.get(&jwks).await.map_err(away)?);
        Ok(Known { authorize, token, in_form, keys, at: now })
    }
}

/// Fields as a form or a query has them.
fn form(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
