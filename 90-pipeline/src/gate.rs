//! The gate: policy is asked, an agent is found, and only here is a permit signed. An agent that redeems one comes back here
//! before it reaches a provider.

use crate::commit::Expect;
use crate::context::RunContext;
use crate::decided::{Asked, Decided};
use crate::facts::{About, action_facts};
use crate::glass::Glasses;
use crate::obligation::{Granted, Unmet, channels, honour};
use crate::safety::Safety;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use writ_agents::{
    Agent, AgentState, GateView, KILL_SWITCH_STREAM, KillSwitches, Need, NoAgent, RedeemRefused, Roster, TicketMove,
    TicketOrder, Tickets, Unfit, Usage, assign, redeem,
};
use writ_automation::{
    ApprovalTerms, Ask, BreakerKey, BreakerMoved, Breakers, Deed, Grant, HeldBy, Hold, Leg, Run, Signal,
};
use writ_core::{
    AgentId, ApprovalId, Decision, Digest, Effect, EffectKey, Entropy, Finding, Permit, PermitId, Redemption, RuleId,
    SealedPermit, Severity, Signer, TicketId, Timestamp,
};
use writ_policy::{Bundle, EXCEPTIONS_STREAM, Waiver};
use writ_seal::{canonical, seal_permit, sha256, sign_redemption};

/// How much longer than the step's own timeout a lease lasts, so that a late outcome is told apart from a lost one.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// How long people have to answer when policy asks for them.
pub(crate) const APPROVAL_SPAN: Duration = Duration::from_secs(24 * 3_600);

/// When a step that nobody may do right now is asked for again.
pub(crate) const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The stream of policy sets, which every decision has read.
pub const POLICY_STREAM: &str = "policy/set";

/// What the gate granted for one step: everything that carrying it out needs.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Who may do it.
    pub agent: AgentId,
    /// The policy decision, as canonical bytes: facts, verdict, digests of bundle and engine.
    pub decision: Vec<u8>,
    /// The epoch.
    pub epoch: u64,
    /// The broken glass that it passes by instead of people's agreement, and the action's name.
    pub glass: Option<(ApprovalId, String)>,
    /// The idempotency key.
    pub key: EffectKey,
    /// Channels whose people policy wants told.
    pub notify: Vec<String>,
    /// The verb's parameters.
    pub params: Value,
    /// The signed order.
    pub permit: SealedPermit,
    /// What it is done to.
    pub resource: String,
    /// The step.
    pub step: writ_core::StepKey,
    /// The ticket.
    pub ticket: TicketId,
    /// The provider's verb.
    pub verb: String,
}

/// What the gate knows of the world around it; all of it is the fold of entries.
pub struct GateState {
    /// The policies in force.
    pub bundle: Arc<Bundle>,
    /// Version of the stream that they were read from.
    pub policy_version: u64,
    /// The agents.
    pub roster: Roster,
    /// Kill switches.
    pub switches: KillSwitches,
    /// Version of the stream that they were read from.
    pub switch_version: u64,
    /// Tickets and the newest epoch of each resource.
    pub tickets: Tickets,
    /// Whether changes are frozen.
    pub maintenance: bool,
    /// Waivers that were granted and not taken back.
    pub waivers: Arc<[Waiver]>,
    /// Version of the stream that the two were read from.
    pub exceptions_version: u64,
    /// Circuit breakers.
    pub breakers: Breakers,
    pub(crate) glasses: Glasses,
    usage: BTreeMap<AgentId, Usage>,
    pub(crate) granted: Granted,
}

impl GateState {
    /// A gate that knows its policies and agents and has granted nothing before now.
    #[must_use]
    pub fn new(bundle: Arc<Bundle>, roster: Roster, now: Timestamp) -> Self {
        Self {
            bundle,
            policy_version: 0,
            roster,
            switches: KillSwitches::default(),
            switch_version: 0,
            tickets: Tickets::new(),
            maintenance: false,
            waivers: Arc::default(),
            exceptions_version: 0,
            breakers: Breakers::default(),
            glasses: Glasses::default(),
            usage: BTreeMap::new(),
            granted: Granted::none(now),
        }
    }

