//! What stops or excepts, as the journal tells it: kill switches, waivers and the freeze of changes. Every grant of the gate
//! depends on the versions of these streams.

use crate::commit::{Batch, CommitError, Expect, STALE_MAX};
use crate::erase::{said_about, words};
use crate::glass::{self, Glasses};
use crate::journal::Journal;
use crate::pipeline::{Pipeline, PipelineError};
use std::collections::BTreeMap;
use std::time::Duration;
use writ_agents::{Decoded, KILL_SWITCH_STREAM, KillScope, KillSwitchMoved, KillSwitches, Pulled};
use writ_core::{Actor, Entry, Event, LedgerError, PrincipalId, RuleId, WaiverId};
use writ_policy::{
    EXCEPTIONS_STREAM, ExceptionEvent, Exceptions, MaintenanceSet, WaiverAnswered, WaiverAsked, WaiverRefused,
    WaiverState,
};

/// What people's words about the two are kept under.
const KILL_SWITCH: &str = "kill-switch";
const MAINTENANCE: &str = "maintenance";

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
    let (moves, version) = switched(&journal.stream(KILL_SWITCH_STREAM).await?)?;
    moves.iter().for_each(|(_, moved)| safety.switches.apply(moved));
    safety.switch_version = version;
    safety.glasses = glass::read(journal).await?;
    (safety.exceptions, safety.exceptions_version) = exceptions(&journal.stream(EXCEPTIONS_STREAM).await?)?;
    Ok(safety)
}

/// How kill switches were moved, oldest first, each with where that stands in their stream; and the version of that.
fn switched(entries: &[Entry]) -> Result<(Vec<(u64, KillSwitchMoved)>, u64), PipelineError> {
    let mut moves = Vec::new();
    for entry in entries {
        let decoded = writ_agents::decode(&entry.kind, &entry.body);
        if let Decoded::KillSwitch(moved) = decoded.map_err(|error| unreadable("kill switches", &error))? {
            moves.push((entry.version, moved));
        }
    }
    Ok((moves, entries.last().map_or(0, |entry| entry.version)))
}

fn exceptions(entries: &[Entry]) -> Result<(Exceptions, u64), PipelineError> {
    let mut exceptions = Exceptions::default();
    for entry in entries {
        let event = ExceptionEvent::decode(&entry.kind, &entry.body);
        event.map_err(|error| unreadable("exceptions", &error))?.iter().for_each(|event| exceptions.apply(event));
    }
    Ok((exceptions, entries.last().map_or(0, |entry| entry.version)))
}

fn unreadable(of: &'static str, error: &dyn std::error::Error) -> PipelineError {
    PipelineError::Recorded { of, because: error.to_string() }
}

/// A kill switch that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSwitch {
    /// Where that stands in the stream of kill switches.
    pub moved: u64,
    /// How it is pulled; none while it is not.
    pub pulled: Option<Pulled>,
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

    /// Every kill switch that was ever moved, in the order of what they stop.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn kill_switches(&self) -> Result<BTreeMap<KillScope, KnownSwitch>, ExceptionError> {
        let (mut known, mut switches) = (BTreeMap::new(), KillSwitches::default());
        let recorded = switched(&self.journal().stream(KILL_SWITCH_STREAM).await?);
        for (version, moved) in recorded.map_err(ExceptionError::Recorded)?.0 {
            switches.apply(&moved);
            known.insert(moved.scope, KnownSwitch { moved: version, pulled: None });
        }
        for (scope, pulled) in switches.pulled() {
            known.entry(scope.clone()).and_modify(|one| one.pulled = Some(pulled.clone()));
        }
        Ok(known)
    }

    /// Where each exception last moved: the newest entry about it in their stream. A waiver goes by its id, the freeze of changes
    /// by `policies`.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn exceptions_moved(&self) -> Result<BTreeMap<String, u64>, LedgerError> {
        let entries = self.journal().stream(EXCEPTIONS_STREAM).await?;
        Ok(entries.into_iter().map(|entry| (entry.resource, entry.version)).collect())
    }

    /// Every waiver there ever was, and whether changes are frozen.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn exceptions(&self) -> Result<Exceptions, ExceptionError> {
        let recorded = exceptions(&self.journal().stream(EXCEPTIONS_STREAM).await?);
        recorded.map(|(exceptions, _)| exceptions).map_err(ExceptionError::Recorded)
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
