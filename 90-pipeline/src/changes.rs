//! Changes of what governs: policies, people's roles, agents, standing approvals, how far healing goes. Where an installation wants
//! it, one person proposes such a change and another agrees to exactly what was shown; it takes effect in the commit of that
//! answer. It is an approval like any other: it expires, is used once, and is void when what it would change has changed.

use crate::approvals::{AnswerError, Principal, bare, person_as_is, stream};
use crate::commit::{Batch, Expect};
use crate::deed::{Agreed, Deed, Done};
use crate::erase::{beside, text_beside, text_of};
use crate::gate::POLICY_STREAM;
use crate::grant::Scope;
use crate::journal::Journal;
use crate::links::holder;
use crate::pipeline::{Pipeline, PipelineError};
use crate::record::live;
use crate::replay::replay;
use crate::tokens::{TokenError, is_free, is_name, is_roles, narrowed, remaining};
use crate::wish::{ChangeError, GovernanceWish, Proposed};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use writ_audit::erasables_of;
use writ_automation::{
    Approval, ApprovalChange, ApprovalEvent, ApprovalFact, ApprovalState, ApprovalTerms, Ballot, Question,
};
use writ_core::{Actor, ActorKind, ApprovalId, Digest, Draft, Entry, Event, Outcome, PrincipalId};
use writ_policy::{Bundle, run_tests};
use writ_seal::canonical;

/// How long somebody has to agree.
const SPAN: Duration = Duration::from_secs(7 * 86_400);

/// Whether a change of what governs needs a second person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Whoever may ask for it makes it so.
    One,
    /// Somebody else must agree, if there is anybody who could.
    Two,
}

/// A proposed change that is not over, with its entries.
pub(crate) struct OpenChange {
    pub(crate) approval: Approval,
    pub(crate) change: Change,
    pub(crate) entries: Vec<Entry>,
    pub(crate) id: ApprovalId,
}

/// A change as it is kept: what people are shown is its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pub(crate) after: Value,
    author: Actor,
    before: Value,
    pub(crate) deed: Deed,
}

impl Pipeline {
    /// Proposes a change of what governs; where nobody else has to agree, or could, it is made at once.
    ///
    /// # Errors
    /// When it is unsound, would change nothing, or could not be recorded.
    pub async fn propose(&self, wish: GovernanceWish, reason: &str, by: &Actor) -> Result<Proposed, ChangeError> {
        let _governing = self.inner.governing.lock().await;
        let journal = self.journal();
        let mut batch = Batch::default();
        let mut beside_it = serde_json::Map::new();
        let impact = match &wish {
            GovernanceWish::Policies { files, tests } => Some(self.impact(files, tests).await?),
            GovernanceWish::Agent { .. } | GovernanceWish::Enrol { .. } => None,
            GovernanceWish::Roles { .. } | GovernanceWish::Link { .. } | GovernanceWish::Standing { .. } => None,
            GovernanceWish::Mode { .. } => None,
        };
        if let GovernanceWish::Enrol { name, .. } = &wish {
            is_free(self.journal(), name).await?;
        }
        if let GovernanceWish::Link { principal, subject } = &wish {
            subject.check()?;
            match holder(journal, &subject.digest()).await? {
                Some(holder) if holder == *principal => return Err(ChangeError::Nothing),
                Some(holder) => return Err(TokenError::Linked { principal: holder }.into()),
                None => {}
            }
        }
        let deed = self.deed(wish, &mut batch, &mut beside_it).await?;
        let (before, after) = (self.before(&deed).await?, self.after(&deed, &batch).await?);
        if before == after {
            return Err(ChangeError::Nothing);
        }
        let agreed = Agreed { author: by, approval: None };
        if let Deed::Standing { .. } = &deed {
            self.standing_of(&deed, &agreed)?;
        }
        let change = Change { after, author: by.clone(), before, deed };
        if !reason.is_empty() {
            let words = beside(journal, reason);
            beside_it.insert("reason".into(), json!(words.commitment));
            batch.erasables.push(words);
        }
        match self.alone(&change.deed, by).await? {
            Some(because) => self.make(&change, because, batch, beside_it).await,
            None => self.ask(change, impact, batch, beside_it).await.map(Proposed::Waits),
        }
    }

