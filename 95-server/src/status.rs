//! How each of a list stands, in the word that every face uses. It follows from the last entry about it.

use crate::api::Shared;
use crate::benefit::is_unmeasured;
use crate::console::words::{number, text, time_of};
use serde_json::Value;
use writ_core::Timestamp;
use writ_pipeline::{FIGURES, LAST_IN_FORCE, RunState, WaiverState, WaiverStatus};

/// The word for one of a view's documents; none for a view whose documents all stand alike.
pub(crate) fn of(shared: &Shared, view: &str, id: &str, doc: &Value) -> Option<String> {
    let now = shared.pipeline.journal().now();
    match view {
        "intents" => Some(intent(shared, id, doc)),
        "agents" => Some(agent(doc).to_owned()),
        "runs" => Some(run(shared, id, doc)),
        "incidents" => Some(incident(doc).to_owned()),
        "approvals" => Some(approval(doc, now).to_owned()),
        "recommendations" => Some(recommendation(doc, now).to_owned()),
        _ => None,
    }
}

/// The words that there are for one of a view's documents; none for a view whose documents all stand alike.
pub(crate) fn states(view: &str) -> &'static [&'static str] {
    match view {
        "intents" => &[
            "draft",
            "validating",
            "invalid",
            "validated",
            "translating",
            "translated",
            "simulating",
            "ready",
            "awaiting approval",
            "executing",
            "active",
            "monitoring",
            "optimizing",
            "degraded",
            "recovering",
            "failed",
            "decommissioning",
            "archived",
        ],
        "agents" => &["enrolled", "active", "draining", "quarantined", "retired"],
        "runs" => &[
            "submitted",
            "validated",
            "awaiting approval",
            "awaiting window",
            "running",
            "pausing",
            "paused",
            "replanning",
            "failing",
            "compensating",
            "needs operator",
            "cancelling",
            "succeeded",
            "rolled back",
            "failed",
            "cancelled",
            "rejected",
            "expired",
        ],
        "incidents" => &[
            "open",
            "acknowledged",
            "held",
            "shadowed",
            "awaiting approval",
            "denied",
            "healing",
            "verifying",
            "escalated",
            "resolved",
            "closed",
        ],
        "approvals" => &[
            "open",
            "granted",
            "refused",
            "used",
            "expired",
            "void",
            "standing",
            "over",
            "revoked",
            "glass broken",
            "glass ended",
            "reviewed",
        ],
        "recommendations" => &[
            "draft",
            "open",
            "claimed",
            "approved",
            "applying",
            "verifying",
            "realised",
            "missed",
            "not measured",
            "reverted",
            "dismissed",
            "superseded",
            "expired",
        ],
        _ => &[],
    }
}

/// Where an intent's document says of which version its figures are, when that is neither the newest nor the one in force.
pub(crate) const SHOWN: &str = "/shown_version";

/// An intent's document with what was planned for the version that is in force, where a newer one is not; of one that was taken
/// away, for the version that was in force last.
pub(crate) fn in_force(mut doc: Value) -> Value {
    let last = doc.as_object_mut().and_then(|doc| doc.remove(LAST_IN_FORCE));
    let (newest, applied) = (number(&doc, "/version"), number(&doc, "/applied_version"));
    let is_behind = if applied == 0 { text(&doc, "/to") == "archived" && newest > 1 } else { applied != newest };
    if let Some(mut last) = last.filter(|_| is_behind) {
        for name in FIGURES {
            doc[name] = last[name].take();
        }
        if applied == 0 {
            doc[SHOWN.trim_start_matches('/')] = last["version"].take();
        }
    }
    doc
}

/// How an intent stands: while people are asked whether its newest version may be carried out, it waits for them.
pub(crate) fn intent(shared: &Shared, id: &str, doc: &Value) -> String {
    let drive = shared.pipeline.drive();
    let run = || drive.live_state(&drive.run_of(&id.parse().ok()?)?);
    match text(doc, "/to") {
        "ready" if matches!(run(), Some(RunState::AwaitingApproval(_))) => "awaiting approval".to_owned(),
        state => state.to_owned(),
    }
}

/// An agent of which nothing was made yet stands as it was enrolled.
fn agent(doc: &Value) -> &str {
    if doc.get("to").is_some() { text(doc, "/to") } else { text(doc, "/agent/state") }
}

/// How a run stands: what is live says so itself.
pub(crate) fn run(shared: &Shared, id: &str, doc: &Value) -> String {
    let Ok(run) = id.parse() else { return "unknown".to_owned() };
    if let Some(state) = shared.pipeline.drive().live_state(&run) {
        return state.name().to_owned();
    }
    match text(doc, "/last/kind").trim_start_matches("run.").trim_end_matches("/1") {
        "started" | "resumed" | "approved" | "window_opened" | "replanned" => "running".to_owned(),
        "approval_asked" => "awaiting approval".to_owned(),
        "window_awaited" => "awaiting window".to_owned(),
        other => other.replace('_', " "),
    }
}

