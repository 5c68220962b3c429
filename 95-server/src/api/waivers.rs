//! Waivers: what is excepted from the rules.

use super::matches::{Thing, matching_among, quoted};
use super::part::{Part, no_next};
use super::resources::Words;
use super::route::{Route, documents};
use super::{Answer, App, Asked, Body, Caller, Needs, Of, Path, Shared, field, parsed, reason};
use crate::error::{Failure, short};
use crate::refused::SOMEBODY_ELSE;
use crate::status;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use utoipa::ToSchema;
use writ_core::{RuleId, WaiverId};
use writ_pipeline::{ExceptionError, KnownWaiver, WaiverRefused, WaiverState, text_beside};

pub(crate) fn routes() -> Vec<Route> {
    let answered = |state| move |shared, caller, headers, id, said| answer(shared, caller, headers, id, said, state);
    vec![
        Route::get("/api/v1/waivers", Needs::Reader, list)
            .says(
                "policies",
                "List waivers",
                "All there ever were, oldest first, with how far each has come and whether it holds now.",
            )
            .query::<Part>()
            .answers::<Waivers>(),
        Route::post("/api/v1/waivers", Needs::Operator, Of::Realm, ask)
            .says(
                "policies",
                "Ask for a waiver",
                "A rule is not to hold for a subject for a while. Somebody else has to grant it. A subject that names nothing is warned of; \
                 one that nearly names something is refused with what it may mean.",
            )
            .takes::<WaiverWanted>()
            .answers::<WaiverTold>()
            .fails(&[404, 409]),
        Route::post("/api/v1/waivers/{id}/grant", Needs::Approver, Of::Realm, answered(WaiverState::Granted))
            .says("policies", "Grant a waiver", "By somebody else than who asked for it.")
            .matches()
            .takes::<Words>()
            .answers::<WaiverTold>()
            .fails(&[409]),
        Route::post("/api/v1/waivers/{id}/refuse", Needs::Approver, Of::Realm, answered(WaiverState::Refused))
            .says("policies", "Refuse a waiver", "The rule goes on holding.")
            .matches()
            .takes::<Words>()
            .answers::<WaiverTold>()
            .fails(&[409]),
        Route::post("/api/v1/waivers/{id}/revoke", Needs::Operator, Of::Realm, answered(WaiverState::Revoked))
            .says("policies", "End a waiver", "Whoever may ask for an exception may end one: the rule holds again.")
            .matches()
            .takes::<Words>()
            .answers::<WaiverTold>()
            .fails(&[409]),
    ]
}

documents! {
    /// A waiver: rule, subject, reason, who asked and answered, until when, its `state`, whether it `holds` now, and its `etag`.
    Waiver;
}

/// A page of waivers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Waivers {
    items: Vec<Waiver>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<String>,
}

async fn list(State(shared): App, Asked(page): Asked<Part>) -> Answer<Waivers> {
    let (journal, span) = (shared.pipeline.journal(), page.span()?);
    begins_with_waiver(&shared, span.after).await?;
    let found = shared.pipeline.waivers(span).await?;
    let (mut items, now) = (Vec::with_capacity(found.rows.len()), journal.now());
    for KnownWaiver { status: waiver, moved } in &found.rows {
        let mut item = json!(waiver);
        item["reason"] = json!(text_beside(journal.ledger(), &waiver.asked.reason).await?);
        let state = status::waiver(waiver, now);
        item["holds"] = json!(state == "granted");
        item["state"] = json!(state);
        item["etag"] = json!(quoted(moved));
        items.push(Waiver(item));
    }
    Ok(Json(Waivers { items, next: found.next }))
}

/// A page of waivers begins behind one.
pub(crate) async fn begins_with_waiver(shared: &Shared, after: Option<&str>) -> Result<(), Failure> {
    let Some(after) = after else { return Ok(()) };
    let waiver = after.parse().map_err(|_| no_next(after))?;
    shared.pipeline.waiver_moved(&waiver).await?.map(drop).ok_or_else(|| no_next(after))
}

/// A rule that is not to hold somewhere for a while.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaiverWanted {
    /// The rule's id.
    rule: String,
    /// Where it is not to hold.
    subject: String,
    /// For how long.
    seconds: u64,
    /// Why.
    reason: String,
}

