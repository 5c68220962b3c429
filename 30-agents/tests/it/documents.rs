//! The agents file and the deployment document.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use writ_agents::*;
use writ_core::*;
use writ_seal::Key;
use writ_text::{Limits as TextLimits, read};

fn example() -> Vec<AgentSpec> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/deploy-web-001/agents.yaml");
    let bytes = std::fs::read(path).unwrap();
    read_agents(&read("agents.yaml", &bytes, &TextLimits::default()).unwrap()).unwrap()
}

fn enrolled(specs: &[AgentSpec], active: bool) -> Roster {
    let mut roster = Roster::default();
    for (at, spec) in specs.iter().enumerate() {
        let seed = u8::try_from(at + 1).unwrap();
        let key = Key::from_seed(spec.id.as_str(), &[seed; 32]).public_hex();
        let now = Timestamp::from_micros(1);
        let enrolled = roster.enroll(spec.with_key(&key)).unwrap();
        roster.apply(&AgentEvent { agent: spec.id.clone(), at: now, what: enrolled });
        if active {
            let moved = roster.change_state(&spec.id, AgentMove::Activate, "test").unwrap();
            roster.apply(&AgentEvent { agent: spec.id.clone(), at: now, what: moved });
        }
    }
    roster
}

#[test]
fn row_2_07_the_agents_of_the_source_are_deployed_with_exactly_its_permissions() {
    let document = agent_deployment(&enrolled(&example(), true));
    let agents: BTreeMap<String, Value> = document["agent_deployment"]["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| (agent["agent_id"].as_str().unwrap().to_owned(), agent.clone()))
        .collect();
    for wanted in [
        json!({"agent_id": "monitoring-agent-001", "type": "monitoring", "version": "2.1.0",
               "permissions": ["read:metrics", "write:health_status"]}),
        json!({"agent_id": "self-healing-agent-001", "type": "self-healing", "version": "1.5.0",
               "permissions": ["read:health_status", "execute:recovery", "write:audit_logs"]}),
        json!({"agent_id": "scaling-agent-001", "type": "auto-scaling", "version": "1.3.0",
               "permissions": ["read:metrics", "execute:scale_operations"]}),
    ] {
        assert_eq!(agents.get(wanted["agent_id"].as_str().unwrap()), Some(&wanted));
    }
    assert_eq!(agents.len(), 5, "and the ones that provision, and carry out what others planned");
}

#[test]
fn row_2_07_the_document_of_the_source_reads_as_it_stands() {
    let text = "agent_deployment:\n  agents:\n    - agent_id: 'monitoring-agent-001'\n      type: 'monitoring'\n      \
                version: '2.1.0'\n      permissions:\n        - 'read:metrics'\n        - 'write:health_status'\n";
    let specs = read_agents(&read("a.yaml", text.as_bytes(), &TextLimits::default()).unwrap()).unwrap();
    assert_eq!(specs.len(), 1);
    assert_eq!(specs[0].limits, Limits::default());
}

#[test]
fn row_2_07_an_action_goes_to_the_agent_that_holds_its_permission_and_to_no_other() {
    let roster = enrolled(&example(), true);
    let now = Timestamp::from_micros(2);
    for (action, permission, wanted) in [
        ("restart_instance", "execute:recovery", Some("self-healing-agent-001")),
        ("scale_out", "execute:scale_operations", Some("scaling-agent-001")),
        ("deploy_instances", "execute:provision", Some("provisioning-agent-001")),
        ("drop_database", "execute:database", None),
    ] {
        let permission = Permission(permission.into());
        let need = Need { action, permission: &permission, resource: "web-service-001/i-1" };
        let assigned = assign(&need, &roster, &BTreeMap::new(), &KillSwitches::default(), |_| true, now);
        assert_eq!(assigned.ok().map(|one| one.agent.to_string()), wanted.map(str::to_owned));
    }
}

#[test]
fn the_least_busy_agent_is_taken_and_each_that_is_not_says_why() {
    let spec = |id: &str| AgentSpec { id: id.parse().unwrap(), ..example()[3].clone() };
    let roster = enrolled(&[spec("a"), spec("b"), spec("c")], true);
    let now = Timestamp::from_micros(2);
    let permission = Permission("execute:provision".into());
    let need = Need { action: "deploy_instances", permission: &permission, resource: "web/i-1" };
    let mut usage: BTreeMap<AgentId, Usage> = BTreeMap::new();
    usage.entry("a".parse().unwrap()).or_default().given("web/i-9", now);
    let mut switches = KillSwitches::default();
    let taken = |usage: &BTreeMap<AgentId, Usage>, switches: &KillSwitches| {
        assign(&need, &roster, usage, switches, |_| true, now).map(|one| one.agent.to_string())
    };
    assert_eq!(taken(&usage, &switches), Ok("b".to_owned()));
    let pulled = Pulled { at: now, by: Actor::system("test"), reason: None };
    switches.pull(KillScope::Agent { agent: "b".parse().unwrap() }, pulled.clone());
    assert_eq!(taken(&usage, &switches), Ok("c".to_owned()));
    switches.pull(KillScope::All, pulled);
    let nobody = taken(&usage, &switches).unwrap_err();
    assert_eq!(nobody.why.len(), 3);
    assert!(!nobody.passes());
    let away = |agent: &writ_agents::Agent| agent.id.as_str() != "a";
    let other = assign(&need, &roster, &BTreeMap::new(), &KillSwitches::default(), away, now);
    assert_eq!(other.map(|one| one.agent.to_string()), Ok("b".to_owned()));
    let told = assign(&need, &roster, &usage, &KillSwitches::default(), |_| false, now).unwrap_err().to_string();
    assert!(told.contains("`a`: it does not live here: its key is not on this server; `b`"), "{told}");
    let none = enrolled(&example(), false);
    let told = assign(&need, &none, &BTreeMap::new(), &KillSwitches::default(), |_| true, now).unwrap_err().to_string();
    assert_eq!(told, "no agent may do `deploy_instances` on `web/i-1`: `provisioning-agent-001`: it is enrolled");
}

#[test]
fn an_agents_file_gives_an_agent_no_more_than_policies_look_at() {
    let file = |kind: &str, version: &str, count: usize| {
        let held: Vec<String> = (0..count).map(|at| format!("'read:m{at}'")).collect();
        let held = held.join(", ");
        let text = format!(
            "agent_deployment:\n  agents:\n    - agent_id: m\n      type: '{kind}'\n      version: '{version}'\n      permissions: [{held}]\n"
        );
        let node = read("a.yaml", text.as_bytes(), &TextLimits::default()).unwrap();
        read_agents(&node).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    assert_eq!(file("x", "1.0.0", PERMISSIONS_MAX).unwrap()[0].permissions.len(), PERMISSIONS_MAX);
    let long = "a".repeat(65);
    for (found, part) in [
        (file("x", "1.0.0", PERMISSIONS_MAX + 1), "33 permissions; 32 is the most"),
        (file(&long, "1.0.0", 1), "is no type of an agent"),
        (file("x", &format!("1.0.0-{long}"), 1), "is not a version"),
    ] {
        let told = found.unwrap_err();
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn an_agents_file_names_so_many_contracts_of_an_agent_and_no_more() {
    let file = |key: &str, name: &str, count: usize| {
        let version = if key == "requires" { "^1.0.0" } else { "1.0.0" };
        let uses = format!("{{contract: '{name}', version: '{version}'}}, ").repeat(count);
        let text = format!(
            "agent_deployment:\n  agents:\n    - agent_id: m\n      type: x\n      version: '1.0.0'\n      permissions: []\n      {key}: [{uses}]\n"
        );
        let node = read("a.yaml", text.as_bytes(), &TextLimits::default()).unwrap();
        read_agents(&node).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    for key in ["requires", "provides"] {
        assert!(file(key, "contract.echo.v1", USES_MAX).is_ok());
        let told = file(key, "contract.echo.v1", USES_MAX + 1).unwrap_err();
        assert!(
            told.starts_with("a.yaml:7:") && told.contains(&format!("`{key}` names 65 contracts; 64 is the most")),
            "{told}"
        );
        let told = file(key, &"x".repeat(129), 1).unwrap_err();
        assert!(told.contains("129 bytes, and 128 is the most"), "{told}");
    }
}

#[test]
fn an_agents_file_with_many_faults_names_them_all_with_their_places() {
    let text = "agent_deployment:\n  agents:\n    - agent_id: 'a b'\n      type: x\n      version: 'two'\n      \
                permissions: ['everything', 'read:metrics', 'read:metrics']\n      limits: {tickets_at_once: 0}\n      \
                public_key: 'zz'\n      requires: [{contract: c, version: 'new'}]\n      colour: red\n    \
                - agent_id: m\n      type: x\n      version: '1.0.0'\n      permissions: []\n    \
                - agent_id: m\n      type: x\n      version: '1.0.0'\n      permissions: []\n";
    let node = read("a.yaml", text.as_bytes(), &TextLimits::default()).unwrap();
    let told: Vec<String> = read_agents(&node).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 9, "{told:#?}");
    for part in [
        "a.yaml:3:",
        "a.yaml:5:",
        "`everything`",
        "stands twice",
        "tickets_at_once",
        "64 hexadecimal",
        "`^1.0.0`",
        "colour",
        "agent `m` stands twice",
    ] {
        assert!(told.iter().any(|line| line.contains(part)), "{part} in {told:#?}");
    }
}
