//! Recommendations: what was learnt, what it rests on, what it would change, and what it really brought.

use super::approvals::Answer;
use super::audit::{Said, said as said_about};
use super::diff::{Side, sides};
use super::frame::{Frame, Page, PageError, shown, told};
use super::given::{Form, Path, Query};
use super::list::newest;
use super::session::Visitor;
use super::words::{Html, badge, escape, link, list as items, segment, span, text, texts, when_of};
use crate::api::{App, Needs, Of, looked_over, reason};
use crate::error::Failure;
use crate::status;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use writ_core::{Actor, Timestamp};
use writ_pipeline::input::percent_about;
use writ_pipeline::{Benefit as Expected, recommendation_made, say};

/// Pieces of evidence that are linked; their number is told anyway.
const EVIDENCE_SHOWN: usize = 12;

struct Row {
    id: Html,
    kind: String,
    description: String,
    target: Html,
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
            target: target(text(made, "/recommendation/patch/target")),
            priority: Html(super::words::escape(text(made, "/recommendation/priority"))),
            state: badge(status::recommendation(doc)),
            made: when_of(doc, "/since"),
        }
    }
}

/// What is measured, and in which unit: `latency_p95_us` is `latency_p95` in `us`.
fn unit_of(metric: &str) -> (&str, &str) {
    match metric.rsplit_once('_') {
        Some((name, unit @ ("ppm" | "us"))) => (name, unit),
        _ => (metric, ""),
    }
}

/// By how much something was moved, in words.
fn shift(by: i64, unit: &str) -> String {
    let sign = if by < 0 { "-" } else { "+" };
    let size = by.unsigned_abs();
    match unit {
        "ppm" => format!("{sign}{}", percent_about(size.saturating_mul(1_000))),
        "us" => format!("{sign}{}", span(Timestamp::from_micros(0), Timestamp::from_micros(size.cast_signed()))),
        _ => by.to_string(),
    }
}

/// What a recommendation would change, as a link.
fn target(of: &str) -> Html {
    match of.strip_prefix("intent/") {
        Some(intent) => {
            let to = escape(&format!("/intents/{}", segment(intent)));
            Html(format!("<a href=\"{to}\">{}</a>", escape(intent)))
        }
        None if of.is_empty() => Html("–".to_owned()),
        None => Html(escape(of)),
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
    expected: String,
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
        let told = Expected::deserialize(one).ok()?;
        let ends = told.tell_interval();
        let ends: Vec<&str> = texts(&ends, "").collect();
        Some(Benefit {
            name: told.name.replace('_', " "),
            expected: told.tell(),
            interval: format!("{} ({} %)", ends.join(" to "), told.level_percent),
        })
    };
    let measured = |one: &Value| {
        let (metric, unit) = unit_of(text(one, "/metric"));
        let told = |name: &str, one: &Value| shift(whole(name, one), unit);
        Measured {
            metric: metric.replace('_', " "),
            expected: told("expected", one),
            realised: one.get("realised").filter(|seen| !seen.is_null()).map_or_else(
                || "too little was seen".to_owned(),
                |seen| format!("{} ({} to {})", told("estimate", seen), told("low", seen), told("high", seen)),
            ),
        }
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
        benefits: items(&inner, "/benefits").iter().filter_map(benefit).collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_told_in_its_unit() {
        for (metric, by, told) in [
            ("availability_ppm", 120, "availability +0.012%"),
            ("availability_ppm", -1, "availability -0.0001%"),
            ("latency_p95_us", -1_500, "latency_p95 -1 ms"),
            ("restarts", 3, "restarts 3"),
        ] {
            let (name, unit) = unit_of(metric);
            assert_eq!(format!("{name} {}", shift(by, unit)), told);
        }
    }

    #[test]
    fn an_intent_that_would_be_changed_is_a_link() {
        assert_eq!(target("intent/WEB-\"1").0, "<a href=\"/intents/WEB-%221\">WEB-&quot;1</a>");
        assert_eq!((target("").0, target("x<y").0), ("–".to_owned(), "x&lt;y".to_owned()));
    }
}
