//! A recommendation on its way: approved, it becomes a new version of its intent, which enters by the front door; that it was
//! approved, what was submitted and that it is watched from now on are recorded together or not at all.

use crate::approvals::{Principal, person_as_is};
use crate::causes::error_chain;
use crate::commit::{Batch, Cause, CommitError, Expect};
use crate::context::Origin;
use crate::journal::decode as entry_of;
use crate::pipeline::{Pipeline, PipelineError};
use crate::reflect::ReflectError;
use crate::submission::{Offer, Word};
use crate::submit::{Accepted, OVERTAKEN_MAX, SubmitError, role_to_ask};
use crate::tokens::narrowed;
use serde_json::{Value, json};
use std::time::Duration;
use writ_core::{Actor, Digest, Draft, Entry, Event, IntentId, LedgerError, Timestamp};
use writ_feedback::{
    Evidence, FeedbackEvent, Made, Move, Moved, Op, Patch, Proposal, Recommendation, State, is_last, patch_text,
};
use writ_intent::{Intent, Manifest, read_manifest, read_recorded_manifest};

/// How the streams of recommendations begin.
pub(crate) const RECOMMENDATION: &str = "recommendation/";

/// How long a change is watched where its recommendation does not say.
const WATCHED: Duration = Duration::from_secs(86_400);

/// Why the start moves on what was approved.
const BROKEN_OFF: &str = "the program ended while it carried the approval out";

/// A recommendation as it was read.
pub(crate) struct Known {
    /// The version of its stream.
    pub(crate) version: u64,
    pub(crate) proposal: Proposal,
    /// Its last entry.
    pub(crate) cause: Cause,
}

/// The stream of a recommendation.
pub(crate) fn stream(id: &str) -> String {
    format!("{RECOMMENDATION}{id}")
}

/// A recommendation that a person approves, as far as nothing of it is recorded yet.
struct Approved {
    known: Known,
    /// Who approves, with what they still may.
    by: Principal,
    /// That they still may it.
    held: Expect,
    intent: IntentId,
    /// The version of the intent's stream that the recommendation still fits.
    intent_version: u64,
    patch: Patch,
    /// The patched manifest.
    changed: String,
    step: Move,
}

impl Pipeline {
    /// Approves a recommendation and carries it out: the patched manifest becomes a new version of its intent.
    ///
    /// # Errors
    /// When it is stale, self-made or over, they may not approve it any more, or the new version is not accepted.
    pub async fn approve_recommendation(&self, id: &str, by: &Principal) -> Result<Value, ReflectError> {
        let mut tries = 0;
        loop {
            let approved = self.approved(id, by).await?;
            match self.carry_out(&approved).await {
                // Somebody was faster, with it, with its intent or with whoever approves: what there is by now is decided on.
                Err(error) if error.overtook(&approved.intent) && tries < OVERTAKEN_MAX => tries += 1,
                Err(error) => {
                    self.refused(&approved).await?;
                    return Err(error.into());
                }
                Ok(accepted) => {
                    return Ok(json!({
                        "recommendation": id,
                        "intent": approved.intent,
                        "version": accepted.prepared.version,
                        "run": accepted.run,
                        "changes": approved.patch.ops,
                    }));
                }
            }
        }
    }

    /// A person's approval of a recommendation as it stands, if it counts: with what they may at this moment.
    async fn approved(&self, id: &str, by: &Principal) -> Result<Approved, ReflectError> {
        let unknown = || ReflectError::Unknown { id: id.to_owned() };
        // In this order: who loses a role meanwhile is of a newer version.
        let held = person_as_is(self.journal(), &by.id).await?;
        let by = narrowed(self.journal(), by.clone()).await?;
        by.must(role_to_ask(Origin::Feedback), &self.scope_of_recommendation(id).await?.ok_or_else(unknown)?)?;
        let known = self.proposal(id).await?.ok_or_else(unknown)?;
        let proposal = &known.proposal;
        let about = proposal.recommendation.about();
        // In this order: when the intent moves in between, the version is an older one, and nothing can be recorded on it.
        let intent_version = match &about {
            Some(intent) => self.journal().ledger().stream_version(&writ_intent::stream(intent)).await?,
            None => 0,
        };
        let nothing = || ReflectError::Nothing { wanted: about };
        let (intent, text) = self.about_in_force(&proposal.recommendation).await?.ok_or_else(nothing)?;
        let step = proposal.approve(&Actor::human(&by.id), &proposal.digest, &intent.digest(), self.journal().now())?;
        let patch = proposal.recommendation.patch.clone().ok_or_else(unknown)?;
        let changed = patched(&text, &patch)?;
        Ok(Approved { known, by, held, intent: intent.id, intent_version, patch, changed, step })
    }

