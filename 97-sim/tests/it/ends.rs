//! What a run's end means for its intent is recorded whole or not at all, and then by the next start.

use crate::journeys::{example, paused};
use std::sync::Arc;
use std::time::Duration;
use writ_core::{Filter, IntentId, Ledger};
use writ_pipeline::Origin;
use writ_sim::{Files, Site, person};

const ALLOW: &str = "description: Everything.\nowner: tests\nrules:\n  - id: ALLOW-001\n    effect: allow\n    actions: ['*']\n    message: Allowed\n";

/// Where an intent stands, and how often a component was let go.
async fn stands(site: &Site, intent: &IntentId) -> (String, usize) {
    let doc = site.pipeline().journal().doc("intents", intent.as_str()).await.unwrap().unwrap();
    let released = Filter { kind: Some("holding.ended/1".into()), ..Filter::default() };
    (doc["to"].as_str().unwrap().to_owned(), site.ledger().query(&released, 10).await.unwrap().len())
}

#[test]
fn an_end_that_could_not_be_read_is_settled_by_a_restart() {
    paused(async {
        let files = Files::read(&example()).unwrap().with_policies(&[("policies.yaml", ALLOW)]).unwrap();
        let mut site = Site::open(Arc::new(files), 5).await.unwrap();
        let (text, by) = (std::fs::read(example().join("intent.yaml")).unwrap(), person("operator").unwrap());
        let accepted = site.pipeline().submit("intent.yaml", &text, &by, None, Origin::Intent).await.unwrap();
        let intent = accepted.prepared.manifest.intent.id;
        site.pass(Duration::from_secs(60)).await;
        let leaving = site.pipeline().decommission(&intent, &by, None, "moved elsewhere").await.unwrap();
        site.life().hide("held");
        site.pass(Duration::from_secs(120)).await;
        let (run, _) = site.pipeline().drive().run(&leaving.run.unwrap()).await.unwrap();
        assert!(run.state().is_over());
        assert_eq!(stands(&site, &intent).await, ("decommissioning".to_owned(), 0));
        site.restart().await.unwrap();
        assert_eq!(stands(&site, &intent).await, ("archived".to_owned(), 1));
    });
}
