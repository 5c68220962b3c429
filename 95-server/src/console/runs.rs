//! Changes: what is done, in which order, how far it is, and why it waits.

use super::audit::{Said as Words, actor, attached, named, requester, said as said_about};
use super::draw::{dag, timeline};
use super::frame::{Frame, Page, PageError, shown};
use super::given::{Form, Path, Query};
use super::list::{PAGE, docs_of, filed, newest, open};
use super::recommendations::recommended_in;
use super::session::Visitor;
use super::steps::{StepRow, Steps};
use super::words::{
    Html, badge, escape, link, number, segment, short, span, text, texts, time_of, visible, when, when_of,
};
use crate::api::{App, Needs, Of, Shared, parsed, reason, votes};
use crate::error::Failure;
use crate::status;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use writ_core::{Entry, LedgerError, RunId};
use writ_pipeline::input::typed;
use writ_pipeline::{Journal, Origin, Run, RunContext, RunSignal, RunState, say};

/// One change in a list.
pub(crate) struct Row {
    pub(crate) id: Html,
    pub(crate) intent: String,
    pub(crate) of: Html,
    /// The intent's version; 0 for what serves none.
    pub(crate) version: u64,
    pub(crate) origin: String,
    pub(crate) state: Html,
    pub(crate) by: String,
    pub(crate) began: Html,
    pub(crate) took: String,
    pub(crate) steps: u64,
}

impl Row {
    pub(crate) async fn of(shared: &Shared, id: &str, doc: &Value) -> Result<Self, LedgerError> {
        let journal = shared.pipeline.journal();
        let lives = id.parse().ok().and_then(|run| shared.pipeline.drive().live_state(&run));
        let over = lives.is_none_or(|state| state.is_over());
        let took = match (time_of(doc, "/since"), time_of(doc, "/last/at")) {
            (Some(from), Some(to)) if over => span(from, to),
            (Some(from), _) if !over => format!("{} so far", span(from, journal.now())),
            _ => "–".to_owned(),
        };
        Ok(Self {
            id: link(id),
            intent: text(doc, "/intent").to_owned(),
            of: of(doc),
            version: number(doc, "/intent_version"),
            origin: text(doc, "/context/origin").to_owned(),
            state: badge(&status::run(shared, id, doc)),
            by: requester(journal, doc).await?,
            began: when_of(doc, "/since"),
            took,
            steps: number(doc, "/steps"),
        })
    }
}

/// Changes that are not over, newest first.
pub(crate) async fn live(shared: &Shared, limit: usize) -> Result<Vec<Row>, LedgerError> {
    let journal = shared.pipeline.journal();
    let mut rows = Vec::new();
    for (id, doc) in open(journal, "runs", limit).await? {
        rows.push(Row::of(shared, &id, &doc).await?);
    }
    Ok(rows)
}

/// Filters, as the address has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    before: Option<String>,
    show: String,
    intent: String,
    done: String,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    frame: Frame,
    rows: Vec<Row>,
    open: bool,
    intent: String,
    older: Html,
}

pub(crate) async fn list(State(shared): App, visitor: Visitor, Query(wanted): Query<Wanted>) -> Page {
    let frame = Frame::new(&shared, &visitor, "/runs", "Changes").await?.live("run/");
    if wanted.show == "open" {
        let rows = live(&shared, PAGE).await?;
        return shown(&RunsPage { frame, rows, open: true, intent: String::new(), older: Html::default() });
    }
    let journal = shared.pipeline.journal();
    let (mut rows, before) = (Vec::new(), wanted.before.as_deref());
    let older = if wanted.intent.is_empty() {
        let page = newest(journal, "runs", before).await?;
        for (id, doc) in &page.rows {
            rows.push(Row::of(&shared, id, doc).await?);
        }
        page.older("/runs", "")
    } else {
        let page = filed(journal, &format!("run/{}/", wanted.intent), before).await?;
        for (id, doc) in docs_of(journal, "runs", page.rows.iter().map(String::as_str)).await? {
            rows.push(Row::of(&shared, &id, &doc).await?);
        }
        page.older("/runs", &format!("intent={}", segment(&wanted.intent)))
    };
    shown(&RunsPage { frame, rows, open: false, intent: wanted.intent, older })
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    id: String,
    intent: String,
    version: u64,
    origin: &'static str,
    incident: Html,
    /// The recommendation that it carries out.
    recommendation: Html,
    state: Html,
    over: bool,
    waiting: String,
    /// Whether it waits, or is at work.
    waits: bool,
    by: String,
    began: Html,
    took: String,
    done: usize,
    all: usize,
    graph: Option<Html>,
    lanes: Option<Html>,
    steps: Vec<StepRow>,
    said: Vec<Words>,
    outside: Option<Outside>,
    commands: Vec<Command>,
    barred: String,
    told: String,
}