    /// Takes in the safety streams as they were read from the journal, each unless it knows a newer version.
    pub(crate) fn learn(&mut self, safety: Safety) {
        if safety.switch_version >= self.switch_version {
            (self.switches, self.switch_version) = (safety.switches, safety.switch_version);
        }
        if safety.exceptions_version >= self.exceptions_version {
            self.maintenance = safety.exceptions.maintenance();
            self.waivers = safety.exceptions.granted().into();
            self.exceptions_version = safety.exceptions_version;
        }
        self.glasses.learn(safety.glasses);
    }
}

/// See the module.
pub struct Gate {
    signer: Arc<dyn Signer>,
    entropy: Arc<dyn Entropy>,
    /// Keys of agents that live in this process.
    agents: HashMap<AgentId, Arc<dyn Signer>>,
    /// The name of the provider that effects are done by.
    provider: String,
    state: Mutex<GateState>,
    /// Whether nothing is granted any more: the process is about to end.
    resting: AtomicBool,
}

impl Gate {
    /// A gate that signs with this key.
    #[must_use]
    pub fn new(
        signer: Arc<dyn Signer>,
        entropy: Arc<dyn Entropy>,
        agents: HashMap<AgentId, Arc<dyn Signer>>,
        provider: &str,
        state: GateState,
    ) -> Self {
        Self {
            signer,
            entropy,
            agents,
            provider: provider.to_owned(),
            state: Mutex::new(state),
            resting: AtomicBool::new(false),
        }
    }

    /// Grants nothing from now on. Steps that ask stay ready, and ask again when their run is taken up.
    pub(crate) fn rest(&self) {
        self.resting.store(true, Ordering::Release);
    }

    /// What the gate knows.
    pub fn state(&self) -> MutexGuard<'_, GateState> {
        // Whoever panicked with it changed one field at a time; each change is complete in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The safety streams that a grant has read: another version of them voids it.
    #[must_use]
    pub fn expects(&self) -> Vec<Expect> {
        let state = self.state();
        vec![
            Expect { stream: POLICY_STREAM.into(), version: state.policy_version },
            Expect { stream: KILL_SWITCH_STREAM.into(), version: state.switch_version },
            Expect { stream: EXCEPTIONS_STREAM.into(), version: state.exceptions_version },
        ]
    }

    /// Judges facts at a stage by the policies in force, or by others, and keeps what the judgement rests on.
    pub(crate) fn judge(&self, under: Option<&Arc<Bundle>>, asked: Asked<'_>, now: Timestamp) -> Decided {
        let (bundle, waivers) = {
            let state = self.state();
            (under.unwrap_or(&state.bundle).clone(), state.waivers.clone())
        };
        Decided::by(&bundle, &waivers, asked, now)
    }

    /// Judges a step before its run begins, as it will be judged again when it asks for its permit.
    ///
    /// # Errors
    /// When no agent may do it, now or ever.
    pub(crate) fn judge_step(
        &self,
        under: Option<&Arc<Bundle>>,
        step: &writ_core::Step,
        intent: &writ_core::IntentId,
        requester: &writ_core::Actor,
        context: &RunContext,
        now: Timestamp,
    ) -> Result<Decided, Nobody> {
        let need = Need { action: &step.action_name, permission: &step.permission, resource: &step.resource };
        let (agent, maintenance) = {
            let state = self.state();
            let found = assign(&need, &state.roster, &state.usage, &state.switches, |agent| self.lives(agent), now)
                .map_err(Nobody::from)?;
            let gone = || Nobody::Never(format!("agent `{}` is gone", found.agent));
            if let Some((hold, _)) = self.broken(&state, &step.verb, now) {
                return Err(Nobody::Held(hold));
            }
            (state.roster.get(&found.agent).cloned().ok_or_else(gone)?, state.maintenance)
        };
        let about = About {
            action: &step.action_name,
            class: step.class,
            permission: &step.permission,
            resource: &step.resource,
            verb: &step.verb,
            intent,
            requester,
            run: None,
        };
        let facts = action_facts(&about, &agent, context, maintenance, now);
        Ok(self.judge(under, Asked::of_action(&step.action_name, &step.resource, facts), now))
    }

    /// Whether an agent's key is here, so that it can redeem what it is given.
    #[must_use]
    pub fn lives(&self, agent: &Agent) -> bool {
        let key = self.agents.get(&agent.id).map(|key| Digest(key.public_key()).hex());
        key.is_some_and(|key| key.eq_ignore_ascii_case(&agent.public_key))
    }

