//! From a remedy that healing proposes to a run: planned on the world as it is, put before policy, and begun under a standing
//! approval or after people were asked.

use crate::agreement::Draw;
use crate::apart::instances;
use crate::causes::error_chain;
use crate::commit::Batch;
use crate::context::{Origin, RunContext};
use crate::decided::Decided;
use crate::drive::DriveError;
use crate::gate::Nobody;
use crate::heal::{Parts, Task};
use crate::journal::seed;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use writ_automation::{ApprovalTerms, Gate as RunGate, HeldBy, OnFailure, Options, Submission};
use writ_core::{Actor, ApprovalId, ComponentId, Decision, Plan, RunId, Step, Timestamp, World};
use writ_intent::world_digest;
use writ_self_healing::{ComponentView, HoldReason, Mode, PlanHead, Remedy, Slot};

/// How long people have to answer when a remedy needs them.
const APPROVAL_SPAN: Duration = Duration::from_secs(3_600);

/// The span in which attempts are counted for policy.
const COUNTED: Duration = Duration::from_secs(3_600);

/// When remedies were tried, by component: what policies may limit across all of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempts(Arc<Mutex<BTreeMap<ComponentId, Vec<Timestamp>>>>);

impl Attempts {
    /// What one component has tried.
    pub(crate) fn note(&self, component: &ComponentId, tried: Vec<Timestamp>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(component.clone(), tried);
    }

    fn within(&self, span: Duration, now: Timestamp) -> usize {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().flatten().filter(|at| now.since(**at) <= span).count()
    }
}

/// What came of putting a remedy before the gate.
pub(crate) enum Begun {
    /// It is carried out.
    Run(RunId),
    /// People are asked.
    Waits(RunId, ApprovalId),
    /// Nobody may do its first step for now, where it is known, or a change is at work there.
    Held(Option<Box<Step>>, HoldReason),
}

impl Task {
    /// Puts a remedy before policy, and begins its run.
    ///
    /// # Errors
    /// Why it is not allowed, in words.
    pub(crate) async fn begin(&self, remedy: &Remedy, mode: Mode) -> Result<Begun, String> {
        // What a change has taken away, or is about to, is not made again.
        let targets = targets_of(remedy);
        if self.parts.drive.change_on(&remedy.component, &targets, self.parts.journal.now()).is_some() {
            return Ok(Begun::Held(None, HoldReason::Busy));
        }
        // The world is looked at before the right to draw is taken: nobody else's remedy waits for a slow provider.
        let planned = self.plan(remedy).await?;
        let agreement = self.parts.standing.now();
        let mut draw = match &agreement {
            Some(agreement) => Some(agreement.draw().await),
            None => None,
        };
        loop {
            match self.try_begin(remedy, mode, planned.clone(), draw.as_mut()).await {
                Err(NotBegun::Overtaken) => {
                    if let Some(draw) = &mut draw {
                        draw.read_again(&self.parts.journal).await.map_err(|error| error_chain(&error))?;
                    }
                }
                Err(NotBegun::Denied(because)) => return Err(because),
                Ok(begun) => return Ok(begun),
            }
        }
    }

