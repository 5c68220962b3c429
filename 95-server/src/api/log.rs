//! Single entries with their proofs, checkpoints, plans, and the journal as other systems read it.

use super::audit::{Entry, filter, filtered};
use super::route::{Route, documents};
use super::{Answer, App, Asked, Needs, Path, Shared};
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use writ_core::{ActorKind, Digest, Filter, Outcome, Stored};
use writ_pipeline::decode;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/audit/entries/{id}", Needs::Reader, entry)
            .says("audit", "Get an entry", "By its place in the journal or its event id.")
            .answers::<Entry>(),
        Route::get("/api/v1/audit/entries/{id}/proof", Needs::Reader, proof)
            .says(
                "audit",
                "Prove that an entry is in the journal",
                "The entry's bytes, its path to the root (RFC 6962), and the newest checkpoint with that root, signed.",
            )
            .answers::<EntryProof>(),
        Route::get("/api/v1/audit/checkpoints", Needs::Reader, checkpoints)
            .says("audit", "List checkpoints", "C2SP signed notes, by size; one for each group of entries that was committed.")
            .query::<From>()
            .answers::<Checkpoints>(),
        Route::get("/api/v1/audit/export", Needs::Reader, export)
            .says(
                "audit",
                "Export entries as OCSF",
                "API Activity (class 6003), oldest first, of the entries that each filter fits. `next` is the place of the entry that \
                 is looked at next, or would be: whoever asks with it again later goes on from there.",
            )
            .query::<Export>()
            .answers::<OcsfPage>(),
        Route::get("/api/v1/plans/{digest}", Needs::Reader, plan)
            .says("intents", "Get a plan", "By its attachment's digest, as entries name it.")
            .answers::<Plan>(),
    ]
}

documents! {
    /// A plan: its steps with what each needs, its predictions, and what it was made for.
    Plan;
    /// An event of OCSF's class API Activity (6003); what OCSF has no word for stands under `unmapped`.
    OcsfEvent;
}

/// All that is needed to check that an entry is in the journal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryProof {
    /// The entry's place.
    seq: u64,
    /// The entry's bytes, as they are hashed.
    entry: String,
    /// The path from the entry to the root, hexadecimal.
    proof: Vec<String>,
    /// How many entries the checkpoint is of.
    size: u64,
    /// The checkpoint, a signed note.
    checkpoint: String,
    /// The verifier key.
    key: String,
}

/// A checkpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckpointAt {
    /// How many entries it is of.
    size: u64,
    /// The signed note.
    note: String,
}

/// A page of checkpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checkpoints {
    items: Vec<CheckpointAt>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<u64>,
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct From {
    /// The `next` of the page before.
    after: u64,
    /// Items at the most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: usize,
}

impl From {
    /// Behind which place it begins. What no journal comes to is no place.
    pub(super) fn place(&self) -> u64 {
        self.after.min(i64::MAX.unsigned_abs())
    }
}

impl Default for From {
    fn default() -> Self {
        Self { after: 0, limit: 100 }
    }
}

filtered! {
    /// What is to be exported, and in which form.
    Export {
        /// The form.
        #[param(inline)]
        format: Format,
        /// The `next` of the page before.
        #[serde(default)]
        after: u64,
        /// Items at the most; 100 unless it is said.
        #[param(minimum = 1, maximum = 1000)]
        limit: Option<usize>,
    }
}

/// A form in which other systems read the journal.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// Open Cybersecurity Schema Framework.
    Ocsf,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OcsfPage {
    items: Vec<OcsfEvent>,
    /// Where to go on.
    next: u64,
}

async fn found(shared: &Shared, id: &str) -> Result<Stored, Failure> {
    let ledger = shared.pipeline.journal().ledger();
    let stored = match id.parse::<u64>() {
        // What no journal comes to is no place.
        Ok(seq) if seq > i64::MAX.unsigned_abs() => None,
        Ok(seq) => ledger.entries(seq, 1).await?.into_iter().find(|stored| stored.seq == seq),
        Err(_) => ledger.by_event(id).await?,
    };
    stored.ok_or_else(|| Failure::not_found("entry", id))
}

async fn entry(State(shared): App, Path(id): Path<String>) -> Answer<Entry> {
    Ok(Json(Entry(json!(decode(&found(&shared, &id).await?)?))))
}

