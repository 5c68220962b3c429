//! The attack table: whatever is wrong with what an agent asks for, the gate refuses it, says so in the journal, and the world
//! refuses it again where it can know.

use crate::journeys::{example, paused};
use std::sync::Arc;
use std::time::Duration;
use writ_core::{Actor, AgentId, Digest, Effect, EffectKey, Filter, Ledger, Permission, Permit, Provider, TicketId};
use writ_pipeline::{AgentMove, AgentWish, KillScope, Origin, decode};
use writ_seal::{Key, open_permit, seal_permit, sha256, sign_redemption};
use writ_sim::{Files, Mishap, Site, agent_key, gate_key, person};

const AGENT: &str = "provisioning-agent-001";
const OTHER: &str = "scaling-agent-001";

/// A site in which the order for `i-2` was permitted and has not arrived: what a thief would want.
struct Scene {
    site: Site,
    /// The order as it was permitted, redeemed once more and not used.
    effect: Effect,
    /// The order for `i-1`, which was used.
    used: Effect,
}

impl Scene {
    async fn set(files: Arc<Files>) -> Self {
        let site = Site::open(files, 11).await.unwrap();
        site.world.plan_fault(Mishap::Hangs, "i-2");
        let text = std::fs::read(example().join("intent.yaml")).unwrap();
        let by = person("operator").unwrap();
        site.pipeline().submit("intent.yaml", &text, &by, None, Origin::Intent).await.unwrap();
        site.pass(Duration::from_millis(500)).await;
        let asked = |slot: &str| {
            let wanted = format!("web-service-001/{slot}");
            site.world.asked().into_iter().find(|effect| effect.resource == wanted).unwrap()
        };
        let (lost, used) = (asked("i-2"), asked("i-1"));
        let effect = redeemed(lost, &agent_key(AGENT), 1);
        Self { site, effect, used }
    }

    fn permit(&self) -> Permit {
        open_permit(&self.effect.permit, &writ_core::Signer::public_key(&gate_key())).unwrap()
    }

    /// The order under a permit that says something else, signed by this key as if it were the gate's.
    fn forged(&self, gate: &Key, change: impl FnOnce(&mut Permit)) -> Effect {
        let mut permit = self.permit();
        change(&mut permit);
        let sealed = seal_permit(&permit, gate).unwrap();
        redeemed(Effect { permit: sealed, ..self.effect.clone() }, &agent_key(AGENT), 2)
    }

    async fn change_agent(&self, wish: AgentWish) {
        let by = Actor::human(&person("operator").unwrap().id);
        self.site.pipeline().change_agent(&agent(AGENT), &wish, "", &by).await.unwrap();
    }

    async fn quarantine(&self) {
        self.change_agent(AgentWish::Move { to: AgentMove::Quarantine, because: "it behaves oddly".into() }).await;
    }

    async fn pull(&self, scope: KillScope) {
        let by = Actor::human(&person("operator").unwrap().id);
        self.site.pipeline().kill_switch(scope, true, "", &by).await.unwrap();
    }

    /// The step is given to somebody anew: its time is up and it is tried again.
    async fn reallocate(&self) {
        self.site.pass(Duration::from_secs(45)).await;
    }

    async fn refusals(&self) -> Vec<(String, String)> {
        let wanted = Filter { kind: Some("agent.refused/1".into()), ..Filter::default() };
        let stored = self.site.ledger().query(&wanted, 100).await.unwrap();
        let entries = stored.iter().map(|stored| decode(stored).unwrap());
        entries
            .map(|entry| (entry.body["agent_id"].as_str().unwrap().into(), entry.body["code"].as_str().unwrap().into()))
            .collect()
    }
}

fn agent(id: &str) -> AgentId {
    id.parse().unwrap()
}

/// The same order with a redemption of its own.
fn redeemed(effect: Effect, key: &Key, nonce: u8) -> Effect {
    let redemption = sign_redemption(&effect.permit, &effect.key, effect.epoch, [nonce; 16], key).unwrap();
    Effect { redemption, ..effect }
}

/// What somebody tries.
type Attack = for<'a> fn(&'a Scene) -> std::pin::Pin<Box<dyn Future<Output = Effect> + 'a>>;

macro_rules! attack {
    (|$scene:ident| $body:expr) => {
        |$scene: &Scene| Box::pin(async move { $body })
    };
}

