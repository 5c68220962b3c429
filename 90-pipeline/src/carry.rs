//! Carrying an outside change out: its order is taken, whoever took it is heard of, and says what came of it.

use crate::approvals::Principal;
use crate::commit::{Batch, Expect};
use crate::desk::{Place, Taken, claimed, claims_of, run_stream, stream_of};
use crate::drive::DriveError;
use crate::live::refusal;
use crate::outcome::{Claimed, Reported};
use crate::outside::{OutsideError, document, is_asker};
use crate::pipeline::Pipeline;
use serde_json::{Value, json};
use writ_agents::{RedeemRefused, TicketMove};
use writ_automation::{Run, RunState, Signal, effect_key};
use writ_core::{Actor, Digest, Entry, LedgerError, RunId, SealedPermit, StepKey, TicketId};
use writ_seal::sha256;

/// An order that was taken.
#[derive(Debug, Clone)]
pub struct TakenOrder {
    /// Its epoch.
    pub epoch: u64,
    /// The signed order; none when it was taken before a restart.
    pub permit: Option<SealedPermit>,
    /// The step.
    pub step: StepKey,
    /// The ticket.
    pub ticket: TicketId,
}

impl Pipeline {
    /// Takes the order of a change: the permit is redeemed, and that it was taken is recorded. `claim` names the process that
    /// takes it; the same one may ask again when it did not hear the answer.
    ///
    /// # Errors
    /// When there is no order, somebody else has it, or the permit does not hold any more.
    pub async fn take_outside(&self, run: &RunId, by: &Principal, claim: &str) -> Result<TakenOrder, OutsideError> {
        let (found, _) = self.outside_run(run).await?;
        is_asker(&found, by)?;
        let none = || OutsideError::NoOrder { run: run.clone(), phase: self.phase(&found) };
        let place = self.drive().desk().place(run).ok_or_else(none)?;
        let claim = sha256(claim.as_bytes()).to_string();
        let _turn = place.turn.lock().await;
        match place.taken() {
            Taken::Free if matches!(found.state(), RunState::Running) => {}
            Taken::Free | Taken::Gone => return Err(none()),
            Taken::By(holder) if holder == claim => return Ok(order_of(&place)),
            Taken::By(_) => return Err(OutsideError::Taken { run: run.clone() }),
        }
        self.redeem_outside(run, &place).await?;
        let resource = found.steps().next().map(|(step, _)| step.resource.clone()).unwrap_or_default();
        let draft = claimed(run, &place, &resource, &claim, &Actor::human(&by.id));
        let entries = self.journal().stream(&run_stream(run)).await?;
        let version = self.journal().ledger().stream_version(&stream_of(run)).await?;
        let expects = vec![Expect { stream: stream_of(run), version }];
        let batch = Batch { expects, ..Batch::of(vec![draft]) };
        self.journal().commit(&self.journal().cause_after(entries.last()), batch).await?;
        place.set(Taken::By(claim));
        self.drive().desk().moved();
        self.alive(run, &place).await;
        Ok(order_of(&place))
    }

    async fn redeem_outside(&self, run: &RunId, place: &Place) -> Result<(), OutsideError> {
        let Some(issued) = &place.issued else { return Ok(()) };
        let now = self.journal().now();
        let Err(refused) = self.gate().redeem(issued, now) else { return Ok(()) };
        let cause = self.journal().new_cause();
        let about = (issued.verb.as_str(), issued.resource.as_str());
        refusal(self.journal(), &cause, &issued.agent, about, &refused, now).await;
        self.gate().finish(&issued.ticket, &issued.agent, TicketMove::Fail);
        place.set(Taken::Gone);
        self.drive().desk().clear(run, &issued.ticket);
        // Another change of the same resource was permitted in between: this one is asked for again.
        let overtaken = matches!(refused, RedeemRefused::OldEpoch { .. });
        place.undone(refused.to_string(), overtaken).await;
        Err(refused.into())
    }

    /// Whoever took an order is heard of.
    async fn alive(&self, run: &RunId, place: &Place) {
        let order = &place.order;
        let (epoch, step, ticket) = (order.epoch, order.step.clone(), order.ticket.clone());
        let signal = Signal::Heartbeat { epoch, step, ticket };
        if let Err(error) = self.drive().tell(run, signal, &Actor::agent(&place.agent)).await {
            tracing::debug!(%run, error = &error as &dyn std::error::Error, "a sign of life was not taken");
        }
    }

