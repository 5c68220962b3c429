//! Commands of journeys about how an installation is governed: breaking the glass, what a person must look at, and changes
//! that two people make together.

use crate::Site;
use crate::script::{duration, refused};
use std::time::Duration;
use writ_core::{Actor, ApprovalId, IdError, Ledger as _, Permission};
use writ_pipeline::{
    AgentMove, AgentWish, ChangeError, GlassError, GlassWish, GovernanceWish, Principal, Proposed, StandingBudget,
};

/// Breaks the glass for one action on one target.
pub(crate) async fn break_glass(site: &Site, span: Duration, action: &str, target: &str, by: &Principal) -> String {
    let wish = GlassWish { actions: vec![action.to_owned()], targets: vec![target.to_owned()], span };
    told(site.pipeline().break_glass(wish, "the house is on fire", by).await.map(|id| format!("= {id}")))
}

/// Ends the newest before its time.
pub(crate) async fn end(site: &Site, by: &Principal) -> Result<String, String> {
    let id = newest(site)?;
    Ok(told(site.pipeline().end_glass(&id, by).await.map(|()| String::new())))
}

/// Looks at the newest afterwards.
pub(crate) async fn review(site: &Site, by: &Principal) -> Result<String, String> {
    let id = newest(site)?;
    Ok(told(site.pipeline().review_glass(&id, true, "it was", by).await.map(|()| String::new())))
}

/// What a person must look at.
pub(crate) fn findings(site: &Site) -> String {
    let found: Vec<String> = site.pipeline().findings().iter().map(|finding| format!("= {finding}")).collect();
    if found.is_empty() { "= nothing is found".to_owned() } else { found.join("\n") }
}

fn newest(site: &Site) -> Result<ApprovalId, String> {
    let newest = site.pipeline().glass().into_iter().next();
    newest.map(|glass| glass.broken.id).ok_or_else(|| "the glass was never broken".to_owned())
}

fn told(done: Result<String, GlassError>) -> String {
    done.unwrap_or_else(|error| refused(&error))
}

/// Proposes the policies of the site's files with one file more.
pub(crate) async fn propose_policy(site: &Site, name: &str, text: &str, by: &Principal) -> String {
    let mut files = site.files().policy_files().to_vec();
    files.push((name.to_owned(), text.as_bytes().to_vec()));
    told_change(put(site, GovernanceWish::Policies { files, tests: Vec::new() }, by).await)
}

/// Proposes a change of something else.
pub(crate) async fn propose(site: &Site, words: &[&str], by: &Principal) -> Result<String, String> {
    let no_id = |error: IdError| error.to_string();
    let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let agent = |agent: &str, wish| Ok(GovernanceWish::Agent { agent: agent.parse().map_err(no_id)?, wish });
    let wish: Result<GovernanceWish, String> = match words {
        ["agent", id, "permissions", all] => {
            agent(id, AgentWish::Permissions(list(all).into_iter().map(Permission).collect()))
        }
        ["agent", id, "activate"] => {
            agent(id, AgentWish::Move { to: AgentMove::Activate, because: "it was looked at".into() })
        }
        ["person", name, roles] => Ok(GovernanceWish::Enrol { name: (*name).to_owned(), roles: list(roles) }),
        ["roles", id, roles] => Ok(GovernanceWish::Roles { principal: id.parse().map_err(no_id)?, roles: list(roles) }),
        ["standing", action, target, span] => Ok(GovernanceWish::Standing {
            actions: list(action),
            targets: list(target),
            budget: StandingBudget { count: 5, period_seconds: 3_600 },
            span: duration(span)?,
        }),
        _ => Err("nothing is proposed so".to_owned()),
    };
    Ok(told_change(put(site, wish?, by).await))
}

async fn put(site: &Site, wish: GovernanceWish, by: &Principal) -> Result<Proposed, ChangeError> {
    site.pipeline().propose(wish, "", &Actor::human(&by.id)).await
}

fn told_change(done: Result<Proposed, ChangeError>) -> String {
    match done {
        Ok(Proposed::Made) => "= it is so".to_owned(),
        Ok(Proposed::Waits(id)) => format!("= {id} waits"),
        Err(error) => refused(&error),
    }
}

/// What the newest proposed change would make of what is.
pub(crate) async fn change(site: &Site, id: &ApprovalId) -> Result<String, String> {
    let proposed = site.pipeline().proposed(id).await.map_err(|error| refused(&error))?;
    let Some(proposed) = proposed else { return Err("the newest question is about something else".to_owned()) };
    let of = |field: &str| proposed[field].to_string();
    Ok(format!("= {} of {}: {} → {}\n= {}", of("sort"), of("subject"), of("before"), of("after"), of("impact")))
}

/// Takes the newest standing approval back.
pub(crate) async fn revoke_standing(site: &Site, by: &Principal) -> Result<String, String> {
    let known = site.ledger().views("standing", "", None, 1_000).await.map_err(|error| error.to_string())?;
    let (id, _) = known.last().ok_or("nothing is agreed to")?;
    let id = id.parse().map_err(|error: IdError| error.to_string())?;
    let done = site.pipeline().revoke_standing(&id, &by.id).await;
    Ok(done.map_or_else(|error| refused(&error), |()| String::new()))
}
