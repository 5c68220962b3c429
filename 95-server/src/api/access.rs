//! Who may use which route, asked before a handler is.

use super::of::Of;
use super::once::{Again, once};
use super::{App, Shared};
use crate::console::{session_shown, visitor_of};
use crate::error::{Code, Failure, short};
use crate::limits::is_change;
use crate::serve::Peer;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use writ_core::{Actor, LedgerError, Timestamp};
use writ_pipeline::{
    AGENT, Denial, Principal, principal_of, principal_until, record_denial, session_until, whoever_asked,
};

/// What somebody must be to use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: the route is open.
    Nobody,
    /// To look: a viewer or an agent.
    Reader,
    /// To ask for a change that somebody else planned: an operator or an agent.
    Doer,
    /// A person: what is answered says itself which role it wants.
    Person,
    /// An operator.
    Operator,
    /// An approver.
    Approver,
    /// Somebody who says whether a thing would have been right: an operator or an approver.
    Judge,
    /// An administrator.
    Admin,
}

impl Needs {
    /// Whether roles are enough; else what is missing.
    pub(crate) fn met(self, roles: &[String]) -> Result<(), &'static str> {
        let holds = |role: &str| roles.iter().any(|held| held == role);
        let role = match self {
            Self::Nobody => return Ok(()),
            Self::Reader | Self::Doer if holds(AGENT) => return Ok(()),
            Self::Person if holds(AGENT) => return Err("person"),
            Self::Person => return Ok(()),
            Self::Judge if holds("approver") && !holds(AGENT) => return Ok(()),
            Self::Reader => "viewer",
            Self::Doer | Self::Operator | Self::Judge => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        };
        if holds(role) && (matches!(self, Self::Reader | Self::Doer) || !holds(AGENT)) { Ok(()) } else { Err(role) }
    }

    /// What the document says of it.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Nobody => "Open to everybody.",
            Self::Reader => "Needs the role `viewer` or `agent`.",
            Self::Doer => "Needs the role `operator` or `agent`.",
            Self::Person => "Needs a token of a person, not of an agent; what is answered says which role it asks for.",
            Self::Operator => "Needs the role `operator`; refused to agents.",
            Self::Approver => "Needs the role `approver`; refused to agents.",
            Self::Judge => "Needs the role `operator` or `approver`; refused to agents.",
            Self::Admin => "Needs the role `admin`; refused to agents.",
        }
    }
}

/// What is asked before a route: which role, for what, and what becomes of a request that is sent again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) needs: Needs,
    pub(crate) of: Of,
    pub(crate) again: Again,
    /// Whether it takes nothing behind a question mark.
    pub(crate) plain: bool,
    /// Whether it changes something, whatever was looked at.
    pub(crate) untagged: bool,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Principal);

impl Caller {
    pub(crate) fn actor(&self) -> Actor {
        Actor::human(&self.0.id)
    }

    /// Whoever asks must be this, somewhere; where, says what is asked for.
    pub(crate) fn must(&self, needs: Needs) -> Result<(), Failure> {
        needs.met(&self.0.anywhere()).map_err(|role| {
            let detail = if role == "person" {
                format!("`{}` is an agent, and only a person may do that", self.0.id)
            } else if role != AGENT && self.0.anywhere().iter().any(|held| held == AGENT) {
                format!("`{}` is an agent, which may look, ask and act, and no more", self.0.id)
            } else {
                format!("`{}` does not hold the role `{role}`", self.0.id)
            };
            Failure::new(StatusCode::FORBIDDEN, "forbidden", detail)
                .hint("use a token of somebody who does, with `--as`")
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(unknown)
    }
}

fn unknown() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "unauthorised", "the request has no valid bearer token")
        .hint("send `Authorization: Bearer TOKEN`; `writ` takes one with `--as NAME`, or in `WRIT_TOKEN`")
}

/// Lets a request through to a route, or not. Who is refused for want of a token or a role is recorded, as often as is useful.
pub(crate) async fn admit(State((shared, rule)): State<(Arc<Shared>, Rule)>, request: Request, next: Next) -> Response {
    let Rule { needs, of, again, plain, untagged } = rule;
    if needs == Needs::Nobody {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let method = parts.method.clone();
    let caller = match caller(&shared, &parts, &route).await {
        Ok(caller) => caller,
        Err(failure) => return failure.into_response(),
    };
    let path = RawPathParams::from_request_parts(&mut parts, &()).await.ok();
    let id = path.as_ref().and_then(|path| path.iter().next()).map_or("", |(_, id)| id);
    let may = match caller.must(needs) {
        Ok(()) => of.allows(&shared, &caller.0, needs, id).await,
        Err(failure) => Err(failure),
    };
    let may = may.and_then(|()| if plain { nothing_asked(&parts) } else { Ok(()) });
    let may = may.and_then(|()| if untagged { nothing_looked_at(&parts) } else { Ok(()) });
    let answer = match may {
        Ok(()) => {
            parts.extensions.insert(caller.clone());
            once(&shared, &caller, (&route, again), Request::from_parts(parts, body), next).await
        }
        Err(failure) => failure.into_response(),
    };
    if let Some(because) = refusal(&answer) {
        refused(&shared, &because, &caller.0, &method, &route).await;
    }
    answer
}

/// What a route does not know is not passed over: whoever sends it would take the answer for another.
fn nothing_asked(parts: &Parts) -> Result<(), Failure> {
    let Some(name) = parts.uri.query().filter(|query| !query.is_empty()) else { return Ok(()) };
    let name = name.split(['=', '&']).next().unwrap_or_default();
    let detail = format!("`{}` of the query: there is no such parameter", short(name));
    let failure = Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).parameter(short(name));
    Err(failure.hint("this takes none: send it without what stands behind the question mark"))
}

