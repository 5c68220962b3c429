//! `writ intent decommission`.

use super::intent::{begun, tell_findings};
use super::{Failure, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::{Form, Out};
use clap::Args;
use serde_json::{Value, json};

/// Take an intent away: everything of it that is there. Its history stays
#[derive(Debug, Args)]
pub(crate) struct Decommission {
    /// The intent
    id: String,
    /// Why; the words stand beside the journal and can be erased
    #[arg(short, long, default_value = "", value_name = "TEXT")]
    message: String,
    /// Show what would be taken away, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Yes, take it away
    #[arg(long)]
    yes: bool,
    /// Wait for the end and show every step
    #[arg(long)]
    wait: bool,
}

impl Decommission {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (out, path) = (common.out(), format!("/api/v1/intents/{}/decommission", escaped(&self.id)));
        let seen = common.client()?.get(&path).await?;
        if self.dry_run {
            return Ok(self.told(out, &seen));
        }
        if self.message.trim().is_empty() || !self.yes {
            return Err(Failure::Other {
                exit: exit::USAGE,
                text: format!("what `{}` has running would be stopped and taken away", self.id),
                hint: Some("say so with `--yes`, and why with `-m REASON`; `--dry-run` shows what that is".into()),
            });
        }
        // What was looked at is what is done: whatever came in between is refused as stale.
        let body = json!({"reason": self.message, "planned": seen.get("digest")});
        let answer = common.client()?.post(&path, &body).await?;
        if matches!(out.form, Form::Table | Form::Wide) {
            out.text(&lines(&seen));
        } else {
            out.document(&answer, |_| String::new());
        }
        let Some(run) = answer.get("run").and_then(Value::as_str) else {
            out.say("nothing of it was there; it is archived");
            return Ok(exit::OK);
        };
        if !self.wait {
            return begun(common, run).await;
        }
        let state = super::run::watch(common, run).await?;
        out.next(&format!("writ why {}", self.id));
        Ok(Exit::of_run(&state))
    }

    fn told(&self, out: Out, seen: &Value) -> Exit {
        out.document(seen, |_| lines(seen));
        for report in seen.get("validation").and_then(Value::as_array).into_iter().flatten() {
            tell_findings(out, report);
        }
        if text(seen, "/decision/decision") == "deny" {
            return exit::DENIED;
        }
        out.next(&format!("writ intent decommission {} --yes -m REASON", self.id));
        exit::OK
    }
}

fn lines(seen: &Value) -> String {
    let (id, version, state) = (text(seen, "/intent"), text(seen, "/version"), text(seen, "/state"));
    let steps = text(seen, "/text");
    let what = if steps.is_empty() { "nothing of it is there\n".to_owned() } else { format!("takes away\n{steps}") };
    format!("intent {id} v{version} {state}\n{what}")
}
