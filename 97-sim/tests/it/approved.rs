//! A program before this one recorded an approval, what it led to and that it is watched one after the other, and could end in
//! between: nothing is left there without a way on.

use crate::journeys::{example, paused};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use writ_core::{Actor, Digest, Draft, Outcome};
use writ_pipeline::{Batch, Origin};
use writ_sim::{Files, Site, person};

const STREAM: &str = "recommendation/OPT-001";
const PATH: &str = "/requirements/scalability/min_instances";

async fn record(site: &Site, kinds: &[(&'static str, Value)]) {
    record_of(site, "OPT-001", kinds).await;
}

async fn record_of(site: &Site, id: &str, kinds: &[(&'static str, Value)]) {
    let draft = |(kind, body): &(&'static str, Value)| Draft {
        action: "test".into(),
        actor: Actor::system("feedback"),
        body: body.clone(),
        kind,
        outcome: Outcome::Success,
        resource: id.into(),
        stream: format!("recommendation/{id}"),
    };
    let journal = site.pipeline().journal();
    journal.commit(&journal.new_cause(), Batch::of(kinds.iter().map(draft).collect())).await.unwrap();
}

/// A site with the example in force, and a recommendation to change what stands at a path.
async fn recommended(seed: u64, path: &str) -> Site {
    recommended_for(seed, path, None).await
}

/// The same, made for another version than the one in force where one is given.
async fn recommended_for(seed: u64, path: &str, other: Option<Digest>) -> Site {
    let site = Site::open(Arc::new(Files::read(&example()).unwrap()), seed).await.unwrap();
    submit(&site, 3, "operator", Origin::Intent).await;
    site.pass(Duration::from_secs(60)).await;
    let base = site.pipeline().base_in_force("intent/DEPLOY-WEB-001").await.unwrap().unwrap();
    let base = other.unwrap_or(base);
    let at = site.pipeline().journal().now();
    let made = json!({
        "approval_required": true, "benefits": [], "description": "run 4 instances", "evidence": [], "from": at, "to": at,
        "id": "OPT-001", "intent": "DEPLOY-WEB-001", "kind": "capacity_optimization", "priority": "high", "value_cents": 1,
        "patch": {
            "base": base, "ops": [{"op": "replace", "path": path, "value": 4}], "target": "intent/DEPLOY-WEB-001",
        },
    });
    let (author, until) = (json!({"kind": "human", "id": "person-77"}), at.plus(Duration::from_secs(300)));
    let made = json!({"at": at, "author": author, "digest": base, "expires_at": until, "recommendation": made});
    record(&site, &[("recommend.made/2", made), moved(&site, "activate", json!({}))]).await;
    site
}

fn moved(site: &Site, step: &str, mut body: Value) -> (&'static str, Value) {
    let kind = match step {
        "activate" => "recommend.activated/1",
        "approve" => "recommend.approved/1",
        _ => "recommend.applied/1",
    };
    body["at"] = json!(site.pipeline().journal().now());
    body["recommendation"] = json!("OPT-001");
    body["move"] = json!(step);
    (kind, body)
}

async fn approve(site: &Site) {
    let by = json!({"kind": "human", "id": "person-02"});
    let digest = site.pipeline().base_in_force("intent/DEPLOY-WEB-001").await.unwrap().unwrap();
    record(site, &[moved(site, "approve", json!({"by": by, "digest": digest}))]).await;
}

/// Submits the example with so many instances at the least, and answers the digest of what was submitted.
async fn submit(site: &Site, least: u64, by: &str, origin: Origin) -> Value {
    let text = std::fs::read_to_string(example().join("intent.yaml")).unwrap();
    let text = text.replace("min_instances: 3", &format!("min_instances: {least}"));
    let by = person(by).unwrap();
    let accepted = site.pipeline().submit("intent.yaml", text.as_bytes(), &by, None, origin).await.unwrap();
    json!(accepted.prepared.manifest.intent.digest())
}

/// What moved the recommendation on, in order.
async fn told(site: &Site) -> Vec<String> {
    let entries = site.pipeline().journal().stream(STREAM).await.unwrap();
    entries.iter().map(|entry| entry.kind.replace("recommend.", "").replace("/1", "")).skip(2).collect()
}

#[test]
fn an_approval_that_was_never_carried_out_is_spent_and_can_be_given_again() {
    paused(async {
        let mut site = recommended(3, PATH).await;
        approve(&site).await;
        site.restart().await.unwrap();
        assert_eq!(told(&site).await, ["approved", "refused"]);
        let last = site.pipeline().journal().stream(STREAM).await.unwrap().pop().unwrap();
        assert_eq!(last.body["because"], "the program ended while it carried the approval out");
        let by = person("reviewer").unwrap();
        site.pipeline().approve_recommendation("OPT-001", &by).await.unwrap();
        assert_eq!(told(&site).await, ["approved", "refused", "approved", "applied", "watched"]);
        // And nothing of it is left to do.
        site.restart().await.unwrap();
        assert_eq!(told(&site).await.len(), 5);
    });
}

#[test]
fn one_that_nobody_can_read_keeps_no_other_from_going_on() {
    paused(async {
        let mut site = recommended(9, PATH).await;
        record_of(&site, "OPT-000", &[("recommend.made/2", json!({}))]).await;
        approve(&site).await;
        site.restart().await.unwrap();
        assert_eq!(told(&site).await, ["approved", "refused"]);
        site.pipeline().reflect(Duration::from_secs(600), None, &person("deputy").unwrap()).await.unwrap();
    });
}

#[test]
fn an_approval_that_was_carried_out_is_watched_from_then_on() {
    for applied in [false, true] {
        paused(async {
            let mut site = recommended(4, PATH).await;
            approve(&site).await;
            let changed = submit(&site, 4, "reviewer", Origin::Feedback).await;
            if applied {
                record(&site, &[moved(&site, "apply", json!({"changed": changed}))]).await;
            }
            site.restart().await.unwrap();
            assert_eq!(told(&site).await, ["approved", "applied", "watched"]);
            let entries = site.pipeline().journal().stream(STREAM).await.unwrap();
            assert_eq!(entries[3].body["changed"], changed);
        });
    }
}

#[test]
fn what_somebody_else_submitted_meanwhile_is_not_what_was_approved() {
    paused(async {
        let mut site = recommended(5, PATH).await;
        approve(&site).await;
        submit(&site, 5, "operator", Origin::Intent).await;
        site.restart().await.unwrap();
        assert_eq!(told(&site).await, ["approved", "refused"]);
    });
}

#[test]
fn a_patch_that_does_not_fit_leaves_the_recommendation_as_it_was() {
    paused(async {
        let site = recommended(6, "/requirements/nothing/of/it").await;
        let by = person("reviewer").unwrap();
        site.pipeline().approve_recommendation("OPT-001", &by).await.unwrap_err();
        assert_eq!(told(&site).await, Vec::<String>::new());
        site.pipeline().reject_recommendation("OPT-001", &by).await.unwrap();
        assert_eq!(told(&site).await, ["dismissed"]);
    });
}

#[test]
fn of_two_who_approve_at_one_moment_one_is_told_that_it_is_done() {
    paused(async {
        let site = recommended(7, PATH).await;
        let (one, other) = (person("reviewer").unwrap(), person("deputy").unwrap());
        let approve = |by| site.pipeline().approve_recommendation("OPT-001", by);
        let (first, second) = tokio::join!(approve(&one), approve(&other));
        assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1);
        let refused = first.and(second).unwrap_err();
        assert_eq!(
            writ_pipeline::error_chain(&refused).matches("verifying cannot be approved").count(),
            1,
            "{refused}"
        );
        assert_eq!(told(&site).await, ["approved", "applied", "watched"]);
    });
}

#[test]
fn what_nobody_took_up_in_time_is_over_and_is_recommended_anew() {
    paused(async {
        let site = recommended(8, PATH).await;
        let deputy = person("deputy").unwrap();
        site.world.set_load(900);
        for instance in ["i-1", "i-2", "i-3", "i-1"] {
            site.world.fail_requests(&format!("web-service-001/{instance}"), 60);
            site.pass(Duration::from_secs(60)).await;
        }
        let numbers = |found: serde_json::Value| -> Vec<String> {
            let all = found["intents"][0]["recommendations"].as_array().unwrap();
            all.iter()
                .filter(|one| one["patch"]["ops"][0]["path"] == PATH)
                .map(|one| one["recommendation_id"].as_str().unwrap().to_owned())
                .collect()
        };
        let span = Duration::from_secs(600);
        assert_eq!(numbers(site.pipeline().reflect(span, None, &deputy).await.unwrap()), Vec::<String>::new());
        site.pass(Duration::from_secs(60)).await;
        assert_eq!(numbers(site.pipeline().reflect(span, None, &deputy).await.unwrap()), ["OPT-002"]);
        assert_eq!(told(&site).await, ["expired"]);
        let by = person("reviewer").unwrap();
        let refused = site.pipeline().approve_recommendation("OPT-001", &by).await.unwrap_err();
        assert!(writ_pipeline::error_chain(&refused).contains("`OPT-001` expired at"), "{refused}");
        site.pipeline().approve_recommendation("OPT-002", &by).await.unwrap();
    });
}

#[test]
fn what_somebody_dismisses_while_it_is_looked_back_keeps_nobody_from_that() {
    let mut came = (0, 0);
    for late in 0..12 {
        paused(async {
            let site = recommended_for(10, PATH, Some(Digest([7; 32]))).await;
            site.world.set_load(900);
            for instance in ["i-1", "i-2", "i-3", "i-1"] {
                site.world.fail_requests(&format!("web-service-001/{instance}"), 60);
                site.pass(Duration::from_secs(60)).await;
            }
            let (deputy, reviewer) = (person("deputy").unwrap(), person("reviewer").unwrap());
            let dismiss = async {
                for _ in 0..1 << late {
                    tokio::task::yield_now().await;
                }
                site.pipeline().reject_recommendation("OPT-001", &reviewer).await
            };
            let span = Duration::from_secs(600);
            let (found, dismissed) = tokio::join!(site.pipeline().reflect(span, None, &deputy), dismiss);
            found.unwrap();
            assert_eq!(told(&site).await, [if dismissed.is_ok() { "dismissed" } else { "superseded" }], "{late}");
            if dismissed.is_ok() { came.0 += 1 } else { came.1 += 1 }
        });
    }
    assert!(came.0 > 0 && came.1 > 0, "{came:?}");
}