    /// Submits what was approved, and records in the same commit that it was approved and is watched from now on.
    async fn carry_out(&self, approved: &Approved) -> Result<Accepted, SubmitError> {
        let text = approved.changed.as_bytes();
        let manifest = read_manifest("recommendation", text).map_err(SubmitError::Invalid)?;
        let word = self.word(approved, &manifest);
        let offer = Offer { manifest: &manifest, text, by: &approved.by, word: &word };
        self.submit_once(&offer, None, Origin::Feedback).await
    }

    fn word(&self, approved: &Approved, manifest: &Manifest) -> Word {
        let (one, actor) = (&approved.known.proposal.recommendation, Actor::human(&approved.by.id));
        let changed = manifest.intent.digest();
        let intent = Expect { stream: writ_intent::stream(&approved.intent), version: approved.intent_version };
        Word {
            after: approved.known.cause.event.clone(),
            expects: vec![approved.known.unmoved(), approved.held.clone(), intent],
            given: vec![self.move_draft(one, approved.step.clone(), Vec::new(), &actor)],
            accepted: vec![
                self.move_draft(one, Move::Apply { changed }, Vec::new(), &actor),
                self.move_draft(one, watch(one, self.journal().now()), Vec::new(), &Actor::system("feedback")),
            ],
            refused: vec![self.move_draft(one, Move::Refuse, Vec::new(), &actor)],
        }
    }

