//! An intent on its way in: read, judged, solved, judged again, held against contracts, and begun as a run. Everything up to
//! the run is a plain computation that `plan` shows and `submit` records.

use crate::approvals::Principal;
use crate::commit::CommitError;
use crate::context::{Origin, RunContext};
use crate::decided::{Asked, Decided};
use crate::drive::DriveError;
use crate::facts;
use crate::gate::{APPROVAL_SPAN, Nobody};
use crate::grant::Barred;
use crate::holding::HOLDING;
use crate::journal::seed;
use crate::pipeline::Pipeline;
use crate::prepared::Prepared;
use crate::recommendation::RECOMMENDATION;
use crate::scope::scope_of;
use crate::submission::{Ground, Offer, Word, is_live};
use crate::tokens::PRINCIPAL;
use crate::under_way::UnderWay;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use writ_automation::{ApprovalTerms, Gate as RunGate, OnFailure, Options, Submission};
use writ_contracts::{Report, Subject, check};
use writ_core::{
    Actor, ApprovalId, ComponentId, Decision, Digest, IntentId, LedgerError, Plan, ProviderError, RunId, Stage, Step,
};
use writ_intent::{
    Diff, Infeasible, Manifest, State, TranslateError, drift, infeasible_document, plan, read_manifest, stream,
    translate, world_digest,
};
use writ_policy::Bundle;
use writ_text::Problem;

/// How often something is worked out anew because what it is about moved meanwhile.
pub(crate) const OVERTAKEN_MAX: u32 = 3;

/// How long a step may be held, by a window, a rate limit or a kill switch, before its run fails: every window of the day
/// comes round in that time.
pub(crate) const HELD_MS_MAX: u64 = 25 * 3_600 * 1_000;

/// Why an intent does not get through the door.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The manifest is not sound.
    #[error("the manifest has {}", writ_text::problems(.0.len()))]
    Invalid(Vec<Problem>),
    /// Nothing holds everything it asks.
    #[error("nothing holds everything that `{intent}` asks")]
    Infeasible {
        /// The intent.
        intent: IntentId,
        /// Conflicts and fixes, as a document.
        report: Value,
        /// The same for a terminal.
        text: String,
    },
    /// Policy or contracts say no.
    #[error("`{intent}` is denied")]
    Denied {
        /// The intent.
        intent: IntentId,
        /// What was worked out, with the reports that say why.
        prepared: Box<Prepared>,
    },
    /// It waits for people, or is being carried out right now.
    #[error("`{intent}` {under_way}, and takes no new version until that is over")]
    Busy {
        /// The intent.
        intent: IntentId,
        /// What is being done with it.
        under_way: UnderWay,
    },
    /// Another intent brought the component up, and two cannot decide about one.
    #[error("`{component}` belongs to `{owner}`, which is {state}; `{intent}` cannot have it too")]
    Taken {
        /// The intent.
        intent: IntentId,
        /// What it wants.
        component: ComponentId,
        /// Whose it is.
        owner: IntentId,
        /// Where that one stands.
        state: &'static str,
    },
    /// The intent has another component, which would be nobody's.
    #[error("`{intent}` has `{held}`, and a new version of it cannot have `{component}` instead")]
    Bound {
        /// The intent.
        intent: IntentId,
        /// What it wants.
        component: ComponentId,
        /// What it has.
        held: ComponentId,
    },
    /// Whoever asks may not, for that team or in that environment.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// What was planned is no longer what would be done.
    #[error("the plan {planned} is stale; it would now be {found}")]
    Stale {
        /// The plan that was approved.
        planned: Digest,
        /// The plan as it would be now.
        found: Digest,
    },
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

