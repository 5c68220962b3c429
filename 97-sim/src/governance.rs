//! Commands of journeys about how an installation is governed: breaking the glass, what a person must look at, and changes
//! that two people make together.

use crate::Site;
use crate::script::{COMPONENT, duration, refused};
use std::time::Duration;
use writ_core::{Actor, ApprovalId, EventId, IdError, Ledger as _, Permission};
use writ_pipeline::{
    AgentMove, AgentWish, ChangeError, GlassError, GlassWish, GovernanceWish, Mode, Principal, Proposed, RemedyAction,
    ShadowFilter, StandingBudget,
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

/// The newest decision about an instance that was only recorded.
async fn shadow_of(site: &Site, slot: &str) -> Result<EventId, String> {
    let found = site.pipeline().shadows(&ShadowFilter::default(), None, 100).await.map_err(|error| refused(&error))?;
    let about = |doc: &&serde_json::Value| {
        let mut targets = doc["remedy"]["targets"].as_array().into_iter().flatten();
        targets.any(|target| target["instance"] == slot)
    };
    let decision = found.items.iter().find(about).and_then(|doc| doc["decision"].as_str()?.parse().ok());
    decision.ok_or_else(|| format!("nothing was only recorded of `{slot}`"))
}

/// Somebody judges what would have been done to an instance.
pub(crate) async fn judge(site: &Site, right: bool, slot: &str, by: &Principal) -> Result<String, String> {
    let decision = shadow_of(site, slot).await?;
    let judged = site.pipeline().judge(&decision, right, "it was looked at", by).await;
    Ok(judged.map_or_else(|error| refused(&error), |()| String::new()))
}

/// Somebody wants an action to go further on its own, or less far, and cites what would have been done to some instances.
pub(crate) async fn mode(
    site: &Site,
    action: &str,
    mode: &str,
    slots: &[&str],
    by: &Principal,
) -> Result<String, String> {
    let mut cites = Vec::new();
    for slot in slots {
        cites.push(shadow_of(site, slot).await?);
    }
    let component = COMPONENT.parse().map_err(|error: IdError| error.to_string())?;
    let action = RemedyAction::named(action).ok_or("there is no such action")?;
    let mode = Mode::named(mode).ok_or("there is no such mode")?;
    Ok(told_change(put(site, GovernanceWish::Mode { component, action, mode, cites }, by).await))
}

/// How far each action goes.
pub(crate) async fn modes(site: &Site) -> Result<String, String> {
    let modes = site.pipeline().modes().await.map_err(|error| refused(&error))?;
    let line = |one: &writ_pipeline::ModeInForce| {
        let by = one.approval.as_ref().map(|approval| format!(" {approval}")).unwrap_or_default();
        let judged = format!("{} right, {} wrong, {} unjudged", one.right, one.wrong, one.unjudged);
        format!("= {} {} by {:?}{by}: {judged}", one.action, one.mode, one.origin)
    };
    Ok(modes.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// What led to something, and what came of it.
pub(crate) async fn story(site: &Site, id: &str) -> Result<String, String> {
    let story = writ_pipeline::why(site.pipeline().journal(), id).await.map_err(|error| refused(&error))?;
    let story = story.ok_or_else(|| format!("nothing is known of `{id}`"))?;
    let line = |mark: &str, line: &writ_pipeline::Line| format!("{mark} {}", line.text);
    let because = story.because.iter().map(|one| line("= because", one));
    Ok(because.chain(story.then.iter().map(|one| line("= then", one))).collect::<Vec<_>>().join("\n"))
}

/// Takes the newest standing approval back.
pub(crate) async fn revoke_standing(site: &Site, by: &Principal) -> Result<String, String> {
    let known = site.ledger().views("standing", "", None, 1_000).await.map_err(|error| error.to_string())?;
    let (id, _) = known.last().ok_or("nothing is agreed to")?;
    let id = id.parse().map_err(|error: IdError| error.to_string())?;
    let done = site.pipeline().revoke_standing(&id, &by.id).await;
    Ok(done.map_or_else(|error| refused(&error), |()| String::new()))
}
