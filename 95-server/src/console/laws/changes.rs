//! What the page of a change shows.

use super::intents::costly;
use super::{MANIFEST, Place};
use crate::unreal::{Comes, SetClock};
use axum::http::StatusCode;

#[tokio::test]
async fn a_step_that_is_worked_on_shows_its_ticket() {
    let place = Place::with(|_, _| Comes::Never, SetClock::new()).await;
    let ann = place.log_in("writ_ann").await;
    let to = place.post("/intents/new", &ann, &[("text", MANIFEST)]).await.to;
    let page = place.once(&to, &ann, "ticket of epoch 1, until <time datetime=\"2026-01-12T").await;
    for part in
        ["</span>started</span> <span>ticket of", "<a href=\"/agents/provisioning-agent-001\">", "href=\"/why/pmt_"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("Try again"), "nothing has failed");
}

#[tokio::test]
async fn a_step_is_tried_again_where_somebody_must_and_what_comes_of_that_is_said() {
    // The balancer is there; no instance comes up, and the balancer does not go again.
    let comes = |verb: &str, resource: &str| match (verb.ends_with(".remove"), resource.ends_with("/lb")) {
        (false, true) => Comes::Done,
        _ => Comes::Refused,
    };
    let place = Place::with(comes, SetClock::new()).await;
    let (ann, eve) = (place.log_in("writ_ann").await, place.log_in("writ_eve").await);
    let to = place.post("/intents/new", &ann, &[("text", MANIFEST)]).await.to;
    let page = place.once(&to, &ann, "a person may retry it").await;
    let button = "aria-describedby=\"means-retry-step-1\">Try again</button>";
    assert!(page.contains(button) && page.contains("id=\"means-retry-step-1\">It is tried once more"), "{page}");
    assert_eq!(page.matches("Try again").count(), 1, "the instances are not wanted any more: {page}");
    assert!(!place.get(&to, &eve).await.text.contains("Try again"));
    let key = page.split("name=\"step\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let tried = place.post(&to, &ann, &[("command", "retry"), ("step", key)]).await;
    assert_eq!(tried.to, format!("{to}?done=retry"));
}

#[tokio::test]
async fn whoever_is_asked_sees_what_would_be_done_first_and_finds_the_way_back() {
    let place = Place::new().await;
    let (ann, bob) = (place.log_in("writ_ann").await, place.log_in("writ_bob").await);
    let change = place.post("/intents/new", &ann, &[("text", &costly())]).await.to;
    let list = place.get("/approvals", &bob).await.text;
    let to = list.split("href=\"/approvals/apr_").nth(1).unwrap().split('"').next().unwrap();
    let to = format!("/approvals/apr_{to}");
    let page = place.get(&to, &bob).await.text;
    let at = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part}: {page}"));
    assert!(at("What would be done") < at("Your answer"));
    let blank = place.post(&to, &bob, &[("answer", "approve"), ("reason", " ")]).await;
    assert_eq!(blank.status, StatusCode::BAD_REQUEST, "{}", blank.text);
    assert!(blank.text.contains(&format!("<a class=\"button primary\" href=\"{to}\">Back</a>")), "{}", blank.text);
    assert!(!place.get("/runs/run_x", &bob).await.text.contains(">Back</a>"), "nothing was sent from there");
    let cancelled = place.post(&change, &ann, &[("command", "cancel")]).await;
    assert_eq!(cancelled.status, StatusCode::SEE_OTHER, "{}", cancelled.text);
    place.once(&to, &bob, "The change was cancelled, and nothing is done.").await;
}