impl SubmitError {
    /// Whether nothing was recorded because what it was decided on had moved: the intent, whose its component is, the word that it
    /// was submitted on, or what whoever gave that may.
    pub(crate) fn overtook(&self, intent: &IntentId) -> bool {
        let others = [HOLDING, RECOMMENDATION, PRINCIPAL];
        let moved = |moved: &str| moved == stream(intent) || others.iter().any(|other| moved.starts_with(other));
        let stale = |error: &CommitError| matches!(error, CommitError::Stale { stream, .. } if moved(stream));
        match self {
            SubmitError::Commit(error) => stale(error),
            SubmitError::Drive(DriveError::Commit { cause, .. }) => stale(cause),
            SubmitError::Drive(DriveError::NotLive { .. } | DriveError::Refused { .. }) => false,
            SubmitError::Drive(DriveError::Read { .. } | DriveError::Busy { .. } | DriveError::Unsettled { .. }) => {
                false
            }
            SubmitError::Invalid(_) | SubmitError::Infeasible { .. } | SubmitError::Denied { .. } => false,
            SubmitError::Busy { .. } | SubmitError::Taken { .. } | SubmitError::Bound { .. } => false,
            SubmitError::Stale { .. } => false,
            SubmitError::Barred(_) | SubmitError::Provider(_) | SubmitError::Ledger(_) => false,
        }
    }
}

/// What policy knows a plan as a whole by.
pub(crate) struct Whole<'a> {
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) verb: &'a str,
}

/// What came of a submission.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// What was worked out.
    pub prepared: Prepared,
    /// The run that carries it out; none when nothing has to change.
    pub run: Option<RunId>,
}

/// The role that lets somebody ask for a run: a recommendation is approved, everything else is ordered.
pub(crate) fn role_to_ask(origin: Origin) -> &'static str {
    if origin == Origin::Feedback { "approver" } else { "operator" }
}

impl Pipeline {
    /// Works out what an intent would do, and changes nothing.
    ///
    /// # Errors
    /// When the manifest is unsound, nothing holds it, or the world cannot be looked at. A denial is not an error here.
    pub async fn prepare(&self, file: &str, text: &[u8], by: &Principal) -> Result<Prepared, SubmitError> {
        self.prepare_under(None, file, text, by).await
    }

    /// As [`Pipeline::prepare`], as it would be if other policies were in force, where some are given.
    ///
    /// # Errors
    /// As [`Pipeline::prepare`].
    pub async fn prepare_under(
        &self,
        under: Option<&Arc<Bundle>>,
        file: &str,
        text: &[u8],
        by: &Principal,
    ) -> Result<Prepared, SubmitError> {
        self.prepare_manifest(read_manifest(file, text).map_err(SubmitError::Invalid)?, by, None, under).await
    }

    /// As [`Pipeline::prepare`], for a manifest that was read; `version` is one that there is already.
    pub(crate) async fn prepare_manifest(
        &self,
        manifest: Manifest,
        by: &Principal,
        version: Option<u64>,
        under: Option<&Arc<Bundle>>,
    ) -> Result<Prepared, SubmitError> {
        let platform = self.platform();
        let by = &by.within(&scope_of(&manifest.intent));
        let problems = manifest.check(&platform);
        if !problems.is_empty() {
            return Err(SubmitError::Invalid(problems));
        }
        let (intent, now) = (&manifest.intent, self.journal().now());
        let version = match version {
            Some(version) => version,
            None => self.latest_version(&intent.id).await? + 1,
        };
        let maintenance = self.gate().state().maintenance;
        let intent_facts = facts::intent(intent, &platform, by, maintenance, now);
        let resource = intent.id.as_str();
        let places = facts::places(&manifest);
        let facts = intent_facts.clone();
        let asked = Asked { stage: Stage::Intent, action: "submit_intent", resource, facts, places: &places };
        let first = self.gate().judge(under, asked, now);
        let mut prepared = Prepared {
            decision: first.judgement.verdict.decision.clone(),
            reports: vec![first.judgement.validation()],
            judged: vec![(Stage::Intent, first)],
            contract_report: None,
            contracts: None,
            diff: None,
            target: None,
            translation: None,
            version,
            warnings: Vec::new(),
            manifest,
        };
        if prepared.decision == Decision::Deny {
            return Ok(prepared);
        }
        self.solve(&mut prepared, &intent_facts, by, under).await?;
        Ok(prepared)
    }

