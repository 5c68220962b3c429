//! Contracts: what is published, publishing a version, and whether what is required fits.

use super::part::Part;
use super::route::{Route, documents};
use super::{Answer, App, Asked, Body, Caller, Needs, Of, Path, words};
use crate::error::{Failure, short};
use crate::wrong::Wrong;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use writ_core::AgentId;
use writ_pipeline::input::ContractRecord;
use writ_pipeline::{ContractError, PublishRefusal, SubmitError, error_chain};

/// Contracts that are checked at once at the most, as required and as provided.
const USES_MAX: usize = 64;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/contracts", Needs::Reader, list)
            .says(
                "contracts",
                "List the contracts, and which version fits whom",
                "`items` is every version that was published, `matrix` what is required held against each.",
            )
            .query::<Part>()
            .answers::<Contracts>(),
        Route::post("/api/v1/contracts", Needs::Operator, Of::Said, publish)
            .says(
                "contracts",
                "Publish a version of a contract",
                "It never changes from then on. How much it must rise from the version before is worked out, and one that rises less is \
                 refused, with what breaks and a value that shows it. The role must hold for the team that owns it, and for the one \
                 that owned the version before. Publishing the same again changes nothing.",
            )
            .takes::<NewContract>()
            .answers::<Published>()
            .fails(&[409]),
        Route::get("/api/v1/contracts/{id}", Needs::Reader, one)
            .says("contracts", "Show a contract", "Every version that was published, oldest first, with its document.")
            .answers::<ContractVersions>(),
        Route::post("/api/v1/contracts/check", Needs::Reader, Of::Nothing, check)
            .harmless()
            .says(
                "contracts",
                "Check what is required against what is published",
                "Of the plan of a manifest (`name`, `text`), of an agent that is known (`agent`), or of a list (`requires`, `provides`): \
                 `verified`, `missing`, `version` or `incompatible`, with the place in the contract that breaks and a value that shows \
                 it. Nothing is recorded or done.",
            )
            .takes::<CheckWanted>()
            .answers::<Checked>()
            .fails(&[404, 409, 502]),
    ]
}

documents! {
    /// Which published version of a contract would fit whom: `by`, `contract`, `version`, `status`, whether it `fits`, and why.
    Fitting;
    /// What a contract came to: `contract`, `status`, the `version` that was chosen, the `range` that was asked, who requires it, and the
    /// `reasons` why it does not fit, each with `pointer` and `counterexample`.
    ContractResult;
    /// What a version changes to the one before: `message`, `pointer`, `promise`, and a `counterexample` where there is one.
    ContractChange;
    /// A contract's document: everything but its status.
    ContractDocument;
}

/// A version of a contract.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractVersion {
    contract: String,
    version: String,
    /// Who answers for it.
    owner: String,
    /// `published`, `deprecated` or `retired`.
    status: &'static str,
    /// The digest of its document.
    digest: String,
}

impl ContractVersion {
    fn of(record: &ContractRecord) -> Self {
        Self {
            contract: record.contract.id.to_string(),
            version: record.contract.version.to_string(),
            owner: record.contract.owner.clone(),
            status: record.status.label(),
            digest: record.digest.to_string(),
        }
    }
}

/// A page of contracts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Contracts {
    items: Vec<ContractVersion>,
    /// What to ask for as `after`; none when there is no more.
    next: Option<String>,
    /// Of the versions of this page; what is required and was never published stands on the first.
    matrix: Vec<Fitting>,
}

async fn list(State(shared): App, Asked(page): Asked<Part>) -> Answer<Contracts> {
    let registry = shared.pipeline.contracts();
    let all = registry.records().map(ContractVersion::of);
    let (items, next) = page.of(all.map(|one| (format!("{}/{}", one.contract, one.version), Some(one))).collect())?;
    let mut matrix = shared.pipeline.contracts_matrix();
    let mut rows = matrix.get_mut("matrix").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let here = |row: &Value| match row.get("version").and_then(Value::as_str) {
        Some(version) => items.iter().any(|one| row["contract"] == one.contract && version == one.version),
        None => page.after.is_none(),
    };
    rows.retain(here);
    Ok(Json(Contracts { items, next, matrix: rows.into_iter().map(Fitting).collect() }))
}

/// A contract with all its versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractVersions {
    contract: String,
    versions: Vec<Versioned>,
}

