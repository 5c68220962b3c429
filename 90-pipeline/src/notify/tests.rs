use super::matter::{asked, channel_next, delivered, failed, is_for, matter, tested};
use super::post::{Tries, patience};
use super::remind::is_soon;
use super::telling::{Named, telling};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;
use writ_core::{Actor, Draft, Entry, EventId, NotifyError, Outcome, Severity, Timestamp, TraceId};

const AT: i64 = 1_767_225_600_000_000;

fn entry(seq: u64, kind: &str, body: Value) -> Entry {
    Entry {
        action: "test".into(),
        actor: Actor::system("test"),
        body,
        cause: None,
        event_id: EventId::mint(1, [7; 10]),
        kind: kind.into(),
        outcome: Outcome::Success,
        prev: "0".repeat(64),
        resource: "web-service-001".into(),
        seq,
        stream: "run/run_1".into(),
        timestamp: Timestamp::from_micros(AT),
        trace_id: TraceId::of([1; 16]),
        trace_seq: 0,
        version: 1,
    }
}

fn sealed(seq: u64, draft: Draft) -> Entry {
    Entry { stream: draft.stream, outcome: draft.outcome, ..entry(seq, draft.kind, draft.body) }
}

#[test]
fn what_a_channel_did_is_written_so() {
    let of = entry(12, "approval.asked/1", json!({}));
    let id = of.event_id.as_str();
    for (draft, kind, body) in [
        (
            delivered("slack", &of, 20, 2),
            "notification.delivered/1",
            json!({"attempts": 2, "channel": "slack", "count": 20, "of": id, "seq": 12}),
        ),
        (
            failed("slack", &of, 3, 8, "it answers 500"),
            "notification.failed/1",
            json!({"attempts": 8, "because": "it answers 500", "channel": "slack", "count": 3, "of": id, "seq": 12}),
        ),
        (
            tested("slack", &of, None),
            "notification.delivered/1",
            json!({"attempts": 1, "channel": "slack", "count": 1, "of": id, "seq": 12, "test": true}),
        ),
        (
            asked("changes", "run_1", "s-1", "instance.ensure", "web/i-1"),
            "notification.asked/1",
            json!({"channel": "changes", "resource": "web/i-1", "run": "run_1", "step": "s-1", "verb": "instance.ensure"}),
        ),
    ] {
        assert_eq!((draft.kind, &draft.body), (kind, &body));
    }
}

#[test]
fn a_channel_goes_on_behind_what_was_dealt_with_last_and_a_test_moves_nothing() {
    let of = entry(12, "approval.asked/1", json!({}));
    let opened = entry(5, "notification.channel_opened/1", json!({"channel": "slack", "seq": 5}));
    let doc = channel_next(None, &opened).unwrap();
    assert_eq!(doc["upto"], 5);
    let tried = channel_next(Some(&doc), &sealed(13, tested("slack", &of, Some("it answers 404")))).unwrap();
    assert_eq!((&tried["upto"], &tried["failed"]["because"]), (&json!(5), &json!("it answers 404")));
    let doc = channel_next(Some(&doc), &sealed(14, delivered("slack", &of, 1, 1))).unwrap();
    assert_eq!((&doc["upto"], doc["delivered"].is_object(), doc.get("failed")), (&json!(13), true, None));
    let before = channel_next(Some(&doc), &opened).unwrap();
    assert_eq!(before["upto"], 13, "opening it again tells nothing again");
}

#[test]
fn each_channel_gets_what_is_for_it() {
    let all = ["console", "slack"];
    let told = |severity: Severity, channel: Option<&str>| json!({"severity": severity, "channel": channel});
    for (told, slack) in [
        (told(Severity::High, None), true),
        (told(Severity::Critical, None), true),
        (told(Severity::Medium, None), false),
        (told(Severity::Medium, Some("slack")), true),
        (told(Severity::Medium, Some("console")), false),
        (told(Severity::Medium, Some("changes")), true),
    ] {
        assert_eq!(is_for(&told, "slack", &all, Severity::High), slack, "{told}");
    }
}

