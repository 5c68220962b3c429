use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_core::{Decision, Obligation, Place, Stage, Timestamp};
use writ_policy::{Bundle, Judgement, Question, Status, Waiver, facts};

pub(crate) fn time() -> Timestamp {
    "2026-11-21T10:30:00Z".parse().unwrap()
}

pub(crate) fn action_facts(name: &str) -> Value {
    json!({
        "action": {"name": name, "verb": "v", "class": "keyed", "resource": "web/i-1", "origin": "intent", "permission": "p"},
        "agent": {"id": "a-1", "type": "provisioning", "permissions": ["p"]},
        "requester": {"id": "alice", "kind": "human", "roles": ["operator"]},
        "maintenance": false, "now": facts::now(time()),
    })
}

pub(crate) fn load(text: &str) -> Bundle {
    Bundle::load(&[("p.yaml", text.as_bytes())]).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn ask(bundle: &Bundle, name: &str, change: Value, waivers: &[Waiver]) -> Judgement {
    let mut facts = action_facts(name);
    for (key, value) in change.as_object().unwrap() {
        facts[key] = value.clone();
    }
    let places = BTreeMap::new();
    bundle.judge(&Question {
        stage: Stage::Action,
        action: name,
        resource: "web/i-1",
        facts,
        waivers,
        now: time(),
        places: &places,
    })
}

fn statuses(judgement: &Judgement) -> Vec<(&str, Status)> {
    judgement.results.iter().map(|result| (result.policy.as_str(), result.status)).collect()
}

#[test]
fn what_nothing_allows_is_denied_at_the_action_stage() {
    let bundle = load("rules: [{id: A, effect: allow, actions: ['deploy_*'], resources: ['web/*']}]");
    assert_eq!(ask(&bundle, "deploy_instances", json!({}), &[]).verdict.decision, Decision::Allow);
    let denied = ask(&bundle, "destroy", json!({}), &[]);
    assert_eq!(denied.verdict.decision, Decision::Deny);
    assert_eq!(denied.verdict.findings[0].rule.as_str(), "default-deny");
    assert_eq!(denied.verdict.findings[0].message, "no rule allows `destroy` on `web/i-1`");
    assert_eq!(ask(&load("rules: []"), "deploy", json!({}), &[]).verdict.decision, Decision::Deny);
}

#[test]
fn deny_stands_over_approval_over_allow() {
    let allow = "{id: A, effect: allow, actions: ['*']}";
    let ask_people = "{id: B, effect: require_approval, actions: ['*'], approval: {count: 2, role: owner}}";
    let deny = "{id: C, effect: deny, actions: ['*'], when: maintenance, message: frozen}";
    let bundle = load(&format!("rules: [{allow}, {ask_people}, {deny}]"));
    let asked = ask(&bundle, "x", json!({}), &[]);
    assert_eq!(asked.verdict.decision, Decision::RequireApproval { count: 2, role: "owner".to_owned() });
    assert_eq!(statuses(&asked), [("A", Status::Passed), ("B", Status::NeedsApproval), ("C", Status::NotApplicable)]);
    let denied = ask(&bundle, "x", json!({"maintenance": true}), &[]);
    assert_eq!(denied.verdict.decision, Decision::Deny);
    assert_eq!(denied.verdict.findings.len(), 2);
    assert_eq!(denied.verdict.findings[1].values, ["maintenance = true"]);
}

#[test]
fn what_cannot_be_evaluated_denies_or_asks() {
    let allow = "{id: A, effect: allow, actions: ['*']}";
    let broken = "{id: B, stage: action, rule: 'agent.permissions[7] == \"x\"'";
    let denied = ask(&load(&format!("rules: [{allow}, {broken}}}]")), "x", json!({}), &[]);
    assert_eq!(denied.verdict.decision, Decision::Deny);
    assert_eq!(statuses(&denied)[1], ("B", Status::Error));
    assert_eq!(&*denied.results[1].message, "`rule` cannot be evaluated: an index is out of range");
    let asked = ask(
        &load(&format!("rules: [{allow}, {broken}, on_missing: ask, approval: {{role: sre}}}}]")),
        "x",
        json!({}),
        &[],
    );
    assert_eq!(asked.verdict.decision, Decision::RequireApproval { count: 1, role: "sre".to_owned() });
    let warned = ask(&load(&format!("rules: [{allow}, {broken}, enforcement: warn}}]")), "x", json!({}), &[]);
    assert_eq!(warned.verdict.decision, Decision::Deny);
    let guarded = "{id: C, effect: deny, actions: ['*'], when: 'agent.permissions[7] == \"x\"'}";
    assert_eq!(
        ask(&load(&format!("rules: [{allow}, {guarded}]")), "x", json!({}), &[]).verdict.decision,
        Decision::Deny
    );
}

#[test]
fn facts_that_break_their_schema_are_a_denial_that_says_so() {
    let bundle = load("rules: [{id: A, effect: allow, actions: ['*']}]");
    for (change, told) in [
        (json!({"agent": null}), "/agent: `agent` is missing"),
        (json!({"maintenance": "no"}), "/maintenance: expected true or false, found 'no'"),
        (json!({"secret": 1}), "/: there is no fact `secret` here"),
        (
            json!({"agent": {"id": "x".repeat(5_000), "type": "t", "permissions": []}}),
            "/agent/id: this text has 5000 bytes, and at most 256 are allowed",
        ),
    ] {
        let denied = ask(&bundle, "x", change, &[]);
        assert_eq!(denied.verdict.decision, Decision::Deny);
        assert_eq!(denied.verdict.findings[0].values, [told]);
    }
}

#[test]
fn a_waiver_lets_one_rule_pass_on_one_subject_until_it_ends() {
    let bundle = load("rules: [{id: A, effect: allow, actions: ['*']}, {id: B, stage: action, rule: maintenance}]");
    let waiver = |rule: &str, subject: &str, end: &str| Waiver {
        approver: "carol".parse().unwrap(),
        expires_at: end.parse().unwrap(),
        reason: "launch".to_owned(),
        rule: rule.parse().unwrap(),
        subject: subject.to_owned(),
    };
    let with = |waiver: Waiver| ask(&bundle, "x", json!({}), &[waiver]);
    let waived = with(waiver("B", "web/*", "2026-12-01T00:00:00Z"));
    assert_eq!(waived.verdict.decision, Decision::Allow);
    assert_eq!(statuses(&waived)[1], ("B", Status::Waived));
    assert_eq!(
        waived.verdict.findings[0].waived_by.as_deref(),
        Some("waived by carol until 2026-12-01T00:00:00.000000Z: launch")
    );
    let expired = with(waiver("B", "web/*", "2026-11-21T10:30:00Z"));
    assert_eq!(expired.verdict.decision, Decision::Deny);
    assert_eq!(
        expired.results[1].waiver.as_deref(),
        Some("waived by carol expired on 2026-11-21T10:30:00.000000Z: launch")
    );
    assert_eq!(expired.verdict.findings[0].waived_by, None);
    for other in [waiver("B", "api/*", "2027-01-01T00:00:00Z"), waiver("A", "*", "2027-01-01T00:00:00Z")] {
        assert_eq!(with(other).verdict.decision, Decision::Deny);
    }
    let both = [waiver("B", "web/*", "2020-01-01T00:00:00Z"), waiver("B", "*", "2026-12-01T00:00:00Z")];
    assert_eq!(ask(&bundle, "x", json!({}), &both).verdict.decision, Decision::Allow);
}

#[test]
fn obligations_go_with_what_is_allowed_and_deny_where_they_cannot_be_honoured() {
    let bundle = load(
        "rules:\n  - id: A\n    effect: allow\n    actions: ['*']\n    obligations:\n      - {obligation: cool_down, seconds: 60}\n      - {obligation: dry_run}\n  - {id: B, effect: deny, actions: ['*'], when: maintenance}\n",
    );
    let allowed = ask(&bundle, "x", json!({}), &[]);
    assert_eq!(allowed.verdict.obligations, [Obligation::CoolDown { seconds: 60 }, Obligation::DryRun]);
    assert!(ask(&bundle, "x", json!({"maintenance": true}), &[]).verdict.obligations.is_empty());
    assert_eq!(allowed.clone().honouring(|_| true), allowed);
    let refused = allowed.honouring(|obligation| *obligation != Obligation::DryRun);
    assert_eq!(refused.verdict.decision, Decision::Deny);
    assert!(refused.verdict.findings[0].message.contains("a dry run first"));
}

#[test]
fn findings_name_the_values_and_the_places_that_decided() {
    let bundle = load(
        "rules:\n  - id: A\n    stage: action\n    priority: 5\n    rule: size(agent.permissions) > 3\n    violation: '{agent.id} holds {agent.permissions}'\n  - {id: B, effect: allow, actions: ['*']}\n",
    );
    let place = Place { file: "agents.yaml".to_owned(), line: 7, column: 3 };
    let places = BTreeMap::from([("agent.permissions".to_owned(), place.clone())]);
    let facts = action_facts("x");
    let judgement = bundle.judge(&Question {
        stage: Stage::Action,
        action: "x",
        resource: "r",
        facts,
        waivers: &[],
        now: time(),
        places: &places,
    });
    let finding = &judgement.verdict.findings[0];
    assert_eq!((finding.at.as_ref(), finding.message.as_str()), (Some(&place), "a-1 holds ['p']"));
    assert_eq!(finding.rule_at.as_ref().unwrap().to_string(), "p.yaml:2:5");
    assert_eq!(finding.values, ["agent.permissions = ['p']"]);
    assert_eq!(judgement.bundle, bundle.digest());
    assert!(String::from_utf8(judgement.facts).unwrap().starts_with("{\"action\":{\"class\":\"keyed\""));
}

#[test]
fn explaining_names_every_rule_of_the_stage_and_why_it_answered_so() {
    let bundle = load(
        "rules:\n  - {id: A, effect: allow, actions: [x]}\n  - {id: B, effect: deny, actions: [y]}\n  - {id: C, stage: action, when: '!maintenance', rule: 'agent.type == \"healing\" && maintenance'}\n",
    );
    let places = BTreeMap::new();
    let question = Question {
        stage: Stage::Action,
        action: "x",
        resource: "r",
        facts: action_facts("x"),
        waivers: &[],
        now: time(),
        places: &places,
    };
    let told: String = bundle.explain(&question).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        "A  passed  allowed by `A`  (p.yaml:2:5)\n\
         B  not concerned  it is about other actions or resources, or `when` asks for another value  (p.yaml:3:5)\n\
         C  failed  not met: agent.type == \"healing\" && maintenance  (p.yaml:4:5)\n\
         \x20 when  !maintenance  =  true\n\
         \x20 when    maintenance  =  false\n\
         \x20 rule  agent.type == \"healing\" && maintenance  =  false\n\
         \x20 rule    agent.type == \"healing\"  =  false\n\
         \x20 rule      agent.type  =  'provisioning'\n\
         \x20 rule    maintenance  =  false\n"
    );
}

