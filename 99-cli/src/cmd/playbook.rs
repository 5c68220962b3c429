//! `writ playbook`.

use super::intent::{begun, tell_findings};
use super::{Failure, items, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::{Form, Out, columns, yaml};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use writ_pipeline::input::{load, read_playbook};

/// Playbooks
#[derive(Debug, Subcommand)]
pub(crate) enum Playbook {
    /// List the playbooks
    List,
    /// Show a playbook: its parameters and its actions
    Get { id: String },
    /// Show what running a playbook would do
    Plan(Order),
    /// Run a playbook
    Run(Running),
    /// Check playbook files, and what they would run with the arguments given; needs no server
    Test(Test),
}

/// A playbook and what it is told
#[derive(Debug, Args)]
pub(crate) struct Order {
    /// The playbook
    id: String,
    /// A value of a parameter; give it once for each
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// The version; without it, the newest
    #[arg(long)]
    version: Option<String>,
}

/// Run a playbook
#[derive(Debug, Args)]
pub(crate) struct Running {
    #[command(flatten)]
    order: Order,
    /// Why; the words stand beside the journal and can be erased
    #[arg(short, long, default_value = "", value_name = "TEXT")]
    message: String,
    /// Wait for the end and show every step
    #[arg(long)]
    wait: bool,
}

/// Check playbook files
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Files, or directories that have a `playbooks`
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// A value of a parameter; with any, each playbook is told them and shows what it would run
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
}

impl Playbook {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        match self {
            Playbook::List => {
                let (out, all) = (common.out(), common.client()?.get("/api/v1/playbooks").await?);
                let items = items(&all);
                let row = |item: &Value| ["/id", "/version", "/description"].map(|field| text(item, field)).to_vec();
                let rows: Vec<Vec<String>> = items.iter().map(row).collect();
                let head = ["ID", "VERSION", "DESCRIPTION"];
                out.list(&items, "no playbooks", |_| columns(&head, &rows, out.is_terminal()));
                Ok(exit::OK)
            }
            Playbook::Get { id } => {
                let out = common.out();
                let found = common.client()?.get(&format!("/api/v1/playbooks/{}", escaped(&id))).await?;
                out.document(&found, |_| yaml(&found));
                out.next(&format!("writ playbook plan {id} -p NAME=VALUE"));
                Ok(exit::OK)
            }
            Playbook::Plan(order) => order.plan(common).await,
            Playbook::Run(running) => running.run(common).await,
            Playbook::Test(test) => test.run(common.out()),
        }
    }
}

impl Order {
    /// The body of a request: arguments of the types that the playbook declares.
    async fn body(&self, common: &Common) -> Result<Value, Failure> {
        let playbook = common.client()?.get(&format!("/api/v1/playbooks/{}", escaped(&self.id))).await?;
        Ok(json!({"arguments": arguments(&self.parameters, &playbook)?, "version": self.version}))
    }

    fn path(&self, what: &str) -> String {
        format!("/api/v1/playbooks/{}/{what}", escaped(&self.id))
    }

    async fn plan(self, common: &Common) -> Result<Exit, Failure> {
        let (out, body) = (common.out(), self.body(common).await?);
        let seen = common.client()?.post(&self.path("plan"), &body).await?;
        out.document(&seen, |_| lines(&seen));
        for report in seen.get("validation").and_then(Value::as_array).into_iter().flatten() {
            tell_findings(out, report);
        }
        if text(&seen, "/decision/decision") == "deny" {
            return Ok(exit::DENIED);
        }
        let given: String = self.parameters.iter().map(|one| format!(" -p {one}")).collect();
        let run = text(&seen, "/under_way");
        if run.is_empty() {
            out.next(&format!("writ playbook run {}{given}", self.id));
        } else {
            out.say(&format!("run `{run}` is in the way; the playbook can be run once that is over"));
            out.next(&format!("writ run watch {run}"));
        }
        Ok(exit::OK)
    }
}

