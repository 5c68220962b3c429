//! Whose what a route changes is. Every route that changes something says it in the table, and nobody gets to the handler who
//! does not hold the role there.

use super::access::Needs;
use super::{Shared, parsed};
use crate::error::Failure;
use axum::http::StatusCode;
use writ_pipeline::{Barred, Principal, Scope};

/// What a route changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// Nothing: it is looked at or worked out, and who may look sees everything.
    Nothing,
    /// What is of the whole installation.
    Realm,
    /// The intent that the path names.
    Intent,
    /// The run that the path names.
    Run,
    /// The incident that the path names.
    Incident,
    /// The component that the path names.
    Component,
    /// The shadow decision that the path names.
    Shadow,
    /// The recommendation that the path names.
    Recommendation,
    /// What the body names, or what is asked about: the pipeline looks where it reads it.
    Said,
}

impl Of {
    /// The word for it in the table of routes.
    #[cfg(test)]
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nothing => "–",
            Self::Realm => "installation",
            Self::Intent => "intent",
            Self::Run => "run",
            Self::Incident => "incident",
            Self::Component | Self::Shadow => "component",
            Self::Recommendation => "recommendation",
            Self::Said => "what it names",
        }
    }

    /// What the document says of it.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Realm => "A role that holds for a team or an environment is not enough.",
            Self::Intent => "The role must hold for the intent's team and environment.",
            Self::Run => "The role must hold for the run's team and environment.",
            Self::Incident => "The role must hold for the incident's team and environment.",
            Self::Component => "The role must hold for the component's team and environment.",
            Self::Shadow => "The role must hold for the team and environment of its component.",
            Self::Recommendation => {
                "The role must hold for the team and environment of the intent that it would change."
            }
            Self::Said => "The role must hold for the team and environment of what it is about.",
        }
    }

    /// Whether somebody who holds the role somewhere holds it here. `id` is the first that the path names.
    pub(crate) async fn allows(self, shared: &Shared, who: &Principal, needs: Needs, id: &str) -> Result<(), Failure> {
        // What holds everywhere holds for whatever is named, and for what is not there.
        if matches!(self, Self::Nothing | Self::Said) || needs.met(&who.within(&Scope::whole()).roles).is_ok() {
            return Ok(());
        }
        let pipeline = &shared.pipeline;
        let (what, scope) = match self {
            Self::Nothing | Self::Said => return Ok(()),
            Self::Realm => ("", Some(Scope::whole())),
            Self::Intent => ("intent", pipeline.scope_of_intent(&parsed(id)?).await?),
            Self::Run => ("run", pipeline.scope_of_run(&parsed(id)?).await),
            Self::Incident => ("incident", pipeline.scope_of_incident(id).await?),
            Self::Component => ("component", Some(pipeline.scope_of_component(id).await?)),
            Self::Shadow => ("shadow decision", pipeline.scope_of_shadow(&parsed(id)?).await?),
            Self::Recommendation => ("recommendation", pipeline.scope_of_recommendation(id).await?),
        };
        let of = scope.ok_or_else(|| Failure::not_found(what, id))?;
        let missing = needs.met(&who.within(&of).roles);
        missing.map_err(|role| Barred { who: who.id.clone(), role: role.to_owned(), of }.into())
    }
}

impl From<Barred> for Failure {
    fn from(barred: Barred) -> Self {
        let way = format!("ask somebody who holds `{}` there, or everywhere: `writ person list`", barred.role);
        Self::new(StatusCode::FORBIDDEN, "forbidden", barred.to_string()).hint(way)
    }
}
