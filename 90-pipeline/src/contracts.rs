//! Contracts in force: what files and people published, as the journal has it. A published version never changes, whoever comes
//! with another of its name.

use crate::approvals::Principal;
use crate::commit::{Batch, CommitError, Expect};
use crate::erase::beside;
use crate::grant::{Barred, Scope};
use crate::journal::{Journal, decode};
use crate::pipeline::{Pipeline, PipelineError, Setup};
use serde_json::{Value, json};
use std::sync::{Arc, PoisonError, RwLock};
use writ_contracts::{
    Contract, ContractEvent, ContractId, Needs, PublishRefused, Refusal, Registry, Report, Status, check_uses,
    read_contract, recall_contract,
};
use writ_core::{Actor, Digest, Draft, Entry, Event, Filter, LedgerError};
use writ_text::Problem;

const PUBLISHED: &str = "contract.published/1";
const RESTATED: &str = "contract.status_changed/1";

/// Entries read at once.
const PAGE: usize = 1_000;

/// How many changes an entry names of a new version, and how long one may be: an entry is bounded, and what a version changes can
/// be worked out again from the two that are attached.
const CHANGES_MAX: usize = 16;
const CHANGE_BYTES_MAX: usize = 2_048;

/// Who needs the role to publish.
const PUBLISHER: &str = "operator";

/// The registry; replaced whole, never changed.
pub(crate) struct InForce(RwLock<Arc<Registry>>);

