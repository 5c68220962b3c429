//! The rows of `spec/governance.md` that contracts answer for, on the example's own files.

use serde_json::{Value, json};
use std::path::PathBuf;
use writ_contracts::{Contract, Direction, Needs, Registry, Status, Subject, check, matrix, read_contract, read_needs};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy-web-001/contracts")
}

pub(crate) fn example(name: &str) -> Contract {
    let path = directory().join(name);
    read_contract(name, &std::fs::read(path).unwrap()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

pub(crate) fn registry() -> Registry {
    let names = ["automation.v1.yaml", "monitoring.v1.yaml", "self-healing.v1.yaml"];
    Registry::of(names.map(example)).unwrap()
}

pub(crate) fn needs() -> Needs {
    let bytes = std::fs::read(directory().join("requirements.yaml")).unwrap();
    read_needs("requirements.yaml", &bytes).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// The source's five actions with its values.
pub(crate) fn actions() -> Vec<(&'static str, Value)> {
    vec![
        ("action/create_load_balancer", json!({"type": "application", "scheme": "internet-facing"})),
        (
            "action/deploy_instances",
            json!({"count": 3, "instance_type": "t3.medium", "availability_zones": ["us-west-2a", "us-west-2b", "us-west-2c"]}),
        ),
        ("action/configure_auto_scaling", json!({"min": 3, "max": 10, "target_cpu": 70})),
        (
            "action/setup_health_checks",
            json!({"interval": 30, "timeout": 5, "healthy_threshold": 2, "unhealthy_threshold": 3}),
        ),
        (
            "action/enable_self_healing",
            json!({"recovery_policy": {"strategy": "restart", "max_attempts": 3, "timeout_seconds": 60}}),
        ),
    ]
}

pub(crate) fn subjects<'s>(actions: &'s [(&'s str, Value)]) -> Vec<Subject<'s>> {
    actions.iter().map(|(name, config)| Subject { config: Some(config), name }).collect()
}

#[test]
fn row_2_05_the_sources_three_contracts_are_verified_for_its_five_actions() {
    let actions = actions();
    let report = check(&needs(), &subjects(&actions), &registry());
    assert!(report.is_verified(), "{:#?}", report.results);
    let document = report.document();
    let verification = &document["contract_verification"];
    assert_eq!(
        verification["contracts_required"],
        json!(["contract.self-healing.v1", "contract.monitoring.v1", "contract.automation.v1"])
    );
    let first = &verification["verification_results"][0];
    let source =
        json!({"contract": "contract.self-healing.v1", "status": "verified", "version": "1.0.0", "compatible": true});
    for (key, value) in source.as_object().unwrap() {
        assert_eq!(&first[key], value, "{key}");
    }
    assert_eq!(first["required_by"], json!(["action/enable_self_healing"]));
    assert_eq!(verification["verification_results"][2]["required_by"].as_array().unwrap().len(), 5);
}

#[test]
fn row_2_05_missing_version_and_incompatible_are_told_apart() {
    let needs = read_needs(
        "needs.yaml",
        br#"
requires:
  - { by: action/a, contract: contract.audit.v1, version: ^1.0 }
  - { by: action/a, contract: contract.monitoring.v1, version: ^1.2 }
  - by: action/a
    contract: contract.self-healing.v1
    version: ^1.0
    carries: [{ message: recovery_policy, from: /recovery_policy }]
  - { by: action/a, contract: contract.automation.v1, version: ^1.0 }
"#,
    )
    .unwrap();
    let config = json!({"recovery_policy": {"strategy": "restart", "max_attempts": 9}});
    let report = check(&needs, &[Subject { config: Some(&config), name: "action/a" }], &registry());
    let told: Vec<(&str, &str, Option<String>)> = report
        .results
        .iter()
        .map(|result| (result.contract.as_str(), result.fit.label(), result.version.as_ref().map(ToString::to_string)))
        .collect();
    assert_eq!(
        told,
        [
            ("contract.audit.v1", "missing", None),
            ("contract.monitoring.v1", "version", None),
            ("contract.self-healing.v1", "incompatible", Some("1.0.0".to_owned())),
            ("contract.automation.v1", "verified", Some("1.0.0".to_owned())),
        ]
    );
    let messages: Vec<&str> =
        report.results.iter().flat_map(|result| &result.reasons).map(|reason| reason.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "nobody has published `contract.audit.v1`",
            "no version of `contract.monitoring.v1` fits `^1.2`; in force: 1.0.0",
            "at `/recovery_policy/max_attempts` of the configuration: the value is greater than the maximum of 5",
        ]
    );
    assert_eq!(
        report.results[2].reasons[0].pointer,
        "/messages/recovery_policy/schema/$defs/recovery_policy/properties/max_attempts/maximum"
    );
}

#[test]
fn row_2_05_the_example_files_carry_owner_version_status_and_lifecycle() {
    for record in registry().records() {
        let contract = &record.contract;
        assert_eq!((contract.version.to_string().as_str(), record.status), ("1.0.0", Status::Published));
        assert_eq!(contract.id.major(), contract.version.major);
        assert!(!contract.owner.is_empty() && !contract.invariants.is_empty() && !contract.performance.is_empty());
        assert!(!contract.errors.is_empty() && !contract.messages.is_empty());
    }
}

#[test]
fn row_2_06_health_recovery_policies_and_results_have_the_sources_shape() {
    let contract = example("self-healing.v1.yaml");
    let fits = |message: &str, value: Value| contract.messages[message].schema.accepts(&value);
    let health = json!({"component_id": "web-service-001", "status": "healthy", "timestamp": "2025-12-11T14:00:00Z",
        "metrics": {"cpu_usage": 41.5, "memory_usage": 60, "error_rate": 0.01, "latency_ms": 85}});
    assert!(fits("health_status", health.clone()));
    assert!(!fits(
        "health_status",
        json!({"component_id": "web-service-001", "status": "fine", "metrics": {}, "timestamp": "2025-12-11T14:00:00Z"})
    ));
    for strategy in ["restart", "failover", "scale", "rollback"] {
        assert!(fits(
            "recovery_policy",
            json!({"strategy": strategy, "max_attempts": 3, "timeout_seconds": 60, "notify": ["#web"]})
        ));
    }
    assert!(fits("recovery_policy", json!({"strategy": "custom", "playbook": "drain-and-restart"})));
    assert!(!fits("recovery_policy", json!({"strategy": "custom"})));
    for (key, least, most, default) in [("max_attempts", 1, 5, 3), ("timeout_seconds", 30, 300, 60)] {
        for (value, wanted) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
            assert_eq!(fits("recovery_policy", json!({"strategy": "restart", key: value})), wanted, "{key} {value}");
        }
        let document = contract.document();
        let told = &document["messages"]["recovery_policy"]["schema"]["$defs"]["recovery_policy"]["properties"][key];
        assert_eq!(told["default"], json!(default));
    }
    let result = json!({"component_id": "web-service-001", "success": true, "recovery_time_seconds": 1.4, "new_status": "healthy",
        "actions_taken": [{"action": "restart_instance", "timestamp": "2025-12-11T14:00:00Z", "result": "succeeded"}], "message": "ok"});
    assert!(fits("recovery_result", result.clone()));
    assert!(contract.messages["recover"].answer.as_ref().unwrap().accepts(&result));
    assert!(contract.messages["status"].answer.as_ref().unwrap().accepts(&health));
    assert_eq!(contract.messages["recover"].direction, Direction::Command);
}

#[test]
fn row_2_06_the_errors_are_the_sources_four() {
    let contract = example("self-healing.v1.yaml");
    let told: Vec<(&str, &str, u16, bool)> =
        contract.errors.values().map(|case| (case.code.as_str(), case.name.as_str(), case.http, case.retry)).collect();
    assert_eq!(
        told,
        [
            ("SH001", "RecoveryFailure", 500, true),
            ("SH002", "InvalidPolicy", 400, false),
            ("SH003", "MaxAttemptsExceeded", 429, false),
            ("SH004", "Timeout", 504, true),
        ]
    );
    assert_eq!(contract.invariants.len(), 5);
    assert_eq!(contract.performance["recovery_time_p95"], "<120s");
}

#[test]
fn the_matrix_says_for_every_row_why() {
    let document = matrix(&needs(), &registry());
    let rows = document["matrix"].as_array().unwrap();
    assert_eq!(rows.len(), 6);
    for row in rows {
        assert_eq!(row["fits"], json!(true), "{row}");
        assert_eq!(row["because"], json!("it is in the range `^1.0` and every message fits"));
    }
}