/// Name, what is tried, the gate's word for it, and what the world says (nothing where only the gate can know).
const ATTACKS: &[(&str, Attack, &str, Option<&str>)] = &[
    (
        "another action under the permit",
        attack!(|s| Effect { verb: "instance.remove".into(), ..s.effect.clone() }),
        "action",
        Some("allows `instance.ensure`"),
    ),
    (
        "another instance under the permit",
        attack!(|s| Effect { resource: "web-service-001/i-3".into(), ..s.effect.clone() }),
        "resource",
        Some("is for `web-service-001/i-2`"),
    ),
    (
        "another component under the permit",
        attack!(|s| Effect { resource: "payments/i-2".into(), ..s.effect.clone() }),
        "resource",
        Some("is for `web-service-001/i-2`"),
    ),
    (
        "everything under the permit",
        attack!(|s| Effect { resource: "web-service-001".into(), ..s.effect.clone() }),
        "resource",
        Some("is for `web-service-001/i-2`"),
    ),
    (
        "another command",
        attack!(|s| with(&s.effect, "command", "rm -rf /".into())),
        "parameters",
        Some("not those the permit"),
    ),
    (
        "one more generation",
        attack!(|s| with(&s.effect, "generation", 2.into())),
        "parameters",
        Some("not those the permit"),
    ),
    (
        "one parameter more",
        attack!(|s| with(&s.effect, "privileged", true.into())),
        "parameters",
        Some("not those the permit"),
    ),
    (
        "no parameters",
        attack!(|s| Effect { params: serde_json::json!({}), ..s.effect.clone() }),
        "parameters",
        Some("not those the permit"),
    ),
    (
        "parameters that cannot be digested",
        attack!(|s| with(&s.effect, "share", 0.5.into())),
        "digest",
        Some("cannot be digested"),
    ),
    (
        "another effect's key",
        attack!(|s| Effect { key: s.used.key.clone(), ..s.effect.clone() }),
        "effect_key",
        Some("is for effect"),
    ),
    (
        "a key of one's own, so that it happens once more",
        attack!(|s| Effect { key: EffectKey("ek_again".into()), ..s.effect.clone() }),
        "effect_key",
        Some("is for effect"),
    ),
    (
        "a later epoch, to shut others out",
        attack!(|s| Effect { epoch: s.effect.epoch + 5, ..s.effect.clone() }),
        "epoch",
        Some("is of epoch"),
    ),
    ("an earlier epoch", attack!(|s| Effect { epoch: 0, ..s.effect.clone() }), "epoch", Some("is of epoch")),
    (
        "another agent redeems it",
        attack!(|s| redeemed(s.effect.clone(), &agent_key(OTHER), 3)),
        "redemption",
        Some("not signed by agent"),
    ),
    (
        "a thief without any key",
        attack!(|s| redeemed(s.effect.clone(), &Key::from_seed("thief", &[66; 32]), 3)),
        "redemption",
        Some("not signed by agent"),
    ),
    (
        "the redemption of another order",
        attack!(|s| Effect { redemption: s.used.redemption.clone(), ..s.effect.clone() }),
        "redemption",
        Some("not signed by agent"),
    ),
    (
        "another nonce under the signature",
        attack!(|s| {
            let mut e = s.effect.clone();
            e.redemption.nonce = "00".repeat(16);
            e
        }),
        "redemption",
        Some("not signed by agent"),
    ),
    (
        "no signature",
        attack!(|s| {
            let mut e = s.effect.clone();
            e.redemption.signature.clear();
            e
        }),
        "redemption",
        Some("not signed by agent"),
    ),
    (
        "a permit from another gate",
        attack!(|s| s.forged(&Key::from_seed("gate", &[9; 32]), |_| {})),
        "signature",
        Some("not signed by the gate"),
    ),
    (
        "a permit signed by the agent itself",
        attack!(|s| s.forged(&agent_key(AGENT), |_| {})),
        "signature",
        Some("not signed by the gate"),
    ),
    (
        "a permit widened after it was signed",
        attack!(|s| {
            let mut e = s.effect.clone();
            e.permit.0 = widened(&s.permit(), &e.permit.0);
            redeemed(e, &agent_key(AGENT), 4)
        }),
        "signature",
        Some("not signed by the gate"),
    ),
    (
        "no permit at all",
        attack!(|s| {
            let mut e = s.effect.clone();
            e.permit.0 = String::new();
            e
        }),
        "signature",
        Some("not signed by the gate"),
    ),
    (
        "something else that the gate signed",
        attack!(|s| {
            let mut e = s.effect.clone();
            e.permit.0 =
                serde_json::to_string(&writ_seal::Envelope::sign("application/x", b"{}", &gate_key()).unwrap())
                    .unwrap();
            e
        }),
        "signature",
        Some("not signed by the gate"),
    ),
    (
        "after its end",
        attack!(|s| {
            s.site.pass(Duration::from_secs(60)).await;
            s.effect.clone()
        }),
        "expired",
        Some("expired at"),
    ),
    (
        "before its beginning",
        attack!(|s| s.forged(&gate_key(), |p| p.issued_at = p.expires_at)),
        "early",
        Some("not valid before"),
    ),
    (
        "the same redemption again",
        attack!(|s| {
            s.site.pipeline().drive().redeem(&agent(AGENT), &s.effect).await.unwrap();
            s.effect.clone()
        }),
        "replayed",
        None,
    ),
    (
        "an order that was carried out",
        attack!(|s| redeemed(s.used.clone(), &agent_key(AGENT), 5)),
        "ticket_state",
        None,
    ),
    (
        "an order whose step was given away since",
        attack!(|s| {
            s.reallocate().await;
            s.forged(&gate_key(), |p| p.expires_at = p.expires_at.plus(Duration::from_secs(600)))
        }),
        "superseded",
        Some("is over"),
    ),
    (
        "a permit that outlives its lease",
        attack!(|s| {
            s.site.pipeline().kill_switch(KillScope::All, true, "", &Actor::system("test")).await.unwrap();
            s.site.pass(Duration::from_secs(60)).await;
            s.forged(&gate_key(), |p| p.expires_at = p.expires_at.plus(Duration::from_secs(600)))
        }),
        "lease_over",
        None,
    ),
    (
        "a ticket that the gate never issued",
        attack!(|s| s.forged(&gate_key(), |p| p.ticket = TicketId::mint(1, [1; 10]))),
        "unknown_ticket",
        None,
    ),
    (
        "another step's ticket",
        attack!(|s| {
            let ticket = permit_of(&s.used).ticket;
            s.forged(&gate_key(), |p| p.ticket = ticket)
        }),
        "ticket_state",
        None,
    ),
    (
        "a decision that was never made",
        attack!(|s| s.forged(&gate_key(), |p| p.decision = sha256(b"allow everything"))),
        "decision",
        None,
    ),
    (
        "a permit for an action that the ticket is not for",
        attack!(|s| {
            let f = s.forged(&gate_key(), |p| p.action = "instance.remove".into());
            redeemed(Effect { verb: "instance.remove".into(), ..f }, &agent_key(AGENT), 6)
        }),
        "mismatch",
        None,
    ),
    (
        "a permit for an instance that the ticket is not for",
        attack!(|s| {
            let f = s.forged(&gate_key(), |p| p.resource = "web-service-001/i-3".into());
            redeemed(Effect { resource: "web-service-001/i-3".into(), ..f }, &agent_key(AGENT), 6)
        }),
        "mismatch",
        None,
    ),
    (
        "a permit for an effect that the ticket is not for",
        attack!(|s| {
            let f = s.forged(&gate_key(), |p| p.effect = EffectKey("ek_again".into()));
            redeemed(Effect { key: EffectKey("ek_again".into()), ..f }, &agent_key(AGENT), 6)
        }),
        "mismatch",
        None,
    ),
    (
        "a permit of an epoch that the ticket is not of",
        attack!(|s| {
            let f = s.forged(&gate_key(), |p| p.epoch += 7);
            redeemed(Effect { epoch: f.epoch + 7, ..f }, &agent_key(AGENT), 6)
        }),
        "mismatch",
        None,
    ),
    (
        "a permit made out to another agent",
        attack!(|s| {
            let f = s.forged(&gate_key(), |p| {
                p.agent = agent(OTHER);
                p.agent_key = public(OTHER);
            });
            redeemed(f, &agent_key(OTHER), 6)
        }),
        "others_ticket",
        None,
    ),
    (
        "a permit made out to nobody known",
        attack!(|s| {
            let f = s.forged(&gate_key(), |p| {
                p.agent = agent("ghost-001");
                p.agent_key = public("ghost-001");
            });
            redeemed(f, &agent_key("ghost-001"), 6)
        }),
        "unknown_agent",
        None,
    ),
    (
        "a quarantined agent",
        attack!(|s| {
            s.quarantine().await;
            s.effect.clone()
        }),
        "agent_state",
        None,
    ),
    (
        "an agent that was let go",
        attack!(|s| {
            s.change_agent(AgentWish::Move { to: AgentMove::Retire, because: "it is old".into() }).await;
            s.effect.clone()
        }),
        "agent_state",
        None,
    ),
    (
        "an agent whose key was changed",
        attack!(|s| {
            s.change_agent(AgentWish::Key { public_key: public("fresh") }).await;
            s.effect.clone()
        }),
        "old_key",
        None,
    ),
    (
        "an agent that lost the permission",
        attack!(|s| {
            s.change_agent(AgentWish::Permissions(vec![Permission("read:metrics".into())])).await;
            s.effect.clone()
        }),
        "lost_permission",
        None,
    ),
    (
        "the kill switch for everything",
        attack!(|s| {
            s.pull(KillScope::All).await;
            s.effect.clone()
        }),
        "kill_switch",
        None,
    ),
    (
        "the kill switch for the agent",
        attack!(|s| {
            s.pull(KillScope::Agent { agent: agent(AGENT) }).await;
            s.effect.clone()
        }),
        "kill_switch",
        None,
    ),
    (
        "the kill switch for the action",
        attack!(|s| {
            s.pull(KillScope::Action { action: "deploy_instances".into() }).await;
            s.effect.clone()
        }),
        "kill_switch",
        None,
    ),
    (
        "the kill switch for the component",
        attack!(|s| {
            s.pull(KillScope::Resource { resource: "web-service-001".into() }).await;
            s.effect.clone()
        }),
        "kill_switch",
        None,
    ),
    ("the control plane was restarted since", attack!(|s| s.effect.clone()), "unknown_ticket", Some("is over")),
];

