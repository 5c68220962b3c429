//! What people say about what is listed, and what there is to look at besides.

use super::matches::{Tag, Thing, matching, quoted, tagged};
use super::route::{Route, documents};
use super::{Answer, App, Body, Caller, Needs, Of, Path, Shared, field, parsed, reason, words};
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use writ_core::{Actor, ApprovalId, IncidentId, IntentId};
use writ_pipeline::{HealSignal, say};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/approvals/{id}/{answer}", Needs::Person, Of::Said, answer)
            .says(
                "approvals",
                "Answer what is asked",
                "One voice a person, never the requester's. It counts for what was shown: once that changes, the question is void.",
            )
            .word("answer", ["approve", "reject"])
            .matches()
            .takes::<Words>()
            .answers::<Answered>()
            .fails(&[409]),
        Route::post("/api/v1/incidents/{id}/{command}", Needs::Operator, Of::Incident, incident)
            .says("incidents", "Tell an incident something", "`ack` says that somebody looks after it, `close` ends it.")
            .word("command", ["ack", "close"])
            .matches()
            .takes::<Remark>()
            .answers::<IncidentTold>()
            .fails(&[409]),
        Route::post("/api/v1/recommendations/{id}/{command}", Needs::Approver, Of::Recommendation, recommendation)
            .says(
                "recommendations",
                "Approve or reject a recommendation",
                "What is approved enters by the front door, as a new version of its intent, and passes the same gates.",
            )
            .word("command", ["approve", "reject"])
            .matches()
            .takes::<Words>()
            .answers::<RecommendationTold>()
            .fails(&[409, 502]),
        Route::post("/api/v1/feedback", Needs::Reader, Of::Realm, feedback)
            .says("recommendations", "Collect feedback", "Looks at the period that ends now, and makes recommendations of it.")
            .takes::<Period>()
            .answers::<Feedback>()
            .fails(&[409, 502]),
        Route::get("/api/v1/processes", Needs::Reader, processes)
            .says("server", "List the processes that writ started", "As the local provider sees them now.")
            .whole("it is what runs at the moment")
            .answers::<Processes>(),
        Route::get("/api/v1/monitoring", Needs::Reader, monitoring)
            .says("incidents", "Show what is watched", "Each component in care, with its series and detectors.")
            .whole("it is what is in care at the moment")
            .answers::<Watched>(),
        Route::get("/api/v1/policies", Needs::Reader, policies)
            .says("policies", "Show the policies in force", "The bundle's digest, its files, and each rule with its place.")
            .answers::<Policies>()
            .tagged(),
    ]
}

documents! {
    /// What became of a recommendation, as `recommendation` has it.
    RecommendationTold;
    /// What a period says: insights, and the recommendations that were made of it.
    Feedback;
    /// A process: its instance, state, pid, address and health.
    Process;
    /// A component in care: its series, its detectors, what they say, and what healing may do.
    Monitored;
    /// The policies in force: `digest`, `files` and `rules`.
    Policies;
}

/// A person's words.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Words {
    /// Why. At most 4,000 characters; it stands beside the journal and can be erased.
    #[schema(required = true)]
    pub(crate) reason: String,
}

/// What a person may say along with something.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Remark {
    /// Why, or what was found. At most 4,000 characters; it stands beside the journal and can be erased.
    reason: String,
}

/// A body that says nothing; whatever object is sent is passed over.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Nothing {}

/// An approval that was answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answered {
    #[schema(value_type = String)]
    approval: ApprovalId,
    /// Where it stands now.
    #[schema(value_type = String)]
    state: serde_json::Value,
}

async fn answer(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path((id, answer)): Path<(String, String)>,
    Body(said): Body<Words>,
) -> Answer<Answered> {
    let work = async {
        let id: ApprovalId = parsed(&id)?;
        let agrees = match answer.as_str() {
            "approve" => true,
            "reject" => false,
            _ => return Err(Failure::no_word("answer", &answer, &["approve", "reject"])),
        };
        let state = shared.pipeline.answer(&id, &caller.0, agrees, reason(&said.reason)?).await?;
        Ok(Json(Answered { approval: id, state: serde_json::json!(state) }))
    };
    matching(&shared, &Thing::one("approvals", &id), &headers, work).await
}

/// An incident that was told something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncidentTold {
    #[schema(value_type = String)]
    incident: IncidentId,
    /// What it was told.
    done: String,
}

async fn incident(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path((id, command)): Path<(String, String)>,
    Body(said): Body<Remark>,
) -> Answer<IncidentTold> {
    let work = async {
        let incident: IncidentId = parsed(&id)?;
        let by = caller.0.id.clone();
        let signal = match command.as_str() {
            "ack" => HealSignal::Acknowledge { incident: incident.clone(), by },
            "close" => HealSignal::Close { incident: incident.clone(), by },
            _ => return Err(Failure::no_word("command", &command, &["ack", "close"])),
        };
        tell_healing(&shared, &id, signal, (&caller.actor(), &said.reason)).await?;
        Ok(Json(IncidentTold { incident, done: command.clone() }))
    };
    matching(&shared, &Thing::one("incidents", &id), &headers, work).await
}

