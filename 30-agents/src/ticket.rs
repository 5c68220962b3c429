//! Tickets: the right of one agent to work on one step. A step has at most one that lives.

use crate::agent::AgentState;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use writ_core::{AgentId, Digest, EffectKey, Permission, RunId, StepKey, TicketId, Timestamp};

/// The state of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketState {
    /// It waits for its agent.
    Issued,
    /// Its agent took it, until the lease ends.
    Claimed,
    /// The intent to act is recorded: from here on the effect may happen.
    Started,
    /// The effect happened.
    Completed,
    /// It did not.
    Failed,
    /// Its agent did not answer in time.
    LeaseExpired,
    /// It was taken away.
    Revoked,
    /// A newer one took its place.
    Superseded,
}

/// What is done with a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketMove {
    /// The agent takes it.
    Claim,
    /// The agent begins.
    Start,
    /// The effect happened.
    Complete,
    /// It did not.
    Fail,
    /// The lease is over.
    Expire,
    /// It is taken away.
    Revoke,
    /// A newer one takes its place.
    Supersede,
}

/// A move that a ticket's state does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ticket `{ticket}` is {state:?} and cannot {asked:?}")]
pub struct IllegalTicketMove {
    /// The ticket.
    pub ticket: TicketId,
    /// Its state.
    pub state: TicketState,
    /// What was asked.
    pub asked: TicketMove,
}

impl TicketState {
    /// Whether its holder may still act or answer.
    #[must_use]
    pub fn is_live(self) -> bool {
        match self {
            TicketState::Issued | TicketState::Claimed | TicketState::Started => true,
            TicketState::Completed | TicketState::Failed | TicketState::LeaseExpired => false,
            TicketState::Revoked | TicketState::Superseded => false,
        }
    }

    /// The state after a move; none when the state does not have it.
    #[must_use]
    pub fn after(self, asked: TicketMove) -> Option<TicketState> {
        use TicketMove as M;
        use TicketState as S;
        Some(match (self, asked) {
            (S::Issued, M::Claim) => S::Claimed,
            (S::Claimed, M::Start) => S::Started,
            (S::Started, M::Complete) => S::Completed,
            (S::Claimed | S::Started, M::Fail) => S::Failed,
            (S::Issued | S::Claimed | S::Started, M::Expire) => S::LeaseExpired,
            (S::Issued | S::Claimed | S::Started, M::Revoke) => S::Revoked,
            (S::Issued | S::Claimed | S::Started, M::Supersede) => S::Superseded,
            _ => return None,
        })
    }
}

/// What a ticket is for. The permit is signed over the same things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketOrder {
    /// The action's name, as the kill switch knows it.
    pub action: String,
    /// Who gets it.
    pub agent: AgentId,
    /// Digest of the policy decision that allows it.
    pub decision: Digest,
    /// The effect it is for.
    pub effect: EffectKey,
    /// When the agent's right ends.
    pub lease_until: Timestamp,
    /// The permission that the agent must hold, now and when it acts.
    pub permission: Permission,
    /// What it is done to.
    pub resource: String,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepKey,
    /// The provider's verb.
    pub verb: String,
}

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Counts up for its resource with each ticket.
    pub epoch: u64,
    /// Its id.
    pub id: TicketId,
    /// What it is for.
    pub order: TicketOrder,
    /// Its state.
    pub state: TicketState,
}

/// Every ticket that lives or ended lately, the newest epoch of each resource, and the nonces that were used.
#[derive(Debug, Clone, Default)]
pub struct Tickets {
    ended: VecDeque<TicketId>,
    epochs: HashMap<String, u64>,
    live: HashMap<(RunId, StepKey), TicketId>,
    nonces: HashMap<TicketId, BTreeSet<String>>,
    tickets: HashMap<TicketId, Ticket>,
}

/// How many tickets that ended are remembered, so that a late answer is told what became of its ticket. A forgotten one is
/// refused as unknown.
const REMEMBERED: usize = 10_000;

impl Tickets {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The ticket with this id.
    #[must_use]
    pub fn get(&self, id: &TicketId) -> Option<&Ticket> {
        self.tickets.get(id)
    }

    /// The ticket of a step that lives.
    #[must_use]
    pub fn live(&self, run: &RunId, step: &StepKey) -> Option<&Ticket> {
        self.tickets.get(self.live.get(&(run.clone(), step.clone()))?)
    }

    /// The newest epoch of a resource; 0 when nothing was done to it yet.
    #[must_use]
    pub fn epoch(&self, resource: &str) -> u64 {
        self.epochs.get(resource).copied().unwrap_or(0)
    }