/// Why a contract is not published.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// It is not sound.
    #[error("the contract has {}", writ_text::problems(.0.len()))]
    Invalid(Vec<Problem>),
    /// The rules of publishing refuse it.
    #[error(transparent)]
    Refused(#[from] PublishRefused),
    /// Whoever asks may not, for the team that owns it.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// An agent's use of a contract names none.
    #[error("`{agent}` names `{contract}` {version}, which is no contract in a version")]
    Unnamed {
        /// The agent.
        agent: String,
        /// What it names as a contract.
        contract: String,
        /// And as a version or range.
        version: String,
    },
    /// Nothing could be recorded.
    #[error("the journal takes nothing")]
    Commit(#[from] CommitError),
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Ledger(#[from] LedgerError),
}

/// What came of publishing.
#[derive(Debug, Clone)]
pub struct ContractPublished {
    /// The contract.
    pub contract: Contract,
    /// Its digest.
    pub digest: Digest,
    /// Whether it came into force just now; else it was in force as it is.
    pub new: bool,
    /// What it changes to the version that it was compared with, how much it had to rise and does.
    pub judged: Value,
}

/// What somebody's uses of contracts come to.
#[derive(Debug, Clone)]
pub struct UsesChecked {
    /// What they require.
    pub requires: Report,
    /// What they provide.
    pub provides: Report,
}

/// The registry as it was recorded, and what the files publish besides. What they say of a version that is published must be the
/// same.
pub(crate) async fn open(journal: &Journal, setup: &Setup) -> Result<InForce, PipelineError> {
    let mut registry = recorded(journal).await?;
    let by = Actor::system("contracts");
    for record in setup.registry.records() {
        let contract = &*record.contract;
        let known = registry.versions(&contract.id).get(&contract.version).cloned();
        match known {
            Some(known) if known.digest == record.digest && known.status == record.status => continue,
            // The files say when a version goes out of force.
            Some(known) if known.digest == record.digest => {
                let (id, version) = (contract.id.clone(), contract.version.clone());
                let event = ContractEvent::StatusChanged { id, status: record.status, version };
                keep(journal, Batch::of(vec![event.draft(&by)])).await?;
                registry.restate(&contract.id, &contract.version, record.status);
            }
            Some(_) | None => {
                let event = registry.judge(contract)?;
                keep(journal, published(&event, contract, &by)).await?;
                if record.status != Status::Published {
                    let (id, version) = (contract.id.clone(), contract.version.clone());
                    let event = ContractEvent::StatusChanged { id, status: record.status, version };
                    keep(journal, Batch::of(vec![event.draft(&by)])).await?;
                }
                registry.recall(contract.clone(), record.status);
            }
        }
    }
    Ok(InForce(RwLock::new(Arc::new(registry))))
}

/// What was published, folded from the journal. A version's status is never stated before the version is published.
async fn recorded(journal: &Journal) -> Result<Registry, PipelineError> {
    let unreadable = |because: String| PipelineError::Recorded { of: "contracts", because };
    let mut registry = Registry::new();
    for entry in entries_of(journal, PUBLISHED).await? {
        let bytes = match attached(&entry) {
            Some(digest) => journal.ledger().attachment(&digest).await?,
            None => None,
        };
        let missing = || unreadable(format!("what entry {} published is not attached", entry.seq));
        let contract = recall_contract(&bytes.ok_or_else(missing)?).map_err(|problems| {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            unreadable(format!("entry {}: {first}", entry.seq))
        })?;
        registry.recall(contract, Status::Published);
    }
    for entry in entries_of(journal, RESTATED).await? {
        let unnamed = || unreadable(format!("entry {} names no version", entry.seq));
        let (id, version, status) = restated(&entry.body).ok_or_else(unnamed)?;
        registry.restate(&id, &version, status);
    }
    Ok(registry)
}

/// All entries of a kind, in order.
async fn entries_of(journal: &Journal, kind: &str) -> Result<Vec<Entry>, LedgerError> {
    let (mut entries, mut from_seq) = (Vec::new(), 0);
    loop {
        let wanted = Filter { kind: Some(kind.to_owned()), from_seq: Some(from_seq), ..Filter::default() };
        let page = journal.ledger().query(&wanted, PAGE).await?;
        for stored in &page {
            let entry = decode(stored)?;
            from_seq = entry.seq + 1;
            entries.push(entry);
        }
        if page.len() < PAGE {
            return Ok(entries);
        }
    }
}

fn attached(entry: &Entry) -> Option<Digest> {
    entry.body.pointer("/attachments/contract")?.as_str()?.parse().ok()
}

fn restated(body: &Value) -> Option<(ContractId, semver::Version, Status)> {
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    let status = serde_json::from_value(body.get("status")?.clone()).ok()?;
    Some((text("id")?.parse().ok()?, text("version")?.parse().ok()?, status))
}

/// The batch that records a version, with its document.
fn published(event: &ContractEvent, contract: &Contract, by: &Actor) -> Batch {
    let mut batch = Batch::default();
    let kept = batch.attach(contract.bytes());
    let mut draft = event.draft(by);
    if let Some(Value::Array(changes)) = draft.body.get_mut("changes") {
        changes.truncate(CHANGES_MAX);
        changes.iter_mut().for_each(shorten);
    }
    draft.body["attachments"] = json!({"contract": kept});
    batch.drafts.push(draft);
    batch
}

/// A change without its example, where that is long.
fn shorten(change: &mut Value) {
    if change.to_string().len() <= CHANGE_BYTES_MAX {
        return;
    }
    let cut = |text: &mut String| *text = text.chars().take(CHANGE_BYTES_MAX / 8).chain("…".chars()).collect();
    for field in change.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
        if let Value::String(text) = field
            && text.len() > CHANGE_BYTES_MAX / 4
        {
            cut(text);
        }
    }
}

async fn keep(journal: &Journal, mut batch: Batch) -> Result<(), PipelineError> {
    let stream = batch.drafts.first().map(|draft: &Draft| draft.stream.clone()).unwrap_or_default();
    let version = journal.ledger().stream_version(&stream).await?;
    batch.expects.push(Expect { stream, version });
    journal.commit(&journal.new_cause(), batch).await?;
    Ok(())
}

impl Pipeline {
    /// The contracts in force.
    #[must_use]
    pub fn contracts(&self) -> Arc<Registry> {
        self.inner.contracts.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which published contract version would fit whom.
    #[must_use]
    pub fn contracts_matrix(&self) -> Value {
        writ_contracts::matrix(&self.setup().needs, &self.contracts())
    }

    /// Publishes a version of a contract. Publishing the same again changes nothing. Whoever does must be an operator for the team
    /// that owns it, and for the one that owned the version before.
    ///
    /// # Errors
    /// When it is not sound, changes a published version, or rises less than its changes require.
    pub async fn publish_contract(
        &self,
        (name, text): (&str, &[u8]),
        by: &Principal,
        reason: &str,
    ) -> Result<ContractPublished, ContractError> {
        let contract = read_contract(name, text).map_err(ContractError::Invalid)?;
        // What could not be read back would be lost at the next start.
        recall_contract(&contract.bytes()).map_err(ContractError::Invalid)?;
        let _governing = self.inner.governing.lock().await;
        let registry = self.contracts();
        let before = registry.versions(&contract.id).last_key_value().map(|(_, record)| record.contract.owner.clone());
        for owner in before.iter().chain([&contract.owner]) {
            by.must(PUBLISHER, &Scope { team: Some(owner.clone()), environment: None })?;
        }
        let digest = contract.digest();
        let new = !registry.versions(&contract.id).contains_key(&contract.version);
        let (event, contract) = judge(registry.clone(), contract).await?;
        let mut batch = published(&event, &contract, &Actor::human(&by.id));
        let judged = batch.drafts.first().map(|draft| draft.body.clone()).unwrap_or_default();
        if !new {
            return Ok(ContractPublished { contract, digest, new, judged });
        }
        let words = Some(beside(self.journal(), reason)).filter(|_| !reason.is_empty());
        if let (Some(words), Some(draft)) = (words, batch.drafts.first_mut()) {
            draft.body["erasables"] = json!({"reason": words.commitment});
            batch.erasables.push(words);
        }
        let stream = batch.drafts.first().map(|draft| draft.stream.clone()).unwrap_or_default();
        let version = self.journal().ledger().stream_version(&stream).await?;
        batch.expects.push(Expect { stream, version });
        self.journal().commit(&self.journal().new_cause(), batch).await?;
        let mut grown = (*registry).clone();
        grown.recall(contract.clone(), Status::Published);
        *self.inner.contracts.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(grown);
        Ok(ContractPublished { contract, digest, new, judged })
    }

    /// What somebody's uses of contracts come to, each a contract with the range that is required or the version that is provided;
    /// and what else is known to be required by somebody of that name.
    ///
    /// # Errors
    /// When one names no contract, or no version.
    pub fn check_contract_uses(
        &self,
        by: &str,
        requires: &[(String, String)],
        provides: &[(String, String)],
    ) -> Result<UsesChecked, ContractError> {
        let registry = self.contracts();
        let report = |needs: &Needs, uses: &[(String, String)], exact: bool| {
            let read = |(contract, version): &(String, String)| {
                let unnamed = || ContractError::Unnamed {
                    agent: by.to_owned(),
                    contract: contract.clone(),
                    version: version.clone(),
                };
                let range = if exact {
                    version.parse::<semver::Version>().ok().and_then(|version| format!("={version}").parse().ok())
                } else {
                    version.parse().ok()
                };
                Ok((contract.parse().map_err(|_| unnamed())?, range.ok_or_else(unnamed)?))
            };
            let read = uses.iter().map(read).collect::<Result<Vec<_>, ContractError>>()?;
            Ok::<_, ContractError>(check_uses(by, needs, &read, &registry))
        };
        // The file of requirements says it with the messages that they send and read in a form of their own.
        let requires = report(&self.setup().needs, requires, false)?;
        Ok(UsesChecked { requires, provides: report(&Needs::default(), provides, true)? })
    }
}

/// Holds a version against those before it, off the threads that answer: what schemas come to can take a while.
async fn judge(registry: Arc<Registry>, contract: Contract) -> Result<(ContractEvent, Contract), ContractError> {
    if !matches!(contract.status, Status::Approved | Status::Published) {
        let because = Box::new(Refusal::Status { status: contract.status.label() });
        return Err(PublishRefused { because, id: contract.id, version: contract.version }.into());
    }
    let judged = tokio::task::spawn_blocking(move || registry.judge(&contract).map(|event| (event, contract))).await;
    match judged {
        Ok(judged) => Ok(judged?),
        Err(gone) => {
            let because = format!("a contract could not be judged: {gone}");
            Err(LedgerError::Damaged { place: "the registry".into(), what: because }.into())
        }
    }
}
