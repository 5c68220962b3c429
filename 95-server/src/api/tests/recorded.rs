//! Every change over HTTP leaves an entry that says who made it, and so does whoever is refused one.

use super::recommendations::draft;
use super::said::{Comes, Said, Sees};
use super::*;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::watch;
use writ_core::{Actor, Entry, Outcome};
use writ_pipeline::Batch;
use writ_seal::Key;

/// The example's component, and an incident of it.
pub(super) const WEB: &str = "web-service-001";
pub(super) const INCIDENT: &str = "inc_01m7znjwjxsxdw0zwmr5z97yce";

pub(super) const MANIFEST: &str = include_str!("../../../../examples/deploy-web-001/intent.yaml");

/// What may be asked for and changes nothing, and so leaves nothing.
const NOTHING: [(&str, &str); 7] = [
    ("POST /api/v1/validate", "a manifest is read and judged, and nothing is decided on that"),
    ("POST /api/v1/plan", "it is worked out what would be done, and nothing is done"),
    ("POST /api/v1/policies/explain", "policy is asked about a manifest that nobody submitted"),
    ("POST /api/v1/policies/test", "the policies that are sent have no part in those in force"),
    ("POST /api/v1/contracts/check", "what is required is held against what is published"),
    ("POST /api/v1/playbooks/{id}/plan", "it is worked out what a playbook would do, and nothing is done"),
    ("POST /api/v1/actions/{id}/alive", "it says only that an order goes on; that it stopped doing so is recorded"),
];

/// What is recorded as an agent's, and how it is known which person stands behind that.
const BY_AGENT: [(&str, &str, &str); 1] = [(
    "POST /api/v1/actions/{id}/outcome",
    "outside-agent-001",
    "the permit is the agent's, and so is its answer; who took the order stands in the claim, and nobody else is heard",
)];

/// One story in which every change is made once.
pub(super) struct Story {
    pub(super) place: Place,
    comes: watch::Sender<Comes>,
    pub(super) sees: watch::Sender<Sees>,
    told: BTreeSet<String>,
}

impl Story {
    pub(super) async fn new() -> Self {
        let ((comes, what), (sees, whom)) = (watch::channel(Comes::Later), watch::channel(Sees::All));
        let (files, world) = (example(), Arc::new(Said { comes: what, sees: whom }));
        let pipeline = crate::wire::offline_in(&files, world, Arc::new(crate::system::SystemClock)).await.unwrap();
        let name = pipeline.journal().base().signer.name().to_owned();
        let given = |shared: &mut Shared| {
            shared.next_key = Arc::new(move || Ok(Arc::new(Key::from_seed(&name, &[9; 32])) as _));
            shared.processes = Arc::new(|| vec![json!({"component": WEB, "slot": "i-1", "alive": true})]);
            shared.breaks = Some(Arc::new(|_, _| true));
        };
        Self { place: Place::over(pipeline, given).await, comes, sees, told: BTreeSet::new() }
    }

    /// Asks for something that must be done; the answer, and what was recorded since.
    async fn done(&mut self, role: &str, what: &str, ids: &[&str], body: &Value) -> (Value, Vec<Entry>) {
        let (method, path) = what.split_once(' ').unwrap();
        let path = ids.iter().fold(path.to_owned(), |path, id| {
            let (before, rest) = path.split_once('{').unwrap();
            format!("{before}{id}{}", rest.split_once('}').unwrap().1)
        });
        let before = self.place.size().await;
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", self.place.token(role)));
        let (status, told) = read(self.place.ask(request, body.to_string()).await).await;
        assert!(status.is_success(), "{role}: {what} {ids:?} {body}: {told}");
        self.told.insert(what.to_owned());
        (told, self.place.since(before).await)
    }

