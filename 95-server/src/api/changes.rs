//! Changes of what governs: policies, people's roles, and what is proposed of them. Each is made at once, or waits for somebody
//! else as an approval like any other.

use super::agents::stays;
use super::matches::{Thing, matching};
use super::route::{Route, documents};
use super::{Answer, App, Body, Caller, Needs, Of, Path, Shared, parsed, reason};
use crate::error::Failure;
use crate::wrong::Wrong;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use writ_core::ApprovalId;
use writ_pipeline::input::Problem;
use writ_pipeline::{ChangeError, GovernanceWish, Proposed, StandingRefused, error_chain, person};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/policies", Needs::Operator, Of::Realm, policies)
            .says(
                "policies",
                "Propose other policies",
                "Refused whole when one is broken or a test fails. Told with what they would have decided on the last decisions; on a \
                 server they are in force once somebody else agrees.",
            )
            .matches()
            .takes::<PoliciesWanted>()
            .answers::<ChangeTold>()
            .fails(&[409]),
        Route::post("/api/v1/principals", Needs::Admin, Of::Realm, enrol)
            .says("people", "Make somebody known", "On a server, once somebody else agrees.")
            .takes::<Newcomer>()
            .answers::<ChangeTold>()
            .fails(&[409]),
        Route::post("/api/v1/principals/{id}/roles", Needs::Admin, Of::Realm, roles)
            .says("people", "Give and take roles", "A role that is taken away is in no token and no session from then on.")
            .matches()
            .takes::<RolesWanted>()
            .answers::<ChangeTold>()
            .fails(&[409]),
        Route::get("/api/v1/changes/{id}", Needs::Reader, one)
            .says("approvals", "Show what an approval would change", "By the approval's id: what is so now, and what would be.")
            .answers::<ProposedChange>(),
    ]
}

documents! {
    /// A proposed change of what governs: `before` and `after`, its author, their `reason` and its state, and of policies the `impact`.
    ProposedChange;
    /// What came of proposing a change: its `state`, `made` or `open`, and the `approval` that it waits for.
    ChangeTold;
}

/// A file of policies, or of their tests.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyFile {
    /// Its name.
    pub(crate) name: String,
    /// All of it.
    pub(crate) text: String,
}

/// Other policies.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoliciesWanted {
    /// All that are to be in force.
    files: Vec<PolicyFile>,
    /// Tests that must pass.
    #[serde(default)]
    tests: Vec<PolicyFile>,
    /// Why.
    #[serde(default)]
    #[schema(required = true)]
    reason: String,
}

/// Files at the most.
const FILES_MAX: usize = 200;

/// Files of policies and tests that are not too many, each policy file with a name of its own.
pub(crate) fn few(files: &[PolicyFile], tests: &[PolicyFile]) -> Result<(), Failure> {
    let bad = |detail: String| Failure::new(StatusCode::BAD_REQUEST, "invalid", detail);
    if files.is_empty() || files.len() + tests.len() > FILES_MAX {
        return Err(bad(format!("give one to {FILES_MAX} files")).at("/files"));
    }
    let mut names = std::collections::BTreeSet::new();
    let plain = |name: &str| !name.is_empty() && name.len() <= 200 && !name.chars().any(char::is_control);
    let misnamed = |file: &PolicyFile| !plain(&file.name) || !names.insert(file.name.clone());
    if let Some(at) = files.iter().position(misnamed) {
        let name = files.get(at).map_or("", |file| file.name.as_str());
        let detail = format!("`{}` is no name of a file, or is given twice", crate::error::short(name));
        return Err(bad(detail).at(format!("/files/{at}/name")));
    }
    Ok(())
}

async fn policies(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Body(wanted): Body<PoliciesWanted>,
) -> Answer<ChangeTold> {
    few(&wanted.files, &wanted.tests)?;
    let files: Vec<String> = wanted.files.iter().map(|file| file.name.clone()).collect();
    let bytes = |files: Vec<PolicyFile>| files.into_iter().map(|file| (file.name, file.text.into_bytes())).collect();
    let wish = GovernanceWish::Policies { files: bytes(wanted.files), tests: bytes(wanted.tests) };
    let (because, by) = (reason(&wanted.reason)?, caller.actor());
    let work = async { shared.pipeline.propose(wish, because, &by).await.map_err(|error| unsound(&files, error)) };
    let proposed = matching(&shared, &Thing::Policies, &headers, work).await?;
    told(&shared, proposed).await.map(ChangeTold).map(Json)
}

/// Why policies are refused, with the file of each problem.
pub(crate) fn unsound(files: &[String], error: ChangeError) -> Failure {
    let problems = if let ChangeError::Policies(problems) = &error { problems.as_slice() } else { &[] };
    let pointer = |problem: &Problem| match files.iter().position(|name| *name == problem.at.file) {
        Some(at) => format!("/files/{at}/text"),
        None => "/files".to_owned(),
    };
    let wrong: Vec<Wrong> = problems.iter().map(|problem| Wrong::within(pointer(problem), problem)).collect();
    if problems.is_empty() { Failure::from(error) } else { Failure::from(error).wrong(wrong) }
}

