//! Changes of what governs, one sort after the other: what would be so afterwards, and the entries that make it so.

use crate::agents::AgentWish;
use crate::changes::Consent;
use crate::commit::{Batch, Expect};
use crate::gate::POLICY_STREAM;
use crate::links::{holder, linked};
use crate::people::{people, person};
use crate::pipeline::Pipeline;
use crate::tokens::{self, ADMIN, TokenError, administrators, enrolled, next_id, roles_set};
use crate::wish::ChangeError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use writ_agents::AgentEvent;
use writ_automation::{ApprovalEvent, ApprovalFact, Budget, Standing, StandingRefused};
use writ_core::{Actor, AgentId, ApprovalId, ComponentId, Digest, Draft, Event, EventId, Outcome, PrincipalId};
use writ_policy::Bundle;
use writ_self_healing::{HealEvent, Mode, ModeSet, RemedyAction};

/// A change of what governs, as it is proposed, shown and carried out. What it names by digest is attached or stands beside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sort", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Deed {
    /// Other policies, by file.
    Policies { files: BTreeMap<String, Digest> },
    /// Something of an agent.
    Agent { agent: AgentId, wish: AgentWish },
    /// Somebody new.
    Enrol { name: Digest, roles: Vec<String> },
    /// Other roles of somebody.
    Roles { principal: PrincipalId, roles: Vec<String> },
    /// What an issuer calls somebody.
    Link { link: Digest, principal: PrincipalId, subject: Digest },
    /// How far an action of healing may go on its own.
    Mode { action: RemedyAction, cites: Vec<EventId>, component: ComponentId, from: Mode, to: Mode },
    /// A standing approval.
    Standing { actions: Vec<String>, budget: Budget, seconds: u64, targets: Vec<String> },
}

/// What is known besides the journal once a deed is recorded.
pub(crate) enum Done {
    Policies(Arc<Bundle>),
    Agent(AgentEvent),
    Mode(ModeSet),
    Standing,
    Person,
}

/// Who agreed to a deed, and by which approval; none where nobody else has to.
pub(crate) struct Agreed<'a> {
    pub(crate) author: &'a Actor,
    pub(crate) approval: Option<(&'a ApprovalId, &'a PrincipalId)>,
}

impl Deed {
    /// The word for its sort.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Deed::Policies { .. } => "policies",
            Deed::Agent { .. } => "agent",
            Deed::Enrol { .. } => "enrol",
            Deed::Roles { .. } => "roles",
            Deed::Link { .. } => "link",
            Deed::Mode { .. } => "mode",
            Deed::Standing { .. } => "standing",
        }
    }

    /// The role that proposing it needs where it holds.
    pub(crate) fn asks(&self) -> &'static str {
        match self {
            Deed::Agent { .. } | Deed::Enrol { .. } | Deed::Roles { .. } | Deed::Link { .. } => ADMIN,
            Deed::Policies { .. } | Deed::Mode { .. } | Deed::Standing { .. } => "operator",
        }
    }

    /// What it is about.
    pub(crate) fn subject(&self) -> String {
        match self {
            Deed::Policies { .. } => "policies".to_owned(),
            Deed::Agent { agent, .. } => agent.to_string(),
            Deed::Enrol { .. } => "a new person".to_owned(),
            Deed::Roles { principal, .. } | Deed::Link { principal, .. } => principal.to_string(),
            Deed::Mode { action, component, .. } => format!("{component}/{action}"),
            Deed::Standing { .. } => "a standing approval".to_owned(),
        }
    }
}

impl Pipeline {
    /// What is so now of what a deed would change.
    pub(crate) async fn before(&self, deed: &Deed) -> Result<Value, ChangeError> {
        Ok(match deed {
            Deed::Policies { .. } => policies(&self.gate().state().bundle.clone()),
            Deed::Agent { agent, .. } => json!(self.gate().state().roster.get(agent).map(agent_document)),
            Deed::Roles { principal, .. } => {
                let person = person(self.journal(), principal.as_str()).await?;
                json!({"roles": person.roles})
            }
            Deed::Link { link, .. } => json!({"linked_to": holder(self.journal(), link).await?}),
            Deed::Mode { .. } => self.shown_mode(deed, false).await?,
            Deed::Enrol { .. } | Deed::Standing { .. } => Value::Null,
        })
    }