/// A version with its document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Versioned {
    #[serde(flatten)]
    of: ContractVersion,
    document: ContractDocument,
}

async fn one(State(shared): App, Path(id): Path<String>) -> Answer<ContractVersions> {
    let registry = shared.pipeline.contracts();
    let found = registry.records().filter(|record| record.contract.id.as_str() == id);
    let versions: Vec<Versioned> = found
        .map(|record| Versioned {
            of: ContractVersion::of(record),
            document: ContractDocument(record.contract.document()),
        })
        .collect();
    if versions.is_empty() {
        return Err(Failure::not_found("contract", &id).hint("list them with `writ contract list`"));
    }
    Ok(Json(ContractVersions { contract: id, versions }))
}

/// A version of a contract that is to be published.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewContract {
    /// Its name, for places in findings.
    name: String,
    /// Its text.
    text: String,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// A version that is published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Published {
    contract: String,
    version: String,
    digest: String,
    /// Whether it was published just now; else it was before, with the same content.
    new: bool,
    /// The version that it was compared with; none for the first.
    from: Option<String>,
    /// How much it had to rise: `patch`, `minor` or `major`.
    required: String,
    /// How much it rises.
    given: String,
    /// What it changes.
    changes: Vec<ContractChange>,
}

async fn publish(State(shared): App, caller: Caller, Body(wanted): Body<NewContract>) -> Answer<Published> {
    let (reason, text) = (words(&wanted.reason)?, wanted.text.as_bytes());
    let done = shared.pipeline.publish_contract((&wanted.name, text), &caller.0, reason).await?;
    let told = |field: &str| done.judged.get(field).and_then(Value::as_str).map(str::to_owned);
    let changes = done.judged.get("changes").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(Json(Published {
        contract: done.contract.id.to_string(),
        version: done.contract.version.to_string(),
        digest: done.digest.to_string(),
        new: done.new,
        from: told("from"),
        required: told("required").unwrap_or_default(),
        given: told("given").unwrap_or_default(),
        changes: changes.into_iter().map(ContractChange).collect(),
    }))
}

/// A contract that somebody requires or provides.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UseWanted {
    /// The contract: `contract.self-healing.v1`.
    contract: String,
    /// The range that is required (`^1.0.0`), or the version that is provided (`1.0.0`).
    version: String,
}

/// What is to be checked: one of a manifest, an agent, and a list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckWanted {
    /// The manifest's name, for places in findings.
    #[serde(default)]
    name: String,
    /// A manifest: what the actions of its plan and the agents that are known require.
    #[serde(default)]
    text: Option<String>,
    /// An agent that is known.
    #[serde(default)]
    agent: Option<String>,
    /// Contracts that somebody would require.
    #[serde(default)]
    #[schema(max_items = 64)]
    requires: Vec<UseWanted>,
    /// Contracts that they would provide.
    #[serde(default)]
    #[schema(max_items = 64)]
    provides: Vec<UseWanted>,
}

/// What a check came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checked {
    /// Whether everything fits.
    verified: bool,
    /// Each contract that is required.
    requires: Vec<ContractResult>,
    /// Each that is provided.
    provides: Vec<ContractResult>,
}

fn bad(detail: impl Into<String>) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid", detail)
}

