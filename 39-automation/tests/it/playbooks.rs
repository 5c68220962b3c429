//! Playbooks: what is refused with which words, and what comes of those that are sound.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_automation::{Act, Playbook, join, read_playbook};
use writ_core::{Action, Actor, Change, Digest, EffectClass, Permission, Plan, RetryRule, Step};
use writ_seal::canonical;

/// One case: a file, and what is said of it; then arguments, and what comes of them.
#[test]
fn every_playbook_is_read_bound_and_joined_as_its_case_says() {
    let cases = include_str!("../cases/playbooks.case");
    let mut told = String::new();
    for case in cases.split("\n=== ").filter(|case| !case.trim().is_empty()) {
        let case = case.trim_start_matches("=== ");
        let (title, rest) = case.split_once('\n').unwrap();
        let (text, said) = rest.split_once("---\n").unwrap();
        told.push_str(&format!("=== {title}\n{text}---\n"));
        match read_playbook("p.yaml", text.as_bytes()) {
            Err(problems) => problems.iter().for_each(|problem| told.push_str(&format!("! {problem}\n"))),
            Ok(playbook) => {
                for given in said.lines().filter_map(|line| line.strip_prefix("> ")) {
                    told.push_str(&format!("> {given}\n{}", outcome(&playbook, given)));
                }
            }
        }
        told.push('\n');
    }
    assert!(told == cases, "playbooks.case says something else; what is true:\n{told}");
}

fn outcome(playbook: &Playbook, given: &str) -> String {
    let given: BTreeMap<String, Value> = serde_json::from_str(given).unwrap();
    let bound = match playbook.bind(&given) {
        Ok(bound) => bound,
        Err(error) => return format!("! {error}\n"),
    };
    let parts = bound.acts.into_iter().map(|act| {
        let plan = act.skipped.is_none().then(|| meaning(&act));
        (act, plan)
    });
    match join(parts.collect()) {
        Err(error) => format!("! {error}\n"),
        Ok(plan) => {
            plan.check().unwrap();
            let needs = |step: &Step| step.needs.iter().map(|need| need.to_string()).collect::<Vec<_>>().join(" ");
            let line = |step: &Step| {
                format!("= {} {}x {} ms [{}]\n", step.key, step.retry.attempts, step.timeout_ms, needs(step))
            };
            plan.steps.iter().map(line).collect()
        }
    }
}

/// A world in which a service has two instances, and a scaling to two holds already.
fn meaning(act: &Act) -> Plan {
    let digest = Digest([7; 32]);
    let id = format!("act_p/{}", act.name);
    let slots: Vec<&str> = match act.verb.word() {
        "restart_service" => vec!["i-1", "i-2"],
        "restart_instance" => vec![act.text("instance")],
        "scale" if act.count("count") == Some(2) => vec![],
        "scale" => vec!["i-3"],
        _ => vec!["lb"],
    };
    let step = |slot: &&str| Step {
        action: id.parse().unwrap(),
        action_name: act.verb.word().to_owned(),
        class: EffectClass::Keyed,
        key: format!("{id}/{slot}").parse().unwrap(),
        needs: vec![],
        params: json!({}),
        permission: Permission("execute:recovery".to_owned()),
        phase: "self_healing".to_owned(),
        resource: format!("{}/{slot}", act.text("component")),
        retry: RetryRule::default(),
        timeout_ms: 1,
        undo: None,
        verb: "instance.ensure".to_owned(),
    };
    let action = Action {
        action: act.verb.word().to_owned(),
        change: Change::Create,
        config: json!({}),
        id: id.parse().unwrap(),
        inverse: "none".to_owned(),
        needs: vec![],
        permission: Permission("execute:recovery".to_owned()),
        phase: "self_healing".to_owned(),
    };
    let (intent, steps) = ("DEPLOY-WEB-001".parse().unwrap(), slots.iter().map(step).collect());
    Plan { actions: vec![action], intent, intent_digest: digest, intent_version: 1, steps, world: digest }
}

#[test]
fn what_the_journal_says_of_a_playbook_has_its_golden_bytes() {
    let text = "name: p\nactions:\n  - type: restore_balancer\n    parameters: { component: web }\n";
    let draft = read_playbook("p.yaml", text.as_bytes()).unwrap().published(&Actor::system("playbooks"));
    assert_eq!((draft.kind, draft.stream.as_str()), ("playbook.published/1", "playbook/p"));
    let digest = writ_seal::sha256(text.as_bytes());
    let golden =
        format!(r#"{{"attachments":{{"playbook":"{digest}"}},"digest":"{digest}","id":"p","version":"1.0.0"}}"#);
    assert_eq!(String::from_utf8(canonical(&draft.body).unwrap()).unwrap(), golden);
}
