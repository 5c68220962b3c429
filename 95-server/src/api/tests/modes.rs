//! What would have been done: listed, and judged by people.

use super::*;
use writ_pipeline::Batch;

/// A place with two decisions about an incident of `web` that were only recorded; their ids.
async fn place() -> (Place, Vec<String>) {
    let place = Place::new().await;
    let journal = place.shared.pipeline.journal();
    let draft = |kind: &'static str, body: Value| writ_core::Draft {
        action: "test".into(),
        actor: writ_core::Actor::system("test"),
        body,
        kind,
        outcome: writ_core::Outcome::Success,
        resource: "web".into(),
        stream: "incident/inc_web".into(),
    };
    let shadowed = |action: &str| {
        let remedy = json!({"action": action, "incident": "inc_web", "component": "web", "targets": []});
        draft("incident.remedy_shadowed/1", json!({"because": "<b>process ended</b>", "remedy": remedy}))
    };
    let opened = draft("incident.opened/1", json!({"component": "web", "incident": "inc_web"}));
    let drafts = vec![opened, shadowed("restart_instance"), shadowed("scale_in")];
    let receipt = journal.commit(&journal.new_cause(), Batch::of(drafts)).await.unwrap();
    let ids = receipt.entries[1..].iter().map(|entry| entry.event_id.to_string()).collect();
    (place, ids)
}

impl Place {
    /// Sends something as one of the roles.
    pub(super) async fn send(&self, role: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
        let token = &self.tokens[ROLES.iter().position(|known| *known == role).unwrap()];
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let answer = self.ask(request.header("authorization", format!("Bearer {token}")), body.to_owned()).await;
        let (status, body) = read(answer).await;
        (status.as_u16(), body)
    }
}

#[tokio::test]
async fn a_program_judges_nothing_and_a_person_says_why_and_not_the_same_twice() {
    let (place, ids) = place().await;
    let path = format!("/api/v1/shadow-decisions/{}/judgement", ids[0]);
    let right = "{\"right\":true,\"reason\":\"it was down\"}";
    let before = place.size().await;
    for (role, path, body, status, code) in [
        ("agent", path.as_str(), right, 403, "forbidden"),
        ("viewer", &path, right, 403, "forbidden"),
        ("admin", &path, right, 403, "forbidden"),
        ("operator", &path, "{\"right\":true}", 422, "invalid"),
        ("operator", &path, "{\"right\":true,\"reason\":\" \"}", 400, "invalid"),
        ("operator", &path, "{\"right\":\"yes\",\"reason\":\"x\"}", 422, "invalid"),
        ("operator", "/api/v1/shadow-decisions/nonsense/judgement", right, 400, "invalid"),
        ("operator", "/api/v1/shadow-decisions/evt_01m7znjwjxsxdw0zwmr5z97yce/judgement", right, 404, "not-found"),
    ] {
        let (came, problem) = place.send(role, "POST", path, body).await;
        assert_eq!((came, problem["code"].as_str()), (status, Some(code)), "{role} {path} {body}: {problem}");
    }
    // Those who are refused for want of a role are recorded, and nothing else is.
    assert_eq!(place.size().await - before, 3);
    for role in ["operator", "approver"] {
        assert_eq!(place.send(role, "POST", &path, right).await.0, 200, "{role}");
        let (status, problem) = place.send(role, "POST", &path, right).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("refused")), "{problem}");
    }
    let wrong = "{\"right\":false,\"reason\":\"it was on purpose\"}";
    assert_eq!(place.send("approver", "POST", &path, wrong).await.0, 200, "who learns better says so");
    let (_, all) = place.send("viewer", "GET", "/api/v1/shadow-decisions", "").await;
    let opinions: Vec<&Value> = all["items"].as_array().unwrap().iter().map(|item| &item["opinion"]).collect();
    assert_eq!(opinions, ["unjudged", "wrong"], "one who says that it was wrong is enough");
    let said: Vec<&Value> =
        all["items"][1]["judgements"].as_array().unwrap().iter().map(|said| &said["reason"]).collect();
    assert_eq!(said, ["it was down", "it was on purpose"]);
}

#[tokio::test]
async fn what_there_is_not_is_said_in_a_sentence() {
    let (place, _) = place().await;
    for (method, path, body, told, hint) in [
        ("GET", "/api/v1/why/nothing", "", "the journal knows nothing of `nothing`", "writ audit query"),
        ("GET", "/api/v1/audit/evidence/nothing", "", "the journal knows nothing of `nothing`", "writ audit query"),
        (
            "POST",
            "/api/v1/modes/web/none",
            "{\"mode\":\"auto\",\"reason\":\"x\"}",
            "`none` is no action of healing",
            "one of restart_instance, ",
        ),
    ] {
        let role = if method == "GET" { "viewer" } else { "operator" };
        let (status, problem) = place.send(role, method, path, body).await;
        assert_eq!((status, problem["detail"].as_str()), (404, Some(told)), "{path}: {problem}");
        assert!(problem["hint"].as_str().unwrap().contains(hint), "{path}: {problem}");
    }
}

