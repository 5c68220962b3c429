//! What people agreed to beforehand: the standing approval that automatic remedies cite. Every component draws on the same
//! budget, and the entry by which a remedy cites it is what spends it.

use crate::commit::{Batch, CommitError, Expect, STALE_MAX};
use crate::journal::{Journal, decode};
use crate::pipeline::{Pipeline, PipelineError};
use crate::wish::ChangeError;
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use writ_automation::{ApprovalEvent, ApprovalFact, Cited, Revoked, Standing};
use writ_core::{Actor, ApprovalId, Draft, Event, Filter, LedgerError, PrincipalId, Timestamp};
use writ_self_healing::Remedy;

/// A standing approval in force, and what was drawn on it.
pub(crate) struct Agreement {
    standing: Standing,
    drawn: Mutex<Drawn>,
}

/// The standing approval in force, if there is one: everybody who heals looks here, and finds the newest.
#[derive(Clone, Default)]
pub(crate) struct InForce(Arc<RwLock<Option<Arc<Agreement>>>>);

impl InForce {
    pub(crate) fn of(agreement: Option<Agreement>) -> Self {
        let found = Self::default();
        found.set(agreement);
        found
    }

    pub(crate) fn now(&self) -> Option<Arc<Agreement>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, agreement: Option<Agreement>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = agreement.map(Arc::new);
    }
}

/// What was drawn on a standing approval.
struct Drawn {
    /// When it was cited, within its period.
    cited: VecDeque<Timestamp>,
    /// The version of its stream that this was read from.
    version: u64,
    /// Whether it was taken back.
    revoked: bool,
}

/// The right to draw on the budget, while nobody else does.
pub(crate) struct Draw<'a> {
    standing: &'a Standing,
    drawn: MutexGuard<'a, Drawn>,
}

impl Agreement {
    /// Reads what was drawn so far.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) async fn read(journal: &Journal, standing: Standing) -> Result<Self, LedgerError> {
        let drawn = drawn(journal, &standing).await?;
        Ok(Self { standing, drawn: Mutex::new(drawn) })
    }

    /// What was agreed to.
    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Waits for the right to draw. It is held until the remedy's run has begun or was refused.
    pub(crate) async fn draw(&self) -> Draw<'_> {
        Draw { standing: &self.standing, drawn: self.drawn.lock().await }
    }
}

impl Draw<'_> {
    /// Whether the approval covers every target of a remedy now.
    pub(crate) fn covers(&mut self, remedy: &Remedy, now: Timestamp) -> bool {
        let period = Duration::from_secs(self.standing.budget.period_seconds);
        while self.drawn.cited.front().is_some_and(|at| now.since(*at) > period) {
            self.drawn.cited.pop_front();
        }
        if self.drawn.revoked {
            return false;
        }
        let used = self.drawn.cited.make_contiguous();
        let covers = |target: &str| match self.standing.covers(remedy.action.name(), target, used, now) {
            Ok(()) => true,
            Err(not) => {
                tracing::warn!(because = not.to_string(), "a remedy is not covered by the standing approval");
                false
            }
        };
        match remedy.targets.as_slice() {
            [] => covers(remedy.component.as_str()),
            targets => targets.iter().all(|target| covers(&format!("{}/{}", remedy.component, target.instance))),
        }
    }

    /// The entry that draws one of the budget; stale when somebody else drew or revoked meanwhile.
    pub(crate) fn cite(&mut self, remedy: &Remedy, target: &str, now: Timestamp) -> Batch {
        let cited = Cited { action: remedy.action.name().to_owned(), target: target.to_owned() };
        let what = ApprovalFact::Cited(cited);
        let draft: Draft =
            ApprovalEvent { approval: self.standing.id.clone(), at: now, what }.draft(&Actor::system("self-healing"));
        let expects = vec![Expect { stream: draft.stream.clone(), version: self.drawn.version }];
        Batch { expects, ..Batch::of(vec![draft]) }
    }

    /// Whether a commit failed because somebody else drew.
    pub(crate) fn overtaken(&self, error: &CommitError) -> bool {
        matches!(error, CommitError::Stale { stream, .. } if *stream == stream_of(self.standing))
    }

    /// The standing approval.
    pub(crate) fn id(&self) -> ApprovalId {
        self.standing.id.clone()
    }

    /// What was drawn is recorded.
    pub(crate) fn drawn(&mut self, now: Timestamp) {
        self.drawn.cited.push_back(now);
        self.drawn.version += 1;
    }

    /// Reads anew what was drawn, when it is not what was known.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) async fn read_again(&mut self, journal: &Journal) -> Result<(), LedgerError> {
        *self.drawn = drawn(journal, self.standing).await?;
        Ok(())
    }
}

