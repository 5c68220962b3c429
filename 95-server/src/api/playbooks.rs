//! Playbooks: what there is, what one would do, and running it.

use super::once::Begun;
use super::route::{Route, documents};
use super::{Answer, App, Body, Caller, Needs, Of, Path, words};
use crate::error::Failure;
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use writ_core::{Digest, RunId};
use writ_pipeline::PlaybookOrder;
use writ_pipeline::input::Playbook as Written;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/playbooks", Needs::Reader, list)
            .says("playbooks", "List the playbooks", "Each version of each, as the files of the installation say it.")
            .whole("the files of the installation say which there are")
            .answers::<Playbooks>(),
        Route::get("/api/v1/playbooks/{id}", Needs::Reader, one)
            .says("playbooks", "Show a playbook", "Its newest version: its parameters and its actions.")
            .answers::<Playbook>(),
        Route::post("/api/v1/playbooks/{id}/plan", Needs::Reader, Of::Nothing, plan)
            .harmless()
            .says(
                "playbooks",
                "Show what running a playbook would do",
                "The steps on the world as it stands, and whether policy lets them happen. Nothing is recorded or done.",
            )
            .takes::<Order>()
            .answers::<Rehearsed>()
            .fails(&[409, 502]),
        Route::post("/api/v1/playbooks/{id}/run", Needs::Operator, Of::Said, run)
            .says(
                "playbooks",
                "Run a playbook",
                "Begins a run, which may wait for approval. With `planned`, only what was looked at is done; anything else is refused \
                 as stale.",
            )
            .takes::<Order>()
            .answers::<Running>()
            .fails(&[409, 502]),
    ]
}

documents! {
    /// A playbook: `id`, `version`, `description`, `digest`, `parameters`, `actions`, and what happens when a step fails.
    Playbook;
    /// What running a playbook would do: the steps, their digest, what is left out, what policy says, and the run that is
    /// `under_way` on the component: until it is over, the playbook is not run.
    Rehearsed;
}

/// All playbooks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Playbooks {
    items: Vec<Playbook>,
    /// There is one page.
    next: Option<String>,
}

/// What a playbook is to be run with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// Values of its parameters, by name.
    #[serde(default)]
    arguments: BTreeMap<String, Value>,
    /// Its version; the newest when none is given.
    #[serde(default)]
    version: Option<String>,
    /// The digest of what was looked at; anything else is then refused as stale.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^sha256:[0-9a-f]{64}$")]
    planned: Option<Digest>,
    /// Why; the words stand beside the journal and can be erased.
    #[serde(default)]
    reason: String,
}

impl Order {
    fn of(&self, id: String) -> PlaybookOrder {
        PlaybookOrder { id, version: self.version.clone(), arguments: self.arguments.clone(), planned: self.planned }
    }
}

/// A playbook that is run: what is done, and the run that does it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Running {
    #[schema(value_type = String)]
    run: RunId,
    /// As `plan` answers it.
    #[serde(flatten)]
    rehearsed: Option<Rehearsed>,
}

async fn list(State(shared): App) -> Answer<Playbooks> {
    let items = shared.pipeline.playbooks().iter().map(Written::document).map(Playbook).collect();
    Ok(Json(Playbooks { items, next: None }))
}

async fn one(State(shared): App, Path(id): Path<String>) -> Answer<Playbook> {
    let playbook = shared.pipeline.playbook(&id, None).map_err(Failure::from)?;
    Ok(Json(Playbook(playbook.document())))
}

async fn plan(
    State(shared): App,
    caller: Caller,
    Path(id): Path<String>,
    Body(order): Body<Order>,
) -> Answer<Rehearsed> {
    let rehearsed = shared.pipeline.rehearse(&order.of(id), &caller.0).await?;
    Ok(Json(Rehearsed(rehearsed.document())))
}

async fn run(
    State(shared): App,
    caller: Caller,
    Path(id): Path<String>,
    begun: Option<Extension<Begun>>,
    Body(order): Body<Order>,
) -> Answer<Running> {
    if let Some(Extension(Begun(run))) = begun {
        return Ok(Json(Running { run, rehearsed: None }));
    }
    let (rehearsed, run) = shared.pipeline.run_playbook(&order.of(id), &caller.0, words(&order.reason)?).await?;
    Ok(Json(Running { run, rehearsed: Some(Rehearsed(rehearsed.document())) }))
}
