//! Telling people. The journal is the queue: an entry that means to tell something is on the disk before anybody is told, and
//! each channel goes through those entries from where it stood.
//!
//! `matter.rs` says which entries tell something, `telling.rs` in which words; `post.rs` hands them to a channel, again and again
//! within bounds, and records what came of it; `remind.rs` makes entries of what only time brings about, and `closed.rs` tells the one
//! thing that cannot be recorded. Nobody waits for any of this: a channel that is slow or dead holds up nothing but its own
//! tellings.

mod closed;
mod matter;
mod post;
mod remind;
mod telling;
#[cfg(test)]
mod tests;

pub(crate) use matter::{asked, channel_key, channel_next, telling_key, telling_next};

use crate::commit::{Batch, CommitError};
use crate::journal::Journal;
use crate::pipeline::{Pipeline, PipelineError};
use post::{Failing, Post};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use writ_core::{Actor, Draft, LedgerError, Notifier, NotifyError, Outcome, Timestamp};

/// Tellings of one channel that are counted at the most.
const WAITING_MAX: usize = 1_000;

/// How long the end waits for a telling that is being handed over.
const HAND_OVER_MAX: Duration = Duration::from_secs(2);

/// How a channel is, for those who look.
#[derive(Debug, Clone, Serialize)]
pub struct ChannelState {
    /// What it is called.
    pub name: String,
    /// When the last telling was delivered.
    pub delivered: Option<Timestamp>,
    /// The last time that a telling was given up, and why.
    pub failed: Option<(Timestamp, String)>,
    /// Since when it takes nothing, and why; none while it takes what it is given.
    pub failing: Option<(Timestamp, String)>,
    /// How many tellings wait for it.
    pub waiting: usize,
}

impl ChannelState {
    /// Whether somebody should look at it: it takes nothing now, or the last it was given was given up.
    #[must_use]
    pub fn ails(&self) -> Option<String> {
        let Self { name, delivered, failed, failing, waiting } = self;
        if let Some((since, because)) = failing {
            let waiting =
                if *waiting == 1 { "1 notification waits".to_owned() } else { format!("{waiting} notifications wait") };
            return Some(format!("channel `{name}` takes nothing since {since}: {because}; {waiting}"));
        }
        let (at, because) = failed.as_ref().filter(|(at, _)| delivered.is_none_or(|delivered| delivered < *at))?;
        Some(format!("channel `{name}` did not take the last notification, of {at}: {because}"))
    }
}

/// What a channel said to a test.
#[derive(Debug, Clone, Serialize)]
pub struct Tested {
    /// The channel.
    pub channel: String,
    /// What is wrong; none when it took the telling.
    pub because: Option<String>,
}

/// One channel and how it fares.
pub(crate) struct Channel {
    notifier: Arc<dyn Notifier>,
    /// Nothing before this place waits for it: where it began at this start, and what was since found to be for others or for
    /// nobody. The view that says how far it came trails.
    passed: AtomicU64,
    failing: Mutex<Option<Failing>>,
}

impl Channel {
    fn failing(&self) -> Option<Failing> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fails(&self, how: Option<Failing>) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = how;
    }
}

/// The channels, each with the name that documents and policies know it by, and what goes through them.
pub(crate) struct Channels {
    all: Vec<Arc<Channel>>,
    /// Set when all of it is to end.
    over: watch::Sender<bool>,
    posts: Mutex<Vec<JoinHandle<()>>>,
}

impl Channels {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Channel>> {
        self.all.iter()
    }
}

/// The channels of an installation. One that the journal does not know yet begins at its end, so that nobody is told of what
/// is long past.
///
/// # Errors
/// When the journal cannot be read or written.
pub(crate) async fn open(journal: &Journal, notifiers: &[Arc<dyn Notifier>]) -> Result<Channels, PipelineError> {
    let mut all = Vec::new();
    for notifier in notifiers {
        let doc = journal.doc("channels", notifier.name()).await?;
        let from = match doc.and_then(|doc| doc.get("upto")?.as_u64()) {
            Some(upto) => upto,
            None => {
                let end = *journal.size().borrow();
                let draft = matter::opened(notifier.name(), end);
                journal.commit(&journal.new_cause(), Batch::of(vec![draft])).await?;
                end
            }
        };
        let (passed, failing) = (AtomicU64::new(from), Mutex::default());
        all.push(Arc::new(Channel { notifier: notifier.clone(), passed, failing }));
    }
    Ok(Channels { all, over: watch::channel(false).0, posts: Mutex::default() })
}

