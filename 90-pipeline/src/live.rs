//! One live run: a task that owns it and its timers, decides on each signal, records the decision, and carries it out.

use crate::approvals;
use crate::commit::{Batch, Cause, CommitError, Expect, STALE_MAX};
use crate::context::RunContext;
use crate::drive::{DriveError, Inner, Told};
use crate::gate::Issued;
use crate::journal::Journal;
use crate::notify;
use crate::record::{read, write};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use writ_agents::{AgentChange, AgentEvent, RedeemRefused, Refusal, TicketMove};
use writ_automation::{
    Answer, BreakerMoved, Command, Decision, Order, Run, RunEvent, Says, Signal, TimerKey, settle, turn,
};
use writ_core::{
    Actor, AgentId, Draft, Effect, Event, Provider, ProviderError, Receipt, RunId, TicketId, Timestamp, failpoint,
};
use writ_intent::OUTSIDE_VERB;

/// When a signal that could not be recorded is taken up again.
const AGAIN: Duration = Duration::from_secs(1);

/// One live run.
pub(crate) struct Task {
    pub(crate) inner: Arc<Inner>,
    pub(crate) run: Run,
    pub(crate) context: Arc<RunContext>,
    pub(crate) cause: Cause,
    pub(crate) version: u64,
    pub(crate) timers: BTreeMap<TimerKey, Timestamp>,
    pub(crate) inbox: mpsc::Receiver<Told>,
    pub(crate) sender: mpsc::Sender<Told>,
    pub(crate) shown: watch::Sender<Arc<Run>>,
}

impl Task {
    /// Hears signals until the run is over, or nothing can be recorded any more.
    pub(crate) async fn run(&mut self) {
        while !self.run.state().is_over() {
            let told = self.next().await;
            let outcome = self.turn(&told).await;
            let answer = match outcome {
                Ok((decision, issued)) => {
                    self.carry_out(decision.commands, issued);
                    Ok(())
                }
                Err(error) => Err(error),
            };
            let closed = matches!(&answer, Err(DriveError::Commit { cause, .. }) if matches!(**cause, CommitError::Closed { .. }));
            if let Err(error) = &answer
                && told.reply.is_none()
            {
                tracing::warn!(run = %self.run.id(), error = error as &dyn std::error::Error, "a signal was not taken");
                if !closed && matches!(error, DriveError::Commit { .. }) {
                    self.again(told);
                }
            } else if let Some(reply) = told.reply {
                drop(reply.send(answer));
            }
            if closed {
                // Without a journal nothing is done; services keep running.
                return;
            }
        }
    }

    /// What nobody waits for the answer of must not get lost: no timer fires twice by itself.
    fn again(&self, told: Told) {
        let (clock, sender) = (self.inner.journal.base().clock.clone(), self.sender.clone());
        tokio::spawn(async move {
            clock.sleep(AGAIN).await;
            // A run that is gone needs no telling.
            drop(sender.send(Told { reply: None, ..told }).await);
        });
    }

    /// The next signal: what was told, or a timer that is due.
    async fn next(&mut self) -> Told {
        loop {
            let now = self.inner.journal.now();
            let first = self.timers.iter().min_by_key(|(_, at)| **at).map(|(key, at)| (key.clone(), *at));
            let Some((key, at)) = first else {
                match self.inbox.recv().await {
                    Some(told) => return told,
                    None => continue, // The task holds a sender itself, so this does not happen.
                }
            };
            if at <= now {
                self.timers.remove(&key);
                return Told::by_itself(Signal::TimerFired(key), Actor::system("clock"));
            }
            let clock = self.inner.journal.base().clock.clone();
            tokio::select! {
                biased; // What is said first is heard first, in every replay.
                Some(told) = self.inbox.recv() => return told,
                () = clock.sleep(at.since(now)) => {}
            }
        }
    }

