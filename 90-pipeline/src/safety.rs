//! What stops or excepts, as the journal tells it: kill switches, waivers and the freeze of changes. Every grant of the gate
//! depends on the versions of these streams.

use crate::commit::{Batch, CommitError, Expect, STALE_MAX};
use crate::erase::{said_about, words};
use crate::glass::{self, Glasses};
use crate::journal::Journal;
use crate::listing::{LISTED, Listing, Span};
use crate::pipeline::{Pipeline, PipelineError};
use serde_json::{Value, json};
use std::time::Duration;
use writ_agents::{Decoded, KILL_SWITCH_STREAM, KillScope, KillSwitchMoved, KillSwitches, Pulled};
use writ_core::{Actor, Entry, Event, LedgerError, PrincipalId, RuleId, WaiverId};
use writ_policy::{
    EXCEPTIONS_STREAM, ExceptionEvent, Exceptions, MaintenanceSet, WaiverAnswered, WaiverAsked, WaiverRefused,
    WaiverState, WaiverStatus,
};

/// What people's words about the two are kept under.
const KILL_SWITCH: &str = "kill-switch";
const MAINTENANCE: &str = "maintenance";

/// The view of exceptions, under what waivers stand there, and what the freeze of changes does.
pub(crate) const EXCEPTIONS: &str = "exceptions";
const WAIVER: &str = "waiver/";
const FREEZE: &str = "maintenance";

/// The view of kill switches, and under what those are listed that are pulled.
pub(crate) const SWITCHES: &str = "switches";
const SWITCH: &str = "switch/";

/// The safety streams, folded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Safety {
    pub(crate) switches: KillSwitches,
    pub(crate) switch_version: u64,
    pub(crate) exceptions: Exceptions,
    pub(crate) exceptions_version: u64,
    pub(crate) glasses: Glasses,
}

/// Reads them all.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn read(journal: &Journal) -> Result<Safety, PipelineError> {
    let mut safety = Safety::default();
    (safety.switches, safety.switch_version) = switched(&journal.stream(KILL_SWITCH_STREAM).await?)?;
    safety.glasses = glass::read(journal).await?;
    (safety.exceptions, safety.exceptions_version) = exceptions(&journal.stream(EXCEPTIONS_STREAM).await?)?;
    Ok(safety)
}

/// The kill switches as they stand after their entries, and the version of those.
fn switched(entries: &[Entry]) -> Result<(KillSwitches, u64), PipelineError> {
    let mut switches = KillSwitches::default();
    for entry in entries {
        let decoded = writ_agents::decode(&entry.kind, &entry.body);
        if let Decoded::KillSwitch(moved) = decoded.map_err(|error| unreadable("kill switches", &error))? {
            switches.apply(&moved);
        }
    }
    Ok((switches, entries.last().map_or(0, |entry| entry.version)))
}

fn exceptions(entries: &[Entry]) -> Result<(Exceptions, u64), PipelineError> {
    let mut exceptions = Exceptions::default();
    for entry in entries {
        let event = ExceptionEvent::decode(&entry.kind, &entry.body);
        event.map_err(|error| unreadable("exceptions", &error))?.iter().for_each(|event| exceptions.apply(event));
    }
    Ok((exceptions, entries.last().map_or(0, |entry| entry.version)))
}

/// What an entry excepts from the rules, or excepts no more.
fn exception(entry: &Entry) -> Option<ExceptionEvent> {
    let about = (entry.stream == EXCEPTIONS_STREAM).then(|| ExceptionEvent::decode(&entry.kind, &entry.body));
    about?.ok().flatten()
}

/// Which exception an entry is about.
pub(crate) fn exception_key(entry: &Entry) -> Option<String> {
    Some(exception(entry)?.waiver().map_or_else(|| FREEZE.to_owned(), |waiver| format!("{WAIVER}{waiver}")))
}

/// An exception after one more entry about it.
pub(crate) fn exception_next(before: Option<&Value>, entry: &Entry) -> Option<Value> {
    let event = exception(entry)?;
    if let ExceptionEvent::Maintenance(set) = event {
        return Some(json!({"moved": entry.version, "on": set.on}));
    }
    let before = before.and_then(|doc| serde_json::from_value(doc.get("waiver")?.clone()).ok());
    Some(json!({"moved": entry.version, "waiver": WaiverStatus::after(before, &event)?}))
}

fn waiver_of(doc: &Value) -> Option<KnownWaiver> {
    Some(KnownWaiver { status: serde_json::from_value(doc.get("waiver")?.clone()).ok()?, moved: moved_of(doc)? })
}

fn moved_of(doc: &Value) -> Option<u64> {
    doc.get("moved")?.as_u64()
}

/// How an entry moves a kill switch.
fn switch(entry: &Entry) -> Option<KillSwitchMoved> {
    let decoded = (entry.stream == KILL_SWITCH_STREAM).then(|| writ_agents::decode(&entry.kind, &entry.body))?;
    if let Ok(Decoded::KillSwitch(moved)) = decoded { Some(moved) } else { None }
}

