//! The gate within the pipeline: what nothing allows is denied, obligations are kept, and what was decided on facts that have
//! changed since is decided anew.

use crate::journeys::{example, paused};
use std::sync::Arc;
use std::time::Duration;
use writ_core::{Actor, Decision, Draft, Entry, Filter, Ledger, Outcome};
use writ_pipeline::input::Bundle;
use writ_pipeline::{
    Accepted, Batch, BundleStanding, GovernanceWish, KillScope, Origin, Proposed, SubmitError, TokenWish, WaiverState,
    decode, enrol_person, error_chain, issue_token,
};
use writ_sim::{Files, Site, person};

/// A site with these policies alone, and the example's intent submitted.
async fn submitted(policies: &str) -> Site {
    let files = Files::read(&example()).unwrap().with_policies(&[("policies.yaml", policies)]).unwrap();
    let site = Site::open(Arc::new(files), 5).await.unwrap();
    submit(&site).await;
    site
}

async fn submit(site: &Site) {
    try_submit(site).await.unwrap();
}

async fn try_submit(site: &Site) -> Result<Accepted, SubmitError> {
    let text = std::fs::read(example().join("intent.yaml")).unwrap();
    let by = person("operator").unwrap();
    site.pipeline().submit("intent.yaml", &text, &by, None, Origin::Intent).await
}

/// Submits what policy denies, and tells what was reported.
async fn denied(site: &Site) -> String {
    match try_submit(site).await {
        Err(SubmitError::Denied { prepared, .. }) => serde_json::to_string(&prepared.reports).unwrap(),
        other => format!("not denied: {other:?}"),
    }
}

async fn entries(site: &Site, kind: &str) -> Vec<Entry> {
    let wanted = Filter { kind: Some(kind.to_owned()), ..Filter::default() };
    site.ledger().query(&wanted, 10_000).await.unwrap().iter().map(|stored| decode(stored).unwrap()).collect()
}

/// When steps on instances started, in milliseconds since the first.
async fn starts(site: &Site) -> Vec<u128> {
    let all = entries(site, "run.step_started/1").await;
    let mine: Vec<_> = all.iter().filter(|entry| entry.resource.contains("/i-")).map(|entry| entry.timestamp).collect();
    mine.iter().map(|at| at.since(mine[0]).as_millis()).collect()
}

const ALLOW: &str = "description: Everything.\nowner: tests\nrules:\n  - id: ALLOW-001\n    effect: allow\n    actions: ['*']\n    message: Allowed\n";

fn allow_with(obligation: &str) -> String {
    format!("{ALLOW}    obligations:\n      - {obligation}\n")
}

#[test]
fn what_no_rule_allows_is_denied() {
    paused(async {
        let nothing = "description: Nothing is allowed.\nowner: tests\nrules:\n  - id: OTHER-001\n    effect: allow\n    actions: [something_else]\n    message: Allowed\n";
        let files = Files::read(&example()).unwrap().with_policies(&[("policies.yaml", nothing)]).unwrap();
        let site = Site::open(Arc::new(files), 5).await.unwrap();
        let told = denied(&site).await;
        site.pass(Duration::from_secs(30)).await;
        assert!(told.contains("no rule allows `create_load_balancer`"), "{told}");
        let last = entries(&site, "policy.decided/1").await.pop().unwrap();
        assert!(last.body.to_string().contains("default-deny"), "{}", last.body);
        assert_eq!((last.outcome, site.world.deeds().len()), (Outcome::Denied, 0));
    });
}

#[test]
fn what_is_allowed_without_more_ado_starts_at_once() {
    paused(async {
        let site = submitted(ALLOW).await;
        site.pass(Duration::from_secs(5)).await;
        assert_eq!(starts(&site).await, [0, 0, 0]);
    });
}

