//! Running a playbook: its actions worked out on the world as it is by what remedies are made of, asked for once under the name
//! `run_playbook` and then step by step, as a run like any other.

use crate::approvals::Principal;
use crate::commit::{Batch, CommitError, Expect};
use crate::context::{Origin, RunContext};
use crate::decided::{Decided, decisions_on};
use crate::drive::DriveError;
use crate::erase::{said_about, words};
use crate::gate::POLICY_STREAM;
use crate::grant::{Barred, Scope};
use crate::pipeline::{Pipeline, PipelineError};
use crate::remedy::component_view;
use crate::scope::scope_in;
use crate::submission::policy_decided;
use crate::submit::{HELD_MS_MAX, Whole};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use writ_automation::{Act, BindError, Bound, Gate as RunGate, JoinError, Options, Playbook, Submission, Verb, join};
use writ_core::{
    Actor, ComponentId, Decision, Digest, IdError, IntentId, LedgerError, Plan, ProviderError, RunId, Stage, Step,
};
use writ_intent::{Intent, plan_digest, stream, translate, world_digest};
use writ_self_healing::{Blast, ComponentView, PlanHead, Remedy, RemedyAction, RemedyError, RemedyKey, Slot, Target};

/// The name under which policy is asked whether a playbook may be run.
const ACTION: &str = "run_playbook";

/// Which playbook is to be run, and with what.
#[derive(Debug, Clone, Default)]
pub struct PlaybookOrder {
    /// The playbook.
    pub id: String,
    /// Its version; the newest when none is given.
    pub version: Option<String>,
    /// Values of its parameters.
    pub arguments: BTreeMap<String, Value>,
    /// The digest of what was looked at; anything else is refused as stale.
    pub planned: Option<Digest>,
}

