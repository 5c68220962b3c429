//! What to do now: the fold of what was concluded, the watch of what is seen, one signal, and the time.

use crate::config::Config;
use crate::correlate::{Fingerprint, home, related};
use crate::detect::{Symptom, Watch};
use crate::event::{
    Acknowledged, Closed, Denied, DeniedBy, Ended, Escalated, EscalationReason, HealEvent, Held, HoldReason, Joined,
    Opened, Released, Resolved, Started, Verified, Waiting,
};
use crate::incident::{Heal, Incident, IncidentState, Resolution, Try};
use crate::remedy::RemedyKey;
use crate::signal::{Ask, Decision, Refused, Signal};
use crate::verify::{Judgement, Sign, Verification, judge, looks, next_look};
use writ_core::{IncidentId, Severity, Timestamp};

impl Heal {
    /// Decides. `chance` is what new incidents' ids are made of.
    ///
    /// # Errors
    /// When the signal speaks of something that is not there.
    pub fn step(
        &self,
        config: &Config,
        watch: &Watch,
        signal: Signal,
        now: Timestamp,
        chance: [u8; 10],
    ) -> Result<Decision, Refused> {
        let mut work =
            Work { config, watch, now, chance, heal: self.clone(), decision: Decision::default(), due: None };
        let stays = signal != Signal::Left;
        work.hear(signal)?;
        if stays {
            work.settle()?;
        }
        if let Some(at) = work.due {
            work.decision.asks.push(Ask::SetTimer { at });
        }
        Ok(work.decision)
    }

    /// What was asked before a restart and not answered: to be asked again. Proposals are idempotent by key.
    #[must_use]
    pub fn unanswered(&self) -> Vec<Ask> {
        let asked = |tried: &Try| Ask::ProposeRemedy { remedy: tried.remedy.clone(), mode: tried.mode };
        let own = self.incidents().filter_map(|incident| match &incident.state {
            IncidentState::Proposed { tried } => Some(asked(tried)),
            IncidentState::Open
            | IncidentState::Shadowed
            | IncidentState::Waiting { .. }
            | IncidentState::Running { .. }
            | IncidentState::Verifying { .. }
            | IncidentState::Escalated { .. } => None,
        });
        let scaling = self.rescaling.iter().filter(|one| one.run.is_none() && one.approval.is_none());
        own.chain(scaling.map(|one| asked(&one.tried))).collect()
    }
}

/// One decision in the making: events are applied to a copy as they are decided, so that each sees the one before.
pub(crate) struct Work<'a> {
    pub(crate) config: &'a Config,
    pub(crate) watch: &'a Watch,
    pub(crate) now: Timestamp,
    chance: [u8; 10],
    pub(crate) heal: Heal,
    pub(crate) decision: Decision,
    due: Option<Timestamp>,
}

pub(crate) type Step = Result<(), Refused>;

