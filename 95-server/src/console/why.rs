//! Why anything is as it is: what led to it, and what came of it.

use super::frame::{Frame, Page, shown};
use super::given::{Path, Query};
use super::session::Visitor;
use super::words::{Html, list as items, segment, text, when};
use crate::api::App;
use crate::error::Failure;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use writ_pipeline::{Line, why};

/// One line of the story.
struct Told {
    seq: u64,
    path: String,
    at: Html,
    text: String,
}

#[derive(Template)]
#[template(path = "why.html")]
struct WhyPage {
    frame: Frame,
    id: String,
    subject: String,
    because: Vec<Told>,
    then: Vec<Told>,
    cut: bool,
}

/// What somebody looks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    q: String,
}

/// Goes to whatever an id names.
pub(crate) async fn find(State(shared): App, _: Visitor, Query(wanted): Query<Wanted>) -> Page {
    let id = wanted.q.trim();
    if id.is_empty() {
        return Ok(Redirect::to("/audit").into_response());
    }
    let known = shared.pipeline.journal().doc("intents", id).await?;
    let policies = shared.pipeline.policies();
    let to = if known.is_some() {
        format!("/intents/{}", segment(id))
    } else if items(&policies, "/rules").iter().any(|rule| text(rule, "/rule") == id) {
        format!("/policy?rule={}", segment(id))
    } else {
        super::words::page_of(id)
    };
    Ok(Redirect::to(&to).into_response())
}

pub(crate) async fn page(State(shared): App, visitor: Visitor, Path(id): Path<String>) -> Page {
    let story = why(shared.pipeline.journal(), &id).await?.ok_or_else(|| Failure::not_found("entry", &id))?;
    let told = |line: Line| Told {
        seq: line.seq,
        path: format!("/audit/{}", line.event_id),
        at: when(line.at),
        text: line.text,
    };
    let frame = Frame::new(&shared, &visitor, "", &format!("Why {}", super::words::short(&id))).await?;
    shown(&WhyPage {
        frame,
        subject: story.subject,
        because: story.because.into_iter().map(told).collect(),
        then: story.then.into_iter().map(told).collect(),
        cut: story.cut,
        id,
    })
}
