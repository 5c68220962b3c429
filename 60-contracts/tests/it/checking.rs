//! Requirements against the registry.

use crate::rows::{actions, needs, registry, subjects};
use serde_json::json;
use writ_contracts::{ContractEvent, Fit, Needs, Subject, check, read_needs};
use writ_core::{Actor, Event, Outcome};

fn one(requires: &str, subject: &str) -> (Fit, Vec<String>, Vec<Option<serde_json::Value>>) {
    let needs = read_needs("needs.yaml", requires.as_bytes()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let report = check(&needs, &[Subject { config: None, name: subject }], &registry());
    let result = &report.results[0];
    let reasons = result.reasons.iter();
    (
        result.fit,
        reasons.clone().map(|reason| format!("{} {}", reason.pointer, reason.message)).collect(),
        reasons.map(|reason| reason.counterexample.clone()).collect(),
    )
}

#[test]
fn what_a_consumer_reads_must_accept_all_that_is_sent() {
    let (fit, reasons, counterexamples) = one(
        "requires: [{by: agent/a, contract: contract.monitoring.v1, version: ^1.0,
           uses: [{message: metric_window, schema: {required: [component_id, instances]}}]}]",
        "agent/a",
    );
    assert_eq!(fit, Fit::Incompatible);
    assert_eq!(
        reasons,
        [
            "/messages/metric_window/schema/required `metric_window`: what the contract sends is not always accepted here"
        ]
    );
    let value = counterexamples[0].clone().unwrap();
    assert!(value.get("component_id").is_some() && value.get("instances").is_none(), "{value}");
}

#[test]
fn what_a_consumer_sends_must_always_be_accepted() {
    let (fit, reasons, counterexamples) = one(
        "requires: [{by: agent/a, contract: contract.self-healing.v1, version: ^1.0,
           uses: [{message: recovery_policy, schema: {type: object, required: [strategy], additionalProperties: false,
             properties: {strategy: {enum: [restart, scale]}, max_attempts: {type: integer, minimum: 1, maximum: 8}}}}]}]",
        "agent/a",
    );
    assert_eq!(fit, Fit::Incompatible);
    assert!(
        reasons[0].ends_with("`recovery_policy`: what is sent is not always accepted by the contract"),
        "{reasons:?}"
    );
    assert_eq!(counterexamples[0].clone().unwrap()["max_attempts"], json!(6));
    let (fit, reasons, _) = one(
        "requires: [{by: agent/a, contract: contract.self-healing.v1, version: ^1.0,
           uses: [{message: recovery_policy, schema: {type: object, required: [strategy], additionalProperties: false,
             properties: {strategy: {enum: [restart, scale]}, max_attempts: {type: integer, minimum: 1, maximum: 5}}}}]}]",
        "agent/a",
    );
    assert_eq!((fit, reasons), (Fit::Verified, vec![]));
}

#[test]
fn a_message_that_the_contract_does_not_have_is_named_with_those_it_has() {
    let (fit, reasons, _) = one(
        "requires: [{by: agent/a, contract: contract.automation.v1, version: ^1.0, uses: [{message: order, schema: true}]}]",
        "agent/a",
    );
    assert_eq!(fit, Fit::Incompatible);
    assert_eq!(
        reasons,
        [
            "/messages/order `contract.automation.v1` 1.0.0 has no message `order`; it has `effect`, `receipt`, `step_failed`, `step_order`"
        ]
    );
}

#[test]
fn ranges_that_exclude_each_other_fit_no_version() {
    let (fit, reasons, _) = one(
        "requires: [{by: agent/a, contract: contract.automation.v1, version: ^1.0},
                    {by: agent/a, contract: contract.automation.v1, version: '<1.0'}]",
        "agent/a",
    );
    assert_eq!(fit, Fit::Version);
    assert_eq!(reasons, [" no version of `contract.automation.v1` fits `^1.0`, `<1.0`; in force: 1.0.0"]);
}

#[test]
fn a_version_that_no_agent_provides_does_not_fit() {
    let (fit, reasons, _) = one(
        "requires: [{by: agent/a, contract: contract.automation.v1, version: ^1.0}]
provides: [{by: agent/b, contract: contract.automation.v1, version: 1.1.0}]",
        "agent/a",
    );
    assert_eq!(fit, Fit::Version);
    assert_eq!(reasons, [" no version of `contract.automation.v1` fits `^1.0`; in force: 1.0.0; provided: 1.1.0"]);
}

#[test]
fn only_subjects_of_the_plan_are_asked() {
    let all = actions();
    let report = check(&needs(), &subjects(&all[..1]), &registry());
    let contracts: Vec<&str> = report.results.iter().map(|result| result.contract.as_str()).collect();
    assert_eq!(contracts, ["contract.automation.v1"]);
    assert!(check(&needs(), &[], &registry()).results.is_empty());
}

#[test]
fn the_check_is_an_entry_that_says_denied_when_something_does_not_fit() {
    let mut actions = actions();
    actions[4].1["recovery_policy"]["timeout_seconds"] = json!(0.5);
    let report = check(&needs(), &subjects(&actions), &registry());
    assert!(!report.is_verified());
    let event = ContractEvent::Verified {
        report: report.document(),
        subject: "DEPLOY-WEB-001".into(),
        verified: report.is_verified(),
    };
    let draft = event.draft(&Actor::system("contracts"));
    assert_eq!((draft.kind, draft.outcome), ("contract.verified/1", Outcome::Denied));
    assert!(writ_seal::canonical(&draft.body).is_ok(), "the counterexample's float is a text");
}

#[test]
fn what_somebody_would_use_is_checked_range_by_range() {
    let registry = registry();
    let known = registry.records().next().unwrap();
    let (id, version) = (known.contract.id.clone(), known.contract.version.clone());
    let uses = [
        (id.clone(), format!("={version}").parse().unwrap()),
        (id.clone(), "^99".parse().unwrap()),
        (id.next_major().next_major(), "*".parse().unwrap()),
    ];
    let report = writ_contracts::check_uses("agent/x", &Needs::default(), &uses, &registry);
    let fits: Vec<Fit> = report.results.iter().map(|one| one.fit).collect();
    assert_eq!(fits, [Fit::Verified, Fit::Version, Fit::Missing]);
    assert!(report.results.iter().all(|one| one.required_by == ["agent/x"]));
}

#[test]
fn a_contract_that_two_files_ask_for_is_checked_once_for_both() {
    let (needs, registry) = (needs(), registry());
    let by = "agent/self-healing-agent-001";
    let id: writ_contracts::ContractId = "contract.monitoring.v1".parse().unwrap();
    for (range, fit) in [("^1.0.0", Fit::Verified), ("^1.99", Fit::Version)] {
        let uses =
            [(id.clone(), range.parse().unwrap()), ("contract.nobodys.v1".parse().unwrap(), "^1".parse().unwrap())];
        let report = writ_contracts::check_uses(by, &needs, &uses, &registry);
        let told: Vec<_> =
            report.results.iter().map(|one| (one.contract.as_str(), one.fit, one.ranges.len())).collect();
        assert_eq!(told, [(id.as_str(), fit, 2), ("contract.nobodys.v1", Fit::Missing, 1)], "{range}");
        assert!(report.results.iter().all(|one| one.required_by == [by]));
    }
}
