//! People as an OpenID issuer knows them: whoever it says so of logs in as them.

use super::changes::{ChangeTold, propose};
use super::matches::{Thing, matching};
use super::route::{Route, documents};
use super::{Answer, App, Body, Caller, Needs, Of, Path};
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use writ_pipeline::{GovernanceWish, Subject, links_of, person, unlink};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/principals/{id}/links", Needs::Admin, list)
            .says("people", "List what issuers call somebody", "Whoever an issuer says so of logs in as them.")
            .whole("a person has a link for each name that an issuer has for them")
            .answers::<Links>(),
        Route::post("/api/v1/principals/{id}/links", Needs::Admin, Of::Realm, link)
            .says(
                "people",
                "Link somebody to what an issuer calls them",
                "On a server, once somebody else agrees. One subject is one person's.",
            )
            .matches()
            .takes::<LinkWanted>()
            .answers::<ChangeTold>()
            .fails(&[409]),
        Route::delete("/api/v1/principals/{id}/links/{link}", Needs::Admin, Of::Realm, cut)
            .says("people", "Take a link away", "By the beginning of its id. Sessions that it opened are over at once.")
            .matches()
            .answers::<Link>(),
    ]
}

documents! {
    /// A link: its `id`, whom it is `of`, `since`.
    Link;
}

/// All links of somebody.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Links {
    items: Vec<Link>,
    /// There is one page.
    next: Option<String>,
}

/// What an issuer calls somebody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkWanted {
    /// What it calls them: what the claim of `oidc.subject_claim` says.
    subject: String,
    /// The issuer; that of `oidc.issuer` unless it is said.
    issuer: Option<String>,
    /// Why.
    #[serde(default)]
    #[schema(required = true)]
    reason: String,
}

async fn list(State(shared): App, Path(who): Path<String>) -> Answer<Links> {
    let journal = shared.pipeline.journal();
    let who = person(journal, &who).await?;
    let items = links_of(journal, &who.principal).await?.iter().map(|link| Link(json!(link))).collect();
    Ok(Json(Links { items, next: None }))
}

async fn link(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path(who): Path<String>,
    Body(wanted): Body<LinkWanted>,
) -> Answer<ChangeTold> {
    let who = person(shared.pipeline.journal(), &who).await?;
    let issuer = wanted.issuer.or_else(|| shared.config.oidc.issuer.clone()).ok_or_else(|| {
        Failure::new(StatusCode::BAD_REQUEST, "invalid", "no issuer is named, and none is configured")
            .hint("give `issuer`, or set `oidc.issuer`")
            .at("/issuer")
    })?;
    let subject = Subject { issuer, subject: wanted.subject };
    let thing = Thing::Person(who.principal.clone());
    let wish = GovernanceWish::Link { principal: who.principal, subject };
    let work = propose(&shared, wish, &wanted.reason, &caller);
    matching(&shared, &thing, &headers, work).await.map(ChangeTold).map(Json)
}

async fn cut(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path((who, id)): Path<(String, String)>,
) -> Answer<Link> {
    let journal = shared.pipeline.journal();
    let who = person(journal, &who).await?;
    let by = caller.actor();
    let work = async { Ok(unlink(journal, &who.principal, &id, &by).await?) };
    let gone = matching(&shared, &Thing::Person(who.principal.clone()), &headers, work).await?;
    Ok(Json(Link(json!(gone))))
}
