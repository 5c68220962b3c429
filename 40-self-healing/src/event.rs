//! What this layer has to say in the journal. Kinds are for ever; bodies hold no floats.

use crate::config::Mode;
use crate::detect::Symptom;
use crate::incident::Resolution;
use crate::remedy::{Remedy, RemedyAction, RemedyKey};
use crate::verify::{Behaviour, Verification};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use writ_core::{
    Actor, ApprovalId, ComponentId, Draft, Event, EventId, IncidentId, Outcome, PrincipalId, RunId, Severity,
    Timestamp, Window,
};

/// A symptom became an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// When it was noticed for good.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
    /// The incident's id.
    pub incident: IncidentId,
    /// The instance, if it is one instance's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The beginning of the data that first showed it.
    pub onset_at: Timestamp,
    /// Other incidents that began at about the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<IncidentId>,
    /// What showed it, with the values.
    pub seen: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    #[serde(flatten)]
    pub symptom: Symptom,
}

/// Another sign of the same trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// When it was noticed.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
    /// The incident it belongs to.
    pub incident: IncidentId,
    /// The instance, if it is one instance's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What showed it, with the values.
    pub seen: String,
    /// What is wrong.
    #[serde(flatten)]
    pub symptom: Symptom,
}

/// A remedy was decided on. This is also the reservation: the attempt is spent, whatever comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// When.
    pub at: Timestamp,
    /// What showed that it is needed, with the values.
    pub because: String,
    /// How the component did before.
    pub before: Behaviour,
    /// Whether a person must agree.
    pub mode: Mode,
    /// The remedy.
    pub remedy: Remedy,
}

/// What would have been done, had the mode allowed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadowed {
    /// When.
    pub at: Timestamp,
    /// What showed that it is needed, with the values.
    pub because: String,
    /// The remedy that was not proposed.
    pub remedy: Remedy,
}

/// Why a remedy has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The same was done a moment ago.
    CoolDown,
    /// No room in an allowance.
    Budget,
    /// The newest data is older than the freshness bound.
    Stale,
    /// As many instances as may be are being touched already.
    AtOnce,
    /// Another remedy is at work on the same instance, or on the count.
    Busy,
    /// There are as few instances as there may be.
    AtLeast,
    /// Somebody has pulled a kill switch.
    KillSwitch,
    /// Every agent that could do it is away or busy.
    NoAgent,
    /// It failed again and again at the provider, for whomever, and is left alone for a while.
    Breaker,
    /// Nothing is seen of the component, and what stands before it comes first.
    Unseen,
}

impl HoldReason {
    /// The reason as people say it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            HoldReason::CoolDown => "the same was done a moment ago",
            HoldReason::Budget => "the budget has no room",
            HoldReason::Stale => "what is known is too old",
            HoldReason::AtOnce => "as many as may be are touched already",
            HoldReason::Busy => "another remedy is at work there",
            HoldReason::AtLeast => "there are as few instances as there may be",
            HoldReason::KillSwitch => "a kill switch is pulled",
            HoldReason::NoAgent => "no agent may do it now",
            HoldReason::Breaker => "it failed again and again at the provider",
            HoldReason::Unseen => "nothing is seen of the component, and what stands before it comes first",
        }
    }
}

/// A remedy has to wait; said once for each reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub because: HoldReason,
    /// The component.
    pub component: ComponentId,
    /// The incident.
    pub incident: IncidentId,
    /// Until when, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A remedy waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The approval that was asked for.
    pub approval: ApprovalId,
    /// When.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
    /// The incident; none for the autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// The remedy.
    pub remedy: RemedyKey,
}

/// A remedy that the gate held back may be thought of anew: nothing was tried, and nothing is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// When.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
    /// The incident; none for the autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// The remedy.
    pub remedy: RemedyKey,
}

/// Who did not let a remedy through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeniedBy {
    /// Policy, or that no agent can do it.
    #[default]
    Gate,
    /// A person said no.
    Person,
    /// People were asked, and too few answered in time.
    Nobody,
}

impl DeniedBy {
    fn is_gate(&self) -> bool {
        *self == DeniedBy::Gate
    }
}

