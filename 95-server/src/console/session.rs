//! Logging in and out. A browser shows a token once and holds a session from then on, in a cookie that scripts cannot read and
//! other sites cannot send.

use super::frame::{PageError, Theme};
use super::given::{Form, Query};
use super::words::segment;
use crate::api::{App, Caller, Needs, Of, Shared};
use crate::error::Failure;
use crate::serve::Peer;
use askama::Template;
use axum::Extension;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;
use writ_core::{LedgerError, Timestamp};
use writ_pipeline::{
    Journal, Principal, Scope, Session, SessionError, close_session, name_of, open_session, principal_of, refuse_login,
    session_of,
};

/// The session's cookie.
const COOKIE: &str = "writ_session";

/// A person who looks at a page.
pub(crate) struct Visitor {
    pub(crate) principal: Principal,
    /// The name, while it is not erased.
    pub(crate) name: String,
    pub(crate) theme: Theme,
    /// Entries there were when they came: whatever is read for the page is read after that, and what is newer comes as events.
    pub(crate) size: u64,
}

impl Visitor {
    pub(crate) fn holds(&self, role: &str) -> bool {
        self.principal.roles.iter().any(|held| held == role)
    }

    /// Why somebody may not do something for want of a role where it would be done; empty when they may.
    pub(crate) fn barred(&self, roles: &[&str], of: &Scope) -> String {
        if roles.iter().any(|role| self.principal.must(role, of).is_ok()) {
            return String::new();
        }
        let roles = roles.join(" or ");
        if *of == Scope::whole() {
            return format!("You would have to hold the role {roles}.");
        }
        format!("You would have to hold the role {roles} for {of}.").replace('`', "")
    }

    /// Whether they hold the role for something.
    pub(crate) fn holds_somewhere(&self, role: &str) -> bool {
        self.principal.anywhere().iter().any(|held| held == role)
    }

    /// Whoever posts must be this for what they change, as on the route that does the same.
    pub(crate) async fn must_of(&self, shared: &Shared, needs: Needs, of: Of, id: &str) -> Result<(), PageError> {
        Caller(self.principal.clone()).must(needs)?;
        Ok(of.allows(shared, &self.principal, needs, id).await?)
    }

    /// Whoever posts must hold the role, for the whole installation.
    pub(crate) fn must(&self, role: &str) -> Result<(), PageError> {
        if self.holds(role) {
            return Ok(());
        }
        let detail = format!("`{}` does not hold the role `{role}`", self.name);
        Err(Failure::new(StatusCode::FORBIDDEN, "forbidden", detail).hint("log in as somebody who does").into())
    }
}

impl Visitor {
    /// Whoever looks, where somebody is logged in.
    pub(crate) async fn of(shared: &Shared, headers: &HeaderMap) -> Result<Option<Self>, LedgerError> {
        let journal = shared.pipeline.journal();
        let size = *journal.size().borrow();
        let Some(principal) = visitor_of(journal, headers).await? else { return Ok(None) };
        let name = name_of(journal, &principal.id).await?;
        Ok(Some(Self { principal, name, theme: Theme::of(headers), size }))
    }
}

impl FromRequestParts<Arc<Shared>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Response> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let failed = |error: LedgerError| PageError::from(Failure::from(error)).into_response();
        match Self::of(shared, &parts.headers).await.map_err(failed)? {
            Some(visitor) => {
                let principal = &visitor.principal;
                if !parts.method.is_safe() {
                    // What an agent may do beyond looking, it does over the interface, where each route says so.
                    Caller(principal.clone()).must(Needs::Person).map_err(|no| PageError::from(no).into_response())?;
                    shared.throttle.change(&principal.id).map_err(|busy| PageError::from(busy).into_response())?;
                }
                Ok(visitor)
            }
            // A part of a page cannot be the login page: the whole of it goes there.
            None if parts.headers.contains_key("hx-request") => {
                let to = format!(
                    "/login?next={}",
                    segment(parts.headers.get("hx-current-url").and_then(|at| path_of(at)).unwrap_or("/"))
                );
                let to = HeaderValue::from_str(&to).unwrap_or(HeaderValue::from_static("/login"));
                Err((StatusCode::UNAUTHORIZED, [("hx-redirect", to)]).into_response())
            }
            None if parts.method == axum::http::Method::GET => {
                Err(Redirect::to(&format!("/login?next={}", segment(&path))).into_response())
            }
            None => Err(Redirect::to("/login").into_response()),
        }
    }
}

/// The path of a whole address.
fn path_of(address: &HeaderValue) -> Option<&str> {
    let (_, rest) = address.to_str().ok()?.split_once("://")?;
    rest.find('/').and_then(|at| rest.get(at..))
}

/// Who holds the session that a request shows.
pub(crate) async fn visitor_of(journal: &Journal, headers: &HeaderMap) -> Result<Option<Principal>, LedgerError> {
    match session_shown(headers) {
        Some(secret) => session_of(journal, secret).await,
        None => Ok(None),
    }
}

/// The session that a request shows.
pub(crate) fn session_shown(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE)
}

/// A cookie of a request.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    theme: Theme,
    stamp: &'static str,
    next: String,
    problem: Option<String>,
    /// The issuer that one may log in by, as people know it; empty without one.
    issuer: String,
}

