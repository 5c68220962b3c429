//! How far an action of healing goes on a component, what it would have done where it may not, and what people say of that.

use super::audit::named;
use super::frame::{Done, Frame, Page, PageError, shown, told};
use super::given::{Form, Path, Query};
use super::session::Visitor;
use super::words::{Html, badge, link, list as items, number, segment, text, when, when_of};
use crate::api::{App, Needs, Of, Shared, mode_wish, parsed, reason, with_words};
use crate::error::Failure;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use serde_json::Value;
use writ_core::{Actor, ComponentId, EventId, IncidentId};
use writ_pipeline::{Mode, ModeInForce, ModeOrigin, Proposed, RemedyAction, ShadowFilter};

/// Shadow decisions on a page.
const SHOWN: usize = 50;

/// How far an action goes, in a list.
pub(crate) struct Row {
    pub(crate) action: String,
    pub(crate) mode: Html,
    pub(crate) from: String,
    pub(crate) approval: Html,
    pub(crate) judged: String,
    pub(crate) path: String,
}

impl Row {
    fn of(one: &ModeInForce) -> Self {
        let from = match one.origin {
            ModeOrigin::Default => "nobody said otherwise",
            ModeOrigin::Platform => "the platform file",
            ModeOrigin::Manifest => "the manifest in force",
            ModeOrigin::Change => "a change",
        };
        Self {
            action: one.action.name().replace('_', " "),
            mode: badge(one.mode.word()),
            from: from.to_owned(),
            approval: one.approval.as_ref().map(|id| link(id.as_str())).unwrap_or_default(),
            judged: match (one.right, one.wrong, one.unjudged) {
                (0, 0, 0) => "–".to_owned(),
                (right, wrong, unjudged) => format!("{right} right, {wrong} wrong, {unjudged} not judged"),
            },
            path: path_of(&one.component, one.action),
        }
    }
}

fn path_of(component: &ComponentId, action: RemedyAction) -> String {
    format!("/components/{}/modes/{action}", segment(component.as_str()))
}

/// How far each action goes on a component; nothing where it is not watched.
pub(crate) async fn rows_of(shared: &Shared, component: &ComponentId) -> Result<Vec<Row>, Failure> {
    Ok(shared.pipeline.modes_on(component).await?.iter().map(Row::of).collect())
}

/// Something that would have been done.
pub(crate) struct Shadow {
    pub(crate) id: String,
    pub(crate) at: Html,
    pub(crate) incident: Html,
    pub(crate) because: String,
    pub(crate) deed: String,
    pub(crate) opinion: Html,
    pub(crate) said: Vec<Opinion>,
}

/// What somebody said of it.
pub(crate) struct Opinion {
    pub(crate) by: String,
    pub(crate) word: Html,
    pub(crate) reason: String,
    pub(crate) at: Html,
}

impl Shadow {
    async fn of(shared: &Shared, doc: Value) -> Result<Self, PageError> {
        let journal = shared.pipeline.journal();
        let doc = with_words(journal, doc).await.map_err(Failure::from)?;
        let mut said = Vec::new();
        for one in items(&doc, "/judgements") {
            let by: Result<writ_core::PrincipalId, _> = text(one, "/by").parse();
            let by = match by {
                Ok(by) => named(journal, &Actor::human(&by)).await.map_err(Failure::from)?,
                Err(_) => String::new(),
            };
            let word = badge(if one.get("right") == Some(&Value::Bool(true)) { "right" } else { "wrong" });
            said.push(Opinion { by, word, reason: text(one, "/reason").to_owned(), at: when_of(one, "/at") });
        }
        let targets: Vec<&str> =
            items(&doc, "/remedy/targets").iter().map(|target| text(target, "/instance")).collect();
        let count = match number(&doc, "/remedy/count") {
            0 => String::new(),
            count => format!(" to {count} instances"),
        };
        let deed = format!("{} {}{count}", text(&doc, "/action").replace('_', " "), targets.join(", "));
        Ok(Self {
            id: text(&doc, "/decision").to_owned(),
            at: when_of(&doc, "/at"),
            incident: link(text(&doc, "/incident")),
            because: text(&doc, "/because").to_owned(),
            deed: deed.trim().to_owned(),
            opinion: badge(text(&doc, "/opinion")),
            said,
        })
    }
}

/// What would have been done, as a filter wants it.
async fn shadows(shared: &Shared, filter: &ShadowFilter) -> Result<Vec<Shadow>, PageError> {
    let page = shared.pipeline.shadows(filter, None, SHOWN).await.map_err(Failure::from)?;
    let mut all = Vec::with_capacity(page.items.len());
    for doc in page.items {
        all.push(Shadow::of(shared, doc).await?);
    }
    Ok(all)
}

/// What would have been done about an incident.
pub(crate) async fn shadows_of(
    shared: &Shared,
    component: &str,
    incident: &IncidentId,
) -> Result<Vec<Shadow>, PageError> {
    let component = component.parse().ok();
    shadows(shared, &ShadowFilter { component, incident: Some(incident.clone()), ..ShadowFilter::default() }).await
}