    /// What would be so afterwards.
    pub(crate) async fn after(&self, deed: &Deed, with: &Batch) -> Result<Value, ChangeError> {
        Ok(match deed {
            Deed::Policies { files } => policies(&self.bundle_of(files, with).await?),
            Deed::Agent { agent, wish } => {
                let event = self.agent_event(agent, wish)?;
                let mut roster = self.gate().state().roster.clone();
                roster.apply(&event);
                match wish {
                    AgentWish::Enrol(_) => json!(roster.get(agent)),
                    AgentWish::Move { .. } | AgentWish::Key { .. } | AgentWish::Permissions(_) => {
                        json!(roster.get(agent).map(agent_document))
                    }
                }
            }
            Deed::Enrol { name, roles } => json!({"name": name, "roles": roles}),
            Deed::Roles { roles, .. } => json!({"roles": roles}),
            Deed::Link { principal, subject, .. } => json!({"linked_to": principal, "subject": subject}),
            Deed::Mode { .. } => self.shown_mode(deed, true).await?,
            Deed::Standing { actions, budget, seconds, targets } => {
                json!({"actions": actions, "targets": targets, "budget": budget, "seconds": seconds})
            }
        })
    }

    /// Puts the entries that make it so into a batch, on what was read for them.
    pub(crate) async fn carry(&self, deed: &Deed, agreed: &Agreed<'_>, batch: &mut Batch) -> Result<Done, ChangeError> {
        let (journal, author) = (self.journal(), agreed.author);
        match deed {
            Deed::Policies { files } => {
                let bundle = self.bundle_of(files, batch).await?;
                self.look_back(&bundle).await?;
                let version = journal.ledger().stream_version(POLICY_STREAM).await?;
                let draft = policies_set(bundle.digest(), json!(files), author);
                push(batch, draft, version, agreed);
                Ok(Done::Policies(Arc::new(bundle)))
            }
            Deed::Agent { agent, wish } => {
                let version = journal.ledger().stream_version(&format!("agent/{agent}")).await?;
                let event = self.agent_event(agent, wish)?;
                push(batch, event.draft(author), version, agreed);
                Ok(Done::Agent(event))
            }
            Deed::Enrol { name, roles } => {
                let id = next_id(journal).await?;
                push(batch, enrolled(author, &id, roles, name), 0, agreed);
                Ok(Done::Person)
            }
            Deed::Roles { principal, roles } => {
                let version = journal.ledger().stream_version(&tokens::stream(principal)).await?;
                let left = administrators(journal, None, Some((principal, roles))).await?;
                let alone = || TokenError::LastAdmin { principal: principal.clone() };
                batch.expects.extend(left.ok_or_else(alone)?);
                push(batch, roles_set(author, principal, roles), version, agreed);
                Ok(Done::Person)
            }
            Deed::Link { link, principal, subject } => {
                let version = journal.ledger().stream_version(&tokens::stream(principal)).await?;
                push(batch, linked(author, principal, link, subject), version, agreed);
                Ok(Done::Person)
            }
            Deed::Mode { action, cites, component, from, to } => {
                let set = ModeSet {
                    action: *action,
                    approval: agreed.approval.map(|(approval, _)| approval.clone()),
                    at: journal.now(),
                    cites: cites.clone(),
                    component: component.clone(),
                    from: Some(*from),
                    mode: *to,
                };
                batch.drafts.push(HealEvent::ModeSet(set.clone()).draft(author));
                Ok(Done::Mode(set))
            }
            Deed::Standing { .. } => {
                let standing = self.standing_of(deed, agreed)?;
                let (id, at) = (standing.id.clone(), standing.granted_at);
                let event = ApprovalEvent { approval: id, at, what: ApprovalFact::Standing(standing) };
                batch.expects.push(Expect { stream: event.draft(author).stream, version: 0 });
                batch.drafts.push(event.draft(author));
                Ok(Done::Standing)
            }
        }
    }

    fn agent_event(&self, agent: &AgentId, wish: &AgentWish) -> Result<AgentEvent, ChangeError> {
        let what = wish.of(agent, &self.gate().state().roster)?;
        Ok(AgentEvent { agent: agent.clone(), at: self.journal().now(), what })
    }