    /// Solves a manifest that policy lets in, and asks policy and contracts about the solution.
    async fn solve(
        &self,
        prepared: &mut Prepared,
        intent_facts: &Value,
        by: &Principal,
        under: Option<&Arc<Bundle>>,
    ) -> Result<(), SubmitError> {
        let (intent, platform, now) = (prepared.manifest.intent.clone(), self.platform(), self.journal().now());
        let translation = match translate(&intent, &platform) {
            Ok(translation) => translation,
            Err(TranslateError::Infeasible(infeasible)) => return Err(self.infeasible(&intent.id, &infeasible)),
            Err(TranslateError::Misfit(_)) => return Err(SubmitError::Invalid(prepared.manifest.check(&platform))),
        };
        self.may_hold(&intent.id, &translation.component).await?;
        let world = self.provider().observe(&translation.component).await?;
        let target = plan(&intent, &platform, &translation, prepared.version, world_digest(&world));
        let diff = drift(&target, &world);
        let plan_facts = facts::plan(intent_facts, &intent, &platform, &diff.plan, &translation);
        let places = facts::places(&prepared.manifest);
        let (resource, facts) = (intent.id.as_str(), plan_facts);
        let asked = Asked { stage: Stage::Plan, action: "apply_plan", resource, facts, places: &places };
        let second = self.gate().judge(under, asked, now);
        let report = self.contracts_of(&target);
        prepared.decision = prepared.decision.clone().max(second.judgement.verdict.decision.clone());
        if !report.is_verified() {
            prepared.decision = Decision::Deny;
        }
        prepared.reports.push(second.judgement.validation());
        prepared.judged.push((Stage::Plan, second));
        prepared.contracts = Some(report.document());
        prepared.contract_report = Some(Arc::new(report));
        self.judge_actions(prepared, &translation.component, &diff.plan, by, under);
        prepared.translation = Some(translation);
        prepared.target = Some(target);
        prepared.diff = Some(diff);
        Ok(())
    }

    /// Asks about the first step of each action, as the gate will when it is to start: what is denied now need not begin.
    fn judge_actions(
        &self,
        prepared: &mut Prepared,
        component: &ComponentId,
        plan: &Plan,
        by: &Principal,
        under: Option<&Arc<Bundle>>,
    ) {
        let context = RunContext {
            component: Some(component.clone()),
            environment: prepared.manifest.intent.target.environment.clone(),
            roles: by.roles.clone(),
            ..RunContext::default()
        };
        let by = Actor::human(&by.id);
        let mut first_denied = None;
        for judged in self.judge_firsts(plan, &by, &context, under) {
            match judged {
                Ok(decided) if first_denied.is_none() && is_denied(&decided) => first_denied = Some(decided),
                // As agents are now: a run would fail at the first of them.
                Err(Nobody::Never(because)) => prepared.warnings.push(format!("{because}; a run would fail there")),
                Ok(_) | Err(Nobody::Held(_)) => {}
            }
        }
        if let Some(denied) = first_denied {
            prepared.decision = Decision::Deny;
            prepared.reports.push(denied.judgement.validation());
            prepared.judged.push((Stage::Action, denied));
        }
    }

    /// Asks policy about a plan as a whole, under a name of its own, and then about the first step of each action, as the gate
    /// will when it is to start.
    ///
    /// # Errors
    /// Why nobody may do it.
    pub(crate) fn judge_whole(
        &self,
        whole: &Whole<'_>,
        plan: &Plan,
        context: &RunContext,
        requester: &Actor,
    ) -> Result<Decided, String> {
        let first = plan.steps.first().ok_or("it would do nothing")?;
        let step = Step {
            action_name: whole.action.to_owned(),
            resource: whole.resource.to_owned(),
            verb: whole.verb.to_owned(),
            ..first.clone()
        };
        let decided = self.gate().judge_step(None, &step, &plan.intent, requester, context, self.journal().now());
        let decided = decided.map_err(Nobody::because)?;
        if is_denied(&decided) {
            return Ok(decided);
        }
        Ok(self.first_denied(plan, requester, context, None).unwrap_or(decided))
    }

