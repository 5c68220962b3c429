//! Logins by a small issuer that is really run: it gives codes for what was asked, once, to whoever shows the verifier, and signs.

#![expect(clippy::disallowed_types, reason = "the issuer of these tests is nobody's page")]

use super::*;
use crate::api::{Shared, router};
use crate::unreal::unreal;
use axum::body::{Body, to_bytes};
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::json;
use std::sync::Arc;
use writ_core::{Actor, Clock as _};
use writ_pipeline::{GovernanceWish, Pipeline, enrol_person, links_of, session_of, unlink};

const CLIENT: &str = "writ client";
const SECRET: &str = "s3cret:&=";

/// A key of RSA that signs nothing but these tests' tokens: ring makes none.
const RSA: &[u8] = include_bytes!("tests/issuer.der");

enum Signing {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

fn ec() -> Signing {
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &SystemRandom::new());
    Signing::Ec(pair.unwrap())
}

impl Signing {
    fn algorithm(&self) -> &'static str {
        match self {
            Signing::Rsa(_) => "RS256",
            Signing::Ec(_) => "ES256",
        }
    }

    fn jwk(&self, id: &str) -> Value {
        match self {
            Signing::Rsa(pair) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
                json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": n, "e": e})
            }
            Signing::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": text(x), "y": text(y)})
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Signing::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Signing::Ec(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
        }
    }
}

/// What an issuer is, and what it does wrong.
struct Being {
    url: String,
    key: Signing,
    key_id: String,
    /// The keys that it publishes, if others than the one that it signs with.
    published: Option<Value>,
    /// Laid over the head and the claims of tokens.
    head: Value,
    claims: Value,
    /// Laid over what it says of itself.
    metadata: Value,
    /// Codes that were given and not taken back: nonce, challenge and where they were given to.
    codes: HashMap<String, (String, String, String)>,
    down: bool,
    fetched: usize,
}

type Mind = Arc<Mutex<Being>>;

struct Issuer(Mind);

impl Issuer {
    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mind = Arc::new(Mutex::new(Being {
            url: format!("http://{}", listener.local_addr().unwrap()),
            key: Signing::Rsa(RsaKeyPair::from_der(RSA).unwrap()),
            key_id: "k1".into(),
            published: None,
            head: json!({}),
            claims: json!({}),
            metadata: json!({}),
            codes: HashMap::new(),
            down: false,
            fetched: 0,
        }));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(itself))
            .route("/keys", get(published))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(mind.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self(mind)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Being) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn url(&self) -> String {
        self.with(|being| being.url.clone())
    }
}

fn lay(over: &Value, onto: &mut Value) {
    for (name, value) in over.as_object().unwrap() {
        onto[name] = value.clone();
    }
}

async fn itself(State(mind): State<Mind>) -> Response {
    let being = mind.lock().unwrap();
    if being.down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let url = &being.url;
    let mut document = json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"), "id_token_signing_alg_values_supported": ["RS256", "ES256"],
    });
    lay(&being.metadata, &mut document);
    Json(document).into_response()
}

async fn published(State(mind): State<Mind>) -> Json<Value> {
    let mut being = mind.lock().unwrap();
    being.fetched += 1;
    let other = json!({"kty": "oct", "k": "AAAA", "kid": being.key_id});
    Json(being.published.clone().unwrap_or_else(|| json!({"keys": [other, being.key.jwk(&being.key_id)]})))
}

/// The person is logged in at the issuer, and is sent back at once.
async fn authorize(State(mind): State<Mind>, Query(asked): Query<HashMap<String, String>>) -> Redirect {
    let mut being = mind.lock().unwrap();
    assert_eq!((asked["client_id"].as_str(), asked["response_type"].as_str()), (CLIENT, "code"));
    assert_eq!((asked["code_challenge_method"].as_str(), asked["scope"].as_str()), ("S256", "openid"));
    let (code, to) = (format!("code {}", being.codes.len()), asked["redirect_uri"].clone());
    let kept = (asked["nonce"].clone(), asked["code_challenge"].clone(), to.clone());
    being.codes.insert(code.clone(), kept);
    Redirect::to(&format!("{to}?{}", form(&[("code", &code), ("state", &asked["state"]), ("iss", &being.url)])))
}

