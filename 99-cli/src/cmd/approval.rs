//! `writ approve`, `writ reject` and `writ approval`.

use super::list::Which;
use super::{Failure, clock, holds, listed, state, text, texts};
use crate::Common;
use crate::client::{Client, escaped};
use crate::exit::{self, Exit};
use crate::out::pair;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Answer a request for approval, or for a recommendation
#[derive(Debug, Args)]
pub(crate) struct Decide {
    /// The approval (`apr_…`) or recommendation (`OPT-…`)
    id: String,
    /// Why
    #[arg(short, long, default_value = "")]
    message: String,
}

impl Decide {
    pub(crate) async fn run(self, common: &Common, agrees: bool) -> Result<Exit, Failure> {
        let (out, word) = (common.out(), if agrees { "approve" } else { "reject" });
        let kind = if self.id.starts_with("apr_") {
            "approvals"
        } else if self.id.starts_with("OPT-") {
            "recommendations"
        } else {
            return Err(self.neither());
        };
        let path = format!("/api/v1/{kind}/{}/{word}", escaped(&self.id));
        let answer = common.client()?.post(&path, &json!({"reason": self.message})).await?;
        out.document(&answer, |_| {
            let state = text(&answer, "/state");
            if state.is_empty() { crate::out::yaml(&answer) } else { format!("{} is {state}\n", self.id) }
        });
        out.next(&format!("writ why {}", self.id));
        // It counts for what was shown, and that is so no longer.
        let is_late = matches!(text(&answer, "/state").as_str(), "void" | "expired");
        Ok(if is_late { exit::STALE } else { exit::OK })
    }
}

impl Decide {
    fn neither(&self) -> Failure {
        let text = format!("`{}` is no approval and no recommendation", self.id);
        let hint =
            "an approval is called `apr_…`: `writ approval list`; a recommendation `OPT-…`: `writ recommend list`";
        Failure::Other { exit: exit::USAGE, text, hint: Some(hint.into()) }
    }
}

/// Approvals
#[derive(Debug, Subcommand)]
pub(crate) enum Approval {
    /// List approvals
    List(Which),
    /// Show an approval: what it is for, which rules demand it, what changes, how far it reaches, and who answered what
    Get { id: String },
}

impl Approval {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Approval::List(which) => {
                super::list::list(
                    common,
                    ("approvals", &which.query(&[])),
                    &["ID", "FOR", "ROLE", "STATE", "AT"],
                    |item| {
                        let standing = item.get("actions").is_some();
                        let subject = if standing { "standing".to_owned() } else { text(item, "/subject") };
                        let role = if standing { String::new() } else { asked(item) };
                        vec![text(item, "/id"), subject, role, state(item), clock(item, "/last/at")]
                    },
                )
                .await
            }
            Approval::Get { id } => get(common, &id).await,
        }
    }
}

/// How many of which roles must agree.
fn asked(item: &Value) -> String {
    let mut asked = vec![format!("{} of {}", text(item, "/terms/count"), text(item, "/terms/role"))];
    let also = item.pointer("/terms/also").and_then(Value::as_object).into_iter().flatten();
    asked.extend(also.map(|(role, count)| format!("{count} of {role}")));
    asked.join(" and ")
}

