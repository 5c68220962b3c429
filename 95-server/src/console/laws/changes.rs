//! What the page of a change shows.

use super::{MANIFEST, Place};
use crate::unreal::{Comes, SetClock};

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
