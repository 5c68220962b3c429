//! The source's own documents.

use crate::example;
use serde_json::{Value, json};
use writ_core::Digest;
use writ_intent::{
    Intent, Platform, plan, plan_document, read_manifest, read_platform, translate, translation_document,
};

fn source_intent() -> Intent {
    read_manifest("intent.yaml", &example("intent.yaml")).unwrap().intent
}

fn json_of(yaml: &str) -> Value {
    writ_text::read("golden.yaml", yaml.as_bytes(), &writ_text::Limits::default()).unwrap().to_json()
}

/// The source's `translation:` document, word for word.
const TRANSLATION: &str = "
translation:
  actions:
    - action: 'create_load_balancer'
      config:
        type: 'application'
        scheme: 'internet-facing'
    - action: 'deploy_instances'
      config:
        count: 3
        instance_type: 't3.medium'
        availability_zones: ['us-west-2a', 'us-west-2b', 'us-west-2c']
    - action: 'configure_auto_scaling'
      config:
        min: 3
        max: 10
        target_cpu: 70
    - action: 'setup_health_checks'
      config:
        interval: 30
        timeout: 5
        healthy_threshold: 2
        unhealthy_threshold: 3
    - action: 'enable_self_healing'
      config:
        recovery_policy:
          strategy: 'restart'
          max_attempts: 3
          timeout_seconds: 60
";

#[test]
fn row_2_01_the_source_s_intent_parses_as_it_stands() {
    let intent = source_intent();
    assert_eq!(intent.id.as_str(), "DEPLOY-WEB-001");
    assert_eq!(intent.kind.word(), "deployment");
    assert_eq!(intent.description, "部署高可用性 Web 服務，保證 99.9% 可用性");
    assert_eq!(intent.requirements.availability_ppb, Some(999_000_000));
    assert_eq!(intent.requirements.latency_p95_us, Some(100_000));
    assert_eq!(intent.requirements.throughput_mrps, Some(1_000_000));
    assert_eq!((intent.requirements.min_instances, intent.requirements.max_instances), (Some(3), Some(10)));
    assert_eq!(intent.constraints.budget.as_ref().unwrap().micros, 500_000_000);
    assert_eq!(intent.constraints.regions, ["us-west", "us-east"]);
}

#[test]
fn row_2_01_other_spellings_of_the_same_values_have_the_same_digest() {
    let written = String::from_utf8(example("intent.yaml")).unwrap();
    let other = written
        .replace("'99.9%'", "0.999")
        .replace("'<100ms'", "'0.1s'")
        .replace("'>1000 req/s'", "'>= 1 k req/s'")
        .replace("'$500/month'", "'USD 500/month'");
    assert_ne!(written, other);
    let other = read_manifest("other.yaml", other.as_bytes()).unwrap().intent;
    assert_eq!(other.digest(), source_intent().digest());
    let more = read_manifest("more.yaml", written.replace("99.9%'\n", "99.95%'\n").as_bytes()).unwrap().intent;
    assert_ne!(more.digest(), source_intent().digest());
}

#[test]
fn row_2_04_the_source_s_intent_gives_the_source_s_five_actions() {
    for platform in [Platform::default(), read_platform("platform.yaml", &example("platform.yaml")).unwrap()] {
        let translation = translate(&source_intent(), &platform).unwrap();
        assert_eq!(translation_document(&platform, &translation), json_of(TRANSLATION));
    }
}

#[test]
fn row_2_04_the_plan_has_the_source_s_phases_inverses_and_permissions() {
    let (intent, platform) = (source_intent(), Platform::default());
    let translation = translate(&intent, &platform).unwrap();
    let plan = plan(&intent, &platform, &translation, 1, Digest([0; 32]));
    plan.check().unwrap();
    let rows: Vec<[&str; 4]> = plan
        .actions
        .iter()
        .map(|action| [action.action.as_str(), &action.phase, &action.inverse, &action.permission.0])
        .collect();
    assert_eq!(
        rows,
        [
            ["create_load_balancer", "provision_infrastructure", "destroy_load_balancer", "execute:provision"],
            ["deploy_instances", "deploy_application", "destroy_instances", "execute:provision"],
            ["configure_auto_scaling", "configure_monitoring", "remove_auto_scaling", "execute:scale_operations"],
            ["setup_health_checks", "configure_monitoring", "remove_health_checks", "write:health_status"],
            ["enable_self_healing", "enable_self_healing", "disable_self_healing", "execute:recovery"],
        ]
    );
    let resources: Vec<&str> = plan.steps.iter().map(|step| step.resource.as_str()).collect();
    let about = ["lb", "i-1", "i-2", "i-3", "scaling", "health", "healing"];
    assert_eq!(resources, about.map(|about| format!("web-service-001/{about}")));
    assert!(plan.steps.iter().all(|step| step.undo.is_some() && step.class == writ_core::EffectClass::Keyed));
}

