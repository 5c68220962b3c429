//! Lists: each is told a page at a time, or says why it is whole.

use super::contracts::contract;
use super::recommendations::draft;
use super::*;
use crate::unreal::{Comes, SetClock, World};
use std::collections::BTreeMap;
use std::time::Duration;
use writ_pipeline::{Batch, GlassWish, KillScope, Principal};

/// Every list that has pages: its path, what is asked for besides a page, and where a row has what it is known by.
const LISTS: [(&str, &str, &[&str]); 23] = [
    ("/api/v1/intents/{id}/versions", "", &["/event_id"]),
    ("/api/v1/intents/{id}/history", "", &["/version"]),
    ("/api/v1/intents", "", &["/id"]),
    ("/api/v1/runs", "", &["/id"]),
    ("/api/v1/incidents", "", &["/id"]),
    ("/api/v1/approvals", "", &["/id"]),
    ("/api/v1/recommendations", "", &["/id"]),
    ("/api/v1/standing-approvals", "", &["/id"]),
    ("/api/v1/agents", "", &["/id"]),
    ("/api/v1/contracts", "", &["/contract", "/version"]),
    ("/api/v1/policies/bundles", "", &["/digest", "/from", "/until"]),
    ("/api/v1/kill-switch", "", &["/what"]),
    ("/api/v1/shadow-decisions", "", &["/decision"]),
    ("/api/v1/waivers", "", &["/waiver"]),
    ("/api/v1/break-glass", "", &["/approval"]),
    ("/api/v1/findings", "", &["/approval"]),
    ("/api/v1/standing", "", &["/id"]),
    ("/api/v1/audit/entries", "", &["/seq"]),
    ("/api/v1/audit/entries", "&oldest_first=true&kind=principal", &["/seq"]),
    ("/api/v1/audit/checkpoints", "", &["/size"]),
    ("/api/v1/audit/export", "&format=ocsf", &["/metadata/sequence"]),
    ("/api/v1/principals", "", &["/principal"]),
    ("/api/v1/tokens", "", &["/id"]),
];

/// A place with some of everything that is listed, where it is some days later.
async fn full() -> Place {
    let clock = SetClock::new();
    let world = Arc::new(World(|_, _| Comes::Done));
    let files = example();
    let place = Place::over(crate::wire::offline_in(&files, world, clock.clone()).await.unwrap(), |_| {}).await;
    let (pipeline, journal) = (&place.shared.pipeline, place.shared.pipeline.journal());
    let ada = Principal { id: "person-01".parse().unwrap(), roles: vec!["operator".into()] };
    let texts = files.policy_files.iter().map(|(name, text)| (name.clone(), String::from_utf8(text.clone()).unwrap()));
    let texts: BTreeMap<String, String> = texts.collect();
    let (_, policies) = look(&place, "/api/v1/policies").await;
    let mut drafts = Vec::new();
    for at in 0..4 {
        act(&place, &format!("run {at}"), "why").await;
        let submitted = |version: u32| json!({"version": version, "manifest": "sha256:0", "attachments": {}});
        drafts.push(draft("intent.submitted/1", "intent/WEB", submitted(at + 1)));
        drafts.push(draft("intent.submitted/1", &format!("intent/OTHER-{at}"), submitted(1)));
        let (incident, about) =
            (format!("incident/inc_{at}"), json!({"component": "web", "incident": format!("inc_{at}")}));
        drafts.push(draft("incident.opened/1", &incident, about));
        let remedy = json!({"action": "scale_in", "incident": format!("inc_{at}"), "component": "web", "targets": []});
        drafts.push(draft("incident.remedy_shadowed/1", &incident, json!({"because": "x", "remedy": remedy})));
        drafts.push(draft("recommend.made/1", &format!("recommendation/OPT-{at}"), json!({"recommendation": {}})));
        let waiver = json!({"rule": policies["rules"][0]["rule"], "subject": "x*", "seconds": 60, "reason": "why"});
        let standing = json!({
            "actions": [format!("act_{at}")], "targets": ["*"], "budget": {"count": 1, "period_seconds": 60},
            "seconds": 3_600, "reason": "why",
        });
        let published = contract(&format!("1.{at}.0"), 9 + at, "web-team");
        let published = json!({"name": "echo.yaml", "text": published, "reason": "why"});
        let named = |(name, text): (&String, &String)| json!({"name": name, "text": format!("{text}# {at}\n")});
        let bundle = json!({"files": texts.iter().map(named).collect::<Vec<_>>(), "reason": "why"});
        for (path, body) in
            [("waivers", waiver), ("standing", standing), ("policies", bundle), ("contracts", published)]
        {
            let (status, told) = place.say("operator", &format!("/api/v1/{path}"), body).await;
            assert_eq!(status, 200, "{path}: {told}");
        }
        let scope = KillScope::Resource { resource: format!("web-{at}") };
        pipeline.kill_switch(scope, true, "", &writ_core::Actor::human(&ada.id)).await.unwrap();
        let wish = GlassWish { actions: vec!["x".into()], targets: vec!["*".into()], span: Duration::from_secs(60) };
        pipeline.break_glass(wish, "why", &ada).await.unwrap();
        clock.pass(Duration::from_secs(7 * 86_400));
    }
    journal.commit(&journal.new_cause(), Batch::of(drafts)).await.unwrap();
    place
}

