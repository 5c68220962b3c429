//! Intents: what must hold, in which version, what policy says of it line by line, and what it would come to.

use super::diff::{Side, sides};
use super::draw::{Node, dag};
use super::frame::{Frame, Page, PageError, older, shown};
use super::session::Visitor;
use super::words::{Html, badge, link, list as items, money, number, percent_of_ppb, segment, text, when, when_of};
use crate::api::{App, Shared, parsed};
use crate::error::Failure;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use writ_core::{Digest, Entry, IntentId, LedgerError};
use writ_pipeline::{Journal, Origin, SubmitError};
use writ_seal::sha256;

/// Rows of a page.
const PAGE: usize = 50;

/// An intent in a list.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) version: u64,
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
    fn of(id: &str, doc: &Value) -> Self {
        let planned = number(doc, "/count") > 0;
        let or_dash = |told: String| if planned { told } else { "–".to_owned() };
        Self {
            id: id.to_owned(),
            path: format!("/intents/{}", segment(id)),
            version: number(doc, "/version"),
            state: badge(text(doc, "/to")),
            because: text(doc, "/because").to_owned(),
            layout: or_dash(format!("{} × {}", number(doc, "/count"), text(doc, "/instance_type"))),
            cost: or_dash(money(number(doc, "/cost_micros"))),
            availability: or_dash(percent_of_ppb(number(doc, "/availability_ppb"))),
            component: text(doc, "/component").to_owned(),
            environment: text(doc, "/environment").to_owned(),
            changed: when_of(doc, "/last/at"),
        }
    }
}

/// A page of intents by name, and the name at which the next begins.
pub(crate) async fn newest(
    journal: &Journal,
    before: Option<&str>,
    limit: usize,
) -> Result<(Vec<Row>, Option<String>), LedgerError> {
    let (docs, _) = journal.docs_back("intents", "", before, limit + 1).await?;
    let last = docs.get(limit.saturating_sub(1)).filter(|_| docs.len() > limit).map(|(key, _)| key.clone());
    Ok((docs.iter().take(limit).map(|(id, doc)| Row::of(id, doc)).collect(), last))
}

/// The version in force beside another one; empty where none is in force, or they are the same.
pub(crate) async fn against_force(journal: &Journal, id: &str, version: u64) -> Result<Vec<Side>, LedgerError> {
    let doc = journal.doc("intents", id).await?.unwrap_or_default();
    let texts = manifests(journal, &journal.stream(&format!("intent/{id}")).await?).await?;
    match (texts.get(&number(&doc, "/applied_version")), texts.get(&version)) {
        (Some(old), Some(new)) if old != new => Ok(sides(old, new)),
        _ => Ok(Vec::new()),
    }
}

/// What the address may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    before: Option<String>,
    /// Two versions to hold against each other.
    old: Option<u64>,
    new: Option<u64>,
    /// An intent whose text a form begins with.
    of: String,
}

#[derive(Template)]
#[template(path = "intents.html")]
struct IntentsPage {
    frame: Frame,
    rows: Vec<Row>,
    older: Html,
    may: bool,
}

pub(crate) async fn list(State(shared): App, visitor: Visitor, Query(wanted): Query<Wanted>) -> Page {
    let frame = Frame::new(&shared, &visitor, "/intents", "Intents").await?.live("intent/");
    let (rows, last) = newest(shared.pipeline.journal(), wanted.before.as_deref(), PAGE).await?;
    shown(&IntentsPage { frame, rows, older: older("/intents", "", last.as_deref()), may: visitor.holds("operator") })
}

/// A version in the list of an intent's versions.
struct Version {
    number: u64,
    by: Html,
    at: Html,
    state: Html,
    in_force: bool,
}

/// A line of a manifest with what is said about it.
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) marks: Vec<Mark>,
}

/// Something said about a line.
pub(crate) struct Mark {
    pub(crate) tone: &'static str,
    pub(crate) who: String,
    pub(crate) message: String,
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
    may: bool,
}

/// What a rule said.
pub(crate) struct Judged {
    pub(crate) rule: String,
    pub(crate) stage: String,
    pub(crate) status: Html,
    pub(crate) message: String,
    pub(crate) values: Vec<String>,
    pub(crate) rule_at: String,
}

