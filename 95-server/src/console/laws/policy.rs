//! What the policy pages show.

use super::{HOSTILE, MANIFEST, Place};
use crate::unreal::{Comes, SetClock};
use axum::http::StatusCode;
use serde_json::json;
use std::time::Duration;
use writ_core::{Actor, Draft, Outcome};
use writ_pipeline::{Batch, GlassWish, Principal};

/// Decisions as the journal has them, in each of which a rule found something.
async fn decide(place: &Place, count: usize, intent: &str, rule: &str) {
    let draft = |_| Draft {
        action: "judge_intent".into(),
        actor: Actor::system("policy"),
        body: json!({"stage": "intent", "findings": [{"rule": rule, "message": format!("{rule} found this")}]}),
        kind: "policy.decided/1",
        outcome: Outcome::Denied,
        resource: intent.into(),
        stream: format!("decisions/{intent}"),
    };
    let journal = place.pipeline.journal();
    let drafts: Vec<Draft> = (0..count).map(draft).collect();
    for some in drafts.chunks(500) {
        journal.commit(&journal.new_cause(), Batch::of(some.to_vec())).await.unwrap();
    }
}

/// The entries that a page lists, and where the next page is.
fn listed(page: &str) -> (Vec<u64>, Option<String>) {
    let rows = page.split("<tr id=\"e").skip(1).map(|row| row.split('"').next().unwrap().parse().unwrap());
    let nav = page.split_once("aria-label=\"Pages of decisions\"><a href=\"").map(|(_, nav)| nav);
    (rows.collect(), nav.map(|nav| nav.split(['"', '#']).next().unwrap().replace("&#38;", "&").replace("&amp;", "&")))
}

/// The entries of all pages from one on, and how many pages there are.
async fn all(place: &Place, cookie: &str, path: &str) -> (Vec<u64>, usize) {
    let (mut seen, mut pages, mut next) = (Vec::new(), 0, Some(path.to_owned()));
    while let Some(path) = next {
        let page = place.get(&path, cookie).await;
        let (rows, older) = listed(&page.text);
        seen.extend(rows);
        (pages, next) = (pages + 1, older);
    }
    assert!(seen.is_sorted_by(|one, next| one > next), "{seen:?}");
    (seen, pages)
}

#[tokio::test]
async fn every_decision_is_a_page_or_more_away_and_those_of_a_rule_are_never_lost_among_others() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    decide(&place, 30, "DEPLOY-A", "RARE-001").await;
    decide(&place, 5_500, "DEPLOY-B", "OFTEN-001").await;
    decide(&place, 3, "DEPLOY-A", "RARE-001").await;
    let (seen, pages) = all(&place, &ann, "/policy?intent=DEPLOY-A").await;
    assert_eq!((seen.len(), pages), (33, 2));
    // The first page has looked through so many that it says so, and goes on from there.
    let first = place.get("/policy?rule=RARE-001", &ann).await.text;
    assert!(first.contains("decisions were looked through; before them there may be more"), "{first}");
    let (seen, pages) = all(&place, &ann, "/policy?rule=RARE-001").await;
    assert_eq!((seen.len(), pages), (33, 3));
    let (seen, _) = all(&place, &ann, "/policy?intent=DEPLOY-A&rule=RARE-001").await;
    assert_eq!(seen.len(), 33);
    assert_eq!(all(&place, &ann, "/policy?rule=NONE-001").await.0, Vec::<u64>::new());
}

