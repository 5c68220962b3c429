//! One channel's way through what is to be told: one telling after the other, each tried again within bounds, each end of it an
//! entry. A process that ends between the two hands the same telling over again, under the same id.

use super::Channel;
use super::matter::{self, is_for, place};
use super::telling::{Named, Telling, several, telling};
use crate::commit::{Batch, Cause, CommitError};
use crate::journal::decode;
use crate::people::name_of;
use crate::pipeline::Pipeline;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use writ_automation::Backoff;
use writ_core::{ActorKind, Digest, Draft, Entry, LedgerError, NotifyError, Severity, Timestamp, failpoint};

/// Tellings that are looked up at once.
const PAGE: usize = 32;

/// When so many wait for a channel that people read, they are told as one, but for what needs somebody now.
const BUNDLE: usize = 20;

/// What is older is not told any more: who looks finds it in the journal.
const TOO_OLD: Duration = Duration::from_secs(86_400);

/// Attempts at one telling that may fail at the other side.
const FAULTS_MAX: u64 = 8;

/// The longest that a channel is waited for, whatever it does.
const ATTEMPT_MAX: Duration = Duration::from_secs(60);

/// How long after a failure of ours it goes on.
const GO_ON: Duration = Duration::from_secs(1);

/// How long it waits between two attempts.
pub(super) const AGAIN: Backoff = Backoff {
    ceiling: Duration::from_secs(300),
    factor_percent: 200,
    first: Duration::from_secs(1),
    jitter_percent: 20,
};

/// A channel that takes nothing.
#[derive(Debug, Clone)]
pub(super) struct Failing {
    pub(super) since: Timestamp,
    pub(super) because: String,
}

/// How often a telling was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tries {
    /// In all.
    pub(super) attempts: u64,
    /// Of those, how many failed at the other side.
    pub(super) faults: u64,
}

/// How long to wait until a telling of an age is tried again; none when it is given up.
pub(super) fn patience(error: &NotifyError, tries: Tries, age: Duration, seed: u64) -> Option<Duration> {
    let again = match error {
        NotifyError::Refused { .. } => false,
        NotifyError::Failed { .. } => tries.faults < FAULTS_MAX,
        NotifyError::Unreachable { .. } => true,
    };
    let failed = u32::try_from(tries.attempts).unwrap_or(u32::MAX);
    (again && age < TOO_OLD).then(|| AGAIN.wait(failed, seed))
}

