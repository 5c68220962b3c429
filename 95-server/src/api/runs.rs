//! Runs: their state, and what an operator can tell them.

use super::matches::{Thing, matching};
use super::route::{Route, documents};
use super::{Answer, App, Body, Caller, Needs, Of, Path, Shared, field, parsed, reason};
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use writ_core::RunId;
use writ_pipeline::{DriveError, RunRefused, RunSignal, execution as execution_of, say};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/runs/{id}/execution", Needs::Reader, execution)
            .says("runs", "Show how a run goes", "Its phases and steps, with what each waits for and how often it was tried.")
            .answers::<Execution>(),
        Route::post("/api/v1/runs/{id}/{command}", Needs::Operator, Of::Run, command)
            .says(
                "runs",
                "Tell a run something",
                "`retry` and `resolve` name a step; `resolve` says besides whether it happened, and why that is known. `cancel` takes \
                 back what was done when `compensate` is set.",
            )
            .word("command", ["pause", "resume", "cancel", "replan", "rollback", "retry", "resolve"])
            .matches()
            .takes::<Details>()
            .answers::<Told>()
            .fails(&[409, 502]),
    ]
}

documents! {
    /// How a run goes: `execution` with its phases, its `state`, its `steps` and why each is so, whether it is `over`, and what it waits for.
    Execution;
}

/// A run that was told something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Told {
    /// Which.
    #[schema(value_type = String)]
    run: RunId,
    /// Where it stands now.
    state: String,
}

async fn execution(State(shared): App, Path(id): Path<String>) -> Answer<Execution> {
    let id: RunId = parsed(&id)?;
    let (run, context) = shared.pipeline.drive().run(&id).await?;
    let now = shared.pipeline.journal().now();
    let mut document = execution_of(&run, id.as_str(), now);
    document["run"] = json!(id);
    document["state"] = json!(run.state().name().replace(' ', "_"));
    document["over"] = json!(run.state().is_over());
    document["context"] = json!(*context);
    if let writ_pipeline::RunState::AwaitingApproval(asked) = run.state() {
        document["approval"] = json!(asked.terms.approval);
    }
    document["waiting"] = json!(run.waiting().map(|waiting| waiting.sentence));
    document["steps"] = run
        .steps()
        .map(|(step, cell)| {
            json!({
                "key": step.key, "action": step.action_name, "verb": step.verb, "resource": step.resource,
                "phase": step.phase,
                "state": cell.state.name(), "attempts": cell.attempts,
                "waiting": run.step_waiting(&step.key).map(|waiting| waiting.sentence),
                "because": cell.state.because(),
            })
        })
        .collect();
    Ok(Json(Execution(document)))
}

/// Why a run was not told something: one that is over is there, and says what became of it.
pub(crate) async fn not_told(shared: &Shared, id: &RunId, command: &str, error: DriveError) -> Failure {
    let unfit = match &error {
        DriveError::NotLive { .. } => false,
        DriveError::Refused { cause, .. } if matches!(**cause, RunRefused::Illegal(_)) => true,
        DriveError::Refused { .. }
        | DriveError::Busy { .. }
        | DriveError::Unsettled { .. }
        | DriveError::Commit { .. }
        | DriveError::Read { .. } => {
            return error.into();
        }
    };
    match shared.pipeline.drive().run(id).await {
        Ok((run, _)) if unfit || run.state().is_over() => {
            let told = format!("run `{id}` is {} and cannot be told to `{command}`", run.state().name());
            let detail = if run.state().is_over() { format!("{told}: that is final") } else { told };
            Failure::new(StatusCode::CONFLICT, "refused", detail).hint(format!("writ why {id}"))
        }
        Ok(_) | Err(_) => error.into(),
    }
}

/// What a command may need besides its name.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Details {
    /// The step that is meant.
    step: Option<String>,
    /// Whether what was done is taken back.
    compensate: bool,
    /// Whether a step whose outcome is unknown happened.
    happened: Option<bool>,
    /// Why.
    reason: String,
}

async fn command(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path((id, command)): Path<(String, String)>,
    Body(details): Body<Details>,
) -> Answer<Told> {
    let work = tell(&shared, &caller, &id, &command, &details);
    matching(&shared, &Thing::one("runs", &id), &headers, work).await.map(Json)
}

async fn tell(shared: &Shared, caller: &Caller, id: &str, command: &str, details: &Details) -> Result<Told, Failure> {
    let id: RunId = parsed(id)?;
    if command == "replan" {
        shared.pipeline.replan(&id, &caller.0).await.map_err(|error| Failure::of_replan(error, &shared.pipeline))?;
        let (run, _) = shared.pipeline.drive().run(&id).await?;
        return Ok(Told { state: run.state().name().replace(' ', "_"), run: id });
    }
    let step = || {
        let text = details.step.as_deref().ok_or_else(|| {
            Failure::new(StatusCode::BAD_REQUEST, "invalid", format!("`{command}` needs a step"))
                .hint("name one with `--step`")
                .at("/step")
        })?;
        field("/step", text)
    };
    let signal = match command {
        "pause" => RunSignal::Pause,
        "resume" => RunSignal::Resume,
        "cancel" => RunSignal::Cancel { compensate: details.compensate },
        "rollback" => RunSignal::Rollback,
        "retry" => RunSignal::Retry { step: step()? },
        "resolve" => {
            let happened = details.happened.ok_or_else(|| {
                Failure::new(StatusCode::BAD_REQUEST, "invalid", "`resolve` needs to know whether it happened")
                    .at("/happened")
            })?;
            let step = step()?;
            let said = say(shared.pipeline.journal(), id.as_str(), &caller.actor(), reason(&details.reason)?).await?;
            RunSignal::OperatorResolved { happened, reason: said, step }
        }
        other => {
            let detail = format!("a run cannot be told to `{}`", other.chars().take(40).collect::<String>());
            return Err(Failure::new(StatusCode::NOT_FOUND, "not-found", detail)
                .hint("one of pause, resume, cancel, replan, rollback, retry, resolve")
                .parameter("command"));
        }
    };
    if let Err(error) = shared.pipeline.drive().tell(&id, signal, &caller.actor()).await {
        return Err(not_told(shared, &id, command, error).await);
    }
    let (run, _) = shared.pipeline.drive().run(&id).await?;
    Ok(Told { state: run.state().name().replace(' ', "_"), run: id })
}
