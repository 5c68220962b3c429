//! What two people do at one moment: neither counts on what the other has just changed.

use super::*;
use serde_json::json;
use writ_core::Filter;
use writ_pipeline::{
    Batch, ReflectError, Span, TokenError, TokenWish, enrol_person, issue_token, principal_of, revoke_token,
    some_tokens,
};

/// The example's policies, with a bill at which somebody signs, or which nobody gets.
pub(super) fn policies(rule: &str) -> Value {
    let file = |(name, text): (String, Vec<u8>)| {
        let text = String::from_utf8(text).unwrap();
        let from = "    rule: plan.cost_per_month <= 1000\n    enforcement: require_approval\n    approval: { count: 1, role: approver }\n";
        assert!(!name.contains("compliance") || text.contains(from), "{name}");
        json!({"name": name, "text": text.replace(from, rule)})
    };
    let files: Vec<Value> = example().policy_files.into_iter().map(file).collect();
    json!({"files": files, "reason": "why"})
}

/// A run and its approval, of a version that somebody has to sign.
pub(super) async fn asked(place: &Place) -> (String, String) {
    let manifest = include_str!("../../../../examples/deploy-web-001/intent.yaml");
    let manifest = json!({"name": "intent.yaml", "text": manifest}).to_string();
    let (status, told) = place.post("/api/v1/intents", "application/json", manifest).await;
    assert!(status.is_success(), "{told}");
    let (_, open) = look(place, "/api/v1/approvals?state=open").await;
    let approval = open["items"][0]["id"].as_str().unwrap().to_owned();
    (told["run"].as_str().unwrap().to_owned(), approval)
}

#[tokio::test]
async fn what_policy_denies_is_let_in_by_nobody_who_agrees_at_that_moment() {
    let signed = policies(&signed_by(1));
    let denied = policies("    rule: plan.cost_per_month <= 1\n    enforcement: deny\n");
    let mut came = (0, 0);
    for late in 0..24 {
        let place = Place::new().await;
        let put = async |files: &Value| place.say("operator", "/api/v1/policies", files.clone()).await;
        assert_eq!(put(&signed).await.0, 200);
        let (run, approval) = asked(&place).await;
        let agree = async {
            place.say("approver", &format!("/api/v1/approvals/{approval}/approve"), json!({"reason": "x"})).await
        };
        let deny = async {
            for _ in 0..late {
                tokio::task::yield_now().await;
            }
            put(&denied).await
        };
        let (_, denied) = futures::join!(agree, deny);
        assert_eq!(denied.0, 200, "{}", denied.1);
        let journal = place.shared.pipeline.journal();
        let started = journal.stream(&format!("run/{run}")).await.unwrap();
        let started = started.iter().find(|entry| entry.kind == "run.started/1").map(|entry| entry.seq);
        let set = journal.stream("policy/set").await.unwrap().last().unwrap().seq;
        assert!(started.is_none_or(|at| at < set), "{late}: it began at {started:?}, and was denied at {set}");
        if started.is_some() { came.0 += 1 } else { came.1 += 1 }
    }
    // Both were met: those who were in time, and those who were not.
    assert!(came.0 > 0 && came.1 > 0, "{came:?}");
}

/// A rule by which so many approvers sign every bill.
pub(super) fn signed_by(count: u32) -> String {
    format!(
        "    rule: plan.cost_per_month <= 1\n    enforcement: require_approval\n    approval: {{ count: {count}, role: approver }}\n"
    )
}

impl Place {
    pub(super) async fn loses(&self, who: &str, role: &str) {
        let body = json!({"revoke": [role], "reason": "why"});
        let (status, told) = self.say("admin", &format!("/api/v1/principals/{who}/roles"), body).await;
        assert_eq!(status, 200, "{told}");
    }
}

