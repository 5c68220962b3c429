//! What a run's end means for its intent is recorded whole or not at all, and then by the next start.

use crate::journeys::{example, paused};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use writ_core::{Actor, Draft, Filter, IntentId, Ledger, Outcome};
use writ_pipeline::{Batch, Origin, Principal, RunSignal};
use writ_sim::{Files, Site, person};

const ALLOW: &str = "description: Everything.\nowner: tests\nrules:\n  - id: ALLOW-001\n    effect: allow\n    actions: ['*']\n    message: Allowed\n";

/// Where an intent stands, and how often a component was let go.
async fn stands(site: &Site, intent: &IntentId) -> (String, usize) {
    let released = Filter { kind: Some("holding.ended/1".into()), ..Filter::default() };
    let state = doc(site, intent).await["to"].as_str().unwrap().to_owned();
    (state, site.ledger().query(&released, 10).await.unwrap().len())
}

async fn doc(site: &Site, intent: &IntentId) -> Value {
    site.pipeline().journal().doc("intents", intent.as_str()).await.unwrap().unwrap()
}

/// A site on which everything is allowed, with the example's intent carried out, and who did that.
async fn up() -> (Site, IntentId, Principal) {
    let files = Files::read(&example()).unwrap().with_policies(&[("policies.yaml", ALLOW)]).unwrap();
    let site = Site::open(Arc::new(files), 5).await.unwrap();
    let (text, by) = (std::fs::read(example().join("intent.yaml")).unwrap(), person("operator").unwrap());
    let accepted = site.pipeline().submit("intent.yaml", &text, &by, None, Origin::Intent).await.unwrap();
    site.pass(Duration::from_secs(60)).await;
    (site, accepted.prepared.manifest.intent.id, by)
}

/// Has the journal say of an intent what it says after something went wrong that cannot be brought about here.
async fn say(site: &Site, intent: &IntentId, body: Value) {
    let draft = Draft {
        action: "move_intent".into(),
        actor: Actor::system("pipeline"),
        body,
        kind: "intent.moved/1",
        outcome: Outcome::Success,
        resource: intent.to_string(),
        stream: format!("intent/{intent}"),
    };
    let journal = site.pipeline().journal();
    journal.commit(&journal.new_cause(), Batch::of(vec![draft])).await.unwrap();
}

#[test]
fn an_end_that_could_not_be_read_is_settled_by_a_restart() {
    paused(async {
        let (mut site, intent, by) = up().await;
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

#[test]
fn an_end_is_recorded_where_what_is_in_force_cannot_be_read_and_a_new_version_comes_into_force() {
    paused(async {
        let (mut site, intent, by) = up().await;
        let gone = writ_seal::sha256(b"what the disk lost");
        say(&site, &intent, json!({"to": "monitoring", "version": 1, "applied_manifest": gone})).await;
        let text = std::fs::read_to_string(example().join("intent.yaml")).unwrap();
        let four = text.replace("min_instances: 3", "min_instances: 4");
        let submit =
            async |site: &Site| site.pipeline().submit("four.yaml", four.as_bytes(), &by, None, Origin::Intent).await;
        let run = submit(&site).await.unwrap().run.unwrap();
        site.pass(Duration::from_millis(5)).await;
        let cancel = RunSignal::Cancel { compensate: false };
        site.pipeline().drive().tell(&run, cancel, &Actor::human(&by.id)).await.unwrap();
        site.pass(Duration::from_secs(10)).await;
        for _ in 0..2 {
            let doc = doc(&site, &intent).await;
            let because = "the run is cancelled; the version before stays in force, and what was recorded of an intent cannot be read: \
                           the plan or manifest of `DEPLOY-WEB-001` is missing";
            assert_eq!((&doc["to"], &doc["because"]), (&json!("degraded"), &json!(because)));
            site.restart().await.unwrap();
        }
        submit(&site).await.unwrap();
        site.pass(Duration::from_secs(10)).await;
        assert_eq!(stands(&site, &intent).await, ("monitoring".to_owned(), 0));
    });
}

#[test]
fn of_what_is_archived_at_once_no_version_is_in_force() {
    paused(async {
        let (site, intent, by) = up().await;
        let mut failed = doc(&site, &intent).await;
        site.pipeline().decommission(&intent, &by, None, "moved elsewhere").await.unwrap();
        site.pass(Duration::from_secs(120)).await;
        // It failed, and somebody took the rest away by hand.
        (failed["to"], failed["unwatched"]) = (json!("failed"), json!(true));
        say(&site, &intent, failed).await;
        let leaving = site.pipeline().decommission(&intent, &by, None, "it is gone").await.unwrap();
        assert_eq!(leaving.run, None);
        let archived = doc(&site, &intent).await;
        assert_eq!((&archived["to"], &archived["because"]), (&json!("archived"), &json!("nothing of it is there")));
        for field in ["unwatched", "applied_version", "applied_plan", "applied_manifest", "applied_environment"] {
            assert_eq!(archived[field], Value::Null, "{field}");
        }
    });
}
