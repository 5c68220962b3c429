//! Contracts over HTTP: publishing, and holding what is required against what is published; tests of policies.

use super::*;

/// A contract of a team, with one command that carries a text of so many characters.
pub(super) fn contract(version: &str, longest: u32, owner: &str) -> String {
    format!(
        "contract: {{id: contract.echo.v{}, version: '{version}', owner: {owner}, status: approved,\n  messages: {{say: {{direction: \
         command, schema: {{type: string, maxLength: {longest}}}}}}}}}\n",
        version.split('.').next().unwrap()
    )
}

async fn publish(place: &Place, text: &str) -> (StatusCode, Value) {
    let body = json!({"name": "echo.yaml", "text": text, "reason": "we need it"});
    place.post("/api/v1/contracts", "application/json", body.to_string()).await
}

/// Posts as a viewer.
async fn ask(place: &Place, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::builder().method("POST").uri(path).header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {}", place.tokens[1]));
    read(place.ask(request, body.to_string()).await).await
}

async fn check(place: &Place, body: Value) -> (StatusCode, Value) {
    ask(place, "/api/v1/contracts/check", body).await
}

#[tokio::test]
async fn a_version_is_published_once_and_one_that_rises_too_little_is_refused() {
    let place = Place::new().await;
    let size = place.size().await;
    for (text, code, status) in [
        ("contract: 5".to_owned(), "invalid", 422),
        ("contract: {id: x, version: 1}".to_owned(), "invalid", 422),
        (contract("1.0.0", 9, "web-team").replace("approved", "draft"), "refused", 409),
        (contract("1.0.0", 9, "web-team").replace("approved", "retired"), "refused", 409),
    ] {
        let (found, problem) = publish(&place, &text).await;
        assert_eq!((found.as_u16(), problem["code"].as_str()), (status, Some(code)), "{text}: {problem}");
        assert_eq!(problem["pointer"], "/text", "{problem}");
    }
    assert_eq!(place.size().await, size, "nothing is recorded");

    let (status, first) = publish(&place, &contract("1.0.0", 9, "web-team")).await;
    assert_eq!((status, &first["new"]), (StatusCode::OK, &json!(true)), "{first}");
    let (_, again) = publish(&place, &contract("1.0.0", 9, "web-team")).await;
    assert_eq!((&again["new"], &again["digest"]), (&json!(false), &first["digest"]));
    assert_eq!(place.shared.pipeline.journal().stream("contract/contract.echo.v1").await.unwrap().len(), 1);

    // A published version never changes, and what accepts less rises more than a little.
    let (status, problem) = publish(&place, &contract("1.0.0", 8, "web-team")).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (409, Some("refused")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("never changes"), "{problem}");
    let (status, problem) = publish(&place, &contract("1.1.0", 5, "web-team")).await;
    assert_eq!((status.as_u16(), &problem["required"], &problem["given"]), (409, &json!("major"), &json!("minor")));
    let change = &problem["changes"][0];
    assert_eq!(change["pointer"], "/messages/say/schema/maxLength", "{problem}");
    assert!(change["counterexample"].as_str().unwrap().len() > 5 + 2, "a value that shows it: {problem}");
    let (status, told) = publish(&place, &contract("1.1.0", 20, "web-team")).await;
    assert_eq!((status.as_u16(), &told["from"], &told["required"]), (200, &json!("1.0.0"), &json!("minor")), "{told}");
    let (status, problem) = publish(&place, &contract("1.0.5", 9, "web-team")).await;
    assert_eq!(status.as_u16(), 409, "{problem}");

    let (_, listed) = look(&place, "/api/v1/contracts").await;
    let versions: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["contract"] == "contract.echo.v1")
        .map(|one| one["version"].as_str().unwrap())
        .collect();
    assert_eq!(versions, ["1.0.0", "1.1.0"]);
    assert!(listed["matrix"].as_array().is_some_and(|rows| !rows.is_empty()));
    let (_, one) = look(&place, "/api/v1/contracts/contract.echo.v1").await;
    assert_eq!(one["versions"][1]["document"]["messages"]["say"]["schema"]["maxLength"], 20, "{one}");
    assert_eq!(look(&place, "/api/v1/contracts/contract.none.v1").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn whoever_publishes_is_an_operator_for_the_team_that_owns_it_and_for_the_one_before() {
    let place = Place::new().await;
    let journal = place.shared.pipeline.journal();
    let by = writ_core::Actor::system("test");
    let mut tokens = Vec::new();
    for team in ["web-team", "search"] {
        let role = format!("operator@team:{team}");
        let person = enrol_person(journal, team, &[role], &by).await.unwrap();
        tokens.push(issue_token(journal, &person, &TokenWish::default(), &by).await.unwrap().1);
    }
    let publish = async |at: usize, text: String| {
        let request =
            Request::builder().method("POST").uri("/api/v1/contracts").header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", tokens[at]));
        read(place.ask(request, json!({"name": "x", "text": text}).to_string()).await).await.0.as_u16()
    };
    assert_eq!(publish(1, contract("1.0.0", 9, "web-team")).await, 403);
    assert_eq!(publish(0, contract("1.0.0", 9, "web-team")).await, 200);
    // Nobody takes over another team's contract by writing another owner.
    assert_eq!(publish(1, contract("1.1.0", 10, "search")).await, 403);
    assert_eq!(publish(0, contract("1.1.0", 10, "search")).await, 403);
}

#[tokio::test]
async fn what_is_required_is_held_against_what_is_published() {
    let place = Place::new().await;
    publish(&place, &contract("1.0.0", 9, "web-team")).await;
    let size = place.size().await;
    for (name, version, status) in [
        ("contract.echo.v1", "^1.0", "verified"),
        ("contract.echo.v1", "^1.2", "version"),
        ("contract.echo.v2", "^2.0", "missing"),
    ] {
        let (found, told) = check(&place, json!({"requires": [{"contract": name, "version": version}]})).await;
        assert_eq!((found.as_u16(), told["requires"][0]["status"].as_str()), (200, Some(status)), "{told}");
        assert_eq!(told["verified"], json!(status == "verified"));
    }
    let provides = json!({"provides": [{"contract": "contract.echo.v1", "version": "1.0.0"}, {"contract": "contract.echo.v1", "version": "1.0.1"}]});
    let (_, told) = check(&place, provides).await;
    assert_eq!(
        (&told["provides"][0]["status"], &told["provides"][1]["status"]),
        (&json!("verified"), &json!("version"))
    );
    for (body, status, pointer) in [
        (json!({}), 400, ""),
        (json!({"text": "x", "agent": "y"}), 400, ""),
        (json!({"requires": [{"contract": "echo", "version": "^1"}]}), 400, "/requires/0"),
        (json!({"provides": [{"contract": "contract.echo.v1", "version": "^1"}]}), 400, "/provides/0"),
        (json!({"requires": vec![json!({"contract": "contract.echo.v1", "version": "1"}); 65]}), 400, "/requires"),
        (json!({"requires": [{"contract": "x"}]}), 422, "/requires/0/version"),
        (json!({"agent": "no agent"}), 400, "/agent"),
        (json!({"name": "x", "text": "intent: 5"}), 422, "/text"),
    ] {
        let (found, problem) = check(&place, body.clone()).await;
        assert_eq!((found.as_u16(), problem["pointer"].as_str()), (status, Some(pointer)), "{body}: {problem}");
    }
    assert_eq!(check(&place, json!({"agent": "nobody-001"})).await.0, StatusCode::NOT_FOUND);
    let (status, told) = check(&place, json!({"agent": "monitoring-agent-001"})).await;
    assert_eq!(
        (status, &told["verified"], &told["provides"][0]["status"]),
        (StatusCode::OK, &json!(true), &json!("verified")),
        "{told}"
    );
    let manifest =
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy-web-001/intent.yaml"));
    let (status, told) = check(&place, json!({"name": "intent.yaml", "text": manifest.unwrap()})).await;
    assert_eq!((status, &told["verified"]), (StatusCode::OK, &json!(true)), "{told}");
    assert!(!told["requires"].as_array().unwrap().is_empty());
    assert_eq!(place.size().await, size, "nothing is recorded");
}

#[tokio::test]
async fn tests_of_policies_are_run_as_they_are_sent_and_nothing_is_changed() {
    let place = Place::new().await;
    let size = place.size().await;
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy-web-001/policies");
    let all = fs::read_dir(dir).unwrap().flatten().map(
        |entry| json!({"name": entry.file_name().to_str().unwrap(), "text": fs::read_to_string(entry.path()).unwrap()}),
    );
    let (tests, files): (Vec<Value>, Vec<Value>) =
        all.partition(|file| file["name"].as_str().unwrap().ends_with(".test.yaml"));
    let test = async |files: Value, tests: Value| {
        ask(&place, "/api/v1/policies/test", json!({"files": files, "tests": tests})).await
    };
    let (status, told) = test(json!(files), json!(tests)).await;
    assert_eq!((status, &told["passed"], &told["not_run"]), (StatusCode::OK, &json!(true), &json!(0)), "{told}");
    assert!(
        told["tests"].as_array().is_some_and(|each| each.len() > 3 && each.iter().all(|one| one["passed"] == true))
    );
    // One that expects what does not come.
    let wrong = json!([{"name": "x.test.yaml", "text": "tests:\n  - name: a dream\n    stage: intent\n    expect: {decision: allow, rules: {NO-SUCH-RULE: failed}}\n"}]);
    let (status, told) = test(json!(files), wrong).await;
    let failed = status == StatusCode::OK && told["passed"] == false;
    assert!(failed || (status.as_u16() == 422 && told["pointer"] == "/tests/0/text"), "{status}: {told}");
    let (status, problem) = test(json!(files), json!([{"name": "x.test.yaml", "text": "tests: 5"}])).await;
    assert_eq!((status.as_u16(), problem["pointer"].as_str()), (422, Some("/tests/0/text")), "{problem}");
    let (status, problem) = test(json!([{"name": "a.yaml", "text": "rules: 5"}]), json!(tests)).await;
    assert_eq!((status.as_u16(), problem["pointer"].as_str()), (422, Some("/files/0/text")), "{problem}");
    let many = vec![json!({"name": "x.test.yaml", "text": "tests: []"}); 201];
    assert_eq!(test(json!(files), json!(many)).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(place.size().await, size, "nothing is recorded");
}
