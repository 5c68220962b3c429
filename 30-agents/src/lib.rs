//! Agents: who may act, who does, and whether they still may when they do.
//!
//! In go a roster of [`Agent`]s, a [`Need`] and the time; out comes an [`Assignment`], or [`NoAgent`] with the reason for
//! each agent. [`Tickets`] keep one live ticket a step, the newest epoch of each resource and the nonces that were used.
//! [`redeem`] is the gate's whole check of an effect that an agent asks for: the permit's signature and content (through
//! `writ_seal::check_effect`, which providers use, too), then the agent, the ticket, the lease, the decision, the
//! permission, the [`KillSwitches`], the epoch and the nonce. [`Usage`] counts what an agent was given lately against its
//! [`Limits`].
//!
//! [`read_agents`] reads the agents file, [`agent_deployment`] writes the document. Events are in [`AgentEvent`] and
//! [`KillSwitchMoved`].
//!
//! This crate refuses to know: plans, policy, the clock, chance, and how an agent is reached.

mod agent;
mod assign;
mod document;
mod event;
mod kill;
mod permission;
mod quota;
mod read;
mod redeem;
mod roster;
mod ticket;

pub use agent::{Agent, AgentMove, AgentState, ContractUse, IllegalMove, Limits, PERMISSIONS_MAX, USES_MAX};
pub use assign::{Assignment, Need, NoAgent, Unfit, assign};
pub use document::agent_deployment;
pub use event::{
    AgentChange, AgentEvent, DecodeError, Decoded, Enrolled, KILL_SWITCH_STREAM, KINDS, KeyRotated, KillSwitchMoved,
    PermissionsChanged, Refusal, StateChanged, decode,
};
pub use kill::{KillScope, KillSwitches, Pulled, Stopped, blocks};
pub use permission::{PermissionError, covers, permission};
pub use quota::{OverQuota, Usage};
pub use read::{AgentSpec, read_agents};
pub use redeem::{GateView, RedeemRefused, redeem};
pub use roster::{Roster, RosterRefused};
pub use ticket::{IllegalTicketMove, Ticket, TicketMove, TicketOrder, TicketState, Tickets, load};
