//! Intents: what must hold, in which version, what policy says of it line by line, and what it would come to.

use super::audit::attached;
use super::diff::{Side, sides};
use super::draw::{Node, dag};
use super::frame::{Frame, Page, PageError, shown};
use super::given::{Path, Query};
use super::list::by_name;
use super::look::{Judged, Line, look, predictions};
use super::session::Visitor;
use super::words::{Html, badge, link, list as items, number, segment, text, texts, when, when_of};
use crate::api::{App, Shared, parsed};
use crate::error::Failure;
use crate::status;
use crate::versions::{Fates, because, current, manifest, stands};
use askama::Template;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use writ_core::{IntentId, LedgerError};
use writ_pipeline::Journal;
use writ_pipeline::input::{money_about, percent_about};

/// An intent in a list.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) path: String,
    /// The version in force; where none is, the one that was last, or else the newest.
    pub(crate) version: u64,
    /// The version in force; 0 where none is.
    pub(crate) in_force: u64,
    /// A newer version that is not in force; 0 where there is none.
    pub(crate) newer: u64,
    pub(crate) state: Html,
    pub(crate) because: String,
    pub(crate) layout: String,
    pub(crate) cost: String,
    pub(crate) availability: String,
    pub(crate) component: String,
    pub(crate) environment: String,
    pub(crate) changed: Html,
}

impl Row {
    /// The row of an intent, with the figures of the version that is in force.
    pub(crate) fn of(shared: &Shared, id: &str, doc: &Value) -> Self {
        Self::told(shared, id, &status::in_force(doc.clone()))
    }

    fn told(shared: &Shared, id: &str, doc: &Value) -> Self {
        let (newest, applied) = (number(doc, "/version"), number(doc, "/applied_version"));
        // Of one that was taken away, what was in force last is shown.
        let last = number(doc, status::SHOWN).max(applied);
        let planned = number(doc, "/count") > 0;
        let or_dash = |told: String| if planned { told } else { "–".to_owned() };
        Self {
            id: id.to_owned(),
            path: format!("/intents/{}", segment(id)),
            version: if last > 0 { last } else { newest },
            in_force: applied,
            newer: if applied > 0 && newest > applied { newest } else { 0 },
            state: badge(&status::intent(shared, id, doc)),
            because: text(doc, "/because").to_owned(),
            layout: or_dash(format!("{} × {}", number(doc, "/count"), text(doc, "/instance_type"))),
            cost: or_dash(money_about(number(doc, "/cost_micros"), &shared.pipeline.platform().currency)),
            availability: or_dash(percent_about(number(doc, "/availability_ppb"))),
            component: text(doc, "/component").to_owned(),
            environment: text(doc, "/environment").to_owned(),
            changed: when_of(doc, "/last/at"),
        }
    }
}

/// What the address may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    after: Option<String>,
    /// Two versions to hold against each other.
    old: Option<u64>,
    new: Option<u64>,
    /// An intent whose text a form begins with.
    pub(crate) of: String,
}

#[derive(Template)]
#[template(path = "intents.html")]
struct IntentsPage {
    frame: Frame,
    rows: Vec<Row>,
    more: Html,
    may: bool,
    /// Whether nobody is known who could carry anything out.
    agentless: bool,
}

pub(crate) async fn list(State(shared): App, visitor: Visitor, Query(wanted): Query<Wanted>) -> Page {
    let frame = Frame::new(&shared, &visitor, "/intents", "Intents").await?.live("intent/");
    let page = by_name(shared.pipeline.journal(), "intents", wanted.after.as_deref()).await?;
    let mut rows = Vec::new();
    for (id, doc) in &page.rows {
        rows.push(Row::of(&shared, id, doc));
    }
    let agentless = shared.pipeline.gate().state().roster.agents().next().is_none();
    let (more, may) = (page.more("/intents"), visitor.holds_somewhere("operator"));
    shown(&IntentsPage { frame, rows, more, may, agentless })
}

/// A version in the list of an intent's versions.
struct Version {
    number: u64,
    by: Html,
    at: Html,
    state: Html,
    because: String,
    /// Where all is told that was done with it when it was submitted.
    why: String,
    in_force: bool,
}