/// Why a playbook is not run.
#[derive(Debug, thiserror::Error)]
pub enum PlaybookError {
    /// There is no such playbook, or not in that version.
    #[error("there is no playbook `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// It cannot be run with what it was told.
    #[error("`{playbook}` cannot be run so")]
    Bind {
        /// The playbook.
        playbook: String,
        /// Why not.
        #[source]
        cause: BindError,
    },
    /// What was given as a component can be none.
    #[error("`{component}` is no component")]
    Name {
        /// What was given.
        component: String,
        /// Why not.
        #[source]
        cause: IdError,
    },
    /// No intent that is in force has the component.
    #[error("no intent in force has a component `{component}`")]
    NoComponent {
        /// The component.
        component: ComponentId,
    },
    /// A count is not within what the intent allows.
    #[error("`{intent}` allows {min} to {max} instances, not {count}")]
    Bounds {
        /// The intent.
        intent: IntentId,
        /// The count.
        count: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// The world does not have what an action is about.
    #[error("the action `{action}` cannot be done")]
    World {
        /// The action.
        action: String,
        /// Why not.
        #[source]
        cause: RemedyError,
    },
    /// Its actions make no plan.
    #[error("`{playbook}` makes no plan")]
    Join {
        /// The playbook.
        playbook: String,
        /// Why not.
        #[source]
        cause: JoinError,
    },
    /// Something else is being done with the component.
    #[error("run `{run}` is changing `{component}`")]
    Busy {
        /// The component.
        component: ComponentId,
        /// What is under way.
        run: RunId,
    },
    /// Whoever asks does not hold the role there.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// Nobody may do it.
    #[error("nobody may run `{playbook}`: {because}")]
    Nobody {
        /// The playbook.
        playbook: String,
        /// Why.
        because: String,
    },
    /// Policy says no.
    #[error("running `{playbook}` on `{component}` is denied")]
    Denied {
        /// The playbook.
        playbook: String,
        /// The component.
        component: ComponentId,
        /// What policy said.
        validation: Value,
    },
    /// What was looked at is no longer what would be done.
    #[error("what would be done is no longer what was looked at: it was {planned}, and is {found}")]
    Stale {
        /// What was looked at.
        planned: Digest,
        /// What would be done.
        found: Digest,
    },
    /// The intent cannot be read.
    #[error(transparent)]
    Recorded(#[from] PipelineError),
    /// The world could not be looked at.
    #[error("the provider cannot say what is there")]
    Provider(#[from] ProviderError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
    /// Nothing could be recorded.
    #[error("the journal takes nothing")]
    Commit(#[from] CommitError),
    /// The run could not begin.
    #[error("the run cannot begin")]
    Drive(#[from] DriveError),
}

/// What running a playbook would do.
#[derive(Debug, Clone)]
pub struct Rehearsed {
    /// What would be done.
    pub plan: Plan,
    /// What policy says.
    pub decision: Decision,
    /// The run that changes the component at the moment: until it is over, the playbook is not run.
    pub under_way: Option<RunId>,
    bound: Bound,
    component: ComponentId,
    judged: Decided,
    playbook: Playbook,
    scope: Scope,
}

impl Rehearsed {
    /// The digest of what would be done.
    #[must_use]
    pub fn digest(&self) -> Digest {
        plan_digest(&self.plan)
    }

    /// All of it as one document.
    #[must_use]
    pub fn document(&self) -> Value {
        let skipped = self.bound.acts.iter().filter_map(|act| {
            let condition = act.skipped.as_ref()?;
            Some(json!({"action": act.name, "condition": condition}))
        });
        let steps = self.plan.steps.iter().map(|step| {
            json!({
                "key": step.key, "action": step.action_name, "verb": step.verb, "resource": step.resource,
                "needs": step.needs, "class": step.class, "timeout_ms": step.timeout_ms,
            })
        });
        json!({
            "playbook": self.playbook.id, "version": self.playbook.version.to_string(),
            "arguments": self.bound.arguments, "component": self.component, "intent": self.plan.intent,
            "under_way": self.under_way, "decision": self.decision,
            "validation": [self.judged.judgement.validation()], "digest": self.digest(),
            "skipped": skipped.collect::<Vec<_>>(), "steps": steps.collect::<Vec<_>>(),
            "text": self.plan.steps.iter().map(line).collect::<String>(),
        })
    }
}

/// A step as people read it: what it is for stands before what is done, for a service restarted and one added are both ensured.
fn line(step: &Step) -> String {
    format!("  {:<18} {:<18} {}\n", step.action_name, step.verb, step.resource)
}

/// Whose a component is: its intent, and how that was carried out.
struct Owner {
    intent: Intent,
    plan: Plan,
    scope: Scope,
}

/// What policy knows a run of a playbook by.
pub(crate) fn whole(playbook: &str) -> Whole<'_> {
    Whole { action: ACTION, resource: playbook, verb: "playbook.run" }
}

impl Pipeline {
    /// The playbooks that may be run, by name and version.
    #[must_use]
    pub fn playbooks(&self) -> &[Playbook] {
        &self.setup().playbooks
    }

    /// A playbook in a version, or else in its newest.
    ///
    /// # Errors
    /// When there is none.
    pub fn playbook(&self, id: &str, version: Option<&str>) -> Result<&Playbook, PlaybookError> {
        let named = self.playbooks().iter().filter(|playbook| playbook.id == id);
        let found = match version {
            Some(version) => named.into_iter().find(|playbook| playbook.version.to_string() == version),
            None => named.max_by_key(|playbook| playbook.version.clone()),
        };
        let name = version.map_or_else(|| id.to_owned(), |version| format!("{id} {version}"));
        found.ok_or(PlaybookError::Unknown { name })
    }

    /// Works out what running a playbook would do, and changes nothing. Neither a denial nor a run in the way is an error here.
    ///
    /// # Errors
    /// When there is no such playbook, its arguments do not fit, or the world does not have what it is about.
    pub async fn rehearse(&self, order: &PlaybookOrder, by: &Principal) -> Result<Rehearsed, PlaybookError> {
        let playbook = self.playbook(&order.id, order.version.as_deref())?.clone();
        let (bound, component) = self.bound(order)?;
        let owner = self.owner_of(&component).await?;
        let under_way = self.drive().run_on(&component);
        let plan = self.worked_out(&playbook, &bound, &component, &owner).await?;
        let nobody = |because| PlaybookError::Nobody { playbook: playbook.id.clone(), because };
        let context = context(&playbook, &component, &owner.scope, by);
        let judged = self.judge_whole(&whole(&playbook.id), &plan, &context, &Actor::human(&by.id)).map_err(nobody)?;
        let decision = judged.judgement.verdict.decision.clone();
        Ok(Rehearsed { plan, decision, under_way, bound, component, judged, playbook, scope: owner.scope })
    }

    /// The actions with their values, and what they are about.
    fn bound(&self, order: &PlaybookOrder) -> Result<(Bound, ComponentId), PlaybookError> {
        let playbook = self.playbook(&order.id, order.version.as_deref())?;
        let unfit = |cause| PlaybookError::Bind { playbook: playbook.id.clone(), cause };
        let bound = playbook.bind(&order.arguments).map_err(unfit)?;
        let named = |cause| PlaybookError::Name { component: bound.component.clone(), cause };
        let component = bound.component.parse().map_err(named)?;
        Ok((bound, component))
    }

    /// The intent in force that has a component.
    async fn owner_of(&self, component: &ComponentId) -> Result<Owner, PlaybookError> {
        if let Some(id) = self.holder(component.as_str()).await? {
            let doc = self.journal().doc("intents", id.as_str()).await?.unwrap_or_default();
            if let Some((intent, plan)) = self.in_force(&id, &doc).await? {
                return Ok(Owner { intent, plan, scope: scope_in(&doc) });
            }
        }
        Err(PlaybookError::NoComponent { component: component.clone() })
    }

    /// What each action means in the world as it is, joined to one plan.
    async fn worked_out(
        &self,
        playbook: &Playbook,
        bound: &Bound,
        component: &ComponentId,
        owner: &Owner,
    ) -> Result<Plan, PlaybookError> {
        let world = self.provider().observe(component).await?;
        let translation = translate(&owner.intent, &self.platform()).ok();
        let (zones, min, max) = match &translation {
            Some(found) => {
                (found.layout.rotation.as_slice(), u64::from(found.min_instances), u64::from(found.max_instances))
            }
            None => (&[][..], 1, u64::MAX),
        };
        let view = component_view(component, &owner.plan, zones, &world, &BTreeSet::new());
        let mut parts = Vec::with_capacity(bound.acts.len());
        for act in &bound.acts {
            if act.skipped.is_some() {
                parts.push((act.clone(), None));
                continue;
            }
            if let Some(count) = act.count("count").filter(|count| !(min..=max).contains(count)) {
                return Err(PlaybookError::Bounds { intent: owner.intent.id.clone(), count, min, max });
            }
            let head = PlanHead {
                intent: owner.plan.intent.clone(),
                intent_digest: owner.plan.intent_digest,
                intent_version: owner.plan.intent_version,
                world: world_digest(&world),
            };
            let world = |cause| PlaybookError::World { action: act.name.clone(), cause };
            let remedy = remedy_of(playbook, act, component, &view).map_err(world)?;
            let plan = remedy.map(|remedy| remedy.plan(&view, head)).transpose().map_err(world)?;
            parts.push((act.clone(), plan));
        }
        join(parts).map_err(|cause| PlaybookError::Join { playbook: playbook.id.clone(), cause })
    }

    /// Runs a playbook, which may wait for approval. With `planned`, only if that is still what would be done.
    ///
    /// # Errors
    /// As [`Pipeline::rehearse`]; and when something else is being done with the component, policy denies it, which is recorded,
    /// or nothing could be recorded.
    pub async fn run_playbook(
        &self,
        order: &PlaybookOrder,
        by: &Principal,
        reason: &str,
    ) -> Result<(Rehearsed, RunId), PlaybookError> {
        let (_, component) = self.bound(order)?;
        let owner = self.owner_of(&component).await?;
        by.must("operator", &owner.scope)?;
        if let Some(run) = self.drive().run_on(&component) {
            return Err(PlaybookError::Busy { component, run });
        }
        // In this order: when the intent moves, or something else is decided for it, nothing can be recorded on what was.
        let intent = owner.intent.id;
        let (of_intent, of_decisions) = (stream(&intent), decisions_on(&intent));
        let ledger = self.journal().ledger();
        let expected = [ledger.stream_version(&of_intent).await?, ledger.stream_version(&of_decisions).await?];
        let rehearsed = self.rehearse(order, by).await?;
        let found = rehearsed.digest();
        if let Some(planned) = order.planned.filter(|planned| *planned != found) {
            return Err(PlaybookError::Stale { planned, found });
        }
        let mut batch = Batch::default();
        for (stream, version) in [of_intent, of_decisions].into_iter().zip(expected) {
            batch.expects.push(Expect { stream, version });
        }
        batch.expects.push(Expect { stream: POLICY_STREAM.into(), version: self.gate().state().policy_version });
        let (actor, cause, now) = (Actor::human(&by.id), self.journal().new_cause(), self.journal().now());
        let run = RunId::mint(now.millis(), self.journal().chance());
        if !reason.is_empty() {
            let (said, beside) = words(self.journal(), &said_about(run.as_str()), run.as_str(), &actor, reason);
            batch.drafts.push(said);
            batch.erasables.push(beside);
        }
        let decided = &rehearsed.judged;
        let kept = batch.attach(decided.bytes.clone());
        batch.drafts.push(policy_decided(&intent, Stage::Action, decided, kept));
        if rehearsed.decision == Decision::Deny {
            self.journal().commit(&cause, batch).await?;
            return Err(PlaybookError::Denied {
                playbook: rehearsed.playbook.id.clone(),
                component: rehearsed.component.clone(),
                validation: decided.judgement.validation(),
            });
        }
        let approval = decided.terms(self.journal(), now);
        let seed = self.journal().seed();
        let submission = Submission {
            gate: RunGate { approval, window_opens_at: None },
            options: Options {
                deadline_ms: rehearsed.playbook.timeout_seconds.map(|seconds| seconds * 1_000),
                start_timeout_ms: HELD_MS_MAX,
                ..Options::new(rehearsed.playbook.on_failure, seed)
            },
            parent: None,
            plan: Arc::new(rehearsed.plan.clone()),
            requester: actor,
            run,
            world: rehearsed.plan.world,
        };
        let context = context(&rehearsed.playbook, &rehearsed.component, &rehearsed.scope, by);
        let run = self.drive().begin(submission, context, &cause, batch).await?;
        Ok((rehearsed, run))
    }
}

/// What the run is for.
fn context(playbook: &Playbook, component: &ComponentId, scope: &Scope, by: &Principal) -> RunContext {
    let version = playbook.version.to_string();
    let playbook = json!({"id": playbook.id, "version": version, "digest": playbook.digest()});
    let asked = RunContext::asked(Origin::Playbook, Some(component.clone()), scope, by);
    RunContext { playbook: Some(playbook), ..asked }
}

/// An action as the remedy that does it; none when what it asks for holds already.
fn remedy_of(
    playbook: &Playbook,
    act: &Act,
    component: &ComponentId,
    view: &ComponentView,
) -> Result<Option<Remedy>, RemedyError> {
    let key = RemedyKey(format!("{}/{}", playbook.id, act.name));
    let next = |slot: &Slot| Target { generation: slot.generation + 1, instance: slot.instance.clone() };
    let (there, mut count) = (view.slots.len() as u64, None);
    // By number, so that the newest are last.
    let mut slots: Vec<&Slot> = view.slots.iter().collect();
    slots.sort_by_key(|slot| (slot.instance.len(), slot.instance.clone()));
    let (action, targets) = match act.verb {
        Verb::RestartInstance => {
            let name = act.text("instance");
            let slot = slots.iter().find(|slot| slot.instance == name);
            let missing = || RemedyError::NoSlot { remedy: key.clone(), instance: name.to_owned() };
            (RemedyAction::RestartInstance, vec![next(slot.ok_or_else(missing)?)])
        }
        Verb::RestartService => (RemedyAction::RestartService, slots.iter().map(|slot| next(slot)).collect()),
        Verb::Scale => {
            let wanted = act.count("count").unwrap_or(there);
            count = Some(wanted);
            if wanted == there {
                return Ok(None);
            }
            let surplus = usize::try_from(there.saturating_sub(wanted)).unwrap_or(usize::MAX);
            let leaving = slots.iter().rev().take(surplus);
            let leaving = leaving.map(|slot| Target { generation: slot.generation, instance: slot.instance.clone() });
            (if wanted > there { RemedyAction::ScaleOut } else { RemedyAction::ScaleIn }, leaving.collect())
        }
        Verb::RestoreBalancer => (RemedyAction::RestoreBalancer, Vec::new()),
    };
    let affected = count.map_or(targets.len() as u64, |count| count.abs_diff(there));
    Ok(Some(Remedy {
        action,
        attempt: 0,
        blast: Blast { affected, healthy: there, total: there },
        component: component.clone(),
        count,
        incident: None,
        key,
        targets,
        timeout_ms: act.timeout_ms,
        undo: false,
        width: act.count("at_once").unwrap_or(1),
    }))
}