    /// Decides and records. When something that was read has changed meanwhile, decides anew.
    pub(crate) async fn turn(
        &mut self,
        Told { signal, by, kept, seen, ground, .. }: &Told,
    ) -> Result<(Decision, Vec<Issued>), DriveError> {
        let id = self.run.id().clone();
        let breaker = self.heard(signal);
        let mut tries = 0;
        loop {
            // It is recorded at the version that is in memory, and by nobody else: what holds here holds in the commit.
            if let Some(seen) = seen.as_ref().filter(|seen| seen.version != self.version) {
                let Expect { stream, version: expected } = seen.clone();
                let cause = Arc::new(CommitError::Stale { stream, expected, found: self.version });
                return Err(DriveError::Commit { run: id, cause });
            }
            let now = self.inner.journal.now();
            let (inner, gate, desk, context) = (&self.inner, &self.inner.gate, &self.inner.desk, &self.context);
            let mut issued = Vec::new();
            let before = self.run.pending();
            let mut ask = |run: &Run, ask: &writ_automation::Ask| {
                let held = desk.holds(run, ask, now).or_else(|| inner.in_the_way(run, context, ask, now));
                held.or_else(|| gate.answer(run, ask, context, now, &mut issued))
            };
            let decided = turn(&mut self.run, signal.clone(), now, &mut ask);
            let decision = decided.map_err(|cause| DriveError::Refused { run: id.clone(), cause: Arc::new(cause) })?;
            // What the gate granted and the run did not take is worth nothing.
            let untaken = |one: &Issued| decision.refused.iter().any(|(step, _)| *step == one.step);
            let (lost, issued): (Vec<Issued>, Vec<Issued>) = issued.into_iter().partition(untaken);
            self.inner.revoke(&lost);
            if decision.events.is_empty() {
                return Ok((decision, issued));
            }
            let mut batch = Batch::default();
            write(&mut batch, &decision, &issued, by, None, kept);
            let version = self.version + batch.drafts.len() as u64;
            let settled = settle(&before, &self.run, &decision.events, now);
            batch.drafts.extend(approvals::drafts(&self.run, settled, now));
            batch.drafts.extend(told(&id, &issued));
            batch.drafts.extend(breaker.iter().map(|moved| moved.draft(&Actor::system("pipeline"))));
            batch.expects.push(Expect { stream: RunEvent::stream(&id), version: self.version });
            batch.expects.extend(ground.clone());
            if !issued.is_empty() {
                batch.expects.extend(gate.expects());
                gate.passed(&self.run, &issued, &mut batch, now);
            }
            match self.inner.journal.commit(&self.cause, batch).await {
                Ok(receipt) => {
                    self.version = version;
                    gate.state().glasses.saw(&receipt.entries);
                    breaker.iter().for_each(|moved| gate.state().breakers.apply(moved));
                    self.cause.event = receipt.last_event();
                    self.shown.send_replace(Arc::new(self.run.clone()));
                    return Ok((decision, issued));
                }
                Err(CommitError::Stale { stream, .. })
                    if tries < STALE_MAX && ground.iter().all(|ground| ground.stream != stream) =>
                {
                    self.inner.revoke(&issued);
                    self.inner.catch_up(tries).await;
                    tries += 1;
                    let (run, _, cause, version) = read(&self.inner.journal, &id).await?;
                    (self.run, self.cause, self.version) = (run, cause, version);
                }
                Err(cause) => {
                    // What was applied to the run in memory is not recorded: forget it.
                    self.inner.revoke(&issued);
                    if let Ok((run, _, _, _)) = read(&self.inner.journal, &id).await {
                        self.run = run;
                    }
                    return Err(DriveError::Commit { run: id, cause: Arc::new(cause) });
                }
            }
        }
    }

    /// What an answer to the ticket in force means for the breaker of its verb. What was refused for good says nothing about
    /// the provider.
    fn heard(&self, signal: &Signal) -> Option<BreakerMoved> {
        let Signal::Answered(answer) = signal else { return None };
        let worked = match &answer.says {
            Says::Done { .. } => true,
            Says::Failed { retryable: true, .. } | Says::Unclear { .. } => false,
            Says::Failed { retryable: false, .. } => return None,
        };
        let (_, cell) = self.run.step(&answer.step)?;
        cell.ticket.as_ref().filter(|ticket| ticket.id == answer.ticket)?;
        // What a command of somebody else comes to says nothing about the provider.
        let deed = self.run.deed(&answer.step, cell.leg).filter(|deed| deed.verb != OUTSIDE_VERB)?;
        self.inner.gate.heard(&deed, worked, self.inner.journal.now())
    }

    /// Does what was decided, now that it is durable.
    pub(crate) fn carry_out(&mut self, commands: Vec<Command>, issued: Vec<Issued>) {
        let mut issued: HashMap<TicketId, Issued> = issued.into_iter().map(|one| (one.ticket.clone(), one)).collect();
        for command in commands {
            match command {
                Command::Perform(order) => {
                    if let Some(issued) = issued.remove(&order.ticket) {
                        self.perform(order, issued);
                    }
                }
                Command::Probe(order) => self.probe(order),
                Command::SetTimer { at, key } => drop(self.timers.insert(key, at)),
                // It was asked in the same commit; who is to answer finds it among the approvals.
                Command::AskApproval { .. } => {}
                Command::Observe => self.observe(),
                Command::Notify { text } => tracing::warn!(run = %self.run.id(), text, "a run needs somebody"),
                Command::RunEnded { .. } => {}
            }
        }
    }

