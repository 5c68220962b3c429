//! What would have been done, had the mode allowed it, and what people say of that. Each shadow decision is a document of its own,
//! with the last word of everybody who judged it.

use crate::approvals::Principal;
use crate::commit::{Batch, CommitError};
use crate::erase::beside;
use crate::grant::{AGENT, Barred};
use crate::journal::{Journal, decode};
use crate::pipeline::Pipeline;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_core::{Actor, ComponentId, Entry, Event, EventId, Filter, IncidentId, LedgerError, PrincipalId, TraceId};
use writ_self_healing::{HealEvent, Judged, Opinion, RemedyAction, ShadowDecision};

/// The view of shadow decisions, by component, action and entry: the newest of an action is its last.
pub(crate) const SHADOWS: &str = "shadows";

const JUDGED: &str = "component.shadow_judged/1";

/// Documents read at once.
pub(crate) const PAGE: usize = 500;

/// The shadow decision that an entry takes or judges.
pub(crate) fn shadow_key(entry: &Entry) -> Option<String> {
    let text = |pointer: &str| entry.body.pointer(pointer).and_then(Value::as_str);
    let (action, decision) = match entry.kind.as_str() {
        "incident.remedy_shadowed/1" | "component.remedy_shadowed/1" => {
            (text("/remedy/action")?, entry.event_id.as_str())
        }
        JUDGED => (text("/action")?, text("/decision")?),
        _ => return None,
    };
    Some(format!("{}/{action}/{decision}", entry.resource))
}

/// A shadow decision after an entry: as it was taken, and what each person said of it last.
pub(crate) fn shadow_next(before: Option<&Value>, entry: &Entry) -> Option<Value> {
    if entry.kind != JUDGED {
        let of = |pointer: &str| entry.body.pointer(pointer).cloned().unwrap_or_default();
        return Some(json!({
            "decision": entry.event_id, "at": entry.timestamp, "component": entry.resource, "judgements": {},
            "action": of("/remedy/action"), "incident": of("/remedy/incident"), "because": of("/because"),
            "remedy": of("/remedy"),
        }));
    }
    let (mut doc, by) = (before?.clone(), entry.body.get("by")?.as_str()?);
    let reason = entry.body.pointer("/erasables/reason");
    doc["judgements"][by] = json!({"right": entry.body.get("right"), "at": entry.timestamp, "reason": reason});
    Some(doc)
}

/// A document as the shadow decision that it tells.
pub(crate) fn decision_of(doc: &Value) -> Option<ShadowDecision> {
    let text = |field: &str| doc.get(field).and_then(Value::as_str);
    let mut judgements: BTreeMap<PrincipalId, bool> = BTreeMap::new();
    for (who, said) in doc.get("judgements")?.as_object()? {
        judgements.insert(who.parse().ok()?, said.get("right")?.as_bool()?);
    }
    Some(ShadowDecision {
        decision: text("decision")?.parse().ok()?,
        at: text("at")?.parse().ok()?,
        component: text("component")?.parse().ok()?,
        action: RemedyAction::named(text("action")?)?,
        judgements,
    })
}

/// Which shadow decisions.
#[derive(Debug, Clone, Default)]
pub struct ShadowFilter {
    /// Of one component.
    pub component: Option<ComponentId>,
    /// Of one action.
    pub action: Option<RemedyAction>,
    /// Of one incident.
    pub incident: Option<IncidentId>,
    /// Of which people say this.
    pub opinion: Option<Opinion>,
}

impl ShadowFilter {
    fn prefix(&self) -> String {
        match (&self.component, self.action) {
            (Some(component), Some(action)) => format!("{component}/{action}/"),
            (Some(component), None) => format!("{component}/"),
            (None, _) => String::new(),
        }
    }

    fn takes(&self, doc: &Value, decision: &ShadowDecision) -> bool {
        let incident = |wanted: &IncidentId| doc.get("incident") == Some(&json!(wanted));
        self.component.as_ref().is_none_or(|wanted| decision.component == *wanted)
            && self.action.is_none_or(|wanted| decision.action == wanted)
            && self.incident.as_ref().is_none_or(incident)
            && self.opinion.is_none_or(|wanted| decision.opinion() == wanted)
    }
}

/// Shadow decisions that were found, and where to go on.
#[derive(Debug, Clone)]
pub struct Shadows {
    /// As documents, each with what people say of it as `opinion`; the newest of a component's action first.
    pub items: Vec<Value>,
    /// What to give as `after` for more; none when there is no more.
    pub next: Option<String>,
    /// How many entries they are of.
    pub as_of: u64,
}

/// Documents that one question looks at, at the most.
const LOOKED_AT: usize = 10_000;

