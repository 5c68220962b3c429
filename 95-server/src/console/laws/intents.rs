//! What the pages of intents show.

use super::{MANIFEST, Place};
use axum::http::StatusCode;

/// One that costs so much that somebody has to sign.
pub(super) fn costly() -> String {
    let mut text = MANIFEST.to_owned();
    for (from, to) in
        [("min_instances: 3", "min_instances: 40"), ("max_instances: 10", "max_instances: 45"), ("$500", "$1900")]
    {
        text = text.replace(from, to);
    }
    text
}

#[tokio::test]
async fn what_cannot_be_carried_out_says_so_beside_the_text_and_what_is_recorded_of_it() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let before = place.entries().await;
    for (from, to, told, link) in [
        ("'99.9%'", "often", "<strong>It was not submitted.</strong> What stands in its way is told beside it.", false),
        (
            "'$500/month'",
            "'$5000/month'",
            "as version 1 of <a href=\"/intents/DEPLOY-WEB-001\">DEPLOY-WEB-001</a>, and denied by policy.",
            true,
        ),
        (
            "'$500/month'",
            "'$50/month'",
            "as version 2 of <a href=\"/intents/DEPLOY-WEB-001\">DEPLOY-WEB-001</a>, and nothing holds",
            true,
        ),
    ] {
        let denied = place.post("/intents/new", &ann, &[("text", &MANIFEST.replace(from, to))]).await;
        assert_eq!(denied.status, StatusCode::UNPROCESSABLE_ENTITY, "{to}: {}", denied.text);
        let kept = denied.text.split("<textarea").nth(1).unwrap().split("</textarea>").next().unwrap();
        assert!(denied.text.contains(told) && kept.contains(to.trim_matches('\'')), "{to}: {}", denied.text);
        assert_eq!(denied.text.contains("It was not submitted."), !link, "{to}: {}", denied.text);
        assert_eq!(denied.text.contains("<a href=\"/why/DEPLOY-WEB-001\">why</a>"), link, "{to}: {}", denied.text);
        assert_eq!(place.entries().await > before, link, "{to}");
        let first = !told.contains("version 2");
        assert_eq!(denied.text.contains("<h1>Submit an intent</h1>"), first, "{to}: {}", denied.text);
    }
}

#[tokio::test]
async fn what_would_be_done_and_who_must_agree_stand_where_it_is_submitted() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let few = place.post("/intents/check", &ann, &[("text", MANIFEST)]).await.text;
    for told in
        ["<td>deploy instances</td><td><code>instance.ensure</code></td><td>web-service-001/i-1</td>", " steps: "]
    {
        assert!(few.contains(told), "{told}: {few}");
    }
    assert!(!few.contains("badge ask"), "{few}");
    let many = place.post("/intents/check", &ann, &[("text", &costly())]).await.text;
    let answer = many.split("class=\"answer\"").nth(1).unwrap().split("</div>").next().unwrap();
    for told in ["badge ask", "needs 1 of role approver", "<a href=\"/policy?rule=COMP-COST-001\">COMP-COST-001</a> "] {
        assert!(answer.contains(told), "{told}: {answer}");
    }
}

#[tokio::test]
async fn what_comes_while_people_are_asked_says_so_and_leads_to_the_change() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let first = place.post("/intents/new", &ann, &[("text", &costly())]).await;
    let again = place.post("/intents/new", &ann, &[("text", MANIFEST)]).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.text);
    let why = "<strong>It was not submitted.</strong> <code>DEPLOY-WEB-001</code> waits for approval <a class=\"id\" href=\"/approvals/apr_";
    let way = format!("</a>: wait for <a href=\"{}\">its change</a>, or cancel it there.", first.to);
    for told in [why, way.as_str()] {
        assert!(again.text.contains(told), "{told}: {}", again.text);
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

#[tokio::test]
async fn what_is_denied_is_not_in_force_and_says_why() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    place.post("/intents/new", &ann, &[("text", &MANIFEST.replace("$500", "$5000"))]).await;
    let listed = place.get("/intents", &ann).await.text;
    assert!(listed.contains("<td class=\"num\">none <span class=\"note\">(v1 is not)</span></td>"), "{listed}");
    assert!(!listed.contains("href=\"/components/\""), "a link to no component: {listed}");
    let home = place.get("/", &ann).await.text;
    assert!(home.contains("<span class=\"note\">v1 is not in force</span>"), "{home}");
    let page = place.get("/intents/DEPLOY-WEB-001", &ann).await.text;
    let versions = page.split("class=\"rows versions\"").nth(1).unwrap().split("</table>").next().unwrap();
    for told in ["invalid", "<a class=\"note\" href=\"/why/", "policy denies it"] {
        assert!(versions.contains(told), "{told}: {versions}");
    }
    let to = versions.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
    let why = place.get(to, &ann).await;
    assert!(why.text.contains("COMP-BUDGET-001"), "{to}: {}", why.text);
}

#[tokio::test]
async fn what_is_not_there_is_said_not_to_be_there() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let edit = place.get("/intents/new?of=NOPE", &ann).await;
    assert_eq!(edit.status, StatusCode::NOT_FOUND, "{}", edit.text);
    assert!(edit.text.contains("there is no intent <code>NOPE</code>"), "{}", edit.text);
    let found = place.get("/why?q=nonsense", &ann).await;
    let page = place.get(&found.to, &ann).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND, "{}", page.text);
    for told in
        ["the journal knows nothing of <code>nonsense</code>", "whole ids, names of intents, rules and resources"]
    {
        assert!(page.text.contains(told), "{told}: {}", page.text);
    }
}

#[tokio::test]
async fn a_story_names_people_as_all_pages_do() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    place.post("/intents/new", &ann, &[("text", MANIFEST)]).await;
    let page = place.get("/why/DEPLOY-WEB-001", &ann).await.text;
    for told in [">ann</span> submit intent DEPLOY-WEB-001: success", "title=\"system:intent\">intent</span>"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains(">human:person-01") && !page.contains(">system:"), "{page}");
}