#[test]
fn the_prediction_states_what_it_rests_on_and_where_it_breaks() {
    let (intent, platform) = (source_intent(), Platform::default());
    let translation = translate(&intent, &platform).unwrap();
    let plan = plan(&intent, &platform, &translation, 1, Digest([0; 32]));
    let document = plan_document(&plan, &translation);
    let plan = &document["plan"];
    assert_eq!(
        plan["chosen"],
        json!({
            "type": "t3.medium", "count": 3, "quorum": 2, "regions": ["us-west-2"],
            "zones": ["us-west-2a", "us-west-2b", "us-west-2c"],
            "cost": "$107.53/month", "peak_cost": "$320.11/month",
        })
    );
    assert_eq!(plan["predicted"]["availability"], "99.9798%");
    assert_eq!(plan["predicted"]["latency_p95"], "9.2ms..11.5ms");
    let service_time = plan["break_even"]["service_time"].as_str().unwrap();
    assert!(service_time.starts_with("3.8"), "{service_time}");
    let told = serde_json::to_string(&plan["assumptions"]).unwrap();
    assert!(told.contains("3ms of a core") && told.contains("assumed") && told.contains("2 of 3"), "{told}");
}

#[test]
fn the_source_s_answer_holds_up_to_its_break_even_and_no_further() {
    let (intent, platform) = (source_intent(), Platform::default());
    let last = translate(&intent, &platform).unwrap().break_even.service_time_us.unwrap();
    let count_at = |us| {
        let mut intent = intent.clone();
        intent.workload.core_us = Some(us);
        let layout = translate(&intent, &platform).unwrap().layout;
        (layout.instance_type.name, layout.count)
    };
    assert_eq!(count_at(last), ("t3.medium".to_owned(), 3));
    assert_ne!(count_at(last + 1), ("t3.medium".to_owned(), 3));
}

#[test]
fn intervals_that_run_otherwise_are_said_and_the_declared_ones_stay() {
    let platform = read_platform("platform.yaml", &example("platform.yaml")).unwrap();
    let translation = translate(&source_intent(), &platform).unwrap();
    assert_eq!(
        translation.profile,
        [
            "profile `demo`: health interval runs at 500ms instead of 30s",
            "profile `demo`: health timeout runs at 250ms instead of 5s",
            "profile `demo`: healing timeout runs at 10s instead of 60s",
            "profile `demo`: scaling cool-down runs at 5s instead of 60s",
        ]
    );
    let plan = plan(&source_intent(), &platform, &translation, 1, Digest([0; 32]));
    let health = plan.steps.iter().find(|step| step.verb == "health.configure").unwrap();
    assert_eq!(health.params["interval_ms"], 500);
    let text = writ_intent::text(&plan, &translation);
    assert!(text.contains("500ms instead of 30s"), "{text}");
}

#[test]
fn what_was_read_can_be_written_and_read_again() {
    let intent = source_intent();
    let again = serde_json::to_vec(&intent.document()).unwrap();
    assert_eq!(read_manifest("again.json", &again).unwrap().intent, intent);
    for platform in [Platform::default(), read_platform("platform.yaml", &example("platform.yaml")).unwrap()] {
        let again = serde_json::to_vec(&writ_intent::platform_document(&platform)).unwrap();
        assert_eq!(read_platform("again.json", &again).unwrap(), platform);
    }
}

#[test]
fn policy_is_given_the_figures_without_a_float_among_them() {
    let (intent, platform) = (source_intent(), Platform::default());
    let translation = translate(&intent, &platform).unwrap();
    let plan = plan(&intent, &platform, &translation, 1, Digest([0; 32]));
    let asked = writ_intent::intent_facts(&intent, &platform);
    writ_seal::canonical(&asked).unwrap();
    assert_eq!(
        asked["intent"]["requirements"],
        json!({
            "availability": "0.999", "latency_p95_ms": "100", "throughput_rps": "1000", "min_instances": 3, "max_instances": 10,
        })
    );
    assert_eq!(
        asked["intent"]["constraints"],
        json!({ "budget_per_month": "500", "currency": "USD", "regions": ["us-west", "us-east"] })
    );
    let planned = writ_intent::plan_facts(&plan, &translation, &intent, &platform);
    writ_seal::canonical(&planned).unwrap();
    assert_eq!(
        planned["plan"],
        json!({
            "cost_per_month": "107.529", "peak_cost_per_month": "320.105", "cost_per_million_requests": "0.040917",
            "instances": 3, "min_instances": 3, "max_instances": 10, "instance_type": "t3.medium", "regions": ["us-west"],
            "zones": ["us-west-2a", "us-west-2b", "us-west-2c"],
            "steps": 7, "creates": 7, "updates": 0, "replaces": 0, "deletes": 0, "irreversible": 0,
            "predicted": { "availability": "0.999798933", "latency_p95_ms": "9.133" },
        })
    );
}
