//! Approvals: what is asked, by whom, which rule demands it, what exactly would be done, and until when.

use super::audit::{Said, attached, named, requester, said as said_about};
use super::diff::{Side, sides};
use super::frame::{Frame, Page, shown, told};
use super::given::{Form, Path, Query};
use super::impact::Impact;
use super::list::{PAGE, newest, open as open_docs};
use super::runs::{Outside, Row as RunRow, of as run_of};
use super::session::Visitor;
use super::steps::Deeds;
use super::words::{Html, badge, escape, link, number, page_of, segment, text, texts, when, when_of};
use crate::api::{App, Shared, counted, parsed, reason};
use crate::error::Failure;
use crate::question::{Demand, Question};
use crate::status;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use writ_core::{Actor, ActorKind, ApprovalId, LedgerError, RunId, Step};
use writ_pipeline::{Journal, RunState, Scope, name_of, text_beside};

/// A request in a list.
pub(crate) struct Asked {
    pub(crate) id: Html,
    /// What it is for, as a link where there is a page of that.
    pub(crate) subject: Html,
    pub(crate) by: String,
    pub(crate) needs: String,
    pub(crate) state: Html,
    pub(crate) expires: Html,
    pub(crate) since: Html,
}

impl Asked {
    async fn of(journal: &Journal, id: &str, doc: &Value) -> Result<Self, LedgerError> {
        let (standing, state) = (doc.get("budget").is_some(), status::approval(doc, journal.now()));
        let subject = match (standing, doc.get("step").and_then(Value::as_str)) {
            (true, _) => {
                let actions: Vec<&str> = texts(doc, "/actions").collect();
                Html(escape(&format!("standing: {}", actions.join(", ").replace('_', " "))))
            }
            (false, None) if state.starts_with("glass") || state == "reviewed" => Html("break-glass".to_owned()),
            (false, None) if doc.get("change").is_some() => Html(escape(&text(doc, "/subject").replace('_', " "))),
            (false, step) => of_change(journal, text(doc, "/run"), step).await?,
        };
        let by = if standing {
            let author = Actor { id: text(doc, "/author").to_owned(), kind: ActorKind::Human };
            named(journal, &author).await?
        } else {
            requester(journal, doc).await?
        };
        Ok(Self {
            id: link(id),
            subject,
            by,
            needs: needs(doc),
            state: badge(state),
            expires: when_of(doc, if standing { "/expires_at" } else { "/terms/expires_at" }),
            since: when_of(doc, "/since"),
        })
    }
}

/// What a change is of, as a link to it, and the step of it that is asked about.
async fn of_change(journal: &Journal, run: &str, step: Option<&str>) -> Result<Html, LedgerError> {
    let Some(doc) = journal.doc("runs", run).await? else { return Ok(link(run)) };
    let (to, step) = (page_of(run), step.map(|step| format!(", step {step}")).unwrap_or_default());
    let origin = match text(&doc, "/context/origin") {
        "" | "intent" | "exec" => String::new(),
        origin => format!("{} of ", origin.replace('_', " ")),
    };
    let (to, run, of) = (escape(&to), escape(run), run_of(&doc));
    Ok(Html(format!("<a href=\"{to}\" title=\"{run}\">{}{of}</a>{}", escape(&origin), escape(&step))))
}

/// Whose agreement is needed: `1 approver and 2 release-manager`.
fn needs(doc: &Value) -> String {
    let role = text(doc, "/terms/role");
    if role.is_empty() {
        return "–".to_owned();
    }
    let mut told = format!("{} {role}", number(doc, "/terms/count"));
    if let Some(Value::Object(also)) = doc.pointer("/terms/also") {
        for (role, count) in also {
            told.push_str(&format!(" and {count} {role}"));
        }
    }
    told
}

/// Requests that wait for answers, newest first. One that was answered and not yet taken up by its run waits for nobody.
pub(crate) async fn waiting(journal: &Journal, limit: usize) -> Result<Vec<(String, Value)>, LedgerError> {
    let mut found = open_docs(journal, "approvals", limit).await?;
    found.retain(|(_, doc)| status::approval(doc, journal.now()) == "open");
    Ok(found)
}

