//! Under which trace a request from outside is worked on: what it records without another cause belongs to that trace.

use std::future::Future;
use writ_core::TraceId;

tokio::task_local! {
    static ASKED_UNDER: TraceId;
}

/// Does work under a trace. What the work sets off as a task of its own begins a trace of its own, unless it has a cause.
pub async fn under_trace<T>(trace: TraceId, work: impl Future<Output = T>) -> T {
    ASKED_UNDER.scope(trace, work).await
}

/// The trace that the work at hand is done under.
pub(crate) fn asked_under() -> Option<TraceId> {
    ASKED_UNDER.try_with(Clone::clone).ok()
}
