//! The gate's check of an effect that an agent asks for: what the permit says, and what only the gate remembers.

use crate::agent::AgentState;
use crate::kill::{KillSwitches, Stopped, blocks};
use crate::roster::Roster;
use crate::ticket::{TicketState, Tickets, may_finish};
use writ_core::{AgentId, Digest, Effect, Permission, Permit, TicketId, Timestamp};
use writ_seal::{PermitRefused, check_effect};

/// Everything the gate remembers.
#[derive(Debug, Clone, Copy)]
pub struct GateView<'a> {
    /// The gate's own public key.
    pub gate_key: &'a [u8; 32],
    /// The agents that are known.
    pub roster: &'a Roster,
    /// Kill switches.
    pub switches: &'a KillSwitches,
    /// Tickets, epochs and nonces.
    pub tickets: &'a Tickets,
}

/// Why an agent's effect is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedeemRefused {
    /// The permit, or the effect asked under it, does not hold by itself.
    #[error(transparent)]
    Permit(#[from] PermitRefused),
    /// Nobody knows the agent.
    #[error("agent `{agent}` is not enrolled")]
    UnknownAgent {
        /// The agent.
        agent: AgentId,
    },
    /// The permit was made for a key that is no longer the agent's.
    #[error("the permit was made for a key that agent `{agent}` no longer has")]
    OldKey {
        /// The agent.
        agent: AgentId,
    },
    /// The agent may do nothing in its state.
    #[error("agent `{agent}` is {state}")]
    AgentState {
        /// The agent.
        agent: AgentId,
        /// Its state.
        state: AgentState,
    },
    /// The agent lost the permission since the permit was signed.
    #[error("agent `{agent}` no longer holds `{permission}`")]
    LostPermission {
        /// The agent.
        agent: AgentId,
        /// The permission.
        permission: Permission,
    },
    /// The ticket was never issued, or is long forgotten.
    #[error("ticket `{ticket}` is not known")]
    UnknownTicket {
        /// The ticket.
        ticket: TicketId,
    },
    /// The ticket is another agent's.
    #[error("ticket `{ticket}` was issued to `{holder}`, not to `{agent}`")]
    OthersTicket {
        /// The ticket.
        ticket: TicketId,
        /// Who holds it.
        holder: AgentId,
        /// Who asks.
        agent: AgentId,
    },
    /// The ticket is not started, or is over.
    #[error("ticket `{ticket}` is {state:?}")]
    TicketState {
        /// The ticket.
        ticket: TicketId,
        /// Its state.
        state: TicketState,
    },
    /// A newer ticket took its place.
    #[error("ticket `{ticket}` was superseded")]
    Superseded {
        /// The ticket.
        ticket: TicketId,
    },
    /// The ticket was taken away.
    #[error("ticket `{ticket}` was revoked")]
    Revoked {
        /// The ticket.
        ticket: TicketId,
    },
    /// The lease is over.
    #[error("the lease of ticket `{ticket}` ended at {ended}")]
    LeaseOver {
        /// The ticket.
        ticket: TicketId,
        /// When.
        ended: Timestamp,
    },
    /// The permit and the ticket were not made for one another.
    #[error("the permit and ticket `{ticket}` disagree about the {what}")]
    Mismatch {
        /// The ticket.
        ticket: TicketId,
        /// What they disagree about.
        what: &'static str,
    },
    /// Policy decided otherwise in the meantime.
    #[error("the permit rests on decision {permit}, and ticket `{ticket}` on {ticket_decision}")]
    Decision {
        /// The ticket.
        ticket: TicketId,
        /// The decision the permit names.
        permit: Digest,
        /// The decision the ticket names.
        ticket_decision: Digest,
    },
    /// The resource has come further.
    #[error("epoch {asked} of `{resource}` is over; it is at {newest}")]
    OldEpoch {
        /// The resource.
        resource: String,
        /// The epoch of the permit.
        asked: u64,
        /// The newest.
        newest: u64,
    },
    /// The redemption was used before.
    #[error("the redemption of ticket `{ticket}` was used before")]
    Replayed {
        /// The ticket.
        ticket: TicketId,
    },
    /// A kill switch stops it.
    #[error(transparent)]
    Stopped(Stopped),
}

