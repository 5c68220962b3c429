use serde_json::json;
use writ_expr::trigger::{METRICS, condition, schema, to_cel};
use writ_expr::{Facts, Limits};

fn metrics() -> serde_json::Value {
    json!({
        "availability": "99.95", "cpu": 40, "error_rate": "0.01", "health_status": "healthy", "healthy_instances": 3,
        "instances": 3, "latency_p50": 20, "latency_p95": 85, "latency_p99": 120, "memory": 104_857_600, "throughput": 1250,
    })
}

#[test]
fn row_2_10_the_source_triggers_run_as_written() {
    let facts = |change: &[(&str, serde_json::Value)]| {
        let mut metrics = metrics();
        for (name, value) in change {
            metrics[*name] = value.clone();
        }
        Facts::new(&schema(METRICS), metrics).unwrap()
    };
    for (source, name, worse) in [
        ("health_status == 'failed'", "health_status", json!("failed")),
        ("error_rate > 5%", "error_rate", json!("5.1")),
        ("latency_p95 > 200ms", "latency_p95", json!(201)),
    ] {
        let trigger = condition(source, METRICS, &Limits::default()).unwrap();
        assert_eq!(trigger.holds(&facts(&[])), Ok(false), "{source}");
        assert_eq!(trigger.holds(&facts(&[(name, worse)])), Ok(true), "{source}");
        assert_eq!(trigger.reads(), [name]);
    }
}

#[test]
fn a_quantity_is_put_into_its_metrics_unit() {
    for (source, cel) in [
        ("error_rate > 5%", "error_rate > 5.0"),
        ("error_rate>0.5%", "error_rate>0.5"),
        ("latency_p95 > 0.2s && latency_p95 < 1min", "latency_p95 > 200.0 && latency_p95 < 60000.0"),
        ("200ms < latency_p95", "200.0 < latency_p95"),
        ("throughput < 1.5k", "throughput < 1.5k"),
        ("throughput >= 1000 req/s", "throughput >= 1000.0"),
        ("throughput >= 1000rps", "throughput >= 1000.0"),
        ("memory > 4GiB || cpu >= 90%", "memory > 4294967296.0 || cpu >= 90.0"),
        ("healthy_instances < 3", "healthy_instances < 3"),
        ("instances % 2 == 0", "instances % 2 == 0"),
        ("(error_rate > 5%)", "(error_rate > 5.0)"),
    ] {
        match to_cel(source, METRICS, &Limits::default()) {
            Ok(converted) => assert_eq!(converted, cel, "{source}"),
            Err(problem) => assert_eq!(source, "throughput < 1.5k", "{problem}"),
        }
    }
}

#[test]
fn what_does_not_fit_is_told_where_it_stands() {
    for (source, offset, told) in [
        ("error_rate > 200ms", 13, "`200ms` is a length of time, and a ratio is wanted here; write it like '99.9%'"),
        ("latency_p95 > 5%", 14, "`5%` is a ratio, and a length of time is wanted here; write it like '100ms'"),
        (
            "5% > 3",
            0,
            "`5%` stands beside no metric, so its unit is not known; compare it with a metric, like error_rate > 5%",
        ),
        (
            "error_rat > 5%",
            12,
            "`5%` stands beside no metric, so its unit is not known; compare it with a metric, like error_rate > 5%",
        ),
        ("error_rat > 5", 0, "there is no fact `error_rat` at this stage; did you mean `error_rate`?"),
        ("error_rate > 5% && latency > 3", 19, "there is no fact `latency` at this stage; did you mean"),
        ("healthy_instances < 3%", 20, "`healthy_instances` has no unit, and `3%` has one; write it like '3'"),
        ("error_rate", 0, "this must be true or false, and is another sort of value; compare it with something"),
        ("health_status = 'failed'", 14, "expected an operator or the end, found `=`; write == to compare"),
    ] {
        let problems = condition(source, METRICS, &Limits::default()).unwrap_err();
        assert_eq!(problems[0].offset, offset, "{source}");
        assert!(problems[0].to_string().starts_with(told), "{source}: {}", problems[0]);
    }
}
