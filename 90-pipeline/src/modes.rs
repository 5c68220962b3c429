//! How far each action of healing may go on its own: what files say, and what was changed since. Whoever wants an action to go
//! further cites shadow decisions; whether they are enough is healing's to say.

use crate::deed::Deed;
use crate::journal::{Journal, decode};
use crate::pipeline::Pipeline;
use crate::shadows::{PAGE, SHADOWS, decision_of};
use crate::wish::ChangeError;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_core::{Actor, ApprovalId, ComponentId, Draft, Entry, Event as _, EventId, Filter, LedgerError, Timestamp};
use writ_self_healing::{Bar, HealEvent, Mode, ModeChange, ModeEnded, Opinion, RemedyAction, ShadowDecision};

/// The view of modes that were set, by component and action.
const MODES: &str = "modes";

const SET: &str = "component.mode_set/1";
const ENDED: &str = "component.mode_ended/1";

/// Shadow decisions that are looked through for one promotion, at the most.
const KNOWN_MAX: usize = 20 * PAGE;

/// Shadow decisions of a component that are counted.
const COUNTED: usize = 1_000;

/// The mode that an entry sets, or ends.
pub(crate) fn mode_key(entry: &Entry) -> Option<String> {
    matches!(entry.kind.as_str(), SET | ENDED).then_some(())?;
    Some(format!("{}/{}", entry.resource, entry.body.get("action")?.as_str()?))
}

/// A mode after it was set: by whom, on what grounds, and when the action was last taken back.
pub(crate) fn mode_next(before: Option<&Value>, entry: &Entry) -> Option<Value> {
    let mode = |value: Option<&Value>| value.and_then(Value::as_str).and_then(Mode::named);
    let was = mode(entry.body.get("from")).or_else(|| mode(before.and_then(|doc| doc.get("mode"))));
    if entry.kind == ENDED {
        // Whoever brings the component up again begins anew.
        return Some(json!({"mode": null, "lowered_at": entry.timestamp}));
    }
    let lowered = was.zip(mode(entry.body.get("mode"))).is_some_and(|(was, now)| now < was);
    let lowered_at = if lowered { json!(entry.timestamp) } else { before.map(|doc| doc["lowered_at"].clone()).into() };
    Some(json!({
        "mode": entry.body.get("mode"), "from": entry.body.get("from"), "since": entry.timestamp, "by": entry.actor.id,
        "approval": entry.body.get("approval"), "entry": entry.event_id, "lowered_at": lowered_at,
    }))
}

/// The entry that last let an incident's remedy go as far as it went, or would have gone; none where files say it.
pub(crate) async fn let_go_by(journal: &Journal, incident: &[Entry]) -> Result<Option<Entry>, LedgerError> {
    let decided =
        |entry: &&Entry| matches!(entry.kind.as_str(), "incident.remedy_proposed/1" | "incident.remedy_shadowed/1");
    let Some(decided) = incident.iter().rev().find(decided) else { return Ok(None) };
    let wanted = Filter {
        kind: Some(SET.into()),
        resource: Some(decided.resource.clone()),
        newest_first: true,
        ..Filter::default()
    };
    for stored in journal.ledger().query(&wanted, PAGE).await? {
        let set = decode(&stored)?;
        if set.seq < decided.seq && set.body.get("action") == decided.body.pointer("/remedy/action") {
            return Ok(Some(set));
        }
    }
    Ok(None)
}

/// Where a mode comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeOrigin {
    /// Nobody said anything.
    Default,
    /// The platform file.
    Platform,
    /// The manifest in force.
    Manifest,
    /// A change that people made.
    Change,
}

/// How far an action may go on its own where no change said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) mode: Mode,
    pub(crate) origin: ModeOrigin,
}

/// How far an action may go on its own on a component, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModeInForce {
    /// The component.
    pub component: ComponentId,
    /// The action.
    pub action: RemedyAction,
    /// How far it may go.
    pub mode: Mode,
    /// Where that comes from.
    pub origin: ModeOrigin,
    /// The approval that a change rests on; none where nobody else had to agree.
    pub approval: Option<ApprovalId>,
    /// Who asked for the change.
    pub by: Option<String>,
    /// Since when it is so by that change.
    pub since: Option<Timestamp>,
    /// When the action was last taken back: what would have been done before then speaks for nothing.
    pub lowered_at: Option<Timestamp>,
    /// Shadow decisions since then, of the component's newest thousand, that people say were right.
    pub right: u64,
    /// Likewise, that somebody says were wrong.
    pub wrong: u64,
    /// Likewise, that nobody judged.
    pub unjudged: u64,
}