#[tokio::test]
async fn who_may_not_agree_any_more_has_not_agreed() {
    let mut place = Place::new().await;
    let by = writ_core::Actor::system("test");
    for name in ["bea", "cid"] {
        let journal = place.shared.pipeline.journal();
        let person = enrol_person(journal, name, &["approver".to_owned()], &by).await.unwrap();
        let token = issue_token(journal, &person, &TokenWish::default(), &by).await.unwrap().1;
        place.tokens.push(token);
    }
    assert_eq!(place.say("operator", "/api/v1/policies", policies(&signed_by(2))).await.0, 200);
    let (run, approval) = asked(&place).await;
    let path = format!("/api/v1/approvals/{approval}/approve");
    let agree = async |token: usize| {
        let request = Request::builder().method("POST").uri(&path).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", place.tokens[token]));
        let (status, told) = read(place.ask(request, json!({"reason": "x"}).to_string()).await).await;
        assert!(status.is_success(), "{told}");
        told["state"].as_str().unwrap().to_owned()
    };
    let (first, bea, cid) = (ROLES.iter().position(|role| *role == "approver").unwrap(), ROLES.len(), ROLES.len() + 1);
    assert_eq!(agree(first).await, "open");
    place.loses("approver", "approver").await;
    assert_eq!(agree(bea).await, "open");
    let counts = async || {
        let (_, approval) = look(&place, &format!("/api/v1/approvals/{approval}")).await;
        let answers = approval["answers"].as_array().unwrap().iter().map(|answer| answer["counts"].clone());
        answers.collect::<Vec<_>>()
    };
    assert_eq!(counts().await, [json!(false), json!(true)]);
    assert_eq!(agree(cid).await, "granted");
    assert_eq!(counts().await, [json!(null), json!(null), json!(null)], "it is decided");
    let entries = place.shared.pipeline.journal().stream(&format!("run/{run}")).await.unwrap();
    assert!(entries.iter().any(|entry| entry.kind == "run.started/1"));
}

#[tokio::test]
async fn a_step_is_not_let_in_by_who_may_not_agree_any_more() {
    let by_step = include_str!("../../../../97-sim/tests/cases/two-people.policy.yaml").replace("count: 2", "count: 1");
    let mut came = (0, 0);
    for late in 0..24 {
        let place = Place::new().await;
        let mut files = policies(&signed_by(1).replace("<= 1\n", "<= 1000\n"));
        files["files"].as_array_mut().unwrap().push(json!({"name": "step.policy.yaml", "text": by_step}));
        assert_eq!(place.say("operator", "/api/v1/policies", files).await.0, 200);
        let manifest = include_str!("../../../../examples/deploy-web-001/intent.yaml");
        let manifest = json!({"name": "intent.yaml", "text": manifest}).to_string();
        let (status, told) = place.post("/api/v1/intents", "application/json", manifest).await;
        assert!(status.is_success(), "{told}");
        let run = told["run"].as_str().unwrap().to_owned();
        let approval = loop {
            let (_, open) = look(&place, "/api/v1/approvals?state=open").await;
            if let Some(id) = open["items"][0]["id"].as_str() {
                break id.to_owned();
            }
            tokio::task::yield_now().await;
        };
        let agree = async {
            place.say("approver", &format!("/api/v1/approvals/{approval}/approve"), json!({"reason": "x"})).await
        };
        let lose = async {
            for _ in 0..late {
                tokio::task::yield_now().await;
            }
            place.loses("approver", "approver").await;
        };
        futures::join!(agree, lose);
        let journal = place.shared.pipeline.journal();
        let entries = journal.stream(&format!("run/{run}")).await.unwrap();
        let approved = entries.iter().find(|entry| entry.kind == "run.step_approved/1").map(|entry| entry.seq);
        let filter = Filter { kind: Some("principal.roles_set/1".into()), ..Filter::default() };
        let lost = journal.ledger().query(&filter, 10).await.unwrap()[0].seq;
        assert!(approved.is_none_or(|at| at < lost), "{late}: let in at {approved:?}, and the role was lost at {lost}");
        if approved.is_some() { came.0 += 1 } else { came.1 += 1 }
    }
    assert!(came.0 > 0 && came.1 > 0, "{came:?}");
}

