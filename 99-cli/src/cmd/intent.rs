//! `writ validate`, `writ plan`, `writ apply`.

use super::{Failure, counted, listed, text, warn};
use crate::Common;
use crate::exit::{self, Exit};
use crate::out::{Form, Out};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use writ_pipeline::input::{Problem, load};
use writ_pipeline::{Prepared, Principal, SubmitError};
use writ_server::{offline, read_files};

/// A manifest and where its organisation's files are.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// The manifest
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// The directory with platform, policies, contracts and agents; without one, the manifest's own
    #[arg(long, value_name = "DIR")]
    with: Option<PathBuf>,
}

impl Files {
    /// The options as they would be typed again.
    fn given(&self) -> String {
        let typed = |path: &Path| writ_pipeline::input::typed(&path.to_string_lossy());
        let with = self.with.as_ref().map(|dir| format!(" --with {}", typed(dir)));
        format!("-f {}{}", typed(&self.file), with.unwrap_or_default())
    }

    pub(crate) fn dir(&self) -> PathBuf {
        let beside =
            || self.file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        self.with.clone().unwrap_or_else(beside)
    }

    fn read(&self) -> Result<(String, Vec<u8>), Failure> {
        let bytes = load(&self.file).map_err(|problem| Failure::Problems(vec![problem]))?;
        Ok((self.file.display().to_string(), bytes))
    }

    /// The manifest as a server takes it.
    pub(crate) fn body(&self) -> Result<Value, Failure> {
        let (name, bytes) = self.read()?;
        Ok(json!({"name": name, "text": utf8(&name, bytes)?}))
    }
}

/// Works a manifest out with no server.
pub(crate) async fn locally(files: &Files) -> Result<(Value, Prepared), Failure> {
    let (name, bytes) = files.read()?;
    let setup = read_files(&files.dir()).map_err(Failure::Problems)?;
    let pipeline = offline(&setup).await.map_err(|error| Failure::of(exit::INTERNAL, &error))?;
    let roles = ["viewer", "operator", "admin"].map(str::to_owned).to_vec();
    let id = "offline".parse().map_err(|error: writ_core::IdError| Failure::of(exit::INTERNAL, &error))?;
    match pipeline.prepare(&name, &bytes, &Principal { id, roles }).await {
        Ok(_) if setup.bundle.rules().next().is_none() => {
            let policies = files.dir().join("policies");
            Err(Failure::Other {
                exit: exit::USAGE,
                text: format!("there are no policies in `{}` that it could be checked against", policies.display()),
                hint: Some(
                    "name the directory that has some with `--with DIR`; `writ init DIR` writes some; a server knows its own: \
                     `writ plan -f FILE`, `writ policy explain -f FILE --in-force`"
                        .into(),
                ),
            })
        }
        Ok(prepared) => Ok((prepared.document(&pipeline), prepared)),
        Err(SubmitError::Invalid(problems)) => Err(Failure::Problems(problems)),
        Err(SubmitError::Infeasible { intent, mut report, text }) => {
            report["text"] = json!(text);
            Err(Failure::Infeasible { file: name, intent: intent.to_string(), report })
        }
        Err(error) => Err(Failure::of(exit::FAILED, &error)),
    }
}

/// Check a manifest against its form and the policies; needs no server
#[derive(Debug, Args)]
pub(crate) struct Validate {
    #[command(flatten)]
    files: Files,
}

impl Validate {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        let (document, prepared) = locally(&self.files).await?;
        match out.form {
            Form::Sarif => out.line(&prepared.sarif().to_string()),
            Form::Junit => out.text(&prepared.junit()),
            Form::Table | Form::Wide | Form::Json | Form::Yaml | Form::Ndjson => {
                let reports = document.get("validation").cloned().unwrap_or_default();
                out.document(&reports, |_| prepared.table());
            }
        }
        let denied = text(&document, "/decision/decision") == "deny";
        warn(out, &document);
        out.next(&format!("writ plan --local {}", self.files.given()));
        Ok(if denied { exit::DENIED } else { exit::OK })
    }
}