impl Work<'_> {
    pub(crate) fn emit(&mut self, event: HealEvent) -> Step {
        self.heal.apply(&event)?;
        self.decision.events.push(event);
        Ok(())
    }

    pub(crate) fn wake(&mut self, at: Timestamp) {
        if at > self.now {
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    fn hear(&mut self, signal: Signal) -> Step {
        let (at, component) = (self.now, self.config.component.clone());
        match signal {
            Signal::Look => Ok(()),
            Signal::RemedyAllowed { remedy, run } => {
                let incident = self.asked(&remedy)?.remedy.incident.clone();
                self.emit(HealEvent::Started(Started { at, component, incident, remedy, run }))
            }
            Signal::RemedyDenied { remedy, because, by } => {
                let tried = self.asked(&remedy)?.clone();
                let incident = tried.remedy.incident.clone();
                self.emit(HealEvent::Denied(Denied { at, because, by, component, incident, remedy }))?;
                self.after_denial(&tried, by)
            }
            Signal::RemedyHeld { remedy, because } => {
                let incident = self.asked(&remedy)?.remedy.incident.clone();
                match incident.and_then(|id| self.heal.incident(&id)).cloned() {
                    Some(incident) => self.hold(&incident, because, None),
                    None => Ok(()),
                }
            }
            Signal::RemedyReleased { remedy } => {
                let tried = self.asked(&remedy)?.clone();
                if tried.remedy.undo {
                    // What made it worse is still to be taken back, whatever the component does now.
                    self.decision.asks.push(Ask::ProposeRemedy { remedy: tried.remedy, mode: tried.mode });
                    return Ok(());
                }
                let incident = tried.remedy.incident;
                self.emit(HealEvent::Released(Released { at, component, incident, remedy }))
            }
            Signal::RemedyNeedsApproval { remedy, approval } => {
                let tried = self.asked(&remedy)?.clone();
                let incident = tried.remedy.incident.clone();
                self.emit(HealEvent::Waiting(Waiting { approval, at, component, incident, remedy }))
            }
            Signal::RemedyRunEnded { run, ok, because } => {
                let Some(tried) = self.heal.running(&run).cloned() else { return Err(Refused::Run { run }) };
                let (incident, remedy) = (tried.remedy.incident.clone(), tried.remedy.key.clone());
                let because = because.filter(|_| !ok);
                self.emit(HealEvent::Ended(Ended { at, because, component, incident, ok, remedy, run }))?;
                self.after_undo(&tried)
            }
            Signal::Left => self.leave(),
            Signal::Acknowledge { incident, by } => {
                self.open(&incident)?;
                self.emit(HealEvent::Acknowledged(Acknowledged { at, by, component, incident }))
            }
            Signal::Close { incident, by } => {
                if let IncidentState::Running { run, .. } = &self.open(&incident)?.state {
                    return Err(Refused::UnderWay { run: run.clone(), incident });
                }
                self.withdraw(&incident);
                self.emit(HealEvent::Closed(Closed { at, by, component, incident }))
            }
        }
    }

    fn open(&self, incident: &IncidentId) -> Result<&Incident, Refused> {
        self.heal.incident(incident).ok_or_else(|| Refused::Incident { incident: incident.clone() })
    }

    /// The remedy of this key, while it can still be answered.
    fn asked(&self, key: &RemedyKey) -> Result<&Try, Refused> {
        let unanswered = self.heal.live().find(|tried| tried.remedy.key == *key);
        let run = self.heal.incidents().any(
            |incident| matches!(&incident.state, IncidentState::Running { tried, .. } if tried.remedy.key == *key),
        );
        let scales = self.heal.rescaling.as_ref().is_some_and(|one| one.run.is_some() && one.tried.remedy.key == *key);
        unanswered.filter(|_| !run && !scales).ok_or_else(|| Refused::Remedy { remedy: key.clone() })
    }

    /// Nothing is proposed any more, and what is not being carried out right now is over with the component.
    fn leave(&mut self) -> Step {
        let asked = self.heal.rescaling.as_ref().filter(|one| one.run.is_none());
        if let Some(remedy) = asked.map(|one| one.tried.remedy.key.clone()) {
            self.decision.asks.push(Ask::Withdraw { remedy });
        }
        let over: Vec<IncidentId> = self
            .heal
            .incidents()
            .filter(|incident| !matches!(incident.state, IncidentState::Running { .. }))
            .map(|incident| incident.id.clone())
            .collect();
        for incident in over {
            self.withdraw(&incident);
            self.resolve(&incident, Resolution::Gone)?;
        }
        Ok(())
    }

    fn withdraw(&mut self, incident: &IncidentId) {
        let key =
            self.heal.incident(incident).and_then(|incident| incident.state.live()).map(|tried| &tried.remedy.key);
        if let Some(remedy) = key.cloned() {
            self.decision.asks.push(Ask::Withdraw { remedy });
        }
    }

    fn settle(&mut self) -> Step {
        self.notice()?;
        let mut order: Vec<(Severity, Timestamp, IncidentId)> =
            self.heal.incidents().map(|one| (one.severity, one.opened_at, one.id.clone())).collect();
        order.sort_by(|one, two| two.0.cmp(&one.0).then_with(|| (one.1, &one.2).cmp(&(two.1, &two.2))));
        for (_, _, id) in order {
            self.advance(&id)?;
        }
        self.autoscale()
    }

    /// Opens an incident for each sign that fires and belongs to none.
    fn notice(&mut self) -> Step {
        for (sign, alert) in self.watch.firing(self.now) {
            let instance = sign.subject.instance().map(str::to_owned);
            let (at, component, seen) = (self.now, self.config.component.clone(), alert.seen.clone());
            if let Some(incident) = home(&self.heal, &sign) {
                if !incident.signs.contains(&sign) {
                    let (incident, symptom) = (incident.id.clone(), sign.symptom);
                    self.emit(HealEvent::Joined(Joined { at, component, incident, instance, seen, symptom }))?;
                }
                continue;
            }
            let incident = self.mint();
            self.emit(HealEvent::Opened(Opened {
                at,
                component,
                incident,
                instance,
                onset_at: alert.onset_at.min(at),
                related: related(&self.heal, alert.onset_at, self.config.bounds.together),
                seen,
                severity: self.severity(&sign),
                symptom: sign.symptom,
            }))?;
        }
        Ok(())
    }

    fn mint(&mut self) -> IncidentId {
        let id = IncidentId::mint(self.now.millis(), self.chance);
        for byte in self.chance.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        id
    }

    fn severity(&self, sign: &Fingerprint) -> Severity {
        match (&sign.symptom, self.watch.behaviour(self.config).healthy) {
            (_, 0) => Severity::Critical,
            (Symptom::Unseen, _) => Severity::Critical,
            (Symptom::Down | Symptom::Hung, _) => Severity::High,
            (Symptom::Leak | Symptom::Errors | Symptom::CpuBurn | Symptom::Slow | Symptom::Declared { .. }, _) => {
                Severity::Medium
            }
        }
    }

    fn advance(&mut self, id: &IncidentId) -> Step {
        let Some(incident) = self.heal.incident(id).cloned() else { return Ok(()) };
        match &incident.state {
            IncidentState::Running { .. } => Ok(()),
            IncidentState::Verifying { tried, ended_at } => self.look(&incident, tried, *ended_at),
            IncidentState::Escalated { at } => {
                match self.is_over(&incident, true).or_else(|| self.is_renewed(&incident, *at)) {
                    Some(because) => self.resolve(id, because),
                    None => Ok(()),
                }
            }
            IncidentState::Proposed { .. } | IncidentState::Waiting { .. } => match self.is_over(&incident, false) {
                Some(because) => {
                    self.withdraw(id);
                    self.resolve(id, because)
                }
                None => Ok(()),
            },
            IncidentState::Open | IncidentState::Shadowed => match self.is_over(&incident, false) {
                Some(because) => self.resolve(id, because),
                None => self.treat(&incident),
            },
        }
    }

    fn resolve(&mut self, id: &IncidentId, because: Resolution) -> Step {
        let (at, component, incident) = (self.now, self.config.component.clone(), id.clone());
        self.emit(HealEvent::Resolved(Resolved { at, because, component, incident }))
    }

    /// Whether somebody started everything anew that an escalated incident is about, and it serves: writ itself has not touched
    /// it since, and what fails from now on is another matter.
    fn is_renewed(&self, incident: &Incident, escalated_at: Timestamp) -> Option<Resolution> {
        let renewed = |sign: &Fingerprint| {
            let Some(name) = sign.subject.instance() else {
                // What stood before the instances answers again.
                let quiet = self.watch.alert(sign).is_some_and(|alert| alert.is_quiet_since(escalated_at));
                return sign.symptom == Symptom::Unseen && quiet;
            };
            let anew = self.watch.instance(name).is_some_and(|known| known.started_at > escalated_at && known.serves());
            let quiet = self.watch.alert(sign).is_none_or(|alert| alert.is_quiet_since(escalated_at));
            self.watch.is_gone(name) || (anew && quiet)
        };
        incident.signs.iter().all(renewed).then_some(Resolution::Cleared)
    }

    /// Whether data from after the incident's opening shows every sign gone; `calmly`: and for long.
    fn is_over(&self, incident: &Incident, calmly: bool) -> Option<Resolution> {
        let gone = |sign: &Fingerprint| sign.subject.instance().is_some_and(|name| self.watch.is_gone(name));
        let away = |sign: &Fingerprint| {
            self.watch.alert(sign).is_some_and(|alert| {
                let calm = alert.away_since.is_some_and(|since| self.now.since(since) >= self.config.bounds.calm);
                let fresh = alert.checked_at.is_some_and(|at| self.now.since(at) <= self.config.bounds.freshness);
                alert.is_quiet_since(incident.opened_at) && (!calmly || (calm && fresh))
            })
        };
        if incident.signs.iter().all(gone) {
            return Some(Resolution::Gone);
        }
        incident.signs.iter().all(|sign| gone(sign) || away(sign)).then_some(Resolution::Cleared)
    }

    /// People who said no, or nothing, are not asked the same again.
    fn after_denial(&mut self, tried: &Try, by: DeniedBy) -> Step {
        let because = match by {
            DeniedBy::Gate => return self.after_undo(tried),
            DeniedBy::Person => EscalationReason::Rejected,
            DeniedBy::Nobody => EscalationReason::Unanswered,
        };
        match tried.remedy.incident.as_ref().and_then(|id| self.heal.incident(id)).cloned() {
            Some(incident) => self.escalate(&incident, because),
            None => Ok(()),
        }
    }

    pub(crate) fn hold(&mut self, incident: &Incident, because: HoldReason, until: Option<Timestamp>) -> Step {
        if incident.held.contains(&because) {
            return Ok(());
        }
        let (at, component, incident) = (self.now, self.config.component.clone(), incident.id.clone());
        self.emit(HealEvent::Held(Held { at, because, component, incident, until }))
    }

    pub(crate) fn escalate(&mut self, incident: &Incident, because: EscalationReason) -> Step {
        let component = self.config.component.clone();
        let (at, attempts, incident) = (self.now, incident.attempts, incident.id.clone());
        self.emit(HealEvent::Escalated(Escalated { at, attempts, because, component, incident }))
    }

    /// Looks whether a remedy helped.
    fn look(&mut self, incident: &Incident, tried: &Try, ended_at: Timestamp) -> Step {
        let elapsed = self.now.since(ended_at);
        let after = self.watch.behaviour(self.config);
        let signs: Vec<Sign> = incident.signs.iter().map(|sign| self.sign(sign, tried, ended_at)).collect();
        let judged = judge(&signs, &tried.before, &after, elapsed, self.config.recovery.timeout);
        let Judgement::Settled { outcome, worse } = judged else {
            self.wake(ended_at.plus(next_look(elapsed)));
            return Ok(());
        };
        self.emit(HealEvent::Verified(Verified {
            after,
            at: self.now,
            component: self.config.component.clone(),
            incident: incident.id.clone(),
            looks: looks(elapsed),
            outcome,
            remedy: tried.remedy.key.clone(),
            worse,
        }))?;
        if outcome == Verification::Succeeded {
            return self.resolve(&incident.id, Resolution::Verified);
        }
        if worse {
            return self.undo(incident, tried);
        }
        if incident.attempts >= self.config.recovery.max_attempts {
            return self.escalate(incident, EscalationReason::Attempts);
        }
        self.wake(self.heal.incident(&incident.id).map_or(self.now, |incident| incident.not_before));
        Ok(())
    }

    /// What the newest data says of one sign of an incident after a remedy.
    fn sign(&self, sign: &Fingerprint, tried: &Try, ended_at: Timestamp) -> Sign {
        if sign.subject.instance().is_some_and(|name| self.watch.is_gone(name)) {
            return Sign::Cleared;
        }
        let restarted = sign
            .subject
            .instance()
            .filter(|_| !tried.remedy.action.scales())
            .and_then(|name| tried.remedy.targets.iter().find(|target| target.instance == name));
        let alert = self.watch.alert(sign).filter(|alert| alert.checked_at.is_some());
        let newer = match restarted {
            // An instance's alerts begin anew with each start, so whatever they say is about the new one.
            Some(target) => {
                let there = self.watch.instance(&target.instance).map_or(0, |known| known.generation);
                alert.filter(|_| there >= target.generation)
            }
            None => alert.filter(|alert| alert.checked_from.is_some_and(|from| from >= ended_at)),
        };
        match newer {
            None => Sign::Unseen,
            Some(alert) if !alert.holds => Sign::Cleared,
            Some(_) if restarted.is_some() && sign.symptom == Symptom::Down => Sign::Returned,
            Some(_) => Sign::Persists,
        }
    }
}
