//! Telling people: what a channel is given, and what becomes of it when the channel, or the control plane, does not do well.

use crate::journeys::{example, paused};
use std::sync::Arc;
use std::time::Duration;
use writ_core::{Actor, Draft, Entry, Filter, Ledger, NotifyError, Outcome, Severity};
use writ_pipeline::{Batch, GlassWish, Origin, decode};
use writ_sim::{Deathbed, Files, Moment, Site, person};

const HOUR: Duration = Duration::from_secs(3_600);

async fn site(told: bool) -> Site {
    let files = Files::read(&example()).unwrap();
    let files = if told { files.with_channel() } else { files };
    Site::open(Arc::new(files), 11).await.unwrap()
}

/// Breaks the glass, which is told at once; each person has one at a time.
async fn happens(site: &Site, who: &str) {
    let wish = GlassWish { actions: vec!["*".into()], targets: vec![who.into()], span: Duration::from_secs(60) };
    site.pipeline().break_glass(wish, "because", &person(who).unwrap()).await.unwrap();
    site.pass(Duration::from_millis(100)).await;
}

async fn entries(site: &Site, kind: &str) -> Vec<Entry> {
    let wanted = Filter { kind: Some(kind.to_owned()), ..Filter::default() };
    site.ledger().query(&wanted, 1_000).await.unwrap().iter().map(|stored| decode(stored).unwrap()).collect()
}

fn texts(site: &Site) -> Vec<String> {
    site.channel.handed().into_iter().map(|telling| telling.text.split(' ').nth(2).unwrap().to_owned()).collect()
}

#[test]
fn a_channel_that_is_new_is_not_told_of_what_is_past() {
    paused(async {
        let mut site = site(false).await;
        happens(&site, "operator").await;
        let told = site.files().with_channel();
        site.change_files(Arc::new(told));
        site.restart().await.unwrap();
        site.pass(HOUR).await;
        assert_eq!(texts(&site), Vec::<String>::new());
        happens(&site, "deputy").await;
        assert_eq!(texts(&site), ["deputy"]);
        site.restart().await.unwrap();
        site.pass(HOUR).await;
        assert_eq!(texts(&site), ["deputy"], "and nothing again");
    });
}

#[test]
fn what_was_handed_over_and_not_recorded_is_handed_over_again_under_the_same_id() {
    paused(async {
        let mut site = site(true).await;
        let kind = "notification.delivered".to_owned();
        site.life().end_at(Deathbed { moment: Moment::Before, kind, spared: 0 });
        happens(&site, "operator").await;
        assert!(site.life().is_over());
        site.restart().await.unwrap();
        site.pass(HOUR).await;
        let handed = site.channel.handed();
        assert_eq!((handed.len(), &handed[0]), (2, &handed[1]));
        assert_eq!(entries(&site, "notification.delivered/1").await.len(), 1);
    });
}

#[test]
fn what_a_channel_refuses_is_given_up_and_the_next_is_told() {
    paused(async {
        let site = site(true).await;
        site.channel.says(Some(NotifyError::Refused { because: "it answers 400".into() }));
        happens(&site, "operator").await;
        let failed = entries(&site, "notification.failed/1").await;
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].body["because"], "it is refused: it answers 400");
        let state = site.pipeline().channels().await.unwrap().remove(0);
        assert!(state.ails().unwrap().contains("did not take the last notification"), "{:?}", state.ails());
        site.channel.says(None);
        happens(&site, "deputy").await;
        assert_eq!(texts(&site), ["deputy"]);
        let state = site.pipeline().channels().await.unwrap().remove(0);
        assert_eq!((state.ails(), state.waiting), (None, 0));
    });
}

