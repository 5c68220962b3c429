//! `writ incident`.

use super::list::{Which, list};
use super::{Failure, clock, newest, state, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::pair;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Incidents
#[derive(Debug, Subcommand)]
pub(crate) enum Incident {
    /// List incidents, newest last
    List {
        #[command(flatten)]
        which: Which,
        /// Those of this intent
        #[arg(long)]
        intent: Option<String>,
        /// Those of this component
        #[arg(long)]
        component: Option<String>,
    },
    /// Show an incident, or the `last`: what was seen, what was done about it, and how it stands
    Get { id: String },
    /// Say that you have seen it
    Ack(Told),
    /// Close it: nothing more is tried
    Close(Told),
    /// List what would have been done and was only recorded, with what people say of it
    Shadows(super::mode::Shadows),
    /// Say whether what would have been done would have been right
    Judge(super::mode::Judge),
    /// List how far each action of healing may go on its own, and why
    Modes,
    /// Let an action go further on its own, or less far
    Mode(super::mode::Change),
}

/// What an incident is told
#[derive(Debug, Args)]
pub(crate) struct Told {
    id: String,
    /// Why, or what you found; it is recorded
    #[arg(short, long, default_value = "")]
    message: String,
}

impl Incident {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Incident::List { which, intent, component } => {
                let query = which.query(&[("intent", &intent), ("component", &component)]);
                list(
                    common,
                    ("incidents", &query),
                    &["ID", "SEVERITY", "COMPONENT", "INSTANCE", "SEEN", "STATE", "AT"],
                    |item| {
                        vec![
                            text(item, "/id"),
                            text(item, "/severity"),
                            text(item, "/component"),
                            text(item, "/instance"),
                            text(item, "/seen"),
                            state(item),
                            clock(item, "/last/at"),
                        ]
                    },
                )
                .await
            }
            Incident::Get { id } => get(common, &id).await,
            Incident::Ack(told) => tell(common, &told, "ack").await,
            Incident::Close(told) => tell(common, &told, "close").await,
            Incident::Shadows(shadows) => shadows.run(common).await,
            Incident::Judge(judge) => judge.run(common).await,
            Incident::Modes => super::mode::modes(common).await,
            Incident::Mode(change) => change.run(common).await,
        }
    }
}

async fn get(common: &Common, id: &str) -> Result<Exit, Failure> {
    let (out, client) = (common.out(), common.client()?);
    let id = newest(&client, id, "incidents").await?;
    let item = client.get(&format!("/api/v1/incidents/{}", escaped(&id))).await?;
    let story = client.get(&format!("/api/v1/why/{}", escaped(&id))).await?;
    let is_over = matches!(state(&item).as_str(), "resolved" | "closed");
    out.document(&item, |_| {
        let place = [text(&item, "/component"), text(&item, "/instance")];
        let place: Vec<String> = place.into_iter().filter(|part| !part.is_empty()).collect();
        let mut all = format!("{id}  {}  {}  {}\n", state(&item), text(&item, "/severity"), place.join("/"));
        let mut line = |name: &str, value: String| all.push_str(&pair(9, name, &value));
        line("seen", text(&item, "/seen"));
        line("rule", text(&item, "/condition"));
        line("mode", text(&item, "/mode"));
        line("began", text(&item, "/since"));
        line(if is_over { "ended" } else { "last" }, text(&item, "/last/at"));
        line("run", text(&item, "/run"));
        for one in story.get("then").and_then(Value::as_array).into_iter().flatten() {
            all.push_str(&format!("  {}  {}\n", clock(one, "/at"), text(one, "/text")));
        }
        all
    });
    out.next(&if is_over {
        format!("writ audit evidence {id} --out e.json")
    } else {
        format!("writ incident ack {id}")
    });
    Ok(exit::OK)
}

async fn tell(common: &Common, told: &Told, command: &str) -> Result<Exit, Failure> {
    let (out, path) = (common.out(), format!("/api/v1/incidents/{}/{command}", escaped(&told.id)));
    let answer = common.client()?.post(&path, &json!({"reason": told.message})).await?;
    out.document(&answer, |_| format!("{}: {command}\n", told.id));
    Ok(exit::OK)
}