#[test]
fn a_rate_limit_lets_so_many_through_in_a_period() {
    paused(async {
        let site = submitted(&allow_with("{ obligation: rate_limit, count: 2, period_seconds: 10 }")).await;
        site.pass(Duration::from_secs(60)).await;
        assert_eq!(starts(&site).await, [0, 0, 10_000]);
        assert_eq!(entries(&site, "run.succeeded/1").await.len(), 1);
    });
}

#[test]
fn a_rate_limit_holds_over_a_restart() {
    paused(async {
        let mut site = submitted(&allow_with("{ obligation: rate_limit, count: 2, period_seconds: 10 }")).await;
        site.pass(Duration::from_secs(1)).await;
        site.restart().await.unwrap();
        site.pass(Duration::from_secs(60)).await;
        assert_eq!(starts(&site).await, [0, 0, 10_000]);
    });
}

#[test]
fn a_cool_down_is_of_one_resource() {
    paused(async {
        let site = submitted(&allow_with("{ obligation: cool_down, seconds: 120 }")).await;
        site.pass(Duration::from_secs(10)).await;
        assert_eq!(starts(&site).await, [0, 0, 0]);
        for _ in 0..2 {
            // The second restart of i-2 comes too soon after the first.
            assert!(site.world.kill("web-service-001/i-2"));
            site.pass(Duration::from_secs(20)).await;
        }
        let waits = starts(&site).await;
        assert_eq!(waits.len(), 4, "{waits:?}");
        site.pass(Duration::from_secs(200)).await;
        let after = starts(&site).await;
        assert!(after.get(4).is_none_or(|again| again - after[3] >= 120_000), "{after:?}");
    });
}

/// When an instance was restarted, in seconds since the first time.
async fn restarts(site: &Site, instance: &str) -> Vec<u64> {
    let all = entries(site, "run.step_started/1").await;
    let of = |entry: &&Entry| entry.action == "restart_instance" && entry.resource.ends_with(instance);
    let mine: Vec<_> = all.iter().filter(of).map(|entry| entry.timestamp).collect();
    mine.iter().map(|at| at.since(mine[0]).as_secs()).collect()
}

#[test]
fn a_cool_down_of_hours_holds_whatever_is_granted_restarted_or_changed_meanwhile() {
    let long = allow_with("{ obligation: cool_down, seconds: 7200 }");
    for case in ["granted", "restarted", "changed"] {
        let first = if case == "changed" { ALLOW } else { &long };
        paused(async {
            let mut site = submitted(first).await;
            site.pass(Duration::from_secs(10)).await;
            assert!(site.world.kill("web-service-001/i-2"));
            site.pass(Duration::from_secs(3_700)).await;
            assert_eq!(restarts(&site, "/i-2").await, [0], "{case}");
            match case {
                "restarted" => site.restart().await.unwrap(),
                "changed" => {
                    let files = vec![("policies.yaml".to_owned(), long.clone().into_bytes())];
                    let wish = GovernanceWish::Policies { files, tests: Vec::new() };
                    let made = site
                        .pipeline()
                        .propose(wish, "", &Actor::human(&person("operator").unwrap().id))
                        .await
                        .unwrap();
                    assert_eq!(made, Proposed::Made);
                }
                _ => {}
            }
            // Another one is restarted, and what was an hour ago is not forgotten for it.
            assert!(site.world.kill("web-service-001/i-1"));
            site.pass(Duration::from_secs(20)).await;
            assert_eq!(restarts(&site, "/i-1").await, [0], "{case}");
            assert!(site.world.kill("web-service-001/i-2"));
            site.pass(Duration::from_secs(3_000)).await;
            assert_eq!(restarts(&site, "/i-2").await, [0], "{case}");
            site.pass(Duration::from_secs(2_000)).await;
            let again = restarts(&site, "/i-2").await;
            assert!(again.get(1).is_none_or(|again| *again >= 7_200), "{case}: {again:?}");
        });
    }
}

