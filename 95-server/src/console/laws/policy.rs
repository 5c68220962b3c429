//! What the policy pages show.

use super::{HOSTILE, Place};
use crate::unreal::{Comes, SetClock};
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
