//! Submitting an intent: a text, what would come of it while somebody types, and the change that it becomes.

use super::frame::{Frame, Page, shown, told_here};
use super::given::{Form, Query};
use super::intents::Wanted;
use super::look::{Looked, look, predictions};
use super::session::Visitor;
use super::steps::Deeds;
use super::words::{Html, badge, escape, list as items, page_of, phrase, segment, text, texts};
use crate::api::{App, Shared, looked_at, parsed};
use crate::error::Failure;
use crate::versions::{Fates, current, newest};
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use writ_core::{IntentId, LedgerError};
use writ_pipeline::input::read_manifest;
use writ_pipeline::{Origin, Prepared, Scope, SubmitError, UnderWay, with_fix};
use writ_seal::sha256;

#[derive(Template)]
#[template(path = "intent_new.html")]
struct NewPage {
    frame: Frame,
    /// What became of what was submitted, where it is not carried out, and what to do about it.
    problem: Html,
    text: String,
    checked: Checked,
    /// What is submitted.
    title: String,
    /// Why the visitor cannot submit it; empty when they can.
    barred: String,
}

/// What a text would come to, as a part of a page.
#[derive(Default, Template)]
#[template(path = "checked.html")]
pub(crate) struct Checked {
    looked: Option<Looked>,
    answer: Html,
    told: Vec<(&'static str, String)>,
    deeds: Deeds,
    digest: String,
    /// Digest of the text that this is about.
    of: String,
}

impl Checked {
    fn of(looked: Looked, manifest: &str) -> Self {
        let plan = looked.prepared.as_ref().and_then(|prepared| Some(&prepared.diff.as_ref()?.plan));
        let warnings = texts(&looked.document, "/warnings").map(|one| ("Warning", one.to_owned()));
        let warnings: Vec<(&str, String)> = warnings.collect();
        Self {
            answer: badge(&looked.answer),
            told: predictions(&looked.document).into_iter().chain(warnings).collect(),
            deeds: plan.map(|plan| plan.steps.iter().collect()).unwrap_or_default(),
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
        if journal.doc("intents", id.as_str()).await?.is_none() {
            return Err(Failure::not_found("intent", id.as_str()).into());
        }
        let entries = journal.stream(&format!("intent/{id}")).await?;
        manifest = current(journal, &entries, Fates::of(&entries).last).await?;
    }
    new_page(&shared, &visitor, manifest, Html::default()).await
}

/// The page with why what was submitted is not taken.
async fn refused(shared: &Shared, visitor: &Visitor, manifest: String, failure: &Failure) -> Page {
    let mut page = new_page(shared, visitor, manifest, not_submitted(&told_here(failure))).await?;
    *page.status_mut() = failure.status();
    // Who is refused for want of a role is recorded by what the answer says of it.
    page.extensions_mut().insert(failure.said());
    Ok(page)
}

fn not_submitted(because: &Html) -> Html {
    Html(format!("<strong>It was not submitted.</strong> {because}"))
}

/// What is said of a version that is recorded and will never be carried out.
fn recorded(intent: &str, version: u64, because: &str) -> Html {
    let (segment, intent) = (segment(intent), escape(intent));
    Html(format!(
        "<strong>It is recorded as version {version} of <a href=\"/intents/{segment}\">{intent}</a>, and {because}.</strong> \
         Nothing is carried out. What stands in its way is told beside it, and <a href=\"/why/{segment}\">why</a> it came to that."
    ))
}

/// What is said of a text that comes too early: what its intent waits for.
fn busy(intent: &IntentId, under_way: &UnderWay) -> Html {
    let mut told = phrase(&format!("`{intent}` {under_way}")).0;
    if let Some(run) = &under_way.run {
        let to = page_of(run.as_str());
        told.push_str(&format!(": wait for <a href=\"{to}\">its change</a>, or cancel it there"));
    }
    not_submitted(&Html(told + "."))
}

/// What a text is submitted as: an intent, or a new version of one that there is.
async fn titled(shared: &Shared, manifest: &str) -> Result<String, LedgerError> {
    Ok(match looked_for(manifest) {
        Some(id) if shared.pipeline.journal().doc("intents", &id).await?.is_some() => format!("A new version of {id}"),
        _ => "Submit an intent".to_owned(),
    })
}

async fn new_page(shared: &Shared, visitor: &Visitor, manifest: String, problem: Html) -> Page {
    let title = titled(shared, &manifest).await?;
    page_under(shared, visitor, title, manifest, problem).await
}

async fn page_under(shared: &Shared, visitor: &Visitor, title: String, manifest: String, problem: Html) -> Page {
    let frame = Frame::new(shared, visitor, "/intents", &title).await?;
    let checked = if manifest.trim().is_empty() {
        Checked::default()
    } else {
        Checked::of(look(shared, "intent.yaml", &manifest, visitor, None).await, &manifest)
    };
    let barred = if visitor.holds_somewhere("operator") {
        String::new()
    } else {
        visitor.barred(&["operator"], &Scope::whole())
    };
    shown(&NewPage { frame, problem, text: manifest, checked, title, barred })
}

/// The id of the intent that a text is of, where it can be read.
fn looked_for(manifest: &str) -> Option<String> {
    let read = read_manifest("intent.yaml", manifest.as_bytes()).ok()?;
    Some(read.intent.id.to_string())
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
    /// `check` to look, `fix-2` to take a fix and look, anything else to submit.
    #[serde(default)]
    only: String,
}

/// The part of the page that says what would come of the text, while somebody types.
pub(crate) async fn check(State(shared): App, visitor: Visitor, Form(written): Form<Written>) -> Page {
    let manifest = unix(&written.text);
    let looked = look(&shared, "intent.yaml", &manifest, &visitor, None).await;
    shown(&Checked::of(looked, &manifest))
}

/// What said no: policy, or else contracts.
fn denied_by(prepared: &Prepared) -> &'static str {
    let denies = |report: &Value| text(report, "/validation/decision") == "deny";
    if prepared.reports.iter().any(denies) { "denied by policy" } else { "denied because contracts do not fit" }
}

fn unfit(page: Page) -> Page {
    let mut page = page?;
    *page.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(page)
}

/// Forms send lines as the network has them; files here have them otherwise, and a digest is over the bytes.
fn unix(text: &str) -> String {
    text.replace("\r\n", "\n")
}

pub(crate) async fn submit(State(shared): App, visitor: Visitor, Form(written): Form<Written>) -> Page {
    let mut manifest = unix(&written.text);
    if let Some(fix) = written.only.strip_prefix("fix-").and_then(|at| at.parse::<usize>().ok()) {
        let looked = look(&shared, "intent.yaml", &manifest, &visitor, None).await;
        let taken =
            items(&looked.document, "/report/infeasible/fixes").get(fix).and_then(|fix| with_fix(&manifest, fix));
        manifest = taken.unwrap_or(manifest);
        return new_page(&shared, &visitor, manifest, Html::default()).await;
    }
    if written.only == "check" {
        return new_page(&shared, &visitor, manifest, Html::default()).await;
    }
    // Whether it is for what the text is about, is asked where the text is read.
    if !visitor.holds_somewhere("operator") {
        visitor.must("operator")?;
    }
    let (pipeline, title) = (&shared.pipeline, titled(&shared, &manifest).await?);
    let planned = match looked_at(&written.planned) {
        Ok(planned) => planned.filter(|_| written.of == sha256(manifest.as_bytes()).hex()),
        Err(failure) => return refused(&shared, &visitor, manifest, &failure).await,
    };
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
        Err(SubmitError::Invalid(_)) => {
            let because = not_submitted(&Html("What stands in its way is told beside it.".to_owned()));
            unfit(page_under(&shared, &visitor, title, manifest, because).await)
        }
        Err(SubmitError::Infeasible { intent, .. }) => {
            let entries = pipeline.journal().stream(&format!("intent/{intent}")).await?;
            let because = recorded(intent.as_str(), newest(&entries), "nothing holds everything that it asks");
            unfit(page_under(&shared, &visitor, title, manifest, because).await)
        }
        Err(SubmitError::Denied { intent, prepared }) => {
            let because = recorded(intent.as_str(), prepared.version, denied_by(&prepared));
            unfit(page_under(&shared, &visitor, title, manifest, because).await)
        }
        Err(SubmitError::Busy { intent, under_way }) => {
            let because = busy(&intent, &under_way);
            let mut page = page_under(&shared, &visitor, title, manifest, because).await?;
            *page.status_mut() = StatusCode::CONFLICT;
            Ok(page)
        }
        Err(error) => refused(&shared, &visitor, manifest, &Failure::of_submit(error, pipeline)).await,
    }
}