#[tokio::test]
async fn broken_glass_that_nobody_reviewed_in_time_is_told_at_home_and_on_the_policy_page() {
    let clock = SetClock::new();
    let place = Place::with(|_, _| Comes::Refused, clock.clone()).await;
    let by = Principal { id: "person-01".parse().unwrap(), roles: vec!["operator".into(), "admin".into()] };
    let wish = GlassWish { actions: vec!["*".into()], targets: vec!["*".into()], span: Duration::from_secs(600) };
    let id = place.pipeline.break_glass(wish, HOSTILE, &by).await.unwrap();
    let told =
        format!("{id}\">{}</a>, 0 uses); nobody reviewed it by <time", crate::console::words::short(id.as_str()));
    for (days, overdue) in [(0, false), (1, false), (1, true)] {
        clock.pass(Duration::from_secs(days * 86_400 + 1));
        let bob = place.log_in("writ_bob").await;
        for path in ["/", "/policy"] {
            let page = place.get(path, &bob).await.text;
            assert_eq!(page.contains(&told), overdue, "{path}: {page}");
            assert_eq!(
                page.contains(&format!("<a href=\"/approvals/{id}\">Break-glass</a>")),
                overdue || (days == 0 && path == "/")
            );
        }
    }
    place
        .pipeline
        .review_glass(
            &id,
            true,
            "the disk was full",
            &Principal { id: "person-02".parse().unwrap(), roles: Vec::new() },
        )
        .await
        .unwrap();
    let bob = place.log_in("writ_bob").await;
    for path in ["/", "/policy"] {
        assert!(!place.get(path, &bob).await.text.contains("Look at this."), "{path}");
    }
}

