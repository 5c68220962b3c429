//! Every way of getting an effect without the right to it, as data.

use serde_json::{Map, Value, json};
use std::time::Duration;
use writ_agents::*;
use writ_core::*;
use writ_seal::{Envelope, Key, PERMIT_TYPE, canonical, seal_permit, sha256, sign_redemption};

const AGENT: &str = "provisioning-agent-001";

struct Scene {
    effect: Effect,
    gate: Key,
    roster: Roster,
    switches: KillSwitches,
    tickets: Tickets,
}

fn start() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn key(name: &str) -> Key {
    let seed = match name {
        "gate" => 1,
        "agent" => 2,
        "other" => 3,
        "new" => 4,
        _ => panic!("{name}"),
    };
    Key::from_seed(name, &[seed; 32])
}

fn agent(id: &str, key_name: &str, permission: &str) -> Agent {
    Agent {
        id: id.parse().unwrap(),
        kind: "provisioning".into(),
        limits: Limits::default(),
        permissions: vec![Permission(permission.into())],
        provides: Vec::new(),
        public_key: key(key_name).public_hex(),
        requires: Vec::new(),
        state: AgentState::Enrolled,
        version: "1.0.0".into(),
    }
}

fn change(roster: &mut Roster, id: &str, what: AgentChange) {
    roster.apply(&AgentEvent { agent: id.parse().unwrap(), at: start(), what });
}

fn order() -> TicketOrder {
    TicketOrder {
        action: "deploy_instances".into(),
        agent: AGENT.parse().unwrap(),
        decision: Digest([7; 32]),
        effect: EffectKey("ek_00112233445566778899aabbccddeeff".into()),
        lease_until: start().plus(Duration::from_secs(30)),
        permission: Permission("execute:provision".into()),
        resource: "web-service-001/i-1".into(),
        run: RunId::mint(1, [0; 10]),
        step: "act_1/i-1".parse().unwrap(),
        verb: "instance.ensure".into(),
    }
}

fn merge(target: &mut Value, changes: Option<&Value>) {
    for (path, value) in changes.and_then(Value::as_object).unwrap_or(&Map::new()) {
        let place = target.pointer_mut(&format!("/{path}")).unwrap_or_else(|| panic!("{path}"));
        *place = if value == "other" { json!(key("other").public_hex()) } else { value.clone() };
    }
}

fn scene(case: &Value) -> Scene {
    let mut roster = Roster::default();
    for (id, key_name, permission) in
        [(AGENT, "agent", "execute:provision"), ("scaling-agent-001", "other", "execute:scale_operations")]
    {
        let enrolled = roster.enroll(agent(id, key_name, permission)).unwrap();
        change(&mut roster, id, enrolled);
        let active = roster.change_state(&id.parse().unwrap(), AgentMove::Activate, "test").unwrap();
        change(&mut roster, id, active);
    }
    let mut tickets = Tickets::new();
    let id = TicketId::mint(1, [1; 10]);
    let epoch = tickets.issue_started(id.clone(), order(), 1).epoch;
    let params = json!({"type": "t3.medium", "zone": "us-west-2a"});
    let permit = Permit {
        action: order().verb,
        agent: order().agent,
        agent_key: key("agent").public_hex(),
        decision: order().decision,
        effect: order().effect,
        epoch,
        expires_at: order().lease_until,
        id: PermitId::mint(1, [1; 10]),
        issued_at: start(),
        params: sha256(&canonical(&params).unwrap()),
        resource: order().resource,
        ticket: id,
    };
    let mut permit = serde_json::to_value(permit).unwrap();
    merge(&mut permit, case.get("permit"));
    let sealer = key(case["seal_with"].as_str().unwrap_or("gate"));
    let sealed = match case.get("payload") {
        Some(payload) => {
            let envelope = Envelope::sign(PERMIT_TYPE, payload.to_string().as_bytes(), &sealer).unwrap();
            SealedPermit(envelope.to_text().unwrap())
        }
        None => seal_permit(&serde_json::from_value(permit.clone()).unwrap(), &sealer).unwrap(),
    };
    let sealed = tampered(sealed, permit, case);
    let redeemer = key(case["redeem_with"].as_str().unwrap_or("agent"));
    let redemption = sign_redemption(&sealed, &order().effect, epoch, [9; 16], &redeemer).unwrap();
    let effect = Effect {
        epoch,
        key: order().effect,
        params,
        permit: sealed,
        redemption,
        resource: order().resource,
        verb: order().verb,
    };
    let mut effect = serde_json::to_value(effect).unwrap();
    merge(&mut effect, case.get("effect"));
    let mut effect: Effect = serde_json::from_value(effect).unwrap();
    if case["resign"] == true {
        effect.redemption = sign_redemption(&effect.permit, &effect.key, effect.epoch, [9; 16], &redeemer).unwrap();
    }
    let mut scene = Scene { effect, gate: key("gate"), roster, switches: KillSwitches::default(), tickets };
    for happening in case["world"].as_array().unwrap_or(&Vec::new()) {
        happen(&mut scene, happening.as_str().unwrap());
    }
    scene
}

