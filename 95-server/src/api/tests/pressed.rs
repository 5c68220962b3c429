//! Every form of a page that changes something leaves an entry that says who sent it.

use super::recorded::{INCIDENT, MANIFEST, Story, WEB};
use super::*;
use std::collections::BTreeSet;
use writ_core::Actor;

/// Forms that change nothing, and so leave nothing.
const NOTHING: [(&str, &str); 3] =
    [("/theme", "theme=dark"), ("/intents/check", "text=intent%3A"), ("/policy/playground", "text=intent%3A")];

/// Whoever is logged in, and which forms were sent.
struct Sent {
    story: Story,
    forms: BTreeSet<String>,
}

impl Sent {
    /// Sends a form as one of the roles; what was recorded of that.
    async fn send(&mut self, role: &str, path: &str, ids: &[&str], form: &str) -> Vec<writ_core::Entry> {
        let place = &self.story.place;
        let post = |path: &str| {
            Request::builder().method("POST").uri(path).header("content-type", "application/x-www-form-urlencoded")
        };
        let answer = place.ask(post("/login"), format!("token={}", place.token(role))).await;
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let before = place.size().await;
        let at = ids.iter().fold(path.to_owned(), |at, id| {
            let (head, rest) = at.split_once('{').unwrap();
            format!("{head}{id}{}", rest.split_once('}').unwrap().1)
        });
        let answer = place.ask(post(&at).header("cookie", cookie), form.to_owned()).await;
        let status = answer.status();
        let said = String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        assert!(status.is_success() || status.is_redirection(), "{role}: {at} {form}: {status} {said}");
        self.forms.insert(path.to_owned());
        place.since(before).await
    }

    /// A form that changes something, and the kind of the entry by which whoever sent it did.
    async fn change(&mut self, role: &str, path: &str, ids: &[&str], form: &str, kind: &str) {
        let left = self.send(role, path, ids, form).await;
        let by = Actor::human(&self.story.place.person(role).await);
        let seen: Vec<String> = left.iter().map(|entry| format!("{} by {}", entry.kind, entry.actor)).collect();
        assert!(seen.contains(&format!("{kind} by {by}")), "{path} {form} left no {kind} by {by}: {seen:?}");
    }
}

/// A form's field, as a browser sends it.
fn field(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[tokio::test]
async fn every_form_that_changes_something_leaves_an_entry_of_whoever_sent_it() {
    let mut story = Story::new().await;
    let shadow = story.an_incident().await;
    story.an_intent().await;
    let mut sent = Sent { story, forms: BTreeSet::new() };
    for (path, form) in NOTHING {
        assert!(sent.send("viewer", path, &[], form).await.is_empty(), "{path}");
    }
    let more = format!("text={}", field(&MANIFEST.replace("min_instances: 3", "min_instances: 4")));
    sent.change("operator", "/intents/new", &[], &more, "intent.submitted/1").await;
    let (_, asked) =
        sent.story.place.say("operator", "/api/v1/actions", json!({"command": ["true"], "reason": "x"})).await;
    let ids = |name: &str| asked[name].as_str().unwrap().to_owned();
    let (run, approval) = (ids("run"), ids("approval"));
    let agrees = "answer=approve&reason=x";
    sent.change("approver", "/approvals/{id}", &[&approval], agrees, "approval.voted/1").await;
    for (command, kind) in [("pause", "run.pausing/1"), ("resume", "run.resumed/1"), ("rollback", "run.failing/1")] {
        sent.change("operator", "/runs/{id}", &[&run], &format!("command={command}"), kind).await;
    }
    for (command, kind) in [("ack", "incident.acknowledged/1"), ("close", "incident.closed/1")] {
        sent.change("operator", "/incidents/{id}", &[INCIDENT], &format!("command={command}"), kind).await;
    }
    let rule = sent.story.place.shared.pipeline.policies()["rules"][0]["rule"].as_str().unwrap().to_owned();
    let waiver = format!("rule={rule}&subject=DEPLOY-WEB-001&hours=1&reason=x");
    sent.change("operator", "/waivers", &[], &waiver, "policy.waiver_asked/1").await;
    let waiver = look(&sent.story.place, "/api/v1/waivers").await.1["items"][0]["waiver"].as_str().unwrap().to_owned();
    sent.change("approver", "/waivers/{id}", &[&waiver], "answer=grant&reason=x", "policy.waiver_granted/1").await;
    sent.change("operator", "/agents", &[], "scope=all&command=pull", "safety.kill_switch/1").await;
    sent.change("operator", "/agents", &[], "scope=all&command=release", "safety.kill_switch/1").await;
    let drain = "command=drain&reason=x";
    sent.change("admin", "/agents/{id}", &["scaling-agent-001"], drain, "agent.state_changed/1").await;
    sent.change("operator", "/components/{id}", &[WEB], "slot=i-1", "demo.fault_ordered/1").await;
    let mode = "mode=shadow&reason=x";
    sent.change("operator", "/components/{id}/modes/{action}", &[WEB, "scale_in"], mode, "component.mode_set/1").await;
    let right = "answer=right&reason=x";
    sent.change("operator", "/shadow-decisions/{id}", &[&shadow], right, "component.shadow_judged/1").await;
    sent.change("viewer", "/recommendations", &[], "hours=7", "feedback.collected/1").await;
    let base = sent.story.place.shared.pipeline.base_in_force("intent/DEPLOY-WEB-001").await.unwrap().unwrap();
    sent.story.place.recommended("OPT-001", base, vec![]).await;
    let rejects = "answer=reject&reason=x";
    sent.change("approver", "/recommendations/{id}", &["OPT-001"], rejects, "recommend.dismissed/1").await;
    let leave = "/intents/{id}/decommission";
    sent.change("operator", leave, &["DEPLOY-WEB-001"], "reason=x", "intent.moved/1").await;
    // Logging in and out has a test of its own.
    sent.forms.extend(["/login".to_owned(), "/logout".to_owned()]);
    let all: BTreeSet<String> = include_str!("../../console.rs")
        .lines()
        .filter(|line| line.contains("post("))
        .filter_map(|line| Some(line.split_once(".route(\"")?.1.split_once('"')?.0.to_owned()))
        .collect();
    assert_eq!(sent.forms, all);
}