/// How a plan is drawn.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Drawing {
    /// Graphviz
    Dot,
    /// Mermaid
    Mermaid,
    /// A picture
    Svg,
}

/// Show what a manifest would do
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    files: Files,
    /// Plan against an empty world, with no server
    #[arg(long)]
    local: bool,
    /// Exit with 2 when there are changes
    #[arg(long)]
    detailed_exitcode: bool,
    /// Print the graph of actions instead
    #[arg(long, value_enum)]
    graph: Option<Drawing>,
    /// Write the plan's document to a file, for `writ apply --plan`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Plan {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        if let Some(drawing) = self.graph {
            let (_, prepared) = locally(&self.files).await?;
            let drawn = match drawing {
                Drawing::Dot => prepared.dot(),
                Drawing::Mermaid => prepared.mermaid(),
                Drawing::Svg => prepared.svg(),
            };
            out.text(&drawn.unwrap_or_default());
            return Ok(exit::OK);
        }
        let document = if self.local {
            locally(&self.files).await?.0
        } else {
            common.client()?.post("/api/v1/plan", &self.files.body()?).await?
        };
        if let Some(path) = &self.out {
            std::fs::write(path, document.to_string()).map_err(|error| Failure::unwritten(path, &error))?;
        }
        out.document(&document, |_| plan_table(&document));
        for report in document.get("validation").and_then(Value::as_array).into_iter().flatten() {
            tell_findings(out, report);
        }
        warn(out, &document);
        let changes = document.pointer("/diff/changes").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
        if text(&document, "/decision/decision") == "deny" {
            return Ok(exit::DENIED);
        }
        if !changes {
            out.say("nothing has to change");
            return Ok(exit::OK);
        }
        out.next(&format!("writ apply -f {}", self.files.file.display()));
        Ok(if changes && self.detailed_exitcode { exit::CHANGES } else { exit::OK })
    }
}

fn plan_table(document: &Value) -> String {
    let mut all = text(document, "/text");
    let changes = document.pointer("/diff/changes").and_then(Value::as_array).map_or(0, Vec::len);
    let unchanged = text(document, "/diff/unchanged");
    // What is denied as an intent is not planned.
    if all.is_empty() {
        return all;
    }
    all.push_str(&format!("\nchanges {changes}, unchanged {unchanged}   digest {}\n", text(document, "/digest")));
    if changes > 0 {
        all.push_str("to take it back, in this order:\n");
        all.push_str(&text(document, "/rollback/text"));
    }
    all
}

/// Carry a manifest out
#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    files: Files,
    /// Only if this plan, written by `writ plan --out`, is still what would be done
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Wait for the end and show every step
    #[arg(long)]
    wait: bool,
}

impl Apply {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        let mut body = self.files.body()?;
        if let Some(path) = &self.plan {
            let bytes = load(path).map_err(|problem| Failure::Problems(vec![problem]))?;
            let plan: Value = serde_json::from_slice(&bytes).map_err(|error| Failure::of(exit::USAGE, &error))?;
            body["planned"] = plan.get("digest").cloned().unwrap_or_default();
        }
        let answer = common.client()?.post("/api/v1/intents", &body).await?;
        if matches!(out.form, Form::Table | Form::Wide) {
            tell_accepted(out, &answer);
        } else {
            out.document(&answer, |_| String::new());
        }
        let Some(run) = answer.get("run").and_then(Value::as_str) else {
            out.say("nothing has to change");
            return Ok(exit::OK);
        };
        if !self.wait {
            return begun(common, run).await;
        }
        let state = super::run::watch(common, run).await?;
        out.next(&format!("writ why {run}"));
        Ok(Exit::of_run(&state))
    }
}

