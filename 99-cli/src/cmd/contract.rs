//! `writ contract`.

use super::{Failure, listed, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::{Out, columns, yaml};
use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use writ_pipeline::input::{comparison, load, read_contract};

/// Contracts
#[derive(Debug, Subcommand)]
pub(crate) enum Contract {
    /// List every version that was published
    List,
    /// Show a contract: each of its versions, with its document
    Get { id: String },
    /// Publish a version of a contract; one that rises less than its changes require is refused
    Publish(Publish),
    /// Check what a manifest's plan or an agent requires against what is published; fails when something does not fit
    Check(Check),
    /// Show which published version fits whom
    Matrix,
    /// Compare two versions of a contract: what the newer breaks, with a value that shows it; needs no server
    Diff { old: PathBuf, new: PathBuf },
}

/// Publish a version of a contract
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The contract's file
    file: PathBuf,
    /// Why
    #[arg(short, long, default_value = "")]
    message: String,
}

/// Check what is required
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true)))]
pub(crate) struct Check {
    /// A manifest
    #[arg(short, long, value_name = "FILE", group = "what")]
    file: Option<PathBuf>,
    /// An agent that the server knows
    #[arg(long, value_name = "ID", group = "what")]
    agent: Option<String>,
}

impl Contract {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        match self {
            Contract::List => {
                let items = common.client()?.all("/api/v1/contracts", "").await?;
                let fields = ["/contract", "/version", "/status", "/owner"];
                let rows: Vec<Vec<String>> =
                    items.iter().map(|item| fields.map(|field| text(item, field)).to_vec()).collect();
                let head = ["CONTRACT", "VERSION", "STATUS", "OWNER"];
                out.list(&items, "no contracts", |_| columns(&head, &rows, out.is_terminal()));
            }
            Contract::Get { id } => {
                let found = common.client()?.get(&format!("/api/v1/contracts/{}", escaped(&id))).await?;
                out.document(&found, |_| yaml(&found));
            }
            Contract::Publish(publish) => publish.run(common).await?,
            Contract::Check(check) => return check.run(common).await,
            Contract::Matrix => {
                let pages = common.client()?.pages("/api/v1/contracts", "").await?;
                let cells = |page: &Value| page.get("matrix").and_then(Value::as_array).cloned().unwrap_or_default();
                let cells: Vec<Value> = pages.iter().flat_map(cells).collect();
                let row = |cell: &Value| {
                    let fits = if cell.get("fits") == Some(&json!(true)) { "fits" } else { "does not fit" };
                    let [by, contract, version, because] =
                        ["/by", "/contract", "/version", "/because"].map(|field| text(cell, field));
                    vec![by, contract, version, fits.to_owned(), because]
                };
                let rows: Vec<Vec<String>> = cells.iter().map(row).collect();
                let head = ["WHO NEEDS IT", "CONTRACT", "VERSION", "FITS", "WHY"];
                let table = |_| columns(&head, &rows, out.is_terminal());
                out.document(&json!({"matrix": cells}), table);
            }
            Contract::Diff { old, new } => {
                let read = |path: &PathBuf| {
                    let bytes = load(path).map_err(|problem| Failure::Problems(vec![problem]))?;
                    read_contract(&path.display().to_string(), &bytes).map_err(Failure::Problems)
                };
                let compared = comparison(&read(&old)?, &read(&new)?);
                out.document(&compared, |_| yaml(&compared));
            }
        }
        Ok(exit::OK)
    }
}

/// A file as requests carry it.
fn sent(path: &Path) -> Result<Value, Failure> {
    let bytes = load(path).map_err(|problem| Failure::Problems(vec![problem]))?;
    let text = String::from_utf8(bytes).map_err(|error| Failure::of(exit::USAGE, &error))?;
    Ok(json!({"name": path.display().to_string(), "text": text}))
}

impl Publish {
    async fn run(self, common: &Common) -> Result<(), Failure> {
        let mut body = sent(&self.file)?;
        body["reason"] = json!(self.message);
        let done = common.client()?.post("/api/v1/contracts", &body).await?;
        let out = common.out();
        out.document(&done, |_| {
            let (contract, version) = (text(&done, "/contract"), text(&done, "/version"));
            if done.get("new") != Some(&json!(true)) {
                return format!("{contract} {version} is published already, as it is\n");
            }
            let from = text(&done, "/from");
            let rises = if from.is_empty() { "the first version".to_owned() } else { rise(&done, &from) };
            format!("{contract} {version} is published: {rises}\n")
        });
        out.next("who it fits: writ contract matrix");
        Ok(())
    }
}

fn rise(done: &Value, from: &str) -> String {
    format!("a {} rise from {from}, which needs a {} one", text(done, "/given"), text(done, "/required"))
}

impl Check {
    async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let body = match (&self.file, &self.agent) {
            (Some(file), _) => sent(file)?,
            (None, agent) => json!({"agent": agent}),
        };
        let found = common.client()?.post("/api/v1/contracts/check", &body).await?;
        let out = common.out();
        out.document(&found, |_| {
            let rows: Vec<Vec<String>> = ["requires", "provides"].iter().flat_map(|how| rows(&found, how)).collect();
            if rows.is_empty() {
                return "nothing is required\n".to_owned();
            }
            columns(&["", "CONTRACT", "RANGE", "VERSION", "FITS", "BY"], &rows, out.is_terminal())
        });
        for how in ["requires", "provides"] {
            tell_reasons(out, found.get(how));
        }
        Ok(if found.get("verified") == Some(&json!(true)) { exit::OK } else { exit::DENIED })
    }
}

fn rows(found: &Value, how: &str) -> Vec<Vec<String>> {
    let results = found.get(how).and_then(Value::as_array).cloned().unwrap_or_default();
    let row = |one: &Value| {
        let mut row = vec![how.to_owned()];
        row.extend(["/contract", "/range", "/version", "/status"].map(|field| text(one, field)));
        row.push(listed(one, "/required_by"));
        row
    };
    results.iter().map(row).collect()
}

/// Why something does not fit, with the place that breaks and a value that shows it.
fn tell_reasons(out: Out, results: Option<&Value>) {
    for one in results.and_then(Value::as_array).into_iter().flatten() {
        for reason in one.get("reasons").and_then(Value::as_array).into_iter().flatten() {
            let (place, example) = (text(reason, "/pointer"), text(reason, "/counterexample"));
            let place = if place.is_empty() { String::new() } else { format!(" (at `{place}`)") };
            let example = if example.is_empty() { String::new() } else { format!(", for example `{example}`") };
            out.say(&format!("{}: {}{example}{place}", text(one, "/contract"), text(reason, "/message")));
        }
    }
}
