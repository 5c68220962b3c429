//! A right is held to until what it lets do is recorded.

use super::*;
use crate::unreal::{Comes, SetClock, World};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};
use writ_core::{ComponentId, Effect, EffectClass, EffectKey, Filter, Probe, Provider, ProviderError, Receipt};
use writ_pipeline::{Span, revoke_token, some_tokens};

/// A body whose parts are sent one by one.
fn parts() -> (mpsc::UnboundedSender<&'static str>, Sent) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let next = |mut receiver: mpsc::UnboundedReceiver<&'static str>| async move {
        receiver.recv().await.map(|part| (Ok::<_, std::io::Error>(part), receiver))
    };
    (sender, Sent::from_stream(futures::stream::unfold(receiver, next)))
}

#[tokio::test]
async fn what_is_sent_slowly_is_done_with_what_its_sender_may_when_all_is_there() {
    let place = Place::new().await;
    assert_eq!(place.say("operator", "/api/v1/policies", moments::policies(&moments::signed_by(1))).await.0, 200);
    let (_, approval) = moments::asked(&place).await;
    let request = || {
        let request = Request::builder().method("POST").uri(format!("/api/v1/approvals/{approval}/approve"));
        request
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", place.tokens[3]))
    };
    assert_eq!(ROLES[3], "approver");
    for (lost, status) in [("role", 403), ("token", 401)] {
        let (sender, body) = parts();
        sender.send("{\"reason\":").unwrap();
        let slow = place.ask(request(), body);
        let meanwhile = async {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            match lost {
                "role" => place.loses("approver", "approver").await,
                _ => {
                    let (_, all) = place.send("admin", "GET", "/api/v1/tokens", "").await;
                    let all = all["items"].as_array().unwrap();
                    let token = all.iter().find(|token| token["roles"] == json!(["approver"])).unwrap();
                    let path = format!("/api/v1/tokens/{}", token["id"].as_str().unwrap());
                    assert_eq!(place.send("admin", "DELETE", &path, "").await.0, 200);
                }
            }
            sender.send("\"x\"}").unwrap();
            drop(sender);
        };
        let (answer, ()) = futures::join!(slow, meanwhile);
        assert_eq!(answer.status(), status, "{lost}");
    }
    let (_, open) = look(&place, "/api/v1/approvals?state=open").await;
    assert_eq!(open["items"][0]["id"], json!(approval));
}

#[tokio::test]
async fn what_breaks_off_is_not_taken_for_too_much() {
    let place = Place::new().await;
    let parts = [Ok("{\"name\":"), Err(std::io::Error::other("it broke off"))];
    let body = Sent::from_stream(futures::stream::iter(parts));
    let (status, problem) = place.post("/api/v1/intents", "application/json", body).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (400, Some("invalid")), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_in_time_is_not_waited_for_and_not_done() {
    let place = Place::new().await;
    let size = place.size().await;
    let body = Sent::from_stream(futures::stream::pending::<std::io::Result<&str>>());
    let (status, problem) = place.post("/api/v1/intents", "application/json", body).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (408, Some("slow")), "{problem}");
    assert_eq!(place.size().await, size);
}

/// A world that nothing can be asked of for a while.
struct Away(World, AtomicBool);

#[async_trait]
impl Provider for Away {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn verbs(&self) -> BTreeMap<String, EffectClass> {
        self.0.verbs()
    }

    async fn perform(&self, effect: &Effect) -> Result<Receipt, ProviderError> {
        self.0.perform(effect).await
    }

    async fn probe(&self, key: &EffectKey, verb: &str, resource: &str) -> Probe {
        self.0.probe(key, verb, resource).await
    }

    async fn observe(&self, component: &ComponentId) -> Result<writ_core::World, ProviderError> {
        if self.1.load(Ordering::Relaxed) {
            return Err(ProviderError::Failed {
                verb: "observe".into(),
                resource: component.to_string(),
                because: "it is away".into(),
            });
        }
        self.0.observe(component).await
    }
}

/// A world that waits until something else was done, the next time that it is looked at.
struct Meanwhile(World, Mutex<Option<oneshot::Sender<oneshot::Sender<()>>>>);

#[async_trait]
impl Provider for Meanwhile {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn verbs(&self) -> BTreeMap<String, EffectClass> {
        self.0.verbs()
    }

