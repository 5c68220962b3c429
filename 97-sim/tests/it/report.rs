//! Figures that are told in several places are the same in all of them.

use crate::journeys::{example, paused};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use writ_core::ComponentId;
use writ_pipeline::{Origin, ReportWanted};
use writ_sim::{Files, Site, person};

/// A site on which the example was brought up, with what policy said of it rule by rule: `stage/rule` and what came of it.
async fn deployed() -> (Site, BTreeMap<String, String>) {
    let site = Site::open(Arc::new(Files::read(&example()).unwrap()), 5).await.unwrap();
    let (text, by) = (std::fs::read(example().join("intent.yaml")).unwrap(), person("operator").unwrap());
    let accepted = site.pipeline().submit("intent.yaml", &text, &by, None, Origin::Intent).await.unwrap();
    site.pass(Duration::from_secs(60)).await;
    let mut judged = BTreeMap::new();
    for report in &accepted.prepared.reports {
        let stage = report["validation"]["stage"].as_str().unwrap();
        for one in report["validation"]["results"].as_array().unwrap() {
            let of = |field: &str| one[field].as_str().unwrap().to_owned();
            judged.insert(format!("{stage}/{}", of("policy")), of("status"));
        }
    }
    (site, judged)
}

#[test]
fn a_rule_is_counted_as_passed_where_it_was_judged_and_nowhere_else() {
    paused(async {
        let (site, judged) = deployed().await;
        let wanted = ReportWanted { limit: 100, ..ReportWanted::default() };
        let report = site.pipeline().policy_report(&wanted).await.unwrap();
        let (mut passed, mut not_concerned) = (Vec::new(), 0);
        for one in report["rules"].as_array().unwrap() {
            if one["passed"] == 1 {
                passed.push(format!("{}/{}", one["stage"].as_str().unwrap(), one["rule"].as_str().unwrap()));
            }
            not_concerned += one["not_concerned"].as_u64().unwrap();
        }
        passed.sort();
        let wanted: Vec<_> = judged.iter().filter(|(_, status)| *status == "passed").map(|(rule, _)| rule).collect();
        assert_eq!(passed.iter().collect::<Vec<_>>(), wanted);
        assert!(not_concerned > 0, "{report}");
    });
}

#[test]
fn what_is_watched_is_told_with_the_time_that_healing_takes_at_the_most() {
    paused(async {
        let (site, _) = deployed().await;
        let component: ComponentId = "web-service-001".parse().unwrap();
        let told = site.pipeline().healing(&component).unwrap().monitoring();
        let timeout = told.pointer("/monitoring/self_healing_config/recovery_policy/timeout_seconds");
        assert_eq!(timeout.and_then(Value::as_u64), Some(10), "the platform's profile says 10s: {told}");
    });
}