    /// What keeps everybody from a step for now; none when somebody may do it, or nobody ever.
    pub(crate) fn stands_before(&self, step: &writ_core::Step, now: Timestamp) -> Option<Hold> {
        let need = Need { action: &step.action_name, permission: &step.permission, resource: &step.resource };
        let state = self.state();
        match assign(&need, &state.roster, &state.usage, &state.switches, |agent| self.lives(agent), now)
            .map_err(Nobody::from)
        {
            Err(Nobody::Held(hold)) => Some(hold),
            Ok(_) => self.broken(&state, &step.verb, now).map(|(hold, _)| hold),
            Err(Nobody::Never(_)) => None,
        }
    }

    /// Why nobody tries a verb for now, and until when.
    fn broken(&self, state: &GateState, verb: &str, now: Timestamp) -> Option<(Hold, Timestamp)> {
        let until = state.breakers.open_until(&BreakerKey::new(&self.provider, verb), now)?;
        let because = format!("`{verb}` failed again and again at `{}`; it is tried again at {until}", self.provider);
        Some((Hold { because, by: HeldBy::Breaker }, until))
    }

    /// What an answer of the provider means for its breaker: to be recorded, and then applied.
    pub(crate) fn heard(&self, deed: &Deed<'_>, worked: bool, now: Timestamp) -> Option<BreakerMoved> {
        self.state().breakers.heard(&BreakerKey::new(&self.provider, deed.verb), deed.resource, worked, now)
    }

