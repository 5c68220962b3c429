//! What only time brings about: a review that nobody made in time, and what is about to expire. It is an entry, once each, and is
//! told like any other.

use super::matter::{EXPIRES, OVERDUE};
use crate::commit::{Batch, CommitError, Expect};
use crate::glass::GovernanceFinding;
use crate::listing::Span;
use crate::pipeline::Pipeline;
use serde_json::{Value, json};
use std::time::Duration;
use writ_core::{Actor, Draft, Outcome, Timestamp};

/// How often it is looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// How long before its end something is about to expire; what stands for less time is so in its last fifth.
const SOON: Duration = Duration::from_secs(7 * 86_400);

/// Standing approvals that are looked at.
const STANDING_MAX: usize = 1_000;

/// Whether something that stands from one time to another is about to expire.
pub(super) fn is_soon(from: Timestamp, until: Timestamp, now: Timestamp) -> bool {
    let before = SOON.min(until.since(from) / 5);
    now < until && until.since(now) <= before
}

impl Pipeline {
    pub(super) async fn remind_from_time_to_time(&self) {
        let (clock, mut over) = (self.journal().base().clock.clone(), self.inner.channels.over.subscribe());
        while self.journal().closed().is_none() {
            for draft in self.reminders().await {
                if let Err(error) = self.remind(draft).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "nobody was reminded");
                }
            }
            tokio::select! {
                biased;
                _ = over.wait_for(|over| *over) => return,
                () = clock.sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Each reminder has a stream of its own, with one entry.
    async fn remind(&self, draft: Draft) -> Result<(), CommitError> {
        let expects = vec![Expect { stream: draft.stream.clone(), version: 0 }];
        let journal = self.journal();
        match journal.commit(&journal.new_cause(), Batch { expects, ..Batch::of(vec![draft]) }).await {
            // It was said before.
            Ok(_) | Err(CommitError::Stale { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What there is to be reminded of that was not said yet.
    async fn reminders(&self) -> Vec<Draft> {
        let now = self.journal().now();
        let mut drafts: Vec<Draft> = self.findings().iter().map(overdue).collect();
        if let Ok(standing) = self.journal().ledger().views("standing", "", None, STANDING_MAX).await {
            let read = standing.iter().filter_map(|(id, doc)| Some((id, serde_json::from_slice::<Value>(doc).ok()?)));
            drafts.extend(read.filter_map(|(id, doc)| {
                let at = |field: &str| doc.get(field)?.as_str()?.parse::<Timestamp>().ok();
                let until = at("expires_at")?;
                let actions: Vec<&str> = doc.get("actions")?.as_array()?.iter().filter_map(Value::as_str).collect();
                let about = actions.join(", ").replace('_', " ");
                is_soon(at("granted_at")?, until, now).then(|| expires("standing_approval", id, &about, until))
            }));
        }
        if let Ok(waivers) = self.waivers(Span::ALL).await {
            let waivers = waivers.rows.into_iter().map(|one| one.status);
            let granted = waivers.filter(|one| one.state == writ_policy::WaiverState::Granted);
            drafts.extend(granted.filter(|one| is_soon(one.asked.at, one.asked.expires_at, now)).map(|one| {
                let about = format!("{} on {}", one.asked.rule, one.asked.subject);
                expires("waiver", one.asked.waiver.as_str(), &about, one.asked.expires_at)
            }));
        }
        let mut new = Vec::new();
        for draft in drafts {
            if let Ok(0) = self.journal().ledger().stream_version(&draft.stream).await {
                new.push(draft);
            }
        }
        new
    }
}

fn overdue(finding: &GovernanceFinding) -> Draft {
    let GovernanceFinding::UnreviewedGlass { approval, by, broken_at, due, uses } = finding;
    Draft {
        action: "remind_of_review".into(),
        actor: Actor::system("clock"),
        body: json!({"approval": approval, "broken_at": broken_at, "by": by, "due": due, "uses": uses}),
        kind: OVERDUE,
        outcome: Outcome::Success,
        resource: approval.to_string(),
        stream: format!("reminder/review/{approval}"),
    }
}

fn expires(what: &str, id: &str, about: &str, until: Timestamp) -> Draft {
    Draft {
        action: "remind_of_expiry".into(),
        actor: Actor::system("clock"),
        body: json!({"about": about, "expires_at": until, "id": id, "what": what}),
        kind: EXPIRES,
        outcome: Outcome::Success,
        resource: id.to_owned(),
        stream: format!("reminder/expiry/{id}"),
    }
}