pub(crate) fn incident(doc: &Value) -> &'static str {
    match text(doc, "/last/kind") {
        "incident.resolved/1" => "resolved",
        "incident.closed/1" => "closed",
        "incident.escalated/1" => "escalated",
        "incident.acknowledged/1" => "acknowledged",
        "incident.verified/1" | "incident.remedy_ended/1" => "verifying",
        "incident.remedy_started/1" | "incident.remedy_proposed/1" => "healing",
        "incident.remedy_waiting/1" => "awaiting approval",
        "incident.remedy_held/1" => "held",
        "incident.remedy_denied/1" => "denied",
        "incident.remedy_shadowed/1" => "shadowed",
        _ => "open",
    }
}

/// How an approval stands at a moment: nothing is recorded when a standing approval's time is over.
pub(crate) fn approval(doc: &Value, now: Timestamp) -> &'static str {
    match text(doc, "/last/kind") {
        "approval.asked/1" | "approval.voted/1" => "open",
        "approval.granted/1" => "granted",
        "approval.refused/1" => "refused",
        "approval.used/1" => "used",
        "approval.expired/1" => "expired",
        "approval.voided/1" => "void",
        "approval.standing/1" | "approval.cited/1" => match time_of(doc, "/expires_at") {
            Some(until) if until <= now => "over",
            _ => "standing",
        },
        "approval.revoked/1" => "revoked",
        "approval.glass_broken/1" | "approval.glass_used/1" => "glass broken",
        "approval.glass_ended/1" => "glass ended",
        "approval.glass_reviewed/1" => "reviewed",
        _ => "unknown",
    }
}

/// How a waiver stands at a moment: nothing is recorded when its time is over.
pub(crate) fn waiver(waiver: &WaiverStatus, now: Timestamp) -> &'static str {
    match waiver.state {
        WaiverState::Asked | WaiverState::Granted if waiver.asked.expires_at <= now => "expired",
        WaiverState::Asked => "asked",
        WaiverState::Granted => "granted",
        WaiverState::Refused => "refused",
        WaiverState::Revoked => "revoked",
    }
}

/// How a recommendation stands at a moment: nothing is recorded when its time is over.
pub(crate) fn recommendation(doc: &Value, now: Timestamp) -> &'static str {
    let until = time_of(doc, "/expires_at");
    match text(doc, "/last/kind") {
        "recommend.made/1"
        | "recommend.made/2"
        | "recommend.activated/1"
        | "recommend.reopened/1"
        | "recommend.released/1"
        | "recommend.refused/1"
        | "recommend.claimed/1"
            if until.is_some_and(|until| until <= now) =>
        {
            "expired"
        }
        "recommend.made/1" | "recommend.made/2" => "draft",
        "recommend.activated/1" | "recommend.reopened/1" | "recommend.released/1" | "recommend.refused/1" => "open",
        "recommend.claimed/1" => "claimed",
        "recommend.approved/1" => "approved",
        "recommend.applied/1" => "applying",
        "recommend.watched/1" => "verifying",
        "recommend.realised/1" => "realised",
        "recommend.missed/1" if is_unmeasured(doc) => "not measured",
        "recommend.missed/1" => "missed",
        "recommend.reverted/1" => "reverted",
        "recommend.dismissed/1" => "dismissed",
        "recommend.superseded/1" => "superseded",
        "recommend.expired/1" => "expired",
        _ => "unknown",
    }
}

/// Whether people can still agree to a recommendation that stands so.
pub(crate) fn is_open(recommendation: &str) -> bool {
    matches!(recommendation, "draft" | "open" | "claimed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unreal::unreal;
    use serde_json::json;

    /// Every word that this file says of a state can be asked for.
    #[tokio::test]
    async fn what_a_list_can_be_asked_for_is_what_its_items_say() {
        let (shared, _) = unreal(&[]).await;
        let source = include_str!("status.rs").split("#[cfg(test)]").next().unwrap();
        let kinds = source.split('"').filter(|word| word.ends_with("/1"));
        let mut said = 0;
        for kind in kinds {
            for (view, prefix) in
                [("incidents", "incident."), ("approvals", "approval."), ("recommendations", "recommend.")]
            {
                if let Some(state) =
                    of(&shared, view, "x", &json!({"last": {"kind": kind}})).filter(|_| kind.starts_with(prefix))
                {
                    assert!(states(view).contains(&state.as_str()), "{view} {kind}: {state}");
                    said += 1;
                }
            }
        }
        assert!(said > 20, "{said}");
        for kind in
            ["started", "approval_asked", "window_awaited", "needs_operator", "rolled_back", "cancelled", "failed"]
        {
            let doc = json!({"last": {"kind": format!("run.{kind}/1")}});
            let state = of(&shared, "runs", "run_01m7znjwjxsxdw0zwmr5z97yce", &doc).unwrap();
            assert!(states("runs").contains(&state.as_str()), "{kind}: {state}");
        }
    }
}
