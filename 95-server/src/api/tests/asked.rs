//! What lists are asked for: which of them, from where on, and what nobody knows.

use super::recommendations::draft;
use super::*;
use writ_pipeline::Batch;

impl Place {
    /// The ids of a list, and its `next`.
    async fn ids(&self, path: &str) -> (Vec<String>, Option<String>) {
        let (status, page) = look(self, path).await;
        assert!(status.is_success(), "{path}: {page}");
        let ids = page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned());
        (ids.collect(), page["next"].as_str().map(str::to_owned))
    }

    /// Incidents of two components, every other of them resolved.
    async fn incidents(&self, count: usize) {
        let mut drafts = Vec::new();
        for at in 0..count {
            let stream = format!("incident/inc_{at:03}");
            let opened = json!({"component": if at % 2 == 0 { "web" } else { "pay" }});
            drafts.push(draft("incident.opened/1", &stream, opened));
            if at % 4 < 2 {
                drafts.push(draft("incident.resolved/1", &stream, json!({})));
            }
        }
        let journal = self.shared.pipeline.journal();
        journal.commit(&journal.new_cause(), Batch::of(drafts)).await.unwrap();
    }
}

#[tokio::test]
async fn a_list_is_of_those_that_were_asked_for_page_by_page() {
    let place = Place::new().await;
    place.incidents(20).await;
    let ids = |wanted: &dyn Fn(usize) -> bool| -> Vec<String> {
        (0..20).filter(|at| wanted(*at)).map(|at| format!("inc_{at:03}")).collect()
    };
    for (query, wanted) in [
        ("state=open", ids(&|at| at % 4 >= 2)),
        ("state=resolved&component=web", ids(&|at| at % 4 == 0)),
        ("component=pay", ids(&|at| at % 2 == 1)),
        ("component=nobody", vec![]),
        ("state=closed", vec![]),
    ] {
        for back in [false, true] {
            let (mut found, mut after) = (Vec::new(), String::new());
            loop {
                let (page, next) =
                    place.ids(&format!("/api/v1/incidents?limit=2&newest_first={back}&{query}{after}")).await;
                assert!(page.len() <= 2);
                found.extend(page);
                match next {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
            if back {
                found.reverse();
            }
            assert_eq!(found, wanted, "{query}, newest first: {back}");
        }
    }
    let (_, _, asked) = act(&place, "k", "why").await;
    let run = asked["run"].as_str().unwrap().to_owned();
    assert_eq!(place.ids("/api/v1/runs?state=awaiting_approval").await.0, [run]);
    assert_eq!(place.ids("/api/v1/approvals?state=open").await.0, [asked["approval"].as_str().unwrap()]);
    assert_eq!(place.ids("/api/v1/approvals?state=granted").await.0, [""; 0]);
}

/// An incident is of the intent that had its component when it was opened, whoever has it since.
#[tokio::test]
async fn incidents_are_of_the_intent_that_had_their_component() {
    let place = Place::new().await;
    let journal = place.shared.pipeline.journal();
    let held = |kind: &'static str, component: &str, intent: &str| {
        draft(kind, &format!("holding/{component}"), json!({"component": component, "intent": intent}))
    };
    let opened = |id: &str, component: &str| {
        draft("incident.opened/1", &format!("incident/{id}"), json!({"component": component}))
    };
    for drafts in [
        vec![opened("inc_0", "web")],
        vec![held("holding.begun/1", "web", "WEB-1"), held("holding.begun/1", "pay", "PAY-1")],
        vec![opened("inc_1", "web"), opened("inc_2", "pay"), opened("inc_3", "nobodys")],
        vec![held("holding.ended/1", "web", "WEB-1")],
        vec![held("holding.begun/1", "web", "WEB-2")],
        vec![opened("inc_4", "web")],
    ] {
        journal.commit(&journal.new_cause(), Batch::of(drafts)).await.unwrap();
    }
    for (query, wanted) in [
        ("intent=WEB-1", vec!["inc_0", "inc_1"]),
        ("intent=WEB-2", vec!["inc_4"]),
        ("intent=PAY-1", vec!["inc_2"]),
        ("intent=PAY-1&component=web", vec![]),
        ("intent=WEB-1&component=web&limit=1", vec!["inc_0"]),
        ("intent=NOTHING", vec![]),
    ] {
        assert_eq!(place.ids(&format!("/api/v1/incidents?{query}")).await.0, wanted, "{query}");
    }
    let (_, one) = look(&place, "/api/v1/incidents/inc_4").await;
    assert_eq!(one["intent"], "WEB-2", "{one}");
    assert_eq!(look(&place, "/api/v1/incidents/inc_3").await.1["intent"], json!(null));
}

#[tokio::test]
async fn what_a_list_does_not_know_is_refused_with_what_it_may_be() {
    let place = Place::new().await;
    let known = table().into_iter().filter(|route| route.path.starts_with("/api/v1/") && !route.path.contains('{'));
    for path in known.filter(|route| route.method == "GET").map(|route| route.path) {
        let at = if path == "/api/v1/tokens" { 4 } else { 1 };
        let request = Request::builder().uri(format!("{path}?colour=red"));
        let request = request.header("authorization", format!("Bearer {}", place.tokens[at]));
        if matches!(path, "/api/v1/openapi.json") {
            continue;
        }
        let (status, problem) = read(place.ask(request, "").await).await;
        assert_eq!((status.as_u16(), problem["parameter"].as_str()), (400, Some("colour")), "{path}: {problem}");
    }
    for (path, parameter, hint) in [
        ("incidents?state=opne", "state", "did you mean `open`? one of open, "),
        ("runs?state=asleep", "state", "one of submitted, "),
        ("approvals?component=web", "component", "by state"),
        ("agents?intent=WEB", "intent", "by state"),
        ("standing-approvals?state=open", "state", ""),
        ("incidents?after=inc_nothing", "after", "begin without `after`"),
        ("runs?after=x&newest_first=true", "after", "begin without `after`"),
        ("shadow-decisions?after=x", "after", "begin without `after`"),
        ("intents/NOTHING?colour=red", "colour", "this takes none"),
    ] {
        let (status, problem) = look(&place, &format!("/api/v1/{path}")).await;
        assert_eq!((status.as_u16(), problem["parameter"].as_str()), (400, Some(parameter)), "{path}: {problem}");
        assert!(problem["hint"].as_str().unwrap_or_default().starts_with(hint), "{path}: {problem}");
    }
}

#[tokio::test]
async fn versions_are_told_with_what_became_of_them_and_held_against_each_other() {
    let place = Place::new().await;
    let example = include_str!("../../../../examples/deploy-web-001/intent.yaml");
    for (version, min) in [(1, 3), (2, 4)] {
        let mut batch = Batch::default();
        let text = example.replace("min_instances: 3", &format!("min_instances: {min}"));
        let manifest = batch.attach(text.into_bytes());
        let submitted = json!({"version": version, "manifest": manifest, "attachments": {"manifest": manifest}});
        let to = if version == 1 { "active" } else { "invalid" };
        let moved = json!({"version": version, "from": "draft", "to": to, "because": format!("reason {version}")});
        let applied = if version == 1 { json!({"applied_version": 1}) } else { json!({}) };
        batch.drafts = vec![
            draft("intent.submitted/1", "intent/WEB", submitted),
            draft("intent.moved/1", "intent/WEB", moved),
            draft("intent.moved/1", "intent/WEB", applied),
        ];
        let journal = place.shared.pipeline.journal();
        journal.commit(&journal.new_cause(), batch).await.unwrap();
    }
    let (_, told) = look(&place, "/api/v1/intents/WEB/history").await;
    let row = |one: &Value| ["version", "state", "because", "in_force"].map(|field| one[field].clone());
    let rows: Vec<_> = told["items"].as_array().unwrap().iter().map(row).collect();
    let wanted = [
        [json!(2), json!("invalid"), json!("reason 2"), json!(false)],
        [json!(1), json!("active"), json!("reason 1"), json!(true)],
    ];
    assert_eq!(rows, wanted, "{told}");
    for query in ["", "?old=1&new=2", "?new=2"] {
        let (status, told) = look(&place, &format!("/api/v1/intents/WEB/diff{query}")).await;
        assert!(status.is_success(), "{told}");
        let diff = told["diff"].as_str().unwrap();
        assert!(diff.starts_with("--- WEB v1\n+++ WEB v2\n"), "{diff}");
        assert!(diff.contains("\n-      min_instances: 3") && diff.contains("\n+      min_instances: 4"), "{diff}");
    }
    assert_eq!(look(&place, "/api/v1/intents/WEB/diff?old=2&new=2").await.1["diff"], "");
    for (query, status) in [("?old=1&new=7", 404), ("?new=1", 409), ("?old=one&new=2", 400)] {
        let (found, problem) = look(&place, &format!("/api/v1/intents/WEB/diff{query}")).await;
        assert_eq!(found.as_u16(), status, "{query}: {problem}");
        assert!(status == 400 || problem["hint"].is_string(), "{query}: {problem}");
    }
}

#[tokio::test]
async fn what_policy_decided_is_counted_page_by_page() {
    let place = Place::new().await;
    let (_, rules) = look(&place, "/api/v1/policies").await;
    let rule = rules["rules"].as_array().unwrap().iter().find(|rule| rule["stage"] == "plan").unwrap()["rule"].clone();
    let finding = json!({"rule": rule, "asks": {"decision": "deny"}, "message": "m", "severity": "high", "values": []});
    let decided = |intent: &str, denied: bool| {
        let (decision, findings) = if denied { ("deny", json!([finding])) } else { ("allow", json!([])) };
        let body = json!({"stage": "plan", "decision": {"decision": decision}, "findings": findings});
        let resource = intent.into();
        writ_core::Draft { resource, ..draft("policy.decided/1", &format!("decisions/{intent}"), body) }
    };
    let drafts = (0..10).map(|at| decided(if at < 6 { "WEB" } else { "PAY" }, at % 3 == 0)).collect();
    let journal = place.shared.pipeline.journal();
    journal.commit(&journal.new_cause(), Batch::of(drafts)).await.unwrap();

    let of = |list: &Value, name: &str, value: &Value| {
        let found = list.as_array().unwrap().iter().find(|one| one[name] == *value);
        found.map(|one| [one["passed"].as_u64().unwrap(), one["denied"].as_u64().unwrap()])
    };
    let (status, whole) = look(&place, "/api/v1/policies/report").await;
    assert!(status.is_success(), "{whole}");
    assert_eq!((of(&whole["rules"], "rule", &rule), &whole["next"]), (Some([6, 4]), &json!(null)));
    let subjects = ["WEB", "PAY"].map(|intent| of(&whole["subjects"], "subject", &json!(intent)));
    assert_eq!(subjects, [Some([4, 2]), Some([2, 2])]);
    let rule_name = rule.as_str().unwrap();
    let (_, one) = look(&place, &format!("/api/v1/policies/report?intent=WEB&rule={rule_name}")).await;
    assert_eq!((one["rules"].as_array().unwrap().len(), of(&one["rules"], "rule", &rule)), (1, Some([4, 2])));
    assert_eq!(of(&one["subjects"], "subject", &json!("WEB")), Some([4, 2]));
    let (mut counted, mut after) = (0, String::new());
    loop {
        let (_, page) = look(&place, &format!("/api/v1/policies/report?limit=3{after}")).await;
        counted += page["decisions"].as_u64().unwrap();
        match page["next"].as_u64() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(counted, 10);
    for (query, parameter) in [("rule=SEC-NOTHING", "rule"), ("intent=NOTHING", "intent")] {
        let (status, problem) = look(&place, &format!("/api/v1/policies/report?{query}")).await;
        assert_eq!((status.as_u16(), problem["parameter"].as_str()), (404, Some(parameter)), "{problem}");
        assert!(problem["hint"].is_string(), "{problem}");
    }
    let (_, bundles) = look(&place, "/api/v1/policies/bundles").await;
    let bundle = &bundles["items"][0];
    assert_eq!((&bundle["digest"], &bundle["until"]), (&rules["digest"], &json!(null)), "{bundles}");
    assert!(bundle["from"].is_string() && !bundle["files"].as_array().unwrap().is_empty(), "{bundles}");
}

#[tokio::test]
async fn a_waiver_is_of_something_that_there_is_or_says_that_it_is_not() {
    let place = Place::new().await;
    let (_, rules) = look(&place, "/api/v1/policies").await;
    let rule = &rules["rules"][0]["rule"];
    place.in_force(1, 3).await;
    let ask = async |subject: &str| {
        let wanted = json!({"rule": rule, "subject": subject, "seconds": 60, "reason": "x"});
        place.say("operator", "/api/v1/waivers", wanted).await
    };
    for (subject, warned) in [("DEPLOY-WEB-001", false), ("DEPLOY-*", false), ("*", false), ("terraform.state", true)] {
        let (status, told) = ask(subject).await;
        assert_eq!((status, told["warnings"].is_array()), (200, warned), "{subject}: {told}");
    }
    let size = place.size().await;
    let (status, problem) = ask("DEPLOY-WEB-01").await;
    assert_eq!((status, problem["pointer"].as_str()), (404, Some("/subject")), "{problem}");
    assert_eq!(problem["hint"], "did you mean `DEPLOY-WEB-001`? `*` stands for any letters");
    assert_eq!(place.size().await, size);
}
