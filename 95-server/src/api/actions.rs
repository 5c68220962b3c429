//! The second door: changes that somebody else planned, asked for, carried out and reported by the same person.

use super::once::Begun;
use super::route::{Route, documents};
use super::{Answer, App, Asked, Body, Caller, Needs, Of, Path, Shared, field, parsed, still, words};
use crate::error::Failure;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};
use writ_core::{Digest, RunId};
use writ_pipeline::{CommandEnd, Output, OutsideAsked, OutsideChange, OutsideWish, Reported};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/actions", Needs::Doer, Of::Said, ask)
            .says(
                "actions",
                "Ask for a change that you planned yourself",
                "Policy judges it, and people if policy says so. Once it is ordered, whoever asked takes the order, carries it out \
                 and says what came of it.",
            )
            .takes::<ActionWanted>()
            .answers::<Action>()
            .fails(&[404, 409]),
        Route::get("/api/v1/actions/{id}", Needs::Reader, one)
            .says(
                "actions",
                "Show where a change stands",
                "With `wait` and `seen`, the answer is held back until it stands elsewhere. With `here`, whoever asked for it says that \
                 they are there to carry it out.",
            )
            .query::<Look>()
            .answers::<Action>()
            .fails(&[409]),
        Route::post("/api/v1/actions/{id}/{command}", Needs::Doer, Of::Run, command)
            .says(
                "actions",
                "Take the order, hold it, or say what came of it",
                "`claim` takes it, `alive` says that it is being carried out, `outcome` ends it. All three by the process that \
                 holds `claim`.",
            )
            .word("command", ["claim", "alive", "outcome"])
            .takes::<Holder>()
            .answers::<ActionTold>()
            .fails(&[409]),
    ]
}

documents! {
    /// Where a change stands: its `run`, `phase`, `state`, what it waits for, and what came of it.
    Action;
    /// To `claim`: the ticket, epoch, step and permit. To `alive`: the state. To `outcome`: what was recorded.
    ActionTold;
}

/// One thing that a plan would change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the layer reads")]
struct Change {
    /// What it is called: `aws_instance.web`, `default/Deployment/web`.
    address: String,
    /// What is done to it.
    #[schema(value_type = String, pattern = "^(apply|create|delete|replace|update)$")]
    deed: String,
    /// What sort of thing it is: `aws_instance`, `Deployment`.
    kind: String,
}

/// A change that somebody asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionWanted {
    /// The program and its arguments.
    command: Vec<String>,
    /// What the action is called; none for what it is called by itself.
    action: Option<String>,
    /// What it is done to.
    resource: Option<String>,
    /// The intent that it serves.
    intent: Option<String>,
    /// Where it runs.
    #[serde(default)]
    directory: String,
    /// What it would change, as its tool says.
    #[schema(value_type = Option<Vec<Change>>)]
    changes: Option<Vec<OutsideChange>>,
    /// Digests of the files that say so.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    files: BTreeMap<String, Digest>,
    /// Why.
    #[serde(default)]
    reason: String,
    /// Whether whoever asks stays to carry it out.
    #[serde(default)]
    here: bool,
    /// How long they may be silent before the outcome is unknown.
    #[serde(default = "a_minute")]
    silent_seconds: u64,
}

fn a_minute() -> u64 {
    60
}

async fn ask(
    State(shared): App,
    caller: Caller,
    begun: Option<Extension<Begun>>,
    Body(wanted): Body<ActionWanted>,
) -> Answer<Action> {
    let asked = OutsideAsked {
        silent: Duration::from_secs(wanted.silent_seconds),
        here: wanted.here,
        reason: words(&wanted.reason)?.to_owned(),
        wish: OutsideWish {
            action: wanted.action,
            changes: wanted.changes,
            command: wanted.command,
            directory: wanted.directory,
            files: wanted.files,
            intent: wanted.intent.as_deref().map(|id| field("/intent", id)).transpose()?,
            resource: wanted.resource,
        },
    };
    let run = match begun {
        Some(Extension(Begun(run))) => run,
        None => shared.pipeline.ask_outside(asked, &caller.0).await?,
    };
    let told = shared.pipeline.outside(&run, &caller.0, false, None, Duration::ZERO).await?;
    Ok(Json(Action(with_link(&shared, told))))
}

/// Where people answer, by the address that is configured for them. Without one, whoever asks knows by which they came.
fn with_link(shared: &Shared, mut told: Value) -> Value {
    if let (Some(address), Some(id)) = (&shared.config.public_url, told.get("approval").and_then(Value::as_str)) {
        told["link"] = json!(format!("{address}/approvals/{id}"));
    }
    told
}

