//! Rows of the source, refusals, and bytes that are for ever.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use serde_json::{Value, json};
use std::time::Duration;
use writ_core::{
    Actor, ActorKind, Digest, Event, EventId, Health, Histogram, IncidentId, InstanceSample, RunId, Timestamp, Window,
};
use writ_feedback::{
    AttemptOutcome, AttemptRecord, Backtest, DecodeError, FeedbackEvent, Figures, History, IncidentRecord, Interval,
    Move, Patch, Prediction, Priority, Proposal, Rate, Recommendation, RecommendationKind, Refused, RunKind,
    RunOutcome, RunRecord, Settings, State, Targets, WhatIf, WindowRecord, Windows, decode, document, insights,
    is_last, recommend, recommendations_document, yaml,
};

fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000).plus(Duration::from_secs(second))
}

fn entry(n: u64) -> EventId {
    EventId::mint(n, [0; 10])
}

fn window(second: u64, requests: u64, errors: u64, latency_ms: u64) -> WindowRecord {
    let mut latency = Histogram::default();
    (0..requests.min(100)).for_each(|_| latency.record(latency_ms * 1_000));
    let component = "web-service-001".parse().unwrap();
    let (from, to) = (at(second), at(second + 60));
    WindowRecord {
        entry: entry(1_000 + second),
        window: Window { component, errors, from, instances: vec![], latency, requests, retried: 0, to },
    }
}

fn idle() -> InstanceSample {
    InstanceSample {
        cpu_millicores: 100,
        errors: 0,
        generation: 1,
        health: Health::Healthy,
        in_flight: 0,
        instance: "i-1".to_owned(),
        latency: Histogram::default(),
        memory_bytes: 1,
        requests: 0,
        zone: "a".to_owned(),
    }
}

/// A week like the source's: 12 attempts of which 11 helped, one deployment of 345 s, availability a little over the target.
fn week() -> History {
    let attempt = |n: u64| AttemptRecord {
        entry: entry(100 + n),
        action: "restart_instance".to_owned(),
        outcome: if n == 7 { AttemptOutcome::Failed } else { AttemptOutcome::Succeeded },
    };
    let incident = |n: u64| IncidentRecord {
        entry: entry(50 + n),
        incident: IncidentId::mint(n, [0; 10]),
        symptom: "down".to_owned(),
        onset_at: at(n * 1_000),
        opened_at: at(n * 1_000 + 1),
        over_at: Some(at(n * 1_000 + 3)),
        attempts: vec![attempt(n)],
        escalated: false,
    };
    let mut windows: Vec<WindowRecord> = (0..200).map(|n| window(n * 60, 60_000, 6, 80)).collect();
    windows.extend((200..204).map(|n| window(n * 60, 60_000, 1_200, 120)));
    let targets = Targets {
        intent: "DEPLOY-WEB-001".parse().unwrap(),
        version: 1,
        availability_ppm: Some(999_000),
        latency_p95_us: Some(100_000),
        min_instances: Some(3),
        max_instances: Some(10),
        cpu_millicores: Some(2_000),
    };
    History {
        from: at(0),
        to: at(7 * 86_400),
        runs: vec![RunRecord {
            entry: entry(1),
            run: RunId::mint(1, [0; 10]),
            kind: RunKind::Deployment,
            outcome: RunOutcome::Succeeded,
            started_at: at(0),
            ended_at: at(345),
        }],
        incidents: (1..=12).map(incident).collect(),
        windows: Windows::of(&targets, windows),
        targets,
    }
}

fn nothing() -> History {
    History { runs: vec![], incidents: vec![], windows: Windows::default(), ..week() }
}

fn source(text: &str) -> Value {
    writ_text::read("source.yaml", text.as_bytes(), &writ_text::Limits::default()).unwrap().to_json()
}

/// Every key of the source is there, and its value of the same sort.
fn same_shape(source: &Value, ours: &Value, path: &str) {
    match (source, ours) {
        (Value::Object(wanted), Value::Object(given)) => {
            for (key, value) in wanted {
                same_shape(
                    value,
                    given.get(key).unwrap_or_else(|| panic!("{path}/{key} is missing")),
                    &format!("{path}/{key}"),
                );
            }
        }
        (Value::Array(wanted), Value::Array(given)) => {
            if let (Some(wanted), Some(given)) = (wanted.first(), given.first()) {
                same_shape(wanted, given, path);
            }
        }
        (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_))
        | (Value::Bool(_), Value::Bool(_)) => {}
        (wanted, given) => panic!("{path}: {wanted} and {given}"),
    }
}

