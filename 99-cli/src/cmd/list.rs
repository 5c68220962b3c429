//! Pages of lists, and intents.

use super::{Failure, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::columns;
use clap::Subcommand;
use serde_json::Value;

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

pub(crate) async fn get(common: &Common, view: &str, id: &str) -> Result<Exit, Failure> {
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
    /// Take an intent away: everything of it that is there. Its history stays
    Decommission(super::decommission::Decommission),
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
