//! Enrolling agents, and telling them something.

use super::*;
use writ_pipeline::AgentState;
use writ_seal::Key;

fn wanted(id: &str, seed: u8) -> Value {
    let key = Key::from_seed(id, &[seed; 32]).public_hex();
    json!({
        "id": id, "type": "monitoring", "version": "1.0.0", "public_key": key, "permissions": ["execute:outside"],
        "reason": "ours",
    })
}

async fn enrol(place: &Place, body: &Value) -> (u16, Value) {
    let request = Request::builder().method("POST").uri("/api/v1/agents").header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {}", place.tokens[4]));
    let (status, told) = read(place.ask(request, body.to_string()).await).await;
    (status.as_u16(), told)
}

async fn tell(place: &Place, id: &str, command: &str) -> (u16, Value) {
    tell_with(place, id, command, &json!({"reason": "x"})).await
}

async fn tell_with(place: &Place, id: &str, command: &str, body: &Value) -> (u16, Value) {
    let request = Request::builder().method("POST").uri(format!("/api/v1/agents/{id}/{command}"));
    let request = request.header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {}", place.tokens[4]));
    let (status, told) = read(place.ask(request, body.to_string()).await).await;
    (status.as_u16(), told)
}

#[tokio::test]
async fn an_agent_that_makes_no_sense_is_not_enrolled() {
    let place = Place::new().await;
    assert_eq!(enrol(&place, &wanted("robin", 1)).await.0, 200);
    let before = place.size().await;
    let many = |count: usize| json!((0..count).map(|at| format!("read:m{at}")).collect::<Vec<_>>());
    let wish = json!({"reason": "x", "permissions": many(10_000)});
    let (status, problem) = tell_with(&place, "robin", "permissions", &wish).await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid")), "{problem}");
    for (field, value, status, told) in [
        ("id", json!("has space"), 400, "is no agent's id"),
        ("id", json!("robin"), 409, "is enrolled already, as version 1.0.0"),
        ("type", json!(""), 409, "is no type of an agent"),
        ("type", json!("a\u{202e}b"), 409, "is no type of an agent"),
        ("version", json!("two"), 409, "is no version"),
        ("public_key", json!("00"), 409, "not an ed25519 public key"),
        ("public_key", json!("00".repeat(32)), 409, "small order"),
        ("public_key", json!("ff".repeat(32)), 409, "small order"),
        ("public_key", wanted("robin", 1)["public_key"].clone(), 409, "belongs to agent `robin`"),
        ("permissions", json!(["*"]), 409, "is not a permission"),
        ("permissions", many(33), 400, "33 permissions: 32 is the most"),
        ("permissions", many(10_000), 400, "10000 permissions: 32 is the most"),
        ("permissions", json!("execute:recovery"), 422, "it is a text, and has to be a list"),
        ("limits", json!({"tickets_at_once": 0}), 400, "may do nothing"),
        (
            "limits",
            json!({"tickets_at_once": -1}),
            422,
            "it is `-1`, and has to be a whole number from 0 to 4294967295",
        ),
        ("limits", json!({"speed": 1}), 422, "unknown field"),
        ("state", json!("active"), 422, "unknown field"),
    ] {
        let mut body = wanted("finch", 2);
        body[field] = value.clone();
        let (found, problem) = enrol(&place, &body).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert_eq!(found, status, "{field} {value}: {problem}");
        assert!(detail.contains(told), "{field} {value}: {detail}");
    }
    assert_eq!(place.size().await, before);
    // Somebody else's key under a known name: what to do is said.
    let (_, problem) = enrol(&place, &wanted("robin", 3)).await;
    assert!(problem["hint"].as_str().unwrap().contains("writ agent key robin"), "{problem}");
}

#[tokio::test]
async fn what_no_action_asks_for_is_said_and_not_refused() {
    let place = Place::new().await;
    let mut body = wanted("robin", 1);
    body["permissions"] = json!(["execute:outside", "execute:recovrey", "write:*", "read:metrics"]);
    let (status, told) = enrol(&place, &body).await;
    let warnings: Vec<&str> = told["warnings"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!((status, warnings.len()), (200, 2), "{told}");
    assert!(warnings[0].contains("`execute:recovrey`") && warnings[1].contains("`read:metrics`"), "{warnings:?}");
    assert_eq!(told["now"]["state"], "enrolled");
    assert_eq!(told["now"]["limits"]["tickets_at_once"], 64);
}

#[tokio::test]
async fn an_agent_whose_key_is_not_here_is_given_no_permit() {
    let place = Place::new().await;
    assert_eq!(enrol(&place, &wanted("aaa-first-by-name", 1)).await.0, 200);
    assert_eq!(tell(&place, "aaa-first-by-name", "activate").await.0, 200);
    let (status, _, told) = act(&place, "k1", "why").await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(tell(&place, "outside-agent-001", "drain").await.0, 200);
    let (status, _, problem) = act(&place, "k2", "why").await;
    assert_eq!(status, StatusCode::CONFLICT);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`aaa-first-by-name`: it does not live here"), "{detail}");
    assert!(detail.contains("`outside-agent-001`: it is draining"), "{detail}");
}

#[tokio::test]
async fn a_page_tells_an_agent_what_its_buttons_say() {
    let place = Place::new().await;
    let form = "application/x-www-form-urlencoded";
    let browse = async |at: usize, method: &str, path: &str, body: &str| {
        let login = Request::builder().method("POST").uri("/login").header("content-type", form);
        let answer = place.ask(login, format!("token={}", place.tokens[at])).await;
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let request = Request::builder().method(method).uri(path).header("content-type", form).header("cookie", cookie);
        let answer = place.ask(request, body.to_owned()).await;
        let (status, to) =
            (answer.status(), answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned()));
        (status, to, String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap())
    };
    let path = "/agents/scaling-agent-001";
    let (_, _, shown) = browse(1, "GET", path, "").await;
    assert!(shown.contains("You would have to hold the role admin.") && !shown.contains("value=\"drain\""), "{shown}");
    assert_eq!(browse(2, "POST", path, "command=drain&reason=x").await.0, StatusCode::FORBIDDEN);
    let (_, _, shown) = browse(4, "GET", path, "").await;
    assert!(shown.contains("value=\"drain\"") && shown.contains("given nothing more until it is activated"), "{shown}");
    assert_eq!(browse(4, "POST", path, "command=drain&reason=").await.0, StatusCode::BAD_REQUEST);
    let (status, to, _) = browse(4, "POST", path, "command=drain&reason=%3Cb%3Eodd").await;
    assert_eq!((status, to.as_deref()), (StatusCode::SEE_OTHER, Some("/agents/scaling-agent-001?done=drain")));
    let (_, _, shown) = browse(1, "GET", path, "").await;
    assert!(shown.contains("draining") && shown.contains("&#60;b&#62;odd"), "{shown}");
    let now = place.shared.pipeline.gate().state().roster.get(&"scaling-agent-001".parse().unwrap()).unwrap().state;
    assert_eq!(now, AgentState::Draining);
    assert_eq!(browse(4, "GET", "/agents/no-such", "").await.0, StatusCode::NOT_FOUND);
}