#[tokio::test]
async fn what_somebody_asked_for_who_may_not_any_more_is_not_let_in() {
    let place = Place::new().await;
    assert_eq!(place.say("operator", "/api/v1/policies", policies(&signed_by(1))).await.0, 200);
    let (run, approval) = asked(&place).await;
    place.loses("operator", "operator").await;
    let (status, told) =
        place.say("approver", &format!("/api/v1/approvals/{approval}/approve"), json!({"reason": "x"})).await;
    assert_eq!(status, 200, "{told}");
    let entries = place.shared.pipeline.journal().stream(&format!("run/{run}")).await.unwrap();
    let last = entries.last().unwrap();
    assert!(last.kind == "run.expired/1" && last.body.to_string().contains("does not hold the role"), "{last:?}");
}

#[tokio::test]
async fn somebody_is_left_who_administers() {
    let place = Place::new().await;
    let journal = place.shared.pipeline.journal();
    let by = writ_core::Actor::system("test");
    let administer = async || {
        let all = some_tokens(journal, Span::behind(None, 100)).await.unwrap().rows;
        all.into_iter().filter(|token| token.roles.contains(&"admin".to_owned())).collect::<Vec<_>>()
    };
    let both = administer().await;
    assert_eq!(both.len(), 2);
    let (one, two) = futures::join!(revoke_token(journal, &both[0].id, &by), revoke_token(journal, &both[1].id, &by));
    let refused: Vec<_> = [one, two].into_iter().filter_map(Result::err).collect();
    assert!(matches!(&refused[..], [TokenError::Last { .. }]), "{refused:?}");
    assert_eq!(administer().await.len(), 1);
}

#[tokio::test]
async fn an_agent_is_nobody_who_administers() {
    let place = Place::new().await;
    let (journal, by) = (place.shared.pipeline.journal(), writ_core::Actor::system("test"));
    let both = ["admin".to_owned(), "agent".to_owned()];
    let bot = enrol_person(journal, "bot", &both, &by).await.unwrap();
    issue_token(journal, &bot, &TokenWish::default(), &by).await.unwrap();
    let all = some_tokens(journal, Span::behind(None, 100)).await.unwrap().rows;
    let people = all.iter().filter(|token| token.roles.contains(&both[0]) && !token.roles.contains(&both[1]));
    let mut last = None;
    for token in people {
        last = Some(revoke_token(journal, &token.id, &by).await);
    }
    assert!(matches!(last, Some(Err(TokenError::Last { .. }))), "{last:?}");
}

#[tokio::test]
async fn the_role_of_whoever_administers_last_is_not_taken() {
    let place = Place::new().await;
    let (journal, by) = (place.shared.pipeline.journal(), writ_core::Actor::system("test"));
    let lose = async |who: &str| {
        let body = json!({"revoke": ["admin"], "reason": "why"});
        place.say("admin", &format!("/api/v1/principals/{who}/roles"), body).await
    };
    assert_eq!(lose("ada").await.0, 200);
    // Ada's token says that it administers, and does not any more: it is not counted, and can be revoked.
    let all = some_tokens(journal, Span::behind(None, 100)).await.unwrap().rows;
    let of = |name: &str| all.iter().find(|token| token.principal.as_str() == name).unwrap();
    let hers = of("person-01").clone();
    let other = all.iter().find(|token| token.principal != hers.principal && token.roles == ["admin"]).unwrap();
    let refused = revoke_token(journal, &other.id, &by).await;
    assert!(matches!(refused, Err(TokenError::Last { .. })), "{refused:?}");
    let (status, problem) = lose("admin").await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("refused")), "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("--role admin"), "{problem}");
    assert!(revoke_token(journal, &hers.id, &by).await.is_ok());
    assert!(look(&place, "/api/v1/intents").await.0.is_success());
}

