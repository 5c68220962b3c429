//! How far each action of healing may go on its own, and what it would have done where it may not.

use super::changes::{ChangeTold, propose};
use super::filter::begins;
use super::matches::{Thing, matching_among};
use super::route::{Route, documents};
use super::{Answer, App, Asked, Body, Caller, Needs, Of, Path, field, parsed, reason};
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use writ_core::{ComponentId, EventId, IdError, LedgerError};
use writ_pipeline::{GovernanceWish, Journal, JudgeError, Mode, Opinion, RemedyAction, ShadowFilter, text_of};

/// Shadow decisions that one promotion cites at the most.
const CITES_MAX: usize = 100;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/modes", Needs::Reader, list)
            .says(
                "incidents",
                "List how far healing goes",
                "For each action on each component in care: its mode, where that comes from, and how people judged what it would have \
                 done.",
            )
            .whole("each component in care has as many rows as there are actions of healing")
            .answers::<Modes>(),
        Route::post("/api/v1/modes/{component}/{action}", Needs::Operator, Of::Component, change)
            .says(
                "incidents",
                "Change how far an action goes",
                "Further: with shadow decisions of that action on that component which people judged right; on a server it is so once \
                 somebody else agrees. Less far: at once.",
            )
            .word("action", RemedyAction::ALL.map(RemedyAction::name))
            .matches()
            .takes::<ModeWanted>()
            .answers::<ChangeTold>()
            .fails(&[409]),
        Route::get("/api/v1/shadow-decisions", Needs::Reader, shadows)
            .says(
                "incidents",
                "List what would have been done",
                "Decisions that were only recorded, with what people say of each; the newest of an action first.",
            )
            .query::<Wanted>()
            .answers::<ShadowDecisions>(),
        Route::post("/api/v1/shadow-decisions/{id}/judgement", Needs::Judge, Of::Shadow, judge)
            .says(
                "incidents",
                "Judge what would have been done",
                "By the id of the entry that recorded it. Of what one person says, the last counts; one who says that it was wrong is \
                 enough.",
            )
            .takes::<Judgement>()
            .answers::<Judged>()
            .fails(&[409]),
    ]
}

documents! {
    /// How far an action goes on a component: `mode`, its `origin` (`default`, `platform`, `manifest` or `change`), the `approval` of a
    /// change, how many shadow decisions count as `right`, `wrong` and `unjudged`, and its `etag`.
    HealingMode;
    /// What would have been done: `component`, `action`, `incident`, `because`, `remedy`, who judged it how, and the `opinion` that
    /// comes of it.
    ShadowDecision;
}

/// All modes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Modes {
    items: Vec<HealingMode>,
    /// There is one page.
    next: Option<String>,
}

async fn list(State(shared): App) -> Answer<Modes> {
    let mut items = Vec::new();
    for component in shared.pipeline.components() {
        let mut tags = BTreeMap::new();
        for action in RemedyAction::ALL {
            tags.insert(action, Thing::Mode(component.clone(), action).tag(&shared).await?);
        }
        // Read after its tag: one that is too old is refused, one that is too new would not be.
        for mode in shared.pipeline.modes_on(&component).await? {
            let mut item = json!(mode);
            item["etag"] = json!(tags.get(&mode.action));
            items.push(HealingMode(item));
        }
    }
    Ok(Json(Modes { items, next: None }))
}

/// How far an action may go.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Far {
    /// What it would do is recorded.
    Shadow,
    /// A person is asked each time.
    Propose,
    /// It acts, under its standing approval.
    Auto,
}

impl From<Far> for Mode {
    fn from(far: Far) -> Self {
        match far {
            Far::Shadow => Self::Shadow,
            Far::Propose => Self::Propose,
            Far::Auto => Self::Auto,
        }
    }
}

/// How far an action is to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModeWanted {
    mode: Far,
    /// The shadow decisions that speak for it, by the ids of their entries; at most 100.
    #[serde(default)]
    #[schema(max_items = 100)]
    cites: Vec<String>,
    /// Why.
    #[serde(default)]
    #[schema(required = true)]
    reason: String,
}

async fn change(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path((component, action)): Path<(String, String)>,
    Body(wanted): Body<ModeWanted>,
) -> Answer<ChangeTold> {
    let cites: Vec<&str> = wanted.cites.iter().map(String::as_str).collect();
    let wish = wish(&component, &action, wanted.mode.into(), &cites)?;
    let GovernanceWish::Mode { component, action, .. } = &wish else { return Err(Failure::not_found("mode", &action)) };
    let work = || propose(&shared, wish.clone(), &wanted.reason, &caller);
    let told = matching_among(&shared, &Thing::Mode(component.clone(), *action), &headers, work).await?;
    Ok(Json(ChangeTold(told)))
}

