//! Nouns that are listed, shown, and sometimes told something.

use super::{Failure, clock, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::columns;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Prints all pages of a list.
pub(crate) async fn list(
    common: &Common,
    view: &str,
    head: &[&str],
    row: impl Fn(&Value) -> Vec<String>,
) -> Result<Exit, Failure> {
    let (out, client) = (common.out(), common.client()?);
    let (mut items, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/api/v1/{view}?limit=1000{after}")).await?;
        items.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={}", escaped(next)),
            None => break,
        }
    }
    out.list(&items, &format!("no {view}"), |_| {
        columns(head, &items.iter().map(&row).collect::<Vec<_>>(), out.is_terminal())
    });
    Ok(exit::OK)
}

async fn get(common: &Common, view: &str, id: &str) -> Result<Exit, Failure> {
    let out = common.out();
    let item = common.client()?.get(&format!("/api/v1/{view}/{}", escaped(id))).await?;
    out.document(&item, |_| crate::out::yaml(&item));
    out.next(&format!("writ why {id}"));
    Ok(exit::OK)
}

/// Intents
#[derive(Debug, Subcommand)]
pub(crate) enum Intent {
    /// List intents
    List,
    /// Show an intent
    Get { id: String },
    /// Show everything that happened to an intent
    History { id: String },
}

impl Intent {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Intent::List => {
                list(common, "intents", &["ID", "VERSION", "STATE", "COMPONENT", "SINCE"], |item| {
                    ["/id", "/version", "/to", "/component", "/since"].map(|field| text(item, field)).to_vec()
                })
                .await
            }
            Intent::Get { id } => get(common, "intents", &id).await,
            Intent::History { id } => {
                let out = common.out();
                let entries = common.client()?.get(&format!("/api/v1/intents/{}/versions", escaped(&id))).await?;
                let items = entries.as_array().cloned().unwrap_or_default();
                out.list(&items, "nothing", |_| super::audit::entry_table(&items, false, out.is_terminal()));
                Ok(exit::OK)
            }
        }
    }
}

/// Approvals
#[derive(Debug, Subcommand)]
pub(crate) enum Approval {
    /// List approvals
    List,
    /// Show an approval
    Get { id: String },
}

impl Approval {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Approval::List => {
                list(common, "approvals", &["ID", "FOR", "ROLE", "LAST", "AT"], |item| {
                    let last = text(item, "/last/kind");
                    vec![
                        text(item, "/id"),
                        text(item, "/subject"),
                        text(item, "/terms/role"),
                        last.trim_start_matches("approval.").trim_end_matches("/1").to_owned(),
                        clock(item, "/last/at"),
                    ]
                })
                .await
            }
            Approval::Get { id } => get(common, "approvals", &id).await,
        }
    }
}

/// Agents and the kill switch
#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// List agents
    List,
    /// Show an agent
    Get { id: String },
    /// Stop everything, or one agent, action or resource, until it is released
    Kill(Scope),
    /// Take a kill switch back
    Release(Scope),
}

/// What a kill switch stops
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Scope {
    /// Everything
    #[arg(long)]
    all: bool,
    /// One agent
    #[arg(long)]
    agent: Option<String>,
    /// One action
    #[arg(long)]
    action: Option<String>,
    /// One resource and everything under it
    #[arg(long)]
    resource: Option<String>,
}

impl Scope {
    fn document(&self) -> Value {
        match (&self.agent, &self.action, &self.resource) {
            (Some(agent), _, _) => json!({"scope": "agent", "agent": agent}),
            (_, Some(action), _) => json!({"scope": "action", "action": action}),
            (_, _, Some(resource)) => json!({"scope": "resource", "resource": resource}),
            (None, None, None) => json!({"scope": "all"}),
        }
    }
}

impl Agent {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Agent::List => {
                list(common, "agents", &["ID", "TYPE", "VERSION", "STATE", "PERMISSIONS"], |item| {
                    let held = item.pointer("/agent/permissions").and_then(Value::as_array).into_iter().flatten();
                    vec![
                        text(item, "/id"),
                        text(item, "/agent/kind"),
                        text(item, "/agent/version"),
                        text(item, "/to"),
                        held.filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
                    ]
                })
                .await
            }
            Agent::Get { id } => get(common, "agents", &id).await,
            Agent::Kill(scope) => switch(common, &scope, true).await,
            Agent::Release(scope) => switch(common, &scope, false).await,
        }
    }
}

async fn switch(common: &Common, scope: &Scope, pulled: bool) -> Result<Exit, Failure> {
    let out = common.out();
    let body = json!({"scope": scope.document(), "pulled": pulled});
    let answer = common.client()?.post("/api/v1/kill-switch", &body).await?;
    let word = if pulled { "stopped" } else { "released" };
    out.document(&answer, |_| format!("{word}: {}\n", text(&answer, "/scope")));
    Ok(exit::OK)
}

/// Incidents
#[derive(Debug, Subcommand)]
pub(crate) enum Incident {
    /// List incidents, newest last
    List,
    /// Show an incident
    Get { id: String },
    /// Say that you have seen it
    Ack { id: String },
    /// Close it
    Close { id: String },
}

impl Incident {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Incident::List => {
                list(common, "incidents", &["ID", "SEVERITY", "COMPONENT", "INSTANCE", "SEEN", "LAST", "AT"], |item| {
                    let last = text(item, "/last/kind");
                    vec![
                        text(item, "/id"),
                        text(item, "/severity"),
                        text(item, "/component"),
                        text(item, "/instance"),
                        text(item, "/seen"),
                        last.trim_start_matches("incident.").trim_end_matches("/1").replace('_', " "),
                        clock(item, "/last/at"),
                    ]
                })
                .await
            }
            Incident::Get { id } => get(common, "incidents", &id).await,
            Incident::Ack { id } => told(common, &id, "ack").await,
            Incident::Close { id } => told(common, &id, "close").await,
        }
    }
}

async fn told(common: &Common, id: &str, command: &str) -> Result<Exit, Failure> {
    let out = common.out();
    let answer = common.client()?.post(&format!("/api/v1/incidents/{}/{command}", escaped(id)), &json!({})).await?;
    out.document(&answer, |_| format!("{id}: {command}\n"));
    Ok(exit::OK)
}
