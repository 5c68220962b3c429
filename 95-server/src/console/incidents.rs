//! Incidents: what was seen, what is suspected, what was tried, and whether it helped.

use super::audit::{EntryRow, Said as Words, rows, said as said_about};
use super::frame::{Frame, Page, shown, told};
use super::given::{Form, Path, Query};
use super::list::{PAGE, docs_of, filed, newest, open};
use super::modes::{Shadow, shadows_of};
use super::session::Visitor;
use super::words::{Html, badge, link, segment, span, text, time_of, when_of};
use crate::api::{App, Needs, Of, Shared, parsed};
use crate::error::Failure;
use crate::status;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use writ_core::{Actor, IncidentId, LedgerError};
use writ_pipeline::{HealSignal, incident_story};

/// An incident in a list.
pub(crate) struct Row {
    pub(crate) id: Html,
    pub(crate) component: String,
    pub(crate) seen: String,
    pub(crate) severity: String,
    pub(crate) state: Html,
    pub(crate) began: Html,
    pub(crate) took: String,
    pub(crate) run: Html,
}

impl Row {
    fn of(id: &str, doc: &Value) -> Self {
        let state = status::incident(doc);
        let over = matches!(state, "resolved" | "closed");
        let took = match (time_of(doc, "/onset_at"), time_of(doc, "/last/at")) {
            (Some(from), Some(to)) if over => span(from, to),
            _ => "–".to_owned(),
        };
        Self {
            id: link(id),
            component: text(doc, "/component").to_owned(),
            seen: text(doc, "/seen").to_owned(),
            severity: text(doc, "/severity").to_owned(),
            state: badge(state),
            began: when_of(doc, "/onset_at"),
            took,
            run: link(text(doc, "/run")),
        }
    }
}

/// Filters, as the address has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    before: Option<String>,
    show: String,
    done: String,
}

#[derive(Template)]
#[template(path = "incidents.html")]
struct IncidentsPage {
    frame: Frame,
    rows: Vec<Row>,
    open: bool,
    older: Html,
}

pub(crate) async fn list(State(shared): App, visitor: Visitor, Query(wanted): Query<Wanted>) -> Page {
    let journal = shared.pipeline.journal();
    let frame = Frame::new(&shared, &visitor, "/incidents", "Incidents").await?.live("incident/");
    if wanted.show == "open" {
        let rows = live(&shared, PAGE).await?;
        return shown(&IncidentsPage { frame, rows, open: true, older: Html::default() });
    }
    let page = newest(journal, "incidents", wanted.before.as_deref()).await?;
    let rows = page.rows.iter().map(|(id, doc)| Row::of(id, doc)).collect();
    shown(&IncidentsPage { frame, rows, open: false, older: page.older("/incidents", "") })
}

/// The newest incidents of a component.
pub(crate) async fn about(shared: &Shared, component: &str, limit: usize) -> Result<Vec<Row>, LedgerError> {
    let journal = shared.pipeline.journal();
    let ids = filed(journal, &format!("incident/{component}/"), None).await?.rows;
    let docs = docs_of(journal, "incidents", ids.iter().take(limit).map(String::as_str)).await?;
    Ok(docs.iter().map(|(id, doc)| Row::of(id, doc)).collect())
}

/// Incidents that are not over, newest first.
async fn live(shared: &Shared, limit: usize) -> Result<Vec<Row>, LedgerError> {
    let docs = open(shared.pipeline.journal(), "incidents", limit).await?;
    Ok(docs.iter().map(|(id, doc)| Row::of(id, doc)).collect())
}

#[derive(Template)]
#[template(path = "incident.html")]
struct IncidentPage {
    frame: Frame,
    id: String,
    row: Row,
    facts: Vec<(&'static str, String)>,
    said: Vec<Words>,
    story: Vec<EntryRow>,
    shadows: Vec<Shadow>,
    may_judge: bool,
    over: bool,
    barred: String,
    told: String,
}

pub(crate) async fn one(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Page {
    let incident: IncidentId = parsed(&id)?;
    let journal = shared.pipeline.journal();
    let doc = journal.doc("incidents", &id).await?.ok_or_else(|| Failure::not_found("incident", &id))?;
    let entries = incident_story(journal, &incident).await?;
    let counted = |pointer: &str| {
        let of = |name: &str| super::words::number(&doc, &format!("{pointer}/{name}"));
        doc.pointer(pointer).map(|_| format!("{} of {} healthy", of("healthy"), of("total"))).unwrap_or_default()
    };
    let plain = |pointer: &str| text(&doc, pointer).replace('_', " ");
    let facts = [
        ("Condition", text(&doc, "/condition").to_owned()),
        ("Symptom", plain("/symptom")),
        ("Instance", text(&doc, "/instance").to_owned()),
        ("Cause", text(&doc, "/cause").to_owned()),
        ("Mode", plain("/mode")),
        ("Before", counted("/before")),
        ("After", counted("/after")),
        ("Outcome", plain("/outcome")),
        ("Because", text(&doc, "/because").to_owned()),
    ];
    let state = status::incident(&doc);
    let of = shared.pipeline.scope_of_incident(&id).await?.unwrap_or_default();
    let frame = Frame::new(&shared, &visitor, "/incidents", "Incident").await?.live(&format!("incident/{id}"));
    shown(&IncidentPage {
        frame,
        row: Row::of(&id, &doc),
        facts: facts.into_iter().filter(|(_, told)| !told.is_empty()).collect(),
        said: said_about(journal, &id).await?,
        story: rows(journal, &entries).await?,
        shadows: shadows_of(&shared, text(&doc, "/component"), &incident).await?,
        may_judge: visitor.barred(&["operator", "approver"], &of).is_empty(),
        over: matches!(state, "resolved" | "closed"),
        barred: visitor.barred(&["operator"], &of),
        told: told(&wanted.done, &["acknowledged", "closed", "judged"]),
        id,
    })
}

/// What somebody says of an incident.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    command: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn command(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(said): Form<Said>,
) -> Page {
    let incident: IncidentId = parsed(&id)?;
    visitor.must_of(&shared, Needs::Operator, Of::Incident, &id).await?;
    let by = visitor.principal.id.clone();
    let (signal, done) = match said.command.as_str() {
        "ack" => (HealSignal::Acknowledge { incident, by }, "acknowledged"),
        "close" => (HealSignal::Close { incident, by }, "closed"),
        other => return Err(Failure::not_found("command", other).into()),
    };
    let remark = (&Actor::human(&visitor.principal.id), said.reason.as_str());
    crate::api::tell_healing(&shared, &id, signal, remark).await?;
    Ok(Redirect::to(&format!("/incidents/{}?done={done}", segment(&id))).into_response())
}