    /// What was learnt elsewhere, from the journal or a provider: the resource has come so far.
    pub fn raise_epoch(&mut self, resource: &str, epoch: u64) {
        let newest = self.epochs.entry(resource.to_owned()).or_default();
        *newest = epoch.max(*newest);
    }

    /// Issues a ticket, claimed and started in one, for an agent in this process; the step's former ticket is superseded.
    /// Its epoch is the resource's next, and at least `at_least`.
    pub fn issue_started(&mut self, id: TicketId, order: TicketOrder, at_least: u64) -> &Ticket {
        self.place(id, order, at_least, TicketState::Started)
    }

    /// Issues a ticket that its agent has yet to claim; the step's former ticket is superseded.
    pub fn issue(&mut self, id: TicketId, order: TicketOrder, at_least: u64) -> &Ticket {
        self.place(id, order, at_least, TicketState::Issued)
    }

    fn place(&mut self, id: TicketId, order: TicketOrder, at_least: u64, state: TicketState) -> &Ticket {
        let key = (order.run.clone(), order.step.clone());
        if let Some(former) = self.live.remove(&key) {
            self.end(&former, TicketMove::Supersede);
        }
        let epoch = (self.epoch(&order.resource) + 1).max(at_least);
        self.raise_epoch(&order.resource, epoch);
        self.live.insert(key, id.clone());
        let ticket = Ticket { epoch, id: id.clone(), order, state };
        self.tickets.entry(id).insert_entry(ticket).into_mut()
    }

    /// Takes up a ticket that was issued before a restart and whose agent lived on, as the journal tells it.
    pub fn adopt(&mut self, ticket: Ticket) {
        self.raise_epoch(&ticket.order.resource, ticket.epoch);
        let key = (ticket.order.run.clone(), ticket.order.step.clone());
        self.live.insert(key, ticket.id.clone());
        self.tickets.insert(ticket.id.clone(), ticket);
    }

    /// Moves a ticket.
    ///
    /// # Errors
    /// When its state does not have that move, or there is no such ticket (which is as good as superseded).
    pub fn move_on(&mut self, id: &TicketId, asked: TicketMove) -> Result<TicketState, IllegalTicketMove> {
        let state = self.tickets.get(id).map_or(TicketState::Superseded, |ticket| ticket.state);
        let next = state.after(asked).ok_or_else(|| IllegalTicketMove { ticket: id.clone(), state, asked })?;
        if next.is_live() {
            if let Some(ticket) = self.tickets.get_mut(id) {
                ticket.state = next;
            }
            return Ok(next);
        }
        if let Some(ticket) = self.tickets.get(id) {
            let key = (ticket.order.run.clone(), ticket.order.step.clone());
            if self.live.get(&key) == Some(id) {
                self.live.remove(&key);
            }
        }
        self.end(id, asked);
        Ok(next)
    }

    fn all_live(&self) -> impl Iterator<Item = &Ticket> {
        self.live.values().filter_map(|id| self.tickets.get(id))
    }

    /// Tickets that live and whose lease is over.
    pub fn overdue(&self, now: Timestamp) -> impl Iterator<Item = &Ticket> {
        self.all_live().filter(move |ticket| ticket.order.lease_until <= now)
    }

    /// Tickets that live and are held by an agent.
    pub fn held_by<'a>(&'a self, agent: &'a AgentId) -> impl Iterator<Item = &'a Ticket> {
        self.all_live().filter(move |ticket| ticket.order.agent == *agent)
    }

    /// Tickets that live, of whatever is done to a resource.
    pub fn on<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = &'a Ticket> {
        self.all_live().filter(move |ticket| ticket.order.resource == resource)
    }

    /// Whether a nonce was used under a ticket.
    #[must_use]
    pub fn is_used(&self, ticket: &TicketId, nonce: &str) -> bool {
        self.nonces.get(ticket).is_some_and(|used| used.contains(nonce))
    }

    /// A nonce was used under a ticket. It is remembered as long as the ticket is.
    pub fn use_nonce(&mut self, ticket: &TicketId, nonce: &str) {
        self.nonces.entry(ticket.clone()).or_default().insert(nonce.to_owned());
    }

    fn end(&mut self, id: &TicketId, asked: TicketMove) {
        let Some(ticket) = self.tickets.get_mut(id) else { return };
        let Some(next) = ticket.state.after(asked) else { return };
        ticket.state = next;
        self.ended.push_back(id.clone());
        while self.ended.len() > REMEMBERED {
            if let Some(oldest) = self.ended.pop_front() {
                self.tickets.remove(&oldest);
                self.nonces.remove(&oldest);
            }
        }
    }
}

