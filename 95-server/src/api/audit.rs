//! The journal: queries, verification, stories, evidence, and the log in the form that foreign verifiers read.

use super::route::{Route, documents};
use super::{Answer, App, Asked, Caller, Needs, Of, Path, Shared};
use crate::error::Failure;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use writ_audit::{Checkpoint, TileAt};
use writ_core::{Digest, Filter, Outcome, Timestamp};
use writ_pipeline::{
    Journal, RotateError, TokenError, Trust, VerifyError, decode, error_chain, evidence as evidence_of, key_chain,
    person, tile as tile_of, why as why_of,
};

const BYTES: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/why/{*id}", Needs::Reader, why)
            .says(
                "audit",
                "Tell why something is as it is",
                "Of an intent, run, incident, recommendation, approval, waiver, permit, ticket, token, agent, entry, resource, process, rule \
                 or digest; `last` is the newest incident, or else the newest run.",
            )
            .answers::<Story>(),
        Route::get("/api/v1/audit/entries", Needs::Reader, query)
            .says("audit", "Find entries", "Newest first unless it is said. Each filter that is given must fit.")
            .query::<EntriesWanted>()
            .answers::<EntryPage>(),
        Route::get("/api/v1/audit/verify", Needs::Reader, verify)
            .says(
                "audit",
                "Check the whole journal",
                "Hashes, tree, checkpoints, attachments, and what the witness remembers. What does not hold is a problem \
                 `unverified`, with the entry.",
            )
            .answers::<Verified>()
            .fails(&[409]),
        Route::get("/api/v1/audit/evidence/{*id}", Needs::Reader, evidence)
            .says(
                "audit",
                "Get the evidence about something",
                "A file that `writ verify` checks with no server at hand: the entries, their proofs under one checkpoint, attachments.",
            )
            .answers::<Evidence>(),
        Route::post("/api/v1/audit/rotate-key", Needs::Admin, Of::Realm, rotate_key)
            .says("audit", "Change the journal's key", "The entry that says so is signed by both keys.")
            .answers::<Rotated>()
            .fails(&[409]),
        Route::get("/log/checkpoint", Needs::Nobody, checkpoint)
            .says("log", "Get the newest checkpoint", "A C2SP signed note.")
            .answers_as(TEXT)
            .fails(&[404]),
        Route::get("/log/key", Needs::Nobody, key)
            .says("log", "Get the verifier key", "For whoever has none yet. Compare it with what you were told elsewhere.")
            .answers_as(TEXT),
        Route::get("/log/tile/{*path}", Needs::Reader, tile)
            .says("log", "Get a tile", "C2SP tlog-tiles: hashes under a level, entries under `entries`.")
            .answers_as(BYTES),
        Route::get("/log/attachment/{digest}", Needs::Reader, attachment)
            .says("log", "Get an attachment", "Manifests, facts, plans, bundles and outputs, by what they hash to.")
            .answers_as(BYTES),
    ]
}

documents! {
    /// The story of something: `subject`, `because` from the first cause on, `then` what happened to it, and whether it is `cut`.
    Story;
    /// An entry of the journal, as it was recorded.
    Entry;
    /// An evidence file; `writ verify` checks it offline.
    Evidence;
}

/// A page of entries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryPage {
    pub(super) items: Vec<Entry>,
    /// What to ask for as `after`; none when there is no more.
    pub(super) next: Option<u64>,
}

/// A journal that holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verified {
    /// The journal's name.
    log: String,
    /// Entries.
    size: u64,
    /// The root of their tree.
    #[schema(value_type = String)]
    root: Digest,
    attachments: u64,
    checkpoints: u64,
    /// Whether a witness remembers it.
    witness: bool,
    /// The verifier key.
    key: String,
    /// Where it went on after a rollback.
    #[schema(value_type = Vec<Object>)]
    continued: Value,
}

/// The keys of a rotation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rotated {
    /// The verifier key until now.
    old: String,
    /// The verifier key from now on.
    new: String,
}