async fn check(State(shared): App, caller: Caller, Body(wanted): Body<CheckWanted>) -> Answer<Checked> {
    let pipeline = &shared.pipeline;
    let listed = !wanted.requires.is_empty() || !wanted.provides.is_empty();
    match (&wanted.text, &wanted.agent, listed) {
        (Some(text), None, false) => {
            let prepared = pipeline.prepare(&wanted.name, text.as_bytes(), &caller.0).await;
            let prepared = prepared.map_err(|error| super::intents::unfit(error, pipeline))?;
            let Some(report) = &prepared.contracts else {
                // Policy says no before there is a plan.
                let (intent, prepared) = (prepared.manifest.intent.id.clone(), Box::new(prepared));
                return Err(Failure::of_submit(SubmitError::Denied { intent, prepared }, pipeline));
            };
            Ok(Json(checked(report, &json!({}))))
        }
        (None, Some(agent), false) => {
            let id: AgentId = super::field("/agent", agent)?;
            let known = pipeline.gate().state().roster.get(&id).cloned();
            let known = known.ok_or_else(|| Failure::not_found("agent", &short(agent)))?;
            let uses = |uses: &[writ_pipeline::ContractUse]| -> Vec<(String, String)> {
                uses.iter().map(|one| (one.contract.clone(), one.version.clone())).collect()
            };
            let found =
                pipeline.check_contract_uses(&format!("agent/{id}"), &uses(&known.requires), &uses(&known.provides))?;
            Ok(Json(checked(&found.requires.document(), &found.provides.document())))
        }
        (None, None, true) => {
            for (name, uses) in [("requires", &wanted.requires), ("provides", &wanted.provides)] {
                if uses.len() > USES_MAX {
                    let detail = format!("`{name}` names {} contracts; {USES_MAX} is the most", uses.len());
                    return Err(bad(detail).at(format!("/{name}")));
                }
            }
            let uses = |uses: &[UseWanted]| -> Vec<(String, String)> {
                uses.iter().map(|one| (one.contract.clone(), one.version.clone())).collect()
            };
            let (requires, provides) = (uses(&wanted.requires), uses(&wanted.provides));
            let found = pipeline.check_contract_uses("you", &requires, &provides);
            let found = found.map_err(|error| unnamed(error, &requires, &provides))?;
            Ok(Json(checked(&found.requires.document(), &found.provides.document())))
        }
        _ => Err(bad("say one of `text`, `agent`, and `requires` or `provides`").at("")),
    }
}

fn checked(requires: &Value, provides: &Value) -> Checked {
    let results = |report: &Value| -> Vec<ContractResult> {
        let rows = report.pointer("/contract_verification/verification_results").and_then(Value::as_array);
        rows.into_iter().flatten().cloned().map(ContractResult).collect()
    };
    let (requires, provides) = (results(requires), results(provides));
    let fits = |one: &ContractResult| one.0.get("compatible") == Some(&Value::Bool(true));
    Checked { verified: requires.iter().chain(&provides).all(fits), requires, provides }
}

/// Which of what was listed names no contract, or no version.
fn unnamed(error: ContractError, requires: &[(String, String)], provides: &[(String, String)]) -> Failure {
    let ContractError::Unnamed { contract, version, .. } = &error else { return error.into() };
    let find = |name: &str, uses: &[(String, String)]| {
        let at = uses.iter().position(|one| one.0 == *contract && one.1 == *version)?;
        Some(format!("/{name}/{at}"))
    };
    let pointer = find("requires", requires).or_else(|| find("provides", provides)).unwrap_or_default();
    let detail = format!("`{}` {} is no contract in a version", short(contract), short(version));
    bad(detail).at(pointer).hint("write them as `contract.<name>.v<major>`, and `^1.0.0` or `1.0.0`")
}

impl From<ContractError> for Failure {
    fn from(error: ContractError) -> Self {
        let refused = match error {
            ContractError::Invalid(problems) => {
                let wrong = problems.iter().map(|problem| Wrong::within("/text", problem)).collect();
                let detail = format!("the contract has {}", writ_text::problems(problems.len()));
                return Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
                    .wrong(wrong)
                    .with(json!({"problems": problems}));
            }
            ContractError::Barred(barred) => return Self::from(barred),
            ContractError::Unnamed { .. } => {
                return Self::new(StatusCode::CONFLICT, "refused", error.to_string());
            }
            ContractError::Commit(error) => return Self::from(error),
            ContractError::Ledger(error) => return Self::from(error),
            ContractError::Refused(refused) => refused,
        };
        let told = Self::new(StatusCode::CONFLICT, "refused", short_chain(&refused)).at("/text");
        match &*refused.because {
            PublishRefusal::Status { .. } => told.hint("publish it once it is approved"),
            PublishRefusal::Immutable { .. } => told.hint("give what it says now a version of its own"),
            PublishRefusal::NotNewer { latest } => told.hint(format!("give it a version above {latest}")),
            PublishRefusal::TooSmall { changes, from, given, required } => {
                let changes: Vec<Value> = changes.iter().map(|change| change.document()).collect();
                told.with(json!({
                    "changes": changes, "from": from.to_string(), "given": given, "required": required,
                }))
            }
        }
    }
}

fn short_chain(error: &(dyn std::error::Error + 'static)) -> String {
    error_chain(error).chars().take(1_000).collect()
}
