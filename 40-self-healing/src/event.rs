//! What this layer has to say in the journal. Kinds are for ever; bodies hold no floats.

mod incident;
mod mode;
mod remedy;

pub use incident::{Acknowledged, Closed, Escalated, EscalationReason, Joined, Opened, Resolved};
pub use mode::{Judged, ModeEnded, ModeSet};
pub use remedy::{Denied, DeniedBy, Ended, Held, HoldReason, Proposed, Released, Shadowed, Started, Verified, Waiting};

use crate::verify::Verification;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use writ_core::{Actor, ComponentId, Draft, Event, IncidentId, Outcome, PrincipalId, Timestamp, Window};

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

    /// The person who did it; none of what healing concluded by itself, and of what is recorded along with a change.
    #[must_use]
    pub fn by(&self) -> Option<&PrincipalId> {
        if let HealEvent::Acknowledged(Acknowledged { by, .. }) | HealEvent::Closed(Closed { by, .. }) = self {
            return Some(by);
        }
        None
    }

    /// The component that it is about.
    #[must_use]
    pub fn component(&self) -> &ComponentId {
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