    /// A change, and the kind of the entry by which whoever asked for it made it.
    async fn change(&mut self, role: &str, what: &str, ids: &[&str], body: Value, kind: &str) -> Value {
        let (told, left) = self.done(role, what, ids, &body).await;
        let agent = BY_AGENT.iter().find(|(known, _, _)| *known == what).map(|(_, agent, _)| agent.parse().unwrap());
        let by = match &agent {
            Some(agent) => Actor::agent(agent),
            None => Actor::human(&self.place.person(role).await),
        };
        let seen: Vec<String> = left.iter().map(|entry| format!("{} by {}", entry.kind, entry.actor)).collect();
        let made = left.iter().any(|entry| entry.kind == kind && entry.actor == by);
        assert!(made, "{what} left no {kind} by {by}: {seen:?}");
        told
    }

    /// Something of [`NOTHING`].
    async fn look(&mut self, what: &str, ids: &[&str], body: Value) {
        assert!(NOTHING.iter().any(|(known, _)| *known == what), "{what}");
        let role = if what.ends_with("/alive") { "operator" } else { "viewer" };
        let (_, left) = self.done(role, what, ids, &body).await;
        assert!(left.is_empty(), "{what} left {left:?}");
    }

    /// What stands at a path, once it says this at a place.
    pub(super) async fn once(&self, path: &str, pointer: &str, says: &str) -> Value {
        let mut size = self.place.shared.pipeline.journal().size();
        loop {
            let (_, told) = look(&self.place, path).await;
            if told.pointer(pointer) == Some(&json!(says)) {
                return told;
            }
            let more = tokio::time::timeout(Duration::from_secs(20), size.changed()).await;
            assert!(more.is_ok(), "{path} does not come to say {says} at {pointer}: {told}");
        }
    }

    /// An intent is submitted, gets another plan on its way, and is there in the end.
    pub(super) async fn an_intent(&mut self) {
        let manifest = json!({"name": "intent.yaml", "text": MANIFEST});
        for what in ["POST /api/v1/validate", "POST /api/v1/plan", "POST /api/v1/policies/explain"] {
            self.look(what, &[], manifest.clone()).await;
        }
        let told = self.change("operator", "POST /api/v1/intents", &[], manifest, "intent.submitted/1").await;
        let run = text(&told["run"]);
        let execution = format!("/api/v1/runs/{run}/execution");
        self.once(&execution, "/state", "running").await;
        self.change("operator", "POST /api/v1/runs/{id}/pause", &[&run], json!({}), "run.pausing/1").await;
        self.comes.send_replace(Comes::Done);
        self.once(&execution, "/state", "paused").await;
        self.change("operator", "POST /api/v1/runs/{id}/replan", &[&run], json!({}), "run.replanning/1").await;
        self.once(&execution, "/state", "succeeded").await;
    }

    /// One that cannot be had, nor taken back: a step is tried again in vain, and somebody says that it is gone.
    async fn a_failure(&mut self) {
        self.comes.send_replace(Comes::Refused);
        let text_of = super::scopes::manifest("OTHER-001", "other", "web-team", "prod");
        let manifest = json!({"name": "intent.yaml", "text": text_of});
        let told = self.change("operator", "POST /api/v1/intents", &[], manifest, "intent.submitted/1").await;
        let run = text(&told["run"]);
        let execution = format!("/api/v1/runs/{run}/execution");
        let stuck = self.once(&execution, "/state", "needs_operator").await;
        let failed = |one: &&Value| one["state"] == "failed" && one["resource"].as_str().unwrap().ends_with("/lb");
        let step = stuck["steps"].as_array().unwrap().iter().find(failed).unwrap()["key"].clone();
        let retry = json!({"step": step});
        self.change("operator", "POST /api/v1/runs/{id}/retry", &[&run], retry, "run.step_readied/1").await;
        self.once(&execution, "/state", "needs_operator").await;
        let resolve = json!({"step": step, "happened": true, "reason": "it is gone"});
        self.change("operator", "POST /api/v1/runs/{id}/resolve", &[&run], resolve, "run.step_resolved/1").await;
        self.comes.send_replace(Comes::Done);
    }

