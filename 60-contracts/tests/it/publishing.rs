//! What a change of a contract requires of its version: `tests/cases/publish/*.yaml`, two documents and the answer.

use crate::rows::{example, registry};
use semver::{Version, VersionReq};
use std::path::PathBuf;
use std::time::Duration;
use writ_contracts::{
    Contract, ContractEvent, ContractId, NOTICE, PublishRefused, Refusal, Registry, Status, Unresolved, read_contract,
    recall_contract,
};
use writ_core::{Actor, Event, Timestamp};

fn told(result: Result<ContractEvent, PublishRefused>) -> String {
    match result {
        Ok(ContractEvent::Published { required, given, .. }) => {
            format!("published: {required} required, {given} given")
        }
        Ok(other) => format!("{other:?}"),
        Err(refused) => match *refused.because {
            Refusal::TooSmall { changes, required, given, .. } => {
                let pointers: Vec<&str> = changes.iter().map(|change| change.pointer.as_str()).collect();
                format!("refused: {required} required, {given} given, at {}", pointers.join(" "))
            }
            other @ (Refusal::Status { .. } | Refusal::Immutable { .. } | Refusal::NotNewer { .. }) => {
                format!("refused: {other}")
            }
        },
    }
}

#[test]
fn every_change_requires_its_rise() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/publish");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    for path in &files {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let wanted = text.lines().find_map(|line| line.strip_prefix("#! ")).unwrap();
        let mut registry = Registry::new();
        let mut last = String::new();
        for document in text.split("\n---\n") {
            let contract = read_contract(name, document.as_bytes()).unwrap_or_else(|problems| panic!("{problems:#?}"));
            last = told(registry.publish(contract));
        }
        if last != wanted {
            wrong.push(format!("{name}:\n  told   {last}\n  wanted {wanted}"));
        }
    }
    assert!(files.len() >= 14, "{}", files.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn with_version(text: &str) -> Contract {
    let mut contract = example("monitoring.v1.yaml");
    contract.version = version(text);
    contract
}

#[test]
fn a_published_version_never_changes_and_the_same_bytes_are_no_change() {
    let mut registry = registry();
    assert_eq!(told(registry.publish(example("monitoring.v1.yaml"))), "published: patch required, patch given");
    let mut changed = example("monitoring.v1.yaml");
    changed.description.push('!');
    let error = registry.publish(changed).unwrap_err();
    assert!(matches!(*error.because, Refusal::Immutable { .. }));
    assert!(error.to_string().contains("a published version never changes"), "{error}");
    assert_eq!(registry.records().count(), 3);
}

#[test]
fn drafts_and_older_versions_are_not_published() {
    let mut registry = Registry::of([with_version("1.0.0"), with_version("1.2.0")]).unwrap();
    let error = registry.publish(with_version("1.1.0")).unwrap_err();
    assert_eq!(error.to_string(), "`contract.monitoring.v1` 1.1.0 is not newer than 1.2.0, which is published");
    let draft = Contract { status: Status::Draft, ..with_version("1.3.0") };
    let error = registry.publish(draft).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`contract.monitoring.v1` 1.3.0 cannot be published while it is draft; it needs the status `approved`"
    );
}

#[test]
fn ranges_resolve_to_the_newest_in_force_and_prefer_what_is_not_deprecated() {
    let id: ContractId = "contract.monitoring.v1".parse().unwrap();
    let range = |text: &str| VersionReq::parse(text).unwrap();
    let mut registry = Registry::of(["1.0.0", "1.1.0", "1.2.0"].map(with_version)).unwrap();
    let resolved = |registry: &Registry, text: &str| {
        registry.resolve(&id, &range(text)).map(|record| record.contract.version.to_string())
    };
    assert_eq!(resolved(&registry, "^1.0").as_deref(), Ok("1.2.0"));
    assert_eq!(resolved(&registry, "~1.1").as_deref(), Ok("1.1.0"));
    let now = Timestamp::from_micros(5_000_000);
    registry.deprecate(&id, &version("1.2.0"), now).unwrap();
    assert_eq!(resolved(&registry, "^1.0").as_deref(), Ok("1.1.0"));
    assert_eq!(resolved(&registry, ">=1.2").as_deref(), Ok("1.2.0"));
    let early = registry.retire(&id, &version("1.2.0"), now.plus(Duration::from_secs(60))).unwrap_err();
    assert_eq!(early.to_string(), "the status of `contract.monitoring.v1` 1.2.0 does not change");
    registry.retire(&id, &version("1.2.0"), now.plus(NOTICE)).unwrap();
    let available = vec![version("1.0.0"), version("1.1.0")];
    let unresolved = registry.resolve(&id, &range(">=1.2")).unwrap_err();
    assert_eq!(unresolved, Unresolved::Version { available, retired: vec![version("1.2.0")] });
    let other: ContractId = "contract.monitoring.v2".parse().unwrap();
    assert_eq!(registry.resolve(&other, &range("*")).unwrap_err(), Unresolved::Missing { others: vec![id] });
}

#[test]
fn events_are_entries_without_floats() {
    let mut registry = Registry::new();
    let event = registry.publish(example("self-healing.v1.yaml")).unwrap();
    let draft = event.draft(&Actor::system("contracts"));
    assert_eq!((draft.kind, draft.action.as_str()), ("contract.published/1", "publish_contract"));
    assert_eq!(draft.stream, "contract/contract.self-healing.v1");
    assert!(writ_seal::canonical(&draft.body).is_ok());
    assert_eq!(draft.body["digest"], serde_json::json!(example("self-healing.v1.yaml").digest()));
}

#[test]
fn what_was_written_is_read_back_as_it_was_and_nothing_else_is() {
    let all = registry();
    let mut back = Registry::new();
    for record in all.records() {
        let bytes = record.contract.bytes();
        let again = recall_contract(&bytes).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!((again.digest(), again.bytes()), (record.digest, bytes));
        back.recall(again, record.status);
    }
    let told = |registry: &Registry| -> Vec<(String, String, &'static str)> {
        let each = registry.records();
        each.map(|one| (one.contract.id.to_string(), one.digest.to_string(), one.status.label())).collect()
    };
    assert_eq!(told(&back), told(&all));
    let bytes = all.records().next().unwrap().contract.bytes();
    let text = String::from_utf8(bytes).unwrap();
    for other in [String::new(), "{}".to_owned(), text.replacen(':', ": ", 1), text.replacen("\"id\"", "\"ids\"", 1)] {
        assert!(recall_contract(other.as_bytes()).is_err(), "{other}");
    }
}
