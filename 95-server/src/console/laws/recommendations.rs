//! Recommendations: what can be answered, and what cannot any more.

use super::Place;
use serde_json::json;
use writ_core::{Actor, Digest, Draft, Outcome};
use writ_pipeline::Batch;

#[tokio::test]
async fn what_was_made_for_a_version_that_is_in_force_no_more_says_so_and_asks_for_no_answer() {
    let place = Place::new().await;
    let bob = place.log_in("writ_bob").await;
    let (at, by) = ("2026-01-01T00:00:00Z", json!({"kind": "human", "id": "person-77"}));
    let base = Digest([7; 32]);
    let made = json!({
        "approval_required": true, "benefits": [], "description": "run 4 instances", "evidence": [], "from": at, "to": at,
        "id": "OPT-001", "kind": "capacity_optimization", "priority": "high", "value_cents": 1,
        "patch": {"base": base, "ops": [], "target": "intent/DEPLOY-WEB-001"},
    });
    let made =
        json!({"at": at, "author": by, "digest": base, "expires_at": "2096-01-01T00:00:00Z", "recommendation": made});
    let active = json!({"at": at, "recommendation": "OPT-001", "move": "activate"});
    let said = |kind: &'static str, body| Draft {
        action: "test".into(),
        actor: Actor::system("test"),
        body,
        kind,
        outcome: Outcome::Success,
        resource: "OPT-001".into(),
        stream: "recommendation/OPT-001".into(),
    };
    let journal = place.pipeline.journal();
    let batch = Batch::of(vec![said("recommend.made/1", made), said("recommend.activated/1", active)]);
    journal.commit(&journal.new_cause(), batch).await.unwrap();
    let page = place.get("/recommendations/OPT-001", &bob).await.text;
    assert!(page.contains("It was made for another version than the one in force"), "{page}");
    assert!(!page.contains("name=\"answer\""), "{page}");
}
