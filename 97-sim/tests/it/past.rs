//! What feedback looks back on is the whole period, however long.

use crate::journeys::{example, paused};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use writ_core::{Actor, Draft, Outcome};
use writ_pipeline::{Batch, Origin};
use writ_sim::{Files, Site, person};

/// More than were ever read at once, and more than a component has in three weeks.
const MANY: usize = 200_001;

async fn windows(site: &Site, component: &str, count: usize, errors: u64) {
    let body = json!({
        "component": component, "errors": errors, "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:10Z",
        "instances": [], "latency": [], "requests": 1_000, "retried": 0,
    });
    let draft = Draft {
        action: "summarise_window".into(),
        actor: Actor::system("test"),
        body,
        kind: "telemetry.window/1",
        outcome: Outcome::Success,
        resource: component.into(),
        stream: format!("component/{component}"),
    };
    let journal = site.pipeline().journal();
    for at in (0..count).step_by(10_000) {
        let drafts = vec![draft.clone(); 10_000.min(count - at)];
        journal.commit(&journal.new_cause(), Batch::of(drafts)).await.unwrap();
    }
}

/// The windows that were looked back on, and those that missed a target.
async fn seen(site: &Site) -> (Value, Value) {
    let stream = site.pipeline().journal().stream("feedback/DEPLOY-WEB-001").await.unwrap();
    let figures = &stream.last().unwrap().body;
    (figures["windows"].clone(), figures["violations"].clone())
}

#[test]
fn the_newest_windows_of_a_long_period_count_as_the_oldest_do() {
    paused(async {
        let site = Site::open(Arc::new(Files::read(&example()).unwrap()), 9).await.unwrap();
        let (text, by) = (std::fs::read(example().join("intent.yaml")).unwrap(), person("operator").unwrap());
        site.pipeline().submit("intent.yaml", &text, &by, None, Origin::Intent).await.unwrap();
        site.pass(Duration::from_secs(5)).await;
        windows(&site, "web-service-001", MANY, 0).await;
        windows(&site, "somebody-elses-001", 10, 1_000).await;
        windows(&site, "web-service-001", 7, 1_000).await;
        site.pass(Duration::from_secs(1)).await;
        site.pipeline().reflect(Duration::from_secs(30 * 86_400), None, &by).await.unwrap();
        assert_eq!(seen(&site).await, (json!(MANY + 7), json!(7)));
    });
}