#[test]
fn a_refusal_is_final_a_fault_is_tried_eight_times_and_silence_for_a_day() {
    let because = || "x".to_owned();
    let (unreachable, failed) =
        (NotifyError::Unreachable { because: because() }, NotifyError::Failed { because: because() });
    let refused = NotifyError::Refused { because: because() };
    let tries = |attempts, faults| Tries { attempts, faults };
    let (hour, day) = (Duration::from_secs(3_600), Duration::from_secs(86_400));
    for (error, tries, age, again) in [
        (&refused, tries(1, 0), Duration::ZERO, false),
        (&failed, tries(7, 7), hour, true),
        (&failed, tries(8, 8), hour, false),
        (&failed, tries(40, 3), hour, true),
        (&unreachable, tries(1, 0), Duration::ZERO, true),
        (&unreachable, tries(u64::MAX, 0), day - Duration::from_secs(1), true),
        (&unreachable, tries(1, 0), day, false),
    ] {
        assert_eq!(patience(error, tries, age, 3).is_some(), again, "{error} {tries:?} {age:?}");
    }
}

proptest! {
    #[test]
    fn no_wait_is_longer_than_six_minutes_or_shorter_than_most_of_a_second(attempts: u64, seed: u64) {
        let error = NotifyError::Unreachable { because: "x".into() };
        let wait = patience(&error, Tries { attempts, faults: 0 }, Duration::ZERO, seed).unwrap();
        prop_assert!(wait >= Duration::from_millis(800) && wait <= Duration::from_secs(360), "{wait:?}");
    }
}

#[test]
fn something_expires_soon_in_its_last_week_or_its_last_fifth() {
    let at = |hours: u64| Timestamp::from_micros(AT).plus(Duration::from_secs(hours * 3_600));
    for (until, now, soon) in [
        (100, 79, false),
        (100, 80, true),
        (100, 99, true),
        (100, 100, false),
        (24 * 90, 24 * 83 - 1, false),
        (24 * 90, 24 * 83, true),
    ] {
        assert_eq!(is_soon(at(0), at(until), at(now)), soon, "{until} {now}");
    }
}