/// A mode as it was set last.
#[derive(Default)]
struct Set {
    /// None once its component was nobody's.
    mode: Option<Mode>,
    approval: Option<ApprovalId>,
    by: Option<String>,
    since: Option<Timestamp>,
    lowered_at: Option<Timestamp>,
}

impl Set {
    fn of(doc: &Value) -> Self {
        let text = |field: &str| doc.get(field).and_then(Value::as_str);
        Self {
            mode: text("mode").and_then(Mode::named),
            approval: text("approval").and_then(|id| id.parse().ok()),
            by: text("by").map(str::to_owned),
            since: text("since").and_then(|at| at.parse().ok()),
            lowered_at: text("lowered_at").and_then(|at| at.parse().ok()),
        }
    }
}

async fn set(journal: &Journal, component: &ComponentId, action: RemedyAction) -> Result<Set, LedgerError> {
    Ok(Set::of(&journal.doc(MODES, &format!("{component}/{action}")).await?.unwrap_or_default()))
}

/// The modes of a component that were ever set, by action.
async fn sets(journal: &Journal, component: &ComponentId) -> Result<BTreeMap<RemedyAction, Set>, LedgerError> {
    let prefix = format!("{component}/");
    let docs = journal.all_docs(MODES, &prefix).await?;
    let of = |(key, doc): &(String, Value)| Some((RemedyAction::named(key.strip_prefix(&prefix)?)?, Set::of(doc)));
    Ok(docs.iter().filter_map(of).collect())
}

/// What is known of a change of a mode: what people are shown, and what is decided on.
pub(crate) struct Case {
    pub(crate) from: Mode,
    lowered_at: Option<Timestamp>,
    /// The cited decisions, in the order in which they were cited, as people read them.
    cited: Vec<Value>,
    known: Vec<ShadowDecision>,
}

