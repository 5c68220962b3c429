//! `If-Match`: what is asked for is done only while what was looked at is still so, down to the commit that does it.

use super::Shared;
use super::body::single;
use crate::error::{Failure, short};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use std::future::Future;
use writ_core::{ComponentId, PrincipalId, WaiverId};
use writ_pipeline::{
    EXCEPTIONS_STREAM, Expect, KILL_SWITCH_STREAM, KillScope, Looked, POLICY_STREAM, RemedyAction, while_still,
};

/// How often something is tried again because other things of its stream moved meanwhile.
const TRIES_MAX: u32 = 8;

/// The stream that a single resource of a view is the fold of.
fn stream(view: &str, id: &str) -> String {
    let sort = if view == "standing" { "approval" } else { view.trim_end_matches('s') };
    format!("{sort}/{id}")
}

/// What somebody looked at before they ask for a change of it.
#[derive(Debug, Clone)]
pub(crate) enum Thing {
    /// One of a view.
    One { view: &'static str, id: String },
    /// A person, with their roles, tokens and links.
    Person(PrincipalId),
    /// An exception from a rule.
    Waiver(WaiverId),
    /// Whether changes are frozen.
    Maintenance,
    /// A kill switch, pulled or not.
    Switch(KillScope),
    /// How far an action of healing may go on a component.
    Mode(ComponentId, RemedyAction),
    /// The policies in force.
    Policies,
}

impl Thing {
    /// One of a view.
    pub(super) fn one(view: &'static str, id: &str) -> Self {
        Self::One { view, id: id.to_owned() }
    }

    /// What failures call it.
    fn name(&self) -> String {
        match self {
            Self::One { id, .. } => id.clone(),
            Self::Person(id) => id.to_string(),
            Self::Waiver(id) => id.to_string(),
            Self::Maintenance => "maintenance".to_owned(),
            Self::Switch(scope) => format!("kill switch {}", scope.name()),
            Self::Mode(component, action) => format!("{component}/{action}"),
            Self::Policies => "policies".to_owned(),
        }
    }

    /// The stream that it follows from.
    fn stream(&self) -> String {
        match self {
            Self::One { view, id } => stream(view, id),
            Self::Person(id) => format!("principal/{id}"),
            Self::Waiver(_) | Self::Maintenance => EXCEPTIONS_STREAM.to_owned(),
            Self::Switch(_) => KILL_SWITCH_STREAM.to_owned(),
            Self::Mode(component, _) => format!("component/{component}"),
            Self::Policies => POLICY_STREAM.to_owned(),
        }
    }

    /// Whether it stands somehow before anything is recorded about it.
    fn is_given(&self) -> bool {
        match self {
            Self::One { .. } | Self::Person(_) | Self::Waiver(_) => false,
            Self::Maintenance | Self::Switch(_) | Self::Mode(..) | Self::Policies => true,
        }
    }

    /// What names its state: where the newest entry about it stands in its stream, or which that is. None when there is none.
    async fn mark(&self, shared: &Shared) -> Result<Option<String>, Failure> {
        let pipeline = &shared.pipeline;
        let place = match self {
            Self::One { .. } | Self::Person(_) | Self::Policies => {
                Some(pipeline.journal().ledger().stream_version(&self.stream()).await?).filter(|version| *version > 0)
            }
            Self::Waiver(id) => pipeline.waiver_moved(id).await?,
            Self::Maintenance => pipeline.freeze().await?.1,
            Self::Switch(scope) => pipeline.switch_moved(scope).await?,
            Self::Mode(component, action) => return Ok(pipeline.mode_moved(component, *action).await?),
        };
        Ok(place.map(|place| place.to_string()))
    }