/// The manifest of each version, oldest first.
async fn manifests(journal: &Journal, entries: &[Entry]) -> Result<BTreeMap<u64, String>, LedgerError> {
    let mut all = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.kind == "intent.submitted/1") {
        let digest = text(&entry.body, "/manifest").parse::<Digest>();
        let Ok(digest) = digest else { continue };
        let bytes = journal.ledger().attachment(&digest).await?.unwrap_or_default();
        all.insert(number(&entry.body, "/version"), String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(all)
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
    let texts = manifests(journal, &entries).await?;
    let mut states: BTreeMap<u64, String> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.kind == "intent.moved/1") {
        states.insert(number(&entry.body, "/version"), text(&entry.body, "/to").to_owned());
    }
    let in_force = number(&doc, "/applied_version");
    let mut versions = Vec::new();
    for entry in entries.iter().filter(|entry| entry.kind == "intent.submitted/1").rev() {
        let number = number(&entry.body, "/version");
        let state = states.get(&number).map_or("submitted", String::as_str);
        versions.push(Version {
            number,
            by: super::audit::actor(journal, &entry.actor).await?,
            at: when(entry.timestamp),
            state: badge(state),
            in_force: number == in_force,
        });
    }
    let compared = match (wanted.old, wanted.new) {
        (Some(old), Some(new)) => {
            let text = |version| texts.get(&version).map_or("", String::as_str);
            Some((old, new, sides(text(old), text(new))))
        }
        _ => None,
    };
    let newest = texts.last_key_value().map_or("", |(_, text)| text.as_str());
    let name = format!("{id}.yaml");
    let looked = look(&shared, &name, newest, &visitor).await;
    let (nodes, told) = planned(&shared, &doc).await?;
    let assumptions = items(&looked.document, "/plan/assumptions").iter().filter_map(Value::as_str).map(str::to_owned);
    let runs = match shared.pipeline.drive().run_of(&intent).await {
        Some(run) => vec![link(run.as_str())],
        None => {
            let last = journal.doc("last_runs", &id).await?.unwrap_or_default();
            vec![link(text(&last, "/run"))].into_iter().filter(|link| link.0 != "–").collect()
        }
    };
    let frame = Frame::new(&shared, &visitor, "/intents", &id).await?.live(&format!("intent/{id}"));
    shown(&IntentPage {
        frame,
        row: Row::of(&id, &doc),
        assumptions: assumptions.collect(),
        lines: looked.lines,
        results: looked.results,
        versions,
        compared,
        graph: dag(&nodes),
        nodes,
        told,
        runs,
        may: visitor.holds("operator"),
    })
}

/// The plan that an intent's newest version came to: its steps, and what it is predicted to do.
async fn planned(shared: &Shared, doc: &Value) -> Result<(Vec<Node>, Vec<(&'static str, String)>), PageError> {
    let ledger = shared.pipeline.journal().ledger();
    let attached = async |pointer: &str| {
        let Ok(digest) = text(doc, pointer).parse::<Digest>() else { return Ok(Value::Null) };
        let bytes = ledger.attachment(&digest).await?.unwrap_or_default();
        Ok::<Value, LedgerError>(serde_json::from_slice(&bytes).unwrap_or_default())
    };
    let plan = attached("/attachments/plan").await?;
    let shown = attached("/attachments/document").await?;
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
            needs: items(step, "/needs").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        })
        .collect()
}

/// What a plan is predicted to do, and how far it holds.
fn predictions(document: &Value) -> Vec<(&'static str, String)> {
    let rows = [
        ("Instances", format!("{} × {}", number(document, "/plan/chosen/count"), text(document, "/plan/chosen/type"))),
        ("Cost", text(document, "/plan/chosen/cost").to_owned()),
        ("At full scale", text(document, "/plan/chosen/peak_cost").to_owned()),
        ("Availability", text(document, "/plan/predicted/availability").to_owned()),
        ("Latency p95", text(document, "/plan/predicted/latency_p95").to_owned()),
        ("Capacity", text(document, "/plan/predicted/capacity").to_owned()),
        ("Holds up to", text(document, "/plan/break_even/throughput").to_owned()),
        ("and up to", format!("{} a request", text(document, "/plan/break_even/service_time"))),
        ("Repair within", text(document, "/plan/break_even/mttr").to_owned()),
    ];
    if document.pointer("/plan/chosen").is_none() {
        return Vec::new();
    }
    rows.into_iter().filter(|(_, told)| !told.is_empty()).collect()
}