fn with(effect: &Effect, name: &str, value: serde_json::Value) -> Effect {
    let mut effect = effect.clone();
    effect.params[name] = value;
    effect
}

fn public(agent: &str) -> String {
    Digest(writ_core::Signer::public_key(&agent_key(agent))).hex()
}

fn permit_of(effect: &Effect) -> Permit {
    open_permit(&effect.permit, &writ_core::Signer::public_key(&gate_key())).unwrap()
}

/// The envelope with another payload under the old signature.
fn widened(permit: &Permit, envelope: &str) -> String {
    let wide = Permit { resource: "*".into(), ..permit.clone() };
    let fresh = seal_permit(&wide, &Key::from_seed("gate", &[9; 32])).unwrap();
    let mut forged: serde_json::Value = serde_json::from_str(envelope).unwrap();
    forged["payload"] = serde_json::from_str::<serde_json::Value>(&fresh.0).unwrap()["payload"].clone();
    forged.to_string()
}

#[test]
fn every_attack_is_refused_at_the_gate_and_again_by_the_world() {
    assert!(ATTACKS.len() >= 30);
    let files = Arc::new(Files::read(&example()).unwrap());
    let mut wrong = Vec::new();
    for (name, attack, code, world) in ATTACKS {
        let said = paused(async {
            let mut scene = Scene::set(files.clone()).await;
            if name.contains("restarted") {
                scene.site.restart().await.unwrap();
                scene.site.pass(Duration::from_millis(400)).await;
            }
            let deeds = |scene: &Scene| scene.site.world.deeds().len();
            let effect = attack(&scene).await;
            let before = (scene.refusals().await.len(), deeds(&scene));
            let gate = match scene.site.pipeline().drive().redeem(&agent(AGENT), &effect).await {
                Ok(_) => "let through".to_owned(),
                Err(refused) => refused.code().to_owned(),
            };
            let told = scene.refusals().await.split_off(before.0);
            let asked = match world {
                Some(because) => match scene.site.world.perform(&effect).await {
                    Err(error) if error.to_string().contains(because) => None,
                    other => Some(format!("the world said {other:?}")),
                },
                None => None,
            };
            let happened = deeds(&scene) - before.1;
            let told_right = told == [(AGENT.to_owned(), (*code).to_owned())];
            let complaint = [
                (gate != *code).then(|| format!("the gate said {gate}, not {code}")),
                (!told_right).then(|| format!("the journal says {told:?}")),
                asked,
                (happened > 0).then(|| format!("{happened} things happened")),
            ];
            complaint.into_iter().flatten().collect::<Vec<_>>()
        });
        if !said.is_empty() {
            wrong.push(format!("{name}: {}", said.join("; ")));
        }
    }
    println!("{} attacks, {} got through", ATTACKS.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_order_that_the_attacks_change_is_let_through_as_it_is() {
    let files = Arc::new(Files::read(&example()).unwrap());
    paused(async {
        let scene = Scene::set(files).await;
        let permit = scene.site.pipeline().drive().redeem(&agent(AGENT), &scene.effect).await.unwrap();
        assert_eq!((permit.resource.as_str(), permit.action.as_str()), ("web-service-001/i-2", "instance.ensure"));
        assert!(scene.site.world.perform(&scene.effect).await.is_ok());
        assert_eq!(scene.refusals().await, []);
    });
}

#[test]
fn a_quarantined_agent_is_given_nothing_more_and_the_run_says_why() {
    let files = Arc::new(Files::read(&example()).unwrap());
    paused(async {
        let scene = Scene::set(files).await;
        scene.quarantine().await;
        scene.reallocate().await;
        let starts = scene.site.world.deeds().iter().filter(|deed| deed.resource.ends_with("i-2")).count();
        assert_eq!(starts, 0);
        let wanted = Filter {
            kind: Some("run.".into()),
            resource: Some("web-service-001/i-2".into()),
            newest_first: true,
            ..Filter::default()
        };
        let last = decode(&scene.site.ledger().query(&wanted, 1).await.unwrap()[0]).unwrap();
        assert!(last.body.to_string().contains("quarantined"), "{} {}", last.kind, last.body);
    });
}
