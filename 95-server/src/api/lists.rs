//! What is listed: documents that follow from the journal, page by page.

use super::filter::{LOOKED_THROUGH_MAX, Which, begins};
use super::holders::Holders;
use super::matches::{Tag, Thing, tagged};
use super::route::{Route, documents};
use super::{Answer, App, Asked, Needs, PAGE_MAX, Path, Shared, parsed};
use crate::benefit::{expected, measured};
use crate::console::words::{text, time_of};
use crate::error::Failure;
use crate::question::Question;
use crate::status;
use crate::versions::unified;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::{IntoParams, ToSchema};
use writ_core::{Actor, ApprovalId, Digest, LedgerError, PrincipalId, Timestamp};
use writ_pipeline::{Journal, recommendation_made, text_of};

/// Views that can be listed, each with the paths of the list and of one, and what they are.
const VIEWS: [(&str, &str, &str, &str); 7] = [
    (
        "intents",
        "/api/v1/intents",
        "/api/v1/intents/{id}",
        "What has to hold, and how far it has come. Figures of the plan are of the version in force, or of the newest while none is; \
         of one that was taken away, of the one that was in force last, which `shown_version` names if it is not the newest.",
    ),
    ("runs", "/api/v1/runs", "/api/v1/runs/{id}", "Changes under way and done."),
    (
        "incidents",
        "/api/v1/incidents",
        "/api/v1/incidents/{id}",
        "What was noticed to be wrong, and what was tried. `intent` is the one that had its component then.",
    ),
    (
        "approvals",
        "/api/v1/approvals",
        "/api/v1/approvals/{id}",
        "What people were asked, and what they answered. One alone also says which rules demand it (`demands`), what changes (`diff`) and how far it reaches (`reach`).",
    ),
    (
        "recommendations",
        "/api/v1/recommendations",
        "/api/v1/recommendations/{id}",
        "What would be better, with the figures that say so. One that is `outdated` was made for another version than the one in force, \
         and cannot be approved. One alone also says what would change (`diff`), what it should bring (`expected`), and what was `measured`.",
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
            Route::get(all, Needs::Reader, list)
                .says(view, "List them", says)
                .query::<Page>()
                .also(Which::parameters(view))
                .answers::<Listed>(),
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
    // What not every list can be asked for stands with each list's route.
    #[param(ignore)]
    state: Option<String>,
    #[param(ignore)]
    intent: Option<String>,
    #[param(ignore)]
    component: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: None, limit: 100, newest_first: false, state: None, intent: None, component: None }
    }
}

async fn list(view: &'static str, State(shared): App, Asked(page): Asked<Page>) -> Answer<Listed> {
    let Page { after, limit, newest_first, state, intent, component } = page;
    let (limit, which) = (super::limit(limit)?, Which { state, intent, component }.of(view)?);
    begins(&shared, view, after.as_deref()).await?;
    let (mut items, mut known, mut from, mut looked) = (Vec::new(), Known::default(), after, 0);
    loop {
        let read = if which.is_all() { limit + 1 } else { PAGE_MAX };
        let (docs, as_of) = chunk(&shared, view, &which, from.as_deref(), read, newest_first).await?;
        let more = docs.len() == read;
        for (key, doc) in docs {
            if items.len() == limit {
                return Ok(Json(Listed { items, next: from, as_of }));
            }
            if which.stands(&shared, view, &key, &doc) {
                let item = item(&shared, view, &key, doc, &mut known).await?;
                items.extend(Some(item).filter(|item| which.takes(view, item)).map(Item));
            }
            (from, looked) = (Some(key), looked + 1);
        }
        if !more || looked >= LOOKED_THROUGH_MAX {
            return Ok(Json(Listed { items, next: from.filter(|_| more), as_of }));
        }
    }
}

/// Documents of a list in their order, behind one where one is given; of what is filed, only those.
async fn chunk(
    shared: &Shared,
    view: &str,
    which: &Which,
    after: Option<&str>,
    limit: usize,
    newest_first: bool,
) -> Result<(Vec<(String, Value)>, u64), LedgerError> {
    let journal = shared.pipeline.journal();
    let read = async |view: &str, under: &str, after: Option<&str>| match newest_first {
        true => journal.docs_back(view, under, after, limit).await,
        false => journal.docs(view, under, after, limit).await,
    };
    let Some(under) = which.filed(view) else { return read(view, "", after).await };
    let (filed, as_of) = read("filed", &under, after.map(|after| format!("{under}{after}")).as_deref()).await?;
    let mut docs = Vec::with_capacity(filed.len());
    for (key, _) in filed {
        let id = key.strip_prefix(&under).unwrap_or(&key).to_owned();
        // What is filed and not there is passed over, and counts as read.
        let doc = journal.doc(view, &id).await?.unwrap_or_default();
        docs.push((id, doc));
    }
    Ok((docs, as_of))
}

