//! People, their tokens, and what is to be forgotten: what administrators do.

use super::changes::propose;
use super::filter::begins;
use super::matches::{Thing, matching, quoted};
use super::part::{Part, no_next};
use super::route::{Route, documents};
use super::{Answer, App, Asked, Body, Caller, Needs, Of, Path, Shared, field, reason, words};
use crate::error::{Failure, short};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use utoipa::ToSchema;
use writ_pipeline::{
    Erase, EraseError, GovernanceWish, TokenError, TokenWish, erase, good_token, is_span, issue_token, people, person,
    revoke_token, some_people, some_tokens,
};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/principals", Needs::Reader, principals)
            .says("people", "List people", "Their opaque ids, names where they were not erased, and roles.")
            .query::<Part>()
            .answers::<People>(),
        Route::get("/api/v1/tokens", Needs::Admin, tokens)
            .says("people", "List tokens", "Whose each is and what it may be used for; never the token itself.")
            .query::<Part>()
            .answers::<Tokens>(),
        Route::post("/api/v1/tokens", Needs::Admin, Of::Realm, issue)
            .secret()
            .says(
                "people",
                "Issue a token",
                "For somebody who is known, or with `enrol` for somebody new. The token is told once and kept as its hash.",
            )
            .takes::<TokenWanted>()
            .answers::<Issued>()
            .fails(&[404, 409]),
        Route::delete("/api/v1/tokens/{id}", Needs::Admin, Of::Realm, revoke)
            .says("people", "Revoke a token", "It and every session that was opened with it end at once.")
            .matches()
            .answers::<Token>()
            .fails(&[409]),
        Route::post("/api/v1/audit/erase", Needs::Admin, Of::Realm, forget)
            .says(
                "people",
                "Destroy a text beside the journal",
                "Exactly one of a person's name, the words about an approval, or a text by its commitment. Proofs stay valid.",
            )
            .takes::<Forget>()
            .answers::<Forgotten>()
            .fails(&[404, 409]),
    ]
}

documents! {
    /// A person: `principal`, `name`, `roles`, `since`, and the `etag` of all that is theirs.
    Person;
    /// A token: `id`, `principal`, `roles`, `issued_at`, `issued_by`, and in a list the `etag` of its person. Never the token itself.
    Token;
    /// A token that was issued, and for this once `token`: what to show. Where somebody new needs a second person's word, the
    /// `approval` that it waits for instead.
    Issued;
}

/// A page of people.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct People {
    items: Vec<Person>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<String>,
}

/// A page of tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tokens {
    items: Vec<Token>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<String>,
}

async fn principals(State(shared): App, Asked(page): Asked<Part>) -> Answer<People> {
    let span = page.span()?;
    begins(&shared, "people", span.after).await?;
    let found = some_people(shared.pipeline.journal(), span).await?;
    let items = found.rows.iter().map(|person| Person(with_tag(json!(person), person.version))).collect();
    Ok(Json(People { items, next: found.next }))
}

async fn tokens(State(shared): App, Asked(page): Asked<Part>) -> Answer<Tokens> {
    let span = page.span()?;
    begins_with_token(&shared, span.after).await?;
    let found = some_tokens(shared.pipeline.journal(), span).await?;
    let items = found.rows.iter().map(|token| Token(with_tag(json!(token), token.version))).collect();
    Ok(Json(Tokens { items, next: found.next }))
}

/// A page of tokens begins behind one of somebody's, be it revoked since.
pub(crate) async fn begins_with_token(shared: &Shared, after: Option<&str>) -> Result<(), Failure> {
    let Some(after) = after else { return Ok(()) };
    let named =
        after.split_once('/').filter(|(_, token)| token.len() == 16 && token.bytes().all(|b| b.is_ascii_hexdigit()));
    let (whose, _) = named.ok_or_else(|| no_next(after))?;
    begins(shared, "people", Some(whose)).await
}

/// A row with the tag of the person that it is of.
fn with_tag(mut row: Value, version: u64) -> Value {
    row["etag"] = json!(quoted(version));
    row
}

/// Whose token is wanted, and for what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenWanted {
    /// An id or a name; or, with `enrol`, the name of somebody new.
    principal: String,
    /// Whether they are to be made known.
    #[serde(default)]
    enrol: bool,
    /// What it may be used for; all that the person may unless it is said.
    #[serde(default)]
    roles: Option<Vec<String>>,
    /// For how long it is good; until it is revoked unless it is said.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 316224000)]
    seconds: Option<u64>,
    /// Why; only for a token of one's own none is needed.
    #[serde(default)]
    reason: String,
}