/// How many tickets each agent holds.
#[must_use]
pub fn load(tickets: &Tickets) -> BTreeMap<AgentId, u32> {
    let mut load = BTreeMap::new();
    for ticket in tickets.all_live() {
        *load.entry(ticket.order.agent.clone()).or_default() += 1;
    }
    load
}

/// Whether an agent in this state may finish what it was given.
pub(crate) fn may_finish(state: AgentState) -> bool {
    matches!(state, AgentState::Active | AgentState::Draining)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(step: &str) -> TicketOrder {
        TicketOrder {
            action: "deploy_instances".into(),
            agent: "provisioning-agent-001".parse().unwrap(),
            decision: Digest([1; 32]),
            effect: EffectKey("ek_1".into()),
            lease_until: Timestamp::from_micros(60_000_000),
            permission: Permission("execute:provision".into()),
            resource: "web/i-1".into(),
            run: RunId::mint(1, [0; 10]),
            step: step.parse().unwrap(),
            verb: "instance.ensure".into(),
        }
    }

    fn id(n: u8) -> TicketId {
        TicketId::mint(1, [n; 10])
    }

    #[test]
    fn a_step_has_at_most_one_ticket_that_lives_and_each_has_a_higher_epoch() {
        let mut tickets = Tickets::new();
        assert_eq!(tickets.issue_started(id(1), order("a/1"), 1).epoch, 1);
        assert_eq!(tickets.issue_started(id(2), order("a/1"), 2).epoch, 2);
        assert_eq!(tickets.get(&id(1)).unwrap().state, TicketState::Superseded);
        assert_eq!(tickets.live(&order("a/1").run, &order("a/1").step).unwrap().id, id(2));
        assert_eq!(tickets.issue_started(id(3), order("b/1"), 1).epoch, 3, "epochs count by resource");
        assert_eq!(tickets.issue_started(id(4), order("c/1"), 9).epoch, 9);
        assert_eq!(load(&tickets).values().sum::<u32>(), 3);
    }

    #[test]
    fn a_ticket_goes_from_issued_to_claimed_to_started_to_its_end_and_no_other_way() {
        use TicketMove as M;
        let mut tickets = Tickets::new();
        tickets.issue(id(1), order("a/1"), 1);
        assert!(tickets.move_on(&id(1), M::Start).is_err());
        assert!(tickets.move_on(&id(1), M::Complete).is_err());
        for (asked, wanted) in
            [(M::Claim, TicketState::Claimed), (M::Start, TicketState::Started), (M::Complete, TicketState::Completed)]
        {
            assert_eq!(tickets.move_on(&id(1), asked), Ok(wanted));
        }
        for asked in [M::Claim, M::Start, M::Complete, M::Fail, M::Expire, M::Revoke, M::Supersede] {
            assert!(tickets.move_on(&id(1), asked).is_err(), "{asked:?}");
        }
        assert_eq!(tickets.live(&order("a/1").run, &order("a/1").step), None);
    }

    #[test]
    fn an_overdue_ticket_expires_and_gives_way() {
        let mut tickets = Tickets::new();
        tickets.issue_started(id(1), order("a/1"), 1);
        assert_eq!(tickets.overdue(Timestamp::from_micros(59_000_000)).count(), 0);
        let overdue: Vec<TicketId> =
            tickets.overdue(Timestamp::from_micros(60_000_000)).map(|ticket| ticket.id.clone()).collect();
        assert_eq!(overdue, [id(1)]);
        assert_eq!(tickets.move_on(&id(1), TicketMove::Expire), Ok(TicketState::LeaseExpired));
        assert_eq!(tickets.overdue(Timestamp::from_micros(60_000_000)).count(), 0);
    }

    #[test]
    fn memory_of_ended_tickets_is_bounded_and_a_forgotten_one_cannot_act() {
        let mut tickets = Tickets::new();
        for n in 0..(REMEMBERED as u64 + 10) {
            let ticket = TicketId::mint(n, [0; 10]);
            tickets.issue_started(ticket.clone(), order("a/1"), 1);
            tickets.use_nonce(&ticket, "00");
            tickets.move_on(&ticket, TicketMove::Complete).unwrap();
        }
        assert_eq!(tickets.tickets.len(), REMEMBERED);
        assert_eq!(tickets.nonces.len(), REMEMBERED);
        assert!(tickets.move_on(&TicketId::mint(0, [0; 10]), TicketMove::Complete).is_err());
    }
}
