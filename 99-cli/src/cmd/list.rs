//! Pages of lists, and intents.

use super::{Failure, holds, listed, state, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::{columns, pairs, yaml};
use clap::{Args, Subcommand};
use serde_json::Value;
use writ_pipeline::input::{money_about, percent_about};

/// Which of a list are wanted
#[derive(Debug, Default, Args)]
pub(crate) struct Which {
    /// Those in this state: `open`, `awaiting_approval`
    #[arg(long = "is", value_name = "STATE")]
    stands: Option<String>,
}

impl Which {
    /// What is asked for besides a page; `more` are parameters and what they have to be.
    pub(crate) fn query(&self, more: &[(&str, &Option<String>)]) -> String {
        let state = [("state", &self.stands)];
        let asked = state.iter().chain(more).filter_map(|(name, value)| Some((name, value.as_ref()?)));
        asked.map(|(name, value)| format!("&{name}={}", escaped(value))).collect()
    }
}

/// Prints all pages of a list, of those that a query asks for.
pub(crate) async fn list(
    common: &Common,
    (view, query): (&str, &str),
    head: &[&str],
    row: impl Fn(&Value) -> Vec<String>,
) -> Result<Exit, Failure> {
    let (out, client) = (common.out(), common.client()?);
    let items = client.all(&format!("/api/v1/{view}"), query).await?;
    let none = if query.is_empty() { format!("no {view}") } else { format!("no such {view}") };
    out.list(&items, &none, |_| columns(head, &items.iter().map(&row).collect::<Vec<_>>(), out.is_terminal()));
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
    List {
        #[command(flatten)]
        which: Which,
        /// Those of this component
        #[arg(long)]
        component: Option<String>,
    },
    /// Show an intent
    Get { id: String },
    /// Show its versions: who handed in which, when, how each stands, and why
    History { id: String },
    /// Show how two versions differ: the newest and the one in force, unless they are named
    Diff {
        id: String,
        /// The version that is held against
        #[arg(requires = "new")]
        old: Option<u64>,
        /// The other one
        new: Option<u64>,
    },
    /// Take an intent away: everything of it that is there. Its history stays
    Decommission(super::decommission::Decommission),
}

impl Intent {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Intent::List { which, component } => {
                let query = which.query(&[("component", &component)]);
                list(common, ("intents", &query), &["ID", "VERSION", "STATE", "COMPONENT", "CHANGED"], |item| {
                    let field = |field| text(item, field);
                    vec![field("/id"), version(item), state(item), field("/component"), field("/last/at")]
                })
                .await
            }
            Intent::Get { id } => {
                let next = format!("writ why {id}, or writ intent history {id}");
                get(common, "intents", &id, told, &next).await
            }
            Intent::Decommission(decommission) => decommission.run(common).await,
            Intent::History { id } => history(common, &id).await,
            Intent::Diff { id, old, new } => diff(common, &id, old, new).await,
        }
    }
}

async fn history(common: &Common, id: &str) -> Result<Exit, Failure> {
    let out = common.out();
    let items = common.client()?.all(&format!("/api/v1/intents/{}/history", escaped(id)), "").await?;
    let row = |one: &Value| {
        let force = if holds(one, "in_force") { ", in force" } else { "" };
        let stands = format!("{}{force}", state(one));
        vec![text(one, "/version"), text(one, "/by"), text(one, "/at"), stands, text(one, "/because")]
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    out.list(&items, "no versions", |_| {
        columns(&["VERSION", "BY", "AT", "STATE", "BECAUSE"], &rows, out.is_terminal())
    });
    let entries = format!("writ audit query --stream intent/{id}");
    out.next(&if items.len() > 1 { format!("writ intent diff {id}, or {entries}") } else { entries });
    Ok(exit::OK)
}

async fn diff(common: &Common, id: &str, old: Option<u64>, new: Option<u64>) -> Result<Exit, Failure> {
    let out = common.out();
    let pair = old.zip(new).map(|(old, new)| format!("?old={old}&new={new}")).unwrap_or_default();
    let told = common.client()?.get(&format!("/api/v1/intents/{}/diff{pair}", escaped(id))).await?;
    let lines = text(&told, "/diff");
    if lines.is_empty() {
        out.say(&format!("version {} and version {} have the same text", text(&told, "/old"), text(&told, "/new")));
    }
    out.document(&told, |_| lines.clone());
    out.next(&format!("writ intent history {id}"));
    Ok(exit::OK)
}

/// The version of an intent that is in force, and a newer one that is not; where none is, the one that was last, or the newest.
fn version(intent: &Value) -> String {
    let (newest, applied) = (text(intent, "/version"), text(intent, "/applied_version"));
    let last = text(intent, "/shown_version");
    match (applied.as_str(), last.as_str()) {
        ("", "") => newest,
        ("", _) => last,
        _ if applied == newest => applied,
        _ => format!("{applied} (v{newest} is not)"),
    }
}

/// An intent in words: where it stands, what it has, and what that costs and promises.
fn told(intent: &Value) -> String {
    let number = |field: &str| intent.pointer(field).and_then(Value::as_u64);
    let (newest, applied) = (text(intent, "/version"), text(intent, "/applied_version"));
    let last = text(intent, "/shown_version");
    let version = match applied.as_str() {
        "" if !last.is_empty() => format!("{newest}, not in force; {last} was last"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_shows_the_version_in_force_and_a_newer_one_that_is_not() {
        for (intent, shown) in [
            (json!({"version": 1, "applied_version": null}), "1"),
            (json!({"version": 2, "applied_version": 2}), "2"),
            (json!({"version": 2, "applied_version": 1}), "1 (v2 is not)"),
            (json!({"version": 3, "shown_version": 1}), "1"),
        ] {
            assert_eq!(version(&intent), shown, "{intent}");
        }
    }
}