#[test]
fn what_fails_at_the_other_side_is_tried_eight_times_and_does_not_hold_up_the_next_for_ever() {
    paused(async {
        let site = site(true).await;
        site.channel.says(Some(NotifyError::Failed { because: "it answers 500".into() }));
        happens(&site, "operator").await;
        happens(&site, "deputy").await;
        site.pass(HOUR).await;
        assert_eq!(site.channel.tried(), 16);
        let failed = entries(&site, "notification.failed/1").await;
        assert_eq!(failed.iter().map(|entry| entry.body["attempts"].as_u64().unwrap()).collect::<Vec<_>>(), [8, 8]);
    });
}

#[test]
fn a_dead_channel_is_tried_for_a_day_and_what_is_older_is_given_up_in_one_entry() {
    paused(async {
        let site = site(true).await;
        site.channel.says(Some(NotifyError::Unreachable { because: "nobody is there".into() }));
        happens(&site, "operator").await;
        happens(&site, "deputy").await;
        site.pass(HOUR).await;
        let state = site.pipeline().channels().await.unwrap().remove(0);
        assert_eq!(state.waiting, 2);
        assert!(state.ails().unwrap().contains("takes nothing since"), "{:?}", state.ails());
        assert!(site.channel.tried() < 30, "{}", site.channel.tried());
        site.pass(HOUR * 25).await;
        let failed = entries(&site, "notification.failed/1").await;
        let count: u64 = failed.iter().map(|entry| entry.body["count"].as_u64().unwrap()).sum();
        assert!(count >= 2, "{failed:?}");
        site.channel.says(None);
        site.pass(HOUR).await;
        assert!(texts(&site).iter().all(|text| text != "operator" && text != "deputy"), "{:?}", texts(&site));
    });
}

#[test]
fn a_slow_channel_holds_up_nothing_else() {
    paused(async {
        let site = site(true).await;
        site.channel.takes(Duration::from_secs(3_600 * 24));
        happens(&site, "deputy").await;
        let text = std::fs::read(example().join("intent.yaml")).unwrap();
        site.pipeline().submit("intent.yaml", &text, &person("operator").unwrap(), None, Origin::Intent).await.unwrap();
        site.pass(Duration::from_secs(5)).await;
        assert_eq!(entries(&site, "run.succeeded/1").await.len(), 1);
        site.world.kill("web-service-001/i-2");
        site.pass(Duration::from_secs(20)).await;
        assert_eq!(entries(&site, "incident.resolved/1").await.len(), 1);
        let state = site.pipeline().channels().await.unwrap().remove(0);
        assert_eq!((state.waiting, site.channel.handed().len()), (1, 0));
    });
}

#[test]
fn twenty_that_wait_are_told_as_one_and_what_needs_somebody_now_by_itself() {
    paused(async {
        let site = site(true).await;
        site.channel.says(Some(NotifyError::Unreachable { because: "nobody is there".into() }));
        let ask = || Draft {
            action: "test".into(),
            actor: Actor::system("test"),
            body: serde_json::json!({"channel": "sim", "resource": "r", "run": "run_1", "step": "s", "verb": "v"}),
            kind: "notification.asked/1",
            outcome: Outcome::Started,
            resource: "r".into(),
            stream: "test".into(),
        };
        let journal = site.pipeline().journal();
        journal.commit(&journal.new_cause(), Batch::of(vec![ask()])).await.unwrap();
        site.pass(Duration::from_millis(100)).await;
        journal.commit(&journal.new_cause(), Batch::of((0..25).map(|_| ask()).collect())).await.unwrap();
        happens(&site, "operator").await;
        site.channel.says(None);
        site.pass(HOUR).await;
        let titles: Vec<String> = site.channel.handed().into_iter().map(|telling| telling.title).collect();
        let (single, several) = ("v on r begins".to_owned(), "20 things at once".to_owned());
        let glass = titles.last().unwrap().clone();
        assert!(glass.contains("has broken the glass"), "{titles:?}");
        assert_eq!(titles, [vec![single.clone(), several], vec![single; 5], vec![glass]].concat());
        let counts: Vec<_> =
            entries(&site, "notification.delivered/1").await.iter().map(|entry| entry.body["count"].clone()).collect();
        assert_eq!(counts, [1, 20, 1, 1, 1, 1, 1, 1]);
    });
}

