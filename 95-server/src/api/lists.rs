//! What is listed: documents that follow from the journal, page by page.

use super::matches::stream;
use super::route::{Route, documents};
use super::{Answer, App, Asked, Needs, Path, Shared};
use crate::error::Failure;
use crate::status;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use writ_core::{Actor, LedgerError, Timestamp};
use writ_pipeline::{Journal, recommendation_made, text_of};

/// Views that can be listed, each with the paths of the list and of one, and what they are.
const VIEWS: [(&str, &str, &str, &str); 7] = [
    (
        "intents",
        "/api/v1/intents",
        "/api/v1/intents/{id}",
        "What has to hold, and how far it has come. Figures of the plan are of the version in force, or of the newest while none is.",
    ),
    ("runs", "/api/v1/runs", "/api/v1/runs/{id}", "Changes under way and done."),
    ("incidents", "/api/v1/incidents", "/api/v1/incidents/{id}", "What was noticed to be wrong, and what was tried."),
    ("approvals", "/api/v1/approvals", "/api/v1/approvals/{id}", "What people were asked, and what they answered."),
    (
        "recommendations",
        "/api/v1/recommendations",
        "/api/v1/recommendations/{id}",
        "What would be better, with the figures that say so.",
    ),
    (
        "standing",
        "/api/v1/standing-approvals",
        "/api/v1/standing-approvals/{id}",
        "What people agreed to beforehand, and did not take back: actions, targets, budget, until when.",
    ),
    ("agents", "/api/v1/agents", "/api/v1/agents/{id}", "Who carries out steps, and what they may."),
];

pub(crate) fn routes() -> Vec<Route> {
    let of = |(view, all, single, says): (&'static str, &'static str, &'static str, &'static str)| {
        let list = move |shared: App, page: Asked<Page>| list(view, shared, page);
        let one = move |shared: App, id: Path<String>| one(view, shared, id);
        [
            Route::get(all, Needs::Reader, list).says(view, "List them", says).query::<Page>().answers::<Listed>(),
            Route::get(single, Needs::Reader, one).says(view, "Get one", says).answers::<Item>().tagged(),
        ]
    };
    VIEWS.into_iter().flat_map(of).collect()
}

documents! {
    /// One of a list: its `id`, its `state` in a word, and what the entries about it say last.
    Item;
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    items: Vec<Item>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<String>,
    /// How many entries of the journal the list is of.
    as_of: u64,
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Page {
    /// The `next` of the page before.
    after: Option<String>,
    /// Items at the most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: usize,
    /// Whether the newest come first.
    newest_first: bool,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: None, limit: 100, newest_first: false }
    }
}

async fn list(view: &'static str, State(shared): App, Asked(page): Asked<Page>) -> Answer<Listed> {
    let journal = shared.pipeline.journal();
    let limit = super::limit(page.limit)?;
    let after = page.after.as_deref();
    let (mut docs, as_of) = if page.newest_first {
        journal.docs_back(view, "", after, limit + 1).await?
    } else {
        journal.docs(view, "", after, limit + 1).await?
    };
    let more = docs.len() > limit;
    docs.truncate(limit);
    let next = docs.last().filter(|_| more).map(|(key, _)| key.clone());
    let mut items = Vec::with_capacity(docs.len());
    for (key, doc) in docs {
        items.push(Item(item(&shared, view, &key, doc).await?));
    }
    Ok(Json(Listed { items, next, as_of }))
}

async fn one(view: &'static str, State(shared): App, Path(id): Path<String>) -> Result<(Tag, Json<Item>), Failure> {
    // Asked for before what it stands for: one that is too old is refused, one that is too new would not be.
    let tag = tag(&shared, view, &id).await?;
    let doc = shared.pipeline.journal().doc(view, &id).await?;
    let doc = doc.ok_or_else(|| Failure::not_found(view.trim_end_matches('s'), &id))?;
    let mut item = item(&shared, view, &id, doc).await?;
    if view == "approvals" {
        let votes = votes(shared.pipeline.journal(), &id).await?.into_iter();
        let told =
            votes.map(|vote| json!({"by": vote.by.id, "agrees": vote.agrees, "reason": vote.reason, "at": vote.at}));
        item["answers"] = told.collect();
    }
    Ok((tag, Json(Item(item))))
}

/// `ETag` of a single resource: how many entries there are about it.
type Tag = [(HeaderName, String); 1];

async fn tag(shared: &Shared, view: &str, id: &str) -> Result<Tag, Failure> {
    Ok([(header::ETAG, format!("\"{}\"", shared.pipeline.journal().ledger().stream_version(&stream(view, id)).await?))])
}

/// What somebody answered.
pub(crate) struct Vote {
    pub(crate) by: Actor,
    pub(crate) agrees: Option<bool>,
    /// Their words, or that they were erased.
    pub(crate) reason: Option<String>,
    pub(crate) at: Timestamp,
}

/// What people answered, oldest first.
pub(crate) async fn votes(journal: &Journal, approval: &str) -> Result<Vec<Vote>, LedgerError> {
    let mut votes = Vec::new();
    for entry in journal.stream(&format!("approval/{approval}")).await? {
        if entry.kind != "approval.voted/1" {
            continue;
        }
        let reason = text_of(journal.ledger(), entry.body.get("reason")).await?;
        let agrees = entry.body.get("agrees").and_then(Value::as_bool);
        votes.push(Vote { by: entry.actor, agrees, reason, at: entry.timestamp });
    }
    Ok(votes)
}

async fn item(shared: &Shared, view: &str, key: &str, mut doc: Value) -> Result<Value, Failure> {
    doc["id"] = json!(key);
    if let Some(state) = status::of(shared, view, key, &doc) {
        doc["state"] = json!(state.replace(' ', "_"));
    }
    if view == "intents" {
        return Ok(status::in_force(shared.pipeline.journal(), key, doc).await?);
    }
    if view == "recommendations" {
        // What moves it on names it; what it recommends stands in its first entry.
        doc["recommendation"] = recommendation_made(shared.pipeline.journal(), key).await?["recommendation"].clone();
    }
    Ok(doc)
}
