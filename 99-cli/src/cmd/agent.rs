//! `writ agent`.

use super::list::{Which, get, list};
use super::{Failure, clock, holds, listed, state, text, warn};
use crate::Common;
use crate::client::{Client, escaped};
use crate::exit::{self, Exit};
use crate::out::pairs;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Agents and the kill switch
#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// List agents, and say which kill switches are pulled
    List(Which),
    /// Show an agent
    Get { id: String },
    /// Make an agent known; on a server, once somebody else agrees. It is given nothing before it is activated
    #[command(alias = "enroll")]
    Enrol(Enrol),
    /// Give it work; needs the role `admin`, as do all that change an agent
    Activate(Moved),
    /// Give it nothing more; what it has it may finish
    Drain(Moved),
    /// Take everything from it at once: its permits are worth nothing
    Quarantine(Moved),
    /// Let it go for good
    Retire(Moved),
    /// Give it another public key; permits for the old one are worth nothing
    Key(Key),
    /// Give it other permissions
    Permissions(Permissions),
    /// Stop everything, or one agent, action or resource, until it is released
    Kill(Switch),
    /// Take a kill switch back
    Release(Switch),
    /// List the kill switches that are pulled
    Killed,
}

/// A kill switch
#[derive(Debug, Args)]
pub(crate) struct Switch {
    #[command(flatten)]
    scope: Scope,
    /// Why; it is recorded
    #[arg(short, long, default_value = "")]
    message: String,
}

/// An agent that is to be known
#[derive(Debug, Args)]
pub(crate) struct Enrol {
    /// What it is called
    id: String,
    /// What sort of agent it is: `self-healing`
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// Its version: `1.5.0`
    #[arg(long = "agent-version", value_name = "VERSION")]
    version: String,
    /// Its ed25519 public key, hexadecimal
    #[arg(long, value_name = "HEX")]
    public_key: String,
    /// All that it may do: `read:metrics,execute:recovery`
    #[arg(long, value_delimiter = ',', required = true, value_name = "PERMISSION")]
    permissions: Vec<String>,
    /// Tickets that it may hold at once
    #[arg(long, value_name = "N")]
    tickets_at_once: Option<u32>,
    /// Tickets that it may be given in any minute
    #[arg(long, value_name = "N")]
    tickets_per_minute: Option<u32>,
    /// Distinct resources that it may touch in any hour
    #[arg(long, value_name = "N")]
    resources_per_hour: Option<u32>,
    /// Why; the words stand beside the journal and can be erased
    #[arg(short = 'm', long, alias = "message")]
    reason: String,
}

/// An agent, and why
#[derive(Debug, Args)]
pub(crate) struct Moved {
    /// The agent
    id: String,
    /// Why; the words stand beside the journal and can be erased
    #[arg(short = 'm', long, alias = "message")]
    reason: String,
}

/// Give it another public key
#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(flatten)]
    moved: Moved,
    /// The ed25519 public key, hexadecimal
    #[arg(long, value_name = "HEX")]
    public_key: String,
}

/// Give it other permissions
#[derive(Debug, Args)]
pub(crate) struct Permissions {
    #[command(flatten)]
    moved: Moved,
    /// All that it may do from now on: `read:metrics,execute:recovery`
    #[arg(long, value_delimiter = ',', required = true, value_name = "PERMISSION")]
    permissions: Vec<String>,
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
            Agent::List(which) => {
                let done = list(
                    common,
                    ("agents", &which.query(&[])),
                    &["ID", "TYPE", "VERSION", "STATE", "PERMISSIONS"],
                    |item| {
                        vec![
                            text(item, "/id"),
                            text(item, "/agent/kind"),
                            text(item, "/agent/version"),
                            state(item),
                            listed(item, &newest(item, "permissions")),
                        ]
                    },
                )
                .await?;
                for one in pulled(&common.client()?).await? {
                    common.out().say(&told(&one));
                }
                Ok(done)
            }
            Agent::Get { id } => get(common, "agents", &id, card, &format!("writ why {id}")).await,
            Agent::Enrol(wanted) => enrol(common, &wanted).await,
            Agent::Activate(moved) => tell(common, "activate", &moved, json!({})).await,
            Agent::Drain(moved) => tell(common, "drain", &moved, json!({})).await,
            Agent::Quarantine(moved) => tell(common, "quarantine", &moved, json!({})).await,
            Agent::Retire(moved) => tell(common, "retire", &moved, json!({})).await,
            Agent::Key(key) => tell(common, "key", &key.moved, json!({"public_key": key.public_key})).await,
            Agent::Permissions(wanted) => {
                tell(common, "permissions", &wanted.moved, json!({"permissions": wanted.permissions})).await
            }
            Agent::Kill(scope) => switch(common, &scope, true).await,
            Agent::Release(scope) => switch(common, &scope, false).await,
            Agent::Killed => {
                let out = common.out();
                let all = pulled(&common.client()?).await?;
                out.list(&all, "no kill switch is pulled", |_| all.iter().map(|one| told(one) + "\n").collect());
                Ok(exit::OK)
            }
        }
    }
}