    /// That it was approved, and that the front door refused it: the approval is spent, the recommendation is not.
    async fn refused(&self, approved: &Approved) -> Result<(), ReflectError> {
        let (one, actor) = (&approved.known.proposal.recommendation, Actor::human(&approved.by.id));
        let moves = [approved.step.clone(), Move::Refuse];
        let drafts = moves.map(|step| self.move_draft(one, step, Vec::new(), &actor));
        let expects = vec![approved.known.unmoved(), approved.held.clone()];
        let batch = Batch { expects, ..Batch::of(drafts.into()) };
        match self.journal().commit(&approved.known.cause, batch).await {
            // It was told with the submission that was refused, somebody else has moved it on, or they may it no more.
            Ok(_) | Err(CommitError::Stale { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What was approved by a program that recorded step by step what is one commit now, and that ended in between: where the new
    /// version was submitted, it is watched from now on; where not, the approval is spent, and the recommendation is not.
    ///
    /// # Errors
    /// When the journal cannot be read. What cannot be recorded of one of them keeps nothing from the others.
    pub(crate) async fn take_up_approved(&self) -> Result<(), ReflectError> {
        for known in self.proposals().await? {
            if let Err(error) = self.take_up_one(&known).await {
                let (error, id) = (&error as &dyn std::error::Error, &known.proposal.recommendation.id);
                tracing::error!(error, recommendation = %id, "an approved recommendation was not taken up");
            }
        }
        Ok(())
    }

    async fn take_up_one(&self, known: &Known) -> Result<(), ReflectError> {
        let (one, feedback) = (&known.proposal.recommendation, Actor::system("feedback"));
        let watch = watch(one, self.journal().now());
        let moves = match &known.proposal.state {
            State::Applying { .. } => vec![watch],
            State::Approved { .. } => match self.submitted_for(one).await? {
                Some(changed) => vec![Move::Apply { changed }, watch],
                None => vec![Move::Refuse],
            },
            State::Draft | State::Active | State::Claimed { .. } | State::Verifying { .. } => return Ok(()),
            State::Realised | State::Missed | State::Reverted => return Ok(()),
            State::Dismissed | State::Superseded { .. } | State::Expired => return Ok(()),
        };
        let draft = |step: Move| {
            let mut draft = self.move_draft(one, step, Vec::new(), &feedback);
            draft.body["because"] = json!(BROKEN_OFF);
            draft
        };
        let drafts = moves.into_iter().map(draft).collect();
        let batch = Batch { expects: vec![known.unmoved()], ..Batch::of(drafts) };
        self.journal().commit(&known.cause, batch).await?;
        Ok(())
    }

    /// The digest of the version that was submitted and accepted for a recommendation after it was approved; none when that did not
    /// come about.
    async fn submitted_for(&self, one: &Recommendation) -> Result<Option<Digest>, ReflectError> {
        let (Some(intent), Some(patch)) = (one.about(), &one.patch) else { return Ok(None) };
        let approved = self.journal().stream(&stream(one.id.as_str())).await?.last().map(|entry| entry.seq);
        let entries = self.journal().stream(&writ_intent::stream(&intent)).await?;
        let submitted = |digest: Digest| {
            let of = move |entry: &&Entry| {
                entry.kind == "intent.submitted/1" && entry.body.get("digest") == Some(&json!(digest))
            };
            entries.iter().filter(of)
        };
        let Some(base) = submitted(patch.base).next_back() else { return Ok(None) };
        let text = base.body.get("manifest").and_then(|manifest| manifest.as_str()?.parse().ok());
        let text = match text {
            Some(manifest) => self.journal().ledger().attachment(&manifest).await?,
            None => None,
        };
        let Some(changed) = text.and_then(|text| patched(&String::from_utf8_lossy(&text), patch).ok()) else {
            return Ok(None);
        };
        let Ok(manifest) = read_recorded_manifest("patched", changed.as_bytes()) else { return Ok(None) };
        let changed = manifest.intent.digest();
        let found = submitted(changed).find(|entry| Some(entry.seq) > approved);
        let version = found.and_then(|entry| entry.body.get("version"));
        let ready = json!(writ_intent::State::Ready);
        let accepted = |entry: &Entry| entry.body.get("version") == version && entry.body.get("to") == Some(&ready);
        Ok(version.filter(|_| entries.iter().any(accepted)).map(|_| changed))
    }

    /// The digest of what is in force of what a recommendation would change; none where nothing is.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn base_in_force(&self, target: &str) -> Result<Option<Digest>, ReflectError> {
        let Some(intent) = target.strip_prefix("intent/").and_then(|target| target.parse().ok()) else {
            return Ok(None);
        };
        Ok(self.intents_in_force(Some(&intent)).await?.pop().map(|(intent, _)| intent.digest()))
    }

    /// The manifest in force, and what it would be with a recommendation's patch; none where there is no patch, or it was made
    /// for another version.
    ///
    /// # Errors
    /// When the journal cannot be read or the patch does not fit.
    pub async fn recommended_texts(&self, id: &str) -> Result<Option<(String, String)>, ReflectError> {
        let Some(Known { proposal, .. }) = self.proposal(id).await? else { return Ok(None) };
        let Some((intent, text)) = self.about_in_force(&proposal.recommendation).await? else { return Ok(None) };
        let Some(patch) = proposal.recommendation.patch else { return Ok(None) };
        if intent.digest() != patch.base {
            return Ok(None);
        }
        let changed = patched(&text, &patch)?;
        Ok(Some((text, changed)))
    }

    /// Dismisses a recommendation.
    ///
    /// # Errors
    /// When it is past that.
    pub async fn reject_recommendation(&self, id: &str, by: &Principal) -> Result<Value, ReflectError> {
        let unknown = || ReflectError::Unknown { id: id.to_owned() };
        let known = self.proposal(id).await?.ok_or_else(unknown)?;
        let illegal = |cause| ReflectError::Illegal { id: id.to_owned(), cause };
        known.proposal.state.clone().after(&Move::Dismiss).map_err(illegal)?;
        self.move_on(&known, Move::Dismiss, Vec::new(), &Actor::human(&by.id)).await?;
        Ok(json!({"recommendation": id, "state": "dismissed"}))
    }

    /// The intent that a recommendation is about, as it is in force.
    async fn about_in_force(&self, one: &Recommendation) -> Result<Option<(Intent, String)>, ReflectError> {
        let Some(intent) = one.about() else { return Ok(None) };
        Ok(self.intents_in_force(Some(&intent)).await?.pop())
    }

    /// The recommendations that are not over, as they stand.
    pub(crate) async fn proposals(&self) -> Result<Vec<Known>, ReflectError> {
        self.proposals_in(&self.journal().all_docs("recommendations", "").await?).await
    }

    /// Those that are not over of the recommendations with these documents. One that cannot be understood is passed over, with a
    /// word in the log: the others go on without it.
    pub(crate) async fn proposals_in(&self, docs: &[(String, Value)]) -> Result<Vec<Known>, ReflectError> {
        let mut all = Vec::new();
        let is_over = |doc: &Value| doc.pointer("/last/kind").and_then(Value::as_str).is_some_and(is_last);
        for (key, _) in docs.iter().filter(|(_, doc)| !is_over(doc)) {
            match self.proposal(key).await {
                Err(
                    error @ (ReflectError::Illegal { .. } | ReflectError::Pipeline(PipelineError::Recorded { .. })),
                ) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, recommendation = key, "a recommendation is passed over");
                }
                found => all.extend(found?),
            }
        }
        Ok(all)
    }

    async fn proposal(&self, id: &str) -> Result<Option<Known>, ReflectError> {
        let entries = self.journal().stream(&stream(id)).await?;
        let illegal = |cause| ReflectError::Illegal { id: id.to_owned(), cause };
        let mut found: Option<Proposal> = None;
        for entry in &entries {
            let event = writ_feedback::decode(&entry.kind, &entry.body)
                .map_err(|error| PipelineError::Recorded { of: "a recommendation", because: error_chain(&error) })?;
            match event {
                FeedbackEvent::Made(made) => {
                    let Made { author, digest, expires_at, recommendation, .. } = *made;
                    found = Some(Proposal { recommendation, author, digest, expires_at, state: State::Draft });
                }
                FeedbackEvent::Moved(moved) => {
                    if let Some(proposal) = &mut found {
                        proposal.apply(&moved.step).map_err(illegal)?;
                    }
                }
            }
        }
        let (version, cause) = (entries.len() as u64, entries.last().map(Cause::after));
        Ok(found.zip(cause).map(|(proposal, cause)| Known { version, proposal, cause }))
    }

    /// A move as an entry to be.
    fn move_draft(&self, one: &Recommendation, step: Move, evidence: Vec<Evidence>, by: &Actor) -> Draft {
        let moved = Moved { at: self.journal().now(), evidence, recommendation: one.id.clone(), step };
        FeedbackEvent::Moved(moved).draft(by)
    }

    /// Records a move.
    pub(crate) async fn move_on(
        &self,
        known: &Known,
        step: Move,
        evidence: Vec<Evidence>,
        by: &Actor,
    ) -> Result<(), ReflectError> {
        let draft = self.move_draft(&known.proposal.recommendation, step, evidence, by);
        let batch = Batch { expects: vec![known.unmoved()], ..Batch::of(vec![draft]) };
        self.journal().commit(&known.cause, batch).await?;
        Ok(())
    }
}

/// That what a recommendation changed is watched from a moment on.
fn watch(one: &Recommendation, since: Timestamp) -> Move {
    let span = one.verify.as_ref().map_or(WATCHED, |verify| Duration::from_secs(verify.window_seconds));
    Move::Watch { since, until: since.plus(span) }
}

impl Known {
    /// That nobody has moved it on since it was read.
    fn unmoved(&self) -> Expect {
        Expect { stream: stream(self.proposal.recommendation.id.as_str()), version: self.version }
    }
}

/// What a recommendation was made with, and the intent that it is about wherever something tells: what the entries after it say
/// is where it stands. Null when there is none.
///
/// # Errors
/// When the journal cannot be read.
pub async fn recommendation_made(journal: &crate::Journal, id: &str) -> Result<Value, LedgerError> {
    let first = journal.ledger().stream(&stream(id), 0, 1).await?;
    let entry = first.first().map(entry_of).transpose()?;
    let mut made = entry.map_or(Value::Null, |entry| entry.body);
    let target =
        made.pointer("/recommendation/patch/target").and_then(|target| target.as_str()?.strip_prefix("intent/"));
    if let Some(intent) = target.map(str::to_owned) {
        made["recommendation"]["intent"] = json!(intent);
    }
    Ok(made)
}

/// The manifest with the patch in it: in place where its values stand on lines of their own, written anew where not.
pub(crate) fn patched(text: &str, patch: &Patch) -> Result<String, ReflectError> {
    let under = |ops: &[Op]| -> Vec<Op> {
        let moved = |op: &Op| match op {
            Op::Replace { path, value } => Op::Replace { path: format!("/intent{path}"), value: value.clone() },
            Op::Add { path, value } => Op::Add { path: format!("/intent{path}"), value: value.clone() },
        };
        ops.iter().map(moved).collect()
    };
    let ops = under(&patch.ops);
    if let Ok(changed) = patch_text(text, &ops) {
        return Ok(changed);
    }
    let manifest = read_recorded_manifest("manifest", text.as_bytes()).map_err(SubmitError::Invalid)?;
    let whole = Patch { base: patch.base, ops, target: patch.target.clone() };
    Ok(writ_text::to_yaml(&whole.apply(&manifest.written(), &patch.base)?))
}
