//! What goes wrong between writ and the world, on command.

use std::time::Duration;
use writ_core::Effect;

/// What becomes of one order on its way to the world and of its answer on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It is tried and does not work; nothing is left behind.
    Fails,
    /// The world refuses it for good.
    Refused,
    /// It never arrives, and the sender learns that nobody knows.
    OrderLost,
    /// It is done, and the sender learns that nobody knows.
    AnswerLost,
    /// It is done, and the answer comes so much later.
    AnswerLate(Duration),
    /// It arrives so much later, when another may have taken its place.
    OrderLate(Duration),
    /// It arrives twice.
    Twice,
    /// It never arrives, and nobody ever says so.
    Hangs,
}

impl Mishap {
    /// The word that scripts use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Mishap::Fails => "fails",
            Mishap::Refused => "refused",
            Mishap::OrderLost => "order lost",
            Mishap::AnswerLost => "answer lost",
            Mishap::AnswerLate(_) => "answer late",
            Mishap::OrderLate(_) => "order late",
            Mishap::Twice => "twice",
            Mishap::Hangs => "hangs",
        }
    }
}

/// A mishap that waits for its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub mishap: Mishap,
    /// To whom: a verb, a resource, the last part of a resource, or `any`.
    pub target: String,
}

impl Fault {
    /// Whether it happens to this order.
    #[must_use]
    pub fn hits(&self, effect: &Effect) -> bool {
        let slot = effect.resource.rsplit_once('/').map_or("", |(_, slot)| slot);
        self.target == "any" || self.target == effect.verb || self.target == effect.resource || self.target == slot
    }
}
