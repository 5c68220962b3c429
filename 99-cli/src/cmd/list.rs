//! Pages of lists, and intents.

use super::{Failure, listed, state, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::{columns, pairs, yaml};
use clap::Subcommand;
use serde_json::Value;
use writ_pipeline::input::{money_about, percent_about};

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

/// Prints one of a list in words, or with everything.
pub(crate) async fn get(
    common: &Common,
    view: &str,
    id: &str,
    told: impl Fn(&Value) -> String,
    next: &str,
) -> Result<Exit, Failure> {
    let out = common.out();
    let found = common.client()?.get(&format!("/api/v1/{view}/{}", escaped(id))).await?;
    out.document(&found, |wide| if wide { yaml(&found) } else { told(&found) });
    out.next(next);
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
    /// Take an intent away: everything of it that is there. Its history stays
    Decommission(super::decommission::Decommission),
}

impl Intent {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Intent::List => {
                list(common, "intents", &["ID", "VERSION", "STATE", "COMPONENT", "CHANGED"], |item| {
                    let field = |field| text(item, field);
                    vec![field("/id"), field("/version"), state(item), field("/component"), field("/last/at")]
                })
                .await
            }
            Intent::Get { id } => {
                let next = format!("writ why {id}, or writ intent history {id}");
                get(common, "intents", &id, told, &next).await
            }
            Intent::Decommission(decommission) => decommission.run(common).await,
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

/// An intent in words: where it stands, what it has, and what that costs and promises.
fn told(intent: &Value) -> String {
    let number = |field: &str| intent.pointer(field).and_then(Value::as_u64);
    let (newest, applied) = (text(intent, "/version"), text(intent, "/applied_version"));
    let version = match applied.as_str() {
        "" => format!("{newest}, not in force"),
        applied if applied == newest => format!("{newest}, in force"),
        applied => format!("{newest}; {applied} is in force"),
    };
    let has = match text(intent, "/count").as_str() {
        "" => String::new(),
        count => format!("{count} × {} in {}", text(intent, "/instance_type"), listed(intent, "/zones")),
    };
    pairs(&[
        ("intent", text(intent, "/id")),
        ("state", format!("{}: {}", state(intent), text(intent, "/because"))),
        ("submitted", text(intent, "/since")),
        ("changed", text(intent, "/last/at")),
        ("version", version),
        ("component", text(intent, "/component")),
        ("team", text(intent, "/team")),
        ("environment", text(intent, "/environment")),
        ("capacity", has),
        (
            "cost",
            number("/cost_micros").map(|micros| format!("{}a month", money_about(micros, ""))).unwrap_or_default(),
        ),
        (
            "predicted",
            number("/availability_ppb").map(|ppb| format!("{} available", percent_about(ppb))).unwrap_or_default(),
        ),
        ("manifest", text(intent, "/manifest")),
    ])
}
