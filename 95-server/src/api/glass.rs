//! Breaking the glass, and what somebody must look at in how the installation is governed.

use super::matches::{Thing, matching, quoted};
use super::part::Part;
use super::resources::Nothing;
use super::route::{Route, documents};
use super::{Answer, App, Asked, Body, Caller, Needs, Of, Path, Shared, parsed, reason};
use crate::error::Failure;
use crate::refused::SOMEBODY_ELSE;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;
use writ_core::ApprovalId;
use writ_pipeline::{Glass, GlassError, GlassRefused, GlassWish, GovernanceFinding, text_beside};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/break-glass", Needs::Reader, list)
            .says("approvals", "List every breaking of the glass", "Newest first, with what became of each.")
            .query::<Part>()
            .answers::<BrokenGlasses>(),
        Route::post("/api/v1/break-glass", Needs::Operator, Of::Realm, break_glass)
            .says(
                "approvals",
                "Break the glass",
                "What policy would have you wait for approval for passes, within what is named, for up to an hour. What is denied stays \
                 denied. The approvers are told at once.",
            )
            .takes::<GlassWanted>()
            .answers::<BrokenGlass>()
            .fails(&[409]),
        Route::post("/api/v1/break-glass/{id}/end", Needs::Operator, Of::Realm, end)
            .says("approvals", "End it before its time", "People are asked again.")
            .matches()
            .takes::<Nothing>()
            .answers::<BrokenGlass>()
            .fails(&[409]),
        Route::post("/api/v1/break-glass/{id}/review", Needs::Approver, Of::Realm, review)
            .says("approvals", "Review what somebody else did", "Once it is over, and once.")
            .matches()
            .takes::<GlassReview>()
            .answers::<BrokenGlass>()
            .fails(&[409]),
        Route::get("/api/v1/findings", Needs::Reader, findings)
            .says(
                "policies",
                "List what somebody must look at",
                "In how the installation is governed: broken glass that nobody reviewed in two working days.",
            )
            .query::<Part>()
            .answers::<Findings>(),
    ]
}

documents! {
    /// A breaking of the glass: who, why, for what, until when, its `state`, `uses`, when its review is due, and its `etag`.
    BrokenGlass;
    /// Something to look at: what sort of `finding` it is, and a sentence.
    Finding;
}

/// A page of breakings of the glass.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrokenGlasses {
    items: Vec<BrokenGlass>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<String>,
}

/// A page of what there is to look at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Findings {
    items: Vec<Finding>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<String>,
}

async fn list(State(shared): App, Asked(page): Asked<Part>) -> Answer<BrokenGlasses> {
    let all = shared.pipeline.known_glass().into_iter().map(|one| (one.0.broken.id.to_string(), Some(one)));
    let (found, next) = page.of(all.collect())?;
    let mut items = Vec::with_capacity(found.len());
    for glass in &found {
        items.push(BrokenGlass(document(&shared, glass).await?));
    }
    Ok(Json(BrokenGlasses { items, next }))
}

/// What somebody wants to do without being asked for approval.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GlassWanted {
    /// `*` stands for any text.
    actions: Vec<String>,
    /// Resources; `*` stands for any text.
    targets: Vec<String>,
    /// For how long, up to 60.
    minutes: u64,
    /// Why.
    reason: String,
}

async fn break_glass(State(shared): App, caller: Caller, Body(wanted): Body<GlassWanted>) -> Answer<BrokenGlass> {
    let reason = reason(&wanted.reason)?;
    let span = Duration::from_secs(wanted.minutes.saturating_mul(60).min(86_400));
    let wish = GlassWish { actions: wanted.actions, targets: wanted.targets, span };
    let id = shared.pipeline.break_glass(wish, reason, &caller.0).await?;
    one(&shared, &id).await
}

/// What a person says who reviews it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GlassReview {
    /// What they found.
    reason: String,
    /// Whether it was right to; it was unless it is said.
    #[serde(default = "justified")]
    justified: bool,
}

fn justified() -> bool {
    true
}

async fn end(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    _: Body<Nothing>,
) -> Answer<BrokenGlass> {
    let id: ApprovalId = parsed(&id)?;
    let work = async { Ok(shared.pipeline.end_glass(&id, &caller.0).await?) };
    matching(&shared, &thing(&id), &headers, work).await?;
    one(&shared, &id).await
}

