//! Contracts are what the journal says: across restarts, and whatever the files say then.

use std::path::Path;
use std::sync::Arc;
use writ_pipeline::{ContractError, Principal};
use writ_sim::{Files, Site, person};

fn contract(version: &str, longest: u32, status: &str) -> String {
    format!(
        "contract: {{id: contract.echo.v1, version: '{version}', owner: web-team, {status}, messages: {{say: {{direction: event, \
         schema: {{type: string, maxLength: {longest}, pattern: '^[a-z\u{e9}]*$'}}}}}}, performance: {{latency: 100ms}},\n  errors: \
         [{{code: E1, name: Broken, http: 500, retry: true}}], invariants: ['it answers: always']}}\n"
    )
}

fn files(contracts: &[&str]) -> Arc<Files> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy-web-001");
    Arc::new(Files::read(&dir).unwrap().with_contracts(contracts).unwrap())
}

/// The versions that are in the registry, with their status.
fn versions(site: &Site) -> Vec<String> {
    let registry = site.pipeline().contracts();
    registry.records().map(|one| format!("{} {}", one.contract.version, one.status.label())).collect()
}

/// How many entries there are about the contract.
async fn entries(site: &Site) -> usize {
    site.pipeline().journal().stream("contract/contract.echo.v1").await.unwrap().len()
}

async fn publish(site: &Site, text: &str, by: &Principal) -> Result<bool, ContractError> {
    site.pipeline().publish_contract(("x", text.as_bytes()), by, "why").await.map(|done| done.new)
}

#[tokio::test(start_paused = true)]
async fn what_people_published_is_in_force_after_a_restart_and_files_cannot_contradict_it() {
    let published = "status: published";
    let (first, second) = (contract("1.0.0", 9, published), contract("1.1.0", 8, published));
    let ada = person("operator").map(|ada| Principal { roles: vec!["operator".into()], ..ada }).unwrap();
    let mut site = Site::open(files(&[&first]), 1).await.unwrap();
    assert!(publish(&site, &second, &ada).await.unwrap());
    assert!(!publish(&site, &first, &ada).await.unwrap(), "what the files published is published");
    let refused = publish(&site, &contract("1.0.0", 7, published), &ada).await.unwrap_err();
    assert!(refused.to_string().contains("never changes"), "{refused}");
    let recorded = entries(&site).await;

    // The same files, and files that say the same as people did: nothing is new.
    site.restart().await.unwrap();
    assert_eq!(versions(&site), ["1.0.0 published", "1.1.0 published"]);
    site.change_files(files(&[&first, &second]));
    site.restart().await.unwrap();
    assert_eq!(entries(&site).await, recorded, "nothing is recorded twice");

    // A status is the files' to say, and stays said.
    let going = contract("1.0.0", 9, "status: deprecated, deprecated_at: '2026-01-01T00:00:00Z'");
    site.change_files(files(&[&going]));
    site.restart().await.unwrap();
    assert_eq!(versions(&site), ["1.0.0 deprecated", "1.1.0 published"]);
    site.change_files(files(&[]));
    site.restart().await.unwrap();
    assert_eq!(versions(&site), ["1.0.0 deprecated", "1.1.0 published"]);

    // Another content under the same version, and a version that comes too late.
    for (text, because) in [
        (contract("1.1.0", 7, published), "1.1.0 is published already"),
        (contract("1.0.5", 9, published), "is not newer than 1.1.0"),
    ] {
        site.change_files(files(&[&text]));
        let refused = site.restart().await.unwrap_err();
        let told = writ_pipeline::error_chain(&refused);
        assert!(told.contains("contract.echo.v1") && told.contains(because), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_versions_that_are_published_at_once_both_or_one_is_in_force_and_each_is_an_entry() {
    let site = Site::open(files(&[]), 2).await.unwrap();
    let ada = person("operator").map(|ada| Principal { roles: vec!["operator".into()], ..ada }).unwrap();
    let texts: Vec<String> = (0..8).map(|n| contract(&format!("1.{n}.0"), 9, "status: approved")).collect();
    let all = in_pairs(&site, &texts, &ada).await;
    assert_eq!(entries(&site).await, all);
    assert_eq!(versions(&site).len(), all);
}

/// Publishes all of them, two at a time; how many came into force.
async fn in_pairs(site: &Site, texts: &[String], by: &Principal) -> usize {
    let mut done = 0;
    let (left, right) = texts.split_at(texts.len() / 2);
    for (one, other) in left.iter().zip(right) {
        let (one, other) = tokio::join!(publish(site, one, by), publish(site, other, by));
        done += usize::from(one.is_ok_and(|new| new)) + usize::from(other.is_ok_and(|new| new));
    }
    done
}