/// A remedy was not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// When.
    pub at: Timestamp,
    /// Why, in the gate's words.
    pub because: String,
    /// Who said so.
    #[serde(default, skip_serializing_if = "DeniedBy::is_gate")]
    pub by: DeniedBy,
    /// The component.
    pub component: ComponentId,
    /// The incident; none for the autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// The remedy.
    pub remedy: RemedyKey,
}

/// A remedy is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// When.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
    /// The incident; none for the autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// The remedy.
    pub remedy: RemedyKey,
    /// The run that carries it out.
    pub run: RunId,
}

/// A remedy's run has ended. Whether it helped is another question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// The run's own words when it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The component.
    pub component: ComponentId,
    /// The incident; none for the autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Whether the run did what it should.
    pub ok: bool,
    /// The remedy.
    pub remedy: RemedyKey,
    /// The run.
    pub run: RunId,
}

/// It was judged whether a remedy helped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// How the component does now.
    pub after: Behaviour,
    /// When.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
    /// The incident.
    pub incident: IncidentId,
    /// How often was looked.
    pub looks: u32,
    /// What came of it.
    pub outcome: Verification,
    /// The remedy.
    pub remedy: RemedyKey,
    /// Whether the component does worse than before.
    pub worse: bool,
}

/// An incident is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// When.
    pub at: Timestamp,
    /// How.
    pub because: Resolution,
    /// The component.
    pub component: ComponentId,
    /// The incident.
    pub incident: IncidentId,
}

/// Why a person must take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EscalationReason {
    /// Every attempt was used.
    Attempts,
    /// The component's allowance is used up for longer than patience lasts.
    Budget,
    /// A remedy made it worse.
    Worse,
    /// More instances are needed than there may be.
    AtMost,
    /// Every attempt was used, and the last one was not allowed.
    Denied,
    /// A person said no to a remedy.
    Rejected,
    /// Nobody answered whether a remedy may be tried.
    Unanswered,
}

impl EscalationReason {
    /// The reason as people say it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            EscalationReason::Attempts => "none has helped",
            EscalationReason::Budget => "the budget for recoveries is used up",
            EscalationReason::Worse => "a remedy made it worse",
            EscalationReason::AtMost => "more instances are needed than there may be",
            EscalationReason::Denied => "the last of them was not allowed",
            EscalationReason::Rejected => "a person rejected the remedy",
            EscalationReason::Unanswered => "nobody answered whether the remedy may be tried",
        }
    }
}

/// An incident was handed to a person; nothing more is tried on it. Said once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalated {
    /// When.
    pub at: Timestamp,
    /// How many attempts were used.
    pub attempts: u32,
    /// Why.
    pub because: EscalationReason,
    /// The component.
    pub component: ComponentId,
    /// The incident.
    pub incident: IncidentId,
}

/// A person has seen it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: PrincipalId,
    /// The component.
    pub component: ComponentId,
    /// The incident.
    pub incident: IncidentId,
}

/// A person closed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: PrincipalId,
    /// The component.
    pub component: ComponentId,
    /// The incident.
    pub incident: IncidentId,
}

/// An action's mode was set, by an approved change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeSet {
    /// The action.
    pub action: RemedyAction,
    /// The approval that it rests on; none where nobody else had to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// When.
    pub at: Timestamp,
    /// The shadow decisions that were cited for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cites: Vec<EventId>,
    /// The component.
    pub component: ComponentId,
    /// How far it might go before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Mode>,
    /// How far it may go from now on.
    pub mode: Mode,
}

/// What was changed of an action's mode holds no more, for its component is nobody's: files say how far it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeEnded {
    /// The action.
    pub action: RemedyAction,
    /// When.
    pub at: Timestamp,
    /// The component.
    pub component: ComponentId,
}

/// A person judged a shadow decision. Their reason stands beside the journal; of what one person says, the last counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// What would have been done.
    pub action: RemedyAction,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: PrincipalId,
    /// The component.
    pub component: ComponentId,
    /// The entry that recorded the decision.
    pub decision: EventId,
    /// Its incident; none for the autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Whether it would have been right to do it.
    pub right: bool,
}

