//! People, their tokens, the agents, and what is to be forgotten: what administrators do.

use super::{Answer, App, Body, Caller, Path, parsed, reason, words};
use crate::error::{Failure, short};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use writ_core::{AgentId, Permission};
use writ_pipeline::{
    AgentError, AgentMove, AgentWish, Erase, EraseError, TokenError, enrol_person, erase, error_chain, issue_token,
    people, person, revoke_token, tokens as all_tokens,
};

pub(crate) async fn principals(State(shared): App, caller: Caller) -> Answer {
    caller.must("viewer")?;
    Ok(Json(json!({"items": people(shared.pipeline.journal()).await?, "next": null})))
}

pub(crate) async fn tokens(State(shared): App, caller: Caller) -> Answer {
    caller.must("admin")?;
    Ok(Json(json!({"items": all_tokens(shared.pipeline.journal()).await?, "next": null})))
}

/// Whose token is wanted, and for what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// An id or a name; or, with `enrol`, the name of somebody new.
    principal: String,
    #[serde(default)]
    enrol: bool,
    #[serde(default)]
    roles: Option<Vec<String>>,
    /// Needed when the person is known and is somebody else.
    #[serde(default)]
    reason: String,
}

pub(crate) async fn issue(State(shared): App, caller: Caller, Body(wanted): Body<Wanted>) -> Answer {
    caller.must("admin")?;
    let (journal, by) = (shared.pipeline.journal(), caller.actor());
    let whose = if wanted.enrol {
        let roles = wanted.roles.clone().unwrap_or_default();
        enrol_person(journal, &wanted.principal, &roles, &by).await?
    } else {
        person(journal, &wanted.principal).await?
    };
    let because = words(&wanted.reason)?;
    if !wanted.enrol && whose.principal != caller.0.id && because.is_empty() {
        let detail =
            format!("whoever holds a token of `{}` answers in their name, and no reason is given", whose.principal);
        return Err(
            Failure::new(StatusCode::BAD_REQUEST, "invalid", detail).hint("say why with `-m REASON`; it is recorded")
        );
    }
    let (token, secret) = issue_token(journal, &whose, wanted.roles.as_deref(), because, &by).await?;
    let mut document = json!(token);
    document["name"] = json!(whose.name);
    document["token"] = json!(secret);
    Ok(Json(document))
}

pub(crate) async fn revoke(State(shared): App, caller: Caller, Path(id): Path<String>) -> Answer {
    caller.must("admin")?;
    let token = revoke_token(shared.pipeline.journal(), &id, &caller.actor()).await?;
    Ok(Json(json!(token)))
}

/// What is to be forgotten; exactly one of the three.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forget {
    #[serde(default)]
    principal: Option<String>,
    #[serde(default)]
    approval: Option<String>,
    #[serde(default)]
    commitment: Option<String>,
    reason: String,
}

pub(crate) async fn forget(State(shared): App, caller: Caller, Body(forget): Body<Forget>) -> Answer {
    caller.must("admin")?;
    let journal = shared.pipeline.journal();
    let bad = |detail: String| Failure::new(StatusCode::BAD_REQUEST, "invalid", detail);
    let what = match (&forget.principal, &forget.approval, &forget.commitment) {
        (Some(who), None, None) => Erase::Principal(person(journal, who).await?.principal),
        (None, Some(id), None) => Erase::Approval(parsed(id)?),
        (None, None, Some(text)) => {
            Erase::Commitment(text.parse().map_err(|_| bad(format!("`{}` is no digest", short(text))))?)
        }
        _ => return Err(bad("say one of `principal`, `approval` and `commitment`".into())),
    };
    let gone = erase(journal, &what, reason(&forget.reason)?, &caller.actor()).await?;
    Ok(Json(json!({"erased": gone, "of": what.to_string()})))
}

/// What is wanted of an agent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Details {
    reason: String,
    public_key: Option<String>,
    permissions: Option<Vec<String>>,
}

pub(crate) async fn agent(
    State(shared): App,
    caller: Caller,
    Path((id, command)): Path<(String, String)>,
    Body(details): Body<Details>,
) -> Answer {
    caller.must("admin")?;
    let agent: AgentId = parsed(&id)?;
    let moved = |to| AgentWish::Move { to, because: "an administrator said so".into() };
    let needs = |field: &str| Failure::new(StatusCode::BAD_REQUEST, "invalid", format!("`{command}` needs `{field}`"));
    let wish = match command.as_str() {
        "activate" => moved(AgentMove::Activate),
        "drain" => moved(AgentMove::Drain),
        "quarantine" => moved(AgentMove::Quarantine),
        "retire" => moved(AgentMove::Retire),
        "key" => AgentWish::Key { public_key: details.public_key.clone().ok_or_else(|| needs("public_key"))? },
        "permissions" => {
            let wanted = details.permissions.clone().ok_or_else(|| needs("permissions"))?;
            AgentWish::Permissions(wanted.into_iter().map(Permission).collect())
        }
        other => {
            let detail = format!("an agent cannot be told to `{}`", other.chars().take(40).collect::<String>());
            return Err(Failure::new(StatusCode::NOT_FOUND, "not-found", detail)
                .hint("one of activate, drain, quarantine, retire, key, permissions"));
        }
    };
    if shared.pipeline.gate().state().roster.get(&agent).is_none() {
        return Err(Failure::not_found("agent", agent.as_str()));
    }
    let done = shared.pipeline.change_agent(&agent, &wish, words(&details.reason)?, &caller.actor()).await;
    done.map_err(|error| match error {
        AgentError::Refused(_) => Failure::new(StatusCode::CONFLICT, "refused", error_chain(&error)),
        AgentError::Commit(error) => Failure::from(error),
        AgentError::Ledger(error) => Failure::from(error),
    })?;
    let now = shared.pipeline.gate().state().roster.get(&agent).cloned();
    Ok(Json(json!({"agent": agent, "now": now})))
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Nobody { .. } => Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string())
                .hint("list them with `writ token list`, or make somebody known with `--enrol`"),
            TokenError::Unknown { .. } => Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string())
                .hint("list them with `writ token list`"),
            TokenError::Role { .. } | TokenError::Last { .. } => {
                Self::new(StatusCode::CONFLICT, "refused", error.to_string())
            }
            TokenError::Word { .. } => Self::new(StatusCode::BAD_REQUEST, "invalid", error.to_string()),
            TokenError::Commit(error) => Self::from(error),
            TokenError::Ledger(error) => Self::from(error),
        }
    }
}

impl From<EraseError> for Failure {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Unknown { .. } | EraseError::Nothing { .. } => {
                Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string())
            }
            EraseError::Repeats => Self::new(StatusCode::CONFLICT, "refused", error.to_string())
                .hint("give a reason that names neither the person nor the text"),
            EraseError::Commit(error) => Self::from(error),
            EraseError::Ledger(error) => Self::from(error),
        }
    }
}
