//! Incidents, and the healing of one component as the fold of its events.

use crate::budget::Spent;
use crate::config::{Config, Mode};
use crate::correlate::{Fingerprint, Subject};
use crate::detect::Symptom;
use crate::event::{DeniedBy, HealEvent, HoldReason, Opened, Proposed};
use crate::remedy::{Remedy, RemedyAction, RemedyKey};
use crate::verify::{Behaviour, delay};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use writ_core::{ApprovalId, ComponentId, IncidentId, RunId, Severity, Timestamp};

/// How an incident ended without a person closing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// A remedy was seen to help.
    Verified,
    /// The symptom went away.
    Cleared,
    /// What it was about is no part of the component any more.
    Gone,
}

/// A remedy and what it is to be judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// The remedy.
    pub remedy: Remedy,
    /// How the component did before.
    pub before: Behaviour,
    /// Whether a person must agree.
    pub mode: Mode,
}

impl Try {
    fn of(event: &Proposed) -> Self {
        Self { remedy: event.remedy.clone(), before: event.before, mode: event.mode }
    }
}

/// How far a remedy had come of which nothing was concluded yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It was proposed, and nothing more is known of it.
    Asked,
    /// People were asked.
    Waits,
    /// It was being carried out.
    Runs,
}

/// Where an incident stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncidentState {
    /// It waits for a remedy to be due.
    Open,
    /// It was recorded what would have been done.
    Shadowed,
    /// A remedy was proposed and not answered yet.
    Proposed {
        /// The remedy.
        tried: Try,
    },
    /// A remedy waits for a person.
    Waiting {
        /// The remedy.
        tried: Try,
        /// What is waited for.
        approval: ApprovalId,
    },
    /// A remedy is carried out.
    Running {
        /// The remedy.
        tried: Try,
        /// The run.
        run: RunId,
    },
    /// It is looked whether a remedy helped.
    Verifying {
        /// The remedy.
        tried: Try,
        /// When its run ended.
        ended_at: Timestamp,
    },
    /// A person must act; nothing more is tried.
    Escalated {
        /// Since when.
        at: Timestamp,
    },
}

impl IncidentState {
    /// The state's name.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            IncidentState::Open => "open",
            IncidentState::Shadowed => "shadowed",
            IncidentState::Proposed { .. } => "proposed",
            IncidentState::Waiting { .. } => "waiting",
            IncidentState::Running { .. } => "running",
            IncidentState::Verifying { .. } => "verifying",
            IncidentState::Escalated { .. } => "escalated",
        }
    }

    /// The remedy that holds a reservation on instances: proposed, waiting or running.
    pub(crate) fn live(&self) -> Option<&Try> {
        match self {
            IncidentState::Proposed { tried }
            | IncidentState::Waiting { tried, .. }
            | IncidentState::Running { tried, .. } => Some(tried),
            IncidentState::Open
            | IncidentState::Shadowed
            | IncidentState::Verifying { .. }
            | IncidentState::Escalated { .. } => None,
        }
    }
}

/// A symptom and all that is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The beginning of the data that first showed it.
    pub onset_at: Timestamp,
    /// When it was noticed for good.
    pub opened_at: Timestamp,
    /// Its signs.
    pub signs: BTreeSet<Fingerprint>,
    /// How bad it is.
    pub severity: Severity,
    /// Attempts spent.
    pub attempts: u32,
    /// Where it stands.
    pub state: IncidentState,
    /// When a person first said to have seen it.
    pub acknowledged_at: Option<Timestamp>,
    /// Nothing is tried before then.
    pub not_before: Timestamp,
    /// Why a remedy had to wait, as said since the last one.
    pub held: BTreeSet<HoldReason>,
    /// Whether the last remedy was not allowed.
    pub denied: bool,
}

impl Incident {
    fn new(event: &Opened) -> Self {
        Self {
            id: event.incident.clone(),
            onset_at: event.onset_at,
            opened_at: event.at,
            signs: BTreeSet::from([fingerprint(event.instance.as_ref(), &event.symptom)]),
            severity: event.severity,
            attempts: 0,
            state: IncidentState::Open,
            acknowledged_at: None,
            not_before: event.at,
            held: BTreeSet::new(),
            denied: false,
        }
    }

