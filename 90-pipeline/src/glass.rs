//! Breaking the glass: who does it, what passes by it at the gate, how it ends, and who looks at it afterwards. What it is
//! stands in its approval's stream; a grant that rests on it has read that stream.

use crate::approvals::{Principal, stream};
use crate::commit::{Batch, CommitError, Expect, STALE_MAX};
use crate::erase::beside;
use crate::gate::{Gate, Issued};
use crate::journal::{Journal, decode};
use crate::pipeline::Pipeline;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use writ_automation::{ApprovalEvent, ApprovalFact, BreakGlass, Glass, GlassRefused, GlassUsed, Run, Submission};
use writ_core::{Actor, ApprovalId, Draft, Entry, Erasable, Event, Filter, LedgerError, PrincipalId, Timestamp};

/// Breakings of the glass that are remembered at the most, the newest.
const GLASS_MAX: usize = 10_000;

/// What somebody wants to do without being asked for approval.
#[derive(Debug, Clone)]
pub struct GlassWish {
    /// Actions; `*` stands for any text.
    pub actions: Vec<String>,
    /// Resources; `*` stands for any text.
    pub targets: Vec<String>,
    /// For how long.
    pub span: Duration,
}

/// Why the glass is not broken, ended or reviewed.
#[derive(Debug, thiserror::Error)]
pub enum GlassError {
    /// The glass was never broken under that id.
    #[error("the glass was not broken as `{id}`")]
    Unknown {
        /// What was named.
        id: ApprovalId,
    },
    /// It may not be.
    #[error("the glass stays as it is")]
    Refused(#[from] GlassRefused),
    /// Nothing could be recorded.
    #[error("the journal takes nothing")]
    Commit(#[from] CommitError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
}

/// Something about how an installation is governed that a person must look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum GovernanceFinding {
    /// The glass was broken, and nobody has looked at that in two working days.
    UnreviewedGlass {
        /// Which.
        approval: ApprovalId,
        /// Who broke it.
        by: PrincipalId,
        /// When.
        broken_at: Timestamp,
        /// When it should have been reviewed.
        due: Timestamp,
        /// How often something passed by it.
        uses: u64,
    },
}

impl std::fmt::Display for GovernanceFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::UnreviewedGlass { approval, by, broken_at, due, uses } = self;
        write!(f, "`{by}` broke the glass at {broken_at} (`{approval}`, {uses} uses); nobody reviewed it by {due}")
    }
}

/// All breakings of the glass that the gate knows, each with the version of its stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Glasses(BTreeMap<ApprovalId, (Glass, u64)>);

impl Glasses {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Glass> {
        self.0.values().map(|(glass, _)| glass)
    }

    pub(crate) fn get(&self, id: &ApprovalId) -> Option<&(Glass, u64)> {
        self.0.get(id)
    }

    /// Whether a stream is that of broken glass.
    pub(crate) fn knows(&self, stream: &str) -> bool {
        let id = stream.strip_prefix("approval/").and_then(|id| id.parse::<ApprovalId>().ok());
        id.is_some_and(|id| self.0.contains_key(&id))
    }

    /// What somebody's actions may pass by now; all of them, or none do.
    pub(crate) fn covering<'a>(
        &self,
        by: &Actor,
        done: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        now: Timestamp,
    ) -> Option<ApprovalId> {
        let covers = |glass: &&Glass| done.clone().all(|(action, target)| glass.covers(by, action, target, now));
        self.all().find(covers).map(|glass| glass.broken.id.clone())
    }

    /// What a grant that rests on it has read.
    pub(crate) fn expect(&self, id: &ApprovalId) -> Expect {
        Expect { stream: stream(id), version: self.0.get(id).map_or(0, |(_, version)| *version) }
    }

    /// Takes in entries as they were recorded.
    pub(crate) fn saw(&mut self, entries: &[Entry]) {
        for entry in entries {
            let Some(id) = entry.stream.strip_prefix("approval/").and_then(|id| id.parse::<ApprovalId>().ok()) else {
                continue;
            };
            let before = self.0.get(&id);
            if before.is_some_and(|(_, version)| *version >= entry.version) {
                continue;
            }
            // Other approvals have more in their bodies, and are no glass.
            let glass = event(entry).and_then(|event| Glass::after(before.map(|(glass, _)| glass.clone()), &event));
            if let Some(glass) = glass {
                self.0.insert(id, (glass, entry.version));
            }
        }
    }

    /// Takes in what was read elsewhere, where it is newer.
    pub(crate) fn learn(&mut self, read: Self) {
        for (id, (glass, version)) in read.0 {
            if self.0.get(&id).is_none_or(|(_, known)| *known < version) {
                self.0.insert(id, (glass, version));
            }
        }
    }
}

