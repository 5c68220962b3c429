//! Versions of an intent: who handed in which, what became of it, and how two of them differ.

use super::part::Part;
use super::route::{Route, documents};
use super::{Answer, App, Asked, Needs, Path, parsed};
use crate::console::named;
use crate::console::words::{number, text};
use crate::error::Failure;
use crate::versions::{Fates, because, manifest, newest, stands, unified};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use writ_core::IntentId;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/intents/{id}/history", Needs::Reader, history)
            .says(
                "intents",
                "List what became of each version",
                "Newest first: who handed it in and when, how it stands, why, and which is in force.",
            )
            .query::<Part>()
            .answers::<History>(),
        Route::get("/api/v1/intents/{id}/diff", Needs::Reader, diff)
            .says(
                "intents",
                "Show how two versions differ",
                "As `diff -u` does. Without `old` and `new`, the newest against the one in force, or against the one before it.",
            )
            .query::<Pair>()
            .answers::<Difference>()
            .fails(&[409]),
    ]
}

documents! {
    /// A version: its `version`, `by` whom, `at`, its `state`, `because` of what, and whether it is `in_force`; `manifest` is the digest
    /// of its text and `digest` that of what it asks for, however it is written.
    Version;
}

/// A page of the versions of an intent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    items: Vec<Version>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<String>,
}

async fn history(State(shared): App, Path(id): Path<String>, Asked(page): Asked<Part>) -> Answer<History> {
    let intent: IntentId = parsed(&id)?;
    let journal = shared.pipeline.journal();
    let doc = journal.doc("intents", &id).await?.ok_or_else(|| Failure::not_found("intent", intent.as_str()))?;
    let entries = journal.stream(&format!("intent/{id}")).await?;
    let fates = Fates::of(&entries);
    let submitted = entries.iter().filter(|entry| entry.kind == "intent.submitted/1").rev();
    let all = submitted.map(|entry| (number(&entry.body, "/version").to_string(), Some(entry)));
    let (found, next) = page.of(all.collect())?;
    let mut items = Vec::with_capacity(found.len());
    for entry in found {
        let version = number(&entry.body, "/version");
        let stand = stands(&shared, &id, &doc, &fates, version);
        let by = named(journal, &entry.actor).await?;
        items.push(Version(json!({
            "version": version, "by": by, "at": entry.timestamp, "state": stand.state.replace(' ', "_"),
            "because": because(journal, &entries, entry, &stand).await?, "in_force": version == fates.in_force,
            "manifest": text(&entry.body, "/manifest"), "digest": text(&entry.body, "/digest"),
        })));
    }
    Ok(Json(History { items, next }))
}

/// Two versions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Pair {
    /// The one that is held against; the one in force unless it is said.
    #[param(minimum = 1)]
    old: Option<u64>,
    /// The other; the newest unless it is said.
    #[param(minimum = 1)]
    new: Option<u64>,
}

/// How two versions differ.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Difference {
    intent: String,
    old: u64,
    new: u64,
    /// As `diff -u` shows it; empty where their texts are the same.
    diff: String,
}

async fn diff(State(shared): App, Path(id): Path<String>, Asked(pair): Asked<Pair>) -> Answer<Difference> {
    let intent: IntentId = parsed(&id)?;
    let journal = shared.pipeline.journal();
    let doc = journal.doc("intents", &id).await?.ok_or_else(|| Failure::not_found("intent", intent.as_str()))?;
    let entries = journal.stream(&format!("intent/{id}")).await?;
    let new = pair.new.unwrap_or_else(|| newest(&entries));
    let applied = Some(number(&doc, "/applied_version")).filter(|applied| *applied > 0 && *applied != new);
    let old = pair.old.or(applied).unwrap_or(new.saturating_sub(1));
    let text = async |version: u64, name: &str| {
        manifest(journal, &entries, version).await?.ok_or_else(|| Failure::no_version(&id, version).parameter(name))
    };
    let after = text(new, "new").await?;
    if old == 0 && pair.old.is_none() {
        let detail = format!("version {new} of `{id}` is its first, and there is none before it to hold it against");
        return Err(
            Failure::new(StatusCode::CONFLICT, "refused", detail).hint(format!("`writ intent get {id}` shows it"))
        );
    }
    let before = text(old, "old").await?;
    let names = [old, new].map(|version| format!("{id} v{version}"));
    let diff = unified((&names[0], &before), (&names[1], &after));
    Ok(Json(Difference { intent: id, old, new, diff }))
}