#[test]
fn outside_its_window_a_step_waits_for_it() {
    paused(async {
        // The simulation begins at midnight.
        let site = submitted(&allow_with("{ obligation: window, from_second: 3600, to_second: 7200 }")).await;
        site.pass(Duration::from_secs(600)).await;
        assert_eq!(site.world.deeds().len(), 0);
        let run = site.pipeline().drive().live_runs().pop().unwrap();
        let (run, _) = site.pipeline().drive().run(&run).await.unwrap();
        let (step, _) = run.steps().next().unwrap();
        let why = run.step_waiting(&step.key).unwrap().sentence;
        assert!(why.contains("outside the window") && why.contains("T01:00:00"), "{why}");
        site.pass(Duration::from_secs(3_100)).await;
        assert_eq!(entries(&site, "run.succeeded/1").await.len(), 1);
        let first = site.world.deeds()[0].at;
        assert!(first.to_string().contains("T01:00:0"), "{first}");
    });
}

#[test]
fn an_obligation_that_cannot_be_kept_denies() {
    for obligation in ["{ obligation: dry_run }", "{ obligation: post_check, condition: 'error_rate < 1%' }"] {
        paused(async {
            let site = submitted(&allow_with(obligation)).await;
            site.pass(Duration::from_secs(5)).await;
            let denied = entries(&site, "run.step_denied/1").await;
            assert!(denied[0].body.to_string().contains("cannot be honoured"), "{obligation}: {}", denied[0].body);
            assert_eq!(site.world.deeds().len(), 0, "{obligation}");
        });
    }
}

#[test]
fn a_kill_switch_that_is_pulled_while_a_start_is_being_recorded_stops_it() {
    paused(async {
        let files = Arc::new(Files::read(&example()).unwrap());
        let mut site = Site::open(files, 5).await.unwrap();
        submit(&site).await;
        // Each commit takes 20 ms from now on; the balancer is there after 50 ms, and the switch is pulled just before.
        site.slow_disk(Duration::from_millis(20));
        site.pass(Duration::from_millis(40)).await;
        let by = Actor::system("test");
        site.pipeline().kill_switch(KillScope::All, true, "", &by).await.unwrap();
        site.pass(Duration::from_millis(500)).await;
        assert_eq!(entries(&site, "run.step_succeeded/1").await.len(), 1);
        assert_eq!(starts(&site).await, Vec::<u128>::new());
        assert_eq!(entries(&site, "run.step_held/1").await.len(), 3);
        site.pipeline().kill_switch(KillScope::All, false, "", &by).await.unwrap();
        site.pass(Duration::from_secs(10)).await;
        assert_eq!(entries(&site, "run.succeeded/1").await.len(), 1);
    });
}

#[test]
fn a_submission_that_a_kill_switch_overtakes_begins_and_waits() {
    paused(async {
        let files = Arc::new(Files::read(&example()).unwrap());
        let mut site = Site::open(files, 5).await.unwrap();
        site.slow_disk(Duration::from_millis(20));
        let by = Actor::system("test");
        let pull = site.pipeline().kill_switch(KillScope::All, true, "", &by);
        let (pulled, ()) = tokio::join!(pull, submit(&site));
        pulled.unwrap();
        site.pass(Duration::from_secs(1)).await;
        assert_eq!(entries(&site, "run.submitted/1").await.len(), 1);
        assert_eq!(site.world.asked(), []);
        site.pipeline().kill_switch(KillScope::All, false, "", &by).await.unwrap();
        site.pass(Duration::from_secs(10)).await;
        assert_eq!(entries(&site, "run.succeeded/1").await.len(), 1);
    });
}