fn event(entry: &Entry) -> Option<ApprovalEvent> {
    let mut body = entry.body.clone();
    if let Value::Object(fields) = &mut body {
        fields.remove("erasables");
    }
    ApprovalEvent::decode(&entry.kind, &body).ok()
}

/// Every breaking of the glass, from the journal.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn read(journal: &Journal) -> Result<Glasses, LedgerError> {
    let broken = Filter { kind: Some("approval.glass_broken/1".into()), newest_first: true, ..Filter::default() };
    let mut glasses = Glasses::default();
    for stored in journal.ledger().query(&broken, GLASS_MAX).await? {
        glasses.saw(&journal.stream(&decode(&stored)?.stream).await?);
    }
    Ok(glasses)
}

/// What passed by broken glass, as an entry.
fn used(id: &ApprovalId, used: GlassUsed, by: &Actor, at: Timestamp) -> Draft {
    ApprovalEvent { approval: id.clone(), at, what: ApprovalFact::GlassUsed(used) }.draft(by)
}

impl Gate {
    /// When somebody may begin a whole plan without being asked for it: nobody is, and that is recorded along with the run.
    pub(crate) fn pass(&self, submission: &mut Submission, batch: &mut Batch, now: Timestamp) {
        if submission.gate.approval.is_none() {
            return;
        }
        let steps = submission.plan.steps.iter().map(|step| (step.action_name.as_str(), step.resource.as_str()));
        let state = self.state();
        let Some(id) = state.glasses.covering(&submission.requester, steps, now) else { return };
        submission.gate.approval = None;
        let (action, target) = ("begin_run".to_owned(), submission.plan.intent.to_string());
        let use_of = GlassUsed { action, run: submission.run.clone(), step: None, target };
        batch.drafts.push(used(&id, use_of, &submission.requester, now));
        batch.expects.push(state.glasses.expect(&id));
    }

    /// Records which of the grants rest on broken glass.
    pub(crate) fn passed(&self, run: &Run, issued: &[Issued], batch: &mut Batch, now: Timestamp) {
        for one in issued {
            let Some((id, action)) = &one.glass else { continue };
            let use_of = GlassUsed {
                action: action.clone(),
                run: run.id().clone(),
                step: Some(one.step.clone()),
                target: one.resource.clone(),
            };
            batch.drafts.push(used(id, use_of, &run.submitted().requester, now));
            batch.expects.push(self.state().glasses.expect(id));
        }
    }
}

impl Pipeline {
    /// Breaks the glass for a person: what policy would have them wait for approval for passes for a while, within what they
    /// name. Its entry pages the approvers.
    ///
    /// # Errors
    /// When it names nothing, would stand too long, they have one that stands, or nothing could be recorded.
    pub async fn break_glass(&self, wish: GlassWish, reason: &str, by: &Principal) -> Result<ApprovalId, GlassError> {
        let journal = self.journal();
        // One at a time: nobody breaks a second while the first is being recorded.
        let _governing = self.inner.governing.lock().await;
        let now = journal.now();
        let id = ApprovalId::mint(now.millis(), journal.chance());
        let words = beside(journal, reason);
        let broken = BreakGlass {
            actions: wish.actions,
            broken_at: now,
            by: by.id.clone(),
            id: id.clone(),
            reason: words.commitment,
            scope: wish.targets,
            until: now.plus(wish.span),
        };
        broken.check(self.gate().state().glasses.all())?;
        let draft = said(&id, ApprovalFact::GlassBroken(broken.clone()), now, by, Some(&words));
        let expects = vec![Expect { stream: stream(&id), version: 0 }];
        let batch = Batch { expects, erasables: vec![words], ..Batch::of(vec![draft]) };
        let receipt = journal.commit(&journal.new_cause(), batch).await?;
        self.gate().state().glasses.saw(&receipt.entries);
        Ok(id)
    }