#[tokio::test]
async fn shadow_decisions_are_filtered_and_told_page_by_page() {
    let (place, ids) = place().await;
    let found = async |query: &str| {
        let (status, page) = place.send("viewer", "GET", &format!("/api/v1/shadow-decisions?{query}"), "").await;
        assert_eq!(status, 200, "{query}: {page}");
        let of = |item: &Value| item["decision"].as_str().unwrap().to_owned();
        let next = page["next"].as_str().map(|next| next.replace('/', "%2F"));
        (page["items"].as_array().unwrap().iter().map(of).collect::<Vec<_>>(), next)
    };
    for (query, expected) in [
        ("component=web&action=restart_instance", &ids[..1]),
        ("component=web", &[ids[1].clone(), ids[0].clone()][..]),
        ("action=scale_in", &ids[1..]),
        ("incident=inc_web&opinion=unjudged&action=scale_in", &ids[1..]),
        ("opinion=right", &[]),
        ("component=db", &[]),
    ] {
        assert_eq!(found(query).await.0, expected, "{query}");
    }
    let (first, next) = found("limit=1").await;
    let (second, end) = found(&format!("limit=1&after={}", next.unwrap())).await;
    assert_eq!((first, second, end), (vec![ids[1].clone()], vec![ids[0].clone()], None));
    for query in ["action=reboot", "component=%00", "incident=run_1", "opinion=maybe", "limit=0", "who=ada"] {
        let (status, problem) = place.send("viewer", "GET", &format!("/api/v1/shadow-decisions?{query}"), "").await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("invalid")), "{query}: {problem}");
    }
}

#[tokio::test]
async fn a_mode_is_changed_where_something_is_watched_and_named_as_it_is() {
    let place = Place::new().await;
    let cites = format!("{{\"mode\":\"auto\",\"cites\":[{}]}}", vec!["\"evt_1\""; 101].join(","));
    for (path, body, status) in [
        ("/api/v1/modes/web/restart_instance", "{\"mode\":\"auto\",\"reason\":\"x\"}", 404),
        ("/api/v1/modes/web/reboot", "{\"mode\":\"auto\",\"reason\":\"x\"}", 404),
        ("/api/v1/modes/web/scale_in", "{\"mode\":\"always\"}", 422),
        ("/api/v1/modes/web/scale_in", "{}", 422),
        ("/api/v1/modes/web/scale_in", "{\"mode\":\"auto\",\"cites\":[\"run_1\"]}", 400),
        ("/api/v1/modes/web/scale_in", cites.as_str(), 400),
    ] {
        let (came, problem) = place.send("operator", "POST", path, body).await;
        assert_eq!(came, status, "{path} {body}: {problem}");
    }
    assert_eq!(place.send("viewer", "GET", "/api/v1/modes", "").await.1["items"], json!([]));
}

#[tokio::test]
async fn an_incidents_page_takes_a_word_on_what_would_have_been_done() {
    let (place, ids) = place().await;
    let incident = "/incidents/inc_web";
    let form = "application/x-www-form-urlencoded";
    let looks = async |role: usize| {
        let login = Request::builder().method("POST").uri("/login").header("content-type", form);
        let answer = place.ask(login, format!("token={}", place.tokens[role])).await;
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let answer = place.ask(Request::builder().uri(incident).header("cookie", &cookie), "").await;
        let text = String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        (cookie, text)
    };
    let (_, shown) = looks(1).await;
    assert!(shown.contains("What would have been done") && !shown.contains("value=\"right\""), "{shown}");
    assert!(!shown.contains("<b>process"), "{shown}");
    let (cookie, shown) = looks(2).await;
    assert!(shown.contains("value=\"right\""), "{shown}");
    let post = Request::builder().method("POST").uri(format!("/shadow-decisions/{}", ids[0]));
    let post = post.header("content-type", form).header("cookie", &cookie);
    let answer = place.ask(post, "answer=wrong&reason=%3Cscript%3E").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()["location"], format!("{incident}?done=judged"));
    let (_, shown) = looks(2).await;
    assert!(shown.contains("&#60;script&#62;") && !shown.contains("<script>"), "{shown}");
}
