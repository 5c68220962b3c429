//! The journal: queries, verification, stories, evidence, and the log in the form that foreign verifiers read.

use super::{Answer, App, Asked, Caller, Path, Shared};
use crate::error::Failure;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_audit::{Checkpoint, TileAt};
use writ_core::{Filter, Outcome, Timestamp};
use writ_pipeline::{
    Journal, RotateError, Trust, VerifyError, decode, error_chain, evidence as evidence_of, key_chain, tile as tile_of,
    why as why_of,
};

/// Filters as a query string has them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wanted {
    actor: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    outcome: Option<String>,
    trace: Option<String>,
    stream: Option<String>,
    kind: Option<String>,
    from: Option<String>,
    to: Option<String>,
    after: Option<u64>,
    oldest_first: bool,
    limit: Option<usize>,
}

fn bad(detail: String) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
}

/// The filter that named texts ask for, newest first, before an entry where one is given.
pub(crate) fn filter(wanted: &BTreeMap<&str, &str>, before: Option<u64>) -> Result<Filter, Failure> {
    let text = |name: &str| wanted.get(name).map(|text| (*text).to_owned());
    let time = |name: &str| {
        let read = |text: &&str| text.parse::<Timestamp>().map_err(|error| bad(error.to_string()));
        wanted.get(name).map(read).transpose()
    };
    let outcome = |text: String| {
        let unknown = bad(format!("`{}` is no outcome", crate::error::short(&text)))
            .hint("one of started, success, failure, denied, skipped, unknown");
        serde_json::from_value::<Outcome>(json!(text)).map_err(|_| unknown)
    };
    let trace = text("trace").map(TryInto::try_into).transpose();
    let filter = Filter {
        from_time: time("from")?,
        to_time: time("to")?,
        trace: trace.map_err(|error: writ_core::IdError| bad(error.to_string()))?,
        actor: text("actor"),
        action: text("action"),
        resource: text("resource"),
        outcome: text("outcome").map(outcome).transpose()?,
        stream: text("stream"),
        kind: text("kind"),
        from_seq: before,
        newest_first: true,
    };
    if let (Some(from), Some(to)) = (filter.from_time, filter.to_time)
        && from > to
    {
        return Err(bad(format!("`from` ({from}) is after `to` ({to})")));
    }
    Ok(filter)
}

pub(crate) async fn query(State(shared): App, caller: Caller, Asked(wanted): Asked<Wanted>) -> Answer {
    caller.must("viewer")?;
    let limit = wanted.limit.unwrap_or(100).min(1_000);
    if limit == 0 {
        return Err(bad("a page of no entries is none: `limit` begins with 1".into()));
    }
    let named = [
        ("actor", &wanted.actor),
        ("action", &wanted.action),
        ("resource", &wanted.resource),
        ("outcome", &wanted.outcome),
        ("trace", &wanted.trace),
        ("stream", &wanted.stream),
        ("kind", &wanted.kind),
        ("from", &wanted.from),
        ("to", &wanted.to),
    ];
    let named = named.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?))).collect();
    let filter = Filter { newest_first: !wanted.oldest_first, ..filter(&named, wanted.after)? };
    let found = shared.pipeline.journal().ledger().query(&filter, limit + 1).await?;
    let entries = found.iter().take(limit).map(decode).collect::<Result<Vec<_>, _>>()?;
    let next = if found.len() > limit { found.last().map(|stored| stored.seq) } else { None };
    Ok(Json(json!({"items": entries, "next": next})))
}

pub(crate) async fn verify(State(shared): App, caller: Caller) -> Answer {
    caller.must("viewer")?;
    check(&shared).await.map(Json)
}

/// Checks the whole journal, down to what the witness remembers.
pub(crate) async fn check(shared: &Shared) -> Result<Value, Failure> {
    let journal = shared.pipeline.journal();
    let key = journal.key();
    let witnessed = journal.base().witness.latest().map_err(|error| Failure::internal(&error))?;
    let pins = match &witnessed {
        Some(note) => vec![remembered(journal, note).await?],
        None => Vec::new(),
    };
    let trust = Trust { key: Some(key.clone()), pins };
    match writ_pipeline::verify(journal.ledger(), &trust).await {
        Ok(audit) => Ok(json!({
            "log": key.name, "size": audit.size, "root": audit.root, "attachments": audit.attachments,
            "checkpoints": audit.checkpoints, "witness": witnessed.is_some(), "key": key.to_string(),
            "continued": audit.continued,
        })),
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

pub(crate) async fn rotate_key(State(shared): App, caller: Caller) -> Answer {
    caller.must("admin")?;
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
    Ok(Json(json!({"old": old.to_string(), "new": new.to_string()})))
}

pub(crate) async fn why(State(shared): App, caller: Caller, Path(id): Path<String>) -> Answer {
    caller.must("viewer")?;
    let story = why_of(shared.pipeline.journal(), &id).await?;
    story.map(|story| Json(json!(story))).ok_or_else(|| Failure::not_found("entry", &id))
}

pub(crate) async fn evidence(State(shared): App, caller: Caller, Path(id): Path<String>) -> Answer {
    caller.must("viewer")?;
    let bundle = evidence_of(shared.pipeline.journal(), &id).await?;
    bundle.map(|bundle| Json(json!(bundle))).ok_or_else(|| Failure::not_found("entry", &id))
}

pub(crate) async fn checkpoint(State(shared): App) -> Result<String, Failure> {
    let kept = shared.pipeline.journal().ledger().checkpoint(None).await?;
    kept.map(|kept| kept.note).ok_or_else(|| Failure::not_found("checkpoint", "newest"))
}

/// The verifier key, for whoever has none yet.
pub(crate) async fn key(State(shared): App) -> String {
    format!("{}\n", shared.pipeline.journal().key())
}

/// `/log/tile/L/N[.p/W]` and `/log/tile/entries/N[.p/W]`, with N in groups of three digits (C2SP tlog-tiles).
pub(crate) async fn tile(
    State(shared): App,
    caller: Caller,
    Path(path): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    caller.must("viewer")?;
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

pub(crate) async fn attachment(
    State(shared): App,
    caller: Caller,
    Path(digest): Path<String>,
) -> Result<Bytes, Failure> {
    caller.must("viewer")?;
    let wanted = writ_core::Digest::from_hex(&digest);
    let wanted = wanted.map_err(|error| Failure::new(StatusCode::BAD_REQUEST, "invalid", error.to_string()))?;
    let bytes = shared.pipeline.journal().ledger().attachment(&wanted).await?;
    bytes.map(Bytes::from).ok_or_else(|| Failure::not_found("attachment", &digest))
}