/// A condition that nothing heeds is refused: whoever sets it would take what was done for what they looked at.
fn nothing_looked_at(parts: &Parts) -> Result<(), Failure> {
    if !parts.headers.contains_key(header::IF_MATCH) {
        return Ok(());
    }
    let detail = "this takes no `If-Match`: what it asks for does not depend on what was looked at";
    let failure = Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).parameter(header::IF_MATCH.as_str());
    Err(failure.hint("send it without; the API reference says which requests take one"))
}

/// Records who is refused something on a page, as on a route.
pub(crate) async fn noted(State(shared): App, request: Request, next: Next) -> Response {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let answer = next.run(request).await;
    if let Some(because) = refusal(&answer)
        && let Ok(Some(visitor)) = visitor_of(shared.pipeline.journal(), &headers).await
    {
        refused(&shared, &because, &visitor, &method, &route).await;
    }
    answer
}

/// Why an answer refuses somebody for want of a role.
fn refusal(answer: &Response) -> Option<String> {
    let Code(code, detail) = answer.extensions().get()?;
    (*code == "forbidden").then(|| detail.clone())
}

/// Records that somebody was refused something, as often as is useful.
async fn refused(shared: &Shared, because: &str, who: &Principal, method: &Method, route: &str) {
    if let Some(before) = shared.throttle.denied(&who.id) {
        note(shared, Denial { because, before, by: Some(&who.id), method: method.as_str(), route }).await;
    }
}

/// Who asks: by bearer token, or, where nothing is changed, by a session of the console.
async fn caller(shared: &Shared, parts: &Parts, route: &str) -> Result<Caller, Failure> {
    let journal = shared.pipeline.journal();
    let header = parts.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    // A page of the console reads with its session. What changes something wants a token: no other site can send one.
    if header.is_none()
        && parts.method == Method::GET
        && let Some(visitor) = visitor_of(journal, &parts.headers).await?
    {
        return Ok(Caller(visitor));
    }
    let token = header.and_then(bearer).ok_or_else(unknown)?;
    let Some(principal) = principal_of(journal, token).await? else {
        let from = parts.extensions.get().map(|Peer(from)| *from);
        shared.throttle.stranger(from)?;
        if let Some(before) = shared.throttle.unknown(from) {
            let because = "the token is not valid";
            let method = parts.method.as_str();
            note(shared, Denial { because, before, by: None, method, route }).await;
        }
        return Err(unknown());
    };
    if is_change(&parts.method, Some(route)) {
        shared.throttle.change(&principal.id)?;
    }
    Ok(Caller(principal))
}

/// Whether whoever showed this may still do what a route needs, and until when at the latest: a token or session that is over, or
/// a role that was taken away, ends what was opened with it.
pub(crate) async fn still(shared: &Shared, headers: &HeaderMap, needs: Needs) -> Result<Option<Timestamp>, Failure> {
    let (who, until) = shown(shared, headers).await?.ok_or_else(unknown)?;
    Caller(who).must(needs)?;
    Ok(until)
}

/// Whose token a request shows that changes something over HTTP; nobody's where none is good.
pub(crate) async fn by_token(shared: &Shared, headers: &HeaderMap) -> Result<Option<Principal>, LedgerError> {
    match headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.to_str().ok()?)) {
        Some(token) => principal_of(shared.pipeline.journal(), token).await,
        None => Ok(None),
    }
}

/// Whose token or session a request shows that looks, and until when it is good; nobody's where it is not.
async fn shown(shared: &Shared, headers: &HeaderMap) -> Result<Option<(Principal, Option<Timestamp>)>, LedgerError> {
    let journal = shared.pipeline.journal();
    let token = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    Ok(match (token.map(bearer), session_shown(headers)) {
        (Some(Some(token)), _) => principal_until(journal, token).await?,
        (None, Some(secret)) => session_until(journal, secret).await?.map(|(who, until)| (who, Some(until))),
        (Some(None), _) | (None, None) => None,
    })
}

/// Records a denial. That it could not be is for the log: whoever is refused is refused all the same.
async fn note(shared: &Shared, denial: Denial<'_>) {
    if let Err(error) = whoever_asked(record_denial(shared.pipeline.journal(), &denial)).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a denial could not be recorded");
    }
}

/// The token of an `Authorization` header; its scheme is read in any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_whatever_the_case_of_its_scheme() {
        for (header, token) in [
            ("Bearer writ_1", Some("writ_1")),
            ("bearer writ_1", Some("writ_1")),
            ("BEARER  writ_1", Some("writ_1")),
            ("Basic writ_1", None),
            ("Bearerwrit_1", None),
            ("", None),
        ] {
            assert_eq!(bearer(header), token, "{header}");
        }
    }

    #[test]
    fn an_agent_looks_and_acts_and_agrees_to_nothing_whatever_else_it_holds() {
        let roles = ["agent", "viewer", "operator", "approver", "admin"].map(str::to_owned);
        for needs in [Needs::Person, Needs::Operator, Needs::Approver, Needs::Judge, Needs::Admin] {
            assert!(needs.met(&roles).is_err(), "{needs:?}");
        }
        for needs in [Needs::Nobody, Needs::Reader, Needs::Doer] {
            assert_eq!(needs.met(&roles), Ok(()), "{needs:?}");
            assert_eq!(needs.met(&roles[..1]), Ok(()), "{needs:?}");
        }
    }
}