    /// Changes that somebody else carries out, and what else a run may be told.
    async fn outside(&mut self) {
        let wanted = json!({"command": ["true"], "reason": "why", "here": true});
        let why = json!({"reason": "looked at"});
        let ask = "POST /api/v1/actions";
        let asked = self.change("operator", ask, &[], wanted.clone(), "run.submitted/1").await;
        let (run, approval) = (text(&asked["run"]), text(&asked["approval"]));
        let approve = "POST /api/v1/approvals/{id}/approve";
        self.change("approver", approve, &[&approval], why.clone(), "approval.voted/1").await;
        let mut holder = json!({"claim": "a-claim-of-sixteen-bytes"});
        let claim = "POST /api/v1/actions/{id}/claim";
        self.change("operator", claim, &[&run], holder.clone(), "outside.claimed/1").await;
        self.look("POST /api/v1/actions/{id}/alive", &[&run], holder.clone()).await;
        holder["outcome"] = json!({"exit": 0});
        self.change("operator", "POST /api/v1/actions/{id}/outcome", &[&run], holder, "run.step_succeeded/1").await;
        for (command, kind) in [("cancel", "run.cancelling/1"), ("rollback", "run.failing/1")] {
            let asked = self.change("operator", ask, &[], wanted.clone(), "run.submitted/1").await;
            let (run, approval) = (text(&asked["run"]), text(&asked["approval"]));
            self.change("approver", approve, &[&approval], why.clone(), "approval.voted/1").await;
            for (command, kind) in [("pause", "run.pausing/1"), ("resume", "run.resumed/1"), (command, kind)] {
                let what = format!("POST /api/v1/runs/{{id}}/{command}");
                self.change("operator", &what, &[&run], json!({}), kind).await;
            }
        }
        let asked = self.change("operator", ask, &[], wanted, "run.submitted/1").await;
        let reject = "POST /api/v1/approvals/{id}/reject";
        self.change("approver", reject, &[&text(&asked["approval"])], why, "approval.voted/1").await;
    }

    /// Somebody comes, is given more, and leaves.
    async fn people(&mut self) {
        let wanted = json!({"name": "Grace", "roles": ["viewer"], "reason": "new"});
        self.change("admin", "POST /api/v1/principals", &[], wanted, "principal.enrolled/1").await;
        let roles = json!({"grant": ["operator"], "reason": "more"});
        self.change("admin", "POST /api/v1/principals/{id}/roles", &["Grace"], roles, "principal.roles_set/1").await;
        let link = json!({"subject": "grace", "issuer": "https://issuer.test", "reason": "x"});
        let links = "POST /api/v1/principals/{id}/links";
        self.change("admin", links, &["Grace"], link, "principal.linked/1").await;
        let link = self.place.as_admin("/api/v1/principals/Grace/links").await["items"][0]["id"].clone();
        let cut = "DELETE /api/v1/principals/{id}/links/{link}";
        self.change("admin", cut, &["Grace", &text(&link)], json!({}), "principal.unlinked/1").await;
        let wanted = json!({"principal": "Grace", "reason": "x"});
        let token = self.change("admin", "POST /api/v1/tokens", &[], wanted, "principal.token_issued/1").await;
        let revoke = "DELETE /api/v1/tokens/{id}";
        self.change("admin", revoke, &[&text(&token["id"])], json!({}), "principal.token_revoked/1").await;
        let forget = json!({"principal": "Grace", "reason": "they left"});
        self.change("admin", "POST /api/v1/audit/erase", &[], forget, "audit.erased/1").await;
    }

    async fn agents(&mut self) {
        let key = |seed| Key::from_seed("robin", &[seed; 32]).public_hex();
        let wanted = json!({
            "id": "robin", "type": "monitoring", "version": "1.0.0", "public_key": key(1), "reason": "ours",
            "permissions": ["execute:outside"],
        });
        self.change("admin", "POST /api/v1/agents", &[], wanted, "agent.enrolled/1").await;
        for (command, more, kind) in [
            ("activate", json!({}), "agent.state_changed/1"),
            ("drain", json!({}), "agent.state_changed/1"),
            ("quarantine", json!({}), "agent.state_changed/1"),
            ("key", json!({"public_key": key(2)}), "agent.key_rotated/1"),
            ("permissions", json!({"permissions": ["execute:recovery"]}), "agent.permissions_changed/1"),
            ("retire", json!({}), "agent.state_changed/1"),
        ] {
            let mut body = more;
            body["reason"] = json!("x");
            self.change("admin", &format!("POST /api/v1/agents/{{id}}/{command}"), &["robin"], body, kind).await;
        }
    }