#[tokio::test]
async fn whoever_recommends_must_still_approve_when_others_agree() {
    let place = Place::new().await;
    place.in_force(1, 3).await;
    place.record(Batch::of(super::recommendations::troubles("web-service-001", 100))).await;
    assert_eq!(place.say("operator", "/api/v1/policies", policies(&signed_by(1))).await.0, 200);
    let (_, found) = place.say("viewer", "/api/v1/feedback", json!({"seconds": 600})).await;
    let id = found["intents"][0]["recommendations"][0]["recommendation_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/recommendations/{id}/approve");
    let (status, told) = place.say("approver", &path, json!({"reason": "x"})).await;
    assert_eq!(status, 200, "{told}");
    let run = told["run"].as_str().unwrap().to_owned();
    place.loses("approver", "approver").await;
    let journal = place.shared.pipeline.journal();
    let by = writ_core::Actor::system("test");
    let bea = enrol_person(journal, "bea", &["approver".to_owned()], &by).await.unwrap();
    let token = issue_token(journal, &bea, &TokenWish::default(), &by).await.unwrap().1;
    let (_, open) = look(&place, "/api/v1/approvals?state=open").await;
    let approval = open["items"][0]["id"].as_str().unwrap();
    let request = Request::builder().method("POST").uri(format!("/api/v1/approvals/{approval}/approve"));
    let request = request.header("content-type", "application/json").header("authorization", format!("Bearer {token}"));
    let (status, told) = read(place.ask(request, json!({"reason": "x"}).to_string()).await).await;
    assert!(status.is_success(), "{told}");
    let entries = journal.stream(&format!("run/{run}")).await.unwrap();
    let last = entries.last().unwrap();
    assert!(last.kind == "run.expired/1" && last.body.to_string().contains("the role `approver` any more"), "{last:?}");
}

#[tokio::test]
async fn what_is_recommended_is_approved_by_nobody_who_may_not_at_that_moment() {
    let mut came = (0, 0);
    for late in 0..24 {
        let place = Place::new().await;
        let base = place.in_force(1, 3).await;
        place.recommended("OPT-001", base, vec![]).await;
        let approve = async {
            for _ in 0..late {
                tokio::task::yield_now().await;
            }
            place.say("approver", "/api/v1/recommendations/OPT-001/approve", json!({"reason": "x"})).await
        };
        let ((status, told), ()) = futures::join!(approve, place.loses("approver", "approver"));
        let journal = place.shared.pipeline.journal();
        let moved = journal.stream("recommendation/OPT-001").await.unwrap();
        let approved = moved.iter().find(|entry| entry.kind == "recommend.approved/1").map(|entry| entry.seq);
        let wanted = Filter { kind: Some("principal.roles_set/1".into()), ..Filter::default() };
        let lost = journal.ledger().query(&wanted, 1).await.unwrap()[0].seq;
        assert!(approved.is_none_or(|at| at < lost), "{late}: it was approved at {approved:?}, and lost at {lost}");
        assert_eq!((status == 200, status == 403), (approved.is_some(), approved.is_none()), "{told}");
        if approved.is_some() { came.0 += 1 } else { came.1 += 1 }
    }
    // Both were met: those who were in time, and those who were not.
    assert!(came.0 > 0 && came.1 > 0, "{came:?}");
}

#[tokio::test]
async fn whoever_lost_the_role_since_they_asked_approves_no_recommendation() {
    let place = Place::new().await;
    let base = place.in_force(1, 3).await;
    place.recommended("OPT-001", base, vec![]).await;
    let pipeline = &place.shared.pipeline;
    let by = principal_of(pipeline.journal(), &place.tokens[3]).await.unwrap().unwrap();
    assert_eq!((ROLES[3], by.roles.as_slice()), ("approver", &["approver".to_owned()][..]));
    let before = pipeline.journal().stream("recommendation/OPT-001").await.unwrap();
    place.loses("approver", "approver").await;
    let refused = pipeline.approve_recommendation("OPT-001", &by).await.unwrap_err();
    assert!(matches!(&refused, ReflectError::Barred(barred) if barred.role == "approver"), "{refused:?}");
    assert_eq!(pipeline.journal().stream("recommendation/OPT-001").await.unwrap(), before);
}
