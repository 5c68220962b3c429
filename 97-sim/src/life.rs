//! One life of the control plane. When it ends, every port it holds falls silent at once: nothing more is read, recorded,
//! asked or seen, and what was on its way to the world arrives there all the same.

use crate::{SimChannel, SimWorld};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use writ_core::{
    Append, Clock, Columns, ComponentId, Digest, Effect, EffectClass, EffectKey, Erasable, Filter, Group, Head, Ledger,
    LedgerError, Notifier, NotifyError, Observation, Probe, Provider, ProviderError, Receipt, Report, Sensor,
    SensorError, Stored, StoredCheckpoint, Telling, Timestamp, TraceId, ViewChange, World,
};

/// Where in a commit the control plane dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The group never reaches the disk.
    Before,
    /// The group is on the disk, and nobody learns it.
    After,
}

/// A life ends at the commit of an entry of this kind, once so many were let pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deathbed {
    /// Before or after the commit.
    pub moment: Moment,
    /// The kind of entry, or its beginning.
    pub kind: String,
    /// How many such commits go well first.
    pub spared: u64,
}

/// A life, as everything that belongs to it sees it.
#[derive(Clone)]
pub struct Life {
    over: watch::Sender<bool>,
    deathbed: Arc<Mutex<Option<Deathbed>>>,
    disk: Arc<Mutex<Duration>>,
    hidden: Arc<Mutex<Option<String>>>,
}

impl Life {
    /// A life that has just begun.
    #[must_use]
    pub fn new() -> Self {
        Self { over: watch::channel(false).0, deathbed: Arc::default(), disk: Arc::default(), hidden: Arc::default() }
    }

    /// Ends it.
    pub fn end(&self) {
        self.over.send_replace(true);
    }

    /// Says where it is to end.
    pub fn end_at(&self, deathbed: Deathbed) {
        *self.deathbed.lock().unwrap_or_else(PoisonError::into_inner) = Some(deathbed);
    }

    /// From now on the disk takes so long for each commit.
    pub(crate) fn slow_disk(&self, span: Duration) {
        *self.disk.lock().unwrap_or_else(PoisonError::into_inner) = span;
    }

    /// From now on no document of this view can be read.
    pub fn hide(&self, view: &str) {
        *self.hidden.lock().unwrap_or_else(PoisonError::into_inner) = Some(view.to_owned());
    }

    fn sees(&self, view: &str) -> Result<(), LedgerError> {
        let hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        match hidden.as_deref() == Some(view) {
            true => Err(LedgerError::Unreachable { place: view.to_owned(), cause: "it is hidden".into() }),
            false => Ok(()),
        }
    }

    fn disk(&self) -> Duration {
        *self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        // The sender lives in `self`, so waiting ends only with the life.
        drop(self.over.subscribe().wait_for(|over| *over).await);
    }

    /// Returns at once while it lasts, and never afterwards.
    async fn lasts(&self) {
        if self.is_over() {
            std::future::pending::<()>().await;
        }
    }