impl Pipeline {
    /// Begins to tell people what the journal says.
    pub(crate) fn begin_telling(&self) {
        let channels = &self.inner.channels;
        if channels.all.is_empty() {
            return;
        }
        let (more, wanted) = watch::channel(0);
        let mut posts = Vec::new();
        for channel in channels.iter().cloned() {
            let (wanted, over) = (wanted.clone(), channels.over.subscribe());
            posts.push(tokio::spawn(Post { pipeline: self.clone(), channel, done: None, wanted, over }.run()));
        }
        let (looking, reminding) = (self.clone(), self.clone());
        posts.push(tokio::spawn(async move { looking.look_for_tellings(more).await }));
        posts.push(tokio::spawn(async move { reminding.remind_from_time_to_time().await }));
        channels.posts.lock().unwrap_or_else(PoisonError::into_inner).append(&mut posts);
    }

    /// Stops telling. What is being handed over is waited for, but not for long; the next start goes on.
    pub(crate) async fn stop_telling(&self) {
        self.inner.channels.over.send_replace(true);
        let mut posts = std::mem::take(&mut *self.inner.channels.posts.lock().unwrap_or_else(PoisonError::into_inner));
        let over = async {
            for post in &mut posts {
                // One that broke is over as well.
                drop(post.await);
            }
        };
        tokio::select! {
            biased;
            () = over => {}
            () = self.journal().base().clock.sleep(HAND_OVER_MAX) => {}
        }
        posts.iter().for_each(JoinHandle::abort);
    }

    /// Wakes the channels when there is more to tell. The view that says so trails, and is looked at each time it came forward.
    async fn look_for_tellings(&self, more: watch::Sender<u64>) {
        let (mut reported, mut over) = (self.journal().reports().follow(), self.inner.channels.over.subscribe());
        let mut newest = None;
        loop {
            tokio::select! {
                biased;
                _ = over.wait_for(|over| *over) => return,
                came = reported.changed() => if came.is_err() { return self.tell_closed() },
            }
            let size = *reported.borrow_and_update();
            let found = self.journal().ledger().views_back("tellings", "", None, 1).await;
            // What cannot be read now is looked at the next time.
            let found = found.ok().and_then(|mut found| found.pop()).map(|(key, _)| key);
            if found.is_some() && found != newest {
                newest = found;
                more.send_replace(size);
            }
        }
    }

    /// Every channel and how it fares.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn channels(&self) -> Result<Vec<ChannelState>, LedgerError> {
        let mut states = Vec::new();
        for channel in self.inner.channels.iter() {
            let name = channel.notifier.name();
            let doc = self.journal().doc("channels", name).await?.unwrap_or_default();
            let at = |pointer: &str| doc.pointer(pointer).and_then(Value::as_str).and_then(|at| at.parse().ok());
            let because = doc.pointer("/failed/because").and_then(Value::as_str).unwrap_or_default();
            states.push(ChannelState {
                name: name.to_owned(),
                delivered: at("/delivered/at"),
                failed: at("/failed/at").map(|at| (at, because.to_owned())),
                failing: channel.failing().map(|how| (how.since, how.because)),
                waiting: self.waiting(channel, WAITING_MAX).await?.len(),
            });
        }
        Ok(states)
    }

    /// Sends a telling that says nothing to every channel at once. What each said is an entry as well.
    ///
    /// # Errors
    /// When nothing could be recorded.
    pub async fn test_channels(&self, by: &Actor) -> Result<Vec<Tested>, CommitError> {
        let journal = self.journal();
        let draft = Draft {
            action: "test_notifications".into(),
            actor: by.clone(),
            body: json!({}),
            kind: "notification.tested/1",
            outcome: Outcome::Started,
            resource: "notifications".into(),
            stream: "notifications".into(),
        };
        let receipt = journal.commit(&journal.new_cause(), Batch::of(vec![draft])).await?;
        let Some(entry) = receipt.entries.first() else { return Ok(Vec::new()) };
        let telling = telling::test(entry, &self.setup().address);
        let sent = self.inner.channels.iter().map(|channel| {
            let (channel, telling) = (channel.clone(), telling.clone());
            tokio::spawn(async move { (channel.notifier.name().to_owned(), channel.notifier.notify(&telling).await) })
        });
        let (mut tested, mut drafts) = (Vec::new(), Vec::new());
        for sent in sent.collect::<Vec<_>>() {
            let Ok((channel, took)) = sent.await else { continue };
            let because = took.err().map(|error: NotifyError| error.to_string());
            drafts.push(matter::tested(&channel, entry, because.as_deref()));
            tested.push(Tested { channel, because });
        }
        let cause = crate::Cause::after(entry);
        journal.commit(&cause, Batch::of(drafts)).await?;
        Ok(tested)
    }
}