/// A run that was begun and is not waited for; when people are asked first, whom, and what they type.
pub(super) async fn begun(common: &Common, run: &str) -> Result<Exit, Failure> {
    let out = common.out();
    let path = format!("/api/v1/runs/{}/execution", crate::client::escaped(run));
    let now = common.client()?.get(&path).await?;
    if text(&now, "/state") == "awaiting_approval" {
        if matches!(out.form, Form::Table | Form::Wide) {
            out.line(&format!("run    {run} awaits approval"));
        }
        out.say(&format!("waits  {}", text(&now, "/waiting")));
        out.next(&format!("writ approve {} --as reviewer -m REASON", text(&now, "/approval")));
        return Ok(exit::WAITING);
    }
    if matches!(out.form, Form::Table | Form::Wide) {
        out.line(&format!("run    {run} is being carried out"));
    }
    out.next(&format!("writ run watch {run}"));
    Ok(exit::OK)
}

fn utf8(name: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let at = writ_core::Place { file: name.to_owned(), line: u32::try_from(line).unwrap_or(u32::MAX), column: 1 };
        Failure::Problems(vec![Problem::new(at, "this line is not UTF-8").hint("save the file as UTF-8")])
    })
}

/// What was accepted, in five lines.
pub(crate) fn tell_accepted(out: Out, answer: &Value) {
    let reports = answer.get("validation").and_then(Value::as_array).cloned().unwrap_or_default();
    let results: Vec<Value> = reports
        .iter()
        .flat_map(|report| report.pointer("/validation/results").and_then(Value::as_array).cloned().unwrap_or_default())
        .collect();
    let count = |status: &str| results.iter().filter(|result| text(result, "/status") == status).count();
    out.line(&format!("intent {} v{}", text(answer, "/intent"), text(answer, "/version")));
    out.line(&format!(
        "policy {}: {} passed, {} warned, {} ask people, {} denied",
        counted(results.len(), "check"),
        count("passed"),
        count("warned"),
        count("needs_approval"),
        count("failed")
    ));
    for report in &reports {
        tell_findings(out, report);
    }
    out.line(&format!(
        "plan   {} × {} in {}   {}   {}",
        text(answer, "/plan/chosen/count"),
        text(answer, "/plan/chosen/type"),
        listed(answer, "/plan/chosen/zones"),
        text(answer, "/plan/chosen/cost"),
        counted(answer.pointer("/diff/changes").and_then(Value::as_array).map_or(0, Vec::len), "change"),
    ));
    out.line(&format!(
        "       predicted availability {}  p95 {}  (holds up to {} of a core per request, {})",
        text(answer, "/plan/predicted/availability"),
        text(answer, "/plan/predicted/latency_p95"),
        text(answer, "/plan/break_even/service_time"),
        text(answer, "/plan/break_even/throughput"),
    ));
    for line in answer.pointer("/plan/profile").and_then(Value::as_array).into_iter().flatten() {
        out.line(&format!("       {}", line.as_str().unwrap_or_default()));
    }
    let contracts = answer.pointer("/contract_verification/verification_results").and_then(Value::as_array);
    let contracts: Vec<String> = contracts
        .into_iter()
        .flatten()
        .map(|result| format!("{} {}", text(result, "/contract"), text(result, "/status")))
        .collect();
    if !contracts.is_empty() {
        out.line(&format!("fits   {}", contracts.join(", ")));
    }
    warn(out, answer);
}

/// Rules that did not simply pass, with their places and values.
pub(crate) fn tell_findings(out: Out, report: &Value) {
    for finding in report.pointer("/validation/other_findings").and_then(Value::as_array).into_iter().flatten() {
        out.say(&format!("failed: {}  {}", text(finding, "/finding"), text(finding, "/message")));
    }
    for result in report.pointer("/validation/results").and_then(Value::as_array).into_iter().flatten() {
        let status = text(result, "/status");
        if matches!(status.as_str(), "passed" | "not_applicable" | "") {
            continue;
        }
        out.say(&format!("{status}: {}  {}", text(result, "/policy"), text(result, "/message")));
        let place = |field: &str| {
            let at = result.get(field)?;
            at.as_str()
                .map(str::to_owned)
                .or_else(|| Some(format!("{}:{}:{}", at.get("file")?.as_str()?, at.get("line")?, at.get("column")?)))
        };
        if let Some(at) = place("at") {
            out.say(&format!("  --> {at}"));
        }
        if let Some(at) = place("rule_at") {
            out.say(&format!("  rule {at}   {}", listed(result, "/values")));
        }
    }
}