async fn review(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    Body(said): Body<GlassReview>,
) -> Answer<BrokenGlass> {
    let (id, because): (ApprovalId, _) = (parsed(&id)?, reason(&said.reason)?);
    let work = async { Ok(shared.pipeline.review_glass(&id, said.justified, because, &caller.0).await?) };
    matching(&shared, &thing(&id), &headers, work).await?;
    one(&shared, &id).await
}

/// What a tag of broken glass is of.
fn thing(id: &ApprovalId) -> Thing {
    Thing::one("approvals", id.as_str())
}

async fn findings(State(shared): App, Asked(page): Asked<Part>) -> Answer<Findings> {
    let mut found: BTreeMap<String, GovernanceFinding> = BTreeMap::new();
    for finding in shared.pipeline.findings() {
        let GovernanceFinding::UnreviewedGlass { approval, .. } = &finding;
        found.insert(approval.to_string(), finding);
    }
    // What somebody looked at is a finding no more, and its glass was broken all the same.
    let all = shared.pipeline.glass().into_iter().map(|glass| glass.broken.id.to_string());
    let (found, next) = page.of(all.map(|id| (id.clone(), found.remove(&id))).collect())?;
    let told = |finding: &GovernanceFinding| {
        let mut document = json!(finding);
        document["text"] = json!(finding.to_string());
        Finding(document)
    };
    Ok(Json(Findings { items: found.iter().map(told).collect(), next }))
}

async fn one(shared: &Shared, id: &ApprovalId) -> Answer<BrokenGlass> {
    match shared.pipeline.known_glass().iter().find(|(glass, _)| glass.broken.id == *id) {
        Some(glass) => Ok(Json(BrokenGlass(document(shared, glass).await?))),
        None => Err(Failure::not_found("approval", id.as_str())),
    }
}

async fn document(shared: &Shared, (glass, version): &(Glass, u64)) -> Result<Value, Failure> {
    let (now, broken) = (shared.pipeline.journal().now(), &glass.broken);
    let reason = text_beside(shared.pipeline.journal().ledger(), &broken.reason).await?;
    let reviewed = glass.reviewed.as_ref();
    let state = match reviewed {
        Some(_) => "reviewed",
        None if glass.stands(now) => "stands",
        None if glass.is_overdue(now) => "overdue",
        None => "over",
    };
    Ok(json!({
        "approval": broken.id, "by": broken.by, "actions": broken.actions, "targets": broken.scope, "reason": reason,
        "broken_at": broken.broken_at, "until": broken.until, "over_at": glass.over_at(), "uses": glass.uses, "state": state,
        "ended": glass.ended.as_ref().map(|(at, by)| json!({"at": at, "by": by})),
        "reviewed": reviewed.map(|(at, said)| json!({"at": at, "by": said.by, "justified": said.justified})),
        "review_due": glass.review_due(), "etag": quoted(version),
    }))
}

impl From<GlassError> for Failure {
    fn from(error: GlassError) -> Self {
        let refused = match error {
            GlassError::Unknown { id } => {
                return Self::not_found("breaking of the glass", id.as_str()).hint("list them with `writ glass list`");
            }
            GlassError::Commit(error) => return Self::from(error),
            GlassError::Ledger(error) => return Self::from(error),
            GlassError::Refused(refused) => refused,
        };
        let told = |status, code| Self::new(status, code, refused.to_string());
        match &refused {
            GlassRefused::Span => told(StatusCode::BAD_REQUEST, "invalid").at("/minutes"),
            GlassRefused::Scope { what } => told(StatusCode::BAD_REQUEST, "invalid").at(format!("/{what}")),
            GlassRefused::Own { .. } => told(StatusCode::FORBIDDEN, "refused").hint(SOMEBODY_ELSE),
            GlassRefused::Stands { id, .. } | GlassRefused::NotOver { id, .. } => {
                told(StatusCode::CONFLICT, "refused").hint(format!("end it with `writ glass end {id}`"))
            }
            GlassRefused::Over { .. } | GlassRefused::Reviewed { .. } => {
                told(StatusCode::CONFLICT, "refused").hint("see how it stands: `writ glass list`")
            }
        }
    }
}