const FEEDBACK: &str = "\
feedback:
  period: '7 days'

  metrics_collected:
    deployment:
      success_rate: 98.5
      average_deployment_time: 345

    availability:
      achieved: 99.95
      target: 99.9
      delta: +0.05

    performance:
      latency_p95: 85
      target: 100
      delta: -15

    self_healing:
      recovery_attempts: 12
      successful_recoveries: 11
      success_rate: 91.7

  analysis:
    strengths:
      - 'Exceeded availability target'
      - 'Performance better than expected'
      - 'Self-healing working effectively'

    improvements:
      - '1 recovery failure needs investigation'
      - 'Consider adding buffer instances for peak load'
";

#[test]
fn row_2_11_the_feedback_document_is_the_sources_with_real_figures() {
    let history = week();
    let figures = Figures::of(&history);
    let document = document(&figures, &insights(&history, &figures));
    same_shape(&source(FEEDBACK), &document, "");
    let collected = &document["feedback"]["metrics_collected"];
    assert_eq!(document["feedback"]["period"], "7 days");
    assert_eq!(collected["deployment"]["average_deployment_time"], json!(345));
    let healing = &collected["self_healing"];
    assert_eq!(healing["recovery_attempts"], json!(12));
    assert_eq!(healing["successful_recoveries"], json!(11));
    assert_eq!(healing["success_rate"], json!(91.7));
    assert_eq!(healing["success_rate_interval"], json!({"low": 64.6, "high": 98.5, "level": 95}));
    assert_eq!(collected["availability"]["target"], json!(99.9));
    assert_eq!(collected["performance"]["target"], json!(100));
    assert_eq!(figures.violations, 4);
    let texts =
        |key: &str| -> Vec<String> { serde_json::from_value(document["feedback"]["analysis"][key].clone()).unwrap() };
    assert!(texts("strengths").contains(&"Self-healing working effectively".to_owned()));
    assert_eq!(
        texts("improvements"),
        [
            "1 recovery failure needs investigation",
            "Consider adding buffer instances for peak load: 4 of 204 windows missed a target"
        ]
    );
}

#[test]
fn one_failure_needs_investigation_and_more_need_it() {
    let mut history = week();
    let told = |history: &History| {
        let all: Vec<String> = insights(history, &Figures::of(history)).into_iter().map(|one| one.text).collect();
        all.into_iter().filter(|text| text.contains("deployment failure")).collect::<Vec<_>>()
    };
    assert_eq!(told(&history), Vec::<String>::new());
    history.runs[0].outcome = RunOutcome::Failed;
    assert_eq!(told(&history), ["1 deployment failure needs investigation"]);
    history.runs.push(history.runs[0].clone());
    assert_eq!(told(&history), ["2 deployment failures need investigation"]);
}

#[test]
fn row_2_11_twelve_attempts_of_which_eleven_helped_are_not_known_better_than_this() {
    let rate = Rate::of(11, 12).unwrap();
    assert_eq!(rate.rate_ppm, 916_667);
    // Rounded to a tenth of a percent: 64.6 to 98.5.
    let tenths = |ppm: u64| (ppm + 500) / 1_000;
    assert_eq!((tenths(rate.interval.low), tenths(rate.interval.high)), (646, 985));
}

#[test]
fn row_2_11_the_same_document_is_written_in_the_sources_hand() {
    let text = yaml(&source(FEEDBACK));
    let told: Vec<&str> = FEEDBACK.lines().filter(|line| !line.is_empty()).collect();
    let ours: Vec<&str> = text.lines().collect();
    let mut sorted = (told.clone(), ours.clone());
    sorted.0.sort_unstable();
    sorted.1.sort_unstable();
    assert_eq!(sorted.0, sorted.1);
    assert_eq!(source(&text), source(FEEDBACK));
    assert!(text.contains("      delta: +0.05\n") && text.contains("      delta: -15\n"), "{text}");

    let history = week();
    let figures = Figures::of(&history);
    let document = document(&figures, &insights(&history, &figures));
    assert_eq!(source(&yaml(&document)), document);
}

