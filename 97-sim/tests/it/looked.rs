//! What somebody looked at must still be so when what they ask for is recorded, where that is done by a task of its own, too.

use crate::journeys::{example, paused};
use std::sync::Arc;
use std::time::Duration;
use writ_core::{ComponentId, IncidentId};
use writ_pipeline::{Expect, HealSignal, Looked, Origin, while_still};
use writ_sim::{Files, Site, person};

const ALLOW: &str = "description: Everything.\nowner: tests\nrules:\n  - id: ALLOW-001\n    effect: allow\n    actions: ['*']\n    message: Allowed\n";

#[test]
fn of_two_who_looked_at_the_same_incident_one_is_heard() {
    paused(async {
        let files = Files::read(&example()).unwrap().with_policies(&[("policies.yaml", ALLOW)]).unwrap();
        let site = Site::open(Arc::new(files), 5).await.unwrap();
        let (text, by) = (std::fs::read(example().join("intent.yaml")).unwrap(), person("operator").unwrap());
        site.pipeline().submit("intent.yaml", &text, &by, None, Origin::Intent).await.unwrap();
        site.pass(Duration::from_secs(60)).await;
        // A slot that nothing brings back keeps its incident open.
        let slot = site.world.instances()[0].0.clone();
        site.world.break_slot(&slot, true);
        assert!(site.world.kill(&slot));
        site.pass(Duration::from_secs(20)).await;
        let journal = site.pipeline().journal();
        let (docs, _) = journal.docs("incidents", "", None, 10).await.unwrap();
        let (id, doc) = docs.first().unwrap();
        let component: ComponentId = doc["component"].as_str().unwrap().parse().unwrap();
        let incident: IncidentId = id.parse().unwrap();
        let healing = site.pipeline().healing(&component).unwrap();
        let stream = format!("incident/{id}");
        let version = journal.ledger().stream_version(&stream).await.unwrap();
        let tell = || healing.tell(HealSignal::Acknowledge { incident: incident.clone(), by: by.id.clone() });
        let seen = Expect { stream: stream.clone(), version };
        let ((left, one), (right, other)) =
            tokio::join!(while_still(seen.clone(), tell()), while_still(seen.clone(), tell()));
        assert_eq!((left, one), (Ok(()), Looked::Changed));
        assert!(right.unwrap_err().contains("has moved"));
        assert_eq!(other, Looked::Still(seen.clone()), "it is found by looking where the stream stands");
        let entries = journal.stream(&stream).await.unwrap();
        let heard = entries.iter().filter(|entry| entry.kind == "incident.acknowledged/1").count();
        assert_eq!(heard, 1);
        assert!(journal.ledger().stream_version(&stream).await.unwrap() > version);
    });
}