impl RedeemRefused {
    /// A short name for counting and for the journal.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            RedeemRefused::Permit(refused) => match refused {
                PermitRefused::Envelope(_) => "signature",
                PermitRefused::Form { .. } => "form",
                PermitRefused::Expired { .. } => "expired",
                PermitRefused::Early { .. } => "early",
                PermitRefused::Action { .. } => "action",
                PermitRefused::Resource { .. } => "resource",
                PermitRefused::Parameters => "parameters",
                PermitRefused::EffectKey { .. } => "effect_key",
                PermitRefused::Epoch { .. } => "epoch",
                PermitRefused::Redemption { .. } => "redemption",
                PermitRefused::Digest(_) => "digest",
            },
            RedeemRefused::UnknownAgent { .. } => "unknown_agent",
            RedeemRefused::OldKey { .. } => "old_key",
            RedeemRefused::AgentState { .. } => "agent_state",
            RedeemRefused::LostPermission { .. } => "lost_permission",
            RedeemRefused::UnknownTicket { .. } => "unknown_ticket",
            RedeemRefused::OthersTicket { .. } => "others_ticket",
            RedeemRefused::TicketState { .. } => "ticket_state",
            RedeemRefused::Superseded { .. } => "superseded",
            RedeemRefused::Revoked { .. } => "revoked",
            RedeemRefused::LeaseOver { .. } => "lease_over",
            RedeemRefused::Mismatch { .. } => "mismatch",
            RedeemRefused::Decision { .. } => "decision",
            RedeemRefused::OldEpoch { .. } => "old_epoch",
            RedeemRefused::Replayed { .. } => "replayed",
            RedeemRefused::Stopped(_) => "kill_switch",
        }
    }
}

/// Whether an agent may have this effect done, now. The permit it rests on comes back; the caller remembers the nonce
/// ([`Tickets::use_nonce`]) before it lets the effect pass. A provider checks the permit again and keeps its own epochs.
///
/// # Errors
/// The first thing that does not hold; each is worth an entry.
pub fn redeem(effect: &Effect, gate: &GateView<'_>, now: Timestamp) -> Result<Permit, RedeemRefused> {
    let permit = check_effect(effect, gate.gate_key, now)?;
    check_agent(&permit, gate)?;
    check_ticket(&permit, gate, now)?;
    let ticket = permit.ticket.clone();
    let newest = gate.tickets.epoch(&permit.resource);
    if permit.epoch < newest {
        return Err(RedeemRefused::OldEpoch { resource: permit.resource, asked: permit.epoch, newest });
    }
    if gate.tickets.is_used(&ticket, &effect.redemption.nonce) {
        return Err(RedeemRefused::Replayed { ticket });
    }
    Ok(permit)
}

fn check_agent(permit: &Permit, gate: &GateView<'_>) -> Result<(), RedeemRefused> {
    let id = || permit.agent.clone();
    let agent = gate.roster.get(&permit.agent).ok_or_else(|| RedeemRefused::UnknownAgent { agent: id() })?;
    if !may_finish(agent.state) {
        return Err(RedeemRefused::AgentState { agent: id(), state: agent.state });
    }
    if !agent.public_key.eq_ignore_ascii_case(&permit.agent_key) {
        return Err(RedeemRefused::OldKey { agent: id() });
    }
    Ok(())
}

fn check_ticket(permit: &Permit, gate: &GateView<'_>, now: Timestamp) -> Result<(), RedeemRefused> {
    let id = permit.ticket.clone();
    let Some(ticket) = gate.tickets.get(&id) else { return Err(RedeemRefused::UnknownTicket { ticket: id }) };
    let order = &ticket.order;
    if order.agent != permit.agent {
        let (holder, agent) = (order.agent.clone(), permit.agent.clone());
        return Err(RedeemRefused::OthersTicket { ticket: id, holder, agent });
    }
    match ticket.state {
        TicketState::Started => {}
        TicketState::Superseded => return Err(RedeemRefused::Superseded { ticket: id }),
        TicketState::Revoked => return Err(RedeemRefused::Revoked { ticket: id }),
        TicketState::Issued | TicketState::Claimed | TicketState::Completed | TicketState::Failed => {
            return Err(RedeemRefused::TicketState { ticket: id, state: ticket.state });
        }
        TicketState::LeaseExpired => return Err(RedeemRefused::LeaseOver { ticket: id, ended: order.lease_until }),
    }
    if now >= order.lease_until {
        return Err(RedeemRefused::LeaseOver { ticket: id, ended: order.lease_until });
    }
    let agree = [
        (order.verb == permit.action, "verb"),
        (order.resource == permit.resource, "resource"),
        (order.effect == permit.effect, "effect"),
        (ticket.epoch == permit.epoch, "epoch"),
    ];
    if let Some((_, what)) = agree.into_iter().find(|(agree, _)| !agree) {
        return Err(RedeemRefused::Mismatch { ticket: id, what });
    }
    if order.decision != permit.decision {
        let (permit, ticket_decision) = (permit.decision, order.decision);
        return Err(RedeemRefused::Decision { ticket: id, permit, ticket_decision });
    }
    let holds = gate.roster.get(&permit.agent).is_some_and(|agent| agent.may(&order.permission));
    if !holds {
        let (agent, permission) = (permit.agent.clone(), order.permission.clone());
        return Err(RedeemRefused::LostPermission { agent, permission });
    }
    match blocks(gate.switches, &permit.agent, &order.action, &permit.resource) {
        Some(stopped) => Err(RedeemRefused::Stopped(stopped)),
        None => Ok(()),
    }
}