impl Pipeline {
    /// Places of what waits for a channel, oldest first.
    pub(super) async fn waiting(&self, channel: &Channel, limit: usize) -> Result<Vec<u64>, LedgerError> {
        let name = channel.notifier.name();
        let all: Vec<&str> = self.inner.channels.iter().map(|channel| channel.notifier.name()).collect();
        let ledger = self.journal().ledger();
        let doc = ledger.view("channels", name).await?;
        let doc: Value = doc.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let upto = doc.get("upto").and_then(Value::as_u64).unwrap_or(0).max(channel.passed.load(Ordering::Relaxed));
        // Keys come after the last place that was dealt with.
        let (mut after, mut found) = (upto.checked_sub(1).map(place), Vec::new());
        let mut passed = upto;
        loop {
            let page = ledger.views("tellings", "", after.as_deref(), PAGE).await?;
            for (key, doc) in &page {
                let Ok(seq) = key.parse::<u64>() else { continue };
                let doc = serde_json::from_slice(doc).unwrap_or_default();
                if is_for(&doc, name, &all, self.setup().told_from) {
                    found.push(seq);
                } else if found.is_empty() {
                    passed = seq + 1;
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE && found.len() < limit => after = Some(key.clone()),
                Some(_) | None => break,
            }
        }
        channel.passed.fetch_max(passed, Ordering::Relaxed);
        found.truncate(limit);
        Ok(found)
    }
}

/// What ends a channel's way.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("it is told to end")]
    Over,
    #[error("the journal takes nothing")]
    Commit(#[from] CommitError),
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
}

pub(super) struct Post {
    pub(super) pipeline: Pipeline,
    pub(super) channel: Arc<Channel>,
    /// The place that was dealt with last; the view that says so trails.
    pub(super) done: Option<u64>,
    /// Changes when there may be more.
    pub(super) wanted: watch::Receiver<u64>,
    /// Whether it is to end.
    pub(super) over: watch::Receiver<bool>,
}

impl Post {
    /// Goes on until it is told to end, or the journal is closed.
    pub(super) async fn run(mut self) {
        while !*self.over.borrow() {
            self.wanted.borrow_and_update();
            match self.hand_over().await {
                Ok(()) => {
                    let mut over = self.over.clone();
                    tokio::select! {
                        biased;
                        _ = over.changed() => return,
                        more = self.wanted.changed() => if more.is_err() { return },
                    }
                }
                Err(Stop::Over | Stop::Commit(CommitError::Closed { .. })) => return,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a channel could not go on");
                    if self.rest(GO_ON).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Waits, unless it is told to end.
    async fn rest(&self, span: Duration) -> Result<(), Stop> {
        let mut over = self.over.clone();
        tokio::select! {
            biased;
            _ = over.wait_for(|over| *over) => Err(Stop::Over),
            () = self.pipeline.journal().base().clock.sleep(span) => Ok(()),
        }
    }

    /// Hands over all that waits.
    async fn hand_over(&mut self) -> Result<(), Stop> {
        loop {
            let mut waiting = Vec::new();
            for seq in self.pipeline.waiting(&self.channel, PAGE).await? {
                if self.done.is_none_or(|done| seq > done) {
                    waiting.push(self.entry(seq).await?);
                }
            }
            if waiting.is_empty() {
                return Ok(());
            }
            let now = self.pipeline.journal().now();
            let old = waiting.iter().take_while(|entry| now.since(entry.timestamp) >= TOO_OLD).count();
            if let Some(last) = waiting.iter().take(old).next_back() {
                let because = "it is more than a day old";
                let draft = matter::failed(self.channel.notifier.name(), last, old, 0, because);
                self.record(last, draft).await?;
            }
            let rest = waiting.get(old..).unwrap_or_default();
            match rest.get(..self.bundle(rest)) {
                Some(bundle @ [_, .., last]) => {
                    let mut tellings = Vec::new();
                    for entry in bundle {
                        tellings.extend(self.telling(entry).await?);
                    }
                    let told = several(&tellings, &self.pipeline.setup().address);
                    self.deliver(told, last, bundle.len()).await?;
                }
                Some(_) | None => {
                    for entry in rest {
                        if let Some(told) = self.telling(entry).await? {
                            self.deliver(told, entry, 1).await?;
                        }
                    }
                }
            }
        }
    }

    fn name(&self) -> &str {
        self.channel.notifier.name()
    }

    async fn entry(&self, seq: u64) -> Result<Entry, LedgerError> {
        let found = self.pipeline.journal().ledger().entries(seq, 1).await?;
        let missing = || LedgerError::Damaged { place: format!("entry {seq}"), what: "it is not there".into() };
        decode(found.first().ok_or_else(missing)?)
    }

    /// How many of those that wait, oldest first, are told as one; 0 when each is told by itself. It depends on nothing but the
    /// journal, so that after a crash the same are told as one again.
    fn bundle(&self, waiting: &[Entry]) -> usize {
        if waiting.len() < BUNDLE || !self.channel.notifier.is_read_by_people() {
            return 0;
        }
        let mild = |entry: &&Entry| matter::matter(entry).is_some_and(|matter| matter.severity < Severity::Critical);
        waiting.iter().take(BUNDLE).take_while(mild).count()
    }

    async fn telling(&self, entry: &Entry) -> Result<Option<Telling>, LedgerError> {
        let Some(matter) = matter::matter(entry) else { return Ok(None) };
        Ok(Some(telling(entry, matter, &self.named(entry).await?)))
    }

    /// Hands one telling over, which is of so many entries, until it is taken or given up.
    async fn deliver(&mut self, telling: Telling, entry: &Entry, count: usize) -> Result<(), Stop> {
        let journal = self.pipeline.journal().clone();
        let clock = journal.base().clock.clone();
        let (mut tries, mut since) = (Tries::default(), None);
        loop {
            tries.attempts += 1;
            failpoint::pass("notify.sending", self.name());
            let took = tokio::select! {
                biased;
                took = self.channel.notifier.notify(&telling) => took,
                () = clock.sleep(ATTEMPT_MAX) => {
                    Err(NotifyError::Unreachable { because: "it does not come to an end".into() })
                }
            };
            failpoint::pass("notify.sent", self.name());
            let Err(error) = took else {
                self.channel.fails(None);
                let draft = matter::delivered(self.name(), entry, count, tries.attempts);
                return self.record(entry, draft).await;
            };
            tries.faults += u64::from(matches!(error, NotifyError::Failed { .. }));
            let (now, because) = (journal.now(), error.to_string());
            let since = *since.get_or_insert_with(|| self.channel.failing().map_or(now, |failing| failing.since));
            let [a, b, c, d, e, f, g, h, ..] = journal.chance();
            let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            let wait = patience(&error, tries, now.since(entry.timestamp), seed);
            let Some(wait) = wait else {
                tracing::error!(channel = self.name(), because, of = %entry.event_id, "a notification was given up");
                self.channel.fails(None);
                let draft = matter::failed(self.name(), entry, count, tries.attempts, &because);
                return self.record(entry, draft).await;
            };
            if tries.attempts == 1 {
                tracing::warn!(channel = self.name(), because, "a notification is not taken; it is tried again");
            }
            self.channel.fails(Some(Failing { since, because }));
            self.rest(wait).await?;
        }
    }

    /// Records what came of a telling. As long as that fails, the channel does not go on.
    async fn record(&mut self, of: &Entry, draft: Draft) -> Result<(), Stop> {
        let journal = self.pipeline.journal().clone();
        let receipt = journal.commit(&Cause::after(of), Batch::of(vec![draft])).await?;
        self.done = Some(of.seq);
        journal.reported(receipt.last_seq() + 1).await;
        Ok(())
    }

    /// What an entry names, in words.
    async fn named(&self, entry: &Entry) -> Result<Named, LedgerError> {
        let (journal, setup) = (self.pipeline.journal(), self.pipeline.setup());
        let text = |pointer: &str| entry.body.pointer(pointer).and_then(Value::as_str);
        let run = text("/run").or_else(|| entry.stream.strip_prefix("run/"));
        let intent = match run {
            Some(run) => {
                journal.doc("runs", run).await?.as_ref().and_then(|doc| doc.get("intent")?.as_str()).map(str::to_owned)
            }
            None => None,
        };
        let seen = match text("/incident") {
            Some(incident) => journal.doc("incidents", incident).await?,
            None => None,
        };
        let seen = seen.as_ref().and_then(|doc| doc.get("seen")?.as_str()).map(str::to_owned);
        let asked = text("/requester/kind") == Some("human");
        let by = if asked { text("/requester/id") } else { text("/by") };
        let by = match by.and_then(|by| by.parse().ok()) {
            Some(person) => name_of(journal, &person).await?,
            None if entry.actor.kind == ActorKind::Human => match entry.actor.id.parse() {
                Ok(person) => name_of(journal, &person).await?,
                Err(_) => entry.actor.id.clone(),
            },
            None => text("/requester/id").unwrap_or(&entry.actor.id).to_owned(),
        };
        let rules = match text("/terms/decision").and_then(|digest| digest.parse::<Digest>().ok()) {
            Some(decision) => rules(&journal.ledger().attachment(&decision).await?.unwrap_or_default()),
            None => Vec::new(),
        };
        Ok(Named {
            address: setup.address.clone(),
            approvers: setup.approvers.clone(),
            by,
            rules,
            seen: seen.unwrap_or_default(),
            intent: intent.unwrap_or_default(),
        })
    }
}

/// The rules of a decision that ask for people.
fn rules(decision: &[u8]) -> Vec<String> {
    let decision: Value = serde_json::from_slice(decision).unwrap_or_default();
    let findings = decision.pointer("/verdict/findings").and_then(Value::as_array);
    let asks = |finding: &&Value| {
        let waived = finding.get("waived_by").is_some_and(Value::is_string);
        !waived && finding.pointer("/asks/decision").and_then(Value::as_str) == Some("require_approval")
    };
    let rule = |finding: &Value| finding.get("rule").and_then(Value::as_str).map(str::to_owned);
    findings.into_iter().flatten().filter(asks).filter_map(rule).collect()
}