/// A query string that filters entries, with what else it says.
macro_rules! filtered {
    ($(#[$says:meta])* $name:ident { $($more:tt)* }) => {
        $(#[$says])*
        #[derive(Debug, Deserialize, IntoParams)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            /// Who did it: a person by name or id, an agent, a part of writ; with its sort before it where that is meant alone (`agent:x`).
            actor: Option<String>,
            /// What was done: `open_incident`, or `open incident` as tables show it.
            action: Option<String>,
            resource: Option<String>,
            outcome: Option<String>,
            trace: Option<String>,
            stream: Option<String>,
            /// `run` for all of runs, `run.failed` for every version of one, `run.failed/1` for that alone.
            kind: Option<String>,
            /// The earliest time.
            #[param(format = DateTime)]
            from: Option<String>,
            /// The latest time.
            #[param(format = DateTime)]
            to: Option<String>,
            $($more)*
        }

        impl $name {
            /// The filters that are given, by name.
            fn named(&self) -> BTreeMap<&str, &str> {
                let all = [
                    ("actor", &self.actor),
                    ("action", &self.action),
                    ("resource", &self.resource),
                    ("outcome", &self.outcome),
                    ("trace", &self.trace),
                    ("stream", &self.stream),
                    ("kind", &self.kind),
                    ("from", &self.from),
                    ("to", &self.to),
                ];
                all.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?))).collect()
            }
        }
    };
}
pub(super) use filtered;

filtered! {
    /// Which entries, and in which order.
    EntriesWanted {
        /// The `next` of the page before.
        after: Option<u64>,
        #[serde(default)]
        oldest_first: bool,
        /// Entries at the most; 100 unless it is said.
        #[param(minimum = 1, maximum = 1000)]
        limit: Option<usize>,
    }
}

fn bad(detail: String) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
}

/// The kinds that a name stands for: `run` for all of runs, `run.failed` for every version of one.
fn kinds(name: &str) -> String {
    match name.split_once('.') {
        None => format!("{name}."),
        Some((_, "")) => name.to_owned(),
        Some((_, kind)) if kind.contains('/') => name.to_owned(),
        Some(_) => format!("{name}/"),
    }
}

/// The actor that a text means: as entries have it, or as pages show it, a person by name and an agent with the word before it.
async fn actor(shared: &Shared, text: &str) -> Result<String, Failure> {
    let text = text.trim();
    let (kind, name) = text.split_once(':').or_else(|| text.split_once(' ')).unwrap_or(("", text));
    let name = match kind {
        "agent" | "system" => return Ok(format!("{kind}:{}", name.trim())),
        "human" => name.trim(),
        _ => text,
    };
    let journal = shared.pipeline.journal();
    if kind != "human" {
        // Agents and parts of writ stand in entries under the names that pages show.
        let done = Filter { actor: Some(name.to_owned()), newest_first: true, ..Filter::default() };
        if !journal.ledger().query(&done, 1).await?.is_empty() {
            return Ok(name.to_owned());
        }
    }
    match person(journal, name).await {
        Ok(person) => Ok(format!("human:{}", person.principal)),
        Err(TokenError::Nobody { .. }) => Err(bad(format!("nobody here is called `{}`", crate::error::short(name)))
            .hint("name a person by name or id, as under Settings, an agent, or a part of writ, as `pipeline`")
            .parameter("actor")),
        Err(error) => Err(error.into()),
    }
}