/// Which kill switch an entry moves.
pub(crate) fn switch_key(entry: &Entry) -> Option<String> {
    Some(switch(entry)?.scope.name())
}

/// A kill switch after it was moved: one that is pulled stays as it was pulled first.
pub(crate) fn switch_next(before: Option<&Value>, entry: &Entry) -> Option<Value> {
    let moved = switch(entry)?;
    let mut switches = KillSwitches::default();
    if let Some(before) = before.and_then(pulled_of) {
        switches.pull(before.scope, before.pulled);
    }
    switches.apply(&moved);
    let pulled = switches.pulled().next().map(|(_, pulled)| pulled.clone());
    Some(json!({"moved": entry.version, "pulled": pulled, "scope": moved.scope}))
}

fn pulled_of(doc: &Value) -> Option<PulledSwitch> {
    let pulled = serde_json::from_value::<Option<Pulled>>(doc.get("pulled")?.clone()).ok()??;
    let scope = serde_json::from_value(doc.get("scope")?.clone()).ok()?;
    Some(PulledSwitch { scope, pulled, moved: moved_of(doc)? })
}

/// Where a kill switch is listed while it is pulled.
pub(crate) fn switch_listed(entry: &Entry) -> Option<String> {
    Some(format!("{SWITCH}{}", switch_key(entry)?))
}

/// Whether an entry pushes a kill switch back.
pub(crate) fn is_released(entry: &Entry) -> bool {
    switch(entry).is_some_and(|moved| !moved.pulled)
}

fn unreadable(of: &'static str, error: &dyn std::error::Error) -> PipelineError {
    PipelineError::Recorded { of, because: error.to_string() }
}

/// A kill switch that is pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledSwitch {
    /// What it stops.
    pub scope: KillScope,
    /// By whom, when and why.
    pub pulled: Pulled,
    /// Where it last moved in the stream of kill switches.
    pub moved: u64,
}

/// A waiver as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownWaiver {
    /// What was asked and answered.
    pub status: WaiverStatus,
    /// Where it last moved in the stream of exceptions.
    pub moved: u64,
}

/// Why an exception is not made.
#[derive(Debug, thiserror::Error)]
pub enum ExceptionError {
    /// It is not one that may be.
    #[error("the exception is not made")]
    Refused(#[from] WaiverRefused),
    /// Nothing could be recorded.
    #[error("the journal takes nothing")]
    Commit(#[from] CommitError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
    /// What was recorded cannot be read back.
    #[error("what was recorded cannot be read")]
    Recorded(#[source] PipelineError),
}

impl Pipeline {
    /// Pulls or releases a kill switch.
    ///
    /// # Errors
    /// When it could not be recorded.
    pub async fn kill_switch(
        &self,
        scope: KillScope,
        pulled: bool,
        reason: &str,
        by: &Actor,
    ) -> Result<(), CommitError> {
        let at = self.journal().now();
        let (mut batch, mut commitment) = (Batch::default(), None);
        if !reason.is_empty() {
            let (said, words) = words(self.journal(), &said_about(KILL_SWITCH), KILL_SWITCH, by, reason);
            commitment = Some(words.commitment);
            batch.drafts.push(said);
            batch.erasables.push(words);
        }
        let moved = KillSwitchMoved { at, by: by.clone(), pulled, reason: commitment, scope };
        batch.drafts.insert(0, moved.draft(by));
        self.journal().commit(&self.journal().new_cause(), batch).await?;
        if !self.learn_safety().await {
            self.gate().state().switches.apply(&moved);
        }
        Ok(())
    }

    /// Some of the kill switches that are pulled, by their names.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn pulled_switches(&self, span: Span<'_>) -> Result<Listing<PulledSwitch>, LedgerError> {
        let found = Listing::read(self.journal(), (LISTED, SWITCH), span, |_| true).await?;
        let mut rows = Vec::with_capacity(found.rows.len());
        for (name, _) in &found.rows {
            let doc = self.journal().doc(SWITCHES, name).await?;
            rows.extend(doc.as_ref().and_then(pulled_of));
        }
        Ok(Listing { rows, next: found.next })
    }

    /// Some of the waivers that there ever were, in the order of time.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn waivers(&self, span: Span<'_>) -> Result<Listing<KnownWaiver>, LedgerError> {
        let found = Listing::read(self.journal(), (EXCEPTIONS, WAIVER), span, |_| true).await?;
        let rows = found.rows.iter().filter_map(|(_, doc)| waiver_of(doc)).collect();
        Ok(Listing { rows, next: found.next })
    }

    /// Where a kill switch last moved in their stream; none where it never did.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn switch_moved(&self, scope: &KillScope) -> Result<Option<u64>, LedgerError> {
        Ok(self.journal().doc(SWITCHES, &scope.name()).await?.as_ref().and_then(moved_of))
    }