#[test]
fn row_2_11_nothing_measured_is_said_and_not_made_up() {
    let history = nothing();
    let figures = Figures::of(&history);
    let document = document(&figures, &insights(&history, &figures));
    let collected = &document["feedback"]["metrics_collected"];
    for (group, figure) in [
        ("deployment", "success_rate"),
        ("deployment", "average_deployment_time"),
        ("availability", "achieved"),
        ("availability", "delta"),
        ("performance", "latency_p95"),
        ("self_healing", "success_rate"),
    ] {
        assert_eq!(collected[group][figure], Value::Null, "{group} {figure}");
        assert!(collected[group]["no_data"].is_string(), "{group}");
    }
    assert_eq!(recommend(&history, &figures, &base(), 1, &Settings::default(), &knows_nothing()), vec![]);
}

fn base() -> Digest {
    Digest([1; 32])
}

fn knows_nothing() -> WhatIf<'static> {
    WhatIf { predict: &|_| None, backtest: &|_| None }
}

fn prediction(availability_ppm: u64, spread: u64, cost_cents: i64) -> Prediction {
    let availability = Interval { high: availability_ppm + spread, low: availability_ppm - spread };
    Prediction { availability_ppm, availability, cost_cents, level_percent: 90 }
}

fn predict(patch: Option<&Patch>) -> Option<Prediction> {
    Some(if patch.is_some() { prediction(999_700, 50, 16_200) } else { prediction(999_500, 50, 11_200) })
}

fn backtest(_: &Patch) -> Option<Backtest> {
    Some(Backtest { replayed: "7 days".to_owned(), violations_after: 0, violations_before: 4 })
}

fn week_recommendations() -> Vec<Recommendation> {
    let history = week();
    let what_if = WhatIf { predict: &predict, backtest: &backtest };
    recommend(&history, &Figures::of(&history), &base(), 1, &Settings::default(), &what_if)
}

const RECOMMENDATION: &str = "\
recommendations:
  - recommendation_id: 'OPT-001'
    type: 'capacity_optimization'
    description: 'Add 1 buffer instance to handle peak load'
    expected_benefit:
      availability_improvement: '+0.02%'
      cost_increase: '+$50/month'
    priority: 'medium'
    approval_required: true

  - recommendation_id: 'OPT-002'
    type: 'self_healing_improvement'
    description: 'Investigate failed recovery attempt'
    expected_benefit:
      self_healing_success_rate: '+5%'
      cost: '0'
    priority: 'high'
    approval_required: false
";

#[test]
fn row_2_12_the_recommendations_are_the_sources_with_evidence_interval_and_patch() {
    let ours = recommendations_document(&week_recommendations());
    let by_kind = |document: &Value, kind: &str| {
        document["recommendations"].as_array().unwrap().iter().find(|one| one["type"] == kind).unwrap().clone()
    };
    let wanted = source(RECOMMENDATION);
    for kind in ["capacity_optimization", "self_healing_improvement"] {
        same_shape(&by_kind(&wanted, kind), &by_kind(&ours, kind), kind);
    }
    let capacity = by_kind(&ours, "capacity_optimization");
    assert_eq!(capacity["description"], by_kind(&wanted, "capacity_optimization")["description"]);
    assert_eq!(capacity["expected_benefit"], by_kind(&wanted, "capacity_optimization")["expected_benefit"]);
    assert_eq!(capacity["confidence"]["availability_improvement"]["interval"], json!(["+0.01%", "+0.03%"]));
    assert_eq!(
        capacity["patch"],
        json!({
            "base": base(),
            "ops": [{"op": "replace", "path": "/requirements/scalability/min_instances", "value": 4}],
            "target": "intent/DEPLOY-WEB-001",
        })
    );
    assert_eq!(capacity["evidence"]["audit_events"].as_array().unwrap().len(), 4);
    assert_eq!(capacity["backtest"]["violations_before"], json!(4));
    assert_eq!((&capacity["priority"], &capacity["approval_required"]), (&json!("medium"), &json!(true)));

    let healing = by_kind(&ours, "self_healing_improvement");
    assert_eq!((&healing["priority"], &healing["approval_required"]), (&json!("high"), &json!(false)));
    assert_eq!(healing["expected_benefit"]["self_healing_success_rate"], "+8.33%");
    assert_eq!(healing["evidence"]["audit_events"], json!([entry(107)]));
    assert!(healing["caveat"].as_str().unwrap().starts_with("rests on 12 attempts; about "), "{healing}");
}