/// Every sort of entry that is told, with what is said of it.
#[test]
fn what_is_told_has_a_line_a_sentence_and_a_way_to_it() {
    let named = Named {
        address: "https://writ.example".into(),
        approvers: "approver".into(),
        by: "Ada".into(),
        seen: "process ended".into(),
        rules: vec!["SEC-001".into(), "COST-002".into()],
        intent: "DEPLOY-WEB-001".into(),
    };
    let terms = json!({"count": 2, "role": "approver", "also": {"owner": 1}, "expires_at": "2026-01-02T00:00:00Z"});
    let incident = |more: Value| {
        let mut body = json!({"incident": "inc_1", "component": "web-service-001"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let told = [
        entry(1, "approval.asked/1", json!({"approval_id": "apr_1", "run": "run_1", "step": null, "terms": terms})),
        entry(
            1,
            "approval.asked/1",
            json!({"approval_id": "apr_1", "change": "roles", "subject": "roles: person-02", "terms": terms}),
        ),
        entry(
            1,
            "approval.glass_broken/1",
            json!({"actions": ["*"], "scope": ["web/*"], "until": "2026-01-01T01:00:00Z"}),
        ),
        entry(1, "governance.review_overdue/1", json!({"approval": "apr_1", "broken_at": "A", "due": "B"})),
        entry(
            1,
            "governance.expires_soon/1",
            json!({"what": "waiver", "id": "wai_1", "about": "R-1 on X", "expires_at": "B"}),
        ),
        entry(
            1,
            "policy.waiver_asked/1",
            json!({"waiver": "wai_1", "rule": "R-1", "subject": "WEB-1", "expires_at": "B"}),
        ),
        Entry { stream: "recommendation/OPT-001".into(), ..entry(1, "recommend.activated/1", json!({})) },
        entry(1, "incident.opened/1", incident(json!({"instance": "i-2", "symptom": "down", "seen": "process ended"}))),
        entry(1, "incident.remedy_held/1", incident(json!({"because": "kill_switch"}))),
        entry(1, "incident.remedy_denied/1", incident(json!({"because": "no rule allows it"}))),
        entry(1, "incident.escalated/1", incident(json!({"because": "attempts", "attempts": 3}))),
        entry(1, "incident.resolved/1", incident(json!({"because": "verified"}))),
        entry(1, "run.needs_operator/1", json!({"because": "nobody can tell what came of it"})),
        entry(
            1,
            "run.step_denied/1",
            json!({"denial": {"findings": [{"rule": "R-1", "message": "not now"}]}, "step": {"action": "deploy_instances"}}),
        ),
        entry(1, "intent.moved/1", json!({"to": "failed", "because": "the run is failed"})),
        entry(
            1,
            "intent.moved/1",
            json!({"from": "decommissioning", "to": "degraded", "because": "part of it was taken away"}),
        ),
        entry(
            1,
            "notification.asked/1",
            json!({"channel": "changes", "run": "run_1", "step": "s", "verb": "v", "resource": "r"}),
        ),
    ];
    let lines: Vec<String> = told
        .iter()
        .map(|entry| {
            let told = telling(entry, matter(entry).unwrap(), &named);
            format!(
                "{} | {} | {} | {}",
                told.severity,
                told.title,
                told.text,
                told.link.replace("https://writ.example", "")
            )
        })
        .collect();
    let expected = [
        "high | approval asked: a change of DEPLOY-WEB-001 | Ada asks for 2 approver and 1 owner to agree, until 2026-01-02T00:00:00Z. | /approvals/apr_1",
        "high | approval asked: a change of what governs, roles: person-02 | Ada asks for 2 approver and 1 owner to agree, until 2026-01-02T00:00:00Z. | /approvals/apr_1",
        "critical | Ada has broken the glass until 2026-01-01T01:00:00Z | * on web/* pass without approval until then. Somebody else must review it afterwards. | /approvals/run_1",
        "high | nobody has reviewed that Ada broke the glass | It was broken at A, and should have been reviewed by B. | /approvals/apr_1",
        "high | a waiver expires soon: R-1 on X | It expires on B; from then on the rule holds again. | /policy#waivers",
        "high | waiver asked: R-1 | Ada asks for R-1 not to hold on WEB-1 until B; somebody else has to agree. | /policy#waivers",
        "medium | OPT-001: a recommendation is made | It waits for somebody to approve or to dismiss it. | /recommendations/OPT-001",
        "medium | web-service-001: i-2 is down | Process ended. | /incidents/inc_1",
        "high | web-service-001: a remedy is held back, a kill switch is pulled | Nothing is tried until that is over. | /incidents/inc_1",
        "high | web-service-001: a remedy is denied | No rule allows it. | /incidents/inc_1",
        "critical | web-service-001: an incident needs a person | After 3 attempts none has helped. Nothing more is tried until the incident is closed. | /incidents/inc_1",
        "info | web-service-001: an incident is resolved | It is as it should be. | /incidents/inc_1",
        "critical | DEPLOY-WEB-001: a change needs an operator | Nobody can tell what came of it. | /runs/run_1",
        "high | DEPLOY-WEB-001: deploy instances is denied | Not now. | /runs/run_1",
        "high | web-service-001: a version was not brought about | It is not in force: the run is failed. | /intents/web-service-001",
        "high | web-service-001: it was not taken away | Part of it was taken away. | /intents/web-service-001",
        "medium | v on r begins | A policy has this told to changes. | /runs/run_1",
    ];
    assert_eq!(lines, expected);
    let asked = telling(&told[0], matter(&told[0]).unwrap(), &named);
    assert!(asked.facts.contains(&("demanded by", "SEC-001, COST-002".into())), "{:?}", asked.facts);
    assert_eq!((asked.id, asked.audience.as_deref()), (told[0].event_id.to_string(), Some("approver")));
}

#[test]
fn what_is_no_news_is_not_told() {
    for (kind, body) in [
        ("incident.remedy_held/1", json!({"because": "cool_down"})),
        ("incident.remedy_denied/1", json!({"by": "person"})),
        ("run.step_denied/1", json!({"denial": {"approval": "apr_1"}})),
        ("intent.moved/1", json!({"to": "active"})),
        ("approval.voted/1", json!({})),
        ("notification.delivered/1", json!({})),
        ("notification.failed/1", json!({})),
    ] {
        assert_eq!(matter(&entry(1, kind, body)), None, "{kind}");
    }
}
