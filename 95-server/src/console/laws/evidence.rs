//! What the pages of the journal show.

use super::Place;
use axum::http::StatusCode;
use std::collections::BTreeSet;
use writ_core::Actor;

/// The sizes of the checkpoints on a page, and where its older ones are.
fn checkpoints(page: &str) -> (Vec<u64>, Option<String>) {
    let sizes = page.split("<summary>over ").skip(1).map(|part| part.split(' ').next().unwrap().parse().unwrap());
    let nav = page.split_once("aria-label=\"Pages of checkpoints\"><a href=\"").map(|(_, nav)| nav);
    (sizes.collect(), nav.map(|nav| plain(nav.split('"').next().unwrap())))
}

/// An address as it stands in a page.
fn plain(address: &str) -> String {
    address.replace("&#38;", "&").replace("&amp;", "&")
}

#[tokio::test]
async fn the_newest_checkpoints_are_shown_and_lead_to_all_before_them() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let by = Actor::human(&"person-01".parse().unwrap());
    for _ in 0..1_010 {
        writ_pipeline::order_fault(place.pipeline.journal(), "web-service-001", "i-2", &by).await.unwrap();
    }
    let size = place.entries().await;
    let first = place.get("/audit?action=log_in", &ann).await.text;
    let (newest, older) = checkpoints(&first);
    assert_eq!((newest[0], newest.len()), (size, 12), "{newest:?}");
    assert!(older.as_ref().unwrap().starts_with("/audit?action=log_in&checkpoints="), "{older:?}");
    let (mut seen, mut next) = (newest, older);
    while let Some(to) = next {
        let path = to.split('#').next().unwrap();
        assert!(to.ends_with("#h-checkpoints") && first.contains("id=\"h-checkpoints\""), "{to}");
        let (sizes, older) = checkpoints(&place.get(path, &ann).await.text);
        seen.extend(sizes);
        next = older;
    }
    assert!(seen.is_sorted_by(|one, next| one > next), "from the newest down: {seen:?}");
    let kept = place.pipeline.journal().ledger().checkpoints(0, usize::MAX).await.unwrap();
    assert_eq!(seen.iter().collect::<BTreeSet<_>>(), kept.iter().map(|kept| &kept.size).collect(), "each of them");
    assert_eq!(place.get("/audit?checkpoints=x", &ann).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_the_filters_show_and_the_whole_log_are_taken_away_by_links() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let page = place.get("/audit?actor=ann&action=log+in", &ann).await.text;
    let section = page.split("id=\"h-export\"").nth(1).unwrap().split("</section>").next().unwrap();
    let links: Vec<String> =
        section.split("<a href=\"").skip(1).map(|link| plain(link.split('"').next().unwrap())).collect();
    assert_eq!(links.len(), 6, "{links:?}");
    for to in &links {
        let found = place.ask("GET", to, &[("cookie", &ann)], "").await;
        assert_eq!(found.status, StatusCode::OK, "{to}");
    }
    let entries = place.get(&links[0], &ann).await.text;
    assert_eq!(entries.matches("\"event_id\"").count(), 1, "as filtered: {entries}");
    assert!(place.get(&links[1], &ann).await.text.contains("class_uid"));
    assert!(section.contains("whatever the filters"), "{section}");
}

#[tokio::test]
async fn a_journal_that_another_has_taken_over_says_so_on_every_page() {
    let place = Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let ledger = place.pipeline.journal().ledger();
    ledger.take_over(ledger.head().await.unwrap().unwrap()).await.unwrap();
    let told = place.post("/agents", &ann, &[("scope", "all"), ("command", "pull")]).await;
    assert!(told.status.is_server_error(), "{}: {}", told.status, told.text);
    assert!(told.text.starts_with("<!doctype html>") && told.text.contains("role=\"alert\""), "{}", told.text);
    for path in super::PAGES {
        let page = place.get(path, &ann).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        assert!(page.text.contains("<strong>Nothing can be recorded.</strong>"), "{path}: {}", page.text);
    }
    assert!(place.get("/", &ann).await.text.contains("writ acts on nothing, and services keep running."));
}

#[tokio::test]
async fn what_is_measured_does_not_fill_the_latest_entries_of_home() {
    let place = super::Place::new().await;
    let ann = place.log_in("writ_ann").await;
    let window = |_| writ_core::Draft {
        action: "summarise_window".into(),
        actor: writ_core::Actor::system("monitoring"),
        body: serde_json::json!({}),
        kind: "telemetry.window/1",
        outcome: writ_core::Outcome::Success,
        resource: "web-service-001".into(),
        stream: "component/web-service-001".into(),
    };
    let journal = place.pipeline.journal();
    let windows = writ_pipeline::Batch::of((0..120).map(window).collect());
    journal.commit(&journal.new_cause(), windows).await.unwrap();
    let home = place.get("/", &ann).await.text;
    assert!(home.contains("<td>log in") && !home.contains("summarise window"), "{home}");
    assert!(place.get("/audit", &ann).await.text.contains("summarise window"));
}
