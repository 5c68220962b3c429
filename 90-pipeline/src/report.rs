//! What trails the entries: lookups and report views. One task follows the writer and brings them forward, many entries at a
//! time; whoever has a receipt can wait for its place.

use crate::journal::decode;
use crate::view::{Docs, Kept};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use writ_core::{AppendError, Clock, Entry, Ledger, LedgerError, Report, Stored, ViewChange};

/// Counts up when documents get another shape, so that a start with those of an older program makes them anew.
const SHAPE: u64 = 7;

/// The view of what the documents themselves are.
const TRAIL: &str = "trail";

/// Entries in one report at the most.
const PAGE: usize = 1_024;

/// How long the follower lets entries gather when nobody waits for it.
const GATHER: Duration = Duration::from_millis(20);

/// Entries that may be unreported; beyond that the writer waits, so that what is read entry by entry stays little.
pub(crate) const LAG_MAX: u64 = 16_384;

/// How often somebody else may come between.
const TRIES: usize = 16;

/// How long a reader waits at the most before it takes what there is.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long after a failure the follower tries again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Documents that the follower remembers.
const REMEMBERED_MAX: usize = 16_384;

/// A handle on how far reports have come. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reported {
    as_of: watch::Receiver<u64>,
    wanted: Arc<Notify>,
}

impl Reported {
    /// How many entries the reports are of.
    pub(crate) fn as_of(&self) -> u64 {
        *self.as_of.borrow()
    }

    /// Tells each time the reports come forward.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.as_of.clone()
    }

    /// Waits until the reports are of so many entries, or the follower is gone.
    pub(crate) async fn wait(&mut self, size: u64) {
        while self.as_of() < size {
            self.wanted.notify_one();
            if self.as_of.changed().await.is_err() {
                return;
            }
        }
    }

    /// As [`Reported::wait`], but not for long. How many entries the reports are of then.
    pub(crate) async fn soon(&self, size: u64, clock: &dyn Clock) -> u64 {
        let mut own = self.clone();
        if own.as_of() < size {
            tokio::select! {
                biased;
                () = own.wait(size) => {}
                () = clock.sleep(PATIENCE) => {}
            }
        }
        own.as_of()
    }
}

/// Brings the reports of a ledger to its end. How many entries they are of then.
///
/// # Errors
/// When the ledger fails, an entry cannot be read, or somebody else keeps writing.
pub(crate) async fn catch_up(ledger: &dyn Ledger) -> Result<u64, AppendError> {
    for _ in 1..TRIES {
        match try_to_catch_up(ledger).await {
            // A writer that was superseded may still bring forward what it had appended.
            Err(AppendError::Superseded) => {}
            done => return done,
        }
    }
    try_to_catch_up(ledger).await
}

async fn try_to_catch_up(ledger: &dyn Ledger) -> Result<u64, AppendError> {
    let mut docs = Docs::new(Kept::Report);
    let mut from = ledger.reported().await?;
    if from == 0 || !is_of_this_shape(ledger).await? {
        // What stands there may be another journal's.
        from = begin_anew(ledger).await?;
    }
    loop {
        let page = ledger.entries(from, PAGE).await?;
        if page.is_empty() {
            return Ok(from);
        }
        let entries = page.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        from = report(ledger, &mut docs, from, &entries).await?;
    }
}

async fn is_of_this_shape(ledger: &dyn Ledger) -> Result<bool, LedgerError> {
    Ok(ledger.view(TRAIL, "shape").await?.is_some_and(|shape| shape == SHAPE.to_string().into_bytes()))
}

/// Makes all documents of a ledger anew that an older program wrote, those too that decisions read.
///
/// # Errors
/// When the ledger fails or an entry cannot be read.
pub async fn reshape(ledger: &dyn Ledger) -> Result<(), LedgerError> {
    if ledger.reported().await? > 0 && !is_of_this_shape(ledger).await? {
        rebuild_views(ledger).await?;
    }
    Ok(())
}

async fn begin_anew(ledger: &dyn Ledger) -> Result<u64, AppendError> {
    let shape = ViewChange { doc: Some(SHAPE.to_string().into_bytes()), key: "shape".into(), view: TRAIL };
    ledger.report(&Report { from: 0, upto: 0, views: vec![shape] }).await?;
    Ok(0)
}