#[test]
fn a_start_that_was_decided_under_older_policies_is_decided_anew() {
    paused(async {
        let mut site = submitted(ALLOW).await;
        site.slow_disk(Duration::from_millis(20));
        site.pass(Duration::from_millis(40)).await;
        let deny = format!(
            "{ALLOW}  - id: DENY-001\n    effect: deny\n    actions: [deploy_instances]\n    message: Not today\n"
        );
        let bundle = Arc::new(Bundle::load(&[("policies.yaml", deny.as_bytes())]).unwrap());
        let draft = Draft {
            action: "set_policies".into(),
            actor: Actor::system("test"),
            body: serde_json::json!({"digest": bundle.digest()}),
            kind: "policy.set/1",
            outcome: Outcome::Success,
            resource: "policies".into(),
            stream: "policy/set".into(),
        };
        let journal = site.pipeline().journal();
        journal.commit(&journal.new_cause(), Batch::of(vec![draft])).await.unwrap();
        {
            let mut state = site.pipeline().gate().state();
            state.bundle = bundle;
            state.policy_version += 1;
        }
        site.pass(Duration::from_secs(5)).await;
        assert_eq!(starts(&site).await, Vec::<u128>::new());
        let denied = entries(&site, "run.step_denied/1").await;
        assert!(denied[0].body.to_string().contains("DENY-001"), "{}", denied[0].body);
    });
}

/// A file that allows everything, and denies starting instances.
fn deny_deploys(when: &str) -> String {
    format!(
        "{ALLOW}  - id: DENY-001\n    effect: deny\n    actions: [deploy_instances]\n    when: {when}\n    message: Not today\n"
    )
}

#[test]
fn a_waiver_lets_a_rule_be_broken_once_a_second_person_grants_it_and_until_it_is_taken_back() {
    paused(async {
        let policies = deny_deploys("maintenance == false");
        let files = Files::read(&example()).unwrap().with_policies(&[("policies.yaml", &policies)]).unwrap();
        let mut site = Site::open(Arc::new(files), 5).await.unwrap();
        let (ann, bob) = (person("operator").unwrap().id, person("reviewer").unwrap().id);
        let rule = "DENY-001".parse().unwrap();
        let day = Duration::from_secs(86_400);
        let waiver = site.pipeline().ask_waiver(&rule, "DEPLOY-WEB-001", day, "a demonstration", &ann).await.unwrap();
        let own = site.pipeline().answer_waiver(&waiver, WaiverState::Granted, "x", &ann).await.unwrap_err();
        assert!(error_chain(&own).contains("cannot grant it"), "{own:?}");
        let told = denied(&site).await;
        assert!(told.contains("DENY-001"), "asked for is not granted: {told}");

        site.pipeline().answer_waiver(&waiver, WaiverState::Granted, "x", &bob).await.unwrap();
        site.restart().await.unwrap();
        submit(&site).await;
        site.pass(Duration::from_secs(5)).await;
        assert_eq!(entries(&site, "run.succeeded/1").await.len(), 1);
        let started = entries(&site, "run.step_started/1").await;
        let instance = started.iter().find(|entry| entry.resource.ends_with("/i-1")).unwrap();
        let decision = instance.body.pointer("/attachments/decision").and_then(|digest| digest.as_str()).unwrap();
        let decision = site.ledger().attachment(&decision.parse().unwrap()).await.unwrap().unwrap();
        let decision = String::from_utf8(decision).unwrap();
        assert!(decision.contains("waived by person-02"), "what is waived is still reported: {decision}");

        site.pipeline().answer_waiver(&waiver, WaiverState::Revoked, "x", &ann).await.unwrap();
        let held = site.pipeline().gate().state().waivers.len();
        assert_eq!(held, 0);
    });
}

#[test]
fn during_maintenance_nothing_changes_where_policy_says_so() {
    paused(async {
        let policies = deny_deploys("maintenance");
        let files = Files::read(&example()).unwrap().with_policies(&[("policies.yaml", &policies)]).unwrap();
        let mut site = Site::open(Arc::new(files), 5).await.unwrap();
        let by = person("operator").unwrap().id;
        site.pipeline().set_maintenance(true, "", &by).await.unwrap();
        site.restart().await.unwrap();
        assert!(denied(&site).await.contains("DENY-001"));
        assert_eq!(entries(&site, "run.submitted/1").await.len(), 0, "what is frozen does not begin");
        site.pipeline().set_maintenance(false, "", &by).await.unwrap();
        submit(&site).await;
        site.pass(Duration::from_secs(5)).await;
        assert_eq!(entries(&site, "run.succeeded/1").await.len(), 1);
    });
}

