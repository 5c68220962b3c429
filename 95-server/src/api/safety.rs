//! Kill switches, and the freeze of changes.

use super::filter::begins;
use super::matches::{Tag, Thing, matching_among, quoted, tagged};
use super::part::Part;
use super::route::Route;
use super::{Answer, App, Asked, Body, Caller, Needs, Of, words};
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use writ_core::{AgentId, Filter, Timestamp};
use writ_pipeline::{KillScope, PulledSwitch as Stopping, text_beside};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/kill-switch", Needs::Reader, kill_switches)
            .says("agents", "List the kill switches that are pulled", "What each stops, by whom and since when.")
            .query::<Part>()
            .answers::<Switches>(),
        Route::post("/api/v1/kill-switch", Needs::Operator, Of::Realm, kill_switch)
            .says(
                "agents",
                "Pull or release a kill switch",
                "Nothing within its scope is begun any more. `known` says whether there is anything of that name.",
            )
            .matches()
            .takes::<Switch>()
            .answers::<Switched>()
            .fails(&[409]),
        Route::get("/api/v1/maintenance", Needs::Reader, maintenance)
            .says("policies", "Tell whether changes are frozen", "Policy reads it as a fact.")
            .answers::<Freeze>()
            .tagged(),
        Route::post("/api/v1/maintenance", Needs::Operator, Of::Realm, set_maintenance)
            .says(
                "policies",
                "Freeze changes, or end it",
                "Policy reads it as a fact, and denies what it says it denies.",
            )
            .matches()
            .takes::<FreezeWanted>()
            .answers::<Freeze>()
            .fails(&[409]),
    ]
}

/// What a kill switch stops.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(tag = "scope", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Scope {
    /// Everything. Not a unit: that would let other fields pass.
    All {},
    /// One agent.
    Agent {
        /// Which.
        #[schema(value_type = String)]
        agent: AgentId,
    },
    /// One action, whoever does it.
    Action {
        /// Its name.
        action: String,
    },
    /// One resource and everything under it.
    Resource {
        /// Its name.
        resource: String,
    },
}

impl From<Scope> for KillScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::All {} => Self::All,
            Scope::Agent { agent } => Self::Agent { agent },
            Scope::Action { action } => Self::Action { action },
            Scope::Resource { resource } => Self::Resource { resource },
        }
    }
}

impl From<KillScope> for Scope {
    fn from(scope: KillScope) -> Self {
        match scope {
            KillScope::All => Self::All {},
            KillScope::Agent { agent } => Self::Agent { agent },
            KillScope::Action { action } => Self::Action { action },
            KillScope::Resource { resource } => Self::Resource { resource },
        }
    }
}

/// What a kill switch is asked to do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switch {
    scope: Scope,
    /// Whether it stops, or lets go again.
    pulled: bool,
    /// Why. It stands beside the journal and can be erased; nobody who stops something in a hurry has to say it.
    #[serde(default)]
    reason: String,
}

/// A kill switch that is pulled.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PulledSwitch {
    scope: Scope,
    /// The scope in words.
    what: String,
    by: String,
    /// What they said about it.
    reason: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What `If-Match` is sent with by whoever releases it.
    etag: String,
}

/// A page of the kill switches that are pulled.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Switches {
    items: Vec<PulledSwitch>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<String>,
}

async fn kill_switches(State(shared): App, Asked(page): Asked<Part>) -> Answer<Switches> {
    let span = page.span()?;
    begins(&shared, "switches", span.after).await?;
    let found = shared.pipeline.pulled_switches(span).await?;
    let mut items = Vec::with_capacity(found.rows.len());
    for Stopping { scope, pulled, moved } in found.rows {
        let reason = match &pulled.reason {
            Some(reason) => Some(text_beside(shared.pipeline.journal().ledger(), reason).await?),
            None => None,
        };
        let (what, by) = (scope.to_string(), pulled.by.to_string());
        items.push(PulledSwitch { what, scope: scope.into(), by, reason, at: pulled.at, etag: quoted(moved) });
    }
    Ok(Json(Switches { items, next: found.next }))
}

/// A kill switch after it was asked to do something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Switched {
    /// The scope in words.
    scope: String,
    pulled: bool,
    was_pulled: bool,
    /// Whether there is anything of that name.
    known: bool,
}

async fn kill_switch(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Body(switch): Body<Switch>,
) -> Answer<Switched> {
    let (scope, pulled, reason) = (KillScope::from(switch.scope), switch.pulled, words(&switch.reason)?);
    let told = scope.to_string();
    let known = match &scope {
        KillScope::Agent { agent } => shared.pipeline.gate().state().roster.get(agent).is_some(),
        KillScope::Action { action } => {
            let done = Filter { action: Some(action.clone()), ..Filter::default() };
            !shared.pipeline.journal().ledger().query(&done, 1).await?.is_empty()
        }
        KillScope::All | KillScope::Resource { .. } => true,
    };
    let was_pulled = shared.pipeline.gate().state().switches.pulled().any(|(other, _)| *other == scope);
    let by = caller.actor();
    let work = || async { Ok(shared.pipeline.kill_switch(scope.clone(), pulled, reason, &by).await?) };
    matching_among(&shared, &Thing::Switch(scope.clone()), &headers, work).await?;
    // A switch may be pulled before there is anything to stop; whoever mistyped a name should hear of it.
    Ok(Json(Switched { scope: told, pulled, was_pulled, known }))
}

/// Whether changes are frozen.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Freeze {
    on: bool,
}

/// Whether changes are to be frozen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FreezeWanted {
    on: bool,
    /// Why. It stands beside the journal and can be erased.
    #[serde(default)]
    reason: String,
}

async fn maintenance(State(shared): App) -> Result<(Tag, Json<Freeze>), Failure> {
    // Asked for before what it stands for: one that is too old is refused, one that is too new would not be.
    let tag = tagged(Thing::Maintenance.tag(&shared).await?);
    Ok((tag, Json(Freeze { on: shared.pipeline.freeze().await?.0 })))
}

async fn set_maintenance(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Body(wanted): Body<FreezeWanted>,
) -> Answer<Freeze> {
    let (because, by) = (words(&wanted.reason)?, &caller.0.id);
    let work = || async { Ok(shared.pipeline.set_maintenance(wanted.on, because, by).await?) };
    matching_among(&shared, &Thing::Maintenance, &headers, work).await?;
    Ok(Json(Freeze { on: wanted.on }))
}