/// The same, as rows.
pub(crate) async fn open(shared: &Shared, limit: usize) -> Result<Vec<Asked>, LedgerError> {
    let journal = shared.pipeline.journal();
    let mut rows = Vec::new();
    for (id, doc) in waiting(journal, limit).await? {
        rows.push(Asked::of(journal, &id, &doc).await?);
    }
    Ok(rows)
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
#[template(path = "approvals.html")]
struct ApprovalsPage {
    frame: Frame,
    waiting: Vec<Asked>,
    all: bool,
    rows: Vec<Asked>,
    older: Html,
}

pub(crate) async fn list(State(shared): App, visitor: Visitor, Query(wanted): Query<Wanted>) -> Page {
    let journal = shared.pipeline.journal();
    let frame = Frame::new(&shared, &visitor, "/approvals", "Approvals").await?.live("approval/");
    let waiting = open(&shared, PAGE).await?;
    let (mut rows, mut older) = (Vec::new(), Html::default());
    let all = wanted.show == "all";
    if all {
        let page = newest(journal, "approvals", wanted.before.as_deref()).await?;
        older = page.older("/approvals", "show=all");
        for (id, doc) in &page.rows {
            rows.push(Asked::of(journal, id, doc).await?);
        }
    }
    shown(&ApprovalsPage { frame, waiting, all, rows, older })
}

/// Somebody's answer.
struct Answered {
    by: String,
    agrees: Html,
    reason: String,
    at: Html,
    /// Whether whoever gave it still holds the role that it was given with.
    counts: bool,
}

#[derive(Template)]
#[template(path = "approval.html")]
struct ApprovalPage {
    frame: Frame,
    asked: Asked,
    id: String,
    standing: bool,
    because: String,
    run: Option<RunRow>,
    shown: String,
    demands: Vec<Demand>,
    deeds: Deeds,
    compared: Vec<Side>,
    /// How far it reaches, in words; empty where nothing says it.
    reach: String,
    said: Vec<Said>,
    outside: Option<Outside>,
    impact: Option<Impact>,
    glass: Option<Broken>,
    targets: String,
    actions: String,
    budget: String,
    answers: Vec<Answered>,
    open: bool,
    /// Why the visitor cannot answer; empty when they can.
    barred: String,
    told: String,
    /// Whether what was asked about can no longer be agreed to, whatever was answered.
    late: bool,
    /// Whether that is so because its change was cancelled.
    cancelled: bool,
}

pub(crate) async fn one(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Page {
    let approval: ApprovalId = parsed(&id)?;
    let journal = shared.pipeline.journal();
    let doc = journal.doc("approvals", &id).await?.ok_or_else(|| Failure::not_found("approval", &id))?;
    let mut answers = Vec::new();
    let votes = counted(&shared, &approval).await?;
    for (vote, counts) in &votes {
        answers.push(Answered {
            by: named(journal, &vote.by).await?,
            agrees: badge(if vote.agrees == Some(true) { "approved" } else { "rejected" }),
            reason: vote.reason.clone().unwrap_or_default(),
            at: when(vote.at),
            counts: *counts != Some(false),
        });
    }
    let answered =
        votes.iter().any(|(vote, counts)| *counts != Some(false) && vote.by.id == visitor.principal.id.as_str());
    let state = status::approval(&doc, journal.now());
    let about = match text(&doc, "/run").parse::<RunId>() {
        Ok(run) => about_run(&shared, &run, &doc).await?,
        Err(_) => about_governance(&shared, &approval, &doc).await?,
    };
    let standing = doc.get("budget").is_some();
    let joined = |pointer: &str| texts(&doc, pointer).collect::<Vec<_>>().join(", ").replace('_', " ");
    let budget = format!("{} in {} s", number(&doc, "/budget/count"), number(&doc, "/budget/period_seconds"));
    let frame = Frame::new(&shared, &visitor, "/approvals", "Approval").await?.live(&format!("approval/{id}"));
    shown(&ApprovalPage {
        frame,
        asked: Asked::of(journal, &id, &doc).await?,
        standing,
        because: about.because,
        run: about.run,
        shown: text(&doc, "/shown").to_owned(),
        demands: about.question.demands,
        deeds: about.deeds,
        compared: about.question.texts.as_ref().map(|[(_, old), (_, new)]| sides(old, new)).unwrap_or_default(),
        reach: about.question.reach.map(|reach| reach.to_string()).unwrap_or_default(),
        said: said_about(journal, text(&doc, "/run")).await?,
        outside: about.outside,
        impact: about.impact,
        glass: broken(&shared, &visitor, &approval).await?,
        targets: joined("/targets"),
        actions: joined("/actions"),
        budget,
        answers,
        open: state == "open",
        barred: barred(&visitor, &doc, &shared.pipeline.scope_of_approval(&approval).await?.unwrap_or_default()),
        told: if answered { told(&wanted.done, &["approved", "rejected"]) } else { String::new() },
        late: matches!(state, "void" | "expired"),
        cancelled: about.cancelled,
        id,
    })
}

/// A glass that somebody broke.
struct Broken {
    by: String,
    actions: String,
    targets: String,
    reason: String,
    until: Html,
    due: Html,
    uses: u64,
    /// What whoever reviewed it found; empty while nobody did.
    reviewed: String,
    may_end: bool,
    may_review: bool,
}

async fn broken(shared: &Shared, visitor: &Visitor, id: &ApprovalId) -> Result<Option<Broken>, LedgerError> {
    let journal = shared.pipeline.journal();
    let Some(glass) = shared.pipeline.glass().into_iter().find(|glass| glass.broken.id == *id) else { return Ok(None) };
    let stands = glass.stands(journal.now());
    let reviewed = match &glass.reviewed {
        Some((_, said)) => {
            let found = if said.justified { "it was right to" } else { "it was not right to" };
            format!("{} says: {found}", name_of(journal, &said.by).await?)
        }
        None => String::new(),
    };
    let own = glass.broken.by == visitor.principal.id;
    Ok(Some(Broken {
        by: name_of(journal, &glass.broken.by).await?,
        actions: glass.broken.actions.join(", "),
        targets: glass.broken.scope.join(", "),
        reason: text_beside(journal.ledger(), &glass.broken.reason).await?,
        until: when(glass.broken.until),
        due: when(glass.review_due()),
        uses: glass.uses,
        may_end: stands && (own || visitor.holds("approver")),
        may_review: !stands && reviewed.is_empty() && !own && visitor.holds("approver"),
        reviewed,
    }))
}

/// Why somebody may not answer a request.
fn barred(visitor: &Visitor, doc: &Value, of: &Scope) -> String {
    let id = visitor.principal.id.as_str();
    if text(doc, "/requester/id") == id {
        return "You asked for this yourself; somebody else has to answer.".to_owned();
    }
    let also = doc.pointer("/terms/also").and_then(Value::as_object);
    let roles = also.into_iter().flat_map(|also| also.keys().map(String::as_str)).chain([text(doc, "/terms/role")]);
    let roles: Vec<&str> = roles.collect();
    visitor.barred(&roles, of)
}

/// What is asked about.
#[derive(Default)]
struct About {
    /// Why somebody proposes it.
    because: String,
    run: Option<RunRow>,
    deeds: Deeds,
    question: Question,
    outside: Option<Outside>,
    /// Whether somebody cancelled it.
    cancelled: bool,
    /// What other policies would have decided on what was decided lately.
    impact: Option<Impact>,
}

/// What is asked about when it is how the installation is governed: policies, roles, agents, standing approvals.
async fn about_governance(shared: &Shared, id: &ApprovalId, doc: &Value) -> Result<About, super::frame::PageError> {
    let journal = shared.pipeline.journal();
    let change = shared.pipeline.proposed(id).await.map_err(Failure::from)?.unwrap_or_default();
    let impact = attached(journal, text(doc, "/attachments/impact")).await?;
    let because = text(&change, "/reason").to_owned();
    let question = Question::of_change(&change);
    Ok(About { because, question, impact: Impact::of(&impact), ..About::default() })
}

/// What a run would do, and which rules want people asked.
async fn about_run(shared: &Shared, run: &RunId, doc: &Value) -> Result<About, super::frame::PageError> {
    let journal = shared.pipeline.journal();
    let (folded, context) = shared.pipeline.drive().run(run).await.map_err(Failure::from)?;
    let only = doc.get("step").and_then(Value::as_str);
    let asked = |step: &&Step| only.is_none_or(|only| step.key.as_str() == only);
    let deeds = folded.steps().map(|(step, _)| step).filter(asked).collect();
    let row = match journal.doc("runs", run.as_str()).await? {
        Some(found) => Some(RunRow::of(shared, run.as_str(), &found).await?),
        None => None,
    };
    let question = Question::of_run(shared, (&folded, &context), doc).await?;
    let entries = journal.stream(&format!("run/{run}")).await?;
    let outside = Outside::of(journal, &folded, &context, &entries).await?;
    let cancelled = matches!(folded.state(), RunState::Cancelling(_) | RunState::Cancelled);
    Ok(About { run: row, deeds, question, outside, cancelled, ..About::default() })
}

/// An answer, as the form sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) answer: String,
    #[serde(default)]
    pub(crate) reason: String,
}

pub(crate) async fn answer(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(said): Form<Answer>,
) -> Page {
    let approval: ApprovalId = parsed(&id)?;
    let back = || Ok(Redirect::to(&format!("/approvals/{}", segment(&id))).into_response());
    let agrees = match said.answer.as_str() {
        "end" => {
            let own = shared
                .pipeline
                .glass()
                .iter()
                .any(|glass| glass.broken.id == approval && glass.broken.by == visitor.principal.id);
            if !own {
                visitor.must("approver")?;
            }
            shared.pipeline.end_glass(&approval, &visitor.principal).await.map_err(Failure::from)?;
            return back();
        }
        word @ ("right" | "wrong") => {
            visitor.must("approver")?;
            let (right, words) = (word == "right", reason(&said.reason)?);
            let done = shared.pipeline.review_glass(&approval, right, words, &visitor.principal).await;
            done.map_err(Failure::from)?;
            return back();
        }
        "approve" => true,
        "reject" => false,
        other => return Err(Failure::not_found("answer", other).into()),
    };
    let done = shared.pipeline.answer(&approval, &visitor.principal, agrees, reason(&said.reason)?).await;
    done.map_err(Failure::from)?;
    let word = if agrees { "approved" } else { "rejected" };
    Ok(Redirect::to(&format!("/approvals/{}?done={word}", segment(&id))).into_response())
}
