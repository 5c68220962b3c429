//! Submitting intents.

use super::audit::{Entry, EntryPage};
use super::log::From;
use super::once::Begun;
use super::route::{Route, documents};
use super::{Answer, App, Asked, Body, Caller, Needs, Of, Path, parsed, reason};
use crate::error::Failure;
use crate::wrong::Wrong;
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use writ_core::{Digest, IntentId, RunId};
use writ_pipeline::{Origin, Pipeline, SubmitError, decode};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/validate", Needs::Reader, Of::Nothing, validate)
            .harmless()
            .says(
                "intents",
                "Check a manifest",
                "Reads it, asks policy and contracts, and plans it against the world as it stands. Nothing is recorded or done.",
            )
            .takes::<Manifest>()
            .answers::<Prepared>()
            .fails(&[409, 502]),
        Route::post("/api/v1/plan", Needs::Reader, Of::Nothing, validate)
            .harmless()
            .says(
                "intents",
                "Plan a manifest",
                "The same answer as `validate`: what would be done, with the digest by which it can be submitted.",
            )
            .takes::<Manifest>()
            .answers::<Prepared>()
            .fails(&[409, 502]),
        Route::post("/api/v1/policies/explain", Needs::Reader, Of::Nothing, explain)
            .harmless()
            .says(
                "policies",
                "Explain what policy says of a manifest",
                "Each rule that is asked, stage by stage, with the values of its parts. Nothing is recorded or done.",
            )
            .takes::<Manifest>()
            .answers::<Explained>()
            .fails(&[409, 502]),
        Route::post("/api/v1/intents", Needs::Operator, Of::Said, submit)
            .says(
                "intents",
                "Submit an intent",
                "Validates, plans and begins a run, which may wait for approval. With `planned`, only that plan is carried out; \
                 another is refused as stale.",
            )
            .takes::<Manifest>()
            .answers::<Submitted>()
            .fails(&[409, 502]),
        Route::get("/api/v1/intents/{id}/decommission", Needs::Reader, removal)
            .says(
                "intents",
                "Show what taking an intent away would do",
                "The steps, and whether policy lets it happen. Nothing is recorded or done.",
            )
            .answers::<Removal>()
            .fails(&[409, 502]),
        Route::post("/api/v1/intents/{id}/decommission", Needs::Operator, Of::Intent, decommission)
            .says(
                "intents",
                "Take an intent away",
                "Begins a run that takes away everything of it that is there, and may wait for approval. One of which nothing is there \
                 is archived at once. With `planned`, only what was looked at is done; anything else is refused as stale.",
            )
            .takes::<Farewell>()
            .answers::<Leaving>()
            .fails(&[409, 502]),
        Route::get("/api/v1/intents/{id}/versions", Needs::Reader, versions)
            .says("intents", "List the versions of an intent", "The entries of its stream, oldest first.")
            .query::<From>()
            .answers::<EntryPage>(),
    ]
}

documents! {
    /// What would be done, and whether it may: the intent, policy's decision and report, the translation, the plan and its digest,
    /// what differs from the world, the way back, and what the contracts say.
    Prepared;

    /// What taking an intent away would do: the intent with its version and state, the steps, their digest, and what policy says.
    Removal;
}

/// Why an intent is taken away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Farewell {
    /// The words; they stand beside the journal and can be erased.
    reason: String,
    /// The digest of what was looked at; anything else is then refused as stale.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^sha256:[0-9a-f]{64}$")]
    planned: Option<Digest>,
}

/// An intent that is being taken away: what is done, and the run that does it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Leaving {
    /// The run; none when nothing was there, and the intent is archived already.
    #[schema(value_type = Option<String>)]
    run: Option<RunId>,
    /// As looking at it answers it.
    #[serde(flatten)]
    removal: Option<Removal>,
}

/// An intent that was taken: what was prepared, and the run that carries it out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Submitted {
    /// The run; none when there is nothing to do.
    #[schema(value_type = Option<String>)]
    run: Option<RunId>,
    /// As `plan` answers it.
    #[serde(flatten)]
    prepared: Prepared,
}

/// A manifest as a client sends it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Its name, for places in findings.
    name: String,
    /// Its text.
    text: String,
    /// The digest of the plan that was looked at; another plan is then refused as stale.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^sha256:[0-9a-f]{64}$")]
    planned: Option<Digest>,
}