/// Tells whoever heals an incident's component something about it, and keeps what a person says along with that.
pub(crate) async fn tell_healing(
    shared: &Shared,
    incident: &str,
    signal: HealSignal,
    (by, remark): (&Actor, &str),
) -> Result<(), Failure> {
    let remark = words(remark)?;
    let doc = shared.pipeline.journal().doc("incidents", incident).await?;
    let component = doc.and_then(|doc| doc.get("component")?.as_str()?.parse().ok());
    let healing = component.and_then(|component| shared.pipeline.healing(&component));
    let healing = healing.ok_or_else(|| Failure::not_found("incident", incident))?;
    let told = healing.tell(signal).await;
    let hint = || format!("see how it stands: `writ incident get {incident}`");
    told.map_err(|because| Failure::new(StatusCode::CONFLICT, "refused", because).hint(hint()))?;
    if !remark.is_empty() {
        say(shared.pipeline.journal(), incident, by, remark).await?;
    }
    Ok(())
}

/// A period, in seconds.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Period {
    /// A week unless it is said; at most a year.
    #[schema(minimum = 1, maximum = 31622400)]
    seconds: u64,
    /// The intent to look back on; every one that is in force unless it is said.
    intent: Option<String>,
}

/// The longest period, in seconds.
const PERIOD_MAX: u64 = 366 * 86_400;

impl Default for Period {
    fn default() -> Self {
        Self { seconds: 7 * 86_400, intent: None }
    }
}

/// A period to look back over, in the unit that it was asked in.
pub(crate) fn looked_over(count: u64, unit: &str, unit_seconds: u64) -> Result<Duration, Failure> {
    let most = PERIOD_MAX / unit_seconds;
    if (1..=most).contains(&count) {
        return Ok(Duration::from_secs(count * unit_seconds));
    }
    let detail = format!("a period has 1 to {most} {unit}, not {count}");
    Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).at(format!("/{unit}")))
}

async fn feedback(State(shared): App, caller: Caller, Body(period): Body<Period>) -> Answer<Feedback> {
    let span = looked_over(period.seconds, "seconds", 1)?;
    let wanted: Option<IntentId> = period.intent.as_deref().map(|intent| field("/intent", intent)).transpose()?;
    if let Some(wanted) = &wanted
        && shared.pipeline.journal().doc("intents", wanted.as_str()).await?.is_none()
    {
        return Err(Failure::not_found("intent", wanted.as_str()));
    }
    let document = shared.pipeline.reflect(span, wanted.as_ref(), &caller.0).await;
    document.map(|document| Json(Feedback(document))).map_err(|error| Failure::of_reflect(error, &shared.pipeline))
}

async fn recommendation(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path((id, command)): Path<(String, String)>,
    Body(said): Body<Words>,
) -> Answer<RecommendationTold> {
    let work = async {
        let because = reason(&said.reason)?;
        let done = match command.as_str() {
            "approve" => shared.pipeline.approve_recommendation(&id, &caller.0).await,
            "reject" => shared.pipeline.reject_recommendation(&id, &caller.0).await,
            _ => return Err(Failure::no_word("command", &command, &["approve", "reject"])),
        };
        let done = done.map_err(|error| Failure::of_reflect(error, &shared.pipeline))?;
        say(shared.pipeline.journal(), &id, &caller.actor(), because).await?;
        Ok(Json(RecommendationTold(done)))
    };
    matching(&shared, &Thing::one("recommendations", &id), &headers, work).await
}

/// All processes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Processes {
    items: Vec<Process>,
    /// There is one page.
    next: Option<String>,
}

async fn processes(State(shared): App) -> Answer<Processes> {
    let items = (shared.processes)().into_iter().map(Process).collect();
    Ok(Json(Processes { items, next: None }))
}

/// All components in care.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Watched {
    items: Vec<Monitored>,
    /// There is one page.
    next: Option<String>,
}

async fn monitoring(State(shared): App) -> Answer<Watched> {
    let components = shared.pipeline.components();
    let of = |component| Some(Monitored(shared.pipeline.healing(component)?.monitoring()));
    Ok(Json(Watched { items: components.iter().filter_map(of).collect(), next: None }))
}

async fn policies(State(shared): App) -> Result<(Tag, Json<Policies>), Failure> {
    // Read before what it stands for: one that is too old is refused, one that is too new would not be.
    let version = shared.pipeline.gate().state().policy_version;
    Ok((tagged(quoted(version)), Json(Policies(shared.pipeline.policies()))))
}