/// Everything that can happen to a component's healing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealEvent {
    /// See [`Opened`].
    Opened(Opened),
    /// See [`Joined`].
    Joined(Joined),
    /// See [`Proposed`].
    Proposed(Proposed),
    /// See [`Shadowed`].
    Shadowed(Shadowed),
    /// See [`Held`].
    Held(Held),
    /// See [`Waiting`].
    Waiting(Waiting),
    /// See [`Released`].
    Released(Released),
    /// See [`Denied`].
    Denied(Denied),
    /// See [`Started`].
    Started(Started),
    /// See [`Ended`].
    Ended(Ended),
    /// See [`Verified`].
    Verified(Verified),
    /// See [`Resolved`].
    Resolved(Resolved),
    /// See [`Escalated`].
    Escalated(Escalated),
    /// See [`Acknowledged`].
    Acknowledged(Acknowledged),
    /// See [`Closed`].
    Closed(Closed),
    /// See [`ModeSet`].
    ModeSet(ModeSet),
    /// See [`ModeEnded`].
    ModeEnded(ModeEnded),
    /// See [`Judged`].
    Judged(Judged),
}

/// A body is not of its kind.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No such kind is known here.
    #[error("kind `{kind}` is not known to self-healing")]
    Kind {
        /// What was given.
        kind: String,
    },
    /// The body has another shape.
    #[error("a body is not of kind `{kind}`")]
    Body {
        /// The kind.
        kind: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// The event that an entry's body tells.
///
/// # Errors
/// When the kind is not one of this layer's, or the body is not of it.
pub fn decode(kind: &str, body: &Value) -> Result<HealEvent, DecodeError> {
    fn read<T: DeserializeOwned>(kind: &str, body: &Value) -> Result<T, DecodeError> {
        T::deserialize(body).map_err(|source| DecodeError::Body { kind: kind.to_owned(), source })
    }
    // The autoscaler's remedies have no incident; their kinds say so, their bodies are the same.
    Ok(match kind {
        "incident.opened/1" => HealEvent::Opened(read(kind, body)?),
        "incident.joined/1" => HealEvent::Joined(read(kind, body)?),
        "incident.remedy_proposed/1" | "component.remedy_proposed/1" => HealEvent::Proposed(read(kind, body)?),
        "incident.remedy_shadowed/1" | "component.remedy_shadowed/1" => HealEvent::Shadowed(read(kind, body)?),
        "incident.remedy_held/1" => HealEvent::Held(read(kind, body)?),
        "incident.remedy_waiting/1" | "component.remedy_waiting/1" => HealEvent::Waiting(read(kind, body)?),
        "incident.remedy_released/1" | "component.remedy_released/1" => HealEvent::Released(read(kind, body)?),
        "incident.remedy_denied/1" | "component.remedy_denied/1" => HealEvent::Denied(read(kind, body)?),
        "incident.remedy_started/1" | "component.remedy_started/1" => HealEvent::Started(read(kind, body)?),
        "incident.remedy_ended/1" | "component.remedy_ended/1" => HealEvent::Ended(read(kind, body)?),
        "incident.verified/1" => HealEvent::Verified(read(kind, body)?),
        "incident.resolved/1" => HealEvent::Resolved(read(kind, body)?),
        "incident.escalated/1" => HealEvent::Escalated(read(kind, body)?),
        "incident.acknowledged/1" => HealEvent::Acknowledged(read(kind, body)?),
        "incident.closed/1" => HealEvent::Closed(read(kind, body)?),
        "component.mode_set/1" => HealEvent::ModeSet(read(kind, body)?),
        "component.mode_ended/1" => HealEvent::ModeEnded(read(kind, body)?),
        "component.shadow_judged/1" => HealEvent::Judged(read(kind, body)?),
        _ => return Err(DecodeError::Kind { kind: kind.to_owned() }),
    })
}

impl HealEvent {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            HealEvent::Opened(event) => event.at,
            HealEvent::Joined(event) => event.at,
            HealEvent::Proposed(event) => event.at,
            HealEvent::Shadowed(event) => event.at,
            HealEvent::Held(event) => event.at,
            HealEvent::Waiting(event) => event.at,
            HealEvent::Released(event) => event.at,
            HealEvent::Denied(event) => event.at,
            HealEvent::Started(event) => event.at,
            HealEvent::Ended(event) => event.at,
            HealEvent::Verified(event) => event.at,
            HealEvent::Resolved(event) => event.at,
            HealEvent::Escalated(event) => event.at,
            HealEvent::Acknowledged(event) => event.at,
            HealEvent::Closed(event) => event.at,
            HealEvent::ModeSet(event) => event.at,
            HealEvent::ModeEnded(event) => event.at,
            HealEvent::Judged(event) => event.at,
        }
    }

    /// The incident it belongs to; none for the autoscaler, for modes, and for what people say of what was not done: they may say it
    /// long after the incident.
    #[must_use]
    pub fn incident(&self) -> Option<&IncidentId> {
        match self {
            HealEvent::Opened(event) => Some(&event.incident),
            HealEvent::Joined(event) => Some(&event.incident),
            HealEvent::Proposed(event) => event.remedy.incident.as_ref(),
            HealEvent::Shadowed(event) => event.remedy.incident.as_ref(),
            HealEvent::Held(event) => Some(&event.incident),
            HealEvent::Waiting(event) => event.incident.as_ref(),
            HealEvent::Released(event) => event.incident.as_ref(),
            HealEvent::Denied(event) => event.incident.as_ref(),
            HealEvent::Started(event) => event.incident.as_ref(),
            HealEvent::Ended(event) => event.incident.as_ref(),
            HealEvent::Verified(event) => Some(&event.incident),
            HealEvent::Resolved(event) => Some(&event.incident),
            HealEvent::Escalated(event) => Some(&event.incident),
            HealEvent::Acknowledged(event) => Some(&event.incident),
            HealEvent::Closed(event) => Some(&event.incident),
            HealEvent::ModeSet(_) | HealEvent::ModeEnded(_) | HealEvent::Judged(_) => None,
        }
    }

    fn component(&self) -> &ComponentId {
        match self {
            HealEvent::Opened(event) => &event.component,
            HealEvent::Joined(event) => &event.component,
            HealEvent::Proposed(event) => &event.remedy.component,
            HealEvent::Shadowed(event) => &event.remedy.component,
            HealEvent::Held(event) => &event.component,
            HealEvent::Waiting(event) => &event.component,
            HealEvent::Released(event) => &event.component,
            HealEvent::Denied(event) => &event.component,
            HealEvent::Started(event) => &event.component,
            HealEvent::Ended(event) => &event.component,
            HealEvent::Verified(event) => &event.component,
            HealEvent::Resolved(event) => &event.component,
            HealEvent::Escalated(event) => &event.component,
            HealEvent::Acknowledged(event) => &event.component,
            HealEvent::Closed(event) => &event.component,
            HealEvent::ModeSet(event) => &event.component,
            HealEvent::ModeEnded(event) => &event.component,
            HealEvent::Judged(event) => &event.component,
        }
    }

    /// The kind under which it is recorded.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.labels().0
    }

    /// The kind, what was done, and what came of it.
    fn labels(&self) -> (&'static str, &'static str, Outcome) {
        let of = |incident: bool, yes: &'static str, no: &'static str| if incident { yes } else { no };
        let own = self.incident().is_some();
        match self {
            HealEvent::Opened(_) => ("incident.opened/1", "open_incident", Outcome::Success),
            HealEvent::Joined(_) => ("incident.joined/1", "correlate", Outcome::Success),
            HealEvent::Proposed(_) => (
                of(own, "incident.remedy_proposed/1", "component.remedy_proposed/1"),
                "propose_remedy",
                Outcome::Started,
            ),
            HealEvent::Shadowed(_) => (
                of(own, "incident.remedy_shadowed/1", "component.remedy_shadowed/1"),
                "propose_remedy",
                Outcome::Skipped,
            ),
            HealEvent::Held(_) => ("incident.remedy_held/1", "hold_remedy", Outcome::Skipped),
            HealEvent::Waiting(_) => {
                (of(own, "incident.remedy_waiting/1", "component.remedy_waiting/1"), "await_approval", Outcome::Started)
            }
            HealEvent::Released(_) => (
                of(own, "incident.remedy_released/1", "component.remedy_released/1"),
                "release_remedy",
                Outcome::Skipped,
            ),
            HealEvent::Denied(_) => {
                (of(own, "incident.remedy_denied/1", "component.remedy_denied/1"), "deny_remedy", Outcome::Denied)
            }
            HealEvent::Started(_) => {
                (of(own, "incident.remedy_started/1", "component.remedy_started/1"), "start_remedy", Outcome::Started)
            }
            HealEvent::Ended(event) => (
                of(own, "incident.remedy_ended/1", "component.remedy_ended/1"),
                "end_remedy",
                if event.ok { Outcome::Success } else { Outcome::Failure },
            ),
            HealEvent::Verified(event) => (
                "incident.verified/1",
                "verify_remedy",
                match event.outcome {
                    Verification::Succeeded => Outcome::Success,
                    Verification::Failed => Outcome::Failure,
                    Verification::Inconclusive => Outcome::Unknown,
                },
            ),
            HealEvent::Resolved(_) => ("incident.resolved/1", "resolve_incident", Outcome::Success),
            HealEvent::Escalated(_) => ("incident.escalated/1", "escalate_incident", Outcome::Failure),
            HealEvent::Acknowledged(_) => ("incident.acknowledged/1", "acknowledge_incident", Outcome::Success),
            HealEvent::Closed(_) => ("incident.closed/1", "close_incident", Outcome::Success),
            HealEvent::ModeSet(_) => ("component.mode_set/1", "set_mode", Outcome::Success),
            HealEvent::ModeEnded(_) => ("component.mode_ended/1", "end_mode", Outcome::Success),
            HealEvent::Judged(_) => ("component.shadow_judged/1", "judge_shadow_decision", Outcome::Success),
        }
    }

    fn body(&self) -> Value {
        fn write(body: &impl Serialize) -> Value {
            // These structs hold texts, integers, lists and text-keyed maps; serde_json has no reason to refuse one.
            serde_json::to_value(body).unwrap_or_default()
        }
        match self {
            HealEvent::Opened(event) => write(event),
            HealEvent::Joined(event) => write(event),
            HealEvent::Proposed(event) => write(event),
            HealEvent::Shadowed(event) => write(event),
            HealEvent::Held(event) => write(event),
            HealEvent::Waiting(event) => write(event),
            HealEvent::Released(event) => write(event),
            HealEvent::Denied(event) => write(event),
            HealEvent::Started(event) => write(event),
            HealEvent::Ended(event) => write(event),
            HealEvent::Verified(event) => write(event),
            HealEvent::Resolved(event) => write(event),
            HealEvent::Escalated(event) => write(event),
            HealEvent::Acknowledged(event) => write(event),
            HealEvent::Closed(event) => write(event),
            HealEvent::ModeSet(event) => write(event),
            HealEvent::ModeEnded(event) => write(event),
            HealEvent::Judged(event) => write(event),
        }
    }
}

impl Event for HealEvent {
    fn draft(&self, actor: &Actor) -> Draft {
        let (kind, action, outcome) = self.labels();
        let stream = match self.incident() {
            Some(incident) => format!("incident/{incident}"),
            None => format!("component/{}", self.component()),
        };
        Draft {
            action: action.to_owned(),
            actor: actor.clone(),
            body: self.body(),
            kind,
            outcome,
            resource: self.component().to_string(),
            stream,
        }
    }
}

/// A window summary as a draft: what feedback reads later.
#[must_use]
pub fn window_draft(window: &Window, actor: &Actor) -> Draft {
    Draft {
        action: "summarise_window".to_owned(),
        actor: actor.clone(),
        body: serde_json::to_value(window).unwrap_or_default(),
        kind: "telemetry.window/1",
        outcome: Outcome::Success,
        resource: window.component.to_string(),
        stream: format!("component/{}", window.component),
    }
}