#[test]
fn an_action_that_fails_everywhere_is_left_alone_for_a_while_and_then_tried_by_one() {
    paused(async {
        let mut site = submitted(ALLOW).await;
        site.pass(Duration::from_secs(10)).await;
        let slots = ["i-1", "i-2", "i-3"].map(|slot| format!("web-service-001/{slot}"));
        slots.iter().for_each(|slot| site.world.break_slot(slot, true));
        slots.iter().for_each(|slot| assert!(site.world.kill(slot)));
        site.pass(Duration::from_secs(10)).await;
        let opened = entries(&site, "breaker.opened/1").await;
        assert_eq!(opened.len(), 1, "{opened:?}");
        assert_eq!(opened[0].resource, "sim/instance.ensure");
        let tried = starts(&site).await.len();
        site.restart().await.unwrap();
        slots.iter().for_each(|slot| site.world.break_slot(slot, false));
        site.pass(Duration::from_secs(10)).await;
        assert_eq!(starts(&site).await.len(), tried, "it is open, over a restart too");
        site.pass(Duration::from_secs(30)).await;
        assert_eq!(entries(&site, "breaker.closed/1").await.len(), 1);
        assert!(starts(&site).await.len() > tried);
    });
}

#[test]
fn every_role_that_any_rule_asks_for_must_agree() {
    paused(async {
        let ask = |id: &str, role: &str| {
            format!(
                "  - id: {id}\n    effect: require_approval\n    actions: [deploy_instances]\n    approval: {{ count: 1, role: {role} }}\n    message: Ask {role}\n"
            )
        };
        let policies = format!("{ALLOW}{}{}", ask("ASK-001", "release-manager"), ask("ASK-002", "capacity-owner"));
        let site = submitted(&policies).await;
        site.pass(Duration::from_secs(5)).await;
        let asked = entries(&site, "approval.asked/1").await;
        assert_eq!(asked.len(), 3, "one for each instance");
        let id = |entry: &Entry| entry.stream.strip_prefix("approval/").unwrap().parse().unwrap();
        // The deputy holds one of the two roles, the reviewer both.
        let (deputy, reviewer) = (person("deputy").unwrap(), person("reviewer").unwrap());
        for entry in &asked {
            let state = site.pipeline().answer(&id(entry), &deputy, true, "").await.unwrap();
            assert_eq!(state.to_string(), "open");
        }
        assert_eq!(starts(&site).await, Vec::<u128>::new());
        for entry in &asked {
            let state = site.pipeline().answer(&id(entry), &reviewer, true, "").await.unwrap();
            assert_eq!(state.to_string(), "granted");
        }
        site.pass(Duration::from_secs(5)).await;
        assert_eq!(entries(&site, "run.succeeded/1").await.len(), 1);
        assert_eq!(entries(&site, "approval.used/1").await.len(), 3);
    });
}

#[test]
fn people_are_told_where_policy_wants_it() {
    paused(async {
        let policies = allow_with("{ obligation: notify, channel: changes }");
        let files = Files::read(&example()).unwrap().with_policies(&[("policies.yaml", &policies)]).unwrap();
        let site = Site::open(Arc::new(files.with_channel()), 5).await.unwrap();
        submit(&site).await;
        site.pass(Duration::from_secs(5)).await;
        let told = site.channel.notices();
        let told: Vec<_> = told.iter().filter(|telling| telling.audience.as_deref() == Some("changes")).collect();
        assert_eq!(told.len(), entries(&site, "run.step_started/1").await.len(), "{told:?}");
    });
}