    async fn try_begin(
        &self,
        remedy: &Remedy,
        mode: Mode,
        (world, plan): (World, Plan),
        mut draw: Option<&mut Draw<'_>>,
    ) -> Result<Begun, NotBegun> {
        let now = self.parts.journal.now();
        let covered = draw.as_mut().is_some_and(|draw| draw.covers(remedy, now));
        let first = plan.steps.first().ok_or_else(|| "the remedy would do nothing".to_owned())?.clone();
        let mut context = RunContext {
            component: Some(remedy.component.clone()),
            environment: self.parts.environment.clone(),
            incident: remedy.incident.clone(),
            origin: if remedy.incident.is_some() { Origin::Remedy } else { Origin::Scaling },
            outside: None,
            playbook: None,
            remedy: Some(self.remedy_facts(remedy, mode, covered, now)),
            remedy_key: Some(remedy.key.to_string()),
            roles: Vec::new(),
            standing: None,
            team: self.parts.team.clone(),
        };
        let requester = Actor::system("self-healing");
        let decided = match self.parts.gate.judge_step(None, &first, &plan.intent, &requester, &context, now) {
            Ok(decided) => decided,
            Err(Nobody::Held(hold)) => return Ok(Begun::Held(Some(Box::new(first)), reason(hold.by))),
            Err(Nobody::Never(because)) => return Err(because.into()),
        };
        // How many there are is somebody else's to say for now.
        if remedy.action.scales() && self.parts.drive.is_changing(&remedy.component) {
            return Ok(Begun::Held(Some(Box::new(first)), HoldReason::Busy));
        }
        let terms = self.terms(&decided, &first, covered && mode == Mode::Auto, now)?;
        let approval = terms.as_ref().map(|terms| terms.approval.clone());
        // Where people are asked, nothing rests on what was agreed to beforehand.
        let mut drawn = draw.filter(|_| approval.is_none());
        let mut batch = Batch::default();
        if let Some(draw) = &mut drawn {
            batch = draw.cite(remedy, &first.resource, now);
            context.standing = Some(draw.id());
        }
        let chance = self.parts.journal.chance();
        let seed = seed(chance);
        let freshness = u64::try_from(self.parts.config.bounds.freshness.as_millis()).unwrap_or(u64::MAX);
        let submission = Submission {
            gate: RunGate { approval: terms, window_opens_at: None },
            // One that is held for longer would act on what was seen too long ago: it fails, and is thought of anew.
            options: Options { start_timeout_ms: freshness, ..Options::new(OnFailure::Stop, seed) },
            parent: None,
            plan: Arc::new(plan),
            requester,
            run: RunId::mint(now.millis(), chance),
            world: world_digest(&world),
        };
        let run = match self.parts.drive.begin(submission, context, &self.cause_of(remedy), batch).await {
            Ok(run) => run,
            Err(DriveError::Commit { cause, .. }) if drawn.as_ref().is_some_and(|draw| draw.overtaken(&cause)) => {
                return Err(NotBegun::Overtaken);
            }
            Err(DriveError::Busy { .. } | DriveError::Unsettled { .. }) => {
                return Ok(Begun::Held(Some(Box::new(first)), HoldReason::Busy));
            }
            Err(error) => return Err(error_chain(&error).into()),
        };
        if let Some(draw) = drawn {
            draw.drawn(now);
        }
        Ok(approval.map_or_else(|| Begun::Run(run.clone()), |approval| Begun::Waits(run.clone(), approval)))
    }

    /// Whom to ask before it may begin; none when policy allows it and it was agreed to.
    fn terms(
        &self,
        decided: &Decided,
        first: &Step,
        agreed: bool,
        now: Timestamp,
    ) -> Result<Option<ApprovalTerms>, NotBegun> {
        let verdict = &decided.judgement.verdict;
        if verdict.decision == Decision::Deny {
            let because = verdict.findings.first().map(ToString::to_string);
            return Err(because.unwrap_or_else(|| format!("policy denies it on `{}`", first.resource)).into());
        }
        let mut needs = verdict.quorums();
        if needs.is_empty() && !agreed {
            // Nobody agreed to it beforehand, or it is only to be proposed: a person is asked.
            needs.insert(self.parts.approvers.clone(), 1);
        }
        let approval = ApprovalId::mint(now.millis(), self.parts.journal.chance());
        Ok(ApprovalTerms::of(needs, approval, decided.digest, now.plus(APPROVAL_SPAN)))
    }

    /// The remedy's steps on the world as it is.
    async fn plan(&self, remedy: &Remedy) -> Result<(World, Plan), String> {
        let Parts { provider, plan, zones, .. } = &self.parts;
        let world = provider.observe(&remedy.component).await.map_err(|error| error_chain(&error))?;
        // What a change that is under way has taken away is not made again.
        let changing = self.parts.drive.is_changing(&remedy.component);
        let expected = if changing { &BTreeSet::new() } else { &self.expected };
        let view = component_view(&remedy.component, plan, zones, &world, expected);
        let head = PlanHead {
            intent: plan.intent.clone(),
            intent_digest: plan.intent_digest,
            intent_version: plan.intent_version,
            world: world_digest(&world),
        };
        let plan = remedy.plan(&view, head).map_err(|error| error_chain(&error))?;
        Ok((world, plan))
    }