/// Somebody new.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Newcomer {
    /// What they are called.
    name: String,
    /// What they may do.
    roles: Vec<String>,
    /// Why.
    #[serde(default)]
    #[schema(required = true)]
    reason: String,
}

async fn enrol(State(shared): App, caller: Caller, Body(wanted): Body<Newcomer>) -> Answer<ChangeTold> {
    let wish = GovernanceWish::Enrol { name: wanted.name, roles: wanted.roles };
    propose(&shared, wish, &wanted.reason, &caller).await.map(ChangeTold).map(Json)
}

/// Which roles somebody gets and loses.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolesWanted {
    /// What they get.
    #[serde(default)]
    grant: Vec<String>,
    /// What they lose.
    #[serde(default)]
    revoke: Vec<String>,
    /// Why.
    #[serde(default)]
    #[schema(required = true)]
    reason: String,
}

async fn roles(
    State(shared): App,
    caller: Caller,
    headers: HeaderMap,
    Path(who): Path<String>,
    Body(wanted): Body<RolesWanted>,
) -> Answer<ChangeTold> {
    let who = person(shared.pipeline.journal(), &who).await?;
    let mut roles = who.roles;
    roles.retain(|role| !wanted.revoke.contains(role));
    for role in wanted.grant {
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    let thing = Thing::Person(who.principal.clone());
    let wish = GovernanceWish::Roles { principal: who.principal, roles };
    let work = propose(&shared, wish, &wanted.reason, &caller);
    let proposed = matching(&shared, &thing, &headers, work).await;
    proposed.map(ChangeTold).map(Json).map_err(|failure| failure.elsewhere("/roles", "/grant"))
}

/// What an approval would change, with what is so now, what would be, and what policies would have decided.
async fn one(State(shared): App, Path(id): Path<String>) -> Answer<ProposedChange> {
    let approval: ApprovalId = parsed(&id)?;
    let proposed = shared.pipeline.proposed(&approval).await?;
    proposed.map(ProposedChange).map(Json).ok_or_else(|| Failure::not_found("proposed change", &id))
}

/// Proposes a change; the answer says whether it is made or waits, and for which approval.
pub(crate) async fn propose(
    shared: &Shared,
    wish: GovernanceWish,
    because: &str,
    caller: &Caller,
) -> Result<Value, Failure> {
    let proposed = shared.pipeline.propose(wish, reason(because)?, &caller.actor()).await?;
    told(shared, proposed).await
}

async fn told(shared: &Shared, proposed: Proposed) -> Result<Value, Failure> {
    Ok(match proposed {
        Proposed::Made => json!({"state": "made", "approval": null}),
        Proposed::Waits(id) => {
            let change = shared.pipeline.proposed(&id).await?.unwrap_or_default();
            json!({"state": "open", "approval": id, "change": change})
        }
    })
}

/// Which value of a standing approval it is that cannot be.
fn place_of(refused: &StandingRefused) -> Option<Wrong> {
    let pointer = match refused {
        StandingRefused::TooLong { .. } | StandingRefused::NoTime => "/seconds".to_owned(),
        StandingRefused::Nothing { what } => format!("/{}", what.trim_matches('`')),
        StandingRefused::NoBudget => "/budget".to_owned(),
        StandingRefused::OwnApproval { .. } => return None,
    };
    Some(Wrong::at(pointer, refused.to_string()))
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        let told = |status, code, error: &ChangeError| Self::new(status, code, error_chain(error));
        match error {
            ChangeError::Agent(ref because) => stays(&error, because),
            ChangeError::Nothing => told(StatusCode::CONFLICT, "refused", &error),
            ChangeError::Policies(ref problems) => {
                told(StatusCode::UNPROCESSABLE_ENTITY, "invalid", &error).with(json!({"problems": problems}))
            }
            ChangeError::Tests { ref report } => told(StatusCode::UNPROCESSABLE_ENTITY, "invalid", &error)
                .with(json!({"tests": report}))
                .hint("see which with `writ policy test DIR`"),
            ChangeError::Missing { .. } => Self::internal(&error),
            ChangeError::Person(error) => Self::from(error),
            ChangeError::Standing(ref refused) => {
                let wrong = refused.iter().filter_map(place_of).collect();
                told(StatusCode::BAD_REQUEST, "invalid", &error).wrong(wrong)
            }
            ChangeError::Mode(_) => told(StatusCode::CONFLICT, "refused", &error)
                .hint("see what may be cited with `writ incident shadows --opinion right`"),
            ChangeError::NotWatched { .. } => {
                told(StatusCode::NOT_FOUND, "not-found", &error).hint("list those that are with `writ incident modes`")
            }
            ChangeError::Behind => told(StatusCode::CONFLICT, "stale", &error).hint("ask again in a moment"),
            ChangeError::NotStanding { .. } => {
                told(StatusCode::NOT_FOUND, "not-found", &error).hint("list them with `writ standing list`")
            }
            ChangeError::Void { .. } | ChangeError::Author { .. } => {
                told(StatusCode::CONFLICT, "stale", &error).hint("propose it anew")
            }
            ChangeError::Commit(error) => Self::from(error),
            ChangeError::Ledger(error) => Self::from(error),
        }
    }
}
