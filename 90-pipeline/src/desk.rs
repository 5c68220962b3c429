//! Where orders lie that somebody outside carries out: whoever asked for the change comes, takes the order, and answers.
//!
//! Taking it is an entry, and there is at most one for a ticket: a second taker is refused, whichever process asks and however
//! often the control plane was restarted between the two. What was taken and is not heard of any more is not done again.

use crate::drive::Told;
use crate::gate::{ASK_AGAIN, Issued};
use crate::journal::Journal;
use crate::live::Task;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use writ_agents::TicketMove;
use writ_automation::{Answer, Ask, HeldBy, Hold, Order, Run, RunEvent, Says, Signal, StepState, effect_key};
use writ_core::{Actor, AgentId, Draft, Entry, LedgerError, Outcome, RunId, TicketId, Timestamp};
use writ_intent::OUTSIDE_VERB;

/// How long an order lies there for somebody who is here to take it.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// What an entry says when an order is taken.
pub(crate) const CLAIMED: &str = "outside.claimed/1";

/// Whether an order was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Not yet.
    Free,
    /// By whoever knows what has this digest.
    By(String),
    /// It lay there for too long, or must not be taken any more.
    Gone,
}

/// One order.
pub(crate) struct Place {
    pub(crate) agent: AgentId,
    pub(crate) order: Order,
    /// What the gate granted; none after a restart, when it was taken before.
    pub(crate) issued: Option<Issued>,
    /// Held by whoever takes it or takes it away.
    pub(crate) turn: tokio::sync::Mutex<()>,
    taken: Mutex<Taken>,
    sender: mpsc::Sender<Told>,
}