    async fn safety(&mut self) {
        let switch = json!({"scope": {"scope": "agent", "agent": "robin"}, "pulled": true});
        self.change("operator", "POST /api/v1/kill-switch", &[], switch, "safety.kill_switch/1").await;
        self.change("operator", "POST /api/v1/maintenance", &[], json!({"on": false}), "policy.maintenance_set/1")
            .await;
        self.change("admin", "POST /api/v1/notifications/test", &[], json!({}), "notification.tested/1").await;
        self.change("admin", "POST /api/v1/audit/rotate-key", &[], json!({}), "audit.key_rotated/1").await;
        let why = json!({"reason": "why"});
        let rule = self.place.shared.pipeline.policies()["rules"][0]["rule"].clone();
        for answers in [
            &[("approver", "grant", "policy.waiver_granted/1"), ("operator", "revoke", "policy.waiver_revoked/1")][..],
            &[("approver", "refuse", "policy.waiver_refused/1")],
        ] {
            let wanted = json!({"rule": rule, "subject": "DEPLOY-WEB-001", "seconds": 60, "reason": "a launch"});
            let told = self.change("operator", "POST /api/v1/waivers", &[], wanted, "policy.waiver_asked/1").await;
            for (role, answer, kind) in answers {
                let what = format!("POST /api/v1/waivers/{{id}}/{answer}");
                self.change(role, &what, &[&text(&told["waiver"])], why.clone(), kind).await;
            }
        }
        let standing = json!({
            "actions": ["restart_instance"], "targets": ["web"], "budget": {"count": 1, "period_seconds": 60},
            "reason": "nights", "seconds": 3_600,
        });
        self.change("operator", "POST /api/v1/standing", &[], standing, "approval.standing/1").await;
        let (_, all) = look(&self.place, "/api/v1/standing").await;
        let id = text(&all["items"][1]["id"]);
        let revoke = "POST /api/v1/standing/{id}/revoke";
        self.change("operator", revoke, &[&id], json!({}), "approval.revoked/1").await;
        let glass = json!({"actions": ["*"], "targets": ["web"], "minutes": 5, "reason": "it burns"});
        let told = self.change("operator", "POST /api/v1/break-glass", &[], glass, "approval.glass_broken/1").await;
        let id = text(&told["approval"]);
        self.change("operator", "POST /api/v1/break-glass/{id}/end", &[&id], json!({}), "approval.glass_ended/1").await;
        self.change("approver", "POST /api/v1/break-glass/{id}/review", &[&id], why, "approval.glass_reviewed/1").await;
    }

    async fn rules(&mut self) {
        let file = |(name, text): &(String, Vec<u8>)| json!({"name": name, "text": String::from_utf8_lossy(text)});
        let mut files: Vec<Value> = example().policy_files.iter().map(file).collect();
        self.look("POST /api/v1/policies/test", &[], json!({"files": files, "tests": []})).await;
        files[0]["text"] = json!(format!("# looked over\n{}", files[0]["text"].as_str().unwrap()));
        let wanted = json!({"files": files, "reason": "x"});
        self.change("operator", "POST /api/v1/policies", &[], wanted, "policy.set/1").await;
        let contract = super::contracts::contract("1.0.0", 9, "web-team");
        let wanted = json!({"name": "echo.yaml", "text": contract, "reason": "we need it"});
        self.change("operator", "POST /api/v1/contracts", &[], wanted, "contract.published/1").await;
        let requires = json!({"requires": [{"contract": "contract.echo.v1", "version": "^1.0"}]});
        self.look("POST /api/v1/contracts/check", &[], requires).await;
    }