async fn issue(State(shared): App, caller: Caller, Body(wanted): Body<TokenWanted>) -> Answer<Issued> {
    let (journal, by) = (shared.pipeline.journal(), caller.actor());
    let span = wanted.seconds.map(Duration::from_secs);
    // Who is to be made known with a token that cannot be is not made known either.
    span.map(is_span).transpose()?;
    if wanted.enrol {
        let (name, roles) = (wanted.principal.clone(), wanted.roles.clone().unwrap_or_default());
        let proposed = propose(&shared, GovernanceWish::Enrol { name, roles }, &wanted.reason, &caller).await?;
        if proposed["state"] != "made" {
            // There is nobody yet who could be given a token.
            return Ok(Json(Issued(proposed)));
        }
    }
    let whose = if wanted.enrol {
        let enrolled = people(journal).await?.into_iter().find(|person| person.name == wanted.principal);
        enrolled.ok_or_else(|| Failure::not_found("person", &wanted.principal))?
    } else {
        person(journal, &wanted.principal).await?
    };
    let because = words(&wanted.reason)?;
    if !wanted.enrol && whose.principal != caller.0.id && because.is_empty() {
        let detail =
            format!("whoever holds a token of `{}` answers in their name, and no reason is given", whose.principal);
        return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
            .at("/reason")
            .hint("say why with `-m REASON`; it is recorded"));
    }
    let wish = TokenWish { roles: wanted.roles.as_deref(), span, reason: because };
    let (token, secret) = issue_token(journal, &whose, &wish, &by).await?;
    let mut document = json!(token);
    document["name"] = json!(whose.name);
    document["token"] = json!(secret);
    Ok(Json(Issued(document)))
}

async fn revoke(State(shared): App, caller: Caller, headers: HeaderMap, Path(id): Path<String>) -> Answer<Token> {
    let (journal, by) = (shared.pipeline.journal(), caller.actor());
    let thing = Thing::Person(good_token(journal, &id).await?.principal);
    let work = async { Ok(revoke_token(journal, &id, &by).await?) };
    let token = matching(&shared, &thing, &headers, work).await?;
    Ok(Json(Token(json!(token))))
}

/// What is to be forgotten; exactly one of the three.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forget {
    #[serde(default)]
    principal: Option<String>,
    #[serde(default)]
    approval: Option<String>,
    #[serde(default)]
    commitment: Option<String>,
    reason: String,
}

/// How much was forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Forgotten {
    /// Texts that were destroyed.
    #[schema(value_type = u64)]
    erased: Value,
    /// What they were about.
    of: String,
}

async fn forget(State(shared): App, caller: Caller, Body(forget): Body<Forget>) -> Answer<Forgotten> {
    let journal = shared.pipeline.journal();
    let bad = |detail: String| Failure::new(StatusCode::BAD_REQUEST, "invalid", detail);
    let what = match (&forget.principal, &forget.approval, &forget.commitment) {
        (Some(who), None, None) => Erase::Principal(person(journal, who).await?.principal),
        (None, Some(id), None) => Erase::Approval(field("/approval", id)?),
        (None, None, Some(text)) => Erase::Commitment(
            text.parse().map_err(|_| bad(format!("`{}` is no digest", short(text))).at("/commitment"))?,
        ),
        _ => return Err(bad("say one of `principal`, `approval` and `commitment`".into()).at("")),
    };
    let gone = erase(journal, &what, reason(&forget.reason)?, &caller.actor()).await?;
    Ok(Json(Forgotten { erased: json!(gone), of: what.to_string() }))
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Nobody { .. } => Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string())
                .hint("list them with `writ token list`, or make somebody known with `--enrol`"),
            TokenError::Unknown { .. } => Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string())
                .hint("list them with `writ token list`"),
            TokenError::NoLink { ref principal, .. } => {
                let way = format!("list them with `writ person links {principal}`");
                Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string()).hint(way)
            }
            TokenError::Role { .. } | TokenError::Linked { .. } => {
                Self::new(StatusCode::CONFLICT, "refused", error.to_string())
            }
            TokenError::Last { .. } | TokenError::LastAdmin { .. } => {
                Self::new(StatusCode::CONFLICT, "refused", error.to_string())
                    .hint("let somebody else administer first: `writ person grant NAME --role admin -m REASON` and `writ token issue NAME -m REASON`")
            }
            TokenError::Word { what, .. } => {
                let failure = Self::new(StatusCode::BAD_REQUEST, "invalid", error.to_string());
                match what {
                    "issuer" | "subject" => failure.at(format!("/{what}")),
                    _ if what.contains("name") => failure.at("/name"),
                    _ => failure,
                }
            }
            TokenError::Grant { .. } | TokenError::Roles { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "invalid", error.to_string()).at("/roles")
            }
            TokenError::Span { .. } => Self::new(StatusCode::BAD_REQUEST, "invalid", error.to_string()).at("/seconds"),
            TokenError::Commit(error) => Self::from(error),
            TokenError::Ledger(error) => Self::from(error),
        }
    }
}

impl From<EraseError> for Failure {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Unknown { .. } | EraseError::Nothing { .. } => {
                Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string())
            }
            EraseError::Repeats => Self::new(StatusCode::CONFLICT, "refused", error.to_string())
                .hint("give a reason that names neither the person nor the text"),
            EraseError::Commit(error) => Self::from(error),
            EraseError::Ledger(error) => Self::from(error),
        }
    }
}