/// How long an answer may be held back, and from what.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Look {
    /// Where the change stood when it was last looked at: the answer is held back while it stands there.
    seen: Option<String>,
    /// For how long at the most, in seconds.
    wait: u64,
    /// Whether whoever looks would carry it out.
    here: bool,
}

async fn one(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    Asked(look): Asked<Look>,
) -> Answer<Action> {
    let needs = if look.here { Needs::Doer } else { Needs::Reader };
    caller.must(needs)?;
    let run: RunId = parsed(&id)?;
    // An answer that is held back still comes in the time that it is given.
    let wait = Duration::from_secs(look.wait.min(shared.config.limits.request_seconds / 2));
    let told = shared.pipeline.outside(&run, &caller.0, look.here, look.seen.as_deref(), wait).await?;
    if !wait.is_zero() {
        still(&shared, &headers, needs).await?;
    }
    Ok(Json(Action(with_link(&shared, told))))
}

/// What one process says about the order that it takes, holds or ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Holder {
    /// What names the process: chance, known to it alone.
    #[schema(min_length = 16, max_length = 128)]
    claim: String,
    /// What came of it; to `outcome` alone.
    outcome: Option<Came>,
}

/// What came of a command: one of `exit`, `signal` and `not_run`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Came {
    exit: Option<u8>,
    signal: Option<u8>,
    not_run: Option<String>,
    #[serde(default)]
    stdout: Written,
    #[serde(default)]
    stderr: Written,
}

/// What a command wrote.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Written {
    bytes: Option<u64>,
    #[schema(value_type = Option<String>)]
    digest: Option<Digest>,
    /// What is kept of it, in base 64.
    kept: String,
}

impl Written {
    fn output(self, stream: &str) -> Result<Output, Failure> {
        let wrong = |_| bad("`kept` is not base 64").at(format!("/outcome/{stream}/kept"));
        let kept = STANDARD.decode(&self.kept).map_err(wrong)?;
        let bytes = self.bytes.unwrap_or(kept.len() as u64);
        let digest = self.digest.unwrap_or_else(|| writ_seal::sha256(&kept));
        Ok(Output { bytes, digest, kept })
    }
}

impl Came {
    fn reported(self) -> Result<Reported, Failure> {
        let end = match (self.exit, self.signal, self.not_run) {
            (Some(exit), None, None) => CommandEnd::Exit(exit),
            (None, Some(signal), None) => CommandEnd::Signal(signal),
            (None, None, Some(because)) => CommandEnd::NotRun { because },
            _ => return Err(bad("an outcome says one of `exit`, `signal` and `not_run`").at("/outcome")),
        };
        Ok(Reported { end, stdout: self.stdout.output("stdout")?, stderr: self.stderr.output("stderr")? })
    }
}

fn bad(detail: &str) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
}

/// The least and most bytes of what names a process.
const CLAIM: std::ops::RangeInclusive<usize> = 16..=128;

async fn command(
    State(shared): App,
    caller: Caller,
    Path((id, command)): Path<(String, String)>,
    Body(holder): Body<Holder>,
) -> Answer<ActionTold> {
    let run: RunId = parsed(&id)?;
    if !CLAIM.contains(&holder.claim.len()) {
        return Err(bad("`claim` is 16 to 128 bytes of chance").at("/claim"));
    }
    let (pipeline, by, claim) = (&shared.pipeline, &caller.0, holder.claim.as_str());
    let answer = match (command.as_str(), holder.outcome) {
        ("claim", None) => {
            let order = pipeline.take_outside(&run, by, claim).await?;
            json!({"run": run, "ticket": order.ticket, "epoch": order.epoch, "step": order.step, "permit": order.permit})
        }
        ("alive", None) => {
            json!({"run": run, "state": pipeline.outside_lives(&run, by, claim).await?.replace(' ', "_")})
        }
        ("outcome", Some(came)) => pipeline.end_outside(&run, by, claim, came.reported()?).await?,
        ("outcome", None) => return Err(bad("an `outcome` is missing").at("/outcome")),
        ("claim" | "alive", Some(_)) => return Err(bad("an `outcome` is said to `outcome`").at("/outcome")),
        (other, _) => {
            return Err(Failure::no_word("command", other, &["claim", "alive", "outcome"]));
        }
    };
    Ok(Json(ActionTold(answer)))
}