#[tokio::test]
async fn broken_glass_is_told_ended_and_reviewed_by_somebody_else() {
    let place = Place::new().await;
    let (ann, bob, eve) =
        (place.log_in("writ_ann").await, place.log_in("writ_bob").await, place.log_in("writ_eve").await);
    let roles = ["viewer", "operator", "admin"].map(str::to_owned).to_vec();
    let by = Principal { id: "person-01".parse().unwrap(), roles };
    let span = Duration::from_secs(1_800);
    let wish = GlassWish { actions: vec!["restart_*".into()], targets: vec!["*".into()], span };
    let id = place.pipeline.break_glass(wish, HOSTILE, &by).await.unwrap();
    let path = format!("/approvals/{id}");
    assert!(place.get("/", &eve).await.text.contains("broke the glass until"));
    let page = place.get(&path, &bob).await.text;
    assert!(page.contains("restart_*") && page.contains("End it now") && !page.contains("<img"), "{page}");
    assert!(!page.contains("<dt>Needs</dt>"), "nobody is asked for anything: {page}");
    assert!(!place.get(&path, &eve).await.text.contains("End it now"));
    assert_eq!(place.post(&path, &eve, &[("answer", "end")]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(place.post(&path, &ann, &[("answer", "end")]).await.status, StatusCode::SEE_OTHER);
    assert!(!place.get("/", &eve).await.text.contains("broke the glass until"));
    let review = [("answer", "right"), ("reason", "the disk was full")];
    assert_eq!(place.post(&path, &ann, &review).await.status, StatusCode::FORBIDDEN, "not by oneself");
    assert_eq!(place.post(&path, &bob, &review).await.status, StatusCode::SEE_OTHER);
    let page = place.get(&path, &bob).await.text;
    assert!(page.contains("bob says: it was right to") && !page.contains("What you found"), "{page}");
}

#[tokio::test]
async fn an_intent_is_tried_under_the_policies_that_somebody_chooses() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let chosen = |page: &str, word: &str| {
        let options = page.split("<option value=\"").skip(1).map(|option| option.split_once('"').unwrap());
        options.filter(|(_, name)| name.contains(word)).map(|(digest, _)| digest.to_owned()).collect::<Vec<_>>()
    };
    let first = place.get("/policy/playground", &ann).await.text;
    let before = chosen(&first, "in force, since").remove(0);
    assert!(chosen(&first, "before").is_empty());
    // The same rules, and one that denies everything.
    let denies = "description: Nothing is let in.\nowner: tests\nrules:\n  - id: NOTHING-001\n    stage: intent\n    rule: intent.id == ''\n    \
                  enforcement: deny\n    message: It has no name\n    violation: Nothing is let in\n";
    let wish = writ_pipeline::GovernanceWish::Policies {
        files: vec![("nothing.yaml".to_owned(), denies.as_bytes().to_vec())],
        tests: Vec::new(),
    };
    let by = writ_core::Actor::human(&"person-01".parse().unwrap());
    place.pipeline.propose(wish, "", &by).await.unwrap();
    let page = place.get("/policy/playground", &ann).await.text;
    let (now, was) = (chosen(&page, "in force, since"), chosen(&page, "in force before"));
    assert_eq!(was, std::slice::from_ref(&before));
    assert_ne!(now, was);
    let tried = async |bundle: &str| {
        let page = place.post("/policy/playground", &ann, &[("text", MANIFEST), ("bundle", bundle)]).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        page.text
    };
    assert!(tried("").await.contains("Nothing is let in"));
    let under = tried(&before).await;
    assert!(!under.contains("NOTHING-001") && under.contains(&format!("{before}\" selected")), "{under}");
    let size = place.entries().await;
    for none in ["nothing", "sha256:0000000000000000000000000000000000000000000000000000000000000000"] {
        let page = place.post("/policy/playground", &ann, &[("text", MANIFEST), ("bundle", none)]).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{}", page.text);
    }
    assert_eq!(place.entries().await, size, "nothing of it is recorded");
}

/// The cells of a page that begin so, and where the next page of a list is.
fn rows(page: &str, cell: &str, list: &str) -> (Vec<String>, Option<String>) {
    let rows = page.split(cell).skip(1).map(|row| row.split(['"', '<']).next().unwrap().to_owned());
    let nav = page.split_once(&format!("aria-label=\"Pages of {list}\"><a href=\"")).map(|(_, nav)| nav);
    (rows.collect(), nav.map(|nav| nav.split(['"', '#']).next().unwrap().replace("&#38;", "&").replace("&amp;", "&")))
}

#[tokio::test]
async fn what_grows_is_shown_a_page_at_a_time() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let ann_is = Actor::human(&"person-01".parse().unwrap());
    let (_, rule) =
        place.get("/policy", &ann).await.text.split_once("rule=").map(|(_, rule)| ((), rule.to_owned())).unwrap();
    let rule = rule.split('"').next().unwrap().parse().unwrap();
    let (journal, hour) = (place.pipeline.journal(), Duration::from_secs(3_600));
    for at in 0..60 {
        let by = "person-01".parse().unwrap();
        place.pipeline.ask_waiver(&rule, &format!("subject-{at:02}*"), hour, "why", &by).await.unwrap();
        let scope = writ_pipeline::KillScope::Resource { resource: format!("pulled-{at:02}") };
        place.pipeline.kill_switch(scope, true, "", &ann_is).await.unwrap();
        let person = writ_pipeline::enrol_person(journal, &format!("newcomer-{at:02}"), &[], &ann_is).await.unwrap();
        let wish = writ_pipeline::TokenWish::default();
        writ_pipeline::issue_token(journal, &person, &wish, &ann_is).await.unwrap();
    }
    let all = |name: &str| (0..60).map(|at| format!("{name}-{at:02}")).collect::<Vec<_>>();
    for (path, cell, list, wanted) in [
        ("/policy", "<td>subject-", "waivers", all("subject")),
        ("/agents", "resource `pulled-", "switches", all("pulled")),
        ("/settings", "<tr><td>newcomer-", "people", all("newcomer")),
        ("/settings", "</a></td><td>newcomer-", "tokens", all("newcomer")),
    ] {
        let (mut seen, mut pages, mut next) = (Vec::new(), 0, Some(path.to_owned()));
        while let Some(path) = next {
            let page = place.get(&path, &ann).await;
            assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
            let (found, more) = rows(&page.text, cell, list);
            assert!(found.len() <= crate::console::list::PAGE, "{path}");
            let name = wanted[0].trim_end_matches("-00");
            seen.extend(found.iter().map(|at| format!("{name}-{}", &at[..2])));
            (pages, next) = (pages + 1, more);
        }
        seen.sort();
        assert_eq!((seen, pages), (wanted, 3), "{path} {list}");
        assert_eq!(place.get(&format!("{path}?{list}=nonsense"), &ann).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn rules_that_found_something_stand_first_and_a_decision_that_asks_people_says_so() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    place.post("/intents/new", &ann, &[("text", &super::intents::costly())]).await;
    let page = place.get("/policy", &ann).await.text;
    let rules = page.split("class=\"rows rules\"").nth(1).unwrap().split("<tbody>").nth(1).unwrap();
    assert!(rules.starts_with("<tr><td><a href=\"/policy?rule=COMP-COST-001\">"), "{rules}");
    let decisions = page.split("id=\"h-decisions\"").nth(1).unwrap().split("</table>").next().unwrap();
    assert_eq!(decisions.matches("</span>asked</span>").count(), 1, "{decisions}");
}
