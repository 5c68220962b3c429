//! Recommendations: what they would change, what they brought, and answers that come too late.

use super::*;
use writ_core::{Actor, Digest, Draft, Outcome};
use writ_pipeline::Batch;

pub(super) fn draft(kind: &'static str, stream: &str, body: Value) -> Draft {
    let by = Actor::system("test");
    let (action, resource, outcome) = ("test".into(), "test".into(), Outcome::Success);
    Draft { action, actor: by, body, kind, outcome, resource, stream: stream.into() }
}

impl Place {
    pub(super) async fn record(&self, batch: Batch) {
        let journal = self.shared.pipeline.journal();
        journal.commit(&journal.new_cause(), batch).await.unwrap();
    }

    /// The example's intent, in force in a version with so many instances at the least.
    pub(super) async fn in_force(&self, version: u64, min: u64) -> Digest {
        let example = include_str!("../../../../examples/deploy-web-001/intent.yaml");
        let text = example.replace("min_instances: 3", &format!("min_instances: {min}"));
        assert!(min == 3 || text != example);
        self.stands("DEPLOY-WEB-001", version, text).await;
        self.shared.pipeline.base_in_force("intent/DEPLOY-WEB-001").await.unwrap().unwrap()
    }

    /// A version of an intent, in force.
    async fn stands(&self, id: &str, version: u64, text: String) {
        let mut batch = Batch::default();
        let manifest = batch.attach(text.into_bytes());
        let applied = json!({
            "applied_version": version, "applied_manifest": manifest, "version": version, "to": "monitoring",
            "attachments": {"manifest": manifest},
        });
        batch.drafts = vec![draft("intent.moved/1", &format!("intent/{id}"), applied)];
        self.record(batch).await;
    }