#[test]
fn a_component_belongs_to_one_intent() {
    paused(async {
        let site = submitted(ALLOW).await;
        site.pass(Duration::from_secs(5)).await;
        let text = std::fs::read_to_string(example().join("intent.yaml")).unwrap().replace("DEPLOY-WEB-001", "OTHER-1");
        let by = person("operator").unwrap();
        let other = site.pipeline().submit("other.yaml", text.as_bytes(), &by, None, Origin::Intent).await.unwrap_err();
        let told = "`web-service-001` belongs to `DEPLOY-WEB-001`, which is monitoring; `OTHER-1` cannot have it too";
        assert_eq!(other.to_string(), told);
    });
}

/// What the example's intent says, under another name.
fn named(id: &str) -> Vec<u8> {
    std::fs::read_to_string(example().join("intent.yaml")).unwrap().replace("DEPLOY-WEB-001", id).into_bytes()
}

#[test]
fn of_intents_that_are_submitted_at_once_one_gets_the_component() {
    paused(async {
        for seed in 0..8 {
            let site = Site::open(Arc::new(Files::read(&example()).unwrap()), seed).await.unwrap();
            let by = person("operator").unwrap();
            let texts: Vec<Vec<u8>> = (0..4).map(|at| named(&format!("WEB-{at}"))).collect();
            let submit = |text| site.pipeline().submit("intent.yaml", text, &by, None, Origin::Intent);
            let (a, b, c, d) = tokio::join!(submit(&texts[0]), submit(&texts[1]), submit(&texts[2]), submit(&texts[3]));
            let came = [a, b, c, d];
            assert_eq!(came.iter().filter(|one| one.is_ok()).count(), 1, "{came:?}");
            let taken = came.iter().filter(|one| matches!(one, Err(SubmitError::Taken { .. }))).count();
            assert_eq!(taken, 3, "{came:?}");
            site.pass(Duration::from_secs(10)).await;
            assert_eq!(entries(&site, "run.submitted/1").await.len(), 1);
        }
    });
}

#[test]
fn policies_that_are_proposed_can_be_tried_before_anybody_agrees() {
    paused(async {
        let files = Files::read(&example()).unwrap().with_second_person();
        let site = Site::open(Arc::new(files), 5).await.unwrap();
        let nothing = "description: Nothing is let in.\nowner: tests\nrules:\n  - id: NOTHING-001\n    stage: intent\n    rule: intent.id == ''\n    enforcement: deny\n    message: It has no name\n    violation: Nothing is let in\n";
        let files = vec![("nothing.yaml".to_owned(), nothing.as_bytes().to_vec())];
        let wish = GovernanceWish::Policies { files, tests: Vec::new() };
        let by = person("operator").unwrap();
        for name in ["Ada", "Bea"] {
            let roles = ["admin".to_owned(), "approver".to_owned()];
            let somebody = enrol_person(site.pipeline().journal(), name, &roles, &Actor::system("test")).await.unwrap();
            issue_token(site.pipeline().journal(), &somebody, &TokenWish::default(), &Actor::system("test"))
                .await
                .unwrap();
        }
        let Proposed::Waits(approval) = site.pipeline().propose(wish, "", &Actor::human(&by.id)).await.unwrap() else {
            panic!("nobody was asked");
        };
        let known = site.pipeline().bundles().await.unwrap();
        let standing: Vec<_> = known.iter().map(|known| known.standing.clone()).collect();
        assert_eq!(standing, [BundleStanding::InForce, BundleStanding::Proposed(approval)]);
        let text = std::fs::read(example().join("intent.yaml")).unwrap();
        for (known, decision) in known.iter().zip([Decision::Allow, Decision::Deny]) {
            let bundle = site.pipeline().bundle(known).await.unwrap();
            let prepared = site.pipeline().prepare_under(Some(&bundle), "intent.yaml", &text, &by).await.unwrap();
            assert_eq!(prepared.decision, decision);
        }
        assert_eq!(try_submit(&site).await.unwrap().prepared.decision, Decision::Allow, "it is not in force");
    });
}