    /// Ends it before its time.
    ///
    /// # Errors
    /// When it is not there or over, or nothing could be recorded.
    pub async fn end_glass(&self, id: &ApprovalId, by: &Principal) -> Result<(), GlassError> {
        self.change_glass(id, by, None, &|glass, now| glass.end(&by.id, now)).await
    }

    /// Looks at it afterwards, in words.
    ///
    /// # Errors
    /// When it is not there, still stands, was reviewed, or is one's own; or nothing could be recorded.
    pub async fn review_glass(
        &self,
        id: &ApprovalId,
        justified: bool,
        words: &str,
        by: &Principal,
    ) -> Result<(), GlassError> {
        let words = beside(self.journal(), words);
        self.change_glass(id, by, Some(words), &|glass, now| glass.review(&by.id, justified, now)).await
    }

    async fn change_glass(
        &self,
        id: &ApprovalId,
        by: &Principal,
        words: Option<Erasable>,
        decide: &(dyn Fn(&Glass, Timestamp) -> Result<ApprovalFact, GlassRefused> + Sync),
    ) -> Result<(), GlassError> {
        let journal = self.journal();
        let mut tries = 0;
        loop {
            let now = journal.now();
            let unknown = || GlassError::Unknown { id: id.clone() };
            let (glass, version) = self.gate().state().glasses.get(id).cloned().ok_or_else(unknown)?;
            let draft = said(id, decide(&glass, now)?, now, by, words.as_ref());
            let expects = vec![Expect { stream: stream(id), version }];
            let batch = Batch { expects, erasables: words.clone().into_iter().collect(), ..Batch::of(vec![draft]) };
            let entries = journal.stream(&stream(id)).await?;
            match journal.commit(&journal.cause_after(entries.last()), batch).await {
                Err(CommitError::Stale { .. }) if tries < STALE_MAX => {
                    tries += 1;
                    let read = read(journal).await?;
                    self.gate().state().glasses.learn(read);
                }
                Err(error) => return Err(error.into()),
                Ok(receipt) => {
                    self.gate().state().glasses.saw(&receipt.entries);
                    return Ok(());
                }
            }
        }
    }

    /// Every breaking of the glass, newest first.
    #[must_use]
    pub fn glass(&self) -> Vec<Glass> {
        self.known_glass().into_iter().map(|(glass, _)| glass).collect()
    }

    /// The same, each with the version of its stream.
    #[must_use]
    pub fn known_glass(&self) -> Vec<(Glass, u64)> {
        let mut all: Vec<(Glass, u64)> = self.gate().state().glasses.0.values().cloned().collect();
        all.sort_by_key(|(glass, _)| std::cmp::Reverse(glass.broken.broken_at));
        all
    }

    /// What a person must look at in how this installation is governed.
    #[must_use]
    pub fn findings(&self) -> Vec<GovernanceFinding> {
        let now = self.journal().now();
        let overdue = |glass: &Glass| GovernanceFinding::UnreviewedGlass {
            approval: glass.broken.id.clone(),
            by: glass.broken.by.clone(),
            broken_at: glass.broken.broken_at,
            due: glass.review_due(),
            uses: glass.uses,
        };
        self.gate().state().glasses.all().filter(|glass| glass.is_overdue(now)).map(overdue).collect()
    }
}

fn said(id: &ApprovalId, what: ApprovalFact, at: Timestamp, by: &Principal, words: Option<&Erasable>) -> Draft {
    let mut draft = ApprovalEvent { approval: id.clone(), at, what }.draft(&Actor::human(&by.id));
    if let (Some(words), Value::Object(body)) = (words, &mut draft.body) {
        body.insert("erasables".into(), json!({"reason": words.commitment}));
    }
    draft
}