    /// Answers a run that wants to start a step. What is granted is added to `issued`.
    pub fn answer(
        &self,
        run: &Run,
        ask: &Ask,
        context: &RunContext,
        now: Timestamp,
        issued: &mut Vec<Issued>,
    ) -> Option<Signal> {
        if self.resting.load(Ordering::Acquire) {
            return None;
        }
        let step = ask.step.clone();
        let deed = run.deed(&ask.step, ask.leg)?;
        let undone = format!("undo_{}", deed.action);
        let deed = match ask.leg {
            Leg::Do => deed,
            // Taking back is an action of its own: a policy may allow the one and not the other.
            Leg::Undo => Deed { action: &undone, ..deed },
        };
        let need = Need { action: deed.action, permission: deed.permission, resource: deed.resource };
        let found = {
            let state = self.state();
            assign(&need, &state.roster, &state.usage, &state.switches, |agent| self.lives(agent), now)
                .map(|assignment| state.roster.get(&assignment.agent).cloned())
        };
        let agent = match found {
            Ok(Some(agent)) => agent,
            Ok(None) => return None,
            Err(none) => return Some(refused(none.into(), step, now)),
        };
        let submitted = run.submitted();
        let about = About {
            action: deed.action,
            class: deed.class,
            permission: deed.permission,
            resource: deed.resource,
            verb: deed.verb,
            intent: &submitted.intent,
            requester: &submitted.requester,
            run: Some(run.id()),
        };
        let facts = action_facts(&about, &agent, context, self.state().maintenance, now);
        let decided = self.judge(None, Asked::of_action(deed.action, deed.resource, facts), now);
        let verdict = &decided.judgement.verdict;
        if verdict.decision == Decision::Deny {
            return Some(Signal::PermitDenied { findings: decided.judgement.verdict.findings, step });
        }
        let quorums = verdict.quorums();
        let agreed = ask.approval.as_ref().or_else(|| agreed_before(run, context));
        let asks = !quorums.is_empty() && !agreed.is_some_and(|terms| terms.cover(&quorums));
        let passes = || {
            let done = std::iter::once((deed.action, deed.resource));
            Some((self.state().glasses.covering(about.requester, done, now)?, deed.action.to_owned()))
        };
        let glass = if asks { passes() } else { None };
        if asks && glass.is_none() {
            // What people agreed to before policy asked for more does not count.
            let approval = ApprovalId::mint(now.millis(), self.chance());
            let terms = ApprovalTerms::of(quorums, approval, decided.digest, now.plus(APPROVAL_SPAN));
            if let Some(terms) = terms {
                return Some(Signal::PermitNeedsApproval { step, terms });
            }
        }
        let met = honour(&verdict.obligations, deed.action, deed.resource, &self.state().granted, now);
        match met {
            Ok(()) => {}
            Err(Unmet::Held { hold, until }) => return Some(Signal::PermitHeld { hold, step, until }),
            Err(Unmet::Never(because)) => {
                return Some(Signal::PermitDenied { findings: vec![finding("obligation", because)], step });
            }
        }
        let timeout = run.step(&ask.step).map_or(60_000, |(step, _)| step.timeout_ms);
        let lease_until = now.plus(Duration::from_millis(timeout) + LEASE_MARGIN);
        {
            let mut state = self.state();
            if let Some((hold, until)) = self.broken(&state, deed.verb, now) {
                return Some(Signal::PermitHeld { hold, step, until });
            }
            state.breakers.tried(&BreakerKey::new(&self.provider, deed.verb), lease_until);
        }
        Some(self.grant(run, ask, &deed, &agent, decided, glass, lease_until, now, issued))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "everything a permit is signed over comes together here and nowhere else"
    )]
    fn grant(
        &self,
        run: &Run,
        ask: &Ask,
        deed: &Deed<'_>,
        agent: &Agent,
        decided: Decided,
        glass: Option<(ApprovalId, String)>,
        lease_until: Timestamp,
        now: Timestamp,
        issued: &mut Vec<Issued>,
    ) -> Signal {
        let step = ask.step.clone();
        let ticket = TicketId::mint(now.millis(), self.chance());
        let order = TicketOrder {
            action: deed.action.to_owned(),
            agent: agent.id.clone(),
            decision: decided.digest,
            effect: ask.effect_key.clone(),
            lease_until,
            permission: deed.permission.clone(),
            resource: deed.resource.to_owned(),
            run: run.id().clone(),
            step: step.clone(),
            verb: deed.verb.to_owned(),
        };
        let epoch = {
            let mut state = self.state();
            state.usage.entry(agent.id.clone()).or_default().given(deed.resource, now);
            state.granted.add(now, deed.action, deed.resource);
            state.tickets.issue_started(ticket.clone(), order, ask.epoch).epoch
        };
        let params = canonical(deed.params).map(|bytes| sha256(&bytes));
        let permit = |params| Permit {
            action: deed.verb.to_owned(),
            agent: agent.id.clone(),
            agent_key: agent.public_key.clone(),
            decision: decided.digest,
            effect: ask.effect_key.clone(),
            epoch,
            expires_at: lease_until,
            id: PermitId::mint(now.millis(), self.chance()),
            issued_at: now,
            params,
            resource: deed.resource.to_owned(),
            ticket: ticket.clone(),
        };
        let sealed = params.map_err(|error| error.to_string()).map(permit).and_then(|permit| {
            let sealed = seal_permit(&permit, &*self.signer).map_err(|error| error.to_string())?;
            Ok((permit, sealed))
        });
        let (permit, sealed) = match sealed {
            Ok(both) => both,
            Err(because) => {
                self.finish(&ticket, &agent.id, TicketMove::Revoke);
                return Signal::PermitDenied { findings: vec![finding("gate", because)], step };
            }
        };
        issued.push(Issued {
            agent: agent.id.clone(),
            decision: decided.bytes,
            epoch,
            glass,
            key: ask.effect_key.clone(),
            notify: channels(&decided.judgement.verdict.obligations),
            params: deed.params.clone(),
            permit: sealed.clone(),
            resource: deed.resource.to_owned(),
            step: step.clone(),
            ticket: ticket.clone(),
            verb: deed.verb.to_owned(),
        });
        let permit_digest = sha256(sealed.0.as_bytes());
        let agent = agent.id.clone();
        Signal::PermitGranted(Grant { agent, epoch, lease_until, permit: permit.id, permit_digest, step, ticket })
    }

    /// The agent's own move: it proves that it holds the permit's key, and the gate checks everything once more, for the
    /// kill switch may have been pulled or the ticket taken away since.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn redeem(&self, issued: &Issued, now: Timestamp) -> Result<Effect, RedeemRefused> {
        let unknown = || RedeemRefused::UnknownAgent { agent: issued.agent.clone() };
        let key = self.agents.get(&issued.agent).ok_or_else(unknown)?;
        let mut nonce = [0; 16];
        self.entropy.fill(&mut nonce);
        let redemption =
            sign_redemption(&issued.permit, &issued.key, issued.epoch, nonce, &**key).map_err(|_| unknown())?;
        self.redeem_signed(issued, redemption, now)
    }

    /// What every agent, in this process or another, goes through.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn redeem_signed(
        &self,
        issued: &Issued,
        redemption: Redemption,
        now: Timestamp,
    ) -> Result<Effect, RedeemRefused> {
        let effect = Effect {
            epoch: issued.epoch,
            key: issued.key.clone(),
            params: issued.params.clone(),
            permit: issued.permit.clone(),
            redemption,
            resource: issued.resource.clone(),
            verb: issued.verb.clone(),
        };
        self.check(&effect, now)?;
        Ok(effect)
    }

    /// Checks an effect that an agent asks for, and uses its nonce up.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn check(&self, effect: &Effect, now: Timestamp) -> Result<Permit, RedeemRefused> {
        let gate_key = self.signer.public_key();
        let mut state = self.state();
        let GateState { roster, switches, tickets, .. } = &mut *state;
        let view = GateView { gate_key: &gate_key, roster, switches, tickets };
        let permit = redeem(effect, &view, now)?;
        tickets.use_nonce(&permit.ticket, &effect.redemption.nonce);
        Ok(permit)
    }

    /// A ticket is over.
    pub(crate) fn finish(&self, ticket: &TicketId, agent: &AgentId, how: TicketMove) {
        let mut state = self.state();
        // One that was superseded meanwhile stays so.
        if state.tickets.move_on(ticket, how).is_ok()
            && let Some(usage) = state.usage.get_mut(agent)
        {
            usage.over();
        }
    }

    fn chance(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.entropy.fill(&mut bytes);
        bytes
    }
}

