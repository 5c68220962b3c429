//! Which value of a request a problem names.

use super::*;
use std::ops::Add;

/// The pointers of a problem, in order, with the first by itself.
fn pointers(problem: &Value) -> (Vec<&str>, &str) {
    let each = problem["errors"].as_array().into_iter().flatten().filter_map(|one| one["pointer"].as_str());
    (each.collect(), problem["pointer"].as_str().unwrap_or("none"))
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_named_by_its_pointer() {
    let place = Place::new().await;
    let before = place.size().await;
    let intents = "/api/v1/intents";
    let budget =
        json!({"actions": ["x"], "targets": ["x"], "budget": {"count": -1, "period_seconds": "1"}, "seconds": 1});
    for (path, body, status, wanted) in [
        (intents, json!({"name": "x"}), 422, vec!["/text"]),
        (intents, json!({"name": "x", "text": 5}), 422, vec!["/text"]),
        (intents, json!({"name": "x", "text": "x", "more": 1}), 422, vec!["/more"]),
        (intents, json!({"name": "x", "text": "x", "a/b~c": 1}), 422, vec!["/a~1b~0c"]),
        (intents, json!({"name": "x", "text": "x", "planned": "sha256:1"}), 422, vec!["/planned"]),
        (intents, json!([]), 422, vec![""]),
        (intents, json!({"more": 1, "most": 2, "planned": 5}), 422, vec!["/more", "/most", "/planned", "/name"]),
        ("/api/v1/policies", json!({"files": [{"name": "x"}]}), 422, vec!["/files/0/text"]),
        ("/api/v1/policies", json!({"files": [{"name": "x", "text": "x"}, 5]}), 422, vec!["/files/1"]),
        ("/api/v1/policies", json!({"files": []}), 400, vec!["/files"]),
        (
            "/api/v1/policies",
            json!({"files": [{"name": "a", "text": "x"}, {"name": "a", "text": "x"}]}),
            400,
            vec!["/files/1/name"],
        ),
        ("/api/v1/kill-switch", json!({"pulled": true, "scope": []}), 422, vec!["/scope"]),
        ("/api/v1/kill-switch", json!({"scope": {"scope": "moon"}, "pulled": 3}), 422, vec!["/pulled", "/scope/scope"]),
        ("/api/v1/standing", budget, 422, vec!["/budget/count", "/budget/period_seconds"]),
        (
            "/api/v1/standing",
            json!({
                "actions": [], "targets": [], "budget": {"count": 0, "period_seconds": 1}, "seconds": 99_999_999,
                "reason": "x",
            }),
            400,
            vec!["/actions", "/targets", "/budget", "/seconds"],
        ),
        ("/api/v1/waivers", json!({"rule": "", "subject": "x", "seconds": 60, "reason": "x"}), 400, vec!["/rule"]),
        ("/api/v1/waivers", json!({"rule": "a", "subject": "x", "seconds": 60, "reason": " "}), 400, vec!["/reason"]),
        ("/api/v1/actions", json!({"command": []}), 400, vec!["/command"]),
        ("/api/v1/actions", json!({"command": ["a", "b\u{0}"]}), 400, vec!["/command/1"]),
        ("/api/v1/actions", json!({"command": ["a"], "intent": ""}), 400, vec!["/intent"]),
        ("/api/v1/actions", json!({"command": ["a"], "action": "Not A Name"}), 400, vec!["/action"]),
        (
            "/api/v1/break-glass",
            json!({"actions": [], "targets": ["x"], "minutes": 5, "reason": "x"}),
            400,
            vec!["/actions"],
        ),
        ("/api/v1/runs/run_x/retry", json!({}), 400, vec!["/step"]),
        ("/api/v1/modes/web/scale_in", json!({"mode": "always"}), 422, vec!["/mode"]),
        ("/api/v1/modes/web/scale_in", json!({"mode": "auto", "cites": ["run_1"]}), 400, vec!["/cites/0"]),
    ] {
        let (found, problem) = place.post(path, "application/json", body.to_string()).await;
        assert_eq!(found.as_u16(), status, "{path} {body}: {problem}");
        let (all, first) = pointers(&problem);
        let (mut sorted, mut right) = (all.clone(), wanted.clone());
        sorted.sort_unstable();
        right.sort_unstable();
        assert_eq!(sorted, right, "{path} {body}: {problem}");
        assert_eq!(all.first(), Some(&first), "{path} {body}: {problem}");
        for ours in
            ["struct", "enum", "at line", "invalid type", "expected", "sequence", "variant", "a map", "u32", "u64"]
        {
            assert!(!problem.to_string().contains(ours), "{path} {body}: {problem}");
        }
    }
    let many = json!({"name": "x", "roles": vec!["viewer"; 33], "reason": "x"});
    let request =
        Request::builder().method("POST").uri("/api/v1/principals").header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {}", place.tokens[4]));
    let (status, problem) = read(place.ask(request, many.to_string()).await).await;
    assert_eq!((status.as_u16(), pointers(&problem)), (400, (vec!["/roles"], "/roles")), "{problem}");
    assert_eq!(problem["detail"], "33 roles are more than 32");
    assert_eq!(place.size().await, before);
}

#[tokio::test]
async fn a_list_is_never_taken_for_an_object() {
    let place = Place::new().await;
    let before = place.size().await;
    let standing =
        |budget: Value| json!({"actions": ["x"], "targets": ["x"], "budget": budget, "reason": "x", "seconds": 60});
    let policies = "/api/v1/policies";
    for (path, body, wanted) in [
        ("/api/v1/standing", standing(json!([1, 60])), vec!["/budget"]),
        ("/api/v1/standing", standing(json!([])), vec!["/budget"]),
        ("/api/v1/standing", standing(json!([1, "x"])), vec!["/budget"]),
        ("/api/v1/standing", json!({"budget": [1, 60], "actions": 5}), vec!["/budget", "/actions"]),
        ("/api/v1/kill-switch", json!({"pulled": false, "scope": ["all"]}), vec!["/scope"]),
        ("/api/v1/kill-switch", json!({"pulled": false, "scope": ["resource", "web"]}), vec!["/scope"]),
        (policies, json!({"files": [["a.yaml", "x"]]}), vec!["/files/0"]),
        (
            policies,
            json!({"files": [{"name": "a", "text": "x"}, ["b", "x"]], "tests": [[]]}),
            vec!["/files/1", "/tests/0"],
        ),
        ("/api/v1/contracts/check", json!({"requires": [["web", "1.0.0"]]}), vec!["/requires/0"]),
        ("/api/v1/actions", json!({"command": ["a"], "changes": [["web", "apply"]]}), vec!["/changes/0"]),
        ("/api/v1/actions", json!({"command": ["a"], "files": []}), vec!["/files"]),
        ("/api/v1/actions/run_x/finish", json!({"step": "x", "outcome": ["x"]}), vec!["/outcome"]),
        ("/api/v1/actions/run_x/finish", json!({"step": "x", "outcome": {"stdout": [1]}}), vec!["/outcome/stdout"]),
        ("/api/v1/playbooks/x/plan", json!({"arguments": [1]}), vec!["/arguments"]),
    ] {
        let role = if path.ends_with("/check") || path.ends_with("/plan") { "viewer" } else { "operator" };
        let (status, problem) = place.say(role, path, body.clone()).await;
        assert_eq!(status, 422, "{path} {body}: {problem}");
        let (all, _) = pointers(&problem);
        assert!(wanted.iter().all(|pointer| all.contains(pointer)), "{path} {body}: {problem}");
        assert!(!all.iter().any(|at| wanted.iter().any(|above| at.starts_with(&format!("{above}/")))), "{problem}");
        assert_eq!(problem["errors"][0]["detail"], "it is a list, and has to be an object", "{path} {body}");
    }
    assert_eq!(place.size().await, before);
    // What may be anything may be a list.
    let any = json!({"arguments": {"names": [1, [2]]}});
    let (status, problem) = place.say("viewer", "/api/v1/playbooks/x/plan", any).await;
    assert_eq!(status, 404, "{problem}");
}

#[tokio::test]
async fn a_body_that_is_no_json_or_says_one_thing_twice_is_named_by_its_pointer() {
    let place = Place::new().await;
    let before = place.size().await;
    let (modes, deep) = ("/api/v1/modes/web/scale_in", "[".repeat(200_000));
    let closed = format!("{{\"mode\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for (path, body, status, pointer, told) in [
        (modes, "", 400, "", "the body is not JSON: it ends before it is whole"),
        (modes, "{", 400, "", "the body is not JSON: it ends before it is whole"),
        (modes, &deep, 400, "", "the body is not JSON: it ends before it is whole"),
        (modes, "{\"mode\": shadow}", 400, "", "the body is not JSON at line 1, column 10"),
        (modes, "{} {}", 400, "", "the body is not JSON at line 1, column 4"),
        (modes, r#"{"mode":"shadow","mode":"auto"}"#, 422, "/mode", "`/mode` of the body: `mode` stands twice"),
        (modes, r#"{"cites":[],"cites":[]}"#, 422, "/cites", "`/cites` of the body: `cites` stands twice"),
        (
            "/api/v1/playbooks/x/run",
            r#"{"arguments":{"a/b":1,"a/b":2},"reason":"x"}"#,
            422,
            "/arguments/a~1b",
            "`/arguments/a~1b` of the body: `a/b` stands twice",
        ),
        (
            "/api/v1/policies",
            r#"{"files":[{"name":"x","text":"x","name":"y"}]}"#,
            422,
            "/files/0/name",
            "`/files/0/name` of the body: `name` stands twice",
        ),
    ] {
        let (found, problem) = place.post(path, "application/json", body.to_owned()).await;
        let short: String = body.chars().take(60).collect();
        assert_eq!(found.as_u16(), status, "{path} {short}: {problem}");
        assert_eq!(pointers(&problem), (vec![pointer], pointer), "{path} {short}: {problem}");
        assert_eq!(problem["detail"], told, "{path} {short}");
    }
    for (body, told) in [
        (r#"["as a list"]"#, "it is a list, and has to be an object"),
        (" \n[]", "it is a list, and has to be an object"),
        ("[{}]", "it is a list, and has to be an object"),
        ("null", "it is `null`, and has to be an object"),
        ("5", "it is `5`, and has to be an object"),
        (r#""x""#, "it is a text, and has to be an object"),
        (&"[".repeat(200).add(&"]".repeat(200)), "it has to be an object"),
    ] {
        for path in ["intents", "actions", "standing"] {
            let (found, problem) = place.post(&format!("/api/v1/{path}"), "application/json", body.to_owned()).await;
            assert_eq!(found.as_u16(), 422, "{path} {body}: {problem}");
            assert_eq!(pointers(&problem), (vec![""], ""), "{path} {body}: {problem}");
            assert_eq!(problem["detail"], format!("the body: {told}"), "{path} {body}");
        }
    }
    let (status, problem) = place.post(modes, "application/json", closed).await;
    assert_eq!(status.as_u16(), 422, "{problem}");
    assert!(problem["detail"].as_str().unwrap().ends_with("it is nested too deeply"), "{problem}");
    assert!(problem["pointer"].as_str().unwrap().starts_with("/mode"), "{problem}");
    let (status, problem) = place.post(modes, "text/plain", "{}").await;
    assert_eq!((status.as_u16(), problem["parameter"].as_str()), (415, Some("content-type")), "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains(r#"{"name": "web.yaml", "text": "…"}"#), "{problem}");
    let one = json!({"name": "x", "text": "intent: 5"});
    let (_, problem) = place.post("/api/v1/intents", "application/json", one.to_string()).await;
    assert_eq!(problem["detail"], "the manifest has 1 problem");
    assert_eq!(place.size().await, before);
}

#[tokio::test]
async fn a_header_that_stands_twice_is_named() {
    let place = Place::new().await;
    let before = place.size().await;
    for header in ["idempotency-key", "if-match"] {
        let request = Request::builder().method("POST").uri("/api/v1/runs/run_x/pause");
        let request = request.header("authorization", format!("Bearer {}", place.tokens[2]));
        let request =
            request.header(header, "\"1\"").header(header, "\"2\"").header("content-type", "application/json");
        let (status, problem) = read(place.ask(request, "{}".to_owned()).await).await;
        assert_eq!((status.as_u16(), problem["parameter"].as_str()), (400, Some(header)), "{problem}");
    }
    assert_eq!(place.size().await, before);
}

#[tokio::test]
async fn what_is_wrong_with_a_document_is_named_in_the_body_and_in_the_document() {
    let place = Place::new().await;
    let text = "intent:\n  id: X-1\n  type: deployment\n  target: {component: a, service: b}\n  constraints:\n    budgte: 5\n    region: [1]\n";
    let (status, problem) =
        place.post("/api/v1/intents", "application/json", json!({"name": "x", "text": text}).to_string()).await;
    assert_eq!(status.as_u16(), 422, "{problem}");
    let told: Vec<(&str, &str, u64)> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let within = &one["within"];
            let pointer = within["pointer"].as_str().unwrap_or("none");
            (one["pointer"].as_str().unwrap(), pointer, within["line"].as_u64().unwrap())
        })
        .collect();
    assert!(told.contains(&("/text", "/intent/constraints/budgte", 6)), "{told:?}");
    assert!(told.iter().all(|(pointer, within, _)| *pointer == "/text" && within.starts_with("/intent")), "{told:?}");
    assert_eq!(problem["problems"].as_array().unwrap().len(), told.len());
    // A file of policies by its place in the list.
    let files = json!({"files": [{"name": "a.yaml", "text": "rules: []"}, {"name": "b.yaml", "text": "rules: 5"}], "reason": "x"});
    let (status, problem) = place.post("/api/v1/policies", "application/json", files.to_string()).await;
    assert_eq!(status.as_u16(), 422, "{problem}");
    assert_eq!(problem["errors"][0]["pointer"], "/files/1/text", "{problem}");
}

#[tokio::test]
async fn what_is_wrong_with_a_path_a_query_or_a_header_is_named() {
    let place = Place::new().await;
    for (path, parameter) in [
        ("/api/v1/runs?limit=0", "limit"),
        ("/api/v1/runs?limit=many", "limit"),
        ("/api/v1/runs?order=up", "order"),
        ("/api/v1/audit/entries?from=yesterday", "from"),
        ("/api/v1/audit/entries?outcome=fine", "outcome"),
        ("/api/v1/audit/entries?trace=x", "trace"),
        ("/api/v1/audit/entries?after=x", "after"),
        ("/api/v1/audit/export", "format"),
        ("/api/v1/audit/export?format=cef", "format"),
        ("/api/v1/runs/%00/execution", "id"),
        ("/api/v1/plans/5", "digest"),
        ("/log/attachment/00", "digest"),
        ("/api/v1/why/%ff", "id"),
        ("/api/v1/events?after=x", "after"),
        ("/api/v1/shadow-decisions?action=reboot", "action"),
        ("/api/v1/shadow-decisions?incident=run_1", "incident"),
        ("/api/v1/shadow-decisions?opinion=maybe", "opinion"),
    ] {
        let (status, problem) = look(&place, path).await;
        assert_eq!(
            (status, problem["parameter"].as_str()),
            (StatusCode::BAD_REQUEST, Some(parameter)),
            "{path}: {problem}"
        );
        assert!(problem["errors"].is_null() && problem["pointer"].is_null(), "{path}: {problem}");
    }
    let (_, problem) = place.post("/api/v1/incidents/inc_x/explode", "application/json", "{}").await;
    assert!(["id", "command"].contains(&problem["parameter"].as_str().unwrap()), "{problem}");
}