async fn one(view: &'static str, State(shared): App, Path(id): Path<String>) -> Result<(Tag, Json<Item>), Failure> {
    // Asked for before what it stands for: one that is too old is refused, one that is too new would not be.
    let tag = tagged(Thing::one(view, &id).tag(&shared).await?);
    let doc = shared.pipeline.journal().doc(view, &id).await?;
    let doc = doc.ok_or_else(|| Failure::not_found(view.trim_end_matches('s'), &id))?;
    let mut item = item(&shared, view, &id, doc.clone(), &mut Known::default()).await?;
    if view == "approvals" {
        let told = counted(&shared, &parsed(&id)?).await?.into_iter().map(|(vote, counts)| {
            json!({"by": vote.by.id, "agrees": vote.agrees, "counts": counts, "reason": vote.reason, "at": vote.at})
        });
        item["answers"] = told.collect();
        add(&mut item, Question::of(&shared, &id, &doc).await?.document());
    }
    if view == "recommendations" {
        let texts = shared.pipeline.recommended_texts(&id).await;
        let texts = texts.map_err(|error| Failure::of_reflect(error, &shared.pipeline))?;
        let diff = texts.map(|(old, new)| unified(("in force", &old), ("recommended", &new)));
        let expected = expected(&item["recommendation"]);
        add(&mut item, json!({"diff": diff, "expected": expected, "measured": measured(&doc)}));
    }
    Ok((tag, Json(Item(item))))
}

/// Adds the fields of a document to another.
fn add(item: &mut Value, more: Value) {
    if let (Value::Object(item), Value::Object(more)) = (item, more) {
        item.extend(more);
    }
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

/// What people answered, oldest first, each with whether it counts while the question is open: it does not where they lost the role,
/// and of one person only the last can.
pub(crate) async fn counted(shared: &Shared, approval: &ApprovalId) -> Result<Vec<(Vote, Option<bool>)>, Failure> {
    let votes = votes(shared.pipeline.journal(), approval.as_str()).await?;
    let lost = shared.pipeline.discounted(approval).await?;
    Ok(match lost {
        Some(lost) => count(votes, &lost).into_iter().map(|(vote, counts)| (vote, Some(counts))).collect(),
        None => votes.into_iter().map(|vote| (vote, None)).collect(),
    })
}

fn count(votes: Vec<Vote>, lost: &BTreeSet<PrincipalId>) -> Vec<(Vote, bool)> {
    let last: BTreeMap<String, usize> = votes.iter().enumerate().map(|(at, vote)| (vote.by.id.clone(), at)).collect();
    let counts = |(at, vote): (usize, Vote)| {
        let counts = last.get(&vote.by.id) == Some(&at) && !lost.iter().any(|one| one.as_str() == vote.by.id);
        (vote, counts)
    };
    votes.into_iter().enumerate().map(counts).collect()
}

/// What items of a list have in common and is looked up once.
#[derive(Default)]
struct Known {
    bases: Bases,
    holders: Holders,
}

/// What is in force of what recommendations would change, as far as it was looked up.
#[derive(Default)]
struct Bases(BTreeMap<String, Option<Digest>>);

impl Bases {
    /// Whether what a recommendation was made for is no longer what is in force: nobody can approve it then.
    async fn is_outdated(&mut self, shared: &Shared, recommendation: &Value) -> Result<bool, Failure> {
        let Some(patch) = recommendation.get("patch") else { return Ok(false) };
        let target = text(patch, "/target");
        let now = match self.0.get(target) {
            Some(known) => *known,
            None => {
                let found = shared.pipeline.base_in_force(target).await;
                let found = found.map_err(|error| Failure::of_reflect(error, &shared.pipeline))?;
                self.0.insert(target.to_owned(), found);
                found
            }
        };
        Ok(now.is_none_or(|now| text(patch, "/base") != now.to_string()))
    }
}

/// Whether what a recommendation was made for is no longer what is in force.
pub(crate) async fn is_outdated(shared: &Shared, recommendation: &Value) -> Result<bool, Failure> {
    Bases::default().is_outdated(shared, recommendation).await
}

async fn item(shared: &Shared, view: &str, key: &str, mut doc: Value, known: &mut Known) -> Result<Value, Failure> {
    doc["id"] = json!(key);
    if let Some(state) = status::of(shared, view, key, &doc) {
        doc["state"] = json!(state.replace(' ', "_"));
    }
    if view == "intents" {
        return Ok(status::in_force(doc));
    }
    if view == "incidents" {
        let at = time_of(&doc, "/since").unwrap_or_else(|| shared.pipeline.journal().now());
        let holder = known.holders.at(shared.pipeline.journal(), text(&doc, "/component"), at).await?;
        doc["intent"] = json!(holder);
    }
    if view == "recommendations" {
        // What moves it on names it; what it recommends stands in its first entry.
        let journal = shared.pipeline.journal();
        let open = status::is_open(status::recommendation(&doc, journal.now()));
        doc["recommendation"] = recommendation_made(journal, key).await?["recommendation"].clone();
        doc["outdated"] = json!(open && known.bases.is_outdated(shared, &doc["recommendation"]).await?);
    }
    Ok(doc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_person_the_last_answer_counts_and_of_whoever_lost_the_role_none() {
        let vote = |by: &str| {
            let by = Actor::human(&by.parse().unwrap());
            Vote { by, agrees: Some(true), reason: None, at: "2026-01-01T00:00:00Z".parse().unwrap() }
        };
        let votes = ["ada", "bea", "cid", "ada"].map(vote).into();
        let counts: Vec<bool> =
            count(votes, &BTreeSet::from(["cid".parse().unwrap()])).into_iter().map(|(_, counts)| counts).collect();
        assert_eq!(counts, [false, true, false, true]);
    }
}