#[derive(Template)]
#[template(path = "mode.html")]
struct ModePage {
    frame: Frame,
    component: String,
    row: Row,
    by: String,
    since: Html,
    lowered: Html,
    wanted: String,
    modes: Vec<(&'static str, &'static str, bool)>,
    /// The shadow decisions that would count, to be cited.
    cites: String,
    shadows: Vec<Shadow>,
    may_judge: bool,
    /// Why the visitor cannot change it; empty when they can.
    barred: String,
    told: String,
}

pub(crate) async fn page(
    State(shared): App,
    visitor: Visitor,
    Path((component, action)): Path<(String, String)>,
    Query(Done { done }): Query<Done>,
) -> Page {
    let missing = || Failure::not_found("component", &component);
    let id: ComponentId = component.parse().map_err(|_| missing())?;
    let action = RemedyAction::named(&action).ok_or_else(|| Failure::no_remedy(&action))?;
    let modes = shared.pipeline.modes_on(&id).await.map_err(Failure::from)?;
    let mode = modes.iter().find(|one| one.action == action).ok_or_else(missing)?;
    let journal = shared.pipeline.journal();
    let by = match mode.by.as_ref().and_then(|by| by.parse().ok()) {
        Some(by) => named(journal, &Actor::human(&by)).await.map_err(Failure::from)?,
        None => String::new(),
    };
    let right = ShadowFilter {
        component: Some(id.clone()),
        action: Some(action),
        opinion: Some(writ_pipeline::Opinion::Right),
        ..ShadowFilter::default()
    };
    let found = shared.pipeline.shadows(&right, None, SHOWN).await.map_err(Failure::from)?;
    let counts = |doc: &&Value| {
        let at = super::words::time_of(doc, "/at");
        mode.lowered_at.is_none_or(|lowered| at.is_some_and(|at| at > lowered))
    };
    let cites: Vec<&str> = found.items.iter().filter(counts).map(|doc| text(doc, "/decision")).collect();
    let all = ShadowFilter { opinion: None, ..right };
    let bar = shared.pipeline.bar();
    let of = shared.pipeline.scope_of_component(&component).await.map_err(Failure::from)?;
    let means = |mode: Mode| match mode {
        Mode::Shadow => "what it would do is recorded",
        Mode::Propose => "a person is asked each time",
        Mode::Auto => "it acts, under a standing approval",
    };
    let title = format!("How far it may go: {component}");
    let frame = Frame::new(&shared, &visitor, "", &title).await?.live(&format!("component/{component}"));
    shown(&ModePage {
        frame,
        row: Row::of(mode),
        by,
        since: mode.since.map(when).unwrap_or_default(),
        lowered: mode.lowered_at.map(when).unwrap_or_default(),
        wanted: format!(
            "{} that were judged right; at most {} judged wrong since the first of them",
            bar.right_least, bar.wrong_most
        ),
        modes: Mode::ALL.into_iter().map(|one| (one.word(), means(one), one == mode.mode)).collect(),
        cites: cites.join("\n"),
        shadows: shadows(&shared, &all).await?,
        may_judge: visitor.barred(&["operator", "approver"], &of).is_empty(),
        barred: visitor.barred(&["operator"], &of),
        told: told(&done, &["judged", "changed"]),
        component,
    })
}

/// How far an action is to go, as the form sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct Changed {
    mode: String,
    #[serde(default)]
    cites: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn change(
    State(shared): App,
    visitor: Visitor,
    Path((component, action)): Path<(String, String)>,
    Form(changed): Form<Changed>,
) -> Page {
    visitor.must_of(&shared, Needs::Operator, Of::Component, &component).await?;
    let mode = Mode::named(&changed.mode).ok_or_else(|| Failure::not_found("mode", &changed.mode))?;
    let cites: Vec<&str> = changed.cites.split_whitespace().collect();
    let wish = mode_wish(&component, &action, mode, &cites)?;
    let by = Actor::human(&visitor.principal.id);
    let done = shared.pipeline.propose(wish, reason(&changed.reason)?, &by).await.map_err(Failure::from)?;
    let to = match done {
        Proposed::Waits(approval) => format!("/approvals/{approval}"),
        Proposed::Made => format!("/components/{}/modes/{}?done=changed", segment(&component), segment(&action)),
    };
    Ok(Redirect::to(&to).into_response())
}

/// What somebody says of what would have been done.
#[derive(Debug, Deserialize)]
pub(crate) struct Judged {
    answer: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn judge(
    State(shared): App,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(judged): Form<Judged>,
) -> Page {
    let decision: EventId = parsed(&id)?;
    visitor.must_of(&shared, Needs::Judge, Of::Shadow, &id).await?;
    let right = match judged.answer.as_str() {
        "right" => true,
        "wrong" => false,
        other => return Err(Failure::not_found("answer", other).into()),
    };
    shared
        .pipeline
        .judge(&decision, right, reason(&judged.reason)?, &visitor.principal)
        .await
        .map_err(Failure::from)?;
    let known = shared.pipeline.shadow(&decision).await.map_err(Failure::from)?;
    let (_, doc) = known.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "not-found", "it is not there any more"))?;
    let to = match text(&doc, "/incident") {
        "" => format!("/components/{}/modes/{}", segment(text(&doc, "/component")), segment(text(&doc, "/action"))),
        incident => format!("/incidents/{}", segment(incident)),
    };
    Ok(Redirect::to(&format!("{to}?done=judged")).into_response())
}
