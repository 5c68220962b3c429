//! Recommendations: what was learnt, what it rests on, what it would change, and what it really brought.

use super::approvals::Answer;
use super::audit::{Said, said as said_about};
use super::diff::{Side, sides};
use super::frame::{Frame, Page, PageError, shown, told};
use super::given::{Form, Path, Query};
use super::list::newest;
use super::session::Visitor;
use super::words::{Html, badge, escape, link, list as items, number, segment, text, texts, when_of};
use crate::api::{App, Needs, Of, is_outdated, looked_over, reason};
use crate::benefit::{Expected, Measured, expected, measured};
use crate::error::Failure;
use crate::status;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use writ_core::{Actor, Filter, LedgerError, Timestamp, TraceId};
use writ_pipeline::{Journal, decode, recommendation_made, say};

/// Pieces of evidence that are linked; their number is told anyway.
const EVIDENCE_SHOWN: usize = 12;

struct Row {
    id: Html,
    kind: String,
    description: String,
    intent: Html,
    priority: Html,
    state: Html,
    made: Html,
}

impl Row {
    fn of(id: &str, made: &Value, doc: &Value, now: Timestamp) -> Self {
        Self {
            id: link(id),
            kind: text(made, "/recommendation/kind").replace('_', " "),
            description: text(made, "/recommendation/description").to_owned(),
            intent: intent(text(made, "/recommendation/intent")),
            priority: Html(super::words::escape(text(made, "/recommendation/priority"))),
            state: badge(status::recommendation(doc, now)),
            made: when_of(doc, "/since"),
        }
    }
}

/// The intent that a recommendation is about, as a link.
fn intent(of: &str) -> Html {
    if of.is_empty() {
        return Html("–".to_owned());
    }
    Html(format!("<a href=\"/intents/{}\">{}</a>", segment(of), escape(of)))
}

/// Filters, as the address has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    before: Option<String>,
    done: String,
}

#[derive(Template)]
#[template(path = "recommendations.html")]
struct RecommendationsPage {
    frame: Frame,
    rows: Vec<Row>,
    older: Html,
    told: String,
}

pub(crate) async fn list(State(shared): App, visitor: Visitor, Query(wanted): Query<Wanted>) -> Page {
    let journal = shared.pipeline.journal();
    let frame = Frame::new(&shared, &visitor, "/recommendations", "Recommendations").await?.live("recommendation/");
    let page = newest(journal, "recommendations", wanted.before.as_deref()).await?;
    let mut rows = Vec::new();
    for (id, doc) in &page.rows {
        rows.push(Row::of(id, &recommendation_made(journal, id).await?, doc, journal.now()));
    }
    let told = wanted.done.parse::<usize>().map_or_else(|_| String::new(), |found| format!("{found} recommended"));
    shown(&RecommendationsPage { frame, rows, older: page.older("/recommendations", ""), told })
}

/// A period to look back over.
#[derive(Debug, Deserialize)]
pub(crate) struct Period {
    hours: u64,
}

/// Looks back over a period and recommends.
pub(crate) async fn collect(State(shared): App, visitor: Visitor, Form(period): Form<Period>) -> Page {
    visitor.must("viewer")?;
    let span = looked_over(period.hours, "hours", 3_600)?;
    let document = shared.pipeline.reflect(span, None, &visitor.principal).await;
    let document = document.map_err(|error| PageError::from(Failure::of_reflect(error, &shared.pipeline)))?;
    let found: usize = items(&document, "/intents").iter().map(|one| items(one, "/recommendations").len()).sum();
    Ok(Redirect::to(&format!("/recommendations?done={found}")).into_response())
}

#[derive(Template)]
#[template(path = "recommendation.html")]
struct RecommendationPage {
    frame: Frame,
    id: String,
    row: Row,
    caveat: String,
    benefits: Vec<Expected>,
    evidence: Vec<Html>,
    evidence_count: usize,
    /// Pieces that are not linked.
    evidence_more: usize,
    from: Html,
    to: Html,
    came: Came,
    changes: Vec<(String, String)>,
    compared: Vec<Side>,
    said: Vec<Said>,
    measured: Vec<Measured>,
    shown: String,
    expires: Html,
    open: bool,
    /// Whether it was made for another version than the one in force.
    outdated: bool,
    barred: String,
    told: String,
}