#[test]
fn row_2_12_a_change_needs_approval_and_no_benefit_stands_without_its_interval() {
    for one in week_recommendations() {
        assert_eq!(one.approval_required, one.patch.is_some(), "{}", one.id);
        assert!(!one.evidence.is_empty() && !one.benefits.is_empty(), "{}", one.id);
        for benefit in &one.benefits {
            assert!(benefit.low <= benefit.expected && benefit.expected <= benefit.high, "{benefit:?}");
        }
    }
    let ids: Vec<String> = week_recommendations().iter().map(|one| one.id.to_string()).collect();
    assert_eq!(ids, ["OPT-001", "OPT-002"]);
}

#[test]
fn nothing_is_recommended_that_the_solver_cannot_vouch_for() {
    let history = week();
    let figures = Figures::of(&history);
    let kinds = |what_if: &WhatIf<'_>| -> Vec<RecommendationKind> {
        recommend(&history, &figures, &base(), 1, &Settings::default(), what_if).iter().map(|one| one.kind).collect()
    };
    assert_eq!(kinds(&knows_nothing()), [RecommendationKind::SelfHealingImprovement]);
    let useless = WhatIf { predict: &|_| Some(prediction(999_500, 50, 11_200)), backtest: &backtest };
    assert_eq!(kinds(&useless), [RecommendationKind::SelfHealingImprovement]);
    let mut full = week();
    full.targets.max_instances = Some(3);
    let what_if = WhatIf { predict: &predict, backtest: &backtest };
    let found = recommend(&full, &figures, &base(), 1, &Settings::default(), &what_if);
    assert!(found.iter().all(|one| one.patch.is_none()), "no room to grow");
}

#[test]
fn idle_instances_may_be_saved_when_the_target_still_holds() {
    let mut history = week();
    let mut windows: Vec<WindowRecord> = (0..60).map(|n| window(n * 60, 1_000, 0, 20)).collect();
    windows.iter_mut().for_each(|one| one.window.instances.push(idle()));
    history.windows = Windows::of(&history.targets, windows);
    let figures = Figures::of(&history);
    let cheaper = |low: u64| {
        move |patch: Option<&Patch>| {
            Some(if patch.is_some() { prediction(low + 50, 50, 7_500) } else { prediction(999_800, 50, 11_200) })
        }
    };
    let found = |low: u64| {
        let predict = cheaper(low);
        let what_if = WhatIf { predict: &predict, backtest: &backtest };
        let all = recommend(&history, &figures, &base(), 7, &Settings::default(), &what_if);
        all.into_iter().find(|one| one.kind == RecommendationKind::CapacityOptimization)
    };
    let one = found(999_100).unwrap();
    assert_eq!((one.description.as_str(), one.priority), ("Remove 1 instance that idles", Priority::Low));
    assert_eq!(one.benefits[1].tell(), "-$37/month");
    assert_eq!(found(998_900), None, "the target would not hold");
}

fn proposal() -> Proposal {
    let all = week_recommendations();
    Proposal {
        recommendation: all.into_iter().find(|one| one.patch.is_some()).unwrap(),
        author: Actor::system("feedback"),
        digest: Digest([9; 32]),
        expires_at: at(1_000),
        state: State::Active,
    }
}

fn person(name: &str) -> Actor {
    Actor { id: name.to_owned(), kind: ActorKind::Human }
}

#[test]
fn an_approval_binds_to_what_was_shown_and_to_the_intent_it_was_made_for() {
    let (shown, base) = (Digest([9; 32]), base());
    let mut proposal = proposal();
    let step = proposal.approve(&person("p-2"), &shown, &base, at(10)).unwrap();
    assert_eq!(step, Move::Approve { by: person("p-2"), digest: shown });
    proposal.apply(&step).unwrap();
    assert_eq!(proposal.state.label(), "approved");
    let again = proposal.approve(&person("p-3"), &shown, &base, at(11));
    assert!(matches!(again, Err(Refused::Illegal { .. })), "an approval is used once: {again:?}");
}