    /// Whoever took the order is still at it.
    ///
    /// # Errors
    /// When they do not hold it any more.
    pub async fn outside_lives(&self, run: &RunId, by: &Principal, claim: &str) -> Result<&'static str, OutsideError> {
        let (found, _) = self.outside_run(run).await?;
        is_asker(&found, by)?;
        let phase = self.phase(&found);
        let place = self.drive().desk().place(run).filter(|_| phase == "taken");
        let place = place.ok_or_else(|| OutsideError::NoOrder { run: run.clone(), phase })?;
        if place.taken() != Taken::By(sha256(claim.as_bytes()).to_string()) {
            return Err(OutsideError::Taken { run: run.clone() });
        }
        self.alive(run, &place).await;
        Ok(found.state().name())
    }

    /// Whoever took the order says what came of it. The entry that ends the step names the output, which is recorded with it.
    ///
    /// # Errors
    /// When they did not take it, what they say does not fit together, or the outcome had been given up for lost, which is
    /// recorded all the same. Saying the same twice is saying it once.
    pub async fn end_outside(
        &self,
        run: &RunId,
        by: &Principal,
        claim: &str,
        reported: Reported,
    ) -> Result<Value, OutsideError> {
        let (found, context) = self.outside_run(run).await?;
        is_asker(&found, by)?;
        let claims: Vec<Claimed> = claims_of(self.journal(), run).await?.iter().filter_map(Claimed::of).collect();
        if claims.is_empty() {
            return Err(OutsideError::NoOrder { run: run.clone(), phase: self.phase(&found) });
        }
        // What may be repeated may have been taken by somebody else since; what comes of the first is recorded all the same.
        let claim = sha256(claim.as_bytes()).to_string();
        let held = claims.into_iter().find(|held| held.claim == claim);
        let held = held.ok_or_else(|| OutsideError::Taken { run: run.clone() })?;
        let (_, cell) = found.step(&held.step).ok_or_else(|| OutsideError::Unknown { run: run.clone() })?;
        let key = effect_key(run, &held.step, cell.revision, cell.leg);
        let ended = reported.check(key, self.journal().now())?;
        if let Some(before) = self.said_before(run, &held, &ended.digest).await? {
            return if before {
                Ok(document(&found, &context, self.phase(&found)))
            } else {
                Err(late(&found, &held, true))
            };
        }
        let is_live = cell.state.ticket().is_some_and(|ticket| ticket.is_of(&held.ticket, held.epoch));
        let agent = cell.ticket.as_ref().map(|ticket| ticket.agent.clone());
        let actor = agent.as_ref().map_or_else(|| Actor::human(&by.id), Actor::agent);
        let how = if ended.is_done() { TicketMove::Complete } else { TicketMove::Fail };
        let answer = held.answers(ended.says);
        let told = self.drive().tell_with(run, Signal::Answered(answer), &actor, ended.kept).await;
        if let Err(DriveError::NotLive { .. }) = told {
            return Err(late(&found, &held, false));
        }
        told?;
        if let Some(agent) = &agent {
            self.gate().finish(&held.ticket, agent, how);
        }
        let (after, _) = self.outside_run(run).await?;
        if !is_live {
            return Err(late(&after, &held, true));
        }
        self.drive().desk().clear(run, &held.ticket);
        Ok(document(&after, &context, self.phase(&after)))
    }

    /// Whether this outcome was said before: in time, or late; none when it was not.
    async fn said_before(&self, run: &RunId, held: &Claimed, outcome: &Digest) -> Result<Option<bool>, LedgerError> {
        let entries = self.journal().stream(&run_stream(run)).await?;
        let of = |entry: &&Entry| {
            entry.body.get("ticket") == Some(&json!(held.ticket))
                && entry.body.pointer("/attachments/outcome") == Some(&json!(outcome))
        };
        Ok(entries.iter().find(of).map(|entry| entry.kind != "run.late_answer/1"))
    }
}

fn late(run: &Run, held: &Claimed, recorded: bool) -> OutsideError {
    OutsideError::Late { recorded, run: run.id().clone(), state: run.state().name(), step: held.step.clone() }
}

fn order_of(place: &Place) -> TakenOrder {
    TakenOrder {
        epoch: place.order.epoch,
        permit: place.issued.as_ref().map(|issued| issued.permit.clone()),
        step: place.order.step.clone(),
        ticket: place.order.ticket.clone(),
    }
}
