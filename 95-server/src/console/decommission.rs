//! Taking an intent away: what would go, whether policy lets it, and the form that asks for it.

use super::frame::{Frame, Page, PageError, shown};
use super::given::{Form, Path};
use super::look::{Judged, results_of};
use super::session::Visitor;
use super::words::{Html, badge, segment, text};
use crate::api::{App, Needs, Of, looked_at, parsed, reason};
use crate::error::Failure;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use std::collections::BTreeMap;
use writ_core::{Decision, IntentId};

#[derive(Template)]
#[template(path = "intent_decommission.html")]
struct DecommissionPage {
    frame: Frame,
    id: String,
    state: Html,
    steps: Vec<(String, String)>,
    /// Whose agreement is needed; none where nobody's is.
    asks: String,
    denied: bool,
    results: Vec<Judged>,
    digest: String,
    barred: String,
}

pub(crate) async fn page(State(shared): App, visitor: Visitor, Path(id): Path<String>) -> Page {
    let intent: IntentId = parsed(&id)?;
    let removal = shared.pipeline.prepare_decommission(&intent, &visitor.principal).await;
    let removal = removal.map_err(|error| PageError::from(Failure::from(error)))?;
    let of = shared.pipeline.scope_of_intent(&intent).await?.unwrap_or_default();
    let document = removal.document();
    let frame = Frame::new(&shared, &visitor, "/intents", &format!("Take {id} away")).await?;
    let steps = removal.diff.iter().flat_map(|diff| &diff.plan.steps);
    let asks = match &removal.decision {
        Decision::RequireApproval { count: 1, role } => format!("somebody with the role {role} agrees"),
        Decision::RequireApproval { count, role } => format!("{count} people with the role {role} agree"),
        Decision::Allow | Decision::Deny => String::new(),
    };
    shown(&DecommissionPage {
        frame,
        state: badge(text(&document, "/state")),
        steps: steps.map(|step| (super::steps::deed_of(step), step.resource.clone())).collect(),
        asks,
        denied: removal.decision == Decision::Deny,
        results: results_of(&document, &mut BTreeMap::new()),
        digest: removal.digest().map(|digest| digest.to_string()).unwrap_or_default(),
        barred: visitor.barred(&["operator"], &of),
        id,
    })
}

/// The form's answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Farewell {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    planned: String,
}

pub(crate) async fn ask(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(farewell): Form<Farewell>,
) -> Page {
    let intent: IntentId = parsed(&id)?;
    visitor.must_of(&shared, Needs::Operator, Of::Intent, &id).await?;
    let because = reason(&farewell.reason)?;
    let planned = looked_at(&farewell.planned)?;
    let leaving = shared.pipeline.decommission(&intent, &visitor.principal, planned, because).await;
    let leaving = leaving.map_err(|error| PageError::from(Failure::from(error)))?;
    let to = match leaving.run {
        Some(run) => format!("/runs/{}", segment(run.as_str())),
        None => format!("/intents/{}", segment(&id)),
    };
    Ok(Redirect::to(&to).into_response())
}
