//! What a run is for: recorded with its submission, so that a restart and the gate know it.

use crate::approvals::Principal;
use crate::grant::Scope;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use writ_core::{ApprovalId, ComponentId, Digest, IncidentId, Provider, World};
use writ_intent::world_digest;

/// Where a change comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An intent that writ planned.
    #[default]
    Intent,
    /// An incident.
    Remedy,
    /// The autoscaler.
    Scaling,
    /// An approved recommendation.
    Feedback,
    /// Somebody outside, who planned it themselves.
    Exec,
    /// An intent that is taken away.
    Decommission,
    /// A playbook that somebody runs.
    Playbook,
}

impl Origin {
    /// Whether runs of this origin bring an intent about or take it away.
    pub(crate) fn is_intents(self) -> bool {
        matches!(self, Origin::Intent | Origin::Feedback | Origin::Decommission)
    }

    /// Whether it and another cannot both be under way on one component: a playbook or a removal, and anything else that people
    /// ask for. Versions of an intent follow each other by its states.
    pub(crate) fn excludes(self, other: Self) -> bool {
        let both = [self, other];
        let asked = |one: &Self| *one == Origin::Playbook || one.is_intents();
        both.iter().all(asked) && both.iter().any(|one| matches!(one, Origin::Playbook | Origin::Decommission))
    }

    /// Whether nobody asked for it: healing did, for the component's sake.
    pub(crate) fn heals(self) -> bool {
        matches!(self, Origin::Remedy | Origin::Scaling)
    }

    /// The word that policies know it by.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Origin::Intent => "intent",
            Origin::Remedy => "remedy",
            Origin::Scaling => "scaling",
            Origin::Feedback => "feedback",
            Origin::Exec => "exec",
            Origin::Decommission => "decommission",
            Origin::Playbook => "playbook",
        }
    }
}

/// What a run is for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunContext {
    /// The component it changes.
    pub component: Option<ComponentId>,
    /// The intent's environment.
    pub environment: String,
    /// The incident it remedies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Where it comes from.
    pub origin: Origin,
    /// The `outside` facts that policy judges, as they were when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Value>,
    /// The playbook that it runs, with its version and the digest of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<Value>,
    /// The `remedy` facts that policy judges, as they were when it was proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Value>,
    /// The remedy's name: one that was begun is not begun again after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy_key: Option<String>,
    /// Roles of whoever asked for it.
    pub roles: Vec<String>,
    /// The standing approval it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<ApprovalId>,
    /// The intent's team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

impl RunContext {
    /// Something that somebody asks for, where it is of a team or an environment.
    pub(crate) fn asked(origin: Origin, component: Option<ComponentId>, scope: &Scope, by: &Principal) -> Self {
        Self {
            component,
            environment: scope.environment.clone().unwrap_or_default(),
            origin,
            roles: by.within(scope).roles,
            team: scope.team.clone(),
            ..Self::default()
        }
    }

    /// Whose the run is, and where.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let environment = Some(self.environment.clone()).filter(|name| !name.is_empty());
        Scope { team: self.team.clone(), environment }
    }

    /// Digest of the component as it is now; of an empty world where there is none, or it cannot be observed.
    pub(crate) async fn world(&self, provider: &dyn Provider) -> Digest {
        let world = match &self.component {
            Some(component) => provider.observe(component).await.unwrap_or_default(),
            None => World::default(),
        };
        world_digest(&world)
    }
}