/// Why a shadow decision is not judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// There is no such decision.
    #[error("there is no shadow decision `{decision}`")]
    Unknown {
        /// What was named.
        decision: EventId,
    },
    /// A program judges nothing.
    #[error("`{by}` is an agent, and only a person judges what would have been done")]
    Agent {
        /// Who tried.
        by: PrincipalId,
    },
    /// The role is missing there.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// That is what they said before.
    #[error("`{by}` said before that `{decision}` was {}", if *right { "right" } else { "wrong" })]
    Said {
        /// Who.
        by: PrincipalId,
        /// Of what.
        decision: EventId,
        /// What.
        right: bool,
    },
    /// Nothing could be recorded.
    #[error("the journal takes nothing")]
    Commit(#[from] CommitError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
}

impl Pipeline {
    /// Shadow decisions, page by page.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn shadows(
        &self,
        wanted: &ShadowFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Shadows, LedgerError> {
        let (prefix, mut from, mut items, mut looked) = (wanted.prefix(), after.map(str::to_owned), Vec::new(), 0);
        loop {
            let (page, as_of) = self.journal().docs_back(SHADOWS, &prefix, from.as_deref(), PAGE).await?;
            let last = page.len() < PAGE;
            for (key, mut doc) in page {
                from = Some(key);
                let Some(decision) = decision_of(&doc).filter(|decision| wanted.takes(&doc, decision)) else {
                    continue;
                };
                if items.len() == limit {
                    // It is the first of the next page, which begins after the one before it.
                    let next = items.last().map(key_of);
                    return Ok(Shadows { items, next, as_of });
                }
                doc["opinion"] = json!(decision.opinion().word());
                items.push(doc);
            }
            looked += PAGE;
            if last || looked >= LOOKED_AT {
                return Ok(Shadows { items, next: from.filter(|_| !last), as_of });
            }
        }
    }

    /// A shadow decision, with the entry that recorded it; none when there is none of that name.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn shadow(&self, decision: &EventId) -> Result<Option<(Entry, Value)>, LedgerError> {
        let Some(stored) = self.journal().ledger().by_event(decision.as_str()).await? else { return Ok(None) };
        let entry = decode(&stored)?;
        let Some(key) = shadow_key(&entry).filter(|_| entry.kind != JUDGED) else { return Ok(None) };
        Ok(self.journal().doc(SHADOWS, &key).await?.map(|doc| (entry, doc)))
    }

    /// Takes a person's word on what would have been done. Of what one person says of one decision, the last counts: whoever learns
    /// better must be able to say so.
    ///
    /// # Errors
    /// When there is no such decision, they may not judge it, said the same before, or it could not be recorded.
    pub async fn judge(&self, decision: &EventId, right: bool, reason: &str, by: &Principal) -> Result<(), JudgeError> {
        // Nobody relies on a decision while it is judged.
        let _governing = self.inner.governing.lock().await;
        let journal = self.journal();
        let unknown = || JudgeError::Unknown { decision: decision.clone() };
        let (entry, doc) = self.shadow(decision).await?.ok_or_else(unknown)?;
        let known = decision_of(&doc).ok_or_else(unknown)?;
        // Programs that think for themselves judge nothing.
        if by.anywhere().iter().any(|role| role == AGENT) {
            return Err(JudgeError::Agent { by: by.id.clone() });
        }
        let of = self.scope_of_component(known.component.as_str()).await?;
        by.must("operator", &of).or_else(|barred| by.must("approver", &of).map_err(|_| barred))?;
        if known.judgements.get(&by.id) == Some(&right) {
            return Err(JudgeError::Said { by: by.id.clone(), decision: decision.clone(), right });
        }
        let incident = doc.get("incident").and_then(|incident| incident.as_str()?.parse().ok());
        let ShadowDecision { component, action, .. } = known;
        let judged = Judged {
            action,
            at: journal.now(),
            by: by.id.clone(),
            component,
            decision: decision.clone(),
            incident,
            right,
        };
        let mut draft = HealEvent::Judged(judged).draft(&Actor::human(&by.id));
        let words = beside(journal, reason);
        draft.body["erasables"] = json!({"reason": words.commitment});
        let batch = Batch { erasables: vec![words], ..Batch::of(vec![draft]) };
        journal.commit(&journal.cause_after(Some(&entry)), batch).await?;
        Ok(())
    }
}

fn key_of(doc: &Value) -> String {
    let text = |field: &str| doc.get(field).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}/{}", text("component"), text("action"), text("decision"))
}

/// What people said of the shadow decisions of an incident: it stands in the incident's trace, and in its component's stream.
pub(crate) async fn judgements_in(journal: &Journal, trace: &TraceId) -> Result<Vec<Entry>, LedgerError> {
    let wanted = Filter { trace: Some(trace.clone()), kind: Some(JUDGED.into()), ..Filter::default() };
    journal.ledger().query(&wanted, PAGE).await?.iter().map(decode).collect()
}
