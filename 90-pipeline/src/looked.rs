//! What somebody looked at before they asked for a change. It must still be so in the commit that makes the change: looking again
//! just before would let two pass who looked at the same.

use crate::commit::{CommitError, Expect};
use std::cell::RefCell;
use std::future::Future;

/// What became of the state that somebody looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// Nothing was written to its stream, and it was not found to have moved.
    Still(Expect),
    /// It held in a commit that wrote to its stream.
    Changed,
    /// It had moved, and nothing was recorded.
    Moved {
        /// Where it was looked at.
        seen: Expect,
        /// The version that it has.
        found: u64,
    },
}

tokio::task_local! {
    static LOOKED_AT: RefCell<Looked>;
}

/// Does work of which nothing is recorded once a stream has moved from where somebody looked at it. Each commit of the work
/// requires it, up to the first that writes to that stream; what follows from that one follows in any case.
pub async fn while_still<T>(seen: Expect, work: impl Future<Output = T>) -> (T, Looked) {
    let work = async {
        let done = work.await;
        (done, LOOKED_AT.with(|looked| looked.borrow().clone()))
    };
    LOOKED_AT.scope(RefCell::new(Looked::Still(seen)), work).await
}

/// What the work at hand still requires.
pub(crate) fn looked_at() -> Option<Expect> {
    let still = |looked: &RefCell<Looked>| match &*looked.borrow() {
        // Who decides anew on what there is now is refused again.
        Looked::Still(seen) | Looked::Moved { seen, .. } => Some(seen.clone()),
        Looked::Changed => None,
    };
    LOOKED_AT.try_with(still).ok().flatten()
}

/// Commits of the work at hand, and what is said of them: these streams were written to, or one of them had moved.
pub(crate) fn noted<'a, T>(mut streams: impl Iterator<Item = &'a str>, came: &Result<T, CommitError>) {
    let Some(seen) = looked_at() else { return };
    let now = match came {
        Ok(_) if streams.any(|stream| stream == seen.stream) => Looked::Changed,
        Err(CommitError::Stale { stream, found, .. }) if *stream == seen.stream && *found != seen.version => {
            Looked::Moved { found: *found, seen }
        }
        Ok(_) | Err(_) => return,
    };
    LOOKED_AT.with(|looked| drop(looked.replace(now)));
}
