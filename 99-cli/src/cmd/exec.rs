//! `writ exec`: a command that passes the gate before it runs, and is recorded when it has.

mod ask;
mod child;
mod report;
mod tee;

use super::{Failure, text};
use crate::Common;
use crate::client::{ClientError, escaped};
use crate::exit::{self, Exit};
use crate::out::Out;
use child::Signals;
use clap::Args;
use report::{End, Outcome};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use writ_core::Entropy as _;
use writ_server::SystemEntropy;

/// How long the server holds an answer back while nothing changes, in seconds.
const WAIT: u64 = 20;

/// Between two tries to reach a server that is gone.
const AGAIN: Duration = Duration::from_millis(500);

/// Run a command that passes the gate first: judged, approved, permitted, recorded
///
/// The command is judged by the policies, waits for people where they say so, runs once, here, as it was typed, and its output and exit
/// status are recorded. Its output goes where it always goes, and the exit code is its own. For `terraform apply PLANFILE` and
/// `kubectl apply -f FILE` policies see what would change. What is typed is recorded as it is: name secrets, do not type them.
///
/// Exit codes when it did not run: 3 denied, 6 a file has changed since it was judged, 7 it waits for approval (go on with
/// `writ exec --resume RUN`), 126 and 127 as shells have them.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Exec {
    /// What the action is called, for policies: without it, what the command is
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// What is changed, for policies and the kill switch: without it, the program's name
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// The intent that it serves
    #[arg(long, value_name = "ID")]
    intent: Option<String>,
    /// Why
    #[arg(short = 'm', long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Do not wait for people
    #[arg(long)]
    no_wait: bool,
    /// After so many seconds without a sign of this process the outcome is unknown
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    silent: u64,
    /// For so many seconds a server that does not answer is tried again
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// Go on with a change that was asked for before
    #[arg(long, value_name = "RUN", conflicts_with_all = ["command", "action", "resource", "intent"])]
    resume: Option<String>,
    /// Report an outcome that could not be reported when the command ended
    #[arg(long, value_name = "FILE", conflicts_with_all = ["command", "resume"])]
    report: Option<PathBuf>,
    /// The command
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Exec {
    pub(crate) async fn run(self, common: &Common) -> Result<Exit, Failure> {
        if let Some(file) = &self.report {
            return report::again(common, file).await;
        }
        let change = match &self.resume {
            Some(run) => common.client()?.get(&format!("/api/v1/actions/{}", escaped(run))).await?,
            None => ask::ask(common, &self).await?,
        };
        let run = text(&change, "/run");
        let mut signals = Signals::new().map_err(|error| Failure::of(exit::INTERNAL, &error))?;
        if let Some(exit) = self.wait(common, change.clone(), &mut signals).await? {
            return Ok(exit);
        }
        let claim = chance();
        if let Err(error) = self.claim(common, &run, &claim).await {
            common.out().next(&format!("writ why {run}"));
            return Err(error.into());
        }
        let outcome = self.carry_out(common, &change, &claim, &mut signals).await;
        Ok(report::report(common, &run, &claim, &outcome, self.patience(), &mut signals).await)
    }

    /// Waits until the order may be taken; an exit code when it never will, or nobody waits for that.
    async fn wait(&self, common: &Common, change: Value, signals: &mut Signals) -> Result<Option<Exit>, Failure> {
        let (out, run) = (common.out(), text(&change, "/run"));
        let (mut change, mut before) = (change, String::new());
        loop {
            let phase = text(&change, "/phase");
            let resume = format!("writ exec --resume {run}");
            match phase.as_str() {
                "offered" => return Ok(None),
                "over" => return Ok(Some(over(out, &change))),
                "taken" | "needs_operator" => {
                    let state = text(&change, "/state").replace('_', " ");
                    let text = format!("`{run}` was taken before, by another process, and is {state}");
                    return Err(Failure::Other { exit: exit::FAILED, text, hint: Some(format!("writ why {run}")) });
                }
                "awaiting_approval" if before != phase => {
                    tell_approval(common, &change);
                    if self.no_wait {
                        out.say(&format!("next: {resume}"));
                        return Ok(Some(exit::WAITING));
                    }
                }
                // What is merely on its way is not worth a line.
                "waiting" if before == phase => out.say(&format!("waits  {}", text(&change, "/waiting"))),
                _ => {}
            }
            let path = format!("/api/v1/actions/{}?here=true&wait={WAIT}&seen={phase}", escaped(&run));
            before = phase;
            tokio::select! {
                seen = patiently(common, &path, None, self.patience()) => change = seen?,
                _ = signals.next() => {
                    out.say(&format!("interrupted; nothing ran, and the request stays\nnext: {resume}"));
                    return Ok(Some(exit::WAITING));
                }
            }
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    /// Takes the order. The same claim may be made again when the answer got lost.
    async fn claim(&self, common: &Common, run: &str, claim: &str) -> Result<(), ClientError> {
        let path = format!("/api/v1/actions/{}/claim", escaped(run));
        let body = json!({"claim": claim});
        patiently(common, &path, Some(&body), self.patience()).await.map(drop)
    }

    async fn carry_out(&self, common: &Common, change: &Value, claim: &str, signals: &mut Signals) -> Outcome {
        let directory = PathBuf::from(text(change, "/directory"));
        let changed = ask::changed(&directory, change);
        if let Some(file) = changed {
            let because = format!("`{file}` has changed since it was judged");
            common.out().say(&format!("error: {because}; nothing ran"));
            return Outcome::not_run(because, exit::STALE);
        }
        let command = words(change);
        let alive = tokio::spawn(report::alive(common.clone(), text(change, "/run"), claim.to_owned(), {
            let silent = change.get("silent_ms").and_then(Value::as_u64).unwrap_or(60_000);
            Duration::from_millis(silent / 4)
        }));
        let ended = child::run(&command, &directory, signals).await;
        alive.abort();
        match ended {
            Ok(ended) => ended,
            Err(error) => {
                let missing = error.kind() == std::io::ErrorKind::NotFound;
                let program = command.first().cloned().unwrap_or_default();
                let because = if missing { "there is no such program".to_owned() } else { error.to_string() };
                common.out().say(&format!("error: `{program}` cannot be run: {because}"));
                let exit = if missing { exit::NO_PROGRAM } else { exit::NOT_RUN };
                Outcome::not_run(format!("`{program}`: {because}"), exit)
            }
        }
    }
}

/// Whom policy wants asked, and what they do.
fn tell_approval(common: &Common, change: &Value) {
    let out = common.out();
    let id = text(change, "/approval");
    let asks = change.get("asks").and_then(Value::as_array).into_iter().flatten();
    let who: Vec<String> = asks.map(|ask| format!("{} of {}", text(ask, "/count"), text(ask, "/role"))).collect();
    out.say(&format!("gate   `{}` needs approval by {}", text(change, "/action"), who.join(" and ")));
    out.say(&format!("       writ approve {id} --as reviewer -m REASON"));
    let link = text(change, "/link");
    if !link.is_empty() {
        out.say(&format!("       {link}"));
    } else if let Ok(client) = common.client() {
        out.say(&format!("       {}/approvals/{id}", client.url()));
    }
}

/// The program and arguments of a change.
fn words(change: &Value) -> Vec<String> {
    let words = change.get("command").and_then(Value::as_array).into_iter().flatten();
    words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// What a change that is over means for whoever waits for it.
fn over(out: Out, change: &Value) -> Exit {
    let (run, state, because) = (text(change, "/run"), text(change, "/state"), text(change, "/because"));
    let begun = change.get("begun").and_then(Value::as_bool).unwrap_or(false);
    let told = if because.is_empty() { String::new() } else { format!(": {because}") };
    out.say(&format!("error: `{run}` is {}{told}", state.replace('_', " ")));
    out.hint(&format!("writ why {run}"));
    match state.as_str() {
        "failed" | "cancelled" if !begun => exit::DENIED,
        "succeeded" => exit::FAILED, // It was carried out before, and not by this process.
        other => Exit::of_run(other),
    }
}

/// Asks, and asks again for so long while nobody answers who can.
async fn patiently(
    common: &Common,
    path: &str,
    body: Option<&Value>,
    patience: Duration,
) -> Result<Value, ClientError> {
    let mut waited = Duration::ZERO;
    loop {
        match once(common, path, body).await {
            Err(error) if is_gone(&error) && waited < patience => {
                tokio::time::sleep(AGAIN).await;
                waited += AGAIN;
            }
            answered => return answered,
        }
    }
}

/// A server that was started anew may be elsewhere: where it is is looked up each time.
async fn once(common: &Common, path: &str, body: Option<&Value>) -> Result<Value, ClientError> {
    let client = common.client()?;
    match body {
        Some(body) => client.post(path, body).await,
        None => client.get(path).await,
    }
}

/// Whether asking again may help.
fn is_gone(error: &ClientError) -> bool {
    match error {
        ClientError::Nowhere { .. } | ClientError::Unreachable { .. } | ClientError::Form { .. } => true,
        ClientError::Trust { .. } | ClientError::Nobody { .. } => false,
        ClientError::Problem { code, .. } => {
            matches!(code.as_str(), "closed" | "internal" | "slow" | "stale" | "throttled")
        }
    }
}

/// What names this process to the server, and nobody else knows.
fn chance() -> String {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A path in the directory that a command runs in.
fn within(directory: &Path, file: &str) -> PathBuf {
    directory.join(file)
}

impl End {
    /// The code that the command ended with, as shells have it.
    fn exit(&self) -> Exit {
        match self {
            End::Exit(code) => Exit(*code),
            End::Signal(signal) => Exit(128 + (signal & 0x7f)),
            End::NotRun { exit, .. } => Exit(*exit),
        }
    }
}