async fn report(ledger: &dyn Ledger, docs: &mut Docs, from: u64, entries: &[Entry]) -> Result<u64, AppendError> {
    let upto = entries.last().map_or(from, |entry| entry.seq + 1);
    for entry in entries {
        docs.follow(entry, Some(ledger)).await?;
    }
    ledger.report(&Report { from, upto, views: docs.take_changes() }).await?;
    docs.forget_beyond(REMEMBERED_MAX);
    Ok(upto)
}

/// Starts the follower after `size` entries that are reported already. What the writer appends is sent to it.
pub(crate) fn start(
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    size: u64,
) -> (mpsc::UnboundedSender<Vec<Entry>>, Reported) {
    // The writer waits when the follower is far behind, which bounds what is queued here.
    let (sender, groups) = mpsc::unbounded_channel();
    let (tell, as_of) = watch::channel(size);
    let wanted = Arc::new(Notify::new());
    let docs = Docs::new(Kept::Report);
    let follower = Follower { ledger, clock, groups, tell, wanted: wanted.clone(), docs, from: size };
    tokio::spawn(follower.run());
    (sender, Reported { as_of, wanted })
}

struct Follower {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    groups: mpsc::UnboundedReceiver<Vec<Entry>>,
    tell: watch::Sender<u64>,
    wanted: Arc<Notify>,
    docs: Docs,
    from: u64,
}

impl Follower {
    /// Ends with the writer: what is not reported by then is taken up at the next start.
    async fn run(mut self) {
        while let Some(mut entries) = self.groups.recv().await {
            if !self.gather(&mut entries).await {
                return;
            }
            while let Err(error) = self.bring_forward(&entries).await {
                if matches!(error, AppendError::Superseded) || self.groups.is_closed() {
                    return;
                }
                tracing::error!(error = &error as &dyn std::error::Error, "reports do not come forward");
                self.clock.sleep(TRY_AGAIN).await;
            }
            self.tell.send_replace(self.from);
        }
    }

    /// Lets entries gather for a moment. Whether the writer is still there.
    async fn gather(&mut self, entries: &mut Vec<Entry>) -> bool {
        let pause = self.clock.sleep(GATHER);
        tokio::pin!(pause);
        while entries.len() < PAGE {
            tokio::select! {
                biased;
                more = self.groups.recv() => match more {
                    Some(more) => entries.extend(more),
                    None => return false,
                },
                () = self.wanted.notified() => return true,
                () = &mut pause => return true,
            }
        }
        true
    }

    async fn bring_forward(&mut self, entries: &[Entry]) -> Result<(), AppendError> {
        let new = entries.iter().position(|entry| entry.seq >= self.from).unwrap_or(entries.len());
        let Some(new) = entries.get(new..).filter(|new| !new.is_empty()) else { return Ok(()) };
        match report(&*self.ledger, &mut self.docs, self.from, new).await {
            Ok(upto) => {
                self.from = upto;
                Ok(())
            }
            Err(error) => {
                // Nothing of it was written; the documents met so far are read again.
                self.docs = Docs::new(Kept::Report);
                if matches!(error, AppendError::Superseded) && self.ledger.reported().await? != self.from {
                    // The reports were made anew meanwhile.
                    self.from = catch_up(&*self.ledger).await?;
                    return Ok(());
                }
                Err(error)
            }
        }
    }
}

/// Writes all views and lookups of a ledger anew from its entries. How many entries were read.
///
/// # Errors
/// When the ledger fails or an entry cannot be read.
pub async fn rebuild_views(ledger: &dyn Ledger) -> Result<u64, LedgerError> {
    let mut docs = Docs::new(Kept::Operational);
    let (mut seq, mut changes) = (0, Vec::new());
    loop {
        let page: Vec<Stored> = ledger.entries(seq, PAGE).await?;
        for stored in &page {
            docs.follow(&decode(stored)?, None).await?;
            seq = stored.seq + 1;
        }
        if page.is_empty() {
            changes.extend(docs.take_changes());
            if ledger.rebuild(changes.clone(), seq).await? {
                break;
            }
        }
    }
    let done = match begin_anew(ledger).await {
        Ok(_) => catch_up(ledger).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(size) => Ok(size.max(seq)),
        // Somebody else brings the reports forward, from the beginning as well.
        Err(AppendError::Superseded) => Ok(seq),
        Err(AppendError::Ledger(error)) => Err(error),
    }
}