/// The filter that named texts ask for, newest first, before an entry where one is given. The texts may be those that pages
/// and tables show.
pub(crate) async fn filter(
    shared: &Shared,
    wanted: &BTreeMap<&str, &str>,
    before: Option<u64>,
) -> Result<Filter, Failure> {
    let text = |name: &str| wanted.get(name).map(|text| (*text).to_owned());
    let time = |name: &'static str| {
        let read = |text: &&str| {
            text.parse::<Timestamp>()
                .map_err(|error| bad(error.to_string()).hint("as in `2026-01-31T12:00:00Z`").parameter(name))
        };
        wanted.get(name).map(read).transpose()
    };
    let outcome = |text: String| {
        let unknown = bad(format!("`{}` is no outcome", crate::error::short(&text)))
            .hint("one of started, success, failure, denied, skipped, unknown")
            .parameter("outcome");
        serde_json::from_value::<Outcome>(json!(text)).map_err(|_| unknown)
    };
    let trace = text("trace").map(TryInto::try_into).transpose();
    let filter = Filter {
        from_time: time("from")?,
        to_time: time("to")?,
        trace: trace.map_err(|error: writ_core::IdError| bad(error.to_string()).parameter("trace"))?,
        actor: match wanted.get("actor") {
            Some(text) => Some(actor(shared, text).await?),
            None => None,
        },
        action: text("action").map(|action| action.trim().replace(' ', "_")),
        resource: text("resource"),
        outcome: text("outcome").map(outcome).transpose()?,
        stream: text("stream"),
        kind: text("kind").map(|kind| kinds(&kind)),
        from_seq: before,
        newest_first: true,
    };
    if let (Some(from), Some(to)) = (filter.from_time, filter.to_time)
        && from > to
    {
        return Err(bad(format!("`from` ({from}) is after `to` ({to})")).hint("turn them round").parameter("from"));
    }
    Ok(filter)
}

async fn query(State(shared): App, Asked(wanted): Asked<EntriesWanted>) -> Answer<EntryPage> {
    let limit = super::limit(wanted.limit.unwrap_or(100))?;
    let filter = filter(&shared, &wanted.named(), wanted.after).await?;
    let filter = Filter { newest_first: !wanted.oldest_first, ..filter };
    let found = shared.pipeline.journal().ledger().query(&filter, limit + 1).await?;
    let told = |stored| decode(stored).map(|entry| Entry(json!(entry)));
    let items = found.iter().take(limit).map(told).collect::<Result<Vec<_>, _>>()?;
    let next = if found.len() > limit { found.last().map(|stored| stored.seq) } else { None };
    Ok(Json(EntryPage { items, next }))
}

async fn verify(State(shared): App, caller: Caller) -> Answer<Verified> {
    shared.throttle.verify(&caller.0.id)?;
    check(&shared).await.map(Json)
}

/// Checks the whole journal, down to what the witness remembers.
pub(crate) async fn check(shared: &Shared) -> Result<Verified, Failure> {
    let journal = shared.pipeline.journal();
    let key = journal.key();
    let witnessed = journal.base().witness.latest().map_err(|error| Failure::internal(&error))?;
    let pins = match &witnessed {
        Some(note) => vec![remembered(journal, note).await?],
        None => Vec::new(),
    };
    let trust = Trust { key: Some(key.clone()), pins };
    match writ_pipeline::verify(journal.ledger(), &trust).await {
        Ok(audit) => Ok(Verified {
            log: key.name.clone(),
            size: audit.size,
            root: audit.root,
            attachments: audit.attachments,
            checkpoints: audit.checkpoints,
            witness: witnessed.is_some(),
            key: key.to_string(),
            continued: json!(audit.continued),
        }),
        Err(VerifyError::Fault(fault)) => {
            let detail = fault.to_string();
            Err(Failure::new(StatusCode::CONFLICT, "unverified", detail).with(json!({"entry": fault.seq})))
        }
        Err(VerifyError::Ledger(error)) => Err(error.into()),
    }
}

/// A checkpoint that the witness kept, under the key that was in force when it was made.
async fn remembered(journal: &Journal, note: &str) -> Result<Checkpoint, Failure> {
    let unverified = |error: &dyn std::error::Error| {
        let detail = format!("the checkpoint that the witness remembers does not hold: {}", error_chain(error));
        Failure::new(StatusCode::CONFLICT, "unverified", detail)
    };
    let keys = key_chain(journal.ledger()).await.map_err(|error| unverified(&error))?;
    let (claimed, _) = Checkpoint::parse(note).map_err(|error| unverified(&error))?;
    let key = keys.at(claimed.size).cloned().unwrap_or_else(|| journal.key());
    Checkpoint::open(note, &key.name, &key).map_err(|error| unverified(&error))
}