/// What would come of a text, with its lines marked.
pub(crate) struct Looked {
    pub(crate) lines: Vec<Line>,
    pub(crate) results: Vec<Judged>,
    /// `allow`, `needs 1 of role approver`, `deny`, `invalid`, `infeasible`, or what else stood in the way.
    pub(crate) answer: String,
    pub(crate) document: Value,
    /// Fixes that would make it hold, when nothing does.
    pub(crate) fixes: String,
}

/// Works out what a text would come to, without recording anything.
pub(crate) async fn look(shared: &Shared, name: &str, manifest: &str, visitor: &Visitor) -> Looked {
    let pipeline = &shared.pipeline;
    let (answer, document) = match pipeline.prepare(name, manifest.as_bytes(), &visitor.principal).await {
        Ok(prepared) => (prepared.decision_text(), prepared.document(pipeline)),
        Err(SubmitError::Invalid(problems)) => ("invalid".to_owned(), serde_json::json!({"problems": problems})),
        Err(SubmitError::Infeasible { report, text, .. }) => {
            ("infeasible".to_owned(), serde_json::json!({"report": report, "text": text}))
        }
        Err(error) => {
            let failure = Failure::of_submit(error, pipeline);
            (failure.code().to_owned(), failure.document())
        }
    };
    let mut marks: BTreeMap<usize, Vec<Mark>> = BTreeMap::new();
    for problem in items(&document, "/problems") {
        let mut message = text(problem, "/message").to_owned();
        if let Some(hint) = problem.pointer("/hint").and_then(Value::as_str) {
            message.push_str(" — ");
            message.push_str(hint);
        }
        let line = usize::try_from(number(problem, "/at/line")).unwrap_or(1);
        marks.entry(line).or_default().push(Mark { tone: "bad", who: "reading".into(), message });
    }
    let results = results_of(&document, &mut marks);
    let lines = manifest.lines().zip(1..);
    let lines = lines
        .map(|(text, number)| Line { text: text.to_owned(), marks: marks.remove(&number).unwrap_or_default() })
        .collect();
    let fixes = text(&document, "/text").to_owned();
    let fixes = if answer == "infeasible" { fixes } else { String::new() };
    Looked { lines, results, answer, document, fixes }
}

/// What each rule said, stage by stage; what it said about a line is put beside that.
fn results_of(document: &Value, marks: &mut BTreeMap<usize, Vec<Mark>>) -> Vec<Judged> {
    let mut all = Vec::new();
    for report in items(document, "/validation") {
        let stage = text(report, "/validation/stage");
        for result in items(report, "/validation/results") {
            let status = text(result, "/status").replace('_', " ");
            let place = text(result, "/at").rsplit(':').nth(1).and_then(|line| line.parse().ok());
            if let Some(line) = place.filter(|_| status != "passed") {
                let (who, message) = (text(result, "/policy").to_owned(), text(result, "/message").to_owned());
                marks.entry(line).or_default().push(Mark { tone: super::words::tone(&status).class(), who, message });
            }
            all.push(Judged {
                rule: text(result, "/policy").to_owned(),
                stage: stage.to_owned(),
                status: badge(&status),
                message: text(result, "/message").to_owned(),
                values: items(result, "/values").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                rule_at: last_parts(text(result, "/rule_at")),
            });
        }
    }
    all
}

/// The file's own name of a place, without the directories before it.
fn last_parts(place: &str) -> String {
    place.rsplit('/').next().unwrap_or(place).to_owned()
}

#[derive(Template)]
#[template(path = "intent_new.html")]
struct NewPage {
    frame: Frame,
    text: String,
    checked: Checked,
}

