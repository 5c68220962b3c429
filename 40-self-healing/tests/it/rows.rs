//! The source's own rows.

use crate::script::{Script, source_config};
use serde_json::{Value, json};
use writ_core::Health;
use writ_self_healing::{Ask, Mode, RemedyAction, SelfHealingText, Times, monitoring, post_mortem};

const SOURCE: &str = "\
monitoring:
  component_id: 'web-service-001'
  health_status: 'healthy'

  metrics:
    availability: 99.95
    latency_p95: 85
    throughput: 1250
    error_rate: 0.01

  self_healing_config:
    enabled: true
    recovery_policy:
      strategy: 'restart'
      max_attempts: 3
      timeout_seconds: 60

    triggers:
      - condition: \"health_status == 'failed'\"
        action: 'restart_instance'

      - condition: 'error_rate > 5%'
        action: 'restart_service'

      - condition: 'latency_p95 > 200ms'
        action: 'scale_out'
";

fn source() -> Value {
    writ_text::read("monitoring.yaml", SOURCE.as_bytes(), &writ_text::Limits::default()).unwrap().to_json()
}

/// Every key of the source is there, and its value of the same sort.
fn same_shape(source: &Value, ours: &Value, path: &str) {
    match (source, ours) {
        (Value::Object(wanted), Value::Object(given)) => {
            for (key, value) in wanted {
                let ours = given.get(key).unwrap_or_else(|| panic!("{path}/{key} is missing"));
                same_shape(value, ours, &format!("{path}/{key}"));
            }
        }
        (Value::Array(wanted), Value::Array(given)) => {
            assert_eq!(wanted.len(), given.len(), "{path}");
            wanted.iter().zip(given).for_each(|(wanted, given)| same_shape(wanted, given, path));
        }
        (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_))
        | (Value::Bool(_), Value::Bool(_)) => {}
        (wanted, given) => panic!("{path}: {wanted} and {given}"),
    }
}

#[test]
fn row_2_10_the_monitoring_document_is_the_sources_with_measured_figures() {
    let mut script = Script::new(source_config(Mode::Auto), 3);
    let mut windows = vec![];
    for second in 1..=10_u64 {
        script.now = second * 1_000;
        let mut window = writ_core::Window {
            component: crate::script::component(),
            errors: u64::from(second == 4),
            from: crate::script::at(second * 1_000 - 1_000),
            instances: vec![],
            latency: writ_core::Histogram::default(),
            requests: 1_250,
            retried: 0,
            to: crate::script::at(second * 1_000),
        };
        (0..1_250).for_each(|_| window.latency.record(20_000));
        windows.push(window);
    }
    let document = monitoring(&script.config, Health::Healthy, &windows);
    same_shape(&source(), &document, "");
    let metrics = &document["monitoring"]["metrics"];
    assert_eq!(metrics["throughput"], json!(1_250));
    assert_eq!(metrics["error_rate"], json!(0.008));
    assert_eq!(metrics["availability"], json!(99.992));
    let p95 = metrics["latency_p95"].as_f64().unwrap();
    assert!((20.0..20.7).contains(&p95), "{p95}");
    assert_eq!(document["monitoring"]["self_healing_config"], source()["monitoring"]["self_healing_config"]);
}

#[test]
fn row_2_10_nothing_measured_is_null() {
    let document = monitoring(&source_config(Mode::Auto), Health::Unknown, &[]);
    let metrics = json!({"availability": null, "latency_p95": null, "throughput": null, "error_rate": null});
    assert_eq!(document["monitoring"]["metrics"], metrics);
}

/// What the first proposal does after playing this.
fn first_remedy(play: impl Fn(&mut Script)) -> Option<RemedyAction> {
    let text: SelfHealingText = serde_json::from_value(source()["monitoring"]["self_healing_config"].clone()).unwrap();
    let mut config = source_config(Mode::Auto);
    assert_eq!(config.text, text, "the source's own text is what is compiled");
    config.symptoms.clear(); // Only what the source declares.
    config.scaling.as_mut().unwrap().sustain = std::time::Duration::from_secs(3_600);
    let mut script = Script::new(config, 3);
    play(&mut script);
    script.asks.iter().find_map(|ask| match ask {
        Ask::ProposeRemedy { remedy, .. } => Some(remedy.action),
        Ask::Withdraw { .. } | Ask::SetTimer { .. } => None,
    })
}

#[test]
fn row_2_10_each_trigger_of_the_source_runs_as_written() {
    let all = |sample: Value| json!({"i-1": sample, "i-2": sample, "i-3": sample});
    let windows = |script: &mut Script, sample: Value| {
        for _ in 0..8 {
            script.now += 1_000;
            script.window(&all(sample.clone()));
        }
    };
    assert_eq!(first_remedy(|script| windows(script, json!({}))), None);
    assert_eq!(first_remedy(|script| script.health("i-2", Health::Failed)), Some(RemedyAction::RestartInstance));
    assert_eq!(first_remedy(|script| windows(script, json!({"errors": 4}))), Some(RemedyAction::RestartService));
    assert_eq!(first_remedy(|script| windows(script, json!({"errors": 3}))), None);
    assert_eq!(first_remedy(|script| windows(script, json!({"latency_ms": 210}))), Some(RemedyAction::ScaleOut));
    assert_eq!(first_remedy(|script| windows(script, json!({"latency_ms": 190}))), None);
}

#[test]
fn row_2_14_times_to_notice_and_to_recover_come_from_events() {
    let mut script = Script::new(source_config(Mode::Auto), 3);
    script.now = 1_000;
    script.window(&json!({}));
    script.now = 1_400;
    script.exit("i-2");
    script.allow();
    script.now = 2_200;
    script.end(true, true);
    let mut times = Times::default();
    script.journal.iter().for_each(|event| times.note(event));
    assert_eq!(times.mean_to_detect().unwrap().as_millis(), 0);
    assert_eq!(times.mean_to_recover().unwrap().as_millis(), 800);
    assert_eq!(times.mean_to_acknowledge(), None);
    let (id, one) = times.incidents().next().unwrap();
    assert_eq!((one.attempts, one.successful, one.recovered), (1, 1, true));

    let entries: Vec<_> = script
        .journal
        .iter()
        .enumerate()
        .map(|(n, event)| (writ_core::EventId::mint(n as u64, [0; 10]), event.clone()))
        .collect();
    let story = post_mortem(id, &entries).unwrap();
    assert!(story.contains("`web-service-001` `i-2`: health_status = failed: process ended, signal 9"), "{story}");
    assert!(story.contains("| attempt 1: restart_instance i-2 |"), "{story}");
    assert!(story.contains("Over 800 ms after it was opened."), "{story}");
}
