//! `writ policy`, `writ schema`.

use super::intent::{Files, locally};
use super::{Failure, counted, is_there, text};
use crate::Common;
use crate::client::escaped;
use crate::exit::{self, Exit};
use crate::out::{Form, columns};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use writ_pipeline::input::{
    Trial, TrialReport, is_test_file, load, manifest_schema, platform_schema, render, run_tests,
};
use writ_server::read_files;

/// Policies
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// List the rules in force
    List,
    /// Propose other policies: all files of a directory, or those given; their tests must pass
    ///
    /// Shows which of the last decisions would have been others. On a server they are in force once somebody else has agreed.
    Apply(Apply),
    /// Tell what somebody must look at, and how often each rule had nothing to object, warned, asked people and denied; fails when there is something to look at
    Report(Report),
    /// List the policies that were in force, from when to when
    Bundles,
    /// Run the policy tests of a directory; needs no server
    Test { dir: PathBuf },
    /// Find what is wrong with the policies of a directory, and what is seldom meant; needs no server
    Lint { dir: PathBuf },
    /// Show for a manifest what each rule and its parts came to; needs no server, but with `--in-force`
    Explain(Explain),
}

/// Show for a manifest what each rule and its parts came to
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    files: Files,
    /// By the policies that are in force on the server, not those of a directory
    #[arg(long, conflicts_with = "with")]
    in_force: bool,
}

impl Explain {
    async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let told = if self.in_force {
            common.client()?.post("/api/v1/policies/explain", &self.files.body()?).await?
        } else {
            let files = read_files(&self.files.dir()).map_err(Failure::Problems)?;
            let (_, prepared) = locally(&self.files).await?;
            json!({
                "decision": prepared.decision_text(), "bundle": files.bundle.digest(),
                "text": prepared.explain(&files.bundle),
            })
        };
        common.out().document(&told, |_| text(&told, "/text"));
        Ok(exit::OK)
    }
}

/// Tell what somebody must look at, and what policy decided
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Count decisions about this intent alone
    #[arg(id = "INTENT", conflicts_with = "intent")]
    about: Option<String>,
    /// Count decisions about this intent alone
    #[arg(long)]
    intent: Option<String>,
    /// Count what this rule found alone
    #[arg(long)]
    rule: Option<String>,
    /// Go on where an earlier report ended
    #[arg(long, value_name = "NEXT")]
    after: Option<u64>,
}

impl Report {
    async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (out, client) = (common.out(), common.client()?);
        let intent = self.about.or(self.intent);
        let found = client.all("/api/v1/findings", "").await?;
        let asked =
            [("intent", intent.clone()), ("rule", self.rule.clone()), ("after", self.after.map(|at| at.to_string()))];
        let asked = asked.iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))));
        let query = asked.collect::<Vec<_>>().join("&");
        let query = if query.is_empty() { query } else { format!("?{query}") };
        let mut told = client.get(&format!("/api/v1/policies/report{query}")).await?;
        told["findings"] = json!(found);
        out.document(&told, |_| report_table(&told, out.is_terminal()));
        let options = [("--intent", &intent), ("--rule", &self.rule)];
        let options = options.iter().filter_map(|(name, value)| Some(format!(" {name} {}", value.as_ref()?)));
        match text(&told, "/next") {
            end if end.is_empty() => {}
            next => out.next(&format!(
                "writ policy report{} --after {next}, for what was decided before",
                options.collect::<String>()
            )),
        }
        Ok(if found.is_empty() { exit::OK } else { exit::FAILED })
    }
}

/// What decisions and rules come to: the field that counts it, and what stands above.
const COUNTS: [(&str, &str); 6] = [
    ("passed", "PASSED"),
    ("warned", "WARNED"),
    ("asked", "ASKED"),
    ("denied", "DENIED"),
    ("waived", "WAIVED"),
    ("not_concerned", "NOT CONCERNED"),
];

/// How many decisions came to what, in words.
fn came_to(told: &Value) -> String {
    let subjects = told.get("subjects").and_then(Value::as_array);
    let sum = |field: &str| -> u64 { subjects.into_iter().flatten().filter_map(|one| one.get(field)?.as_u64()).sum() };
    let all = COUNTS.map(|(field, _)| (sum(field), field.replace('_', " ")));
    let met = all.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    met.collect::<Vec<_>>().join(", ")
}