#[derive(Template)]
#[template(path = "intent.html")]
struct IntentPage {
    frame: Frame,
    row: Row,
    lines: Vec<Line>,
    versions: Vec<Version>,
    compared: Option<(u64, u64, Vec<Side>)>,
    graph: Option<Html>,
    nodes: Vec<Node>,
    told: Vec<(&'static str, String)>,
    assumptions: Vec<String>,
    results: Vec<Judged>,
    runs: Vec<Html>,
    barred: String,
    /// Whether it was taken away, or just is.
    gone: bool,
}

pub(crate) async fn one(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Page {
    let intent: IntentId = parsed(&id)?;
    let journal = shared.pipeline.journal();
    let doc = journal.doc("intents", &id).await?.ok_or_else(|| Failure::not_found("intent", &id))?;
    let entries = journal.stream(&format!("intent/{id}")).await?;
    let fates = Fates::of(&entries);
    let mut versions = Vec::new();
    for entry in entries.iter().filter(|entry| entry.kind == "intent.submitted/1").rev() {
        let number = number(&entry.body, "/version");
        let stand = stands(&shared, &id, &doc, &fates, number);
        versions.push(Version {
            number,
            by: super::audit::actor(journal, &entry.actor).await?,
            at: when(entry.timestamp),
            because: because(journal, &entries, entry, &stand).await?,
            why: format!("/why/{}", entry.trace_id),
            state: badge(&stand.state),
            in_force: number == fates.in_force,
        });
    }
    let doc = status::in_force(doc);
    let compared = match (wanted.old, wanted.new) {
        (Some(old), Some(new)) => {
            let text = async |version: u64| {
                let missing = || Failure::no_version(&id, version);
                Ok::<_, PageError>(manifest(journal, &entries, version).await?.ok_or_else(missing)?)
            };
            Some((old, new, sides(&text(old).await?, &text(new).await?)))
        }
        _ => None,
    };
    let text_shown = current(journal, &entries, fates.last).await?;
    let looked = look(&shared, &format!("{id}.yaml"), &text_shown, &visitor, None).await;
    let (nodes, told) = planned(journal, &doc).await?;
    let assumptions = texts(&looked.document, "/plan/assumptions").map(str::to_owned);
    let under_way = shared.pipeline.drive().run_of(&intent);
    let busy = under_way.is_some();
    let runs = match under_way {
        Some(run) => vec![link(run.as_str())],
        None => {
            let last = journal.doc("last_runs", &id).await?.unwrap_or_default();
            vec![link(text(&last, "/run"))].into_iter().filter(|link| link.0 != "–").collect()
        }
    };
    let of = shared.pipeline.scope_of_intent(&intent).await?.unwrap_or_default();
    let frame = Frame::new(&shared, &visitor, "/intents", &id).await?.live(&format!("intent/{id}"));
    shown(&IntentPage {
        frame,
        row: Row::told(&shared, &id, &doc),
        // While something is being done with it, it cannot be taken away.
        gone: matches!(text(&doc, "/to"), "archived" | "decommissioning") || busy,
        assumptions: assumptions.collect(),
        lines: looked.lines,
        results: looked.results,
        versions,
        compared,
        graph: dag(&nodes),
        nodes,
        told,
        runs,
        barred: visitor.barred(&["operator"], &of),
    })
}

/// The plan of the version that is or was in force, or of the newest while none was: its steps, and what it is predicted to do.
async fn planned(journal: &Journal, doc: &Value) -> Result<(Vec<Node>, Vec<(&'static str, String)>), LedgerError> {
    let plan = attached(journal, text(doc, "/attachments/plan")).await?;
    let shown = attached(journal, text(doc, "/attachments/document")).await?;
    Ok((plan_nodes(&plan), predictions(&shown)))
}

/// The steps of a plan, as a document has them.
fn plan_nodes(plan: &Value) -> Vec<Node> {
    let steps = items(plan, "/steps").iter().enumerate();
    steps
        .map(|(at, step)| Node {
            key: text(step, "/key").to_owned(),
            anchor: format!("step-{}", at + 1),
            title: text(step, "/action_name").replace('_', " "),
            about: text(step, "/resource").to_owned(),
            state: "planned".to_owned(),
            needs: texts(step, "/needs").map(str::to_owned).collect(),
        })
        .collect()
}