    fn remedy_facts(&self, remedy: &Remedy, mode: Mode, standing: bool, now: Timestamp) -> Value {
        json!({
            "incident": remedy.incident.as_ref().map_or("none", |incident| incident.as_str()),
            "attempt": remedy.attempt,
            "attempts_last_hour": self.parts.attempts.within(COUNTED, now),
            "component_attempts_last_hour": self.heal.attempts_within(COUNTED, now),
            "healthy_instances": remedy.blast.healthy,
            "total_instances": remedy.blast.total,
            "affected_instances": remedy.blast.affected,
            "standing_approval": standing,
            "mode": mode.word(),
        })
    }
}

/// What a remedy does something to, as steps name it.
pub(crate) fn targets_of(remedy: &Remedy) -> Vec<String> {
    remedy.targets.iter().map(|target| format!("{}/{}", remedy.component, target.instance)).collect()
}

fn reason(by: HeldBy) -> HoldReason {
    match by {
        HeldBy::KillSwitch => HoldReason::KillSwitch,
        HeldBy::Breaker => HoldReason::Breaker,
        HeldBy::Busy => HoldReason::Busy,
        HeldBy::NoAgent | HeldBy::Throttle | HeldBy::Window => HoldReason::NoAgent,
    }
}

/// Why a remedy did not begin.
enum NotBegun {
    /// Somebody drew on the standing approval meanwhile, or took it back: it is looked at again.
    Overtaken,
    /// It is not allowed.
    Denied(String),
}

impl From<String> for NotBegun {
    fn from(because: String) -> Self {
        Self::Denied(because)
    }
}

/// Slots of a component with the parameters that made them, or would make those that should be there and are not; and those that
/// would be used next, up to a hundred.
pub(crate) fn component_view(
    component: &ComponentId,
    plan: &Plan,
    zones: &[String],
    world: &World,
    expected: &BTreeSet<String>,
) -> ComponentView {
    let template = instances(plan).next();
    let prefix = format!("{component}/");
    let there: BTreeMap<&str, &Value> = world
        .resources
        .iter()
        .filter_map(|(name, document)| Some((name.strip_prefix(&prefix)?, document)))
        .filter(|(slot, _)| slot.starts_with("i-"))
        .collect();
    let slot = |name: &str, seen: Option<&Value>| template.map(|template| slot_of(template, zones, name, seen));
    let names: BTreeSet<&str> = there.keys().copied().chain(expected.iter().map(String::as_str)).collect();
    let slots = names.iter().filter_map(|name| slot(name, there.get(name).copied())).collect();
    let free = (1..=100).map(|number| format!("i-{number}")).filter(|name| !names.contains(name.as_str()));
    let spare = free.filter_map(|name| slot(&name, None)).collect();
    let before = plan.steps.iter().find(|step| step.verb == "balancer.ensure");
    let balancer = before.and_then(|step| Some((step.resource.rsplit_once('/')?.1.to_owned(), step.params.clone())));
    ComponentView { component: component.clone(), slots, spare, balancer }
}

fn slot_of(template: &Step, zones: &[String], name: &str, seen: Option<&Value>) -> Slot {
    let mut params = template.params.clone();
    let number: usize = name.trim_start_matches("i-").parse().unwrap_or(1);
    if let Value::Object(fields) = &mut params {
        if let Some(zone) = zones.get(number.saturating_sub(1) % zones.len().max(1)) {
            fields.insert("zone".into(), json!(zone));
        }
        for (key, value) in fields.iter_mut() {
            // The provider chose the port, and keeps what the environment holds to itself.
            if let Some(found) = seen.and_then(|seen| seen.get(key)).filter(|_| key != "port" && key != "env") {
                *value = found.clone();
            }
        }
        fields.insert("slot".into(), json!(name));
    }
    let generation = seen.and_then(|seen| seen.get("generation")?.as_u64()).unwrap_or(0);
    let drain = params.get("drain_ms").cloned().unwrap_or(json!(5_000));
    let removal = json!({"component": params.get("component"), "slot": name, "drain_ms": drain});
    Slot { generation, instance: name.to_owned(), params, removal }
}