/// What somebody must look at, and then how often each rule and each subject came to what.
fn report_table(told: &Value, terminal: bool) -> String {
    let rows = |list: &str, row: &dyn Fn(&Value) -> Vec<String>| -> Vec<Vec<String>> {
        told.get(list).and_then(Value::as_array).into_iter().flatten().map(row).collect()
    };
    let counts = |one: &Value| COUNTS.map(|(field, _)| text(one, &format!("/{field}"))).to_vec();
    let found = rows("findings", &|one| vec![text(one, "/finding"), text(one, "/text")]);
    let rules = rows("rules", &|one| [vec![text(one, "/rule"), text(one, "/stage")], counts(one)].concat());
    let subjects = rows("subjects", &|one| [vec![text(one, "/subject")], counts(one)].concat());
    let mut all = if found.is_empty() {
        "nothing is left to review\n".to_owned()
    } else {
        columns(&["FINDING", "WHAT"], &found, terminal)
    };
    all.push_str(&match text(told, "/decisions").as_str() {
        "0" => "\nnothing was decided\n".to_owned(),
        count => format!(
            "\n{}, {} to {}: {}\n",
            counted(count.parse().unwrap_or(0), "decision"),
            text(told, "/from"),
            text(told, "/to"),
            came_to(told)
        ),
    });
    let head = COUNTS.map(|(_, head)| head);
    for (begin, rows) in [(&["RULE", "STAGE"][..], rules), (&["ABOUT"][..], subjects)] {
        if !rows.is_empty() {
            all.push_str(&format!("\n{}", columns(&[begin, &head].concat(), &rows, terminal)));
        }
    }
    all
}

async fn bundles(common: &Common) -> Result<Exit, Failure> {
    let out = common.out();
    let items = common.client()?.all("/api/v1/policies/bundles", "").await?;
    let row = |one: &Value| {
        let until =
            Some(text(one, "/until")).filter(|until| !until.is_empty()).unwrap_or_else(|| "in force".to_owned());
        vec![text(one, "/digest"), text(one, "/from"), until, text(one, "/by")]
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    out.list(&items, "no policies", |_| columns(&["DIGEST", "FROM", "UNTIL", "BY"], &rows, out.is_terminal()));
    Ok(exit::OK)
}

/// Propose other policies
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// Directories with policies, or files of them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Why
    #[arg(short, long, default_value = "")]
    message: String,
}

impl Apply {
    async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (mut files, mut tests) = (Vec::new(), Vec::new());
        for path in self.paths.iter().flat_map(|path| documents(path)) {
            let bytes = load(&path).map_err(|problem| Failure::Problems(vec![problem]))?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let text = String::from_utf8(bytes).map_err(|error| Failure::of(exit::USAGE, &error))?;
            let file = json!({"name": name, "text": text});
            if is_test_file(&path.display().to_string()) { tests.push(file) } else { files.push(file) }
        }
        let body = json!({"files": files, "tests": tests, "reason": self.message});
        let answer = common.client()?.post("/api/v1/policies", &body).await?;
        Ok(super::change::tell(common, &answer, "the policies are in force", "writ policy list"))
    }
}

/// The documents of a directory of policies and of its `tests`; of a directory that has such a one as `policies`, its; or the
/// file itself.
fn documents(path: &Path) -> Vec<PathBuf> {
    let own = path.join("policies");
    let dir = if own.is_dir() { own } else { path.to_owned() };
    if !dir.is_dir() {
        return vec![dir];
    }
    let within = [dir.clone(), dir.join("tests")].into_iter().filter_map(|dir| std::fs::read_dir(dir).ok());
    let paths = within.flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let known = |path: &PathBuf| {
        path.is_file() && path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known))
    };
    let mut found: Vec<PathBuf> = paths.filter(known).collect();
    found.sort();
    found
}

/// What is said of a directory that is not there.
const NAME_ONE: &str = "name the one that has a `policies`";

/// What came of tests, as the server tells it, with what is wrong with their files.
fn tested(report: &TrialReport) -> Value {
    let each = |trial: &Trial| {
        json!({"name": trial.name, "file": trial.at.file, "line": trial.at.line, "passed": trial.failures.is_empty(),
            "failures": trial.failures})
    };
    json!({"passed": report.passed(), "tests": report.trials.iter().map(each).collect::<Vec<_>>(), "not_run": report.cut,
        "untested": report.untested, "problems": report.problems})
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
            Policy::Apply(apply) => apply.run(common).await,
            Policy::Report(report) => report.run(common).await,
            Policy::Bundles => bundles(common).await,
            Policy::Lint { dir } => {
                is_there(&dir, NAME_ONE)?;
                let files = read_files(&dir).map_err(Failure::Problems)?;
                let lints = files.bundle.lints();
                let told = format!("{} rules are sound, {} seldom meant", files.bundle.rules().count(), lints.len());
                let found: Vec<Value> = lints.iter().map(|lint| json!(lint)).collect();
                out.list(&found, &told, |_| {
                    lints.iter().map(|lint| format!("{}\n", render("note", lint, None))).collect()
                });
                if !lints.is_empty() {
                    out.say(&told);
                }
                Ok(if lints.is_empty() { exit::OK } else { exit::FAILED })
            }
            Policy::Explain(explain) => explain.run(common).await,
            Policy::Test { dir } => {
                is_there(&dir, NAME_ONE)?;
                let files = read_files(&dir).map_err(Failure::Problems)?;
                let tests: Vec<(&str, &[u8])> =
                    files.policy_tests.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
                let report = run_tests(&files.bundle, &tests);
                if out.form == Form::Junit {
                    out.text(&report.junit())
                } else {
                    out.document(&tested(&report), |_| report.table())
                }
                Ok(if report.passed() { exit::OK } else { exit::FAILED })
            }
        }
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
