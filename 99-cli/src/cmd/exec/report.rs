//! Telling what came of a command: while it runs that it does, and at the end how it ended; in a file when nobody hears it.

use super::child::Signals;
use super::tee::Written;
use super::{is_gone, once, patiently};
use crate::Common;
use crate::client::{ClientError, escaped};
use crate::cmd::{Failure, text};
use crate::exit::{self, Exit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use writ_pipeline::error_chain;
use writ_seal::sha256;
use writ_server::write_secret;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself.
    Exit(u8),
    /// By a signal.
    Signal(u8),
    /// It never began.
    NotRun { because: String, exit: u8 },
}

/// What came of a command.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    pub(crate) stdout: Written,
    pub(crate) stderr: Written,
}

impl Outcome {
    pub(crate) fn not_run(because: String, exit: Exit) -> Self {
        let nothing = || Written { bytes: 0, digest: sha256(b""), kept: Vec::new() };
        Self { end: End::NotRun { because, exit: exit.0 }, stdout: nothing(), stderr: nothing() }
    }

    fn body(&self, claim: &str) -> Value {
        let written = |written: &Written| json!({"bytes": written.bytes, "digest": written.digest, "kept": STANDARD.encode(&written.kept)});
        let mut outcome = match &self.end {
            End::Exit(code) => json!({"exit": code}),
            End::Signal(signal) => json!({"signal": signal}),
            End::NotRun { because, .. } => json!({"not_run": because}),
        };
        outcome["stdout"] = written(&self.stdout);
        outcome["stderr"] = written(&self.stderr);
        json!({"claim": claim, "outcome": outcome})
    }
}

/// Says every so often that the command still runs.
pub(crate) async fn alive(common: Common, run: String, claim: String, every: Duration) {
    let path = format!("/api/v1/actions/{}/alive", escaped(&run));
    let body = json!({"claim": claim});
    let (mut told, out) = (false, common.out());
    loop {
        tokio::time::sleep(every).await;
        let answered = once(&common, &path, Some(&body)).await;
        // A server that is gone may come back, and then hears of it; one that has given up does not change its mind.
        let news = match answered {
            Err(error) if !is_gone(&error) => Some(error_chain(&error)),
            Ok(answer) if text(&answer, "/state") == "cancelling" => {
                Some("somebody cancels the run; interrupt the command if it should not end by itself".to_owned())
            }
            Ok(_) | Err(_) => None,
        };
        if let (Some(news), false) = (news, told) {
            out.say(&format!("warning: {news}"));
            told = true;
        }
    }
}

/// Reports what came of a command. The code to exit with is the command's own, whatever becomes of the report.
pub(crate) async fn report(
    common: &Common,
    run: &str,
    claim: &str,
    outcome: &Outcome,
    patience: Duration,
    signals: &mut Signals,
) -> Exit {
    let (out, body, exit) = (common.out(), outcome.body(claim), outcome.end.exit());
    let path = format!("/api/v1/actions/{}/outcome", escaped(run));
    let told = tokio::select! {
        told = patiently(common, &path, Some(&body), patience) => told.map_err(Some),
        _ = signals.next() => Err(None),
    };
    match told {
        Ok(_) => {
            if !common.quiet {
                out.say(&format!("next: writ why {run}"));
            }
        }
        Err(Some(ClientError::Problem { title, code, problem })) if problem.get("recorded") == Some(&json!(true)) => {
            Failure::from(ClientError::Problem { title, code, problem }).tell(out);
        }
        Err(error) => {
            let because = error.map_or_else(|| "interrupted".to_owned(), |error| error_chain(&error));
            out.say(&format!("error: what came of the command is not recorded: {because}"));
            match spool(common, run, &body) {
                Ok(path) => out.hint(&format!("writ exec --report {}", path.display())),
                Err(because) => out.say(&format!("error: it could not be kept either: {because}")),
            }
        }
    }
    exit
}

/// Keeps an outcome that nobody heard.
fn spool(common: &Common, run: &str, body: &Value) -> Result<PathBuf, String> {
    let dir = common.state.join("outcomes");
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let path = dir.join(format!("{run}.json"));
    let kept = json!({"run": run, "body": body});
    write_secret(&path, &kept.to_string()).map_err(|error| error_chain(&error))?;
    Ok(path)
}

/// `writ exec --report FILE`
pub(crate) async fn again(common: &Common, file: &Path) -> Result<Exit, Failure> {
    let bad = |text: String| Failure::Other { exit: exit::USAGE, text, hint: None };
    let bytes = std::fs::read(file).map_err(|error| bad(format!("`{}`: {error}", file.display())))?;
    let kept: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let (run, body) = (text(&kept, "/run"), kept.get("body").cloned().unwrap_or_default());
    if run.is_empty() || body.is_null() {
        return Err(bad(format!("`{}` is no outcome that `writ exec` kept", file.display())));
    }
    let path = format!("/api/v1/actions/{}/outcome", escaped(&run));
    let told = once(common, &path, Some(&body)).await?;
    // It is recorded: the file says nothing more than the journal.
    drop(std::fs::remove_file(file));
    common.out().line(&format!("{run} is {}", text(&told, "/state").replace('_', " ")));
    common.out().next(&format!("writ why {run}"));
    Ok(exit::OK)
}