pub(crate) async fn one(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Page {
    let journal = shared.pipeline.journal();
    let doc = journal.doc("recommendations", &id).await?.ok_or_else(|| Failure::not_found("recommendation", &id))?;
    let made = recommendation_made(journal, &id).await?;
    let inner = made.get("recommendation").cloned().unwrap_or_default();
    let change = |op: &Value| (text(op, "/path").to_owned(), op.get("value").map(Value::to_string).unwrap_or_default());
    let evidence = items(&inner, "/evidence");
    let compared = match shared.pipeline.recommended_texts(&id).await {
        Ok(Some((old, new))) => sides(&old, &new),
        Ok(None) => Vec::new(),
        Err(error) => return Err(Failure::of_reflect(error, &shared.pipeline).into()),
    };
    let open = status::is_open(status::recommendation(&doc, journal.now()));
    let outdated = open && is_outdated(&shared, &inner).await?;
    let of = shared.pipeline.scope_of_recommendation(&id).await?.unwrap_or_default();
    let frame = Frame::new(&shared, &visitor, "/recommendations", &id).await?.live(&format!("recommendation/{id}"));
    shown(&RecommendationPage {
        frame,
        row: Row::of(&id, &made, &doc, journal.now()),
        caveat: text(&inner, "/caveat").to_owned(),
        benefits: expected(&inner),
        evidence: texts(&inner, "/evidence").take(EVIDENCE_SHOWN).map(link).collect(),
        evidence_count: evidence.len(),
        evidence_more: evidence.len().saturating_sub(EVIDENCE_SHOWN),
        from: when_of(&inner, "/from"),
        to: when_of(&inner, "/to"),
        came: came_of(journal, &id).await?,
        changes: items(&inner, "/patch/ops").iter().map(change).collect(),
        compared,
        said: said_about(journal, &id).await?,
        measured: measured(&doc),
        shown: text(&doc, "/digest").to_owned(),
        expires: when_of(&doc, "/expires_at"),
        open: open && !outdated,
        outdated,
        barred: visitor.barred(&["approver"], &of),
        told: told(&wanted.done, &["approved", "rejected"]),
        id,
    })
}

/// What came of a recommendation that was approved.
#[derive(Default)]
struct Came {
    /// The version that was submitted for it; 0 while none was.
    version: u64,
    /// The change that carries it out; empty where there was nothing to do.
    change: Html,
    /// Until when it is watched whether it brings what it should.
    until: Html,
}

/// What was submitted for a recommendation is recorded together with its approval, in one trace.
async fn came_of(journal: &Journal, id: &str) -> Result<Came, LedgerError> {
    let entries = journal.stream(&format!("recommendation/{id}")).await?;
    let last = |kind: &str| entries.iter().rev().find(|entry| entry.kind == kind);
    let Some(applied) = last(APPLIED) else { return Ok(Came::default()) };
    let beside = async |kind: &str| {
        let (trace, kind) = (Some(applied.trace_id.clone()), Some(kind.to_owned()));
        let filter = Filter { trace, kind, newest_first: true, ..Filter::default() };
        journal.ledger().query(&filter, 1).await?.first().map(decode).transpose()
    };
    let submitted = beside("intent.submitted/1").await?;
    let begun = beside("run.submitted/1").await?;
    let run = begun.as_ref().and_then(|entry| entry.stream.strip_prefix("run/"));
    Ok(Came {
        version: submitted.map(|entry| number(&entry.body, "/version")).unwrap_or_default(),
        change: run.map(link).unwrap_or_default(),
        until: last("recommend.watched/1").map(|entry| when_of(&entry.body, "/until")).unwrap_or_default(),
    })
}

/// That a recommendation is carried out.
const APPLIED: &str = "recommend.applied/1";

/// The recommendation that a change comes from, by the trace that both were recorded in; empty where it comes from none.
pub(crate) async fn recommended_in(journal: &Journal, trace: &TraceId) -> Result<Html, LedgerError> {
    let (trace, kind) = (Some(trace.clone()), Some(APPLIED.to_owned()));
    let filter = Filter { trace, kind, newest_first: true, ..Filter::default() };
    let applied = journal.ledger().query(&filter, 1).await?.first().map(decode).transpose()?;
    Ok(applied.map(|entry| link(&entry.resource)).unwrap_or_default())
}

pub(crate) async fn answer(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(said): Form<Answer>,
) -> Page {
    visitor.must_of(&shared, Needs::Approver, Of::Recommendation, &id).await?;
    let because = reason(&said.reason)?;
    let done = match said.answer.as_str() {
        "approve" => shared.pipeline.approve_recommendation(&id, &visitor.principal).await,
        "reject" => shared.pipeline.reject_recommendation(&id, &visitor.principal).await,
        other => return Err(Failure::not_found("answer", other).into()),
    };
    let done = done.map_err(|error| PageError::from(Failure::of_reflect(error, &shared.pipeline)))?;
    let by = Actor::human(&visitor.principal.id);
    say(shared.pipeline.journal(), &id, &by, because).await.map_err(Failure::from)?;
    let word = if said.answer == "approve" { "approved" } else { "rejected" };
    let to = match done.get("run").and_then(Value::as_str) {
        Some(run) => format!("/runs/{}", segment(run)),
        None => format!("/recommendations/{}?done={word}", segment(&id)),
    };
    Ok(Redirect::to(&to).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_that_would_be_changed_is_a_link() {
        assert_eq!(intent("WEB-\"1").0, "<a href=\"/intents/WEB-%221\">WEB-&quot;1</a>");
        assert_eq!(intent("").0, "–");
    }
}
