//! `If-Match`: of two who looked at the same, one is done.

use super::*;
use crate::api::matches::unless_moved;
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