/// A page, or what is wrong with asking for it, as an administrator who may look sees it.
async fn page(place: &Place, path: &str, query: &str) -> (u16, Value) {
    let path = path.replace("{id}", "WEB");
    // Who may see tokens sees no more than those, and who may look sees no token.
    let role = if path.ends_with("/tokens") { "admin" } else { "viewer" };
    place.send(role, "GET", &format!("{path}?{query}"), "").await
}

/// What the rows of a page are known by, and where the next one begins.
fn told(page: &Value, known_by: &[&str]) -> (Vec<String>, Option<String>) {
    let key = |row: &Value| known_by.iter().map(|at| row.pointer(at).unwrap().to_string()).collect::<String>();
    let next = Some(&page["next"]).filter(|next| !next.is_null());
    let next = next.map(|next| next.as_str().map_or_else(|| next.to_string(), |next| next.replace('/', "%2F")));
    (page["items"].as_array().unwrap().iter().map(key).collect(), next)
}

#[tokio::test]
async fn each_list_is_told_page_by_page_and_each_row_once() {
    let place = full().await;
    for (path, query, known_by) in LISTS {
        let (status, whole) = page(&place, path, &format!("limit=1000{query}")).await;
        assert_eq!(status, 200, "{path}: {whole}");
        let (all, _) = told(&whole, known_by);
        assert!(all.len() > 3, "{path}: {whole}");
        for limit in [1, 2] {
            let (mut found, mut after) = (Vec::new(), String::new());
            loop {
                let (status, some) = page(&place, path, &format!("limit={limit}{query}{after}")).await;
                assert_eq!(status, 200, "{path}{after}: {some}");
                let (rows, next) = told(&some, known_by);
                assert!(rows.len() <= limit, "{path}{after}: {some}");
                let goes_on = !rows.is_empty();
                found.extend(rows);
                match next.filter(|_| goes_on) {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
            assert_eq!(found, all, "{path}, {limit} at a time");
        }
        for wrong in ["after=nonsense", "limit=0", "limit=1001", "page=2"] {
            let (status, problem) = page(&place, path, &format!("{wrong}{query}")).await;
            assert_eq!((status, problem["code"].as_str()), (400, Some("invalid")), "{path}?{wrong}: {problem}");
        }
    }
}

#[tokio::test]
async fn a_page_begins_behind_what_was_taken_back_meanwhile() {
    let place = full().await;
    for path in ["/api/v1/kill-switch", "/api/v1/standing", "/api/v1/tokens"] {
        let (_, first) = page(&place, path, "limit=2").await;
        let Some(after) = first["next"].as_str() else { panic!("{path}: {first}") };
        let (_, rest) = page(&place, path, &format!("after={after}")).await;
        let last = &first["items"][1];
        let (status, told) = match path {
            "/api/v1/kill-switch" => {
                place.say("operator", path, json!({"scope": last["scope"], "pulled": false})).await
            }
            "/api/v1/standing" => {
                let path = format!("{path}/{}/revoke", last["id"].as_str().unwrap());
                place.say("operator", &path, json!({})).await
            }
            _ => place.send("admin", "DELETE", &format!("{path}/{}", last["id"].as_str().unwrap()), "").await,
        };
        assert_eq!(status, 200, "{path}: {told}");
        let (_, now) = page(&place, path, &format!("after={after}")).await;
        assert_eq!(now["items"], rest["items"], "{path}");
        assert!(!rest["items"].as_array().unwrap().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn everybody_is_listed_and_found_however_many_there_are() {
    let place = Place::new().await;
    let journal = place.shared.pipeline.journal();
    let enrolled = |at: usize| draft("principal.enrolled/1", &format!("principal/person-{at}"), json!({"roles": []}));
    for some in (1_000..2_500).collect::<Vec<_>>().chunks(500) {
        let drafts = some.iter().map(|at| enrolled(*at)).collect();
        journal.commit(&journal.new_cause(), Batch::of(drafts)).await.unwrap();
    }
    let known = writ_pipeline::people(journal).await.unwrap();
    assert_eq!(known.len(), ROLES.len() + 1_500);
    assert_eq!(writ_pipeline::person(journal, "person-2499").await.unwrap(), *known.last().unwrap());
}

#[tokio::test]
async fn what_has_ended_is_passed_over_and_no_page_looks_through_it_without_end() {
    let place = Place::new().await;
    let journal = place.shared.pipeline.journal();
    let ended = |at: usize| {
        let hash = format!("sha256:{at:064x}");
        let body =
            json!({"expires_at": "2020-01-01T00:00:00Z", "principal": "person-01", "roles": [], "token_hash": hash});
        draft("principal.token_issued/2", "principal/person-01", body)
    };
    for some in (0..6_000).collect::<Vec<_>>().chunks(500) {
        let drafts = some.iter().map(|at| ended(*at)).collect();
        journal.commit(&journal.new_cause(), Batch::of(drafts)).await.unwrap();
    }
    let (mut pages, mut found, mut after) = (0, Vec::new(), String::new());
    loop {
        let (status, page) = page(&place, "/api/v1/tokens", &format!("limit=3{after}")).await;
        assert_eq!(status, 200, "{page}");
        let (rows, next) = told(&page, &["/id"]);
        found.extend(rows);
        pages += 1;
        let Some(next) = next else { break };
        after = format!("&after={next}");
    }
    assert_eq!(found.len(), ROLES.len(), "ada's, and one for each role");
    assert!(pages < 6, "{pages}");
    for forged in ["person-01/nonsense", "person-01", "nobody/0123456789abcdef", "%2F"] {
        assert_eq!(page(&place, "/api/v1/tokens", &format!("after={forged}")).await.0, 400, "{forged}");
    }
}

/// A part of the document.
fn part<'a>(document: &'a Value, at: &str) -> &'a Value {
    document.pointer(at).unwrap_or(&Value::Null)
}

#[test]
fn a_list_has_pages_or_says_why_it_is_whole() {
    let document: Value = serde_json::from_str(openapi()).unwrap();
    let mut paged = Vec::new();
    for route in table().into_iter().filter(|route| route.method == axum::http::Method::GET) {
        let operation = &document["paths"][route.template()]["get"];
        let answer = part(operation, "/responses/200/content/application~1json/schema");
        let named = answer["$ref"].as_str().and_then(|name| document.pointer(name.trim_start_matches('#')));
        let shape = named.unwrap_or(answer);
        assert_ne!(shape["type"], "array", "{}: a list is `items` of a page", route.path);
        if part(shape, "/properties/items/type") != "array" {
            continue;
        }
        let asked = |name: &str| {
            operation["parameters"].as_array().into_iter().flatten().any(|parameter| parameter["name"] == name)
        };
        assert!(shape["properties"]["next"].is_object(), "{} names no next page", route.path);
        match route.whole {
            Some(because) => {
                assert!(!asked("after") && !asked("limit"), "{} is whole: {because}", route.path);
                assert!(operation["description"].as_str().unwrap().contains(because), "{}", route.path);
            }
            None => {
                assert!(asked("after") && asked("limit"), "{} has neither pages nor a reason", route.path);
                paged.push(route.path);
            }
        }
    }
    let mut walked = LISTS.map(|(path, ..)| path).to_vec();
    walked.dedup();
    paged.sort_unstable();
    walked.sort_unstable();
    assert_eq!(paged, walked, "each list with pages is walked");
}