    /// A recommendation that was made for a version, and what moved it on.
    pub(super) async fn recommended(&self, id: &str, base: Digest, moves: Vec<(&'static str, Value)>) {
        let (at, until) =
            ("2026-01-01T00:00:00Z", if id == "OPT-OLD" { "2026-01-02T00:00:00Z" } else { "2096-01-01T00:00:00Z" });
        let by = json!({"kind": "human", "id": "person-77"});
        let ops = json!([{"op": "replace", "path": "/requirements/scalability/min_instances", "value": 4}]);
        let benefit = json!({
            "level_percent": 90, "expected": 200, "high": 300, "low": 100, "name": "availability_improvement", "unit": "ppm",
        });
        let made = json!({
            "approval_required": true, "benefits": [benefit], "description": "run 4 instances", "evidence": [], "from": at,
            "to": at, "id": id, "kind": "capacity_optimization", "priority": "high", "value_cents": 1,
            "patch": {"base": base, "ops": ops, "target": "intent/DEPLOY-WEB-001"},
        });
        let stream = format!("recommendation/{id}");
        let made = json!({"at": at, "author": by, "digest": base, "expires_at": until, "recommendation": made});
        let mut drafts = vec![draft("recommend.made/1", &stream, made)];
        let moved = |mut body: Value| {
            body["at"] = json!(at);
            body["recommendation"] = json!(id);
            body
        };
        let active = [("recommend.activated/1", json!({"move": "activate"}))];
        drafts.extend(active.into_iter().chain(moves).map(|(kind, body)| draft(kind, &stream, moved(body))));
        self.record(Batch::of(drafts)).await;
    }

    /// A recommendation as its list has it, and as it is told alone.
    async fn recommendation(&self, id: &str) -> (Value, Value) {
        let (_, all) = look(self, "/api/v1/recommendations").await;
        let listed = all["items"].as_array().unwrap().iter().find(|item| item["id"] == id).unwrap().clone();
        let (status, alone) = look(self, &format!("/api/v1/recommendations/{id}")).await;
        assert!(status.is_success(), "{alone}");
        (listed, alone)
    }
}

/// The moves of one that was approved and watched, and of what came of it.
fn watched(last: &'static str, realised: Option<Value>) -> Vec<(&'static str, Value)> {
    let (by, digest) = (json!({"kind": "human", "id": "person-78"}), Digest([7; 32]));
    let mut evidence = json!({"expected": 200, "metric": "availability_improvement"});
    if let Some(realised) = realised {
        evidence["realised"] = realised;
    }
    vec![
        ("recommend.approved/1", json!({"move": "approve", "by": by, "digest": digest})),
        ("recommend.applied/1", json!({"move": "apply", "changed": digest})),
        (
            "recommend.watched/1",
            json!({"move": "watch", "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
        ),
        (last, json!({"move": if last == "recommend.missed/1" { "miss" } else { "realise" }, "evidence": [evidence]})),
    ]
}

#[tokio::test]
async fn a_recommendation_says_what_it_changes_and_that_it_is_too_old() {
    let place = Place::new().await;
    let base = place.in_force(1, 3).await;
    place.recommended("OPT-001", base, vec![]).await;
    place.recommended("OPT-OLD", base, vec![]).await;
    let (listed, alone) = place.recommendation("OPT-001").await;
    for item in [&listed, &alone] {
        assert_eq!((&item["state"], &item["outdated"]), (&json!("open"), &json!(false)), "{item}");
    }
    let diff = alone["diff"].as_str().unwrap();
    assert!(diff.contains("\n-      min_instances: 3") && diff.contains("\n+      min_instances: 4"), "{diff}");
    let expected =
        json!([{"name": "availability improvement", "expected": "+0.02%", "interval": "+0.01% to +0.03% (90 %)"}]);
    assert_eq!((&alone["expected"], &alone["measured"]), (&expected, &json!([])));
    let (old, _) = place.recommendation("OPT-OLD").await;
    assert_eq!((&old["state"], &old["outdated"]), (&json!("expired"), &json!(false)));

    place.in_force(2, 2).await;
    let (listed, alone) = place.recommendation("OPT-001").await;
    for item in [&listed, &alone] {
        assert_eq!((&item["state"], &item["outdated"]), (&json!("open"), &json!(true)), "{item}");
    }
    assert_eq!(alone["diff"], json!(null));
}

#[tokio::test]
async fn what_nobody_measured_has_not_missed() {
    let place = Place::new().await;
    let base = place.in_force(1, 3).await;
    let seen = json!({"estimate": 50, "low": -10, "high": 110, "p_ppm": 1});
    place.recommended("OPT-001", base, watched("recommend.missed/1", None)).await;
    place.recommended("OPT-002", base, watched("recommend.missed/1", Some(seen.clone()))).await;
    place.recommended("OPT-003", base, watched("recommend.realised/1", Some(seen))).await;
    let seen = "+0.005% (-0.001% to +0.011%)";
    for (id, state, realised) in
        [("OPT-001", "not_measured", "too little was seen"), ("OPT-002", "missed", seen), ("OPT-003", "realised", seen)]
    {
        let (listed, alone) = place.recommendation(id).await;
        assert_eq!((&listed["state"], &alone["state"]), (&json!(state), &json!(state)), "{id}");
        let told = json!([{"metric": "availability", "expected": "+0.02%", "realised": realised}]);
        assert_eq!(alone["measured"], told, "{id}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_told_so_whatever_was_asked() {
    let place = Place::new().await;
    let base = place.in_force(1, 3).await;
    place.recommended("OPT-001", base, watched("recommend.realised/1", None)).await;
    place.recommended("OPT-OLD", base, vec![]).await;
    place.recommended("OPT-002", base, vec![]).await;
    place.recommended("OPT-003", base, vec![("recommend.expired/1", json!({"move": "expire"}))]).await;
    let (_, _, asked) = act(&place, "k", "why").await;
    let approval = asked["approval"].as_str().unwrap();
    let say = async |path: &str| place.say("approver", path, json!({"reason": "x"})).await;
    let approve = format!("/api/v1/approvals/{approval}/approve");
    assert_eq!(say(&approve).await.0, 200);
    let answered = "see what was answered: `writ recommend get OPT-001`".to_owned();
    let anew = "collect feedback again with `writ recommend collect`".to_owned();
    let asked = format!("see what was answered: `writ approval get {approval}`");
    let recommend = |id: &str, word: &str| format!("/api/v1/recommendations/{id}/{word}");
    for (path, status, code, hint) in [
        (approve, 409, "refused", asked.clone()),
        (format!("/api/v1/approvals/{approval}/reject"), 409, "refused", asked),
        (recommend("OPT-001", "approve"), 409, "refused", answered.clone()),
        (recommend("OPT-001", "reject"), 409, "refused", answered),
        (recommend("OPT-OLD", "approve"), 409, "refused", anew.clone()),
        (recommend("OPT-003", "approve"), 409, "refused", anew.clone()),
    ] {
        let (found, problem) = say(&path).await;
        let told = (found, problem["code"].as_str(), problem["hint"].as_str());
        assert_eq!(told, (status, Some(code), Some(hint.as_str())), "{path}: {problem}");
    }
    for id in ["OPT-OLD", "OPT-003"] {
        let (listed, alone) = place.recommendation(id).await;
        assert_eq!((&listed["state"], &alone["state"]), (&json!("expired"), &json!("expired")), "{id}");
    }
    place.in_force(2, 2).await;
    let (found, problem) = say(&recommend("OPT-002", "approve")).await;
    assert_eq!((found, problem["code"].as_str(), problem["hint"].as_str()), (409, Some("stale"), Some(anew.as_str())));
}

/// What went wrong with a component: windows in which so many of a thousand answers failed, and an instance that went down often.
pub(super) fn troubles(component: &str, errors: u64) -> Vec<Draft> {
    let window = json!({
        "component": component, "errors": errors, "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:01:00Z",
        "instances": [], "latency": [], "requests": 1_000, "retried": 0,
    });
    let mut all = vec![draft("telemetry.window/1", &format!("component/{component}"), window)];
    for number in 0..errors / 10 {
        let incident = format!("inc_{number:02}");
        let opened = json!({
            "at": "2026-01-01T00:00:01Z", "component": component, "incident": incident, "instance": "i-1",
            "onset_at": "2026-01-01T00:00:00Z", "seen": "it ended", "severity": "high", "symptom": "down",
        });
        all.push(draft("incident.opened/1", &format!("incident/{component}/{incident}"), opened));
    }
    all
}

#[tokio::test]
async fn each_intent_is_looked_back_on_for_itself() {
    let place = Place::new().await;
    let example = include_str!("../../../../examples/deploy-web-001/intent.yaml");
    let other = example.replace("DEPLOY-WEB-001", "PAYMENTS").replacen(
        "intent:\n",
        "intent:\n  target:\n    component: payments-001\n",
        1,
    );
    assert!(other.contains("payments-001"));
    place.stands("DEPLOY-WEB-001", 1, example.to_owned()).await;
    place.stands("PAYMENTS", 1, other.clone()).await;
    place.stands("A-GONE-ONE", 1, other.replace("PAYMENTS", "A-GONE-ONE")).await;
    place.record(Batch::of(vec![draft("intent.moved/1", "intent/A-GONE-ONE", json!({"to": "archived"}))])).await;
    let drafts = [troubles("web-service-001", 0), troubles("payments-001", 100)].concat();
    place.record(Batch::of(drafts)).await;

    let collect = async |asked: Value| place.say("viewer", "/api/v1/feedback", asked).await;
    let (status, found) = collect(json!({"seconds": 600})).await;
    assert_eq!(status, 200, "{found}");
    let told = |at: usize| {
        let one = &found["intents"][at];
        let made: Vec<&str> = one["recommendations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["patch"]["target"].as_str().unwrap())
            .collect();
        (one["intent"].clone(), one["feedback"]["metrics_collected"]["availability"]["achieved"].clone(), made)
    };
    assert_eq!(told(0), (json!("DEPLOY-WEB-001"), json!(100), vec![]));
    assert_eq!(told(1), (json!("PAYMENTS"), json!(90), vec!["intent/PAYMENTS"]));
    assert_eq!(found["intents"].as_array().unwrap().len(), 2, "{found}");

    // Nothing is recommended twice, and one alone can be looked back on.
    let (_, again) = collect(json!({"intent": "PAYMENTS", "seconds": 600})).await;
    assert_eq!((again["intents"].as_array().unwrap().len(), &again["intents"][0]["recommendations"]), (1, &json!([])));
    let (_, listed) = look(&place, "/api/v1/recommendations?intent=PAYMENTS").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    for (wanted, code) in [("NOBODYS", 404), ("A-GONE-ONE", 409), ("x y", 400)] {
        assert_eq!(collect(json!({"intent": wanted})).await.0, code, "{wanted}");
    }
}

#[tokio::test]
async fn who_looks_back_at_one_moment_takes_no_number_twice() {
    let place = Place::new().await;
    place.in_force(1, 3).await;
    place.record(Batch::of(troubles("web-service-001", 100))).await;
    let collect = || place.say("viewer", "/api/v1/feedback", json!({"seconds": 600}));
    let all = futures::join!(collect(), collect(), collect(), collect());
    for (status, found) in [all.0, all.1, all.2, all.3] {
        assert_eq!(status, 200, "{found}");
    }
    let (_, listed) = look(&place, "/api/v1/recommendations").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let stream = place.shared.pipeline.journal().stream("recommendation/OPT-001").await.unwrap();
    assert_eq!(stream.iter().filter(|entry| entry.kind == "recommend.made/2").count(), 1);
}

#[tokio::test]
async fn what_was_taken_away_is_kept_whole_and_what_was_said_before_is_not_said_any_more() {
    let place = Place::new().await;
    place.in_force(1, 3).await;
    let taken: Vec<String> = (0..200).map(|at| format!("web-service-001/i-{at}")).collect();
    let moved = |because: &str, more: Value| {
        let mut body = json!({"to": "degraded", "because": because, "findings": (0..40).collect::<Vec<u32>>()});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Batch::of(vec![draft("intent.moved/1", "intent/DEPLOY-WEB-001", body)])
    };
    place.record(moved("short", json!({"findings": [1]}))).await;
    place.record(moved(&"é".repeat(600), json!({"taken_away": taken}))).await;
    let (_, doc) = look(&place, "/api/v1/intents/DEPLOY-WEB-001").await;
    assert_eq!((&doc["taken_away"], &doc["findings"]), (&json!(taken), &Value::Null));
    assert_eq!(doc["because"], format!("{}…", "é".repeat(256)));
}
