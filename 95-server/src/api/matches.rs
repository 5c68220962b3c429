//! `If-Match`: what is asked for is done only while what was looked at is still so, down to the commit that does it.

use super::Shared;
use super::body::single;
use crate::error::{Failure, short};
use axum::http::{HeaderMap, StatusCode, header};
use std::future::Future;
use writ_pipeline::{Expect, Looked, while_still};

/// The stream that a single resource of a view is the fold of.
pub(crate) fn stream(view: &str, id: &str) -> String {
    let sort = if view == "standing" { "approval" } else { view.trim_end_matches('s') };
    format!("{sort}/{id}")
}

/// Does what is asked for about a resource; where the request says what was looked at, only while that is still so. Of two who
/// looked at the same, one is done.
pub(crate) async fn matching<T>(
    shared: &Shared,
    (view, id): (&str, &str),
    headers: &HeaderMap,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match looked_at(shared, (view, id), headers).await? {
        Some(seen) => unless_moved(shared, id, seen, work).await,
        None => work.await,
    }
}

/// What a request says that it looked at: where that stands, if it still stands there. None when any state will do, and when
/// there is nothing: that is told by whoever looks for it.
async fn looked_at(shared: &Shared, (view, id): (&str, &str), headers: &HeaderMap) -> Result<Option<Expect>, Failure> {
    let Some(wanted) = single(headers, &header::IF_MATCH, "If-Match")? else { return Ok(None) };
    let tags: Vec<&str> = wanted.to_str().unwrap_or_default().split(',').map(str::trim).collect();
    let is_tag = |tag: &&str| *tag == "*" || (tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"'));
    if !tags.iter().all(is_tag) {
        let detail = "`If-Match` is `*` or the `ETag` of what was looked at, with its quotation marks";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
            .hint("send the `ETag` of the answer that you looked at, as it was")
            .parameter(header::IF_MATCH.as_str()));
    }
    let stream = stream(view, id);
    let version = shared.pipeline.journal().ledger().stream_version(&stream).await?;
    if version == 0 || tags.contains(&"*") {
        return Ok(None);
    }
    let now = format!("\"{version}\"");
    if tags.iter().any(|tag| *tag == now) { Ok(Some(Expect { stream, version })) } else { Err(moved(id, version)) }
}

/// Does work while a resource stands where it was looked at. When it is refused because it has moved, that is what is told,
/// whatever the work made of the state that it found instead.
pub(crate) async fn unless_moved<T>(
    shared: &Shared,
    id: &str,
    seen: Expect,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match while_still(seen, work).await {
        (Err(_), Looked::Moved { found, .. }) => Err(moved(id, found)),
        (Err(failure), Looked::Still(seen)) => {
            let version = shared.pipeline.journal().ledger().stream_version(&seen.stream).await?;
            Err(if version == seen.version { failure } else { moved(id, version) })
        }
        (done, Looked::Still(_) | Looked::Changed | Looked::Moved { .. }) => done,
    }
}

fn moved(id: &str, version: u64) -> Failure {
    let detail = format!("`{}` is not what `If-Match` names any more: its tag is now \"{version}\"", short(id));
    Failure::new(StatusCode::PRECONDITION_FAILED, "stale", detail)
        .parameter(header::IF_MATCH.as_str())
        .hint("look again, and decide again")
}
