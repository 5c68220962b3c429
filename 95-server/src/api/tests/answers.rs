//! Answers of people: with a reason, and to what is asked.

use super::*;

impl Place {
    /// Sends something as one of the roles.
    pub(super) async fn say(&self, role: &str, path: &str, body: Value) -> (u16, Value) {
        let token = &self.tokens[ROLES.iter().position(|known| *known == role).unwrap()];
        let request = Request::builder().method("POST").uri(path).header("content-type", "application/json");
        let answer = self.ask(request.header("authorization", format!("Bearer {token}")), body.to_string()).await;
        let (status, body) = read(answer).await;
        (status.as_u16(), body)
    }
}

#[tokio::test]
async fn what_is_in_force_asks_nobody_for_an_answer() {
    let place = Place::new().await;
    let standing = json!({
        "actions": ["restart_instance"], "targets": ["web"], "budget": {"count": 1, "period_seconds": 60},
        "reason": "nights", "seconds": 3_600,
    });
    let (status, told) = place.say("operator", "/api/v1/standing", standing).await;
    assert_eq!(status, 200, "{told}");
    let token = &place.tokens[1];
    let look = Request::builder().uri("/api/v1/approvals").header("authorization", format!("Bearer {token}"));
    let (_, all) = read(place.ask(look, String::new()).await).await;
    let id = all["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{told} {all}"));
    let before = place.size().await;
    for command in ["approve", "reject"] {
        let path = format!("/api/v1/approvals/{id}/{command}");
        let (status, problem) = place.say("approver", &path, json!({"reason": "yes"})).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("refused")), "{problem}");
        assert_eq!(problem["hint"], format!("look at it: writ approval get {id}"));
        let (status, problem) = place
            .say("approver", "/api/v1/approvals/apr_01m7znjwjxsxdw0zwmr5z97yce/approve", json!({"reason": "x"}))
            .await;
        assert_eq!((status, problem["code"].as_str()), (404, Some("not-found")), "{problem}");
    }
    assert_eq!(place.size().await, before);
}

#[tokio::test]
async fn a_standing_approval_that_could_allow_nothing_is_refused() {
    let place = Place::new().await;
    let before = place.size().await;
    for (actions, targets, seconds, pointer) in [
        (json!(["restart_instance"]), json!(["web"]), 0, "/seconds"),
        (json!(["restart_instance"]), json!([""]), 60, "/targets"),
        (json!(["restart_instance"]), json!(["web", " "]), 60, "/targets"),
        (json!([""]), json!(["web"]), 60, "/actions"),
    ] {
        let budget = json!({"count": 1, "period_seconds": 60});
        let asked =
            json!({"actions": actions, "targets": targets, "budget": budget, "reason": "x", "seconds": seconds});
        let (status, problem) = place.say("operator", "/api/v1/standing", asked).await;
        assert_eq!((status, problem["pointer"].as_str()), (400, Some(pointer)), "{problem}");
    }
    assert_eq!(place.size().await, before);
}

#[tokio::test]
async fn what_governs_is_changed_with_a_reason() {
    let place = Place::new().await;
    let before = place.size().await;
    let budget = json!({"count": 1, "period_seconds": 60});
    for (role, path, body) in [
        (
            "operator",
            "standing",
            json!({"actions": ["restart_instance"], "targets": ["web"], "budget": budget, "seconds": 60}),
        ),
        ("operator", "policies", json!({"files": [{"name": "a.yaml", "text": "rules: []"}]})),
        ("admin", "principals", json!({"name": "ada", "roles": ["viewer"]})),
        ("admin", "principals/person-01/roles", json!({"grant": ["viewer"]})),
        ("admin", "tokens", json!({"principal": "ada", "enrol": true, "roles": ["viewer"]})),
        ("admin", "agents/scaling-agent-001/drain", json!({})),
        ("admin", "agents/scaling-agent-001/permissions", json!({"permissions": ["read:metrics"]})),
    ] {
        for reason in [None, Some(""), Some("  "), Some("\n")] {
            let mut asked = body.clone();
            asked.as_object_mut().unwrap().extend(reason.map(|reason| ("reason".to_owned(), json!(reason))));
            let (status, problem) = place.say(role, &format!("/api/v1/{path}"), asked).await;
            let told = (status, problem["pointer"].as_str(), problem["detail"].as_str());
            assert_eq!(told, (400, Some("/reason"), Some("a reason is missing")), "{path} {reason:?}: {problem}");
        }
    }
    assert_eq!(place.size().await, before);
}

