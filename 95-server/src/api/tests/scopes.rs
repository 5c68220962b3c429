//! Roles that hold for a team or an environment: what they let somebody do, route by route, and what not.

use super::*;
use writ_pipeline::{Batch, OutsideAsked, OutsideWish, Principal};

/// The example's intent, as one of a team and an environment.
pub(super) fn manifest(id: &str, component: &str, team: &str, environment: &str) -> String {
    let example = include_str!("../../../../examples/deploy-web-001/intent.yaml").replace("DEPLOY-WEB-001", id);
    let labels = format!(
        "intent:\n  labels: {{ team: {team} }}\n  target: {{ environment: {environment}, component: {component} }}\n"
    );
    example.replacen("intent:\n", &labels, 1)
}

/// A place with an intent of team payments in prod, and something of each sort that serves it.
struct Realm {
    place: Place,
    run: String,
    approval: String,
    shadow: String,
}

impl Realm {
    async fn new() -> Self {
        let place = Place::new().await;
        let (pipeline, journal) = (&place.shared.pipeline, place.shared.pipeline.journal());
        let intent = |kind: &'static str, stream: &str, body: Value| writ_core::Draft {
            action: "test".into(),
            actor: writ_core::Actor::system("test"),
            body,
            kind,
            outcome: writ_core::Outcome::Success,
            resource: "test".into(),
            stream: stream.into(),
        };
        let digest = writ_core::Digest([7; 32]);
        let submitted = json!({
            "digest": digest, "environment": "prod", "intent": "PAY-001", "manifest": digest, "type": "deployment",
            "version": 1, "team": "payments", "component": "pay", "to": "monitoring",
        });
        let made = json!({"recommendation": {"id": "OPT-1", "patch": {"target": "intent/PAY-001"}}});
        let drafts = vec![
            intent("intent.submitted/1", "intent/PAY-001", submitted),
            intent("holding.begun/1", "holding/pay", json!({"component": "pay", "intent": "PAY-001"})),
            intent("incident.opened/1", "incident/inc_pay", json!({"component": "pay"})),
            intent("recommendation.made/1", "recommendation/OPT-1", made),
        ];
        journal.commit(&journal.new_cause(), Batch::of(drafts)).await.unwrap();
        let shadowed = json!({"remedy": {"action": "restart_instance", "component": "pay", "incident": "inc_pay"}});
        let shadowed = intent("incident.remedy_shadowed/1", "incident/inc_pay", shadowed);
        let shadowed = Batch::of(vec![writ_core::Draft { resource: "pay".into(), ..shadowed }]);
        let receipt = journal.commit(&journal.new_cause(), shadowed).await.unwrap();
        let shadow = receipt.entries[0].event_id.to_string();
        let by = Principal { id: "person-90".parse().unwrap(), roles: vec!["operator@team:payments".into()] };
        let run = pipeline.ask_outside(asked(Some("PAY-001")), &by).await.unwrap();
        let (found, _) = pipeline.drive().run(&run).await.unwrap();
        let approval = found.pending().into_iter().next().unwrap().terms.approval.to_string();
        Self { place, run: run.to_string(), approval, shadow }
    }

    /// A token of somebody new with these roles.
    async fn token(&self, roles: &[&str]) -> String {
        let journal = self.place.shared.pipeline.journal();
        let (by, name) = (writ_core::Actor::system("test"), format!("{} {}", roles.join(" "), self.place.size().await));
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let person = enrol_person(journal, &name, &roles, &by).await.unwrap();
        issue_token(journal, &person, &TokenWish::default(), &by).await.unwrap().1
    }

    async fn send(&self, method: &axum::http::Method, path: &str, token: &str, body: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {token}"));
        let answer = self.place.ask(request, body.to_owned()).await;
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Whether somebody with one role gets to a route's handler, for what is of payments in prod.
    async fn lets(&self, route: &Route, role: &str) -> bool {
        let id = match route.of {
            Of::Run => self.run.as_str(),
            Of::Intent => "PAY-001",
            Of::Incident => "inc_pay",
            Of::Recommendation => "OPT-1",
            Of::Component => "pay",
            Of::Shadow => self.shadow.as_str(),
            Of::Nothing | Of::Realm | Of::Said => "x",
        };
        let parts = route.path.split('/').map(|part| match part {
            "{id}" | "{component}" => id,
            part if part.starts_with('{') => "x",
            part => part,
        });
        let path = parts.collect::<Vec<_>>().join("/");
        let (status, problem) = self.send(&route.method, &path, &self.token(&[role]).await, "").await;
        let barred = status == 403 && problem["code"] == "forbidden";
        if barred && role.contains('@') && route.of != Of::Nothing {
            let detail = problem["detail"].as_str().unwrap();
            let named =
                if route.of == Of::Realm { "the whole installation" } else { "team `payments` in environment `prod`" };
            assert!(detail.ends_with(named), "{}: {detail}", route.path);
        }
        !barred
    }
}

