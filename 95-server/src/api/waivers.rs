//! What is excepted from the rules: waivers, and the freeze of changes.

use super::{Answer, App, Body, Caller, Path, parsed, reason};
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use writ_core::{RuleId, WaiverId};
use writ_pipeline::{ExceptionError, WaiverRefused, WaiverState, text_beside};

pub(crate) async fn list(State(shared): App, caller: Caller) -> Answer {
    caller.must("viewer")?;
    let journal = shared.pipeline.journal();
    let now = journal.now();
    let mut items = Vec::new();
    for status in shared.pipeline.exceptions().await?.waivers() {
        let mut item = json!(status);
        item["reason"] = json!(text_beside(journal.ledger(), &status.asked.reason).await?);
        item["holds"] = json!(status.state == WaiverState::Granted && now < status.asked.expires_at);
        items.push(item);
    }
    Ok(Json(json!({"items": items, "next": null})))
}

/// A rule that is not to hold somewhere for a while.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    rule: String,
    subject: String,
    seconds: u64,
    reason: String,
}

pub(crate) async fn ask(State(shared): App, caller: Caller, Body(wanted): Body<Wanted>) -> Answer {
    caller.must("operator")?;
    let rule: RuleId = parsed(&wanted.rule)?;
    let (span, reason) = (Duration::from_secs(wanted.seconds), reason(&wanted.reason)?);
    let waiver = shared.pipeline.ask_waiver(&rule, &wanted.subject, span, reason, &caller.0.id).await?;
    Ok(Json(json!({"waiver": waiver, "state": WaiverState::Asked})))
}

pub(crate) async fn answer(
    State(shared): App,
    caller: Caller,
    Path((id, answer)): Path<(String, String)>,
    Body(_): Body<Value>,
) -> Answer {
    let (state, role) = match answer.as_str() {
        "grant" => (WaiverState::Granted, "approver"),
        "refuse" => (WaiverState::Refused, "approver"),
        // Whoever may ask for an exception may end one: the rule holds again.
        "revoke" => (WaiverState::Revoked, "operator"),
        _ => return Err(Failure::not_found("answer", &answer)),
    };
    caller.must(role)?;
    let waiver: WaiverId = parsed(&id)?;
    shared.pipeline.answer_waiver(&waiver, state, &caller.0.id).await?;
    Ok(Json(json!({"waiver": waiver, "state": state})))
}

pub(crate) async fn maintenance(State(shared): App, caller: Caller) -> Answer {
    caller.must("viewer")?;
    Ok(Json(json!({"on": shared.pipeline.exceptions().await?.maintenance()})))
}

/// Whether changes are to be frozen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Freeze {
    on: bool,
}

pub(crate) async fn set_maintenance(State(shared): App, caller: Caller, Body(freeze): Body<Freeze>) -> Answer {
    caller.must("operator")?;
    shared.pipeline.set_maintenance(freeze.on, &caller.0.id).await?;
    Ok(Json(json!({"on": freeze.on})))
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
            WaiverRefused::Span { .. } => told(StatusCode::BAD_REQUEST, "invalid"),
            WaiverRefused::OwnRequest { .. } => told(StatusCode::FORBIDDEN, "refused"),
            WaiverRefused::State { .. } => told(StatusCode::CONFLICT, "refused"),
        }
    }
}
