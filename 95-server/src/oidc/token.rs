//! Reading an ID token: a JWT that the issuer signed, of which nothing is believed before its signature is checked, and little
//! after. Two algorithms are known, the two that issuers use; a key says which of them it is for, never the token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;
use writ_core::Timestamp;

/// The longest token.
const TOKEN_MAX: usize = 16 << 10;

/// The longest subject, as OpenID has it.
const SUBJECT_MAX: usize = 255;

/// How far the issuer's clock may be from ours, in seconds.
const SKEW: i64 = 60;

/// A key that an issuer signs with.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    id: Option<String>,
    public: Public,
}

#[derive(Debug, Clone)]
enum Public {
    Rs256 { n: Vec<u8>, e: Vec<u8> },
    Es256 { point: Vec<u8> },
}

/// A key as JWKS has it.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a JWKS document that a token may be signed with; the others are passed over.
pub(crate) fn keys(document: &Value) -> Vec<Key> {
    let all = document.get("keys").and_then(Value::as_array);
    all.into_iter().flatten().filter_map(key).collect()
}

fn key(document: &Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(document.clone()).ok()?;
    let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
    if jwk.r#use.is_some_and(|used| used != "sig") {
        return None;
    }
    let (alg, public) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let number = |text| Some(bytes(text)?.into_iter().skip_while(|byte| *byte == 0).collect());
            ("RS256", Public::Rs256 { n: number(jwk.n)?, e: number(jwk.e)? })
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (bytes(jwk.x)?, bytes(jwk.y)?);
            let point = (x.len() == 32 && y.len() == 32).then(|| [&[4], x.as_slice(), &y].concat())?;
            ("ES256", Public::Es256 { point })
        }
        _ => return None,
    };
    jwk.alg.is_none_or(|named| named == alg).then_some(Key { id: jwk.kid, public })
}

impl Key {
    fn algorithm(&self) -> &'static str {
        match self.public {
            Public::Rs256 { .. } => "RS256",
            Public::Es256 { .. } => "ES256",
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            Public::Rs256 { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            Public::Es256 { point } => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
        }
    }
}

/// What a token must say.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client: &'a str,
    pub(crate) nonce: &'a str,
    /// The claim that tells people apart.
    pub(crate) claim: &'a str,
    pub(crate) now: Timestamp,
}

/// Why a token is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it is no signed token")]
    Form,
    #[error("it is signed by `{algorithm}`, and only RS256 and ES256 are believed")]
    Algorithm { algorithm: String },
    #[error("it asks for what is not known here (`crit`)")]
    Critical,
    #[error("the issuer publishes no key that it names")]
    UnknownKey,
    #[error("its signature does not hold")]
    Signature,
    #[error("another issuer made it")]
    Issuer,
    #[error("it is for another client")]
    Audience,
    #[error("it has expired, or the clocks are apart")]
    Expired,
    #[error("it is of the future: the clocks are apart")]
    Future,
    #[error("it is the answer to another login")]
    Nonce,
    #[error("it has no claim `{claim}` that could name a person")]
    NoSubject { claim: String },
    #[error("the issuer has not checked that mail address")]
    Unverified,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    /// A token that is for others too must say that it was made for this client.
    fn is(&self, client: &str, party: Option<&str>) -> bool {
        let named = match self {
            Audience::One(one) => one == client,
            Audience::Many(all) => all.iter().any(|one| one == client) && (all.len() == 1 || party.is_some()),
        };
        named && party.is_none_or(|party| party == client)
    }
}

/// Whom a token is about.
///
/// # Errors
/// When it is not signed by the issuer, or does not answer what was asked.
pub(crate) fn subject(token: &str, keys: &[Key], expected: &Expected<'_>) -> Result<String, Refused> {
    if token.len() > TOKEN_MAX {
        return Err(Refused::Form);
    }
    let mut parts = token.split('.');
    let (Some(head), Some(body), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refused::Form);
    };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Form);
    let message = token.get(..head.len() + 1 + body.len()).ok_or(Refused::Form)?;
    let head: Head = serde_json::from_slice(&decoded(head)?).map_err(|_| Refused::Form)?;
    if !matches!(head.alg.as_str(), "RS256" | "ES256") {
        return Err(Refused::Algorithm { algorithm: head.alg.chars().take(20).collect() });
    }
    if head.crit.is_some() {
        return Err(Refused::Critical);
    }
    let signature = decoded(signature)?;
    let fits = |key: &&Key| key.algorithm() == head.alg && (head.kid.is_none() || key.id == head.kid);
    let mut fitting = keys.iter().filter(fits).peekable();
    fitting.peek().ok_or(Refused::UnknownKey)?;
    if !fitting.any(|key| key.verifies(message.as_bytes(), &signature)) {
        return Err(Refused::Signature);
    }
    claims(&decoded(body)?, expected)
}

fn claims(body: &[u8], expected: &Expected<'_>) -> Result<String, Refused> {
    let document: Value = serde_json::from_slice(body).map_err(|_| Refused::Form)?;
    let claims: Claims = serde_json::from_value(document.clone()).map_err(|_| Refused::Form)?;
    let now = expected.now.millis() as i64 / 1_000;
    if claims.iss != expected.issuer {
        return Err(Refused::Issuer);
    }
    if !claims.aud.is(expected.client, claims.azp.as_deref()) {
        return Err(Refused::Audience);
    }
    if claims.exp.saturating_add(SKEW) <= now {
        return Err(Refused::Expired);
    }
    if claims.iat.max(claims.nbf.unwrap_or(i64::MIN)) > now.saturating_add(SKEW) {
        return Err(Refused::Future);
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(Refused::Nonce);
    }
    let claim = expected.claim;
    let subject = document.get(claim).and_then(Value::as_str).unwrap_or_default();
    let plain = !subject.is_empty() && subject.len() <= SUBJECT_MAX && !subject.chars().any(writ_text::is_hidden);
    if !plain {
        return Err(Refused::NoSubject { claim: claim.to_owned() });
    }
    // Whoever may write any address into their account would else be whoever they like.
    if claim == "email" && document.get("email_verified") != Some(&Value::Bool(true)) {
        return Err(Refused::Unverified);
    }
    Ok(subject.to_owned())
}
