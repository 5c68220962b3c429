//! The right to work on one step, as the run sees it: who holds it, until when, and which answers still count.

use crate::body::StepStarted;
use writ_core::{AgentId, Digest, TicketId, Timestamp};

/// A ticket that was issued, claimed and started. A step has at most one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Who holds it.
    pub agent: AgentId,
    /// When an outcome is no longer waited for.
    pub due_at: Timestamp,
    /// Its epoch; the newest of the step.
    pub epoch: u64,
    /// Its id.
    pub id: TicketId,
    /// When the holder's right ends.
    pub lease_until: Timestamp,
    /// Digest of the signed order.
    pub permit_digest: Digest,
    /// When it was started.
    pub started_at: Timestamp,
}

impl Ticket {
    pub(crate) fn of(started: &StepStarted, at: Timestamp) -> Self {
        Self {
            agent: started.agent.clone(),
            due_at: started.due_at,
            epoch: started.epoch,
            id: started.ticket.clone(),
            lease_until: started.lease_until,
            permit_digest: started.permit_digest,
            started_at: at,
        }
    }

    /// Whether an answer is the holder's: one of another ticket or epoch comes too late, or from somebody else.
    #[must_use]
    pub fn is_of(&self, ticket: &TicketId, epoch: u64) -> bool {
        self.id == *ticket && self.epoch == epoch
    }
}