const POOL: [&str; 10] = [
    "id: R0\n    effect: allow\n    actions: ['*']",
    "id: R1\n    effect: allow\n    actions: [deploy]",
    "id: R2\n    effect: deny\n    actions: ['de*']\n    when: maintenance",
    "id: R3\n    effect: require_approval\n    actions: [deploy, other]\n    approval: {count: 2, role: a}",
    "id: R4\n    effect: require_approval\n    actions: ['*']\n    resources: ['web/*']\n    approval: {count: 2, role: b}",
    "id: R5\n    stage: action\n    rule: size(agent.permissions) > 1\n    enforcement: warn",
    "id: R6\n    stage: action\n    when: action.origin == 'intent'\n    rule: agent.permissions[1] == 'x'\n    on_missing: ask",
    "id: R7\n    stage: action\n    rule: '!maintenance'",
    "id: R8\n    effect: deny\n    actions: [other]",
    "id: R9\n    stage: action\n    when: agent.type == 'nobody'\n    rule: 'false || maintenance'",
];

proptest! {
    /// The verdict does not depend on the order of rules or of files.
    #[test]
    fn the_order_of_rules_and_files_decides_nothing(
        chosen in proptest::sample::subsequence((0..POOL.len()).collect::<Vec<_>>(), 0..=POOL.len()).prop_shuffle(),
        cut in 0_usize..10, maintenance in any::<bool>(), name in "deploy|other|x",
    ) {
        let file = |ids: &[usize]| {
            let rules: String = ids.iter().map(|id| format!("  - {}\n", POOL[*id])).collect();
            format!("rules:{}{rules}", if ids.is_empty() { " []\n" } else { "\n" })
        };
        let mut sorted = chosen.clone();
        sorted.sort_unstable();
        let (front, back) = chosen.split_at(cut.min(chosen.len()));
        let one = load(&file(&sorted));
        let (front, back) = (file(front), file(back));
        let two = Bundle::load(&[("b.yaml", front.as_bytes()), ("a.yaml", back.as_bytes())]).unwrap();
        let (a, b) = (ask(&one, &name, json!({"maintenance": maintenance}), &[]), ask(&two, &name, json!({"maintenance": maintenance}), &[]));
        prop_assert_eq!(a.verdict.decision, b.verdict.decision);
        prop_assert_eq!(a.verdict.obligations, b.verdict.obligations);
        prop_assert_eq!(statuses_owned(&a.results), statuses_owned(&b.results));
    }

    /// The index leaves out only rules that could not have spoken: with a rule added that looks at everything, the others answer
    /// as if each stood alone.
    #[test]
    fn the_index_hides_no_rule_that_has_something_to_say(maintenance in any::<bool>(), name in "deploy|other|x|de") {
        let all = load(&format!("rules:\n{}", POOL.iter().map(|rule| format!("  - {rule}\n")).collect::<String>()));
        let together = ask(&all, &name, json!({"maintenance": maintenance}), &[]);
        for rule in POOL {
            let alone = ask(&load(&format!("rules:\n  - {rule}\n")), &name, json!({"maintenance": maintenance}), &[]);
            for result in &alone.results {
                prop_assert!(together.results.iter().any(|other| other.policy == result.policy && other.status == result.status), "{}", result.policy);
            }
        }
    }

    #[test]
    fn no_policy_file_brings_the_loader_down(text in "(rules:\n  - (id|stage|rule|effect|when|actions): [a-z\\[\\]'*.> 0-9]{0,20}\n){0,3}[ a-z:\\-\\[\\]{}'\"\n]{0,60}") {
        let _ = Bundle::load(&[("f.yaml", text.as_bytes())]);
    }
}

fn statuses_owned(results: &[writ_policy::RuleResult]) -> Vec<(String, Status)> {
    results.iter().map(|result| (result.policy.to_string(), result.status)).collect()
}