/// A command that somebody else planned.
pub(crate) struct Outside {
    pub(crate) command: String,
    pub(crate) directory: String,
    pub(crate) planned: Vec<(&'static str, u64)>,
    /// How it ended; empty while it has not.
    pub(crate) ended: String,
    /// What it wrote, by name: how much, and the digest under which what is kept of it is attached.
    pub(crate) written: Vec<(&'static str, u64, String)>,
}

impl Outside {
    /// What a run's only step carries out elsewhere; none where writ does it.
    pub(crate) async fn of(
        journal: &Journal,
        run: &Run,
        context: &RunContext,
        entries: &[Entry],
    ) -> Result<Option<Self>, LedgerError> {
        let outcome = entries.iter().rev().find_map(|entry| entry.body.pointer("/attachments/outcome")?.as_str());
        let outcome = match outcome {
            Some(digest) => attached(journal, digest).await?,
            None => Value::Null,
        };
        Ok(Self::told(run, context, &outcome))
    }

    fn told(run: &Run, context: &RunContext, outcome: &Value) -> Option<Self> {
        let facts = context.outside.as_ref()?;
        let (step, _) = run.steps().next()?;
        let words = texts(&step.params, "/command").map(typed);
        let planned = ["creates", "updates", "replaces", "deletes"];
        let count = |name: &str| facts.pointer(&format!("/planned/{name}")).and_then(Value::as_u64);
        let written = ["stdout", "stderr"].into_iter().filter_map(|name| {
            let output = outcome.get(name)?;
            let kept = text(output, "/kept").trim_start_matches("sha256:").to_owned();
            Some((name, number(output, "/bytes"), kept))
        });
        Some(Self {
            command: words.collect::<Vec<_>>().join(" "),
            directory: visible(text(&step.params, "/directory")),
            planned: planned.into_iter().filter_map(|word| Some((word, count(word)?))).collect(),
            ended: ended(outcome),
            written: written.filter(|(_, bytes, _)| *bytes > 0).collect(),
        })
    }
}

/// How a command ended, in words.
fn ended(outcome: &Value) -> String {
    let code = |name: &str| outcome.get(name).and_then(Value::as_u64);
    match (code("exit"), code("signal"), text(outcome, "/not_run")) {
        (Some(status), ..) => format!("exit status {status}"),
        (None, Some(signal), _) => format!("signal {signal}"),
        (None, None, "") => String::new(),
        (None, None, because) => format!("nothing ran: {because}"),
    }
}

/// What those who were asked about a run answered, oldest first.
async fn answers(journal: &Journal, entries: &[Entry]) -> Result<Vec<Words>, LedgerError> {
    let mut all = Vec::new();
    for entry in entries.iter().filter(|entry| entry.kind == "run.approval_asked/1") {
        for vote in votes(journal, text(&entry.body, "/terms/approval")).await? {
            let answer = if vote.agrees == Some(true) { "approved" } else { "rejected" };
            let text = match vote.reason.as_deref() {
                Some(reason) if !reason.is_empty() => format!("{answer}: {reason}"),
                _ => answer.to_owned(),
            };
            all.push(Words { by: actor(journal, &vote.by).await?, at: when(vote.at), text });
        }
    }
    Ok(all)
}

/// What a change is of: a version of an intent, or a command that somebody else planned.
pub(crate) fn of(doc: &Value) -> Html {
    let outside = doc.pointer("/context/outside");
    if let Some(facts) = outside.filter(|facts| facts.is_object()) {
        let words = std::iter::once(text(facts, "/program")).chain(texts(facts, "/arguments"));
        let command: Vec<String> = words.map(typed).collect();
        return Html(format!("<code>{}</code>", escape(&visible(&command.join(" ")))));
    }
    match (text(doc, "/intent"), number(doc, "/intent_version")) {
        (intent, 0) => Html(escape(intent)),
        (intent, version) => Html(format!("{} v{version}", escape(intent))),
    }
}

/// Something that can be told to the run as it is now.
struct Command {
    word: &'static str,
    label: &'static str,
    means: &'static str,
    grave: bool,
}

/// What can be told to a run in a state, and what follows from it.
fn commands(state: &RunState) -> Vec<Command> {
    let pause = Command {
        word: "pause",
        label: "Pause",
        means: "What is in flight ends and is recorded; nothing new begins until it is resumed.",
        grave: false,
    };
    let resume =
        Command { word: "resume", label: "Resume", means: "Steps that may begin do so at once.", grave: false };
    let replan = Command {
        word: "replan",
        label: "Plan anew",
        means: "A new plan is made from the world as it is now; what is done stays done.",
        grave: false,
    };
    let cancel = Command {
        word: "cancel",
        label: "Cancel",
        means: "What is in flight ends; nothing new begins. What was done stays.",
        grave: true,
    };
    let rollback = Command {
        word: "rollback",
        label: "Roll back",
        means: "Every step that was done is taken back, in the opposite order.",
        grave: true,
    };
    if state.is_over() {
        return Vec::new();
    }
    match state {
        RunState::Running => vec![pause, cancel, rollback],
        RunState::Paused | RunState::NeedsOperator(_) => vec![resume, replan, cancel, rollback],
        RunState::AwaitingApproval(_) | RunState::AwaitingWindow { .. } => vec![cancel],
        RunState::Pausing | RunState::Failing(_) | RunState::Replanning(_) => vec![cancel],
        RunState::Submitted | RunState::Validated | RunState::Compensating(_) | RunState::Cancelling(_) => Vec::new(),
        RunState::Succeeded | RunState::RolledBack | RunState::Failed { .. } => Vec::new(),
        RunState::Cancelled | RunState::Rejected | RunState::Expired { .. } => Vec::new(),
    }
}

pub(crate) async fn one(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Page {
    let run_id: RunId = parsed(&id)?;
    let journal = shared.pipeline.journal();
    let (run, context) = shared.pipeline.drive().run(&run_id).await.map_err(Failure::from)?;
    let entries = journal.stream(&format!("run/{id}")).await?;
    let now = journal.now();
    let ended = if run.state().is_over() { entries.last().map_or(now, |last| last.timestamp) } else { now };
    let began = entries.first().map_or(now, |first| first.timestamp);
    let steps = Steps::of(&shared, &run, &entries, now);
    let submitted = run.submitted();
    let by = named(journal, &submitted.requester).await?;
    let mut said = said_about(journal, &id).await?;
    said.extend(answers(journal, &entries).await?);
    let recommendation = match entries.first() {
        Some(first) if context.origin == Origin::Feedback => recommended_in(journal, &first.trace_id).await?,
        _ => Html::default(),
    };
    let works = run.steps().any(|(_, cell)| matches!(cell.state.name(), "ticketed" | "probing"));
    let title = format!("Change {}", short(&id));
    let frame = Frame::new(&shared, &visitor, "/runs", &title).await?.live(&format!("run/{id}"));
    shown(&RunPage {
        frame,
        intent: submitted.intent.to_string(),
        version: submitted.intent_version,
        origin: context.origin.word(),
        incident: context.incident.as_ref().map(|incident| link(incident.as_str())).unwrap_or_default(),
        recommendation,
        state: badge(run.state().name()),
        over: run.state().is_over(),
        waiting: run.waiting().map(|waiting| waiting.sentence).unwrap_or_default(),
        waits: !works,
        by,
        began: when(began),
        took: span(began, ended),
        done: steps.done,
        all: steps.rows.len(),
        graph: dag(&steps.nodes),
        lanes: timeline(&steps.lanes),
        steps: steps.rows,
        said,
        outside: Outside::of(journal, &run, &context, &entries).await?,
        commands: commands(run.state()),
        barred: visitor.barred(&["operator"], &context.scope()),
        told: super::frame::told(
            &wanted.done,
            &["pause", "resume", "cancel", "rollback", "retry", "replan", "happened", "did_not_happen"],
        ),
        id,
    })
}

/// What somebody tells a run.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    command: String,
    #[serde(default)]
    step: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn command(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(said): Form<Said>,
) -> Page {
    let run: RunId = parsed(&id)?;
    visitor.must_of(&shared, Needs::Operator, Of::Run, &id).await?;
    let by = writ_core::Actor::human(&visitor.principal.id);
    let signal = match said.command.as_str() {
        "pause" => RunSignal::Pause,
        "resume" => RunSignal::Resume,
        "cancel" => RunSignal::Cancel { compensate: false },
        "rollback" => RunSignal::Rollback,
        "retry" => RunSignal::Retry { step: parsed(&said.step)? },
        "replan" => {
            let planned = shared.pipeline.replan(&run, &visitor.principal).await;
            planned.map_err(|error| PageError::from(Failure::of_replan(error, &shared.pipeline)))?;
            return Ok(Redirect::to(&format!("/runs/{}?done=replan", segment(&id))).into_response());
        }
        word @ ("happened" | "did_not_happen") => {
            let step = parsed(&said.step)?;
            let reason =
                say(shared.pipeline.journal(), &id, &by, reason(&said.reason)?).await.map_err(Failure::from)?;
            RunSignal::OperatorResolved { happened: word == "happened", reason, step }
        }
        other => {
            let detail = format!("a run cannot be told to `{}`", crate::error::short(other));
            return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).into());
        }
    };
    if let Err(error) = shared.pipeline.drive().tell(&run, signal, &by).await {
        return Err(crate::api::not_told(&shared, &run, &said.command, error).await.into());
    }
    Ok(Redirect::to(&format!("/runs/{}?done={}", segment(&id), segment(&said.command))).into_response())
}
