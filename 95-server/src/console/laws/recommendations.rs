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
    let evidence: Vec<String> = (0..15).map(|at| format!("evt_01m7znjwjxsxdw0zwmr5z97{at:03}")).collect();
    let made = json!({
        "approval_required": true, "benefits": [], "description": "run 4 instances", "evidence": evidence, "from": at, "to": at,
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
    let all = "and 3 more, <a href=\"/api/v1/recommendations/OPT-001\"";
    assert!(page.contains(all) && page.matches("href=\"/audit/evt_").count() == 12, "{page}");
    assert!(page.contains("It was made for another version than the one in force"), "{page}");
    assert!(!page.contains("name=\"answer\""), "{page}");
}

#[tokio::test]
async fn a_recommendation_and_the_change_that_came_of_it_lead_to_each_other() {
    let place = Place::new().await;
    let bob = place.log_in("writ_bob").await;
    let (at, until) = ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z");
    let (base, run) = (Digest([7; 32]), "run_01m7znjwjxsxdw0zwmr5z97yce");
    let by = json!({"kind": "human", "id": "person-77"});
    let one = json!({
        "approval_required": true, "benefits": [], "description": "run 4 instances", "evidence": [], "from": at, "to": at,
        "id": "OPT-001", "kind": "capacity_optimization", "priority": "high", "value_cents": 1, "intent": "DEPLOY-WEB-001",
        "patch": {"base": base, "ops": [], "target": "intent/DEPLOY-WEB-001"},
    });
    let made =
        json!({"at": at, "author": by, "digest": base, "expires_at": "2096-01-01T00:00:00Z", "recommendation": one});
    let moved = |step: &str, more: serde_json::Value| {
        let mut body = json!({"at": at, "recommendation": "OPT-001", "move": step});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let said = |kind: &'static str, stream: &str, body| Draft {
        action: "test".into(),
        actor: Actor::system("test"),
        body,
        kind,
        outcome: Outcome::Success,
        resource: stream.split_once('/').unwrap().1.into(),
        stream: stream.into(),
    };
    let (of, journal) = ("recommendation/OPT-001", place.pipeline.journal());
    let first = Batch::of(vec![
        said("recommend.made/2", of, made),
        said("recommend.activated/1", of, moved("activate", json!({}))),
    ]);
    journal.commit(&journal.new_cause(), first).await.unwrap();
    assert!(!place.get("/recommendations/OPT-001", &bob).await.text.contains("Came to"));
    let approved = json!({"by": by, "digest": base});
    let cause = journal.new_cause();
    let together = Batch::of(vec![
        said("intent.submitted/1", "intent/DEPLOY-WEB-001", json!({"version": 2})),
        said("recommend.approved/1", of, moved("approve", approved)),
        said("recommend.applied/1", of, moved("apply", json!({"changed": base}))),
        said("recommend.watched/1", of, moved("watch", json!({"since": at, "until": until}))),
        said("run.submitted/1", &format!("run/{run}"), json!({"intent": "DEPLOY-WEB-001"})),
    ]);
    journal.commit(&cause, together).await.unwrap();
    let page = place.get("/recommendations/OPT-001", &bob).await.text;
    for told in [
        "</a> v2, change <a",
        &format!("href=\"/runs/{run}\""),
        "<dt>Verified by</dt><dd><time datetime=\"2026-01-01T01:00",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let begun = journal.stream(&format!("run/{run}")).await.unwrap();
    let from = crate::console::recommendations::recommended_in(journal, &begun[0].trace_id).await.unwrap();
    assert!(from.0.contains("href=\"/recommendations/OPT-001\""), "{from}");
}
