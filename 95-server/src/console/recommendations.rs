//! Recommendations: what was learnt, what it rests on, what it would change, and what it really brought.

use super::approvals::Answer;
use super::audit::{Said, said as said_about};
use super::diff::{Side, sides};
use super::frame::{Frame, Page, PageError, shown, told};
use super::given::{Form, Path, Query};
use super::list::newest;
use super::session::Visitor;
use super::words::{Html, badge, link, list as items, number, segment, text, texts, when_of};
use crate::api::{App, Needs, Of, looked_over, reason};
use crate::error::Failure;
use crate::status;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use writ_core::Actor;
use writ_pipeline::{recommendation_made, say};

/// Pieces of evidence that are linked; their number is told anyway.
const EVIDENCE_SHOWN: usize = 12;

struct Row {
    id: Html,
    kind: String,
    description: String,
    target: String,
    priority: Html,
    state: Html,
    made: Html,
}

impl Row {
    fn of(id: &str, made: &Value, doc: &Value) -> Self {
        Self {
            id: link(id),
            kind: text(made, "/recommendation/kind").replace('_', " "),
            description: text(made, "/recommendation/description").to_owned(),
            target: text(made, "/recommendation/patch/target").to_owned(),
            priority: Html(super::words::escape(text(made, "/recommendation/priority"))),
            state: badge(status::recommendation(doc)),
            made: when_of(doc, "/since"),
        }
    }
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
        rows.push(Row::of(id, &recommendation_made(journal, id).await?, doc));
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
    let document = shared.pipeline.reflect(span, &visitor.principal).await;
    let document = document.map_err(|error| PageError::from(Failure::of_reflect(error, &shared.pipeline)))?;
    let found = items(&document, "/recommendations").len();
    Ok(Redirect::to(&format!("/recommendations?done={found}")).into_response())
}

struct Benefit {
    name: String,
    expected: String,
    interval: String,
}

/// What was measured after a change, beside what was expected.
struct Measured {
    metric: String,
    expected: i64,
    realised: String,
}

#[derive(Template)]
#[template(path = "recommendation.html")]
struct RecommendationPage {
    frame: Frame,
    id: String,
    row: Row,
    caveat: String,
    benefits: Vec<Benefit>,
    evidence: Vec<Html>,
    evidence_count: usize,
    from: Html,
    to: Html,
    changes: Vec<(String, String)>,
    compared: Vec<Side>,
    said: Vec<Said>,
    measured: Vec<Measured>,
    shown: String,
    expires: Html,
    open: bool,
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
    let whole = |name: &str, one: &Value| one.get(name).and_then(Value::as_i64).unwrap_or_default();
    let benefit = |one: &Value| {
        let unit = text(one, "/unit").replace('_', " ");
        Benefit {
            name: text(one, "/name").replace('_', " "),
            expected: format!("{} {unit}", whole("expected", one)),
            interval: format!("{} to {} ({} %)", whole("low", one), whole("high", one), number(one, "/level_percent")),
        }
    };
    let measured = |one: &Value| Measured {
        metric: text(one, "/metric").replace('_', " "),
        expected: whole("expected", one),
        realised: one.get("realised").filter(|seen| !seen.is_null()).map_or_else(
            || "too little was seen".to_owned(),
            |seen| format!("{} ({} to {})", whole("estimate", seen), whole("low", seen), whole("high", seen)),
        ),
    };
    let change = |op: &Value| (text(op, "/path").to_owned(), op.get("value").map(Value::to_string).unwrap_or_default());
    let evidence = items(&inner, "/evidence");
    let compared = match shared.pipeline.recommended_texts(&id).await {
        Ok(Some((old, new))) => sides(&old, &new),
        Ok(None) => Vec::new(),
        Err(error) => return Err(Failure::of_reflect(error, &shared.pipeline).into()),
    };
    let state = status::recommendation(&doc);
    let of = shared.pipeline.scope_of_recommendation(&id).await?.unwrap_or_default();
    let frame = Frame::new(&shared, &visitor, "/recommendations", &id).await?.live(&format!("recommendation/{id}"));
    shown(&RecommendationPage {
        frame,
        row: Row::of(&id, &made, &doc),
        caveat: text(&inner, "/caveat").to_owned(),
        benefits: items(&inner, "/benefits").iter().map(benefit).collect(),
        evidence: texts(&inner, "/evidence").take(EVIDENCE_SHOWN).map(link).collect(),
        evidence_count: evidence.len(),
        from: when_of(&inner, "/from"),
        to: when_of(&inner, "/to"),
        changes: items(&inner, "/patch/ops").iter().map(change).collect(),
        compared,
        said: said_about(journal, &id).await?,
        measured: items(&doc, "/evidence").iter().filter(|one| one.is_object()).map(measured).collect(),
        shown: text(&doc, "/digest").to_owned(),
        expires: when_of(&doc, "/expires_at"),
        open: matches!(state, "open" | "claimed" | "draft"),
        barred: visitor.barred(&["approver"], &of),
        told: told(&wanted.done, &["approved", "rejected"]),
        id,
    })
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
        "reject" => shared.pipeline.reject_recommendation(&id, &visitor.principal, because).await,
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