    /// Whether it is this instance's trouble, or a remedy of it touches the instance.
    #[must_use]
    pub fn is_about(&self, instance: &str) -> bool {
        let touched = match &self.state {
            IncidentState::Proposed { tried }
            | IncidentState::Waiting { tried, .. }
            | IncidentState::Running { tried, .. }
            | IncidentState::Verifying { tried, .. } => {
                tried.remedy.targets.iter().any(|target| target.instance == instance)
            }
            IncidentState::Open | IncidentState::Shadowed | IncidentState::Escalated { .. } => false,
        };
        touched || self.signs.iter().any(|sign| sign.subject.instance() == Some(instance))
    }

    /// Back to waiting, for a while that grows with each attempt.
    fn back_off(&mut self, at: Timestamp) {
        self.state = IncidentState::Open;
        self.not_before = at.plus(delay(self.attempts.saturating_sub(1)));
    }
}

fn fingerprint(instance: Option<&String>, symptom: &Symptom) -> Fingerprint {
    let subject = instance.map_or(Subject::Component, |name| Subject::Instance(name.clone()));
    Fingerprint { subject, symptom: symptom.clone() }
}

/// The autoscaler's remedy under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rescaling {
    pub(crate) tried: Try,
    pub(crate) approval: Option<ApprovalId>,
    pub(crate) run: Option<RunId>,
}

/// An event does not fit the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` cannot happen to `{subject}`, which is {state}")]
pub struct Illegal {
    /// The event's kind.
    pub event: &'static str,
    /// What it is about.
    pub subject: String,
    /// The state's name.
    pub state: &'static str,
}

/// The healing of one component: open incidents, reservations and modes. Nothing in it is not in an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heal {
    pub(crate) component: ComponentId,
    incidents: BTreeMap<IncidentId, Incident>,
    modes: BTreeMap<RemedyAction, Mode>,
    pub(crate) spent: Spent,
    /// The highest generation that a remedy ever asked for, by instance.
    pub(crate) demanded: BTreeMap<String, u64>,
    pub(crate) rescaling: Option<Rescaling>,
    pub(crate) rescalings: u64,
    /// The count that the autoscaler would have gone to, as said last.
    pub(crate) shadowed: Option<u64>,
    /// When people last did not let the autoscaler through.
    pub(crate) declined_at: Option<Timestamp>,
}

impl Heal {
    /// A component to which nothing has happened.
    #[must_use]
    pub fn new(component: ComponentId) -> Self {
        Self {
            component,
            incidents: BTreeMap::new(),
            modes: BTreeMap::new(),
            spent: Spent::default(),
            demanded: BTreeMap::new(),
            rescaling: None,
            rescalings: 0,
            shadowed: None,
            declined_at: None,
        }
    }

