//! People's agreement: asking for it, taking answers, and handing the outcome to the run that waits.

use crate::commit::{Batch, CommitError, Expect, STALE_MAX};
use crate::context::RunContext;
use crate::drive::DriveError;
use crate::erase::beside;
use crate::gate::finding;
use crate::grant::Scope;
use crate::journal::Journal;
use crate::pipeline::Pipeline;
use crate::record::live;
use crate::submit::SubmitError;
use crate::tokens::{self, narrowed, remaining};
use crate::wish::ChangeError;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::slice;
use std::time::Duration;
use writ_automation::{
    Approval, ApprovalChange, ApprovalEvent, ApprovalFact, ApprovalState, Ballot, BallotRefused, Run, RunState,
    Settled, Signal, StepState,
};
use writ_core::{Actor, ApprovalId, Draft, Entry, Event, LedgerError, PrincipalId, RunId, StepKey, Timestamp};

/// How soon an answer that could not be handed over is handed over again; each time twice as late, to a ceiling.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// A person, as a token names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The opaque id.
    pub id: PrincipalId,
    /// The roles they hold.
    pub roles: Vec<String>,
}

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// There is no such approval.
    #[error("there is no approval `{approval}`")]
    Unknown {
        /// What was asked for.
        approval: ApprovalId,
    },
    /// It asks nobody: it is a standing approval, or broken glass.
    #[error("`{approval}` is no question: nobody is asked about it")]
    Unasked {
        /// What was answered.
        approval: ApprovalId,
    },
    /// It does not count.
    #[error("the answer does not count")]
    Refused(#[from] BallotRefused),
    /// The person holds none of the roles where it would be done.
    #[error("`{by}` does not hold the role `{role}` for {of}")]
    Elsewhere {
        /// Who tried.
        by: PrincipalId,
        /// The roles that are asked.
        role: String,
        /// Whose it is, and where.
        of: Scope,
    },
    /// It could not be recorded.
    #[error("the answer could not be recorded")]
    Commit(#[from] CommitError),
    /// The change that it would make is not made.
    #[error("the change is not made")]
    Change(#[source] ChangeError),
    /// What was agreed to cannot be judged at this moment.
    #[error("what people agreed to cannot be judged anew")]
    Anew(#[source] SubmitError),
    /// The run does not take it.
    #[error("the answer is recorded, but its run does not take it")]
    Drive(#[from] DriveError),
    /// The journal could not be read.
    #[error("the approval cannot be read")]
    Ledger(#[from] LedgerError),
}

pub(crate) fn stream(approval: &ApprovalId) -> String {
    format!("approval/{approval}")
}

/// What a run's decision means for the approvals it waits for, to be recorded along with it.
pub(crate) fn drafts(run: &Run, settled: Vec<Settled>, at: Timestamp) -> Vec<Draft> {
    let draft = |one: Settled| {
        let asked = matches!(one.change, ApprovalChange::Asked(_));
        let by = if asked { run.submitted().requester.clone() } else { Actor::system("pipeline") };
        let event = ApprovalEvent { approval: one.approval, at, what: ApprovalFact::Asked(one.change) };
        let mut draft = event.draft(&by);
        if let (true, Value::Object(body)) = (asked, &mut draft.body) {
            body.insert("run".into(), json!(run.id()));
            body.insert("step".into(), json!(one.step));
        }
        draft
    };
    settled.into_iter().map(draft).collect()
}

fn draft_of(journal: &Journal, approval: &ApprovalId, change: &ApprovalChange, by: &Actor) -> Draft {
    let what = ApprovalFact::Asked(change.clone());
    ApprovalEvent { approval: approval.clone(), at: journal.now(), what }.draft(by)
}

/// An approval as it stands, with the run it is for.
async fn read(journal: &Journal, id: &ApprovalId) -> Result<(Approval, RunId, Vec<Entry>), AnswerError> {
    let unknown = || AnswerError::Unknown { approval: id.clone() };
    let entries = journal.stream(&stream(id)).await?;
    let change = |entry: &Entry| {
        let event = ApprovalEvent::decode(&entry.kind, &bare(&entry.body)).ok()?;
        if let ApprovalFact::Asked(change) = event.what { Some(change) } else { None }
    };
    let changes: Vec<ApprovalChange> = entries.iter().filter_map(change).collect();
    let Some(approval) = Approval::fold(&changes) else {
        return Err(if entries.is_empty() { unknown() } else { AnswerError::Unasked { approval: id.clone() } });
    };
    let run = entries.first().and_then(|entry| entry.body.get("run")?.as_str()?.parse().ok()).ok_or_else(unknown)?;
    Ok((approval, run, entries))
}

/// An entry's body without what is recorded along with the event.
pub(crate) fn bare(body: &Value) -> Value {
    let mut body = body.clone();
    if let Value::Object(fields) = &mut body {
        for ours in ["run", "step", "erasables", "change", "attachments"] {
            fields.remove(ours);
        }
    }
    body
}

/// Takes a person's answer; when it decides, the run that waits is told.
///
/// # Errors
/// When it does not count, or could not be recorded.
pub(crate) async fn answer(
    pipeline: &Pipeline,
    id: &ApprovalId,
    by: &Principal,
    agrees: bool,
    reason: &str,
) -> Result<ApprovalState, AnswerError> {
    let journal = pipeline.journal();
    let (mut approval, run, entries) = read(journal, id).await?;
    let words = Some(beside(journal, reason)).filter(|_| !reason.is_empty());
    let shown = approval.question().shown;
    let reason = words.as_ref().map(|words| words.commitment);
    let ballot = Ballot { agrees, by: by.id.clone(), reason, roles: Vec::new(), shown };
    // Only what the person holds where it would be done counts, as it is when this is recorded.
    let (_, context) = pipeline.drive().run(&run).await?;
    let mut expects =
        vec![Expect { stream: stream(id), version: entries.len() as u64 }, person_as_is(journal, &by.id).await?];
    let by = &narrowed(journal, by.clone()).await?;
    let (of, held) = (context.scope(), by.within(&context.scope()).roles);
    let roles: Vec<&str> = held.iter().map(String::as_str).collect();
    expects.extend(discount(journal, &mut approval, &of).await?);
    let elsewhere = by.anywhere().iter().any(|held| approval.question().terms.quorums().any(|(role, _)| role == held));
    let changes = approval.vote(&ballot, &roles, journal.now()).map_err(|refused| {
        if let BallotRefused::Role { by, role } = &refused
            && elsewhere
        {
            return AnswerError::Elsewhere { by: by.clone(), role: role.clone(), of: of.clone() };
        }
        AnswerError::Refused(refused)
    })?;
    let mut drafts: Vec<Draft> =
        changes.iter().map(|change| draft_of(journal, id, change, &Actor::human(&by.id))).collect();
    if let (Some(words), Some(Value::Object(body))) = (&words, drafts.first_mut().map(|draft| &mut draft.body)) {
        body.insert("erasables".into(), json!({"reason": words.commitment}));
    }
    let batch = Batch { drafts, expects, erasables: words.into_iter().collect(), ..Batch::default() };
    journal.commit(&journal.cause_after(entries.last()), batch).await?;
    changes.iter().for_each(|change| approval.apply(change));
    if let Err(error) = hand_over(pipeline, id, &approval, &run, &Actor::human(&by.id)).await {
        if let AnswerError::Drive(DriveError::Refused { .. }) = error {
            return Err(error);
        }
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, approval = %id, "an answer is recorded, and will be handed over");
        hand_over_later(pipeline, id);
    }
    // The run may have found that what people agreed to is no longer what would be done.
    let (approval, ..) = read(journal, id).await?;
    Ok(match approval.state() {
        ApprovalState::Used => ApprovalState::Granted,
        state @ (ApprovalState::Open
        | ApprovalState::Granted
        | ApprovalState::Refused
        | ApprovalState::Expired
        | ApprovalState::Void) => state,
    })
}

/// Leaves of what people answered what counts by the roles that they still have. It does while they stay as they are.
async fn discount(journal: &Journal, approval: &mut Approval, of: &Scope) -> Result<Vec<Expect>, LedgerError> {
    let mut expects = Vec::new();
    for ballot in approval.clone().ballots() {
        let once =
            if ballot.roles.is_empty() { slice::from_ref(&approval.question().terms.role) } else { &ballot.roles };
        // In this order: who loses a role meanwhile is of a newer version.
        expects.push(person_as_is(journal, &ballot.by).await?);
        approval.discount(&ballot.by, remaining(journal, &ballot.by, once, of).await?);
    }
    Ok(expects)
}

impl Pipeline {
    /// Whose answers to an open question count no more, for they lost the role that they gave them with. None where it is decided:
    /// nothing is counted any more.
    ///
    /// # Errors
    /// When the approval or its run cannot be read.
    pub async fn discounted(&self, id: &ApprovalId) -> Result<Option<BTreeSet<PrincipalId>>, AnswerError> {
        let (mut approval, run, _) = match read(self.journal(), id).await {
            // What is for no run asks one person.
            Err(AnswerError::Unknown { .. } | AnswerError::Unasked { .. }) => return Ok(None),
            read => read?,
        };
        if approval.state() != ApprovalState::Open {
            return Ok(None);
        }
        let answered: BTreeSet<PrincipalId> = approval.ballots().map(|ballot| ballot.by.clone()).collect();
        let (_, context) = self.drive().run(&run).await?;
        discount(self.journal(), &mut approval, &context.scope()).await?;
        let left: BTreeSet<PrincipalId> = approval.ballots().map(|ballot| ballot.by.clone()).collect();
        Ok(Some(&answered - &left))
    }
}

/// A person with their roles as they are now: when those change, what was concluded from them counts for nothing.
///
/// # Errors
/// When the ledger fails.
pub async fn person_as_is(journal: &Journal, id: &PrincipalId) -> Result<Expect, LedgerError> {
    let stream = tokens::stream(id);
    let version = journal.ledger().stream_version(&stream).await?;
    Ok(Expect { stream, version })
}

/// Tells the run what people decided, under the policies that it was judged by anew.
async fn hand_over(
    pipeline: &Pipeline,
    id: &ApprovalId,
    approval: &Approval,
    run: &RunId,
    by: &Actor,
) -> Result<(), AnswerError> {
    let drive = pipeline.drive();
    let mut tries = 0;
    loop {
        // In this order: when other policies come into force meanwhile, or a waiver ends, what was judged counts for nothing.
        let mut ground = Vec::new();
        if approval.state() == ApprovalState::Granted {
            ground = pipeline.gate().expects();
        }
        let (found, context) = drive.run(run).await?;
        let mut lost = None;
        if approval.state() == ApprovalState::Granted {
            if let Ok(requester) = found.submitted().requester.id.parse() {
                ground.push(person_as_is(pipeline.journal(), &requester).await?);
            }
            let mut left = approval.clone();
            ground.extend(discount(pipeline.journal(), &mut left, &context.scope()).await?);
            lost = missed(approval, &left);
        }
        let read = |stream: &str| ground.iter().any(|one| one.stream == stream);
        let is_overtaken = |cause: &CommitError| matches!(cause, CommitError::Stale { stream, .. } if read(stream));
        let Some(signal) = signal_of(pipeline, id, approval, (&found, &context), lost).await? else { return Ok(()) };
        // The run records that it was used, or that it came too late; one that is over meanwhile has said what became of it.
        match drive.tell_while(run, signal, by, ground.clone()).await {
            Err(DriveError::NotLive { .. }) => return Ok(()),
            Err(DriveError::Commit { cause, .. }) if tries < STALE_MAX && is_overtaken(&cause) => {
                drive.inner().catch_up(tries).await;
                tries += 1;
            }
            told => return Ok(told?),
        }
    }
}

/// Who agreed and may not any more, where without them too few agree.
fn missed(granted: &Approval, left: &Approval) -> Option<PrincipalId> {
    let gone = |ballot: &&Ballot| !left.ballots().any(|one| one == *ballot);
    granted.ballots().find(gone).filter(|_| !left.suffices()).map(|ballot| ballot.by.clone())
}

/// What a run is told of an approval; nothing while people are asked, or where it is over.
async fn signal_of(
    pipeline: &Pipeline,
    id: &ApprovalId,
    approval: &Approval,
    (run, context): (&Run, &RunContext),
    lost: Option<PrincipalId>,
) -> Result<Option<Signal>, AnswerError> {
    Ok(match approval.state() {
        ApprovalState::Granted => {
            let gone = lost.map(|who| format!("`{who}`, who agreed, does not hold the role any more; ask again"));
            if let (Some(because), Some(step)) = (&gone, step_awaiting(run, id)) {
                let findings = vec![finding("approval", because.clone())];
                return Ok(Some(Signal::PermitDenied { findings, step }));
            }
            let mut barred = None;
            // The gate judges a single step itself.
            if let RunState::AwaitingApproval(asked) = run.state() {
                barred = gone;
                if barred.is_none() {
                    barred = pipeline.barred_by_now(run, context, &asked.terms).await?;
                }
            }
            let world = context.world(pipeline.provider()).await;
            Some(Signal::Approved { approval: id.clone(), barred, shown: approval.question().shown, world })
        }
        ApprovalState::Refused => Some(Signal::Rejected { approval: id.clone() }),
        ApprovalState::Open | ApprovalState::Expired | ApprovalState::Void | ApprovalState::Used => None,
    })
}

/// The step that waits for an approval.
fn step_awaiting(run: &Run, approval: &ApprovalId) -> Option<StepKey> {
    let waits =
        |state: &StepState| matches!(state, StepState::AwaitingApproval { terms, .. } if terms.approval == *approval);
    run.steps().find(|(_, cell)| waits(&cell.state)).map(|(step, _)| step.key.clone())
}

/// After a restart: hands over what was decided while nobody could take it.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn take_up(pipeline: &Pipeline) -> Result<(), LedgerError> {
    let journal = pipeline.journal();
    for key in live(journal, "approval/").await? {
        let Ok(id) = key.parse::<ApprovalId>() else { continue };
        if let Err(error) = hand_over_anew(pipeline, &id).await {
            tracing::warn!(error = &error as &dyn std::error::Error, approval = key, "an approval was not handed over");
            hand_over_later(pipeline, &id);
        }
    }
    Ok(())
}

/// Hands over what people decided, if there is a run that waits for it.
async fn hand_over_anew(pipeline: &Pipeline, id: &ApprovalId) -> Result<(), AnswerError> {
    let (approval, run, _) = match read(pipeline.journal(), id).await {
        Err(AnswerError::Unknown { .. } | AnswerError::Unasked { .. }) => return Ok(()),
        read => read?,
    };
    if !pipeline.drive().live_runs().contains(&run) {
        return Ok(());
    }
    match hand_over(pipeline, id, &approval, &run, &Actor::system("pipeline")).await {
        // It goes on without it.
        Err(AnswerError::Drive(DriveError::Refused { .. })) => Ok(()),
        handed => handed,
    }
}

/// Hands over what people decided once that can be done: they are not asked twice because something was out of reach.
fn hand_over_later(pipeline: &Pipeline, id: &ApprovalId) {
    let (pipeline, id) = (pipeline.clone(), id.clone());
    tokio::spawn(async move {
        let mut wait = AGAIN_FIRST;
        while pipeline.journal().closed().is_none() {
            pipeline.journal().base().clock.sleep(wait).await;
            wait = (wait * 2).min(AGAIN_MAX);
            match hand_over_anew(&pipeline, &id).await {
                Ok(()) => return,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, approval = %id, "an answer waits to be handed over");
                }
            }
        }
    });
}