    async fn perform(&self, effect: &Effect) -> Result<Receipt, ProviderError> {
        self.0.perform(effect).await
    }

    async fn probe(&self, key: &EffectKey, verb: &str, resource: &str) -> Probe {
        self.0.probe(key, verb, resource).await
    }

    async fn observe(&self, component: &ComponentId) -> Result<writ_core::World, ProviderError> {
        let met = self.1.lock().unwrap().take();
        if let Some(met) = met {
            let (done, over) = oneshot::channel();
            met.send(done).unwrap();
            over.await.unwrap();
        }
        self.0.observe(component).await
    }
}

#[tokio::test]
async fn what_is_asked_for_is_recorded_only_while_whoever_asked_still_may() {
    let manifest = include_str!("../../../../examples/deploy-web-001/intent.yaml");
    let manifest = json!({"name": "intent.yaml", "text": manifest});
    for (meanwhile, with, done) in [
        ("role", "token", false),
        ("token", "token", false),
        ("role", "session", false),
        ("session", "session", false),
        ("role", "session behind a proxy", false),
        ("another token", "token", true),
        ("another token", "session", true),
    ] {
        let world = Arc::new(Meanwhile(World(|_, _| Comes::Done), Mutex::new(None)));
        let pipeline = crate::wire::offline_in(&example(), world.clone(), SetClock::new()).await.unwrap();
        let place = Place::over(pipeline, |_| {}).await;
        let journal = place.shared.pipeline.journal();
        let by = writ_pipeline::person(journal, "operator").await.unwrap();
        let admin = writ_core::Actor::system("test");
        let session = writ_pipeline::open_session(journal, &place.tokens[2]).await.unwrap().secret;
        let size = place.size().await;
        let (met, meets) = oneshot::channel();
        *world.1.lock().unwrap() = Some(met);
        let ask = async {
            let request = Request::builder().method("POST");
            if with == "token" {
                let request = request.uri("/api/v1/intents").header("content-type", "application/json");
                let request = request.header("authorization", format!("Bearer {}", place.tokens[2]));
                return place.ask(request, manifest.to_string()).await.status();
            }
            let form: String = manifest["text"].as_str().unwrap().bytes().map(|byte| format!("%{byte:02x}")).collect();
            let request = request.uri("/intents/new").header("content-type", "application/x-www-form-urlencoded");
            let mut request =
                request.header("cookie", format!("writ_session={session}")).header("sec-fetch-site", "same-origin");
            if with != "session" {
                request = request.header("authorization", "Basic cHJveHk6eA==");
            }
            place.ask(request, format!("text={form}")).await.status()
        };
        let lose = async {
            let done = meets.await.unwrap();
            match meanwhile {
                "role" => place.loses("operator", "operator").await,
                "token" => {
                    let own = some_tokens(journal, Span::behind(None, 100)).await.unwrap().rows;
                    let own = own.iter().find(|token| token.principal == by.principal).unwrap();
                    revoke_token(journal, &own.id, &admin).await.unwrap();
                }
                "session" => writ_pipeline::close_session(journal, &session).await.unwrap(),
                _ => drop(issue_token(journal, &by, &TokenWish::default(), &admin).await.unwrap()),
            }
            done.send(()).unwrap();
        };
        let (status, ()) = futures::join!(ask, lose);
        let since = Filter { from_seq: Some(size), kind: Some("intent.submitted/1".into()), ..Filter::default() };
        let submitted = journal.ledger().query(&since, 10).await.unwrap().len();
        assert_eq!((submitted == 1, status.as_u16() < 400), (done, done), "{meanwhile}, by {with}: {status}");
        if !done {
            assert_eq!(status, 403, "{meanwhile}, by {with}");
            let denied = Filter { from_seq: Some(size), kind: Some("principal.denied/1".into()), ..Filter::default() };
            // Whose session is over is nobody.
            let noted = usize::from(meanwhile != "session");
            assert_eq!(journal.ledger().query(&denied, 10).await.unwrap().len(), noted, "{meanwhile}, by {with}");
        }
    }
}

async fn with_a_world_that_goes_away() -> (Place, Arc<Away>) {
    let away = Arc::new(Away(World(|_, _| Comes::Done), AtomicBool::new(false)));
    let pipeline = crate::wire::offline_in(&example(), away.clone(), SetClock::new()).await.unwrap();
    (Place::over(pipeline, |_| {}).await, away)
}