    /// The component's healing after these events.
    ///
    /// # Errors
    /// The first event that does not fit.
    pub fn fold<'a>(component: ComponentId, events: impl IntoIterator<Item = &'a HealEvent>) -> Result<Self, Illegal> {
        let mut heal = Self::new(component);
        for event in events {
            heal.apply(event)?;
        }
        Ok(heal)
    }

    /// Open incidents, by id.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }

    /// The open incident with this id.
    #[must_use]
    pub fn incident(&self, id: &IncidentId) -> Option<&Incident> {
        self.incidents.get(id)
    }

    /// How far an action may go.
    #[must_use]
    pub fn mode(&self, config: &Config, action: RemedyAction) -> Mode {
        let set = self.modes.get(&action).or_else(|| config.modes.get(&action));
        set.copied().unwrap_or(config.default_mode)
    }

    /// Attempts spent on incidents within a span, of at most an hour.
    #[must_use]
    pub fn attempts_within(&self, span: std::time::Duration, now: Timestamp) -> u64 {
        self.spent.recoveries(span, now)
    }

    /// When attempts were spent on incidents, in the last hour.
    pub fn recoveries(&self) -> impl Iterator<Item = Timestamp> {
        self.spent.times()
    }

    /// Remedies that hold a reservation: proposed, waiting or running.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Try> {
        let rescaling = self.rescaling.as_ref().map(|rescaling| &rescaling.tried);
        self.incidents.values().filter_map(|incident| incident.state.live()).chain(rescaling)
    }

    /// Remedies of which nothing was concluded yet, and how far each had come.
    pub fn unfinished(&self) -> impl Iterator<Item = (&Try, Stage)> {
        let own = self.incidents.values().filter_map(|incident| match &incident.state {
            IncidentState::Proposed { tried } => Some((tried, Stage::Asked)),
            IncidentState::Waiting { tried, .. } => Some((tried, Stage::Waits)),
            IncidentState::Running { tried, .. } => Some((tried, Stage::Runs)),
            IncidentState::Open
            | IncidentState::Shadowed
            | IncidentState::Verifying { .. }
            | IncidentState::Escalated { .. } => None,
        });
        let rescaling = self.rescaling.as_ref().map(|one| match (&one.run, &one.approval) {
            (Some(_), _) => (&one.tried, Stage::Runs),
            (None, Some(_)) => (&one.tried, Stage::Waits),
            (None, None) => (&one.tried, Stage::Asked),
        });
        own.chain(rescaling)
    }

    /// The remedy that this run carries out.
    pub(crate) fn running(&self, run: &RunId) -> Option<&Try> {
        let own = self.incidents.values().find_map(|incident| match &incident.state {
            IncidentState::Running { tried, run: its } if its == run => Some(tried),
            IncidentState::Running { .. }
            | IncidentState::Open
            | IncidentState::Shadowed
            | IncidentState::Proposed { .. }
            | IncidentState::Waiting { .. }
            | IncidentState::Verifying { .. }
            | IncidentState::Escalated { .. } => None,
        });
        own.or_else(|| self.rescaling.as_ref().filter(|one| one.run.as_ref() == Some(run)).map(|one| &one.tried))
    }

    /// Takes in one event.
    ///
    /// # Errors
    /// When it does not fit the state; nothing has changed then.
    pub fn apply(&mut self, event: &HealEvent) -> Result<(), Illegal> {
        let held = self.held(event).cloned();
        if let HealEvent::Opened(opened) = event {
            if self.incidents.contains_key(&opened.incident) {
                return Err(illegal(event, &opened.incident, "open"));
            }
            self.incidents.insert(opened.incident.clone(), Incident::new(opened));
        } else if let Some(id) = event.incident() {
            let incident = self.incidents.get_mut(id).ok_or_else(|| illegal(event, id, "not open"))?;
            if incident.takes(event)? == Fate::Over {
                self.incidents.remove(id);
            }
        } else {
            self.rescale(event)?;
        }
        if let HealEvent::Proposed(proposed) = event {
            self.reserve(proposed);
        }
        if let (HealEvent::Released(_), Some(tried)) = (event, held) {
            self.spent.give_back(tried.remedy.action, single(&tried.remedy));
        }
        Ok(())
    }

    /// The remedy that an event releases.
    fn held(&self, event: &HealEvent) -> Option<&Try> {
        let HealEvent::Released(event) = event else { return None };
        self.live().find(|tried| tried.remedy.key == event.remedy)
    }

    /// What happens to the component as a whole: modes, and the autoscaler's remedies.
    fn rescale(&mut self, event: &HealEvent) -> Result<(), Illegal> {
        let own = |one: &Rescaling, key: &RemedyKey| one.tried.remedy.key == *key;
        match (&mut self.rescaling, event) {
            (_, HealEvent::ModeSet(event)) => {
                self.modes.insert(event.action, event.mode);
            }
            (_, HealEvent::ModeEnded(event)) => {
                self.modes.remove(&event.action);
            }
            // What people say decides nothing until somebody cites it.
            (_, HealEvent::Judged(_)) => {}
            (_, HealEvent::Shadowed(event)) => self.shadowed = event.remedy.count,
            (None, HealEvent::Proposed(event)) => {
                self.rescalings += 1;
                self.shadowed = None;
                self.rescaling = Some(Rescaling { tried: Try::of(event), approval: None, run: None });
            }
            (Some(one), HealEvent::Waiting(event)) if own(one, &event.remedy) && one.run.is_none() => {
                one.approval = Some(event.approval.clone());
            }
            (Some(one), HealEvent::Started(event)) if own(one, &event.remedy) && one.run.is_none() => {
                one.run = Some(event.run.clone());
            }
            (Some(one), HealEvent::Denied(event)) if own(one, &event.remedy) && one.run.is_none() => {
                self.declined_at = (event.by != DeniedBy::Gate).then_some(event.at).or(self.declined_at);
                self.rescaling = None;
            }
            (Some(one), HealEvent::Released(event)) if own(one, &event.remedy) && one.run.is_none() => {
                self.rescaling = None;
            }
            (Some(one), HealEvent::Ended(event)) if own(one, &event.remedy) && one.run.is_some() => {
                self.rescaling = None;
            }
            (one, event) => {
                let state = if one.is_some() { "being scaled" } else { "not being scaled" };
                return Err(illegal(event, &self.component, state));
            }
        }
        Ok(())
    }

    /// Counts a proposal against every budget, whatever comes of it.
    fn reserve(&mut self, event: &Proposed) {
        let remedy = &event.remedy;
        self.spent.note(event.at, remedy.action, single(remedy), remedy.incident.is_some());
        if !remedy.action.scales() {
            for target in &remedy.targets {
                let highest = self.demanded.entry(target.instance.clone()).or_default();
                *highest = target.generation.max(*highest);
            }
        }
    }
}