/// Changes the payload within the envelope and keeps the gate's signature over what it was.
fn tampered(sealed: SealedPermit, mut permit: Value, case: &Value) -> SealedPermit {
    if case.get("tamper").is_none() {
        return sealed;
    }
    merge(&mut permit, case.get("tamper"));
    let forged = seal_permit(&serde_json::from_value(permit).unwrap(), &key("other")).unwrap();
    let (mut forged, honest): (Value, Value) =
        (serde_json::from_str(&forged.0).unwrap(), serde_json::from_str(&sealed.0).unwrap());
    forged["signatures"] = honest["signatures"].clone();
    SealedPermit(forged.to_string())
}

fn happen(scene: &mut Scene, what: &str) {
    let agent: AgentId = AGENT.parse().unwrap();
    let ticket = TicketId::mint(1, [1; 10]);
    let told = |roster: &mut Roster, asked| {
        let moved = roster.change_state(&agent, asked, "test").unwrap();
        change(roster, AGENT, moved);
    };
    let kill = |switches: &mut KillSwitches, scope| {
        switches.pull(scope, Pulled { at: start(), by: Actor::system("test"), reason: None });
    };
    match what {
        "drain" => told(&mut scene.roster, AgentMove::Drain),
        "quarantine" => told(&mut scene.roster, AgentMove::Quarantine),
        "retire" => told(&mut scene.roster, AgentMove::Retire),
        "deactivate" => {
            let enrolled = AgentChange::Enrolled(Enrolled { agent: self::agent(AGENT, "agent", "execute:provision") });
            change(&mut scene.roster, AGENT, enrolled);
        }
        "forget agent" => scene.roster = Roster::default(),
        "rotate key" => {
            let rotated = scene.roster.rotate_key(&agent, &key("new").public_hex()).unwrap();
            change(&mut scene.roster, AGENT, rotated);
        }
        "lose permission" => {
            let lost = scene.roster.change_permissions(&agent, vec![Permission("read:metrics".into())]).unwrap();
            change(&mut scene.roster, AGENT, lost);
        }
        "use nonce" => scene.tickets.use_nonce(&ticket, &scene.effect.redemption.nonce),
        "unstart" => {
            let mut tickets = Tickets::new();
            tickets.issue(ticket, order(), 1);
            scene.tickets = tickets;
        }
        "complete" => drop(scene.tickets.move_on(&ticket, TicketMove::Complete).unwrap()),
        "fail" => drop(scene.tickets.move_on(&ticket, TicketMove::Fail).unwrap()),
        "revoke" => drop(scene.tickets.move_on(&ticket, TicketMove::Revoke).unwrap()),
        "expire lease" => drop(scene.tickets.move_on(&ticket, TicketMove::Expire).unwrap()),
        "supersede" => drop(scene.tickets.issue_started(TicketId::mint(2, [2; 10]), order(), 2).epoch),
        "raise epoch" => scene.tickets.raise_epoch(&order().resource, 2),
        "kill all" => kill(&mut scene.switches, KillScope::All),
        "kill agent" => kill(&mut scene.switches, KillScope::Agent { agent }),
        "kill action" => kill(&mut scene.switches, KillScope::Action { action: order().action }),
        "kill resource" => kill(&mut scene.switches, KillScope::Resource { resource: order().resource }),
        "kill component" => kill(&mut scene.switches, KillScope::Resource { resource: "web-service-001".into() }),
        _ => panic!("no such happening: {what}"),
    }
}

#[test]
fn every_attack_is_denied_for_its_own_reason_and_the_holder_is_let_pass() {
    let text = include_str!("../cases/attacks.json");
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    let mut denied = 0;
    let mut codes = std::collections::BTreeSet::new();
    for case in &cases {
        let scene = scene(case);
        let public = scene.gate.public_key();
        let (roster, switches, tickets) = (&scene.roster, &scene.switches, &scene.tickets);
        let gate = GateView { gate_key: &public, roster, switches, tickets };
        let after = case["after_ms"].as_i64().unwrap_or(1_000);
        let now = Timestamp::from_micros(start().micros() + after * 1_000);
        let answer = redeem(&scene.effect, &gate, now);
        let code = answer.as_ref().err().map(RedeemRefused::code);
        assert_eq!(code, case["refused"].as_str(), "{}: {answer:?}", case["name"]);
        if let Err(refused) = answer {
            denied += 1;
            codes.insert(refused.code());
            let told = refused.to_string();
            assert!(!told.is_empty() && !told.ends_with('.'), "{told}");
        }
    }
    assert!(denied >= 50, "{denied} attacks");
    assert!(codes.len() >= 24, "{} reasons: {codes:?}", codes.len());
}

#[test]
fn a_nonce_that_was_let_pass_once_is_refused_the_second_time() {
    let mut scene = scene(&json!({}));
    let public = scene.gate.public_key();
    let now = start().plus(Duration::from_secs(1));
    for wanted in [None, Some("replayed")] {
        let (roster, switches, tickets) = (&scene.roster, &scene.switches, &scene.tickets);
        let gate = GateView { gate_key: &public, roster, switches, tickets };
        let answer = redeem(&scene.effect, &gate, now);
        assert_eq!(answer.as_ref().err().map(RedeemRefused::code), wanted);
        if let Ok(permit) = answer {
            scene.tickets.use_nonce(&permit.ticket, &scene.effect.redemption.nonce);
        }
    }
}