    /// The policies that files name, attached here or before.
    pub(crate) async fn bundle_of(
        &self,
        files: &BTreeMap<String, Digest>,
        with: &Batch,
    ) -> Result<Bundle, ChangeError> {
        let mut read = Vec::new();
        for (name, digest) in files {
            let here = with.attachments.iter().find(|(known, _)| known == digest).map(|(_, bytes)| bytes.clone());
            let bytes = match here {
                Some(bytes) => Some(bytes),
                None => self.journal().ledger().attachment(digest).await?,
            };
            let bytes = bytes.ok_or_else(|| ChangeError::Missing { what: name.clone(), digest: *digest })?;
            read.push((name.clone(), bytes));
        }
        let named: Vec<(&str, &[u8])> = read.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        Bundle::load(&named).map_err(ChangeError::Policies)
    }

    /// The standing approval that a deed describes, from now on.
    pub(crate) fn standing_of(&self, deed: &Deed, agreed: &Agreed<'_>) -> Result<Standing, ChangeError> {
        let Deed::Standing { actions, budget, seconds, targets } = deed else { return Err(ChangeError::Nothing) };
        let journal = self.journal();
        let now = journal.now();
        let author: PrincipalId = agreed.author.id.parse().map_err(|_| ChangeError::Nothing)?;
        let standing = Standing {
            actions: actions.clone(),
            approvers: agreed.approval.map(|(_, by)| by.clone()).into_iter().collect(),
            author,
            budget: *budget,
            expires_at: now.plus(Duration::from_secs(*seconds)),
            granted_at: now,
            id: ApprovalId::mint(now.millis(), journal.chance()),
            targets: targets.clone(),
        };
        let alone = |refused: &StandingRefused| matches!(refused, StandingRefused::OwnApproval { .. });
        let wrong = standing.check().err().unwrap_or_default();
        // Where nobody else has to agree, nobody else did; while it is proposed, nobody else has yet.
        let wrong: Vec<StandingRefused> =
            wrong.into_iter().filter(|one| !(agreed.approval.is_none() && alone(one))).collect();
        if wrong.is_empty() { Ok(standing) } else { Err(ChangeError::Standing(wrong)) }
    }

    /// Lets whoever decides know what is recorded.
    pub(crate) async fn learn_deed(&self, done: Done, version: u64) {
        match done {
            Done::Policies(bundle) => {
                let mut state = self.gate().state();
                (state.bundle, state.policy_version) = (bundle, version);
            }
            Done::Agent(event) => self.gate().state().roster.apply(&event),
            Done::Mode(set) => {
                if let Some(healing) = self.healing(&set.component) {
                    healing.learn(HealEvent::ModeSet(set)).await;
                }
            }
            Done::Standing => self.learn_standing().await,
            Done::Person => {}
        }
    }

    /// Whether somebody besides the author could agree to what they ask.
    pub(crate) async fn somebody_else(&self, author: &Actor) -> Result<bool, ChangeError> {
        let people = people(self.journal()).await?;
        let agrees = |role: &String| role == &self.setup().approvers || role == "admin";
        Ok(people.iter().any(|one| one.principal.as_str() != author.id && one.roles.iter().any(agrees)))
    }

    /// Whether this installation wants a second person.
    pub(crate) fn consent(&self) -> Consent {
        self.setup().consent
    }
}

fn push(batch: &mut Batch, mut draft: Draft, version: u64, agreed: &Agreed<'_>) {
    batch.expects.push(Expect { stream: draft.stream.clone(), version });
    // Bodies of agents and people are read as they are; the approval stands in the same trace.
    if let (Some((approval, by)), "policy.set/1") = (agreed.approval, draft.kind) {
        draft.body["approval"] = json!(approval);
        draft.body["approved_by"] = json!(by);
    }
    batch.drafts.push(draft);
}

/// The entry for the policies that are in force from it on.
pub(crate) fn policies_set(digest: Digest, attachments: Value, by: &Actor) -> Draft {
    Draft {
        action: "set_policies".into(),
        actor: by.clone(),
        body: json!({"digest": digest, "attachments": attachments}),
        kind: "policy.set/1",
        outcome: Outcome::Success,
        resource: "policies".into(),
        stream: POLICY_STREAM.into(),
    }
}

fn policies(bundle: &Bundle) -> Value {
    let rules: BTreeSet<String> = bundle.rules().map(|(id, stage, _)| format!("{id} ({stage})")).collect();
    json!({"digest": bundle.digest(), "files": bundle.files(), "rules": rules})
}

fn agent_document(agent: &writ_agents::Agent) -> Value {
    json!({"state": agent.state, "public_key": agent.public_key, "permissions": agent.permissions})
}