async fn get(common: &Common, id: &str) -> Result<Exit, Failure> {
    let (out, client) = (common.out(), common.client()?);
    let item = client.get(&format!("/api/v1/approvals/{}", escaped(id))).await?;
    let change = outside(&client, &item).await;
    let steps = if change.is_none() { steps(&client, &item).await } else { Vec::new() };
    let proposed = match item.get("change") {
        Some(_) => Some(client.get(&format!("/api/v1/changes/{}", escaped(id))).await?),
        None => None,
    };
    let open = state(&item) == "open";
    out.document(&item, |_| {
        if item.get("terms").is_none() && item.get("budget").is_none() {
            // Broken glass: who, why, until when, what it let pass, and what was found afterwards.
            return crate::out::yaml(&item);
        }
        let mut all = format!("{id}  {}\n", state(&item));
        let mut line = |name: &str, value: String| all.push_str(&pair(9, name, &value));
        if item.get("actions").is_some() {
            let budget = item.get("budget").cloned().unwrap_or_default();
            line("allows", format!("{} on {}", listed(&item, "/actions"), listed(&item, "/targets")));
            line("budget", format!("{} in {} s", text(&budget, "/count"), text(&budget, "/period_seconds")));
            line("agreed", format!("{} asked, {} approved", text(&item, "/author"), listed(&item, "/approvers")));
            line("until", text(&item, "/expires_at"));
        } else {
            line("for", text(&item, "/subject"));
            if let Some(change) = &change {
                line("command", typed(change));
                line("in", text(change, "/directory"));
                line("changes", planned(change));
            }
            line("reaches", text(&item, "/reach/text"));
            steps.iter().for_each(|step| line("step", step.clone()));
            demands(&item).into_iter().for_each(|(word, demand)| line(word, demand));
            line("asks", asked(&item));
            line("asked by", format!("{}:{}", text(&item, "/requester/kind"), text(&item, "/requester/id")));
            line("until", text(&item, "/terms/expires_at"));
            line("shown", text(&item, "/shown"));
        }
        match &proposed {
            Some(proposed) => all.push_str(&super::change::described(proposed)),
            None => all.push_str(&text(&item, "/diff")),
        }
        for answer in item.get("answers").and_then(Value::as_array).into_iter().flatten() {
            let word = if holds(answer, "agrees") { "agreed" } else { "refused" };
            let reason = text(answer, "/reason");
            let gone = answer.get("counts") == Some(&Value::Bool(false));
            let lost = if !gone { "" } else { " (counts no more: the role is lost)" };
            let told = format!("{} at {}{lost}  {reason}", text(answer, "/by"), clock(answer, "/at"));
            all.push_str(&pair(9, word, &told));
        }
        all
    });
    let why = format!("writ why {id}");
    out.next(&if open { format!("writ approve {id} --as NAME -m REASON, or {why}") } else { why });
    Ok(exit::OK)
}

/// Which rules want somebody asked, and which warn, with the values that made them.
fn demands(item: &Value) -> Vec<(&'static str, String)> {
    let all = item.get("demands").and_then(Value::as_array).into_iter().flatten();
    let told = |demand: &Value| {
        let values = texts(demand, "/values").into_iter().map(|value| format!("\n            {value}"));
        let word = if text(demand, "/asks") == "allow" { "warns" } else { "because" };
        (word, format!("{}: {}{}", text(demand, "/rule"), text(demand, "/message"), values.collect::<String>()))
    };
    all.map(told).collect()
}

/// The command that an approval is for; none when it is for something else.
async fn outside(client: &Client, item: &Value) -> Option<Value> {
    let run = item.get("run")?.as_str()?;
    client.get(&format!("/api/v1/actions/{}", escaped(run))).await.ok()
}

/// What the run would do that an approval is for, step by step; nothing when it is for something else.
async fn steps(client: &Client, item: &Value) -> Vec<String> {
    let Some(run) = item.get("run").and_then(Value::as_str) else { return Vec::new() };
    let Ok(run) = client.get(&format!("/api/v1/runs/{}/execution", escaped(run))).await else { return Vec::new() };
    let steps = run.get("steps").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if steps.is_empty() {
        return vec!["none: everything that it asks for is there already".to_owned()];
    }
    let told = |step: &Value| format!("{} {}  {}", text(step, "/verb"), text(step, "/resource"), text(step, "/action"));
    steps.iter().map(told).collect()
}

/// A command as it would be typed, with nothing in it that steers a terminal.
fn typed(change: &Value) -> String {
    texts(change, "/command").iter().map(|word| writ_pipeline::input::typed(word)).collect::<Vec<_>>().join(" ")
}

/// What a command's tool says that it would change.
fn planned(change: &Value) -> String {
    let Some(planned) = change.pointer("/outside/planned").and_then(Value::as_object) else {
        return "nothing says what it changes".to_owned();
    };
    let counts = ["creates", "updates", "replaces", "deletes", "applies"];
    let told = counts.iter().filter_map(|name| {
        let count = planned.get(*name)?.as_u64()?;
        (count > 0).then(|| format!("{name} {count}"))
    });
    let told = told.collect::<Vec<_>>().join(", ");
    let named = texts(change, "/outside/planned/resources");
    let named: Vec<String> = named.iter().take(20).map(|name| writ_pipeline::input::visible(name)).collect();
    format!("{told}: {}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed_and_cannot_hide_what_it_is() {
        let change = json!({"command": ["sh", "-c", "echo 'a' \u{1b}[2J\u{202e}\n", "", "x=1"]});
        let expected = r"sh -c 'echo '\''a'\'' \u{1b}[2J\u{202e}\u{a}' '' x=1";
        assert_eq!(typed(&change), expected);
    }
}
