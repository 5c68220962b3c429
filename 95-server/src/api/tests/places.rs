//! Which value of a request a problem names.

use super::*;

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
        ("/api/v1/kill-switch", json!({"scope": {"scope": "moon"}, "pulled": 3}), 422, vec!["/pulled", "/scope/scope"]),
        ("/api/v1/standing", budget, 422, vec!["/budget/count", "/budget/period_seconds"]),
        (
            "/api/v1/standing",
            json!({"actions": [], "targets": [], "budget": {"count": 0, "period_seconds": 1}, "seconds": 99_999_999}),
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
        for ours in ["struct", "enum", "at line"] {
            assert!(!problem.to_string().contains(ours), "{path} {body}: {problem}");
        }
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
    let files = json!({"files": [{"name": "a.yaml", "text": "rules: []"}, {"name": "b.yaml", "text": "rules: 5"}]});
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