#[tokio::test(start_paused = true)]
async fn what_people_agreed_to_waits_for_a_world_that_cannot_be_asked() {
    let (place, away) = with_a_world_that_goes_away().await;
    assert_eq!(place.say("operator", "/api/v1/policies", moments::policies(&moments::signed_by(1))).await.0, 200);
    let (run, approval) = moments::asked(&place).await;
    away.1.store(true, Ordering::Relaxed);
    let path = format!("/api/v1/approvals/{approval}/approve");
    let (status, told) = place.say("approver", &path, json!({"reason": "x"})).await;
    assert_eq!((status, told["state"].as_str()), (200, Some("granted")), "{told}");
    let begun = async || {
        let entries = place.shared.pipeline.journal().stream(&format!("run/{run}")).await.unwrap();
        let last = entries.last().unwrap().kind.clone();
        assert_ne!(last, "run.expired/1");
        entries.iter().any(|entry| entry.kind == "run.started/1")
    };
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    assert!(!begun().await);
    away.1.store(false, Ordering::Relaxed);
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    assert!(begun().await);
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_over_late_is_held_to_whether_enough_agree_by_then() {
    let two = moments::signed_by(2);
    let both = moments::signed_by(1)
        + "    violation: 'x'\n\n  - id: TEST-BOTH-001\n    stage: plan\n    rule: plan.cost_per_month <= 1\n    enforcement: require_approval\n    approval: { count: 1, role: admin }\n";
    // Who agrees, who loses which role before everybody agreed and who while the world is away, and whether it begins.
    let cases = [
        (&two, ["bea", "cid", "dan"].as_slice(), ("bea", "approver"), None, true),
        (&two, &["bea", "cid"], ("dan", "approver"), Some(("cid", "approver")), false),
        (&both, &["eve"], ("dan", "approver"), Some(("eve", "admin")), false),
        (&both, &["eve"], ("dan", "approver"), Some(("dan", "admin")), true),
    ];
    for (rule, agree, early, late, begins) in cases {
        let (mut place, away) = with_a_world_that_goes_away().await;
        let by = writ_core::Actor::system("test");
        let people = ["bea", "cid", "dan", "eve"];
        for name in people {
            let roles = if matches!(name, "dan" | "eve") { &["approver", "admin"][..] } else { &["approver"] };
            let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
            let journal = place.shared.pipeline.journal();
            let person = enrol_person(journal, name, &roles, &by).await.unwrap();
            place.tokens.push(issue_token(journal, &person, &TokenWish::default(), &by).await.unwrap().1);
        }
        let (status, told) = place.say("operator", "/api/v1/policies", moments::policies(rule)).await;
        assert_eq!(status, 200, "{told}");
        let (run, approval) = moments::asked(&place).await;
        away.1.store(true, Ordering::Relaxed);
        for (at, name) in agree.iter().enumerate() {
            let token = &place.tokens[ROLES.len() + people.iter().position(|one| one == name).unwrap()];
            let request = Request::builder().method("POST").uri(format!("/api/v1/approvals/{approval}/approve"));
            let request = request.header("content-type", "application/json");
            let request = request.header("authorization", format!("Bearer {token}"));
            let (status, told) = read(place.ask(request, json!({"reason": "x"}).to_string()).await).await;
            let last = at + 1 == agree.len();
            assert_eq!(
                (status.as_u16(), &told["state"]),
                (200, &json!(if last { "granted" } else { "open" })),
                "{told}"
            );
            if at == 0 {
                place.loses(early.0, early.1).await;
            }
        }
        if let Some((who, role)) = late {
            place.loses(who, role).await;
        }
        away.1.store(false, Ordering::Relaxed);
        tokio::time::sleep(std::time::Duration::from_secs(120)).await;
        let entries = place.shared.pipeline.journal().stream(&format!("run/{run}")).await.unwrap();
        let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
        assert_eq!(kinds.contains(&"run.started/1"), begins, "{agree:?} {early:?} {late:?}: {kinds:?}");
        let lost =
            entries.iter().any(|entry| entry.body.to_string().contains("who agreed, does not hold the role any more"));
        assert_eq!(lost, !begins, "{agree:?} {early:?} {late:?}");
    }
}