    /// An incident before its component is watched, and what was not done about it; the id of that entry.
    pub(super) async fn an_incident(&self) -> String {
        let journal = self.place.shared.pipeline.journal();
        let at = journal.now();
        let opened = json!({
            "at": at, "component": WEB, "incident": INCIDENT, "instance": "i-2", "onset_at": at, "seen": "it ended",
            "severity": "high", "symptom": "down",
        });
        let remedy = json!({
            "action": "scale_in", "attempt": 1, "blast": {"affected": 1, "healthy": 2, "total": 3}, "component": WEB,
            "incident": INCIDENT, "key": "x/1", "targets": [], "timeout_ms": 60_000, "width": 1,
        });
        let shadowed = json!({"at": at, "because": "it ended", "remedy": remedy});
        let of_web = |kind, body| writ_core::Draft {
            resource: WEB.into(),
            ..draft(kind, &format!("incident/{INCIDENT}"), body)
        };
        let drafts = vec![of_web("incident.opened/1", opened), of_web("incident.remedy_shadowed/1", shadowed)];
        let receipt = journal.commit(&journal.new_cause(), Batch::of(drafts)).await.unwrap();
        receipt.entries[1].event_id.to_string()
    }

    async fn healing(&mut self, shadow: &str) {
        let words = json!({"reason": "seen"});
        let said = json!({"right": true, "reason": "it was down"});
        let judge = "POST /api/v1/shadow-decisions/{id}/judgement";
        self.change("operator", judge, &[shadow], said, "component.shadow_judged/1").await;
        for (command, kind) in [("ack", "incident.acknowledged/1"), ("close", "incident.closed/1")] {
            let what = format!("POST /api/v1/incidents/{{id}}/{command}");
            self.change("operator", &what, &[INCIDENT], words.clone(), kind).await;
        }
        let mode = json!({"mode": "shadow", "reason": "x"});
        let modes = "POST /api/v1/modes/{component}/{action}";
        self.change("operator", modes, &[WEB, "scale_in"], mode, "component.mode_set/1").await;
        let order = json!({"arguments": {"component": WEB, "count": 4}, "reason": "x"});
        self.look("POST /api/v1/playbooks/{id}/plan", &["refresh-web"], order.clone()).await;
        let run = "POST /api/v1/playbooks/{id}/run";
        let told = self.change("operator", run, &["refresh-web"], order, "run.submitted/1").await;
        self.once(&format!("/api/v1/runs/{}/execution", text(&told["run"])), "/state", "succeeded").await;
    }

    /// What was recommended becomes a new version, and then the intent is taken away.
    async fn feedback(&mut self) {
        self.change("viewer", "POST /api/v1/feedback", &[], json!({}), "feedback.collected/1").await;
        let base = self.place.shared.pipeline.base_in_force("intent/DEPLOY-WEB-001").await.unwrap().unwrap();
        for (id, command, kind) in
            [("OPT-001", "reject", "recommend.dismissed/1"), ("OPT-002", "approve", "recommend.approved/1")]
        {
            self.place.recommended(id, base, vec![]).await;
            let what = format!("POST /api/v1/recommendations/{{id}}/{command}");
            self.change("approver", &what, &[id], json!({"reason": "why"}), kind).await;
        }
        let farewell = json!({"reason": "nobody needs it"});
        let leave = "POST /api/v1/intents/{id}/decommission";
        self.change("operator", leave, &["DEPLOY-WEB-001"], farewell, "intent.moved/1").await;
    }
}

impl Place {
    pub(super) fn token(&self, role: &str) -> &str {
        &self.tokens[ROLES.iter().position(|known| *known == role).unwrap()]
    }

    /// Who shows a role's token.
    pub(super) async fn person(&self, role: &str) -> writ_core::PrincipalId {
        let found = writ_pipeline::principal_of(self.shared.pipeline.journal(), self.token(role)).await;
        found.unwrap().unwrap().id
    }

    async fn as_admin(&self, path: &str) -> Value {
        let request = Request::builder().uri(path).header("authorization", format!("Bearer {}", self.token("admin")));
        read(self.ask(request, "").await).await.1
    }