    /// What is said of the first of a plan's actions that is denied.
    pub(crate) fn first_denied(
        &self,
        plan: &Plan,
        requester: &Actor,
        context: &RunContext,
        under: Option<&Arc<Bundle>>,
    ) -> Option<Decided> {
        // What nobody can do now somebody may be able to do when it is due.
        self.judge_firsts(plan, requester, context, under).filter_map(Result::ok).find(is_denied)
    }

    /// What is said of the first step of each of a plan's actions, in the plan's order.
    fn judge_firsts(
        &self,
        plan: &Plan,
        requester: &Actor,
        context: &RunContext,
        under: Option<&Arc<Bundle>>,
    ) -> impl Iterator<Item = Result<Decided, Nobody>> {
        let (now, mut asked) = (self.journal().now(), BTreeSet::new());
        let firsts = plan.steps.iter().filter(move |step| asked.insert(&step.action_name));
        firsts.map(move |step| self.gate().judge_step(under, step, &plan.intent, requester, context, now))
    }

    fn infeasible(&self, intent: &IntentId, infeasible: &Infeasible) -> SubmitError {
        let platform = self.platform();
        SubmitError::Infeasible {
            intent: intent.clone(),
            report: infeasible_document(infeasible, &platform),
            text: writ_intent::infeasible_text(infeasible, &platform),
        }
    }

    fn contracts_of(&self, target: &Plan) -> Report {
        let names: Vec<String> = target.actions.iter().map(|action| format!("action/{}", action.action)).collect();
        let agents: Vec<String> =
            self.gate().state().roster.agents().map(|agent| format!("agent/{}", agent.id)).collect();
        let actions =
            names.iter().zip(&target.actions).map(|(name, action)| Subject { name, config: Some(&action.config) });
        let subjects: Vec<Subject<'_>> =
            actions.chain(agents.iter().map(|name| Subject { name, config: None })).collect();
        check(&self.setup().needs, &subjects, &self.contracts())
    }

    /// Submits an intent: records what was worked out, and begins the run. With `planned`, only if that is still the plan.
    ///
    /// # Errors
    /// As [`Pipeline::prepare`]; and when it is denied, which is recorded, or stale.
    pub async fn submit(
        &self,
        file: &str,
        text: &[u8],
        by: &Principal,
        planned: Option<Digest>,
        origin: Origin,
    ) -> Result<Accepted, SubmitError> {
        let manifest = &read_manifest(file, text).map_err(SubmitError::Invalid)?;
        let offer = Offer { manifest, text, by, word: &Word::default() };
        let mut tries = 0;
        loop {
            match self.submit_once(&offer, planned, origin).await {
                Err(error) if error.overtook(&manifest.intent.id) && tries < OVERTAKEN_MAX => tries += 1,
                submitted => return submitted,
            }
        }
    }

    /// Submits what is offered, unless it is overtaken.
    pub(crate) async fn submit_once(
        &self,
        offer: &Offer<'_>,
        planned: Option<Digest>,
        origin: Origin,
    ) -> Result<Accepted, SubmitError> {
        let (id, scope, role) = (&offer.manifest.intent.id, scope_of(&offer.manifest.intent), role_to_ask(origin));
        offer.by.must(role, &scope)?;
        // Read before the world is looked at: what was planned while an earlier version was being carried out is planned anew.
        let ground = self.ground(id).await?;
        if let Some(run) = self.drive().removal_of(id) {
            let under_way = self.under_way(ground.state.word(), Some(run), true).await;
            return Err(SubmitError::Busy { intent: id.clone(), under_way });
        }
        // Who takes something over from another team must be allowed to change it as it is, too.
        if let Some(standing) = self.scope_of_intent(id).await? {
            offer.by.must(role, &standing)?;
        }
        let by = &offer.by.within(&scope);
        self.try_submit(&Offer { by, ..*offer }, planned, origin, &ground).await
    }