/// What people agreed to for a remedy or an outside change as a whole before it began: they were shown every step of it.
fn agreed_before<'a>(run: &'a Run, context: &RunContext) -> Option<&'a ApprovalTerms> {
    // Another plan of the same run was not shown.
    let shown = (context.remedy.is_some() || context.outside.is_some()) && run.revision() == 1;
    run.submitted().gate.approval.as_ref().filter(|_| shown)
}

/// A finding of the gate's own, where no rule stands behind it.
pub(crate) fn finding(rule: &str, message: String) -> Finding {
    #[expect(clippy::expect_used, reason = "the two names given are ids")]
    let rule: RuleId = rule.parse().expect("a rule id");
    Finding {
        at: None,
        message,
        asks: Decision::Deny,
        rule,
        rule_at: None,
        severity: Severity::High,
        values: Vec::new(),
        waived_by: None,
    }
}

/// Why nobody may do a step.
pub(crate) enum Nobody {
    /// It passes: a kill switch is released, a quota runs out.
    Held(Hold),
    /// Not until somebody changes the roster.
    Never(String),
}

impl Nobody {
    /// Why, in words.
    pub(crate) fn because(self) -> String {
        match self {
            Nobody::Held(hold) => hold.because,
            Nobody::Never(because) => because,
        }
    }
}

impl From<NoAgent> for Nobody {
    fn from(none: NoAgent) -> Self {
        let stopped = none.why.iter().any(|(_, unfit)| matches!(unfit, Unfit::Stopped(_)));
        let by = if stopped { HeldBy::KillSwitch } else { HeldBy::NoAgent };
        // Somebody who was sent away for a while may be let back; one that has gone for good is not waited for.
        let away = |unfit: &Unfit| match unfit {
            Unfit::State(state) => *state != AgentState::Retired,
            Unfit::Elsewhere => true,
            Unfit::Permission(_) | Unfit::Stopped(_) | Unfit::Quota(_) => false,
        };
        let away = none.why.iter().any(|(_, unfit)| away(unfit));
        let because = none.to_string();
        if stopped || away || none.passes() { Self::Held(Hold { because, by }) } else { Self::Never(because) }
    }
}

/// Nobody may do it: held while that may pass, denied when it cannot.
fn refused(nobody: Nobody, step: writ_core::StepKey, now: Timestamp) -> Signal {
    match nobody {
        Nobody::Held(hold) => Signal::PermitHeld { hold, step, until: now.plus(ASK_AGAIN) },
        Nobody::Never(because) => Signal::PermitDenied { findings: vec![finding("no-agent", because)], step },
    }
}
