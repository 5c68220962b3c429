//! Standing approvals: what people agree to beforehand.

use super::changes::{ChangeTold, propose};
use super::filter::begins;
use super::matches::{Thing, matching};
use super::part::Part;
use super::resources::Nothing;
use super::route::{Route, documents};
use super::{Answer, App, Asked, Body, Caller, Needs, Of, Path, parsed, reason};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use utoipa::ToSchema;
use writ_core::{ApprovalId, Timestamp};
use writ_pipeline::{GovernanceWish, StandingBudget};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/standing", Needs::Reader, list)
            .says("approvals", "List standing approvals", "Those that were granted and not taken back.")
            .query::<Part>()
            .answers::<StandingApprovals>(),
        Route::post("/api/v1/standing", Needs::Operator, Of::Realm, ask)
            .says("approvals", "Propose a standing approval", "On a server it stands once somebody else agrees.")
            .takes::<StandingWanted>()
            .answers::<ChangeTold>()
            .fails(&[409]),
        Route::post("/api/v1/standing/{id}/revoke", Needs::Operator, Of::Realm, revoke)
            .says(
                "approvals",
                "Take a standing approval back",
                "Whoever may ask for one may end one: people are asked again.",
            )
            .matches()
            .takes::<Nothing>()
            .answers::<StandingTold>()
            .fails(&[409]),
    ]
}

documents! {
    /// A standing approval: for what, how often, by whom, until when, whether it `holds` now, and its `etag`.
    StandingApproval;
}

/// A page of standing approvals.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StandingApprovals {
    items: Vec<StandingApproval>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<String>,
}

async fn list(State(shared): App, Asked(page): Asked<Part>) -> Answer<StandingApprovals> {
    let (journal, limit, after) = (shared.pipeline.journal(), super::limit(page.limit)?, page.after.as_deref());
    begins(&shared, "standing", after).await?;
    let (mut docs, _) = journal.docs("standing", "", after, limit + 1).await?;
    let more = docs.len() > limit;
    docs.truncate(limit);
    let next = docs.last().filter(|_| more).map(|(key, _)| key.clone());
    let (now, mut items) = (journal.now(), Vec::with_capacity(docs.len()));
    for (key, mut doc) in docs {
        let until = doc.get("expires_at").and_then(|at| at.as_str()?.parse::<Timestamp>().ok());
        // What it says never changes; when it was taken back meanwhile, no tag lets it be taken back again.
        doc["etag"] = json!(Thing::one("standing", &key).tag(&shared).await?);
        doc["id"] = json!(key);
        doc["holds"] = json!(until.is_some_and(|until| now < until));
        items.push(StandingApproval(doc));
    }
    Ok(Json(StandingApprovals { items, next }))
}

/// How often something may be done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetWanted {
    /// The most in any period.
    count: u32,
    /// The period, in seconds.
    period_seconds: u64,
}

/// What is to be agreed to beforehand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StandingWanted {
    /// `*` stands for any text.
    actions: Vec<String>,
    /// Resources; `*` stands for any text.
    targets: Vec<String>,
    /// How often.
    budget: BudgetWanted,
    /// For how long; at most 90 days.
    seconds: u64,
    /// Why.
    #[serde(default)]
    #[schema(required = true)]
    reason: String,
}

async fn ask(State(shared): App, caller: Caller, Body(wanted): Body<StandingWanted>) -> Answer<ChangeTold> {
    let StandingWanted { actions, targets, budget, seconds, reason: because } = wanted;
    let because = reason(&because)?;
    let budget = StandingBudget { count: budget.count, period_seconds: budget.period_seconds };
    // Beyond a century is too long whatever it is.
    let span = Duration::from_secs(seconds.min(100 * 366 * 86_400));
    propose(&shared, GovernanceWish::Standing { actions, targets, budget, span }, because, &caller)
        .await
        .map(ChangeTold)
        .map(Json)
}

/// A standing approval that was taken back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StandingTold {
    #[schema(value_type = String)]
    approval: ApprovalId,
    /// `revoked`.
    state: &'static str,
}

async fn revoke(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    _: Body<Nothing>,
) -> Answer<StandingTold> {
    let approval: ApprovalId = parsed(&id)?;
    let work = async { Ok(shared.pipeline.revoke_standing(&approval, &caller.0.id).await?) };
    matching(&shared, &Thing::one("standing", &id), &headers, work).await?;
    Ok(Json(StandingTold { approval, state: "revoked" }))
}