    /// What was recorded from a place of the journal on.
    pub(super) async fn since(&self, size: u64) -> Vec<Entry> {
        let stored = self.shared.pipeline.journal().ledger().entries(size, 1_000).await.unwrap();
        stored.iter().map(|one| writ_pipeline::decode(one).unwrap()).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_change_leaves_an_entry_of_whoever_made_it() {
    let mut story = Story::new().await;
    let shadow = story.an_incident().await;
    story.an_intent().await;
    story.healing(&shadow).await;
    story.outside().await;
    story.a_failure().await;
    story.people().await;
    story.agents().await;
    story.safety().await;
    story.rules().await;
    story.feedback().await;
    let all = changes();
    let missing: Vec<&String> = all.difference(&story.told).collect();
    assert!(missing.is_empty(), "the story above does not make {missing:?}");
    let unknown: Vec<&String> = story.told.difference(&all).collect();
    assert!(unknown.is_empty(), "there is no {unknown:?}");
}

/// Every change that the document has: each route that is not looked at, once for each command or answer that it takes.
fn changes() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(openapi()).unwrap();
    let mut all = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap().iter().filter(|(method, _)| *method != "get") {
            let what = format!("{} {path}", method.to_uppercase());
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let command = |one: &&Value| one["in"] == "path" && (one["name"] == "command" || one["name"] == "answer");
            match parameters.clone().find(command) {
                Some(one) => {
                    let hole = format!("{{{}}}", text(&one["name"]));
                    let words = one["schema"]["enum"].as_array().unwrap();
                    all.extend(words.iter().map(|word| what.replace(&hole, word.as_str().unwrap())));
                }
                None => drop(all.insert(what)),
            }
        }
    }
    all
}

#[tokio::test]
async fn every_refusal_for_want_of_a_role_leaves_an_entry() {
    let place = Place::new().await;
    let (journal, by) = (place.shared.pipeline.journal(), Actor::system("test"));
    for (at, route) in table().into_iter().filter(|route| route.needs != Needs::Nobody).enumerate() {
        let role = match route.needs {
            Needs::Person => "agent",
            Needs::Nobody | Needs::Reader => "approver",
            Needs::Doer | Needs::Operator | Needs::Approver | Needs::Judge | Needs::Admin => "viewer",
        };
        let person = enrol_person(journal, &format!("somebody {at}"), &[role.to_owned()], &by).await.unwrap();
        let token = issue_token(journal, &person, &TokenWish::default(), &by).await.unwrap().1;
        let before = place.size().await;
        assert_eq!(cell(&place, &route, &token).await, "403", "{role}: {} {}", route.method, route.path);
        let left = place.since(before).await;
        let told: Vec<_> =
            left.iter().map(|one| (one.kind.as_str(), &one.actor, &one.body["method"], &one.body["route"])).collect();
        let who = Actor::human(&person.principal);
        assert_eq!(told, [("principal.denied/1", &who, &json!(route.method.as_str()), &json!(route.path))]);
    }
}

#[tokio::test]
async fn every_login_leaves_an_entry_and_so_does_each_that_fails() {
    let place = Place::new().await;
    let post = async |path: &str, cookie: &str, body: String| {
        let request = Request::builder().method("POST").uri(path).header("cookie", cookie);
        let before = place.size().await;
        let answer = place.ask(request.header("content-type", "application/x-www-form-urlencoded"), body).await;
        let cookie = answer.headers().get("set-cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
        let left = place.since(before).await.into_iter().map(|one| (one.kind, one.actor, one.outcome));
        (answer.status().as_u16(), cookie.unwrap_or_default(), left.collect::<Vec<_>>())
    };
    let viewer = Actor::human(&place.person("viewer").await);
    let (status, cookie, left) = post("/login", "", format!("token={}", place.token("viewer"))).await;
    assert_eq!((status, left), (303, vec![("principal.session_opened/1".into(), viewer.clone(), Outcome::Success)]));
    for token in ["writ_nobody", "", "%22"] {
        let (status, _, left) = post("/login", "", format!("token={token}")).await;
        assert_eq!(
            (status, left),
            (401, vec![("principal.login_refused/1".into(), Actor::system("console"), Outcome::Denied)])
        );
    }
    let (status, _, left) = post("/logout", cookie.split(';').next().unwrap(), "x=y".into()).await;
    assert_eq!((status, left), (303, vec![("principal.session_closed/1".into(), viewer, Outcome::Success)]));
}