/// A change of a mode, as somebody names it.
pub(crate) fn wish(component: &str, action: &str, mode: Mode, cites: &[&str]) -> Result<GovernanceWish, Failure> {
    if cites.len() > CITES_MAX {
        let detail = format!("{} shadow decisions are cited, and {CITES_MAX} may be", cites.len());
        return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).at("/cites"));
    }
    let action = RemedyAction::named(action).ok_or_else(|| Failure::no_remedy(action))?;
    let cited = |(at, cited): (usize, &&str)| field::<EventId>(&format!("/cites/{at}"), cited);
    let cites = cites.iter().enumerate().map(cited).collect::<Result<_, _>>()?;
    let component: ComponentId = parsed(component).map_err(|wrong| wrong.parameter("component"))?;
    Ok(GovernanceWish::Mode { component, action, mode, cites })
}

/// What people say of shadow decisions.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// Nobody judged it.
    Unjudged,
    /// Whoever judged it says that it was right.
    Right,
    /// Somebody says that it was wrong.
    Wrong,
}

/// Which shadow decisions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct Wanted {
    /// Of this component.
    component: Option<String>,
    /// Of this action.
    action: Option<String>,
    /// Of this incident.
    incident: Option<String>,
    /// Of which people say this.
    #[param(inline)]
    opinion: Option<Said>,
    /// The `next` of the page before.
    after: Option<String>,
    /// Items at the most; 100 unless it is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// A page of shadow decisions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShadowDecisions {
    items: Vec<ShadowDecision>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<String>,
    /// How many entries of the journal the list is of.
    as_of: u64,
}

/// An id in a query.
fn asked<T: std::str::FromStr<Err = IdError>>(name: &str, text: &str) -> Result<T, Failure> {
    parsed(text).map_err(|wrong: Failure| wrong.parameter(name))
}

async fn shadows(State(shared): App, Asked(wanted): Asked<Wanted>) -> Answer<ShadowDecisions> {
    let action = |name: &String| {
        RemedyAction::named(name).ok_or_else(|| {
            let detail = format!("`{}` is no action of healing", crate::error::short(name));
            Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
                .hint(format!("one of {}", RemedyAction::ALL.map(RemedyAction::name).join(", ")))
                .parameter("action")
        })
    };
    let filter = ShadowFilter {
        component: wanted.component.as_deref().map(|id| asked("component", id)).transpose()?,
        action: wanted.action.as_ref().map(action).transpose()?,
        incident: wanted.incident.as_deref().map(|id| asked("incident", id)).transpose()?,
        opinion: wanted.opinion.map(|said| match said {
            Said::Unjudged => Opinion::Unjudged,
            Said::Right => Opinion::Right,
            Said::Wrong => Opinion::Wrong,
        }),
    };
    let limit = super::limit(wanted.limit.unwrap_or(100))?;
    begins(&shared, "shadows", wanted.after.as_deref()).await?;
    let page = shared.pipeline.shadows(&filter, wanted.after.as_deref(), limit).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for doc in page.items {
        items.push(ShadowDecision(with_words(shared.pipeline.journal(), doc).await?));
    }
    Ok(Json(ShadowDecisions { items, next: page.next, as_of: page.as_of }))
}

/// A shadow decision with what people said of it, in their words as far as these were not erased.
pub(crate) async fn with_words(journal: &Journal, mut doc: Value) -> Result<Value, LedgerError> {
    let mut told = Vec::new();
    for (by, said) in doc.get("judgements").and_then(Value::as_object).into_iter().flatten() {
        let reason = text_of(journal.ledger(), said.get("reason")).await?.unwrap_or_default();
        told.push(json!({"by": by, "right": said["right"], "at": said["at"], "reason": reason}));
    }
    doc["judgements"] = Value::Array(told);
    Ok(doc)
}

/// What a person says of a shadow decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Judgement {
    /// Whether it would have been right to do it.
    right: bool,
    /// Why. At most 4,000 characters; it stands beside the journal and can be erased.
    reason: String,
}

/// A shadow decision that was judged.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Judged {
    #[schema(value_type = String)]
    decision: EventId,
    /// `right` or `wrong`.
    said: &'static str,
}

async fn judge(
    State(shared): App,
    caller: Caller,
    Path(id): Path<String>,
    Body(said): Body<Judgement>,
) -> Answer<Judged> {
    let decision: EventId = parsed(&id)?;
    shared.pipeline.judge(&decision, said.right, reason(&said.reason)?, &caller.0).await?;
    Ok(Json(Judged { decision, said: if said.right { Opinion::Right } else { Opinion::Wrong }.word() }))
}

impl From<JudgeError> for Failure {
    fn from(error: JudgeError) -> Self {
        match error {
            JudgeError::Unknown { decision } => {
                Self::not_found("shadow decision", decision.as_str()).hint("list them with `writ incident shadows`")
            }
            JudgeError::Agent { .. } => Self::new(StatusCode::FORBIDDEN, "forbidden", error.to_string())
                .hint("use a token of a person, with `--as`"),
            JudgeError::Barred(barred) => Self::from(barred),
            JudgeError::Said { .. } => Self::new(StatusCode::CONFLICT, "refused", error.to_string()),
            JudgeError::Commit(error) => Self::from(error),
            JudgeError::Ledger(error) => Self::from(error),
        }
    }
}