/// A waiver that was asked for or answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaiverTold {
    #[schema(value_type = String)]
    waiver: WaiverId,
    /// `asked`, `granted`, `refused` or `revoked`.
    #[schema(value_type = String)]
    state: WaiverState,
    /// What is odd about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Intents that a subject is held against at the most.
const INTENTS_MAX: usize = 10_000;

/// What is odd about a subject, which may name what comes later, or what another tool calls something. One that names nothing,
/// and nearly names something, is refused: whoever wrote it meant that.
async fn odd(shared: &Shared, subject: &str) -> Result<Vec<String>, Failure> {
    if subject.contains('*') {
        return Ok(Vec::new());
    }
    let pipeline = &shared.pipeline;
    let intents = pipeline.journal().docs("intents", "", None, INTENTS_MAX).await?.0.into_iter().map(|(id, _)| id);
    let components = pipeline.components().into_iter().map(|component| component.to_string());
    let known: Vec<String> = intents.chain(components).collect();
    let of = subject.split_once('/').map_or(subject, |(component, _)| component);
    if known.iter().any(|known| known == of) {
        return Ok(Vec::new());
    }
    match writ_text::nearest(of, known.iter().map(String::as_str)) {
        Some(near) => {
            let detail = format!("`{}` names no intent and no component", short(subject));
            let meant = subject.replacen(of, near, 1);
            let hint = format!("did you mean `{meant}`? `*` stands for any letters");
            Err(Failure::new(StatusCode::NOT_FOUND, "not-found", detail).hint(hint).at("/subject"))
        }
        None => Ok(vec![format!("`{}` names no intent and no component that there is", short(subject))]),
    }
}

async fn ask(State(shared): App, caller: Caller, Body(wanted): Body<WaiverWanted>) -> Answer<WaiverTold> {
    let rule: RuleId = field("/rule", &wanted.rule)?;
    let (span, reason) = (Duration::from_secs(wanted.seconds), reason(&wanted.reason)?);
    let warnings = odd(&shared, &wanted.subject).await?;
    let waiver = shared.pipeline.ask_waiver(&rule, &wanted.subject, span, reason, &caller.0.id).await?;
    Ok(Json(WaiverTold { waiver, state: WaiverState::Asked, warnings }))
}

async fn answer(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    Body(said): Body<Words>,
    state: WaiverState,
) -> Answer<WaiverTold> {
    let waiver: WaiverId = parsed(&id)?;
    let (because, by) = (reason(&said.reason)?, &caller.0.id);
    let work = || async { Ok(shared.pipeline.answer_waiver(&waiver, state, because, by).await?) };
    matching_among(&shared, &Thing::Waiver(waiver.clone()), &headers, work).await?;
    Ok(Json(WaiverTold { waiver, state, warnings: Vec::new() }))
}

impl From<ExceptionError> for Failure {
    fn from(error: ExceptionError) -> Self {
        let refused = match error {
            ExceptionError::Refused(refused) => refused,
            ExceptionError::Commit(error) => return Self::from(error),
            ExceptionError::Ledger(error) => return Self::from(error),
            ExceptionError::Recorded(error) => return Self::internal(&error),
        };
        let told = |status, code| Self::new(status, code, refused.to_string());
        match &refused {
            WaiverRefused::Unknown { .. } => {
                told(StatusCode::NOT_FOUND, "not-found").hint("list them with `writ waiver list`")
            }
            WaiverRefused::Rule { .. } => {
                told(StatusCode::NOT_FOUND, "not-found").hint("list the rules with `writ policy list`")
            }
            WaiverRefused::Span { .. } => told(StatusCode::BAD_REQUEST, "invalid").at("/seconds"),
            WaiverRefused::OwnRequest { .. } => told(StatusCode::FORBIDDEN, "refused").hint(SOMEBODY_ELSE),
            WaiverRefused::Over { .. } => told(StatusCode::CONFLICT, "refused").hint("ask for another one"),
            WaiverRefused::State { .. } => {
                told(StatusCode::CONFLICT, "refused").hint("see what was answered: `writ waiver list`")
            }
        }
    }
}
