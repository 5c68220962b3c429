//! Whether writ is ready: what is not is named with the reason, and it is ready again when that has passed.

use super::recommendations::draft;
use super::recorded::Story;
use super::said::{Said, Sees};
use super::trailing::Trailing;
use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use writ_pipeline::Batch;

impl Place {
    /// What `/health/ready` says: whether it is ready, and what is not, with the reason.
    async fn ready(&self) -> (bool, Vec<(String, String)>) {
        let (status, told) = read(self.ask(Request::builder().uri("/health/ready"), "").await).await;
        assert_eq!(status.as_u16(), if told["ready"] == true { 200 } else { 503 }, "{told}");
        let checks = told["checks"].as_array().unwrap();
        let all: Vec<&str> = checks.iter().map(|one| one["check"].as_str().unwrap()).collect();
        assert_eq!(all, ["journal", "reports", "provider"], "{told}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let missing: Vec<_> = checks.iter().filter(|one| one["ready"] == false).collect();
        let detail: Vec<&str> = missing.iter().map(|one| one["check"].as_str().unwrap()).collect();
        assert!(missing.is_empty() || told["detail"] == format!("not ready: {}", detail.join(", ")), "{told}");
        let missing = missing.iter().map(|one| (text(&one["check"]), text(&one["because"])));
        (told["ready"] == true, missing.collect())
    }
}

#[tokio::test(start_paused = true)]
async fn a_component_that_cannot_be_seen_makes_it_not_ready_and_is_named() {
    let mut story = Story::new().await;
    // Nothing is watched yet, so nothing is looked at.
    story.sees.send_replace(Sees::Nobody);
    assert_eq!(story.place.ready().await, (true, vec![]));
    story.sees.send_replace(Sees::All);
    story.an_intent().await;
    assert_eq!(story.place.ready().await, (true, vec![]));
    let component = "`web-service-001` cannot be observed";
    for (sees, because) in [
        (Sees::Nobody, format!("{component}: `observe` on `web-service-001` failed: nobody answers")),
        (Sees::Later, format!("{component} within 2 s")),
    ] {
        story.sees.send_replace(sees);
        assert_eq!(story.place.ready().await, (false, vec![("provider".into(), because)]));
    }
    story.sees.send_replace(Sees::All);
    assert_eq!(story.place.ready().await, (true, vec![]));
}

#[tokio::test(start_paused = true)]
async fn reports_that_trail_far_behind_make_it_not_ready_until_they_have_come_forward() {
    let held = Arc::new(AtomicBool::new(false));
    let ledger = Arc::new(Trailing(crate::wire::memory(), held.clone()));
    let ((_comes, comes), (_sees, sees)) = (watch::channel(super::said::Comes::Done), watch::channel(Sees::All));
    let world = |_| Arc::new(Said { comes, sees });
    let pipeline = crate::wire::bench_pipeline(&example(), ledger, world).await.unwrap();
    let place = Place::over(pipeline, |_| {}).await;
    let journal = place.shared.pipeline.journal();
    journal.reported(place.size().await).await;
    held.store(true, Ordering::Relaxed);
    let note = async |count: usize| {
        let drafts = (0..count).map(|_| draft("test.noted/1", "notes", json!({}))).collect();
        journal.commit(&journal.new_cause(), Batch::of(drafts)).await.unwrap();
    };
    for _ in 0..20 {
        note(500).await;
    }
    assert_eq!((journal.behind(), place.ready().await), (10_000, (true, vec![])));
    note(1).await;
    let because = "lists and lookups lack 10001 entries".to_owned();
    assert_eq!(place.ready().await, (false, vec![("reports".into(), because)]));
    held.store(false, Ordering::Relaxed);
    assert_eq!(journal.reported(place.size().await).await, place.size().await);
    assert_eq!(place.ready().await, (true, vec![]));
}
