//! Logging in by an issuer: leaving for it, and coming back.

use super::frame::{PageError, Theme};
use super::given::Query;
use super::session::{Next, cookie, login_page, own_path, session_cookie};
use crate::api::App;
use crate::error::Failure;
use crate::oidc::{BEGUN_FOR, Back, CALLBACK, LoginError};
use crate::serve::Peer;
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use writ_pipeline::{SessionError, error_chain, name_of, open_linked_session, refuse_login};

/// What shows that the browser which comes back is the one that left. Whoever comes back comes from another site, so it cannot be
/// strict; it is worth nothing but to end the login that it began, and is shown on these two paths alone.
const COOKIE: &str = "writ_oidc";

/// Leaves for the issuer.
pub(crate) async fn begin(
    State(shared): App,
    from: Option<Extension<Peer>>,
    headers: HeaderMap,
    Query(wanted): Query<Next>,
) -> Result<Response, PageError> {
    let Some(oidc) = &shared.oidc else { return Ok(Redirect::to("/login").into_response()) };
    shared.throttle.leaves(from.map(|Extension(Peer(from))| from))?;
    let journal = shared.pipeline.journal();
    let next = own_path(&wanted.next);
    match oidc.begin(next, journal.now(), &*journal.base().entropy).await {
        Ok(leave) => {
            let kept = passing(&leave.cookie, BEGUN_FOR.as_secs(), oidc.redirect.starts_with("https:"));
            Ok(([(header::SET_COOKIE, kept)], Redirect::to(&leave.to)).into_response())
        }
        Err(error) => {
            let problem = told(&error);
            login_page(&shared, &headers, next.to_owned(), Some(problem))
        }
    }
}

#[derive(Template)]
#[template(path = "entering.html")]
struct EnteringPage {
    theme: Theme,
    stamp: &'static str,
    name: String,
    next: String,
}

/// Comes back from the issuer.
pub(crate) async fn end(
    State(shared): App,
    from: Option<Extension<Peer>>,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Result<Response, PageError> {
    let Some(oidc) = &shared.oidc else { return Ok(Redirect::to("/login").into_response()) };
    let (journal, from) = (shared.pipeline.journal(), from.map(|Extension(Peer(from))| from));
    let refused = async |because: &str, problem| {
        // Who tries often is told to wait, and the journal does not fill with it.
        shared.throttle.stranger(from)?;
        refuse_login(journal, because).await.map_err(Failure::from)?;
        login_page(&shared, &headers, String::new(), Some(problem))
    };
    let (subject, next) = match oidc.end(&back, cookie(&headers, COOKIE), journal.now()).await {
        Ok(found) => found,
        Err(error) => {
            tracing::info!(error = &error as &dyn std::error::Error, "a login by the issuer was refused");
            return refused(&error.to_string(), told(&error)).await;
        }
    };
    let session = match open_linked_session(journal, &subject).await {
        Ok(session) => session,
        Err(SessionError::Token | SessionError::Subject) => {
            let words = format!(
                "the issuer knows you as `{}`, and nobody here is linked to that; ask an administrator for: writ person link NAME \
                 --subject '{}' -m REASON",
                subject.subject,
                subject.subject.replace('\'', "'\\''")
            );
            return refused("the subject is linked to nobody", (StatusCode::FORBIDDEN, words)).await;
        }
        Err(SessionError::Commit(error)) => return Err(Failure::from(error).into()),
        Err(SessionError::Ledger(error)) => return Err(Failure::from(error).into()),
    };
    let tls = oidc.redirect.starts_with("https:");
    let cookies = AppendHeaders([
        (header::SET_COOKIE, session_cookie(&session, journal.now(), tls)),
        (header::SET_COOKIE, passing("", 0, tls)),
    ]);
    let name = name_of(journal, &session.principal.id).await.map_err(Failure::from)?;
    let (theme, stamp) = (Theme::of(&headers), super::assets::STAMP.as_str());
    // A browser that was sent here by another site shows no strict cookie on a redirect; from a page of ours it does.
    let page = EnteringPage { theme, stamp, name, next: own_path(&next).to_owned() };
    Ok((cookies, Html(page.render()?)).into_response())
}

/// What is said of a login that came to nothing.
fn told(error: &LoginError) -> (StatusCode, String) {
    let again = "; log in with a token, or try again";
    match error {
        LoginError::Away { .. } | LoginError::Unsound { .. } => (StatusCode::BAD_GATEWAY, format!("{error}{again}")),
        LoginError::NotBegun | LoginError::Denied { .. } => (StatusCode::BAD_REQUEST, format!("{error}{again}")),
        LoginError::Code(_) => (StatusCode::UNAUTHORIZED, format!("{error}{again}")),
        LoginError::Token(_) => (StatusCode::UNAUTHORIZED, format!("{}{again}", error_chain(error))),
    }
}

fn passing(value: &str, seconds: u64, tls: bool) -> HeaderValue {
    let (secure, path) = (if tls { "; Secure" } else { "" }, CALLBACK.trim_end_matches("/callback"));
    let text = format!("{COOKIE}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}