impl Running {
    async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (out, mut body) = (common.out(), self.order.body(common).await?);
        body["reason"] = json!(self.message);
        let answer = common.client()?.post(&self.order.path("run"), &body).await?;
        if matches!(out.form, Form::Table | Form::Wide) {
            out.text(&lines(&answer));
        } else {
            out.document(&answer, |_| String::new());
        }
        let run = text(&answer, "/run");
        if !self.wait {
            return begun(common, &run).await;
        }
        let state = super::run::watch(common, &run).await?;
        out.next(&format!("writ why {run}"));
        Ok(Exit::of_run(&state))
    }
}

impl Test {
    fn run(self, out: Out) -> Result<Exit, Failure> {
        let (mut problems, mut lines, mut items) = (Vec::new(), String::new(), Vec::new());
        for path in self.paths.iter().flat_map(|path| files(path)) {
            let name = path.display().to_string();
            let bytes = load(&path).map_err(|problem| Failure::Problems(vec![problem]))?;
            let playbook = match read_playbook(&name, &bytes) {
                Ok(playbook) => playbook,
                Err(found) => {
                    problems.extend(found);
                    continue;
                }
            };
            let document = playbook.document();
            lines.push_str(&format!("{} {}  sound\n", playbook.id, playbook.version));
            if !self.parameters.is_empty() {
                let given = arguments(&self.parameters, &document)?.into_iter().collect();
                let bound = playbook.bind(&given).map_err(|error| Failure::Other {
                    exit: exit::USAGE,
                    text: format!("`{}` cannot be run so: {error}", playbook.id),
                    hint: None,
                })?;
                for act in &bound.acts {
                    let values: String = act.values.iter().map(|(name, value)| format!(" {name}={value}")).collect();
                    let said = act.skipped.as_ref().map_or_else(|| "runs ".to_owned(), |_| "skips".to_owned());
                    lines.push_str(&format!("  {said} {} {}{values}\n", act.name, act.verb.word()));
                }
            }
            items.push(document);
        }
        if !problems.is_empty() {
            return Err(Failure::Problems(problems));
        }
        out.list(&items, "no playbooks", |_| lines);
        Ok(if items.is_empty() { exit::FAILED } else { exit::OK })
    }
}

/// A file, or the documents of a directory's `playbooks`, or else of the directory.
fn files(path: &std::path::Path) -> Vec<PathBuf> {
    let own = path.join("playbooks");
    let dir = if own.is_dir() { own } else { path.to_owned() };
    let Ok(entries) = std::fs::read_dir(&dir) else { return vec![dir] };
    let known =
        |path: &PathBuf| path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(known).collect();
    found.sort();
    found
}

/// What was typed, as the types that the playbook declares; what does not fit is left as it is, and refused with the reason.
fn arguments(given: &[String], playbook: &Value) -> Result<Map<String, Value>, Failure> {
    let mut arguments = Map::new();
    for one in given {
        let Some((name, value)) = one.split_once('=') else {
            let hint = Some("write `-p NAME=VALUE`".to_owned());
            return Err(Failure::Other {
                exit: exit::USAGE,
                text: format!("`{one}` gives no parameter a value"),
                hint,
            });
        };
        let sort = text(playbook, &format!("/parameters/{name}/type"));
        let read = match sort.as_str() {
            "integer" => value.parse::<i64>().ok().map(Value::from),
            "boolean" => value.parse::<bool>().ok().map(Value::from),
            _ => None,
        };
        arguments.insert(name.to_owned(), read.unwrap_or_else(|| value.into()));
    }
    Ok(arguments)
}

fn lines(seen: &Value) -> String {
    let of = |field: &str| text(seen, field);
    let skipped = seen.get("skipped").and_then(Value::as_array).into_iter().flatten();
    let skipped: String =
        skipped.map(|one| format!("  skips {}: {}\n", text(one, "/action"), text(one, "/condition"))).collect();
    format!("playbook {} {} on {}\n{}{skipped}", of("/playbook"), of("/version"), of("/component"), of("/text"))
}
