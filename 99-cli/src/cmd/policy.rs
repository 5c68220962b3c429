//! `writ policy`, `writ contract`, `writ schema`.

use super::intent::{Files, locally};
use super::{Failure, text};
use crate::Common;
use crate::exit::{self, Exit};
use crate::out::{Form, columns, yaml};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use std::path::PathBuf;
use writ_pipeline::input::{comparison, load, manifest_schema, platform_schema, read_contract, render, run_tests};
use writ_server::read_files;

/// Policies
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// List the rules in force
    List,
    /// Run the policy tests of a directory; needs no server
    Test { dir: PathBuf },
    /// Find what is wrong with the policies of a directory, and what is seldom meant; needs no server
    Lint { dir: PathBuf },
    /// Show for a manifest what each rule and its parts came to; needs no server
    Explain(Explain),
}

/// Show for a manifest what each rule and its parts came to
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    files: Files,
}

impl Policy {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        match self {
            Policy::List => {
                let policies = common.client()?.get("/api/v1/policies").await?;
                let rules = policies.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
                let row = |rule: &Value| ["/rule", "/stage", "/at"].map(|field| text(rule, field)).to_vec();
                let rows: Vec<Vec<String>> = rules.iter().map(row).collect();
                out.list(&rules, "no rules", |_| columns(&["RULE", "STAGE", "AT"], &rows, out.is_terminal()));
                Ok(exit::OK)
            }
            Policy::Lint { dir } => {
                let files = read_files(&dir).map_err(Failure::Problems)?;
                let lints = files.bundle.lints();
                lints.iter().for_each(|lint| out.text(&format!("{}\n", render("note", lint, None))));
                let rules = files.bundle.rules().count();
                out.say(&format!("{rules} rules are sound, {} seldom meant", lints.len()));
                Ok(if lints.is_empty() { exit::OK } else { exit::FAILED })
            }
            Policy::Explain(explain) => {
                let files = read_files(&explain.files.dir()).map_err(Failure::Problems)?;
                let (_, prepared) = locally(&explain.files).await?;
                out.text(&prepared.explain(&files.bundle));
                Ok(exit::OK)
            }
            Policy::Test { dir } => {
                let files = read_files(&dir).map_err(Failure::Problems)?;
                let tests: Vec<(&str, &[u8])> =
                    files.policy_tests.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
                let report = run_tests(&files.bundle, &tests);
                if out.form == Form::Junit {
                    out.text(&report.junit())
                } else {
                    out.text(&report.table())
                }
                Ok(if report.passed() { exit::OK } else { exit::FAILED })
            }
        }
    }
}

/// Contracts
#[derive(Debug, Subcommand)]
pub(crate) enum Contract {
    /// Show which published version fits whom
    Matrix,
    /// Compare two versions of a contract: what the newer breaks, with a value that shows it; needs no server
    Diff { old: PathBuf, new: PathBuf },
}

impl Contract {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let out = common.out();
        match self {
            Contract::Matrix => {
                let matrix = common.client()?.get("/api/v1/contracts").await?;
                out.document(&matrix, |_| yaml(&matrix));
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

/// A file that people write
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sort {
    /// A manifest
    Intent,
    /// A platform file
    Platform,
}

/// Print the JSON Schema of a file
#[derive(Debug, Args)]
pub(crate) struct SchemaOf {
    of: Sort,
}

impl SchemaOf {
    pub(crate) fn run(self, common: &Common) -> Result<Exit, Failure> {
        let schema = match self.of {
            Sort::Intent => manifest_schema(),
            Sort::Platform => platform_schema(),
        };
        let pretty = serde_json::to_string_pretty(&schema).map_err(|error| Failure::of(exit::INTERNAL, &error))?;
        common.out().line(&pretty);
        Ok(exit::OK)
    }
}