async fn token(State(mind): State<Mind>, headers: HeaderMap, Form(asked): Form<HashMap<String, String>>) -> Response {
    let mut being = mind.lock().unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", escaped(CLIENT), escaped(SECRET))));
    let in_head = headers.get("authorization").is_some_and(|shown| shown.to_str().unwrap() == basic);
    let in_form = asked.get("client_secret").is_some_and(|shown| shown == SECRET);
    if in_head == in_form {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let refused = || (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    let Some((nonce, challenge, to)) = being.codes.remove(&asked["code"]) else { return refused() };
    let shown = URL_SAFE_NO_PAD.encode(sha256(asked["code_verifier"].as_bytes()).0);
    if shown != challenge || to != asked["redirect_uri"] || asked["grant_type"] != "authorization_code" {
        return refused();
    }
    let now = crate::system::SystemClock.now().millis() / 1_000;
    let mut claims = json!({
        "iss": being.url, "aud": CLIENT, "sub": "ada's id", "exp": now + 300, "iat": now, "nonce": nonce,
    });
    lay(&being.claims, &mut claims);
    let mut head = json!({"alg": being.key.algorithm(), "kid": being.key_id, "typ": "JWT"});
    lay(&being.head, &mut head);
    let message = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(being.key.sign(message.as_bytes()));
    Json(json!({"access_token": "x", "token_type": "Bearer", "id_token": format!("{message}.{signature}")}))
        .into_response()
}

/// A server that people may log in to by an issuer.
struct Place {
    issuer: Issuer,
    router: Router,
    pipeline: Pipeline,
}

/// What a browser was answered.
struct Answer {
    status: StatusCode,
    to: String,
    cookies: Vec<String>,
    text: String,
}

impl Answer {
    fn cookie(&self, name: &str) -> Option<String> {
        let set = self.cookies.iter().find(|cookie| cookie.starts_with(&format!("{name}=")))?;
        set.split(';').next().filter(|pair| !pair.ends_with('=')).map(str::to_owned)
    }
}

impl Place {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut crate::config::Oidc)) -> Self {
        let issuer = Issuer::new().await;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, format!("{SECRET}\n")).unwrap();
        let (shared, pipeline) = unreal(&[("person-01", "root", "writ_root", &["viewer", "admin"])]).await;
        let mut config = Config::standard();
        config.limits.logins_per_minute = 1_000;
        config.oidc.issuer = Some(issuer.url());
        config.oidc.client_id = Some(CLIENT.into());
        config.oidc.client_secret_file = Some(file);
        change(&mut config.oidc);
        let no_key = shared.next_key.clone();
        drop(shared);
        let mut shared = Shared::new(pipeline.clone(), Arc::new(Vec::new), no_key, &config);
        shared.oidc = Oidc::of(&config, "https://writ.example").unwrap();
        Self { issuer, router: router(Arc::new(shared)), pipeline }
    }

    async fn get(&self, path: &str, cookie: Option<&str>) -> Answer {
        let mut request = Request::builder().uri(path);
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let answer =
            TowerToHyperService::new(self.router.clone()).call(request.body(Body::empty()).unwrap()).await.unwrap();
        let text = |name: &str| answer.headers().get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect();
        let (to, cookies): (Vec<String>, Vec<String>) = (text("location"), text("set-cookie"));
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        Answer { status, to: to.concat(), cookies, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// A browser that leaves for the issuer, and where that sends it back to.
    async fn leave(&self, next: &str) -> (String, String) {
        let left = self.get(&format!("/login/oidc?next={}", escaped(next)), None).await;
        assert_eq!(left.status, StatusCode::SEE_OTHER, "{}", left.text);
        assert!(left.to.starts_with(&format!("{}/authorize?", self.issuer.url())), "{}", left.to);
        let cookie = left.cookie("writ_oidc").unwrap();
        (self.at_the_issuer(&left.to).await, cookie)
    }

    async fn at_the_issuer(&self, url: &str) -> String {
        let query: Query<HashMap<String, String>> = Query::try_from_uri(&url.parse().unwrap()).unwrap();
        let sent = authorize(State(self.issuer.0.clone()), query).await.into_response();
        let back = sent.headers()["location"].to_str().unwrap().to_owned();
        back.strip_prefix("https://writ.example").unwrap().to_owned()
    }

    /// A whole login.
    async fn log_in(&self) -> Answer {
        let (back, cookie) = self.leave("/runs").await;
        self.get(&back, Some(&cookie)).await
    }

    /// Somebody whom the issuer knows as Ada.
    async fn ada(&self) -> writ_pipeline::Person {
        let (journal, by) = (self.pipeline.journal(), Actor::system("test"));
        let ada = enrol_person(journal, "Ada", &["viewer".into(), "operator@team:a".into()], &by).await.unwrap();
        let subject = Subject { issuer: self.issuer.url(), subject: "ada's id".into() };
        let wish = GovernanceWish::Link { principal: ada.principal.clone(), subject };
        self.pipeline.propose(wish, "", &by).await.unwrap();
        ada
    }

    async fn refusals(&self) -> Vec<String> {
        let entries = self.pipeline.journal().stream("logins").await.unwrap();
        entries.iter().map(|entry| entry.body["because"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn only_the_browser_that_began_a_login_ends_it_and_only_once() {
    let place = Place::new().await;
    place.ada().await;
    let (back, cookie) = place.leave("/").await;
    let (other, _) = place.leave("/").await;
    for (what, path, shown) in [
        ("no cookie", back.as_str(), None),
        ("no state", "/login/oidc/callback?code=code%200", Some(cookie.as_str())),
        ("a state that was never drawn", "/login/oidc/callback?code=code%200&state=x", Some(&cookie)),
        ("another browser's login", &other, Some(&cookie)),
        ("an empty one", "/login/oidc/callback", Some(&cookie)),
    ] {
        let answer = place.get(path, shown).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}");
        assert!(answer.text.contains("was not begun in this browser"), "{what}: {}", answer.text);
        assert_eq!(answer.cookie("writ_session"), None, "{what}");
    }
    // What was shown without its cookie is spent: who learnt the address of a login cannot try cookies.
    assert_eq!(place.get(&back, Some(&cookie)).await.status, StatusCode::BAD_REQUEST);
    let (back, cookie) = place.leave("/").await;
    assert_eq!(place.get(&back, Some(&cookie)).await.status, StatusCode::OK);
    assert_eq!(place.get(&back, Some(&cookie)).await.status, StatusCode::BAD_REQUEST, "a login that is replayed");
    assert_eq!(place.refusals().await.len(), 7);
}

#[tokio::test]
async fn a_code_that_is_replayed_is_refused_by_the_issuer() {
    let place = Place::new().await;
    place.ada().await;
    let (first, cookie) = place.leave("/").await;
    assert_eq!(place.get(&first, Some(&cookie)).await.status, StatusCode::OK);
    let (second, cookie) = place.leave("/").await;
    let code = |path: &str| path.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let replayed = second.replace(&code(&second), "code%209");
    let answer = place.get(&replayed, Some(&cookie)).await;
    assert_eq!((answer.status, answer.cookie("writ_session")), (StatusCode::UNAUTHORIZED, None));
    assert!(answer.text.contains("does not take back the code"), "{}", answer.text);
}

#[tokio::test]
async fn a_token_that_is_not_the_answer_to_this_login_is_not_believed() {
    let place = Place::new().await;
    place.ada().await;
    let now = crate::system::SystemClock.now().millis() / 1_000;
    for (head, claims, told) in [
        (json!({"alg": "none"}), json!({}), "only RS256 and ES256"),
        (json!({"alg": "HS256"}), json!({}), "only RS256 and ES256"),
        (json!({"alg": "RS512"}), json!({}), "only RS256 and ES256"),
        (json!({"alg": "ES256"}), json!({}), "publishes no key"),
        (json!({"crit": ["b64"]}), json!({}), "crit"),
        (json!({"kid": "k9"}), json!({}), "publishes no key"),
        (json!({}), json!({"nonce": "other"}), "answer to another login"),
        (json!({}), json!({"nonce": null}), "answer to another login"),
        (json!({}), json!({"aud": "other"}), "for another client"),
        (json!({}), json!({"aud": [CLIENT, "other"]}), "for another client"),
        (json!({}), json!({"aud": [CLIENT, "other"], "azp": "other"}), "for another client"),
        (json!({}), json!({"azp": "other"}), "for another client"),
        (json!({}), json!({"iss": "https://other.example"}), "another issuer"),
        (json!({}), json!({"exp": now - 61}), "expired"),
        (json!({}), json!({"exp": null}), "no signed token"),
        (json!({}), json!({"iat": now + 120}), "of the future"),
        (json!({}), json!({"nbf": now + 120}), "of the future"),
        (json!({}), json!({"sub": ""}), "no claim `sub`"),
        (json!({}), json!({"sub": 7}), "no claim `sub`"),
        (json!({}), json!({"sub": "a".repeat(256)}), "no claim `sub`"),
        (json!({}), json!({"sub": "a\u{202e}b"}), "no claim `sub`"),
    ] {
        place.issuer.with(|being| (being.head, being.claims) = (head.clone(), claims.clone()));
        let answer = place.log_in().await;
        assert_eq!((answer.status, answer.cookie("writ_session")), (StatusCode::UNAUTHORIZED, None), "{head} {claims}");
        assert!(answer.text.replace("&#96;", "`").contains(told), "{head} {claims}: {}", answer.text);
    }
    // A clock that is a little apart is no reason to refuse.
    for claims in [json!({"exp": now - 30}), json!({"iat": now + 30}), json!({"aud": [CLIENT, "other"], "azp": CLIENT})]
    {
        place.issuer.with(|being| (being.head, being.claims) = (json!({}), claims.clone()));
        assert_eq!(place.log_in().await.status, StatusCode::OK, "{claims}");
    }
}

#[tokio::test]
async fn a_new_key_is_asked_for_once_and_an_unknown_one_signs_nothing() {
    let place = Place::new().await;
    place.ada().await;
    assert_eq!(place.log_in().await.status, StatusCode::OK);
    assert_eq!(place.log_in().await.status, StatusCode::OK);
    assert_eq!(place.issuer.with(|being| being.fetched), 1, "what it said is remembered");
    place.issuer.with(|being| (being.key, being.key_id) = (ec(), "k2".into()));
    assert_eq!(place.log_in().await.status, StatusCode::OK);
    assert_eq!(place.log_in().await.status, StatusCode::OK);
    assert_eq!(place.issuer.with(|being| being.fetched), 2, "it was asked once for the new one");
    // A thief signs with a key of their own, under the name of one that is published.
    let stolen = place.issuer.with(|being| {
        being.published = Some(json!({"keys": [being.key.jwk("k2")]}));
        being.key = ec();
        being.key_id.clone()
    });
    let answer = place.log_in().await;
    assert_eq!((answer.status, stolen.as_str()), (StatusCode::UNAUTHORIZED, "k2"));
    assert!(answer.text.contains("signature does not hold"), "{}", answer.text);
    assert_eq!(place.issuer.with(|being| being.fetched), 3, "and it is not asked again and again");
    // A key that is for something else signs no token.
    place.issuer.with(|being| {
        let mut key = being.key.jwk("k2");
        key["use"] = json!("enc");
        being.published = Some(json!({"keys": [key]}));
    });
    assert_eq!(place.log_in().await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_issuer_that_is_away_or_says_what_makes_no_sense_keeps_nobody_from_logging_in_by_token() {
    let place = Place::new().await;
    for (down, metadata, told) in [
        (true, json!({}), "does not answer"),
        (false, json!({"issuer": "https://other.example"}), "calls itself otherwise"),
        (false, json!({"token_endpoint": "http://id.example/token"}), "token endpoint is missing or unsafe"),
        (
            false,
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            "authorization endpoint is missing or unsafe",
        ),
        (false, json!({"jwks_uri": null}), "address of its keys is missing"),
    ] {
        place.issuer.with(|being| (being.down, being.metadata) = (down, metadata.clone()));
        let answer = place.get("/login/oidc?next=/runs", None).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{metadata}");
        assert!(
            answer.text.contains(told) && answer.text.contains("log in with a token"),
            "{metadata}: {}",
            answer.text
        );
        assert!(answer.text.contains("name=\"token\"") && answer.text.contains("value=\"/runs\""));
    }
    let login =
        Request::builder().method("POST").uri("/login").header("content-type", "application/x-www-form-urlencoded");
    let login = login.body(Body::from("token=writ_root&next=/runs")).unwrap();
    let answer = TowerToHyperService::new(place.router.clone()).call(login).await.unwrap();
    assert_eq!((answer.status(), answer.headers()["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/runs"));
}

#[tokio::test]
async fn whoever_is_linked_to_nobody_is_told_what_an_administrator_needs() {
    let place = Place::new().await;
    let answer = place.log_in().await;
    assert_eq!((answer.status, answer.cookie("writ_session")), (StatusCode::FORBIDDEN, None));
    let text = answer.text.replace("&#39;", "'").replace("&#96;", "`");
    assert!(text.contains("knows you as `ada's id`") && text.contains("--subject 'ada'\\''s id'"), "{text}");
    assert_eq!(place.refusals().await, ["the subject is linked to nobody"]);
    let journal = place.pipeline.journal();
    for stored in journal.ledger().entries(0, 10_000).await.unwrap() {
        assert!(!String::from_utf8_lossy(&stored.bytes).contains("ada's id"), "what they are called is in no entry");
    }
}

#[tokio::test]
async fn what_the_issuer_says_instead_of_a_code_is_shown_and_opens_nothing() {
    let place = Place::new().await;
    let (back, cookie) = place.leave("/").await;
    let state = back.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let word = "access_denied<script>";
    let path = format!("/login/oidc/callback?{}", form(&[("error", word), ("state", state)]));
    let answer = place.get(&path, Some(&cookie)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text.contains("access_denied") && !answer.text.contains("<script>"), "{}", answer.text);
    // An answer that another issuer gave (RFC 9207).
    let (back, cookie) = place.leave("/").await;
    let (path, _) = back.split_once("&iss=").unwrap();
    let answer = place.get(&format!("{path}&iss=https%3A%2F%2Fevil.example"), Some(&cookie)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_login_opens_a_session_that_holds_what_the_person_holds_and_ends_with_the_link() {
    let place = Place::new().await;
    let ada = place.ada().await;
    let answer = place.log_in().await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    // A redirect from here would still be another site's doing, and show no strict cookie.
    assert!(answer.text.contains("content=\"0;url=/runs\""), "{}", answer.text);
    let set = answer.cookies.iter().find(|cookie| cookie.starts_with("writ_session=")).unwrap();
    assert!(set.contains("HttpOnly; SameSite=Strict; Secure"), "{set}");
    let gone = answer.cookies.iter().find(|cookie| cookie.starts_with("writ_oidc=")).unwrap();
    assert!(
        gone.contains("Max-Age=0") && gone.contains("Path=/login/oidc; ") && gone.contains("SameSite=Lax"),
        "{gone}"
    );
    let cookie = answer.cookie("writ_session").unwrap();
    assert_eq!(place.get("/runs", Some(&cookie)).await.status, StatusCode::OK);
    let (journal, by) = (place.pipeline.journal(), Actor::system("test"));
    let secret = cookie.split_once('=').unwrap().1.to_owned();
    let held = session_of(journal, &secret).await.unwrap().unwrap();
    assert_eq!((held.id, held.roles), (ada.principal.clone(), ada.roles.clone()));
    // What is taken from the person is in no session any more.
    let wish = GovernanceWish::Roles { principal: ada.principal.clone(), roles: vec!["viewer".into()] };
    place.pipeline.propose(wish, "", &by).await.unwrap();
    assert_eq!(session_of(journal, &secret).await.unwrap().unwrap().roles, ["viewer"]);
    let links = links_of(journal, &ada.principal).await.unwrap();
    assert_eq!((links.len(), links[0].of.as_str()), (1, format!("ada's id at {}", place.issuer.url()).as_str()));
    unlink(journal, &ada.principal, &links[0].id, &by).await.unwrap();
    assert_eq!(session_of(journal, &secret).await.unwrap(), None);
    assert_eq!(place.get("/runs", Some(&cookie)).await.status, StatusCode::SEE_OTHER);
    assert_eq!(place.log_in().await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_is_sent_elsewhere_after_a_login() {
    let place = Place::new().await;
    place.ada().await;
    for (next, to) in [
        ("/runs?state=open", "/runs?state=open"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\"><script>", "/a&#34;&#62;&#60;script&#62;"),
    ] {
        let (back, cookie) = place.leave(next).await;
        let answer = place.get(&back, Some(&cookie)).await;
        assert!(answer.text.contains(&format!("content=\"0;url={to}\"")), "{next}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_subject_is_one_persons_and_is_linked_once() {
    let place = Place::new().await;
    let ada = place.ada().await;
    let (journal, by) = (place.pipeline.journal(), Actor::system("test"));
    let bob = enrol_person(journal, "Bob", &["viewer".into()], &by).await.unwrap();
    let link = async |principal: &writ_core::PrincipalId, subject: &str| {
        let subject = Subject { issuer: place.issuer.url(), subject: subject.into() };
        let wish = GovernanceWish::Link { principal: principal.clone(), subject };
        place.pipeline.propose(wish, "", &by).await.map_err(|error| writ_pipeline::error_chain(&error))
    };
    let told = link(&bob.principal, "ada's id").await.unwrap_err();
    assert!(told.contains(&format!("linked to `{}` already", ada.principal)), "{told}");
    assert!(link(&ada.principal, "ada's id").await.unwrap_err().contains("change nothing"));
    for wrong in ["", "a\nb", "a\u{202e}b", &"a".repeat(256)] {
        assert!(link(&bob.principal, wrong).await.is_err(), "{wrong}");
    }
    link(&ada.principal, "her other id").await.unwrap();
    assert_eq!(links_of(journal, &ada.principal).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_secret_goes_where_the_issuer_wants_it() {
    let place = Place::new().await;
    place.ada().await;
    place.issuer.with(|being| {
        being.metadata = json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]});
    });
    assert_eq!(place.log_in().await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_address_of_mail_counts_where_the_issuer_has_checked_it() {
    let place = Place::with(|oidc| oidc.subject_claim = Some("email".into())).await;
    let oidc = place.get("/login/oidc", None).await;
    assert!(oidc.to.contains("scope=openid%20profile%20email"), "{}", oidc.to);
    for (claims, told) in [
        (json!({}), "no claim `email`"),
        (json!({"email": "ada@example.org"}), "has not checked"),
        (json!({"email": "ada@example.org", "email_verified": "true"}), "has not checked"),
        (json!({"email": "ada@example.org", "email_verified": true}), "knows you as `ada@example.org`"),
    ] {
        place.issuer.with(|being| being.claims = claims.clone());
        let left = place.get("/login/oidc", None).await;
        let plain = left.to.replace("openid%20profile%20email", "openid");
        let back = place.at_the_issuer(&plain).await;
        let answer = place.get(&back, Some(&left.cookie("writ_oidc").unwrap())).await;
        assert!(answer.text.replace("&#96;", "`").contains(told), "{claims}: {}", answer.text);
    }
}

#[tokio::test]
async fn an_issuer_that_could_be_listened_to_is_refused_at_the_start() {
    let mut config = Config::standard();
    config.oidc.client_id = Some("x".into());
    for issuer in ["http://id.example", "ftp://id.example", "id.example"] {
        config.oidc.issuer = Some(issuer.into());
        let told = Oidc::of(&config, "http://127.0.0.1").err().unwrap().to_string();
        assert!(told.contains("neither https nor of this machine"), "{told}");
    }
    config.oidc.issuer = Some("https://id.example".into());
    config.oidc.client_secret_file = Some("/nowhere/secret".into());
    assert!(Oidc::of(&config, "x").err().unwrap().to_string().contains("/nowhere/secret"));
}
