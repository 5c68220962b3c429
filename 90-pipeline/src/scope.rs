//! Whose a thing is, and where: an intent says it, and whatever serves an intent has it of that. What serves none is of the whole
//! installation.

use crate::approvals::stream;
use crate::deed::Deed;
use crate::grant::Scope;
use crate::pipeline::Pipeline;
use crate::wish::ChangeError;
use serde_json::Value;
use writ_core::{ApprovalId, EventId, IntentId, LedgerError, RunId};
use writ_intent::Intent;

/// The label of an intent that names its team.
const TEAM: &str = "team";

/// Whose an intent is.
pub(crate) fn scope_of(intent: &Intent) -> Scope {
    let environment = Some(intent.target.environment.clone());
    Scope { team: intent.labels.get(TEAM).cloned(), environment }
}

/// Whose an intent is, as its document says: as long as a version is in force, what that one said. One that was only submitted,
/// and denied or rejected, takes nothing from anybody.
pub(crate) fn scope_in(doc: &Value) -> Scope {
    let in_force = doc.get("applied_version").is_some_and(Value::is_u64);
    let text = |field: &str, applied: &str| {
        let said = doc.get(applied).filter(|_| in_force).or_else(|| doc.get(field));
        said.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    Scope { team: text(TEAM, "applied_team"), environment: text("environment", "applied_environment") }
}

impl Pipeline {
    /// Whose an intent is: as the version in force says, or the newest while none is; none when there is no such intent.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn scope_of_intent(&self, intent: &IntentId) -> Result<Option<Scope>, LedgerError> {
        Ok(self.journal().doc("intents", intent.as_str()).await?.as_ref().map(scope_in))
    }

    /// Whose a run is; none when there is no such run.
    pub async fn scope_of_run(&self, run: &RunId) -> Option<Scope> {
        self.drive().run(run).await.ok().map(|(_, context)| context.scope())
    }

    /// Whose what an approval asks about is: a run's, a component's when it is how far healing goes there, or, when it is how the
    /// installation is governed, the whole installation's.
    /// None when there is no such approval.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn scope_of_approval(&self, approval: &ApprovalId) -> Result<Option<Scope>, LedgerError> {
        let first = self.journal().ledger().stream(&stream(approval), 0, 1).await?;
        let Some(first) = first.first().map(crate::journal::decode).transpose()? else { return Ok(None) };
        if let Some(run) = first.body.get("run").and_then(|run| run.as_str()?.parse().ok()) {
            return Ok(self.scope_of_run(&run).await);
        }
        match self.change(&[first]).await {
            Ok(Some((_, change))) => self.scope_of_deed(&change.deed).await.map(Some),
            Err(ChangeError::Ledger(error)) => Err(error),
            // What cannot be read is nobody's alone.
            Ok(None) | Err(_) => Ok(Some(Scope::whole())),
        }
    }

    /// Whose what a change would change is.
    pub(crate) async fn scope_of_deed(&self, deed: &Deed) -> Result<Scope, LedgerError> {
        match deed {
            Deed::Mode { component, .. } => self.scope_of_component(component.as_str()).await,
            Deed::Policies { .. } | Deed::Agent { .. } | Deed::Enrol { .. } => Ok(Scope::whole()),
            Deed::Roles { .. } | Deed::Link { .. } | Deed::Standing { .. } => Ok(Scope::whole()),
        }
    }

    /// Whose a component is: that of the intent which has it; the whole installation's when none does.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn scope_of_component(&self, component: &str) -> Result<Scope, LedgerError> {
        match self.holder(component).await? {
            Some(intent) => Ok(self.scope_of_intent(&intent).await?.unwrap_or_default()),
            None => Ok(Scope::whole()),
        }
    }

    /// Whose an incident is: that of its component. None when there is no such incident.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn scope_of_incident(&self, incident: &str) -> Result<Option<Scope>, LedgerError> {
        let Some(doc) = self.journal().doc("incidents", incident).await? else { return Ok(None) };
        match doc.get("component").and_then(Value::as_str) {
            Some(component) => self.scope_of_component(component).await.map(Some),
            None => Ok(Some(Scope::whole())),
        }
    }

    /// Whose a shadow decision is: that of its component. None when there is no such decision.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn scope_of_shadow(&self, decision: &EventId) -> Result<Option<Scope>, LedgerError> {
        match self.shadow(decision).await? {
            Some((entry, _)) => self.scope_of_component(&entry.resource).await.map(Some),
            None => Ok(None),
        }
    }

    /// Whose a recommendation is: that of the intent it would change. None when there is no such recommendation.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn scope_of_recommendation(&self, id: &str) -> Result<Option<Scope>, LedgerError> {
        let Some(_) = self.journal().doc("recommendations", id).await? else { return Ok(None) };
        let made = crate::recommendation::recommendation_made(self.journal(), id).await?;
        let intent =
            made.pointer("/recommendation/intent").and_then(|intent| intent.as_str()?.parse::<IntentId>().ok());
        match intent {
            Some(intent) => Ok(Some(self.scope_of_intent(&intent).await?.unwrap_or_default())),
            None => Ok(Some(Scope::whole())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_only_submitted_takes_an_intent_from_nobody() {
        let told = |doc: Value| {
            let Scope { team, environment } = scope_in(&doc);
            (team.unwrap_or_default(), environment.unwrap_or_default())
        };
        let newest = json!({"team": "payments", "environment": "dev", "version": 2});
        assert_eq!(told(newest.clone()), ("payments".into(), "dev".into()), "while nothing is in force");
        let with = |more: Value| {
            let mut doc = newest.clone();
            doc.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            doc
        };
        let search = json!({"applied_version": 1, "applied_team": "search", "applied_environment": "prod"});
        assert_eq!(told(with(search)), ("search".into(), "prod".into()));
        let nobodys = json!({"applied_version": 1, "applied_team": null, "applied_environment": "prod"});
        assert_eq!(told(with(nobodys)), (String::new(), "prod".into()), "no team is not the newest one's");
        let before = json!({"applied_version": 1});
        assert_eq!(told(with(before)), ("payments".into(), "dev".into()), "entries of before did not say it");
        let archived = json!({"applied_version": null, "applied_team": null, "applied_environment": null});
        assert_eq!(told(with(archived)), ("payments".into(), "dev".into()));
    }
}
