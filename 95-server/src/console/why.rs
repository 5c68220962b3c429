//! Why anything is as it is: what led to it, and what came of it.

use super::audit::actor;
use super::frame::{Frame, Page, shown};
use super::given::{Path, Query};
use super::session::Visitor;
use super::words::{Html, escape, list as items, segment, text, when};
use crate::api::App;
use crate::error::Failure;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::json;
use writ_core::{Actor, LedgerError};
use writ_pipeline::{Journal, Line, why};

/// One line of the story.
struct Told {
    seq: u64,
    path: String,
    at: Html,
    who: Html,
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

/// Nothing is called as somebody looks for it: what can be looked for.
fn unknown(id: &str) -> Failure {
    Failure::not_known(id)
        .hint("what can be looked for: whole ids, names of intents, rules and resources, numbers of processes, digests")
}

/// The lines of a story with the names of those who did it, as all pages call them.
async fn told(journal: &Journal, lines: Vec<Line>) -> Result<Vec<Told>, LedgerError> {
    let mut all = Vec::with_capacity(lines.len());
    for line in lines {
        let (who, text) = line.text.split_once(' ').unwrap_or_default();
        let who = match doer(who) {
            Some(doer) => actor(journal, &doer).await?,
            None => Html(escape(who)),
        };
        let path = format!("/audit/{}", line.event_id);
        all.push(Told { seq: line.seq, path, at: when(line.at), who, text: text.to_owned() });
    }
    Ok(all)
}

/// Who a line begins with: a sort and an id.
fn doer(who: &str) -> Option<Actor> {
    let (kind, id) = who.split_once(':')?;
    let kind = serde_json::from_value(json!(kind)).ok()?;
    Some(Actor { id: id.to_owned(), kind })
}

pub(crate) async fn page(State(shared): App, visitor: Visitor, Path(id): Path<String>) -> Page {
    let journal = shared.pipeline.journal();
    let story = why(journal, &id).await?.ok_or_else(|| unknown(&id))?;
    let frame = Frame::new(&shared, &visitor, "", &format!("Why {}", super::words::short(&id))).await?;
    shown(&WhyPage {
        frame,
        subject: story.subject,
        because: told(journal, story.because).await?,
        then: told(journal, story.then).await?,
        cut: story.cut,
        id,
    })
}
