//! What the pages of intents show.

use super::{MANIFEST, Place};
use axum::http::StatusCode;

#[tokio::test]
async fn what_policy_denies_is_not_submitted_and_the_page_says_so_beside_the_text() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    for (from, to) in [("'$500/month'", "'$5000/month'"), ("'$500/month'", "'$50/month'"), ("'99.9%'", "often")] {
        let denied = place.post("/intents/new", &ann, &[("text", &MANIFEST.replace(from, to))]).await;
        assert_eq!(denied.status, StatusCode::UNPROCESSABLE_ENTITY, "{to}: {}", denied.text);
        let told = "role=\"alert\"><strong>It was not submitted.</strong> What stands in its way is told beside it.";
        let kept = denied.text.split("<textarea").nth(1).unwrap().split("</textarea>").next().unwrap();
        assert!(denied.text.contains(told) && kept.contains(to.trim_matches('\'')), "{to}: {}", denied.text);
    }
}

#[tokio::test]
async fn a_plan_says_how_far_it_holds() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    place.post("/intents/new", &ann, &[("text", MANIFEST)]).await;
    let page = place.get("/intents/DEPLOY-WEB-001", &ann).await.text;
    for told in ["<dt>Holds up to</dt><dd>", "<dt>and up to</dt><dd>", "<dt>Repair within</dt><dd>2 h 43 min</dd>"] {
        assert!(page.contains(told), "{told}: {page}");
    }
}