    /// Where a waiver last moved in the stream of exceptions; none where there is none.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn waiver_moved(&self, waiver: &WaiverId) -> Result<Option<u64>, LedgerError> {
        Ok(self.journal().doc(EXCEPTIONS, &format!("{WAIVER}{waiver}")).await?.as_ref().and_then(moved_of))
    }

    /// Whether changes are frozen, and where that last moved in the stream of exceptions; none where it never did.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn freeze(&self) -> Result<(bool, Option<u64>), LedgerError> {
        let doc = self.journal().doc(EXCEPTIONS, FREEZE).await?.unwrap_or_default();
        Ok((doc.get("on").is_some_and(|on| on == true), moved_of(&doc)))
    }

    /// Asks for a waiver: a rule that may be broken on a subject for a while. It holds once somebody else grants it.
    ///
    /// # Errors
    /// When no rule in force has that name, the span is too long, or it could not be recorded.
    pub async fn ask_waiver(
        &self,
        rule: &RuleId,
        subject: &str,
        span: Duration,
        reason: &str,
        by: &PrincipalId,
    ) -> Result<WaiverId, ExceptionError> {
        let now = self.journal().now();
        let waiver = WaiverId::mint(now.millis(), self.journal().chance());
        let (said, words) = words(self.journal(), EXCEPTIONS_STREAM, waiver.as_str(), &Actor::human(by), reason);
        let asked = WaiverAsked {
            at: now,
            author: by.clone(),
            expires_at: now.plus(span),
            reason: words.commitment,
            rule: rule.clone(),
            subject: subject.to_owned(),
            waiver: waiver.clone(),
        };
        let bundle = self.gate().state().bundle.clone();
        let rules = || bundle.rules().map(|(id, _, _)| id);
        let decide = |exceptions: &Exceptions| exceptions.ask(asked.clone(), rules());
        let with = Batch { erasables: vec![words], ..Batch::of(vec![said]) };
        self.except(&decide, with, by).await?;
        Ok(waiver)
    }

    /// Grants or refuses a waiver that somebody else asked for, or takes one back, with why.
    ///
    /// # Errors
    /// When it is not there, over, in another state, or one's own; or nothing could be recorded.
    pub async fn answer_waiver(
        &self,
        waiver: &WaiverId,
        wanted: WaiverState,
        reason: &str,
        by: &PrincipalId,
    ) -> Result<(), ExceptionError> {
        let at = self.journal().now();
        let (said, words) = words(self.journal(), EXCEPTIONS_STREAM, waiver.as_str(), &Actor::human(by), reason);
        let answered = WaiverAnswered { at, by: by.clone(), waiver: waiver.clone() };
        let decide = |exceptions: &Exceptions| exceptions.answer(answered.clone(), wanted);
        let with = Batch { erasables: vec![words], ..Batch::of(vec![said]) };
        self.except(&decide, with, by).await
    }

    /// Freezes changes, or lets them through again. What that means is for policies to say: it is the fact `maintenance`.
    ///
    /// # Errors
    /// When it could not be recorded.
    pub async fn set_maintenance(&self, on: bool, reason: &str, by: &PrincipalId) -> Result<(), ExceptionError> {
        let set = MaintenanceSet { at: self.journal().now(), by: by.clone(), on };
        let mut with = Batch::default();
        if !reason.is_empty() {
            let (said, words) = words(self.journal(), &said_about(MAINTENANCE), MAINTENANCE, &Actor::human(by), reason);
            with.drafts.push(said);
            with.erasables.push(words);
        }
        self.except(&|_| Ok(ExceptionEvent::Maintenance(set.clone())), with, by).await
    }

    /// Decides on the exceptions as they are, records it, and lets the gate know.
    async fn except(
        &self,
        decide: &(dyn Fn(&Exceptions) -> Result<ExceptionEvent, WaiverRefused> + Sync),
        with: Batch,
        by: &PrincipalId,
    ) -> Result<(), ExceptionError> {
        let journal = self.journal();
        let mut tries = 0;
        loop {
            let recorded = exceptions(&journal.stream(EXCEPTIONS_STREAM).await?).map_err(ExceptionError::Recorded)?;
            let (exceptions, version) = recorded;
            let mut batch = with.clone();
            batch.drafts.push(decide(&exceptions)?.draft(&Actor::human(by)));
            batch.expects.push(Expect { stream: EXCEPTIONS_STREAM.into(), version });
            match journal.commit(&journal.new_cause(), batch).await {
                Err(CommitError::Stale { .. }) if tries < STALE_MAX => tries += 1,
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        self.learn_safety().await;
        Ok(())
    }

    /// Lets the gate know what the journal says; false when it cannot be read. Read back whole: two people may act at the same
    /// time, and the journal alone knows who came first.
    async fn learn_safety(&self) -> bool {
        match read(self.journal()).await {
            Ok(safety) => {
                self.gate().state().learn(safety);
                true
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "safety streams cannot be read; the gate goes by what it knew");
                false
            }
        }
    }
}