/// Where somebody wanted to go before they had to log in.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Next {
    pub(super) next: String,
}

pub(crate) async fn page(
    State(shared): App,
    headers: HeaderMap,
    Query(next): Query<Next>,
) -> Result<Response, PageError> {
    login_page(&shared, &headers, next.next, None)
}

/// The page on which one logs in; with a problem, what is the matter, and the status that says so.
pub(crate) fn login_page(
    shared: &Shared,
    headers: &HeaderMap,
    next: String,
    problem: Option<(StatusCode, String)>,
) -> Result<Response, PageError> {
    let (status, problem) = problem.map_or((StatusCode::OK, None), |(status, words)| (status, Some(words)));
    let (theme, stamp) = (Theme::of(headers), super::assets::STAMP.as_str());
    let page = LoginPage { theme, stamp, next, problem, issuer: issuer(shared) };
    Ok((status, Html(page.render()?)).into_response())
}

#[cfg(feature = "oidc")]
fn issuer(shared: &Shared) -> String {
    let issuer = shared.oidc.as_ref().map_or("", |oidc| oidc.issuer.as_str());
    issuer.split_once("://").map_or(issuer, |(_, name)| name).trim_end_matches('/').to_owned()
}

#[cfg(not(feature = "oidc"))]
fn issuer(_: &Shared) -> String {
    String::new()
}

/// A token, as the form sends it.
#[derive(Deserialize)]
pub(crate) struct Shown {
    token: String,
    #[serde(default)]
    next: String,
}

pub(crate) async fn open(
    State(shared): App,
    from: Option<Extension<Peer>>,
    headers: HeaderMap,
    Form(shown): Form<Shown>,
) -> Result<Response, PageError> {
    let (journal, token) = (shared.pipeline.journal(), shown.token.trim());
    // Each session is an entry: opening one counts among what a person may change in a minute.
    if let Some(who) = principal_of(journal, token).await.map_err(Failure::from)? {
        shared.throttle.change(&who.id)?;
    }
    match open_session(journal, token).await {
        Ok(session) => {
            let cookie = session_cookie(&session, journal.now(), shared.config.tls.cert.is_some());
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(own_path(&shown.next))).into_response())
        }
        Err(SessionError::Token) => {
            // Who tries often is told to wait, and the journal does not fill with it.
            shared.throttle.stranger(from.map(|Extension(Peer(from))| from))?;
            refuse_login(journal, "the token is not valid").await.map_err(Failure::from)?;
            let problem = (StatusCode::UNAUTHORIZED, "this token is not valid, or was revoked".to_owned());
            login_page(&shared, &headers, shown.next, Some(problem))
        }
        Err(SessionError::Subject) => Err(Failure::new(StatusCode::FORBIDDEN, "forbidden", "linked to nobody").into()),
        Err(SessionError::Commit(error)) => Err(Failure::from(error).into()),
        Err(SessionError::Ledger(error)) => Err(Failure::from(error).into()),
    }
}

/// A path of this server, and nothing that leads elsewhere.
pub(crate) fn own_path(next: &str) -> &str {
    let plain = next.starts_with('/')
        && !next.starts_with("//")
        && next.is_ascii()
        && !next.contains(|c: char| c == '\\' || c.is_ascii_control());
    if plain { next } else { "/" }
}

pub(crate) async fn close(State(shared): App, headers: HeaderMap) -> Result<Response, PageError> {
    if let Some(secret) = session_shown(&headers) {
        let closed = close_session(shared.pipeline.journal(), secret).await;
        closed.map_err(|error| match error {
            SessionError::Token | SessionError::Subject => {
                PageError::from(Failure::new(StatusCode::UNAUTHORIZED, "unauthorised", "no session"))
            }
            SessionError::Commit(error) => Failure::from(error).into(),
            SessionError::Ledger(error) => Failure::from(error).into(),
        })?;
    }
    Ok(([(header::SET_COOKIE, set_cookie("", 0, shared.config.tls.cert.is_some()))], Redirect::to("/login"))
        .into_response())
}

/// The cookie of a session, which a browser keeps for no longer than the session lasts.
pub(crate) fn session_cookie(session: &Session, now: Timestamp, tls: bool) -> HeaderValue {
    set_cookie(&session.secret, session.expires_at.since(now).as_secs(), tls)
}

fn set_cookie(secret: &str, seconds: u64, tls: bool) -> HeaderValue {
    let secure = if tls { "; Secure" } else { "" };
    let text = format!("{COOKIE}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    // A session is hexadecimal digits.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere_after_logging_in() {
        for (next, to) in [
            ("/runs?state=open", "/runs?state=open"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("", "/"),
            ("/a\r\nset-cookie: x", "/"),
            ("/\u{1}/x", "/"),
            ("/\u{7f}", "/"),
            ("/é", "/"),
        ] {
            assert_eq!(own_path(next), to, "{next}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("xwrit_session=a; writ_session=b; writ_session2=c"));
        assert_eq!(cookie(&headers, COOKIE), Some("b"));
        assert_eq!(cookie(&HeaderMap::new(), COOKIE), None);
    }
}