async fn proof(State(shared): App, Path(id): Path<String>) -> Answer<EntryProof> {
    let stored = found(&shared, &id).await?;
    let journal = shared.pipeline.journal();
    let kept = journal.ledger().checkpoint(None).await?;
    let kept = kept.filter(|kept| stored.seq < kept.size).ok_or_else(Failure::no_checkpoint)?;
    let hashes = journal.inclusion(stored.seq, kept.size).await?;
    Ok(Json(EntryProof {
        seq: stored.seq,
        entry: String::from_utf8_lossy(&stored.bytes).into_owned(),
        proof: hashes.iter().map(Digest::hex).collect(),
        size: kept.size,
        checkpoint: kept.note,
        key: journal.key().to_string(),
    }))
}

async fn checkpoints(State(shared): App, Asked(from): Asked<From>) -> Answer<Checkpoints> {
    let limit = super::limit(from.limit)?;
    let mut found = shared.pipeline.journal().ledger().checkpoints(from.place(), limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|kept| kept.size);
    let items = found.into_iter().map(|kept| CheckpointAt { size: kept.size, note: kept.note }).collect();
    Ok(Json(Checkpoints { items, next }))
}

async fn plan(State(shared): App, Path(digest): Path<String>) -> Answer<Plan> {
    let missing = || Failure::not_found("plan", &digest);
    let wanted = super::digest(&digest)?;
    let bytes = shared.pipeline.journal().ledger().attachment(&wanted).await?.ok_or_else(missing)?;
    let plan: writ_core::Plan = serde_json::from_slice(&bytes).map_err(|_| missing())?;
    Ok(Json(Plan(json!(plan))))
}

async fn export(State(shared): App, Asked(wanted): Asked<Export>) -> Answer<OcsfPage> {
    let (Format::Ocsf, limit) = (wanted.format, super::limit(wanted.limit.unwrap_or(100))?);
    let filter = filter(&shared, &wanted.named(), Some(wanted.after.min(i64::MAX.unsigned_abs()))).await?;
    let journal = shared.pipeline.journal();
    // Read before what is found: whatever is recorded from here on is for whoever asks again.
    let size = *journal.size().borrow();
    let found = journal.ledger().query(&Filter { newest_first: false, ..filter }, limit).await?;
    let behind = found.last().map_or(wanted.after, |stored| stored.seq + 1);
    let next = if found.len() < limit { behind.max(size) } else { behind };
    let items =
        found.iter().map(|stored| decode(stored).map(|entry| OcsfEvent(ocsf(&entry)))).collect::<Result<_, _>>()?;
    Ok(Json(OcsfPage { items, next }))
}

/// OCSF's numbers: the class API Activity, and the activity that is none of create, read, update and delete.
const API_ACTIVITY: u32 = 6003;
const OTHER: u32 = 99;

fn ocsf(entry: &writ_core::Entry) -> Value {
    let (status, status_id) = match entry.outcome {
        Outcome::Success => ("Success", 1),
        Outcome::Failure | Outcome::Denied => ("Failure", 2),
        Outcome::Started | Outcome::Skipped => ("Other", OTHER),
        Outcome::Unknown => ("Unknown", 0),
    };
    let who = match entry.actor.kind {
        ActorKind::Human => json!({"user": {"uid": entry.actor.id, "type_id": 1}}),
        ActorKind::Agent | ActorKind::System => json!({"app_name": entry.actor.id}),
    };
    json!({
        "category_uid": 6, "class_uid": API_ACTIVITY, "activity_id": OTHER, "activity_name": entry.action,
        "type_uid": API_ACTIVITY * 100 + OTHER, "severity_id": if entry.outcome == Outcome::Denied { 3 } else { 1 },
        "time": entry.timestamp.millis(), "status": status, "status_id": status_id, "status_code": entry.outcome,
        "metadata": {
            "version": "1.5.0", "uid": entry.event_id, "sequence": entry.seq, "correlation_uid": entry.trace_id,
            "product": {"name": "writ", "vendor_name": "writ", "version": env!("CARGO_PKG_VERSION")},
        },
        "actor": who, "src_endpoint": {"svc_name": "writ"},
        "api": {"operation": entry.action, "service": {"name": entry.kind.split('.').next()}},
        "resources": [{"name": entry.resource, "type": entry.stream.split('/').next()}],
        "unmapped": {
            "kind": entry.kind, "stream": entry.stream, "version": entry.version, "cause": entry.cause, "prev": entry.prev,
            "body": entry.body,
        },
    })
}