/// Where something of an agent stands: what was changed since it was enrolled stands beside what it was enrolled with.
fn newest(agent: &Value, field: &str) -> String {
    if agent.get(field).is_some() { format!("/{field}") } else { format!("/agent/{field}") }
}

/// An agent in words: how it stands, what it may do, and how much at once.
fn card(agent: &Value) -> String {
    let contracts = |field: &str| {
        let all = agent.pointer(field).and_then(Value::as_array).into_iter().flatten();
        all.map(|one| format!("{} {}", text(one, "/contract"), text(one, "/version"))).collect::<Vec<_>>().join(", ")
    };
    let limit = |field: &str, of: &str| match text(agent, &format!("/agent/limits/{field}")).as_str() {
        "" => None,
        most => Some(format!("{most} {of}")),
    };
    let limits = [
        limit("tickets_at_once", "tickets at once"),
        limit("tickets_per_minute", "tickets a minute"),
        limit("resources_per_hour", "resources an hour"),
    ];
    let state = match text(agent, "/because").as_str() {
        "" => state(agent),
        because => format!("{}: {because}", state(agent)),
    };
    pairs(&[
        ("agent", text(agent, "/id")),
        ("type", text(agent, "/agent/kind")),
        ("version", text(agent, "/agent/version")),
        ("state", state),
        ("since", text(agent, "/since")),
        ("permissions", listed(agent, &newest(agent, "permissions"))),
        ("provides", contracts("/agent/provides")),
        ("requires", contracts("/agent/requires")),
        ("limits", limits.into_iter().flatten().collect::<Vec<_>>().join(", ")),
        ("key", text(agent, &newest(agent, "public_key"))),
    ])
}

async fn pulled(client: &Client) -> Result<Vec<Value>, Failure> {
    Ok(client.all("/api/v1/kill-switch", "").await?)
}

/// A switch that is pulled, and how to take it back.
fn told(one: &Value) -> String {
    let scope = text(one, "/scope/scope");
    let flag = if scope == "all" {
        "--all".to_owned()
    } else {
        format!("--{scope} {}", text(one, &format!("/scope/{scope}")))
    };
    let because = match text(one, "/reason") {
        reason if reason.is_empty() => reason,
        reason => format!(" because `{reason}`"),
    };
    format!(
        "stopped: {} by {} at {}{because}; take it back with: writ agent release {flag}",
        text(one, "/what"),
        text(one, "/by"),
        clock(one, "/at")
    )
}

async fn enrol(common: &Common, wanted: &Enrol) -> Result<Exit, Failure> {
    let body = json!({
        "id": wanted.id, "type": wanted.kind, "version": wanted.version, "public_key": wanted.public_key,
        "permissions": wanted.permissions, "reason": wanted.reason,
        "limits": {
            "tickets_at_once": wanted.tickets_at_once, "tickets_per_minute": wanted.tickets_per_minute,
            "resources_per_hour": wanted.resources_per_hour,
        },
    });
    let answer = common.client()?.post("/api/v1/agents", &body).await?;
    warn(common.out(), &answer);
    let done = format!("{} is enrolled, and is given nothing yet", wanted.id);
    Ok(super::change::tell(common, &answer, &done, &format!("writ agent activate {} -m REASON", wanted.id)))
}

async fn tell(common: &Common, command: &str, moved: &Moved, mut body: Value) -> Result<Exit, Failure> {
    let out = common.out();
    body["reason"] = json!(moved.reason);
    let answer = common.client()?.post(&format!("/api/v1/agents/{}/{command}", escaped(&moved.id)), &body).await?;
    warn(out, &answer);
    if !text(&answer, "/approval").is_empty() {
        return Ok(super::change::tell(common, &answer, "", ""));
    }
    out.document(&answer, |_| match command {
        "key" => format!("{} has another key\n", moved.id),
        "permissions" => format!("{} has other permissions\n", moved.id),
        _ => format!("{} is {}\n", moved.id, text(&answer, "/now/state")),
    });
    out.next(&format!("writ why {}", moved.id));
    Ok(exit::OK)
}

async fn switch(common: &Common, Switch { scope, message }: &Switch, pulled: bool) -> Result<Exit, Failure> {
    let out = common.out();
    let body = json!({"scope": scope.document(), "pulled": pulled, "reason": message});
    let answer = common.client()?.post("/api/v1/kill-switch", &body).await?;
    let word = if pulled { "stopped" } else { "released" };
    out.document(&answer, |_| format!("{word}: {}\n", text(&answer, "/scope")));
    let is = |field: &str| holds(&answer, field);
    if !pulled && !is("was_pulled") {
        out.say(&format!("note: the switch for {} was not pulled", text(&answer, "/scope")));
    }
    if pulled && !is("known") {
        out.say(&format!(
            "note: nothing is known of {}; look whether it is spelt as you mean it",
            text(&answer, "/scope")
        ));
    }
    if pulled {
        out.next("writ agent killed");
    }
    Ok(exit::OK)
}