    /// An agent in this process redeems its permit and carries the effect out.
    fn perform(&self, order: Order, issued: Issued) {
        if issued.verb == OUTSIDE_VERB {
            self.inner.desk.offer(self, order, issued);
            return;
        }
        let (inner, sender) = (self.inner.clone(), self.sender.clone());
        let (by, cause) = (Actor::agent(&issued.agent), self.cause.clone());
        tokio::spawn(async move {
            let now = inner.journal.now();
            let says = match inner.gate.redeem(&issued, now) {
                Ok(effect) => match order_out(&*inner.provider, &effect).await {
                    Ok(receipt) => Says::Done { receipt },
                    Err(error) => says_of(error),
                },
                Err(refused) => {
                    let about = (issued.verb.as_str(), issued.resource.as_str());
                    refusal(&inner.journal, &cause, &issued.agent, about, &refused, now).await;
                    Says::Failed { because: refused.to_string(), retryable: false }
                }
            };
            let how = if matches!(says, Says::Done { .. }) { TicketMove::Complete } else { TicketMove::Fail };
            inner.gate.finish(&issued.ticket, &issued.agent, how);
            let answer = Answer { says, epoch: order.epoch, step: order.step, ticket: order.ticket };
            // A run that is gone has ended without this answer, or the process is about to.
            drop(sender.send(Told::by_itself(Signal::Answered(answer), by)).await);
        });
    }

    fn probe(&self, order: Order) {
        let Some(deed) = self.run.deed(&order.step, order.leg) else { return };
        let (verb, resource) = (deed.verb.to_owned(), deed.resource.to_owned());
        let (inner, sender) = (self.inner.clone(), self.sender.clone());
        tokio::spawn(async move {
            let answer = inner.provider.probe(&order.effect_key, &verb, &resource).await;
            let signal = Signal::Probed { answer, epoch: order.epoch, step: order.step };
            drop(sender.send(Told::by_itself(signal, Actor::system("pipeline"))).await);
        });
    }

    fn observe(&self) {
        let (inner, sender, context) = (self.inner.clone(), self.sender.clone(), self.context.clone());
        tokio::spawn(async move {
            let signal = Signal::WindowOpened { world: context.world(&*inner.provider).await };
            drop(sender.send(Told::by_itself(signal, Actor::system("pipeline"))).await);
        });
    }
}

/// What policy has people told along with grants: recorded with them, so that it is told whatever becomes of this process.
pub(crate) fn told(run: &RunId, issued: &[Issued]) -> Vec<Draft> {
    let each = issued.iter().flat_map(|one| one.notify.iter().map(move |channel| (one, channel)));
    let asked = |(one, channel): (&Issued, &String)| {
        notify::asked(channel, run.as_str(), one.step.as_str(), &one.verb, &one.resource)
    };
    each.map(asked).collect()
}

/// Hands an effect to the provider.
async fn order_out(provider: &dyn Provider, effect: &Effect) -> Result<Receipt, ProviderError> {
    failpoint::pass("effect.redeemed", &effect.resource);
    let performed = provider.perform(effect).await;
    failpoint::pass("effect.performed", &effect.resource);
    performed
}

/// A refused redemption is an entry of its own, whatever the run makes of it.
pub(crate) async fn refusal(
    journal: &Journal,
    cause: &Cause,
    agent: &AgentId,
    (verb, resource): (&str, &str),
    refused: &RedeemRefused,
    at: Timestamp,
) {
    let refusal = Refusal {
        because: refused.to_string(),
        code: refused.code().to_owned(),
        resource: resource.to_owned(),
        verb: verb.to_owned(),
    };
    let event = AgentEvent { agent: agent.clone(), at, what: AgentChange::Refused(refusal) };
    let draft = event.draft(&Actor::agent(agent));
    if let Err(error) = journal.commit(cause, Batch::of(vec![draft])).await {
        tracing::error!(error = &error as &dyn std::error::Error, "a refusal was not recorded");
    }
}

fn says_of(error: ProviderError) -> Says {
    match error {
        ProviderError::Refused { because, .. } => Says::Failed { because, retryable: false },
        ProviderError::Failed { because, .. } => Says::Failed { because, retryable: true },
        ProviderError::Unclear { because, .. } => Says::Unclear { because },
    }
}