/// The one instance that a remedy is about, if it is about one.
fn single(remedy: &Remedy) -> Option<&str> {
    match remedy.action {
        RemedyAction::RestartInstance => remedy.targets.first().map(|target| target.instance.as_str()),
        RemedyAction::RestartService | RemedyAction::ScaleOut | RemedyAction::ScaleIn => None,
        RemedyAction::RestoreBalancer => None,
    }
}

/// Whether an incident goes on after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Over,
}

impl Incident {
    /// Takes in one event of its own. Every transition there is stands here; others are refused.
    fn takes(&mut self, event: &HealEvent) -> Result<Fate, Illegal> {
        use IncidentState::{Escalated, Open, Proposed as Asked, Running, Shadowed, Verifying, Waiting};
        match (&self.state, event) {
            (_, HealEvent::Joined(event)) => {
                self.signs.insert(fingerprint(event.instance.as_ref(), &event.symptom));
            }
            (_, HealEvent::Held(event)) => {
                self.held.insert(event.because);
            }
            (_, HealEvent::Acknowledged(event)) => {
                self.acknowledged_at.get_or_insert(event.at);
            }
            (Open, HealEvent::Shadowed(_)) => self.state = Shadowed,
            (Open | Shadowed, HealEvent::Proposed(event)) => {
                self.attempts += u32::from(!event.remedy.undo);
                self.held.clear();
                self.denied = false;
                self.state = Asked { tried: Try::of(event) };
            }
            (Asked { tried }, HealEvent::Waiting(event)) if tried.remedy.key == event.remedy => {
                self.state = Waiting { tried: tried.clone(), approval: event.approval.clone() };
            }
            (Asked { tried } | Waiting { tried, .. }, HealEvent::Denied(event)) if tried.remedy.key == event.remedy => {
                self.denied = true;
                self.back_off(event.at);
            }
            (Asked { tried }, HealEvent::Released(event)) if tried.remedy.key == event.remedy => {
                self.attempts = self.attempts.saturating_sub(u32::from(!tried.remedy.undo));
                self.not_before = event.at;
                self.state = Open;
            }
            (Asked { tried } | Waiting { tried, .. }, HealEvent::Started(event))
                if tried.remedy.key == event.remedy =>
            {
                self.state = Running { tried: tried.clone(), run: event.run.clone() };
            }
            (Running { tried, run }, HealEvent::Ended(event)) if *run == event.run => {
                if event.ok && !tried.remedy.undo {
                    self.state = Verifying { tried: tried.clone(), ended_at: event.at };
                } else {
                    self.back_off(event.at);
                }
            }
            (Verifying { .. }, HealEvent::Verified(event)) => self.back_off(event.at),
            (Open | Shadowed, HealEvent::Escalated(event)) => {
                self.state = Escalated { at: event.at };
                self.severity = Severity::Critical;
            }
            (
                Open | Shadowed | Asked { .. } | Waiting { .. } | Verifying { .. } | Escalated { .. },
                HealEvent::Resolved(_),
            )
            | (
                Open | Shadowed | Asked { .. } | Waiting { .. } | Verifying { .. } | Escalated { .. },
                HealEvent::Closed(_),
            ) => return Ok(Fate::Over),
            (state, event) => return Err(illegal(event, &self.id, state.label())),
        }
        Ok(Fate::Open)
    }
}

fn illegal(event: &HealEvent, subject: &impl std::fmt::Display, state: &'static str) -> Illegal {
    Illegal { event: event.kind(), subject: subject.to_string(), state }
}