/// What a text would come to, as a part of a page.
#[derive(Default, Template)]
#[template(path = "checked.html")]
pub(crate) struct Checked {
    looked: Option<Looked>,
    answer: Html,
    told: Vec<(&'static str, String)>,
    changes: Vec<String>,
    digest: String,
    /// Digest of the text that this is about.
    of: String,
}

impl Checked {
    fn of(looked: Looked, manifest: &str) -> Self {
        let changes = items(&looked.document, "/diff/changes").iter().map(|change| {
            let change_text = |name: &str| text(change, name).to_owned();
            format!("{} {}", change_text("/change/change"), change_text("/resource")).trim().to_owned()
        });
        Self {
            answer: badge(&looked.answer),
            told: predictions(&looked.document),
            changes: changes.collect(),
            digest: text(&looked.document, "/digest").to_owned(),
            of: sha256(manifest.as_bytes()).hex(),
            looked: Some(looked),
        }
    }
}

pub(crate) async fn form(State(shared): App, visitor: Visitor, Query(wanted): Query<Wanted>) -> Page {
    let journal = shared.pipeline.journal();
    let mut manifest = String::new();
    if !wanted.of.is_empty() {
        let id: IntentId = parsed(&wanted.of)?;
        let entries = journal.stream(&format!("intent/{id}")).await?;
        manifest = manifests(journal, &entries).await?.into_values().next_back().unwrap_or_default();
    }
    new_page(&shared, &visitor, manifest).await
}

async fn new_page(shared: &Shared, visitor: &Visitor, manifest: String) -> Page {
    let frame = Frame::new(shared, visitor, "/intents", "Submit an intent").await?;
    let checked = if manifest.trim().is_empty() {
        Checked::default()
    } else {
        Checked::of(look(shared, "intent.yaml", &manifest, visitor).await, &manifest)
    };
    shown(&NewPage { frame, text: manifest, checked })
}

/// A manifest as the form sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct Written {
    text: String,
    /// The digest of the plan that was looked at; another plan is then refused as stale.
    #[serde(default)]
    planned: String,
    /// Digest of the text that the plan was made for: whoever writes on and submits at once has looked at none.
    #[serde(default)]
    of: String,
    /// `check` to look, anything else to submit.
    #[serde(default)]
    only: String,
}

/// The part of the page that says what would come of the text, while somebody types.
pub(crate) async fn check(State(shared): App, visitor: Visitor, Form(written): Form<Written>) -> Page {
    let manifest = unix(&written.text);
    let looked = look(&shared, "intent.yaml", &manifest, &visitor).await;
    shown(&Checked::of(looked, &manifest))
}

/// Forms send lines as the network has them; files here have them otherwise, and a digest is over the bytes.
fn unix(text: &str) -> String {
    text.replace("\r\n", "\n")
}

pub(crate) async fn submit(State(shared): App, visitor: Visitor, Form(written): Form<Written>) -> Page {
    let manifest = unix(&written.text);
    if written.only == "check" {
        return new_page(&shared, &visitor, manifest).await;
    }
    visitor.must("operator")?;
    let pipeline = &shared.pipeline;
    let looked_at = written.of == sha256(manifest.as_bytes()).hex();
    let planned = written.planned.parse::<Digest>().ok().filter(|_| looked_at);
    let done = pipeline.submit("intent.yaml", manifest.as_bytes(), &visitor.principal, planned, Origin::Intent).await;
    match done {
        Ok(accepted) => {
            let to = match accepted.run {
                Some(run) => format!("/runs/{run}"),
                None => format!("/intents/{}", segment(accepted.prepared.manifest.intent.id.as_str())),
            };
            Ok(Redirect::to(&to).into_response())
        }
        // What is the matter stands beside the text, which is not lost.
        Err(SubmitError::Invalid(_) | SubmitError::Infeasible { .. } | SubmitError::Denied { .. }) => {
            let mut page = new_page(&shared, &visitor, manifest).await?;
            *page.status_mut() = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
            Ok(page)
        }
        Err(error) => Err(Failure::of_submit(error, pipeline).into()),
    }
}