#[tokio::test]
async fn a_recommendation_is_answered_with_a_reason() {
    let place = Place::new().await;
    let before = place.size().await;
    let long = json!({"reason": "\u{754c}\r\n".repeat(2_001)});
    for body in [json!({}), json!({"reason": ""}), json!({"reason": " \n"}), long] {
        for command in ["approve", "reject"] {
            let path = format!("/api/v1/recommendations/OPT-001/{command}");
            let (status, problem) = place.say("approver", &path, body.clone()).await;
            assert_eq!((status, problem["pointer"].as_str()), (400, Some("/reason")), "{path} {body}: {problem}");
        }
    }
    assert_eq!(place.size().await, before);
}

#[test]
fn a_reason_may_be_as_long_as_its_form_has_room_for() {
    let lines = "\u{754c}\r\n".repeat(2_000);
    assert_eq!(super::super::reason(&lines).ok(), Some(lines.trim()));
}

#[tokio::test]
async fn a_person_with_two_tokens_is_one_person() {
    let place = Place::new().await;
    let journal = place.shared.pipeline.journal();
    let (by, both) = (writ_core::Actor::system("test"), ["operator".to_owned(), "approver".to_owned()]);
    let person = enrol_person(journal, "Eve", &both, &by).await.unwrap();
    let mut tokens = Vec::new();
    for role in &both {
        let wish = TokenWish { roles: Some(std::slice::from_ref(role)), ..TokenWish::default() };
        tokens.push(issue_token(journal, &person, &wish, &by).await.unwrap().1);
    }
    let say = async |token: &str, path: String, body: Value| {
        let request = Request::builder().method("POST").uri(path).header("content-type", "application/json");
        read(place.ask(request.header("authorization", format!("Bearer {token}")), body.to_string()).await).await
    };
    let rule = place.shared.pipeline.policies()["rules"][0]["rule"].clone();
    let wanted = json!({"rule": rule, "subject": "DEPLOY-WEB-001", "seconds": 60, "reason": "a launch"});
    let (status, asked) = say(&tokens[0], "/api/v1/waivers".into(), wanted).await;
    assert_eq!(status, 200, "{asked}");
    let grant = format!("/api/v1/waivers/{}/grant", asked["waiver"].as_str().unwrap());
    let (status, problem) = say(&tokens[1], grant.clone(), json!({"reason": "yes"})).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (403, Some("refused")), "{problem}");
    let (status, granted) = say(&place.tokens[3], grant, json!({"reason": "yes"})).await;
    assert_eq!((status.as_u16(), granted["state"].as_str()), (200, Some("granted")), "{granted}");
}

#[tokio::test]
async fn a_token_is_good_for_as_long_as_one_may_be_and_nobody_is_made_known_with_another() {
    let place = Place::new().await;
    let ask = async |name: &str, seconds: u64| {
        let wanted = json!({"principal": name, "enrol": true, "roles": ["viewer"], "seconds": seconds, "reason": "x"});
        let request =
            Request::builder().method("POST").uri("/api/v1/tokens").header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", place.tokens[4]));
        read(place.ask(request, wanted.to_string()).await).await
    };
    for seconds in [0, 316_224_001, 9_223_372_036_854_775_807] {
        let (status, problem) = ask("new", seconds).await;
        assert_eq!((status, problem["pointer"].as_str()), (StatusCode::BAD_REQUEST, Some("/seconds")), "{problem}");
        let detail = format!("a token is good for one second to 3660 days, not for {seconds} s");
        assert_eq!(problem["detail"], json!(detail));
    }
    // The name is free still: nobody was made known by what was refused.
    assert_eq!(ask("new", 316_224_000).await.0, StatusCode::OK);
}