async fn rotate_key(State(shared): App, caller: Caller) -> Answer<Rotated> {
    let journal = shared.pipeline.journal();
    let old = journal.key();
    let next = (shared.next_key)().map_err(|error| Failure::internal(&error))?;
    let new = journal.rotate_key(next, &caller.actor()).await.map_err(|error| match error {
        RotateError::Commit(error) => Failure::from(error),
        RotateError::UnderWay | RotateError::Unfit { .. } => {
            Failure::new(StatusCode::CONFLICT, "refused", error_chain(&error)).hint("restart writ, then rotate again")
        }
        RotateError::Signer(_) => Failure::internal(&error),
    })?;
    Ok(Json(Rotated { old: old.to_string(), new: new.to_string() }))
}

async fn why(State(shared): App, Path(id): Path<String>) -> Answer<Story> {
    let story = why_of(shared.pipeline.journal(), &id).await?;
    story.map(|story| Json(Story(json!(story)))).ok_or_else(|| Failure::not_known(&id))
}

async fn evidence(State(shared): App, Path(id): Path<String>) -> Answer<Evidence> {
    let bundle = evidence_of(shared.pipeline.journal(), &id).await?;
    bundle.map(|bundle| Json(Evidence(json!(bundle)))).ok_or_else(|| Failure::not_known(&id))
}

async fn checkpoint(State(shared): App) -> Result<String, Failure> {
    let kept = shared.pipeline.journal().ledger().checkpoint(None).await?;
    kept.map(|kept| kept.note).ok_or_else(Failure::no_checkpoint)
}

/// The verifier key, for whoever has none yet.
async fn key(State(shared): App) -> String {
    format!("{}\n", shared.pipeline.journal().key())
}

/// `/log/tile/L/N[.p/W]` and `/log/tile/entries/N[.p/W]`, with N in groups of three digits (C2SP tlog-tiles).
async fn tile(State(shared): App, Path(path): Path<String>) -> Result<impl IntoResponse, Failure> {
    let missing = || Failure::not_found("tile", &path);
    let (level, rest) = path.split_once('/').ok_or_else(missing)?;
    let (index, width) = tile_index(rest).ok_or_else(missing)?;
    let journal = shared.pipeline.journal();
    let bytes: Vec<u8> = if level == "entries" {
        let stored = journal.ledger().entries(index * 256, usize::from(width)).await?;
        if stored.len() < usize::from(width) {
            return Err(missing());
        }
        let prefixed = |bytes: &Vec<u8>| {
            let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            [&length.to_be_bytes()[..], bytes].concat()
        };
        stored.iter().flat_map(|stored| prefixed(&stored.bytes)).collect()
    } else {
        let level = level.parse::<u8>().map_err(|_| missing())?;
        tile_of(journal.ledger(), TileAt { level, index, width }).await?.ok_or_else(missing)?
    };
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], Bytes::from(bytes)))
}

fn tile_index(path: &str) -> Option<(u64, u16)> {
    let (index, width) = match path.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok().filter(|width| (1..256).contains(width))?),
        None => (path, 256),
    };
    let mut number = 0_u64;
    for part in index.split('/') {
        let digits = part.strip_prefix('x').unwrap_or(part);
        if digits.len() != 3 {
            return None;
        }
        number = number.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
    }
    Some((number, width))
}

async fn attachment(State(shared): App, Path(digest): Path<String>) -> Result<Bytes, Failure> {
    let wanted = super::digest(&digest)?;
    let bytes = shared.pipeline.journal().ledger().attachment(&wanted).await?;
    bytes.map(Bytes::from).ok_or_else(|| Failure::not_found("attachment", &digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_may_be_named_without_what_people_do_not_know_of_it() {
        let cases = [
            ("run", "run."),
            ("run.", "run."),
            ("run.failed", "run.failed/"),
            ("run.failed/1", "run.failed/1"),
            ("", "."),
        ];
        for (asked, found) in cases {
            assert_eq!(kinds(asked), found);
        }
    }
}