#[test]
fn stale_self_made_and_foreign_approvals_are_refused() {
    let (shown, base, other) = (Digest([9; 32]), base(), Digest([2; 32]));
    let told = |proposal: &Proposal, by: &Actor, shown: &Digest, intent: &Digest, now: u64| {
        proposal.approve(by, shown, intent, at(now)).unwrap_err().to_string()
    };
    let made = proposal();
    let id = &made.recommendation.id;
    assert_eq!(
        told(&made, &Actor::system("feedback"), &shown, &base, 10),
        format!("`system:feedback` is not a person and cannot approve `{id}`")
    );
    let agent = Actor { id: "ops-bot".to_owned(), kind: ActorKind::Agent };
    assert_eq!(
        told(&made, &agent, &shown, &base, 10),
        format!("`agent:ops-bot` is not a person and cannot approve `{id}`")
    );
    let own = Proposal { author: person("p-1"), ..made.clone() };
    assert_eq!(
        told(&own, &person("p-1"), &shown, &base, 10),
        format!("`human:p-1` made `{id}` and cannot approve it; another person must")
    );
    assert_eq!(
        told(&made, &person("p-2"), &shown, &other, 10),
        format!("`{id}` was made for {base} and the intent is {other} by now; a new recommendation is needed")
    );
    assert_eq!(
        told(&made, &person("p-2"), &other, &base, 10),
        format!("what was shown, {other}, is not `{id}` as it stands, {shown}; look at it again")
    );
    assert_eq!(
        told(&made, &person("p-2"), &shown, &base, 1_000),
        format!("`{id}` expired at 2026-01-01T00:16:40.000000Z")
    );
    let dismissed = Proposal { state: State::Dismissed, ..made.clone() };
    assert!(matches!(dismissed.approve(&person("p-2"), &shown, &base, at(10)), Err(Refused::Illegal { .. })));
    let mut advice = made.clone();
    advice.recommendation.patch = None;
    assert!(matches!(advice.approve(&person("p-2"), &shown, &base, at(10)), Err(Refused::NoPatch { .. })));
    assert_eq!(
        told(&advice, &person("p-2"), &shown, &base, 10),
        format!("`{id}` changes nothing, so there is nothing to approve; do what it says, or reject it")
    );
}

/// One of each kind. A line is never changed; a new version of a kind adds one.
const GOLDEN: &str = include_str!("golden/events.ndjson");

#[test]
fn every_kind_is_read_and_written_as_it_always_was() {
    let mut kinds = std::collections::BTreeSet::new();
    for line in GOLDEN.lines() {
        let (kind, body) = line.split_once(' ').unwrap();
        let value = serde_json::from_str(body).unwrap();
        let event = decode(kind, &value).unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        let draft = event.draft(&Actor::system("feedback"));
        // What was made before the intent was recorded is read as it is, and would be written as the newest.
        let newest = if kind == "recommend.made/1" { "recommend.made/2" } else { kind };
        assert_eq!((draft.kind, serde_json::to_string(&draft.body).unwrap().as_str()), (newest, body));
        if let FeedbackEvent::Made(made) = event {
            assert_eq!(Proposal::made(&made).state, State::Active);
        }
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 16, "{kinds:?}");
    let last: Vec<&str> = kinds.into_iter().filter(|kind| is_last(kind)).collect();
    let over = ["dismissed", "expired", "missed", "realised", "reverted", "superseded"];
    assert_eq!(last, over.map(|one| format!("recommend.{one}/1")));
}

#[test]
fn a_body_under_another_kind_is_refused() {
    let body = json!({"at": at(1), "move": "realise", "recommendation": "OPT-001"});
    assert!(matches!(decode("recommend.missed/1", &body), Err(DecodeError::Mismatch { .. })));
    assert!(matches!(decode("recommend.realised/1", &json!({})), Err(DecodeError::Body { .. })));
    assert!(matches!(decode("incident.opened/1", &body), Err(DecodeError::Kind { .. })));
}

#[test]
fn bodies_hold_whole_numbers_only() {
    fn whole(value: &Value) -> bool {
        match value {
            Value::Number(number) => !number.is_f64(),
            Value::Array(items) => items.iter().all(whole),
            Value::Object(map) => map.values().all(whole),
            Value::Null | Value::Bool(_) | Value::String(_) => true,
        }
    }
    let history = week();
    let figures = Figures::of(&history);
    let intent = history.targets.intent.clone();
    let draft = writ_feedback::collected_draft(&intent, &figures, &Actor::system("feedback"));
    assert!(whole(&draft.body), "{}", draft.body);
    assert_eq!(serde_json::from_value::<Figures>(draft.body).unwrap(), figures);
    for one in week_recommendations() {
        assert!(whole(&serde_json::to_value(one).unwrap()));
    }
}
