//! What whoever asks may do must still be so in the commit that records what they asked for: between the question at the door and
//! the disk a token is revoked, or a role taken away.

use crate::commit::{CommitError, Expect};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use writ_core::{LedgerError, PrincipalId};

/// Asks whether somebody still may what they could at the door: the person as they are where they do, else who it is.
///
/// The person is read first and what they may after that, so that whatever is taken away meanwhile is of a newer version.
pub type Holds = Arc<dyn Fn() -> Holding + Send + Sync>;

/// The answer to that.
pub type Holding = Pin<Box<dyn Future<Output = Result<Result<Expect, PrincipalId>, LedgerError>> + Send>>;

tokio::task_local! {
    static HELD: RefCell<Option<Holds>>;
}

/// Does work of which nothing is recorded unless whoever asked for it still may, up to its first commit; what follows from that one
/// follows in any case.
pub async fn while_held<T>(holds: Holds, work: impl Future<Output = T>) -> T {
    HELD.scope(RefCell::new(Some(holds)), work).await
}

/// Does what is recorded before anything is done, whoever asked: what comes after it is held as it was.
pub async fn whoever_asked<T>(work: impl Future<Output = T>) -> T {
    HELD.scope(RefCell::new(None), work).await
}

/// Who must still be as they are in the commit at hand; none where that does not matter.
pub(crate) async fn held() -> Result<Option<Expect>, CommitError> {
    let holds = HELD.try_with(|held| held.borrow().clone()).ok().flatten();
    let Some(holds) = holds else { return Ok(None) };
    let now = holds().await.map_err(|error| CommitError::Unread { cause: Arc::new(error) })?;
    now.map(Some).map_err(|who| CommitError::NotHeld { who })
}

/// What was asked for is recorded.
pub(crate) fn let_go() {
    // Where nobody asked, there is nothing to let go.
    drop(HELD.try_with(|held| held.take()));
}