fn stream_of(standing: &Standing) -> String {
    format!("approval/{}", standing.id)
}

/// Only the last period counts, and of it no more than there is budget, so an old approval costs what a new one does. The
/// version is read first: what is drawn meanwhile makes the caller stale.
async fn drawn(journal: &Journal, standing: &Standing) -> Result<Drawn, LedgerError> {
    let (ledger, stream) = (journal.ledger(), stream_of(standing));
    let version = ledger.stream_version(&stream).await?;
    let cited = Filter {
        stream: Some(stream),
        kind: Some("approval.cited/1".into()),
        from_time: Some(journal.now().minus(Duration::from_secs(standing.budget.period_seconds))),
        newest_first: true,
        ..Filter::default()
    };
    let found = ledger.query(&cited, usize::try_from(standing.budget.count).unwrap_or(usize::MAX)).await?;
    let cited = found.iter().rev().map(|stored| Ok(decode(stored)?.timestamp)).collect::<Result<_, LedgerError>>()?;
    // The view has those that were granted and not revoked.
    let revoked = version > 0 && journal.doc("standing", standing.id.as_str()).await?.is_none();
    Ok(Drawn { cited, version, revoked })
}

/// The standing approval in force: the newest in the journal, or else the one offered, which is recorded.
///
/// # Errors
/// When the journal cannot be read or written, or what is offered is no standing approval.
pub(crate) async fn stand(journal: &Journal, offered: Option<Standing>) -> Result<Option<Agreement>, PipelineError> {
    let now = journal.now();
    let known = journal.ledger().views("standing", "", None, 1_000).await?;
    let read = |doc: &Vec<u8>| {
        let body = serde_json::from_slice(doc).ok()?;
        let event = ApprovalEvent::decode("approval.standing/1", &body).ok()?;
        if let ApprovalFact::Standing(standing) = event.what { Some(standing) } else { None }
    };
    let mut known: Vec<Standing> = known.iter().filter_map(|(_, doc)| read(doc)).collect();
    known.retain(|standing| standing.expires_at > now);
    known.sort_by_key(|standing| standing.granted_at);
    let standing = match known.pop() {
        Some(newest) => newest,
        None => {
            let Some(offered) = offered else { return Ok(None) };
            grant(journal, &offered).await?;
            offered
        }
    };
    Ok(Some(Agreement::read(journal, standing).await?))
}

impl Pipeline {
    /// Takes a standing approval back: automatic remedies cite it no more.
    ///
    /// # Errors
    /// When none of that name is in force, or it could not be recorded.
    pub async fn revoke_standing(&self, id: &ApprovalId, by: &PrincipalId) -> Result<(), ChangeError> {
        let journal = self.journal();
        let mut tries = 0;
        loop {
            let entries = journal.stream(&format!("approval/{id}")).await?;
            if journal.doc("standing", id.as_str()).await?.is_none() {
                return Err(ChangeError::NotStanding { id: id.clone() });
            }
            let what = ApprovalFact::Revoked(Revoked { by: by.clone() });
            let event = ApprovalEvent { approval: id.clone(), at: journal.now(), what };
            let draft = event.draft(&Actor::human(by));
            let expects = vec![Expect { stream: draft.stream.clone(), version: entries.len() as u64 }];
            let batch = Batch { expects, ..Batch::of(vec![draft]) };
            match journal.commit(&journal.cause_after(entries.last()), batch).await {
                // A remedy drew on it meanwhile.
                Err(CommitError::Stale { .. }) if tries < STALE_MAX => tries += 1,
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        self.learn_standing().await;
        Ok(())
    }

    /// From now on the newest that the journal has is in force.
    pub(crate) async fn learn_standing(&self) {
        match stand(self.journal(), None).await {
            Ok(agreement) => self.inner.agreement.set(agreement),
            Err(error) => {
                // What is in force notices by itself when it was revoked; a new one is found at the next start.
                tracing::error!(error = &error as &dyn std::error::Error, "standing approvals cannot be read");
            }
        }
    }
}

async fn grant(journal: &Journal, offered: &Standing) -> Result<(), PipelineError> {
    if let Err(refused) = offered.check() {
        let because = refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return Err(PipelineError::Recorded { of: "the standing approval", because });
    }
    let what = ApprovalFact::Standing(offered.clone());
    let draft =
        ApprovalEvent { approval: offered.id.clone(), at: journal.now(), what }.draft(&Actor::system("genesis"));
    journal.commit(&journal.new_cause(), Batch::of(vec![draft])).await?;
    Ok(())
}
