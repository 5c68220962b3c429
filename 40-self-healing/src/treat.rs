//! Which remedy, how much of it, and whether it may be proposed now.

use crate::config::Mode;
use crate::correlate::{Fingerprint, Subject};
use crate::decide::{Step, Work};
use crate::detect::Symptom;
use crate::event::{EscalationReason, HealEvent, HoldReason, Proposed, Shadowed};
use crate::incident::{Incident, IncidentState, Try};
use crate::remedy::{Blast, Remedy, RemedyAction, RemedyKey, Target, dispensable};
use crate::scale::Advice;

/// How long the autoscaler asks for nothing after people did not agree.
const DECLINED: std::time::Duration = std::time::Duration::from_secs(3_600);

impl Work<'_> {
    /// Proposes a remedy for an open incident if one is due and every budget has room.
    pub(crate) fn treat(&mut self, incident: &Incident) -> Step {
        if !self.config.enabled {
            return Ok(());
        }
        let Some((sign, action)) = self.worst(incident) else { return Ok(()) };
        let Some(alert) = self.watch.alert(&sign) else { return Ok(()) };
        let mode = self.heal.mode(self.config, action);
        if mode == Mode::Shadow && incident.state == IncidentState::Shadowed {
            return Ok(());
        }
        if incident.attempts >= self.config.recovery.max_attempts {
            let denied = if incident.denied { EscalationReason::Denied } else { EscalationReason::Attempts };
            return self.escalate(incident, denied);
        }
        if incident.not_before > self.now {
            self.wake(incident.not_before);
            return Ok(());
        }
        if action != RemedyAction::RestoreBalancer && self.is_blind() {
            return self.hold(incident, HoldReason::Unseen, None);
        }
        if alert.checked_at.is_none_or(|at| self.now.since(at) > self.config.bounds.freshness) {
            return self.hold(incident, HoldReason::Stale, None);
        }
        let remedy = match self.remedy(incident, &sign, action) {
            Ok(remedy) => remedy,
            Err(Unfit::AtMost) => return self.escalate(incident, EscalationReason::AtMost),
            Err(Unfit::Held(because)) => return self.hold(incident, because, None),
        };
        let (at, because) = (self.now, alert.seen.clone());
        if mode == Mode::Shadow {
            return self.emit(HealEvent::Shadowed(Shadowed { at, because, remedy }));
        }
        let single = (action == RemedyAction::RestartInstance)
            .then(|| remedy.targets.first().map(|target| target.instance.clone()))
            .flatten();
        if let Some(until) = self.config.budgets.cooling(&self.heal.spent, action, single.as_deref(), self.now) {
            self.wake(until);
            return self.hold(incident, HoldReason::CoolDown, Some(until));
        }
        if let Some(until) = self.config.budgets.crowded(&self.heal.spent, self.now) {
            if until.since(self.now) > self.config.budgets.patience {
                return self.escalate(incident, EscalationReason::Budget);
            }
            self.wake(until);
            return self.hold(incident, HoldReason::Budget, Some(until));
        }
        self.propose(remedy, because, mode)
    }

    fn propose(&mut self, remedy: Remedy, because: String, mode: Mode) -> Step {
        self.decision.asks.push(crate::Ask::ProposeRemedy { remedy: remedy.clone(), mode });
        let before = self.watch.behaviour(self.config);
        self.emit(HealEvent::Proposed(Proposed { at: self.now, because, before, mode, remedy }))
    }

    /// Whether nothing is seen of the component and writ itself is about to see to that: whatever is behind a balancer that does
    /// not answer can neither be brought into service nor be judged.
    fn is_blind(&self) -> bool {
        let sign = Fingerprint { subject: Subject::Component, symptom: Symptom::Unseen };
        let left = |incident: &Incident| {
            matches!(incident.state, IncidentState::Escalated { .. } | IncidentState::Shadowed)
                && incident.signs.contains(&sign)
        };
        self.watch.alert(&sign).is_some_and(|alert| alert.holds) && !self.heal.incidents().any(left)
    }

    /// The gravest sign that fires now and has an answer: what stands before the instances, then an instance's, then the
    /// component's.
    fn worst(&self, incident: &Incident) -> Option<(Fingerprint, RemedyAction)> {
        let fires = |sign: &&Fingerprint| {
            let gone = sign.subject.instance().is_some_and(|name| self.watch.is_gone(name));
            !gone && self.watch.alert(sign).is_some_and(|alert| alert.fires())
        };
        let mut signs: Vec<&Fingerprint> = incident.signs.iter().filter(fires).collect();
        let rank = |sign: &Fingerprint| match (&sign.symptom, &sign.subject) {
            (Symptom::Unseen, _) => 0,
            (_, Subject::Instance(_)) => 1,
            (_, Subject::Component) => 2,
        };
        signs.sort_by_key(|sign| (rank(sign), &sign.symptom));
        signs.into_iter().find_map(|sign| Some((sign.clone(), self.config.answer(&sign.symptom)?)))
    }

    fn remedy(&self, incident: &Incident, sign: &Fingerprint, action: RemedyAction) -> Result<Remedy, Unfit> {
        let (total, healthy) = (self.watch.count(), self.watch.behaviour(self.config).healthy);
        let (targets, count) = match action {
            RemedyAction::RestartInstance => {
                let name = sign.subject.instance().unwrap_or_default();
                (self.next_start(name).into_iter().collect(), None)
            }
            RemedyAction::RestartService => {
                let given_up = |name: &str| {
                    self.heal
                        .incidents()
                        .any(|other| matches!(other.state, IncidentState::Escalated { .. }) && other.is_about(name))
                };
                let names = self.watch.instances().map(|(name, _)| name).filter(|name| !given_up(name));
                (names.filter_map(|name| self.next_start(name)).collect(), None)
            }
            RemedyAction::ScaleOut => {
                let most = self.config.scaling.as_ref().map_or(total, |scaling| scaling.max);
                (vec![], Some(Some(total + 1).filter(|to| *to <= most).ok_or(Unfit::AtMost)?))
            }
            RemedyAction::ScaleIn => {
                let least = self.config.scaling.as_ref().map_or(total, |scaling| scaling.min);
                let to = total.checked_sub(1).filter(|to| *to >= least);
                (self.dispensable(), Some(to.ok_or(Unfit::Held(HoldReason::AtLeast))?))
            }
            RemedyAction::RestoreBalancer => (vec![], None),
        };
        let touches_none = matches!(action, RemedyAction::ScaleOut | RemedyAction::RestoreBalancer);
        if targets.is_empty() && !touches_none {
            return Err(Unfit::Held(HoldReason::Stale));
        }
        let width = self.room(action, &targets, total)?;
        let attempt = incident.attempts + 1;
        let key = RemedyKey(format!("{}/{attempt}", incident.id));
        let affected = count.map_or(targets.len() as u64, |to| to.abs_diff(total));
        Ok(Remedy {
            action,
            attempt,
            blast: Blast { affected, healthy, total },
            component: self.config.component.clone(),
            count,
            incident: Some(incident.id.clone()),
            key,
            targets,
            timeout_ms: millis(self.config.recovery.timeout),
            undo: false,
            width,
        })
    }

    /// The start after every one that was seen or asked for: an ensure for a generation that ever was would do nothing.
    fn next_start(&self, name: &str) -> Option<Target> {
        let seen = self.watch.instance(name)?.generation;
        let asked = self.heal.demanded.get(name).copied().unwrap_or(0);
        Some(Target { generation: seen.max(asked) + 1, instance: name.to_owned() })
    }

    fn dispensable(&self) -> Vec<Target> {
        let instances: Vec<_> = self
            .watch
            .instances()
            .map(|(name, known)| (name, known.generation, known.health, known.zone.as_str()))
            .collect();
        dispensable(&instances).into_iter().collect()
    }

    /// How many of the targets may be touched at once beside what is touched already.
    fn room(&self, action: RemedyAction, targets: &[Target], total: u64) -> Result<u64, Unfit> {
        let touched = |name: &str| {
            self.heal.live().any(|tried| tried.remedy.targets.iter().any(|target| target.instance == name))
        };
        let scales = self.heal.live().any(|tried| tried.remedy.action.scales());
        if targets.iter().any(|target| touched(&target.instance)) || (action.scales() && scales) {
            return Err(Unfit::Held(HoldReason::Busy));
        }
        if action.scales() || targets.is_empty() {
            return Ok(1);
        }
        let restarts = self.heal.live().filter(|tried| !tried.remedy.action.scales());
        let used: u64 = restarts.map(|tried| tried.remedy.width).sum();
        match self.config.budgets.at_once(total).saturating_sub(used) {
            0 => Err(Unfit::Held(HoldReason::AtOnce)),
            room => Ok(room.min(targets.len() as u64)),
        }
    }

    /// Takes back what made it worse, if anything can; otherwise it is a person's.
    pub(crate) fn undo(&mut self, incident: &Incident, tried: &Try) -> Step {
        let mode = self.heal.mode(self.config, RemedyAction::ScaleIn);
        let (total, healthy) = (self.watch.count(), self.watch.behaviour(self.config).healthy);
        let least = self.config.scaling.as_ref().map_or(total, |scaling| scaling.min);
        let to = total.checked_sub(1).filter(|to| *to >= least);
        let targets = self.dispensable();
        let (RemedyAction::ScaleOut, Some(to), false, false) =
            (tried.remedy.action, to, mode == Mode::Shadow, targets.is_empty())
        else {
            return self.escalate(incident, EscalationReason::Worse);
        };
        if self.room(RemedyAction::ScaleIn, &targets, total).is_err() {
            return self.escalate(incident, EscalationReason::Worse);
        }
        let key = RemedyKey(format!("{}/undo", tried.remedy.key));
        let blast = Blast { affected: 1, healthy, total };
        let remedy = Remedy {
            action: RemedyAction::ScaleIn,
            blast,
            count: Some(to),
            key,
            targets,
            undo: true,
            ..tried.remedy.clone()
        };
        self.propose(remedy, "the component does worse than before".to_owned(), mode)
    }

    /// Once an undo has ended, however it did, a person takes over.
    pub(crate) fn after_undo(&mut self, tried: &Try) -> Step {
        let incident = tried.remedy.incident.as_ref().filter(|_| tried.remedy.undo);
        match incident.and_then(|id| self.heal.incident(id)).cloned() {
            Some(incident) => self.escalate(&incident, EscalationReason::Worse),
            None => Ok(()),
        }
    }

    pub(crate) fn autoscale(&mut self) -> Step {
        let Some(scaling) = &self.config.scaling else { return Ok(()) };
        let load = self.watch.load();
        let fresh = load.seen_at.is_some_and(|at| self.now.since(at) <= self.config.bounds.freshness);
        let scales = self.heal.live().any(|tried| tried.remedy.action.scales());
        if !self.config.enabled || !fresh || scales || self.is_blind() {
            return Ok(());
        }
        let total = self.watch.count();
        let (action, to, because, targets) = match load.advise(scaling, total, self.now) {
            Advice::Hold => return Ok(()),
            Advice::Out { to, because } => (RemedyAction::ScaleOut, to, because, vec![]),
            // Whoever is ill or being healed is not to lose a peer.
            Advice::In { .. } if self.heal.incidents().next().is_some() => return Ok(()),
            Advice::In { to, because } => (RemedyAction::ScaleIn, to, because, self.dispensable()),
        };
        if action == RemedyAction::ScaleIn && targets.is_empty() {
            return Ok(());
        }
        if let Some(until) = self.heal.declined_at.map(|at| at.plus(DECLINED)).filter(|until| *until > self.now) {
            self.wake(until);
            return Ok(());
        }
        let mode = self.heal.mode(self.config, action);
        let remedy = Remedy {
            action,
            attempt: 0,
            blast: Blast { affected: to.abs_diff(total), healthy: self.watch.behaviour(self.config).healthy, total },
            component: self.config.component.clone(),
            count: Some(to),
            incident: None,
            key: RemedyKey(format!("scale/{}/{}", self.config.component, self.heal.rescalings + 1)),
            targets,
            timeout_ms: millis(self.config.recovery.timeout),
            undo: false,
            width: 1,
        };
        if mode == Mode::Shadow {
            if self.heal.shadowed == Some(to) {
                return Ok(());
            }
            return self.emit(HealEvent::Shadowed(Shadowed { at: self.now, because, remedy }));
        }
        // Growing may follow growing after its own cool-down; shrinking waits for the last change in either direction.
        let own = self.config.budgets.cooling(&self.heal.spent, action, None, self.now);
        let other = self.config.budgets.calm_after_growth(&self.heal.spent, self.now);
        let until = if action == RemedyAction::ScaleIn { own.max(other) } else { own };
        match until {
            Some(until) => {
                self.wake(until);
                Ok(())
            }
            None => self.propose(remedy, because, mode),
        }
    }
}

/// Why there is no remedy to propose.
enum Unfit {
    AtMost,
    Held(HoldReason),
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