    /// Its tag.
    pub(super) async fn tag(&self, shared: &Shared) -> Result<String, Failure> {
        Ok(quoted(self.mark(shared).await?.unwrap_or_else(|| "0".to_owned())))
    }
}

/// A mark as a tag has it.
pub(super) fn quoted(mark: impl std::fmt::Display) -> String {
    format!("\"{mark}\"")
}

/// The header of an answer that tells a tag.
pub(super) type Tag = [(HeaderName, String); 1];

/// The header that tells a tag.
pub(super) fn tagged(tag: String) -> Tag {
    [(header::ETAG, tag)]
}

/// Does what is asked for about something that has a stream of its own; where the request says what was looked at, only while
/// that is still so. Of two who looked at the same, one is done.
pub(crate) async fn matching<T>(
    shared: &Shared,
    thing: &Thing,
    headers: &HeaderMap,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match looked_at(shared, thing, headers).await? {
        Some(seen) => unless_moved(shared, &thing.name(), seen, work).await,
        None => work.await,
    }
}

/// The same about something that shares its stream with others: those may move meanwhile.
pub(crate) async fn matching_among<T, Done: Future<Output = Result<T, Failure>>>(
    shared: &Shared,
    thing: &Thing,
    headers: &HeaderMap,
    work: impl Fn() -> Done,
) -> Result<T, Failure> {
    let mut tries = 0;
    loop {
        let Some(seen) = looked_at(shared, thing, headers).await? else { return work().await };
        let (done, looked) = while_still(seen, work()).await;
        match (done, looked) {
            (Err(_), Looked::Moved { .. }) if tries < TRIES_MAX => tries += 1,
            (Err(failure), Looked::Still(_) | Looked::Moved { .. }) => {
                // That it moved is told, whatever the work made of the state that it found instead.
                looked_at(shared, thing, headers).await?;
                return Err(failure);
            }
            (done, _) => return done,
        }
    }
}

/// What a request says that it looked at: where its stream stands, if it is still the same. None when any state will do, and
/// when there is nothing: that is told by whoever looks for it.
async fn looked_at(shared: &Shared, thing: &Thing, headers: &HeaderMap) -> Result<Option<Expect>, Failure> {
    let Some(wanted) = single(headers, &header::IF_MATCH, "If-Match")? else { return Ok(None) };
    let tags: Vec<&str> = wanted.to_str().unwrap_or_default().split(',').map(str::trim).collect();
    let is_tag = |tag: &&str| *tag == "*" || (tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"'));
    if !tags.iter().all(is_tag) {
        let detail = "`If-Match` is `*` or the `ETag` of what was looked at, with its quotation marks";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
            .hint("send the `ETag` of the answer that you looked at, as it was")
            .parameter(header::IF_MATCH.as_str()));
    }
    let stream = thing.stream();
    // Read before what is about the thing: one that is too old is refused, one that is too new would not be.
    let version = shared.pipeline.journal().ledger().stream_version(&stream).await?;
    let mark = thing.mark(shared).await?;
    if tags.contains(&"*") || (mark.is_none() && !thing.is_given()) {
        return Ok(None);
    }
    let now = mark.unwrap_or_else(|| "0".to_owned());
    let same = tags.iter().any(|tag| *tag == quoted(&now));
    if same { Ok(Some(Expect { stream, version })) } else { Err(moved(&thing.name(), &now)) }
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
        (Err(_), Looked::Moved { found, .. }) => Err(moved(id, &found.to_string())),
        (Err(failure), Looked::Still(seen)) => {
            let version = shared.pipeline.journal().ledger().stream_version(&seen.stream).await?;
            Err(if version == seen.version { failure } else { moved(id, &version.to_string()) })
        }
        (done, Looked::Still(_) | Looked::Changed | Looked::Moved { .. }) => done,
    }
}

fn moved(id: &str, mark: &str) -> Failure {
    let detail = format!("`{}` is not what `If-Match` names any more: its tag is now \"{mark}\"", short(id));
    Failure::new(StatusCode::PRECONDITION_FAILED, "stale", detail)
        .parameter(header::IF_MATCH.as_str())
        .hint("look again, and decide again")
}