/// Why a manifest that was sent does not get through.
pub(crate) fn unfit(error: SubmitError, pipeline: &Pipeline) -> Failure {
    let problems = if let SubmitError::Invalid(problems) = &error { problems.as_slice() } else { &[] };
    let wrong = problems.iter().map(|problem| Wrong::within("/text", problem)).collect();
    Failure::of_submit(error, pipeline).wrong(wrong)
}

async fn validate(State(shared): App, caller: Caller, Body(manifest): Body<Manifest>) -> Answer<Prepared> {
    let pipeline = &shared.pipeline;
    let prepared = pipeline.prepare(&manifest.name, manifest.text.as_bytes(), &caller.0).await;
    let prepared = prepared.map_err(|error| unfit(error, pipeline))?;
    Ok(Json(Prepared(prepared.document(pipeline))))
}

/// What policy says of a manifest, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explained {
    /// `allow`, `deny`, or what is to be approved by whom.
    decision: String,
    /// The digest of the bundle that was asked.
    bundle: String,
    /// Each rule, with the values of its parts, as lines of text.
    text: String,
}

async fn explain(State(shared): App, caller: Caller, Body(manifest): Body<Manifest>) -> Answer<Explained> {
    let pipeline = &shared.pipeline;
    let prepared = pipeline.prepare(&manifest.name, manifest.text.as_bytes(), &caller.0).await;
    let prepared = prepared.map_err(|error| unfit(error, pipeline))?;
    let bundle = pipeline.gate().state().bundle.clone();
    Ok(Json(Explained {
        decision: prepared.decision_text(),
        bundle: bundle.digest().to_string(),
        text: prepared.explain(&bundle),
    }))
}

async fn submit(
    State(shared): App,
    caller: Caller,
    begun: Option<Extension<Begun>>,
    Body(manifest): Body<Manifest>,
) -> Answer<Submitted> {
    let pipeline = &shared.pipeline;
    if let Some(Extension(Begun(run))) = begun {
        let prepared = pipeline.prepare(&manifest.name, manifest.text.as_bytes(), &caller.0).await;
        let prepared = prepared.map_err(|error| unfit(error, pipeline))?;
        return Ok(Json(Submitted { run: Some(run), prepared: Prepared(prepared.document(pipeline)) }));
    }
    let text = manifest.text.as_bytes();
    let accepted = pipeline.submit(&manifest.name, text, &caller.0, manifest.planned, Origin::Intent).await;
    let accepted = accepted.map_err(|error| unfit(error, pipeline))?;
    Ok(Json(Submitted { run: accepted.run, prepared: Prepared(accepted.prepared.document(pipeline)) }))
}

async fn removal(State(shared): App, caller: Caller, Path(id): Path<String>) -> Answer<Removal> {
    let id: IntentId = parsed(&id)?;
    let removal = shared.pipeline.prepare_decommission(&id, &caller.0).await?;
    Ok(Json(Removal(removal.document())))
}

async fn decommission(
    State(shared): App,
    caller: Caller,
    Path(id): Path<String>,
    begun: Option<Extension<Begun>>,
    Body(farewell): Body<Farewell>,
) -> Answer<Leaving> {
    let id: IntentId = parsed(&id)?;
    if let Some(Extension(Begun(run))) = begun {
        return Ok(Json(Leaving { run: Some(run), removal: None }));
    }
    let because = reason(&farewell.reason)?;
    let leaving = shared.pipeline.decommission(&id, &caller.0, farewell.planned, because).await?;
    Ok(Json(Leaving { run: leaving.run, removal: Some(Removal(leaving.removal.document())) }))
}

async fn versions(State(shared): App, Path(id): Path<String>, Asked(from): Asked<From>) -> Answer<EntryPage> {
    let (id, limit): (IntentId, _) = (parsed(&id)?, super::limit(from.limit)?);
    let (stream, ledger) = (format!("intent/{id}"), shared.pipeline.journal().ledger());
    if ledger.stream_version(&stream).await? == 0 {
        return Err(Failure::not_found("intent", id.as_str()));
    }
    let found = ledger.stream(&stream, from.place(), limit + 1).await?;
    let entries = found.iter().take(limit).map(decode).collect::<Result<Vec<_>, _>>()?;
    let next = entries.last().filter(|_| found.len() > limit).map(|entry| entry.version);
    Ok(Json(EntryPage { items: entries.iter().map(|entry| Entry(json!(entry))).collect(), next }))
}