fn asked(intent: Option<&str>) -> OutsideAsked {
    let wish = OutsideWish {
        action: None,
        changes: None,
        command: vec!["true".into()],
        directory: String::new(),
        files: std::collections::BTreeMap::new(),
        intent: intent.map(|intent| intent.parse().unwrap()),
        resource: None,
    };
    OutsideAsked { wish, silent: std::time::Duration::from_secs(60), here: false, reason: "why".into() }
}

#[tokio::test]
async fn a_role_for_a_part_does_what_is_of_that_part_and_nothing_else_on_any_route() {
    let realm = Realm::new().await;
    let mut tried = 0;
    for route in table() {
        let role = match route.needs {
            Needs::Operator | Needs::Doer => "operator",
            Needs::Approver | Needs::Judge => "approver",
            Needs::Nobody | Needs::Reader | Needs::Person | Needs::Admin => continue,
        };
        let of_a_thing = match route.of {
            Of::Intent | Of::Run | Of::Incident | Of::Recommendation | Of::Component | Of::Shadow => true,
            Of::Realm => false,
            // The pipeline asks where it reads what is said: see the tests below.
            Of::Said => continue,
            Of::Nothing => panic!("{} changes something, and says nothing of whose it is", route.path),
        };
        for (within, covers) in [
            ("", true),
            ("@team:payments", of_a_thing),
            ("@env:prod", of_a_thing),
            ("@team:payments/env:prod", of_a_thing),
            ("@team:search", false),
            ("@env:staging", false),
            ("@team:payments/env:staging", false),
            ("@team:search/env:prod", false),
        ] {
            let role = format!("{role}{within}");
            assert_eq!(realm.lets(&route, &role).await, covers, "{role}: {} {}", route.method, route.path);
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}

#[tokio::test]
async fn what_is_not_there_is_not_found_whatever_the_role_holds_for() {
    let realm = Realm::new().await;
    let token = realm.token(&["operator@team:payments", "approver@team:payments"]).await;
    let run = realm.run.replace(|c: char| c.is_ascii_digit(), "0");
    let post = axum::http::Method::POST;
    for path in [format!("/api/v1/runs/{run}/pause"), "/api/v1/incidents/inc_no/ack".into()] {
        assert_eq!(realm.send(&post, &path, &token, "{}").await.0, 404, "{path}");
    }
    assert_eq!(realm.send(&post, "/api/v1/recommendations/OPT-9/approve", &token, "{}").await.0, 404);
    assert_eq!(realm.send(&post, "/api/v1/runs/nonsense/pause", &token, "{}").await.0, 400);
}

#[tokio::test]
async fn an_intent_is_submitted_where_the_role_holds_and_taken_over_only_by_who_holds_both() {
    let realm = Realm::new().await;
    let offer = async |roles: &[&str], id: &str, team: &str, environment: &str| {
        let text = manifest(id, "other", team, environment);
        let body = json!({"name": "intent.yaml", "text": text}).to_string();
        let token = realm.token(roles).await;
        let (status, problem) = realm.send(&axum::http::Method::POST, "/api/v1/intents", &token, &body).await;
        let barred = status == 403 && problem["code"] == "forbidden";
        if barred { problem["detail"].as_str().unwrap().to_owned() } else { String::new() }
    };
    let before = realm.place.size().await;
    for (roles, id, team, environment, of) in [
        (&["operator@team:search"][..], "NEW-1", "payments", "prod", "team `payments` in environment `prod`"),
        (&["operator@env:staging"], "NEW-1", "payments", "prod", "team `payments` in environment `prod`"),
        (&["approver@team:payments"], "NEW-1", "payments", "prod", "the role `operator`"),
        // What is another team's stays theirs, whatever the new text says.
        (&["operator@team:search"], "PAY-001", "search", "prod", "team `payments` in environment `prod`"),
        (&["operator@team:payments"], "PAY-001", "search", "prod", "team `search` in environment `prod`"),
        (&["operator@env:staging"], "PAY-001", "payments", "staging", "team `payments` in environment `prod`"),
    ] {
        let told = offer(roles, id, team, environment).await;
        assert!(told.ends_with(of), "{roles:?} {id} {team}/{environment}: {told}");
    }
    let journal = realm.place.shared.pipeline.journal();
    assert!(journal.stream("intent/NEW-1").await.unwrap().is_empty());
    // Each was refused, and that is recorded; nothing else is but who they are.
    let denials = journal.stream("denials").await.unwrap();
    assert_eq!((denials.len() as u64, realm.place.size().await - before), (6, 18));
    assert!(denials[0].body["because"].as_str().unwrap().contains("team `payments`"));
    for roles in [&["operator@team:payments"][..], &["operator@env:prod"], &["operator"]] {
        assert_eq!(offer(roles, "PAY-001", "payments", "prod").await, "", "{roles:?}");
    }
    assert_eq!(offer(&["operator@team:payments", "operator@team:search"], "PAY-001", "search", "prod").await, "");
}

#[tokio::test]
async fn an_outside_change_is_of_the_intent_that_it_serves_or_of_everybody() {
    let realm = Realm::new().await;
    for (role, intent, allowed) in [
        ("operator@team:payments", Some("PAY-001"), true),
        ("operator@env:prod", Some("PAY-001"), true),
        ("agent@env:prod", Some("PAY-001"), true),
        ("operator@env:staging", Some("PAY-001"), false),
        ("agent@env:staging", Some("PAY-001"), false),
        ("operator@team:payments", None, false),
        ("agent@env:prod", None, false),
        ("operator", None, true),
    ] {
        let body = json!({"command": ["true"], "reason": "why", "intent": intent}).to_string();
        let token = realm.token(&[role]).await;
        let (status, told) = realm.send(&axum::http::Method::POST, "/api/v1/actions", &token, &body).await;
        assert_eq!(status == 200, allowed, "{role} {intent:?}: {told}");
        assert!(allowed || told["code"] == "forbidden", "{role} {intent:?}: {told}");
    }
}

#[tokio::test]
async fn only_who_approves_there_counts() {
    let realm = Realm::new().await;
    let path = format!("/api/v1/approvals/{}/approve", realm.approval);
    let answer = async |roles: &[&str]| {
        let token = realm.token(roles).await;
        realm.send(&axum::http::Method::POST, &path, &token, "{\"reason\":\"x\"}").await
    };
    for roles in [
        &["approver@team:search"][..],
        &["approver@env:staging"],
        &["approver@team:payments/env:staging"],
        &["viewer", "operator@team:payments"],
        &["agent@env:prod", "approver"],
    ] {
        let (status, problem) = answer(roles).await;
        assert_eq!((status, problem["code"].as_str()), (403, Some("forbidden")), "{roles:?}: {problem}");
    }
    let journal = realm.place.shared.pipeline.journal();
    let votes = async || {
        let entries = journal.stream(&format!("approval/{}", realm.approval)).await.unwrap();
        entries.into_iter().filter(|entry| entry.kind == "approval.voted/1").collect::<Vec<_>>()
    };
    assert!(votes().await.is_empty());
    let (status, told) = answer(&["approver@team:payments/env:prod"]).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(votes().await[0].body["roles"], json!(["approver"]));
}

#[tokio::test]
async fn a_page_says_in_words_what_somebody_would_have_to_hold() {
    let realm = Realm::new().await;
    let form = "application/x-www-form-urlencoded";
    for (role, may) in [("approver@team:payments", true), ("approver@team:search", false)] {
        let token = realm.token(&["viewer", role, &role.replace("approver", "operator")]).await;
        let login = Request::builder().method("POST").uri("/login").header("content-type", form);
        let answer = realm.place.ask(login, format!("token={token}")).await;
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let page = async |path: String| {
            let answer = realm.place.ask(Request::builder().uri(path).header("cookie", &cookie), "").await;
            String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
        };
        let shown = page(format!("/approvals/{}", realm.approval)).await;
        let told = "You would have to hold the role approver for team payments in environment prod.";
        assert_eq!((shown.contains("value=\"approve\""), shown.contains(told)), (may, !may), "{role}");
        let shown = page(format!("/runs/{}", realm.run)).await;
        let told = "You would have to hold the role operator for team payments in environment prod.";
        assert_eq!((shown.contains("value=\"cancel\""), shown.contains(told)), (may, !may), "{role}");
        let settings = page("/settings".into()).await;
        assert!(settings.contains(&format!("approver for team {}", &role[14..])), "{settings}");
        let post = |path: String| {
            Request::builder().method("POST").uri(path).header("content-type", form).header("cookie", &cookie)
        };
        let cancel = realm.place.ask(post(format!("/runs/{}", realm.run)), "command=pause").await;
        assert_eq!(cancel.status() == StatusCode::FORBIDDEN, !may, "{role}: {}", cancel.status());
        let close = realm.place.ask(post("/incidents/inc_pay".into()), "command=ack").await;
        assert_eq!(close.status() == StatusCode::FORBIDDEN, !may, "{role}: {}", close.status());
    }
    // What a page refused is recorded as what a route refuses.
    let denials = realm.place.shared.pipeline.journal().stream("denials").await.unwrap();
    let routes: Vec<&Value> = denials.iter().map(|entry| &entry.body["route"]).collect();
    assert_eq!(routes, ["/runs/{id}", "/incidents/{id}"]);
    let because = denials[0].body["because"].as_str().unwrap();
    assert!(
        because.ends_with("does not hold the role `operator` for team `payments` in environment `prod`"),
        "{because}"
    );
}

/// Whoever waits for an answer is given it only if they still may have it when it comes.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_held_back_is_for_whoever_may_still_have_it() {
    let realm = Realm::new().await;
    let (journal, by) = (realm.place.shared.pipeline.journal(), writ_core::Actor::system("test"));
    let person = enrol_person(journal, "waits", &["viewer".to_owned()], &by).await.unwrap();
    let (token, secret) = issue_token(journal, &person, &TokenWish::default(), &by).await.unwrap();
    let path = |wait: u64| format!("/api/v1/actions/{}?seen=awaiting_approval&wait={wait}", realm.run);
    let get = axum::http::Method::GET;
    assert_eq!(realm.send(&get, &path(0), &secret, "").await.0, 200);
    let waits = path(20);
    let ends = async {
        // It goes by once there is nothing to do but to wait.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        writ_pipeline::revoke_token(journal, &token.id, &by).await.unwrap();
        realm.place.shared.pipeline.keep_nobody_waiting();
    };
    let ((status, told), ()) = tokio::join!(realm.send(&get, &waits, &secret, ""), ends);
    assert_eq!((status, &told["code"]), (401, &json!("unauthorised")), "{told}");
}