    /// Why one person makes a change alone; none when somebody else has to agree.
    async fn alone(&self, deed: &Deed, author: &Actor) -> Result<Option<&'static str>, ChangeError> {
        let asks_nobody = (self.consent() == Consent::One).then_some("this installation asks nobody else");
        if let Deed::Mode { from, to, .. } = deed {
            // What acts on its own is never let go further by one person, even while there is only one.
            return Ok(if to < from { Some("it goes less far on its own than before") } else { asks_nobody });
        }
        let somebody = self.somebody_else(author).await?;
        Ok(if somebody { asks_nobody } else { Some("nobody else could agree") })
    }

    /// The deed that a wish comes to, with what it names.
    async fn deed(
        &self,
        wish: GovernanceWish,
        batch: &mut Batch,
        beside_it: &mut serde_json::Map<String, Value>,
    ) -> Result<Deed, ChangeError> {
        Ok(match wish {
            GovernanceWish::Policies { files, .. } => {
                Deed::Policies { files: files.into_iter().map(|(name, bytes)| (name, batch.attach(bytes))).collect() }
            }
            GovernanceWish::Agent { agent, wish } => Deed::Agent { agent, wish },
            GovernanceWish::Enrol { name, roles } => {
                is_name(&name)?;
                is_roles(&roles)?;
                let named = beside(self.journal(), &name);
                let commitment = named.commitment;
                beside_it.insert("name".into(), json!(commitment));
                batch.erasables.push(named);
                Deed::Enrol { name: commitment, roles }
            }
            GovernanceWish::Roles { principal, roles } => {
                is_roles(&roles)?;
                Deed::Roles { principal, roles }
            }
            GovernanceWish::Link { principal, subject } => {
                let text = beside(self.journal(), &subject.to_string());
                let commitment = text.commitment;
                beside_it.insert("subject".into(), json!(commitment));
                batch.erasables.push(text);
                Deed::Link { link: subject.digest(), principal, subject: commitment }
            }
            GovernanceWish::Mode { component, action, mode, cites } => {
                let from = self.mode_now(&component, action).await?;
                Deed::Mode { action, cites, component, from, to: mode }
            }
            GovernanceWish::Standing { actions, targets, budget, span } => {
                Deed::Standing { actions, budget, seconds: span.as_secs(), targets }
            }
        })
    }

    /// What other policies would have decided; that they load, and pass their tests.
    async fn impact(&self, files: &[(String, Vec<u8>)], tests: &[(String, Vec<u8>)]) -> Result<Value, ChangeError> {
        fn named(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
            files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect()
        }
        let bundle = Bundle::load(&named(files)).map_err(ChangeError::Policies)?;
        let report = run_tests(&bundle, &named(tests));
        if !report.passed() {
            return Err(ChangeError::Tests { report: report.table() });
        }
        let waivers = self.gate().state().waivers.clone();
        Ok(replay(self.journal(), &bundle, &waivers).await?)
    }

    /// Makes it so, by one person alone; that, and why, is an entry.
    async fn make(
        &self,
        change: &Change,
        because: &str,
        mut batch: Batch,
        beside_it: serde_json::Map<String, Value>,
    ) -> Result<Proposed, ChangeError> {
        let bytes = bytes_of(change);
        let kept = batch.attach(bytes);
        batch.drafts.push(Draft {
            action: format!("change_{}", change.deed.word()),
            actor: change.author.clone(),
            body: json!({
                "because": because, "sort": change.deed.word(), "attachments": {"change": kept}, "erasables": beside_it,
            }),
            kind: "governance.changed_alone/1",
            outcome: Outcome::Success,
            resource: change.deed.subject(),
            stream: "governance".into(),
        });
        let agreed = Agreed { author: &change.author, approval: None };
        let done = self.carry(&change.deed, &agreed, &mut batch).await?;
        let receipt = self.journal().commit(&self.journal().new_cause(), batch).await?;
        self.settled(done, &receipt.entries).await;
        Ok(Proposed::Made)
    }

    async fn ask(
        &self,
        change: Change,
        impact: Option<Value>,
        mut batch: Batch,
        beside_it: serde_json::Map<String, Value>,
    ) -> Result<ApprovalId, ChangeError> {
        let journal = self.journal();
        let now = journal.now();
        let id = ApprovalId::mint(now.millis(), journal.chance());
        let shown = batch.attach(bytes_of(&change));
        let terms = ApprovalTerms {
            also: BTreeMap::new(),
            approval: id.clone(),
            count: 1,
            decision: shown,
            expires_at: now.plus(SPAN),
            role: self.setup().approvers.clone(),
        };
        let question = Question {
            excluded: Vec::new(),
            requester: change.author.clone(),
            shown,
            subject: format!("{}: {}", change.deed.word(), change.deed.subject()),
            terms,
        };
        let (_, asked) = Approval::ask(question);
        let mut draft = draft_of(journal, &id, asked, &change.author);
        let mut attachments = json!({"change": shown});
        if let Deed::Policies { files } = &change.deed {
            attachments["files"] = json!(files);
        }
        if let Some(impact) = impact {
            attachments["impact"] = json!(batch.attach(impact.to_string().into_bytes()));
        }
        draft.body["change"] = json!(change.deed.word());
        draft.body["attachments"] = attachments;
        draft.body["erasables"] = Value::Object(beside_it);
        batch.drafts.push(draft);
        batch.expects.push(Expect { stream: stream(&id), version: 0 });
        journal.commit(&journal.new_cause(), batch).await?;
        Ok(id)
    }

    /// Takes a person's answer to a proposed change. When they agree, it takes effect in the same commit.
    pub(crate) async fn answer_change(
        &self,
        id: &ApprovalId,
        by: &Principal,
        agrees: bool,
        reason: &str,
    ) -> Result<ApprovalState, AnswerError> {
        let _governing = self.inner.governing.lock().await;
        let journal = self.journal();
        let entries = journal.stream(&stream(id)).await?;
        let missing = |digest| ChangeError::Missing { what: id.to_string(), digest };
        let (mut approval, change) = self.change(&entries).await?.ok_or_else(|| missing(Digest([0; 32])))?;
        let words = Some(beside(journal, reason)).filter(|_| !reason.is_empty());
        let shown = approval.question().shown;
        let commitment = words.as_ref().map(|words| words.commitment);
        let ballot = Ballot { agrees, by: by.id.clone(), reason: commitment, roles: Vec::new(), shown };
        // Whoever administers the installation may agree to how it is governed, too.
        let approver = self.setup().approvers.as_str();
        let of = self.scope_of_deed(&change.deed).await?;
        let mut expects =
            vec![Expect { stream: stream(id), version: entries.len() as u64 }, person_as_is(journal, &by.id).await?];
        let there = narrowed(journal, by.clone()).await?.within(&of);
        let mut roles: Vec<&str> = there.roles.iter().map(String::as_str).collect();
        if roles.contains(&"admin") {
            roles.push(approver);
        }
        let actor = Actor::human(&by.id);
        let mut changes = approval.vote(&ballot, &roles, journal.now())?;
        changes.iter().for_each(|change| approval.apply(change));
        let granted = approval.state() == ApprovalState::Granted;
        if granted && let Some(because) = self.void(id, &change, &of, &mut expects).await? {
            let void = draft_of(journal, id, ApprovalChange::Void { now_shown: None }, &Actor::system("pipeline"));
            let batch = Batch { expects, ..Batch::of(vec![void]) };
            journal.commit(&journal.cause_after(entries.last()), batch).await?;
            return Err(because.into());
        }
        if granted {
            changes.push(ApprovalChange::Used);
        }
        let mut batch = Batch::of(changes.into_iter().map(|one| draft_of(journal, id, one, &actor)).collect());
        if let (Some(words), Some(voted)) = (words, batch.drafts.first_mut()) {
            voted.body["erasables"] = json!({"reason": words.commitment});
            batch.erasables.push(words);
        }
        batch.expects = expects;
        let agreed = Agreed { author: &change.author, approval: Some((id, &by.id)) };
        let done = if granted { Some(self.carry(&change.deed, &agreed, &mut batch).await?) } else { None };
        let receipt = journal.commit(&journal.cause_after(entries.last()), batch).await?;
        let Some(done) = done else { return Ok(approval.state()) };
        self.settled(done, &receipt.entries).await;
        Ok(ApprovalState::Used)
    }

    /// Why a change is not made any more that people agreed to. What is concluded from whoever proposed it is expected to stay so.
    async fn void(
        &self,
        id: &ApprovalId,
        change: &Change,
        of: &Scope,
        expects: &mut Vec<Expect>,
    ) -> Result<Option<ChangeError>, ChangeError> {
        // The files of an installation propose, too.
        if let (ActorKind::Human, Ok(author)) = (change.author.kind, change.author.id.parse::<PrincipalId>()) {
            expects.push(person_as_is(self.journal(), &author).await?);
            let (role, once) = (change.deed.asks(), [change.deed.asks().to_owned()]);
            if remaining(self.journal(), &author, &once, of).await?.is_empty() {
                return Ok(Some(ChangeError::Author { approval: id.clone(), author, role }));
            }
        }
        let moved = self.before(&change.deed).await? != change.before;
        Ok(moved.then(|| ChangeError::Void { approval: id.clone() }))
    }

    async fn settled(&self, done: Done, entries: &[Entry]) {
        let set = entries.iter().find(|entry| entry.stream == POLICY_STREAM);
        self.learn_deed(done, set.map_or(0, |entry| entry.version)).await;
    }

    /// The change that an approval is for; none when it is for something else.
    pub(crate) async fn change(&self, entries: &[Entry]) -> Result<Option<(Approval, Change)>, ChangeError> {
        let folded = |entry: &Entry| {
            let event = ApprovalEvent::decode(&entry.kind, &bare(&entry.body)).ok()?;
            if let ApprovalFact::Asked(change) = event.what { Some(change) } else { None }
        };
        let changes: Vec<ApprovalChange> = entries.iter().filter_map(folded).collect();
        let Some(approval) = Approval::fold(&changes).filter(|_| is_change(entries)) else { return Ok(None) };
        let shown = approval.question().shown;
        let bytes = self.journal().ledger().attachment(&shown).await?;
        let change = bytes.and_then(|bytes| serde_json::from_slice::<Change>(&bytes).ok());
        let missing = || ChangeError::Missing { what: "change".into(), digest: shown };
        Ok(Some((approval, change.ok_or_else(missing)?)))
    }

    /// Changes that are proposed and not over.
    pub(crate) async fn open_changes(&self) -> Result<Vec<OpenChange>, ChangeError> {
        let mut open = Vec::new();
        for key in live(self.journal(), "approval/").await? {
            let Ok(id) = key.parse::<ApprovalId>() else { continue };
            let entries = self.journal().stream(&stream(&id)).await?;
            if let Some((approval, change)) = self.change(&entries).await? {
                open.push(OpenChange { approval, change, entries, id });
            }
        }
        Ok(open)
    }

    /// A proposed change with what it would make of what is, and of policies what they would have decided; none when the
    /// approval is for something else.
    ///
    /// # Errors
    /// When the journal cannot be read, or what it names is not kept.
    pub async fn proposed(&self, id: &ApprovalId) -> Result<Option<Value>, ChangeError> {
        let entries = self.journal().stream(&stream(id)).await?;
        let Some((approval, change)) = self.change(&entries).await? else { return Ok(None) };
        let impact =
            entries.first().and_then(|entry| entry.body.pointer("/attachments/impact")?.as_str()?.parse().ok());
        let impact = match impact {
            Some(digest) => self.journal().ledger().attachment(&digest).await?,
            None => None,
        };
        let impact: Value = impact.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let reason = entries.first().and_then(|entry| entry.body.pointer("/erasables/reason"));
        let reason = text_of(self.journal().ledger(), reason).await?;
        // People agree to what they can read: what stands beside the journal is shown in its place.
        let mut after = change.after;
        for commitment in entries.first().map(erasables_of).unwrap_or_default() {
            let text = text_beside(self.journal().ledger(), &commitment).await?;
            let named = after.as_object_mut().into_iter().flat_map(|fields| fields.values_mut());
            named.filter(|value| **value == json!(commitment)).for_each(|value| *value = json!(text));
        }
        Ok(Some(json!({
            "approval": id, "state": approval.state(), "sort": change.deed.word(), "subject": change.deed.subject(),
            "author": change.author, "before": change.before, "after": after, "deed": change.deed,
            "expires_at": approval.question().terms.expires_at, "shown": approval.question().shown, "impact": impact,
            "reason": reason,
        })))
    }

    /// Where two people must agree, and the files that this installation was started with are others than those in force, they
    /// are proposed, once.
    pub(crate) async fn offer_policies(&self) -> Result<(), PipelineError> {
        let recorded = |error: ChangeError| PipelineError::Recorded { of: "changes", because: error.to_string() };
        self.expire_changes().await.map_err(recorded)?;
        let (setup, in_force) = (self.setup(), self.gate().state().bundle.digest());
        if setup.consent == Consent::One || setup.bundle.digest() == in_force {
            return Ok(());
        }
        // Files that were in force before are those that somebody has gone beyond since, and not news.
        let contents = |digests: Vec<Digest>| digests.into_iter().collect::<std::collections::BTreeSet<_>>();
        let offered = contents(setup.policy_files.iter().map(|(_, bytes)| writ_seal::sha256(bytes)).collect());
        let set = self.journal().stream(POLICY_STREAM).await?;
        let was = |entry: &Entry| {
            let files = entry.body.get("attachments").cloned().unwrap_or_default();
            let files: BTreeMap<String, Digest> = serde_json::from_value(files).unwrap_or_default();
            contents(files.into_values().collect()) == offered
        };
        if set.iter().any(was) {
            return Ok(());
        }
        let digest = json!(setup.bundle.digest());
        let open = self.open_changes().await.map_err(recorded)?;
        if open.iter().any(|open| open.change.after.get("digest") == Some(&digest)) {
            return Ok(());
        }
        let wish = GovernanceWish::Policies { files: setup.policy_files.clone(), tests: Vec::new() };
        match self.propose(wish, "", &Actor::system("files")).await {
            Ok(_) => {}
            // What stood in the files an installation was started with must not keep it from starting.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the files' policies are not proposed")
            }
        }
        Ok(())
    }

    /// Records which proposed changes nobody agreed to in time.
    pub(crate) async fn expire_changes(&self) -> Result<(), ChangeError> {
        let journal = self.journal();
        for OpenChange { approval, entries, id, .. } in self.open_changes().await? {
            let Some(lapsed) = approval.lapse(approval.question().shown, journal.now()) else { continue };
            let draft = draft_of(journal, &id, lapsed, &Actor::system("clock"));
            let expects = vec![Expect { stream: stream(&id), version: entries.len() as u64 }];
            let batch = Batch { expects, ..Batch::of(vec![draft]) };
            journal.commit(&journal.cause_after(entries.last()), batch).await?;
        }
        Ok(())
    }
}

/// Whether an approval is for a change of what governs.
pub(crate) fn is_change(entries: &[Entry]) -> bool {
    entries.first().is_some_and(|entry| entry.kind == "approval.asked/1" && entry.body.get("change").is_some())
}

fn bytes_of(change: &Change) -> Vec<u8> {
    let change = json!(change);
    // Texts, lists and integers only: it has canonical bytes.
    canonical(&change).unwrap_or_else(|_| change.to_string().into_bytes())
}

fn draft_of(journal: &Journal, id: &ApprovalId, what: ApprovalChange, by: &Actor) -> Draft {
    ApprovalEvent { approval: id.clone(), at: journal.now(), what: ApprovalFact::Asked(what) }.draft(by)
}