#[test]
fn every_channel_answers_a_test_and_that_is_an_entry() {
    paused(async {
        let site = site(true).await;
        let by = Actor::human(&person("operator").unwrap().id);
        let tested = site.pipeline().test_channels(&by).await.unwrap();
        assert_eq!((tested.len(), &*tested[0].channel, &tested[0].because), (1, "sim", &None));
        site.channel.says(Some(NotifyError::Unreachable { because: "nobody is there".into() }));
        let tested = site.pipeline().test_channels(&by).await.unwrap();
        assert_eq!(tested[0].because.as_deref(), Some("nobody takes it now: nobody is there"));
        assert_eq!(entries(&site, "notification.tested/1").await.len(), 2);
        site.channel.says(None);
        happens(&site, "deputy").await;
        assert_eq!(site.channel.handed().len(), 2, "a test is not in the way of what is to be told");
    });
}

#[test]
fn that_nothing_can_be_recorded_any_more_is_told_all_the_same() {
    paused(async {
        let site = site(true).await;
        // Somebody else takes the journal over: the next commit of this one finds that out.
        let head = site.ledger().head().await.unwrap().unwrap();
        site.ledger().take_over(head).await.unwrap();
        let wish = GlassWish { actions: vec!["*".into()], targets: vec!["x".into()], span: Duration::from_secs(60) };
        site.pipeline().break_glass(wish, "because", &person("operator").unwrap()).await.unwrap_err();
        site.pass(Duration::from_secs(1)).await;
        let told = site.channel.handed();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((told[0].topic, told[0].severity), ("journal_closed", Severity::Critical));
        assert!(told[0].text.contains("the journal has moved on without this writer"), "{}", told[0].text);
    });
}

#[test]
fn a_stop_that_was_asked_for_tells_nobody() {
    paused(async {
        let site = site(true).await;
        site.pipeline().stop().await;
        site.pass(HOUR).await;
        assert_eq!(site.channel.handed(), []);
    });
}

#[test]
fn row_0_15_what_policy_denies_is_not_done_and_somebody_is_told() {
    paused(async {
        let policies = "description: Not now.\nowner: tests\nrules:\n  - id: ALLOW-001\n    effect: allow\n    actions: ['*']\n    message: Allowed\n  - id: FREEZE-001\n    effect: deny\n    actions: [restart_instance]\n    message: nothing is restarted today\n";
        let files = Files::read(&example()).unwrap().with_policies(&[("policies.yaml", policies)]).unwrap();
        let site = Site::open(Arc::new(files.with_channel()), 5).await.unwrap();
        let text = std::fs::read(example().join("intent.yaml")).unwrap();
        site.pipeline().submit("intent.yaml", &text, &person("operator").unwrap(), None, Origin::Intent).await.unwrap();
        site.pass(Duration::from_secs(5)).await;
        let generation = |site: &Site| site.world.instances().iter().map(|(_, generation, _)| *generation).sum::<u64>();
        let before = generation(&site);
        site.world.kill("web-service-001/i-2");
        site.pass(Duration::from_secs(60)).await;
        assert_eq!(generation(&site), before, "nothing was started anew");
        let told = site.channel.notices();
        let denied = told.iter().find(|telling| telling.topic == "remedy_denied").unwrap_or_else(|| panic!("{told:?}"));
        assert_eq!((&*denied.title, denied.severity), ("web-service-001: a remedy is denied", Severity::High));
        assert!(
            denied.text.contains("FREEZE-001") || denied.text.contains("othing is restarted today"),
            "{}",
            denied.text
        );
        assert!(told.iter().any(|telling| telling.topic == "incident_escalated"), "it waits for a person: {told:?}");
    });
}
