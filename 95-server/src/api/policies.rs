//! What policy decided, counted, and which policies there were.

use super::part::Part;
use super::route::{Route, documents};
use super::{Answer, App, Asked, Needs};
use crate::console::named;
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use writ_pipeline::ReportWanted;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/policies/report", Needs::Reader, report)
            .says(
                "policies",
                "Count what policy decided",
                "Over a page of decisions, newest first: how often each rule `passed`, `warned`, `asked` people, `denied`, or was \
                 `waived`, and the same of each subject. A rule passed where it looked and found nothing; where it was in force \
                 and about something else, it was `not_concerned`.",
            )
            .query::<Wanted>()
            .answers::<PolicyReport>()
            .fails(&[404]),
        Route::get("/api/v1/policies/bundles", Needs::Reader, bundles)
            .says("policies", "List the policies that were in force", "Newest first, each from when to when.")
            .query::<Part>()
            .answers::<Bundles>(),
    ]
}

documents! {
    /// What policy decided: `decisions` that were counted, `from` when `to` when, `rules` and `subjects` with their counts, and `next`.
    PolicyReport;
    /// Policies that were in force: `digest`, `from`, `until` (none while they are), `by` and the names of their `files`.
    PastBundle;
}

/// Which decisions are counted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wanted {
    /// About this intent alone.
    intent: Option<String>,
    /// By this rule alone.
    rule: Option<String>,
    /// The `next` of the page before.
    after: Option<u64>,
    /// Decisions at the most; 1,000 unless it is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

async fn report(State(shared): App, Asked(wanted): Asked<Wanted>) -> Answer<PolicyReport> {
    let pipeline = &shared.pipeline;
    let limit = super::limit(wanted.limit.unwrap_or(super::PAGE_MAX))?;
    let Wanted { intent, rule, after: from, .. } = wanted;
    let told =
        pipeline.policy_report(&ReportWanted { intent: intent.clone(), rule: rule.clone(), from, limit }).await?;
    let is_empty = |list: &str| told.get(list).and_then(Value::as_array).is_none_or(Vec::is_empty);
    if let Some(intent) = intent.filter(|_| is_empty("subjects"))
        && pipeline.journal().doc("intents", &intent).await?.is_none()
    {
        return Err(Failure::not_found("intent", &intent).parameter("intent"));
    }
    if let Some(rule) = rule.filter(|_| is_empty("rules")) {
        let bundle = pipeline.gate().state().bundle.clone();
        let known = bundle.rules().any(|(known, ..)| known == rule);
        if !known {
            let near = writ_text::nearest(&rule, bundle.rules().map(|(known, ..)| known));
            let hint = near.map_or("list the rules with `writ policy list`".to_owned(), |near| {
                format!("did you mean `{near}`? list the rules with `writ policy list`")
            });
            return Err(Failure::not_found("rule", &rule).hint(hint).parameter("rule"));
        }
    }
    Ok(Json(PolicyReport(told)))
}

/// A page of policies that were in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Bundles {
    items: Vec<PastBundle>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<String>,
}

async fn bundles(State(shared): App, Asked(page): Asked<Part>) -> Answer<Bundles> {
    // The same policies may come to be in force again: a page begins behind the entry that put some in force.
    let all = shared.pipeline.policy_periods().await?.into_iter().rev();
    let (found, next) = page.of(all.map(|period| (period.seq.to_string(), Some(period))).collect())?;
    let mut items = Vec::with_capacity(found.len());
    for period in found {
        let by = named(shared.pipeline.journal(), &period.by).await?;
        items.push(PastBundle(json!({
            "digest": period.digest, "from": period.from, "until": period.until, "by": by,
            "files": period.files.keys().collect::<Vec<_>>(),
        })));
    }
    Ok(Json(Bundles { items, next }))
}