    /// What comes of something that is begun now; nothing once the life has ended.
    async fn within<T>(&self, deed: impl Future<Output = T>) -> T {
        self.lasts().await;
        let done = tokio::select! {
            biased;
            () = self.ended() => None,
            done = deed => Some(done),
        };
        match done {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// The moment at which the life ends with this group, if it does.
    fn dies_at(&self, group: &Group) -> Option<Moment> {
        let mut deathbed = self.deathbed.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |bed: &Deathbed| group.entries.iter().any(|sealed| sealed.entry.kind.starts_with(&bed.kind));
        let bed = deathbed.as_mut().filter(|bed| fits(bed))?;
        if bed.spared > 0 {
            bed.spared -= 1;
            return None;
        }
        deathbed.take().map(|bed| bed.moment)
    }
}

impl Default for Life {
    fn default() -> Self {
        Self::new()
    }
}

/// A port as one life holds it.
pub(crate) struct Held<P> {
    pub(crate) life: Life,
    pub(crate) port: P,
}

#[async_trait]
impl Clock for Held<Arc<dyn Clock>> {
    fn now(&self) -> Timestamp {
        self.port.now()
    }

    async fn sleep(&self, span: Duration) {
        self.life.within(self.port.sleep(span)).await;
    }
}

#[async_trait]
impl Provider for Held<SimWorld> {
    fn name(&self) -> &str {
        "sim"
    }

    fn verbs(&self) -> BTreeMap<String, EffectClass> {
        self.port.verbs()
    }

    async fn perform(&self, effect: &Effect) -> Result<Receipt, ProviderError> {
        self.life.lasts().await;
        let (world, order) = (self.port.clone(), effect.clone());
        // What has been sent is with the world, whatever becomes of the sender.
        let sent = tokio::spawn(async move { world.perform(&order).await });
        let lost = |error: tokio::task::JoinError| ProviderError::Unclear {
            verb: effect.verb.clone(),
            resource: effect.resource.clone(),
            because: error.to_string(),
        };
        self.life.within(sent).await.unwrap_or_else(|error| Err(lost(error)))
    }

    async fn probe(&self, key: &EffectKey, verb: &str, resource: &str) -> Probe {
        self.life.within(self.port.probe(key, verb, resource)).await
    }

    async fn observe(&self, component: &ComponentId) -> Result<World, ProviderError> {
        self.life.within(self.port.observe(component)).await
    }
}

#[async_trait]
impl Sensor for Held<crate::SimSensor> {
    async fn next(&self) -> Result<Observation, SensorError> {
        self.life.within(self.port.next()).await
    }
}

#[async_trait]
impl Notifier for Held<SimChannel> {
    fn name(&self) -> &str {
        self.port.name()
    }

    async fn notify(&self, telling: &Telling) -> Result<(), NotifyError> {
        self.life.within(self.port.notify(telling)).await
    }
}

#[async_trait]
impl Ledger for Held<Arc<dyn Ledger>> {
    async fn head(&self) -> Result<Option<Head>, LedgerError> {
        self.life.within(self.port.head()).await
    }
    async fn take_over(&self, empty: Head) -> Result<Head, LedgerError> {
        self.life.within(self.port.take_over(empty)).await
    }
    async fn append(&self, group: &Group) -> Append {
        let disk = self.life.disk();
        if !disk.is_zero() {
            self.life.within(tokio::time::sleep(disk)).await;
        }
        self.life.lasts().await;
        match self.life.dies_at(group) {
            None => self.port.append(group).await,
            Some(moment) => {
                if moment == Moment::After {
                    self.port.append(group).await?;
                }
                self.life.end();
                std::future::pending().await
            }
        }
    }
    async fn entries(&self, seq: u64, limit: usize) -> Result<Vec<Stored>, LedgerError> {
        self.life.within(self.port.entries(seq, limit)).await
    }
    async fn stream(&self, stream: &str, version: u64, limit: usize) -> Result<Vec<Stored>, LedgerError> {
        self.life.within(self.port.stream(stream, version, limit)).await
    }
    async fn version_below(&self, stream: &str, below: u64) -> Result<u64, LedgerError> {
        self.life.within(self.port.version_below(stream, below)).await
    }
    async fn length_below(&self, trace: &TraceId, below: u64) -> Result<u64, LedgerError> {
        self.life.within(self.port.length_below(trace, below)).await
    }
    async fn query(&self, filter: &Filter, limit: usize) -> Result<Vec<Stored>, LedgerError> {
        self.life.within(self.port.query(filter, limit)).await
    }
    async fn by_event(&self, event: &str) -> Result<Option<Stored>, LedgerError> {
        self.life.within(self.port.by_event(event)).await
    }
    async fn attachment(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
        self.life.within(self.port.attachment(digest)).await
    }
    async fn erasable(&self, commitment: &Digest) -> Result<Option<Erasable>, LedgerError> {
        self.life.within(self.port.erasable(commitment)).await
    }
    async fn erase(&self, commitment: &Digest) -> Result<bool, LedgerError> {
        self.life.within(self.port.erase(commitment)).await
    }
    async fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, LedgerError> {
        self.life.within(self.port.tile(level, index)).await
    }
    async fn leaves(&self, from: u64, to: u64) -> Result<Vec<Digest>, LedgerError> {
        self.life.within(self.port.leaves(from, to)).await
    }
    async fn checkpoints_back(&self, at_most: Option<u64>, limit: usize) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        self.life.within(self.port.checkpoints_back(at_most, limit)).await
    }
    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        self.life.within(self.port.checkpoints(after, limit)).await
    }
    async fn view(&self, view: &str, key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        self.life.sees(view)?;
        self.life.within(self.port.view(view, key)).await
    }
    async fn views(
        &self,
        view: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        self.life.within(self.port.views(view, prefix, after, limit)).await
    }

    async fn views_back(
        &self,
        view: &str,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        self.life.within(self.port.views_back(view, prefix, before, limit)).await
    }
    async fn rebuild(&self, documents: Vec<ViewChange>, size: u64) -> Result<bool, LedgerError> {
        self.life.within(self.port.rebuild(documents, size)).await
    }
    async fn reported(&self) -> Result<u64, LedgerError> {
        self.life.within(self.port.reported()).await
    }
    async fn report(&self, report: &Report) -> Append {
        self.life.within(self.port.report(report)).await
    }
    async fn misfiled(&self) -> Result<Option<u64>, LedgerError> {
        self.life.within(self.port.misfiled()).await
    }
    async fn columns(&self, seq: u64, limit: usize) -> Result<Vec<Columns>, LedgerError> {
        self.life.within(self.port.columns(seq, limit)).await
    }
}