impl Place {
    pub(crate) fn taken(&self) -> Taken {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, taken: Taken) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = taken;
    }

    /// Tells the run that the order was not carried out, by anybody.
    pub(crate) async fn undone(&self, because: String, retryable: bool) {
        let says = Says::Failed { because, retryable };
        let (epoch, step, ticket) = (self.order.epoch, self.order.step.clone(), self.order.ticket.clone());
        let signal = Signal::Answered(Answer { says, epoch, step, ticket });
        // A run that is gone has ended without this answer, or the process is about to.
        drop(self.sender.send(Told::by_itself(signal, Actor::agent(&self.agent))).await);
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Desk {
    places: Arc<Mutex<HashMap<RunId, Arc<Place>>>>,
    /// Until when somebody waits for a run's order.
    here: Arc<Mutex<HashMap<RunId, Timestamp>>>,
    moved: Arc<watch::Sender<u64>>,
    /// Whether nobody is kept waiting any more.
    closing: Arc<AtomicBool>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let moved = Arc::new(watch::Sender::new(0));
        Self { places: Arc::default(), here: Arc::default(), moved, closing: Arc::default() }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Place>>> {
        // Each change is one insertion or removal: there is nothing half-done to find.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The order of a run that lies there or was taken.
    pub(crate) fn place(&self, run: &RunId) -> Option<Arc<Place>> {
        self.places().get(run).cloned()
    }

    /// Hears of every change.
    pub(crate) fn moves(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    pub(crate) fn moved(&self) {
        self.moved.send_modify(|count| *count += 1);
    }

    /// From here on nobody who asks is kept waiting.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.moved();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Somebody waits for a run's order until then.
    pub(crate) fn comes(&self, run: &RunId, until: Timestamp, now: Timestamp) {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.retain(|_, until| *until > now);
        let known = here.entry(run.clone()).or_insert(until);
        *known = until.max(*known);
    }

    /// A step that somebody outside carries out is held until somebody is here who would.
    pub(crate) fn holds(&self, run: &Run, ask: &Ask, now: Timestamp) -> Option<Signal> {
        run.deed(&ask.step, ask.leg).filter(|deed| deed.verb == OUTSIDE_VERB)?;
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if here.get(run.id()).is_some_and(|until| *until > now) {
            return None;
        }
        let because = format!("nobody is here to carry it out; go on with `writ exec --resume {}`", run.id());
        // The run sets the end of its own patience; who comes before that wakes the step.
        let until = now.plus(Duration::from_millis(run.submitted().options.start_timeout_ms)).plus(ASK_AGAIN);
        Some(Signal::PermitHeld { hold: Hold { because, by: HeldBy::NoAgent }, step: ask.step.clone(), until })
    }

    /// Lays an order down. When nobody takes it in time, nothing was done, and the run hears that.
    pub(crate) fn offer(&self, task: &Task, order: Order, issued: Issued) {
        let place = Arc::new(Place {
            agent: issued.agent.clone(),
            order,
            issued: Some(issued),
            turn: tokio::sync::Mutex::new(()),
            taken: Mutex::new(Taken::Free),
            sender: task.sender.clone(),
        });
        let run = task.run.id().clone();
        self.places().insert(run.clone(), place.clone());
        self.moved();
        let (desk, inner) = (self.clone(), task.inner.clone());
        tokio::spawn(async move {
            inner.journal.base().clock.sleep(TAKEN_WITHIN).await;
            let _turn = place.turn.lock().await;
            if place.taken() == Taken::Free {
                inner.gate.finish(&place.order.ticket, &place.agent, TicketMove::Fail);
                place.set(Taken::Gone);
                desk.clear(&run, &place.order.ticket);
                place.undone(format!("nobody took the order within {} s", TAKEN_WITHIN.as_secs()), true).await;
            }
        });
    }

    /// Takes an order away; only the one of this ticket.
    pub(crate) fn clear(&self, run: &RunId, ticket: &TicketId) {
        let mut places = self.places();
        if places.get(run).is_some_and(|place| place.order.ticket == *ticket) {
            places.remove(run);
        }
        drop(places);
        self.moved();
    }

    /// A run is over.
    pub(crate) fn forget(&self, run: &RunId) {
        self.places().remove(run);
        self.here.lock().unwrap_or_else(PoisonError::into_inner).remove(run);
        self.moved();
    }

    /// After a restart: an order that was taken is still out; one that was not was never carried out, for taking it would
    /// have been an entry.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) async fn take_up(&self, task: &Task) -> Result<(), LedgerError> {
        let Some((order, agent)) = out(&task.run) else { return Ok(()) };
        let claims = claims_of(&task.inner.journal, task.run.id()).await?;
        let claimed = claims.iter().find(|entry| entry.body.get("ticket") == Some(&json!(order.ticket)));
        let taken = claimed.and_then(|entry| entry.body.get("claim")?.as_str()).map(str::to_owned);
        let place = Arc::new(Place {
            agent,
            order,
            issued: None,
            turn: tokio::sync::Mutex::new(()),
            taken: Mutex::new(taken.clone().map_or(Taken::Gone, Taken::By)),
            sender: task.sender.clone(),
        });
        if taken.is_none() {
            place.undone("the control plane was restarted before anybody took the order".into(), true).await;
            return Ok(());
        }
        self.places().insert(task.run.id().clone(), place);
        Ok(())
    }
}

/// The order of a run that somebody outside may be carrying out.
fn out(run: &Run) -> Option<(Order, AgentId)> {
    run.steps().filter(|(step, _)| step.verb == OUTSIDE_VERB).find_map(|(step, cell)| {
        let StepState::Ticketed(ticket) = &cell.state else { return None };
        let order = Order {
            effect_key: effect_key(run.id(), &step.key, cell.revision, cell.leg),
            epoch: ticket.epoch,
            leg: cell.leg,
            step: step.key.clone(),
            ticket: ticket.id.clone(),
        };
        Some((order, ticket.agent.clone()))
    })
}

/// Agents whose work goes on elsewhere while the control plane is away.
pub(crate) fn alive_outside(run: &Run) -> BTreeSet<AgentId> {
    out(run).map(|(_, agent)| agent).into_iter().collect()
}

/// A run's own stream.
pub(crate) fn run_stream(run: &RunId) -> String {
    RunEvent::stream(run)
}

/// The stream of who took a run's orders.
pub(crate) fn stream_of(run: &RunId) -> String {
    format!("outside/{run}")
}

/// The entries by which a run's orders were taken, the newest first: one for each ticket that was.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn claims_of(journal: &Journal, run: &RunId) -> Result<Vec<Entry>, LedgerError> {
    let entries = journal.stream(&stream_of(run)).await?;
    Ok(entries.into_iter().rev().filter(|entry| entry.kind == CLAIMED).collect())
}

/// The entry by which an order is taken.
pub(crate) fn claimed(run: &RunId, place: &Place, resource: &str, claim: &str, by: &Actor) -> Draft {
    let order = &place.order;
    let body: Value = json!({
        "claim": claim, "epoch": order.epoch, "run": run, "step": order.step, "ticket": order.ticket,
    });
    Draft {
        action: "take_order".into(),
        actor: by.clone(),
        body,
        kind: CLAIMED,
        outcome: Outcome::Started,
        resource: resource.to_owned(),
        stream: stream_of(run),
    }
}
