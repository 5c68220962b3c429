//! `If-Match`: of two who looked at the same, one is done.

use super::recommendations::draft;
use super::*;
use crate::api::matches::{Thing, matching_among, unless_moved};
use writ_pipeline::Expect;

/// Changes something with a tag, as an administrator does with every role of the table.
async fn change(place: &Place, path: &str, at: usize, tag: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::builder().method("POST").uri(path).header("content-type", "application/json");
    let request = request.header("if-match", tag).header("authorization", format!("Bearer {}", place.tokens[at]));
    read(place.ask(request, body.to_string()).await).await
}

/// The tag of what stands at a path.
async fn tag(place: &Place, path: &str) -> String {
    let request = Request::builder().uri(path).header("authorization", format!("Bearer {}", place.tokens[1]));
    place.ask(request, "").await.headers()["etag"].to_str().unwrap().to_owned()
}

/// An agent of the example.
async fn agent(place: &Place) -> String {
    let (_, agents) = look(place, "/api/v1/agents").await;
    agents["items"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_was_looked_at_is_changed_only_while_it_is_the_same() {
    let place = Place::new().await;
    let (_, agents) = look(&place, "/api/v1/agents").await;
    let id = agents["items"][0]["id"].as_str().unwrap().to_owned();
    let request = Request::builder().uri(format!("/api/v1/agents/{id}"));
    let answer = place.ask(request.header("authorization", format!("Bearer {}", place.tokens[1])), "").await;
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let drain = async |command: &str, tag: &str| {
        let request = Request::builder().method("POST").uri(format!("/api/v1/agents/{id}/{command}"));
        let request = request.header("content-type", "application/json").header("if-match", tag);
        read(
            place
                .ask(request.header("authorization", format!("Bearer {}", place.tokens[4])), "{\"reason\":\"x\"}")
                .await,
        )
        .await
    };
    assert_eq!(drain("drain", "\"0\"").await.0, StatusCode::PRECONDITION_FAILED);
    for bad in ["", "0", "\"", "\"1\", 2"] {
        assert_eq!(drain("drain", bad).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(drain("drain", &tag).await.0, StatusCode::OK);
    let (status, problem) = drain("activate", &tag).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::PRECONDITION_FAILED, Some("stale")));
    assert_eq!(drain("activate", "*").await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_looked_at_the_same_one_is_done_however_often_they_race() {
    let place = Place::new().await;
    let agent = format!("/api/v1/agents/{}", agent(&place).await);
    let (_, _, asked) = act(&place, "race", "why").await;
    let run = format!("/api/v1/runs/{}", asked["run"].as_str().unwrap());
    let why = json!({"reason": "x"});
    let approve = format!("/api/v1/approvals/{}/approve", asked["approval"].as_str().unwrap());
    assert_eq!(change(&place, &approve, 3, "*", &json!({"reason": "ok"})).await.0, StatusCode::OK);
    for (what, at, pair) in [(&agent, 4, ["drain", "activate"]), (&run, 2, ["pause", "resume"])] {
        for round in 0..40 {
            let (seen, command) = (tag(&place, what).await, pair[round % 2]);
            let path = format!("{what}/{command}");
            let (left, right) =
                tokio::join!(change(&place, &path, at, &seen, &why), change(&place, &path, at, &seen, &why));
            let mut came = [left.0.as_u16(), right.0.as_u16()];
            came.sort_unstable();
            assert_eq!(came, [200, 412], "{path} {seen}, round {round}: {} {}", left.1, right.1);
            assert_ne!(tag(&place, what).await, seen, "{path}, round {round}");
        }
    }
}

#[tokio::test]
async fn what_moves_between_looking_and_recording_refuses_the_change() {
    let place = Place::new().await;
    let id = agent(&place).await;
    let agent = format!("/api/v1/agents/{id}");
    let seen = tag(&place, &agent).await.trim_matches('"').parse::<u64>().unwrap();
    let still = Expect { stream: format!("agent/{id}"), version: seen };
    // What `If-Match` names was found to be so; then somebody else is faster.
    assert_eq!(change(&place, &format!("{agent}/drain"), 4, "*", &json!({"reason": "x"})).await.0, StatusCode::OK);
    let size = place.size().await;
    let who = writ_core::Actor::system("test");
    let work = async {
        let wish = writ_pipeline::AgentWish::Move { to: writ_pipeline::AgentMove::Activate, because: "late".into() };
        let done = place.shared.pipeline.change_agent(&id.parse().unwrap(), &wish, "", &who).await;
        done.map_err(|error| Failure::internal(&error))
    };
    let refused = unless_moved(&place.shared, &id, still.clone(), work).await.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (StatusCode::PRECONDITION_FAILED, "stale"));
    assert_eq!(place.size().await, size, "nothing is recorded");

    // A run commits by a task of its own, and is asked to look all the same.
    let (_, _, asked) = act(&place, "late", "why").await;
    let run: writ_core::RunId = asked["run"].as_str().unwrap().parse().unwrap();
    let seen = tag(&place, &format!("/api/v1/runs/{run}")).await.trim_matches('"').parse::<u64>().unwrap();
    let still = Expect { stream: format!("run/{run}"), version: seen };
    let drive = place.shared.pipeline.drive();
    let approve = format!("/api/v1/approvals/{}/approve", asked["approval"].as_str().unwrap());
    assert_eq!(change(&place, &approve, 3, "*", &json!({"reason": "ok"})).await.0, StatusCode::OK);
    let size = place.size().await;
    let pause = async { Ok(drive.tell(&run, writ_pipeline::RunSignal::Pause, &who).await?) };
    let refused = unless_moved(&place.shared, run.as_str(), still, pause).await.unwrap_err();
    assert_eq!(refused.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(place.size().await, size, "nothing is recorded");
}

#[tokio::test]
async fn what_follows_from_the_change_is_not_held_against_the_tag() {
    let place = Place::new().await;
    let (_, _, asked) = act(&place, "k", "why").await;
    let Some(approval) = asked["approval"].as_str() else { panic!("{asked}") };
    let path = format!("/api/v1/approvals/{approval}");
    let seen = tag(&place, &path).await;
    // The answer is recorded, and its run goes on by it: more is written to the approval then.
    let (status, told) = change(&place, &format!("{path}/approve"), 3, &seen, &json!({"reason": "ok"})).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_ne!(tag(&place, &path).await, seen);
    assert_eq!(change(&place, &format!("{path}/reject"), 3, &seen, &json!({})).await.0.as_u16(), 412);
}

impl Place {
    /// Asks as one of the roles with a tag, or with none.
    async fn with_tag(
        &self,
        role: &str,
        (method, path): (&str, &str),
        tag: Option<&str>,
        body: &Value,
    ) -> (u16, Value) {
        let token = &self.tokens[ROLES.iter().position(|known| *known == role).unwrap()];
        let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        let answer = self.ask(request.header("authorization", format!("Bearer {token}")), body.to_string()).await;
        let (status, body) = read(answer).await;
        (status.as_u16(), body)
    }

    /// The tag of a row of a list: the newest, or the one of whom a text names.
    async fn row_tag(&self, list: &str, named: &str) -> String {
        let role = if list == "tokens" { "admin" } else { "viewer" };
        let (_, page) = self.send(role, "GET", &format!("/api/v1/{list}"), "").await;
        let row = page["items"].as_array().unwrap().iter().find(|row| row.to_string().contains(named));
        row.unwrap_or_else(|| panic!("no {named} in {page}"))["etag"].as_str().unwrap().to_owned()
    }
}

/// Where the tag of something is told.
enum Told<'a> {
    /// In the header of the answer at a path.
    At(&'a str),
    /// In the row of a list that names something.
    In(&'a str, &'a str),
}

#[tokio::test]
async fn each_change_of_what_governs_is_refused_once_that_moved_and_done_while_it_did_not() {
    let place = Place::new().await;
    let why = json!({"reason": "why"});
    let made = async |role: &str, path: &str, body: Value, id: &str| {
        let (status, told) = place.say(role, &format!("/api/v1/{path}"), body).await;
        assert_eq!(status, 200, "{path}: {told}");
        told[id].as_str().unwrap_or_default().to_owned()
    };
    let (_, policies) = look(&place, "/api/v1/policies").await;
    let wanted = json!({"rule": policies["rules"][0]["rule"], "subject": "x*", "seconds": 3_600, "reason": "why"});
    let granted = made("operator", "waivers", wanted.clone(), "waiver").await;
    let refused = made("operator", "waivers", wanted, "waiver").await;
    let switch = |pulled: bool| json!({"scope": {"scope": "resource", "resource": "web"}, "pulled": pulled});
    made("operator", "kill-switch", switch(true), "scope").await;
    let budget = json!({"count": 1, "period_seconds": 60});
    let standing = json!({"actions": ["x"], "targets": ["*"], "budget": budget, "seconds": 3_600, "reason": "why"});
    made("operator", "standing", standing, "approval").await;
    let (_, all) = look(&place, "/api/v1/standing").await;
    let standing = all["items"][0]["id"].as_str().unwrap().to_owned();
    let broken = json!({"actions": ["x"], "targets": ["*"], "minutes": 5, "reason": "why"});
    let glass = made("operator", "break-glass", broken, "approval").await;
    let bob = json!({"principal": "bob", "enrol": true, "roles": ["viewer"], "reason": "why"});
    let token = made("admin", "tokens", bob, "id").await;
    let (_, people) = look(&place, "/api/v1/principals").await;
    let bob = people["items"].as_array().unwrap().iter().find(|one| one["name"] == "bob").unwrap();
    let bob = bob["principal"].as_str().unwrap().to_owned();
    let rules = example().policy_files.into_iter().find(|(name, _)| name.ends_with("security-policies.yaml"));
    let rules = String::from_utf8(rules.unwrap().1).unwrap();
    let rules = json!({"files": [{"name": "rules.yaml", "text": rules}], "reason": "why"});
    let link = json!({"subject": "bob", "issuer": "https://issuer.example", "reason": "why"});
    let roles = json!({"grant": ["operator"], "reason": "why"});
    let (freeze, release, nothing) = (json!({"on": true}), switch(false), json!({}));

    let links = format!("principals/{bob}/links");
    let cases: Vec<(&str, &str, String, &Value, Told<'_>)> = vec![
        ("approver", "POST", format!("waivers/{granted}/grant"), &why, Told::In("waivers", &granted)),
        ("operator", "POST", format!("waivers/{granted}/revoke"), &why, Told::In("waivers", &granted)),
        ("approver", "POST", format!("waivers/{refused}/refuse"), &why, Told::In("waivers", &refused)),
        ("operator", "POST", "maintenance".into(), &freeze, Told::At("maintenance")),
        ("operator", "POST", "kill-switch".into(), &release, Told::In("kill-switch", "web")),
        ("operator", "POST", format!("standing/{standing}/revoke"), &nothing, Told::In("standing", &standing)),
        ("operator", "POST", format!("break-glass/{glass}/end"), &nothing, Told::In("break-glass", &glass)),
        ("approver", "POST", format!("break-glass/{glass}/review"), &why, Told::In("break-glass", &glass)),
        ("operator", "POST", "policies".into(), &rules, Told::At("policies")),
        ("admin", "POST", format!("principals/{bob}/roles"), &roles, Told::In("principals", &bob)),
        ("admin", "POST", links.clone(), &link, Told::In("principals", &bob)),
        ("admin", "DELETE", format!("tokens/{token}"), &nothing, Told::In("tokens", &token)),
    ];
    for (role, method, path, body, told) in cases {
        let full = format!("/api/v1/{path}");
        let seen = match told {
            Told::At(at) => tag(&place, &format!("/api/v1/{at}")).await,
            Told::In(list, named) => place.row_tag(list, named).await,
        };
        let size = place.size().await;
        let (status, problem) = place.with_tag(role, (method, &full), Some("\"4711\""), body).await;
        assert_eq!((status, problem["code"].as_str()), (412, Some("stale")), "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(&seen), "{path}, {seen}: {problem}");
        assert_eq!(place.size().await, size, "{path}: nothing is recorded");
        let (status, told) = place.with_tag(role, (method, &full), Some(&seen), body).await;
        assert_eq!(status, 200, "{path} {seen}: {told}");
        let size = place.size().await;
        assert!(size > 0, "{path}");
        // The same tag again is of what was there before; a token that is revoked is there no more.
        let (status, problem) = place.with_tag(role, (method, &full), Some(&seen), body).await;
        let gone = if method == "DELETE" { (404, Some("not-found")) } else { (412, Some("stale")) };
        assert_eq!((status, problem["code"].as_str()), gone, "{path} again: {problem}");
        assert_eq!(place.size().await, size, "{path} again: nothing is recorded");
    }
    let link = look_as(&place, "admin", &format!("/api/v1/{links}")).await["items"][0]["id"].clone();
    let cut = format!("/api/v1/{links}/{}", link.as_str().unwrap());
    let seen = place.row_tag("principals", &bob).await;
    assert_eq!(place.with_tag("admin", ("DELETE", &cut), Some("\"1\""), &nothing).await.0, 412);
    assert_eq!(place.with_tag("admin", ("DELETE", &cut), Some(&seen), &nothing).await.0, 200);
}

async fn look_as(place: &Place, role: &str, path: &str) -> Value {
    place.send(role, "GET", path, "").await.1
}

#[tokio::test]
async fn what_shares_its_stream_with_others_is_not_held_against_what_those_do() {
    let place = Place::new().await;
    let switch = async |name: &str, pulled: bool, tag: Option<&str>| {
        let body = json!({"scope": {"scope": "resource", "resource": name}, "pulled": pulled});
        place.with_tag("operator", ("POST", "/api/v1/kill-switch"), tag, &body).await.0
    };
    // What was never moved has a tag as well.
    assert_eq!(switch("web", true, Some("\"1\"")).await, 412);
    assert_eq!(switch("web", true, Some("\"0\"")).await, 200);
    let seen = place.row_tag("kill-switch", "web").await;
    assert_eq!(switch("pay", true, None).await, 200);
    let frozen = tag(&place, "/api/v1/maintenance").await;
    assert_eq!((frozen.as_str(), switch("web", false, Some(&seen)).await), ("\"0\"", 200));
    assert_eq!(switch("web", true, Some(&seen)).await, 412, "it was let go meanwhile");

    // Others of the stream may move even while it is worked on.
    let thing = Thing::Switch(writ_pipeline::KillScope::Resource { resource: "pay".into() });
    let headers = [(axum::http::header::IF_MATCH, place.row_tag("kill-switch", "pay").await.parse().unwrap())];
    let (headers, tries) = (headers.into_iter().collect(), std::sync::atomic::AtomicU32::new(0));
    let work = || async {
        let by = writ_core::Actor::system("test");
        if tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
            // Somebody else's request: it is another task, and looked at nothing.
            let (pipeline, by) = (place.shared.pipeline.clone(), by.clone());
            let all = writ_pipeline::KillScope::All;
            tokio::spawn(async move { pipeline.kill_switch(all, true, "", &by).await.unwrap() }).await.unwrap();
        }
        let pay = writ_pipeline::KillScope::Resource { resource: "pay".into() };
        Ok(place.shared.pipeline.kill_switch(pay, false, "", &by).await?)
    };
    matching_among(&place.shared, &thing, &headers, work).await.unwrap();
    assert_eq!(tries.into_inner(), 2);
}

#[tokio::test]
async fn a_condition_that_nothing_heeds_is_refused() {
    let place = Place::new().await;
    let routes = table().into_iter().filter(|route| route.takes_no_tag() && !route.path.contains('{'));
    let routes: Vec<_> = routes.map(|route| (route.needs, route.method, route.path)).collect();
    assert!(routes.len() > 15, "{routes:?}");
    let size = place.size().await;
    for (needs, method, path) in routes {
        let role = ROLES.into_iter().find(|role| needs.met(&[(*role).to_owned()]).is_ok()).unwrap();
        let (status, problem) = place.with_tag(role, (method.as_str(), path), Some("\"1\""), &json!({})).await;
        assert_eq!((status, problem["parameter"].as_str()), (400, Some("if-match")), "{path}: {problem}");
    }
    assert_eq!(place.size().await, size, "nothing is recorded");
}

#[tokio::test]
async fn a_mode_has_the_tag_of_what_last_set_it() {
    let place = Place::new().await;
    let change = async |action: &str, tag: &str| {
        let path = format!("/api/v1/modes/web/{action}");
        place.with_tag("operator", ("POST", &path), Some(tag), &json!({"mode": "shadow", "reason": "why"})).await.0
    };
    assert_eq!((change("scale_in", "\"1\"").await, change("scale_in", "\"0\"").await), (412, 404), "none is watched");
    let set = json!({"action": "scale_in", "mode": "auto", "from": "shadow"});
    let set = writ_core::Draft { resource: "web".into(), ..draft("component.mode_set/1", "component/web", set) };
    let journal = place.shared.pipeline.journal();
    let set = journal.commit(&journal.new_cause(), writ_pipeline::Batch::of(vec![set])).await.unwrap();
    let now = format!("\"{}\"", set.entries[0].event_id);
    assert_eq!((change("scale_in", "\"0\"").await, change("scale_in", &now).await), (412, 404));
    assert_eq!(change("restart_instance", "\"0\"").await, 404, "another action has a tag of its own");
}