impl Pipeline {
    /// How far each action may go on each component that is watched.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn modes(&self) -> Result<Vec<ModeInForce>, LedgerError> {
        let mut all = Vec::new();
        for component in self.components() {
            all.extend(self.modes_on(&component).await?);
        }
        Ok(all)
    }

    /// How far each action may go on a component; nothing where it is not watched.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn modes_on(&self, component: &ComponentId) -> Result<Vec<ModeInForce>, LedgerError> {
        let Some(given) = self.healing(component).map(|healing| healing.given()) else { return Ok(Vec::new()) };
        let prefix = format!("{component}/");
        let (docs, _) = self.journal().docs_back(SHADOWS, &prefix, None, COUNTED).await?;
        let known: Vec<ShadowDecision> = docs.iter().filter_map(|(_, doc)| decision_of(doc)).collect();
        let mut sets = sets(self.journal(), component).await?;
        let of = |action: RemedyAction| {
            let set = sets.remove(&action).unwrap_or_default();
            let lowered_at = set.lowered_at;
            let count = |opinion: Opinion| {
                let own = |one: &&ShadowDecision| {
                    let later = lowered_at.is_none_or(|at| one.at > at);
                    one.component == *component && one.action == action && later && one.opinion() == opinion
                };
                known.iter().filter(own).count() as u64
            };
            ModeInForce {
                component: component.clone(),
                action,
                mode: set.mode.unwrap_or(given.mode),
                origin: if set.mode.is_some() { ModeOrigin::Change } else { given.origin },
                approval: set.approval,
                by: set.by,
                since: set.since,
                lowered_at,
                right: count(Opinion::Right),
                wrong: count(Opinion::Wrong),
                unjudged: count(Opinion::Unjudged),
            }
        };
        Ok(RemedyAction::ALL.map(of).into())
    }

    /// What last set how far an action may go on a component, or ended that; none where nobody ever did.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn mode_moved(
        &self,
        component: &ComponentId,
        action: RemedyAction,
    ) -> Result<Option<String>, LedgerError> {
        let doc = self.journal().doc(MODES, &format!("{component}/{action}")).await?.unwrap_or_default();
        let text = |field: &str| doc.get(field).and_then(Value::as_str).map(str::to_owned);
        // One that was ended names no entry, and was taken back when it was.
        Ok(text("entry").or_else(|| text("lowered_at")))
    }

    /// What this installation wants of shadow decisions before an action goes further on its own.
    #[must_use]
    pub fn bar(&self) -> Bar {
        let wanted = self.platform().healing.promotion;
        Bar { right_least: wanted.judged_right, wrong_most: wanted.judged_wrong }
    }

    /// How far an action may go now; an error where nobody heals the component.
    pub(crate) async fn mode_now(&self, component: &ComponentId, action: RemedyAction) -> Result<Mode, ChangeError> {
        let watched =
            self.healing(component).ok_or_else(|| ChangeError::NotWatched { component: component.clone() })?;
        Ok(set(self.journal(), component, action).await?.mode.unwrap_or(watched.given().mode))
    }

    /// The entries by which nothing that was changed of a component's modes holds any more.
    pub(crate) async fn modes_ended(&self, component: &ComponentId) -> Result<Vec<Draft>, LedgerError> {
        let at = self.journal().now();
        let set = sets(self.journal(), component).await?.into_iter().filter(|(_, set)| set.mode.is_some());
        let ended = |(action, _)| {
            let ended = ModeEnded { action, at, component: component.clone() };
            HealEvent::ModeEnded(ended).draft(&Actor::system("pipeline"))
        };
        Ok(set.map(ended).collect())
    }

    /// What is known of a change of a mode. Reports trail the journal, and whoever decides on them waits for them.
    pub(crate) async fn case(
        &self,
        component: &ComponentId,
        action: RemedyAction,
        cites: &[EventId],
    ) -> Result<Case, ChangeError> {
        let journal = self.journal();
        let (prefix, size) = (format!("{component}/{action}/"), *journal.size().borrow());
        let (first, as_of) = journal.docs_back(SHADOWS, &prefix, None, 1).await?;
        if as_of < size {
            return Err(ChangeError::Behind);
        }
        let mut docs: BTreeMap<EventId, (ShadowDecision, Value)> = BTreeMap::new();
        let mut take = |doc: Value| {
            if let Some(decision) = decision_of(&doc) {
                docs.insert(decision.decision.clone(), (decision, doc));
            }
        };
        for cited in cites {
            if let Some((_, doc)) = self.shadow(cited).await? {
                take(doc);
            }
        }
        let oldest = cites.iter().min().map(|cited| format!("{prefix}{cited}"));
        let (mut before, mut looked) = (None::<String>, 0);
        while let Some(oldest) = oldest.as_ref().filter(|_| !first.is_empty() && looked < KNOWN_MAX) {
            let (page, _) = journal.docs_back(SHADOWS, &prefix, before.as_deref(), PAGE).await?;
            let over = page.len() < PAGE || page.last().is_some_and(|(key, _)| key < oldest);
            before = page.last().map(|(key, _)| key.clone());
            page.into_iter().for_each(|(_, doc)| take(doc));
            looked += PAGE;
            if over {
                break;
            }
        }
        let cited = cites.iter().filter_map(|cited| docs.get(cited)).map(|(_, doc)| doc.clone()).collect();
        let lowered_at = set(journal, component, action).await?.lowered_at;
        let known = docs.into_values().map(|(decision, _)| decision).collect();
        Ok(Case { from: self.mode_now(component, action).await?, lowered_at, cited, known })
    }

    /// What people are shown of a change of a mode, when it is `mode`: what speaks for it stands on both sides.
    pub(crate) async fn shown_mode(&self, deed: &Deed, after: bool) -> Result<Value, ChangeError> {
        let Deed::Mode { action, cites, component, from, to } = deed else { return Ok(Value::Null) };
        let (case, bar) = (self.case(component, *action, cites).await?, self.bar());
        let mode = if after { *to } else { case.from };
        let behind = after && case.from != *from;
        // Going less far is always possible; it must be less than is in force, not than the reports say.
        if to <= from && (!behind || *to <= case.from) {
            return Ok(json!({"mode": mode}));
        }
        if behind {
            return Err(ChangeError::Behind);
        }
        let change = ModeChange {
            component,
            action: *action,
            from: *from,
            to: *to,
            cites,
            known: &case.known,
            lowered_at: case.lowered_at,
        };
        if after {
            change.check(bar).map_err(ChangeError::Mode)?;
        }
        // What people look at, not what programs repeat: the rest stands in the decision's entry.
        let told = |doc: &Value| {
            let said = doc.get("judgements").and_then(Value::as_object).into_iter().flatten();
            let judged: BTreeMap<&String, &str> =
                said.map(|(who, said)| (who, if said["right"] == json!(true) { "right" } else { "wrong" })).collect();
            let of = |field: &str| doc.get(field).cloned().unwrap_or_default();
            json!({
                "decision": of("decision"), "at": of("at"), "incident": of("incident"), "because": of("because"),
                "targets": doc.pointer("/remedy/targets"), "count": doc.pointer("/remedy/count"), "judged": judged,
            })
        };
        let cited: Vec<Value> = case.cited.iter().map(told).collect();
        let wrong: Vec<&EventId> = change.wrong_since().map(|one| &one.decision).collect();
        Ok(json!({
            "mode": mode, "cites": cited, "judged_wrong_since": wrong, "last_taken_back": case.lowered_at,
            "wanted": {"judged_right": bar.right_least, "judged_wrong_at_most": bar.wrong_most},
        }))
    }
}