    async fn try_submit(
        &self,
        offer: &Offer<'_>,
        planned: Option<Digest>,
        origin: Origin,
        ground: &Ground,
    ) -> Result<Accepted, SubmitError> {
        let mut cause = self.journal().new_cause();
        cause.event = offer.word.after.clone();
        let prepared = match self.prepare_manifest(offer.manifest.clone(), offer.by, None, None).await {
            Ok(prepared) => prepared,
            Err(SubmitError::Infeasible { intent, report, text: told }) => {
                self.record_infeasible(&cause, offer, &intent, &report, ground).await?;
                return Err(SubmitError::Infeasible { intent, report, text: told });
            }
            Err(error) => return Err(error),
        };
        if let (Some(planned), Some(found)) = (planned, prepared.digest())
            && planned != found
        {
            return Err(SubmitError::Stale { planned, found });
        }
        let intent = prepared.manifest.intent.id.clone();
        let denied = prepared.decision == Decision::Deny;
        let mut batch = self.opening(&prepared.manifest, prepared.version, offer, ground, denied).await?;
        self.record_judgements(&mut batch, &prepared, denied, !(denied && is_live(ground.state)));
        let Some(diff) = prepared.diff.as_ref().filter(|_| !denied) else {
            batch.drafts.extend_from_slice(&offer.word.refused);
            self.journal().commit(&cause, batch).await?;
            return Err(SubmitError::Denied { intent, prepared: Box::new(prepared) });
        };
        if let Some(translation) = &prepared.translation {
            self.hold(&mut batch, &intent, &translation.component).await?;
        }
        batch.drafts.extend_from_slice(&offer.word.accepted);
        let (submission, context) = self.submission(&prepared, diff, offer.by, origin);
        // While people are asked it is ready and no more, also when all that it asks for is there.
        let waits = submission.gate.approval.is_some();
        if diff.plan.steps.is_empty() && !waits {
            if let Some(translation) = &prepared.translation {
                self.drive().is_free(&translation.component, origin)?;
            }
            self.settle_unchanged(&mut batch, &prepared, offer);
            self.journal().commit(&cause, batch).await?;
            self.manage(&prepared.manifest.intent, &prepared.target, None).await;
            return Ok(Accepted { prepared, run: None });
        }
        let states: &[State] = if waits { &[State::Ready] } else { &[State::Ready, State::Executing] };
        self.moves(&mut batch, &prepared, states, State::Translated);
        let run = self.drive().begin(submission, context, &cause, batch).await?;
        if waits {
            self.attend_version(run.clone());
        }
        Ok(Accepted { prepared, run: Some(run) })
    }

    /// Whom policy wants asked before a plan may run.
    pub(crate) fn terms(&self, prepared: &Prepared) -> Option<ApprovalTerms> {
        let (_, decided) = prepared.judged.last()?;
        let now = self.journal().now();
        let id = ApprovalId::mint(now.millis(), self.journal().chance());
        ApprovalTerms::of(prepared.quorums(), id, decided.digest, now.plus(APPROVAL_SPAN))
    }

    fn submission(&self, prepared: &Prepared, diff: &Diff, by: &Principal, origin: Origin) -> (Submission, RunContext) {
        let now = self.journal().now();
        let approval = self.terms(prepared);
        let chance = self.journal().chance();
        let seed = seed(chance);
        let intent = &prepared.manifest.intent;
        let component = prepared.translation.as_ref().map(|translation| translation.component.clone());
        let submission = Submission {
            gate: RunGate { approval, window_opens_at: None },
            options: Options { start_timeout_ms: HELD_MS_MAX, ..Options::new(OnFailure::Compensate, seed) },
            parent: None,
            plan: Arc::new(diff.plan.clone()),
            requester: Actor::human(&by.id),
            run: RunId::mint(now.millis(), chance),
            world: diff.plan.world,
        };
        let context = RunContext {
            component,
            environment: intent.target.environment.clone(),
            origin,
            roles: by.roles.clone(),
            team: scope_of(intent).team,
            ..RunContext::default()
        };
        (submission, context)
    }
}

fn is_denied(decided: &Decided) -> bool {
    decided.judgement.verdict.decision == Decision::Deny
}
